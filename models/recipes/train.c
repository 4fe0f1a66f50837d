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

/* Numbers in tensors with other bits than before. hash: of each parameter; counted and set */
static int64_t count_changed(net *n, uint64_t *hash) {
  int64_t changed = 0;
  const char *name;
  for (int i = 0; (name = sn_program_parameter(n->program, i)) && !n->r->code; i++) {
    uint64_t now = net_hash(n, name);
    if (now != hash[i]) changed += net_parameters(n, name);
    hash[i] = now;
  }
  return changed;
}

static int parameter_count(const net *n) {
  int count = 0;
  while (sn_program_parameter(n->program, count)) count++;
  return count;
}

/* "tokens[16, 64]" */
static const char *shape_of(recipe *r, const feed *f) {
  sn_text t = sn_text_begin(r->arena);
  sn_text_add(&t, "%s[", f->port[0].name);
  for (int k = 0; k < 8 && f->port[0].extent[k]; k++)
    sn_text_add(&t, "%s%lld", k ? ", " : "", (long long)f->port[0].extent[k]);
  sn_text_char(&t, ']');
  return t.at;
}

static void note(const training *t, const char *graph, const char *label, uint64_t *hash, double loss, double seconds) {
  recipe *r = t->n->r;
  recipe_trained x = {.label = sn_arena_strdup(r->arena, label),
                      .model = t->n->model->name,
                      .graph = graph,
                      .parameters = net_parameters(t->n, "*"),
                      .changed = count_changed(t->n, hash),
                      .steps = t->steps,
                      .batch = shape_of(r, t->feed),
                      .rate = t->lr,
                      .loss = loss,
                      .seconds = seconds};
  if (!r->code) recipe_note_trained(r, x);
}

double recipe_train(recipe *r, const training *t) {
  if (!t->n || r->code) return NAN;
  const char *graph = t->graph ? t->graph : "train", *label = t->label ? t->label : graph;
  batch b = training_batch(t, graph);
  result loss = batch_output(&b, "loss");
  uint64_t *hash = SN_ARRAY(r->arena, parameter_count(t->n) + 1, uint64_t);
  double sum = 0, last = 0, start = recipe_clock();
  count_changed(t->n, hash);
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
  if (!r->code) note(t, graph, label, hash, last, recipe_clock() - start);
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
