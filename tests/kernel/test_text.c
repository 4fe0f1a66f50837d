/* Kernel text: what is built prints, parses back and prints the same bytes; bad text is refused with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ir/kernel/kernel.h"

static const char *text_of(const sn_kernel *k, sn_arena *a) {
  sn_text t = sn_text_begin(a);
  sn_kernel_print(&t, k);
  return t.at;
}

static sn_kernel *layernorm(sn_arena *a) {
  sn_kernel *k = sn_kernel_create(a, "layernorm");
  sn_kv x = sn_kernel_buffer(k, "x", SN_ELEM_F32, SN_K_IN), y = sn_kernel_buffer(k, "y", SN_ELEM_F32, SN_K_OUT);
  sn_kv n = sn_kernel_size(k, "N", 1, 1024, 1);
  sn_kernel_grid(k, 1, sn_k_iceil(k, n, 4), 0, 0);
  sn_kv row = sn_k_imulc(k, sn_k_gid(k, 0), 4);
  sn_kwin w = {.buf = x, .off = sn_k_imulc(k, row, 768), .rs = sn_k_i(k, 768), .nr = sn_k_isub(k, n, row)};
  sn_kv t = sn_k_load(k, 4, 768, w, 0);
  sn_kv mean = sn_k_binc(k, SN_K_MUL, sn_k_reduce(k, SN_K_RSUM, 1, t), 1.0 / 768);
  sn_kv d = sn_k_bin(k, SN_K_SUB, t, mean);
  sn_kv var = sn_k_binc(k, SN_K_MUL, sn_k_reduce(k, SN_K_RSUM, 1, sn_k_bin(k, SN_K_MUL, d, d)), 1.0 / 768);
  sn_kv scale = sn_k_un(k, SN_K_RSQRT, sn_k_binc(k, SN_K_ADD, var, 1e-5));
  w.buf = y;
  sn_k_store(k, w, sn_k_bin(k, SN_K_MUL, d, scale));
  return k;
}

static void prints_as_expected(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  assert_string_equal(text_of(layernorm(a), a),
                      "kernel layernorm(x: in f32, y: out f32, N: size 1..1024) grid((N + 3)/4) {\n"
                      "  %1 = load x[g0*3072 : 768, 1] rows<N - g0*4 pad 0 : f32[4,768]\n"
                      "  %2 = rsum %1 axis 1 : f32[4,1]\n"
                      "  %3 = mul %2, 0.0013020834 : f32[4,1]\n"
                      "  %4 = bcast %3 : f32[4,768]\n"
                      "  %5 = sub %1, %4 : f32[4,768]\n"
                      "  %6 = mul %5, %5 : f32[4,768]\n"
                      "  %7 = rsum %6 axis 1 : f32[4,1]\n"
                      "  %8 = mul %7, 0.0013020834 : f32[4,1]\n"
                      "  %9 = add %8, 1e-05 : f32[4,1]\n"
                      "  %10 = rsqrt %9 : f32[4,1]\n"
                      "  %11 = bcast %10 : f32[4,768]\n"
                      "  %12 = mul %5, %11 : f32[4,768]\n"
                      "  store y[g0*3072 : 768, 1] rows<N - g0*4, %12\n"
                      "}\n");
  sn_arena_destroy(a);
}

static const char everything[] =
    "kernel all(a: in f32, ids: in i32 align 4, h: inout bf16, o: out f32, flags: out bool, T: size 8..1024 step 8) "
    "grid(T/8, 3) {\n"
    "  %1 = local f32 x 64\n"
    "  %2 = const -0.0 : f32[8,8]\n"
    "  %3, %4 = for i1 = 0 to imin(T, g0*8 + 8) step 8 carry %5 = %2, %6 = %2 {\n"
    "    %7 = load a[iload(ids, i1)*(T + 1) - (T - i1) % 3 : T, 1] rows<T - i1 cols<imax(g1, 4) pad -inf : f32[8,8]\n"
    "    %8 = iota g1*4 axis 1 : i32[8,1]\n"
    "    %9 = gather a[0 : T, 1] by %8 rows<3 pad 0.1 : f32[8,8]\n"
    "    %10 = mma %5, %7, %9 ta tb : f32[8,8]\n"
    "    %11 = rmax %9 axis 0 : f32[1,8]\n"
    "    %12 = rescale %6, %11 : f32[8,8]\n"
    "    store %1[0 : 8, 1], %10\n"
    "    yield %10, 1e-30\n"
    "  }\n"
    "  %13 = const 0.5 : f32[8,8]\n"
    "  %14 = if ilt(g0, 3) {\n"
    "    yield %13\n"
    "  } else {\n"
    "    yield %3\n"
    "  }\n"
    "  %15 = lt 0.33333334, %14 : bool[8,8]\n"
    "  %16 = select %15, %4, nan : f32[8,8]\n"
    "  %17 = rargmax %16 axis 1 : i32[8,1]\n"
    "  %18 = cast %17 : f32[8,1]\n"
    "  %19 = fma %18, 2, -3.5 : f32[8,1]\n"
    "  %20 = isplat T : i32[8,1]\n"
    "  %21 = xor %20, -1 : i32[8,1]\n"
    "  %22 = bitcast %21 : f32[8,1]\n"
    "  %23 = trans %22 : f32[1,8]\n"
    "  store o[g1*8 : 1, 1] cols<T, %23\n"
    "  store o[64 + g1*8 : 1, 1], %19\n"
    "  store flags[(g0*3 + g1)*64 : 8, 1], %15\n"
    "}\n";

static void round_trips(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_kernel *k = NULL, *again = NULL;
  sn_code code = sn_kernel_parse(a, d, "t", everything, sizeof everything - 1, &k);
  if (code) fprintf(stderr, "%s\n", sn_diags_print(d, a));
  assert_int_equal(code, SN_OK);
  const char *first = text_of(k, a);
  assert_string_equal(first, everything);
  assert_int_equal(sn_kernel_parse(a, d, "t", first, strlen(first), &again), SN_OK);
  assert_true(sn_kernel_equal(k, again, a));
  assert_int_equal(k->ins_count, again->ins_count);
  sn_kernel *f = sn_kernel_finish(a, k);
  assert_int_equal(sn_kernel_verify(f, d), SN_OK);
  assert_non_null(strstr(text_of(f, a), "carry"));
  assert_null(strstr(text_of(f, a), "local")); /* nothing reads it */
  assert_true(sn_kernel_equal(f, sn_kernel_finish(a, f), a));
  sn_diags_destroy(d);
  sn_arena_destroy(a);
}

