/* Prefix LM: the first n_b keys of a sequence are seen by all its queries, the rest causally.   Raffel et al. 2020
 * (T5), section 3.2.1 */
#include "attention.h"

SN_SETTINGS(prefix, ATTENTION_SIZES);

typedef struct {
  sn_t length; /* i32[B] */
} prefixes;

static sn_t prefix_mask(sn_site at, const void *opt) {
  const prefixes *o = opt;
  return sn_or(sn_le(at.k, at.q), sn_lt(at.k, sn_index(o->length, at.batch)));
}

static sn_t prefix_attention(attend *a, const prefix *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  prefixes o = {sn_input(a->m, "length", SN_I32, (a->B))};
  return sn_attention(x.q, x.k, x.v, .mask = prefix_mask, .opt = &o, .name = "prefix");
}

ATTENTION_MODEL(prefix, .min = 1);
