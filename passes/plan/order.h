/* Order of the fused nodes of a graph and which results are written into their states directly. */
#ifndef SN_PASSES_PLAN_ORDER_H
#define SN_PASSES_PLAN_ORDER_H

#include "ir/graph/graph.h"

enum { SN_ORDER_CHECK = -1 }; /* the place of the check of the guard */

typedef struct sn_order {
  int count;
  const int *at;       /* positions in f->node of what computes, or SN_ORDER_CHECK; in order of execution */
  const sn_val *state; /* by value id: the state that this result is written into; 0: none */
} sn_order;

/* The value behind reshapes: the one whose buffer holds v. */
sn_val sn_order_base(const sn_func *f, sn_val v);
/* The value behind every view. */
sn_val sn_order_source(const sn_func *f, sn_val v);

/* may_write(user, node, result, state): can the kernel write this result over that state, as far as its own reads go?
 */
sn_order sn_order_find(sn_arena *arena, const sn_func *f,
                       bool (*may_write)(void *user, const sn_node *n, int result, sn_val state), void *user);

/* Puts what needs nothing of each other side by side, for workers that wait only where they must (waves.c). Keeps every
 * dependence; moves nothing over the check. */
void sn_order_waves(const sn_func *f, const sn_val *state, int *at, int count);

#endif
