/* pt.sup and pt.selfsup: a transformer that was trained before on many labels, or on text alone, needs few labels of a
 * task that has to do with what it learned. Data: texts of hidden states (D2), whose filter is the oracle.
 * Controls, trained alike: a first task that has nothing to do with the second; what was not trained; no mask. With and
 * without what was trained before, pt.sup tunes by the same settings.
 * Thresholds of the full form. pt.sup, worst of seeds 1 to 5: gain .084 (1; bound .07), from parity .014 (2), gain of
 * the unrelated task -.21 (5; .02), head below the best classifier .0142 (4; .02); quick, seeds 1 to 8: gain .073 (1;
 * .06), from parity .049 (2), head .020 (8; .03). States that change more often (.98) gain .1 and more, but then 32
 * labels may show too little of one: the head is .045 below the best at seed 5. pt.selfsup, worst of seeds 1 to 5:
 * loss over the filter's .0117 nat (.02), below the n-gram's by 36 standard errors (4), R^2 .961 (.95; untrained .29),
 * gain .398 (4; .15; beside the better of two settings), no mask -252 standard errors (-3). */
#include <stdlib.h>
#include <string.h>

#include "models/recipes/labels.h"
#include "tests/oracles/linear.h"
#include "tests/oracles/ngram.h"

enum { ROWS = LABELS_ROWS, LENGTH = LABELS_LENGTH, PLACES = ROWS * LENGTH, SYMBOLS = 16, WIDTH = 32, FEW = ROWS };

extern const sn_model sn_model_reader;

static net *reader(recipe *r, const char *graphs, int classes, const char *more) {
  return recipe_net(r, &sn_model_reader, graphs, "layers=2 heads=4 width=%d context=%d vocab=%d classes=%d %s", WIDTH,
                    LENGTH, SYMBOLS, classes, more);
}

/* What the trunk says of the places of batch `index`: [PLACES, WIDTH]. */
static double *trunk_says(net *n, const feed *f, uint64_t index) {
  return net_output(n, "hidden", f, index, "hidden", NULL);
}

static void exactness(recipe *r, const hmm *h, const char *graph, const char *port) {
  feed f = labels_small(h, port);
  net *n = recipe_net(r, &sn_model_reader, graph, "layers=2 heads=2 width=16 context=8 vocab=16 classes=16");
  labels_exact(r, n, graph, &f, 4 * 16);
}

/* ---- pt.sup: trained on labels ----------------------------------------------------------------------------------- */

enum { SUP_STATES = 6 };
static const double RIDGE = .3;

static int of_state(int token, int state) { return (void)token, state; }
static int of_subset(int token, int state) { return (void)token, state < SUP_STATES / 2; }
static int of_parity(int token, int state) { return (void)state, token % 2; } /* twins: no state tells */

/* Multiplications in layers of the trunk: of a training step of n by those without gradients. */
static double trunk_work(net *n, net *plain) {
  which layers = {.where = "layers.*"};
  const char *sizes = "B=32 T=32";
  return net_report(n, "tune", sizes, layers).flops / net_report(plain, "hidden", sizes, layers).flops;
}

/* Loss of the trained head over its optimum: what Newton steps in f64 reach on what the trunk says. */
static double head_excess(recipe *r, net *n, const labels *l) {
  static const int IN = WIDTH + 1; /* and 1, for the bias */
  double x[FEW * (WIDTH + 1)], w[2 * (WIDTH + 1)];
  int32_t tokens[PLACES], of[PLACES];
  int label[FEW];
  feed f = labels_feed(l);
  double *hidden = trunk_says(n, &f, 0), *loss = net_output(n, "tune", &f, 0, "loss", NULL);
  if (!hidden || !loss) return NAN;
  f.fill(l, recipe_seed(r, 1), 0, (void *[]){tokens, of});
  for (int b = 0, last = LENGTH - 1; b < FEW; b++, last += LENGTH) {
    memcpy(x + b * IN, hidden + last * WIDTH, WIDTH * sizeof *x);
    x[b * IN + WIDTH] = 1;
    label[b] = of[last];
  }
  return *loss - linear_logistic(FEW, IN, 2, x, label, RIDGE, w);
}

static void head_checks(recipe *r, net *head, net *trunk, net *whole, const labels *few) {
  labels_tuning t = {head, trunk, few, recipe_pick(r, 600, 400), 1e-2, "head, to its optimum"};
  uint64_t before = net_hash(trunk, "-classify.*");
  recipe_at_most(r, EXACT | OF_PLAN, "head alone: work in the trunk, by that without gradients", trunk_work(head, head),
                 1);
  recipe_at_most(r, CONTROL | OF_PLAN, "all is tuned: work in the trunk, by that without gradients",
                 trunk_work(whole, whole), 1);
  net *tuned = labels_tune(r, &t);
  recipe_at_most(r, EXACT, "head alone: changes of the trunk's hash", net_hash(tuned, "-classify.*") != before, 0);
  recipe_at_most(r, OPTIMUM, "head alone: loss over the optimum of logistic regression",
                 fabs(head_excess(r, tuned, few)), 1e-5);
  t.like = whole, t.steps = 1, t.name = "all, one step";
  recipe_at_most(r, CONTROL, "all is tuned: changes of the trunk's hash",
                 net_hash(labels_tune(r, &t), "-classify.*") != before, 0);
}

