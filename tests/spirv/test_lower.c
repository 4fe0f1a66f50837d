/* Tile programs as modules for devices that are only described: valid, the same bytes every time, refused with a reason
 * where the device cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/spirv/inspect/inspect.h"
#include "backends/spirv/spirv_backend.h"
#include "ir/ref/krandom.h"
#include "passes/kernel/kernel_passes.h"
#include "tests/spirv/harness.h"

enum { PROGRAMS = 40 };

/* Without anything, as a small device has it, as a large one has it. */
static const char *const tiers[] = {"shared=16384,threads=128",
                                    "shared=256,threads=256,f64,16",
                                    "subgroup=8,shared=32768,threads=1024,no_int64,f64,16,8,nan",
                                    "subgroup=8,shared=32768,threads=1024,f64,16,8,nan",
                                    "subgroup=32,shared=49152,threads=1024,f64,16,8,nan",
                                    "subgroup=16,shared=49152,threads=1024,f64,16,8,nan,nan64,idle,f16=8x8x8,bf16=8x8x8,i8=8x8x8"};

static sn_target target_of(const char *facts) {
  sn_gpu gpu;
  assert_int_equal(sn_gpu_read(facts, NULL, &gpu), SN_OK);
  return sn_target_vulkan(&gpu);
}

static sn_kernel *program(sn_arena *a, uint64_t seed) {
  sn_krandom_case c = {.avoid = SN_KRANDOM_NO_VNNI | (seed % 2 ? 0 : SN_KRANDOM_NO_MATH)};
  sn_kernel *k = sn_krandom(a, seed, &c);
  if (seed % 2 == 0) return k;
  return sn_kernel_finish(a, sn_kernel_simplify(a, sn_kernel_expand_math(a, sn_kernel_simplify(a, k))));
}

static module emit(sn_arena *a, const sn_target *t, const sn_kernel *k) {
  sn_diags *d = sn_diags_create();
  sn_code_blob b;
  if (sn_backend_spirv()->emit(t, k, a, d, &b)) fail_msg("%s", sn_diags_print(d, a));
  sn_diags_destroy(d);
  return (module){(const uint32_t *)(const void *)b.bytes, (size_t)b.byte_count / 4};
}

static int count(module m, uint32_t opcode) {
  int n = 0;
  for (size_t i = 5; i < m.count; i += m.words[i] >> 16) n += (m.words[i] & 0xffff) == opcode;
  return n;
}

/* Instructions `opcode` with the word `value` at place `at`. */
static int count_with(module m, uint32_t opcode, int at, uint32_t value) {
  int n = 0;
  for (size_t i = 5; i < m.count; i += m.words[i] >> 16)
    n += (m.words[i] & 0xffff) == opcode && (uint32_t)at < m.words[i] >> 16 && m.words[i + (size_t)at] == value;
  return n;
}

static void programs_are_valid(void **state) {
  (void)state;
  int refused = 0, judged[SN_SPIRV_INVALID + 1] = {0};
  for (size_t i = 0; i < sizeof tiers / sizeof *tiers; i++) {
    sn_target t = target_of(tiers[i]);
    for (uint64_t seed = 1; seed <= PROGRAMS; seed++) {
      sn_arena *a = sn_arena_create();
      sn_kernel *k = program(a, seed);
      const char *why = NULL;
      if (!sn_backend_spirv()->supports(&t, k, a, &why)) {
        assert_non_null(strstr(why, "no f64"));
        refused++;
      } else {
        module m = emit(a, &t, k), again = emit(a, &t, k);
        assert_int_equal(m.count, again.count);
        assert_memory_equal(m.words, again.words, m.count * 4);
        assert_string_equal(verdict(a, m), "");
        assert_int_equal(count_with(m, SpvOpCapability, 1, SpvCapabilityInt64), !t.gpu.no_int64);
        bool matrices = strstr(tiers[i], "f16=") != NULL; /* older validators do not know them */
        const char *said;
        sn_spirv_judge judge = sn_spirv_validate(m.words, m.count, a, &said);
        judged[judge]++;
        if (*said) fail_msg("seed %llu on %s: %s", (unsigned long long)seed, tiers[i], said);
        if (!matrices) assert_int_not_equal(judge, SN_SPIRV_UNKNOWN);
      }
      sn_arena_destroy(a);
    }
  }
  assert_in_range(refused, 0, PROGRAMS);
  printf(
      "SPIRV-Tools: %d modules valid, %d with capabilities that this version does not know, %d without a validator\n",
      judged[SN_SPIRV_VALID], judged[SN_SPIRV_UNKNOWN], judged[SN_SPIRV_ABSENT]);
}

