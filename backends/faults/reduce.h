/* A failing case -> a small one that fails in the same way. */
#ifndef SN_BACKENDS_FAULTS_REDUCE_H
#define SN_BACKENDS_FAULTS_REDUCE_H

#include "backends/faults/check.h"

typedef struct sn_reduce_opt {
  bool (*fails)(void *user, const sn_case *c); /* in the same way as the case at first? */
  void *user;
  double seconds; /* at most; 0: until nothing can go */
} sn_reduce_opt;

/* Nodes of the graph that are not leaves. */
int sn_case_ops(const sn_case *c);

/* Shrinks *c: outputs, updates and the guard are dropped; nodes are replaced by inputs that hold their values, by
 * constants, or by an operand; symbols and extents get smaller. Every step is kept only while the case fails. Data stay
 * what they were, cut to the smaller extents. owns: arena */
SN_MUST sn_code sn_case_reduce(sn_case *c, const sn_reduce_opt *opt, sn_arena *arena, sn_diags *diags);

#endif
