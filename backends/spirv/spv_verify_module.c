/* Rules of a module as a whole: memory model, interface of the entry point, layouts of buffers, alignment, barriers. */
#include "backends/spirv/spv_verify.h"

/* ---- memory model ------------------------------------------------------------------------------------------------ */

static sn_code check_model(const spv_checker *c, const spv_facts *f) {
  const bool has_addresses = f->addressing == SpvAddressingModelPhysicalStorageBuffer64;
  for (int k = 0; k < c->functions_at; k++) {
    const spv_insn *i = &c->r.insn[k];
    const uint32_t opcode = i->row->number, word = spv_word_at(&c->r, i, 0);
    if (opcode == SpvOpTypePointer && word == SpvStorageClassPhysicalStorageBuffer && !has_addresses)
      return spv_wrong(c, i, "needs the addressing model PhysicalStorageBuffer64");
    const bool is_vulkan = word == SpvCapabilityCooperativeMatrixKHR || word == SpvCapabilityVulkanMemoryModel;
    if (opcode == SpvOpCapability && is_vulkan && f->model != SpvMemoryModelVulkan)
      return spv_wrong(c, i, "needs the memory model Vulkan");
  }
  return SN_OK;
}

/* ---- interface --------------------------------------------------------------------------------------------------- */

static sn_code check_interface_of(const spv_checker *c, const spv_insn *entry, bool *listed) {
  spv_cursor operands = spv_operands(&c->r, entry);
  spv_operand o;
  for (int k = 0; spv_next(&operands, &o); k++) {
    if (k < 3) continue; /* execution model, function, name */
    const spv_id id = c->r.words[o.at];
    const spv_insn *d = spv_definition_as(&c->r, id, SpvOpVariable);
    if (!d || d - c->r.insn >= c->functions_at) return spv_wrong(c, entry, "%%%u is not a global variable", id);
    if (listed[id]) return spv_wrong(c, entry, "%%%u is in the interface twice", id);
    listed[id] = true;
  }
  return SN_OK;
}

/* From version 1.4 on every global variable that code uses; before, those of inputs. */
static sn_code check_interface(const spv_checker *c) {
  bool *listed = SN_ARRAY(c->r.arena, c->r.bound, bool);
  const bool is_whole = c->r.words[1] >= 0x00010400;
  int entries = 0;
  for (int k = 0; k < c->functions_at; k++) {
    const spv_insn *i = &c->r.insn[k];
    if (i->row->number != SpvOpEntryPoint) continue;
    if (entries++) return spv_wrong(c, i, "is the second entry point");
    const spv_insn *type =
        spv_definition(&c->r, spv_word_at(&c->r, spv_definition(&c->r, spv_word_at(&c->r, i, 1)), 1));
    if (type->words != 3 || !spv_definition_as(&c->r, spv_word_at(&c->r, type, 0), SpvOpTypeVoid))
      return spv_wrong(c, i, "the function has a result or parameters");
    SN_TRY(check_interface_of(c, i, listed));
  }
  for (int k = c->functions_at; k < c->r.insn_count; k++) {
    const spv_insn *i = &c->r.insn[k];
    spv_cursor operands = spv_operands(&c->r, i);
    spv_operand o;
    while (spv_next(&operands, &o)) {
      if (o.letter != 'i' || listed[c->r.words[o.at]]) continue;
      const spv_insn *d = spv_definition_as(&c->r, c->r.words[o.at], SpvOpVariable);
      if (!d || d - c->r.insn >= c->functions_at) continue;
      if (is_whole || spv_word_at(&c->r, d, 0) == SpvStorageClassInput)
        return spv_wrong(c, d, "is not in the interface of the entry point");
    }
  }
  return SN_OK;
}

/* Built-in variables are one or three words of input. */
static sn_code check_builtin(const spv_checker *c, const spv_insn *i) {
  const spv_insn *d = spv_definition_as(&c->r, spv_word_at(&c->r, i, 0), SpvOpVariable);
  uint32_t storage;
  spv_id target;
  if (!d || !spv_pointer_of(&c->r, d->type, &storage, &target) || storage != SpvStorageClassInput)
    return spv_wrong(c, i, "is not about a variable of input");
  const uint32_t which = spv_word_at(&c->r, i, 2);
  const bool is_place = which >= SpvBuiltInNumWorkgroups && which <= SpvBuiltInGlobalInvocationId;
  const spv_shape s = spv_shape_of(&c->r, target);
  const bool fits = s.kind == SPV_INT && s.bits == 32 && s.lanes == (is_place ? 3 : 1);
  return fits ? SN_OK : spv_wrong(c, d, is_place ? "is not of three words" : "is not of one word");
}

