/* kernel -> kernel: elementary functions become polynomials, so that a backend needs none.
 *
 * Each function reduces its argument to a small interval, evaluates a polynomial there and undoes the reduction with
 * integer operations on the bits. The numbers of either float type are in math_f32.c and math_f64.c, what they mean in
 * math.h. Notation: n = nearest integer, r, f, u, z: reduced arguments, k2: bits of a power of two. `above`: n as the
 * low bits of a number so large that adding it rounded to n. Every step is exact or rounded once. */
#include "passes/kernel/math.h"

#include <math.h>

#include "ir/kernel/rewrite.h"
#include "passes/kernel/kernel_passes.h"

/* ---- small words ---- */

/* The kernel that is built, and the numbers of the type in hand. */
typedef struct math {
  sn_kernel *k;
  const sn_math *of;
} math;

static sn_kv like(math m, sn_kv x, double c) {
  sn_ktype t = sn_k_type(m.k, x);
  return sn_k_const(m.k, t.elem, t.r, t.c, c);
}

static sn_kv add(math m, sn_kv x, double c) { return sn_k_binc(m.k, SN_K_ADD, x, c); }
static sn_kv mul(math m, sn_kv x, double c) { return sn_k_binc(m.k, SN_K_MUL, x, c); }
static sn_kv minus(math m, sn_kv x, sn_kv y) { return sn_k_bin(m.k, SN_K_SUB, x, y); }
static sn_kv times(math m, sn_kv x, sn_kv y) { return sn_k_bin(m.k, SN_K_MUL, x, y); }
static sn_kv fma_of(math m, sn_kv x, sn_kv y, sn_kv z) { return sn_k_fma(m.k, x, y, z); }
static sn_kv fma_const(math m, sn_kv x, double c, sn_kv z) { return sn_k_fma(m.k, x, like(m, x, c), z); }
static sn_kv less(math m, sn_kv x, double c) { return sn_k_binc(m.k, SN_K_LT, x, c); }
static sn_kv bits(math m, sn_kv x) { return sn_k_bitcast(m.k, m.of->word, x); }
static sn_kv number(math m, sn_kv x) { return sn_k_bitcast(m.k, m.of->elem, x); }
static double sign(math m) { return -ldexp(1, m.of->width - 1); } /* the bit, as a number */

static sn_kv horner(math m, sn_kv x, sn_poly p) {
  sn_kv r = like(m, x, p.c[0]);
  for (int j = 1; j < p.count; j++) r = fma_of(m, r, x, like(m, x, p.c[j]));
  return r;
}

/* x c + magic: rounded to the whole number n above magic, whose low bits are those of n */
static sn_kv above_magic(math m, sn_kv x, double c) { return fma_const(m, x, c, like(m, x, m.of->magic)); }
static sn_kv whole(math m, sn_kv above) { return add(m, above, -m.of->magic); }

/* n as exponent bits: what to add to the bits of x for x * 2^n */
static sn_kv exponent_bits(math m, sn_kv above) { return sn_k_binc(m.k, SN_K_SHL, bits(m, above), m.of->mantissa); }

static sn_kv scaled(math m, sn_kv p, sn_kv above) {
  sn_kv b = bits(m, p);
  return number(m, sn_k_bin(m.k, SN_K_ADD, b, exponent_bits(m, above)));
}

/* y with the sign of x; y is not negative */
static sn_kv signed_like(math m, sn_kv y, sn_kv x) {
  sn_kv s = sn_k_binc(m.k, SN_K_AND, bits(m, x), sign(m));
  return number(m, sn_k_bin(m.k, SN_K_OR, bits(m, y), s));
}

/* min(a, top), but a NaN passes */
static sn_kv at_most(math m, sn_kv a, double top) {
  sn_kv t = like(m, a, top);
  return sn_k_select(m.k, sn_k_bin(m.k, SN_K_LT, t, a), t, a);
}

/* y for x <= top, else infinity, and NaN for NaN: x * inf */
static sn_kv limited(math m, sn_kv x, sn_kv within, sn_kv y) {
  return sn_k_select(m.k, within, y, mul(m, x, INFINITY));
}

/* ---- exponentials ---- */

/* n = nearest(x / ln 2), above magic; -> x - n ln 2. Where |x| is too large for n, the callers have other results. */
static sn_kv reduce_exp(math m, sn_kv x, sn_kv *above) {
  *above = above_magic(m, x, m.of->log2e);
  sn_kv n = whole(m, *above), r = fma_const(m, n, -m.of->ln2_high, x);
  return fma_const(m, n, -m.of->ln2_low, r);
}

/* e^x within its range */
static sn_kv exp_core(math m, sn_kv x) {
  sn_kv n, r = reduce_exp(m, x, &n), one = like(m, x, 1);
  sn_kv p = fma_of(m, horner(m, r, m.of->exp_q), r, one);
  return scaled(m, fma_of(m, p, r, one), n);
}

