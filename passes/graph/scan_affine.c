/* Recognises steps that are affine in their states, element by element: s' = f o s + g.
 *
 * A value of the step is free of the states, affine in them, or neither. Sums of affine values are affine, so are
 * products and quotients with a free value, choices by a free condition, and contractions that only multiply: every
 * letter of the affine operand stays, in its order, and no other appears. Anything else that a state goes into ends it,
 * but only on the way to a next state: outputs are any functions. f is never written down: the derivative of a next
 * state along a state, applied to a value, is the product with it (scan_parallel.c). */
#include "passes/graph/scan_affine.h"

#include <string.h>

#include "passes/graph/scan_form.h"

enum { MOST_STATES = 16, MOST_PRODUCTS = 8, FEW_STEPS = 64, LEAST_CHUNK = 16 };

typedef enum nature { FREE, AFFINE, OTHER } nature;

typedef struct look {
  sn_scan_affine *a;
  nature *is;            /* by value id */
  const sn_node **ended; /* by value id: where it became something else */
  const char **why;
} look;

static nature other(look *k, const sn_node *n, const char *why) {
  k->ended[n->first] = n;
  k->why[n->first] = why;
  return OTHER;
}

/* Does the contraction multiply elements of operand `at` by what the other one holds for them? */
static bool only_multiplies(const sn_node *n, int at) {
  sn_contract_spec s;
  if (sn_node_attr(n, "to")->set || sn_contract_parse(sn_node_attr(n, "spec")->s, &s)) return false;
  const char *mine = at ? s.b : s.a, *others = at ? s.a : s.b;
  if (strcmp(mine, s.out)) return false;
  return strspn(others, s.out) == strlen(others);
}

static bool is_wide(const sn_type *t) {
  return t->elem == SN_ELEM_F32 || t->elem == SN_ELEM_F64 || t->elem == SN_ELEM_I32 || t->elem == SN_ELEM_I64;
}

/* A product, of whatever op: one operand is free. */
static nature product(look *k, const sn_node *n, nature a, nature b) {
  if (a == FREE || b == FREE) return AFFINE;
  return other(k, n, "the product of two values that hold states");
}

/* Of a node that some affine value goes into, and none that is neither. */
static nature nature_of(look *k, const sn_node *n) { /* table */
  nature a = k->is[n->arg[0]], b = n->arg_count > 1 ? k->is[n->arg[1]] : FREE;
  switch (n->op) {
    case SN_OP_ADD:
    case SN_OP_SUB:
    case SN_OP_NEG: return AFFINE;
    case SN_OP_MUL: return product(k, n, a, b);
    case SN_OP_DIV:
      if (!sn_elem_is_float(n->type[0]->elem)) return other(k, n, "a quotient that is rounded");
      return b == FREE ? AFFINE : other(k, n, "a divisor that holds a state");
    case SN_OP_SELECT: return a == FREE ? AFFINE : other(k, n, "a choice that hangs on a state");
    case SN_OP_RESHAPE:
      if (n->type[0] == sn_val_type(k->a->step, n->arg[0])) return AFFINE;
      return other(k, n, "elements of a state in another shape");
    case SN_OP_CONTRACT:
      if (a != FREE && b != FREE) return product(k, n, a, b);
      return only_multiplies(n, a == FREE) ? AFFINE : other(k, n, "a sum over elements of a state");
    case SN_OP_BROADCAST:
    case SN_OP_TRANSPOSE:
    case SN_OP_SLICE:
    case SN_OP_CONCAT: return other(k, n, "elements of a state in other places");
    case SN_OP_CAST: return other(k, n, "a state in another element type");
    case SN_OP_STOP: return other(k, n, "a state whose gradient is stopped");
    default: return other(k, n, "a function that is not affine");
  }
}

static void look_at(look *k, const sn_node *n) {
  sn_scan_affine *a = k->a;
  unsigned holds = 0;
  nature is = FREE;
  if (n->op == SN_OP_ARG && n->attr[0].i < a->states) {
    holds = 1u << n->attr[0].i;
    is = is_wide(n->type[0]) ? AFFINE : other(k, n, "a state of a narrow type");
  }
  for (int i = 0; i < n->arg_count; i++) {
    sn_val v = n->arg[i];
    holds |= a->holds[v];
    if (k->is[v] > is) is = k->is[v];
    if (k->is[v] != OTHER || k->ended[n->first]) continue;
    k->ended[n->first] = k->ended[v];
    k->why[n->first] = k->why[v];
  }
  if (is == AFFINE && n->arg_count) is = nature_of(k, n);
  for (int r = 0; r < n->result_count; r++) {
    sn_val v = n->first + (sn_val)r;
    a->holds[v] = holds;
    k->is[v] = is;
    k->ended[v] = k->ended[n->first];
    k->why[v] = k->why[n->first];
  }
}

