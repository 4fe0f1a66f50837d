/* Host memory <-> places of the device: directly where the host sees them, else in turns through two halves of staging
 * memory, one of which is copied by the device while the host works on the other. */
#include <string.h>

#include "runtime/vulkan/inside.h"

/* ---- lanes ------------------------------------------------------------------------------------------------------- */

static sn_code start(sn_vk *v, sn_diags *diags) {
  if (v->staging.buffer) return SN_OK;
  VkCommandBuffer buffer[SN_VK_LANES];
  SN_TRY(sn_vk_buffers(v, SN_VK_LANES, buffer, diags));
  for (int i = 0; i < SN_VK_LANES; i++) v->lane[i] = (sn_vk_lane){.buffer = buffer[i], .base = (int64_t)i * SN_VK_LANE};
  return sn_vk_block_create(v, (int64_t)SN_VK_LANES * SN_VK_LANE, SN_VK_HOST, "transfers", diags, &v->staging);
}

/* Waits for the lane's submission and hands out what it downloaded. */
static sn_code settle(sn_vk *v, sn_vk_lane *l, sn_diags *diags) {
  SN_TRY(sn_vk_wait(v, l->tick, diags));
  for (int i = 0; i < l->out_count; i++)
    memcpy(l->out[i].to, v->staging.host + l->out[i].from, (size_t)l->out[i].bytes);
  l->out_count = 0, l->used = 0, l->tick = 0;
  return SN_OK;
}

static sn_code submit(sn_vk *v, sn_vk_lane *l, sn_diags *diags) {
  if (!l->open) return SN_OK;
  sn_vk_barrier(v, l->buffer, false);
  sn_vk_barrier(v, l->buffer, true);
  SN_VK_TRY(v, diags, v->f.vkEndCommandBuffer(l->buffer));
  l->open = false;
  SN_TRY(sn_vk_submit(v, l->buffer, diags));
  l->tick = v->tick;
  v->lane_now = (v->lane_now + 1) % SN_VK_LANES;
  return SN_OK;
}

/* The lane of now with room for at least a byte, being recorded. */
static sn_code lane_open(sn_vk *v, sn_diags *diags, sn_vk_lane **out) {
  SN_TRY(start(v, diags));
  sn_vk_lane *l = &v->lane[v->lane_now];
  if (l->open && (l->used >= SN_VK_LANE || l->out_count == (int)(sizeof l->out / sizeof *l->out)))
    SN_TRY(submit(v, l, diags));
  l = &v->lane[v->lane_now];
  if (!l->open) {
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    SN_TRY(settle(v, l, diags));
    SN_VK_TRY(v, diags, v->f.vkBeginCommandBuffer(l->buffer, &begin));
    sn_vk_barrier(v, l->buffer, false);
    l->open = true;
  }
  *out = l;
  return SN_OK;
}

static void copy(const sn_vk *v, VkCommandBuffer buffer, VkBuffer from, int64_t from_at, VkBuffer to, int64_t to_at,
                 int64_t bytes) {
  const VkBufferCopy region = {(VkDeviceSize)from_at, (VkDeviceSize)to_at, (VkDeviceSize)bytes};
  v->f.vkCmdCopyBuffer(buffer, from, to, 1, &region);
}

/* ---- public ------------------------------------------------------------------------------------------------------ */

static int64_t piece(const sn_vk_lane *l, int64_t bytes) {
  return bytes < SN_VK_LANE - l->used ? bytes : SN_VK_LANE - l->used;
}

static void take(sn_vk_lane *l, int64_t bytes) { l->used = (l->used + bytes + 15) / 16 * 16; }

sn_code sn_vk_upload(sn_vk *v, sn_vk_place to, const void *from, int64_t bytes, sn_diags *diags) {
  sn_vk_lane *l;
  if (to.block->host) {
    SN_TRY(sn_vk_wait(v, v->tick, diags));
    if (bytes) memcpy(to.block->host + to.offset, from, (size_t)bytes);
    return SN_OK;
  }
  for (int64_t done = 0, n; done < bytes; done += n) {
    SN_TRY(lane_open(v, diags, &l));
    n = piece(l, bytes - done);
    memcpy(v->staging.host + l->base + l->used, (const char *)from + done, (size_t)n);
    copy(v, l->buffer, v->staging.buffer, l->base + l->used, to.block->buffer, to.block->base + to.offset + done, n);
    take(l, n);
  }
  return SN_OK;
}

sn_code sn_vk_download(sn_vk *v, sn_vk_place from, void *to, int64_t bytes, sn_diags *diags) {
  sn_vk_lane *l;
  if (from.block->host) {
    SN_TRY(sn_vk_wait(v, v->tick, diags));
    if (bytes) memcpy(to, from.block->host + from.offset, (size_t)bytes);
    return SN_OK;
  }
  for (int64_t done = 0, n; done < bytes; done += n) {
    SN_TRY(lane_open(v, diags, &l));
    n = piece(l, bytes - done);
    copy(v, l->buffer, from.block->buffer, from.block->base + from.offset + done, v->staging.buffer, l->base + l->used,
         n);
    l->out[l->out_count++] = (sn_vk_out){(char *)to + done, l->base + l->used, n};
    take(l, n);
  }
  return SN_OK;
}

sn_code sn_vk_transfers_flush(sn_vk *v, sn_diags *diags) { return submit(v, &v->lane[v->lane_now], diags); }

sn_code sn_vk_transfers_finish(sn_vk *v, sn_diags *diags) {
  SN_TRY(sn_vk_transfers_flush(v, diags));
  for (int i = 0; i < SN_VK_LANES; i++) SN_TRY(settle(v, &v->lane[i], diags));
  return SN_OK;
}
