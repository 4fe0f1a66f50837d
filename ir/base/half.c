/* Narrow floats: conversions between f32 and bf16, f16 and f8 bit patterns, to nearest even. Used by interpreters and
 * constants. */
#include "ir/base/half.h"

#include <string.h>

static uint32_t bits_of(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

static float float_of(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

/* u / 2^shift to nearest even.   needs: 0 < shift < 32 */
static uint32_t shift_round(uint32_t u, int shift) {
  uint32_t kept = u >> shift, rest = u & ((1u << shift) - 1), half = 1u << (shift - 1);
  return kept + (rest > half || (rest == half && (kept & 1)));
}

uint16_t sn_bf16_from_f32(float x) {
  uint32_t u = bits_of(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40);
  return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

float sn_f32_from_bf16(uint16_t x) { return float_of((uint32_t)x << 16); }

uint16_t sn_f16_from_f32(float x) {
  uint32_t u = bits_of(x), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff;
  int exponent = (int)(magnitude >> 23) - 127;
  if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
  if (exponent > 15) return (uint16_t)(sign | 0x7c00);
  if (exponent >= -14) return (uint16_t)(sign + (shift_round(magnitude, 13) - (112u << 10)));
  if (exponent < -25) return (uint16_t)sign;
  return (uint16_t)(sign | shift_round((magnitude & 0x7fffff) | 0x800000, -1 - exponent));
}

float sn_f32_from_f16(uint16_t x) {
  uint32_t sign = (uint32_t)(x & 0x8000) << 16, exponent = x >> 10 & 31, fraction = x & 0x3ff;
  if (exponent == 31) return float_of(sign | 0x7f800000 | (fraction ? 0x400000 | fraction << 13 : 0));
  if (exponent) return float_of(sign | (exponent + 112) << 23 | fraction << 13);
  float tiny = (float)fraction * 0x1p-24f;
  return sign ? -tiny : tiny;
}

/* ---- one byte ---- */

typedef struct format {
  int mantissa, bias;        /* bits; of the exponent */
  uint8_t largest, inf, nan; /* patterns without sign */
} format;

static const format e4m3 = {3, 7, 0x7e, 0x7f, 0x7f}, e5m2 = {2, 15, 0x7b, 0x7c, 0x7e};

static uint8_t narrow(const format *f, float x) {
  uint32_t u = bits_of(x), sign = u >> 24 & 0x80, magnitude = u & 0x7fffffff, r;
  int exponent = (int)(magnitude >> 23) - 127, least = 1 - f->bias;
  if (magnitude >= 0x7f800000u) return (uint8_t)(sign | (magnitude > 0x7f800000u ? f->nan : f->inf));
  if (exponent >= least)
    r = shift_round(magnitude, 23 - f->mantissa) - ((uint32_t)(127 - f->bias) << f->mantissa);
  else if (exponent < least - f->mantissa - 1)
    r = 0;
  else
    r = shift_round((magnitude & 0x7fffff) | 0x800000, 23 - f->mantissa + least - exponent);
  return (uint8_t)(sign | (r > f->largest ? f->largest : r));
}

static float wide(const format *f, uint8_t x) {
  uint32_t sign = (uint32_t)(x & 0x80) << 24, body = x & 0x7f, exponent = body >> f->mantissa;
  if (body > f->largest) return float_of(sign | (body == f->inf && f->inf != f->nan ? 0x7f800000 : 0x7fc00000));
  if (exponent) return float_of(sign | ((body << (23 - f->mantissa)) + ((uint32_t)(127 - f->bias) << 23)));
  float tiny = (float)body * float_of((uint32_t)(127 + 1 - f->bias - f->mantissa) << 23);
  return sign ? -tiny : tiny;
}

uint8_t sn_f8e4m3_from_f32(float x) { return narrow(&e4m3, x); }
float sn_f32_from_f8e4m3(uint8_t x) { return wide(&e4m3, x); }
uint8_t sn_f8e5m2_from_f32(float x) { return narrow(&e5m2, x); }
float sn_f32_from_f8e5m2(uint8_t x) { return wide(&e5m2, x); }
