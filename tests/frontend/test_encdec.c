/* Encoder-decoders of the tree: parameter counts, padding, losses at some places, and decoding with keys and values of
 * the source that are computed once. */
#include "tree.h"

#include <math.h>

static const struct {
  const char *model, *small;
} models[] = {
    {"t5", "layers=2 heads=2 head=4 width=8 hidden=12 vocab=11 context=7 buckets=8 far=6"},
    {"bart", "layers=2 heads=2 width=8 hidden=12 vocab=11 context=7"},
};
enum { MODELS = 2, VOCAB = 11, WIDTH = 8, ROWS = 3, SOURCE = 5, TARGET = 6 };

/* ---- parameter counts --------------------------------------------------------------------------------------- */

static void test_counts(void **state) {
  (void)state;
  const char *t5 = "layers=6 heads=8 head=64 width=512 hidden=2048 vocab=32128 context=512";
  assert_int_equal(tree_count("t5", "eval", t5), 60506624);
  assert_int_equal(tree_count("t5", "eval", "layers=12 heads=12 head=64 width=768 hidden=3072 vocab=32128 context=512"),
                   222903552);
  const char *bart = "layers=12 heads=16 width=1024 hidden=4096 vocab=50265 context=1024";
  assert_int_equal(tree_count("bart", "eval", bart), 406291456);
  assert_int_equal(tree_count("bart", "eval", "layers=6 heads=12 width=768 hidden=3072 vocab=50265 context=1024"),
                   139420416);
  /* What a step of decoding reads: the decoder, without keys and values of the source, and the embedding. */
  assert_int_equal(tree_count("t5", "decode", t5),
                   32128 * 512 + 32 * 8 + 512 + 6 * (6 * 512 * 512 + 2 * 512 * 2048 + 3 * 512));
  assert_int_equal(tree_count("bart", "decode", bart),
                   50265 * 1024 + 1026 * 1024 + 2 * 1024 +
                       12 * (6 * (1024 * 1024 + 1024) + 2 * 1024 * 4096 + 4096 + 1024 + 3 * 2 * 1024));
}

/* ---- what is fed -------------------------------------------------------------------------------------------- */

static double token(int r, int t) { return (7 * t + 3 * r * t * t + r) % VOCAB; }
static const double source_length[ROWS] = {SOURCE, 2, 3}, length[ROWS] = {TARGET, 4, 1};

/* Rows `from` .. of [ROWS, width], padded with `pad` behind the lengths, if any. */
static void give(bench *b, const char *name, int from, int width, int salt, const double *lengths, double pad) {
  double x[ROWS * TARGET];
  for (int r = 0; r < ROWS; r++) {
    for (int t = 0; t < width; t++) x[r * width + t] = lengths && t >= lengths[r] ? pad : token(r + salt, from + t);
  }
  bench_give(b, name, ROWS * width, x);
}

static void give_source(bench *b, double pad) {
  bench_dim(b, "B", ROWS);
  bench_dim(b, "S", SOURCE);
  give(b, "source", 0, SOURCE, 4, source_length, pad);
  bench_give(b, "source_length", ROWS, source_length);
}

/* ---- decoding ----------------------------------------------------------------------------------------------- */

static void same_row(const bench *b, const sn_tensor *full, int r, int t, int at) {
  const sn_tensor *y = bench_output(b, "logits");
  for (int v = 0; v < VOCAB; v++) {
    double want = full->value[(r * full->extent[1] + at) * VOCAB + v];
    assert_float_equal(y->value[(r * y->extent[1] + t) * VOCAB + v], want, 1e-10);
  }
}

static void check_steps(int i) {
  sn_model_file *f = tree_load(models[i].model);
  bench *b = bench_begin(sn_model_of(f), "logits|encode|prefill|decode", models[i].small, SN_ELEM_F64);
  give_source(b, 0);
  bench_dim(b, "T", TARGET);
  give(b, "tokens", 0, TARGET, 0, NULL, 0);
  bench_run(b, "logits");
  const sn_tensor *full = bench_output(b, "logits");
  give_source(b, 9); /* what stands behind the end of a source is not seen */
  bench_run(b, "logits");
  for (int r = 0; r < ROWS; r++) {
    for (int t = 0; t < TARGET; t++) same_row(b, full, r, t, t);
  }
  bench_run(b, "encode");
  bench_dim(b, "T", 2);
  GIVE(b, "start", 0, 0, 0);
  b->func = sn_module_find(b->module, "prefill");
  double two[ROWS * 2], one[ROWS];
  for (int r = 0; r < ROWS; r++) two[2 * r] = token(r, 0), two[2 * r + 1] = token(r, 1);
  sn_tensor *t = bench_tensor(b, sn_node_of(b->func, sn_func_leaf(b->func, SN_OP_INPUT, "tokens"))->type[0]);
  for (int k = 0; k < ROWS * 2; k++) bench_set(t, k, two[k]);
  bench_bind(b, "tokens", t);
  bench_run(b, "prefill");
  for (int r = 0; r < ROWS; r++) same_row(b, full, r, 0, 0), same_row(b, full, r, 1, 1);
  b->func = sn_module_find(b->module, "decode");
  t = bench_tensor(b, sn_node_of(b->func, sn_func_leaf(b->func, SN_OP_INPUT, "tokens"))->type[0]);
  for (int p = 2; p < TARGET; p++) {
    const int at[ROWS] = {p, p - 1, p}; /* a sequence that is behind */
    GIVE(b, "start", at[0], at[1], at[2]);
    for (int r = 0; r < ROWS; r++) one[r] = token(r, at[r]), bench_set(t, r, one[r]);
    bench_bind(b, "tokens", t);
    bench_run(b, "decode");
    for (int r = 0; r < ROWS; r++) same_row(b, full, r, 0, at[r]);
  }
  bench_end(b);
  sn_model_unload(f);
}

