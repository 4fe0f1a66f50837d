/* Recurrences that have other forms than the walk step by step, and one that has none, with gradients by all operands:
 * for the tests of forms. */
#ifndef SN_TESTS_SCAN_FORMS_H
#define SN_TESTS_SCAN_FORMS_H

#include <math.h>
#include <stdio.h>

#include "frontend/build.h"
#include "frontend/sinter.h"

SN_SETTINGS(opts, (int, width, 3, "features"), (int, states, 2, "states of a feature"),
            (int, still, 8, "steps before there is a state"));

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* One number a head; the factor is of the input, the output any function. */
static sn_t gated(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  h[0] = sn_sub(x[1], sn_mul(sn_neg(sn_sigmoid(x[0])), h[0]));
  return sn_mul(sn_tanh(h[0]), x[1]);
}

/* Mamba: captured rates, a matrix of states, contractions that multiply. */
static sn_t selective(sn_t h[], const sn_t x[], const void *opt) {
  const sn_t *a = opt;
  sn_t decay = sn_exp(sn_neg(sn_einsum("d,dn->dn", sn_softplus(x[0]), sn_exp(*a))));
  h[0] = sn_add(sn_einsum("dn,dn->dn", decay, h[0]), sn_einsum("d,n->dn", x[1], x[2]));
  return sn_einsum("dn,n->d", h[0], x[3]);
}

/* Complex numbers: two states that take part in each other. */
static sn_t turning(sn_t h[], const sn_t x[], const void *opt) {
  const sn_t *a = opt;
  sn_t re = h[0], size = sn_mul(.9, sn_cos(*a)), turn = sn_mul(.9, sn_sin(*a));
  h[0] = sn_add(sn_sub(sn_mul(size, re), sn_mul(turn, h[1])), x[0]);
  h[1] = sn_add(sn_mul(size, h[1]), sn_mul(turn, re));
  return sn_mul(re, h[1]);
}

/* A chain: the second sees the first's next value, the third counts, the fourth is the input before. */
static sn_t chain(sn_t h[], const sn_t x[], const void *opt) {
  const sn_t *a = opt;
  sn_t before = h[3];
  h[0] = sn_lerp(x[0], h[0], sn_sigmoid(*a));
  h[1] = sn_where(sn_gt(x[0], 1), x[0], sn_div(sn_add(h[1], h[0]), 2));
  h[2] = sn_add(h[2], 1);
  h[3] = x[0];
  return sn_add(sn_mul(sn_square(h[1]), before), sn_cast(h[2], SN_REAL));
}

/* No form but the walk: the state is squashed. */
static sn_t squashed(sn_t h[], const sn_t x[], const void *opt) {
  const sn_t *a = opt;
  return h[0] = sn_tanh(sn_add(sn_einsum("i,ij->j", h[0], *a), x[0]));
}

/* ---- graphs ------------------------------------------------------------------------------------------------------ */

static sn_t energy(sn_t x) {
  static const char *const spec[] = {"->", "a->", "ab->", "abc->", "abcd->", "abcde->"};
  return sn_sum(sn_mul(x, sn_add(.5, sn_mul(x, sn_tanh(x)))), spec[sn_rank(x)]);
}

/* Outputs y, states s0.., gradients g0.. by what is listed. */
static void outputs(sn_scope m, sn_t y, int states, const sn_t *state, int count, const sn_t *by) {
  sn_t loss = energy(y), g[8], *refs[9] = {0};
  sn_arg list[8];
  char name[8];
  sn_output(m, "y", y);
  for (int i = 0; i < states; i++) {
    snprintf(name, sizeof name, "s%d", i);
    sn_output(m, name, state[i]);
    if (i != 2) loss = sn_add(loss, sn_mul(i + 2, energy(state[i])));
  }
  for (int i = 0; i < count; i++) list[i].v = by[i], refs[i] = &g[i];
  sn_grad_at(SN_HERE("outputs()"), loss, (sn_list){count, list}, refs);
  for (int i = 0; i < count; i++) {
    snprintf(name, sizeof name, "g%d", i);
    sn_output(m, name, g[i]);
  }
}

static sn_t in(sn_scope m, const char *name, int width) {
  return sn_input(m, name, SN_REAL, (sn_sym(m, "B", .max = 4), sn_sym(m, "T", .max = 16384), width));
}
static sn_t first(sn_scope m, const char *name, int width) {
  return sn_input(m, name, SN_REAL, (sn_sym(m, "B", .max = 4), width));
}

static void heads(sn_scope m, const opts *c, bool reverse) {
  sn_t x[4] = {in(m, "f", c->width), in(m, "x", c->width), first(m, "h", c->width)}, h = x[2];
  sn_t y =
      reverse ? sn_scan(gated, "bth", (&h), (x[0], x[1]), .reverse = true) : sn_scan(gated, "bth", (&h), (x[0], x[1]));
  outputs(m, y, 1, &h, 3, x);
}
static void forwards(sn_scope m, const opts *c) { heads(m, c, false); }
static void backwards(sn_scope m, const opts *c) { heads(m, c, true); }

static void mamba(sn_scope m, const opts *c) {
  sn_t x[6] = {in(m, "dt", c->width), in(m, "u", c->width), in(m, "B", c->states), in(m, "C", c->states)};
  x[4] = sn_param(m, "A", (c->width, c->states), .init = sn_uniform(1));
  x[5] = sn_input(m, "h", SN_REAL, (sn_sym(m, "B", .max = 4), c->width, c->states));
  sn_t h = x[5], y = sn_scan(selective, "bt", (&h), (x[0], x[1], x[2], x[3]), .opt = &x[4]);
  outputs(m, y, 1, &h, 6, x);
}

