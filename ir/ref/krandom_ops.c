/* Random tile programs, computations: one op at a time, with bounds of magnitude and rounding error. */
#include <math.h>

#include "ir/ref/krandom_impl.h"

static const double unit = 1.2e-7; /* of one f32 operation, with slack */

/* ---- bounds ---- */

void sn_kr_push(sn_kgen *g, sn_krvalue x) {
  if (g->pool_count < SN_KR_POOL) g->pool[g->pool_count++] = x;
}

sn_krvalue sn_kr_tame(sn_kgen *g, sn_krvalue x, double mag, double err) {
  double s = 1;
  while (x.mag * s > mag || x.err * s > err) s /= 2;
  if (s == 1) return x;
  return sn_kr_value(g, sn_k_binc(g->k, SN_K_MUL, x.v, s), x.mag * s, x.err * s, x.exact);
}

static sn_krvalue settled(sn_kgen *g, sn_krvalue x) { return sn_kr_tame(g, x, 8, 2e-6); }

void sn_kr_shape(sn_kgen *g, int *r, int *c) {
  do {
    *r = g->extent[sn_kr_below(g, SN_KR_PALETTE)];
    *c = g->extent[sn_kr_below(g, SN_KR_PALETTE)];
  } while ((int64_t)*r * *c > g->area);
}

/* ---- some value of a shape ---- */

static bool fits(const sn_krvalue *x, sn_elem e, int r, int c) {
  return x->elem == e && (x->r == r || x->r == 1) && (x->c == c || x->c == 1);
}

/* From the pool, broadcast; v = 0: found none. */
static sn_krvalue from_pool(sn_kgen *g, sn_elem e, int r, int c) {
  for (int tries = 0; tries < 8 && g->pool_count; tries++) {
    sn_krvalue x = g->pool[sn_kr_below(g, g->pool_count)];
    if (!fits(&x, e, r, c)) continue;
    return sn_kr_value(g, sn_k_bcast(g->k, r, c, x.v), x.mag, x.err, x.exact);
  }
  return (sn_krvalue){0};
}

static sn_krvalue float_const(sn_kgen *g, int r, int c) {
  double x = 0.125 * (double)(sn_kr_below(g, 33) - 16);
  return sn_kr_value(g, sn_k_const(g->k, SN_ELEM_F32, r, c, x), 2, 0, true);
}

/* Small integers as floats. */
static sn_krvalue float_of_int(sn_kgen *g, int r, int c) {
  sn_krvalue i = sn_kr_int(g, r, c);
  sn_kv v = sn_k_cast(g->k, SN_ELEM_F32, sn_k_binc(g->k, SN_K_AND, i.v, 15));
  return sn_kr_tame(g, sn_kr_value(g, v, 15, 0, true), 8, 1);
}

static sn_krvalue float_of_narrow(sn_kgen *g, int r, int c) {
  static const sn_elem from[] = {SN_ELEM_BF16, SN_ELEM_F16, SN_ELEM_I8,     SN_ELEM_U8,
                                 SN_ELEM_BOOL, SN_ELEM_I64, SN_ELEM_F8E4M3, SN_ELEM_F8E5M2};
  sn_elem e = from[sn_kr_below(g, 8)];
  if ((e == SN_ELEM_F16 && g->avoid & SN_KRANDOM_NO_F16) || (e == SN_ELEM_I64 && g->avoid & SN_KRANDOM_NO_I64))
    e = SN_ELEM_BF16;
  sn_krvalue x = sn_kr_load(g, e, r, c);
  double mag = e == SN_ELEM_I64 ? 1000 : x.mag;
  return sn_kr_tame(g, sn_kr_value(g, sn_k_cast(g->k, SN_ELEM_F32, x.v), mag, 0, true), 8, 1);
}

sn_krvalue sn_kr_float(sn_kgen *g, int r, int c) {
  sn_krvalue x = {0};
  if (sn_kr_chance(g, 75)) x = from_pool(g, SN_ELEM_F32, r, c);
  if (x.v) return x;
  int64_t pick = sn_kr_below(g, 20);
  if (pick < 12)
    x = sn_kr_load(g, SN_ELEM_F32, r, c);
  else if (pick < 15)
    x = float_const(g, r, c);
  else if (pick < 18)
    x = float_of_narrow(g, r, c);
  else
    x = float_of_int(g, r, c);
  return x;
}

