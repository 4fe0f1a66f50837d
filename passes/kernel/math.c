/* kernel -> kernel: elementary functions become polynomials, so that a backend needs none.
 *
 * Each function reduces its argument to a small interval, evaluates a polynomial there and undoes the reduction with
 * integer operations on the bits. Polynomials: minimax on the reduced interval (weights: relative error of the result),
 * coefficients rounded to f32 one by one from the lowest power, the others fitted again after each. Notation: n =
 * nearest integer, r, f, u: reduced arguments, k2: bits of a power of two. Every step is exact or rounded once, in f64
 * kernels as in f32. */
#include <math.h>

#include "ir/kernel/rewrite.h"
#include "passes/kernel/kernel_passes.h"

/* ---- coefficients, highest power first ---- */
/* clang-format off */
/* 2^r = 1 + r q(r), |r| <= 1/2; relative error 3.0e-9 */
static const float exp2_q[] = {0x1.416b5ep-13f, 0x1.5f082ep-10f, 0x1.3b2de0p-7f, 0x1.c6af7cp-5f, 0x1.ebfbdcp-3f, 0x1.62e430p-1f};
/* e^r = 1 + r + r^2 q(r), |r| <= ln(2)/2; 3.1e-9 */
static const float exp_q[] = {0x1.6a4f88p-10f, 0x1.123988p-7f, 0x1.5558aep-5f, 0x1.555492p-3f, 0x1.fffffcp-2f};
/* the same with the error relative to e^r - 1; 4.3e-10 */
static const float expm1_q[] = {0x1.9e6e0ap-13f, 0x1.6d3a48p-10f, 0x1.1112dap-7f, 0x1.5554f8p-5f, 0x1.555554p-3f, 0x1.0p-1f};
/* ln(1 + f) = f + f^2 q(f), 1/sqrt(2) <= 1 + f < sqrt(2); 4.2e-9 */
static const float log_q[] = {-0x1.38138ep-4f, 0x1.087500p-3f, -0x1.0f5208p-3f, 0x1.226c84p-3f, -0x1.5423e8p-3f,
                              0x1.99a41cp-3f, -0x1.000438p-2f, 0x1.555550p-2f, -0x1.fffff8p-2f};
/* log2(1 + f) = f c + f q(f), c = f32(1/ln 2); 4.6e-9 */
static const float log2_q[] = {-0x1.c1e542p-4f, 0x1.7eb926p-3f, -0x1.881706p-3f, 0x1.a2dc7ap-3f, -0x1.eaa0fep-3f,
                               0x1.277ec8p-2f, -0x1.715b00p-2f, 0x1.ec7096p-2f, -0x1.715470p-1f, 0x1.49dd38p-26f};
/* sin(r) = r + r^3 q(r^2), |r| <= 0.8; 4.6e-9 */
static const float sin_q[] = {-0x1.990f92p-13f, 0x1.1106aep-7f, -0x1.555544p-3f};
/* cos(r) = 1 - r^2/2 + r^4 q(r^2); 1.5e-10 */
static const float cos_q[] = {0x1.99911cp-16f, -0x1.6c0af4p-10f, 0x1.555548p-5f};
/* erf(a) = a + a q(a^2), |a| < 1; 1.4e-9 */
static const float erf_q[] = {0x1.4771fep-14f, -0x1.a3515ep-11f, 0x1.53f224p-8f, -0x1.b7f71ap-6f, 0x1.ce2ce6p-4f,
                              -0x1.81273ep-2f, 0x1.06eba8p-3f};
/* ln(1 - erf(a)) = a q(a), 1 <= a <= 4; error of erf 3.9e-10 */
static const float erfc_q[] = {-0x1.d45f6ep-17f, 0x1.6f9572p-12f, -0x1.ec7b30p-9f, 0x1.896050p-6f, -0x1.b45960p-4f,
                               -0x1.451ac0p-1f, -0x1.20f21cp+0f};
/* clang-format on */
#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

