/* Rules of declarations: what types are made of, constants that fit their types, variables, functions. */
#include "backends/spirv/spv_verify.h"

static bool is_op(const spv_reader *r, spv_id id, spv_opcode op) { return spv_definition_as(r, id, op) != NULL; }

static bool is_scalar_type(const spv_reader *r, spv_id type) {
  const spv_shape s = spv_shape_of(r, type);
  return s.kind >= SPV_BOOL && s.kind <= SPV_FLOAT && s.component == type;
}

/* Something that a variable can hold. */
static bool is_data(const spv_reader *r, spv_id type) {
  const spv_insn *i = spv_definition(r, type);
  if (!i) return false;
  switch (i->row->number) {
    case SpvOpTypeArray:
    case SpvOpTypeRuntimeArray:
    case SpvOpTypeStruct: return true;
    default: return spv_shape_of(r, type).kind != SPV_OTHER;
  }
}

static sn_code check_array(const spv_checker *c, const spv_insn *i) {
  if (!is_data(&c->r, spv_word_at(&c->r, i, 0)) || is_op(&c->r, spv_word_at(&c->r, i, 0), SpvOpTypeRuntimeArray))
    return spv_wrong(c, i, "the element is not a type of known size");
  if (i->row->number == SpvOpTypeRuntimeArray) return SN_OK;
  const spv_insn *n = spv_definition(&c->r, spv_word_at(&c->r, i, 1));
  const spv_shape s = spv_shape_of(&c->r, n->type);
  uint32_t length;
  bool is_length =
      s.kind == SPV_INT && s.lanes == 1 && (n->row->number == SpvOpConstant || n->row->number == SpvOpSpecConstant);
  if (!is_length || (spv_constant_of(&c->r, n->result, &length) && !length))
    return spv_wrong(c, i, "the length is not a positive constant");
  return SN_OK;
}

static sn_code check_matrix(const spv_checker *c, const spv_insn *i) {
  const spv_shape s = spv_shape_of(&c->r, spv_word_at(&c->r, i, 0));
  if ((s.kind != SPV_INT && s.kind != SPV_FLOAT) || s.lanes != 1)
    return spv_wrong(c, i, "the component is not a number");
  for (uint32_t k = 1; k < 5; k++) {
    const spv_shape x = spv_shape_of(&c->r, spv_operand_type(&c->r, i, k));
    if (x.kind != SPV_INT || x.lanes != 1) return spv_wrong(c, i, "operand %u is not an integer constant", k + 1);
  }
  return SN_OK;
}

static sn_code check_struct(const spv_checker *c, const spv_insn *i) {
  const uint32_t members = i->words - i->first;
  for (uint32_t k = 0; k < members; k++) {
    spv_id member = spv_word_at(&c->r, i, k);
    if (!is_data(&c->r, member)) return spv_wrong(c, i, "member %u is not a type of data", k);
    if (k + 1 < members && is_op(&c->r, member, SpvOpTypeRuntimeArray))
      return spv_wrong(c, i, "member %u has no length", k);
  }
  return SN_OK;
}

static sn_code check_function_type(const spv_checker *c, const spv_insn *i) {
  for (uint32_t k = 0; k < i->words - i->first; k++) {
    spv_id part = spv_word_at(&c->r, i, k);
    if (!is_data(&c->r, part) && (k || !is_op(&c->r, part, SpvOpTypeVoid)))
      return spv_wrong(c, i, "%%%u is not a type of data", part);
  }
  return SN_OK;
}

