/* Module of fused graphs -> plan and kernels: slots of leaves, order, one schedule writer per fused node, then the
 * copies and the check that the order asks for. */
#include "passes/lower/lower.h"

#include <string.h>

#include "ir/base/plant.h"

#include "passes/lower/repeat.h"
#include "passes/plan/assemble.h"
#include "passes/plan/order.h"

/* A fused node of frozen parameters alone: what it was made of, and the slots that hold its results. */
typedef struct lowered_ahead {
  const sn_func *body;
  int arg_count;
  const int *arg, *result;
} lowered_ahead;

typedef struct lowering {
  sn_pass_env *env;
  sn_plan_build plan;
  sn_map *shared;   /* "param NAME" or "state NAME" -> slot */
  const sn_func *f; /* the graph being lowered */
  sn_arena *scratch;
  int *slot_of; /* by value id: its slot, -1: none */
  sn_order order;
  int *last; /* by value id: place in the order of the last node that reads it, -1: none */
  int ahead_count, ahead_capacity;
  lowered_ahead *ahead;
  int mark_count, mark_capacity;
  sn_lower_mark *mark;
  sn_repeat repeat;
  sn_map *group_of_body; /* fitted, by address of the body */
} lowering;

/* The group of a body, if it is one. */
typedef struct fitted {
  bool fits;
  sn_group g;
} fitted;

/* ---- slots of leaves --------------------------------------------------------------------------------------- */

static sn_init_kind init_of(const char *name) {
  if (!strcmp(name, "normal")) return SN_INITIAL_NORMAL;
  if (!strcmp(name, "truncated")) return SN_INITIAL_TRUNCATED;
  return strcmp(name, "uniform") ? SN_INITIAL_FILL : SN_INITIAL_UNIFORM;
}

static sn_slot leaf_slot(lowering *l, const sn_node *n) {
  sn_slot s = {
      .name = sn_leaf_name(n), .type = n->type[0], .graph = -1, .first = -1, .last = -1, .alias = -1, .buddy = -1};
  s.elements = sn_type_count(l->plan.types, s.type);
  if (n->op == SN_OP_INPUT) {
    const sn_attr *d = sn_node_attr(n, "default");
    s.role = SN_SLOT_INPUT;
    s.graph = l->plan.graph_count;
    s.optional = d->set;
    s.init = d->set ? SN_INITIAL_FILL : SN_INITIAL_NONE;
    s.init_a = d->set ? d->f : 0;
    return s;
  }
  s.role = n->op == SN_OP_PARAM ? SN_SLOT_PARAM : SN_SLOT_STATE;
  s.init = init_of(sn_node_attr(n, "init")->s);
  s.init_a = sn_node_attr(n, "a")->f;
  s.frozen = s.role == SN_SLOT_PARAM; /* until an update is seen */
  return s;
}

static int slot_of_leaf(lowering *l, const sn_node *n) {
  if (n->op == SN_OP_INPUT) {
    sn_slot s = leaf_slot(l, n);
    return sn_assemble_slot(&l->plan, &s);
  }
  const char *key = sn_arena_printf(l->scratch, "%s %s", sn_op_get(n->op)->name, sn_leaf_name(n));
  const int *known = sn_map_get_str(l->shared, key);
  if (known) return *known;
  sn_slot s = leaf_slot(l, n);
  int slot = sn_assemble_slot(&l->plan, &s);
  sn_map_put_str(l->shared, key, sn_arena_copy(l->env->arena, &slot, sizeof slot));
  return slot;
}

static bool is_named_leaf(const sn_node *n) {
  return n->op == SN_OP_INPUT || n->op == SN_OP_PARAM || n->op == SN_OP_STATE;
}

/* Slots of every leaf of every graph first: a parameter is frozen only when no graph updates it. */
static void find_leaves(lowering *l, const sn_func *f) {
  for (int i = 0; i < f->node_count; i++)
    if (is_named_leaf(f->node[i]) && f->node[i]->op != SN_OP_INPUT) slot_of_leaf(l, f->node[i]);
  for (int i = 0; i < f->update_count; i++)
    l->plan.slot[slot_of_leaf(l, sn_node_of(f, f->update[i].state))].frozen = false;
}

