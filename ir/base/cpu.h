/* What the host's processor can do, by the names that code blobs use: code generation and the loader of code agree. */
#ifndef SN_IR_BASE_CPU_H
#define SN_IR_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>

#include "ir/base/arena.h"
#include "ir/base/status.h"

/* Does the host (processor and kernel) offer a feature: baseline x86-64 x86-64-v2 x86-64-v3 x86-64-v4 avx avx2 fma f16c
 * avx512 avx512f avx512bw avx512dq avx512vl avx512bf16
 * amx amx-tile amx-bf16? Unknown names: false. */
bool sn_cpu_has(const char *feature);
/* The first of a list separated by blanks or commas that the host lacks; NULL when it has all. owns: arena. */
const char *sn_cpu_missing(sn_arena *arena, const char *features);
/* Has it all of such a list? */
bool sn_cpu_offers(const char *features);
/* Its name as the processor tells it, without what could not stand in a line of text; "" where it has none. */
void sn_cpu_name(char *out, size_t bytes);
/* The environment may take features away, for tests: SN_CPU_WITHOUT=avx512 takes also those that only processors with
 * AVX-512 have.   errors: SN_ERR_USAGE it names what no code asks for: a test would try nothing */
SN_MUST sn_code sn_cpu_check(sn_diags *diags);

#endif
