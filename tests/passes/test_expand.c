/* Golden cases of the pass expand. */
#include "tests/passes/golden.h"

static void cases(void **state) {
  (void)state;
  golden_file("expand", sn_pass_expand);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(cases)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