static net *task_1(recipe *r, const labels *all, const char *name) {
  net *n = reader(r, "tune|judge", SUP_STATES, "");
  feed f = labels_feed(all);
  recipe_train(r, &(training){n, "tune", name, &f, recipe_pick(r, 1000, 300), 3e-3});
  return n;
}

/* Accuracy after tuning all of `like` on 32 labels: with and without what was trained before by the same settings. */
static double tuned(recipe *r, net *like, net *from, const labels *task, const char *name) {
  labels_tuning t = {like, from, task, recipe_pick(r, 200, 120), 1e-2, name};
  return labels_tuned(r, &t, recipe_pick(r, 5, 4), recipe_pick(r, 64, 32));
}

static void sup(recipe *r) {
  hmm h = hmm_sticky(recipe_seed(r, 7), SUP_STATES, SYMBOLS, 2, .9875, .01);
  labels state = {&h, of_state, true, 0, 0}, twin = {&h, of_parity, true, 0, 0},
         subset = {&h, of_subset, false, FEW, 0}, parity = {&h, of_parity, false, FEW, 0};
  net *whole = reader(r, "tune|judge|hidden", 2, "trunk=.1 ridge=.3");
  net *head = net_trainable(reader(r, "tune|judge|hidden", 2, "ridge=.3"), "classify.*");
  double least = recipe_is_quick(r) ? .06 : .07, below = recipe_is_quick(r) ? -.03 : -.02;
  exactness(r, &h, "judge", "labels");
  net *trunk = task_1(r, &state, "task 1: the state"), *other = task_1(r, &twin, "control: task 1 is parity");
  head_checks(r, head, trunk, whole, &subset);
  double plain = tuned(r, whole, NULL, &subset, "from scratch");
  recipe_at_least(r, TRAINED, "related task, 32 labels: gain in accuracy over training from scratch",
                  tuned(r, whole, trunk, &subset, "all, from task 1") - plain, least);
  recipe_at_least(r, CONTROL, "task 1 is the token's parity: gain in accuracy",
                  tuned(r, whole, other, &subset, "all, from parity") - plain, least);
  labels_tuning t = {head, trunk, &subset, recipe_pick(r, 200, 120), 1e-2, "head, from task 1"};
  recipe_at_least(r, TRAINED, "head alone: accuracy by that of the best classifier",
                  labels_tuned(r, &t, recipe_pick(r, 5, 4), recipe_pick(r, 64, 32)) -
                      labels_best(r, &subset, recipe_pick(r, 64, 32)),
                  below);
  plain = tuned(r, whole, NULL, &parity, "parity, from scratch");
  recipe_at_most(r, TRAINED, "unrelated task, 32 labels: gain in accuracy, which is none",
                 tuned(r, whole, trunk, &parity, "parity, from task 1") - plain, .02);
}

/* ---- pt.selfsup: trained on text --------------------------------------------------------------------------------- */

enum { STATES = 8 };

typedef struct text {
  hmm h; /* first: feeds of text have it as data */
  ngram counts;
} text;

/* The best order-2 model of the text that was trained on. */
static bool count_text(recipe *r, text *t, int batches) {
  int each = LENGTH + 1, many = batches * ROWS;
  int *x = malloc(sizeof *x * (size_t)(many * each));
  for (int i = 0; x && i < many; i++) hmm_sample(&t->h, recipe_seed(r, 1), (uint64_t)i, each, x + i * each, NULL);
  bool made = x && ngram_create(&t->counts, 3, SYMBOLS, (int64_t)many * each, x);
  free(x);
  if (!made) recipe_fail(r, "out of memory");
  return made;
}

static void counted_loss(const void *data, uint64_t seed, uint64_t index, double *loss) {
  const text *of = data;
  int x[LENGTH + 1];
  for (int b = 0; b < ROWS; b++) {
    hmm_sample(&of->h, seed, index * ROWS + (uint64_t)b, LENGTH + 1, x, NULL);
    for (int t = 1; t <= LENGTH; t++) *loss++ = -log(ngram_probability(&of->counts, t, x, x[t]));
  }
}

/* Hidden vectors and 1, and p(state | prefix) of all but the last state, which follows from them. */
static bool probe_data(recipe *r, net *n, const hmm *h, uint64_t index, double *x, double *y) {
  feed f = labels_text(h);
  double *hidden = trunk_says(n, &f, index), state[LENGTH * STATES];
  int tokens[LENGTH + 1];
  for (int i = 0; hidden && i < PLACES; i++) {
    if (i % LENGTH == 0) {
      hmm_sample(h, recipe_seed(r, 1), index * ROWS + (uint64_t)(i / LENGTH), LENGTH + 1, tokens, NULL);
      hmm_filter(h, LENGTH, tokens, NULL, state);
    }
    memcpy(x + i * (WIDTH + 1), hidden + i * WIDTH, WIDTH * sizeof *x);
    x[i * (WIDTH + 1) + WIDTH] = 1;
    memcpy(y + i * STATES, state + i % LENGTH * STATES, STATES * sizeof *y);
  }
  return hidden != NULL;
}

