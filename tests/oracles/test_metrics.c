/* Measures of texts by their definitions, over all ways and all subsequences of short texts. */
#include "tests/oracles/harness.h"

#include <math.h>

#include "tests/oracles/draws.h"
#include "tests/oracles/metrics.h"

/* Every way to edit. */
static int edits(int n, const int *a, int m, const int *b) {
  if (n == 0 || m == 0) return n + m;
  int swap = edits(n - 1, a + 1, m - 1, b + 1) + (a[0] != b[0]);
  int drop = edits(n - 1, a + 1, m, b) + 1, add = edits(n, a, m - 1, b + 1) + 1;
  return swap < drop ? (swap < add ? swap : add) : (drop < add ? drop : add);
}

/* Every subsequence of a, looked for in b. */
static int common(int n, const int *a, int m, const int *b) {
  int most = 0;
  for (int set = 0; set < 1 << n; set++) {
    int at = 0, size = 0, found = 1;
    for (int i = 0; i < n; i++) {
      if (!(set >> i & 1)) continue;
      while (at < m && b[at] != a[i]) at++;
      found &= at++ < m;
      size++;
    }
    if (found && size > most) most = size;
  }
  return most;
}

static void distances_are_searches(void **state) {
  (void)state;
  draws d = draws_of(1, 1, 1);
  for (int round = 0; round < 100; round++) {
    int a[6], b[6], n = draws_below(&d, 7), m = draws_below(&d, 7);
    for (int i = 0; i < 6; i++) a[i] = draws_below(&d, 3), b[i] = draws_below(&d, 3);
    assert_int_equal(metrics_edits(n, a, m, b), edits(n, a, m, b));
    assert_int_equal(metrics_common(n, a, m, b), common(n, a, m, b));
    double f = metrics_rouge_l(n, a, m, b);
    assert_near(f, n + m ? 2.0 * common(n, a, m, b) / (n + m) : 0, 1e-15);
  }
}

/* "the the the the the the the" against "the cat is on the mat": 2 of 7, and no pair. */
static void bleu_clips(void **state) {
  (void)state;
  int the[7] = {1, 1, 1, 1, 1, 1, 1}, cat[6] = {1, 2, 3, 4, 1, 5};
  metrics_text c = {7, the}, r = {6, cat};
  assert_near(metrics_bleu(1, &c, &r), 0, 0);
  assert_near(metrics_bleu(1, &r, &r), 1, 1e-15);
  int close[5] = {1, 2, 3, 4, 1};
  metrics_text shorter = {5, close};
  assert_near(metrics_bleu(1, &shorter, &r), exp(1 - 6.0 / 5), 1e-15);
  assert_near(metrics_bleu(1, &r, &shorter), pow(1 / 3.0, 0.25), 1e-15); /* 5/6 4/5 3/4 2/3; nothing for being longer */
  int other[6] = {1, 2, 3, 4, 1, 1};
  metrics_text both[2] = {{6, other}, {5, close}}, refs[2] = {r, r};
  double p = (5.0 + 5) / 11 * ((4.0 + 4) / 9) * ((3.0 + 3) / 7) * ((2.0 + 2) / 5);
  assert_near(metrics_bleu(2, both, refs), pow(p, 0.25) * exp(1 - 12.0 / 11), 1e-14);
}

static void distinct_is_a_share(void **state) {
  (void)state;
  int a[4] = {1, 2, 1, 2}, b[3] = {1, 2, 3};
  metrics_text t[2] = {{4, a}, {3, b}};
  assert_near(metrics_distinct(2, t, 1), 3.0 / 7, 1e-15);
  assert_near(metrics_distinct(2, t, 2), 3.0 / 5, 1e-15);
  assert_near(metrics_distinct(2, t, 5), 0, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(distances_are_searches),
      cmocka_unit_test(bleu_clips),
      cmocka_unit_test(distinct_is_a_share),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
