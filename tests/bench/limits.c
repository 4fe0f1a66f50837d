/* What this machine does at most: multiply-adds in registers, products of tiles, streams of every mix of reads and
 * writes, out of each cache and out of memory.     cc -O2 -pthread limits.c
 *
 *   limits [quick] THREADS...   all of them for each number of threads, as JSON; quick: few rounds, to try it
 *   limits peak THREADS...      only what needs no memory, in a moment
 *   limits stream READS WRITES BYTES THREADS [in-place]
 *                          for each line on stdin: milliseconds of one pass over BYTES in all, on stdout; the best of a
 *                          few passes, and of two ways to store. in-place: what is written was read
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "peak.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- what the processor has -------------------------------------------------------------------------------------- */

static bool has_avx512, has_avx2, has_amx, has_amx_int8, has_dot;

static void look(void) {
  unsigned a = 0, b = 0, c = 0, d = 0, e = 0;
  has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  __get_cpuid_count(7, 0, &a, &b, &c, &d);
  bool tiles = d >> 24 & 1, bf16 = d >> 22 & 1, int8 = d >> 25 & 1;
  if (__get_cpuid_count(7, 1, &e, &b, &c, &a)) has_dot = has_avx512 && (e >> 5 & 1);
  /* Leave to use tiles is asked for: ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA. */
  bool leave = has_avx512 && tiles && !syscall(SYS_arch_prctl, 0x1023, 18);
  has_amx = leave && bf16, has_amx_int8 = leave && int8;
}

/* ---- a team: every thread does the same at the same time --------------------------------------------------------- */

enum { MOST_THREADS = 256, MOST_STREAMS = 8 };
typedef struct task task;
struct task {
  void (*run)(task *t);
  long n;
  double done; /* operations or bytes */
  char *at[MOST_STREAMS];
  size_t bytes; /* of each stream */
  int reads, writes, way;
};
typedef struct member {
  pthread_t thread;
  task *t;
  double end;
} member;
static atomic_int waiting, gate;

static void give_up(const char *why) {
  fprintf(stderr, "limits: %s\n", why);
  exit(1);
}

static void *enter(void *arg) {
  member *m = arg;
  int turn = atomic_load(&gate);
  atomic_fetch_sub(&waiting, 1);
  while (atomic_load(&gate) == turn) _mm_pause();
  m->t->run(m->t);
  m->end = now();
  return NULL;
}

/* Seconds from the common start to the end of the last. */
static double together(task *t, int threads) {
  static member m[MOST_THREADS];
  atomic_store(&waiting, threads - 1);
  for (int i = 1; i < threads; i++) {
    m[i] = (member){.t = &t[i]};
    if (pthread_create(&m[i].thread, NULL, enter, &m[i])) give_up("no thread");
  }
  while (atomic_load(&waiting) > 0) _mm_pause();
  double start = now();
  atomic_fetch_add(&gate, 1);
  t[0].run(&t[0]);
  double end = now();
  for (int i = 1; i < threads; i++) {
    pthread_join(m[i].thread, NULL);
    if (m[i].end > end) end = m[i].end;
  }
  return end - start;
}

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

static void run_f32(task *t) {
  double (*run)(long) = has_avx512 ? peak_avx512 : has_avx2 ? peak_avx2 : peak_baseline;
  t->done = run(t->n);
}

/* bf16 pairs without tiles: 16 lanes of two multiply-adds. */
static void run_dot(task *t) {
  long n = t->n;
  t->done = (double)n * 24 * 64;
  __asm__ volatile(
      "1:\n.irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23\n"
      "vdpbf16ps %%zmm30,%%zmm31,%%zmm\\r\n.endr\n dec %0\n jnz 1b"
      : "+r"(n)::PEAK_CLOBBERS);
}

/* Tiles of 16 rows of 64 bytes. */
static void tiles_on(void) {
  _Alignas(64) uint8_t config[64] = {1};
  for (int i = 0; i < 8; i++) config[16 + 2 * i] = 64, config[48 + i] = 16;
  __asm__ volatile("ldtilecfg %0" ::"m"(config));
  __asm__ volatile(
      "tilezero %%tmm0\n tilezero %%tmm1\n tilezero %%tmm2\n tilezero %%tmm3\n tilezero %%tmm4\n tilezero %%tmm5\n"
      "tilezero %%tmm6\n tilezero %%tmm7" ::
          :);
}

/* Numbers of bf16 between -1 and 1: products of zeros take less power, and run faster than any real product. */
static void draw(void *p, size_t bytes) {
  uint32_t x = 1;
  for (uint16_t *at = p; bytes >= 2; at++, bytes -= 2) {
    x = x * 1664525u + 1013904223u;
    *at = (uint16_t)(0x3e80u | (x >> 31 << 15) | (x >> 20 & 0xffu));
  }
}

