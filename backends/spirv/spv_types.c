/* SPIR-V builder: types, constants and global variables, each made once. */
#include <string.h>

#include "backends/spirv/spv_internal.h"

static void note_constant(spv *s, spv_id id, int at) {
  while ((uint32_t)s->constants.count <= id) spv_word(s, &s->constants, 0);
  s->constants.at[id] = (uint32_t)at + 1;
}

spv_id spv_intern(spv *s, spv_opcode op, spv_id type, int count, const uint32_t *operands) {
  spv_memo *m = spv_memo_find(s, op, type, count, operands);
  if (m->id) return m->id;
  spv_id id = m->id = spv_new(s);
  uint32_t capability;
  if (spv_op_need(op, &capability)) spv_capability(s, capability);
  if (op == SpvOpConstant) note_constant(s, id, s->section[SPV_GLOBALS].count);
  uint32_t *at = spv_add(s, SPV_GLOBALS, op, (type ? 3 : 2) + (size_t)count);
  if (s->too_long) return id;
  if (type) *++at = type;
  *++at = id;
  if (count) memcpy(at + 1, operands, (size_t)count * sizeof *at);
  return id;
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

static spv_id type1(spv *s, spv_opcode op, uint32_t a) { return spv_intern(s, op, 0, 1, &a); }

static spv_id type2(spv *s, spv_opcode op, uint32_t a, uint32_t b) {
  const uint32_t operands[] = {a, b};
  return spv_intern(s, op, 0, 2, operands);
}

spv_id spv_void(spv *s) { return spv_intern(s, SpvOpTypeVoid, 0, 0, NULL); }

spv_id spv_bool(spv *s) { return spv_intern(s, SpvOpTypeBool, 0, 0, NULL); }

spv_id spv_uint_storage(spv *s, int bits) {
  if (bits == 64) spv_capability(s, SpvCapabilityInt64); /* there is no such type for storage alone */
  spv_id id = type2(s, SpvOpTypeInt, (uint32_t)bits, 0);
  if (bits == 32) s->word = id;
  if (bits == 64) s->wide = id;
  return id;
}

spv_id spv_uint(spv *s, int bits) {
  if (bits == 8) spv_capability(s, SpvCapabilityInt8);
  if (bits == 16) spv_capability(s, SpvCapabilityInt16);
  return spv_uint_storage(s, bits);
}

spv_id spv_float_storage(spv *s, int bits) {
  if (bits == 64) spv_capability(s, SpvCapabilityFloat64);
  return type1(s, SpvOpTypeFloat, (uint32_t)bits);
}

spv_id spv_float(spv *s, int bits) {
  if (bits == 16) spv_capability(s, SpvCapabilityFloat16);
  return spv_float_storage(s, bits);
}

spv_id spv_vector(spv *s, spv_id element, uint32_t count) { return type2(s, SpvOpTypeVector, element, count); }

spv_id spv_array(spv *s, spv_id element, uint32_t count) {
  spv_id extent = spv_u32(s, count);
  return type2(s, SpvOpTypeArray, element, extent);
}

spv_id spv_pointer(spv *s, uint32_t storage, spv_id type) {
  if (storage == SpvStorageClassPhysicalStorageBuffer) {
    s->addresses = true;
    spv_capability(s, SpvCapabilityPhysicalStorageBufferAddresses);
  }
  return type2(s, SpvOpTypePointer, storage, type);
}

/* ---- constants --------------------------------------------------------------------------------------------------- */

spv_id spv_u32(spv *s, uint32_t value) {
  spv_id type = spv_uint(s, 32);
  return spv_intern(s, SpvOpConstant, type, 1, &value);
}

spv_id spv_u64(spv *s, uint64_t value) {
  const uint32_t words[] = {(uint32_t)value, (uint32_t)(value >> 32)};
  spv_id type = spv_uint(s, 64);
  return spv_intern(s, SpvOpConstant, type, 2, words);
}

spv_id spv_f32(spv *s, float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  spv_id type = spv_float(s, 32);
  return spv_intern(s, SpvOpConstant, type, 1, &bits);
}

spv_id spv_f64(spv *s, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  const uint32_t words[] = {(uint32_t)bits, (uint32_t)(bits >> 32)};
  spv_id type = spv_float(s, 64);
  return spv_intern(s, SpvOpConstant, type, 2, words);
}

spv_id spv_flag(spv *s, bool value) {
  spv_id type = spv_bool(s);
  return spv_intern(s, value ? SpvOpConstantTrue : SpvOpConstantFalse, type, 0, NULL);
}

bool spv_is_const(const spv *s, spv_id id, uint64_t *out) {
  if (id >= (uint32_t)s->constants.count || !s->constants.at[id]) return false;
  const uint32_t *at = s->section[SPV_GLOBALS].at + s->constants.at[id] - 1;
  if (at[1] != s->word && at[1] != s->wide) return false;
  *out = at[3] | (at[1] == s->wide ? (uint64_t)at[4] << 32 : 0);
  return true;
}

/* ---- variables --------------------------------------------------------------------------------------------------- */

static spv_id variable(spv *s, spv_section section, uint32_t storage, spv_id type) {
  spv_id pointer = spv_pointer(s, storage, type);
  spv_id id = spv_new(s);
  uint32_t *at = spv_add(s, section, SpvOpVariable, 4);
  at[1] = pointer;
  at[2] = id;
  at[3] = storage;
  return id;
}

spv_id spv_global(spv *s, uint32_t storage, spv_id type) {
  spv_id id = variable(s, SPV_GLOBALS, storage, type);
  spv_word(s, &s->interface, id);
  return id;
}

spv_id spv_variable(spv *s, spv_id type) { return variable(s, SPV_VARIABLES, SpvStorageClassFunction, type); }

spv_id spv_builtin(spv *s, uint32_t builtin, spv_id type) {
  spv_id known = spv_memo_find(s, SPV_KEY_BUILTIN, builtin, 0, NULL)->id;
  if (known) return known;
  uint32_t capability;
  if (spv_enum_need(SPV_GROUP_BuiltIn, builtin, &capability)) spv_capability(s, capability);
  spv_id id = spv_global(s, SpvStorageClassInput, type);
  spv_decorate(s, id, SpvDecorationBuiltIn, 1, &builtin);
  spv_memo_find(s, SPV_KEY_BUILTIN, builtin, 0, NULL)->id = id;
  return id;
}

/* A structure with a layout; not interned: its decorations make it another type. */
static spv_id block_type(spv *s, int count, spv_id member, uint32_t member_bytes) {
  spv_id id = spv_new(s);
  uint32_t *at = spv_add(s, SPV_GLOBALS, SpvOpTypeStruct, 2 + (size_t)count);
  if (s->too_long) return id;
  at[1] = id;
  for (int i = 0; i < count; i++) at[2 + i] = member;
  spv_decorate(s, id, SpvDecorationBlock, 0, NULL);
  for (int i = 0; i < count; i++) {
    at = spv_add(s, SPV_ANNOTATIONS, SpvOpMemberDecorate, 5);
    at[1] = id;
    at[2] = (uint32_t)i;
    at[3] = SpvDecorationOffset;
    at[4] = (uint32_t)i * member_bytes;
  }
  return id;
}

/* Two u32 where the device has no u64. */
static spv_id push_type(spv *s) {
  if (s->opt.int64) return spv_uint(s, 64);
  spv_id word = spv_uint(s, 32);
  return spv_vector(s, word, 2);
}

void spv_push_block(spv *s, int count) {
  spv_id member = push_type(s);
  spv_id block = s->push_type = block_type(s, count, member, 8);
  s->push = spv_global(s, SpvStorageClassPushConstant, block);
}

spv_id spv_push(spv *s, int member) {
  const uint32_t key = (uint32_t)member;
  spv_id known = spv_memo_find(s, SPV_KEY_PUSH, s->block, 1, &key)->id;
  if (known) return known;
  spv_id type = push_type(s);
  spv_id pointer_type = spv_pointer(s, SpvStorageClassPushConstant, type);
  spv_id index = spv_u32(s, key);
  spv_id pointer = spv_op2(s, SpvOpAccessChain, pointer_type, s->push, index);
  spv_id value = spv_load(s, type, pointer, 0);
  spv_memo_find(s, SPV_KEY_PUSH, s->block, 1, &key)->id = value;
  return value;
}

/* ---- buffers behind addresses ------------------------------------------------------------------------------------ */

/* Pointer to a block of one runtime array; its layout is part of its identity. */
static spv_id buffer_type(spv *s, spv_id type, uint32_t stride, bool coherent) {
  const uint32_t key[] = {stride, coherent};
  spv_id known = spv_memo_find(s, SPV_KEY_BUFFER, type, 2, key)->id;
  if (known) return known;
  spv_id array = spv_new(s);
  uint32_t *at = spv_add(s, SPV_GLOBALS, SpvOpTypeRuntimeArray, 3);
  at[1] = array;
  at[2] = type;
  spv_decorate(s, array, SpvDecorationArrayStride, 1, &stride);
  spv_id block = block_type(s, 1, array, 0);
  if (coherent) {
    at = spv_add(s, SPV_ANNOTATIONS, SpvOpMemberDecorate, 4);
    at[1] = block;
    at[2] = 0;
    at[3] = SpvDecorationCoherent;
  }
  spv_id pointer = spv_pointer(s, SpvStorageClassPhysicalStorageBuffer, block);
  spv_memo_find(s, SPV_KEY_BUFFER, type, 2, key)->id = pointer;
  return pointer;
}

/* The address as that pointer, made once in a block. */
static spv_id base(spv *s, spv_id address, spv_id pointer_type) {
  const uint32_t key[] = {address, pointer_type};
  spv_id known = spv_memo_find(s, SPV_KEY_BASE, s->block, 2, key)->id;
  if (known) return known;
  spv_id id = spv_op1(s, s->opt.int64 ? SpvOpConvertUToPtr : SpvOpBitcast, pointer_type, address);
  spv_memo_find(s, SPV_KEY_BASE, s->block, 2, key)->id = id;
  return id;
}

static spv_id element(spv *s, spv_id address, spv_id type, uint32_t stride, spv_id index, bool coherent) {
  spv_id buffer = buffer_type(s, type, stride, coherent);
  spv_id element = spv_pointer(s, SpvStorageClassPhysicalStorageBuffer, type);
  spv_id zero = spv_u32(s, 0);
  spv_id at = base(s, address, buffer);
  return spv_op3(s, SpvOpAccessChain, element, at, zero, index);
}

spv_id spv_at(spv *s, spv_id address, spv_id type, uint32_t stride, spv_id index) {
  return element(s, address, type, stride, index, false);
}

spv_id spv_at_coherent(spv *s, spv_id address, spv_id type, uint32_t stride, spv_id index) {
  return element(s, address, type, stride, index, true);
}
