/* D2 against enumeration of all state paths and texts. */
#include "tests/oracles/harness.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/draws.h"
#include "tests/oracles/hmm.h"

enum { S = 3, V = 3, N = 5, ALL = 243 };

static void digits(int number, int base, int n, int *out) {
  for (int i = n - 1; i >= 0; i--, number /= base) out[i] = number % base;
}

/* p(states, tokens) */
static double joint(const hmm *h, int n, const int *s, const int *x) {
  double p = h->start[s[0]];
  for (int t = 0; t < n; t++) p *= (t ? h->step[s[t - 1]][s[t]] : 1) * h->emit[s[t]][x[t]];
  return p;
}

typedef struct beliefs {
  double token[N][V], state[N][S], all;
} beliefs;

/* By Bayes' rule over every path and text. */
static beliefs enumerate(const hmm *h, const double *sight) {
  beliefs b = {0};
  for (int i = 0; i < ALL; i++) {
    for (int k = 0; k < ALL; k++) {
      int s[N], x[N];
      digits(i, S, N, s);
      digits(k, V, N, x);
      double p = joint(h, N, s, x);
      for (int t = 0; t < N; t++) p *= sight[t * V + x[t]];
      if (p <= 0) continue;
      b.all += p;
      for (int t = 0; t < N; t++) b.token[t][x[t]] += p, b.state[t][s[t]] += p;
    }
  }
  for (int t = 0; t < N; t++) {
    for (int w = 0; w < V; w++) b.token[t][w] /= b.all;
    for (int w = 0; w < S; w++) b.state[t][w] /= b.all;
  }
  return b;
}

static void check_smooth(const hmm *h, const double *sight) {
  beliefs b = enumerate(h, sight);
  double token[N * V], state[N * S];
  assert_near(hmm_smooth(h, N, sight, token, state), log(b.all), 1e-12);
  for (int i = 0; i < N * V; i++) assert_near(token[i], b.token[i / V][i % V], 1e-13);
  for (int i = 0; i < N * S; i++) assert_near(state[i], b.state[i / S][i % S], 1e-13);
}

static void smoothing_is_bayes_rule(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 4; seed++) {
    hmm h = hmm_make(seed, S, V, seed % 2 * 0.7);
    draws d = draws_of(seed, 1, 0);
    double sight[N * V];
    for (int i = 0; i < N * V; i++) sight[i] = draws_unit(&d); /* seen through noise */
    check_smooth(&h, sight);
    int x[N];
    hmm_sample(&h, seed, 0, N, x, NULL);
    x[1] = x[3] = HMM_HIDDEN;
    hmm_sight(&h, N, x, sight);
    check_smooth(&h, sight);
  }
}

/* The words of appendix A1: a visible symbol at places that were not selected, and at the target. */
static void bert_noise_is_a_sight(void **state) {
  (void)state;
  hmm h = hmm_make(5, S, V, 0);
  double sight[N * V];
  int shown[N] = {0, 2, 1, HMM_HIDDEN, 1};
  for (int t = 0; t < N; t++) {
    for (int w = 0; w < V; w++) {
      double selected = shown[t] < 0 ? 0.8 : 0.1 / V + 0.1 * (w == shown[t]);
      double kept = shown[t] < 0 ? 0 : w == shown[t];
      sight[t * V + w] = t == 2 ? selected : 0.15 * selected + 0.85 * kept;
    }
  }
  check_smooth(&h, sight);
}

