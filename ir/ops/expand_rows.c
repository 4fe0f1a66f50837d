/* Rules of the expansions along an axis: softmax and its kin, norms, the loss. Narrow floats are computed in f32.
 * The subtracted maximum is a stop: gradients are exact, since the results do not depend on it. */
#include "ir/ops/rules.h"

static sn_val wide(sn_build *b, sn_val x) {
  return b->failed || !x ? 0 : sn_g_cast(b, x, sn_acc_elem(sn_g_type(b, x)->elem));
}
static sn_val narrow(sn_build *b, sn_val y, sn_val like) {
  return b->failed ? 0 : sn_g_cast(b, y, sn_g_type(b, like)->elem);
}
static sn_val mul(sn_build *b, sn_val x, sn_val y) { return sn_g2(b, SN_OP_MUL, x, y); }
static sn_val sub(sn_build *b, sn_val x, sn_val y) { return sn_g2(b, SN_OP_SUB, x, y); }

static sn_val sum1(sn_build *b, sn_val x, int axis) {
  const int64_t axes[1] = {axis};
  return sn_g_sum(b, x, 1, axes);
}

static sn_val back1(sn_build *b, sn_val reduced, sn_val like, int axis) {
  const int64_t axes[1] = {axis};
  return sn_g_unreduce(b, reduced, like, 1, axes);
}

/* ---- softmax, log_softmax, logsumexp ---- */

static sn_code infer_axis(sn_infer *in) {
  int64_t axis = sn_infer_attr(in, "axis")->i;
  const sn_type *x = in->arg[0];
  if (!sn_elem_is_float(x->elem) || axis < 0 || axis >= x->rank)
    return sn_infer_want(in, 0, "floats with an axis %lld", (long long)axis);
  return sn_infer_one(in, x);
}

static sn_code infer_logsumexp(sn_infer *in) {
  SN_TRY(infer_axis(in));
  const sn_type *x = in->arg[0];
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0, n = 0; i < x->rank; i++)
    if (i != sn_infer_attr(in, "axis")->i) dim[n++] = x->dim[i];
  return sn_infer_one(in, sn_type_of(sn_infer_types(in), x->elem, x->rank - 1, dim));
}

static int axis_of(const sn_node *n) { return (int)sn_node_attr(n, "axis")->i; }

/* max over the axis, as a constant */
static sn_val peak(sn_build *b, sn_val x, int axis) {
  const int64_t axes[1] = {axis};
  return sn_g1(b, SN_OP_STOP, sn_g_amax(b, x, 1, axes));
}

sn_val sn_b_logsumexp(sn_build *b, sn_val x, int axis) {
  sn_val m = peak(b, x, axis);
  sn_val e = sn_g1(b, SN_OP_EXP, sub(b, x, back1(b, m, x, axis)));
  return sn_g2(b, SN_OP_ADD, m, sn_g1(b, SN_OP_LOG, sum1(b, e, axis)));
}

static sn_val expand_softmax(sn_build *b, const sn_node *n, const sn_val *arg) {
  int axis = axis_of(n);
  sn_val x = wide(b, arg[0]);
  sn_val e = sn_g1(b, SN_OP_EXP, sub(b, x, back1(b, peak(b, x, axis), x, axis)));
  sn_val sum = sum1(b, e, axis);
  sn_val part = b->failed ? 0 : sn_g2(b, SN_OP_DIV, sn_g_const_like(b, sum, 1), sum); /* one division per row */
  return narrow(b, mul(b, e, back1(b, part, e, axis)), arg[0]);
}

static sn_val expand_log_softmax(sn_build *b, const sn_node *n, const sn_val *arg) {
  int axis = axis_of(n);
  sn_val x = wide(b, arg[0]);
  sn_val z = sub(b, x, back1(b, peak(b, x, axis), x, axis));
  sn_val l = sn_g1(b, SN_OP_LOG, sum1(b, sn_g1(b, SN_OP_EXP, z), axis));
  return narrow(b, sub(b, z, back1(b, l, z, axis)), arg[0]);
}

static sn_val expand_logsumexp(sn_build *b, const sn_node *n, const sn_val *arg) {
  return narrow(b, sn_b_logsumexp(b, wide(b, arg[0]), axis_of(n)), arg[0]);
}

static void grad_softmax(sn_grad_rule *g) { /* y (d - sum(d y)) */
  sn_build *b = g->b;
  int axis = axis_of(g->node);
  sn_val y = wide(b, g->result[0]), d = wide(b, g->d_result[0]);
  sn_val s = back1(b, sum1(b, mul(b, d, y), axis), y, axis);
  g->d_arg[0] = narrow(b, mul(b, y, sub(b, d, s)), g->arg[0]);
}

