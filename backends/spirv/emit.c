/* Small instructions that every file uses. Constants are made before the instruction that needs them. */
#include "backends/spirv/sg.h"

bool sg_is_wide(sn_elem e) { return e == SN_ELEM_F64 || e == SN_ELEM_I64; }

spv_id sg_type(sg *g, sn_elem e) { /* table */
  switch (e) {
    case SN_ELEM_F64: return spv_float(g->s, 64);
    case SN_ELEM_I64: return sg_long_type(g);
    case SN_ELEM_BOOL: return spv_bool(g->s);
    case SN_ELEM_I32:
    case SN_ELEM_I8:
    case SN_ELEM_U8: return spv_uint(g->s, 32);
    default: return spv_float(g->s, 32);
  }
}

spv_id sg_const(sg *g, sn_elem e, double value) { /* table */
  switch (e) {
    case SN_ELEM_F64: return spv_f64(g->s, value);
    case SN_ELEM_I64: return sg_longk(g, (int64_t)value);
    case SN_ELEM_BOOL: return spv_flag(g->s, value != 0);
    case SN_ELEM_I32:
    case SN_ELEM_I8:
    case SN_ELEM_U8: return spv_u32(g->s, (uint32_t)(int32_t)(int64_t)value);
    default: return spv_f32(g->s, (float)value);
  }
}

spv_id sg_int(sg *g, spv_opcode op, spv_id a, spv_id b) {
  spv_id type = spv_uint(g->s, 32);
  return spv_op2(g->s, op, type, a, b);
}

spv_id sg_intc(sg *g, spv_opcode op, spv_id a, uint32_t c) {
  spv_id constant = spv_u32(g->s, c);
  return sg_int(g, op, a, constant);
}

spv_id sg_test(sg *g, spv_opcode op, spv_id a, spv_id b) {
  spv_id type = spv_bool(g->s);
  return spv_op2(g->s, op, type, a, b);
}

spv_id sg_compare(sg *g, sn_elem e, spv_opcode op, spv_id a, spv_id b) {
  return e == SN_ELEM_I64 ? sg_long_test(g, op, a, b) : sg_test(g, op, a, b);
}

spv_id sg_testc(sg *g, spv_opcode op, spv_id a, uint32_t c) {
  spv_id constant = spv_u32(g->s, c);
  return sg_test(g, op, a, constant);
}

spv_id sg_both(sg *g, spv_id a, spv_id b) {
  if (!a || !b) return a ? a : b;
  spv_id type = spv_bool(g->s);
  return spv_op2(g->s, SpvOpLogicalAnd, type, a, b);
}

spv_id sg_select(sg *g, spv_id type, spv_id condition, spv_id a, spv_id b) {
  return spv_op3(g->s, SpvOpSelect, type, condition, a, b);
}

spv_id sg_bits(sg *g, spv_id type, spv_id a) { return spv_op1(g->s, SpvOpBitcast, type, a); }

spv_id sg_float(sg *g, spv_opcode op, spv_id type, spv_id a, spv_id b) {
  spv_id x = spv_op2(g->s, op, type, a, b);
  spv_decorate(g->s, x, SpvDecorationNoContraction, 0, NULL);
  return x;
}

spv_id sg_fma(sg *g, spv_id type, spv_id a, spv_id b, spv_id c) {
  spv_id x = spv_ext(g->s, SpvGLSLstd450Fma, type, 3, (uint32_t[]){a, b, c});
  spv_decorate(g->s, x, SpvDecorationNoContraction, 0, NULL);
  return x;
}

spv_id sg_add(sg *g, spv_id a, uint32_t c) { return c ? sg_intc(g, SpvOpIAdd, a, c) : a; }

spv_id sg_mul(sg *g, spv_id a, uint32_t c) {
  if (c == 1) return a;
  if (c == 0) return spv_u32(g->s, 0);
  if (c & (c - 1)) return sg_intc(g, SpvOpIMul, a, c);
  return sg_intc(g, SpvOpShiftLeftLogical, a, (uint32_t)__builtin_ctz(c));
}
