/* Linear attention with phi(x) = elu(x) + 1: S = S + v phi(k)', n = n + phi(k), o = S phi(q) / (n phi(q)).
 * Katharopoulos et al. 2020, eqs. 16 to 20. Two states, the second a vector: chunked. */
#include "heads.h"

HEADS_SETTINGS(linear);

static sn_t attend(sn_t h[], const sn_t x[], const void *opt) {
  sn_t q = x[0], k = x[1], v = x[2];
  (void)opt;
  h[0] = sn_add(h[0], sn_einsum("v,k->vk", v, k));
  h[1] = sn_add(h[1], k);
  return sn_div(sn_einsum("vk,k->v", h[0], q), sn_add(sn_einsum("k,k->", h[1], q), 1e-6));
}

static sn_t feature(sn_t x) { return sn_add(sn_elu(x, 1), 1); }

static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const linear *c = opt;
  int v = c->width / c->heads;
  sn_t q = feature(heads_of(m, "q_proj", x, c->heads, c->key)), k = feature(heads_of(m, "k_proj", x, c->heads, c->key));
  sn_t S0 = stack_state(m, "S", carry, (sn_size(x, 0), c->heads, v, c->key)), S = S0;
  sn_t n0 = stack_state(m, "n", carry, (sn_size(x, 0), c->heads, c->key)), n = n0;
  sn_t y = sn_scan(attend, "bth", (&S, &n), (q, k, heads_of(m, "v_proj", x, c->heads, v)));
  stack_keep(carry, S0, S), stack_keep(carry, n0, n);
  return sn_linear(m, "o_proj", sn_merge(y), c->width);
}

STACK_GRAPHS(linear, layer)
SN_MODEL(linear, linear, train, eval, prefill, decode);
