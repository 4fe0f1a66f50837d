/* One random use of each op: operands from the pool, attributes that the type rule accepts, results kept finite. */
#include <math.h>
#include <string.h>

#include "tests/compile/random_inside.h"

enum { MOST = 4000 }; /* elements of a result */

static sn_val emit(rg *g, sn_op op, int count, const sn_val *arg, const sn_attr *attr, double size) {
  for (int i = 0; i < count; i++)
    if (!arg[i]) return 0;
  return rg_emit(g, op, count, arg, attr, NULL, rg_mix(g, count, arg, size));
}

/* The same, for ops that only move elements. */
static sn_val moved(rg *g, sn_op op, sn_val x, const sn_attr *attr) {
  return x ? rg_emit(g, op, 1, &x, attr, NULL, g->fact[x]) : 0;
}

/* ---- elementwise ---- */

/* Before the op the operand is brought into its domain, or after it what is not finite is replaced: of exact operands,
 * so that it is certain which elements that are. */
static sn_val guarded(rg *g, sn_op op, int count, sn_val *arg, int at, double size) {
  if (g->direct) return rg_clean(g, emit(g, op, count, arg, NULL, size));
  if (arg[at] && g->fact[arg[at]].low < 0.05 && g->fact[arg[0]].exact && g->fact[arg[at]].exact && rg_chance(g, 60))
    return rg_clean(g, emit(g, op, count, arg, NULL, size));
  arg[at] = rg_positive(g, arg[at]);
  return emit(g, op, count, arg, NULL, size);
}

static sn_val use_unary(rg *g, sn_op op) {
  bool number = op == SN_OP_NEG || op == SN_OP_ABS || op == SN_OP_SIGN || op == SN_OP_SQUARE;
  bool bits = op == SN_OP_NOT || op == SN_OP_POPCOUNT;
  sn_val x = rg_pick(g,
                     op == SN_OP_POPCOUNT ? RG_INT
                     : op == SN_OP_NOT    ? RG_BOOL | RG_INT
                     : op == SN_OP_STOP   ? RG_ANY
                     : number             ? RG_NUMBER
                                          : RG_FLOAT,
                     0, 5);
  if (!x || (bits && rg_t(g, x)->elem == SN_ELEM_I64)) return 0; /* no target has it */
  double size = g->fact[x].size;
  rg_fact same = g->fact[x], f = rg_mix(g, 1, &x, 1);
  switch (op) {
    case SN_OP_STOP: return rg_emit(g, op, 1, &x, NULL, NULL, same);
    case SN_OP_POPCOUNT:
      f = (rg_fact){.size = 32, .low = 0, .exact = true};
      return rg_emit(g, op, 1, &x, NULL, NULL, f);
    case SN_OP_NOT:
      f.exact = same.exact;
      if (rg_is(g, x, RG_INT)) f.size = rg_t(g, x)->elem == SN_ELEM_U8 ? 255 : size + 1;
      return rg_emit(g, op, 1, &x, NULL, NULL, f);
    case SN_OP_ISFINITE: f.exact = same.exact; return rg_emit(g, op, 1, &x, NULL, NULL, f);
    case SN_OP_NEG:
    case SN_OP_ABS:
      if (op == SN_OP_ABS && rg_t(g, x)->elem == SN_ELEM_I64) return 0; /* no target has it */
      same.low = op == SN_OP_ABS && rg_is(g, x, RG_FLOAT) ? 0 : -INFINITY;
      return rg_emit(g, op, 1, &x, NULL, NULL, same);
    case SN_OP_RELU: same.low = 0; return rg_emit(g, op, 1, &x, NULL, NULL, same);
    case SN_OP_SIGN: f.exact = same.exact; return rg_emit(g, op, 1, &x, NULL, NULL, f);
    case SN_OP_EXP: {
      x = rg_tame(g, x, 4);
      sn_val y = x ? emit(g, op, 1, &x, NULL, exp(fmin(g->fact[x].size, 4))) : 0;
      if (g->direct) return rg_clean(g, y);
      if (y) g->fact[y].low = g->fact[x].low > -3 ? 0.049 : 0;
      return y;
    }
    case SN_OP_EXP2:
    case SN_OP_EXPM1: x = rg_tame(g, x, 4); return x ? emit(g, op, 1, &x, NULL, exp(fmin(g->fact[x].size, 4))) : 0;
    case SN_OP_FLOOR:
    case SN_OP_CEIL:
    case SN_OP_ROUND:
    case SN_OP_TRUNC:
      if (g->fact[x].narrow && !g->fact[x].exact && rg_chance(g, 95)) return 0;
      f.size = size + 1, f.exact = same.exact;
      return rg_emit(g, op, 1, &x, NULL, NULL, f);
    case SN_OP_RECIPROCAL: return guarded(g, op, 1, &x, 0, 20);
    case SN_OP_LOG2:
    case SN_OP_LOG1P:
    case SN_OP_LOG: return guarded(g, op, 1, &x, 0, 3);
    case SN_OP_SQRT: return guarded(g, op, 1, &x, 0, sqrt(size) + 0.5);
    case SN_OP_RSQRT: return guarded(g, op, 1, &x, 0, 4);
    case SN_OP_SQUARE:
      x = rg_tame(g, x, 100);
      return x ? emit(g, op, 1, &x, NULL, g->fact[x].size * g->fact[x].size) : 0;
    case SN_OP_SIGMOID: f.low = 0; return rg_emit(g, op, 1, &x, NULL, NULL, f);
    case SN_OP_SOFTPLUS:
    case SN_OP_LOGSIGMOID: return emit(g, op, 1, &x, NULL, size + 1);
    case SN_OP_LEAKY_RELU:
    case SN_OP_ELU: {
      const sn_attr at = {.set = true, .f = 0.25};
      return rg_emit(g, op, 1, &x, &at, NULL, rg_mix(g, 1, &x, size));
    }
    case SN_OP_GELU:
    case SN_OP_GELU_TANH:
    case SN_OP_SILU: return emit(g, op, 1, &x, NULL, size);
    default: return emit(g, op, 1, &x, NULL, 1.2);
  }
}

