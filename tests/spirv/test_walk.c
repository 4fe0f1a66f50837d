/* Products whose factors are brought in round by round: all layouts, element types and ways to end, for devices with
 * more and with less shared memory, without subgroups, without narrow memory, and with matrices where there are any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/spirv/harness_device.h"

static sn_gpu device;

typedef struct product {
  int m, n, k;
  bool ta, tb;
  int more;  /* elements by which rows in memory are longer than the tile: what can be loaded at once */
  int limit; /* valid steps of k, 0: all; the factors say so by one size */
  bool loop; /* over blocks of k */
} product;

static const product products[] = {
    {128, 64, 96, false, false, 0, 0, false}, {64, 64, 100, true, false, 0, 0, false},
    {64, 128, 96, false, true, 0, 0, false},  {128, 128, 64, true, true, 0, 0, false},
    {96, 48, 104, false, false, 1, 0, false}, {65, 70, 77, false, false, 0, 0, false},
    {77, 65, 83, true, true, 2, 0, false},    {64, 64, 128, false, false, 0, 67, false},
    {64, 64, 128, true, false, 4, 1, false},  {64, 64, 96, true, false, 0, 160, true},
    {128, 64, 96, false, true, 0, 0, true},   {512, 16, 40, true, false, 0, 0, false},
    {640, 16, 40, false, true, 0, 0, false},  {32, 128, 256, false, true, 0, 0, false},
    {128, 128, 40, false, true, 0, 0, false},
};

enum { BLOCKS = 2 };

/* One factor: its kept axis over rows or columns of memory. */
static int64_t load_text(char *text, size_t room, const char *buffer, const char *e, int kept, int k, bool k_first,
                         const product *p, const char *number) {
  int rows = k_first ? k : kept, cols = (k_first ? kept : k), depth = p->loop ? BLOCKS * k : k;
  int pitch = (k_first ? kept : depth) + p->more;
  char window[64] = "", limit[64] = "";
  if (p->loop) snprintf(window, sizeof window, "i1*%d", k_first ? pitch : 1);
  if (p->limit) snprintf(limit, sizeof limit, " %s<%s pad 0", k_first ? "rows" : "cols", p->loop ? "s - i1" : "s");
  snprintf(text, room, "%s = load %s[%s : %d, 1]%s : %s[%d,%d]\n", number, buffer, p->loop ? window : "0", pitch, limit,
           e, rows, cols);
  return (int64_t)(k_first ? depth : kept) * pitch;
}

static void check_product(const product *p, const char *e, const char *sum, const sn_target *t) {
  char a[256], b[256], text[2048];
  const char *turns = p->ta ? p->tb ? " ta tb" : " ta" : p->tb ? " tb" : "";
  program q = {.text = text};
  q.elements[0] = load_text(a, sizeof a, "x", e, p->m, p->k, p->ta, p, "%1");
  q.elements[1] = load_text(b, sizeof b, "w", e, p->n, p->k, !p->tb, p, "%2");
  q.elements[2] = (int64_t)p->m * p->n, q.elements[3] = p->limit;
  const char *size = p->limit ? ", s: size 1..4096" : "";
  if (p->loop)
    snprintf(
        text, sizeof text,
        "kernel walk(x: in %s, w: in %s, y: out %s%s) grid(1) {\n  %%5 = const 1 : %s[%d,%d]\n"
        "  %%6 = for i1 = 0 to %d step %d carry %%7 = %%5 {\n    %s    %s    %%3 = mma %%7, %%1, %%2%s : %s[%d,%d]\n"
        "    yield %%3\n  }\n  store y[0 : %d, 1], %%6\n}\n",
        e, e, sum, size, sum, p->m, p->n, BLOCKS * p->k, p->k, a, b, turns, sum, p->m, p->n, p->n);
  else
    snprintf(text, sizeof text,
             "kernel walk(x: in %s, w: in %s, y: out %s%s) grid(1) {\n  %s  %s  %%3 = mma 0, %%1, %%2%s : %s[%d,%d]\n"
             "  store y[0 : %d, 1], %%3\n}\n",
             e, e, sum, size, a, b, turns, sum, p->m, p->n, p->n);
  check_program(&q, t);
}

/* Every one, or every second or third: drivers for processors take a while to compile them. */
static void check_all(const sn_gpu *gpu, const char *e, const char *sum, size_t step) {
  sn_target t = sn_target_vulkan(gpu);
  for (size_t i = 0; i < sizeof products / sizeof *products; i += step) check_product(&products[i], e, sum, &t);
}

static void of_f32(void **state) { (void)state, check_all(&device, "f32", "f32", 1); }
static void of_f16(void **state) { (void)state, check_all(&device, "f16", "f32", device.f16.m ? 1 : 3); }
static void of_bf16(void **state) { (void)state, check_all(&device, "bf16", "f32", device.bf16.m ? 1 : 2); }
static void of_i8(void **state) { (void)state, check_all(&device, "i8", "i32", device.i8.m ? 1 : 3); }

static void with_little_memory(void **state) {
  (void)state;
  for (int bytes = 16 << 10; bytes >= 4 << 10; bytes /= 4) {
    sn_gpu gpu = device;
    gpu.shared_bytes = bytes, gpu.subgroup = 0;
    check_all(&gpu, "f32", "f32", 2);
  }
}

static void without_narrow_memory(void **state) {
  (void)state;
  sn_gpu gpu = device;
  gpu.storage8 = gpu.storage16 = false, gpu.no_int64 = true;
  check_all(&gpu, "bf16", "f32", 3);
}

int main(void) {
  if (!find_device(&device)) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(of_f32),
      cmocka_unit_test(of_f16),
      cmocka_unit_test(of_bf16),
      cmocka_unit_test(of_i8),
      cmocka_unit_test(with_little_memory),
      cmocka_unit_test(without_narrow_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
