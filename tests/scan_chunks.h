/* Recurrences over a matrix state, as users may write them, with gradients by all operands: for the tests of the
 * chunked form. Steps of papers stand in tests/recurrent.h. */
#ifndef SN_TESTS_SCAN_CHUNKS_H
#define SN_TESTS_SCAN_CHUNKS_H

#include <stdio.h>

#include "frontend/build.h"
#include "tests/recurrent.h"

SN_SETTINGS(opts, (int, heads, 2, "heads"), (int, key, 3, "features of a key"), (int, value, 2, "features of a value"),
            (int, steps, 20, "of graphs of one length"));

/* ---- steps ------------------------------------------------------------------------------------------------------ */

/* Two states, a quotient of what is read of them. */
static sn_t normalised(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  h[0] = sn_add(sn_einsum("v,k->vk", x[2], x[1]), h[0]);
  h[1] = sn_add(x[1], h[1]);
  return sn_div(sn_einsum("k,vk->v", x[0], h[0]), sn_add(1, sn_square(sn_einsum("k,k->", x[0], h[1]))));
}

/* A decay a head; the state stands as [k, v]. */
static sn_t retained(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  h[0] = sn_add(sn_einsum("v,k->kv", sn_mul(x[4], x[2]), x[1]), sn_mul(h[0], x[3]));
  return sn_sub(sn_einsum("k,kv->v", x[0], h[0]), x[2]);
}

/* Read before it is written, with a bonus (RWKV-6); any function of what is read. */
static sn_t bonus(sn_t h[], const sn_t x[], const void *opt) {
  sn_t now = sn_einsum("k,v->kv", x[1], x[2]);
  (void)opt;
  sn_t o = sn_einsum("kv,k->v", sn_add(sn_einsum("k,kv->kv", x[4], now), h[0]), x[0]);
  h[0] = sn_add(now, sn_mul(sn_rearrange(x[3], "k->k1"), h[0]));
  return sn_mul(sn_tanh(o), sn_einsum("kv,k->v", h[0], x[1]));
}

/* RWKV-7: a decay by channel, and what stands under one key is removed; signs and sums in another order. */
static sn_t removed(sn_t h[], const sn_t x[], const void *opt) {
  sn_t q = x[0], k = x[1], v = x[2], w = x[3], c = sn_l2_norm(x[4], 1e-6), a = x[5];
  (void)opt;
  sn_t old = sn_einsum("v,k->vk", sn_neg(sn_einsum("k,vk->v", c, h[0])), sn_mul(c, a));
  h[0] = sn_add(sn_add(sn_einsum("v,k->vk", v, k), old), sn_einsum("vk,k->vk", h[0], w));
  return sn_einsum("vk,k->v", h[0], q);
}

/* The delta rule as S - b (S k - v) k' with b divided and captured weights; the input before is a state, too. */
static sn_t corrected(sn_t h[], const sn_t x[], const void *opt) {
  const weights *p = opt;
  sn_t q = x[0], k = sn_softmax(sn_einsum("k,kd->d", x[1], p->w)), v = sn_add(x[2], h[1]), b = x[4];
  sn_t wrong = sn_sub(sn_einsum("vk,k->v", h[0], k), v);
  h[0] = sn_sub(h[0], sn_div(sn_mul(b, sn_einsum("v,k->vk", wrong, k)), 2));
  h[1] = x[2];
  return sn_add(sn_einsum("vk,k->v", h[0], q), p->b);
}

/* The same rules in other words: scaled behind the sum, 1 - w, transposed, several reads, some of the state before, one
 * of them summed to a number. */