static const double log2e = 0x1.715476p+0, ln2 = 0x1.62e430p-1;       /* f32(1/ln 2), f32(ln 2) */
static const double ln2_high = 0x1.62e4p-1, ln2_low = 0x1.7f7d1cp-20; /* the high part has 16 bits: n * high is exact */
static const double bits_magic = 0x1.8p23;                            /* n + magic has n in its low bits */

enum { SIGN = INT32_MIN, SQRT_HALF = 0x3f3504f3 }; /* bits of f32 */

/* ---- small words ---- */

static sn_kv like(sn_kernel *k, sn_kv x, double c) {
  sn_ktype t = sn_k_type(k, x);
  return sn_k_const(k, t.elem, t.r, t.c, c);
}

static sn_kv add(sn_kernel *k, sn_kv x, double c) { return sn_k_binc(k, SN_K_ADD, x, c); }
static sn_kv mul(sn_kernel *k, sn_kv x, double c) { return sn_k_binc(k, SN_K_MUL, x, c); }
static sn_kv times(sn_kernel *k, sn_kv x, sn_kv y) { return sn_k_bin(k, SN_K_MUL, x, y); }
static sn_kv fma_const(sn_kernel *k, sn_kv x, double c, sn_kv z) { return sn_k_fma(k, x, like(k, x, c), z); }
static sn_kv less(sn_kernel *k, sn_kv x, double c) { return sn_k_binc(k, SN_K_LT, x, c); }
static sn_kv bits(sn_kernel *k, sn_kv x) { return sn_k_bitcast(k, SN_ELEM_I32, x); }
static sn_kv number(sn_kernel *k, sn_kv x) { return sn_k_bitcast(k, SN_ELEM_F32, x); }

static sn_kv horner(sn_kernel *k, sn_kv x, const float *c, int count) {
  sn_kv r = like(k, x, c[0]);
  for (int j = 1; j < count; j++) r = sn_k_fma(k, r, x, like(k, x, c[j]));
  return r;
}

/* n << 23 of a float that is an integer: what to add to the bits of x for x * 2^n */
static sn_kv exponent_bits(sn_kernel *k, sn_kv n) { return sn_k_binc(k, SN_K_SHL, bits(k, add(k, n, bits_magic)), 23); }

static sn_kv scaled(sn_kernel *k, sn_kv p, sn_kv n) {
  sn_kv b = bits(k, p);
  return number(k, sn_k_bin(k, SN_K_ADD, b, exponent_bits(k, n)));
}

/* y with the sign of x; y is not negative */
static sn_kv signed_like(sn_kernel *k, sn_kv y, sn_kv x) {
  sn_kv sign = sn_k_binc(k, SN_K_AND, bits(k, x), SIGN);
  return number(k, sn_k_bin(k, SN_K_OR, bits(k, y), sign));
}

/* y for x <= top, else infinity, and NaN for NaN: x * inf */
static sn_kv limited(sn_kernel *k, sn_kv x, sn_kv within, sn_kv y) {
  return sn_k_select(k, within, y, mul(k, x, INFINITY));
}

/* ---- exponentials ---- */

/* n = nearest(x / ln 2), x - n ln 2 */
static sn_kv reduce_exp(sn_kernel *k, sn_kv x, sn_kv *n) {
  *n = sn_k_un(k, SN_K_RINT, mul(k, x, log2e));
  sn_kv r = fma_const(k, *n, -ln2_high, x);
  return fma_const(k, *n, -ln2_low, r);
}

/* e^x within its range */
static sn_kv exp_core(sn_kernel *k, sn_kv x) {
  sn_kv n, r = reduce_exp(k, x, &n), one = like(k, x, 1);
  sn_kv p = sn_k_fma(k, horner(k, r, exp_q, COUNT(exp_q)), r, one);
  return scaled(k, sn_k_fma(k, p, r, one), n);
}

/* Above 0x1.62e42ep6 the result is infinite, below -0x1.5d589ep6 it is less than FLT_MIN. */
static sn_kv expand_exp(sn_kernel *k, sn_kv x) {
  sn_kv within = sn_k_binc(k, SN_K_LE, x, 0x1.62e42ep6);
  sn_kv y = limited(k, x, within, exp_core(k, x));
  return sn_k_select(k, less(k, x, -0x1.5d589ep6), like(k, x, 0), y);
}

