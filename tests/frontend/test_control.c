/* Branches and loops of the DSL: values both ways, gradients through the branch that ran, second derivatives, loops
 * from no round to the limit, and why no gradient passes a loop. */
#include "support.h"

SN_SETTINGS(opts, (int, limit, 4, "rounds"));

typedef struct {
  sn_t w;
} weights;
static sn_t cube(const sn_t x[], const void *opt) {
  return sn_mul(((const weights *)opt)->w, sn_mul(x[0], sn_mul(x[0], x[1])));
}
static sn_t sum(const sn_t x[], const void *opt) { return (void)opt, sn_gelu(sn_mul(0, sn_add(x[0], x[1]))); }
static void chosen(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "x", SN_REAL, (2)), z = sn_input(m, "z", SN_REAL, (2)), g[3], gg;
  weights p = {sn_input(m, "w", SN_REAL, (2))};
  sn_t y = sn_cond(sn_gt(sn_input(m, "i", SN_I32, ()), c->limit), cube, sum, (x, z), &p);
  sn_output(m, "y", y);
  sn_grad(sn_sum(y, "a->"), (x, z, p.w), (&g[0], &g[1], &g[2]));
  sn_output(m, "gx", g[0]);
  sn_output(m, "gz", g[1]);
  sn_output(m, "gw", g[2]);
  sn_grad(sn_sum(g[0], "a->"), (x), (&gg));
  sn_output(m, "gg", gg);
}

/* Heron's rule until the error is small; captured: the number and the tolerance. */
typedef struct {
  sn_t number, tolerance;
} root;
static sn_t inexact(const sn_t x[], const void *opt) {
  const root *r = opt;
  return sn_gt(sn_abs(sn_sub(sn_square(x[0]), r->number)), r->tolerance);
}
static void heron(sn_t x[], const void *opt) {
  x[0] = sn_mul(.5, sn_add(x[0], sn_div(((const root *)opt)->number, x[0])));
  x[1] = sn_add(x[1], 1);
}
static void roots(sn_scope m, const opts *c) {
  root r = {sn_input(m, "n", SN_REAL, ()), sn_input(m, "tolerance", SN_REAL, ())};
  sn_t x = sn_add(sn_mul(0, r.number), 1), rounds = sn_sum(sn_zeros(m, SN_I32, (1)), "a->");
  sn_while(inexact, heron, (&x, &rounds), .opt = &r, .limit = c->limit);
  sn_output(m, "root", x);
  sn_output(m, "rounds", rounds);
}

SN_MODEL(controlled, opts, chosen, roots);

static bench *begin(const char *graph, const char *set) {
  return bench_begin(&sn_model_controlled, graph, set, SN_ELEM_F64);
}

static void test_chosen(void **state) {
  (void)state;
  bench *b = begin("chosen", NULL);
  GIVE(b, "x", 2, 3);
  GIVE(b, "z", 5, 1);
  GIVE(b, "w", 1, 2);
  GIVE(b, "i", 5);
  bench_run(b, "chosen");
  EXPECT(b, "y", 20, 18);
  EXPECT(b, "gx", 20, 12);
  EXPECT(b, "gz", 4, 18);
  EXPECT(b, "gw", 20, 9);
  EXPECT(b, "gg", 10, 4);
  GIVE(b, "i", 4);
  bench_run(b, "chosen");
  EXPECT(b, "y", 0, 0);
  EXPECT(b, "gx", 0, 0);
  EXPECT(b, "gw", 0, 0);
  EXPECT(b, "gg", 0, 0);
  bench_end(b);
}

static void test_roots(void **state) {
  (void)state;
  bench *b = begin("roots", "limit=20");
  GIVE(b, "n", 9);
  GIVE(b, "tolerance", 1e-9);
  bench_run(b, "roots");
  EXPECT(b, "root", 3);
  EXPECT(b, "rounds", 6);
  GIVE(b, "tolerance", 100);
  bench_run(b, "roots");
  EXPECT(b, "root", 1);
  EXPECT(b, "rounds", 0);
  bench_end(b);
  b = begin("roots", NULL);
  GIVE(b, "n", 9);
  GIVE(b, "tolerance", 1e-9);
  bench_run(b, "roots");
  EXPECT(b, "rounds", 4);
  bench_end(b);
}

/* The reason is told at the loop. */
static void lost(sn_scope m, const opts *c) {
  root r = {sn_input(m, "n", SN_REAL, ()), sn_input(m, "tolerance", SN_REAL, ())};
  sn_t x = sn_add(sn_mul(0, r.number), 1), rounds = sn_sum(sn_zeros(m, SN_I32, (1)), "a->"), g;
  sn_while(inexact, heron, (&x, &rounds), .opt = &r, .limit = c->limit);
  sn_grad(x, (r.number), (&g));
  sn_output(m, "g", g);
}

SN_MODEL(refusing, opts, lost);

static void test_no_gradient(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_module *m;
  sn_pass_env env = {.arena = arena, .diags = diags};
  assert_int_equal(sn_model_build(&sn_model_refusing, &(sn_model_opt){0}, arena, diags, &m), SN_OK);
  assert_int_equal(sn_pass_inline(m, &env), SN_OK);
  assert_int_equal(sn_pass_grad(m, &env), SN_ERR_INPUT);
  assert_non_null(strstr(diags->at[0].message, "no gradient passes `while`: the number of rounds is not known before"));
  assert_non_null(strstr(diags->at[0].loc.text, "sn_while(inexact, heron"));
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_chosen), cmocka_unit_test(test_roots),
                                     cmocka_unit_test(test_no_gradient)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
