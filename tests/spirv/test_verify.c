/* The verifier: good modules pass; a module that breaks one rule is refused for it; no word can crash it. */
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
#include "ir/base/rng.h"

static void good_modules_pass(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  for (int i = 0; i < 8; i++)
    assert_string_equal(
        verdict(arena, sample(arena, (spv_opt){.vulkan_memory = i & 1, .int64 = i & 2, .names = i & 4})), "");
  sn_arena_destroy(arena);
}

/* ---- one rule at a time ------------------------------------------------------------------------------------------ */

typedef enum how {
  SET,    /* word `word` of the instruction = value */
  SET_ID, /* the same = result of another instruction */
  DROP,   /* the instruction is not there */
  CUT,    /* it has `value` words */
  MOVE,   /* it stands before another one */
  COPY,   /* it stands there as well */
} how;

typedef struct mutation {
  how how;
  spv_opcode op; /* of the instruction */
  int nth;       /* which with that opcode */
  uint32_t word, value;
  spv_opcode other; /* the other instruction */
  int other_nth;
  const char *message;
  bool is_ours; /* others need not know the rule */
} mutation;

/* Word at which an instruction begins. */
static size_t find(module m, spv_opcode op, int nth) {
  for (size_t at = SPV_HEADER_WORDS; at < m.count; at += m.words[at] >> 16)
    if ((m.words[at] & 0xffff) == op && !nth--) return at;
  fail_msg("no opcode %d", op);
  return 0;
}

static uint32_t result_of(module m, spv_opcode op, int nth) {
  size_t at = find(m, op, nth);
  return m.words[at + 1 + spv_op_find(op)->has_type];
}

/* Words [at, at + count) of a module replaced. */
static module splice(sn_arena *arena, module m, size_t at, size_t count, const uint32_t *words, size_t more) {
  uint32_t *to = SN_ARRAY(arena, m.count - count + more, uint32_t);
  memcpy(to, m.words, at * 4);
  if (more) memcpy(to + at, words, more * 4);
  memcpy(to + at + more, m.words + at + count, (m.count - at - count) * 4);
  return (module){to, m.count - count + more};
}

static module mutate(sn_arena *arena, module m, const mutation *x) {
  size_t at = find(m, x->op, x->nth), words = m.words[at] >> 16;
  uint32_t *copy = sn_arena_copy(arena, m.words + at, words * 4);
  switch (x->how) {
    case SET: copy[x->word] = x->value; break;
    case SET_ID: copy[x->word] = result_of(m, x->other, x->other_nth); break;
    case DROP: return splice(arena, m, at, words, NULL, 0);
    case CUT: copy[0] = x->value << 16 | (copy[0] & 0xffff); return splice(arena, m, at, words, copy, x->value);
    case MOVE:
    case COPY: {
      size_t to = find(m, x->other, x->other_nth);
      module more = splice(arena, m, to, 0, copy, words);
      return x->how == COPY ? more : splice(arena, more, at + (to <= at ? words : 0), words, NULL, 0);
    }
  }
  return splice(arena, m, at, words, copy, words);
}

