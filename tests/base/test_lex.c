/* The lexer: every kind of token, places, errors, and bytes of any kind. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/lex.h"
#include "ir/base/rng.h"
#include "ir/base/str.h"

static sn_arena *arena;

static int setup(void **state) {
  (void)state;
  arena = sn_arena_create();
  return arena == NULL;
}

static int teardown(void **state) {
  (void)state;
  sn_arena_destroy(arena);
  return 0;
}

static sn_lexer begin(const char *text) {
  sn_lexer x;
  sn_lex_begin(&x, arena, NULL, "t", text, strlen(text));
  return x;
}

static void tokens(void **state) {
  (void)state;
  static const struct {
    sn_token_kind kind;
    const char *text;
    int line, column;
  } expected[] = {
      {SN_TOKEN_NAME, "h.0.attn", 1, 1}, {SN_TOKEN_VALUE, "12", 1, 10},    {SN_TOKEN_REF, "body", 1, 14},
      {SN_TOKEN_PUNCT, "->", 1, 20},     {SN_TOKEN_PUNCT, "-", 1, 23},     {SN_TOKEN_NAME, "x", 1, 25},
      {SN_TOKEN_INT, "-3", 2, 3},        {SN_TOKEN_FLOAT, "1.5e-3", 2, 6}, {SN_TOKEN_INT, "1", 2, 13},
      {SN_TOKEN_PUNCT, ".", 2, 14},      {SN_TOKEN_PUNCT, ".", 2, 15},     {SN_TOKEN_INT, "64", 2, 16},
      {SN_TOKEN_STRING, "a\"\n", 2, 19}, {SN_TOKEN_PUNCT, "%", 3, 1},      {SN_TOKEN_PUNCT, "@", 3, 3},
      {SN_TOKEN_STRING, "m.c", 3, 5},    {SN_TOKEN_INT, "16", 3, 11},      {SN_TOKEN_NAME, "x16", 3, 13},
      {SN_TOKEN_FLOAT, "2e5", 3, 17},    {SN_TOKEN_END, "", 3, 20},
  };
  sn_lexer x = begin("h.0.attn %12 @body -> - x // comment\n  -3 1.5e-3 1..64 \"a\\\"\\n\"\n% @ \"m.c\" 16x16 2e5");
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++, sn_lex_next(&x)) {
    assert_int_equal(x.token.kind, expected[i].kind);
    assert_string_equal(x.token.text, expected[i].text);
    assert_int_equal(x.token.line, expected[i].line);
    assert_int_equal(x.token.column, expected[i].column);
  }
  assert_int_equal(x.failed, SN_OK);
}

static void readers(void **state) {
  (void)state;
  sn_lexer x = begin("name { -7 2.5 -inf nan inf 3 \"s\" }");
  const char *text = NULL;
  int64_t n = 0;
  double f = 0;
  assert_int_equal(sn_lex_name(&x, &text), SN_OK);
  assert_string_equal(text, "name");
  assert_true(sn_lex_is(&x, "{"));
  assert_false(sn_lex_accept(&x, "}"));
  assert_int_equal(sn_lex_expect(&x, "{"), SN_OK);
  assert_int_equal(sn_lex_int(&x, &n), SN_OK);
  assert_int_equal(n, -7);
  assert_int_equal(sn_lex_number(&x, &f), SN_OK);
  assert_true(f == 2.5);
  assert_int_equal(sn_lex_number(&x, &f), SN_OK);
  assert_true(f == -INFINITY);
  assert_int_equal(sn_lex_number(&x, &f), SN_OK);
  assert_true(isnan(f));
  assert_int_equal(sn_lex_number(&x, &f), SN_OK);
  assert_true(f == INFINITY);
  assert_int_equal(sn_lex_number(&x, &f), SN_OK);
  assert_true(f == 3);
  assert_int_equal(sn_lex_string(&x, &text), SN_OK);
  assert_string_equal(text, "s");
  assert_int_equal(sn_lex_expect(&x, "}"), SN_OK);
  assert_int_equal(x.token.kind, SN_TOKEN_END);
}

static void errors(void **state) {
  (void)state;
  static const char *const bad[] = {"9223372036854775808",
                                    "-9223372036854775809",
                                    "\"abc",
                                    "\"a\nb\"",
                                    "\"\\q\"",
                                    "\"\\x0\"",
                                    "\"\\x00\"",
                                    "\x80",
                                    "\x01"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    sn_lexer x = begin(bad[i]);
    assert_int_equal(x.failed, SN_ERR_INPUT);
    assert_int_equal(x.token.kind, SN_TOKEN_END);
  }
  sn_lexer x = begin("9223372036854775807 -9223372036854775808");
  assert_true(x.token.integer == INT64_MAX);
  sn_lex_next(&x);
  assert_true(x.token.integer == INT64_MIN);
}

static void first_error_stays(void **state) {
  (void)state;
  sn_diags *d = sn_diags_create();
  const char *text = "a\n  12 b";
  const char *name = NULL;
  int64_t n = 0;
  sn_lexer x;
  sn_lex_begin(&x, arena, d, "f.sn", text, strlen(text));
  assert_int_equal(sn_lex_int(&x, &n), SN_ERR_INPUT);
  assert_int_equal(sn_lex_name(&x, &name), SN_ERR_INPUT);
  assert_int_equal(sn_lex_expect(&x, "b"), SN_ERR_INPUT);
  assert_false(sn_lex_accept(&x, "a"));
  assert_int_equal(sn_lex_fail(&x, "more"), SN_ERR_INPUT);
  assert_int_equal(d->count, 1);
  assert_string_equal(sn_diags_print(d, arena),
                      "f.sn:1:1: error: unexpected token\n"
                      "      = expected: an integer\n"
                      "      = found:    a\n");
  assert_null(name);
  sn_diags_destroy(d);
}

static void long_tokens(void **state) {
  (void)state;
  size_t count = 200000;
  char *text = sn_arena_alloc(arena, count + 1);
  static const char fills[] = "a1\"%@";
  for (const char *fill = fills; *fill; fill++) {
    memset(text, *fill == '%' || *fill == '@' || *fill == '"' ? 'x' : *fill, count);
    text[0] = *fill;
    sn_lexer x = begin(text);
    assert_int_equal(x.failed, SN_ERR_INPUT);
  }
}

/* Reads all tokens of an exactly sized block, so that the sanitizer sees any step over its end. */
static void read_all(const unsigned char *bytes, size_t count) {
  char *exact = malloc(count + (count == 0));
  if (count) memcpy(exact, bytes, count);
  sn_lexer x;
  int tokens_read = 0;
  sn_arena *own = sn_arena_create();
  sn_lex_begin(&x, own, NULL, "t", exact, count);
  while (x.token.kind != SN_TOKEN_END) {
    tokens_read++;
    sn_lex_next(&x);
  }
  assert_true((size_t)tokens_read <= count);
  sn_arena_destroy(own);
  free(exact);
}

