/* passes/kernel/simplify: each rule acts and leaves alone, and random programs mean the same after it, within rounding.
 * Environment: SN_RANDOM_COUNT programs (1000), SN_RANDOM_FIRST. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/ref/krandom.h"
#include "passes/kernel/kernel_passes.h"

#define HEAD \
  "kernel k(x: in f32, y: out f32, h: in bf16, i: in i32, T: size 64..1024 step 64, N: size 1..99) grid(T/64) {\n"

static const char *printed(sn_arena *a, const sn_kernel *k) {
  sn_text t = sn_text_begin(a);
  sn_kernel_print(&t, k);
  return t.at;
}

static sn_kernel *parsed(sn_arena *a, const char *body) {
  sn_diags *d = sn_diags_create();
  sn_kernel *k = NULL;
  const char *text = sn_arena_printf(a, HEAD "%s}\n", body);
  if (sn_kernel_parse(a, d, "t", text, strlen(text), &k)) fail_msg("%s\n%s", sn_diags_print(d, a), text);
  sn_diags_destroy(d);
  return k;
}

/* The body `before` becomes `after`. */
static void gives(const char *before, const char *after) {
  sn_arena *a = sn_arena_create();
  sn_kernel *k = sn_kernel_simplify(a, parsed(a, before));
  assert_string_equal(printed(a, k), sn_arena_printf(a, HEAD "%s}\n", after));
  assert_true(sn_kernel_equal(k, sn_kernel_simplify(a, k), a)); /* nothing is left to do */
  sn_arena_destroy(a);
}

static void leaves(const char *body) { gives(body, body); }

#define LOAD "  %1 = load x[g0*256 : 64, 1] : f32[4,64]\n"
#define STORE(v) "  store y[g0*256 : 64, 1], %" #v "\n"

static void constants_and_identities(void **state) {
  (void)state;
  gives(LOAD
        "%2 = const 2 : f32[4,64]\n%3 = mul %2, 3 : f32[4,64]\n%4 = sqrt 16 : f32[4,64]\n%5 = sub %3, %4 : f32[4,64]\n"
        "%6 = sub %1, %5 : f32[4,64]\n" STORE(6),
        LOAD "  %2 = sub %1, 2 : f32[4,64]\n" STORE(2));
  gives(LOAD "%2 = mul %1, 1 : f32[4,64]\n%3 = neg %2 : f32[4,64]\n%4 = neg %3 : f32[4,64]\n" STORE(4), LOAD STORE(1));
  gives(LOAD "%2 = mul 0.5, %1 : f32[4,64]\n%3 = mul %2, 0.125 : f32[4,64]\n" STORE(3),
        LOAD "  %2 = mul %1, 0.0625 : f32[4,64]\n" STORE(2));
  gives(LOAD "%2 = div %1, 8 : f32[4,64]\n" STORE(2), LOAD "  %2 = mul %1, 0.125 : f32[4,64]\n" STORE(2));
  gives(LOAD "%2 = neg %1 : f32[4,64]\n%3 = exp2 %1 : f32[4,64]\n%4 = add %3, %2 : f32[4,64]\n" STORE(4),
        LOAD "  %2 = exp2 %1 : f32[4,64]\n  %3 = sub %2, %1 : f32[4,64]\n" STORE(3));
  gives(LOAD "%2 = const 1 : bool[4,64]\n%3 = select %2, %1, 0 : f32[4,64]\n" STORE(3), LOAD STORE(1));
  leaves(LOAD "  %2 = mul %1, 1e+30 : f32[4,64]\n  %3 = mul %2, 1e+30 : f32[4,64]\n" STORE(3));
  leaves(LOAD "  %2 = div %1, 3 : f32[4,64]\n" STORE(2));
  leaves(LOAD "  %2 = add %1, 0 : f32[4,64]\n" STORE(2)); /* -0 + 0 is 0 */
}

static void casts(void **state) {
  (void)state;
  gives(
      "%1 = load h[0 : 64, 1] : bf16[4,64]\n%2 = cast %1 : f32[4,64]\n%3 = cast %2 : bf16[4,64]\n%4 = cast %3 : "
      "f32[4,64]\n" STORE(4),
      "  %1 = load h[0 : 64, 1] : bf16[4,64]\n  %2 = cast %1 : f32[4,64]\n" STORE(2));
  leaves(LOAD "  %2 = cast %1 : bf16[4,64]\n  %3 = cast %2 : f32[4,64]\n" STORE(3));
}

