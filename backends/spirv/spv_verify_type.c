/* Rules of types: arithmetic, comparisons, conversions, composites. */
#include "backends/spirv/spv_verify.h"

/* Same number of components: both scalars, vectors of a length, or matrices that differ in the component only. */
static bool same_frame(const spv_reader *r, const spv_shape *a, const spv_shape *b) {
  if (a->lanes != b->lanes) return false;
  if (a->lanes) return true;
  const spv_insn *x = spv_definition(r, a->matrix), *y = spv_definition(r, b->matrix);
  for (uint32_t k = 1; k < 5; k++)
    if (spv_word_at(r, x, k) != spv_word_at(r, y, k)) return false;
  return true;
}

/* ---- arithmetic and comparisons ---------------------------------------------------------------------------------- */

typedef enum type_rule {
  NO_RULE,
  INTS,          /* integers of a width in, the same out */
  SHIFTS,        /* the amount may have another width */
  BITS,          /* the first as the result, then integers of any width, scalar */
  FLOATS,        /* of the result's type */
  TRUTHS,        /* bool of the result's type */
  INT_COMPARE,   /* integers of one width -> bool */
  FLOAT_COMPARE, /* floats of one type -> bool */
  INT_TO_FLOAT,
  FLOAT_TO_INT,
  INT_TO_INT, /* of another width */
  FLOAT_TO_FLOAT,
} type_rule;

static type_rule rule_of(uint32_t opcode) {
  switch (opcode) { /* table */
    case SpvOpSNegate:
    case SpvOpIAdd:
    case SpvOpISub:
    case SpvOpIMul:
    case SpvOpUDiv:
    case SpvOpSDiv:
    case SpvOpUMod:
    case SpvOpSRem:
    case SpvOpSMod:
    case SpvOpBitwiseOr:
    case SpvOpBitwiseXor:
    case SpvOpBitwiseAnd:
    case SpvOpNot:
    case SpvOpBitReverse: return INTS;
    case SpvOpShiftRightLogical:
    case SpvOpShiftRightArithmetic:
    case SpvOpShiftLeftLogical: return SHIFTS;
    case SpvOpBitFieldSExtract:
    case SpvOpBitFieldUExtract: return BITS;
    case SpvOpFNegate:
    case SpvOpFAdd:
    case SpvOpFSub:
    case SpvOpFMul:
    case SpvOpFDiv:
    case SpvOpFRem:
    case SpvOpFMod:
    case SpvOpQuantizeToF16: return FLOATS;
    case SpvOpLogicalEqual:
    case SpvOpLogicalNotEqual:
    case SpvOpLogicalOr:
    case SpvOpLogicalAnd:
    case SpvOpLogicalNot: return TRUTHS;
    case SpvOpIEqual:
    case SpvOpINotEqual:
    case SpvOpUGreaterThan:
    case SpvOpSGreaterThan:
    case SpvOpUGreaterThanEqual:
    case SpvOpSGreaterThanEqual:
    case SpvOpULessThan:
    case SpvOpSLessThan:
    case SpvOpULessThanEqual:
    case SpvOpSLessThanEqual: return INT_COMPARE;
    case SpvOpIsNan:
    case SpvOpIsInf:
    case SpvOpFOrdEqual:
    case SpvOpFUnordEqual:
    case SpvOpFOrdNotEqual:
    case SpvOpFUnordNotEqual:
    case SpvOpFOrdLessThan:
    case SpvOpFUnordLessThan:
    case SpvOpFOrdGreaterThan:
    case SpvOpFUnordGreaterThan:
    case SpvOpFOrdLessThanEqual:
    case SpvOpFUnordLessThanEqual:
    case SpvOpFOrdGreaterThanEqual:
    case SpvOpFUnordGreaterThanEqual: return FLOAT_COMPARE;
    case SpvOpConvertSToF:
    case SpvOpConvertUToF: return INT_TO_FLOAT;
    case SpvOpConvertFToU:
    case SpvOpConvertFToS: return FLOAT_TO_INT;
    case SpvOpUConvert:
    case SpvOpSConvert: return INT_TO_INT;
    case SpvOpFConvert: return FLOAT_TO_FLOAT;
    default: return NO_RULE;
  }
}

