/* Losses beside the best ones. */
#include <stdio.h>

#include "models/recipes/inside.h"

/* -log p of class `answer` */
static double loss_of(const result *x, int64_t row, int64_t classes, int32_t answer) {
  double most = -INFINITY, sum = 0;
  for (int64_t v = 0; v < classes; v++) most = fmax(most, result_at(x, row * classes + v));
  for (int64_t v = 0; v < classes; v++) sum += exp(result_at(x, row * classes + v) - most);
  return most + log(sum) - result_at(x, row * classes + answer);
}

/* Sums over rows of batches: of differences, of counted tokens, and of their squares and products. */
typedef struct sums {
  double model, best, d, n, dd, dn, nn;
  int64_t rows;
} sums;

static void add_row(sums *s, double d, double n) {
  s->d += d, s->n += n;
  s->dd += d * d, s->dn += d * n, s->nn += n * n;
  s->rows++;
}

/* Standard error of a ratio of sums over rows. */
static double error_of(const sums *s) {
  double mean = s->d / s->n, squares = s->dd - 2 * mean * s->dn + mean * mean * s->nn;
  return s->rows > 1 ? sqrt(fmax(squares, 0) * (double)s->rows / (double)(s->rows - 1)) / s->n : INFINITY;
}

/* One batch: `rows` rows of answers. */
static bool add_batch(recipe *r, sums *s, const result *x, const int32_t *answer, const double *best, int64_t count,
                      int64_t rows) {
  int64_t classes = x->count / count, length = count / rows;
  for (int64_t i = 0; i < rows; i++) {
    double d = 0, n = 0;
    for (int64_t k = i * length; k < (i + 1) * length; k++) {
      if (answer[k] < 0) continue;
      if (answer[k] >= classes)
        return recipe_fail(r, "answer %d of %lld classes", answer[k], (long long)classes), false;
      double loss = loss_of(x, k, classes, answer[k]);
      s->model += loss, s->best += best[k];
      d += loss - best[k], n++;
    }
    add_row(s, d, n);
  }
  return true;
}

excess recipe_excess(recipe *r, const against *a) {
  const excess none = {NAN, NAN, NAN, NAN, 0};
  enum { FRESH = 1 << 30 };
  sums s = {0};
  int64_t count = 1, rows, least = a->tokens ? a->tokens : 20000;
  if (!a->n || r->code) return none;
  const int64_t *extent = a->feed->port[a->targets].extent;
  for (int k = 0; k < 8 && extent[k]; k++) count *= extent[k];
  rows = extent[0] > 0 ? extent[0] : 1;
  batch b = batch_make(a->n, a->graph ? a->graph : "logits", a->feed);
  result x = batch_output(&b, a->output ? a->output : "logits");
  if (!r->code && x.count % count) recipe_fail(r, "%lld logits for %lld answers", (long long)x.count, (long long)count);
  double *best = recipe_alloc(r, sizeof(double) * (size_t)count);
  uint64_t seed = recipe_seed(r, 1);
  for (uint64_t i = FRESH; s.n < (double)least && !r->code; i++) {
    batch_fill(&b, seed, i);
    a->best(a->feed->data, seed, i, best);
    batch_run(&b);
    if (!r->code && !add_batch(r, &s, &x, b.port[a->targets], best, count, rows)) break;
    if (i - FRESH == 1000 && !s.n) recipe_fail(r, "no batch has an answer that counts");
  }
  if (r->code) return none;
  return (excess){s.model / s.n, s.best / s.n, s.d / s.n, error_of(&s), (int64_t)s.n};
}

void recipe_no_leak(recipe *r, recipe_kind kind, const char *what, const excess *e) {
  recipe_at_least(r, kind, what, e->mean / e->error, -3);
}
