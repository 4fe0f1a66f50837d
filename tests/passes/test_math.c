/* Elementary functions as expanded by passes/kernel/math: largest errors over strided f32 arguments, special values,
 * and that nothing elementary is left. References: double precision, the worst cases again with MPFR where it is
 * installed. Environment: SN_MATH_STRIDE (1009; 1 takes every f32). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#if SN_HAVE_MPFR
#include <mpfr.h>
#endif

#include "ir/ref/kinterp.h"
#include "passes/kernel/kernel_passes.h"

enum { TILE = 4096 };

typedef struct function {
  sn_kop op;
  double (*reference)(double);
  double bound; /* largest error, ulp */
  float lo, hi; /* arguments */
} function;

/* clang-format off */
static const function functions[] = {
  {SN_K_EXP,  exp,  0.9, -110, 100},    {SN_K_EXP2, exp2, 0.80, -160, 140},
  {SN_K_LOG,  log,  0.92, 0, 3.4e38f},   {SN_K_LOG2, log2, 0.96, 0, 3.4e38f},
  {SN_K_SIN,  sin,  1.81, -0x1p20f, 0x1p20f}, {SN_K_COS, cos, 1.81, -0x1p20f, 0x1p20f},
  {SN_K_TANH, tanh, 2.42, -100, 100},    {SN_K_ERF,  erf,  1.06, -10, 10},
};
/* clang-format on */

typedef struct world {
  sn_arena *a;
  sn_diags *d;
  sn_kernel *k;
} world;

static world expanded(sn_kop op) {
  world w = {sn_arena_create(), sn_diags_create(), NULL};
  sn_kernel *k = sn_kernel_create(w.a, "f");
  sn_kv x = sn_kernel_buffer(k, "x", SN_ELEM_F32, SN_K_IN), y = sn_kernel_buffer(k, "y", SN_ELEM_F32, SN_K_OUT);
  sn_kernel_grid(k, 1, sn_k_i(k, 1), 0, 0);
  sn_kv v = sn_k_un(k, op, sn_k_load(k, 1, TILE, (sn_kwin){.buf = x}, 0));
  sn_k_store(k, (sn_kwin){.buf = y}, v);
  w.k = sn_kernel_finish(w.a, sn_kernel_expand_math(w.a, k));
  assert_int_equal(sn_kernel_verify(w.k, w.d), SN_OK);
  for (int j = 1; j < w.k->ins_count; j++) assert_false(w.k->ins[j].op >= SN_K_EXP2 && w.k->ins[j].op <= SN_K_ERF);
  return w;
}

static void end(world *w) {
  sn_diags_destroy(w->d);
  sn_arena_destroy(w->a);
}

static void evaluate(const world *w, float *x, float *y) {
  sn_kinterp in = {
      .diags = w->d, .args = (sn_karg[]){{x}, {y}}, .elements = (int64_t[]){TILE, TILE}, .round = true, .hi = -1};
  assert_int_equal(sn_kinterp_run(&in, w->k), SN_OK);
}

static float from_bits(uint32_t u) {
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}

/* Distance in units of the last place of f32 at the exact value. Results below FLT_MIN may be 0. */
static double ulps(double y, double exact) {
  int e;
  if (fabs(exact) < 0x1p-126) return fabs(y) <= 0x1p-126 ? 0 : 1e9;
  if (fabs(exact) > 0x1.fffffefp127) return isinf(y) && (y > 0) == (exact > 0) ? 0 : 1e9;
  frexp(exact, &e);
  return fabs(y - exact) / ldexp(1, e - 24);
}

/* The value in more precision than double, when MPFR is there. */
static double precise_ulps(const function *f, float x, float y) {
#if SN_HAVE_MPFR
  mpfr_t v;
  mpfr_init2(v, 128);
  mpfr_set_flt(v, x, MPFR_RNDN);
  switch (f->op) {
    case SN_K_EXP: mpfr_exp(v, v, MPFR_RNDN); break;
    case SN_K_EXP2: mpfr_exp2(v, v, MPFR_RNDN); break;
    case SN_K_LOG: mpfr_log(v, v, MPFR_RNDN); break;
    case SN_K_LOG2: mpfr_log2(v, v, MPFR_RNDN); break;
    case SN_K_SIN: mpfr_sin(v, v, MPFR_RNDN); break;
    case SN_K_COS: mpfr_cos(v, v, MPFR_RNDN); break;
    case SN_K_TANH: mpfr_tanh(v, v, MPFR_RNDN); break;
    default: mpfr_erf(v, v, MPFR_RNDN); break;
  }
  double rounded = mpfr_get_d(v, MPFR_RNDN);
  mpfr_sub_d(v, v, y, MPFR_RNDN);
  int e;
  frexp(rounded, &e);
  double result = fabs(mpfr_get_d(v, MPFR_RNDN)) / ldexp(1, e - 24);
  mpfr_clear(v);
  return fabs(rounded) < 0x1p-126 || fabs(rounded) > 0x1.fffffefp127 ? ulps(y, rounded) : result;
#else
  return ulps(y, f->reference(x));
#endif
}