static sn_krvalue int_value(sn_kgen *g, sn_kv v) { return sn_kr_value(g, v, 0, 0, true); }

static sn_krvalue int_from_wide(sn_kgen *g, int r, int c) {
  static const sn_kop ops[] = {SN_K_ADD, SN_K_SUB, SN_K_MUL, SN_K_MIN, SN_K_MAX, SN_K_AND, SN_K_OR,
                               SN_K_XOR, SN_K_SHL, SN_K_SHR, SN_K_SAR, SN_K_DIV, SN_K_MOD, SN_K_ABS};
  sn_kv x = sn_kr_load(g, SN_ELEM_I64, r, c).v, y = sn_kr_load(g, SN_ELEM_I64, r, c).v;
  x = sn_k_bin(g->k, SN_K_MUL, x, sn_k_binc(g->k, SN_K_SHL, y, (double)sn_kr_below(g, 56)));
  sn_kop op = ops[sn_kr_below(g, 14)];
  if (op == SN_K_SHL || op == SN_K_SHR || op == SN_K_SAR) y = sn_k_binc(g->k, SN_K_AND, y, 63);
  if (op == SN_K_DIV || op == SN_K_MOD) y = sn_k_binc(g->k, SN_K_OR, y, 1);
  sn_kv v = op == SN_K_ABS ? sn_k_un(g->k, op, x) : sn_k_bin(g->k, op, x, y);
  return int_value(g, sn_k_cast(g->k, SN_ELEM_I32, sn_k_binc(g->k, SN_K_SHR, v, (double)sn_kr_below(g, 33))));
}

sn_krvalue sn_kr_int(sn_kgen *g, int r, int c) {
  sn_krvalue x = {0};
  if (sn_kr_chance(g, 60)) x = from_pool(g, SN_ELEM_I32, r, c);
  if (x.v) return x;
  int axis = (int)sn_kr_below(g, 2);
  switch (sn_kr_below(g, 8)) {
    case 0:
    case 1:
    case 2: return sn_kr_load(g, SN_ELEM_I32, r, c);
    case 3: return int_value(g, sn_k_iota(g->k, r, c, axis, sn_kr_index(g).v));
    case 4:
      return int_value(g, sn_k_bcast(g->k, r, c, sn_k_iota(g->k, axis ? 1 : r, axis ? c : 1, axis, sn_kr_index(g).v)));
    case 5: return int_value(g, sn_k_isplat(g->k, r, c, sn_kr_index(g).v));
    case 6:
      if (!(g->avoid & SN_KRANDOM_NO_I64)) return int_from_wide(g, r, c);
      return int_value(g, sn_k_const(g->k, SN_ELEM_I32, r, c, 77));
    default: return int_value(g, sn_k_const(g->k, SN_ELEM_I32, r, c, (double)sn_kr_below(g, 200) - 100));
  }
}

static sn_krvalue comparison(sn_kgen *g, int r, int c) {
  sn_kop op = (sn_kop)(SN_K_LT + sn_kr_below(g, 4));
  bool ints = sn_kr_chance(g, 40);
  sn_krvalue x = ints ? sn_kr_int(g, r, c) : sn_kr_float(g, r, c), y = ints ? sn_kr_int(g, r, c) : sn_kr_float(g, r, c);
  if ((!x.exact || !y.exact) && sn_kr_chance(g, 80)) { /* decisions on computed values may turn: prefer loaded ones */
    x = sn_kr_load(g, SN_ELEM_F32, r, c);
    y = float_const(g, r, c);
  }
  return int_value(g, sn_k_bin(g->k, op, x.v, y.v));
}

sn_krvalue sn_kr_bool(sn_kgen *g, int r, int c) {
  sn_krvalue x = {0};
  if (sn_kr_chance(g, 50)) x = from_pool(g, SN_ELEM_BOOL, r, c);
  if (x.v) return x;
  return sn_kr_chance(g, 15) ? sn_kr_load(g, SN_ELEM_BOOL, r, c) : comparison(g, r, c);
}