static void turns(sn_scope m, const opts *c) {
  sn_t x[4] = {in(m, "x", c->width), sn_param(m, "a", (c->width), .init = sn_uniform(2)), first(m, "re", c->width),
               first(m, "im", c->width)};
  sn_t h[2] = {x[2], x[3]}, y = sn_scan(turning, "bt", (&h[0], &h[1]), (x[0]), .opt = &x[1]);
  outputs(m, y, 2, h, 4, x);
}

static void chains(sn_scope m, const opts *c) {
  sn_t x[4] = {in(m, "x", c->width), sn_param(m, "a", (c->width), .init = sn_uniform(2)), first(m, "h", c->width),
               first(m, "g", c->width)};
  sn_t h[4] = {x[2], x[3], sn_zeros(m, SN_I32, (sn_sym(m, "B", .max = 4), c->width)), sn_mul(2, x[2])};
  sn_t y = sn_scan(chain, "bt", (&h[0], &h[1], &h[2], &h[3]), (x[0]), .opt = &x[1]);
  outputs(m, y, 4, h, 4, x);
}

static void cells(sn_scope m, const opts *c) {
  sn_t x[3] = {in(m, "x", c->width), sn_param(m, "w", (c->width, c->width), .init = sn_normal(.7)),
               first(m, "h", c->width)};
  sn_t h = x[2], y = sn_scan(squashed, "bt", (&h), (x[0]), .opt = &x[1]);
  outputs(m, y, 1, &h, 3, x);
}

/* Decays from e^-20 to e^-0.000001, as their logarithms. */
static sn_t fading(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  return h[0] = sn_add(sn_mul(sn_exp(x[0]), h[0]), x[1]);
}
static void decays(sn_scope m, const opts *c) {
  sn_t x[3] = {in(m, "z", c->width), in(m, "x", c->width), first(m, "h", c->width)}, h = x[2];
  sn_t w = sn_neg(sn_exp(sn_mul(8, sn_clamp(x[0], -2, .374467)))); /* of normal numbers */
  outputs(m, sn_scan(fading, "bt", (&h), (w, x[1])), 1, &h, 3, x);
}

/* The value seen last; none yet is minus infinity. Where there was none, the first step sees 1. */
static sn_t seen(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  return h[0] = sn_where(sn_gt(x[1], 0), x[0], h[0]);
}
static void lasts(sn_scope m, const opts *c) {
  sn_t x[2] = {in(m, "x", c->width), first(m, "h", c->width)}, none = sn_le(x[1], 0),
       h = sn_where(none, -INFINITY, x[1]);
  sn_t open = sn_rearrange(sn_cast(none, SN_REAL), "bd->b1d"),
       one = sn_zeros(m, SN_REAL, (sn_sym(m, "B", .max = 4), 1, c->width));
  open = sn_concat(1, open, in(m, "f", c->width));
  outputs(m, sn_scan(seen, "btd", (&h), (sn_concat(1, sn_add(one, 1), x[0]), open)), 1, &h, 2, x);
}

/* Factors whose product is no number, while the state is 0; then others. */
static sn_t scaled(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  return h[0] = sn_add(sn_mul(x[1], h[0]), x[0]);
}
static void grows(sn_scope m, const opts *c) {
  sn_t x[2] = {in(m, "x", c->width), in(m, "f", c->width)},
       h = sn_zeros(m, SN_REAL, (sn_sym(m, "B", .max = 4), c->width));
  sn_t zero = sn_zeros(m, SN_REAL, (sn_sym(m, "B", .max = 4), c->still, c->width));
  sn_t in = sn_concat(1, zero, x[0]), by = sn_concat(1, sn_add(zero, 1e38), sn_sigmoid(x[1]));
  outputs(m, sn_scan(scaled, "btd", (&h), (in, by)), 1, &h, 1, x); /* by f it would be 0 F */
}

/* No mapped axis; second derivatives. */
static void lone(sn_scope m, const opts *c) {
  (void)c;
  sn_dim n = sn_sym(m, "T", .max = 16384);
  sn_t x[3] = {sn_input(m, "f", SN_REAL, (n)), sn_input(m, "x", SN_REAL, (n)), sn_input(m, "h", SN_REAL, ())}, d[2];
  sn_t h = x[2], y = sn_scan(gated, "t", (&h), (x[0], x[1]));
  sn_grad(sn_add(energy(y), energy(h)), (x[0], x[2]), (&d[0], &d[1]));
  h = sn_mul(d[1], d[1]);
  outputs(m, d[0], 1, &h, 3, x);
}

/* A loop in the step: no gradient passes it. */
static sn_t large(const sn_t x[], const void *opt) {
  (void)opt;
  return sn_gt(sn_sum(x[0], "d->"), 1);
}
static void halve(sn_t x[], const void *opt) {
  (void)opt;
  x[0] = sn_mul(.5, x[0]);
}
static sn_t halved(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  sn_t v = sn_add(h[0], x[0]);
  sn_while(large, halve, (&v));
  return h[0] = v;
}
static void loops(sn_scope m, const opts *c) {
  sn_t x[2] = {in(m, "x", c->width), first(m, "h", c->width)}, h = x[1];
  outputs(m, sn_scan(halved, "bt", (&h), (x[0])), 1, &h, 2, x);
}

SN_MODEL(forms, opts, forwards, backwards, mamba, turns, chains, cells, decays, lasts, grows, lone, loops);

#endif
