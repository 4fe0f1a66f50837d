/* Private to passes/graph: values of a step made for all steps and elements at once: [lead.., own axes..]. */
#ifndef SN_PASSES_GRAPH_SCAN_LIFT_H
#define SN_PASSES_GRAPH_SCAN_LIFT_H

#include "passes/graph/scan_matrix.h"

/* What is read of a state, [lead.., v] or [lead..]. */
typedef struct sn_scan_reads {
  sn_val at[SN_MATRIX_READS];
} sn_scan_reads;

typedef struct sn_scan_lift {
  sn_build *b;
  sn_matrix_plan *plan;
  sn_scan_step *s;
  const sn_node *node;              /* the scan */
  const sn_val *arg;                /* its operands in b->func */
  const sn_dimx *lead[SN_RANK_MAX]; /* extents of the letters */
  sn_val *value;                    /* by value id of the step: in b->func, 0: not yet */
  bool *whole;                      /* by value id: made once, without the leading axes */
  sn_scan_reads *read;              /* by state; set before outputs are lifted */
} sn_scan_lift;

sn_scan_lift sn_scan_lift_begin(sn_build *b, sn_matrix_plan *plan, const sn_node *node, const sn_val *arg);
/* -> [lead.., own axes..]; 0: s->why, or b->failed */
sn_val sn_scan_lift_value(sn_scan_lift *x, sn_val v);
/* The sum of products as [lead.., extent of the axis], or [lead..] where extent is NULL; 0: as above */
sn_val sn_scan_lift_sum(sn_scan_lift *x, const sn_product_sum *sum, const sn_dimx *extent);
sn_val sn_scan_lift_product(sn_scan_lift *x, const sn_product *p, const sn_dimx *extent);

#endif