static sn_code check_builtins(const spv_checker *c) {
  for (int k = 0; k < c->functions_at; k++) {
    const spv_insn *i = &c->r.insn[k];
    const bool is_one = i->row->number == SpvOpDecorate && spv_word_at(&c->r, i, 1) == SpvDecorationBuiltIn;
    if (is_one) SN_TRY(check_builtin(c, i));
  }
  return SN_OK;
}

/* A compute shader says how large a workgroup is. */
static sn_code check_size(const spv_checker *c) {
  for (int k = 0; k < c->functions_at; k++) {
    const spv_insn *i = &c->r.insn[k];
    const uint32_t mode = spv_word_at(&c->r, i, 1);
    if (i->row->number == SpvOpExecutionModeId && mode == SpvExecutionModeLocalSizeId) return SN_OK;
    if (i->row->number != SpvOpExecutionMode || mode != SpvExecutionModeLocalSize) continue;
    for (uint32_t axis = 2; axis < 5; axis++)
      if (!spv_word_at(&c->r, i, axis)) return spv_wrong(c, i, "a workgroup has no invocations");
    return SN_OK;
  }
  return sn_fail(c->r.diags, c->r.code, (sn_loc){0}, "spirv: the module has no size of a workgroup");
}

/* ---- layouts ----------------------------------------------------------------------------------------------------- */

/* Bytes that the offset of a number or a vector is a multiple of; 1: any, arrays and structures. */
static uint32_t alignment_of(const spv_checker *c, spv_id type) {
  const spv_shape s = spv_shape_of(&c->r, type);
  if (s.kind != SPV_INT && s.kind != SPV_FLOAT) return 1;
  return s.bits / 8 * (s.lanes <= 2 ? s.lanes : 4);
}

static sn_code check_offsets(const spv_checker *c, const spv_insn *s) {
  for (int k = 0; k < c->functions_at; k++) {
    const spv_insn *i = &c->r.insn[k];
    if (i->row->number != SpvOpMemberDecorate || spv_word_at(&c->r, i, 0) != s->result) continue;
    const uint32_t bytes = alignment_of(c, spv_word_at(&c->r, s, spv_word_at(&c->r, i, 1)));
    if (spv_word_at(&c->r, i, 2) == SpvDecorationOffset && bytes && spv_word_at(&c->r, i, 3) % bytes)
      return spv_wrong(c, i, "is not a multiple of %u bytes", bytes);
  }
  return SN_OK;
}

/* Structures behind addresses and of push constants have offsets, their arrays a stride; shared memory has none. */
static sn_code check_layout(const spv_checker *c, const spv_facts *f, const spv_insn *pointer) {
  const uint32_t storage = spv_word_at(&c->r, pointer, 0);
  const spv_id target = spv_word_at(&c->r, pointer, 1);
  const bool is_laid_out = storage == SpvStorageClassPhysicalStorageBuffer || storage == SpvStorageClassPushConstant;
  const spv_insn *s = spv_definition(&c->r, target);
  const uint32_t opcode = s->row->number;
  if (storage == SpvStorageClassWorkgroup && (f->has_stride[target] || f->offsets[target]) &&
      !spv_declares(f, SpvCapabilityWorkgroupMemoryExplicitLayoutKHR))
    return spv_wrong(c, pointer, "shared memory has no layout");
  if (!is_laid_out) return SN_OK;
  if ((opcode == SpvOpTypeArray || opcode == SpvOpTypeRuntimeArray) && !f->has_stride[target])
    return spv_wrong(c, s, "has no ArrayStride");
  if (opcode != SpvOpTypeStruct) return SN_OK;
  if (!f->is_block[target]) return spv_wrong(c, s, "is not decorated as Block");
  if (f->offsets[target] != s->words - s->first)
    return spv_wrong(c, s, "has %u offsets for %u members", f->offsets[target], s->words - s->first);
  for (uint32_t k = 0; k < s->words - s->first; k++) {
    const spv_id member = spv_word_at(&c->r, s, k);
    const spv_insn *m = spv_definition(&c->r, member);
    if ((m->row->number == SpvOpTypeArray || m->row->number == SpvOpTypeRuntimeArray) && !f->has_stride[member])
      return spv_wrong(c, m, "has no ArrayStride");
  }
  return check_offsets(c, s);
}

