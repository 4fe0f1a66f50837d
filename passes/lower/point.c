/* Elementwise ops of the graph on tiles: one op -> a few tile instructions. Narrow types are computed in f32 or i32. */
#include "passes/lower/internal.h"

#include <math.h>

typedef struct point {
  sn_build_kernel *b;
  sn_kernel *k;
  const sn_func *f;
  const sn_node *n;
  sn_kv x, y, z;
  sn_elem e; /* in which the operands are computed */
} point;

sn_elem sn_compute_elem(sn_elem e) {
  if (sn_elem_is_narrow(e)) return SN_ELEM_F32;
  return e == SN_ELEM_I8 || e == SN_ELEM_U8 ? SN_ELEM_I32 : e;
}

sn_kv sn_point_round(sn_build_kernel *b, sn_elem e, sn_kv v) {
  return sn_k_cast(b->k, sn_compute_elem(e), sn_k_cast(b->k, e, v));
}

static sn_kv splat(point *p, sn_kv like, sn_elem e, double v) {
  sn_ktype t = sn_k_type(p->k, like);
  return sn_k_const(p->k, e, t.r, t.c, v);
}

static sn_kv bin(point *p, sn_kop op, sn_kv x, sn_kv y) { return sn_k_bin(p->k, op, x, y); }
static sn_kv binc(point *p, sn_kop op, sn_kv x, double c) { return sn_k_binc(p->k, op, x, c); }

/* ---- single ops -------------------------------------------------------------------------------------------- */

static sn_kv emit_sign(point *p) {
  sn_kv zero = splat(p, p->x, p->e, 0);
  sn_kv up = sn_k_cast(p->k, p->e, bin(p, SN_K_LT, zero, p->x));
  sn_kv down = sn_k_cast(p->k, p->e, bin(p, SN_K_LT, p->x, zero));
  sn_kv sign = bin(p, SN_K_SUB, up, down);
  return sn_elem_is_float(p->e) ? sn_k_select(p->k, bin(p, SN_K_NE, p->x, p->x), p->x, sign) : sign;
}

static sn_kv emit_cast(point *p) {
  sn_elem to = (sn_elem)sn_node_attr(p->n, "to")->i;
  if (to == SN_ELEM_BOOL) return p->e == SN_ELEM_BOOL ? p->x : binc(p, SN_K_NE, p->x, 0);
  sn_kv v = sn_k_cast(p->k, to, p->x);
  return sn_k_cast(p->k, sn_compute_elem(to), v);
}

/* NaN where both differ is true for !=, false for the rest: as the tile compares. Bools compare by xor. */
static sn_kv emit_compare(point *p, sn_kop op) {
  if (p->e != SN_ELEM_BOOL) return bin(p, op, p->x, p->y);
  sn_kv differ = bin(p, SN_K_XOR, p->x, p->y);
  return op == SN_K_NE ? differ : sn_k_un(p->k, SN_K_NOT, differ);
}

/* ---- exponentials and logarithms near 1 ---------------------------------------------------------------------- */

/* Within half of 0 from the error that u = exp(x) (u = 1 + x) was rounded by; there u - 1 is exact.
 *   source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., sections 1.14.1 and problem 1.5 */
static sn_kv near_zero(point *p, sn_kv u, sn_kv small, sn_kv large) {
  sn_kv one = splat(p, p->x, p->e, 1), size = sn_k_un(p->k, SN_K_ABS, p->x);
  sn_kv near = sn_k_select(p->k, bin(p, SN_K_EQ, u, one), p->x, small);
  return sn_k_select(p->k, bin(p, SN_K_LT, size, splat(p, p->x, p->e, 0.5)), near, large);
}

static sn_kv emit_expm1(point *p) {
  sn_kv u = sn_k_un(p->k, SN_K_EXP, p->x), less = binc(p, SN_K_SUB, u, 1);
  sn_kv scaled = bin(p, SN_K_DIV, bin(p, SN_K_MUL, less, p->x), sn_k_un(p->k, SN_K_LOG, u));
  return near_zero(p, u, scaled, less);
}

static sn_kv emit_log1p(point *p) {
  sn_kv u = binc(p, SN_K_ADD, p->x, 1), l = sn_k_un(p->k, SN_K_LOG, u);
  sn_kv scaled = bin(p, SN_K_DIV, bin(p, SN_K_MUL, l, p->x), binc(p, SN_K_SUB, u, 1));
  return near_zero(p, u, scaled, l);
}

/* ---- whole numbers -------------------------------------------------------------------------------------------- */

static sn_kv emit_ceil(point *p) {
  return sn_k_un(p->k, SN_K_NEG, sn_k_un(p->k, SN_K_FLOOR, sn_k_un(p->k, SN_K_NEG, p->x)));
}

