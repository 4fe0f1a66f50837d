/* RWKV-6: o = (S + diag(u) k v')' r, S = diag(w) S + k v': read before it is written, with a bonus u for the present.
 * Peng et al. 2024, eqs. 15 to 19. The decay is by channel, of the input: chunked. */
#include "heads.h"

HEADS_SETTINGS(rwkv6);

static sn_t wkv(sn_t h[], const sn_t x[], const void *opt) {
  sn_t r = x[0], k = x[1], v = x[2], w = x[3], u = x[4], now = sn_einsum("k,v->kv", k, v);
  (void)opt;
  sn_t o = sn_einsum("kv,k->v", sn_add(h[0], sn_einsum("k,kv->kv", u, now)), r);
  h[0] = sn_add(sn_einsum("k,kv->kv", w, h[0]), now);
  return o;
}

/* x_t and x_(t-1), mixed. */
static sn_t mixed(sn_scope m, const char *name, sn_t x, sn_t before) {
  return sn_lerp(x, before, sn_sigmoid(sn_param(m, name, (sn_size(x, 2)), .init = sn_uniform(1))));
}

static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const rwkv6 *c = opt;
  int v = c->width / c->heads, H = c->heads;
  sn_dim T = sn_size(x, 1);
  sn_t last = stack_state(m, "last", carry, (sn_size(x, 0), 1, c->width)), rows = sn_concat(1, last, x);
  sn_t before = sn_slice(rows, 1, 0, T);
  stack_keep(carry, last, sn_slice(rows, 1, sn_dim_value(T), 1));
  sn_t r = heads_of(m, "receptance", mixed(m, "mix_r", x, before), H, c->key);
  sn_t k = heads_of(m, "key", mixed(m, "mix_k", x, before), H, c->key);
  sn_t val = heads_of(m, "value", mixed(m, "mix_v", x, before), H, v);
  sn_t rate =
      sn_affine(m, "decay_out", sn_tanh(sn_linear(m, "decay_in", mixed(m, "mix_w", x, before), 16)), H * c->key);
  sn_t w = sn_rearrange(sn_exp(sn_neg(sn_exp(sn_sub(rate, 1)))), "bt(hk)->bthk", .h = H);
  sn_t u = sn_add(sn_zeros(m, SN_REAL, (sn_size(x, 0), T, H, c->key)),
                  sn_param(m, "bonus", (H, c->key), .init = sn_uniform(1)));
  sn_t S0 = stack_state(m, "S", carry, (sn_size(x, 0), H, c->key, v)), S = S0;
  sn_t y = sn_scan(wkv, "bth", (&S), (r, k, val, w, u));
  stack_keep(carry, S0, S);
  return heads_out(m, x, y, c->width);
}

STACK_GRAPHS(rwkv6, layer)
SN_MODEL(rwkv6, rwkv6, train, eval, prefill, decode);