static sn_val use_cast(rg *g) {
  static const sn_elem to[] = {SN_ELEM_F32, SN_ELEM_F32, SN_ELEM_BF16, SN_ELEM_I32,
                               SN_ELEM_I64, SN_ELEM_U8,  SN_ELEM_BOOL, SN_ELEM_F64};
  sn_val x = rg_pick(g, RG_ANY, 0, 5);
  if (!x) return 0;
  sn_attr at = {.set = true, .i = to[rg_below(g, 8)]};
  rg_fact f = g->fact[x];
  bool from_float = rg_is(g, x, RG_FLOAT), to_float = sn_elem_is_float((sn_elem)at.i);
  if (at.i == SN_ELEM_F64 && g->real[1] != SN_ELEM_F64) at.i = SN_ELEM_F32;
  if (from_float && !to_float && f.narrow && !f.exact && rg_chance(g, 95)) at.i = SN_ELEM_F32;
  if (from_float && to_float) f.exact = false;
  if (!to_float) f.low = at.i == SN_ELEM_U8 ? 0 : -INFINITY;
  if (at.i == SN_ELEM_U8) f.size = fmin(f.size, 255);
  if (at.i == SN_ELEM_BOOL) f.size = 1;
  return rg_emit(g, SN_OP_CAST, 1, &x, &at, NULL, f);
}

static bool small_elem(sn_elem e) { return e == SN_ELEM_I64 || e == SN_ELEM_U8; }

static sn_val use_int_division(rg *g, sn_op op, sn_val x) {
  const sn_type *t = rg_t(g, x);
  if (small_elem(t->elem)) return 0;
  sn_val y[2] = {rg_partner(g, t), rg_const(g, t, 7)};
  if (!y[0] || !y[1]) return 0;
  rg_fact f = {.size = 7, .low = 0, .exact = true};
  sn_val z[2] = {rg_emit(g, SN_OP_MOD, 2, y, NULL, NULL, f), rg_const(g, t, 1)};
  if (!z[0] || !z[1]) return 0;
  f.low = 1;
  sn_val arg[2] = {x, rg_emit(g, SN_OP_ADD, 2, z, NULL, NULL, f)};
  f = (rg_fact){.size = op == SN_OP_MOD ? 7 : g->fact[x].size, .low = op == SN_OP_MOD ? 0 : -INFINITY, .exact = true};
  return arg[1] ? rg_emit(g, op, 2, arg, NULL, NULL, f) : 0;
}

static sn_val use_pow(rg *g, sn_val x, sn_val y) {
  x = rg_tame(g, x, 6);
  sn_val arg[2] = {0, rg_tame(g, y, 3)};
  bool exact = x && arg[1] && g->fact[x].exact && g->fact[arg[1]].exact;
  arg[0] = g->direct || (exact && rg_chance(g, 50)) ? x : rg_positive(g, x);
  sn_val v = emit(g, SN_OP_POW, 2, arg, NULL, 50);
  return v && arg[0] == x && g->fact[x].low < 0.05 ? rg_clean(g, v) : v;
}

static sn_val use_binary(rg *g, sn_op op) {
  bool shifts = op == SN_OP_SHL || op == SN_OP_SHR, bits = op == SN_OP_AND || op == SN_OP_OR || op == SN_OP_XOR,
       compares = op == SN_OP_EQ || op == SN_OP_NE || op == SN_OP_LT || op == SN_OP_LE;
  int classes = bits                               ? RG_BOOL | RG_INT
                : op == SN_OP_MOD || shifts        ? RG_INT
                : op == SN_OP_POW                  ? RG_FLOAT
                : op == SN_OP_EQ || op == SN_OP_NE ? RG_ANY
                                                   : RG_NUMBER;
  sn_val x = rg_pick(g, classes, 0, 5);
  if (!x) return 0;
  bool real = rg_is(g, x, RG_FLOAT);
  if ((bits || shifts) && small_elem(rg_t(g, x)->elem)) return 0;
  if (op == SN_OP_MOD || (op == SN_OP_DIV && !real)) return use_int_division(g, op, x);
  if (compares && real && g->fact[x].narrow && !g->fact[x].exact && rg_chance(g, 95)) return 0;
  bool apart = compares && real && !g->fact[x].exact && rg_chance(g, 90); /* not with a form of itself */
  sn_val arg[2] = {x, apart ? rg_leaf(g, rg_t(g, x)) : rg_partner(g, rg_t(g, x))};
  if (!arg[1]) return 0;
  if (rg_chance(g, 30)) arg[0] = arg[1], arg[1] = x;
  if (op == SN_OP_POW) return use_pow(g, arg[0], arg[1]);
  if (compares && real && arg[0] == arg[1] && !g->fact[x].exact) return 0; /* nothing is certain */
  double a = g->fact[arg[0]].size, c = g->fact[arg[1]].size;
  if (op == SN_OP_DIV) return guarded(g, op, 2, arg, 1, a * 4);
  rg_fact f = rg_mix(g, 2, arg,
                     shifts                               ? 0x1p31
                     : compares || bits                   ? 1
                     : op == SN_OP_MUL                    ? a * c
                     : op == SN_OP_MIN || op == SN_OP_MAX ? fmax(a, c)
                                                          : a + c);
  bool both = g->fact[arg[0]].exact && g->fact[arg[1]].exact;
  f.exact = both && (!real || compares || op == SN_OP_MIN || op == SN_OP_MAX);
  if (real && !compares && op != SN_OP_SUB && g->fact[arg[0]].low >= 0 && g->fact[arg[1]].low >= 0) f.low = 0;
  return rg_emit(g, op, 2, arg, NULL, NULL, f);
}

static sn_val use_select(rg *g) {
  sn_val x, y, c;
  if (g->want && rg_is(g, g->want, RG_BOOL) && rg_chance(g, 60)) {
    c = rg_pick(g, RG_BOOL, 0, 5);
    const sn_type *t = c ? rg_t(g, c) : NULL;
    x = t ? rg_partner(g, rg_type(g, rg_elem(g, RG_NUMBER), t->rank, t->dim)) : 0;
  } else {
    x = rg_pick(g, RG_ANY, 0, 5);
    const sn_type *t = x ? rg_t(g, x) : NULL;
    c = t ? rg_partner(g, rg_type(g, SN_ELEM_BOOL, t->rank, t->dim)) : 0;
  }
  y = x ? rg_partner(g, rg_t(g, x)) : 0;
  if (!x || !y || !c) return 0;
  const sn_val arg[3] = {c, x, y};
  rg_fact f = rg_mix(g, 3, arg, fmax(g->fact[x].size, g->fact[y].size));
  f.exact = g->fact[c].exact && g->fact[x].exact && g->fact[y].exact;
  f.low = fmin(g->fact[x].low, g->fact[y].low);
  return rg_emit(g, SN_OP_SELECT, 3, arg, NULL, NULL, f);
}

