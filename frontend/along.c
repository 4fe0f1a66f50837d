/* Operations along an axis: prefixes. */
#include "frontend/trace.h"

#include <string.h>

/* The tensor x, bool as i32, and the axis counted from 0. -> 0 after a mistake */
static sn_val counted(sn_call *c, sn_t x, int axis, int *at) {
  const sn_type *t = c->fn ? sn_need(c, x, sn_spelled(c, 0)) : NULL;
  *at = t ? sn_axis_of(c, t, axis) : -1;
  if (*at < 0) return 0;
  sn_val v = sn_bring(c, x, sn_spelled(c, 0));
  return v && t->elem == SN_ELEM_BOOL ? sn_g_cast(&c->fn->b, v, SN_ELEM_I32) : v;
}

static sn_attr flag(bool on) { return (sn_attr){.set = on, .i = on}; }

sn_t sn_prefix_at(sn_here here, const char *op, sn_prefix_args a) {
  sn_call c = sn_call_on(here, 1, &a.x);
  int axis;
  sn_val v = counted(&c, a.x, a.axis, &axis);
  const sn_attr at[3] = {{.set = true, .i = axis}, flag(a.exclusive), flag(a.reverse)};
  return v ? sn_result(&c, sn_emit(&c.fn->b, sn_op_find(op), 1, &v, at, NULL)) : sn_poison(&c);
}

/* Both results of a node. */
static sn_ranked ranked(sn_call *c, sn_val v) {
  sn_ranked r = {sn_result(c, v)};
  r.positions = sn_is_poison(r.values) ? r.values : (sn_t){.u.id = v + 1, .fn = c->fn};
  return r;
}

static sn_ranked no_ranks(const sn_call *c) { return (sn_ranked){sn_poison(c), sn_poison(c)}; }

sn_ranked sn_cummax_at(sn_here here, sn_prefix_args a) {
  sn_call c = sn_call_on(here, 1, &a.x);
  int axis;
  sn_val v = counted(&c, a.x, a.axis, &axis);
  if (v && a.exclusive) sn_mistake(&c, "a prefix with its own element", "exclusive", "an empty prefix has no maximum");
  if (!v || c.poison) return no_ranks(&c);
  const sn_attr at[2] = {{.set = true, .i = axis}, flag(a.reverse)};
  return ranked(&c, sn_emit(&c.fn->b, SN_OP_CUMMAX, 1, &v, at, NULL));
}

sn_t sn_recur_at(sn_here here, sn_arg a, sn_arg b, sn_recur_opt o) {
  const sn_t both[2] = {a.v, b.v};
  sn_call c = sn_call_on(here, 2, both);
  bool first = sn_is_number(b.v); /* the one whose shape counts */
  const sn_type *t = c.fn ? sn_need(&c, both[!first], sn_spelled(&c, !first)) : NULL;
  int axis = t ? sn_axis_of(&c, t, o.axis) : -1;
  if (axis < 0) return sn_poison(&c);
  if (sn_elem_is_int(t->elem)) t = sn_type_with_elem(sn_types_of(&c), t, c.trace->real);
  const sn_val arg[2] = {sn_as(&c, a.v, t, sn_spelled(&c, 0)), sn_as(&c, b.v, t, sn_spelled(&c, 1))};
  const sn_attr at[2] = {{.set = true, .i = axis}, flag(o.reverse)};
  return sn_result(&c, c.poison || !arg[0] || !arg[1] ? 0 : sn_emit(&c.fn->b, SN_OP_RECUR, 2, arg, at, NULL));
}

/* ---- order ------------------------------------------------------------------------------------------------ */

static sn_ranked sorted(sn_call *c, sn_val v, int axis, const sn_dimx *count, bool descending) {
  const sn_attr at[3] = {{.set = true, .i = axis}, {.set = true, .d = count}, flag(descending)};
  return ranked(c, sn_emit(&c->fn->b, SN_OP_SORT, 1, &v, at, NULL));
}

