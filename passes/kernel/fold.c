/* kernel/simplify, rules within one instruction: constants and identities. Elementary functions are not folded: their
 * values would hang on the C library; after expand_math they fold step by step. */
#include <math.h>
#include <string.h>

#include "passes/kernel/internal.h"

/* ---- rule const_fold: operands are constants ---- */

static bool is_bool_op(sn_kop op) { return op == SN_K_AND || op == SN_K_OR || op == SN_K_XOR; }

static bool fold_float(sn_kop op, sn_elem e, const double *x, double *out) { /* table */
  switch (op) {
    case SN_K_NEG: return *out = -x[0], true;
    case SN_K_ABS: return *out = fabs(x[0]), true;
    case SN_K_SQRT: return *out = sqrt(x[0]), true;
    case SN_K_FLOOR: return *out = floor(x[0]), true;
    case SN_K_RINT: return *out = rint(x[0]), true;
    case SN_K_ADD: return *out = x[0] + x[1], true;
    case SN_K_SUB: return *out = x[0] - x[1], true;
    case SN_K_MUL: return *out = x[0] * x[1], true;
    case SN_K_DIV: return *out = x[0] / x[1], true;
    case SN_K_MIN: return *out = x[0] != x[0] || x[1] != x[1] ? NAN : x[0] < x[1] ? x[0] : x[1], true;
    case SN_K_MAX: return *out = x[0] != x[0] || x[1] != x[1] ? NAN : x[0] > x[1] ? x[0] : x[1], true;
    case SN_K_FMA:
      *out = e == SN_ELEM_F32 ? (double)fmaf((float)x[0], (float)x[1], (float)x[2]) : fma(x[0], x[1], x[2]);
      return true;
    default: return false;
  }
}

static int64_t floor_div(int64_t x, int64_t y) { return x / y - (x % y != 0 && (x < 0) != (y < 0)); }

static bool fold_int(sn_kop op, int64_t x, int64_t y, int64_t *out) { /* table */
  uint32_t low = (uint32_t)(uint64_t)x;
  bool shifts = op == SN_K_SHL || op == SN_K_SHR || op == SN_K_SAR;
  if ((shifts && (y < 0 || y > 31)) || ((op == SN_K_DIV || op == SN_K_MOD) && y == 0)) return false;
  switch (op) {
    case SN_K_NEG: return *out = -x, true;
    case SN_K_ABS: return *out = x < 0 ? -x : x, true;
    case SN_K_ADD: return *out = x + y, true;
    case SN_K_SUB: return *out = x - y, true;
    case SN_K_MUL: return *out = x * y, true;
    case SN_K_DIV: return *out = floor_div(x, y), true;
    case SN_K_MOD: return *out = x - floor_div(x, y) * y, true;
    case SN_K_MIN: return *out = x < y ? x : y, true;
    case SN_K_MAX: return *out = x > y ? x : y, true;
    case SN_K_AND: return *out = x & y, true;
    case SN_K_OR: return *out = x | y, true;
    case SN_K_XOR: return *out = x ^ y, true;
    case SN_K_SHL: return *out = (int64_t)(low << y), true;
    case SN_K_SHR: return *out = (int64_t)(low >> y), true;
    case SN_K_SAR: return *out = x < 0 ? ~(~x >> y) : x >> y, true;
    default: return false;
  }
}

static bool fold_compare(sn_kop op, double x, double y, double *out) {
  switch (op) {
    case SN_K_LT: return *out = x < y, true;
    case SN_K_LE: return *out = x <= y, true;
    case SN_K_EQ: return *out = x == y, true;
    case SN_K_NE: return *out = x != y, true;
    default: return false;
  }
}

static bool fold_bitcast(sn_elem from, double x, double *out) {
  float f = (float)x;
  int32_t i = (int32_t)(from == SN_ELEM_I32 ? x : 0);
  if (from == SN_ELEM_F32) {
    if (x != x) return false; /* the payload is not known */
    memcpy(&i, &f, sizeof i);
    *out = i;
    return true;
  }
  memcpy(&f, &i, sizeof f);
  *out = f;
  return f == f;
}