static void run_tiles(task *t) {
  static _Thread_local _Alignas(64) char numbers[4096];
  long n = t->n;
  tiles_on();
  draw(numbers, sizeof numbers);
  __asm__ volatile(
      "tileloadd (%0,%1,1),%%tmm4\n tileloadd 1024(%0,%1,1),%%tmm5\n tileloadd 2048(%0,%1,1),%%tmm6\n"
      "tileloadd 3072(%0,%1,1),%%tmm7" ::"r"(numbers),
      "r"((long)64)
      : "memory");
  t->done = (double)n * 4 * 2 * 16 * 16 * 32;
  __asm__ volatile(
      "1: tdpbf16ps %%tmm6,%%tmm4,%%tmm0\n tdpbf16ps %%tmm7,%%tmm4,%%tmm1\n tdpbf16ps %%tmm6,%%tmm5,%%tmm2\n"
      "tdpbf16ps %%tmm7,%%tmm5,%%tmm3\n dec %0\n jnz 1b"
      : "+r"(n));
  __asm__ volatile("tilerelease");
}

static void run_tiles_int8(task *t) {
  long n = t->n;
  tiles_on();
  t->done = (double)n * 4 * 2 * 16 * 16 * 64;
  __asm__ volatile(
      "1: tdpbusd %%tmm6,%%tmm4,%%tmm0\n tdpbusd %%tmm7,%%tmm4,%%tmm1\n tdpbusd %%tmm6,%%tmm5,%%tmm2\n"
      "tdpbusd %%tmm7,%%tmm5,%%tmm3\n dec %0\n jnz 1b"
      : "+r"(n));
  __asm__ volatile("tilerelease");
}

/* Two by two tiles, all four operands loaded each time: stream 0 holds what both sides read, one after the other. */
static void run_tiles_loaded(task *t) {
  tiles_on();
  long rounds = t->n * 4096 / (long)t->bytes + 1;
  t->done = (double)rounds * (double)(t->bytes / 4096) * 4 * 2 * 16 * 16 * 32;
  for (long r = 0; r < rounds; r++) {
    const char *p = t->at[0];
    long n = (long)(t->bytes / 4096);
    __asm__ volatile(
        "1: tileloadd (%1,%2,1),%%tmm4\n tileloadd 1024(%1,%2,1),%%tmm5\n tileloadd 2048(%1,%2,1),%%tmm6\n"
        "tileloadd 3072(%1,%2,1),%%tmm7\n tdpbf16ps %%tmm6,%%tmm4,%%tmm0\n tdpbf16ps %%tmm7,%%tmm4,%%tmm1\n"
        "tdpbf16ps %%tmm6,%%tmm5,%%tmm2\n tdpbf16ps %%tmm7,%%tmm5,%%tmm3\n add $4096,%1\n dec %0\n jnz 1b"
        : "+r"(n), "+r"(p)
        : "r"((long)64)
        : "memory");
  }
  __asm__ volatile("tilerelease");
}

/* ---- streams ----------------------------------------------------------------------------------------------------- */

enum { PLAIN, PAST_CACHES, IN_PLACE };
enum { BLOCK = 256 }; /* bytes of each stream at a time */
static bool quick, peaks_only;
static volatile float sink, none; /* none: nothing is added, but a compiler cannot know that */

typedef float v16 __attribute__((vector_size(64)));
typedef float v8 __attribute__((vector_size(32)));
typedef float v4 __attribute__((vector_size(16)));

/* pass_TYPE: sums of R streams go to W streams, a block of each at a time; without W they stay in registers. R, W and
 * the way to store are known where it is inlined. */
#define DEFINE_PASS(V, TARGET, STORE_PAST)                                                                      \
  __attribute__((target(TARGET), always_inline)) static inline void pass_##V(task *t, const int r, const int w, \
                                                                             const int way) {                   \
    enum { N = BLOCK / (int)sizeof(V) };                                                                        \
    V keep[N] = {0}, add = (V){0} + none;                                                                       \
    for (size_t o = 0; o < t->bytes; o += BLOCK) {                                                              \
      V sum[N];                                                                                                 \
      _Pragma("GCC unroll 16") for (int j = 0; j < N; j++) sum[j] = ((const V *)(t->at[0] + o))[j] + add;       \
      _Pragma("GCC unroll 8") for (int i = 1; i < r; i++) _Pragma("GCC unroll 16") for (int j = 0; j < N; j++)  \
          sum[j] += ((const V *)(t->at[i] + o))[j];                                                             \
      _Pragma("GCC unroll 8") for (int i = 0; i < w; i++) {                                                     \
        char *to = t->at[way == IN_PLACE ? i : r + i] + o;                                                      \
        _Pragma("GCC unroll 16") for (int j = 0; j < N; j++) if (way == PAST_CACHES) STORE_PAST;                \
        else((V *)to)[j] = sum[j];                                                                              \
      }                                                                                                         \
      _Pragma("GCC unroll 16") for (int j = 0; !w && j < N; j++) keep[j] += sum[j];                             \
    }                                                                                                           \
    if (!w)                                                                                                     \
      for (int j = 0; j < N; j++) sink = keep[j][0];                                                            \
    _mm_sfence();                                                                                               \
  }
