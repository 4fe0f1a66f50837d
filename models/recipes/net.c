/* Networks of a recipe: programs, stores, parameters. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "models/recipes/inside.h"

/* Does a port of a graph have the size B? */
static bool has_rows(const net *n) {
  sn_port p;
  const char *graph;
  for (int g = 0; (graph = sn_program_graph(n->program, g)); g++)
    for (int i = 0; sn_program_port(n->program, graph, i, &p); i++)
      for (const char *at = p.type; (at = strchr(at, 'B')); at++)
        if (strchr("[ *", at[-1]) && strchr("],*", at[1])) return true;
  return false;
}

static net *add_store(net *n, uint64_t seed) {
  const char *sizes = has_rows(n) ? "B=64" : ""; /* room in caches */
  return recipe_ok(n->r, sn_store_create_for(n->program, seed, sizes, &n->store), "making weights") ? n : NULL;
}

static net *compiled(net n, sn_compile_opt o) {
  net *out = SN_NEW(n.r->arena, net);
  *out = n;
  if (!o.graphs) o.graphs = n.graphs;
  if (!o.set) o.set = n.settings;
  if (!o.target) o.target = n.r->opt->target;
  return recipe_ok(n.r, sn_compile(n.r->ctx, n.model, &o, &out->program), "compiling") ? out : NULL;
}

net *recipe_net(recipe *r, const sn_model *model, const char *graphs, const char *settings, ...) {
  char set[512];
  va_list args;
  va_start(args, settings);
  vsnprintf(set, sizeof set, settings, args);
  va_end(args);
  if (r->code) return NULL;
  net *n = compiled((net){r, model, graphs, sn_arena_strdup(r->arena, set), NULL, NULL}, (sn_compile_opt){0});
  return n ? add_store(n, recipe_seed(r, 0)) : NULL;
}

int64_t recipe_parameters(recipe *r, const sn_model *model, const char *graphs, const char *settings) {
  sn_program *p;
  sn_compile_opt o = {.graphs = graphs, .set = settings, .target = "ref"};
  if (r->code || !recipe_ok(r, sn_compile(r->ctx, model, &o, &p), "counting parameters")) return 0;
  int64_t count = sn_program_parameter_count(p);
  sn_program_destroy(p);
  return count;
}

net *recipe_net_as(recipe *r, const sn_model *model, sn_compile_opt o) {
  if (r->code) return NULL;
  net *n = compiled((net){r, model, o.graphs, o.set, NULL, NULL}, o);
  return n ? add_store(n, recipe_seed(r, 0)) : NULL;
}

net *net_again(net *n, uint64_t seed) {
  if (!n || n->r->code) return NULL;
  net *m = SN_NEW(n->r->arena, net);
  *m = *n;
  return add_store(m, seed);
}

void net_end(net *n) {
  if (!n) return;
  sn_program_destroy(n->program); /* and its stores */
  n->program = NULL, n->store = NULL;
}

void net_run_io(net *n, const char *graph, const sn_io *io, int count) {
  if (!n || n->r->code) return;
  recipe_ok(n->r, SN_API(run)(n->program, graph, n->store, io, count, sizeof *io), graph);
}

/* ---- parameters -------------------------------------------------------------------------------------------------- */

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

static double value_at(const sn_tensor_view *v, int64_t i) {
  return v->dtype[1] == '6' ? ((const double *)v->data)[i] : (double)((const float *)v->data)[i];
}

static void set_at(const sn_tensor_view *v, int64_t i, double x) {
  if (v->dtype[1] == '6')
    ((double *)v->data)[i] = x;
  else
    ((float *)v->data)[i] = (float)x;
}

static bool is_real(const sn_tensor_view *v) { return !strcmp(v->dtype, "f32") || !strcmp(v->dtype, "f64"); }

static int64_t elements(const sn_tensor_view *v) {
  int64_t n = 1;
  for (int k = 0; k < v->rank; k++) n *= v->extent[k];
  return n;
}

static const char *type_of(recipe *r, const sn_tensor_view *v) {
  sn_text t = sn_text_begin(r->arena);
  sn_text_add(&t, "%s[", v->dtype);
  for (int k = 0; k < v->rank; k++) sn_text_add(&t, "%s%lld", k ? ", " : "", (long long)v->extent[k]);
  sn_text_char(&t, ']');
  return t.at;
}

static void misfit(recipe *r, const char *name, const sn_tensor_view *want, const sn_tensor_view *have) {
  r->code = sn_fail(r->diags, SN_ERR_INPUT, (sn_loc){0}, "copying weights: parameter %s does not fit", name);
  sn_fail_expected(r->diags, "%s", type_of(r, want));
  sn_fail_found(r->diags, "%s", type_of(r, have));
}

/* -> whether they have one shape and can be copied */
static bool copy_values(const sn_tensor_view *from, const sn_tensor_view *to) {
  if (from->rank != to->rank || memcmp(from->extent, to->extent, sizeof(int64_t) * (size_t)from->rank)) return false;
  if (!strcmp(from->dtype, to->dtype))
    memcpy(to->data, from->data, from->bytes);
  else if (is_real(from) && is_real(to))
    for (int64_t i = elements(to); i-- > 0;) set_at(to, i, value_at(from, i));
  else
    return false;
  return true;
}

static int copy_nothing(recipe *r, const char *format, const char *name) {
  const char *why = sn_arena_printf(r->arena, format, name);
  r->code = sn_fail(r->diags, SN_ERR_INPUT, (sn_loc){0}, "copying weights: %s", why);
  return 0;
}

/* all: those that `from` does not have are an error; else they stay as they are */
static int copy(net *to, net *from, const char *pattern, bool all) {
  int copied = 0;
  const char *name;
  if (!to || !from || to->r->code) return 0;
  for (int i = 0; (name = next(to, pattern, &i));) {
    sn_tensor_view a, b;
    if (!find(from, name) && !all) continue;
    if (!find(from, name)) return copy_nothing(to->r, "the other net has no parameter %s", name);
    if (!view(from, name, &a) || !view(to, name, &b)) return 0;
    if (!copy_values(&a, &b)) return misfit(to->r, name, &b, &a), 0;
    copied++;
  }
  net_changed(to);
  return copied;
}

int net_copy(net *to, net *from, const char *pattern) {
  int copied = copy(to, from, pattern, true);
  return copied || !to || to->r->code ? copied : copy_nothing(to->r, "no parameter matches %s", pattern);
}

net *net_as(net *n, const sn_compile_opt *o) {
  if (!n || n->r->code) return NULL;
  net *m = compiled(*n, *o);
  if (!m || !add_store(m, 0)) return NULL;
  copy(m, n, "*", false);
  return m->r->code ? NULL : m;
}

net *net_exact(net *n, const char *grad) {
  return net_as(n, &(sn_compile_opt){.target = "ref", .real = "f64", .grad = grad});
}
net *net_gradients(net *n, const char *grad) { return net_as(n, &(sn_compile_opt){.grad = grad}); }
net *net_trainable(net *n, const char *pattern) { return net_as(n, &(sn_compile_opt){.trainable = pattern}); }

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

const char *net_parameter(const net *n, int i) { return n && !n->r->code ? sn_program_parameter(n->program, i) : NULL; }

int64_t net_parameters(net *n, const char *pattern) {
  int64_t count = 0;
  const char *name;
  if (!n || n->r->code) return 0;
  for (int i = 0; (name = next(n, pattern, &i));) {
    sn_tensor_view v;
    if (!view(n, name, &v)) return 0;
    count += elements(&v);
  }
  return count;
}
