/* Golden cases of the pass inline. */
#include "tests/passes/golden.h"

static void cases(void **state) {
  (void)state;
  golden_file("inline", sn_pass_inline);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(cases)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
