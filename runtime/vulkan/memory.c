/* Device memory: one buffer with an address per block, in the kind of memory that suits its use. */
#include <inttypes.h>

#include "runtime/vulkan/inside.h"

enum { ARENA = 512 << 20 };

/* How well a memory type serves; 0: not at all. Memory of the device comes first for what kernels work on; one that the
 * host sees is taken for it only where that is as good. */
static int worth(const sn_vk *v, VkMemoryPropertyFlags p, sn_vk_memory kind) {
  bool local = p & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  bool seen = (p & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) && (p & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
  bool cached = p & VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  if (p & (VK_MEMORY_PROPERTY_PROTECTED_BIT | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT)) return 0;
  if (kind == SN_VK_HOST) return seen ? 1 + 2 * cached + !local : 0;
  return 1 + 4 * local + (v->facts.mapped ? 2 * (seen && cached) : !(p & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT));
}

static int type_of(const sn_vk *v, uint32_t allowed, sn_vk_memory kind) {
  int best = -1, most = 0;
  for (uint32_t i = 0; i < v->heaps.memoryTypeCount; i++) {
    int w = allowed >> i & 1 ? worth(v, v->heaps.memoryTypes[i].propertyFlags, kind) : 0;
    if (w > most) best = (int)i, most = w;
  }
  return best;
}

/* Bytes of the heap of a type that can still be had; what is not ours of it where the driver does not say. */
static int64_t free_bytes(const sn_vk *v, int type) {
  uint32_t heap = v->heaps.memoryTypes[type].heapIndex;
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
  VkPhysicalDeviceMemoryProperties2 m = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                                         .pNext = &budget};
  if (!v->budget) return (int64_t)v->heaps.memoryHeaps[heap].size - v->taken[heap];
  vkGetPhysicalDeviceMemoryProperties2(v->physical, &m);
  return (int64_t)(budget.heapBudget[heap] > budget.heapUsage[heap] ? budget.heapBudget[heap] - budget.heapUsage[heap]
                                                                    : 0);
}

/* Bytes of the same heap that staging memory will take. */
static int64_t staging_to_come(const sn_vk *v, int type) {
  int host = type_of(v, UINT32_MAX, SN_VK_HOST);
  bool same = host >= 0 && v->heaps.memoryTypes[host].heapIndex == v->heaps.memoryTypes[type].heapIndex;
  return same && !v->facts.mapped && !v->staging.buffer ? SN_VK_LANES * SN_VK_LANE + SN_VK_ALIGN : 0;
}

int64_t sn_vk_free_bytes(const sn_vk *v) {
  int type = type_of(v, UINT32_MAX, SN_VK_LOCAL);
  if (type < 0) return -1;
  int64_t most = free_bytes(v, type) - staging_to_come(v, type);
  if (most < 0) most = 0;
  return most < v->facts.allocation_bytes ? most : v->facts.allocation_bytes;
}

static bool is_memory(VkResult r) { return r == VK_ERROR_OUT_OF_DEVICE_MEMORY || r == VK_ERROR_OUT_OF_HOST_MEMORY; }

static sn_code no_memory(const sn_vk *v, int type, int64_t bytes, const char *what, sn_diags *diags) {
  int64_t most = free_bytes(v, type);
  sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "%s: no memory for %s", v->facts.name, what);
  if (bytes > most)
    sn_fail_expected(diags, "at most %" PRId64 " bytes, which are free: %" PRId64 " are missing", most, bytes - most);
  else
    sn_fail_expected(diags, "at most %" PRId64 " bytes in one allocation", v->facts.allocation_bytes);
  sn_fail_found(diags, "%" PRId64 " bytes", bytes);
  return SN_ERR_LIMIT;
}

