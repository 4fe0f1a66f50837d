/* sinter tune, --tune: which of the kernels of equal bits is fastest here.
 *
 *   1. The graph is compiled with its usual kernels, then once for each number of a candidate, with that candidate of
 *      every kernel that has so many.
 *   2. Both run in turns, on the same random inputs, each step timed; the median counts. Twice, in other memory.
 *   3. What every step writes must be the same bytes, or the whole set is left out and the kernel named.
 *   4. The best of each kernel goes to the cache, if it is better by more than what rounds differ, and in both places.
 *   5. When time is over, what was measured counts; kernels with candidates that were not are told. */
#include "frontend/cli/tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cache.h"
#include "backends/calibrate.h"
#include "frontend/cli/bench.h"
#include "frontend/cli/predict.h"
#include "frontend/cli/progress.h"
#include "runtime/io/json.h"

enum { LEAST_ROUNDS = 3, SAMPLES = 100 }; /* in one place */
/* Above worth is noise; no tile makes a kernel that much faster, nor differs so much between two places. */
static const double worth = 0.97, least_ratio = 0.3, most_apart = 1.3;

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
  const cli_tune_model *model;
  const char *graph;
  int64_t *dims;
  int threads;
  double start, end; /* seconds */
  cli_tuning *out;
  int *of_step; /* position in out->at of the kernel of each step; -1: it has no choice */
  cli_progress progress;
} tuner;

static bool is_over(const tuner *t) { return cli_now() >= t->end; }

/* ---- sides ------------------------------------------------------------------------------------------------------- */

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

static sn_code dims_of(tuner *t, const sn_plan *p) {
  SN_TRY(cli_dims(t->c, p->types, p->settings, &t->dims));
  const sn_dimx *batch = t->model->batch ? sn_dimx_find_symbol(p->types, "B") : NULL;
  if (batch && t->model->batch <= sn_dimx_max_value(batch)) t->dims[sn_dimx_symbol_index(batch)] = t->model->batch;
  return SN_OK;
}

static const char *what_of(const tuner *t, const sn_plan *p) {
  sn_text what = sn_text_begin(t->c->arena);
  sn_text_add(&what, "%s", t->graph);
  for (int i = 0; i < sn_types_symbol_count(p->types); i++)
    sn_text_add(&what, "%s %s=%lld", i ? "" : ",", sn_dimx_symbol_name(sn_types_symbol(p->types, i)),
                (long long)t->dims[i]);
  return what.at;
}

static sn_code compile_side(tuner *t, int schedule, side *s) {
  cli *c = t->c;
  cli_source source;
  SN_TRY(cli_load(c, t->model->path, cli_get(c, CLI_GRAPH, ""), t->model->set_count, t->model->set, &source));
  sn_compile_opt opt = cli_compile_opt(c, &source);
  opt.schedule = schedule;
  SN_TRY(sn_compile(source.module, &opt, c->arena, c->diags, &s->compiled));
  SN_TRY(cli_graph(c, s->compiled.plan, &s->graph));
  t->graph = s->compiled.plan->graph[s->graph].name;
  return t->dims ? SN_OK : dims_of(t, s->compiled.plan);
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
  double seconds = t->end - t->start, done = cli_now() - t->start;
  cli_progress_at(&t->progress, (int64_t)(done < seconds ? done : seconds), (int64_t)seconds);
  return sn_run(s->runtime, s->store, t->graph, s->in.count, s->in.at, t->c->diags);
}

/* ---- the same bits? ---------------------------------------------------------------------------------------------- */

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

/* ---- measuring --------------------------------------------------------------------------------------------------- */

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

/* The median of the rounds of a step. */
static double typical(const side *s, int step) {
  float *ns = &s->ns[step * SAMPLES];
  qsort(ns, (size_t)s->rounds, sizeof *ns, compare_floats);
  return ns[s->rounds / 2];
}

static void take_times(tuner *t, const side *usual, const side *other, int candidate, int place) {
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
    x->place[candidate][place] = its / own;
    if (!x->us || own * 1e-3 < x->us) x->us = own * 1e-3;
  }
}

/* What both places say of a candidate. */
static void join_places(tuner *t, int candidate) {
  for (int k = 0; k < t->out->count; k++) {
    cli_tuned *x = &t->out->at[k];
    double a = x->place[candidate][0], b = x->place[candidate][1];
    if (a <= 0 || b <= 0) continue;
    x->ratio[candidate] = (a + b) / 2;
    x->doubtful[candidate] = a > most_apart * b || b > most_apart * a || x->ratio[candidate] < least_ratio;
  }
}

