/* A physical device -> its facts: limits, features, cooperative matrices, memory; and why it is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/vulkan/api.h"
#include "runtime/vulkan/facts.h"

typedef struct properties {
  VkPhysicalDeviceProperties2 base;
  VkPhysicalDeviceVulkan11Properties v11;
  VkPhysicalDeviceVulkan12Properties v12;
  VkPhysicalDeviceSubgroupSizeControlProperties size;
} properties;

static bool is_13(VkPhysicalDevice d) {
  VkPhysicalDeviceProperties p;
  vkGetPhysicalDeviceProperties(d, &p);
  return p.apiVersion >= VK_API_VERSION_1_3;
}

static void get_properties(VkPhysicalDevice d, properties *p) {
  *p = (properties){.base.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  SN_VK_CHAIN(&p->base, p->v11, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES);
  SN_VK_CHAIN(&p->base, p->v12, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES);
  if (is_13(d) || sn_vk_has_extension(d, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME))
    SN_VK_CHAIN(&p->base, p->size, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES);
  vkGetPhysicalDeviceProperties2(d, &p->base);
}

static void get_features(VkPhysicalDevice d, sn_vk_features *f) {
  bool v13 = is_13(d);
  *f = (sn_vk_features){.base.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  SN_VK_CHAIN(&f->base, f->v11, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES);
  SN_VK_CHAIN(&f->base, f->v12, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
  if (v13 || sn_vk_has_extension(d, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME))
    SN_VK_CHAIN(&f->base, f->size, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES);
  if (v13 || sn_vk_has_extension(d, VK_KHR_SYNCHRONIZATION_2_EXTENSION_NAME))
    SN_VK_CHAIN(&f->base, f->sync2, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SYNCHRONIZATION_2_FEATURES);
  if (sn_vk_has_extension(d, VK_KHR_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_EXTENSION_NAME))
    SN_VK_CHAIN(&f->base, f->shared, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_FEATURES_KHR);
  if (sn_vk_has_extension(d, "VK_KHR_cooperative_matrix")) SN_VK_CHAIN(&f->base, f->matrix, SN_VK_MATRIX_FEATURES);
  if (sn_vk_has_extension(d, "VK_KHR_shader_bfloat16")) SN_VK_CHAIN(&f->base, f->bf16, SN_VK_BF16_FEATURES);
  vkGetPhysicalDeviceFeatures2(d, &f->base);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static void set_names(const properties *p, sn_vulkan_facts *out) {
  static const char *const kinds[] = {"other", "integrated", "discrete", "virtual", "cpu"};
  const VkPhysicalDeviceProperties *b = &p->base.properties;
  uint32_t v = b->driverVersion;
  snprintf(out->name, sizeof out->name, "%s", b->deviceName);
  snprintf(out->kind, sizeof out->kind, "%s", kinds[b->deviceType < 5 ? (int)b->deviceType : 0]);
  if (p->v12.driverInfo[0])
    snprintf(out->driver, sizeof out->driver, "%.40s %.255s", p->v12.driverName, p->v12.driverInfo);
  else
    snprintf(out->driver, sizeof out->driver, "%.40s %u.%u.%u", p->v12.driverName, VK_VERSION_MAJOR(v),
             VK_VERSION_MINOR(v), VK_VERSION_PATCH(v));
  const uint8_t *u = p->v11.deviceUUID;
  for (int i = 0, n = 0; i < (int)VK_UUID_SIZE; i++)
    n += snprintf(out->uuid + n, sizeof out->uuid - (size_t)n, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
                  u[i]);
  out->api[0] = (int)VK_API_VERSION_MAJOR(b->apiVersion);
  out->api[1] = (int)VK_API_VERSION_MINOR(b->apiVersion);
  out->api[2] = (int)VK_API_VERSION_PATCH(b->apiVersion);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static void set_limits(const properties *p, sn_vulkan_facts *out) {
  const VkPhysicalDeviceLimits *l = &p->base.properties.limits;
  out->shared = l->maxComputeSharedMemorySize;
  out->invocations = l->maxComputeWorkGroupInvocations;
  if (l->maxComputeWorkGroupSize[0] < out->invocations) out->invocations = l->maxComputeWorkGroupSize[0];
  out->push = l->maxPushConstantsSize;
  out->masked_loads = p->v12.driverID != VK_DRIVER_ID_MESA_LLVMPIPE;
  out->timestamp_ns = l->timestampComputeAndGraphics ? (double)l->timestampPeriod : 0;
  out->allocation_bytes = (int64_t)p->v11.maxMemoryAllocationSize;
  out->preserve64 = p->v12.shaderSignedZeroInfNanPreserveFloat64;
  out->preserve32 = p->v12.shaderSignedZeroInfNanPreserveFloat32;
  out->preserve16 = p->v12.shaderSignedZeroInfNanPreserveFloat16;
  out->rte64 = p->v12.shaderRoundingModeRTEFloat64;
  out->rte32 = p->v12.shaderRoundingModeRTEFloat32;
  out->rte16 = p->v12.shaderRoundingModeRTEFloat16;
}

static void set_subgroups(const properties *p, const sn_vk_features *f, sn_vulkan_facts *out) {
  VkSubgroupFeatureFlags ops = p->v11.subgroupSupportedOperations;
  out->subgroup = out->subgroup_min = out->subgroup_max = p->v11.subgroupSize;
  if (!(p->v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT)) ops = 0;
  out->basic = ops & VK_SUBGROUP_FEATURE_BASIC_BIT;
  out->arithmetic = ops & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
  out->shuffle = ops & VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
  out->size_control = f->size.subgroupSizeControl && (p->size.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT);
  out->full_subgroups = f->size.computeFullSubgroups;
  out->subgroups = out->invocations;
  if (!out->size_control) return;
  out->subgroups = p->size.maxComputeWorkgroupSubgroups;
  out->subgroup_min = p->size.minSubgroupSize, out->subgroup_max = p->size.maxSubgroupSize;
}

static void set_flags(const sn_vk_features *f, sn_vulkan_facts *out) {
  out->int64 = f->base.features.shaderInt64;
  out->int16 = f->base.features.shaderInt16;
  out->int8 = f->v12.shaderInt8;
  out->float64 = f->base.features.shaderFloat64;
  out->float16 = f->v12.shaderFloat16;
  out->storage16 = f->v11.storageBuffer16BitAccess;
  out->storage8 = f->v12.storageBuffer8BitAccess;
  out->sync2 = f->sync2.synchronization2;
  out->memory_model = f->v12.vulkanMemoryModel;
  out->memory_model_device = f->v12.vulkanMemoryModelDeviceScope;
  out->explicit_shared = f->shared.workgroupMemoryExplicitLayout;
  out->bf16 = f->bf16.type;
}

/* ---- cooperative matrices ---------------------------------------------------------------------------------------- */

