/* Elementwise operations of the DSL: numbers adopt types, shapes broadcast, some are compositions of others. */
#include "frontend/trace.h"

#include <math.h>
#include <string.h>

#define LARGEST_EXACT 9007199254740992.0 /* 2^53: integers above it are not told apart by a double */

/* ---- numbers alone ------------------------------------------------------------------------------------ */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static double bit_count(double x) {
  int n = 0;
  for (uint32_t bits = (uint32_t)(int64_t)x; bits; bits &= bits - 1) n++;
  return n;
}

/* table */
static double fold1(const char *op, double x) {
  if (!strcmp(op, "neg")) return -x;
  if (!strcmp(op, "abs")) return fabs(x);
  if (!strcmp(op, "sign")) return (x > 0) - (x < 0);
  if (!strcmp(op, "exp")) return exp(x);
  if (!strcmp(op, "log")) return log(x);
  if (!strcmp(op, "exp2")) return exp2(x);
  if (!strcmp(op, "log2")) return log2(x);
  if (!strcmp(op, "expm1")) return expm1(x);
  if (!strcmp(op, "log1p")) return log1p(x);
  if (!strcmp(op, "floor")) return floor(x);
  if (!strcmp(op, "ceil")) return ceil(x);
  if (!strcmp(op, "round")) return rint(x);
  if (!strcmp(op, "trunc")) return trunc(x);
  if (!strcmp(op, "popcount")) return bit_count(x);
  if (!strcmp(op, "reciprocal")) return 1 / x;
  if (!strcmp(op, "sqrt")) return sqrt(x);
  if (!strcmp(op, "rsqrt")) return 1 / sqrt(x);
  if (!strcmp(op, "square")) return x * x;
  if (!strcmp(op, "sin")) return sin(x);
  if (!strcmp(op, "cos")) return cos(x);
  if (!strcmp(op, "tanh")) return tanh(x);
  if (!strcmp(op, "erf")) return erf(x);
  if (!strcmp(op, "sigmoid")) return sigmoid(x);
  if (!strcmp(op, "logsigmoid")) return fmin(x, 0) - log1p(exp(-fabs(x)));
  if (!strcmp(op, "softplus")) return fmax(x, 0) + log1p(exp(-fabs(x)));
  if (!strcmp(op, "relu")) return fmax(x, 0);
  if (!strcmp(op, "gelu")) return x * 0.5 * (1 + erf(x * sqrt(0.5)));
  if (!strcmp(op, "gelu_tanh")) return 0.5 * x * (1 + tanh(sqrt(2 / SN_PI) * (x + 0.044715 * x * x * x)));
  if (!strcmp(op, "silu")) return x * sigmoid(x);
  if (!strcmp(op, "not")) return x == 0;
  if (!strcmp(op, "isfinite")) return isfinite(x);
  return x; /* stop */
}

/* x * 2^n or x / 2^n, rounded down; a count that is no bit number moves everything out. */
static double shifted(double x, double n, bool up) {
  if (n < 0 || n > 63) return up ? 0 : x < 0 ? -1 : 0;
  return up ? ldexp(x, (int)n) : floor(ldexp(x, -(int)n));
}

static double floor_mod(double a, double b) { return a - floor(a / b) * b; }

/* table */
static double fold2(const char *op, double a, double b) {
  if (!strcmp(op, "add")) return a + b;
  if (!strcmp(op, "sub")) return a - b;
  if (!strcmp(op, "mul")) return a * b;
  if (!strcmp(op, "div")) return a / b;
  if (!strcmp(op, "floordiv")) return floor(a / b);
  if (!strcmp(op, "mod")) return floor_mod(a, b);
  if (!strcmp(op, "pow")) return pow(a, b);
  if (!strcmp(op, "min")) return fmin(a, b);
  if (!strcmp(op, "max")) return fmax(a, b);
  if (!strcmp(op, "eq")) return a == b;
  if (!strcmp(op, "ne")) return a != b;
  if (!strcmp(op, "lt")) return a < b;
  if (!strcmp(op, "le")) return a <= b;
  if (!strcmp(op, "gt")) return a > b;
  if (!strcmp(op, "ge")) return a >= b;
  if (!strcmp(op, "xor")) return (double)((int64_t)a ^ (int64_t)b);
  if (!strcmp(op, "shl") || !strcmp(op, "shr")) return shifted(a, b, op[2] == 'l');
  if (!strcmp(op, "and")) return a != 0 && b != 0;
  return a != 0 || b != 0; /* or */
}

