/* --trace FILE: recording for the runtime of a command, and the file. */
#include <stdio.h>

#include "frontend/cli/cli.h"
#include "runtime/cpu/cpu.h"
#include "runtime/io/file.h"
#include "runtime/trace.h"

static void destroy(void *what) { sn_run_trace_destroy(what); }

sn_code cli_trace_begin(cli *c, const sn_plan *p, sn_runtime_opt *opt) {
  if (!cli_has(c, CLI_TRACE) || c->trace) return SN_OK;
  c->trace = sn_run_trace_create(p, opt->threads > 0 ? opt->threads : sn_cpu_threads());
  if (!c->trace) return sn_fail(c->diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory for a trace");
  cli_hold(c, destroy, c->trace);
  opt->on_part = sn_run_trace_part;
  opt->part_user = c->trace;
  return SN_OK;
}

sn_code cli_trace_end(cli *c) {
  const char *path = cli_get(c, CLI_TRACE, NULL);
  if (!c->trace) return SN_OK;
  sn_text t = sn_text_begin(c->arena);
  sn_run_trace_print(&t, c->trace);
  SN_TRY(sn_file_write_all(path, t.at, (size_t)t.count, c->diags));
  int64_t dropped = sn_run_trace_dropped(c->trace);
  if (dropped)
    fprintf(stderr, "sinter: %s holds the beginning; %lld later slices were left out\n", path, (long long)dropped);
  return SN_OK;
}
