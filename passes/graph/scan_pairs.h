/* Private to passes/graph: decays inside of a chunk of steps, and what a step reads of the steps before it. Values are
 * [batch.., N, C, ..]: N chunks of C steps. Decays are multiplied as they are: no logarithm, no division, so that 0,
 * negative numbers and those above 1 are right. With decays of at most 1 nothing overflows that the recurrence does
 * not; with others, their products inside of a chunk must be numbers of the type, also where a state or a key is 0. */
#ifndef SN_PASSES_GRAPH_SCAN_PAIRS_H
#define SN_PASSES_GRAPH_SCAN_PAIRS_H

#include "passes/graph/scan_form.h"

typedef struct sn_chunks {
  sn_build *b;
  int batch;         /* axes before N */
  const sn_dimx *n;  /* N */
  int c;             /* C */
  sn_val decay;      /* w: [.., N, C], [.., N, C, K], or 0: 1 */
  bool channels;     /* it has the axis K */
  sn_val from_start; /* the product of w before the step, from the start of its chunk, as w */
  sn_val to_end;     /* the product of w behind it, to the end */
  sn_val all;        /* of the chunk: [.., N] or [.., N, K] */
} sn_chunks;

/* Sets from_start, to_end and all. */
void sn_chunks_begin(sn_chunks *c);
/* x [.., N, C, K] times a decay of its shape or without K; 0: 1. */
sn_val sn_chunks_scale(sn_chunks *c, sn_val x, sn_val by);
/* M [.., N, C, C]: M[t, j] = sum over k of x[t, k] y[j, k] times the decays between j and t, where j < t; else 0. */
sn_val sn_chunks_pairs(sn_chunks *c, sn_val x, sn_val y);
/* A contraction of values that have the leading axes [batch.., N]: "tk,jk->tj". */
sn_val sn_chunks_contract(sn_chunks *c, const char *spec, sn_val x, sn_val y);

#endif
