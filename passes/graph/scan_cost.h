/* Private to passes/graph: what a step of a recurrence over matrices costs, step by step and in chunks. */
#ifndef SN_PASSES_GRAPH_SCAN_COST_H
#define SN_PASSES_GRAPH_SCAN_COST_H

#include "passes/graph/scan_matrix.h"

/* A step of one mapped element, in the time that a core takes for one element of a vector in its first cache.
 * -> 0: a size is not known */
double sn_scan_walk_cost(const sn_matrix_plan *p);
/* kept: gradients read the states of chunks */
double sn_scan_chunk_cost(const sn_matrix_plan *p, int steps, bool kept);

#endif