/* What every module that is made leaves in a file that is named. */
static void modules_are_recorded(void **state) {
  (void)state;
  char path[] = "/tmp/modules-XXXXXX", line[256] = "", rest[256] = "";
  int file = mkstemp(path);
  assert_true(file >= 0);
  sn_arena *a = sn_arena_create();
  sn_target t = target_of(tiers[2]);
  setenv("SN_SPIRV_MODULES", path, 1);
  module m = emit(a, &t, program(a, 3));
  setenv("SN_SPIRV_MODULES", "/nowhere/modules", 1);
  sn_code_blob b;
  assert_int_not_equal(sn_backend_spirv()->emit(&t, program(a, 3), a, NULL, &b), SN_OK);
  unsetenv("SN_SPIRV_MODULES");
  emit(a, &t, program(a, 4));
  const char *why;
  const char *judge = sn_spirv_judge_name(sn_spirv_validate(m.words, m.count, a, &why));
  FILE *f = fdopen(file, "r");
  assert_non_null(fgets(line, sizeof line, f));
  assert_string_equal(
      line, sn_arena_printf(a, "%016llx %zu %s\n", (unsigned long long)sn_hash_bytes(m.words, m.count * 4, 0), m.count,
                            judge));
  assert_null(fgets(rest, sizeof rest, f));
  fclose(f);
  unlink(path);
  sn_arena_destroy(a);
}

static void refuses(const char *facts, const char *text, const char *reason) {
  sn_arena *a = sn_arena_create();
  sn_target t = target_of(facts);
  const char *why = NULL;
  if (sn_backend_spirv()->supports(&t, parse_kernel(a, text), a, &why)) fail_msg("not refused:\n%s", text);
  if (!strstr(why, reason)) fail_msg("\"%s\" lacks \"%s\"", why, reason);
  sn_arena_destroy(a);
}

static void what_a_device_cannot_is_known_before(void **state) {
  (void)state;
  refuses("16",
          "kernel k(x: in f64, y: out f64) grid(1) {\n  %1 = load x[0 : 0, 1] : f64[1,4]\n  store y[0 : 0, 1], %1\n}\n",
          "the device has no f64");
  refuses("16",
          "kernel k(x: in bf16, y: out f32) grid(1) {\n  %1 = load x[0 : 8, 1] : bf16[4,8]\n"
          "  %2 = load x[0 : 8, 1] : bf16[4,8]\n  %3 = mma 0, %1, %2 vnni : f32[4,4]\n  store y[0 : 4, 1], %3\n}\n",
          "pairs of rows");
  refuses("threads=128",
          "kernel k(x: in f32, y: out f32) grid(1) {\n  %1 = load x[0 : 0, 1] : f32[1,16]\n  %2 = exp %1 : "
          "f32[1,16]\n"
          "  store y[0 : 0, 1], %2\n}\n",
          "elementary");
  refuses(
      "threads=128",
      "kernel k(x: in f32, y: out f32) grid(1) {\n  %1 = load x[0 : 0, 1] : f32[1,16384]\n  store y[0 : 0, 1], %1\n}\n",
      "too large for the registers");
}

/* Tiles of other shapes than the largest decide with it. */
static void long_columns_fit(void **state) {
  (void)state;
  static const char text[] =
      "kernel k(x: in f32, y: out f32) grid(1) {\n  %1 = load x[0 : 1, 1] : f32[204,1]\n  store y[0 : 1, 1], %1\n"
      "  %2 = load x[0 : 0, 1] : f32[1,1024]\n  store y[0 : 0, 1], %2\n}\n";
  for (size_t i = 0; i < sizeof tiers / sizeof *tiers; i++) {
    sn_arena *a = sn_arena_create();
    sn_target t = target_of(tiers[i]);
    const char *why = "";
    if (!sn_backend_spirv()->supports(&t, parse_kernel(a, text), a, &why)) fail_msg("%s: %s", tiers[i], why);
    sn_arena_destroy(a);
  }
}

