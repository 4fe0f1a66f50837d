/* Golden cases of the pass chunk. */
#include "tests/passes/golden.h"

static void cases(void **state) {
  (void)state;
  golden_file("chunk", sn_pass_chunk);
}

static sn_code to_fused(sn_module *m, sn_pass_env *env) {
  env->vocab = SN_VOCAB_FUSED;
  return sn_pass_chunk(m, env);
}

static void fused(void **state) {
  (void)state;
  golden_file("chunk_fused", to_fused);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(cases), cmocka_unit_test(fused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
