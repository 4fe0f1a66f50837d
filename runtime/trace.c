/* Parts of steps with their times -> Chrome trace JSON.
 *   source: the trace event format, "X" (complete) and "M" (metadata) events; times in microseconds */
#include "runtime/trace.h"

#include <stdlib.h>

enum { EVENTS_MAX = 400000 }; /* of all threads: about 80 MB of text */

typedef struct event {
  int64_t run;
  int graph, step; /* graph -1: prepare */
  double start, end;
} event;

/* What one thread saw; lists of two threads share no cache line. */
typedef struct lane {
  event *at;
  int count, capacity;
  int64_t dropped;
  char pad[64];
} lane;

typedef struct label {
  const char *name, *kind, *ops, *where;
} label;

typedef struct graph_labels {
  const char *name;
  int step_count;
  label *step;
} graph_labels;

struct sn_run_trace {
  sn_arena *arena; /* labels */
  int graph_count, threads;
  graph_labels *graph; /* the last: prepare */
  lane *lane;
};

/* ---- labels ----------------------------------------------------------------------------------------------------- */

static const char *copied(sn_run_trace *t, const char *s) { return sn_arena_strdup(t->arena, s ? s : ""); }

static graph_labels labels_of(sn_run_trace *t, const sn_plan *p, const char *name, int count, const sn_step *step) {
  graph_labels g = {copied(t, name), count, SN_ARRAY(t->arena, count + 1, label)};
  for (int i = 0; i < count; i++) {
    const sn_step *s = &step[i];
    const char *of = s->kind == SN_STEP_LAUNCH ? p->code[s->code].name : s->kind_name;
    g.step[i] = (label){copied(t, of ? of : "step"), copied(t, s->kind_name), copied(t, s->ops), copied(t, s->where)};
  }
  return g;
}

typedef struct maker {
  sn_run_trace *t;
  const sn_plan *p;
} maker;

static int make_labels(void *arg) {
  maker *m = arg;
  sn_run_trace *t = m->t;
  const sn_plan *p = m->p;
  t->graph_count = p->graph_count;
  t->graph = SN_ARRAY(t->arena, p->graph_count + 1, graph_labels);
  for (int i = 0; i < p->graph_count; i++)
    t->graph[i] = labels_of(t, p, p->graph[i].name, p->graph[i].step_count, p->graph[i].step);
  t->graph[p->graph_count] = labels_of(t, p, "prepare", p->prepare_count, p->prepare);
  t->lane = SN_ARRAY(t->arena, t->threads, lane);
  return SN_OK;
}

sn_run_trace *sn_run_trace_create(const sn_plan *p, int threads) {
  sn_run_trace *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  t->threads = threads > 0 ? threads : 1;
  t->arena = sn_arena_create();
  maker m = {t, p};
  if (!t->arena || sn_protect(make_labels, &m)) {
    sn_run_trace_destroy(t);
    return NULL;
  }
  return t;
}

void sn_run_trace_destroy(sn_run_trace *t) {
  if (!t) return;
  for (int i = 0; t->lane && i < t->threads; i++) free(t->lane[i].at);
  sn_arena_destroy(t->arena);
  free(t);
}

/* ---- recording --------------------------------------------------------------------------------------------------- */

static bool make_room(const sn_run_trace *t, lane *l) {
  if (l->count < l->capacity) return true;
  int most = EVENTS_MAX / t->threads, capacity = l->capacity ? 2 * l->capacity : 1024;
  if (capacity > most) capacity = most;
  event *at = capacity > l->count ? realloc(l->at, (size_t)capacity * sizeof *at) : NULL;
  if (!at) return false;
  l->at = at, l->capacity = capacity;
  return true;
}

void sn_run_trace_part(void *user, int64_t run, int graph, int step, int thread, double start_ns, double end_ns) {
  sn_run_trace *t = user;
  if (thread < 0 || thread >= t->threads) return;
  lane *l = &t->lane[thread];
  if (make_room(t, l))
    l->at[l->count++] = (event){run, graph, step, start_ns, end_ns};
  else
    l->dropped++;
}

int64_t sn_run_trace_dropped(const sn_run_trace *t) {
  int64_t n = 0;
  for (int i = 0; i < t->threads; i++) n += t->lane[i].dropped;
  return n;
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static void member(sn_text *out, const char *name, const char *value) {
  sn_text_add(out, ", \"%s\": \"", name);
  for (const char *p = value; *p; p++) {
    if (*p == '"' || *p == '\\') sn_text_char(out, '\\');
    sn_text_char(out, (unsigned char)*p < 0x20 ? ' ' : *p);
  }
  sn_text_char(out, '"');
}

static double first_time(const sn_run_trace *t) {
  double first = 0;
  bool any = false;
  for (int i = 0; i < t->threads; i++) {
    if (!t->lane[i].count) continue;
    double start = t->lane[i].at[0].start;
    if (!any || start < first) first = start;
    any = true;
  }
  return first;
}

static const graph_labels *graph_of(const sn_run_trace *t, int graph) {
  return &t->graph[graph < 0 || graph >= t->graph_count ? t->graph_count : graph];
}

static void slice(sn_text *out, int thread, double start, double end) {
  sn_text_add(out, ",\n{\"ph\": \"X\", \"pid\": 1, \"tid\": %d, \"ts\": %.3f, \"dur\": %.3f", thread + 1, start / 1e3,
              (end - start) / 1e3);
}

static void print_event(sn_text *out, const sn_run_trace *t, int thread, const event *e, double zero) {
  const graph_labels *g = graph_of(t, e->graph);
  if (e->step < 0 || e->step >= g->step_count) return;
  const label *l = &g->step[e->step];
  slice(out, thread, e->start - zero, e->end - zero);
  member(out, "name", l->name);
  member(out, "cat", l->kind);
  sn_text_add(out, ", \"args\": {\"step\": %d", e->step);
  member(out, "graph", g->name);
  member(out, "ops", l->ops);
  if (*l->where) member(out, "where", l->where);
  sn_text_add(out, "}}");
}

/* One slice around the steps of each run. */
static void print_runs(sn_text *out, const sn_run_trace *t, double zero) {
  const lane *l = &t->lane[0];
  for (int i = 0, end; i < l->count; i = end) {
    for (end = i + 1; end < l->count && l->at[end].run == l->at[i].run; end++) {}
    slice(out, 0, l->at[i].start - zero, l->at[end - 1].end - zero);
    member(out, "name", graph_of(t, l->at[i].graph)->name);
    sn_text_add(out, ", \"cat\": \"run\"}");
  }
}

void sn_run_trace_print(sn_text *out, const sn_run_trace *t) {
  double zero = first_time(t);
  sn_text_add(
      out,
      "{\"traceEvents\": [\n{\"ph\": \"M\", \"pid\": 1, \"name\": \"process_name\", \"args\": {\"name\": \"sinter\"}}");
  for (int i = 0; i < t->threads; i++)
    if (t->lane[i].count)
      sn_text_add(
          out,
          ",\n{\"ph\": \"M\", \"pid\": 1, \"tid\": %d, \"name\": \"thread_name\", \"args\": {\"name\": \"worker %d\"}}",
          i + 1, i);
  print_runs(out, t, zero);
  for (int i = 0; i < t->threads; i++)
    for (int k = 0; k < t->lane[i].count; k++) print_event(out, t, i, &t->lane[i].at[k], zero);
  sn_text_add(out, "\n], \"displayTimeUnit\": \"ns\", \"otherData\": {\"dropped\": %lld}}\n",
              (long long)sn_run_trace_dropped(t));
}
