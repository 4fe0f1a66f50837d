/* Inside of the generator of random graphs: what its two files share. */
#ifndef SN_TESTS_COMPILE_RANDOM_INSIDE_H
#define SN_TESTS_COMPILE_RANDOM_INSIDE_H

#include "ir/base/rng.h"
#include "ir/ops/ops.h"
#include "tests/compile/random_graph.h"

enum { POOL = 160, VALUES = 2048, PALETTE = 6 };
enum { RG_FLOAT = 1, RG_INT = 2, RG_BOOL = 4, RG_NUMBER = RG_FLOAT | RG_INT, RG_ANY = 7 };

/* What is known of a value. */
typedef struct rg_fact {
  double size; /* typical greatest magnitude */
  double low;  /* no element is below; -INFINITY: unknown */
  bool exact;  /* no rounding before it: comparisons are certain */
  bool narrow; /* went through bf16: its error is large */
} rg_fact;

typedef struct rg {
  sn_rng rng;
  sn_arena *arena;
  sn_module *m;
  sn_func *f;
  sn_build b;
  int64_t dims[RANDOM_SYMBOLS];
  const sn_dimx *palette[PALETTE];
  int palette_count;
  sn_elem real[3]; /* floats of this graph; repeated for weight */
  rg_fact fact[VALUES];
  sn_val pool[POOL];
  int count;
  sn_val want; /* to be used as the next fitting operand; 0: none */
  bool direct; /* operands are taken as they are, whatever comes of it */
  int leaves, bodies;
  bool grad;
} rg;

/* ---- drawing (random_graph.c) ---- */

int64_t rg_below(rg *g, int64_t n);
bool rg_chance(rg *g, int percent);
const sn_dimx *rg_number(rg *g, int64_t n);
const sn_dimx *rg_extent(rg *g);
int64_t rg_value_of(const rg *g, const sn_dimx *d); /* under the sizes of the graph */
int64_t rg_elements(const rg *g, const sn_type *t);
const sn_type *rg_type(rg *g, sn_elem e, int rank, const sn_dimx *const *dim);
/* A shape from the palette with at most `most` elements. */
const sn_type *rg_shape(rg *g, sn_elem e, int min_rank, int max_rank, int64_t most);
sn_elem rg_elem(rg *g, int classes);

static inline const sn_type *rg_t(const rg *g, sn_val v) { return sn_val_type(g->f, v); }
static inline bool rg_is(const rg *g, sn_val v, int classes) {
  sn_elem e = rg_t(g, v)->elem;
  return (classes & RG_FLOAT && sn_elem_is_float(e)) || (classes & RG_INT && sn_elem_is_int(e)) ||
         (classes & RG_BOOL && e == SN_ELEM_BOOL);
}

/* A node with what is known of its first result.  -> 0 after an error */
sn_val rg_emit(rg *g, sn_op op, int count, const sn_val *arg, const sn_attr *attr, const sn_type *leaf, rg_fact fact);
/* The fact of a result that rounds: of these operands, with another size. */
rg_fact rg_mix(const rg *g, int count, const sn_val *arg, double size);
/* A new input, parameter or constant. */
sn_val rg_leaf(rg *g, const sn_type *t);
sn_val rg_const(rg *g, const sn_type *t, double value);
/* A value of the pool, or a new leaf. */
sn_val rg_pick(rg *g, int classes, int min_rank, int max_rank);
/* A value of exactly this type: from the pool, made from one of it, or new. */
sn_val rg_partner(rg *g, const sn_type *t);
/* Integers from 0 to below `limit` in the shape of `shape`. */
sn_val rg_indices(rg *g, const sn_type *shape, const sn_dimx *limit);
/* Made small, if it is large. */
sn_val rg_tame(rg *g, sn_val v, double most);
sn_val rg_positive(rg *g, sn_val v);
/* Zero where it is not finite. */
sn_val rg_clean(rg *g, sn_val v);

/* ---- one op (random_ops.c) ---- */

/* Adds a use of the op. -> its first result, 0 when none fits here. */
sn_val rg_use(rg *g, sn_op op);

#endif
