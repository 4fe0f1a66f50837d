/* Limits of processors as text: what is printed reads back; whatever else a file may hold is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/types/limits.h"

static void every_level_reads_back(void **state) {
  (void)state;
  sn_target t;
  sn_arena *arena = sn_arena_create();
  for (int i = 0; sn_target_level(i, &t); i++) {
    sn_limits l = sn_limits_default(&t), back = {0};
    sn_text text = sn_text_begin(arena), again = sn_text_begin(arena);
    assert_false(l.measured);
    sn_limits_print(&text, &l);
    assert_true(sn_limits_read(text.at, (size_t)text.count, &back));
    assert_true(back.measured);
    sn_limits_print(&again, &back);
    assert_string_equal(text.at, again.at);
    assert_true(l.pairs >= l.product && l.l2 >= l.l3 && l.l3 >= l.memory && l.together >= l.memory);
  }
  sn_arena_destroy(arena);
}

static void figures_that_contradict_each_other_are_not_sound(void **state) {
  (void)state;
  const sn_limits good = {.l2 = 30e9, .l3 = 20e9, .memory = 10e9, .together = 10e9};
  sn_limits far = good, near = good, together = good, meet = good;
  far.memory = 25e9, near.l3 = 31e9, together.together = 8e9, meet.meet_ns = 1e6;
  assert_true(sn_limits_sound(&good));
  assert_false(sn_limits_sound(&far));
  assert_false(sn_limits_sound(&near));
  assert_false(sn_limits_sound(&together));
  assert_false(sn_limits_sound(&meet));
}

static bool reads(const char *text) {
  sn_limits l;
  return sn_limits_read(text, strlen(text), &l);
}

#define GOOD "product 1e9\npairs 1e9\npoint 1e9\nl2 1e9\nl3 1e9\nmemory 1e9\ntogether 1e9\nlaunch_ns 100\nmeet_ns 100\n"

static void what_no_machine_does_is_refused(void **state) {
  (void)state;
  assert_true(reads(GOOD));
  assert_false(reads(""));
  assert_false(reads(GOOD "x"));
  assert_false(reads("product 1e9\n"));
  static const char *const bad[] = {"nan", "inf", "0", "-1e9", "1e99", "1e9 ", " 1e9", "", "0x1p30", "1e9e9", "+"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char text[512] = "product ";
    strcat(strcat(text, bad[i]), strchr(GOOD, '\n'));
    assert_false(reads(text));
  }
  for (size_t n = 0; n < strlen(GOOD); n++) { /* cut anywhere */
    sn_limits l;
    assert_false(sn_limits_read(GOOD, n, &l));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_level_reads_back),
      cmocka_unit_test(what_no_machine_does_is_refused),
      cmocka_unit_test(figures_that_contradict_each_other_are_not_sound),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