static bool evaluate(const sn_kdraft *d, sn_elem e, const double *x, double *out) {
  int64_t n;
  if (sn_kop_class(d->op) == SN_KCLASS_CMP) return fold_compare(d->op, x[0], x[1], out);
  if (d->op == SN_K_CAST) return *out = x[0], true; /* sn_k_const rounds as cast does */
  if (d->op == SN_K_BITCAST) return fold_bitcast(e, x[0], out);
  if (d->op == SN_K_NOT) return *out = !x[0], true;
  if (sn_elem_is_float(e)) return fold_float(d->op, e, x, out);
  if (e == SN_ELEM_BOOL && !is_bool_op(d->op)) return false;
  if (!fold_int(d->op, (int64_t)x[0], (int64_t)x[1], &n)) return false;
  *out = e == SN_ELEM_I32 ? (int32_t)(uint32_t)(uint64_t)n : (double)n;
  return true;
}

static bool is_elementwise(sn_kop op) {
  sn_kclass cls = sn_kop_class(op);
  return cls == SN_KCLASS_UN || cls == SN_KCLASS_BIN || cls == SN_KCLASS_CMP || cls == SN_KCLASS_TER;
}

/* int -> narrower int wraps, constants saturate */
static bool wraps(sn_elem from, sn_elem to, double x) {
  return !sn_elem_is_float(from) && !sn_elem_is_float(to) && sn_k_round_to(to, x) != x;
}

sn_kv sn_kfold_constants(sn_ksimplify *s, const sn_kdraft *d) {
  double x[3] = {0}, value;
  if (!is_elementwise(d->op) || d->op == SN_K_SELECT) return 0;
  for (int j = 0; j < d->count; j++)
    if (!sn_kdraft_const(d->k, d->a[j], &x[j])) return 0;
  sn_elem e = sn_k_type(d->k, d->a[0]).elem;
  if (e == SN_ELEM_I64 || d->type.elem == SN_ELEM_I64) return 0; /* f64 does not hold them all */
  if (d->op == SN_K_CAST && wraps(e, d->type.elem, x[0])) return 0;
  if (!evaluate(d, e, x, &value)) return 0;
  return sn_ksimplify_const(s, d->type.elem, d->type.r, d->type.c, value);
}

/* ---- identities ---- */

static const sn_kins *ins_of(const sn_kdraft *d, int operand) { return sn_k_ins(d->k, d->a[operand]); }

static sn_kv rebuilt(sn_ksimplify *s, const sn_kdraft *d, sn_kop op, int count, sn_kv a, sn_kv b, sn_kv c) {
  sn_kdraft n = *d;
  n.op = op;
  n.count = count;
  n.a[0] = a, n.a[1] = b, n.a[2] = c;
  return sn_ksimplify_build(s, n);
}

static sn_kv constant(sn_ksimplify *s, const sn_kdraft *d, double v) {
  return sn_ksimplify_const(s, d->type.elem, d->type.r, d->type.c, v);
}

/* rule neutral: x op c is x */
static bool is_neutral(const sn_kdraft *d, double c) {
  bool is_float = sn_elem_is_float(d->type.elem), zero = c == 0, minus_zero = zero && signbit(c);
  switch (d->op) {
    case SN_K_ADD: return is_float ? minus_zero : zero;
    case SN_K_SUB: return zero && !minus_zero;
    case SN_K_MUL: return c == 1;
    case SN_K_DIV: return c == 1;
    case SN_K_OR:
    case SN_K_XOR:
    case SN_K_SHL:
    case SN_K_SHR:
    case SN_K_SAR: return zero;
    case SN_K_AND: return d->type.elem == SN_ELEM_BOOL ? c == 1 : c == -1;
    default: return false;
  }
}

/* rule absorb: x op c is c */
static bool is_absorbing(const sn_kdraft *d, double c) {
  if (sn_elem_is_float(d->type.elem)) return false;
  return (d->op == SN_K_AND || d->op == SN_K_MUL) && c == 0;
}

/* rule mul_const: (x c1) c2 -> x (c1 c2), when the product is exact and stays in the normal range: one rounding of two
 * is left, not another one put in its place */
