/* RWKV-4: per channel wkv = (sum e^(k_i - (t-1-i) w) v_i + e^(u + k_t) v_t) / (the same without v), o = W(sigmoid(r)
 * wkv). Peng et al. 2023, eq. 16. Numerator and denominator are kept relative to a running maximum p, so that k may be
 * of any size; that maximum is no affine function of the states: sequential. */
#include "stack.h"

/* clang-format off */
SN_SETTINGS(rwkv4,
  (int, layers,  2,   "blocks", .max = 4096),
  (int, width,   64,  "channels", SN_SIZE),
  (int, context, 256, "longest sequence", SN_SIZE),
  (int, vocab,   256, "tokens", SN_SIZE));
/* clang-format on */

#define LEAST -1e4 /* the maximum of nothing: far below any k */

typedef struct {
  sn_t w, u; /* decay per step, bonus of the present */
} rates;

/* States: numerator a and denominator b, both times e^-p, and p. */
static sn_t wkv(sn_t h[], const sn_t x[], const void *opt) {
  const rates *r = opt;
  sn_t k = x[0], v = x[1], a = h[0], b = h[1], p = h[2];
  sn_t now = sn_add(r->u, k), q = sn_max(p, now), old = sn_exp(sn_sub(p, q)), new = sn_exp(sn_sub(now, q));
  sn_t y = sn_div(sn_add(sn_mul(old, a), sn_mul(new, v)), sn_add(sn_mul(old, b), new));
  sn_t faded = sn_sub(p, r->w);
  h[2] = sn_max(faded, k);
  old = sn_exp(sn_sub(faded, h[2])), new = sn_exp(sn_sub(k, h[2]));
  h[0] = sn_add(sn_mul(old, a), sn_mul(new, v));
  h[1] = sn_add(sn_mul(old, b), new);
  return y;
}

static rates rates_of(sn_scope m, const rwkv4 *c) {
  return (rates){sn_exp(sn_param(m, "time_decay", (c->width), .init = sn_uniform(2))),
                 sn_param(m, "time_first", (c->width), .init = sn_uniform(1))};
}

/* mu x_t + (1 - mu) x_(t-1) */
static sn_t shifted(sn_scope m, const char *name, sn_t x, sn_t before) {
  sn_t mu = sn_sigmoid(sn_param(m, name, (sn_size(x, 2)), .init = sn_uniform(1)));
  return sn_lerp(before, x, mu);
}

static sn_t layer(sn_scope m, sn_t x, bool carry, const void *opt) {
  const rwkv4 *c = opt;
  sn_dim B = sn_size(x, 0), T = sn_size(x, 1);
  sn_t last = stack_state(m, "x", carry, (B, 1, c->width)), rows = sn_concat(1, last, x);
  sn_t before = sn_slice(rows, 1, 0, T);
  stack_keep(carry, last, sn_slice(rows, 1, sn_dim_value(T), 1));
  sn_t k = sn_linear(m, "key", shifted(m, "mix_k", x, before), c->width);
  sn_t v = sn_linear(m, "value", shifted(m, "mix_v", x, before), c->width);
  sn_t r = sn_linear(m, "receptance", shifted(m, "mix_r", x, before), c->width);
  rates p = rates_of(m, c);
  sn_t a0 = stack_state(m, "a", carry, (B, c->width)), a = a0, b0 = stack_state(m, "b", carry, (B, c->width)), b = b0;
  sn_t p0 = carry ? sn_state(m, "p", (B, c->width), .init = sn_fill(LEAST)) : sn_add(a0, LEAST), q = p0;
  sn_t y = sn_scan(wkv, "bt", (&a, &b, &q), (k, v), .opt = &p);
  stack_keep(carry, a0, a), stack_keep(carry, b0, b), stack_keep(carry, p0, q);
  return sn_linear(m, "output", sn_mul(sn_sigmoid(r), y), c->width);
}

/* The recurrence alone. */
static void core(sn_scope m, const rwkv4 *c) {
  sn_dim B = sn_sym(m, "B", .max = 1024), T = sn_sym(m, "T", .max = c->context);
  sn_t k = sn_input(m, "k", SN_REAL, (B, T, c->width)), v = sn_input(m, "v", SN_REAL, (B, T, c->width));
  sn_t a = sn_zeros(m, SN_REAL, (B, c->width)), b = a, p = sn_add(a, LEAST), dk, dv;
  rates r = rates_of(m, c);
  sn_t y = sn_scan(wkv, "bt", (&a, &b, &p), (k, v), .opt = &r);
  sn_grad(sn_sum(sn_square(y), "btd->"), (k, v), (&dk, &dv));
  sn_output(m, "y", y), sn_output(m, "dk", dk), sn_output(m, "dv", dv);
}

STACK_GRAPHS(rwkv4, layer)
SN_MODEL(rwkv4, rwkv4, train, eval, prefill, decode, core);