/* Rounds of both in turns, until `end`, fewer where that is the end of all; the first looks at what steps write. */
static sn_code race(tuner *t, side *usual, side *other, double end) {
  usual->rounds = other->rounds = 0;
  for (int i = -1; i < 1 || (i < LEAST_ROUNDS && !is_over(t)) || (i < SAMPLES && cli_now() < end); i++) {
    side *first = i & 1 ? other : usual, *second = i & 1 ? usual : other;
    usual->round = other->round = i;
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

static void refuse(tuner *t, const side *other, int candidate, int step) {
  const sn_step *s = &other->compiled.plan->graph[other->graph].step[step];
  t->out->refused++;
  t->out->refuses[candidate] = true;
  cli_log(&t->c->log, CLI_LOG_WARN, "warning: another tile of kernel %s gives other bits: not used",
          s->kind == SN_STEP_LAUNCH ? other->compiled.plan->code[s->code].name : "");
}

/* Both in turns in memory of their own; each is once the first to get some: it may be slower, for as long as one has
 * it. difference: the first step that writes something else; -1: none */
static sn_code race_in(tuner *t, int place, side *usual, side *other, double seconds, int *difference) {
  sn_code code = open_side(t, place ? other : usual);
  if (!code) code = open_side(t, place ? usual : other);
  if (!code) code = race(t, usual, other, cli_now() + seconds);
  if (!code) *difference = first_difference(usual, other);
  close_side(other);
  close_side(usual);
  return code;
}

static sn_code try_candidate(tuner *t, side *usual, int candidate) {
  side other = {0};
  int difference = -1;
  SN_TRY(compile_side(t, candidate + 1, &other));
  if (other.compiled.plan->graph[other.graph].step_count != usual->compiled.plan->graph[usual->graph].step_count) {
    t->out->refuses[candidate] = true; /* its steps are not those of the usual side */
    return SN_OK;
  }
  if (!takes(t, &other, candidate)) return SN_OK;
  make_room(t, usual);
  make_room(t, &other);
  double each = (t->end - cli_now()) / (CLI_CANDIDATES - candidate) / 2;
  for (int place = 0; place < 2 && (!place || !is_over(t)); place++) {
    SN_TRY(race_in(t, place, usual, &other, each, &difference));
    if (difference >= 0) return refuse(t, &other, candidate, difference), SN_OK;
    take_times(t, usual, &other, candidate, place);
  }
  join_places(t, candidate);
  return SN_OK;
}

/* ---- the result -------------------------------------------------------------------------------------------------- */

/* All its candidates were measured. */
static bool is_reached(const cli_tuning *t, const cli_tuned *x) {
  for (int i = 1; i < x->choice.count; i++)
    if (!x->ratio[i] && !t->refuses[i]) return false;
  return true;
}

/* Better ones, and the usual kernel where nothing is: not where that is in doubt. */
static void keep_best(tuner *t, const side *usual, const sn_cache *cache) {
  sn_tuned add = {0};
  for (int k = 0; k < t->out->count; k++) {
    cli_tuned *x = &t->out->at[k];
    for (int i = 1; i < CLI_CANDIDATES; i++)
      if (x->ratio[i] > 0 && !x->doubtful[i] && x->ratio[i] < worth && x->ratio[i] < x->ratio[x->best]) x->best = i;
    bool reached = is_reached(t->out, x);
    t->out->missed += !reached;
    if (x->us > 0 && (x->best || (reached && !x->doubtful[x->choice.model])))
      sn_tuned_add(&add, t->c->arena, x->choice.id, x->kernel[x->best]);
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
    SN_TRY(cli_calibrate(t->c, &here, &limits));
    SN_TRY(compile_side(t, 1, &usual)); /* the model's choices may be others now */
  }
  double seconds = t->end - t->start;
  t->start = cli_now(), t->end = t->start + seconds; /* compiling and measuring the machine once do not count */
  t->out->what = what_of(t, usual.compiled.plan);
  list_kernels(t, &usual);
  for (int i = 1; i < CLI_CANDIDATES && !is_over(t); i++) SN_TRY(try_candidate(t, &usual, i));
  keep_best(t, &usual, cache);
  return SN_OK;
}

cli_tune_model cli_tune_model_of(const cli *c, const char *path) {
  return (cli_tune_model){.path = path, .set_count = c->value[CLI_SET].count, .set = c->value[CLI_SET].at};
}

sn_code cli_tune(cli *c, const cli_tune_model *m, cli_tuning *out) {
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
  tuner t = {.c = c, .model = m, .threads = (int)threads, .out = out, .start = start, .end = start + (double)seconds};
  t.progress = cli_progress_begin("tune", "seconds");
  sn_code code = tune(&t, cache);
  cli_progress_end(&t.progress, (int64_t)(cli_now() - start));
  out->seconds = cli_now() - start;
  return code;
}

/* ---- reports ----------------------------------------------------------------------------------------------------- */

/* Times of the model's choice by that of the best candidate. */
static double model_by_best(const cli_tuned *x) {
  double best = 1, model = x->ratio[x->choice.model];
  for (int i = 0; i < CLI_CANDIDATES; i++)
    if (x->ratio[i] > 0 && !x->doubtful[i] && x->ratio[i] < best) best = x->ratio[i];
  return model > 0 ? model / best : 1 / best;
}

static void say(cli *c, const cli_tuning *t) {
  int better = 0, close = 0, measured = 0;
  for (int i = 0; i < t->count; i++) {
    measured += t->at[i].us > 0;
    better += t->at[i].best > 0;
    close += t->at[i].us > 0 && model_by_best(&t->at[i]) <= 1.1;
  }
  sn_text more = sn_text_begin(c->arena);
  if (t->refused) sn_text_add(&more, "; %d sets of candidates gave other bits and were left out", t->refused);
  if (t->missed)
    sn_text_add(&more, "; time was over before all tiles of %d kernels were measured: more --tune-seconds", t->missed);
  fprintf(
      stderr,
      "sinter: tuned %d kernels of %s in %.1f s: another tile is faster for %d; the cost model was within 10 %% of the "
      "best for %d%s\n",
      measured, t->what, t->seconds, better, close, more.count ? more.at : "");
}

sn_code cli_tune_first(cli *c, const cli_tune_model *m) {
  cli_tuning t;
  if (!cli_has(c, CLI_TUNE) || c->tuned) return SN_OK;
  SN_TRY(cli_tune(c, m, &t));
  say(c, &t);
  c->tuned = true;
  return SN_OK;
}

sn_code cli_tune_refuse(cli *c, const char *why) {
  return cli_has(c, CLI_TUNE) ? cli_usage_error(c, "--tune: %s", why) : SN_OK;
}

static void json_row(sn_text *t, const cli_tuned *x, bool first) {
  sn_text_add(t, "%s\n  {\"name\": ", first ? "" : ",");
  sn_json_quote(t, x->name);
  sn_text_add(t, ", \"kind\": ");
  sn_json_quote(t, x->kind);
  sn_text_add(t, ", \"us\": %.4g, \"model\": %d, \"best\": %d, \"model_by_best\": %.4f, \"ratio\": [", x->us,
              x->choice.model, x->best, model_by_best(x));
  for (int i = 0; i < x->choice.count; i++) sn_text_add(t, "%s%.4f", i ? ", " : "", x->ratio[i]);
  sn_text_add(t, "], \"predicted\": ");
  bool has = x->choice.predicted[0] > 0; /* products of pairs have no prediction */
  for (int i = 0; i < x->choice.count && has; i++)
    sn_text_add(t, "%s%.4f", i ? ", " : "[", x->choice.predicted[i] / x->choice.predicted[0]);
  sn_text_add(t, has ? "]}" : "null}");
}

static void text_row(sn_text *t, const cli_tuned *x) {
  sn_text_add(t, "%10.1f %6.2f %6.2f  %-9s %-28.28s", x->us, model_by_best(x), x->ratio[x->best], x->kind, x->name);
  for (int i = 1; i < x->choice.count; i++) sn_text_add(t, " %5.2f", x->ratio[i]);
  sn_text_char(t, '\n');
}

sn_code cli_tune_command(cli *c) {
  const char *path;
  cli_tuning t;
  SN_TRY(cli_word(c, "MODEL.c or FILE.sn", &path));
  const cli_tune_model model = cli_tune_model_of(c, path);
  SN_TRY(cli_tune(c, &model, &t));
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