static sn_kv emit_trunc(point *p) {
  sn_kv below = bin(p, SN_K_LT, p->x, splat(p, p->x, p->e, 0));
  return sn_k_select(p->k, below, emit_ceil(p), sn_k_un(p->k, SN_K_FLOOR, p->x));
}

/* ---- bits ------------------------------------------------------------------------------------------------------- */

static sn_kv emit_not(point *p) {
  return p->e == SN_ELEM_BOOL ? sn_k_un(p->k, SN_K_NOT, p->x) : binc(p, SN_K_XOR, p->x, -1);
}

static int bits_of(const point *p) { return p->e == SN_ELEM_I64 ? 64 : 32; }

/* The pattern in every 32 bits: a constant holds no number of 64 digits. */
static sn_kv repeated(point *p, uint32_t pattern) {
  if (p->e != SN_ELEM_I64) return splat(p, p->x, p->e, (double)(int32_t)pattern);
  sn_kv low = splat(p, p->x, p->e, pattern);
  return bin(p, SN_K_OR, low, binc(p, SN_K_SHL, low, 32));
}

/* Sums of neighbouring fields of 1, 2 and 4 bits, then of all bytes. */
static sn_kv emit_popcount(point *p) {
  sn_kv x = p->n->type[0]->elem == SN_ELEM_I8 ? binc(p, SN_K_AND, p->x, 0xff) : p->x, pairs = repeated(p, 0x33333333);
  x = bin(p, SN_K_SUB, x, bin(p, SN_K_AND, binc(p, SN_K_SHR, x, 1), repeated(p, 0x55555555)));
  x = bin(p, SN_K_ADD, bin(p, SN_K_AND, x, pairs), bin(p, SN_K_AND, binc(p, SN_K_SHR, x, 2), pairs));
  x = bin(p, SN_K_AND, bin(p, SN_K_ADD, x, binc(p, SN_K_SHR, x, 4)), repeated(p, 0x0f0f0f0f));
  return binc(p, SN_K_SHR, bin(p, SN_K_MUL, x, repeated(p, 0x01010101)), bits_of(p) - 8);
}

/* Counts that are no bit numbers: nothing is left of x but its sign. */
static sn_kv emit_shift(point *p) {
  sn_kv most = splat(p, p->y, p->e, bits_of(p) - 1);
  sn_kv out = bin(p, SN_K_OR, binc(p, SN_K_LT, p->y, 0), bin(p, SN_K_LT, most, p->y));
  sn_kv count = sn_k_select(p->k, out, most, p->y);
  if (p->n->op == SN_OP_SHR) return bin(p, SN_K_SAR, p->x, count);
  sn_kv moved = bin(p, SN_K_SHL, p->x, count);
  return sn_k_select(p->k, out, splat(p, moved, p->e, 0), moved);
}

/* ---- pow --------------------------------------------------------------------------------------------------- */

static bool constant_under(const sn_func *f, sn_val v, double *out) {
  while (sn_op_get(sn_node_of(f, v)->op)->cls == SN_CLASS_VIEW) v = sn_node_of(f, v)->arg[0];
  return sn_val_is_const(f, v, out);
}

static sn_kv whole_power(point *p, int n) {
  sn_kv r = 0, square = p->x;
  for (int left = n < 0 ? -n : n; left; left >>= 1) {
    if (left & 1) r = r ? bin(p, SN_K_MUL, r, square) : square;
    if (left > 1) square = bin(p, SN_K_MUL, square, square);
  }
  if (!r) return splat(p, p->x, p->e, 1);
  return n < 0 ? bin(p, SN_K_DIV, splat(p, r, p->e, 1), r) : r;
}

/* base^y = 2^(y log2 base), the product in two parts so that large exponents lose nothing. */
static sn_kv power_of_constant(point *p, double base) {
  if (base == 1) return splat(p, p->y, p->e, 1);
  double exponent = log2(base), high = p->e == SN_ELEM_F64 ? exponent : (double)(float)exponent;
  sn_kv product = binc(p, SN_K_MUL, p->y, high);
  sn_kv minus = sn_k_un(p->k, SN_K_NEG, product);
  sn_kv rest = sn_k_fma(p->k, p->y, splat(p, p->y, p->e, high), minus);
  rest = sn_k_fma(p->k, p->y, splat(p, p->y, p->e, exponent - high), rest);
  sn_kv r = sn_k_un(p->k, SN_K_EXP2, product);
  sn_kv exact = sn_k_fma(p->k, binc(p, SN_K_MUL, r, 0.6931471805599453), rest, r);
  sn_kv above = bin(p, SN_K_LT, splat(p, r, p->e, 0), r), below = bin(p, SN_K_LT, r, splat(p, r, p->e, INFINITY));
  return sn_k_select(p->k, bin(p, SN_K_AND, above, below), exact, r); /* the rest of an infinite product is NaN */
}

