/* Dilated window: i sees j <= i when i - j is a multiple of s and (i - j) / s < w: a window of w keys with gaps.
 * Beltagy, Peters, Cohan 2020 (Longformer), section 3.1 */
#include "attention.h"

SN_SETTINGS(dilated, ATTENTION_SIZES, (int, window, 128, "keys seen", SN_SIZE),
            (int, step, 4, "distance of two keys", SN_SIZE));

static sn_t dilated_mask(sn_site at, const void *opt) {
  const dilated *c = opt;
  sn_t d = sn_sub(at.q, at.k);
  return sn_and(sn_within(d, 0, c->window * c->step), sn_eq(sn_mod(d, c->step), 0));
}

static sn_t dilated_attention(attend *a, const dilated *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  return sn_attention(x.q, x.k, x.v, .mask = dilated_mask, .opt = c, .name = "dilated");
}

ATTENTION_MODEL(dilated, .min = 1);
