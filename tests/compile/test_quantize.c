/* Weights of products in int8, compiled: against the interpreter on the graph that the pass quantize made; models,
 * fused and unfused, levels, threads; single products whose bounds are proven; and what is made of weights alone is
 * made once, and again when they change. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/build.h"
#include "tests/compile/harness.h"

static const char *const cpu = SN_HAVE_LLVM ? "cpu" : "template";

/* ---- models ------------------------------------------------------------------------------------------------------ */

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
static uint64_t check(const char *model, const char *graph, sn_compile_opt compile, int threads) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_model_file *file = NULL;
  sn_module *m = build(model, graph, &file, arena, diags);
  int64_t dims[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  const sn_dimx *b = sn_dimx_find_symbol(m->types, "B"), *t = sn_dimx_find_symbol(m->types, "T");
  if (b) dims[sn_dimx_symbol_index(b)] = 3;
  if (t) dims[sn_dimx_symbol_index(t)] = 11;
  bool serves = !strcmp(graph, "prefill") || !strcmp(graph, "decode");
  compile.target = cpu, compile.quantize = "int8";
  check_opt o = {.compile = compile,
                 .graph = graph,
                 .dims = dims,
                 .seed = 11,
                 .spread = 8,
                 .factor = 4,
                 .threads = threads,
                 .int_limit = serves ? 1 : 17,
                 .scale = 0.3};
  check_result r;
  if (check_graph(m, &o, arena, diags, &r)) fail_msg("%s %s: %s", model, graph, sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("%s %s: %s", model, graph, r.first);
  assert_true(r.total > 0 && r.excluded * 100 <= r.total);
  sn_model_unload(file);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return r.hash;
}

static void serving(void **state) {
  (void)state;
  check("gpt", "prefill", (sn_compile_opt){0}, 1);
  check("gpt", "decode", (sn_compile_opt){0}, 1);
  check("llama", "decode", (sn_compile_opt){0}, 1);
  check("llama", "eval", (sn_compile_opt){0}, 1);
}

static void unfused(void **state) {
  (void)state;
  check("gpt", "eval", (sn_compile_opt){.fuse = "none"}, 1);
  check("llama", "decode", (sn_compile_opt){.disabled = "fuse.ahead"}, 1);
}

static void with_bf16(void **state) {
  (void)state;
  check("gpt", "decode", (sn_compile_opt){.precision = "bf16"}, 1);
}

static void threads_change_nothing(void **state) {
  (void)state;
  uint64_t one = check("gpt", "eval", (sn_compile_opt){0}, 1);
  assert_true(check("gpt", "eval", (sn_compile_opt){0}, 2) == one);
}

static void every_level(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  check("gpt", "eval", (sn_compile_opt){.isa = "avx512"}, 1);
  check("gpt", "decode", (sn_compile_opt){.isa = "avx2"}, 1);
  check("gpt", "eval", (sn_compile_opt){.isa = "baseline"}, 1);
}

/* ---- single products --------------------------------------------------------------------------------------------- */

/* Tails everywhere; a weight from either side; one seen through a slice; few rows and many. */
static const char products[] =
    "sinter 1\n"
    "dims { B: 1..64 }\n"
    "graph @g {\n"
    "  %1 = input name \"x\" : f32[B, 41]\n"
    "  %2 = param name \"w\" init \"normal\" a 1 : f32[41, 70]\n"
    "  %3 = contract %1, %2 spec \"bk,kn->bn\" : f32[B, 70]\n"
    "  %4 = param name \"v\" init \"normal\" a 1 : f32[33, 41]\n"
    "  %5 = contract %4, %1 spec \"nk,bk->bn\" : f32[B, 33]\n"
    "  %6 = slice %2 start [0, 6] shape [41, 12] : f32[41, 12]\n"
    "  %7 = contract %6, %1 spec \"kn,bk->nb\" : f32[12, B]\n"
    "  %8 = exp %5 : f32[B, 33]\n"
    "  output \"a\" = %3\n"
    "  output \"b\" = %8\n"
    "  output \"c\" = %7\n"
    "}\n";

/* A sum in blocks. */
static const char deep[] =
    "sinter 1\n"
    "dims { B: 1..64 }\n"
    "graph @g {\n"
    "  %1 = input name \"x\" : f32[B, 9001]\n"
    "  %2 = param name \"w\" init \"normal\" a 1 : f32[9001, 5]\n"
    "  %3 = contract %1, %2 spec \"bk,kn->bn\" : f32[B, 5]\n"
    "  output \"y\" = %3\n"
    "}\n";

/* With this seed no weight lies so near to a half step that its number is not known: all results are compared. */
enum { SEED = 4 };

static check_result compiled(const char *text, sn_compile_opt compile, int64_t rows, sn_arena *arena, sn_diags *diags) {
  int64_t dims[1] = {rows};
  compile.quantize = "int8";
  if (!compile.target) compile.target = cpu;
  check_opt o = {.compile = compile, .graph = "g", .dims = dims, .seed = SEED, .scale = 0.5};
  check_result r;
  if (check_graph(check_parse(arena, diags, text), &o, arena, diags, &r)) fail_msg("%s", sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("isa %s, %lld rows: %s", compile.isa ? compile.isa : "all", (long long)rows, r.first);
  assert_true(r.total > 0 && r.excluded == 0);
  return r;
}

static void proven_bounds(void **state) {
  (void)state;
  const char *const isa[] = {NULL, "avx512", "avx2", "baseline"};
  const int64_t rows[] = {1, 7, 64};
  for (int i = 0; i < (SN_HAVE_LLVM ? 4 : 1); i++)
    for (int k = 0; k < 3; k++) {
      sn_arena *arena = sn_arena_create();
      sn_diags *diags = sn_diags_create();
      compiled(products, (sn_compile_opt){.isa = isa[i]}, rows[k], arena, diags);
      if (!k) compiled(deep, (sn_compile_opt){.isa = isa[i]}, rows[k], arena, diags);
      if (!i) compiled(products, (sn_compile_opt){.target = "template"}, rows[k], arena, diags);
      sn_diags_destroy(diags);
      sn_arena_destroy(arena);
    }
}

static void on_a_device(void **state) {
  (void)state;
  if (!check_has_vulkan()) skip();
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  compiled(products, (sn_compile_opt){.target = "vulkan"}, 7, arena, diags);
  compiled(products, (sn_compile_opt){.target = "vulkan"}, 1, arena, diags);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

/* What a run does is the products; they read numbers of one byte where columns are packed, else as they lie. */
static void numbers_are_made_once(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  check_result r = compiled(products, (sn_compile_opt){0}, 7, arena, diags);
  const sn_plan *p = r.compiled.plan;
  for (int i = 0; i < p->graph[0].step_count; i++) {
    const sn_step *s = &p->graph[0].step[i];
    assert_string_equal(s->kind_name, "contract");
    bool narrow = false;
    for (int k = 0; k < s->arg_count; k++) {
      const sn_slot *slot = s->arg[k].is_slot ? &p->slot[s->arg[k].index] : NULL;
      narrow |= slot && slot->role == SN_SLOT_PACKED && slot->type->elem == SN_ELEM_I8;
      assert_false(slot && slot->role == SN_SLOT_PARAM);
    }
    assert_true(narrow);
  }
  assert_true(p->prepare_count > 0);
  check_result again = compiled(products, (sn_compile_opt){.disabled = "fuse.ahead"}, 7, arena, diags);
  assert_true(again.compiled.plan->graph[0].step_count > p->graph[0].step_count);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

/* Numbers are widened in registers: no kernel has room for the columns in f32. */
static void no_copy_of_columns(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  static const char text[] =
      "sinter 1\n"
      "dims { B: 1..64 }\n"
      "graph @g {\n"
      "  %1 = input name \"x\" : f32[B, 512]\n"
      "  %2 = param name \"w\" init \"normal\" a 1 : f32[512, 192]\n"
      "  %3 = contract %1, %2 spec \"bk,kn->bn\" : f32[B, 192]\n"
      "  output \"y\" = %3\n"
      "}\n";
  static const char *const isa[] = {NULL, "avx2", "baseline"};
  for (int i = 0; i < 3; i++) {
    sn_arena *arena = sn_arena_create();
    sn_diags *diags = sn_diags_create();
    sn_compile_opt o = {.target = "cpu", .quantize = "int8", .isa = isa[i], .cache_dir = check_cache()};
    sn_compiled c;
    if (sn_compile(check_parse(arena, diags, text), &o, arena, diags, &c)) fail_msg("%s", sn_diags_print(diags, arena));
    assert_int_equal(c.plan->graph[0].step_count, 1);
    assert_true(c.plan->code[c.plan->graph[0].step[0].code].workspace_bytes < INT64_C(512) * 16 * 4);
    sn_diags_destroy(diags);
    sn_arena_destroy(arena);
  }
}

/* ---- weights that change ----------------------------------------------------------------------------------------- */

enum { DEPTH = 6, CHANNELS = 3 };

static const char one[] =
    "sinter 1\n"
    "graph @g {\n"
    "  %1 = input name \"x\" : f32[1, 6]\n"
    "  %2 = param name \"w\" init \"normal\" a 1 : f32[6, 3]\n"
    "  %3 = contract %1, %2 spec \"bk,kn->bn\" : f32[1, 3]\n"
    "  output \"z\" = %3\n"
    "}\n"
    "graph @h {\n"
    "  %1 = input name \"x\" : f32[1, 6]\n"
    "  %2 = param name \"w\" init \"normal\" a 1 : f32[6, 3]\n"
    "  %3 = contract %1, %2 spec \"bk,kn->bn\" : f32[1, 3]\n"
    "  %4 = neg %3 : f32[1, 3]\n"
    "  output \"z\" = %4\n"
    "}\n";

typedef struct session {
  sn_compiled compiled;
  sn_runtime *runtime;
  sn_store *store;
  sn_diags *diags;
} session;

/* x = 1, 2, .. */
static void run(session *s, const char *graph, float *z) {
  _Alignas(64) float x[16], out[16];
  for (int k = 0; k < DEPTH; k++) x[k] = (float)(k + 1);
  const sn_buffer b[2] = {{.name = "x", .data = x, .rank = 2, .extent = {1, DEPTH}},
                          {.name = "z", .data = out, .rank = 2, .extent = {1, CHANNELS}}};
  if (sn_run(s->runtime, s->store, graph, 2, b, s->diags)) fail_msg("%s", sn_diags_print(s->diags, s->diags->arena));
  memcpy(z, out, CHANNELS * sizeof *z);
}

/* Weights of channel n are w[n] times 127, -127, 3, 3, .., whose steps are w[n]: results are exact. */
static void set_weights(session *s, const float *w) {
  int64_t bytes;
  float *data = sn_store_data(s->store, sn_plan_find_slot(s->compiled.plan, -1, "w"), &bytes);
  assert_int_equal(bytes, DEPTH * CHANNELS * sizeof *data);
  for (int k = 0; k < DEPTH; k++)
    for (int n = 0; n < CHANNELS; n++) data[k * CHANNELS + n] = w[n] * (k == 0 ? 127 : k == 1 ? -127 : 3);
  sn_store_touch(s->store);
}

static void expect(session *s, const float *w) {
  float z[CHANNELS];
  const float sum = 127 - 2 * 127 + 3 * (3 + 4 + 5 + 6);
  run(s, "g", z);
  for (int n = 0; n < CHANNELS; n++) assert_true(z[n] == w[n] * sum);
  run(s, "h", z);
  for (int n = 0; n < CHANNELS; n++) assert_true(z[n] == -w[n] * sum);
}

static void begin(session *s, const char *quantize, sn_arena *arena) {
  sn_compile_opt o = {.target = cpu, .quantize = quantize, .cache_dir = check_cache()};
  *s = (session){.diags = sn_diags_create()};
  sn_code code = sn_compile(check_parse(arena, s->diags, one), &o, arena, s->diags, &s->compiled);
  sn_runtime_opt ro = sn_compile_runtime_opt(&s->compiled, 1);
  if (!code) code = sn_runtime_create(s->compiled.plan, &ro, s->diags, &s->runtime);
  if (!code) code = sn_store_create(s->runtime, 1, NULL, s->diags, &s->store);
  if (code) fail_msg("%s", sn_diags_print(s->diags, arena));
}

static void end(session *s) {
  sn_store_destroy(s->store);
  sn_runtime_destroy(s->runtime);
  sn_diags_destroy(s->diags);
}

/* A channel of zeros gives 0, its scale is 0; both graphs share what is made. */
static void weights_are_read_again(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  session s;
  begin(&s, "int8", arena);
  const float first[CHANNELS] = {0.5f, 0, 2}, second[CHANNELS] = {-8, 4, 0};
  set_weights(&s, first);
  expect(&s, first);
  expect(&s, first);
  set_weights(&s, second);
  expect(&s, second);
  int numbers = 0;
  for (int i = 0; i < s.compiled.plan->slot_count; i++) {
    const sn_slot *slot = &s.compiled.plan->slot[i];
    numbers += slot->role == SN_SLOT_PACKED && slot->type->elem == SN_ELEM_I8 && slot->type->rank == 2;
  }
  assert_int_equal(numbers, 1);
  end(&s);
  sn_arena_destroy(arena);
}

/* What is not finite is not hidden. */
static void nan_and_infinity(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  session s;
  float z[CHANNELS];
  begin(&s, "int8", arena);
  const float bad[CHANNELS] = {NAN, INFINITY, 1};
  set_weights(&s, bad);
  run(&s, "g", z);
  assert_true(isnan(z[0]) && isnan(z[1]) && z[2] == 127 - 2 * 127 + 3 * 18);
  end(&s);
  sn_arena_destroy(arena);
}

/* The interpreter runs the graph with weights in int8, too. */
static void the_interpreter(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  for (int i = 0; i < 2; i++) {
    sn_compile_opt o = {.target = "ref", .quantize = i ? "int8" : NULL, .cache_dir = check_cache()};
    session s = {.diags = sn_diags_create()};
    sn_code code = sn_compile(check_parse(arena, s.diags, one), &o, arena, s.diags, &s.compiled);
    sn_runtime_opt ro = sn_compile_runtime_opt(&s.compiled, 1);
    if (!code) code = sn_runtime_create(s.compiled.plan, &ro, s.diags, &s.runtime);
    if (!code) code = sn_store_create(s.runtime, 1, NULL, s.diags, &s.store);
    if (code) fail_msg("%s", sn_diags_print(s.diags, arena));
    int64_t bytes;
    float *w = sn_store_data(s.store, sn_plan_find_slot(s.compiled.plan, -1, "w"), &bytes), z[CHANNELS];
    for (int k = 0; k < DEPTH * CHANNELS; k++) w[k] = k < CHANNELS ? 127 : 0.25f; /* a quarter of a step: nothing */
    run(&s, "g", z);
    assert_true(z[0] == (i ? 127 : 127 + 0.25f * (2 + 3 + 4 + 5 + 6)));
    end(&s);
  }
  sn_arena_destroy(arena);
}

static void another_name_is_refused(void **state) {
  (void)state;
  sn_diags *diags = sn_diags_create();
  sn_elem e;
  assert_int_equal(sn_compile_quantize("int4", diags, &e), SN_ERR_USAGE);
  assert_non_null(strstr(diags->at[0].message, "int8 or none"));
  assert_int_equal(sn_compile_quantize(NULL, diags, &e), SN_OK);
  assert_int_equal(e, SN_ELEM_NONE);
  sn_diags_destroy(diags);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(serving),
      cmocka_unit_test(unfused),
      cmocka_unit_test(with_bf16),
      cmocka_unit_test(threads_change_nothing),
      cmocka_unit_test(every_level),
      cmocka_unit_test(proven_bounds),
      cmocka_unit_test(on_a_device),
      cmocka_unit_test(numbers_are_made_once),
      cmocka_unit_test(no_copy_of_columns),
      cmocka_unit_test(weights_are_read_again),
      cmocka_unit_test(nan_and_infinity),
      cmocka_unit_test(the_interpreter),
      cmocka_unit_test(another_name_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