/* ---- float ops ---- */

/* |x| + by: away from zero, for what divides or takes logarithms. */
static sn_krvalue away(sn_kgen *g, sn_krvalue x, double by) {
  sn_kv v = sn_k_un(g->k, SN_K_ABS, x.v);
  return sn_kr_value(g, sn_k_binc(g->k, SN_K_ADD, v, by), x.mag + by, x.err + unit * (x.mag + by), false);
}

/* Largest |f'| and |f| on the range of the (prepared) operand. */
typedef struct slope {
  double slope, mag;
} slope;

static slope slope_of(sn_kop op, double m) { /* table */
  switch (op) {
    case SN_K_EXP2: return (slope){exp2(m), exp2(m)};
    case SN_K_EXP: return (slope){exp(m), exp(m)};
    case SN_K_LOG2: return (slope){3, fmax(1, log2(m))};
    case SN_K_LOG: return (slope){2, fmax(1, log(m))};
    case SN_K_SQRT: return (slope){1, sqrt(m)};
    case SN_K_RSQRT: return (slope){4, 2};
    case SN_K_RECIP: return (slope){4, 2};
    case SN_K_FLOOR:
    case SN_K_RINT: return (slope){1, m + 1};
    case SN_K_NEG:
    case SN_K_ABS: return (slope){1, m};
    default: return (slope){1.2, 1};
  }
}

static sn_krvalue prepared(sn_kgen *g, sn_kop op, sn_krvalue x) {
  switch (op) {
    case SN_K_EXP2: return sn_kr_tame(g, x, 3, 1);
    case SN_K_EXP: return sn_kr_tame(g, x, 2, 1);
    case SN_K_LOG2:
    case SN_K_LOG:
    case SN_K_RECIP: return away(g, x, 0.5);
    case SN_K_SQRT:
    case SN_K_RSQRT: return away(g, x, 0.25);
    default: return x;
  }
}

static sn_krvalue unary(sn_kgen *g, sn_krvalue x) {
  static const sn_kop plain[] = {SN_K_NEG, SN_K_ABS, SN_K_SQRT, SN_K_RSQRT, SN_K_RECIP, SN_K_FLOOR, SN_K_RINT};
  static const sn_kop math[] = {SN_K_EXP2, SN_K_LOG2, SN_K_EXP, SN_K_LOG, SN_K_SIN, SN_K_COS, SN_K_TANH, SN_K_ERF};
  bool elementary = !(g->avoid & SN_KRANDOM_NO_MATH) && sn_kr_chance(g, 50);
  sn_kop op = elementary ? math[sn_kr_below(g, 8)] : plain[sn_kr_below(g, 7)];
  if ((op == SN_K_FLOOR || op == SN_K_RINT) && !x.exact) op = SN_K_NEG;
  bool exact = x.exact && (op == SN_K_NEG || op == SN_K_ABS || op == SN_K_FLOOR || op == SN_K_RINT);
  x = prepared(g, op, x);
  slope s = slope_of(op, x.mag);
  return sn_kr_value(g, sn_k_un(g->k, op, x.v), s.mag, s.slope * x.err + (exact ? 0 : 4 * unit * s.mag), exact);
}

static sn_krvalue binary(sn_kgen *g, sn_krvalue x, sn_krvalue y) {
  static const sn_kop ops[] = {SN_K_ADD, SN_K_SUB, SN_K_MUL, SN_K_MIN, SN_K_MAX, SN_K_DIV};
  sn_kop op = ops[sn_kr_below(g, 6)];
  if (op == SN_K_DIV) y = away(g, y, 0.5);
  sn_kv v = sn_k_bin(g->k, op, x.v, y.v);
  double sum = x.mag + y.mag, product = x.mag * y.mag, top = fmax(x.mag, y.mag);
  switch (op) {
    case SN_K_ADD:
    case SN_K_SUB: return sn_kr_value(g, v, sum, x.err + y.err + unit * sum, false);
    case SN_K_MUL: return sn_kr_value(g, v, product, x.err * y.mag + y.err * x.mag + unit * product, false);
    case SN_K_DIV: return sn_kr_value(g, v, 2 * x.mag, 2 * x.err + 4 * x.mag * y.err + 2 * unit * x.mag, false);
    default: return sn_kr_value(g, v, top, fmax(x.err, y.err), x.exact && y.exact);
  }
}

