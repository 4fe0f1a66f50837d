/* Functions of sinter.h for rounding, bits, logarithms near 1, gates, logic, padding and groups: values. */
#include "tests/frontend/support.h"

SN_SETTINGS(none, (int, n, 3, "unused"));

static void points(sn_scope m, const none *c) {
  (void)c;
  sn_t x = sn_input(m, "x", SN_REAL, (4)), i = sn_input(m, "i", SN_I32, (4));
  sn_output(m, "floor", sn_floor(x));
  sn_output(m, "ceil", sn_ceil(x));
  sn_output(m, "round", sn_round(x));
  sn_output(m, "trunc", sn_trunc(x));
  sn_output(m, "exp2", sn_exp2(i));
  sn_output(m, "log2", sn_log2(sn_exp2(i)));
  sn_output(m, "expm1", sn_expm1(sn_mul(x, 0)));
  sn_output(m, "log1p", sn_log1p(sn_mul(x, 0)));
  sn_output(m, "reciprocal", sn_reciprocal(x));
  sn_output(m, "leaky", sn_leaky_relu(x, .5));
  sn_output(m, "elu", sn_elu(sn_max(x, 0), 1));
  sn_output(m, "hard", sn_hard_tanh(x));
  sn_output(m, "xor", sn_xor(i, 3));
  sn_output(m, "shl", sn_shl(i, 2));
  sn_output(m, "shr", sn_shr(i, 1));
  sn_output(m, "not", sn_not(i));
  sn_output(m, "bits", sn_popcount(i));
  sn_output(m, "folded", sn_add(sn_mul(i, 0), sn_add(sn_shl(3, 2), sn_add(sn_round(2.5), sn_leaky_relu(-2, .5)))));
}

static void rows(sn_scope m, const none *c) {
  (void)c;
  sn_t x = sn_input(m, "x", SN_REAL, (2, 2));
  sn_output(m, "amin", sn_amin(x, "ab->a"));
  sn_output(m, "prod", sn_prod(x, "ab->"));
  sn_output(m, "any", sn_any(sn_lt(x, 2), "ab->a"));
  sn_output(m, "all", sn_all(sn_lt(x, 4), "ab->a"));
  sn_output(m, "argmin", sn_argmin(x));
  sn_output(m, "pad", sn_pad(x, 1, 1, 0, -1));
  sn_output(m, "flip", sn_flip(x, -1));
  sn_output(m, "unit", sn_l2_norm(x, 0));
  sn_output(m, "groups", sn_group_norm(m, "g", x, .groups = 1, .eps = 1e-12));
}

SN_MODEL(pointwise, none, points, rows);

static void test_points(void **state) {
  (void)state;
  bench *b = bench_begin(&sn_model_pointwise, "points", NULL, SN_ELEM_F32);
  GIVE(b, "x", -1.5, -.5, .5, 2.5);
  GIVE(b, "i", 1, 4, 6, -2);
  bench_run(b, "points");
  EXPECT(b, "floor", -2, -1, 0, 2);
  EXPECT(b, "ceil", -1, 0, 1, 3);
  EXPECT(b, "round", -2, 0, 0, 2);
  EXPECT(b, "trunc", -1, 0, 0, 2);
  EXPECT(b, "exp2", 2, 16, 64, .25);
  EXPECT(b, "log2", 1, 4, 6, -2);
  EXPECT(b, "expm1", 0, 0, 0, 0);
  EXPECT(b, "log1p", 0, 0, 0, 0);
  EXPECT(b, "reciprocal", -.666666667, -2, 2, .4);
  EXPECT(b, "leaky", -.75, -.25, .5, 2.5);
  EXPECT(b, "elu", 0, 0, .5, 2.5);
  EXPECT(b, "hard", -1, -.5, .5, 1);
  EXPECT(b, "xor", 2, 7, 5, -3);
  EXPECT(b, "shl", 4, 16, 24, -8);
  EXPECT(b, "shr", 0, 2, 3, -1);
  EXPECT(b, "not", -2, -5, -7, 1);
  EXPECT(b, "bits", 1, 1, 2, 31);
  EXPECT(b, "folded", 13, 13, 13, 13);
  bench_end(b);
}

static void test_rows(void **state) {
  (void)state;
  bench *b = bench_begin(&sn_model_pointwise, "rows", NULL, SN_ELEM_F32);
  GIVE(b, "x", 1, 3, 4, 3);
  bench_run(b, "rows");
  EXPECT(b, "amin", 1, 3);
  EXPECT(b, "prod", 36);
  EXPECT(b, "any", 1, 0);
  EXPECT(b, "all", 1, 0);
  EXPECT(b, "argmin", 0, 1);
  EXPECT(b, "pad", -1, 1, 3, -1, 4, 3);
  EXPECT(b, "flip", 3, 1, 3, 4);
  EXPECT(b, "unit", .316227766, .948683298, .8, .6);
  EXPECT(b, "groups", -1, 1, 1, -1);
  bench_end(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_points), cmocka_unit_test(test_rows)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
