/* Timing of one graph: random inputs, median of interleavable runs, time by kernel kind from profiled runs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/cli/bench.h"
#include "frontend/cli/predict.h"
#include "frontend/cli/progress.h"
#include "frontend/cli/tune.h"
#include "ir/base/memory.h"
#include "ir/base/rng.h"

enum { REPEATS = 9, LEAST_REPEATS = 3, ENOUGH_MS = 3000 };

static double ms_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double now_ms(void) { return ms_of(CLOCK_MONOTONIC); }

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *x, int count) {
  qsort(x, (size_t)count, sizeof *x, compare_doubles);
  return count % 2 ? x[count / 2] : (x[count / 2 - 1] + x[count / 2]) / 2;
}

/* ---- without the optimiser: gradients become outputs ------------------------------------------------------ */

/* A graph that writes every parameter of `f` back as it is: what no graph updates would count as frozen, and be packed
 * before the clock starts. */
static void keep_trained(sn_module *m, const sn_func *f) {
  sn_func *g = sn_func_create(m, "trained", SN_FUNC_GRAPH);
  for (int u = 0; u < f->update_count; u++) {
    const sn_node *n = sn_node_of(f, f->update[u].state);
    if (n->op != SN_OP_PARAM) continue;
    sn_val v = sn_func_copy_node(g, n, NULL);
    sn_func_update(g, v, v);
  }
  sn_func_finish(g);
}

static sn_code drop_optimiser(cli *c, sn_module *m, const char *graph) {
  sn_func *f = sn_module_find(m, graph);
  if (!f || !f->update_count)
    return cli_usage_error(c, "graph %s updates nothing: there is no optimiser to leave out", graph);
  int grads = 0;
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    if (n->op != SN_OP_GRAD) continue;
    for (int r = 0; r < n->result_count; r++)
      sn_func_output(f, sn_name(m->names, sn_arena_printf(c->arena, "grad.%d", grads++)), n->first + (sn_val)r);
  }
  keep_trained(m, f);
  f->update_count = 0;
  f->guard = 0;
  sn_func_finish(f);
  return SN_OK;
}

/* ---- inputs --------------------------------------------------------------------------------------------------- */

/* Integers of an input are below this: rows that it may name, 2 when it names none; a start is 0. */
static int64_t values_of(const sn_plan *p, int graph, int slot, const int64_t *dims) {
  const sn_plan_graph *g = &p->graph[graph];
  int64_t least = INT64_MAX, rows, span;
  for (int i = 0; i < g->limit_count; i++) {
    if (g->limit[i].slot != slot || g->limit[i].kind) continue;
    if (sn_dimx_eval(g->limit[i].rows, dims, &rows) || sn_dimx_eval(g->limit[i].span, dims, &span)) continue;
    if (rows - span + 1 < least) least = rows - span + 1;
  }
  if (least == INT64_MAX) least = 2;
  return least > 0 && strcmp(p->slot[slot].name, "start") ? least : 1;
}

static void set_whole(void *data, sn_elem e, int64_t i, int64_t x) {
  switch (e) {
    case SN_ELEM_I64: ((int64_t *)data)[i] = x; break;
    case SN_ELEM_I32: ((int32_t *)data)[i] = (int32_t)x; break;
    default: ((uint8_t *)data)[i] = (uint8_t)x; break;
  }
}

static void fill(void *data, sn_elem e, int64_t count, sn_rng *rng, int64_t values) {
  bool small = e != SN_ELEM_I64 && e != SN_ELEM_I32;
  for (int64_t i = 0; i < count; i++) {
    if (sn_elem_is_float(e))
      sn_elem_set(e, data, i, sn_rng_normal(rng));
    else
      set_whole(data, e, i, (int64_t)sn_rng_below(rng, small ? 2 : (uint64_t)values));
  }
}

/* Something counts: the first element is what some element must be. */
static void count_first(const sn_plan *p, int graph, int slot, void *data) {
  const sn_plan_graph *g = &p->graph[graph];
  sn_elem e = p->slot[slot].type->elem;
  for (int i = 0; i < g->limit_count; i++) {
    const sn_plan_limit *l = &g->limit[i];
    if (l->slot != slot || !l->kind || sn_elem_is_float(e)) continue;
    double off = l->kind == SN_LIMIT_SOME_EQUAL ? 0 : l->kind == SN_LIMIT_SOME_LESS ? -1 : 1;
    if (l->kind == SN_LIMIT_SOME_OTHER) off = l->value == 0 ? 1 : -l->value; /* 0 or 1: in any table */
    set_whole(data, e, 0, (int64_t)(l->value + off));
  }
}

