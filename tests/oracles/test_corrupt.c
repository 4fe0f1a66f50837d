/* Judges of corruption against every way to corrupt short texts, the worked examples, and wrong programs. */
#include "tests/oracles/harness.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/corrupt.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/stats.h"

static void deletions_are_counted(void **state) {
  (void)state;
  draws d = draws_of(1, 1, 1);
  for (int round = 0; round < 30; round++) {
    int x[8], y[4];
    for (int i = 0; i < 8; i++) x[i] = draws_below(&d, 2);
    for (int i = 0; i < 4; i++) y[i] = draws_below(&d, 2);
    int ways = 0;
    for (int set = 0; set < 256; set++) {
      int m = 0, same = 1;
      for (int i = 0; i < 8; i++) {
        if (!(set >> i & 1)) continue;
        same &= m < 4 && y[m] == x[i];
        m++;
      }
      ways += same && m == 4;
    }
    assert_near(corrupt_deletions(8, x, 4, y), ways, 0);
  }
  assert_near(corrupt_deletions(3, (int[]){1, 2, 3}, 2, (int[]){3, 1}), 0, 0);
}

/* Stretches by recursion: at a mask, skip any number of tokens. */
static int infills(int n, const int *x, int m, const int *y) {
  if (m == 0) return n == 0;
  if (y[0] != 9) return n > 0 && x[0] == y[0] ? infills(n - 1, x + 1, m - 1, y + 1) : 0;
  int ways = 0;
  for (int k = 0; k <= n; k++) ways += infills(n - k, x + k, m - 1, y + 1);
  return ways;
}

static void infills_are_counted(void **state) {
  (void)state;
  draws d = draws_of(2, 1, 1);
  int some = 0;
  for (int round = 0; round < 500; round++) {
    int x[7], y[6], m = 3 + draws_below(&d, 4), kept = 0;
    for (int i = 0; i < 7; i++) x[i] = draws_below(&d, 2);
    for (int i = 0; i < m; i++) {
      y[i] = draws_below(&d, 2) ? 9 : draws_below(&d, 2);
      kept += y[i] != 9;
    }
    int ways = infills(7, x, m, y);
    some += ways > 0;
    assert_near(corrupt_infills(7, x, m, y, 9, 7 - kept), ways, 0);
    assert_near(corrupt_infills(7, x, m, y, 9, 6 - kept), 0, 0); /* another budget */
  }
  assert_true(some > 100);
}

/* "Hard work leads to success . Success brings happiness ." from the second sentence on; BOS and EOS stay outside. */
static void rotations_and_orders(void **state) {
  (void)state;
  int x[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 6}, y[10] = {7, 8, 9, 6, 1, 2, 3, 4, 5, 6};
  assert_int_equal(corrupt_rotation(10, x, y), 6);
  assert_int_equal(corrupt_rotation(10, x, x), 0);
  assert_true(corrupt_is_reordered(10, x, y));
  y[0] = 8;
  assert_int_equal(corrupt_rotation(10, x, y), -1);
  assert_false(corrupt_is_reordered(10, x, y));
  int bos[4] = {0, 1, 2, 3}, turned[4] = {2, 3, 0, 1}; /* a program that turns BOS too */
  assert_true(corrupt_rotation(4, bos, turned) == 2 && corrupt_rotation(3, bos + 1, turned + 1) == -1);
  int seen = 0;
  for (int k = 0; k < 256; k++) {
    int order[4] = {k % 4, k / 4 % 4, k / 16 % 4, k / 64}, number = corrupt_order_number(4, order);
    if (number >= 0) seen |= 1 << number;
  }
  assert_int_equal(seen, (1 << 24) - 1);
  assert_int_equal(corrupt_order_number(4, (int[]){0, 1, 2, 3}), 0);
  assert_int_equal(corrupt_order_number(4, (int[]){3, 2, 1, 0}), 23);
  assert_int_equal(corrupt_order_number(3, (int[]){0, 0, 2}), -1);
}

