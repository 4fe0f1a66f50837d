/* Kernel interpreter, arithmetic: one tile from others. f32 values are exact f64 unless rounding is asked for. */
#include <math.h>
#include <string.h>

#include "ir/base/str.h"
#include "ir/ref/kinterp_impl.h"

static const double fragile_change = 1e-5;

/* ---- scalars ---- */

static double rounded(const sn_kenv *e, sn_elem elem, double x) {
  return e->in->round && elem == SN_ELEM_F32 ? (double)(float)x : x;
}

static int64_t wrap32(int64_t x) { return (int32_t)(uint32_t)(uint64_t)x; }

static int64_t wrap(sn_elem e, int64_t x) {
  switch (e) {
    case SN_ELEM_I32: return wrap32(x);
    case SN_ELEM_I8: return (int8_t)(uint8_t)(uint64_t)x;
    case SN_ELEM_U8: return (uint8_t)(uint64_t)x;
    case SN_ELEM_BOOL: return x != 0;
    default: return x;
  }
}

static int64_t saturate(double x, double lo, double hi, int64_t min, int64_t max) {
  if (x != x) return 0;
  x = trunc(x);
  return x < lo ? min : x >= hi ? max : (int64_t)x;
}

static int64_t int_from_float(sn_elem to, double x) {
  switch (to) {
    case SN_ELEM_I32: return saturate(x, INT32_MIN, 0x1p31, INT32_MIN, INT32_MAX);
    case SN_ELEM_I8: return saturate(x, INT8_MIN, 128, INT8_MIN, INT8_MAX);
    case SN_ELEM_U8: return saturate(x, 0, 256, 0, UINT8_MAX);
    default: return saturate(x, -0x1p63, 0x1p63, INT64_MIN, INT64_MAX);
  }
}

static sn_kcell cast(const sn_kenv *e, sn_elem from, sn_elem to, sn_kcell c) {
  bool from_float = sn_elem_is_float(from), to_float = sn_elem_is_float(to);
  if (from_float && !to_float) return (sn_kcell){.i = int_from_float(to, c.f)};
  if (!from_float && !to_float) return (sn_kcell){.i = wrap(to, c.i)};
  double x = from_float ? c.f : to == SN_ELEM_F32 ? (double)(float)c.i : (double)c.i; /* rounded once */
  bool keep = from == SN_ELEM_F64 && to == SN_ELEM_F32 && !e->in->round;
  return (sn_kcell){.f = keep ? x : sn_elem_nearest(to, x)};
}

static sn_kcell bitcast(sn_elem from, sn_kcell c) {
  if (from == SN_ELEM_F64 || from == SN_ELEM_I64) return c; /* the cell has both in the same bits */
  float f = (float)c.f;
  int32_t i = (int32_t)c.i;
  if (from == SN_ELEM_F32) {
    memcpy(&i, &f, sizeof i);
    return (sn_kcell){.i = i};
  }
  memcpy(&f, &i, sizeof f);
  return (sn_kcell){.f = f};
}

static double float_unary(sn_kop op, double x) { /* table */
  switch (op) {
    case SN_K_NEG: return -x;
    case SN_K_ABS: return fabs(x);
    case SN_K_EXP2: return exp2(x);
    case SN_K_LOG2: return log2(x);
    case SN_K_EXP: return exp(x);
    case SN_K_LOG: return log(x);
    case SN_K_SIN: return sin(x);
    case SN_K_COS: return cos(x);
    case SN_K_TANH: return tanh(x);
    case SN_K_ERF: return erf(x);
    case SN_K_SQRT: return sqrt(x);
    case SN_K_RSQRT: return 1 / sqrt(x);
    case SN_K_RECIP: return 1 / x;
    case SN_K_FLOOR: return floor(x);
    default: return rint(x);
  }
}

static double float_binary(sn_kop op, double x, double y) {
  switch (op) {
    case SN_K_ADD: return x + y;
    case SN_K_SUB: return x - y;
    case SN_K_MUL: return x * y;
    case SN_K_DIV: return x / y;
    case SN_K_MIN: return x != x || y != y ? NAN : x < y ? x : y;
    default: return x != x || y != y ? NAN : x > y ? x : y;
  }
}

static int64_t floor_div(int64_t x, int64_t y) {
  if (y == -1) return (int64_t)(0 - (uint64_t)x);
  return x / y - (x % y != 0 && (x < 0) != (y < 0));
}

