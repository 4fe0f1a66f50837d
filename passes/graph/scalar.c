/* Elementwise ops on constants: f64 arithmetic, then one rounding to the type. Serves fold and canon. */
#include "passes/graph/scalar.h"

#include <math.h>
#include <stdint.h>

static const double exact_max = 9007199254740992.0; /* 2^53: integers are exact in f64 up to here */

/* Range of an integer type, cut to what f64 holds exactly. */
static void int_range(sn_elem e, double *min, double *max) {
  switch (e) {
    case SN_ELEM_I32: *min = -2147483648.0, *max = 2147483647.0; return;
    case SN_ELEM_I8: *min = -128, *max = 127; return;
    case SN_ELEM_U8: *min = 0, *max = 255; return;
    case SN_ELEM_BOOL: *min = 0, *max = 1; return;
    default: *min = -exact_max, *max = exact_max; return;
  }
}

bool sn_scalar_round(sn_elem e, double x, double *out) {
  double min, max;
  if (sn_elem_is_float(e)) return *out = sn_elem_nearest(e, x), true;
  int_range(e, &min, &max);
  if (!(x >= min && x <= max) || x != floor(x)) return false;
  *out = x;
  return true;
}

bool sn_elem_contains(sn_elem wide, sn_elem narrow) {
  if (wide == narrow || narrow == SN_ELEM_BOOL) return true;
  bool bytes = narrow == SN_ELEM_I8 || narrow == SN_ELEM_U8;
  bool small = bytes || narrow == SN_ELEM_F8E4M3 || narrow == SN_ELEM_F8E5M2;
  switch (wide) {
    case SN_ELEM_F64: return narrow != SN_ELEM_I64;
    case SN_ELEM_F32: return small || narrow == SN_ELEM_F16 || narrow == SN_ELEM_BF16;
    case SN_ELEM_F16:
    case SN_ELEM_BF16: return small;
    case SN_ELEM_I64: return bytes || narrow == SN_ELEM_I32;
    case SN_ELEM_I32: return bytes;
    default: return false;
  }
}

static double sign_of(double x) { return isnan(x) ? x : (x > 0) - (x < 0); }

/* Float to integer truncates, saturates, and takes NaN to 0; integers must fit. */
static bool cast_scalar(sn_elem from, sn_elem to, double x, double *out) {
  double min, max;
  if (sn_elem_is_float(to)) return sn_scalar_round(to, x, out);
  if (to == SN_ELEM_BOOL || !sn_elem_is_float(from)) return sn_scalar_round(to, x, out);
  int_range(to, &min, &max);
  x = isnan(x) ? 0 : trunc(x);
  if (to == SN_ELEM_I64 && !(fabs(x) <= exact_max)) return false;
  *out = (x < min ? min : x > max ? max : x) + 0.0;
  return true;
}

static bool eval_float(sn_op op, const double *x, double *out) {
  switch (op) { /* table */
    case SN_OP_NEG: *out = -x[0]; return true;
    case SN_OP_ABS: *out = fabs(x[0]); return true;
    case SN_OP_SIGN: *out = sign_of(x[0]); return true;
    case SN_OP_EXP: *out = exp(x[0]); return true;
    case SN_OP_LOG: *out = log(x[0]); return true;
    case SN_OP_EXP2: *out = exp2(x[0]); return true;
    case SN_OP_LOG2: *out = log2(x[0]); return true;
    case SN_OP_EXPM1: *out = expm1(x[0]); return true;
    case SN_OP_LOG1P: *out = log1p(x[0]); return true;
    case SN_OP_FLOOR: *out = floor(x[0]); return true;
    case SN_OP_CEIL: *out = ceil(x[0]); return true;
    case SN_OP_ROUND: *out = rint(x[0]); return true;
    case SN_OP_TRUNC: *out = trunc(x[0]); return true;
    case SN_OP_SQRT: *out = sqrt(x[0]); return true;
    case SN_OP_RSQRT: *out = 1 / sqrt(x[0]); return true;
    case SN_OP_SIN: *out = sin(x[0]); return true;
    case SN_OP_COS: *out = cos(x[0]); return true;
    case SN_OP_TANH: *out = tanh(x[0]); return true;
    case SN_OP_ERF: *out = erf(x[0]); return true;
    case SN_OP_ADD: *out = x[0] + x[1]; return true;
    case SN_OP_SUB: *out = x[0] - x[1]; return true;
    case SN_OP_MUL: *out = x[0] * x[1]; return true;
    case SN_OP_DIV: *out = x[0] / x[1]; return true;
    case SN_OP_POW: *out = pow(x[0], x[1]); return true;
    case SN_OP_MIN: *out = isnan(x[0]) || x[0] < x[1] ? x[0] : x[1]; return true;
    case SN_OP_MAX: *out = isnan(x[0]) || x[0] > x[1] ? x[0] : x[1]; return true;
    default: return false;
  }
}

