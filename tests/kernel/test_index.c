/* Index values: folding by identities, bounds and divisors; limits that are proven drop out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ir/kernel/kernel.h"

typedef struct fixture {
  sn_arena *a;
  sn_kernel *k;
  sn_kv x, T, N, g;
} fixture;

static fixture begin(void) {
  fixture f = {.a = sn_arena_create()};
  f.k = sn_kernel_create(f.a, "k");
  f.x = sn_kernel_buffer(f.k, "x", SN_ELEM_F32, SN_K_IN);
  f.T = sn_kernel_size(f.k, "T", 64, 1024, 64);
  f.N = sn_kernel_size(f.k, "N", 1, 100, 1);
  sn_kernel_grid(f.k, 1, sn_k_iceil(f.k, f.T, 64), 0, 0);
  f.g = sn_k_gid(f.k, 0);
  return f;
}

static void is(fixture *f, sn_kv v, const char *text) { assert_string_equal(sn_k_text(f->k, v, f->a), text); }

static void equal_expressions_have_equal_ids(void **state) {
  (void)state;
  fixture f = begin();
  assert_int_equal(sn_k_iadd(f.k, f.T, f.N), sn_k_iadd(f.k, f.N, f.T));
  assert_int_equal(sn_k_i(f.k, 5), sn_k_iadd(f.k, sn_k_i(f.k, 2), sn_k_i(f.k, 3)));
  for (int j = 0; j < 1000; j++) assert_int_equal(sn_k_imulc(f.k, f.g, j), sn_k_imulc(f.k, f.g, j));
  sn_arena_destroy(f.a);
}

/* Bounds of loops that are made of the loop variables around them, many times over: what is known of the innermost one
 * would take 8^12 visits. */
static void questions_end(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_text t = sn_text_begin(a);
  sn_kernel *k;
  enum { LOOPS = 12 };
  sn_text_add(&t, "kernel k(x: in f32, y: out f32, n: size 1..4) grid(1) {\n  for i0 = 0 to n step 1 {\n");
  for (int j = 1; j < LOOPS; j++) {
    sn_text_add(&t, "  for i%d = i%d", j, j - 1);
    for (int q = 1; q < 4; q++) sn_text_add(&t, " + i%d", j - 1);
    sn_text_add(&t, " to i%d", j - 1);
    for (int q = 1; q < 4; q++) sn_text_add(&t, " + i%d", j - 1);
    sn_text_add(&t, " + 1 step 1 {\n");
  }
  sn_text_add(&t, "  %%1 = load x[i%d : 0, 1] rows<i%d : f32[1,4]\n  store y[i%d : 0, 1], %%1\n", LOOPS - 1, LOOPS - 1,
              LOOPS - 1);
  for (int j = 0; j <= LOOPS; j++) sn_text_add(&t, "}\n");
  if (sn_kernel_parse(a, d, "deep", t.at, (size_t)t.count, &k)) fail_msg("%s", sn_diags_print(d, a));
  for (sn_kv v = 1; v < k->ins_count; v++) {
    int64_t lo, hi;
    sn_k_bounds(k, v, &lo, &hi);
    assert_true(lo <= hi);
    if (k->ins[v].op == SN_K_IV) assert_true(lo <= 0 && hi >= 0 && sn_k_divisor(k, v) == 1);
  }
  assert_non_null(sn_kernel_finish(a, k));
  sn_diags_destroy(d);
  sn_arena_destroy(a);
}

