/* Derivatives of an output of a graph as further outputs. */
#ifndef SN_BACKENDS_GRADIENTS_H
#define SN_BACKENDS_GRADIENTS_H

#include "ir/graph/graph.h"

/* Adds outputs "grad.NAME" of f: derivatives of the scalar `loss` by the leaves of these names.
 *   needs: graphs without calls   errors: those of sn_emit: no real scalar */
SN_MUST sn_code sn_gradient_outputs(sn_module *m, sn_func *f, sn_val loss, int count, const char *const *name,
                                    const sn_val *leaf, sn_diags *diags);

/* In every graph that has an output `loss`: derivatives by all of its real parameters. Inlines the module.
 *   errors: SN_ERR_USAGE no graph has it; those above */
SN_MUST sn_code sn_gradients_of(sn_module *m, const char *loss, sn_arena *arena, sn_diags *diags);

sn_val sn_func_output_value(const sn_func *f, const char *name); /* 0: no such output */

#endif
