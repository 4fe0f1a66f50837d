/* D4 against direct answers, and the chance levels that the tasks state. */
#include "tests/oracles/harness.h"

#include <math.h>

#include "tests/oracles/copying.h"

enum { LONG = 128, SAMPLES = 2000 };

static void lags_copy(void **state) {
  (void)state;
  int tokens[LONG], answers[LONG], pairs[4][4] = {{0}};
  for (int i = 0; i < SAMPLES; i++) {
    lag_sample(1, (uint64_t)i, 4, 9, 32, tokens, answers);
    for (int t = 0; t < 32; t++) assert_int_equal(answers[t], t < 9 ? -1 : tokens[t - 9]);
    pairs[answers[31]][tokens[23]]++; /* one token too near says nothing about the answer */
  }
  for (int k = 0; k < 16; k++) assert_near(pairs[k / 4][k % 4], SAMPLES / 16.0, 4.5 * sqrt(SAMPLES / 16.0));
}

static void selection_keeps_the_order(void **state) {
  (void)state;
  int tokens[LONG], answers[LONG], places[20] = {0};
  for (int i = 0; i < SAMPLES; i++) {
    selective_sample(1, (uint64_t)i, 3, 5, 25, tokens, answers);
    int found[20], n = 0;
    for (int t = 0; t < 20; t++) {
      assert_int_equal(answers[t], -1);
      assert_true(tokens[t] != 1 && tokens[t] >= 0 && tokens[t] < 5);
      if (tokens[t] >= 2) found[n++] = tokens[t] - 2, places[t]++;
    }
    assert_int_equal(n, 5);
    for (int k = 0; k < 5; k++) assert_true(tokens[20 + k] == 1 && answers[20 + k] == found[k]);
  }
  for (int t = 0; t < 20; t++) assert_near(places[t], SAMPLES / 4.0, 4.5 * sqrt(SAMPLES * 3 / 16.0));
}

static void majorities_are_counted(void **state) {
  (void)state;
  int tokens[LONG], answers[LONG];
  for (int window = 1; window <= 8; window++) {
    int best = 0, ones = 0;
    for (int bits = 0; bits < 1 << window; bits++) {
      int n = 0;
      for (int k = 0; k < window; k++) n += bits >> k & 1;
      best += 2 * n > window;
    }
    double p = (double)best / (1 << window);
    assert_near(majority_chance(window), p > 0.5 ? p : 1 - p, 1e-15);
    for (int i = 0; i < SAMPLES; i++) {
      majority_sample(2, (uint64_t)i, window, 30, tokens, answers);
      for (int t = 0; t < 30; t++) {
        int n = 0;
        for (int k = t; k > t - window && k >= 0; k--) n += tokens[k];
        assert_int_equal(answers[t], t < window - 1 ? -1 : 2 * n > window);
      }
      ones += answers[29];
    }
    assert_near(ones, SAMPLES * p, 4.5 * sqrt(SAMPLES / 4.0));
  }
}

/* Swaps undo themselves, swap 1 is swap 0, 2, 0 in a row, and they reach all orders. */
static void s3_is_the_group(void **state) {
  (void)state;
  int reached = 0;
  for (int o = 0; o < 6; o++) {
    for (int t = 0; t < 3; t++) assert_int_equal(s3_step(s3_step(o, t), t), o);
    assert_int_equal(s3_step(o, 1), s3_step(s3_step(s3_step(o, 0), 2), 0));
    assert_int_equal(s3_step(o, 1), s3_step(s3_step(s3_step(o, 2), 0), 2));
    for (int k = 0; k < 9; k++) reached |= 1 << s3_step(0, k / 3) | 1 << s3_step(s3_step(0, k / 3), k % 3);
  }
  assert_int_equal(reached, 63);
}

/* Given the place alone, or the last tokens too, three orders are left and alike: chance is 1/3. */
static void s3_chance_is_a_third(void **state) {
  (void)state;
  int count[2][6] = {{0}}, after[3][6] = {{0}};
  for (int i = 0; i < 6000; i++) {
    int tokens[LONG], answers[LONG], order = 0;
    s3_sample(4, (uint64_t)i, 12, tokens, answers);
    for (int t = 0; t < 12; t++) assert_int_equal(order = s3_step(order, tokens[t]), answers[t]);
    count[0][answers[10]]++, count[1][answers[11]]++, after[tokens[11]][answers[11]]++;
  }
  for (int parity = 0; parity < 2; parity++) {
    int kinds = 0;
    for (int o = 0; o < 6; o++) {
      if (!count[parity][o]) continue;
      assert_int_equal(count[1 - parity][o], 0);
      assert_near(count[parity][o], 2000, 4.5 * sqrt(6000 * 2 / 9.0));
      kinds++;
    }
    assert_int_equal(kinds, 3);
  }
  for (int k = 0; k < 18; k++) assert_true(!after[k / 6][k % 6] || fabs(after[k / 6][k % 6] - 6000 / 9.0) < 120);
}

static void sums_are_of_two(void **state) {
  (void)state;
  double value[LONG], mark[LONG], squares = 0;
  for (int i = 0; i < SAMPLES; i++) {
    double sum = adding_sample(1, (uint64_t)i, 50, value, mark), found = 0, early = 0, late = 0;
    for (int t = 0; t < 50; t++) {
      assert_true((mark[t] == 0 || mark[t] == 1) && value[t] > 0 && value[t] < 1);
      found += mark[t] * value[t];
      *(t < 25 ? &early : &late) += mark[t];
    }
    assert_true(early == 1 && late == 1);
    assert_near(sum, found, 1e-15);
    squares += (sum - 1) * (sum - 1) / SAMPLES;
  }
  assert_near(squares, 1 / 6.0, 0.02); /* the best constant */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lags_copy),
      cmocka_unit_test(selection_keeps_the_order),
      cmocka_unit_test(majorities_are_counted),
      cmocka_unit_test(s3_is_the_group),
      cmocka_unit_test(s3_chance_is_a_third),
      cmocka_unit_test(sums_are_of_two),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
