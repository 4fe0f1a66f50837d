/* Intervals of float tiles, as far as clamps show them: they make conversions to integers cheap. Rounding of sums and
 * products is ignored: the answer is about 2^31, and they are within one part in 2^24. */
#include <math.h>

#include "backends/llvm/cg.h"

enum { DEPTH = 8 };

/* Every element is NaN or in [lo, hi]. */
typedef struct range {
  double lo, hi;
} range;

static const range unknown = {-INFINITY, INFINITY};

static double low(double a, double b) { return a < b ? a : b; }
static double high(double a, double b) { return a > b ? a : b; }

static range range_of(const cg *c, sn_kv v, int depth);

static range product(range a, range b) {
  double p[4] = {a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi};
  range r = {p[0], p[0]};
  for (int j = 0; j < 4; j++) {
    if (p[j] != p[j]) return unknown;
    r.lo = low(r.lo, p[j]), r.hi = high(r.hi, p[j]);
  }
  return r;
}

static range sum(range a, range b) {
  range r = {a.lo + b.lo, a.hi + b.hi};
  return r.lo == r.lo && r.hi == r.hi ? r : unknown;
}

static range negated(range a) { return (range){-a.hi, -a.lo}; }

static range of_two(const cg *c, const sn_kins *x, int depth) {
  int first = x->op == SN_K_SELECT;
  range a = range_of(c, x->a[first], depth), b = range_of(c, x->a[first + 1], depth);
  switch (x->op) {
    case SN_K_MIN: return (range){low(a.lo, b.lo), low(a.hi, b.hi)};
    case SN_K_MAX: return (range){high(a.lo, b.lo), high(a.hi, b.hi)};
    case SN_K_MUL: return product(a, b);
    case SN_K_ADD: return sum(a, b);
    case SN_K_SUB: return sum(a, negated(b));
    default: return (range){low(a.lo, b.lo), high(a.hi, b.hi)}; /* select */
  }
}

static range range_of(const cg *c, sn_kv v, int depth) {
  const sn_kins *x = cg_ins(c, v);
  range a;
  if (depth == 0) return unknown;
  switch (x->op) {
    case SN_K_CONST: return x->f == x->f ? (range){x->f, x->f} : unknown;
    case SN_K_BCAST:
    case SN_K_TRANS: return range_of(c, x->a[0], depth - 1);
    case SN_K_RINT:
    case SN_K_FLOOR: a = range_of(c, x->a[0], depth - 1); return (range){floor(a.lo), ceil(a.hi)};
    case SN_K_NEG: return negated(range_of(c, x->a[0], depth - 1));
    case SN_K_ABS: a = range_of(c, x->a[0], depth - 1); return (range){0, high(fabs(a.lo), fabs(a.hi))};
    case SN_K_MIN:
    case SN_K_MAX:
    case SN_K_MUL:
    case SN_K_ADD:
    case SN_K_SUB:
    case SN_K_SELECT: return of_two(c, x, depth - 1);
    default: return unknown;
  }
}

bool cg_fits_i32(const cg *c, sn_kv v) {
  range r = range_of(c, v, DEPTH);
  return r.lo >= -0x1p30 && r.hi <= 0x1p30; /* far enough from 2^31 for ignored roundings */
}
