/* D1 against enumeration of texts. */
#include "tests/oracles/harness.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/markov.h"

/* p(tokens): the stationary probability of the first context, then the rows. */
static double probability(const markov *m, int n, const int *tokens) {
  int c = 0;
  for (int i = 0; i < m->order; i++) c = c * m->symbols + tokens[i];
  double p = m->often[c];
  for (int t = m->order; t < n; t++) {
    p *= m->next[c * m->symbols + tokens[t]];
    c = (c * m->symbols + tokens[t]) % m->contexts;
  }
  return p;
}

static void digits(int number, int base, int n, int *out) {
  for (int i = n - 1; i >= 0; i--, number /= base) out[i] = number % base;
}

static void stationary_is_stationary(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 20; seed++) {
    markov m;
    assert_true(markov_create(&m, seed, 2, 4));
    double after[16] = {0}, sum = 0;
    for (int c = 0; c < 16; c++) {
      double row = 0;
      for (int w = 0; w < 4; w++) after[c * 4 % 16 + w] += m.often[c] * m.next[c * 4 + w], row += m.next[c * 4 + w];
      assert_near(row, 1, 1e-14);
      sum += m.often[c];
    }
    assert_near(sum, 1, 1e-12);
    for (int c = 0; c < 16; c++) assert_near(after[c], m.often[c], 1e-11);
    markov_destroy(&m);
  }
}

/* Predictions and losses are those of the joint law of all 3^6 texts; the entropy is H(6 tokens) - H(5 tokens). */
static void predictions_are_the_joint_law(void **state) {
  (void)state;
  markov m;
  assert_true(markov_create(&m, 7, 2, 3));
  enum { N = 6, ALL = 729 };
  double entropy[N + 1] = {0};
  for (int n = 2; n <= N; n++) {
    for (int k = 0; k < pow(3, n) - 0.5; k++) {
      int x[N];
      digits(k, 3, n, x);
      double p = probability(&m, n, x);
      entropy[n] -= p * log(p);
    }
  }
  assert_near(markov_entropy(&m), entropy[6] - entropy[5], 1e-9);
  assert_near(markov_entropy(&m), entropy[4] - entropy[3], 1e-9);
  assert_true(markov_entropy_seen(&m, 1) > markov_entropy(&m));
  assert_true(markov_entropy_seen(&m, 0) > markov_entropy_seen(&m, 1));
  for (int k = 0; k < ALL; k++) {
    int x[N];
    digits(k, 3, N, x);
    double loss[N], sum = 0;
    markov_loss(&m, N, x, loss);
    for (int t = 0; t < N; t++) sum += loss[t];
    assert_near(exp(-sum), probability(&m, N, x), 1e-12);
  }
  markov_destroy(&m);
}

static void short_pasts_are_summed_out(void **state) {
  (void)state;
  markov m;
  assert_true(markov_create(&m, 3, 3, 3));
  double p[3];
  markov_predict(&m, 1, (int[]){2}, p);
  double joint[3] = {0}, all = 0;
  for (int k = 0; k < 27; k++) {
    int x[3];
    digits(k, 3, 3, x);
    if (x[0] == 2) joint[x[1]] += m.often[k], all += m.often[k];
  }
  for (int w = 0; w < 3; w++) assert_near(p[w], joint[w] / all, 1e-12);
  markov_destroy(&m);
}

/* The mean loss of a long text is the entropy; contexts come up as often as they should; samples do not depend on
 * order. */
static void samples_have_the_law(void **state) {
  (void)state;
  enum { N = 40000 };
  static int x[N];
  static double loss[N];
  markov m;
  assert_true(markov_create(&m, 1, 2, 5));
  markov_sample(&m, 9, 4, N, x);
  markov_loss(&m, N, x, loss);
  double mean = 0, square = 0;
  for (int t = 0; t < N; t++) mean += loss[t] / N, square += loss[t] * loss[t] / N;
  assert_near(mean, markov_entropy(&m), 5 * sqrt((square - mean * mean) / N));
  int few[50], again[50];
  markov_sample(&m, 9, 5, 50, few);
  markov_sample(&m, 9, 4, 50, again);
  assert_memory_equal(again, x, sizeof again);
  assert_true(memcmp(again, few, sizeof few) != 0);
  markov_sample(&m, 10, 4, 50, again);
  assert_true(memcmp(again, x, sizeof again) != 0);
  markov_destroy(&m);
}

static void too_many_contexts_are_refused(void **state) {
  (void)state;
  markov m;
  assert_false(markov_create(&m, 1, 9, 16));
  assert_true(markov_create(&m, 1, 0, 4));
  assert_near(markov_entropy(&m), markov_entropy_seen(&m, 0), 0);
  markov_destroy(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stationary_is_stationary),      cmocka_unit_test(predictions_are_the_joint_law),
      cmocka_unit_test(short_pasts_are_summed_out),    cmocka_unit_test(samples_have_the_law),
      cmocka_unit_test(too_many_contexts_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
