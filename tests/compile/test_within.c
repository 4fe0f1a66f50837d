/* Ops along an axis inside the step of a scan. */
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

SN_SETTINGS(opts, (int, width, 12, "features"));

static sn_t step(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  sn_ranked best = sn_top_k(sn_add(h[0], x[0]), 4);
  sn_t sums = sn_cumsum(sn_sort(sn_mul(h[0], x[0]), 0).values, 0), l = sn_einsum("i,j->ij", x[0], sn_mul(.125, h[0]));
  sn_t solved = sn_merge(sn_solve_lower(l, sn_rearrange(sums, "a->a1")));
  h[0] = sn_tanh(sn_add(solved, sn_sum(best.values, "a->")));
  return sn_add(best.values, best.positions);
}

static void within(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "x", SN_REAL, (sn_sym(m, "B", .max = 4), sn_sym(m, "T", .max = 64), c->width));
  sn_t h = sn_add(sn_zeros(m, SN_REAL, (sn_size(x, 0), c->width)), .5);
  sn_output(m, "y", sn_scan(step, "bt", (&h), (x)));
  sn_output(m, "h", h);
}

SN_MODEL(inside, opts, within);

static void check_on(const char *target, const char *fuse) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_module *m = NULL;
  const int64_t dims[2] = {3, 5};
  if (sn_model_build(&sn_model_inside, &(sn_model_opt){.graphs = "within"}, arena, diags, &m))
    fail_msg("%s", sn_diags_print(diags, arena));
  check_opt o = {.compile = {.target = target, .fuse = fuse}, .graph = "within", .dims = dims, .seed = 3};
  check_result r;
  if (check_graph(m, &o, arena, diags, &r)) fail_msg("%s", sn_diags_print(diags, arena));
  print_message("%s %s: %d of %d excluded\n", target, fuse, (int)r.excluded, (int)r.total);
  if (r.mismatched) fail_msg("%s, fuse %s: %s", target, fuse, r.first);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void ops_inside_a_step(void **state) {
  (void)state;
  check_on("template", "all");
  check_on("template", "none");
  if (SN_HAVE_LLVM) check_on("cpu", "all");
  if (SN_HAVE_LLVM) check_on("cpu", "none");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(ops_inside_a_step)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
