/* Private to ir/ref: what the files of the graph interpreter share. */
#ifndef SN_IR_REF_EVAL_H
#define SN_IR_REF_EVAL_H

#include "ir/ops/ops.h"
#include "ir/ref/error.h"
#include "ir/ref/interp.h"

typedef struct sn_eval { /* one node being evaluated */
  sn_interp *in;
  const sn_func *f;
  const sn_node *n;
  sn_tensor *const *arg; /* operands; bounds are set unless `bounds` is false */
  sn_tensor **out;       /* results, allocated by the caller: zero values, zero bounds */
  bool bounds;           /* compute them */
} sn_eval;

typedef sn_code (*sn_eval_fn)(sn_eval *e);

sn_code sn_eval_point(sn_eval *e);
sn_code sn_eval_view(sn_eval *e);   /* reshape, transpose, broadcast, slice, concat */
sn_code sn_eval_reduce(sn_eval *e); /* sum, prod, amax, amin, argmax, argmin */
sn_code sn_eval_contract(sn_eval *e);
sn_code sn_eval_index(sn_eval *e);  /* gather .. dynamic_write */
sn_code sn_eval_prefix(sn_eval *e); /* cumsum, cumprod, cummax, recur */
sn_code sn_eval_sort(sn_eval *e);
sn_code sn_eval_solve(sn_eval *e);
sn_code sn_eval_attention(sn_eval *e); /* both directions */
sn_code sn_eval_scan(sn_eval *e);
sn_code sn_eval_cond(sn_eval *e);
sn_code sn_eval_while(sn_eval *e);

sn_loc sn_eval_loc(const sn_eval *e);
sn_code sn_eval_fail(sn_eval *e, const char *format, ...) SN_PRINTF(2, 3);
sn_code sn_eval_extents(sn_interp *in, const sn_type *t, int64_t *extent);
/* A tensor of the type, with a bound array when bounds are computed. */
SN_MUST sn_code sn_eval_tensor(sn_eval *e, sn_elem elem, int rank, const int64_t *extent, sn_tensor **out);

/* A body for a node, made once per interpreter: `make` adds nodes for the results given arguments (one per operand,
 * then `extra` types). Kept under (node, kind). */
typedef void (*sn_eval_make)(sn_build *b, const sn_node *n, const sn_val *arg, const sn_val *extra);
SN_MUST sn_code sn_eval_body(sn_eval *e, int kind, int extra_count, const sn_type *const *extra, sn_eval_make make,
                             const sn_func **out);

/* Runs a body of the interpreter's own making: its nodes are neither reported nor checked. */
SN_MUST sn_code sn_eval_quietly(sn_eval *e, const sn_func *body, int arg_count, sn_tensor *const *args,
                                sn_tensor **results);

/* Element access: integers exactly, also beyond 2^53. */
static inline int64_t sn_int_at(const sn_tensor *t, int64_t i) { return t->wide ? t->wide[i] : (int64_t)t->value[i]; }
static inline void sn_int_set(sn_tensor *t, int64_t i, int64_t x) {
  if (t->wide) t->wide[i] = x;
  t->value[i] = (double)x;
}
static inline void sn_copy_at(sn_tensor *to, int64_t i, const sn_tensor *from, int64_t k) {
  to->value[i] = from->value[k];
  if (to->bound) to->bound[i] = from->bound[k];
  if (to->wide) to->wide[i] = from->wide[k];
}

/* Sum in an order that the interpreter draws, each step rounded as the type accumulates. */
double sn_eval_shuffled(sn_eval *e, sn_elem elem, double *terms, int64_t count);

#endif
