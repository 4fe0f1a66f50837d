/* Elementwise ops as they are compiled: values at the difficult places, sign of zero too, and the largest errors that
 * docs/numerics.md states. On every target and feature level. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h"

enum { N = 1 << 15 };

typedef struct function {
  const char *op;
  double (*exact)(double);
  double ulp; /* largest error; twice that without fused multiply-add */
} function;

static double log2_of(double x) { return fabs(x) < 0x1p-126 ? -INFINITY : log2(x); } /* denormals count as 0 */
static double sign_of(double x) { return isnan(x) ? x : (x > 0) - (x < 0); }

static const function functions[] = {
    {"expm1", expm1, 4}, {"log1p", log1p, 4}, {"exp2", exp2, 1},   {"log2", log2_of, 1}, {"floor", floor, 0},
    {"ceil", ceil, 0},   {"round", rint, 0},  {"trunc", trunc, 0}, {"sign", sign_of, 0},
};

/* Special values, then numbers of every size and sign. */
static void fill(float *x) {
  static const float special[] = {0,       -0.0f,      0.5f,     -0.5f,     1.5f,        -1.5f,        2.5f,
                                  -2.5f,   1,          -1,       INFINITY,  -INFINITY,   NAN,          127.5f,
                                  -127.5f, 8388607.5f, 1e30f,    -1e30f,    0x1p-126f,   88.8f,        89.0f,
                                  -88.0f,  -0.99999f,  0x1p-24f, -0x1p-24f, 0.49999997f, -0.49999997f, 16777216.0f};
  int n = (int)(sizeof special / sizeof special[0]);
  memcpy(x, special, sizeof special);
  for (int i = n; i < N; i++) {
    double size = exp2(-30 + 37.0 * (i / 2) / (N / 2)); /* up to 128 */
    x[i] = (float)(i % 2 ? -size : size);
  }
}

/* Distance in units of the last place; a wrong special value or zero is far. */
static double distance(float y, double exact) {
  float want = (float)exact;
  if (isnan(exact) || isnan(y)) return isnan(exact) && isnan(y) ? 0 : INFINITY;
  if (isinf(want) || isinf(y)) return y == want ? 0 : INFINITY;
  if (want == 0 && y == 0) return signbit(want) == signbit(y) ? 0 : INFINITY;
  if (fabs(exact) < 0x1p-126) return fabsf(y) <= 0x1p-126f ? 0 : INFINITY;
  return fabs(y - exact) / exp2(floor(log2(fabs(exact))) - 23);
}

static void check(const function *f, const char *target, const char *isa) {
  static float x[N], y[N];
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  const char *text = sn_arena_printf(arena,
                                     "sinter 1\ngraph @g {\n  %%1 = input name \"x\" : f32[%d]\n  %%2 = %s %%1 : "
                                     "f32[%d]\n  output \"y\" = %%2\n}\n",
                                     N, f->op, N);
  sn_compile_opt co = {.target = target, .isa = isa, .cache_dir = ""};
  sn_compiled c;
  sn_runtime *runtime;
  sn_store *store;
  sn_buffer b[] = {{"x", x, 1, {N}}, {"y", y, 1, {N}}};
  double limit = isa && !strcmp(isa, "baseline") ? 2 * f->ulp : f->ulp;
  fill(x);
  if (sn_compile(check_parse(arena, diags, text), &co, arena, diags, &c)) fail_msg("%s", sn_diags_print(diags, arena));
  sn_runtime_opt ro = sn_compile_runtime_opt(&c, 1);
  assert_int_equal(sn_runtime_create(c.plan, &ro, diags, &runtime), SN_OK);
  assert_int_equal(sn_store_create(runtime, 1, NULL, diags, &store), SN_OK);
  assert_int_equal(sn_run(runtime, store, "g", 2, b, diags), SN_OK);
  for (int i = 0; i < N; i++) {
    double d = distance(y[i], f->exact((double)x[i]));
    if (!(d <= limit))
      fail_msg("`%s` of %.9g on %s %s: %.9g instead of %.9g, %g ulp", f->op, (double)x[i], target, isa ? isa : "",
               (double)y[i], f->exact((double)x[i]), d);
  }
  sn_store_destroy(store);
  sn_runtime_destroy(runtime);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void all(const char *target, const char *isa) {
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) check(&functions[i], target, isa);
}

static void values_on_the_template(void **state) { (void)state, all("template", NULL); }

static void values_on_the_cpu(void **state) {
  (void)state;
  static const char *const isa[] = {"baseline", "avx2", NULL};
  if (!SN_HAVE_LLVM) skip();
  for (int i = 0; i < 3; i++) all("cpu", isa[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_on_the_template),
      cmocka_unit_test(values_on_the_cpu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
