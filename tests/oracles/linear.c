/* D9 and dense algebra in its simplest form. */
#include "tests/oracles/linear.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracles/draws.h"

enum { MAPS = 0x6c6901, DATA = 0x6c6902 };

void linear_make(uint64_t seed, int in, int out, int rank, double fall, double noise, linear *l) {
  assert(in <= LINEAR_WIDTH && out <= LINEAR_WIDTH);
  *l = (linear){.in = in, .out = out, .rank = rank, .noise = noise};
  draws d = draws_of(seed, MAPS, 0);
  for (int i = 0; i < in * in; i++) l->axes[i] = draws_normal(&d) / sqrt(in) * pow(fall, i % in);
  for (int i = 0; i < out * in; i++) l->base[i] = draws_normal(&d) / sqrt(in);
  for (int r = 0; r < rank; r++) {
    double from[LINEAR_WIDTH], to[LINEAR_WIDTH];
    for (int i = 0; i < in; i++) from[i] = draws_normal(&d) / sqrt(in);
    for (int o = 0; o < out; o++) to[o] = draws_normal(&d) / sqrt(out);
    for (int i = 0; i < out * in; i++) l->shift[i] += (rank - r) * to[i / in] * from[i % in];
  }
}

void linear_sample(const linear *l, uint64_t seed, uint64_t index, double *x, double *y) {
  draws d = draws_of(seed, DATA, index);
  double z[LINEAR_WIDTH];
  for (int i = 0; i < l->in; i++) z[i] = draws_normal(&d);
  for (int i = 0; i < l->in; i++) {
    x[i] = 0;
    for (int k = 0; k < l->in; k++) x[i] += l->axes[i * l->in + k] * z[k];
  }
  for (int o = 0; o < l->out; o++) {
    y[o] = l->noise * draws_normal(&d);
    for (int i = 0; i < l->in; i++) y[o] += (l->base[o * l->in + i] + l->shift[o * l->in + i]) * x[i];
  }
}

void linear_covariance(const linear *l, double *out) {
  int n = l->in;
  for (int i = 0; i < n * n; i++) {
    out[i] = 0;
    for (int k = 0; k < n; k++) out[i] += l->axes[i / n * n + k] * l->axes[i % n * n + k];
  }
}

/* Turns rows p and q of a [..][n]. */
static void turn(int n, double *a, int p, int q, double cosine, double sine) {
  for (int k = 0; k < n; k++) {
    double x = a[p * n + k], y = a[q * n + k];
    a[p * n + k] = cosine * x - sine * y;
    a[q * n + k] = sine * x + cosine * y;
  }
}

/* The rotation that makes (x, off; off, y) diagonal. */
static void rotation(double x, double y, double off, double *cosine, double *sine) {
  double theta = (y - x) / (2 * off), t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
  *cosine = 1 / sqrt(t * t + 1);
  *sine = t * *cosine;
}

/* Columns of a [m][n] as rows of out [n][m]. */
static void transpose(int m, int n, const double *a, double *out) {
  for (int i = 0; i < m * n; i++) out[i % n * m + i / n] = a[i];
}

static double product(int n, const double *a, const double *b) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static void exchange(int n, double *a, double *b) {
  for (int i = 0; i < n; i++) {
    double kept = a[i];
    a[i] = b[i], b[i] = kept;
  }
}

/* The largest value first; rows go with their values. */
static void sort(int n, double *values, int m, double *left, double *right) {
  for (int i = 0; i < n; i++) {
    int best = i;
    for (int k = i + 1; k < n; k++) best = values[k] > values[best] ? k : best;
    if (best == i) continue;
    exchange(1, values + i, values + best);
    if (left) exchange(m, left + i * m, left + best * m);
    exchange(n, right + i * n, right + best * n);
  }
}

