/* A layer for Vulkan, VK_LAYER_SN_fault, in which calls go wrong:
 *
 *   SN_VK_FAULT   "NAME N": the Nth call of that function fails, as drivers fail it (out of memory, device lost).
 *                 Counting begins anew when the text changes.
 *
 * source: the loader's page "Layer Interface", version 2 of the negotiation */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vulkan/vulkan.h>

#include <vulkan/vk_layer.h>

#define API __attribute__((visibility("default")))

static struct {
  char text[128]; /* of SN_VK_FAULT, as it was seen last */
  long calls;     /* of the function that it names, since */
  PFN_vkGetInstanceProcAddr instance_next;
  PFN_vkGetDeviceProcAddr device_next;
  VkInstance instance;
  VkDevice device; /* the newest; tests have one at a time */
} the;

static int fails(const char *name) {
  const char *now = getenv("SN_VK_FAULT");
  size_t n = strlen(name);
  if (!now) now = "";
  if (strcmp(now, the.text) != 0) {
    snprintf(the.text, sizeof the.text, "%s", now);
    the.calls = 0;
  }
  if (strncmp(now, name, n) || now[n] != ' ') return 0;
  return ++the.calls == atol(now + n);
}

/* ---- calls of a device ------------------------------------------------------------------------------------------- */

#define FAULT(name, error, parameters, arguments)                     \
  static VKAPI_ATTR VkResult VKAPI_CALL my_##name parameters {        \
    PFN_##name next = (PFN_##name)the.device_next(the.device, #name); \
    return fails(#name) ? error : next arguments;                     \
  }

FAULT(vkAllocateMemory, VK_ERROR_OUT_OF_DEVICE_MEMORY,
      (VkDevice d, const VkMemoryAllocateInfo *i, const VkAllocationCallbacks *a, VkDeviceMemory *o), (d, i, a, o))
FAULT(vkBindBufferMemory, VK_ERROR_OUT_OF_DEVICE_MEMORY, (VkDevice d, VkBuffer b, VkDeviceMemory m, VkDeviceSize at),
      (d, b, m, at))
FAULT(vkMapMemory, VK_ERROR_MEMORY_MAP_FAILED,
      (VkDevice d, VkDeviceMemory m, VkDeviceSize at, VkDeviceSize n, VkMemoryMapFlags f, void **o),
      (d, m, at, n, f, o))
FAULT(vkCreateBuffer, VK_ERROR_OUT_OF_HOST_MEMORY,
      (VkDevice d, const VkBufferCreateInfo *i, const VkAllocationCallbacks *a, VkBuffer *o), (d, i, a, o))
FAULT(vkCreateSemaphore, VK_ERROR_OUT_OF_HOST_MEMORY,
      (VkDevice d, const VkSemaphoreCreateInfo *i, const VkAllocationCallbacks *a, VkSemaphore *o), (d, i, a, o))
FAULT(vkCreateCommandPool, VK_ERROR_OUT_OF_HOST_MEMORY,
      (VkDevice d, const VkCommandPoolCreateInfo *i, const VkAllocationCallbacks *a, VkCommandPool *o), (d, i, a, o))
FAULT(vkCreatePipelineLayout, VK_ERROR_OUT_OF_HOST_MEMORY,
      (VkDevice d, const VkPipelineLayoutCreateInfo *i, const VkAllocationCallbacks *a, VkPipelineLayout *o),
      (d, i, a, o))
FAULT(vkCreatePipelineCache, VK_ERROR_OUT_OF_HOST_MEMORY,
      (VkDevice d, const VkPipelineCacheCreateInfo *i, const VkAllocationCallbacks *a, VkPipelineCache *o),
      (d, i, a, o))
FAULT(vkCreateShaderModule, VK_ERROR_OUT_OF_HOST_MEMORY,
      (VkDevice d, const VkShaderModuleCreateInfo *i, const VkAllocationCallbacks *a, VkShaderModule *o), (d, i, a, o))
FAULT(vkCreateComputePipelines, VK_ERROR_OUT_OF_DEVICE_MEMORY,
      (VkDevice d, VkPipelineCache c, uint32_t n, const VkComputePipelineCreateInfo *i, const VkAllocationCallbacks *a,
       VkPipeline *o),
      (d, c, n, i, a, o))
FAULT(vkCreateQueryPool, VK_ERROR_OUT_OF_HOST_MEMORY,
      (VkDevice d, const VkQueryPoolCreateInfo *i, const VkAllocationCallbacks *a, VkQueryPool *o), (d, i, a, o))
