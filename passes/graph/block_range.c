/* Pairs of tensors, the least and the greatest that a value may be in a block, under ops: interval arithmetic as graph
 * nodes. Of a bool these are "must be true" and "may be true". */
#include "passes/graph/block_range.h"

sn_range sn_range_each_end(sn_build *b, sn_op op, sn_range x, sn_range y) {
  return (sn_range){sn_g2(b, op, x.lo, y.lo), sn_g2(b, op, x.hi, y.hi)};
}

static sn_val not_of(sn_build *b, sn_val x) { return sn_g1(b, SN_OP_NOT, x); }
static sn_val and_of(sn_build *b, sn_val x, sn_val y) { return sn_g2(b, SN_OP_AND, x, y); }

sn_range sn_range_swapped(sn_range x) { return (sn_range){x.hi, x.lo}; }

sn_range sn_range_map(sn_build *b, sn_op op, sn_range x) { return (sn_range){sn_g1(b, op, x.lo), sn_g1(b, op, x.hi)}; }

/* The least and the greatest of four. */
static sn_range hull(sn_build *b, const sn_val v[4]) {
  sn_val end[2];
  for (int i = 0; i < 2; i++) {
    sn_op op = i ? SN_OP_MAX : SN_OP_MIN;
    end[i] = sn_g2(b, op, sn_g2(b, op, v[0], v[1]), sn_g2(b, op, v[2], v[3]));
  }
  return (sn_range){end[0], end[1]};
}

static sn_range times(sn_build *b, sn_range x, sn_range y) {
  const sn_val v[4] = {sn_g2(b, SN_OP_MUL, x.lo, y.lo), sn_g2(b, SN_OP_MUL, x.lo, y.hi),
                       sn_g2(b, SN_OP_MUL, x.hi, y.lo), sn_g2(b, SN_OP_MUL, x.hi, y.hi)};
  return hull(b, v);
}

static sn_range magnitude(sn_build *b, sn_range x) {
  sn_range minus = sn_range_map(b, SN_OP_NEG, sn_range_swapped(x));
  sn_val least = sn_g2(b, SN_OP_MAX, x.lo, minus.lo);
  if (b->failed) return (sn_range){0};
  return (sn_range){sn_g2(b, SN_OP_MAX, least, sn_g_const_like(b, least, 0)), sn_g2(b, SN_OP_MAX, x.hi, minus.hi)};
}

/* What does not wrap. y: of two operands */
sn_range sn_range_exact(sn_build *b, sn_op op, sn_range x, sn_range y) {
  switch (op) {
    case SN_OP_NEG: return sn_range_map(b, op, sn_range_swapped(x));
    case SN_OP_ABS: return magnitude(b, x);
    case SN_OP_SUB: return sn_range_each_end(b, op, x, sn_range_swapped(y));
    case SN_OP_MUL: return times(b, x, y);
    default: return sn_range_each_end(b, op, x, y);
  }
}

sn_range sn_range_floats(sn_build *b, sn_range x) {
  return x.lo ? (sn_range){sn_g_cast(b, x.lo, SN_ELEM_F32), sn_g_cast(b, x.hi, SN_ELEM_F32)} : x;
}

/* The range, or all numbers where floats come near the limits of i32: their three roundings are 384 at most there. */
sn_range sn_range_unless_wrapped(sn_build *b, sn_range x, sn_range floats) {
  const double near = INT32_MAX - 639.;
  if (b->failed) return (sn_range){0};
  sn_val above = sn_g2(b, SN_OP_LT, sn_g_const_like(b, floats.lo, -near), floats.lo);
  sn_val below = sn_g2(b, SN_OP_LT, floats.hi, sn_g_const_like(b, floats.hi, near)), fits = and_of(b, above, below);
  if (b->failed) return (sn_range){0};
  return (sn_range){sn_g3(b, SN_OP_SELECT, fits, x.lo, sn_g_const_like(b, x.lo, INT32_MIN)),
                    sn_g3(b, SN_OP_SELECT, fits, x.hi, sn_g_const_like(b, x.hi, INT32_MAX))};
}

/* By a positive constant: within one period the remainders of the ends, else all remainders. */
sn_range sn_range_mod(sn_build *b, sn_range x, sn_range by, double m) {
  sn_range quotient = sn_range_each_end(b, SN_OP_DIV, x, by), rest = sn_range_each_end(b, SN_OP_MOD, x, by);
  if (b->failed) return (sn_range){0};
  sn_val one = sn_g2(b, SN_OP_EQ, quotient.lo, quotient.hi);
  return (sn_range){sn_g3(b, SN_OP_SELECT, one, rest.lo, sn_g_const_like(b, rest.lo, 0)),
                    sn_g3(b, SN_OP_SELECT, one, rest.hi, sn_g_const_like(b, rest.hi, m - 1))};
}

/* x == y of bools: both must, or neither can */
sn_range sn_range_same(sn_build *b, sn_range x, sn_range y) {
  sn_range ones = sn_range_each_end(b, SN_OP_AND, x, y),
           zeros = sn_range_map(b, SN_OP_NOT, sn_range_swapped(sn_range_each_end(b, SN_OP_OR, x, y)));
  return sn_range_each_end(b, SN_OP_OR, ones, zeros);
}

sn_range sn_range_compare(sn_build *b, sn_op op, sn_range x, sn_range y) {
  sn_op over = op == SN_OP_LT ? SN_OP_LE : SN_OP_LT; /* y is so below x that no pair passes */
  if (op == SN_OP_LT || op == SN_OP_LE)
    return (sn_range){sn_g2(b, op, x.hi, y.lo), not_of(b, sn_g2(b, over, y.hi, x.lo))};
  sn_range eq;
  if (b->failed) return (sn_range){0};
  if (sn_g_type(b, x.lo)->elem == SN_ELEM_BOOL) {
    eq = sn_range_same(b, x, y);
  } else {
    eq.lo = and_of(b, sn_g2(b, SN_OP_LE, x.hi, y.lo), sn_g2(b, SN_OP_LE, y.hi, x.lo));
    eq.hi = and_of(b, not_of(b, sn_g2(b, SN_OP_LT, x.hi, y.lo)), not_of(b, sn_g2(b, SN_OP_LT, y.hi, x.lo)));
  }
  return op == SN_OP_EQ ? eq : sn_range_map(b, SN_OP_NOT, sn_range_swapped(eq));
}

sn_range sn_range_select(sn_build *b, sn_range c, sn_range x, sn_range y) {
  if (b->failed) return (sn_range){0};
  bool logic = sn_g_type(b, x.lo)->elem == SN_ELEM_BOOL;
  sn_val lo = sn_g2(b, logic ? SN_OP_AND : SN_OP_MIN, x.lo, y.lo),
         hi = sn_g2(b, logic ? SN_OP_OR : SN_OP_MAX, x.hi, y.hi);
  return (sn_range){sn_g3(b, SN_OP_SELECT, c.lo, x.lo, sn_g3(b, SN_OP_SELECT, c.hi, lo, y.lo)),
                    sn_g3(b, SN_OP_SELECT, c.lo, x.hi, sn_g3(b, SN_OP_SELECT, c.hi, hi, y.hi))};
}

sn_range sn_range_cast(sn_build *b, sn_range x, sn_elem to) {
  return (sn_range){sn_g_cast(b, x.lo, to), sn_g_cast(b, x.hi, to)};
}
