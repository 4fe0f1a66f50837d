/* RetNet: S = gamma S + v k', o = S q, gamma = 1 - 2^(-5 - head), queries and keys rotated by their positions.
 * Sun et al. 2023, eqs. 6 and 8. The decay is a number a head: chunked. */
#include "heads.h"

HEADS_SETTINGS(retnet);

static sn_t retain(sn_t h[], const sn_t x[], const void *opt) {
  sn_t q = x[0], k = x[1], v = x[2], gamma = x[3];
  (void)opt;
  h[0] = sn_add(sn_mul(gamma, h[0]), sn_einsum("v,k->vk", v, k));
  return sn_einsum("vk,k->v", h[0], q);
}

/* 1 - 2^(-5 - head), the same for every step. */
static sn_t decays(sn_scope m, sn_t x, int heads) {
  sn_t h = sn_cast(sn_arange(m, heads), SN_REAL), gamma = sn_sub(1, sn_exp(sn_mul(-log(2), sn_add(5, h))));
  return sn_add(gamma, sn_zeros(m, SN_REAL, (sn_size(x, 0), sn_size(x, 1), heads)));
}

static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const retnet *c = opt;
  int v = c->width / c->heads;
  sn_t seen = carry ? sn_state(m, "seen", (sn_size(x, 0)), .dtype = SN_I32) : sn_zeros(m, SN_I32, (sn_size(x, 0)));
  sn_t at = sn_add(sn_rearrange(seen, "b->b1"), sn_arange(m, sn_size(x, 1)));
  stack_keep(carry, seen, sn_add(seen, sn_dim_value(sn_size(x, 1))));
  sn_t q = sn_rope(heads_of(m, "q_proj", x, c->heads, c->key), at);
  sn_t k = sn_rope(heads_of(m, "k_proj", x, c->heads, c->key), at);
  sn_t S0 = stack_state(m, "S", carry, (sn_size(x, 0), c->heads, v, c->key)), S = S0;
  sn_t y = sn_scan(retain, "bth", (&S),
                   (q, sn_mul(1 / sqrt(c->key), k), heads_of(m, "v_proj", x, c->heads, v), decays(m, x, c->heads)));
  stack_keep(carry, S0, S);
  return heads_out(m, x, y, c->width);
}

STACK_GRAPHS(retnet, layer)
SN_MODEL(retnet, retnet, train, eval, prefill, decode);
