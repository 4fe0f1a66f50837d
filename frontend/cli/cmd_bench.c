/* sinter bench: time of one graph, or the ladder: the same graph with more and more fusion, as table, SVG and JSON. */
#include <stdio.h>
#include <string.h>

#include "frontend/cli/bench.h"
#include "frontend/cli/tune.h"
#include "runtime/io/json.h"
#include "runtime/io/file.h"
#include "runtime/io/svg.h"

static const char *const rungs[] = {"none", "map", "map,rows", "map,rows,contract", "all"};
enum { RUNGS = sizeof rungs / sizeof rungs[0] };

static void json_row(sn_text *t, const cli_measure *m, bool without) {
  sn_text_add(t, "{\"fuse\": ");
  sn_json_quote(t, m->label);
  sn_text_add(
      t, ", \"optimiser\": %s, \"kernels\": %d, \"ahead\": %d, \"bytes\": %.0f, \"flops\": %.0f, \"peak_bytes\": %lld",
      without ? "false" : "true", m->kernels, m->ahead, m->bytes, m->flops, (long long)m->peak_bytes);
  sn_text_add(t, ", \"median_ms\": %.6g", m->median_ms);
  if (m->step_ms) sn_text_add(t, ", \"contract_ms\": %.6g, \"other_ms\": %.6g", m->contract_ms, m->other_ms);
  sn_text_add(t, ", \"compile_ms\": %.6g", m->compile_ms);
  sn_text_add(t, ", \"caller_ms\": %.6g", m->caller_ms);
  if (m->device_ms > 0) sn_text_add(t, ", \"device_ms\": %.6g", m->device_ms);
}

/* Steps in the order of the plan. */
static void json_profile(sn_text *t, const cli_measure *m) {
  const sn_plan_graph *g = &m->plan->graph[m->graph];
  sn_text_add(t, ", \"steps\": [");
  for (int i = 0; i < g->step_count; i++) {
    const sn_step *s = &g->step[i];
    sn_text_add(t, "%s\n  {\"step\": %d, \"ms\": %.6g, ", i ? "," : "", i, m->step_ms[i]);
    if (m->predicted_ms) sn_text_add(t, "\"predicted_ms\": %.6g, ", m->predicted_ms[i]);
    sn_text_add(t, "\"bytes\": %.0f, \"flops\": %.0f, \"kind\": ", m->step_bytes[i], m->step_flops[i]);
    sn_json_quote(t, s->kind_name ? s->kind_name : "");
    sn_text_add(t, ", \"name\": ");
    sn_json_quote(t, s->kind == SN_STEP_LAUNCH ? m->plan->code[s->code].name : "");
    sn_text_add(t, ", \"ops\": ");
    sn_json_quote(t, s->ops ? s->ops : "");
    sn_text_add(t, ", \"where\": ");
    sn_json_quote(t, s->where ? s->where : "");
    sn_text_char(t, '}');
  }
  sn_text_char(t, ']');
}

static void text_row(cli *c, sn_text *t, const cli_measure *m) {
  sn_text_add(t, "  %-18s %8d %10s %10s %10.3f", m->label, m->kernels, cli_human(c->arena, m->bytes, "B"),
              cli_human(c->arena, (double)m->peak_bytes, "B"), m->median_ms);
  if (m->step_ms)
    sn_text_add(t, " %10.3f %10.3f\n", m->contract_ms, m->other_ms);
  else
    sn_text_add(t, " %10s %10s\n", "-", "-");
}

/* How many times less; a dash where there is nothing to compare. */
static void text_times(sn_text *t, double low, double high) {
  if (low > 0 && high > 0)
    sn_text_add(t, " %9.2fx", low / high);
  else
    sn_text_add(t, " %10s", "-");
}

static void text_ratio(sn_text *t, const cli_measure *low, const cli_measure *high) {
  sn_text_add(t, "  all against none   %7.2fx", (double)low->kernels / high->kernels);
  text_times(t, low->bytes, high->bytes);
  text_times(t, (double)low->peak_bytes, (double)high->peak_bytes);
  text_times(t, low->median_ms, high->median_ms);
  text_times(t, low->contract_ms, high->contract_ms);
  text_times(t, low->other_ms, high->other_ms);
  sn_text_char(t, '\n');
}

static void text_head(sn_text *t, const char *title) {
  sn_text_add(t, "%s\n  %-18s %8s %10s %10s %10s %10s %10s\n", title, "fused", "kernels", "bytes", "peak", "ms",
              "products ms", "other ms");
}

static sn_code ladder(cli *c, const char *path, bool without, bool first, sn_text *t, cli_measure row[RUNGS]) {
  bool json = cli_has(c, CLI_JSON);
  if (!json) text_head(t, without ? "\nwithout the optimiser" : "whole graph");
  for (int i = 0; i < RUNGS; i++) {
    SN_TRY(cli_measure_graph(c, path, rungs[i], without, &row[i]));
    if (json) {
      sn_text_add(t, "%s\n  ", first && !i ? "" : ",");
      json_row(t, &row[i], without);
      if (cli_has(c, CLI_PROFILE)) json_profile(t, &row[i]);
      sn_text_char(t, '}');
    } else {
      text_row(c, t, &row[i]);
    }
    if (!json) fprintf(stderr, "measured: %s%s\n", rungs[i], without ? ", without the optimiser" : "");
  }
  if (json) return SN_OK;
  text_ratio(t, &row[0], &row[RUNGS - 1]);
  if (cli_has(c, CLI_PROFILE)) cli_text_sums(c, t, &row[0]), cli_text_sums(c, t, &row[RUNGS - 1]);
  return SN_OK;
}

