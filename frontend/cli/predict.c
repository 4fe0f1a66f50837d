/* See predict.h. */
#include "frontend/cli/predict.h"

#include <string.h>
#include <unistd.h>

#include "backends/cache.h"
#include "backends/calibrate.h"
#include "passes/plan/predict.h"

sn_code cli_calibrate(cli *c, const sn_compile_opt *opt, sn_limits *out) {
  SN_TRY(sn_calibrate(opt, c->diags, out));
  if (!out->measured)
    cli_log(&c->log, CLI_LOG_WARN,
            "warning: other work disturbs what is measured of this machine: default limits, which are not kept");
  return SN_OK;
}

/* The limits of the target on this machine. */
static sn_code limits_of(cli *c, const sn_compiled *k, bool measure, sn_limits *out) {
  const char *dir = cli_has(c, CLI_NO_CACHE) ? "" : NULL, *why;
  const sn_compile_opt opt = {.target = "cpu", .isa = cli_get(c, CLI_ISA, NULL), .cache_dir = dir};
  sn_limits_find(&k->target, k->backend, dir, c->arena, out);
  if (out->measured || !measure || !sn_cache_open(c->arena, dir, &why)) return SN_OK;
  return cli_calibrate(c, &opt, out);
}

sn_code cli_predict(cli *c, const sn_compiled *k, int graph, const int64_t *dims, int threads, bool measure,
                    double **out_ms, sn_limits *out_limits) {
  *out_ms = NULL;
  if (!k->backend || !k->kernel || strcmp(k->target.name, "cpu")) return SN_OK;
  SN_TRY(limits_of(c, k, measure, out_limits));
  int count = k->plan->graph[graph].step_count;
  double *ms = SN_ARRAY(c->arena, count + 1, double);
  if (threads <= 0) threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
  const sn_cost_machine m = {out_limits, &k->target, threads};
  SN_TRY(sn_plan_predict(k->plan, graph, k->kernel, dims, &m, c->arena, ms));
  for (int i = 0; i < count; i++) ms[i] *= 1e3;
  *out_ms = ms;
  return SN_OK;
}
