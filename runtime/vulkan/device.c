/* The Vulkan device of a runtime: creation, storage of stores, and what the runtime calls. */
#include <stdlib.h>
#include <string.h>

#include "runtime/vulkan/inside.h"
#include "runtime/vulkan/vulkan.h"

/* ---- stores ------------------------------------------------------------------------------------------------------ */

static void store_destroy(sn_device *d, sn_device_store *s) {
  sn_vk *v = (sn_vk *)d;
  if (!s) return;
  if (!v->lost && sn_vk_settle(v, NULL)) v->lost = true;
  v->f.vkDeviceWaitIdle(v->handle); /* returns as well when the device is lost */
  v->running_count = 0;
  sn_vk_recordings_drop(v); /* they may name its blocks */
  for (int i = 0; i < s->block_count; i++) sn_vk_block_destroy(v, &s->block[i]);
  free(s->block);
  free(s->place);
  free(s);
}

/* Places of the slots, block after block; block[].bytes says how much each needs. */
static void place_slots(const sn_vk *v, const sn_store *s, sn_device_store *x) {
  const sn_plan *p = v->r->plan;
  for (int i = 0; i < p->slot_count; i++) {
    if (!sn_rt_persistent(p->slot[i].role)) continue;
    int64_t bytes = (s->bytes[i] + SN_RT_SLACK + SN_VK_ALIGN - 1) / SN_VK_ALIGN * SN_VK_ALIGN;
    sn_vk_block *b = x->block_count ? &x->block[x->block_count - 1] : NULL;
    if (!b || bytes > v->facts.allocation_bytes - SN_VK_ALIGN - b->bytes) b = &x->block[x->block_count++];
    x->place[i] = (sn_vk_place){b, b->bytes};
    b->bytes += bytes;
  }
}

static sn_code create_blocks(sn_vk *v, sn_device_store *x, sn_diags *diags) {
  for (int i = 0; i < x->block_count; i++)
    SN_TRY(sn_vk_block_create(v, x->block[i].bytes, SN_VK_LOCAL, "parameters and states", diags, &x->block[i]));
  return SN_OK;
}

static sn_code store_create(sn_device *d, const sn_store *s, sn_diags *diags, sn_device_store **out) {
  sn_vk *v = (sn_vk *)d;
  size_t slots = (size_t)v->r->plan->slot_count + 1;
  sn_device_store *x = calloc(1, sizeof *x);
  if (x) x->place = calloc(slots, sizeof *x->place);
  if (x) x->block = calloc(slots, sizeof *x->block);
  bool whole = x && x->place && x->block;
  sn_code code = whole ? SN_OK : sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  if (!code) place_slots(v, s, x);
  if (!code) code = create_blocks(v, x, diags);
  if (code) {
    store_destroy(d, x);
    return code;
  }
  *out = x;
  return SN_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static sn_code fetch(sn_vk *v, sn_vk_place from, void *to, int64_t bytes, sn_diags *diags) {
  if (v->lost) return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "%s was lost in an earlier run", v->facts.name);
  SN_TRY(sn_vk_settle(v, diags));
  SN_TRY(sn_vk_download(v, from, to, bytes, diags));
  return sn_vk_transfers_finish(v, diags);
}

static sn_code pull(sn_device *d, sn_store *s, int slot, sn_diags *diags) {
  return fetch((sn_vk *)d, s->device->place[slot], s->data[slot], s->bytes[slot], diags);
}

static int64_t bytes_of(const sn_device *d, int slot) {
  const sn_vk *v = (const sn_vk *)d;
  return v->bound && v->place[slot].block ? v->bound->bytes[slot] : -1;
}

static sn_code read_slot(sn_device *d, int slot, void *to, sn_diags *diags) {
  sn_vk *v = (sn_vk *)d;
  if (!v->bound || !v->place[slot].block)
    return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "%s is not of the newest run", v->r->plan->slot[slot].name);
  return fetch(v, v->place[slot], to, v->bound->bytes[slot], diags);
}

/* ---- create ------------------------------------------------------------------------------------------------------ */

static void destroy(sn_device *d) {
  sn_vk *v = (sn_vk *)d;
  if (!v) return;
  if (v->handle) {
    v->f.vkDeviceWaitIdle(v->handle);
    sn_vk_recordings_drop(v);
    sn_vk_pipelines_destroy(v);
    sn_vk_block_destroy(v, &v->temps);
    sn_vk_block_destroy(v, &v->workspace);
    sn_vk_block_destroy(v, &v->flags);
    sn_vk_block_destroy(v, &v->staging);
    sn_vk_block_destroy(v, &v->arena);
  }
  sn_vk_close(v);
  free(v->flag_known);
  free(v->place);
  free(v->arg);
  free(v->parent);
  free(v->rounds);
  free(v);
}

static const sn_device_type type = {.name = "vulkan",
                                    .destroy = destroy,
                                    .store_create = store_create,
                                    .store_destroy = store_destroy,
                                    .pull = pull,
                                    .run = sn_vk_run,
                                    .bytes = bytes_of,
                                    .read = read_slot};

static sn_code create(sn_vk *v, sn_diags *diags) {
  size_t slots = (size_t)v->r->plan->slot_count + 1;
  v->validates = sn_vk_checks_wanted() != SN_VK_CHECKS_NONE;
  v->one_block = sn_vk_checks_wanted() == SN_VK_CHECKS_GPU;
  v->flag_known = calloc(slots, sizeof *v->flag_known);
  v->place = calloc(slots, sizeof *v->place);
  if (!v->flag_known || !v->place) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  v->complaints = sn_vk_instance_complaints().count;
  SN_TRY(sn_vk_open(v, diags));
  SN_TRY(sn_vk_block_create(v, 4 * (int64_t)slots, SN_VK_HOST, "flags", diags, &v->flags));
  SN_TRY(sn_vk_pipelines_create(v, diags));
  return sn_vk_complaints_check(v, diags);
}

sn_code sn_vulkan_device_create(sn_runtime *r, sn_diags *diags, sn_device **out) {
  sn_vk *v = calloc(1, sizeof *v);
  if (!v) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  v->device.type = &type;
  v->r = r;
  sn_code code = create(v, diags);
  if (code) {
    destroy(&v->device);
    return code;
  }
  *out = &v->device;
  return SN_OK;
}
