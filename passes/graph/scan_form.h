/* Private to passes/graph: forms of a recurrence that are not the walk step by step. */
#ifndef SN_PASSES_GRAPH_SCAN_FORM_H
#define SN_PASSES_GRAPH_SCAN_FORM_H

#include "passes/graph/rewrite.h"

/* A form that a scan may have. It builds nothing where it does not apply. */
typedef struct sn_scan_try {
  sn_pass_env *env;
  sn_build *b;
  const sn_node *node; /* the scan */
  const sn_val *arg;   /* its operands in b->func */
  sn_val *out;         /* its results, when the form applies */
  sn_map *own;         /* scans that the forms made themselves, by the address of the step: they stay as they are */
  int chunk;           /* steps of a chunk; 0: the form's choice */
  const char *done;    /* what was made, "64 steps a chunk" */
} sn_scan_try;

/* "`tanh` at model.c:17", for reasons. */
const char *sn_scan_at_line(sn_arena *arena, const sn_node *n);

/* Elements of the mapped axes: what there is to do side by side without chunks. Batches that are symbols may be one. */
int64_t sn_scan_instances(const sn_scan_try *t, const sn_scan_layout *l);

/* Is there a gradient in the graph? */
bool sn_scan_is_derived(const sn_build *b);

/* Is the op made element by element of operands of its own shape? Expansions of such ops too. */
bool sn_scan_is_pointwise(sn_op op);
/* A step of single numbers as one of rows along the last mapped axis; out: results. -> does that apply? */
bool sn_scan_widen(sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out);
/* The chunked matmul form of S <- S (diag(w) + a b') + v k'. -> NULL, or the term that stops it */
const char *sn_scan_chunked(sn_scan_try *t);
/* The associative form of elementwise affine steps. -> NULL, or the term that stops it */
const char *sn_scan_associative(sn_scan_try *t);

#endif
