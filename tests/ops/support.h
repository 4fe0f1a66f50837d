/* Test support: a module with a body under construction, argument tensors, execution, and checks of gradients against
 * central differences and of bounds against rounded executions. */
#ifndef SN_TESTS_OPS_SUPPORT_H
#define SN_TESTS_OPS_SUPPORT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ir/ops/ops.h"
#include "ir/ref/interp.h"

#define UNUSED __attribute__((unused))

enum { WORLD_ARGS = 24, WORLD_SYMBOLS = 8 };

typedef struct world {
  sn_arena *arena;
  sn_diags *diags;
  sn_module *m;
  sn_build b; /* over a body */
  int arg_count;
  sn_tensor *arg[WORLD_ARGS]; /* values of the arguments of the body */
  sn_val arg_val[WORLD_ARGS];
  int64_t dims[WORLD_SYMBOLS]; /* values of the symbols, in order of declaration */
} world;

static UNUSED world world_create(void) {
  world w = {.arena = sn_arena_create(), .diags = sn_diags_create()};
  w.m = sn_module_create(w.arena);
  w.b = sn_build_begin(sn_func_create(w.m, "f", SN_FUNC_BODY), w.diags);
  return w;
}

static UNUSED void world_destroy(world *w) {
  sn_diags_destroy(w->diags);
  sn_arena_destroy(w->arena);
}

static UNUSED const char *world_errors(world *w) { return sn_diags_print(w->diags, w->arena); }

static UNUSED const sn_type *typed(world *w, sn_elem e, int rank, ...) {
  const sn_dimx *dim[SN_RANK_MAX];
  va_list list;
  va_start(list, rank);
  for (int i = 0; i < rank; i++) dim[i] = sn_dimx_const(w->m->types, va_arg(list, int));
  va_end(list);
  return sn_type_of(w->m->types, e, rank, dim);
}

/* A new argument of the body, zero for now. */
static UNUSED sn_val world_arg(world *w, const sn_type *t) {
  int64_t extent[SN_RANK_MAX];
  const sn_attr at = {.set = true, .i = w->arg_count};
  sn_val v = sn_emit(&w->b, SN_OP_ARG, 0, NULL, &at, t);
  for (int i = 0; i < t->rank; i++) assert_int_equal(sn_dimx_eval(t->dim[i], w->dims, &extent[i]), SN_OK);
  assert_int_equal(sn_tensor_create(w->arena, t->elem, t->rank, extent, &w->arg[w->arg_count]), SN_OK);
  w->arg_val[w->arg_count++] = v;
  return v;
}

static UNUSED void set_value(sn_tensor *t, int64_t i, double v) {
  t->value[i] = v;
  if (t->wide) t->wide[i] = (int64_t)v;
}

/* A new argument with values. */
static UNUSED sn_val world_data(world *w, const sn_type *t, const double *data) {
  sn_val v = world_arg(w, t);
  sn_tensor *x = w->arg[w->arg_count - 1];
  for (int64_t i = 0; i < x->count; i++) set_value(x, i, data[i]);
  return v;
}

/* The number of the type next to v. */
static UNUSED double as_elem(sn_elem e, double v) { return sn_elem_nearest(e, v); }

/* A new argument with values in -2 .. 2 that the type holds exactly, from a seed. */
static UNUSED sn_val world_noise(world *w, const sn_type *t, uint64_t seed) {
  sn_val v = world_arg(w, t);
  sn_tensor *x = w->arg[w->arg_count - 1];
  sn_rng r = {.seed = seed, .stream = 7};
  for (int64_t i = 0; i < x->count; i++) { set_value(x, i, as_elem(t->elem, sn_rng_f64(&r) * 4 - 2)); }
  return v;
}

typedef enum run_mode { RUN_BOUNDS, RUN_VALUES, RUN_ROUND } run_mode;

static UNUSED sn_interp world_interp(world *w, run_mode mode, uint64_t seed) {
  return (sn_interp){.arena = w->arena,
                     .diags = w->diags,
                     .dims = w->dims,
                     .no_bounds = mode == RUN_VALUES,
                     .round = mode == RUN_ROUND,
                     .shuffle = {.seed = seed}};
}

/* Runs the body; result i. */
static UNUSED sn_tensor *world_run(world *w, run_mode mode, uint64_t seed, int i) {
  sn_tensor **r = SN_ARRAY(w->arena, w->b.func->result_count + 1, sn_tensor *);
  sn_interp in = world_interp(w, mode, seed);
  if (w->b.failed || sn_interp_call(&in, w->b.func, w->arg_count, w->arg, r)) fail_msg("%s", world_errors(w));
  return r[i];
}

/* The value v under the arguments. */
static UNUSED sn_tensor *world_value(world *w, sn_val v, run_mode mode) {
  if (w->b.failed) fail_msg("%s", world_errors(w));
  sn_func_return(w->b.func, v);
  return world_run(w, mode, 1, w->b.func->result_count - 1);
}

