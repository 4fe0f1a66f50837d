/* The builder: what is made once, what is declared with what, the same bytes twice, modules that others accept. */
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

static const spv_opt every[] = {
    {false, false, false, NULL}, {false, true, false, NULL}, {true, false, false, NULL}, {true, true, false, NULL},
    {false, false, true, NULL},  {false, true, true, NULL},  {true, false, true, NULL},  {true, true, true, NULL},
};
enum { EVERY = sizeof every / sizeof *every };

static void the_same_bytes_twice(void **state) {
  (void)state;
  for (int i = 0; i < EVERY; i++) {
    sn_arena *arena = sn_arena_create();
    module a = sample(arena, every[i]), b = sample(arena, every[i]);
    assert_true(a.count > SPV_HEADER_WORDS);
    assert_int_equal(a.count, b.count);
    assert_memory_equal(a.words, b.words, a.count * sizeof *a.words);
    assert_int_equal(a.words[0], SPV_MAGIC);
    assert_int_equal(a.words[1], SPV_VERSION_1_5);
    sn_arena_destroy(arena);
  }
}

static void others_accept_it(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  for (int i = 0; i < EVERY; i++) {
    const char *said = validator(arena, sample(arena, every[i]));
    if (!said) {
      print_message("this build has no validator of SPIRV-Tools\n");
      skip();
    }
    assert_string_equal(said, "");
  }
  sn_arena_destroy(arena);
}

/* How many instructions of the module have this opcode and, but for any (-1), this first operand. */
static int count(module m, spv_opcode op, int64_t first) {
  int n = 0;
  for (size_t at = SPV_HEADER_WORDS; at < m.count; at += m.words[at] >> 16)
    n += (m.words[at] & 0xffff) == op && (first < 0 || m.words[at + 1] == first);
  return n;
}

static void what_is_used_is_declared_once(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  module m = sample(arena, (spv_opt){.int64 = true});
  assert_int_equal(count(m, SpvOpCapability, SpvCapabilityShader), 1);
  assert_int_equal(count(m, SpvOpCapability, SpvCapabilityInt64), 1);
  assert_int_equal(count(m, SpvOpCapability, SpvCapabilityGroupNonUniformShuffle), 1);
  assert_int_equal(count(m, SpvOpCapability, SpvCapabilityPhysicalStorageBufferAddresses), 1);
  assert_int_equal(count(m, SpvOpCapability, -1), 4);
  assert_int_equal(count(m, SpvOpMemoryModel, SpvAddressingModelPhysicalStorageBuffer64), 1);
  assert_int_equal(count(m, SpvOpConvertUToPtr, -1), 2);
  assert_int_equal(count(m, SpvOpBitcast, -1), 0);
  assert_int_equal(count(m, SpvOpName, -1), 0);
  m = sample(arena, (spv_opt){.vulkan_memory = true, .names = true});
  assert_int_equal(count(m, SpvOpCapability, SpvCapabilityInt64), 0);
  assert_int_equal(count(m, SpvOpCapability, SpvCapabilityVulkanMemoryModel), 1);
  assert_int_equal(count(m, SpvOpConvertUToPtr, -1), 0);
  assert_int_equal(count(m, SpvOpBitcast, -1), 2);
  assert_int_equal(count(m, SpvOpName, -1), 3);
  assert_int_equal(count(m, SpvOpString, -1), 1);
  assert_int_equal(count(m, SpvOpLine, -1), 4); /* body, next step, behind the loop, in the if */
  sn_arena_destroy(arena);
}

