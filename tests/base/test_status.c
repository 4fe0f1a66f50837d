/* Diagnostics: the printed text, to the character. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/status.h"
#include "ir/base/str.h"

static const char *const file = "test_status_source.txt";
static sn_arena *arena;
static sn_diags *diags;

static int setup(void **state) {
  (void)state;
  static const char source[] =
      "int main(void) {\n"
      "  sn_output(m, \"y\", sn_gelu(sn_add(sn_mul(x, 2), bias)));\n"
      "\tsn_attention(q, k,\n"
      "               v);\n"
      "  max(x, x)\n"
      "}\n";
  FILE *f = fopen(file, "wb");
  if (!f) return 1;
  fputs(source, f);
  fclose(f);
  arena = sn_arena_create();
  diags = sn_diags_create();
  return !arena || !diags;
}

static int teardown(void **state) {
  (void)state;
  remove(file);
  sn_arena_destroy(arena);
  sn_diags_destroy(diags);
  return 0;
}

static void excerpt_with_fields(void **state) {
  (void)state;
  sn_loc loc = {.file = file, .line = 2, .text = "sn_add(sn_mul(x,2), bias)"};
  assert_int_equal(sn_fail(diags, SN_ERR_INPUT, loc, "%s: shapes do not broadcast", "sn_add"), SN_ERR_INPUT);
  sn_fail_expected(diags, "axis -1 to agree or be 1");
  sn_fail_found(diags, "%d against %d", 64, 65);
  sn_fail_found(diags, "bias f32[65]");
  sn_fail_note(diags, "while building h.0");
  assert_string_equal(sn_diags_print(diags, arena),
                      "test_status_source.txt:2:29: error: sn_add: shapes do not broadcast\n"
                      "    2 |   sn_output(m, \"y\", sn_gelu(sn_add(sn_mul(x, 2), bias)));\n"
                      "      |                             ^~~~~~~~~~~~~~~~~~~~~~~~~~\n"
                      "      = expected: axis -1 to agree or be 1\n"
                      "      = found:    64 against 65\n"
                      "                  bias f32[65]\n"
                      "      = note:     while building h.0\n");
}

/* A call over two lines that is given by its last: found above, underlined to the end of its first line. */
static void call_over_lines(void **state) {
  (void)state;
  (void)sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file, .line = 4, .text = "sn_attention(q, k, v)"}, "bad");
  assert_string_equal(sn_diags_print(diags, arena),
                      "test_status_source.txt:3:2: error: bad\n"
                      "    3 | \tsn_attention(q, k,\n"
                      "      | \t^~~~~~~~~~~~~~~~~~\n");
}

static void whole_words(void **state) {
  (void)state;
  (void)sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file, .line = 5, .text = "x"}, "bad");
  assert_string_equal(sn_diags_print(diags, arena),
                      "test_status_source.txt:5:7: error: bad\n"
                      "    5 |   max(x, x)\n"
                      "      |       ^\n");
}

static void known_column(void **state) {
  (void)state;
  (void)sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file, .line = 5, .column = 10, .text = "x"}, "bad");
  (void)sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file, .line = 1, .column = 500}, "far");
  assert_string_equal(sn_diags_print(diags, arena),
                      "test_status_source.txt:5:10: error: bad\n"
                      "    5 |   max(x, x)\n"
                      "      |          ^\n"
                      "\n"
                      "test_status_source.txt:1:500: error: far\n");
}

static void without_source(void **state) {
  (void)state;
  (void)sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no place");
  (void)sn_fail(diags, SN_ERR_LIMIT, (sn_loc){.file = "no/such/file.c", .line = 3, .text = "x"}, "no file");
  (void)sn_fail(diags, SN_ERR_LIMIT, (sn_loc){.file = file, .line = 6, .text = "nowhere"}, "no match");
  (void)sn_fail(diags, SN_ERR_LIMIT, (sn_loc){.file = file, .line = 600, .text = "nowhere"}, "no line");
  sn_fail_found(diags, "this");
  assert_string_equal(sn_diags_print(diags, arena),
                      "error: no place\n"
                      "\n"
                      "no/such/file.c:3: error: no file\n"
                      "\n"
                      "test_status_source.txt:6: error: no match\n"
                      "    6 | }\n"
                      "\n"
                      "test_status_source.txt:600: error: no line\n"
                      "      = found:    this\n");
}

static void without_list(void **state) {
  (void)state;
  assert_int_equal(sn_fail(NULL, SN_ERR_DEVICE, (sn_loc){0}, "x"), SN_ERR_DEVICE);
  sn_fail_expected(NULL, "x");
  sn_fail_found(diags, "nothing to add to");
  assert_string_equal(sn_diags_print(diags, arena), "");
  assert_string_equal(sn_diags_print(NULL, arena), "");
  sn_diags_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(excerpt_with_fields), TEST(call_over_lines), TEST(whole_words),
      TEST(known_column),        TEST(without_source),  TEST(without_list),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