static void filtering_is_smoothing_without_the_future(void **state) {
  (void)state;
  hmm h = hmm_make(11, S, V, 0.5);
  int x[N], seen[N];
  hmm_sample(&h, 3, 8, N, x, NULL);
  double token[N * V], belief[N * S], loss[N], window[N];
  double all = hmm_filter(&h, N, x, token, belief), sum = 0;
  hmm_causal_loss(&h, N, x, loss);
  hmm_window_loss(&h, N, x, N, window);
  for (int t = 0; t < N; t++) {
    double sight[N * V];
    for (int i = 0; i < N; i++) seen[i] = i < t ? x[i] : HMM_HIDDEN;
    hmm_sight(&h, N, seen, sight);
    beliefs b = enumerate(&h, sight);
    for (int w = 0; w < V; w++) assert_near(token[t * V + w], b.token[t][w], 1e-13);
    assert_near(loss[t], -log(b.token[t][x[t]]), 1e-12);
    assert_near(window[t], loss[t], 1e-12);
    sum += loss[t];
    seen[t] = x[t];
    hmm_sight(&h, N, seen, sight);
    b = enumerate(&h, sight);
    for (int w = 0; w < S; w++) assert_near(belief[t * S + w], b.state[t][w], 1e-13);
  }
  assert_near(all, -sum, 1e-12);
}

static void windows_forget(void **state) {
  (void)state;
  hmm h = hmm_make(2, S, V, 0.5);
  int x[N], seen[N];
  hmm_sample(&h, 3, 1, N, x, NULL);
  double window[N], sight[N * V];
  hmm_window_loss(&h, N, x, 2, window);
  for (int t = 0; t < N; t++) {
    for (int i = 0; i < N; i++) seen[i] = i < t && i >= t - 2 ? x[i] : HMM_HIDDEN;
    hmm_sight(&h, N, seen, sight);
    assert_near(window[t], -log(enumerate(&h, sight).token[t][x[t]]), 1e-12);
  }
}

static void ranks_say_what_is_seen(void **state) {
  (void)state;
  hmm h = hmm_make(21, S, V, 0.2);
  static const int ranks[][N] = {{0, 1, 2, 3, 4},   {-1, 0, -1, 0, 0}, {-1, 0, -1, 1, 2},
                                 {-1, -1, 0, 1, 2}, {3, 0, 4, 1, 2},   {-1, -1, -1, -1, -1}};
  int x[N], seen[N];
  for (size_t k = 0; k < sizeof ranks / sizeof *ranks; k++) {
    hmm_sample(&h, 5, k, N, x, NULL);
    double loss[N], sight[N * V];
    hmm_ranked_loss(&h, N, x, ranks[k], loss);
    for (int t = 0; t < N; t++) {
      if (ranks[k][t] < 0) {
        assert_true(loss[t] == 0);
        continue;
      }
      for (int i = 0; i < N; i++) seen[i] = ranks[k][i] < ranks[k][t] ? x[i] : HMM_HIDDEN;
      hmm_sight(&h, N, seen, sight);
      assert_near(loss[t], -log(enumerate(&h, sight).token[t][x[t]]), 1e-12);
    }
  }
}

/* Between the bounds of enumeration, which close in, and equal to the mean loss of samples. */
static void entropy_lies_between_its_bounds(void **state) {
  (void)state;
  enum { LONG = 400, TEXTS = 100 };
  for (uint64_t seed = 0; seed < 3; seed++) {
    hmm h = hmm_make(seed, 4, 4, 0.3);
    double low, high, lower, higher, error, rate = hmm_entropy(&h, 1, 64000, &error);
    hmm_entropy_bounds(&h, 3, &lower, &higher);
    hmm_entropy_bounds(&h, 7, &low, &high);
    assert_true(lower <= low + 1e-12 && low <= high + 1e-12 && high <= higher + 1e-12);
    assert_true(rate > low - 4 * error && rate < high + 4 * error);
    double mean = 0, square = 0;
    for (int i = 0; i < TEXTS; i++) {
      int x[LONG];
      double loss[LONG], own = 0;
      hmm_sample(&h, 77, (uint64_t)i, LONG, x, NULL);
      hmm_causal_loss(&h, LONG, x, loss);
      for (int t = 50; t < LONG; t++) own += loss[t] / (LONG - 50);
      mean += own / TEXTS, square += own * own / TEXTS;
    }
    assert_near(mean, rate, 4 * error + 4 * sqrt((square - mean * mean) / TEXTS));
  }
}

