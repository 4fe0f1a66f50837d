/* See steps.h. Which value a slot holds after which step is said by the marks of lowering. */
#include "backends/faults/steps.h"

#include <string.h>

#include "passes/plan/order.h"

typedef struct steps {
  const sn_case *c;
  sn_arena *arena;
  sn_diags *diags;
  const sn_compiled *k;
  sn_runtime *r;
  const sn_func *f; /* the graph of fused nodes */
  int graph;
  sn_tensor **made; /* by value id: as it was found after the step that made it, or as it was given; NULL: not known */
  int *slot;        /* by value id; -1: none */
  sn_step_fault *out;
} steps;

/* ---- values in slots --------------------------------------------------------------------------------------------- */

static const void *data_of(const steps *s, int slot) { return sn_runtime_slot(s->r, slot, NULL); }

static sn_tensor *capture(steps *s, const sn_type *type, int slot) {
  int64_t extent[SN_RANK_MAX];
  sn_tensor *t;
  for (int i = 0; i < type->rank; i++)
    if (sn_dimx_eval(type->dim[i], s->c->dims, &extent[i])) return NULL;
  const void *data = data_of(s, slot);
  if (!data || sn_tensor_create(s->arena, type->elem, type->rank, extent, &t)) return NULL;
  sn_tensor_load(t, data);
  return t;
}

static bool same_bits(const sn_tensor *a, const sn_tensor *b) {
  if (!a || !b || a->count != b->count) return false;
  for (int64_t i = 0; i < a->count; i++) {
    bool both_nan = a->value[i] != a->value[i] && b->value[i] != b->value[i];
    if (!both_nan && a->value[i] != b->value[i]) return false;
  }
  return true;
}

/* t seen in another shape of as many elements. */
static sn_tensor *reshaped(steps *s, const sn_tensor *t, const sn_type *type) {
  sn_tensor *view = sn_arena_copy(s->arena, t, sizeof *t);
  view->rank = type->rank;
  view->bound = NULL;
  for (int i = 0; i < type->rank; i++)
    if (sn_dimx_eval(type->dim[i], s->c->dims, &view->extent[i])) return NULL;
  return view;
}

/* ---- faults ------------------------------------------------------------------------------------------------------ */

static void fault(steps *s, sn_step_fault_kind kind, int step, const sn_node *made_by, const char *what) {
  sn_step_fault *o = s->out;
  if (o->kind != SN_STEP_RIGHT) return;
  o->kind = kind;
  o->step = step;
  o->what = what;
  if (step >= 0) {
    const sn_step *at = &s->k->plan->graph[s->graph].step[step];
    o->schedule = at->kind_name;
    o->ops = at->ops;
    o->kernel = at->kind == SN_STEP_LAUNCH ? s->k->plan->code[at->code].name : NULL;
  } else {
    o->schedule = "copy";
  }
  if (!made_by) return;
  o->op = sn_op_get(made_by->op)->name;
  if (made_by->origin.loc_count) o->loc = made_by->origin.locs[0];
}

/* The node of the body that makes a result, behind views. */
static const sn_node *maker(const sn_node *fused, int result) {
  const sn_func *body = sn_node_attr(fused, "body")->region;
  const sn_node *n = sn_node_of(body, body->result[result]);
  while (sn_op_get(n->op)->cls == SN_CLASS_VIEW) n = sn_node_of(body, n->arg[0]);
  return n;
}

static const char *name_of(const steps *s, sn_val v) {
  const sn_node *n = sn_node_of(s->f, v);
  const char *leaf = sn_leaf_name(n);
  return leaf                   ? leaf
         : n->op == SN_OP_FUSED ? sn_op_get(maker(n, (int)(v - n->first))->op)->name
                                : sn_op_get(n->op)->name;
}

static bool writes_slot(const steps *s, const sn_node *n, int slot) {
  for (int r = 0; r < n->result_count; r++)
    if (s->slot[n->first + (sn_val)r] == slot) return true;
  return false;
}

/* Does the step run in a block of a cond or while, perhaps several times or never? */
static bool in_block(const steps *s, int step) {
  const sn_plan_graph *g = &s->k->plan->graph[s->graph];
  for (int i = 0; i < step; i++) {
    const sn_step *c = &g->step[i];
    bool control = c->kind == SN_STEP_CHOOSE || c->kind == SN_STEP_WHILE;
    if (control && step <= i + c->block[0] + c->block[1]) return true;
  }
  return false;
}

/* What a block made is taken as it is found where it is read. */
static void take_operand(steps *s, int step, sn_val base) {
  int slot = s->slot[base];
  if (s->made[base] || slot < 0 || sn_node_of(s->f, base)->op != SN_OP_FUSED) return;
  const sn_slot *at = &s->k->plan->slot[slot];
  if (at->role != SN_SLOT_TEMP || at->last >= step) s->made[base] = capture(s, sn_val_type(s->f, base), slot);
}

static void check_operand(steps *s, int step, const sn_node *n, sn_val base) {
  int slot = s->slot[base];
  if (slot >= 0 && s->k->plan->slot[slot].role == SN_SLOT_TEMP && s->k->plan->slot[slot].last < step) return; /* dead */
  if (slot < 0 || !s->made[base] || writes_slot(s, n, slot)) return;
  if (same_bits(s->made[base], capture(s, sn_val_type(s->f, base), slot))) return;
  fault(s, SN_STEP_OVERWRITE, step, sn_node_of(s->f, base)->op == SN_OP_FUSED ? maker(sn_node_of(s->f, base), 0) : NULL,
        sn_arena_printf(s->arena, "`%s` is not what it was when it was made", name_of(s, base)));
}

/* ---- one fused node ---------------------------------------------------------------------------------------------- */

