/* Steps with their times -> Chrome trace JSON. */
#include "runtime/trace.h"

#include <stdlib.h>

enum { EVENTS_MAX = 4000000 };

typedef struct event {
  int graph, step;
  double start, ns;
} event;

struct sn_run_trace {
  const sn_plan *plan;
  event *at;
  int count, capacity;
  double now; /* ns since the first step */
};

sn_run_trace *sn_run_trace_create(const sn_plan *p) {
  sn_run_trace *t = calloc(1, sizeof *t);
  if (t) t->plan = p;
  return t;
}

void sn_run_trace_destroy(sn_run_trace *t) {
  if (t) free(t->at);
  free(t);
}

/* Events that do not fit into memory are dropped; the timeline goes on. */
static bool make_room(sn_run_trace *t) {
  if (t->count < t->capacity) return true;
  int capacity = t->capacity ? 2 * t->capacity : 1024;
  event *at = capacity <= EVENTS_MAX ? realloc(t->at, (size_t)capacity * sizeof *at) : NULL;
  if (!at) return false;
  t->at = at, t->capacity = capacity;
  return true;
}

void sn_run_trace_step(void *user, int graph, int step, double ns) {
  sn_run_trace *t = user;
  if (make_room(t)) t->at[t->count++] = (event){graph, step, t->now, ns};
  t->now += ns;
}

static void member(sn_text *out, const char *name, const char *value) {
  sn_text_add(out, ", \"%s\": \"", name);
  for (const char *p = value ? value : ""; *p; p++) {
    if (*p == '"' || *p == '\\') sn_text_char(out, '\\');
    sn_text_char(out, (unsigned char)*p < 0x20 ? ' ' : *p);
  }
  sn_text_char(out, '"');
}

static void print_event(sn_text *out, const sn_plan *p, const event *e) {
  const sn_step *s = e->graph < 0 ? &p->prepare[e->step] : &p->graph[e->graph].step[e->step];
  const char *name = s->kind == SN_STEP_LAUNCH ? p->code[s->code].name : s->kind_name;
  sn_text_add(out, "{\"ph\": \"X\", \"pid\": 1, \"tid\": 1, \"ts\": %.3f, \"dur\": %.3f", e->start / 1e3, e->ns / 1e3);
  member(out, "name", name ? name : "step");
  member(out, "cat", s->kind_name);
  sn_text_add(out, ", \"args\": {\"step\": %d", e->step);
  member(out, "graph", e->graph < 0 ? "prepare" : p->graph[e->graph].name);
  member(out, "ops", s->ops);
  if (s->where) member(out, "where", s->where);
  sn_text_add(out, "}}");
}

void sn_run_trace_print(sn_text *out, const sn_run_trace *t) {
  sn_text_add(out, "{\"traceEvents\": [");
  for (int i = 0; i < t->count; i++) {
    sn_text_add(out, i ? ",\n" : "\n");
    print_event(out, t->plan, &t->at[i]);
  }
  sn_text_add(out, "\n], \"displayTimeUnit\": \"ns\"}\n");
}
