/* graph -> graph: each grad becomes the nodes of its derivatives (reverse mode, ir/ops/derive.c). Functions are flat
 * here.
 *
 * Inner grads come first, by order of nodes, so that an outer one differentiates what the inner one left. On paths from
 * what is differentiated by to a loss, ops without a gradient rule of their own are replaced by their expansions:
 *   - EXPAND ops whose rule says "through the expansion"
 *   - attention when the gradient of a captured tensor is no sum that attention_grad makes, when its gradient is
 *     differentiated again, or when it has no kernel
 * Scans on such paths are made to store their states, those before each step, or, where that is a lot, those before
 * each piece of the steps (scan_pieces.c).
 *
 * Equal nodes are one node, and what expansions and gradient rules make may equal what the user wrote: a constant, say.
 * So first of all the values that are differentiated by are set apart from anything that is made later, by a reshape to
 * the shape that they have (sn_g_reshape never makes one).
 *
 * Terminates: a sweep leaves no grad, and rules of gradients add none; what is set apart is not set apart again. */
#include "passes/graph/rewrite.h"
#include "passes/graph/scan_pieces.h"

/* ---- values that are differentiated by ---- */

static void begin_apart(sn_rewriter *r, const sn_func *f) {
  bool *wrt = SN_ARRAY(r->env->arena, f->value_count, bool);
  for (int i = 0; i < f->node_count; i++)
    for (int k = 1; f->node[i]->op == SN_OP_GRAD && k < f->node[i]->arg_count; k++) wrt[f->node[i]->arg[k]] = true;
  r->data = wrt;
}

/* Leaves with names equal nothing else. */
static bool is_apart(const sn_build *b, const sn_node *n, const sn_val *arg) {
  return sn_leaf_name(n) || n->op == SN_OP_ARG || (n->op == SN_OP_RESHAPE && sn_g_type(b, arg[0]) == n->type[0]);
}

static bool set_apart(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  const bool *wrt = r->data;
  bool any = false;
  for (int i = 0; i < n->result_count; i++) any |= wrt[n->first + (sn_val)i];
  if (!any || is_apart(b, n, arg) || !sn_rule_enabled(r->env, "grad.apart")) return false;
  sn_val first = sn_func_copy_node(b->func, n, arg);
  for (int i = 0; i < n->result_count; i++) {
    const sn_type *t = n->type[i];
    const sn_attr at = {.set = true, .dims = t->dim, .count = t->rank};
    sn_val v = first + (sn_val)i;
    out[i] = wrt[n->first + (sn_val)i] ? sn_emit(b, SN_OP_RESHAPE, 1, &v, &at, NULL) : v;
  }
  return true;
}

/* ---- paths ---- */

/* Facts of the function in the sweep, by value id. */
typedef struct paths {
  const sn_func *f;
  bool *depends; /* on what some grad differentiates by, through floats */
  bool *reaches; /* some loss */
  bool *again;   /* some loss whose gradient reaches a loss */
} paths;

static bool carries(const paths *p, sn_val v) { return p->depends[v] && sn_elem_is_float(sn_val_type(p->f, v)->elem); }

static void mark_depends(paths *p) {
  const sn_func *f = p->f;
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    for (int k = 1; n->op == SN_OP_GRAD && k < n->arg_count; k++) p->depends[n->arg[k]] = true;
  }
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    bool any = false;
    for (int k = 0; k < n->arg_count && !any; k++) any = carries(p, n->arg[k]);
    if (!any || !sn_op_passes_gradient(n->op)) continue;
    for (int k = 0; k < n->result_count; k++) p->depends[n->first + (sn_val)k] = true;
  }
}

static bool any_result(const sn_node *n, const bool *mark) {
  for (int k = 0; k < n->result_count; k++)
    if (mark[n->first + (sn_val)k]) return true;
  return false;
}

/* Backwards from the losses: of all grads, or of those whose results reach a loss. */
static void mark_reaches(const paths *p, bool *mark, bool nested) {
  const sn_func *f = p->f;
  for (int i = f->node_count; i-- > 0;) {
    const sn_node *n = f->node[i];
    bool on = any_result(n, mark);
    if (n->op == SN_OP_GRAD && (!nested || any_result(n, p->reaches))) mark[n->arg[0]] = true;
    for (int k = 0; on && k < n->arg_count; k++) mark[n->arg[k]] = true;
  }
}

