/* What the expansions of math.c need to know of f64: minimax polynomials and parts of constants, as
 * tests/passes/make_math.py prints them. Remarks: largest relative error of the result. */
#include "passes/kernel/math.h"

/* clang-format off */
/* 2^-54.8 */
static const double exp2_q[] = {0x1.e79a9dadf6718p-32, 0x1.e61ca24abd65bp-28, 0x1.b5267f5ab8433p-24, 0x1.62bfc6e438d78p-20, 0x1.ffcbfba770183p-17,
                                0x1.4309130f1d924p-13, 0x1.5d87fe78ce0b2p-10, 0x1.3b2ab6fb9ffddp-7, 0x1.c6b08d7049fe4p-5, 0x1.ebfbdff82c5a5p-3,
                                0x1.62e42fefa39efp-1};
/* 2^-56.8 */
static const double exp_q[] = {0x1.ad7e8a2156f05p-26, 0x1.28ae348805389p-22, 0x1.71df271ff99fbp-19, 0x1.a0199944336ecp-16, 0x1.a01a0128fd1a4p-13,
                               0x1.6c16c1846fd6cp-10, 0x1.1111111128176p-7, 0x1.5555555550754p-5, 0x1.55555555554f8p-3, 0x1.000000000000ap-1};
/* 2^-60.0 */
static const double expm1_q[] = {0x1.1ee889d21134fp-29, 0x1.af5f684197d7ap-26, 0x1.27e53699aeef2p-22, 0x1.71ddf7fe80819p-19, 0x1.a01a017b5e75bp-16,
                                 0x1.a01a01b001e2ap-13, 0x1.6c16c16c1f277p-10, 0x1.111111110f674p-7, 0x1.555555555553ep-5, 0x1.5555555555559p-3,
                                 0x1.0p-1};
/* 2^-58.8 */
static const double log_q[] = {0x1.2f07f535ac0d2p-3, 0x1.39a17c8dd26a9p-3, 0x1.7466413129745p-3, 0x1.c71c51fedd402p-3, 0x1.24924941fd405p-2,
                               0x1.999999997fcecp-2, 0x1.5555555555592p-1};
/* 2^-56.4 */
static const double sin_q[] = {0x1.5d8f9527caa2fp-33, -0x1.ae5e59c68c38ep-26, 0x1.71de3566d7bc8p-19, -0x1.a01a019bfcd61p-13, 0x1.111111110f7c8p-7,
                               -0x1.5555555555548p-3};
/* 2^-59.6 */
static const double cos_q[] = {-0x1.8fa457062f22bp-37, 0x1.1ee9d73683cbbp-29, -0x1.27e4f7ea0f75dp-22, 0x1.a01a019c835b2p-16, -0x1.6c16c16c14f88p-10,
                               0x1.555555555554bp-5};
/* 2^-56.3 */
static const double erf_q[] = {0x1.05799ea0e8141p-34, -0x1.386abbd18ced5p-30, 0x1.f7a41069f062cp-27, -0x1.5f1d369414b6ep-23, 0x1.b9def197fda05p-20,
                               -0x1.f4d1df38c9cf5p-17, 0x1.f9a321a11681bp-14, -0x1.c02db3d8ecdf0p-11, 0x1.565bcd0db02cap-8, -0x1.b82ce3128499cp-6,
                               0x1.ce2f21a042b20p-4, -0x1.812746b0379e6p-2, 0x1.06eba8214db69p-3};
/* 2^-56.2 */
static const double erfc_q[] = {0x1.ab7e32e8abea8p-40, -0x1.289fefa737c8ap-34, 0x1.817b8c1b2e57dp-30, -0x1.3779fa3a60f2cp-26, 0x1.5e15b19dd8dafp-23,
                                -0x1.21673893ef95ap-20, 0x1.6964607ed5284p-18, -0x1.556f22e03d440p-16, 0x1.d613f088b8fa1p-15, -0x1.907dd35a28fa2p-14,
                                0x1.04ce1b6ed527ap-20, 0x1.2d49f33de0855p-11, -0x1.bbb5459b40490p-10, 0x1.bcadd5638b42cp-13, 0x1.3957e8a99d859p-6,
                                -0x1.a4f305a933f6ep-4, -0x1.45f316fbb88d7p-1, -0x1.20dd74128e8ebp+0};

#define POLY(a) {(int)(sizeof(a) / sizeof(a)[0]), a}

const sn_math sn_math_f64 = {
  .elem = SN_ELEM_F64, .word = SN_ELEM_I64, .width = 64, .mantissa = 52,
  .one = 0x3ffp52, .sqrt_half = 0x3fe6a09ep32, .magic = 0x1.8p52, .least = 0x1p-1022,
  .log2e = 0x1.71547652b82fep+0, .log2e_low = 0x1.777d0ffda0d24p-56, .ln2 = 0x1.62e42fefa39efp-1,
  .ln2_high = 0x1.62e42fefa3p-1, .ln2_low = 0x1.3de6af278ece6p-42, /* 41 bits, the rest */
  .exp_most = 0x1.62e42fefa39efp9, .exp_least = -0x1.6232bdd7abcd2p9, .exp2_most = 1024, .exp2_least = -1022,
  .tanh_one = 19.1, .erf_one = 6,
  .angle_most = 0x1p26, .two_by_pi = 0x1.45f306dc9c883p-1,
  .half_pi = {-0x1.921fb54p+0, -0x1.10b46p-30, -0x1.1a6263p-54, -0x1.8a2e03707344ap-81}, /* exact up to n = 2^26 */
  .exp2_q = POLY(exp2_q), .exp_q = POLY(exp_q), .expm1_q = POLY(expm1_q), .log_q = POLY(log_q),
  .sin_q = POLY(sin_q), .cos_q = POLY(cos_q), .erf_q = POLY(erf_q), .erfc_q = POLY(erfc_q),
};
/* clang-format on */
