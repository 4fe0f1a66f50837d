/* What the host's processor can do, by the names that code blobs use. */
#ifndef SN_RUNTIME_CPU_FEATURES_H
#define SN_RUNTIME_CPU_FEATURES_H

#include <stdbool.h>

#include "ir/base/arena.h"

/* Does the host (processor and kernel) offer a feature: baseline x86-64 x86-64-v2 x86-64-v3 x86-64-v4 avx avx2 fma f16c
 * avx512 avx512f avx512bw avx512dq avx512vl avx512bf16 amx? Unknown names: false. */
bool sn_cpu_has(const char *feature);
/* The first of a list separated by blanks or commas that the host lacks; NULL when it has all. owns: arena. */
const char *sn_cpu_missing(sn_arena *arena, const char *features);

#endif
