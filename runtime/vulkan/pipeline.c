/* Code blobs -> compute pipelines, checked against the facts of the device. Several threads share the work: drivers
 * take up to seconds for one. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/vulkan/inside.h"

enum { SPIRV_MAGIC = 0x07230203, SPIRV_HEADER = 20, MAKERS_MAX = 16 };

/* ---- what a blob needs ------------------------------------------------------------------------------------------- */

static sn_code bad_blob(const sn_code_blob *b, sn_diags *diags, const char *why) {
  return sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "code of kernel %s: %s", b->name, why);
}

static sn_code check_blob(const sn_vk *v, const sn_code_blob *b, sn_diags *diags) {
  char missing[SN_VULKAN_WORD];
  uint32_t magic;
  if (b->kind != SN_CODE_SPIRV)
    return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "code of kernel %s is not for this device", b->name);
  if (b->byte_count < SPIRV_HEADER || b->byte_count % 4) return bad_blob(b, diags, "it is no SPIR-V module");
  memcpy(&magic, b->bytes, sizeof magic);
  if (magic != SPIRV_MAGIC) return bad_blob(b, diags, "it is no SPIR-V module");
  if (b->entry < 1) return bad_blob(b, diags, "a workgroup of no invocations");
  if (!sn_vulkan_facts_allow(&v->facts, b->features, missing)) {
    sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "%s lacks %s, which the code of kernel %s needs", v->facts.name, missing,
            b->name);
    sn_fail_expected(diags, "%s", b->features);
    return SN_ERR_DEVICE;
  }
  if (b->entry <= v->facts.invocations) return SN_OK;
  sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "%s runs at most %" PRId64 " invocations in a workgroup", v->facts.name,
          v->facts.invocations);
  sn_fail_found(diags, "%" PRId64 " of kernel %s", b->entry, b->name);
  return SN_ERR_DEVICE;
}

/* Host steps have no data on this side. */
static sn_code check_steps(const sn_vk *v, sn_diags *diags) {
  const sn_plan *p = v->r->plan;
  for (int g = 0; g < p->graph_count; g++)
    for (int i = 0; i < p->graph[g].step_count; i++)
      if (p->graph[g].step[i].kind == SN_STEP_HOST)
        return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "graph %s has a host step, which a Vulkan device cannot run",
                       p->graph[g].name);
  return SN_OK;
}

/* Workgroups of a kernel that may run at once: each has its own workspace. */
static int64_t groups_of(const sn_code_blob *b) {
  int64_t n = b->workspace_bytes ? SN_VK_WORKSPACE_MOST / b->workspace_bytes : 0;
  if (!b->workspace_bytes) return 0;
  return n < 1 ? 1 : n < SN_VK_GROUPS ? n : SN_VK_GROUPS;
}

static uint32_t subgroup_of(const sn_vk *v, const sn_code_blob *b) {
  const char *at = b->features ? strstr(b->features, "subgroup=") : NULL;
  return at && v->facts.size_control ? (uint32_t)strtoul(at + 9, NULL, 10) : 0;
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

typedef struct making {
  sn_vk *v;
  atomic_int next, failed; /* blob; VkResult of the first failure */
  atomic_int failed_blob;
} making;

static VkResult make(sn_vk *v, const sn_code_blob *b, VkPipeline *out) {
  uint32_t subgroup = subgroup_of(v, b);
  VkShaderModule module;
  uint32_t *words = malloc((size_t)b->byte_count); /* aligned, which bytes of a plan are not */
  if (!words) return VK_ERROR_OUT_OF_HOST_MEMORY;
  memcpy(words, b->bytes, (size_t)b->byte_count);
  const VkShaderModuleCreateInfo code = {
      .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = (size_t)b->byte_count, .pCode = words};
  VkResult r = v->f.vkCreateShaderModule(v->handle, &code, NULL, &module);
  free(words);
  if (r < 0) return r;
  const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
      .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
      .requiredSubgroupSize = subgroup};
  bool full = subgroup && v->facts.full_subgroups && b->entry % subgroup == 0;
  const VkPipelineShaderStageCreateInfo stage = {
      .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
      .pNext = subgroup ? &size : NULL,
      .flags = full ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
      .stage = VK_SHADER_STAGE_COMPUTE_BIT,
      .module = module,
      .pName = "main"};
  const VkComputePipelineCreateInfo info = {
      .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO, .stage = stage, .layout = v->layout};
  r = v->f.vkCreateComputePipelines(v->handle, v->cache, 1, &info, NULL, out);
  v->f.vkDestroyShaderModule(v->handle, module, NULL);
  return r;
}

static void *maker(void *arg) {
  making *m = arg;
  const sn_plan *p = m->v->r->plan;
  for (int i; (i = atomic_fetch_add(&m->next, 1)) < p->code_count && !atomic_load(&m->failed);) {
    VkResult r = make(m->v, &p->code[i], &m->v->pipeline[i].handle);
    if (r < 0) atomic_store(&m->failed_blob, i), atomic_store(&m->failed, (int)r);
  }
  return NULL;
}

static void make_all(making *m) {
  pthread_t helper[MAKERS_MAX];
  int count = 0, most = m->v->r->threads < MAKERS_MAX ? m->v->r->threads : MAKERS_MAX;
  while (count + 1 < most && count + 1 < m->v->r->plan->code_count && !pthread_create(&helper[count], NULL, maker, m))
    count++;
  maker(m);
  for (int i = 0; i < count; i++) pthread_join(helper[i], NULL);
}

static sn_code create_workspace(sn_vk *v, sn_diags *diags) {
  int64_t most = 0;
  for (int i = 0; i < v->r->plan->code_count; i++) {
    const sn_code_blob *b = &v->r->plan->code[i];
    int64_t bytes = groups_of(b) * b->workspace_bytes;
    v->pipeline[i].groups = groups_of(b);
    if (bytes > most) most = bytes;
  }
  return most ? sn_vk_block_create(v, most, SN_VK_LOCAL, "the workspace of kernels", diags, &v->workspace) : SN_OK;
}

sn_code sn_vk_pipelines_create(sn_vk *v, sn_diags *diags) {
  const sn_plan *p = v->r->plan;
  making m = {.v = v};
  SN_TRY(check_steps(v, diags));
  for (int i = 0; i < p->code_count; i++) SN_TRY(check_blob(v, &p->code[i], diags));
  v->pipeline = calloc((size_t)p->code_count + 1, sizeof *v->pipeline);
  if (!v->pipeline) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  sn_vk_cache_load(v);
  make_all(&m);
  if (atomic_load(&m.failed)) {
    sn_code code = sn_vk_fail(v, diags, (VkResult)atomic_load(&m.failed), "vkCreateComputePipelines");
    sn_fail_note(diags, "the code is that of kernel %s", p->code[atomic_load(&m.failed_blob)].name);
    return code;
  }
  sn_vk_cache_store(v);
  return create_workspace(v, diags);
}

void sn_vk_pipelines_destroy(sn_vk *v) {
  for (int i = 0; v->pipeline && i < v->r->plan->code_count; i++)
    v->f.vkDestroyPipeline(v->handle, v->pipeline[i].handle, NULL);
  if (v->cache) v->f.vkDestroyPipelineCache(v->handle, v->cache, NULL);
  free(v->pipeline);
}
