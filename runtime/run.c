/* The runtime: loads the code of a plan, gives every slot of a run its storage, runs the steps. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/base/memory.h"
#include "runtime/device.h"
#include "runtime/inside.h"

#define NOWHERE ((sn_loc){0})

enum { THREADS_MAX = 1024 };

static sn_code no_memory(sn_diags *diags) { return sn_fail(diags, SN_ERR_LIMIT, NOWHERE, "out of memory"); }

/* ---- create ------------------------------------------------------------------------------------- */

/* The only symbol below t: -1 none, -2 several. */
static int only_symbol(const sn_dimx_tree *t) {
  if (t->kind == SN_DIMX_CONST) return -1;
  if (t->kind == SN_DIMX_SYMBOL) return (int)t->value;
  int a = only_symbol(t->a), b = only_symbol(t->b);
  if (a == -1 || a == b) return b;
  return b == -1 ? a : -2;
}

static void extent_rules(sn_runtime *r) {
  const sn_plan *p = r->plan;
  for (int i = 0; i < p->slot_count; i++) {
    if (p->slot[i].role != SN_SLOT_INPUT) continue;
    for (int k = 0; k < p->slot[i].type->rank; k++) {
      const sn_dimx *d = p->slot[i].type->dim[k];
      sn_extent_rule *rule = &r->rule[(size_t)i * SN_RANK_MAX + (size_t)k];
      rule->lone = sn_dimx_symbol_index(d);
      rule->solve = rule->lone < 0 ? only_symbol(sn_dimx_as_tree(p->types, d)) : -1;
    }
  }
}

static sn_code find_roots(sn_runtime *r, sn_diags *diags) {
  if (!sn_layout_roots(r->plan, r->root)) return SN_OK;
  return sn_fail(diags, SN_ERR_INPUT, NOWHERE, "the plan has slots that share storage in a circle");
}

static sn_code create_workspace(sn_runtime *r, sn_diags *diags) {
  int64_t most = 0;
  for (int i = 0; i < r->plan->code_count; i++)
    if (r->plan->code[i].workspace_bytes > most) most = r->plan->code[i].workspace_bytes;
  if (most > INT64_C(1) << 40)
    return sn_fail(diags, SN_ERR_LIMIT, NOWHERE, "a kernel asks for %" PRId64 " bytes of workspace", most);
  r->workspace_bytes = (most + SN_RT_ALIGN - 1) / SN_RT_ALIGN * SN_RT_ALIGN + SN_RT_SLACK;
  r->workspace = sn_rt_alloc(r, r->workspace_bytes * r->threads);
  r->share = sn_rt_alloc(r, (int64_t)sizeof *r->share * r->threads);
  if (!r->share) return no_memory(diags);
  return r->workspace ? SN_OK : sn_rt_no_memory(diags, "the workspace of kernels", r->workspace_bytes * r->threads);
}

static sn_code create_parts(sn_runtime *r, sn_diags *diags) {
  size_t slots = (size_t)r->plan->slot_count + 1;
  r->root = calloc(slots, sizeof *r->root);
  r->rule = calloc(slots * SN_RANK_MAX, sizeof *r->rule);
  r->stage = calloc(slots, sizeof *r->stage);
  r->fetched = calloc(slots, sizeof *r->fetched);
  r->data = calloc(slots, sizeof *r->data);
  r->dims = calloc((size_t)r->symbol_count + 1, sizeof *r->dims);
  if (!r->root || !r->rule || !r->stage || !r->fetched || !r->data || !r->dims) return no_memory(diags);
  SN_TRY(find_roots(r, diags));
  extent_rules(r);
  if (sn_device_wanted(r->plan)) return sn_device_create(r, diags, &r->device);
  SN_TRY(sn_image_create(r->plan, diags, &r->image));
  return create_workspace(r, diags);
}

