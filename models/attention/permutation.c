/* Permuted order: the content stream sees ranks up to its own, the query stream only smaller ones (its first row sees
 * none: 0).   Yang et al. 2019 (XLNet), equations 1 and 2 of section 2.3 */
#include "attention.h"

SN_SETTINGS(permutation, ATTENTION_SIZES, (bool, query_stream, 0, "not the own content"));

typedef struct {
  sn_t rank; /* i32[B, T] */
  bool query_stream;
} order;

static sn_t permutation_mask(sn_site at, const void *opt) {
  const order *o = opt;
  sn_t q = sn_index(o->rank, at.batch, at.q), k = sn_index(o->rank, at.batch, at.k);
  return o->query_stream ? sn_lt(k, q) : sn_le(k, q);
}

static sn_t permutation_attention(attend *a, const permutation *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  order o = {sn_input(a->m, "rank", SN_I32, (a->B, a->T)), c->query_stream};
  return sn_attention(x.q, x.k, x.v, .mask = permutation_mask, .opt = &o, .name = "permutation");
}

ATTENTION_MODEL(permutation, .min = 1);
