/* One random use of an op: operands from the pool, attributes that the type rule accepts, results kept finite. Here the
 * elementwise ops, leaves and views, and which file knows an op. */
#include <math.h>
#include <string.h>

#include "ir/ref/grandom_impl.h"

sn_val sn_gr_apply(sn_ggen *g, sn_op op, int count, const sn_val *arg, const sn_attr *attr, double size) {
  for (int i = 0; i < count; i++)
    if (!arg[i]) return 0;
  return sn_gr_emit(g, op, count, arg, attr, NULL, sn_gr_mix(g, count, arg, size));
}

/* The same, for ops that only move elements. */
static sn_val moved(sn_ggen *g, sn_op op, sn_val x, const sn_attr *attr) {
  return x ? sn_gr_emit(g, op, 1, &x, attr, NULL, g->fact[x]) : 0;
}

/* ---- elementwise ---- */

/* Before the op the operand is brought into its domain, or after it what is not finite is replaced: of exact operands,
 * so that it is certain which elements that are. */
static sn_val guarded(sn_ggen *g, sn_op op, int count, sn_val *arg, int at, double size) {
  if (g->direct) return sn_gr_clean(g, sn_gr_apply(g, op, count, arg, NULL, size));
  if (arg[at] && g->fact[arg[at]].low < 0.05 && g->fact[arg[0]].exact && g->fact[arg[at]].exact && sn_gr_chance(g, 60))
    return sn_gr_clean(g, sn_gr_apply(g, op, count, arg, NULL, size));
  arg[at] = sn_gr_positive(g, arg[at]);
  return sn_gr_apply(g, op, count, arg, NULL, size);
}

static sn_val use_unary(sn_ggen *g, sn_op op) {
  bool number = op == SN_OP_NEG || op == SN_OP_ABS || op == SN_OP_SIGN || op == SN_OP_SQUARE;
  sn_val x = sn_gr_pick(g,
                        op == SN_OP_POPCOUNT ? SN_GR_INT
                        : op == SN_OP_NOT    ? SN_GR_BOOL | SN_GR_INT
                        : op == SN_OP_STOP   ? SN_GR_ANY
                        : number             ? SN_GR_NUMBER
                                             : SN_GR_FLOAT,
                        0, 5);
  if (!x) return 0;
  double size = g->fact[x].size;
  sn_gr_fact same = g->fact[x], f = sn_gr_mix(g, 1, &x, 1);
  switch (op) {
    case SN_OP_STOP: return sn_gr_emit(g, op, 1, &x, NULL, NULL, same);
    case SN_OP_POPCOUNT:
      f = (sn_gr_fact){.size = 64, .low = 0, .exact = true};
      return sn_gr_emit(g, op, 1, &x, NULL, NULL, f);
    case SN_OP_NOT:
      f.exact = same.exact;
      if (sn_gr_is(g, x, SN_GR_INT)) f.size = sn_gr_t(g, x)->elem == SN_ELEM_U8 ? 255 : size + 1;
      return sn_gr_emit(g, op, 1, &x, NULL, NULL, f);
    case SN_OP_ISFINITE: f.exact = same.exact; return sn_gr_emit(g, op, 1, &x, NULL, NULL, f);
    case SN_OP_NEG:
    case SN_OP_ABS:
      same.low = op == SN_OP_ABS && sn_gr_is(g, x, SN_GR_FLOAT) ? 0 : -INFINITY;
      return sn_gr_emit(g, op, 1, &x, NULL, NULL, same);
    case SN_OP_RELU: same.low = 0; return sn_gr_emit(g, op, 1, &x, NULL, NULL, same);
    case SN_OP_SIGN: f.exact = same.exact; return sn_gr_emit(g, op, 1, &x, NULL, NULL, f);
    case SN_OP_EXP: {
      x = sn_gr_tame(g, x, 4);
      sn_val y = x ? sn_gr_apply(g, op, 1, &x, NULL, exp(fmin(g->fact[x].size, 4))) : 0;
      if (g->direct) return sn_gr_clean(g, y);
      if (y) g->fact[y].low = g->fact[x].low > -3 ? 0.049 : 0;
      return y;
    }
    case SN_OP_EXP2:
    case SN_OP_EXPM1:
      x = sn_gr_tame(g, x, 4);
      return x ? sn_gr_apply(g, op, 1, &x, NULL, exp(fmin(g->fact[x].size, 4))) : 0;
    case SN_OP_FLOOR:
    case SN_OP_CEIL:
    case SN_OP_ROUND:
    case SN_OP_TRUNC:
      if (g->fact[x].narrow && !g->fact[x].exact && sn_gr_chance(g, 95)) return 0;
      f.size = size + 1, f.exact = same.exact;
      return sn_gr_emit(g, op, 1, &x, NULL, NULL, f);
    case SN_OP_RECIPROCAL: return guarded(g, op, 1, &x, 0, 20);
    case SN_OP_LOG2:
    case SN_OP_LOG1P:
    case SN_OP_LOG: return guarded(g, op, 1, &x, 0, 3);
    case SN_OP_SQRT: return guarded(g, op, 1, &x, 0, sqrt(size) + 0.5);
    case SN_OP_RSQRT: return guarded(g, op, 1, &x, 0, 4);
    case SN_OP_SQUARE:
      x = sn_gr_tame(g, x, 100);
      return x ? sn_gr_apply(g, op, 1, &x, NULL, g->fact[x].size * g->fact[x].size) : 0;
    case SN_OP_SIGMOID: f.low = 0; return sn_gr_emit(g, op, 1, &x, NULL, NULL, f);
    case SN_OP_SOFTPLUS:
    case SN_OP_LOGSIGMOID: return sn_gr_apply(g, op, 1, &x, NULL, size + 1);
    case SN_OP_LEAKY_RELU:
    case SN_OP_ELU: {
      const sn_attr at = {.set = true, .f = 0.25};
      return sn_gr_emit(g, op, 1, &x, &at, NULL, sn_gr_mix(g, 1, &x, size));
    }
    case SN_OP_GELU:
    case SN_OP_GELU_TANH:
    case SN_OP_SILU: return sn_gr_apply(g, op, 1, &x, NULL, size);
    default: return sn_gr_apply(g, op, 1, &x, NULL, 1.2);
  }
}

