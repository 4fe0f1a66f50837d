/* Rules of memory and of what invocations do together: pointers, loads and stores, phis and conditions, atomics,
 * subgroups, cooperative matrices. */
#include "backends/spirv/spv_verify.h"

static sn_code check_same(const spv_checker *c, const spv_insn *i, uint32_t k, spv_id type) {
  if (type && spv_operand_type(&c->r, i, k) == type) return SN_OK;
  return spv_wrong(c, i, "the type of operand %u does not fit", k + 1);
}

static bool is_scalar(const spv_checker *c, const spv_insn *i, uint32_t k, spv_kind kind) {
  const spv_shape s = spv_shape_of(&c->r, spv_operand_type(&c->r, i, k));
  return s.kind == kind && s.lanes == 1;
}

/* What operand k points to. */
static sn_code target_of(const spv_checker *c, const spv_insn *i, uint32_t k, uint32_t *storage, spv_id *target) {
  if (spv_pointer_of(&c->r, spv_operand_type(&c->r, i, k), storage, target)) return SN_OK;
  return spv_wrong(c, i, "operand %u is not a pointer", k + 1);
}

static sn_code check_load(const spv_checker *c, const spv_insn *i) {
  uint32_t storage;
  spv_id target;
  SN_TRY(target_of(c, i, 0, &storage, &target));
  return target == i->type ? SN_OK : spv_wrong(c, i, "its type is not that of what the pointer points to");
}

static sn_code check_store(const spv_checker *c, const spv_insn *i) {
  uint32_t storage;
  spv_id target;
  SN_TRY(target_of(c, i, 0, &storage, &target));
  if (storage == SpvStorageClassInput || storage == SpvStorageClassPushConstant)
    return spv_wrong(c, i, "stores to what can only be read");
  if (spv_operand_type(&c->r, i, 1) == target) return SN_OK;
  return spv_wrong(c, i, "the value is not of the type that the pointer points to");
}

static sn_code check_copy(const spv_checker *c, const spv_insn *i) {
  uint32_t storage;
  spv_id to, from;
  SN_TRY(target_of(c, i, 0, &storage, &to));
  SN_TRY(target_of(c, i, 1, &storage, &from));
  return to == from ? SN_OK : spv_wrong(c, i, "the pointers point to different types");
}

/* The indices from operand k on lead to what the result points to. */
static sn_code check_chain(const spv_checker *c, const spv_insn *i, uint32_t k) {
  const spv_reader *r = &c->r;
  uint32_t storage, result_storage, index = 0;
  spv_id type, result;
  SN_TRY(target_of(c, i, 0, &storage, &type));
  if (!spv_pointer_of(r, i->type, &result_storage, &result)) return spv_wrong(c, i, "its type is not a pointer");
  if (storage != result_storage) return spv_wrong(c, i, "its type has another storage class");
  for (; k < i->words - i->first; k++) {
    if (!is_scalar(c, i, k, SPV_INT)) return spv_wrong(c, i, "operand %u is not an integer", k + 1);
    bool is_struct = spv_definition_as(r, type, SpvOpTypeStruct) != NULL;
    bool is_known = spv_constant_of(r, spv_word_at(r, i, k), &index);
    if (is_struct && !is_known) return spv_wrong(c, i, "the member of a structure is not a constant");
    type = spv_member_type(r, type, is_known ? index : 0);
    if (!type) return spv_wrong(c, i, "there is no member for operand %u", k + 1);
  }
  return type == result ? SN_OK : spv_wrong(c, i, "its type does not point to that member");
}

static sn_code check_phi(const spv_checker *c, const spv_insn *i) {
  for (uint32_t k = 0; k < i->words - i->first; k += 2) SN_TRY(check_same(c, i, k, i->type));
  return SN_OK;
}

static sn_code check_condition(const spv_checker *c, const spv_insn *i) {
  if (i->row->number == SpvOpSwitch) {
    const spv_shape s = spv_shape_of(&c->r, spv_operand_type(&c->r, i, 0));
    return s.kind == SPV_INT && s.lanes == 1 && s.bits <= 32
               ? SN_OK
               : spv_wrong(c, i, "the selector is not an integer of at most 32 bits");
  }
  return is_scalar(c, i, 0, SPV_BOOL) ? SN_OK : spv_wrong(c, i, "the condition is not bool");
}

/* ---- together ---------------------------------------------------------------------------------------------------- */

static bool is_atomic(uint32_t opcode) {
  return (opcode >= SpvOpAtomicLoad && opcode <= SpvOpAtomicXor) || opcode == SpvOpAtomicFAddEXT;
}

