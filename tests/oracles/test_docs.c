/* D3 against sums over topics, places and cues, and against samples. */
#include "tests/oracles/harness.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/docs.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/stats.h"

static const docs small = {.topics = 2, .sentences = 3, .words = 2, .filler = 1, .noise = 0.2};

/* p(cue | right) */
static double shows(double noise, int cue, int right, int n) { return cue == right ? 1 - noise : noise / (n - 1); }

/* Joint law of label and cues, summed hidden variable by hidden variable. */
static void accuracies_are_sums_over_causes(void **state) {
  (void)state;
  const docs *d = &small;
  double pair[2][81 * 16] = {{0}}, swap[2][81 * 16] = {{0}};
  for (int seen = 0; seen < 9 * 4; seen++) {
    int ca = seen % 3, cb = seen / 3 % 3, ta = seen / 9 % 2, tb = seen / 18;
    for (int z = 0; z < 2; z++) {
      for (int k = 0; k < 2; k++) {
        double a = shows(0.2, ca, k, 3) * shows(0.2, ta, z, 2) / 4;
        pair[0][seen] += a * shows(0.2, cb, k + 1, 3) * shows(0.2, tb, z, 2) / 2;
        swap[0][seen] += a * shows(0.2, cb, k + 1, 3) * shows(0.2, tb, z, 2) / 2;
        swap[1][seen] +=
            shows(0.2, ca, k + 1, 3) * shows(0.2, ta, z, 2) * shows(0.2, cb, k, 3) * shows(0.2, tb, z, 2) / 8;
        for (int other = 0; other < 6; other++) {
          pair[1][seen] += a * shows(0.2, cb, other / 2, 3) * shows(0.2, tb, other % 2, 2) / 12;
        }
      }
    }
  }
  double best_pair = 0, best_swap = 0, all = 0;
  for (int seen = 0; seen < 36; seen++) {
    best_pair += fmax(pair[0][seen], pair[1][seen]);
    best_swap += fmax(swap[0][seen], swap[1][seen]);
    all += pair[0][seen] + pair[1][seen];
  }
  assert_near(all, 1, 1e-14);
  assert_near(docs_pair_accuracy(d), best_pair, 1e-14);
  assert_near(docs_swap_accuracy(d), best_swap, 1e-14);
  assert_true(best_pair > 0.6 && best_swap > 0.7);
}

/* p(shown) of a pair, whatever its label. */
static double shown_pair(const docs *d, const int *tokens) {
  return (docs_pair_likelihood(d, 0, tokens) + docs_pair_likelihood(d, 1, tokens)) / 2;
}

/* Each token told to `sight`, or nothing about it. */
static void see(const docs *d, const int *tokens, double *sight) {
  int symbols = docs_symbols(d);
  for (int i = 0; i < 2 * docs_sentence(d) * symbols; i++)
    sight[i] = tokens[i / symbols] == DOCS_HIDDEN || tokens[i / symbols] == i % symbols;
}

/* Against likelihoods with tokens put in, some hidden; a token seen through noise is a mixture. */
static void pairs_are_smoothed(void **state) {
  (void)state;
  const docs d = {.topics = 3, .sentences = 4, .words = 2, .filler = 1, .noise = 0.15};
  int symbols = docs_symbols(&d), n = 2 * docs_sentence(&d), text[8];
  double sight[8 * 16], label[2], token[8 * 16];
  for (uint64_t index = 0; index < 40; index++) {
    draws r = draws_of(3, 3, index);
    docs_pair_sample(&d, 1, index, text);
    for (int t = 0; t < n; t++) text[t] = draws_below(&r, 3) ? text[t] : DOCS_HIDDEN;
    see(&d, text, sight);
    double all = docs_pair_smooth(&d, sight, label, token), mixed = 0;
    assert_near(all, shown_pair(&d, text), 1e-14);
    assert_near(label[1], docs_pair_likelihood(&d, 1, text) / 2 / all, 1e-12);
    for (int t = 0; t < n; t++) {
      int was = text[t];
      for (int w = 0; w < symbols; w++) {
        text[t] = w;
        assert_near(token[t * symbols + w], was == DOCS_HIDDEN || was == w ? shown_pair(&d, text) / all : 0, 1e-12);
      }
      text[t] = was;
    }
    int at = draws_below(&r, n), was = text[at];
    for (int w = 0; w < symbols; w++) {
      sight[at * symbols + w] = draws_unit(&r);
      text[at] = w;
      mixed += sight[at * symbols + w] * shown_pair(&d, text);
    }
    all = docs_pair_smooth(&d, sight, label, NULL);
    assert_near(all, mixed, 1e-14);
    text[at] = was;
  }
}

