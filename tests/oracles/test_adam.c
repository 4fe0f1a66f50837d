/* Adam against the sums that its recurrences stand for. */
#include "tests/oracles/harness.h"

#include <math.h>

#include "tests/oracles/adam.h"
#include "tests/oracles/draws.h"

enum { STEPS = 12 };

/* m_t = (1 - b1) sum_i b1^(t - i) g_i, likewise v; decay and step from the same theta. */
static void steps_are_weighted_sums(void **state) {
  (void)state;
  for (int corrected = 0; corrected < 2; corrected++) {
    adam a = {.beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-6, .decay = 0.1, .corrected = corrected};
    double g[STEPS], m = 0, v = 0, theta = 0.7, expected = 0.7;
    draws d = draws_of(1, 1, 1);
    for (int t = 1; t <= STEPS; t++) {
      double first = 0, second = 0, gradient = g[t - 1] = draws_normal(&d);
      for (int i = 1; i <= t; i++) {
        first += 0.1 * pow(0.9, t - i) * g[i - 1];
        second += 0.02 * pow(0.98, t - i) * g[i - 1] * g[i - 1];
      }
      if (corrected) first /= 1 - pow(0.9, t), second /= 1 - pow(0.98, t);
      expected -= 0.01 * first / (sqrt(second) + 1e-6) + 0.01 * 0.1 * expected;
      adam_step(&a, t, 0.01, 1, NULL, &gradient, &m, &v, &theta);
      assert_near(theta, expected, 1e-14);
    }
  }
}

/* The first step is the rate, whatever the gradient; without correction it is not. Decay spares what does not decay. */
static void first_steps(void **state) {
  (void)state;
  adam a = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 0, .decay = 0.5, .corrected = true, .clip = 1};
  double g[2] = {300, -400}, m[2] = {0}, v[2] = {0}, theta[2] = {1, 1};
  bool decays[2] = {true, false};
  adam_step(&a, 1, 0.1, 2, decays, g, m, v, theta);
  assert_near(g[0], 0.6, 1e-15);
  assert_near(g[1], -0.8, 1e-15);
  assert_near(theta[0], 1 - 0.1 - 0.05, 1e-14);
  assert_near(theta[1], 1 + 0.1, 1e-14);
  a.corrected = false;
  double h = 2, m1 = 0, v1 = 0, x = 0;
  adam_step(&a, 1, 0.1, 1, decays + 1, &h, &m1, &v1, &x);
  assert_near(x, -0.1 * 0.1 / sqrt(0.001), 1e-14);
  h = 0.5, a.clip = 1, m1 = v1 = 0; /* below the limit nothing is clipped */
  adam_step(&a, 1, 0.1, 1, decays, &h, &m1, &v1, &x);
  assert_near(h, 0.5, 0);
}

static void rates_rise_and_fall(void **state) {
  (void)state;
  assert_near(adam_rate_linear(2, 10, 110, 5), 1, 1e-15);
  assert_near(adam_rate_linear(2, 10, 110, 10), 2, 1e-15);
  assert_near(adam_rate_linear(2, 10, 110, 60), 1, 1e-15);
  assert_near(adam_rate_linear(2, 10, 110, 110), 0, 0);
  assert_near(adam_rate_cosine(2, 1, 10, 110, 60), 1.5, 1e-15);
  assert_near(adam_rate_cosine(2, 1, 10, 110, 10), 2, 1e-15);
  assert_near(adam_rate_cosine(2, 1, 10, 110, 35), 1.5 + 0.5 * sqrt(0.5), 1e-15);
  assert_near(adam_rate_cosine(2, 1, 10, 110, 200), 1, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(steps_are_weighted_sums),
      cmocka_unit_test(first_steps),
      cmocka_unit_test(rates_rise_and_fall),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
