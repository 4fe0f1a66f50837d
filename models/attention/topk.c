/* Top-k: i attends to the k keys j <= i with the largest scores. They are found exactly and gathered; gradients pass
 * through what was gathered, not through the choice.   Gupta et al. 2021, section 2 */
#include "attention.h"

SN_SETTINGS(topk, ATTENTION_HEADS, (int, keys, 32, "k", SN_SIZE));

static sn_t topk_attention(attend *a, const topk *c) {
  qkv x = attention_inputs(a, c->heads, c->heads, c->head);
  sn_t q = attention_fold(x.q), k = attention_fold(x.k), v = attention_fold(x.v);
  sn_ranked best = sn_top_keys(q, k, c->keys, .causal = true); /* [B H, T, k] */
  sn_t s = sn_div(sn_einsum("nid,nijd->nij", q, sn_slots(k, best.positions)), sqrt(c->head));
  sn_t p = sn_softmax(sn_where(sn_lt(-1e29, best.values), s, -1e30)); /* the first rows have fewer keys */
  return attention_unfold(sn_einsum("nij,nijd->nid", p, sn_slots(v, best.positions)), c->heads);
}

ATTENTION_COMPOSITION(topk, .min = 1);
