/* Graph of fused nodes -> order of execution. A result that becomes the next value of a state is written in place when
 * everything that reads the old value can run before, and the guard does not depend on it. Writes wait for the check.
 *
 *   1. Every update whose kernel may write over the state is a candidate.
 *   2. Edges: operand -> user, reader of a state -> its writer, guard -> check -> writer.
 *   3. In order of the graph, whatever has no open edges. When nothing is left ready, a candidate is given up (its
 * result goes to a temporary and is copied at the end) and the search starts again: candidates only become fewer. */
#include "passes/plan/order.h"

#include <string.h>

#include "ir/base/plant.h"

typedef struct order {
  sn_arena *arena;
  const sn_func *f;
  int n;         /* nodes; position n is the check */
  sn_val *state; /* by value id */
  int *blocked;  /* by position: open edges */
  bool *done;
  bool has_check;
} order;

sn_val sn_order_base(const sn_func *f, sn_val v) {
  while (sn_node_of(f, v)->op == SN_OP_RESHAPE) v = sn_node_of(f, v)->arg[0];
  return v;
}

static bool computes(const sn_node *n) {
  sn_op_class cls = sn_op_get(n->op)->cls;
  return cls != SN_CLASS_LEAF && cls != SN_CLASS_VIEW;
}

sn_val sn_order_source(const sn_func *f, sn_val v) {
  while (sn_op_get(sn_node_of(f, v)->op)->cls == SN_CLASS_VIEW) v = sn_node_of(f, v)->arg[0];
  return v;
}

static int position_of(const order *o, const sn_node *n) {
  for (int lo = 0, hi = o->n - 1; lo <= hi;) {
    int mid = (lo + hi) / 2;
    if (o->f->node[mid]->first == n->first) return mid;
    if (o->f->node[mid]->first < n->first)
      lo = mid + 1;
    else
      hi = mid - 1;
  }
  return -1;
}

static bool writes_state(const order *o, const sn_node *n) {
  for (int r = 0; r < n->result_count; r++)
    if (o->state[n->first + (sn_val)r]) return true;
  return false;
}

static bool reads(const order *o, const sn_node *n, sn_val v) {
  for (int i = 0; i < n->arg_count; i++)
    if (sn_order_source(o->f, n->arg[i]) == v) return true;
  return false;
}

/* Has every edge into position p come from something that is done? */
static bool is_ready(const order *o, int p) {
  if (p == o->n) {
    const sn_node *g = sn_node_of(o->f, sn_order_source(o->f, o->f->guard));
    return !computes(g) || o->done[position_of(o, g)];
  }
  const sn_node *n = o->f->node[p];
  for (int i = 0; i < n->arg_count; i++) {
    const sn_node *a = sn_node_of(o->f, sn_order_source(o->f, n->arg[i]));
    if (computes(a) && !o->done[position_of(o, a)]) return false;
  }
  if (!writes_state(o, n)) return true;
  if (o->has_check && !o->done[o->n]) return false;
  if (SN_PLANTED(OVERWRITE)) return true;
  for (int q = 0; q < o->n; q++) {
    if (q == p || o->done[q] || !computes(o->f->node[q])) continue;
    for (int r = 0; r < n->result_count; r++) {
      sn_val s = o->state[n->first + (sn_val)r];
      if (s && reads(o, o->f->node[q], s)) return false;
    }
  }
  return true;
}

/* -> number placed; `left` is one that could not be placed */
static int schedule(order *o, int *at) {
  int count = 0;
  memset(o->done, 0, (size_t)(o->n + 1) * sizeof *o->done);
  for (bool news = true; news;) {
    news = false;
    for (int p = 0; p <= o->n; p++) {
      if (o->done[p] || (p == o->n ? !o->has_check : !computes(o->f->node[p])) || !is_ready(o, p)) continue;
      o->done[p] = true;
      at[count++] = p == o->n ? SN_ORDER_CHECK : p;
      news = true;
    }
  }
  return count;
}

static void give_up_one(order *o) {
  for (int p = 0; p < o->n; p++) {
    const sn_node *n = o->f->node[p];
    if (o->done[p] || !writes_state(o, n)) continue;
    for (int r = 0; r < n->result_count; r++) o->state[n->first + (sn_val)r] = 0;
    return;
  }
}

static bool is_update_twice(const sn_func *f, int i) {
  for (int k = 0; k < i; k++)
    if (sn_order_base(f, f->update[k].next) == sn_order_base(f, f->update[i].next)) return true;
  return false;
}

sn_order sn_order_find(sn_arena *arena, const sn_func *f, bool (*may_write)(void *, const sn_node *, int, sn_val),
                       void *user) {
  order o = {.arena = arena, .f = f, .n = f->node_count, .has_check = f->guard != 0};
  o.state = SN_ARRAY(arena, f->value_count, sn_val);
  o.done = SN_ARRAY(arena, o.n + 1, bool);
  int *at = SN_ARRAY(arena, o.n + 1, int), total = o.has_check, count;
  for (int i = 0; i < o.n; i++) total += computes(f->node[i]);
  for (int i = 0; i < f->update_count; i++) {
    sn_val v = sn_order_base(f, f->update[i].next);
    const sn_node *n = sn_node_of(f, v);
    if (computes(n) && !is_update_twice(f, i) && may_write(user, n, (int)(v - n->first), f->update[i].state))
      o.state[v] = f->update[i].state;
  }
  while ((count = schedule(&o, at)) < total) give_up_one(&o);
  sn_order_waves(f, o.state, at, count);
  return (sn_order){count, at, o.state};
}
