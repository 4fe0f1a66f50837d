/* pow at its special values as it is compiled, against the C library (C11, F.10.4.4): with two inputs, with a constant
 * exponent and with a constant base, in every float type that computes, on every target and feature level. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h"

/* 255, 16777215: the largest odd numbers of bf16 and f32; 1e4: powers beyond every range. */
static const double base[] = {0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 2, -2, 0.5, -0.5, 3, -3};
static const double exponent[] = {0,  -0.0, 1,    -1,  INFINITY, -INFINITY, NAN,    2,   -2,   3,        -3,       9,
                                  -9, 0.5,  -0.5, 1.5, -1.5,     10000,     -10000, 255, -255, 16777215, -16777215};
enum { BASES = sizeof base / sizeof *base, EXPONENTS = sizeof exponent / sizeof *exponent, N = BASES * EXPONENTS };

typedef struct form {
  const double *list; /* of constants */
  int count;
  const char *letter;
  bool of_exponent;
} form;

static const form forms[] = {{exponent, EXPONENTS, "y", true}, {base, BASES, "x", false}};

/* Output "r" of the inputs, "y<i>" with exponent i, "x<i>" with base i. */
static const char *text_of(sn_arena *arena, const char *elem) {
  sn_text t = sn_text_begin(arena);
  sn_text_add(&t, "sinter 1\ngraph @g {\n%%1 = input name \"x\" : f64[%d]\n%%2 = input name \"y\" : f64[%d]\n", N, N);
  sn_text_add(&t, "%%3 = cast %%1 to %s : %s[%d]\n%%4 = cast %%2 to %s : %s[%d]\n", elem, elem, N, elem, elem, N);
  sn_text_add(&t, "%%5 = pow %%3, %%4 : %s[%d]\n%%6 = cast %%5 to f64 : f64[%d]\noutput \"r\" = %%6\n", elem, N, N);
  int id = 7;
  for (int f = 0; f < 2; f++)
    for (int i = 0; i < forms[f].count; i++, id += 3) {
      bool y = forms[f].of_exponent;
      sn_text_add(&t, "%%%d = const value ", id);
      sn_text_number(&t, forms[f].list[i]);
      sn_text_add(&t, " : %s[%d]\n", elem, N);
      sn_text_add(&t, "%%%d = pow %%%d, %%%d : %s[%d]\n", id + 1, y ? 3 : id, y ? id : 4, elem, N);
      sn_text_add(&t, "%%%d = cast %%%d to f64 : f64[%d]\n", id + 2, id + 1, N);
      sn_text_add(&t, "output \"%s%d\" = %%%d\n", forms[f].letter, i, id + 2);
    }
  sn_text_add(&t, "}\n");
  return t.at;
}

/* Other numbers than these are compared by their sign: their errors are the interpreter's matter. */
static bool alike(double found, double expected) {
  if (isnan(expected)) return isnan(found);
  bool special = isinf(expected) || expected == 0 || fabs(expected) == 1;
  if (isnan(found) || signbit(found) != signbit(expected)) return false;
  return special ? found == expected : isfinite(found) && found != 0;
}

typedef struct variant {
  sn_elem elem;
  const char *target, *isa;
} variant;

static void compare(const variant *v, const char *how, double x, double y, double found) {
  double expected = pow(x, y), rounded = sn_elem_nearest(v->elem, expected);
  if (!isnan(y) && sn_elem_nearest(v->elem, y) != y) return;                          /* no number of the type */
  if (isinf(rounded) != isinf(expected) || (rounded == 0) != (expected == 0)) return; /* beyond its range */
  if (!alike(found, expected))
    fail_msg("pow(%g, %g), %s, of %s on %s %s: %.17g instead of %.17g", x, y, how, sn_elem_name(v->elem), v->target,
             v->isa ? v->isa : "", found, expected);
}

static void run(sn_arena *arena, sn_diags *diags, const variant *v, int count, const sn_buffer *b) {
  sn_compile_opt co = {.target = v->target, .isa = v->isa, .cache_dir = check_cache()};
  sn_compiled c;
  sn_runtime *runtime;
  sn_store *store;
  sn_module *m = check_parse(arena, diags, text_of(arena, sn_elem_name(v->elem)));
  if (sn_compile(m, &co, arena, diags, &c)) fail_msg("%s", sn_diags_print(diags, arena));
  sn_runtime_opt ro = sn_compile_runtime_opt(&c, 1);
  assert_int_equal(sn_runtime_create(c.plan, &ro, diags, &runtime), SN_OK);
  assert_int_equal(sn_store_create(runtime, 1, NULL, diags, &store), SN_OK);
  assert_int_equal(sn_run(runtime, store, "g", count, b, diags), SN_OK);
  sn_store_destroy(store);
  sn_runtime_destroy(runtime);
}

static void check(const variant *v) {
  static double x[N], y[N], r[1 + EXPONENTS + BASES][N];
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_buffer b[3 + EXPONENTS + BASES] = {{"x", x, 1, {N}}, {"y", y, 1, {N}}, {"r", r[0], 1, {N}}};
  int count = 3;
  for (int i = 0; i < N; i++) x[i] = base[i % BASES], y[i] = exponent[i / BASES];
  for (int f = 0; f < 2; f++)
    for (int i = 0; i < forms[f].count; i++, count++)
      b[count] = (sn_buffer){sn_arena_printf(arena, "%s%d", forms[f].letter, i), r[count - 2], 1, {N}};
  run(arena, diags, v, count, b);
  for (int i = 0; i < N; i++) {
    compare(v, "both inputs", x[i], y[i], r[0][i]);
    for (int k = 0; k < EXPONENTS; k++) compare(v, "constant exponent", x[i], exponent[k], r[1 + k][i]);
    for (int k = 0; k < BASES; k++) compare(v, "constant base", base[k], y[i], r[1 + EXPONENTS + k][i]);
  }
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void all(const char *target, const char *isa) {
  static const sn_elem elem[] = {SN_ELEM_F32, SN_ELEM_F64, SN_ELEM_F16, SN_ELEM_BF16};
  for (int i = 0; i < 4; i++) check(&(variant){elem[i], target, isa});
}

static void special_values_by_the_interpreter(void **state) { (void)state, all("ref", NULL); }
static void special_values_on_the_template(void **state) { (void)state, all("template", NULL); }
static void special_values_on_the_cpu(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  all("cpu", "baseline");
  all("cpu", "avx2");
  all("cpu", NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(special_values_by_the_interpreter),
      cmocka_unit_test(special_values_on_the_template),
      cmocka_unit_test(special_values_on_the_cpu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
