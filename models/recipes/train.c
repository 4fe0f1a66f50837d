/* Training and measuring on generated batches. */
#include <stdio.h>
#include <string.h>

#include "models/recipes/inside.h"

enum { FRESH = 1 << 30 /* batches from there on are for measuring */ };

static batch training_batch(const training *t, const char *graph) {
  batch b = batch_make(t->n, graph, t->feed);
  batch_scalar(&b, "lr", t->lr);
  batch_scalar(&b, "min_lr", t->lr / 10);
  batch_scalar(&b, "weight_decay", 0); /* every batch is new: nothing to be learned by heart */
  batch_scalar(&b, "warmup", t->steps / 20);
  batch_scalar(&b, "steps", t->steps);
  return b;
}

double recipe_train(recipe *r, const training *t) {
  if (!t->n || r->code) return NAN;
  const char *graph = t->graph ? t->graph : "train", *label = t->label ? t->label : graph;
  batch b = training_batch(t, graph);
  result loss = batch_output(&b, "loss");
  double sum = 0, last = 0;
  int every = t->steps > 200 ? t->steps / 200 : 1, tail = t->steps / 10 ? t->steps / 10 : 1, seen = 0;
  for (int i = 0; i < t->steps && !r->code; i++) {
    batch_fill(&b, recipe_seed(r, 1), (uint64_t)i);
    batch_run(&b);
    if (r->code) break;
    double now = result_at(&loss, 0);
    sum += now;
    if (i >= t->steps - tail) last += now / tail;
    if (++seen == every) recipe_point(r, "loss", label, i + 1, sum / seen), sum = 0, seen = 0;
    if (r->opt->on_step) r->opt->on_step(r->opt->user, label, i + 1, t->steps, now);
  }
  return r->code ? (double)NAN : last;
}

double recipe_mean(net *n, const char *graph, const char *output, const feed *f, int batches, double *out_error) {
  if (!n || n->r->code) return NAN;
  double sum = 0, squares = 0;
  batch b = batch_make(n, graph, f);
  result x = batch_output(&b, output);
  for (int i = 0; i < batches && !n->r->code; i++) {
    batch_fill(&b, recipe_seed(n->r, 1), (uint64_t)FRESH + (uint64_t)i);
    batch_run(&b);
    double value = n->r->code ? (double)NAN : result_at(&x, 0);
    sum += value;
    squares += value * value;
  }
  double mean = sum / batches, variance = squares / batches - mean * mean;
  if (out_error) *out_error = sqrt((variance > 0 ? variance : 0) / (batches > 1 ? batches - 1 : 1));
  return n->r->code ? (double)NAN : mean;
}