static sn_code check_atomic(const spv_checker *c, const spv_insn *i) {
  uint32_t storage;
  spv_id target;
  SN_TRY(target_of(c, i, 0, &storage, &target));
  if (i->type && target != i->type) return spv_wrong(c, i, "its type is not that of what the pointer points to");
  const spv_kind kind = spv_shape_of(&c->r, target).kind;
  const uint32_t opcode = i->row->number, operands = i->words - i->first;
  const bool moves = opcode == SpvOpAtomicLoad || opcode == SpvOpAtomicStore || opcode == SpvOpAtomicExchange;
  if (moves ? kind != SPV_INT && kind != SPV_FLOAT : kind != (opcode == SpvOpAtomicFAddEXT ? SPV_FLOAT : SPV_INT))
    return spv_wrong(c, i, "is not for the type that the pointer points to");
  const uint32_t value = opcode == SpvOpAtomicCompareExchange ? 4 : 3;
  for (uint32_t k = 1; k < value; k++)
    if (!is_scalar(c, i, k, SPV_INT)) return spv_wrong(c, i, "operand %u is not an integer", k + 1);
  for (uint32_t k = value; k < operands; k++) SN_TRY(check_same(c, i, k, target));
  return SN_OK;
}

static bool is_group(uint32_t opcode) {
  return opcode >= SpvOpGroupNonUniformElect && opcode <= SpvOpGroupNonUniformLogicalXor;
}

/* What the value of a reduction is. */
static spv_kind group_kind(uint32_t opcode) {
  switch (opcode) {
    case SpvOpGroupNonUniformFAdd:
    case SpvOpGroupNonUniformFMul:
    case SpvOpGroupNonUniformFMin:
    case SpvOpGroupNonUniformFMax: return SPV_FLOAT;
    case SpvOpGroupNonUniformLogicalAnd:
    case SpvOpGroupNonUniformLogicalOr:
    case SpvOpGroupNonUniformLogicalXor: return SPV_BOOL;
    default: return SPV_INT;
  }
}

static sn_code check_group(const spv_checker *c, const spv_insn *i) {
  const spv_shape result = spv_shape_of(&c->r, i->type);
  const uint32_t opcode = i->row->number;
  uint32_t scope;
  if (!spv_constant_of(&c->r, spv_word_at(&c->r, i, 0), &scope)) return spv_wrong(c, i, "the scope is not a constant");
  if (scope != SpvScopeSubgroup) return spv_wrong(c, i, "the scope is not the subgroup");
  if (opcode >= SpvOpGroupNonUniformIAdd) { /* scope, operation, value, size of a cluster */
    if (result.kind != group_kind(opcode) || !result.lanes) return spv_wrong(c, i, "its type does not fit");
    bool is_clustered = spv_word_at(&c->r, i, 1) == SpvGroupOperationClusteredReduce;
    if (is_clustered != (i->words - i->first == 4))
      return spv_wrong(c, i, "the size of a cluster goes with ClusteredReduce");
    return check_same(c, i, 2, i->type);
  }
  switch (opcode) {
    case SpvOpGroupNonUniformBroadcast:
    case SpvOpGroupNonUniformShuffle:
    case SpvOpGroupNonUniformShuffleXor:
    case SpvOpGroupNonUniformShuffleUp:
    case SpvOpGroupNonUniformShuffleDown:
      if (!is_scalar(c, i, 2, SPV_INT)) return spv_wrong(c, i, "operand 3 is not an integer");
      return check_same(c, i, 1, i->type);
    case SpvOpGroupNonUniformBroadcastFirst: return check_same(c, i, 1, i->type);
    case SpvOpGroupNonUniformBallot:
      if (!is_scalar(c, i, 1, SPV_BOOL)) return spv_wrong(c, i, "operand 2 is not bool");
      return result.kind == SPV_INT && result.bits == 32 && result.lanes == 4
                 ? SN_OK
                 : spv_wrong(c, i, "its type is not four words");
    case SpvOpGroupNonUniformBallotBitCount:
    case SpvOpGroupNonUniformBallotFindLSB:
    case SpvOpGroupNonUniformBallotFindMSB:
      return result.kind == SPV_INT && result.lanes == 1 ? SN_OK : spv_wrong(c, i, "its type is not integer");
    case SpvOpGroupNonUniformAll:
    case SpvOpGroupNonUniformAny:
      if (!is_scalar(c, i, 1, SPV_BOOL)) return spv_wrong(c, i, "operand 2 is not bool");
      break;
    default: break;
  }
  return result.kind == SPV_BOOL && result.lanes == 1 ? SN_OK : spv_wrong(c, i, "its type is not bool");
}

/* Scope, rows, columns or use of a matrix type. */
static uint32_t matrix_fact(const spv_checker *c, spv_id type, uint32_t k) {
  const spv_insn *m = spv_definition_as(&c->r, type, SpvOpTypeCooperativeMatrixKHR);
  return m ? spv_word_at(&c->r, m, k) : 0;
}

static bool has_use(const spv_checker *c, spv_id type, uint32_t use) {
  uint32_t its;
  return spv_constant_of(&c->r, matrix_fact(c, type, 4), &its) && its == use;
}

