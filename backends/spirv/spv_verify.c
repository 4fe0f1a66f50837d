/* Verification of SPIR-V: the rules in their order, and what several of them ask of a module. */
#include "backends/spirv/spv_verify.h"

#include <string.h>

enum { SHOWN_BYTES = 160 /* of an instruction in a message */ };

sn_code spv_wrong(const spv_checker *c, const spv_insn *i, const char *format, ...) {
  va_list args;
  va_start(args, format);
  sn_text said = sn_text_begin(c->r.arena);
  sn_text_add_list(&said, format, args);
  va_end(args);
  sn_text shown = sn_text_begin(c->r.arena);
  spv_print_insn(&shown, &c->r, spv_names(&c->r), i);
  if (shown.count > SHOWN_BYTES) strcpy(shown.at + SHOWN_BYTES - 3, "...");
  return sn_fail(c->r.diags, c->r.code, (sn_loc){0}, "spirv: word %u: %s: %s", i->at, shown.at, said.at);
}

/* ---- what several rules ask -------------------------------------------------------------------------------------- */

spv_shape spv_shape_of(const spv_reader *r, spv_id type) {
  const spv_insn *i = spv_definition(r, type);
  if (!i) return (spv_shape){0};
  spv_shape s = {.lanes = 1, .component = type};
  if (i->row->number == SpvOpTypeVector) {
    s.lanes = spv_word_at(r, i, 1);
    s.component = spv_word_at(r, i, 0);
  } else if (i->row->number == SpvOpTypeCooperativeMatrixKHR) {
    s.lanes = 0;
    s.matrix = type;
    s.component = spv_word_at(r, i, 0);
  }
  i = spv_definition(r, s.component);
  if (!i) return (spv_shape){0};
  s.bits = spv_word_at(r, i, 0);
  switch (i->row->number) {
    case SpvOpTypeBool: s.kind = SPV_BOOL; break;
    case SpvOpTypeInt: s.kind = SPV_INT; break;
    case SpvOpTypeFloat: s.kind = SPV_FLOAT; break;
    case SpvOpTypePointer: s.kind = SPV_POINTER; break;
    default: return (spv_shape){0};
  }
  return s;
}

spv_id spv_type_of(const spv_reader *r, spv_id id) {
  const spv_insn *i = spv_definition(r, id);
  return i ? i->type : 0;
}

spv_id spv_operand_type(const spv_reader *r, const spv_insn *i, uint32_t k) {
  return spv_type_of(r, spv_word_at(r, i, k));
}

bool spv_pointer_of(const spv_reader *r, spv_id type, uint32_t *storage, spv_id *target) {
  const spv_insn *i = spv_definition_as(r, type, SpvOpTypePointer);
  if (!i) return false;
  *storage = spv_word_at(r, i, 0);
  *target = spv_word_at(r, i, 1);
  return true;
}

bool spv_constant_of(const spv_reader *r, spv_id id, uint32_t *out) {
  const spv_insn *i = spv_definition(r, id);
  if (!i || (i->row->number != SpvOpConstant && i->row->number != SpvOpConstantNull)) return false;
  spv_shape s = spv_shape_of(r, i->type);
  if (s.kind != SPV_INT || s.lanes != 1 || s.bits > 32) return false;
  *out = i->row->number == SpvOpConstant ? spv_word_at(r, i, 0) : 0;
  return true;
}

spv_id spv_member_type(const spv_reader *r, spv_id type, uint32_t index) {
  const spv_insn *i = spv_definition(r, type);
  if (!i) return 0;
  uint32_t length;
  switch (i->row->number) {
    case SpvOpTypeVector: return index < spv_word_at(r, i, 1) ? spv_word_at(r, i, 0) : 0;
    case SpvOpTypeArray:
      if (spv_constant_of(r, spv_word_at(r, i, 1), &length) && index >= length) return 0;
      return spv_word_at(r, i, 0);
    case SpvOpTypeRuntimeArray:
    case SpvOpTypeCooperativeMatrixKHR: return spv_word_at(r, i, 0);
    case SpvOpTypeStruct: return index < i->words - i->first ? spv_word_at(r, i, index) : 0;
    default: return 0;
  }
}

/* ---- ids --------------------------------------------------------------------------------------------------------- */

bool spv_is_type(uint32_t opcode) {
  switch (opcode) {
    case SpvOpTypeVoid:
    case SpvOpTypeBool:
    case SpvOpTypeInt:
    case SpvOpTypeFloat:
    case SpvOpTypeVector:
    case SpvOpTypeArray:
    case SpvOpTypeRuntimeArray:
    case SpvOpTypeStruct:
    case SpvOpTypePointer:
    case SpvOpTypeFunction:
    case SpvOpTypeCooperativeMatrixKHR:
    case SpvOpTypeTensorLayoutNV:
    case SpvOpTypeTensorViewNV: return true;
    default: return false;
  }
}

static sn_code check_id(const spv_checker *c, const spv_insn *i, spv_id id) {
  if (!id || id >= c->r.bound) return spv_wrong(c, i, "id %u is not below the bound %u", id, c->r.bound);
  if (!spv_definition(&c->r, id)) return spv_wrong(c, i, "%%%u is not defined", id);
  return SN_OK;
}

static sn_code check_ids(const spv_checker *c, const spv_insn *i) {
  const spv_reader *r = &c->r;
  if (i->row->has_result) {
    SN_TRY(check_id(c, i, i->result));
    const spv_insn *d = spv_definition(r, i->result);
    if (d != i) return spv_wrong(c, i, "%%%u is defined before, in word %u", i->result, d->at);
  }
  if (i->row->has_type) {
    SN_TRY(check_id(c, i, i->type));
    if (!spv_is_type(spv_definition(r, i->type)->row->number)) return spv_wrong(c, i, "%%%u is not a type", i->type);
  }
  spv_cursor operands = spv_operands(r, i);
  spv_operand o;
  while (spv_next(&operands, &o))
    if (o.letter == 'i') SN_TRY(check_id(c, i, r->words[o.at]));
  return SN_OK;
}

sn_code spv_verify_ids(spv_checker *c) {
  for (int i = 0; i < c->r.insn_count; i++) SN_TRY(check_ids(c, &c->r.insn[i]));
  return SN_OK;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static sn_code verify(spv_checker *c) {
  SN_TRY(spv_verify_ids(c));
  SN_TRY(spv_verify_layout(c));
  SN_TRY(spv_verify_declared(c));
  SN_TRY(spv_verify_flow(c));
  SN_TRY(spv_verify_types(c));
  SN_TRY(spv_verify_memory(c));
  return spv_verify_module(c);
}

sn_code spv_verify(const uint32_t *words, size_t count, sn_arena *arena, sn_diags *diags) {
  spv_checker c = {0};
  SN_TRY(spv_read(&c.r, words, count, arena, diags, SN_ERR_FAIL));
  return verify(&c);
}
