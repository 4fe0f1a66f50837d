/* Rules of the elementwise ops. Operands have one type; nothing broadcasts.
 *
 * Conventions where the derivative does not exist: sign(0) = 0, so abs'(0) = 0; of equal operands the first of min and
 * max receives the gradient; pow at base 0 gives no gradient to the exponent. */
#include "ir/ops/rules.h"

#include <math.h>

#define TWO_OVER_SQRT_PI 1.1283791670955126
#define LN2 0.69314718055994531

/* ---- types ---- */

static sn_code infer_float1(sn_infer *in) {
  if (!sn_elem_is_float(in->arg[0]->elem)) return sn_infer_want(in, 0, "a float tensor");
  return sn_infer_one(in, in->arg[0]);
}

static sn_code infer_number1(sn_infer *in) {
  if (in->arg[0]->elem == SN_ELEM_BOOL) return sn_infer_want(in, 0, "numbers");
  return sn_infer_one(in, in->arg[0]);
}

static sn_code infer_any1(sn_infer *in) { return sn_infer_one(in, in->arg[0]); }

static sn_code infer_not(sn_infer *in) {
  if (sn_elem_is_float(in->arg[0]->elem)) return sn_infer_want(in, 0, "bools or integers");
  return sn_infer_one(in, in->arg[0]);
}

static sn_code infer_int1(sn_infer *in) {
  if (!sn_elem_is_int(in->arg[0]->elem)) return sn_infer_want(in, 0, "an integer tensor");
  return sn_infer_one(in, in->arg[0]);
}

static sn_code infer_isfinite(sn_infer *in) {
  SN_TRY(infer_float1(in));
  return sn_infer_one(in, sn_type_with_elem(sn_infer_types(in), in->arg[0], SN_ELEM_BOOL));
}

static sn_code infer_cast(sn_infer *in) {
  int64_t to = sn_infer_attr(in, "to")->i;
  if (to <= SN_ELEM_NONE || to >= SN_ELEM_COUNT) return sn_infer_fail(in, "unknown element type");
  return sn_infer_one(in, sn_type_with_elem(sn_infer_types(in), in->arg[0], (sn_elem)to));
}

static sn_code infer_same(sn_infer *in) {
  if (in->arg[1] != in->arg[0]) return sn_infer_want(in, 1, "%s, the type of operand 1", sn_infer_text(in, in->arg[0]));
  return sn_infer_one(in, in->arg[0]);
}

static sn_code infer_number2(sn_infer *in) {
  SN_TRY(infer_number1(in));
  return infer_same(in);
}

static sn_code infer_float2(sn_infer *in) {
  SN_TRY(infer_float1(in));
  return infer_same(in);
}

static sn_code infer_int2(sn_infer *in) {
  SN_TRY(infer_int1(in));
  return infer_same(in);
}

static sn_code infer_equal(sn_infer *in) {
  SN_TRY(infer_same(in));
  return sn_infer_one(in, sn_type_with_elem(sn_infer_types(in), in->arg[0], SN_ELEM_BOOL));
}

static sn_code infer_order(sn_infer *in) {
  SN_TRY(infer_number1(in));
  return infer_equal(in);
}

static sn_code infer_bits(sn_infer *in) {
  if (sn_elem_is_float(in->arg[0]->elem)) return sn_infer_want(in, 0, "bools or integers");
  return infer_same(in);
}

static sn_code infer_select(sn_infer *in) {
  if (in->arg[2] != in->arg[1]) return sn_infer_want(in, 2, "%s, the type of operand 2", sn_infer_text(in, in->arg[1]));
  const sn_type *want = sn_type_with_elem(sn_infer_types(in), in->arg[1], SN_ELEM_BOOL);
  if (in->arg[0] != want) return sn_infer_want(in, 0, "%s", sn_infer_text(in, want));
  return sn_infer_one(in, in->arg[1]);
}

/* ---- gradients: x, y the operands, r the result, d its gradient ---- */