static sn_kv expand_exp2(sn_kernel *k, sn_kv x) {
  sn_kv n = sn_k_un(k, SN_K_RINT, x);
  sn_kv r = sn_k_bin(k, SN_K_SUB, x, n);
  sn_kv p = sn_k_fma(k, horner(k, r, exp2_q, COUNT(exp2_q)), r, like(k, x, 1));
  sn_kv within = less(k, x, 128);
  sn_kv y = limited(k, x, within, scaled(k, p, n));
  return sn_k_select(k, less(k, x, -126), like(k, x, 0), y);
}

/* tanh |x| = e / (e + 2), e = e^(2|x|) - 1 = p 2^n + (2^n - 1), p = e^r - 1 */
static sn_kv expand_tanh(sn_kernel *k, sn_kv x) {
  sn_kv a = sn_k_un(k, SN_K_ABS, x), top = like(k, x, 9.1); /* 1 from there on; a NaN passes */
  sn_kv t = sn_k_select(k, sn_k_bin(k, SN_K_LT, top, a), top, a);
  sn_kv n, r = reduce_exp(k, sn_k_bin(k, SN_K_ADD, t, t), &n);
  sn_kv q = horner(k, r, expm1_q, COUNT(expm1_q));
  sn_kv p = sn_k_fma(k, times(k, r, r), q, r);
  sn_kv k2 = number(k, sn_k_binc(k, SN_K_ADD, exponent_bits(k, n), 0x3f800000));
  sn_kv e = sn_k_fma(k, p, k2, add(k, k2, -1));
  return signed_like(k, sn_k_bin(k, SN_K_DIV, e, add(k, e, 2)), x);
}

/* |x| < 1: a polynomial; else 1 - e^R(|x|), which is 1 from 4 on */
static sn_kv expand_erf(sn_kernel *k, sn_kv x) {
  sn_kv a = sn_k_un(k, SN_K_ABS, x), top = like(k, x, 4);
  sn_kv small = sn_k_fma(k, horner(k, times(k, x, x), erf_q, COUNT(erf_q)), a, a);
  sn_kv t = sn_k_select(k, sn_k_bin(k, SN_K_LT, top, a), top, a);
  sn_kv e = exp_core(k, times(k, horner(k, t, erfc_q, COUNT(erfc_q)), t));
  sn_kv large = sn_k_bin(k, SN_K_SUB, like(k, x, 1), e);
  return signed_like(k, sn_k_select(k, less(k, a, 1), small, large), x);
}

/* ---- logarithms ---- */

/* x = 2^i (1 + f), 1/sqrt(2) <= 1 + f < sqrt(2), for normal x > 0 */
static sn_kv reduce_log(sn_kernel *k, sn_kv x, sn_kv *i) {
  sn_kv b = bits(k, x);
  sn_kv e = sn_k_binc(k, SN_K_ADD, b, -(double)SQRT_HALF);
  *i = sn_k_cast(k, SN_ELEM_F32, sn_k_binc(k, SN_K_SAR, e, 23));
  sn_kv high = sn_k_binc(k, SN_K_AND, e, -0x1p23);
  return add(k, number(k, sn_k_bin(k, SN_K_SUB, b, high)), -1);
}

/* -inf at 0, NaN below, infinity and NaN pass */
static sn_kv log_range(sn_kernel *k, sn_kv x, sn_kv y) {
  sn_kv special = sn_k_select(k, less(k, x, 0), like(k, x, NAN), like(k, x, -INFINITY));
  sn_kv z = sn_k_select(k, less(k, x, INFINITY), y, x);
  return sn_k_select(k, less(k, x, 0x1p-126), special, z);
}

static sn_kv expand_log(sn_kernel *k, sn_kv x) {
  sn_kv i, f = reduce_log(k, x, &i);
  sn_kv p = horner(k, f, log_q, COUNT(log_q));
  sn_kv y = sn_k_fma(k, times(k, f, f), p, f);
  return log_range(k, x, fma_const(k, i, ln2, y));
}

