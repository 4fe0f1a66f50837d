/* Verification, hazards, look-up and identity of plans, by small texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ir/plan/plan.h"

static const char base[] =
    "plan 1 model \"m\" settings \"\" target \"cpu\" dims { B: 1..8 }\n"
    "slot 0 input \"x\" f32[B] elements B graph 0\n"
    "slot 1 param \"w\" f32[B] elements B frozen\n"
    "slot 2 state \"s\" f32[B] elements B buddy 3\n"
    "slot 3 state \"s2\" f32[B] elements B buddy 2\n"
    "slot 4 temp \"a\" f32[B] elements B graph 0 life 0 1\n"
    "slot 5 temp \"b\" f32[B] elements B graph 0 life 2 2 alias 4\n"
    "slot 6 temp \"ok\" bool[] elements 1 graph 0 life 1 3\n"
    "slot 7 output \"y\" f32[B] elements B graph 0\n"
    "slot 8 packed \"p\" f32[B] elements B\n"
    "slot 9 temp \"z\" f32[B] elements B graph 1 life 0 0\n"
    "code 0 cpu \"k\" size 2 workspace 0 entry 0 { \"0102\" }\n"
    "prepare { launch 0 (1, write 8) }\n"
    "graph \"g\" {\n"
    "  launch 0 (0, write 4, size 0) grid0 B\n"
    "  launch 0 (4, write 6)\n"
    "  launch 0 (0, write 5, write 6)\n"
    "  check 6\n"
    "  launch 0 (0, 8, write 7)\n"
    "  copy 7 to 2\n"
    "  swap 2 to 3\n"
    "}\n"
    "graph \"h\" { copy 1 to 9 host }\n";

/* The base text with one part replaced. */
static const char *changed(sn_arena *arena, const char *from, const char *to) {
  const char *at = strstr(base, from);
  if (!at) fail_msg("not in the text: %s", from);
  return sn_arena_printf(arena, "%.*s%s%s", (int)(at - base), base, to, at + strlen(from));
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

static void base_is_good(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  assert_string_equal(verdict(arena, base), "");
  sn_arena_destroy(arena);
}

static void refused(void **state) {
  (void)state;
  static const struct {
    const char *from, *to, *message;
  } cases[] = {
      {"elements B graph 0\n", "elements 1 graph 0\n", "plan: slot 0 holds 1 elements, its type needs 8"},
      {"f32[B] elements B graph 0\n", "f32[B - 9] elements B graph 0\n", "plan: slot 0 has a negative extent"},
      {"frozen", "graph 0", "plan: slot 1 is persistent and in one graph"},
      {"f32[B] elements B frozen", "f32[B]", "plan: slot 1 has no element count"},
      {"x\" f32[B] elements B graph 0", "x\" f32[B] elements B graph 7", "plan: slot 0 has no graph 7"},
      {"graph 0 life 0 1", "life 0 1", "plan: slot 4 is temporary and in no graph"},
      {"life 0 1", "life 0 7", "plan: slot 4 lives from step 0 to 7, which its graph does not have"},
      {"life 2 2 alias 4", "life 2 2 alias 9", "plan: slot 5 shares storage with slot 9 of another graph"},
      {"life 2 2 alias 4", "life 2 2 alias 5", "plan: the aliases of slot 5 form a cycle"},
      {"life 2 2 alias 4", "life 2 2 alias 6", "plan: slot 5 needs more storage than slot 6 has"},
      {"life 2 2 alias 4", "life 2 2 alias 55", "plan: slot 5 cannot share the storage of slot 55"},
      {"buddy 3", "buddy 1", "plan: slot 2 has an impossible buddy 1"},
      {"\"s2\"", "\"s\"", "plan: two slots are called 's'"},
      {"\"y\"", "\"x\"", "plan: two slots are called 'x'"},
      {"\"h\"", "\"g\"", "plan: two graphs are called 'g'"},
      {"entry 0", "entry 2", "plan: code 0 has its entry outside"},
      {"workspace 0", "workspace -1", "plan: code 0 has an impossible workspace"},
      {"launch 0 (4,", "launch 1 (4,", "plan: graph 'g', step 1: no such code"},
      {"launch 0 (4,", "launch 0 (99,", "plan: graph 'g', step 1: a slot that this graph does not have"},
      {"launch 0 (4,", "launch 0 (9,", "plan: graph 'g', step 1: a slot that this graph does not have"},
      {"launch 0 (4,", "launch 0 (5,", "plan: graph 'g', step 1: a temporary outside of its life"},
      {"size 0)", "size 1)", "plan: graph 'g', step 0: no such size"},
      {"(0, write 4", "(write 0, write 4", "plan: graph 'g', step 0: writes what must not be written"},
      {"(0, write 4", "(write 1, write 4", "plan: graph 'g', step 0: writes what must not be written"},
      {"(0, write 4", "(write 8, write 4", "plan: graph 'g', step 0: writes what must not be written"},
      {"(1, write 8)", "(write 1, write 8)", "plan: prepare step 0: writes what must not be written"},
      {"(1, write 8)", "(1, write 4)", "plan: prepare step 0: a slot that this graph does not have"},
      {"prepare { ", "prepare { host ", "plan: prepare step 0: not a step that prepares"},
      {"check 6", "check 0", "plan: graph 'g', step 3: checks a slot that is not bool"},
      {"swap 2 to 3", "swap 2 to 2", "plan: graph 'g', step 6: two slots of one storage size are needed"},
      {"swap 2 to 3", "swap 2 to 7", "plan: graph 'g', step 6: only states of one type can be swapped"},
      /* hazards */
      {"life 2 2 alias 4", "life 1 2 alias 4", ""},
      {"launch 0 (4, write 6)", "launch 0 (4, write 5)", "plan: graph 'g', step 1: a temporary outside of its life"},
      {"launch 0 (0, write 5,", "launch 0 (0, write 2,",
       "plan: graph 'g': step 2 writes 's' before the check at step 3"},
  };
  sn_arena *arena = sn_arena_create();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_string_equal(verdict(arena, changed(arena, cases[i].from, cases[i].to)), cases[i].message);
  }
  sn_arena_destroy(arena);
}

