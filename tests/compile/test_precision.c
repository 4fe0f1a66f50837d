/* Models with products and attention of bf16, compiled: against the interpreter on the graph that the pass precision
 * made, which bounds the rounding of every operand; fused and unfused, tiles and vectors, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/build.h"
#include "tests/compile/harness.h"

static const char *const gpt[] = {"layers=1", "heads=2", "width=32", "context=24", "vocab=17"};
static const char *const llama[] = {"layers=1",  "heads=4",    "kv_heads=2", "width=32",
                                    "hidden=48", "context=24", "vocab=17"};

static sn_module *build(const char *model, const char *graph, sn_model_file **file, sn_arena *arena, sn_diags *diags) {
  bool is_gpt = !strcmp(model, "gpt");
  sn_model_opt opt = {.set_count = is_gpt ? 5 : 7, .set = is_gpt ? gpt : llama, .graphs = graph, .real = SN_ELEM_F32};
  sn_module *m = NULL;
  char path[512];
  snprintf(path, sizeof path, "%s/models/%s.c", SN_SOURCE_DIR, model);
  sn_code code = sn_model_load(path, NULL, diags, file);
  if (!code) code = sn_model_build(sn_model_of(*file), &opt, arena, diags, &m);
  if (code) fail_msg("%s", sn_diags_print(diags, arena));
  return m;
}

/* -> hash of all results */
static uint64_t check(const char *model, const char *graph, const char *fuse, const char *isa, int threads) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_model_file *file = NULL;
  sn_module *m = build(model, graph, &file, arena, diags);
  int64_t dims[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  const sn_dimx *b = sn_dimx_find_symbol(m->types, "B"), *t = sn_dimx_find_symbol(m->types, "T");
  if (b) dims[sn_dimx_symbol_index(b)] = 3;
  if (t) dims[sn_dimx_symbol_index(t)] = 11;
  /* A first step of AdamW goes by the sign of each gradient: where rounding may turn it, some run must have done so. */
  int runs = strcmp(graph, "train") ? 8 : 32;
  bool serves = !strcmp(graph, "prefill") || !strcmp(graph, "decode");
  check_opt o = {
      .compile = {.target = SN_HAVE_LLVM ? "cpu" : "template", .fuse = fuse, .isa = isa, .precision = "bf16"},
      .graph = graph,
      .dims = dims,
      .seed = 11,
      .spread = runs,
      .factor = 4,
      .threads = threads,
      .int_limit = serves ? 1 : 17,
      .scale = 0.3};
  check_result r;
  if (check_graph(m, &o, arena, diags, &r)) fail_msg("%s %s: %s", model, graph, sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("%s %s fuse %s isa %s: %s", model, graph, fuse, isa ? isa : "all", r.first);
  assert_true(r.total > 0 && r.excluded * 100 <= r.total);
  sn_model_unload(file);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return r.hash;
}

static void training(void **state) {
  (void)state;
  check("gpt", "train", "all", NULL, 1);
  check("gpt", "train", "none", NULL, 1);
  check("llama", "train", "all", NULL, 1);
}

static void serving(void **state) {
  (void)state;
  check("gpt", "prefill", "all", NULL, 1);
  check("gpt", "decode", "all", NULL, 1);
  check("llama", "decode", "all", NULL, 1);
}

static void threads_change_nothing(void **state) {
  (void)state;
  uint64_t one = check("gpt", "eval", "all", NULL, 1);
  assert_true(check("gpt", "eval", "all", NULL, 2) == one);
}

static void every_level(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  check("gpt", "eval", "all", "avx512", 1);
  check("gpt", "eval", "all", "avx2", 1);
  check("gpt", "eval", "all", "baseline", 1);
}

static void another_name_is_refused(void **state) {
  (void)state;
  sn_diags *diags = sn_diags_create();
  sn_elem e;
  assert_int_equal(sn_compile_precision("f16", diags, &e), SN_ERR_USAGE);
  assert_non_null(strstr(diags->at[0].message, "f32 or bf16"));
  assert_int_equal(sn_compile_precision(NULL, diags, &e), SN_OK);
  assert_int_equal(e, SN_ELEM_F32);
  sn_diags_destroy(diags);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(training), cmocka_unit_test(serving),
                                     cmocka_unit_test(threads_change_nothing), cmocka_unit_test(every_level),
                                     cmocka_unit_test(another_name_is_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
