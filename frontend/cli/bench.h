/* Measuring one compiled graph: shared by `bench` and its ladder. */
#ifndef SN_FRONTEND_CLI_BENCH_H
#define SN_FRONTEND_CLI_BENCH_H

#include "frontend/cli/cli.h"
#include "ir/types/limits.h"

typedef struct cli_measure {
  const char *label;  /* "none", "map", ... "all" */
  int kernels, ahead; /* of a run; steps that ran once, after weights were loaded, and are not timed */
  double bytes;       /* read + written, as planned */
  double flops;
  int64_t peak_bytes; /* temporaries */
  double median_ms;   /* whole run */
  double caller_ms;   /* processor time of the calling thread in it */
  double device_ms;   /* all steps by the clock of a device of its own, transfers left out; 0: there is none */
  double contract_ms, other_ms; /* by kernel kind, from a profiled run: median of each step, summed */
  double compile_ms;
  const sn_plan *plan; /* for --profile: */
  int graph;
  double *step_ms, *step_bytes, *step_flops; /* by step; step_ms is NULL with --whole */
  double *predicted_ms;                      /* by step; NULL: not known */
  sn_limits limits;                          /* that these follow from */
} cli_measure;

/* Memory for the inputs and outputs of a graph; inputs hold random numbers, the same ones each time.  owns: cli_unbind
 */
typedef struct cli_bindings {
  int count;
  sn_buffer *at;
} cli_bindings;
SN_MUST sn_code cli_bind(cli *c, const sn_compiled *k, int graph, const int64_t *dims, cli_bindings *out);
void cli_unbind(cli_bindings *b);

/* Compiles and times a graph. fuse: as --fuse. without_optimiser: gradients are outputs and nothing is updated. */
SN_MUST sn_code cli_measure_graph(cli *c, const char *path, const char *fuse, bool without_optimiser, cli_measure *out);
/* Lines of what was measured, one for all steps of a kind that do the same, slowest first. */
void cli_text_sums(cli *c, sn_text *t, const cli_measure *m);
/* Milliseconds of each step of a graph on random inputs: the median of five profiled runs. owns: the command's arena */
SN_MUST sn_code cli_measure_steps(cli *c, sn_compiled *k, int graph, const int64_t *dims, int threads,
                                  const double **out_ms);

#endif