static sn_krvalue ternary(sn_kgen *g, sn_krvalue x, sn_krvalue y) {
  if (sn_kr_chance(g, 50)) {
    sn_krvalue c = sn_kr_bool(g, x.r, x.c);
    sn_kv v = sn_k_select(g->k, c.v, x.v, y.v);
    return sn_kr_value(g, v, fmax(x.mag, y.mag), fmax(x.err, y.err), x.exact && y.exact);
  }
  sn_krvalue z = sn_kr_float(g, x.r, x.c);
  double mag = x.mag * y.mag + z.mag;
  return sn_kr_value(g, sn_k_fma(g->k, x.v, y.v, z.v), mag, x.err * y.mag + y.err * x.mag + z.err + unit * mag, false);
}

/* Bits of loaded floats only: those of computed ones hang on rounding. */
static sn_krvalue through_bits(sn_kgen *g, int r, int c) {
  bool wide = sn_kr_chance(g, 40) && !(g->avoid & SN_KRANDOM_NO_I64);
  int mantissa = wide ? 52 : 23;
  sn_krvalue x = sn_kr_load(g, SN_ELEM_F32, r, c);
  sn_kv v = wide ? sn_k_cast(g->k, SN_ELEM_F64, x.v) : x.v;
  sn_kv bits = sn_k_bitcast(g->k, wide ? SN_ELEM_I64 : SN_ELEM_I32, v);
  sn_kop op = sn_kr_chance(g, 50) ? SN_K_XOR : SN_K_OR;
  bits = sn_k_binc(g->k, op, bits, ldexp((double)sn_kr_below(g, 0x7fffff), mantissa - 23));
  bits = sn_k_binc(g->k, SN_K_AND, bits, ldexp(0x7fffff, mantissa - 23));
  bits = sn_k_binc(g->k, SN_K_OR, bits, wide ? 0x3ffp52 : 0x3f800000); /* in [1, 2) */
  v = sn_k_bitcast(g->k, wide ? SN_ELEM_F64 : SN_ELEM_F32, bits);
  return sn_kr_value(g, sn_k_cast(g->k, SN_ELEM_F32, v), 2, 0, true);
}

static sn_krvalue float_op(sn_kgen *g) {
  int r, c;
  sn_kr_shape(g, &r, &c);
  int64_t pick = sn_kr_below(g, 20);
  if (pick == 0 && !(g->avoid & SN_KRANDOM_NO_BITS)) return through_bits(g, r, c);
  sn_krvalue x = sn_kr_float(g, r, c);
  if (pick < 7) return unary(g, x);
  sn_krvalue y = sn_kr_float(g, r, c);
  return pick < 15 ? binary(g, x, y) : ternary(g, x, y);
}

/* ---- integers and bools ---- */

static sn_krvalue int_op(sn_kgen *g) {
  static const sn_kop ops[] = {SN_K_ADD, SN_K_SUB, SN_K_MUL, SN_K_MIN, SN_K_MAX, SN_K_AND, SN_K_OR,  SN_K_XOR,
                               SN_K_SHL, SN_K_SHR, SN_K_SAR, SN_K_DIV, SN_K_MOD, SN_K_NEG, SN_K_ABS, SN_K_MULHI};
  int r, c;
  sn_kr_shape(g, &r, &c);
  sn_kop op = ops[sn_kr_below(g, g->avoid & SN_KRANDOM_NO_BITS ? 15 : 16)];
  sn_krvalue x = sn_kr_int(g, r, c);
  if (op == SN_K_NEG || op == SN_K_ABS) return int_value(g, sn_k_un(g->k, op, x.v));
  sn_kv y = sn_kr_int(g, r, c).v;
  if (op == SN_K_SHL || op == SN_K_SHR || op == SN_K_SAR) y = sn_k_binc(g->k, SN_K_AND, y, 31);
  if (op == SN_K_DIV || op == SN_K_MOD) y = sn_k_binc(g->k, SN_K_OR, y, 1);
  return int_value(g, sn_k_bin(g->k, op, x.v, y));
}

