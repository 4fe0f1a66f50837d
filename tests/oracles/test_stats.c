/* Statistics against sums and integrals, and against claims that are true or false. */
#include "tests/oracles/harness.h"

#include <math.h>

#include "tests/oracles/draws.h"
#include "tests/oracles/hmm.h"
#include "tests/oracles/stats.h"

/* Even degrees of freedom have a finite sum, 1 is the normal law, others are integrated. */
static void chi_square_is_its_integral(void **state) {
  (void)state;
  for (double x = 0.01; x < 200; x *= 1.7) {
    assert_near(stats_chi_square_p(x, 1), stats_normal_p(sqrt(x)), 1e-14);
    for (int half = 1; half <= 40; half += 3) {
      double term = exp(-x / 2), sum = 0;
      for (int i = 0; i < half; i++) sum += term, term *= x / 2 / (i + 1);
      assert_near(stats_chi_square_p(x, 2 * half), sum, 1e-13);
    }
  }
  double sum = 0, step = 1e-3; /* freedom 5, above 3: Simpson up to 103 */
  for (int i = 0; i <= 100000; i++) {
    double x = 3 + i * step, weight = i == 0 || i == 100000 ? 1 : 2 + 2 * (i % 2);
    sum += weight * pow(x, 1.5) * exp(-x / 2) / (pow(2, 2.5) * tgamma(2.5)) * step / 3;
  }
  assert_near(stats_chi_square_p(3, 5), sum, 1e-10);
  assert_near(stats_normal_p(1.959963984540054), 0.05, 1e-15);
}

static void tails_are_sums(void **state) {
  (void)state;
  double sum = 0;
  for (int bits = 0; bits < 1 << 11; bits++) {
    double p = 1;
    int ones = 0;
    for (int k = 0; k < 11; k++) {
      int one = bits >> k & 1;
      p *= one ? 0.6 : 0.4;
      ones += one;
    }
    sum += ones >= 6 ? p : 0;
  }
  assert_near(stats_binomial_tail(11, 6, 0.6), sum, 1e-13);
  assert_near(stats_binomial_tail(11, 6, 0.6), 0.75349813248, 1e-11); /* majority of 11 */
  assert_near(stats_binomial_tail(41, 21, 0.6), 0.90348278361, 1e-11);
  assert_near(stats_binomial_tail(5, 0, 0.6), 1, 0);
}

/* The law that was drawn from passes; p-values are uniform; another law fails. */
static void fits_tell_laws_apart(void **state) {
  (void)state;
  double p[12], q[12], tenth[10] = {0}, same[10] = {0}, uniform[10];
  draws d = draws_of(1, 1, 0);
  draws_dirichlet(&d, 12, 0.7, p);
  for (int i = 0; i < 12; i++) q[i] = p[i] * (i % 2 ? 1.1 : 0.95);
  for (int i = 0; i < 10; i++) uniform[i] = 0.1;
  for (int round = 0; round < 500; round++) {
    double count[12] = {0}, other[12] = {0};
    for (int i = 0; i < 1000; i++) count[draws_pick(&d, 12, p)]++, other[draws_pick(&d, 12, p)]++;
    tenth[(int)fmin(9, 10 * stats_fit_p(12, count, p))]++;
    same[(int)fmin(9, 10 * stats_same_p(12, count, other))]++;
  }
  assert_true(stats_fit_p(10, tenth, uniform) > 1e-4 && stats_fit_p(10, same, uniform) > 1e-4);
  double count[12] = {0}, other[12] = {0};
  for (int i = 0; i < 50000; i++) count[draws_pick(&d, 12, p)]++, other[draws_pick(&d, 12, q)]++;
  assert_true(stats_fit_p(12, count, p) > 1e-4 && stats_fit_p(12, other, p) < 1e-6);
  assert_true(stats_same_p(12, count, other) < 1e-6);
  double few[30], rare[30]; /* cells that expect little each, but not together */
  for (int i = 0; i < 30; i++) few[i] = i ? 2 : 242, rare[i] = i ? 0.001 : 0.971;
  assert_true(stats_fit_p(30, few, rare) < 1e-6);
  few[0] = 10000;
  for (int i = 1; i < 30; i++) few[i] = 10, rare[i] = 0.0001, rare[0] = 0.9971;
  assert_true(stats_fit_p(30, few, rare) < 1e-6);
  for (int i = 0; i < 30; i++) few[i] = 10000 * rare[i];
  assert_near(stats_fit_p(30, few, rare), 1, 1e-9);
  double a[3] = {30, 0, 10}, b[3] = {20, 0, 20}; /* of four cells: N (ad - bc)^2 / margins, one degree of freedom */
  assert_near(stats_same_p(3, a, b), stats_normal_p(sqrt(80.0 * 400 * 400 / (50.0 * 30 * 40 * 40))), 1e-14);
  p[3] = 0;
  count[3] = 1;
  assert_near(stats_fit_p(12, count, p), 0, 0);
}

