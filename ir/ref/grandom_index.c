/* Random uses of reductions, contractions, indexing, random numbers and expansions along an axis. */
#include <math.h>

#include "ir/ref/grandom_impl.h"

/* ---- reductions, contraction ---- */

static sn_val use_reduce(sn_ggen *g, sn_op op) {
  bool logic = op == SN_OP_ANY || op == SN_OP_ALL, extreme = op == SN_OP_AMAX || op == SN_OP_AMIN;
  sn_val x = sn_gr_pick(g, logic ? SN_GR_BOOL : SN_GR_NUMBER, 1, 5);
  if (x && op == SN_OP_PROD && sn_gr_is(g, x, SN_GR_FLOAT)) x = sn_gr_tame(g, x, 1.5);
  if (!x || (g->grad && extreme && !g->fact[x].exact)) return 0;
  const sn_type *t = sn_gr_t(g, x);
  sn_gr_fact f = g->fact[x];
  int64_t axes[SN_RANK_MAX];
  int n = 0;
  for (int i = 0; i < t->rank; i++)
    if (sn_gr_chance(g, 50)) axes[n++] = i;
  if (!n) axes[n++] = sn_gr_below(g, t->rank);
  sn_attr at = {.set = true, .ints = axes, .count = n};
  double terms = 1;
  for (int i = 0; i < n; i++) terms *= (double)sn_gr_value_of(g, t->dim[axes[i]]);
  if (op == SN_OP_SUM)
    f.size *= f.low >= 0 || !sn_elem_is_float(t->elem) ? terms : sqrt(terms) + 1, f.low = f.low >= 0 ? 0 : -INFINITY;
  if (op == SN_OP_PROD) {
    if (terms > 12) return 0;
    f.size = sn_elem_is_float(t->elem) ? pow(fmax(f.size, 1), terms) : 0x1p31, f.low = -INFINITY;
  }
  f.exact = f.exact && ((op != SN_OP_SUM && op != SN_OP_PROD) || !sn_elem_is_float(t->elem));
  if (op == SN_OP_ARGMAX || op == SN_OP_ARGMIN) {
    if (!f.exact && sn_gr_chance(g, f.narrow ? 95 : 60)) return 0;
    at = (sn_attr){.set = true, .i = axes[0]};
    f = (sn_gr_fact){.size = terms, .low = 0, .exact = g->fact[x].exact};
  }
  return sn_gr_emit(g, op, 1, &x, &at, NULL, f);
}

static void shuffle(sn_ggen *g, char *s, int n) {
  for (int i = n - 1; i > 0; i--) {
    int64_t k = sn_gr_below(g, i + 1);
    char c = s[i];
    s[i] = s[k];
    s[k] = c;
  }
}

/* Letters of x are kept, shared as batch, or summed; the other operand may have axes of its own. */
static sn_val use_contract(sn_ggen *g) {
  sn_val x = sn_gr_pick(g, SN_GR_FLOAT, 0, 4);
  char a[8] = "", b[12] = "", out[12] = "";
  const sn_dimx *of[12];
  int nb = 0, no = 0;
  int64_t work = 1;
  double terms = 1;
  if (!x) return 0;
  const sn_type *t = sn_gr_t(g, x);
  for (int i = 0; i < t->rank; i++) {
    int kind = (int)sn_gr_below(g, 5); /* 0, 1: of x only, 2: both, 3, 4: summed */
    a[i] = (char)('a' + i);
    work *= sn_gr_value_of(g, t->dim[i]);
    if (kind > 2) terms *= (double)sn_gr_value_of(g, t->dim[i]);
    if (kind > 1) of[a[i] - 'a'] = t->dim[i], b[nb++] = a[i];
    if (kind < 3) out[no++] = a[i];
  }
  for (int i = t->rank; i < t->rank + 2 && no < 5 && nb < 5; i++) {
    const sn_dimx *d = sn_gr_extent(g);
    if (sn_gr_chance(g, 40) || work * sn_gr_value_of(g, d) > 60000) continue;
    work *= sn_gr_value_of(g, d);
    of[i] = d;
    b[nb++] = out[no++] = (char)('a' + i);
  }
  shuffle(g, b, nb);
  shuffle(g, out, no);
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i < nb; i++) dim[i] = of[b[i] - 'a'];
  const sn_type *tb = sn_gr_type(g, t->elem, nb, dim);
  if (sn_gr_elements(g, tb) > SN_GR_MOST) return 0;
  sn_val y = sn_gr_partner(g, tb), arg[2] = {x, y};
  bool swap = sn_gr_chance(g, 30);
  if (!y) return 0;
  if (swap) arg[0] = y, arg[1] = x;
  const sn_attr at[SN_ATTR_MAX] = {
      {.set = true, .s = sn_arena_printf(g->arena, "%s,%s->%s", swap ? b : a, swap ? a : b, out)}};
  return sn_gr_apply(g, SN_OP_CONTRACT, 2, arg, at, (sqrt(terms) + 1) * g->fact[x].size * g->fact[y].size);
}