/* The sign bit, also of -0. */
static sn_kv is_negative(point *p, sn_kv x) {
  return binc(p, SN_K_LT, sn_k_bitcast(p->k, p->e == SN_ELEM_F64 ? SN_ELEM_I64 : SN_ELEM_I32, x), 0);
}

/* 2^(y log2 |x|), with the sign and the special values of pow.
 *   source: C11, F.10.4.4 */
static sn_kv general_power(point *p) {
  sn_kernel *k = p->k;
  sn_kv size = sn_k_un(k, SN_K_ABS, p->x), exponent = bin(p, SN_K_MUL, p->y, sn_k_un(k, SN_K_LOG2, size));
  sn_kv is_one = bin(p, SN_K_OR, binc(p, SN_K_EQ, size, 1), binc(p, SN_K_EQ, p->y, 0)); /* whatever the other is */
  sn_kv r = sn_k_un(k, SN_K_EXP2, sn_k_select(k, is_one, splat(p, exponent, p->e, 0), exponent));
  sn_kv whole = bin(p, SN_K_EQ, sn_k_un(k, SN_K_FLOOR, p->y), p->y);
  sn_kv half = binc(p, SN_K_MUL, p->y, 0.5);
  sn_kv odd = bin(p, SN_K_AND, whole, bin(p, SN_K_NE, sn_k_un(k, SN_K_FLOOR, half), half));
  sn_kv flips = bin(p, SN_K_AND, is_negative(p, p->x), odd);
  r = sn_k_select(k, flips, sn_k_un(k, SN_K_NEG, r), r);
  sn_kv below = bin(p, SN_K_AND, binc(p, SN_K_LT, p->x, 0), binc(p, SN_K_LT, size, INFINITY));
  sn_kv nowhere = bin(p, SN_K_AND, below, sn_k_un(k, SN_K_NOT, whole));
  return sn_k_select(k, nowhere, splat(p, r, p->e, NAN), r);
}

/* x^(1/2): as the square root, but 0 for -0 and infinity for -infinity. */
static sn_kv half_power(point *p) {
  sn_kv root = binc(p, SN_K_ADD, sn_k_un(p->k, SN_K_SQRT, p->x), 0);
  return sn_k_select(p->k, binc(p, SN_K_EQ, p->x, -INFINITY), splat(p, root, p->e, INFINITY), root);
}

static sn_kv emit_pow(point *p) {
  double c;
  if (constant_under(p->f, p->n->arg[1], &c)) {
    if (c == floor(c) && fabs(c) <= 16) return whole_power(p, (int)c);
    if (c == 0.5) return half_power(p);
    if (c == -0.5) return bin(p, SN_K_DIV, splat(p, p->x, p->e, 1), half_power(p));
  }
  if (constant_under(p->f, p->n->arg[0], &c) && c > 0 && isfinite(c)) return power_of_constant(p, c);
  return general_power(p);
}

/* ---- the table ------------------------------------------------------------------------------------------------ */

