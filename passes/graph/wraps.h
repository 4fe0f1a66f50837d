/* Integer arithmetic wraps: which values of a mask region may, by bounds that hold whatever tensors hold. */
#ifndef SN_PASSES_GRAPH_WRAPS_H
#define SN_PASSES_GRAPH_WRAPS_H

#include "ir/ops/ops.h"

/* No position is taken to be greater: a start is at most this much. */
#define SN_POSITION_MAX 1073741824.0

/* By value id of f: may what the operands make leave the element type? extent: batch rows, heads, queries, keys.
 * started: rows of queries begin at some start */
bool *sn_region_wraps(sn_arena *arena, const sn_func *f, const sn_dimx *const extent[4], bool started);

#endif
