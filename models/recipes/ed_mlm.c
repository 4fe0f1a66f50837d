/* ed.mlm: the encoder reads a text with tokens hidden, the decoder names them from the left: its inputs are the text
 * shifted by one with every token hidden that was not. Loss = - sum over hidden i of log p(x_i | source, hidden ones
 * before i). BART's network; texts of hidden Markov models. Control, trained alike: an input that is not shifted.
 * Frozen bounds of the loss over the best, seeds 1 to 5: at most 0.0137 nat (quick: 0.0416). */
#include <stdio.h>
#include <string.h>

#include "models/recipes/recipe.h"
#include "runtime/io/corrupt.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/hmm.h"

enum { BATCH = 32, MOST = 12, LEAST = 8, HIDDEN = 4 /* of MOST */, SYMBOLS = 6, MASK = SYMBOLS, BEGIN, VOCAB };

extern const sn_model sn_model_bart;

/* ---- examples ------------------------------------------------------------------------------------- */

/* tokens [n]: what the decoder reads. shift 0: the wrong variant. */
static void decoder_input(int n, const int *x, const bool *chosen, int shift, int mask, int begin, int *tokens) {
  for (int i = 0; i < n; i++) tokens[i] = begin;
  for (int i = 0; i + shift < n; i++) tokens[i + shift] = chosen[i] ? x[i] : mask;
}

typedef struct task {
  hmm h;
  int rows;
  bool all, unshifted, answers; /* all: are hidden; answers: targets of tokens that are not asked for are -1 */
  bool words, whole;            /* words stand in padding; the source is said to be as long as its room */
} task;

typedef struct example {
  int n, x[MOST];
  bool chosen[MOST];
} example;

static example make(const task *t, uint64_t seed, uint64_t index) {
  draws d = draws_of(seed, 41, index);
  example e = {.n = LEAST + draws_below(&d, MOST - LEAST + 1)};
  hmm_sample(&t->h, seed, index, e.n, e.x, NULL);
  sn_choose_tokens(&(sn_corrupt_draw){seed, index, 0, MOST}, e.n, t->all ? e.n : sn_corrupt_budget(e.n, .3), e.chosen);
  return e;
}

/* The ports of the feed, in order. */
typedef struct ports {
  int32_t *source, *source_length, *tokens, *targets, *slots, *slot_targets, *slot_count;
  float *weight;
} ports;

static void fill_row(const task *t, const example *e, int b, const ports *p) {
  int k = 0, room = t->all ? MOST : HIDDEN;
  int32_t *slots = p->slots + b * room, *slot_targets = p->slot_targets + b * room;
  for (int i = 0; i < MOST; i++) {
    p->source[b * MOST + i] = t->words ? i % SYMBOLS : MASK;
    p->tokens[b * MOST + i] = MASK;
  }
  sn_corrupt_mask(e->n, e->x, e->chosen, MASK, p->source + b * MOST);
  decoder_input(e->n, e->x, e->chosen, !t->unshifted, MASK, BEGIN, p->tokens + b * MOST);
  for (int i = 0; i < MOST; i++) {
    bool asked = i < e->n && e->chosen[i];
    p->weight[b * MOST + i] = asked;
    p->targets[b * MOST + i] = asked ? e->x[i] : t->answers ? -1 : 0;
    if (asked) slots[k] = i, slot_targets[k++] = e->x[i];
  }
  p->slot_count[b] = k;
  for (; k < room; k++) slots[k] = slot_targets[k] = 0;
  p->source_length[b] = t->whole ? MOST : e->n;
}

static void fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  ports p = {port[0], port[1], port[2], port[3], port[4], port[5], port[6], port[7]};
  for (int b = 0; b < ((const task *)data)->rows; b++) {
    example e = make(data, seed, index * (uint64_t)BATCH + (uint64_t)b);
    fill_row(data, &e, b, &p);
  }
}

static feed feed_of(const task *t) {
  int room = t->all ? MOST : HIDDEN;
  return (feed){{{"source", {t->rows, MOST}},
                 {"source_length", {t->rows}},
                 {"tokens", {t->rows, MOST}},
                 {"targets", {t->rows, MOST}},
                 {"slots", {t->rows, room}},
                 {"slot_targets", {t->rows, room}},
                 {"slot_count", {t->rows}},
                 {"weight", {t->rows, MOST}}},
                fill,
                t};
}

