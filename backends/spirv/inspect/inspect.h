/* Looks at every SPIR-V module that is made: our verifier, and the validator of SPIRV-Tools where this build has it.
 * Linked, whole, into tests, debug builds and what fuzzes; the compiler does without. */
#ifndef SN_BACKENDS_SPIRV_INSPECT_INSPECT_H
#define SN_BACKENDS_SPIRV_INSPECT_INSPECT_H

#include <stddef.h>
#include <stdint.h>

#include "ir/base/status.h"

typedef enum sn_spirv_judge {
  SN_SPIRV_ABSENT,  /* this build has no validator */
  SN_SPIRV_UNKNOWN, /* the module declares a capability that this version does not know */
  SN_SPIRV_VALID,
  SN_SPIRV_INVALID,
} sn_spirv_judge;

/* What the validator says of a module for Vulkan 1.2 with scalar block layout. why: "" or its message. owns: arena */
sn_spirv_judge sn_spirv_validate(const uint32_t *words, size_t count, sn_arena *arena, const char **why);

/* How a judgement is called: "absent", "unknown", "valid", "invalid". */
const char *sn_spirv_judge_name(sn_spirv_judge judge);

#endif
