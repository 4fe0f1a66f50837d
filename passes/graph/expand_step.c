/* Expand, steps of scans: an instance cannot store at a position that it computes itself, so scatter_add, index_add and
 * dynamic_write at such positions become what every element can say of itself: which update is mine? */
#include "passes/graph/expand_step.h"

/* Positions that the instance is given, or that follow from a place: what kernels can store at. */
static bool is_given(const sn_build *b, sn_val v, int states) {
  const sn_node *n = sn_node_of(b->func, v);
  while (sn_op_get(n->op)->cls == SN_CLASS_VIEW) n = sn_node_of(b->func, n->arg[0]);
  if (n->op == SN_OP_IOTA) return true;
  return n->op == SN_OP_ARG && sn_node_attr(n, "index")->i >= states && n->type[0]->elem == SN_ELEM_I32;
}

/* Axes first .. first + count - 1. */
static void run_of_axes(int first, int count, int64_t *axes) {
  for (int i = 0; i < count; i++) axes[i] = first + i;
}

static const sn_type *with_elem(const sn_build *b, const sn_type *t, sn_elem e) {
  return sn_type_with_elem(b->func->module->types, t, e);
}

static sn_val chosen(sn_build *b, sn_val mask, sn_val x) {
  return sn_g3(b, SN_OP_SELECT, mask, x, sn_g_const_like(b, x, 0));
}

/* updates [batch.., picks.., rest..] at idx [batch.., picks..] -> [batch.., rows, rest..]: over [batch.., picks..,
 * rows, rest..], the sum along the picks of the updates whose number is the row's. 0: too many axes */
static sn_val scatter(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_type *idx = sn_g_type(b, arg[0]), *u = sn_g_type(b, arg[1]);
  int batch = (int)sn_node_attr(n, "batch")->i, picks = idx->rank - batch, at = idx->rank;
  const sn_dimx *dim[SN_RANK_MAX];
  int64_t from_idx[SN_RANK_MAX], from_u[SN_RANK_MAX], summed[SN_RANK_MAX];
  if (u->rank + 1 > SN_RANK_MAX) return 0;
  for (int i = 0; i < at; i++) dim[i] = u->dim[i];
  dim[at] = sn_node_attr(n, "rows")->d;
  for (int i = at; i < u->rank; i++) dim[i + 1] = u->dim[i];
  const sn_type *space = sn_type_of(b->func->module->types, u->elem, u->rank + 1, dim);
  run_of_axes(0, at, from_idx);
  run_of_axes(0, at, from_u);
  run_of_axes(at + 1, u->rank - at, from_u + at);
  run_of_axes(batch, picks, summed);
  sn_val row = sn_g_iota(b, with_elem(b, space, idx->elem), at);
  sn_val mine = sn_g2(b, SN_OP_EQ, row, sn_g_broadcast(b, arg[0], space->rank, space->dim, from_idx));
  return sn_g_sum(b, chosen(b, mine, sn_g_broadcast(b, arg[1], space->rank, space->dim, from_u)), picks, summed);
}

/* The same for single elements: over [updates.., shape..]. */
static sn_val index_add(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_type *u = sn_g_type(b, arg[0]), *t = n->type[0];
  const sn_dimx *dim[2 * SN_RANK_MAX];
  int64_t axes[SN_RANK_MAX];
  sn_val mine = 0;
  if (u->rank + t->rank > SN_RANK_MAX) return 0;
  for (int i = 0; i < u->rank; i++) dim[i] = u->dim[i];
  for (int i = 0; i < t->rank; i++) dim[u->rank + i] = t->dim[i];
  const sn_type *space = sn_type_of(b->func->module->types, u->elem, u->rank + t->rank, dim);
  run_of_axes(0, u->rank, axes);
  for (int i = 0; i < t->rank; i++) {
    sn_val place = sn_g_iota(b, with_elem(b, space, sn_g_type(b, arg[1 + i])->elem), u->rank + i);
    sn_val here = sn_g2(b, SN_OP_EQ, place, sn_g_broadcast(b, arg[1 + i], space->rank, space->dim, axes));
    mine = mine ? sn_g2(b, SN_OP_AND, mine, here) : here;
  }
  return sn_g_sum(b, chosen(b, mine, sn_g_broadcast(b, arg[0], space->rank, space->dim, axes)), u->rank, axes);
}

static sn_val dim_like(sn_build *b, const sn_dimx *d, sn_val like) {
  return sn_g_expand_to(b, sn_g_dim(b, d), sn_g_type(b, like));
}

