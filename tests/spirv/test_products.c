/* Products for devices that are only described: by cooperative matrices, or thin and straight from memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/spirv/harness.h"

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
    assert_in_range(count_opcode(m, SpvOpCooperativeMatrixMulAddKHR), 3, 100);
    assert_int_equal(count_opcode(emit(a, &without, parse_kernel(a, text)), SpvOpCooperativeMatrixMulAddKHR), 0);
    assert_int_equal(count_opcode(emit(a, &small, parse_kernel(a, text)), SpvOpCooperativeMatrixMulAddKHR), 0);
    assert_string_equal(verdict(a, m), "");
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
    assert_int_equal(count_opcode(m, SpvOpCooperativeMatrixMulAddKHR) != 0, suits);
    assert_string_equal(verdict(a, m), "");
    sn_arena_destroy(a);
  }
}

/* The result of the first OpConstant of this word; 0: there is none. */
static uint32_t constant(module m, uint32_t word) {
  for (size_t i = 5; i < m.count; i += m.words[i] >> 16)
    if ((m.words[i] & 0xffff) == SpvOpConstant && m.words[i + 3] == word) return m.words[i + 2];
  return 0;
}

/* A last quad that is longer than what is left of k ends there: columns of both factors are compared with 40. */
static void bytes_end_with_the_sum(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  sn_target t = target_of("subgroup=8,shared=65536,threads=1024,8,nan,i8=8x8x8");
  module m = emit(a, &t,
                  parse_kernel(a,
                               "kernel k(x: in i8, w: in i8, y: out i32) grid(1) {\n"
                               "  %1 = load x[0 : 40, 1] : i8[128,40]\n  %2 = load w[0 : 40, 1] : i8[128,40]\n"
                               "  %3 = mma 0, %1, %2 tb : i32[128,128]\n  store y[0 : 128, 1], %3\n}\n"));
  assert_int_not_equal(count_opcode(m, SpvOpCooperativeMatrixMulAddKHR), 0);
  uint32_t end = constant(m, 40);
  assert_int_not_equal(end, 0);
  assert_in_range(count_opcode_with(m, SpvOpULessThan, 4, end), 2, 1000);
  sn_arena_destroy(a);
}

/* Products of small tiles: a quad of shared memory is read for four steps of k or, where subgroups are narrow, one word
 * for each lane, which gives it to the others. Both factors are brought in alike, and no more invocations than have
 * enough to do. */
static void small_products_read_little(void **state) {
  (void)state;
  static const struct {
    const char *facts;
    int m, n, k, local, shuffles, loads, products;
  } cases[] = {
      {"subgroup=32,shared=49152,threads=1024", 64, 32, 32, 128, 0, 24, 64},
      {"subgroup=8,shared=32768,threads=1024", 64, 32, 32, 128, 32, 50, 128},
      {"shared=32768,threads=1024", 64, 32, 32, 128, 0, 24, 64},
      {"subgroup=32,shared=49152,threads=1024", 64, 32, 128, 128, 0, 30, 64},
      {"subgroup=8,shared=32768,threads=1024", 64, 32, 128, 128, 32, 34, 128},
      {"subgroup=32,shared=49152,threads=1024", 16, 16, 8, 32, 0, 24, 32},
      {"subgroup=8,shared=32768,threads=1024", 16, 16, 8, 32, 32, 32, 64},
      {"subgroup=32,shared=49152,threads=1024", 16, 16, 256, 64, 0, 56, 16},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int rows = cases[i].m, cols = cases[i].n, k = cases[i].k;
    sn_arena *a = sn_arena_create();
    sn_target t = target_of(cases[i].facts);
    const char *text =
        sn_arena_printf(a,
                        "kernel k(x: in f32, w: in f32, y: out f32) grid(1) {\n"
                        "  %%1 = load x[0 : %d, 1] : f32[%d,%d]\n  %%2 = load w[0 : %d, 1] : f32[%d,%d]\n"
                        "  %%3 = mma 0, %%1, %%2 : f32[%d,%d]\n  store y[0 : %d, 1], %%3\n}\n",
                        k, rows, k, cols, k, cols, rows, cols, cols);
    module m = emit(a, &t, parse_kernel(a, text));
    assert_int_equal(count_opcode_with(m, SpvOpExecutionMode, 3, (uint32_t)cases[i].local), 1);
    assert_int_equal(count_opcode(m, SpvOpGroupNonUniformShuffle), cases[i].shuffles);
    assert_int_equal(count_opcode_with(m, SpvOpExtInst, 4, SpvGLSLstd450Fma), cases[i].products);
    assert_in_range(count_opcode(m, SpvOpLoad), 1, cases[i].loads);
    assert_in_range(count_opcode(m, SpvOpControlBarrier), 1, k > 32 ? 2 : 1);
    assert_string_equal(verdict(a, m), "");
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
    int rows = count_opcode_with(m, SpvOpLoad, 5, 16) - cases[i].loads;
    assert_in_range(rows, n, 128);
    assert_int_equal(count_opcode_with(m, SpvOpExtInst, 4, SpvGLSLstd450Fma), cases[i].products);
    assert_in_range(count_opcode(m, SpvOpControlBarrier), 1, 2);
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
    assert_int_equal(count_opcode(m, SpvOpGroupNonUniformShuffleXor) > 0, i == 0);
    assert_string_equal(verdict(a, m), "");
    sn_arena_destroy(a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(products_take_cooperative_matrices),
      cmocka_unit_test(products_of_bytes_take_cooperative_matrices),
      cmocka_unit_test(bytes_end_with_the_sum),
      cmocka_unit_test(small_products_read_little),
      cmocka_unit_test(thin_products_read_memory),
      cmocka_unit_test(other_products_are_not_thin),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
