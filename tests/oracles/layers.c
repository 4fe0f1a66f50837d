/* Parts of transformers in doubles. */
#include "tests/oracles/layers.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double *numbers(int rows, int columns) {
  double *x = calloc((size_t)rows * (size_t)columns, sizeof *x);
  assert(x);
  return x;
}

void layers_normalise(const layers_norm *norm, int n, const double *x, double *out) {
  double mean = 0, square = 0;
  for (int i = 0; i < n && norm->kind == LAYERS_LAYER_NORM; i++) mean += x[i] / n;
  for (int i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean) / n;
  double by = norm->outside ? sqrt(square) + norm->epsilon : sqrt(square + norm->epsilon);
  for (int i = 0; i < n; i++) {
    out[i] = (x[i] - mean) / by * (norm->scale ? norm->scale[i] : 1) + (norm->shift ? norm->shift[i] : 0);
  }
}

double layers_activate(layers_curve curve, double x) {
  switch (curve) {
    case LAYERS_RELU: return x > 0 ? x : 0;
    case LAYERS_GELU: return 0.5 * x * erfc(-x / sqrt(2));
    case LAYERS_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    case LAYERS_SILU: return x / (1 + exp(-x));
    case LAYERS_SIGMOID: return 1 / (1 + exp(-x));
  }
  return NAN;
}

void layers_linear(int rows, int from, int to, const double *x, const double *w, const double *bias, double *out) {
  for (int r = 0; r < rows; r++) {
    for (int o = 0; o < to; o++) {
      double sum = bias ? bias[o] : 0;
      for (int i = 0; i < from; i++) sum += x[r * from + i] * w[i * to + o];
      out[r * to + o] = sum;
    }
  }
}

void layers_feed_forward(const layers_feed *f, int rows, const double *x, double *out) {
  double *up = numbers(rows, f->hidden), *gate = numbers(rows, f->hidden);
  layers_linear(rows, f->width, f->hidden, x, f->up, f->up_bias, up);
  if (f->gate) layers_linear(rows, f->width, f->hidden, x, f->gate, f->gate_bias, gate);
  for (int i = 0; i < rows * f->hidden; i++) up[i] = layers_activate(f->curve, up[i]) * (f->gate ? gate[i] : 1);
  layers_linear(rows, f->hidden, f->width, up, f->down, f->down_bias, out);
  free(up);
  free(gate);
}

bool layers_causal(const void *user, int query, int key) { return (void)user, key <= query; }

/* One query of one head: scores of what it sees, their softmax, the mean of values. */
static void attend_one(const layers_heads *h, const layers_mask *mask, int head, int query, int keys, const double *q,
                       const double *k, const double *v, double *out) {
  double *weight = numbers(keys, 1), most = -INFINITY, sum = 0, scale = h->scale ? h->scale : 1 / sqrt(h->d);
  for (int j = 0; j < keys; j++) {
    weight[j] = -INFINITY;
    if (mask->sees && !mask->sees(mask->user, query, j)) continue;
    weight[j] = mask->bias ? mask->bias(mask->user, head, query, j) : 0;
    for (int i = 0; i < h->d; i++) weight[j] += scale * q[i] * k[j * h->key_heads * h->d + i];
    most = fmax(most, weight[j]);
  }
  for (int i = 0; i < h->d; i++) out[i] = 0;
  for (int j = 0; j < keys && most > -INFINITY; j++) sum += weight[j] = exp(weight[j] - most);
  for (int j = 0; j < keys && sum > 0; j++) {
    for (int i = 0; i < h->d; i++) out[i] += weight[j] / sum * v[j * h->key_heads * h->d + i];
  }
  free(weight);
}

