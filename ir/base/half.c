/* Narrow floats: conversions between f32 and bf16 / f16 bit patterns, to nearest even. Used by interpreters and
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