/* "The puppies are frolicking outside the house .": source "The puppies are [X] outside [Y] .", target
 * "[X] frolicking [Y] the house [Z]". */
static void sentinels_are_lossless(void **state) {
  (void)state;
  corrupt_sentinels s = {.first = 99, .step = -1, .many = 10};
  int text[8] = {1, 2, 3, 4, 5, 6, 7, 8}, source[7] = {1, 2, 3, 99, 5, 98, 8}, target[6] = {99, 4, 98, 6, 7, 97},
      out[16];
  assert_int_equal(corrupt_unsentinel(&s, 7, source, 6, target, 16, out), 8);
  assert_memory_equal(out, text, sizeof text);
  assert_int_equal(corrupt_unsentinel(&s, 7, source, 6, target, 7, out), -1);  /* no room */
  assert_int_equal(corrupt_unsentinel(&s, 7, source, 5, target, 16, out), -1); /* no mark at the end */
  s.many = 2;                                                                  /* the third is a word like others */
  assert_int_equal(corrupt_unsentinel(&s, 7, source, 6, target, 16, out), -1);
  s.many = 10;
  target[1] = 98;
  assert_int_equal(corrupt_unsentinel(&s, 7, source, 6, target, 16, out), -1); /* an empty span */
  int out_of_order[7] = {1, 2, 3, 98, 5, 99, 8}, side[6] = {1, 99, 98, 5, 6, 7};
  assert_int_equal(corrupt_unsentinel(&s, 7, out_of_order, 6, target, 16, out), -1);
  assert_int_equal(corrupt_unsentinel(&s, 6, side, 5, (int[]){99, 2, 98, 3, 97}, 16, out), -1); /* spans that touch */
  for (int round = 0; round < 2000; round++) { /* any cut, by a program of three lines */
    draws d = draws_of(4, 1, (uint64_t)round);
    int x[20], a[30], b[30], n = 0, m = 0, spans = 0, hidden = 0;
    for (int i = 0; i < 20; i++) {
      x[i] = draws_below(&d, 50);
      int hide = draws_below(&d, 3) == 0 && (hidden || i == 0 || spans < 9);
      if (hide && !hidden) a[n++] = b[m++] = 99 - spans++;
      if (hide)
        b[m++] = x[i];
      else
        a[n++] = x[i];
      hidden = hide;
    }
    b[m++] = 99 - spans;
    int back[30], length = corrupt_unsentinel(&s, n, a, m, b, 30, back);
    assert_int_equal(length, 20);
    assert_memory_equal(back, x, sizeof x);
  }
}

/* The expected spans, against all sequences of lengths that reach the budget, and against drawing them. */
static double expect(const double *p, int budget, int depth, double weight, double *out) {
  double spans = 0;
  if (budget == 0 || depth == 60 || weight < 1e-18) return 0;
  for (int k = 0; k < 40; k++) {
    int cut = k < budget ? k : budget;
    out[cut] += weight * p[k];
    spans += weight * p[k] + (k < budget ? expect(p, budget - k, depth + 1, weight * p[k], out) : 0);
  }
  return spans;
}

static void spans_are_trimmed(void **state) {
  (void)state;
  double p[41], found[6] = {0}, out[6], sum = 0;
  corrupt_poisson(1.5, 40, p);
  for (int k = 0; k <= 40; k++) sum += p[k];
  assert_near(sum, 1, 1e-15);
  assert_near(p[3], exp(-1.5) * 1.5 * 1.5 * 1.5 / 6, 1e-15);
  double spans = expect(p, 5, 0, 1, found), tokens = 0;
  assert_near(corrupt_spans(1.5, 5, out), spans, 1e-11);
  for (int k = 0; k <= 5; k++) {
    assert_near(out[k], found[k], 1e-11);
    tokens += k * out[k];
  }
  assert_near(tokens, 5, 1e-12);
  draws d = draws_of(3, 1, 1);
  double count[31] = {0}, law[31], mean = corrupt_spans(3, 30, law);
  for (int round = 0; round < 3000; round++) {
    for (int left = 30; left > 0;) {
      int k = draws_poisson(&d, 3);
      count[k < left ? k : left]++;
      left -= k;
    }
  }
  for (int k = 0; k <= 30; k++) law[k] /= mean;
  assert_true(stats_fit_p(31, count, law) > 1e-4);
}

