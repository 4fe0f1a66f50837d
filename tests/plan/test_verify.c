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

/* "": good; else line, message, what was expected and found. */
static const char *verdict(sn_arena *arena, const char *text) {
  sn_diags *diags = sn_diags_create();
  sn_plan *p = NULL;
  sn_code code = sn_plan_parse(arena, diags, "t", text, strlen(text), &p);
  if (!code) code = sn_plan_check_hazards(p, diags);
  const char *message = "";
  if (code) {
    const sn_diag *x = &diags->at[0];
    assert_int_equal(code, SN_ERR_INPUT);
    assert_string_equal(x->loc.file, "t");
    message = sn_arena_printf(arena, "%d: %s, expected %s, found %s", x->loc.line,
                              x->message + (strncmp(x->message, "plan: ", 6) ? 0 : 6), x->expected ? x->expected : "?",
                              x->found ? x->found : "?");
  }
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
      {"elements B graph 0\n", "elements 1 graph 0\n",
       "2: slot 0 holds fewer elements than its type, expected at least 8, found 1"},
      {"f32[B] elements B graph 0\n", "f32[B - 9] elements B graph 0\n",
       "2: slot 0 has a negative extent, expected 0 or more, found B - 9"},
      {"frozen", "graph 0", "3: slot 1 is persistent, expected no graph: all share it, found graph 0"},
      {"f32[B] elements B frozen", "f32[B]", "3: slot 1 has no element count, expected elements N, found none"},
      {"x\" f32[B] elements B graph 0", "x\" f32[B] elements B graph 7",
       "2: slot 0 is of a graph that is not there, expected 0 to 1, found 7"},
      {"graph 0 life 0 1", "life 0 1", "6: slot 4 is temporary, expected graph N, found no graph"},
      {"life 0 1", "life 0 7", "6: the life of slot 4, expected steps of its graph: 0 to 6, found life 0 7"},
      {"life 2 2 alias 4", "life 2 2 alias 9",
       "7: slot 5 shares storage with slot 9 of another graph, expected graph 0, found graph 1"},
      {"life 2 2 alias 4", "life 2 2 alias 5",
       "7: the aliases of slot 5, expected a slot with storage of its own at the end, found a cycle"},
      {"life 2 2 alias 4", "life 2 2 alias 6",
       "7: slot 5 needs more storage than slot 6 has, expected at least 4 bytes, found 1"},
      {"life 2 2 alias 4", "life 2 2 alias 55", "7: slot 5 shares the storage of no slot, expected 0 to 9, found 55"},
      {"buddy 3", "buddy 1", "4: the buddy of slot 2, expected another state of the same elements, found slot 1"},
      {"\"s2\"", "\"s\"", "5: two slots have one name, expected a name of its own, found s"},
      {"\"y\"", "\"x\"", "9: two slots have one name, expected a name of its own, found x"},
      {"\"h\"", "\"g\"", "23: two graphs have one name, expected a name of its own, found g"},
      {"entry 0", "entry 2", "12: the entry of code 0 is outside of it, expected 0 to 1, found 2"},
      {"workspace 0", "workspace -1", "12: the workspace of code 0, expected 0 to 1099511627776, found -1"},
      {"launch 0 (4,", "launch 1 (4,", "16: graph 'g', step 1: no such code, expected 0 to 0, found 1"},
      {"launch 0 (4,", "launch 0 (99,",
       "16: graph 'g', step 1: a slot that this graph does not have, expected 0 to 9, found 99"},
      {"launch 0 (4,", "launch 0 (9,",
       "16: graph 'g', step 1: a slot that this graph does not have, expected one of graph 0 or of all, found slot 9: "
       "temp \"z\" of graph 1"},
      {"launch 0 (4,", "launch 0 (5,",
       "16: graph 'g', step 1: a temporary outside of its life, expected steps 2 to 2, its life, found step 1"},
      {"size 0)", "size 1)", "15: graph 'g', step 0: no such size, expected 0 to 0, found 1"},
      {"(0, write 4", "(write 0, write 4",
       "15: graph 'g', step 0: writes what must not be written, expected an output, state, temp or param that is not "
       "frozen, found slot 0: input \"x\" of graph 0"},
      {"(0, write 4", "(write 1, write 4",
       "15: graph 'g', step 0: writes what must not be written, expected an output, state, temp or param that is not "
       "frozen, found slot 1: frozen param \"w\" of all graphs"},
      {"(0, write 4", "(write 8, write 4",
       "15: graph 'g', step 0: writes what must not be written, expected an output, state, temp or param that is not "
       "frozen, found slot 8: packed \"p\" of all graphs"},
      {"(1, write 8)", "(write 1, write 8)",
       "13: prepare step 0: writes what must not be written, expected a packed slot, found slot 1: frozen param \"w\" "
       "of all graphs"},
      {"(1, write 8)", "(1, write 4)",
       "13: prepare step 0: a slot that this graph does not have, expected one of all graphs, found slot 4: temp \"a\" "
       "of graph 0"},
      {"prepare { ", "prepare { host ",
       "13: prepare step 0: not a step that prepares, expected launch or copy, found host"},
      {"check 6", "check 0", "18: graph 'g', step 3: checks a slot that is not bool, expected bool, found f32[B]"},
      {"swap 2 to 3", "swap 2 to 2",
       "21: graph 'g', step 6: slots of different storage, expected two slots of one element type and count, found one "
       "slot"},
      {"swap 2 to 3", "swap 2 to 7",
       "21: graph 'g', step 6: swaps others than states, expected two states of one type, found slot 2: state \"s\" of "
       "all graphs and slot 7: output \"y\" of graph 0"},
      /* hazards */
      {"life 2 2 alias 4", "life 1 2 alias 4", ""},
      {"launch 0 (4, write 6)", "launch 0 (4, write 5)",
       "16: graph 'g', step 1: a temporary outside of its life, expected steps 2 to 2, its life, found step 1"},
      {"launch 0 (0, write 5,", "launch 0 (0, write 2,",
       "17: graph 'g': step 2 writes 's' before the check at step 3, expected what outlives the run is written after "
       "the last check, found slot 2, \"s\""},
      {"(0, write 4, size 0)", "(0, size 0)",
       "16: 'g': step 1 reads what no step has written, expected a step before it that writes it, found slot 4, \"a\""},
      {"(1, write 8)", "(1, 1)",
       "19: 'g': step 4 reads what no step has written, expected a prepare step that writes it, found slot 8, \"p\""},
      {", write 7)", ")",
       "20: 'g': step 5 reads what no step has written, expected a step before it that writes it, found slot 7, \"y\""},
      {"launch 0 (0, 8, write 7)\n  copy 7 to 2", "launch 0 (0, 8)\n  copy 2 to 3",
       "9: an output that no step writes, expected a step that writes it, found slot 7, \"y\""},
      /* text */
      {"\"k\"", "17", "12: unexpected token, expected a string, found 17"},
      {"code 0 cpu", "code 1 cpu", "12: they are numbered in order, expected 0, found 1"},
      {"slot 1 param", "slot 1 weight",
       "3: unexpected token, expected input, output, param, state, temp, packed, found weight"},
      {"plan 1", "plan 2", "1: plan text of another version, expected 1, found 2"},
      {"swap 2 to 3", "swop 2 to 3",
       "21: unexpected token, expected launch, copy, check, swap, host, choose, while, found swop"},
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
    "graph \"g\" {\n launch 0 (0, write 1)\n launch 0 (1%s)\n launch 0 (write 2%s) }\n";

static void sharing(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  static const char both[] =
      "%d: graph 'g': slots 1 and 2 share storage and are both alive at step %d, expected one of them at a time, found "
      "slot 1 from step 0 to %d, slot 2 from step %d to %d";
  assert_string_equal(verdict(arena, sn_arena_printf(arena, shared, 1, 2, "", "", ", write 3")), "");
  assert_string_equal(verdict(arena, sn_arena_printf(arena, shared, 2, 2, "", "", ", 1, write 3")),
                      sn_arena_printf(arena, both, 10, 2, 2, 2, 2));
  assert_string_equal(verdict(arena, sn_arena_printf(arena, shared, 1, 1, "", ", write 2", ", write 3")),
                      sn_arena_printf(arena, both, 9, 1, 1, 1, 2));
  /* an output that stands for a temporary keeps it alive */
  assert_string_equal(verdict(arena, sn_arena_printf(arena, shared, 1, 2, " alias 2", "", "")), "");
  assert_string_equal(verdict(arena, sn_arena_printf(arena, shared, 1, 2, " alias 1", "", "")),
                      sn_arena_printf(arena, both, 10, 2, 3, 2, 2));
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
