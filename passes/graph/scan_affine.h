/* Steps that are affine in their states, element by element, and the scan of such a step over time in parallel. */
#ifndef SN_PASSES_GRAPH_SCAN_AFFINE_H
#define SN_PASSES_GRAPH_SCAN_AFFINE_H

#include "passes/graph/scan_pieces.h"

/* What a step makes of its states: s' = f o s + g, f and g free of them; states may take part in each other. */
typedef struct sn_scan_affine {
  const sn_func *step;
  int states;
  unsigned *holds;     /* by value id: the states that it depends on */
  unsigned reach[16];  /* of state i: the states whose first values are in it after any number of steps */
  int products;        /* how many pairs of states these are */
  const sn_node *stop; /* the node that makes it another function; NULL: it is affine */
  const char *why;     /* what about it: "the product of two values that hold states" */
} sn_scan_affine;

/* Looks at the step of a scan. -> is it affine? Else out->stop and why are set. */
bool sn_scan_affine_find(sn_arena *arena, const sn_scan_layout *l, sn_scan_affine *out);

/* The scan in chunks of `chunk` steps that are walked side by side (the associative form).
 *   recompute: gradients keep one state for each chunk, and make those inside again
 *   out: states, outputs. -> false: it has too many axes for that; nothing was added */
bool sn_scan_affine_emit(sn_build *b, const sn_scan_affine *a, const sn_scan_make *s, int chunk, bool recompute,
                         sn_val *out);

#endif
