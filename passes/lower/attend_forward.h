/* Shared by the forward schedules of attention: instances that own queries, or a part of the keys of one query. */
#ifndef SN_PASSES_LOWER_ATTEND_FORWARD_H
#define SN_PASSES_LOWER_ATTEND_FORWARD_H

#include "passes/lower/attend.h"

/* Carried over the key blocks: running maximum and sum per row, accumulator of outputs. */
typedef struct sn_forward {
  sn_site_block s;
  sn_kv q;      /* block of queries; transposed if keys_major */
  double scale; /* of products where they are used: queries are read as they are. 0: queries are scaled */
  sn_kv kv_head;
  sn_kv from, to; /* keys of the instance, multiples of a block; 0: all */
  int first;      /* of the carries that are used: 0, of weights 1, of weights whose sum nobody reads 2 */
} sn_forward;

/* Where a result is stored, maybe in several places. */
typedef struct sn_attend_sinks {
  sn_operand at[4];
  int count;
} sn_attend_sinks;
sn_attend_sinks sn_attend_sinks_of(const sn_lower_ctx *c, sn_val v);
const sn_dimx *sn_attend_sinks_bytes(const sn_attend *a, const sn_attend_sinks *y, const sn_attend_sinks *lse);

/* The first carry that is used. */
static inline int sn_forward_first(const sn_attend *a, const sn_attend_sinks *total) {
  return !a->weights ? 0 : total->count ? 1 : 2;
}
/* Carries of rows that have seen no key; reads the queries first: batch, head and q0 must be set. */
void sn_forward_empty(const sn_forward *f, sn_kv carry[3]);
void sn_forward_begin(sn_forward *f, sn_kv carry[3]);
/* Adds the live keys. */
SN_MUST sn_code sn_forward_keys(sn_forward *f, sn_kv carry[3]);
/* Outputs and log-sum-exp of the rows; those without a live key give 0 and -inf. Of weights: both sums. */
void sn_forward_finish(const sn_forward *f, const sn_kv carry[3], sn_kv *y, sn_kv *total);

/* One query (T = 1): an instance owns a part of the keys of all heads that share them. */
SN_MUST sn_code sn_attend_one(sn_attend *a);

#endif
