/* Kernels on the Vulkan device of this machine, in integers, against the interpreter: equal bits. What random programs
 * seldom hold: scratch that products read, buffers that are loaded and stored in different shapes, branches around
 * barriers, many arguments; with all that the device has, without subgroups, and with next to no shared memory. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/spirv/harness_device.h"

static sn_gpu device; /* facts of the device that is used */

static const program programs[] = {
    {"kernel scratch(x: in i8, w: in i8, y: out i32) grid(3) {\n"
     "  %1 = local i8 x 1024\n"
     "  %2 = load x[g0*1024 : 32, 1] : i8[32,32]\n"
     "  store %1[0 : 32, 1], %2\n"
     "  %3 = load %1[0 : 1, 32] : i8[32,32]\n"
     "  %4 = load w[0 : 32, 1] : i8[32,32]\n"
     "  %5 = mma 0, %3, %4 : i32[32,32]\n"
     "  store y[g0*1024 : 32, 1], %5\n"
     "}\n",
     {3072, 1024, 3072}},
    {"kernel shapes(x: in i32, y: inout i32) grid(2) {\n"
     "  %1 = load y[g0*256 : 16, 1] : i32[16,16]\n"
     "  %2 = rsum %1 axis 1 : i32[16,1]\n"
     "  %3 = load x[g0*256 : 0, 1] : i32[1,256]\n"
     "  %4 = rsum %2 axis 0 : i32[1,1]\n"
     "  %5 = bcast %4 : i32[1,256]\n"
     "  %6 = add %3, %5 : i32[1,256]\n"
     "  store y[g0*256 : 0, 1], %6\n"
     "}\n",
     {512, 512}},
    {"kernel chain(x: in i8, w: in i8, v: in i8, y: out i32) grid(1) {\n"
     "  %1 = load x[0 : 96, 1] : i8[32,96]\n"
     "  %2 = load w[0 : 64, 1] : i8[96,64]\n"
     "  %3 = mma 0, %1, %2 : i32[32,64]\n"
     "  %4 = cast %3 : i8[32,64]\n"
     "  %5 = load v[0 : 32, 1] : i8[64,32]\n"
     "  %6 = mma 0, %4, %5 : i32[32,32]\n"
     "  store y[0 : 32, 1], %6\n"
     "}\n",
     {3072, 6144, 2048, 1024}},
    {"kernel moved(y: inout i32, m: inout i32, x: in i32, z: out i32) grid(1) {\n"
     "  %1 = load y[0 : 0, 1] : i32[1,1024]\n"
     "  store y[1 : 0, 1], %1\n"
     "  %2 = load m[0 : 0, 1] : i32[1,1]\n"
     "  %3 = add %2, %2 : i32[1,1]\n"
     "  store m[0 : 0, 1], %3\n"
     "  %4 = load x[0 : 0, 1] : i32[1,1024]\n"
     "  %5 = bcast %2 : i32[1,1024]\n"
     "  %6 = add %4, %5 : i32[1,1024]\n"
     "  store z[0 : 0, 1], %6\n"
     "}\n",
     {1025, 1, 1024, 1024}},
    {"kernel rounds(x: in i32, y: out i32) grid(1) {\n"
     "  for i1 = 0 to 7 step 1 {\n"
     "    %1 = load x[i1*1024 : 0, 1] : i32[1,1024]\n"
     "    store y[i1*3 : 0, 1], %1\n"
     "  }\n"
     "}\n",
     {7168, 1042}},
    {"kernel tail(x: in i8, w: in i8, y: out i32) grid(1) {\n"
     "  %1 = load x[0 : 40, 1] : i8[128,40]\n"
     "  %2 = load w[0 : 128, 1] : i8[40,128]\n"
     "  %3 = mma 0, %1, %2 : i32[128,128]\n"
     "  store y[0 : 128, 1], %3\n"
     "}\n",
     {5120, 5120, 16384}},
    {"kernel columns(x: in i32, w: in i32, y: out i32, z: out i32) grid(1) {\n"
     "  %1 = load x[0 : 1, 1] : i32[330,1]\n"
     "  store y[0 : 1, 1], %1\n"
     "  %2 = load w[0 : 0, 1] : i32[1,1024]\n"
     "  %3 = rsum %1 axis 0 : i32[1,1]\n"
     "  %4 = bcast %3 : i32[1,1024]\n"
     "  %5 = add %2, %4 : i32[1,1024]\n"
     "  store z[0 : 0, 1], %5\n"
     "}\n",
     {330, 1024, 330, 1024}},
    {"kernel wide(x: in i64, y: out i64) grid(2) {\n"
     "  %1 = load x[g0*512 : 64, 1] : i64[8,64]\n"
     "  %2 = rsum %1 axis 1 : i64[8,1]\n"
     "  store y[g0*8 : 1, 1], %2\n"
     "}\n",
     {1024, 16}},
    {"kernel long_numbers(x: in i64, y: in i64, z: out i64) grid(2) {\n"
     "  %1 = load x[g0*256 : 64, 1] : i64[4,64]\n"
     "  %2 = load y[g0*256 : 64, 1] : i64[4,64]\n"
     "  %3 = add %1, %2 : i64[4,64]\n"
     "  %4 = mul %3, %1 : i64[4,64]\n"
     "  %5 = sub %4, %2 : i64[4,64]\n"
     "  %61 = and %1, 63 : i64[4,64]\n"
     "  %62 = and %2, 63 : i64[4,64]\n"
     "  %6 = shl %5, %61 : i64[4,64]\n"
     "  %7 = shr %4, %62 : i64[4,64]\n"
     "  %8 = sar %4, %61 : i64[4,64]\n"
     "  %9 = xor %6, %7 : i64[4,64]\n"
     "  %10 = and %9, %8 : i64[4,64]\n"
     "  %11 = or %10, %3 : i64[4,64]\n"
     "  %12 = min %11, %4 : i64[4,64]\n"
     "  %13 = max %12, %5 : i64[4,64]\n"
     "  %14 = abs %13 : i64[4,64]\n"
     "  %15 = neg %14 : i64[4,64]\n"
     "  %16 = lt %15, %9 : bool[4,64]\n"
     "  %17 = le %9, %8 : bool[4,64]\n"
     "  %18 = eq %7, %8 : bool[4,64]\n"
     "  %19 = ne %7, %6 : bool[4,64]\n"
     "  %20 = select %16, %15, %7 : i64[4,64]\n"
     "  %21 = select %17, %20, %8 : i64[4,64]\n"
     "  %22 = select %18, %1, %21 : i64[4,64]\n"
     "  %23 = select %19, %22, %2 : i64[4,64]\n"
     "  store z[g0*256 : 64, 1], %23\n"
     "}\n",
     {512, 512, 512}},
    {"kernel long_quotients(x: in i64, y: in i64, z: out i64, u: out i64) grid(2) {\n"
     "  %1 = load x[g0*64 : 64, 1] : i64[1,64]\n"
     "  %2 = load y[g0*64 : 64, 1] : i64[1,64]\n"
     "  %31 = and %1, 63 : i64[1,64]\n"
     "  %3 = sar %2, %31 : i64[1,64]\n"
     "  %4 = eq %3, 0 : bool[1,64]\n"
     "  %5 = select %4, 7, %3 : i64[1,64]\n"
     "  %6 = div %1, %5 : i64[1,64]\n"
     "  %7 = mod %1, %5 : i64[1,64]\n"
     "  store z[g0*64 : 64, 1], %6\n"
     "  store u[g0*64 : 64, 1], %7\n"
     "}\n",
     {128, 128, 128, 128}},
    {"kernel long_casts(x: in i64, n: in i64, f: out f32, z: out i64, w: out i32, b: out i8) grid(2) {\n"
     "  %1 = load x[g0*256 : 64, 1] : i64[4,64]\n"
     "  %2 = load n[g0*256 : 64, 1] : i64[4,64]\n"
     "  %31 = and %2, 63 : i64[4,64]\n"
     "  %3 = sar %1, %31 : i64[4,64]\n"
     "  %4 = cast %3 : f32[4,64]\n"
     "  %5 = cast %4 : i64[4,64]\n"
     "  %6 = cast %3 : i32[4,64]\n"
     "  %7 = cast %6 : i64[4,64]\n"
     "  %8 = sub %5, %7 : i64[4,64]\n"
     "  %9 = cast %3 : i8[4,64]\n"
     "  store f[g0*256 : 64, 1], %4\n"
     "  store z[g0*256 : 64, 1], %8\n"
     "  store w[g0*256 : 64, 1], %6\n"
     "  store b[g0*256 : 64, 1], %9\n"
     "}\n",
     {512, 512, 512, 512, 512, 512}},
    /* numbers in the middle between two of f32, and next to it */
    {"kernel long_ties(x: in i64, y: in i64, f: out f32) grid(1) {\n"
     "  %1 = load x[0 : 64, 1] : i64[8,64]\n"
     "  %2 = load y[0 : 64, 1] : i64[8,64]\n"
     "  %3 = and %1, 16777215 : i64[8,64]\n"
     "  %4 = or %3, 8388608 : i64[8,64]\n"
     "  %5 = add %4, %4 : i64[8,64]\n"
     "  %6 = or %5, 1 : i64[8,64]\n"
     "  %7 = and %2, 31 : i64[8,64]\n"
     "  %8 = shl %6, %7 : i64[8,64]\n"
     "  %9 = sar %2, 62 : i64[8,64]\n"
     "  %10 = add %8, %9 : i64[8,64]\n"
     "  %11 = mul %10, %9 : i64[8,64]\n"
     "  %12 = cast %11 : f32[8,64]\n"
     "  store f[0 : 64, 1], %12\n"
     "}\n",
     {512, 512, 512}},
    {"kernel places(x: in i32, y: in i32, z: out i32, n: size 1..9000000000, m: size 1..8) grid(n, m, 3) {\n"
     "  %1 = load y[imin(g2, n*5000000000) : 4, 1] : i32[4,4]\n"
     "  %2 = and %1, 63 : i32[4,4]\n"
     "  %3 = gather x[(n*5000000000 + g1) / 5000000000 : m*4, 0] by %2 rows<64 cols<4 pad 0 : i32[4,4]\n"
     "  %4 = load x[imax(g1 - n*5000000000, ilt(g1, n)) : n*5000000000 % 5000000001, 1] rows<1 cols<n : i32[4,4]\n"
     "  %5 = add %3, %4 : i32[4,4]\n"
     "  store z[((g0*m + g1)*3 + g2 + n*5000000000) % 5000000000 * 16 : 4, 1], %5\n"
     "}\n",
     {2100, 64, 480, 2, 5}},
    {"kernel ends(x: in i8, w: in i8, y: out i32, n: size 0..128 step 8) grid(1) {\n"
     "  %1 = load x[0 : 128, 1] cols<n pad 0 : i8[128,70]\n"
     "  %2 = load w[0 : 128, 1] cols<n pad 0 : i8[128,70]\n"
     "  %3 = mma 0, %1, %2 tb : i32[128,128]\n"
     "  store y[0 : 128, 1], %3\n"
     "}\n",
     {16384, 16384, 16384, 72}},
    {"kernel nothing(x: in i8, w: in i8, v: in i32, y: out i32, n: size 0..128) grid(1) {\n"
     "  %1 = load v[0 : 64, 1] : i32[64,64]\n"
     "  %2 = cast %1 : i8[64,64]\n"
     "  %3 = load x[0 : 128, 1] cols<n pad 0 : i8[64,128]\n"
     "  %4 = load w[0 : 64, 1] rows<n pad 0 : i8[128,64]\n"
     "  %5 = mma 0, %3, %4 : i32[64,64]\n"
     "  %6 = mma %5, %2, %2 : i32[64,64]\n"
     "  store y[0 : 64, 1], %6\n"
     "}\n",
     {8192, 8192, 4096, 4096, 0}},
    {"kernel dealt(y: inout i8, x: in i8, z: out i32) grid(1) {\n"
     "  %1 = load y[0 : 64, 1] : i8[64,64]\n"
     "  %2 = load x[0 : 64, 1] : i8[64,64]\n"
     "  store y[0 : 64, 1], %2\n"
     "  %3 = mma 0, %1, %2 : i32[64,64]\n"
     "  store z[0 : 64, 1], %3\n"
     "}\n",
     {4096, 4096, 4096}},
    {"kernel branches(x: in i32, y: out i32, n: size 1..8) grid(n) {\n"
     "  %1 = load x[g0*64 : 8, 1] : i32[8,8]\n"
     "  %2 = for i1 = 0 to g0 step 1 carry %3 = %1 {\n"
     "    %4 = if ieq(i1 % 2, 0) {\n"
     "      %5 = trans %3 : i32[8,8]\n"
     "      yield %5\n"
     "    } else {\n"
     "      %6 = rsum %3 axis 0 : i32[1,8]\n"
     "      %7 = bcast %6 : i32[8,8]\n"
     "      %8 = sub %7, %3 : i32[8,8]\n"
     "      yield %8\n"
     "    }\n"
     "    yield %4\n"
     "  }\n"
     "  store y[g0*64 : 8, 1], %2\n"
     "}\n",
     {512, 512, 7}},
};

