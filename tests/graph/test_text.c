/* Text form: what is printed reads back to an equal module, and prints the same bytes again. */
#include "tests/graph/support.h"

static void assert_round_trip(const sn_module *m, bool locations) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  const char *text = text_of(m, locations);
  sn_module *back = parsed(arena, diags, text);
  assert_string_equal(text, text_of(back, locations));
  assert_int_equal(m->func_count, back->func_count);
  for (int i = 0; i < m->func_count; i++) {
    const sn_func *twin = sn_module_find(back, m->func[i]->name);
    assert_non_null(twin);
    assert_true(sn_func_equal(m->func[i], twin));
  }
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static const char gpt[] =
    "sinter 1\n"
    "dims { B: 1..64, T: 8..64 step 8 }\n"
    "\n"
    "body @h.score {\n"
    "  %1 = arg index 0 : f32[]\n"
    "  %2 = const value 0.1 : f32[]\n"
    "  %3 = mul %1, %2 : f32[]\n"
    "  return %3\n"
    "}\n"
    "\n"
    "body @causal {\n"
    "  %1 = arg index 0 : i32[]\n"
    "  %2 = arg index 1 : i32[]\n"
    "  %3 = le %2, %1 : bool[]\n"
    "  return %3\n"
    "}\n"
    "\n"
    "graph @train {\n"
    "  %1 = input name \"tokens\" : i32[B, T]  @ \"gpt.c\":41 \"gpt.c\":57:8\n"
    "  %2 = param name \"wte.weight\" init \"normal\" a 0.02 : f32[256, 128]  @ none\n"
    "  %3 = gather %2, %1 : f32[B, T, 128] layer \"h.0\"  @ none\n"
    "  %4 = reshape %3 shape [B, T, 4, 32] : f32[B, T, 4, 32] layer \"h.0\" group \"softmax#3\"  @ \"gpt.c\":42\n"
    "  %5 = transpose %4 perm [0, 2, 1, 3] : f32[B, 4, T, 32]  @ none\n"
    "  %6, %7 = attention.bell %4, %4, %4 scale 0.125 score @h.score mask @causal weights 1 : f32[B, T, 4, 32], f32[B, "
    "4, T]  @ none\n"
    "  %8 = cast %2 to bf16 : bf16[256, 128]  @ none\n"
    "  %9 = dim dim 4*T : i32[]  @ none\n"
    "  %10 = const value 1 : bool[]  @ none\n"
    "  %11 = neg %2 : f32[256, 128]  @ none\n"
    "  output \"a \\\"b\\\"\" = %5\n"
    "  output \"y\" = %6\n"
    "  update %2 = %11\n"
    "  guard %10\n"
    "}\n";

static void written_text_prints_as_it_was(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_module *m = parsed(arena, diags, gpt);
  const char *text = text_of(m, true);
  /* bodies carry the lines of the text itself; strip them to compare */
  assert_non_null(strstr(text, "%1 = arg index 0 : f32[]  @ \"t.sn\":5:3\n"));
  assert_non_null(strstr(text, strstr(gpt, "graph @train")));
  assert_round_trip(m, true);
  assert_round_trip(m, false);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void names_and_order_of_attributes_are_free(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_module *m =
      parsed(arena, diags,
             "sinter 1 // version\n"
             "graph @\"g 1\" {%x = input default 2.5 name \"s\" : f32[] %y.1 = neg %x : f32[] output \"o\"=%y.1 }");
  assert_string_equal(text_of(m, false),
                      "sinter 1\n"
                      "\n"
                      "graph @\"g 1\" {\n"
                      "  %1 = input name \"s\" default 2.5 : f32[]\n"
                      "  %2 = neg %1 : f32[]\n"
                      "  output \"o\" = %2\n"
                      "}\n");
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void random_modules_round_trip(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 300; seed++) {
    sn_arena *arena = sn_arena_create();
    sn_diags *diags = sn_diags_create();
    sn_module *m = random_module(arena, seed, 30);
    for (int i = 0; i < m->func_count; i++) {
      sn_code code = sn_func_verify(m->func[i], diags);
      if (code) print_message("%s\n", sn_diags_print(diags, arena));
      assert_int_equal(code, SN_OK);
    }
    assert_round_trip(m, seed % 2);
    sn_diags_destroy(diags);
    sn_arena_destroy(arena);
  }
}

static void random_functions_finish_to_a_fixed_point(void **state) {
  (void)state;
  for (uint64_t seed = 1000; seed < 1100; seed++) {
    sn_arena *arena = sn_arena_create();
    sn_diags *diags = sn_diags_create();
    sn_module *m = random_module(arena, seed, 30);
    sn_func *once = sn_func_finish(sn_module_find(m, "train"));
    assert_int_equal(sn_func_verify(once, diags), SN_OK);
    assert_ptr_equal(sn_module_find(m, "train"), once);
    const char *text = text_of(m, true);
    sn_func *twice = sn_func_finish(once);
    assert_true(sn_func_equal(once, twice));
    assert_string_equal(text, text_of(m, true));
    sn_diags_destroy(diags);
    sn_arena_destroy(arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(written_text_prints_as_it_was),
      cmocka_unit_test(names_and_order_of_attributes_are_free),
      cmocka_unit_test(random_modules_round_trip),
      cmocka_unit_test(random_functions_finish_to_a_fixed_point),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
