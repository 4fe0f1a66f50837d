/* pt.adapt: two ways to use what was pre-trained. Prompting: a decoder that learned texts "x1 y1 x2 y2 .." of hidden
 * tasks answers a new text as the exact posterior does, by what it shows of its task: p(verbalizer | prompt), with no
 * to eight demonstrations. Fine-tuning: one task is learned by the head alone, or by all. Controls: demonstrations
 * whose labels were shuffled, and a decoder that was trained on such texts. Thresholds of the full form, worst of
 * seeds 1 to 5: accuracy beside the posterior's .024 (bound .03), divergence .029 nat (.05), gain of demonstrations .41
 * (.3), after shuffling .021 (.03), there over the right posterior -.31 (-.03); trained on shuffled labels .34 away
 * (.03); tuned .0055 below the best (.03), not tuned .43. */
#include <string.h>

#include "models/recipes/labels.h"
#include "tests/oracles/context.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/stats.h"

enum {
  TASKS = 8,
  INPUTS = 6,
  ANSWERS = 4,
  VOCAB = INPUTS + ANSWERS,
  SHOTS = 8,
  PAIRS = SHOTS + 1,
  LENGTH = 2 * PAIRS,
  ROWS = 32
};

extern const sn_model sn_model_reader;

/* ---- texts ------------------------------------------------------------------------------------------------------- */

/* Answers but the last change places: what they show is wrong. */
static void shuffle_answers(draws *d, int *tokens) {
  int order[SHOTS], kept[SHOTS];
  for (int k = 0; k < SHOTS; k++) order[k] = k, kept[k] = tokens[2 * k + 1];
  draws_shuffle(d, SHOTS, order);
  for (int k = 0; k < SHOTS; k++) tokens[2 * k + 1] = kept[order[k]];
}

typedef struct texts {
  context c;
  bool shuffled;
} texts;

static void text_of(const texts *t, uint64_t seed, uint64_t index, int *tokens) {
  draws d = draws_of(seed, 0x7368, index);
  context_sample(&t->c, seed, index, PAIRS, tokens);
  if (t->shuffled) shuffle_answers(&d, tokens);
}

/* tokens, targets [ROWS, LENGTH - 1]: the next token, of answers only where the graph counts answers. */
static void fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  int x[LENGTH];
  for (int b = 0; b < ROWS; b++) {
    text_of(data, seed, index * ROWS + (uint64_t)b, x);
    for (int t = 0; t < LENGTH - 1; t++) {
      ((int32_t *)port[0])[b * (LENGTH - 1) + t] = x[t];
      ((int32_t *)port[1])[b * (LENGTH - 1) + t] = x[t + 1];
    }
  }
}

static feed feed_of(const texts *t) {
  return (feed){{{"tokens", {ROWS, LENGTH - 1}}, {"targets", {ROWS, LENGTH - 1}}}, fill, t};
}

/* ---- prompting --------------------------------------------------------------------------------------------------- */

/* By number of demonstrations: accuracy of the model and of the posterior, and what divides their laws. */
typedef struct curve {
  double model[PAIRS], best[PAIRS], divergence[PAIRS];
} curve;

/* p(answer | the prompt): the logits of the verbalizers, and no others. */
static void verbalize(const double *logits, double *p) {
  double sum = 0, most = logits[INPUTS];
  for (int y = 1; y < ANSWERS; y++) most = recipe_max(most, logits[INPUTS + y]);
  for (int y = 0; y < ANSWERS; y++) sum += p[y] = exp(logits[INPUTS + y] - most);
  for (int y = 0; y < ANSWERS; y++) p[y] /= sum;
}

static int likeliest(const double *p) {
  int best = 0;
  for (int y = 1; y < ANSWERS; y++) best = p[y] > p[best] ? y : best;
  return best;
}

static curve prompt(recipe *r, net *n, const texts *t, int batches) {
  curve c = {0};
  feed f = feed_of(t);
  int x[LENGTH];
  for (int i = 0; i < batches; i++) {
    uint64_t index = (1u << 30) + (uint64_t)i;
    const double *logits = net_output(n, "logits", &f, index, "logits", NULL);
    for (int b = 0; logits && b < ROWS; b++) {
      text_of(t, recipe_seed(r, 1), index * ROWS + (uint64_t)b, x);
      for (int k = 0; k < PAIRS; k++) {
        double model[ANSWERS], best[ANSWERS];
        verbalize(logits + (b * (LENGTH - 1) + 2 * k) * VOCAB, model);
        context_answer(&t->c, k, x, x[2 * k], best);
        c.model[k] += (likeliest(model) == x[2 * k + 1] - INPUTS) / (double)(batches * ROWS);
        c.best[k] += (likeliest(best) == x[2 * k + 1] - INPUTS) / (double)(batches * ROWS);
        c.divergence[k] += stats_kl(ANSWERS, best, model) / (batches * ROWS);
      }
    }
  }
  return c;
}

static double worst(const double *x, const double *y) {
  double most = 0;
  for (int k = 0; k < PAIRS; k++) most = recipe_max(most, fabs(x[k] - (y ? y[k] : 0)));
  return most;
}

static void plot(recipe *r, const char *label, const double *y) {
  double x[PAIRS];
  for (int k = 0; k < PAIRS; k++) x[k] = k;
  recipe_plot(r, "accuracy by demonstrations", label, PAIRS, x, y);
}

