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
static const char *const tiers[] = {
    "shared=16384,threads=128",
    "shared=256,threads=256,f64,16",
    "subgroup=8,shared=32768,threads=1024,no_int64,f64,16,8,nan",
    "subgroup=8,shared=32768,threads=1024,f64,16,8,nan",
    "subgroup=32,shared=49152,threads=1024,f64,16,8,nan",
    "subgroup=16,shared=49152,threads=1024,f64,16,8,nan,nan64,idle,f16=8x8x8,bf16=8x8x8,i8=8x8x8"};

static sn_kernel *program(sn_arena *a, uint64_t seed) {
  sn_krandom_case c = {.avoid = SN_KRANDOM_NO_VNNI | (seed % 2 ? 0 : SN_KRANDOM_NO_MATH)};
  sn_kernel *k = sn_krandom(a, seed, &c);
  if (seed % 2 == 0) return k;
  return sn_kernel_finish(a, sn_kernel_simplify(a, sn_kernel_expand_math(a, sn_kernel_simplify(a, k))));
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
        assert_int_equal(count_opcode_with(m, SpvOpCapability, 1, SpvCapabilityInt64), !t.gpu.no_int64);
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
      "kernel k(x: in i32, w: in i8, v: in i8, y: out i32) grid(1) {\n  %1 = load x[0 : 96, 1] : i32[32,96]\n"
      "  %7 = cast %1 : i8[32,96]\n  %2 = load w[0 : 64, 1] : i8[96,64]\n  %3 = mma 0, %7, %2 : i32[32,64]\n"
      "  %4 = cast %3 : i8[32,64]\n"
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
    if ((count_opcode(m, SpvOpControlBarrier) > 0) != cases[i].meet)
      fail_msg("y[%s] of %s in %s: %d barriers", cases[i].window, cases[i].tile, cases[i].loop,
               count_opcode(m, SpvOpControlBarrier));
    assert_int_equal(count_opcode_with(m, SpvOpMemberDecorate, 3, SpvDecorationCoherent), cases[i].meet);
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
  assert_int_equal(count_opcode_with(m, SpvOpMemberDecorate, 3, SpvDecorationCoherent), 1);
  assert_string_equal(verdict(a, m), "");
  assert_int_equal(
      count_opcode_with(emit(a, &large, parse_kernel(a, text)), SpvOpMemberDecorate, 3, SpvDecorationCoherent), 0);
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
    assert_int_equal(count_opcode_with(m, SpvOpExecutionMode, 3, 32), cases[i].modes32);
    assert_int_equal(count_opcode_with(m, SpvOpExecutionMode, 3, 64) -
                         count_opcode_with(m, SpvOpExecutionMode, 2, SpvExecutionModeLocalSize),
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

/* As written, on every driver: none is contracted with another or taken apart. */
static void floats_stay_as_written(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  sn_target t = target_of("subgroup=32,shared=49152,threads=1024,nan");
  module m = emit(a, &t,
                  parse_kernel(a,
                               "kernel k(x: in f32, y: out f32) grid(1) {\n  %1 = load x[0 : 1, 1] : f32[1,1]\n"
                               "  %2 = fma %1, 3, %1 : f32[1,1]\n  %3 = mul %2, %1 : f32[1,1]\n"
                               "  %4 = add %3, %2 : f32[1,1]\n  store y[0 : 1, 1], %4\n}\n"));
  assert_int_equal(count_opcode_with(m, SpvOpDecorate, 2, SpvDecorationNoContraction), 3);
  sn_arena_destroy(a);
}

/* Where drivers load with nobody to do it, addresses of buffers seem to differ from invocation to invocation: one more
 * sum for each. */
static void idle_loads_are_kept_apart(void **state) {
  (void)state;
  static const char text[] =
      "kernel k(x: in f32, y: out f32, n: size 1..9) grid(1) {\n"
      "  %1 = load x[n : 1, 1] : f32[1,1]\n  store y[n : 1, 1], %1\n}\n";
  sn_arena *a = sn_arena_create();
  sn_target masked = target_of("subgroup=8,shared=32768,threads=1024,nan");
  sn_target idle = target_of("subgroup=8,shared=32768,threads=1024,nan,idle");
  int sums[2] = {count_opcode(emit(a, &masked, parse_kernel(a, text)), SpvOpIAdd),
                 count_opcode(emit(a, &idle, parse_kernel(a, text)), SpvOpIAdd)};
  assert_int_equal(sums[1] - sums[0], 2);
  sn_arena_destroy(a);
}

/* Workgroups of more subgroups than a device allows have none; smaller ones have. */
static void subgroups_fit_the_workgroup(void **state) {
  (void)state;
  static const char format[] =
      "kernel k(x: in f32, y: out f32) grid(1) {\n  %%1 = load x[0 : %d, 1] : f32[%d,%d]\n"
      "  %%2 = rsum %%1 axis 1 : f32[%d,1]\n  store y[0 : 1, 1], %%2\n}\n";
  static const struct {
    int extent, subgroups;
    bool shuffles;
  } rows[] = {{8, 0, true}, {8, 32, true}, {8, 8, false}, {64, 32, false}, {64, 64, true}, {64, 0, true}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    sn_arena *a = sn_arena_create();
    int n = rows[i].extent;
    sn_target t = target_of(sn_arena_printf(a, "subgroup=4,subgroups=%d,shared=32768,threads=1024", rows[i].subgroups));
    module m = emit(a, &t, parse_kernel(a, sn_arena_printf(a, format, n, n, n, n)));
    if ((count_opcode(m, SpvOpGroupNonUniformShuffleXor) != 0) != rows[i].shuffles) fail_msg("row %zu", i);
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
  assert_int_equal(count_opcode(plain, SpvOpName) + count_opcode(plain, SpvOpLine) + count_opcode(plain, SpvOpString),
                   0);
  assert_int_equal(count_opcode(m, SpvOpString), 1);
  for (uint32_t line = 2; line <= 8; line++)
    assert_int_equal(count_opcode_with(m, SpvOpLine, 2, line) > 0, line != 6 && line != 7);
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
      cmocka_unit_test(floats_stay_as_written),
      cmocka_unit_test(idle_loads_are_kept_apart),
      cmocka_unit_test(subgroups_fit_the_workgroup),
      cmocka_unit_test(what_is_read_is_not_overwritten),
      cmocka_unit_test(words_are_shuffled),
      cmocka_unit_test(scratch_is_counted),
      cmocka_unit_test(names_and_lines_are_for_people),
      cmocka_unit_test(rounds_that_meet_are_ordered),
      cmocka_unit_test(the_workspace_is_coherent),
      cmocka_unit_test(nan_is_kept_by_width),
      cmocka_unit_test(shapes_do_not_depend_on_subgroups),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
