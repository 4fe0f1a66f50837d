/* What a net refuses is said and no error of the recipe; outputs on other numbers of threads are the same. */
#include <stdio.h>

#include "tests/recipes/kit.h"

static int refused, ran, same;

static void refuse(recipe *r) {
  int32_t x[B * (T + 1)] = {0};
  float loss;
  net *n = recipe_net_as(r, &sn_model_gpt, (sn_compile_opt){.graphs = "eval", .set = SMALL});
  refused += recipe_refused(r, &sn_model_gpt, (sn_compile_opt){.set = "layer=2"}) != NULL;
  refused +=
      net_refused(n, "eval", {"tokens", x, {B, T + 1}}, {"targets", x, {B, T + 1}}, {"loss", &loss, {0}}) != NULL;
  ran += recipe_refused(r, &sn_model_gpt, (sn_compile_opt){.graphs = "eval", .set = SMALL}) == NULL;
  ran += net_refused(n, "eval", {"tokens", x, {B, T}}, {"targets", x, {B, T}}, {"loss", &loss, {0}}) == NULL;
  int64_t count = 0;
  const double *here = net_output(n, "eval", &text, 0, "loss", &count);
  const double *there = net_output_on(n, 2, "eval", &text, "loss", NULL);
  same = count == 1 && here && there && *here == *there;
  recipe_at_least(r, EXACT, "same", same, 1);
}

static void what_is_refused_is_said(void **state) {
  (void)state;
  assert_true(run_well("template", refuse).pass);
  assert_int_equal(refused, 2);
  assert_int_equal(ran, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_refused_is_said)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
