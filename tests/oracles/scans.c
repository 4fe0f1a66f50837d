/* Scans, and nearest keys, by their definition. */
#include "tests/oracles/scans.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

/* Element (i, j) of the next state: sum_l S(i, l) (w_l [l = j] + a_l b_j) + value_i key_j. */
static double next(const scans_matrix *s, int t, const double *state, int i, int j) {
  double sum = s->values[t * s->v + i] * s->keys[t * s->k + j];
  for (int l = 0; l < s->k; l++) {
    double kept = l == j ? (s->w ? s->w[t * s->k + l] : 1) : 0;
    if (s->a && s->b) kept += s->a[t * s->k + l] * s->b[t * s->k + j];
    sum += state[i * s->k + l] * kept;
  }
  return sum;
}

void scans_matrix_run(const scans_matrix *s, double *state, double *out) {
  double *later = malloc((size_t)s->v * (size_t)s->k * sizeof *later);
  assert(later);
  for (int t = 0; t < s->steps; t++) {
    for (int i = 0; i < s->v * s->k; i++) later[i] = next(s, t, state, i / s->k, i % s->k);
    for (int i = 0; i < s->v; i++) {
      out[t * s->v + i] = 0;
      for (int j = 0; j < s->k; j++) {
        double read = later[i * s->k + j];
        if (s->bonus) read = state[i * s->k + j] + s->values[t * s->v + i] * s->bonus[j] * s->keys[t * s->k + j];
        out[t * s->v + i] += read * s->q[t * s->k + j];
      }
    }
    for (int i = 0; i < s->v * s->k; i++) state[i] = later[i];
  }
  free(later);
}

void scans_affine_run(int steps, int n, const double *f, const double *g, double *state, double *out) {
  for (int t = 0; t < steps * n; t++) out[t] = state[t % n] = f[t] * state[t % n] + g[t];
}

static double distance(int d, const double *a, const double *b) {
  double sum = 0;
  for (int i = 0; i < d; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

void scans_nearest(int n, int d, const double *keys, const double *query, int top, int *out) {
  int count = 0;
  for (int k = 0; k < n; k++) { /* put behind those that are as near */
    double own = distance(d, keys + k * d, query);
    int at = count;
    while (at > 0 && distance(d, keys + out[at - 1] * d, query) > own) at--;
    if (at == top) continue;
    if (count < top) count++;
    for (int i = count - 1; i > at; i--) out[i] = out[i - 1];
    out[at] = k;
  }
}
