#include "tests/spirv/harness_device.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/compile.h"
#include "backends/conform/device.h"
#include "backends/spirv/spirv_backend.h"
#include "backends/spirv/spv.h"
#include "ir/base/rng.h"
#include "runtime/vulkan/vulkan.h"
#include "tests/spirv/harness.h"

bool find_device(sn_gpu *out) {
  sn_vulkan_facts *f = calloc(1, sizeof *f);
  sn_diags *d = sn_diags_create();
  bool there = f && !sn_vulkan_facts_get(d, f);
  sn_diags_destroy(d);
  if (there) *out = sn_vulkan_gpu(f);
  free(f);
  if (!there) printf("skipped: no Vulkan device here\n");
  return there;
}

sn_kernel *parse_kernel(sn_arena *a, const char *text) {
  sn_kernel *k;
  sn_diags *d = sn_diags_create();
  if (sn_kernel_parse(a, d, "k", text, strlen(text), &k)) fail_msg("%s", sn_diags_print(d, a));
  sn_diags_destroy(d);
  return k;
}

static sn_krandom_case case_of(sn_arena *a, const sn_kernel *k, const int64_t *elements) {
  sn_krandom_case c = {.arg_count = k->param_count};
  for (int j = 0; j < k->param_count; j++) {
    if (k->param[j].role == SN_K_SIZE) {
      c.args[j].i = elements[j];
      continue;
    }
    sn_elem e = k->param[j].elem;
    size_t bytes = (size_t)elements[j] * sn_elem_bytes(e);
    unsigned char *data = sn_arena_alloc(a, bytes + 1);
    for (size_t i = 0; i < bytes; i++) data[i] = (unsigned char)(sn_uniform(7, (uint64_t)j, 0, i) * 256);
    for (int64_t i = 0; i < elements[j] && sn_elem_is_float(e); i++) /* sums of products stay exact */
      sn_elem_set(e, data, i, floor(sn_uniform(7, (uint64_t)j, 0, (uint64_t)i) * 9) - 4);
    c.elements[j] = elements[j], c.args[j].p = data;
  }
  return c;
}

static void interpret(sn_arena *a, const sn_kernel *k, const sn_krandom_case *c, sn_karg *out) {
  sn_diags *d = sn_diags_create();
  for (int j = 0; j < k->param_count; j++) {
    out[j] = c->args[j];
    if (k->param[j].role == SN_K_SIZE) continue;
    size_t bytes = (size_t)c->elements[j] * sn_elem_bytes(k->param[j].elem);
    out[j].p = memcpy(sn_arena_alloc(a, bytes + 1), c->args[j].p, bytes);
  }
  sn_kinterp in = {.diags = d, .args = out, .elements = c->elements, .check = true, .hi = -1};
  if (sn_kinterp_run(&in, k)) fail_msg("%s", sn_diags_print(d, a));
  sn_diags_destroy(d);
}

/* Valid, and with no more than the device has. */
static sn_code check_module(const sn_target *t, const sn_code_blob *b, sn_arena *a, sn_diags *d) {
  const uint32_t *w = (const uint32_t *)(const void *)b->bytes;
  size_t count = (size_t)b->byte_count / 4;
  for (size_t i = 5; i < count; i += w[i] >> 16)
    if (t->gpu.no_int64 && (w[i] & 0xffff) == SpvOpCapability && w[i + 1] == SpvCapabilityInt64)
      return sn_fail(d, SN_ERR_FAIL, (sn_loc){0}, "the module has 64-bit integers");
  return spv_verify(w, count, a, d);
}

void check_program(const program *p, const sn_target *t) {
  sn_arena *a = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_kernel *k = parse_kernel(a, p->text);
  sn_krandom_case c = case_of(a, k, p->elements);
  sn_karg want[SN_K_PARAMS], got[SN_K_PARAMS];
  sn_code_blob blob;
  interpret(a, k, &c, want);
  sn_code code = sn_backend_spirv()->emit(t, k, a, d, &blob);
  if (!code) code = check_module(t, &blob, a, d);
  if (!code) code = sn_conform_on_device(a, k, &blob, &c, got, d);
  if (code) fail_msg("kernel %s for %s: %s", k->name, t->features, sn_diags_print(d, a));
  for (int j = 0; j < k->param_count; j++) {
    if (k->param[j].role == SN_K_SIZE) continue;
    if (memcmp(want[j].p, got[j].p, (size_t)c.elements[j] * sn_elem_bytes(k->param[j].elem)))
      fail_msg("kernel %s for %s: %s differs", k->name, t->features, k->param[j].name);
  }
  sn_diags_destroy(d);
  sn_arena_destroy(a);
}

void check_equal(const program *p, const sn_target *t, const sn_target *u) {
  sn_arena *a = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_kernel *k = parse_kernel(a, p->text);
  sn_krandom_case c = case_of(a, k, p->elements);
  sn_karg got[2][SN_K_PARAMS];
  for (int j = 0; j < k->param_count; j++)
    for (int64_t i = 0; i < c.elements[j] && sn_elem_is_float(k->param[j].elem); i++)
      sn_elem_set(k->param[j].elem, c.args[j].p, i, sn_uniform(9, (uint64_t)j, 0, (uint64_t)i) - .5);
  for (int i = 0; i < 2; i++) {
    sn_code_blob blob;
    sn_code code = sn_backend_spirv()->emit(i ? u : t, k, a, d, &blob);
    if (!code) code = sn_conform_on_device(a, k, &blob, &c, got[i], d);
    if (code) fail_msg("kernel %s for %s: %s", k->name, (i ? u : t)->features, sn_diags_print(d, a));
  }
  for (int j = 0; j < k->param_count; j++)
    if (c.elements[j] && memcmp(got[0][j].p, got[1][j].p, (size_t)c.elements[j] * sn_elem_bytes(k->param[j].elem)))
      fail_msg("kernel %s: %s of %s differs", k->name, k->param[j].name, u->features);
  sn_diags_destroy(d);
  sn_arena_destroy(a);
}

int count_products(const program *p, const sn_target *t) {
  sn_arena *a = sn_arena_create();
  sn_code_blob b;
  int n = 0;
  assert_int_equal(sn_backend_spirv()->emit(t, parse_kernel(a, p->text), a, NULL, &b), SN_OK);
  const uint32_t *w = (const uint32_t *)(const void *)b.bytes;
  for (int64_t i = 5; i < b.byte_count / 4; i += w[i] >> 16) n += (w[i] & 0xffff) == SpvOpCooperativeMatrixMulAddKHR;
  sn_arena_destroy(a);
  return n;
}