/* Element p along the axis is row p - start of the update where that exists, else what it was. */
static sn_val write(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_type *t = n->type[0], *at = with_elem(b, t, SN_ELEM_I32);
  int axis = (int)sn_node_attr(n, "axis")->i;
  const sn_dimx *extent = t->dim[axis], *rows = sn_g_type(b, arg[1])->dim[axis];
  const int64_t first[1] = {0};
  sn_val start = sn_g_broadcast(b, sn_g_cast(b, arg[2], SN_ELEM_I32), t->rank, t->dim, first);
  sn_val zero = sn_g_const(b, at, 0), count = dim_like(b, rows, zero);
  bool ring = sn_node_attr(n, "ring")->i != 0;
  if (!ring) start = sn_g2(b, SN_OP_MIN, start, sn_g2(b, SN_OP_SUB, dim_like(b, extent, zero), count));
  start = sn_g2(b, SN_OP_MAX, start, zero);
  sn_val row = sn_g2(b, SN_OP_SUB, sn_g_iota(b, at, axis), start);
  if (ring) row = sn_g2(b, SN_OP_MOD, row, dim_like(b, extent, zero));
  sn_val inside = sn_g2(b, SN_OP_AND, sn_g2(b, SN_OP_LE, zero, row), sn_g2(b, SN_OP_LT, row, count));
  sn_val last = sn_g2(b, SN_OP_SUB, count, sn_g_const(b, at, 1));
  sn_val pick[SN_RANK_MAX + 1] = {arg[1]};
  for (int i = 0; i < t->rank; i++) pick[1 + i] = sn_g_iota(b, at, i);
  pick[1 + axis] = sn_g2(b, SN_OP_MAX, sn_g2(b, SN_OP_MIN, row, last), zero);
  return sn_g3(b, SN_OP_SELECT, inside, sn_emit(b, SN_OP_INDEX, t->rank + 1, pick, NULL, NULL), arg[0]);
}

/* Rows of axis 0 by number: the row of the update with that number, of several the last, else what it was. */
static sn_val write_numbered(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_type *t = n->type[0], *at = with_elem(b, t, SN_ELEM_I32), *number = sn_g_type(b, arg[2]);
  const sn_dimx *pair[2] = {t->dim[0], number->dim[0]};
  const sn_type *pairs = sn_type_of(b->func->module->types, SN_ELEM_I32, 2, pair);
  const int64_t first[1] = {0}, second[1] = {1};
  sn_val same = sn_g2(b, SN_OP_EQ, sn_g_iota(b, pairs, 0), sn_g_broadcast(b, arg[2], 2, pair, second));
  sn_val update = sn_g2(b, SN_OP_ADD, sn_g_iota(b, pairs, 1), sn_g_const(b, pairs, 1));
  sn_val last = sn_g_amax(b, sn_g3(b, SN_OP_SELECT, same, update, sn_g_const(b, pairs, 0)), 1, second);
  last = b->failed ? 0 : sn_g_broadcast(b, last, t->rank, t->dim, first);
  sn_val one = sn_g_const(b, at, 1), zero = sn_g_const(b, at, 0), pick[SN_RANK_MAX + 1] = {arg[1]};
  for (int i = 0; i < t->rank; i++) pick[1 + i] = sn_g_iota(b, at, i);
  pick[1] = sn_g2(b, SN_OP_MAX, sn_g2(b, SN_OP_SUB, last, one), zero);
  sn_val taken = sn_emit(b, SN_OP_INDEX, t->rank + 1, pick, NULL, NULL);
  return sn_g3(b, SN_OP_SELECT, sn_g2(b, SN_OP_LT, zero, last), taken, arg[0]);
}

static bool is_numbered(const sn_build *b, const sn_node *n, const sn_val *arg) {
  return sn_node_attr(n, "axis")->i == 0 && sn_g_type(b, arg[2])->rank == 1;
}

sn_val sn_expand_store(sn_build *b, const sn_node *n, const sn_val *arg, int states) {
  bool given = true;
  switch (n->op) {
    case SN_OP_SCATTER: return is_given(b, arg[0], states) ? 0 : scatter(b, n, arg);
    case SN_OP_DYN_WRITE:
      if (is_given(b, arg[2], states)) return 0;
      return is_numbered(b, n, arg) ? write_numbered(b, n, arg) : write(b, n, arg);
    case SN_OP_INDEX_ADD:
      for (int i = 1; i < n->arg_count; i++) given &= is_given(b, arg[i], states);
      return given ? 0 : index_add(b, n, arg);
    default: return 0;
  }
}
