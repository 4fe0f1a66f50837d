/* Sliding window: i sees j when i - w < j <= i, or, in both directions, when |i - j| <= w / 2.   Beltagy, Peters, Cohan
 * 2020 (Longformer), section 3.1; Jiang et al. 2023 (Mistral), section 2 */
#include "attention.h"

SN_SETTINGS(window, ATTENTION_SIZES, (int, window, 512, "keys seen", SN_SIZE), (bool, both, 0, "in both directions"));

static sn_t window_mask(sn_site at, const void *opt) {
  const window *c = opt;
  int half = c->window / 2;
  return c->both ? sn_within(sn_sub(at.q, at.k), -half, half + 1) : sn_within(sn_sub(at.q, at.k), 0, c->window);
}

static sn_t window_attention(attend *a, const window *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  return sn_attention(x.q, x.k, x.v, .mask = window_mask, .opt = c, .name = "window");
}

ATTENTION_MODEL(window, .min = 1);