sn_ranked sn_sort_at(sn_here here, sn_sort_args a) {
  sn_call c = sn_call_on(here, 1, &a.x);
  int axis;
  sn_val v = counted(&c, a.x, a.axis, &axis);
  return v ? sorted(&c, v, axis, sn_g_type(&c.fn->b, v)->dim[axis], a.descending) : no_ranks(&c);
}

sn_ranked sn_top_k_at(sn_here here, sn_t x, sn_ext k) {
  sn_call c = sn_call_on(here, 1, &x);
  int axis;
  sn_val v = counted(&c, x, -1, &axis);
  if (!v) return no_ranks(&c);
  const sn_dimx *n = sn_g_type(&c.fn->b, v)->dim[axis], *count = sn_dimx_of(c.trace, k.d);
  if (sn_dimx_min_value(count) < 1 || sn_dimx_min_value(sn_dimx_sub(sn_types_of(&c), n, count)) < 0) {
    sn_mistake(&c,
               sn_texts(&c, "1 to %s, the last axis of %s", sn_dim_text(&c, n), sn_describe(&c, x, sn_spelled(&c, 0))),
               sn_dim_text(&c, count), "there are not as many");
    return no_ranks(&c);
  }
  return sorted(&c, v, axis, count, true);
}

/* ---- by order and by segment ---------------------------------------------------------------------------------- */

sn_t sn_searchsorted_at(sn_here here, sn_search_args a) {
  const sn_t both[2] = {a.sorted, a.values};
  sn_call c = sn_call_on(here, 2, both);
  const sn_type *t = c.fn ? sn_need(&c, a.sorted, sn_spelled(&c, 0)) : NULL;
  if (!t || !sn_need(&c, a.values, sn_spelled(&c, 1))) return sn_poison(&c);
  const sn_val arg[2] = {sn_bring(&c, a.sorted, sn_spelled(&c, 0)), sn_bring(&c, a.values, sn_spelled(&c, 1))};
  const sn_attr at = flag(a.right);
  return sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, SN_OP_SEARCHSORTED, 2, arg, &at, NULL));
}

static bool need_numbers(sn_call *c, sn_t ids) {
  const sn_type *t = sn_need(c, ids, sn_spelled(c, 1));
  if (!t || t->elem == SN_ELEM_I32 || t->elem == SN_ELEM_I64) return t != NULL;
  sn_mistake(c, "i32 or i64", sn_describe(c, ids, sn_spelled(c, 1)), "the segments are not of integers");
  return false;
}

sn_t sn_segment_sum_at(sn_here here, sn_t x, sn_t ids, sn_ext count) {
  const sn_t both[2] = {x, ids};
  sn_call c = sn_call_on(here, 2, both);
  const sn_dimx *rows[1];
  const sn_type *t = c.fn ? sn_need(&c, x, sn_spelled(&c, 0)) : NULL;
  if (!t || !need_numbers(&c, ids) || !sn_shape_read(&c, (sn_shape){1, {count}}, rows)) return sn_poison(&c);
  sn_val v = sn_bring(&c, x, sn_spelled(&c, 0));
  if (v && t->elem == SN_ELEM_BOOL) v = sn_g_cast(&c.fn->b, v, SN_ELEM_I32);
  const sn_val arg[2] = {sn_bring(&c, ids, sn_spelled(&c, 1)), v};
  const sn_attr at[2] = {{0}, {.set = true, .d = rows[0]}};
  return sn_result(&c, c.poison || !v ? 0 : sn_emit(&c.fn->b, SN_OP_SCATTER, 2, arg, at, NULL));
}

/* Where the j-th selected element of each row stands: the first place at which j + 1 have been counted; the last one
 * behind them all. mask: bool [b.., N] -> i32 [b.., N]; *exists: bool, j < how many; *number: i32 [b..] */