static sn_val x_of(const sn_grad_rule *g) { return g->arg[0]; }
static sn_val y_of(const sn_grad_rule *g) { return g->arg[1]; }
static sn_val r_of(const sn_grad_rule *g) { return g->result[0]; }
static sn_val d_of(const sn_grad_rule *g) { return g->d_result[0]; }
static sn_val mul(sn_grad_rule *g, sn_val a, sn_val b) { return sn_g2(g->b, SN_OP_MUL, a, b); }

static void grad_neg(sn_grad_rule *g) { g->d_arg[0] = sn_g1(g->b, SN_OP_NEG, d_of(g)); }
static void grad_abs(sn_grad_rule *g) { g->d_arg[0] = mul(g, d_of(g), sn_g1(g->b, SN_OP_SIGN, x_of(g))); }
static void grad_exp(sn_grad_rule *g) { g->d_arg[0] = mul(g, d_of(g), r_of(g)); }
static void grad_log(sn_grad_rule *g) { g->d_arg[0] = sn_g2(g->b, SN_OP_DIV, d_of(g), x_of(g)); }

static void grad_exp2(sn_grad_rule *g) { g->d_arg[0] = mul(g, sn_b_scale(g->b, d_of(g), LN2), r_of(g)); }

static void grad_log2(sn_grad_rule *g) {
  g->d_arg[0] = sn_g2(g->b, SN_OP_DIV, sn_b_scale(g->b, d_of(g), 1 / LN2), x_of(g));
}

static void grad_expm1(sn_grad_rule *g) { g->d_arg[0] = mul(g, d_of(g), sn_g1(g->b, SN_OP_EXP, x_of(g))); }

static void grad_log1p(sn_grad_rule *g) {
  g->d_arg[0] = sn_g2(g->b, SN_OP_DIV, d_of(g), sn_g2(g->b, SN_OP_ADD, x_of(g), sn_g_const_like(g->b, x_of(g), 1)));
}

static void grad_sqrt(sn_grad_rule *g) {
  g->d_arg[0] = sn_g2(g->b, SN_OP_DIV, sn_b_scale(g->b, d_of(g), 0.5), r_of(g));
}

static void grad_rsqrt(sn_grad_rule *g) { /* -r^3 / 2 */
  sn_val r = r_of(g);
  g->d_arg[0] = mul(g, sn_b_scale(g->b, d_of(g), -0.5), mul(g, r, mul(g, r, r)));
}

static void grad_sin(sn_grad_rule *g) { g->d_arg[0] = mul(g, d_of(g), sn_g1(g->b, SN_OP_COS, x_of(g))); }

static void grad_cos(sn_grad_rule *g) {
  g->d_arg[0] = sn_g1(g->b, SN_OP_NEG, mul(g, d_of(g), sn_g1(g->b, SN_OP_SIN, x_of(g))));
}

static void grad_tanh(sn_grad_rule *g) { /* 1 - r^2 */
  sn_val one = sn_g_const_like(g->b, r_of(g), 1);
  g->d_arg[0] = mul(g, d_of(g), sn_g2(g->b, SN_OP_SUB, one, mul(g, r_of(g), r_of(g))));
}

static void grad_erf(sn_grad_rule *g) { /* 2 / sqrt(pi) * exp(-x^2) */
  sn_val e = sn_g1(g->b, SN_OP_EXP, sn_g1(g->b, SN_OP_NEG, mul(g, x_of(g), x_of(g))));
  g->d_arg[0] = mul(g, d_of(g), sn_b_scale(g->b, e, TWO_OVER_SQRT_PI));
}

static void grad_cast(sn_grad_rule *g) { g->d_arg[0] = sn_g_cast(g->b, d_of(g), sn_g_type(g->b, x_of(g))->elem); }

static void grad_add(sn_grad_rule *g) { g->d_arg[0] = g->d_arg[1] = d_of(g); }

static void grad_sub(sn_grad_rule *g) {
  g->d_arg[0] = d_of(g);
  if (g->need[1]) g->d_arg[1] = sn_g1(g->b, SN_OP_NEG, d_of(g));
}

