/* Linked into unit tests when fuzz targets are built: what a test gives to a parser becomes a seed, one file each in
 * $SN_SEEDS/fuzz_<target>, named by its hash. The linker puts these functions in place of the parsers (--wrap). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ir/base/str.h"

#ifdef SAVE_KERNEL
#include "ir/kernel/kernel.h"
#endif
#ifdef SAVE_GRAPH
#include "ir/graph/text.h"
#endif
#ifdef SAVE_SPIRV
#include "backends/spirv/spv.h"
#endif
#ifdef SAVE_LEX
#include "ir/base/lex.h"
#endif
#ifdef SAVE_PLAN
#include "ir/plan/binary.h"
#include "ir/plan/plan.h"
#endif

enum { BYTES_MAX = 1 << 16, SITES_MAX = 64, SITE_MAX = 200 };

/* Tests that try thousands of random texts at one place in their code give the first of them. */
static bool enough(const void *site) {
  static struct {
    const void *site;
    int count;
  } seen[SITES_MAX];
  int i = 0;
  while (i < SITES_MAX && seen[i].site && seen[i].site != site) i++;
  if (i == SITES_MAX) return true;
  seen[i].site = site;
  return ++seen[i].count > SITE_MAX;
}

static void save(const void *site, const char *target, const void *data, size_t bytes) {
  const char *folder = getenv("SN_SEEDS");
  char path[4096];
  if (!folder || bytes > BYTES_MAX || enough(site)) return;
  snprintf(path, sizeof path, "%s/fuzz_%s/%016" PRIx64, folder, target, sn_hash_bytes(data, bytes, 1));
  FILE *f = fopen(path, "wb");
  if (!f) exit(1);
  if (bytes && fwrite(data, 1, bytes, f) != bytes) exit(1);
  if (fclose(f)) exit(1);
}

/* A reader (arena, diags, file, data, bytes, results...) that saves what it is given. */
#define SAVE(reader, target, type, skip, results, names)                                                             \
  sn_code __real_##reader(sn_arena *, sn_diags *, const char *, const type *, size_t, SN_UNPACK results);            \
  sn_code __wrap_##reader(sn_arena *, sn_diags *, const char *, const type *, size_t, SN_UNPACK results);            \
  sn_code __wrap_##reader(sn_arena *a, sn_diags *d, const char *file, const type *at, size_t n, SN_UNPACK results) { \
    if (n >= (skip)) save(__builtin_return_address(0), target, (const char *)at + (skip), n - (skip));               \
    return __real_##reader(a, d, file, at, n, SN_UNPACK names);                                                      \
  }
#define SN_UNPACK(...) __VA_ARGS__

#ifdef SAVE_KERNEL
SAVE(sn_kernel_parse, "kernel_text", char, 0, (sn_kernel * *k), (k))
SAVE(sn_kernel_parse_all, "kernel_text", char, 0, (int *count, sn_kernel ***list), (count, list))
#endif
#ifdef SAVE_GRAPH
SAVE(sn_module_parse, "graph_text", char, 0, (sn_module * *m), (m))
#endif
#ifdef SAVE_PLAN
SAVE(sn_plan_parse, "plan", char, 0, (sn_plan * *p), (p))
SAVE(sn_plan_read, "plan", void, SN_PLAN_HEADER_BYTES, (sn_plan * *p), (p))
#endif
#ifdef SAVE_LEX
void __real_sn_lex_begin(sn_lexer *, sn_arena *, sn_diags *, const char *, const char *, size_t);
void __wrap_sn_lex_begin(sn_lexer *, sn_arena *, sn_diags *, const char *, const char *, size_t);
void __wrap_sn_lex_begin(sn_lexer *x, sn_arena *a, sn_diags *d, const char *file, const char *text, size_t n) {
  save(__builtin_return_address(0), "lex_types", text, n);
  __real_sn_lex_begin(x, a, d, file, text, n);
}
#endif
#ifdef SAVE_SPIRV
sn_code __real_spv_print(sn_text *, const uint32_t *, size_t, sn_diags *);
sn_code __wrap_spv_print(sn_text *, const uint32_t *, size_t, sn_diags *);
sn_code __wrap_spv_print(sn_text *t, const uint32_t *words, size_t n, sn_diags *d) {
  save(__builtin_return_address(0), "spirv", words, 4 * n);
  return __real_spv_print(t, words, n, d);
}
sn_code __real_spv_verify(const uint32_t *, size_t, sn_arena *, sn_diags *);
sn_code __wrap_spv_verify(const uint32_t *, size_t, sn_arena *, sn_diags *);
sn_code __wrap_spv_verify(const uint32_t *words, size_t n, sn_arena *a, sn_diags *d) {
  save(__builtin_return_address(0), "spirv", words, 4 * n);
  return __real_spv_verify(words, n, a, d);
}
#endif
