/* Seed -> module: a pool of values that grows op by op. What is shared by all ops; the ops are in grandom_ops.c. */
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
  const char *name = sn_arena_printf(g->arena, "x%d", g->leaves++);
  sn_attr at[4] = {{.set = true, .s = name}};
  if (!real || !constant_shape(t) || kind < 4) return sn_gr_emit(g, SN_OP_INPUT, 0, NULL, at, t, fact);
  at[1] = (sn_attr){.set = true, .s = "normal"};
  at[2] = (sn_attr){.set = true, .f = 1};
  return sn_gr_emit(g, SN_OP_PARAM, 0, NULL, at, t, fact);
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
    if (!sn_gr_is(g, v, classes) || (!sn_elem_is_float(t->elem) && e != t->elem) || e == SN_ELEM_I64) continue;
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
    if (sn_gr_t(g, v)->elem == SN_ELEM_I64 || sn_gr_t(g, v)->elem == SN_ELEM_U8) return v;
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

/* ---- the whole graph ---- */

static void choose_sizes(sn_ggen *g) {
  static const int64_t small[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, large[] = {15, 16, 17, 33, 47, 49, 64, 65, 127, 130};
  bool conflict, stepped = sn_gr_chance(g, 25);
  g->dims[0] = small[sn_gr_below(g, 9)];
  g->dims[1] = stepped               ? 16 * (1 + sn_gr_below(g, 3))
               : sn_gr_chance(g, 40) ? large[sn_gr_below(g, 10)]
                                     : small[sn_gr_below(g, 9)];
  g->palette[0] = sn_dimx_symbol(g->m->types, "B", 1, 9, 1, &conflict);
  g->palette[1] = sn_dimx_symbol(g->m->types, "T", stepped ? 16 : 1, stepped ? 48 : 130, stepped ? 16 : 1, &conflict);
  g->palette_count = 2;
  while (g->palette_count < SN_GR_PALETTE - 1)
    g->palette[g->palette_count++] = sn_gr_number(g, small[sn_gr_below(g, 9)]);
  if (sn_gr_chance(g, 60)) g->palette[g->palette_count++] = sn_gr_number(g, large[sn_gr_below(g, 10)]);
}

static void choose_floats(sn_ggen *g) {
  int kind = (int)sn_gr_below(g, 20);
  for (int i = 0; i < 3; i++) g->real[i] = SN_ELEM_F32;
  if (kind < 5) g->real[2] = SN_ELEM_BF16;
  if (kind == 5) g->real[1] = SN_ELEM_F64;
  if (kind == 6) g->real[0] = g->real[1] = g->real[2] = SN_ELEM_F64;
  if (kind == 7) g->real[0] = g->real[1] = g->real[2] = SN_ELEM_BF16;
}

/* An input over both symbols, so that a run decides them. */
static bool first_values(sn_ggen *g) {
  const sn_attr at[2] = {{.set = true, .s = "sizes"}};
  const sn_type *t = sn_gr_type(g, SN_ELEM_F32, 2, g->palette);
  sn_val v = sn_gr_emit(g, SN_OP_INPUT, 0, NULL, at, t, (sn_gr_fact){.size = 3, .low = -INFINITY, .exact = true});
  if (v) sn_gr_keep(g, v);
  return v != 0;
}

static sn_val use(sn_ggen *g, sn_op op) {
  sn_val v = sn_gr_use(g, op);
  g->direct = false;
  if (v && sn_gr_elements(g, sn_gr_t(g, v)) <= 5000) {
    sn_val tame = g->b.failed ? v : sn_gr_tame(g, v, 30);
    if (tame) sn_gr_keep(g, tame);
  }
  return v;
}

static bool connected(const sn_ggen *g, sn_val from, sn_op op) {
  for (int i = 0; i < g->f->node_count; i++) {
    const sn_node *n = g->f->node[i];
    for (int k = 0; k < n->arg_count && n->op == op; k++)
      if (sn_node_of(g->f, n->arg[k]) == sn_node_of(g->f, from)) return true;
  }
  return false;
}

static void connect(sn_ggen *g, sn_op producer, sn_op consumer) {
  for (int i = 0; i < 4 && !g->b.failed; i++) {
    sn_val v = use(g, producer);
    if (!v || sn_gr_elements(g, sn_gr_t(g, v)) > 5000) continue;
    g->want = v;
    g->direct = i > 2;
    (void)use(g, consumer);
    g->want = 0;
    if (connected(g, v, consumer)) break;
  }
}

static sn_op any_op(sn_ggen *g) {
  for (;;) {
    sn_op op = (sn_op)(1 + sn_gr_below(g, SN_OP_COUNT - 1));
    bool leaf = sn_op_get(op)->cls == SN_CLASS_LEAF;
    if (sn_gr_is_growth(op) && op != SN_OP_GRAD && !(leaf && sn_gr_chance(g, 70))) return op;
  }
}

static bool used(const sn_ggen *g, sn_val v) {
  for (int i = 0; i < g->f->node_count; i++)
    for (int k = 0; k < g->f->node[i]->arg_count; k++)
      if (g->f->node[i]->arg[k] == v) return true;
  return false;
}

/* Every value that nothing uses, and some others. */
static void add_outputs(sn_ggen *g) {
  int n = 0;
  for (int i = g->count; i-- > 0 && n < 10;) {
    sn_val v = g->pool[i];
    bool leaf = sn_op_get(sn_node_of(g->f, v)->op)->cls == SN_CLASS_LEAF;
    if (sn_gr_chance(g, leaf ? 3 : used(g, v) ? 12 : 95))
      sn_func_output(g->f, sn_name(g->m->names, sn_arena_printf(g->arena, "y%d", n++)), v);
  }
  if (!n) sn_func_output(g->f, sn_name(g->m->names, "y0"), g->pool[g->count - 1]);
}

/* Where a kernel that writes in place must look twice: the value is read turned. */
static sn_val turned_sum(sn_ggen *g, sn_val p) {
  const sn_type *t = sn_gr_t(g, p);
  int64_t perm[SN_RANK_MAX];
  if (t->rank < 2 || t->dim[0] != t->dim[1] || !sn_elem_is_float(t->elem)) return 0;
  for (int i = 0; i < t->rank; i++) perm[i] = i < 2 ? 1 - i : i;
  const sn_attr at = {.set = true, .ints = perm, .count = t->rank};
  const sn_val arg[2] = {p, sn_gr_emit(g, SN_OP_TRANSPOSE, 1, &p, &at, NULL, g->fact[p])};
  return arg[1] ? sn_gr_emit(g, SN_OP_ADD, 2, arg, NULL, NULL, sn_gr_mix(g, 2, arg, 6)) : 0;
}

/* Another parameter of the type, and the two change places. */
static bool exchange(sn_ggen *g, const sn_node *n) {
  const sn_attr at[4] = {{.set = true, .s = sn_arena_printf(g->arena, "x%d", g->leaves++)},
                         {.set = true, .s = "normal"},
                         {.set = true, .f = 1}};
  sn_val p = n->first, q = sn_gr_emit(g, SN_OP_PARAM, 0, NULL, at, n->type[0], g->fact[p]);
  if (!q || !sn_elem_is_float(n->type[0]->elem)) return false;
  sn_func_update(g->f, p, q);
  sn_func_update(g->f, q, p);
  return true;
}

/* Parameters and states move by a value of their type. */
static void add_updates(sn_ggen *g) {
  int nodes = g->f->node_count;
  for (int i = 0; i < nodes && !g->b.failed; i++) {
    const sn_node *n = g->f->node[i];
    if ((n->op != SN_OP_PARAM && n->op != SN_OP_STATE) || sn_gr_chance(g, n->op == SN_OP_PARAM ? 70 : 10)) continue;
    sn_val p = n->first, arg[2] = {p, 0}, turned = sn_gr_chance(g, 40) ? turned_sum(g, p) : 0;
    if (turned) {
      sn_func_update(g->f, p, turned);
      continue;
    }
    if (sn_gr_chance(g, 8) && exchange(g, n)) continue;
    sn_val step = sn_gr_tame(g, sn_gr_partner(g, n->type[0]), 30);
    if (!step) continue;
    arg[1] = step;
    sn_val next = step == p || sn_gr_chance(g, 60)
                      ? sn_gr_emit(g, SN_OP_SUB, 2, arg, NULL, NULL, sn_gr_mix(g, 2, arg, 30))
                      : step;
    if (next) sn_func_update(g->f, p, next);
  }
}

static void add_guard(sn_ggen *g) {
  sn_val v = sn_gr_pick(g, SN_GR_FLOAT, 0, 0);
  if (v) v = sn_gr_emit(g, SN_OP_ISFINITE, 1, &v, NULL, NULL, sn_gr_mix(g, 1, &v, 1));
  if (v) v = sn_g2(&g->b, SN_OP_OR, v, sn_g1(&g->b, SN_OP_NOT, v)); /* always true */
  if (v) g->f->guard = v;
}

sn_code sn_grandom_make(const sn_gpairs *pairs, uint64_t seed, sn_arena *arena, sn_diags *diags, sn_grandom *out) {
  sn_ggen *g = SN_NEW(arena, sn_ggen);
  *g = (sn_ggen){.rng = {.seed = seed, .stream = 77}, .arena = arena, .m = sn_module_create(arena)};
  g->f = sn_func_create(g->m, "g", SN_FUNC_GRAPH);
  g->b = sn_build_begin(g->f, diags);
  choose_sizes(g);
  choose_floats(g);
  g->grad = seed % 2;
  sn_op producer[2], consumer[2];
  for (uint64_t i = 0; i < 2; i++) sn_gpairs_aim(pairs, 2 * seed + i, &producer[i], &consumer[i]);
  if (!first_values(g)) return g->b.failed;
  int grow = 1 + (int)sn_gr_below(g, 9), later = (int)sn_gr_below(g, 4);
  for (int i = 0; i < grow && !g->b.failed; i++) (void)use(g, any_op(g));
  for (int i = 0; i < 2; i++) connect(g, producer[i], consumer[i]);
  if (g->grad && !g->b.failed) {
    (void)use(g, SN_OP_GRAD);
    for (int i = 0; i < later && !g->b.failed; i++) (void)use(g, any_op(g));
  }
  if (sn_gr_chance(g, 35)) add_updates(g);
  if (g->f->update_count && sn_gr_chance(g, 30)) add_guard(g);
  if (g->b.failed) return g->b.failed;
  add_outputs(g);
  sn_func *f = sn_func_finish(g->f);
  *out = (sn_grandom){.module = g->m, .dims = {g->dims[0], g->dims[1]}};
  for (int i = 0; i < f->node_count; i++) {
    out->ops += sn_op_get(f->node[i]->op)->cls != SN_CLASS_LEAF;
    out->grad |= f->node[i]->op == SN_OP_GRAD;
  }
  SN_TRY(sn_func_verify(f, diags));
  return sn_ops_check(f, diags);
}
