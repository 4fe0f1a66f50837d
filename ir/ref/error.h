/* Private to ir/ref: the model of rounding behind the error bounds of the graph interpreter.
 *
 * A value v with bound e stands for: an execution in the declared type may hold any number within e of v. u is the unit
 * roundoff of the type. Denormals may be flushed: results below the smallest normal have its size as an error. */
#ifndef SN_IR_REF_ERROR_H
#define SN_IR_REF_ERROR_H

#include <float.h>
#include <math.h>
#include <stdint.h>

#include "ir/types/dtype.h"

/* Smallest normal number. */
static inline double sn_elem_tiny(sn_elem e) {
  switch (e) {
    case SN_ELEM_F64: return DBL_MIN;
    case SN_ELEM_F16:
    case SN_ELEM_F8E5M2: return 6.103515625e-5;
    case SN_ELEM_F8E4M3: return 0x1p-6;
    default: return (double)FLT_MIN;
  }
}

static inline double sn_elem_max(sn_elem e) {
  switch (e) {
    case SN_ELEM_F64: return DBL_MAX;
    case SN_ELEM_F16: return 65504;
    case SN_ELEM_F8E4M3: return 448;
    case SN_ELEM_F8E5M2: return 57344;
    case SN_ELEM_BF16: return 3.3895313892515355e38;
    default: return (double)FLT_MAX;
  }
}

static inline bool sn_elem_is_byte(sn_elem e) { return e == SN_ELEM_F8E4M3 || e == SN_ELEM_F8E5M2; }

/* Absolute error below the smallest normal number. f8 is never flushed: half a step, or a whole one where f32 rounds
 * before it. */
static inline double sn_elem_flush(sn_elem e) {
  return e == SN_ELEM_F8E4M3 ? 0x1p-9 : e == SN_ELEM_F8E5M2 ? 0x1p-16 : sn_elem_tiny(e);
}

/* Roundoff that bounds count with: the interpreter itself rounds to f64, so f64 counts twice. */
static inline double sn_unit(sn_elem e) { return e == SN_ELEM_F64 ? 0x1p-52 : sn_elem_roundoff(e); }

/* Nearest number of the type. */
static inline double sn_elem_round(sn_elem e, double x) {
  return e == SN_ELEM_F64 ? x : e == SN_ELEM_F32 ? (double)(float)x : sn_elem_nearest(e, x);
}

/* What sums and statistics are kept in. */
static inline sn_elem sn_acc_of(sn_elem e) { return e == SN_ELEM_F64 ? SN_ELEM_F64 : SN_ELEM_F32; }

/* a * b with 0 * anything = 0: for bounds, which may be infinite. */
static inline double sn_times(double a, double b) { return a == 0 || b == 0 ? 0 : a * b; }

/* Error of rounding a result v, known within e, to the type: `units` roundoffs. */
static inline double sn_rounding(sn_elem elem, double u, double v, double e, double units) {
  double size = fabs(v) + e, tiny = sn_elem_tiny(elem);
  return size == 0 ? 0 : units * u * size + (fabs(v) - e < 2 * tiny ? sn_elem_flush(elem) : 0);
}

/* Error of a sum of n terms in any order, with roundoff u: sizes is the sum of |terms|. */
static inline double sn_gamma(double n, double u) { return n * u < 0.5 ? n * u / (1 - n * u) : INFINITY; }

/* A bound that cannot be computed is infinite; one near overflow too. */
static inline double sn_settle(sn_elem elem, double v, double e) {
  if (isnan(e) || (isfinite(v) && fabs(v) + e > sn_elem_max(elem))) return INFINITY;
  return e;
}

/* Integers wrap to the width of their type. */
static inline int64_t sn_wrap(sn_elem e, int64_t x) {
  switch (e) {
    case SN_ELEM_I32: return (int32_t)(uint32_t)(uint64_t)x;
    case SN_ELEM_I8: return (int8_t)(uint8_t)(uint64_t)x;
    case SN_ELEM_U8: return (uint8_t)(uint64_t)x;
    case SN_ELEM_BOOL: return x != 0;
    default: return x;
  }
}

#endif