/* The message names the line of the body (from 1) and says `why`. */
static void refuses(const char *body, int line, const char *why) {
  sn_arena *a = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_kernel *k = NULL;
  const char *text =
      sn_arena_printf(a, "kernel k(x: in f32, y: out f32, i: in i32, b: in bf16) grid(2) {\n%s}\n", body);
  assert_int_equal(sn_kernel_parse(a, d, "t", text, strlen(text), &k), SN_ERR_INPUT);
  assert_null(k);
  assert_int_equal(d->count, 1);
  const char *message = sn_diags_print(d, a);
  if (!strstr(message, why)) fail_msg("expected `%s` in\n%s", why, message);
  if (d->at[0].loc.line != line + 1) fail_msg("line %d instead of %d:\n%s", d->at[0].loc.line, line + 1, message);
  sn_diags_destroy(d);
  sn_arena_destroy(a);
}

static void bad_text_is_refused(void **state) { /* table */
  (void)state;
  refuses("%1 = frob 1 : f32[1,1]\n", 1, "frob");
  refuses("%1 = neg %2 : f32[1,1]\n", 1, "%2 is not defined");
  refuses("%1 = neg 1 : f32[0,1]\n", 1, "out of range");
  refuses("%1 = cast 1 : f32[1,1]\n", 1, "use const");
  refuses("%1 = add 1 : f32[1,1]\n", 1, "number of operands");
  refuses("%1 = load y[0 : 0, 1] : f32[1,4]\n", 1, "loads from an `out`");
  refuses("%1 = const 1 : f32[1,1]\nstore x[0 : 0, 1], %1\n", 2, "stores to an `in`");
  refuses("%1 = load b[0 : 0, 1] : bf16[1,4]\n%2 = add %1, %1 : bf16[1,4]\n", 2, "cast first");
  refuses("%1 = load x[0 : 0, 1] : f32[1,4]\n%2 = add %1, %1 : f32[4,4]\n", 2, "a broadcast is written as bcast");
  refuses("%1 = load x[iload(x, 0) : 0, 1] : f32[1,4]\n", 1, "iload of another buffer");
  refuses("%1 = load x[g1 : 0, 1] : f32[1,4]\n", 1, "no such grid dimension");
  refuses("%1 = load x[1/0 : 0, 1] : f32[1,4]\n", 1, "not positive");
  refuses("for i1 = 0 to 4 step 1 {\n}\n%1 = load x[i1 : 0, 1] : f32[1,4]\n", 3, "unknown index");
  refuses("for i1 = 0 to 4 step 0 {\n}\n", 1, "a constant of 1 or more");
  refuses("for i1 = 0 to 4 step 1 {\n%1 = const 1 : f32[1,1]\n}\nstore y[0 : 0, 1], %1\n", 4, "not in scope");
  refuses("%1 = const 1 : f32[2,2]\n%2 = mma 0, %1, %1 vnni : f32[2,2]\n", 2, "vnni");
  refuses("%1 = const 1 : f32[2,3]\n%2 = mma 0, %1, %1 : f32[2,3]\n", 2, "do not multiply");
  refuses("%1 = rsum 0 axis 1 : f32[2,1]\n", 1, "use const");
  refuses("%1, %2 = const 1 : f32[2,1]\n", 1, "2 names for 1");
  refuses("%1 = const 1 : f32[2,1]\n%1 = const 1 : f32[2,1]\n", 2, "defined twice");
  refuses("%1 = if 1 {\n%2 = const 1 : f32[1,1]\nyield %2\n} else {\n%3 = const 1 : i32[1,1]\nyield %3\n}\n", 5,
          "type of a yielded");
}

