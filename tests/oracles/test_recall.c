/* D4 against answers found by reading the text. */
#include "tests/oracles/harness.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/recall.h"

enum { LONG = 256, SAMPLES = 2000 };

/* What stands behind the last `key` before t, at even places below `end`. */
static int read_value(const int *tokens, int end, int key) {
  for (int i = end - 2; i >= 0; i -= 2) {
    if (tokens[i] == key) return tokens[i + 1];
  }
  return -1;
}

static void check_recall(const recall *r) {
  int tokens[LONG], answers[LONG], count[64] = {0}, asked = 0, early = 0;
  int end = 2 * r->pairs * (r->overwrite ? 2 : 1), room = r->length - end;
  for (int i = 0; i < SAMPLES; i++) {
    recall_sample(r, 3, (uint64_t)i, tokens, answers);
    int here = 0;
    for (int t = 0; t < r->length; t++) {
      assert_true(tokens[t] >= 0 && tokens[t] < recall_symbols(r));
      if (answers[t] < 0) {
        assert_true(t < end || tokens[t] == 0);
        continue;
      }
      assert_true(t >= end);
      assert_int_equal(1 + r->keys + answers[t], read_value(tokens, end, tokens[t]));
      count[answers[t]]++, here++;
      early += t - end < room / 2;
    }
    assert_int_equal(here, r->pairs);
    asked += here;
  }
  for (int v = 0; v < r->values; v++) { /* chance is 1 / values */
    double p = 1.0 / r->values;
    assert_near(count[v], asked * p, 4.5 * sqrt(asked * p * (1 - p)));
  }
  if (room > 2 * r->pairs) assert_true(early > 0.6 * asked); /* a power law */
}

static void recall_reads_its_answers(void **state) {
  (void)state;
  check_recall(&(recall){.pairs = 4, .keys = 8, .values = 8, .length = 64});
  check_recall(&(recall){.pairs = 16, .keys = 16, .values = 4, .length = 128});
  check_recall(&(recall){.pairs = 4, .keys = 8, .values = 8, .length = 64, .overwrite = true});
  check_recall(&(recall){.pairs = 4, .keys = 4, .values = 2, .length = 20, .overwrite = true}); /* the shortest */
}

/* Both values of a key are alike to who does not know the order: the first is as often below as above the last. */
static void overwriting_hides_the_order(void **state) {
  (void)state;
  recall r = {.pairs = 3, .keys = 6, .values = 5, .length = 15, .overwrite = true};
  assert_int_equal(recall_shortest(&r), 15);
  assert_int_equal(recall_symbols(&r), 12);
  int tokens[LONG], answers[LONG], below = 0;
  for (int i = 0; i < SAMPLES; i++) {
    recall_sample(&r, 1, (uint64_t)i, tokens, answers);
    for (int t = 12; t < 15; t++) {
      int value[2], n = 0;
      for (int k = 0; k < 12; k += 2) {
        if (tokens[k] == tokens[t]) value[n++] = tokens[k + 1];
      }
      assert_int_equal(n, 2);
      assert_true(value[0] != value[1]);
      below += value[0] < value[1];
    }
  }
  assert_near(below, SAMPLES * 1.5, 4.5 * sqrt(SAMPLES * 0.75));
}

static void induction_reads_its_answer(void **state) {
  (void)state;
  int tokens[LONG], answers[LONG], places[18] = {0};
  for (int i = 0; i < SAMPLES; i++) {
    induction_sample(5, (uint64_t)i, 6, 20, tokens, answers);
    int at = 0;
    while (tokens[at] != 0) at++;
    for (int t = 0; t < 19; t++) assert_true(answers[t] == -1 && (t == at || tokens[t] > 0));
    assert_int_equal(tokens[19], 0);
    assert_int_equal(answers[19], tokens[at + 1]);
    assert_true(at < 18);
    places[at]++;
  }
  for (int t = 0; t < 18; t++) assert_near(places[t], SAMPLES / 18.0, 4.5 * sqrt(SAMPLES / 18.0));
}

static void passkeys_read_their_answers(void **state) {
  (void)state;
  passkey any = {.digits = 3, .values = 5, .filler = 4, .length = 40, .depth = -1};
  passkey first = {.digits = 1, .values = 2, .filler = 1, .length = 40, .depth = 0};
  int tokens[LONG], answers[LONG], ones = 0, spread = 0;
  for (int i = 0; i < SAMPLES; i++) {
    passkey_sample(&any, 5, (uint64_t)i, tokens, answers);
    int at = 0;
    while (tokens[at] != 1) at++;
    spread += at < 17;
    for (int t = 0; t < 40; t++) {
      assert_true(tokens[t] >= 0 && tokens[t] < passkey_symbols(&any));
      assert_int_equal(answers[t], t < 37 ? -1 : tokens[at + 1 + t - 37] - 2);
      assert_int_equal(tokens[t] == 0, t >= 37);
    }
    passkey_sample(&first, 5, (uint64_t)i, tokens, answers);
    assert_true(tokens[0] == 1 && answers[39] == tokens[1] - 2);
    ones += answers[39];
  }
  assert_near(spread, SAMPLES * 17.0 / 34, 4.5 * sqrt(SAMPLES / 4.0));
  assert_near(ones, SAMPLES / 2.0, 4.5 * sqrt(SAMPLES / 4.0));
}

static void samples_are_functions_of_seed_and_index(void **state) {
  (void)state;
  recall r = {.pairs = 8, .keys = 16, .values = 16, .length = 64};
  int tokens[64], again[64], answers[64];
  recall_sample(&r, 1, 5, tokens, answers);
  recall_sample(&r, 1, 6, again, answers);
  assert_true(memcmp(tokens, again, sizeof again) != 0);
  recall_sample(&r, 2, 5, again, answers);
  assert_true(memcmp(tokens, again, sizeof again) != 0);
  recall_sample(&r, 1, 5, again, answers);
  assert_memory_equal(tokens, again, sizeof again);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(recall_reads_its_answers),
      cmocka_unit_test(overwriting_hides_the_order),
      cmocka_unit_test(induction_reads_its_answer),
      cmocka_unit_test(passkeys_read_their_answers),
      cmocka_unit_test(samples_are_functions_of_seed_and_index),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
