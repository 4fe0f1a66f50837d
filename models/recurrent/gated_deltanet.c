/* Gated DeltaNet: S = a S (I - b k k') + b v k', o = S q, a and b numbers a head. Yang et al. 2024, eq. 10.
 * A decay and low rank: chunked. */
#include "heads.h"

HEADS_SETTINGS(gated_deltanet);

static sn_t replace(sn_t h[], const sn_t x[], const void *opt) {
  sn_t q = x[0], k = x[1], v = x[2], a = x[3], b = x[4], kept = sn_mul(a, h[0]);
  (void)opt;
  h[0] = sn_add(kept, sn_einsum("v,k->vk", sn_mul(b, sn_sub(v, sn_einsum("vk,k->v", kept, k))), k));
  return sn_einsum("vk,k->v", h[0], q);
}

/* As Mamba-2: exp(-exp(A) softplus(x)). */
static sn_t decays(sn_scope m, sn_t x, int heads) {
  sn_t A = sn_exp(sn_param(m, "A_log", (heads), .init = sn_uniform(1)));
  return sn_exp(sn_neg(sn_mul(A, sn_softplus(number_of(m, "a_proj", x, heads)))));
}

static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const gated_deltanet *c = opt;
  int v = c->width / c->heads;
  sn_t q = sn_l2_norm(sn_silu(heads_of(m, "q_proj", x, c->heads, c->key)), 1e-6);
  sn_t k = sn_l2_norm(sn_silu(heads_of(m, "k_proj", x, c->heads, c->key)), 1e-6);
  sn_t b = sn_sigmoid(number_of(m, "b_proj", x, c->heads));
  sn_t S0 = stack_state(m, "S", carry, (sn_size(x, 0), c->heads, v, c->key)), S = S0;
  sn_t y =
      sn_scan(replace, "bth", (&S), (q, k, sn_silu(heads_of(m, "v_proj", x, c->heads, v)), decays(m, x, c->heads), b));
  stack_keep(carry, S0, S);
  return heads_out(m, x, y, c->width);
}

STACK_GRAPHS(gated_deltanet, layer)
SN_MODEL(gated_deltanet, gated_deltanet, train, eval, prefill, decode);
