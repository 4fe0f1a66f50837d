/* Control flow of plans: the order in which steps run, nesting, lives through loops, text and binary round trips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ir/plan/plan.h"

/* Steps 0 to 8: before; while 1 { test 2 | 3, choose { 5 | 6 } } 7 after. Slots 1, 2: flags. */
static const char base[] =
    "plan 1 model \"m\" settings \"\" target \"cpu\" dims { }\n"
    "slot 0 input \"x\" f32[4] elements 4 graph 0\n"
    "slot 1 temp \"again\" bool[] elements 1 graph 0 life 1 6\n"
    "slot 2 temp \"which\" bool[] elements 1 graph 0 life 3 4\n"
    "slot 3 temp \"a\" f32[4] elements 4 graph 0 life 0 7\n"
    "slot 4 temp \"b\" f32[4] elements 4 graph 0 life 2 3\n"
    "slot 5 temp \"c\" f32[4] elements 4 graph 0 life 5 5 alias 4\n"
    "slot 6 output \"y\" f32[4] elements 4 graph 0\n"
    "code 0 cpu \"k\" size 0 workspace 0\n"
    "graph \"g\" {\n"
    "  launch 0 (0, write 3)\n"
    "  while 1 test 1 body 4 limit 5\n"
    "  launch 0 (write 4, 3, write 1)\n"
    "  launch 0 (4, write 2)\n"
    "  choose 2 yes 1 no 1\n"
    "  launch 0 (write 5, write 3)\n"
    "  launch 0 (write 3)\n"
    "  launch 0 (3, write 6)\n"
    "}\n";

static const char *changed(sn_arena *arena, const char *from, const char *to) {
  const char *at = strstr(base, from);
  if (!at) fail_msg("not in the text: %s", from);
  return sn_arena_printf(arena, "%.*s%s%s", (int)(at - base), base, to, at + strlen(from));
}

static sn_plan *parsed(sn_arena *arena, const char *text) {
  sn_diags *diags = sn_diags_create();
  sn_plan *p = NULL;
  if (sn_plan_parse(arena, diags, "t", text, strlen(text), &p)) fail_msg("%s", sn_diags_print(diags, arena));
  sn_diags_destroy(diags);
  return p;
}

static const char *verdict(sn_arena *arena, const char *text) {
  sn_diags *diags = sn_diags_create();
  sn_plan *p = NULL;
  sn_code code = sn_plan_parse(arena, diags, "t", text, strlen(text), &p);
  if (!code) code = sn_plan_check_hazards(p, diags);
  const char *message = code ? sn_arena_strdup(arena, diags->at[0].message) : "";
  sn_diags_destroy(diags);
  return message;
}

static void refused(void **state) {
  (void)state;
  static const struct {
    const char *from, *to, *message;
  } cases[] = {
      {"test 1", "test 0", "plan: graph 'g', step 1: blocks that are empty or go beyond the end"},
      {"body 4", "body 6", "plan: graph 'g', step 1: blocks that are empty or go beyond the end"},
      {"body 4", "body 2147483647", "plan: graph 'g', step 1: blocks that are empty or go beyond the end"},
      {"limit 5", "limit 0", "plan: graph 'g', step 1: a loop without rounds"},
      {"yes 1 no 1", "yes 1 no 2", "plan: graph 'g', step 4: blocks that overlap"},
      {"yes 1 no 1", "yes 0 no 1", "plan: graph 'g', step 4: blocks that are empty or go beyond the end"},
      {"while 1 test", "while 3 test", "plan: graph 'g', step 1: its flag is no single bool"},
      {"choose 2 yes", "choose 0 yes", "plan: graph 'g', step 4: its flag is no single bool"},
      {"choose 2 yes", "choose 9 yes", "plan: graph 'g', step 4: a slot that this graph does not have"},
      {"life 0 7", "life 0 5", "plan: graph 'g', step 6: a temporary outside of its life"},
      {"life 1 6", "life 1 5", "plan: graph 'g', step 1: a temporary that does not live as long as the loop"},
      {"life 2 3", "life 2 7", "plan: graph 'g', step 1: a temporary that does not live as long as the loop"},
      {"launch 0 (write 3)\n", "check 1\n", "plan: graph 'g', step 6: not a step inside a block"},
      /* c may share with b, which is dead by then; not with a, which the next round needs */
      {"alias 4", "alias 3", "plan: graph 'g': slots 3 and 5 share storage and are both alive at step 5"},
  };
  sn_arena *arena = sn_arena_create();
  assert_string_equal(verdict(arena, base), "");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_string_equal(verdict(arena, changed(arena, cases[i].from, cases[i].to)), cases[i].message);
  sn_arena_destroy(arena);
}