static UNUSED void expect_values(world *w, sn_val v, int64_t count, const double *expected, double tolerance) {
  const sn_tensor *t = world_value(w, v, RUN_BOUNDS);
  assert_int_equal(t->count, count);
  for (int64_t i = 0; i < count; i++) {
    bool same = t->value[i] == expected[i] || (isnan(t->value[i]) && isnan(expected[i]));
    if (!same && !(fabs(t->value[i] - expected[i]) <= tolerance))
      fail_msg("element %d: expected %.17g, found %.17g", (int)i, expected[i], t->value[i]);
  }
}

/* ---- gradients ---- */

typedef struct grad_check {
  int64_t checked, excluded, wrong; /* elements */
  double worst;                     /* largest error in units of the tolerance */
  char what[160];                   /* the worst one */
} grad_check;

/* sum of y * seed for the values y under the present arguments */
static UNUSED double weighted_sum(world *w, int result, const sn_tensor *seed) {
  const sn_tensor *y = world_run(w, RUN_VALUES, 1, result);
  double s = 0;
  for (int64_t i = 0; i < y->count; i++) s += seed->value[i] != 0 ? y->value[i] * seed->value[i] : 0;
  return s;
}

/* One element: the derivative by central differences with two steps; kinks, where they disagree, are excluded. */
static UNUSED void check_element(world *w, int result, const sn_tensor *seed, int arg, int64_t i, double analytic,
                                 grad_check *c) {
  sn_tensor *x = w->arg[arg];
  double at = x->value[i], h = 1e-4 * fmax(1, fabs(at)), d[2];
  for (int k = 0; k < 2; k++) { /* steps h, h/2 */
    double step = k ? h / 2 : h;
    x->value[i] = at + step;
    double up = weighted_sum(w, result, seed);
    x->value[i] = at - step;
    double down = weighted_sum(w, result, seed);
    d[k] = (up - down) / (2 * step);
  }
  x->value[i] = at;
  double numeric = (4 * d[1] - d[0]) / 3, scale = fmax(1, fmax(fabs(numeric), fabs(analytic)));
  if (fabs(d[0] - d[1]) > 1e-5 * scale) {
    c->excluded++;
    return;
  }
  c->checked++;
  double error = fabs(numeric - analytic) / (1e-6 * scale);
  if (!(error <= c->worst)) {
    c->worst = error;
    snprintf(c->what, sizeof c->what, "operand %d element %d: differences %.12g, rule %.12g", arg, (int)i, numeric,
             analytic);
  }
  c->wrong += !(error <= 1);
}

/* Derivatives of sum(y * seed) by the first `count` float arguments: the rules against differences, at most `limit`
 * elements each. planted: factor on the rules' results, 1 for a true check. The body must be f64. */
static UNUSED grad_check check_gradient(world *w, sn_val y, int count, int limit, double planted) {
  grad_check c = {0};
  sn_val seed = world_noise(w, sn_g_type(&w->b, y), 99), d[WORLD_ARGS] = {0}, wrt[WORLD_ARGS];
  int n = 0, which[WORLD_ARGS];
  for (int i = 0; i < count; i++)
    if (sn_elem_is_float(sn_g_type(&w->b, w->arg_val[i])->elem)) which[n] = i, wrt[n++] = w->arg_val[i];
  if (sn_derive(&w->b, 1, &y, &seed, n, wrt, d)) fail_msg("%s", world_errors(w));
  int first = w->b.func->result_count;
  sn_func_return(w->b.func, y);
  for (int k = 0; k < n; k++) sn_func_return(w->b.func, d[k] ? d[k] : sn_g_const_like(&w->b, wrt[k], 0));
  for (int k = 0; k < n; k++) {
    const sn_tensor *g = world_run(w, RUN_VALUES, 1, first + 1 + k);
    int64_t stride = 1 + g->count / limit;
    for (int64_t i = 0; i < g->count; i += stride)
      check_element(w, first, w->arg[w->arg_count - 1], which[k], i, g->value[i] * planted, &c);
  }
  return c;
}

/* ---- bounds ---- */

/* Result i of the body with its bound against executions in the declared types; adds up over `runs` orders. shift:
 * factor on what was found, 1 for a true check. */
static UNUSED sn_mismatch check_bounds(world *w, int i, int runs, double shift) {
  const sn_tensor *oracle = world_run(w, RUN_BOUNDS, 1, i);
  sn_mismatch sum = {.first = -1};
  for (int k = 0; k < runs; k++) {
    sn_tensor *t = world_run(w, RUN_ROUND, (uint64_t)k + 1, i);
    for (int64_t j = 0; shift != 1 && j < t->count; j++) t->value[j] *= shift;
    void *data = sn_arena_alloc(w->arena, (size_t)(t->count + 1) * 8);
    sn_tensor_store(t, data);
    sn_mismatch m = sn_tensor_compare(oracle, data, 1);
    if (m.count && !sum.count) sum.first = m.first, sum.expected = m.expected, sum.found = m.found, sum.bound = m.bound;
    sum.count += m.count;
    sum.excluded += m.excluded;
    sum.total += m.total;
    sum.worst = fmax(sum.worst, m.worst);
  }
  return sum;
}

#endif