/* ---- leaves ---- */

static sn_val use_leaf(rg *g, sn_op op) {
  sn_elem e = rg_elem(g, op == SN_OP_PARAM || op == SN_OP_STATE ? RG_FLOAT : op == SN_OP_IOTA ? RG_NUMBER : RG_ANY);
  const sn_type *t = rg_shape(g, e, op == SN_OP_IOTA, 3, 1500);
  rg_fact f = {.size = e == SN_ELEM_BOOL     ? 1
                       : sn_elem_is_float(e) ? 3
                                             : RANDOM_INT_LIMIT,
               .low = sn_elem_is_float(e) ? -INFINITY : 0,
               .exact = true};
  sn_attr at[4] = {{0}};
  at[0].set = true;
  if (op == SN_OP_CONST)
    return rg_const(g, t, sn_elem_is_float(e) ? (double)rg_below(g, 65) / 16 - 2 : (double)rg_below(g, 2));
  if (op == SN_OP_IOTA) {
    at[0].i = rg_below(g, t->rank);
    f.size = 20, f.low = 0;
    return rg_emit(g, op, 0, NULL, at, t, f);
  }
  if (op == SN_OP_DIM) {
    at[0].d = rg_extent(g);
    f.low = 1, f.size = 64;
    return rg_emit(g, op, 0, NULL, at, sn_type_scalar(g->m->types, SN_ELEM_I32), f);
  }
  if (g->leaves >= 14) return 0;
  if (op != SN_OP_INPUT) { /* extents of what is kept are constants */
    const sn_dimx *dim[SN_RANK_MAX];
    for (int i = 0; i < t->rank; i++) dim[i] = rg_number(g, rg_value_of(g, t->dim[i]));
    t = rg_type(g, e, t->rank, dim);
  }
  at[0].s = sn_arena_printf(g->arena, "x%d", g->leaves++);
  if (op != SN_OP_INPUT) at[1] = (sn_attr){.set = true, .s = op == SN_OP_STATE ? "fill" : "normal"};
  if (op != SN_OP_INPUT) at[2] = (sn_attr){.set = true, .f = 1};
  return rg_emit(g, op, 0, NULL, at, t, f);
}

/* ---- views ---- */

static sn_val use_reshape(rg *g) {
  sn_val x = rg_pick(g, RG_ANY, 0, 5);
  const sn_dimx *dim[2 * SN_RANK_MAX];
  int n = 0;
  if (!x) return 0;
  const sn_type *t = rg_t(g, x);
  for (int i = 0; i < t->rank; i++) {
    int64_t c, part = 2 + rg_below(g, 3);
    const sn_dimx *merged = n ? sn_dimx_mul(g->m->types, dim[n - 1], t->dim[i]) : NULL;
    if (n && sn_dimx_min_value(merged) >= 0 && rg_chance(g, 45)) {
      dim[n - 1] = merged;
    } else if (n < 5 && sn_dimx_is_const(t->dim[i], &c) && c % part == 0 && rg_chance(g, 50)) {
      dim[n++] = rg_number(g, part);
      dim[n++] = rg_number(g, c / part);
    } else {
      dim[n++] = t->dim[i];
    }
  }
  if (n < 4 && (n == t->rank || rg_chance(g, 20))) dim[n++] = rg_number(g, 1);
  const sn_attr at = {.set = true, .dims = dim, .count = n};
  return moved(g, SN_OP_RESHAPE, x, &at);
}

static sn_val use_transpose(rg *g) {
  sn_val x = rg_pick(g, RG_ANY, 1, 5);
  int64_t perm[SN_RANK_MAX];
  int rank = x ? rg_t(g, x)->rank : 0;
  for (int i = 0; i < rank; i++) perm[i] = i;
  for (int i = rank - 1; i > 0; i--) {
    int64_t k = rg_below(g, i + 1), p = perm[i];
    perm[i] = perm[k];
    perm[k] = p;
  }
  const sn_attr at = {.set = true, .ints = perm, .count = rank};
  return moved(g, SN_OP_TRANSPOSE, x, &at);
}

static sn_val use_broadcast(rg *g) {
  sn_val x = rg_pick(g, RG_ANY, 0, 3);
  const sn_dimx *dim[SN_RANK_MAX];
  int64_t axes[SN_RANK_MAX], count = x ? rg_elements(g, rg_t(g, x)) : 0;
  int n = 0, i = 0;
  if (!x) return 0;
  const sn_type *t = rg_t(g, x);
  while (i < t->rank || n == t->rank) {
    const sn_dimx *d = rg_extent(g);
    bool more = n < 5 && count * rg_value_of(g, d) <= 2500 && (i == t->rank || rg_chance(g, 35));
    if (more) count *= rg_value_of(g, d), dim[n++] = d;
    if (i == t->rank) break;
    bool wide = sn_dimx_is_one(t->dim[i]) && count * rg_value_of(g, d) <= 2500;
    if (wide) count *= rg_value_of(g, d);
    axes[i++] = n;
    dim[n++] = wide ? d : t->dim[i - 1];
  }
  const sn_attr at[2] = {{.set = true, .dims = dim, .count = n}, {.set = true, .ints = axes, .count = t->rank}};
  return moved(g, SN_OP_BROADCAST, x, at);
}

static sn_val use_slice(rg *g) {
  sn_val x = rg_pick(g, RG_ANY, 1, 5);
  const sn_dimx *start[SN_RANK_MAX], *shape[SN_RANK_MAX];
  if (!x) return 0;
  const sn_type *t = rg_t(g, x);
  for (int i = 0; i < t->rank; i++) {
    int64_t room = sn_dimx_min_value(t->dim[i]) - 1, c;
    int64_t from = room > 0 ? rg_below(g, room + 1) : 0, drop = room - from > 0 ? rg_below(g, room - from + 1) : 0;
    start[i] = rg_number(g, from);
    shape[i] = sn_dimx_sub(g->m->types, t->dim[i], rg_number(g, from + drop));
    if (sn_dimx_is_const(t->dim[i], &c) || rg_chance(g, 50)) continue;
    start[i] = rg_number(g, 0), shape[i] = t->dim[i];
  }
  const sn_attr at[2] = {{.set = true, .dims = start, .count = t->rank},
                         {.set = true, .dims = shape, .count = t->rank}};
  return moved(g, SN_OP_SLICE, x, at);
}

