/* The verifier on whole modules: declarations, capabilities of narrow types, control flow beyond the sample. Each case
 * is a function that adds to a module. */
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

static spv_id undef(spv *s, spv_id type) { return spv_intern(s, SpvOpUndef, type, 0, NULL); }

static spv_id type2(spv *s, spv_opcode op, uint32_t a, uint32_t b) {
  const uint32_t operands[] = {a, b};
  return spv_intern(s, op, 0, 2, operands);
}

/* An element behind an address. */
static spv_id element(spv *s, spv_id type, uint32_t bytes) {
  spv_id word = spv_uint(s, 64);
  spv_id address = undef(s, word);
  spv_id zero = spv_u32(s, 0);
  return spv_at(s, address, type, bytes, zero);
}

/* ---- declarations ------------------------------------------------------------------------------------------------ */

static void null_of_void(spv *s) {
  spv_id type = spv_void(s);
  (void)spv_intern(s, SpvOpConstantNull, type, 0, NULL);
}

static void truth_of_a_number(spv *s) {
  spv_id type = spv_uint(s, 32);
  (void)spv_intern(s, SpvOpConstantTrue, type, 0, NULL);
}

static void truths(spv *s) {
  (void)spv_flag(s, true);
  (void)spv_flag(s, false);
  spv_id type = spv_bool(s);
  (void)spv_intern(s, SpvOpConstantNull, type, 0, NULL);
}

static void composite_of_a_type(spv *s) {
  spv_id number = spv_float(s, 32);
  spv_id pair = spv_vector(s, number, 2);
  const uint32_t parts[] = {number, number};
  (void)spv_intern(s, SpvOpConstantComposite, pair, 2, parts);
}

static void vector_of_vectors(spv *s) {
  spv_id number = spv_float(s, 32);
  spv_id pair = spv_vector(s, number, 2);
  (void)spv_vector(s, pair, 2);
}

static void vector_of_five(spv *s) {
  spv_id number = spv_float(s, 32);
  (void)spv_vector(s, number, 5);
}

static void array_without_length_inside(spv *s) {
  spv_id number = spv_float(s, 32);
  spv_id row = spv_intern(s, SpvOpTypeRuntimeArray, 0, 1, &number);
  (void)type2(s, SpvOpTypeStruct, row, number);
}

static void array_of_arrays_without_length(spv *s) {
  spv_id number = spv_float(s, 32);
  spv_id row = spv_intern(s, SpvOpTypeRuntimeArray, 0, 1, &number);
  (void)spv_array(s, row, 4);
}

static void local_outside(spv *s) {
  spv_id number = spv_float(s, 32);
  (void)spv_global(s, SpvStorageClassFunction, number);
}

static void shared_inside(spv *s) {
  spv_id number = spv_float(s, 32);
  spv_id pointer = spv_pointer(s, SpvStorageClassWorkgroup, number);
  (void)spv_op1(s, SpvOpVariable, pointer, SpvStorageClassWorkgroup);
}

static void label_as_initial_value(spv *s) {
  spv_id number = spv_float(s, 32);
  spv_id pointer = spv_pointer(s, SpvStorageClassFunction, number);
  spv_id block = spv_block(s);
  (void)spv_op2(s, SpvOpVariable, pointer, SpvStorageClassFunction, block);
}

static void initial_value(spv *s) {
  spv_id number = spv_float(s, 32);
  spv_id pointer = spv_pointer(s, SpvStorageClassFunction, number);
  spv_id one = spv_f32(s, 1.0f);
  (void)spv_op2(s, SpvOpVariable, pointer, SpvStorageClassFunction, one);
}

static void variable_behind_an_address(spv *s) {
  spv_id number = spv_float(s, 32);
  (void)spv_global(s, SpvStorageClassPhysicalStorageBuffer, number);
}

static void modes(spv *s) {
  spv_mode(s, SpvExecutionModeSignedZeroInfNanPreserve, 32);
  spv_mode(s, SpvExecutionModeRoundingModeRTE, 32);
}

static void names(spv *s) {
  spv_id number = spv_float(s, 32);
  spv_line(s, "model.c", 3);
  spv_id x = undef(s, number);
  spv_id sum = spv_op2(s, SpvOpFAdd, number, x, x);
  spv_name(s, sum, "sum");
  spv_line(s, "model.c", -1);
  (void)spv_op2(s, SpvOpFAdd, number, sum, sum);
}

/* An array of push constants that has no stride. */
static void array_without_stride(spv *s) {
  spv_id number = spv_float(s, 32);
  spv_id row = spv_array(s, number, 4);
  spv_id block = spv_intern(s, SpvOpTypeStruct, 0, 1, &row);
  spv_decorate(s, block, SpvDecorationBlock, 0, NULL);
  (void)spv_global(s, SpvStorageClassPushConstant, block);
}