sn_code sn_runtime_create(const sn_plan *p, const sn_runtime_opt *opt, sn_diags *diags, sn_runtime **out) {
  sn_runtime *r = calloc(1, sizeof *r);
  if (!r) return no_memory(diags);
  r->plan = p;
  if (opt) r->opt = *opt;
  r->threads = r->opt.threads > 0 ? r->opt.threads : sn_cpu_threads();
  if (r->threads > THREADS_MAX) r->threads = THREADS_MAX;
  r->symbol_count = sn_types_symbol_count(p->types);
  sn_code code = create_parts(r, diags);
  if (code) {
    sn_runtime_destroy(r);
    return code;
  }
  *out = r;
  return SN_OK;
}

void sn_runtime_destroy(sn_runtime *r) {
  if (!r) return;
  for (sn_bound *b = r->bound, *next; b; b = next) {
    next = b->next;
    sn_bound_destroy(b);
  }
  if (r->device) r->device->type->destroy(r->device);
  for (int i = 0; r->stage && i < r->plan->slot_count; i++) sn_block_free(r->stage[i].data);
  for (int i = 0; r->fetched && i < r->plan->slot_count; i++) sn_block_free(r->fetched[i].data);
  free(r->fetched);
  sn_image_destroy(r->image);
  free(r->root);
  free(r->rule);
  free(r->stage);
  free(r->data);
  free(r->dims);
  sn_block_free(r->pool);
  sn_block_free(r->workspace);
  sn_block_free(r->share);
  free(r->arg);
  free(r->task);
  free(r->parent);
  free(r->rounds);
  free(r);
}

void sn_rt_warn(const sn_runtime *r, const char *format, ...) {
  char text[4608]; /* a path and some words */
  va_list args;
  if (!r->opt.on_warning) return;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  r->opt.on_warning(r->opt.warning_user, text);
}

int sn_runtime_threads(const sn_runtime *r) { return r->threads; }

const sn_plan *sn_runtime_plan(const sn_runtime *r) { return r->plan; }

const int64_t *sn_runtime_dims(const sn_runtime *r) { return r->dims; }

void *const *sn_runtime_slots(const sn_runtime *r) { return r->data; }

/* Persistent slots have a copy in the store that the host may have changed since: those are read like others. */
const void *sn_runtime_slot(sn_runtime *r, int slot, sn_diags *diags) {
  if (!r->device || r->plan->slot[slot].role == SN_SLOT_INPUT) return r->data[slot];
  sn_stage *st = &r->fetched[slot];
  int64_t bytes = r->device->type->bytes(r->device, slot);
  if (bytes < 0) return NULL;
  if (!st->data || st->bytes < bytes) {
    void *data = sn_rt_alloc(r, bytes);
    if (!data) return NULL;
    sn_block_free(st->data);
    *st = (sn_stage){data, bytes};
  }
  return r->device->type->read(r->device, slot, st->data, diags) ? NULL : st->data;
}

/* ---- storage of one run ------------------------------------------------------------------------- */

typedef struct run {
  sn_runtime *r;
  sn_store *s;
  const sn_bound *b;
  int buffer_count;
  const sn_buffer *buffer;
  sn_diags *diags;
} run;

static const sn_buffer *buffer_of(const run *x, int slot) {
  const sn_slot *t = &x->r->plan->slot[slot];
  for (int i = 0; i < x->buffer_count; i++)
    if (!strcmp(x->buffer[i].name, t->name)) return &x->buffer[i];
  return NULL;
}

static bool is_port(const sn_slot *s) { return s->role == SN_SLOT_INPUT || s->role == SN_SLOT_OUTPUT; }

static bool overlaps(const run *x, const sn_buffer *a, int64_t bytes) {
  uintptr_t lo = (uintptr_t)a->data, hi = lo + (uintptr_t)bytes;
  for (int i = 0; i < x->buffer_count; i++) {
    const sn_buffer *b = &x->buffer[i];
    int slot = sn_bind_slot(x->r->plan, x->b->graph, b->name);
    uintptr_t from = (uintptr_t)b->data, to = from + (uintptr_t)x->b->bytes[slot];
    if (a != b && lo < to && from < hi) return true;
  }
  return false;
}

