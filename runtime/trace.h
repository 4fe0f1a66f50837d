/* Timeline of runs as Chrome trace JSON, for Perfetto and chrome://tracing: one row per worker thread, one slice per
 * part of a step that the thread ran, and around those of the first thread one slice per run of a graph. */
#ifndef SN_RUNTIME_TRACE_H
#define SN_RUNTIME_TRACE_H

#include "runtime/runtime.h"

typedef struct sn_run_trace sn_run_trace;

/* For at most `threads` workers. Names are copied from the plan. NULL when out of memory. owns: the caller. */
sn_run_trace *sn_run_trace_create(const sn_plan *p, int threads);
void sn_run_trace_destroy(sn_run_trace *t);
/* An sn_runtime_opt.on_part: part_user is the trace. Each thread writes to a list of its own, and timing adds no
 * barrier; when the lists are full, what comes later is only counted. */
void sn_run_trace_part(void *user, int64_t run, int graph, int step, int thread, double start_ns, double end_ns);
/* {"traceEvents": [...], "otherData": {"dropped": 0}}; times count from the first slice. */
void sn_run_trace_print(sn_text *out, const sn_run_trace *t);
int64_t sn_run_trace_dropped(const sn_run_trace *t);

#endif
