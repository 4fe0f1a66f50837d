/* tp.causal: a decoder-only language model reaches the entropy rate of its data, and no less. Loss = - sum of
 * log p(x_t+1 | x_0 .. x_t) with the mask j <= i. Controls, trained alike: one token of context instead of two and
 * more, and tokens among which the answer stands.
 * Seeds 1 to 5, worst: 0.0086 nat over the chain's best (bound 0.01, quick 0.070 of 0.1), controls 0.82 and -268
 * standard errors (quick, seeds 1 to 3: 0.24 and -123); bytes 0.354 nat below the n-grams. The chain's best loses its
 * entropy rate where two tokens are known, and more at the first place of a text; so losses are compared with the best
 * ones of the same tokens, and those with the rate. */
#include <stdio.h>
#include <string.h>

#include "models/recipes/gpt_definition.h"
#include "models/recipes/packing.h"
#include "tests/oracles/hmm.h"
#include "tests/oracles/markov.h"
#include "tests/oracles/ngram.h"
#include "tests/oracles/stats.h"

enum { ROWS = 16, LENGTH = 64, ORDER = 3 /* tokens of the longest n-grams, as ngram.h counts them */ };

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

/* ---- arithmetic: the protocol of llm.c's test against a definition in doubles, and forms of the loss ------------- */

enum { FEW = 4, SHORT = 8, MANY = 8192, WIDTH = 16 };

static int32_t word_of(uint64_t seed, uint64_t index, int words) {
  uint64_t x = seed * 2654435761u + index;
  return (int32_t)((x * UINT64_C(6364136223846793005) >> 33) % (uint64_t)words);
}

static void words_fill(const void *words, uint64_t seed, uint64_t index, void *const port[]) {
  for (int i = 0; i < 2 * FEW * SHORT; i++)
    ((int32_t *)port[i % 2])[i / 2] = word_of(seed, index * FEW * SHORT * 2 + (uint64_t)i, *(const int *)words);
}

/* Batch 0 is the oracle's. */
static void oracle_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const gpt_oracle *o = data;
  const int all = GPT_ROWS * GPT_LENGTH;
  for (int i = 0; i < 2 * all; i++)
    ((int32_t *)port[i % 2])[i / 2] = word_of(seed, index * 2 * (uint64_t)all + (uint64_t)i, GPT_WORDS);
  if (index == 0) memcpy(port[0], o->tokens, sizeof o->tokens), memcpy(port[1], o->targets, sizeof o->targets);
}

/* The worst gradient of two nets, one parameter beside the same. */
static double slopes_apart(net *a, net *b, const feed *f) {
  static const char *const name[] = {"wte.weight",
                                     "wpe.weight",
                                     "ln_f.weight",
                                     "h.0.ln_1.weight",
                                     "h.0.ln_2.weight",
                                     "h.0.attn.c_attn.weight",
                                     "h.0.attn.c_proj.weight",
                                     "h.0.mlp.c_fc.weight",
                                     "h.0.mlp.c_proj.weight"};
  double worst = 0;
  for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
    char grad[64];
    snprintf(grad, sizeof grad, "grad.%s", name[i]);
    worst = recipe_max(worst, net_difference(a, b, "eval", f, grad));
  }
  return worst;
}

/* A large vocabulary: the form of the loss that never holds all logits beside the plain one in f64. That form is made
 * of kernels of attention, which are f32. */
static void forms(recipe *r) {
  const int words = MANY;
  const feed f = {{{"tokens", {FEW, SHORT}}, {"targets", {FEW, SHORT}}}, words_fill, &words};
  net *n =
      recipe_net(r, &sn_model_gpt, "train|eval", "layers=1 heads=2 width=%d context=%d vocab=%d", WIDTH, SHORT, words);
  net *fused = net_as(n, &(sn_compile_opt){.vocab = "fused", .grad = "loss"});
  net *whole = net_as(n, &(sn_compile_opt){.vocab = "whole"}), *right = net_exact(n, "loss");
  recipe_at_most(r, EXACT, "loss by parts of the vocabulary beside the plain one in f64",
                 net_difference(fused, right, "eval", &f, "loss"), 2e-5);
  recipe_at_most(r, EXACT, "its gradients beside those of the plain one in f64", slopes_apart(fused, right, &f), 2e-4);
  const which any = {0};
  const double all = 64. * SHORT * MANY;
  report least = net_report(fused, "train", "B=64 T=8", any), most = net_report(whole, "train", "B=64 T=8", any);
  recipe_at_most(r, EXACT | OF_PLAN, "its training: largest buffer over all logits", (double)least.largest_buffer / all,
                 .1);
  recipe_at_most(r, CONTROL | OF_PLAN, "the plain loss: largest buffer over all logits",
                 (double)most.largest_buffer / all, .1);
}

