/* Tests of claims about samples. */
#include "tests/oracles/stats.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

double stats_normal_p(double z) { return erfc(fabs(z) / sqrt(2)); }

double stats_binomial_z(double hits, double n, double p) { return (hits - n * p) / sqrt(n * p * (1 - p)); }

double stats_binomial_tail(int n, int k, double p) {
  double sum = 0;
  if (k <= 0 || p >= 1) return k <= n;
  if (p <= 0) return 0;
  for (int i = n; i >= k; i--) {
    sum += exp(lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) + i * log(p) + (n - i) * log1p(-p));
  }
  return sum < 1 ? sum : 1;
}

/* Q(a, x), the upper incomplete gamma function by Gamma(a): a series below the mean, a continued fraction (Lentz)
 * above. */
static double gamma_upper(double a, double x) {
  if (x <= 0) return 1;
  double scale = exp(a * log(x) - x - lgamma(a));
  if (x < a + 1) {
    double term = 1 / a, sum = term;
    for (int k = 1; k < 10000 && term > sum * 1e-17; k++) sum += term *= x / (a + k);
    return 1 - scale * sum;
  }
  double b = x + 1 - a, c = 1e300, d = 1 / b, product = d;
  for (int k = 1; k < 10000; k++) {
    double an = -k * (k - a);
    b += 2;
    d = 1 / (an * d + b);
    c = b + an / c;
    product *= c * d;
    if (fabs(c * d - 1) < 1e-16) break;
  }
  return scale * product;
}

double stats_chi_square_p(double x, int freedom) { return freedom > 0 ? gamma_upper(0.5 * freedom, 0.5 * x) : 1; }

double stats_fit_p(int n, const double *count, const double *p) {
  double total = 0, sum = 0, rare = 0, rare_p = 0;
  int cells = 0;
  for (int i = 0; i < n; i++) {
    total += count[i];
    if (count[i] > 0 && p[i] <= 0) return 0;
  }
  for (int i = 0; i < n; i++) {
    double expected = total * p[i];
    if (expected < 5) {
      rare += count[i], rare_p += p[i];
      continue;
    }
    sum += (count[i] - expected) * (count[i] - expected) / expected;
    cells++;
  }
  if (rare_p > 0) {
    double expected = fmax(total * rare_p, 1); /* few in all: the cell may not decide alone */
    sum += (rare - total * rare_p) * (rare - total * rare_p) / expected;
    cells++;
  }
  return stats_chi_square_p(sum, cells - 1);
}

double stats_same_p(int n, const double *count, const double *other) {
  double all = 0, all_other = 0, sum = 0;
  int cells = 0;
  for (int i = 0; i < n; i++) all += count[i], all_other += other[i];
  for (int i = 0; i < n; i++) {
    double both = count[i] + other[i];
    if (both <= 0) continue;
    double off = count[i] * sqrt(all_other / all) - other[i] * sqrt(all / all_other);
    sum += off * off / both;
    cells++;
  }
  return stats_chi_square_p(sum, cells - 1);
}

void stats_wilson(double hits, double n, double z, double *out_low, double *out_high) {
  double p = hits / n, z2 = z * z / n, middle = (p + z2 / 2) / (1 + z2);
  double half = z / (1 + z2) * sqrt(p * (1 - p) / n + z2 / (4 * n));
  *out_low = fmax(0, middle - half);
  *out_high = fmin(1, middle + half);
}

stats_mean stats_difference(int n, const double *x, const double *y, int batch) {
  assert(batch > 0 && n / batch >= 2);
  int batches = n / batch;
  double mean = 0, squares = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (int b = 0; b < batches; b++) {
      double own = 0;
      for (int i = b * batch; i < (b + 1) * batch; i++) own += (x[i] - (y ? y[i] : 0)) / batch;
      if (pass == 0)
        mean += own / batches;
      else
        squares += (own - mean) * (own - mean);
    }
  }
  return (stats_mean){mean, sqrt(squares / (batches - 1) / batches)};
}

bool stats_leaks(stats_mean excess) { return excess.mean < -3 * excess.error; }

double stats_tv(int n, const double *p, const double *q) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += fabs(p[i] - q[i]);
  return sum / 2;
}

double stats_kl(int n, const double *p, const double *q) {
  double sum = 0;
  for (int i = 0; i < n; i++) {
    if (p[i] <= 0) continue;
    if (q[i] <= 0) return INFINITY;
    sum += p[i] * log(p[i] / q[i]);
  }
  return sum;
}

double stats_entropy(int n, const double *p) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum -= p[i] > 0 ? p[i] * log(p[i]) : 0;
  return sum;
}
