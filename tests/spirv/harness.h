/* A kernel that uses what the builder has: a loop with a carry, an if, shared memory, a barrier, a shuffle. */
#ifndef SN_TESTS_SPIRV_HARNESS_H
#define SN_TESTS_SPIRV_HARNESS_H

#include "backends/spirv/spv.h"
#include "ir/kernel/kernel.h"
#include "ir/types/target.h"

typedef struct module {
  const uint32_t *words;
  size_t count;
} module;

/* 64 invocations: y[0] = sum of 2 x[i] over i < 256, as far as two invocations see it. */
module sample(sn_arena *arena, spv_opt opt);

/* Fails the test where the text is no kernel. */
sn_kernel *parse_kernel(sn_arena *a, const char *text);

/* Facts of a device as text; fails the test where they are none. */
sn_target target_of(const char *facts);
/* The module of a kernel; fails the test where there is none. */
module emit(sn_arena *a, const sn_target *t, const sn_kernel *k);
/* Instructions of it; those with the word `value` at place `at`. */
int count_opcode(module m, uint32_t opcode);
int count_opcode_with(module m, uint32_t opcode, int at, uint32_t value);

/* What the verifier says: "" or its message. */
const char *verdict(sn_arena *arena, module m);
/* The rule in a message: what stands behind the instruction. */
const char *rule_of(const char *message);

/* What the validator of SPIRV-Tools says: "" or its message. NULL: this build has none. */
const char *validator(sn_arena *arena, module m);

#endif