static sn_code check_layouts(const spv_checker *c, const spv_facts *f) {
  for (int k = 0; k < c->functions_at; k++)
    if (c->r.insn[k].row->number == SpvOpTypePointer) SN_TRY(check_layout(c, f, &c->r.insn[k]));
  return SN_OK;
}

/* ---- accesses and barriers --------------------------------------------------------------------------------------- */

/* Does it access memory, behind its first operand (a copy: its first two)? align: what it states, 0: nothing. */
static bool access_of(const spv_checker *c, const spv_insn *i, uint32_t *align) {
  spv_cursor operands = spv_operands(&c->r, i);
  spv_operand o;
  *align = 0;
  while (spv_next(&operands, &o))
    if (o.letter == 'M' && (c->r.words[o.at] & SpvMemoryAccessAlignedMask))
      *align = c->r.words[o.at + 1]; /* Volatile, below it, brings nothing */
  switch (i->row->number) {
    case SpvOpLoad:
    case SpvOpStore:
    case SpvOpCopyMemory:
    case SpvOpCooperativeMatrixLoadKHR:
    case SpvOpCooperativeMatrixStoreKHR:
    case SpvOpCooperativeMatrixLoadTensorNV:
    case SpvOpCooperativeMatrixStoreTensorNV: return true;
    default: return false;
  }
}

static sn_code check_access(const spv_checker *c, const spv_insn *i) {
  uint32_t align, storage;
  spv_id target;
  if (!access_of(c, i, &align)) return SN_OK;
  for (uint32_t k = 0; k < (i->row->number == SpvOpCopyMemory ? 2 : 1); k++) {
    if (!spv_pointer_of(&c->r, spv_operand_type(&c->r, i, k), &storage, &target))
      return spv_wrong(c, i, "operand %u is not a pointer", k + 1);
    if (storage == SpvStorageClassPhysicalStorageBuffer && !align) return spv_wrong(c, i, "is not Aligned");
  }
  return align & (align - 1) ? spv_wrong(c, i, "the alignment is not a power of two") : SN_OK;
}

enum {
  ORDERS = SpvMemorySemanticsAcquireMask | SpvMemorySemanticsReleaseMask | SpvMemorySemanticsAcquireReleaseMask |
           SpvMemorySemanticsSequentiallyConsistentMask,
  STORAGES = SpvMemorySemanticsUniformMemoryMask | SpvMemorySemanticsSubgroupMemoryMask |
             SpvMemorySemanticsWorkgroupMemoryMask | SpvMemorySemanticsCrossWorkgroupMemoryMask |
             SpvMemorySemanticsAtomicCounterMemoryMask | SpvMemorySemanticsImageMemoryMask |
             SpvMemorySemanticsOutputMemoryMask,
};