/* ---- results ------------------------------------------------------------------------------------------------- */

static sn_slot new_slot(const lowering *l, const char *name, sn_slot_role role, const sn_type *type) {
  return (sn_slot){.name = name,
                   .role = role,
                   .type = type,
                   .elements = sn_type_count(l->plan.types, type),
                   .graph = l->plan.graph_count,
                   .first = -1,
                   .last = -1,
                   .alias = -1,
                   .buddy = -1};
}

/* The first output that is this value, or a reshape of it; -1: none. */
static int output_of(const lowering *l, sn_val v) {
  for (int i = 0; i < l->f->output_count; i++)
    if (sn_order_base(l->f, l->f->output[i].value) == v) return i;
  return -1;
}

static int slot_of_result(lowering *l, const sn_node *n, int r, int into) {
  sn_val v = n->first + (sn_val)r;
  if (l->order.state[v]) return l->slot_of[l->order.state[v]];
  int out = output_of(l, v);
  if (out >= 0) {
    sn_slot s = new_slot(l, l->f->output[out].name, SN_SLOT_OUTPUT, sn_val_type(l->f, l->f->output[out].value));
    return sn_assemble_slot(&l->plan, &s);
  }
  if (into >= 0) return into;
  const sn_func *body = sn_node_attr(n, "body")->region;
  const char *name = sn_op_get(sn_node_of(body, body->result[r])->op)->name;
  return sn_assemble_temp(&l->plan, name, n->type[r], sn_type_count(l->plan.types, n->type[r]));
}

/* ---- one fused node -------------------------------------------------------------------------------------------- */

/* Are all results without elements, whatever the dims? */
static bool makes_nothing(const sn_node *n) {
  for (int r = 0; r < n->result_count; r++) {
    bool empty = false;
    for (int i = 0; i < n->type[r]->rank; i++) empty = empty || sn_dimx_max_value(n->type[r]->dim[i]) == 0;
    if (!empty) return false;
  }
  return true;
}

sn_code sn_lower_group(sn_lower_ctx *c) {
  const char *kind = sn_node_attr(c->fused, "kind")->s;
  if (makes_nothing(c->fused)) return SN_OK;
  if (!strcmp(kind, "map") || !strcmp(kind, "copy")) return sn_lower_map(c, c->fused);
  if (!strcmp(kind, "rows")) return sn_lower_rows(c, c->fused);
  if (!strcmp(kind, "contract")) return sn_lower_contract(c, c->fused);
  if (!strcmp(kind, "index")) return sn_lower_index(c, c->fused);
  if (!strcmp(kind, "scan")) return sn_lower_scan(c, c->fused);
  if (c->inside) return sn_lower_fail(c, "groups of kind `%s` cannot be part of an instance", kind);
  if (!strcmp(kind, "attend")) return sn_lower_attend(c, c->fused);
  if (!strcmp(kind, "cond")) return sn_lower_cond(c, c->fused);
  if (!strcmp(kind, "while")) return sn_lower_while(c, c->fused);
  return sn_lower_fail(c, "no schedule for groups of kind `%s`", kind);
}

sn_lower_ctx sn_lower_node_ctx(const sn_lower_ctx *of, const sn_func *f, const sn_node *n, const int *slot_of,
                               int *result) {
  int *arg = SN_ARRAY(of->arena, n->arg_count, int);
  for (int i = 0; i < n->arg_count; i++) arg[i] = slot_of[sn_order_base(f, n->arg[i])];
  return (sn_lower_ctx){.arena = of->arena,
                        .diags = of->diags,
                        .target = of->target,
                        .types = of->types,
                        .plan = of->plan,
                        .graph = f,
                        .fused = n,
                        .body = sn_node_attr(n, "body")->region,
                        .arg_count = n->arg_count,
                        .result_count = n->result_count,
                        .arg_slot = arg,
                        .result_slot = result};
}