static sn_t reworded(sn_t h[], const sn_t x[], const void *opt) {
  sn_t q = x[0], k = x[1], v = x[2], w = x[3], S = sn_rearrange(h[0], "kv->vk"), before = sn_einsum("vk,k->v", S, k);
  (void)opt;
  sn_t kept = sn_sub(S, sn_mul(S, sn_rearrange(w, "k->1k")));
  S = sn_mul(.5, sn_sub(kept, sn_einsum("v,k->vk", sn_sub(sn_mul(.3, before), v), k)));
  h[0] = sn_rearrange(S, "vk->kv");
  sn_t o = sn_sub(sn_sum(sn_mul(S, sn_rearrange(q, "k->1k")), "vk->v"), before);
  return sn_add(o, sn_mul(sn_sin(sn_einsum("vk,k,v->", S, sn_cos(q), v)), v));
}

/* What is added is divided: by a number, by one of the step, by channel. */
static sn_t divided(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  sn_t by = sn_add(2, sn_square(x[4])), now = sn_div(sn_div(sn_einsum("k,v->kv", x[1], x[2]), 8), by);
  sn_t more = sn_div(sn_einsum("v,k->kv", x[2], x[0]), sn_rearrange(sn_add(3, sn_sin(x[1])), "k->k1"));
  h[0] = sn_add(sn_add(sn_mul(h[0], x[3]), now), more);
  return sn_einsum("kv,k->v", h[0], x[0]);
}

/* Not of the form. */
static sn_t squashed(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  h[0] = sn_add(sn_tanh(h[0]), sn_einsum("v,k->vk", x[2], x[1]));
  return sn_einsum("vk,k->v", h[0], x[0]);
}
static sn_t squared(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  h[0] = sn_add(sn_einsum("vd,ud->vu", h[0], h[0]), sn_einsum("v,k->vk", x[2], sn_slice(x[1], 0, 0, sn_size(x[2], 0))));
  return sn_einsum("vk,k->v", h[0], x[2]);
}
static sn_t crossed(sn_t h[], const sn_t x[], const void *opt) {
  sn_t a = sn_einsum("vk,k->v", h[0], x[1]), b = sn_einsum("vk,k->v", h[1], x[1]);
  (void)opt;
  h[0] = sn_add(h[0], sn_einsum("v,k->vk", sn_mul(a, b), x[1]));
  h[1] = sn_add(h[1], sn_einsum("v,k->vk", x[2], x[1]));
  return sn_einsum("vk,k->v", h[0], x[0]);
}
/* A vector for each row, and several vectors at once. */
static sn_t rowwise(sn_t h[], const sn_t x[], const void *opt) {
  const sn_t *w = opt;
  h[0] = sn_add(h[0], sn_einsum("v,k->vk", x[2], x[1]));
  return sn_add(sn_einsum("vk,vk->", h[0], sn_einsum("d,dk->dk", x[2], sn_slice(*w, 0, 0, sn_size(x[2], 0)))), x[2]);
}
static sn_t fanned(sn_t h[], const sn_t x[], const void *opt) {
  const sn_t *w = opt;
  h[0] = sn_add(h[0], sn_einsum("v,k->vk", x[2], x[1]));
  return sn_einsum("vk,kd->vd", h[0], sn_exp(*w));
}
static sn_t mixed_rows(sn_t h[], const sn_t x[], const void *opt) {
  const sn_t *w = opt;
  h[0] = sn_add(sn_einsum("vk,kd->vd", h[0], *w), sn_einsum("v,k->vk", x[2], x[1]));
  return sn_einsum("vk,k->v", h[0], x[0]);
}

/* ---- graphs ----------------------------------------------------------------------------------------------------- */

static sn_t energy(sn_t x) {
  static const char *const spec[] = {"->", "a->", "ab->", "abc->", "abcd->", "abcde->"};
  return sn_sum(sn_mul(x, sn_add(.5, sn_mul(x, sn_tanh(x)))), spec[sn_rank(x)]);
}

