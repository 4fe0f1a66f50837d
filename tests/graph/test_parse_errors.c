/* Parser: each mistake is told with line and column; hostile texts give an error, never a crash. */
#include <stdio.h>

#include "tests/graph/support.h"

typedef struct mistake {
  const char *text; /* after "sinter 1\n" unless it starts with ! */
  int line, column;
  const char *message, *expected, *found, *note; /* NULL: not looked at */
} mistake;

/* clang-format off */
static const mistake mistakes[] = {
  {"!sinter 2",                                              1, 8,  "the version is not known", "1", "2", NULL},
  {"!graph @g {}",                                           1, 1,  "unexpected token", "sinter", "graph", NULL},
  {"grpah @g {}",                                            2, 1,  "no function begins so", "body or graph", "grpah", NULL},
  {"graph g {}",                                             2, 7,  "the name of a function is needed", "@name", "g", NULL},
  {"graph @g {",                                             2, 11, "no statement begins so", NULL, "the end", NULL},
  {"graph @g {}\ngraph @g {}",                               3, 7,  "function @g is declared twice", NULL, NULL, NULL},
  {"graph @g {\n  %1 = sofmax %0 : f32[]\n}",                3, 8,  "unknown op `sofmax`", NULL, NULL, "did you mean `softmax`?"},
  {"graph @g {\n  %1 = softmax.wide %0 : f32[]\n}",           3, 8,  "unknown op `softmax.wide`", NULL, NULL, NULL},
  {"graph @g {\n  %1 = attention. %0 : f32[]\n}",             3, 8,  "unknown op `attention.`", NULL, NULL, "did you mean `attention`?"},
  {"graph @g {\n  %0 = const value 1 : f32[]\n  %1 = attention.a %0 scale 1 variant \"b\" : f32[]\n}", 4, 31, "the attribute is given twice", "each attribute once", NULL, NULL},
  {"graph @g {\n  %1 = qqqqqqqq : f32[]\n}",                 3, 8,  "unknown op `qqqqqqqq`", NULL, NULL, NULL},
  {"graph @g {\n  %1 = neg %0 : f32[]\n}",                   3, 12, "the value is not defined above its use", NULL, "%0", NULL},
  {"graph @g {\n  %1 = neg : f32[]\n}",                      3, 12, "neg takes 1 operand, found 0", "another operand", ":", NULL},
  {"graph @g {\n  %1 = iota axis 0 : f32[4]\n  %2 = neg %1, %1 : f32[4]\n}", 4, 19, "neg takes 1 operand, found 2", "no more operands", ":", NULL},
  {"graph @g {\n  %1 = iota axis 0 : f32[4]\n  %2 = neg %1, : f32[4]\n}",    4, 16, "a value is needed", "%name", ":", NULL},
  {"graph @g {\n  %1 = iota axs 0 : f32[4]\n}",              3, 13, "unknown attribute `axs`", NULL, NULL, "did you mean `axis`?"},
  {"graph @g {\n  %1 = iota axis 0 axis 1 : f32[4]\n}",      3, 20, "the attribute is given twice", NULL, "axis", NULL},
  {"graph @g {\n  %1 = iota : f32[4]\n}",                    3, 13, "iota has no attribute `axis`", "axis", ":", NULL},
  {"graph @g {\n  %1 = iota axis \"0\" : f32[4]\n}",         3, 18, "unexpected token", "an integer", "\"0\"", NULL},
  {"graph @g {\n  %1 = const value one : f32[]\n}",          3, 20, "unexpected token", "a number", "one", NULL},
  {"graph @g {\n  %1 = const value 1 f32[]\n}",              3, 22, "unknown attribute `f32`", NULL, NULL, NULL},
  {"graph @g {\n  %1 = const value 1 = f32[]\n}",            3, 22, "unexpected token", ":", "=", NULL},
  {"graph @g {\n  %1 = const value 1 : f32[], f32[]\n}",     3, 35, "a type for each value is needed", "1, as many as values are named", "2 types", NULL},
  {"graph @g {\n  %1, %2 = const value 1 : f32[], f32[]\n}", 3, 39, "the number of results of const", "1", "2 types", NULL},
  {"graph @g {\n  %1 = const value 1 : f32[]\n  %1 = const value 2 : f32[]\n}", 4, 3, "the value is defined twice", NULL, "%1", NULL},
  {"graph @g {\n  %1, %1 = const value 1 : f32[], f32[]\n}", 3, 39, "the number of results of const", "1", "2 types", NULL},
  {"graph @g {\n  %1 = input name \"x\" : f32[]\n  %2 = input name \"x\" : f32[]\n}", 4, 3, "input \"x\" is declared twice", NULL, NULL, NULL},
  {"graph @g {\n  %1 = cast %1 to f33 : f32[]\n}",           3, 13, "the value is not defined above its use", NULL, NULL, NULL},
  {"graph @g {\n  %1 = const value 1 : f32[]\n  %2 = cast %1 to f33 : f32[]\n}", 4, 19, "not an element type", "one of f64 f32 bf16 f16 f8e4m3 f8e5m2 i64 i32 i8 u8 bool", "f33", NULL},
  {"graph @g {\n  %1 = input name \"x\" : fp16[4]\n}",      3, 25, "not an element type", "one of f64 f32 bf16 f16 f8e4m3 f8e5m2 i64 i32 i8 u8 bool", "fp16", "did you mean `f16`?"},
  {"graph @g {\n  %1 = iota axis 0 : f32[99999999999999999999]\n}", 3, 26, "an integer that does not fit in 64 bits", "-9223372036854775808 to 9223372036854775807", "99999999999999999999", NULL},
  {"dims { T: 5..2 }\ngraph @g {\n}", 2, 8, "impossible bounds of dim 'T'", "min..max in order, of at most 2^40 in size, and a step from 1", "5..2 step 1", NULL},
  {"dims { T: 1..2199023255552 step 8 }\ngraph @g {\n}", 2, 8, "impossible bounds of dim 'T'", NULL, "1..2199023255552 step 8", NULL},
  {"dims { T: 1..8, T: 1..9 }\ngraph @g {\n}", 2, 17, "dim 'T' is declared with other bounds", "1..8, as before", "1..9", NULL},
  {"graph @g {\n  %1 = call body @b with \"h\" : f32[]\n}",  3, 18, "unknown body `b`", NULL, NULL, NULL},
  {"body @causal { %1 = const value 1 : f32[] return %1 }\ngraph @g {\n  %1 = call body @casual with \"h\" : f32[]\n}", 4, 18, "unknown body `casual`", NULL, NULL, "did you mean `causal`?"},
  {"body @b {\n  %1 = call body @b with \"h\" : f32[]\n}",   3, 18, "unknown body `b`", NULL, NULL, NULL},
  {"graph @g {\n  output y = %1\n}",                         3, 10, "unexpected token", "a string", "y", NULL},
  {"graph @g {\n  output \"y\" = %1\n}",                     3, 16, "the value is not defined above its use", NULL, "%1", NULL},
  {"graph @g {\n  update 3\n}",                              3, 10, "a value is needed", "%name", "3", NULL},
  {"graph @g {\n  return\n}",                                4, 1,  "a value is needed", "%name", "}", NULL},
  {"graph @g {\n  %1 = const value 1 : bool[]\n  guard %1\n  guard %1\n}", 5, 9, "the guard is given twice", NULL, "%1", NULL},
  {"graph @g {\n  %1 = iota axis 0 : f32[4]\n  %2 = sum %1 axes [0, 1, 2, 3, 4, 5, 6, 7, 8] : f32[]\n}", 4, 45, "more than 8 entries in a list", NULL, NULL, NULL},
  {"graph @g {\n  %1 = const value 1 : f32[]  @ 3\n}",       3, 33, "a source line is needed", "\"file\":line or none", "3", NULL},
  {"graph @g {\n  %1 = const value 1 : f32[]  @ \"a\":-1\n}", 3, 37, "no such line", NULL, "-1", NULL},
  {"graph @g {\n  %1 = arg index 0 : f32[]\n}",              3, 3,  "graph @g: `%1 = arg index 0 : f32[]`: a graph has no arguments", NULL, "arg", NULL},
  {"body @b {\n  %1 = arg index 0 : f32[]\n}",               2, 6,  "body @b: the number of values that a body returns", "1 or more", "0", NULL},
  {"graph @g {\n  %1 = const value 1 : f32[U]\n}",           3, 28, NULL, NULL, NULL, NULL},
};
/* clang-format on */

