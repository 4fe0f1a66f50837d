/* The shipped models, compiled: every graph against the interpreter, fused and unfused, on every target and thread
 * count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/build.h"
#include "tests/compile/harness.h"

typedef struct variant {
  const char *model, *graph, *target, *fuse, *isa;
  int64_t B, T;
  int threads;
} variant;

static const char *const small_gpt[] = {"layers=2", "heads=2", "width=16", "context=8", "vocab=17"};
static const char *const small_llama[] = {"layers=2",  "heads=4",   "kv_heads=2", "width=16",
                                          "hidden=24", "context=8", "vocab=17"};

static sn_module *build(const variant *v, sn_model_file **file, sn_arena *arena, sn_diags *diags) {
  bool gpt = !strcmp(v->model, "gpt");
  sn_model_opt opt = {
      .set_count = gpt ? 5 : 7, .set = gpt ? small_gpt : small_llama, .graphs = v->graph, .real = SN_ELEM_F32};
  sn_module *m = NULL;
  char path[512];
  snprintf(path, sizeof path, "%s/models/%s.c", SN_SOURCE_DIR, v->model);
  sn_code code = sn_model_load(path, NULL, diags, file);
  if (!code) code = sn_model_build(sn_model_of(*file), &opt, arena, diags, &m);
  if (code) fail_msg("%s", sn_diags_print(diags, arena));
  return m;
}

static void set_dim(const sn_module *m, int64_t *dims, const char *name, int64_t value) {
  const sn_dimx *d = sn_dimx_find_symbol(m->types, name);
  if (d) dims[sn_dimx_symbol_index(d)] = value;
}

static uint64_t check(const variant *v) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_model_file *file = NULL;
  sn_module *m = build(v, &file, arena, diags);
  int64_t dims[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  check_result r;
  set_dim(m, dims, "B", v->B);
  set_dim(m, dims, "T", v->T);
  check_opt o = {.compile = {.target = v->target, .fuse = v->fuse, .isa = v->isa},
                 .graph = v->graph,
                 .dims = dims,
                 .seed = 11,
                 .spread = 8,
                 .factor = 4,
                 .threads = v->threads,
                 .int_limit = strcmp(v->graph, "prefill") && strcmp(v->graph, "decode") ? 17 : 1,
                 .scale = 0.3};
  sn_code code = check_graph(m, &o, arena, diags, &r);
  if (code) fail_msg("%s %s %s: %s", v->model, v->graph, v->target, sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("%s %s %s fuse %s: %s", v->model, v->graph, v->target, v->fuse, r.first);
  assert_true(r.total > 0);
  assert_true(r.excluded * 100 <= r.total);
  sn_model_unload(file);
  uint64_t hash = r.hash;
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return hash;
}

static const char *const models[] = {"gpt", "llama"};

/* Of a sample there are other ones each time. */
static void each_graph(const char *target, const char *fuse, const char *isa) {
  static int count;
  static const char *const graphs[] = {"eval", "logits", "prefill", "decode", "train"};
  for (int i = 0; i < 2; i++)
    for (int g = 0; g < 5; g++) {
      variant v = {models[i], graphs[g], target, fuse, isa, 3, 7, 1};
      if (count++ % CHECK_SAMPLE == 0) check(&v);
    }
}

static void test_template_unfused(void **state) { (void)state, each_graph("template", "none", NULL); }
static void test_template_fused(void **state) { (void)state, each_graph("template", "all", NULL); }

static void test_cpu(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  each_graph("cpu", "all", NULL);
  each_graph("cpu", "none", NULL);
}

static void test_cpu_feature_levels(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  each_graph("cpu", "all", "avx2");
  each_graph("cpu", "all", "baseline");
}

static void test_each_fusion_kind(void **state) {
  static const char *const fuse[] = {"map", "rows", "contract", "attend", "map,rows", "map,rows,contract"};
  (void)state;
  for (int i = 0; i < 6; i++) {
    variant v = {"gpt", "train", SN_HAVE_LLVM ? "cpu" : "template", fuse[i], NULL, 1, 5, 1};
    check(&v);
  }
}

static void test_odd_sizes(void **state) {
  static const int64_t sizes[][2] = {{1, 1}, {1, 8}, {3, 1}, {2, 3}};
  (void)state;
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < 2; k++) {
      variant v = {models[k], "train", SN_HAVE_LLVM ? "cpu" : "template", "all", NULL, sizes[i][0], sizes[i][1], 1};
      check(&v);
    }
}

static void test_threads_change_nothing(void **state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    variant v = {models[k], "train", SN_HAVE_LLVM ? "cpu" : "template", "all", NULL, 3, 7, 1};
    uint64_t one = check(&v);
    for (v.threads = 2; v.threads <= 3; v.threads++) assert_true(check(&v) == one);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_template_unfused),
                                     cmocka_unit_test(test_template_fused),
                                     cmocka_unit_test(test_cpu),
                                     cmocka_unit_test(test_cpu_feature_levels),
                                     cmocka_unit_test(test_each_fusion_kind),
                                     cmocka_unit_test(test_odd_sizes),
                                     cmocka_unit_test(test_threads_change_nothing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