/* Whole numbers as f16, bf16 and i8: products whose factors are walked, staged, turned, and go on from other products.
 */
static const char matrix_text[] =
    "kernel products(x: in %s, w: in %s, y: out %s) grid(2) {\n"
    "  %%1 = load x[g0*32*336 : 336, 1] : %s[32,336]\n"
    "  %%2 = load w[0 : 32, 1] : %s[336,32]\n"
    "  %%3 = mma 2, %%1, %%2 : %s[32,32]\n"
    "  %%4 = load x[g0*1024 : 32, 1] : %s[32,32]\n"
    "  %%5 = load w[32 : 32, 1] : %s[32,32]\n"
    "  %%6 = mma %%3, %%4, %%5 ta : %s[32,32]\n"
    "  %%7 = trans %%4 : %s[32,32]\n"
    "  %%8 = mma %%6, %%7, %%5 tb : %s[32,32]\n"
    "  store y[g0*1024 : 32, 1], %%8\n"
    "}\n";

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static void on(const sn_gpu *gpu) {
  sn_target t = sn_target_vulkan(gpu);
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) check_program(&programs[i], &t);
}

static void with_all_it_has(void **state) { (void)state, on(&device); }

static void without_subgroups(void **state) {
  (void)state;
  sn_gpu gpu = device;
  gpu.subgroup = 0;
  on(&gpu);
}