static void add_marks(lowering *l, const sn_node *n, int step, const int *result) {
  for (int r = 0; r < n->result_count; r++) {
    SN_GROW(l->env->arena, l->mark, l->mark_count, l->mark_capacity);
    l->mark[l->mark_count++] = (sn_lower_mark){l->plan.graph_count, step, result[r], n, r};
  }
}

/* ---- values of weights alone ------------------------------------------------------------------------------------- */

static bool is_kept(const lowering *l, sn_val v) {
  const sn_func *f = l->f;
  for (int i = 0; i < f->update_count; i++)
    if (sn_order_base(f, f->update[i].next) == v) return true;
  return output_of(l, v) >= 0 || (f->guard && sn_order_base(f, f->guard) == v);
}

static bool is_prepared(const sn_slot *s) {
  return s->role == SN_SLOT_PACKED || (s->role == SN_SLOT_PARAM && s->frozen);
}

/* Can the node run once, after weights were loaded: is all it reads known then, and is it no result of the graph? */
static bool is_ahead(const lowering *l, const sn_lower_ctx *c, const sn_node *n) {
  static const char *const kinds[] = {"map", "copy", "rows", "contract", "index"};
  bool kind = false;
  int64_t e;
  for (int i = 0; i < 5; i++) kind |= !strcmp(sn_node_attr(n, "kind")->s, kinds[i]);
  if (!kind || !n->arg_count || makes_nothing(n)) return false;
  for (int i = 0; i < n->arg_count; i++)
    if (!is_prepared(&l->plan.slot[c->arg_slot[i]])) return false;
  for (int i = 0; i < c->body->value_count; i++) {
    const sn_type *t = i ? sn_val_type(c->body, (sn_val)i) : NULL;
    for (int k = 0; t && k < t->rank; k++)
      if (!sn_dimx_is_const(t->dim[k], &e)) return false;
  }
  for (int r = 0; r < n->result_count; r++)
    if (is_kept(l, n->first + (sn_val)r)) return false;
  return sn_rule_enabled(l->env, "fuse.ahead");
}

/* Results of an equal node of this graph or another; NULL: none. */
static const int *known_ahead(const lowering *l, const sn_lower_ctx *c) {
  for (int i = 0; i < l->ahead_count; i++) {
    const lowered_ahead *a = &l->ahead[i];
    if (a->arg_count == c->arg_count && !memcmp(a->arg, c->arg_slot, (size_t)a->arg_count * sizeof *a->arg) &&
        sn_func_equal(a->body, c->body))
      return a->result;
  }
  return NULL;
}

/* A step before all runs; graphs that ask for the same share it. */
static sn_code lower_ahead(lowering *l, sn_lower_ctx *c, const sn_node *n, int *result) {
  const int *known = known_ahead(l, c);
  l->plan.preparing = true;
  for (int r = 0; r < n->result_count; r++) {
    const char *name = sn_op_get(sn_node_of(c->body, c->body->result[r])->op)->name;
    if (known)
      result[r] = known[r];
    else
      result[r] = sn_assemble_temp(&l->plan, name, n->type[r], sn_type_count(l->plan.types, n->type[r]));
    l->slot_of[n->first + (sn_val)r] = result[r];
  }
  sn_code code = known ? SN_OK : sn_lower_group(c);
  l->plan.preparing = false;
  add_marks(l, n, 0, result);
  if (known || code) return code;
  SN_GROW(l->env->arena, l->ahead, l->ahead_count, l->ahead_capacity);
  l->ahead[l->ahead_count++] = (lowered_ahead){c->body, c->arg_count, c->arg_slot, result};
  return c->failed;
}

/* ---- in place? --------------------------------------------------------------------------------------------------- */

static bool same_place(const sn_view *a, const sn_view *b) {
  if (a->rank != b->rank || a->offset != b->offset) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->stride[i] != b->stride[i]) return false;
  return true;
}

static bool is_operand_of(const sn_func *f, sn_val v, sn_op op, int from) {
  for (int i = 0; i < f->node_count; i++) {
    if (f->node[i]->op != op) continue;
    for (int k = from; k < f->node[i]->arg_count; k++) {
      sn_val base;
      sn_view view;
      if (!sn_view_resolve(f, f->node[i]->arg[k], &base, &view) || base == v) return true;
    }
  }
  return false;
}

