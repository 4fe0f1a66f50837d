/* tp.causal: a decoder-only language model reaches the entropy rate of its data, and no less. Loss = - sum of
 * log p(x_t+1 | x_0 .. x_t) with the mask j <= i. Controls, trained alike: one token of context instead of two and
 * more, and tokens among which the answer stands. */
#include <string.h>

#include "models/recipes/recipe.h"
#include "tests/oracles/hmm.h"
#include "tests/oracles/markov.h"

enum { ROWS = 16, LENGTH = 64 };

extern const sn_model sn_model_gpt;

/* tokens, targets [ROWS, LENGTH] or [ROWS LENGTH, 1] */
static void fill(const markov *m, uint64_t seed, uint64_t index, int seen, void *const port[]) {
  int x[LENGTH + 1];
  for (int b = 0; b < ROWS; b++) {
    markov_sample(m, seed, index * ROWS + (uint64_t)b, LENGTH + 1, x);
    for (int t = 0; t < LENGTH; t++) {
      ((int32_t *)port[0])[b * LENGTH + t] = x[t + seen];
      ((int32_t *)port[1])[b * LENGTH + t] = x[t + 1];
    }
  }
}
static void chain_fill(const void *m, uint64_t seed, uint64_t index, void *const port[]) {
  fill(m, seed, index, 0, port);
}
static void leak_fill(const void *m, uint64_t seed, uint64_t index, void *const port[]) {
  fill(m, seed, index, 1, port);
}

/* Best losses of the places of a batch, which have a whole context behind them or not. */
static void chain_best(const void *m, uint64_t seed, uint64_t index, double *loss) {
  double whole[LENGTH + 1];
  int x[LENGTH + 1];
  for (int b = 0; b < ROWS; b++) {
    markov_sample(m, seed, index * ROWS + (uint64_t)b, LENGTH + 1, x);
    markov_loss(m, LENGTH + 1, x, whole);
    memcpy(loss + b * LENGTH, whole + 1, sizeof *loss * LENGTH);
  }
}

/* Trains a decoder.   -> its held-out loss beside the best */
static excess decoder(recipe *r, const char *label, int symbols, const feed *f, int steps) {
  int length = (int)f->port[0].extent[1];
  net *n = recipe_net(r, &sn_model_gpt, "train|logits", "layers=2 heads=4 width=%d context=%d vocab=%d",
                      recipe_pick(r, 64, 32), length, symbols);
  recipe_train(r, &(training){n, .label = label, .feed = f, .steps = steps, .lr = 1e-2});
  return recipe_excess(r, &(against){n, .feed = f, .targets = 1, .best = chain_best});
}

static void causal(recipe *r) {
  markov m;
  double bound = recipe_is_quick(r) ? .1 : .01;
  int symbols = recipe_pick(r, 16, 4), steps = recipe_pick(r, 6000, 600);
  if (!markov_create(&m, recipe_seed(r, 7), 2, symbols)) return recipe_fail(r, "out of memory");
  feed f = {{{"tokens", {ROWS, LENGTH}}, {"targets", {ROWS, LENGTH}}}, chain_fill, &m}, leak = f;
  feed one = {{{"tokens", {ROWS * LENGTH, 1}}, {"targets", {ROWS * LENGTH, 1}}}, chain_fill, &m};
  leak.fill = leak_fill;
  excess e = decoder(r, "decoder", symbols, &f, steps);
  recipe_at_most(r, TRAINED, "held-out loss over the best of an order-2 chain, nats", e.mean, bound);
  recipe_no_leak(r, OPTIMUM, "the same in standard errors: none is below it by a leak", &e);
  e = decoder(r, "control: one token of context", symbols, &one, steps / 6);
  recipe_at_most(r, CONTROL, "one token of context: held-out loss over the best, nats", e.mean, bound);
  e = decoder(r, "control: the answer is seen", symbols, &leak, steps / 6);
  recipe_no_leak(r, CONTROL, "the answer is seen: loss over the best, standard errors", &e);
  markov_destroy(&m);
}

RECIPES(tp_causal,
        {"tp.causal", 4, "a decoder-only language model reaches the entropy rate of a Markov chain", causal, 50});
