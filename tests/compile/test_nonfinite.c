/* NaN and Inf: the run fails, no bit of a parameter or state changes, and the first op that gave them is named with its
 * line; the run after it works. On every target. */
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

enum { N = 5, LINE = 7 }; /* elements; line of the op under test */

typedef struct session {
  sn_arena *arena;
  sn_diags *diags;
  sn_model_file *file;
  sn_module *module;
  sn_compiled compiled;
  sn_runtime *runtime;
  sn_store *store;
} session;

static void must(const session *s, sn_code code) {
  if (code) fail_msg("%s", sn_diags_print(s->diags, s->arena));
}

static session begin(void) { return (session){.arena = sn_arena_create(), .diags = sn_diags_create()}; }

static void prepare(session *s, const char *target) {
  sn_compile_opt co = {.target = target, .cache_dir = check_cache()};
  must(s, sn_compile(s->module, &co, s->arena, s->diags, &s->compiled));
  sn_runtime_opt ro = sn_compile_runtime_opt(&s->compiled, 2);
  must(s, sn_runtime_create(s->compiled.plan, &ro, s->diags, &s->runtime));
  must(s, sn_store_create(s->runtime, 1, NULL, s->diags, &s->store));
}

static void end(session *s) {
  sn_store_destroy(s->store);
  sn_runtime_destroy(s->runtime);
  sn_model_unload(s->file);
  sn_diags_destroy(s->diags);
  sn_arena_destroy(s->arena);
}

/* Every bit of the parameters and states. */
static uint64_t fingerprint(const session *s) {
  uint64_t hash = 0;
  const sn_plan *p = s->compiled.plan;
  for (int i = 0; i < p->slot_count; i++) {
    int64_t bytes;
    if (p->slot[i].role != SN_SLOT_PARAM && p->slot[i].role != SN_SLOT_STATE) continue;
    const void *data = sn_store_data(s->store, i, &bytes);
    if (data) hash = sn_hash_bytes(data, (size_t)bytes, hash);
  }
  return hash;
}

/* The run fails and changes nothing; what is to blame. */
static const char *blame(session *s, const char *graph, int count, const sn_buffer *buffers) {
  uint64_t before = fingerprint(s);
  assert_int_equal(sn_run(s->runtime, s->store, graph, count, buffers, s->diags), SN_ERR_NUMERIC);
  assert_true(fingerprint(s) == before);
  sn_diags *found = sn_diags_create();
  sn_code code =
      sn_compile_blame(&s->compiled, graph, sn_runtime_dims(s->runtime), sn_runtime_slots(s->runtime), found);
  const char *text = sn_diags_print(found, s->arena);
  sn_diags_destroy(found);
  if (code != SN_ERR_NUMERIC) fail_msg("nothing is blamed: %s", text);
  assert_true(fingerprint(s) == before);
  return text;
}

static void expect_part(const char *text, const char *part) {
  if (!strstr(text, part)) fail_msg("expected \"%s\" in: %s", part, text);
}

/* ---- single ops -------------------------------------------------------------------------------------------------- */

typedef struct culprit {
  const char *op;   /* statement after `%6 = ` */
  const char *name; /* what is blamed */
  double bad;       /* element 2 of the input; the others are 1 */
} culprit;

static const culprit culprits[] = {
    {"log %1 : f32[5]", "`log` gives -inf", 0},
    {"log %1 : f32[5]", "`log` gives nan", -1},
    {"sqrt %1 : f32[5]", "`sqrt` gives nan", -1},
    {"rsqrt %1 : f32[5]", "`rsqrt` gives inf", 0},
    {"div %2, %1 : f32[5]", "`div` gives", 0},
    {"exp %1 : f32[5]", "`exp` gives", 200},
    {"mul %1, %1 : f32[5]", "`mul` gives", 1e25},
    {"pow %1, %5 : f32[5]", "`pow` gives nan", -2},
    {"softmax %1 axis 0 : f32[5]", "`input` gives nan", NAN},
    {"square %1 : f32[5]", "`square` gives", -1e30},
};