static void same_or_unseen(const char *wanted, const char *found, const char *text) {
  if (!wanted || (found && !strcmp(wanted, found))) return;
  print_message("%s\nwanted: %s\nfound: %s\n", text, wanted, found ? found : "(none)");
  fail();
}

static void mistakes_have_line_and_column(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
    const mistake *wrong = &mistakes[i];
    sn_arena *arena = sn_arena_create();
    sn_diags *diags = sn_diags_create();
    bool whole = wrong->text[0] == '!';
    const char *text = sn_arena_printf(arena, "%s%s", whole ? "" : "sinter 1\n", wrong->text + whole);
    sn_module *m = NULL;
    sn_code code = sn_module_parse(arena, diags, "t.sn", text, strlen(text), &m);
    assert_true(code == SN_ERR_INPUT || code == SN_ERR_LIMIT);
    assert_null(m);
    assert_int_equal(diags->count, 1);
    const sn_diag *d = &diags->at[0];
    if (d->loc.line != wrong->line || d->loc.column != wrong->column) {
      print_message("%s\n%d:%d %s, wanted %d:%d\n", text, d->loc.line, d->loc.column, d->message, wrong->line,
                    wrong->column);
      fail();
    }
    if (!d->expected || !d->found) fail_msg("%s\n%s: expected or found is missing", text, d->message);
    same_or_unseen(wrong->message, d->message, text);
    same_or_unseen(wrong->expected, d->expected, text);
    same_or_unseen(wrong->found, d->found, text);
    same_or_unseen(wrong->note, d->note, text);
    sn_diags_destroy(diags);
    sn_arena_destroy(arena);
  }
}