/* ---- element types --------------------------------------------------------------------------------------- */

static int int_rank(sn_elem e) { return e == SN_ELEM_I64 ? 3 : e == SN_ELEM_I32 ? 2 : 1; }

static sn_elem join_elems(sn_elem a, sn_elem b) {
  if (a == b) return a;
  if (a == SN_ELEM_BOOL || b == SN_ELEM_BOOL) return SN_ELEM_NONE;
  bool fa = sn_elem_is_float(a), fb = sn_elem_is_float(b);
  if (fa && fb) return SN_ELEM_NONE;
  if (fa || fb) return fa ? a : b;
  if (int_rank(a) == 1 && int_rank(b) == 1) return SN_ELEM_I32; /* i8 with u8 */
  return int_rank(a) > int_rank(b) ? a : b;
}

static bool is_integral(double x) { return x == floor(x) && isfinite(x); }

/* The element type that operands meet in; SN_ELEM_NONE after a mistake. Numbers adopt that of the tensors. */
static sn_elem meet(sn_call *c, int count, const sn_t *x) {
  sn_elem e = SN_ELEM_NONE;
  int first = -1;
  for (int i = 0; i < count; i++) {
    const sn_type *t = sn_t_type(x[i]);
    if (!t) continue;
    sn_elem joined = e ? join_elems(e, t->elem) : t->elem;
    if (!joined) {
      const char *found =
          sn_texts(c, "%s\n%s", sn_describe(c, x[first], sn_spelled(c, first)), sn_describe(c, x[i], sn_spelled(c, i)));
      sn_mistake(c, "one element type: sn_cast says which", found, "element types do not mix");
      return SN_ELEM_NONE;
    }
    if (first < 0) first = i;
    e = joined;
  }
  if (!e) return c->trace->real;
  for (int i = 0; i < count; i++) {
    if (!sn_is_number(x[i]) || sn_elem_is_float(e)) continue;
    double n = x[i].u.num;
    if (e == SN_ELEM_BOOL && n != 0 && n != 1) {
      sn_mistake(c, "a bool", sn_describe(c, x[i], ""), "a number meets a bool");
      return SN_ELEM_NONE;
    }
    if (fabs(n) > LARGEST_EXACT) {
      sn_mistake(c, "at most 2^53", sn_describe(c, x[i], ""), "an integer is too large");
      return SN_ELEM_NONE;
    }
    if (!is_integral(n)) e = c->trace->real;
  }
  return e;
}

/* The shape that operands broadcast to; NULL after a mistake. */
static const sn_type *meet_shapes(sn_call *c, int count, const sn_t *x, sn_elem e) {
  const sn_type *t = sn_type_scalar(sn_types_of(c), e);
  int from = -1;
  for (int i = 0; i < count; i++) {
    const sn_type *xt = sn_t_type(x[i]);
    if (!xt) continue;
    int axis = 0;
    const sn_type *joined = sn_join(sn_types_of(c), e, t, xt, &axis);
    if (!joined) {
      const char *a = sn_dim_text(c, t->dim[t->rank + axis]), *b = sn_dim_text(c, xt->dim[xt->rank + axis]);
      const char *found = sn_texts(c, "%s against %s\n%s\n%s", a, b, sn_describe(c, x[from], sn_spelled(c, from)),
                                   sn_describe(c, x[i], sn_spelled(c, i)));
      sn_mistake(c, sn_texts(c, "axis %d to agree or be 1", axis), found, "shapes do not broadcast");
      return NULL;
    }
    if (from < 0 || joined != t) from = i;
    t = joined;
  }
  return t;
}

sn_val sn_as(sn_call *c, sn_t x, const sn_type *type, const char *spelled) {
  if (c->poison) return 0;
  if (sn_is_number(x)) return sn_g_const(&c->fn->b, type, x.u.num);
  sn_val v = sn_bring(c, x, spelled);
  if (!v) return 0;
  return sn_g_expand_to(&c->fn->b, sn_g_cast(&c->fn->b, v, type->elem), type);
}

/* ---- one operation -------------------------------------------------------------------------------------- */