static sn_krvalue int_of_float(sn_kgen *g) {
  int r, c;
  sn_kr_shape(g, &r, &c);
  sn_krvalue x = sn_kr_float(g, r, c);
  if (!x.exact) x = sn_kr_load(g, SN_ELEM_F32, r, c);
  return int_value(g, sn_k_cast(g->k, SN_ELEM_I32, x.v));
}

static sn_krvalue bool_op(sn_kgen *g) {
  static const sn_kop ops[] = {SN_K_AND, SN_K_OR, SN_K_XOR};
  int r, c;
  sn_kr_shape(g, &r, &c);
  sn_krvalue x = sn_kr_bool(g, r, c);
  if (sn_kr_chance(g, 25)) return int_value(g, sn_k_un(g->k, SN_K_NOT, x.v));
  if (sn_kr_chance(g, 25)) return int_value(g, sn_k_cast(g->k, SN_ELEM_I32, x.v));
  sn_krvalue y = sn_kr_bool(g, r, c);
  return int_value(g, sn_k_bin(g->k, ops[sn_kr_below(g, 3)], x.v, y.v));
}

static sn_krvalue int_select(sn_kgen *g) {
  int r, c;
  sn_kr_shape(g, &r, &c);
  sn_krvalue x = sn_kr_int(g, r, c), y = sn_kr_int(g, r, c), b = sn_kr_bool(g, r, c);
  return int_value(g, sn_k_select(g->k, b.v, x.v, y.v));
}

/* ---- shapes ---- */

static sn_krvalue reduction(sn_kgen *g) {
  int r, c, axis = (int)sn_kr_below(g, 2);
  sn_kr_shape(g, &r, &c);
  if (sn_kr_chance(g, 25)) {
    sn_krvalue i = sn_kr_int(g, r, c);
    static const sn_kop ops[] = {SN_K_RSUM, SN_K_RPROD, SN_K_RMAX};
    return int_value(g, sn_k_reduce(g->k, ops[sn_kr_below(g, 3)], axis, i.v));
  }
  sn_krvalue x = sn_kr_float(g, r, c);
  int64_t pick = sn_kr_below(g, 6);
  if (pick == 0) {
    if (!x.exact) x = sn_kr_load(g, SN_ELEM_F32, r, c);
    return int_value(g, sn_k_reduce(g->k, SN_K_RARGMAX, 1, x.v));
  }
  if (pick < 3) return sn_kr_value(g, sn_k_reduce(g->k, SN_K_RMAX, axis, x.v), x.mag, x.err, x.exact);
  double n = axis ? c : r, mag = n * x.mag;
  if (pick == 3 && n <= 8 && x.mag <= 4 && x.mag >= 1) { /* the error of each factor times the others */
    double most = pow(x.mag, n), per = x.err * most + unit * most;
    return sn_kr_tame(g, sn_kr_value(g, sn_k_reduce(g->k, SN_K_RPROD, axis, x.v), most, n * per, false), x.mag, 1e-6);
  }
  sn_krvalue s = sn_kr_value(g, sn_k_reduce(g->k, SN_K_RSUM, axis, x.v), mag, n * x.err + unit * sqrt(n) * mag, false);
  return sn_kr_tame(g, s, x.mag, 1e-6);
}

static sn_krvalue transposition(sn_kgen *g) {
  int r, c;
  sn_kr_shape(g, &r, &c);
  sn_krvalue x = sn_kr_chance(g, 80) ? sn_kr_float(g, r, c) : sn_kr_int(g, r, c);
  return sn_kr_value(g, sn_k_trans(g->k, x.v), x.mag, x.err, x.exact);
}

static sn_krvalue rescaling(sn_kgen *g) {
  int r, c;
  sn_kr_shape(g, &r, &c);
  bool column = sn_kr_chance(g, 50);
  sn_krvalue x = sn_kr_float(g, r, c), s = sn_kr_float(g, column ? r : 1, column ? 1 : c);
  double mag = x.mag * s.mag;
  return sn_kr_value(g, sn_k_rescale(g->k, x.v, s.v), mag, x.err * s.mag + s.err * x.mag + unit * mag, false);
}