/* ---- narrow types ------------------------------------------------------------------------------------------------ */

static void load_u8(spv *s) {
  spv_id type = spv_uint_storage(s, 8);
  spv_id at = element(s, type, 1);
  (void)spv_load(s, type, at, 1);
}

static void load_u8_declared(spv *s) {
  spv_capability(s, SpvCapabilityStorageBuffer8BitAccess);
  load_u8(s);
}

static void load_u8_all(spv *s) {
  spv_capability(s, SpvCapabilityUniformAndStorageBuffer8BitAccess);
  spv_capability(s, SpvCapabilityInt8);
  load_u8(s);
}

static void load_u8_as_int8(spv *s) {
  (void)spv_uint(s, 8);
  load_u8(s);
}

static void load_half_as_float16(spv *s) {
  spv_id type = spv_float(s, 16);
  spv_id at = element(s, type, 2);
  (void)spv_load(s, type, at, 2);
}

static void load_half_all(spv *s) {
  spv_capability(s, SpvCapabilityUniformAndStorageBuffer16BitAccess);
  load_half_as_float16(s);
}

static void push_half(spv *s) {
  spv_id type = spv_float(s, 16);
  (void)spv_pointer(s, SpvStorageClassPushConstant, type);
}

static void push_half_declared(spv *s) {
  spv_capability(s, SpvCapabilityStoragePushConstant16);
  push_half(s);
}

static void push_u8(spv *s) {
  spv_id type = spv_uint(s, 8);
  (void)spv_pointer(s, SpvStorageClassPushConstant, type);
}

static void push_u8_declared(spv *s) {
  spv_capability(s, SpvCapabilityStoragePushConstant8);
  push_u8(s);
}

static void bfloat(spv *s) { (void)type2(s, SpvOpTypeFloat, 16, SpvFPEncodingBFloat16KHR); }

static void bfloat_declared(spv *s) {
  spv_capability(s, SpvCapabilityBFloat16CooperativeMatrixKHR);
  bfloat(s);
}

/* ---- control flow ------------------------------------------------------------------------------------------------ */

static void switch_on(spv *s, spv_id selector) {
  spv_id case1 = spv_new(s);
  spv_id merge = spv_new(s);
  const uint32_t construct[] = {merge, 0};
  spv_do(s, SpvOpSelectionMerge, 2, construct);
  const uint32_t operands[] = {selector, merge, 1, case1};
  spv_do(s, SpvOpSwitch, 4, operands);
  spv_label(s, case1);
  spv_branch(s, merge);
  spv_label(s, merge);
}

static void switch_on_word(spv *s) {
  spv_id type = spv_uint(s, 32);
  switch_on(s, undef(s, type));
}

static void switch_on_float(spv *s) {
  spv_id type = spv_float(s, 32);
  switch_on(s, undef(s, type));
}

static void condition_of_words(spv *s) {
  spv_id type = spv_uint(s, 32);
  spv_id merge = spv_if(s, undef(s, type));
  spv_end_if(s, merge);
}

/* A loop in a loop; the inner one ends early, without a merge of its own for that branch. */
static void nested_loops(spv *s) {
  spv_id word = spv_uint(s, 32);
  spv_id truth = spv_bool(s);
  spv_id zero = spv_u32(s, 0);
  spv_id one = spv_u32(s, 1);
  spv_id ten = spv_u32(s, 10);
  spv_loop outer = spv_loop_begin(s, word, zero);
  spv_carry carry = spv_loop_carry(s, &outer, word, zero);
  spv_loop_body(s, &outer, ten, one);
  spv_loop inner = spv_loop_begin(s, word, outer.counter);
  spv_loop_body(s, &inner, ten, one);
  spv_id stop = spv_op2(s, SpvOpIEqual, truth, inner.counter, outer.counter);
  spv_id on = spv_new(s);
  spv_branch_if(s, stop, inner.merge, on);
  spv_label(s, on);
  spv_loop_next(s, &inner);
  spv_loop_end(s, &inner);
  spv_id sum = spv_op2(s, SpvOpIAdd, word, carry.phi, inner.counter);
  spv_id odd = spv_op2(s, SpvOpIEqual, truth, sum, one);
  spv_id merge = spv_if(s, odd);
  spv_end_if(s, merge);
  spv_loop_next(s, &outer);
  spv_loop_yield(s, carry, sum);
  spv_loop_end(s, &outer);
  (void)spv_op2(s, SpvOpIAdd, word, carry.phi, one);
}