static bool set_component(char out[8], int type) {
  static const char *const names[] = {"f16", "f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"};
  if (type != SN_VK_COMPONENT_BF16 && (type < 0 || type >= (int)(sizeof names / sizeof *names))) return false;
  snprintf(out, 8, "%s", type == SN_VK_COMPONENT_BF16 ? "bf16" : names[type]);
  return true;
}

static void add_matrix(const sn_vk_matrix_properties *p, sn_vulkan_facts *out) {
  sn_vulkan_matrix m = {.m = (int)p->m, .n = (int)p->n, .k = (int)p->k};
  if (p->scope != SN_VK_SCOPE_SUBGROUP || p->saturating || out->matrix_count >= SN_VULKAN_MATRICES) return;
  if (set_component(m.a, p->a) && set_component(m.b, p->b) && set_component(m.c, p->c) && set_component(m.r, p->r))
    out->matrix[out->matrix_count++] = m;
}

static void set_matrices(VkInstance instance, VkPhysicalDevice d, const sn_vk_features *f, sn_vulkan_facts *out) {
  typedef VkResult(VKAPI_PTR * getter)(VkPhysicalDevice, uint32_t *, sn_vk_matrix_properties *);
  getter get = (getter)vkGetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
  uint32_t count = 0;
  if (!f->matrix.matrix || !get || get(d, &count, NULL) || !count) return;
  sn_vk_matrix_properties *at = calloc(count, sizeof *at);
  for (uint32_t i = 0; at && i < count; i++) at[i].sType = (VkStructureType)SN_VK_MATRIX_PROPERTIES;
  if (at && get(d, &count, at) >= 0)
    for (uint32_t i = 0; i < count; i++) add_matrix(&at[i], out);
  free(at);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void set_memory(VkPhysicalDevice d, sn_vulkan_facts *out) {
  VkPhysicalDeviceMemoryProperties m;
  vkGetPhysicalDeviceMemoryProperties(d, &m);
  for (uint32_t i = 0; i < m.memoryHeapCount && i < SN_VULKAN_HEAPS; i++) {
    out->heap_bytes[i] = (int64_t)m.memoryHeaps[i].size;
    out->heap_local[i] = m.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT;
    if (out->heap_local[i] && out->heap_bytes[i] > out->local_bytes) out->local_bytes = out->heap_bytes[i];
    out->heap_count++;
  }
  /* Reading through the bus of a device of its own is slow even where it is possible. */
  const VkMemoryPropertyFlags all = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                    VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  for (uint32_t i = 0; i < m.memoryTypeCount && strcmp(out->kind, "discrete") != 0; i++)
    out->mapped |= (m.memoryTypes[i].propertyFlags & all) == all;
}

static bool has_compute_queue(VkPhysicalDevice d, bool *timestamps) {
  VkQueueFamilyProperties q[32];
  uint32_t count = 32;
  vkGetPhysicalDeviceQueueFamilyProperties(d, &count, q);
  for (uint32_t i = 0; i < count; i++) {
    if (!(q[i].queueFlags & VK_QUEUE_COMPUTE_BIT)) continue;
    *timestamps = q[i].timestampValidBits > 0;
    return true;
  }
  return false;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static const char *refusal(VkPhysicalDevice d, const sn_vk_features *f, sn_vulkan_facts *out) {
  bool timestamps = false;
  if (!has_compute_queue(d, &timestamps)) return "it has no queue for compute";
  if (!timestamps) out->timestamp_ns = 0;
  if (!f->v12.bufferDeviceAddress) return "it lacks bufferDeviceAddress";
  if (!f->v12.timelineSemaphore) return "it lacks timelineSemaphore";
  return NULL;
}

void sn_vk_query(VkInstance instance, VkPhysicalDevice d, sn_vulkan_facts *out) {
  VkPhysicalDeviceProperties old;
  *out = (sn_vulkan_facts){0};
  vkGetPhysicalDeviceProperties(d, &old);
  if (old.apiVersion < VK_API_VERSION_1_2) { /* what follows cannot be asked of it */
    snprintf(out->name, sizeof out->name, "%s", old.deviceName);
    snprintf(out->kind, sizeof out->kind, "other");
    out->api[0] = (int)VK_API_VERSION_MAJOR(old.apiVersion), out->api[1] = (int)VK_API_VERSION_MINOR(old.apiVersion);
    out->refused = "its driver is older than Vulkan 1.2";
    return;
  }
  properties p;
  sn_vk_features f;
  get_properties(d, &p);
  get_features(d, &f);
  set_names(&p, out);
  set_limits(&p, out);
  set_subgroups(&p, &f, out);
  set_flags(&f, out);
  set_matrices(instance, d, &f, out);
  set_memory(d, out);
  out->refused = refusal(d, &f, out);
}