/* Parses bytes; a success must print and parse again. */
static bool survives(const char *bytes, size_t count) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_module *m = NULL;
  sn_code code = sn_module_parse(arena, diags, "t.sn", bytes, count, &m);
  if (code)
    assert_int_equal(diags->count, 1);
  else
    parsed(arena, diags, text_of(m, true));
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return code == SN_OK;
}

static void random_bytes_are_refused(void **state) {
  (void)state;
  static const char *const words[] = {"sinter 1",      "graph", "body",   "@g",   "{",    "}",    "%1",     "=",
                                      "const value 1", ":",     "f32[]",  "[",    "]",    "dims", "output", "\"y\"",
                                      "update",        "guard", "return", ",",    "B",    "1",    "-3",     "1e9",
                                      "neg",           "add",   "@",      "call", "layer"};
  sn_rng r = {.seed = 5};
  for (int round = 0; round < 3000; round++) {
    char bytes[512] = "sinter 1 ";
    size_t count = round % 3 ? strlen(bytes) : 0;
    int pieces = 1 + below(&r, 30);
    for (int i = 0; i < pieces && count < 480; i++) {
      if (round % 2)
        bytes[count++] = (char)below(&r, 256);
      else
        count += (size_t)snprintf(bytes + count, 30, "%s ", words[below(&r, (int)(sizeof words / sizeof *words))]);
    }
    survives(bytes, count);
  }
}

static void mutated_texts_never_crash(void **state) {
  (void)state;
  sn_rng r = {.seed = 6};
  int parsed_count = 0;
  for (int round = 0; round < 1500; round++) {
    sn_arena *arena = sn_arena_create();
    char *text = sn_arena_strdup(arena, text_of(random_module(arena, (uint64_t)round / 10, 8), round % 2));
    size_t count = strlen(text);
    for (int i = 0; i < 1 + round % 4; i++) {
      size_t at = (size_t)sn_rng_below(&r, count);
      switch (below(&r, 4)) {
        case 0: text[at] = (char)below(&r, 256); break;
        case 1: count = at ? at : count; break;
        case 2: text[at] = "{}[]%@\",:=0129-*+"[below(&r, 17)]; break;
        default: memmove(text + at, text + at + 1, count - at - 1), count -= count > 1; break;
      }
    }
    parsed_count += survives(text, count);
    sn_arena_destroy(arena);
  }
  assert_true(parsed_count > 10); /* some mutations are harmless */
}

static void limits_hold(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_text text = sn_text_begin(arena);
  sn_text_add(&text, "sinter 1 graph @g { %%1 = const value 1 : f32[1] %%2 = concat %%1");
  for (int i = 0; i < 4096; i++) sn_text_add(&text, ", %%1");
  sn_text_add(&text, " axis 0 : f32[4097] output \"y\" = %%2 }");
  sn_module *m = NULL;
  assert_int_equal(sn_module_parse(arena, diags, "t.sn", text.at, (size_t)text.count, &m), SN_ERR_LIMIT);
  assert_string_equal(diags->at[0].message, "more than 4096 operands");
  sn_text deep = sn_text_begin(arena);
  sn_text_add(&deep, "sinter 1\nbody @b0 { %%1 = arg index 0 : f32[] return %%1 }\n");
  for (int i = 1; i <= 66; i++) {
    sn_text_add(&deep,
                "body @b%d { %%1 = arg index 0 : f32[] %%2 = call %%1 body @b%d with \"\" : f32[] return %%2 }\n", i,
                i - 1);
  }
  assert_int_equal(sn_module_parse(arena, diags, "t.sn", deep.at, (size_t)deep.count, &m), SN_ERR_LIMIT);
  assert_non_null(strstr(diags->at[1].message, "bodies are nested deeper than 64"));
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(mistakes_have_line_and_column),
      cmocka_unit_test(random_bytes_are_refused),
      cmocka_unit_test(mutated_texts_never_crash),
      cmocka_unit_test(limits_hold),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