/* ---- products ---- */

static sn_krvalue factor(sn_kgen *g, sn_elem e, int r, int c) {
  if (e == SN_ELEM_F32) return sn_kr_float(g, r, c);
  sn_krvalue x = {0};
  if (e != SN_ELEM_I8 && sn_kr_chance(g, 20)) x = from_pool(g, SN_ELEM_F32, r, c);
  if (x.v && x.exact) return sn_kr_value(g, sn_k_cast(g->k, e, x.v), x.mag * 1.01, 0, true);
  return sn_kr_load_narrow(g, e, r, c);
}

static sn_elem factor_elem(sn_kgen *g) {
  int64_t pick = sn_kr_below(g, 10);
  if (pick < 6) return SN_ELEM_F32;
  return pick < 9 || g->avoid & SN_KRANDOM_NO_F16 ? SN_ELEM_BF16 : SN_ELEM_F16;
}

static int product_depth(sn_kgen *g, int m, int n) {
  int k = g->extent[sn_kr_below(g, SN_KR_PALETTE)];
  while ((int64_t)m * n * k > g->work || (int64_t)m * k > g->area || (int64_t)n * k > g->area) k = k / 2 + (k == 1);
  return k;
}

sn_krvalue sn_kr_product(sn_kgen *g, sn_krvalue acc) {
  bool ints = acc.elem == SN_ELEM_I32;
  sn_elem e = ints ? SN_ELEM_I8 : factor_elem(g);
  int m = acc.r, n = acc.c, k = product_depth(g, m, n), flags = (int)sn_kr_below(g, 4);
  bool vnni = e == SN_ELEM_BF16 && k % 2 == 0 && sn_kr_chance(g, 20) && !(g->avoid & SN_KRANDOM_NO_VNNI);
  if (vnni) flags = (flags & SN_K_TA) | SN_K_VNNI;
  sn_krvalue a = factor(g, e, flags & SN_K_TA ? k : m, flags & SN_K_TA ? m : k), b;
  if (vnni)
    b = sn_kr_load_narrow(g, e, k / 2, 2 * n);
  else
    b = factor(g, e, flags & SN_K_TB ? n : k, flags & SN_K_TB ? k : n);
  sn_kv v = sn_k_mma(g->k, acc.v, a.v, b.v, flags);
  if (ints) return int_value(g, v);
  double mag = k * a.mag * b.mag;
  double err = k * (a.err * b.mag + b.err * a.mag) + unit * sqrt(k) * (mag + acc.mag);
  return sn_kr_value(g, v, acc.mag + mag, acc.err + err, false);
}

static sn_krvalue product_op(sn_kgen *g) {
  int r, c;
  sn_kr_shape(g, &r, &c);
  if (sn_kr_chance(g, 12)) return sn_kr_product(g, sn_kr_int(g, r, c));
  sn_krvalue zero = sn_kr_value(g, sn_k_const(g->k, SN_ELEM_F32, r, c, 0), 0, 0, true);
  return sn_kr_product(g, sn_kr_chance(g, 60) ? zero : sn_kr_float(g, r, c));
}

/* ---- a step ---- */

static sn_krvalue some_op(sn_kgen *g) { /* table */
  int64_t pick = sn_kr_below(g, 100);
  if (pick < 45) return float_op(g);
  if (pick < 55) return int_op(g);
  if (pick < 58) return int_of_float(g);
  if (pick < 62) return bool_op(g);
  if (pick < 65) return int_select(g);
  if (pick < 77) return reduction(g);
  if (pick < 81) return transposition(g);
  if (pick < 84) return rescaling(g);
  if (pick < 87 && !(g->avoid & SN_KRANDOM_NO_GATHER)) {
    int r, c;
    sn_kr_shape(g, &r, &c);
    return sn_kr_gather(g, r, c);
  }
  return product_op(g);
}

void sn_kr_step(sn_kgen *g) {
  sn_krvalue x = some_op(g);
  sn_kr_push(g, x.elem == SN_ELEM_F32 ? settled(g, x) : x);
}