/* The caller wraps the result to its type. */
static int64_t int_binary(sn_kenv *e, sn_kv v, sn_kop op, sn_elem elem, int64_t x, int64_t y) { /* table */
  uint64_t count = (uint64_t)y, word = (uint64_t)x, low = elem == SN_ELEM_I64 ? word : (uint32_t)word;
  if ((op == SN_K_DIV || op == SN_K_MOD) && !y) return 0; /* elements beyond the limits of a tile */
  if ((op == SN_K_SHL || op == SN_K_SHR || op == SN_K_SAR) && count > (elem == SN_ELEM_I64 ? 63 : 31))
    sn_kenv_fail(e, v, "shift by %lld", (long long)y);
  if (e->failed) return 0;
  switch (op) {
    case SN_K_ADD: return (int64_t)((uint64_t)x + (uint64_t)y);
    case SN_K_SUB: return (int64_t)((uint64_t)x - (uint64_t)y);
    case SN_K_MUL: return (int64_t)((uint64_t)x * (uint64_t)y);
    case SN_K_DIV: return floor_div(x, y);
    case SN_K_MOD: return (int64_t)(word - (uint64_t)floor_div(x, y) * count);
    case SN_K_MIN: return x < y ? x : y;
    case SN_K_MAX: return x > y ? x : y;
    case SN_K_AND: return x & y;
    case SN_K_OR: return x | y;
    case SN_K_XOR: return x ^ y;
    case SN_K_SHL: return (int64_t)(low << count);
    case SN_K_SHR: return (int64_t)(low >> count);
    case SN_K_SAR: return x < 0 ? ~(~x >> count) : x >> count;
    default: return (int64_t)(low * (uint32_t)count >> 32);
  }
}

static bool compare(sn_kop op, bool is_float, sn_kcell a, sn_kcell b) {
  bool lt = is_float ? a.f < b.f : a.i < b.i, eq = is_float ? a.f == b.f : a.i == b.i;
  return op == SN_K_LT ? lt : op == SN_K_LE ? lt || eq : op == SN_K_EQ ? eq : !eq;
}

static double multiply_add(const sn_kenv *e, sn_elem elem, double a, double b, double c) {
  return e->in->round && elem == SN_ELEM_F32 ? (double)fmaf((float)a, (float)b, (float)c) : fma(a, b, c);
}

/* ---- decisions that rounding may turn ---- */

static double margin(double x) { return isfinite(x) ? fragile_change * (1 + fabs(x)) : 0; }

static void watch_compare(sn_kenv *e, double a, double b) {
  if (fabs(a - b) <= margin(a) + margin(b)) e->in->fragile++;
}

static void watch_step(sn_kenv *e, sn_kop op, double x) {
  double lo = x - margin(x), hi = x + margin(x);
  bool same = op == SN_K_FLOOR  ? floor(lo) == floor(hi)
              : op == SN_K_RINT ? rint(lo) == rint(hi)
                                : trunc(lo) == trunc(hi);
  if (!same && x == x) e->in->fragile++;
}

static void watch_argmax(sn_kenv *e, const sn_kcell *row, int n, int best) {
  for (int c = 0; c < n; c++)
    if (c != best) watch_compare(e, row[c].f, row[best].f);
}

/* ---- tiles ---- */

/* One instruction with its operands at hand. */
typedef struct job {
  sn_kenv *e;
  sn_kv v;
  const sn_kins *x;
  sn_ktype in;          /* type of the first operand */
  bool is_float, watch; /* of the first operand; watch: its decisions may turn */
  const sn_kcell *a[3];
  sn_kcell *out;
} job;

static sn_kcell unary(const job *j, sn_kcell c) {
  sn_kop op = j->x->op;
  if (op == SN_K_NOT) return (sn_kcell){.i = !c.i};
  if (j->watch && (op == SN_K_FLOOR || op == SN_K_RINT)) watch_step(j->e, op, c.f);
  if (j->watch && op == SN_K_CAST && !sn_elem_is_float(j->x->type.elem)) watch_step(j->e, op, c.f);
  if (j->watch && op == SN_K_BITCAST) j->e->in->fragile++;
  if (op == SN_K_CAST) return cast(j->e, j->in.elem, j->x->type.elem, c);
  if (op == SN_K_BITCAST) return bitcast(j->in.elem, c);
  if (j->is_float) return (sn_kcell){.f = rounded(j->e, j->x->type.elem, float_unary(op, c.f))};
  int64_t i = op == SN_K_ABS && c.i >= 0 ? c.i : (int64_t)(0 - (uint64_t)c.i);
  return (sn_kcell){.i = wrap(j->x->type.elem, i)};
}

