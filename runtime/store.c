/* Storage of one model instance: parameters, states, packed copies. Initial values depend on seed and name only, and
 * are made when they are needed: storage is zero at first, and what is loaded before a run or a look at it was never
 * drawn. Parameters that no step writes may be lent by the caller instead of copied, as a program does with the weights
 * in its own file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/base/memory.h"
#include "ir/base/rng.h"
#include "runtime/device.h"
#include "runtime/inside.h"

/* ---- elements ----------------------------------------------------------------------------------- */

void *sn_rt_alloc(const sn_runtime *r, int64_t bytes) {
  if (bytes < 0 || bytes > INT64_MAX / 2) return NULL;
  size_t behind = SN_RT_SLACK + (size_t)r->opt.guard;
  char *data = sn_block_alloc(((size_t)bytes + behind + SN_RT_ALIGN - 1) / SN_RT_ALIGN * SN_RT_ALIGN);
  if (data && r->opt.guard) memset(data + bytes, 0xff, behind);
  return data;
}

sn_code sn_rt_no_memory(sn_diags *diags, const char *what, int64_t bytes) {
  (void)sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory for %s", what);
  int64_t most = sn_memory_available();
  if (most >= 0) sn_fail_expected(diags, "at most %lld bytes, which are available", (long long)most);
  sn_fail_found(diags, "%lld bytes", (long long)bytes);
  return SN_ERR_LIMIT;
}

void sn_rt_set(void *data, sn_elem elem, int64_t i, double x) { /* table */
  switch (elem) {
    case SN_ELEM_I64: ((int64_t *)data)[i] = (int64_t)x; break;
    case SN_ELEM_I32: ((int32_t *)data)[i] = (int32_t)x; break;
    case SN_ELEM_I8: ((int8_t *)data)[i] = (int8_t)x; break;
    case SN_ELEM_U8: ((uint8_t *)data)[i] = (uint8_t)x; break;
    case SN_ELEM_BOOL: ((uint8_t *)data)[i] = x != 0; break;
    default: sn_elem_set(elem, data, i, x); break;
  }
}

void sn_rt_fill(void *data, sn_elem elem, int64_t count, double x) {
  for (int64_t i = 0; i < count; i++) sn_rt_set(data, elem, i, x);
}

/* ---- initial values ----------------------------------------------------------------------------- */

/* Of those within two standard deviations; one in 22 is drawn again. */
static double truncated(sn_rng *rng) {
  double x = sn_rng_normal(rng);
  while (fabs(x) > 2) x = sn_rng_normal(rng);
  return x;
}

/* Into zeroed storage. */
static void draw(sn_store *s, int slot) {
  const sn_slot *t = &s->runtime->plan->slot[slot];
  int64_t count = s->bytes[slot] / (int64_t)sn_elem_bytes(t->type->elem);
  void *data = s->data[slot];
  sn_rng rng = {.seed = s->seed, .stream = sn_stream_of(t->name)};
  bool zero = t->init == SN_INITIAL_NONE || (t->init == SN_INITIAL_FILL && t->init_a == 0);
  if (!zero) s->drawn_count += count;
  switch (t->init) {
    case SN_INITIAL_NONE: break;
    case SN_INITIAL_FILL:
      if (!zero) sn_rt_fill(data, t->type->elem, count, t->init_a);
      break;
    case SN_INITIAL_NORMAL:
      for (int64_t i = 0; i < count; i++) sn_rt_set(data, t->type->elem, i, t->init_a * sn_rng_normal(&rng));
      break;
    case SN_INITIAL_TRUNCATED:
      for (int64_t i = 0; i < count; i++) sn_rt_set(data, t->type->elem, i, t->init_a * truncated(&rng));
      break;
    case SN_INITIAL_UNIFORM:
      for (int64_t i = 0; i < count; i++) sn_rt_set(data, t->type->elem, i, t->init_a * (2 * sn_rng_f64(&rng) - 1));
      break;
  }
}

void sn_rt_settle(sn_store *s, int slot) {
  if (s->state[slot] != SN_RT_BLANK) return;
  s->state[slot] = SN_RT_OWN;
  draw(s, slot);
}

int64_t sn_store_drawn(const sn_store *s) { return s->drawn_count; }