/* What an operation asks of its operands. */
typedef enum ask { ASK_NUMBER, ASK_FLOAT, ASK_INT, ASK_BITS, ASK_ANY } ask;

static ask ask_of(sn_op op) {
  switch (op) {
    case SN_OP_NEG:
    case SN_OP_ABS:
    case SN_OP_SIGN:
    case SN_OP_ADD:
    case SN_OP_SUB:
    case SN_OP_MUL:
    case SN_OP_MIN:
    case SN_OP_MAX:
    case SN_OP_LT:
    case SN_OP_LE: return ASK_NUMBER;
    case SN_OP_MOD:
    case SN_OP_POPCOUNT:
    case SN_OP_SHL:
    case SN_OP_SHR: return ASK_INT;
    case SN_OP_NOT:
    case SN_OP_XOR:
    case SN_OP_AND:
    case SN_OP_OR: return ASK_BITS;
    case SN_OP_EQ:
    case SN_OP_NE:
    case SN_OP_STOP:
    case SN_OP_SELECT: return ASK_ANY;
    default: return ASK_FLOAT;
  }
}

/* The element type an operation works in, given that of its operands; SN_ELEM_NONE after a mistake. */
static sn_elem asked(sn_call *c, ask a, sn_elem e, const sn_t *x, int count) {
  const char *want = NULL;
  if (a == ASK_FLOAT && sn_elem_is_int(e)) return c->trace->real;
  if (a == ASK_FLOAT && !sn_elem_is_float(e)) want = "numbers";
  if (a == ASK_NUMBER && e == SN_ELEM_BOOL) want = "numbers";
  if (a == ASK_INT && !sn_elem_is_int(e)) want = "integers";
  if (a == ASK_BITS && sn_elem_is_float(e)) want = "bool or integers";
  if (!want) return e;
  sn_text found = sn_text_begin(c->trace->arena);
  for (int i = 0; i < count; i++) sn_text_add(&found, "%s%s", i ? "\n" : "", sn_describe(c, x[i], sn_spelled(c, i)));
  sn_mistake(c, want, found.at, "element type does not fit");
  return SN_ELEM_NONE;
}

static sn_t apply(sn_here here, sn_op op, int count, const sn_t *x, const sn_attr *attr) {
  sn_call c = sn_call_on(here, count, x);
  if (c.poison) return sn_poison(&c);
  sn_elem e = meet(&c, count, x);
  if (e) e = asked(&c, ask_of(op), e, x, count);
  const sn_type *t = e ? meet_shapes(&c, count, x, e) : NULL;
  if (!t) return sn_poison(&c);
  sn_val arg[2] = {0};
  for (int i = 0; i < count; i++) arg[i] = sn_as(&c, x[i], t, sn_spelled(&c, i));
  return sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, op, count, arg, attr, NULL));
}

static sn_t select(sn_here here, sn_t cond, sn_t a, sn_t b) {
  const sn_t x[3] = {cond, a, b};
  sn_call c = sn_call_on(here, 3, x);
  if (c.poison) return sn_poison(&c);
  const sn_type *ct = sn_need(&c, cond, "c");
  if (!ct) return sn_poison(&c);
  if (ct->elem != SN_ELEM_BOOL) {
    sn_mistake(&c, "bool", sn_describe(&c, cond, sn_spelled(&c, 0)), "the condition is not a bool");
    return sn_poison(&c);
  }
  sn_elem e = meet(&c, 2, x + 1);
  const sn_type *t = e ? meet_shapes(&c, 3, x, e) : NULL;
  if (!t) return sn_poison(&c);
  sn_val arg[3] = {sn_as(&c, cond, sn_type_with_elem(sn_types_of(&c), t, SN_ELEM_BOOL), sn_spelled(&c, 0))};
  for (int i = 1; i < 3; i++) arg[i] = sn_as(&c, x[i], t, sn_spelled(&c, i));
  return sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, SN_OP_SELECT, 3, arg, NULL, NULL));
}

/* ---- compositions ------------------------------------------------------------------------------------------ */

/* 2^(-8 (h+1) / P) for the first P heads, P the largest power of two up to n; the heads beyond take every other
 * slope of 2P heads.   source: Press et al. 2022, section 3 */