/* Of the sample with addresses of 64 bits; tests/spirv/golden/plain.txt shows it, with names. */
static const mutation mutations[] = {
    /* ids */
    {SET, SpvOpFAdd, 0, 3, 10000, 0, 0, "id 10000 is not below the bound 60", false},
    {SET, SpvOpFAdd, 0, 2, 10000, 0, 0, "id 10000 is not below the bound 60", false},
    {SET, SpvOpFAdd, 0, 1, 0, 0, 0, "id 0 is not below the bound 60", false},
    {DROP, SpvOpFAdd, 0, 0, 0, 0, 0, "%47 is not defined", false},
    {COPY, SpvOpFAdd, 0, 0, 0, SpvOpStore, 0, "%47 is defined before, in word 269", false},
    {SET_ID, SpvOpFAdd, 0, 1, 0, SpvOpConstant, 0, "%7 is not a type", false},
    /* sections, functions, blocks */
    {MOVE, SpvOpCapability, 1, 0, 0, SpvOpMemoryModel, 0, "stands behind a later section", false},
    {MOVE, SpvOpDecorate, 0, 0, 0, SpvOpTypeVoid, 0, "stands behind a later section", false},
    {MOVE, SpvOpTypeVoid, 0, 0, 0, SpvOpFAdd, 0, "stands behind a later section", false},
    {COPY, SpvOpMemoryModel, 0, 0, 0, SpvOpEntryPoint, 0, "is the second memory model", false},
    {DROP, SpvOpMemoryModel, 0, 0, 0, 0, 0, "spirv: the module has no memory model", false},
    {DROP, SpvOpEntryPoint, 0, 0, 0, 0, 0, "spirv: the module has no entry point", false},
    {MOVE, SpvOpTypeFloat, 0, 0, 0, SpvOpTypeFunction, 0, "%3 is defined further down", false},
    {DROP, SpvOpBranch, 0, 0, 0, 0, 0, "the block before has not ended", false},
    {DROP, SpvOpReturn, 0, 0, 0, 0, 0, "the block before has not ended", false},
    {MOVE, SpvOpSelectionMerge, 0, 0, 0, SpvOpIEqual, 0, "does not stand before the branch it is for", false},
    {MOVE, SpvOpLoopMerge, 0, 0, 0, SpvOpSLessThan, 0, "does not stand before the branch it is for", false},
    {MOVE, SpvOpPhi, 1, 0, 0, SpvOpLoopMerge, 0, "does not stand at the head of a block with predecessors", false},
    {MOVE, SpvOpVariable, 0, 0, 0, SpvOpFAdd, 0, "does not stand at the head of its function", false},
    {MOVE, SpvOpFAdd, 0, 0, 0, SpvOpLabel, 1, "stands outside of a block", false},
    {MOVE, SpvOpFAdd, 0, 0, 0, SpvOpFunction, 0, "stands outside of a function", false},
    {MOVE, SpvOpFunctionEnd, 0, 0, 0, SpvOpFunction, 0, "stands outside of a function", false},
    {DROP, SpvOpFunctionEnd, 0, 0, 0, 0, 0, "the function does not end behind it", false},
    {SET_ID, SpvOpEntryPoint, 0, 2, 0, SpvOpLabel, 0, "does not name a function", false},
    {SET_ID, SpvOpExecutionMode, 0, 1, 0, SpvOpLabel, 0, "does not name a function", false},
    /* control flow */
    {SET_ID, SpvOpBranch, 0, 1, 0, SpvOpFAdd, 0, "%47 is not a label", false},
    {SET_ID, SpvOpLoopMerge, 0, 2, 0, SpvOpFAdd, 0, "%47 is not a label", false},
    {SET_ID, SpvOpBranch, 0, 1, 0, SpvOpLabel, 0, "goes to the first block of the function", false},
    {SET_ID, SpvOpSelectionMerge, 0, 1, 0, SpvOpLabel, 4, "%30 is the target of another merge", false},
    {SET_ID, SpvOpSelectionMerge, 0, 1, 0, SpvOpLabel, 2, "%28 can be reached without it", false},
    {SET_ID, SpvOpBranch, 2, 1, 0, SpvOpLabel, 2, "goes back, not to the head of its loop", false},
    {SET_ID, SpvOpLoopMerge, 0, 2, 0, SpvOpLabel, 5, "goes back, not from the continue target %52", false},
    {DROP, SpvOpSelectionMerge, 0, 0, 0, 0, 0, "branches without a merge", false},
    {DROP, SpvOpLoopMerge, 0, 0, 0, 0, 0, "branches without a merge", false},
    {SET_ID, SpvOpGroupNonUniformShuffleXor, 0, 4, 0, SpvOpLoad, 2, "%40 is not defined on every way to it", false},
    {MOVE, SpvOpFAdd, 0, 0, 0, SpvOpGroupNonUniformShuffleXor, 0, "%46 is not defined on every way to it", false},
    {SET_ID, SpvOpPhi, 0, 3, 0, SpvOpSLessThan, 0, "%33 is not defined on every way to it", false},
    {SET_ID, SpvOpPhi, 0, 4, 0, SpvOpLabel, 2, "%28 is not a predecessor, or for the second time", false},
    {SET_ID, SpvOpPhi, 0, 4, 0, SpvOpLabel, 3, "%29 is not a predecessor, or for the second time", false},
    {CUT, SpvOpPhi, 0, 0, 5, 0, 0, "has 1 values for 2 predecessors", false},
    /* what only a module as a whole shows */
    {DROP, SpvOpCapability, 0, 0, 0, 0, 0, "spirv: the module needs the capability Shader", true},
    {DROP, SpvOpCapability, 1, 0, 0, 0, 0, "needs the capability Int64", false},
    {DROP, SpvOpCapability, 2, 0, 0, 0, 0, "needs the capability GroupNonUniformShuffle", false},
    {DROP, SpvOpCapability, 3, 0, 0, 0, 0, "needs the capability PhysicalStorageBufferAddresses", false},
    {SET, SpvOpCapability, 2, 1, SpvCapabilityFloat16, 0, 0, "needs the capability GroupNonUniformShuffle", false},
    {SET, SpvOpMemoryModel, 0, 1, 0, 0, 0, "needs the addressing model PhysicalStorageBuffer64", false},
    {SET, SpvOpMemoryModel, 0, 1, 2, 0, 0, "has an unknown enumerant", false},
    {SET, SpvOpMemoryModel, 0, 2, 0, 0, 0, "has an unknown enumerant", true},
    {SET, SpvOpMemoryModel, 0, 2, 3, 0, 0, "needs the capability VulkanMemoryModel", false},
    {SET, SpvOpDecorate, 0, 3, SpvBuiltInSubgroupSize, 0, 0, "", false},
    {SET_ID, SpvOpEntryPoint, 0, 5, 0, SpvOpVariable, 1, "%10 is in the interface twice", false},
    {SET_ID, SpvOpEntryPoint, 0, 5, 0, SpvOpFAdd, 0, "%47 is not a global variable", false},
    {CUT, SpvOpEntryPoint, 0, 0, 7, 0, 0, "is not in the interface of the entry point", false},
    {COPY, SpvOpEntryPoint, 0, 0, 0, SpvOpEntryPoint, 0, "is the second entry point", false},
    {DROP, SpvOpExecutionMode, 0, 0, 0, 0, 0, "spirv: the module has no size of a workgroup", false},
    {SET, SpvOpExecutionMode, 0, 3, 0, 0, 0, "a workgroup has no invocations", true},
    {DROP, SpvOpDecorate, 1, 0, 0, 0, 0, "is not decorated as Block", false},
    {DROP, SpvOpDecorate, 2, 0, 0, 0, 0, "has no ArrayStride", true},
    {DROP, SpvOpMemberDecorate, 1, 0, 0, 0, 0, "has 1 offsets for 2 members", false},
    {SET, SpvOpMemberDecorate, 1, 4, 12, 0, 0, "is not a multiple of 8 bytes", false},
    {SET_ID, SpvOpDecorate, 2, 1, 0, SpvOpTypeArray, 0, "shared memory has no layout", true},
    {CUT, SpvOpLoad, 2, 0, 4, 0, 0, "is not Aligned", false},
    {CUT, SpvOpStore, 1, 0, 3, 0, 0, "is not Aligned", false},
    {SET, SpvOpLoad, 2, 5, 3, 0, 0, "the alignment is not a power of two", true},
    {SET_ID, SpvOpControlBarrier, 0, 1, 0, SpvOpConstant, 1, "the scope is neither the workgroup nor the subgroup",
     false},
    {SET_ID, SpvOpControlBarrier, 0, 1, 0, SpvOpLoad, 0, "the scope is not a constant", false},
    {SET_ID, SpvOpControlBarrier, 0, 2, 0, SpvOpLoad, 0, "the scope of memory is not a constant", false},
    {SET_ID, SpvOpControlBarrier, 0, 3, 0, SpvOpLoad, 0, "the semantics are not a constant", false},
    {SET, SpvOpConstant, 8, 3, 0x100, 0, 0, "the semantics have no order", true},
    {SET, SpvOpConstant, 8, 3, 0x10, 0, 0, "the semantics name no memory", true},
    {SET, SpvOpConstant, 8, 3, 0x10a, 0, 0, "the semantics have several orders", false},
    {SET, SpvOpMemberDecorate, 0, 2, 2, 0, 0, "does not name a member of a structure", false},
    {SET_ID, SpvOpDecorate, 0, 1, 0, SpvOpVariable, 1, "is not about a variable of input", true},
    {SET, SpvOpDecorate, 0, 3, SpvBuiltInWorkgroupId, 0, 0, "is not of three words", false},
    {SET, SpvOpExtInstImport, 0, 2, 0x42424242, 0, 0, "is not a known set", false},
    {SET_ID, SpvOpLoopMerge, 0, 2, 0, SpvOpLabel, 4, "goes on where it ends", false},
    {SET, SpvOpLoopMerge, 0, 3, 3, 0, 0, "is and is not to be unrolled", false},
    {SET_ID, SpvOpControlBarrier, 0, 2, 0, SpvOpConstant, 1, "the scope of memory is not one of shaders", false},
    {SET, SpvOpReturn, 0, 0, 1 << 16 | SpvOpKill, 0, 0, "is for fragments", false},
    /* declarations */
    {SET, SpvOpTypeInt, 1, 2, 32, 0, 0, "is the same type as %2", false},
    {SET, SpvOpTypeInt, 0, 2, 24, 0, 0, "has 24 bits", false},
    {SET, SpvOpTypeInt, 0, 3, 2, 0, 0, "the sign is 2", false},
    {SET, SpvOpTypeFloat, 0, 2, 33, 0, 0, "has 33 bits", false},
    {SET, SpvOpConstant, 0, 3, 0, 0, 0, "the length is not a positive constant", false},
    {SET_ID, SpvOpTypeArray, 0, 2, 0, SpvOpConstant, 0, "the element is not a type of known size", false},
    {SET_ID, SpvOpTypeStruct, 0, 2, 0, SpvOpConstant, 0, "member 0 is not a type of data", false},
    {SET_ID, SpvOpTypePointer, 0, 3, 0, SpvOpConstant, 0, "%7 is defined further down", false},
    {SET_ID, SpvOpTypePointer, 4, 3, 0, SpvOpTypeVoid, 0, "does not point to data", false},
    {SET_ID, SpvOpConstant, 0, 1, 0, SpvOpTypeBool, 0, "its type is not that of a number", false},
    {SET_ID, SpvOpConstant, 1, 1, 0, SpvOpTypeInt, 1, "has the words of another width", false},
    {SET, SpvOpVariable, 0, 3, SpvStorageClassPrivate, 0, 0, "its type is not a pointer of its storage class", false},
    {SET_ID, SpvOpFunction, 0, 1, 0, SpvOpTypeInt, 0, "its type is not that of a function with its result", false},
    {SET_ID, SpvOpTypeFunction, 0, 2, 0, SpvOpTypeInt, 0, "its type is not that of a function with its result", false},
};