static sn_kv emit_number(point *p) { /* table */
  switch (p->n->op) {
    case SN_OP_NEG: return sn_k_un(p->k, SN_K_NEG, p->x);
    case SN_OP_ABS: return sn_k_un(p->k, SN_K_ABS, p->x);
    case SN_OP_SIGN: return emit_sign(p);
    case SN_OP_EXP: return sn_k_un(p->k, SN_K_EXP, p->x);
    case SN_OP_LOG: return sn_k_un(p->k, SN_K_LOG, p->x);
    case SN_OP_EXP2: return sn_k_un(p->k, SN_K_EXP2, p->x);
    case SN_OP_LOG2: return sn_k_un(p->k, SN_K_LOG2, p->x);
    case SN_OP_EXPM1: return emit_expm1(p);
    case SN_OP_LOG1P: return emit_log1p(p);
    case SN_OP_FLOOR: return sn_k_un(p->k, SN_K_FLOOR, p->x);
    case SN_OP_CEIL: return emit_ceil(p);
    case SN_OP_ROUND: return sn_k_un(p->k, SN_K_RINT, p->x);
    case SN_OP_TRUNC: return emit_trunc(p);
    case SN_OP_SQRT: return sn_k_un(p->k, SN_K_SQRT, p->x);
    case SN_OP_RSQRT: return sn_k_un(p->k, SN_K_RSQRT, p->x);
    case SN_OP_SIN: return sn_k_un(p->k, SN_K_SIN, p->x);
    case SN_OP_COS: return sn_k_un(p->k, SN_K_COS, p->x);
    case SN_OP_TANH: return sn_k_un(p->k, SN_K_TANH, p->x);
    case SN_OP_ERF: return sn_k_un(p->k, SN_K_ERF, p->x);
    case SN_OP_NOT: return emit_not(p);
    case SN_OP_POPCOUNT: return emit_popcount(p);
    case SN_OP_ISFINITE: return bin(p, SN_K_LT, sn_k_un(p->k, SN_K_ABS, p->x), splat(p, p->x, p->e, INFINITY));
    case SN_OP_CAST: return emit_cast(p);
    case SN_OP_STOP: return p->x;
    case SN_OP_ADD: return bin(p, SN_K_ADD, p->x, p->y);
    case SN_OP_SUB: return bin(p, SN_K_SUB, p->x, p->y);
    case SN_OP_MUL: return bin(p, SN_K_MUL, p->x, p->y);
    case SN_OP_DIV: return bin(p, SN_K_DIV, p->x, p->y);
    case SN_OP_MOD: return bin(p, SN_K_MOD, p->x, p->y);
    case SN_OP_POW: return emit_pow(p);
    case SN_OP_MIN: return bin(p, SN_K_MIN, p->x, p->y);
    case SN_OP_MAX: return bin(p, SN_K_MAX, p->x, p->y);
    case SN_OP_EQ: return emit_compare(p, SN_K_EQ);
    case SN_OP_NE: return emit_compare(p, SN_K_NE);
    case SN_OP_LT: return bin(p, SN_K_LT, p->x, p->y);
    case SN_OP_LE: return bin(p, SN_K_LE, p->x, p->y);
    case SN_OP_AND: return bin(p, SN_K_AND, p->x, p->y);
    case SN_OP_OR: return bin(p, SN_K_OR, p->x, p->y);
    case SN_OP_XOR: return bin(p, SN_K_XOR, p->x, p->y);
    case SN_OP_SHL:
    case SN_OP_SHR: return emit_shift(p);
    case SN_OP_SELECT: return sn_k_select(p->k, p->x, p->y, p->z);
    default: return 0;
  }
}

sn_kv sn_point_emit(sn_build_kernel *b, const sn_func *f, const sn_node *n, const sn_kv *arg) {
  point p = {b,
             b->k,
             f,
             n,
             arg[0],
             n->arg_count > 1 ? arg[1] : 0,
             n->arg_count > 2 ? arg[2] : 0,
             sn_compute_elem(sn_val_type(f, n->arg[0])->elem)};
  sn_kv v = emit_number(&p);
  sn_elem e = n->type[0]->elem;
  bool wraps = (e == SN_ELEM_I8 || e == SN_ELEM_U8) && n->op != SN_OP_CAST;
  return wraps && v ? sn_point_round(b, e, v) : v;
}

/* ---- random numbers --------------------------------------------------------------------------------------------- */

static double word(uint32_t w) { return (double)(int32_t)w; }

/* Philox-4x32-10 on tiles of i32; as sn_philox in ir/base/rng.h, first output word only. */
static sn_kv philox(sn_kernel *k, sn_kv c[4], sn_kv key[2]) {
  for (int round = 0; round < 10; round++) {
    sn_kv high0 = sn_k_binc(k, SN_K_MULHI, c[0], word(0xD2511F53u)),
          low0 = sn_k_binc(k, SN_K_MUL, c[0], word(0xD2511F53u));
    sn_kv high1 = sn_k_binc(k, SN_K_MULHI, c[2], word(0xCD9E8D57u)),
          low1 = sn_k_binc(k, SN_K_MUL, c[2], word(0xCD9E8D57u));
    sn_kv a = sn_k_bin(k, SN_K_XOR, sn_k_bin(k, SN_K_XOR, high1, c[1]), key[0]);
    sn_kv d = sn_k_bin(k, SN_K_XOR, sn_k_bin(k, SN_K_XOR, high0, c[3]), key[1]);
    c[0] = a, c[1] = low1, c[2] = d, c[3] = low0;
    key[0] = sn_k_binc(k, SN_K_ADD, key[0], word(0x9E3779B9u));
    key[1] = sn_k_binc(k, SN_K_ADD, key[1], word(0xBB67AE85u));
  }
  return c[0];
}

sn_kv sn_uniform_emit(sn_build_kernel *b, uint64_t stream, sn_kv seed_low, sn_kv seed_high, sn_kv step, sn_kv low,
                      sn_kv high) {
  sn_kernel *k = b->k;
  sn_kv c[4] = {low, high};
  c[2] = sn_k_binc(k, SN_K_XOR, step, word((uint32_t)stream));
  c[3] = sn_k_const(k, SN_ELEM_I32, 1, 1, word((uint32_t)(stream >> 32)));
  sn_kv key[2] = {seed_low, seed_high};
  sn_kv bits = sn_k_binc(k, SN_K_SHR, philox(k, c, key), 8);
  return sn_k_binc(k, SN_K_MUL, sn_k_cast(k, SN_ELEM_F32, bits), 0x1p-24);
}
