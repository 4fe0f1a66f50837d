/* Rules of views (reshape, transpose, broadcast, slice) and of their partners concat, pad and flip. */
#include "ir/ops/rules.h"

#include <math.h>
#include <stdio.h>

static sn_types *types_of(sn_grad_rule *g) { return sn_b_types(g->b); }

/* ---- reshape ---- */

static sn_code infer_reshape(sn_infer *in) {
  const sn_type *t;
  SN_TRY(sn_infer_shape(in, in->arg[0]->elem, sn_infer_attr(in, "shape"), &t));
  if (sn_type_count(sn_infer_types(in), t) != sn_type_count(sn_infer_types(in), in->arg[0]))
    return sn_infer_want(in, 0, "as many elements as %s", sn_infer_text(in, t));
  return sn_infer_one(in, t);
}

static void grad_reshape(sn_grad_rule *g) {
  const sn_type *t = sn_g_type(g->b, g->arg[0]);
  g->d_arg[0] = sn_g_reshape(g->b, g->d_result[0], t->rank, t->dim);
}

/* ---- transpose ---- */

static sn_code infer_transpose(sn_infer *in) {
  const sn_attr *perm = sn_infer_attr(in, "perm");
  const sn_type *x = in->arg[0];
  const sn_dimx *dim[SN_RANK_MAX];
  unsigned seen = 0;
  if (perm->count != x->rank) return sn_infer_want(in, 0, "rank %d, the length of perm", perm->count);
  for (int i = 0; i < x->rank; i++) {
    int64_t a = perm->ints[i];
    if (a < 0 || a >= x->rank || (seen >> a & 1)) return sn_infer_fail(in, "perm is not a permutation");
    seen |= 1u << a;
    dim[i] = x->dim[a];
  }
  return sn_infer_one(in, sn_type_of(sn_infer_types(in), x->elem, x->rank, dim));
}

static void grad_transpose(sn_grad_rule *g) {
  const sn_attr *perm = sn_node_attr(g->node, "perm");
  int64_t inverse[SN_RANK_MAX];
  for (int i = 0; i < perm->count; i++) inverse[perm->ints[i]] = i;
  g->d_arg[0] = sn_g_transpose(g->b, g->d_result[0], inverse);
}

/* ---- broadcast ---- */

static sn_code infer_broadcast(sn_infer *in) {
  const sn_attr *axes = sn_infer_attr(in, "axes");
  const sn_type *x = in->arg[0], *t;
  SN_TRY(sn_infer_shape(in, x->elem, sn_infer_attr(in, "shape"), &t));
  if (axes->count != x->rank) return sn_infer_want(in, 0, "rank %d, the length of axes", axes->count);
  for (int i = 0; i < x->rank; i++) {
    int64_t a = axes->ints[i];
    if (a < 0 || a >= t->rank || (i && a <= axes->ints[i - 1])) return sn_infer_fail(in, "axes are not ascending");
    if (x->dim[i] != t->dim[a] && !sn_dimx_is_one(x->dim[i]))
      return sn_infer_want(in, 0, "an extent of axis %d that is 1 or that of axis %d of %s", i, (int)a,
                           sn_infer_text(in, t));
  }
  return sn_infer_one(in, t);
}

/* Sum over the axes that were repeated. */
static void grad_broadcast(sn_grad_rule *g) {
  const sn_attr *axes = sn_node_attr(g->node, "axes");
  const sn_type *x = sn_g_type(g->b, g->arg[0]), *t = sn_g_type(g->b, g->d_result[0]);
  int64_t summed[SN_RANK_MAX];
  int n = 0, k = 0;
  for (int i = 0; i < t->rank; i++) {
    bool mapped = k < x->rank && axes->ints[k] == i;
    if (!mapped || x->dim[k] != t->dim[i]) summed[n++] = i;
    k += mapped;
  }
  sn_val s = sn_g_sum(g->b, g->d_result[0], n, summed);
  g->d_arg[0] = sn_g_reshape(g->b, s, x->rank, x->dim);
}

/* ---- slice ---- */

