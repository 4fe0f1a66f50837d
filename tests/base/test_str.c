/* Texts, numbers as text, interned names, patterns and near names. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

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

static const char *number(double x) {
  sn_text t = sn_text_begin(arena);
  sn_text_number(&t, x);
  return t.at;
}

static void texts(void **state) {
  (void)state;
  sn_text t = sn_text_begin(arena);
  assert_string_equal(t.at, "");
  for (int i = 0; i < 500; i++) sn_text_add(&t, "%d,", i);
  assert_int_equal(t.count, strlen(t.at));
  assert_memory_equal(t.at, "0,1,2,3,", 8);
  t = sn_text_begin(arena);
  sn_text_quoted(&t, "a\"b\\c\nd\te\x01\x7f\xc3\xa9");
  assert_string_equal(t.at, "\"a\\\"b\\\\c\\nd\\te\\x01\\x7f\xc3\xa9\"");
  t = sn_text_begin(arena);
  char long_text[5000];
  memset(long_text, 'x', sizeof long_text);
  sn_text_add(&t, "%.*s", (int)sizeof long_text, long_text);
  assert_int_equal(t.count, sizeof long_text);
}

static void numbers(void **state) {
  (void)state;
  static const struct {
    double x;
    const char *text;
  } cases[] = {{0, "0"},
               {-0.0, "-0"},
               {1, "1"},
               {-3, "-3"},
               {0.1, "0.1"},
               {1e20, "1e20"},
               {1e-5, "1e-5"},
               {1.5e-300, "1.5e-300"},
               {1e6, "1000000"},
               {INFINITY, "inf"},
               {-INFINITY, "-inf"},
               {NAN, "nan"},
               {DBL_MIN / 3, NULL},
               {DBL_MAX, NULL},
               {M_PI, NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *text = number(cases[i].x);
    if (cases[i].text) assert_string_equal(text, cases[i].text);
    double back = sn_number_read(text);
    assert_true(memcmp(&back, &cases[i].x, 8) == 0 || isnan(cases[i].x));
  }
  sn_rng r = {.seed = 2};
  for (int i = 0; i < 20000; i++) {
    uint64_t bits = (uint64_t)sn_rng_u32(&r) << 32 | sn_rng_u32(&r);
    double x, back;
    memcpy(&x, &bits, 8);
    back = sn_number_read(number(x));
    assert_true(isnan(x) ? isnan(back) : memcmp(&x, &back, 8) == 0);
  }
}

static void numbers_of_options(void **state) {
  (void)state;
  static const char *const no_int[] = {"",
                                       "-",
                                       "+",
                                       " 1",
                                       "1 ",
                                       "1x",
                                       "0x10",
                                       "1.5",
                                       "1e3",
                                       "nan",
                                       "9223372036854775808",
                                       "-9223372036854775809",
                                       "99999999999999999999"};
  static const char *const no_real[] = {"", ".", "e5", " 1", "1 ", "1,5", "0x10", "0x1p3", "nan", "1-2", "1e", "one"};
  int64_t n = 7;
  double x = 7;
  for (size_t i = 0; i < sizeof no_int / sizeof *no_int; i++)
    assert_false(sn_int_in(no_int[i], INT64_MIN, INT64_MAX, &n));
  for (size_t i = 0; i < sizeof no_real / sizeof *no_real; i++)
    assert_false(sn_real_in(no_real[i], -INFINITY, INFINITY, &x));
  assert_false(sn_int_in("5", 6, 9, &n) || sn_int_in("5", 1, 4, &n) || sn_real_in("1e999", -DBL_MAX, DBL_MAX, &x));
  assert_true(n == 7 && x == 7);
  assert_true(sn_int_in("9223372036854775807", INT64_MIN, INT64_MAX, &n) && n == INT64_MAX);
  assert_true(sn_int_in("-9223372036854775808", INT64_MIN, INT64_MAX, &n) && n == INT64_MIN);
  assert_true(sn_int_in("007", 0, 9, &n) && n == 7);
  assert_true(sn_real_in("-1.5e-3", -1, 1, &x) && x == -1.5e-3);
  assert_true(sn_real_in(".5", 0, 1, &x) && x == 0.5);
}

static void names(void **state) {
  (void)state;
  sn_names *n = sn_names_create(arena);
  char copy[] = "abc";
  const char *first = sn_name(n, "abc");
  assert_ptr_equal(first, sn_name(n, copy));
  assert_ptr_not_equal(first, sn_name(n, "abd"));
  assert_string_equal(first, "abc");
}

static void patterns(void **state) {
  (void)state;
  assert_true(sn_pattern_match("*", ""));
  assert_true(sn_pattern_match("*.lora_*|head", "h.0.lora_a"));
  assert_true(sn_pattern_match("*.lora_*|head", "head"));
  assert_false(sn_pattern_match("*.lora_*|head", "heads"));
  assert_false(sn_pattern_match("*.lora_*|head", "h.0.fc"));
  assert_true(sn_pattern_match("*|-*.bias", "fc.weight"));
  assert_false(sn_pattern_match("*|-*.bias", "fc.bias"));
  assert_true(sn_pattern_match("-*.bias", "fc.weight"));
  assert_false(sn_pattern_match("-*.bias", "fc.bias"));
  assert_false(sn_pattern_match("a*b*c", "aXbY"));
  assert_true(sn_pattern_match("a*b*c", "aXbYbZc"));
  assert_false(sn_pattern_match("", "a"));
  assert_true(sn_pattern_match("", ""));
}

static void nearest(void **state) {
  (void)state;
  static const char *const entries[] = {"gelu", "relu", "softmax", "silu"};
  assert_string_equal(sn_nearest("gleu", entries, 4), "gelu");
  assert_string_equal(sn_nearest("softmx", entries, 4), "softmax");
  assert_null(sn_nearest("attention", entries, 4));
  assert_null(sn_nearest("", entries, 4));
}

static void hashes(void **state) {
  (void)state;
  unsigned char data[64] = {0};
  uint64_t base = sn_hash_bytes(data, sizeof data, 0);
  assert_true(base != sn_hash_bytes(data, sizeof data, 1));
  assert_true(base != sn_hash_bytes(data, sizeof data - 1, 0));
  for (int bit = 0; bit < 512; bit++) {
    data[bit / 8] ^= (unsigned char)(1 << bit % 8);
    uint64_t h = sn_hash_bytes(data, sizeof data, 0);
    assert_true(h != base && __builtin_popcountll(h ^ base) > 8);
    data[bit / 8] ^= (unsigned char)(1 << bit % 8);
  }
}

static void bytes_of_options(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t bytes; /* -1: refused */
  } cases[] = {{"1", 1},
               {"4096", 4096},
               {"1K", 1024},
               {"512M", 512 << 20},
               {"2G", INT64_C(2) << 30},
               {"3T", INT64_C(3) << 40},
               {"", -1},
               {"K", -1},
               {"0", -1},
               {"-1", -1},
               {"-1K", -1},
               {"1.5G", -1},
               {"2Q", -1},
               {"1 K", -1},
               {"1KB", -1},
               {" 1K", -1},
               {"0x10", -1},
               {"4194305T", -1},
               {"9223372036854775808", -1},
               {"99999999999999999999999999999999999999999K", -1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t n = 7;
    assert_int_equal(sn_bytes_in(cases[i].text, 1, INT64_C(1) << 62, &n), cases[i].bytes > 0);
    assert_int_equal(n, cases[i].bytes > 0 ? cases[i].bytes : 7);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(texts, setup, teardown),
      cmocka_unit_test_setup_teardown(numbers, setup, teardown),
      cmocka_unit_test_setup_teardown(numbers_of_options, setup, teardown),
      cmocka_unit_test_setup_teardown(names, setup, teardown),
      cmocka_unit_test(bytes_of_options),
      cmocka_unit_test(patterns),
      cmocka_unit_test(nearest),
      cmocka_unit_test(hashes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