static void without_shared_memory(void **state) {
  (void)state;
  sn_gpu gpu = device;
  gpu.shared_bytes = 64;
  on(&gpu);
}

static void without_narrow_memory(void **state) {
  (void)state;
  sn_gpu gpu = device;
  gpu.storage8 = gpu.storage16 = false;
  on(&gpu);
}

static void without_int64(void **state) {
  (void)state;
  sn_gpu gpu = device;
  gpu.no_int64 = true;
  on(&gpu);
  gpu.subgroup = 0, gpu.shared_bytes = 64, gpu.storage8 = gpu.storage16 = false;
  on(&gpu);
}

static void products_of(const char *e, const char *sum, sn_gpu_matrix m) {
  if (!m.m) skip();
  char text[2048];
  snprintf(text, sizeof text, matrix_text, e, e, sum, e, e, sum, e, e, sum, e, sum);
  program p = {text, {2 * 32 * 336, 336 * 32, 2 * 1024}};
  sn_gpu without = device;
  without.f16 = without.bf16 = without.i8 = (sn_gpu_matrix){0};
  sn_target t = sn_target_vulkan(&device), u = sn_target_vulkan(&without);
  assert_int_not_equal(count_products(&p, &t), 0);
  assert_int_equal(count_products(&p, &u), 0);
  check_program(&p, &t), check_program(&p, &u);
}

static void matrices_of_f16(void **state) { (void)state, products_of("f16", "f32", device.f16); }
static void matrices_of_bf16(void **state) { (void)state, products_of("bf16", "f32", device.bf16); }
static void matrices_of_i8(void **state) { (void)state, products_of("i8", "i32", device.i8); }

int main(void) {
  if (!find_device(&device)) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(with_all_it_has),       cmocka_unit_test(without_subgroups),
      cmocka_unit_test(without_shared_memory), cmocka_unit_test(without_narrow_memory),
      cmocka_unit_test(without_int64),         cmocka_unit_test(matrices_of_f16),
      cmocka_unit_test(matrices_of_bf16),      cmocka_unit_test(matrices_of_i8),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
