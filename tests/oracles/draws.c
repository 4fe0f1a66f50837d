/* Random numbers of the data kit: SplitMix64 from a mixed key, and the usual distributions on top. */
#include "tests/oracles/draws.h"

#include <assert.h>
#include <math.h>

#define GOLDEN 0x9e3779b97f4a7c15u

/* source: Steele, Lea & Flood 2014, the finaliser of SplitMix64 */
static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

draws draws_of(uint64_t seed, uint64_t stream, uint64_t index) {
  uint64_t key = mix(seed + GOLDEN);
  key = mix(key + mix(stream + 2 * GOLDEN));
  key = mix(key + mix(index + 3 * GOLDEN));
  return (draws){key, 0};
}

uint64_t draws_bits(draws *d) { return mix(d->key + GOLDEN * ++d->count); }

double draws_unit(draws *d) { return ((double)(draws_bits(d) >> 11) + 0.5) * 0x1p-53; }

int draws_below(draws *d, int n) {
  assert(n > 0);
  return (int)(((draws_bits(d) >> 32) * (uint64_t)n) >> 32);
}

int draws_pick(draws *d, int n, const double *weight) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += weight[i];
  assert(sum > 0);
  double left = draws_unit(d) * sum;
  int last = 0;
  for (int i = 0; i < n; i++) {
    if (weight[i] <= 0) continue;
    last = i;
    if ((left -= weight[i]) < 0) break;
  }
  return last;
}

double draws_normal(draws *d) {
  double radius = sqrt(-2 * log(draws_unit(d)));
  return radius * cos(2 * 3.14159265358979323846 * draws_unit(d));
}

double draws_gamma(draws *d, double shape) {
  if (shape < 1) {
    double whole = draws_gamma(d, shape + 1);
    return whole * pow(draws_unit(d), 1 / shape);
  }
  double a = shape - 1.0 / 3, c = 1 / sqrt(9 * a);
  for (;;) {
    double x = draws_normal(d), v = 1 + c * x;
    if (v <= 0) continue;
    v = v * v * v;
    if (log(draws_unit(d)) < 0.5 * x * x + a - a * v + a * log(v)) return a * v;
  }
}

void draws_dirichlet(draws *d, int n, double alpha, double *out) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += out[i] = draws_gamma(d, alpha);
  for (int i = 0; i < n; i++) out[i] /= sum;
}

int draws_poisson(draws *d, double mean) {
  double left = draws_unit(d), p = exp(-mean);
  int k = 0;
  while (left >= p && k < 1000) {
    left -= p;
    p *= mean / ++k;
  }
  return k;
}

void draws_shuffle(draws *d, int n, int *items) {
  for (int i = n - 1; i > 0; i--) {
    int j = draws_below(d, i + 1), kept = items[i];
    items[i] = items[j];
    items[j] = kept;
  }
}
