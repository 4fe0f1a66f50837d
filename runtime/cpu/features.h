/* What the host's processor can do, by the names that code blobs use. */
#ifndef SN_RUNTIME_CPU_FEATURES_H
#define SN_RUNTIME_CPU_FEATURES_H

#include <stdbool.h>

#include "ir/base/status.h"

/* Lists are separated by blanks or commas. The environment may take features away, for tests: SN_CPU_WITHOUT=avx512
 * takes also those that only processors with AVX-512 have. */

/* Does the host (processor and kernel) offer all features of a list: baseline x86-64 x86-64-v2 x86-64-v3 x86-64-v4 avx
 * avx2 fma f16c avx512 avx512f avx512bw avx512dq avx512vl avx512bf16 amx? Unknown names: false. */
bool sn_cpu_offers(const char *features);
/* The first of a list that the host lacks; NULL when it has all. owns: arena. */
const char *sn_cpu_missing(sn_arena *arena, const char *features);
/* errors: SN_ERR_USAGE SN_CPU_WITHOUT names what no code asks for: a test would try nothing */
SN_MUST sn_code sn_cpu_check(sn_diags *diags);

#endif
