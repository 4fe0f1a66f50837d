/* Which device a plan runs on. */
#include "runtime/device.h"

#include "runtime/vulkan/vulkan.h"

bool sn_device_wanted(const sn_plan *p) {
  for (int i = 0; i < p->code_count; i++)
    if (p->code[i].kind == SN_CODE_SPIRV) return true;
  return false;
}

sn_code sn_device_create(sn_runtime *r, sn_diags *diags, sn_device **out) {
  return sn_vulkan_device_create(r, diags, out);
}
