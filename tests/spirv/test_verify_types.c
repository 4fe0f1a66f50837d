/* The verifier's rules of types, one instruction at a time: what is right passes, what is wrong is refused for its
 * rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/spirv/spv_table.h"
#include "harness.h"

/* Things that an instruction can name; made where they are named. */
typedef enum thing {
  NONE,
  VOID,
  BOOL,
  U32,
  U64,
  U16,
  F32,
  F16,
  F64,
  BOOL2,
  U32X2,
  U32X4,
  F32X2,
  F32X4,
  F16X2,
  HALF,    /* 16 bits that are stored only */
  ROW,     /* array of 4 F32 */
  PAIR,    /* structure of two U32 */
  MIXED,   /* structure of U32 and F32 */
  P_F32,   /* pointers, by storage class: Function */
  P_F32X4, /* Function */
  S_F32,   /* Workgroup */
  B_F32,   /* PhysicalStorageBuffer */
  B_F16,
  B_HALF,
  MATRIX_A, /* cooperative: f16 16 x 8 */
  MATRIX_B, /* f16 8 x 4 */
  MATRIX_C, /* f32 16 x 4 */
  MATRIX_N, /* i32 16 x 4, an accumulator too */
  /* values */
  ZERO,
  ONE,
  THREE,
  FIVE,
  LANES,   /* 4, of U32 */
  LOCAL,   /* variable of F32 */
  LOCAL4,  /* of F32X4 */
  SHARED,  /* variable of F32, Workgroup */
  COUNTER, /* of U32, Workgroup */
  TILE,    /* of ROW, Workgroup */
  RECORD,  /* of MIXED, Workgroup */
  INPUT,   /* of U32 */
  BUFFER,  /* pointer to F32 behind an address */
  NARROW,  /* to HALF */
} thing;

/* Operands: a literal below 1000, a thing, some value of a type. */
#define ID(thing) (1000 + (thing))
#define ANY(type) (2000 + (type))

static spv_id make(spv *s, thing t);

static spv_id composite(spv *s, spv_opcode op, int count, const thing *parts) {
  uint32_t words[5];
  for (int i = 0; i < count; i++) words[i] = make(s, parts[i]);
  return spv_intern(s, op, 0, count, words);
}

static spv_id matrix(spv *s, thing of, uint32_t rows, uint32_t columns, uint32_t use) {
  uint32_t words[5] = {make(s, of)};
  const uint32_t facts[] = {SpvScopeSubgroup, rows, columns, use};
  for (int i = 0; i < 4; i++) words[i + 1] = spv_u32(s, facts[i]);
  return spv_intern(s, SpvOpTypeCooperativeMatrixKHR, 0, 5, words);
}

static spv_id pointer(spv *s, uint32_t storage, thing to) {
  spv_id type = make(s, to);
  return spv_pointer(s, storage, type);
}

static spv_id global(spv *s, uint32_t storage, thing of) {
  spv_id type = make(s, of);
  return spv_global(s, storage, type);
}

static spv_id vector(spv *s, thing of, uint32_t lanes) {
  spv_id component = make(s, of);
  return spv_vector(s, component, lanes);
}

static spv_id row(spv *s) {
  spv_id component = make(s, F32);
  return spv_array(s, component, 4);
}

static spv_id input(spv *s) {
  spv_id type = make(s, U32);
  return spv_builtin(s, SpvBuiltInLocalInvocationIndex, type);
}

static spv_id local(spv *s, thing of) {
  spv_id type = make(s, of);
  return spv_variable(s, type);
}

static spv_id element(spv *s, thing of, uint32_t bytes) {
  spv_id type = make(s, of);
  spv_id word = spv_uint(s, 64);
  spv_id address = spv_intern(s, SpvOpUndef, word, 0, NULL);
  spv_id zero = spv_u32(s, 0);
  return spv_at(s, address, type, bytes, zero);
}

static spv_id half(spv *s) {
  spv_capability(s, SpvCapabilityStorageBuffer16BitAccess);
  return spv_float(s, 16);
}

