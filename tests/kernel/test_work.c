/* Counted work of kernels: products with tails, loops, windows as far as their limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ir/kernel/work.h"

static sn_work work_of(const char *text, int64_t size) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_kernel *k = NULL;
  sn_work w;
  if (sn_kernel_parse(arena, diags, "t", text, strlen(text), &k) || sn_kernel_verify(k, diags))
    fail_msg("%s", sn_diags_print(diags, arena));
  int64_t sizes[SN_K_PARAMS] = {0};
  for (int i = 0; i < k->param_count; i++) sizes[i] = size;
  sn_kernel_work(k, arena, sizes, &w);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return w;
}

static void is(double found, double expected) {
  if (found != expected) fail_msg("%g instead of %g", found, expected);
}

/* The last tile has fewer rows; columns come in two tiles for all of them. */
static void a_product_counts_rows_that_exist(void **state) {
  (void)state;
  const char *text =
      "kernel k(a: in f32, b: in f32, c: out f32, M: size 1..4096) grid(2, (M + 63)/64) {\n"
      "  %1 = load a[g1*2048 : 32, 1] rows<M - g1*64 pad 0 : f32[64,32]\n"
      "  %2 = load b[g0*48 : 96, 1] : f32[32,48]\n"
      "  %3 = mma 0, %1, %2 : f32[64,48]\n"
      "  store c[g1*6144 + g0*48 : 96, 1] rows<M - g1*64, %3\n"
      "}\n";
  static const int64_t rows[] = {1, 63, 64, 65, 1000};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    double m = (double)rows[i], tiles = (double)((rows[i] + 63) / 64);
    sn_work w = work_of(text, rows[i]);
    is(w.instances, 2 * tiles);
    is(w.products, m * 96 * 32);
    is(w.pairs, 0);
    is(w.loaded, 4 * (2 * m * 32 + tiles * 32 * 96));
    is(w.stored, 4 * m * 96);
  }
}

/* A causal loop: instance g does g + 1 rounds, and the middle one stands for all but the last. */
static void a_loop_counts_its_middle(void **state) {
  (void)state;
  const char *text =
      "kernel k(a: in f32, c: out f32, T: size 8..4096 step 8) grid(T/8) {\n"
      "  %1 = const 0 : f32[8,8]\n"
      "  %2 = for i1 = 0 to g0*8 + 8 step 8 carry %3 = %1 {\n"
      "    %4 = load a[i1*8 : 8, 1] : f32[8,8]\n"
      "    %5 = add %3, %4 : f32[8,8]\n"
      "    yield %5\n"
      "  }\n"
      "  store c[g0*64 : 8, 1], %2\n"
      "}\n";
  sn_work w = work_of(text, 800);
  double exact = 64.0 * 100 * 101 / 2;
  if (w.points < 0.95 * exact || w.points > 1.05 * exact) fail_msg("%g instead of about %g", w.points, exact);
  is(w.stored, 4 * 64 * 100);
}

/* Rounds that a loaded number decides: of two such loops one is run, of one that asks for anything but 0 it is. */
static void rounds_that_memory_decides(void **state) {
  (void)state;
  static const char *const ends[] = {"ieq(iload(n, g0), 1)", "ieq(iload(n, g0) - iload(n, g0)/2*ilt(T, g0 + 64), 2)",
                                     "imin(iload(n, g0) - ilt(T, g0), 1)"};
  for (int i = 0; i < 3; i++) {
    char text[512];
    snprintf(text, sizeof text,
             "kernel k(n: in i32, a: in f32, c: out f32, T: size 8..4096 step 8) grid(T/8) {\n"
             "  %%1 = load a[g0*64 : 8, 1] : f32[8,8]\n"
             "  %%2 = for i1 = 0 to %s step 1 carry %%3 = %%1 {\n"
             "    %%4 = add %%3, %%1 : f32[8,8]\n"
             "    yield %%4\n"
             "  }\n"
             "  store c[g0*64 : 8, 1], %%2\n"
             "}\n",
             ends[i]);
    is(work_of(text, 800).points, i < 2 ? 3200 : 6400);
  }
}

static void nothing_costs_nothing(void **state) {
  (void)state;
  const char *text =
      "kernel k(a: in f32, c: out f32, N: size 0..64) grid((N + 7)/8) {\n"
      "  %1 = load a[g0*8 : 0, 1] cols<N - g0*8 pad 0 : f32[1,8]\n"
      "  %2 = exp2 %1 : f32[1,8]\n"
      "  store c[g0*8 : 0, 1] cols<N - g0*8, %2\n"
      "}\n";
  sn_work w = work_of(text, 0);
  is(w.instances + w.points + w.loaded + w.stored, 0);
  is(work_of(text, 11).loaded, 44);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_product_counts_rows_that_exist),
      cmocka_unit_test(a_loop_counts_its_middle),
      cmocka_unit_test(rounds_that_memory_decides),
      cmocka_unit_test(nothing_costs_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
