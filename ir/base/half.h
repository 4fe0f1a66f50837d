/* Narrow floats as bit patterns: bf16, f16 and the two of one byte, to nearest even, NaN kept quiet.
 *
 * f8e4m3 has no infinity, f8e5m2 has. A finite number too large for them becomes the largest they have (448, 57344);
 * infinities stay, as NaN in f8e4m3.   source: OCP 8-bit Floating Point Specification 1.0, sections 5.1 and 5.2 */
#ifndef SN_IR_BASE_HALF_H
#define SN_IR_BASE_HALF_H

#include <stdint.h>

#ifdef __GNUC__
#pragma GCC visibility push(default) /* loaded backends call these */
#endif

uint16_t sn_bf16_from_f32(float x);
float sn_f32_from_bf16(uint16_t x);
uint16_t sn_f16_from_f32(float x);
float sn_f32_from_f16(uint16_t x);
uint8_t sn_f8e4m3_from_f32(float x);
float sn_f32_from_f8e4m3(uint8_t x);
uint8_t sn_f8e5m2_from_f32(float x);
float sn_f32_from_f8e5m2(uint8_t x);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
