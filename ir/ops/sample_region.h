/* Samples of the ops that hold regions of the user's own. Private to ir/ops. */
#ifndef SN_IR_OPS_SAMPLE_REGION_H
#define SN_IR_OPS_SAMPLE_REGION_H

#include "ir/ops/sample.h"

/* Draws a use of `op`; out->real is set. -> false: not one of these ops */
bool sn_sample_region(sn_rng *rng, sn_module *m, sn_op op, sn_sample *out);

#endif