static spv_kind result_kind(type_rule rule) {
  switch (rule) {
    case INTS:
    case SHIFTS:
    case BITS:
    case FLOAT_TO_INT:
    case INT_TO_INT: return SPV_INT;
    case FLOATS:
    case INT_TO_FLOAT:
    case FLOAT_TO_FLOAT: return SPV_FLOAT;
    default: return SPV_BOOL;
  }
}

static spv_kind operand_kind(type_rule rule) {
  switch (rule) {
    case INTS:
    case SHIFTS:
    case BITS:
    case INT_COMPARE:
    case INT_TO_FLOAT:
    case INT_TO_INT: return SPV_INT;
    case TRUTHS: return SPV_BOOL;
    default: return SPV_FLOAT;
  }
}

static const char *kind_name(spv_kind kind) {
  switch (kind) {
    case SPV_BOOL: return "bool";
    case SPV_INT: return "integer";
    case SPV_FLOAT: return "floating-point";
    default: return "pointer";
  }
}

/* Does operand k agree with the result and the operands before? */
static bool agrees(type_rule rule, uint32_t k, const spv_shape *result, const spv_shape *first, const spv_shape *x) {
  switch (rule) {
    case INTS: return x->bits == result->bits;
    case SHIFTS:
    case BITS: return k > 0 || x->bits == result->bits;
    case FLOATS: return x->component == result->component;
    case INT_COMPARE: return x->bits == first->bits;
    case FLOAT_COMPARE: return x->component == first->component;
    case INT_TO_INT: return x->bits != result->bits;
    case FLOAT_TO_FLOAT: return x->component != result->component;
    default: return true;
  }
}

static sn_code check_rule(const spv_checker *c, const spv_insn *i, type_rule rule) {
  const spv_reader *r = &c->r;
  const spv_shape result = spv_shape_of(r, i->type);
  spv_shape first = {0};
  if (result.kind != result_kind(rule)) return spv_wrong(c, i, "its type is not %s", kind_name(result_kind(rule)));
  for (uint32_t k = 0; k < i->words - i->first; k++) {
    const spv_shape x = spv_shape_of(r, spv_operand_type(r, i, k));
    if (!k) first = x;
    if (x.kind != operand_kind(rule))
      return spv_wrong(c, i, "operand %u is not %s", k + 1, kind_name(operand_kind(rule)));
    bool is_scalar = rule == BITS && k > 0;
    if (is_scalar ? x.lanes != 1 : !same_frame(r, &x, &result))
      return spv_wrong(c, i, "operand %u has another number of components", k + 1);
    if (!agrees(rule, k, &result, &first, &x)) return spv_wrong(c, i, "the type of operand %u does not fit", k + 1);
  }
  return SN_OK;
}

/* ---- the rest, one by one ---------------------------------------------------------------------------------------- */

static sn_code check_same(const spv_checker *c, const spv_insn *i, uint32_t k, spv_id type) {
  if (spv_operand_type(&c->r, i, k) == type) return SN_OK;
  return spv_wrong(c, i, "the type of operand %u does not fit", k + 1);
}

static sn_code check_select(const spv_checker *c, const spv_insn *i) {
  const spv_shape truth = spv_shape_of(&c->r, spv_operand_type(&c->r, i, 0)), result = spv_shape_of(&c->r, i->type);
  if (truth.kind != SPV_BOOL) return spv_wrong(c, i, "operand 1 is not bool");
  if (truth.lanes != 1 && truth.lanes != result.lanes)
    return spv_wrong(c, i, "operand 1 has another number of components");
  SN_TRY(check_same(c, i, 1, i->type));
  return check_same(c, i, 2, i->type);
}

/* Bits of a value; 0: it has no bits that may be taken for others. */
static uint32_t bits_of(const spv_shape *s) {
  if (s->kind == SPV_POINTER) return s->lanes == 1 ? 64 : 0; /* only PhysicalStorageBuffer has an address */
  return s->kind == SPV_INT || s->kind == SPV_FLOAT ? s->bits * (s->lanes ? s->lanes : 1) : 0;
}

