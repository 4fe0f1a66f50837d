/* The logical device with what its facts name, one queue, and a timeline on which every submission has its tick. */
#include <string.h>

#include "runtime/vulkan/inside.h"

/* ---- failures ---------------------------------------------------------------------------------------------------- */

sn_code sn_vk_fail(sn_vk *v, sn_diags *diags, VkResult r, const char *call) {
  int name = (int)strcspn(call, "("); /* "v->f.vkQueueSubmit(...)" */
  const char *at = strstr(call, "vk");
  bool memory = r == VK_ERROR_OUT_OF_DEVICE_MEMORY || r == VK_ERROR_OUT_OF_HOST_MEMORY;
  sn_code code = memory ? SN_ERR_LIMIT : SN_ERR_DEVICE;
  if (at && at < call + name) name -= (int)(at - call), call = at;
  if (r == VK_ERROR_DEVICE_LOST) v->lost = true;
  sn_fail(diags, code, (sn_loc){0}, "%s: %.*s says %s", v->facts.name, name, call, sn_vk_result_name(r));
  if (v->last) sn_fail_note(diags, "the kernel that was submitted last is %s", v->last);
  return code;
}

/* Layers keep the text of their first message only: later ones follow from it more often than not. */
sn_code sn_vk_complaints_check(sn_vk *v, sn_diags *diags) {
  if (!v->validates) return SN_OK;
  sn_vk_complaints c = sn_vk_instance_complaints();
  if (c.count <= v->complaints) return SN_OK;
  v->complaints = c.count;
  return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "validation layers: %d messages, the first: %s", c.count, c.first);
}

/* ---- logical device ---------------------------------------------------------------------------------------------- */

typedef struct wanted {
  sn_vk_features f;
  const char *extension[8];
  uint32_t extension_count;
} wanted;

/* 1.3 has it; 1.2 as an extension. */
static void need(wanted *w, const sn_vulkan_facts *f, const char *extension, bool core) {
  if (!core || f->api[1] < 3) w->extension[w->extension_count++] = extension;
}

static void want_later(wanted *w, const sn_vulkan_facts *f) {
  if (f->size_control || f->full_subgroups) {
    SN_VK_CHAIN(&w->f.base, w->f.size, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES);
    w->f.size.subgroupSizeControl = f->size_control, w->f.size.computeFullSubgroups = f->full_subgroups;
    need(w, f, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, true);
  }
  if (f->sync2) {
    SN_VK_CHAIN(&w->f.base, w->f.sync2, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SYNCHRONIZATION_2_FEATURES);
    w->f.sync2.synchronization2 = true;
    need(w, f, VK_KHR_SYNCHRONIZATION_2_EXTENSION_NAME, true);
  }
  if (f->explicit_shared) {
    SN_VK_CHAIN(&w->f.base, w->f.shared,
                VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_FEATURES_KHR);
    w->f.shared.workgroupMemoryExplicitLayout = true;
    need(w, f, VK_KHR_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_EXTENSION_NAME, false);
  }
  if (f->matrix_count) {
    SN_VK_CHAIN(&w->f.base, w->f.matrix, SN_VK_MATRIX_FEATURES);
    w->f.matrix.matrix = true;
    need(w, f, "VK_KHR_cooperative_matrix", false);
  }
}

static bool has_bf16_matrix(const sn_vulkan_facts *f) {
  for (int64_t i = 0; i < f->matrix_count; i++)
    if (!strcmp(f->matrix[i].a, "bf16")) return true;
  return false;
}

/* Only what the facts name is switched on: code that uses more than it asked for is seen by the validation layers. */
static void want(wanted *w, const sn_vulkan_facts *f) {
  *w = (wanted){.f.base.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  SN_VK_CHAIN(&w->f.base, w->f.v11, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES);
  SN_VK_CHAIN(&w->f.base, w->f.v12, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
  w->f.base.features.shaderInt64 = f->int64;
  w->f.base.features.shaderInt16 = f->int16;
  w->f.base.features.shaderFloat64 = f->float64;
  w->f.v11.storageBuffer16BitAccess = f->storage16;
  w->f.v12.storageBuffer8BitAccess = f->storage8;
  w->f.v12.shaderInt8 = f->int8;
  w->f.v12.shaderFloat16 = f->float16;
  w->f.v12.vulkanMemoryModel = f->memory_model;
  w->f.v12.vulkanMemoryModelDeviceScope = f->memory_model_device;
  w->f.v12.bufferDeviceAddress = true;
  w->f.v12.timelineSemaphore = true;
  want_later(w, f);
  if (!f->bf16) return;
  SN_VK_CHAIN(&w->f.base, w->f.bf16, SN_VK_BF16_FEATURES);
  w->f.bf16.type = true;
  w->f.bf16.matrix = has_bf16_matrix(f);
  need(w, f, "VK_KHR_shader_bfloat16", false);
}

/* A queue that computes; one without graphics first. */
static uint32_t family_of(VkPhysicalDevice d) {
  VkQueueFamilyProperties q[32];
  uint32_t count = 32, best = 0;
  bool any = false;
  vkGetPhysicalDeviceQueueFamilyProperties(d, &count, q);
  for (uint32_t i = 0; i < count; i++) {
    if (!(q[i].queueFlags & VK_QUEUE_COMPUTE_BIT)) continue;
    if (!any) best = i;
    any = true;
    if (!(q[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) && q[i].timestampValidBits) return i;
  }
  return best;
}

static sn_code create_device(sn_vk *v, sn_diags *diags) {
  wanted w;
  const float priority = 1;
  want(&w, &v->facts);
  v->family = family_of(v->physical);
  v->budget = sn_vk_has_extension(v->physical, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  const VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                         .queueFamilyIndex = v->family,
                                         .queueCount = 1,
                                         .pQueuePriorities = &priority};
  const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                   .pNext = &w.f.base,
                                   .queueCreateInfoCount = 1,
                                   .pQueueCreateInfos = &queue,
                                   .enabledExtensionCount = w.extension_count,
                                   .ppEnabledExtensionNames = w.extension};
  SN_VK_TRY(v, diags, vkCreateDevice(v->physical, &info, NULL, &v->handle));
  volkLoadDeviceTable(&v->f, v->handle);
  if (!v->f.vkCmdPipelineBarrier2) v->f.vkCmdPipelineBarrier2 = v->f.vkCmdPipelineBarrier2KHR;
  v->f.vkGetDeviceQueue(v->handle, v->family, 0, &v->queue);
  vkGetPhysicalDeviceMemoryProperties(v->physical, &v->heaps);
  return SN_OK;
}

static sn_code create_parts(sn_vk *v, sn_diags *diags) {
  const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                          .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
  const VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
  const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                        .queueFamilyIndex = v->family};
  const VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, SN_VK_PUSH};
  const VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                             .pushConstantRangeCount = 1,
                                             .pPushConstantRanges = &range};
  SN_VK_TRY(v, diags, v->f.vkCreateSemaphore(v->handle, &semaphore, NULL, &v->timeline));
  SN_VK_TRY(v, diags, v->f.vkCreateCommandPool(v->handle, &pool, NULL, &v->pool));
  SN_VK_TRY(v, diags, v->f.vkCreatePipelineLayout(v->handle, &layout, NULL, &v->layout));
  return SN_OK;
}