static sn_t alibi_slope(sn_here h, sn_t head, sn_t heads) {
  double p = 1, ln2 = log(2.);
  while (2 * p <= heads.u.num) p *= 2;
  sn_t first = sn_x_exp(h, sn_x_mul(h, sn_num(-8 * ln2 / p), sn_x_add(h, head, sn_num(1))));
  if (p == heads.u.num) return first;
  sn_t odd = sn_x_add(h, sn_x_mul(h, sn_num(2), sn_x_sub(h, head, sn_num(p))), sn_num(1));
  sn_t rest = sn_x_exp(h, sn_x_mul(h, sn_num(-4 * ln2 / p), odd));
  return sn_x_where(h, sn_x_lt(h, head, sn_num(p)), first, rest);
}

static sn_t floordiv(sn_here h, sn_t a, sn_t b) {
  const sn_t x[2] = {a, b};
  sn_call c = sn_call_on(h, 2, x);
  if (c.poison) return sn_poison(&c);
  sn_elem e = meet(&c, 2, x);
  if (e) e = asked(&c, ASK_INT, e, x, 2);
  const sn_type *t = e ? meet_shapes(&c, 2, x, e) : NULL;
  if (!t) return sn_poison(&c);
  sn_val p = sn_as(&c, a, t, sn_spelled(&c, 0)), q = sn_as(&c, b, t, sn_spelled(&c, 1));
  return sn_result(&c, c.poison ? 0 : sn_g2(&c.fn->b, SN_OP_DIV, p, q));
}

sn_t sn_op1(sn_here here, const char *op, sn_arg x) {
  if (sn_is_number(x.v)) return sn_num(fold1(op, x.v.u.num));
  return apply(here, sn_op_find(op), 1, &x.v, NULL);
}

sn_t sn_gated_at(sn_here here, const char *op, sn_arg x, double a) {
  const sn_attr attr = {.set = true, .f = a};
  if (sn_is_number(x.v)) {
    double v = x.v.u.num;
    return v > 0 ? x.v : sn_num(a * (!strcmp(op, "elu") ? expm1(v) : v));
  }
  return apply(here, sn_op_find(op), 1, &x.v, &attr);
}

sn_t sn_op2(sn_here here, const char *op, sn_arg a, sn_arg b) {
  const sn_t x[2] = {a.v, b.v}, swapped[2] = {b.v, a.v};
  if (!strcmp(op, "alibi_slope")) {
    if (sn_is_number(b.v) && b.v.u.num >= 1) return alibi_slope(here, a.v, b.v);
    sn_call c = sn_call_on(here, 2, x);
    if (c.fn && !c.poison) sn_mistake(&c, "a number of heads", sn_describe(&c, b.v, ""), "n_heads does not fit");
    return sn_poison(&c);
  }
  if (sn_is_number(a.v) && sn_is_number(b.v)) return sn_num(fold2(op, a.v.u.num, b.v.u.num));
  if (!strcmp(op, "gt")) return apply(here, SN_OP_LT, 2, swapped, NULL);
  if (!strcmp(op, "ge")) return apply(here, SN_OP_LE, 2, swapped, NULL);
  if (!strcmp(op, "floordiv")) return floordiv(here, a.v, b.v);
  return apply(here, sn_op_find(op), 2, x, NULL);
}

sn_t sn_op3(sn_here here, const char *op, sn_arg a, sn_arg b, sn_arg c) {
  if (!strcmp(op, "lerp")) return sn_x_add(here, a.v, sn_x_mul(here, c.v, sn_x_sub(here, b.v, a.v)));
  if (!strcmp(op, "clamp")) return sn_x_min(here, sn_x_max(here, a.v, b.v), c.v);
  if (!strcmp(op, "within")) return sn_x_and(here, sn_x_le(here, b.v, a.v), sn_x_lt(here, a.v, c.v));
  if (sn_is_number(a.v)) return a.v.u.num != 0 ? b.v : c.v;
  return select(here, a.v, b.v, c.v);
}

sn_t sn_cast_at(sn_here here, sn_arg x, sn_dtype dtype) {
  sn_call c = sn_call_on(here, 1, &x.v);
  if (!c.fn) return x.v; /* numbers adopt types where they are used */
  if (c.poison) return sn_poison(&c);
  sn_val v = sn_bring(&c, x.v, "x");
  return sn_result(&c, sn_g_cast(&c.fn->b, v, sn_elem_of(c.trace, dtype)));
}