/* Which first values are in state i after any number of steps. */
static void find_reach(sn_scan_affine *a) {
  for (int i = 0; i < a->states; i++) a->reach[i] = 1u << i | a->holds[a->step->result[i]];
  for (int j = 0; j < a->states; j++)
    for (int i = 0; i < a->states; i++)
      if (a->reach[i] >> j & 1) a->reach[i] |= a->reach[j];
  for (int i = 0; i < a->states; i++)
    for (unsigned m = a->reach[i]; m; m &= m - 1) a->products++;
}

bool sn_scan_affine_find(sn_arena *arena, const sn_scan_layout *l, sn_scan_affine *out) {
  const sn_func *f = l->step;
  *out = (sn_scan_affine){.step = f, .states = l->states, .holds = SN_ARRAY(arena, f->value_count, unsigned)};
  look k = {out, SN_ARRAY(arena, f->value_count, nature), SN_ARRAY(arena, f->value_count, const sn_node *),
            SN_ARRAY(arena, f->value_count, const char *)};
  out->stop = f->node_count ? f->node[0] : NULL;
  out->why = "no state";
  if (!l->states || !f->node_count) return false;
  out->why = "more states than it is made for";
  if (l->states > MOST_STATES) return false;
  for (int i = 0; i < f->node_count; i++) look_at(&k, f->node[i]);
  for (int i = 0; i < l->states; i++) {
    if (k.is[f->result[i]] != OTHER) continue;
    out->stop = k.ended[f->result[i]];
    out->why = k.why[f->result[i]];
    return false;
  }
  find_reach(out);
  out->why = "too many states that take part in each other";
  if (out->products > MOST_PRODUCTS) return false;
  out->stop = NULL;
  return true;
}

/* ---- the choice -------------------------------------------------------------------------------------------------- */

/* Steps of a chunk; 0 and *why: the walk of all steps is no worse. */
static int chunk_of(const sn_scan_try *t, const sn_scan_layout *l, const sn_scan_make *s, const char **why) {
  sn_arena *arena = t->env->arena;
  const sn_target *target = t->env->target;
  int64_t steps = sn_dimx_max_value(sn_g_type(t->b, t->arg[l->states])->dim[l->time]);
  int wanted = target ? target->instances : 0, chunk = t->chunk ? t->chunk : sn_scan_piece_of(t->b, s);
  bool forced = t->env->scan == SN_SCAN_ASSOCIATIVE;
  *why = sn_arena_printf(arena, "though the step is affine: there are no two chunks of %d steps", chunk);
  if (steps < 2 * chunk) return 0;
  if (forced) return chunk;
  int64_t instances = sn_scan_instances(t, l);
  *why = "though the step is affine: chunks side by side are three times the work, and the target has few cores";
  if (wanted <= 1) return 0;
  *why = sn_arena_printf(arena, "though the step is affine: its %lld instances keep the target busy",
                         (long long)instances);
  if (instances * 4 > wanted) return 0;
  *why = "though the step is affine: there are few steps";
  if (steps < FEW_STEPS) return 0;
  return chunk < LEAST_CHUNK ? LEAST_CHUNK : chunk;
}

const char *sn_scan_associative(sn_scan_try *t) {
  sn_arena *arena = t->env->arena;
  sn_scan_layout l = sn_scan_layout_of(t->node);
  sn_scan_make s = sn_scan_make_of(t->node, t->arg);
  sn_scan_affine a;
  const char *why = NULL;
  if (!sn_scan_affine_find(arena, &l, &a))
    return a.stop ? sn_arena_printf(arena, "%s, %s", a.why, sn_scan_at_line(arena, a.stop)) : a.why;
  int chunk = chunk_of(t, &l, &s, &why), before = t->b->func->node_count;
  if (!chunk) return why;
  bool recompute = sn_scan_is_derived(t->b) && sn_scan_states_dominate(t->b, &s);
  if (!sn_scan_affine_emit(t->b, &a, &s, chunk, recompute, t->out)) return "its operands have too many axes for chunks";
  for (int i = before; i < t->b->func->node_count && !t->b->failed; i++)
    if (t->b->func->node[i]->op == SN_OP_SCAN)
      sn_map_put(t->own, (uint64_t)(uintptr_t)sn_scan_layout_of(t->b->func->node[i]).step, t->own);
  t->done = sn_arena_printf(arena, "%d steps a chunk", chunk);
  return NULL;
}
