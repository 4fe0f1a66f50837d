/* plan, machine -> predicted seconds of its steps.
 *
 *   1. Of each slot of a step: bytes that were touched since its last use, in a run like the one before.
 *   2. The smallest cache that holds these is where its bytes come from.
 *   3. A step that the runtime leaves to one thread takes the time of one.
 *   4. The kernel's operations are counted from its text (ir/kernel/work.h); sn_cost_kernel adds it up. */
#include "passes/plan/predict.h"

#include <math.h>

#include "ir/plan/serial.h"

/* What beginning a row of a window, and an instance, takes: elements that could be computed meanwhile. */
enum { PIECE = 36, INSTANCE = 2000 };

/* Instances go to threads whole: of three, one of two threads does two. */
static double threads_busy(const sn_cost_machine *m, double instances) {
  double threads = m->threads > 0 ? m->threads : 1;
  if (instances <= 1) return 1;
  return instances / ceil(instances / threads);
}

double sn_cost_kernel(const sn_cost_machine *m, const sn_work *w, const sn_cost_bytes *b) {
  const sn_limits *l = m->limits;
  double busy = threads_busy(m, w->instances);
  double points = w->points + PIECE * w->pieces + INSTANCE * w->instances;
  double operations = w->products / l->product + w->pairs / l->pairs + points / l->point;
  double memory = busy * l->memory < l->together ? busy * l->memory : l->together;
  double bytes = (b->l2 / l->l2 + b->l3 / l->l3) / busy + b->memory / memory;
  double inner = (w->loaded + w->stored - b->l2 - b->l3 - b->memory) / l->l2 / busy; /* what instances read again */
  double longer = operations / busy > inner ? operations / busy : inner;
  return 1e-9 * (m->threads > 1 ? l->meet_ns : l->launch_ns) + (longer > bytes ? longer : bytes);
}

typedef struct touch {
  double at;    /* bytes touched before its last use */
  double bytes; /* of the slot */
} touch;

typedef struct state {
  const sn_plan *p;
  const sn_cost_machine *m;
  const int64_t *dims;
  touch *slot;
  double touched; /* bytes so far */
} state;

static sn_code value_of(const sn_dimx *d, const int64_t *dims, double *out) {
  int64_t n = 0;
  if (d) SN_TRY(sn_dimx_eval(d, dims, &n));
  *out = (double)n;
  return SN_OK;
}

/* Slots of a step; those that share storage count as one. -> how many */
static int slots_of(const state *s, const sn_step *step, int *out) {
  int n = 0;
  if (step->kind == SN_STEP_COPY) return out[0] = step->from, out[1] = step->to, 2;
  for (int i = 0; step->kind == SN_STEP_LAUNCH && i < step->arg_count; i++) {
    if (!step->arg[i].is_slot) continue;
    int slot = step->arg[i].index;
    if (s->p->slot[slot].alias >= 0) slot = s->p->slot[slot].alias;
    out[n++] = slot;
  }
  return n;
}

/* Places of the bytes of a step; marks its slots as used. */
static void find_places(state *s, int count, const int *slot, double bytes, sn_cost_bytes *out) {
  double whole = 0, share;
  *out = (sn_cost_bytes){0};
  for (int i = 0; i < count; i++) whole += s->slot[slot[i]].bytes < bytes ? s->slot[slot[i]].bytes : bytes;
  share = whole > 0 ? bytes / whole : 0; /* not all of a slot needs to be touched */
  for (int i = 0; i < count; i++) {
    touch *t = &s->slot[slot[i]];
    double part = (t->bytes < bytes ? t->bytes : bytes) * share, since = s->touched - t->at + bytes;
    bool near = since <= (double)s->m->target->l2_bytes, in_l3 = since <= (double)s->m->target->l3_bytes;
    *(near ? &out->l2 : in_l3 ? &out->l3 : &out->memory) += part;
  }
  s->touched += bytes;
  for (int i = 0; i < count; i++) s->slot[slot[i]].at = s->touched;
}

sn_cost_machine sn_cost_machine_of(const sn_cost_machine *m, bool serial) {
  return (sn_cost_machine){m->limits, m->target, serial ? 1 : m->threads};
}

/* moved: bytes */
static sn_code cost_of(state *s, const sn_step *step, sn_kernel *const *kernel, double moved, const sn_cost_bytes *b,
                       sn_arena *scratch, double *out) {
  sn_work w = {.instances = s->m->threads};
  double flops = 0;
  bool serial = sn_plan_copies_serial(moved / 2);
  if (step->kind == SN_STEP_LAUNCH) {
    int64_t size[SN_K_PARAMS] = {0};
    for (int i = 0; i < step->arg_count && i < SN_K_PARAMS; i++)
      if (!step->arg[i].is_slot) size[i] = s->dims[step->arg[i].index];
    sn_kernel_work(kernel[step->code], scratch, size, &w);
    SN_TRY(value_of(step->flops, s->dims, &flops));
    serial = sn_plan_is_serial(w.instances, moved, flops);
  }
  const sn_cost_machine m = sn_cost_machine_of(s->m, serial);
  *out = sn_cost_kernel(&m, &w, b);
  return SN_OK;
}

sn_code sn_plan_predict(const sn_plan *p, int graph, sn_kernel *const *kernel, const int64_t *dims,
                        const sn_cost_machine *m, sn_arena *scratch, double *seconds) {
  const sn_plan_graph *g = &p->graph[graph];
  state s = {.p = p, .m = m, .dims = dims, .slot = SN_ARRAY(scratch, p->slot_count + 1, touch)};
  for (int i = 0; i < p->slot_count; i++) {
    SN_TRY(value_of(p->slot[i].elements, dims, &s.slot[i].bytes));
    s.slot[i].bytes *= (double)sn_elem_bytes(p->slot[i].type->elem);
  }
  for (int round = 0; round < 2; round++) /* the first only finds what was touched when */
    for (int i = 0; i < g->step_count; i++) {
      const sn_step *step = &g->step[i];
      int slot[SN_K_PARAMS + 2];
      double read, written;
      sn_cost_bytes b;
      seconds[i] = 0;
      if (step->kind != SN_STEP_LAUNCH && step->kind != SN_STEP_COPY) continue;
      SN_TRY(value_of(step->bytes_read, dims, &read));
      SN_TRY(value_of(step->bytes_written, dims, &written));
      find_places(&s, slots_of(&s, step, slot), slot, read + written, &b);
      if (round) SN_TRY(cost_of(&s, step, kernel, read + written, &b, scratch, &seconds[i]));
    }
  return SN_OK;
}
