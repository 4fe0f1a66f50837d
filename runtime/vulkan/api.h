/* The Vulkan interface, as this room sees it: the loader opened at run time (volk), one instance for the process, and
 * how a VkResult becomes a status. Private to runtime/vulkan. */
#ifndef SN_RUNTIME_VULKAN_API_H
#define SN_RUNTIME_VULKAN_API_H

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <volk.h>

#include "ir/base/status.h"
#include "runtime/vulkan/facts.h"

/* Messages of the validation layers since the instance was made. */
typedef struct sn_vk_complaints {
  int count;
  char first[1024];
} sn_vk_complaints;

/* SN_VULKAN_VALIDATE: nothing or 0; 1: rules of the interface and of synchronisation; gpu: and what kernels access. */
typedef enum sn_vk_checks { SN_VK_CHECKS_NONE, SN_VK_CHECKS_CORE, SN_VK_CHECKS_GPU } sn_vk_checks;
sn_vk_checks sn_vk_checks_wanted(void);

/* The instance, made for the first who asks; kept until the process ends.
 *   errors: SN_ERR_DEVICE no loader, no driver, or no validation layer while SN_VULKAN_VALIDATE asks for it */
SN_MUST sn_code sn_vk_instance(sn_diags *diags, VkInstance *out);
/* What the layers said so far, of all devices of the instance. */
sn_vk_complaints sn_vk_instance_complaints(void);

/* "VK_ERROR_DEVICE_LOST" */
const char *sn_vk_result_name(VkResult r);
/* Does the device know the extension? */
bool sn_vk_has_extension(VkPhysicalDevice device, const char *name);

/* Facts of a device, SN_VULKAN_WITHOUT not applied. */
void sn_vk_query(VkInstance instance, VkPhysicalDevice device, sn_vulkan_facts *out);

/* The handle of the chosen device, and its facts.   needs: an instance.  errors: as sn_vulkan_facts_get */
SN_MUST sn_code sn_vk_choose(VkInstance instance, sn_diags *diags, VkPhysicalDevice *out, sn_vulkan_facts *out_facts);

/* ---- what headers of 2022 do not know ---------------------------------------------------------------------------- */

enum {
  SN_VK_MATRIX_FEATURES = 1000506000,
  SN_VK_MATRIX_PROPERTIES = 1000506001,
  SN_VK_BF16_FEATURES = 1000141000,
  SN_VK_COMPONENT_BF16 = 1000141000,
  SN_VK_SCOPE_SUBGROUP = 3,
};

/* source: VK_KHR_cooperative_matrix 2 */
typedef struct sn_vk_matrix_features {
  VkStructureType sType;
  void *pNext;
  VkBool32 matrix, robust;
} sn_vk_matrix_features;

typedef struct sn_vk_matrix_properties {
  VkStructureType sType;
  void *pNext;
  uint32_t m, n, k;
  int a, b, c, r;
  VkBool32 saturating;
  int scope;
} sn_vk_matrix_properties;

/* source: VK_KHR_shader_bfloat16 1 */
typedef struct sn_vk_bf16_features {
  VkStructureType sType;
  void *pNext;
  VkBool32 type, dot, matrix;
} sn_vk_bf16_features;

/* ---- features: what a device has, and what is switched on -------------------------------------------------------- */

typedef struct sn_vk_features {
  VkPhysicalDeviceFeatures2 base;
  VkPhysicalDeviceVulkan11Features v11;
  VkPhysicalDeviceVulkan12Features v12;
  VkPhysicalDeviceSubgroupSizeControlFeatures size;
  VkPhysicalDeviceSynchronization2Features sync2;
  VkPhysicalDeviceWorkgroupMemoryExplicitLayoutFeaturesKHR shared;
  sn_vk_matrix_features matrix;
  sn_vk_bf16_features bf16;
} sn_vk_features;

/* Puts a structure into the chain that begins at `head`. */
#define SN_VK_CHAIN(head, member, type) \
  ((member).sType = (VkStructureType)(type), (member).pNext = (head)->pNext, (head)->pNext = &(member))

#endif
