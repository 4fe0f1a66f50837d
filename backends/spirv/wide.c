/* Integers of 64 bits: those of the device, or pairs of words, the low one first, where it has none. */
#include "backends/spirv/sg.h"

static bool is_native(const sg *g) { return !g->t->gpu.no_int64; }

spv_id sg_long_type(sg *g) {
  if (is_native(g)) return spv_uint(g->s, 64);
  spv_id word = spv_uint(g->s, 32);
  return spv_vector(g->s, word, 2);
}

spv_id sg_longk(sg *g, int64_t c) {
  if (is_native(g)) return spv_u64(g->s, (uint64_t)c);
  spv_id low = spv_u32(g->s, (uint32_t)c), high = spv_u32(g->s, (uint32_t)((uint64_t)c >> 32));
  return spv_intern(g->s, SpvOpConstantComposite, sg_long_type(g), 2, (uint32_t[]){low, high});
}

/* ---- pairs ------------------------------------------------------------------------------------------------------- */

typedef struct pair {
  spv_id low, high;
} pair;

static pair taken(sg *g, spv_id x) {
  spv_id word = spv_uint(g->s, 32);
  pair p;
  p.low = spv_op2(g->s, SpvOpCompositeExtract, word, x, 0);
  p.high = spv_op2(g->s, SpvOpCompositeExtract, word, x, 1);
  return p;
}

static spv_id made(sg *g, pair p) {
  spv_id type = sg_long_type(g);
  return spv_op2(g->s, SpvOpCompositeConstruct, type, p.low, p.high);
}

/* Sum, difference or product of words with what goes beyond. */
static pair extended(sg *g, spv_opcode op, spv_id a, spv_id b) {
  spv_id word = spv_uint(g->s, 32);
  spv_id type = spv_intern(g->s, SpvOpTypeStruct, 0, 2, (uint32_t[]){word, word});
  spv_id both = spv_op2(g->s, op, type, a, b);
  return taken(g, both);
}

static pair sum(sg *g, pair a, pair b, bool minus) {
  spv_opcode op = minus ? SpvOpISub : SpvOpIAdd;
  pair y = extended(g, minus ? SpvOpISubBorrow : SpvOpIAddCarry, a.low, b.low);
  spv_id high = sg_int(g, op, a.high, b.high);
  y.high = sg_int(g, op, high, y.high);
  return y;
}

static pair product(sg *g, pair a, pair b) {
  pair y = extended(g, SpvOpUMulExtended, a.low, b.low);
  spv_id p = sg_int(g, SpvOpIMul, a.low, b.high), q = sg_int(g, SpvOpIMul, a.high, b.low);
  y.high = sg_int(g, SpvOpIAdd, y.high, p);
  y.high = sg_int(g, SpvOpIAdd, y.high, q);
  return y;
}

static pair picked(sg *g, spv_id condition, pair a, pair b) {
  spv_id word = spv_uint(g->s, 32);
  pair y;
  y.low = sg_select(g, word, condition, a.low, b.low);
  y.high = sg_select(g, word, condition, a.high, b.high);
  return y;
}

/* By 0 to 63. A word is moved by the low five bits; what leaves it goes by one and by the others, never by 32. */
static pair shifted(sg *g, spv_opcode op, pair a, spv_id count) {
  bool left = op == SpvOpShiftLeftLogical;
  spv_id five = sg_intc(g, SpvOpBitwiseAnd, count, 31), rest = sg_intc(g, SpvOpBitwiseXor, five, 31);
  spv_id half = sg_intc(g, SpvOpBitwiseAnd, count, 32), far = sg_testc(g, SpvOpINotEqual, half, 0);
  spv_opcode back = left ? SpvOpShiftRightLogical : SpvOpShiftLeftLogical;
  spv_id between = sg_intc(g, back, left ? a.low : a.high, 1);
  between = sg_int(g, back, between, rest);
  pair near = {sg_int(g, left ? op : SpvOpShiftRightLogical, a.low, five), 0};
  near.high = sg_int(g, op, a.high, five);
  spv_id fill = op == SpvOpShiftRightArithmetic ? sg_intc(g, op, a.high, 31) : spv_u32(g->s, 0);
  pair beyond = left ? (pair){fill, near.low} : (pair){near.high, fill};
  if (left)
    near.high = sg_int(g, SpvOpBitwiseOr, near.high, between);
  else
    near.low = sg_int(g, SpvOpBitwiseOr, near.low, between);
  return picked(g, far, beyond, near);
}

