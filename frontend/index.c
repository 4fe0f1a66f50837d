/* Parts of tensors: slices, concatenation, rows and elements by number, and operations over the last axis. */
#include "frontend/trace.h"

#include <string.h>

/* ---- slices --------------------------------------------------------------------------------------------- */

sn_t sn_at_at(sn_here here, sn_t x, int64_t i) {
  sn_call c = sn_call_on(here, 1, &x);
  const sn_type *t = c.fn ? sn_need(&c, x, "x") : NULL;
  if (!t) return sn_poison(&c);
  if (t->rank == 0 || i < 0 || i >= sn_dimx_min_value(t->dim[0])) {
    sn_mistake(&c, t->rank ? sn_texts(&c, "0 to %s - 1", sn_dim_text(&c, t->dim[0])) : "an axis",
               sn_texts(&c, "%lld of %s", (long long)i, sn_describe(&c, x, sn_spelled(&c, 0))), "no such element");
    return sn_poison(&c);
  }
  sn_types *types = sn_types_of(&c);
  sn_val v = sn_bring(&c, x, sn_spelled(&c, 0));
  v = sn_g_slice_axis(&c.fn->b, v, 0, sn_dimx_const(types, i), sn_dimx_const(types, 1));
  return sn_result(&c, sn_g_reshape(&c.fn->b, v, t->rank - 1, t->dim + 1));
}

static bool is_scalar_index(const sn_type *t) { return t->elem == SN_ELEM_I32 && t->rank <= 1; }

sn_t sn_slice_at(sn_here here, sn_t x, int axis, sn_arg from, sn_ext count) {
  const sn_t both[2] = {x, from.v};
  sn_call c = sn_call_on(here, 2, both);
  const sn_type *t = c.fn ? sn_need(&c, x, "x") : NULL;
  int at = t ? sn_axis_of(&c, t, axis) : -1;
  if (at < 0) return sn_poison(&c);
  const sn_dimx *n = sn_dimx_of(c.trace, count.d);
  sn_val v = sn_bring(&c, x, sn_spelled(&c, 0));
  if (sn_is_number(from.v)) {
    const sn_dimx *start = sn_dimx_const(sn_types_of(&c), (int64_t)from.v.u.num);
    const sn_dimx *rest = sn_dimx_sub(sn_types_of(&c), t->dim[at], sn_dimx_add(sn_types_of(&c), start, n));
    if (from.v.u.num < 0 || sn_dimx_min_value(rest) < 0 || sn_dimx_min_value(n) < 1) {
      const char *found = sn_texts(&c, "%s from %s", sn_dim_text(&c, n), sn_dim_text(&c, start));
      sn_mistake(&c, sn_texts(&c, "elements of axis %d of %s", at, sn_describe(&c, x, sn_spelled(&c, 0))), found,
                 "the slice may reach outside");
      return sn_poison(&c);
    }
    return sn_result(&c, sn_g_slice_axis(&c.fn->b, v, at, start, n));
  }
  if (!is_scalar_index(sn_t_type(from.v))) {
    sn_mistake(&c, "i32[] or i32[B]", sn_describe(&c, from.v, sn_spelled(&c, 2)),
               "the start of the slice does not fit");
    return sn_poison(&c);
  }
  const sn_val arg[2] = {v, sn_bring(&c, from.v, sn_spelled(&c, 2))};
  const sn_attr attr[2] = {{.set = true, .i = at}, {.set = true, .d = n}};
  return sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, SN_OP_DYN_SLICE, 2, arg, attr, NULL));
}

sn_t sn_concat_at(sn_here here, int axis, sn_list x) {
  sn_t values[32];
  for (int i = 0; i < x.count; i++) values[i] = x.at[i].v;
  sn_call c = sn_call_on(here, x.count, values);
  const sn_type *t = c.fn ? sn_need(&c, values[0], sn_spelled(&c, 1)) : NULL;
  int at = t ? sn_axis_of(&c, t, axis) : -1;
  if (at < 0) return sn_poison(&c);
  sn_val arg[32];
  for (int i = 0; i < x.count; i++) {
    const sn_type *ti = sn_need(&c, values[i], sn_spelled(&c, i + 1));
    if (!ti) return sn_poison(&c);
    bool fits = ti->rank == t->rank && ti->elem == t->elem;
    for (int k = 0; fits && k < t->rank; k++) fits = k == at || ti->dim[k] == t->dim[k];
    if (!fits) {
      sn_mistake(&c, sn_texts(&c, "%s but for axis %d", sn_type_text(c.trace->arena, t), at),
                 sn_describe(&c, values[i], sn_spelled(&c, i + 1)), "parts do not fit together");
      return sn_poison(&c);
    }
    arg[i] = sn_bring(&c, values[i], sn_spelled(&c, i + 1));
  }
  return sn_result(&c, c.poison ? 0 : sn_g_concat(&c.fn->b, at, x.count, arg));
}

