/* Rules of reductions: the reduced axes are removed. */
#include "ir/ops/rules.h"

static sn_code infer_axes(sn_infer *in) {
  const sn_attr *axes = sn_infer_attr(in, "axes");
  const sn_type *x = in->arg[0];
  const sn_dimx *dim[SN_RANK_MAX];
  int n = 0, k = 0;
  for (int i = 0; i < axes->count; i++)
    if (axes->ints[i] < 0 || axes->ints[i] >= x->rank || (i && axes->ints[i] <= axes->ints[i - 1]))
      return sn_infer_want(in, 0, "axes ascending and within the rank");
  for (int i = 0; i < x->rank; i++) {
    if (k < axes->count && axes->ints[k] == i)
      k++;
    else
      dim[n++] = x->dim[i];
  }
  return sn_infer_one(in, sn_type_of(sn_infer_types(in), x->elem, n, dim));
}

static sn_code infer_reduce(sn_infer *in) {
  if (in->arg[0]->elem == SN_ELEM_BOOL) return sn_infer_want(in, 0, "numbers");
  return infer_axes(in);
}

static sn_code infer_logic(sn_infer *in) {
  if (in->arg[0]->elem != SN_ELEM_BOOL) return sn_infer_want(in, 0, "bools");
  return infer_axes(in);
}

static sn_code infer_argmax(sn_infer *in) {
  int64_t axis = sn_infer_attr(in, "axis")->i;
  const sn_type *x = in->arg[0];
  if (x->elem == SN_ELEM_BOOL || axis < 0 || axis >= x->rank)
    return sn_infer_want(in, 0, "numbers with an axis %lld", (long long)axis);
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0, n = 0; i < x->rank; i++)
    if (i != axis) dim[n++] = x->dim[i];
  return sn_infer_one(in, sn_type_of(sn_infer_types(in), SN_ELEM_I32, x->rank - 1, dim));
}

static void grad_sum(sn_grad_rule *g) {
  const sn_attr *axes = sn_node_attr(g->node, "axes");
  g->d_arg[0] = sn_g_unreduce(g->b, g->d_result[0], g->arg[0], axes->count, axes->ints);
}

/* Equal shares to every element that attains the maximum or minimum. */
static void grad_amax(sn_grad_rule *g) {
  sn_build *b = g->b;
  const sn_attr *axes = sn_node_attr(g->node, "axes");
  sn_val x = g->arg[0];
  sn_val top = sn_g2(b, SN_OP_EQ, x, sn_g_unreduce(b, g->result[0], x, axes->count, axes->ints));
  if (b->failed) return;
  sn_val ties = sn_g_sum(b, sn_g_cast(b, top, sn_g_type(b, x)->elem), axes->count, axes->ints);
  sn_val share = sn_g_unreduce(b, sn_g2(b, SN_OP_DIV, g->d_result[0], ties), x, axes->count, axes->ints);
  g->d_arg[0] = sn_g3(b, SN_OP_SELECT, top, share, sn_b_zeros(b, x));
}

/* The product of the others: prod / x, or where x is 0 the product of what is not 0, if x is the only 0. */
static void grad_prod(sn_grad_rule *g) {
  sn_build *b = g->b;
  const sn_attr *axes = sn_node_attr(g->node, "axes");
  sn_elem narrow = sn_g_type(b, g->arg[0])->elem;
  sn_val x = sn_g_cast(b, g->arg[0], sn_acc_elem(narrow)), zero = sn_b_zeros(b, x), one = sn_g_const_like(b, x, 1);
  sn_val is_zero = sn_g2(b, SN_OP_EQ, x, zero);
  if (b->failed) return;
  sn_val safe = sn_g3(b, SN_OP_SELECT, is_zero, one, x);
  sn_val count = sn_g_sum(b, sn_g_cast(b, is_zero, SN_ELEM_I32), axes->count, axes->ints);
  count = sn_g_unreduce(b, count, x, axes->count, axes->ints);
  sn_val rest = sn_g_unreduce(b, sn_g_prod(b, safe, axes->count, axes->ints), x, axes->count, axes->ints);
  sn_val mine = sn_g_cast(b, is_zero, SN_ELEM_I32);
  sn_val slope = sn_g3(b, SN_OP_SELECT, sn_g2(b, SN_OP_EQ, count, mine), sn_g2(b, SN_OP_DIV, rest, safe), zero);
  sn_val d = sn_g_cast(b, sn_g_unreduce(b, g->d_result[0], g->arg[0], axes->count, axes->ints), sn_acc_elem(narrow));
  g->d_arg[0] = sn_g_cast(b, sn_g2(b, SN_OP_MUL, d, slope), narrow);
}

/* Is the largest (any) or smallest (all) of 0 and 1 above 0? Of nothing it is the smallest (largest) number. */
static sn_val expand_logic(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_attr *axes = sn_node_attr(n, "axes");
  sn_val x = sn_g_cast(b, arg[0], SN_ELEM_I32);
  x = n->op == SN_OP_ANY ? sn_g_amax(b, x, axes->count, axes->ints) : sn_g_amin(b, x, axes->count, axes->ints);
  return sn_g2(b, SN_OP_LT, sn_b_zeros(b, x), x);
}

const sn_op_rules sn_rules_SUM = {infer_reduce, grad_sum,
                                  .doc = "sum over `axes`, kept in f32 or wider; integers wrap"};
const sn_op_rules sn_rules_AMAX = {infer_reduce, grad_amax,
                                   .doc = "maximum over `axes`; NaN if any is; ties share the gradient equally"};
const sn_op_rules sn_rules_AMIN = {infer_reduce, grad_amax,
                                   .doc = "minimum over `axes`; NaN if any is; ties share the gradient equally"};
const sn_op_rules sn_rules_PROD = {infer_reduce, grad_prod,
                                   .doc = "product over `axes`, kept in f32 or wider; integers wrap"};
const sn_op_rules sn_rules_ARGMIN = {infer_argmax, .why_no_grad = "it gives a position",
                                     .doc = "position of the first minimum along `axis`, i32"};
const sn_op_rules sn_rules_ANY = {infer_logic, NULL, "it gives a truth value", expand_logic,
                                  "is any true over `axes`? false of none"};
const sn_op_rules sn_rules_ALL = {infer_logic, NULL, "it gives a truth value", expand_logic,
                                  "are all true over `axes`? true of none"};
const sn_op_rules sn_rules_ARGMAX = {infer_argmax, .why_no_grad = "it gives a position",
                                     .doc = "position of the first maximum along `axis`, i32"};