/* Scratch without end is refused before it is placed. */
static void scratch_is_counted(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  for (int many = 0; many < 2; many++) {
    int count = many ? 3000 : 100;
    sn_text t = sn_text_begin(a);
    sn_text_add(&t, "kernel k(x: in i32, y: out i32) grid(1) {\n  %%0 = load x[0 : 0, 1] : i32[1,4]\n");
    for (int i = 1; i <= count; i++) sn_text_add(&t, "  %%l%d = local i32 x 4\n  store %%l%d[0 : 0, 1], %%0\n", i, i);
    for (int i = 1; i <= count; i++)
      sn_text_add(&t, "  %%v%d = load %%l%d[0 : 0, 1] : i32[1,4]\n  store y[%d : 0, 1], %%v%d\n", i, i, 4 * i, i);
    sn_text_add(&t, "}\n");
    sn_target target = target_of("threads=128");
    const char *why = NULL;
    assert_int_equal(sn_backend_spirv()->supports(&target, parse_kernel(a, t.at), a, &why), !many);
    if (many) assert_non_null(strstr(why, "more pieces of scratch"));
  }
  sn_arena_destroy(a);
}

/* Sizes that no workgroup of this layout can have. */
static void odd_devices_are_refused(void **state) {
  (void)state;
  static const char text[] =
      "kernel k(x: in f32, y: out f32) grid(1) {\n  %1 = load x[0 : 64, 1] : f32[8,64]\n  store y[0 : 64, 1], %1\n}\n";
  refuses("threads=16", text, "powers of two");
  refuses("subgroup=24", text, "powers of two");
  refuses("subgroup=64,threads=32", text, "powers of two");
  sn_arena *a = sn_arena_create();
  sn_target t = target_of("threads=100");
  (void)emit(a, &t, parse_kernel(a, text));
  sn_arena_destroy(a);
}

static void facts_are_read_and_printed(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof tiers / sizeof *tiers; i++) {
    sn_target t = target_of(tiers[i]);
    sn_gpu again;
    assert_int_equal(sn_gpu_read(t.features, NULL, &again), SN_OK);
    assert_memory_equal(&t.gpu, &again, sizeof again);
  }
  sn_gpu gpu;
  static const char *const wrong[] = {
      "warp=32", "shared",      "shared=",   "shared=x",   "16,,8", "shared=-1", "subgroup=99999999999",
      "f16=8x8", "f16=8x8x8x8", "f16=0x8x8", "bf16=12x8x8"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_int_equal(sn_gpu_read(wrong[i], NULL, &gpu), SN_ERR_USAGE);
}

/* What does not fit shared memory lies in the workspace; what the device must have is written down. */
static void scratch_goes_where_it_fits(void **state) {
  (void)state;
  static const char text[] =
      "kernel k(x: in f32, y: out f32) grid(4) {\n  %1 = load x[g0*1024 : 32, 1] : f32[32,32]\n"
      "  %2 = trans %1 : f32[32,32]\n  store y[g0*1024 : 32, 1], %2\n}\n";
  sn_arena *a = sn_arena_create();
  sn_code_blob small, large;
  sn_target t = target_of("shared=256"), u = target_of("subgroup=32,shared=16384,16");
  assert_int_equal(sn_backend_spirv()->emit(&t, parse_kernel(a, text), a, NULL, &small), SN_OK);
  assert_int_equal(sn_backend_spirv()->emit(&u, parse_kernel(a, text), a, NULL, &large), SN_OK);
  assert_int_equal(small.workspace_bytes, 32 * 33 * 4);
  assert_non_null(strstr(small.features, "shared=0 "));
  assert_int_equal(large.workspace_bytes, 0);
  assert_non_null(strstr(large.features, "shared=4224 "));
  assert_non_null(strstr(large.features, "subgroup=32 "));
  assert_non_null(strstr(large.features, "storage16"));
  sn_arena_destroy(a);
}

/* The first word of the next instruction of one of two kinds from `at` on; m.count: there is none. */
static size_t next_of(module m, size_t at, uint32_t a, uint32_t b) {
  while (at < m.count && (m.words[at] & 0xffff) != a && (m.words[at] & 0xffff) != b) at += m.words[at] >> 16;
  return at;
}

/* A product reads a staged factor and one that is walked; what is staged next takes the place of the first. Drivers
 * that run subgroups in step hide a missing barrier, so the module is looked at. */
