/* bert.mlm: tokens are hidden by the law of the paper, and BERT learns to guess them, and next sentences beside, on
 * pairs whose best answers are known. Controls: samplers with another law; an encoder whose rows see nothing but
 * themselves.
 * The number of hidden tokens is a share of those that may be chosen, halves rounded up; the
 * published code takes the share of all tokens of the sequence, [CLS] and [SEP] with them, and Python's rounding, which
 * takes halves to the even number. */
#include <stdio.h>

#include "models/recipes/bert_task.h"
#include "tests/oracles/corrupt.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/stats.h"

extern const sn_model sn_model_bert;

static bool is_special(int x) { return x >= 16 && x < 18; }

/* Chosen tokens of many texts: the right number, none special, all else as it was; then how they were replaced. */
typedef struct law {
  double wrong, chosen, done[3];
} law;

static law law_of(const hide *h, uint64_t seed, int selections) {
  law l = {0};
  for (uint64_t index = 0; l.chosen < selections; index++) {
    draws r = draws_of(seed, 0x6c6177, index);
    int n = 3 + draws_below(&r, 200), x[256], shown[256], slots[256], labels[256], free = 0;
    bool special[256], chosen[256] = {false};
    for (int t = 0; t < n; t++) {
      x[t] = t == 0 ? 16 : draws_below(&r, 8) ? draws_below(&r, 16) : 17;
      special[t] = is_special(x[t]);
      free += !special[t];
    }
    int count = hide_tokens(h, seed, index, n, x, NULL, shown, slots, labels);
    bool fine = count == (free ? corrupt_chosen(free, .15, 20) : 0);
    for (int i = 0; i < count; i++) {
      fine = fine && labels[i] == x[slots[i]] && (i == 0 || slots[i] > slots[i - 1]);
      chosen[slots[i]] = true;
    }
    l.wrong += !fine || !corrupt_bert_done(n, x, special, shown, chosen, count, h->mask, l.done);
    l.chosen += count;
  }
  return l;
}

/* The largest of the z of 0.8, 0.1 + 0.1 / V, 0.1 - 0.1 / V. */
static double farthest(const law *l) {
  const double p[3] = {.8, .1 + .1 / 16, .1 - .1 / 16};
  double most = 0;
  for (int i = 0; i < 3; i++) most = recipe_max(most, fabs(stats_binomial_z(l->done[i], l->chosen, p[i])));
  return most;
}

/* Words of one to four tokens, of which some are chosen: how many texts have a word that is chosen in part. */
static double torn_words(const hide *h, uint64_t seed, bool whole) {
  double torn = 0;
  for (uint64_t index = 0; index < 2000; index++) {
    draws r = draws_of(seed, 0x776f72, index);
    int x[64], word[64], shown[64], slots[64], labels[64];
    bool chosen[64] = {false}, bad = false;
    for (int t = 0, left = 0, w = 0; t < 64; t++, left--) {
      if (left == 0) left = 1 + draws_below(&r, 4), w++;
      x[t] = draws_below(&r, 16), word[t] = w;
    }
    int count = hide_tokens(h, seed, index, 64, x, whole ? word : NULL, shown, slots, labels);
    for (int i = 0; i < count; i++) chosen[slots[i]] = true;
    for (int t = 1; t < 64; t++) bad = bad || (word[t] == word[t - 1] && chosen[t] != chosen[t - 1]);
    torn += bad || count < 7 || count > 10;
  }
  return torn;
}

/* Kernels that write a number for every token of every place, of a step with `slots` slots a sequence. */
static double whole_logits(net *n, int slots) {
  char sizes[64];
  snprintf(sizes, sizeof sizes, "B=4 T=64 K=%d", slots);
  return net_report(n, "pretrain", sizes, (which){.elements = 4 * 64 * 1000}).kernels;
}

