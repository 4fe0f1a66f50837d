/* Static intervals of the integers of a mask region, in one walk. Captured tensors hold any number of their type. */
#include "passes/graph/wraps.h"

typedef struct interval {
  double lo, hi;
} interval;

static double least(double x, double y) { return x < y ? x : y; }
static double most(double x, double y) { return x > y ? x : y; }
static interval hull(interval x, interval y) { return (interval){least(x.lo, y.lo), most(x.hi, y.hi)}; }

static interval all_of(sn_elem e) {
  switch (e) {
    case SN_ELEM_BOOL: return (interval){0, 1};
    case SN_ELEM_U8: return (interval){0, UINT8_MAX};
    case SN_ELEM_I8: return (interval){INT8_MIN, INT8_MAX};
    case SN_ELEM_I32: return (interval){INT32_MIN, INT32_MAX};
    default: return (interval){-0x1p63, 0x1p63};
  }
}

double sn_last_row(const sn_dimx *n, bool started) {
  double last = most((double)sn_dimx_max_value(n) - 1, 0);
  return least(last, started ? INT32_MAX - SN_START_MAX : INT32_MAX);
}

static interval rows(const sn_dimx *n, bool started) {
  return (interval){0, sn_last_row(n, started) + (started ? SN_START_MAX : 0)};
}

bool sn_fits_i32(int count, const int64_t *coefficient, const double *most, double lo, double hi) {
  for (int i = 0; i < count; i++) {
    if (coefficient[i] > INT32_MAX || coefficient[i] < INT32_MIN) return false;
    *(coefficient[i] < 0 ? &lo : &hi) += (double)coefficient[i] * most[i];
  }
  return lo >= INT32_MIN && hi <= INT32_MAX;
}

static interval product(interval x, interval y) {
  interval ends = {x.lo * y.lo, x.lo * y.lo};
  ends = hull(ends, (interval){x.lo * y.hi, x.lo * y.hi});
  ends = hull(ends, (interval){x.hi * y.lo, x.hi * y.lo});
  return hull(ends, (interval){x.hi * y.hi, x.hi * y.hi});
}

static interval magnitude(interval x) {
  double below = least(most(x.lo, -x.hi), 0); /* 0 lies within: else the nearer end */
  return (interval){below < 0 ? 0 : most(x.lo, -x.hi), most(-x.lo, x.hi)};
}

static interval leaf(const sn_node *n, const sn_dimx *const extent[4], bool started) {
  enum { QUERY = 2 };
  const sn_dimx *d;
  int64_t i;
  switch (n->op) {
    case SN_OP_ARG:
      i = sn_node_attr(n, "index")->i;
      return i < 4 ? rows(extent[i], started && i == QUERY) : all_of(n->type[0]->elem);
    case SN_OP_CONST: return (interval){sn_node_attr(n, "value")->f, sn_node_attr(n, "value")->f};
    case SN_OP_DIM:
      d = sn_node_attr(n, "dim")->d;
      return (interval){(double)sn_dimx_min_value(d), (double)sn_dimx_max_value(d)};
    default: return all_of(n->type[0]->elem);
  }
}

/* What the operands make, of numbers that do not wrap. */
static interval result_of(const sn_node *n, const interval *x) {
  switch (n->op) {
    case SN_OP_NEG: return (interval){-x[0].hi, -x[0].lo};
    case SN_OP_ABS: return magnitude(x[0]);
    case SN_OP_ADD: return (interval){x[0].lo + x[1].lo, x[0].hi + x[1].hi};
    case SN_OP_SUB: return (interval){x[0].lo - x[1].hi, x[0].hi - x[1].lo};
    case SN_OP_MUL: return product(x[0], x[1]);
    case SN_OP_MIN: return (interval){least(x[0].lo, x[1].lo), least(x[0].hi, x[1].hi)};
    case SN_OP_MAX: return (interval){most(x[0].lo, x[1].lo), most(x[0].hi, x[1].hi)};
    case SN_OP_SELECT: return hull(x[1], x[2]);
    case SN_OP_CAST:
    case SN_OP_RESHAPE: return x[0];
    case SN_OP_DIV: /* rounds down: no further from 0, but for -1 */
      if (x[1].lo >= 1) return hull(x[0], (interval){x[0].lo < 0 ? -1 : 0, 0});
      break;
    case SN_OP_MOD:
      if (x[1].lo >= 1) return (interval){0, x[1].hi - 1};
      break;
    default: break;
  }
  return all_of(n->type[0]->elem);
}

static bool is_whole(sn_elem e) { return sn_elem_is_int(e) || e == SN_ELEM_BOOL; }

bool *sn_region_wraps(sn_arena *arena, const sn_func *f, const sn_dimx *const extent[4], bool started) {
  interval *of = SN_ARRAY(arena, f->value_count, interval);
  bool *wraps = SN_ARRAY(arena, f->value_count, bool);
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    interval x[3], all = all_of(n->type[0]->elem), r = all;
    bool whole = n->arg_count <= 3 && is_whole(n->type[0]->elem);
    for (int k = 0; k < n->arg_count && k < 3; k++) {
      whole &= is_whole(sn_val_type(f, n->arg[k])->elem);
      x[k] = of[n->arg[k]];
    }
    if (whole) r = n->arg_count ? result_of(n, x) : leaf(n, extent, started);
    bool rounded = n->type[0]->elem == SN_ELEM_I64 && (r.lo <= all.lo || r.hi >= all.hi);
    bool leaves = rounded || r.lo < all.lo || r.hi > all.hi;
    wraps[n->first] = whole && leaves;
    for (int k = 0; k < n->result_count; k++) of[n->first + (sn_val)k] = leaves ? all : r;
  }
  return wraps;
}