static sn_val use_cast(sn_ggen *g) {
  static const sn_elem to[] = {SN_ELEM_F32, SN_ELEM_F32, SN_ELEM_BF16, SN_ELEM_I32,
                               SN_ELEM_I64, SN_ELEM_U8,  SN_ELEM_BOOL, SN_ELEM_F64};
  sn_val x = sn_gr_pick(g, SN_GR_ANY, 0, 5);
  if (!x) return 0;
  sn_attr at = {.set = true, .i = to[sn_gr_below(g, 8)]};
  sn_gr_fact f = g->fact[x];
  bool from_float = sn_gr_is(g, x, SN_GR_FLOAT), to_float = sn_elem_is_float((sn_elem)at.i);
  if (at.i == SN_ELEM_F64 && g->real[1] != SN_ELEM_F64) at.i = SN_ELEM_F32;
  if (from_float && !to_float && f.narrow && !f.exact && sn_gr_chance(g, 95)) at.i = SN_ELEM_F32;
  if (from_float && to_float) f.exact = false;
  if (!to_float) f.low = at.i == SN_ELEM_U8 ? 0 : -INFINITY;
  if (at.i == SN_ELEM_U8) f.size = fmin(f.size, 255);
  if (at.i == SN_ELEM_BOOL) f.size = 1;
  return sn_gr_emit(g, SN_OP_CAST, 1, &x, &at, NULL, f);
}

static sn_val use_int_division(sn_ggen *g, sn_op op, sn_val x) {
  const sn_type *t = sn_gr_t(g, x);
  sn_val y[2], z[2];
  y[0] = sn_gr_partner(g, t);
  y[1] = sn_gr_const(g, t, 7);
  if (!y[0] || !y[1]) return 0;
  sn_gr_fact f = {.size = 7, .low = 0, .exact = true};
  z[0] = sn_gr_emit(g, SN_OP_MOD, 2, y, NULL, NULL, f);
  z[1] = sn_gr_const(g, t, 1);
  if (!z[0] || !z[1]) return 0;
  f.low = 1;
  sn_val arg[2] = {x, sn_gr_emit(g, SN_OP_ADD, 2, z, NULL, NULL, f)};
  f = (sn_gr_fact){
      .size = op == SN_OP_MOD ? 7 : g->fact[x].size, .low = op == SN_OP_MOD ? 0 : -INFINITY, .exact = true};
  return arg[1] ? sn_gr_emit(g, op, 2, arg, NULL, NULL, f) : 0;
}

