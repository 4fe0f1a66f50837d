/* Closed forms against their definitions: what was taken apart is put together, and no direction leads below an
 * optimum. */
#include "tests/oracles/harness.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/draws.h"
#include "tests/oracles/linear.h"

static void matrices_come_together(void **state) {
  (void)state;
  draws d = draws_of(1, 1, 1);
  for (int n = 1; n <= 12; n += 3) {
    double a[15 * 12], s[144] = {0}, values[12], left[15 * 12], right[144];
    int m = n + 3;
    for (int i = 0; i < m * n; i++) a[i] = draws_normal(&d);
    linear_svd(m, n, a, values, left, right);
    for (int i = 0; i < m * n; i++) {
      double sum = 0;
      for (int k = 0; k < n; k++) sum += values[k] * left[k * m + i / n] * right[k * n + i % n];
      assert_near(sum, a[i], 1e-13);
    }
    for (int i = 0; i < n * n; i++) {
      double r = 0, l = 0;
      for (int k = 0; k < n; k++) r += right[i / n * n + k] * right[i % n * n + k];
      for (int k = 0; k < m; k++)
        l += left[i / n * m + k] * left[i % n * m + k], s[i] += a[k * n + i / n] * a[k * n + i % n];
      assert_near(r, i / n == i % n, 1e-13);
      assert_near(l, i / n == i % n, 1e-13);
    }
    for (int k = 1; k < n; k++) assert_true(values[k] <= values[k - 1]);
    double eigen[12], vectors[144];
    linear_eigen(n, s, eigen, vectors);
    for (int k = 0; k < n; k++) {
      assert_near(eigen[k], values[k] * values[k], 1e-11);
      for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int j = 0; j < n; j++) sum += s[i * n + j] * vectors[k * n + j];
        assert_near(sum, eigen[k] * vectors[k * n + i], 1e-11);
      }
    }
    assert_near(linear_angle(1, n, vectors, right), 0, 1e-6);
    if (n > 1) assert_near(linear_angle(1, n, vectors, vectors + n), 1, 1e-12);
  }
}

/* Expected error of the projection on k orthonormal rows: trace of the covariance without what they keep. No rows lose
 * less than the tail (Eckart-Young), the first eigenvectors lose just that. */
static void tails_are_least(void **state) {
  (void)state;
  linear l;
  double s[64], values[8], vectors[64], trace = 0;
  linear_make(1, 8, 5, 2, 0.7, 0.1, &l);
  linear_covariance(&l, s);
  linear_eigen(8, s, values, vectors);
  for (int i = 0; i < 8; i++) trace += s[9 * i];
  draws d = draws_of(2, 1, 1);
  for (int round = 0; round <= 200; round++) {
    double rows[24], kept = 0;
    memcpy(rows, vectors, sizeof rows);
    for (int r = 0; round && r < 3; r++) { /* any three, made orthonormal */
      for (int i = 0; i < 8; i++) rows[r * 8 + i] += (round % 2 ? 1 : 0.05) * draws_normal(&d);
      for (int q = 0; q <= r; q++) {
        double along = 0;
        for (int i = 0; i < 8; i++) along += rows[r * 8 + i] * rows[q * 8 + i];
        for (int i = 0; i < 8; i++)
          rows[r * 8 + i] = q < r ? rows[r * 8 + i] - along * rows[q * 8 + i] : rows[r * 8 + i] / sqrt(along);
      }
    }
    for (int k = 0; k < 3 * 64; k++) kept += rows[k / 64 * 8 + k / 8 % 8] * s[k % 64] * rows[k / 64 * 8 + k % 8];
    if (round == 0)
      assert_near(trace - kept, linear_tail(8, values, 3), 1e-12);
    else
      assert_true(trace - kept >= linear_tail(8, values, 3));
  }
}

