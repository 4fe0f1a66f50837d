/* Scans against closed forms of the models that they stand for. */
#include "tests/oracles/harness.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/draws.h"
#include "tests/oracles/scans.h"

enum { T = 7, K = 3, V = 2 };

static double w[T * K], a[T * K], b[T * K], k[T * K], v[T * V], q[T * K];

static void fill(uint64_t seed) {
  draws d = draws_of(seed, 1, 1);
  for (int i = 0; i < T * K; i++) w[i] = draws_unit(&d), k[i] = draws_normal(&d), q[i] = draws_normal(&d);
  for (int i = 0; i < T * V; i++) v[i] = draws_normal(&d);
}

/* Decays alone: out_t = sum_s v_s sum_j q_tj k_sj prod_{s < r <= t} w_rj; with a bonus the last term has it instead. */
static void decays_are_weighted_sums(void **state) {
  (void)state;
  fill(1);
  double bonus[K] = {0.5, -2, 3};
  for (int way = 0; way < 3; way++) {
    double s[V * K] = {0}, out[T * V];
    scans_matrix m = {T, K, V, way ? w : NULL, NULL, NULL, k, v, q, way == 2 ? bonus : NULL};
    scans_matrix_run(&m, s, out);
    for (int t = 0; t < T; t++) {
      for (int i = 0; i < V; i++) {
        double sum = 0;
        for (int from = 0; from <= t; from++) {
          for (int j = 0; j < K; j++) {
            double kept = way == 2 && from == t ? bonus[j] : 1;
            for (int r = from + 1; r <= t - (way == 2); r++) kept *= way ? w[r * K + j] : 1;
            sum += v[from * V + i] * k[from * K + j] * kept * q[t * K + j];
          }
        }
        assert_near(out[t * V + i], sum, 1e-13);
      }
    }
  }
}

/* The delta rule: with a = -k, b = k, keys k of length 1, the value last written at a key is read, whatever was there.
 */
static void delta_rules_overwrite(void **state) {
  (void)state;
  fill(2);
  double s[V * K] = {0}, out[T * V];
  for (int t = 0; t < T; t++) {
    double length = sqrt(k[t * K] * k[t * K] + k[t * K + 1] * k[t * K + 1] + k[t * K + 2] * k[t * K + 2]);
    for (int j = 0; j < K; j++) {
      k[t * K + j] = t == T - 1 ? k[2 * K + j] : k[t * K + j] / length;
      a[t * K + j] = -k[t * K + j], b[t * K + j] = k[t * K + j];
    }
  }
  scans_matrix m = {T, K, V, NULL, a, b, k, v, k, NULL};
  scans_matrix_run(&m, s, out);
  for (int i = 0; i < T * V; i++) assert_near(out[i], v[i], 1e-13);
  double parts[V * K] = {0}, first[T * V]; /* in two pieces, handed over */
  m.steps = 3;
  scans_matrix_run(&m, parts, first);
  m = (scans_matrix){T - 3, K, V, NULL, a + 3 * K, b + 3 * K, k + 3 * K, v + 3 * V, k + 3 * K, NULL};
  scans_matrix_run(&m, parts, first + 3 * V);
  assert_memory_equal(first, out, sizeof out);
  assert_memory_equal(parts, s, sizeof s);
}

static void affine_scans_are_sums(void **state) {
  (void)state;
  fill(3);
  double h[K] = {1, 2, 3}, out[T * K];
  scans_affine_run(T, K, w, q, h, out);
  for (int i = 0; i < K; i++) {
    double sum = i + 1;
    for (int t = 0; t < T; t++) sum *= w[t * K + i];
    for (int from = 0; from < T; from++) {
      double term = q[from * K + i];
      for (int t = from + 1; t < T; t++) term *= w[t * K + i];
      sum += term;
    }
    assert_near(out[(T - 1) * K + i], sum, 1e-14);
    assert_near(h[i], sum, 1e-14);
  }
}

/* By counting who is nearer, ties included. */
static void nearest_are_nearest(void **state) {
  (void)state;
  draws d = draws_of(4, 1, 1);
  for (int round = 0; round < 50; round++) {
    double keys[20 * 2], query[2] = {draws_below(&d, 4), draws_below(&d, 4)};
    int out[6];
    for (int i = 0; i < 40; i++) keys[i] = draws_below(&d, 4);
    scans_nearest(20, 2, keys, query, 6, out);
    for (int n = 0; n < 20; n++) {
      int nearer = 0, place = -1;
      double own = hypot(keys[2 * n] - query[0], keys[2 * n + 1] - query[1]);
      for (int i = 0; i < 20; i++) {
        double other = hypot(keys[2 * i] - query[0], keys[2 * i + 1] - query[1]);
        nearer += other < own || (other == own && i < n);
      }
      for (int i = 0; i < 6; i++) place = out[i] == n ? i : place;
      assert_int_equal(place, nearer < 6 ? nearer : -1);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decays_are_weighted_sums),
      cmocka_unit_test(delta_rules_overwrite),
      cmocka_unit_test(affine_scans_are_sums),
      cmocka_unit_test(nearest_are_nearest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
