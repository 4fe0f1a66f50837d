/* SPIR-V builder: instructions of main, memory, structured control flow. */
#include <string.h>

#include "backends/spirv/spv_internal.h"

/* ---- instructions ------------------------------------------------------------------------------------------------ */

/* The line goes before what can be at fault; nothing may stand before phis nor between a merge and its branch. */
static void set_line(spv *s, spv_opcode op) {
  uint64_t wanted = (uint64_t)s->file << 32 | s->line;
  if (!s->file || s->line_set == wanted) return;
  if (op == SpvOpPhi || op == SpvOpLoopMerge || op == SpvOpSelectionMerge || spv_is_end(op)) return;
  s->line_set = wanted;
  uint32_t *at = spv_add(s, SPV_CODE, SpvOpLine, 4);
  at[1] = s->file;
  at[2] = s->line;
  at[3] = 0;
}

static void before(spv *s, spv_opcode op) {
  uint32_t capability;
  if (spv_op_need(op, &capability)) spv_capability(s, capability);
  set_line(s, op);
}

spv_id spv_op(spv *s, spv_opcode op, spv_id type, int count, const uint32_t *operands) {
  before(s, op);
  spv_id id = spv_new(s);
  uint32_t *at = spv_add(s, SPV_CODE, op, 3 + (size_t)count);
  if (s->too_long) return id;
  at[1] = type;
  at[2] = id;
  if (count) memcpy(at + 3, operands, (size_t)count * sizeof *at);
  return id;
}

void spv_do(spv *s, spv_opcode op, int count, const uint32_t *operands) {
  before(s, op);
  uint32_t *at = spv_add(s, SPV_CODE, op, 1 + (size_t)count);
  if (spv_is_end(op)) s->block = 0;
  if (s->too_long) return;
  if (count) memcpy(at + 1, operands, (size_t)count * sizeof *at);
}

spv_id spv_op1(spv *s, spv_opcode op, spv_id type, uint32_t a) { return spv_op(s, op, type, 1, &a); }

spv_id spv_op2(spv *s, spv_opcode op, spv_id type, uint32_t a, uint32_t b) {
  const uint32_t operands[] = {a, b};
  return spv_op(s, op, type, 2, operands);
}

spv_id spv_op3(spv *s, spv_opcode op, spv_id type, uint32_t a, uint32_t b, uint32_t c) {
  const uint32_t operands[] = {a, b, c};
  return spv_op(s, op, type, 3, operands);
}