static bool interpret(steps *s, const sn_node *n, sn_tensor **result) {
  sn_tensor **arg = SN_ARRAY(s->arena, n->arg_count + 1, sn_tensor *);
  for (int i = 0; i < n->arg_count; i++) {
    sn_val base = sn_order_base(s->f, n->arg[i]);
    if (!s->made[base] || !(arg[i] = reshaped(s, s->made[base], sn_val_type(s->f, n->arg[i])))) return false;
  }
  sn_interp in = {.arena = s->arena, .diags = s->diags, .dims = s->c->dims};
  return !sn_interp_call(&in, sn_node_attr(n, "body")->region, n->arg_count, arg, result);
}

static void compare(steps *s, int step, const sn_node *n, int r, const sn_tensor *oracle) {
  sn_val v = n->first + (sn_val)r;
  const void *data = data_of(s, s->slot[v]);
  if (!data) return;
  sn_mismatch m = sn_tensor_compare(oracle, data, 1);
  s->out->checked++;
  s->out->elements += m.total;
  s->out->excluded += m.excluded;
  if (!m.count) return;
  fault(s, SN_STEP_WRONG, step, maker(n, r),
        sn_arena_printf(s->arena, "%lld of %lld elements, the first is %lld: expected %.9g, found %.9g, bound %.3g",
                        (long long)m.count, (long long)m.total, (long long)m.first, m.expected, m.found, m.bound));
}

static void node_done(steps *s, int step, const sn_node *n) {
  sn_tensor **result = SN_ARRAY(s->arena, n->result_count + 1, sn_tensor *);
  if (in_block(s, step)) {
    s->out->skipped += n->result_count;
    return;
  }
  for (int i = 0; i < n->arg_count; i++) take_operand(s, step, sn_order_base(s->f, n->arg[i]));
  for (int i = 0; i < n->arg_count; i++) check_operand(s, step, n, sn_order_base(s->f, n->arg[i]));
  if (interpret(s, n, result))
    for (int r = 0; r < n->result_count; r++) compare(s, step, n, r, result[r]);
  else
    s->out->skipped += n->result_count;
  for (int r = 0; r < n->result_count; r++) {
    sn_val v = n->first + (sn_val)r;
    s->made[v] = capture(s, n->type[r], s->slot[v]);
  }
}

/* ---- outputs and states at the end ------------------------------------------------------------------------------- */

static void check_copy(steps *s, const char *what, const char *name, sn_val value, int slot) {
  sn_val base = sn_order_base(s->f, value);
  if (slot < 0 || !s->made[base] || !data_of(s, slot)) return;
  if (same_bits(s->made[base], capture(s, sn_val_type(s->f, value), slot))) return;
  const sn_node *n = sn_node_of(s->f, base);
  fault(s, SN_STEP_MISCOPIED, -1, n->op == SN_OP_FUSED ? maker(n, (int)(base - n->first)) : n,
        sn_arena_printf(s->arena, "%s %s is not the value that was made for it", what, name));
}

static void finish(steps *s) {
  const sn_plan *p = s->k->plan;
  for (int i = 0; i < s->f->output_count; i++) {
    const sn_output_pair *o = &s->f->output[i];
    check_copy(s, "output", o->name, o->value, sn_plan_find_slot(p, s->graph, o->name));
  }
  for (int i = 0; i < s->f->update_count; i++) {
    const char *name = sn_leaf_name(sn_node_of(s->f, s->f->update[i].state));
    check_copy(s, "state", name, s->f->update[i].next, sn_plan_find_slot(p, -1, name));
  }
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static void begin(void *user, const sn_compiled *k, sn_runtime *r) {
  steps *s = user;
  s->k = k, s->r = r;
  s->graph = sn_plan_find_graph(k->plan, s->c->graph);
  s->f = k->fused ? sn_module_find(k->fused, s->c->graph) : NULL;
  if (!s->f) return;
  s->made = SN_ARRAY(s->arena, s->f->value_count, sn_tensor *);
  s->slot = SN_ARRAY(s->arena, s->f->value_count, int);
  for (int v = 0; v < s->f->value_count; v++) s->slot[v] = -1;
  for (int i = 0; i < s->f->node_count; i++) {
    const sn_node *n = s->f->node[i];
    const char *name = sn_leaf_name(n);
    if (!name) continue;
    int slot = sn_plan_find_slot(k->plan, n->op == SN_OP_INPUT ? s->graph : -1, name);
    s->slot[n->first] = slot;
    for (int j = 0; j < s->c->data_count; j++)
      if (!strcmp(s->c->data[j].name, name)) s->made[n->first] = (sn_tensor *)s->c->data[j].tensor;
  }
  for (int i = 0; i < k->mark_count; i++)
    if (k->mark[i].graph == s->graph) s->slot[k->mark[i].fused->first + (sn_val)k->mark[i].result] = k->mark[i].slot;
}

static void after_step(void *user, int step) {
  steps *s = user;
  const sn_node *last = NULL;
  if (!s->f || s->out->kind != SN_STEP_RIGHT) return;
  if (step < 0) {
    finish(s);
    return;
  }
  for (int i = 0; i < s->k->mark_count; i++) {
    const sn_lower_mark *m = &s->k->mark[i];
    if (m->graph != s->graph || m->step != step || m->fused == last) continue;
    last = m->fused;
    node_done(s, step, last);
  }
}

sn_code sn_case_steps(const sn_case *c, const sn_variant *v, sn_arena *arena, sn_diags *diags, sn_step_fault *out) {
  *out = (sn_step_fault){0};
  steps s = {.c = c, .arena = arena, .diags = diags, .out = out};
  const sn_watcher w = {begin, after_step, &s};
  return sn_case_watch(c, v, &w, arena, diags);
}