typedef struct worst {
  double ulp;
  float x, y;
  int64_t samples;
} worst;

static void measure(const function *f, const world *w, float *x, int count, worst *out) {
  static float y[TILE];
  for (int j = count; j < TILE; j++) x[j] = 1;
  evaluate(w, x, y);
  for (int j = 0; j < count; j++) {
    double u = ulps(y[j], f->reference(x[j]));
    if (!(u <= out->ulp)) *out = (worst){u == u ? u : 1e9, x[j], y[j], out->samples};
  }
  out->samples += count;
}

static worst sweep(const function *f, uint32_t stride) {
  world w = expanded(f->op);
  static float x[TILE];
  worst result = {0};
  int count = 0;
  for (uint64_t u = 0; u <= UINT32_MAX; u += stride) {
    float v = from_bits((uint32_t)u);
    if (!(v >= f->lo && v <= f->hi) || fabsf(v) < 0x1p-126f) continue;
    x[count++] = v;
    if (count < TILE) continue;
    measure(f, &w, x, count, &result);
    count = 0;
  }
  measure(f, &w, x, count, &result);
  end(&w);
  return result;
}

static void errors_are_within_their_bounds(void **state) {
  (void)state;
  const char *text = getenv("SN_MATH_STRIDE");
  uint32_t stride = text ? (uint32_t)atoi(text) : 1009;
  for (size_t j = 0; j < sizeof functions / sizeof functions[0]; j++) {
    const function *f = &functions[j];
    worst r = sweep(f, stride);
    double precise = precise_ulps(f, r.x, r.y);
    print_message("%-5s %.4f ulp at %a (%lld samples)\n", sn_kop_name(f->op), precise, (double)r.x,
                  (long long)r.samples);
    assert_true(precise <= f->bound);
    assert_true(r.ulp <= f->bound + 1e-6);
  }
}

typedef struct special {
  sn_kop op;
  float x, y;
} special;

