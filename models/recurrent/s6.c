/* Mamba (S6): h = exp(dt A) h + (dt u) B, y = h C + D u, with dt, B and C of the input. Gu & Dao 2023, algorithm 2.
 * Affine in h, element by element: associative. */
#include "stack.h"

/* clang-format off */
SN_SETTINGS(s6,
  (int, layers,  2,   "blocks", .max = 4096),
  (int, width,   64,  "size of the residual stream", SN_SIZE),
  (int, inner,   128, "channels of the scan", SN_SIZE),
  (int, state,   16,  "states of a channel", SN_SIZE),
  (int, rank,    4,   "size of what dt is made of", SN_SIZE),
  (int, context, 256, "longest sequence", SN_SIZE),
  (int, vocab,   256, "tokens", SN_SIZE));
/* clang-format on */

typedef struct {
  sn_t a, d;
} rates;

static sn_t select_scan(sn_t h[], const sn_t x[], const void *opt) {
  const rates *p = opt;
  sn_t u = x[0], dt = x[1], B = x[2], C = x[3];
  h[0] = sn_add(sn_mul(sn_exp(sn_einsum("d,dn->dn", dt, p->a)), h[0]), sn_einsum("d,n->dn", sn_mul(dt, u), B));
  return sn_add(sn_einsum("dn,n->d", h[0], C), sn_mul(p->d, u));
}

static rates rates_of(sn_scope m, const s6 *c) {
  return (rates){sn_neg(sn_exp(sn_param(m, "A_log", (c->inner, c->state), .init = sn_uniform(1)))),
                 sn_param(m, "D", (c->inner), .init = sn_fill(1))};
}

/* Causal and depthwise, four taps; three rows are remembered. */
static sn_t convolved(sn_scope m, sn_t x, bool carry) {
  sn_dim C = sn_size(x, 2);
  sn_t last = stack_state(m, "last", carry, (sn_size(x, 0), 3, C)), rows = sn_concat(1, last, x);
  stack_keep(carry, last, sn_slice(rows, 1, sn_dim_value(sn_size(x, 1)), 3));
  sn_t w = sn_param(m, "weight", (4, 1, C), .init = sn_uniform(.5)), b = sn_param(m, "bias", (C), .init = sn_fill(0));
  return sn_add(sn_conv1d(rows, w, .groups = C.extent), b);
}

/* softplus(x + bias), 0.001 to 0.1 to begin with: states remember tens to thousands of steps. */
static sn_t step_size(sn_scope m, sn_t x) {
  sn_t bias = sn_param(m, "dt_bias", (sn_size(x, 2)), .init = sn_uniform(2.3));
  return sn_softplus(sn_add(x, sn_sub(bias, 4.6)));
}

/* in_proj, causal convolution, dt, B and C from what it gives, the scan, the gate, out_proj. */
static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const s6 *c = opt;
  sn_t xz = sn_linear(m, "in_proj", x, 2 * c->inner);
  sn_t u = sn_silu(convolved(sn_in(m, "conv1d"), sn_slice(xz, 2, 0, c->inner), carry));
  sn_t dt = step_size(m, sn_linear(m, "dt_proj", sn_linear(m, "x_dt", u, c->rank), c->inner));
  sn_t B = sn_linear(m, "x_b", u, c->state), C = sn_linear(m, "x_c", u, c->state);
  rates p = rates_of(m, c);
  sn_t old = stack_state(m, "h", carry, (sn_size(x, 0), c->inner, c->state)), h = old;
  sn_t y = sn_scan(select_scan, "bt", (&h), (u, dt, B, C), .opt = &p);
  stack_keep(carry, old, h);
  return sn_linear(m, "out_proj", sn_mul(y, sn_silu(sn_slice(xz, 2, c->inner, c->inner))), c->width);
}

/* The selective scan alone, from a state that is given. */
static void core(sn_scope m, const s6 *c) {
  sn_dim b = sn_sym(m, "B", .max = 1024), t = sn_sym(m, "T", .max = c->context);
  sn_t u = sn_input(m, "u", SN_REAL, (b, t, c->inner)), dt = sn_input(m, "dt", SN_REAL, (b, t, c->inner)), du, ddt;
  sn_t B = sn_input(m, "b", SN_REAL, (b, t, c->state)), C = sn_input(m, "c", SN_REAL, (b, t, c->state));
  sn_t h = sn_input(m, "h", SN_REAL, (b, c->inner, c->state));
  rates p = rates_of(m, c);
  sn_t y = sn_scan(select_scan, "bt", (&h), (u, dt, B, C), .opt = &p);
  sn_grad(sn_sum(sn_square(y), "btd->"), (u, dt), (&du, &ddt));
  sn_output(m, "y", y), sn_output(m, "last", h), sn_output(m, "du", du), sn_output(m, "ddt", ddt);
}

STACK_GRAPHS(s6, layer)
SN_MODEL(s6, s6, train, eval, prefill, decode, core);
