/* Encoder-decoders and texts: the loss of texts is that of the pairs which the programs on the host make of them. */
#include <math.h>
#include <stdio.h>

#include "models/recipes/recipe.h"
#include "runtime/io/corrupt.h"
#include "tests/recipes/kit.h"

extern const sn_model sn_model_t5_model, sn_model_bart;

enum {
  ROWS = 3,
  TEXT = 24,
  SEED = 5,
  IDS = 11,
  STOP = 0,
  MARKS = 4,
  FIRST = IDS + MARKS - 1,
  SPANS = 2,
  HIDDEN = 4,
  MASKED = 8
};

typedef struct pair {
  int n, m;
  int32_t source[2 * TEXT], target[2 * TEXT];
} pair;

static void make_text(int row, int32_t *x) {
  for (int t = 0; t < TEXT; t++) x[t] = (5 * t + row * t * t) % 6;
}

/* Of 24 tokens 4 in 2 spans. */
static pair make_spans(int row) {
  pair p;
  int32_t x[TEXT];
  sn_span span[SPANS];
  make_text(row, x);
  sn_choose_segments(&(sn_corrupt_draw){SEED, (uint64_t)row, 0, TEXT}, TEXT, HIDDEN, SPANS, span);
  p.n = sn_corrupt_sentinels(TEXT, x, SPANS, span, FIRST, -1, p.source, &p.m, p.target);
  return p;
}

/* Of 24 tokens 8 behind masks. */
static pair fill(int row, const int32_t *x) {
  pair p = {.m = TEXT};
  sn_span span[MASKED];
  make_text(row, p.target);
  int spans = sn_choose_spans(&(sn_corrupt_draw){SEED, (uint64_t)row, 0, TEXT}, TEXT, MASKED, 3, MASKED, span);
  p.n = sn_corrupt_infill(TEXT, x, spans, span, FIRST, p.source);
  return p;
}

static pair make_filled(int row) {
  int32_t x[TEXT];
  make_text(row, x);
  return fill(row, x);
}

/* The same of its sentences in another order. */
static pair make_moved(int row) {
  int32_t x[TEXT], y[TEXT];
  int from[TEXT];
  sn_span sentence[TEXT];
  make_text(row, x);
  int many = sn_corrupt_sentences(TEXT, x, STOP, sentence);
  assert_true(many > 1);
  sn_choose_order(&(sn_corrupt_draw){SEED, (uint64_t)row, 0, TEXT}, many, many, from);
  sn_corrupt_reorder(x, many, sentence, from, y);
  return fill(row, y);
}

/* begin: what the decoder reads first */
static double loss_of_pairs(net *n, pair (*make)(int row), int begin) {
  int32_t source[ROWS][TEXT] = {{0}}, tokens[ROWS * TEXT], targets[ROWS * TEXT], lengths[2][ROWS];
  int most = make(0).m; /* the same of all rows */
  float loss = 0;
  for (int r = 0; r < ROWS; r++) {
    pair p = make(r);
    lengths[0][r] = p.n, lengths[1][r] = p.m;
    memcpy(source[r], p.source, sizeof *p.source * (size_t)p.n);
    for (int t = 0; t < most; t++) {
      tokens[r * most + t] = t ? p.target[t - 1] : begin;
      targets[r * most + t] = p.target[t];
    }
  }
  net_run(n, "eval_pairs", {"source", source, {ROWS, TEXT}}, {"source_length", lengths[0], {ROWS}},
          {"tokens", tokens, {ROWS, most}}, {"targets", targets, {ROWS, most}}, {"length", lengths[1], {ROWS}},
          {"loss", &loss, {0}});
  return loss;
}

static double loss_of_texts(net *n, int64_t seed) {
  int32_t tokens[ROWS][TEXT];
  float loss = 0;
  for (int r = 0; r < ROWS; r++) make_text(r, tokens[r]);
  net_run(n, "eval", {"tokens", tokens, {ROWS, TEXT}}, {"seed", &seed, {0}}, {"loss", &loss, {0}});
  return loss;
}

static void check(net *n, pair (*make)(int row)) {
  double loss = loss_of_texts(n, SEED), near = 2e-5 * loss;
  assert_true(loss > 1);
  assert_true(fabs(loss - loss_of_pairs(n, make, IDS)) < near);
  assert_true(fabs(loss - loss_of_pairs(n, make, IDS + 1)) > near);
  assert_true(fabs(loss - loss_of_texts(n, SEED + 1)) > near);
}

static void spans(recipe *r) {
  check(recipe_net(r, &sn_model_t5_model, "eval|eval_pairs",
                   "layers=1 heads=2 head=4 width=16 hidden=16 context=%d vocab=%d marks=%d part=7 span=2", TEXT,
                   IDS + MARKS, MARKS),
        make_spans);
}

static void filled(recipe *r) {
  check(recipe_net(r, &sn_model_bart, "eval|eval_pairs",
                   "layers=1 heads=2 width=16 hidden=16 context=%d vocab=%d marks=%d hide=.31 std=.3", TEXT,
                   IDS + MARKS, MARKS),
        make_filled);
}

static void moved(recipe *r) {
  check(recipe_net(r, &sn_model_bart, "eval|eval_pairs",
                   "layers=1 heads=2 width=16 hidden=16 context=%d vocab=%d marks=%d hide=.31 std=.3 stop=%d", TEXT,
                   IDS + MARKS, MARKS, STOP),
        make_moved);
}

static void test_spans(void **state) {
  (void)state;
  run_well("template", spans);
}
static void test_filled(void **state) {
  (void)state;
  run_well("template", filled);
}

static void test_moved(void **state) {
  (void)state;
  run_well("template", moved);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_spans), cmocka_unit_test(test_filled),
                                     cmocka_unit_test(test_moved)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