static sn_val use_concat(rg *g) {
  sn_val x = rg_pick(g, RG_ANY, 1, 4), arg[3];
  if (!x) return 0;
  const sn_type *t = rg_t(g, x);
  int axis = (int)rg_below(g, t->rank), count = 2 + (int)rg_below(g, 2), at_x = (int)rg_below(g, count);
  rg_fact f = g->fact[x];
  for (int k = 0; k < count; k++) {
    const sn_dimx *dim[SN_RANK_MAX];
    for (int i = 0; i < t->rank; i++) dim[i] = i == axis && rg_chance(g, 60) ? rg_extent(g) : t->dim[i];
    arg[k] = k == at_x ? x : rg_partner(g, rg_type(g, t->elem, t->rank, dim));
    if (!arg[k]) return 0;
    const rg_fact *o = &g->fact[arg[k]];
    f = (rg_fact){fmax(f.size, o->size), fmin(f.low, o->low), f.exact && o->exact, f.narrow || o->narrow};
  }
  const sn_attr at = {.set = true, .i = axis};
  return rg_emit(g, SN_OP_CONCAT, count, arg, &at, NULL, f);
}

static sn_val use_pad(rg *g) {
  sn_val x = rg_pick(g, RG_ANY, 1, 4);
  if (!x || rg_elements(g, rg_t(g, x)) * 4 > MOST) return 0;
  const sn_type *t = rg_t(g, x);
  const sn_dimx *around[2][SN_RANK_MAX];
  for (int i = 0; i < 2 * t->rank; i++) around[i % 2][i / 2] = rg_number(g, rg_chance(g, 40) ? rg_below(g, 3) : 0);
  double value = (double)rg_below(g, 2);
  const sn_attr at[3] = {{.set = true, .dims = around[0], .count = t->rank},
                         {.set = true, .dims = around[1], .count = t->rank},
                         {.set = true, .f = value}};
  rg_fact f = g->fact[x];
  f.size = fmax(f.size, value), f.low = fmin(f.low, value);
  return rg_emit(g, SN_OP_PAD, 1, &x, at, NULL, f);
}

static sn_val use_flip(rg *g) {
  sn_val x = rg_pick(g, RG_ANY, 1, 4);
  const sn_attr at = {.set = true, .i = x ? rg_below(g, rg_t(g, x)->rank) : 0};
  return moved(g, SN_OP_FLIP, x, &at);
}

/* ---- reductions, contraction ---- */

static sn_val use_reduce(rg *g, sn_op op) {
  bool logic = op == SN_OP_ANY || op == SN_OP_ALL, extreme = op == SN_OP_AMAX || op == SN_OP_AMIN;
  sn_val x = rg_pick(g, logic ? RG_BOOL : RG_NUMBER, 1, 5);
  if (x && op == SN_OP_PROD && rg_is(g, x, RG_FLOAT)) x = rg_tame(g, x, 1.5);
  if (!x || (g->grad && extreme && !g->fact[x].exact)) return 0;
  const sn_type *t = rg_t(g, x);
  if (t->elem == SN_ELEM_I64) return 0;
  rg_fact f = g->fact[x];
  int64_t axes[SN_RANK_MAX];
  int n = 0;
  for (int i = 0; i < t->rank; i++)
    if (rg_chance(g, 50)) axes[n++] = i;
  if (!n) axes[n++] = rg_below(g, t->rank);
  sn_attr at = {.set = true, .ints = axes, .count = n};
  double terms = 1;
  for (int i = 0; i < n; i++) terms *= (double)rg_value_of(g, t->dim[axes[i]]);
  if (op == SN_OP_SUM)
    f.size *= f.low >= 0 || !sn_elem_is_float(t->elem) ? terms : sqrt(terms) + 1, f.low = f.low >= 0 ? 0 : -INFINITY;
  if (op == SN_OP_PROD) {
    if (terms > 12) return 0;
    f.size = sn_elem_is_float(t->elem) ? pow(fmax(f.size, 1), terms) : 0x1p31, f.low = -INFINITY;
  }
  f.exact = f.exact && ((op != SN_OP_SUM && op != SN_OP_PROD) || !sn_elem_is_float(t->elem));
  if (op == SN_OP_ARGMAX || op == SN_OP_ARGMIN) {
    if (!f.exact && rg_chance(g, f.narrow ? 95 : 60)) return 0;
    at = (sn_attr){.set = true, .i = axes[0]};
    f = (rg_fact){.size = terms, .low = 0, .exact = g->fact[x].exact};
  }
  return rg_emit(g, op, 1, &x, &at, NULL, f);
}

static void shuffle(rg *g, char *s, int n) {
  for (int i = n - 1; i > 0; i--) {
    int64_t k = rg_below(g, i + 1);
    char c = s[i];
    s[i] = s[k];
    s[k] = c;
  }
}

