/* LSTM: c = f c + i g, h = o tanh(c). Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000. The
 * gates see h: sequential. */
#include "stack.h"

/* clang-format off */
SN_SETTINGS(lstm,
  (int, layers,  2,   "blocks", .max = 4096),
  (int, width,   64,  "units", SN_SIZE),
  (int, context, 256, "longest sequence", SN_SIZE),
  (int, vocab,   256, "tokens", SN_SIZE));
/* clang-format on */

/* x: what the input gives to the four gates. */
static sn_t cell(sn_t h[], const sn_t x[], const void *opt) {
  const sn_t *u = opt;
  sn_t z = sn_rearrange(sn_add(x[0], sn_einsum("h,hg->g", h[0], *u)), "(nd)->nd", .n = 4);
  sn_t i = sn_sigmoid(sn_at(z, 0)), f = sn_sigmoid(sn_at(z, 1)), o = sn_sigmoid(sn_at(z, 2)), g = sn_tanh(sn_at(z, 3));
  h[1] = sn_add(sn_mul(f, h[1]), sn_mul(i, g));
  return h[0] = sn_mul(o, sn_tanh(h[1]));
}

static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const lstm *c = opt;
  sn_t u = sn_param(m, "u", (c->width, 4 * c->width), .init = sn_uniform(1 / sqrt(c->width)));
  sn_t h0 = stack_state(m, "h", carry, (sn_size(x, 0), c->width)), h = h0;
  sn_t c0 = stack_state(m, "c", carry, (sn_size(x, 0), c->width)), s = c0;
  sn_t y = sn_scan(cell, "bt", (&h, &s), (sn_affine(m, "x", x, 4 * c->width)), .opt = &u);
  stack_keep(carry, h0, h);
  stack_keep(carry, c0, s);
  return y;
}

STACK_GRAPHS(lstm, layer)
SN_MODEL(lstm, lstm, train, eval, prefill, decode);
