/* Positions against the tables of the papers' code and against identities. */
#include "tests/oracles/harness.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/draws.h"
#include "tests/oracles/positions.h"

/* First distance of each bucket. */
static void buckets_are_the_table(void **state) {
  (void)state;
  static const int causal[16] = {16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113};
  static const int both[8] = {8, 12, 16, 23, 32, 46, 64, 91};
  for (int d = 0; d < 300; d++) {
    int expected = d < 16 ? d : 15, two = d < 8 ? d : 7;
    for (int k = 0; k < 16; k++) expected = d >= causal[k] ? 16 + k : expected;
    for (int k = 0; k < 8; k++) two = d >= both[k] ? 8 + k : two;
    assert_int_equal(positions_bucket(d, 32, 128, false), expected);
    assert_int_equal(positions_bucket(d, 32, 128, true), two);
    if (d) assert_int_equal(positions_bucket(-d, 32, 128, true), 16 + two);
    if (d) assert_int_equal(positions_bucket(-d, 32, 128, false), 0);
  }
  static const int book[6] = {0, 1, 2, 2, 3, 3};
  for (int d = 0; d < 6; d++) assert_int_equal(positions_book_bucket(d, 3, 5), book[d]);
  static const int far[8] = {16, 20, 21, 26, 27, 34, 790, 1023}, there[8] = {16, 16, 17, 17, 18, 18, 31, 31};
  for (int k = 0; k < 8; k++) assert_int_equal(positions_book_bucket(far[k], 32, 1024), there[k]);
  assert_int_equal(positions_book_bucket(789, 32, 1024), 30);
  assert_int_equal(positions_book_bucket(1024, 32, 1024), 32);
}

static void slopes_are_the_table(void **state) {
  (void)state;
  assert_near(positions_alibi(0, 1), 1 / 256.0, 0);
  for (int h = 0; h < 8; h++) {
    assert_near(positions_alibi(h, 8), pow(2, -h - 1), 0);
    assert_near(positions_alibi(h, 12), pow(2, -h - 1), 0);
    if (h < 4) assert_near(positions_alibi(h, 4), pow(2, -2 * h - 2), 0);
    if (h < 4) assert_near(positions_alibi(8 + h, 12), pow(2, -h - 0.5), 1e-16);
  }
}

static void biases_fall_with_distance(void **state) {
  (void)state;
  assert_near(positions_kerple(3, 2, 1, true), -6, 1e-15); /* a power of 1 is ALiBi */
  assert_near(positions_kerple(3, 2, 1, false), -2 * log(4), 1e-15);
  assert_near(positions_sandwich(0, 16, 1), 0, 1e-14);
  assert_near(positions_sandwich(5, 2, .5), .5 * (cos(5) - 1), 1e-14);
  for (int d = 0; d < 9; d++) assert_true(positions_sandwich(d, 128, 1) >= positions_sandwich(d + 1, 128, 1));
  double up[2] = {1, -1}, bias[2] = {0, .5}, down[2] = {-2, 4}; /* -2 x + 4 max(.5 - x, 0) */
  assert_near(positions_fire(0, 9, .1, 4, 2, up, bias, down), 2, 1e-15);
  assert_near(positions_fire(9, 9, .1, 4, 2, up, bias, down), -2, 1e-15);
  assert_near(positions_fire(3, 3, 7, 3, 2, up, bias, down), -2, 1e-15);
  assert_near(positions_fire(1, 9, 1, 15, 2, up, bias, down), .5, 1e-14); /* log 2 / log 16 */
}

/* PE(p + k) is PE(p) turned by k. */
static void sinusoids_turn(void **state) {
  (void)state;
  double a[16], b[16], frequency[8];
  positions_rope(16, 10000, frequency);
  for (int k = -50; k < 2000; k += 77) {
    positions_sinusoid(100, 16, a);
    positions_sinusoid(100 + k, 16, b);
    positions_rotate(-k, 16, frequency, false, a); /* (sin, cos) turns the other way */
    for (int i = 0; i < 16; i++) assert_near(a[i], b[i], 1e-12);
  }
}

