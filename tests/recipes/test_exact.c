/* Exact checks of recipes: they find what is right to be right, and what is wrong to be wrong. */
#include <stdio.h>

#include "frontend/sinter.h"
#include "models/recipes/inside.h"
#include "tests/recipes/kit.h"

#if SN_HAVE_LLVM
#define KERNELS "cpu"
#else
#define KERNELS "template"
#endif

static void gpt(recipe *r) {
  net *n = recipe_net(r, &sn_model_gpt, "train|eval|logits", SMALL), *other = net_again(n, 7);
  double slope = net_slope_error(n, "eval", "loss", &text), grad = net_gradient_error(n, "eval", "loss", &text);
  double out = net_difference(n, net_exact(n, NULL), "logits", &text, "logits");
  fprintf(stderr, "gradient against differences %.2g, f32 gradient %.2g, f32 outputs %.2g\n", slope, grad, out);
  assert_true(slope > 0 && slope < 1e-6);
  assert_true(grad > 0 && grad < 10 * 2e-5 * 8);
  assert_true(out > 0 && out < 2e-5 * 8);
  assert_true(net_difference(n, n, "logits", &text, "logits") == 0);
  assert_true(net_difference(n, other, "logits", &text, "logits") > .1);
  int64_t count = 0;
  assert_non_null(net_output(n, "logits", &text, 3, "logits", &count));
  assert_int_equal(count, B * T * V);
  assert_int_equal(net_copy(other, net_exact(n, NULL), "*"), 9); /* all, back from f64 */
  assert_true(net_hash(n, "*") == net_hash(other, "*"));
  assert_false(recipe_has_failed(r));
}

/* A gradient that misses what flows through a factor: no derivative of the loss. */
SN_SETTINGS(none, (int, n, 3, "rows"));
static void wrong_loss(sn_scope m, const none *c) {
  sn_t w = sn_param(m, "w", (c->n, 4), .init = sn_normal(1)), x = sn_input(m, "x", SN_REAL, (2, c->n));
  sn_t y = sn_einsum("bn,nd->bd", x, w);
  sn_output(m, "loss", sn_mean(sn_mul(sn_stop(y), y), "bd->"));
  sn_output(m, "right", sn_mean(sn_square(y), "bd->"));
}
SN_MODEL(wrong, none, wrong_loss);

static void x_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  (void)data, (void)seed, (void)index;
  for (int i = 0; i < 6; i++) ((float *)port[0])[i] = (float)(i - 2) / 2;
}

static void wrong_gradient(recipe *r) {
  const feed f = {{{"x", {2, 3}}}, x_fill, NULL};
  net *n = recipe_net(r, &sn_model_wrong, "wrong_loss", "n=3");
  assert_true(net_slope_error(n, "wrong_loss", "loss", &f) > .1);
  assert_true(net_slope_error(n, "wrong_loss", "right", &f) < 1e-9);
}

/* Ten steps are those of the oracle; with another decay they are not. */
static void steps(recipe *r) {
  adam a = {.beta1 = .9, .beta2 = .99, .epsilon = 1e-8, .decay = .1, .corrected = true, .clip = 1}, other = a;
  net *n = recipe_net(r, &sn_model_gpt, "train|eval", SMALL), *again = net_as(n, &(sn_compile_opt){0});
  double error = net_trajectory_error(n, "eval", &text, &a, 1e-2, 10);
  other.beta1 = .8; /* the model's is .9 */
  double wrong = net_trajectory_error(again, "eval", &text, &other, 1e-2, 10);
  fprintf(stderr, "losses of ten steps %.2g, of other steps %.2g\n", error, wrong);
  assert_true(error < 1e-5 && wrong > 1e-3);
}

static void not_numbers(recipe *r) {
  const double right[] = {1, 2, 4};
  for (int i = 0; i < 3; i++) {
    double x[] = {1, 2, 4}, worst = 0;
    x[i] = NAN;
    assert_true(isnan(recipe_difference(3, x, right))); /* wherever it is */
    for (int k = 0; k < 3; k++) worst = recipe_max(worst, x[k]);
    assert_true(isnan(worst));
    for (int k = 0; k < 3; k++) worst = recipe_min(k ? worst : 9, x[k]);
    assert_true(isnan(worst));
  }
  recipe_at_most(r, EXACT, "right", recipe_max(1, 2), 2);
}
static void infinite(recipe *r) { recipe_at_least(r, OPTIMUM, "without an end", INFINITY, 0); }

/* A net that ends takes its copies along, and neither results nor other nets. */
static void ending(recipe *r) {
  net *n = recipe_net(r, &sn_model_gpt, "eval", SMALL), *other = net_as(n, &(sn_compile_opt){0});
  double *was = net_output(net_again(other, 7), "eval", &text, 0, "loss", NULL), loss = was[0];
  net_end(other), net_end(NULL);
  assert_null(other->program);
  assert_true(was[0] == loss && !recipe_has_failed(r));
  assert_true(net_output(net_again(n, 7), "eval", &text, 0, "loss", NULL)[0] == loss);
}

static void mistake(recipe *r) {
  net *n = recipe_net(r, &sn_model_gpt, "eval", SMALL);
  assert_true(isnan(net_slope_error(n, "eval", "los", &text)));
}

static void exact(void **state) {
  (void)state;
  run_well(KERNELS, gpt);
  run_well(KERNELS, steps);
}

static void differs(void **state) {
  (void)state;
  char error[512];
  run_well("ref", wrong_gradient);
  run_well("ref", ending);
  assert_true(run_well("ref", not_numbers).pass);
  assert_false(run_well("ref", infinite).pass);
  run_on("ref", mistake, error);
  assert_non_null(strstr(error, "no graph has an output of that name"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(exact), cmocka_unit_test(differs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