void linear_eigen(int n, const double *a, double *values, double *vectors) {
  double *b = malloc((size_t)n * (size_t)n * sizeof *b);
  assert(b);
  memcpy(b, a, (size_t)n * (size_t)n * sizeof *b);
  for (int i = 0; i < n * n; i++) vectors[i] = i / n == i % n;
  for (int sweep = 0; sweep < 100; sweep++) {
    double off = 0, all = 0;
    for (int i = 0; i < n * n; i++) *(i / n == i % n ? &all : &off) += b[i] * b[i];
    if (off <= 1e-32 * all) break;
    for (int p = 0; p < n; p++) {
      for (int q = p + 1; q < n; q++) {
        if (b[p * n + q] == 0) continue;
        double c, s;
        rotation(b[p * n + p], b[q * n + q], b[p * n + q], &c, &s);
        turn(n, b, p, q, c, s);
        for (int k = 0; k < n; k++) { /* the same for columns */
          double x = b[k * n + p], y = b[k * n + q];
          b[k * n + p] = c * x - s * y, b[k * n + q] = s * x + c * y;
        }
        turn(n, vectors, p, q, c, s);
      }
    }
  }
  for (int i = 0; i < n; i++) values[i] = b[i * n + i];
  free(b);
  sort(n, values, 0, NULL, vectors);
}

void linear_svd(int m, int n, const double *a, double *values, double *left, double *right) {
  assert(m >= n);
  transpose(m, n, a, left);
  for (int i = 0; i < n * n; i++) right[i] = i / n == i % n;
  for (int sweep = 0, turned = 1; sweep < 100 && turned; sweep++) {
    turned = 0;
    for (int p = 0; p < n; p++) {
      for (int q = p + 1; q < n; q++) {
        double x = product(m, left + p * m, left + p * m), y = product(m, left + q * m, left + q * m);
        double off = product(m, left + p * m, left + q * m), c, s;
        if (fabs(off) <= 1e-15 * sqrt(x * y)) continue;
        rotation(x, y, off, &c, &s);
        turn(m, left, p, q, c, s);
        turn(n, right, p, q, c, s);
        turned = 1;
      }
    }
  }
  for (int k = 0; k < n; k++) {
    values[k] = sqrt(product(m, left + k * m, left + k * m));
    for (int i = 0; i < m && values[k] > 0; i++) left[k * m + i] /= values[k];
  }
  sort(n, values, m, left, right);
}

double linear_tail(int n, const double *values, int rank) {
  double sum = 0;
  for (int k = rank; k < n; k++) sum += values[k];
  return sum;
}

/* What of each row of a is outside of b, by its largest singular value. */
double linear_angle(int k, int n, const double *a, const double *b) {
  double outside[LINEAR_WIDTH * LINEAR_WIDTH], values[LINEAR_WIDTH], left[LINEAR_WIDTH * LINEAR_WIDTH];
  double right[LINEAR_WIDTH * LINEAR_WIDTH], columns[LINEAR_WIDTH * LINEAR_WIDTH];
  assert(k <= n && n <= LINEAR_WIDTH);
  for (int i = 0; i < k; i++) {
    memcpy(outside + i * n, a + i * n, (size_t)n * sizeof *a);
    for (int j = 0; j < k; j++) {
      double along = product(n, a + i * n, b + j * n);
      for (int c = 0; c < n; c++) outside[i * n + c] -= along * b[j * n + c];
    }
  }
  transpose(k, n, outside, columns);
  linear_svd(n, k, columns, values, left, right);
  return values[0];
}

/* Solves a x = b in place of b [n][k], a [n][n] symmetric and positive; a is overwritten. False if it is not. */
static bool solve(int n, int k, double *a, double *b) {
  for (int j = 0; j < n; j++) { /* a = l l^T */
    double most = a[j * n + j], pivot = most - product(j, a + j * n, a + j * n);
    if (!(pivot > 1e-13 * most)) return false;
    a[j * n + j] = sqrt(pivot);
    for (int i = j + 1; i < n; i++) a[i * n + j] = (a[i * n + j] - product(j, a + i * n, a + j * n)) / a[j * n + j];
  }
  for (int c = 0; c < k; c++) {
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < i; j++) b[i * k + c] -= a[i * n + j] * b[j * k + c];
      b[i * k + c] /= a[i * n + i];
    }
    for (int i = n - 1; i >= 0; i--) {
      for (int j = i + 1; j < n; j++) b[i * k + c] -= a[j * n + i] * b[j * k + c];
      b[i * k + c] /= a[i * n + i];
    }
  }
  return true;
}