static double dot(const double *a, const double *b) {
  double sum = 0;
  for (int i = 0; i < 16; i++) sum += a[i] * b[i];
  return sum;
}

static void rotations_tell_distances(void **state) {
  (void)state;
  double frequency[8];
  positions_rope(16, 10000, frequency);
  draws d = draws_of(1, 1, 1);
  for (int halves = 0; halves < 2; halves++) {
    double q[16], k[16], far_q[16], far_k[16], own[16];
    for (int i = 0; i < 16; i++) q[i] = draws_normal(&d), k[i] = draws_normal(&d);
    memcpy(far_q, q, sizeof q), memcpy(far_k, k, sizeof k), memcpy(own, q, sizeof q);
    positions_rotate(2, 16, frequency, halves, q), positions_rotate(4, 16, frequency, halves, k);
    positions_rotate(9, 16, frequency, halves, far_q), positions_rotate(11, 16, frequency, halves, far_k);
    assert_near(dot(q, k), dot(far_q, far_k), 1e-12);
    assert_near(dot(q, q), dot(own, own), 1e-12);
    positions_rotate(-2, 16, frequency, halves, q);
    for (int i = 0; i < 16; i++) assert_near(q[i], own[i], 1e-14);
  }
  double next[16], half[16]; /* one layout is a permutation of the other */
  for (int i = 0; i < 16; i++) next[i] = draws_normal(&d);
  for (int i = 0; i < 8; i++) half[i] = next[2 * i], half[8 + i] = next[2 * i + 1];
  positions_rotate(5, 16, frequency, false, next), positions_rotate(5, 16, frequency, true, half);
  for (int i = 0; i < 8; i++) assert_true(half[i] == next[2 * i] && half[8 + i] == next[2 * i + 1]);
}

static void longer_contexts_are_the_tables(void **state) {
  (void)state;
  double f[64], g[64];
  assert_near(positions_yarn(128, 10000, 16, 4096, f), 1.2772588722239782, 1e-15);
  assert_near(f[0], 1, 1e-15);
  assert_near(f[20], 0.05623413251903491, 1e-16);
  assert_near(f[21], 0.046940859997959404, 1e-16);
  assert_near(f[32], 0.005673076923076923, 1e-17);
  assert_near(f[45], 0.0001517716047318249, 1e-18);
  assert_near(f[46], 8.334508951020775e-05, 1e-18);
  assert_near(f[63], 7.217387404309114e-06, 1e-19);
  static const double small[8] = {
      1,       .2239946675952602,    .04166666666666667, .003952847075210474, .00125, .0003952847075210474,
      .000125, 3.952847075210474e-05};
  assert_near(positions_yarn(16, 10000, 8, 64, f), 1.2079441541679836, 1e-15);
  for (int k = 0; k < 8; k++) assert_near(f[k], small[k], 1e-16);
  assert_near(positions_ntk_base(128, 10000, 16), 167198.73921320363, 1e-9);
  assert_near(positions_ntk_base(16, 10000, 8), 107672.01541058847, 1e-9);
  positions_rope(16, positions_ntk_base(16, 10000, 8), f); /* the first stays, the last is as if all were slower */
  positions_interpolate(16, 10000, 8, g);
  assert_true(f[0] == 1);
  assert_near(f[7], g[7], 1e-18);
  positions_rope(16, 10000, f);
  assert_near(positions_yarn(16, 10000, 1, 64, g), 1, 0);
  for (int k = 0; k < 8; k++) assert_near(f[k], g[k], 1e-16);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(buckets_are_the_table),     cmocka_unit_test(slopes_are_the_table),
      cmocka_unit_test(biases_fall_with_distance), cmocka_unit_test(sinusoids_turn),
      cmocka_unit_test(rotations_tell_distances),  cmocka_unit_test(longer_contexts_are_the_tables),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
