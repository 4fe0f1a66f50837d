/* Kernel interpreter: results, and every mistake that it must find. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/half.h"
#include "ir/ref/kinterp.h"

typedef struct world {
  sn_arena *a;
  sn_diags *d;
  sn_kernel *k;
  sn_kinterp in;
} world;

static world load(const char *text) {
  world w = {.a = sn_arena_create(), .d = sn_diags_create()};
  sn_code code = sn_kernel_parse(w.a, w.d, "t", text, strlen(text), &w.k);
  if (code) fail_msg("%s", sn_diags_print(w.d, w.a));
  w.in = (sn_kinterp){.diags = w.d, .check = true, .hi = -1};
  return w;
}

static void run(world *w, const sn_karg *args, const int64_t *elements) {
  w->in.args = args;
  w->in.elements = elements;
  if (sn_kinterp_run(&w->in, w->k)) fail_msg("%s", sn_diags_print(w->d, w->a));
}

static void end(world *w) {
  sn_diags_destroy(w->d);
  sn_arena_destroy(w->a);
}

static void product_of_blocks(void **state) {
  (void)state;
  world w = load(
      "kernel contract(a: in f32, b: in f32, c: out f32, K: size 1..64) grid(2, 3) {\n"
      "  %1 = const 0 : f32[2,3]\n"
      "  %2 = for i1 = 0 to K step 4 carry %3 = %1 {\n"
      "    %4 = load a[g0*2*K + i1 : K, 1] cols<K - i1 pad 0 : f32[2,4]\n"
      "    %5 = load b[i1*8 + g1*3 : 8, 1] rows<K - i1 cols<8 - g1*3 pad 0 : f32[4,3]\n"
      "    %6 = mma %3, %4, %5 : f32[2,3]\n"
      "    yield %6\n"
      "  }\n"
      "  store c[g0*16 + g1*3 : 8, 1] cols<8 - g1*3, %2\n"
      "}\n");
  enum { K = 7 };
  float a[4 * K], b[K * 8], c[4 * 8];
  for (int j = 0; j < 4 * K; j++) a[j] = (float)(j % 5) - 2;
  for (int j = 0; j < 8 * K; j++) b[j] = (float)(j % 7) - 3;
  run(&w, (sn_karg[]){{a}, {b}, {c}, {.i = K}}, (int64_t[]){4 * K, 8 * K, 32, 0});
  for (int r = 0; r < 4; r++)
    for (int n = 0; n < 8; n++) {
      float s = 0;
      for (int k = 0; k < K; k++) s += a[r * K + k] * b[k * 8 + n];
      assert_float_equal(c[r * 8 + n], s, 0);
    }
  assert_int_equal(w.in.bytes_read, (4 * K + 8 * K) * 4);
  assert_int_equal(w.in.bytes_written, 32 * 4);
  assert_int_equal(sn_kernel_instances(w.k, w.in.args), 6);
  end(&w);
}

static void integer_and_bit_operations(void **state) {
  (void)state;
  world w = load(
      "kernel ints(x: in i32, y: in i32, o: out i32) grid(1) {\n"
      "  %1 = load x[0 : 0, 1] : i32[1,4]\n"
      "  %2 = load y[0 : 0, 1] : i32[1,4]\n"
      "  %3 = div %1, %2 : i32[1,4]\n"
      "  %4 = mod %1, %2 : i32[1,4]\n"
      "  %5 = mul %1, 1000000007 : i32[1,4]\n"
      "  %6 = mulhi %1, -1 : i32[1,4]\n"
      "  %7 = sar %1, 1 : i32[1,4]\n"
      "  %8 = shr %1, 1 : i32[1,4]\n"
      "  %9 = shl %1, 31 : i32[1,4]\n"
      "  %10 = xor %1, %2 : i32[1,4]\n"
      "  %12 = const 1.5 : f32[1,4]\n  %11 = bitcast %12 : i32[1,4]\n"
      "  store o[0 : 0, 1], %3\n  store o[4 : 0, 1], %4\n  store o[8 : 0, 1], %5\n  store o[12 : 0, 1], %6\n"
      "  store o[16 : 0, 1], %7\n  store o[20 : 0, 1], %8\n  store o[24 : 0, 1], %9\n  store o[28 : 0, 1], %10\n  "
      "store o[32 : 0, 1], %11\n"
      "}\n");
  int32_t x[4] = {7, -7, INT32_MIN, 5}, y[4] = {-2, 2, -1, 3}, o[36];
  run(&w, (sn_karg[]){{x}, {y}, {o}}, (int64_t[]){4, 4, 36});
  static const int32_t expected[32] = {-4,
                                       -4,
                                       INT32_MIN,
                                       1,
                                       -1,
                                       1,
                                       0,
                                       2,
                                       7 * 1000000007LL - 2 * 4294967296LL,
                                       (int32_t)(uint32_t)(-7 * 1000000007LL),
                                       INT32_MIN,
                                       (int32_t)(uint32_t)(5 * 1000000007LL),
                                       6,
                                       -8,
                                       INT32_MAX,
                                       4,
                                       3,
                                       -4,
                                       INT32_MIN / 2,
                                       2,
                                       3,
                                       0x7ffffffc,
                                       0x40000000,
                                       2,
                                       INT32_MIN,
                                       INT32_MIN,
                                       0,
                                       INT32_MIN,
                                       -7,
                                       -5,
                                       INT32_MAX,
                                       6};
  for (int j = 0; j < 32; j++)
    if (o[j] != expected[j]) fail_msg("element %d: %d, expected %d", j, o[j], expected[j]);
  assert_int_equal(o[32], 0x3fc00000);
  end(&w);
}

static void casts_and_narrow_buffers(void **state) {
  (void)state;
  world w = load(
      "kernel casts(x: in f32, h: out bf16, q: out i8, u: out u8, l: out i64, f: out f16, b: out bool) grid(1) {\n"
      "  %1 = load x[0 : 0, 1] : f32[1,6]\n"
      "  %2 = cast %1 : bf16[1,6]\n  store h[0 : 0, 1], %2\n"
      "  %3 = cast %1 : i8[1,6]\n  store q[0 : 0, 1], %3\n"
      "  %4 = cast %1 : u8[1,6]\n  store u[0 : 0, 1], %4\n"
      "  %5 = cast %1 : i64[1,6]\n  store l[0 : 0, 1], %5\n"
      "  %6 = cast %1 : f16[1,6]\n  store f[0 : 0, 1], %6\n"
      "  %7 = lt %1, 0 : bool[1,6]\n  store b[0 : 0, 1], %7\n"
      "}\n");
  float x[6] = {1.00390625f, -2.9f, 300, NAN, 1e30f, 0.1f};
  uint16_t h[6], f[6];
  int8_t q[6];
  uint8_t u[6], b[6];
  int64_t l[6];
  run(&w, (sn_karg[]){{x}, {h}, {q}, {u}, {l}, {f}, {b}}, (int64_t[]){6, 6, 6, 6, 6, 6, 6});
  assert_float_equal(sn_f32_from_bf16(h[0]), 1, 0); /* to even */
  assert_true(q[1] == -2 && q[2] == 127 && q[3] == 0);
  assert_true(u[1] == 0 && u[2] == 255 && u[3] == 0);
  assert_true(l[1] == -2 && l[4] == INT64_MAX);
  assert_true(isinf(sn_f32_from_f16(f[4])) && b[1] && !b[0] && !b[3]);
  end(&w);
}