/* Masks are filled from the left: each knows the hidden ones before it. */
static void best(const void *data, uint64_t seed, uint64_t index, double *loss) {
  const task *t = data;
  for (int b = 0; b < t->rows; b++) {
    example e = make(t, seed, index * (uint64_t)BATCH + (uint64_t)b);
    int rank[MOST];
    for (int i = 0, k = 0; i < e.n; i++) rank[i] = e.chosen[i] ? k++ : -1;
    hmm_ranked_loss(&t->h, e.n, e.x, rank, loss + b * MOST);
  }
}

/* A plain decoder that is told nothing: a source of masks, the text shifted by one. */
static void causal_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  for (int b = 0; b < ((const task *)data)->rows; b++) {
    example e = make(data, seed, index * (uint64_t)BATCH + (uint64_t)b);
    ((int32_t *)port[1])[b] = ((int32_t *)port[4])[b] = e.n;
    for (int i = 0; i < MOST; i++) {
      ((int32_t *)port[0])[b * MOST + i] = MASK;
      ((int32_t *)port[2])[b * MOST + i] = i == 0 ? BEGIN : i < e.n ? e.x[i - 1] : 0;
      ((int32_t *)port[3])[b * MOST + i] = i < e.n ? e.x[i] : 0;
    }
  }
}

/* ---- exact checks ---------------------------------------------------------------------------------- */

/* Figure B7.4 (a): words that differ, of what is read and what is asked. */
static int figure_differs(void) {
  static const char *const text[] = {"The", "puppies", "are", "frolicking", "in", "the", "[M]", "<s>", "house", "."};
  static const char *const read[] = {"The", "puppies", "are", "[M]", "in", "[M]", "house", "."};
  static const char *const said[] = {"<s>", "[M]", "[M]", "[M]", "frolicking", "[M]", "the", "[M]"};
  static const char *const asked[] = {"", "", "", "frolicking", "", "the", "", ""};
  const task t = {.rows = 1};
  const example e = {8, {0, 1, 2, 3, 4, 5, VOCAB, VOCAB + 1}, {[3] = true, [5] = true}};
  int32_t source[MOST], tokens[MOST], targets[MOST], slots[HIDDEN], slot_targets[HIDDEN], length, count;
  float weight[MOST];
  fill_row(&t, &e, 0, &(ports){source, &length, tokens, targets, slots, slot_targets, &count, weight});
  int wrong = count != 2 || slots[0] != 3 || slots[1] != 5;
  for (int i = 0; i < e.n; i++) {
    wrong += strcmp(text[source[i]], read[i]) != 0 || strcmp(text[tokens[i]], said[i]) != 0;
    wrong += strcmp(weight[i] > 0 ? text[targets[i]] : "", asked[i]) != 0;
  }
  for (int k = 0; k < count; k++) wrong += strcmp(text[slot_targets[k]], asked[slots[k]]) != 0;
  return wrong;
}

static double first(const double *x) { return x ? x[0] : (double)NAN; }

static void check_loss(recipe *r, net *n, const task *t) {
  feed few = feed_of(t), *f = &few;
  int64_t count = 0;
  net *exact = net_exact(n, NULL);
  double loss = first(net_output(exact, "weighted", f, 0, "loss", NULL)), worst = 0, asked = 0;
  double slots = first(net_output(exact, "eval_slots", f, 0, "loss", NULL));
  recipe_at_most(r, EXACT, "gathered slots and all logits, f64: losses differ by", fabs(slots / loss - 1), 1e-10);
  const double *by = net_output(n, "weighted", f, 0, "by_logits", &count);
  for (int b = 0; by && b < t->rows; b++) {
    example e = make(t, recipe_seed(r, 1), (uint64_t)b);
    for (int i = 0; i < MOST * VOCAB; i++) {
      double *largest = i / VOCAB < e.n && e.chosen[i / VOCAB] ? &asked : &worst;
      *largest = recipe_max(*largest, fabs(by[b * MOST * VOCAB + i]));
    }
  }
  recipe_at_most(r, EXACT, "derivative by logits of tokens that are not hidden", asked > 0 ? worst : (double)NAN, 0);
  recipe_at_most(r, EXACT, "gradient against differences in f64", net_slope_error(n, "eval_slots", "loss", f), 1e-6);
}

static void check_all_hidden(recipe *r, net *n, const task *t) {
  task all = *t;
  all.all = true;
  feed f = feed_of(&all), causal = {{{"source", {t->rows, MOST}},
                                     {"source_length", {t->rows}},
                                     {"tokens", {t->rows, MOST}},
                                     {"targets", {t->rows, MOST}},
                                     {"length", {t->rows}}},
                                    causal_fill,
                                    &all};
  net *exact = net_exact(n, NULL);
  double loss = first(net_output(exact, "eval_slots", &f, 0, "loss", NULL));
  double plain = first(net_output(exact, "eval_pairs", &causal, 0, "loss", NULL));
  recipe_at_most(r, EXACT, "all hidden is a decoder that sees masks, f64: losses differ by", fabs(loss / plain - 1),
                 1e-10);
}