/* Operands are exact integers of magnitude up to 2^53; a result above that is refused by the rounding. */
static bool eval_int(sn_op op, const double *x, double *out) {
  switch (op) { /* table */
    case SN_OP_NEG: *out = 0 - x[0]; return true;
    case SN_OP_ABS: *out = fabs(x[0]); return true;
    case SN_OP_SIGN: *out = sign_of(x[0]); return true;
    case SN_OP_ADD: *out = x[0] + x[1]; return true;
    case SN_OP_SUB: *out = x[0] - x[1]; return true;
    case SN_OP_MUL: *out = x[0] * x[1] + 0.0; return fabs(*out) < exact_max;
    case SN_OP_DIV: *out = x[1] != 0 ? floor(x[0] / x[1]) + 0.0 : 0; return x[1] != 0 && fabs(x[0]) < 4294967296.0;
    case SN_OP_MOD:
      *out = x[1] != 0 ? x[0] - x[1] * floor(x[0] / x[1]) : 0;
      return x[1] != 0 && fabs(x[0]) < 4294967296.0;
    case SN_OP_MIN: *out = x[0] < x[1] ? x[0] : x[1]; return true;
    case SN_OP_MAX: *out = x[0] > x[1] ? x[0] : x[1]; return true;
    case SN_OP_AND: *out = (double)((int64_t)x[0] & (int64_t)x[1]); return true;
    case SN_OP_OR: *out = (double)((int64_t)x[0] | (int64_t)x[1]); return true;
    case SN_OP_XOR: *out = (double)((int64_t)x[0] ^ (int64_t)x[1]); return true;
    default: return false;
  }
}

static bool eval_test(sn_op op, const double *x, double *out) {
  switch (op) { /* table */
    case SN_OP_NOT: *out = x[0] == 0; return true;
    case SN_OP_ISFINITE: *out = isfinite(x[0]); return true;
    case SN_OP_EQ: *out = x[0] == x[1]; return true;
    case SN_OP_NE: *out = x[0] != x[1]; return true;
    case SN_OP_LT: *out = x[0] < x[1]; return true;
    case SN_OP_LE: *out = x[0] <= x[1]; return true;
    case SN_OP_SELECT: *out = x[0] != 0 ? x[1] : x[2]; return true;
    default: return false;
  }
}

bool sn_scalar_eval(sn_op op, sn_elem from, sn_elem to, const double *x, double *out) {
  double y;
  if (op == SN_OP_CAST) return cast_scalar(from, to, x[0], out);
  if (op == SN_OP_NOT && from != SN_ELEM_BOOL) return sn_scalar_round(to, (from == SN_ELEM_U8 ? 255 : -1) - x[0], out);
  if (eval_test(op, x, &y)) return *out = y, true;
  bool known = sn_elem_is_float(from) ? eval_float(op, x, &y) : eval_int(op, x, &y);
  return known && sn_scalar_round(to, y, out);
}