static void integers_of_64_bits(void **state) {
  (void)state;
  world w = load(
      "kernel wide(x: in i64, n: in i64, y: out i64, f: out f64) grid(1) {\n"
      "  %1 = load x[0 : 0, 1] : i64[1,4]\n  %2 = load n[0 : 0, 1] : i64[1,4]\n"
      "  %3 = shl %1, %2 : i64[1,4]\n  store y[0 : 0, 1], %3\n"
      "  %4 = shr %1, %2 : i64[1,4]\n  store y[4 : 0, 1], %4\n"
      "  %5 = sar %1, %2 : i64[1,4]\n  store y[8 : 0, 1], %5\n"
      "  %6 = div %1, %2 : i64[1,4]\n  store y[12 : 0, 1], %6\n"
      "  %7 = mod %1, %2 : i64[1,4]\n  store y[16 : 0, 1], %7\n"
      "  %8 = xor %1, -1 : i64[1,4]\n  store y[20 : 0, 1], %8\n"
      "  %9 = rmax %1 axis 1 : i64[1,1]\n  store y[24 : 0, 1], %9\n"
      "  %10 = bitcast %1 : f64[1,4]\n  store f[0 : 0, 1], %10\n"
      "}\n");
  int64_t x[4] = {INT64_C(0x3ff8000000000000), -3, INT64_MIN, 5}, n[4] = {1, 63, 2, 33}, y[25];
  double f[4];
  run(&w, (sn_karg[]){{x}, {n}, {y}, {f}}, (int64_t[]){4, 4, 25, 4});
  int64_t expected[] = {0x7ff0000000000000,
                        INT64_MIN,
                        0,
                        INT64_C(5) << 33,
                        0x1ffc000000000000,
                        1,
                        INT64_C(1) << 61,
                        0,
                        0x1ffc000000000000,
                        -1,
                        -(INT64_C(1) << 61),
                        0,
                        0x3ff8000000000000,
                        -1,
                        INT64_MIN / 2,
                        0,
                        0,
                        60,
                        0,
                        5,
                        ~x[0],
                        2,
                        INT64_MAX,
                        -6,
                        x[0]};
  for (int j = 0; j < 25; j++)
    if (y[j] != expected[j]) fail_msg("element %d: %lld, expected %lld", j, (long long)y[j], (long long)expected[j]);
  assert_true(f[0] == 1.5 && isnan(f[1]) && f[2] == 0 && signbit(f[2]));
  end(&w);
}