/* min(.., c) with c <= most */
static bool is_at_most(math m, sn_kv x, double most) {
  const sn_kins *min = sn_k_ins(m.k, x);
  const sn_kins *c = min->op == SN_K_MIN ? sn_k_ins(m.k, min->a[1]) : NULL;
  return c && c->op == SN_K_CONST && c->f <= most;
}

static sn_kv expand_exp(math m, sn_kv x) {
  sn_kv y = exp_core(m, x);
  if (!is_at_most(m, x, m.of->exp_most)) y = limited(m, x, sn_k_binc(m.k, SN_K_LE, x, m.of->exp_most), y);
  return sn_k_select(m.k, less(m, x, m.of->exp_least), like(m, x, 0), y);
}

static sn_kv expand_exp2(math m, sn_kv x) {
  sn_kv n = add(m, x, m.of->magic), r = minus(m, x, whole(m, n));
  sn_kv p = fma_of(m, horner(m, r, m.of->exp2_q), r, like(m, x, 1));
  sn_kv within = less(m, x, m.of->exp2_most);
  sn_kv y = limited(m, x, within, scaled(m, p, n));
  return sn_k_select(m.k, less(m, x, m.of->exp2_least), like(m, x, 0), y);
}

/* tanh |x| = e / (e + 2), e = e^(2|x|) - 1 = p 2^n + (2^n - 1), p = e^r - 1 */
static sn_kv expand_tanh(math m, sn_kv x) {
  sn_kv t = at_most(m, sn_k_un(m.k, SN_K_ABS, x), m.of->tanh_one);
  sn_kv n, r = reduce_exp(m, sn_k_bin(m.k, SN_K_ADD, t, t), &n);
  sn_kv q = horner(m, r, m.of->expm1_q);
  sn_kv p = fma_of(m, times(m, r, r), q, r);
  sn_kv k2 = number(m, sn_k_binc(m.k, SN_K_ADD, exponent_bits(m, n), m.of->one));
  sn_kv e = fma_of(m, p, k2, add(m, k2, -1));
  return signed_like(m, sn_k_bin(m.k, SN_K_DIV, e, add(m, e, 2)), x);
}

/* |x| < 1: a polynomial; else 1 - e^R(|x|) */
static sn_kv expand_erf(math m, sn_kv x) {
  sn_kv a = sn_k_un(m.k, SN_K_ABS, x);
  sn_kv small = fma_of(m, horner(m, times(m, x, x), m.of->erf_q), a, a);
  sn_kv t = at_most(m, a, m.of->erf_one);
  sn_kv e = exp_core(m, times(m, horner(m, t, m.of->erfc_q), t));
  sn_kv large = minus(m, like(m, x, 1), e);
  return signed_like(m, sn_k_select(m.k, less(m, a, 1), small, large), x);
}

/* ---- logarithms ---- */

/* x = 2^i (1 + f), 1/sqrt(2) <= 1 + f < sqrt(2), for normal x > 0 */
static sn_kv reduce_log(math m, sn_kv x, sn_kv *i) {
  sn_kv b = bits(m, x);
  sn_kv e = sn_k_binc(m.k, SN_K_ADD, b, -m.of->sqrt_half);
  *i = sn_k_cast(m.k, m.of->elem, sn_k_binc(m.k, SN_K_SAR, e, m.of->mantissa));
  sn_kv high = sn_k_binc(m.k, SN_K_AND, e, -ldexp(1, m.of->mantissa));
  return add(m, number(m, sn_k_bin(m.k, SN_K_SUB, b, high)), -1);
}

/* -inf at 0, NaN below, infinity and NaN pass */
static sn_kv log_range(math m, sn_kv x, sn_kv y) {
  sn_kv special = sn_k_select(m.k, less(m, x, 0), like(m, x, NAN), like(m, x, -INFINITY));
  sn_kv z = sn_k_select(m.k, less(m, x, INFINITY), y, x);
  return sn_k_select(m.k, less(m, x, m.of->least), special, z);
}

/* ln(1 + f) = f - (h - u), h = f^2/2, u = s (h + z q(z)): with 2 s = f - s f and s f = h - s h the series
 * 2 s + s z q(z) of ln((1 + s)/(1 - s)) becomes one whose large terms are exact. -> u, h */
static sn_kv log_tail(math m, sn_kv f, sn_kv *h) {
  sn_kv s = sn_k_bin(m.k, SN_K_DIV, f, add(m, f, 2)), z = times(m, s, s);
  *h = times(m, mul(m, f, 0.5), f);
  return times(m, s, fma_of(m, horner(m, z, m.of->log_q), z, *h));
}