/* A of M x K, B of K x N, C and the result of M x N. */
static sn_code check_mul_add(const spv_checker *c, const spv_insn *i) {
  enum { SCOPE = 1, ROWS, COLUMNS };
  const spv_id a = spv_operand_type(&c->r, i, 0), b = spv_operand_type(&c->r, i, 1),
               sum = spv_operand_type(&c->r, i, 2);
  if (!has_use(c, a, SpvCooperativeMatrixUseMatrixAKHR) || !has_use(c, b, SpvCooperativeMatrixUseMatrixBKHR) ||
      !has_use(c, sum, SpvCooperativeMatrixUseMatrixAccumulatorKHR))
    return spv_wrong(c, i, "the operands are not matrices for A, B and the accumulator");
  if (sum != i->type) return spv_wrong(c, i, "the accumulator is not of the result's type");
  if (matrix_fact(c, a, ROWS) != matrix_fact(c, sum, ROWS) ||
      matrix_fact(c, b, COLUMNS) != matrix_fact(c, sum, COLUMNS) ||
      matrix_fact(c, a, COLUMNS) != matrix_fact(c, b, ROWS))
    return spv_wrong(c, i, "rows and columns do not fit");
  if (matrix_fact(c, a, SCOPE) != matrix_fact(c, sum, SCOPE) || matrix_fact(c, b, SCOPE) != matrix_fact(c, sum, SCOPE))
    return spv_wrong(c, i, "the matrices have different scopes");
  return SN_OK;
}

static sn_code check_matrix_access(const spv_checker *c, const spv_insn *i) {
  const bool loads = i->row->number == SpvOpCooperativeMatrixLoadKHR;
  const spv_id type = loads ? i->type : spv_operand_type(&c->r, i, 1);
  const uint32_t layout = loads ? 1 : 2;
  uint32_t storage, known;
  spv_id target;
  SN_TRY(target_of(c, i, 0, &storage, &target));
  if (!spv_definition_as(&c->r, type, SpvOpTypeCooperativeMatrixKHR))
    return spv_wrong(c, i, "is not of a cooperative matrix");
  const spv_shape s = spv_shape_of(&c->r, target);
  if ((s.kind != SPV_INT && s.kind != SPV_FLOAT) || !s.lanes)
    return spv_wrong(c, i, "the pointer does not point to numbers");
  if (storage != SpvStorageClassWorkgroup && storage != SpvStorageClassStorageBuffer &&
      storage != SpvStorageClassPhysicalStorageBuffer)
    return spv_wrong(c, i, "the memory is not shared");
  if (!spv_constant_of(&c->r, spv_word_at(&c->r, i, layout), &known))
    return spv_wrong(c, i, "the layout is not a constant");
  if (known > SpvCooperativeMatrixLayoutColumnMajorKHR) return spv_wrong(c, i, "the layout is unknown");
  if (!is_scalar(c, i, layout + 1, SPV_INT)) return spv_wrong(c, i, "the stride is not an integer");
  return SN_OK;
}

static sn_code check_length(const spv_checker *c, const spv_insn *i) {
  const spv_shape result = spv_shape_of(&c->r, i->type);
  if (!spv_definition_as(&c->r, spv_word_at(&c->r, i, 0), SpvOpTypeCooperativeMatrixKHR))
    return spv_wrong(c, i, "does not name a type of cooperative matrices");
  return result.kind == SPV_INT && result.bits == 32 && result.lanes == 1
             ? SN_OK
             : spv_wrong(c, i, "its type is not an integer of 32 bits");
}

static sn_code check(const spv_checker *c, const spv_insn *i) {
  const uint32_t opcode = i->row->number;
  if (is_atomic(opcode)) return check_atomic(c, i);
  if (is_group(opcode)) return check_group(c, i);
  switch (opcode) {
    case SpvOpLoad: return check_load(c, i);
    case SpvOpStore: return check_store(c, i);
    case SpvOpCopyMemory: return check_copy(c, i);
    case SpvOpAccessChain:
    case SpvOpInBoundsAccessChain: return check_chain(c, i, 1);
    case SpvOpPtrAccessChain: return check_chain(c, i, 2);
    case SpvOpPhi: return check_phi(c, i);
    case SpvOpSwitch:
    case SpvOpBranchConditional: return check_condition(c, i);
    case SpvOpCooperativeMatrixMulAddKHR: return check_mul_add(c, i);
    case SpvOpCooperativeMatrixLoadKHR:
    case SpvOpCooperativeMatrixStoreKHR: return check_matrix_access(c, i);
    case SpvOpCooperativeMatrixLengthKHR: return check_length(c, i);
    case SpvOpKill: return spv_wrong(c, i, "is for fragments");
    default: return SN_OK;
  }
}

sn_code spv_verify_memory(spv_checker *c) {
  for (int k = c->functions_at; k < c->r.insn_count; k++) SN_TRY(check(c, &c->r.insn[k]));
  return SN_OK;
}