static sn_kcell binary(const job *j, sn_kcell a, sn_kcell b) {
  if (sn_kop_class(j->x->op) == SN_KCLASS_CMP) {
    if (j->watch) watch_compare(j->e, a.f, b.f);
    return (sn_kcell){.i = compare(j->x->op, j->is_float, a, b)};
  }
  if (j->is_float) return (sn_kcell){.f = rounded(j->e, j->x->type.elem, float_binary(j->x->op, a.f, b.f))};
  return (sn_kcell){.i = wrap(j->x->type.elem, int_binary(j->e, j->v, j->x->op, j->x->type.elem, a.i, b.i))};
}

static void elementwise(const job *j) {
  int64_t n = (int64_t)j->x->type.r * j->x->type.c;
  for (int64_t i = 0; i < n; i++) {
    if (j->x->count == 1)
      j->out[i] = unary(j, j->a[0][i]);
    else if (j->x->count == 2)
      j->out[i] = binary(j, j->a[0][i], j->a[1][i]);
    else if (j->x->op == SN_K_SELECT)
      j->out[i] = j->a[0][i].i ? j->a[1][i] : j->a[2][i];
    else
      j->out[i].f = multiply_add(j->e, j->x->type.elem, j->a[0][i].f, j->a[1][i].f, j->a[2][i].f);
  }
}

static void reduce(const job *j) {
  bool columns = j->x->i; /* over columns */
  int n = columns ? j->in.r : j->in.c, m = columns ? j->in.c : j->in.r;
  int64_t step = columns ? 1 : j->in.c, stride = columns ? j->in.c : 1;
  job fold = *j;
  sn_kins op = {.op = j->x->op == SN_K_RSUM    ? SN_K_ADD
                      : j->x->op == SN_K_RPROD ? SN_K_MUL
                                               : SN_K_MAX,
                .type = j->x->type,
                .count = 2};
  fold.x = &op;
  for (int r = 0; r < n; r++) {
    sn_kcell sum = j->a[0][r * stride];
    for (int q = 1; q < m; q++) sum = binary(&fold, sum, j->a[0][r * stride + q * step]);
    j->out[r] = sum;
  }
}

static void argmax(const job *j) {
  for (int r = 0; r < j->in.r; r++) {
    const sn_kcell *row = j->a[0] + (int64_t)r * j->in.c;
    int best = 0;
    for (int c = 1; c < j->in.c; c++)
      if (j->is_float ? row[c].f > row[best].f : row[c].i > row[best].i) best = c;
    if (j->watch) watch_argmax(j->e, row, j->in.c, best);
    j->out[r].i = best;
  }
}

static void product(const job *j) {
  const sn_kins *x = j->x;
  sn_ktype ta = sn_k_type(j->e->k, x->a[1]), tb = sn_k_type(j->e->k, x->a[2]);
  int depth = x->i & SN_K_TA ? ta.r : ta.c;
  int64_t ar = x->i & SN_K_TA ? 1 : ta.c, ak = x->i & SN_K_TA ? ta.c : 1;
  for (int r = 0; r < x->type.r; r++)
    for (int c = 0; c < x->type.c; c++) {
      sn_kcell s = j->a[0][(int64_t)r * x->type.c + c];
      for (int k = 0; k < depth; k++) {
        int64_t bk = x->i & SN_K_VNNI ? (int64_t)(k / 2) * tb.c + 2 * c + k % 2
                     : x->i & SN_K_TB ? (int64_t)c * tb.c + k
                                      : (int64_t)k * tb.c + c;
        sn_kcell p = j->a[1][r * ar + k * ak], q = j->a[2][bk];
        if (j->is_float)
          s.f = multiply_add(j->e, x->type.elem, p.f, q.f, s.f);
        else
          s.i = wrap32(s.i + p.i * q.i);
      }
      j->out[(int64_t)r * x->type.c + c] = s;
    }
}

/* Element (r, c) of ops that only move or make elements. */
static sn_kcell element(const job *j, int64_t base, int r, int c) {
  const sn_kins *x = j->x;
  sn_kcell stat;
  switch (x->op) {
    case SN_K_CONST: return sn_elem_is_float(x->type.elem) ? (sn_kcell){.f = x->f} : (sn_kcell){.i = (int64_t)x->f};
    case SN_K_ISPLAT: return (sn_kcell){.i = wrap32(base)};
    case SN_K_IOTA: return (sn_kcell){.i = wrap32(base + (x->i ? c : r))};
    case SN_K_BCAST: return j->a[0][(int64_t)(j->in.r == 1 ? 0 : r) * j->in.c + (j->in.c == 1 ? 0 : c)];
    case SN_K_TRANS: return j->a[0][(int64_t)c * j->in.c + r];
    default: break;
  }
  sn_ktype s = sn_k_type(j->e->k, x->a[1]); /* RESCALE */
  stat = j->a[1][(int64_t)(s.r == 1 ? 0 : r) * s.c + (s.c == 1 ? 0 : c)];
  return (sn_kcell){.f = rounded(j->e, x->type.elem, j->a[0][(int64_t)r * x->type.c + c].f * stat.f)};
}