/* A phi of a loop that gets a value of another type. */
static void carry_of_another_type(spv *s) {
  spv_id word = spv_uint(s, 32);
  spv_id number = spv_float(s, 32);
  spv_id zero = spv_u32(s, 0);
  spv_id one = spv_u32(s, 1);
  spv_loop l = spv_loop_begin(s, word, zero);
  spv_carry carry = spv_loop_carry(s, &l, number, zero);
  spv_loop_body(s, &l, one, one);
  spv_loop_next(s, &l);
  spv_loop_yield(s, carry, carry.phi);
  spv_loop_end(s, &l);
}

static void block_behind_a_return(spv *s) {
  spv_id truth = spv_bool(s);
  spv_id merge = spv_if(s, undef(s, truth));
  spv_do(s, SpvOpReturn, 0, NULL);
  spv_end_if(s, merge);
}

static void unreachable(spv *s) {
  spv_id number = spv_float(s, 32);
  spv_do(s, SpvOpUnreachable, 0, NULL);
  spv_id block = spv_new(s);
  spv_label(s, block);
  spv_id x = undef(s, number);
  (void)spv_op2(s, SpvOpFAdd, number, x, x);
}

/* ---- subgroups and matrices -------------------------------------------------------------------------------------- */

static void reduce(spv *s, uint32_t operation, int operands) {
  spv_id number = spv_float(s, 32);
  spv_id scope = spv_u32(s, SpvScopeSubgroup);
  spv_id lanes = spv_u32(s, 4);
  const uint32_t words[] = {scope, operation, undef(s, number), lanes};
  (void)spv_op(s, SpvOpGroupNonUniformFAdd, number, operands, words);
}

static void reduce_cluster(spv *s) {
  spv_capability(s, SpvCapabilityGroupNonUniformClustered);
  reduce(s, SpvGroupOperationClusteredReduce, 4);
}

static void reduce_cluster_undeclared(spv *s) { reduce(s, SpvGroupOperationClusteredReduce, 4); }

static void subgroup_size(spv *s) {
  spv_id word = spv_uint(s, 32);
  (void)spv_builtin(s, SpvBuiltInSubgroupSize, word);
}

static spv_id matrix(spv *s, spv_id component, uint32_t scope, uint32_t rows, uint32_t columns, uint32_t use) {
  const uint32_t facts[] = {scope, rows, columns, use};
  uint32_t words[5] = {component};
  for (int i = 0; i < 4; i++) words[1 + i] = spv_u32(s, facts[i]);
  return spv_intern(s, SpvOpTypeCooperativeMatrixKHR, 0, 5, words);
}

static void multiply(spv *s, uint32_t a_scope, uint32_t a_columns) {
  spv_id number = spv_float(s, 32);
  spv_id a = matrix(s, number, a_scope, 8, a_columns, SpvCooperativeMatrixUseMatrixAKHR);
  spv_id b = matrix(s, number, SpvScopeSubgroup, 8, 8, SpvCooperativeMatrixUseMatrixBKHR);
  spv_id c = matrix(s, number, SpvScopeSubgroup, 8, 8, SpvCooperativeMatrixUseMatrixAccumulatorKHR);
  const uint32_t operands[] = {undef(s, a), undef(s, b), undef(s, c)};
  (void)spv_op(s, SpvOpCooperativeMatrixMulAddKHR, c, 3, operands);
}

static void multiply_fits(spv *s) { multiply(s, SpvScopeSubgroup, 8); }

static void multiply_extents(spv *s) { multiply(s, SpvScopeSubgroup, 16); }

static void multiply_scopes(spv *s) { multiply(s, SpvScopeWorkgroup, 8); }

static void matrix_of_truths(spv *s) {
  spv_id truth = spv_bool(s);
  (void)matrix(s, truth, SpvScopeSubgroup, 8, 8, SpvCooperativeMatrixUseMatrixAKHR);
}

static void matrix_of_float_extent(spv *s) {
  spv_id number = spv_float(s, 32);
  uint32_t words[5] = {number};
  for (int i = 1; i < 5; i++) words[i] = spv_f32(s, 8.0f);
  (void)spv_intern(s, SpvOpTypeCooperativeMatrixKHR, 0, 5, words);
}