sn_code sn_vk_open(sn_vk *v, sn_diags *diags) {
  SN_TRY(sn_vk_instance(diags, &v->instance));
  SN_TRY(sn_vk_choose(v->instance, diags, &v->physical, &v->facts));
  SN_TRY(create_device(v, diags));
  return create_parts(v, diags);
}

void sn_vk_close(sn_vk *v) {
  if (!v->handle) return;
  v->f.vkDestroyPipelineLayout(v->handle, v->layout, NULL);
  v->f.vkDestroyCommandPool(v->handle, v->pool, NULL);
  v->f.vkDestroySemaphore(v->handle, v->timeline, NULL);
  v->f.vkDestroyDevice(v->handle, NULL);
}

/* ---- submissions ------------------------------------------------------------------------------------------------- */

sn_code sn_vk_submit(sn_vk *v, VkCommandBuffer buffer, sn_diags *diags) {
  const uint64_t tick = v->tick + 1;
  const VkTimelineSemaphoreSubmitInfo times = {.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
                                               .signalSemaphoreValueCount = 1,
                                               .pSignalSemaphoreValues = &tick};
  const VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                             .pNext = &times,
                             .commandBufferCount = 1,
                             .pCommandBuffers = &buffer,
                             .signalSemaphoreCount = 1,
                             .pSignalSemaphores = &v->timeline};
  SN_VK_TRY(v, diags, v->f.vkQueueSubmit(v->queue, 1, &info, VK_NULL_HANDLE));
  v->tick = tick;
  return SN_OK;
}

sn_code sn_vk_wait(sn_vk *v, uint64_t tick, sn_diags *diags) {
  if (tick <= v->seen) return SN_OK;
  const VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                    .semaphoreCount = 1,
                                    .pSemaphores = &v->timeline,
                                    .pValues = &tick};
  SN_VK_TRY(v, diags, v->f.vkWaitSemaphores(v->handle, &info, UINT64_MAX));
  v->seen = tick;
  return SN_OK;
}

sn_code sn_vk_buffers(sn_vk *v, int count, VkCommandBuffer *out, sn_diags *diags) {
  const VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = v->pool,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = (uint32_t)count};
  SN_VK_TRY(v, diags, v->f.vkAllocateCommandBuffers(v->handle, &info, out));
  return SN_OK;
}

static void barrier_1(const sn_vk *v, VkCommandBuffer buffer, bool host) {
  const VkPipelineStageFlags work = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
  const VkAccessFlags reads = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT,
                      writes = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  const VkMemoryBarrier m = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                             .srcAccessMask = writes,
                             .dstAccessMask = host ? VK_ACCESS_HOST_READ_BIT : reads | writes};
  v->f.vkCmdPipelineBarrier(buffer, work, host ? VK_PIPELINE_STAGE_HOST_BIT : work, 0, 1, &m, 0, NULL, 0, NULL);
}

static void barrier_2(const sn_vk *v, VkCommandBuffer buffer, bool host) {
  const VkPipelineStageFlags2 work = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT;
  const VkAccessFlags2 reads = VK_ACCESS_2_SHADER_READ_BIT | VK_ACCESS_2_TRANSFER_READ_BIT,
                       writes = VK_ACCESS_2_SHADER_WRITE_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT;
  const VkMemoryBarrier2 m = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
                              .srcStageMask = work,
                              .srcAccessMask = writes,
                              .dstStageMask = host ? VK_PIPELINE_STAGE_2_HOST_BIT : work,
                              .dstAccessMask = host ? VK_ACCESS_2_HOST_READ_BIT : reads | writes};
  const VkDependencyInfo info = {
      .sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO, .memoryBarrierCount = 1, .pMemoryBarriers = &m};
  v->f.vkCmdPipelineBarrier2(buffer, &info);
}

void sn_vk_barrier(const sn_vk *v, VkCommandBuffer buffer, bool host) {
  if (v->facts.sync2)
    barrier_2(v, buffer, host);
  else
    barrier_1(v, buffer, host);
}