static sn_code check_bitcast(const spv_checker *c, const spv_insn *i) {
  spv_shape from = spv_shape_of(&c->r, spv_operand_type(&c->r, i, 0)), to = spv_shape_of(&c->r, i->type);
  spv_shape *shapes[] = {&from, &to};
  for (int k = 0; k < 2; k++)
    if (shapes[k]->kind == SPV_POINTER && shapes[k]->bits != SpvStorageClassPhysicalStorageBuffer)
      return spv_wrong(c, i, "takes a pointer without address for bits");
  if ((from.kind == SPV_POINTER && to.kind == SPV_FLOAT) || (from.kind == SPV_FLOAT && to.kind == SPV_POINTER))
    return spv_wrong(c, i, "takes floating-point bits for a pointer");
  if (!bits_of(&from) || bits_of(&from) != bits_of(&to))
    return spv_wrong(c, i, "from %u bits to %u", bits_of(&from), bits_of(&to));
  return SN_OK;
}

static sn_code check_address(const spv_checker *c, const spv_insn *i, bool to_pointer) {
  const spv_shape x = spv_shape_of(&c->r, spv_operand_type(&c->r, i, 0)), result = spv_shape_of(&c->r, i->type);
  const spv_shape *number = to_pointer ? &x : &result, *pointer = to_pointer ? &result : &x;
  if (number->kind != SPV_INT || number->lanes != 1 || number->bits != 64)
    return spv_wrong(c, i, "the address is not an integer of 64 bits");
  if (pointer->kind != SPV_POINTER || pointer->bits != SpvStorageClassPhysicalStorageBuffer)
    return spv_wrong(c, i, "is not about a PhysicalStorageBuffer pointer");
  return SN_OK;
}

/* A structure of two integers: low and high words, sum and carry. */
static sn_code check_extended(const spv_checker *c, const spv_insn *i) {
  const spv_insn *s = spv_definition_as(&c->r, i->type, SpvOpTypeStruct);
  spv_id part = spv_member_type(&c->r, i->type, 0);
  if (!s || s->words != 4 || part != spv_member_type(&c->r, i->type, 1) || spv_shape_of(&c->r, part).kind != SPV_INT)
    return spv_wrong(c, i, "its type is not a structure of two equal integers");
  SN_TRY(check_same(c, i, 0, part));
  return check_same(c, i, 1, part);
}

static sn_code check_construct(const spv_checker *c, const spv_insn *i) {
  const spv_reader *r = &c->r;
  const spv_shape result = spv_shape_of(r, i->type);
  const uint32_t parts = i->words - i->first;
  if (result.kind != SPV_OTHER && result.lanes > 1) { /* scalars and vectors, side by side */
    uint32_t lanes = 0;
    for (uint32_t k = 0; k < parts; k++) {
      const spv_shape x = spv_shape_of(r, spv_operand_type(r, i, k));
      if (x.component != result.component || !x.lanes)
        return spv_wrong(c, i, "the type of operand %u does not fit", k + 1);
      lanes += x.lanes;
    }
    return lanes == result.lanes ? SN_OK : spv_wrong(c, i, "has %u components for %u", lanes, result.lanes);
  }
  for (uint32_t k = 0; k < parts; k++) {
    spv_id member = spv_member_type(r, i->type, k);
    if (!member) return spv_wrong(c, i, "has too many operands");
    SN_TRY(check_same(c, i, k, member));
  }
  if (result.matrix ? parts != 1 : spv_member_type(r, i->type, parts) != 0)
    return spv_wrong(c, i, "has too few operands");
  return SN_OK;
}

/* The type at the end of the literal indices from operand k on. */
static sn_code walk_literals(const spv_checker *c, const spv_insn *i, uint32_t k, spv_id type, spv_id *out) {
  for (; k < i->words - i->first; k++) {
    type = spv_member_type(&c->r, type, spv_word_at(&c->r, i, k));
    if (!type) return spv_wrong(c, i, "there is no member %u", spv_word_at(&c->r, i, k));
  }
  *out = type;
  return SN_OK;
}

static sn_code check_extract(const spv_checker *c, const spv_insn *i) {
  spv_id type;
  SN_TRY(walk_literals(c, i, 1, spv_operand_type(&c->r, i, 0), &type));
  return type == i->type ? SN_OK : spv_wrong(c, i, "its type is not that of the member");
}

static sn_code check_insert(const spv_checker *c, const spv_insn *i) {
  spv_id type;
  SN_TRY(check_same(c, i, 1, i->type));
  SN_TRY(walk_literals(c, i, 2, i->type, &type));
  return check_same(c, i, 0, type);
}

