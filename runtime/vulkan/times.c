/* Times of what has run, by the device's clock: of parts, to keep submissions short; of every command, for profiles and
 * traces. */
#include <stdlib.h>
#include <time.h>

#include "runtime/vulkan/inside.h"

enum { LOOKS = 4 }; /* times that a part is measured */

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static bool read_queries(sn_vk *v, const sn_vk_recording *rec, int k, uint64_t *out) {
  uint32_t count = (uint32_t)sn_vk_query_count(rec, k);
  return v->f.vkGetQueryPoolResults(v->handle, rec->times, (uint32_t)sn_vk_query_first(rec, k), count, count * 8, out,
                                    8, VK_QUERY_RESULT_64_BIT) == VK_SUCCESS;
}

static void measure(sn_vk *v, sn_vk_recording *rec, int k) {
  uint64_t t[2];
  sn_vk_part *p = &rec->part[k];
  if (p->looked >= LOOKS || !read_queries(v, rec, k, t)) return;
  p->ns = (double)(t[1] - t[0]) * v->facts.timestamp_ns;
  p->looked++;
}

typedef struct telling {
  sn_vk *v;
  int graph;
  double end_ns;      /* host's clock when all had ended */
  uint64_t end_ticks; /* device's clock then, about; 0: not known yet */
} telling;

static double on_host(const telling *t, uint64_t ticks) {
  return t->end_ns - (double)(int64_t)(t->end_ticks - ticks) * t->v->facts.timestamp_ns;
}

static void tell_part(const telling *t, const sn_vk_recording *rec, int k, const uint64_t *ticks) {
  const sn_runtime_opt *o = &t->v->r->opt;
  for (int i = 0; i < rec->part[k].count; i++) {
    int step = rec->commands.at[rec->part[k].first + i].step;
    double start = on_host(t, ticks[i]), end = on_host(t, ticks[i + 1]);
    if (o->on_part) o->on_part(o->part_user, t->v->r->run_count, t->graph, step, 0, start, end);
    if (o->on_step) t->v->step_ns = end - start;
  }
}

/* All ticks of a recording, part after part; NULL: no memory. */
static uint64_t *all_ticks(sn_vk *v, const sn_vk_recording *rec) {
  uint64_t *at = calloc((size_t)rec->commands.count + (size_t)rec->part_count + 1, sizeof *at);
  for (int k = 0; at && k < rec->part_count; k++)
    if (!read_queries(v, rec, k, at + sn_vk_query_first(rec, k))) {
      free(at);
      return NULL;
    }
  return at;
}

static void tell(telling *t, const sn_vk_recording *rec) {
  uint64_t *ticks = all_ticks(t->v, rec);
  for (int k = 0; ticks && k < rec->part_count; k++) tell_part(t, rec, k, ticks + sn_vk_query_first(rec, k));
  free(ticks);
}

static bool is_timed(const sn_vk_recording *rec) { return rec->times && rec->timed && rec->commands.count; }

/* The end of what was submitted last is now: so the clocks stand to each other. */
static void compare_clocks(telling *t) {
  t->end_ns = now_ns();
  for (int i = t->v->running_count - 1; i >= 0 && !t->end_ticks; i--) {
    const sn_vk_recording *rec = t->v->running[i];
    uint64_t *ticks = is_timed(rec) ? all_ticks(t->v, rec) : NULL;
    if (ticks) t->end_ticks = ticks[rec->commands.count + rec->part_count - 1];
    free(ticks);
  }
}

void sn_vk_times_read(sn_vk *v) {
  telling t = {.v = v, .graph = v->bound->graph};
  compare_clocks(&t);
  for (int i = 0; i < v->running_count; i++) {
    sn_vk_recording *rec = v->running[i];
    for (int k = 0; k < rec->part_count && rec->times && !rec->timed && rec->commands.count; k++) measure(v, rec, k);
    if (is_timed(rec)) tell(&t, rec);
  }
}
