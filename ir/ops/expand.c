/* Rules of the elementwise expansions, and what all expansions share. Expansions are written in ops that are not
 * EXPAND; narrow floats are computed in f32. Gradient rules of their own use the result where that is shorter. */
#include "ir/ops/rules.h"

#include <math.h>

#define SQRT_HALF 0.70710678118654752
#define SQRT_TWO_OVER_PI 0.79788456080286536

/* ---- shared pieces ---- */

sn_val sn_b_scale(sn_build *b, sn_val x, double factor) {
  return sn_g2(b, SN_OP_MUL, x, sn_g_const_like(b, x, factor));
}

sn_val sn_b_mean(sn_build *b, sn_val x, int axis) {
  if (b->failed || !x) return 0;
  const sn_dimx *d = sn_g_type(b, x)->dim[axis];
  const int64_t axes[1] = {axis};
  int64_t n;
  sn_val s = sn_g_sum(b, x, 1, axes);
  if (sn_dimx_is_const(d, &n)) return sn_b_scale(b, s, 1.0 / (double)(n ? n : 1));
  sn_val count = sn_g_cast(b, sn_g_dim(b, d), sn_g_type(b, s)->elem);
  return sn_g2(b, SN_OP_DIV, s, sn_g_expand_to(b, count, sn_g_type(b, s)));
}

sn_val sn_b_onehot(sn_build *b, sn_val index, const sn_type *t) {
  if (b->failed || !index) return 0;
  const sn_type *it = sn_type_with_elem(sn_b_types(b), t, sn_g_type(b, index)->elem);
  int64_t axes[SN_RANK_MAX];
  for (int i = 0; i < t->rank; i++) axes[i] = i;
  sn_val wanted = sn_g_broadcast(b, index, t->rank, t->dim, axes);
  return sn_g2(b, SN_OP_EQ, sn_g_iota(b, it, t->rank - 1), wanted);
}

sn_val sn_emit_expansion(sn_build *b, const sn_node *n, const sn_val *arg) {
  sn_origin saved = b->origin;
  b->origin = n->origin;
  b->origin.group = sn_arena_printf(b->func->arena, "%s#%u", sn_op_get(n->op)->name, n->first);
  sn_val v = b->failed ? 0 : sn_op_rules_of(n->op)->expand(b, n, arg);
  b->origin = saved;
  return v;
}

/* ---- elementwise ---- */

static sn_code infer_float1(sn_infer *in) {
  if (!sn_elem_is_float(in->arg[0]->elem)) return sn_infer_want(in, 0, "a float tensor");
  return sn_infer_one(in, in->arg[0]);
}

static sn_code infer_square(sn_infer *in) {
  if (in->arg[0]->elem == SN_ELEM_BOOL) return sn_infer_want(in, 0, "numbers");
  return sn_infer_one(in, in->arg[0]);
}

/* x in f32 or f64, and a result back in the type of x. */
static sn_val wide(sn_build *b, sn_val x) {
  return b->failed || !x ? 0 : sn_g_cast(b, x, sn_acc_elem(sn_g_type(b, x)->elem));
}
static sn_val narrow(sn_build *b, sn_val y, sn_val x) { return b->failed ? 0 : sn_g_cast(b, y, sn_g_type(b, x)->elem); }

static sn_val expand_square(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  return sn_g2(b, SN_OP_MUL, arg[0], arg[0]);
}

static void grad_square(sn_grad_rule *g) {
  g->d_arg[0] = sn_g2(g->b, SN_OP_MUL, g->d_result[0], sn_b_scale(g->b, g->arg[0], 2));
}

/* With e = exp(-|x|) <= 1: e / (1 + e) for x <= 0, else 1 / (1 + e). Nothing overflows; both tails keep their digits.
 */
static sn_val sigmoid(sn_build *b, sn_val x) {
  sn_val one = sn_g_const_like(b, x, 1), zero = sn_b_zeros(b, x);
  sn_val e = sn_g1(b, SN_OP_EXP, sn_g2(b, SN_OP_MIN, x, sn_g1(b, SN_OP_NEG, x)));
  sn_val top = sn_g3(b, SN_OP_SELECT, sn_g2(b, SN_OP_LE, x, zero), e, one);
  return sn_g2(b, SN_OP_DIV, top, sn_g2(b, SN_OP_ADD, one, e));
}

