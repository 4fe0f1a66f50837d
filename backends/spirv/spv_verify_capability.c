/* Rules of capabilities: what a module uses, it declares, with the extensions that belong to it. */
#include "backends/spirv/spv_verify.h"

#include <string.h>

bool spv_declares(const spv_facts *f, uint32_t capability) {
  for (int i = 0; i < f->capability_count; i++)
    if (f->capabilities[i] == capability) return true;
  return false;
}

/* Declared, or by one that contains it. */
static bool has(const spv_facts *f, uint32_t capability) {
  if (spv_declares(f, capability)) return true;
  switch (capability) {
    case SpvCapabilityGroupNonUniform:
      for (uint32_t c = SpvCapabilityGroupNonUniformVote; c <= SpvCapabilityGroupNonUniformQuad; c++)
        if (spv_declares(f, c)) return true;
      return false;
    case SpvCapabilityStorageBuffer16BitAccess: return spv_declares(f, SpvCapabilityUniformAndStorageBuffer16BitAccess);
    case SpvCapabilityStorageBuffer8BitAccess: return spv_declares(f, SpvCapabilityUniformAndStorageBuffer8BitAccess);
    case SpvCapabilityBFloat16TypeKHR:
      return spv_declares(f, SpvCapabilityBFloat16DotProductKHR) ||
             spv_declares(f, SpvCapabilityBFloat16CooperativeMatrixKHR);
    case SpvCapabilityShader: return true; /* checked by itself */
    default: return false;
  }
}

sn_code spv_need(const spv_checker *c, const spv_facts *f, const spv_insn *i, uint32_t capability) {
  if (has(f, capability)) return SN_OK;
  const spv_enum_row *row = spv_enum_find(SPV_GROUP_Capability, capability);
  return spv_wrong(c, i, "needs the capability %s", row ? row->name : "?");
}

static sn_code need_one(const spv_checker *c, const spv_facts *f, const spv_insn *i, int count,
                        const uint32_t *capabilities) {
  for (int k = 0; k < count; k++)
    if (has(f, capabilities[k])) return SN_OK;
  return spv_need(c, f, i, capabilities[0]);
}

/* Types that exist with the capability of their arithmetic or with one of access to memory. */
static sn_code check_type(const spv_checker *c, const spv_facts *f, const spv_insn *i) {
  static const uint32_t bits8[] = {SpvCapabilityInt8, SpvCapabilityStorageBuffer8BitAccess,
                                   SpvCapabilityStoragePushConstant8,
                                   SpvCapabilityWorkgroupMemoryExplicitLayout8BitAccessKHR};
  static const uint32_t bits16[] = {0, SpvCapabilityStorageBuffer16BitAccess, SpvCapabilityStoragePushConstant16,
                                    SpvCapabilityWorkgroupMemoryExplicitLayout16BitAccessKHR};
  const bool is_float = i->row->number == SpvOpTypeFloat;
  if (!is_float && i->row->number != SpvOpTypeInt) return SN_OK;
  uint32_t of16[4];
  memcpy(of16, bits16, sizeof of16);
  of16[0] = is_float ? SpvCapabilityFloat16 : SpvCapabilityInt16;
  if (is_float && i->words > 3) return spv_need(c, f, i, SpvCapabilityBFloat16TypeKHR);
  switch (spv_word_at(&c->r, i, 0)) {
    case 8: return need_one(c, f, i, 4, bits8);
    case 16: return need_one(c, f, i, 4, of16);
    case 64: return spv_need(c, f, i, is_float ? SpvCapabilityFloat64 : SpvCapabilityInt64);
    default: return SN_OK;
  }
}

/* Narrow numbers behind pointers, by storage class. */
static sn_code check_pointer(const spv_checker *c, const spv_facts *f, const spv_insn *i) {
  const uint32_t storage = spv_word_at(&c->r, i, 0);
  const spv_id target = spv_word_at(&c->r, i, 1);
  bool is_buffer = storage == SpvStorageClassStorageBuffer || storage == SpvStorageClassPhysicalStorageBuffer;
  if (is_buffer && f->narrow8[target]) SN_TRY(spv_need(c, f, i, SpvCapabilityStorageBuffer8BitAccess));
  if (is_buffer && f->narrow16[target]) SN_TRY(spv_need(c, f, i, SpvCapabilityStorageBuffer16BitAccess));
  if (storage != SpvStorageClassPushConstant) return SN_OK;
  if (f->narrow8[target]) SN_TRY(spv_need(c, f, i, SpvCapabilityStoragePushConstant8));
  return f->narrow16[target] ? spv_need(c, f, i, SpvCapabilityStoragePushConstant16) : SN_OK;
}

