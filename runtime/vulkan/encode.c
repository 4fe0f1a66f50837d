/* Commands -> command buffers: dispatches with their push constants, copies, barriers, times, flags for the host. */
#include <stdlib.h>
#include <string.h>

#include "runtime/vulkan/inside.h"

typedef struct encoder {
  sn_vk *v;
  const sn_bound *b;
  const sn_step *steps;
  sn_vk_recording *rec;
  VkCommandBuffer to;
  VkPipeline bound;     /* pipeline that is bound, to leave out what is */
  int64_t table_offset; /* of the next table of arguments, bytes */
} encoder;

int sn_vk_query_first(const sn_vk_recording *rec, int k) { return rec->timed ? rec->part[k].first + k : 2 * k; }
int sn_vk_query_count(const sn_vk_recording *rec, int k) { return rec->timed ? rec->part[k].count + 1 : 2; }

static void stamp(const encoder *e, int query) {
  if (e->rec->times)
    e->v->f.vkCmdWriteTimestamp(e->to, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, e->rec->times, (uint32_t)query);
}

/* ---- dispatches and copies --------------------------------------------------------------------------------------- */

static void groups_of(const encoder *e, const sn_step *s, int64_t total, uint32_t *x, uint32_t *y) {
  int64_t most = e->v->pipeline[s->code].groups;
  if (most && total > most) total = most;
  *x = (uint32_t)(total < SN_VK_GROUPS ? total : SN_VK_GROUPS);
  int64_t rows = (total + *x - 1) / *x;
  *y = (uint32_t)(rows < SN_VK_GROUPS ? rows : SN_VK_GROUPS);
}

static void dispatch(encoder *e, int step) {
  const sn_step *s = &e->steps[step];
  const sn_bound_step *b = &e->b->step[step];
  const uint64_t *arg = e->v->arg + b->first_arg;
  const sn_vk_pipeline *p = &e->v->pipeline[s->code];
  uint64_t push[2 + SN_VK_PUSH_ARGS] = {(uint64_t)b->instances, p->groups ? e->v->workspace.address : 0};
  uint32_t x, y, words = 3;
  if (s->arg_count > SN_VK_PUSH_ARGS) {
    push[2] = e->rec->table.address + (uint64_t)e->table_offset;
    e->table_offset += 8 * (int64_t)s->arg_count;
  } else {
    memcpy(push + 2, arg, (size_t)s->arg_count * 8);
    words = 2 + (uint32_t)s->arg_count;
  }
  if (e->bound != p->handle) e->v->f.vkCmdBindPipeline(e->to, VK_PIPELINE_BIND_POINT_COMPUTE, p->handle);
  e->bound = p->handle;
  e->v->f.vkCmdPushConstants(e->to, e->v->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, words * 8, push);
  groups_of(e, s, b->instances, &x, &y);
  e->v->f.vkCmdDispatch(e->to, x, y, 1);
}

static void copy(const encoder *e, int step) {
  const sn_step *s = &e->steps[step];
  const sn_vk_place *from = &e->v->place[s->from], *to = &e->v->place[s->to];
  int64_t bytes = e->b->bytes[s->from] < e->b->bytes[s->to] ? e->b->bytes[s->from] : e->b->bytes[s->to];
  const VkBufferCopy region = {(VkDeviceSize)(from->block->base + from->offset),
                               (VkDeviceSize)(to->block->base + to->offset), (VkDeviceSize)bytes};
  e->v->f.vkCmdCopyBuffer(e->to, from->block->buffer, to->block->buffer, 1, &region);
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

/* Flags that control steps read, to where the host sees them. */
static void copy_flags(const encoder *e) {
  if (!e->rec->flag_count) return;
  sn_vk_barrier(e->v, e->to, false);
  for (int i = 0; i < e->rec->flag_count; i++) {
    const sn_vk_place *from = &e->v->place[e->rec->flag[i]];
    const VkBufferCopy region = {(VkDeviceSize)(from->block->base + from->offset), 4 * (VkDeviceSize)e->rec->flag[i],
                                 1};
    e->v->f.vkCmdCopyBuffer(e->to, from->block->buffer, e->v->flags.buffer, 1, &region);
  }
}

static sn_code encode_part(encoder *e, int k, sn_diags *diags) {
  const sn_vk_part *p = &e->rec->part[k];
  const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  int query = sn_vk_query_first(e->rec, k);
  e->to = p->buffer, e->bound = VK_NULL_HANDLE;
  SN_VK_TRY(e->v, diags, e->v->f.vkBeginCommandBuffer(e->to, &begin));
  if (e->rec->times)
    e->v->f.vkCmdResetQueryPool(e->to, e->rec->times, (uint32_t)query, (uint32_t)sn_vk_query_count(e->rec, k));
  sn_vk_barrier(e->v, e->to, false);
  stamp(e, query++);
  for (int i = p->first; i < p->first + p->count; i++) {
    const sn_command *c = &e->rec->commands.at[i];
    if (c->barrier && i > p->first) sn_vk_barrier(e->v, e->to, false);
    if (e->steps[c->step].kind == SN_STEP_COPY)
      copy(e, c->step);
    else
      dispatch(e, c->step);
    if (e->rec->timed) stamp(e, query++);
  }
  if (!e->rec->timed) stamp(e, query);
  if (k == e->rec->part_count - 1) copy_flags(e);
  sn_vk_barrier(e->v, e->to, true);
  SN_VK_TRY(e->v, diags, e->v->f.vkEndCommandBuffer(e->to));
  return SN_OK;
}

static sn_code create_queries(sn_vk *v, sn_vk_recording *rec, sn_diags *diags) {
  int last = rec->part_count - 1;
  const VkQueryPoolCreateInfo info = {
      .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
      .queryType = VK_QUERY_TYPE_TIMESTAMP,
      .queryCount = (uint32_t)(sn_vk_query_first(rec, last) + sn_vk_query_count(rec, last))};
  if (v->facts.timestamp_ns <= 0) return SN_OK;
  SN_VK_TRY(v, diags, v->f.vkCreateQueryPool(v->handle, &info, NULL, &rec->times));
  return SN_OK;
}

sn_code sn_vk_encode(sn_vk *v, const sn_bound *b, const sn_step *steps, sn_vk_recording *rec, sn_diags *diags) {
  encoder e = {.v = v, .b = b, .steps = steps, .rec = rec};
  SN_TRY(create_queries(v, rec, diags));
  for (int k = 0; k < rec->part_count; k++) {
    SN_TRY(sn_vk_buffers(v, 1, &rec->part[k].buffer, diags));
    SN_TRY(encode_part(&e, k, diags));
  }
  return SN_OK;
}