/* The first number lies beyond the middle between two of f32 by less than f64 can tell. */
static void integers_become_floats_in_one_rounding(void **state) {
  (void)state;
  world w = load(
      "kernel k(x: in i64, y: out f32) grid(1) {\n  %1 = load x[0 : 0, 1] : i64[1,3]\n  %2 = cast %1 : f32[1,3]\n"
      "  store y[0 : 0, 1], %2\n}\n");
  int64_t x[3] = {(INT64_C(1) << 53) + (1 << 29) + 1, (INT64_C(1) << 53) + (1 << 29), 16777217};
  float y[3];
  run(&w, (sn_karg[]){{x}, {y}}, (int64_t[]){3, 3});
  assert_float_equal(y[0], 0x1p53F + 0x1p30F, 0);
  assert_float_equal(y[1], 0x1p53F, 0);
  assert_float_equal(y[2], 16777216, 0);
  end(&w);
}

static void rounding_is_optional(void **state) {
  (void)state;
  world w = load(
      "kernel rounding(x: in f32, y: out f64) grid(1) {\n"
      "  %1 = load x[0 : 0, 1] : f32[1,1]\n  %2 = div 1, %1 : f32[1,1]\n  %3 = cast %2 : f64[1,1]\n"
      "  store y[0 : 0, 1], %3\n}\n");
  float x = 3;
  double y;
  run(&w, (sn_karg[]){{&x}, {&y}}, (int64_t[]){1, 1});
  assert_true(y == 1.0 / 3);
  w.in.round = true;
  run(&w, (sn_karg[]){{&x}, {&y}}, (int64_t[]){1, 1});
  assert_true(y == 1.0f / 3.0f);
  end(&w);
}

static void carries_are_exchanged_at_once(void **state) {
  (void)state;
  world w = load(
      "kernel swap(x: in f32, y: out f32) grid(1) {\n"
      "  %1 = load x[0 : 0, 1] : f32[1,1]\n  %2 = load x[1 : 0, 1] : f32[1,1]\n"
      "  %3, %4 = for i1 = 0 to 3 step 1 carry %5 = %1, %6 = %2 {\n    yield %6, %5\n  }\n"
      "  store y[0 : 0, 1], %3\n  store y[1 : 0, 1], %4\n}\n");
  float x[2] = {1, 2}, y[2];
  run(&w, (sn_karg[]){{x}, {y}}, (int64_t[]){2, 2});
  assert_true(y[0] == 2 && y[1] == 1);
  end(&w);
}

