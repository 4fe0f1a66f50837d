/* One run on the device: places for its slots, uploads, the steps in stretches between points of control, downloads. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/vulkan/inside.h"

typedef struct run {
  sn_vk *v;
  sn_runtime *r;
  sn_store *s;
  const sn_bound *b;
  void *const *data;
  const sn_step *step;
  int count;
  sn_diags *diags;
  sn_flow flow;
  sn_code code; /* of a flag that could not be read */
} run;

/* ---- room for lists ---------------------------------------------------------------------------------------------- */

static bool grow(void **at, int capacity, int count, size_t size) {
  void *p = count > capacity ? realloc(*at, (size_t)count * size) : *at;
  if (p) *at = p;
  return p || !count;
}

static sn_code grow_lists(run *x) {
  sn_vk *v = x->v;
  void *arg = v->arg, *parent = v->parent, *rounds = v->rounds;
  int args = x->b->arg_count + 1, steps = x->count + 1;
  bool fits = grow(&arg, v->arg_capacity, args, sizeof *v->arg);
  fits = grow(&parent, v->step_capacity, steps, sizeof *v->parent) && fits;
  fits = grow(&rounds, v->step_capacity, steps, sizeof *v->rounds) && fits;
  v->arg = arg, v->parent = parent, v->rounds = rounds;
  if (!fits) return sn_fail(x->diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  if (args > v->arg_capacity) v->arg_capacity = args;
  if (steps > v->step_capacity) v->step_capacity = steps;
  return SN_OK;
}

/* ---- places ------------------------------------------------------------------------------------------------------ */

static bool is_port(const sn_slot *s) { return s->role == SN_SLOT_INPUT || s->role == SN_SLOT_OUTPUT; }

static bool is_used(const run *x, int slot) {
  const sn_slot *s = &x->r->plan->slot[slot];
  return sn_bind_uses(s, x->b->graph) && !(x->b->graph < 0 && is_port(s));
}

/* Inputs and outputs with storage of their own lie behind the temporaries; offsets by root, -1: none. */
static int64_t place_ports(run *x, int64_t *offset) {
  const sn_plan *p = x->r->plan;
  int64_t top = (x->b->pool_bytes + SN_VK_ALIGN - 1) / SN_VK_ALIGN * SN_VK_ALIGN;
  for (int i = 0; i < p->slot_count; i++) offset[i] = 0;
  for (int i = 0; i < p->slot_count; i++) {
    int root = x->r->root[i];
    if (is_used(x, i) && x->b->bytes[i] > offset[root]) offset[root] = x->b->bytes[i];
  }
  for (int i = 0; i < p->slot_count; i++) {
    int64_t bytes = offset[i];
    bool own = x->r->root[i] == i && is_port(&p->slot[i]) && is_used(x, i);
    offset[i] = own ? top : -1;
    if (own) top += (bytes + SN_RT_SLACK + SN_VK_ALIGN - 1) / SN_VK_ALIGN * SN_VK_ALIGN;
  }
  return top;
}

/* Bytes of ports and temporaries that a new block holds, without what lies between them; -1: not known. */
static int64_t room(const run *x) {
  int64_t most = sn_vk_free_bytes(x->v), between = SN_VK_ALIGN + SN_RT_SLACK;
  for (int i = 0; i < x->r->plan->slot_count; i++)
    between += is_port(&x->r->plan->slot[i]) * (SN_VK_ALIGN + SN_RT_SLACK);
  return most < 0 ? -1 : most > between ? most - between : 0;
}

static sn_code grow_temps(run *x, int64_t bytes) {
  sn_vk *v = x->v;
  if (v->temps.buffer && v->temps.bytes >= bytes) return SN_OK;
  SN_TRY(sn_vk_settle(v, x->diags));
  sn_vk_recordings_drop(v); /* they name the old one */
  sn_vk_block_destroy(v, &v->temps);
  sn_code code = sn_vk_block_create(v, bytes, SN_VK_LOCAL, "temporaries, inputs and outputs", x->diags, &v->temps);
  if (code == SN_ERR_LIMIT) sn_rt_note_fit(x->r, x->b->graph, x->b->dims, room(x), x->diags);
  return code;
}

static void set_places(run *x, const int64_t *port) {
  const sn_plan *p = x->r->plan;
  for (int i = 0; i < p->slot_count; i++) {
    int root = x->r->root[i];
    sn_vk_place at = {0};
    if (!is_used(x, i))
      at.block = NULL;
    else if (sn_rt_persistent(p->slot[root].role))
      at = x->s->device->place[root];
    else if (p->slot[root].role == SN_SLOT_TEMP)
      at = x->b->offset[root] < 0 ? at : (sn_vk_place){&x->v->temps, x->b->offset[root]};
    else
      at = (sn_vk_place){&x->v->temps, port[root]};
    x->v->place[i] = at;
  }
}

static sn_code place(run *x) {
  int64_t *port = malloc(((size_t)x->r->plan->slot_count + 1) * sizeof *port);
  if (!port) return sn_fail(x->diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  sn_code code = grow_temps(x, place_ports(x, port));
  if (!code) set_places(x, port);
  free(port);
  return code;
}

static uint64_t address_of(const run *x, int slot) {
  const sn_vk_place *at = &x->v->place[slot];
  return at->block ? at->block->address + (uint64_t)at->offset : 0;
}

static void set_args(run *x) {
  for (int i = 0; i < x->count; i++) {
    const sn_step *s = &x->step[i];
    uint64_t *arg = x->v->arg + x->b->step[i].first_arg;
    if (s->kind != SN_STEP_LAUNCH) arg[0] = arg[1] = 0;
    if (s->kind == SN_STEP_COPY) arg[0] = address_of(x, s->to), arg[1] = address_of(x, s->from);
    for (int k = 0; s->kind == SN_STEP_LAUNCH && k < s->arg_count; k++) {
      int at = s->arg[k].index;
      arg[k] = s->arg[k].is_slot ? address_of(x, at) : (uint64_t)x->b->dims[at];
    }
  }
}

/* ---- in and out -------------------------------------------------------------------------------------------------- */

static sn_code upload(run *x) {
  const sn_plan *p = x->r->plan;
  for (int i = 0; i < p->slot_count; i++) {
    if (!is_used(x, i)) continue;
    if (p->slot[i].role == SN_SLOT_INPUT)
      SN_TRY(sn_vk_upload(x->v, x->v->place[i], x->data[i], x->b->bytes[i], x->diags));
    if (!sn_rt_persistent(p->slot[i].role) || x->s->newer[i] != SN_NEWER_HOST) continue;
    SN_TRY(sn_vk_upload(x->v, x->s->device->place[i], x->s->data[i], x->s->bytes[i], x->diags));
    x->s->newer[i] = SN_NEWER_NONE;
  }
  return sn_vk_transfers_flush(x->v, x->diags);
}

static sn_code download(run *x) {
  const sn_plan *p = x->r->plan;
  for (int i = 0; i < p->slot_count; i++)
    if (is_used(x, i) && p->slot[i].role == SN_SLOT_OUTPUT && x->data[i] && x->v->place[i].block)
      SN_TRY(sn_vk_download(x->v, x->v->place[i], x->data[i], x->b->bytes[i], x->diags));
  return sn_vk_transfers_finish(x->v, x->diags);
}

/* ---- stretches of work ------------------------------------------------------------------------------------------- */

sn_code sn_vk_settle(sn_vk *v, sn_diags *diags) {
  SN_TRY(sn_vk_transfers_flush(v, diags));
  SN_TRY(sn_vk_wait(v, v->tick, diags));
  if (v->running_count) sn_vk_times_read(v);
  v->running_count = 0;
  return SN_OK;
}

static void mark(run *x, int slot) {
  int root = x->r->root[slot];
  if (sn_rt_persistent(x->r->plan->slot[root].role)) x->s->newer[root] = SN_NEWER_DEVICE;
}

static void mark_written(run *x, int first, int last) {
  for (int i = first; i < last; i++) {
    const sn_step *s = &x->step[i];
    if (s->kind == SN_STEP_COPY) mark(x, s->to);
    for (int k = 0; s->kind == SN_STEP_LAUNCH && k < s->arg_count; k++)
      if (s->arg[k].is_slot && (s->writes >> k & 1)) mark(x, s->arg[k].index);
  }
}

static const char *last_kernel(const run *x, const sn_vk_recording *rec, const sn_vk_part *p) {
  for (int i = p->first + p->count - 1; i >= p->first; i--) {
    const sn_step *s = &x->step[rec->commands.at[i].step];
    if (s->kind == SN_STEP_LAUNCH) return x->r->plan->code[s->code].name;
  }
  return x->v->last;
}

static sn_code submit(run *x, const sn_vk_recording *rec) {
  sn_vk *v = x->v;
  for (int k = 0; k < rec->part_count; k++) {
    v->last = last_kernel(x, rec, &rec->part[k]);
    SN_TRY(sn_vk_submit(v, rec->part[k].buffer, x->diags));
  }
  return SN_OK;
}

static sn_code stretch(run *x, int first, int last) {
  sn_vk *v = x->v;
  sn_vk_recording *rec;
  SN_TRY(sn_vk_record(v, x->b, x->step, x->count, first, last, x->diags, &rec));
  SN_TRY(sn_vk_transfers_flush(v, x->diags));
  if (v->running_count == SN_VK_RUNNING) SN_TRY(sn_vk_settle(v, x->diags));
  for (int i = 0; i < v->running_count; i++) /* a command buffer waits for its last run */
    if (v->running[i] == rec) {
      SN_TRY(sn_vk_settle(v, x->diags));
      break;
    }
  mark_written(x, first, last);
  if (!rec->commands.count) return SN_OK;
  SN_TRY(submit(x, rec));
  v->running[v->running_count++] = rec;
  for (int i = 0; i < rec->flag_count; i++) v->flag_known[rec->flag[i]] = true;
  return SN_OK;
}

/* ---- control ----------------------------------------------------------------------------------------------------- */

static sn_code read_flag(run *x, int slot, bool *out) {
  sn_vk *v = x->v;
  uint8_t byte = 0;
  SN_TRY(sn_vk_settle(v, x->diags));
  if (v->flag_known[slot]) {
    byte = (uint8_t)v->flags.host[4 * (int64_t)slot];
  } else {
    SN_TRY(sn_vk_download(v, v->place[slot], &byte, 1, x->diags));
    SN_TRY(sn_vk_transfers_finish(v, x->diags));
  }
  *out = byte != 0;
  return SN_OK;
}

/* For sn_flow: a failure ends the run behind the step. */
static bool flag_of(void *user, int slot) {
  run *x = user;
  bool flag = false;
  sn_code code = x->code ? x->code : read_flag(x, slot, &flag);
  if (code) x->code = code;
  return flag;
}

static sn_code check(run *x, int slot) {
  bool flag;
  SN_TRY(read_flag(x, slot, &flag));
  return flag ? SN_OK : sn_rt_not_finite(x->r, x->b->graph, x->diags);
}

/* Exchanges storage, in the store and for the steps to come. */
static void swap(run *x, int a, int b) {
  sn_store *s = x->s;
  void *data = s->data[a];
  int64_t bytes = s->bytes[a];
  unsigned char newer = s->newer[a];
  sn_vk_place at = s->device->place[a];
  s->data[a] = s->data[b], s->bytes[a] = s->bytes[b], s->newer[a] = s->newer[b];
  s->data[b] = data, s->bytes[b] = bytes, s->newer[b] = newer;
  s->device->place[a] = s->device->place[b], s->device->place[b] = at;
  for (int i = 0; i < x->r->plan->slot_count; i++)
    if (x->v->place[i].block && (x->r->root[i] == a || x->r->root[i] == b))
      x->v->place[i] = s->device->place[x->r->root[i]];
  memset(x->v->flag_known, 0, (size_t)x->r->plan->slot_count * sizeof *x->v->flag_known);
  set_args(x);
}

static bool is_work(const sn_step *s) { return s->kind == SN_STEP_LAUNCH || s->kind == SN_STEP_COPY; }

/* One by one for who listens after each, or who asks for times where the device has no clock. */
static bool by_step(const run *x) {
  const sn_runtime_opt *o = &x->r->opt;
  return o->on_step || (o->on_part && x->v->facts.timestamp_ns <= 0);
}

/* Steps i.. that follow each other whatever happens. */
static int stretch_end(const run *x, int i) {
  int last = i + 1;
  if (by_step(x)) return last;
  while (last < x->count && is_work(&x->step[last]) && !sn_flow_branches(&x->flow, last - 1)) last++;
  return last;
}

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The step has ended, and its slots can be read. */
static sn_code tell_step(run *x, int i, double start) {
  const sn_runtime_opt *o = &x->r->opt;
  if (!by_step(x)) return SN_OK;
  x->v->step_ns = -1;
  SN_TRY(sn_vk_settle(x->v, x->diags));
  double end = now_ns();
  double ns = !is_work(&x->step[i]) ? 0 : x->v->step_ns >= 0 ? x->v->step_ns : end - start;
  if (o->on_part && x->v->facts.timestamp_ns <= 0)
    o->on_part(o->part_user, x->r->run_count, x->b->graph, i, 0, start, end);
  if (o->on_step) o->on_step(o->step_user, x->b->graph, i, ns);
  return SN_OK;
}

static sn_code one(run *x, int i, int *next) {
  const sn_step *s = &x->step[i];
  int last = i;
  double start = by_step(x) ? now_ns() : 0;
  if (is_work(s)) {
    int end = stretch_end(x, i);
    SN_TRY(stretch(x, i, end));
    last = end - 1;
  } else if (s->kind == SN_STEP_CHECK) {
    SN_TRY(check(x, s->from));
  } else if (s->kind == SN_STEP_SWAP) {
    swap(x, s->from, s->to);
  }
  SN_TRY(tell_step(x, last, start));
  *next = sn_flow_branches(&x->flow, last) ? sn_flow_next(&x->flow, last) : last + 1;
  return x->code;
}

/* ---- run --------------------------------------------------------------------------------------------------------- */

static sn_code steps(run *x) {
  SN_TRY(grow_lists(x));
  SN_TRY(place(x));
  set_args(x);
  memset(x->v->flag_known, 0, (size_t)x->r->plan->slot_count * sizeof *x->v->flag_known);
  x->flow = (sn_flow){.step = x->step, .parent = x->v->parent, .rounds = x->v->rounds, .flag = flag_of, .user = x};
  sn_plan_parents(x->step, x->count, x->v->parent);
  SN_TRY(upload(x));
  for (int i = 0; i < x->count;) SN_TRY(one(x, i, &i));
  SN_TRY(sn_vk_settle(x->v, x->diags));
  return download(x);
}

sn_code sn_vk_run(sn_device *d, const sn_device_run *in, sn_diags *diags) {
  sn_vk *v = (sn_vk *)d;
  const sn_plan *p = in->r->plan;
  run x = {.v = v, .r = in->r, .s = in->s, .b = in->b, .data = in->data, .diags = diags};
  x.step = in->b->graph < 0 ? p->prepare : p->graph[in->b->graph].step;
  x.count = in->b->graph < 0 ? p->prepare_count : p->graph[in->b->graph].step_count;
  if (v->lost)
    return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "%s was lost in an earlier run; the last kernel was %s",
                   v->facts.name, v->last ? v->last : "none");
  v->bound = in->b;
  sn_code code = steps(&x);
  if (code && !v->lost) { /* nothing stays behind that a later run would find */
    sn_code rest = sn_vk_settle(v, NULL);
    if (!rest) rest = sn_vk_transfers_finish(v, NULL);
    v->running_count = 0;
  }
  return code ? code : sn_vk_complaints_check(v, diags);
}