/* Outputs y, states s0.., gradients g0.. by what is listed. */
static void outputs(sn_scope m, sn_t y, int states, const sn_t *state, int count, const sn_t *by) {
  sn_t loss = energy(y), g[10], *refs[11] = {0};
  sn_arg list[10];
  char name[8];
  sn_output(m, "y", y);
  for (int i = 0; i < states; i++) {
    snprintf(name, sizeof name, "s%d", i);
    sn_output(m, name, state[i]);
    loss = sn_add(loss, sn_mul(i + 2, energy(state[i])));
  }
  for (int i = 0; i < count; i++) list[i].v = by[i], refs[i] = &g[i];
  sn_grad_at(SN_HERE("outputs()"), loss, (sn_list){count, list}, refs);
  for (int i = 0; i < count; i++) {
    snprintf(name, sizeof name, "g%d", i);
    sn_output(m, name, g[i]);
  }
}

static sn_dim rows(sn_scope m) { return sn_sym(m, "B", .max = 4); }
static sn_t in(sn_scope m, const opts *c, const char *name, int size) {
  return sn_input(m, name, SN_REAL, (rows(m), sn_sym(m, "T", .max = 16384), c->heads, size));
}
static sn_t number(sn_scope m, const opts *c, const char *name) {
  return sn_input(m, name, SN_REAL, (rows(m), sn_sym(m, "T", .max = 16384), c->heads));
}
static sn_t first(sn_scope m, const opts *c, const char *name, int rows_of, int columns) {
  return sn_input(m, name, SN_REAL, (rows(m), c->heads, rows_of, columns));
}

static void qkv(sn_scope m, const opts *c, sn_t *x) {
  x[0] = in(m, c, "q", c->key), x[1] = in(m, c, "k", c->key), x[2] = in(m, c, "v", c->value);
}

static void linear(sn_scope m, const opts *c) {
  sn_t x[5];
  qkv(m, c, x);
  x[3] = first(m, c, "S", c->value, c->key), x[4] = sn_input(m, "n", SN_REAL, (rows(m), c->heads, c->key));
  sn_t h[2] = {x[3], x[4]}, y = sn_scan(normalised, "bth", (&h[0], &h[1]), (x[0], x[1], x[2]));
  outputs(m, y, 2, h, 5, x);
}

static void divides(sn_scope m, const opts *c) {
  sn_t x[6];
  qkv(m, c, x);
  x[3] = number(m, c, "w"), x[4] = number(m, c, "b"), x[5] = first(m, c, "S", c->key, c->value);
  sn_t h = x[5], y = sn_scan(divided, "bth", (&h), (x[0], x[1], x[2], x[3], x[4]));
  outputs(m, y, 1, &h, 6, x);
}

/* Factors as they come: negative, 0 and above 1, too. */
static void scaled(sn_scope m, const opts *c, bool reverse) {
  sn_t x[6];
  qkv(m, c, x);
  x[3] = number(m, c, "w"), x[4] = number(m, c, "b"), x[5] = first(m, c, "S", c->key, c->value);
  sn_t h = x[5], w = sn_relu(x[3]);
  sn_t y = reverse ? sn_scan(retained, "bth", (&h), (x[0], x[1], x[2], w, x[4]), .reverse = true)
                   : sn_scan(retained, "bth", (&h), (x[0], x[1], x[2], x[3], x[4]));
  outputs(m, y, 1, &h, 6, x);
}
static void heads(sn_scope m, const opts *c) { scaled(m, c, false); }
static void backwards(sn_scope m, const opts *c) { scaled(m, c, true); }

static void channels(sn_scope m, const opts *c) {
  sn_t x[6];
  qkv(m, c, x);
  x[3] = in(m, c, "w", c->key), x[4] = in(m, c, "u", c->key), x[5] = first(m, c, "S", c->key, c->value);
  sn_t h = x[5], y = sn_scan(bonus, "bth", (&h), (x[0], x[1], x[2], x[3], x[4]));
  outputs(m, y, 1, &h, 6, x);
}

