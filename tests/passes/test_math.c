/* Elementary functions as expanded by passes/kernel/math: largest errors over strided f32 arguments and over random f64
 * ones, special values, and that nothing elementary is left. References: the C library in the next wider type, the
 * worst cases again with MPFR where it is installed. Environment: SN_MATH_STRIDE (1009; 1 takes every f32),
 * SN_MATH_SAMPLES (f64 arguments per function, 60000). */
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

#include "ir/base/rng.h"
#include "ir/ref/kinterp.h"
#include "passes/kernel/kernel_passes.h"

enum { TILE = 4096 };

typedef struct function {
  sn_kop op;
  double (*reference)(double);
  long double (*wide)(long double);
  double bound, lo, hi;                /* f32: largest error, ulp; arguments */
  double wide_bound, wide_lo, wide_hi; /* f64 */
} function;

/* clang-format off */
static const function functions[] = {
  {SN_K_EXP,  exp,  expl,  0.9,  -110, 100,       0.9, -750, 720},
  {SN_K_EXP2, exp2, exp2l, 0.80, -160, 140,       1.0, -1100, 1030},
  {SN_K_LOG,  log,  logl,  0.92, 0, 3.4e38f,      0.85, 0, 1.7e308},
  {SN_K_LOG2, log2, log2l, 0.96, 0, 3.4e38f,      1.08, 0, 1.7e308},
  {SN_K_SIN,  sin,  sinl,  2.86, -0x1p20, 0x1p20, 2.4, -0x1p26, 0x1p26},
  {SN_K_COS,  cos,  cosl,  3.07, -0x1p20, 0x1p20, 2.4, -0x1p26, 0x1p26},
  {SN_K_TANH, tanh, tanhl, 2.42, -100, 100,       2.6, -100, 100},
  {SN_K_ERF,  erf,  erfl,  1.06, -10, 10,         1.15, -10, 10},
};
/* clang-format on */
enum { FUNCTIONS = sizeof functions / sizeof functions[0] };

typedef struct world {
  sn_arena *a;
  sn_diags *d;
  sn_kernel *k;
  sn_elem elem;
} world;

static world expanded(sn_kop op, sn_elem elem) {
  world w = {sn_arena_create(), sn_diags_create(), NULL, elem};
  sn_kernel *k = sn_kernel_create(w.a, "f");
  sn_kv x = sn_kernel_buffer(k, "x", elem, SN_K_IN), y = sn_kernel_buffer(k, "y", elem, SN_K_OUT);
  sn_kernel_grid(k, 1, sn_k_i(k, 1), 0, 0);
  sn_kv v = sn_k_un(k, op, sn_k_load(k, 1, TILE, (sn_kwin){.buf = x}, 0));
  sn_k_store(k, (sn_kwin){.buf = y}, v);
  w.k = sn_kernel_finish(w.a, sn_kernel_expand_math(w.a, k));
  assert_int_equal(sn_kernel_verify(w.k, w.d), SN_OK);
  for (int j = 1; j < w.k->ins_count; j++) assert_false(sn_kop_is_elementary(w.k->ins[j].op));
  return w;
}

static void end(world *w) {
  sn_diags_destroy(w->d);
  sn_arena_destroy(w->a);
}

static void evaluate(const world *w, const double *x, double *y) {
  static double in[TILE], out[TILE];
  bool wide = w->elem == SN_ELEM_F64;
  for (int j = 0; j < TILE; j++) {
    if (wide)
      in[j] = x[j];
    else
      ((float *)in)[j] = (float)x[j];
  }
  sn_kinterp run = {
      .diags = w->d, .args = (sn_karg[]){{in}, {out}}, .elements = (int64_t[]){TILE, TILE}, .round = true, .hi = -1};
  assert_int_equal(sn_kinterp_run(&run, w->k), SN_OK);
  for (int j = 0; j < TILE; j++) y[j] = wide ? out[j] : (double)((float *)out)[j];
}

static double from_bits(uint32_t u) {
  float f;
  memcpy(&f, &u, sizeof f);
  return (double)f;
}

/* The distance |error| at the exact value in units of the last place. */
static double in_ulps(sn_elem elem, long double error, long double exact) {
  int e;
  frexpl(exact, &e);
  return (double)(fabsl(error) / ldexpl(1, e - (elem == SN_ELEM_F64 ? 53 : 24)));
}