static void grad_log_softmax(sn_grad_rule *g) { /* d - exp(y) sum(d) */
  sn_build *b = g->b;
  int axis = axis_of(g->node);
  sn_val y = wide(b, g->result[0]), d = wide(b, g->d_result[0]);
  sn_val s = back1(b, sum1(b, d, axis), y, axis);
  g->d_arg[0] = narrow(b, sub(b, d, mul(b, sn_g1(b, SN_OP_EXP, y), s)), g->arg[0]);
}

static void grad_logsumexp(sn_grad_rule *g) { /* d exp(x - y) */
  sn_build *b = g->b;
  int axis = axis_of(g->node);
  sn_val x = wide(b, g->arg[0]);
  sn_val p = sn_g1(b, SN_OP_EXP, sub(b, x, back1(b, wide(b, g->result[0]), x, axis)));
  g->d_arg[0] = narrow(b, mul(b, back1(b, wide(b, g->d_result[0]), x, axis), p), g->arg[0]);
}

/* ---- pick, cross_entropy ---- */

static sn_code want_targets(sn_infer *in) {
  const sn_type *x = in->arg[0], *i = in->arg[1];
  if (x->rank < 1) return sn_infer_want(in, 0, "at least one axis");
  bool fits = sn_is_index(i->elem) && i->rank == x->rank - 1;
  for (int k = 0; fits && k < i->rank; k++) fits = i->dim[k] == x->dim[k];
  if (!fits) return sn_infer_want(in, 1, "i32 or i64 in the shape of %s without its last axis", sn_infer_text(in, x));
  return SN_OK;
}

static sn_code infer_pick(sn_infer *in) {
  SN_TRY(want_targets(in));
  if (in->arg[0]->elem == SN_ELEM_BOOL) return sn_infer_want(in, 0, "numbers");
  return sn_infer_one(in, sn_type_with_elem(sn_infer_types(in), in->arg[1], in->arg[0]->elem));
}

static sn_code infer_cross_entropy(sn_infer *in) {
  if (!sn_elem_is_float(in->arg[0]->elem)) return sn_infer_want(in, 0, "float logits");
  SN_TRY(want_targets(in));
  double smooth = sn_infer_attr(in, "smooth")->f;
  if (!(smooth >= 0 && smooth < 1)) return sn_infer_fail(in, "smooth is %g, outside of 0 <= smooth < 1", smooth);
  return sn_infer_one(in, sn_type_with_elem(sn_infer_types(in), in->arg[1], sn_acc_elem(in->arg[0]->elem)));
}

/* sum over the last axis of what stands at the index */
static sn_val pick(sn_build *b, sn_val x, sn_val index) {
  if (b->failed || !x) return 0;
  const sn_type *t = sn_g_type(b, x);
  return sum1(b, sn_g3(b, SN_OP_SELECT, sn_b_onehot(b, index, t), x, sn_b_zeros(b, x)), t->rank - 1);
}

static sn_val expand_pick(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  return pick(b, arg[0], arg[1]);
}

static void grad_pick(sn_grad_rule *g) {
  sn_build *b = g->b;
  const sn_type *t = sn_g_type(b, g->arg[0]);
  sn_val d = back1(b, g->d_result[0], g->arg[0], t->rank - 1);
  g->d_arg[0] = sn_g3(b, SN_OP_SELECT, sn_b_onehot(b, g->arg[1], t), d, sn_b_zeros(b, g->arg[0]));
}

/* logsumexp - (1 - s) pick - s mean */
static sn_val expand_cross_entropy(sn_build *b, const sn_node *n, const sn_val *arg) {
  double smooth = sn_node_attr(n, "smooth")->f;
  sn_val x = wide(b, arg[0]);
  if (!x) return 0;
  int axis = sn_g_type(b, x)->rank - 1;
  sn_val lse = sn_b_logsumexp(b, x, axis), at = pick(b, x, arg[1]);
  if (smooth == 0) return sub(b, lse, at);
  sn_val target = sn_g2(b, SN_OP_ADD, sn_b_scale(b, at, 1 - smooth), sn_b_scale(b, sn_b_mean(b, x, axis), smooth));
  return sub(b, lse, target);
}

/* 1 / extent of the last axis, in the shape of x: a constant unless the extent is symbolic */
static sn_val inverse_extent(sn_build *b, sn_val x, double factor) {
  const sn_type *t = sn_g_type(b, x);
  int64_t n;
  if (sn_dimx_is_const(t->dim[t->rank - 1], &n)) return sn_g_const_like(b, x, factor / (double)n);
  sn_val count = sn_g_cast(b, sn_g_dim(b, t->dim[t->rank - 1]), t->elem);
  return sn_g2(b, SN_OP_DIV, sn_g_const_like(b, x, factor), sn_g_expand_to(b, count, t));
}

