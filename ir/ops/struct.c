/* Rules of the ops that hold regions or have many results: call, fused, grad. (Attention has its own file.) */
#include "ir/ops/rules.h"

/* Operands against the arguments of a body; results from it. */
static sn_code infer_body(sn_infer *in) {
  const sn_func *body = sn_infer_attr(in, "body")->region;
  for (int i = 0; i < body->node_count; i++) {
    const sn_node *n = body->node[i];
    if (n->op != SN_OP_ARG) continue;
    int64_t k = sn_node_attr(n, "index")->i;
    if (k < 0 || k >= in->arg_count)
      return sn_infer_fail(in, "`%s` takes an argument %lld, %d are given", body->name, (long long)k, in->arg_count);
    if (in->arg[k] != n->type[0])
      return sn_infer_want(in, (int)k, "%s, as `%s` takes it", sn_infer_text(in, n->type[0]), body->name);
  }
  sn_infer_results(in, body->result_count);
  for (int i = 0; i < body->result_count; i++) in->result[i] = sn_val_type(body, body->result[i]);
  return SN_OK;
}

static sn_code infer_grad(sn_infer *in) {
  if (in->arg_count < 2) return sn_infer_fail(in, "takes a loss and at least one tensor to differentiate by");
  if (in->arg[0]->rank != 0 || !sn_elem_is_float(in->arg[0]->elem))
    return sn_infer_want(in, 0, "a float scalar, the loss");
  sn_infer_results(in, in->arg_count - 1);
  for (int i = 1; i < in->arg_count; i++) {
    if (!sn_elem_is_float(in->arg[i]->elem)) return sn_infer_want(in, i, "a float tensor to differentiate by");
    in->result[i - 1] = in->arg[i];
  }
  return SN_OK;
}

const sn_op_rules sn_rules_CALL = {infer_body, .why_no_grad = "calls are inlined before gradients are made",
                                   .doc = "the results of `body` on the operands"};
const sn_op_rules sn_rules_FUSED = {infer_body, .why_no_grad = "gradients are made before fusion",
                                    .doc = "a group of ops that one kernel or step does"};
const sn_op_rules sn_rules_GRAD = {infer_grad, .why_no_grad = "inner gradients are made first",
                                   .doc = "derivatives of a float scalar by the other operands, one result each"};