static void below_broadcasts(void **state) {
  (void)state;
  gives(LOAD
        "%2 = rsum %1 axis 1 : f32[4,1]\n%3 = bcast %2 : f32[4,64]\n%4 = mul %3, 0.5 : f32[4,64]\n%5 = sub %1, %4 : "
        "f32[4,64]\n" STORE(5),
        LOAD
        "  %2 = rsum %1 axis 1 : f32[4,1]\n  %3 = mul %2, 0.5 : f32[4,1]\n  %4 = bcast %3 : f32[4,64]\n"
        "  %5 = sub %1, %4 : f32[4,64]\n" STORE(5));
  gives(
      "%1 = iota g0*4 axis 0 : i32[4,64]\n%2 = isplat N : i32[4,64]\n%3 = add %1, %2 : i32[4,64]\n%4 = cast %3 : "
      "f32[4,64]\n" STORE(4),
      "  %1 = iota g0*4 axis 0 : i32[4,1]\n  %2 = isplat N : i32[1,1]\n  %3 = bcast %2 : i32[4,1]\n"
      "  %4 = add %1, %3 : i32[4,1]\n  %5 = cast %4 : f32[4,1]\n  %6 = bcast %5 : f32[4,64]\n" STORE(6));
  gives("%1 = load x[g0*64 : 0, 1] : f32[4,64]\n%2 = exp2 %1 : f32[4,64]\n" STORE(2),
        "  %1 = load x[g0*64 : 0, 1] : f32[1,64]\n  %2 = exp2 %1 : f32[1,64]\n  %3 = bcast %2 : f32[4,64]\n" STORE(3));
  gives(
      "%1 = load x[0 : 64, 1] : f32[4,1]\n%2 = bcast %1 : f32[4,64]\n%3 = trans %2 : f32[64,4]\n%4 = rmax %3 axis 0 : "
      "f32[1,4]\n"
      "store y[g0*4 : 0, 1], %4\n",
      "  %1 = load x[0 : 64, 1] : f32[4,1]\n  %2 = trans %1 : f32[1,4]\n  store y[g0*4 : 0, 1], %2\n");
  leaves(LOAD
         "  %2 = rsum %1 axis 1 : f32[4,1]\n  %3 = rsum %1 axis 0 : f32[1,64]\n  %4 = bcast %2 : f32[4,64]\n"
         "  %5 = bcast %3 : f32[4,64]\n  %6 = sub %4, %5 : f32[4,64]\n" STORE(6));
}

static void equal_values_are_one(void **state) {
  (void)state;
  gives(LOAD
        "%2 = load x[g0*256 : 64, 1] : f32[4,64]\n%3 = exp2 %1 : f32[4,64]\n%4 = exp2 %2 : f32[4,64]\n%5 = mul %3, %4 "
        ": f32[4,64]\n" STORE(5),
        LOAD "  %2 = exp2 %1 : f32[4,64]\n  %3 = mul %2, %2 : f32[4,64]\n" STORE(3));
  /* what a branch computed is not seen outside */
  leaves(LOAD
         "  if ilt(g0, N) {\n    %2 = exp2 %1 : f32[4,64]\n    store y[g0*512 : 64, 1], %2\n  } else {\n  }\n"
         "  %3 = exp2 %1 : f32[4,64]\n  store y[g0*512 + 256 : 64, 1], %3\n");
}

static void limits_and_statements(void **state) {
  (void)state;
  gives("%1 = load x[g0*64 : 1, 1] rows<T - g0*64 pad 0 : f32[64,1]\nstore y[g0*64 : 1, 1] rows<T - g0*64, %1\n",
        "  %1 = load x[g0*64 : 1, 1] : f32[64,1]\n  store y[g0*64 : 1, 1], %1\n");
  leaves("  %1 = load x[g0*64 : 1, 1] rows<N - g0*64 pad 0 : f32[64,1]\n  store y[g0*64 : 1, 1] rows<N - g0*64, %1\n");
  gives(
      "%1 = const 0 : f32[4,64]\n%2 = for i1 = 0 to 64 step 64 carry %3 = %1 {\n%4 = load x[i1 : 64, 1] : f32[4,64]\n"
      "%5 = exp2 %4 : f32[4,64]\n%6 = add %5, %3 : f32[4,64]\nyield %6\n}\n" STORE(2),
      "  %1 = load x[0 : 64, 1] : f32[4,64]\n  %2 = exp2 %1 : f32[4,64]\n  %3 = add %2, 0 : f32[4,64]\n" STORE(3));
  gives(LOAD "%2 = for i1 = N to 1 step 1 carry %3 = %1 {\n%4 = exp2 %3 : f32[4,64]\nyield %4\n}\n" STORE(2),
        LOAD STORE(1));
  gives(LOAD "%2 = if ilt(g0*64, T) {\nyield %1\n} else {\n%3 = const 0 : f32[4,64]\nyield %3\n}\n" STORE(2),
        LOAD STORE(1));
}

#define LOOP(body, v)                                                                                  \
  "  %1 = const 0 : f32[4,64]\n  %2 = for i1 = 0 to T step 64 carry %3 = %1 {\n" body "    yield %" #v \
  "\n  }\n" STORE(2)

