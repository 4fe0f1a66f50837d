/* Graph -> limits of the plan: inputs that reach an index operand unchanged, with positions added to them, or as the
 * quotient by a number: pages of positions; and inputs without which the sum of weights that a mean divides by is 0. */
#include "passes/lower/limits.h"

#include "ir/ops/ops.h"

#include <string.h>

/* An index: an input, as it is or with the positions of an axis added. */
typedef struct numbers {
  const sn_node *input;
  const sn_dimx *span;
} numbers;

/* Does it show nothing but elements of its operand? A slice shows some; the others are held to the limit too: the parts
 * that a loss over a large vocabulary is made in show all of them together. */
static bool moves(sn_op op) {
  return op == SN_OP_RESHAPE || op == SN_OP_TRANSPOSE || op == SN_OP_BROADCAST || op == SN_OP_CAST || op == SN_OP_SLICE;
}

/* The node whose elements v shows. */
static const sn_node *behind(const sn_func *f, sn_val v) {
  const sn_node *n = sn_node_of(f, v);
  while (moves(n->op) && sn_elem_is_int(sn_val_type(f, n->arg[0])->elem)) n = sn_node_of(f, n->arg[0]);
  return n;
}

static bool find_index(const sn_func *f, sn_types *types, sn_val v, numbers *out) {
  const sn_node *n = behind(f, v);
  if (n->op == SN_OP_ADD) {
    const sn_node *a = behind(f, n->arg[0]), *b = behind(f, n->arg[1]);
    const sn_node *input = a->op == SN_OP_INPUT ? a : b, *along = input == a ? b : a;
    *out = (numbers){input, NULL};
    if (along->op == SN_OP_IOTA) out->span = along->type[0]->dim[sn_node_attr(along, "axis")->i];
  } else {
    *out = (numbers){n, sn_dimx_const(types, 1)};
  }
  return out->span && out->input->op == SN_OP_INPUT && sn_elem_is_int(out->input->type[0]->elem);
}

typedef struct finder {
  sn_plan *plan;
  const sn_func *f;
  int graph;
  int capacity;
} finder;

/* The op that the user wrote, where an expansion put another in its place: "cross_entropy#5.grad" is of cross_entropy.
 */
static const char *op_of(const finder *x, const sn_node *n) {
  const char *group = n->origin.group, *mark = group ? strchr(group, '#') : NULL;
  return mark ? sn_arena_printf(x->plan->arena, "%.*s", (int)(mark - group), group) : sn_op_get(n->op)->name;
}

/* l says all but the input and where the user is. */
static void add_limit(finder *x, const sn_node *user, const sn_node *input, sn_plan_limit l) {
  sn_plan_graph *g = &x->plan->graph[x->graph];
  l.slot = sn_plan_find_slot(x->plan, x->graph, sn_node_attr(input, "name")->s);
  if (l.slot < 0 || x->plan->slot[l.slot].role != SN_SLOT_INPUT) return;
  for (int k = 0; k < g->limit_count; k++) {
    const sn_plan_limit *is = &g->limit[k];
    if (is->slot == l.slot && is->kind == l.kind && is->rows == l.rows && is->span == l.span && is->value == l.value)
      return;
  }
  const sn_loc *at = user->origin.loc_count ? &user->origin.locs[0] : NULL;
  l.op = op_of(x, user), l.file = at ? at->file : NULL, l.line = at ? at->line : 0;
  SN_GROW(x->plan->arena, g->limit, g->limit_count, x->capacity);
  g->limit[g->limit_count++] = l;
}

static void add(finder *x, const sn_node *user, const numbers *i, const sn_dimx *rows, const sn_dimx *span) {
  add_limit(x, user, i->input, (sn_plan_limit){.rows = rows, .span = span});
}

/* What v is the floor of a quotient of, by the number `page`: v is below rows when that is below rows page. */
static sn_val undivided(const sn_func *f, sn_val v, int64_t *page) {
  const sn_node *n = behind(f, v);
  double by;
  if (n->op != SN_OP_DIV || !sn_val_is_const(f, n->arg[1], &by) || by < 1 || by > INT32_MAX) return v;
  *page = (int64_t)by;
  return n->arg[0];
}

