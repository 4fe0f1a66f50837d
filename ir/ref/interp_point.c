/* Elementwise ops of the graph interpreter: value and error bound of one element at a time.
 *
 * Each rule gets operands as (v, e) and returns its result before rounding: v, the propagated error, and how many
 * roundoffs the op itself may add. The caller adds rounding, and settles what is not finite:
 * a NaN or infinity is certain (bound 0) when it does not depend on what is uncertain. */
#include "ir/ref/eval.h"

typedef struct pt {
  double v, e;
} pt;

typedef struct rule_in {
  sn_elem elem; /* of the result */
  double u;     /* its roundoff */
  pt x, y, z;
} rule_in;

typedef struct rule_out {
  double v, e;
  double ulps; /* roundoffs of the op, in units of u; wide = function of a few ulp */
  bool exact;  /* with exact operands the result is exact when it is representable */
} rule_out;

typedef rule_out (*point_rule)(const rule_in *r);

/* ---- arithmetic ---- */

static bool sum_is_exact(double a, double b, double s) { return s - a == b && s - b == a; }

static rule_out r_neg(const rule_in *r) { return (rule_out){-r->x.v, r->x.e, 0, true}; }
static rule_out r_abs(const rule_in *r) { return (rule_out){fabs(r->x.v), r->x.e, 0, true}; }
static rule_out r_same(const rule_in *r) { return (rule_out){r->x.v, r->x.e, 0, true}; }

static rule_out r_sign(const rule_in *r) {
  double x = r->x.v;
  bool unsure = r->x.e > 0 && !(fabs(x) > r->x.e); /* also when it is NaN */
  return (rule_out){isnan(x) ? x : (x > 0) - (x < 0), unsure ? 2 : 0, 0, true};
}

static rule_out r_add(const rule_in *r) {
  double s = r->x.v + r->y.v;
  return (rule_out){s, r->x.e + r->y.e, 1, sum_is_exact(r->x.v, r->y.v, s)};
}

static rule_out r_sub(const rule_in *r) {
  double s = r->x.v - r->y.v;
  return (rule_out){s, r->x.e + r->y.e, 1, sum_is_exact(r->x.v, -r->y.v, s)};
}

static rule_out r_mul(const rule_in *r) {
  double p = r->x.v * r->y.v;
  double e = sn_times(fabs(r->x.v), r->y.e) + sn_times(fabs(r->y.v), r->x.e) + sn_times(r->x.e, r->y.e);
  return (rule_out){p, e, 1, fma(r->x.v, r->y.v, -p) == 0};
}

static rule_out r_div(const rule_in *r) {
  double q = r->x.v / r->y.v, low = fabs(r->y.v) - r->y.e;
  if (low <= 0 && r->y.e > 0) return (rule_out){q, INFINITY, 0, false};
  double e = r->x.e == 0 && r->y.e == 0 ? 0 : (r->x.e + sn_times(fabs(q), r->y.e)) / low;
  return (rule_out){q, e, 6, fma(q, r->y.v, -r->x.v) == 0};
}

static rule_out r_min(const rule_in *r) {
  double a = r->x.v, b = r->y.v;
  return (rule_out){isnan(a) || isnan(b) ? NAN : (a < b ? a : b), fmax(r->x.e, r->y.e), 0, true};
}

static rule_out r_max(const rule_in *r) {
  double a = r->x.v, b = r->y.v;
  return (rule_out){isnan(a) || isnan(b) ? NAN : (a > b ? a : b), fmax(r->x.e, r->y.e), 0, true};
}

/* ---- functions: error over the whole interval v - e .. v + e ---- */

static rule_out r_exp(const rule_in *r) {
  double v = exp(r->x.v);
  return (rule_out){v, sn_times(v, expm1(r->x.e)), 8, r->x.v == 0};
}

/* Below 0 wherever in its interval it is, and too large to be flushed to 0: NaN for certain. */
static bool certainly_negative(const rule_in *r) { return r->x.e > 0 && r->x.v + r->x.e <= -sn_elem_tiny(r->elem); }

