/* Thin products on the device of this machine: all layouts, element types and ways to end, with all that it has,
 * without subgroups, 64-bit integers and narrow memory, and with next to no shared memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/str.h"
#include "tests/spirv/harness_device.h"

static sn_gpu device;

/* Thin products of factors E with sums S: rows and columns that are few, weights with columns or k side by side, a
 * start, k that is no multiple of anything, many rounds, limits, conversions on the way, and work on the result. */
static const program thin[] = {
    {"kernel rows(x: in E, w: in E, y: out S) grid(3) {\n"
     "  %1 = load x[0 : 300, 1] : E[3,300]\n"
     "  %2 = load w[g0*16 : 48, 1] : E[300,16]\n"
     "  %3 = mma 2, %1, %2 : S[3,16]\n"
     "  store y[g0*16 : 48, 1], %3\n"
     "}\n",
     {900, 14400, 144}},
    {"kernel along(x: in E, w: in E, y: inout S) grid(2) {\n"
     "  %1 = load x[0 : 301, 1] : E[3,301]\n"
     "  %2 = load w[g0*3612 : 301, 1] : E[12,301]\n"
     "  %3 = load y[g0*12 : 24, 1] : S[3,12]\n"
     "  %4 = mma %3, %1, %2 tb : S[3,12]\n"
     "  %5 = rsum %4 axis 0 : S[1,12]\n"
     "  %6 = bcast %5 : S[3,12]\n"
     "  %7 = add %4, %6 : S[3,12]\n"
     "  store y[g0*12 : 24, 1], %7\n"
     "}\n",
     {903, 7224, 72}},
    {"kernel limits(x: in E, w: in E, y: out S, n: size 1..4096, m: size 1..32) grid(2) {\n"
     "  %1 = load x[0 : 4096, 1] cols<n pad 0 : E[2,4096]\n"
     "  %2 = load w[g0*16 : m, 1] rows<n cols<m - g0*16 pad 0 : E[4096,16]\n"
     "  %3 = mma 0, %1, %2 : S[2,16]\n"
     "  store y[g0*16 : 32, 1] cols<m - g0*16, %3\n"
     "}\n",
     {8192, 131072, 64, 3001, 27}},
    {"kernel columns(x: in E, w: in E, y: out S) grid(2) {\n"
     "  %1 = load w[g0*8192 : 512, 1] : E[16,512]\n"
     "  %2 = load x[0 : 2, 1] : E[512,2]\n"
     "  %3 = mma 0, %1, %2 : S[16,2]\n"
     "  store y[g0*32 : 2, 1], %3\n"
     "}\n",
     {1024, 16384, 64}},
    {"kernel turned(x: in E, w: in E, y: out S) grid(1) {\n"
     "  %1 = load w[0 : 24, 1] : E[200,24]\n"
     "  %2 = load x[0 : 200, 1] : E[3,200]\n"
     "  %3 = trans %2 : E[200,3]\n"
     "  %4 = mma 0, %1, %3 ta : S[24,3]\n"
     "  store y[0 : 3, 1], %4\n"
     "}\n",
     {600, 4800, 72}},
    {"kernel strides(x: in E, w: in E, y: out S) grid(1) {\n"
     "  %1 = load x[3 : 1, 2] : E[2,40]\n"
     "  %2 = load w[1 : 3, 120] : E[40,20]\n"
     "  %3 = mma 0, %1, %2 : S[2,20]\n"
     "  store y[0 : 20, 1], %3\n"
     "}\n",
     {83, 2400, 40}},
};

static const program converted = {
    "kernel converted(x: in f32, w: in i8, v: in f16, y: out f32) grid(2) {\n"
    "  %1 = load x[0 : 0, 1] : f32[1,640]\n"
    "  %2 = cast %1 : bf16[1,640]\n"
    "  %3 = load w[g0*16 : 32, 1] : i8[640,16]\n"
    "  %4 = cast %3 : f32[640,16]\n"
    "  %5 = cast %4 : bf16[640,16]\n"
    "  %6 = mma 0, %2, %5 : f32[1,16]\n"
    "  %7 = load v[g0*16 : 0, 1] : f16[1,16]\n"
    "  %8 = cast %7 : f32[1,16]\n"
    "  %9 = add %6, %8 : f32[1,16]\n"
    "  store y[g0*16 : 0, 1], %9\n"
    "}\n",
    {640, 20480, 32, 32}};

/* The text with the types of factors and sums in place of E and S. */
static program of_types(sn_arena *a, const program *p, const char *e, const char *s) {
  program y = *p;
  sn_text t = sn_text_begin(a);
  for (const char *c = p->text; *c; c++) {
    if (*c == 'E' || *c == 'S')
      sn_text_add(&t, "%s", *c == 'E' ? e : s);
    else
      sn_text_add(&t, "%c", *c);
  }
  y.text = t.at;
  return y;
}

/* f32 and f64, words and pairs of them: all; other types: the first ones. */
static void thin_on(const sn_gpu *gpu, size_t others) {
  static const char *const types[][2] = {
      {"f32", "f32"}, {"f16", "f32"}, {"bf16", "f32"}, {"i8", "i32"}, {"f64", "f64"}};
  sn_target t = sn_target_vulkan(gpu);
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (!gpu->float64 && !strcmp(types[i][0], "f64")) continue;
    sn_arena *a = sn_arena_create();
    for (size_t j = 0; j < (i && strcmp(types[i][0], "f64") ? others : sizeof thin / sizeof *thin); j++) {
      program p = of_types(a, &thin[j], types[i][0], types[i][1]);
      check_program(&p, &t);
    }
    sn_arena_destroy(a);
  }
  check_program(&converted, &t);
}

static void thin_products(void **state) { (void)state, thin_on(&device, 2); }

static void thin_products_of_a_bare_device(void **state) {
  (void)state;
  sn_gpu gpu = device;
  gpu.subgroup = 0, gpu.shared_bytes = 1024, gpu.storage8 = gpu.storage16 = false;
  thin_on(&gpu, 1);
}

static void thin_products_without_int64(void **state) {
  (void)state;
  sn_gpu gpu = device;
  gpu.no_int64 = true;
  thin_on(&gpu, 1);
}

/* Sums that are rounded: their order is the same for any size of subgroups. */
static void thin_sums_are_equal_bits(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  sn_gpu bare = device;
  bare.subgroup = 0;
  sn_target t = sn_target_vulkan(&device), u = sn_target_vulkan(&bare);
  for (size_t j = 0; j < sizeof thin / sizeof *thin; j++) {
    program p = of_types(a, &thin[j], "f32", "f32");
    check_equal(&p, &t, &u);
  }
  sn_arena_destroy(a);
}

int main(void) {
  if (!find_device(&device)) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(thin_products),
      cmocka_unit_test(thin_products_of_a_bare_device),
      cmocka_unit_test(thin_products_without_int64),
      cmocka_unit_test(thin_sums_are_equal_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
