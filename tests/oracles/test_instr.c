/* Instructions by examples and laws; facts by what they say. */
#include "tests/oracles/harness.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/facts.h"
#include "tests/oracles/instr.h"
#include "tests/oracles/stats.h"

static void examples_are_graded(void **state) {
  (void)state;
  static const char *const right[][3] = {
      {"copy", "abca", "abca"},
      {"reverse", "abcd", "dcba"},
      {"sort", "hadab", "aabdh"},
      {"upper", "abh", "ABH"},
      {"shift 3", "afgh", "dabc"},
      {"last", "abc", "c"},
      {"count", "abcabcabca", "10"},
      {"drop c", "abcc", "ab"},
      {"drop a", "aaa", ""},
      {"count then reverse", "aaaaaaaaaaaa", "21"},
      {"reverse", "09", "90"},
      {"upper then shift 1", "h", "A"},
      {"upper then drop b then last", "ab", "A"},
      {"last", "", ""},
      {"sort then upper", "ba", "AB"},
  };
  for (size_t k = 0; k < sizeof right / sizeof *right; k++) {
    if (!instr_grade(right[k][0], right[k][1], right[k][2])) fail_msg("%s", right[k][0]);
    assert_false(instr_grade(right[k][0], right[k][1], "x"));
  }
  static const char *const none[] = {
      "", "copyy", "copy then", "shift", "shift 4", "drop", "drop z", "copy then copy then copy then copy", "Copy"};
  for (size_t k = 0; k < sizeof none / sizeof *none; k++) assert_false(instr_grade(none[k], "a", "a"));
  assert_false(instr_grade("copy", "i", "i") || instr_grade("copy", "I", "I") || instr_grade("copy", "xyz", "xyz"));
  assert_false(instr_grade("copy", "aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa"));
}

/* Words and numbers go both ways; what follows acts on what came out before. */
static void instructions_compose(void **state) {
  (void)state;
  assert_int_equal(instr_many(1), 17);
  assert_int_equal(instr_many(3), 17 * 17 * 17);
  for (int number = 0; number < instr_many(3); number++) {
    instr i = instr_number(3, number), back;
    char text[INSTR_TEXT], all[INSTR_INPUT], steps[INSTR_INPUT] = "cabhga";
    instr_write(&i, text);
    assert_true(instr_read(text, &back));
    assert_memory_equal(&i, &back, sizeof i);
    assert_true(instr_run(&i, steps, all));
    for (int k = 0; k < 3; k++) {
      instr one = {.depth = 1, .op = {i.op[k]}};
      char next[INSTR_INPUT];
      assert_true(instr_run(&one, steps, next));
      strcpy(steps, next);
    }
    assert_string_equal(all, steps);
  }
}

static void samples_are_instructions(void **state) {
  (void)state;
  double count[17] = {0}, p[17];
  for (int k = 0; k < 17; k++) p[k] = 1 / 17.0;
  for (int i = 0; i < 5000; i++) {
    char input[INSTR_INPUT], output[INSTR_INPUT];
    instr sample = instr_sample(1, (uint64_t)i, 2, 6, input);
    assert_true(strlen(input) >= 1 && strlen(input) <= 6 && instr_run(&sample, input, output));
    for (int k = 0; k < 17; k++) {
      instr one = instr_number(1, k);
      count[k] += memcmp(&one.op[0], &sample.op[1], sizeof one.op[0]) == 0;
    }
  }
  assert_true(stats_fit_p(17, count, p) > 1e-4);
}

static void facts_are_what_is_written(void **state) {
  (void)state;
  facts f = {.entities = 6, .relations = 3, .values = 5};
  double count[5] = {0}, pair[25] = {0}, p[25];
  for (int k = 0; k < 25; k++) p[k] = k < 5 ? 0.2 : 0;
  int changes = 0;
  for (uint64_t table = 0; table < 300; table++) {
    int tokens[54], question[2], other[3], seen[18] = {0};
    facts_write(&f, 1, table, tokens);
    int answer = facts_ask(&f, 1, table, 7, question), swapped = facts_counterfactual(&f, 1, table, 7, other),
        found = -1;
    for (int i = 0; i < 54; i += 3) {
      int e = tokens[i], r = tokens[i + 1] - 6, v = tokens[i + 2] - 9;
      assert_int_equal(facts_value(&f, 1, table, e, r), v);
      assert_int_equal(seen[e * 3 + r]++, 0);
      count[v]++;
      if (e == question[0] && r + 6 == question[1]) found = tokens[i + 2];
    }
    assert_int_equal(answer, found);
    assert_true(other[0] == question[0] && other[1] == question[1] && swapped == other[2] && swapped != answer);
    changes |= 1 << (swapped - answer + 5) % 5;
    pair[facts_value(&f, 1, table, 2, 1) * 5 + facts_value(&f, 1, table + 1, 2, 1)]++;
  }
  assert_int_equal(changes, 30); /* any other value */
  assert_true(stats_fit_p(5, count, p) > 1e-4);
  for (int k = 0; k < 25; k++) p[k] = 0.04;
  assert_true(stats_fit_p(25, pair, p) > 1e-4); /* tables know nothing of each other */
  assert_int_equal(facts_symbols(&f), 14);
  assert_near(facts_bits(&f), 18 * log(5) / log(2), 1e-12);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(examples_are_graded),
      cmocka_unit_test(instructions_compose),
      cmocka_unit_test(samples_are_instructions),
      cmocka_unit_test(facts_are_what_is_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