/* Three sentences, six orders, 27 cues. */
static void orders_are_assignments(void **state) {
  (void)state;
  static const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  static const int turn[3] = {0, 4, 3}; /* began at sentence 0, 1, 2 */
  double best = 0, best_turn = 0;
  int found[3];
  for (int o = 0; o < 6; o++) {
    docs_order(&small, o, found);
    assert_memory_equal(found, order[o], sizeof found);
  }
  for (int k = 0; k < 27; k++) {
    double p[6], most = 0, most_turn = 0;
    for (int o = 0; o < 6; o++) {
      p[o] =
          shows(0.2, k % 3, order[o][0], 3) * shows(0.2, k / 3 % 3, order[o][1], 3) * shows(0.2, k / 9, order[o][2], 3);
      most = fmax(most, p[o]);
    }
    for (int t = 0; t < 3; t++) most_turn = fmax(most_turn, p[turn[t]]);
    best += most / 6, best_turn += most_turn / 3;
  }
  assert_near(docs_order_accuracy(&small), best, 1e-14);
  assert_near(docs_start_accuracy(&small), best_turn, 1e-14);
}

/* The likelihoods of everything that can be shown sum to 1, also where something is hidden. */
static void likelihoods_are_laws(void **state) {
  (void)state;
  int tokens[8], symbols = docs_symbols(&small);
  double sum[4] = {0}, shown = 0;
  for (int a = 0; a < symbols * symbols * symbols; a++) {
    for (int b = 0; b < symbols * symbols * symbols; b++) {
      int text[8] = {a % symbols, a / symbols % symbols, a / symbols / symbols, 0,
                     b % symbols, b / symbols % symbols, b / symbols / symbols, 0};
      double p = docs_pair_likelihood(&small, 1, text);
      sum[0] += docs_pair_likelihood(&small, 0, text), sum[1] += p;
      sum[2] += docs_swap_likelihood(&small, 0, text), sum[3] += docs_swap_likelihood(&small, 1, text);
      if (text[0] == 1 && text[5] == 4) shown += p;
    }
  }
  for (int k = 0; k < 4; k++) assert_near(sum[k], 1, 1e-12);
  for (int i = 0; i < 8; i++) tokens[i] = DOCS_HIDDEN;
  assert_near(docs_pair_likelihood(&small, 0, tokens), 1, 1e-14);
  tokens[0] = 1, tokens[5] = 4;
  assert_near(docs_pair_likelihood(&small, 1, tokens), shown, 1e-13);
  int word[8] = {1, 4, 6, 0, 2, 4, 6, 0}, no_word[8] = {1, 4, DOCS_HIDDEN, 0, 2, 4, DOCS_HIDDEN, 0};
  assert_near(docs_pair_likelihood(&small, 0, no_word), 4 * docs_pair_likelihood(&small, 0, word), 1e-14);
}

/* Labels and cues of samples come up as the likelihoods say. */
static void samples_have_the_law(void **state) {
  (void)state;
  enum { MANY = 20000 };
  const docs *d = &small;
  double count[2][72] = {{0}}, law[2][72];
  int tokens[8];
  for (int i = 0; i < MANY; i++) {
    for (int swap = 0; swap < 2; swap++) {
      int label = swap ? docs_swap_sample(d, 2, (uint64_t)i, tokens) : docs_pair_sample(d, 2, (uint64_t)i, tokens);
      count[swap][label * 36 + (tokens[0] - 1) * 12 + (tokens[4] - 1) * 4 + (tokens[1] - 4) * 2 + tokens[5] - 4]++;
    }
  }
  for (int k = 0; k < 72; k++) {
    int text[8] = {1 + k / 12 % 3, 4 + k / 2 % 2, DOCS_HIDDEN, 0, 1 + k / 4 % 3, 4 + k % 2, DOCS_HIDDEN, 0};
    law[0][k] = docs_pair_likelihood(d, k / 36, text) / 2;
    law[1][k] = docs_swap_likelihood(d, k / 36, text) / 2;
  }
  assert_true(stats_fit_p(72, count[0], law[0]) > 1e-4 && stats_fit_p(72, count[1], law[1]) > 1e-4);
}