/* Operand `arg` of n numbers `rows` rows. */
static void number(finder *x, const sn_node *n, int arg, const sn_dimx *rows) {
  sn_types *types = x->plan->types;
  int64_t page = 1;
  sn_val v = undivided(x->f, n->arg[arg], &page);
  numbers i;
  if (!find_index(x->f, types, v, &i)) return;
  add(x, n, &i, page > 1 ? sn_dimx_mul(types, rows, sn_dimx_const(types, page)) : rows, i.span);
}

/* Operand `arg` of n is where `span` of `rows` rows start. */
static void start(finder *x, const sn_node *n, int arg, const sn_dimx *rows, const sn_dimx *span) {
  numbers i;
  int64_t one;
  bool found = find_index(x->f, x->plan->types, n->arg[arg], &i);
  if (found && sn_dimx_is_const(i.span, &one) && one == 1) add(x, n, &i, rows, span);
}

/* ---- weights of means -------------------------------------------------------------------------------------------- */

/* The node whose elements, some of them or all, v shows in any type: it is 0 where v is. */
static const sn_node *shown(const sn_func *f, sn_val v) {
  const sn_node *n = sn_node_of(f, v);
  while (moves(n->op)) n = sn_node_of(f, n->arg[0]);
  return n;
}

/* Weights are 0 where `input` is not so for a number. */
static void some(finder *x, const sn_node *user, const sn_node *input, sn_limit_kind kind, double value) {
  if (input->op == SN_OP_INPUT && input->type[0]->rank)
    add_limit(x, user, input, (sn_plan_limit){.kind = kind, .value = value});
}

/* The input or number that a comparison looks at, if casts on the way leave it as it is; else the operand's node. */
static const sn_node *compared(finder *x, sn_val v) {
  const sn_node *n = shown(x->f, v);
  sn_elem is = sn_val_type(x->f, v)->elem, was = n->type[0]->elem;
  bool wider = sn_elem_is_int(was) && sn_elem_is_int(is) && sn_elem_bytes(is) > sn_elem_bytes(was);
  return is == was || n->op == SN_OP_IOTA || wider ? n : sn_node_of(x->f, v);
}

/* The constant in f32: others may be rounded before they are compared. */
static bool is_number(const sn_node *n) {
  return n->op == SN_OP_CONST && (double)(float)sn_node_attr(n, "value")->f == sn_node_attr(n, "value")->f;
}

/* a < b, or a <= b: an input against a number, or against positions, of which 0 is the least. */
static void ordered(finder *x, const sn_node *user, const sn_node *n, double slack) {
  const sn_node *a = compared(x, n->arg[0]), *b = compared(x, n->arg[1]);
  if (slack && !sn_elem_is_int(sn_val_type(x->f, n->arg[0])->elem)) return;
  if (a->op == SN_OP_IOTA) some(x, user, b, SN_LIMIT_SOME_MORE, 0 - slack);
  if (is_number(a)) some(x, user, b, SN_LIMIT_SOME_MORE, sn_node_attr(a, "value")->f - slack);
  if (is_number(b)) some(x, user, a, SN_LIMIT_SOME_LESS, sn_node_attr(b, "value")->f + slack);
}

static void equal(finder *x, const sn_node *user, const sn_node *n, sn_limit_kind kind) {
  const sn_node *a = compared(x, n->arg[0]), *b = compared(x, n->arg[1]);
  if (is_number(a)) some(x, user, b, kind, sn_node_attr(a, "value")->f);
  if (is_number(b)) some(x, user, a, kind, sn_node_attr(b, "value")->f);
}

/* What must be so somewhere, else v is 0 everywhere. Of products and conjunctions each part by itself. */
static void nonzero(finder *x, const sn_node *user, sn_val v, int depth) {
  const sn_node *n = shown(x->f, v), *other = n->op == SN_OP_SELECT ? shown(x->f, n->arg[2]) : NULL;
  if (!depth) return;
  switch (n->op) {
    case SN_OP_INPUT: some(x, user, n, SN_LIMIT_SOME_OTHER, 0); return;
    case SN_OP_MUL:
    case SN_OP_AND:
      for (int k = 0; k < 2; k++) nonzero(x, user, n->arg[k], depth - 1);
      return;
    case SN_OP_SELECT:
      if (other->op == SN_OP_CONST && sn_node_attr(other, "value")->f == 0) nonzero(x, user, n->arg[0], depth - 1);
      return;
    case SN_OP_LT: ordered(x, user, n, 0); return;
    case SN_OP_LE: ordered(x, user, n, 1); return;
    case SN_OP_EQ: equal(x, user, n, SN_LIMIT_SOME_EQUAL); return;
    case SN_OP_NE: equal(x, user, n, SN_LIMIT_SOME_OTHER); return;
    default: return;
  }
}

