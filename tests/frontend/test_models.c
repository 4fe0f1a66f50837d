/* The models of the tree: parameter counts, caches against the full forward pass, training, and the same graphs from
 * every C compiler. */
#include "tree.h"

#include <math.h>
#include <sys/wait.h>

#include "tests/oracles/params.h"
/* ---- parameter counts ----------------------------------------------------------------------------------------- */

/* Nothing is allocated: 26 GB would be needed for the largest. */
static void test_counts(void **state) {
  (void)state;
  static const struct {
    const char *published, *model, *graph, *settings;
  } rows[] = {
      {"gpt2", "gpt", "eval", "layers=12 heads=12 width=768 vocab=50257 context=1024 bias=1"},
      {"llama-2-7b", "llama", "eval", "layers=32 heads=32 kv_heads=32 width=4096 hidden=11008 vocab=32000"},
      {"mistral-7b", "llama", "eval", "layers=32 heads=32 kv_heads=8 width=4096 hidden=14336 vocab=32000"},
      {"bert-base", "bert", "encode", ""},
      {"bert-large", "bert", "encode", "layers=24 heads=16 width=1024"},
      {"mamba-130m", "recurrent/s6", "eval", "layers=24 width=768 inner=1536 rank=48 vocab=50280"},
      {"mamba2-130m", "recurrent/ssd", "eval", "layers=24 width=768 heads=24 key=128 vocab=50288"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_int_equal(tree_count(rows[i].model, rows[i].graph, rows[i].settings),
                     params_find(rows[i].published)->published);
  /* with the head of hidden tokens and that of next sentences */
  assert_int_equal(tree_count("bert", "eval_pretrain", ""), 109482240 + 624188);
  /* published without the bias of the head */
  assert_int_equal(tree_count("xlnet", "eval", "layers=12 heads=12 width=768 hidden=3072 vocab=32000 segments=1"),
                   116718336 + 32000);
}

/* ---- caches ------------------------------------------------------------------------------------------------------ */

enum { VOCAB = 11 };

static void give_tokens(bench *b, int rows, const int *from, int count) {
  double x[64];
  for (int r = 0; r < rows; r++) {
    for (int t = 0; t < count; t++)
      x[r * count + t] = (7 * (from[r] + t) + 3 * r * (from[r] + t) * (from[r] + t)) % VOCAB;
  }
  const sn_func *f = b->func;
  const sn_node *n = sn_node_of(f, sn_func_leaf(f, SN_OP_INPUT, "tokens"));
  sn_tensor *t = bench_tensor(b, n->type[0]);
  for (int i = 0; i < rows * count; i++) bench_set(t, i, x[i]);
  bench_bind(b, "tokens", t);
}

static void run_tokens(bench *b, const char *graph, const int *from, int count) {
  b->func = sn_module_find(b->module, graph);
  give_tokens(b, 2, from, count);
  bench_run(b, graph);
}

/* Row `t` of the last run against row `at` of a full run. */
static void same_logits(const bench *b, const sn_tensor *full, int r, int t, int at) {
  const sn_tensor *y = bench_output(b, "logits");
  for (int v = 0; v < VOCAB; v++) {
    double got = y->value[(r * y->extent[1] + t) * VOCAB + v];
    double want = full->value[(r * full->extent[1] + at) * VOCAB + v];
    assert_float_equal(got, want, 1e-6);
  }
}

/* Prefill of 5 tokens, then one at a time; the rows of the batch start at different positions. */
static void check_caches(const char *model, const char *settings, int total) {
  sn_model_file *f = tree_load(model);
  bench *b = bench_begin(sn_model_of(f), "logits|prefill|decode", settings, SN_ELEM_F64);
  const int zero[2] = {0, 0};
  bench_dim(b, "B", 2);
  bench_dim(b, "T", total);
  run_tokens(b, "logits", zero, total);
  const sn_tensor *full = bench_output(b, "logits");
  bench_dim(b, "T", 3);
  GIVE(b, "start", 0, 0);
  run_tokens(b, "prefill", zero, 3);
  for (int r = 0; r < 2; r++) {
    for (int t = 0; t < 3; t++) same_logits(b, full, r, t, t);
  }
  /* A second chunk; then row 1 goes back by one position and writes over it. */
  GIVE(b, "start", 3, 2);
  const int three[2] = {3, 2};
  bench_dim(b, "T", 2);
  run_tokens(b, "prefill", three, 2);
  for (int r = 0; r < 2; r++) {
    for (int t = 0; t < 2; t++) same_logits(b, full, r, t, three[r] + t);
  }
  for (int p = 5; p < total; p++) {
    const int from[2] = {p, p - 1};
    GIVE(b, "start", p, p - 1);
    run_tokens(b, "decode", from, 1);
    for (int r = 0; r < 2; r++) same_logits(b, full, r, 0, from[r]);
  }
  bench_end(b);
  sn_model_unload(f);
}

static void test_gpt_caches(void **state) {
  (void)state;
  check_caches("gpt", "layers=2 heads=2 width=8 vocab=11 context=9 bias=1", 9);
}

static void test_llama_caches(void **state) {
  (void)state;
  check_caches("llama", "layers=2 heads=4 kv_heads=2 width=16 hidden=12 vocab=11 context=9", 9);
}

/* Whatever positions are: rows that come one by one are where they would be in a whole sequence. */
static void test_positions_caches(void **state) {
  static const char *const scheme[] = {"scheme=0",
                                       "scheme=1",
                                       "scheme=2",
                                       "scheme=3",
                                       "scheme=4",
                                       "scheme=4 scaling=1 scale=4",
                                       "scheme=4 scaling=2 scale=4",
                                       "scheme=4 scaling=4 scale=4 trained=3"};
  (void)state;
  for (size_t i = 0; i < sizeof scheme / sizeof *scheme; i++) {
    char set[128];
    snprintf(set, sizeof set, "layers=2 heads=2 width=8 vocab=11 context=9 %s", scheme[i]);
    check_caches("positions", set, 9);
  }
}

/* A ring of 8 slots with a window of 4 against a full pass over 20 positions. */
static void test_llama_ring(void **state) {
  (void)state;
  sn_model_file *f = tree_load("llama");
  const char *small = "layers=2 heads=2 kv_heads=1 width=8 hidden=12 vocab=11 window=4 context=%d";
  char wide[128], ring[128];
  snprintf(wide, sizeof wide, small, 20);
  snprintf(ring, sizeof ring, small, 8);
  bench *a = bench_begin(sn_model_of(f), "logits", wide, SN_ELEM_F64);
  bench *b = bench_begin(sn_model_of(f), "prefill|decode", ring, SN_ELEM_F64);
  const int zero[2] = {0, 0};
  bench_dim(a, "B", 2);
  bench_dim(b, "B", 2);
  bench_dim(a, "T", 20);
  run_tokens(a, "logits", zero, 20);
  const sn_tensor *full = bench_output(a, "logits");
  bench_dim(b, "T", 6);
  GIVE(b, "start", 0, 0);
  run_tokens(b, "prefill", zero, 6);
  same_logits(b, full, 1, 5, 5);
  for (int p = 6; p < 12; p++) {
    const int from[2] = {p, p};
    GIVE(b, "start", p, p);
    run_tokens(b, "decode", from, 1);
    for (int r = 0; r < 2; r++) same_logits(b, full, r, 0, p);
  }
  const int twelve[2] = {12, 12}; /* chunks that wrap: 5 rows, window 4, ring 8 */
  GIVE(b, "start", 12, 12);
  bench_dim(b, "T", 5);
  run_tokens(b, "prefill", twelve, 5);
  for (int t = 0; t < 5; t++) same_logits(b, full, 1, t, 12 + t);
  bench_end(a);
  bench_end(b);
  sn_model_unload(f);
}

/* ---- training ---------------------------------------------------------------------------------------------------- */

static double last_value(const bench *b, const char *name) { return bench_output(b, name)->value[0]; }

static void check_training(const char *model, const char *settings) {
  sn_model_file *f = tree_load(model);
  bench *b = bench_begin(sn_model_of(f), "train|eval", settings, SN_ELEM_F32);
  const int zero[2] = {0, 0}, one[2] = {1, 1};
  bench_dim(b, "B", 2);
  bench_dim(b, "T", 4);
  b->func = sn_module_find(b->module, "train");
  give_tokens(b, 2, one, 4);
  bench_bind(b, "targets", bench_bound(b, "tokens"));
  GIVE(b, "lr", .02);
  GIVE(b, "warmup", 2);
  double first = 0;
  for (int i = 0; i < 12; i++) {
    run_tokens(b, "train", zero, 4);
    if (i == 0) first = last_value(b, "loss");
    assert_true(last_value(b, "grad_norm") > 0);
    assert_true(b->func->guard && b->values[b->func->guard]->value[0] == 1);
  }
  assert_float_equal(first, log(VOCAB), .2);
  assert_true(last_value(b, "loss") < .6 * first);
  assert_float_equal(bench_bound(b, "step")->value[0], 12, 0);
  run_tokens(b, "eval", zero, 4);
  assert_true(last_value(b, "loss") < .6 * first);
  bench_end(b);
  sn_model_unload(f);
}

static void test_gpt_training(void **state) {
  (void)state;
  check_training("gpt", "layers=2 heads=2 width=8 vocab=11 context=8 bias=1");
  check_training("gpt", "layers=1 heads=2 width=8 vocab=11 context=8");
}

static void test_llama_training(void **state) {
  (void)state;
  check_training("llama", "layers=2 heads=2 kv_heads=1 width=8 hidden=12 vocab=11 context=8");
}

/* ---- the same graphs from gcc and clang
 * --------------------------------------------------------------------------------- */

static const char *graphs_by(const char *cc, const char *model, sn_arena *arena) {
  assert_int_equal(setenv("CC", cc, 1), 0);
  sn_model_file *f = tree_load(model);
  sn_diags *d = sn_diags_create();
  sn_module *m;
  assert_int_equal(sn_model_build(sn_model_of(f), &(sn_model_opt){0}, arena, d, &m), SN_OK);
  sn_text t = sn_text_begin(arena);
  sn_module_print(&t, m, (sn_print_opt){0});
  sn_diags_destroy(d);
  sn_model_unload(f);
  return t.at;
}

static bool runs(const char *command) {
  int status = system(command);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_compilers(void **state) {
  (void)state;
  const char *clang = runs("clang-19 --version >/dev/null 2>&1") ? "clang-19"
                      : runs("clang --version >/dev/null 2>&1")  ? "clang"
                                                                 : NULL;
  if (!clang || !runs("gcc --version >/dev/null 2>&1")) skip();
  sn_arena *arena = sn_arena_create();
  const char *const models[] = {"gpt", "llama", "bert", "t5", "bart", "xlnet", "electra", "positions"};
  for (size_t i = 0; i < sizeof models / sizeof *models; i++)
    assert_string_equal(graphs_by("gcc", models[i], arena), graphs_by(clang, models[i], arena));
  unsetenv("CC");
  sn_arena_destroy(arena);
}

/* ---- graph text
 * ------------------------------------------------------------------------------------------------------------ */

static void test_mlp(void **state) {
  (void)state;
  FILE *file = fopen(SN_SOURCE_DIR "/models/mlp.sn", "rb");
  char text[16384];
  assert_non_null(file);
  size_t bytes = fread(text, 1, sizeof text, file);
  fclose(file);
  bench *b = calloc(1, sizeof *b);
  b->arena = sn_arena_create();
  b->diags = sn_diags_create();
  bench_check(b, sn_module_parse(b->arena, b->diags, "mlp.sn", text, bytes, &b->module));
  bench_flatten(b, SN_SCAN_AUTO, 0);
  bench_dim(b, "B", 5);
  GIVE(b, "targets", 0, 1, 2, 3, 1);
  double first = 0;
  for (int i = 0; i < 20; i++) {
    bench_run(b, "train");
    if (i == 0) first = last_value(b, "loss");
  }
  assert_true(last_value(b, "loss") < .5 * first);
  bench_end(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_counts),           cmocka_unit_test(test_gpt_caches), cmocka_unit_test(test_llama_caches),
      cmocka_unit_test(test_positions_caches), cmocka_unit_test(test_llama_ring), cmocka_unit_test(test_gpt_training),
      cmocka_unit_test(test_llama_training),   cmocka_unit_test(test_compilers),  cmocka_unit_test(test_mlp),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