static spv_id less(sg *g, spv_opcode op, pair a, pair b) {
  spv_id truth = spv_bool(g->s);
  spv_id high = sg_test(g, op, a.high, b.high), same = sg_test(g, SpvOpIEqual, a.high, b.high);
  spv_id low = sg_test(g, SpvOpULessThan, a.low, b.low), both = sg_both(g, same, low);
  return spv_op2(g->s, SpvOpLogicalOr, truth, high, both);
}

static spv_id opposite(sg *g, spv_id condition) {
  spv_id truth = spv_bool(g->s);
  return spv_op1(g->s, SpvOpLogicalNot, truth, condition);
}

static spv_id equal(sg *g, spv_opcode op, pair a, pair b) {
  spv_id truth = spv_bool(g->s), low = sg_test(g, op, a.low, b.low), high = sg_test(g, op, a.high, b.high);
  return spv_op2(g->s, op == SpvOpIEqual ? SpvOpLogicalAnd : SpvOpLogicalOr, truth, low, high);
}

static spv_id pair_test(sg *g, spv_opcode op, pair a, pair b) { /* table */
  switch (op) {
    case SpvOpULessThan:
    case SpvOpSLessThan: return less(g, op, a, b);
    case SpvOpUGreaterThan: return less(g, SpvOpULessThan, b, a);
    case SpvOpSGreaterThan: return less(g, SpvOpSLessThan, b, a);
    case SpvOpSLessThanEqual: return opposite(g, less(g, SpvOpSLessThan, b, a));
    case SpvOpUGreaterThanEqual: return opposite(g, less(g, SpvOpULessThan, a, b));
    default: return equal(g, op, a, b);
  }
}

/* ---- division ---------------------------------------------------------------------------------------------------- */

/* Bit by bit from the top: what is left of the dividend above, the quotient below. needs: b at most 2^63.
 * -> quotient, *rest: remainder */
static spv_id divided(sg *g, spv_id a, spv_id b, spv_id *rest) {
  spv_id word = spv_uint(g->s, 32), type = sg_long_type(g), zero = spv_u32(g->s, 0), one = spv_u32(g->s, 1);
  spv_id bits = spv_u32(g->s, 64), none = sg_longk(g, 0), count = one;
  pair d = taken(g, b);
  spv_loop l = spv_loop_begin(g->s, word, zero);
  spv_carry left = spv_loop_carry(g->s, &l, type, none), quotient = spv_loop_carry(g->s, &l, type, a);
  spv_loop_body(g->s, &l, bits, count);
  pair r = taken(g, left.phi), q = taken(g, quotient.phi);
  spv_id next = sg_intc(g, SpvOpShiftRightLogical, q.high, 31);
  r = shifted(g, SpvOpShiftLeftLogical, r, one), q = shifted(g, SpvOpShiftLeftLogical, q, one);
  r.low = sg_int(g, SpvOpBitwiseOr, r.low, next);
  spv_id fits = pair_test(g, SpvOpUGreaterThanEqual, r, d);
  r = picked(g, fits, sum(g, r, d, true), r);
  spv_id bit = sg_select(g, word, fits, one, zero);
  q.low = sg_int(g, SpvOpBitwiseOr, q.low, bit);
  spv_id r_next = made(g, r), q_next = made(g, q);
  spv_loop_next(g->s, &l);
  spv_loop_yield(g->s, left, r_next), spv_loop_yield(g->s, quotient, q_next);
  spv_loop_end(g->s, &l);
  *rest = left.phi;
  return quotient.phi;
}

static spv_id negated(sg *g, spv_id x) {
  spv_id zero = sg_longk(g, 0);
  return sg_long(g, SpvOpISub, zero, x);
}

static spv_id is_negative(sg *g, spv_id x) {
  spv_id high = taken(g, x).high;
  return sg_testc(g, SpvOpSLessThan, high, 0);
}

