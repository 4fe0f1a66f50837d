/* D7: numbers of texts, laws, and the optimum against what no law can beat. */
#include "tests/oracles/harness.h"

#include <math.h>

#include "tests/oracles/draws.h"
#include "tests/oracles/stats.h"
#include "tests/oracles/world.h"

static void texts_have_numbers(void **state) {
  (void)state;
  for (int symbols = 2; symbols <= WORLD_SYMBOLS; symbols++) {
    for (int length = 1; length <= WORLD_LENGTH; length++) {
      world w = {1, symbols, length};
      int tokens[WORLD_LENGTH], ended = 0;
      assert_true(world_prefixes(&w) <= WORLD_PREFIXES && world_responses(&w) <= WORLD_RESPONSES);
      for (int k = 0; k < world_responses(&w); k++) {
        int n = world_response(&w, k, tokens);
        assert_int_equal(world_number(&w, n, tokens), k);
        for (int i = 0; i < n - 1; i++) assert_true(tokens[i] > 0 && tokens[i] < symbols);
        assert_true(n == length || tokens[n - 1] == WORLD_END);
        ended += tokens[n - 1] == WORLD_END;
      }
      assert_int_equal(ended, world_prefixes(&w));
    }
  }
}

static void laws_are_products(void **state) {
  (void)state;
  world w = {2, 3, 3};
  world_table policy, other;
  double law[WORLD_RESPONSES], sum = 0;
  world_policy(&w, 1, 0, 1.5, policy);
  world_policy(&w, 1, 1, 1.5, other);
  assert_true(policy[0][0] != other[0][0]);
  world_law(&w, policy, law);
  for (int k = 0; k < world_responses(&w); k++) sum += law[k];
  assert_near(sum, 1, 1e-14);
  int text[] = {2, 1, 0};
  double p = policy[0][2] * policy[2][1] * policy[5][0]; /* prefixes: none; 1, 2; 11, 12, 21, 22 */
  assert_near(law[world_number(&w, 3, text)], p, 1e-15);
  assert_near(world_log_probability(&w, policy, 3, text), log(p), 1e-13);
}

static void nothing_beats_the_optimum(void **state) {
  (void)state;
  world w = {1, 4, 3};
  world_table policy;
  double reference[WORLD_RESPONSES], reward[WORLD_RESPONSES], best[WORLD_RESPONSES], law[WORLD_RESPONSES], sum = 0;
  int n = world_responses(&w);
  world_policy(&w, 3, 0, 1, policy);
  world_law(&w, policy, reference);
  world_reward(&w, 3, 0, reward);
  double top = world_optimum(n, reference, reward, 0.2, best);
  for (int k = 0; k < n; k++) sum += best[k];
  assert_near(sum, 1, 1e-14);
  assert_near(world_objective(n, best, reference, reward, 0.2), top, 1e-13);
  draws d = draws_of(1, 1, 1);
  for (int round = 0; round < 200; round++) { /* J(law) = J(best) - beta KL(law || best) */
    draws_dirichlet(&d, n, 0.5, law);
    for (int k = 0; k < n; k++) law[k] = 0.9 * best[k] + 0.1 * law[k];
    double below = top - world_objective(n, law, reference, reward, 0.2);
    assert_near(below, 0.2 * stats_kl(n, law, best), 1e-12);
    assert_true(below > 0);
  }
}

/* Against differences of J along random directions of the logits of a softmax over responses. */
static void gradients_are_differences(void **state) {
  (void)state;
  world w = {1, 3, 3};
  double z[WORLD_RESPONSES], way[WORLD_RESPONSES], law[WORLD_RESPONSES], reference[WORLD_RESPONSES],
      reward[WORLD_RESPONSES];
  double factor[WORLD_RESPONSES], j[2];
  int n = world_responses(&w);
  draws d = draws_of(2, 1, 1);
  world_reward(&w, 3, 0, reward);
  draws_dirichlet(&d, n, 2, reference);
  for (int round = 0; round < 20; round++) {
    for (int k = 0; k < n; k++) z[k] = draws_normal(&d), way[k] = draws_normal(&d);
    for (int side = -1; side <= 1; side++) {
      double sum = 0;
      for (int k = 0; k < n; k++) sum += law[k] = exp(z[k] + side * 1e-5 * way[k]);
      for (int k = 0; k < n; k++) law[k] /= sum;
      if (side)
        j[side > 0] = world_objective(n, law, reference, reward, 0.3);
      else
        world_gradient(n, law, reference, reward, 0.3, factor);
    }
    double along = 0; /* d log p_k = way_k - a sum that the factors ignore: they sum to 0 */
    for (int k = 0; k < n; k++) along += factor[k] * way[k];
    assert_near(along, (j[1] - j[0]) / 2e-5, 1e-8);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(texts_have_numbers),
      cmocka_unit_test(laws_are_products),
      cmocka_unit_test(nothing_beats_the_optimum),
      cmocka_unit_test(gradients_are_differences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