static void load_matrix_from_rows(spv *s) {
  spv_id number = spv_float(s, 32);
  spv_id row = spv_array(s, number, 64);
  spv_id shared = spv_global(s, SpvStorageClassWorkgroup, row);
  spv_id c = matrix(s, number, SpvScopeSubgroup, 8, 8, SpvCooperativeMatrixUseMatrixAccumulatorKHR);
  spv_id layout = spv_u32(s, SpvCooperativeMatrixLayoutRowMajorKHR);
  const uint32_t operands[] = {shared, layout, layout, SpvMemoryAccessNonPrivatePointerMask};
  (void)spv_op(s, SpvOpCooperativeMatrixLoadKHR, c, 4, operands);
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

typedef struct build {
  void (*add)(spv *s);
  const char *rule;               /* "": the module is right */
  enum { PLAIN, OURS, NEW } kind; /* rules, or instructions, that others need not know */
} build;

/* clang-format off */
static const build builds[] = {
    {null_of_void, "its type is not that of data", PLAIN},
    {truth_of_a_number, "its type is not bool", PLAIN},
    {truths, "", PLAIN},
    {composite_of_a_type, "operand 1 is not a constant", PLAIN},
    {vector_of_vectors, "the component is not a scalar", PLAIN},
    {vector_of_five, "has 5 components", PLAIN},
    {array_without_length_inside, "member 0 has no length", PLAIN},
    {array_of_arrays_without_length, "the element is not a type of known size", PLAIN},
    {local_outside, "has a storage class of another place", PLAIN},
    {shared_inside, "has a storage class of another place", PLAIN},
    {label_as_initial_value, "its initial value is not a constant", PLAIN},
    {initial_value, "", PLAIN},
    {variable_behind_an_address, "has a storage class that has no variables", PLAIN},
    {modes, "", PLAIN},
    {names, "", PLAIN},
    {array_without_stride, "has 0 offsets for 1 members", PLAIN},
    {load_u8, "needs the capability Int8", PLAIN},
    {load_u8_declared, "", PLAIN},
    {load_u8_all, "", PLAIN},
    {load_u8_as_int8, "needs the capability StorageBuffer8BitAccess", OURS},
    {load_half_as_float16, "needs the capability StorageBuffer16BitAccess", OURS},
    {load_half_all, "", PLAIN},
    {push_half, "needs the capability StoragePushConstant16", OURS},
    {push_half_declared, "", PLAIN},
    {push_u8, "needs the capability StoragePushConstant8", OURS},
    {push_u8_declared, "", PLAIN},
    {bfloat, "needs the capability BFloat16TypeKHR", NEW},
    {bfloat_declared, "", NEW},
    {switch_on_word, "", PLAIN},
    {switch_on_float, "the selector is not an integer of at most 32 bits", PLAIN},
    {condition_of_words, "the condition is not bool", PLAIN},
    {nested_loops, "", PLAIN},
    {carry_of_another_type, "the type of operand 1 does not fit", PLAIN},
    {block_behind_a_return, "", PLAIN},
    {unreachable, "", PLAIN},
    {reduce_cluster, "", PLAIN},
    {reduce_cluster_undeclared, "needs the capability GroupNonUniformClustered", PLAIN},
    {subgroup_size, "", PLAIN},
    {multiply_fits, "", NEW},
    {multiply_extents, "rows and columns do not fit", NEW},
    {multiply_scopes, "the matrices have different scopes", NEW},
    {matrix_of_truths, "the component is not a number", NEW},
    {matrix_of_float_extent, "operand 2 is not an integer constant", NEW},
    {load_matrix_from_rows, "the pointer does not point to numbers", NEW},
};
/* clang-format on */
enum { BUILDS = sizeof builds / sizeof *builds };

static module module_of(sn_arena *arena, const build *b) {
  spv *s = spv_begin(arena, (spv_opt){.int64 = true, .names = true, .vulkan_memory = b->kind == NEW});
  spv_main(s);
  b->add(s);
  module m = {0};
  assert_int_equal(spv_end(s, 32, NULL, &m.words, &m.count), SN_OK);
  return m;
}

static void modules_are_checked(void **state) {
  (void)state;
  for (int i = 0; i < BUILDS; i++) {
    sn_arena *arena = sn_arena_create();
    const char *said = verdict(arena, module_of(arena, &builds[i]));
    if (strcmp(rule_of(said), builds[i].rule)) print_message("module %d: %s\n", i, said);
    assert_string_equal(rule_of(said), builds[i].rule);
    sn_arena_destroy(arena);
  }
}

static void others_say_the_same(void **state) {
  (void)state;
  for (int i = 0; i < BUILDS; i++) {
    if (builds[i].kind != PLAIN) continue;
    sn_arena *arena = sn_arena_create();
    const char *said = validator(arena, module_of(arena, &builds[i]));
    const bool is_there = said != NULL;
    if (is_there && !*said == !!*builds[i].rule)
      fail_msg("module %d: \"%s\": the validator says: %s", i, builds[i].rule, said);
    sn_arena_destroy(arena);
    if (is_there) continue;
    print_message("this build has no validator of SPIRV-Tools\n");
    skip();
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(modules_are_checked),
      cmocka_unit_test(others_say_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