static sn_val use_pow(sn_ggen *g, sn_val x, sn_val y) {
  x = sn_gr_tame(g, x, 6);
  sn_val arg[2] = {0, sn_gr_tame(g, y, 3)};
  bool exact = x && arg[1] && g->fact[x].exact && g->fact[arg[1]].exact;
  arg[0] = g->direct || (exact && sn_gr_chance(g, 50)) ? x : sn_gr_positive(g, x);
  sn_val v = sn_gr_apply(g, SN_OP_POW, 2, arg, NULL, 50);
  return v && arg[0] == x && g->fact[x].low < 0.05 ? sn_gr_clean(g, v) : v;
}

static sn_val use_binary(sn_ggen *g, sn_op op) {
  bool shifts = op == SN_OP_SHL || op == SN_OP_SHR, bits = op == SN_OP_AND || op == SN_OP_OR || op == SN_OP_XOR,
       compares = op == SN_OP_EQ || op == SN_OP_NE || op == SN_OP_LT || op == SN_OP_LE;
  int classes = bits                               ? SN_GR_BOOL | SN_GR_INT
                : op == SN_OP_MOD || shifts        ? SN_GR_INT
                : op == SN_OP_POW                  ? SN_GR_FLOAT
                : op == SN_OP_EQ || op == SN_OP_NE ? SN_GR_ANY
                                                   : SN_GR_NUMBER;
  sn_val x = sn_gr_pick(g, classes, 0, 5);
  if (!x) return 0;
  bool real = sn_gr_is(g, x, SN_GR_FLOAT);
  if (op == SN_OP_MOD || (op == SN_OP_DIV && !real)) return use_int_division(g, op, x);
  if (compares && real && g->fact[x].narrow && !g->fact[x].exact && sn_gr_chance(g, 95)) return 0;
  bool apart = compares && real && !g->fact[x].exact && sn_gr_chance(g, 90); /* not with a form of itself */
  sn_val arg[2] = {x, apart ? sn_gr_leaf(g, sn_gr_t(g, x)) : sn_gr_partner(g, sn_gr_t(g, x))};
  if (!arg[1]) return 0;
  if (sn_gr_chance(g, 30)) arg[0] = arg[1], arg[1] = x;
  if (op == SN_OP_POW) return use_pow(g, arg[0], arg[1]);
  if (compares && real && arg[0] == arg[1] && !g->fact[x].exact) return 0; /* nothing is certain */
  double a = g->fact[arg[0]].size, c = g->fact[arg[1]].size;
  if (op == SN_OP_DIV) return guarded(g, op, 2, arg, 1, a * 4);
  sn_gr_fact f = sn_gr_mix(g, 2, arg,
                           shifts                               ? (sn_gr_t(g, x)->elem == SN_ELEM_I64 ? 0x1p63 : 0x1p31)
                           : compares                           ? 1
                           : bits                               ? 2 * fmax(a, c)
                           : op == SN_OP_MUL                    ? a * c
                           : op == SN_OP_MIN || op == SN_OP_MAX ? fmax(a, c)
                                                                : a + c);
  bool both = g->fact[arg[0]].exact && g->fact[arg[1]].exact;
  f.exact = both && (!real || compares || op == SN_OP_MIN || op == SN_OP_MAX);
  if (real && !compares && op != SN_OP_SUB && g->fact[arg[0]].low >= 0 && g->fact[arg[1]].low >= 0) f.low = 0;
  return sn_gr_emit(g, op, 2, arg, NULL, NULL, f);
}

