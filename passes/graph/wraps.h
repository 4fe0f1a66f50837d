/* Integer arithmetic wraps: which values of a mask region may, by bounds that hold whatever tensors hold. */
#ifndef SN_PASSES_GRAPH_WRAPS_H
#define SN_PASSES_GRAPH_WRAPS_H

#include "ir/ops/ops.h"

/* Bounds are of starts from 0 to this: kernels and maps ask at run time, and bound nothing for others. */
#define SN_START_MAX 1073741823.0

/* The last row of n. started: of those that begin at some start; both together are i32 */
double sn_last_row(const sn_dimx *n, bool started);

/* Does a number from lo to hi, with each coefficient times some number from 0 to its most, always fit into i32? Such
 * coefficients fit too. */
bool sn_fits_i32(int count, const int64_t *coefficient, const double *most, double lo, double hi);

/* By value id of f: may what the operands make leave the element type? extent: batch rows, heads, queries, keys.
 * started: rows of queries begin at some start */
bool *sn_region_wraps(sn_arena *arena, const sn_func *f, const sn_dimx *const extent[4], bool started);

#endif
