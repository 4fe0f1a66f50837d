/* The chunked form of recurrences over matrices is the recurrence: values, last states and gradients in f64, for chunks
 * that divide the steps and others. Steps that are not of the form are refused, with the term that stops it. */
#include "support.h"

#include <math.h>

#include "ir/ref/error.h"
#include "tests/scan_chunks.h"

/* ---- steps that are hard to read --------------------------------------------------------------------------------- */

/* The square of a square, and so on: of what is free, and of what is captured. */
static sn_t powers(sn_t h[], const sn_t x[], const void *opt) {
  sn_t w = sn_einsum("v,k->vk", x[2], x[1]);
  (void)opt;
  for (int i = 0; i < 40; i++) w = sn_mul(w, w);
  h[0] = sn_add(h[0], w);
  return sn_einsum("vk,k->v", h[0], x[0]);
}
static sn_t captured_powers(sn_t h[], const sn_t x[], const void *opt) {
  sn_t w = *(const sn_t *)opt;
  for (int i = 0; i < 40; i++) w = sn_mul(w, w);
  h[0] = sn_add(sn_einsum("vk,kd->vd", h[0], w), sn_einsum("v,k->vk", x[2], x[1]));
  return sn_einsum("vk,k->v", h[0], x[0]);
}

/* More ops than forms are looked for in. */
static sn_t endless(sn_t h[], const sn_t x[], const void *opt) {
  sn_t k = x[1];
  (void)opt;
  for (int i = 0; i < 5000; i++) k = sn_sin(k);
  h[0] = sn_add(h[0], sn_einsum("v,k->vk", x[2], k));
  return sn_einsum("vk,k->v", h[0], x[0]);
} /* Values of more axes than are left for all steps: captured, linear in the state, made of what is read. */
static sn_t wide(sn_t h[], const sn_t x[], const void *opt) {
  const sn_t *w = opt;
  h[0] = sn_add(h[0], sn_einsum("v,k->vk", x[1], x[0]));
  sn_t rows = sn_einsum("vk,kdefg->vdefg", h[0], sn_einsum("k,defg->kdefg", x[0], *w));
  return sn_sum(sn_sin(rows), "vdefg->v");
}
static sn_t wide_captured(sn_t h[], const sn_t x[], const void *opt) {
  const sn_t *w = opt;
  h[0] = sn_add(h[0], sn_einsum("v,k->vk", x[1], x[0]));
  return sn_einsum("vdefg,defg->v", sn_einsum("vk,kdefg->vdefg", h[0], w[1]), *w);
}

static void free_squares(sn_scope m, const opts *c) {
  sn_t x[3], h = first(m, c, "S", c->value, c->key);
  qkv(m, c, x);
  sn_output(m, "y", sn_scan(powers, "bth", (&h), (x[0], x[1], x[2])));
}
static void captured_squares(sn_scope m, const opts *c) {
  sn_t x[3], h = first(m, c, "S", c->value, c->key), w = sn_param(m, "w", (c->key, c->key), .init = sn_normal(.5));
  qkv(m, c, x);
  sn_output(m, "y", sn_scan(captured_powers, "bth", (&h), (x[0], x[1], x[2]), .opt = &w));
}
static void many_ops(sn_scope m, const opts *c) {
  sn_t x[3], h = first(m, c, "S", c->value, c->key);
  qkv(m, c, x);
  sn_output(m, "y", sn_scan(endless, "bth", (&h), (x[0], x[1], x[2])));
}
static void many_axes(sn_scope m, sn_scan_step step) {
  sn_t x[2] = {sn_input(m, "k", SN_REAL, (2, 9, 2, 2, 3)), sn_input(m, "v", SN_REAL, (2, 9, 2, 2, 2))};
  sn_t h = sn_input(m, "S", SN_REAL, (2, 2, 2, 2, 3));
  sn_t w[2] = {sn_input(m, "w", SN_REAL, (2, 2, 2, 2)), sn_input(m, "u", SN_REAL, (3, 2, 2, 2, 2))};
  sn_output(m, "y", sn_scan(step, "btgh", (&h), (x[0], x[1]), .opt = w));
}
static void wide_rows(sn_scope m, const opts *c) { (void)c, many_axes(m, wide); }
static void wide_weights(sn_scope m, const opts *c) { (void)c, many_axes(m, wide_captured); }