static rule_out r_log(const rule_in *r) {
  double a = r->x.v, e = r->x.e;
  if (certainly_negative(r)) return (rule_out){NAN, 0, 0, true};
  if (e > 0 && a - e <= 0) return (rule_out){log(a), INFINITY, 0, false};
  return (rule_out){log(a), e > 0 ? -log1p(-e / a) : 0, 8, a == 1};
}

static rule_out r_sqrt(const rule_in *r) {
  double a = r->x.v, e = r->x.e, v = sqrt(a);
  if (certainly_negative(r)) return (rule_out){NAN, 0, 0, true};
  if (e > 0 && a - e < 0) return (rule_out){v, INFINITY, 0, false};
  return (rule_out){v, e > 0 ? v - sqrt(a - e) : 0, 2, v * v == a && fma(v, v, -a) == 0};
}

static rule_out r_rsqrt(const rule_in *r) {
  double a = r->x.v, e = r->x.e, v = 1 / sqrt(a);
  if (certainly_negative(r)) return (rule_out){NAN, 0, 0, true};
  if (e > 0 && a - e <= 0) return (rule_out){v, INFINITY, 0, false};
  return (rule_out){v, e > 0 ? 1 / sqrt(a - e) - v : 0, 6, false};
}

#define LN2 0.69314718055994531

static rule_out r_exp2(const rule_in *r) {
  double v = exp2(r->x.v);
  return (rule_out){v, sn_times(v, expm1(LN2 * r->x.e)), 8, r->x.v == 0};
}

static rule_out r_log2(const rule_in *r) {
  double a = r->x.v, e = r->x.e;
  if (certainly_negative(r)) return (rule_out){NAN, 0, 0, true};
  if (e > 0 && a - e <= 0) return (rule_out){log2(a), INFINITY, 0, false};
  return (rule_out){log2(a), e > 0 ? -log1p(-e / a) / LN2 : 0, 8, a == 1};
}

static rule_out r_expm1(const rule_in *r) {
  return (rule_out){expm1(r->x.v), sn_times(exp(r->x.v), expm1(r->x.e)), 16, r->x.v == 0};
}

static rule_out r_log1p(const rule_in *r) {
  double a = r->x.v, e = r->x.e, v = log1p(a);
  if (e > 0 && a + e <= -1 - 0x1p-10) return (rule_out){NAN, 0, 0, true};
  if (e > 0 && a - e <= -1) return (rule_out){v, INFINITY, 0, false};
  return (rule_out){v, e > 0 ? -log1p(-e / (1 + a)) : 0, 16, a == 0};
}

/* A step function that never falls: what it is at the ends of the interval. */
static rule_out step_of(const rule_in *r, double (*f)(double)) {
  double v = f(r->x.v);
  if (r->x.e == 0) return (rule_out){v, 0, 0, true};
  return (rule_out){v, fmax(v - f(r->x.v - r->x.e), f(r->x.v + r->x.e) - v), 0, true};
}

static rule_out r_floor(const rule_in *r) { return step_of(r, floor); }
static rule_out r_ceil(const rule_in *r) { return step_of(r, ceil); }
static rule_out r_round(const rule_in *r) { return step_of(r, rint); }
static rule_out r_trunc(const rule_in *r) { return step_of(r, trunc); }

/* Argument reduction leaves an absolute error where the result is small. */
static rule_out wave(const rule_in *r, double v) {
  double reduction = 2 * r->u * fmin(fabs(r->x.v), 1), most = fabs(r->x.v) + r->x.e;
  bool wide = r->elem == SN_ELEM_F64;
  if (most > (wide ? 0x1p26 : 0x1p20))
    reduction = wide || most > 0x1p22 ? 2 : 4e-6; /* numerics: angles of many turns */
  return (rule_out){v, fmin(r->x.e, 2) + reduction, 8, false};
}

static rule_out r_sin(const rule_in *r) {
  return r->x.v == 0 && r->x.e == 0 ? (rule_out){0, 0, 0, true} : wave(r, sin(r->x.v));
}
static rule_out r_cos(const rule_in *r) {
  return r->x.v == 0 && r->x.e == 0 ? (rule_out){1, 0, 0, true} : wave(r, cos(r->x.v));
}