/* ---- create ------------------------------------------------------------------------------------- */

static sn_code measure(sn_store *s, const sn_runtime *r, sn_diags *diags) {
  const sn_plan *p = r->plan;
  for (int i = 0; i < p->slot_count; i++) {
    if (!sn_rt_persistent(p->slot[i].role)) continue;
    if (sn_rt_bytes(&p->slot[i], s->dims, &s->bytes[i]) ||
        __builtin_add_overflow(s->total_bytes, s->bytes[i] + SN_RT_SLACK, &s->total_bytes))
      return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "%s is too large to address", p->slot[i].name);
  }
  if (!r->opt.memory_limit || s->total_bytes <= r->opt.memory_limit) return SN_OK;
  sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "parameters and states exceed the memory limit");
  sn_fail_expected(diags, "at most %lld bytes", (long long)r->opt.memory_limit);
  sn_fail_found(diags, "%lld bytes", (long long)s->total_bytes);
  return SN_ERR_LIMIT;
}

static sn_code allocate(sn_store *s, sn_diags *diags) {
  const sn_plan *p = s->runtime->plan;
  for (int i = 0; i < p->slot_count; i++) {
    if (!sn_rt_persistent(p->slot[i].role)) continue;
    s->data[i] = sn_rt_alloc(s->runtime, s->bytes[i]);
    if (!s->data[i]) return sn_rt_no_memory(diags, p->slot[i].name, s->bytes[i]);
    if (p->slot[i].role == SN_SLOT_PACKED) continue;
    s->state[i] = SN_RT_BLANK, s->newer[i] = SN_NEWER_HOST;
  }
  return SN_OK;
}

sn_code sn_store_create(sn_runtime *r, uint64_t seed, const int64_t *dims, sn_diags *diags, sn_store **out) {
  size_t slots = (size_t)r->plan->slot_count + 1;
  sn_store *s = calloc(1, sizeof *s);
  if (!s) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  s->runtime = r, s->seed = seed;
  s->dims = calloc((size_t)r->symbol_count + 1, sizeof *s->dims);
  s->data = calloc(slots, sizeof *s->data);
  s->bytes = calloc(slots, sizeof *s->bytes);
  s->reference = calloc(slots, sizeof *s->reference);
  s->newer = calloc(slots, sizeof *s->newer);
  s->state = calloc(slots, sizeof *s->state);
  sn_code code = SN_OK;
  if (!s->dims || !s->data || !s->bytes || !s->reference || !s->newer || !s->state)
    code = sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  for (int i = 0; i < r->symbol_count && !code; i++)
    s->dims[i] = dims && dims[i] >= 0 ? dims[i] : sn_dimx_max_value(sn_types_symbol(r->plan->types, i));
  if (!code) code = measure(s, r, diags);
  if (!code) code = allocate(s, diags);
  if (!code && r->device) code = r->device->type->store_create(r->device, s, diags, &s->device);
  if (code) {
    sn_store_destroy(s);
    return code;
  }
  *out = s;
  return SN_OK;
}

void sn_store_destroy(sn_store *s) {
  if (!s) return;
  if (s->device) s->runtime->device->type->store_destroy(s->runtime->device, s->device);
  for (int i = 0; s->data && s->state && i < s->runtime->plan->slot_count; i++)
    if (s->state[i] != SN_RT_LENT) sn_block_free(s->data[i]);
  free(s->dims);
  free(s->data);
  free(s->bytes);
  free(s->reference);
  free(s->newer);
  free(s->state);
  free(s);
}

/* ---- access ------------------------------------------------------------------------------------- */

static bool is_there(const sn_store *s, int slot) {
  return slot >= 0 && slot < s->runtime->plan->slot_count && s->data[slot];
}

int64_t sn_store_bytes(const sn_store *s, int slot) { return is_there(s, slot) ? s->bytes[slot] : 0; }

const void *sn_store_read(sn_store *s, int slot, int64_t *bytes) {
  bool there = is_there(s, slot);
  if (there) sn_rt_settle(s, slot);
  if (there && s->newer[slot] == SN_NEWER_DEVICE) {
    struct sn_device *d = s->runtime->device;
    there = d->type->pull(d, s, slot, NULL) == SN_OK;
    if (there) s->newer[slot] = SN_NEWER_NONE;
  }
  if (bytes) *bytes = there ? s->bytes[slot] : 0;
  return there ? s->data[slot] : NULL;
}

