/* What choices among kernels of equal bits follow from, and the file of what was measured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/choose.h"

/* a whole plan in the cache is of as many threads as its kernels were chosen for */
static void threads_are_part_of_what_choices_follow_from(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_target t = sn_target_cpu(SN_ISA_AVX512);
  sn_chooser c = {.arena = arena, .target = &t, .chooses = true, .forced = -1};
  sn_text text[3];
  c.limits = sn_limits_default(&t);
  for (int i = 0; i < 3; i++) {
    text[i] = sn_text_begin(arena);
    t.threads = 2 + i / 2;
    sn_chooser_print(&text[i], &c);
  }
  assert_string_equal(text[0].at, text[1].at);
  assert_string_not_equal(text[0].at, text[2].at);
  sn_arena_destroy(arena);
}

enum { ROWS = 5000, KEPT = 4096 };

static void the_newest_of_what_was_measured_is_kept(void **state) {
  (void)state;
  char dir[] = "/tmp/chooser-XXXXXX", command[64];
  const char *why;
  sn_arena *arena = sn_arena_create();
  assert_non_null(mkdtemp(dir));
  const sn_cache *cache = sn_cache_open(arena, dir, &why);
  assert_non_null(cache);
  sn_target t = sn_target_cpu(SN_ISA_AVX2);
  const sn_backend b = {.version = "none"};
  sn_tuned add = {0}, back;
  for (uint64_t i = 0; i < ROWS; i++) sn_tuned_add(&add, arena, (uint64_t[2]){i, i * i}, i + 7);
  sn_tuned_write(cache, &t, &b, arena, &add);
  sn_tuned_read(cache, &t, &b, arena, &back);
  assert_int_equal(back.count, KEPT);
  for (int i = 0; i < KEPT; i++) assert_memory_equal(&back.at[i], &add.at[ROWS - KEPT + i], sizeof *back.at);
  sn_arena_destroy(arena);
  snprintf(command, sizeof command, "rm -r %s", dir);
  assert_int_equal(system(command), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(threads_are_part_of_what_choices_follow_from),
      cmocka_unit_test(the_newest_of_what_was_measured_is_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