/* The caller's memory can serve as the slot's storage: aligned, large enough for all that share it, not shared. */
static bool serves(const run *x, int slot, const sn_buffer *given, int64_t need) {
  if (!given || !given->data || (uintptr_t)given->data % SN_RT_ALIGN || need > x->b->bytes[slot]) return false;
  if (x->r->plan->slot[slot].role == SN_SLOT_OUTPUT) return !overlaps(x, given, need);
  for (int i = 0; i < x->r->plan->slot_count; i++)
    if (i != slot && x->r->root[i] == slot) return false; /* may be written */
  return true;
}

static sn_code stage(const run *x, int slot, int64_t bytes) {
  sn_stage *st = &x->r->stage[slot];
  if (st->data && st->bytes >= bytes) return SN_OK;
  void *data = sn_rt_alloc(x->r, bytes);
  if (!data) return sn_rt_no_memory(x->diags, x->r->plan->slot[slot].name, bytes);
  sn_block_free(st->data);
  x->r->stage_bytes += bytes - st->bytes;
  *st = (sn_stage){data, bytes};
  return SN_OK;
}

static sn_code load_input(const run *x, int slot, const sn_buffer *given) {
  const sn_slot *t = &x->r->plan->slot[slot];
  int64_t bytes = x->b->bytes[slot];
  if (given && given->data) {
    if (bytes && x->r->data[slot] != given->data) memcpy(x->r->data[slot], given->data, (size_t)bytes);
    return SN_OK;
  }
  if (t->optional) {
    sn_rt_fill(x->r->data[slot], t->type->elem, bytes / (int64_t)sn_elem_bytes(t->type->elem), t->init_a);
    return SN_OK;
  }
  sn_fail(x->diags, SN_ERR_USAGE, NOWHERE, "graph %s: input %s is missing", x->r->plan->graph[x->b->graph].name,
          t->name);
  if (x->diags) sn_fail_expected(x->diags, "%s", sn_type_text(x->diags->arena, t->type));
  return SN_ERR_USAGE;
}

/* Bytes that the storage of a root must have in this graph. */
static int64_t need_of(const run *x, int root) {
  int64_t need = 0;
  for (int i = 0; i < x->r->plan->slot_count; i++)
    if (x->r->root[i] == root && x->b->bytes[i] > need) need = x->b->bytes[i];
  return need;
}

static sn_code place_root(const run *x, int slot) {
  sn_runtime *r = x->r;
  const sn_slot *t = &r->plan->slot[slot];
  if (sn_rt_persistent(t->role)) {
    r->data[slot] = x->s->data[slot];
  } else if (t->role == SN_SLOT_TEMP) {
    r->data[slot] = x->b->offset[slot] < 0 ? NULL : (char *)r->pool + x->b->offset[slot];
  } else {
    const sn_buffer *given = buffer_of(x, slot);
    int64_t need = need_of(x, slot);
    if (serves(x, slot, given, need)) {
      r->data[slot] = given->data;
    } else {
      SN_TRY(stage(x, slot, need));
      r->data[slot] = r->stage[slot].data;
    }
    if (t->role == SN_SLOT_INPUT) return load_input(x, slot, given);
  }
  return SN_OK;
}

/* Does a step of the graph work on the slot? A host step may work on all. */
static bool touched(const run *x, int slot) {
  const sn_plan_graph *g = x->b->graph < 0 ? NULL : &x->r->plan->graph[x->b->graph];
  for (int i = 0; g && i < g->step_count; i++) {
    const sn_step *s = &g->step[i];
    if (s->kind == SN_STEP_HOST || s->from == slot || s->to == slot) return true;
    for (int k = 0; k < s->arg_count; k++)
      if (s->arg[k].is_slot && s->arg[k].index == slot) return true;
  }
  return !g;
}

/* A state of symbolic extents must have been allocated for at least the extents of this run, and only its first axis
 * may be shorter: rows keep their places. */