static sn_val use_select(sn_ggen *g) {
  sn_val x, y, c;
  if (g->want && sn_gr_is(g, g->want, SN_GR_BOOL) && sn_gr_chance(g, 60)) {
    c = sn_gr_pick(g, SN_GR_BOOL, 0, 5);
    const sn_type *t = c ? sn_gr_t(g, c) : NULL;
    x = t ? sn_gr_partner(g, sn_gr_type(g, sn_gr_elem(g, SN_GR_NUMBER), t->rank, t->dim)) : 0;
  } else {
    x = sn_gr_pick(g, SN_GR_ANY, 0, 5);
    const sn_type *t = x ? sn_gr_t(g, x) : NULL;
    c = t ? sn_gr_partner(g, sn_gr_type(g, SN_ELEM_BOOL, t->rank, t->dim)) : 0;
  }
  y = x ? sn_gr_partner(g, sn_gr_t(g, x)) : 0;
  if (!x || !y || !c) return 0;
  const sn_val arg[3] = {c, x, y};
  sn_gr_fact f = sn_gr_mix(g, 3, arg, fmax(g->fact[x].size, g->fact[y].size));
  f.exact = g->fact[c].exact && g->fact[x].exact && g->fact[y].exact;
  f.low = fmin(g->fact[x].low, g->fact[y].low);
  return sn_gr_emit(g, SN_OP_SELECT, 3, arg, NULL, NULL, f);
}

/* ---- leaves ---- */

static sn_val use_leaf(sn_ggen *g, sn_op op) {
  sn_elem e = sn_gr_elem(g, op == SN_OP_PARAM || op == SN_OP_STATE ? SN_GR_FLOAT
                            : op == SN_OP_IOTA                     ? SN_GR_NUMBER
                                                                   : SN_GR_ANY);
  const sn_type *t = sn_gr_shape(g, e, op == SN_OP_IOTA, 3, 1500);
  sn_gr_fact f = {.size = e == SN_ELEM_BOOL     ? 1
                          : sn_elem_is_float(e) ? 3
                                                : SN_GRANDOM_INT_LIMIT,
                  .low = sn_elem_is_float(e) ? -INFINITY : 0,
                  .exact = true};
  sn_attr at[4] = {{0}};
  at[0].set = true;
  if (op == SN_OP_CONST)
    return sn_gr_const(g, t, sn_elem_is_float(e) ? (double)sn_gr_below(g, 65) / 16 - 2 : (double)sn_gr_below(g, 2));
  if (op == SN_OP_IOTA) {
    at[0].i = sn_gr_below(g, t->rank);
    f.size = 20, f.low = 0;
    return sn_gr_emit(g, op, 0, NULL, at, t, f);
  }
  if (op == SN_OP_DIM) {
    at[0].d = sn_gr_extent(g);
    f.low = 1, f.size = 64;
    return sn_gr_emit(g, op, 0, NULL, at, sn_type_scalar(g->m->types, SN_ELEM_I32), f);
  }
  if (g->leaves >= 14) return 0;
  if (op != SN_OP_INPUT) { /* extents of what is kept are constants */
    const sn_dimx *dim[SN_RANK_MAX];
    for (int i = 0; i < t->rank; i++) dim[i] = sn_gr_number(g, sn_gr_value_of(g, t->dim[i]));
    t = sn_gr_type(g, e, t->rank, dim);
  }
  at[0].s = sn_arena_printf(g->arena, "x%d", g->leaves++);
  if (op != SN_OP_INPUT) at[1] = (sn_attr){.set = true, .s = op == SN_OP_STATE ? "fill" : "normal"};
  if (op != SN_OP_INPUT) at[2] = (sn_attr){.set = true, .f = 1};
  return sn_gr_emit(g, op, 0, NULL, at, t, f);
}

/* ---- views ---- */

