/* Shared by the files of this room only. */
#ifndef SN_IR_GRAPH_INSIDE_H
#define SN_IR_GRAPH_INSIDE_H

#include "ir/graph/graph.h"

/* An empty function that no module lists; `name` is taken as it is (interned). */
sn_func *sn_func_begin(sn_module *m, sn_arena *arena, const char *name, sn_func_kind kind);
/* INPUT, PARAM, STATE: one node per op and name. */
bool sn_op_is_named_leaf(sn_op op);
/* Equal numbers, told apart by bits: 0 differs from -0, every NaN is the same. */
bool sn_number_same(double a, double b);

#endif
