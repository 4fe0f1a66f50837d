/* Intervals of float tiles, as far as clamps and roundings show them: they make conversions to integers cheap. */
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

static range of_two(const cg *c, const sn_kins *x, int depth) {
  int first = x->op == SN_K_SELECT;
  range a = range_of(c, x->a[first], depth), b = range_of(c, x->a[first + 1], depth);
  switch (x->op) {
    case SN_K_MIN: return (range){low(a.lo, b.lo), low(a.hi, b.hi)};
    case SN_K_MAX: return (range){high(a.lo, b.lo), high(a.hi, b.hi)};
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
    case SN_K_NEG: a = range_of(c, x->a[0], depth - 1); return (range){-a.hi, -a.lo};
    case SN_K_ABS: a = range_of(c, x->a[0], depth - 1); return (range){0, high(fabs(a.lo), fabs(a.hi))};
    case SN_K_MIN:
    case SN_K_MAX:
    case SN_K_SELECT: return of_two(c, x, depth - 1);
    default: return unknown;
  }
}

bool cg_fits_i32(const cg *c, sn_kv v) {
  range r = range_of(c, v, DEPTH);
  return r.lo >= -0x1p31 && r.hi < 0x1p31;
}
