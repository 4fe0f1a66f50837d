/* A layer for Vulkan, VK_LAYER_SN_fault, in which calls go wrong:
 *
 *   SN_VK_FAULT   "NAME N": the Nth call of that function fails, as drivers fail it (out of memory, device lost).
 *                 Counting begins anew when the text changes.
 *   SN_VK_LACKS   words of: 1.2, compute, bufferDeviceAddress, timelineSemaphore: no device has it
 *   SN_VK_HEAP    bytes that every heap has, at most: what is allocated beyond fails
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

/* ---- devices that are less --------------------------------------------------------------------------------------- */

static int lacks(const char *word) {
  const char *list = getenv("SN_VK_LACKS");
  return list && strstr(list, word) != NULL;
}

/* The same functions below: asked for when the instance is made, since later the loader would answer with ours. */
static struct {
  PFN_vkGetPhysicalDeviceProperties properties;
  PFN_vkGetPhysicalDeviceFeatures2 features;
  PFN_vkGetPhysicalDeviceQueueFamilyProperties families;
  PFN_vkGetPhysicalDeviceMemoryProperties memory;
  PFN_vkGetPhysicalDeviceMemoryProperties2 memory_2;
} below;

static void look_below(void) {
#define BELOW(name) (PFN_##name) the.instance_next(the.instance, #name)
  below.properties = BELOW(vkGetPhysicalDeviceProperties);
  below.features = BELOW(vkGetPhysicalDeviceFeatures2);
  below.families = BELOW(vkGetPhysicalDeviceQueueFamilyProperties);
  below.memory = BELOW(vkGetPhysicalDeviceMemoryProperties);
  below.memory_2 = BELOW(vkGetPhysicalDeviceMemoryProperties2);
#undef BELOW
}

static VKAPI_ATTR void VKAPI_CALL my_vkGetPhysicalDeviceProperties(VkPhysicalDevice d, VkPhysicalDeviceProperties *p) {
  below.properties(d, p);
  if (lacks("1.2")) p->apiVersion = VK_API_VERSION_1_1;
}

static VKAPI_ATTR void VKAPI_CALL my_vkGetPhysicalDeviceFeatures2(VkPhysicalDevice d, VkPhysicalDeviceFeatures2 *f) {
  below.features(d, f);
  for (VkBaseOutStructure *s = f->pNext; s; s = s->pNext) {
    VkPhysicalDeviceVulkan12Features *v = (VkPhysicalDeviceVulkan12Features *)s;
    if (s->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES) continue;
    if (lacks("bufferDeviceAddress")) v->bufferDeviceAddress = VK_FALSE;
    if (lacks("timelineSemaphore")) v->timelineSemaphore = VK_FALSE;
  }
}

static VKAPI_ATTR void VKAPI_CALL my_vkGetPhysicalDeviceQueueFamilyProperties(VkPhysicalDevice d, uint32_t *count,
                                                                              VkQueueFamilyProperties *q) {
  below.families(d, count, q);
  for (uint32_t i = 0; q && lacks("compute") && i < *count; i++) q[i].queueFlags &= ~(VkQueueFlags)VK_QUEUE_COMPUTE_BIT;
}

/* ---- little memory ----------------------------------------------------------------------------------------------- */

enum { BLOCKS = 1024 };
static struct {
  VkDeviceMemory memory;
  uint32_t heap;
  VkDeviceSize bytes;
} block[BLOCKS];

static VkPhysicalDeviceMemoryProperties heaps; /* as they were seen last */

static VkDeviceSize heap_most(void) {
  const char *v = getenv("SN_VK_HEAP");
  return v && *v ? strtoull(v, NULL, 10) : UINT64_MAX;
}

static VkDeviceSize taken(uint32_t heap) {
  VkDeviceSize sum = 0;
  for (int i = 0; i < BLOCKS; i++) sum += block[i].memory && block[i].heap == heap ? block[i].bytes : 0;
  return sum;
}

static void lower(VkPhysicalDeviceMemoryProperties *m) {
  for (uint32_t i = 0; i < m->memoryHeapCount; i++)
    if (m->memoryHeaps[i].size > heap_most()) m->memoryHeaps[i].size = heap_most();
  heaps = *m;
}

static VKAPI_ATTR void VKAPI_CALL my_vkGetPhysicalDeviceMemoryProperties(VkPhysicalDevice d,
                                                                         VkPhysicalDeviceMemoryProperties *m) {
  below.memory(d, m);
  lower(m);
}

static VKAPI_ATTR void VKAPI_CALL my_vkGetPhysicalDeviceMemoryProperties2(VkPhysicalDevice d,
                                                                          VkPhysicalDeviceMemoryProperties2 *m) {
  below.memory_2(d, m);
  lower(&m->memoryProperties);
  for (VkBaseOutStructure *s = m->pNext; s && heap_most() != UINT64_MAX; s = s->pNext) {
    VkPhysicalDeviceMemoryBudgetPropertiesEXT *b = (VkPhysicalDeviceMemoryBudgetPropertiesEXT *)s;
    if (s->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT) continue;
    for (uint32_t i = 0; i < m->memoryProperties.memoryHeapCount; i++)
      b->heapBudget[i] = heap_most(), b->heapUsage[i] = taken(i);
  }
}

static int no_room(const VkMemoryAllocateInfo *i) {
  uint32_t heap = heaps.memoryTypes[i->memoryTypeIndex].heapIndex;
  return heap_most() != UINT64_MAX && taken(heap) + i->allocationSize > heap_most();
}

static void keep(VkDeviceMemory memory, const VkMemoryAllocateInfo *info) {
  int i = 0;
  while (i < BLOCKS - 1 && block[i].memory) i++;
  block[i].memory = memory;
  block[i].heap = heaps.memoryTypes[info->memoryTypeIndex].heapIndex;
  block[i].bytes = info->allocationSize;
}

static VKAPI_ATTR VkResult VKAPI_CALL my_vkAllocateMemory(VkDevice d, const VkMemoryAllocateInfo *i,
                                                          const VkAllocationCallbacks *a, VkDeviceMemory *o) {
  PFN_vkAllocateMemory next = (PFN_vkAllocateMemory)the.device_next(the.device, "vkAllocateMemory");
  if (fails("vkAllocateMemory") || no_room(i)) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
  VkResult r = next(d, i, a, o);
  if (r == VK_SUCCESS) keep(*o, i);
  return r;
}

static VKAPI_ATTR void VKAPI_CALL my_vkFreeMemory(VkDevice d, VkDeviceMemory m, const VkAllocationCallbacks *a) {
  for (int i = 0; i < BLOCKS; i++)
    if (block[i].memory == m) block[i].memory = VK_NULL_HANDLE;
  ((PFN_vkFreeMemory)the.device_next(the.device, "vkFreeMemory"))(d, m, a);
}

/* ---- calls of a device ------------------------------------------------------------------------------------------- */

#define FAULT(name, error, parameters, arguments)                     \
  static VKAPI_ATTR VkResult VKAPI_CALL my_##name parameters {        \
    PFN_##name next = (PFN_##name)the.device_next(the.device, #name); \
    return fails(#name) ? error : next arguments;                     \
  }

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
  if (r == VK_SUCCESS) look_below();
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
  MINE(vkFreeMemory)
  MINE(vkGetPhysicalDeviceProperties)
  MINE(vkGetPhysicalDeviceFeatures2)
  MINE(vkGetPhysicalDeviceQueueFamilyProperties)
  MINE(vkGetPhysicalDeviceMemoryProperties)
  MINE(vkGetPhysicalDeviceMemoryProperties2)
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
