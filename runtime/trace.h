/* Timeline of steps as Chrome trace JSON ("X" events), for chrome://tracing and Perfetto. */
#ifndef SN_RUNTIME_TRACE_H
#define SN_RUNTIME_TRACE_H

#include "runtime/runtime.h"

typedef struct sn_run_trace sn_run_trace;

/* keeps: the plan. NULL when out of memory. owns: the caller. */
sn_run_trace *sn_run_trace_create(const sn_plan *p);
void sn_run_trace_destroy(sn_run_trace *t);
/* An sn_runtime_opt.on_step: step_user is the trace. Steps follow each other on the timeline. */
void sn_run_trace_step(void *user, int graph, int step, double ns);
/* {"traceEvents": [...]}: name, kind, ops, layer of each step. */
void sn_run_trace_print(sn_text *out, const sn_run_trace *t);

#endif
