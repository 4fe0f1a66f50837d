/* Elementwise operations and sources: one table from operation to instruction. Sums and products are never contracted:
 * fma is written where it is meant. */
#include "backends/spirv/sg.h"

static spv_id ext(sg *g, uint32_t instruction, spv_id type, spv_id a) {
  return spv_ext(g->s, instruction, type, 1, &a);
}

/* ---- floats ------------------------------------------------------------------------------------------------------ */

static spv_id float_unary(sg *g, sn_kop op, sn_elem e, spv_id a) { /* table */
  spv_id type = sg_type(g, e), one = sg_const(g, e, 1);
  switch (op) {
    case SN_K_NEG: return spv_op1(g->s, SpvOpFNegate, type, a);
    case SN_K_ABS: return ext(g, SpvGLSLstd450FAbs, type, a);
    case SN_K_SQRT: return ext(g, SpvGLSLstd450Sqrt, type, a);
    case SN_K_RSQRT: a = ext(g, SpvGLSLstd450Sqrt, type, a); return sg_float(g, SpvOpFDiv, type, one, a);
    case SN_K_RECIP: return sg_float(g, SpvOpFDiv, type, one, a);
    case SN_K_FLOOR: return ext(g, SpvGLSLstd450Floor, type, a);
    default: return ext(g, SpvGLSLstd450RoundEven, type, a);
  }
}

/* The smaller or greater; a NaN in either gives NaN. */
static spv_id float_pick(sg *g, spv_opcode op, spv_id type, spv_id a, spv_id b) {
  spv_id first = sg_test(g, op, a, b);
  spv_id r = sg_select(g, type, first, a, b);
  spv_id number = sg_test(g, SpvOpFOrdEqual, a, a);
  return sg_select(g, type, number, r, a);
}

static spv_id float_binary(sg *g, sn_kop op, sn_elem e, spv_id a, spv_id b) { /* table */
  spv_id type = sg_type(g, e);
  switch (op) {
    case SN_K_ADD: return sg_float(g, SpvOpFAdd, type, a, b);
    case SN_K_SUB: return sg_float(g, SpvOpFSub, type, a, b);
    case SN_K_MUL: return sg_float(g, SpvOpFMul, type, a, b);
    case SN_K_DIV: return sg_float(g, SpvOpFDiv, type, a, b);
    case SN_K_MIN: return float_pick(g, SpvOpFOrdLessThan, type, a, b);
    case SN_K_MAX: return float_pick(g, SpvOpFOrdGreaterThan, type, a, b);
    case SN_K_LT: return sg_test(g, SpvOpFOrdLessThan, a, b);
    case SN_K_LE: return sg_test(g, SpvOpFOrdLessThanEqual, a, b);
    case SN_K_EQ: return sg_test(g, SpvOpFOrdEqual, a, b);
    default: return sg_test(g, SpvOpFUnordNotEqual, a, b);
  }
}

/* ---- integers ---------------------------------------------------------------------------------------------------- */

static spv_id int_constant(sg *g, sn_elem e, int64_t c) {
  return sg_is_wide(e) ? sg_longk(g, c) : spv_u32(g->s, (uint32_t)c);
}

static spv_id int_op(sg *g, sn_elem e, spv_opcode op, spv_id a, spv_id b) {
  return sg_is_wide(e) ? sg_long(g, op, a, b) : sg_int(g, op, a, b);
}

static spv_id int_pick(sg *g, spv_opcode op, sn_elem e, spv_id a, spv_id b) {
  spv_id first = sg_compare(g, e, op, a, b);
  return sg_select(g, sg_type(g, e), first, a, b);
}

/* A divisor that no machine stumbles over: 1 for 0 (any number will do) and for -1 (negated afterwards). */
static spv_id safe_divisor(sg *g, sn_elem e, spv_id b, spv_id *minus) {
  spv_id type = sg_type(g, e), zero = int_constant(g, e, 0), one = int_constant(g, e, 1), all = int_constant(g, e, -1);
  spv_id nothing = sg_compare(g, e, SpvOpIEqual, b, zero);
  *minus = sg_compare(g, e, SpvOpIEqual, b, all);
  b = sg_select(g, type, nothing, one, b);
  return sg_select(g, type, *minus, one, b);
}