/* d (exp(x - lse) - target), target: (1 - s) at the id plus s / V everywhere */
static void grad_cross_entropy(sn_grad_rule *g) {
  sn_build *b = g->b;
  double smooth = sn_node_attr(g->node, "smooth")->f;
  sn_val x = wide(b, g->arg[0]);
  if (!x) return;
  int axis = sn_g_type(b, x)->rank - 1;
  sn_val p = sn_g1(b, SN_OP_EXP, sub(b, x, back1(b, sn_b_logsumexp(b, x, axis), x, axis)));
  sn_val hot = sn_b_onehot(b, g->arg[1], sn_g_type(b, x));
  sn_val r = sub(b, p, sn_g3(b, SN_OP_SELECT, hot, sn_g_const_like(b, x, 1 - smooth), sn_b_zeros(b, x)));
  if (smooth != 0 && !b->failed) r = sub(b, r, inverse_extent(b, x, smooth));
  g->d_arg[0] = narrow(b, mul(b, back1(b, g->d_result[0], x, axis), r), g->arg[0]);
}

/* ---- norms over the last axis, without gain ---- */

static sn_code infer_norm(sn_infer *in) {
  if (!sn_elem_is_float(in->arg[0]->elem) || in->arg[0]->rank < 1) return sn_infer_want(in, 0, "floats with an axis");
  if (!(sn_infer_attr(in, "eps")->f >= 0)) return sn_infer_fail(in, "eps is negative");
  return sn_infer_one(in, in->arg[0]);
}

static int last_axis(sn_build *b, sn_val x) { return b->failed ? 0 : sn_g_type(b, x)->rank - 1; }

/* rsqrt(mean(x^2) + eps), in the shape of x */
static sn_val inverse_rms(sn_build *b, sn_val x, double eps) {
  int axis = last_axis(b, x);
  sn_val v = sn_b_mean(b, mul(b, x, x), axis);
  return back1(b, sn_g1(b, SN_OP_RSQRT, sn_g2(b, SN_OP_ADD, v, sn_g_const_like(b, v, eps))), x, axis);
}

static sn_val centred(sn_build *b, sn_val x) {
  int axis = last_axis(b, x);
  return sub(b, x, back1(b, sn_b_mean(b, x, axis), x, axis));
}

static sn_val expand_rmsnorm(sn_build *b, const sn_node *n, const sn_val *arg) {
  sn_val x = wide(b, arg[0]);
  return narrow(b, mul(b, x, inverse_rms(b, x, sn_node_attr(n, "eps")->f)), arg[0]);
}

static sn_val expand_layernorm(sn_build *b, const sn_node *n, const sn_val *arg) {
  sn_val x = centred(b, wide(b, arg[0]));
  return narrow(b, mul(b, x, inverse_rms(b, x, sn_node_attr(n, "eps")->f)), arg[0]);
}

/* r (d - mean(d) - y mean(d y)), with y = x r for the centred x; without mean(d) for rmsnorm */
static sn_val norm_slope(sn_build *b, sn_val x, sn_val d, double eps, bool centre) {
  if (centre) x = centred(b, x);
  int axis = last_axis(b, x);
  sn_val r = inverse_rms(b, x, eps), y = mul(b, x, r);
  sn_val along = mul(b, y, back1(b, sn_b_mean(b, mul(b, d, y), axis), y, axis));
  sn_val rest = centre ? centred(b, d) : d;
  return mul(b, r, sub(b, rest, along));
}

static void grad_norm(sn_grad_rule *g, bool centre) {
  sn_val x = wide(g->b, g->arg[0]), d = wide(g->b, g->d_result[0]);
  g->d_arg[0] = narrow(g->b, norm_slope(g->b, x, d, sn_node_attr(g->node, "eps")->f, centre), g->arg[0]);
}

static void grad_layernorm(sn_grad_rule *g) { grad_norm(g, true); }
static void grad_rmsnorm(sn_grad_rule *g) { grad_norm(g, false); }

static sn_code infer_group_norm(sn_infer *in) {
  SN_TRY(infer_norm(in));
  int64_t groups = sn_infer_attr(in, "groups")->i;
  const sn_dimx *last = in->arg[0]->dim[in->arg[0]->rank - 1];
  if (in->arg[0]->rank == SN_RANK_MAX) return sn_infer_want(in, 0, "rank %d or less", SN_RANK_MAX - 1);
  if (groups < 1 || !sn_dimx_exact_div(sn_infer_types(in), last, sn_dimx_const(sn_infer_types(in), groups)))
    return sn_infer_want(in, 0, "a last axis that %lld divides", (long long)groups);
  return SN_OK;
}