/* Two functions. */
static const uint32_t two_words[] = {
    SPV_MAGIC,
    SPV_VERSION_1_5,
    0,
    14,
    0, /* */
    2 << 16 | SpvOpCapability,
    SpvCapabilityShader, /* */
    3 << 16 | SpvOpMemoryModel,
    0,
    1, /* */
    5 << 16 | SpvOpEntryPoint,
    5,
    1,
    0x6e69616d,
    0, /* "main" */
    6 << 16 | SpvOpExecutionMode,
    1,
    17,
    1,
    1,
    1, /* */
    2 << 16 | SpvOpTypeVoid,
    2, /* */
    3 << 16 | SpvOpTypeFunction,
    3,
    2, /* */
    4 << 16 | SpvOpTypeInt,
    4,
    32,
    0, /* */
    4 << 16 | SpvOpTypeFunction,
    5,
    4,
    4, /* */
    4 << 16 | SpvOpConstant,
    4,
    6,
    1, /* */
    5 << 16 | SpvOpFunction,
    2,
    1,
    0,
    3, /* main */
    2 << 16 | SpvOpLabel,
    7, /* */
    5 << 16 | SpvOpFunctionCall,
    4,
    8,
    9,
    6, /* */
    1 << 16 | SpvOpReturn,
    1 << 16 | SpvOpFunctionEnd, /* */
    5 << 16 | SpvOpFunction,
    4,
    9,
    0,
    5, /* the other one */
    3 << 16 | SpvOpFunctionParameter,
    4,
    10, /* */
    2 << 16 | SpvOpLabel,
    11, /* */
    5 << 16 | SpvOpIAdd,
    4,
    12,
    10,
    6, /* */
    2 << 16 | SpvOpBranch,
    13, /* */
    2 << 16 | SpvOpLabel,
    13, /* */
    2 << 16 | SpvOpReturnValue,
    12,
    1 << 16 | SpvOpFunctionEnd, /* */
};