SN_MODEL(hard, opts, free_squares, captured_squares, many_ops, wide_rows, wide_weights);

/* ---- comparison ------------------------------------------------------------------------------------------------- */

static bench *run(const char *graph, const char *settings, sn_scan_form form, int chunk, int64_t T) {
  bench *b = bench_begin_form(&sn_model_chunks, graph, settings, SN_ELEM_F64, form, chunk);
  bench_dim(b, "B", 2);
  bench_dim(b, "T", T);
  bench_run(b, graph);
  return b;
}

/* What the report says of the scans of a module. */
static const char *form_in(sn_module *m, sn_scan_form form, sn_arena *arena, sn_diags *d) {
  sn_target target = sn_target_cpu(SN_ISA_BASELINE);
  sn_pass_env env = {.arena = arena, .diags = d, .target = &target, .scan = form};
  assert_int_equal(sn_pass_inline(m, &env), SN_OK);
  if (sn_pass_scan(m, &env)) fail_msg("%s", sn_diags_print(d, arena));
  assert_true(env.refusal_count > 0);
  const char *text = env.refusal[0].reason;
  for (int i = 1; i < env.refusal_count; i++) assert_string_equal(text, env.refusal[i].reason);
  return text;
}

static const char *form_of(const sn_model *model, const char *graph, const char *settings, sn_arena *arena) {
  const char *set[8];
  sn_diags *d = sn_diags_create();
  sn_module *m = NULL;
  sn_model_opt opt = {.set = set, .graphs = graph};
  char *copy = sn_arena_strdup(arena, settings ? settings : ""), *rest = NULL;
  for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) set[opt.set_count++] = w;
  if (sn_model_build(model, &opt, arena, d, &m)) fail_msg("%s", sn_diags_print(d, arena));
  const char *text = form_in(m, SN_SCAN_AUTO, arena, d);
  sn_diags_destroy(d);
  return text;
}

static bool is_made(const bench *b) {
  for (int i = 0; i < b->module->func_count; i++)
    if (!strncmp(b->module->func[i]->name, "chunk", 5)) return true;
  return false;
}

/* All outputs agree to 1e-10 of the largest element. */
static void compare_of(const char *graph, const char *settings, int chunk, int64_t T) {
  bench *a = run(graph, settings, SN_SCAN_AUTO, 0, T), *b = run(graph, settings, SN_SCAN_CHUNKED, chunk, T);
  if (!is_made(b)) {
    const char *why = form_of(&sn_model_chunks, graph, NULL, b->arena);
    fail_msg("%s: the form was not made: %s", graph, why);
  }
  for (int i = 0; i < a->func->output_count; i++) {
    const char *name = a->func->output[i].name;
    const sn_tensor *x = bench_output(a, name), *y = bench_output(b, name);
    double largest = 0, off = 0;
    assert_int_equal(x->count, y->count);
    for (int64_t k = 0; k < x->count; k++) {
      largest = fmax(largest, fabs(x->value[k]));
      off = fmax(off, isfinite(y->value[k]) ? fabs(x->value[k] - y->value[k]) : INFINITY);
    }
    if (largest == 0 && strcmp(name, "g3")) fail_msg("%s %s is zero", graph, name);
    if (!(off <= 1e-10 * largest))
      fail_msg("%s, %d steps of %d: %s is off by %g of %g", graph, (int)T, chunk, name, off, largest);
  }
  bench_end(a);
  bench_end(b);
}

/* Chunks side by side, and, of more heads, in turn. */
static void compare(const char *graph, int chunk, int64_t T) {
  compare_of(graph, "heads=2", chunk, T);
  compare_of(graph, "heads=4", chunk, T);
}

static void chunks(void **state) {
  static const char *const graph[] = {"linear",  "heads",    "backwards", "channels", "gated",
                                      "removes", "corrects", "rewords",   "divides"};
  static const int chunk[] = {1, 7, 16, 64};
  (void)state;
  for (int i = 0; i < 9; i++) {
    for (int k = 0; k < 4; k++) compare(graph[i], chunk[k], 33);
    compare(graph[i], 16, 32);
    compare(graph[i], 7, 1);
    compare(graph[i], 0, 6);
  }
}

static void long_decays(void **state) {
  (void)state;
  compare("decays", 64, 500);
}