static const char shared[] =
    "plan 1 model \"m\" settings \"\" target \"cpu\" dims { }\n"
    "slot 0 input \"x\" f32[4] elements 4 graph 0\n"
    "slot 1 temp \"a\" f32[4] elements 4 graph 0 life 0 %d\n"
    "slot 2 temp \"b\" f32[2, 2] elements 4 graph 0 life %d 2 alias 1\n"
    "slot 3 output \"y\" f32[4] elements 4 graph 0%s\n"
    "code 0 cpu \"k\" size 0 workspace 0\n"
    "graph \"g\" { launch 0 (0, write 1) launch 0 (1%s) launch 0 (write 2%s) }\n";

static void sharing(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  const char *both = "plan: graph 'g': slots 1 and 2 share storage and are both alive at step ";
  assert_string_equal(verdict(arena, sn_arena_printf(arena, shared, 1, 2, "", "", "")), "");
  assert_string_equal(verdict(arena, sn_arena_printf(arena, shared, 2, 2, "", "", ", 1")),
                      sn_arena_printf(arena, "%s2", both));
  assert_string_equal(verdict(arena, sn_arena_printf(arena, shared, 1, 1, "", ", write 2", "")),
                      sn_arena_printf(arena, "%s1", both));
  /* an output that stands for a temporary keeps it alive */
  assert_string_equal(verdict(arena, sn_arena_printf(arena, shared, 1, 2, " alias 2", "", "")), "");
  assert_string_equal(verdict(arena, sn_arena_printf(arena, shared, 1, 2, " alias 1", "", "")),
                      sn_arena_printf(arena, "%s2", both));
  sn_arena_destroy(arena);
}

static void look_up(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_plan *p = NULL;
  assert_int_equal(sn_plan_parse(arena, NULL, "t", base, sizeof base - 1, &p), SN_OK);
  assert_int_equal(sn_plan_find_graph(p, "h"), 1);
  assert_int_equal(sn_plan_find_graph(p, "none"), -1);
  assert_int_equal(sn_plan_find_slot(p, 0, "x"), 0);
  assert_int_equal(sn_plan_find_slot(p, 1, "x"), -1);
  assert_int_equal(sn_plan_find_slot(p, 1, "w"), 1);
  assert_int_equal(sn_plan_find_slot(p, -1, "w"), 1);
  sn_arena_destroy(arena);
}

static void hash_text(sn_arena *arena, const char *text, uint64_t out[2]) {
  sn_plan *p = NULL;
  assert_int_equal(sn_plan_parse(arena, NULL, "t", text, strlen(text), &p), SN_OK);
  assert_int_equal(sn_plan_hash(p, out), SN_OK);
}

/* What decides results changes the identity, what reports and storage are made of does not. */
static void identity(void **state) {
  (void)state;
  static const char *const same[][2] = {{"grid0 B", "grid0 B kind \"map\" where \"h\" flops B"},
                                        {"\"cpu\" dims", "\"x\" dims"},
                                        {"\"a\"", "\"other\""},
                                        {"life 0 1", "life 0 2"},
                                        {" host", " host refused \"a\" \"b\""}};
  static const char *const other[][2] = {
      {"\"0102\"", "\"0103\""}, {"grid0 B", "grid0 B + 1"}, {"frozen", "init fill 1 frozen"},
      {"copy 1 to 9", ""},      {"\"w\"", "\"v\""},         {"1..8", "1..9"}};
  sn_arena *arena = sn_arena_create();
  uint64_t reference[2], h[2];
  hash_text(arena, base, reference);
  assert_true(reference[0] != 0 && reference[0] != reference[1]);
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    hash_text(arena, changed(arena, same[i][0], same[i][1]), h);
    assert_memory_equal(h, reference, sizeof h);
  }
  for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
    hash_text(arena, changed(arena, other[i][0], other[i][1]), h);
    assert_true(h[0] != reference[0] && h[1] != reference[1]);
  }
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(base_is_good), cmocka_unit_test(refused),  cmocka_unit_test(sharing),
      cmocka_unit_test(look_up),      cmocka_unit_test(identity),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
