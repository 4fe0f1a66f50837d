/* Gradients of captured tensors of attention by generated code, on processors and on a Vulkan device: within the bound,
 * and the same bits with any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/captures.h"
#include "tests/compile/harness.h"

static uint64_t hash_of(const captures_variant *v, const char *mask, const char *data, const sn_compile_opt *compile,
                        int64_t t, int threads) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  char text[8192], head[8300];
  int64_t dims[] = {2, t};
  captures_text(text, sizeof text, v, mask, "f32", data, false, false, false);
  captures_put(text, "T: 1..64", "T: 1..4096");
  snprintf(head, sizeof head, "sinter 1\n%s", text);
  check_opt opt = {.compile = *compile, .graph = "g", .dims = dims, .threads = threads, .int_limit = 4, .scale = 0.1};
  check_result r;
  if (check_graph(check_parse(arena, diags, head), &opt, arena, diags, &r))
    fail_msg("%s: %s", v->name, sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("%s: %s", v->name, r.first);
  assert_true(r.total > 2 * r.excluded);
  uint64_t hash = r.hash;
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return hash;
}

/* One of each way to add up, and to go on from there. */
static const char *const chosen[] = {"temperature",    "keys_of_heads", "buckets", "relative",
                                     "dense_of_batch", "grid",          "several", "shared_rows",
                                     "rows",           "all",           "many",    "grid_of_many"};

static const captures_variant *variant(const char *name) {
  int i = 0;
  while (strcmp(captures_variants[i].name, name) != 0) i++;
  return &captures_variants[i];
}

static void on_processors(void **state) {
  static const char *const isa[] = {"avx512", "avx2", "baseline"};
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  for (int i = 0; i < (int)(sizeof chosen / sizeof *chosen); i += CHECK_SAMPLE) {
    const captures_variant *v = variant(chosen[i]);
    sn_compile_opt o = {.isa = isa[i % 3], .cache_dir = check_cache()};
    const char *data = i % 5 == 4 ? "bf16" : "f32";
    uint64_t one = hash_of(v, captures_masks[i % 4], data, &o, 150, 1);
    if (i % 2) assert_true(one == hash_of(v, captures_masks[i % 4], data, &o, 150, 2));
  }
}

static void on_a_device(void **state) {
  (void)state;
  if (!check_has_vulkan()) skip();
  sn_compile_opt o = {.target = "vulkan", .cache_dir = check_cache()};
  (void)hash_of(variant("all"), captures_masks[3], "f32", &o, 45, 1);
  (void)hash_of(variant("shared_rows"), captures_masks[1], "f32", &o, 45, 1);
  (void)hash_of(variant("grid_of_many"), captures_masks[2], "f32", &o, 33, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(on_processors), cmocka_unit_test(on_a_device)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
