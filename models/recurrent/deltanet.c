/* DeltaNet: what is stored under a key is replaced, S = S (I - b k k') + b v k', o = S q, |k| = 1.
 * Schlag et al. 2021, eqs. 23 to 25; Yang et al. 2024, section 2.2. Low rank: chunked, with a triangular system a
 * chunk. */
#include "heads.h"

SN_SETTINGS(deltanet, HEADS_SIZES, HEADS_RATE);

static sn_t replace(sn_t h[], const sn_t x[], const void *opt) {
  sn_t q = x[0], k = x[1], v = x[2], b = x[3], old = sn_einsum("vk,k->v", h[0], k);
  (void)opt;
  h[0] = sn_add(h[0], sn_einsum("v,k->vk", sn_mul(b, sn_sub(v, old)), k));
  return sn_einsum("vk,k->v", h[0], q);
}

static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const deltanet *c = opt;
  int v = c->width / c->heads;
  sn_t q = sn_l2_norm(sn_silu(heads_of(m, "q_proj", x, c->heads, c->key)), 1e-6);
  sn_t k = sn_l2_norm(sn_silu(heads_of(m, "k_proj", x, c->heads, c->key)), 1e-6);
  sn_t b = sn_mul(c->most, sn_sigmoid(number_of(m, "b_proj", x, c->heads)));
  sn_t S0 = stack_state(m, "S", carry, (sn_size(x, 0), c->heads, v, c->key)), S = S0;
  sn_t y = sn_scan(replace, "bth", (&S), (q, k, sn_silu(heads_of(m, "v_proj", x, c->heads, v)), b));
  stack_keep(carry, S0, S);
  return heads_out(m, x, y, c->width);
}

STACK_GRAPHS(deltanet, layer)
SN_MODEL(deltanet, deltanet, train, eval, prefill, decode);
