/* sinter tune, --tune: which of the kernels of equal bits is fastest here.
 *
 *   1. The graph is compiled with its usual kernels, then once for each number of a candidate, with that candidate of
 *      every kernel that has so many.
 *   2. Both run in turns, on the same random inputs, each step timed; the least time of each counts.
 *   3. What every step writes must be the same bytes, or the whole set is left out and the kernel named.
 *   4. The best of each kernel goes to the cache, if it is better by more than what rounds differ. */
#include "frontend/cli/tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cache.h"
#include "backends/calibrate.h"
#include "frontend/cli/bench.h"
#include "frontend/cli/progress.h"
#include "runtime/io/json.h"

enum { LEAST_ROUNDS = 3, SAMPLES = 400 };
static const double worth = 0.97; /* less is noise */

/* One way to compile the graph, ready to run. */
typedef struct side {
  sn_compiled compiled;
  sn_runtime *runtime;
  sn_store *store;
  cli_bindings in;
  int graph, rounds;
  sn_diags *diags;
  float *ns;        /* of each step, by round */
  int round;        /* -1: not timed, but looked at */
  uint64_t *digest; /* of what each step wrote */
} side;

typedef struct tuner {
  cli *c;
  const char *path, *graph;
  int64_t *dims;
  int threads;
  double end; /* seconds */
  cli_tuning *out;
  int *of_step; /* position in out->at of the kernel of each step; -1: it has no choice */
  cli_progress progress;
  int runs;
} tuner;

/* ---- sides ---------------------------------------------------------------------------------------------------------
 */

/* Of all that a step wrote. */
static uint64_t digest_of(const side *s, const sn_step *step, const int64_t *dims, sn_diags *diags) {
  uint64_t digest = 0;
  for (int i = 0; i < step->arg_count; i++) {
    int64_t n = 0;
    if (!step->arg[i].is_slot || !(step->writes >> i & 1)) continue;
    const sn_slot *slot = &s->compiled.plan->slot[step->arg[i].index];
    const void *data = sn_runtime_slot(s->runtime, step->arg[i].index, diags);
    if (data && !sn_dimx_eval(slot->elements, dims, &n))
      digest = sn_hash_bytes(data, (size_t)n * sn_elem_bytes(slot->type->elem), digest);
  }
  return digest;
}

static void on_step(void *user, int graph, int step, double ns) {
  side *s = user;
  if (graph != s->graph) return;
  const sn_step *x = &s->compiled.plan->graph[graph].step[step];
  if (s->round >= 0 && s->round < SAMPLES) s->ns[step * SAMPLES + s->round] = (float)ns;
  if (s->round < 0 && x->kind == SN_STEP_LAUNCH)
    s->digest[step] = digest_of(s, x, sn_runtime_dims(s->runtime), s->diags);
}

static sn_code compile_side(tuner *t, int schedule, side *s) {
  cli *c = t->c;
  cli_source source;
  SN_TRY(cli_load(c, t->path, cli_get(c, CLI_GRAPH, ""), c->value[CLI_SET].count, c->value[CLI_SET].at, &source));
  sn_compile_opt opt = cli_compile_opt(c, &source);
  opt.schedule = schedule;
  SN_TRY(sn_compile(source.module, &opt, c->arena, c->diags, &s->compiled));
  s->graph = sn_plan_find_graph(s->compiled.plan, t->graph);
  if (s->graph < 0) return cli_usage_error(c, "--graph %s: no graph of that name", t->graph);
  if (!t->dims) SN_TRY(cli_dims(c, s->compiled.plan->types, s->compiled.plan->settings, &t->dims));
  return SN_OK;
}

static sn_code open_side(tuner *t, side *s) {
  sn_runtime_opt run = cli_runtime_opt(t->c, &s->compiled, t->threads);
  run.on_step = on_step;
  run.step_user = s;
  SN_TRY(sn_runtime_create(s->compiled.plan, &run, t->c->diags, &s->runtime));
  SN_TRY(sn_store_create(s->runtime, 1, t->dims, t->c->diags, &s->store));
  return cli_bind(t->c, &s->compiled, s->graph, t->dims, &s->in);
}

static void close_side(side *s) {
  cli_unbind(&s->in);
  sn_store_destroy(s->store);
  sn_runtime_destroy(s->runtime);
  s->store = NULL, s->runtime = NULL;
}