static sn_code check_state(const run *x, int slot) {
  const sn_slot *t = &x->r->plan->slot[slot];
  int64_t now = 0, then = 0;
  bool fits = x->b->bytes[slot] <= x->s->bytes[slot];
  for (int i = 1; i < t->type->rank && fits; i++) {
    SN_TRY(sn_dimx_eval(t->type->dim[i], x->b->dims, &now));
    SN_TRY(sn_dimx_eval(t->type->dim[i], x->s->dims, &then));
    fits = now == then;
  }
  if (fits || !touched(x, slot)) return SN_OK;
  sn_fail(x->diags, SN_ERR_INPUT, NOWHERE, "state %s was made for other extents than this run has", t->name);
  sn_fail_expected(x->diags, "at most %" PRId64 " bytes, all but the first extent as allocated", x->s->bytes[slot]);
  sn_fail_found(x->diags, "%" PRId64 " bytes", x->b->bytes[slot]);
  return SN_ERR_INPUT;
}

static sn_code check_memory(const run *x) {
  const sn_runtime *r = x->r;
  int64_t limit = r->opt.memory_limit, need = x->b->pool_bytes + x->s->total_bytes + r->stage_bytes;
  if (limit && need > limit) {
    sn_fail(x->diags, SN_ERR_LIMIT, NOWHERE, "graph %s needs more memory than the limit",
            x->b->graph < 0 ? "prepare" : r->plan->graph[x->b->graph].name);
    sn_fail_expected(x->diags, "at most %" PRId64 " bytes", limit);
    sn_fail_found(x->diags, "%" PRId64 " bytes: %" PRId64 " of temporaries, %" PRId64 " of parameters and states", need,
                  x->b->pool_bytes, x->s->total_bytes);
    sn_rt_note_fit(r, x->b->graph, x->b->dims, limit - x->s->total_bytes - r->stage_bytes, x->diags);
    return SN_ERR_LIMIT;
  }
  return SN_OK;
}

static sn_code grow_pool(const run *x) {
  sn_runtime *r = x->r;
  if (r->pool && r->pool_bytes >= x->b->pool_bytes) return SN_OK;
  void *pool = sn_rt_alloc(r, x->b->pool_bytes);
  if (!pool) (void)sn_rt_no_memory(x->diags, "temporaries", x->b->pool_bytes);
  if (!pool) {
    sn_rt_note_fit(r, x->b->graph, x->b->dims, sn_memory_available(), x->diags);
    return SN_ERR_LIMIT;
  }
  if (r->opt.guard) memset(pool, 0xff, (size_t)x->b->pool_bytes);
  sn_block_free(r->pool);
  r->pool = pool, r->pool_bytes = x->b->pool_bytes;
  return SN_OK;
}

static sn_code place_slots(const run *x) {
  const sn_plan *p = x->r->plan;
  memset(x->r->data, 0, (size_t)p->slot_count * sizeof *x->r->data);
  for (int i = 0; i < p->slot_count; i++) {
    const sn_slot *t = &p->slot[i];
    if (t->role == SN_SLOT_STATE && sn_bind_uses(t, x->b->graph)) SN_TRY(check_state(x, i));
    bool used = sn_bind_uses(t, x->b->graph) && !(x->b->graph < 0 && is_port(t));
    if (used && x->r->root[i] == i) SN_TRY(place_root(x, i));
  }
  for (int i = 0; i < p->slot_count; i++)
    if (x->r->root[i] != i && sn_bind_uses(&p->slot[i], x->b->graph)) x->r->data[i] = x->r->data[x->r->root[i]];
  return SN_OK;
}

