/* The pass pages: golden cases, executed before and after. */
#include "tests/passes/golden.h"

static sn_code read_pages(sn_module *m, sn_pass_env *env) {
  const sn_target target = sn_target_cpu(SN_ISA_BASELINE);
  env->target = &target;
  sn_code code = sn_pass_pages(m, env);
  env->target = NULL;
  return code;
}

static void cases(void **state) {
  (void)state;
  golden_file("pages", read_pages);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(cases)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