static sn_code run_side(tuner *t, side *s) {
  cli_progress_at(&t->progress, ++t->runs, 0);
  return sn_run(s->runtime, s->store, t->graph, s->in.count, s->in.at, t->c->diags);
}

/* ---- the same bits? ------------------------------------------------------------------------------------------------
 */

/* The first step with another kernel that wrote something else; -1: none. Others may leave a part of a buffer as it
 * was. */
static int first_difference(const side *usual, const side *other) {
  const sn_plan_graph *g = &other->compiled.plan->graph[other->graph];
  for (int i = 0; i < g->step_count; i++) {
    const sn_choice *x = g->step[i].kind == SN_STEP_LAUNCH ? other->compiled.choice[g->step[i].code] : NULL;
    if (x && x->taken && usual->digest[i] != other->digest[i]) return i;
  }
  return -1;
}

/* ---- measuring -----------------------------------------------------------------------------------------------------
 */

/* The kernels of the usual side that have a choice. */
static void list_kernels(tuner *t, const side *usual) {
  const sn_plan_graph *g = &usual->compiled.plan->graph[usual->graph];
  cli_tuning *out = t->out;
  out->at = SN_ARRAY(t->c->arena, g->step_count + 1, cli_tuned);
  t->of_step = SN_ARRAY(t->c->arena, g->step_count + 1, int);
  for (int i = 0; i < g->step_count; i++) {
    const sn_step *s = &g->step[i];
    const sn_choice *x = s->kind == SN_STEP_LAUNCH ? usual->compiled.choice[s->code] : NULL;
    int k = x ? 0 : -1;
    while (x && k < out->count && memcmp(out->at[k].choice.id, x->id, sizeof x->id)) k++;
    t->of_step[i] = k;
    if (k < out->count) continue;
    out->at[out->count++] = (cli_tuned){.name = usual->compiled.plan->code[s->code].name,
                                        .kind = s->kind_name,
                                        .where = s->where,
                                        .choice = *x,
                                        .kernel = {x->kernel},
                                        .ratio = {1}};
  }
}