static sn_kv expand_log(math m, sn_kv x) {
  sn_kv i, f = reduce_log(m, x, &i), h;
  if (m.of->elem == SN_ELEM_F64) {
    sn_kv u = fma_const(m, i, m.of->ln2_low, log_tail(m, f, &h));
    return log_range(m, x, fma_const(m, i, m.of->ln2_high, minus(m, f, minus(m, h, u))));
  }
  sn_kv p = horner(m, f, m.of->log_q);
  sn_kv y = fma_of(m, times(m, f, f), p, f);
  return log_range(m, x, fma_const(m, i, m.of->ln2, y));
}

static sn_kv expand_log2(math m, sn_kv x) {
  sn_kv i, f = reduce_log(m, x, &i), h, t;
  if (m.of->elem == SN_ELEM_F64) {
    sn_kv u = log_tail(m, f, &h);
    t = fma_const(m, minus(m, h, u), -m.of->log2e, mul(m, f, m.of->log2e_low));
  } else {
    t = times(m, horner(m, f, m.of->log2_q), f);
  }
  return log_range(m, x, sn_k_bin(m.k, SN_K_ADD, i, fma_const(m, f, m.of->log2e, t)));
}

/* ---- sine and cosine ---- */

/* |x| - n pi/2 in parts; the first ones are short, so that their products are exact also where fma rounds twice:
 * baseline processors, and many drivers of Vulkan. *q: n and its bits
 *   source: Cody & Waite 1980, "Software Manual for the Elementary Functions", chapter 8 */
static sn_kv reduce_turn(math m, sn_kv x, sn_kv *q) {
  sn_kv r = sn_k_un(m.k, SN_K_ABS, x);
  r = sn_k_select(m.k, sn_k_binc(m.k, SN_K_LE, r, m.of->angle_most), r, like(m, r, 0));
  sn_kv n = sn_k_un(m.k, SN_K_RINT, mul(m, r, m.of->two_by_pi));
  *q = bits(m, add(m, n, m.of->magic));
  sn_kv high = n, low = 0;
  if (m.of->turn_cut != 0) {
    high = add(m, add(m, n, m.of->turn_cut), -m.of->turn_cut);
    low = minus(m, n, high);
  }
  for (int j = 0; j < 4; j++) {
    r = fma_const(m, high, m.of->half_pi[j], r);
    if (low) r = fma_const(m, low, m.of->half_pi[j], r);
  }
  return low ? fma_const(m, n, m.of->half_pi[4], r) : r;
}

/* sin(|x| + quadrant pi/2), with the sign of x when `odd` */
static sn_kv sine(math m, sn_kv x, int quadrant, bool odd) {
  sn_kernel *k = m.k;
  sn_kv q, r = reduce_turn(m, x, &q), u = times(m, r, r);
  if (quadrant) q = sn_k_binc(k, SN_K_ADD, q, quadrant);
  sn_kv ps = horner(m, u, m.of->sin_q), pc = horner(m, u, m.of->cos_q);
  sn_kv s = fma_of(m, times(m, u, r), ps, r);
  sn_kv c = fma_const(m, u, -0.5, like(m, x, 1));
  c = fma_of(m, times(m, u, u), pc, c);
  sn_kv is_sine = sn_k_binc(k, SN_K_EQ, sn_k_binc(k, SN_K_AND, q, 1), 0);
  sn_kv flip = sn_k_binc(k, SN_K_SHL, sn_k_binc(k, SN_K_AND, q, 2), m.of->width - 2);
  sn_kv y = sn_k_bin(k, SN_K_XOR, bits(m, sn_k_select(k, is_sine, s, c)), flip);
  if (odd) y = sn_k_bin(k, SN_K_XOR, y, sn_k_binc(k, SN_K_AND, bits(m, x), sign(m)));
  sn_kv finite = less(m, sn_k_un(k, SN_K_ABS, x), INFINITY);
  return sn_k_select(k, finite, number(m, y), like(m, x, NAN));
}

/* ---- the pass ---- */

static sn_kv expand(sn_krewrite *w, sn_kv v) { /* table */
  const sn_kins *x = sn_k_ins(w->from, v);
  if (!sn_kop_is_elementary(x->op)) return 0;
  math m = {w->to, x->type.elem == SN_ELEM_F64 ? &sn_math_f64 : &sn_math_f32};
  sn_kv a = sn_krewrite_value(w, x->a[0]);
  switch (x->op) {
    case SN_K_EXP: return expand_exp(m, a);
    case SN_K_EXP2: return expand_exp2(m, a);
    case SN_K_LOG: return expand_log(m, a);
    case SN_K_LOG2: return expand_log2(m, a);
    case SN_K_SIN: return sine(m, a, 0, true);
    case SN_K_COS: return sine(m, a, 1, false);
    case SN_K_TANH: return expand_tanh(m, a);
    default: return expand_erf(m, a);
  }
}

sn_kernel *sn_kernel_expand_math(sn_arena *arena, const sn_kernel *k) {
  sn_krewrite w = {.visit = expand};
  return sn_krewrite_run(&w, arena, k);
}
