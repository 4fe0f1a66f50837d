#include "harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backends/spirv/inspect/inspect.h"
#include "backends/spirv/spirv_backend.h"

/* The sum of this invocation, of every 64th element. */
static spv_id sum(spv *s, spv_id x, spv_id invocation) {
  spv_id word = spv_uint(s, 32);
  spv_id number = spv_float(s, 32);
  spv_id zero = spv_f32(s, 0.0f);
  spv_id two = spv_f32(s, 2.0f);
  spv_id limit = spv_u32(s, 256);
  spv_id step = spv_u32(s, 64);
  spv_loop l = spv_loop_begin(s, word, invocation);
  spv_carry carry = spv_loop_carry(s, &l, number, zero);
  spv_loop_body(s, &l, limit, step);
  spv_line(s, "model.c", 12);
  spv_id at = spv_at(s, x, number, 4, l.counter);
  spv_id element = spv_load(s, number, at, 4);
  const uint32_t operands[] = {element, two, carry.phi};
  spv_id next = spv_ext(s, SpvGLSLstd450Fma, number, 3, operands);
  spv_loop_next(s, &l);
  spv_loop_yield(s, carry, next);
  spv_loop_end(s, &l);
  return carry.phi;
}

static void barrier(spv *s) {
  spv_id scope = spv_u32(s, SpvScopeWorkgroup);
  spv_id semantics = spv_u32(s, SpvMemorySemanticsAcquireReleaseMask | SpvMemorySemanticsWorkgroupMemoryMask);
  const uint32_t operands[] = {scope, scope, semantics};
  spv_do(s, SpvOpControlBarrier, 3, operands);
}

module sample(sn_arena *arena, spv_opt opt) {
  spv *s = spv_begin(arena, opt);
  spv_id word = spv_uint(s, 32);
  spv_id number = spv_float(s, 32);
  spv_id truth = spv_bool(s);
  spv_id index = spv_builtin(s, SpvBuiltInLocalInvocationIndex, word);
  spv_id row = spv_array(s, number, 64);
  spv_id shared = spv_global(s, SpvStorageClassWorkgroup, row);
  spv_id cell = spv_pointer(s, SpvStorageClassWorkgroup, number);
  spv_name(s, shared, "row");
  spv_push_block(s, 2);
  spv_main(s);
  spv_id invocation = spv_load(s, word, index, 0);
  spv_name(s, invocation, "i");
  spv_id x = spv_push(s, 0);
  spv_id mine = sum(s, x, invocation);
  spv_line(s, "model.c", 13);
  spv_id one = spv_u32(s, 1);
  spv_id subgroup = spv_u32(s, SpvScopeSubgroup);
  spv_id other = spv_op3(s, SpvOpGroupNonUniformShuffleXor, number, subgroup, mine, one);
  spv_id both = spv_op2(s, SpvOpFAdd, number, mine, other);
  spv_id my_cell = spv_op2(s, SpvOpAccessChain, cell, shared, invocation);
  spv_store_shared(s, my_cell, both);
  barrier(s);
  spv_id zero = spv_u32(s, 0);
  spv_id first = spv_op2(s, SpvOpIEqual, truth, invocation, zero);
  spv_id merge = spv_if(s, first);
  spv_id its_cell = spv_op2(s, SpvOpAccessChain, cell, shared, one);
  spv_id its = spv_load_shared(s, number, its_cell);
  spv_id y = spv_push(s, 1);
  spv_id to = spv_at(s, y, number, 4, zero);
  spv_store(s, to, its, 4);
  spv_end_if(s, merge);
  module m = {0};
  sn_diags *diags = sn_diags_create();
  if (spv_end(s, 64, diags, &m.words, &m.count)) fprintf(stderr, "%s", sn_diags_print(diags, arena));
  sn_diags_destroy(diags);
  return m;
}

const char *verdict(sn_arena *arena, module m) {
  sn_diags *diags = sn_diags_create();
  const char *said = "";
  if (spv_verify(m.words, m.count, arena, diags)) said = sn_arena_strdup(arena, diags->at[0].message);
  sn_diags_destroy(diags);
  return said;
}

const char *rule_of(const char *message) {
  const char *at = message;
  if (strncmp(message, "spirv: word ", 12)) return message;
  for (const char *next = message; (next = strstr(next, ": ")); next += 2) at = next + 2;
  return at;
}

const char *validator(sn_arena *arena, module m) {
  const char *why;
  switch (sn_spirv_validate(m.words, m.count, arena, &why)) {
    case SN_SPIRV_ABSENT: return NULL;
    case SN_SPIRV_UNKNOWN: return "a capability that this validator does not know";
    default: return why;
  }
}

sn_target target_of(const char *facts) {
  sn_gpu gpu;
  assert_int_equal(sn_gpu_read(facts, NULL, &gpu), SN_OK);
  return sn_target_vulkan(&gpu);
}

module emit(sn_arena *a, const sn_target *t, const sn_kernel *k) {
  sn_diags *d = sn_diags_create();
  sn_code_blob b;
  if (sn_backend_spirv()->emit(t, k, a, d, &b)) fail_msg("%s", sn_diags_print(d, a));
  sn_diags_destroy(d);
  return (module){(const uint32_t *)(const void *)b.bytes, (size_t)b.byte_count / 4};
}

int count_opcode(module m, uint32_t opcode) {
  int n = 0;
  for (size_t i = 5; i < m.count; i += m.words[i] >> 16) n += (m.words[i] & 0xffff) == opcode;
  return n;
}

int count_opcode_with(module m, uint32_t opcode, int at, uint32_t value) {
  int n = 0;
  for (size_t i = 5; i < m.count; i += m.words[i] >> 16)
    n += (m.words[i] & 0xffff) == opcode && (uint32_t)at < m.words[i] >> 16 && m.words[i + (size_t)at] == value;
  return n;
}
