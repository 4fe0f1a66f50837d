/* Private to passes/graph: what chunks of steps do to one matrix state, and what they read of it. Values are
 * [batch.., N, C, ..]: N chunks of C steps. */
#ifndef SN_PASSES_GRAPH_SCAN_CHUNK_STATE_H
#define SN_PASSES_GRAPH_SCAN_CHUNK_STATE_H

#include "passes/graph/scan_matrix.h"
#include "passes/graph/scan_pairs.h"

typedef struct sn_chunk_state {
  sn_chunks c; /* decay and channels are set */
  const sn_matrix *m;
  const sn_dimx *k, *v;         /* extents; v is 1 for a vector */
  sn_val x[SN_MATRIX_READS];    /* what the state is read by, [.., K] */
  sn_val y[SN_MATRIX_SOURCES];  /* sources (c p + v) y': [.., K], */
  sn_val by[SN_MATRIX_SOURCES]; /* c, 0: none, */
  sn_val z[SN_MATRIX_SOURCES];  /* v [.., V], 0: none; later c p + v */
  sn_val read[SN_MATRIX_READS]; /* out: what is read, [.., V] */
  sn_val end;                   /* out: the last state */
} sn_chunk_state;

/* All chunks at once, but for a walk over their first states. first [batch.., V, K]; own: scans that stay as they are
 */
void sn_chunks_side_by_side(sn_chunk_state *s, sn_map *own, sn_val first);
/* One chunk after the other: what is between its products never leaves an instance. */
void sn_chunks_in_turn(sn_chunk_state *s, sn_map *own, sn_val first);

#endif
