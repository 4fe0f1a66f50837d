/* Recurrences over a matrix a head and nothing else: all steps, with the gradients by all inputs, and one step on a
 * state that goes on. See recurrent.sh. */
#include "sinter.h"
SN_SETTINGS(opts, (int, heads, 8, "heads"), (int, key, 64, "features of a key"),
            (int, value, 64, "features of a value"), (int, steps, 8192, "most"));

static sn_t retain(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  h[0] = sn_add(sn_mul(x[3], h[0]), sn_einsum("v,k->vk", x[2], x[1]));
  return sn_einsum("vk,k->v", h[0], x[0]);
}
static sn_t add_up(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  h[0] = sn_add(h[0], sn_einsum("v,k->vk", x[2], x[1]));
  return sn_einsum("vk,k->v", h[0], x[0]);
}
static sn_t gated(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  h[0] = sn_add(sn_einsum("k,kv->kv", x[3], h[0]), sn_einsum("k,v->kv", x[1], x[2]));
  return sn_einsum("kv,k->v", h[0], x[0]);
}
static sn_t wkv6(sn_t h[], const sn_t x[], const void *opt) {
  sn_t r = x[0], k = x[1], v = x[2], w = x[3], u = x[4], now = sn_einsum("k,v->kv", k, v);
  (void)opt;
  sn_t o = sn_einsum("kv,k->v", sn_add(h[0], sn_einsum("k,kv->kv", u, now)), r);
  h[0] = sn_add(sn_einsum("k,kv->kv", w, h[0]), now);
  return o;
}
static sn_t replace(sn_t h[], const sn_t x[], const void *opt) {
  sn_t q = x[0], k = x[1], v = x[2], b = x[3], old = sn_einsum("vk,k->v", h[0], k);
  (void)opt;
  h[0] = sn_add(h[0], sn_einsum("v,k->vk", sn_mul(b, sn_sub(v, old)), k));
  return sn_einsum("vk,k->v", h[0], q);
}
static sn_t replace_gated(sn_t h[], const sn_t x[], const void *opt) {
  sn_t q = x[0], k = x[1], v = x[2], a = x[3], b = x[4], kept = sn_mul(a, h[0]);
  (void)opt;
  h[0] = sn_add(kept, sn_einsum("v,k->vk", sn_mul(b, sn_sub(v, sn_einsum("vk,k->v", kept, k))), k));
  return sn_einsum("vk,k->v", h[0], q);
}
static sn_t wkv7(sn_t h[], const sn_t x[], const void *opt) {
  sn_t r = x[0], k = x[1], v = x[2], w = x[3], c = x[4], a = x[5];
  (void)opt;
  sn_t removed = sn_einsum("v,k->vk", sn_einsum("vk,k->v", h[0], c), sn_mul(c, a));
  h[0] = sn_add(sn_sub(sn_mul(h[0], w), removed), sn_einsum("v,k->vk", v, k));
  return sn_einsum("vk,k->v", h[0], r);
}
enum { ALL, GRADIENTS, STEP };
typedef struct graph {
  sn_scope m;
  const opts *c;
  int what;
} graph;

static sn_dim steps(const graph *g) { return g->what == STEP ? sn_dim_of(1) : sn_sym(g->m, "T", .max = g->c->steps); }
static sn_t in(const graph *g, const char *name, int size) {
  return sn_input(g->m, name, SN_REAL, (sn_sym(g->m, "B", .max = 64), steps(g), g->c->heads, size));
}
static sn_t number(const graph *g, const char *name) {
  return sn_sigmoid(sn_input(g->m, name, SN_REAL, (sn_sym(g->m, "B", .max = 64), steps(g), g->c->heads)));
}
static sn_t first(const graph *g, int rows, int columns) {
  sn_dim B = sn_sym(g->m, "B", .max = 64);
  if (g->what == STEP) return sn_state(g->m, "S", (B, g->c->heads, rows, columns));
  return sn_zeros(g->m, SN_REAL, (B, g->c->heads, rows, columns));
}