FAULT(vkAllocateCommandBuffers, VK_ERROR_OUT_OF_HOST_MEMORY,
      (VkDevice d, const VkCommandBufferAllocateInfo *i, VkCommandBuffer *o), (d, i, o))
FAULT(vkBeginCommandBuffer, VK_ERROR_OUT_OF_HOST_MEMORY, (VkCommandBuffer b, const VkCommandBufferBeginInfo *i), (b, i))
FAULT(vkEndCommandBuffer, VK_ERROR_OUT_OF_HOST_MEMORY, (VkCommandBuffer b), (b))
FAULT(vkQueueSubmit, VK_ERROR_DEVICE_LOST, (VkQueue q, uint32_t n, const VkSubmitInfo *i, VkFence f), (q, n, i, f))
FAULT(vkWaitSemaphores, VK_ERROR_DEVICE_LOST, (VkDevice d, const VkSemaphoreWaitInfo *i, uint64_t t), (d, i, t))

/* ---- the chain --------------------------------------------------------------------------------------------------- */

static VKAPI_ATTR VkResult VKAPI_CALL my_vkCreateInstance(const VkInstanceCreateInfo *info,
                                                          const VkAllocationCallbacks *a, VkInstance *out) {
  VkLayerInstanceCreateInfo *link = (VkLayerInstanceCreateInfo *)info->pNext;
  while (link && (link->sType != VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO || link->function != VK_LAYER_LINK_INFO))
    link = (VkLayerInstanceCreateInfo *)link->pNext;
  if (!link) return VK_ERROR_INITIALIZATION_FAILED;
  the.instance_next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  PFN_vkCreateInstance create = (PFN_vkCreateInstance)the.instance_next(VK_NULL_HANDLE, "vkCreateInstance");
  VkResult r = create(info, a, out);
  the.instance = *out;
  return r;
}

static VKAPI_ATTR VkResult VKAPI_CALL my_vkCreateDevice(VkPhysicalDevice p, const VkDeviceCreateInfo *info,
                                                        const VkAllocationCallbacks *a, VkDevice *out) {
  VkLayerDeviceCreateInfo *link = (VkLayerDeviceCreateInfo *)info->pNext;
  while (link && (link->sType != VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO || link->function != VK_LAYER_LINK_INFO))
    link = (VkLayerDeviceCreateInfo *)link->pNext;
  if (!link) return VK_ERROR_INITIALIZATION_FAILED;
  if (fails("vkCreateDevice")) return VK_ERROR_INITIALIZATION_FAILED;
  PFN_vkGetInstanceProcAddr next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  the.device_next = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  VkResult r = ((PFN_vkCreateDevice)next(the.instance, "vkCreateDevice"))(p, info, a, out);
  the.device = *out;
  return r;
}

static PFN_vkVoidFunction mine(const char *name) {
#define MINE(f) \
  if (!strcmp(name, #f)) return (PFN_vkVoidFunction)my_##f;
  MINE(vkCreateInstance)
  MINE(vkCreateDevice)
  MINE(vkAllocateMemory)
  MINE(vkBindBufferMemory)
  MINE(vkMapMemory)
  MINE(vkCreateBuffer)
  MINE(vkCreateSemaphore)
  MINE(vkCreateCommandPool)
  MINE(vkCreatePipelineLayout)
  MINE(vkCreatePipelineCache)
  MINE(vkCreateShaderModule)
  MINE(vkCreateComputePipelines)
  MINE(vkCreateQueryPool)
  MINE(vkAllocateCommandBuffers)
  MINE(vkBeginCommandBuffer)
  MINE(vkEndCommandBuffer)
  MINE(vkQueueSubmit)
  MINE(vkWaitSemaphores)
#undef MINE
  return NULL;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_function(VkDevice device, const char *name) {
  PFN_vkVoidFunction f = mine(name);
  if (!strcmp(name, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)device_function;
  return f ? f : the.device_next(device, name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instance_function(VkInstance instance, const char *name) {
  PFN_vkVoidFunction f = mine(name);
  if (!strcmp(name, "vkGetInstanceProcAddr")) return (PFN_vkVoidFunction)instance_function;
  if (!strcmp(name, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)device_function;
  return f ? f : the.instance_next ? the.instance_next(instance, name) : NULL;
}

API VKAPI_ATTR VkResult VKAPI_CALL vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *x) {
  x->loaderLayerInterfaceVersion = 2;
  x->pfnGetInstanceProcAddr = instance_function;
  x->pfnGetDeviceProcAddr = device_function;
  x->pfnGetPhysicalDeviceProcAddr = NULL;
  return VK_SUCCESS;
}
