/* Tensor types, element types and symbol declarations: interning and text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/types/type.h"

static sn_code parse(sn_types *t, const char *text, const sn_type **out) {
  sn_lexer x;
  sn_lex_begin(&x, sn_types_arena(t), NULL, "t", text, strlen(text));
  SN_TRY(sn_type_parse(&x, t, out));
  return x.token.kind == SN_TOKEN_END ? x.failed : SN_ERR_INPUT;
}

static void types_are_interned(void **state) {
  (void)state;
  sn_arena *a = sn_arena_create();
  sn_types *t = sn_types_create(a);
  const sn_dimx *dims[2] = {sn_dimx_symbol(t, "B", 1, 8, 1, NULL), sn_dimx_const(t, 64)};
  const sn_type *x = sn_type_of(t, SN_ELEM_F32, 2, dims);
  assert_ptr_equal(x, sn_type_of(t, SN_ELEM_F32, 2, dims));
  assert_ptr_not_equal(x, sn_type_of(t, SN_ELEM_F32, 1, dims));
  const sn_type *y = sn_type_with_elem(t, x, SN_ELEM_I32);
  assert_int_equal(y->elem, SN_ELEM_I32);
  assert_true(sn_type_same_shape(x, y));
  assert_false(sn_type_same_shape(x, sn_type_scalar(t, SN_ELEM_F32)));
  assert_ptr_equal(sn_type_count(t, x), sn_dimx_mul(t, dims[0], dims[1]));
  assert_true(sn_dimx_is_one(sn_type_count(t, sn_type_scalar(t, SN_ELEM_F32))));
  assert_null(sn_type_of(t, SN_ELEM_F32, SN_RANK_MAX + 1, dims));
  sn_arena_destroy(a);
}

static void type_text(void **state) {
  (void)state;
  static const char *const good[] = {"f32[]", "bf16[B, T, 64]", "bool[floordiv(T + 15, 16)]",
                                     "i64[1, 2, 3, 4, 5, 6, 7, B]"};
  static const char *const bad[] = {"f31[]",    "f32",    "f32[X]", "f32[1", "f32[1,2,3,4,5,6,7,8,9]",
                                    "f32[1 2]", "none[]", ""};
  sn_arena *a = sn_arena_create();
  sn_types *t = sn_types_create(a);
  sn_dimx_symbol(t, "B", 1, 8, 1, NULL);
  sn_dimx_symbol(t, "T", 1, 64, 1, NULL);
  const sn_type *type = NULL;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    assert_int_equal(parse(t, good[i], &type), SN_OK);
    assert_string_equal(sn_type_text(a, type), good[i]);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(parse(t, bad[i], &type), SN_ERR_INPUT);
  sn_arena_destroy(a);
}

static sn_code parse_symbols(sn_types *t, const char *text) {
  sn_lexer x;
  sn_lex_begin(&x, sn_types_arena(t), NULL, "t", text, strlen(text));
  return sn_symbols_parse(&x, t);
}

static void symbol_text(void **state) {
  (void)state;
  static const char *const good[] = {"dims { }", "dims { B: 1..64 }", "dims { B: 1..64, T: 1..1024 step 16 }"};
  static const char *const bad[] = {"dims",
                                    "dims { B }",
                                    "dims { B: 2..1 }",
                                    "dims { B: 1..2 step 0 }",
                                    "dims { B: 1..2, B: 1..3 }",
                                    "dims { B: 1..2199023255552 }",
                                    "dims { B: 1.2 }"};
  sn_arena *a = sn_arena_create();
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    sn_types *t = sn_types_create(a);
    assert_int_equal(parse_symbols(t, good[i]), SN_OK);
    sn_text out = sn_text_begin(a);
    sn_symbols_print(&out, t);
    assert_string_equal(out.at, good[i]);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(parse_symbols(sn_types_create(a), bad[i]), SN_ERR_INPUT);
  }
  sn_arena_destroy(a);
}

static void elems(void **state) {
  (void)state;
  for (int e = SN_ELEM_NONE + 1; e < SN_ELEM_COUNT; e++) {
    assert_int_equal(sn_elem_find(sn_elem_name((sn_elem)e)), e);
    assert_true(sn_elem_bytes((sn_elem)e) > 0);
    assert_int_equal(sn_elem_is_float((sn_elem)e), sn_elem_roundoff((sn_elem)e) > 0);
  }
  assert_int_equal(sn_elem_find("none"), SN_ELEM_NONE);
  assert_int_equal(sn_elem_bytes(SN_ELEM_BF16), 2);
  assert_true(sn_elem_is_int(SN_ELEM_U8) && sn_elem_is_int(SN_ELEM_I64));
  assert_false(sn_elem_is_int(SN_ELEM_BOOL) || sn_elem_is_int(SN_ELEM_F32) || sn_elem_is_int(SN_ELEM_NONE));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(types_are_interned),
      cmocka_unit_test(type_text),
      cmocka_unit_test(symbol_text),
      cmocka_unit_test(elems),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