static const mutation two_mutations[] = {
    {SET, SpvOpFunctionCall, 0, 4, 6, 0, 0, "", false},
    {SET, SpvOpFunctionCall, 0, 3, 1, 0, 0, "does not name a function with its result", false},
    {CUT, SpvOpFunctionCall, 0, 0, 4, 0, 0, "has another number of arguments than the function", false},
    {SET, SpvOpFunctionCall, 0, 4, 1, 0, 0, "the type of argument 1 does not fit", false},
    {SET, SpvOpBranch, 0, 1, 7, 0, 0, "%7 is a label of another function", false},
    {SET, SpvOpIAdd, 0, 3, 8, 0, 0, "%8 is defined in another function", false},
    {DROP, SpvOpFunctionParameter, 0, 0, 0, 0, 0, "%10 is not defined", false},
    {COPY, SpvOpFunctionParameter, 0, 0, 0, SpvOpReturnValue, 0, "%10 is defined before, in word 57", false},
    {MOVE, SpvOpFunctionParameter, 0, 0, 0, SpvOpIAdd, 0, "stands behind the first block", false},
    {SET, SpvOpFunctionParameter, 0, 1, 2, 0, 0, "is not what the function's type says", false},
    {CUT, SpvOpTypeFunction, 1, 0, 3, 0, 0, "has another number of arguments than the function", false},
    {SET, SpvOpTypeFunction, 1, 3, 2, 0, 0, "%2 is not a type of data", false},
    {SET, SpvOpReturnValue, 0, 1, 1, 0, 0, "the value is not of the function's type", false},
    {DROP, SpvOpReturnValue, 0, 0, 0, 0, 0, "the block before has not ended", false},
    {SET, SpvOpEntryPoint, 0, 2, 9, 0, 0, "the function has a result or parameters", false},
    {SET, SpvOpTypeInt, 0, 2, 64, 0, 0, "has the words of another width", false},
};