/* Logits of rows inside texts that are not the same to the bit. */
static double rows_differ(recipe *r, net *n, const task *t, const task *other) {
  feed f = feed_of(t), g = feed_of(other);
  const double *x = net_output(n, "logits", &f, 0, "logits", NULL), *y = net_output(n, "logits", &g, 0, "logits", NULL);
  double differ = 0;
  for (int b = 0; x && y && b < t->rows; b++)
    for (int i = 0; i < MOST * VOCAB; i++) {
      bool inside = i / VOCAB < make(t, recipe_seed(r, 1), (uint64_t)b).n;
      differ += inside && x[b * MOST * VOCAB + i] != y[b * MOST * VOCAB + i];
    }
  return differ;
}

/* Neither the encoder nor the decoder sees what stands behind a source. */
static void check_padding(recipe *r, net *n, const task *t) {
  task words = *t, whole = *t;
  words.words = true, whole.whole = true;
  recipe_at_most(r, EXACT, "words in the source's padding: logits that change", rows_differ(r, n, t, &words), 0);
  recipe_at_most(r, CONTROL, "padding that is seen: logits that change", rows_differ(r, n, t, &whole), 0);
}

/* A wide vocabulary, of which a plan says what it would cost. */
static void check_plan(recipe *r) {
  net *n =
      recipe_net(r, &sn_model_bart, "pairs|train_slots", "layers=1 heads=2 width=32 hidden=64 context=64 vocab=5000");
  const char *sizes = "B=16 S=64 T=64 K=8";
  report slots = net_report(n, "train_slots", sizes, (which){0}), all = net_report(n, "pairs", sizes, (which){0});
  double row = 3 * 2. * 16 * 32 * 5000; /* a row of logits of a batch: forward, and both gradients */
  recipe_at_least(r, EXACT | OF_PLAN, "rows of logits that are never computed, of 56 not hidden",
                  (all.flops - slots.flops) / row, 56);
  recipe_at_most(r, EXACT | OF_PLAN, "elements of the largest tensor over those of all logits",
                 (double)slots.largest / (16 * 64 * 5000), .5);
}

/* ---- the row ---------------------------------------------------------------------------------------- */

static net *trained(recipe *r, const char *label, const task *t, int steps) {
  feed f = feed_of(t);
  net *n = recipe_net(r, &sn_model_bart, "train_slots|eval_pairs|eval_slots|weighted|logits",
                      "layers=2 heads=4 width=32 hidden=128 std=.15 context=%d vocab=%d", MOST, VOCAB);
  recipe_train(r, &(training){n, "train_slots", .label = label, .feed = &f, .steps = steps, .lr = 3e-3});
  return n;
}

static excess excess_of(recipe *r, net *n, task *t) {
  t->answers = true;
  feed f = feed_of(t);
  excess e =
      recipe_excess(r, &(against){n, .feed = &f, .targets = 3, .best = best, .tokens = recipe_pick(r, 20000, 5000)});
  t->answers = false;
  return e;
}

static void masked(recipe *r) {
  task *t = recipe_alloc(r, sizeof *t), *wrong = recipe_alloc(r, sizeof *t);
  *t = (task){.rows = BATCH, .h = hmm_make(recipe_seed(r, 7), 3, SYMBOLS, .5)};
  *wrong = *t;
  wrong->unshifted = true;
  int steps = recipe_pick(r, 1500, 300);
  recipe_at_most(r, EXACT, "figure B7.4 (a): words that differ", figure_differs(), 0);
  check_plan(r);
  net *n = trained(r, "encoder-decoder", t, steps);
  t->rows = 3;
  check_loss(r, n, t);
  check_all_hidden(r, n, t);
  t->rows = BATCH;
  check_padding(r, n, t);
  excess e = excess_of(r, n, t);
  recipe_at_most(r, OPTIMUM, "hidden tokens: held-out loss over the best, nats", e.mean, recipe_pick(r, 20, 80) * 1e-3);
  recipe_no_leak(r, OPTIMUM, "hidden tokens: excess in standard errors", &e);
  e = excess_of(r, trained(r, "control: input not shifted", wrong, steps / 4), wrong);
  recipe_no_leak(r, CONTROL, "input not shifted: excess in standard errors", &e);
}

RECIPES(ed_mlm, {"ed.mlm", 3, "an encoder-decoder names hidden tokens, and computes no logits of others", masked,
                 "forward-backward of the hidden Markov model, hidden ones in order (hmm.h)"});