static void by_element(const job *j) {
  const sn_kins *x = j->x;
  bool indexed = x->op == SN_K_ISPLAT || x->op == SN_K_IOTA;
  int64_t base = indexed ? sn_kenv_index(j->e, j->v, x->a[0]) : 0;
  for (int r = 0; r < x->type.r; r++)
    for (int c = 0; c < x->type.c; c++) j->out[(int64_t)r * x->type.c + c] = element(j, base, r, c);
}

static void watch_result(const job *j) {
  sn_ktype t = j->x->type;
  if (sn_elem_is_float(t.elem) || sn_kop_class(j->x->op) == SN_KCLASS_SRC) return;
  j->e->in->trace = sn_hash_bytes(j->out, (size_t)t.r * (size_t)t.c * sizeof(sn_kcell), j->e->in->trace);
}

void sn_kenv_compute(sn_kenv *e, sn_kv v) {
  const sn_kins *x = sn_k_ins(e->k, v);
  job j = {.e = e, .v = v, .x = x, .in = x->type, .out = sn_kenv_tile(e, v)};
  bool source = sn_kop_class(x->op) == SN_KCLASS_SRC;
  for (int a = 0; a < x->count && a < 3 && !source; a++) {
    j.a[a] = e->tile[x->a[a]];
    if (e->in->watch && e->inexact[x->a[a]]) j.watch = true;
  }
  if (!source) j.in = sn_k_type(e->k, x->a[0]);
  j.is_float = sn_elem_is_float(j.in.elem);
  j.watch = j.watch && j.is_float;
  switch (sn_kop_class(x->op)) {
    case SN_KCLASS_UN:
    case SN_KCLASS_BIN:
    case SN_KCLASS_CMP:
    case SN_KCLASS_TER: elementwise(&j); break;
    case SN_KCLASS_MMA: product(&j); break;
    default:
      if (x->op == SN_K_RSUM || x->op == SN_K_RPROD || x->op == SN_K_RMAX)
        reduce(&j);
      else if (x->op == SN_K_RARGMAX)
        argmax(&j);
      else
        by_element(&j);
  }
  if (e->in->watch) watch_result(&j);
}

/* ---- which floats depend on rounding ---- */

static bool is_inexact(const sn_kenv *e, const sn_kins *x) {
  if (!sn_elem_is_float(x->type.elem)) return false;
  const sn_kins *b = sn_k_ins(e->k, x->a[0]);
  switch (x->op) {
    case SN_K_CONST:
    case SN_K_BITCAST: return false;
    case SN_K_LOAD:
    case SN_K_GATHER: return b->op == SN_K_LOCAL;
    case SN_K_CAST: return e->inexact[x->a[0]];
    case SN_K_SELECT: return e->inexact[x->a[1]] || e->inexact[x->a[2]];
    case SN_K_NEG:
    case SN_K_ABS:
    case SN_K_FLOOR:
    case SN_K_RINT:
    case SN_K_BCAST:
    case SN_K_TRANS:
    case SN_K_RMAX: return e->inexact[x->a[0]];
    case SN_K_MIN:
    case SN_K_MAX: return e->inexact[x->a[0]] || e->inexact[x->a[1]];
    default: return true;
  }
}

void sn_kenv_find_inexact(sn_kenv *e, const sn_kblock *b) {
  for (int j = 0; j < b->count; j++) {
    const sn_kins *x = sn_k_ins(e->k, b->ins[j]);
    e->inexact[b->ins[j]] = is_inexact(e, x);
    for (int y = 0; x->body[0] && y < x->body[0]->yield_count; y++) {
      bool is_float = sn_elem_is_float(sn_k_type(e->k, x->out[y]).elem);
      e->inexact[x->out[y]] = is_float;
      if (x->op == SN_K_FOR) e->inexact[x->in[y]] = is_float;
    }
    for (int side = 0; side < 2 && x->body[side]; side++) sn_kenv_find_inexact(e, x->body[side]);
  }
}
