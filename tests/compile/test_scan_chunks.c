/* The chunked form of recurrences over matrices compiled: on every target, fused and not, against the interpreter;
 * lengths that chunks divide, and others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h"
#include "tests/compile/harness_scan.h"
#include "tests/scan_chunks.h"

static uint64_t check_heads(const char *graph, const char *heads, const char *form, const char *target,
                            const char *fuse, int threads, int64_t T) {
  return scan_check(&(scan_way){.model = &sn_model_chunks,
                                .graph = graph,
                                .target = target,
                                .fuse = fuse,
                                .form = form,
                                .set = heads,
                                .threads = threads,
                                .T = T});
}

/* Of two heads: chunks are made side by side. */
static uint64_t check_form(const char *graph, const char *form, const char *target, const char *fuse, int threads,
                           int64_t T) {
  return check_heads(graph, "heads=2", form, target, fuse, threads, T);
}

/* Of four: one after the other, in one kernel. */
static uint64_t check_turns(const char *graph, const char *form, const char *target, int threads, int64_t T) {
  return check_heads(graph, "heads=4", form, target, "all", threads, T);
}

static void test_chunks(void **state) {
  static const char *const graph[] = {"linear", "heads", "channels", "gated", "corrects"};
  (void)state;
  check_form("gated", "chunked:4", "template", "all", 1, 6);
  check_form("channels", "chunked:2", "template", "all", 1, 3);
  for (int i = 0; SN_HAVE_LLVM && i < 5; i += CHECK_SAMPLE) check_form(graph[i], "chunked:8", "cpu", "all", 1, 21);
}

static void test_turns(void **state) {
  static const char *const graph[] = {"linear", "heads", "channels", "gated", "corrects"};
  (void)state;
  check_turns("gated", "chunked:4", "template", 1, 6);
  for (int i = 0; SN_HAVE_LLVM && i < 5; i += CHECK_SAMPLE) check_turns(graph[i], "chunked:8", "cpu", 1, 21);
  if (SN_HAVE_LLVM)
    assert_true(check_turns("removes", "chunked:4", "cpu", 1, 16) == check_turns("removes", "chunked:4", "cpu", 2, 16));
}

/* Operands stored as bf16, and products of bf16: states, decays and sums are f32. */
static void test_narrow(void **state) {
  static const char *const heads[] = {"heads=2", "heads=4"};
  const char *target = SN_HAVE_LLVM ? "cpu" : "template";
  (void)state;
  for (int i = 0; i < 2; i++) {
    scan_way w = {
        .model = &sn_model_chunks, .target = target, .form = "chunked:8", .set = heads[i], .threads = 1, .T = 21};
    w.graph = "narrow_inputs";
    scan_check(&w);
    w.precision = "bf16";
    scan_check(&w);
    w.graph = "gated";
    scan_check(&w);
  }
}

/* One kernel an op, and results that do not depend on threads. */
static void test_ways(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  check_form("heads", "chunked:4", "cpu", "none", 1, 6);
  assert_true(check_form("removes", "chunked:4", "cpu", "all", 1, 16) ==
              check_form("removes", "chunked:4", "cpu", "all", 2, 16));
}

/* The weakest and the strongest decays: nothing overflows, nothing is no number. */
static void test_long(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  check_form("decays", "chunked", "cpu", "all", 1, 16384);
  check_turns("decays", "chunked", "cpu", 1, 500);
}

static void test_vulkan(void **state) {
  (void)state;
  if (!check_has_vulkan()) skip();
  check_form("heads", "chunked:4", "vulkan", "all", 1, 6);
  check_form("gated", "chunked:4", "vulkan", "all", 1, 6);
  check_form("channels", "chunked:4", "vulkan", "all", 1, 6);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_chunks), cmocka_unit_test(test_turns), cmocka_unit_test(test_narrow),
      cmocka_unit_test(test_ways),   cmocka_unit_test(test_long),  cmocka_unit_test(test_vulkan),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