/* R^2 of a linear probe, on other texts than it was fitted to. */
static double probe(recipe *r, net *n, const hmm *h) {
  enum { FIT = 8, IN = WIDTH + 1 };
  double *x = recipe_alloc(r, sizeof *x * FIT * PLACES * IN), *y = recipe_alloc(r, sizeof *y * FIT * PLACES * STATES);
  double w[IN * STATES], wrong = 0, spread = 0;
  for (int i = 0; i < FIT; i++)
    if (!probe_data(r, n, h, 1000000 + (uint64_t)i, x + i * PLACES * IN, y + i * PLACES * STATES)) return NAN;
  if (!linear_least_squares(FIT * PLACES, IN, STATES, x, y, 1e-3, w)) return NAN;
  if (!probe_data(r, n, h, 1000000 + FIT, x, y)) return NAN;
  for (int i = 0; i < PLACES * STATES; i++) {
    double said = 0;
    for (int k = 0; k < IN; k++) said += x[i / STATES * IN + k] * w[k * STATES + i % STATES];
    wrong += (y[i] - said) * (y[i] - said);
    spread += (y[i] - h->start[i % STATES]) * (y[i] - h->start[i % STATES]);
  }
  return 1 - wrong / spread;
}

static void few_labels(recipe *r, net *trunk, const hmm *h) {
  labels few = {h, of_state, false, FEW, 0};
  int steps = recipe_pick(r, 200, 120), draws = recipe_pick(r, 5, 2), batches = recipe_pick(r, 64, 32);
  net *tuned = reader(r, "tune|judge", STATES, "trunk=.03");
  double all = labels_tuned(r, &(labels_tuning){trunk, NULL, &few, steps, 1e-3, "from scratch"}, draws, batches),
         alike = labels_tuned(r, &(labels_tuning){tuned, NULL, &few, steps, 1e-2, "scratch, alike"}, draws, batches),
         plain = recipe_max(all, alike); /* the better of two settings, one that of what follows */
  double gained = labels_tuned(r, &(labels_tuning){tuned, trunk, &few, steps, 1e-2, "from text"}, draws, batches);
  recipe_at_least(r, TRAINED, "the state, 32 labels: gain in accuracy over training from scratch", gained - plain, .15);
}

static void selfsup(recipe *r) {
  text t = {.h = hmm_sticky(recipe_seed(r, 7), STATES, SYMBOLS, 1, .95, .1)};
  double seen = recipe_is_quick(r) ? .85 : .95;
  int steps = recipe_pick(r, 3000, 500);
  if (!count_text(r, &t, steps)) return;
  feed f = labels_text(&t.h);
  net *n = reader(r, "train|eval|logits|hidden|tune|judge", STATES, ""), *fresh = net_again(n, recipe_seed(r, 9));
  exactness(r, &t.h, "eval", "targets");
  recipe_train(r, &(training){n, .label = "next token", .feed = &f, .steps = steps, .lr = 3e-3});
  excess e = recipe_excess(r, &(against){n, .feed = &f, .targets = 1, .best = labels_text_best});
  recipe_at_most(r, OPTIMUM, "held-out loss over that of the filter, nats", e.mean, recipe_is_quick(r) ? .05 : .02);
  recipe_no_leak(r, OPTIMUM, "the same in standard errors: none is below it by a leak", &e);
  e = recipe_excess(r, &(against){n, .feed = &f, .targets = 1, .best = counted_loss});
  recipe_at_most(r, OPTIMUM, "held-out loss over that of an order-2 n-gram, standard errors", e.mean / e.error, -4);
  recipe_at_least(r, OPTIMUM, "R^2 of p(state | prefix), read from the trunk by a linear map", probe(r, n, &t.h), seen);
  recipe_at_least(r, CONTROL, "R^2 where nothing was trained", probe(r, fresh, &t.h), seen);
  few_labels(r, n, &t.h);
  net *open = reader(r, "train|logits", STATES, "causal=0");
  recipe_train(r, &(training){open, .label = "control: no mask", .feed = &f, .steps = steps / 4, .lr = 3e-3});
  e = recipe_excess(r, &(against){open, .feed = &f, .targets = 1, .best = labels_text_best});
  recipe_no_leak(r, CONTROL, "no mask: loss over that of the filter, standard errors", &e);
  ngram_destroy(&t.counts);
}

RECIPES(pt_transfer,
        {"pt.sup", 2, "a transformer trained on labels needs few of a related task, none of an unrelated one", sup,
         "filter of the hidden Markov model (hmm.h); optimum of logistic regression (linear.h)"},
        {"pt.selfsup", 2, "a transformer trained on text knows the hidden state, and needs few labels", selfsup,
         "filter of the hidden Markov model (hmm.h); Kneser-Ney n-grams (ngram.h)"});
