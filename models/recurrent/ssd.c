/* Mamba-2: S = exp(dt A) S + dt u B', y = S C + D u, A a number a head. Dao & Gu 2024, section 5 and listing 1.
 * Chunked. */
#include "heads.h"

HEADS_SETTINGS(ssd);

static sn_t select_scan(sn_t h[], const sn_t x[], const void *opt) {
  sn_t u = x[0], dt = x[1], decay = x[2], B = x[3], C = x[4];
  (void)opt;
  h[0] = sn_add(sn_mul(decay, h[0]), sn_einsum("v,k->vk", sn_mul(dt, u), B));
  return sn_einsum("vk,k->v", h[0], C);
}

/* Causal and depthwise, four taps; three rows are remembered. */
static sn_t convolved(sn_scope m, sn_t x, bool carry) {
  sn_dim C = sn_size(x, 2);
  sn_t last = stack_state(m, "last", carry, (sn_size(x, 0), 3, C)), rows = sn_concat(1, last, x);
  stack_keep(carry, last, sn_slice(rows, 1, sn_dim_value(sn_size(x, 1)), 3));
  sn_t w = sn_param(m, "weight", (4, 1, C), .init = sn_uniform(.5)), b = sn_param(m, "bias", (C), .init = sn_fill(0));
  return sn_silu(sn_add(sn_conv1d(rows, w, .groups = C.extent), b));
}

static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const ssd *c = opt;
  int v = c->width / c->heads, inner = c->width, state = c->heads * c->key;
  sn_t all = convolved(sn_in(m, "conv1d"), sn_linear(m, "in_proj", x, inner + 2 * state), carry);
  sn_t u = sn_rearrange(sn_slice(all, 2, 0, inner), "bt(hv)->bthv", .h = c->heads);
  sn_t B = sn_rearrange(sn_slice(all, 2, inner, state), "bt(hk)->bthk", .h = c->heads);
  sn_t C = sn_rearrange(sn_slice(all, 2, inner + state, state), "bt(hk)->bthk", .h = c->heads);
  sn_t dt = sn_softplus(number_of(m, "dt_proj", x, c->heads));
  sn_t A = sn_neg(sn_exp(sn_param(m, "A_log", (c->heads), .init = sn_uniform(1))));
  sn_t D = sn_param(m, "D", (c->heads, 1), .init = sn_fill(1));
  sn_t S0 = stack_state(m, "S", carry, (sn_size(x, 0), c->heads, v, c->key)), S = S0;
  sn_t y = sn_scan(select_scan, "bth", (&S), (u, dt, sn_exp(sn_mul(dt, A)), B, C));
  stack_keep(carry, S0, S);
  return heads_out(m, x, sn_add(y, sn_mul(D, u)), c->width);
}

STACK_GRAPHS(ssd, layer)
SN_MODEL(ssd, ssd, train, eval, prefill, decode);
