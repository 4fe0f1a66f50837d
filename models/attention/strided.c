/* Strided block-sparse attention: even heads see the last l keys, odd heads every l-th key: (i - j) mod l = 0. Two
 * steps reach every j <= i when l is about sqrt n.   Child et al. 2019 (Sparse Transformer), section 4.3 and 5.2 */
#include "attention.h"

SN_SETTINGS(strided, ATTENTION_SIZES, (int, stride, 128, "l", SN_SIZE));

static sn_t strided_mask(sn_site at, const void *opt) {
  const strided *c = opt;
  sn_t d = sn_sub(at.q, at.k), even = sn_eq(sn_mod(at.head, 2), 0);
  sn_t see = sn_or(sn_and(even, sn_lt(d, c->stride)), sn_and(sn_not(even), sn_eq(sn_mod(d, c->stride), 0)));
  return sn_and(sn_le(at.k, at.q), see);
}

static sn_t strided_attention(attend *a, const strided *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  return sn_attention(x.q, x.k, x.v, .mask = strided_mask, .opt = c, .name = "strided");
}

ATTENTION_MODEL(strided, .min = 1);
