/* Inputs and outputs of a graph: batches of a feed, scalars, results. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "models/recipes/inside.h"

static bool find_port(const net *n, const char *graph, const char *name, sn_port *out) {
  for (int i = 0; sn_program_port(n->program, graph, i, out); i++)
    if (!strcmp(out->name, name)) return true;
  return false;
}

static int64_t product(const int64_t extent[8]) {
  int64_t n = 1;
  for (int k = 0; k < 8 && extent[k]; k++) n *= extent[k];
  return n;
}

/* "i32[B, T]" and [8, 64]: adds "B=8 T=64" */
static void add_sizes(batch *b, const char *type, const int64_t extent[8]) {
  const char *at = strchr(type, '[');
  for (int k = 0; at && *at && *at != ']' && k < 8; k++) {
    at += strspn(at, "[, ");
    size_t length = strcspn(at, ",]"), used = strlen(b->sizes);
    bool symbol = isalpha((unsigned char)*at) != 0;
    for (size_t i = 0; i < length; i++) symbol = symbol && (isalnum((unsigned char)at[i]) || at[i] == '_');
    if (symbol) snprintf(b->sizes + used, sizeof b->sizes - used, "%.*s=%lld ", (int)length, at, (long long)extent[k]);
    at += length;
  }
}

batch batch_make(net *n, const char *graph, const feed *f) {
  batch b = {.n = n, .graph = graph, .f = f, .io = SN_ARRAY(n->r->arena, BATCH_PORTS, sn_io)};
  for (int i = 0; i < FEED_PORTS && f->port[i].name; i++) {
    sn_io io = {.name = f->port[i].name};
    sn_port p;
    size_t elements = (size_t)product(f->port[i].extent);
    memcpy(io.extent, f->port[i].extent, sizeof io.extent);
    io.data = b.port[i] = recipe_alloc(n->r, elements * 4 + 64);
    if (!find_port(n, graph, io.name, &p)) continue;
    if (!strcmp(p.dtype, "f64")) io.data = b.wide[i] = recipe_alloc(n->r, elements * 8 + 64);
    add_sizes(&b, p.type, io.extent);
    b.io[b.count++] = io;
  }
  return b;
}

void batch_fill(batch *b, uint64_t seed, uint64_t index) {
  b->f->fill(b->f->data, seed, index, b->port);
  for (int i = 0; i < FEED_PORTS && b->f->port[i].name; i++)
    for (int64_t k = product(b->f->port[i].extent); b->wide[i] && k-- > 0;)
      b->wide[i][k] = (double)((const float *)b->port[i])[k];
}

void batch_scalar(batch *b, const char *name, double value) {
  sn_port p;
  if (b->count == BATCH_PORTS || !find_port(b->n, b->graph, name, &p) || p.is_output) return;
  void *data = recipe_alloc(b->n->r, 64);
  if (!strcmp(p.dtype, "f64"))
    *(double *)data = value;
  else if (!strcmp(p.dtype, "f32"))
    *(float *)data = (float)value;
  else
    *(int32_t *)data = (int32_t)value;
  b->io[b->count++] = (sn_io){.name = name, .data = data};
}

result batch_output(batch *b, const char *name) {
  sn_port p;
  result x = {0};
  recipe *r = b->n->r;
  if (r->code) return x;
  if (b->count == BATCH_PORTS || !find_port(b->n, b->graph, name, &p) || !p.is_output)
    return recipe_fail(r, "graph %s has no output %s", b->graph, name), x;
  x.dtype = !strcmp(p.dtype, "f64") ? 'd' : !strcmp(p.dtype, "f32") ? 'f' : !strcmp(p.dtype, "i32") ? 'i' : 0;
  if (!x.dtype) return recipe_fail(r, "output %s is %s, neither f32, f64 nor i32", name, p.dtype), x;
  if (!recipe_ok(r, sn_program_extents(b->n->program, b->graph, name, b->sizes, x.extent), name)) return x;
  x.count = product(x.extent);
  sn_io io = {.name = name, .data = x.data = recipe_alloc(r, (size_t)x.count * 8 + 64)};
  memcpy(io.extent, x.extent, sizeof io.extent);
  b->io[b->count++] = io;
  return x;
}

double result_at(const result *x, int64_t i) {
  if (x->dtype == 'd') return ((const double *)x->data)[i];
  return x->dtype == 'f' ? (double)((const float *)x->data)[i] : ((const int32_t *)x->data)[i];
}

void batch_run(batch *b) { net_run_io(b->n, b->graph, b->io, b->count); }

/* ---- derivatives ------------------------------------------------------------------------------------------------- */

bool slopes_make(net *n, const char *graph, const char *loss, const feed *f, slopes *out) {
  const char *name;
  int all = 0;
  if (!n || n->r->code) return false;
  while (sn_program_parameter(n->program, all)) all++;
  *out = (slopes){.b = batch_make(n, graph, f), .name = SN_ARRAY(n->r->arena, all + 1, const char *)};
  out->at = SN_ARRAY(n->r->arena, all + 1, result);
  out->loss = batch_output(&out->b, loss);
  for (int i = 0; (name = sn_program_parameter(n->program, i)) && !n->r->code; i++) {
    const char *output = sn_arena_printf(n->r->arena, "grad.%s", name);
    sn_port p;
    if (!find_port(n, graph, output, &p)) continue; /* the graph does not have the parameter */
    out->name[out->count] = name;
    out->at[out->count++] = batch_output(&out->b, output);
  }
  if (!out->count) recipe_fail(n->r, "graph %s has no derivatives of %s", graph, loss);
  return !n->r->code;
}

double slopes_run(slopes *s, uint64_t index) {
  recipe *r = s->b.n->r;
  batch_fill(&s->b, recipe_seed(r, 1), index);
  batch_run(&s->b);
  return r->code ? (double)NAN : result_at(&s->loss, 0);
}