/* For a device, which has storage of its own: host memory of inputs, and of outputs that are wanted. */
static sn_code place_ports(const run *x) {
  const sn_plan *p = x->r->plan;
  memset(x->r->data, 0, (size_t)p->slot_count * sizeof *x->r->data);
  for (int i = 0; i < p->slot_count; i++) {
    const sn_slot *t = &p->slot[i];
    if (!sn_bind_uses(t, x->b->graph) || (x->b->graph < 0 && is_port(t))) continue;
    if (t->role == SN_SLOT_STATE) SN_TRY(check_state(x, i));
    if (!is_port(t)) continue;
    const sn_buffer *given = buffer_of(x, i);
    if (given && given->data) x->r->data[i] = given->data;
    if (t->role == SN_SLOT_OUTPUT) continue;
    if (!x->r->data[i]) SN_TRY(stage(x, i, x->b->bytes[i]));
    if (!x->r->data[i]) x->r->data[i] = x->r->stage[i].data;
    SN_TRY(load_input(x, i, given));
  }
  return SN_OK;
}

static void hand_out(const run *x) {
  for (int i = 0; i < x->buffer_count; i++) {
    int slot = sn_bind_slot(x->r->plan, x->b->graph, x->buffer[i].name);
    void *to = x->buffer[i].data, *from = x->r->data[slot];
    if (x->r->plan->slot[slot].role == SN_SLOT_OUTPUT && to && from && to != from && x->b->bytes[slot])
      memcpy(to, from, (size_t)x->b->bytes[slot]);
  }
}

/* ---- inputs that number rows, and that choose what counts ------------------------------------------ */

static int64_t id_at(sn_elem e, const void *data, int64_t i) {
  switch (e) {
    case SN_ELEM_I64: return ((const int64_t *)data)[i];
    case SN_ELEM_I32: return ((const int32_t *)data)[i];
    case SN_ELEM_I8: return ((const int8_t *)data)[i];
    default: return ((const uint8_t *)data)[i];
  }
}

static sn_code outside(const run *x, const sn_plan_limit *l, int64_t last, int64_t id, int64_t at) {
  const char *name = x->r->plan->slot[l->slot].name;
  sn_loc loc = {.file = l->file, .line = l->line};
  sn_fail(x->diags, SN_ERR_INPUT, loc, "`%s`: a row that input %s names is outside of the table", l->op, name);
  sn_fail_expected(x->diags, "0 to %" PRId64, last);
  sn_fail_found(x->diags, "%" PRId64 " at element %" PRId64, id, at);
  return SN_ERR_INPUT;
}

static bool counts(const sn_plan_limit *l, double x) {
  switch (l->kind) {
    case SN_LIMIT_SOME_LESS: return x < l->value;
    case SN_LIMIT_SOME_MORE: return x > l->value;
    case SN_LIMIT_SOME_EQUAL: return x == l->value;
    default: return x != l->value;
  }
}

static void expect_some(const run *x, const sn_plan_limit *l, const sn_slot *slot) {
  static const char *const floats[] = {"", "below %g", "above %g", "%g", "other than %g"};
  static const char *const ints[] = {"", "%g or less", "%g or more", "%g", "other than %g"};
  bool whole = !sn_elem_is_float(slot->type->elem);
  double one = l->kind == SN_LIMIT_SOME_LESS ? -1 : l->kind == SN_LIMIT_SOME_MORE ? 1 : 0;
  char text[64];
  snprintf(text, sizeof text, whole ? ints[l->kind] : floats[l->kind], l->value + (whole ? one : 0));
  sn_fail_expected(x->diags, "an element of %s that is %s: a target, or a weight", slot->name, text);
}

static sn_code check_some(const run *x, const sn_plan_limit *l, int64_t count) {
  const sn_slot *slot = &x->r->plan->slot[l->slot];
  sn_elem e = slot->type->elem;
  const void *data = x->r->data[l->slot];
  for (int64_t i = 0; i < count; i++)
    if (counts(l, sn_elem_is_float(e) ? sn_elem_get(e, data, i) : (double)id_at(e, data, i))) return SN_OK;
  if (!count) return SN_OK; /* that is said by extents */
  sn_loc loc = {.file = l->file, .line = l->line};
  sn_fail(x->diags, SN_ERR_INPUT, loc, "`%s`: a mean of nothing: no element of input %s counts", l->op, slot->name);
  expect_some(x, l, slot);
  sn_fail_found(x->diags, "none of %" PRId64, count);
  return SN_ERR_INPUT;
}