/* ---- indexing ---- */

static sn_val use_gather(sn_ggen *g) {
  sn_val x = sn_gr_pick(g, SN_GR_ANY, 1, 4);
  if (!x) return 0;
  const sn_type *t = sn_gr_t(g, x), *picks = sn_gr_shape(g, SN_ELEM_I32, 0, 2, 40);
  const sn_dimx *dim[SN_RANK_MAX];
  int batch = t->rank > 1 && sn_gr_chance(g, 35) ? 1 + (int)sn_gr_below(g, t->rank - 1) : 0, n = 0;
  for (int i = 0; i < batch; i++) dim[n++] = t->dim[i];
  for (int i = 0; i < picks->rank && n < 4; i++) dim[n++] = picks->dim[i];
  const sn_type *shape = sn_gr_type(g, SN_ELEM_I32, n, dim);
  int64_t row = 1;
  for (int i = batch + 1; i < t->rank; i++) row *= sn_gr_value_of(g, t->dim[i]);
  if (n + t->rank - batch - 1 > 6 || sn_gr_elements(g, shape) * row > SN_GR_MOST) return 0;
  sn_val arg[2] = {x, sn_gr_indices(g, shape, t->dim[batch])};
  const sn_attr at = {.set = batch > 0, .i = batch};
  return arg[1] ? sn_gr_emit(g, SN_OP_GATHER, 2, arg, &at, NULL, g->fact[x]) : 0;
}

static sn_val use_scatter(sn_ggen *g) {
  sn_val u = sn_gr_pick(g, SN_GR_NUMBER, 0, 4);
  if (!u) return 0;
  const sn_type *t = sn_gr_t(g, u);
  if (t->elem == SN_ELEM_BF16) return 0;
  int lead = (int)sn_gr_below(g, t->rank + 1), batch = lead && sn_gr_chance(g, 35) ? (int)sn_gr_below(g, lead + 1) : 0;
  const sn_dimx *rows = sn_gr_extent(g);
  sn_val arg[2] = {sn_gr_indices(g, sn_gr_type(g, SN_ELEM_I32, lead, t->dim), rows), u};
  if (sn_gr_elements(g, t) * sn_gr_value_of(g, rows) > 20000) return 0;
  const sn_attr at[2] = {{.set = batch > 0, .i = batch}, {.set = true, .d = rows}};
  return sn_gr_apply(g, SN_OP_SCATTER, 2, arg, at, g->fact[u].size * 3);
}

static sn_val use_index(sn_ggen *g) {
  sn_val x = sn_gr_pick(g, SN_GR_ANY, 1, 4), arg[SN_RANK_MAX + 1] = {x};
  if (!x) return 0;
  const sn_type *t = sn_gr_t(g, x), *shape = sn_gr_shape(g, SN_ELEM_I32, 0, 3, 300);
  for (int i = 0; i < t->rank; i++)
    if (!(arg[i + 1] = sn_gr_indices(g, shape, t->dim[i]))) return 0;
  return sn_gr_emit(g, SN_OP_INDEX, t->rank + 1, arg, NULL, NULL, g->fact[x]);
}