static const char *text_of(const culprit *c, sn_arena *arena) {
  return sn_arena_printf(arena,
                         "sinter 1\n"
                         "graph @train {\n"
                         "  %%1 = input name \"x\" : f32[5]\n"
                         "  %%2 = param name \"w\" init \"normal\" a 1 : f32[5]\n"
                         "  %%3 = state name \"m\" init \"fill\" a 0.25 : f32[5]\n"
                         "  %%5 = const value 0.5 : f32[5]\n"
                         "  %%6 = %s\n"
                         "  %%7 = mul %%6, %%2 : f32[5]\n"
                         "  %%8 = sum %%7 axes [0] : f32[]\n"
                         "  %%9 = grad %%8, %%2 : f32[5]\n"
                         "  %%10 = add %%3, %%9 : f32[5]\n"
                         "  %%11 = sub %%2, %%10 : f32[5]\n"
                         "  %%12 = isfinite %%8 : bool[]\n"
                         "  output \"loss\" = %%8\n"
                         "  update %%2 = %%11\n"
                         "  update %%3 = %%10\n"
                         "  guard %%12\n"
                         "}\n",
                         c->op);
}

static void check_culprit(const culprit *c, const char *target) {
  session s = begin();
  float x[N] = {1, 1, (float)c->bad, 1, 1}, loss;
  sn_buffer b[] = {{"x", x, 1, {N}}, {"loss", &loss, 0, {0}}};
  s.module = check_parse(s.arena, s.diags, text_of(c, s.arena));
  prepare(&s, target);
  const char *text = blame(&s, "train", 2, b);
  expect_part(text, c->name);
  if (c->name[1] != 'i') expect_part(text, sn_arena_printf(s.arena, "test.sn:%d", LINE));
  uint64_t before = fingerprint(&s);
  for (int i = 0; i < N; i++) x[i] = 1.5f + (float)i / 8;
  must(&s, sn_run(s.runtime, s.store, "train", 2, b, s.diags));
  assert_true(fingerprint(&s) != before);
  end(&s);
}

static void each_op(const char *target) {
  for (size_t i = 0; i < sizeof culprits / sizeof culprits[0]; i++) check_culprit(&culprits[i], target);
}

static void ops_are_named_by_the_interpreter(void **state) { (void)state, each_op("ref"); }
static void ops_are_named_on_the_template(void **state) { (void)state, each_op("template"); }
static void ops_are_named_on_the_cpu(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  each_op("cpu");
}

/* ---- a model ----------------------------------------------------------------------------------------------------- */

static void poison(session *s, const char *name, float value) {
  int64_t bytes;
  float *w = sn_store_data(s->store, sn_plan_find_slot(s->compiled.plan, -1, name), &bytes);
  assert_non_null(w);
  for (int64_t i = 0; i < bytes / 4; i++) w[i] = i % 3 ? value : -value; /* norms have sum 0 */
  sn_store_touch(s->store);
}

static void check_model(const char *param, float value, const char *op, const char *where) {
  static const char *const set[] = {"layers=2", "heads=2", "width=16", "context=8", "vocab=17"};
  session s = begin();
  int32_t tokens[2][8] = {{1, 2, 3, 4, 5, 6, 7, 8}, {9, 10, 11, 12, 13, 14, 15, 16}}, targets[2][8] = {{0}};
  float loss;
  sn_buffer b[] = {{"tokens", tokens, 2, {2, 8}}, {"targets", targets, 2, {2, 8}}, {"loss", &loss, 0, {0}}};
  sn_model_opt opt = {.set_count = 5, .set = set, .graphs = "train", .real = SN_ELEM_F32};
  must(&s, sn_model_load(SN_SOURCE_DIR "/models/gpt.c", NULL, s.diags, &s.file));
  must(&s, sn_model_build(sn_model_of(s.file), &opt, s.arena, s.diags, &s.module));
  prepare(&s, SN_HAVE_LLVM ? "cpu" : "template");
  must(&s, sn_run(s.runtime, s.store, "train", 3, b, s.diags));
  poison(&s, param, value);
  const char *text = blame(&s, "train", 3, b);
  expect_part(text, op);
  expect_part(text, where);
  end(&s);
}

static void layers_of_a_model_are_named(void **state) {
  (void)state;
  check_model("wte.weight", NAN, "`param` gives nan", "gpt.c:");
  check_model("h.1.mlp.c_fc.weight", 3e38f, "`contract` gives", "in layer h.1");
  check_model("h.0.ln_2.weight", 3e38f, "gives", "in layer h.0");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ops_are_named_by_the_interpreter),
      cmocka_unit_test(ops_are_named_on_the_template),
      cmocka_unit_test(ops_are_named_on_the_cpu),
      cmocka_unit_test(layers_of_a_model_are_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
