/* Builds without Vulkan: the same functions, which say so. */
#include "runtime/vulkan/vulkan.h"

bool sn_vulkan_built(void) { return false; }

static sn_code absent(sn_diags *diags) {
  sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "Vulkan is not in this build");
  sn_fail_note(diags,
               "its headers were not found when it was configured, or -DSN_VULKAN=OFF was given: install "
               "libvulkan-dev and libvulkan-volk-dev and build again");
  return SN_ERR_DEVICE;
}

sn_code sn_vulkan_devices(sn_arena *arena, sn_diags *diags, sn_vulkan_list *out) {
  (void)arena, (void)out;
  return absent(diags);
}

sn_code sn_vulkan_facts_get(sn_diags *diags, sn_vulkan_facts *out) {
  (void)out;
  return absent(diags);
}

sn_code sn_vulkan_device_create(struct sn_runtime *r, sn_diags *diags, struct sn_device **out) {
  (void)r, (void)out;
  return absent(diags);
}