static void bert_counts_and_sights(void **state) {
  (void)state;
  assert_int_equal(corrupt_chosen(1, 0.15, 20), 1);
  assert_int_equal(corrupt_chosen(10, 0.15, 20), 2);
  assert_int_equal(corrupt_chosen(126, 0.15, 20), 19);
  assert_int_equal(corrupt_chosen(500, 0.15, 20), 20);
  double sum[4] = {0}, chosen[4] = {0}; /* rows of each clean token are laws over what is shown, hidden included */
  for (int shown = -1; shown < 4; shown++) {
    double row[4], target[4];
    corrupt_bert_sight(4, 0.15, shown, false, row);
    corrupt_bert_sight(4, 0.15, shown, true, target);
    for (int w = 0; w < 4; w++) {
      sum[w] += row[w], chosen[w] += target[w];
      assert_near(target[w], shown < 0 ? 0.8 : shown == w ? 0.125 : 0.025, 1e-15);
    }
  }
  for (int w = 0; w < 4; w++) assert_near(sum[w], 1, 1e-15);
  for (int w = 0; w < 4; w++) assert_near(chosen[w], 1, 1e-15);
}

/* A right program, and one of each mistake. */
static void bert_programs_are_judged(void **state) {
  (void)state;
  enum { LONG = 20, MASK = 9, MANY = 20000 };
  double done[3] = {0}, law[3] = {0.8, 0.1 + 0.1 / 8, 0.1 - 0.1 / 8};
  int x[LONG], shown[LONG], place[LONG - 2];
  bool special[LONG] = {[0] = true, [LONG - 1] = true}, chosen[LONG];
  for (int i = 0; i < MANY; i++) {
    draws d = draws_of(6, 1, (uint64_t)i);
    for (int t = 0; t < LONG; t++) x[t] = shown[t] = draws_below(&d, 8), chosen[t] = false;
    for (int t = 0; t < LONG - 2; t++) place[t] = t + 1;
    draws_shuffle(&d, LONG - 2, place);
    for (int k = 0; k < corrupt_chosen(LONG - 2, 0.15, 20); k++) {
      int t = place[k], way = draws_below(&d, 10), any = draws_below(&d, 8);
      chosen[t] = true;
      shown[t] = way < 8 ? MASK : way == 8 ? x[t] : any;
    }
    assert_true(corrupt_bert_done(LONG, x, special, shown, chosen, 3, MASK, done));
  }
  assert_true(stats_fit_p(3, done, law) > 1e-4);
  assert_near(done[0] + done[1] + done[2], 3 * MANY, 0);
  assert_false(corrupt_bert_done(LONG, x, special, shown, chosen, 4, MASK, done));
  int other = place[5];
  shown[other] = MASK;
  assert_false(corrupt_bert_done(LONG, x, special, shown, chosen, 3, MASK, done));
  chosen[other] = true;
  assert_true(corrupt_bert_done(LONG, x, special, shown, chosen, 4, MASK, done));
  special[other] = true;
  assert_false(corrupt_bert_done(LONG, x, special, shown, chosen, 4, MASK, done));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(deletions_are_counted),    cmocka_unit_test(infills_are_counted),
      cmocka_unit_test(rotations_and_orders),     cmocka_unit_test(sentinels_are_lossless),
      cmocka_unit_test(spans_are_trimmed),        cmocka_unit_test(bert_counts_and_sights),
      cmocka_unit_test(bert_programs_are_judged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
