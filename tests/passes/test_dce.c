/* Golden cases of the pass dce. */
#include "tests/passes/golden.h"

static void cases(void **state) {
  (void)state;
  golden_file("dce", sn_pass_dce);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(cases)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
