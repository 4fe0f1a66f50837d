/* Which devices there are, in order, and which one plans run on. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/vulkan/api.h"
#include "runtime/vulkan/vulkan.h"

enum { DEVICES_MAX = 64 };

typedef struct found {
  VkPhysicalDevice handle[DEVICES_MAX];
  sn_vulkan_facts *facts[DEVICES_MAX]; /* of malloc */
  int count;
  int chosen;
} found;

bool sn_vulkan_built(void) { return true; }

/* ---- order ------------------------------------------------------------------------------------------------------- */

static int rank(const sn_vulkan_facts *f) {
  static const char *const order[] = {"discrete", "integrated", "virtual", "cpu"};
  int i = 0;
  while (i < 4 && strcmp(f->kind, order[i]) != 0) i++;
  return i;
}

static bool before(const sn_vulkan_facts *a, const sn_vulkan_facts *b) {
  return rank(a) != rank(b) ? rank(a) < rank(b) : a->local_bytes > b->local_bytes;
}

/* Inserts, stable: equal devices stay in the loader's order. */
static void insert(found *x, VkPhysicalDevice handle, sn_vulkan_facts *f) {
  int i = x->count++;
  for (; i > 0 && before(f, x->facts[i - 1]); i--) x->handle[i] = x->handle[i - 1], x->facts[i] = x->facts[i - 1];
  x->handle[i] = handle, x->facts[i] = f;
}

/* ---- choice ------------------------------------------------------------------------------------------------------ */

static bool holds(const char *text, const char *part) {
  size_t n = strlen(part);
  for (; *text; text++)
    if (!strncasecmp(text, part, n)) return true;
  return false;
}

static int position_of(const found *x, const char *wanted) {
  char *end;
  long index = strtol(wanted, &end, 10);
  if (isdigit((unsigned char)*wanted) && !*end) return index < x->count ? (int)index : -1;
  for (int i = 0; i < x->count; i++)
    if (!strcasecmp(x->facts[i]->uuid, wanted)) return i;
  for (int i = 0; i < x->count; i++)
    if (holds(x->facts[i]->name, wanted)) return i;
  return -1;
}

static void tell_devices(const found *x, sn_diags *diags) {
  if (!diags) return;
  sn_text t = sn_text_begin(diags->arena);
  for (int i = 0; i < x->count; i++) {
    sn_text_add(&t, "%s%d: %s", i ? ", " : "", i, x->facts[i]->name);
    if (x->facts[i]->refused) sn_text_add(&t, " (refused: %s)", x->facts[i]->refused);
  }
  sn_fail_found(diags, "%s", x->count ? t.at : "no device");
}

static sn_code choose_named(found *x, const char *wanted, sn_diags *diags) {
  int i = position_of(x, wanted);
  if (i >= 0 && !x->facts[i]->refused) return x->chosen = i, SN_OK;
  if (i >= 0)
    sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "SN_VULKAN_DEVICE: %s cannot be used: %s", x->facts[i]->name,
            x->facts[i]->refused);
  else
    sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "SN_VULKAN_DEVICE: there is no device \"%s\"", wanted);
  tell_devices(x, diags);
  return SN_ERR_DEVICE;
}

static sn_code choose(found *x, sn_diags *diags) {
  const char *wanted = getenv("SN_VULKAN_DEVICE");
  x->chosen = -1;
  if (wanted && *wanted) return choose_named(x, wanted, diags);
  for (int i = 0; i < x->count && x->chosen < 0; i++)
    if (!x->facts[i]->refused) x->chosen = i;
  return SN_OK;
}

/* ---- finding ----------------------------------------------------------------------------------------------------- */

static void forget(found *x) {
  for (int i = 0; i < x->count; i++) free(x->facts[i]);
}

static sn_code add(found *x, VkInstance instance, VkPhysicalDevice handle, sn_diags *diags) {
  const char *without = getenv("SN_VULKAN_WITHOUT");
  sn_vulkan_facts *f = malloc(sizeof *f);
  if (!f) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  sn_vk_query(instance, handle, f);
  insert(x, handle, f);
  return without ? sn_vulkan_facts_without(f, without, diags) : SN_OK;
}

static sn_code find(found *x, VkInstance instance, sn_diags *diags) {
  VkPhysicalDevice handle[DEVICES_MAX];
  uint32_t count = DEVICES_MAX;
  *x = (found){.chosen = -1};
  VkResult r = vkEnumeratePhysicalDevices(instance, &count, handle);
  if (r < 0)
    return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "vkEnumeratePhysicalDevices says %s", sn_vk_result_name(r));
  for (uint32_t i = 0; i < count; i++) SN_TRY(add(x, instance, handle[i], diags));
  return choose(x, diags);
}

sn_code sn_vk_choose(VkInstance instance, sn_diags *diags, VkPhysicalDevice *out, sn_vulkan_facts *out_facts) {
  found x;
  sn_code code = find(&x, instance, diags);
  if (!code && x.chosen < 0) {
    code = sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "no Vulkan device that plans can run on");
    sn_fail_expected(diags, "Vulkan 1.2 with bufferDeviceAddress, timelineSemaphore and a queue for compute");
    tell_devices(&x, diags);
  }
  if (!code) *out = x.handle[x.chosen], *out_facts = *x.facts[x.chosen];
  forget(&x);
  return code;
}

/* ---- public ------------------------------------------------------------------------------------------------------ */

typedef struct listing {
  sn_arena *arena;
  const found *x;
  sn_vulkan_list *out;
} listing;

static int copy_list(void *arg) {
  listing *l = arg;
  sn_vulkan_facts *at = SN_ARRAY(l->arena, l->x->count + 1, sn_vulkan_facts);
  for (int i = 0; i < l->x->count; i++) at[i] = *l->x->facts[i];
  *l->out = (sn_vulkan_list){l->x->count, l->x->chosen, at};
  return SN_OK;
}

sn_code sn_vulkan_devices(sn_arena *arena, sn_diags *diags, sn_vulkan_list *out) {
  VkInstance instance;
  found x;
  SN_TRY(sn_vk_instance(diags, &instance));
  sn_code code = find(&x, instance, diags);
  listing l = {arena, &x, out};
  if (!code) code = (sn_code)sn_protect(copy_list, &l);
  forget(&x);
  return code;
}

sn_code sn_vulkan_facts_get(sn_diags *diags, sn_vulkan_facts *out) {
  VkInstance instance;
  VkPhysicalDevice handle;
  SN_TRY(sn_vk_instance(diags, &instance));
  sn_code code = sn_vk_choose(instance, diags, &handle, out);
  return code;
}