static sn_code check_type(const spv_checker *c, const spv_insn *i) {
  const spv_reader *r = &c->r;
  const uint32_t a = spv_word_at(r, i, 0), b = spv_word_at(r, i, 1);
  switch (i->row->number) {
    case SpvOpTypeInt:
      if (a != 8 && a != 16 && a != 32 && a != 64) return spv_wrong(c, i, "has %u bits", a);
      return b > 1 ? spv_wrong(c, i, "the sign is %u", b) : SN_OK;
    case SpvOpTypeFloat: return a == 16 || a == 32 || a == 64 ? SN_OK : spv_wrong(c, i, "has %u bits", a);
    case SpvOpTypeVector:
      if (!is_scalar_type(r, a)) return spv_wrong(c, i, "the component is not a scalar");
      return b >= 2 && b <= 4 ? SN_OK : spv_wrong(c, i, "has %u components", b);
    case SpvOpTypeArray:
    case SpvOpTypeRuntimeArray: return check_array(c, i);
    case SpvOpTypeStruct: return check_struct(c, i);
    case SpvOpTypePointer: return is_data(r, b) ? SN_OK : spv_wrong(c, i, "does not point to data");
    case SpvOpTypeFunction: return check_function_type(c, i);
    case SpvOpTypeCooperativeMatrixKHR: return check_matrix(c, i);
    default: return SN_OK;
  }
}

/* Types that are neither structures nor arrays stand for themselves: there is one of each. */
static bool is_unique(const spv_insn *i) {
  switch (i->row->number) {
    case SpvOpTypeVoid:
    case SpvOpTypeBool:
    case SpvOpTypeInt:
    case SpvOpTypeFloat:
    case SpvOpTypeVector:
    case SpvOpTypeFunction: return true;
    default: return false;
  }
}

static bool is_equal(const spv_reader *r, const spv_insn *a, const spv_insn *b) {
  if (a->row != b->row || a->words != b->words) return false;
  for (uint32_t k = 2; k < a->words; k++)
    if (r->words[a->at + k] != r->words[b->at + k]) return false;
  return true;
}

static sn_code check_unique(const spv_checker *c) {
  const spv_insn **types = NULL;
  int count = 0, capacity = 0;
  for (int k = 0; k < c->functions_at; k++) {
    const spv_insn *i = &c->r.insn[k];
    if (!is_unique(i)) continue;
    for (int t = 0; t < count; t++)
      if (is_equal(&c->r, types[t], i)) return spv_wrong(c, i, "is the same type as %%%u", types[t]->result);
    SN_GROW(c->r.arena, types, count, capacity);
    types[count++] = i;
  }
  return SN_OK;
}

/* ---- constants and variables ------------------------------------------------------------------------------------- */

bool spv_is_constant(uint32_t opcode) {
  switch (opcode) {
    case SpvOpConstantTrue:
    case SpvOpConstantFalse:
    case SpvOpConstant:
    case SpvOpConstantComposite:
    case SpvOpConstantNull:
    case SpvOpSpecConstantTrue:
    case SpvOpSpecConstantFalse:
    case SpvOpSpecConstant:
    case SpvOpUndef: return true;
    default: return false;
  }
}

static sn_code check_constant(const spv_checker *c, const spv_insn *i) {
  const spv_shape s = spv_shape_of(&c->r, i->type);
  switch (i->row->number) {
    case SpvOpConstantTrue:
    case SpvOpConstantFalse:
    case SpvOpSpecConstantTrue:
    case SpvOpSpecConstantFalse:
      return s.kind == SPV_BOOL && s.lanes == 1 ? SN_OK : spv_wrong(c, i, "its type is not bool");
    case SpvOpConstant:
    case SpvOpSpecConstant:
      if ((s.kind != SPV_INT && s.kind != SPV_FLOAT) || s.lanes != 1)
        return spv_wrong(c, i, "its type is not that of a number");
      return i->words - i->first == (s.bits == 64 ? 2 : 1) ? SN_OK : spv_wrong(c, i, "has the words of another width");
    case SpvOpConstantComposite:
      for (uint32_t k = 0; k < i->words - i->first; k++)
        if (!spv_is_constant(spv_definition(&c->r, spv_word_at(&c->r, i, k))->row->number))
          return spv_wrong(c, i, "operand %u is not a constant", k + 1);
      return SN_OK;
    case SpvOpConstantNull: return is_data(&c->r, i->type) ? SN_OK : spv_wrong(c, i, "its type is not that of data");
    default: return SN_OK;
  }
}

