/* Opens libvulkan.so.1 when it is first needed, and makes one instance for the life of the process: to load drivers
 * takes longer than most plans run. volk holds the entry points in global variables; they and the instance are the only
 * state of the runtime that is not in an object, and a lock guards them. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/vulkan/api.h"

#define VOLK_IMPLEMENTATION
#include <volk.h>

#define LAYER "VK_LAYER_KHRONOS_validation"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
  VkInstance instance;
  VkDebugUtilsMessengerEXT messenger;
  sn_vk_complaints complaints;
} the;

/* ---- names -------------------------------------------------------------------------------------- */

const char *sn_vk_result_name(VkResult r) { /* table */
  switch ((int)r) {
#define NAME(x) \
  case x: return #x;
    NAME(VK_SUCCESS)
    NAME(VK_NOT_READY)
    NAME(VK_TIMEOUT)
    NAME(VK_INCOMPLETE)
    NAME(VK_ERROR_OUT_OF_HOST_MEMORY)
    NAME(VK_ERROR_OUT_OF_DEVICE_MEMORY)
    NAME(VK_ERROR_INITIALIZATION_FAILED)
    NAME(VK_ERROR_DEVICE_LOST)
    NAME(VK_ERROR_MEMORY_MAP_FAILED)
    NAME(VK_ERROR_LAYER_NOT_PRESENT)
    NAME(VK_ERROR_EXTENSION_NOT_PRESENT)
    NAME(VK_ERROR_FEATURE_NOT_PRESENT)
    NAME(VK_ERROR_INCOMPATIBLE_DRIVER)
    NAME(VK_ERROR_TOO_MANY_OBJECTS)
    NAME(VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS)
#undef NAME
    default: return "an error of the driver";
  }
}

bool sn_vk_has_extension(VkPhysicalDevice device, const char *name) {
  uint32_t count = 0;
  if (vkEnumerateDeviceExtensionProperties(device, NULL, &count, NULL) || !count) return false;
  VkExtensionProperties *at = calloc(count, sizeof *at);
  if (!at) return false;
  bool found = false;
  if (vkEnumerateDeviceExtensionProperties(device, NULL, &count, at) >= 0)
    for (uint32_t i = 0; i < count; i++) found |= !strcmp(at[i].extensionName, name);
  free(at);
  return found;
}

/* ---- validation --------------------------------------------------------------------------------- */

sn_vk_checks sn_vk_checks_wanted(void) {
  const char *v = getenv("SN_VULKAN_VALIDATE");
  if (!v || !*v || !strcmp(v, "0")) return SN_VK_CHECKS_NONE;
  return strcmp(v, "gpu") ? SN_VK_CHECKS_CORE : SN_VK_CHECKS_GPU;
}

static bool has_layer(void) {
  uint32_t count = 0;
  if (vkEnumerateInstanceLayerProperties(&count, NULL) || !count) return false;
  VkLayerProperties *at = calloc(count, sizeof *at);
  if (!at) return false;
  bool found = false;
  if (vkEnumerateInstanceLayerProperties(&count, at) >= 0)
    for (uint32_t i = 0; i < count; i++) found |= !strcmp(at[i].layerName, LAYER);
  free(at);
  return found;
}

/* Layers talk of how they are set up too: of what they would rather check, of memory that they keep for themselves. */
static bool is_of_settings(const VkDebugUtilsMessengerCallbackDataEXT *data) {
  const char *name = data->pMessageIdName ? data->pMessageIdName : "", *text = data->pMessage ? data->pMessage : "";
  return !strcmp(name, "VALIDATION-SETTINGS") || !strncmp(name, "WARNING-Setting", strlen("WARNING-Setting")) ||
         strstr(text, "Internal Warning: ") != NULL; /* those of Debian 13 have other names */
}

