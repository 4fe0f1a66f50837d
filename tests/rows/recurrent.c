/* Recurrent rows that are settled by training.   usage: rows_recurrent [quick | NAME...] */
#include "tests/oracles/copying.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/hmm.h"
#include "tests/oracles/markov.h"
#include "tests/oracles/recall.h"
#include "tests/rows/adding_row.h"
#include "tests/rows/rows.h"

extern const sn_model sn_model_deltanet, sn_model_ema, sn_model_gla, sn_model_linear, sn_model_lstm, sn_model_rwkv7,
    sn_model_s4d, sn_model_s6;

static row_score score(const row_net *n, const row_task *learn, const row_task *test) {
  row_run *w = row_train(n, learn);
  row_score s = row_eval(w, test, 0, 128);
  row_end(w);
  return s;
}

/* ---- rec.rwkv: the word problem of S3 ---------------------------------------------------------------------------- */

/* Tokens 0 to 2 behind a beginning, 3. */
static void words_sample(const row_task *k, uint64_t seed, uint64_t index, int *tokens, int *answers) {
  tokens[0] = 3, answers[0] = -1;
  s3_sample(seed, index, k->length - 1, tokens + 1, answers + 1);
}

static double words_of(const sn_model *model, const char *set) {
  row_task learn = {words_sample, .length = 33}, test = {words_sample, .length = 129};
  return score(&(row_net){model, set, "prefill", 64, 2000, 1e-2f, 1e-4}, &learn, &test).right;
}

#define WORDS "layers=1 width=32 heads=4 key=8 vocab=8 context=160"
static void words(void) {
  row_at_least("rec.rwkv", "S3, learned at 32, at 128: DeltaNet, b in (0, 2)",
               words_of(&sn_model_deltanet, WORDS " most=2"), .99);
  row_at_least("rec.rwkv", "S3, learned at 32, at 128: RWKV-7, a in (0, 2)", words_of(&sn_model_rwkv7, WORDS " most=2"),
               .99);
}

static void words_control(void) {
  row_at_most("rec.rwkv", "control: GLA, positive and diagonal", words_of(&sn_model_gla, WORDS), .5);
  row_at_most("rec.rwkv", "control: DeltaNet, b in (0, 1)", words_of(&sn_model_deltanet, WORDS), .5);
}

/* ---- rec.mamba: selective copying -------------------------------------------------------------------------------- */

enum { KEPT = 4, VALUES = 8 };

static void copying_sample(const row_task *k, uint64_t seed, uint64_t index, int *tokens, int *answers) {
  selective_sample(seed, index, VALUES, k->count, k->length, tokens, answers);
}

/* Fewer and shorter, too, so that there is something to begin with. */
static void copying_vary(row_task *k, uint64_t seed, uint64_t index) {
  draws d = draws_of(seed, 1, index);
  int kept = 1 + draws_below(&d, k->count), text = k->length - k->count;
  k->length = 2 * kept + draws_below(&d, text - kept + 1);
  k->count = kept;
}

static double copying_of(const sn_model *model, const char *set, int steps) {
  row_task task = {copying_sample, copying_vary, 64 + KEPT, KEPT};
  return score(&(row_net){model, set, "prefill", 32, steps, 5e-3f, 1e-2}, &task, &task).right;
}

static void copying(void) {
  row_at_least("rec.mamba", "selective copying of 4 in 64: S6",
               copying_of(&sn_model_s6, "layers=2 width=32 inner=64 state=16 vocab=10 context=128", 5000), .99);
}

/* Of the same width. Twice as wide, as many parameters as S6 here, it came to 0.64. */
static void copying_control(void) {
  row_at_most("rec.mamba", "control: S4D, time-invariant",
              copying_of(&sn_model_s4d, "layers=2 width=32 state=16 vocab=10 context=128", 5000), .6);
}

/* ---- rec.delta: overwrite-recall --------------------------------------------------------------------------------- */

enum { KEYS = 16, CHOICES = 4, FIRST = 1 + KEYS + CHOICES /* token of a pair */ };

/* A key and the value behind it are one token: layers without a convolution see one token at a time. count: how often
 * each key is written. */
static void recall_pairs(const row_task *k, uint64_t seed, uint64_t index, int *tokens, int *answers) {
  recall r = {KEYS, KEYS, CHOICES, .length = (1 + 2 * k->count) * KEYS, .overwrite = k->count == 2};
  int text[5 * KEYS], said[5 * KEYS], n = 0;
  recall_sample(&r, seed, index, text, said);
  for (int t = 0; t < r.length; t++) {
    bool pair = t + 1 < r.length && text[t] > 0 && text[t] <= KEYS && text[t + 1] > KEYS;
    tokens[n] = pair ? FIRST + (text[t] - 1) * CHOICES + text[t + 1] - 1 - KEYS : text[t];
    answers[n++] = said[t];
    t += pair;
  }
  /* n == k->length: count KEYS pairs, KEYS queries */
}

static double recall_of(const row_net *n, int writes) {
  row_task task = {recall_pairs, .length = (writes + 1) * KEYS, .count = writes};
  return score(n, &task, &task).right;
}