/* Results of several seeds differ by what the error says. */
static void errors_are_deviations(void **state) {
  (void)state;
  enum { SEEDS = 40 };
  hmm h = hmm_make(5, S, V, 0.3);
  double mean = 0, square = 0, error2 = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    double error, rate = hmm_entropy(&h, seed, 2560, &error);
    mean += rate / SEEDS, square += rate * rate / SEEDS, error2 += error * error / SEEDS;
  }
  double ratio = (square - mean * mean) * SEEDS / (SEEDS - 1) / error2;
  assert_true(ratio > 0.4 && ratio < 2);
}

/* The bounds are H(x_n | x_<n), and the same with the first state known, of the joint law. */
static void bounds_are_entropies(void **state) {
  (void)state;
  hmm h = hmm_make(8, S, V, 0);
  double low, high, entropy[2] = {0}, known[2] = {0};
  hmm_entropy_bounds(&h, 4, &low, &high);
  for (int n = 3; n <= 4; n++) {
    for (int k = 0; k < pow(V, n) - 0.5; k++) {
      int x[4], s[4];
      digits(k, V, n, x);
      double p = 0, with[S] = {0};
      for (int i = 0; i < pow(S, n) - 0.5; i++) {
        digits(i, S, n, s);
        p += joint(&h, n, s, x);
        with[s[0]] += joint(&h, n, s, x);
      }
      entropy[n - 3] -= p > 0 ? p * log(p) : 0;
      for (int i = 0; i < S; i++) known[n - 3] -= with[i] > 0 ? with[i] * log(with[i]) : 0;
    }
  }
  assert_near(high, entropy[1] - entropy[0], 1e-12);
  assert_near(low, known[1] - known[0], 1e-12);
  assert_true(low < high);
}

static void samples_have_the_law(void **state) {
  (void)state;
  enum { LONG = 60000 };
  static int x[LONG], s[LONG];
  hmm h = hmm_make(4, S, V, 0.6);
  hmm_sample(&h, 1, 2, LONG, x, s);
  double often[S] = {0}, pair[S][S] = {0}, shown[S][V] = {0};
  for (int t = 0; t < LONG; t++) {
    often[s[t]]++, shown[s[t]][x[t]]++;
    if (t) pair[s[t - 1]][s[t]]++;
  }
  for (int a = 0; a < S; a++) {
    double stationary = 0;
    for (int b = 0; b < S; b++) {
      stationary += h.start[b] * h.step[b][a];
      assert_near(pair[a][b] / often[a], h.step[a][b], 4.5 * sqrt(0.25 / often[a]));
      assert_near(shown[a][b] / often[a], h.emit[a][b], 4.5 * sqrt(0.25 / often[a]));
    }
    assert_near(stationary, h.start[a], 1e-13);
    assert_near(often[a] / LONG, h.start[a], 0.05);
  }
  int few[30];
  hmm_sample(&h, 1, 2, 30, few, NULL);
  assert_memory_equal(few, x, sizeof few);
}

/* Long texts neither vanish nor lose digits: a permuted order of one text has its probability. */
static void long_texts_hold(void **state) {
  (void)state;
  enum { LONG = 300 };
  hmm h = hmm_make(6, 8, 16, 0.5);
  static int x[LONG], rank[LONG];
  static double loss[LONG];
  hmm_sample(&h, 1, 0, LONG, x, NULL);
  draws d = draws_of(1, 2, 3);
  for (int t = 0; t < LONG; t++) rank[t] = t;
  draws_shuffle(&d, LONG, rank);
  hmm_ranked_loss(&h, LONG, x, rank, loss);
  double sum = 0;
  for (int t = 0; t < LONG; t++) sum += loss[t];
  assert_near(sum, -hmm_filter(&h, LONG, x, NULL, NULL), 1e-9);
}