static void equal_calls_give_the_same_id(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  spv *s = spv_begin(arena, (spv_opt){0});
  spv_id ids[500];
  for (uint32_t i = 0; i < 500; i++) ids[i] = spv_u32(s, i * 7);
  for (uint32_t i = 0; i < 500; i++) assert_int_equal(spv_u32(s, i * 7), ids[i]);
  for (uint32_t i = 1; i < 500; i++) assert_int_equal(ids[i], ids[i - 1] + 1);
  assert_int_equal(spv_float(s, 16), spv_float_storage(s, 16));
  assert_int_equal(spv_uint(s, 8), spv_uint_storage(s, 8));
  assert_int_not_equal(spv_f32(s, 0.0f), spv_f32(s, -0.0f));
  assert_int_not_equal(spv_u32(s, 0), spv_f32(s, 0.0f));
  spv_id word = spv_uint(s, 32);
  assert_int_equal(spv_builtin(s, SpvBuiltInSubgroupSize, word), spv_builtin(s, SpvBuiltInSubgroupSize, word));
  sn_arena_destroy(arena);
}

static void constants_are_known(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  spv *s = spv_begin(arena, (spv_opt){0});
  uint64_t value = 1;
  assert_true(spv_is_const(s, spv_u32(s, 0xfffffffeu), &value));
  assert_int_equal(value, 0xfffffffeu);
  assert_true(spv_is_const(s, spv_u64(s, UINT64_C(0x123456789abcdef0)), &value));
  assert_true(value == UINT64_C(0x123456789abcdef0));
  assert_false(spv_is_const(s, spv_f32(s, 1.0f), &value));
  assert_false(spv_is_const(s, spv_f64(s, 1.0), &value));
  assert_false(spv_is_const(s, spv_uint(s, 32), &value));
  assert_false(spv_is_const(s, 0, &value));
  assert_false(spv_is_const(s, 100000, &value));
  sn_arena_destroy(arena);
}

static void capabilities_bring_extensions(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  spv *s = spv_begin(arena, (spv_opt){.vulkan_memory = true});
  spv_capability(s, SpvCapabilityCooperativeMatrixKHR);
  spv_capability(s, SpvCapabilityFloat16);
  spv_capability(s, SpvCapabilityCooperativeMatrixKHR);
  spv_main(s);
  module m = {0};
  assert_int_equal(spv_end(s, 32, NULL, &m.words, &m.count), SN_OK);
  assert_int_equal(count(m, SpvOpExtension, -1), 1);
  uint32_t last = 0;
  for (size_t at = SPV_HEADER_WORDS; (m.words[at] & 0xffff) == SpvOpCapability; at += 2) {
    assert_true(m.words[at + 1] > last);
    last = m.words[at + 1];
  }
  assert_int_equal(last, SpvCapabilityCooperativeMatrixKHR);
  sn_arena_destroy(arena);
}

static void too_long_an_instruction_is_refused(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  uint32_t *many = SN_ARRAY(arena, 70000, uint32_t);
  char *text = SN_ARRAY(arena, 300000, char);
  memset(text, 'a', 299999);
  for (int i = 0; i < 3; i++) {
    spv *s = spv_begin(arena, (spv_opt){.names = true});
    spv_main(s);
    if (i == 0) (void)spv_intern(s, SpvOpTypeStruct, 0, 70000, many);
    if (i == 1) (void)spv_op(s, SpvOpCompositeConstruct, 1, 70000, many);
    if (i == 2) spv_name(s, 1, text);
    spv_id word = spv_uint(s, 32);
    spv_loop l = spv_loop_begin(s, word, 1); /* whatever follows */
    spv_loop_body(s, &l, 1, 1);
    spv_loop_next(s, &l);
    spv_loop_end(s, &l);
    module m = {0};
    assert_int_equal(spv_end(s, 32, diags, &m.words, &m.count), SN_ERR_LIMIT);
    assert_null(m.words);
  }
  assert_string_equal(diags->at[0].message, "spirv: an instruction does not fit into a module");
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_bytes_twice),
      cmocka_unit_test(others_accept_it),
      cmocka_unit_test(what_is_used_is_declared_once),
      cmocka_unit_test(equal_calls_give_the_same_id),
      cmocka_unit_test(constants_are_known),
      cmocka_unit_test(capabilities_bring_extensions),
      cmocka_unit_test(too_long_an_instruction_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