static void what_is_read_is_not_overwritten(void **state) {
  (void)state;
  static const char text[] =
      "kernel k(x: in i8, w: in i8, v: in i8, y: out i32) grid(1) {\n  %1 = load x[0 : 96, 1] : i8[32,96]\n"
      "  %2 = load w[0 : 64, 1] : i8[96,64]\n  %3 = mma 0, %1, %2 : i32[32,64]\n  %4 = cast %3 : i8[32,64]\n"
      "  %5 = load v[0 : 32, 1] : i8[64,32]\n  %6 = mma 0, %4, %5 : i32[32,32]\n  store y[0 : 32, 1], %6\n}\n";
  sn_arena *a = sn_arena_create();
  sn_target t = target_of("subgroup=8,shared=32768,threads=1024,16,8,nan");
  module m = emit(a, &t, parse_kernel(a, text));
  size_t at = 5;
  for (int loop = 0; loop < 2; loop++) { /* over steps of k, and in one */
    at = next_of(m, at, SpvOpLoopMerge, SpvOpLoopMerge);
    assert_true(at < m.count);
    at += m.words[at] >> 16;
  }
  at = next_of(m, at, SpvOpControlBarrier, SpvOpStore);
  assert_int_equal(m.words[at] & 0xffff, SpvOpControlBarrier);
  sn_arena_destroy(a);
}

/* A kernel whose only store is in a loop: how it steps. */
static module store_in_loop(sn_arena *a, const char *tile, const char *window, const char *loop) {
  sn_target t = target_of("shared=16384,threads=128");
  const char *text =
      sn_arena_printf(a,
                      "kernel k(x: in i32, y: out i32, n: size 1..100000 step 8) grid(1) {\n"
                      "  %%1 = load x[0 : 64, 1] : i32%s\n"
                      "  for i1 = 0 to 8 step 1 {\n    for i2 = %s {\n      store y[%s], %%1\n    }\n  }\n"
                      "}\n",
                      tile, loop, window);
  return emit(a, &t, parse_kernel(a, text));
}

/* Where windows of two rounds share elements, these pass from one invocation to another: with a barrier and coherent.
 */