static void sticky_states_last_and_look_alike(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    hmm h = hmm_sticky(seed, 8, 16, 2, .95, .1);
    for (int a = 0; a < 8; a++) {
      double next = 0, enters = 0, seen = 0;
      int often = 0;
      for (int b = 0; b < 8; b++) next += h.step[a][b], enters += h.start[b] * h.step[b][a];
      for (int v = 0; v < 16; v++) {
        seen += h.emit[a][v], often += h.emit[a][v] > .2;
        assert_true(h.emit[a][v] == h.emit[a][v ^ 1]);
      }
      assert_near(next, 1, 1e-12);
      assert_near(enters, h.start[a], 1e-12); /* stationary */
      assert_near(seen, 1, 1e-12);
      assert_int_equal(often, 4);
      for (int b = 0; b < a; b++) assert_memory_not_equal(h.emit[a], h.emit[b], sizeof h.emit[a]);
    }
  }
}

/* p(way at the end | tokens): 1/2 of one token, whichever; of two in a row that turn, which way. */
static void wheels_turn_both_ways(void **state) {
  (void)state;
  hmm h = hmm_wheel(8, .8, .02, .1);
  for (int a = 0; a < 8; a++) {
    double next = 0, enters = 0, seen = 0;
    for (int b = 0; b < 8; b++) next += h.step[a][b], enters += h.start[b] * h.step[b][a];
    for (int v = 0; v < 8; v++) seen += h.emit[a][v];
    assert_near(next, 1, 1e-12);
    assert_near(enters, h.start[a], 1e-12); /* stationary */
    assert_near(seen, 1, 1e-12);
  }
  for (int v = 0; v < 8; v++) {
    double of[2 * 8], on = 0;
    int text[2] = {v, (v + 2) % 8}; /* of the next place */
    hmm_filter(&h, 1, text, NULL, of);
    for (int a = 0; a < 4; a++) on += of[a];
    assert_near(on, .5, 1e-12);
    hmm_filter(&h, 2, text, NULL, of);
    on = of[8] + of[9] + of[10] + of[11];
    assert_true(on > .8);
  }
}

/* p(a hidden token | others): known from the other one of its pair; of a pair that is hidden nothing is. */
static void pairs_tell_each_other(void **state) {
  (void)state;
  hmm h = hmm_pairs(4, .03);
  for (int a = 0; a < 8; a++) {
    double next = 0, seen = 0;
    for (int b = 0; b < 8; b++) next += h.step[a][b];
    for (int v = 0; v < 4; v++) seen += h.emit[a][v];
    assert_near(next, 1, 1e-12);
    assert_near(seen, 1, 1e-12);
  }
  int text[] = {2, HMM_HIDDEN, HMM_HIDDEN, HMM_HIDDEN, 0, 1};
  double sight[6 * 4], token[6 * 4];
  hmm_sight(&h, 6, text, sight);
  hmm_smooth(&h, 6, sight, token, NULL);
  for (int v = 0; v < 4; v++) {
    assert_near(token[4 + v], v == 2 ? .97 * .97 + .03 * .01 : 2 * .97 * .01 + 2 * .01 * .01, 1e-12);
    assert_near(token[2 * 4 + v], .25, 1e-12);
    assert_near(token[3 * 4 + v], .25, 1e-12);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(smoothing_is_bayes_rule),
      cmocka_unit_test(bert_noise_is_a_sight),
      cmocka_unit_test(filtering_is_smoothing_without_the_future),
      cmocka_unit_test(windows_forget),
      cmocka_unit_test(ranks_say_what_is_seen),
      cmocka_unit_test(entropy_lies_between_its_bounds),
      cmocka_unit_test(errors_are_deviations),
      cmocka_unit_test(bounds_are_entropies),
      cmocka_unit_test(samples_have_the_law),
      cmocka_unit_test(long_texts_hold),
      cmocka_unit_test(sticky_states_last_and_look_alike),
      cmocka_unit_test(wheels_turn_both_ways),
      cmocka_unit_test(pairs_tell_each_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