static sn_kv merge_factors(sn_ksimplify *s, const sn_kdraft *d, double c2) {
  const sn_kins *m = ins_of(d, 0);
  sn_kv x = m->a[0];
  double c1;
  if (d->op != SN_K_MUL || !sn_elem_is_float(d->type.elem)) return 0;
  if (m->op == SN_K_NEG) return rebuilt(s, d, SN_K_MUL, 2, x, constant(s, d, -c2), 0);
  if (m->op != SN_K_MUL || !sn_kdraft_const(d->k, m->a[1], &c1)) return 0;
  double size = fabs(c1 * c2);
  bool exact = fma(c1, c2, -(c1 * c2)) == 0 && sn_elem_nearest(d->type.elem, c1 * c2) == c1 * c2;
  if (!exact || !(size > 0x1p-100 && size < 0x1p100)) return 0;
  return rebuilt(s, d, SN_K_MUL, 2, x, constant(s, d, c1 * c2), 0);
}

/* rule div_power: x / 2^n -> x 2^-n */
static sn_kv divide_by_power(sn_ksimplify *s, const sn_kdraft *d, double c) {
  int e;
  if (d->op != SN_K_DIV || !sn_elem_is_float(d->type.elem)) return 0;
  if (fabs(frexp(c, &e)) != 0.5 || e < -100 || e > 100) return 0;
  return rebuilt(s, d, SN_K_MUL, 2, d->a[0], constant(s, d, 1 / c), 0);
}

static bool commutes(sn_kop op) {
  return op == SN_K_ADD || op == SN_K_MUL || op == SN_K_AND || op == SN_K_OR || op == SN_K_XOR || op == SN_K_EQ ||
         op == SN_K_NE || op == SN_K_MULHI;
}

static sn_kv binary(sn_ksimplify *s, const sn_kdraft *d) {
  double c;
  const sn_kins *x = ins_of(d, 0), *y = ins_of(d, 1);
  sn_kv inner = y->a[0], left = x->a[0];
  if (commutes(d->op) && x->op == SN_K_CONST && y->op != SN_K_CONST) /* rule const_right */
    return rebuilt(s, d, d->op, 2, d->a[1], d->a[0], 0);
  if (sn_kdraft_const(d->k, d->a[1], &c)) {
    if (is_neutral(d, c)) return d->a[0];
    if (is_absorbing(d, c)) return d->a[1];
    sn_kv merged = merge_factors(s, d, c);
    return merged ? merged : divide_by_power(s, d, c);
  }
  if (!sn_elem_is_float(d->type.elem)) return 0;
  if (d->op == SN_K_ADD && y->op == SN_K_NEG) return rebuilt(s, d, SN_K_SUB, 2, d->a[0], inner, 0); /* rule add_neg */
  if (d->op == SN_K_ADD && x->op == SN_K_NEG) return rebuilt(s, d, SN_K_SUB, 2, d->a[1], left, 0);
  if (d->op == SN_K_SUB && y->op == SN_K_NEG) return rebuilt(s, d, SN_K_ADD, 2, d->a[0], inner, 0);
  return 0;
}

/* Does every value of `from` survive a cast to `to`? */
static bool is_lossless(sn_elem from, sn_elem to) {
  switch (from) {
    case SN_ELEM_BF16:
    case SN_ELEM_F16:
    case SN_ELEM_F8E4M3:
    case SN_ELEM_F8E5M2: return to == SN_ELEM_F32 || to == SN_ELEM_F64;
    case SN_ELEM_F32: return to == SN_ELEM_F64;
    case SN_ELEM_I8:
    case SN_ELEM_U8: return to == SN_ELEM_I32 || to == SN_ELEM_I64 || to == SN_ELEM_F32 || to == SN_ELEM_F64;
    case SN_ELEM_I32: return to == SN_ELEM_I64 || to == SN_ELEM_F64;
    default: return false;
  }
}

static sn_kv unary(sn_ksimplify *s, const sn_kdraft *d) {
  const sn_kins *x = ins_of(d, 0);
  switch (d->op) {
    case SN_K_NEG: /* rule twice: an involution undone */
    case SN_K_NOT: return x->op == d->op ? x->a[0] : 0;
    case SN_K_BITCAST: return x->op == SN_K_BITCAST ? x->a[0] : 0;
    case SN_K_ABS:
      if (x->op == SN_K_ABS) return d->a[0];
      return x->op == SN_K_NEG ? rebuilt(s, d, SN_K_ABS, 1, x->a[0], 0, 0) : 0;
    case SN_K_CAST: { /* rule cast_back */
      if (x->op != SN_K_CAST) return 0;
      sn_elem from = sn_k_type(d->k, x->a[0]).elem;
      return from == d->type.elem && is_lossless(from, x->type.elem) ? x->a[0] : 0;
    }
    default: return 0;
  }
}

