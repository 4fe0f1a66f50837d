/* Gated linear attention: S = diag(w) S + k v', o = S' q, w a vector a head. Yang et al. 2023, eqs. 3 and 4.
 * The decay is by channel: chunked, chunks in halves. */
#include "heads.h"

HEADS_SETTINGS(gla);

static sn_t attend(sn_t h[], const sn_t x[], const void *opt) {
  sn_t q = x[0], k = x[1], v = x[2], w = x[3];
  (void)opt;
  h[0] = sn_add(sn_einsum("k,kv->kv", w, h[0]), sn_einsum("k,v->kv", k, v));
  return sn_einsum("kv,k->v", h[0], q);
}

/* Decays near 1: the 16th root of a sigmoid, of two small products. */
static sn_t decays(sn_scope m, sn_t x, int heads, int key) {
  sn_t low = sn_linear(m, "gk_in", x, 16);
  return sn_exp(sn_div(sn_logsigmoid(sn_affine(m, "gk_out", low, heads * key, .heads = heads)), 16));
}

static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const gla *c = opt;
  int v = c->width / c->heads;
  sn_t q = sn_mul(1 / sqrt(c->key), heads_of(m, "q_proj", x, c->heads, c->key));
  sn_t S0 = stack_state(m, "S", carry, (sn_size(x, 0), c->heads, c->key, v)), S = S0;
  sn_t y = sn_scan(attend, "bth", (&S),
                   (q, heads_of(m, "k_proj", x, c->heads, c->key), heads_of(m, "v_proj", x, c->heads, v),
                    decays(m, x, c->heads, c->key)));
  stack_keep(carry, S0, S);
  return heads_out(m, x, y, c->width);
}

STACK_GRAPHS(gla, layer)
SN_MODEL(gla, gla, train, eval, prefill, decode);
