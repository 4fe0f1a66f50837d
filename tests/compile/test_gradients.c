/* Gradients against differences: terms that cancel are no mistake, small mistakes are one in every type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backends/faults/bisect.h"
#include "backends/faults/widen.h"
#include "ir/ops/ops.h"

#define HEAD "sinter 1\ndims { B: 1..9, T: 1..130 }\n"

/* -> the first difference, NULL: none */
static const char *difference(const char *text, int64_t B, int64_t T, uint64_t seed, sn_arena *arena) {
  const int64_t dims[2] = {B, T};
  sn_case c = {.file = "test.sn", .text = text, .graph = "g", .dim_count = 2, .dims = dims};
  sn_diags *diags = sn_diags_create();
  const char *what = NULL;
  sn_code code = sn_case_draw(&c, seed, 40, 1, arena, diags);
  if (!code) code = sn_case_gradients(&c, arena, diags, &what);
  if (code) fail_msg("%s", sn_diags_print(diags, arena));
  sn_diags_destroy(diags);
  return what;
}

static void check(const char *text, int64_t B, int64_t T) {
  for (uint64_t seed = 0; seed < 60; seed++) {
    sn_arena *arena = sn_arena_create();
    const char *what = difference(text, B, T, seed, arena);
    if (what) fail_msg("data %d: %s\n%s", (int)seed, what, text);
    sn_arena_destroy(arena);
  }
}

/* A norm of what is equal along its axis does not depend on it: the terms of the gradient cancel, but for rounding. */
static void terms_may_cancel(void **state) {
  (void)state;
  check(HEAD
        "graph @g {\n"
        "%1 = input name \"x1\" : f32[1, T, B, 4]\n"
        "%2 = input name \"x2\" : f32[B, T]\n"
        "%3 = transpose %2 perm [1, 0] : f32[T, B]\n"
        "%4 = reshape %3 shape [T, B, 1] : f32[T, B, 1]\n"
        "%5 = broadcast %4 shape [1, T, B, 4] axes [1, 2, 3] : f32[1, T, B, 4]\n"
        "%6 = layernorm %5 eps 0.1 : f32[1, T, B, 4]\n"
        "%7 = mul %6, %1 : f32[1, T, B, 4]\n"
        "%8 = sum %7 axes [0, 1, 2, 3] : f32[]\n"
        "%9 = grad %8, %2 : f32[B, T]\n"
        "output \"y\" = %9\n}\n",
        3, 2);
  check(HEAD
        "graph @g {\n"
        "%1 = input name \"x\" : f32[1, B, 15]\n"
        "%2 = const value 0.5 : f32[1, 1, 1]\n"
        "%3 = broadcast %2 shape [1, B, 15] axes [0, 1, 2] : f32[1, B, 15]\n"
        "%4 = group_norm %3 groups 3 eps 1e-5 : f32[1, B, 15]\n"
        "%5 = group_norm %4 groups 3 eps 0.1 : f32[1, B, 15]\n"
        "%6 = mul %5, %1 : f32[1, B, 15]\n"
        "%7 = sum %6 axes [0, 1, 2] : f32[]\n"
        "%8, %9 = grad %7, %2, %1 : f32[1, 1, 1], f32[1, B, 15]\n"
        "output \"y\" = %8\noutput \"z\" = %9\n}\n",
        1, 1);
}

/* The loss itself may be exact where its neighbours are rounded. */
static void steps_are_rounded(void **state) {
  (void)state;
  check(HEAD
        "graph @g {\n"
        "%1 = input name \"x\" : bf16[B]\n"
        "%2 = const value 0.5 : bf16[B]\n"
        "%3 = mul %1, %2 : bf16[B]\n"
        "%4 = const value 1 : bf16[B]\n"
        "%5 = sub %3, %4 : bf16[B]\n"
        "%6 = const value 0 : i32[]\n"
        "%7 = index %5, %6 : bf16[]\n"
        "%8 = grad %7, %1 : bf16[B]\n"
        "output \"y\" = %8\n}\n",
        1, 1);
}

