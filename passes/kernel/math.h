/* Private to passes/kernel: what the expansions of math.c need to know of a float type. */
#ifndef SN_PASSES_KERNEL_MATH_H
#define SN_PASSES_KERNEL_MATH_H

#include "ir/types/dtype.h"

/* Coefficients, highest power first. */
typedef struct sn_poly {
  int count;
  const double *c;
} sn_poly;

/* n: a whole number, r, f, u, z: reduced arguments, a: a size. */
typedef struct sn_math {
  sn_elem elem, word;      /* the type, the integer of as many bits */
  int width, mantissa;     /* bits of the type, of its fraction */
  double one;              /* bits of 1, as a number */
  double sqrt_half;        /* bits of about 1/sqrt(2) */
  double magic;            /* n + magic has n in its low bits */
  double least;            /* the smallest normal number */
  double log2e, log2e_low; /* 1/ln 2, and what the rounding of that left */
  double ln2;
  double ln2_high, ln2_low;   /* n * high is exact */
  double exp_most, exp_least; /* above: infinite, below: 0 */
  double exp2_most, exp2_least;
  double tanh_one, erf_one; /* 1 from there on */
  double angle_most;        /* larger ones count as 0 */
  double two_by_pi;
  double turn_cut; /* n + cut - cut: n in its upper bits, with as few left below; 0: products of n are exact as it is */
  double half_pi[5]; /* -pi/2 in parts; products of n, or of its two, and all but the last are exact; 0: none */
  sn_poly exp2_q;    /* 2^r = 1 + r q(r), |r| <= 1/2 */
  sn_poly exp_q;     /* e^r = 1 + r + r^2 q(r), |r| <= ln(2)/2 */
  sn_poly expm1_q;   /* the same with the error relative to e^r - 1 */
  sn_poly log_q;     /* f32: ln(1 + f) = f + f^2 q(f), f64: ln(1 + f) = 2 s + s z q(z), s = f / (2 + f), z = s^2 */
  sn_poly log2_q;    /* f32: log2(1 + f) = f/ln 2 + f q(f); f64: none */
  sn_poly sin_q;     /* sin(r) = r + r^3 q(r^2), |r| <= pi/4 */
  sn_poly cos_q;     /* cos(r) = 1 - r^2/2 + r^4 q(r^2) */
  sn_poly erf_q;     /* erf(a) = a + a q(a^2), |a| < 1 */
  sn_poly erfc_q;    /* ln(1 - erf(a)) = a q(a), 1 <= a <= erf_one */
} sn_math;

extern const sn_math sn_math_f32, sn_math_f64;

#endif
