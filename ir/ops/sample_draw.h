/* Private to ir/ops: a sample being drawn, and what the files of samples share. */
#ifndef SN_IR_OPS_SAMPLE_DRAW_H
#define SN_IR_OPS_SAMPLE_DRAW_H

#include <math.h>

#include "ir/ops/rules.h"
#include "ir/ops/sample.h"

typedef struct draw {
  sn_rng *rng;
  sn_module *m;
  sn_op op;
  sn_sample *s;
  sn_elem real;
} draw;

static inline int64_t below(draw *d, int64_t n) { return (int64_t)sn_rng_below(d->rng, (uint64_t)n); }
static inline const sn_dimx *number(draw *d, int64_t n) { return sn_dimx_const(d->m->types, n); }

/* May the element type be drawn? */
static inline bool is_free(const draw *d) { return !d->s->elem; }

/* A constant from 1 to 5, or now and then a symbol that cannot be 0. */
static inline const sn_dimx *extent(draw *d) {
  if (d->s->extent_count) return number(d, d->s->extents[below(d, d->s->extent_count)]);
  int n = sn_types_symbol_count(d->m->types);
  if (n && below(d, 3) == 0) {
    const sn_dimx *s = sn_types_symbol(d->m->types, (int)below(d, n));
    if (sn_dimx_min_value(s) >= 1) return s;
  }
  return number(d, 1 + below(d, 5));
}

static inline const sn_type *shaped(draw *d, sn_elem e, int rank) {
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i < rank; i++) dim[i] = extent(d);
  return sn_type_of(d->m->types, e, rank, dim);
}

static inline const sn_type *any_shape(draw *d, sn_elem e, int min_rank) {
  return shaped(d, e, min_rank + (int)below(d, 4 - min_rank));
}

/* A domain of floats for the integers of an operand of a given type. */
static inline void whole_domain(sn_elem e, double *lo, double *hi, double gap) {
  *lo = gap > 0 ? fmax(*lo, 1) : e == SN_ELEM_U8 || e == SN_ELEM_BOOL ? fmax(*lo, 0) : floor(*lo);
  *hi = e == SN_ELEM_BOOL ? 2 : fmax(ceil(*hi), *lo + 2);
}

static inline void arg(draw *d, const sn_type *t, double lo, double hi, double gap) {
  if (d->s->elem && !sn_elem_is_float(t->elem)) whole_domain(t->elem, &lo, &hi, gap);
  d->s->domain[d->s->arg_count] = (sn_sample_domain){.lo = lo, .hi = hi, .gap = gap};
  d->s->arg[d->s->arg_count++] = t;
}

static inline void float_arg(draw *d, const sn_type *t) { arg(d, t, -2, 2, 0); }

static inline void index_arg(draw *d, const sn_type *t, const sn_dimx *limit) {
  arg(d, t, 0, 0, 0);
  d->s->domain[d->s->arg_count - 1].below = limit;
}

static inline sn_attr *attr(draw *d, const char *name) {
  sn_attr *a = &d->s->attr[sn_op_attr(d->op, name)];
  a->set = true;
  return a;
}

static inline void set_ints(draw *d, const char *name, int count, const int64_t *ints) {
  sn_attr *a = attr(d, name);
  a->count = count;
  a->ints = sn_arena_copy(d->m->arena, ints, (size_t)count * sizeof *ints);
}

static inline void set_dims(draw *d, const char *name, int count, const sn_dimx *const *dims) {
  sn_attr *a = attr(d, name);
  a->count = count;
  a->dims = sn_arena_copy(d->m->arena, dims, (size_t)count * sizeof *dims);
}

static inline const sn_type *with_elem(draw *d, const sn_type *t, sn_elem e) {
  return sn_type_with_elem(d->m->types, t, e);
}

static inline sn_val body_arg(sn_build *b, int index, const sn_type *t) {
  const sn_attr at = {.set = true, .i = index};
  return sn_emit(b, SN_OP_ARG, 0, NULL, &at, t);
}

/* sample_along.c: prefixes and order. */
void sn_draw_prefix(draw *d);
void sn_draw_sort(draw *d);
void sn_draw_search(draw *d);
void sn_draw_solve(draw *d);
void sn_draw_conv(draw *d);
/* sample_attention.c: both directions. */
void sn_draw_attention(draw *d);

#endif