static spv_id stored_half(spv *s) {
  spv_capability(s, SpvCapabilityStorageBuffer16BitAccess);
  return spv_float_storage(s, 16);
}

static spv_id make(spv *s, thing t) {
  switch (t) { /* table */
    case VOID: return spv_void(s);
    case BOOL: return spv_bool(s);
    case U32: return spv_uint(s, 32);
    case U64: return spv_uint(s, 64);
    case U16: return spv_uint(s, 16);
    case F32: return spv_float(s, 32);
    case F16: return half(s);
    case F64: return spv_float(s, 64);
    case BOOL2: return vector(s, BOOL, 2);
    case U32X2: return vector(s, U32, 2);
    case U32X4: return vector(s, U32, 4);
    case F32X2: return vector(s, F32, 2);
    case F32X4: return vector(s, F32, 4);
    case F16X2: return vector(s, F16, 2);
    case HALF: return stored_half(s);
    case ROW: return row(s);
    case PAIR: return composite(s, SpvOpTypeStruct, 2, (const thing[]){U32, U32});
    case MIXED: return composite(s, SpvOpTypeStruct, 2, (const thing[]){U32, F32});
    case P_F32: return pointer(s, SpvStorageClassFunction, F32);
    case P_F32X4: return pointer(s, SpvStorageClassFunction, F32X4);
    case S_F32: return pointer(s, SpvStorageClassWorkgroup, F32);
    case B_F32: return pointer(s, SpvStorageClassPhysicalStorageBuffer, F32);
    case B_F16: return pointer(s, SpvStorageClassPhysicalStorageBuffer, F16);
    case B_HALF: return pointer(s, SpvStorageClassPhysicalStorageBuffer, HALF);
    case MATRIX_A: return matrix(s, F16, 16, 8, SpvCooperativeMatrixUseMatrixAKHR);
    case MATRIX_B: return matrix(s, F16, 8, 4, SpvCooperativeMatrixUseMatrixBKHR);
    case MATRIX_C: return matrix(s, F32, 16, 4, SpvCooperativeMatrixUseMatrixAccumulatorKHR);
    case MATRIX_N: return matrix(s, U32, 16, 4, SpvCooperativeMatrixUseMatrixAccumulatorKHR);
    case ZERO: return spv_u32(s, 0);
    case ONE: return spv_u32(s, 1);
    case THREE: return spv_u32(s, 3);
    case FIVE: return spv_u32(s, 5);
    case LANES: return spv_u32(s, 4);
    case LOCAL: return local(s, F32);
    case LOCAL4: return local(s, F32X4);
    case SHARED: return global(s, SpvStorageClassWorkgroup, F32);
    case COUNTER: return global(s, SpvStorageClassWorkgroup, U32);
    case TILE: return global(s, SpvStorageClassWorkgroup, ROW);
    case RECORD: return global(s, SpvStorageClassWorkgroup, MIXED);
    case INPUT: return input(s);
    case BUFFER: return element(s, F32, 4);
    case NARROW: return element(s, HALF, 2);
    case NONE: break;
  }
  return 0;
}

enum { OPERANDS = 6 };

typedef struct one {
  spv_opcode op;
  thing type; /* NONE: it has no result */
  int count;
  uint32_t operands[OPERANDS];
  const char *rule; /* "": it is right; behind `!`: one that others need not know */
} one;

static const char *rule_name(const one *x) { return x->rule + (x->rule[0] == '!'); }

static uint32_t operand_of(spv *s, uint32_t o) {
  if (o < 1000) return o;
  if (o < 2000) return make(s, (thing)(o - 1000));
  spv_id type = make(s, (thing)(o - 2000));
  return spv_intern(s, SpvOpUndef, type, 0, NULL);
}

static bool uses_matrices(const one *x) {
  bool uses = x->type >= MATRIX_A && x->type <= MATRIX_N;
  for (int i = 0; i < x->count; i++) uses |= x->operands[i] % 1000 >= MATRIX_A && x->operands[i] % 1000 <= MATRIX_N;
  return uses;
}