/* Memory of the store's own in place of what it was lent; its content is left open. */
static bool own(sn_store *s, int slot) {
  if (s->state[slot] != SN_RT_LENT) return true;
  void *data = sn_rt_alloc(s->runtime, s->bytes[slot]);
  if (!data) return false;
  s->data[slot] = data, s->state[slot] = SN_RT_OWN;
  return true;
}

void *sn_store_data(sn_store *s, int slot, int64_t *bytes) {
  const void *now = sn_store_read(s, slot, bytes);
  if (!now || !own(s, slot)) return NULL;
  if (now != s->data[slot] && s->bytes[slot]) memcpy(s->data[slot], now, (size_t)s->bytes[slot]);
  if (s->device) s->newer[slot] = SN_NEWER_HOST;
  return s->data[slot];
}

void *sn_store_overwrite(sn_store *s, int slot, int64_t *bytes) {
  bool there = is_there(s, slot) && own(s, slot);
  if (bytes) *bytes = there ? s->bytes[slot] : 0;
  if (!there) return NULL;
  if (s->state[slot] == SN_RT_BLANK) s->state[slot] = SN_RT_OWN;
  s->newer[slot] = SN_NEWER_HOST;
  return s->data[slot];
}

/* ---- lending ------------------------------------------------------------------------------------ */

static bool writes(const sn_step *s, int slot) {
  if (s->kind == SN_STEP_HOST) return true; /* it may write all */
  if (s->kind == SN_STEP_COPY || s->kind == SN_STEP_SWAP) return s->to == slot || s->from == slot;
  for (int k = 0; k < s->arg_count; k++)
    if (s->arg[k].is_slot && s->arg[k].index == slot && (s->writes >> k & 1)) return true;
  return false;
}

/* Does a step write the slot, or share its storage? */
static bool is_written(const sn_plan *p, int slot) {
  for (int i = 0; i < p->slot_count; i++)
    if (p->slot[i].alias == slot) return true;
  for (int i = 0; i < p->prepare_count; i++)
    if (writes(&p->prepare[i], slot)) return true;
  for (int g = 0; g < p->graph_count; g++)
    for (int i = 0; i < p->graph[g].step_count; i++)
      if (writes(&p->graph[g].step[i], slot)) return true;
  return false;
}

bool sn_store_lend(sn_store *s, int slot, const void *data) {
  const sn_plan *p = s->runtime->plan;
  if (!is_there(s, slot) || p->slot[slot].role != SN_SLOT_PARAM || p->slot[slot].alias >= 0) return false;
  if ((uintptr_t)data % SN_RT_ALIGN || is_written(p, slot)) return false;
  if (s->state[slot] != SN_RT_LENT) sn_block_free(s->data[slot]);
  s->data[slot] = (void *)data; /* never written: see is_written and own */
  s->state[slot] = SN_RT_LENT, s->newer[slot] = SN_NEWER_HOST;
  return true;
}

void sn_store_set_reference(sn_store *s, int slot) { s->reference[slot] = true; }

bool sn_store_owns(const sn_store *s, int slot) {
  sn_slot_role role = s->runtime->plan->slot[slot].role;
  return (role == SN_SLOT_PARAM || role == SN_SLOT_STATE) && !s->reference[slot];
}

sn_tally *sn_store_tally(sn_store *s) { return &s->tally; }

const int64_t *sn_store_dims(const sn_store *s) { return s->dims; }

void sn_store_touch(sn_store *s) { s->prepared = false; }

void sn_store_reset(sn_store *s, const char *pattern) {
  const sn_plan *p = s->runtime->plan;
  for (int i = 0; i < p->slot_count; i++) {
    bool reset = p->slot[i].role == SN_SLOT_STATE && sn_pattern_match(pattern, p->slot[i].name);
    if (!reset || s->state[i] == SN_RT_BLANK) continue;
    memset(s->data[i], 0, (size_t)s->bytes[i]);
    s->newer[i] = SN_NEWER_HOST;
    draw(s, i);
  }
}
