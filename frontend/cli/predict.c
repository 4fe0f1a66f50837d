/* See predict.h. */
#include "frontend/cli/predict.h"

#include <string.h>
#include <unistd.h>

#include "backends/cache.h"
#include "backends/calibrate.h"
#include "ir/kernel/work.h"
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

/* A report of a plan counts every pair of attention; loops of its kernels leave out what bounds prove empty. */
static double products_of(cli *c, const sn_compiled *k, const sn_step *s, const int64_t *dims) {
  int64_t size[SN_K_PARAMS] = {0};
  sn_work w;
  for (int i = 0; i < s->arg_count && i < SN_K_PARAMS; i++)
    if (!s->arg[i].is_slot) size[i] = dims[s->arg[i].index];
  sn_kernel_work(k->kernel[s->code], c->arena, size, &w);
  return 2 * (w.products + w.pairs);
}

sn_code cli_flops(cli *c, const sn_compiled *k, int graph, const int64_t *dims, double **out) {
  const sn_plan_graph *g = &k->plan->graph[graph];
  double *flops = SN_ARRAY(c->arena, g->step_count + 1, double);
  for (int i = 0; i < g->step_count; i++) {
    const sn_step *s = &g->step[i];
    int64_t all = 0;
    if (s->flops) SN_TRY(sn_dimx_eval(s->flops, dims, &all));
    flops[i] = (double)all;
    bool attends =
        s->kind == SN_STEP_LAUNCH && k->kernel && k->kernel[s->code] && s->kind_name && !strcmp(s->kind_name, "attend");
    double products = attends ? products_of(c, k, s, dims) : 0;
    if (products > 0 && products < flops[i]) flops[i] = products;
  }
  *out = flops;
  return SN_OK;
}