static void grad_mul(sn_grad_rule *g) {
  if (g->need[0]) g->d_arg[0] = mul(g, d_of(g), y_of(g));
  if (g->need[1]) g->d_arg[1] = mul(g, d_of(g), x_of(g));
}

static void grad_div(sn_grad_rule *g) { /* d/y, -(d/y) r */
  sn_val q = sn_g2(g->b, SN_OP_DIV, d_of(g), y_of(g));
  g->d_arg[0] = q;
  if (g->need[1]) g->d_arg[1] = sn_g1(g->b, SN_OP_NEG, mul(g, q, r_of(g)));
}

/* y x^(y-1), 0 where y = 0; r log x, 0 where x <= 0 */
static void grad_pow(sn_grad_rule *g) {
  sn_build *b = g->b;
  sn_val zero = sn_b_zeros(b, x_of(g)), one = sn_g_const_like(b, x_of(g), 1);
  if (g->need[0]) {
    sn_val p = sn_g2(b, SN_OP_POW, x_of(g), sn_g2(b, SN_OP_SUB, y_of(g), one));
    sn_val slope = sn_g3(b, SN_OP_SELECT, sn_g2(b, SN_OP_EQ, y_of(g), zero), zero, mul(g, y_of(g), p));
    g->d_arg[0] = mul(g, d_of(g), slope);
  }
  if (g->need[1]) {
    sn_val positive = sn_g2(b, SN_OP_LT, zero, x_of(g));
    sn_val l = sn_g1(b, SN_OP_LOG, sn_g3(b, SN_OP_SELECT, positive, x_of(g), one));
    sn_val slope = sn_g3(b, SN_OP_SELECT, positive, mul(g, r_of(g), l), zero);
    g->d_arg[1] = mul(g, d_of(g), slope);
  }
}

/* Gradient to the operand that was taken. */
static void grad_taken(sn_grad_rule *g, sn_val first) {
  sn_val zero = sn_b_zeros(g->b, d_of(g));
  if (g->need[0]) g->d_arg[0] = sn_g3(g->b, SN_OP_SELECT, first, d_of(g), zero);
  if (g->need[1]) g->d_arg[1] = sn_g3(g->b, SN_OP_SELECT, first, zero, d_of(g));
}

static void grad_min(sn_grad_rule *g) { grad_taken(g, sn_g2(g->b, SN_OP_LE, x_of(g), y_of(g))); }
static void grad_max(sn_grad_rule *g) { grad_taken(g, sn_g2(g->b, SN_OP_LE, y_of(g), x_of(g))); }

static void grad_select(sn_grad_rule *g) {
  sn_val zero = sn_b_zeros(g->b, d_of(g)), c = g->arg[0];
  if (g->need[1]) g->d_arg[1] = sn_g3(g->b, SN_OP_SELECT, c, d_of(g), zero);
  if (g->need[2]) g->d_arg[2] = sn_g3(g->b, SN_OP_SELECT, c, zero, d_of(g));
}

#define STEP .why_no_grad = "it is constant wherever its derivative exists"

