/* Builds the graphs of a model: its functions are run twice, first to learn which dims and initial values the model
 * declares, then to build with them known in an order that does not depend on how the C compiler orders calls.
 *
 *   1. settings are filled; the graphs asked for are built into a module that is thrown away
 *   2. dims are declared in order of name, initial values are known: the graphs are built again
 *   3. each graph is finished, bodies get names and an order that follow from the graphs, everything is checked */
#include "frontend/build.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/settings.h"
#include "frontend/trace.h"

typedef struct build_job {
  const sn_model *model;
  const sn_model_opt *opt;
  sn_arena *arena, *scratch;
  sn_diags *diags;
  void *settings;
  sn_module *out;
} build_job;

static bool wanted(const build_job *j, const sn_graph *g) {
  return !j->opt || !j->opt->graphs || sn_pattern_match(j->opt->graphs, g->name);
}

static sn_code check_graphs(build_job *j) {
  sn_text all = sn_text_begin(j->scratch);
  bool any = false;
  for (const sn_graph *g = j->model->graphs; g->name; g++) {
    sn_text_add(&all, "%s%s", all.count ? " " : "", g->name);
    any |= wanted(j, g);
  }
  if (any) return SN_OK;
  return sn_fail(j->diags, SN_ERR_USAGE, (sn_loc){0}, "model %s has no graph \"%s\"; it has: %s", j->model->name,
                 j->opt->graphs, all.at);
}

static sn_trace *begin_trace(const build_job *j, sn_arena *arena) {
  sn_trace *t = SN_NEW(arena, sn_trace);
  *t = (sn_trace){.arena = arena, .diags = j->diags, .module = sn_module_create(arena)};
  t->real = j->opt && j->opt->real ? j->opt->real : SN_ELEM_F32;
  t->trainable = j->opt ? j->opt->trainable : NULL;
  t->store = sn_map_create(arena);
  return t;
}

static int text_order(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* `trainable` left every parameter of a training graph out. */
static sn_code nothing_trains(sn_trace *t, const char *graph) {
  qsort(t->left_out_name, (size_t)t->left_out, sizeof *t->left_out_name, text_order);
  const char *near = sn_pattern_near(t->arena, t->trainable, t->left_out, t->left_out_name);
  sn_fail(t->diags, SN_ERR_USAGE, (sn_loc){0}, "graph %s: the pattern of trainable parameters selects none", graph);
  sn_fail_expected(t->diags, "\"%s\" to match a parameter that the model trains", t->trainable);
  sn_fail_found(t->diags, "%d names, the first \"%s\"%s%s%s", t->left_out, t->left_out_name[0],
                near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
  return SN_ERR_USAGE;
}

/* A graph without outputs and updates computes nothing: told at its newest line. */
static sn_code check_results(sn_trace *t, const sn_fn *fn, const char *graph) {
  const sn_func *f = fn->b.func;
  if (f->output_count || fn->update_count) return SN_OK;
  sn_loc loc = fn->loc;
  for (int i = f->node_count; i-- > 0 && !loc.line;)
    if (f->node[i]->origin.loc_count) loc = f->node[i]->origin.locs[0];
  (void)sn_fail(t->diags, SN_ERR_INPUT, loc, "graph %s computes nothing", graph);
  sn_fail_expected(t->diags, "an output, sn_output(m, \"name\", x), or a state that is updated");
  sn_fail_found(t->diags, "%d operations, no output", f->node_count);
  return SN_ERR_INPUT;
}

/* One graph: the user's function is run. */
static sn_code build_graph(sn_trace *t, const build_job *j, const sn_graph *g) {
  sn_here here = {.file = j->model->file, .text = g->name};
  sn_fn *fn = sn_fn_open(t, NULL, g->name, SN_FUNC_GRAPH, here);
  t->graph = t->inner = fn;
  t->left_out = 0;
  g->build(sn_root_scope(t, "", (sn_scope){0}), j->settings);
  fn->closed = true;
  if (t->mistakes) return SN_OK; /* told at the end, with those of other graphs */
  if (t->left_out && !fn->trains) return nothing_trains(t, g->name);
  SN_TRY(check_results(t, fn, g->name));
  for (int i = 0; i < fn->update_count; i++) sn_func_update(fn->b.func, fn->update[i].leaf, fn->update[i].next);
  sn_func_finish(fn->b.func);
  return SN_OK;
}

static sn_code build_all(sn_trace *t, const build_job *j) {
  int before = t->diags->count;
  for (const sn_graph *g = j->model->graphs; g->name; g++) {
    if (wanted(j, g)) SN_TRY(build_graph(t, j, g));
  }
  return t->mistakes || t->diags->count > before ? SN_ERR_INPUT : SN_OK;
}

/* ---- what the first build teaches the second ---------------------------------------------------------------- */

static int symbol_order(const void *a, const void *b) {
  return strcmp(((const struct sn_symbol_decl *)a)->name, ((const struct sn_symbol_decl *)b)->name);
}

static void teach(sn_trace *to, const sn_trace *from) {
  if (from->symbol_count) qsort(from->symbol, (size_t)from->symbol_count, sizeof *from->symbol, symbol_order);
  for (int i = 0; i < from->symbol_count; i++) {
    const struct sn_symbol_decl *s = &from->symbol[i];
    bool conflict;
    sn_dimx_symbol(to->module->types, s->name, s->min, s->max, s->multiple, &conflict);
  }
  sn_map *inits = sn_map_create(to->arena);
  for (int i = 0; i < sn_map_count(from->store); i++) {
    const char *name;
    const sn_leaf_decl *d = sn_map_at(from->store, i, &name);
    sn_map_put_str(inits, name, sn_arena_copy(to->arena, &d->init, sizeof d->init));
  }
  to->inits = inits;
}

static sn_code check_module(const sn_module *m, sn_diags *diags) {
  for (int i = 0; i < m->func_count; i++) {
    SN_TRY(sn_func_verify(m->func[i], diags));
    SN_TRY(sn_ops_check(m->func[i], diags));
  }
  return SN_OK;
}

static int run_build(void *arg) {
  build_job *j = arg;
  SN_TRY(sn_settings_fill(j->model, j->opt, j->arena, j->diags, &j->settings));
  SN_TRY(check_graphs(j));
  sn_trace *first = begin_trace(j, j->scratch);
  SN_TRY(build_all(first, j));
  sn_trace *second = begin_trace(j, j->arena);
  teach(second, first);
  SN_TRY(build_all(second, j));
  sn_module_tidy(second);
  SN_TRY(check_module(second->module, j->diags));
  j->out = second->module;
  return SN_OK;
}

sn_code sn_model_build(const sn_model *model, const sn_model_opt *opt, sn_arena *arena, sn_diags *diags,
                       sn_module **out) {
  build_job j = {.model = model, .opt = opt, .arena = arena, .diags = diags, .scratch = sn_arena_scratch()};
  if (!j.scratch) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  sn_code code = (sn_code)sn_protect(run_build, &j);
  sn_arena_destroy(j.scratch);
  if (code) return code;
  *out = j.out;
  return SN_OK;
}
