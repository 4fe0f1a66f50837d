/* Golden cases of the pass chunk. */
#include "tests/passes/golden.h"

static void cases(void **state) {
  (void)state;
  golden_file("chunk", sn_pass_chunk);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(cases)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
