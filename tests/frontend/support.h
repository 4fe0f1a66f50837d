/* Builds the graphs of a test's model, makes them flat, and executes them with the reference interpreter. */
#ifndef SN_TESTS_FRONTEND_SUPPORT_H
#define SN_TESTS_FRONTEND_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/rng.h" /* before sinter.h, whose macro sn_uniform has the name of a function of it */

#include "frontend/build.h"
#include "frontend/sinter.h"
#include "ir/graph/text.h"
#include "ir/ref/interp.h"
#include "passes/passes.h"

enum { BENCH_LEAVES = 1024 };

/* A module and the tensors its graphs are run with. */
typedef struct bench {
  sn_arena *arena;
  sn_diags *diags;
  sn_module *module;
  int64_t dims[16];
  int leaf_count;
  sn_binding leaf[BENCH_LEAVES]; /* inputs, parameters, states; the newest binding of a name counts */
  const sn_func *func;           /* the graph that ran last */
  sn_tensor **values;
} bench;

static inline void bench_check(bench *b, sn_code code) {
  if (!code) return;
  print_message("%s\n", sn_diags_print(b->diags, b->arena));
  fail();
}

static inline void bench_flatten(bench *b, sn_scan_form scan, int chunk) {
  sn_target target = sn_target_cpu(SN_ISA_BASELINE);
  sn_pass_env env = {.arena = b->arena, .diags = b->diags, .target = &target, .scan = scan, .scan_chunk = chunk};
  bench_check(b, sn_pass_inline(b->module, &env));
  if (scan) bench_check(b, sn_pass_scan(b->module, &env));
  bench_check(b, sn_pass_grad(b->module, &env));
}

/* The graphs of a model that match, with settings "a=1 b=2", flat; recurrences in a form. */
static inline bench *bench_begin_form(const sn_model *model, const char *graphs, const char *settings, sn_elem real,
                                      sn_scan_form scan, int chunk) {
  bench *b = calloc(1, sizeof *b);
  b->arena = sn_arena_create();
  b->diags = sn_diags_create();
  const char *set[32];
  sn_model_opt opt = {.set = set, .graphs = graphs, .real = real};
  char *copy = sn_arena_strdup(b->arena, settings ? settings : ""), *rest = NULL;
  for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) set[opt.set_count++] = w;
  bench_check(b, sn_model_build(model, &opt, b->arena, b->diags, &b->module));
  bench_flatten(b, scan, chunk);
  return b;
}

static inline bench *bench_begin(const sn_model *model, const char *graphs, const char *settings, sn_elem real) {
  return bench_begin_form(model, graphs, settings, real, SN_SCAN_AUTO, 0);
}

static inline void bench_end(bench *b) {
  sn_diags_destroy(b->diags);
  sn_arena_destroy(b->arena);
  free(b);
}

static inline void bench_dim(bench *b, const char *name, int64_t value) {
  const sn_dimx *d = sn_dimx_find_symbol(b->module->types, name);
  assert_non_null(d);
  b->dims[sn_dimx_symbol_index(d)] = value;
}

static inline void bench_bind(bench *b, const char *name, const sn_tensor *t) {
  for (int i = 0; i < b->leaf_count; i++) {
    if (strcmp(b->leaf[i].name, name) != 0) continue;
    b->leaf[i].tensor = t;
    return;
  }
  assert_true(b->leaf_count < BENCH_LEAVES);
  b->leaf[b->leaf_count++] = (sn_binding){sn_arena_strdup(b->arena, name), t};
}

static inline const sn_tensor *bench_bound(const bench *b, const char *name) {
  for (int i = 0; i < b->leaf_count; i++) {
    if (!strcmp(b->leaf[i].name, name)) return b->leaf[i].tensor;
  }
  return NULL;
}

/* The leaf called `name` of any graph of the module. */
static inline const sn_node *bench_leaf(const bench *b, const char *name) {
  for (int f = 0; f < b->module->func_count; f++) {
    for (int i = 0; i < b->module->func[f]->node_count; i++) {
      const sn_node *n = b->module->func[f]->node[i];
      if (sn_leaf_name(n) && !strcmp(sn_leaf_name(n), name)) return n;
    }
  }
  return NULL;
}

static inline sn_tensor *bench_tensor(bench *b, const sn_type *type) {
  int64_t extent[SN_RANK_MAX];
  for (int i = 0; i < type->rank; i++) bench_check(b, sn_dimx_eval(type->dim[i], b->dims, &extent[i]));
  sn_tensor *t;
  bench_check(b, sn_tensor_create(b->arena, type->elem, type->rank, extent, &t));
  return t;
}