static bool compares(const sn_node *n) { return n->op >= SN_OP_MIN && n->op <= SN_OP_LE; }

/* Does the user look whether the sum is 0? */
static bool is_handled(const sn_func *f, const sn_node *sum) {
  for (int i = 0; i < f->node_count; i++)
    for (int k = 0; k < f->node[i]->arg_count && compares(f->node[i]); k++)
      if (shown(f, f->node[i]->arg[k]) == sum) return true;
  return false;
}

/* Is the result NaN where an operand is? Not if it may be replaced, and not if it is only looked at. */
static bool passes_on(const sn_node *n, const bool *hit) {
  bool is = false;
  if (compares(n) && n->op != SN_OP_MIN && n->op != SN_OP_MAX) return false;
  for (int k = 0; k < n->arg_count; k++) is |= hit[n->arg[k]] && !(n->op == SN_OP_SELECT && k);
  return is;
}

/* Does the quotient get into an output or a state on some way where nothing replaces it? */
static bool gets_out(finder *x, const sn_node *quotient) {
  const sn_func *f = x->f;
  sn_arena *scratch = x->plan->arena;
  bool *hit = SN_ARRAY(scratch, f->value_count, bool), out = false;
  for (int i = 0; i < f->value_count; i++) hit[i] = false;
  for (int i = 0; i < f->node_count; i++)
    for (int k = 0; k < f->node[i]->result_count; k++)
      hit[f->node[i]->first + (sn_val)k] = f->node[i] == quotient || passes_on(f->node[i], hit);
  for (int i = 0; i < f->output_count; i++) out |= hit[f->output[i].value];
  for (int i = 0; i < f->update_count; i++) out |= hit[f->update[i].next];
  return out;
}

/* A quotient by the sum of all weights: the mean that a loss is. */
static void mean(finder *x, const sn_node *n) {
  const sn_node *sum = shown(x->f, n->arg[1]);
  if (sum->op != SN_OP_SUM || sum->type[0]->rank || is_handled(x->f, sum) || !gets_out(x, n)) return;
  nonzero(x, n, sum->arg[0], 8);
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static void look_at(finder *x, const sn_node *n) {
  const sn_type *result = n->type[0], *first = n->arg_count ? sn_val_type(x->f, n->arg[0]) : NULL;
  int64_t axis;
  int pages;
  switch (n->op) {
    case SN_OP_ATTENTION:
      pages = sn_attention_layout_of(n).pages;
      if (pages >= 0) number(x, n, pages, sn_val_type(x->f, n->arg[1])->dim[0]);
      return;
    case SN_OP_DIV: mean(x, n); return;
    case SN_OP_GATHER: number(x, n, 1, first->dim[sn_node_attr(n, "batch")->i]); return;
    case SN_OP_SCATTER: number(x, n, 0, result->dim[sn_node_attr(n, "batch")->i]); return;
    case SN_OP_PICK:
    case SN_OP_CROSS_ENTROPY: number(x, n, 1, first->dim[first->rank - 1]); return;
    case SN_OP_INDEX:
    case SN_OP_INDEX_ADD:
      for (int k = 1; k < n->arg_count; k++) number(x, n, k, (n->op == SN_OP_INDEX ? first : result)->dim[k - 1]);
      return;
    case SN_OP_DYN_SLICE:
      axis = sn_node_attr(n, "axis")->i;
      start(x, n, 1, first->dim[axis], result->dim[axis]);
      return;
    case SN_OP_DYN_WRITE:
      axis = sn_node_attr(n, "axis")->i;
      if (axis == 0 && sn_val_type(x->f, n->arg[2])->rank)
        number(x, n, 2, result->dim[0]);
      else if (!sn_node_attr(n, "ring")->i)
        start(x, n, 2, result->dim[axis], sn_val_type(x->f, n->arg[1])->dim[axis]);
      return;
    default: return;
  }
}

void sn_plan_find_limits(const sn_module *m, sn_plan *p) {
  for (int g = 0; g < p->graph_count; g++) {
    const sn_func *f = sn_module_find(m, p->graph[g].name);
    finder x = {.plan = p, .f = f, .graph = g};
    for (int i = 0; f && i < f->node_count; i++) look_at(&x, f->node[i]);
  }
}
