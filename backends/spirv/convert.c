/* Conversions between element types. Narrow floats are patterns in memory and f32 in registers; they are rounded here
 * in integers and sums, so that no driver decides how. */
#include "backends/spirv/sg.h"

typedef struct format {          /* as in ir/base/half.c */
  uint32_t mantissa, bias, sign; /* sign: the bit's number */
  uint32_t largest, inf, nan;    /* patterns; largest: finite numbers beyond it become it, 0: they become inf */
} format;

static const format formats[] = {
    [SN_ELEM_F16] = {10, 15, 15, 0, 0x7c00, 0x7e00},
    [SN_ELEM_F8E4M3] = {3, 7, 7, 0x7e, 0x7f, 0x7f},
    [SN_ELEM_F8E5M2] = {2, 15, 7, 0x7b, 0x7c, 0x7e},
};

static spv_id word_type(sg *g) { return spv_uint(g->s, 32); }
static spv_id bits_of(sg *g, spv_id x) { return sg_bits(g, word_type(g), x); }
static spv_id float_of(sg *g, spv_id x) { return sg_bits(g, spv_float(g->s, 32), x); }

static spv_id pick(sg *g, spv_id condition, uint32_t yes, spv_id no) {
  spv_id constant = spv_u32(g->s, yes);
  return sg_select(g, word_type(g), condition, constant, no);
}

/* ---- f32 -> pattern ---------------------------------------------------------------------------------------------- */

/* (x + half - 1 + bit `drop` of x) >> drop: to the nearest, ties to even. */
static spv_id rounded(sg *g, spv_id bits, uint32_t drop, uint32_t offset) {
  spv_id odd = sg_intc(g, SpvOpShiftRightLogical, bits, drop);
  odd = sg_intc(g, SpvOpBitwiseAnd, odd, 1);
  spv_id sum = sg_add(g, bits, offset + ((uint32_t)1 << (drop - 1)) - 1);
  sum = sg_int(g, SpvOpIAdd, sum, odd);
  return sg_intc(g, SpvOpShiftRightLogical, sum, drop);
}

static spv_id bf16_pattern(sg *g, spv_id bits, spv_id nan) {
  spv_id r = rounded(g, bits, 16, 0);
  spv_id quiet = sg_intc(g, SpvOpShiftRightLogical, bits, 16);
  quiet = sg_intc(g, SpvOpBitwiseOr, quiet, 0x40);
  return sg_select(g, word_type(g), nan, quiet, r);
}

/* Adding this number rounds a denormal result in its last place. */
static spv_id denormal_pattern(sg *g, const format *f, spv_id magnitude) {
  uint32_t magic = (127 - f->bias + 23 - f->mantissa + 1) << 23;
  spv_id type = spv_float(g->s, 32), number = spv_u32(g->s, magic);
  spv_id constant = float_of(g, number);
  spv_id x = float_of(g, magnitude);
  spv_id sum = sg_float(g, SpvOpFAdd, type, x, constant);
  sum = bits_of(g, sum);
  return sg_intc(g, SpvOpISub, sum, magic);
}

static spv_id small_pattern(sg *g, const format *f, spv_id bits, spv_id nan) {
  spv_id magnitude = sg_intc(g, SpvOpBitwiseAnd, bits, 0x7fffffff);
  spv_id normal = rounded(g, magnitude, 23 - f->mantissa, 0u - ((127 - f->bias) << 23));
  spv_id denormal = denormal_pattern(g, f, magnitude);
  spv_id small = sg_testc(g, SpvOpULessThan, magnitude, (128 - f->bias) << 23);
  spv_id r = sg_select(g, word_type(g), small, denormal, normal);
  uint32_t most = f->largest ? f->largest : f->inf;
  spv_id over = sg_testc(g, SpvOpUGreaterThan, r, most);
  spv_id huge = sg_testc(g, SpvOpUGreaterThanEqual, magnitude, 0x7f000000);
  over = spv_op2(g->s, SpvOpLogicalOr, spv_bool(g->s), over, huge);
  r = pick(g, over, most, r);
  spv_id infinite = sg_testc(g, SpvOpIEqual, magnitude, 0x7f800000);
  r = pick(g, infinite, f->inf, r);
  r = pick(g, nan, f->nan, r);
  spv_id sign = sg_intc(g, SpvOpShiftRightLogical, bits, 31 - f->sign);
  sign = sg_intc(g, SpvOpBitwiseAnd, sign, (uint32_t)1 << f->sign);
  return sg_int(g, SpvOpBitwiseOr, r, sign);
}