sn_t sn_pad_at(sn_here here, sn_t x, int axis, sn_ext before, sn_ext after, double value) {
  sn_call c = sn_call_on(here, 1, &x);
  const sn_type *t = c.fn ? sn_need(&c, x, "x") : NULL;
  int at = t ? sn_axis_of(&c, t, axis) : -1;
  if (at < 0) return sn_poison(&c);
  const sn_dimx *first[SN_RANK_MAX], *last[SN_RANK_MAX];
  for (int i = 0; i < t->rank; i++) first[i] = last[i] = sn_dimx_const(sn_types_of(&c), 0);
  first[at] = sn_dimx_of(c.trace, before.d);
  last[at] = sn_dimx_of(c.trace, after.d);
  if (sn_dimx_min_value(first[at]) < 0 || sn_dimx_min_value(last[at]) < 0) {
    const char *found = sn_texts(&c, "%s before, %s after", sn_dim_text(&c, first[at]), sn_dim_text(&c, last[at]));
    sn_mistake(&c, "numbers from 0", found, "the padding may be negative");
    return sn_poison(&c);
  }
  const sn_attr attr[3] = {{.set = true, .dims = first, .count = t->rank},
                           {.set = true, .dims = last, .count = t->rank},
                           {.set = true, .f = value}};
  sn_val v = sn_bring(&c, x, sn_spelled(&c, 0));
  return sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, SN_OP_PAD, 1, &v, attr, NULL));
}

sn_t sn_flip_at(sn_here here, sn_t x, int axis) {
  sn_call c = sn_call_on(here, 1, &x);
  const sn_type *t = c.fn ? sn_need(&c, x, "x") : NULL;
  const sn_attr at = {.set = true, .i = t ? sn_axis_of(&c, t, axis) : -1};
  if (at.i < 0) return sn_poison(&c);
  sn_val v = sn_bring(&c, x, sn_spelled(&c, 0));
  return sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, SN_OP_FLIP, 1, &v, &at, NULL));
}

/* ---- by number -------------------------------------------------------------------------------------------- */

static bool need_index(sn_call *c, sn_t x, int argument) {
  const sn_type *t = sn_need(c, x, sn_spelled(c, argument));
  if (!t) return false;
  if (t->elem == SN_ELEM_I32 || t->elem == SN_ELEM_I64) return true;
  sn_mistake(c, "i32 or i64", sn_describe(c, x, sn_spelled(c, argument)), "the index is not of integers");
  return false;
}

/* Positions taken from a table that is known to be too short. */
static bool check_positions(sn_call *c, sn_t table, sn_t rows) {
  const sn_fact *fact = sn_fact_of(rows.fn, (sn_val)rows.u.id, false);
  const sn_dimx *have = sn_t_type(table)->dim[0];
  if (!fact || !fact->positions) return true;
  int64_t most = sn_dimx_max_value(fact->positions);
  if (most <= sn_dimx_min_value(have)) return true;
  sn_mistake(
      c, sn_texts(c, "at most %s positions, as in %s", sn_dim_text(c, have), sn_describe(c, table, sn_spelled(c, 0))),
      sn_texts(c, "%s, up to %lld", sn_dim_text(c, fact->positions), (long long)most),
      "the table has too few positions");
  return false;
}

static sn_t gather(sn_here here, sn_t table, sn_t rows, int64_t batch) {
  const sn_t x[2] = {table, rows};
  sn_call c = sn_call_on(here, 2, x);
  const sn_type *t = c.fn ? sn_need(&c, table, sn_spelled(&c, 0)) : NULL;
  if (!t || !need_index(&c, rows, 1)) return sn_poison(&c);
  if (t->rank <= batch) {
    sn_mistake(&c, sn_texts(&c, "%d axes or more", (int)batch + 1), sn_describe(&c, table, sn_spelled(&c, 0)),
               "there are no rows");
    return sn_poison(&c);
  }
  if (!batch && !check_positions(&c, table, rows)) return sn_poison(&c);
  const sn_val arg[2] = {sn_bring(&c, table, sn_spelled(&c, 0)), sn_bring(&c, rows, sn_spelled(&c, 1))};
  const sn_attr attr = {.set = batch != 0, .i = batch};
  return sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, SN_OP_GATHER, 2, arg, &attr, NULL));
}

sn_t sn_gather_at(sn_here here, sn_t table, sn_t rows) { return gather(here, table, rows, 0); }

sn_t sn_slots_at(sn_here here, sn_t x, sn_t slots) { return gather(here, x, slots, 1); }

sn_t sn_pick_at(sn_here here, sn_t x, sn_t index) {
  const sn_t both[2] = {x, index};
  sn_call c = sn_call_on(here, 2, both);
  if (!c.fn || !sn_need(&c, x, sn_spelled(&c, 0)) || !need_index(&c, index, 1)) return sn_poison(&c);
  const sn_val arg[2] = {sn_bring(&c, x, sn_spelled(&c, 0)), sn_bring(&c, index, sn_spelled(&c, 1))};
  return sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, SN_OP_PICK, 2, arg, NULL, NULL));
}