DEFINE_PASS(v16, "avx512f", _mm512_stream_ps((float *)to + 16 * j, (__m512)sum[j]))
DEFINE_PASS(v8, "avx2", _mm256_stream_ps((float *)to + 8 * j, (__m256)sum[j]))
DEFINE_PASS(v4, "sse2", _mm_stream_ps((float *)to + 4 * j, (__m128)sum[j]))

/* Mixes that rows of the table have: reads, writes. */
#define MIXES(X) X(1, 0) X(2, 0) X(4, 0) X(1, 1) X(2, 1) X(3, 2) X(4, 3) X(5, 3)

#define CASE(R, W)                       \
  if (t->reads == R && t->writes == W) { \
    if (t->way == PLAIN)                 \
      PASS(t, R, W, PLAIN);              \
    else if (t->way == PAST_CACHES)      \
      PASS(t, R, W, PAST_CACHES);        \
    else                                 \
      PASS(t, R, W, IN_PLACE);           \
  }
#define PASS pass_v16
__attribute__((target("avx512f"))) static void once_avx512(task *t) { MIXES(CASE) }
#undef PASS
#define PASS pass_v8
__attribute__((target("avx2"))) static void once_avx2(task *t) { MIXES(CASE) }
#undef PASS
#define PASS pass_v4
static void once_baseline(task *t) { MIXES(CASE) }

static void run_stream(task *t) {
  for (long i = 0; i < t->n; i++) (has_avx512 ? once_avx512 : has_avx2 ? once_avx2 : once_baseline)(t);
}

static char *memory(size_t bytes) {
  size_t huge = 2 << 20, size = (bytes + huge - 1) / huge * huge;
  char *p = aligned_alloc(huge, size);
  if (!p) give_up("no memory");
  madvise(p, size, MADV_HUGEPAGE);
  memset(p, 0, size);
  return p;
}

/* Streams of all threads take `bytes` together; they lie in `at`, which has room for SLACK more. */
enum { SLACK = 4 << 20 };
static void lay_streams(task *t, int threads, int reads, int writes, size_t bytes, char *at) {
  for (int i = 0; i < threads; i++) {
    t[i] = (task){.run = run_stream, .reads = reads, .writes = writes, .n = 1};
    t[i].bytes = bytes / (size_t)threads / (size_t)(reads + writes) / BLOCK * BLOCK;
    /* Not a power of two apart: streams would fall on the same sets of a cache. */
    for (int j = 0; j < reads + writes; j++) t[i].at[j] = at, at += t[i].bytes + 768;
    at += 4096 - (size_t)at % 4096;
  }
}

/* Seconds of one pass: the best of a few, and of the ways to store. */
static double best_pass(task *t, int threads, int rounds, long passes, bool in_place) {
  static const int ways[] = {PLAIN, PAST_CACHES};
  double best = 1e30;
  for (int round = 0; round < rounds; round++)
    for (int way = 0; way < (t->writes && !in_place ? 2 : 1); way++) {
      for (int i = 0; i < threads; i++) t[i].way = in_place ? IN_PLACE : ways[way], t[i].n = passes;
      double s = together(t, threads) / (double)passes;
      if (s < best) best = s;
    }
  return best;
}

static double moved(const task *t, int threads) { return (double)t->bytes * (t->reads + t->writes) * threads; }