/* Letters of x are kept, shared as batch, or summed; the other operand may have axes of its own. */
static sn_val use_contract(rg *g) {
  sn_val x = rg_pick(g, RG_FLOAT, 0, 4);
  char a[8] = "", b[12] = "", out[12] = "";
  const sn_dimx *of[12];
  int nb = 0, no = 0;
  int64_t work = 1;
  double terms = 1;
  if (!x) return 0;
  const sn_type *t = rg_t(g, x);
  for (int i = 0; i < t->rank; i++) {
    int kind = (int)rg_below(g, 5); /* 0, 1: of x only, 2: both, 3, 4: summed */
    a[i] = (char)('a' + i);
    work *= rg_value_of(g, t->dim[i]);
    if (kind > 2) terms *= (double)rg_value_of(g, t->dim[i]);
    if (kind > 1) of[a[i] - 'a'] = t->dim[i], b[nb++] = a[i];
    if (kind < 3) out[no++] = a[i];
  }
  for (int i = t->rank; i < t->rank + 2 && no < 5 && nb < 5; i++) {
    const sn_dimx *d = rg_extent(g);
    if (rg_chance(g, 40) || work * rg_value_of(g, d) > 60000) continue;
    work *= rg_value_of(g, d);
    of[i] = d;
    b[nb++] = out[no++] = (char)('a' + i);
  }
  shuffle(g, b, nb);
  shuffle(g, out, no);
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i < nb; i++) dim[i] = of[b[i] - 'a'];
  const sn_type *tb = rg_type(g, t->elem, nb, dim);
  if (rg_elements(g, tb) > MOST) return 0;
  sn_val y = rg_partner(g, tb), arg[2] = {x, y};
  bool swap = rg_chance(g, 30);
  if (!y) return 0;
  if (swap) arg[0] = y, arg[1] = x;
  const sn_attr at = {.set = true, .s = sn_arena_printf(g->arena, "%s,%s->%s", swap ? b : a, swap ? a : b, out)};
  return emit(g, SN_OP_CONTRACT, 2, arg, &at, (sqrt(terms) + 1) * g->fact[x].size * g->fact[y].size);
}

/* ---- indexing ---- */

static sn_val use_gather(rg *g) {
  sn_val x = rg_pick(g, RG_ANY, 1, 4);
  if (!x) return 0;
  const sn_type *t = rg_t(g, x), *picks = rg_shape(g, SN_ELEM_I32, 0, 2, 40);
  const sn_dimx *dim[SN_RANK_MAX];
  int batch = t->rank > 1 && rg_chance(g, 35) ? 1 + (int)rg_below(g, t->rank - 1) : 0, n = 0;
  for (int i = 0; i < batch; i++) dim[n++] = t->dim[i];
  for (int i = 0; i < picks->rank && n < 4; i++) dim[n++] = picks->dim[i];
  const sn_type *shape = rg_type(g, SN_ELEM_I32, n, dim);
  int64_t row = 1;
  for (int i = batch + 1; i < t->rank; i++) row *= rg_value_of(g, t->dim[i]);
  if (n + t->rank - batch - 1 > 6 || rg_elements(g, shape) * row > MOST) return 0;
  sn_val arg[2] = {x, rg_indices(g, shape, t->dim[batch])};
  const sn_attr at = {.set = batch > 0, .i = batch};
  return arg[1] ? rg_emit(g, SN_OP_GATHER, 2, arg, &at, NULL, g->fact[x]) : 0;
}

static sn_val use_scatter(rg *g) {
  sn_val u = rg_pick(g, RG_NUMBER, 0, 4);
  if (!u) return 0;
  const sn_type *t = rg_t(g, u);
  if (t->elem == SN_ELEM_BF16 || small_elem(t->elem)) return 0;
  int lead = (int)rg_below(g, t->rank + 1), batch = lead && rg_chance(g, 35) ? (int)rg_below(g, lead + 1) : 0;
  const sn_dimx *rows = rg_extent(g);
  sn_val arg[2] = {rg_indices(g, rg_type(g, SN_ELEM_I32, lead, t->dim), rows), u};
  if (rg_elements(g, t) * rg_value_of(g, rows) > 20000) return 0;
  const sn_attr at[2] = {{.set = batch > 0, .i = batch}, {.set = true, .d = rows}};
  return emit(g, SN_OP_SCATTER, 2, arg, at, g->fact[u].size * 3);
}

static sn_val use_index(rg *g) {
  sn_val x = rg_pick(g, RG_ANY, 1, 4), arg[SN_RANK_MAX + 1] = {x};
  if (!x) return 0;
  const sn_type *t = rg_t(g, x), *shape = rg_shape(g, SN_ELEM_I32, 0, 3, 300);
  for (int i = 0; i < t->rank; i++)
    if (!(arg[i + 1] = rg_indices(g, shape, t->dim[i]))) return 0;
  return rg_emit(g, SN_OP_INDEX, t->rank + 1, arg, NULL, NULL, g->fact[x]);
}

static sn_val use_index_add(rg *g) {
  sn_val u = rg_pick(g, RG_NUMBER, 0, 3), arg[SN_RANK_MAX + 1] = {u};
  if (!u) return 0;
  const sn_type *t = rg_t(g, u), *shape = rg_shape(g, t->elem, 1, 3, 600);
  if (t->elem == SN_ELEM_BF16 || small_elem(t->elem)) return 0;
  for (int i = 0; i < shape->rank; i++)
    if (!(arg[i + 1] = rg_indices(g, t, shape->dim[i]))) return 0;
  const sn_attr at = {.set = true, .dims = shape->dim, .count = shape->rank};
  return emit(g, SN_OP_INDEX_ADD, shape->rank + 1, arg, &at, g->fact[u].size * 3);
}

/* i32[], or one per row of axis 0 */
static sn_val start_of(rg *g, const sn_type *t, int axis, const sn_dimx *limit) {
  bool per_row = axis > 0 && rg_chance(g, 50);
  sn_val v = rg_indices(g, rg_type(g, SN_ELEM_I32, per_row, t->dim), limit);
  return v && rg_t(g, v)->elem == SN_ELEM_I32 ? v : 0;
}

static sn_val use_dyn_slice(rg *g) {
  sn_val x = rg_pick(g, RG_ANY, 1, 4);
  if (!x) return 0;
  const sn_type *t = rg_t(g, x);
  int axis = (int)rg_below(g, t->rank);
  int64_t slack = rg_below(g, sn_dimx_min_value(t->dim[axis]) < 1 ? 1 : sn_dimx_min_value(t->dim[axis]));
  const sn_dimx *count = sn_dimx_sub(g->m->types, t->dim[axis], rg_number(g, slack));
  sn_val arg[2] = {x, start_of(g, t, axis, rg_number(g, slack + 1))};
  const sn_attr at[2] = {{.set = true, .i = axis}, {.set = true, .d = count}};
  return arg[1] ? rg_emit(g, SN_OP_DYN_SLICE, 2, arg, at, NULL, g->fact[x]) : 0;
}

