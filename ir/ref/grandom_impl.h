/* Inside of the generator of random graphs: what its files share. */
#ifndef SN_IR_REF_GRANDOM_IMPL_H
#define SN_IR_REF_GRANDOM_IMPL_H

#include "ir/base/rng.h"
#include "ir/ops/ops.h"
#include "ir/ref/grandom.h"

enum { SN_GR_POOL = 160, SN_GR_VALUES = 2048, SN_GR_PALETTE = 6, SN_GR_MOST = 4000 }; /* MOST: elements of a result */
enum { SN_GR_FLOAT = 1, SN_GR_INT = 2, SN_GR_BOOL = 4, SN_GR_NUMBER = SN_GR_FLOAT | SN_GR_INT, SN_GR_ANY = 7 };

/* What is known of a value. */
typedef struct sn_gr_fact {
  double size; /* typical greatest magnitude */
  double low;  /* no element is below; -INFINITY: unknown */
  bool exact;  /* no rounding before it: comparisons are certain */
  bool narrow; /* went through bf16: its error is large */
} sn_gr_fact;

typedef struct sn_ggen {
  sn_rng rng;
  sn_arena *arena;
  sn_module *m;
  sn_func *f;
  sn_build b;
  int64_t dims[SN_GRANDOM_SYMBOLS];
  const sn_dimx *palette[SN_GR_PALETTE];
  int palette_count;
  sn_elem real[3]; /* floats of this graph; repeated for weight */
  sn_gr_fact fact[SN_GR_VALUES];
  sn_val pool[SN_GR_POOL];
  int count;
  sn_val want; /* to be used as the next fitting operand; 0: none */
  bool direct; /* operands are taken as they are, whatever comes of it */
  int leaves, bodies;
  bool grad;
} sn_ggen;

/* ---- drawing (grandom.c) ---- */

int64_t sn_gr_below(sn_ggen *g, int64_t n);
bool sn_gr_chance(sn_ggen *g, int percent);
const sn_dimx *sn_gr_number(sn_ggen *g, int64_t n);
const sn_dimx *sn_gr_extent(sn_ggen *g);
int64_t sn_gr_value_of(const sn_ggen *g, const sn_dimx *d); /* under the sizes of the graph */
int64_t sn_gr_elements(const sn_ggen *g, const sn_type *t);
const sn_type *sn_gr_type(sn_ggen *g, sn_elem e, int rank, const sn_dimx *const *dim);
/* A shape from the palette with at most `most` elements. */
const sn_type *sn_gr_shape(sn_ggen *g, sn_elem e, int min_rank, int max_rank, int64_t most);
sn_elem sn_gr_elem(sn_ggen *g, int classes);

static inline const sn_type *sn_gr_t(const sn_ggen *g, sn_val v) { return sn_val_type(g->f, v); }
static inline bool sn_gr_is(const sn_ggen *g, sn_val v, int classes) {
  sn_elem e = sn_gr_t(g, v)->elem;
  return (classes & SN_GR_FLOAT && sn_elem_is_float(e)) || (classes & SN_GR_INT && sn_elem_is_int(e)) ||
         (classes & SN_GR_BOOL && e == SN_ELEM_BOOL);
}

/* A node with what is known of its first result.  -> 0 after an error */
sn_val sn_gr_emit(sn_ggen *g, sn_op op, int count, const sn_val *arg, const sn_attr *attr, const sn_type *leaf,
                  sn_gr_fact fact);
/* The fact of a result that rounds: of these operands, with another size. */
sn_gr_fact sn_gr_mix(const sn_ggen *g, int count, const sn_val *arg, double size);
/* A new input, parameter or constant. */
sn_val sn_gr_leaf(sn_ggen *g, const sn_type *t);
sn_val sn_gr_const(sn_ggen *g, const sn_type *t, double value);
/* Into the pool. */
void sn_gr_keep(sn_ggen *g, sn_val v);
/* A value of the pool, or a new leaf. */
sn_val sn_gr_pick(sn_ggen *g, int classes, int min_rank, int max_rank);
/* A value of exactly this type: from the pool, made from one of it, or new. */
sn_val sn_gr_partner(sn_ggen *g, const sn_type *t);
/* Integers from 0 to below `limit` in the shape of `shape`. */
sn_val sn_gr_indices(sn_ggen *g, const sn_type *shape, const sn_dimx *limit);
/* Made small, if it is large. */
sn_val sn_gr_tame(sn_ggen *g, sn_val v, double most);
sn_val sn_gr_positive(sn_ggen *g, sn_val v);
/* Zero where it is not finite. */
sn_val sn_gr_clean(sn_ggen *g, sn_val v);

/* ---- one op ---- */

/* sn_gr_emit with the fact sn_gr_mix; 0 when an operand is 0. */
sn_val sn_gr_apply(sn_ggen *g, sn_op op, int count, const sn_val *arg, const sn_attr *attr, double size);
/* Adds a use of the op. -> its first result, 0 when none fits here. */
sn_val sn_gr_use(sn_ggen *g, sn_op op);
sn_val sn_gr_use_index(sn_ggen *g, sn_op op);
sn_val sn_gr_use_body(sn_ggen *g, sn_op op);
/* Of an op that nothing here knows: by its sample alone. */
sn_val sn_gr_use_sample(sn_ggen *g, sn_op op);
/* Has the op a use of its own here? */
bool sn_gr_is_known(sn_op op);
/* One of the possible pairs that were least often aimed at, of those not met if there are any. */
void sn_gpairs_aim(sn_gpairs *p, sn_rng *rng, sn_op *producer, sn_op *consumer);
/* Adds the edges of a module to what was met. */
void sn_gpairs_meet(sn_gpairs *p, const sn_module *m);
/* Nothing was met; `seed` comes next. */
void sn_gpairs_restart(sn_gpairs *p, uint64_t seed);
/* Ops that graphs are made of. */
bool sn_gr_is_growth(sn_op op);

#endif