/* The slope of tanh and erf is greatest at the point of the interval nearest to 0. */
static rule_out r_tanh(const rule_in *r) {
  double near = fmax(fabs(r->x.v) - r->x.e, 0), t = tanh(near);
  return (rule_out){tanh(r->x.v), fmin(sn_times(r->x.e, 1 - t * t), 2), 8, r->x.v == 0};
}

static rule_out r_erf(const rule_in *r) {
  double near = fmax(fabs(r->x.v) - r->x.e, 0);
  return (rule_out){erf(r->x.v), fmin(sn_times(r->x.e, 1.1283791670955126 * exp(-near * near)), 2), 8, r->x.v == 0};
}

/* x^y as exp(y log x): the relative error is that of y log x, absolutely. A base that may be 0 or an exponent that may
 * not be whole or of another sign decide about more. */
static rule_out r_pow(const rule_in *r) {
  double x = fabs(r->x.v), v = pow(r->x.v, r->y.v);
  bool end = x == 0 || isinf(x);
  if (r->x.e > 0 && x - r->x.e <= 0) return (rule_out){v, INFINITY, 0, false};
  if (r->y.e > 0 && (signbit(r->x.v) || (end && fabs(r->y.v) <= r->y.e))) return (rule_out){v, INFINITY, 0, false};
  double l = x > 0 ? fabs(log(x)) : 0, dl = r->x.e > 0 ? -log1p(-r->x.e / x) : 0;
  double rel = expm1(sn_times(fabs(r->y.v), dl) + (end ? 0 : sn_times(r->y.e, l + dl)));
  return (rule_out){v, isinf(rel) ? INFINITY : sn_times(fabs(v), rel), 32 + 4 * sn_times(fabs(r->y.v), l), false};
}

/* ---- comparisons and choices ---- */

/* May the sign of x - y be another one? */
static bool unsure(const rule_in *r) {
  double e = r->x.e + r->y.e;
  return e > 0 && (isinf(e) || fabs(r->x.v - r->y.v) <= e);
}

static rule_out truth(bool v, bool doubt) { return (rule_out){v, doubt ? INFINITY : 0, 0, true}; }

static rule_out r_eq(const rule_in *r) { return truth(r->x.v == r->y.v, unsure(r)); }
static rule_out r_ne(const rule_in *r) { return truth(r->x.v != r->y.v, unsure(r)); }
static rule_out r_lt(const rule_in *r) { return truth(r->x.v < r->y.v, unsure(r)); }
static rule_out r_le(const rule_in *r) { return truth(r->x.v <= r->y.v, unsure(r)); }
static rule_out r_not(const rule_in *r) { return truth(r->x.v == 0, r->x.e > 0); }

/* A certain false (and) or true (or) decides. */
static rule_out r_and(const rule_in *r) {
  bool x = r->x.v != 0, y = r->y.v != 0, sure = (!x && r->x.e == 0) || (!y && r->y.e == 0);
  return truth(x && y, !sure && r->x.e + r->y.e > 0);
}

static rule_out r_or(const rule_in *r) {
  bool x = r->x.v != 0, y = r->y.v != 0, sure = (x && r->x.e == 0) || (y && r->y.e == 0);
  return truth(x || y, !sure && r->x.e + r->y.e > 0);
}

static rule_out r_xor(const rule_in *r) { return truth((r->x.v != 0) != (r->y.v != 0), r->x.e + r->y.e > 0); }

/* With an uncertain condition: both sides are covered. */
static rule_out r_select(const rule_in *r) {
  pt a = r->x.v != 0 ? r->y : r->z, b = r->x.v != 0 ? r->z : r->y;
  if (r->x.e == 0) return (rule_out){a.v, a.e, 0, true};
  if (a.v == b.v) return (rule_out){a.v, fmax(a.e, b.e), 0, true};
  if (isnan(a.v) || isnan(b.v)) return (rule_out){a.v, INFINITY, 0, true};
  return (rule_out){a.v, fmax(a.e, fabs(a.v - b.v) + b.e), 0, true};
}

