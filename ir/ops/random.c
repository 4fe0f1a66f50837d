/* Rule of random numbers: counter based, so that the same seed, step and stream give the same numbers everywhere. */
#include "ir/ops/rules.h"

static sn_code infer_uniform(sn_infer *in) {
  sn_types *types = sn_infer_types(in);
  const sn_type *t;
  if (in->arg[0] != sn_type_scalar(types, SN_ELEM_I64)) return sn_infer_want(in, 0, "i64[], the seed");
  if (in->arg[1] != sn_type_scalar(types, SN_ELEM_I32)) return sn_infer_want(in, 1, "i32[], the step");
  SN_TRY(sn_infer_shape(in, SN_ELEM_F32, sn_infer_attr(in, "shape"), &t));
  return sn_infer_one(in, t);
}

const sn_op_rules sn_rules_UNIFORM = {infer_uniform, .why_no_grad = "it is random",
                                      .doc = "uniform in [0, 1), f32, by seed, step and the name of its stream"};