void layers_attend(const layers_heads *h, const layers_mask *mask, int queries, int keys, const double *q,
                   const double *k, const double *v, double *out) {
  assert(h->heads % h->key_heads == 0);
  for (int i = 0; i < queries; i++) {
    for (int head = 0; head < h->heads; head++) {
      int at = (i * h->heads + head) * h->d, from = head / (h->heads / h->key_heads) * h->d;
      attend_one(h, mask, head, i, keys, q + at, k + from, v + from, out + at);
    }
  }
}

static void attention(const layers_block *b, const layers_mask *mask, int n, const double *x, double *out) {
  int all = b->heads.heads * b->heads.d, few = b->heads.key_heads * b->heads.d;
  double *q = numbers(n, all), *k = numbers(n, few), *v = numbers(n, few), *mixed = numbers(n, all);
  layers_linear(n, b->width, all, x, b->query, b->query_bias, q);
  layers_linear(n, b->width, few, x, b->key, b->key_bias, k);
  layers_linear(n, b->width, few, x, b->value, b->value_bias, v);
  layers_attend(&b->heads, mask, n, n, q, k, v, mixed);
  layers_linear(n, all, b->width, mixed, b->output, b->output_bias, out);
  free(q), free(k), free(v), free(mixed);
}

static void normalise_rows(const layers_norm *norm, int rows, int n, const double *x, double *out) {
  for (int r = 0; r < rows; r++) layers_normalise(norm, n, x + r * n, out + r * n);
}

void layers_run(const layers_block *b, const layers_mask *mask, int n, const double *x, double *out) {
  int d = b->width;
  double *now = numbers(n, d), *in = numbers(n, d), *f = numbers(n, d);
  bool before = b->placement == LAYERS_PRE || b->placement == LAYERS_SANDWICH;
  memcpy(now, x, (size_t)n * (size_t)d * sizeof *now);
  for (int part = 0; part < 2; part++) {
    const layers_norm *norm = part ? &b->feed_norm : &b->attend_norm,
                      *second = part ? &b->feed_second : &b->attend_second;
    if (before)
      normalise_rows(norm, n, d, now, in);
    else
      memcpy(in, now, (size_t)n * (size_t)d * sizeof *in);
    if (part)
      layers_feed_forward(&b->feed, n, in, f);
    else
      attention(b, mask, n, in, f);
    if (b->placement == LAYERS_INNER) normalise_rows(norm, n, d, f, f);
    if (b->placement == LAYERS_SANDWICH) normalise_rows(second, n, d, f, f);
    for (int i = 0; i < n * d; i++) now[i] += f[i];
    if (b->placement == LAYERS_POST) normalise_rows(norm, n, d, now, now);
  }
  memcpy(out, now, (size_t)n * (size_t)d * sizeof *out);
  free(now), free(in), free(f);
}

double layers_cross_entropy(int rows, int symbols, const double *logits, const int *target, const double *weight) {
  double loss = 0, weights = 0;
  for (int r = 0; r < rows; r++) {
    const double *z = logits + r * symbols;
    double most = z[0], sum = 0, w = weight ? weight[r] : 1;
    if (w == 0) continue;
    for (int i = 0; i < symbols; i++) most = fmax(most, z[i]);
    for (int i = 0; i < symbols; i++) sum += exp(z[i] - most);
    loss += w * (log(sum) + most - z[target[r]]);
    weights += w;
  }
  return weights > 0 ? loss / weights : 0;
}

double layers_slope(double (*f)(void *user), void *user, int n, double *x, const double *way, double h) {
  double *kept = numbers(n, 1), slope[2], f_at[2];
  memcpy(kept, x, (size_t)n * sizeof *x);
  for (int round = 0; round < 2; round++, h /= 2) {
    for (int side = 0; side < 2; side++) {
      for (int i = 0; i < n; i++) x[i] = kept[i] + (side ? h : -h) * way[i];
      f_at[side] = f(user);
    }
    slope[round] = (f_at[1] - f_at[0]) / (2 * h);
  }
  memcpy(x, kept, (size_t)n * sizeof *x);
  free(kept);
  return (4 * slope[1] - slope[0]) / 3;
}