/* clang-format off */
static const special specials[] = {
  {SN_K_EXP, 0, 1}, {SN_K_EXP, -0.0f, 1}, {SN_K_EXP, INFINITY, INFINITY}, {SN_K_EXP, -INFINITY, 0}, {SN_K_EXP, NAN, NAN},
  {SN_K_EXP, 89, INFINITY}, {SN_K_EXP, -88, 0}, {SN_K_EXP, 3e38f, INFINITY}, {SN_K_EXP, -3e38f, 0},
  {SN_K_EXP, 0x1.62e42ep6f, 0x1.ffff08p127f}, {SN_K_EXP, 0x1.62e430p6f, INFINITY}, {SN_K_EXP, 1e-30f, 1},
  {SN_K_EXP2, 0, 1}, {SN_K_EXP2, -0.0f, 1}, {SN_K_EXP2, INFINITY, INFINITY}, {SN_K_EXP2, -INFINITY, 0}, {SN_K_EXP2, NAN, NAN},
  {SN_K_EXP2, 127, 0x1p127f}, {SN_K_EXP2, 128, INFINITY}, {SN_K_EXP2, -126, 0x1p-126f}, {SN_K_EXP2, -126.00001f, 0}, {SN_K_EXP2, -149, 0},
  {SN_K_EXP2, 3, 8}, {SN_K_EXP2, -3, 0.125f}, {SN_K_EXP2, -3e38f, 0},
  {SN_K_LOG, 1, 0}, {SN_K_LOG, 0, -INFINITY}, {SN_K_LOG, -0.0f, -INFINITY}, {SN_K_LOG, INFINITY, INFINITY}, {SN_K_LOG, NAN, NAN},
  {SN_K_LOG, -1, NAN}, {SN_K_LOG, -INFINITY, NAN},
  {SN_K_LOG2, 1, 0}, {SN_K_LOG2, 0, -INFINITY}, {SN_K_LOG2, -0.0f, -INFINITY}, {SN_K_LOG2, INFINITY, INFINITY}, {SN_K_LOG2, NAN, NAN},
  {SN_K_LOG2, -1, NAN}, {SN_K_LOG2, -INFINITY, NAN}, {SN_K_LOG2, 8, 3}, {SN_K_LOG2, 0x1p-126f, -126},
  {SN_K_SIN, 0, 0}, {SN_K_SIN, -0.0f, -0.0f}, {SN_K_SIN, INFINITY, NAN}, {SN_K_SIN, -INFINITY, NAN}, {SN_K_SIN, NAN, NAN},
  {SN_K_SIN, 1e-30f, 1e-30f}, {SN_K_SIN, 1e30f, 0},
  {SN_K_COS, 0, 1}, {SN_K_COS, -0.0f, 1}, {SN_K_COS, INFINITY, NAN}, {SN_K_COS, NAN, NAN}, {SN_K_COS, 1e30f, 1},
  {SN_K_TANH, 0, 0}, {SN_K_TANH, -0.0f, -0.0f}, {SN_K_TANH, INFINITY, 1}, {SN_K_TANH, -INFINITY, -1}, {SN_K_TANH, NAN, NAN},
  {SN_K_TANH, 1e-30f, 1e-30f}, {SN_K_TANH, 50, 1}, {SN_K_TANH, -50, -1},
  {SN_K_ERF, 0, 0}, {SN_K_ERF, -0.0f, -0.0f}, {SN_K_ERF, INFINITY, 1}, {SN_K_ERF, -INFINITY, -1}, {SN_K_ERF, NAN, NAN}, {SN_K_ERF, 6, 1},
};
/* clang-format on */

static bool same(float a, float b) { return a != a ? b != b : a == b && signbit(a) == signbit(b); }

static void special_values_are_right(void **state) {
  (void)state;
  static float x[TILE], y[TILE];
  for (size_t j = 0; j < sizeof specials / sizeof specials[0]; j++) {
    world w = expanded(specials[j].op);
    for (int i = 0; i < TILE; i++) x[i] = specials[j].x;
    evaluate(&w, x, y);
    if (!same(y[0], specials[j].y))
      fail_msg("%s(%a) is %a, expected %a", sn_kop_name(specials[j].op), (double)specials[j].x, (double)y[0],
               (double)specials[j].y);
    end(&w);
  }
}

/* Above 2^20 the reduction loses bits, up to 2^22 no more than this. */
static void large_angles_have_a_bound(void **state) {
  (void)state;
  static float x[TILE], y[TILE];
  world s = expanded(SN_K_SIN), c = expanded(SN_K_COS);
  for (int round = 0; round < 40; round++) {
    for (int i = 0; i < TILE; i++) x[i] = 0x1p20f + (float)((round * TILE + i) * 19) * 0.999f;
    evaluate(&s, x, y);
    for (int i = 0; i < TILE; i++) assert_true(fabs((double)y[i] - sin((double)x[i])) < 4e-6);
    evaluate(&c, x, y);
    for (int i = 0; i < TILE; i++) assert_true(fabs((double)y[i] - cos((double)x[i])) < 4e-6);
  }
  end(&s);
  end(&c);
}

static void f64_is_left_alone(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  sn_kernel *k = sn_kernel_create(a, "f");
  sn_kv x = sn_kernel_buffer(k, "x", SN_ELEM_F64, SN_K_IN), y = sn_kernel_buffer(k, "y", SN_ELEM_F64, SN_K_OUT);
  sn_kernel_grid(k, 1, sn_k_i(k, 1), 0, 0);
  sn_k_store(k, (sn_kwin){.buf = y}, sn_k_un(k, SN_K_EXP, sn_k_load(k, 1, 4, (sn_kwin){.buf = x}, 0)));
  assert_true(sn_kernel_equal(k, sn_kernel_expand_math(a, k), a));
  sn_arena_destroy(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(errors_are_within_their_bounds),
      cmocka_unit_test(special_values_are_right),
      cmocka_unit_test(large_angles_have_a_bound),
      cmocka_unit_test(f64_is_left_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