static const point_rule rules[SN_OP_COUNT] = {
    /* table */
    [SN_OP_NEG] = r_neg,     [SN_OP_ABS] = r_abs,   [SN_OP_SIGN] = r_sign,   [SN_OP_EXP] = r_exp,
    [SN_OP_LOG] = r_log,     [SN_OP_SQRT] = r_sqrt, [SN_OP_RSQRT] = r_rsqrt, [SN_OP_SIN] = r_sin,
    [SN_OP_COS] = r_cos,     [SN_OP_TANH] = r_tanh, [SN_OP_ERF] = r_erf,     [SN_OP_NOT] = r_not,
    [SN_OP_STOP] = r_same,   [SN_OP_ADD] = r_add,   [SN_OP_SUB] = r_sub,     [SN_OP_MUL] = r_mul,
    [SN_OP_DIV] = r_div,     [SN_OP_POW] = r_pow,   [SN_OP_MIN] = r_min,     [SN_OP_MAX] = r_max,
    [SN_OP_EQ] = r_eq,       [SN_OP_NE] = r_ne,     [SN_OP_LT] = r_lt,       [SN_OP_LE] = r_le,
    [SN_OP_AND] = r_and,     [SN_OP_OR] = r_or,     [SN_OP_XOR] = r_xor,     [SN_OP_SELECT] = r_select,
    [SN_OP_EXP2] = r_exp2,   [SN_OP_LOG2] = r_log2, [SN_OP_EXPM1] = r_expm1, [SN_OP_LOG1P] = r_log1p,
    [SN_OP_FLOOR] = r_floor, [SN_OP_CEIL] = r_ceil, [SN_OP_ROUND] = r_round, [SN_OP_TRUNC] = r_trunc,
};

/* ---- rounding ---- */

/* Narrow floats are computed in f32 and rounded once when stored. */
static double roundoffs(sn_elem e, double ulps) { return sn_elem_is_narrow(e) && ulps > 1 ? 1.05 : ulps; }

static bool certain(const rule_in *r, bool singular) {
  const pt *p = &r->x;
  bool all_zero = true, all_finite = true;
  for (int i = 0; i < 3; i++) {
    if (isnan(p[i].v) && p[i].e == 0) return true;
    all_zero &= p[i].e == 0;
    all_finite &= isfinite(p[i].e) != 0;
  }
  return all_zero || (all_finite && !singular);
}

/* select knows which of its operands counts. */
static pt settle(const rule_in *r, const rule_out *o, sn_op op, bool singular) {
  if (!sn_elem_is_float(r->elem)) return (pt){o->v, o->e};
  if (op != SN_OP_SELECT && (isinf(r->x.e) || isinf(r->y.e))) return (pt){o->v, INFINITY}; /* it may be NaN */
  if (isnan(o->v) && o->e == 0 && o->exact) return (pt){o->v, 0};
  if (!isfinite(o->v))
    return (pt){o->v, isinf(o->e) && !isnan(o->v) && o->ulps > 0 && singular ? INFINITY
                      : certain(r, singular)                                 ? 0
                                                                             : INFINITY};
  if (o->e == 0 && o->exact && r->x.e + r->y.e + r->z.e == 0 && sn_elem_round(r->elem, o->v) == o->v &&
      (o->v == 0 || fabs(o->v) >= sn_elem_tiny(r->elem)))
    return (pt){o->v, 0};
  double e = o->e;
  if (o->ulps > 0) e += sn_rounding(r->elem, r->u, o->v, o->e, roundoffs(r->elem, o->ulps));
  return (pt){o->v, sn_settle(r->elem, o->v, e)};
}

static bool is_singular(sn_op op) {
  return op == SN_OP_DIV || op == SN_OP_LOG || op == SN_OP_LOG2 || op == SN_OP_LOG1P || op == SN_OP_SQRT ||
         op == SN_OP_RSQRT || op == SN_OP_POW || op == SN_OP_MUL || op == SN_OP_SELECT;
}

static pt load(const sn_eval *e, int k, int64_t i) {
  if (k >= e->n->arg_count) return (pt){0, 0};
  return (pt){e->arg[k]->value[i], e->bounds ? e->arg[k]->bound[i] : 0};
}

