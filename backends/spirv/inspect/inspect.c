/* See inspect.h. The only file that knows SPIRV-Tools. */
#include "backends/spirv/inspect/inspect.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/spirv/spirv_backend.h"
#include "backends/spirv/spv.h"

const char *sn_spirv_judge_name(sn_spirv_judge judge) {
  static const char *const names[] = {"absent", "unknown", "valid", "invalid"};
  return names[judge];
}

/* ---- SPIRV-Tools ------------------------------------------------------------------------------------------------- */

#if SN_HAVE_SPIRV_TOOLS
#include <spirv-tools/libspirv.h>

/* The header and what stands behind it as long as it declares capabilities. */
static bool knows_capabilities(spv_const_context tools, const uint32_t *words, size_t count) {
  enum { HEADER = 5, DECLARE = 2 << 16 | 17 };
  size_t n = HEADER;
  spv_diagnostic d = NULL;
  while (n + 1 < count && words[n] == DECLARE) n += 2;
  spv_result_t r = spvBinaryParse(tools, NULL, words, n < count ? n : count, NULL, NULL, &d);
  spvDiagnosticDestroy(d);
  return r == SPV_SUCCESS;
}

static sn_spirv_judge judge(spv_const_context tools, spv_const_validator_options options, const uint32_t *words,
                            size_t count, sn_arena *arena, const char **why) {
  spv_const_binary_t module = {words, count};
  spv_diagnostic d = NULL;
  if (count > 5 && !knows_capabilities(tools, words, count)) return SN_SPIRV_UNKNOWN;
  spv_result_t r = spvValidateWithOptions(tools, options, &module, &d);
  if (r != SPV_SUCCESS) *why = sn_arena_strdup(arena, d && d->error ? d->error : "no reason is given");
  spvDiagnosticDestroy(d);
  return r == SPV_SUCCESS ? SN_SPIRV_VALID : SN_SPIRV_INVALID;
}

sn_spirv_judge sn_spirv_validate(const uint32_t *words, size_t count, sn_arena *arena, const char **why) {
  sn_spirv_judge found = SN_SPIRV_ABSENT;
  spv_context tools = spvContextCreate(SPV_ENV_VULKAN_1_2);
  spv_validator_options options = spvValidatorOptionsCreate();
  *why = "";
  if (tools && options) {
    spvValidatorOptionsSetScalarBlockLayout(options, true);
    found = judge(tools, options, words, count, arena, why);
  }
  spvValidatorOptionsDestroy(options);
  if (tools) spvContextDestroy(tools);
  return found;
}
#else
sn_spirv_judge sn_spirv_validate(const uint32_t *words, size_t count, sn_arena *arena, const char **why) {
  (void)words, (void)count, (void)arena;
  *why = "";
  return SN_SPIRV_ABSENT;
}
#endif

/* ---- every module ------------------------------------------------------------------------------------------------ */

static bool has_matrices(const uint32_t *words, size_t count) {
  for (size_t i = 5; i + 1 < count && (words[i] & 0xffff) == SpvOpCapability; i += 2)
    if (words[i + 1] == SpvCapabilityCooperativeMatrixKHR) return true;
  return false;
}

/* One line for each module: its hash, its words, what the validator said, "matrices" if it has them. Processes append
 * to the same file. */
static sn_code record(const uint32_t *words, size_t count, sn_spirv_judge judge, sn_diags *diags) {
  const char *path = getenv("SN_SPIRV_MODULES");
  char line[80];
  if (!path || !*path) return SN_OK;
  unsigned long long hash = sn_hash_bytes(words, count * sizeof *words, 0);
  int n = snprintf(line, sizeof line, "%016llx %zu %s%s\n", hash, count, sn_spirv_judge_name(judge),
                   has_matrices(words, count) ? " matrices" : "");
  int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  bool written = file >= 0 && write(file, line, (size_t)n) == n;
  if (file >= 0) close(file);
  return written ? SN_OK : sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "SN_SPIRV_MODULES: cannot write to %s", path);
}

sn_code sn_spirv_inspect(const uint32_t *words, size_t count, sn_arena *arena, sn_diags *diags) {
  const char *why;
  SN_TRY(spv_verify(words, count, arena, diags));
  sn_spirv_judge found = sn_spirv_validate(words, count, arena, &why);
  SN_TRY(record(words, count, found, diags));
  if (found != SN_SPIRV_INVALID) return SN_OK;
  return sn_fail(diags, SN_ERR_FAIL, (sn_loc){0}, "the module is not valid SPIR-V: %s", why);
}
