/* What inputs that number rows may hold. */
#ifndef SN_PASSES_LOWER_LIMITS_H
#define SN_PASSES_LOWER_LIMITS_H

#include "ir/graph/graph.h"
#include "ir/plan/plan.h"

/* Fills the limits of every graph of the plan from the graphs that it was made of. Compiled code never reads outside of
 * a tensor, but what it reads instead means nothing: the runtime refuses such inputs.
 *   needs: the module is flat and shares its types with the plan.  owns: the plan's arena */
void sn_plan_find_limits(const sn_module *m, sn_plan *p);

#endif
