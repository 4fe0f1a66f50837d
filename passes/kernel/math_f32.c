/* What the expansions of math.c need to know of f32. Polynomials are minimax on the reduced interval (weights: relative
 * error of the result), their coefficients rounded to f32 one by one from the lowest power, the others fitted again
 * after each. Remarks: largest relative error of the result. */
#include "passes/kernel/math.h"

/* clang-format off */
/* 3.0e-9 */
static const double exp2_q[] = {0x1.416b5ep-13, 0x1.5f082ep-10, 0x1.3b2de0p-7, 0x1.c6af7cp-5, 0x1.ebfbdcp-3, 0x1.62e430p-1};
/* 3.1e-9 */
static const double exp_q[] = {0x1.6a4f88p-10, 0x1.123988p-7, 0x1.5558aep-5, 0x1.555492p-3, 0x1.fffffcp-2};
/* 4.3e-10 */
static const double expm1_q[] = {0x1.9e6e0ap-13, 0x1.6d3a48p-10, 0x1.1112dap-7, 0x1.5554f8p-5, 0x1.555554p-3, 0x1.0p-1};
/* 4.2e-9 */
static const double log_q[] = {-0x1.38138ep-4, 0x1.087500p-3, -0x1.0f5208p-3, 0x1.226c84p-3, -0x1.5423e8p-3,
                              0x1.99a41cp-3, -0x1.000438p-2, 0x1.555550p-2, -0x1.fffff8p-2};
/* 4.6e-9 */
static const double log2_q[] = {-0x1.c1e542p-4, 0x1.7eb926p-3, -0x1.881706p-3, 0x1.a2dc7ap-3, -0x1.eaa0fep-3,
                               0x1.277ec8p-2, -0x1.715b00p-2, 0x1.ec7096p-2, -0x1.715470p-1, 0x1.49dd38p-26};
/* 4.6e-9 */
static const double sin_q[] = {-0x1.990f92p-13, 0x1.1106aep-7, -0x1.555544p-3};
/* 1.5e-10 */
static const double cos_q[] = {0x1.99911cp-16, -0x1.6c0af4p-10, 0x1.555548p-5};
/* 1.4e-9 */
static const double erf_q[] = {0x1.4771fep-14, -0x1.a3515ep-11, 0x1.53f224p-8, -0x1.b7f71ap-6, 0x1.ce2ce6p-4,
                              -0x1.81273ep-2, 0x1.06eba8p-3};
/* 3.9e-10 */
static const double erfc_q[] = {-0x1.d45f6ep-17, 0x1.6f9572p-12, -0x1.ec7b30p-9, 0x1.896050p-6, -0x1.b45960p-4,
                               -0x1.451ac0p-1, -0x1.20f21cp+0};

#define POLY(a) {(int)(sizeof(a) / sizeof(a)[0]), a}

const sn_math sn_math_f32 = {
  .elem = SN_ELEM_F32, .word = SN_ELEM_I32, .width = 32, .mantissa = 23,
  .one = 0x3f800000, .sqrt_half = 0x3f3504f3, .magic = 0x1.8p23, .least = 0x1p-126,
  .log2e = 0x1.715476p+0, .ln2 = 0x1.62e430p-1,
  .ln2_high = 0x1.62e4p-1, .ln2_low = 0x1.7f7d1cp-20, /* 16 bits, the rest */
  .exp_most = 0x1.62e42ep6, .exp_least = -0x1.5d589ep6, .exp2_most = 128, .exp2_least = -126,
  .tanh_one = 9.1, .erf_one = 4,
  .angle_most = 0x1p22, .two_by_pi = 0x1.45f306p-1,
  .turn_cut = 0x1.8p34, /* multiples of 2^11: 11 bits above and 11 below, up to n = 2^22 */
  .half_pi = {-0x1.922p+0, 0x1.2cp-18, -0x1.11p-26, -0x1.68cp-39, -0x1.1a6264p-54}, /* 13 bits each, the rest */
  .exp2_q = POLY(exp2_q), .exp_q = POLY(exp_q), .expm1_q = POLY(expm1_q), .log_q = POLY(log_q), .log2_q = POLY(log2_q),
  .sin_q = POLY(sin_q), .cos_q = POLY(cos_q), .erf_q = POLY(erf_q), .erfc_q = POLY(erfc_q),
};
/* clang-format on */