/* Called by the layers, from any thread. */
static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT type,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *user) {
  static pthread_mutex_t mine = PTHREAD_MUTEX_INITIALIZER;
  (void)severity, (void)type, (void)user;
  if (is_of_settings(data)) return VK_FALSE;
  pthread_mutex_lock(&mine);
  if (!the.complaints.count++)
    snprintf(the.complaints.first, sizeof the.complaints.first, "%s", data->pMessage ? data->pMessage : "");
  pthread_mutex_unlock(&mine);
  return VK_FALSE;
}

static const VkDebugUtilsMessengerCreateInfoEXT listener = {
    .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
    .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
    .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
    .pfnUserCallback = on_message};

sn_vk_complaints sn_vk_instance_complaints(void) { return the.complaints; }

/* ---- instance ----------------------------------------------------------------------------------- */

/* Ours, since volk calls what a library does not have. NULL: there is no loader. */
static PFN_vkGetInstanceProcAddr find_loader(void) {
  void *module = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!module) module = dlopen("libvulkan.so", RTLD_NOW | RTLD_LOCAL);
  void *at = module ? dlsym(module, "vkGetInstanceProcAddr") : NULL;
  PFN_vkGetInstanceProcAddr f = NULL;
  memcpy(&f, &at, sizeof f);
  return f;
}

static sn_code open_loader(sn_diags *diags) {
  PFN_vkGetInstanceProcAddr find = find_loader();
  if (find) volkInitializeCustom(find);
  if (!find || !vkCreateInstance) {
    sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "no Vulkan on this machine: libvulkan.so.1 is missing");
    sn_fail_note(diags, "install the loader and a driver: libvulkan1 with mesa-vulkan-drivers, or the vendor's driver");
    return SN_ERR_DEVICE;
  }
  if (volkGetInstanceVersion() >= VK_API_VERSION_1_2) return SN_OK;
  return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "the Vulkan loader is older than version 1.2");
}

static sn_code create(sn_diags *diags) {
  static const char *const layers[] = {LAYER}, *const extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME};
  const VkValidationFeatureEnableEXT enabled[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT,
                                                  VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT};
  const VkValidationFeaturesEXT features = {.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
                                            .pNext = &listener,
                                            .enabledValidationFeatureCount = sn_vk_checks_wanted(),
                                            .pEnabledValidationFeatures = enabled};
  const VkApplicationInfo app = {
      .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .pApplicationName = "sinter", .apiVersion = VK_API_VERSION_1_3};
  uint32_t checked = sn_vk_checks_wanted() != SN_VK_CHECKS_NONE;
  if (checked && !has_layer()) {
    sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "SN_VULKAN_VALIDATE is set, and the layer " LAYER " is missing");
    sn_fail_note(diags, "install vulkan-validationlayers");
    return SN_ERR_DEVICE;
  }
  const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                     .pNext = checked ? &features : NULL,
                                     .pApplicationInfo = &app,
                                     .enabledLayerCount = checked,
                                     .ppEnabledLayerNames = layers,
                                     .enabledExtensionCount = checked,
                                     .ppEnabledExtensionNames = extensions};
  VkResult r = vkCreateInstance(&info, NULL, &the.instance);
  if (r) {
    the.instance = VK_NULL_HANDLE;
    sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "no Vulkan driver on this machine: vkCreateInstance says %s",
            sn_vk_result_name(r));
    sn_fail_note(diags, "install a driver: mesa-vulkan-drivers, or that of the device's vendor");
    return SN_ERR_DEVICE;
  }
  volkLoadInstanceOnly(the.instance);
  if (checked) vkCreateDebugUtilsMessengerEXT(the.instance, &listener, NULL, &the.messenger);
  return SN_OK;
}

sn_code sn_vk_instance(sn_diags *diags, VkInstance *out) {
  pthread_mutex_lock(&lock);
  sn_code code = SN_OK;
  if (!vkCreateInstance) code = open_loader(diags);
  if (!code && !the.instance) code = create(diags);
  if (!code) *out = the.instance;
  pthread_mutex_unlock(&lock);
  return code;
}