/* Kernels one after another; a mistake in the second is at its line of the whole text. */
static void reads_all(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  sn_diags *d = sn_diags_create();
  static const char *const bad =
      "kernel a(x: out f32) grid(1) {\n  %1 = const 1 : f32[1,1]\n  store x[0 : 0, 1], %1\n}\n"
      "\n// the second\nkernel b(x: in f32) grid(1) {\n  %1 = const 1 : f32[1,1]\n"
      "  store x[0 : 0, 1], %1\n}\n";
  sn_kernel **list = NULL;
  int count = 0;
  assert_int_equal(sn_kernel_parse_all(a, d, "t", bad, strlen(bad), &count, &list), SN_ERR_INPUT);
  assert_int_equal(d->at[0].loc.line, 9);
  assert_non_null(d->at[0].expected);
  assert_string_equal(d->at[0].found, "store x[0 : 0, 1], %1");
  char *good = sn_arena_strdup(a, bad);
  memcpy(strstr(good, "b(x: in"), "b(x:out", 7);
  assert_int_equal(sn_kernel_parse_all(a, d, "t", good, strlen(good), &count, &list), SN_OK);
  assert_int_equal(count, 2);
  assert_string_equal(list[1]->name, "b");
  assert_int_equal(list[1]->loc.line, 7);
  assert_string_equal(sn_kernel_params_text(list[1], a), "(x: out f32)");
  assert_int_equal(sn_kernel_parse_all(a, d, "t", "", 0, &count, &list), SN_ERR_INPUT);
  sn_diags_destroy(d);
  sn_arena_destroy(a);
}

static void verify_names_the_instruction(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_kernel *k = sn_kernel_create(a, "bad");
  sn_kv x = sn_kernel_buffer(k, "x", SN_ELEM_F32, SN_K_IN);
  sn_kernel_grid(k, 1, sn_k_i(k, 1), 0, 0);
  sn_kv t = sn_k_load(k, 4, 4, (sn_kwin){.buf = x}, 0);
  sn_k_bin(k, SN_K_AND, t, t);
  assert_int_not_equal(sn_kernel_verify(k, d), SN_OK);
  assert_non_null(strstr(sn_diags_print(d, a), "%2 = and %1, %1 : f32[4,4]"));
  sn_diags_destroy(d);
  sn_arena_destroy(a);
}

static int line_of(const sn_kernel *k, sn_kop op) {
  int line = 0;
  for (sn_kv v = 1; v < k->ins_count; v++)
    if (k->ins[v].op == op) line = sn_k_loc(k, v).line;
  return line;
}

/* Instructions know the line that they come from, through every rewriting; it is no part of the text. */
static void lines_are_kept(void **state) {
  (void)state;
  static const char text[] =
      "\nkernel k(x: in f32, y: out f32) grid(1) {\n  %1 = load x[0 : 0, 1] : f32[1,8]\n\n"
      "  %2 = for i1 = 0 to 8 step 1 carry %3 = %1 {\n    %4 = add %3, %3 : f32[1,8]\n    yield %4\n  }\n"
      "  %5 = neg %2 : f32[1,8]\n  store y[0 : 0, 1], %5\n}\n";
  sn_arena *a = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_kernel *k;
  if (sn_kernel_parse(a, d, "lines", text, strlen(text), &k)) fail_msg("%s", sn_diags_print(d, a));
  for (int round = 0; round < 2; round++, k = sn_kernel_finish(a, k)) {
    assert_int_equal(line_of(k, SN_K_LOAD), 3);
    assert_int_equal(line_of(k, SN_K_FOR), 5);
    assert_int_equal(line_of(k, SN_K_ADD), 6);
    assert_int_equal(line_of(k, SN_K_RESULT), 5);
    assert_int_equal(line_of(k, SN_K_NEG), 9);
    assert_int_equal(line_of(k, SN_K_STORE), 10);
    assert_string_equal(sn_k_loc(k, k->body->ins[0]).file, "lines");
  }
  sn_kernel *m = sn_kernel_create(a, "m");
  for (int i = 0; i < 1000; i++) { /* places that are met again are not kept again and again */
    sn_k_at(m, (sn_loc){.file = i % 2 ? "one" : "two", .line = i % 5});
    sn_kv v = sn_k_const(m, SN_ELEM_F32, 1, 1, i);
    assert_int_equal(sn_k_loc(m, v).line, i % 5);
    assert_string_equal(sn_k_loc(m, v).file, i % 2 ? "one" : "two");
  }
  assert_int_equal(m->line_count, 10);
  sn_k_at(m, (sn_loc){0});
  assert_null(sn_k_loc(m, sn_k_const(m, SN_ELEM_F32, 1, 1, 0)).file);
  sn_diags_destroy(d);
  sn_arena_destroy(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(prints_as_expected),           cmocka_unit_test(round_trips),
      cmocka_unit_test(bad_text_is_refused),          cmocka_unit_test(reads_all),
      cmocka_unit_test(verify_names_the_instruction), cmocka_unit_test(lines_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