/* Constants of a rule, as 1/ln 2, are rounded to the type; values of either do not depend on it. */
static void constants_are_not_rounded(void **state) {
  (void)state;
  check(HEAD
        "graph @g {\n"
        "%1 = input name \"x\" : bf16[B, T]\n"
        "%2 = exp2 %1 : bf16[B, T]\n"
        "%3 = sum %2 axes [0, 1] : bf16[]\n"
        "%4 = grad %3, %1 : bf16[B, T]\n"
        "output \"y\" = %4\n}\n",
        3, 5);
}

/* d e^x = 1.01 e^x, in bf16, whose roundoff is 0.4 %. */
static void small_mistakes_are_noticed(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  const char *what = difference(HEAD
                                "body @exp {\n"
                                "%1 = arg index 0 : bf16[B, T]\n"
                                "%2 = exp %1 : bf16[B, T]\n"
                                "return %2\n}\n"
                                "body @slope {\n"
                                "%1 = arg index 0 : bf16[B, T]\n"
                                "%2 = arg index 1 : bf16[B, T]\n"
                                "%3 = arg index 2 : bf16[B, T]\n"
                                "%4 = const value 1.01 : bf16[B, T]\n"
                                "%5 = mul %2, %3 : bf16[B, T]\n"
                                "%6 = mul %5, %4 : bf16[B, T]\n"
                                "return %6\n}\n"
                                "graph @g {\n"
                                "%1 = input name \"x\" : bf16[B, T]\n"
                                "%2 = custom %1 name \"e\" inputs 1 body @exp grad @slope wrt [0] : bf16[B, T]\n"
                                "%3 = sum %2 axes [0, 1] : bf16[]\n"
                                "%4 = grad %3, %1 : bf16[B, T]\n"
                                "output \"y\" = %4\n}\n",
                                2, 3, 1, arena);
  assert_non_null(what);
  assert_non_null(strstr(what, "gradient 1 of a grad node"));
  sn_arena_destroy(arena);
}

/* Regions, casts, products that were to be wider, random numbers. */
static void modules_are_widened(void **state) {
  (void)state;
  static const char text[] = HEAD
      "body @yes {\n%1 = arg index 0 : bf16[B, T]\nreturn %1\n}\n"
      "body @no {\n%1 = arg index 0 : bf16[B, T]\n%2 = neg %1 : bf16[B, T]\nreturn %2\n}\n"
      "graph @g {\n"
      "%1 = param name \"x\" init \"normal\" a 1 : bf16[3]\n"
      "%2 = const value 1 : i64[]\n"
      "%3 = const value 1 : i32[]\n"
      "%4 = uniform %2, %3 shape [B, T] stream \"s\" : f32[B, T]\n"
      "%5 = cast %4 to bf16 : bf16[B, T]\n"
      "%6 = input name \"b\" : bool[]\n"
      "%7 = cond %6, %5 yes @yes no @no : bf16[B, T]\n"
      "%8 = contract %7, %5 spec \"bt,bt->b\" to f32 : f32[B]\n"
      "%9 = cast %8 to i32 : i32[B]\n"
      "update %1 = %1\n"
      "output \"y\" = %8\noutput \"z\" = %9\n}\n";
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_case c = {.file = "test.sn", .text = text, .graph = "g"};
  sn_module *m;
  assert_int_equal(sn_case_parse(&c, arena, diags, &m), SN_OK);
  if (sn_module_widen(m, diags)) fail_msg("%s", sn_diags_print(diags, arena));
  const sn_func *f = sn_module_find(m, "g");
  assert_int_equal(sn_func_verify(f, diags), SN_OK);
  assert_int_equal(sn_ops_check(f, diags), SN_OK);
  for (int i = 0; i < m->func_count; i++)
    for (int k = 0; k < m->func[i]->node_count; k++) {
      const sn_node *n = m->func[i]->node[k];
      bool narrow = sn_elem_is_float(n->type[0]->elem) && n->type[0]->elem != SN_ELEM_F64;
      assert_true(!narrow || n->op == SN_OP_UNIFORM);
    }
  assert_int_equal(sn_val_type(f, f->output[1].value)->elem, SN_ELEM_I32);
  assert_int_equal(f->update_count, 1);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(terms_may_cancel),          cmocka_unit_test(steps_are_rounded),
      cmocka_unit_test(constants_are_not_rounded), cmocka_unit_test(small_mistakes_are_noticed),
      cmocka_unit_test(modules_are_widened),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