/* Floor division: one less than the truncated quotient where signs differ and something is left. */
static spv_id floor_divide(sg *g, sn_elem e, spv_id a, spv_id b) {
  spv_id type = sg_type(g, e), minus, zero = int_constant(g, e, 0), one = int_constant(g, e, 1);
  spv_id d = safe_divisor(g, e, b, &minus);
  spv_id q = int_op(g, e, SpvOpSDiv, a, d);
  spv_id back = int_op(g, e, SpvOpIMul, q, d);
  spv_id rest = int_op(g, e, SpvOpISub, a, back);
  spv_id left = sg_compare(g, e, SpvOpINotEqual, rest, zero);
  spv_id signs = int_op(g, e, SpvOpBitwiseXor, rest, d);
  spv_id differ = sg_compare(g, e, SpvOpSLessThan, signs, zero);
  spv_id less = sg_both(g, left, differ);
  spv_id lower = int_op(g, e, SpvOpISub, q, one);
  q = sg_select(g, type, less, lower, q);
  spv_id negated = int_op(g, e, SpvOpISub, zero, a);
  return sg_select(g, type, minus, negated, q);
}

static spv_id modulo(sg *g, sn_elem e, spv_id a, spv_id b) {
  spv_id q = floor_divide(g, e, a, b);
  spv_id back = int_op(g, e, SpvOpIMul, q, b);
  return int_op(g, e, SpvOpISub, a, back);
}

static spv_id multiply_high(sg *g, spv_id a, spv_id b) {
  spv_id word = spv_uint(g->s, 32);
  spv_id pair = spv_intern(g->s, SpvOpTypeStruct, 0, 2, (uint32_t[]){word, word});
  spv_id both = spv_op2(g->s, SpvOpUMulExtended, pair, a, b);
  return spv_op2(g->s, SpvOpCompositeExtract, word, both, 1);
}

static spv_id shifted(sg *g, spv_opcode op, sn_elem e, spv_id a, spv_id count) {
  spv_id mask = int_constant(g, e, sg_is_wide(e) ? 63 : 31);
  count = int_op(g, e, SpvOpBitwiseAnd, count, mask);
  return int_op(g, e, op, a, count);
}

static spv_id int_binary(sg *g, sn_kop op, sn_elem e, spv_id a, spv_id b) { /* table */
  switch (op) {
    case SN_K_ADD: return int_op(g, e, SpvOpIAdd, a, b);
    case SN_K_SUB: return int_op(g, e, SpvOpISub, a, b);
    case SN_K_MUL: return int_op(g, e, SpvOpIMul, a, b);
    case SN_K_DIV: return floor_divide(g, e, a, b);
    case SN_K_MOD: return modulo(g, e, a, b);
    case SN_K_MIN: return int_pick(g, SpvOpSLessThan, e, a, b);
    case SN_K_MAX: return int_pick(g, SpvOpSGreaterThan, e, a, b);
    case SN_K_AND: return int_op(g, e, SpvOpBitwiseAnd, a, b);
    case SN_K_OR: return int_op(g, e, SpvOpBitwiseOr, a, b);
    case SN_K_XOR: return int_op(g, e, SpvOpBitwiseXor, a, b);
    case SN_K_SHL: return shifted(g, SpvOpShiftLeftLogical, e, a, b);
    case SN_K_SHR: return shifted(g, SpvOpShiftRightLogical, e, a, b);
    case SN_K_SAR: return shifted(g, SpvOpShiftRightArithmetic, e, a, b);
    case SN_K_MULHI: return multiply_high(g, a, b);
    case SN_K_LT: return sg_compare(g, e, SpvOpSLessThan, a, b);
    case SN_K_LE: return sg_compare(g, e, SpvOpSLessThanEqual, a, b);
    case SN_K_EQ: return sg_compare(g, e, SpvOpIEqual, a, b);
    default: return sg_compare(g, e, SpvOpINotEqual, a, b);
  }
}

