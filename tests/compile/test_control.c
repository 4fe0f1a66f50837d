/* Branches and loops compiled: both ways of every branch, rounds from none to the limit, nesting, gradients, on every
 * target, against the interpreter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h" /* before sinter.h, whose macro sn_uniform has the name of a function of it */

#include "frontend/build.h"
#include "frontend/sinter.h"

SN_SETTINGS(opts, (int, width, 40, "features"), (int, limit, 5, "rounds"));

typedef struct {
  sn_t w, b;
} weights;

static sn_t rows(sn_scope m, const opts *c) { return sn_input(m, "x", SN_REAL, (sn_sym(m, "B", .max = 8), c->width)); }
static sn_t truth(sn_scope m, const char *name) { return sn_eq(sn_input(m, name, SN_I32, ()), 1); }

/* ---- branches ---------------------------------------------------------------------------------------------------- */

static sn_t product(const sn_t x[], const void *opt) {
  const weights *p = opt;
  return sn_add(sn_softmax(sn_einsum("bi,io->bo", x[0], p->w)), p->b);
}
static sn_t scaled(const sn_t x[], const void *opt) { return sn_mul(sn_tanh(x[0]), ((const weights *)opt)->b); }
static void branches(sn_scope m, const opts *c) {
  sn_t x = rows(m, c), y, g[3];
  weights p = {sn_param(m, "w", (c->width, c->width)), sn_param(m, "b", (c->width), .init = sn_normal(1))};
  y = sn_cond(truth(m, "i"), product, scaled, (sn_mul(x, 2)), &p);
  sn_output(m, "y", y);
  sn_grad(sn_sum(sn_mul(y, x), "bi->"), (x, p.w, p.b), (&g[0], &g[1], &g[2]));
  sn_output(m, "gx", g[0]);
  sn_output(m, "gw", g[1]);
  sn_output(m, "gb", g[2]);
}

/* Operands returned as they are; a branch in a branch. */
typedef struct {
  sn_t j;
} inner;
static sn_t first(const sn_t x[], const void *opt) { return (void)opt, x[0]; }
static sn_t second(const sn_t x[], const void *opt) { return (void)opt, x[1]; }
static sn_t nested(const sn_t x[], const void *opt) {
  return sn_add(1, sn_cond(((const inner *)opt)->j, second, first, (x[0], sn_mul(x[1], x[1])), NULL));
}
static void choices(sn_scope m, const opts *c) {
  sn_t x = rows(m, c);
  inner o = {truth(m, "j")};
  sn_output(m, "y", sn_cond(truth(m, "i"), first, nested, (x, sn_rearrange(x, "bi->bi")), &o));
}

/* ---- loops
 * -------------------------------------------------------------------------------------------------------------- */

static sn_t unfinished(const sn_t x[], const void *opt) { return sn_lt(x[1], *(const sn_t *)opt); }
static void improve(sn_t x[], const void *opt) {
  (void)opt;
  x[0] = sn_add(sn_mul(.5, x[0]), sn_mean(sn_abs(x[0]), "bi->b1"));
  x[1] = sn_add(x[1], 1);
}
static void rounds(sn_scope m, const opts *c) {
  sn_t x = rows(m, c), i = sn_mul(0, sn_input(m, "i", SN_I32, ())), n = sn_input(m, "n", SN_I32, ());
  sn_while(unfinished, improve, (&x, &i), .opt = &n, .limit = c->limit);
  sn_output(m, "y", x);
  sn_output(m, "done", i);
}

/* Fibonacci numbers: carried values change places, and a row of a cache is written every round. */
static sn_t more(const sn_t x[], const void *opt) { return (void)opt, sn_and(sn_lt(x[1], 50), sn_lt(x[3], 8)); }
static void fibonacci(sn_t x[], const void *opt) {
  sn_t next = sn_add(x[0], x[1]);
  (void)opt;
  x[2] = sn_where(sn_eq(*(const sn_t *)opt, x[3]), next, x[2]);
  x[0] = x[1];
  x[1] = next;
  x[3] = sn_add(x[3], 1);
}
static void numbers(sn_scope m, const opts *c) {
  sn_t a = sn_input(m, "i", SN_I32, ()), b = sn_add(a, 1), list = sn_zeros(m, SN_I32, (8)), n = sn_mul(0, a);
  sn_t places = sn_arange(m, 8);
  (void)c;
  sn_while(more, fibonacci, (&a, &b, &list, &n), .opt = &places);
  sn_output(m, "list", list);
  sn_output(m, "a", a);
}