/* Is the value below the smallest normal number (then results may be 0), or too large? right: is y what it may be? */
static bool is_outside(sn_elem elem, double y, long double exact, bool *right) {
  long double least = elem == SN_ELEM_F64 ? 0x1p-1022L : 0x1p-126L;
  long double most = elem == SN_ELEM_F64 ? 0x1.fffffffffffff7cp1023L : 0x1.fffffefp127L;
  *right = fabsl(exact) < least ? fabsl(y) <= least : isinf(y) && (y > 0) == (exact > 0);
  return fabsl(exact) < least || fabsl(exact) > most;
}

static double ulps(sn_elem elem, double y, long double exact) {
  bool right;
  if (is_outside(elem, y, exact, &right)) return right ? 0 : 1e9;
  double u = in_ulps(elem, y - exact, exact);
  return u == u ? u : 1e9;
}

/* The same with a reference of 200 bits, when MPFR is there. */
static double precise_ulps(const function *f, sn_elem elem, double x, double y) {
#if SN_HAVE_MPFR
  mpfr_t v;
  mpfr_init2(v, 200);
  mpfr_set_d(v, x, MPFR_RNDN);
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
  long double rounded = mpfr_get_ld(v, MPFR_RNDN);
  mpfr_sub_d(v, v, y, MPFR_RNDN);
  bool right;
  double result =
      is_outside(elem, y, rounded, &right) ? (right ? 0 : 1e9) : in_ulps(elem, mpfr_get_ld(v, MPFR_RNDN), rounded);
  mpfr_clear(v);
  return result;
#else
  return ulps(elem, y, elem == SN_ELEM_F64 ? f->wide(x) : (long double)f->reference(x));
#endif
}

typedef struct worst {
  double ulp;
  double x, y;
  int64_t samples;
} worst;

/* Arguments are collected until a tile is full. */
typedef struct sweep {
  const function *f;
  world w;
  double x[TILE];
  int count;
  worst worst;
} sweep;

static void measure(sweep *s) {
  static double y[TILE];
  for (int j = s->count; j < TILE; j++) s->x[j] = 1;
  evaluate(&s->w, s->x, y);
  for (int j = 0; j < s->count; j++) {
    bool wide = s->w.elem == SN_ELEM_F64;
    double u = ulps(s->w.elem, y[j], wide ? s->f->wide(s->x[j]) : (long double)s->f->reference(s->x[j]));
    if (u > s->worst.ulp) s->worst = (worst){u, s->x[j], y[j], s->worst.samples};
  }
  s->worst.samples += s->count;
  s->count = 0;
}

static void take(sweep *s, double x) {
  s->x[s->count++] = x;
  if (s->count == TILE) measure(s);
}

static void conclude(sweep *s, double bound) {
  if (s->count) measure(s);
  const worst *r = &s->worst;
  double precise = precise_ulps(s->f, s->w.elem, r->x, r->y);
  print_message("%-5s %s %.4f ulp at %a (%lld samples)\n", sn_kop_name(s->f->op), sn_elem_name(s->w.elem), precise,
                r->x, (long long)r->samples);
  end(&s->w);
  assert_true(precise <= bound);
  assert_true(r->ulp <= bound + (s->w.elem == SN_ELEM_F64 ? 1e-3 : 1e-6)); /* what the reference itself may err */
}

static int from_environment(const char *name, int otherwise) {
  const char *text = getenv(name);
  return text ? atoi(text) : otherwise;
}

static void errors_of_f32_are_within_their_bounds(void **state) {
  (void)state;
  uint32_t stride = (uint32_t)from_environment("SN_MATH_STRIDE", 1009);
  for (size_t j = 0; j < FUNCTIONS; j++) {
    static sweep s;
    s = (sweep){.f = &functions[j], .w = expanded(functions[j].op, SN_ELEM_F32)};
    for (uint64_t u = 0; u <= UINT32_MAX; u += stride) {
      double v = from_bits((uint32_t)u);
      if (v >= s.f->lo && v <= s.f->hi && fabs(v) >= 0x1p-126) take(&s, v);
    }
    conclude(&s, s.f->bound);
  }
}

