/* Rules of custom: an op of the user's own, whose value and whose gradient are graphs.
 *
 *   operands: x0 .. x(n-1), then captured tensors of either region; n is `inputs`
 *   body(x.., captured..) -> y;  grad(x.., y, dy, captured..) -> one derivative per entry of `wrt`
 * Operands that `wrt` does not list, and captured tensors, are constants for gradients. The gradient is a graph like
 * any other: a second derivative differentiates it. */
#include "ir/ops/rules.h"

typedef struct layout {
  int inputs, captures;
  const sn_func *body, *grad;
  const sn_attr *wrt;
} layout;

static layout layout_of(const sn_attr *attr, int arg_count) {
  layout l = {.inputs = (int)attr[sn_op_attr(SN_OP_CUSTOM, "inputs")].i,
              .body = attr[sn_op_attr(SN_OP_CUSTOM, "body")].region,
              .grad = attr[sn_op_attr(SN_OP_CUSTOM, "grad")].region,
              .wrt = &attr[sn_op_attr(SN_OP_CUSTOM, "wrt")]};
  l.captures = arg_count - l.inputs;
  return l;
}

static sn_code check_body(sn_infer *in, const layout *l) {
  SN_TRY(sn_infer_region_args(in, "body", in->arg_count, in->arg));
  SN_TRY(sn_infer_region_count(in, "body", 1));
  return sn_infer_one(in, sn_val_type(l->body, l->body->result[0]));
}

/* The k-th argument of the gradient: x.., y, dy, captured.. */
static sn_code check_grad(sn_infer *in, const layout *l) {
  const sn_type **want = SN_ARRAY(sn_types_arena(sn_infer_types(in)), in->arg_count + 2, const sn_type *);
  for (int i = 0; i < l->inputs; i++) want[i] = in->arg[i];
  want[l->inputs] = want[l->inputs + 1] = in->result[0];
  for (int i = 0; i < l->captures; i++) want[l->inputs + 2 + i] = in->arg[l->inputs + i];
  SN_TRY(sn_infer_region_args(in, "grad", in->arg_count + 2, want));
  SN_TRY(sn_infer_region_count(in, "grad", l->wrt->count));
  for (int i = 0; i < l->wrt->count; i++) {
    int64_t k = l->wrt->ints[i];
    if (k < 0 || k >= l->inputs || (i && k <= l->wrt->ints[i - 1]))
      return sn_infer_fail(in, "`wrt` must list operands in ascending order, from 0 to %d", l->inputs - 1);
    if (!sn_elem_is_float(in->arg[k]->elem)) return sn_infer_want(in, (int)k, "floats to differentiate by");
    SN_TRY(sn_infer_region_result(in, "grad", i, in->arg[k]));
  }
  return SN_OK;
}

static sn_code infer_custom(sn_infer *in) {
  layout l = layout_of(in->attr, in->arg_count);
  if (l.inputs < 1 || l.captures < 0) return sn_infer_fail(in, "`inputs` must be from 1 to the number of operands");
  if (!l.grad != !l.wrt->count) return sn_infer_fail(in, "`grad` and `wrt` go together");
  SN_TRY(check_body(in, &l));
  return l.grad ? check_grad(in, &l) : SN_OK;
}

static void grad_custom(sn_grad_rule *g) {
  layout l = layout_of(g->node->attr, g->node->arg_count);
  int count = g->node->arg_count + 2;
  if (!l.grad) return;
  sn_val *arg = SN_ARRAY(g->b->func->arena, count, sn_val);
  sn_val *map = SN_ARRAY(g->b->func->arena, l.grad->value_count, sn_val);
  for (int i = 0; i < l.inputs; i++) arg[i] = g->arg[i];
  arg[l.inputs] = g->result[0];
  arg[l.inputs + 1] = g->d_result[0];
  for (int i = 0; i < l.captures; i++) arg[l.inputs + 2 + i] = g->arg[l.inputs + i];
  sn_region_inline(g->b, l.grad, count, arg, map);
  for (int i = 0; i < l.wrt->count && !g->b->failed; i++) g->d_arg[l.wrt->ints[i]] = map[l.grad->result[i]];
}

static sn_val expand_custom(sn_build *b, const sn_node *n, const sn_val *arg) {
  layout l = layout_of(n->attr, n->arg_count);
  return sn_g_region_call(b, l.body, n->arg_count, arg, 0);
}

const sn_op_rules sn_rules_CUSTOM = {
    infer_custom, grad_custom, NULL, expand_custom,
    "the result of `body`; `grad` gives the derivatives by the operands in `wrt`, the others are constants"};