/* A loop in a loop in a branch, next to a state: nothing of it is written when the branch is not taken. */
static sn_t below_two(const sn_t x[], const void *opt) { return (void)opt, sn_lt(x[0], 2); }
static void inner_round(sn_t x[], const void *opt) {
  (void)opt;
  x[0] = sn_add(x[0], 1);
  x[1] = sn_mul(x[1], 1.25);
}
static sn_t below_three(const sn_t x[], const void *opt) { return (void)opt, sn_lt(x[0], 3); }
static void outer_round(sn_t x[], const void *opt) {
  sn_t i = sn_mul(0, x[0]), y = x[1];
  (void)opt;
  sn_while(below_two, inner_round, (&i, &y));
  x[0] = sn_add(x[0], 1);
  x[1] = sn_sub(y, sn_mul(.125, x[1]));
}
static sn_t looped(const sn_t x[], const void *opt) {
  sn_t i = sn_mul(0, *(const sn_t *)opt), y = x[0];
  sn_while(below_three, outer_round, (&i, &y));
  return y;
}
static void deep(sn_scope m, const opts *c) {
  sn_t n = sn_input(m, "n", SN_I32, ()), s = sn_state(m, "s", (c->width));
  sn_t y = sn_cond(truth(m, "i"), looped, first, (rows(m, c)), &n);
  sn_output(m, "y", y);
  sn_update(s, sn_add(s, sn_mean(y, "bi->i")));
}

SN_MODEL(control, opts, branches, choices, rounds, numbers, deep);

static uint64_t check_variant(const char *graph, const char *target, const char *fuse, int threads, int seed) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_module *m = NULL;
  const int64_t dims[1] = {3};
  if (sn_model_build(&sn_model_control, &(sn_model_opt){.graphs = graph}, arena, diags, &m))
    fail_msg("%s", sn_diags_print(diags, arena));
  check_opt o = {.compile = {.target = target, .fuse = fuse},
                 .graph = graph,
                 .dims = dims,
                 .threads = threads,
                 .seed = (uint64_t)seed,
                 .int_limit = strcmp(graph, "rounds") ? 2 : 9};
  check_result r;
  if (check_graph(m, &o, arena, diags, &r)) fail_msg("%s: %s", graph, sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("%s on %s, fuse %s, seed %d: %s", graph, target, fuse, seed, r.first);
  assert_true(r.total > 0 && r.excluded == 0);
  uint64_t hash = r.hash;
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return hash;
}

static bool vulkan; /* there is a device */

/* Seeds draw the predicates and the numbers of rounds. */
static void check(const char *graph) {
  for (int seed = 1; seed <= 6; seed++) {
    check_variant(graph, "template", seed % 2 ? "all" : "none", 1, seed);
    if (vulkan) check_variant(graph, "vulkan", "all", 1, seed);
    if (!SN_HAVE_LLVM) continue;
    uint64_t two = check_variant(graph, "cpu", "all", 2, seed);
    if (seed > 1) continue;
    assert_true(two == check_variant(graph, "cpu", "all", 1, seed));
    check_variant(graph, "cpu", "none", 1, seed);
  }
}

static void test_branches(void **state) { (void)state, check("branches"); }
static void test_choices(void **state) { (void)state, check("choices"); }
static void test_rounds(void **state) { (void)state, check("rounds"); }
static void test_numbers(void **state) { (void)state, check("numbers"); }
static void test_deep(void **state) { (void)state, check("deep"); }

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_branches), cmocka_unit_test(test_choices), cmocka_unit_test(test_rounds),
      cmocka_unit_test(test_numbers),  cmocka_unit_test(test_deep),
  };
  vulkan = check_has_vulkan();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