/* dynamic_write into its first operand, or the sum of an operand and scatter_add: nothing else of the body may read
 * that. */
static bool may_write_rows(const sn_func *body, sn_val result, sn_val arg) {
  const sn_node *n = sn_node_of(body, result);
  bool writes = n->op == SN_OP_DYN_WRITE && n->arg[0] == arg && !is_operand_of(body, arg, SN_OP_DYN_WRITE, 1);
  if (!writes && !(n->op == SN_OP_ADD && sn_scatter_sum(body, n, NULL) == arg)) return false;
  int uses = 0;
  for (int i = 0; i < body->node_count; i++)
    for (int k = 0; k < body->node[i]->arg_count; k++) uses += body->node[i]->arg[k] == arg;
  return uses == 1;
}

static bool is_kind(const sn_node *fused, const char *kind) { return !strcmp(sn_node_attr(fused, "kind")->s, kind); }

/* Steps of an optimiser have hundreds of results: each asks for the group of the one body. */
static const fitted *group_of(lowering *l, const sn_func *body) {
  fitted *known = sn_map_get(l->group_of_body, (uint64_t)(uintptr_t)body);
  if (known) return known;
  known = SN_NEW(l->scratch, fitted);
  known->fits = sn_group_of_body(&known->g, l->scratch, body);
  sn_map_put(l->group_of_body, (uint64_t)(uintptr_t)body, known);
  return known;
}

static bool may_write(void *user, const sn_node *n, int result, sn_val state) {
  lowering *l = user;
  if (n->op != SN_OP_FUSED || !sn_rule_enabled(l->env, "order.in_place")) return false;
  const sn_func *body = sn_node_attr(n, "body")->region;
  if (n->type[result] != sn_val_type(l->f, state)) return false;
  sn_val arg = 0;
  int reads = 0;
  for (int i = 0; i < n->arg_count; i++)
    if (sn_order_base(l->f, n->arg[i]) == state) {
      reads++;
      for (int k = 0; k < body->node_count; k++)
        if (body->node[k]->op == SN_OP_ARG && sn_node_attr(body->node[k], "index")->i == i) arg = body->node[k]->first;
    }
  if (is_kind(n, "cond") || is_kind(n, "while")) return false;
  if (!reads) return !is_kind(n, "index");
  if (is_kind(n, "scan")) return false;
  if (reads > 1 || !arg) return reads == 1;
  if (is_kind(n, "index")) return may_write_rows(body, body->result[result], arg);
  if (is_operand_of(body, arg, SN_OP_CONTRACT, 0) || is_operand_of(body, arg, SN_OP_ATTENTION, 0)) return false;
  const fitted *f = group_of(l, body);
  for (int i = 0; i < f->g.access_count && f->fits; i++) {
    const sn_access *a = &f->g.access[i];
    if (a->kind == SN_ACCESS_GATHER && a->base == arg) return false;
    if (SN_PLANTED(VIEW_ALIAS)) continue;
    if (a->kind == SN_ACCESS_BUFFER && a->value == arg && !same_place(&a->view, &f->g.output[result].view))
      return false;
  }
  return f->fits;
}

/* ---- sums into an operand ---------------------------------------------------------------------------------------- */

static void find_last_readers(lowering *l) {
  l->last = SN_ARRAY(l->scratch, l->f->value_count, int);
  for (int v = 0; v < l->f->value_count; v++) l->last[v] = -1;
  for (int i = 0; i < l->order.count; i++) {
    if (l->order.at[i] == SN_ORDER_CHECK) continue;
    const sn_node *n = l->f->node[l->order.at[i]];
    for (int k = 0; k < n->arg_count; k++) l->last[sn_order_base(l->f, n->arg[k])] = i;
  }
}

/* The slot of an operand that a product or a scatter_add is added to, when no one else needs its old value; -1: none.
 * at: place of the node in the order */
