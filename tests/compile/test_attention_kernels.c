/* The gradients of every variant of models/attention, by the kernels of both targets, against the interpreter within
 * its bound. */
#include "tests/frontend/support.h" /* before sinter.h: see there */

#include "tests/compile/harness.h"
#include "tests/compile/harness_attention.h"

static void check_kernels(const attention_variant *v, uint64_t seed, const char *target) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  oracle o = attention_case(v, seed, arena);
  const char *set[32];
  sn_model_opt opt = {.set = set, .graphs = "gradients", .real = SN_ELEM_F32};
  char *text = sn_arena_strdup(arena, o.set), *rest = NULL;
  for (char *w = strtok_r(text, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) set[opt.set_count++] = w;
  sn_module *m;
  sn_code code = sn_model_build(v->model, &opt, arena, diags, &m);
  if (code) fail_msg("%s %s: %s", v->model->name, o.set, sn_diags_print(diags, arena));
  int64_t dims[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  attention_dims(m->types, &o, dims);
  check_opt c = {.compile = {.target = target},
                 .graph = "gradients",
                 .dims = dims,
                 .seed = seed,
                 .int_limit = o.T,
                 .keep_store = true,
                 .threads = 2};
  check_result r;
  code = check_graph(m, &c, arena, diags, &r);
  if (code) fail_msg("%s %s %s: %s", v->model->name, o.set, target, sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("%s %s B=%d T=%d %s: %s", v->model->name, o.set, o.B, o.T, target, r.first);
  if (r.excluded * 5 > r.total)
    fail_msg("%s %s: nothing is known of %d of %d", v->model->name, o.set, (int)r.excluded, (int)r.total);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void on_the_cpu(void **state) {
  (void)state;
  for (int i = 0; i < attention_variant_count; i += CHECK_SAMPLE)
    check_kernels(&attention_variants[i], 3 + (uint64_t)i, SN_HAVE_LLVM ? "cpu" : "template");
}

/* One case of every file: drivers take their time to compile. */
static void on_vulkan(void **state) {
  (void)state;
  if (!check_has_vulkan()) skip();
  for (int i = 0; i < attention_variant_count; i += CHECK_SAMPLE)
    if (!i || attention_variants[i].model != attention_variants[i - 1].model)
      check_kernels(&attention_variants[i], 5 + (uint64_t)i, "vulkan");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(on_the_cpu),
      cmocka_unit_test(on_vulkan),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
