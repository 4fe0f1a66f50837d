/* What all random ops share: numbers, shapes, nodes with what is known of them, choice of operands. The whole graph is
 * in grandom_graph.c, ops in grandom_ops.c and the files beside it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/ref/grandom_impl.h"

/* ---- numbers and shapes ---- */

int64_t sn_gr_below(sn_ggen *g, int64_t n) { return (int64_t)sn_rng_below(&g->rng, (uint64_t)n); }
bool sn_gr_chance(sn_ggen *g, int percent) { return sn_gr_below(g, 100) < percent; }
const sn_dimx *sn_gr_number(sn_ggen *g, int64_t n) { return sn_dimx_const(g->m->types, n); }
const sn_dimx *sn_gr_extent(sn_ggen *g) { return g->palette[sn_gr_below(g, g->palette_count)]; }

int64_t sn_gr_value_of(const sn_ggen *g, const sn_dimx *d) {
  int64_t n = 0;
  return sn_dimx_eval(d, g->dims, &n) ? 0 : n;
}

int64_t sn_gr_elements(const sn_ggen *g, const sn_type *t) {
  int64_t n = 1;
  for (int i = 0; i < t->rank; i++) n *= sn_gr_value_of(g, t->dim[i]);
  return n;
}

const sn_type *sn_gr_type(sn_ggen *g, sn_elem e, int rank, const sn_dimx *const *dim) {
  return sn_type_of(g->m->types, e, rank, dim);
}

const sn_type *sn_gr_shape(sn_ggen *g, sn_elem e, int min_rank, int max_rank, int64_t most) {
  const sn_dimx *dim[SN_RANK_MAX];
  int rank = min_rank + (int)sn_gr_below(g, max_rank - min_rank + 1);
  int64_t n = 1;
  for (int i = 0; i < rank; i++) {
    dim[i] = sn_gr_extent(g);
    if (n * sn_gr_value_of(g, dim[i]) > most) dim[i] = sn_gr_number(g, 1 + sn_gr_below(g, n * 3 > most ? 1 : 3));
    n *= sn_gr_value_of(g, dim[i]);
  }
  return sn_gr_type(g, e, rank, dim);
}

sn_elem sn_gr_elem(sn_ggen *g, int classes) {
  static const sn_elem ints[] = {SN_ELEM_I32, SN_ELEM_I32, SN_ELEM_I32, SN_ELEM_I32, SN_ELEM_I64, SN_ELEM_U8};
  int kind = (int)sn_gr_below(g, 10);
  if (classes & SN_GR_FLOAT && (kind < 7 || classes == SN_GR_FLOAT)) return g->real[sn_gr_below(g, 3)];
  if (classes & SN_GR_INT && (kind < 9 || !(classes & SN_GR_BOOL))) return ints[sn_gr_below(g, 6)];
  return SN_ELEM_BOOL;
}

/* ---- nodes ---- */

sn_gr_fact sn_gr_mix(const sn_ggen *g, int count, const sn_val *arg, double size) {
  sn_gr_fact f = {.size = size, .low = -INFINITY};
  for (int i = 0; i < count; i++) f.narrow |= g->fact[arg[i]].narrow;
  return f;
}

void sn_gr_keep(sn_ggen *g, sn_val v) {
  for (int i = 0; i < g->count; i++)
    if (g->pool[i] == v) return;
  if (g->count < SN_GR_POOL) g->pool[g->count++] = v;
}

sn_val sn_gr_emit(sn_ggen *g, sn_op op, int count, const sn_val *arg, const sn_attr *attr, const sn_type *leaf,
                  sn_gr_fact fact) {
  sn_val v = sn_emit(&g->b, op, count, arg, attr, leaf);
  if (!v || g->f->value_count > SN_GR_VALUES) return 0;
  const sn_node *n = sn_node_of(g->f, v);
  for (int i = 0; i < n->result_count; i++) {
    sn_elem e = n->type[i]->elem;
    bool narrow = e == SN_ELEM_BF16 && !fact.exact;
    g->fact[v + (sn_val)i] = fact;
    g->fact[v + (sn_val)i].narrow |= narrow;
  }
  return v;
}