/* Capability of arithmetic that values of the type need, if it is narrow. */
static bool arithmetic_of(const spv_checker *c, spv_id type, uint32_t *capability) {
  const spv_shape s = spv_shape_of(&c->r, type);
  if (!s.lanes || s.bits > 16 || (s.kind != SPV_INT && s.kind != SPV_FLOAT)) return false;
  const spv_insn *component = spv_definition(&c->r, s.component);
  if (component->words > 3 && s.kind == SPV_FLOAT) return false; /* bfloat16 has none */
  *capability = s.kind == SPV_FLOAT ? SpvCapabilityFloat16 : s.bits == 8 ? SpvCapabilityInt8 : SpvCapabilityInt16;
  return true;
}

/* What may be done with narrow values that can only be stored. */
static bool only_moves(uint32_t opcode) {
  switch (opcode) {
    case SpvOpLoad:
    case SpvOpStore:
    case SpvOpCopyObject:
    case SpvOpFConvert:
    case SpvOpUConvert:
    case SpvOpSConvert:
    case SpvOpName:
    case SpvOpDecorate: return true;
    default: return false;
  }
}

static sn_code check_arithmetic(const spv_checker *c, const spv_facts *f, const spv_insn *i) {
  uint32_t capability;
  if (only_moves(i->row->number)) return SN_OK;
  if (arithmetic_of(c, i->type, &capability)) SN_TRY(spv_need(c, f, i, capability));
  spv_cursor operands = spv_operands(&c->r, i);
  spv_operand o;
  while (spv_next(&operands, &o))
    if (o.letter == 'i' && arithmetic_of(c, spv_type_of(&c->r, c->r.words[o.at]), &capability))
      SN_TRY(spv_need(c, f, i, capability));
  return SN_OK;
}

static sn_code check_enumerant(const spv_checker *c, const spv_facts *f, const spv_insn *i, spv_operand o) {
  const spv_group group = spv_letter_group(o.letter);
  const uint32_t value = c->r.words[o.at];
  uint32_t capability;
  if (!group) return SN_OK;
  if (!spv_group_is_mask(group))
    return spv_enum_need(group, value, &capability) ? spv_need(c, f, i, capability) : SN_OK;
  for (uint32_t bit = 1; bit && bit <= value; bit <<= 1)
    if ((value & bit) && spv_enum_need(group, bit, &capability)) SN_TRY(spv_need(c, f, i, capability));
  return SN_OK;
}

static sn_code check_enumerants(const spv_checker *c, const spv_facts *f, const spv_insn *i) {
  spv_cursor operands = spv_operands(&c->r, i);
  spv_operand o;
  while (spv_next(&operands, &o)) SN_TRY(check_enumerant(c, f, i, o));
  return SN_OK;
}

static sn_code check_uses(const spv_checker *c, const spv_facts *f) {
  uint32_t capability;
  for (int k = 0; k < c->r.insn_count; k++) {
    const spv_insn *i = &c->r.insn[k];
    if (spv_op_need(i->row->number, &capability)) SN_TRY(spv_need(c, f, i, capability));
    SN_TRY(check_enumerants(c, f, i));
    SN_TRY(check_type(c, f, i));
    SN_TRY(check_arithmetic(c, f, i));
    if (i->row->number == SpvOpTypePointer) SN_TRY(check_pointer(c, f, i));
  }
  return SN_OK;
}

static bool has_extension(const spv_checker *c, const char *name) {
  for (int k = 0; k < c->functions_at; k++) {
    const spv_insn *i = &c->r.insn[k];
    if (i->row->number == SpvOpExtension && !strcmp(spv_text_at(&c->r, i->at + 1, i->words - 1), name)) return true;
  }
  return false;
}

static sn_code check_extensions(const spv_checker *c, const spv_facts *f) {
  if (!spv_declares(f, SpvCapabilityShader))
    return sn_fail(c->r.diags, c->r.code, (sn_loc){0}, "spirv: the module needs the capability Shader");
  for (int k = 0; k < c->functions_at; k++) {
    const spv_insn *i = &c->r.insn[k];
    if (i->row->number != SpvOpCapability) continue;
    const char *extension = spv_capability_extension(spv_word_at(&c->r, i, 0));
    if (extension && !has_extension(c, extension)) return spv_wrong(c, i, "needs the extension %s", extension);
  }
  return SN_OK;
}

sn_code spv_verify_capabilities(const spv_checker *c, const spv_facts *f) {
  SN_TRY(check_uses(c, f));
  return check_extensions(c, f);
}