static void test_steps(void **state) {
  (void)state;
  for (int i = 0; i < MODELS; i++) check_steps(i);
}

/* ---- losses ------------------------------------------------------------------------------------------------------ */

/* Places 1, 3 and 4 of row 0, 2 of row 1, none of row 2: by slots and by weights. */
static void check_slots(int i) {
  sn_model_file *f = tree_load(models[i].model);
  bench *b = bench_begin(sn_model_of(f), "eval_pairs|eval_slots|weighted", models[i].small, SN_ELEM_F64);
  give_source(b, 0);
  bench_dim(b, "T", TARGET);
  bench_dim(b, "K", 3);
  give(b, "tokens", 0, TARGET, 0, NULL, 0);
  give(b, "targets", 0, TARGET, 6, NULL, 0);
  double weight[ROWS * TARGET] = {0, 1, 0, 1, 1, 0, 0, 0, 1}, at[3][3] = {{1, 3, 4}, {2, 0, 0}}, target[9];
  for (int k = 0; k < 9; k++) target[k] = token(k / 3 + 6, (int)at[k / 3][k % 3]);
  bench_give(b, "weight", ROWS * TARGET, weight);
  bench_give(b, "slots", 9, at[0]);
  bench_give(b, "slot_targets", 9, target);
  GIVE(b, "slot_count", 3, 1, 0);
  bench_run(b, "weighted");
  double loss = bench_output(b, "loss")->value[0];
  const sn_tensor *by = bench_output(b, "by_logits");
  for (int k = 0; k < ROWS * TARGET * VOCAB; k++) assert_true((by->value[k] == 0) == (weight[k / VOCAB] == 0));
  bench_run(b, "eval_slots");
  assert_float_equal(bench_output(b, "loss")->value[0], loss, 1e-12);
  /* Lengths are weights, too. */
  for (int k = 0; k < ROWS * TARGET; k++) weight[k] = k % TARGET < length[k / TARGET];
  bench_give(b, "weight", ROWS * TARGET, weight);
  bench_give(b, "length", ROWS, length);
  bench_run(b, "weighted");
  loss = bench_output(b, "loss")->value[0];
  bench_run(b, "eval_pairs");
  assert_float_equal(bench_output(b, "loss")->value[0], loss, 1e-12);
  bench_end(b);
  sn_model_unload(f);
}

static void test_slots(void **state) {
  (void)state;
  for (int i = 0; i < MODELS; i++) check_slots(i);
}

/* The graph with slots has no logits of other places: none of its values is [B, T, vocab]. */
static void test_slots_alone(void **state) {
  (void)state;
  for (int i = 0; i < MODELS; i++) {
    sn_model_file *f = tree_load(models[i].model);
    bench *b = bench_begin(sn_model_of(f), "train_slots|pairs", models[i].small, SN_ELEM_F32);
    bench_dim(b, "B", 100);
    bench_dim(b, "T", 7);
    bench_dim(b, "S", 6);
    bench_dim(b, "K", 3);
    for (int g = 0; g < 2; g++) {
      const sn_func *func = sn_module_find(b->module, g ? "pairs" : "train_slots");
      int64_t n;
      bool full = false;
      for (int k = 0; k < func->node_count; k++) {
        const sn_type *t = func->node[k]->type[0];
        if (t->rank < 2) continue;
        bench_check(b, sn_dimx_eval(sn_type_count(b->module->types, t), b->dims, &n));
        full |= n == 100 * 7 * VOCAB;
      }
      assert_true(full == (g == 1));
    }
    bench_end(b);
    sn_model_unload(f);
  }
}

static void test_training(void **state) {
  (void)state;
  for (int i = 0; i < MODELS; i++) {
    sn_model_file *f = tree_load(models[i].model);
    bench *b = bench_begin(sn_model_of(f), "pairs", models[i].small, SN_ELEM_F32);
    give_source(b, 0);
    bench_dim(b, "T", TARGET);
    give(b, "tokens", 0, TARGET, 0, NULL, 0);
    give(b, "targets", 1, TARGET, 0, NULL, 0);
    bench_give(b, "length", ROWS, length);
    GIVE(b, "lr", .02);
    GIVE(b, "warmup", 2);
    double first = 0;
    for (int k = 0; k < 16; k++) {
      bench_run(b, "pairs");
      if (!k) first = bench_output(b, "loss")->value[0];
    }
    assert_true(bench_output(b, "loss")->value[0] < .6 * first);
    bench_end(b);
    sn_model_unload(f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_counts),      cmocka_unit_test(test_steps),    cmocka_unit_test(test_slots),
      cmocka_unit_test(test_slots_alone), cmocka_unit_test(test_training),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