/* Of the sample under the Vulkan memory model. */
static const mutation vulkan_mutations[] = {
    {SET, SpvOpMemoryModel, 0, 2, SpvMemoryModelGLSL450, 0, 0, "needs the memory model Vulkan", false},
    {DROP, SpvOpCapability, 3, 0, 0, 0, 0, "needs the capability VulkanMemoryModel", false},
    {SET, SpvOpConstant, 8, 3, 0x110, 0, 0, "the memory model Vulkan has no sequential consistency", true},
    {SET_ID, SpvOpControlBarrier, 0, 2, 0, SpvOpConstant, 5, "needs the capability VulkanMemoryModelDeviceScope",
     false},
};

/* Of a module with the capability of cooperative matrices. */
static const mutation matrix_mutations[] = {
    {DROP, SpvOpExtension, 0, 0, 0, 0, 0, "needs the extension SPV_KHR_cooperative_matrix", true},
    {SET, SpvOpMemoryModel, 0, 2, SpvMemoryModelGLSL450, 0, 0, "needs the memory model Vulkan", true},
    {SET, SpvOpCapability, 0, 1, SpvCapabilityCooperativeMatrixKHR, 0, 0,
     "spirv: the module needs the capability Shader", true},
};

static const struct table {
  const mutation *rows;
  size_t count;
} tables[] = {
    {mutations, sizeof mutations / sizeof *mutations},
    {two_mutations, sizeof two_mutations / sizeof *two_mutations},
    {vulkan_mutations, sizeof vulkan_mutations / sizeof *vulkan_mutations},
    {matrix_mutations, sizeof matrix_mutations / sizeof *matrix_mutations},
};
enum { TABLES = sizeof tables / sizeof *tables };

static module with_matrices(sn_arena *arena) {
  spv *s = spv_begin(arena, (spv_opt){.vulkan_memory = true});
  spv_capability(s, SpvCapabilityCooperativeMatrixKHR);
  spv_main(s);
  module m = {0};
  assert_int_equal(spv_end(s, 32, NULL, &m.words, &m.count), SN_OK);
  return m;
}

