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

typedef struct wide_function {
  const char *op;
  long double (*exact)(long double);
  double ulp, lo, hi; /* twice that without fused multiply-add; arguments */
} wide_function;

static const wide_function wide_functions[] = {
    {"exp", expl, 0.9, -700, 700}, {"exp2", exp2l, 1, -1000, 1000}, {"expm1", expm1l, 4, -700, 700},
    {"log", logl, 0.85, 0, 1e300}, {"log2", log2l, 1.08, 0, 1e300}, {"log1p", log1pl, 4, -0.99, 1e300},
    {"sin", sinl, 2.4, -4e7, 4e7}, {"cos", cosl, 2.4, -4e7, 4e7},   {"tanh", tanhl, 2.6, -30, 30},
    {"erf", erfl, 1.15, -8, 8},    {"sqrt", sqrtl, 0.5, 0, 1e300},
};

/* Rounded to a narrow type and back. */
static double f16_of(double x) { return sn_elem_nearest(SN_ELEM_F16, x); }
static double bf16_of(double x) { return sn_elem_nearest(SN_ELEM_BF16, x); }
static double f8e4m3_of(double x) { return sn_elem_nearest(SN_ELEM_F8E4M3, x); }
static double f8e5m2_of(double x) { return sn_elem_nearest(SN_ELEM_F8E5M2, x); }
static double i8_of(double x) { return isnan(x) ? 0 : trunc(fmin(fmax(x, -128), 127)) + 0.0; }

static const function casts[] = {
    {"f16", f16_of, 0}, {"bf16", bf16_of, 0}, {"f8e4m3", f8e4m3_of, 0}, {"f8e5m2", f8e5m2_of, 0}, {"i8", i8_of, 0},
};

/* Distance in units of the last place; a wrong special value or zero is far. */
static double distance(float y, double exact) {
  float want = (float)exact;
  if (isnan(exact) || isnan(y)) return isnan(exact) && isnan(y) ? 0 : INFINITY;
  if (isinf(want) || isinf(y)) return y == want ? 0 : INFINITY;
  if (want == 0 && y == 0) return signbit(want) == signbit(y) ? 0 : INFINITY;
  if (fabs(exact) < 0x1p-126) return fabsf(y) <= 0x1p-126f ? 0 : INFINITY;
  return fabs(y - exact) / exp2(floor(log2(fabs(exact))) - 23);
}

/* y = op x on a target. */
static void evaluate(sn_arena *arena, sn_diags *diags, const char *text, const char *target, const char *isa, void *x,
                     void *y) {
  sn_compile_opt co = {.target = target, .isa = isa, .cache_dir = check_cache()};
  sn_compiled c;
  sn_runtime *runtime;
  sn_store *store;
  sn_buffer b[] = {{"x", x, 1, {N}}, {"y", y, 1, {N}}};
  if (sn_compile(check_parse(arena, diags, text), &co, arena, diags, &c)) fail_msg("%s", sn_diags_print(diags, arena));
  sn_runtime_opt ro = sn_compile_runtime_opt(&c, 1);
  assert_int_equal(sn_runtime_create(c.plan, &ro, diags, &runtime), SN_OK);
  assert_int_equal(sn_store_create(runtime, 1, NULL, diags, &store), SN_OK);
  assert_int_equal(sn_run(runtime, store, "g", 2, b, diags), SN_OK);
  sn_store_destroy(store);
  sn_runtime_destroy(runtime);
}

static bool fuses(const char *isa) { return !isa || strcmp(isa, "baseline"); }