sn_val sn_gr_const(sn_ggen *g, const sn_type *t, double value) {
  const sn_attr at = {.set = true, .f = value};
  return sn_gr_emit(g, SN_OP_CONST, 0, NULL, &at, t, (sn_gr_fact){.size = fabs(value), .low = value, .exact = true});
}

static bool constant_shape(const sn_type *t) {
  int64_t n;
  for (int i = 0; i < t->rank; i++)
    if (!sn_dimx_is_const(t->dim[i], &n)) return false;
  return true;
}

/* An input, or a parameter. */
static sn_val named_leaf(sn_ggen *g, const sn_type *t, int kind, sn_gr_fact fact) {
  const char *name = sn_arena_printf(g->arena, "x%d", g->leaves++);
  sn_attr at[4] = {{.set = true, .s = name}};
  if (!sn_elem_is_float(t->elem) || !constant_shape(t) || kind < 4)
    return sn_gr_emit(g, SN_OP_INPUT, 0, NULL, at, t, fact);
  at[1] = (sn_attr){.set = true, .s = "normal"};
  at[2] = (sn_attr){.set = true, .f = 1};
  return sn_gr_emit(g, SN_OP_PARAM, 0, NULL, at, t, fact);
}

sn_val sn_gr_leaf(sn_ggen *g, const sn_type *t) {
  bool real = sn_elem_is_float(t->elem), boolean = t->elem == SN_ELEM_BOOL;
  int kind = (int)sn_gr_below(g, 10);
  sn_gr_fact fact = {.size = real ? 3 : boolean ? 1 : SN_GRANDOM_INT_LIMIT, .low = real ? -INFINITY : 0, .exact = true};
  if (g->leaves >= 12 || kind == 0)
    return sn_gr_const(g, t,
                       real      ? (double)sn_gr_below(g, 65) / 16 - 2
                       : boolean ? (double)sn_gr_below(g, 2)
                                 : (double)sn_gr_below(g, 9));
  if (kind == 1 && t->rank && !boolean && t->elem != SN_ELEM_U8) {
    const sn_attr at = {.set = true, .i = sn_gr_below(g, t->rank)};
    fact.size = 20;
    fact.low = 0;
    return sn_gr_emit(g, SN_OP_IOTA, 0, NULL, &at, t, fact);
  }
  if (kind == 2 && real) { /* few values: there are ties */
    sn_val v = named_leaf(g, t, 5, fact);
    return v ? sn_gr_emit(g, SN_OP_ROUND, 1, &v, NULL, NULL, fact) : 0;
  }
  return named_leaf(g, t, kind, fact);
}

/* ---- choosing operands ---- */

static bool fits(const sn_ggen *g, sn_val v, int classes, int min_rank, int max_rank) {
  int rank = sn_gr_t(g, v)->rank;
  return sn_gr_is(g, v, classes) && rank >= min_rank && rank <= max_rank;
}

/* The newest are the likeliest. */
static sn_val any_of_pool(sn_ggen *g) {
  double r = sn_rng_f64(&g->rng);
  return g->pool[g->count - 1 - (int)(r * r * g->count)];
}

sn_val sn_gr_pick(sn_ggen *g, int classes, int min_rank, int max_rank) {
  sn_val v = g->want;
  if (v && fits(g, v, classes, min_rank, max_rank)) {
    g->want = 0;
    return v;
  }
  for (int i = 0; i < 12 && g->count; i++) {
    v = any_of_pool(g);
    if (fits(g, v, classes, min_rank, max_rank)) return v;
  }
  v = sn_gr_leaf(g,
                 sn_gr_shape(g, sn_gr_elem(g, classes), min_rank, max_rank > 3 && min_rank < 4 ? 3 : max_rank, 1500));
  if (v) sn_gr_keep(g, v);
  return v;
}