static double stream_rate(int threads, int reads, int writes, size_t bytes, char *at, bool in_place) {
  static task t[MOST_THREADS];
  lay_streams(t, threads, reads, writes, bytes, at);
  long passes = (long)(((size_t)64 << 20) * (size_t)threads / bytes) + 1;
  double best = best_pass(t, threads, quick ? 1 : bytes > (64u << 20) ? 3 : 10, passes, in_place);
  return moved(t, threads) / best * 1e-9;
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

static double arithmetic(void (*run)(task *), long n, int threads, char *at, size_t bytes) {
  static task t[MOST_THREADS];
  double best = 0;
  for (int round = 0; round < (quick ? 2 : peaks_only ? 4 : 12); round++) {
    double done = 0;
    for (int i = 0; i < threads; i++) t[i] = (task){.run = run, .n = n, .at = {at}, .bytes = bytes};
    double s = together(t, threads);
    for (int i = 0; i < threads; i++) done += t[i].done;
    if (done / s > best) best = done / s;
  }
  return best * 1e-9;
}

static size_t cache(int name, size_t otherwise) {
  long n = sysconf(name);
  return n > 0 ? (size_t)n : otherwise;
}

static void streams(const char *name, int threads, size_t bytes, char *at) {
  static const int mix[][3] = {{1, 1}, {2, 1}, {3, 2}, {5, 3, true}};
  double one = stream_rate(threads, 1, 0, bytes, at, false), four = stream_rate(threads, 4, 0, bytes, at, false);
  printf(", \"%s\": {\"bytes\": %zu, \"1r0w\": %.2f", name, bytes, one > four ? one : four);
  for (size_t i = 0; i < sizeof mix / sizeof *mix; i++)
    printf(", \"%dr%dw%s\": %.2f", mix[i][0], mix[i][1], mix[i][2] ? " in place" : "",
           stream_rate(threads, mix[i][0], mix[i][1], bytes, at, mix[i][2]));
  printf("}");
  fflush(stdout);
}

/* The last level is shared, and often larger than what one machine of many on it gets: streams of 24 MB for it, those
 * of memory of a gigabyte. */
static void all(int threads, char *at, size_t room) {
  size_t l2 = cache(_SC_LEVEL2_CACHE_SIZE, 1 << 20), l3 = cache(_SC_LEVEL3_CACHE_SIZE, 32 << 20);
  printf("{\"threads\": %d, \"f32\": %.2f", threads, arithmetic(run_f32, 300000, threads, NULL, 0));
  if (has_dot) printf(", \"bf16_pairs\": %.2f", arithmetic(run_dot, 300000, threads, NULL, 0));
  if (has_amx) {
    printf(", \"bf16_tiles\": %.2f", arithmetic(run_tiles, 300000, threads, NULL, 0));
    draw(at, (size_t)threads * (l2 / 2 / 4096 * 4096));
    printf(", \"bf16_tiles_l2\": %.2f", arithmetic(run_tiles_loaded, 100000, threads, at, l2 / 2 / 4096 * 4096));
  }
  if (has_amx_int8) printf(", \"int8_tiles\": %.2f", arithmetic(run_tiles_int8, 300000, threads, NULL, 0));
  if (!peaks_only) {
    streams("l2", threads, l2 / 2 * (size_t)threads, at);
    streams("l3", threads, (l3 / 4 < (24u << 20) ? l3 / 4 : (24u << 20)) * (size_t)threads, at);
    streams("memory", threads, room, at);
  }
  printf("}");
}

static int serve(int argc, char **argv) {
  int reads = atoi(argv[0]), writes = atoi(argv[1]), threads = atoi(argv[3]);
  size_t bytes = (size_t)atoll(argv[2]);
  static task t[MOST_THREADS];
  bool split = reads == 1 && !writes; /* one stream alone: as four */
  bool in_place = argc > 4 && !strcmp(argv[4], "in-place") && writes <= reads;
  if (threads < 1 || threads > MOST_THREADS || bytes < BLOCK) return 2;
  lay_streams(t, threads, split ? 4 : reads, writes, bytes, memory(bytes + SLACK));
  long passes = (long)((16u << 20) / bytes) + 1;
  best_pass(t, threads, 1, passes, in_place);
  printf("ready\n");
  fflush(stdout);
  for (char line[64]; fgets(line, sizeof line, stdin);) {
    printf("%.6f\n", best_pass(t, threads, 3, passes, in_place) * (double)bytes / moved(t, threads) * 1e3);
    fflush(stdout);
  }
  return 0;
}

int main(int argc, char **argv) {
  look();
  if (argc >= 6 && !strcmp(argv[1], "stream")) return serve(argc - 2, argv + 2);
  quick = argc > 1 && !strcmp(argv[1], "quick");
  peaks_only = argc > 1 && !strcmp(argv[1], "peak");
  size_t room = (size_t)1 << (quick || peaks_only ? 26 : 30);
  char *at = memory(room + SLACK);
  printf("[");
  for (int i = 1 + quick + peaks_only; i < argc; i++) {
    int threads = atoi(argv[i]);
    if (threads < 1 || threads > MOST_THREADS) return 2;
    printf("%s", i > 1 + quick + peaks_only ? ",\n " : "");
    all(threads, at, room);
  }
  printf("]\n");
  return 0;
}