/* Many loops around one step. */
static void nesting_is_limited(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  for (int deep = 60; deep <= 140; deep += 80) {
    sn_text t = sn_text_begin(arena);
    sn_text_add(&t,
                "plan 1 model \"m\" settings \"\" target \"cpu\" dims { }\n"
                "slot 0 output \"y\" bool[] elements 1 graph 0\ncode 0 cpu \"k\" size 0 workspace 0\ngraph \"g\" {\n");
    for (int i = 0; i < deep; i++)
      sn_text_add(&t, "  while 0 test 1 body %d limit 1\n  launch 0 (write 0)\n", 2 * (deep - i) - 1);
    sn_text_add(&t, "  launch 0 (write 0)\n}\n");
    const char *message = verdict(arena, t.at);
    if (deep == 60)
      assert_string_equal(message, "");
    else
      assert_non_null(strstr(message, "blocks that nest too deep"));
  }
  sn_arena_destroy(arena);
}

/* ---- walks
 * ----------------------------------------------------------------------------------------------------------- */

typedef struct flags {
  int asked[3];         /* how often */
  const char *given[3]; /* by slot: '1' true, one per time */
} flags;

static bool flag_of(void *user, int slot) {
  flags *f = user;
  return f->given[slot][f->asked[slot]++] == '1';
}

/* The steps of a walk, as digits. */
static const char *walk(sn_arena *arena, const sn_plan *p, const char *again, const char *which) {
  flags given = {.given = {"", again, which}};
  int parent[32];
  int64_t rounds[32] = {0};
  const sn_plan_graph *g = &p->graph[0];
  sn_flow f = {.step = g->step, .parent = parent, .rounds = rounds, .flag = flag_of, .user = &given};
  sn_text t = sn_text_begin(arena);
  sn_plan_parents(g->step, g->step_count, parent);
  for (int i = 0, next; i < g->step_count; i = next) {
    sn_text_add(&t, "%d", i);
    next = sn_flow_next(&f, i);
    assert_true(sn_flow_branches(&f, i) || next == i + 1);
  }
  return t.at;
}

static void walks(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  const sn_plan *p = parsed(arena, base);
  assert_string_equal(walk(arena, p, "0", ""), "0127");
  assert_string_equal(walk(arena, p, "10", "1"),
                      "0123452"
                      "7");
  assert_string_equal(walk(arena, p, "110", "01"),
                      "0123462"
                      "3452"
                      "7");
  assert_string_equal(walk(arena, p, "1111111", "1010101"),
                      "012"
                      "3452"
                      "3462"
                      "3452"
                      "3462"
                      "3452"
                      "7"); /* the limit */
  /* a choice at the end of a choice at the end of the list */
  p = parsed(arena,
             "plan 1 model \"m\" settings \"\" target \"cpu\" dims { }\n"
             "slot 0 output \"y\" f32[4] elements 4 graph 0\n"
             "slot 1 input \"p\" bool[] elements 1 graph 0\n"
             "slot 2 input \"q\" bool[] elements 1 graph 0\n"
             "code 0 cpu \"k\" size 0 workspace 0\n"
             "graph \"g\" {\n"
             "  choose 1 yes 3 no 3\n"
             "  choose 2 yes 1 no 1\n  launch 0 (write 0)\n  launch 0 (write 0)\n"
             "  while 2 test 1 body 1 limit 2\n  launch 0 (write 0)\n  launch 0 (write 0)\n"
             "}\n");
  assert_string_equal(walk(arena, p, "1", "1"), "012");
  assert_string_equal(walk(arena, p, "1", "0"), "013");
  assert_string_equal(walk(arena, p, "0", "0"), "045");
  assert_string_equal(walk(arena, p, "0", "111"), "0456565");
  sn_arena_destroy(arena);
}

static void round_trips(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  const sn_plan *p = parsed(arena, base);
  sn_text text = sn_text_begin(arena), again = sn_text_begin(arena);
  sn_plan_print(&text, p, true);
  sn_plan_print(&again, parsed(arena, text.at), true);
  assert_string_equal(text.at, again.at);
  unsigned char *bytes;
  size_t count;
  sn_plan *back;
  assert_int_equal(sn_plan_write(arena, p, &bytes, &count), SN_OK);
  assert_int_equal(sn_plan_read(arena, NULL, "t", bytes, count, &back), SN_OK);
  again = sn_text_begin(arena);
  sn_plan_print(&again, back, true);
  assert_string_equal(text.at, again.at);
  uint64_t one[2], other[2];
  assert_int_equal(sn_plan_hash(p, one), SN_OK);
  assert_int_equal(sn_plan_hash(parsed(arena, changed(arena, "limit 5", "limit 6")), other), SN_OK);
  assert_true(one[0] != other[0]);
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(refused), cmocka_unit_test(nesting_is_limited),
                                     cmocka_unit_test(walks), cmocka_unit_test(round_trips)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