static sn_code check_variable(const spv_checker *c, int k) {
  const spv_insn *i = &c->r.insn[k];
  const uint32_t its = spv_word_at(&c->r, i, 0);
  uint32_t storage;
  spv_id target;
  if (!spv_pointer_of(&c->r, i->type, &storage, &target) || storage != its)
    return spv_wrong(c, i, "its type is not a pointer of its storage class");
  if ((its == SpvStorageClassFunction) != (k >= c->functions_at))
    return spv_wrong(c, i, "has a storage class of another place");
  if (its == SpvStorageClassPhysicalStorageBuffer) return spv_wrong(c, i, "has a storage class that has no variables");
  if (i->words - i->first > 1 && !spv_is_constant(spv_definition(&c->r, spv_word_at(&c->r, i, 1))->row->number))
    return spv_wrong(c, i, "its initial value is not a constant");
  return SN_OK;
}

/* ---- functions --------------------------------------------------------------------------------------------------- */

/* Function and parameters against the function's type. */
static sn_code check_function(const spv_checker *c, int k) {
  const spv_insn *i = &c->r.insn[k], *type = spv_definition_as(&c->r, spv_word_at(&c->r, i, 1), SpvOpTypeFunction);
  if (!type || spv_word_at(&c->r, type, 0) != i->type)
    return spv_wrong(c, i, "its type is not that of a function with its result");
  uint32_t parameters = 0;
  for (k++; k < c->r.insn_count && c->r.insn[k].row->number != SpvOpLabel; k++) {
    const spv_insn *p = &c->r.insn[k];
    if (p->row->number != SpvOpFunctionParameter) continue;
    if (spv_word_at(&c->r, type, ++parameters) != p->type)
      return spv_wrong(c, p, "is not what the function's type says");
  }
  if (parameters != type->words - type->first - 1)
    return spv_wrong(c, i, "has %u parameters, its type says %u", parameters, type->words - type->first - 1);
  return SN_OK;
}

static sn_code check_call(const spv_checker *c, const spv_insn *i) {
  const spv_reader *r = &c->r;
  const spv_insn *f = spv_definition_as(r, spv_word_at(r, i, 0), SpvOpFunction);
  const spv_insn *type = f ? spv_definition_as(r, spv_word_at(r, f, 1), SpvOpTypeFunction) : NULL;
  if (!type || f->type != i->type) return spv_wrong(c, i, "does not name a function with its result");
  if (type->words != i->words - 1) return spv_wrong(c, i, "has another number of arguments than the function");
  for (uint32_t k = 1; k < i->words - i->first; k++)
    if (spv_operand_type(r, i, k) != spv_word_at(r, type, k))
      return spv_wrong(c, i, "the type of argument %u does not fit", k);
  return SN_OK;
}

static sn_code check_return(const spv_checker *c, int k, const spv_insn *function) {
  const spv_insn *i = &c->r.insn[k];
  bool is_void = is_op(&c->r, function->type, SpvOpTypeVoid);
  if (i->row->number == SpvOpReturn) return is_void ? SN_OK : spv_wrong(c, i, "the function has a result");
  return spv_operand_type(&c->r, i, 0) == function->type ? SN_OK
                                                         : spv_wrong(c, i, "the value is not of the function's type");
}

sn_code spv_verify_declared(spv_checker *c) {
  SN_TRY(check_unique(c));
  const spv_insn *function = NULL;
  for (int k = 0; k < c->r.insn_count; k++) {
    const spv_insn *i = &c->r.insn[k];
    const uint32_t opcode = i->row->number;
    SN_TRY(check_type(c, i));
    if (spv_is_constant(opcode)) SN_TRY(check_constant(c, i));
    if (opcode == SpvOpVariable) SN_TRY(check_variable(c, k));
    if (opcode == SpvOpFunction) {
      function = i;
      SN_TRY(check_function(c, k));
    }
    if (opcode == SpvOpFunctionCall) SN_TRY(check_call(c, i));
    if (opcode == SpvOpReturn || opcode == SpvOpReturnValue) SN_TRY(check_return(c, k, function));
  }
  return SN_OK;
}