const sn_op_rules sn_rules_NEG = {infer_number1, grad_neg, .doc = "-x"};
const sn_op_rules sn_rules_ABS = {infer_number1, grad_abs, .doc = "|x|"};
const sn_op_rules sn_rules_SIGN = {infer_number1, STEP, .doc = "-1, 0 or 1"};
const sn_op_rules sn_rules_EXP = {infer_float1, grad_exp, .doc = "e^x"};
const sn_op_rules sn_rules_LOG = {infer_float1, grad_log, .doc = "natural logarithm"};
const sn_op_rules sn_rules_EXP2 = {infer_float1, grad_exp2, .doc = "2^x"};
const sn_op_rules sn_rules_LOG2 = {infer_float1, grad_log2, .doc = "logarithm to base 2"};
const sn_op_rules sn_rules_EXPM1 = {infer_float1, grad_expm1, .doc = "e^x - 1, exact near 0 too"};
const sn_op_rules sn_rules_LOG1P = {infer_float1, grad_log1p, .doc = "log(1 + x), exact near 0 too"};
const sn_op_rules sn_rules_SQRT = {infer_float1, grad_sqrt, .doc = "square root"};
const sn_op_rules sn_rules_RSQRT = {infer_float1, grad_rsqrt, .doc = "1 / sqrt(x)"};
const sn_op_rules sn_rules_SIN = {infer_float1, grad_sin, .doc = "sine, x in radians"};
const sn_op_rules sn_rules_COS = {infer_float1, grad_cos, .doc = "cosine, x in radians"};
const sn_op_rules sn_rules_TANH = {infer_float1, grad_tanh, .doc = "hyperbolic tangent"};
const sn_op_rules sn_rules_ERF = {infer_float1, grad_erf, .doc = "error function"};
const sn_op_rules sn_rules_FLOOR = {infer_float1, STEP, .doc = "the next whole number below"};
const sn_op_rules sn_rules_CEIL = {infer_float1, STEP, .doc = "the next whole number above"};
const sn_op_rules sn_rules_ROUND = {infer_float1, STEP, .doc = "the nearest whole number; halves go to the even one"};
const sn_op_rules sn_rules_TRUNC = {infer_float1, STEP, .doc = "the next whole number towards 0"};
const sn_op_rules sn_rules_NOT = {infer_not, STEP, .doc = "not, of bools or of bits"};
const sn_op_rules sn_rules_POPCOUNT = {infer_int1, STEP, .doc = "how many bits are 1"};
const sn_op_rules sn_rules_ISFINITE = {infer_isfinite, STEP, .doc = "neither NaN nor infinite"};
const sn_op_rules sn_rules_CAST = {
    infer_cast, grad_cast,
    .doc = "to another element type: to nearest even; float to integer truncates, saturates, NaN gives 0"};
const sn_op_rules sn_rules_STOP = {infer_any1, .why_no_grad = "it stops gradients",
                                   .doc = "x itself; no gradient passes"};
const sn_op_rules sn_rules_ADD = {infer_number2, grad_add, .doc = "x + y; integers wrap"};
const sn_op_rules sn_rules_SUB = {infer_number2, grad_sub, .doc = "x - y; integers wrap"};
const sn_op_rules sn_rules_MUL = {infer_number2, grad_mul, .doc = "x * y; integers wrap"};
const sn_op_rules sn_rules_DIV = {infer_number2, grad_div, .doc = "x / y; floor division on integers"};
const sn_op_rules sn_rules_MOD = {infer_int2, STEP, .doc = "remainder of floor division: the sign of y"};
const sn_op_rules sn_rules_POW = {infer_float2, grad_pow, .doc = "x^y"};
const sn_op_rules sn_rules_MIN = {infer_number2, grad_min,
                                  .doc = "the smaller; NaN if any is; on ties x has the gradient"};
const sn_op_rules sn_rules_MAX = {infer_number2, grad_max,
                                  .doc = "the larger; NaN if any is; on ties x has the gradient"};
const sn_op_rules sn_rules_EQ = {infer_equal, STEP, .doc = "x = y"};
const sn_op_rules sn_rules_NE = {infer_equal, STEP, .doc = "x != y; true with NaN"};
const sn_op_rules sn_rules_LT = {infer_order, STEP, .doc = "x < y; false with NaN"};
const sn_op_rules sn_rules_LE = {infer_order, STEP, .doc = "x <= y; false with NaN"};
const sn_op_rules sn_rules_AND = {infer_bits, STEP, .doc = "and, of bools or of bits"};
const sn_op_rules sn_rules_OR = {infer_bits, STEP, .doc = "or, of bools or of bits"};
const sn_op_rules sn_rules_XOR = {infer_bits, STEP, .doc = "exclusive or, of bools or of bits"};
const sn_op_rules sn_rules_SHL = {infer_int2, STEP, .doc = "bits moved up by y; 0 where y is no bit number"};
const sn_op_rules sn_rules_SHR = {
    infer_int2, STEP, .doc = "bits moved down by y, keeping the sign: floor(x / 2^y); y < 0 counts as infinite"};
const sn_op_rules sn_rules_SELECT = {infer_select, grad_select, .doc = "c ? x : y"};
