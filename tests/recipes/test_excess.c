/* Losses beside the best ones: means, errors, and what beats the best. */
#include <stdio.h>

#include "ir/base/rng.h"
#include "tests/recipes/kit.h"

/* Tokens at random: nothing is better than log V. Every third is not asked for. */
static void random_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  sn_rng rng = {.seed = seed, .stream = index};
  for (int i = 0; i < B * T; i++) {
    ((int32_t *)port[0])[i] = (int32_t)sn_rng_below(&rng, V);
    ((int32_t *)port[1])[i] = i % 3 || !data ? (int32_t)sn_rng_below(&rng, V) : -1;
  }
}

static void uniform(const void *data, uint64_t seed, uint64_t index, double *loss) {
  (void)data, (void)seed, (void)index;
  for (int i = 0; i < B * T; i++) loss[i] = log(V);
}
static void beaten(const void *data, uint64_t seed, uint64_t index, double *loss) {
  uniform(data, seed, index, loss);
  for (int i = 0; i < B * T; i++) loss[i] += .1;
}

static const feed random_text = {{{"tokens", {B, T}}, {"targets", {B, T}}}, random_fill, NULL};
static const feed partly = {{{"tokens", {B, T}}, {"targets", {B, T}}}, random_fill, &partly};
static const feed never = {{{"tokens", {B, T}}, {"targets", {B, T}}}, text_fill, NULL};

static void measures(recipe *r) {
  net *n = recipe_net(r, &sn_model_gpt, "eval|logits", SMALL);
  excess e = recipe_excess(r, &(against){n, .feed = &random_text, .targets = 1, .best = uniform, .tokens = 640});
  double mean = recipe_mean(n, "eval", "loss", &random_text, 40, NULL);
  assert_int_equal(e.tokens, 640);
  assert_true(fabs(e.model - mean) < 1e-5 && fabs(e.best - log(V)) < 1e-12);
  assert_true(fabs(e.mean - (e.model - e.best)) < 1e-12 && e.error > 0 && e.error < .05);
  assert_true(e.mean / e.error > -3);
  excess leak = recipe_excess(r, &(against){n, .feed = &random_text, .targets = 1, .best = beaten, .tokens = 640});
  assert_true(fabs(leak.error - e.error) < 1e-9 && leak.mean / leak.error < -3);
  excess some = recipe_excess(r, &(against){n, .feed = &partly, .targets = 1, .best = uniform, .tokens = 640});
  assert_true(some.tokens >= 640 && some.tokens % 10 == 0); /* ten of sixteen count */
  recipe_no_leak(r, OPTIMUM, "none", &e);
  recipe_no_leak(r, CONTROL, "one", &leak);
}

/* 95 of 100 may be .85 in the long run, .98 too; 9500 of 10000 are .95 to within a point. */
static void few_shares(recipe *r) { recipe_share(r, TRAINED, "too few to know", 95, 100, .94); }
static void control_shares(recipe *r) { recipe_share(r, CONTROL, "too few to reject", 90, 100, .94); }
static void all_shares(recipe *r) { recipe_share(r, TRAINED, "nothing is sure to be right", 10000, 10000, 1); }
static void no_shares(recipe *r) { recipe_share(r, TRAINED, "none were asked", 0, 0, 0); }
static void odd_shares(recipe *r) { recipe_share_no_leak(r, OPTIMUM, "more than all", 11, 10, 2); }
static void leaking_shares(recipe *r) { recipe_share_no_leak(r, OPTIMUM, "above the best", 9700, 10000, .95); }
static void good_shares(recipe *r) {
  recipe_share(r, TRAINED, "enough to know", 9500, 10000, .94);
  recipe_share(r, CONTROL, "enough to reject", 9000, 10000, .94);
  recipe_share_no_leak(r, OPTIMUM, "the best, by chance a little more", 9520, 10000, .95);
  recipe_share_no_leak(r, CONTROL, "a leak", 9700, 10000, .95);
}

static void shares(void **state) {
  (void)state;
  assert_true(run_well("template", good_shares).pass);
  void (*const bad[])(recipe *r) = {few_shares, control_shares, all_shares, no_shares, odd_shares, leaking_shares};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    recipe_result x = run_well("template", bad[i]);
    assert_true(x.check_count == 1 && !x.pass);
  }
}

/* A name that is not there ends the recipe. */
static void outside(recipe *r) {
  net *n = recipe_net(r, &sn_model_gpt, "logits", SMALL);
  recipe_excess(r, &(against){n, .feed = &never, .targets = 0, .output = "logit", .best = uniform});
}

static void losses(void **state) {
  (void)state;
  assert_true(run_well("template", measures).pass);
}

static void mistakes(void **state) {
  (void)state;
  char error[512];
  run_on("template", outside, error);
  assert_non_null(strstr(error, "graph logits has no output logit"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(losses), cmocka_unit_test(shares), cmocka_unit_test(mistakes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