spv_id sg_narrow(sg *g, sn_elem e, spv_id value) {
  if (e == SN_ELEM_BOOL) {
    spv_id zero = spv_u32(g->s, 0);
    return pick(g, value, 1, zero);
  }
  if (!sn_elem_is_float(e)) return value;
  spv_id bits = bits_of(g, value);
  if (e == SN_ELEM_F32) return bits;
  spv_id magnitude = sg_intc(g, SpvOpBitwiseAnd, bits, 0x7fffffff);
  spv_id nan = sg_testc(g, SpvOpUGreaterThan, magnitude, 0x7f800000);
  return e == SN_ELEM_BF16 ? bf16_pattern(g, bits, nan) : small_pattern(g, &formats[e], bits, nan);
}

/* ---- pattern -> register ----------------------------------------------------------------------------------------- */

static spv_id small_float(sg *g, const format *f, spv_id pattern) {
  uint32_t up = 23 - f->mantissa, mask = ((uint32_t)1 << f->sign) - 1;
  spv_id type = spv_float(g->s, 32);
  spv_id body = sg_intc(g, SpvOpBitwiseAnd, pattern, mask);
  spv_id normal = sg_intc(g, SpvOpShiftLeftLogical, body, up);
  normal = sg_add(g, normal, (127 - f->bias) << 23);
  spv_id count = spv_op1(g->s, SpvOpConvertUToF, type, body);
  uint32_t least = (127 - f->bias + 1 - f->mantissa) << 23; /* the smallest denormal as f32 */
  spv_id step = spv_u32(g->s, least);
  step = float_of(g, step);
  spv_id denormal = sg_float(g, SpvOpFMul, type, count, step);
  denormal = bits_of(g, denormal);
  spv_id small = sg_testc(g, SpvOpULessThan, body, (uint32_t)1 << f->mantissa);
  spv_id r = sg_select(g, word_type(g), small, denormal, normal);
  spv_id special = sg_testc(g, SpvOpUGreaterThan, body, f->largest ? f->largest : f->inf);
  r = pick(g, special, 0x7fc00000, r);
  if (f->inf != f->nan) {
    spv_id infinite = sg_testc(g, SpvOpIEqual, body, f->inf);
    r = pick(g, infinite, 0x7f800000, r);
  }
  spv_id sign = sg_intc(g, SpvOpBitwiseAnd, pattern, (uint32_t)1 << f->sign);
  sign = sg_intc(g, SpvOpShiftLeftLogical, sign, 31 - f->sign);
  r = sg_int(g, SpvOpBitwiseOr, r, sign);
  return float_of(g, r);
}

spv_id sg_widen(sg *g, sn_elem e, spv_id bits) { /* table */
  switch (e) {
    case SN_ELEM_F32: return float_of(g, bits);
    case SN_ELEM_BF16: bits = sg_intc(g, SpvOpShiftLeftLogical, bits, 16); return float_of(g, bits);
    case SN_ELEM_F16:
    case SN_ELEM_F8E4M3:
    case SN_ELEM_F8E5M2: return small_float(g, &formats[e], bits);
    case SN_ELEM_BOOL: return sg_testc(g, SpvOpINotEqual, bits, 0);
    case SN_ELEM_I8:
      bits = sg_intc(g, SpvOpShiftLeftLogical, bits, 24);
      return sg_intc(g, SpvOpShiftRightArithmetic, bits, 24);
    default: return bits;
  }
}

