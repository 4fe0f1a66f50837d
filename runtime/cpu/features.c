/* Processor features from cpuid, as far as the operating system saves their registers. */
#include "runtime/cpu/features.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LEAF1_C, LEAF7_B, LEAF7_D, LEAF7_1_A, WORDS };
enum { STATE_AVX = 0x6, STATE_AVX512 = 0xe6, STATE_TILE = 0x60000 };
enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* arch_prctl: ARCH_REQ_XCOMP_PERM */

typedef struct facts {
  uint32_t word[WORDS];
  uint64_t state; /* register files that the system saves: XCR0 */
} facts;

typedef struct row {
  const char *name;
  int word;       /* -1: always there */
  uint32_t bits;  /* all of these */
  uint64_t state; /* and these of XCR0 */
} row;

/* Bits as in the manual's CPUID leaves 1, 7.0, 7.1. */
static const row rows[] = {
    {"baseline", -1, 0, 0},
    {"x86-64", -1, 0, 0},
    {"sse2", -1, 0, 0},
    {"x86-64-v2", LEAF1_C, 1u << 9 | 1u << 19 | 1u << 20 | 1u << 23, 0},
    {"avx", LEAF1_C, 1u << 28, STATE_AVX},
    {"fma", LEAF1_C, 1u << 12, STATE_AVX},
    {"f16c", LEAF1_C, 1u << 29, STATE_AVX},
    {"bmi2", LEAF7_B, 1u << 3 | 1u << 8, 0},
    {"avx2", LEAF7_B, 1u << 5, STATE_AVX},
    {"x86-64-v3", LEAF7_B, 1u << 5 | 1u << 3 | 1u << 8, STATE_AVX},
    {"avx512f", LEAF7_B, 1u << 16, STATE_AVX512},
    {"avx512dq", LEAF7_B, 1u << 17, STATE_AVX512},
    {"avx512cd", LEAF7_B, 1u << 28, STATE_AVX512},
    {"avx512bw", LEAF7_B, 1u << 30, STATE_AVX512},
    {"avx512vl", LEAF7_B, 1u << 31, STATE_AVX512},
    {"avx512", LEAF7_B, 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31, STATE_AVX512},
    {"x86-64-v4", LEAF7_B, 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31, STATE_AVX512},
    {"avx512bf16", LEAF7_1_A, 1u << 5, STATE_AVX512},
    {"amx", LEAF7_D, 1u << 22 | 1u << 24, STATE_TILE},
    {"amx-tile", LEAF7_D, 1u << 24, STATE_TILE},
    {"amx-bf16", LEAF7_D, 1u << 22 | 1u << 24, STATE_TILE},
};

static facts facts_read(void) {
  facts f = {{0}, 0};
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return f;
  f.word[LEAF1_C] = c;
  if (c >> 27 & 1) { /* OSXSAVE: xgetbv may be asked */
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    f.state = (uint64_t)high << 32 | low;
  }
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return f;
  f.word[LEAF7_B] = b, f.word[LEAF7_D] = d;
  if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) f.word[LEAF7_1_A] = a;
  return f;
}

bool sn_cpu_has(const char *feature) {
  facts f = facts_read();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const row *r = &rows[i];
    if (strcmp(r->name, feature)) continue;
    if (r->word >= 0 && (f.word[r->word] & r->bits) != r->bits) return false;
    if ((f.state & r->state) != r->state) return false;
    /* Tiles are large: the system saves them for processes that asked. */
    return r->state != STATE_TILE || syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
  }
  return false;
}
#else
bool sn_cpu_has(const char *feature) { return !strcmp(feature, "baseline"); }
#endif

const char *sn_cpu_missing(sn_arena *arena, const char *features) {
  while (features && *features) {
    size_t count = strcspn(features, " ,");
    if (count) {
      char *name = sn_arena_alloc(arena, count + 1);
      memcpy(name, features, count);
      if (!sn_cpu_has(name)) return name;
    }
    features += count;
    features += strspn(features, " ,");
  }
  return NULL;
}
