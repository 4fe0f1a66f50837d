/* Permuted order: the content stream sees ranks up to its own, the query stream only smaller ones (its first row sees
 * none: 0).   Yang et al. 2019 (XLNet), equations 1 and 2 of section 2.3 */
#include "attention.h"

SN_SETTINGS(permutation, ATTENTION_SIZES, (bool, query_stream, 0, "not the own content"));

typedef struct {
  by_position rank;
  bool query_stream;
} order;

static sn_t permutation_mask(sn_site at, const void *opt) {
  const order *o = opt;
  sn_t q = attention_number(o->rank, at.batch, at.q), k = attention_number(o->rank, at.batch, at.k);
  return o->query_stream ? sn_lt(k, q) : sn_le(k, q);
}

static sn_t permutation_attention(attend *a, const permutation *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  order o = {attention_by_position(a, "rank", c->context), c->query_stream};
  return sn_attention(x.q, x.k, x.v, .mask = permutation_mask, .opt = &o, .name = "permutation");
}

ATTENTION_MODEL(permutation, .min = 1);