static void random_bytes(void **state) {
  (void)state;
  static const char common[] = "%@\"\\-.0123456789eExX/ \n\tabz_[]{}(),";
  sn_rng r = {.seed = 4};
  unsigned char bytes[64];
  for (int i = 0; i < 30000; i++) {
    size_t count = (size_t)sn_rng_below(&r, sizeof bytes);
    for (size_t k = 0; k < count; k++) {
      bytes[k] = i % 3 ? (unsigned char)common[sn_rng_below(&r, sizeof common - 1)] : (unsigned char)sn_rng_u32(&r);
    }
    read_all(bytes, count);
  }
}

static void strings_round_trip(void **state) {
  (void)state;
  sn_rng r = {.seed = 5};
  for (int i = 0; i < 2000; i++) {
    char s[40];
    size_t count = (size_t)sn_rng_below(&r, sizeof s);
    for (size_t k = 0; k < count; k++) s[k] = (char)(1 + sn_rng_below(&r, 255));
    s[count] = 0;
    sn_text t = sn_text_begin(arena);
    sn_text_quoted(&t, s);
    sn_lexer x = begin(t.at);
    assert_int_equal(x.token.kind, SN_TOKEN_STRING);
    assert_string_equal(x.token.text, s);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(tokens),
      TEST(readers),
      TEST(errors),
      TEST(first_error_stays),
      TEST(long_tokens),
      TEST(random_bytes),
      TEST(strings_round_trip),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
