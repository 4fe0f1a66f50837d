/* Whole plans from the cache: what is found is checked as a plan file is, its hazards too; what is not sound is made
 * anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/cache.h"
#include "tests/compile/harness.h"

static char folder[64];

static const char text[] =
    "sinter 1\ngraph @g {\n%1 = input name \"x\" : f32[5]\n%2 = exp %1 : f32[5]\noutput \"y\" = %2\n}\n";

/* -> the steps of the plan */
static int compile(sn_arena *arena, sn_diags *diags, int *passes) {
  sn_compile_opt opt = {.target = "template", .cache_dir = folder, .plan_only = true};
  sn_compiled c;
  if (sn_compile(check_parse(arena, diags, text), &opt, arena, diags, &c)) fail_msg("%s", sn_diags_print(diags, arena));
  *passes = c.fused != NULL;
  return c.plan->graph[0].step_count;
}

/* Leaves the last step of the plan that is kept out: nothing writes the output then. */
static void damage(sn_arena *arena, sn_diags *diags) {
  char *data, path[128], command[128];
  size_t bytes;
  snprintf(command, sizeof command, "ls %s/*.plan", folder);
  FILE *list = popen(command, "r");
  assert_non_null(fgets(path, sizeof path, list));
  pclose(list);
  path[strcspn(path, "\n")] = 0;
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  data = sn_arena_alloc(arena, 1 << 20);
  bytes = fread(data, 1, 1 << 20, f);
  fclose(f);
  sn_cache_entry e;
  sn_plan *p;
  unsigned char *changed;
  const char *why;
  assert_int_equal(sn_cache_entry_read(arena, diags, path, data, bytes, &e), SN_OK);
  assert_int_equal(sn_plan_read(arena, diags, path, e.blob.bytes, (size_t)e.blob.byte_count, &p), SN_OK);
  p->graph[0].step_count--;
  assert_int_equal(sn_plan_verify(p, diags), SN_OK);
  assert_int_equal(sn_plan_write(arena, p, &changed, &bytes), SN_OK);
  sn_cache_put_plan(sn_cache_open(arena, folder, &why), e.key, e.key_bytes, changed, bytes);
}

static void hazards_are_looked_for(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  int passes, steps = compile(arena, diags, &passes);
  assert_true(steps > 0 && passes);
  assert_int_equal(compile(arena, diags, &passes), steps);
  assert_false(passes); /* it was found */
  damage(arena, diags);
  assert_int_equal(compile(arena, diags, &passes), steps);
  assert_true(passes);
  assert_int_equal(compile(arena, diags, &passes), steps);
  assert_false(passes);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/sinter-kept-XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
  (void)state;
  char command[100];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(hazards_are_looked_for)};
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
