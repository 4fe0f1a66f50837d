/* The plan report of one graph, and its page. */
#ifndef SN_FRONTEND_CLI_EXPLAIN_H
#define SN_FRONTEND_CLI_EXPLAIN_H

#include "frontend/cli/cli.h"

typedef struct cli_report {
  const sn_plan *plan;
  int graph;
  const int64_t *dims;
  const bool *edited;                    /* by kernel: one of --kernels */
  const struct sn_choice *const *choice; /* by kernel; NULL: none */
  const double *step_ms;                 /* measured, by step; NULL: not */
  double *flops;                         /* by step: cli_flops */
  double *predicted_ms;                  /* by the cost model, by step; NULL: not */
  bool measured_limits;                  /* that it follows from; else defaults */
} cli_report;

/* Value of a dim of the report; 0 for none, -1 beyond what can be counted. */
static inline int64_t cli_value_of(const sn_dimx *d, const int64_t *dims) {
  int64_t n = 0;
  if (d && sn_dimx_eval(d, dims, &n)) n = -1;
  return n;
}

/* One page without scripts, links or files beside it: totals, the graph as a drawing, kernels, buffers over time,
 * roofline, refused fusions. */
SN_MUST sn_code cli_explain_html(cli *c, sn_text *t, const cli_report *r, int64_t peak);

#endif
