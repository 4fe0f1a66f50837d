/* Rules of prefixes along an axis: cumulative sum, product and maximum, and the linear recurrence that their gradients
 * need. `reverse` runs from the end; `exclusive` leaves each element out of its own prefix. */
#include "ir/ops/rules.h"

/* ---- types ---- */

static sn_code want_axis(sn_infer *in) {
  int64_t axis = sn_infer_attr(in, "axis")->i;
  const sn_type *x = in->arg[0];
  if (x->elem == SN_ELEM_BOOL || axis < 0 || axis >= x->rank)
    return sn_infer_want(in, 0, "numbers with an axis %lld", (long long)axis);
  return SN_OK;
}

static sn_code infer_prefix(sn_infer *in) {
  SN_TRY(want_axis(in));
  return sn_infer_one(in, in->arg[0]);
}

static sn_code infer_cummax(sn_infer *in) {
  SN_TRY(want_axis(in));
  sn_infer_results(in, 2);
  in->result[0] = in->arg[0];
  in->result[1] = sn_type_with_elem(sn_infer_types(in), in->arg[0], SN_ELEM_I32);
  return SN_OK;
}

static sn_code infer_recur(sn_infer *in) {
  SN_TRY(want_axis(in));
  if (!sn_elem_is_float(in->arg[0]->elem)) return sn_infer_want(in, 0, "floats");
  if (in->arg[1] != in->arg[0]) return sn_infer_want(in, 1, "%s", sn_infer_text(in, in->arg[0]));
  return sn_infer_one(in, in->arg[0]);
}

/* ---- pieces of gradients ---- */

static const sn_attr *axis_of(const sn_grad_rule *g) { return sn_node_attr(g->node, "axis"); }
static bool runs_back(const sn_grad_rule *g) { return sn_node_attr(g->node, "reverse")->i != 0; }

static sn_val prefix(sn_build *b, sn_op op, sn_val x, const sn_attr *axis, bool exclusive, bool reverse) {
  const sn_attr at[3] = {*axis, {.set = exclusive, .i = exclusive}, {.set = reverse, .i = reverse}};
  return sn_emit(b, op, 1, &x, at, NULL);
}

static sn_val recur(sn_build *b, sn_val a, sn_val x, const sn_attr *axis, bool reverse) {
  const sn_attr at[2] = {*axis, {.set = reverse, .i = reverse}};
  const sn_val arg[2] = {a, x};
  return sn_emit(b, SN_OP_RECUR, 2, arg, at, NULL);
}

/* Element t of the result is element t - 1 (or t + 1) of x along the axis; 0 where there is none. */
static sn_val shifted(sn_build *b, sn_val x, const sn_attr *axis, bool from_next) {
  if (b->failed) return 0;
  sn_types *t = sn_b_types(b);
  const sn_type *type = sn_g_type(b, x);
  const sn_dimx *n = type->dim[axis->i], *one = sn_dimx_const(t, 1), *zero = sn_dimx_const(t, 0);
  if (sn_dimx_max_value(n) < 1) return x;
  if (sn_dimx_is_one(n)) return sn_g_const_like(b, x, 0);
  if (sn_dimx_min_value(n) < 1) return sn_b_fail(b, "the gradient needs an axis that is not empty"), 0;
  sn_val edge = sn_g_const_like(b, sn_g_slice_axis(b, x, (int)axis->i, zero, one), 0);
  sn_val rest = sn_g_slice_axis(b, x, (int)axis->i, from_next ? one : zero, sn_dimx_sub(t, n, one));
  const sn_val part[2] = {from_next ? rest : edge, from_next ? edge : rest};
  return sn_g_concat(b, (int)axis->i, 2, part);
}

/* ---- gradients ---- */

static void grad_cumsum(sn_grad_rule *g) {
  bool exclusive = sn_node_attr(g->node, "exclusive")->i != 0;
  g->d_arg[0] = prefix(g->b, SN_OP_CUMSUM, g->d_result[0], axis_of(g), exclusive, !runs_back(g));
}

/* With P the exclusive product: d x[i] = P[i] s[i], s[i] = dy[i] + x[i+1] s[i+1]. No division, so zeros are no trouble.
 */
static void grad_cumprod(sn_grad_rule *g) {
  sn_build *b = g->b;
  bool exclusive = sn_node_attr(g->node, "exclusive")->i != 0, back = runs_back(g);
  sn_val before = exclusive ? g->result[0] : prefix(b, SN_OP_CUMPROD, g->arg[0], axis_of(g), true, back);
  sn_val dy = exclusive ? shifted(b, g->d_result[0], axis_of(g), !back) : g->d_result[0];
  sn_val s = recur(b, shifted(b, g->arg[0], axis_of(g), !back), dy, axis_of(g), !back);
  g->d_arg[0] = sn_g2(b, SN_OP_MUL, before, s);
}

static void grad_cummax(sn_grad_rule *g) {
  g->d_arg[0] = sn_b_scatter_along(g->b, g->result[1], g->d_result[0], (int)axis_of(g)->i, g->arg[0]);
}

/* s[t] = dy[t] + a[t+1] s[t+1] is the gradient of b, s[t] y[t-1] that of a. */
static void grad_recur(sn_grad_rule *g) {
  sn_build *b = g->b;
  bool back = runs_back(g);
  sn_val s = recur(b, shifted(b, g->arg[0], axis_of(g), !back), g->d_result[0], axis_of(g), !back);
  if (g->need[0]) g->d_arg[0] = sn_g2(b, SN_OP_MUL, s, shifted(b, g->result[0], axis_of(g), back));
  g->d_arg[1] = s;
}

const sn_op_rules sn_rules_CUMSUM = {infer_prefix, grad_cumsum,
                                     .doc =
                                         "sums of the elements up to each along `axis`, kept in f32 or wider; "
                                         "integers wrap"};
const sn_op_rules sn_rules_CUMPROD = {infer_prefix, grad_cumprod,
                                      .doc = "products of the elements up to each along `axis`, kept in f32 or wider"};
const sn_op_rules sn_rules_CUMMAX = {
    infer_cummax, grad_cummax,
    .doc = "largest element up to each along `axis` and the position of the first such, i32; NaN stays"};
const sn_op_rules sn_rules_RECUR = {infer_recur, grad_recur,
                                    .doc = "y[t] = a[t] y[t-1] + b[t] along `axis` from 0, kept in f32 or wider"};
