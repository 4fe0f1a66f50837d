/* Processor features from cpuid, as far as the operating system saves their registers, without those that
 * SN_CPU_WITHOUT takes away. */
#include "ir/base/cpu.h"

#include <stdint.h>
#include <stdlib.h>
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
  int tier;       /* processors with a feature of a tier have those of the tiers below */
} row;

/* Bits as in the manual's CPUID leaves 1, 7.0, 7.1. */
static const row rows[] = {
    {"baseline", -1, 0, 0, 0},
    {"x86-64", -1, 0, 0, 0},
    {"sse2", -1, 0, 0, 0},
    {"x86-64-v2", LEAF1_C, 1u << 9 | 1u << 19 | 1u << 20 | 1u << 23, 0, 0},
    {"avx", LEAF1_C, 1u << 28, STATE_AVX, 1},
    {"fma", LEAF1_C, 1u << 12, STATE_AVX, 2},
    {"f16c", LEAF1_C, 1u << 29, STATE_AVX, 2},
    {"bmi2", LEAF7_B, 1u << 3 | 1u << 8, 0, 2},
    {"avx2", LEAF7_B, 1u << 5, STATE_AVX, 2},
    {"x86-64-v3", LEAF7_B, 1u << 5 | 1u << 3 | 1u << 8, STATE_AVX, 2},
    {"avx512f", LEAF7_B, 1u << 16, STATE_AVX512, 3},
    {"avx512dq", LEAF7_B, 1u << 17, STATE_AVX512, 3},
    {"avx512cd", LEAF7_B, 1u << 28, STATE_AVX512, 3},
    {"avx512bw", LEAF7_B, 1u << 30, STATE_AVX512, 3},
    {"avx512vl", LEAF7_B, 1u << 31, STATE_AVX512, 3},
    {"avx512", LEAF7_B, 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31, STATE_AVX512, 3},
    {"x86-64-v4", LEAF7_B, 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31, STATE_AVX512, 3},
    {"avx512bf16", LEAF7_1_A, 1u << 5, STATE_AVX512, 4},
    {"amx", LEAF7_D, 1u << 22 | 1u << 24, STATE_TILE, 5},
    {"amx-tile", LEAF7_D, 1u << 24, STATE_TILE, 5},
    {"amx-bf16", LEAF7_D, 1u << 22 | 1u << 24, STATE_TILE, 5},
};

static const row *row_of(const char *name, size_t length) {
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strlen(rows[i].name) == length && !memcmp(rows[i].name, name, length)) return &rows[i];
  return NULL;
}

static bool may_lack(const char *name, size_t length) {
  const row *r = row_of(name, length);
  return r && r->word >= 0;
}

static void forget(facts *f, const char *name, size_t length) {
  const row *without = row_of(name, length);
  for (size_t i = 0; without && i < sizeof rows / sizeof *rows; i++)
    if (rows[i].word >= 0 && (&rows[i] == without || rows[i].tier > without->tier))
      f->word[rows[i].word] &= ~rows[i].bits;
}

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

static bool has(const facts *f, const char *name, size_t length) {
  const row *r = row_of(name, length);
  if (!r || (r->word >= 0 && (f->word[r->word] & r->bits) != r->bits)) return false;
  if ((f->state & r->state) != r->state) return false;
  /* Tiles are large: the system saves them for processes that asked. */
  return r->state != STATE_TILE || syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static void brand(char out[49]) {
  uint32_t word[12] = {0}, most, b, c, d;
  if (__get_cpuid(0x80000000u, &most, &b, &c, &d) && most >= 0x80000004u)
    for (uint32_t i = 0; i < 3; i++)
      __get_cpuid(0x80000002u + i, &word[4 * i], &word[4 * i + 1], &word[4 * i + 2], &word[4 * i + 3]);
  memcpy(out, word, 48);
  out[48] = 0;
}
#else
static void brand(char out[49]) { out[0] = 0; }

typedef struct facts {
  int none;
} facts;

static facts facts_read(void) { return (facts){0}; }

static bool may_lack(const char *name, size_t length) { return (void)name, (void)length, false; }

static void forget(facts *f, const char *name, size_t length) { (void)f, (void)name, (void)length; }

static bool has(const facts *f, const char *name, size_t length) {
  return (void)f, length == 8 && !memcmp(name, "baseline", 8);
}
#endif

void sn_cpu_name(char *out, size_t bytes) {
  char name[49];
  size_t n = 0;
  brand(name);
  for (const char *p = name; *p && n + 1 < bytes; p++)
    if (*p >= ' ' && *p <= '~' && (n || *p != ' ')) out[n++] = *p;
  while (n && out[n - 1] == ' ') n--;
  if (bytes) out[n] = 0;
}

/* The next word of a list; false: it was the last. */
static bool next_word(const char **list, const char **word, size_t *length) {
  *word = *list ? *list + strspn(*list, " ,") : "";
  *length = strcspn(*word, " ,");
  *list = *word + *length;
  return *length > 0;
}

static facts offered(void) {
  facts f = facts_read();
  const char *list = getenv("SN_CPU_WITHOUT"), *word;
  for (size_t length; next_word(&list, &word, &length);) forget(&f, word, length);
  return f;
}

/* The first word that is missing; NULL: none. */
static const char *first_missing(const char *features, size_t *length) {
  const char *word;
  if (!features || !*features) return NULL;
  facts f = offered();
  while (next_word(&features, &word, length))
    if (!has(&f, word, *length)) return word;
  return NULL;
}

bool sn_cpu_offers(const char *features) {
  size_t length;
  return !first_missing(features, &length);
}

bool sn_cpu_has(const char *feature) { return sn_cpu_offers(feature); }

const char *sn_cpu_missing(sn_arena *arena, const char *features) {
  size_t length;
  const char *word = first_missing(features, &length);
  return word ? sn_arena_printf(arena, "%.*s", (int)length, word) : NULL;
}

sn_code sn_cpu_check(sn_diags *diags) {
  const char *list = getenv("SN_CPU_WITHOUT"), *word;
  for (size_t length; next_word(&list, &word, &length);) {
    if (may_lack(word, length)) continue;
    sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "SN_CPU_WITHOUT: no feature %.*s that code needs", (int)length, word);
    sn_fail_expected(diags, "amx, avx512bf16, avx512, avx2, fma or f16c");
    return SN_ERR_USAGE;
  }
  return SN_OK;
}
