/* A kernel that uses what the builder has: a loop with a carry, an if, shared memory, a barrier, a shuffle. */
#ifndef SN_TESTS_SPIRV_HARNESS_H
#define SN_TESTS_SPIRV_HARNESS_H

#include "backends/spirv/spv.h"

typedef struct module {
  const uint32_t *words;
  size_t count;
} module;

/* 64 invocations: y[0] = sum of 2 x[i] over i < 256, as far as two invocations see it. */
module sample(sn_arena *arena, spv_opt opt);

/* What the verifier says: "" or its message. */
const char *verdict(sn_arena *arena, module m);
/* The rule in a message: what stands behind the instruction. */
const char *rule_of(const char *message);

/* What `command` FILE says of the words in that file, first line of stdout and stderr; "" where it says nothing.
 * NULL: there is no such command. Other arguments stand in `command`. */
const char *tool(sn_arena *arena, const char *command, module m);

#endif