static net *decoder(recipe *r, const char *graphs) {
  return recipe_net(r, &sn_model_reader, graphs, "layers=2 heads=4 width=32 context=%d vocab=%d classes=%d trunk=.1",
                    LENGTH, VOCAB, ANSWERS);
}

static void prompting(recipe *r, net *n, const texts *right) {
  double near = recipe_is_quick(r) ? .08 : .03; /* three points; with less training more */
  texts wrong = {right->c, true};
  int steps = recipe_pick(r, 5000, 1500), batches = recipe_pick(r, 64, 24);
  feed f = feed_of(right), mixed = feed_of(&wrong);
  recipe_train(r, &(training){n, .label = "texts of tasks", .feed = &f, .steps = steps, .lr = 3e-3});
  curve c = prompt(r, n, right, batches), w = prompt(r, n, &wrong, batches);
  plot(r, "posterior", c.best), plot(r, "decoder", c.model);
  recipe_at_most(r, EXACT, "logits of the decoder against f64, relative",
                 net_difference(n, net_exact(n, NULL), "logits", &f, "logits"), 2e-5 * sqrt(4 * 32));
  recipe_at_most(r, OPTIMUM, "accuracy beside the posterior's, 0 to 8 demonstrations, worst", worst(c.model, c.best),
                 near);
  recipe_at_most(r, OPTIMUM, "divergence of p(verbalizer) from the posterior's, nats, worst", worst(c.divergence, NULL),
                 recipe_is_quick(r) ? .15 : .05);
  recipe_at_least(r, TRAINED, "accuracy with 8 demonstrations over that with none", c.model[SHOTS] - c.model[0], .3);
  recipe_at_most(r, OPTIMUM, "shuffled labels: accuracy beside that of the posterior of wrong evidence",
                 fabs(w.model[SHOTS] - w.best[SHOTS]), near);
  recipe_at_least(r, CONTROL, "shuffled labels: accuracy over that of the posterior of right evidence",
                  w.model[SHOTS] - c.best[SHOTS], -near);
  net *blind = net_again(n, recipe_seed(r, 9));
  recipe_train(r, &(training){blind, .label = "control: shuffled", .feed = &mixed, .steps = steps, .lr = 3e-3});
  c = prompt(r, blind, right, batches);
  plot(r, "trained on shuffled labels", c.model);
  recipe_at_most(r, CONTROL, "trained on shuffled labels: accuracy beside the posterior's, worst",
                 worst(c.model, c.best), near);
}

/* ---- fine-tuning ------------------------------------------------------------------------------------------------- */

enum { LABELS = 64 };

/* tokens, labels [ROWS, 1]: an input and its answer */
static void pair_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const context *c = data;
  int pair[2];
  if (index < 1u << 30) index %= LABELS / ROWS;
  for (int b = 0; b < ROWS; b++) {
    context_sample(c, seed, index * ROWS + (uint64_t)b, 1, pair);
    ((int32_t *)port[0])[b] = pair[0], ((int32_t *)port[1])[b] = pair[1] - INPUTS;
  }
}

/* -> accuracy; what was trained before is in the trunk */
static double tuned(recipe *r, net *like, net *from, const feed *f, const char *label, int steps, bool *out_changed) {
  net *n = net_again(like, recipe_seed(r, 10));
  net_copy(n, from, "-classify.*");
  recipe_train(r, &(training){n, "tune", label, f, steps, 1e-2});
  *out_changed = net_hash(n, "-classify.*") != net_hash(from, "-classify.*");
  return recipe_mean(n, "judge", "accuracy", f, 64, NULL);
}

static void fine_tuning(recipe *r, net *n) {
  context new_task = context_make(recipe_seed(r, 11), 1, INPUTS, ANSWERS, .1);
  feed f = {{{"tokens", {ROWS, 1}}, {"labels", {ROWS, 1}}}, pair_fill, &new_task};
  int steps = recipe_pick(r, 200, 150);
  bool changed;
  double best = context_accuracy(&new_task, 0);
  recipe_at_least(r, CONTROL, "not tuned: accuracy beside the best, of a new task",
                  tuned(r, n, n, &f, "not tuned", 0, &changed) - best, -.03);
  recipe_at_least(
      r, TRAINED, "head tuned on 64 labels: accuracy beside the best",
      tuned(r, net_trainable(decoder(r, "tune|judge"), "classify.*"), n, &f, "head", steps, &changed) - best, -.03);
  recipe_at_most(r, EXACT, "head tuned: changes of the trunk's hash", changed, 0);
  recipe_at_least(r, TRAINED, "all tuned on 64 labels: accuracy beside the best",
                  tuned(r, n, n, &f, "all", steps, &changed) - best, -.03);
  recipe_at_most(r, CONTROL, "all tuned: changes of the trunk's hash", changed, 0);
}

static void adapt(recipe *r) {
  texts t = {.c = context_make(recipe_seed(r, 7), TASKS, INPUTS, ANSWERS, .1)};
  net *n = decoder(r, "train|logits|tune|judge");
  prompting(r, n, &t);
  fine_tuning(r, n);
}

RECIPES(pt_adapt, {"pt.adapt", 2, "prompts of demonstrations are answered as by the posterior; or the model is tuned",
                   adapt, "posterior of the hidden task after each demonstration, exact (context.h)"});