static sn_val selected(sn_build *b, sn_val mask, sn_val *exists, sn_val *number) {
  const sn_type *t = sn_type_with_elem(b->func->module->types, sn_g_type(b, mask), SN_ELEM_I32);
  const int64_t axis[1] = {t->rank - 1};
  const sn_attr at[3] = {{.set = true, .i = axis[0]}};
  sn_val ones = sn_g_cast(b, mask, SN_ELEM_I32), counted = sn_emit(b, SN_OP_CUMSUM, 1, &ones, at, NULL);
  sn_val j = sn_g_iota(b, t, t->rank - 1), one = sn_g_const(b, t, 1);
  const sn_val find[2] = {counted, sn_g2(b, SN_OP_ADD, j, one)};
  const sn_attr left = {0};
  sn_val place = sn_emit(b, SN_OP_SEARCHSORTED, 2, find, &left, NULL);
  sn_val last = sn_g2(b, SN_OP_SUB, sn_g_expand_to(b, sn_g_dim(b, t->dim[t->rank - 1]), t), one);
  *number = sn_g_sum(b, ones, 1, axis);
  if (b->failed) return 0;
  *exists = sn_g2(b, SN_OP_LT, j, sn_g_unreduce(b, *number, j, 1, axis));
  return sn_g2(b, SN_OP_MIN, place, last);
}

static sn_compacted nothing(const sn_call *c) { return (sn_compacted){sn_poison(c), sn_poison(c), sn_poison(c)}; }

sn_compacted sn_compact_at(sn_here here, sn_t x, sn_t mask) {
  const sn_t both[2] = {x, mask};
  sn_call c = sn_call_on(here, 2, both);
  const sn_type *t = c.fn ? sn_need(&c, x, sn_spelled(&c, 0)) : NULL;
  const sn_type *mt = t ? sn_need(&c, mask, sn_spelled(&c, 1)) : NULL;
  if (!mt) return nothing(&c);
  bool fits = mt->elem == SN_ELEM_BOOL && mt->rank >= 1 && mt->rank <= t->rank;
  for (int i = 0; fits && i < mt->rank; i++) fits = mt->dim[i] == t->dim[i];
  if (!fits) {
    sn_mistake(&c, sn_texts(&c, "bool of the leading axes of %s", sn_describe(&c, x, sn_spelled(&c, 0))),
               sn_describe(&c, mask, sn_spelled(&c, 1)), "the predicate does not fit");
    return nothing(&c);
  }
  sn_build *b = &c.fn->b;
  sn_val v = sn_bring(&c, x, sn_spelled(&c, 0)), m = sn_bring(&c, mask, sn_spelled(&c, 1)), exists = 0, number = 0;
  if (c.poison) return nothing(&c);
  sn_val place = selected(b, m, &exists, &number);
  const sn_val pick[2] = {v, place};
  const sn_attr batch = {.set = mt->rank > 1, .i = mt->rank - 1};
  int64_t axes[SN_RANK_MAX];
  for (int i = 0; i < mt->rank; i++) axes[i] = i;
  sn_val rows = sn_emit(b, SN_OP_GATHER, 2, pick, &batch, NULL);
  if (b->failed) return (sn_compacted){sn_result(&c, 0), sn_poison(&c), sn_poison(&c)};
  sn_val kept = sn_g_broadcast(b, exists, t->rank, t->dim, axes);
  rows = sn_g3(b, SN_OP_SELECT, kept, rows, sn_g_const(b, t, 0));
  return (sn_compacted){sn_result(&c, rows), sn_result(&c, number), sn_result(&c, place)};
}

/* ---- systems and convolutions ------------------------------------------------------------------------------------ */