static int compare_floats(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* The lower quartile of the rounds of a step: the least may be of one that began before its time. */
static double typical(const side *s, int step) {
  float *ns = &s->ns[step * SAMPLES];
  qsort(ns, (size_t)s->rounds, sizeof *ns, compare_floats);
  return ns[s->rounds / 4];
}

static void take_times(tuner *t, const side *usual, const side *other, int candidate) {
  const sn_plan_graph *g = &usual->compiled.plan->graph[usual->graph];
  for (int k = 0; k < t->out->count; k++) {
    cli_tuned *x = &t->out->at[k];
    double own = 0, its = 0;
    for (int i = 0; i < g->step_count; i++) {
      if (t->of_step[i] != k) continue;
      const sn_step *s = &other->compiled.plan->graph[other->graph].step[i];
      const sn_choice *c = s->kind == SN_STEP_LAUNCH ? other->compiled.choice[s->code] : NULL;
      if (!c || c->taken != candidate || memcmp(c->id, x->choice.id, sizeof c->id)) continue;
      own += typical(usual, i), its += typical(other, i);
      x->kernel[candidate] = c->kernel;
    }
    if (own <= 0) continue;
    x->ratio[candidate] = its / own;
    if (!x->us || own * 1e-3 < x->us) x->us = own * 1e-3;
  }
}

/* Rounds of both in turns, until `end`; the first ones look at what steps write. */
static sn_code race(tuner *t, side *usual, side *other, double end) {
  for (int i = -2; i < LEAST_ROUNDS || (usual->rounds < SAMPLES && cli_now() < end); i++) {
    side *first = i & 1 ? other : usual, *second = i & 1 ? usual : other;
    usual->round = other->round = i < 0 ? -1 : usual->rounds;
    SN_TRY(run_side(t, first));
    SN_TRY(run_side(t, second));
    if (i >= 0) usual->rounds = ++other->rounds, t->out->rounds++;
  }
  return SN_OK;
}

static bool takes(const tuner *t, const side *s, int candidate) {
  const sn_plan_graph *g = &s->compiled.plan->graph[s->graph];
  for (int i = 0; i < g->step_count; i++) {
    const sn_choice *x = g->step[i].kind == SN_STEP_LAUNCH ? s->compiled.choice[g->step[i].code] : NULL;
    if (x && x->taken == candidate && t->of_step[i] >= 0) return true;
  }
  return false;
}

/* A side that can be timed. */
static void make_room(tuner *t, side *s) {
  size_t count = (size_t)s->compiled.plan->graph[s->graph].step_count;
  s->diags = t->c->diags;
  s->rounds = 0;
  s->ns = SN_ARRAY(t->c->arena, count * SAMPLES + 1, float);
  s->digest = SN_ARRAY(t->c->arena, count + 1, uint64_t);
}

static void refuse(tuner *t, const side *other, int step) {
  const sn_step *s = &other->compiled.plan->graph[other->graph].step[step];
  t->out->refused++;
  cli_log(&t->c->log, CLI_LOG_WARN, "warning: another tile of kernel %s gives other bits: not used",
          s->kind == SN_STEP_LAUNCH ? other->compiled.plan->code[s->code].name : "");
}

/* Memory that one of them got may be slower, for as long as it has it: each is the first to get some once. */
static sn_code try_candidate(tuner *t, side *usual, int candidate) {
  side other = {0}, *order[2] = {usual, &other};
  double each = (t->end - cli_now()) / (CLI_CANDIDATES - candidate) / 2;
  int difference = -1;
  sn_code code = compile_side(t, candidate + 1, &other);
  if (code || !takes(t, &other, candidate)) return code;
  make_room(t, usual);
  make_room(t, &other);
  for (int place = 0; place < 2 && !code && difference < 0; place++) {
    code = open_side(t, order[place]);
    if (!code) code = open_side(t, order[!place]);
    if (!code) code = race(t, usual, &other, cli_now() + each);
    if (!code) difference = first_difference(usual, &other);
    close_side(&other);
    close_side(usual);
  }
  if (code) return code;
  if (difference < 0)
    take_times(t, usual, &other, candidate);
  else
    refuse(t, &other, difference);
  return SN_OK;
}

/* ---- the result ----------------------------------------------------------------------------------------------------
 */

static void keep_best(tuner *t, const side *usual, const sn_cache *cache) {
  sn_tuned add = {0};
  for (int k = 0; k < t->out->count; k++) {
    cli_tuned *x = &t->out->at[k];
    for (int i = 1; i < CLI_CANDIDATES; i++)
      if (x->ratio[i] > 0 && x->ratio[i] < worth && x->ratio[i] < x->ratio[x->best]) x->best = i;
    if (x->us > 0) sn_tuned_add(&add, t->c->arena, x->choice.id, x->kernel[x->best]);
  }
  sn_tuned_write(cache, &usual->compiled.target, usual->compiled.backend, t->c->arena, &add);
}

static sn_code tune(tuner *t, const sn_cache *cache) {
  side usual = {0};
  sn_limits limits;
  SN_TRY(compile_side(t, 1, &usual));
  const sn_compile_opt here = {.target = "cpu", .isa = cli_get(t->c, CLI_ISA, NULL)};
  sn_limits_find(&usual.compiled.target, usual.compiled.backend, NULL, t->c->arena, &limits);
  if (!limits.measured) {
    SN_TRY(sn_calibrate(&here, t->c->diags, &limits));
    SN_TRY(compile_side(t, 1, &usual)); /* the model's choices may be others now */
  }
  list_kernels(t, &usual);
  for (int i = 1; i < CLI_CANDIDATES; i++) SN_TRY(try_candidate(t, &usual, i));
  keep_best(t, &usual, cache);
  return SN_OK;
}

sn_code cli_tune(cli *c, const char *path, const char *graph, cli_tuning *out) {
  const char *why = NULL;
  int64_t threads, seconds;
  SN_TRY(cli_int(c, CLI_THREADS, 0, 1, 1024, &threads));
  SN_TRY(cli_int(c, CLI_TUNE_SECONDS, 30, 1, 86400, &seconds));
  *out = (cli_tuning){0};
  if (c->backend || strcmp(cli_get(c, CLI_TARGET, "cpu"), "cpu"))
    return cli_usage_error(c, "only kernels of target cpu are tuned");
  const sn_cache *cache = cli_has(c, CLI_NO_CACHE) ? NULL : sn_cache_open(c->arena, NULL, &why);
  if (!cache)
    return cli_usage_error(c, "what is tuned is kept in the cache, and there is none%s%s", why ? ": " : "",
                           why ? why : "");
  double start = cli_now();
  tuner t = {.c = c, .path = path, .graph = graph, .threads = (int)threads, .out = out, .end = start + (double)seconds};
  t.progress = cli_progress_begin("tune", "runs");
  sn_code code = tune(&t, cache);
  cli_progress_end(&t.progress, t.runs);
  out->seconds = cli_now() - start;
  return code;
}

/* ---- reports -------------------------------------------------------------------------------------------------------
 */

/* Times of the model's choice by that of the best candidate. */
static double model_by_best(const cli_tuned *x) {
  double best = 1, model = x->ratio[x->choice.model];
  for (int i = 0; i < CLI_CANDIDATES; i++)
    if (x->ratio[i] > 0 && x->ratio[i] < best) best = x->ratio[i];
  return model > 0 ? model / best : 1 / best;
}

static void say(cli *c, const cli_tuning *t) {
  int better = 0, close = 0, measured = 0;
  for (int i = 0; i < t->count; i++) {
    measured += t->at[i].us > 0;
    better += t->at[i].best > 0;
    close += t->at[i].us > 0 && model_by_best(&t->at[i]) <= 1.1;
  }
  fprintf(stderr,
          "sinter: tuned %d kernels in %.1f s: another tile is faster for %d; the cost model was within 10 %% of the "
          "best for %d%s\n",
          measured, t->seconds, better, close,
          t->refused
              ? sn_arena_printf(c->arena, "; %d sets of candidates gave other bits and were left out", t->refused)
              : "");
}

sn_code cli_tune_first(cli *c, const char *path, const char *graph) {
  cli_tuning t;
  if (!cli_has(c, CLI_TUNE)) return SN_OK;
  SN_TRY(cli_tune(c, path, graph, &t));
  say(c, &t);
  return SN_OK;
}

static void json_row(sn_text *t, const cli_tuned *x, bool first) {
  sn_text_add(t, "%s\n  {\"name\": ", first ? "" : ",");
  sn_json_quote(t, x->name);
  sn_text_add(t, ", \"kind\": ");
  sn_json_quote(t, x->kind);
  sn_text_add(t, ", \"us\": %.4g, \"model\": %d, \"best\": %d, \"model_by_best\": %.4f, \"ratio\": [", x->us,
              x->choice.model, x->best, model_by_best(x));
  for (int i = 0; i < x->choice.count; i++) sn_text_add(t, "%s%.4f", i ? ", " : "", x->ratio[i]);
  sn_text_add(t, "], \"predicted\": [");
  for (int i = 0; i < x->choice.count; i++)
    sn_text_add(t, "%s%.4f", i ? ", " : "", x->choice.predicted[i] / x->choice.predicted[0]);
  sn_text_add(t, "]}");
}

static void text_row(sn_text *t, const cli_tuned *x) {
  sn_text_add(t, "%10.1f %6.2f %6.2f  %-9s %-28.28s", x->us, model_by_best(x), x->ratio[x->best], x->kind, x->name);
  for (int i = 1; i < x->choice.count; i++) sn_text_add(t, " %5.2f", x->ratio[i]);
  sn_text_char(t, '\n');
}

sn_code cli_tune_command(cli *c) {
  const char *path, *graph;
  cli_tuning t;
  SN_TRY(cli_word(c, "MODEL.c or FILE.sn", &path));
  graph = cli_get(c, CLI_GRAPH, "train");
  SN_TRY(cli_tune(c, path, graph, &t));
  sn_text out = sn_text_begin(c->arena);
  bool json = cli_has(c, CLI_JSON), first = true;
  sn_text_add(&out, json ? "[" : "%10s %6s %6s  %-9s %-28s others by the usual tile\n", "us", "model", "best", "kind",
              "kernel");
  for (int i = 0; i < t.count; i++) {
    if (t.at[i].us <= 0) continue;
    if (json)
      json_row(&out, &t.at[i], first);
    else
      text_row(&out, &t.at[i]);
    first = false;
  }
  if (json) sn_text_add(&out, "]\n");
  say(c, &t);
  return cli_print(c, &out);
}