static sn_val use_dyn_write(rg *g) {
  sn_val x = rg_pick(g, RG_ANY, 1, 4);
  if (!x) return 0;
  const sn_type *t = rg_t(g, x);
  int axis = (int)rg_below(g, t->rank);
  bool ring = rg_chance(g, 40);
  int64_t slack = rg_below(g, sn_dimx_min_value(t->dim[axis]) < 1 ? 1 : sn_dimx_min_value(t->dim[axis]));
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i < t->rank; i++)
    dim[i] = i == axis ? sn_dimx_sub(g->m->types, t->dim[i], rg_number(g, slack)) : t->dim[i];
  sn_val src = rg_partner(g, rg_type(g, t->elem, t->rank, dim));
  sn_val arg[3] = {x, src, start_of(g, t, axis, ring ? t->dim[axis] : rg_number(g, slack + 1))};
  if (!src || !arg[2]) return 0;
  const rg_fact *a = &g->fact[x], *c = &g->fact[src];
  rg_fact f = {fmax(a->size, c->size), fmin(a->low, c->low), a->exact && c->exact, a->narrow || c->narrow};
  const sn_attr at[2] = {{.set = true, .i = axis}, {.set = ring, .i = ring}};
  return rg_emit(g, SN_OP_DYN_WRITE, 3, arg, at, NULL, f);
}

static sn_val scalar_int(rg *g, sn_elem e) {
  const sn_type *t = sn_type_scalar(g->m->types, e);
  if (g->want && rg_t(g, g->want) == t) return rg_partner(g, t);
  if (e == SN_ELEM_I32 && rg_chance(g, 50)) return rg_pick(g, RG_INT, 0, 0);
  return rg_leaf(g, t);
}

static sn_val use_uniform(rg *g) {
  const sn_type *t = rg_shape(g, SN_ELEM_F32, 0, 3, 1500);
  sn_val arg[2] = {scalar_int(g, SN_ELEM_I64), scalar_int(g, SN_ELEM_I32)};
  if (!arg[0] || !arg[1] || rg_t(g, arg[1])->elem != SN_ELEM_I32) return 0;
  const sn_attr at[2] = {{.set = true, .dims = t->dim, .count = t->rank},
                         {.set = true, .s = sn_arena_printf(g->arena, "s%d", (int)rg_below(g, 100))}};
  return rg_emit(g, SN_OP_UNIFORM, 2, arg, at, NULL, (rg_fact){.size = 1, .low = 0, .exact = true});
}

/* ---- expansions along an axis ---- */

/* Both sets of logits in [-30, 30]: log probabilities differ by at most 2 x 60 + log V. */
static sn_val use_divergence(rg *g, sn_val x) {
  int kinds;
  const char *const *kind = sn_divergence_kinds(&kinds);
  sn_val y = rg_partner(g, rg_t(g, x)), arg[2] = {x, y ? rg_tame(g, y, 30) : 0};
  const sn_attr at = {.set = true, .s = sn_name(g->m->names, kind[rg_below(g, kinds)])};
  rg_fact f = arg[1] ? rg_mix(g, 2, arg, 140) : (rg_fact){0};
  f.low = -INFINITY, f.exact = false;
  return arg[1] ? rg_emit(g, SN_OP_DIVERGENCE, 2, arg, &at, NULL, f) : 0;
}

static sn_val use_along_axis(rg *g, sn_op op) {
  sn_val x = rg_pick(g, RG_FLOAT, 1, 4), arg[2] = {0};
  sn_attr at[3] = {{0}};
  if (!x) return 0;
  arg[0] = x = rg_tame(g, x, 30);
  if (!x) return 0;
  const sn_type *t = rg_t(g, x);
  bool picks = op == SN_OP_PICK || op == SN_OP_CROSS_ENTROPY;
  if (picks) arg[1] = rg_indices(g, rg_type(g, SN_ELEM_I32, t->rank - 1, t->dim), t->dim[t->rank - 1]);
  if (picks && !arg[1]) return 0;
  if (op == SN_OP_DIVERGENCE) return use_divergence(g, x);
  if (sn_op_attr(op, "axis") >= 0) at[0] = (sn_attr){.set = true, .i = rg_below(g, t->rank)};
  if (op == SN_OP_GROUP_NORM) {
    int64_t n;
    if (!sn_dimx_is_const(t->dim[t->rank - 1], &n)) n = 1;
    at[0] = (sn_attr){.set = true, .i = n % 3 == 0 ? 3 : n % 2 == 0 ? 2 : 1};
  }
  if (sn_op_attr(op, "eps") >= 0)
    at[sn_op_attr(op, "eps")] = (sn_attr){.set = true, .f = rg_chance(g, 50) ? 1e-5 : 0.1};
  if (op == SN_OP_CROSS_ENTROPY && rg_chance(g, 40)) at[0] = (sn_attr){.set = true, .f = 0.1};
  rg_fact f = rg_mix(g, 1, &x, op == SN_OP_SOFTMAX ? 1 : sn_op_attr(op, "eps") >= 0 ? 3 : g->fact[x].size * 2 + 3);
  f.low = op == SN_OP_SOFTMAX ? 0 : -INFINITY;
  f.exact = op == SN_OP_PICK && g->fact[x].exact;
  return rg_emit(g, op, 1 + picks, arg, at, NULL, f);
}

/* ---- bodies ---- */

static sn_val body_arg(sn_build *b, int index, const sn_type *t) {
  const sn_attr at = {.set = true, .i = index};
  return sn_emit(b, SN_OP_ARG, 0, NULL, &at, t);
}

static sn_val use_call(rg *g) {
  sn_val x = rg_pick(g, RG_FLOAT, 0, 4);
  sn_val arg[2] = {x, x ? rg_partner(g, rg_t(g, x)) : 0};
  if (!arg[1]) return 0;
  static const sn_op unary[] = {SN_OP_TANH, SN_OP_SIGMOID, SN_OP_GELU, SN_OP_SIN},
                     binary[] = {SN_OP_ADD, SN_OP_MUL, SN_OP_SUB, SN_OP_MAX};
  sn_func *f = sn_func_create(g->m, "layer", SN_FUNC_BODY);
  sn_build b = sn_build_begin(f, g->b.diags);
  sn_val p = body_arg(&b, 0, rg_t(g, x)), q = body_arg(&b, 1, rg_t(g, x));
  sn_val h = sn_g2(&b, binary[rg_below(g, 4)], sn_g1(&b, unary[rg_below(g, 4)], p), q);
  sn_func_return(f, sn_g1(&b, unary[rg_below(g, 4)], h));
  if (rg_chance(g, 40)) sn_func_return(f, h);
  const sn_attr at[2] = {{.set = true, .region = f},
                         {.set = true, .s = sn_arena_printf(g->arena, "h.%d", g->bodies++)}};
  if (b.failed) g->b.failed = b.failed;
  return emit(g, SN_OP_CALL, 2, arg, at, g->fact[x].size * g->fact[arg[1]].size + 3);
}

