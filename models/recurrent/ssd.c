/* Mamba-2: S = exp(dt A) S + dt u B', y = S C + D u, A a number a head. Dao & Gu 2024, section 5 and listing 1.
 * Chunked. */
#include "heads.h"

/* clang-format off */
SN_SETTINGS(ssd, HEADS_SIZES,
  (int, inner,  0, "channels of the scan, all heads; 0: twice the width", .max = 1 << 24),
  (int, groups, 1, "sets of B and C, shared by heads", SN_SIZE));
/* clang-format on */

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

/* x [B, T, groups * key] -> [B, T, heads, key], the same for all heads of a group. */
static sn_t shared(sn_scope m, sn_t x, const ssd *c) {
  int each = c->heads / c->groups;
  sn_t all = sn_zeros(m, SN_REAL, (sn_size(x, 0), sn_size(x, 1), c->groups, each, c->key));
  return sn_rearrange(sn_add(all, sn_rearrange(x, "bt(gk)->btg1k", .g = c->groups)), "btgek->bt(ge)k");
}

/* in_proj to z, u, B, C and dt, causal convolution of u, B, C, the scan, the norm of what z gates, out_proj. */
static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const ssd *c = opt;
  int inner = c->inner ? c->inner : 2 * c->width, state = c->groups * c->key, H = c->heads;
  sn_t z = sn_linear(m, "z_proj", x, inner), dt = sn_softplus(number_of(m, "dt_proj", x, H));
  sn_t all = convolved(sn_in(m, "conv1d"), sn_linear(m, "in_proj", x, inner + 2 * state), carry);
  sn_t u = sn_rearrange(sn_slice(all, 2, 0, inner), "bt(hv)->bthv", .h = H);
  sn_t B = shared(m, sn_slice(all, 2, inner, state), c), C = shared(m, sn_slice(all, 2, inner + state, state), c);
  sn_t A = sn_neg(sn_exp(sn_param(m, "A_log", (H), .init = sn_uniform(1))));
  sn_t D = sn_param(m, "D", (H, 1), .init = sn_fill(1));
  sn_t S0 = stack_state(m, "S", carry, (sn_size(x, 0), H, inner / H, c->key)), S = S0;
  sn_t y = sn_scan(select_scan, "bth", (&S), (u, dt, sn_exp(sn_mul(dt, A)), B, C));
  stack_keep(carry, S0, S);
  y = sn_mul(sn_merge(sn_add(y, sn_mul(D, u))), sn_silu(z));
  return sn_linear(m, "out_proj", sn_rmsnorm(m, "o_norm", y), c->width);
}

STACK_GRAPHS(ssd, layer)
SN_MODEL(ssd, ssd, train, eval, prefill, decode);