static sn_val expand_sigmoid(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  return narrow(b, sigmoid(b, wide(b, arg[0])), arg[0]);
}

/* s (1 - s) */
static sn_val sigmoid_slope(sn_build *b, sn_val s) {
  return sn_g2(b, SN_OP_MUL, s, sn_g2(b, SN_OP_SUB, sn_g_const_like(b, s, 1), s));
}

static void grad_sigmoid(sn_grad_rule *g) {
  sn_val s = wide(g->b, g->result[0]);
  sn_val d = sn_g2(g->b, SN_OP_MUL, wide(g->b, g->d_result[0]), sigmoid_slope(g->b, s));
  g->d_arg[0] = narrow(g->b, d, g->arg[0]);
}

static sn_val expand_reciprocal(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  return sn_g2(b, SN_OP_DIV, sn_g_const_like(b, arg[0], 1), arg[0]);
}

/* log(1 + exp(-|x|)): what softplus adds to max(x, 0), and logsigmoid takes from min(x, 0). */
static sn_val log1p_exp_minus_abs(sn_build *b, sn_val x) {
  return sn_g1(b, SN_OP_LOG1P, sn_g1(b, SN_OP_EXP, sn_g2(b, SN_OP_MIN, x, sn_g1(b, SN_OP_NEG, x))));
}

static sn_val expand_softplus(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  sn_val x = wide(b, arg[0]), top = sn_g2(b, SN_OP_MAX, x, sn_b_zeros(b, x));
  return narrow(b, sn_g2(b, SN_OP_ADD, top, log1p_exp_minus_abs(b, x)), arg[0]);
}

static sn_val expand_logsigmoid(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  sn_val x = wide(b, arg[0]), low = sn_g2(b, SN_OP_MIN, x, sn_b_zeros(b, x));
  return narrow(b, sn_g2(b, SN_OP_SUB, low, log1p_exp_minus_abs(b, x)), arg[0]);
}

static void grad_softplus(sn_grad_rule *g) { /* sigmoid(x) */
  sn_val s = sigmoid(g->b, wide(g->b, g->arg[0]));
  g->d_arg[0] = narrow(g->b, sn_g2(g->b, SN_OP_MUL, wide(g->b, g->d_result[0]), s), g->arg[0]);
}

static void grad_logsigmoid(sn_grad_rule *g) { /* sigmoid(-x) */
  sn_val s = sigmoid(g->b, sn_g1(g->b, SN_OP_NEG, wide(g->b, g->arg[0])));
  g->d_arg[0] = narrow(g->b, sn_g2(g->b, SN_OP_MUL, wide(g->b, g->d_result[0]), s), g->arg[0]);
}

static sn_val is_positive(sn_build *b, sn_val x) { return sn_g2(b, SN_OP_LT, sn_b_zeros(b, x), x); }

static sn_val leak(sn_build *b, const sn_node *n, sn_val x, sn_val v) {
  sn_val low = sn_b_scale(b, v, sn_node_attr(n, "slope")->f);
  return sn_g3(b, SN_OP_SELECT, is_positive(b, x), v, low);
}

static sn_val expand_leaky_relu(sn_build *b, const sn_node *n, const sn_val *arg) { return leak(b, n, arg[0], arg[0]); }
static void grad_leaky_relu(sn_grad_rule *g) { g->d_arg[0] = leak(g->b, g->node, g->arg[0], g->d_result[0]); }

/* alpha * op(min(x, 0)): never above the range */
static sn_val elu_tail(sn_build *b, const sn_node *n, sn_op op, sn_val x) {
  sn_val low = sn_g2(b, SN_OP_MIN, x, sn_b_zeros(b, x));
  return sn_b_scale(b, sn_g1(b, op, low), sn_node_attr(n, "alpha")->f);
}

static sn_val expand_elu(sn_build *b, const sn_node *n, const sn_val *arg) {
  sn_val x = wide(b, arg[0]);
  return narrow(b, sn_g3(b, SN_OP_SELECT, is_positive(b, x), x, elu_tail(b, n, SN_OP_EXPM1, x)), arg[0]);
}

static void grad_elu(sn_grad_rule *g) { /* 1 or alpha e^x */
  sn_build *b = g->b;
  sn_val x = wide(b, g->arg[0]), one = sn_g_const_like(b, x, 1);
  sn_val slope = sn_g3(b, SN_OP_SELECT, is_positive(b, x), one, elu_tail(b, g->node, SN_OP_EXP, x));
  g->d_arg[0] = narrow(b, sn_g2(b, SN_OP_MUL, wide(b, g->d_result[0]), slope), g->arg[0]);
}