/* Site of a region: score when there is one, batch, head, query, key; then captures. */
typedef struct site {
  sn_build b;
  sn_val score, batch, head, query, key, capture;
  const sn_type *captured;
} site;

static site site_begin(rg *g, sn_func *f, sn_elem acc, const sn_type *capture) {
  site s = {.b = sn_build_begin(f, g->b.diags), .captured = capture};
  const sn_type *i32 = sn_type_scalar(g->m->types, SN_ELEM_I32);
  int n = 0;
  if (acc) s.score = body_arg(&s.b, n++, sn_type_scalar(g->m->types, acc));
  s.batch = body_arg(&s.b, n++, i32);
  s.head = body_arg(&s.b, n++, i32);
  s.query = body_arg(&s.b, n++, i32);
  s.key = body_arg(&s.b, n++, i32);
  if (capture) s.capture = body_arg(&s.b, n++, capture);
  return s;
}

static sn_val int_const(site *s, int64_t n) {
  return sn_g_const(&s->b, sn_type_scalar(s->b.func->module->types, SN_ELEM_I32), (double)n);
}

typedef enum capture { NO_CAPTURE, PER_HEAD, PER_KEY, PER_BATCH_KEY } capture;

static sn_val captured(site *s, capture kind) {
  const sn_val at[3] = {s->capture, kind == PER_HEAD ? s->head : kind == PER_KEY ? s->key : s->batch, s->key};
  return sn_emit(&s->b, SN_OP_INDEX, kind == PER_BATCH_KEY ? 3 : 2, at, NULL, NULL);
}

static const sn_func *score_region(rg *g, sn_elem acc, capture kind, const sn_type *type) {
  sn_func *f = sn_func_create(g->m, "score", SN_FUNC_BODY);
  site s = site_begin(g, f, acc, type);
  sn_val v = s.score;
  if (rg_chance(g, 40)) v = sn_g1(&s.b, SN_OP_TANH, v);
  if (rg_chance(g, 40)) {
    sn_val gap = sn_g_cast(&s.b, sn_g2(&s.b, SN_OP_SUB, s.query, s.key), acc);
    v = sn_g2(&s.b, SN_OP_SUB, v, sn_g2(&s.b, SN_OP_MUL, gap, sn_g_const_like(&s.b, gap, 0.125)));
  }
  if (kind) v = sn_g2(&s.b, SN_OP_ADD, v, captured(&s, kind));
  sn_func_return(f, v == s.score ? sn_g2(&s.b, SN_OP_MUL, v, sn_g_const_like(&s.b, v, 0.5)) : v);
  if (s.b.failed) g->b.failed = s.b.failed;
  return f;
}

static const sn_func *mask_region(rg *g, capture kind, const sn_type *type) {
  sn_func *f = sn_func_create(g->m, "mask", SN_FUNC_BODY);
  site s = site_begin(g, f, SN_ELEM_NONE, type);
  sn_build *b = &s.b;
  sn_val causal = sn_g2(b, SN_OP_LE, s.key, s.query), v = causal;
  switch (rg_below(g, 5)) {
    case 0: break;
    case 1:
      v = sn_g2(b, SN_OP_AND, causal,
                sn_g2(b, SN_OP_LT, sn_g2(b, SN_OP_SUB, s.query, s.key), int_const(&s, 1 + rg_below(g, 20))));
      break;
    case 2: v = sn_g2(b, SN_OP_OR, causal, sn_g2(b, SN_OP_LT, s.key, int_const(&s, rg_below(g, 9)))); break;
    case 3:
      v = sn_g2(b, SN_OP_EQ, sn_g2(b, SN_OP_MOD, s.key, int_const(&s, 2 + rg_below(g, 3))), int_const(&s, 0));
      break;
    default: v = sn_g1(b, SN_OP_NOT, sn_g2(b, SN_OP_EQ, s.key, s.query)); break;
  }
  if (kind && rg_chance(g, 50)) {
    sn_val c = captured(&s, kind);
    if (c) v = sn_g2(b, SN_OP_AND, v, sn_g2(b, SN_OP_LT, sn_g_const_like(b, c, -1), c));
  }
  sn_func_return(f, v);
  if (s.b.failed) g->b.failed = s.b.failed;
  return f;
}

