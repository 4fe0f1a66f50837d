/* Random numbers of the data kit against the laws they should have. */
#include "tests/oracles/harness.h"

#include <math.h>

#include "tests/oracles/draws.h"
#include "tests/oracles/stats.h"

enum { MANY = 50000 };

static void streams_are_apart(void **state) {
  (void)state;
  draws a = draws_of(1, 2, 3), b = draws_of(1, 2, 3), c = draws_of(1, 3, 2), e = draws_of(2, 1, 3),
        f = draws_of(1, 2, 4);
  uint64_t first = draws_bits(&a);
  assert_true(first == draws_bits(&b) && first != draws_bits(&c) && first != draws_bits(&e) && first != draws_bits(&f));
  assert_true(draws_bits(&a) != first);
  double both[256] = {0}, p[256]; /* first numbers of neighbouring streams are independent */
  for (int i = 0; i < MANY; i++) {
    draws x = draws_of(7, 1, (uint64_t)i), y = draws_of(7, 1, (uint64_t)i + 1);
    both[draws_below(&x, 16) * 16 + draws_below(&y, 16)]++;
  }
  for (int i = 0; i < 256; i++) p[i] = 1 / 256.0;
  assert_true(stats_fit_p(256, both, p) > 1e-4);
}

static void units_and_normals(void **state) {
  (void)state;
  double unit[100] = {0}, normal[40] = {0}, p[100], q[40];
  draws d = draws_of(5, 5, 5);
  for (int i = 0; i < MANY; i++) {
    double u = draws_unit(&d), z = draws_normal(&d);
    assert_true(u > 0 && u < 1);
    unit[(int)(u * 100)]++;
    normal[(int)fmax(0, fmin(39, floor(z * 8) + 20))]++;
  }
  for (int i = 0; i < 100; i++) p[i] = 0.01;
  for (int i = 0; i < 40; i++) {
    double low = i == 0 ? -INFINITY : (i - 20) / 8.0, high = i == 39 ? INFINITY : (i - 19) / 8.0;
    q[i] = 0.5 * (erfc(low / sqrt(2)) - erfc(high / sqrt(2)));
  }
  assert_true(stats_fit_p(100, unit, p) > 1e-4 && stats_fit_p(40, normal, q) > 1e-4);
}

/* Gamma by its mean and variance, which are both the shape; the first share of a Dirichlet law is beta(a, (n - 1) a).
 */
static void gammas_and_dirichlets(void **state) {
  (void)state;
  const double shapes[] = {0.3, 1, 4.5};
  draws d = draws_of(6, 1, 0);
  for (int k = 0; k < 3; k++) {
    double a = shapes[k], mean = 0, square = 0, share = 0, share2 = 0;
    for (int i = 0; i < MANY; i++) {
      double g = draws_gamma(&d, a), x[4];
      draws_dirichlet(&d, 4, a, x);
      mean += g / MANY, square += (g - a) * (g - a) / MANY;
      share += x[0] / MANY, share2 += x[0] * x[0] / MANY;
    }
    assert_near(mean, a, 5 * sqrt(a / MANY));
    assert_near(square, a, 5 * sqrt((2 * a * a + 6 * a) / MANY));
    assert_near(share, 0.25, 5 * 0.45 / sqrt(MANY));
    assert_near(share2, (a + 1) / (4 * (4 * a + 1)), 5 * 0.5 / sqrt(MANY));
  }
}

static void counts_and_orders(void **state) {
  (void)state;
  double poisson[20] = {0}, order[24] = {0}, pick[3] = {0}, p[20], q[24], weight[3] = {1, 0, 3};
  draws d = draws_of(8, 1, 0);
  for (int i = 0; i < MANY; i++) {
    int k = draws_poisson(&d, 3), item[4] = {0, 1, 2, 3}, rank = 0;
    poisson[k < 19 ? k : 19]++;
    draws_shuffle(&d, 4, item);
    for (int a = 0; a < 4; a++) {
      int smaller = 0;
      for (int b = a + 1; b < 4; b++) smaller += item[b] < item[a];
      rank = rank * (4 - a) + smaller;
    }
    order[rank]++;
    pick[draws_pick(&d, 3, weight)]++;
  }
  double left = 1;
  for (int k = 0; k < 19; k++) left -= p[k] = exp(-3 + k * log(3) - lgamma(k + 1));
  p[19] = left;
  for (int k = 0; k < 24; k++) q[k] = 1 / 24.0;
  assert_true(stats_fit_p(20, poisson, p) > 1e-4 && stats_fit_p(24, order, q) > 1e-4);
  assert_true(pick[1] == 0 && fabs(stats_binomial_z(pick[0], MANY, 0.25)) < 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(streams_are_apart),
      cmocka_unit_test(units_and_normals),
      cmocka_unit_test(gammas_and_dirichlets),
      cmocka_unit_test(counts_and_orders),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
