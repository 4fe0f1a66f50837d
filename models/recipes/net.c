/* Networks of a recipe: programs, stores, parameters. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "models/recipes/inside.h"

static net *add_store(net *n, uint64_t seed) {
  return recipe_ok(n->r, sn_store_create_for(n->program, seed, "B=64", &n->store), "making weights") ? n : NULL;
}

net *recipe_net(recipe *r, const sn_model *model, const char *graphs, const char *settings, ...) {
  char set[512];
  va_list args;
  va_start(args, settings);
  vsnprintf(set, sizeof set, settings, args);
  va_end(args);
  if (r->code) return NULL;
  net *n = SN_NEW(r->arena, net);
  *n = (net){.r = r};
  sn_compile_opt o = {.graphs = graphs, .set = set, .target = r->opt->target};
  if (!recipe_ok(r, sn_compile(r->ctx, model, &o, &n->program), "compiling")) return NULL;
  return add_store(n, recipe_seed(r, 0));
}

net *net_again(net *n, uint64_t seed) {
  if (!n || n->r->code) return NULL;
  net *m = SN_NEW(n->r->arena, net);
  *m = (net){.r = n->r, .program = n->program};
  return add_store(m, seed);
}

void net_run_io(net *n, const char *graph, const sn_io *io, int count) {
  if (!n || n->r->code) return;
  recipe_ok(n->r, SN_API(run)(n->program, graph, n->store, io, count, sizeof *io), graph);
}

/* ---- parameters -----------------------------------------------------------------------------------------------------
 */

static bool view(net *n, const char *name, sn_tensor_view *out) {
  return recipe_ok(n->r, sn_store_tensor(n->store, name, out), "reading weights");
}

float *net_values(net *n, const char *parameter, int64_t *out_count) {
  sn_tensor_view v;
  if (!n || !view(n, parameter, &v)) return NULL;
  if (strcmp(v.dtype, "f32")) return recipe_fail(n->r, "%s is not f32", parameter), NULL;
  if (out_count) *out_count = (int64_t)(v.bytes / sizeof(float));
  return v.data;
}

void net_changed(net *n) {
  if (n && !n->r->code) sn_store_changed(n->store);
}

/* The next parameter from *i on whose name matches. -> NULL: there is none */
static const char *next(net *n, const char *pattern, int *i) {
  const char *name;
  while ((name = sn_program_parameter(n->program, (*i)++)))
    if (sn_pattern_match(pattern, name)) return name;
  return NULL;
}

static const char *find(const net *n, const char *name) {
  const char *at;
  for (int i = 0; (at = sn_program_parameter(n->program, i)); i++)
    if (!strcmp(at, name)) return at;
  return NULL;
}

int net_copy(net *to, net *from, const char *pattern) {
  int copied = 0;
  const char *name;
  if (!to || !from || to->r->code) return 0;
  for (int i = 0; (name = next(to, pattern, &i));) {
    sn_tensor_view a, b;
    if (!find(from, name) || !view(from, name, &a) || !view(to, name, &b)) continue;
    if (a.bytes != b.bytes || memcmp(a.extent, b.extent, sizeof(int64_t) * (size_t)a.rank)) continue;
    memcpy(b.data, a.data, a.bytes);
    copied++;
  }
  net_changed(to);
  return copied;
}

uint64_t net_hash(net *n, const char *pattern) {
  uint64_t hash = 0;
  const char *name;
  if (!n || n->r->code) return 0;
  for (int i = 0; (name = next(n, pattern, &i));) {
    sn_tensor_view v;
    if (!view(n, name, &v)) return 0;
    hash = sn_hash_bytes(v.data, v.bytes, hash);
  }
  return hash;
}

int64_t net_parameters(net *n, const char *pattern) {
  int64_t count = 0;
  const char *name;
  if (!n || n->r->code) return 0;
  for (int i = 0; (name = next(n, pattern, &i));) {
    sn_tensor_view v;
    if (!view(n, name, &v)) return 0;
    int64_t elements = 1;
    for (int k = 0; k < v.rank; k++) elements *= v.extent[k];
    count += elements;
  }
  return count;
}