static sn_val use_attention(rg *g) {
  sn_val q = rg_pick(g, RG_FLOAT, 4, 4);
  if (!q || !(q = rg_tame(g, q, 6))) return 0;
  const sn_type *t = rg_t(g, q);
  int64_t heads, groups = 1;
  const sn_dimx *S = rg_chance(g, 50) ? t->dim[1] : rg_extent(g), *G = t->dim[2],
                *E = rg_chance(g, 60) ? t->dim[3] : rg_extent(g);
  if (sn_dimx_is_const(G, &heads)) {
    for (int64_t k = 2; k <= heads; k++)
      if (heads % k == 0 && rg_chance(g, 40)) groups = k;
    G = rg_number(g, heads / groups);
  }
  const sn_dimx *dk[4] = {t->dim[0], S, G, t->dim[3]}, *dv[4] = {t->dim[0], S, G, E};
  const sn_type *tk = rg_type(g, t->elem, 4, dk), *tv = rg_type(g, t->elem, 4, dv);
  int64_t scores =
      rg_value_of(g, t->dim[0]) * rg_value_of(g, t->dim[1]) * rg_value_of(g, t->dim[2]) * rg_value_of(g, S);
  if (rg_elements(g, tk) > MOST || rg_elements(g, tv) > MOST || scores > 20000) return 0;
  sn_val arg[5] = {q, rg_tame(g, rg_partner(g, tk), 6), rg_tame(g, rg_partner(g, tv), 20)};
  int n = 3;
  if (!arg[1] || !arg[2]) return 0;
  sn_elem acc = t->elem == SN_ELEM_F64 ? SN_ELEM_F64 : SN_ELEM_F32;
  capture kind = (capture)rg_below(g, 8);
  const sn_dimx *dc[2] = {kind == PER_HEAD ? t->dim[2] : kind == PER_KEY ? S : t->dim[0], S};
  const sn_type *tc =
      kind >= PER_HEAD && kind <= PER_BATCH_KEY ? rg_type(g, acc, kind == PER_BATCH_KEY ? 2 : 1, dc) : NULL;
  if (!tc) kind = NO_CAPTURE;
  if (tc && !(arg[n++] = rg_tame(g, rg_leaf(g, tc), 10))) return 0;
  sn_attr at[5] = {{.set = true, .f = 1 / sqrt((double)rg_value_of(g, t->dim[3]))}};
  if (rg_chance(g, 30)) {
    const sn_type *ts = rg_type(g, SN_ELEM_I32, rg_chance(g, 50), t->dim);
    sn_val start = rg_indices(g, ts, rg_number(g, 1 + rg_below(g, 9)));
    if (start && rg_t(g, start) == ts) arg[n++] = start, at[1] = (sn_attr){.set = true, .i = 1};
  }
  if (kind || rg_chance(g, 40)) at[2] = (sn_attr){.set = true, .region = score_region(g, acc, kind, tc)};
  if (rg_chance(g, 70)) at[3] = (sn_attr){.set = true, .region = mask_region(g, kind, tc)};
  return emit(g, SN_OP_ATTENTION, n, arg, at, g->fact[arg[2]].size);
}

/* ---- gradients ---- */

static bool depends_on(const rg *g, sn_val y, sn_val x) {
  bool *on = SN_ARRAY(g->arena, g->f->value_count, bool);
  on[x] = true;
  for (int i = 0; i < g->f->node_count; i++) {
    const sn_node *n = g->f->node[i];
    bool any = false;
    for (int k = 0; k < n->arg_count; k++) any |= on[n->arg[k]] && sn_elem_is_float(rg_t(g, n->arg[k])->elem);
    for (int k = 0; any && k < n->result_count; k++) on[n->first + (sn_val)k] = true;
  }
  return on[y];
}

/* Sum of a value, scaled; or a scalar as it is. */
static sn_val loss_of(rg *g, sn_val x) {
  const sn_type *t = rg_t(g, x);
  int64_t axes[SN_RANK_MAX];
  for (int i = 0; i < t->rank; i++) axes[i] = i;
  if (t->elem == SN_ELEM_BF16) {
    const sn_attr at = {.set = true, .i = SN_ELEM_F32};
    x = emit(g, SN_OP_CAST, 1, &x, &at, g->fact[x].size);
  }
  if (!x || !t->rank) return x;
  sn_val weighted[2] = {x, rg_chance(g, 50) ? rg_leaf(g, rg_t(g, x)) : rg_const(g, rg_t(g, x), 0.5)};
  x = emit(g, SN_OP_MUL, 2, weighted, NULL, g->fact[x].size);
  const sn_attr at = {.set = true, .ints = axes, .count = t->rank};
  return x ? emit(g, SN_OP_SUM, 1, &x, &at, 10) : 0;
}

static sn_val use_grad(rg *g) {
  sn_val x = rg_pick(g, RG_FLOAT, 0, 5), loss = x ? loss_of(g, x) : 0, arg[5] = {loss};
  int n = 1;
  if (!loss) return 0;
  for (int i = 0; i < g->f->node_count && n < 4; i++) {
    const sn_node *node = g->f->node[i];
    bool learned = node->op == SN_OP_PARAM || node->op == SN_OP_STATE, given = node->op == SN_OP_INPUT;
    if (!sn_elem_is_float(node->type[0]->elem) || !rg_chance(g, learned ? 90 : given ? 40 : 4)) continue;
    if (depends_on(g, loss, node->first)) arg[n++] = node->first;
  }
  if (n == 1) arg[n++] = x;
  sn_val v = emit(g, SN_OP_GRAD, n, arg, NULL, 10);
  for (int i = 1; v && i + 1 < n; i++) {
    sn_val d = rg_tame(g, v + (sn_val)i, 5);
    if (d && g->count < POOL) g->pool[g->count++] = d;
  }
  return v;
}

/* ---- dispatch ---- */

sn_val rg_use(rg *g, sn_op op) { /* table */
  const sn_op_info *info = sn_op_get(op);
  switch (op) {
    case SN_OP_CAST: return use_cast(g);
    case SN_OP_SELECT: return use_select(g);
    case SN_OP_RESHAPE: return use_reshape(g);
    case SN_OP_TRANSPOSE: return use_transpose(g);
    case SN_OP_BROADCAST: return use_broadcast(g);
    case SN_OP_SLICE: return use_slice(g);
    case SN_OP_CONCAT: return use_concat(g);
    case SN_OP_PAD: return use_pad(g);
    case SN_OP_FLIP: return use_flip(g);
    case SN_OP_ANY:
    case SN_OP_ALL: return use_reduce(g, op);
    case SN_OP_LEAKY_RELU:
    case SN_OP_ELU: return use_unary(g, op);
    case SN_OP_CONTRACT: return use_contract(g);
    case SN_OP_GATHER: return use_gather(g);
    case SN_OP_SCATTER: return use_scatter(g);
    case SN_OP_INDEX: return use_index(g);
    case SN_OP_INDEX_ADD: return use_index_add(g);
    case SN_OP_DYN_SLICE: return use_dyn_slice(g);
    case SN_OP_DYN_WRITE: return use_dyn_write(g);
    case SN_OP_UNIFORM: return use_uniform(g);
    case SN_OP_CALL: return use_call(g);
    case SN_OP_GRAD: return use_grad(g);
    case SN_OP_ATTENTION: return use_attention(g);
    default: break;
  }
  if (info->cls == SN_CLASS_LEAF) return use_leaf(g, op);
  if (info->cls == SN_CLASS_REDUCE) return use_reduce(g, op);
  if (info->cls == SN_CLASS_EXPAND && (info->attr_count || info->operands == 2)) return use_along_axis(g, op);
  return info->operands == 1 ? use_unary(g, op) : use_binary(g, op);
}