/* Of every size, evenly within the limits, around 1, and next to multiples of pi/2. */
static double draw(sn_rng *r, const function *f, int kind) {
  double x = sn_rng_f64(r);
  int least = f->op == SN_K_LOG || f->op == SN_K_LOG2 ? -1022 : -80;
  switch (kind) {
    case 0: return ldexp(1 + x, least + (int)sn_rng_below(r, (uint64_t)(1023 - least))) * (sn_rng_below(r, 2) ? 1 : -1);
    case 1: return f->wide_lo + (f->wide_hi - f->wide_lo) * x;
    case 2: return 0.5 + x;
    case 3: return 8 * x - 4;
    default: return (double)(1.57079632679489661923132L * (long double)sn_rng_below(r, 40000000));
  }
}

static void errors_of_f64_are_within_their_bounds(void **state) {
  (void)state;
  int samples = from_environment("SN_MATH_SAMPLES", 60000);
  for (size_t j = 0; j < FUNCTIONS; j++) {
    static sweep s;
    sn_rng r = {.seed = 7, .stream = j};
    s = (sweep){.f = &functions[j], .w = expanded(functions[j].op, SN_ELEM_F64)};
    for (int i = 0; i < samples; i++) {
      double v = draw(&r, s.f, i % 5);
      if (v >= s.f->wide_lo && v <= s.f->wide_hi) take(&s, v);
    }
    conclude(&s, s.f->wide_bound);
  }
}

typedef struct special {
  sn_kop op;
  double x, y;
} special;

/* clang-format off */
static const special specials[] = { /* of both types */
  {SN_K_EXP, 0, 1}, {SN_K_EXP, -0.0, 1}, {SN_K_EXP, INFINITY, INFINITY}, {SN_K_EXP, -INFINITY, 0}, {SN_K_EXP, NAN, NAN},
  {SN_K_EXP, 3e38, INFINITY}, {SN_K_EXP, -3e38, 0}, {SN_K_EXP, 1e-30, 1},
  {SN_K_EXP2, 0, 1}, {SN_K_EXP2, -0.0, 1}, {SN_K_EXP2, INFINITY, INFINITY}, {SN_K_EXP2, -INFINITY, 0}, {SN_K_EXP2, NAN, NAN},
  {SN_K_EXP2, 3, 8}, {SN_K_EXP2, -3, 0.125}, {SN_K_EXP2, -3e38, 0},
  {SN_K_LOG, 1, 0}, {SN_K_LOG, 0, -INFINITY}, {SN_K_LOG, -0.0, -INFINITY}, {SN_K_LOG, INFINITY, INFINITY}, {SN_K_LOG, NAN, NAN},
  {SN_K_LOG, -1, NAN}, {SN_K_LOG, -INFINITY, NAN},
  {SN_K_LOG2, 1, 0}, {SN_K_LOG2, 0, -INFINITY}, {SN_K_LOG2, -0.0, -INFINITY}, {SN_K_LOG2, INFINITY, INFINITY}, {SN_K_LOG2, NAN, NAN},
  {SN_K_LOG2, -1, NAN}, {SN_K_LOG2, -INFINITY, NAN}, {SN_K_LOG2, 8, 3},
  {SN_K_SIN, 0, 0}, {SN_K_SIN, -0.0, -0.0}, {SN_K_SIN, INFINITY, NAN}, {SN_K_SIN, -INFINITY, NAN}, {SN_K_SIN, NAN, NAN},
  {SN_K_SIN, 1e-30, 1e-30}, {SN_K_SIN, 1e30, 0},
  {SN_K_COS, 0, 1}, {SN_K_COS, -0.0, 1}, {SN_K_COS, INFINITY, NAN}, {SN_K_COS, NAN, NAN}, {SN_K_COS, 1e30, 1},
  {SN_K_TANH, 0, 0}, {SN_K_TANH, -0.0, -0.0}, {SN_K_TANH, INFINITY, 1}, {SN_K_TANH, -INFINITY, -1}, {SN_K_TANH, NAN, NAN},
  {SN_K_TANH, 1e-30, 1e-30}, {SN_K_TANH, 50, 1}, {SN_K_TANH, -50, -1},
  {SN_K_ERF, 0, 0}, {SN_K_ERF, -0.0, -0.0}, {SN_K_ERF, INFINITY, 1}, {SN_K_ERF, -INFINITY, -1}, {SN_K_ERF, NAN, NAN}, {SN_K_ERF, 6, 1},
};
static const special narrow_specials[] = {
  {SN_K_EXP, 89, INFINITY}, {SN_K_EXP, -88, 0}, {SN_K_EXP, 0x1.62e42ep6, 0x1.ffff08p127}, {SN_K_EXP, 0x1.62e430p6, INFINITY},
  {SN_K_EXP2, 127, 0x1p127}, {SN_K_EXP2, 128, INFINITY}, {SN_K_EXP2, -126, 0x1p-126}, {SN_K_EXP2, -126.00001, 0}, {SN_K_EXP2, -149, 0},
  {SN_K_LOG2, 0x1p-126, -126},
};

