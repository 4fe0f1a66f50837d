/* Exponential moving average, one learned decay a channel: h = a h + (1 - a) x. Ma et al. 2022 (Mega), eq. 4, of one
 * dimension. Affine in h: associative. */
#include "stack.h"

/* clang-format off */
SN_SETTINGS(ema,
  (int, layers,  2,   "blocks", .max = 4096),
  (int, width,   64,  "channels", SN_SIZE),
  (int, context, 256, "longest sequence", SN_SIZE),
  (int, vocab,   256, "tokens", SN_SIZE));
/* clang-format on */

static sn_t average(sn_t h[], const sn_t x[], const void *opt) {
  const sn_t *a = opt;
  return h[0] = sn_add(sn_mul(*a, h[0]), sn_mul(sn_sub(1, *a), x[0]));
}

static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const ema *c = opt;
  sn_t a = sn_sigmoid(sn_param(m, "decay", (c->width), .init = sn_uniform(4)));
  sn_t old = stack_state(m, "h", carry, (sn_size(x, 0), c->width)), h = old;
  sn_t y = sn_scan(average, "bt", (&h), (x), .opt = &a);
  stack_keep(carry, old, h);
  return sn_linear(m, "out", sn_silu(y), c->width);
}

STACK_GRAPHS(ema, layer)
SN_MODEL(ema, ema, train, eval, prefill, decode);