static void rounds_that_meet_are_ordered(void **state) {
  (void)state;
  static const struct {
    const char *tile, *window, *loop;
    bool meet;
  } cases[] = {
      {"[4,64]", "0 : 64, 1", "0 to 4 step 1", false}, /* always the same hands */
      {"[4,64]", "i2 : 64, 1", "0 to 4 step 1", true},
      {"[4,64]", "i2*256 : 64, 1", "0 to n step 1", false},
      {"[4,64]", "i2*255 : 64, 1", "0 to n step 1", true},
      {"[4,64]", "256 - i2*32 : 64, 1", "0 to 9 step 8", false},
      {"[4,64]", "i2*64 : 512, 1", "0 to 8 step 1", false}, /* side by side in longer rows */
      {"[4,64]", "i2*64 : 512, 1", "0 to 9 step 1", true},
      {"[4,64]", "i2*64 : n, 1", "0 to 8 step 1", true}, /* rows may be shorter */
      {"[4,64]", "i1*2048 + i2*256 : 64, 1", "0 to 8 step 1", false},
      {"[4,64]", "i1*2048 + i2*256 : 64, 1", "0 to 9 step 1", true},
      {"[4,64]", "i1*2048 + i2*64 : 512, 1", "0 to 8 step 1", false},
      {"[1,1]", "i1 + i2 : 0, 1", "0 to 4 step 1", true},
      {"[1,1]", "i1 + i2*8 : 0, 1", "0 to 4 step 1", true},
      {"[1,1]", "i1*4 + i2 : 0, 1", "0 to 4 step 1", false},
      {"[1,1]", "i1*n + i2 : 0, 1", "0 to 4 step 1", true}, /* not known */
      {"[1,64]", "i2 : 0, 1", "i1 to 64 step 64", true},    /* the rounds of the outer loop begin elsewhere */
      {"[1,1]", "i2 % 4 : 0, 1", "0 to 8 step 1", true},
      {"[1,1]", "0 : 0, 1", "i1 to n step 1", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    sn_arena *a = sn_arena_create();
    module m = store_in_loop(a, cases[i].tile, cases[i].window, cases[i].loop);
    if ((count(m, SpvOpControlBarrier) > 0) != cases[i].meet)
      fail_msg("y[%s] of %s in %s: %d barriers", cases[i].window, cases[i].tile, cases[i].loop,
               count(m, SpvOpControlBarrier));
    assert_int_equal(count_with(m, SpvOpMemberDecorate, 3, SpvDecorationCoherent), cases[i].meet);
    assert_string_equal(verdict(a, m), "");
    sn_arena_destroy(a);
  }
}

/* Scratch that does not fit shared memory is coherent. */
static void the_workspace_is_coherent(void **state) {
  (void)state;
  static const char text[] =
      "kernel k(x: in i32, y: out i32) grid(2) {\n  %1 = load x[g0*1024 : 32, 1] : i32[32,32]\n"
      "  %2 = trans %1 : i32[32,32]\n  store y[g0*1024 : 32, 1], %2\n}\n";
  sn_arena *a = sn_arena_create();
  sn_target small = target_of("shared=256"), large = target_of("shared=16384");
  module m = emit(a, &small, parse_kernel(a, text));
  assert_int_equal(count_with(m, SpvOpMemberDecorate, 3, SpvDecorationCoherent), 1);
  assert_string_equal(verdict(a, m), "");
  assert_int_equal(count_with(emit(a, &large, parse_kernel(a, text)), SpvOpMemberDecorate, 3, SpvDecorationCoherent),
                   0);
  sn_arena_destroy(a);
}

/* NaN of f64 is asked for where f64 is computed with, and the device has it. */
static void nan_is_kept_by_width(void **state) {
  (void)state;
  static const char format[] =
      "kernel k(x: in %s, y: out %s) grid(1) {\n  %%1 = load x[0 : 0, 1] : %s[1,64]\n"
      "  %%2 = max %%1, 0 : %s[1,64]\n  store y[0 : 0, 1], %%2\n}\n";
  static const struct {
    const char *type, *facts;
    int modes32, modes64;
  } cases[] = {
      {"f32", "f64,nan", 1, 0},       {"f32", "f64,nan,nan64", 1, 0}, {"f64", "f64,nan", 1, 0},
      {"f64", "f64,nan,nan64", 1, 1}, {"f64", "f64,nan64", 0, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    sn_arena *a = sn_arena_create();
    const char *e = cases[i].type;
    sn_target t = target_of(cases[i].facts);
    sn_code_blob b;
    assert_int_equal(sn_backend_spirv()->emit(&t, parse_kernel(a, sn_arena_printf(a, format, e, e, e, e)), a, NULL, &b),
                     SN_OK);
    module m = {(const uint32_t *)(const void *)b.bytes, (size_t)b.byte_count / 4};
    assert_int_equal(count_with(m, SpvOpExecutionMode, 3, 32), cases[i].modes32);
    assert_int_equal(
        count_with(m, SpvOpExecutionMode, 3, 64) - count_with(m, SpvOpExecutionMode, 2, SpvExecutionModeLocalSize),
        cases[i].modes64);
    assert_int_equal(strstr(b.features, "preserve64") != NULL, cases[i].modes64);
    assert_string_equal(verdict(a, m), "");
    sn_arena_destroy(a);
  }
}

/* The invocations of a workgroup, and with them the order of sums, are the same for any size of subgroups. */
static void shapes_do_not_depend_on_subgroups(void **state) {
  (void)state;
  static const char text[] =
      "kernel k(x: in f32, y: out f32) grid(1) {\n  %1 = load x[0 : 64, 1] : f32[8,64]\n"
      "  %2 = rsum %1 axis 1 : f32[8,1]\n  store y[0 : 1, 1], %2\n}\n";
  static const char *const facts[] = {"threads=256", "subgroup=4,threads=256", "subgroup=64,threads=256",
                                      "subgroup=128,threads=256"};
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
    sn_arena *a = sn_arena_create();
    sn_target t = target_of(facts[i]);
    sn_code_blob b;
    assert_int_equal(sn_backend_spirv()->emit(&t, parse_kernel(a, text), a, NULL, &b), SN_OK);
    assert_int_equal(b.entry, 64);
    assert_int_equal(strstr(b.features, "shuffle") != NULL, i == 1 || i == 2);
    sn_arena_destroy(a);
  }
}

/* Devices need not shuffle 64 bits. */
static void words_are_shuffled(void **state) {
  (void)state;
  static const char text[] =
      "kernel k(x: in i64, y: out i64) grid(1) {\n  %1 = load x[0 : 64, 1] : i64[8,64]\n"
      "  %2 = rsum %1 axis 1 : i64[8,1]\n  store y[0 : 1, 1], %2\n}\n";
  sn_arena *a = sn_arena_create();
  sn_target t = target_of("subgroup=32,shared=32768,threads=1024");
  module m = emit(a, &t, parse_kernel(a, text));
  uint32_t word = 0;
  int shuffles = 0;
  for (size_t i = 5; i < m.count; i += m.words[i] >> 16) {
    if ((m.words[i] & 0xffff) == SpvOpTypeInt && m.words[i + 2] == 32) word = m.words[i + 1];
    if ((m.words[i] & 0xffff) != SpvOpGroupNonUniformShuffleXor) continue;
    assert_int_equal(m.words[i + 1], word);
    shuffles++;
  }
  assert_in_range(shuffles, 2, 1000);
  sn_arena_destroy(a);
}

/* Factors that are walked and factors that are staged, straight and turned, for a device that no machine here has. */
static void products_take_cooperative_matrices(void **state) {
  (void)state;
  static const char format[] =
      "kernel k(x: in %s, w: in %s, y: out f32) grid(2) {\n"
      "  %%1 = load x[g0*64*336 : 336, 1] : %s[64,336]\n  %%2 = load w[0 : 64, 1] : %s[336,64]\n"
      "  %%3 = mma 2, %%1, %%2 : f32[64,64]\n"
      "  %%4 = load x[g0*4096 : 64, 1] : %s[64,64]\n  %%5 = load w[64 : 64, 1] : %s[64,64]\n"
      "  %%6 = mma %%3, %%4, %%5 ta : f32[64,64]\n  %%7 = trans %%4 : %s[64,64]\n"
      "  %%8 = mma %%6, %%7, %%5 tb : f32[64,64]\n  store y[g0*4096 : 64, 1], %%8\n}\n";
  static const char *const types[] = {"f16", "bf16"};
  for (int i = 0; i < 2; i++) {
    sn_arena *a = sn_arena_create();
    const char *e = types[i], *text = sn_arena_printf(a, format, e, e, e, e, e, e, e);
    sn_target with = target_of("subgroup=32,shared=49152,threads=1024,16,nan,f16=16x16x16,bf16=16x16x16");
    sn_target without = target_of("subgroup=32,shared=49152,threads=1024,16,nan");
    sn_target small = target_of("subgroup=32,shared=4096,threads=1024,16,nan,f16=16x16x16,bf16=16x16x16");
    module m = emit(a, &with, parse_kernel(a, text));
    assert_in_range(count(m, SpvOpCooperativeMatrixMulAddKHR), 3, 100);
    assert_int_equal(count(emit(a, &without, parse_kernel(a, text)), SpvOpCooperativeMatrixMulAddKHR), 0);
    assert_int_equal(count(emit(a, &small, parse_kernel(a, text)), SpvOpCooperativeMatrixMulAddKHR), 0);
    sn_diags *d = sn_diags_create();
    if (spv_verify(m.words, m.count, a, d)) fail_msg("%s", sn_diags_print(d, a));
    sn_diags_destroy(d);
    sn_arena_destroy(a);
  }
}

/* Bytes that are walked: matrices begin at quads of words, smaller ones between them. */
static void products_of_bytes_take_cooperative_matrices(void **state) {
  (void)state;
  static const char text[] =
      "kernel k(x: in i8, w: in i8, y: out i32) grid(2) {\n"
      "  %1 = load x[g0*64*320 : 320, 1] : i8[64,320]\n  %2 = load w[0 : 64, 1] : i8[320,64]\n"
      "  %3 = mma 2, %1, %2 : i32[64,64]\n  store y[g0*4096 : 64, 1], %3\n}\n";
  static const char *const device[] = {"", ",i8=16x16x32", ",i8=8x8x8", ",i8=16x16x128", ",f16=16x16x16"};
  for (int i = 0; i < 5; i++) {
    sn_arena *a = sn_arena_create();
    sn_target t = target_of(sn_arena_printf(a, "subgroup=32,shared=49152,threads=1024,8,nan%s", device[i]));
    module m = emit(a, &t, parse_kernel(a, text));
    bool suits = i == 1 || i == 2; /* a round has fewer steps than 128 */
    assert_int_equal(count(m, SpvOpCooperativeMatrixMulAddKHR) != 0, suits);
    sn_diags *d = sn_diags_create();
    if (spv_verify(m.words, m.count, a, d)) fail_msg("%s", sn_diags_print(d, a));
    sn_diags_destroy(d);
    sn_arena_destroy(a);
  }
}

/* Thin products read weights 16 bytes at a time, many before the first is used, and meet at two barriers; the same in a
 * loop, or with a factor that is made in the kernel, is a product like any other. */
static void thin_products_read_memory(void **state) {
  (void)state;
  static const char format[] =
      "kernel k(x: in f32, w: in %s, y: out f32) grid(4) {\n  %%1 = load x[0 : 4096, 1] : f32[%d,4096]\n"
      "  %%2 = cast %%1 : %s[%d,4096]\n  %%3 = load w[g0*%d : %d, 1] : %s\n"
      "  %%4 = mma 0, %%2, %%3%s : f32[%d,16]\n  store y[g0*16 : 64, 1], %%4\n}\n";
  static const struct {
    const char *type, *tile, *flag;
    int rows, step, pitch, loads, products;
  } cases[] = {
      {"f32", "f32[4096,16]", "", 1, 16, 64, 16, 64},
      {"f32", "f32[16,4096]", " tb", 2, 65536, 4096, 16, 128},
      {"bf16", "bf16[4096,16]", "", 1, 16, 64, 16, 128},
      {"bf16", "bf16[16,4096]", " tb", 8, 65536, 4096, 16, 1024},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    sn_arena *a = sn_arena_create();
    const char *e = cases[i].type;
    int n = cases[i].rows;
    sn_target t = target_of("subgroup=32,shared=49152,threads=1024,16,8,nan");
    module m = emit(a, &t,
                    parse_kernel(a, sn_arena_printf(a, format, e, n, e, n, cases[i].step, cases[i].pitch, cases[i].tile,
                                                    cases[i].flag, n)));
    int rows = count_with(m, SpvOpLoad, 5, 16) - cases[i].loads;
    assert_in_range(rows, n, 128);
    assert_int_equal(count_with(m, SpvOpExtInst, 4, SpvGLSLstd450Fma), cases[i].products);
    assert_in_range(count(m, SpvOpControlBarrier), 1, 2);
    assert_string_equal(verdict(a, m), "");
    sn_arena_destroy(a);
  }
}

static void other_products_are_not_thin(void **state) {
  (void)state;
  static const char *const text[] = {
      "kernel k(x: in f32, w: in f32, y: out f32) grid(1) {\n  %1 = load x[0 : 0, 1] : f32[1,64]\n"
      "  %2 = load w[0 : 16, 1] : f32[64,16]\n  %3 = mma 0, %1, %2 : f32[1,16]\n  store y[0 : 0, 1], %3\n}\n",
      "kernel k(x: in f32, w: in f32, y: out f32) grid(1) {\n  %1 = load x[0 : 0, 1] : f32[1,64]\n"
      "  %2 = load w[0 : 16, 1] : f32[64,16]\n  %3 = add %1, %1 : f32[1,64]\n  %4 = mma 0, %3, %2 : f32[1,16]\n"
      "  store y[0 : 0, 1], %4\n}\n",
      "kernel k(x: in f32, w: in f32, y: out f32) grid(1) {\n  for i1 = 0 to 4 step 1 {\n"
      "    %1 = load x[i1*64 : 0, 1] : f32[1,64]\n    %2 = load w[i1*1024 : 16, 1] : f32[64,16]\n"
      "    %3 = mma 0, %1, %2 : f32[1,16]\n    store y[i1*16 : 0, 1], %3\n  }\n}\n",
      "kernel k(x: in f32, w: inout f32, y: out f32) grid(1) {\n  %1 = load x[0 : 0, 1] : f32[1,64]\n"
      "  %2 = load w[0 : 16, 1] : f32[64,16]\n  %3 = mma 0, %1, %2 : f32[1,16]\n  store y[0 : 0, 1], %3\n}\n",
      "kernel k(x: in f32, w: in f32, y: out f32) grid(1) {\n  %1 = load x[0 : 0, 1] : f32[1,64]\n"
      "  %2 = load w[0 : 16, 1] cols<3 pad 1 : f32[64,16]\n  %3 = mma 0, %1, %2 : f32[1,16]\n"
      "  store y[0 : 0, 1], %3\n}\n",
  };
  for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
    sn_arena *a = sn_arena_create();
    sn_target t = target_of("subgroup=32,shared=49152,threads=1024,16,8,nan");
    module m = emit(a, &t, parse_kernel(a, text[i]));
    assert_int_equal(count(m, SpvOpGroupNonUniformShuffleXor) > 0, i == 0);
    assert_string_equal(verdict(a, m), "");
    sn_arena_destroy(a);
  }
}

