/* Golden cases of the pass precision, with operands in bf16; and that it does nothing unless it is asked to. */
#include "tests/passes/golden.h"

static sn_code to_bf16(sn_module *m, sn_pass_env *env) {
  env->precision = SN_ELEM_BF16;
  return sn_pass_precision(m, env);
}

static void cases(void **state) {
  (void)state;
  golden_file_of("precision", to_bf16, true);
}

static void f32_is_left_alone(void **state) {
  (void)state;
  static const char text[] =
      "sinter 1\n"
      "graph @g {\n"
      "  %1 = input name \"x\" : f32[2, 3]\n"
      "  %2 = input name \"y\" : f32[3, 4]\n"
      "  %3 = contract %1, %2 spec \"ij,jk->ik\" : f32[2, 4]\n"
      "  output \"z\" = %3\n"
      "}\n";
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_pass_env env = {.arena = arena, .diags = diags, .precision = SN_ELEM_F32};
  sn_module *m;
  assert_int_equal(sn_module_parse(arena, diags, "text", text, sizeof text - 1, &m), SN_OK);
  const sn_func *before = m->func[0];
  assert_int_equal(sn_pass_precision(m, &env), SN_OK);
  assert_ptr_equal(m->func[0], before);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(cases), cmocka_unit_test(f32_is_left_alone)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