/* Axes of x that have no partner in t are reduced; the others are spread. */
static sn_val spread(sn_ggen *g, sn_val x, const sn_type *t) {
  const sn_type *s = sn_gr_t(g, x);
  int64_t axes[SN_RANK_MAX], gone[SN_RANK_MAX];
  int kept = 0, lost = 0, k = 0;
  for (int i = 0; i < s->rank; i++) {
    int j = k;
    while (j < t->rank && t->dim[j] != s->dim[i] && !sn_dimx_is_one(s->dim[i])) j++;
    if (j == t->rank)
      gone[lost++] = i;
    else
      axes[kept++] = j, k = j + 1;
  }
  sn_gr_fact fact = sn_gr_mix(g, 1, &x, g->fact[x].size);
  if (lost) {
    const sn_attr at = {.set = true, .ints = gone, .count = lost};
    bool sum = sn_gr_chance(g, 60);
    fact.exact = g->fact[x].exact && !sum;
    double terms = (double)sn_gr_elements(g, s);
    if (sum) fact.size *= sqrt(terms) + 1;
    x = sn_gr_emit(g, sum ? SN_OP_SUM : SN_OP_AMAX, 1, &x, &at, NULL, fact);
  }
  if (!x || sn_gr_t(g, x) == t) return x;
  const sn_attr at[2] = {{.set = true, .dims = t->dim, .count = t->rank}, {.set = true, .ints = axes, .count = kept}};
  return sn_gr_emit(g, SN_OP_BROADCAST, 1, &x, at, NULL, fact);
}

static sn_val cast(sn_ggen *g, sn_val x, sn_elem to) {
  if (!x || sn_gr_t(g, x)->elem == to) return x;
  const sn_attr at = {.set = true, .i = to};
  sn_gr_fact f = g->fact[x];
  f.exact = false;
  return sn_gr_emit(g, SN_OP_CAST, 1, &x, &at, NULL, f);
}

static sn_val made(sn_ggen *g, const sn_type *t) {
  int classes = sn_elem_is_float(t->elem) ? SN_GR_NUMBER : SN_GR_INT;
  if (t->elem == SN_ELEM_BOOL || !g->count) return sn_gr_leaf(g, t);
  for (int i = 0; i < 6; i++) {
    sn_val v = any_of_pool(g);
    sn_elem e = sn_gr_t(g, v)->elem;
    if (!sn_gr_is(g, v, classes) || (!sn_elem_is_float(t->elem) && e != t->elem)) continue;
    if (g->grad && !g->fact[v].exact) continue; /* the gradient of a maximum asks which element attains it */
    return cast(g, sn_gr_tame(g, spread(g, v, sn_gr_type(g, e, t->rank, t->dim)), 20), t->elem);
  }
  return sn_gr_leaf(g, t);
}

/* A leaf of the last axes, or a scalar, spread. */
static sn_val small_leaf(sn_ggen *g, const sn_type *t) {
  int rank = t->rank ? (int)sn_gr_below(g, t->rank) : 0;
  sn_val v = sn_gr_leaf(g, sn_gr_type(g, t->elem, rank, t->dim + t->rank - rank));
  int64_t axes[SN_RANK_MAX];
  for (int i = 0; i < rank; i++) axes[i] = t->rank - rank + i;
  const sn_attr at[2] = {{.set = true, .dims = t->dim, .count = t->rank}, {.set = true, .ints = axes, .count = rank}};
  return v && t->rank ? sn_gr_emit(g, SN_OP_BROADCAST, 1, &v, at, NULL, g->fact[v]) : v;
}

sn_val sn_gr_partner(sn_ggen *g, const sn_type *t) {
  sn_val same[SN_GR_POOL];
  int n = 0;
  if (g->want && sn_gr_t(g, g->want) == t) {
    sn_val v = g->want;
    g->want = 0;
    return v;
  }
  for (int i = 0; i < g->count; i++)
    if (sn_gr_t(g, g->pool[i]) == t) same[n++] = g->pool[i];
  if (n && sn_gr_chance(g, 70)) return same[sn_gr_below(g, n)];
  int kind = (int)sn_gr_below(g, 10);
  if (kind < 4) return made(g, t);
  if (kind < 7) return small_leaf(g, t);
  sn_val v = sn_gr_leaf(g, t);
  if (v) sn_gr_keep(g, v);
  return v;
}

