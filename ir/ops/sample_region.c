/* Random valid uses of the ops that hold regions of the user's own: custom, scan, cond,
 * while. */
#include "ir/ops/sample_region.h"

#include <math.h>

#include "ir/ops/rules.h"

typedef struct draw {
  sn_rng *rng;
  sn_module *m;
  sn_op op;
  sn_sample *s;
} draw;

static int64_t below(const draw *d, int64_t n) { return (int64_t)sn_rng_below(d->rng, (uint64_t)n); }

/* 1 to 4, or a symbol that cannot be 0, unless the extents are given. */
static const sn_dimx *extent(const draw *d) {
  if (d->s->extent_count) return sn_dimx_const(d->m->types, d->s->extents[below(d, d->s->extent_count)]);
  int n = sn_types_symbol_count(d->m->types);
  const sn_dimx *s = n && below(d, 4) == 0 ? sn_types_symbol(d->m->types, (int)below(d, n)) : NULL;
  return s && sn_dimx_min_value(s) >= 1 ? s : sn_dimx_const(d->m->types, 1 + below(d, 4));
}

static const sn_type *shaped(const draw *d, int rank) {
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i < rank; i++) dim[i] = extent(d);
  return sn_type_of(d->m->types, d->s->real, rank, dim);
}

static const sn_type *whole(const draw *d, const sn_type *t) { return sn_type_with_elem(d->m->types, t, SN_ELEM_I32); }

static void operand(draw *d, const sn_type *t, double lo, double hi) {
  bool natural = t->elem == SN_ELEM_U8 || t->elem == SN_ELEM_BOOL;
  if (!sn_elem_is_float(t->elem)) lo = natural ? fmax(lo, 0) : floor(lo), hi = ceil(hi);
  d->s->domain[d->s->arg_count] = (sn_sample_domain){.lo = lo, .hi = hi};
  d->s->arg[d->s->arg_count++] = t;
}

static sn_attr *attr(const draw *d, const char *name) {
  sn_attr *a = &d->s->attr[sn_op_attr(d->op, name)];
  a->set = true;
  return a;
}

/* ---- regions ---- */

static sn_build region(const draw *d, const char *name) {
  return sn_build_begin(sn_func_create(d->m, name, SN_FUNC_BODY), NULL);
}

static sn_val argument(sn_build *b, int index, const sn_type *t) {
  const sn_attr at = {.set = true, .i = index};
  return sn_emit(b, SN_OP_ARG, 0, NULL, &at, t);
}

/* ---- custom: y = e^x z k, k a captured integer ---- */

static sn_val product(sn_build *b, sn_val x, sn_val y) { return sn_g2(b, SN_OP_MUL, x, y); }

static const sn_func *custom_body(const draw *d, const sn_type *t) {
  sn_build b = region(d, "sample_custom");
  sn_val x = argument(&b, 0, t), z = argument(&b, 1, t), k = argument(&b, 2, whole(d, t));
  sn_val e = product(&b, sn_g1(&b, SN_OP_EXP, x), z);
  sn_func_return(b.func, product(&b, e, sn_g_cast(&b, k, t->elem)));
  return b.func;
}

static const sn_func *custom_grad(const draw *d, const sn_type *t) {
  sn_build b = region(d, "sample_custom_grad");
  sn_val x = argument(&b, 0, t);
  (void)argument(&b, 1, t);
  sn_val y = argument(&b, 2, t), dy = argument(&b, 3, t), k = argument(&b, 4, whole(d, t));
  sn_func_return(b.func, product(&b, dy, y));
  sn_val f = sn_g_cast(&b, k, t->elem), e = product(&b, sn_g1(&b, SN_OP_EXP, x), f);
  sn_func_return(b.func, product(&b, dy, e));
  return b.func;
}

static void draw_custom(draw *d) {
  static const int64_t both[2] = {0, 1};
  const sn_type *t = shaped(d, (int)below(d, 4));
  operand(d, t, -2, 2);
  operand(d, t, -2, 2);
  operand(d, whole(d, t), 1, 4);
  attr(d, "name")->s = "sample";
  attr(d, "inputs")->i = 2;
  attr(d, "body")->region = custom_body(d, t);
  attr(d, "grad")->region = custom_grad(d, t);
  *attr(d, "wrt") = (sn_attr){.set = true, .ints = both, .count = 2};
}

/* ---- scan: s' = tanh(w s + x), n' = n + 1, y = s' sum(x) ---- */

/* The letters before the inner axes: a type with them. */
static const sn_type *led(const draw *d, const char *axes, const sn_dimx *const *lead, bool has_time,
                          const sn_type *t) {
  const sn_dimx *dim[2 * SN_RANK_MAX];
  int n = 0;
  for (int i = 0; axes[i]; i++)
    if (axes[i] != 't' || has_time) dim[n++] = lead[i];
  for (int i = 0; i < t->rank; i++) dim[n++] = t->dim[i];
  return sn_type_of(d->m->types, t->elem, n, dim);
}