static sn_code allocate(sn_vk *v, sn_vk_memory kind, const char *what, sn_diags *diags, sn_vk_block *b) {
  VkMemoryRequirements need;
  v->f.vkGetBufferMemoryRequirements(v->handle, b->buffer, &need);
  int type = type_of(v, need.memoryTypeBits, kind);
  if (type < 0) return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "%s has no memory that fits %s", v->facts.name, what);
  const VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                           .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
  const VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                     .pNext = &flags,
                                     .allocationSize = need.size,
                                     .memoryTypeIndex = (uint32_t)type};
  int heap = (int)v->heaps.memoryTypes[type].heapIndex;
  if (need.size > v->heaps.memoryHeaps[heap].size) return no_memory(v, type, (int64_t)need.size, what, diags);
  VkResult r = v->f.vkAllocateMemory(v->handle, &info, NULL, &b->memory);
  if (is_memory(r)) return no_memory(v, type, (int64_t)need.size, what, diags);
  if (r < 0) return sn_vk_fail(v, diags, r, "vkAllocateMemory");
  b->heap = heap, b->taken = (int64_t)need.size;
  v->taken[heap] += b->taken;
  SN_VK_TRY(v, diags, v->f.vkBindBufferMemory(v->handle, b->buffer, b->memory, 0));
  if (kind == SN_VK_HOST || v->facts.mapped)
    SN_VK_TRY(v, diags, v->f.vkMapMemory(v->handle, b->memory, 0, VK_WHOLE_SIZE, 0, (void **)&b->host));
  return SN_OK;
}

/* A block with buffer and memory of its own; one for the host needs no address. */
static sn_code create(sn_vk *v, int64_t bytes, sn_vk_memory kind, const char *what, sn_diags *diags, sn_vk_block *out) {
  sn_vk_block b = {.bytes = bytes > 0 ? bytes : 1};
  VkBufferUsageFlags usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  if (kind == SN_VK_LOCAL) usage |= VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
  const VkBufferCreateInfo info = {
      .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = (VkDeviceSize)b.bytes + SN_RT_SLACK, .usage = usage};
  VkResult r = v->f.vkCreateBuffer(v->handle, &info, NULL, &b.buffer);
  if (is_memory(r)) return no_memory(v, type_of(v, UINT32_MAX, kind), b.bytes, what, diags);
  if (r < 0) return sn_vk_fail(v, diags, r, "vkCreateBuffer");
  sn_code code = allocate(v, kind, what, diags, &b);
  if (code) {
    sn_vk_block_destroy(v, &b);
    return code;
  }
  const VkBufferDeviceAddressInfo address = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, .buffer = b.buffer};
  if (kind == SN_VK_LOCAL) b.address = v->f.vkGetBufferDeviceAddress(v->handle, &address);
  *out = b;
  return SN_OK;
}

/* A part of the arena. Only the newest is given back: the layers that need this are for tests. */
static sn_code take_part(sn_vk *v, int64_t bytes, const char *what, sn_diags *diags, sn_vk_block *out) {
  if (!v->arena.buffer) SN_TRY(create(v, ARENA, SN_VK_LOCAL, what, diags, &v->arena));
  int64_t at = v->arena_used;
  if (bytes > ARENA - SN_VK_ALIGN - at) return no_memory(v, type_of(v, UINT32_MAX, SN_VK_LOCAL), bytes, what, diags);
  v->arena_used = at + (bytes + SN_RT_SLACK + SN_VK_ALIGN - 1) / SN_VK_ALIGN * SN_VK_ALIGN;
  *out = (sn_vk_block){.buffer = v->arena.buffer,
                       .address = v->arena.address + (uint64_t)at,
                       .bytes = bytes > 0 ? bytes : 1,
                       .host = v->arena.host ? v->arena.host + at : NULL,
                       .base = at,
                       .part = true};
  return SN_OK;
}

static void give_back(sn_vk *v, const sn_vk_block *b) {
  int64_t end = b->base + (b->bytes + SN_RT_SLACK + SN_VK_ALIGN - 1) / SN_VK_ALIGN * SN_VK_ALIGN;
  if (end == v->arena_used) v->arena_used = b->base;
}

sn_code sn_vk_block_create(sn_vk *v, int64_t bytes, sn_vk_memory kind, const char *what, sn_diags *diags,
                           sn_vk_block *out) {
  if (v->one_block && kind == SN_VK_LOCAL) return take_part(v, bytes, what, diags, out);
  return create(v, bytes, kind, what, diags, out);
}

void sn_vk_block_destroy(sn_vk *v, sn_vk_block *b) {
  if (b->part) give_back(v, b);
  if (b->buffer && !b->part) v->f.vkDestroyBuffer(v->handle, b->buffer, NULL);
  if (b->memory) v->f.vkFreeMemory(v->handle, b->memory, NULL);
  v->taken[b->heap] -= b->taken;
  *b = (sn_vk_block){0};
}