static void gathered(recipe *r) {
  net *n = recipe_net(r, &sn_model_bert, "pretrain", "layers=1 heads=2 width=16 vocab=1000 context=64");
  recipe_at_most(r, EXACT | OF_PLAN, "4 of 64 places are asked for: kernels that write logits of all",
                 whole_logits(n, 4), 0);
  recipe_at_most(r, CONTROL | OF_PLAN, "all are asked for: the same", whole_logits(n, 64), 0);
}

static void check_arithmetic(recipe *r, net *n, const bert_task *k) {
  bert_task few = *k;
  few.rows = 2;
  feed f = bert_task_feed(&few);
  recipe_arithmetic(r, &(arithmetic){n, &f, "eval_pretrain", "guess", "logits", "logits", BERT_INNER});
}

static void mlm(recipe *r) {
  const hide h = {.most = 20, .mask = 18, .symbols = 16, .special = is_special};
  hide wrong = h, blind = h;
  law l = law_of(&h, recipe_seed(r, 3), 1000000);
  recipe_at_most(r, EXACT, "texts of wrong count, slots or labels, or a special token chosen", l.wrong, 0);
  recipe_at_most(r, OPTIMUM, "shares hidden, kept, exchanged of 1e6 chosen, standard errors off", farthest(&l), 4);
  blind.special = NULL;
  recipe_at_most(r, CONTROL, "no token is special: texts that are wrong",
                 law_of(&blind, recipe_seed(r, 3), 10000).wrong, 0);
  wrong.masked = .8, wrong.kept = .1; /* a tenth of the rest is kept, not a half */
  l = law_of(&wrong, recipe_seed(r, 3), 1000000);
  recipe_at_most(r, CONTROL, "the rest is kept at a tenth: standard errors off", farthest(&l), 4);
  recipe_at_most(r, EXACT, "whole words: texts with a word that is chosen in part",
                 torn_words(&h, recipe_seed(r, 4), true), 0);
  recipe_at_most(r, CONTROL, "tokens one by one: the same", torn_words(&h, recipe_seed(r, 4), false), 0);
  gathered(r);

  /* Seeds 1 to 5: at worst 0.1 and 0.2 points below, the controls, seed 1, 7.4 and 25; quick, seeds 1 to 4: 0.2 and
   * 1.8, the controls 7.4 and 24 at least. */
  int steps = recipe_pick(r, 4000, 1200), batches = recipe_pick(r, 64, 24);
  double bound = recipe_is_quick(r) ? 4 : 2;
  bert_task k = bert_task_of(.1), alone = k;
  net *n = bert_pretrained(r, "BERT", &k, steps);
  bert_score s = bert_measure(r, n, &k, batches);
  excess e = bert_excess(r, n, &k, recipe_pick(r, 20000, 2000));
  recipe_at_most(r, TRAINED, "hidden tokens right, points below the best", 100 * (s.best_token - s.token), bound);
  recipe_at_most(r, TRAINED, "next sentences right, points below the best", 100 * (s.best_label - s.label), bound);
  recipe_no_leak(r, OPTIMUM, "hidden tokens", &e);
  double low, high, pairs = 32. * batches;
  stats_wilson(s.label * pairs, pairs, 3, &low, &high);
  recipe_at_most(r, OPTIMUM, "next sentences right, points above the best by Wilson's interval: none",
                 100 * (low - s.best_label), 0);
  check_arithmetic(r, n, &k);
  alone.blind = true;
  s = bert_measure(r, bert_pretrained(r, "control: rows see themselves", &alone, steps), &alone, batches);
  recipe_at_most(r, CONTROL, "rows see themselves: hidden tokens", 100 * (s.best_token - s.token), bound);
  recipe_at_most(r, CONTROL, "rows see themselves: next sentences", 100 * (s.best_label - s.label), bound);
}

RECIPES(bert_mlm, {"bert.mlm", 5, "15 % of tokens are hidden 80/10/10, and BERT guesses them as well as can be", mlm,
                   "binomial laws of masking (corrupt.h, stats.h); evidence of pairs, exact (docs.h)"});