/* Logits, loss and gradients by each number of all 16 kinds of parameters, beside the definition. */
static void definition(recipe *r, net *n, gpt_oracle *o, const feed *f) {
  static double right[GPT_ROWS * GPT_LENGTH * GPT_WORDS];
  const int64_t count = GPT_ROWS * GPT_LENGTH * GPT_WORDS;
  double *slopes = recipe_alloc(r, sizeof(double) * (size_t)o->w.count), loss = gpt_oracle_loss(o);
  net *exact = net_exact(n, "loss"), *same = net_gradients(n, "loss");
  gpt_oracle_logits(o, right);
  weights_slopes(&o->w, gpt_oracle_loss, o, slopes);
  const double *found = net_output(exact, "logits", f, 0, "logits", NULL);
  recipe_at_most(r, EXACT, "logits in f64 beside the definition", recipe_difference(count, found, right), 1e-10);
  recipe_at_most(r, EXACT, "loss in f64 beside the definition",
                 recipe_difference(1, net_output(exact, "eval", f, 0, "loss", NULL), &loss), 1e-10);
  recipe_at_most(r, EXACT, "gradients, number by number, in f64 beside the definition's",
                 weights_slopes_off(&o->w, exact, "eval", f, slopes), 1e-6);
  const double *narrow = net_output(n, "logits", f, 0, "logits", NULL);
  recipe_at_most(r, EXACT, "logits in f32 beside the definition", recipe_difference(count, narrow, right), 1e-4);
  recipe_at_most(r, EXACT, "loss in f32 beside the definition",
                 recipe_difference(1, net_output(n, "eval", f, 0, "loss", NULL), &loss), 1e-4);
  recipe_at_most(r, EXACT, "gradients, number by number, in f32 beside the definition's",
                 weights_slopes_off(&o->w, same, "eval", f, slopes), 1e-4);
  o->open = true, gpt_oracle_logits(o, right);
  recipe_at_most(r, CONTROL, "later tokens are seen: logits beside the definition",
                 recipe_difference(count, found, right), 1e-10);
  o->open = false, o->curve = LAYERS_GELU_TANH, gpt_oracle_logits(o, right);
  recipe_at_most(r, CONTROL, "GELU by tanh: logits beside the definition", recipe_difference(count, found, right),
                 1e-10);
  o->curve = LAYERS_GELU;
}

static void exact(recipe *r) {
  const adam a = {.beta1 = .9, .beta2 = .99, .epsilon = 1e-8, .decay = .1, .corrected = true, .clip = 1};
  net *n = recipe_net(r, &sn_model_gpt, "train|eval|logits", "layers=%d heads=%d width=%d context=%d vocab=%d bias=1",
                      GPT_LAYERS, GPT_HEADS, GPT_WIDTH, GPT_LENGTH, GPT_WORDS);
  gpt_oracle o = gpt_oracle_of(r, n);
  const feed f = {{{"tokens", {GPT_ROWS, GPT_LENGTH}}, {"targets", {GPT_ROWS, GPT_LENGTH}}}, oracle_fill, &o};
  if (recipe_has_failed(r)) return;
  for (int i = 0; i < GPT_ROWS * GPT_LENGTH; i++)
    o.tokens[i] = word_of(1, 2 * (uint64_t)i, GPT_WORDS), o.targets[i] = word_of(1, 2 * (uint64_t)i + 1, GPT_WORDS);
  definition(r, n, &o, &f);
  recipe_at_most(r, EXACT, "gradient by all parameters against differences, f64",
                 net_slope_error(n, "eval", "loss", &f), 1e-6);
  recipe_at_most(r, EXACT, "losses of ten steps of AdamW against the oracle's in f64, relative",
                 net_trajectory_error(n, "eval", &f, &a, 1e-3, 10), 1e-4);
  forms(r);
}

/* ---- bytes of a text: better than n-grams ------------------------------------------------------------------------ */

typedef struct bytes {
  const char *text;
  int64_t train, all; /* behind `train` the part that is held out */
} bytes;

static uint64_t place(uint64_t seed, uint64_t index, uint64_t b) {
  uint64_t x = (seed ^ (index * ROWS + b)) * UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
  return x ^ x >> 32;
}

static void bytes_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const bytes *d = data;
  bool fresh = index >= 1 << 30;
  int64_t from = fresh ? d->train : 0, count = (fresh ? d->all - d->train : d->train) - LENGTH;
  for (int b = 0; b < ROWS; b++) {
    const char *at = d->text + from + (int64_t)(place(seed, index, (uint64_t)b) % (uint64_t)count);
    for (int t = 0; t < LENGTH; t++) {
      ((int32_t *)port[0])[b * LENGTH + t] = (unsigned char)at[t];
      ((int32_t *)port[1])[b * LENGTH + t] = (unsigned char)at[t + 1];
    }
  }
}

/* Loss of interpolated Kneser-Ney on the held-out bytes; it is made of the others. */
static double ngram_best(recipe *r, const bytes *d) {
  int *x = recipe_alloc(r, sizeof *x * (size_t)d->all);
  ngram m;
  for (int64_t i = 0; i < d->all; i++) x[i] = (unsigned char)d->text[i];
  if (!ngram_create(&m, ORDER, 256, d->train, x)) return recipe_fail(r, "out of memory"), (double)NAN;
  double loss = ngram_loss(&m, d->all - d->train, x + d->train);
  ngram_destroy(&m);
  return loss;
}