/* In the declared types: what is cast to bf16 is rounded. */
static void run_rounded(bench *b, const char *graph) {
  b->func = sn_module_find(b->module, graph);
  bench_fill(b, b->func);
  sn_interp in = {.arena = b->arena, .diags = b->diags, .dims = b->dims, .round = true};
  in.leaf_count = b->leaf_count, in.leaf = b->leaf;
  for (int i = 0; i < b->leaf_count; i++) {
    sn_tensor *t = (sn_tensor *)b->leaf[i].tensor;
    for (int64_t k = 0; k < t->count; k++) t->value[k] = sn_elem_round(t->elem, t->value[k]);
  }
  bench_check(b, sn_interp_run(&in, b->func, &b->values));
}

static void give_all(bench *b, const char *name, double x) {
  sn_tensor *t = bench_tensor(b, bench_leaf(b, name)->type[0]);
  for (int64_t i = 0; i < t->count; i++) bench_set(t, i, x);
  bench_bind(b, name, t);
}

static void same(const bench *b, const char *output, const char *leaf) {
  const sn_tensor *x = bench_output(b, output), *y = bench_bound(b, leaf);
  assert_int_equal(x->count, y->count);
  for (int64_t i = 0; i < x->count; i++)
    if (x->value[i] != y->value[i]) fail_msg("%s is not %s: %.9g, %.9g", output, leaf, x->value[i], y->value[i]);
}

/* With products of bf16, only what a chunk changes of a state is rounded: where that is nothing, the state and its
 * gradient stay what they are, bit by bit, over any number of chunks. */
static void narrow_of(const char *settings) {
  bench *b = bench_begin_form(&sn_model_chunks, "keeps", settings, SN_ELEM_F32, SN_SCAN_CHUNKED, 4);
  sn_pass_env env = {.arena = b->arena, .diags = b->diags, .precision = SN_ELEM_BF16};
  bench_check(b, sn_pass_precision(b->module, &env));
  assert_true(is_made(b));
  bench_dim(b, "B", 2);
  bench_dim(b, "T", 18);
  give_all(b, "w", 1);
  give_all(b, "b", 0);
  run_rounded(b, "keeps");
  same(b, "last", "S");
  same(b, "g", "by");
  bench_end(b);
}