static int accumulator(lowering *l, const sn_node *n, int at) {
  const sn_func *body = sn_node_attr(n, "body")->region;
  const sn_node *sum = sn_node_of(body, body->result[0]);
  bool kind = is_kind(n, "contract") || is_kind(n, "index");
  if (!kind || n->result_count > 1 || sum->op != SN_OP_ADD || !sn_rule_enabled(l->env, "order.accumulate")) return -1;
  for (int k = 0; k < 2; k++) {
    const sn_node *arg = sn_node_of(body, sum->arg[k]);
    if (arg->op != SN_OP_ARG) continue;
    sn_val v = sn_order_base(l->f, n->arg[sn_node_attr(arg, "index")->i]);
    const sn_slot *s = &l->plan.slot[l->slot_of[v]];
    bool dies = s->role == SN_SLOT_TEMP && s->graph == l->plan.graph_count && l->last[v] == at && !is_kept(l, v);
    if (dies && may_write(l, n, 0, v)) return l->slot_of[v];
  }
  return -1;
}

/* ---- one fused node -------------------------------------------------------------------------------------------- */

static sn_code lower_node(lowering *l, const sn_node *n, int at) {
  if (n->op != SN_OP_FUSED)
    return sn_fail(l->env->diags, SN_ERR_FAIL, n->origin.loc_count ? n->origin.locs[0] : (sn_loc){0},
                   "`%s` was not fused", sn_op_get(n->op)->name);
  int *result = SN_ARRAY(l->scratch, n->result_count, int);
  const sn_lower_ctx of = {
      .arena = l->scratch, .diags = l->env->diags, .target = l->env->target, .types = l->plan.types, .plan = &l->plan};
  sn_lower_ctx c = sn_lower_node_ctx(&of, l->f, n, l->slot_of, result);
  if (is_ahead(l, &c, n)) return lower_ahead(l, &c, n, result);
  for (int r = 0; r < n->result_count; r++) {
    sn_val v = n->first + (sn_val)r;
    int into = r ? -1 : accumulator(l, n, at);
    result[r] = l->slot_of[v] = slot_of_result(l, n, r, into);
    c.accumulates = c.accumulates || result[r] == into;
    c.in_place = c.in_place || l->order.state[v] || result[r] == into;
  }
  SN_TRY(sn_repeat_lower(&l->repeat, &c));
  add_marks(l, n, l->plan.step_count - 1, result);
  return c.failed;
}

/* ---- copies, check ----------------------------------------------------------------------------------------------- */

static void add_copy(lowering *l, int from, int to) {
  const sn_slot *s = &l->plan.slot[from];
  sn_step step = {.kind = SN_STEP_COPY, .from = from, .to = to, .kind_name = "copy", .ops = "copy"};
  const sn_dimx *size = sn_dimx_const(l->plan.types, (int64_t)sn_elem_bytes(s->type->elem));
  step.flops = sn_dimx_const(l->plan.types, 0);
  step.bytes_read = step.bytes_written = sn_dimx_mul(l->plan.types, sn_type_count(l->plan.types, s->type), size);
  sn_assemble_step(&l->plan, &step, false);
}

static void add_check(lowering *l, int slot) {
  const sn_dimx *zero = sn_dimx_const(l->plan.types, 0), *one = sn_dimx_const(l->plan.types, 1);
  sn_step step = {.kind = SN_STEP_CHECK,
                  .from = slot,
                  .to = -1,
                  .kind_name = "check",
                  .ops = "check",
                  .flops = zero,
                  .bytes_read = one,
                  .bytes_written = zero};
  sn_assemble_step(&l->plan, &step, false);
}

/* Outputs that no kernel wrote: leaves, states that were updated, second names of one value. */
static void copy_outputs(lowering *l, bool of_states) {
  for (int i = 0; i < l->f->output_count; i++) {
    const sn_output_pair *o = &l->f->output[i];
    sn_val v = sn_order_base(l->f, o->value);
    bool old_state = is_named_leaf(sn_node_of(l->f, v));
    bool written = !old_state && !l->order.state[v] && output_of(l, v) == i;
    if (written || old_state != of_states) continue;
    sn_slot s = new_slot(l, o->name, SN_SLOT_OUTPUT, sn_val_type(l->f, o->value));
    int slot = sn_assemble_slot(&l->plan, &s);
    add_copy(l, l->slot_of[v], slot);
  }
}