static sn_val use_index_add(sn_ggen *g) {
  sn_val u = sn_gr_pick(g, SN_GR_NUMBER, 0, 3), arg[SN_RANK_MAX + 1] = {u};
  if (!u) return 0;
  const sn_type *t = sn_gr_t(g, u), *shape = sn_gr_shape(g, t->elem, 1, 3, 600);
  if (t->elem == SN_ELEM_BF16) return 0;
  for (int i = 0; i < shape->rank; i++)
    if (!(arg[i + 1] = sn_gr_indices(g, t, shape->dim[i]))) return 0;
  const sn_attr at = {.set = true, .dims = shape->dim, .count = shape->rank};
  return sn_gr_apply(g, SN_OP_INDEX_ADD, shape->rank + 1, arg, &at, g->fact[u].size * 3);
}

/* i32[], or one per row of axis 0 */
static sn_val start_of(sn_ggen *g, const sn_type *t, int axis, const sn_dimx *limit) {
  bool per_row = axis > 0 && sn_gr_chance(g, 50);
  sn_val v = sn_gr_indices(g, sn_gr_type(g, SN_ELEM_I32, per_row, t->dim), limit);
  return v && sn_gr_t(g, v)->elem == SN_ELEM_I32 ? v : 0;
}

static sn_val use_dyn_slice(sn_ggen *g) {
  sn_val x = sn_gr_pick(g, SN_GR_ANY, 1, 4);
  if (!x) return 0;
  const sn_type *t = sn_gr_t(g, x);
  int axis = (int)sn_gr_below(g, t->rank);
  int64_t slack = sn_gr_below(g, sn_dimx_min_value(t->dim[axis]) < 1 ? 1 : sn_dimx_min_value(t->dim[axis]));
  const sn_dimx *count = sn_dimx_sub(g->m->types, t->dim[axis], sn_gr_number(g, slack));
  sn_val arg[2] = {x, start_of(g, t, axis, sn_gr_number(g, slack + 1))};
  const sn_attr at[2] = {{.set = true, .i = axis}, {.set = true, .d = count}};
  return arg[1] ? sn_gr_emit(g, SN_OP_DYN_SLICE, 2, arg, at, NULL, g->fact[x]) : 0;
}

static sn_val use_dyn_write(sn_ggen *g) {
  sn_val x = sn_gr_pick(g, SN_GR_ANY, 1, 4);
  if (!x) return 0;
  const sn_type *t = sn_gr_t(g, x);
  int axis = (int)sn_gr_below(g, t->rank);
  bool ring = sn_gr_chance(g, 40);
  int64_t slack = sn_gr_below(g, sn_dimx_min_value(t->dim[axis]) < 1 ? 1 : sn_dimx_min_value(t->dim[axis]));
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i < t->rank; i++)
    dim[i] = i == axis ? sn_dimx_sub(g->m->types, t->dim[i], sn_gr_number(g, slack)) : t->dim[i];
  sn_val src = sn_gr_partner(g, sn_gr_type(g, t->elem, t->rank, dim));
  sn_val arg[3] = {x, src, start_of(g, t, axis, ring ? t->dim[axis] : sn_gr_number(g, slack + 1))};
  if (!src || !arg[2]) return 0;
  const sn_gr_fact *a = &g->fact[x], *c = &g->fact[src];
  sn_gr_fact f = {fmax(a->size, c->size), fmin(a->low, c->low), a->exact && c->exact, a->narrow || c->narrow};
  const sn_attr at[2] = {{.set = true, .i = axis}, {.set = ring, .i = ring}};
  return sn_gr_emit(g, SN_OP_DYN_WRITE, 3, arg, at, NULL, f);
}

static sn_val scalar_int(sn_ggen *g, sn_elem e) {
  const sn_type *t = sn_type_scalar(g->m->types, e);
  if (g->want && sn_gr_t(g, g->want) == t) return sn_gr_partner(g, t);
  if (e == SN_ELEM_I32 && sn_gr_chance(g, 50)) return sn_gr_pick(g, SN_GR_INT, 0, 0);
  return sn_gr_leaf(g, t);
}

static sn_val use_uniform(sn_ggen *g) {
  const sn_type *t = sn_gr_shape(g, SN_ELEM_F32, 0, 3, 1500);
  sn_val arg[2];
  arg[0] = scalar_int(g, SN_ELEM_I64);
  arg[1] = scalar_int(g, SN_ELEM_I32);
  if (!arg[0] || !arg[1] || sn_gr_t(g, arg[1])->elem != SN_ELEM_I32) return 0;
  const sn_attr at[2] = {{.set = true, .dims = t->dim, .count = t->rank},
                         {.set = true, .s = sn_arena_printf(g->arena, "s%d", (int)sn_gr_below(g, 100))}};
  return sn_gr_emit(g, SN_OP_UNIFORM, 2, arg, at, NULL, (sn_gr_fact){.size = 1, .low = 0, .exact = true});
}