enum { LINEAR, RETNET, GLA, RWKV6, DELTA, GDELTA, RWKV7 };
static void make(sn_scope m, const opts *c, int kind, int what) {
  const graph of = {m, c, what}, *g = &of;
  sn_t q = in(g, "q", c->key), k = in(g, "k", c->key), v = in(g, "v", c->value), y = q;
  bool kv = kind == GLA || kind == RWKV6;
  sn_t S0 = first(g, kv ? c->key : c->value, kv ? c->value : c->key), S = S0;
  sn_t w = q, u = q, a = q;
  sn_arg list[6] = {{.v = q}, {.v = k}, {.v = v}};
  sn_t d[6], *refs[7] = {&d[0], &d[1], &d[2], &d[3], &d[4], &d[5]};
  int n = 3;
  if (kind == LINEAR) y = sn_scan(add_up, "bth", (&S), (q, k, v));
  if (kind == RETNET) list[n++].v = w = number(g, "w"), y = sn_scan(retain, "bth", (&S), (q, k, v, w));
  if (kind == GLA) list[n++].v = w = sn_sigmoid(in(g, "w", c->key)), y = sn_scan(gated, "bth", (&S), (q, k, v, w));
  if (kind == RWKV6) {
    list[n++].v = w = sn_sigmoid(in(g, "w", c->key)), list[n++].v = u = in(g, "u", c->key);
    y = sn_scan(wkv6, "bth", (&S), (q, k, v, w, u));
  }
  if (kind == DELTA) list[n++].v = w = number(g, "b"), y = sn_scan(replace, "bth", (&S), (q, k, v, w));
  if (kind == GDELTA) {
    list[n++].v = w = number(g, "a"), list[n++].v = u = number(g, "b");
    y = sn_scan(replace_gated, "bth", (&S), (q, k, v, w, u));
  }
  if (kind == RWKV7) {
    list[n++].v = w = sn_sigmoid(in(g, "w", c->key)), list[n++].v = u = in(g, "c", c->key);
    list[n++].v = a = sn_sigmoid(in(g, "a", c->key));
    y = sn_scan(wkv7, "bth", (&S), (q, k, v, w, u, a));
  }
  sn_output(m, "y", y);
  if (what == STEP) sn_update(S0, S);
  if (what != STEP) sn_output(m, "S", S);
  if (what != GRADIENTS) return;
  refs[n] = NULL;
  sn_grad_at(SN_HERE("gradients"), sn_sum(sn_mul(y, in(g, "dy", c->value)), "abcd->"), (sn_list){n, list}, refs);
  static const char *const name[] = {"g0", "g1", "g2", "g3", "g4", "g5"};
  for (int i = 0; i < n; i++) sn_output(m, name[i], d[i]);
}

#define GRAPHS(name, KIND)                                                       \
  static void name(sn_scope m, const opts *c) { make(m, c, KIND, ALL); }         \
  static void name##_step(sn_scope m, const opts *c) { make(m, c, KIND, STEP); } \
  static void name##_gradients(sn_scope m, const opts *c) { make(m, c, KIND, GRADIENTS); }
GRAPHS(linear, LINEAR)
GRAPHS(retnet, RETNET)
GRAPHS(gla, GLA)
GRAPHS(rwkv6, RWKV6)
GRAPHS(deltanet, DELTA)
GRAPHS(gated_deltanet, GDELTA)
GRAPHS(rwkv7, RWKV7)
SN_MODEL(recurrent, opts, linear, linear_step, linear_gradients, retnet, retnet_step, retnet_gradients, gla, gla_step,
         gla_gradients, rwkv6, rwkv6_step, rwkv6_gradients, deltanet, deltanet_step, deltanet_gradients, gated_deltanet,
         gated_deltanet_step, gated_deltanet_gradients, rwkv7, rwkv7_step, rwkv7_gradients);
