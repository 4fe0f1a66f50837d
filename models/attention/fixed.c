/* Fixed block-sparse attention: even heads see their own block of l, floor(j / l) = floor(i / l); odd heads the last c
 * of every block, j mod l >= l - c; both only j <= i.   Child et al. 2019 (Sparse Transformer), section 4.3 */
#include "attention.h"

SN_SETTINGS(fixed, ATTENTION_SIZES, (int, block, 128, "l", SN_SIZE), (int, summary, 8, "c", SN_SIZE));

static sn_t fixed_mask(sn_site at, const void *opt) {
  const fixed *c = opt;
  sn_t own = sn_eq(sn_floordiv(at.q, c->block), sn_floordiv(at.k, c->block)), even = sn_eq(sn_mod(at.head, 2), 0);
  sn_t last = sn_le(c->block - c->summary, sn_mod(at.k, c->block));
  return sn_and(sn_le(at.k, at.q), sn_or(sn_and(even, own), sn_and(sn_not(even), last)));
}

static sn_t fixed_attention(attend *a, const fixed *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  return sn_attention(x.q, x.k, x.v, .mask = fixed_mask, .opt = c, .name = "fixed");
}

ATTENTION_MODEL(fixed, .min = 1);