static sn_val expand_relu(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  return sn_g2(b, SN_OP_MAX, arg[0], sn_b_zeros(b, arg[0]));
}

static void grad_relu(sn_grad_rule *g) {
  sn_val zero = sn_b_zeros(g->b, g->arg[0]);
  g->d_arg[0] = sn_g3(g->b, SN_OP_SELECT, sn_g2(g->b, SN_OP_LT, zero, g->arg[0]), g->d_result[0], zero);
}

/* x/2 (1 + t) */
static sn_val half_gate(sn_build *b, sn_val x, sn_val t) {
  return sn_g2(b, SN_OP_MUL, sn_b_scale(b, x, 0.5), sn_g2(b, SN_OP_ADD, sn_g_const_like(b, x, 1), t));
}

static sn_val expand_gelu(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  sn_val x = wide(b, arg[0]);
  return narrow(b, half_gate(b, x, sn_g1(b, SN_OP_ERF, sn_b_scale(b, x, SQRT_HALF))), arg[0]);
}

/* x + 0.044715 x^3 as x (1 + 0.044715 x^2) */
static sn_val expand_gelu_tanh(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  sn_val x = wide(b, arg[0]);
  sn_val cubic = sn_b_scale(b, sn_g2(b, SN_OP_MUL, x, x), 0.044715);
  sn_val inner = sn_g2(b, SN_OP_MUL, x, sn_g2(b, SN_OP_ADD, cubic, sn_g_const_like(b, x, 1)));
  return narrow(b, half_gate(b, x, sn_g1(b, SN_OP_TANH, sn_b_scale(b, inner, SQRT_TWO_OVER_PI))), arg[0]);
}

static sn_val expand_silu(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  sn_val x = wide(b, arg[0]);
  return narrow(b, sn_g2(b, SN_OP_MUL, x, sigmoid(b, x)), arg[0]);
}

static void grad_silu(sn_grad_rule *g) { /* s + x s (1 - s) */
  sn_build *b = g->b;
  sn_val x = wide(b, g->arg[0]), s = sigmoid(b, x);
  sn_val slope = sn_g2(b, SN_OP_ADD, s, sn_g2(b, SN_OP_MUL, x, sigmoid_slope(b, s)));
  g->d_arg[0] = narrow(b, sn_g2(b, SN_OP_MUL, wide(b, g->d_result[0]), slope), g->arg[0]);
}

const sn_op_rules sn_rules_SQUARE = {infer_square, grad_square, NULL, expand_square, "x * x"};
const sn_op_rules sn_rules_SIGMOID = {infer_float1, grad_sigmoid, NULL, expand_sigmoid, "1 / (1 + e^-x)"};
const sn_op_rules sn_rules_RECIPROCAL = {infer_float1, NULL, NULL, expand_reciprocal, "1 / x"};
const sn_op_rules sn_rules_LOGSIGMOID = {infer_float1, grad_logsigmoid, NULL, expand_logsigmoid, "log(sigmoid(x))"};
const sn_op_rules sn_rules_SOFTPLUS = {infer_float1, grad_softplus, NULL, expand_softplus, "log(1 + e^x)"};
const sn_op_rules sn_rules_LEAKY_RELU = {infer_float1, grad_leaky_relu, NULL, expand_leaky_relu,
                                         "x above 0, `slope` x elsewhere; the derivative at 0 is `slope`"};
const sn_op_rules sn_rules_ELU = {infer_float1, grad_elu, NULL, expand_elu,
                                  "x above 0, `alpha` (e^x - 1) elsewhere; the derivative at 0 is `alpha`"};
const sn_op_rules sn_rules_RELU = {infer_float1, grad_relu, NULL, expand_relu, "max(x, 0); the derivative at 0 is 0"};
const sn_op_rules sn_rules_GELU = {infer_float1, NULL, NULL, expand_gelu, "x/2 (1 + erf(x / sqrt 2))"};
const sn_op_rules sn_rules_GELU_TANH = {infer_float1, NULL, NULL, expand_gelu_tanh,
                                        "x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))"};
const sn_op_rules sn_rules_SILU = {infer_float1, grad_silu, NULL, expand_silu, "x sigmoid(x)"};