static const sn_func *scan_step(const draw *d, const sn_type *s, const sn_type *w, const sn_type *count) {
  static const int64_t axes[1] = {0};
  sn_build b = region(d, "sample_step");
  int at = 0;
  sn_val state = argument(&b, at++, s), n = count ? argument(&b, at++, count) : 0, x = argument(&b, at++, s);
  sn_val matrix = argument(&b, at++, w), z = sn_g_contract(&b, "i,ij->j", state, matrix);
  sn_val next = sn_g1(&b, SN_OP_TANH, sn_g2(&b, SN_OP_ADD, sn_g_cast(&b, z, s->elem), x));
  sn_val gate = sn_g_expand_to(&b, sn_g_sum(&b, x, 1, axes), s);
  sn_func_return(b.func, next);
  if (n) sn_func_return(b.func, sn_g2(&b, SN_OP_ADD, n, sn_g_const_like(&b, n, 1)));
  sn_func_return(b.func, product(&b, next, gate));
  return b.func;
}

static void draw_scan(draw *d) {
  static const char *const axes[] = {"t", "bt", "bth", "htb"};
  const char *letters = axes[below(d, 4)];
  const sn_dimx *lead[3];
  for (int i = 0; i < 3; i++) lead[i] = extent(d);
  const sn_type *s = shaped(d, 1), *count = below(d, 3) == 0 ? sn_type_scalar(d->m->types, SN_ELEM_I32) : NULL;
  const sn_dimx *square[2] = {s->dim[0], s->dim[0]};
  const sn_type *w = sn_type_of(d->m->types, d->s->real, 2, square);
  operand(d, led(d, letters, lead, false, s), -1, 1);
  if (count) operand(d, led(d, letters, lead, false, count), 0, 4);
  operand(d, led(d, letters, lead, true, s), -1, 1);
  operand(d, w, -0.5, 0.5);
  attr(d, "axes")->s = letters;
  attr(d, "states")->i = count ? 2 : 1;
  attr(d, "inputs")->i = 1;
  attr(d, "step")->region = scan_step(d, s, w, count);
  if (below(d, 2)) attr(d, "reverse")->i = 1;
}

/* ---- cond: x z, or tanh(x) + z; the other result is x - k, or k - x ---- */

static const sn_func *branch(const draw *d, const sn_type *t, bool yes) {
  sn_build b = region(d, yes ? "sample_yes" : "sample_no");
  sn_val x = argument(&b, 0, t), z = argument(&b, 1, t), k = argument(&b, 2, whole(d, t));
  sn_val f = sn_g_cast(&b, k, t->elem);
  sn_func_return(b.func, yes ? product(&b, x, z) : sn_g2(&b, SN_OP_ADD, sn_g1(&b, SN_OP_TANH, x), z));
  sn_func_return(b.func, yes ? sn_g2(&b, SN_OP_SUB, x, f) : sn_g2(&b, SN_OP_SUB, f, x));
  return b.func;
}

static void draw_cond(draw *d) {
  const sn_type *t = shaped(d, (int)below(d, 3));
  operand(d, sn_type_scalar(d->m->types, SN_ELEM_BOOL), 0, 2);
  operand(d, t, -2, 2);
  operand(d, t, -2, 2);
  operand(d, whole(d, t), 0, 4);
  attr(d, "yes")->region = branch(d, t, true);
  attr(d, "no")->region = branch(d, t, false);
}

/* ---- while i < n: x = x / 2 + z, i = i + 1 ---- */

static const sn_func *round_of(const draw *d, const sn_type *t, bool test) {
  const sn_type *index = sn_type_scalar(d->m->types, SN_ELEM_I32);
  sn_build b = region(d, test ? "sample_test" : "sample_body");
  sn_val x = argument(&b, 0, t), i = argument(&b, 1, index), z = argument(&b, 2, t), n = argument(&b, 3, index);
  if (test) {
    sn_func_return(b.func, sn_g2(&b, SN_OP_LT, i, n));
    return b.func;
  }
  sn_func_return(b.func, sn_g2(&b, SN_OP_ADD, sn_b_scale(&b, x, 0.5), z));
  sn_func_return(b.func, sn_g2(&b, SN_OP_ADD, i, sn_g_const_like(&b, i, 1)));
  return b.func;
}

static void draw_while(draw *d) {
  const sn_type *t = shaped(d, (int)below(d, 3)), *index = sn_type_scalar(d->m->types, SN_ELEM_I32);
  operand(d, t, -2, 2);
  operand(d, index, 0, 3);
  operand(d, t, -2, 2);
  operand(d, index, 0, 6);
  attr(d, "carried")->i = 2;
  attr(d, "test")->region = round_of(d, t, true);
  attr(d, "body")->region = round_of(d, t, false);
  attr(d, "limit")->i = 4;
}

bool sn_sample_region(sn_rng *rng, sn_module *m, sn_op op, sn_sample *out) {
  draw d = {.rng = rng, .m = m, .op = op, .s = out};
  switch (op) {
    case SN_OP_CUSTOM: draw_custom(&d); return true;
    case SN_OP_SCAN: draw_scan(&d); return true;
    case SN_OP_COND: draw_cond(&d); return true;
    case SN_OP_WHILE: draw_while(&d); return true;
    default: return false;
  }
}