static sn_val use_reshape(sn_ggen *g) {
  sn_val x = sn_gr_pick(g, SN_GR_ANY, 0, 5);
  const sn_dimx *dim[2 * SN_RANK_MAX];
  int n = 0;
  if (!x) return 0;
  const sn_type *t = sn_gr_t(g, x);
  for (int i = 0; i < t->rank; i++) {
    int64_t c, part = 2 + sn_gr_below(g, 3);
    const sn_dimx *merged = n ? sn_dimx_mul(g->m->types, dim[n - 1], t->dim[i]) : NULL;
    if (n && sn_dimx_min_value(merged) >= 0 && sn_gr_chance(g, 45)) {
      dim[n - 1] = merged;
    } else if (n < 5 && sn_dimx_is_const(t->dim[i], &c) && c % part == 0 && sn_gr_chance(g, 50)) {
      dim[n++] = sn_gr_number(g, part);
      dim[n++] = sn_gr_number(g, c / part);
    } else {
      dim[n++] = t->dim[i];
    }
  }
  if (n < 4 && (n == t->rank || sn_gr_chance(g, 20))) dim[n++] = sn_gr_number(g, 1);
  const sn_attr at = {.set = true, .dims = dim, .count = n};
  return moved(g, SN_OP_RESHAPE, x, &at);
}

static sn_val use_transpose(sn_ggen *g) {
  sn_val x = sn_gr_pick(g, SN_GR_ANY, 1, 5);
  int64_t perm[SN_RANK_MAX];
  int rank = x ? sn_gr_t(g, x)->rank : 0;
  for (int i = 0; i < rank; i++) perm[i] = i;
  for (int i = rank - 1; i > 0; i--) {
    int64_t k = sn_gr_below(g, i + 1), p = perm[i];
    perm[i] = perm[k];
    perm[k] = p;
  }
  const sn_attr at = {.set = true, .ints = perm, .count = rank};
  return moved(g, SN_OP_TRANSPOSE, x, &at);
}

static sn_val use_broadcast(sn_ggen *g) {
  sn_val x = sn_gr_pick(g, SN_GR_ANY, 0, 3);
  const sn_dimx *dim[SN_RANK_MAX];
  int64_t axes[SN_RANK_MAX], count = x ? sn_gr_elements(g, sn_gr_t(g, x)) : 0;
  int n = 0, i = 0;
  if (!x) return 0;
  const sn_type *t = sn_gr_t(g, x);
  while (i < t->rank || n == t->rank) {
    const sn_dimx *d = sn_gr_extent(g);
    bool more = n < 5 && count * sn_gr_value_of(g, d) <= 2500 && (i == t->rank || sn_gr_chance(g, 35));
    if (more) count *= sn_gr_value_of(g, d), dim[n++] = d;
    if (i == t->rank) break;
    bool wide = sn_dimx_is_one(t->dim[i]) && count * sn_gr_value_of(g, d) <= 2500;
    if (wide) count *= sn_gr_value_of(g, d);
    axes[i++] = n;
    dim[n++] = wide ? d : t->dim[i - 1];
  }
  const sn_attr at[2] = {{.set = true, .dims = dim, .count = n}, {.set = true, .ints = axes, .count = t->rank}};
  return moved(g, SN_OP_BROADCAST, x, at);
}

static sn_val use_slice(sn_ggen *g) {
  sn_val x = sn_gr_pick(g, SN_GR_ANY, 1, 5);
  const sn_dimx *start[SN_RANK_MAX], *shape[SN_RANK_MAX];
  if (!x) return 0;
  const sn_type *t = sn_gr_t(g, x);
  for (int i = 0; i < t->rank; i++) {
    int64_t room = sn_dimx_min_value(t->dim[i]) - 1, c;
    int64_t from = room > 0 ? sn_gr_below(g, room + 1) : 0,
            drop = room - from > 0 ? sn_gr_below(g, room - from + 1) : 0;
    start[i] = sn_gr_number(g, from);
    shape[i] = sn_dimx_sub(g->m->types, t->dim[i], sn_gr_number(g, from + drop));
    if (sn_dimx_is_const(t->dim[i], &c) || sn_gr_chance(g, 50)) continue;
    start[i] = sn_gr_number(g, 0), shape[i] = t->dim[i];
  }
  const sn_attr at[2] = {{.set = true, .dims = start, .count = t->rank},
                         {.set = true, .dims = shape, .count = t->rank}};
  return moved(g, SN_OP_SLICE, x, at);
}