/* [.., C] -> [.., groups, C / groups] */
static sn_val grouped(sn_build *b, const sn_node *n, sn_val x) {
  if (b->failed || !x) return 0;
  const sn_type *t = sn_g_type(b, x);
  const sn_dimx *dim[SN_RANK_MAX], *groups = sn_dimx_const(sn_b_types(b), sn_node_attr(n, "groups")->i);
  for (int i = 0; i < t->rank; i++) dim[i] = t->dim[i];
  dim[t->rank] = sn_dimx_exact_div(sn_b_types(b), dim[t->rank - 1], groups);
  dim[t->rank - 1] = groups;
  return sn_g_reshape(b, x, t->rank + 1, dim);
}

static sn_val ungrouped(sn_build *b, sn_val y, sn_val like) {
  return b->failed ? 0 : sn_g_reshape(b, y, sn_g_type(b, like)->rank, sn_g_type(b, like)->dim);
}

static sn_val expand_group_norm(sn_build *b, const sn_node *n, const sn_val *arg) {
  sn_val x = centred(b, grouped(b, n, wide(b, arg[0])));
  return narrow(b, ungrouped(b, mul(b, x, inverse_rms(b, x, sn_node_attr(n, "eps")->f)), arg[0]), arg[0]);
}

static void grad_group_norm(sn_grad_rule *g) {
  sn_val x = grouped(g->b, g->node, wide(g->b, g->arg[0])), d = grouped(g->b, g->node, wide(g->b, g->d_result[0]));
  sn_val slope = norm_slope(g->b, x, d, sn_node_attr(g->node, "eps")->f, true);
  g->d_arg[0] = narrow(g->b, ungrouped(g->b, slope, g->arg[0]), g->arg[0]);
}

/* rsqrt(sum(x^2) + eps), in the shape of x */
static sn_val inverse_length(sn_build *b, sn_val x, double eps) {
  int axis = last_axis(b, x);
  sn_val s = sum1(b, mul(b, x, x), axis);
  return back1(b, sn_g1(b, SN_OP_RSQRT, sn_g2(b, SN_OP_ADD, s, sn_g_const_like(b, s, eps))), x, axis);
}

static sn_val expand_l2_norm(sn_build *b, const sn_node *n, const sn_val *arg) {
  sn_val x = wide(b, arg[0]);
  return narrow(b, mul(b, x, inverse_length(b, x, sn_node_attr(n, "eps")->f)), arg[0]);
}

static void grad_l2_norm(sn_grad_rule *g) { /* r (d - y sum(d y)) */
  sn_build *b = g->b;
  sn_val x = wide(b, g->arg[0]), d = wide(b, g->d_result[0]);
  int axis = last_axis(b, x);
  sn_val r = inverse_length(b, x, sn_node_attr(g->node, "eps")->f), y = mul(b, x, r);
  sn_val along = mul(b, y, back1(b, sum1(b, mul(b, d, y), axis), y, axis));
  g->d_arg[0] = narrow(b, mul(b, r, sub(b, d, along)), g->arg[0]);
}

const sn_op_rules sn_rules_SOFTMAX = {infer_axis, grad_softmax, NULL, expand_softmax,
                                      "exp(x) / sum(exp(x)) along `axis`"};
const sn_op_rules sn_rules_LOG_SOFTMAX = {infer_axis, grad_log_softmax, NULL, expand_log_softmax,
                                          "logarithm of softmax along `axis`"};
const sn_op_rules sn_rules_LOGSUMEXP = {infer_logsumexp, grad_logsumexp, NULL, expand_logsumexp,
                                        "log(sum(exp(x))) over `axis`, which is removed"};
const sn_op_rules sn_rules_PICK = {infer_pick, grad_pick, NULL, expand_pick,
                                   "x[.., i]: one element of the last axis per row"};
const sn_op_rules sn_rules_LAYERNORM = {infer_norm, grad_layernorm, NULL, expand_layernorm,
                                        "(x - mean) / sqrt(variance + `eps`) over the last axis"};
const sn_op_rules sn_rules_RMSNORM = {infer_norm, grad_rmsnorm, NULL, expand_rmsnorm,
                                      "x / sqrt(mean(x^2) + `eps`) over the last axis"};
const sn_op_rules sn_rules_GROUP_NORM = {infer_group_norm, grad_group_norm, NULL, expand_group_norm,
                                         "layernorm of each of `groups` equal parts of the last axis"};
const sn_op_rules sn_rules_L2_NORM = {infer_norm, grad_l2_norm, NULL, expand_l2_norm,
                                      "x / sqrt(sum(x^2) + `eps`) over the last axis"};
const sn_op_rules sn_rules_CROSS_ENTROPY = {
    infer_cross_entropy, grad_cross_entropy, NULL, expand_cross_entropy,
    "-log softmax at the target id, per row, in f32; `smooth`: share of a uniform target"};