sn_t sn_solve_lower_at(sn_here here, sn_solve_args a) {
  const sn_t both[2] = {a.l, a.x};
  sn_call c = sn_call_on(here, 2, both);
  if (!c.fn || !sn_need(&c, a.l, sn_spelled(&c, 0)) || !sn_need(&c, a.x, sn_spelled(&c, 1))) return sn_poison(&c);
  const sn_val arg[2] = {sn_bring(&c, a.l, sn_spelled(&c, 0)), sn_bring(&c, a.x, sn_spelled(&c, 1))};
  const sn_attr at = flag(a.transposed);
  return sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, SN_OP_SOLVE, 2, arg, &at, NULL));
}

typedef struct orthonormal {
  sn_here here;
  double eps;
} orthonormal;

/* Gram-Schmidt: what is left of x[0] outside the rows before, of length 1; h[0]: the projection on what they leave. */
static sn_t next_row(sn_t h[], const sn_t x[], const void *opt) {
  const orthonormal *o = opt;
  const sn_arg left[2] = {{h[0]}, {x[0]}};
  sn_t u = sn_l2_norm_at(o->here, sn_einsum_at(o->here, "ij,j->i", (sn_list){2, left}), o->eps);
  const sn_arg twice[2] = {{u}, {u}};
  h[0] = sn_x_sub(o->here, h[0], sn_einsum_at(o->here, "i,j->ij", (sn_list){2, twice}));
  return u;
}

sn_t sn_orthonormal_at(sn_here here, sn_t x, double eps) {
  sn_call c = sn_call_on(here, 1, &x);
  const sn_type *t = c.fn ? sn_need(&c, x, sn_spelled(&c, 0)) : NULL;
  if (!t || c.poison) return sn_poison(&c);
  if (t->rank != 3 || !sn_elem_is_float(t->elem) || t->elem != c.trace->real) {
    sn_mistake(&c, "rows [B, n, d] of the working float", sn_describe(&c, x, sn_spelled(&c, 0)), "x does not fit");
    return sn_poison(&c);
  }
  const orthonormal o = {here, eps};
  const sn_scope m = {.fn = c.trace->inner};
  sn_dim B = sn_size(x, 0), d = sn_size(x, 2);
  sn_t i = sn_arange_at(here, m, SN_D(d)), j = sn_rearrange_at(here, (sn_axes){.x = i, .spec = "i->i1"});
  sn_t one = sn_cast_at(here, (sn_arg){sn_op2(here, "eq", (sn_arg){i}, (sn_arg){j})}, SN_REAL);
  sn_t left = sn_x_add(here, sn_zeros_at(here, m, SN_REAL, (sn_shape){3, {{B}, {d}, {d}}}), one);
  const sn_arg rows = {x};
  return sn_scan_at(here, next_row, "bt", (sn_t *[]){&left, NULL}, (sn_list){1, &rows}, (sn_scan_opt){.opt = &o});
}

static sn_attr above(int64_t i, int64_t usual) { return (sn_attr){.set = i && i != usual, .i = i}; }

sn_t sn_conv1d_at(sn_here here, sn_conv1d_args a) {
  const sn_t both[2] = {a.x, a.w};
  sn_call c = sn_call_on(here, 2, both);
  const sn_type *w = c.fn && sn_need(&c, a.x, sn_spelled(&c, 0)) ? sn_need(&c, a.w, sn_spelled(&c, 1)) : NULL;
  int64_t taps = 1;
  if (!w) return sn_poison(&c);
  if (a.causal && w->rank == 3 && sn_dimx_is_const(w->dim[0], &taps))
    a.left = (a.dilation ? a.dilation : 1) * (taps - 1), a.right = 0;
  const sn_val arg[2] = {sn_bring(&c, a.x, sn_spelled(&c, 0)), sn_bring(&c, a.w, sn_spelled(&c, 1))};
  const sn_attr at[5] = {{.set = true, .i = a.left},
                         {.set = true, .i = a.right},
                         above(a.stride, 1),
                         above(a.dilation, 1),
                         above(a.groups, 1)};
  return sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, SN_OP_CONV1D, 2, arg, at, NULL));
}