static sn_code write_svg(cli *c, const char *path, const cli_measure row[RUNGS]) {
  double value[RUNGS];
  const char *label[RUNGS];
  for (int i = 0; i < RUNGS; i++) value[i] = row[i].median_ms, label[i] = row[i].label;
  sn_text svg = sn_text_begin(c->arena);
  sn_svg_bars(&svg, "time of one run, by what is fused", "ms", RUNGS, label, value);
  return sn_file_write_all(path, svg.at, (size_t)svg.count, c->diags);
}

static sn_code bench_ladder(cli *c, const char *path, sn_text *t) {
  cli_measure row[RUNGS], without[RUNGS];
  if (cli_has(c, CLI_JSON)) sn_text_add(t, "[");
  SN_TRY(ladder(c, path, false, true, t, row));
  bool train = !strcmp(row[0].plan->graph[row[0].graph].name, "train");
  if (train) SN_TRY(ladder(c, path, true, false, t, without));
  if (cli_has(c, CLI_JSON)) sn_text_add(t, "]\n");
  return cli_has(c, CLI_SVG) ? write_svg(c, cli_get(c, CLI_SVG, ""), row) : SN_OK;
}

static void text_predicted(sn_text *t, const double *ms, int i) {
  if (ms)
    sn_text_add(t, "%10.4f  ", ms[i]);
  else
    sn_text_add(t, "%10s  ", "-");
}

/* Steps by time, slowest first. */
static void text_profile(cli *c, sn_text *t, const cli_measure *m) {
  const sn_plan_graph *g = &m->plan->graph[m->graph];
  bool *done = SN_ARRAY(c->arena, g->step_count + 1, bool);
  if (m->predicted_ms)
    sn_text_add(
        t, "\npredicted from %s\n",
        m->limits.measured ? "limits that were measured on this machine" : "default limits: none were measured");
  sn_text_add(t, "\n%10s %10s  %-10s %-28s %s\n", "ms", "predicted", "kind", "kernel", "ops");
  for (int n = 0; n < g->step_count; n++) {
    int best = -1;
    for (int i = 0; i < g->step_count; i++)
      if (!done[i] && (best < 0 || m->step_ms[i] > m->step_ms[best])) best = i;
    const sn_step *s = &g->step[best];
    done[best] = true;
    sn_text_add(t, "%10.4f ", m->step_ms[best]);
    text_predicted(t, m->predicted_ms, best);
    sn_text_add(t, "%-10s %-28.28s %.80s%s%s\n", s->kind_name ? s->kind_name : "",
                s->kind == SN_STEP_LAUNCH ? m->plan->code[s->code].name : "", s->ops ? s->ops : "",
                s->where ? "  @ " : "", s->where ? s->where : "");
  }
}

static sn_code check_options(cli *c) {
  static const cli_option of_rungs[] = {CLI_FUSE, CLI_KERNELS, CLI_PLAN};
  bool climbs = cli_has(c, CLI_LADDER);
  if (climbs) SN_TRY(cli_tune_refuse(c, "--ladder fuses in five ways: `sinter tune` or bench --tune of one of them"));
  for (size_t i = 0; climbs && i < sizeof of_rungs / sizeof *of_rungs; i++)
    if (cli_has(c, of_rungs[i]))
      return cli_usage_error(c, "--ladder and --%s: each rung has its own", cli_option_name(of_rungs[i]));
  if (cli_has(c, CLI_WHOLE) && (climbs || cli_has(c, CLI_PROFILE)))
    return cli_usage_error(c, "--whole and --%s: that is time of kernels", climbs ? "ladder" : "profile");
  if (!climbs && cli_has(c, CLI_SVG)) return cli_usage_error(c, "--svg draws the ladder: give --ladder as well");
  return cli_needs_kernels(c, "time");
}

sn_code cli_bench(cli *c) {
  const char *path;
  sn_text t = sn_text_begin(c->arena);
  SN_TRY(cli_word(c, "MODEL.c, FILE.sn or FILE.plan", &path));
  SN_TRY(check_options(c));
  if (cli_has(c, CLI_LADDER)) {
    SN_TRY(bench_ladder(c, path, &t));
  } else {
    cli_measure m;
    SN_TRY(cli_measure_graph(c, path, cli_get(c, CLI_FUSE, "all"), false, &m));
    if (cli_has(c, CLI_JSON)) {
      json_row(&t, &m, false);
      if (cli_has(c, CLI_PROFILE)) json_profile(&t, &m);
      sn_text_add(&t, "}\n");
    } else {
      text_head(&t, m.plan->graph[m.graph].name);
      text_row(c, &t, &m);
      if (cli_has(c, CLI_PROFILE)) text_profile(c, &t, &m);
      if (m.device_ms > 0) sn_text_add(&t, "  %.3f ms by the clock of the device, without transfers\n", m.device_ms);
      sn_text_add(&t, "  %s/s\n", cli_human(c->arena, m.flops / (m.median_ms * 1e-3), "flop"));
    }
  }
  return cli_print(c, &t);
}
