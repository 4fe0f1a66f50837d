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
