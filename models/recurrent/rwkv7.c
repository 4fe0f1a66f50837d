/* RWKV-7: S = S (diag(w) - c (c a)') + v k', o = S r: c the normalised key that is removed, a how much of it, k the key
 * that is written. Peng et al. 2025, eqs. 4 to 19. A decay by channel and low rank: chunked. */
#include "heads.h"

SN_SETTINGS(rwkv7, HEADS_SIZES, HEADS_RATE);

static sn_t wkv(sn_t h[], const sn_t x[], const void *opt) {
  sn_t r = x[0], k = x[1], v = x[2], w = x[3], c = x[4], a = x[5];
  (void)opt;
  sn_t removed = sn_einsum("v,k->vk", sn_einsum("vk,k->v", h[0], c), sn_mul(c, a));
  h[0] = sn_add(sn_sub(sn_mul(h[0], w), removed), sn_einsum("v,k->vk", v, k));
  return sn_einsum("vk,k->v", h[0], r);
}

static sn_t mixed(sn_scope m, const char *name, sn_t x, sn_t before) {
  return sn_lerp(x, before, sn_sigmoid(sn_param(m, name, (sn_size(x, 2)), .init = sn_uniform(1))));
}

static sn_t by_head(sn_scope m, const char *name, const rwkv7 *c, double bound) {
  return sn_param(m, name, (c->heads, c->key), .init = sn_uniform(bound));
}

static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const rwkv7 *c = opt;
  int v = c->width / c->heads, H = c->heads, K = c->key;
  sn_dim T = sn_size(x, 1);
  sn_t last = stack_state(m, "last", carry, (sn_size(x, 0), 1, c->width)), rows = sn_concat(1, last, x);
  sn_t before = sn_slice(rows, 1, 0, T);
  stack_keep(carry, last, sn_slice(rows, 1, sn_dim_value(T), 1));
  sn_t r = heads_of(m, "receptance", mixed(m, "mix_r", x, before), H, K);
  sn_t k = heads_of(m, "key", mixed(m, "mix_k", x, before), H, K);
  sn_t val = heads_of(m, "value", mixed(m, "mix_v", x, before), H, v);
  sn_t rate = sn_affine(m, "w_out", sn_tanh(sn_linear(m, "w_in", mixed(m, "mix_w", x, before), 16)), H * K, .heads = H);
  sn_t a = sn_sigmoid(sn_affine(m, "a_out", sn_linear(m, "a_in", mixed(m, "mix_a", x, before), 16), H * K, .heads = H));
  sn_t w = sn_exp(sn_mul(-exp(-.5), sn_sigmoid(rate))); /* in (0.545, 1) */
  sn_t removed = sn_l2_norm(sn_mul(k, by_head(m, "removal", c, 1)), 1e-6);
  sn_t written = sn_mul(k, sn_add(1, sn_mul(sn_sub(a, 1), by_head(m, "mix_written", c, 1))));
  sn_t S0 = stack_state(m, "S", carry, (sn_size(x, 0), H, v, K)), S = S0;
  sn_t y = sn_scan(wkv, "bth", (&S), (r, written, val, w, removed, sn_mul(c->most, a)));
  stack_keep(carry, S0, S);
  sn_t bonus = sn_einsum("bthk,bthk,hk->bth", r, written, by_head(m, "bonus", c, 1));
  y = sn_add(y, sn_mul(sn_rearrange(bonus, "bth->bth1"), val));
  return heads_out(m, x, y, c->width);
}

STACK_GRAPHS(rwkv7, layer)
SN_MODEL(rwkv7, rwkv7, train, eval, prefill, decode);
