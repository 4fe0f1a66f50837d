/* Loading, running and comparing generated CPU code. */
#include "tests/llvm/harness.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#include "ir/base/half.h"
#include "ir/base/rng.h"

enum { GUARD = 256 };

hx_code hx_build(const sn_target *t, const sn_kernel *k) {
  sn_arena *a = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_code_blob b = {0};
  if (sn_llvm_emit(NULL, t, k, a, d, &b)) {
    sn_text text = sn_text_begin(a);
    sn_kernel_print(&text, k);
    fail_msg("%s\n%s", sn_diags_print(d, a), text.at);
  }
  hx_code c = {.map_bytes = ((size_t)b.byte_count + 4095) / 4096 * 4096, .workspace_bytes = b.workspace_bytes};
  c.map = mmap(NULL, c.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(c.map != MAP_FAILED);
  memcpy(c.map, b.bytes, (size_t)b.byte_count);
  assert_int_equal(mprotect(c.map, c.map_bytes, PROT_READ | PROT_EXEC), 0);
  *(void **)&c.fn = (char *)c.map + b.entry;
  c.ws = aligned_alloc(4096, ((size_t)b.workspace_bytes + 4096 + GUARD) / 4096 * 4096 + 4096);
  assert_non_null(c.ws);
  sn_diags_destroy(d);
  sn_arena_destroy(a);
  return c;
}

void hx_free(hx_code *c) {
  munmap(c->map, c->map_bytes);
  free(c->ws);
}

bool hx_can_run(sn_isa isa) {
  sn_target host;
  return sn_llvm_host_target(&host) == SN_OK && host.isa >= isa;
}

sn_target hx_target(sn_isa isa, bool extras) {
  sn_target host, t = sn_target_cpu(isa);
  bool known = extras && isa == SN_ISA_AVX512 && sn_llvm_host_target(&host) == SN_OK;
  if (known && strstr(host.features, "avx512bf16")) (void)sn_target_find_level("avx512bf16", &t);
  return t;
}

void hx_run(const hx_code *c, const sn_kernel *k, const sn_karg *args, bool pieces) {
  int64_t n = sn_kernel_instances(k, args);
  unsigned char *ws = c->ws;
  memset(ws, 0xff, (size_t)c->workspace_bytes);
  memset(ws + c->workspace_bytes, 0xa5, GUARD);
  memset(ws, 0, sizeof(int64_t)); /* a launch begins */
  if (!pieces) c->fn(args, ws, 0, n);
  for (int64_t hi = n, lo, size = 1; pieces && hi > 0; hi = lo, size = size % 3 + 1) {
    lo = hi > size ? hi - size : 0;
    c->fn(args, ws, lo, lo + 1);
    if (lo + 1 < hi) c->fn(args, ws, lo + 1, hi);
  }
  for (int i = 0; i < GUARD; i++)
    if (ws[c->workspace_bytes + i] != 0xa5) fail_msg("kernel %s writes beyond its workspace", k->name);
}

hx_buffer hx_buffer_create(sn_elem e, int64_t elements) {
  hx_buffer b = {.elements = elements, .elem = e, .bytes = (size_t)elements * sn_elem_bytes(e)};
  b.base = aligned_alloc(64, (b.bytes + 2 * GUARD + 63) / 64 * 64);
  assert_non_null(b.base);
  memset(b.base, 0xa5, GUARD);
  b.data = b.base + GUARD;
  memset(b.data, 0xff, b.bytes);
  memset(b.base + GUARD + b.bytes, 0xa5, GUARD);
  return b;
}

void hx_buffer_free(hx_buffer *b) { free(b->base); }

bool hx_buffer_intact(const hx_buffer *b) {
  for (int i = 0; i < GUARD; i++)
    if (b->base[i] != (char)0xa5 || b->base[GUARD + b->bytes + (size_t)i] != (char)0xa5) return false;
  return true;
}

static void set(hx_buffer *b, int64_t i, double x) {
  switch (b->elem) { /* table */
    case SN_ELEM_F64: ((double *)b->data)[i] = x; break;
    case SN_ELEM_F32: ((float *)b->data)[i] = (float)x; break;
    case SN_ELEM_BF16: ((uint16_t *)b->data)[i] = sn_bf16_from_f32((float)x); break;
    case SN_ELEM_F16: ((uint16_t *)b->data)[i] = sn_f16_from_f32((float)x); break;
    case SN_ELEM_I64: ((int64_t *)b->data)[i] = (int64_t)x; break;
    case SN_ELEM_I32: ((int32_t *)b->data)[i] = (int32_t)x; break;
    case SN_ELEM_I8: ((int8_t *)b->data)[i] = (int8_t)x; break;
    default: ((uint8_t *)b->data)[i] = (uint8_t)x; break;
  }
}

double hx_get(const hx_buffer *b, int64_t i) {
  switch (b->elem) { /* table */
    case SN_ELEM_F64: return ((double *)b->data)[i];
    case SN_ELEM_F32: return ((float *)b->data)[i];
    case SN_ELEM_BF16: return sn_f32_from_bf16(((uint16_t *)b->data)[i]);
    case SN_ELEM_F16: return sn_f32_from_f16(((uint16_t *)b->data)[i]);
    case SN_ELEM_I64: return (double)((int64_t *)b->data)[i];
    case SN_ELEM_I32: return ((int32_t *)b->data)[i];
    case SN_ELEM_I8: return ((int8_t *)b->data)[i];
    default: return ((uint8_t *)b->data)[i];
  }
}

void hx_fill(hx_buffer *b, uint64_t seed, double scale) {
  for (int64_t i = 0; i < b->elements; i++) set(b, i, scale * ((double)sn_uniform(seed, 1, 0, (uint64_t)i) - 0.5));
}

static bool stored(const sn_kernel *k, int j) { return k->param[j].role == SN_K_OUT || k->param[j].role == SN_K_INOUT; }

/* Arguments with copies of the stored buffers. */
static void copies(const sn_kernel *k, const sn_karg *args, const hx_buffer *buffers, sn_karg *out, hx_buffer *made) {
  for (int j = 0; j < k->param_count; j++) {
    out[j] = args[j];
    if (!stored(k, j)) continue;
    made[j] = hx_buffer_create(buffers[j].elem, buffers[j].elements);
    memcpy(made[j].data, buffers[j].data, buffers[j].bytes);
    out[j].p = made[j].data;
  }
}

static void interpret(const sn_kernel *k, const sn_karg *args, const hx_buffer *buffers) {
  int64_t elements[SN_K_PARAMS] = {0};
  sn_diags *d = sn_diags_create();
  sn_arena *a = sn_arena_create();
  for (int j = 0; j < k->param_count; j++) elements[j] = k->param[j].role == SN_K_SIZE ? 0 : buffers[j].elements;
  sn_kinterp in = {.diags = d, .args = args, .elements = elements, .check = true, .hi = -1};
  if (sn_kinterp_run(&in, k)) fail_msg("%s", sn_diags_print(d, a));
  sn_arena_destroy(a);
  sn_diags_destroy(d);
}

static void compare(const sn_kernel *k, int j, const hx_buffer *got, const hx_buffer *want, double tolerance) {
  if (!hx_buffer_intact(got)) fail_msg("kernel %s: %s: guard words were written", k->name, k->param[j].name);
  for (int64_t i = 0; i < got->elements; i++) {
    double x = hx_get(got, i), y = hx_get(want, i);
    bool same = x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= tolerance * (1 + fabs(y));
    if (!same) fail_msg("kernel %s: %s[%lld] is %.9g, expected %.9g", k->name, k->param[j].name, (long long)i, x, y);
  }
}

void hx_check(const sn_target *t, const sn_kernel *k, const sn_karg *args, const hx_buffer *buffers, double tolerance) {
  sn_karg want_args[SN_K_PARAMS], got_args[SN_K_PARAMS], back_args[SN_K_PARAMS];
  hx_buffer want[SN_K_PARAMS], got[SN_K_PARAMS], back[SN_K_PARAMS];
  copies(k, args, buffers, want_args, want);
  copies(k, args, buffers, got_args, got);
  copies(k, args, buffers, back_args, back);
  interpret(k, want_args, buffers);
  hx_code c = hx_build(t, k);
  hx_run(&c, k, got_args, false);
  hx_run(&c, k, back_args, true);
  for (int j = 0; j < k->param_count; j++) {
    if (!stored(k, j)) continue;
    compare(k, j, &got[j], &want[j], tolerance);
    if (memcmp(got[j].data, back[j].data, got[j].bytes))
      fail_msg("kernel %s: bits depend on the split of the grid", k->name);
    hx_buffer_free(&want[j]), hx_buffer_free(&got[j]), hx_buffer_free(&back[j]);
  }
  hx_free(&c);
}

double hx_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
