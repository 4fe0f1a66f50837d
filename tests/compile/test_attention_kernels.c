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

/* Weights, and products of gradients, below the smallest normal number: times 1, and with scores of some hundred. */
static void numbers_near_0(void **state) {
  static const char *const text =
      "sinter 1\ndims { B: 1..4, T: 1..256 }\ngraph @g {\n"
      "  %%a = input name \"a\" : f32[B, T, 2, 8]\n  %%b = input name \"b\" : f32[B, T, 2, 8]\n"
      "  %%v = input name \"v\" : f32[B, T, 2, 4]\n  %%w = input name \"w\" : f32[B, T, 2, 4]\n"
      "  %%cq = const value %g : f32[]\n  %%cw = const value %g : f32[]\n"
      "  %%bq = broadcast %%cq axes [] shape [B, T, 2, 8] : f32[B, T, 2, 8]\n"
      "  %%bw = broadcast %%cw axes [] shape [B, T, 2, 4] : f32[B, T, 2, 4]\n"
      "  %%q = mul %%a, %%bq : f32[B, T, 2, 8]\n  %%dy = mul %%w, %%bw : f32[B, T, 2, 4]\n"
      "  %%y, %%l = attention %%q, %%b, %%v scale %g : f32[B, T, 2, 4], f32[B, 2, T]\n"
      "  %%p = mul %%y, %%dy : f32[B, T, 2, 4]\n  %%s = sum %%p axes [0, 1, 2, 3] : f32[]\n"
      "  %%dq, %%dk, %%dv = grad %%s, %%q, %%b, %%v : f32[B, T, 2, 8], f32[B, T, 2, 8], f32[B, T, 2, 4]\n"
      "  output \"y\" = %%y\n  output \"dq\" = %%dq\n  output \"dk\" = %%dk\n  output \"dv\" = %%dv\n}\n";
  static const double cases[][3] = {
      {1e-18, 1e-19, 1}, {1e-18, 1e-19, 40}, {20, 1, 1}, {30, 1e-6, 1}, {1e-30, 1e-8, 1e20}};
  (void)state;
  for (int i = 0; i < 5; i++) {
    sn_arena *arena = sn_arena_create();
    sn_diags *diags = sn_diags_create();
    int64_t dims[] = {2, i % 2 ? 150 : 17};
    check_opt c = {.compile = {.target = SN_HAVE_LLVM ? "cpu" : "template", .cache_dir = check_cache()},
                   .graph = "g",
                   .dims = dims};
    check_result r;
    const char *graph = sn_arena_printf(arena, text, cases[i][0], cases[i][1], cases[i][2]);
    if (check_graph(check_parse(arena, diags, graph), &c, arena, diags, &r))
      fail_msg("%s", sn_diags_print(diags, arena));
    if (r.mismatched) fail_msg("%g %g: %s", cases[i][0], cases[i][1], r.first);
    if (r.excluded) fail_msg("%g %g: nothing is known of %d", cases[i][0], cases[i][1], (int)r.excluded);
    sn_diags_destroy(diags);
    sn_arena_destroy(arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(on_the_cpu),
      cmocka_unit_test(on_vulkan),
      cmocka_unit_test(numbers_near_0),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