static spv_id magnitude(sg *g, spv_id x, spv_id negative) {
  spv_id other = negated(g, x);
  return sg_select(g, sg_long_type(g), negative, other, x);
}

static spv_id pair_divide(sg *g, spv_opcode op, spv_id a, spv_id b) {
  spv_id rest, q;
  if (op != SpvOpSDiv) {
    q = divided(g, a, b, &rest);
    return op == SpvOpUDiv ? q : rest;
  }
  spv_id a_negative = is_negative(g, a), b_negative = is_negative(g, b);
  spv_id differ = sg_test(g, SpvOpLogicalNotEqual, a_negative, b_negative);
  a = magnitude(g, a, a_negative), b = magnitude(g, b, b_negative);
  q = divided(g, a, b, &rest);
  return magnitude(g, q, differ);
}

/* ---- both -------------------------------------------------------------------------------------------------------- */

spv_id sg_long(sg *g, spv_opcode op, spv_id a, spv_id b) {
  spv_id type = sg_long_type(g);
  if (is_native(g)) return spv_op2(g->s, op, type, a, b);
  if (op == SpvOpUDiv || op == SpvOpUMod || op == SpvOpSDiv) return pair_divide(g, op, a, b);
  if (op == SpvOpBitwiseAnd || op == SpvOpBitwiseOr || op == SpvOpBitwiseXor) return spv_op2(g->s, op, type, a, b);
  pair p = taken(g, a), q = taken(g, b);
  switch (op) {
    case SpvOpIAdd: return made(g, sum(g, p, q, false));
    case SpvOpISub: return made(g, sum(g, p, q, true));
    case SpvOpIMul: return made(g, product(g, p, q));
    default: return made(g, shifted(g, op, p, q.low));
  }
}

spv_id sg_longc(sg *g, spv_opcode op, spv_id a, int64_t c) {
  spv_id constant = sg_longk(g, c);
  return sg_long(g, op, a, constant);
}

spv_id sg_long_test(sg *g, spv_opcode op, spv_id a, spv_id b) {
  if (is_native(g)) return sg_test(g, op, a, b);
  pair p = taken(g, a), q = taken(g, b);
  return pair_test(g, op, p, q);
}

spv_id sg_low(sg *g, spv_id x) {
  spv_id word = spv_uint(g->s, 32);
  return is_native(g) ? spv_op1(g->s, SpvOpUConvert, word, x) : taken(g, x).low;
}

spv_id sg_long_of(sg *g, spv_id x) {
  spv_id type = sg_long_type(g);
  if (is_native(g)) return spv_op1(g->s, SpvOpUConvert, type, x);
  spv_id zero = spv_u32(g->s, 0);
  return made(g, (pair){x, zero});
}

/* Not OpSConvert: Mesa 22 gets it wrong. */
spv_id sg_extend(sg *g, spv_id x) {
  if (!is_native(g)) return made(g, (pair){x, sg_intc(g, SpvOpShiftRightArithmetic, x, 31)});
  spv_id flipped = sg_longc(g, SpvOpBitwiseXor, sg_long_of(g, x), 0x80000000);
  return sg_longc(g, SpvOpISub, flipped, 0x80000000);
}

/* Of 32 bits where both are known to be below 2^32. */
spv_id sg_long_divide(sg *g, spv_opcode op, spv_id a, spv_id b, bool small) {
  if (is_native(g) || !small) return sg_long(g, op, a, b);
  a = sg_low(g, a), b = sg_low(g, b);
  return sg_long_of(g, sg_int(g, op, a, b));
}

void sg_long_loop_body(sg *g, spv_loop *l, spv_id limit, spv_id step) {
  if (is_native(g)) {
    spv_loop_body(g->s, l, limit, step);
    return;
  }
  spv_id goes_on = sg_long_test(g, SpvOpSLessThan, l->counter, limit);
  spv_loop_body_if(g->s, l, goes_on);
  l->step = step;
}

void sg_long_loop_end(sg *g, spv_loop *l) {
  spv_id next = sg_long(g, SpvOpIAdd, l->counter, l->step);
  spv_loop_end_with(g->s, l, next);
}

/* ---- elements of 64 bits and their words ------------------------------------------------------------------------- */