static module good_module(sn_arena *arena, int table) {
  if (table == 3) return with_matrices(arena);
  if (table == 1) return (module){two_words, sizeof two_words / sizeof *two_words};
  return sample(arena, (spv_opt){.int64 = true, .vulkan_memory = table == 2});
}

static void a_broken_rule_is_named(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  for (int t = 0; t < TABLES; t++) {
    const module good = good_module(arena, t);
    assert_string_equal(verdict(arena, good), "");
    for (size_t i = 0; i < tables[t].count; i++) {
      const mutation *x = &tables[t].rows[i];
      const char *said = verdict(arena, mutate(arena, good, x));
      if (strcmp(rule_of(said), x->message)) print_message("table %d, row %zu: %s\n", t, i, said);
      assert_string_equal(rule_of(said), x->message);
    }
  }
  sn_arena_destroy(arena);
}

/* The rules are those of others too. */
static void others_refuse_the_same(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  for (int t = 0; t < TABLES; t++) {
    const module good = good_module(arena, t);
    for (size_t i = 0; i < tables[t].count; i++) {
      const mutation *x = &tables[t].rows[i];
      if (x->is_ours) continue;
      const char *said = validator(arena, mutate(arena, good, x));
      if (!said) {
        sn_arena_destroy(arena);
        print_message("this build has no validator of SPIRV-Tools\n");
        skip();
      }
      if (!*said == !!*x->message)
        fail_msg("table %d, row %zu: \"%s\": the validator says: %s", t, i, x->message, said);
    }
  }
  sn_arena_destroy(arena);
}

static void a_message_shows_the_instruction(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  const module good = sample(arena, (spv_opt){.int64 = true, .names = true});
  const mutation cut = {CUT, SpvOpLoad, 2, 0, 4, 0, 0, NULL, false};
  assert_string_equal(verdict(arena, mutate(arena, good, &cut)),
                      "spirv: word 254: %41 = OpLoad %float %40: is not Aligned");
  sn_arena_destroy(arena);
}

/* ---- any words --------------------------------------------------------------------------------------------------- */

/* Both answer; the answer is a diagnostic or a text. */
static void read_both(sn_arena *arena, const uint32_t *words, size_t count) {
  sn_diags *diags = sn_diags_create();
  sn_text t = sn_text_begin(arena);
  sn_code code = spv_print(&t, words, count, diags);
  assert_true(code == SN_OK || code == SN_ERR_INPUT);
  assert_int_equal(diags->count, code != SN_OK);
  sn_code verified = spv_verify(words, count, arena, diags);
  assert_true(verified == SN_OK || verified == SN_ERR_FAIL);
  assert_int_equal(diags->count, (code != SN_OK) + (verified != SN_OK));
  if (code) assert_int_equal(verified, SN_ERR_FAIL);
  sn_diags_destroy(diags);
}

static void no_word_crashes(void **state) {
  (void)state;
  sn_rng rng = {.seed = 1};
  for (int i = 0; i < 2; i++) {
    sn_arena *keep = sn_arena_create();
    module m = sample(keep, (spv_opt){.vulkan_memory = i, .int64 = !i, .names = i});
    uint32_t *words = sn_arena_copy(keep, m.words, m.count * 4);
    for (size_t at = 0; at < m.count; at++) {
      const uint32_t from = words[at], other = words[sn_rng_u32(&rng) % m.count];
      const uint32_t values[] = {0, UINT32_MAX, from ^ 1, from + 1, from ^ 0x10000, sn_rng_u32(&rng) % 64, other};
      sn_arena *arena = sn_arena_create();
      for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
        words[at] = values[v];
        read_both(arena, words, m.count);
      }
      words[at] = from;
      read_both(arena, words, at); /* and an end at any word */
      sn_arena_destroy(arena);
    }
    sn_arena_destroy(keep);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_modules_pass),      cmocka_unit_test(a_broken_rule_is_named),
      cmocka_unit_test(others_refuse_the_same), cmocka_unit_test(a_message_shows_the_instruction),
      cmocka_unit_test(no_word_crashes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
