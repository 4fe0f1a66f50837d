/* Shared by the schedules of attention's gradients: several kernels, or one instance per head. */
#ifndef SN_PASSES_LOWER_ATTEND_GRAD_H
#define SN_PASSES_LOWER_ATTEND_GRAD_H

#include "passes/lower/attend.h"

typedef struct sn_backward {
  sn_site_block s;
  sn_operand delta;
  sn_kv kv_head;
  sn_kv fixed, dfixed; /* dk, dv: keys and values transposed; dq: queries and dy */
  /* gradients of queries in scratch of the instance; 0: by a kernel of their own, and delta in a buffer */
  sn_kv dq, deltas;  /* [group, queries, d] and [group, queries] */
  int rows;          /* of one head there */
  sn_kv scratch_row; /* index value: first row of the head there */
} sn_backward;

/* Per query at s.q0: sum of dy * y, less the gradient of total. */
sn_kv sn_attend_delta(const sn_site_block *s);
sn_kv sn_attend_zero(const sn_backward *w, int r, int c);
/* Rows of the block of keys (or values) at s.k0, as they are multiplied with queries (or dy). */
sn_kv sn_attend_key_rows(const sn_backward *w, bool values);
/* Rows of queries or dy at s.q0, the same way. */
sn_kv sn_attend_query_rows(const sn_backward *w, bool dy);
/* Of one block, from q.k and dy.v: the argument of the score region, p, and the gradient by the score. */
SN_MUST sn_code sn_attend_weights(const sn_backward *w, sn_kv qk, sn_kv dp, bool masked, sn_kv *products, sn_kv *p,
                                  sn_kv *d);
/* Queries of all heads that share w->kv_head, against the block of keys at s.k0: adds to dk and dv, and to w->dq. */
SN_MUST sn_code sn_attend_all_heads(sn_backward *w, sn_kv carry[2]);
/* A window of the scratch of the head and block of queries at s.q0. */
sn_kwin sn_attend_scratch(const sn_backward *w, sn_kv buffer, int cols);
/* Where result i of the node goes: slot -1 when nobody wants it, else appended to `use`.   -> new count */
int sn_attend_sink(const sn_attend *a, int result, sn_operand *out, sn_buffer_use *use, int count);
const sn_dimx *sn_attend_written(const sn_attend *a, int result, const sn_operand *o); /* bytes */

/* Buffers that a kernel reads beyond those of the scores.  -> count */
int sn_attend_more_uses(const sn_attend *a, const sn_operand *delta, sn_buffer_use *use);
/* The sums that gradients of captured tensors are made of. */
SN_MUST sn_code sn_attend_sums(sn_attend *a, const sn_operand *delta);

/* One kernel for all gradients: *done is false when they are not all wanted or the scratch would be too large. */
SN_MUST sn_code sn_attend_whole(sn_attend *a, bool *done);

#endif