static spv_id bool_binary(sg *g, sn_kop op, spv_id a, spv_id b) {
  spv_opcode logical = op == SN_K_AND ? SpvOpLogicalAnd : op == SN_K_OR ? SpvOpLogicalOr : SpvOpLogicalNotEqual;
  return sg_test(g, logical, a, b);
}

spv_id sg_binary(sg *g, sn_kop op, sn_elem e, spv_id a, spv_id b) {
  if (e == SN_ELEM_BOOL) return bool_binary(g, op, a, b);
  return sn_elem_is_float(e) ? float_binary(g, op, e, a, b) : int_binary(g, op, e, a, b);
}

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

static spv_id int_unary(sg *g, sn_kop op, sn_elem e, spv_id a) {
  spv_id type = sg_type(g, e);
  if (op == SN_K_NOT) return spv_op1(g->s, SpvOpLogicalNot, type, a);
  spv_id zero = int_constant(g, e, 0), negated = int_op(g, e, SpvOpISub, zero, a);
  if (op == SN_K_NEG) return negated;
  spv_id below = sg_compare(g, e, SpvOpSLessThan, a, zero);
  return sg_select(g, type, below, negated, a);
}

static spv_id unary(sg *g, const sn_kins *x, spv_id a) {
  sn_elem from = sg_ins(g, x->a[0])->type.elem;
  if (x->op == SN_K_CAST) return sg_cast(g, from, x->type.elem, a);
  if (x->op == SN_K_BITCAST) return sg_bits(g, sg_type(g, x->type.elem), a);
  return sn_elem_is_float(from) ? float_unary(g, x->op, from, a) : int_unary(g, x->op, from, a);
}

static spv_id ternary(sg *g, const sn_kins *x, spv_id a, spv_id b, spv_id c) {
  spv_id type = sg_type(g, x->type.elem);
  if (x->op == SN_K_SELECT) return sg_select(g, type, a, b, c);
  return sg_fma(g, type, a, b, c);
}

void sg_point(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  sg_tile y = sg_tile_new(g, x->type.r, x->type.c);
  sn_elem e = sg_ins(g, x->a[0])->type.elem;
  for (uint32_t i = 0; i < sg_count(y); i++) {
    spv_id a[3] = {0};
    for (int k = 0; k < x->count; k++) a[k] = g->tile[x->a[k]].e[i];
    y.e[i] = x->count == 1   ? unary(g, x, a[0])
             : x->count == 2 ? sg_binary(g, x->op, e, a[0], a[1])
                             : ternary(g, x, a[0], a[1], a[2]);
  }
  g->tile[v] = y;
}

/* acc * statistic of its row or column. */
void sg_rescale(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  sg_tile y = sg_tile_new(g, x->type.r, x->type.c), s = sg_broadcast(g, g->tile[x->a[1]], x->type.r, x->type.c);
  for (uint32_t i = 0; i < sg_count(y); i++)
    y.e[i] = float_binary(g, SN_K_MUL, x->type.elem, g->tile[x->a[0]].e[i], s.e[i]);
  g->tile[v] = y;
}

void sg_source(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  sg_tile y = sg_tile_new(g, x->type.r, x->type.c);
  spv_id base = x->op == SN_K_CONST ? sg_const(g, x->type.elem, x->f) : sg_index32(g, x->a[0]);
  for (uint32_t i = 0; i < y.r.per; i++)
    for (uint32_t j = 0; j < y.c.per; j++) {
      spv_id *e = &y.e[i * y.c.per + j];
      *e = base;
      if (x->op != SN_K_IOTA) continue;
      if (x->i ? i > 0 : j > 0) { /* as in the first row or column */
        *e = x->i ? y.e[j] : y.e[i * y.c.per];
        continue;
      }
      spv_id at = sg_coordinate(g, x->i ? y.c : y.r, !x->i, x->i ? j : i);
      *e = sg_int(g, SpvOpIAdd, base, at);
    }
  g->tile[v] = y;
}