static inline void bench_set(sn_tensor *t, int64_t i, double x) {
  t->value[i] = x;
  if (t->wide) t->wide[i] = (int64_t)x;
}

/* Gives a leaf its elements. */
static inline void bench_give(bench *b, const char *name, int count, const double *elements) {
  const sn_node *n = bench_leaf(b, name);
  if (!n) print_message("no leaf %s\n", name);
  assert_non_null(n);
  sn_tensor *t = bench_tensor(b, n->type[0]);
  assert_int_equal(t->count, count);
  for (int i = 0; i < count; i++) bench_set(t, i, elements[i]);
  bench_bind(b, name, t);
}
#define GIVE(b, name, ...) \
  bench_give(b, name, (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (double[]){__VA_ARGS__})

/* Initial values as the runtime would make them: states and parameters not yet given; inputs without default at random.
 */
static inline void bench_fill(bench *b, const sn_func *f) {
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    const char *name = sn_leaf_name(n);
    if (!name || bench_bound(b, name)) continue;
    if (n->op == SN_OP_INPUT && sn_node_attr(n, "default")->set) continue;
    sn_tensor *t = bench_tensor(b, n->type[0]);
    sn_rng r = {.seed = sn_hash_bytes(name, strlen(name), 3)};
    const char *init = n->op == SN_OP_INPUT ? "normal" : sn_node_attr(n, "init")->s;
    double a = n->op == SN_OP_INPUT ? 1 : sn_node_attr(n, "a")->f;
    for (int64_t k = 0; k < t->count; k++) {
      double x = !strcmp(init, "fill")     ? a
                 : strcmp(init, "uniform") ? a * sn_rng_normal(&r)
                                           : a * (2 * sn_rng_f64(&r) - 1);
      if (!sn_elem_is_float(t->elem) && strcmp(init, "fill") != 0) x = (double)sn_rng_below(&r, 4);
      bench_set(t, k, x);
    }
    bench_bind(b, name, t);
  }
}

/* Runs a graph; states take their next values. bounds: each value with its bound */
static inline void bench_run_with(bench *b, const char *graph, bool bounds) {
  b->func = sn_module_find(b->module, graph);
  assert_non_null(b->func);
  bench_fill(b, b->func);
  sn_interp in = {.arena = b->arena,
                  .diags = b->diags,
                  .dims = b->dims,
                  .leaf_count = b->leaf_count,
                  .leaf = b->leaf,
                  .no_bounds = !bounds};
  bench_check(b, sn_interp_run(&in, b->func, &b->values));
  for (int i = 0; i < b->func->update_count; i++)
    bench_bind(b, sn_leaf_name(sn_node_of(b->func, b->func->update[i].state)), b->values[b->func->update[i].next]);
}

static inline void bench_run(bench *b, const char *graph) { bench_run_with(b, graph, false); }

static inline const sn_tensor *bench_output(const bench *b, const char *name) {
  for (int i = 0; i < b->func->output_count; i++) {
    if (!strcmp(b->func->output[i].name, name)) return b->values[b->func->output[i].value];
  }
  print_message("no output %s\n", name);
  fail();
  return NULL;
}

static inline void bench_expect(const bench *b, const char *name, int count, const double *elements) {
  const sn_tensor *t = bench_output(b, name);
  assert_int_equal(t->count, count);
  for (int i = 0; i < count; i++) {
    double scale = elements[i] < 0 ? -elements[i] : elements[i], d = t->value[i] - elements[i];
    if ((d < 0 ? -d : d) <= 1e-6 * (1 + scale)) continue;
    print_message("%s[%d] is %.9g, not %.9g\n", name, i, t->value[i], elements[i]);
    fail();
  }
}
#define EXPECT(b, name, ...) \
  bench_expect(b, name, (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (double[]){__VA_ARGS__})

/* The text of the diagnostics that building a graph gives; it must fail. */
static inline const char *mistakes_of(const sn_model *model, const char *graph, sn_arena *arena) {
  sn_diags *d = sn_diags_create();
  sn_module *m;
  assert_int_equal(sn_model_build(model, &(sn_model_opt){.graphs = graph}, arena, d, &m), SN_ERR_INPUT);
  const char *text = sn_diags_print(d, arena);
  sn_diags_destroy(d);
  return text;
}

#endif
