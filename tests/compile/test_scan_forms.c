/* Forms of recurrences compiled: chunks side by side, and pieces whose states are made again, on every target, fused
 * and not, against the interpreter; lengths that chunks divide, and others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h"
#include "tests/compile/harness_scan.h"
#include "tests/scan_forms.h"

/* The rest of how it is done: model (NULL: that of scan_forms.h), settings, scale, what may have no bound. */
static uint64_t check_what(const scan_way *what, const char *graph, const char *form, const char *target,
                           const char *fuse, int threads, int64_t T) {
  scan_way w = *what;
  w.graph = graph, w.form = form, w.target = target, w.fuse = fuse, w.threads = threads, w.T = T;
  if (!w.model) w.model = &sn_model_forms;
  return scan_check(&w);
}

static uint64_t check_form(const char *graph, const char *form, const char *target, const char *fuse, int threads,
                           int64_t T) {
  return check_what(&(scan_way){0}, graph, form, target, fuse, threads, T);
}

static void check(const char *graph, const char *form) {
  check_form(graph, form, "template", "all", 1, 9);
  if (!SN_HAVE_LLVM) return;
  check_form(graph, form, "cpu", "none", 1, 3);
  uint64_t one = check_form(graph, form, "cpu", "all", 1, 17);
  assert_true(one == check_form(graph, form, "cpu", "all", 2, 17));
}

static void test_associative(void **state) {
  static const char *const graph[] = {"forwards", "backwards", "mamba", "turns", "chains"};
  (void)state;
  for (int i = 0; i < 5; i++) check(graph[i], "associative:4");
  if (SN_HAVE_LLVM) check_form("lone", "associative:4", "cpu", "all", 1, 9);
}

static void test_pieces(void **state) {
  static const char *const graph[] = {"backwards", "mamba", "cells"};
  (void)state;
  for (int i = 0; i < 3; i++) check(graph[i], "sequential:4");
}

static void test_rows(void **state) {
  (void)state;
  check_what(&(scan_way){.set = "width=80"}, "backwards", "sequential", "template", "all", 1, 3);
  if (SN_HAVE_LLVM) check_what(&(scan_way){.set = "width=12"}, "forwards", "sequential", "cpu", "all", 1, 5);
  if (check_has_vulkan()) check_what(&(scan_way){.set = "width=80"}, "backwards", "sequential", "vulkan", "all", 1, 5);
}

/* The one element of a captured tensor is a number of the step: it is walked as it is. */
static void test_captured_number(void **state) {
  static const char text[] =
      "sinter 1\n"
      "dims { B: 1..4, T: 1..16 }\n"
      "body @step {\n"
      "  %1 = arg index 0 : f32[]\n"
      "  %2 = arg index 1 : f32[]\n"
      "  %3 = arg index 2 : f32[1]\n"
      "  %4 = reshape %3 shape [] : f32[]\n"
      "  %5 = mul %1, %4 : f32[]\n"
      "  %6 = add %5, %2 : f32[]\n"
      "  return %6, %6\n"
      "}\n"
      "graph @g {\n"
      "  %1 = input name \"h\" : f32[B, 8]\n"
      "  %2 = input name \"a\" : f32[1]\n"
      "  %3 = input name \"x\" : f32[B, T, 8]\n"
      "  %4, %5 = scan %1, %3, %2 axes \"btd\" states 1 inputs 1 step @step"
      " : f32[B, 8], f32[B, T, 8]\n"
      "  output \"y\" = %5\n"
      "}\n";
  (void)state;
  scan_check_text(text, "template", NULL, "sequential", 9);
  scan_check_text(text, "template", NULL, "associative:4", 9);
}

/* Long, with the weakest and the strongest decays: nothing overflows, nothing is no number. */
static void test_long(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  check_form("decays", "sequential", "cpu", "all", 1, 4096);
  check_form("decays", "associative:64", "cpu", "all", 2, 4096);
  check_form("decays", "associative", "cpu", "all", 1, 16384);
}

/* Infinite states that are forgotten, and factors that meet states of 0; also where the form is not asked for. */
static void test_infinite(void **state) {
  const scan_way w = {.spread = 4}; /* the bound of a product with infinity is infinite */
  (void)state;
  if (SN_HAVE_LLVM) {
    check_form("lasts", "associative:4", "cpu", "all", 1, 9);
    check_what(&w, "grows", "associative:4", "cpu", "all", 1, 9);
  }
  if (!check_has_vulkan()) skip();
  check_form("lasts", "auto", "vulkan", "all", 1, 260); /* more than a chunk of what it chooses */
  check_what(&w, "grows", "auto", "vulkan", "all", 1, 260);
}

/* The running maximum of RWKV-4: with k of 40 times normal numbers e^k is no f32. */
static void test_rwkv4(void **state) {
  sn_diags *d = sn_diags_create();
  sn_model_file *f = NULL;
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  assert_int_equal(sn_model_load(SN_SOURCE_DIR "/models/recurrent/rwkv4.c", SN_BINARY_DIR "/test-model-cache", d, &f),
                   0);
  const scan_way w = {.model = sn_model_of(f), .set = "width=8", .scale = 40, .most = 15};
  check_what(&w, "core", "auto", "cpu", "all", 1, 21);
  if (check_has_vulkan()) check_what(&w, "core", "auto", "vulkan", "all", 1, 7);
  sn_model_unload(f);
  sn_diags_destroy(d);
}

static void test_vulkan(void **state) {
  (void)state;
  if (!check_has_vulkan()) skip();
  check_form("mamba", "associative:4", "vulkan", "all", 1, 9);
  check_form("backwards", "associative:4", "vulkan", "all", 1, 9);
  check_form("cells", "sequential:4", "vulkan", "all", 1, 9);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_associative),     cmocka_unit_test(test_pieces), cmocka_unit_test(test_rows),
      cmocka_unit_test(test_captured_number), cmocka_unit_test(test_long),   cmocka_unit_test(test_infinite),
      cmocka_unit_test(test_rwkv4),           cmocka_unit_test(test_vulkan),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
