/* Expansion of ops that only stand so inside the step of a scan. */
#ifndef SN_PASSES_GRAPH_EXPAND_STEP_H
#define SN_PASSES_GRAPH_EXPAND_STEP_H

#include "ir/ops/ops.h"

/* An op that stores at positions which the step computes, without such stores. states: of the scan.
 * -> the equal value; 0: it may stay as it is */
sn_val sn_expand_store(sn_build *b, const sn_node *n, const sn_val *arg, int states);

#endif