static void gated(sn_scope m, const opts *c) {
  sn_t x[6];
  qkv(m, c, x);
  x[3] = number(m, c, "a"), x[4] = number(m, c, "b"), x[5] = first(m, c, "S", c->value, c->key);
  sn_t h = x[5], k = sn_l2_norm(x[1], 1e-6);
  sn_t y = sn_scan(delta, "bth", (&h), (x[0], k, x[2], sn_sigmoid(x[3]), sn_sigmoid(x[4])));
  outputs(m, y, 1, &h, 6, x);
}

static void removes(sn_scope m, const opts *c) {
  sn_t x[7];
  qkv(m, c, x);
  x[3] = in(m, c, "w", c->key), x[4] = in(m, c, "c", c->key), x[5] = in(m, c, "a", c->key);
  x[6] = first(m, c, "S", c->value, c->key);
  sn_t h = x[6], y = sn_scan(removed, "bth", (&h), (x[0], x[1], x[2], sn_sigmoid(x[3]), x[4], sn_sigmoid(x[5])));
  outputs(m, y, 1, &h, 7, x);
}

static void corrects(sn_scope m, const opts *c) {
  sn_t x[9];
  qkv(m, c, x);
  x[3] = number(m, c, "w"), x[4] = number(m, c, "b"), x[5] = first(m, c, "S", c->value, c->key);
  x[6] = sn_param(m, "weight", (c->key, c->key), .init = sn_normal(.7));
  x[7] = sn_param(m, "bias", (c->value), .init = sn_normal(.7));
  x[8] = sn_input(m, "before", SN_REAL, (rows(m), c->heads, c->value));
  weights p = {x[6], x[7]};
  sn_t h[2] = {x[5], x[8]}, b = sn_sigmoid(x[4]);
  sn_t y = sn_scan(corrected, "bth", (&h[0], &h[1]), (x[0], x[1], x[2], x[3], b), .opt = &p);
  sn_t by[8] = {x[0], x[1], x[2], x[4], x[5], x[6], x[7], x[8]};
  outputs(m, y, 2, h, 8, by);
}

static void rewords(sn_scope m, const opts *c) {
  sn_t x[5];
  qkv(m, c, x);
  x[3] = in(m, c, "w", c->key), x[4] = first(m, c, "S", c->key, c->value);
  sn_t h = x[4], y = sn_scan(reworded, "bth", (&h), (x[0], x[1], x[2], x[3]));
  outputs(m, y, 1, &h, 5, x);
}

/* Decays from e^-20 to e^-0.000001 by channel. */
static sn_t fading(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  h[0] = sn_add(sn_einsum("k,kv->kv", sn_exp(x[3]), h[0]), sn_einsum("k,v->kv", x[1], x[2]));
  return sn_einsum("kv,k->v", h[0], x[0]);
}
static void decays(sn_scope m, const opts *c) {
  sn_t x[5];
  qkv(m, c, x);
  x[3] = in(m, c, "z", c->key), x[4] = first(m, c, "S", c->key, c->value);
  sn_t h = x[4], w = sn_neg(sn_exp(sn_mul(8, sn_clamp(x[3], -1.727, .374467)))); /* of normal numbers */
  outputs(m, sn_scan(fading, "bth", (&h), (x[0], x[1], x[2], w)), 1, &h, 5, x);
}

/* Gated linear attention, forward only. */
static void reads(sn_scope m, const opts *c) {
  sn_t x[3], S = first(m, c, "S", c->key, c->value), w = sn_sigmoid(in(m, c, "w", c->key));
  qkv(m, c, x);
  sn_output(m, "y", sn_scan(bonus, "bth", (&S), (x[0], x[1], x[2], w, x[1])));
}