static bool is_debug(uint32_t opcode) {
  return opcode == SpvOpName || opcode == SpvOpMemberName || opcode == SpvOpString || opcode == SpvOpLine;
}

/* Instructions without those for people, by opcode. */
static int code_of(module m, uint32_t *out) {
  int n = 0;
  for (size_t i = 5; i < m.count; i += m.words[i] >> 16)
    if (!is_debug(m.words[i] & 0xffff)) out[n++] = m.words[i] & 0xffff;
  return n;
}

/* Names are those of the kernel's text, lines those that its instructions come from, through expansion and rewriting;
 * the code is the same with and without. */
static void names_and_lines_are_for_people(void **state) {
  (void)state;
  static const char text[] =
      "kernel squares(x: in f32, y: out f32, n: size 1..8) grid(n) {\n  %1 = load x[g0*64 : 0, 1] : f32[1,64]\n"
      "  %2 = exp %1 : f32[1,64]\n  %3 = for i1 = 0 to n step 1 carry %4 = %2 {\n    %5 = add %4, %2 : f32[1,64]\n"
      "    yield %5\n  }\n  store y[g0*64 : 0, 1], %3\n}\n";
  sn_arena *a = sn_arena_create();
  sn_kernel *k = sn_kernel_finish(a, sn_kernel_expand_math(a, sn_kernel_simplify(a, parse_kernel(a, text))));
  for (sn_kv v = 1; v < k->ins_count; v++)
    if (k->ins[v].type.r) assert_in_range(sn_k_loc(k, v).line, 2, 8);
  sn_target t = target_of("subgroup=8,shared=32768,threads=1024,16,8,nan"), with = t;
  with.debug_info = true;
  module plain = emit(a, &t, k), m = emit(a, &with, k), again = emit(a, &with, k);
  assert_int_equal(m.count, again.count);
  assert_memory_equal(m.words, again.words, m.count * 4);
  assert_string_equal(verdict(a, m), "");
  const char *said;
  (void)sn_spirv_validate(m.words, m.count, a, &said);
  assert_string_equal(said, "");
  uint32_t *code = SN_ARRAY(a, plain.count, uint32_t), *other = SN_ARRAY(a, m.count, uint32_t);
  int n = code_of(plain, code);
  assert_int_equal(n, code_of(m, other));
  assert_memory_equal(code, other, (size_t)n * sizeof *code);
  assert_int_equal(count(plain, SpvOpName) + count(plain, SpvOpLine) + count(plain, SpvOpString), 0);
  assert_int_equal(count(m, SpvOpString), 1);
  for (uint32_t line = 2; line <= 8; line++)
    assert_int_equal(count_with(m, SpvOpLine, 2, line) > 0, line != 6 && line != 7);
  sn_text shown = sn_text_begin(a);
  assert_int_equal(sn_backend_spirv()->show(&t, k, "spirv", &shown, NULL), SN_OK);
  static const char *const lines[] = {"OpString \"k\"\n",
                                      "OpName %squares \"squares\"\n",
                                      "OpEntryPoint GLCompute %squares \"main\" ",
                                      " 2 \"x\"\n",
                                      " 4 \"n\"\n",
                                      "OpName %v1 \"v1\"\n",
                                      "OpName %i1 \"i1\"\n",
                                      "OpName %tid \"tid\"\n"};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    if (!strstr(shown.at, lines[i])) fail_msg("%s is not in\n%s", lines[i], shown.at);
  sn_arena_destroy(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(programs_are_valid),
      cmocka_unit_test(modules_are_recorded),
      cmocka_unit_test(long_columns_fit),
      cmocka_unit_test(what_a_device_cannot_is_known_before),
      cmocka_unit_test(odd_devices_are_refused),
      cmocka_unit_test(facts_are_read_and_printed),
      cmocka_unit_test(scratch_goes_where_it_fits),
      cmocka_unit_test(products_take_cooperative_matrices),
      cmocka_unit_test(products_of_bytes_take_cooperative_matrices),
      cmocka_unit_test(what_is_read_is_not_overwritten),
      cmocka_unit_test(words_are_shuffled),
      cmocka_unit_test(scratch_is_counted),
      cmocka_unit_test(names_and_lines_are_for_people),
      cmocka_unit_test(rounds_that_meet_are_ordered),
      cmocka_unit_test(the_workspace_is_coherent),
      cmocka_unit_test(nan_is_kept_by_width),
      cmocka_unit_test(shapes_do_not_depend_on_subgroups),
      cmocka_unit_test(thin_products_read_memory),
      cmocka_unit_test(other_products_are_not_thin),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