static void identities_fold(void **state) {
  (void)state;
  fixture f = begin();
  sn_kernel *k = f.k;
  sn_kv row = sn_k_imulc(k, f.g, 64);
  is(&f, k->grid[0], "T/64");
  is(&f, sn_k_iadd(k, sn_k_iadd(k, f.N, sn_k_i(k, 3)), sn_k_i(k, -3)), "N");
  is(&f, sn_k_isub(k, f.N, f.N), "0");
  is(&f, sn_k_isub(k, sn_k_iadd(k, row, f.N), row), "N");
  is(&f, sn_k_isub(k, f.N, sn_k_i(k, 2)), "N - 2");
  is(&f, sn_k_imulc(k, row, 3), "g0*192");
  is(&f, sn_k_ibin(k, SN_K_IMOD, row, sn_k_i(k, 16)), "0");
  is(&f, sn_k_ibin(k, SN_K_IDIV, row, sn_k_i(k, 16)), "g0*4");
  is(&f, sn_k_ibin(k, SN_K_IMOD, sn_k_iadd(k, row, f.N), sn_k_i(k, 128)), "(g0*64 + N) % 128");
  is(&f, sn_k_ibin(k, SN_K_IMOD, f.T, sn_k_i(k, 32)), "0");
  is(&f, sn_k_ibin(k, SN_K_IDIV, f.N, sn_k_i(k, 101)), "0");
  is(&f, sn_k_ibin(k, SN_K_IMOD, f.N, sn_k_i(k, 101)), "N");
  is(&f, sn_k_ibin(k, SN_K_IMOD, sn_k_imul(k, f.N, f.T), f.T), "0");
  is(&f, sn_k_ibin(k, SN_K_IDIV, sn_k_imul(k, f.N, f.T), f.T), "N");
  is(&f, sn_k_ibin(k, SN_K_IMIN, f.N, sn_k_i(k, 100)), "N");
  is(&f, sn_k_ibin(k, SN_K_IMAX, f.N, sn_k_i(k, 100)), "100");
  is(&f, sn_k_ibin(k, SN_K_IMIN, sn_k_iadd(k, row, sn_k_i(k, 64)), f.T), "g0*64 + 64");
  is(&f, sn_k_ibin(k, SN_K_ILT, row, f.T), "1");
  is(&f, sn_k_ibin(k, SN_K_IEQ, sn_k_iadd(k, f.N, sn_k_i(k, 1)), f.N), "0");
  sn_arena_destroy(f.a);
}

static void precedence_is_kept(void **state) {
  (void)state;
  fixture f = begin();
  sn_kernel *k = f.k;
  sn_kv sum = sn_k_iadd(k, f.N, f.g);
  is(&f, sn_k_imul(k, sum, sum), "(N + g0)*(N + g0)");
  is(&f, sn_k_imul(k, f.N, sn_k_imul(k, f.T, f.g)), "N*(T*g0)");
  is(&f, sn_k_isub(k, f.T, sum), "T - (N + g0)");
  is(&f, sn_k_imulc(k, sn_k_ibin(k, SN_K_IDIV, sum, sn_k_i(k, 7)), 7), "(N + g0)/7*7");
  sn_arena_destroy(f.a);
}

static void facts_are_known(void **state) {
  (void)state;
  fixture f = begin();
  sn_kernel *k = f.k;
  int64_t lo, hi;
  sn_k_bounds(k, sn_k_isub(k, f.T, sn_k_imulc(k, f.g, 64)), &lo, &hi);
  assert_int_equal(lo, 64);
  assert_int_equal(hi, 1024);
  assert_int_equal(sn_k_divisor(k, sn_k_iadd(k, sn_k_imulc(k, f.T, 3), sn_k_i(k, 96))), 96);
  sn_kv i = sn_k_for(k, sn_k_i(k, 0), f.T, 32, 0, NULL);
  sn_k_bounds(k, sn_k_isub(k, f.T, i), &lo, &hi);
  assert_int_equal(lo, 32);
  assert_int_equal(sn_k_divisor(k, i), 32);
  sn_k_end_for(k, 0, NULL);
  sn_arena_destroy(f.a);
}

static void proven_limits_drop_out(void **state) {
  (void)state;
  fixture f = begin();
  sn_kernel *k = f.k;
  sn_kv row = sn_k_imulc(k, f.g, 64);
  sn_kwin w = {.buf = f.x, .off = row, .rs = sn_k_i(k, 1), .nr = sn_k_isub(k, f.T, row)};
  is(&f, sn_k_load(k, 64, 1, w, 7), "%1 = load x[g0*64 : 1, 1] : f32[64,1]");
  w.nr = sn_k_isub(k, f.N, row);
  is(&f, sn_k_load(k, 64, 1, w, 7), "%2 = load x[g0*64 : 1, 1] rows<N - g0*64 pad 7 : f32[64,1]");
  w.nr = sn_k_ibin(k, SN_K_IMIN, sn_k_isub(k, f.T, row), sn_k_i(k, 64));
  is(&f, sn_k_load(k, 64, 1, w, 7), "%3 = load x[g0*64 : 1, 1] : f32[64,1]");
  sn_arena_destroy(f.a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equal_expressions_have_equal_ids),
      cmocka_unit_test(identities_fold),
      cmocka_unit_test(questions_end),
      cmocka_unit_test(precedence_is_kept),
      cmocka_unit_test(facts_are_known),
      cmocka_unit_test(proven_limits_drop_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