static void begin_func(sn_rewriter *r, const sn_func *f) {
  paths *p = r->data;
  sn_arena *arena = r->env->arena;
  *p = (paths){.f = f};
  p->depends = SN_ARRAY(arena, f->value_count, bool);
  p->reaches = SN_ARRAY(arena, f->value_count, bool);
  p->again = SN_ARRAY(arena, f->value_count, bool);
  mark_depends(p);
  mark_reaches(p, p->reaches, false);
  mark_reaches(p, p->again, true);
}

static bool on_path(const paths *p, sn_val v) { return p->reaches[v] && p->depends[v]; }

/* Why attention is expanded, which takes memory of queries times keys; NULL: it is not. */
static const char *attention_expands(const paths *p, const sn_pass_env *env, const sn_node *n) {
  if (!on_path(p, n->first) && !on_path(p, n->first + 1)) return NULL;
  if (!sn_attention_has_kernel(env, sn_val_type(p->f, n->arg[0]), sn_val_type(p->f, n->arg[2])))
    return "products and softmax: there is no kernel for its types or sizes";
  bool *need = SN_ARRAY(env->arena, n->arg_count, bool);
  for (int i = 0; i < n->arg_count; i++) need[i] = carries(p, n->arg[i]);
  const char *why = sn_attention_no_sums(n, need, p->f->module->types);
  if (why) return sn_arena_printf(env->arena, "products and softmax: %s", why);
  bool again = p->again[n->first] || p->again[n->first + 1];
  return again ? "products and softmax: its gradient is differentiated again" : NULL;
}

static bool scan_is_stored(const paths *p, const sn_node *n) {
  bool on = false;
  for (int k = 0; k < n->result_count; k++) on |= on_path(p, n->first + (sn_val)k);
  return on && !sn_scan_stores_states(n);
}

/* Where the states of all steps are large, those before pieces of the steps are stored, and the others made again. */
static bool in_pieces(sn_pass_env *env, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  sn_scan_make s = sn_scan_make_of(n, arg);
  int piece = sn_scan_pieces_wanted(b, &s, env->scan == SN_SCAN_SEQUENTIAL ? env->scan_chunk : 0);
  for (int i = 0; i < s.step->node_count; i++)
    if (s.step->node[i]->op == SN_OP_SCAN) return false; /* in pieces already, maybe */
  s.stored = true;
  if (!piece || !sn_rule_enabled(env, "grad.pieces") || !sn_scan_in_pieces(b, &s, piece, out)) return false;
  sn_pass_form_at(
      env, b->func->name, n,
      sn_arena_printf(env->arena, "for gradients one state of %d steps is kept, the others are made again", piece));
  return true;
}

static bool derive(sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  int count = n->arg_count - 1;
  sn_val one = sn_g_const_like(b, arg[0], 1);
  if (b->failed || sn_derive(b, 1, arg, &one, count, arg + 1, out)) return true;
  for (int i = 0; i < count; i++)
    if (!out[i]) out[i] = sn_g_const_like(b, arg[i + 1], 0);
  return true;
}

static bool grad_node(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  const paths *p = r->data;
  if (n->op == SN_OP_GRAD) return sn_rule_enabled(r->env, "grad.derive") && derive(b, n, arg, out);
  const char *why = n->op == SN_OP_ATTENTION ? attention_expands(p, r->env, n) : NULL;
  if (why && sn_rule_enabled(r->env, "grad.attention")) {
    sn_pass_form_at(r->env, b->func->name, n, why);
    out[0] = sn_attention_expand_lse(b, n, arg, &out[1]);
    return true;
  }
  if (n->op == SN_OP_SCAN && scan_is_stored(p, n) && in_pieces(r->env, b, n, arg, out)) return true;
  if (n->op == SN_OP_SCAN && scan_is_stored(p, n) && sn_rule_enabled(r->env, "grad.scan")) {
    sn_val v = sn_scan_store_states(b, n, arg);
    for (int k = 0; k < n->result_count; k++) out[k] = v + (sn_val)k;
    return true;
  }
  if (sn_op_get(n->op)->cls != SN_CLASS_EXPAND || sn_op_rules_of(n->op)->grad || !on_path(p, n->first)) return false;
  if (!sn_rule_enabled(r->env, "grad.expand")) return false;
  out[0] = sn_emit_expansion(b, n, arg);
  return true;
}

sn_code sn_pass_grad(sn_module *m, sn_pass_env *env) {
  paths p = {0};
  sn_rewriter first = {.env = env, .pass = "grad", .node = set_apart, .begin = begin_apart};
  sn_rewriter r = {.env = env, .pass = "grad", .node = grad_node, .begin = begin_func, .data = &p};
  env->rule_hits = 0;
  SN_TRY(sn_rewrite_module(m, &first));
  return sn_rewrite_module(m, &r);
}