/* Updates that were not made in place. Values that are old states are saved before any state is written. */
static void copy_updates(lowering *l, int *saved) {
  for (int i = 0; i < l->f->update_count; i++) {
    const sn_state_pair *u = &l->f->update[i];
    sn_val v = sn_order_base(l->f, u->next);
    if (l->order.state[v] == u->state || v == u->state) continue;
    add_copy(l, saved[i] >= 0 ? saved[i] : l->slot_of[v], l->slot_of[u->state]);
  }
}

static int *save_leaves(lowering *l) {
  int *saved = SN_ARRAY(l->scratch, l->f->update_count, int);
  for (int i = 0; i < l->f->update_count; i++) {
    const sn_state_pair *u = &l->f->update[i];
    sn_val v = sn_order_base(l->f, u->next);
    sn_op op = sn_node_of(l->f, v)->op;
    saved[i] = -1;
    if (SN_PLANTED(STATE_ALIAS)) continue;
    if ((op != SN_OP_PARAM && op != SN_OP_STATE) || v == u->state) continue;
    const sn_type *type = sn_val_type(l->f, v);
    saved[i] = sn_assemble_temp(&l->plan, "old", type, sn_type_count(l->plan.types, type));
    add_copy(l, l->slot_of[v], saved[i]);
  }
  return saved;
}

static sn_code lower_graph(lowering *l, const sn_func *f) {
  l->f = f;
  l->slot_of = SN_ARRAY(l->scratch, f->value_count, int);
  for (int v = 0; v < f->value_count; v++) l->slot_of[v] = -1;
  for (int i = 0; i < f->node_count; i++)
    if (is_named_leaf(f->node[i])) l->slot_of[f->node[i]->first] = slot_of_leaf(l, f->node[i]);
  l->order = sn_order_find(l->scratch, f, may_write, l);
  find_last_readers(l);
  copy_outputs(l, true);
  int *saved = save_leaves(l);
  for (int i = 0; i < l->order.count; i++) {
    if (l->order.at[i] == SN_ORDER_CHECK)
      add_check(l, l->slot_of[sn_order_base(f, f->guard)]);
    else
      SN_TRY(lower_node(l, f->node[l->order.at[i]], i));
  }
  copy_outputs(l, false);
  copy_updates(l, saved);
  return SN_OK;
}

static void close_graph(lowering *l, const sn_func *f) {
  sn_refusal *list = SN_ARRAY(l->env->arena, l->env->refusal_count, sn_refusal);
  int count = 0;
  for (int i = 0; i < l->env->refusal_count; i++)
    if (!strcmp(l->env->refusal[i].graph, f->name))
      list[count++] = (sn_refusal){l->env->refusal[i].ops, l->env->refusal[i].reason};
  sn_assemble_graph(&l->plan, f->name, count, list);
}

sn_code sn_lower(sn_module *m, sn_pass_env *env, sn_lowered *out) {
  lowering l = {.env = env};
  sn_code code = SN_OK;
  sn_assemble_begin(&l.plan, env->arena, env->diags, env->target, m->types);
  l.plan.env = env;
  l.shared = sn_map_create(env->arena);
  l.scratch = env->arena;
  l.group_of_body = sn_map_create(env->arena);
  sn_repeat_begin(&l.repeat, env->arena);
  for (int i = 0; i < m->func_count; i++)
    if (m->func[i]->kind == SN_FUNC_GRAPH) find_leaves(&l, m->func[i]);
  for (int i = 0; i < m->func_count && !code; i++) {
    if (m->func[i]->kind != SN_FUNC_GRAPH) continue;
    code = lower_graph(&l, m->func[i]);
    close_graph(&l, m->func[i]);
  }
  if (code) return code;
  out->plan = sn_assemble_end(&l.plan);
  out->kernel_count = l.plan.kernel_count;
  out->kernel = l.plan.kernel;
  out->mark_count = l.mark_count;
  out->mark = l.mark;
  return SN_OK;
}
