/* Kernels of rotary and sinusoidal positions against the interpreter, as far out as 2e6. */
#include "tests/frontend/support.h" /* before sinter.h: see there */

#include "tests/compile/harness.h"

extern const sn_model sn_model_rotary; /* of the recipes, which hold rows of positions to their papers */

/* Within the interpreter's bound, which is small. */
static void check_kernels(const char *target) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  const char *set[] = {"d=64", "scaling=4", "scale=4", "trained=64"};
  sn_model_opt opt = {.set = set, .set_count = 4, .graphs = "sinusoids|turned", .real = SN_ELEM_F32};
  static const char *const graphs[] = {"sinusoids", "turned"};
  for (int g = 0; g < 2; g++) {
    sn_module *m;
    int64_t dims[4] = {9, 9, 9, 9};
    check_result r;
    if (sn_model_build(&sn_model_rotary, &opt, arena, diags, &m)) fail_msg("%s", sn_diags_print(diags, arena));
    check_opt o = {.compile = {.target = target}, .graph = graphs[g], .dims = dims, .seed = 1, .int_limit = 2000000};
    if (check_graph(m, &o, arena, diags, &r)) fail_msg("%s", sn_diags_print(diags, arena));
    if (r.mismatched) fail_msg("%s %s: %s", target, graphs[g], r.first);
    assert_int_equal(r.excluded, 0);
  }
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}
static void bounds_of_far_angles_are_small(void **state) {
  static const double at[] = {100000};
  (void)state;
  bench *b = bench_begin(&sn_model_rotary, "sinusoids", "d=64", SN_ELEM_F32);
  bench_dim(b, "T", 1);
  bench_give(b, "at", 1, at);
  bench_run_with(b, "sinusoids", true);
  const sn_tensor *t = bench_output(b, "y");
  for (int i = 0; i < 64; i++) assert_true(t->bound[i] < 1e-6);
  bench_end(b);
}
static void kernels_of_the_cpu(void **state) {
  (void)state;
  check_kernels(SN_HAVE_LLVM ? "cpu" : "template");
}
static void kernels_of_vulkan(void **state) {
  (void)state;
  if (!check_has_vulkan()) skip();
  check_kernels("vulkan");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bounds_of_far_angles_are_small),
      cmocka_unit_test(kernels_of_the_cpu),
      cmocka_unit_test(kernels_of_vulkan),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