/* The shape that the indices broadcast to, as i32; NULL after a mistake. */
static const sn_type *index_shape(sn_call *c, sn_list at) {
  const sn_type *shape = sn_type_scalar(sn_types_of(c), SN_ELEM_I32);
  for (int i = 0; i < at.count; i++) {
    if (sn_is_number(at.at[i].v)) continue;
    if (!need_index(c, at.at[i].v, i + 1)) return NULL;
    int axis = 0;
    const sn_type *joined = sn_join(sn_types_of(c), SN_ELEM_I32, shape, sn_t_type(at.at[i].v), &axis);
    if (!joined) {
      sn_mistake(c, sn_texts(c, "axis %d to agree or be 1", axis), sn_describe(c, at.at[i].v, sn_spelled(c, i + 1)),
                 "indices do not broadcast");
      return NULL;
    }
    shape = joined;
  }
  return shape;
}

/* Indices that are out of range whatever the sizes are. */
static bool check_range(sn_call *c, sn_t x, sn_list at) {
  for (int i = 0; i < at.count; i++) {
    sn_t k = at.at[i].v;
    const sn_dimx *have = sn_t_type(x)->dim[i];
    const sn_fact *fact = sn_is_number(k) ? NULL : sn_fact_of(k.fn, (sn_val)k.u.id, false);
    const char *found = NULL;
    if (sn_is_number(k) && (k.u.num < 0 || k.u.num >= (double)sn_dimx_max_value(have)))
      found = sn_texts(c, "%s, of %s", sn_describe(c, k, ""), sn_describe(c, x, sn_spelled(c, 0)));
    if (fact && fact->below && sn_dimx_min_value(fact->below) > sn_dimx_max_value(have))
      found = sn_texts(c, "%s, 0 to %s - 1, of %s", sn_spelled(c, i + 1), sn_dim_text(c, fact->below),
                       sn_describe(c, x, sn_spelled(c, 0)));
    if (!found) continue;
    sn_mistake(c, sn_texts(c, "0 to %s - 1 on axis %d", sn_dim_text(c, have), i), found, "the index is out of range");
    return false;
  }
  return true;
}

sn_t sn_index_at(sn_here here, sn_t x, sn_list at) {
  sn_t all[33] = {x};
  for (int i = 0; i < at.count; i++) all[i + 1] = at.at[i].v;
  sn_call c = sn_call_on(here, at.count + 1, all);
  const sn_type *t = c.fn ? sn_need(&c, x, sn_spelled(&c, 0)) : NULL;
  if (!t) return sn_poison(&c);
  if (t->rank != at.count) {
    sn_mistake(&c, sn_texts(&c, "one index for each axis of %s", sn_describe(&c, x, sn_spelled(&c, 0))),
               sn_texts(&c, "%d", at.count), "another number of indices");
    return sn_poison(&c);
  }
  const sn_type *shape = index_shape(&c, at);
  if (!shape || !check_range(&c, x, at)) return sn_poison(&c);
  sn_val arg[33] = {sn_bring(&c, x, sn_spelled(&c, 0))};
  for (int i = 0; i < at.count; i++) arg[i + 1] = sn_as(&c, at.at[i].v, shape, sn_spelled(&c, i + 1));
  return sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, SN_OP_INDEX, at.count + 1, arg, NULL, NULL));
}

sn_t sn_arange_at(sn_here here, sn_scope m, sn_ext n) {
  sn_call c = sn_call_in(here, m, 0, NULL);
  const sn_dimx *dim[1];
  if (c.poison || !sn_shape_read(&c, (sn_shape){1, {n}}, dim)) return sn_poison(&c);
  return sn_result(&c, sn_g_iota(&c.fn->b, sn_type_of(sn_types_of(&c), SN_ELEM_I32, 1, dim), 0));
}

/* ---- over the last axis --------------------------------------------------------------------------------------- */

sn_t sn_last_at(sn_here here, const char *op, sn_t x) {
  sn_call c = sn_call_on(here, 1, &x);
  const sn_type *t = c.fn ? sn_need(&c, x, "x") : NULL;
  if (!t) return sn_poison(&c);
  if (t->rank == 0) {
    sn_mistake(&c, "an axis or more", sn_describe(&c, x, sn_spelled(&c, 0)), "there is no last axis");
    return sn_poison(&c);
  }
  sn_val v = sn_bring(&c, x, sn_spelled(&c, 0));
  if (strncmp(op, "arg", 3) != 0 && sn_elem_is_int(t->elem)) v = sn_g_cast(&c.fn->b, v, c.trace->real);
  const sn_attr axis = {.set = true, .i = t->rank - 1};
  return sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, sn_op_find(op), 1, &v, &axis, NULL));
}
