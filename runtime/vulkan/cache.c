/* Pipelines of earlier processes, one file for each device and driver: header, the driver's data, checksum. What is
 * damaged is told, not used, and written anew: nothing is lost but the time to make them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/base/str.h"
#include "runtime/io/file.h"
#include "runtime/vulkan/inside.h"

#define MAGIC "SNVKPC01"
enum { BYTES_MOST = 256 << 20 };

typedef struct header {
  char magic[8];
  uint64_t bytes, checksum; /* of the data behind it */
  uint8_t device[VK_UUID_SIZE], cache[VK_UUID_SIZE];
  uint32_t vendor, model, driver, zero;
} header;

static void identify(const sn_vk *v, header *h) {
  VkPhysicalDeviceIDProperties id = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES};
  VkPhysicalDeviceProperties2 p = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &id};
  vkGetPhysicalDeviceProperties2(v->physical, &p);
  *h = (header){.vendor = p.properties.vendorID, .model = p.properties.deviceID, .driver = p.properties.driverVersion};
  memcpy(h->magic, MAGIC, sizeof h->magic);
  memcpy(h->device, id.deviceUUID, sizeof h->device);
  memcpy(h->cache, p.properties.pipelineCacheUUID, sizeof h->cache);
}

/* A folder of the user's own that others cannot write to, made if need be. */
static bool own_folder(const char *path) {
  struct stat st;
  if (mkdir(path, 0700) && errno != EEXIST) return false;
  return !lstat(path, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022);
}

/* FOLDER/sinter/vulkan-DEVICE-DRIVER.pipelines, the folder made; false: there is no place for it. */
static bool path_of(const header *h, char *out, size_t bytes) {
  const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  bool is_xdg = xdg && xdg[0] == '/';
  char folder[2048];
  if (!is_xdg && (!home || home[0] != '/')) return false;
  int n = snprintf(folder, sizeof folder, is_xdg ? "%s" : "%s/.cache", is_xdg ? xdg : home);
  if (n < 0 || n + 16 > (int)sizeof folder) return false;
  if (mkdir(folder, 0700) && errno != EEXIST) return false;
  snprintf(folder + n, sizeof folder - (size_t)n, "/sinter");
  if (!own_folder(folder)) return false;
  uint64_t name = sn_hash_bytes(h->device, sizeof *h - offsetof(header, device), 1);
  n = snprintf(out, bytes, "%s/vulkan-%016llx.pipelines", folder, (unsigned long long)name);
  return n > 0 && n < (int)bytes;
}

/* The driver's data in a file image; NULL when it is not what this device wrote. */
static const void *data_of(const header *mine, const char *file, size_t bytes, size_t *out_bytes) {
  header h;
  if (bytes < sizeof h) return NULL;
  memcpy(&h, file, sizeof h);
  *out_bytes = bytes - sizeof h;
  if (h.bytes != *out_bytes || h.checksum != sn_hash_bytes(file + sizeof h, *out_bytes, 3)) return NULL;
  h.bytes = 0, h.checksum = 0;
  return memcmp(&h, mine, sizeof h) ? NULL : file + sizeof h;
}

/* The image of the file; NULL: there is none that can be read. owns: the caller frees it */
static char *read_file(const sn_vk *v, const header *mine, char *path, size_t path_bytes, size_t *out_bytes) {
  char *file = NULL;
  if (!path_of(mine, path, path_bytes) || access(path, F_OK)) return NULL;
  if (sn_file_read(path, BYTES_MOST, NULL, &file, out_bytes) == SN_OK) return file;
  sn_rt_warn(v->r, "%s cannot be read: pipelines are made anew", path);
  return NULL;
}

void sn_vk_cache_load(sn_vk *v) {
  header mine;
  char path[4096];
  size_t bytes, data_bytes = 0;
  identify(v, &mine);
  char *file = read_file(v, &mine, path, sizeof path, &bytes);
  const void *data = file ? data_of(&mine, file, bytes, &data_bytes) : NULL;
  if (file && !data) sn_rt_warn(v->r, "%s is damaged, or of another version: it is not used, and written anew", path);
  VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                    .initialDataSize = data ? data_bytes : 0,
                                    .pInitialData = data};
  if (v->f.vkCreatePipelineCache(v->handle, &info, NULL, &v->cache) < 0) v->cache = VK_NULL_HANDLE;
  v->cached = data ? sn_hash_bytes(data, data_bytes, 3) : 0;
  free(file);
}

static void write_file(const char *path, const header *h, const void *data) {
  sn_file_out *f;
  if (sn_file_begin(path, NULL, &f)) return;
  if (sn_file_write(f, h, sizeof *h, NULL) || sn_file_write(f, data, (size_t)h->bytes, NULL)) {
    sn_file_abandon(f);
    return;
  }
  if (sn_file_commit(f, NULL)) return; /* the old one, if any, stays */
}

void sn_vk_cache_store(sn_vk *v) {
  header h;
  char path[4096];
  size_t bytes = 0;
  identify(v, &h);
  if (!v->cache || v->f.vkGetPipelineCacheData(v->handle, v->cache, &bytes, NULL) < 0 || !bytes || bytes > BYTES_MOST)
    return;
  void *data = malloc(bytes);
  if (data && v->f.vkGetPipelineCacheData(v->handle, v->cache, &bytes, data) == VK_SUCCESS &&
      path_of(&h, path, sizeof path)) {
    h.bytes = bytes, h.checksum = sn_hash_bytes(data, bytes, 3);
    if (h.checksum != v->cached) write_file(path, &h, data);
  }
  free(data);
}