bool linear_least_squares(int m, int n, int k, const double *x, const double *y, double ridge, double *w) {
  double *a = calloc((size_t)n * (size_t)n, sizeof *a);
  assert(a);
  for (int i = 0; i < n * k; i++) w[i] = 0;
  for (int r = 0; r < m; r++) {
    for (int i = 0; i < n * n; i++) a[i] += x[r * n + i / n] * x[r * n + i % n];
    for (int i = 0; i < n * k; i++) w[i] += x[r * n + i / k] * y[r * k + i % k];
  }
  for (int i = 0; i < n; i++) a[i * n + i] += ridge;
  bool fine = solve(n, k, a, w);
  free(a);
  return fine;
}

/* The loss; gradient [n * classes] and hessian of it unless NULL. Parameter (i, c) has number i * classes + c. */
static double logistic(int m, int n, int classes, const double *x, const int *label, double ridge, const double *w,
                       double *gradient, double *hessian) {
  int all = n * classes;
  double loss = 0.5 * ridge * product(all, w, w), p[LINEAR_WIDTH];
  for (int i = 0; gradient && i < all; i++) gradient[i] = ridge * w[i];
  for (int i = 0; hessian && i < all * all; i++) hessian[i] = i / all == i % all ? ridge : 0;
  for (int r = 0; r < m; r++) {
    double most = -INFINITY, sum = 0;
    for (int c = 0; c < classes; c++) {
      p[c] = 0;
      for (int i = 0; i < n; i++) p[c] += x[r * n + i] * w[i * classes + c];
      most = fmax(most, p[c]);
    }
    loss -= (p[label[r]] - most) / m;
    for (int c = 0; c < classes; c++) sum += p[c] = exp(p[c] - most);
    loss += log(sum) / m;
    for (int c = 0; c < classes; c++) p[c] /= sum;
    for (int i = 0; gradient && i < all; i++) {
      gradient[i] += x[r * n + i / classes] * (p[i % classes] - (i % classes == label[r])) / m;
    }
    for (int i = 0; hessian && i < all * all; i++) {
      int a = i / all, b = i % all, c = a % classes, e = b % classes;
      hessian[i] += x[r * n + a / classes] * x[r * n + b / classes] * p[c] * ((c == e) - p[e]) / m;
    }
  }
  return loss;
}

double linear_logistic(int m, int n, int classes, const double *x, const int *label, double ridge, double *w) {
  size_t all = (size_t)n * (size_t)classes;
  assert(all <= LINEAR_WIDTH * 4 && classes <= LINEAR_WIDTH && ridge > 0);
  double *step = malloc((all + all * all + all) * sizeof *step), *hessian = step + all, *next = hessian + all * all;
  assert(step);
  memset(w, 0, all * sizeof *w);
  double loss = logistic(m, n, classes, x, label, ridge, w, NULL, NULL);
  for (int round = 0; round < 200; round++) {
    logistic(m, n, classes, x, label, ridge, w, step, hessian);
    double slope = product((int)all, step, step), size = 1, later = INFINITY;
    if (slope < 1e-26 || !solve((int)all, 1, hessian, step)) break;
    for (; size > 1e-10; size /= 2) { /* damped: as long as it gets no worse */
      for (size_t i = 0; i < all; i++) next[i] = w[i] - size * step[i];
      later = logistic(m, n, classes, x, label, ridge, next, NULL, NULL);
      if (later <= loss) break;
    }
    if (!(later <= loss)) break;
    loss = later;
    memcpy(w, next, all * sizeof *w);
  }
  free(step);
  return loss;
}
