/* The ref target: a plan without code whose host steps call the graph interpreter. */
#ifndef SN_BACKENDS_REF_H
#define SN_BACKENDS_REF_H

#include "backends/compile.h"
#include "ir/ref/interp.h"

/* Slots for every leaf and output of the module's graphs, one host step per graph. */
SN_MUST sn_code sn_ref_plan(sn_module *m, sn_arena *arena, sn_plan **out);

/* Host step: interprets `graph` on the data of the slots, writes outputs, then states (none when the guard is false:
 * SN_ERR_NUMERIC). `user` is the sn_compiled. */
SN_MUST sn_code sn_ref_host(void *user, const sn_plan *p, int graph, const int64_t *dims, void *const *slot_data,
                            sn_diags *diags);

/* The inputs, parameters and states of a graph as interpreter bindings, read from slot data.
 * owns: arena. */
SN_MUST sn_code sn_ref_bind(const sn_plan *p, int graph, const sn_func *f, const int64_t *dims, void *const *slot_data,
                            sn_arena *arena, sn_interp *in);

#endif
