/* Storage of one model instance: parameters, states, packed copies. Initial values depend on seed and name only. */
#include <stdlib.h>
#include <string.h>

#include "ir/base/memory.h"
#include "ir/base/rng.h"
#include "runtime/device.h"
#include "runtime/inside.h"

/* ---- elements ----------------------------------------------------------------------------------- */

void *sn_rt_alloc(int64_t bytes) {
  if (bytes < 0 || bytes > INT64_MAX / 2) return NULL;
  return sn_block_alloc(((size_t)bytes + SN_RT_SLACK + SN_RT_ALIGN - 1) / SN_RT_ALIGN * SN_RT_ALIGN);
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

static void initialise(sn_store *s, int slot) {
  const sn_slot *t = &s->runtime->plan->slot[slot];
  int64_t count = s->bytes[slot] / (int64_t)sn_elem_bytes(t->type->elem);
  void *data = s->data[slot];
  sn_rng rng = {.seed = s->seed, .stream = sn_stream_of(t->name)};
  memset(data, 0, (size_t)s->bytes[slot]);
  s->newer[slot] = SN_NEWER_HOST;
  switch (t->init) {
    case SN_INITIAL_NONE: break;
    case SN_INITIAL_FILL:
      if (t->init_a != 0) sn_rt_fill(data, t->type->elem, count, t->init_a);
      break;
    case SN_INITIAL_NORMAL:
      for (int64_t i = 0; i < count; i++) sn_rt_set(data, t->type->elem, i, t->init_a * sn_rng_normal(&rng));
      break;
    case SN_INITIAL_UNIFORM:
      for (int64_t i = 0; i < count; i++) sn_rt_set(data, t->type->elem, i, t->init_a * (2 * sn_rng_f64(&rng) - 1));
      break;
  }
}

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
    s->data[i] = sn_rt_alloc(s->bytes[i]);
    if (!s->data[i]) return sn_rt_no_memory(diags, p->slot[i].name, s->bytes[i]);
    if (p->slot[i].role != SN_SLOT_PACKED) initialise(s, i);
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
  sn_code code = SN_OK;
  if (!s->dims || !s->data || !s->bytes || !s->reference || !s->newer)
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
  for (int i = 0; s->data && i < s->runtime->plan->slot_count; i++) sn_block_free(s->data[i]);
  free(s->dims);
  free(s->data);
  free(s->bytes);
  free(s->reference);
  free(s->newer);
  free(s);
}

/* ---- access ------------------------------------------------------------------------------------- */

int64_t sn_store_bytes(const sn_store *s, int slot) {
  bool there = slot >= 0 && slot < s->runtime->plan->slot_count && s->data[slot];
  return there ? s->bytes[slot] : 0;
}

const void *sn_store_read(sn_store *s, int slot, int64_t *bytes) {
  bool there = slot >= 0 && slot < s->runtime->plan->slot_count && s->data[slot];
  if (there && s->newer[slot] == SN_NEWER_DEVICE) {
    struct sn_device *d = s->runtime->device;
    there = d->type->pull(d, s, slot, NULL) == SN_OK;
    if (there) s->newer[slot] = SN_NEWER_NONE;
  }
  if (bytes) *bytes = there ? s->bytes[slot] : 0;
  return there ? s->data[slot] : NULL;
}

void *sn_store_data(sn_store *s, int slot, int64_t *bytes) {
  if (!sn_store_read(s, slot, bytes)) return NULL;
  if (s->device) s->newer[slot] = SN_NEWER_HOST;
  return s->data[slot];
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
  for (int i = 0; i < p->slot_count; i++)
    if (p->slot[i].role == SN_SLOT_STATE && sn_pattern_match(pattern, p->slot[i].name)) initialise(s, i);
}