static sn_val use_concat(sn_ggen *g) {
  sn_val x = sn_gr_pick(g, SN_GR_ANY, 1, 4), arg[3];
  if (!x) return 0;
  const sn_type *t = sn_gr_t(g, x);
  int axis = (int)sn_gr_below(g, t->rank), count = 2 + (int)sn_gr_below(g, 2), at_x = (int)sn_gr_below(g, count);
  sn_gr_fact f = g->fact[x];
  for (int k = 0; k < count; k++) {
    const sn_dimx *dim[SN_RANK_MAX];
    for (int i = 0; i < t->rank; i++) dim[i] = i == axis && sn_gr_chance(g, 60) ? sn_gr_extent(g) : t->dim[i];
    arg[k] = k == at_x ? x : sn_gr_partner(g, sn_gr_type(g, t->elem, t->rank, dim));
    if (!arg[k]) return 0;
    const sn_gr_fact *o = &g->fact[arg[k]];
    f = (sn_gr_fact){fmax(f.size, o->size), fmin(f.low, o->low), f.exact && o->exact, f.narrow || o->narrow};
  }
  const sn_attr at = {.set = true, .i = axis};
  return sn_gr_emit(g, SN_OP_CONCAT, count, arg, &at, NULL, f);
}

static sn_val use_pad(sn_ggen *g) {
  sn_val x = sn_gr_pick(g, SN_GR_ANY, 1, 4);
  if (!x || sn_gr_elements(g, sn_gr_t(g, x)) * 4 > SN_GR_MOST) return 0;
  const sn_type *t = sn_gr_t(g, x);
  const sn_dimx *around[2][SN_RANK_MAX];
  for (int i = 0; i < 2 * t->rank; i++)
    around[i % 2][i / 2] = sn_gr_number(g, sn_gr_chance(g, 40) ? sn_gr_below(g, 3) : 0);
  double value = (double)sn_gr_below(g, 2);
  const sn_attr at[3] = {{.set = true, .dims = around[0], .count = t->rank},
                         {.set = true, .dims = around[1], .count = t->rank},
                         {.set = true, .f = value}};
  sn_gr_fact f = g->fact[x];
  f.size = fmax(f.size, value), f.low = fmin(f.low, value);
  return sn_gr_emit(g, SN_OP_PAD, 1, &x, at, NULL, f);
}

static sn_val use_flip(sn_ggen *g) {
  sn_val x = sn_gr_pick(g, SN_GR_ANY, 1, 4);
  const sn_attr at = {.set = true, .i = x ? sn_gr_below(g, sn_gr_t(g, x)->rank) : 0};
  return moved(g, SN_OP_FLIP, x, &at);
}

/* ---- dispatch ---- */

static sn_val use_view(sn_ggen *g, sn_op op) { /* table */
  switch (op) {
    case SN_OP_RESHAPE: return use_reshape(g);
    case SN_OP_TRANSPOSE: return use_transpose(g);
    case SN_OP_BROADCAST: return use_broadcast(g);
    default: return use_slice(g);
  }
}

sn_val sn_gr_use(sn_ggen *g, sn_op op) {
  const sn_op_info *info = sn_op_get(op);
  if (!sn_gr_is_known(op)) return sn_gr_use_sample(g, op);
  if (op == SN_OP_CAST) return use_cast(g);
  if (op == SN_OP_SELECT) return use_select(g);
  if (op == SN_OP_CONCAT) return use_concat(g);
  if (op == SN_OP_PAD) return use_pad(g);
  if (op == SN_OP_FLIP) return use_flip(g);
  if (op == SN_OP_LEAKY_RELU || op == SN_OP_ELU) return use_unary(g, op);
  switch (info->cls) { /* table */
    case SN_CLASS_LEAF: return use_leaf(g, op);
    case SN_CLASS_VIEW: return use_view(g, op);
    case SN_CLASS_REDUCE:
    case SN_CLASS_CONTRACT:
    case SN_CLASS_INDEX:
    case SN_CLASS_RANDOM: return sn_gr_use_index(g, op);
    case SN_CLASS_STRUCT: return sn_gr_use_body(g, op);
    default: break;
  }
  if (info->cls == SN_CLASS_EXPAND && (info->attr_count || info->operands == 2)) return sn_gr_use_index(g, op);
  return info->operands == 1 ? use_unary(g, op) : use_binary(g, op);
}
