/* What recipes are told of plans. On `template`, whose kernels need no LLVM. */
#include <stdio.h>

#include "tests/recipes/kit.h"

static void reads(recipe *r) {
  const which all = {0};
  net *n = recipe_net(r, &sn_model_gpt, "train|eval|decode", SMALL);
  report train = net_report(n, "train", "B=2 T=8", all), eval = net_report(n, "eval", "B=2 T=8", all);
  report decode = net_report(n, "decode", "B=2", all);
  assert_true(eval.kernels > 5 && train.kernels > eval.kernels && train.flops > 2.5 * eval.flops);
  assert_true(eval.flops > 0 && eval.buffers > 0 && eval.peak_bytes > 0 && eval.buffer_bytes >= eval.peak_bytes);
  /* the product over the vocabulary, and which kernels a selection takes */
  assert_int_equal(net_report(n, "eval", "B=2 T=8", (which){.kind = "contract", .elements = B * T * V}).kernels, 3);
  assert_int_equal(net_report(n, "eval", "B=2 T=8", (which){.elements = B * T * V + B * T * 64}).kernels, 0);
  assert_true(net_report(n, "train", "B=2 T=8", (which){.op = "attention_grad"}).kernels > 0);
  assert_int_equal(net_report(n, "eval", "B=2 T=8", (which){.op = "attention_grad"}).kernels, 0);
  assert_int_equal(net_report(n, "eval", "B=2 T=8", (which){.op = "attention"}).kernels, 1);
  report layer = net_report(n, "eval", "B=2 T=8", (which){.where = "h.*"});
  assert_true(layer.kernels > 0 && layer.kernels < eval.kernels && layer.flops < eval.flops);
  /* a step of decoding writes one row of each cache */
  report writes = net_report(n, "decode", "B=2", (which){.op = "dynamic_write"});
  assert_int_equal(writes.kernels, 2);
  assert_true(writes.bytes_written == 2 * B * 16 * 4 && decode.copies == 0 && decode.bytes_copied == 0);
}

static void nothing(recipe *r) {
  net *n = recipe_net(r, &sn_model_gpt, "eval", SMALL);
  report none = net_report(n, "decode", "B=2", (which){0});
  assert_int_equal(none.kernels, 0);
}

static void reports(void **state) {
  (void)state;
  run_well("template", reads);
}

static void mistakes(void **state) {
  (void)state;
  char error[512];
  run_on("template", nothing, error);
  assert_non_null(strstr(error, "no graph called decode"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(reports), cmocka_unit_test(mistakes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