static const special wide_specials[] = {
  {SN_K_EXP, 710, INFINITY}, {SN_K_EXP, -709, 0}, {SN_K_EXP, 0x1.62e42fefa39f0p9, INFINITY}, {SN_K_EXP, -0x1.6232bdd7abcd3p9, 0},
  {SN_K_EXP, 1e-300, 1}, {SN_K_EXP, 1e308, INFINITY}, {SN_K_EXP, -1e308, 0},
  {SN_K_EXP2, 1023, 0x1p1023}, {SN_K_EXP2, 1024, INFINITY}, {SN_K_EXP2, -1022, 0x1p-1022}, {SN_K_EXP2, -1022.00001, 0},
  {SN_K_EXP2, -1074, 0}, {SN_K_EXP2, 1e308, INFINITY}, {SN_K_EXP2, -1e308, 0},
  {SN_K_LOG2, 0x1p-1022, -1022}, {SN_K_LOG2, 0x1p1023, 1023}, {SN_K_LOG, 1, 0},
  {SN_K_SIN, 1e-300, 1e-300}, {SN_K_SIN, 1e300, 0}, {SN_K_COS, 1e300, 1}, {SN_K_TANH, 1e-300, 1e-300}, {SN_K_TANH, 1e300, 1},
};
/* clang-format on */

static bool same(double a, double b) { return a != a ? b != b : a == b && signbit(a) == signbit(b); }

static void check_specials(sn_elem elem, const special *list, size_t count) {
  static double x[TILE], y[TILE];
  for (size_t j = 0; j < count; j++) {
    world w = expanded(list[j].op, elem);
    for (int i = 0; i < TILE; i++) x[i] = list[j].x;
    evaluate(&w, x, y);
    double expected = elem == SN_ELEM_F32 ? (double)(float)list[j].y : list[j].y;
    if (!same(y[0], expected))
      fail_msg("%s(%a) of %s is %a, expected %a", sn_kop_name(list[j].op), list[j].x, sn_elem_name(elem), y[0],
               expected);
    end(&w);
  }
}

static void special_values_are_right(void **state) {
  (void)state;
  static const sn_elem both[] = {SN_ELEM_F32, SN_ELEM_F64};
  for (int e = 0; e < 2; e++) check_specials(both[e], specials, sizeof specials / sizeof specials[0]);
  check_specials(SN_ELEM_F32, narrow_specials, sizeof narrow_specials / sizeof narrow_specials[0]);
  check_specials(SN_ELEM_F64, wide_specials, sizeof wide_specials / sizeof wide_specials[0]);
}

/* f32: above 2^20 the nearest quarter turn is not always found, up to 2^22 the error is no more than this. */
static void large_angles_have_a_bound(void **state) {
  (void)state;
  static double x[TILE], y[TILE];
  world s = expanded(SN_K_SIN, SN_ELEM_F32), c = expanded(SN_K_COS, SN_ELEM_F32);
  for (int round = 0; round < 40; round++) {
    for (int i = 0; i < TILE; i++) x[i] = (double)(float)(0x1p20 + (round * TILE + i) * 19 * 0.999);
    evaluate(&s, x, y);
    for (int i = 0; i < TILE; i++) assert_true(fabs(y[i] - sin(x[i])) < 4e-6);
    evaluate(&c, x, y);
    for (int i = 0; i < TILE; i++) assert_true(fabs(y[i] - cos(x[i])) < 4e-6);
  }
  end(&s);
  end(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(errors_of_f32_are_within_their_bounds),
      cmocka_unit_test(errors_of_f64_are_within_their_bounds),
      cmocka_unit_test(special_values_are_right),
      cmocka_unit_test(large_angles_have_a_bound),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
