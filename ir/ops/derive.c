/* Reverse mode over the nodes of a function under construction: gradients as further nodes.
 *
 * 1. forward sweep: which values depend on what is differentiated by, through float values
 * 2. seeds: the gradients of the outputs
 * 3. backward sweep, from the newest node to the oldest: the rule of each op adds its part to its operands; parts are
 *    added up in that order, so that the sum is the same in every run
 * Each node is visited once; nodes that the rules add are not. */
#include "ir/ops/rules.h"

#include <string.h>

#include "ir/base/plant.h"

typedef struct derive {
  sn_build *b;
  int node_count; /* nodes and values of the forward part */
  int value_count;
  bool *depends; /* by value: reached from what is differentiated by */
  sn_val *d;     /* by value: gradient so far, 0 none */
  int wrt_count;
  const sn_val *wrt;
  sn_val out; /* an output, for messages */
} derive;

static bool carries(const derive *r, sn_val v) { return r->depends[v] && sn_elem_is_float(sn_g_type(r->b, v)->elem); }

static void sweep_forward(derive *r) {
  const sn_func *f = r->b->func;
  for (int j = 0; j < r->wrt_count; j++) r->depends[r->wrt[j]] = true;
  for (int i = 0; i < r->node_count; i++) {
    const sn_node *n = f->node[i];
    bool any = false;
    for (int k = 0; k < n->arg_count && !any; k++) any = carries(r, n->arg[k]);
    if (!any || !sn_op_passes_gradient(n->op)) continue;
    for (int k = 0; k < n->result_count; k++) r->depends[n->first + (sn_val)k] = true;
  }
}

static void add_to(derive *r, sn_val v, sn_val part) {
  if (!part || (r->d[v] && SN_PLANTED(GRAD_SUM))) return;
  r->d[v] = r->d[v] ? sn_g2(r->b, SN_OP_ADD, r->d[v], part) : part;
}

/* The value differentiated by that a node depends on: the nearest by a walk back along first operands that carry. */
static sn_val source_of(const derive *r, sn_val v) {
  for (;;) {
    for (int j = 0; j < r->wrt_count; j++)
      if (r->wrt[j] == v) return v;
    const sn_node *n = sn_node_of(r->b->func, v);
    int k = 0;
    while (k < n->arg_count && !carries(r, n->arg[k])) k++;
    if (k == n->arg_count) return v;
    v = n->arg[k];
  }
}

static const char *describe(const derive *r, sn_val v) {
  const sn_node *n = sn_node_of(r->b->func, v);
  const char *name = sn_leaf_name(n);
  sn_arena *arena = sn_types_arena(sn_b_types(r->b));
  sn_text t = sn_text_begin(arena);
  sn_text_add(&t, "%s", sn_op_get(n->op)->name);
  if (name) sn_text_add(&t, " \"%s\"", name);
  if (n->origin.loc_count && n->origin.locs[0].file)
    sn_text_add(&t, " (%s:%d)", n->origin.locs[0].file, n->origin.locs[0].line);
  return t.at;
}

static void refuse(derive *r, const sn_node *n) {
  const char *why = sn_op_rules_of(n->op)->why_no_grad;
  sn_loc loc = n->origin.loc_count ? n->origin.locs[0] : (sn_loc){0};
  r->b->failed = sn_fail(r->b->diags, SN_ERR_INPUT, loc, "no gradient passes `%s`: %s", sn_op_get(n->op)->name,
                         why ? why : "it must be expanded first");
  sn_fail_note(r->b->diags, "on the way from %s to %s", describe(r, source_of(r, n->first)), describe(r, r->out));
}

static void visit(derive *r, const sn_node *n) {
  bool wanted = false, seeded = false;
  for (int k = 0; k < n->result_count; k++) {
    seeded |= r->d[n->first + (sn_val)k] != 0;
    wanted |= r->depends[n->first + (sn_val)k];
  }
  bool any = false;
  for (int k = 0; k < n->arg_count; k++) any |= carries(r, n->arg[k]);
  if (!seeded || !wanted || !any || !sn_op_passes_gradient(n->op)) return;
  if (!sn_op_rules_of(n->op)->grad) {
    refuse(r, n);
    return;
  }
  sn_arena *arena = r->b->func->arena;
  sn_val *result = SN_ARRAY(arena, n->result_count, sn_val), *d_arg = SN_ARRAY(arena, n->arg_count, sn_val);
  bool *need = SN_ARRAY(arena, n->arg_count, bool);
  for (int k = 0; k < n->result_count; k++) result[k] = n->first + (sn_val)k;
  for (int k = 0; k < n->arg_count; k++) need[k] = carries(r, n->arg[k]);
  r->b->origin = n->origin;
  if (n->origin.group) r->b->origin.group = sn_arena_printf(arena, "%s.grad", n->origin.group);
  sn_grad_rule g = {r->b, n, n->arg, result, r->d + n->first, need, d_arg};
  sn_op_rules_of(n->op)->grad(&g);
  for (int k = 0; k < n->arg_count && !r->b->failed; k++)
    if (need[k]) add_to(r, n->arg[k], d_arg[k]);
}

sn_code sn_derive(sn_build *b, int out_count, const sn_val *out, const sn_val *d_out, int wrt_count, const sn_val *wrt,
                  sn_val *d_wrt) {
  if (b->failed) return b->failed;
  derive r = {.b = b,
              .node_count = b->func->node_count,
              .value_count = b->func->value_count,
              .wrt_count = wrt_count,
              .wrt = wrt,
              .out = out_count ? out[0] : 0};
  r.depends = SN_ARRAY(b->func->arena, r.value_count, bool);
  r.d = SN_ARRAY(b->func->arena, r.value_count, sn_val);
  sweep_forward(&r);
  for (int i = 0; i < out_count; i++) add_to(&r, out[i], d_out[i]);
  sn_origin saved = b->origin;
  for (int i = r.node_count; i-- > 0 && !b->failed;) visit(&r, b->func->node[i]);
  b->origin = saved;
  for (int j = 0; j < wrt_count; j++) d_wrt[j] = r.d[wrt[j]];
  return b->failed;
}