/* rule select_known */
static sn_kv choose(sn_ksimplify *s, const sn_kdraft *d) {
  double c;
  const sn_kins *cond = ins_of(d, 0);
  if (sn_kdraft_const(d->k, d->a[0], &c)) return c != 0 ? d->a[1] : d->a[2];
  if (d->a[1] == d->a[2]) return d->a[1];
  return cond->op == SN_K_NOT ? rebuilt(s, d, SN_K_SELECT, 3, cond->a[0], d->a[2], d->a[1]) : 0;
}

static sn_kv transposed(sn_ksimplify *s, const sn_kdraft *d) {
  const sn_kins *x = ins_of(d, 0);
  sn_kv from = x->op == SN_K_BCAST || x->op == SN_K_TRANS ? x->a[0] : 0;
  if (x->type.r == 1 && x->type.c == 1) return d->a[0];
  if (x->op == SN_K_TRANS) return from;
  if (x->op == SN_K_CONST) return constant(s, d, x->f);
  if (x->op != SN_K_BCAST) return 0;
  sn_ktype t = sn_k_type(d->k, from); /* rule trans_bcast */
  sn_kdraft n = {.k = d->k, .op = SN_K_TRANS, .type = {t.elem, t.c, t.r}, .count = 1, .a = {from}};
  return rebuilt(s, d, SN_K_BCAST, 1, sn_ksimplify_build(s, n), 0, 0);
}

/* rule reduce_one: over an extent of 1; or a maximum over copies */
static sn_kv reduced(sn_ksimplify *s, const sn_kdraft *d) {
  const sn_kins *x = ins_of(d, 0);
  if ((d->i ? x->type.c : x->type.r) == 1) return d->op == SN_K_RARGMAX ? constant(s, d, 0) : d->a[0];
  if (d->op != SN_K_RMAX || x->op != SN_K_BCAST) return 0;
  sn_ktype from = sn_k_type(d->k, x->a[0]);
  if ((d->i ? from.c : from.r) != 1) return 0;
  return rebuilt(s, d, SN_K_BCAST, 1, x->a[0], 0, 0);
}

/* rule mma_trans: a transposed operand becomes a flag; of b only where that drops one (tb is not free on every target)
 */
static sn_kv product(sn_ksimplify *s, const sn_kdraft *d) {
  const sn_kins *a = ins_of(d, 1), *b = ins_of(d, 2);
  sn_kdraft n = *d;
  if (a->op == SN_K_TRANS) n.a[1] = a->a[0], n.i ^= SN_K_TA;
  if (b->op == SN_K_TRANS && d->i & SN_K_TB) n.a[2] = b->a[0], n.i ^= SN_K_TB;
  return n.i != d->i ? sn_ksimplify_build(s, n) : 0;
}

static sn_kv broadcast(sn_ksimplify *s, const sn_kdraft *d) {
  const sn_kins *x = ins_of(d, 0);
  if (x->type.r == d->type.r && x->type.c == d->type.c) return d->a[0];
  if (x->op == SN_K_CONST) return constant(s, d, x->f);
  return x->op == SN_K_BCAST ? rebuilt(s, d, SN_K_BCAST, 1, x->a[0], 0, 0) : 0;
}

sn_kv sn_kfold_identities(sn_ksimplify *s, const sn_kdraft *d) {
  switch (d->op) {
    case SN_K_SELECT: return choose(s, d);
    case SN_K_TRANS: return transposed(s, d);
    case SN_K_BCAST: return broadcast(s, d);
    case SN_K_RSUM:
    case SN_K_RPROD:
    case SN_K_RMAX:
    case SN_K_RARGMAX: return reduced(s, d);
    case SN_K_MMA: return product(s, d);
    default: break;
  }
  if (sn_kop_class(d->op) == SN_KCLASS_UN) return unary(s, d);
  return sn_kop_class(d->op) == SN_KCLASS_BIN || sn_kop_class(d->op) == SN_KCLASS_CMP ? binary(s, d) : 0;
}
