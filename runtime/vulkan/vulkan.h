/* Vulkan devices, seen from outside of their room: which there are, which one is used, and the device of a runtime.
 * No Vulkan types: builds without Vulkan have the same functions, which say so. */
#ifndef SN_RUNTIME_VULKAN_VULKAN_H
#define SN_RUNTIME_VULKAN_VULKAN_H

#include "runtime/vulkan/facts.h"

typedef struct sn_vulkan_list {
  int count;
  int chosen;                /* the device that plans run on; -1: none */
  const sn_vulkan_facts *at; /* best first: discrete, integrated, virtual, cpu; then by memory */
} sn_vulkan_list;

/* Devices of this machine. SN_VULKAN_DEVICE (a position in the list, a name or a part of one, a uuid) chooses, else the
 * best one that is not refused; SN_VULKAN_WITHOUT takes facts away.
 *   errors: SN_ERR_DEVICE no Vulkan in this build, no loader, no driver: what to install; SN_ERR_USAGE a variable that
 *           makes no sense.  owns: arena */
SN_MUST sn_code sn_vulkan_devices(sn_arena *arena, sn_diags *diags, sn_vulkan_list *out);
/* Facts of the device that plans run on.   errors: as above, and SN_ERR_DEVICE when there is none: why each was refused
 */
SN_MUST sn_code sn_vulkan_facts_get(sn_diags *diags, sn_vulkan_facts *out);
struct sn_runtime;
struct sn_device;
/* The device of a runtime whose plan holds SPIR-V, with its pipelines made.   owns: device->type->destroy
 *   errors: as above, and SN_ERR_DEVICE naming what the device lacks; SN_ERR_INPUT no SPIR-V; SN_ERR_LIMIT memory */
SN_MUST sn_code sn_vulkan_device_create(struct sn_runtime *r, sn_diags *diags, struct sn_device **out);
/* Was Vulkan found when this was built? */
bool sn_vulkan_built(void);

#endif