static spv_id pair_type(sg *g) {
  spv_id word = spv_uint(g->s, 32);
  return spv_vector(g->s, word, 2);
}

spv_id sg_words(sg *g, sn_elem e, spv_id x) {
  return e == SN_ELEM_I64 && !is_native(g) ? x : sg_bits(g, pair_type(g), x);
}

spv_id sg_of_words(sg *g, sn_elem e, spv_id words) {
  return e == SN_ELEM_I64 && !is_native(g) ? words : sg_bits(g, sg_type(g, e), words);
}

/* ---- conversions ------------------------------------------------------------------------------------------------- */

/* The top 32 bits, with a last one that says whether there are others below: what f32 makes of them is what it would
 * make of all 64. */
static spv_id f32_of(sg *g, pair p) {
  spv_id word = spv_uint(g->s, 32), type = spv_float(g->s, 32), one = spv_u32(g->s, 1), zero = spv_u32(g->s, 0);
  spv_id top = spv_ext(g->s, SpvGLSLstd450FindUMsb, word, 1, &p.high);
  spv_id up = spv_u32(g->s, 31);
  up = sg_int(g, SpvOpISub, up, top);
  up = sg_intc(g, SpvOpBitwiseAnd, up, 31);
  pair q = shifted(g, SpvOpShiftLeftLogical, p, up);
  spv_id more = sg_testc(g, SpvOpINotEqual, q.low, 0);
  more = sg_select(g, word, more, one, zero);
  spv_id bits = sg_int(g, SpvOpBitwiseOr, q.high, more);
  spv_id x = spv_op1(g->s, SpvOpConvertUToF, type, bits);
  spv_id scale = spv_u32(g->s, 127 + 32);
  scale = sg_int(g, SpvOpISub, scale, up);
  scale = sg_intc(g, SpvOpShiftLeftLogical, scale, 23);
  scale = sg_bits(g, type, scale);
  x = sg_float(g, SpvOpFMul, type, x, scale);
  spv_id small = spv_op1(g->s, SpvOpConvertUToF, type, p.low), is_small = sg_testc(g, SpvOpIEqual, p.high, 0);
  return sg_select(g, type, is_small, small, x);
}

static spv_id f64_of(sg *g, pair p) {
  spv_id type = spv_float(g->s, 64), scale = spv_f64(g->s, 0x1p32);
  spv_id high = spv_op1(g->s, SpvOpConvertUToF, type, p.high), low = spv_op1(g->s, SpvOpConvertUToF, type, p.low);
  return sg_fma(g, type, high, scale, low);
}

spv_id sg_float_of_long(sg *g, sn_elem to, spv_id x) {
  spv_id type = sg_type(g, to);
  if (is_native(g)) return spv_op1(g->s, SpvOpConvertSToF, type, x);
  spv_id negative = is_negative(g, x);
  pair p = taken(g, magnitude(g, x, negative));
  spv_id y = to == SN_ELEM_F64 ? f64_of(g, p) : f32_of(g, p);
  spv_id minus = spv_op1(g->s, SpvOpFNegate, type, y);
  return sg_select(g, type, negative, minus, y);
}

spv_id sg_long_of_float(sg *g, sn_elem from, spv_id x) {
  spv_id type = sg_type(g, from), word = spv_uint(g->s, 32), zero = sg_const(g, from, 0);
  if (is_native(g)) return spv_op1(g->s, SpvOpConvertFToS, sg_long_type(g), x);
  spv_id down = sg_const(g, from, 0x1p-32), up = sg_const(g, from, 0x1p32);
  spv_id negative = sg_test(g, SpvOpFOrdLessThan, x, zero);
  spv_id size = spv_ext(g->s, SpvGLSLstd450FAbs, type, 1, &x);
  spv_id high = sg_float(g, SpvOpFMul, type, size, down);
  high = spv_ext(g->s, SpvGLSLstd450Trunc, type, 1, &high);
  spv_id part = sg_float(g, SpvOpFMul, type, high, up), low = sg_float(g, SpvOpFSub, type, size, part);
  pair p = {spv_op1(g->s, SpvOpConvertFToU, word, low), 0};
  p.high = spv_op1(g->s, SpvOpConvertFToU, word, high);
  return magnitude(g, made(g, p), negative);
}