typedef cli_bindings bindings;

/* Where the runtime uses it in place: what lies elsewhere is copied in every run. In large pages, as its own is. */
static sn_code take_memory(cli *c, sn_elem e, int64_t count, sn_buffer *b) {
  size_t bytes;
  bool fits = !__builtin_mul_overflow((size_t)count + 16, sn_elem_bytes(e), &bytes);
  b->data = fits ? sn_block_alloc(bytes) : NULL;
  if (b->data) return SN_OK;
  sn_fail(c->diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory for %s", b->name);
  int64_t most = sn_memory_available();
  if (most >= 0) sn_fail_expected(c->diags, "at most %lld bytes, which are available", (long long)most);
  sn_fail_found(c->diags, "%lld elements of %lld bytes", (long long)count, (long long)sn_elem_bytes(e));
  return SN_ERR_LIMIT;
}

void cli_unbind(bindings *b) {
  for (int i = 0; i < b->count; i++) sn_block_free(b->at[i].data);
  b->count = 0;
}

sn_code cli_bind(cli *c, const sn_compiled *k, int graph, const int64_t *dims, bindings *out) {
  const sn_plan *p = k->plan;
  sn_rng rng = {.seed = 7};
  out->at = SN_ARRAY(c->arena, p->slot_count + 1, sn_buffer);
  for (int i = 0; i < p->slot_count; i++) {
    const sn_slot *s = &p->slot[i];
    bool input = s->role == SN_SLOT_INPUT && !s->optional;
    if (s->graph != graph || !(input || s->role == SN_SLOT_OUTPUT)) continue;
    sn_buffer *b = &out->at[out->count++];
    int64_t count = 1;
    *b = (sn_buffer){.name = s->name, .rank = s->type->rank};
    for (int d = 0; d < b->rank; d++) {
      SN_TRY(sn_dimx_eval(s->type->dim[d], dims, &b->extent[d]));
      count *= b->extent[d];
    }
    SN_TRY(take_memory(c, s->type->elem, count, b));
    if (input) fill(b->data, s->type->elem, count, &rng, values_of(p, graph, i, dims));
    if (input && count) count_first(p, graph, i, b->data);
  }
  return SN_OK;
}

/* ---- timing ------------------------------------------------------------------------------------------------------ */

typedef struct profile {
  int graph, step_count, run, runs;
  double *ns;    /* [step][run] */
  double *total; /* [run]: of a device */
} profile;

static void on_step(void *user, int graph, int step, double ns) {
  profile *p = user;
  if (p->run >= 0 && graph == p->graph && step < p->step_count) p->ns[step * p->runs + p->run] = ns;
}

/* The same of a device, whose runs go on as they are submitted: steps of a loop add up. */
static void on_part(void *user, int64_t run, int graph, int step, int thread, double start_ns, double end_ns) {
  profile *p = user;
  (void)run, (void)thread;
  if (p->run < 0 || graph != p->graph || step >= p->step_count) return;
  p->ns[step * p->runs + p->run] += end_ns - start_ns;
  p->total[p->run] += end_ns - start_ns;
}

static void by_kind(const sn_plan_graph *g, profile *p, cli_measure *out) {
  for (int i = 0; i < g->step_count; i++) {
    double ms = out->step_ms[i] = median(&p->ns[i * p->runs], p->runs) * 1e-6;
    bool contract =
        g->step[i].kind_name && (!strcmp(g->step[i].kind_name, "contract") || !strcmp(g->step[i].kind_name, "attend"));
    *(contract ? &out->contract_ms : &out->other_ms) += ms;
  }
}

/* Runs that do not count: until code and data are where they will be, and a device's clocks are up. */
static sn_code warm_up(cli *c, sn_runtime *r, sn_store *s, const char *graph, const bindings *in, int least,
                       double least_ms) {
  double start = now_ms();
  sn_code code = SN_OK;
  for (int i = 0; !code && (i < least || now_ms() - start < least_ms); i++)
    code = sn_run(r, s, graph, in->count, in->at, c->diags);
  return code;
}

static sn_code run_profiled(cli *c, sn_compiled *k, const sn_runtime_opt *base, const char *graph, int index,
                            const int64_t *dims, const bindings *in, int repeats, cli_measure *out) {
  const sn_plan_graph *g = &k->plan->graph[index];
  bool device = sn_device_wanted(k->plan);
  profile p = {.graph = index, .step_count = g->step_count, .run = -1, .runs = device || repeats < 5 ? repeats : 5};
  sn_runtime_opt opt = *base;
  sn_runtime *r;
  sn_store *s = NULL;
  out->step_ms = SN_ARRAY(c->arena, g->step_count + 1, double);
  p.ns = SN_ARRAY(c->arena, g->step_count * p.runs + 1, double);
  p.total = SN_ARRAY(c->arena, p.runs + 1, double);
  if (device)
    opt.on_part = on_part, opt.part_user = &p;
  else
    opt.on_step = on_step, opt.step_user = &p;
  SN_TRY(sn_runtime_create(k->plan, &opt, c->diags, &r));
  sn_code code = sn_store_create(r, 1, dims, c->diags, &s);
  if (!code) code = warm_up(c, r, s, graph, in, device ? 3 : 1, device ? 100 : 0);
  for (p.run = 0; !code && p.run < p.runs; p.run++) code = sn_run(r, s, graph, in->count, in->at, c->diags);
  if (!code) by_kind(g, &p, out);
  if (!code && device) out->device_ms = median(p.total, p.runs) * 1e-6;
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  return code;
}

/* Long runs are fewer, unless their number was given: it is set to what was done. */
static sn_code run_timed(cli *c, sn_compiled *k, const sn_runtime_opt *opt, const char *graph, int *inout_repeats,
                         const int64_t *dims, const bindings *in, cli_measure *out) {
  sn_runtime *r;
  sn_store *s = NULL;
  int repeats = *inout_repeats, least = cli_has(c, CLI_REPEAT) ? repeats : LEAST_REPEATS, done = 0;
  double *ms = SN_ARRAY(c->arena, repeats, double), *caller = SN_ARRAY(c->arena, repeats, double);
  SN_TRY(sn_runtime_create(k->plan, opt, c->diags, &r));
  sn_code code = sn_store_create(r, 1, dims, c->diags, &s);
  cli_progress progress = cli_progress_begin("bench", "runs");
  double begin = now_ms();
  for (int i = -2; !code && i < repeats && (i < least || now_ms() - begin < ENOUGH_MS); i++) {
    double start = now_ms(), busy = ms_of(CLOCK_THREAD_CPUTIME_ID);
    code = sn_run(r, s, graph, in->count, in->at, c->diags);
    if (i >= 0) ms[i] = now_ms() - start, caller[i] = ms_of(CLOCK_THREAD_CPUTIME_ID) - busy, done = i + 1;
    if (i == -2 && now_ms() - begin > ENOUGH_MS / 2) i = -1; /* one is enough to warm up */
    cli_progress_at(&progress, i + 3, repeats + 2);
  }
  cli_progress_end(&progress, done + 2);
  *inout_repeats = done;
  out->median_ms = code ? 0 : median(ms, done);
  out->caller_ms = code ? 0 : median(caller, done);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  return code;
}

/* Before anything is allocated for the runs. */
static sn_code check_memory(cli *c, sn_compiled *k, const sn_runtime_opt *opt, const char *graph, const int64_t *dims) {
  const sn_planned_run run = {graph, dims};
  sn_runtime *r;
  if (!opt->memory_limit) return SN_OK;
  SN_TRY(sn_runtime_create(k->plan, opt, c->diags, &r));
  sn_code code = sn_runtime_check_memory(r, dims, 1, &run, c->diags);
  sn_runtime_destroy(r);
  return code;
}

/* A few runs for --trace, after those that are timed. */
static sn_code run_traced(cli *c, sn_compiled *k, const sn_runtime_opt *base, const char *graph, const int64_t *dims,
                          const bindings *in) {
  sn_runtime_opt opt = *base;
  sn_runtime *r;
  sn_store *s = NULL;
  SN_TRY(cli_trace_begin(c, k->plan, &opt));
  if (!opt.on_part) return SN_OK;
  SN_TRY(sn_runtime_create(k->plan, &opt, c->diags, &r));
  sn_code code = sn_store_create(r, 1, dims, c->diags, &s);
  for (int i = 0; !code && i < 3; i++) code = sn_run(r, s, graph, in->count, in->at, c->diags);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  return code;
}

static sn_code totals(cli *c, const sn_compiled *k, int graph, const int64_t *dims, cli_measure *out) {
  const sn_plan *p = k->plan;
  const sn_plan_graph *g = &p->graph[graph];
  out->step_bytes = SN_ARRAY(c->arena, g->step_count + 1, double);
  SN_TRY(cli_flops(c, k, graph, dims, &out->step_flops));
  out->kernels = 0, out->bytes = out->flops = 0;
  for (int i = 0; i < g->step_count; i++) {
    const sn_step *s = &g->step[i];
    int64_t read = 0, written = 0;
    if (s->kind != SN_STEP_LAUNCH && s->kind != SN_STEP_COPY) continue;
    if (s->bytes_read) SN_TRY(sn_dimx_eval(s->bytes_read, dims, &read));
    if (s->bytes_written) SN_TRY(sn_dimx_eval(s->bytes_written, dims, &written));
    out->kernels++;
    out->bytes += out->step_bytes[i] = (double)read + (double)written;
    out->flops += out->step_flops[i];
  }
  out->ahead = p->prepare_count;
  return sn_plan_peak_bytes(p, graph, dims, &out->peak_bytes);
}

/* The model compiled as it is to be measured, or a plan that was. */
static sn_code compile(cli *c, const char *path, bool without_optimiser, cli_measure *out, sn_compiled *k) {
  cli_source s;
  if (cli_is_plan(path)) return cli_load_plan(c, path, k);
  const cli_tune_model model = cli_tune_model_of(c, path);
  SN_TRY(cli_tune_first(c, &model));
  SN_TRY(cli_load(c, path, cli_get(c, CLI_GRAPH, ""), c->value[CLI_SET].count, c->value[CLI_SET].at, &s));
  if (without_optimiser) SN_TRY(drop_optimiser(c, s.module, cli_get(c, CLI_GRAPH, "train")));
  sn_compile_opt opt = cli_compile_opt(c, &s);
  opt.fuse = out->label;
  double start = now_ms();
  SN_TRY(cli_compile(c, s.module, &opt, k));
  out->compile_ms = now_ms() - start;
  return SN_OK;
}

/* errors: SN_ERR_LIMIT: it does not fit --mem-limit */
static sn_code compile_fitting(cli *c, const char *path, bool without_optimiser, int threads, cli_measure *out,
                               sn_compiled *k, int *index, int64_t **dims) {
  SN_TRY(compile(c, path, without_optimiser, out, k));
  SN_TRY(cli_dims(c, k->plan->types, k->plan->settings, dims));
  SN_TRY(cli_graph(c, k->plan, index));
  SN_TRY(totals(c, k, *index, *dims, out));
  sn_runtime_opt run = cli_runtime_opt(c, k, threads);
  return check_memory(c, k, &run, k->plan->graph[*index].name, *dims);
}

sn_code cli_measure_graph(cli *c, const char *path, const char *fuse, bool without_optimiser, cli_measure *out) {
  sn_compiled k;
  bindings in = {0};
  int index;
  int64_t threads, repeats, *dims;
  *out = (cli_measure){.label = fuse};
  SN_TRY(cli_int(c, CLI_THREADS, 0, 1, 1024, &threads));
  SN_TRY(cli_int(c, CLI_REPEAT, REPEATS, 1, 10000, &repeats));
  sn_code code = compile_fitting(c, path, without_optimiser, (int)threads, out, &k, &index, &dims);
  if (cli_fuse_losses(c, code) && !cli_is_plan(path))
    code = cli_fused_losses(c, compile_fitting(c, path, without_optimiser, (int)threads, out, &k, &index, &dims));
  if (code) return code;
  if (cli_has(c, CLI_PROFILE))
    SN_TRY(cli_predict(c, &k, index, dims, (int)threads, true, &out->predicted_ms, &out->limits));
  const char *graph = k.plan->graph[index].name;
  sn_runtime_opt run = cli_runtime_opt(c, &k, (int)threads);
  code = cli_bind(c, &k, index, dims, &in);
  int runs = (int)repeats;
  if (!code) code = run_timed(c, &k, &run, graph, &runs, dims, &in, out);
  out->plan = k.plan, out->graph = index;
  if (!code && !cli_has(c, CLI_WHOLE)) code = run_profiled(c, &k, &run, graph, index, dims, &in, runs, out);
  if (!code) code = run_traced(c, &k, &run, graph, dims, &in);
  cli_unbind(&in);
  return code;
}

sn_code cli_measure_steps(cli *c, sn_compiled *k, int graph, const int64_t *dims, int threads, const double **out_ms) {
  cli_measure m = {0};
  bindings in = {0};
  sn_code code = cli_bind(c, k, graph, dims, &in);
  sn_runtime_opt run = cli_runtime_opt(c, k, threads);
  if (!code) code = run_profiled(c, k, &run, k->plan->graph[graph].name, graph, dims, &in, 5, &m);
  cli_unbind(&in);
  *out_ms = m.step_ms;
  return code;
}
