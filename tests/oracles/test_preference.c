/* Preferences against enumeration, and the likeliest utilities against all others. */
#include "tests/oracles/harness.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/corrupt.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/preference.h"
#include "tests/oracles/stats.h"

static const double utility[4] = {0.5, -1, 1.2, 0};

/* Orders of 3 by number; a pair of a ranking follows Bradley-Terry. */
static void rankings_have_their_law(void **state) {
  (void)state;
  enum { MANY = 20000 };
  double count[6] = {0}, p[6] = {0}, sum = 0, first = 0, before = 0;
  for (int k = 0; k < 27; k++) {
    int order[3] = {k / 9, k / 3 % 3, k % 3}, number = corrupt_order_number(3, order);
    if (number < 0) continue;
    p[number] = preference_law(3, utility, order);
    sum += p[number];
  }
  assert_near(sum, 1, 1e-14);
  for (int k = 0; k < 27; k++) { /* 0 somewhere before 2 */
    int order[3] = {k / 9, k / 3 % 3, k % 3}, number = corrupt_order_number(3, order), place[3] = {0};
    if (number < 0) continue;
    for (int i = 0; i < 3; i++) place[order[i]] = i;
    before += place[0] < place[2] ? p[number] : 0;
  }
  assert_near(before, preference_wins(utility[0], utility[2]), 1e-14);
  for (int i = 0; i < MANY; i++) {
    int order[3];
    preference_rank(1, (uint64_t)i, 3, utility, order);
    count[corrupt_order_number(3, order)]++;
    first += order[0] == 2;
  }
  assert_true(stats_fit_p(6, count, p) > 1e-4);
  assert_true(fabs(stats_binomial_z(first, MANY, exp(1.2) / (exp(0.5) + exp(-1) + exp(1.2)))) < 4);
}

static double likelihood(const double *wins, const double *u) {
  double sum = 0;
  for (int k = 0; k < 16; k++) sum += wins[k] > 0 ? wins[k] * log(preference_wins(u[k / 4], u[k % 4])) : 0;
  return sum;
}

static void fits_are_the_likeliest(void **state) {
  (void)state;
  double wins[16] = {0}, u[4];
  draws d = draws_of(2, 1, 1);
  for (int i = 0; i < 4; i++) {
    for (int j = 0; j < 4; j++) wins[i * 4 + j] = i == j ? 0 : 1000 * preference_wins(utility[i], utility[j]);
  }
  assert_true(preference_fit(4, wins, u)); /* wins as expected give the utilities back */
  for (int i = 0; i < 4; i++) assert_near(u[i], utility[i] - 0.175, 1e-10);
  for (int k = 0; k < 16; k++) wins[k] = k / 4 == k % 4 ? 0 : 1 + draws_below(&d, 20);
  assert_true(preference_fit(4, wins, u));
  for (int round = 0; round < 200; round++) {
    double other[4];
    for (int i = 0; i < 4; i++) other[i] = u[i] + 0.1 * draws_normal(&d);
    assert_true(likelihood(wins, other) <= likelihood(wins, u) + 1e-12);
  }
  for (int i = 0; i < 4; i++) wins[i * 4 + 2] = 0; /* nobody beats 2 */
  assert_false(preference_fit(4, wins, u));
}

static void judges_are_as_good_as_pairs(void **state) {
  (void)state;
  double sum = 0;
  for (int i = 0; i < 4; i++) {
    for (int j = i + 1; j < 4; j++)
      sum += fmax(preference_wins(utility[i], utility[j]), preference_wins(utility[j], utility[i]));
  }
  assert_near(preference_accuracy(4, utility), sum / 6, 1e-15);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rankings_have_their_law),
      cmocka_unit_test(fits_are_the_likeliest),
      cmocka_unit_test(judges_are_as_good_as_pairs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
