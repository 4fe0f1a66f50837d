/* The choice among kernels of equal bits by predicted time: work for all cores, nothing for a little, never of pairs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "passes/lower/schedule.h"

/* A product [128, 128] over `depth`, in tiles of so many rows and columns. */
static sn_kernel *product(sn_arena *arena, int depth, int rows, int cols, const char *elem) {
  char text[1024];
  snprintf(text, sizeof text,
           "kernel k(a: in %s, b: in %s, c: out f32) grid(%d, %d) {\n"
           "  %%1 = load a[g0*%d : %d, 1] : %s[%d,%d]\n"
           "  %%2 = load b[g1*%d : 128, 1] : %s[%d,%d]\n"
           "  %%3 = mma 0, %%1, %%2 : f32[%d,%d]\n"
           "  store c[g0*%d + g1*%d : 128, 1], %%3\n"
           "}\n",
           elem, elem, 128 / rows, 128 / cols, rows * depth, depth, elem, rows, depth, cols, elem, depth, cols, rows,
           cols, rows * 128, cols);
  sn_kernel *k = NULL;
  sn_diags *diags = sn_diags_create();
  if (sn_kernel_parse(arena, diags, "t", text, strlen(text), &k)) fail_msg("%s", sn_diags_print(diags, arena));
  sn_diags_destroy(diags);
  return k;
}

enum { DEPTH = 4096, SHORT = 8 };

static int best_of(int threads, const char *elem, int count, const int tile[][2]) {
  sn_arena *arena = sn_arena_create();
  const sn_kernel *k[SN_SCHEDULES];
  sn_target t = sn_target_cpu(SN_ISA_AVX512);
  t.threads = threads;
  sn_limits l = sn_limits_default(&t);
  for (int i = 0; i < count; i++) k[i] = product(arena, DEPTH, tile[i][0], tile[i][1], elem);
  int best = sn_schedule_best(&t, &l, count, k, arena, NULL);
  sn_arena_destroy(arena);
  return best;
}

static const int tiles[][2] = {{128, 128}, {64, 128}, {64, 64}};

static void one_tile_keeps_one_core_busy(void **state) {
  (void)state;
  assert_int_equal(best_of(2, "f32", 2, tiles), 1);
  assert_int_equal(best_of(4, "f32", 3, tiles), 2);
}

static void what_is_not_clearly_less_is_not_taken(void **state) {
  (void)state;
  assert_int_equal(best_of(1, "f32", 3, tiles), 0);
  assert_int_equal(best_of(2, "f32", 2, tiles + 1), 0); /* both tiles have work for two */
}

static void pairs_keep_their_tiles(void **state) {
  (void)state;
  assert_int_equal(best_of(2, "bf16", 3, tiles), 0);
}

/* on a core so slow that two would be worth it, if only the runtime gave the step to both */
static void what_the_runtime_leaves_to_one_thread_is_not_cut(void **state) {
  (void)state;
  sn_target t = sn_target_cpu(SN_ISA_AVX512);
  t.threads = 2;
  sn_limits l = sn_limits_default(&t);
  l.product = 1e8;
  for (int depth = SHORT; depth <= DEPTH; depth += DEPTH - SHORT) {
    sn_arena *arena = sn_arena_create();
    const sn_kernel *k[] = {product(arena, depth, 128, 128, "f32"), product(arena, depth, 64, 128, "f32")};
    assert_int_equal(sn_schedule_best(&t, &l, 2, k, arena, NULL), depth == DEPTH);
    sn_arena_destroy(arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_tile_keeps_one_core_busy),
      cmocka_unit_test(what_is_not_clearly_less_is_not_taken),
      cmocka_unit_test(pairs_keep_their_tiles),
      cmocka_unit_test(what_the_runtime_leaves_to_one_thread_is_not_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