static sn_code check_shuffle(const spv_checker *c, const spv_insn *i) {
  const spv_shape a = spv_shape_of(&c->r, spv_operand_type(&c->r, i, 0)),
                  b = spv_shape_of(&c->r, spv_operand_type(&c->r, i, 1)), result = spv_shape_of(&c->r, i->type);
  if (a.lanes < 2 || b.lanes < 2 || a.component != result.component || b.component != result.component)
    return spv_wrong(c, i, "is not of vectors of the result's component");
  if (result.lanes != i->words - i->first - 2) return spv_wrong(c, i, "has another number of components than its type");
  for (uint32_t k = 2; k < i->words - i->first; k++) {
    uint32_t from = spv_word_at(&c->r, i, k);
    if (from >= a.lanes + b.lanes && from != UINT32_MAX) return spv_wrong(c, i, "there is no component %u", from);
  }
  return SN_OK;
}

static bool is_scalar_int(const spv_checker *c, const spv_insn *i, uint32_t k) {
  const spv_shape s = spv_shape_of(&c->r, spv_operand_type(&c->r, i, k));
  return s.kind == SPV_INT && s.lanes == 1;
}

static sn_code check_dynamic(const spv_checker *c, const spv_insn *i) {
  bool inserts = i->row->number == SpvOpVectorInsertDynamic;
  const spv_shape v = spv_shape_of(&c->r, spv_operand_type(&c->r, i, 0));
  if (v.lanes < 2) return spv_wrong(c, i, "operand 1 is not a vector");
  if (!is_scalar_int(c, i, inserts ? 2 : 1)) return spv_wrong(c, i, "the index is not an integer");
  if (!inserts) return v.component == i->type ? SN_OK : spv_wrong(c, i, "its type is not that of a component");
  SN_TRY(check_same(c, i, 0, i->type));
  return check_same(c, i, 1, v.component);
}

/* A vector or matrix and a number. */
static sn_code check_times_scalar(const spv_checker *c, const spv_insn *i) {
  const spv_shape result = spv_shape_of(&c->r, i->type);
  if (result.lanes == 1 || (i->row->number == SpvOpVectorTimesScalar && result.kind != SPV_FLOAT))
    return spv_wrong(c, i, "its type does not fit");
  SN_TRY(check_same(c, i, 0, i->type));
  return check_same(c, i, 1, result.component);
}

static sn_code check_dot(const spv_checker *c, const spv_insn *i) {
  const spv_shape v = spv_shape_of(&c->r, spv_operand_type(&c->r, i, 0));
  if (v.kind != SPV_FLOAT || v.lanes < 2 || v.component != i->type)
    return spv_wrong(c, i, "is not of vectors of its type");
  return check_same(c, i, 1, spv_operand_type(&c->r, i, 0));
}

static sn_code check_any(const spv_checker *c, const spv_insn *i) {
  const spv_shape v = spv_shape_of(&c->r, spv_operand_type(&c->r, i, 0)), result = spv_shape_of(&c->r, i->type);
  if (v.kind != SPV_BOOL || v.lanes < 2) return spv_wrong(c, i, "operand 1 is not a vector of bool");
  return result.kind == SPV_BOOL && result.lanes == 1 ? SN_OK : spv_wrong(c, i, "its type is not bool");
}

static sn_code check_bit_insert(const spv_checker *c, const spv_insn *i) {
  if (spv_shape_of(&c->r, i->type).kind != SPV_INT) return spv_wrong(c, i, "its type is not integer");
  SN_TRY(check_same(c, i, 0, i->type));
  SN_TRY(check_same(c, i, 1, i->type));
  return is_scalar_int(c, i, 2) && is_scalar_int(c, i, 3) ? SN_OK
                                                          : spv_wrong(c, i, "offset and count are not integers");
}

static sn_code check_bit_count(const spv_checker *c, const spv_insn *i) {
  const spv_shape x = spv_shape_of(&c->r, spv_operand_type(&c->r, i, 0)), result = spv_shape_of(&c->r, i->type);
  bool fits = x.kind == SPV_INT && result.kind == SPV_INT && same_frame(&c->r, &x, &result);
  return fits ? SN_OK : spv_wrong(c, i, "is not of integers");
}

