/* Rule of random numbers: counter based, so that the same seed, step and stream give the same numbers everywhere. */
#include "ir/ops/rules.h"

#define TURN 6.28318530717958648 /* of a circle */

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

/* Box and Muller 1958: the radius from 1 - u, which is not 0, and an angle. */
static sn_val expand_normal(sn_build *b, const sn_node *n, const sn_val *arg) {
  static const char *const part[2] = {"radius", "angle"};
  const sn_attr *shape = sn_node_attr(n, "shape");
  sn_val u[2];
  for (int i = 0; i < 2; i++) {
    const char *name = sn_arena_printf(b->func->arena, "%s/%s", sn_node_attr(n, "stream")->s, part[i]);
    const sn_attr at[2] = {*shape, {.set = true, .s = sn_name(b->func->module->names, name)}};
    u[i] = sn_emit(b, SN_OP_UNIFORM, 2, arg, at, NULL);
  }
  if (b->failed) return 0;
  sn_val rest = sn_g2(b, SN_OP_SUB, sn_g_const_like(b, u[0], 1), u[0]);
  sn_val radius = sn_g1(b, SN_OP_SQRT, sn_b_scale(b, sn_g1(b, SN_OP_LOG, rest), -2));
  return sn_g2(b, SN_OP_MUL, radius, sn_g1(b, SN_OP_COS, sn_b_scale(b, u[1], TURN)));
}

const sn_op_rules sn_rules_NORMAL = {infer_uniform, NULL, "it is random", expand_normal,
                                     "normal of mean 0 and variance 1, f32, made of two uniform numbers each"};