static void eval_floats(sn_eval *e) {
  sn_tensor *out = e->out[0];
  point_rule rule = rules[e->n->op];
  bool singular = is_singular(e->n->op);
  rule_in r = {.elem = out->elem, .u = sn_unit(sn_elem_is_float(out->elem) ? out->elem : e->arg[0]->elem)};
  for (int64_t i = 0; i < out->count; i++) {
    r.x = load(e, 0, i);
    r.y = load(e, 1, i);
    r.z = load(e, 2, i);
    rule_out o = rule(&r);
    if (e->bounds) {
      pt p = settle(&r, &o, e->n->op, singular);
      out->bound[i] = p.e;
    }
    out->value[i] = o.v;
  }
}

/* ---- integers ---- */

static int64_t floor_div(int64_t a, int64_t b) {
  if (b == -1) return (int64_t)(0 - (uint64_t)a);
  int64_t q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t bit_count(sn_elem e, uint64_t x) {
  int64_t n = 0;
  if (e != SN_ELEM_I64) x &= e == SN_ELEM_I32 ? UINT32_MAX : UINT8_MAX;
  for (; x; x &= x - 1) n++;
  return n;
}

/* x / 2^n rounded down; n < 0: as if it were infinite. */
static int64_t shift_down(int64_t x, int64_t n) {
  if (n < 0 || n > 63) n = 63;
  return x < 0 ? ~(~x >> n) : x >> n;
}

static int64_t integer(sn_op op, sn_elem e, int64_t a, int64_t b, int64_t c) { /* table */
  uint64_t x = (uint64_t)a, y = (uint64_t)b;
  switch (op) {
    case SN_OP_NEG: return (int64_t)(0 - x);
    case SN_OP_ABS: return a < 0 ? (int64_t)(0 - x) : a;
    case SN_OP_SIGN: return (a > 0) - (a < 0);
    case SN_OP_STOP: return a;
    case SN_OP_ADD: return (int64_t)(x + y);
    case SN_OP_SUB: return (int64_t)(x - y);
    case SN_OP_MUL: return (int64_t)(x * y);
    case SN_OP_DIV: return b ? floor_div(a, b) : 0;
    case SN_OP_MOD: return b ? (int64_t)(x - (uint64_t)floor_div(a, b) * y) : 0;
    case SN_OP_MIN: return a < b ? a : b;
    case SN_OP_MAX: return a > b ? a : b;
    case SN_OP_EQ: return a == b;
    case SN_OP_NE: return a != b;
    case SN_OP_LT: return a < b;
    case SN_OP_LE: return a <= b;
    case SN_OP_AND: return (int64_t)(x & y);
    case SN_OP_OR: return (int64_t)(x | y);
    case SN_OP_XOR: return (int64_t)(x ^ y);
    case SN_OP_NOT: return (int64_t)~x;
    case SN_OP_POPCOUNT: return bit_count(e, x);
    case SN_OP_SHL: return b < 0 || b > 63 ? 0 : (int64_t)(x << y);
    case SN_OP_SHR: return shift_down(a, b);
    default: return a ? b : c; /* select */
  }
}

static sn_code eval_integers(sn_eval *e) {
  sn_tensor *out = e->out[0];
  int n = e->n->arg_count;
  sn_op op = e->n->op;
  for (int64_t i = 0; i < out->count; i++) {
    int64_t v[3] = {0};
    double doubt = 0;
    for (int k = 0; k < n; k++) {
      v[k] = sn_int_at(e->arg[k], i);
      if (e->bounds && e->arg[k]->bound[i] > 0 && (op != SN_OP_SELECT || k == 0 || k == 2 - (v[0] != 0)))
        doubt = INFINITY;
    }
    if ((op == SN_OP_DIV || op == SN_OP_MOD) && v[1] == 0)
      return sn_eval_fail(e, "division by zero at element %lld", (long long)i);
    sn_int_set(out, i, sn_wrap(out->elem, integer(op, out->elem, v[0], v[1], v[2])));
    if (e->bounds) out->bound[i] = doubt;
  }
  return SN_OK;
}

/* ---- casts ---- */

static double clamp(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }

/* Truncates and saturates; NaN gives 0. */
static int64_t to_int(sn_elem to, double x) {
  if (isnan(x)) return 0;
  x = trunc(x);
  switch (to) {
    case SN_ELEM_I64: return x >= 0x1p63 ? INT64_MAX : x < -0x1p63 ? INT64_MIN : (int64_t)x;
    case SN_ELEM_I32: return (int64_t)clamp(x, INT32_MIN, INT32_MAX);
    case SN_ELEM_I8: return (int64_t)clamp(x, INT8_MIN, INT8_MAX);
    default: return (int64_t)clamp(x, 0, UINT8_MAX);
  }
}

static bool cast_doubt(sn_elem to, double x, double b) {
  if (b == 0) return false;
  if (isinf(b)) return true;
  if (to == SN_ELEM_BOOL) return fabs(x) <= b;
  return to_int(to, x - b) != to_int(to, x + b);
}

static void cast_to_int(sn_eval *e, int64_t i) {
  sn_tensor *out = e->out[0];
  const sn_tensor *x = e->arg[0];
  bool from_float = sn_elem_is_float(x->elem);
  double v = x->value[i], b = e->bounds ? x->bound[i] : 0;
  int64_t r =
      from_float ? (out->elem == SN_ELEM_BOOL ? !(v == 0) : to_int(out->elem, v)) : sn_wrap(out->elem, sn_int_at(x, i));
  sn_int_set(out, i, r);
  if (e->bounds) out->bound[i] = from_float ? (cast_doubt(out->elem, v, b) ? INFINITY : 0) : b;
}

static bool holds_all(sn_elem to, sn_elem from) {
  if (to == from || to == SN_ELEM_F64) return true;
  return to == SN_ELEM_F32 ? from != SN_ELEM_F64 : sn_elem_is_byte(from) && !sn_elem_is_byte(to);
}

/* Integers round too, when they need more digits than the type has. */
static void cast_to_float(sn_eval *e, int64_t i) {
  sn_tensor *out = e->out[0];
  const sn_tensor *x = e->arg[0];
  double v = x->wide ? (double)x->wide[i] : x->value[i], b = e->bounds ? x->bound[i] : 0;
  bool byte = sn_elem_is_byte(out->elem) && isfinite(v) && fabs(v) <= (double)FLT_MAX;
  if (byte) v = clamp(v, -sn_elem_max(out->elem), sn_elem_max(out->elem)); /* f8 saturates */
  out->value[i] = v;
  if (!e->bounds) return;
  bool wider = sn_elem_is_float(x->elem) && holds_all(out->elem, x->elem);
  if (isnan(v) || isinf(v))
    out->bound[i] = b;
  else if (wider || (b == 0 && sn_elem_round(out->elem, v) == v))
    out->bound[i] = sn_settle(byte ? SN_ELEM_F32 : out->elem, v, b);
  else
    out->bound[i] =
        sn_settle(byte ? SN_ELEM_F32 : out->elem, v, b + sn_rounding(out->elem, sn_unit(out->elem), v, b, 1));
}

static void eval_cast(sn_eval *e) {
  sn_tensor *out = e->out[0];
  bool to_float = sn_elem_is_float(out->elem);
  for (int64_t i = 0; i < out->count; i++) {
    if (to_float)
      cast_to_float(e, i);
    else
      cast_to_int(e, i);
  }
}

static void eval_isfinite(sn_eval *e) {
  sn_tensor *out = e->out[0];
  const sn_tensor *x = e->arg[0];
  double top = sn_elem_max(x->elem);
  for (int64_t i = 0; i < out->count; i++) {
    double v = fabs(x->value[i]), b = e->bounds ? x->bound[i] : 0;
    out->value[i] = v <= top;
    if (e->bounds) out->bound[i] = b > 0 && (isinf(b) || (isfinite(v) && (v + b > top) != (v > top))) ? INFINITY : 0;
  }
}

sn_code sn_eval_point(sn_eval *e) {
  sn_op op = e->n->op;
  if (op == SN_OP_CAST)
    eval_cast(e);
  else if (op == SN_OP_ISFINITE)
    eval_isfinite(e);
  else if (!sn_elem_is_float(e->arg[e->n->arg_count - 1]->elem) && e->arg[0]->elem != SN_ELEM_BOOL)
    return eval_integers(e);
  else if (op == SN_OP_SELECT && !sn_elem_is_float(e->arg[2]->elem))
    return eval_integers(e);
  else
    eval_floats(e);
  return SN_OK;
}