static sn_kv expand_log2(sn_kernel *k, sn_kv x) {
  sn_kv i, f = reduce_log(k, x, &i);
  sn_kv t = times(k, horner(k, f, log2_q, COUNT(log2_q)), f);
  return log_range(k, x, sn_k_bin(k, SN_K_ADD, i, fma_const(k, f, log2e, t)));
}

/* ---- sine and cosine ---- */

/* |x| - n pi/2 in four parts; the first two are short, so that their products and differences are exact, up to n = 8192
 * also where fma rounds twice; *q: n and its bits
 *   source: Cody & Waite 1980, "Software Manual for the Elementary Functions", chapter 8 */
static sn_kv reduce_turn(sn_kernel *k, sn_kv x, sn_kv *q) {
  sn_kv a = sn_k_un(k, SN_K_ABS, x);
  a = sn_k_select(k, sn_k_binc(k, SN_K_LE, a, 0x1p22), a, like(k, x, 0));
  sn_kv n = sn_k_un(k, SN_K_RINT, mul(k, a, 0x1.45f306p-1));
  *q = bits(k, add(k, n, bits_magic));
  sn_kv r = fma_const(k, n, -0x1.92p+0, a);
  r = fma_const(k, n, -0x1.fb4p-12, r);
  r = fma_const(k, n, -0x1.4442d2p-24, r);
  return fma_const(k, n, 0x1.ee59dap-50, r);
}

/* sin(|x| + quadrant pi/2), with the sign of x when `odd` */
static sn_kv sine(sn_kernel *k, sn_kv x, int quadrant, bool odd) {
  sn_kv q, r = reduce_turn(k, x, &q), u = times(k, r, r);
  if (quadrant) q = sn_k_binc(k, SN_K_ADD, q, quadrant);
  sn_kv ps = horner(k, u, sin_q, COUNT(sin_q)), pc = horner(k, u, cos_q, COUNT(cos_q));
  sn_kv s = sn_k_fma(k, times(k, u, r), ps, r);
  sn_kv c = fma_const(k, u, -0.5, like(k, x, 1));
  c = sn_k_fma(k, times(k, u, u), pc, c);
  sn_kv is_sine = sn_k_binc(k, SN_K_EQ, sn_k_binc(k, SN_K_AND, q, 1), 0);
  sn_kv flip = sn_k_binc(k, SN_K_SHL, sn_k_binc(k, SN_K_AND, q, 2), 30);
  sn_kv y = sn_k_bin(k, SN_K_XOR, bits(k, sn_k_select(k, is_sine, s, c)), flip);
  if (odd) y = sn_k_bin(k, SN_K_XOR, y, sn_k_binc(k, SN_K_AND, bits(k, x), SIGN));
  sn_kv finite = less(k, sn_k_un(k, SN_K_ABS, x), INFINITY);
  return sn_k_select(k, finite, number(k, y), like(k, x, NAN));
}

/* ---- the pass ---- */

static sn_kv expand(sn_krewrite *w, sn_kv v) { /* table */
  const sn_kins *x = sn_k_ins(w->from, v);
  if (sn_kop_class(x->op) != SN_KCLASS_UN || x->type.elem != SN_ELEM_F32) return 0;
  sn_kv a = sn_krewrite_value(w, x->a[0]);
  switch (x->op) {
    case SN_K_EXP: return expand_exp(w->to, a);
    case SN_K_EXP2: return expand_exp2(w->to, a);
    case SN_K_LOG: return expand_log(w->to, a);
    case SN_K_LOG2: return expand_log2(w->to, a);
    case SN_K_SIN: return sine(w->to, a, 0, true);
    case SN_K_COS: return sine(w->to, a, 1, false);
    case SN_K_TANH: return expand_tanh(w->to, a);
    case SN_K_ERF: return expand_erf(w->to, a);
    default: return 0;
  }
}

sn_kernel *sn_kernel_expand_math(sn_arena *arena, const sn_kernel *k) {
  sn_krewrite w = {.visit = expand};
  return sn_krewrite_run(&w, arena, k);
}