/* ---- expansions along an axis ---- */

/* Both sets of logits in [-30, 30]: log probabilities differ by at most 2 x 60 + log V. */
static sn_val use_divergence(sn_ggen *g, sn_val x) {
  int kinds;
  const char *const *kind = sn_divergence_kinds(&kinds);
  sn_val y = sn_gr_partner(g, sn_gr_t(g, x)), arg[2] = {x, y ? sn_gr_tame(g, y, 30) : 0};
  const sn_attr at = {.set = true, .s = sn_name(g->m->names, kind[sn_gr_below(g, kinds)])};
  sn_gr_fact f = arg[1] ? sn_gr_mix(g, 2, arg, 140) : (sn_gr_fact){0};
  f.low = -INFINITY, f.exact = false;
  return arg[1] ? sn_gr_emit(g, SN_OP_DIVERGENCE, 2, arg, &at, NULL, f) : 0;
}

static sn_val use_along_axis(sn_ggen *g, sn_op op) {
  sn_val x = sn_gr_pick(g, SN_GR_FLOAT, 1, 4), arg[2] = {0};
  sn_attr at[3] = {{0}};
  if (!x) return 0;
  arg[0] = x = sn_gr_tame(g, x, 30);
  if (!x) return 0;
  const sn_type *t = sn_gr_t(g, x);
  bool picks = op == SN_OP_PICK || op == SN_OP_CROSS_ENTROPY;
  if (picks) arg[1] = sn_gr_indices(g, sn_gr_type(g, SN_ELEM_I32, t->rank - 1, t->dim), t->dim[t->rank - 1]);
  if (picks && !arg[1]) return 0;
  if (op == SN_OP_DIVERGENCE) return use_divergence(g, x);
  if (sn_op_attr(op, "axis") >= 0) at[0] = (sn_attr){.set = true, .i = sn_gr_below(g, t->rank)};
  if (op == SN_OP_GROUP_NORM) {
    int64_t n;
    if (!sn_dimx_is_const(t->dim[t->rank - 1], &n)) n = 1;
    at[0] = (sn_attr){.set = true, .i = n % 3 == 0 ? 3 : n % 2 == 0 ? 2 : 1};
  }
  if (sn_op_attr(op, "eps") >= 0)
    at[sn_op_attr(op, "eps")] = (sn_attr){.set = true, .f = sn_gr_chance(g, 50) ? 1e-5 : 0.1};
  if (op == SN_OP_CROSS_ENTROPY && sn_gr_chance(g, 40)) at[0] = (sn_attr){.set = true, .f = 0.1};
  sn_gr_fact f = sn_gr_mix(g, 1, &x,
                           op == SN_OP_SOFTMAX          ? 1
                           : sn_op_attr(op, "eps") >= 0 ? 3
                                                        : g->fact[x].size * 2 + 3);
  f.low = op == SN_OP_SOFTMAX ? 0 : -INFINITY;
  f.exact = op == SN_OP_PICK && g->fact[x].exact;
  return sn_gr_emit(g, op, 1 + picks, arg, at, NULL, f);
}

/* ---- dispatch ---- */

sn_val sn_gr_use_index(sn_ggen *g, sn_op op) { /* table */
  switch (op) {
    case SN_OP_CONTRACT: return use_contract(g);
    case SN_OP_GATHER: return use_gather(g);
    case SN_OP_SCATTER: return use_scatter(g);
    case SN_OP_INDEX: return use_index(g);
    case SN_OP_INDEX_ADD: return use_index_add(g);
    case SN_OP_DYN_SLICE: return use_dyn_slice(g);
    case SN_OP_DYN_WRITE: return use_dyn_write(g);
    case SN_OP_UNIFORM: return use_uniform(g);
    case SN_OP_ANY:
    case SN_OP_ALL: return use_reduce(g, op);
    default: return sn_op_get(op)->cls == SN_CLASS_REDUCE ? use_reduce(g, op) : use_along_axis(g, op);
  }
}