static sn_code infer_slice(sn_infer *in) {
  const sn_attr *start = sn_infer_attr(in, "start"), *shape = sn_infer_attr(in, "shape");
  const sn_type *x = in->arg[0], *t;
  SN_TRY(sn_infer_shape(in, x->elem, shape, &t));
  if (start->count != x->rank || t->rank != x->rank)
    return sn_infer_want(in, 0, "rank %d, the length of start and shape", t->rank);
  for (int i = 0; i < x->rank; i++) {
    const sn_dimx *end = sn_dimx_add(sn_infer_types(in), start->dims[i], shape->dims[i]);
    const sn_dimx *rest = sn_dimx_sub(sn_infer_types(in), x->dim[i], end);
    if (sn_dimx_min_value(start->dims[i]) >= 0 && sn_dimx_min_value(rest) >= 0) continue;
    sn_text found = sn_text_begin(sn_types_arena(sn_infer_types(in)));
    sn_dimx_print(&found, start->dims[i]);
    sn_text_add(&found, " to ");
    sn_dimx_print(&found, end);
    sn_code code = sn_infer_fail(in, "axis %d is cut where it may not exist", i);
    sn_fail_expected(in->diags, "rows of %s", sn_infer_text(in, x));
    sn_fail_found(in->diags, "%s", found.at);
    return code;
  }
  return sn_infer_one(in, t);
}

/* `count` equal elements along one axis, the other extents as in d. */
static sn_val fill_along(sn_build *b, sn_val d, int axis, const sn_dimx *count, double value) {
  const sn_type *t = sn_g_type(b, d);
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i < t->rank; i++) dim[i] = i == axis ? count : t->dim[i];
  return sn_g_const(b, sn_type_of(sn_b_types(b), t->elem, t->rank, dim), value);
}

/* x with elements before and after it along one axis. */
static sn_val pad_axis(sn_build *b, sn_val x, int axis, const sn_dimx *before, const sn_dimx *after, double value) {
  sn_val part[3];
  int n = 0;
  int64_t c;
  if (b->failed) return 0;
  if (!sn_dimx_is_const(before, &c) || c) part[n++] = fill_along(b, x, axis, before, value);
  part[n++] = x;
  if (!sn_dimx_is_const(after, &c) || c) part[n++] = fill_along(b, x, axis, after, value);
  return sn_g_concat(b, axis, n, part);
}

/* Zeros before and after, axis by axis. */
static void grad_slice(sn_grad_rule *g) {
  const sn_attr *start = sn_node_attr(g->node, "start");
  const sn_type *x = sn_g_type(g->b, g->arg[0]), *t = sn_g_type(g->b, g->d_result[0]);
  sn_val d = g->d_result[0];
  for (int i = 0; i < x->rank && !g->b->failed; i++) {
    if (x->dim[i] == t->dim[i]) continue;
    const sn_dimx *after = sn_dimx_sub(types_of(g), sn_dimx_sub(types_of(g), x->dim[i], start->dims[i]), t->dim[i]);
    d = pad_axis(g->b, d, i, start->dims[i], after, 0);
  }
  g->d_arg[0] = d;
}

/* ---- concat ---- */

static sn_code infer_concat(sn_infer *in) {
  int64_t axis = sn_infer_attr(in, "axis")->i;
  if (in->arg_count < 1) return sn_infer_fail(in, "takes at least one operand");
  const sn_type *x = in->arg[0];
  if (axis < 0 || axis >= x->rank) return sn_infer_want(in, 0, "an axis %lld", (long long)axis);
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i < x->rank; i++) dim[i] = x->dim[i];
  for (int k = 1; k < in->arg_count; k++) {
    const sn_type *y = in->arg[k];
    bool fits = y->elem == x->elem && y->rank == x->rank;
    for (int i = 0; fits && i < x->rank; i++) fits = i == axis || y->dim[i] == x->dim[i];
    if (!fits) return sn_infer_want(in, k, "%s but for axis %d", sn_infer_text(in, x), (int)axis);
    dim[axis] = sn_dimx_add(sn_infer_types(in), dim[axis], y->dim[axis]);
  }
  return sn_infer_one(in, sn_type_of(sn_infer_types(in), x->elem, x->rank, dim));
}

static void grad_concat(sn_grad_rule *g) {
  int axis = (int)sn_node_attr(g->node, "axis")->i;
  const sn_dimx *at = sn_dimx_const(types_of(g), 0);
  for (int k = 0; k < g->node->arg_count; k++) {
    const sn_dimx *n = sn_g_type(g->b, g->arg[k])->dim[axis];
    if (g->need[k]) g->d_arg[k] = sn_g_slice_axis(g->b, g->d_result[0], axis, at, n);
    at = sn_dimx_add(types_of(g), at, n);
  }
}

/* ---- pad ---- */

