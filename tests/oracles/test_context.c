/* Learning in context: posteriors by their definition, accuracies by samples and by hand; orders of prediction. */
#include "tests/oracles/harness.h"

#include <math.h>

#include "tests/oracles/context.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/orders.h"
#include "tests/oracles/stats.h"

/* Two tasks on two inputs that agree on one of them. */
static void accuracies_by_hand(void **state) {
  (void)state;
  context c = {.tasks = 2, .inputs = 2, .answers = 2, .noise = 0, .map = {{0, 0}, {0, 1}}};
  assert_near(context_accuracy(&c, 0), 0.75, 1e-15);
  assert_near(context_accuracy(&c, 1), 0.5 + 0.5 * 0.75, 1e-15); /* half of the time the task is known */
  assert_near(context_accuracy(&c, 3), 1 - 0.125 * 0.25, 1e-15);
  double p[2];
  context_posterior(&c, 2, (int[]){0, 2, 1, 3}, p);
  assert_true(p[0] == 0 && p[1] == 1);
  context_posterior(&c, 1, (int[]){0, 3}, p); /* no task says that */
  assert_true(p[0] == 0.5 && p[1] == 0.5);
  context_answer(&c, 1, (int[]){0, 2}, 1, p);
  assert_true(p[0] == 0.5 && p[1] == 0.5);
}

/* Over all demonstrations, with the task drawn first. */
static void accuracies_are_sums(void **state) {
  (void)state;
  context c = context_make(1, 5, 3, 3, 0.15);
  double last = 0;
  for (int shots = 0; shots <= 2; shots++) {
    int many = shots == 0 ? 1 : shots == 1 ? 9 : 81;
    double sum = 0;
    for (int k = 0; k < many; k++) {
      int pairs[4] = {k % 3, 3 + k / 3 % 3, k / 9 % 3, 3 + k / 27};
      for (int x = 0; x < 3; x++) {
        double p[3] = {0}, best = 0;
        for (int task = 0; task < 5; task++) {
          double w = 0.2 / 3;
          for (int i = 0; i < shots; i++) w *= (c.map[task][pairs[2 * i]] == pairs[2 * i + 1] - 3 ? 0.85 : 0.075) / 3;
          for (int y = 0; y < 3; y++) p[y] += w * (c.map[task][x] == y ? 0.85 : 0.075);
        }
        for (int y = 0; y < 3; y++) best = fmax(best, p[y]);
        sum += best;
      }
    }
    assert_near(context_accuracy(&c, shots), sum, 1e-14);
    assert_true(sum >= last - 1e-12);
    last = sum;
  }
}

static void samples_reach_the_accuracy(void **state) {
  (void)state;
  enum { MANY = 20000 };
  context c = context_make(2, 12, 4, 3, 0.1);
  double right = 0, misled = 0;
  for (int i = 0; i < MANY; i++) {
    int tokens[8], kept;
    double p[CONTEXT_ANSWERS];
    context_sample(&c, 1, (uint64_t)i, 4, tokens);
    for (int round = 0; round < 2; round++) {
      context_answer(&c, 3, tokens, tokens[6], p);
      int best = 0;
      for (int y = 1; y < 3; y++) best = p[y] > p[best] ? y : best;
      *(round ? &misled : &right) += best == tokens[7] - 4;
      kept = tokens[1], tokens[1] = tokens[3], tokens[3] = tokens[5],
      tokens[5] = kept; /* labels of other demonstrations */
    }
  }
  assert_true(fabs(stats_binomial_z(right, MANY, context_accuracy(&c, 3))) < 4.5);
  assert_true(misled < 0.9 * right);
}

/* Figure B7.3 (c): the order x0, x4, x2, x1, x3. */
static void orders_make_masks(void **state) {
  (void)state;
  int z[5] = {0, 4, 2, 1, 3}, rank[5];
  static const char *query[5] = {".....", "x.x.x", "x...x", "xxx.x", "x...."};
  orders_rank(5, z, 5, rank);
  for (int i = 0; i < 5; i++) {
    for (int j = 0; j < 5; j++) {
      assert_int_equal(orders_query_sees(rank, i, j), query[i][j] == 'x');
      assert_int_equal(orders_content_sees(rank, i, j), query[i][j] == 'x' || i == j);
    }
  }
  orders_rank(5, z, 2, rank); /* 1 and 3 are predicted */
  for (int i = 0; i < 5; i++) assert_int_equal(rank[i], i == 1 ? 0 : i == 3 ? 1 : -1);
  assert_false(orders_content_sees(rank, 0, 1) ||
               orders_query_sees(rank, 0, 3)); /* what is not predicted sees no target */
  assert_true(orders_query_sees(rank, 1, 4) && !orders_query_sees(rank, 1, 3) && orders_query_sees(rank, 3, 1));
}

static void twins_are_equal_and_uniform(void **state) {
  (void)state;
  double count[5] = {0}, p[5] = {0.2, 0.2, 0.2, 0.2, 0.2};
  for (int i = 0; i < 5000; i++) {
    int x[6];
    orders_twins_sample(1, (uint64_t)i, 5, 6, 1, 4, x);
    assert_int_equal(x[1], x[4]);
    count[x[1]]++;
  }
  assert_true(stats_fit_p(5, count, p) > 1e-4);
  double at_once = 0, in_turn = 0; /* -log of the best laws, over the pairs that come up */
  for (int a = 0; a < 5; a++) at_once -= 0.2 * (log(p[a]) + log(p[a])), in_turn -= 0.2 * (log(p[a]) + log(1));
  assert_near(orders_twins_loss(5, true), at_once, 1e-14);
  assert_near(orders_twins_loss(5, false), in_turn, 1e-14);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(accuracies_by_hand),          cmocka_unit_test(accuracies_are_sums),
      cmocka_unit_test(samples_reach_the_accuracy),  cmocka_unit_test(orders_make_masks),
      cmocka_unit_test(twins_are_equal_and_uniform),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
