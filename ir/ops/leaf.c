/* Rules of the leaves: what builders create without operands. */
#include "ir/ops/rules.h"

static sn_code infer_stated(sn_infer *in) {
  if (!in->leaf) return sn_infer_fail(in, "has no stated type");
  return sn_infer_one(in, in->leaf);
}

static sn_code infer_learned(sn_infer *in) {
  SN_TRY(infer_stated(in));
  if (in->leaf->elem == SN_ELEM_BOOL) return sn_infer_fail(in, "holds numbers, not %s", sn_infer_text(in, in->leaf));
  return SN_OK;
}

static sn_code infer_iota(sn_infer *in) {
  SN_TRY(infer_stated(in));
  int64_t axis = sn_infer_attr(in, "axis")->i;
  if (axis < 0 || axis >= in->leaf->rank)
    return sn_infer_fail(in, "%s has no axis %lld", sn_infer_text(in, in->leaf), (long long)axis);
  if (in->leaf->elem == SN_ELEM_BOOL) return sn_infer_fail(in, "counts in numbers, not in bool");
  return SN_OK;
}

static sn_code infer_dim(sn_infer *in) {
  SN_TRY(infer_stated(in));
  if (in->leaf != sn_type_scalar(sn_infer_types(in), SN_ELEM_I32))
    return sn_infer_fail(in, "is i32[], not %s", sn_infer_text(in, in->leaf));
  int64_t most = sn_dimx_max_value(sn_infer_attr(in, "dim")->d);
  if (most <= INT32_MAX) return SN_OK;
  sn_code code = sn_infer_fail(in, "the dim may exceed the range of i32");
  sn_fail_expected(in->diags, "at most %d: give its symbols a .max", INT32_MAX);
  sn_fail_found(in->diags, "up to %lld", (long long)most);
  return code;
}

static void grad_leaf(sn_grad_rule *g) { (void)g; }

#define CONSTANT .why_no_grad = "it is a constant"

const sn_op_rules sn_rules_INPUT = {infer_stated, CONSTANT,
                                    .doc = "a tensor given at each run; scalars may have a default"};
const sn_op_rules sn_rules_PARAM = {infer_learned, .grad = grad_leaf, .doc = "a learned tensor, kept between runs"};
const sn_op_rules sn_rules_STATE = {infer_stated, .grad = grad_leaf,
                                    .doc = "a tensor kept between runs: moments, caches, counters"};
const sn_op_rules sn_rules_ARG = {infer_stated, .grad = grad_leaf, .doc = "argument of a body"};
const sn_op_rules sn_rules_CONST = {infer_stated, CONSTANT, .doc = "every element is `value`"};
const sn_op_rules sn_rules_IOTA = {infer_iota, CONSTANT, .doc = "every element is its position along `axis`"};
const sn_op_rules sn_rules_DIM = {infer_dim, CONSTANT, .doc = "the value of a dim, i32[]"};