/* The other baseline of D8, xz, is a program, which a recipe does not start. By hand: xz 5.4.1 -9 makes 2.42 bits per
 * byte of the held-out part alone, and 1.77 when it has the part before in its window, which holds all of that text;
 * the decoder, which sees 64 bytes, makes 2.22, and 3-grams 2.73. */
static void bytes_row(recipe *r) {
  bytes d = {.all = 200000, .train = 180000};
  int64_t there;
  d.text = recipe_text(r, &there);
  if (there < d.all) return recipe_fail(r, "a text of %lld bytes is too short", (long long)there);
  const feed f = {{{"tokens", {ROWS, LENGTH}}, {"targets", {ROWS, LENGTH}}}, bytes_fill, &d};
  net *n = recipe_net(r, &sn_model_gpt, "train|eval", "layers=2 heads=4 width=64 context=%d vocab=256", LENGTH);
  recipe_train(r, &(training){n, .label = "bytes", .feed = &f, .steps = 2000, .lr = 5e-3});
  double loss = recipe_mean(n, "eval", "loss", &f, 40, NULL);
  recipe_at_most(r, TRAINED, "bytes of a text: held-out loss over Kneser-Ney of order 3, nats",
                 loss - ngram_best(r, &d), 0);
}

/* ---- a chain ----------------------------------------------------------------------------------------------------- */

/* What the best of all loses where a whole context is known, beside the entropy rate, in standard errors. */
static double rate_off(recipe *r, const markov *m) {
  enum { TEXTS = 2000, KNOWN = LENGTH - 1 };
  double *known = recipe_alloc(r, sizeof *known * TEXTS * KNOWN), loss[ROWS * LENGTH];
  for (int b = 0; b < TEXTS / ROWS; b++) {
    chain_best(m, recipe_seed(r, 8), (uint64_t)b, loss);
    for (int i = 0; i < ROWS; i++) memcpy(known + (b * ROWS + i) * KNOWN, loss + i * LENGTH + 1, sizeof *known * KNOWN);
  }
  stats_mean rate = stats_difference(TEXTS * KNOWN, known, NULL, KNOWN);
  return fabs(rate.mean - markov_entropy(m)) / rate.error;
}

/* Trains a decoder.   -> its held-out loss beside the best */
static excess decoder(recipe *r, const char *label, int symbols, const feed *f, int steps) {
  int length = (int)f->port[0].extent[1];
  net *n = recipe_net(r, &sn_model_gpt, "train|logits", "layers=2 heads=4 width=%d context=%d vocab=%d",
                      recipe_pick(r, 64, 32), length, symbols);
  recipe_train(r, &(training){n, .label = label, .feed = f, .steps = steps, .lr = 1e-2});
  return recipe_excess(r, &(against){n, .feed = f, .targets = 1, .best = chain_best});
}

static void chain(recipe *r) {
  markov m;
  double bound = recipe_is_quick(r) ? .1 : .01;
  int symbols = recipe_pick(r, 16, 4), steps = recipe_pick(r, 6000, 400);
  if (!markov_create(&m, recipe_seed(r, 7), 2, symbols)) return recipe_fail(r, "out of memory");
  feed f = {{{"tokens", {ROWS, LENGTH}}, {"targets", {ROWS, LENGTH}}}, chain_fill, &m}, leak = f;
  feed one = {{{"tokens", {ROWS * LENGTH, 1}}, {"targets", {ROWS * LENGTH, 1}}}, chain_fill, &m};
  leak.fill = leak_fill;
  recipe_at_most(r, OPTIMUM, "mean of the best losses beside the chain's entropy rate, standard errors",
                 rate_off(r, &m), 4);
  excess e = decoder(r, "decoder", symbols, &f, steps);
  recipe_at_most(r, OPTIMUM, "held-out loss over the best of an order-2 chain, nats", e.mean, bound);
  recipe_no_leak(r, OPTIMUM, "the same in standard errors: none is below it by a leak", &e);
  /* Not for want of training: 600 steps leave it 0.82 off at least (seeds 1 to 5), 6000 leave it 0.84 off (seed 1). */
  e = decoder(r, "control: one token of context", symbols, &one, recipe_pick(r, steps / 10, steps));
  recipe_at_most(r, CONTROL, "one token of context: held-out loss over the best, nats", e.mean, bound);
  e = decoder(r, "control: the answer is seen", symbols, &leak, steps / 10);
  recipe_no_leak(r, CONTROL, "the answer is seen: loss over the best, standard errors", &e);
  markov_destroy(&m);
}

static void causal(recipe *r) {
  exact(r);
  packing_checks(r);
  chain(r);
  if (!recipe_is_quick(r)) bytes_row(r);
}

RECIPES(tp_causal,
        {"tp.causal", 4, "a decoder-only language model reaches the entropy rate of a Markov chain", causal,
         "next-token law of the chain (markov.h); Kneser-Ney n-grams of a text (ngram.h); AdamW in f64 (adam.h)"});