/* ---- casts ------------------------------------------------------------------------------------------------------- */

static sn_elem register_of(sn_elem e) {
  if (sn_elem_is_float(e)) return e == SN_ELEM_F64 ? e : SN_ELEM_F32;
  return e == SN_ELEM_I64 || e == SN_ELEM_BOOL ? e : SN_ELEM_I32;
}

/* Truncation that saturates; NaN gives 0. lo, hi: the range; the highest float below `end` is the last that fits. */
static spv_id saturate(sg *g, sn_elem from, sn_elem to, spv_id x, double lo, double end, int64_t most) {
  sn_elem f = register_of(from);
  spv_id type = sg_type(g, to), real = sg_type(g, f);
  spv_id low = sg_const(g, f, lo), high = sg_const(g, f, end), zero = sg_const(g, f, 0);
  spv_id last = sg_is_wide(to) ? sg_longk(g, most) : spv_u32(g->s, (uint32_t)most);
  spv_id under = sg_test(g, SpvOpFOrdLessThan, x, low);
  spv_id over = sg_test(g, SpvOpFOrdGreaterThanEqual, x, high);
  spv_id ordered = sg_test(g, SpvOpFOrdEqual, x, x);
  x = sg_select(g, real, under, low, x);
  x = sg_select(g, real, over, zero, x);
  x = sg_select(g, real, ordered, x, zero);
  spv_id r = sg_is_wide(to) ? sg_long_of_float(g, f, x) : spv_op1(g->s, SpvOpConvertFToS, type, x);
  return sg_select(g, type, over, last, r);
}

static spv_id int_from_float(sg *g, sn_elem from, sn_elem to, spv_id x) { /* table */
  switch (to) {
    case SN_ELEM_I64: return saturate(g, from, to, x, -0x1p63, 0x1p63, INT64_MAX);
    case SN_ELEM_I8: return saturate(g, from, to, x, INT8_MIN, 128, INT8_MAX);
    case SN_ELEM_U8: return saturate(g, from, to, x, 0, 256, UINT8_MAX);
    default: return saturate(g, from, to, x, INT32_MIN, 0x1p31, INT32_MAX);
  }
}

static spv_id float_from(sg *g, sn_elem from, sn_elem to, spv_id x) {
  sn_elem r = register_of(to);
  spv_id type = sg_type(g, r);
  if (!sn_elem_is_float(from)) {
    x = sg_is_wide(from) ? sg_float_of_long(g, r, x) : spv_op1(g->s, SpvOpConvertSToF, type, x);
  } else if (register_of(from) != r) {
    x = spv_op1(g->s, SpvOpFConvert, type, x);
    spv_decorate(g->s, x, SpvDecorationNoContraction, 0, NULL);
  }
  if (!sn_elem_is_narrow(to)) return x;
  spv_id bits = sg_narrow(g, to, x);
  return sg_widen(g, to, bits);
}

static spv_id int_from_int(sg *g, sn_elem from, sn_elem to, spv_id x) {
  if (sg_is_wide(from) && !sg_is_wide(to)) x = sg_low(g, x);
  if (!sg_is_wide(from) && sg_is_wide(to)) x = sg_extend(g, x);
  if (to == SN_ELEM_U8) return sg_intc(g, SpvOpBitwiseAnd, x, 0xff);
  return to == SN_ELEM_I8 ? sg_widen(g, to, x) : x;
}

spv_id sg_cast(sg *g, sn_elem from, sn_elem to, spv_id x) {
  if (from == to) return x;
  if (from == SN_ELEM_BOOL) {
    spv_id one = sg_const(g, to, 1), zero = sg_const(g, to, 0);
    return sg_select(g, sg_type(g, to), x, one, zero);
  }
  if (sn_elem_is_float(to)) return float_from(g, from, to, x);
  return sn_elem_is_float(from) ? int_from_float(g, from, to, x) : int_from_int(g, from, to, x);
}
