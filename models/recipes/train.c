/* Training and measuring on generated batches. */
#include <stdio.h>
#include <string.h>

#include "models/recipes/inside.h"

enum { MORE = 6 /* ports beside those of a feed */, FRESH = 1 << 30 /* batches from there on are for measuring */ };

typedef struct batch {
  int count;
  sn_io io[FEED_PORTS + MORE];
} batch;

static batch batch_make(recipe *r, const feed *f) {
  batch b = {0};
  for (; b.count < FEED_PORTS && f->port[b.count].name; b.count++) {
    sn_io *io = &b.io[b.count];
    size_t elements = 1;
    io->name = f->port[b.count].name;
    memcpy(io->extent, f->port[b.count].extent, sizeof io->extent);
    for (int k = 0; k < 8 && io->extent[k]; k++) elements *= (size_t)io->extent[k];
    io->data = recipe_alloc(r, elements * 4 + 64);
  }
  return b;
}

static void batch_fill(const feed *f, batch *b, uint64_t seed, uint64_t index) {
  void *port[FEED_PORTS] = {NULL};
  for (int i = 0; i < FEED_PORTS && f->port[i].name; i++) port[i] = b->io[i].data;
  f->fill(f->data, seed, index, port);
}

static bool has_input(const net *n, const char *graph, const char *name) {
  sn_port p;
  for (int i = 0; sn_program_port(n->program, graph, i, &p); i++)
    if (!p.is_output && !strcmp(p.name, name)) return true;
  return false;
}

static void batch_add(batch *b, const net *n, const char *graph, const char *name, void *data) {
  if (has_input(n, graph, name)) b->io[b->count++] = (sn_io){.name = name, .data = data};
}

double recipe_train(recipe *r, const training *t) {
  if (!t->n || r->code) return NAN;
  const char *graph = t->graph ? t->graph : "train", *label = t->label ? t->label : graph;
  float loss = 0, lr = (float)t->lr, least = lr / 10, decay = 0;
  int32_t warmup = t->steps / 20, steps = t->steps;
  batch b = batch_make(r, t->feed);
  batch_add(&b, t->n, graph, "lr", &lr);
  batch_add(&b, t->n, graph, "min_lr", &least);
  batch_add(&b, t->n, graph, "weight_decay", &decay); /* every batch is new: nothing to be learned by heart */
  batch_add(&b, t->n, graph, "warmup", &warmup);
  batch_add(&b, t->n, graph, "steps", &steps);
  b.io[b.count++] = (sn_io){.name = "loss", .data = &loss};
  double sum = 0, last = 0;
  int every = t->steps > 200 ? t->steps / 200 : 1, tail = t->steps / 10 ? t->steps / 10 : 1, seen = 0;
  for (int i = 0; i < t->steps && !r->code; i++) {
    batch_fill(t->feed, &b, recipe_seed(r, 1), (uint64_t)i);
    net_run_io(t->n, graph, b.io, b.count);
    sum += (double)loss;
    if (i >= t->steps - tail) last += (double)loss / tail;
    if (++seen == every) recipe_point(r, "loss", label, i + 1, sum / seen), sum = 0, seen = 0;
    if (r->opt->on_step) r->opt->on_step(r->opt->user, label, i + 1, t->steps, (double)loss);
  }
  return r->code ? (double)NAN : last;
}

double recipe_mean(net *n, const char *graph, const char *output, const feed *f, int batches, double *out_error) {
  if (!n || n->r->code) return NAN;
  float value = 0;
  double sum = 0, squares = 0;
  batch b = batch_make(n->r, f);
  b.io[b.count++] = (sn_io){.name = output, .data = &value};
  for (int i = 0; i < batches && !n->r->code; i++) {
    batch_fill(f, &b, recipe_seed(n->r, 1), (uint64_t)FRESH + (uint64_t)i);
    net_run_io(n, graph, b.io, b.count);
    sum += (double)value;
    squares += (double)value * (double)value;
  }
  double mean = sum / batches, variance = squares / batches - mean * mean;
  if (out_error) *out_error = sqrt((variance > 0 ? variance : 0) / (batches > 1 ? batches - 1 : 1));
  return n->r->code ? (double)NAN : mean;
}
