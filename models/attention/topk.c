/* Top-k: i attends to the k keys j <= i with the largest scores. They are found exactly and gathered; gradients pass
 * through what was gathered, not through the choice.   Gupta et al. 2021, section 2 */
#include "attention.h"

SN_SETTINGS(topk, ATTENTION_HEADS, (int, keys, 32, "k"));

static sn_t topk_attention(attend *a, const topk *c) {
  qkv x = attention_inputs(a, c->heads, c->heads, c->head);
  sn_t q = attention_fold(x.q), j = sn_arange(a->m, a->T), i = sn_rearrange(j, "i->i1");
  sn_t k = attention_fold(x.k), v = attention_fold(x.v), s = sn_einsum("nid,njd->nij", q, k);
  sn_t best = sn_top_k(sn_where(sn_le(j, i), s, -1e30), c->keys).positions; /* [B H, T, k] */
  s = sn_div(sn_einsum("nid,nijd->nij", q, sn_slots(k, best)), sqrt(c->head));
  sn_t p = sn_softmax(sn_where(sn_le(best, i), s, -1e30)); /* the first rows have fewer keys */
  return attention_unfold(sn_einsum("nij,nijd->nid", p, sn_slots(v, best)), c->heads);
}

ATTENTION_COMPOSITION(topk, .min = c->keys);