static void overwriting(void) {
  row_net delta = {
      &sn_model_deltanet, "layers=1 width=64 heads=1 key=16 vocab=85 context=64", "prefill", 32, 2000, 1e-2f, 5e-3};
  row_net sums = {
      &sn_model_linear, "layers=1 width=64 heads=4 key=16 vocab=85 context=64", "prefill", 32, 2500, 5e-3f, 5e-3};
  row_at_least("rec.delta", "second values of 16 keys, dk = 16: DeltaNet", recall_of(&delta, 2), .99);
  row_at_least("rec.delta", "only values of 16 keys: linear attention, 4 heads", recall_of(&sums, 1), .99);
  row_at_most("rec.delta", "control: second values, which it adds to the first", recall_of(&sums, 2), .7);
}

/* ---- rec.rnn and rec.rwkv: texts whose best loss is known -------------------------------------------------------- */

enum { TEXT = 64 };

static void next_of(int length, const int *text, int *tokens, int *answers) {
  for (int t = 0; t < length; t++) tokens[t] = text[t], answers[t] = text[t + 1];
}
static void markov_text(const row_task *k, uint64_t seed, uint64_t index, int *tokens, int *answers) {
  int text[TEXT + 1];
  markov_sample(k->data, seed, index, TEXT + 1, text);
  next_of(TEXT, text, tokens, answers);
}
static void hmm_text(const row_task *k, uint64_t seed, uint64_t index, int *tokens, int *answers) {
  int text[TEXT + 1];
  hmm_sample(k->data, seed, index, TEXT + 1, text, NULL);
  next_of(TEXT, text, tokens, answers);
}

/* The loss above that of the best prediction of the same texts. */
static double above(const row_net *n, const row_task *k) {
  enum { COUNT = 512 };
  double best = 0, loss[TEXT + 1];
  for (int i = 0; i < COUNT; i++) {
    int text[TEXT + 1];
    if (k->sample == hmm_text) {
      hmm_sample(k->data, ROW_FRESH, (uint64_t)i, TEXT + 1, text, NULL);
      hmm_causal_loss(k->data, TEXT + 1, text, loss);
    } else {
      markov_sample(k->data, ROW_FRESH, (uint64_t)i, TEXT + 1, text);
      markov_loss(k->data, TEXT + 1, text, loss);
    }
    for (int t = 1; t <= TEXT; t++) best += loss[t] / TEXT / COUNT;
  }
  row_run *w = row_train(n, k);
  double found = row_eval(w, k, 0, COUNT).loss;
  row_end(w);
  return found - best;
}

/* The loss of what sees the last token only, above that of what sees all. */
static double bigrams_above(const hmm *h) {
  enum { COUNT = 512 };
  double sum = 0, near[TEXT + 1], all[TEXT + 1];
  for (int i = 0; i < COUNT; i++) {
    int text[TEXT + 1];
    hmm_sample(h, ROW_FRESH, (uint64_t)i, TEXT + 1, text, NULL);
    hmm_window_loss(h, TEXT + 1, text, 1, near);
    hmm_causal_loss(h, TEXT + 1, text, all);
    for (int t = 1; t <= TEXT; t++) sum += (near[t] - all[t]) / TEXT / COUNT;
  }
  return sum;
}

static void chains(void) {
  markov m;
  if (!markov_create(&m, 1, 2, 6)) return;
  row_task task = {markov_text, .length = TEXT, .data = &m};
  row_at_most(
      "rec.rnn", "nats above the entropy of D1 (2, 6): LSTM, 32 units",
      above(&(row_net){&sn_model_lstm, "layers=1 width=32 vocab=7 context=64", "prefill", 32, 1500, 1e-2f, 0}, &task),
      .02);
  row_at_least(
      "rec.rnn", "control: EMA of the same size, trained as long",
      above(&(row_net){&sn_model_ema, "layers=1 width=32 vocab=7 context=64", "prefill", 32, 1500, 1e-2f, 0}, &task),
      .03);
  markov_destroy(&m);
}

static void hidden(void) {
  hmm h = hmm_make(1, 4, 8, .8);
  row_task task = {hmm_text, .length = TEXT, .data = &h};
  row_at_most("rec.rwkv", "nats above Bayes of D2 (4, 8): RWKV-7",
              above(&(row_net){&sn_model_rwkv7, "layers=1 width=32 heads=4 key=8 vocab=9 context=64", "prefill", 32,
                               500, 1e-2f, 0},
                    &task),
              .03);
  row_at_least("rec.rwkv", "control: best loss of bigrams of D2 above Bayes", bigrams_above(&h), .03);
}

static void adding(void) {
  row_at_most("rec.rnn", "adding problem of 100: squared error of an LSTM, 32 units", adding_error(4000, 5e-3), 1e-2);
}

int main(int argc, char **argv) {
  static const row_check check[] = {{"words", words, false},
                                    {"words-control", words_control, false},
                                    {"copying", copying, false},
                                    {"copying-control", copying_control, false},
                                    {"overwriting", overwriting, true},
                                    {"chains", chains, false},
                                    {"hidden", hidden, false},
                                    {"adding", adding, false}};
  return row_main(argc, argv, check, sizeof check / sizeof *check);
}