static sn_code check_limit(const run *x, const sn_plan_limit *l) {
  const sn_slot *slot = &x->r->plan->slot[l->slot];
  int64_t rows, span, count = x->b->bytes[l->slot] / (int64_t)sn_elem_bytes(slot->type->elem);
  if (l->kind) return check_some(x, l, count);
  if (sn_dimx_eval(l->rows, x->b->dims, &rows) || sn_dimx_eval(l->span, x->b->dims, &span))
    return sn_fail(x->diags, SN_ERR_LIMIT, NOWHERE, "%s is too large", slot->name);
  for (int64_t i = 0; i < count; i++) {
    int64_t id = id_at(slot->type->elem, x->r->data[l->slot], i);
    if (id < 0 || id > rows - span) return outside(x, l, rows - span, id, i);
  }
  return SN_OK;
}

static sn_code check_limits(const run *x) {
  const sn_plan_graph *g = x->b->graph < 0 ? NULL : &x->r->plan->graph[x->b->graph];
  for (int i = 0; g && i < g->limit_count; i++) SN_TRY(check_limit(x, &g->limit[i]));
  return SN_OK;
}

/* ---- run ---------------------------------------------------------------------------------------- */

/* Initial values of what nothing else was loaded into. */
static void settle(const run *x) {
  const sn_plan *p = x->r->plan;
  for (int i = 0; i < p->slot_count; i++)
    if (sn_rt_persistent(p->slot[i].role) && sn_bind_uses(&p->slot[i], x->b->graph)) sn_rt_settle(x->s, i);
}

static sn_code run_on_device(const run *x) {
  const sn_device_run in = {x->r, x->s, x->b, x->r->data};
  SN_TRY(check_memory(x));
  SN_TRY(place_ports(x));
  SN_TRY(check_limits(x));
  x->r->run_count++;
  return x->r->device->type->run(x->r->device, &in, x->diags);
}

static sn_code run_bound(const run *x) {
  settle(x);
  if (x->r->device) return run_on_device(x);
  SN_TRY(check_memory(x));
  SN_TRY(grow_pool(x));
  SN_TRY(place_slots(x));
  SN_TRY(check_limits(x));
  SN_TRY(sn_exec(x->r, x->s, x->b, x->diags));
  hand_out(x);
  return SN_OK;
}

static sn_code prepare(sn_runtime *r, sn_store *s, sn_diags *diags) {
  if (s->prepared) return SN_OK;
  run x = {.r = r, .s = s, .diags = diags};
  if (r->plan->prepare_count) {
    SN_TRY(sn_bind_graph(r, -1, s->dims, diags, &x.b));
    SN_TRY(run_bound(&x));
  }
  s->prepared = true;
  return SN_OK;
}

static sn_code run_graph(sn_runtime *r, sn_store *s, int graph, int count, const sn_buffer *buffers, sn_diags *diags) {
  run x = {.r = r, .s = s, .buffer_count = count, .buffer = buffers, .diags = diags};
  SN_TRY(sn_bind_dims(r, s, graph, count, buffers, diags, r->dims));
  SN_TRY(prepare(r, s, diags));
  SN_TRY(sn_bind_graph(r, graph, r->dims, diags, &x.b));
  return run_bound(&x);
}

sn_code sn_run(sn_runtime *r, sn_store *s, const char *graph, int buffer_count, const sn_buffer *buffers,
               sn_diags *diags) {
  int g = sn_plan_find_graph(r->plan, graph);
  if (g < 0) return sn_fail(diags, SN_ERR_USAGE, NOWHERE, "the plan has no graph %s", graph);
  if (s->runtime != r) return sn_fail(diags, SN_ERR_USAGE, NOWHERE, "the store belongs to another runtime");
  if (r->running)
    return sn_fail(diags, SN_ERR_USAGE, NOWHERE, "graph %s: this runtime is already running a graph", graph);
  r->running = true;
  sn_code code = run_graph(r, s, g, buffer_count, buffers, diags);
  r->running = false;
  return code;
}