/* Samples have the covariance, and least squares of them finds the map. */
static void least_squares_find_the_map(void **state) {
  (void)state;
  enum { M = 4000 };
  static double x[M * 5], y[M * 3];
  linear l;
  double s[25], w[15], found[25] = {0};
  linear_make(3, 5, 3, 2, 0.8, 0.01, &l);
  linear_covariance(&l, s);
  for (int r = 0; r < M; r++) linear_sample(&l, 1, (uint64_t)r, x + r * 5, y + r * 3);
  for (int k = 0; k < M * 25; k++) found[k % 25] += x[k / 25 * 5 + k % 25 / 5] * x[k / 25 * 5 + k % 5] / M;
  for (int k = 0; k < 25; k++) assert_near(found[k], s[k], 0.1);
  assert_true(linear_least_squares(M, 5, 3, x, y, 0, w));
  for (int k = 0; k < 15; k++) {
    int i = k / 3, o = k % 3;
    assert_near(w[k], l.base[o * 5 + i] + l.shift[o * 5 + i], 0.02);
    double slope = 0; /* normal equations */
    for (int r = 0; r < M; r++) {
      double off = -y[r * 3 + o];
      for (int j = 0; j < 5; j++) off += x[r * 5 + j] * w[j * 3 + o];
      slope += off * x[r * 5 + i];
    }
    assert_near(slope, 0, 1e-9);
  }
  double left[15], right[9], values[3], shift[15]; /* rank of the shift */
  for (int k = 0; k < 15; k++) shift[k % 5 * 3 + k / 5] = l.shift[k];
  linear_svd(5, 3, shift, values, left, right);
  assert_true(values[1] > 0.05 && values[2] < 1e-14);
  double small[4] = {1, 2, 2, 1}, right_side[2] = {3, 5}, ridge[2]; /* (x^T x + 3) w = x^T y: (8 4; 4 8) w = (13; 11) */
  assert_true(linear_least_squares(2, 2, 1, small, right_side, 3, ridge));
  assert_near(ridge[0], 60.0 / 48, 1e-14);
  assert_near(ridge[1], 36.0 / 48, 1e-14);
  for (int r = 0; r < M; r++) x[r * 5 + 4] = x[r * 5 + 3];
  assert_false(linear_least_squares(M, 5, 3, x, y, 0, w));
}

/* Loss by its definition, at the optimum and around it. */
static double loss_at(int m, const double *x, const int *label, double ridge, const double *w) {
  double sum = 0;
  for (int k = 0; k < 9; k++) sum += ridge / 2 * w[k] * w[k];
  for (int r = 0; r < m; r++) {
    double z[3] = {0}, all = 0;
    for (int k = 0; k < 9; k++) z[k % 3] += x[r * 3 + k / 3] * w[k];
    for (int c = 0; c < 3; c++) all += exp(z[c]);
    sum -= log(exp(z[label[r]]) / all) / m;
  }
  return sum;
}

static void logistic_is_an_optimum(void **state) {
  (void)state;
  enum { M = 200 };
  double x[M * 3], w[9], near[9];
  int label[M];
  draws d = draws_of(4, 1, 1);
  for (int r = 0; r < M; r++) {
    label[r] = draws_below(&d, 3);
    for (int i = 0; i < 3; i++) x[r * 3 + i] = draws_normal(&d) + (i == label[r]);
  }
  double least = linear_logistic(M, 3, 3, x, label, 1e-4, w);
  assert_near(loss_at(M, x, label, 1e-4, w), least, 1e-14);
  assert_true(least < 0.9 * log(3));
  for (int round = 0; round < 100; round++) {
    for (int k = 0; k < 9; k++) near[k] = w[k] + 1e-3 * draws_normal(&d);
    assert_true(loss_at(M, x, label, 1e-4, near) > least);
  }
  for (int k = 0; k < 9; k++) { /* slopes */
    double two[2];
    for (int side = 0; side < 2; side++) {
      memcpy(near, w, sizeof w);
      near[k] += side ? 1e-5 : -1e-5;
      two[side] = loss_at(M, x, label, 1e-4, near);
    }
    assert_near((two[1] - two[0]) / 2e-5, 0, 1e-9);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(matrices_come_together),
      cmocka_unit_test(tails_are_least),
      cmocka_unit_test(least_squares_find_the_map),
      cmocka_unit_test(logistic_is_an_optimum),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