static sn_code check_barrier(const spv_checker *c, const spv_facts *f, const spv_insn *i) {
  const bool is_control = i->row->number == SpvOpControlBarrier;
  uint32_t scope = 0, memory_scope, semantics;
  if (!is_control && i->row->number != SpvOpMemoryBarrier) return SN_OK;
  if (is_control && !spv_constant_of(&c->r, spv_word_at(&c->r, i, 0), &scope))
    return spv_wrong(c, i, "the scope is not a constant");
  if (!spv_constant_of(&c->r, spv_word_at(&c->r, i, is_control), &memory_scope))
    return spv_wrong(c, i, "the scope of memory is not a constant");
  if (!spv_constant_of(&c->r, spv_word_at(&c->r, i, 1u + is_control), &semantics))
    return spv_wrong(c, i, "the semantics are not a constant");
  if (is_control && scope != SpvScopeWorkgroup && scope != SpvScopeSubgroup)
    return spv_wrong(c, i, "the scope is neither the workgroup nor the subgroup");
  if (memory_scope == SpvScopeCrossDevice || memory_scope > SpvScopeQueueFamily)
    return spv_wrong(c, i, "the scope of memory is not one of shaders");
  const uint32_t order = semantics & ORDERS;
  if (order & (order - 1)) return spv_wrong(c, i, "the semantics have several orders");
  const bool orders_memory = !is_control || scope == SpvScopeWorkgroup || order;
  if (orders_memory && !order) return spv_wrong(c, i, "the semantics have no order");
  if (orders_memory && !(semantics & STORAGES)) return spv_wrong(c, i, "the semantics name no memory");
  if (f->model != SpvMemoryModelVulkan) return SN_OK;
  if (order == SpvMemorySemanticsSequentiallyConsistentMask)
    return spv_wrong(c, i, "the memory model Vulkan has no sequential consistency");
  return memory_scope == SpvScopeDevice ? spv_need(c, f, i, SpvCapabilityVulkanMemoryModelDeviceScope) : SN_OK;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static void collect_decoration(const spv_checker *c, spv_facts *f, const spv_insn *i) {
  const uint32_t id = spv_word_at(&c->r, i, 0);
  const bool is_member = i->row->number == SpvOpMemberDecorate;
  switch (spv_word_at(&c->r, i, is_member ? 2 : 1)) {
    case SpvDecorationBlock: f->is_block[id] |= !is_member; break;
    case SpvDecorationArrayStride: f->has_stride[id] |= !is_member; break;
    case SpvDecorationOffset: f->offsets[id] += is_member; break;
    default: break;
  }
}

/* Do types in the operands of this one have the property? Pointers hide what they point to. */
static void collect_type(const spv_checker *c, spv_facts *f, const spv_insn *i) {
  const uint32_t opcode = i->row->number;
  if (opcode == SpvOpTypeInt || opcode == SpvOpTypeFloat) {
    f->narrow8[i->result] = spv_word_at(&c->r, i, 0) == 8;
    f->narrow16[i->result] = spv_word_at(&c->r, i, 0) == 16;
  }
  const bool is_list = opcode == SpvOpTypeStruct;
  const bool is_one = opcode == SpvOpTypeVector || opcode == SpvOpTypeArray || opcode == SpvOpTypeRuntimeArray;
  for (uint32_t k = 0; k < (is_list ? i->words - i->first : is_one); k++) {
    f->narrow8[i->result] |= f->narrow8[spv_word_at(&c->r, i, k)];
    f->narrow16[i->result] |= f->narrow16[spv_word_at(&c->r, i, k)];
  }
}

static spv_facts collect(const spv_checker *c) {
  sn_arena *arena = c->r.arena;
  const uint32_t n = c->r.bound;
  spv_facts f = {.capabilities = SN_ARRAY(arena, c->r.insn_count, uint32_t),
                 .narrow8 = SN_ARRAY(arena, n, bool),
                 .narrow16 = SN_ARRAY(arena, n, bool),
                 .is_block = SN_ARRAY(arena, n, bool),
                 .has_stride = SN_ARRAY(arena, n, bool),
                 .offsets = SN_ARRAY(arena, n, uint32_t)};
  for (int k = 0; k < c->functions_at; k++) {
    const spv_insn *i = &c->r.insn[k];
    switch (i->row->number) {
      case SpvOpCapability: f.capabilities[f.capability_count++] = spv_word_at(&c->r, i, 0); break;
      case SpvOpMemoryModel:
        f.addressing = spv_word_at(&c->r, i, 0);
        f.model = spv_word_at(&c->r, i, 1);
        break;
      case SpvOpDecorate:
      case SpvOpMemberDecorate: collect_decoration(c, &f, i); break;
      default: collect_type(c, &f, i);
    }
  }
  return f;
}

sn_code spv_verify_module(spv_checker *c) {
  const spv_facts f = collect(c);
  SN_TRY(spv_verify_capabilities(c, &f));
  SN_TRY(check_model(c, &f));
  SN_TRY(check_interface(c));
  SN_TRY(check_builtins(c));
  SN_TRY(check_size(c));
  SN_TRY(check_layouts(c, &f));
  for (int k = c->functions_at; k < c->r.insn_count; k++) {
    SN_TRY(check_access(c, &c->r.insn[k]));
    SN_TRY(check_barrier(c, &f, &c->r.insn[k]));
  }
  return SN_OK;
}
