/* tp.causal: a decoder-only language model reaches the entropy rate of its data, and no less. Loss = - sum of
 * log p(x_t+1 | x_0 .. x_t) with the mask j <= i. Controls: a window that is too short, and a mask that lets the answer
 * be seen. */
#include "models/recipes/recipe.h"
#include "tests/oracles/hmm.h"
#include "tests/oracles/markov.h"

enum { ROWS = 16, LENGTH = 64 };

extern const sn_model sn_model_gpt;

static void chain_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  int x[LENGTH + 1];
  for (int b = 0; b < ROWS; b++) {
    markov_sample(data, seed, index * ROWS + (uint64_t)b, LENGTH + 1, x);
    for (int t = 0; t < LENGTH; t++) {
      ((int32_t *)port[0])[b * LENGTH + t] = x[t];
      ((int32_t *)port[1])[b * LENGTH + t] = x[t + 1];
    }
  }
}

/* Mean best loss of what is measured, of the chain at hand: places with a whole context behind them and those without.
 */
static double chain_best(const markov *m, uint64_t seed, int batches) {
  double sum = 0, loss[LENGTH + 1];
  int x[LENGTH + 1];
  for (int i = 0; i < batches * ROWS; i++) {
    markov_sample(m, seed, ((uint64_t)1 << 30) * ROWS + (uint64_t)i, LENGTH + 1, x);
    markov_loss(m, LENGTH + 1, x, loss);
    for (int t = 1; t <= LENGTH; t++) sum += loss[t];
  }
  return sum / batches / ROWS / LENGTH;
}

static void causal(recipe *r) {
  markov m;
  int symbols = recipe_pick(r, 16, 4);
  if (!markov_create(&m, recipe_seed(r, 7), 2, symbols)) return recipe_fail(r, "out of memory");
  feed f = {{{"tokens", {ROWS, LENGTH}}, {"targets", {ROWS, LENGTH}}}, chain_fill, &m};
  net *n = recipe_net(r, &sn_model_gpt, "train|eval", "layers=2 heads=4 width=%d context=%d vocab=%d",
                      recipe_pick(r, 64, 32), LENGTH, symbols);
  recipe_train(r, &(training){n, .label = "decoder", .feed = &f, .steps = recipe_pick(r, 2000, 600),
                              .lr = recipe_is_quick(r) ? 1e-2 : 3e-3});
  int batches = recipe_pick(r, 64, 16);
  double best = chain_best(&m, recipe_seed(r, 1), batches), error;
  double loss = recipe_mean(n, "eval", "loss", &f, batches, &error);
  recipe_at_most(r, TRAINED, "held-out loss over the best of an order-2 chain, nats", loss - best,
                 recipe_is_quick(r) ? .1 : .01);
  recipe_at_least(r, OPTIMUM, "and under it by, standard errors (a leak)", (loss - best) / error, -3);
  recipe_at_most(r, CONTROL, "what sees one token instead of two: loss over the best, nats",
                 markov_entropy_seen(&m, 1) - markov_entropy(&m), .01);
  markov_destroy(&m);
}

RECIPES(tp_causal,
        {"tp.causal", 4, "a decoder-only language model reaches the entropy rate of a Markov chain", causal});
