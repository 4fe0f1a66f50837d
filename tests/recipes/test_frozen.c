/* Training of some parameters: the others keep their bits, and cost no work. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/recipes/kit.h"

static void freezes(recipe *r) {
  net *n = recipe_net(r, &sn_model_gpt, "train|eval", SMALL), *head = net_trainable(n, "ln_f*|wpe*");
  uint64_t body = net_hash(head, "h.*|wte*"), rest = net_hash(head, "ln_f*|wpe*");
  assert_true(net_hash(n, "*") == net_hash(head, "*"));
  recipe_train(r, &(training){head, .feed = &text, .steps = 5, .lr = 1e-2});
  assert_true(net_hash(head, "h.*|wte*") == body && net_hash(head, "ln_f*|wpe*") != rest);
  /* of the product over the vocabulary only its input's gradient is left; of layers what positions need */
  report all = net_report(n, "train", "B=2 T=8", (which){0}), part = net_report(head, "train", "B=2 T=8", (which){0});
  net *norm = net_trainable(n, "ln_f*");
  report least = net_report(norm, "train", "B=2 T=8", (which){0}), eval = net_report(n, "eval", "B=2 T=8", (which){0});
  assert_true(part.flops < .8 * all.flops && part.kernels < all.kernels);
  assert_true(least.flops < 1.5 * eval.flops && least.flops > eval.flops);
  assert_int_equal(net_report(norm, "train", "B=2 T=8", (which){.op = "attention_grad"}).kernels, 0);
  assert_int_equal(net_copy(n, head, "ln_f*|wpe*"), 2);
  assert_true(net_hash(n, "*") == net_hash(head, "*"));
}

/* Losses over the vocabulary in another form: the same to rounding. */
static void forms(recipe *r) {
  net *n = recipe_net(r, &sn_model_gpt, "eval", SMALL), *fused = net_as(n, &(sn_compile_opt){.vocab = "fused"});
  double difference = net_difference(fused, n, "eval", &text, "loss");
  assert_true(difference < 1e-5);
}

static void nothing_left(recipe *r) { net_trainable(recipe_net(r, &sn_model_gpt, "train", SMALL), "nosuch*"); }

/* Weights of another width, of a part that is not there, of none: never passed over. */
static void wider(recipe *r) {
  net *n = recipe_net(r, &sn_model_gpt, "eval", SMALL), *m = recipe_net(r, &sn_model_gpt, "eval", SMALL " width=32");
  net_copy(m, n, "wpe*|wte*");
}
static void deeper(recipe *r) {
  net *n = recipe_net(r, &sn_model_gpt, "eval", SMALL), *m = recipe_net(r, &sn_model_gpt, "eval", SMALL " layers=2");
  assert_int_equal(net_copy(m, n, "wpe*|wte*"), 2); /* what both have */
  net_copy(m, n, "*");
}
static void misspelt(recipe *r) {
  net *n = recipe_net(r, &sn_model_gpt, "eval", SMALL), *m = net_again(n, 2);
  net_copy(m, n, "wpe.*|nosuch"); /* one is enough */
  net_copy(m, n, "nosuch*");
}

static void frozen(void **state) {
  (void)state;
  run_well("template", freezes);
  run_well("template", forms);
}

static void mistakes(void **state) {
  (void)state;
  char error[512];
  run_on("template", nothing_left, error);
  assert_non_null(strstr(error, "nosuch"));
  run_on("template", wider, error);
  assert_int_equal(atoi(error), SN_ERR_INPUT);
  assert_non_null(strstr(error, "parameter wte.weight does not fit"));
  assert_non_null(strstr(error, "expected: f32[17, 32]"));
  assert_non_null(strstr(error, "found:    f32[17, 16]"));
  run_on("template", deeper, error);
  assert_non_null(strstr(error, "has no parameter h.1."));
  run_on("template", misspelt, error);
  assert_non_null(strstr(error, "no parameter matches nosuch*"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(frozen), cmocka_unit_test(mistakes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
