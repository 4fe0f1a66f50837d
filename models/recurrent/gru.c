/* GRU: h = z h + (1 - z) tanh(W x + r (U h + b)). Cho et al. 2014; r after the product, as in cuDNN. The gates see h:
 * sequential. */
#include "stack.h"

/* clang-format off */
SN_SETTINGS(gru,
  (int, layers,  2,   "blocks", .max = 4096),
  (int, width,   64,  "units", SN_SIZE),
  (int, context, 256, "longest sequence", SN_SIZE),
  (int, vocab,   256, "tokens", SN_SIZE));
/* clang-format on */

typedef struct {
  sn_t u, b;
} weights;

/* x: what the input gives to r, z and the candidate. */
static sn_t cell(sn_t h[], const sn_t x[], const void *opt) {
  const weights *p = opt;
  sn_t w = sn_rearrange(x[0], "(nd)->nd", .n = 3),
       u = sn_rearrange(sn_einsum("h,hg->g", h[0], p->u), "(nd)->nd", .n = 3);
  sn_t r = sn_sigmoid(sn_add(sn_at(w, 0), sn_at(u, 0))), z = sn_sigmoid(sn_add(sn_at(w, 1), sn_at(u, 1)));
  sn_t n = sn_tanh(sn_add(sn_at(w, 2), sn_mul(r, sn_add(sn_at(u, 2), p->b))));
  return h[0] = sn_add(sn_mul(z, h[0]), sn_mul(sn_sub(1, z), n));
}

static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const gru *c = opt;
  weights p = {sn_param(m, "u", (c->width, 3 * c->width), .init = sn_uniform(1 / sqrt(c->width))),
               sn_param(m, "b", (c->width), .init = sn_fill(0))};
  sn_t h0 = stack_state(m, "h", carry, (sn_size(x, 0), c->width)), h = h0;
  sn_t y = sn_scan(cell, "bt", (&h), (sn_affine(m, "x", x, 3 * c->width)), .opt = &p);
  stack_keep(carry, h0, h);
  return y;
}

STACK_GRAPHS(gru, layer)
SN_MODEL(gru, gru, train, eval, prefill, decode);
