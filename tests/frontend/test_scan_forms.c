/* Forms of recurrences are one function: values, last states and gradients of the associative form, and of pieces whose
 * states are made again, are those of the walk step by step. In f64, for chunks that divide the steps and others. */
#include "support.h"

#include <math.h>

#include "tests/scan_forms.h"

/* ---- comparison -------------------------------------------------------------------------------------------------- */

static bench *run(const char *graph, const char *settings, sn_scan_form form, int chunk, int64_t T) {
  bench *b = bench_begin_form(&sn_model_forms, graph, settings, SN_ELEM_F64, form, chunk);
  if (sn_dimx_find_symbol(b->module->types, "B")) bench_dim(b, "B", 2);
  bench_dim(b, "T", T);
  bench_run(b, graph);
  return b;
}

/* Is there a function that the form is made of? */
static bool is_made(const bench *b, const char *part) {
  for (int i = 0; i < b->module->func_count; i++)
    if (strstr(b->module->func[i]->name, part)) return true;
  return false;
}

/* All outputs agree to 1e-10 of the largest element. */
static void compare_as(const char *graph, const char *settings, const char *part, sn_scan_form form, int chunk,
                       int64_t T) {
  bench *a = run(graph, settings, SN_SCAN_AUTO, 0, T), *b = run(graph, settings, form, chunk, T);
  if (!is_made(b, part)) fail_msg("%s: no %s was made", graph, part);
  for (int i = 0; i < a->func->output_count; i++) {
    const char *name = a->func->output[i].name;
    const sn_tensor *x = bench_output(a, name), *y = bench_output(b, name);
    double largest = 0, off = 0;
    assert_int_equal(x->count, y->count);
    for (int64_t k = 0; k < x->count; k++) {
      largest = fmax(largest, fabs(x->value[k]));
      off = fmax(off, isfinite(y->value[k]) ? fabs(x->value[k] - y->value[k]) : INFINITY);
    }
    if (largest == 0) fail_msg("%s %s is zero", graph, name);
    if (!(off <= 1e-10 * largest))
      fail_msg("%s, %d steps of %d: %s is off by %g of %g", graph, (int)T, chunk, name, off, largest);
  }
  bench_end(a);
  bench_end(b);
}

static void compare(const char *graph, sn_scan_form form, int chunk, int64_t T) {
  compare_as(graph, NULL, form == SN_SCAN_ASSOCIATIVE ? ".sums" : ".pieces", form, chunk, T);
}

/* Steps of single numbers become rows: one a sequence, and several. */
static void rows(void **state) {
  (void)state;
  compare_as("forwards", "width=12", ".rows", SN_SCAN_SEQUENTIAL, 0, 9);
  compare_as("backwards", "width=80", ".rows", SN_SCAN_SEQUENTIAL, 0, 5);
  compare_as("backwards", "width=68", ".rows.sums", SN_SCAN_ASSOCIATIVE, 4, 9);
}

static void associative(void **state) {
  static const char *const graph[] = {"forwards", "backwards", "mamba", "turns", "chains", "lone"};
  static const int chunk[] = {1, 7, 16, 64};
  (void)state;
  for (int i = 0; i < 6; i++)
    for (int k = 0; k < 4; k++) {
      compare(graph[i], SN_SCAN_ASSOCIATIVE, chunk[k], 33);
      compare(graph[i], SN_SCAN_ASSOCIATIVE, chunk[k], 64);
    }
  compare("mamba", SN_SCAN_ASSOCIATIVE, 7, 1);
  compare("mamba", SN_SCAN_ASSOCIATIVE, 7, 6);
}

static void long_decays(void **state) {
  (void)state;
  compare("decays", SN_SCAN_ASSOCIATIVE, 64, 4096);
}

/* Infinite states that are forgotten, and factors that meet states of 0. */
static void infinite(void **state) {
  (void)state;
  compare("lasts", SN_SCAN_ASSOCIATIVE, 4, 21);
  compare_as("grows", "still=16", ".sums", SN_SCAN_ASSOCIATIVE, 12, 21);
}

static void pieces(void **state) {
  static const char *const graph[] = {"forwards", "backwards", "mamba", "chains", "cells"};
  static const int piece[] = {1, 7, 16, 64};
  (void)state;
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < 4; k++) compare(graph[i], SN_SCAN_SEQUENTIAL, piece[k], 33);
  compare("cells", SN_SCAN_SEQUENTIAL, 8, 64);
  compare("lone", SN_SCAN_SEQUENTIAL, 7, 33);
}

/* What ends a gradient is named, at its line in the step. */
static void not_differentiable(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_module *m = NULL;
  sn_pass_env env = {.arena = arena, .diags = diags};
  assert_int_equal(sn_model_build(&sn_model_forms, &(sn_model_opt){.graphs = "loops"}, arena, diags, &m), SN_OK);
  assert_int_equal(sn_pass_inline(m, &env), SN_OK);
  assert_int_equal(sn_pass_grad(m, &env), SN_ERR_INPUT);
  const char *text = sn_diags_print(diags, arena);
  if (!strstr(text, "no gradient passes `while`: the number of rounds is not known before; use scan") ||
      !strstr(text, "scan_forms.h:"))
    fail_msg("%s", text);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(rows),        cmocka_unit_test(associative),
                                     cmocka_unit_test(long_decays), cmocka_unit_test(infinite),
                                     cmocka_unit_test(pieces),      cmocka_unit_test(not_differentiable)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
