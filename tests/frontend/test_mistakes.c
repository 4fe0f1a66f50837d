/* Mistakes in models: what is said about each graph of mistakes*.c, word by word. SN_BLESS=1 writes the texts anew. */
#include "tests/frontend/mistakes.h"

static void test_mistakes(void **state) {
  (void)state;
  mistakes_check("mistakes");
}

static void test_more_mistakes(void **state) {
  (void)state;
  mistakes_check("mistakes_more");
}

static void test_rest(void **state) {
  (void)state;
  mistakes_check("mistakes_rest");
}

static void test_regions(void **state) {
  (void)state;
  mistakes_check("mistakes_regions");
}

static void test_points(void **state) {
  (void)state;
  mistakes_check("mistakes_points");
}

static void test_positions(void **state) {
  (void)state;
  mistakes_check("mistakes_positions");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_mistakes), cmocka_unit_test(test_more_mistakes),
                                     cmocka_unit_test(test_rest),     cmocka_unit_test(test_regions),
                                     cmocka_unit_test(test_points),   cmocka_unit_test(test_positions)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