/* Against every text that what is shown may be. */
static void restoring_tries_all(void **state) {
  (void)state;
  const docs *d = &small;
  int order[3] = {0, 1, 2}, n = 12;
  draws r = draws_of(3, 1, 1);
  for (int round = 0; round < 20; round++) {
    int text[12], shown[12], hole[4], out[12];
    docs_sample(d, 1, (uint64_t)round, text);
    memcpy(shown, text, sizeof text);
    for (int i = 0; i < 4; i++) {
      hole[i] = round == 0 && i < 3 ? 4 * i + 1 : draws_below(&r, n); /* once all topic cues */
      shown[hole[i]] = DOCS_HIDDEN;
    }
    double best = 0, all = 0, found = docs_restore(d, shown, out);
    for (int k = 0; k < 8 * 8 * 8 * 8; k++) {
      int other[12], fresh = 1;
      memcpy(other, shown, sizeof shown);
      for (int i = 0, rest = k; i < 4; i++, rest /= 8) {
        fresh &= other[hole[i]] == DOCS_HIDDEN || other[hole[i]] == rest % 8; /* a place may come up twice */
        other[hole[i]] = rest % 8;
      }
      double p = fresh ? docs_likelihood(d, order, other) : 0;
      best = fmax(best, p), all += p;
    }
    assert_near(docs_likelihood(d, order, shown), all, 1e-15);
    assert_near(found, best / all, 1e-12);
    assert_near(docs_likelihood(d, order, out), best, 1e-15);
  }
}

/* The best classifier scores what it should on samples; classes are balanced; sentences are well formed. */
static void samples_reach_the_accuracies(void **state) {
  (void)state;
  enum { MANY = 20000 };
  docs d = {.topics = 4, .sentences = 4, .words = 6, .filler = 3, .noise = 0.1};
  double right[3] = {0}, ones[2] = {0};
  int tokens[DOCS_SENTENCES * DOCS_LENGTH], n = docs_sentence(&d);
  for (int i = 0; i < MANY; i++) {
    int label = docs_pair_sample(&d, 1, (uint64_t)i, tokens);
    right[0] += label == (docs_pair_likelihood(&d, 1, tokens) > docs_pair_likelihood(&d, 0, tokens));
    ones[0] += label;
    label = docs_swap_sample(&d, 1, (uint64_t)i, tokens);
    right[1] += label == (docs_swap_likelihood(&d, 1, tokens) > docs_swap_likelihood(&d, 0, tokens));
    ones[1] += label;
  }
  assert_true(fabs(stats_binomial_z(right[0], MANY, docs_pair_accuracy(&d))) < 4);
  assert_true(fabs(stats_binomial_z(right[1], MANY, docs_swap_accuracy(&d))) < 4.5); /* equals among the likelihoods */
  assert_true(fabs(stats_binomial_z(ones[0], MANY, 0.5)) < 4 && fabs(stats_binomial_z(ones[1], MANY, 0.5)) < 4);
  draws r = draws_of(1, 1, 1);
  for (int i = 0; i < MANY / 10; i++) { /* sentences in another order */
    int text[DOCS_SENTENCES * DOCS_LENGTH], order[4], number = draws_below(&r, 24);
    double p[DOCS_ORDERS];
    docs_sample(&d, 1, (uint64_t)i, tokens);
    for (int k = 0; k < 4 * n; k++) assert_true((tokens[k] == 0) == (k % n == n - 1) && tokens[k] < docs_symbols(&d));
    docs_order(&d, number, order);
    for (int k = 0; k < 4; k++) memcpy(text + k * n, tokens + order[k] * n, (size_t)n * sizeof *text);
    docs_order_posterior(&d, text, p);
    int best = 0, ties = 0;
    double sum = 0, start[DOCS_SENTENCES];
    for (int o = 0; o < 24; o++) sum += p[o];
    assert_near(sum, 1, 1e-13);
    docs_start_posterior(&d, text, start);
    assert_near(start[0] * p[18], start[1] * p[0], 1e-15); /* order 18 is 3 0 1 2 */
    assert_near(start[0] + start[1] + start[2] + start[3], 1, 1e-13);
    for (int o = 1; o < 24; o++) best = p[o] > p[best] * (1 + 1e-9) ? o : best;
    for (int o = 0; o < 24; o++) ties += p[o] > p[best] * (1 - 1e-9);
    right[2] += p[number] > p[best] * (1 - 1e-9) ? 1.0 / ties : 0;
  }
  assert_near(right[2] / (MANY / 10), docs_order_accuracy(&d), 4 * sqrt(0.25 / (MANY / 10)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pairs_are_smoothed),           cmocka_unit_test(accuracies_are_sums_over_causes),
      cmocka_unit_test(orders_are_assignments),       cmocka_unit_test(likelihoods_are_laws),
      cmocka_unit_test(samples_have_the_law),         cmocka_unit_test(restoring_tries_all),
      cmocka_unit_test(samples_reach_the_accuracies),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