static bool holds(sn_elem e, double value) {
  if (sn_elem_is_float(e)) return true;
  double lo = e == SN_ELEM_I8 ? INT8_MIN : e == SN_ELEM_U8 || e == SN_ELEM_BOOL ? 0 : INT32_MIN;
  double hi = e == SN_ELEM_I8 ? INT8_MAX : e == SN_ELEM_U8 ? UINT8_MAX : e == SN_ELEM_BOOL ? 1 : INT32_MAX;
  return value >= lo && value <= hi && value == floor(value);
}

static sn_code infer_pad(sn_infer *in) {
  const sn_attr *before = sn_infer_attr(in, "before"), *after = sn_infer_attr(in, "after");
  const sn_type *x = in->arg[0];
  const sn_dimx *dim[SN_RANK_MAX];
  double value = sn_infer_attr(in, "value")->f;
  if (before->count != x->rank || after->count != x->rank)
    return sn_infer_want(in, 0, "rank %d, the length of before and after", before->count);
  if (!holds(x->elem, value)) return sn_infer_want(in, 0, "a type that holds %g", value);
  for (int i = 0; i < x->rank; i++) {
    if (sn_dimx_min_value(before->dims[i]) < 0 || sn_dimx_min_value(after->dims[i]) < 0)
      return sn_infer_fail(in, "axis %d is padded by a number that may be negative", i);
    dim[i] =
        sn_dimx_add(sn_infer_types(in), before->dims[i], sn_dimx_add(sn_infer_types(in), x->dim[i], after->dims[i]));
  }
  return sn_infer_one(in, sn_type_of(sn_infer_types(in), x->elem, x->rank, dim));
}

static sn_val expand_pad(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_attr *before = sn_node_attr(n, "before"), *after = sn_node_attr(n, "after");
  sn_val y = arg[0];
  for (int i = 0; i < before->count; i++)
    y = pad_axis(b, y, i, before->dims[i], after->dims[i], sn_node_attr(n, "value")->f);
  return y;
}

static void grad_pad(sn_grad_rule *g) {
  const sn_type *x = sn_g_type(g->b, g->arg[0]);
  g->d_arg[0] = sn_g_slice(g->b, g->d_result[0], sn_node_attr(g->node, "before")->dims, x->dim);
}

/* ---- flip ---- */

static sn_code infer_flip(sn_infer *in) {
  int64_t axis = sn_infer_attr(in, "axis")->i;
  if (axis < 0 || axis >= in->arg[0]->rank) return sn_infer_want(in, 0, "an axis %lld", (long long)axis);
  return sn_infer_one(in, in->arg[0]);
}

/* Elements by position: extent - 1 - i along the axis. */
static sn_val expand_flip(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_type *at = sn_type_with_elem(sn_b_types(b), sn_g_type(b, arg[0]), SN_ELEM_I32);
  int axis = (int)sn_node_attr(n, "axis")->i;
  sn_val operand[SN_RANK_MAX + 1] = {arg[0]};
  for (int i = 0; i < at->rank; i++) operand[i + 1] = sn_g_iota(b, at, i);
  const sn_dimx *last = sn_dimx_sub(sn_b_types(b), at->dim[axis], sn_dimx_const(sn_b_types(b), 1));
  sn_val end = sn_g_expand_to(b, sn_g_dim(b, last), at);
  operand[axis + 1] = sn_g2(b, SN_OP_SUB, end, operand[axis + 1]);
  return sn_emit(b, SN_OP_INDEX, at->rank + 1, operand, NULL, NULL);
}

static void grad_flip(sn_grad_rule *g) {
  g->d_arg[0] = sn_emit(g->b, SN_OP_FLIP, 1, &g->d_result[0], g->node->attr, NULL);
}

const sn_op_rules sn_rules_PAD = {infer_pad, grad_pad, NULL, expand_pad,
                                  "`before` and `after` elements of `value` put around, axis by axis"};
const sn_op_rules sn_rules_FLIP = {infer_flip, grad_flip, NULL, expand_flip, "the other way round along `axis`"};
const sn_op_rules sn_rules_RESHAPE = {infer_reshape, grad_reshape,
                                      .doc = "the elements in row-major order in another shape"};
const sn_op_rules sn_rules_TRANSPOSE = {infer_transpose, grad_transpose,
                                        .doc = "result axis i is operand axis perm[i]"};
const sn_op_rules sn_rules_BROADCAST = {
    infer_broadcast, grad_broadcast,
    .doc = "operand axis i becomes result axis axes[i]; extent 1 and the other axes repeat"};
const sn_op_rules sn_rules_SLICE = {infer_slice, grad_slice, .doc = "`shape` elements from `start`, axis by axis"};
const sn_op_rules sn_rules_CONCAT = {infer_concat, grad_concat, .doc = "operands one after the other along `axis`"};