/* ---- GLSL.std.450 ------------------------------------------------------------------------------------------------ */

static bool is_int_ext(uint32_t number) {
  switch (number) {
    case SpvGLSLstd450SAbs:
    case SpvGLSLstd450SSign:
    case SpvGLSLstd450UMin:
    case SpvGLSLstd450SMin:
    case SpvGLSLstd450UMax:
    case SpvGLSLstd450SMax:
    case SpvGLSLstd450UClamp:
    case SpvGLSLstd450SClamp:
    case SpvGLSLstd450FindILsb:
    case SpvGLSLstd450FindSMsb:
    case SpvGLSLstd450FindUMsb: return true;
    default: return false;
  }
}

static bool is_mixed_ext(uint32_t number) {
  return number == SpvGLSLstd450Ldexp || number == SpvGLSLstd450PackHalf2x16 || number == SpvGLSLstd450UnpackHalf2x16;
}

static sn_code check_ext(const spv_checker *c, const spv_insn *i) {
  const spv_reader *r = &c->r;
  const spv_id set = spv_word_at(r, i, 0);
  if (!spv_definition_as(r, set, SpvOpExtInstImport)) return spv_wrong(c, i, "operand 1 is not an imported set");
  const uint32_t number = spv_word_at(r, i, 1), operands = i->words - i->first - 2;
  const spv_enum_row *row = spv_enum_find(SPV_GROUP_GLSLstd450, number);
  if (!spv_is_glsl(r, set)) return SN_OK;
  if (!row) return spv_wrong(c, i, "is an unknown instruction of the set");
  uint32_t wanted = 0;
  while (row->operands[wanted]) wanted++;
  if (wanted != operands) return spv_wrong(c, i, "has %u operands, %s takes %u", operands, row->name, wanted);
  if (is_mixed_ext(number)) return SN_OK;
  const spv_kind kind = is_int_ext(number) ? SPV_INT : SPV_FLOAT;
  const spv_shape result = spv_shape_of(r, i->type);
  if (result.kind != kind) return spv_wrong(c, i, "its type is not %s", kind_name(kind));
  for (uint32_t k = 2; k < operands + 2; k++) {
    const spv_shape x = spv_shape_of(r, spv_operand_type(r, i, k));
    if (x.kind != kind || x.bits != result.bits || !same_frame(r, &x, &result))
      return spv_wrong(c, i, "the type of operand %u does not fit", k + 1);
  }
  return SN_OK;
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

static sn_code check_type(const spv_checker *c, const spv_insn *i) {
  const type_rule rule = rule_of(i->row->number);
  if (rule) return check_rule(c, i, rule);
  switch (i->row->number) {
    case SpvOpSelect: return check_select(c, i);
    case SpvOpBitcast: return check_bitcast(c, i);
    case SpvOpConvertUToPtr: return check_address(c, i, true);
    case SpvOpConvertPtrToU: return check_address(c, i, false);
    case SpvOpIAddCarry:
    case SpvOpISubBorrow:
    case SpvOpUMulExtended:
    case SpvOpSMulExtended: return check_extended(c, i);
    case SpvOpCopyObject: return check_same(c, i, 0, i->type);
    case SpvOpCompositeConstruct:
    case SpvOpConstantComposite: return check_construct(c, i);
    case SpvOpCompositeExtract: return check_extract(c, i);
    case SpvOpCompositeInsert: return check_insert(c, i);
    case SpvOpVectorShuffle: return check_shuffle(c, i);
    case SpvOpVectorExtractDynamic:
    case SpvOpVectorInsertDynamic: return check_dynamic(c, i);
    case SpvOpVectorTimesScalar:
    case SpvOpMatrixTimesScalar: return check_times_scalar(c, i);
    case SpvOpDot: return check_dot(c, i);
    case SpvOpAny:
    case SpvOpAll: return check_any(c, i);
    case SpvOpBitFieldInsert: return check_bit_insert(c, i);
    case SpvOpBitCount: return check_bit_count(c, i);
    case SpvOpExtInst: return check_ext(c, i);
    default: return SN_OK;
  }
}

sn_code spv_verify_types(spv_checker *c) {
  for (int k = 0; k < c->r.insn_count; k++) SN_TRY(check_type(c, &c->r.insn[k]));
  return SN_OK;
}
