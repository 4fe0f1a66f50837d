/* graph -> graph: chooses the form of each recurrence, before it is differentiated. In this order, the first that
 * applies:
 *
 *   decode       one step: it is the step itself
 *   chunked      the state is a matrix, S <- S (diag(w) + a b') + v k', and not so small that a walk is predicted to be
 *                faster: products over chunks of steps
 *   associative  the step is affine, element by element: chunks of steps side by side
 *   sequential   any step at all, one after the other
 *
 * Before all that steps of single numbers become steps of rows (scan_wide.c).
 *
 * Scans in regions stay sequential: an instance walks them. What was
 * chosen, and the term that stopped the forms before it, stands in the plan's report.
 * Terminates: what a form makes holds no scan but its own, which are left alone. */
#include <string.h>

#include "passes/graph/scan_form.h"

typedef struct former {
  sn_map *own;
} former;

/* ---- the report ------------------------------------------------------------------------------------------------- */

static const char *line_text(sn_arena *arena, const sn_node *n) {
  const sn_loc *l = n->origin.loc_count ? n->origin.locs : NULL;
  return l && l->file ? sn_arena_printf(arena, "%s:%d", l->file, l->line) : NULL;
}

const char *sn_scan_at_line(sn_arena *arena, const sn_node *n) {
  const char *line = line_text(arena, n);
  return sn_arena_printf(arena, "`%s`%s%s", sn_op_get(n->op)->name, line ? " at " : "", line ? line : "");
}

static void report(const sn_scan_try *t, const char *text) {
  sn_arena *arena = t->env->arena;
  const char *line = line_text(arena, t->node);
  sn_pass_form(t->env, t->b->func->name, sn_arena_printf(arena, "scan%s%s", line ? " at " : "", line ? line : ""),
               text);
}

/* ---- the choice ------------------------------------------------------------------------------------------------- */

int64_t sn_scan_instances(const sn_scan_try *t, const sn_scan_layout *l) {
  const sn_type *x = sn_g_type(t->b, t->arg[l->states]);
  int64_t n = 1;
  for (int i = 0; i < l->lead; i++)
    if (i != l->time && sn_dimx_min_value(x->dim[i]) > 1) n *= sn_dimx_min_value(x->dim[i]);
  return n;
}

bool sn_scan_is_derived(const sn_build *b) {
  const sn_func *f = sn_module_find(b->func->module, b->func->name);
  for (int i = 0; f && i < f->node_count; i++)
    if (f->node[i]->op == SN_OP_GRAD) return true;
  return false;
}

static bool is_one_step(const sn_node *n, const sn_build *b, const sn_val *arg) {
  sn_scan_layout l = sn_scan_layout_of(n);
  return sn_dimx_is_one(sn_g_type(b, arg[l.states])->dim[l.time]);
}

/* Forms follow the values of a step by recursion; a step this long keeps every core busy by itself. */
enum { MOST_OPS = 4096 };

static const char *too_long(const sn_scan_try *t) {
  bool is = sn_scan_layout_of(t->node).step->node_count > MOST_OPS;
  return is ? sn_arena_printf(t->env->arena, "the step has more than %d ops", MOST_OPS) : NULL;
}

static bool try_form(sn_scan_try *t, sn_scan_form form, const char *rule, const char **why) {
  sn_scan_form wanted = t->env->scan;
  bool chunked = form == SN_SCAN_CHUNKED;
  if (wanted != SN_SCAN_AUTO && wanted != form) return false;
  if (sn_rule_listed(t->env->disabled, rule)) return false;
  if ((*why = too_long(t))) return false;
  *why = chunked ? sn_scan_chunked(t) : sn_scan_associative(t);
  if (*why || t->b->failed) return t->b->failed;
  (void)sn_rule_enabled(t->env, rule);
  report(t, sn_arena_printf(t->env->arena, "%s: %s", chunked ? "chunked" : "associative", t->done));
  return true;
}

static bool form_node(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  former *f = r->data;
  if (n->op != SN_OP_SCAN || b->func->kind != SN_FUNC_GRAPH) return false;
  if (sn_map_get(f->own, (uint64_t)(uintptr_t)sn_scan_layout_of(n).step)) return false;
  if (!sn_rule_listed(r->env->disabled, "scan.rows") && sn_scan_widen(b, n, arg, out))
    return sn_rule_enabled(r->env, "scan.rows");
  sn_arena *arena = r->env->arena;
  sn_scan_try t = {
      .env = r->env, .b = b, .node = n, .arg = arg, .out = out, .own = f->own, .chunk = r->env->scan_chunk};
  const char *chunked = NULL, *associative = NULL;
  if (r->env->scan == SN_SCAN_AUTO && is_one_step(n, b, arg)) {
    report(&t, "decode: one step");
    return false;
  }
  if (try_form(&t, SN_SCAN_CHUNKED, "scan.chunked", &chunked)) return true;
  if (try_form(&t, SN_SCAN_ASSOCIATIVE, "scan.associative", &associative)) return true;
  sn_text why = sn_text_begin(arena);
  sn_text_add(&why, "sequential%s", chunked || associative ? ": " : "");
  if (chunked) sn_text_add(&why, "not chunked, %s", chunked);
  if (associative) sn_text_add(&why, "%snot associative, %s", chunked ? "; " : "", associative);
  report(&t, why.at);
  return false;
}

sn_code sn_pass_scan(sn_module *m, sn_pass_env *env) {
  former f = {.own = sn_map_create(env->arena)};
  sn_rewriter r = {.env = env, .pass = "scan", .node = form_node, .data = &f};
  env->rule_hits = 0;
  return sn_rewrite_module(m, &r);
}