static void narrow(void **state) {
  (void)state;
  narrow_of("heads=2");
  narrow_of("heads=4");
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

static void refuses(const char *graph, const char *term) {
  sn_arena *arena = sn_arena_create();
  const char *text = form_of(&sn_model_chunks, graph, NULL, arena), *at = strstr(text, term);
  if (strncmp(text, "sequential: not chunked, ", 25) || !at || !strstr(text, "scan_chunks.h:"))
    fail_msg("%s: %s", graph, text);
  sn_arena_destroy(arena);
}

static void refused(void **state) {
  (void)state;
  refuses("refused_tanh", "`tanh` at ");
  refuses("refused_square", "`contract` at ");
  refuses("refused_reads", "`mul` at ");
  refuses("refused_rows", "ties the axes of the state together");
  refuses("refused_fan", "reads the state by a matrix");
  refuses("refused_matrix", "multiplies the state by a whole matrix");
}

/* Values used twice, again and again, are read in no more time than there are ops; what is too large is a reason. */
static void hard_steps(void **state) {
  static const char *const graph[] = {"free_squares", "captured_squares", "many_ops", "wide_rows", "wide_weights"};
  static const char *const why[] = {"adds a matrix", "by a whole matrix", "more than 4096 ops", "too many axes for",
                                    "too many axes for"};
  (void)state;
  for (int i = 0; i < 5; i++) {
    sn_arena *arena = sn_arena_create();
    const char *text = form_of(&sn_model_hard, graph[i], NULL, arena);
    if (strncmp(text, "sequential: not chunked, ", 25) || !strstr(text, why[i])) fail_msg("%s: %s", graph[i], text);
    sn_arena_destroy(arena);
  }
}

/* What graphs as text may say, and the frontend does not. */
static void text_steps(const char *least, const char *product, const char *expected) {
  sn_arena *arena = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_module *m = NULL;
  const char *text = sn_arena_printf(arena,
                                     "sinter 1\ndims { T: %s..64 }\n"
                                     "body @step {\n"
                                     "  %%1 = arg index 0 : f32[2, 3]\n"
                                     "  %%2 = arg index 1 : f32[2]\n"
                                     "  %%3 = arg index 2 : f32[3]\n"
                                     "  %%4 = arg index 3 : f32[2]\n"
                                     "%s"
                                     "  %%8 = add %%1, %%7 : f32[2, 3]\n"
                                     "  %%9 = contract %%8, %%3 spec \"vk,k->v\" : f32[2]\n"
                                     "  return %%8, %%4, %%9\n}\n"
                                     "graph @shift {\n"
                                     "  %%1 = input name \"S\" : f32[2, 3]\n"
                                     "  %%2 = input name \"k\" : f32[T, 3]\n"
                                     "  %%3 = input name \"p\" : f32[2]\n"
                                     "  %%4 = input name \"v\" : f32[T, 2]\n"
                                     "  %%5, %%6, %%7 = scan %%1, %%3, %%2, %%4 axes \"t\" states 2 inputs 2 step @step"
                                     " : f32[2, 3], f32[2], f32[T, 2]\n"
                                     "  output \"y\" = %%7\n}\n",
                                     least, product);
  if (sn_module_parse(arena, d, "shift.sn", text, strlen(text), &m)) fail_msg("%s", sn_diags_print(d, arena));
  const char *said = form_in(m, SN_SCAN_CHUNKED, arena, d);
  if (!strstr(said, expected)) fail_msg("%s", said);
  assert_int_equal(d->count, 0);
  sn_diags_destroy(d);
  sn_arena_destroy(arena);
}

static void texts(void **state) {
  static const char outer[] = "  %7 = contract %4, %3 spec \"v,k->vk\" : f32[2, 3]\n";
  static const char spread[] =
      "  %5 = broadcast %4 shape [2, 3] axes [0] : f32[2, 3]\n"
      "  %6 = broadcast %3 shape [2, 3] axes [1] : f32[2, 3]\n"
      "  %7 = mul %5, %6 : f32[2, 3]\n";
  (void)state;
  text_steps("1", outer, "chunked: 16 steps a chunk");
  text_steps("1", spread, "chunked: 16 steps a chunk");
  text_steps("0", spread, "not chunked, there may be no step"); /* a state ends as the input of the last one */
}

/* ---- the models of the tree ------------------------------------------------------------------------------------- */

static void expect_form(const char *graph, const char *settings, const char *form) {
  sn_arena *arena = sn_arena_create();
  const char *text = form_of(&sn_model_chunks, graph, settings, arena);
  if (strncmp(text, form, strlen(form))) fail_msg("%s, %s: %s", graph, settings, text);
  sn_arena_destroy(arena);
}

/* Without gradients small states are walked, large ones go in chunks. */
static void choice(void **state) {
  (void)state;
  expect_form("reads", "heads=4 key=8 value=8",
              "sequential: not chunked, though the step has the form: chunks of 16 steps are predicted at 1.");
  expect_form("reads", "heads=4 key=64 value=64", "chunked: 16 steps a chunk, of which one state is kept; in turn");
  expect_form("reads", "heads=1 key=64 value=64", "chunked: 64 steps a chunk, of which one state is kept; decay by");
}

static void models(void **state) {
  static const char *const name[] = {"linear", "retnet", "ssd", "gla", "rwkv6", "deltanet", "gated_deltanet", "rwkv7"};
  (void)state;
  for (int i = 0; i < 8; i++) {
    sn_arena *arena = sn_arena_create();
    sn_diags *d = sn_diags_create();
    sn_model_file *f = NULL;
    const char *path = sn_arena_printf(arena, SN_SOURCE_DIR "/models/recurrent/%s.c", name[i]);
    if (sn_model_load(path, SN_BINARY_DIR "/test-model-cache", d, &f)) fail_msg("%s", sn_diags_print(d, arena));
    const char *train = form_of(sn_model_of(f), "train", NULL, arena),
               *step = form_of(sn_model_of(f), "decode", NULL, arena);
    if (strncmp(train, "chunked: 16 steps a chunk, of which one state is kept; in turn", 60))
      fail_msg("%s: %s", name[i], train);
    assert_string_equal(step, "decode: one step");
    sn_diags_destroy(d);
    sn_arena_destroy(arena);
    sn_model_unload(f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(chunks),  cmocka_unit_test(long_decays), cmocka_unit_test(narrow),
                                     cmocka_unit_test(refused), cmocka_unit_test(hard_steps),  cmocka_unit_test(texts),
                                     cmocka_unit_test(choice),  cmocka_unit_test(models)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