/* A module with that instruction. */
static module module_of(sn_arena *arena, const one *x) {
  spv *s = spv_begin(arena, (spv_opt){.int64 = true, .vulkan_memory = uses_matrices(x)});
  spv_main(s);
  uint32_t operands[OPERANDS] = {0};
  for (int i = 0; i < x->count; i++) operands[i] = operand_of(s, x->operands[i]);
  spv_id type = make(s, x->type);
  if (x->op == SpvOpExtInst)
    (void)spv_ext(s, operands[0], type, x->count - 1, operands + 1);
  else if (x->type)
    (void)spv_op(s, x->op, type, x->count, operands);
  else
    spv_do(s, x->op, x->count, operands);
  module m = {0};
  assert_int_equal(spv_end(s, 32, NULL, &m.words, &m.count), SN_OK);
  return m;
}

/* clang-format off */
static const one ones[] = {
    {SpvOpIAdd, U32, 2, {ANY(U32), ANY(U32)}, ""},
    {SpvOpIAdd, U32X4, 2, {ANY(U32X4), ANY(U32X4)}, ""},
    {SpvOpIAdd, U32, 2, {ANY(U32), ANY(F32)}, "operand 2 is not integer"},
    {SpvOpIAdd, F32, 2, {ANY(F32), ANY(F32)}, "its type is not integer"},
    {SpvOpIAdd, U32, 2, {ANY(U64), ANY(U32)}, "the type of operand 1 does not fit"},
    {SpvOpIAdd, U32, 2, {ANY(U32), ANY(U32X2)}, "operand 2 has another number of components"},
    {SpvOpIAdd, U32, 2, {ANY(U32), ID(U32)}, "operand 2 is not integer"},
    {SpvOpShiftLeftLogical, U64, 2, {ANY(U64), ANY(U32)}, ""},
    {SpvOpShiftLeftLogical, U64, 2, {ANY(U32), ANY(U32)}, "the type of operand 1 does not fit"},
    {SpvOpBitFieldUExtract, U32, 3, {ANY(U32), ID(ZERO), ID(ONE)}, ""},
    {SpvOpBitFieldUExtract, U32, 3, {ANY(U32), ANY(U32X2), ID(ONE)}, "operand 2 has another number of components"},
    {SpvOpBitFieldInsert, U32, 4, {ANY(U32), ANY(U32), ID(ZERO), ID(ONE)}, ""},
    {SpvOpBitFieldInsert, U32, 4, {ANY(U32), ANY(U32), ID(ZERO), ANY(F32)}, "offset and count are not integers"},
    {SpvOpBitCount, U32, 1, {ANY(U32)}, ""},
    {SpvOpBitCount, U32, 1, {ANY(F32)}, "is not of integers"},
    {SpvOpFAdd, F32X2, 2, {ANY(F32X2), ANY(F32X2)}, ""},
    {SpvOpFAdd, F32, 2, {ANY(F32), ANY(F64)}, "the type of operand 2 does not fit"},
    {SpvOpFNegate, F32, 1, {ANY(U32)}, "operand 1 is not floating-point"},
    {SpvOpLogicalAnd, BOOL, 2, {ANY(BOOL), ANY(BOOL)}, ""},
    {SpvOpLogicalAnd, BOOL, 2, {ANY(BOOL), ANY(U32)}, "operand 2 is not bool"},
    {SpvOpLogicalAnd, U32, 2, {ANY(BOOL), ANY(BOOL)}, "its type is not bool"},
    {SpvOpSLessThan, BOOL, 2, {ANY(U64), ANY(U64)}, ""},
    {SpvOpSLessThan, BOOL, 2, {ANY(U64), ANY(U32)}, "the type of operand 2 does not fit"},
    {SpvOpSLessThan, BOOL, 2, {ANY(F32), ANY(F32)}, "operand 1 is not integer"},
    {SpvOpFOrdLessThan, BOOL2, 2, {ANY(F32X2), ANY(F32X2)}, ""},
    {SpvOpFOrdLessThan, BOOL, 2, {ANY(F32X2), ANY(F32X2)}, "operand 1 has another number of components"},
    {SpvOpFOrdLessThan, BOOL, 2, {ANY(F32), ANY(F64)}, "the type of operand 2 does not fit"},
    {SpvOpFOrdLessThan, F32, 2, {ANY(F32), ANY(F32)}, "its type is not bool"},
    {SpvOpIsNan, BOOL, 1, {ANY(F32)}, ""},
    {SpvOpConvertSToF, F32, 1, {ANY(U64)}, ""},
    {SpvOpConvertSToF, F32, 1, {ANY(F32)}, "operand 1 is not integer"},
    {SpvOpConvertFToS, U32, 1, {ANY(F64)}, ""},
    {SpvOpConvertFToS, F32, 1, {ANY(F32)}, "its type is not integer"},
    {SpvOpUConvert, U64, 1, {ANY(U32)}, ""},
    {SpvOpUConvert, U32, 1, {ANY(U32)}, "the type of operand 1 does not fit"},
    {SpvOpFConvert, F16, 1, {ANY(F32)}, ""},
    {SpvOpFConvert, F32, 1, {ANY(F32)}, "the type of operand 1 does not fit"},
    {SpvOpBitcast, U32, 1, {ANY(F32)}, ""},
    {SpvOpBitcast, U32X2, 1, {ANY(U64)}, ""},
    {SpvOpBitcast, U32, 1, {ANY(F64)}, "from 64 bits to 32"},
    {SpvOpBitcast, B_F32, 1, {ANY(U32X2)}, ""},
    {SpvOpBitcast, B_F32, 1, {ANY(F64)}, "takes floating-point bits for a pointer"},
    {SpvOpBitcast, U64, 1, {ID(LOCAL)}, "!takes a pointer without address for bits"},
    {SpvOpConvertUToPtr, B_F32, 1, {ANY(U64)}, ""},
    {SpvOpConvertUToPtr, B_F32, 1, {ANY(U32)}, "the address is not an integer of 64 bits"},
    {SpvOpConvertUToPtr, S_F32, 1, {ANY(U64)}, "is not about a PhysicalStorageBuffer pointer"},
    {SpvOpConvertPtrToU, U64, 1, {ID(BUFFER)}, ""},
    {SpvOpSelect, F32, 3, {ANY(BOOL), ANY(F32), ANY(F32)}, ""},
    {SpvOpSelect, F32X2, 3, {ANY(BOOL), ANY(F32X2), ANY(F32X2)}, ""},
    {SpvOpSelect, F32, 3, {ANY(U32), ANY(F32), ANY(F32)}, "operand 1 is not bool"},
    {SpvOpSelect, F32, 3, {ANY(BOOL2), ANY(F32), ANY(F32)}, "operand 1 has another number of components"},
    {SpvOpSelect, F32, 3, {ANY(BOOL), ANY(F32), ANY(U32)}, "the type of operand 3 does not fit"},
    {SpvOpUMulExtended, PAIR, 2, {ANY(U32), ANY(U32)}, ""},
    {SpvOpUMulExtended, MIXED, 2, {ANY(U32), ANY(U32)}, "its type is not a structure of two equal integers"},
    {SpvOpUMulExtended, PAIR, 2, {ANY(U32), ANY(U64)}, "the type of operand 2 does not fit"},
    {SpvOpCopyObject, F32, 1, {ANY(F32)}, ""},
    {SpvOpCopyObject, F32, 1, {ANY(U32)}, "the type of operand 1 does not fit"},
    {SpvOpCompositeConstruct, F32X4, 3, {ANY(F32), ANY(F32X2), ANY(F32)}, ""},
    {SpvOpCompositeConstruct, F32X4, 2, {ANY(F32), ANY(F32X2)}, "has 3 components for 4"},
    {SpvOpCompositeConstruct, F32X2, 2, {ANY(F32), ANY(U32)}, "the type of operand 2 does not fit"},
    {SpvOpCompositeConstruct, MIXED, 2, {ANY(U32), ANY(F32)}, ""},
    {SpvOpCompositeConstruct, MIXED, 2, {ANY(U32), ANY(U32)}, "the type of operand 2 does not fit"},
    {SpvOpCompositeConstruct, MIXED, 1, {ANY(U32)}, "has too few operands"},
    {SpvOpCompositeConstruct, MIXED, 3, {ANY(U32), ANY(F32), ANY(F32)}, "has too many operands"},
    {SpvOpCompositeExtract, F32, 2, {ANY(MIXED), 1}, ""},
    {SpvOpCompositeExtract, F32, 2, {ANY(MIXED), 2}, "there is no member 2"},
    {SpvOpCompositeExtract, F32, 2, {ANY(MIXED), 0}, "its type is not that of the member"},
    {SpvOpCompositeExtract, F32, 2, {ANY(F32), 0}, "there is no member 0"},
    {SpvOpCompositeInsert, F32X4, 3, {ANY(F32), ANY(F32X4), 3}, ""},
    {SpvOpCompositeInsert, F32X4, 3, {ANY(U32), ANY(F32X4), 3}, "the type of operand 1 does not fit"},
    {SpvOpVectorShuffle, F32X2, 4, {ANY(F32X4), ANY(F32X4), 7, 0}, ""},
    {SpvOpVectorShuffle, F32X2, 4, {ANY(F32X4), ANY(F32X4), 8, 0}, "there is no component 8"},
    {SpvOpVectorShuffle, F32X4, 4, {ANY(F32X4), ANY(F32X4), 0, 1}, "has another number of components than its type"},
    {SpvOpVectorShuffle, F32X2, 4, {ANY(F32X4), ANY(U32X4), 0, 1}, "is not of vectors of the result's component"},
    {SpvOpVectorExtractDynamic, F32, 2, {ANY(F32X4), ANY(U32)}, ""},
    {SpvOpVectorExtractDynamic, F32, 2, {ANY(F32X4), ANY(F32)}, "the index is not an integer"},
    {SpvOpVectorExtractDynamic, F32, 2, {ANY(F32), ANY(U32)}, "operand 1 is not a vector"},
    {SpvOpVectorExtractDynamic, U32, 2, {ANY(F32X4), ANY(U32)}, "its type is not that of a component"},
    {SpvOpVectorInsertDynamic, F32X4, 3, {ANY(F32X4), ANY(F32), ANY(U32)}, ""},
    {SpvOpVectorTimesScalar, F32X4, 2, {ANY(F32X4), ANY(F32)}, ""},
    {SpvOpVectorTimesScalar, F32X4, 2, {ANY(F32X4), ANY(F64)}, "the type of operand 2 does not fit"},
    {SpvOpVectorTimesScalar, F32, 2, {ANY(F32), ANY(F32)}, "its type does not fit"},
    {SpvOpDot, F32, 2, {ANY(F32X4), ANY(F32X4)}, ""},
    {SpvOpDot, F32, 2, {ANY(F32X4), ANY(F32X2)}, "the type of operand 2 does not fit"},
    {SpvOpDot, F32X4, 2, {ANY(F32X4), ANY(F32X4)}, "is not of vectors of its type"},
    {SpvOpAll, BOOL, 1, {ANY(BOOL2)}, ""},
    {SpvOpAll, BOOL, 1, {ANY(BOOL)}, "operand 1 is not a vector of bool"},
    {SpvOpExtInst, F32, 4, {SpvGLSLstd450Fma, ANY(F32), ANY(F32), ANY(F32)}, ""},
    {SpvOpExtInst, F32, 3, {SpvGLSLstd450Fma, ANY(F32), ANY(F32)}, "has 2 operands, Fma takes 3"},
    {SpvOpExtInst, F32, 2, {SpvGLSLstd450Exp, ANY(U32)}, "the type of operand 3 does not fit"},
    {SpvOpExtInst, U32, 2, {SpvGLSLstd450Exp, ANY(U32)}, "its type is not floating-point"},
    {SpvOpExtInst, U32, 3, {SpvGLSLstd450UMin, ANY(U32), ANY(U32)}, ""},
    {SpvOpExtInst, F32, 3, {SpvGLSLstd450Ldexp, ANY(F32), ANY(U32)}, ""},
    {SpvOpExtInst, F32, 2, {99, ANY(F32)}, "is an unknown instruction of the set"},

    {SpvOpLoad, F32, 1, {ID(LOCAL)}, ""},
    {SpvOpLoad, U32, 1, {ID(LOCAL)}, "its type is not that of what the pointer points to"},
    {SpvOpLoad, F32, 1, {ANY(F32)}, "operand 1 is not a pointer"},
    {SpvOpLoad, F32, 3, {ID(BUFFER), 2, 4}, ""},
    {SpvOpLoad, F32, 1, {ID(BUFFER)}, "is not Aligned"},
    {SpvOpLoad, F32, 2, {ID(SHARED), 32}, "needs the capability VulkanMemoryModel"},
    {SpvOpStore, NONE, 2, {ID(SHARED), ANY(F32)}, ""},
    {SpvOpStore, NONE, 2, {ID(SHARED), ANY(U32)}, "the value is not of the type that the pointer points to"},
    {SpvOpStore, NONE, 2, {ID(INPUT), ANY(U32)}, "stores to what can only be read"},
    {SpvOpCopyMemory, NONE, 2, {ID(SHARED), ID(LOCAL)}, ""},
    {SpvOpCopyMemory, NONE, 2, {ID(SHARED), ID(LOCAL4)}, "the pointers point to different types"},
    {SpvOpCopyMemory, NONE, 2, {ID(SHARED), ID(BUFFER)}, "!is not Aligned"},
    {SpvOpAccessChain, S_F32, 2, {ID(TILE), ANY(U32)}, ""},
    {SpvOpAccessChain, S_F32, 2, {ID(TILE), ID(THREE)}, ""},
    {SpvOpAccessChain, S_F32, 2, {ID(TILE), ANY(F32)}, "operand 2 is not an integer"},
    {SpvOpAccessChain, P_F32, 2, {ID(TILE), ANY(U32)}, "its type has another storage class"},
    {SpvOpAccessChain, F32, 2, {ID(TILE), ANY(U32)}, "its type is not a pointer"},
    {SpvOpAccessChain, S_F32, 2, {ID(RECORD), ID(ONE)}, ""},
    {SpvOpAccessChain, S_F32, 2, {ID(RECORD), ID(ZERO)}, "its type does not point to that member"},
    {SpvOpAccessChain, S_F32, 2, {ID(RECORD), ID(FIVE)}, "there is no member for operand 2"},
    {SpvOpAccessChain, S_F32, 2, {ID(RECORD), ANY(U32)}, "the member of a structure is not a constant"},
    {SpvOpAccessChain, P_F32, 2, {ID(LOCAL4), ANY(U32)}, ""},
    {SpvOpAccessChain, S_F32, 3, {ID(TILE), ANY(U32), ANY(U32)}, "there is no member for operand 3"},

    {SpvOpAtomicIAdd, U32, 4, {ID(COUNTER), ID(ONE), ID(ZERO), ANY(U32)}, ""},
    {SpvOpAtomicIAdd, U32, 4, {ID(COUNTER), ID(ONE), ID(ZERO), ANY(F32)}, "the type of operand 4 does not fit"},
    {SpvOpAtomicIAdd, F32, 4, {ID(SHARED), ID(ONE), ID(ZERO), ANY(F32)}, "is not for the type that the pointer points to"},
    {SpvOpAtomicIAdd, F32, 4, {ID(COUNTER), ID(ONE), ID(ZERO), ANY(U32)}, "its type is not that of what the pointer points to"},
    {SpvOpAtomicIAdd, U32, 4, {ID(COUNTER), ANY(F32), ID(ZERO), ANY(U32)}, "operand 2 is not an integer"},
    {SpvOpAtomicExchange, F32, 4, {ID(SHARED), ID(ONE), ID(ZERO), ANY(F32)}, ""},
    {SpvOpAtomicStore, NONE, 4, {ID(COUNTER), ID(ONE), ID(ZERO), ANY(U32)}, ""},
    {SpvOpAtomicCompareExchange, U32, 6, {ID(COUNTER), ID(ONE), ID(ZERO), ID(ZERO), ANY(U32), ANY(U32)}, ""},

    {SpvOpGroupNonUniformElect, BOOL, 1, {ID(THREE)}, ""},
    {SpvOpGroupNonUniformElect, U32, 1, {ID(THREE)}, "!its type is not bool"},
    {SpvOpGroupNonUniformElect, BOOL, 1, {ID(FIVE)}, "the scope is not the subgroup"},
    {SpvOpGroupNonUniformElect, BOOL, 1, {ANY(U32)}, "the scope is not a constant"},
    {SpvOpGroupNonUniformAny, BOOL, 2, {ID(THREE), ANY(BOOL)}, ""},
    {SpvOpGroupNonUniformAny, BOOL, 2, {ID(THREE), ANY(U32)}, "!operand 2 is not bool"},
    {SpvOpGroupNonUniformBroadcastFirst, F32, 2, {ID(THREE), ANY(F32)}, ""},
    {SpvOpGroupNonUniformBroadcastFirst, F32, 2, {ID(THREE), ANY(U32)}, "!the type of operand 2 does not fit"},
    {SpvOpGroupNonUniformShuffle, F32, 3, {ID(THREE), ANY(F32), ANY(U32)}, ""},
    {SpvOpGroupNonUniformShuffleUp, F32, 3, {ID(THREE), ANY(F32), ID(ONE)}, ""},
    {SpvOpGroupNonUniformShuffle, F32, 3, {ID(THREE), ANY(F32), ANY(F32)}, "!operand 3 is not an integer"},
    {SpvOpGroupNonUniformBallot, U32X4, 2, {ID(THREE), ANY(BOOL)}, ""},
    {SpvOpGroupNonUniformBallot, U32, 2, {ID(THREE), ANY(BOOL)}, "!its type is not four words"},
    {SpvOpGroupNonUniformBallotBitCount, U32, 3, {ID(THREE), 0, ANY(U32X4)}, ""},
    {SpvOpGroupNonUniformFAdd, F32, 3, {ID(THREE), 0, ANY(F32)}, ""},
    {SpvOpGroupNonUniformFAdd, U32, 3, {ID(THREE), 0, ANY(U32)}, "!its type does not fit"},
    {SpvOpGroupNonUniformFAdd, F32, 3, {ID(THREE), 0, ANY(U32)}, "!the type of operand 3 does not fit"},
    {SpvOpGroupNonUniformFAdd, F32, 4, {ID(THREE), 0, ANY(F32), ID(LANES)}, "!the size of a cluster goes with ClusteredReduce"},

    {SpvOpSwitch, NONE, 2, {ANY(F32), ANY(F32)}, "%6 is not a label"},
    {SpvOpBranchConditional, NONE, 3, {ANY(U32), ANY(U32), ANY(U32)}, "%6 is not a label"},
    {SpvOpReturnValue, NONE, 1, {ANY(U32)}, "the value is not of the function's type"},

    {SpvOpLoad, HALF, 3, {ID(NARROW), 2, 2}, ""},
    {SpvOpFConvert, F32, 1, {ANY(HALF)}, "needs the capability Float16"},
    {SpvOpFAdd, HALF, 2, {ANY(HALF), ANY(HALF)}, "needs the capability Float16"},
    {SpvOpFAdd, F16X2, 2, {ANY(F16X2), ANY(F16X2)}, ""},

    {SpvOpCooperativeMatrixMulAddKHR, MATRIX_C, 3, {ANY(MATRIX_A), ANY(MATRIX_B), ANY(MATRIX_C)}, ""},
    {SpvOpCooperativeMatrixMulAddKHR, MATRIX_C, 3, {ANY(MATRIX_B), ANY(MATRIX_B), ANY(MATRIX_C)}, "the operands are not matrices for A, B and the accumulator"},
    {SpvOpCooperativeMatrixMulAddKHR, MATRIX_N, 3, {ANY(MATRIX_A), ANY(MATRIX_B), ANY(MATRIX_C)}, "the accumulator is not of the result's type"},
    {SpvOpFMul, MATRIX_C, 2, {ANY(MATRIX_C), ANY(MATRIX_C)}, ""},
    {SpvOpFMul, MATRIX_C, 2, {ANY(MATRIX_C), ANY(F32)}, "operand 2 has another number of components"},
    {SpvOpConvertSToF, MATRIX_C, 1, {ANY(MATRIX_N)}, ""},
    {SpvOpFConvert, MATRIX_C, 1, {ANY(MATRIX_A)}, "operand 1 has another number of components"},
    {SpvOpMatrixTimesScalar, MATRIX_C, 2, {ANY(MATRIX_C), ANY(F32)}, ""},
    {SpvOpMatrixTimesScalar, MATRIX_C, 2, {ANY(MATRIX_C), ANY(F16)}, "the type of operand 2 does not fit"},
    {SpvOpCompositeConstruct, MATRIX_C, 1, {ANY(F32)}, ""},
    {SpvOpCompositeExtract, F32, 2, {ANY(MATRIX_C), 7}, ""},
    {SpvOpCooperativeMatrixLengthKHR, U32, 1, {ID(MATRIX_C)}, ""},
    {SpvOpCooperativeMatrixLengthKHR, U32, 1, {ID(F32)}, "does not name a type of cooperative matrices"},
    {SpvOpCooperativeMatrixLoadKHR, MATRIX_C, 4, {ID(SHARED), ID(ZERO), ID(LANES), 32}, ""},
    {SpvOpCooperativeMatrixLoadKHR, MATRIX_C, 4, {ID(LOCAL), ID(ZERO), ID(LANES), 32}, "the memory is not shared"},
    {SpvOpCooperativeMatrixLoadKHR, MATRIX_C, 4, {ID(SHARED), ID(FIVE), ID(LANES), 32}, "the layout is unknown"},
    {SpvOpCooperativeMatrixLoadKHR, MATRIX_C, 4, {ID(SHARED), ANY(U32), ID(LANES), 32}, "the layout is not a constant"},
    {SpvOpCooperativeMatrixLoadKHR, MATRIX_C, 4, {ID(SHARED), ID(ZERO), ANY(F32), 32}, "the stride is not an integer"},
    {SpvOpCooperativeMatrixLoadKHR, F32, 4, {ID(SHARED), ID(ZERO), ID(LANES), 32}, "is not of a cooperative matrix"},
    {SpvOpCooperativeMatrixStoreKHR, NONE, 6, {ID(BUFFER), ANY(MATRIX_C), ID(ZERO), ID(LANES), 2, 16}, ""},
    {SpvOpCooperativeMatrixStoreKHR, NONE, 4, {ID(BUFFER), ANY(MATRIX_C), ID(ZERO), ID(LANES)}, "is not Aligned"},
};
/* clang-format on */

static void types_are_checked(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) {
    sn_arena *arena = sn_arena_create();
    const char *said = verdict(arena, module_of(arena, &ones[i]));
    if (strcmp(rule_of(said), rule_name(&ones[i]))) print_message("instruction %zu: %s\n", i, said);
    assert_string_equal(rule_of(said), rule_name(&ones[i]));
    sn_arena_destroy(arena);
  }
}

/* They are the rules of others too, as far as those know the instructions. */
static void others_say_the_same(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) {
    if (uses_matrices(&ones[i])) continue;
    sn_arena *arena = sn_arena_create();
    const char *said = validator(arena, module_of(arena, &ones[i]));
    if (!said) {
      sn_arena_destroy(arena);
      print_message("this build has no validator of SPIRV-Tools\n");
      skip();
    }
    const char *rule = ones[i].rule;
    if (*rule != '!' && !*said == !!*rule) fail_msg("instruction %zu: \"%s\": the validator says: %s", i, rule, said);
    sn_arena_destroy(arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(types_are_checked),
      cmocka_unit_test(others_say_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