sn_val sn_gr_indices(sn_ggen *g, const sn_type *shape, const sn_dimx *limit) {
  sn_elem e = sn_gr_chance(g, 10) ? SN_ELEM_I64 : SN_ELEM_I32;
  const sn_type *t = sn_gr_type(g, SN_ELEM_I32, shape->rank, shape->dim);
  int64_t n;
  sn_val x = sn_gr_partner(g, t), top;
  if (!x) return 0;
  if (sn_dimx_is_const(limit, &n)) {
    top = sn_gr_const(g, t, (double)n);
  } else {
    const sn_attr at = {.set = true, .d = limit};
    top = sn_gr_emit(g, SN_OP_DIM, 0, NULL, &at, sn_type_scalar(g->m->types, SN_ELEM_I32),
                     (sn_gr_fact){.size = 64, .low = 1, .exact = true});
    const sn_attr spread_at[2] = {{.set = true, .dims = t->dim, .count = t->rank}, {.set = true}};
    if (top && t->rank) top = sn_gr_emit(g, SN_OP_BROADCAST, 1, &top, spread_at, NULL, g->fact[top]);
  }
  const sn_val arg[2] = {x, top};
  if (!top) return 0;
  sn_gr_fact fact = sn_gr_mix(g, 1, &x, (double)sn_gr_value_of(g, limit));
  fact.low = 0;
  fact.exact = true;
  return cast(g, sn_gr_emit(g, SN_OP_MOD, 2, arg, NULL, NULL, fact), e);
}

/* ---- keeping values tame ---- */

static sn_val by_const(sn_ggen *g, sn_op op, sn_val v, double c, sn_gr_fact fact) {
  sn_val arg[2] = {v, sn_gr_const(g, sn_gr_t(g, v), c)};
  return arg[1] ? sn_gr_emit(g, op, 2, arg, NULL, NULL, fact) : 0;
}

sn_val sn_gr_tame(sn_ggen *g, sn_val v, double most) {
  if (!v || g->direct || sn_gr_is(g, v, SN_GR_BOOL) || g->fact[v].size <= most) return v;
  sn_gr_fact f = g->fact[v];
  f.exact = false;
  f.size = 1;
  if (!sn_gr_is(g, v, SN_GR_FLOAT)) {
    if (sn_gr_t(g, v)->elem == SN_ELEM_I64 || sn_gr_t(g, v)->elem == SN_ELEM_U8) return v; /* they may wrap */
    f.exact = g->fact[v].exact, f.size = 13, f.low = 0;
    return by_const(g, SN_OP_MOD, v, 13, f);
  }
  f.low = f.low >= 0 ? 0 : -1;
  switch (sn_gr_below(g, 4)) {
    case 0: return sn_gr_emit(g, SN_OP_TANH, 1, &v, NULL, NULL, f);
    case 1: f.low = -1; return sn_gr_emit(g, SN_OP_SIN, 1, &v, NULL, NULL, f);
    case 2: f.size = g->fact[v].size / most; return by_const(g, SN_OP_MUL, v, 1 / most, f);
    default: f.low = f.low >= 0 ? 0 : -INFINITY; return by_const(g, SN_OP_MUL, v, 1 / g->fact[v].size, f);
  }
}

sn_val sn_gr_positive(sn_ggen *g, sn_val v) {
  if (!v || g->fact[v].low >= 0.05) return v;
  sn_gr_fact f = sn_gr_mix(g, 1, &v, g->fact[v].size);
  f.low = 0;
  if (g->fact[v].low < 0) {
    static const sn_op ops[] = {SN_OP_ABS, SN_OP_SQUARE, SN_OP_SIGMOID};
    int k = (int)sn_gr_below(g, 3);
    if (k == 1) f.size *= f.size;
    if (k == 2) f.size = 1;
    f.exact = k == 0 && g->fact[v].exact;
    v = sn_gr_emit(g, ops[k], 1, &v, NULL, NULL, f);
  }
  f.low = 0.25;
  f.size += 0.25;
  f.exact = false;
  return v ? by_const(g, SN_OP_ADD, v, 0.25, f) : 0;
}

sn_val sn_gr_clean(sn_ggen *g, sn_val v) {
  sn_val fine = v ? sn_gr_emit(g, SN_OP_ISFINITE, 1, &v, NULL, NULL, sn_gr_mix(g, 1, &v, 1)) : 0;
  sn_val arg[3] = {fine, v, fine ? sn_gr_const(g, sn_gr_t(g, v), 0) : 0};
  return arg[2] ? sn_gr_emit(g, SN_OP_SELECT, 3, arg, NULL, NULL, sn_gr_mix(g, 1, &v, g->fact[v].size)) : 0;
}