/* Runs `body` on 8-element buffers and expects a failure that says `why`. */
static void finds(const char *body, const char *why) {
  char text[2048];
  snprintf(text, sizeof text, "kernel k(x: in f32, y: out f32, z: inout f32, i: in i32) grid(2) {\n%s}\n", body);
  world w = load(text);
  float x[8] = {0}, y[8] = {0}, z[8] = {0};
  int32_t i[8] = {7, 8, 0};
  w.in.args = (sn_karg[]){{x}, {y}, {z}, {i}};
  w.in.elements = (int64_t[]){8, 8, 8, 8};
  assert_int_equal(sn_kinterp_run(&w.in, w.k), SN_ERR_FAIL);
  const char *message = sn_diags_print(w.d, w.a);
  if (!strstr(message, why)) fail_msg("expected `%s` in\n%s", why, message);
  end(&w);
}

static void mistakes_are_found(void **state) {
  (void)state;
  finds("%1 = load x[g0*5 : 0, 1] : f32[1,4]\nstore y[g0*4 : 0, 1], %1\n",
        "instance 1 (1, 0, 0): accesses element 8 of 8");
  finds("%1 = load x[0 : 0, 1] : f32[1,4]\nstore y[g0*3 : 0, 1], %1\n", "which another instance stores too");
  finds("%1 = load z[0 : 0, 1] : f32[1,4]\nstore z[g0*4 : 0, 1], %1\n", "which another instance stores");
  finds("%1 = load z[4 : 0, 1] : f32[1,4]\nstore z[g0*4 : 0, 1], %1\n", "which another instance loads");
  finds("%1 = const 0 : f32[1,1]\nstore z[g0 : 0, 1], %1\n%2 = load z[g0 : 0, 1] : f32[1,1]\nstore y[g0 : 0, 1], %2\n",
        "which this instance has stored");
  finds("%1 = local f32 x 4\n%2 = load %1[1 : 0, 1] : f32[1,1]\nstore y[g0 : 0, 1], %2\n", "never stored");
  finds("%1 = load x[iload(i, g0) : 0, 1] : f32[1,1]\nstore y[g0 : 0, 1], %1\n", "accesses element 8 of 8");
  finds("%1 = load x[iload(i, g0 + 7) : 0, 1] : f32[1,1]\nstore y[g0 : 0, 1], %1\n", "iload of element 8 of 8");
  finds("%1 = load i[0 : 1, 1] : i32[2,1]\n%2 = gather x[0 : 1, 1] by %1 : f32[2,1]\nstore y[g0*2 : 1, 1], %2\n",
        "accesses element 8 of 8");
  finds("%1 = const 40 : i32[1,1]\n%2 = shl %1, %1 : i32[1,1]\n%3 = cast %2 : f32[1,1]\nstore y[g0 : 0, 1], %3\n",
        "shift by 40");
  finds("%1 = const 64 : i64[1,1]\n%2 = sar %1, %1 : i64[1,1]\n%3 = cast %2 : f32[1,1]\nstore y[g0 : 0, 1], %3\n",
        "shift by 64");
  finds("%1 = load x[(g0 - 1)/2 : 0, 1] : f32[1,1]\nstore y[g0 : 0, 1], %1\n", "index division of -1 by 2");
}

static void sizes_and_overlap_are_checked(void **state) {
  (void)state;
  world w = load(
      "kernel k(x: in f32, y: out f32, T: size 8..64 step 8) grid(T/8) {\n"
      "  %1 = load x[g0 : 0, 1] : f32[1,1]\n  store y[g0 : 0, 1], %1\n}\n");
  float x[16];
  w.in.elements = (int64_t[]){8, 8, 0};
  w.in.args = (sn_karg[]){{x}, {x + 8}, {.i = 12}};
  assert_int_equal(sn_kinterp_run(&w.in, w.k), SN_ERR_FAIL);
  w.in.args = (sn_karg[]){{x}, {x + 7}, {.i = 16}};
  assert_int_equal(sn_kinterp_run(&w.in, w.k), SN_ERR_FAIL);
  end(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(product_of_blocks),
      cmocka_unit_test(integer_and_bit_operations),
      cmocka_unit_test(casts_and_narrow_buffers),
      cmocka_unit_test(integers_of_64_bits),
      cmocka_unit_test(integers_become_floats_in_one_rounding),
      cmocka_unit_test(rounding_is_optional),
      cmocka_unit_test(carries_are_exchanged_at_once),
      cmocka_unit_test(mistakes_are_found),
      cmocka_unit_test(sizes_and_overlap_are_checked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