/* The ends of the interval are z standard errors from what was seen, and it covers as often as it says. */
static void wilson_covers(void **state) {
  (void)state;
  double covered = 0;
  for (int hits = 0; hits <= 50; hits++) {
    double low, high;
    stats_wilson(hits, 50, 1.96, &low, &high);
    if (low > 0 && hits > 0) assert_near(stats_binomial_z(hits, 50, low), 1.96, 1e-9);
    if (high < 1 && hits < 50) assert_near(stats_binomial_z(hits, 50, high), -1.96, 1e-9);
    double p = stats_binomial_tail(50, hits, 0.3) - stats_binomial_tail(50, hits + 1, 0.3);
    if (low <= 0.3 && 0.3 <= high) covered += p;
  }
  assert_true(covered > 0.93 && covered < 0.97);
}

/* A model that is as good as can be does not leak, one that sees the next token does: the masked loss of the same text.
 */
static void leaks_are_found(void **state) {
  (void)state;
  enum { N = 64, TEXTS = 60 };
  static double bayes[N * TEXTS], worse[N * TEXTS], leaky[N * TEXTS];
  hmm h = hmm_make(3, 6, 12, 0.2);
  for (int i = 0; i < TEXTS; i++) {
    int x[N];
    hmm_sample(&h, 1, (uint64_t)i, N, x, NULL);
    hmm_causal_loss(&h, N, x, bayes + i * N);
    hmm_window_loss(&h, N, x, 1, worse + i * N);
    for (int t = 0; t < N; t++) { /* sees one token of the future */
      int rank[N];
      double loss[N];
      for (int k = 0; k < N; k++) rank[k] = k == t ? 0 : k < t || k == t + 1 ? -1 : 1;
      hmm_ranked_loss(&h, N, x, rank, loss);
      leaky[i * N + t] = loss[t];
    }
  }
  stats_mean none = stats_difference(N * TEXTS, bayes, bayes, N);
  stats_mean blind = stats_difference(N * TEXTS, worse, bayes, N);
  stats_mean leak = stats_difference(N * TEXTS, leaky, bayes, N);
  assert_false(stats_leaks(none) || stats_leaks(blind));
  assert_true(blind.mean > 3 * blind.error && stats_leaks(leak));
}

static void distances_are_sums(void **state) {
  (void)state;
  double p[2] = {0.25, 0.75}, q[2] = {0.5, 0.5}, r[2] = {1, 0};
  assert_near(stats_tv(2, p, q), 0.25, 1e-16);
  assert_near(stats_kl(2, p, q), log(2) - stats_entropy(2, p), 1e-15);
  assert_true(isinf(stats_kl(2, p, r)) && stats_kl(2, r, r) == 0);
  double x[6] = {1, 2, 3, 4, 5, 6};
  stats_mean m = stats_difference(6, x, NULL, 2), one = stats_difference(6, x, x, 1);
  assert_near(m.mean, 3.5, 1e-15);
  assert_near(m.error, sqrt(4.0 / 3), 1e-15);
  assert_true(one.mean == 0 && one.error == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(chi_square_is_its_integral),
      cmocka_unit_test(tails_are_sums),
      cmocka_unit_test(fits_tell_laws_apart),
      cmocka_unit_test(wilson_covers),
      cmocka_unit_test(leaks_are_found),
      cmocka_unit_test(distances_are_sums),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
