/* Host tensors for reference execution: values in f64 (integers exact up to 2^53 as i64) with a
 * running bound of the error that a computation in the declared type may have. */
#ifndef SN_IR_REF_TENSOR_H
#define SN_IR_REF_TENSOR_H

#include <stdint.h>

#include "ir/base/status.h"
#include "ir/types/type.h"

typedef struct sn_tensor {
  sn_elem elem;
  int rank;
  int64_t extent[SN_RANK_MAX];
  int64_t count; /* elements */
  double *value; /* [count]; integers and bools as exact doubles, i64 beyond 2^53 in `wide` */
  double *
      bound; /* [count] absolute error bound of an execution in `elem`; INFINITY: beyond a discontinuity; NULL: exact */
  int64_t *wide; /* [count], only for i64; NULL otherwise */
} sn_tensor;

/* owns: arena. Zero filled, exact. errors: SN_ERR_LIMIT when the product overflows. */
SN_MUST sn_code sn_tensor_create(sn_arena *arena, sn_elem elem, int rank, const int64_t *extent, sn_tensor **out);
/* Reads / writes `count` elements stored as `elem` (half floats converted, to nearest even). */
void sn_tensor_load(sn_tensor *t, const void *data);
void sn_tensor_store(const sn_tensor *t, void *data);

typedef struct sn_mismatch {
  int64_t count;    /* elements outside their bound */
  int64_t excluded; /* elements whose bound is infinite */
  int64_t total;
  int64_t first;                 /* linear index of the first mismatch, -1: none */
  double expected, found, bound; /* of the first mismatch */
  double worst;                  /* largest |found - expected| / bound */
} sn_mismatch;

/* Compares what was found (stored as t->elem) with the oracle within its bound, times `factor` (1 normally).
 * NaN equals NaN, infinities must agree; a denormal result may be flushed to zero. */
sn_mismatch sn_tensor_compare(const sn_tensor *oracle, const void *found, double factor);

#endif