spv_id spv_ext(spv *s, uint32_t instruction, spv_id type, int count, const uint32_t *operands) {
  if (!s->glsl) {
    s->glsl = spv_new(s);
    spv_add_text(s, SPV_IMPORTS, SpvOpExtInstImport, 1, &s->glsl, "GLSL.std.450");
  }
  before(s, SpvOpExtInst);
  spv_id id = spv_new(s);
  uint32_t *at = spv_add(s, SPV_CODE, SpvOpExtInst, 5 + (size_t)count);
  if (s->too_long) return id;
  at[1] = type;
  at[2] = id;
  at[3] = s->glsl;
  at[4] = instruction;
  if (count) memcpy(at + 5, operands, (size_t)count * sizeof *at);
  return id;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

spv_id spv_load(spv *s, spv_id type, spv_id pointer, uint32_t align) {
  const uint32_t operands[] = {pointer, SpvMemoryAccessAlignedMask, align};
  return spv_op(s, SpvOpLoad, type, align ? 3 : 1, operands);
}

void spv_store(spv *s, spv_id pointer, spv_id value, uint32_t align) {
  const uint32_t operands[] = {pointer, value, SpvMemoryAccessAlignedMask, align};
  spv_do(s, SpvOpStore, align ? 4 : 2, operands);
}

spv_id spv_load_shared(spv *s, spv_id type, spv_id pointer) {
  const uint32_t operands[] = {pointer, SpvMemoryAccessNonPrivatePointerMask};
  return spv_op(s, SpvOpLoad, type, s->opt.vulkan_memory ? 2 : 1, operands);
}

void spv_store_shared(spv *s, spv_id pointer, spv_id value) {
  const uint32_t operands[] = {pointer, value, SpvMemoryAccessNonPrivatePointerMask};
  spv_do(s, SpvOpStore, s->opt.vulkan_memory ? 3 : 2, operands);
}

/* ---- control ----------------------------------------------------------------------------------------------------- */

static void open_block(spv *s, spv_section section, spv_id label) {
  uint32_t *at = spv_add(s, section, SpvOpLabel, 2);
  at[1] = label;
  s->block = label;
  s->line_set = 0;
}

void spv_main(spv *s) {
  spv_name(s, s->main, s->opt.name ? s->opt.name : "main");
  spv_id none = spv_void(s);
  spv_id type = spv_intern(s, SpvOpTypeFunction, 0, 1, &none);
  uint32_t *at = spv_add(s, SPV_HEAD, SpvOpFunction, 5);
  at[1] = none;
  at[2] = s->main;
  at[3] = 0;
  at[4] = type;
  spv_id entry = spv_new(s);
  open_block(s, SPV_HEAD, entry); /* the variables follow in a section of their own */
}

spv_id spv_block(const spv *s) { return s->block; }

void spv_label(spv *s, spv_id label) { open_block(s, SPV_CODE, label); }

void spv_branch(spv *s, spv_id label) { spv_do(s, SpvOpBranch, 1, &label); }

void spv_branch_if(spv *s, spv_id condition, spv_id yes, spv_id no) {
  const uint32_t operands[] = {condition, yes, no};
  spv_do(s, SpvOpBranchConditional, 3, operands);
}

spv_id spv_if(spv *s, spv_id condition) {
  spv_id then = spv_new(s);
  spv_id merge = spv_new(s);
  const uint32_t operands[] = {merge, 0};
  spv_do(s, SpvOpSelectionMerge, 2, operands);
  spv_branch_if(s, condition, then, merge);
  spv_label(s, then);
  return merge;
}

void spv_end_if(spv *s, spv_id merge) {
  if (s->block) spv_branch(s, merge);
  spv_label(s, merge);
}

/* A phi of the loop's head; what comes round is set when it is known, at the returned word. */
static spv_id head_phi(spv *s, const spv_loop *l, spv_id type, spv_id initial, size_t *patch) {
  const uint32_t operands[] = {initial, l->before, 0, l->next};
  spv_id phi = spv_op(s, SpvOpPhi, type, 4, operands);
  *patch = (size_t)s->section[SPV_CODE].count - 2;
  return phi;
}

spv_loop spv_loop_begin(spv *s, spv_id type, spv_id from) {
  spv_loop l = {.before = s->block, .type = type};
  l.head = spv_new(s);
  l.body = spv_new(s);
  l.next = spv_new(s);
  l.merge = spv_new(s);
  spv_branch(s, l.head);
  spv_label(s, l.head);
  l.counter = head_phi(s, &l, type, from, &l.patch);
  return l;
}

spv_carry spv_loop_carry(spv *s, const spv_loop *l, spv_id type, spv_id initial) {
  spv_carry c = {0};
  c.phi = head_phi(s, l, type, initial, &c.patch);
  return c;
}

void spv_loop_body(spv *s, spv_loop *l, spv_id limit, spv_id step) {
  l->limit = limit;
  l->step = step;
  spv_id truth = spv_bool(s);
  spv_id goes_on = spv_op2(s, SpvOpSLessThan, truth, l->counter, limit);
  spv_loop_body_if(s, l, goes_on);
}

void spv_loop_body_if(spv *s, spv_loop *l, spv_id goes_on) {
  const uint32_t operands[] = {l->merge, l->next, SpvLoopControlDontUnrollMask};
  spv_do(s, SpvOpLoopMerge, 3, operands);
  spv_branch_if(s, goes_on, l->body, l->merge);
  spv_label(s, l->body);
}

void spv_loop_next(spv *s, spv_loop *l) {
  if (s->block) spv_branch(s, l->next);
  spv_label(s, l->next);
}

void spv_loop_yield(spv *s, spv_carry carry, spv_id next) {
  if (!s->too_long) s->section[SPV_CODE].at[carry.patch] = next;
}

void spv_loop_end(spv *s, spv_loop *l) {
  spv_id next = spv_op2(s, SpvOpIAdd, l->type, l->counter, l->step);
  spv_loop_end_with(s, l, next);
}

void spv_loop_end_with(spv *s, spv_loop *l, spv_id next) {
  if (!s->too_long) s->section[SPV_CODE].at[l->patch] = next;
  spv_branch(s, l->head);
  spv_label(s, l->merge);
}
