/* Narrow floats as bit patterns: bf16 and f16, to nearest even, NaN kept quiet. */
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

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