/* Queries, keys and values stored as bf16; the state, the decay and what is summed are floats. */
static sn_t widened(sn_t h[], const sn_t x[], const void *opt) {
  sn_t wide[5] = {sn_cast(x[0], SN_REAL), sn_cast(x[1], SN_REAL), sn_cast(x[2], SN_REAL), x[3], x[4]};
  return retained(h, wide, opt);
}
static sn_t stored(sn_scope m, const char *name, int heads, int size) {
  return sn_input(m, name, SN_BF16, (rows(m), sn_sym(m, "T", .max = 16384), heads, size));
}
static void narrow_inputs(sn_scope m, const opts *c) {
  sn_t x[6] = {stored(m, "q", c->heads, c->key),
               stored(m, "k", c->heads, c->key),
               stored(m, "v", c->heads, c->value),
               number(m, c, "w"),
               number(m, c, "b"),
               first(m, c, "S", c->key, c->value)};
  sn_t h = x[5], y = sn_scan(widened, "bth", (&h), (x[0], x[1], x[2], sn_sigmoid(x[3]), x[4]));
  outputs(m, y, 1, &h, 6, x);
}

/* The delta rule; the gradient of the first state by that of the last. */
static void keeps(sn_scope m, const opts *c) {
  sn_t x[3], start = first(m, c, "S", c->value, c->key), S = start, g;
  qkv(m, c, x);
  sn_t y = sn_scan(delta, "bth", (&S), (x[0], x[1], x[2], number(m, c, "w"), number(m, c, "b")));
  sn_output(m, "y", y);
  sn_output(m, "last", S);
  sn_grad(sn_sum(sn_mul(S, first(m, c, "by", c->value, c->key)), "bhvk->"), (start), (&g));
  sn_output(m, "g", g);
}

/* ---- steps that are refused ------------------------------------------------------------------------------------- */

static void refused_tanh(sn_scope m, const opts *c) {
  sn_t x[3], h = first(m, c, "S", c->value, c->key);
  qkv(m, c, x);
  sn_output(m, "y", sn_scan(squashed, "bth", (&h), (x[0], x[1], x[2])));
}
static void refused_square(sn_scope m, const opts *c) {
  sn_t x[3], h = first(m, c, "S", c->value, c->value);
  qkv(m, c, x);
  sn_output(m, "y", sn_scan(squared, "bth", (&h), (x[0], x[1], x[2])));
}
static void refused_reads(sn_scope m, const opts *c) {
  sn_t x[3], h = first(m, c, "S", c->value, c->key), g = first(m, c, "G", c->value, c->key);
  qkv(m, c, x);
  sn_output(m, "y", sn_scan(crossed, "bth", (&h, &g), (x[0], x[1], x[2])));
}
static void refused_matrix(sn_scope m, const opts *c) {
  sn_t x[3], h = first(m, c, "S", c->value, c->key), w = sn_param(m, "w", (c->key, c->key), .init = sn_normal(.5));
  qkv(m, c, x);
  sn_output(m, "y", sn_scan(mixed_rows, "bth", (&h), (x[0], x[1], x[2]), .opt = &w));
}

static void refused_rows(sn_scope m, const opts *c) {
  sn_t x[3], h = first(m, c, "S", c->value, c->key), w = sn_param(m, "w", (c->key, c->key), .init = sn_normal(.5));
  qkv(m, c, x);
  sn_output(m, "y", sn_scan(rowwise, "bth", (&h), (x[0], x[1], x[2]), .opt = &w));
}
static void refused_fan(sn_scope m, const opts *c) {
  sn_t x[3], h = first(m, c, "S", c->value, c->key), w = sn_param(m, "w", (c->key, c->key), .init = sn_normal(.5));
  qkv(m, c, x);
  sn_output(m, "y", sn_scan(fanned, "bth", (&h), (x[0], x[1], x[2]), .opt = &w));
}

SN_MODEL(chunks, opts, linear, heads, backwards, channels, gated, removes, corrects, rewords, divides, decays, keeps,
         reads, narrow_inputs, refused_rows, refused_fan, refused_tanh, refused_square, refused_reads, refused_matrix);

#endif
