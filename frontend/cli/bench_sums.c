/* Time of what kernels do: steps that do the same are one line, for graphs of hundreds of kernels. */
#include <stdlib.h>
#include <string.h>

#include "frontend/cli/bench.h"

typedef struct sum {
  const char *kind, *ops;
  int first, count; /* its first step; steps */
  double ms, bytes, flops;
} sum;

static const char *or_empty(const char *text) { return text ? text : ""; }

static sum *find(sum *all, int n, const sn_step *s) {
  for (int i = 0; i < n; i++)
    if (!strcmp(all[i].kind, or_empty(s->kind_name)) && !strcmp(all[i].ops, or_empty(s->ops))) return &all[i];
  return NULL;
}

static int slowest_first(const void *a, const void *b) {
  const sum *x = a, *y = b;
  if (x->ms != y->ms) return x->ms < y->ms ? 1 : -1;
  return (x->first > y->first) - (x->first < y->first);
}

/* -> how many there are */
static int sums_of(const cli_measure *m, sum *out) {
  const sn_plan_graph *g = &m->plan->graph[m->graph];
  int n = 0;
  for (int i = 0; i < g->step_count; i++) {
    const sn_step *s = &g->step[i];
    if (s->kind != SN_STEP_LAUNCH && s->kind != SN_STEP_COPY) continue;
    sum *x = find(out, n, s);
    if (!x) x = &out[n++], *x = (sum){or_empty(s->kind_name), or_empty(s->ops), .first = i};
    x->count++, x->ms += m->step_ms[i], x->bytes += m->step_bytes[i], x->flops += m->step_flops[i];
  }
  qsort(out, (size_t)n, sizeof *out, slowest_first);
  return n;
}

void cli_text_sums(cli *c, sn_text *t, const cli_measure *m) {
  sum *all = SN_ARRAY(c->arena, m->plan->graph[m->graph].step_count + 1, sum);
  int n = sums_of(m, all);
  sn_text_add(t, "\n%s, by what kernels do\n%10s %6s %8s %8s  %-10s %s\n", m->label, "ms", "times", "GB/s", "GFLOP/s",
              "kind", "ops");
  for (int i = 0; i < n; i++)
    sn_text_add(t, "%10.3f %6d %8.1f %8.1f  %-10s %.80s\n", all[i].ms, all[i].count,
                all[i].ms > 0 ? all[i].bytes / all[i].ms * 1e-6 : 0,
                all[i].ms > 0 ? all[i].flops / all[i].ms * 1e-6 : 0, all[i].kind, all[i].ops);
}