static void invariants_leave_loops(void **state) {
  (void)state;
  gives(
      LOOP("%4 = load x[g0 : 64, 1] : f32[4,64]\n%5 = exp2 %4 : f32[4,64]\n%6 = sub %3, %5 : f32[4,64]\n", 6),
      "  %1 = const 0 : f32[4,64]\n  %2 = load x[g0 : 64, 1] : f32[4,64]\n  %3 = exp2 %2 : f32[4,64]\n"
      "  %4 = for i1 = 0 to T step 64 carry %5 = %1 {\n    %6 = sub %5, %3 : f32[4,64]\n    yield %6\n  }\n" STORE(4));
  leaves(LOOP(
      "    %4 = load x[i1 : 64, 1] : f32[4,64]\n    %5 = exp2 %4 : f32[4,64]\n    %6 = sub %3, %5 : f32[4,64]\n", 6));
  /* a loop that may not run: the load stays */
  leaves(
      "  %1 = const 0 : f32[4,64]\n  %2 = for i1 = g0 to N step 64 carry %3 = %1 {\n    %4 = load x[g0 : 64, 1] : "
      "f32[4,64]\n"
      "    %5 = exp2 %4 : f32[4,64]\n    %6 = sub %3, %5 : f32[4,64]\n    yield %6\n  }\n" STORE(2));
}

static void products_become_fma(void **state) {
  (void)state;
  gives(LOAD "%2 = exp2 %1 : f32[4,64]\n%3 = mul %1, %2 : f32[4,64]\n%4 = add %3, 1 : f32[4,64]\n" STORE(4),
        LOAD "  %2 = exp2 %1 : f32[4,64]\n  %3 = fma %1, %2, 1 : f32[4,64]\n" STORE(3));
  leaves(LOAD "  %2 = mul %1, %1 : f32[4,64]\n  %3 = add %2, 1 : f32[4,64]\n  %4 = div %2, %3 : f32[4,64]\n" STORE(4));
  /* the rescale pattern stays */
  leaves(
      LOOP("    %4 = load x[i1 : 64, 1] : f32[4,1]\n    %5 = bcast %4 : f32[4,64]\n    %6 = mul %3, %5 : f32[4,64]\n"
           "    %7 = load x[i1 : 64, 1] : f32[4,64]\n    %8 = add %6, %7 : f32[4,64]\n",
           8));
}

static void transposed_operands(void **state) {
  (void)state;
  gives(LOAD
        "%2 = trans %1 : f32[64,4]\n%3 = const 0 : f32[64,64]\n%4 = mma %3, %2, %1 : f32[64,64]\nstore y[g0*4096 : 64, "
        "1], %4\n",
        LOAD "  %2 = mma 0, %1, %1 ta : f32[64,64]\n  store y[g0*4096 : 64, 1], %2\n");
  leaves(LOAD "  %2 = trans %1 : f32[64,4]\n  %3 = mma 0, %1, %2 : f32[4,4]\n  store y[g0*16 : 4, 1], %3\n");
}

/* ---- random programs ---- */

static void run(sn_arena *a, const sn_kernel *k, const sn_krandom_case *c, sn_karg *args) {
  sn_diags *d = sn_diags_create();
  sn_krandom_args(a, k, c, args);
  sn_kinterp in = {.diags = d, .args = args, .elements = c->elements, .round = true, .check = true, .hi = -1};
  if (sn_kernel_verify(k, d) || sn_kinterp_run(&in, k)) fail_msg("%s\n%s", sn_diags_print(d, a), printed(a, k));
  sn_diags_destroy(d);
}

static void check(sn_arena *a, uint64_t seed, const char *what, const sn_kernel *before, const sn_kernel *k,
                  const sn_krandom_case *c) {
  sn_karg args[SN_K_PARAMS];
  const char *why = NULL;
  run(a, k, c, args);
  if (!sn_krandom_check(a, k, c, args, &why))
    fail_msg("seed %llu, %s: %s\n%s%s", (unsigned long long)seed, what, why, printed(a, before), printed(a, k));
}

static void random_programs_keep_their_meaning(void **state) {
  (void)state;
  const char *count = getenv("SN_RANDOM_COUNT"), *first = getenv("SN_RANDOM_FIRST");
  int programs = count ? atoi(count) : 1000, start = first ? atoi(first) : 1;
  int64_t before = 0, after = 0;
  for (int seed = start; seed < start + programs; seed++) {
    sn_arena *a = sn_arena_create();
    sn_krandom_case c = {0};
    sn_kernel *k = sn_krandom(a, (uint64_t)seed, &c);
    assert_null(c.error);
    sn_kernel *s = sn_kernel_simplify(a, k);
    check(a, (uint64_t)seed, "simplified", k, s, &c);
    sn_kernel *e = sn_kernel_expand_math(a, s);
    check(a, (uint64_t)seed, "expanded", k, e, &c);
    check(a, (uint64_t)seed, "expanded and simplified", k, sn_kernel_simplify(a, e), &c);
    before += k->ins_count;
    after += s->ins_count;
    sn_arena_destroy(a);
  }
  print_message("%d programs, %lld instructions before, %lld after\n", programs, (long long)before, (long long)after);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(constants_and_identities),
      cmocka_unit_test(casts),
      cmocka_unit_test(below_broadcasts),
      cmocka_unit_test(equal_values_are_one),
      cmocka_unit_test(limits_and_statements),
      cmocka_unit_test(invariants_leave_loops),
      cmocka_unit_test(products_become_fma),
      cmocka_unit_test(transposed_operands),
      cmocka_unit_test(random_programs_keep_their_meaning),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
