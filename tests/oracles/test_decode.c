/* Laws of sampling by their definitions, and search in the listed world. */
#include "tests/oracles/harness.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/decode.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/stats.h"
#include "tests/oracles/world.h"

/* The definition, over all sets of tokens: the smallest one that reaches the mass and has no token left out that is
 * better. */
static void check_truncation(int n, const double *logits, double temperature, int top, double mass) {
  double p[8], q[8], out[8], sum = 0, head = 0;
  int chosen = -1, least = n + 1;
  for (int i = 0; i < n; i++) sum += p[i] = exp(logits[i] / temperature);
  for (int i = 0; i < n; i++) {
    int better = 0;
    for (int k = 0; k < n; k++) better += logits[k] > logits[i] || (logits[k] == logits[i] && k < i);
    q[i] = top > 0 && better >= top ? 0 : p[i] / sum;
    head += q[i];
  }
  for (int set = 1; set < 1 << n; set++) {
    double in = 0;
    int many = 0, fits = 1;
    for (int i = 0; i < n; i++) {
      if (!(set >> i & 1)) continue;
      in += q[i], many++;
      for (int k = 0; k < n; k++) fits &= set >> k & 1 || q[k] < q[i] || (q[k] == q[i] && k > i);
    }
    if (fits && in > 0 && many < least && (in >= mass * head * (1 - 1e-15) || many == n)) chosen = set, least = many;
  }
  decode_truncate(n, logits, temperature, top, mass, out);
  double kept = 0;
  for (int i = 0; i < n; i++) kept += chosen >> i & 1 ? q[i] : 0;
  for (int i = 0; i < n; i++) assert_near(out[i], chosen >> i & 1 ? q[i] / kept : 0, 1e-13);
}

static void truncation_is_its_definition(void **state) {
  (void)state;
  const double ties[6] = {1, 2, 1, 2, 0, 2};
  draws d = draws_of(1, 1, 1);
  for (int round = 0; round < 60; round++) {
    double logits[6];
    for (int i = 0; i < 6; i++) logits[i] = round % 3 ? 2 * draws_normal(&d) : ties[i];
    for (int top = 0; top <= 6; top++) {
      check_truncation(6, logits, 0.7, top, 1);
      check_truncation(6, logits, 1.3, top, 0.55);
      check_truncation(6, logits, 1, top, 1e-9);
    }
  }
  double out[6];
  decode_truncate(6, ties, 1, 2, 1, out); /* of three equals the lower two */
  assert_true(out[1] == 0.5 && out[3] == 0.5);
  assert_int_equal(decode_greedy(6, ties), 1);
}

static void speculation_keeps_the_target(void **state) {
  (void)state;
  draws d = draws_of(2, 1, 1);
  for (int round = 0; round < 100; round++) {
    double target[7], draft[7], out[7];
    draws_dirichlet(&d, 7, 0.5, target);
    draws_dirichlet(&d, 7, 0.5, draft);
    if (round % 4 == 0) memcpy(draft, target, sizeof draft);
    if (round % 5 == 0) {
      for (int i = 0; i < 7; i++) draft[i] = i < 2 ? 0.5 : 0;
    }
    double accepted = decode_speculate(7, target, draft, out);
    for (int i = 0; i < 7; i++) assert_near(out[i], target[i], 1e-13);
    assert_near(accepted, 1 - stats_tv(7, target, draft), 1e-13);
  }
}

typedef struct listed {
  world w;
  world_table policy;
} listed;

static void next_of_world(const void *user, int n, const int *prefix, double *out) {
  const listed *l = user;
  for (int x = 0; x < l->w.symbols; x++) out[x] = log(l->policy[world_prefix(&l->w, n, prefix)][x]);
}

static void search_finds_the_best(void **state) {
  (void)state;
  int missed = 0;
  for (uint64_t seed = 0; seed < 40; seed++) {
    listed l = {.w = {1, 4, 4}};
    world_policy(&l.w, seed, 0, 1, l.policy);
    decode_search s = {next_of_world, &l, 4, WORLD_END, 4, 64, seed % 2 ? 0.8 : 0};
    decode_text all = decode_exhaustive(&s), wide = decode_beam(&s);
    double best = -INFINITY;
    int number = -1;
    for (int k = 0; k < world_responses(&l.w); k++) {
      int tokens[WORLD_LENGTH], n = world_response(&l.w, k, tokens);
      double score = world_log_probability(&l.w, l.policy, n, tokens) / pow(n, s.power);
      if (score > best) best = score, number = k;
    }
    assert_int_equal(world_number(&l.w, all.n, all.tokens), number);
    assert_int_equal(world_number(&l.w, wide.n, wide.tokens), number);
    assert_near(all.log_p / pow(all.n, s.power), best, 1e-13);
    s.beams = 1; /* greedy */
    decode_text greedy = decode_beam(&s);
    for (int i = 0; i < greedy.n; i++) {
      double next[4];
      next_of_world(&l, i, greedy.tokens, next);
      assert_int_equal(greedy.tokens[i], decode_greedy(4, next));
    }
    missed += world_number(&l.w, greedy.n, greedy.tokens) != number;
  }
  assert_true(missed > 0); /* else the search shows nothing */
}

/* Two beams, step by step, where the better of two prefixes leads nowhere. */
static void next_of_trap(const void *user, int n, const int *prefix, double *out) {
  (void)user;
  static const double first[3] = {0.5, 0.3, 0.2}, flat[3] = {0.34, 0.33, 0.33}, sure[3] = {0.02, 0.08, 0.9};
  for (int x = 0; x < 3; x++) out[x] = log(n == 0 ? first[x] : prefix[0] == 2 ? sure[x] : flat[x]);
}

static void narrow_beams_are_trapped(void **state) {
  (void)state;
  decode_search s = {next_of_trap, NULL, 3, -1, 2, 1, 0};
  for (s.beams = 1; s.beams <= 3; s.beams++) {
    decode_text t = decode_beam(&s);
    assert_near(exp(t.log_p), s.beams < 3 ? 0.5 * 0.34 : 0.2 * 0.9, 1e-14);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(truncation_is_its_definition),
      cmocka_unit_test(speculation_keeps_the_target),
      cmocka_unit_test(search_finds_the_best),
      cmocka_unit_test(narrow_beams_are_trapped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