static void check_wide(const wide_function *f, const char *target, const char *isa) {
  static double x[N], y[N];
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  const char *text = sn_arena_printf(arena,
                                     "sinter 1\ngraph @g {\n  %%1 = input name \"x\" : f64[%d]\n  %%2 = %s %%1 : "
                                     "f64[%d]\n  output \"y\" = %%2\n}\n",
                                     N, f->op, N);
  for (int i = 0; i < N; i++) { /* evenly, and of every size */
    double part = (i / 2 + 0.25) / (N / 2), size = ldexp(1 + part, i % 60 - 45);
    x[i] = i % 2 ? f->lo + (f->hi - f->lo) * part : i % 4 ? size : -size;
    if (!(x[i] > f->lo && x[i] < f->hi)) x[i] = 1 + part;
  }
  evaluate(arena, diags, text, target, isa, x, y);
  for (int i = 0; i < N; i++) {
    long double exact = f->exact(x[i]);
    double d = (double)(fabsl(y[i] - exact) / exp2l(floorl(log2l(fabsl(exact))) - 52));
    if (exact != 0 ? !(d <= f->ulp * (fuses(isa) ? 1 : 2)) : y[i] != 0)
      fail_msg("`%s` of f64 %.17g on %s %s: %.17g instead of %.20Lg, %g ulp", f->op, x[i], target, isa ? isa : "", y[i],
               exact, d);
  }
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void check(const function *f, bool cast, const char *target, const char *isa) {
  static float x[N], y[N];
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  const char *op = cast ? sn_arena_printf(arena, "cast %%1 to %s : %s[%d]\n  %%3 = cast %%2 to f32", f->op, f->op, N)
                        : sn_arena_printf(arena, "%s %%1", f->op);
  const char *text = sn_arena_printf(arena,
                                     "sinter 1\ngraph @g {\n  %%1 = input name \"x\" : f32[%d]\n  %%2 = %s : "
                                     "f32[%d]\n  output \"y\" = %%%d\n}\n",
                                     N, op, N, cast ? 3 : 2);
  double limit = fuses(isa) ? f->ulp : 2 * f->ulp;
  fill(x);
  evaluate(arena, diags, text, target, isa, x, y);
  for (int i = 0; i < N; i++) {
    double d = distance(y[i], f->exact((double)x[i]));
    if (!(d <= limit))
      fail_msg("`%s` of %.9g on %s %s: %.9g instead of %.9g, %g ulp", f->op, (double)x[i], target, isa ? isa : "",
               (double)y[i], f->exact((double)x[i]), d);
  }
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void all(const char *target, const char *isa) {
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) check(&functions[i], false, target, isa);
  for (size_t i = 0; i < sizeof casts / sizeof casts[0]; i++) check(&casts[i], true, target, isa);
  for (size_t i = 0; i < sizeof wide_functions / sizeof wide_functions[0]; i++)
    check_wide(&wide_functions[i], target, isa);
}

/* docs/numerics.md: as operands and as results, kernels in the interpreter of kernels too. */
static void flushes(const char *target) {
  static float x[N], y[N];
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  const char *text =
      sn_arena_printf(arena,
                      "sinter 1\ngraph @g {\n%%1 = input name \"x\" : f32[%d]\n%%2 = const value 2 : "
                      "f32[%d]\n%%3 = const value 1e-30 : f32[%d]\n%%4 = mul %%1, %%3 : f32[%d]\n"
                      "%%5 = mul %%1, %%2 : f32[%d]\n%%6 = add %%4, %%5 : f32[%d]\noutput \"y\" = %%6\n}\n",
                      N, N, N, N, N, N);
  for (int i = 0; i < N; i++) x[i] = i % 2 ? 0x1p-127f : 1; /* a denormal, whose double is normal */
  evaluate(arena, diags, text, target, NULL, x, y);
  for (int i = 0; i < N; i++)
    if (y[i] != (i % 2 ? 0 : 2)) fail_msg("%s: %g gives %g", target, (double)x[i], (double)y[i]);
  for (int i = 0; i < N; i++) x[i] = 1e-10f; /* the first product is a denormal; 2e-10 is the sum */
  evaluate(arena, diags,
           sn_arena_printf(arena,
                           "sinter 1\ngraph @g {\n%%1 = input name \"x\" : f32[%d]\n%%2 = const value "
                           "1e-30 : f32[%d]\n%%3 = mul %%1, %%2 : f32[%d]\noutput \"y\" = %%3\n}\n",
                           N, N, N),
           target, NULL, x, y);
  for (int i = 0; i < N; i++)
    if (y[i] != 0) fail_msg("%s: the product is %g", target, (double)y[i]);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void denormals_are_flushed(void **state) {
  (void)state;
  flushes("template");
  if (SN_HAVE_LLVM) flushes("cpu");
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
      cmocka_unit_test(denormals_are_flushed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
