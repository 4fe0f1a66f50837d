/* Ops along an axis in the interpreter: what is no number, what is in doubt, and second derivatives. */
#include "tests/ops/support.h"

#include "ir/ops/sample.h"

#define F32 SN_ELEM_F32

static sn_val one(world *w, sn_op op, int count, const sn_val *arg, const sn_attr *attr) {
  sn_val v = sn_emit(&w->b, op, count, arg, attr, NULL);
  if (!v) fail_msg("%s", world_errors(w));
  return v;
}

/* ---- NaN, zeros ---- */

static void nan_is_last_either_way(void **state) {
  (void)state;
  world w = world_create();
  const double x[6] = {2, NAN, -INFINITY, 0, NAN, -0.0};
  sn_val v = world_data(&w, typed(&w, F32, 1, 6), x);
  sn_attr at[3] = {{.set = true, .i = 0}, {.set = true, .d = sn_dimx_const(w.m->types, 6)}};
  sn_val up = one(&w, SN_OP_SORT, 1, &v, at);
  at[2] = (sn_attr){.set = true, .i = 1};
  sn_val down = one(&w, SN_OP_SORT, 1, &v, at);
  expect_values(&w, up, 6, (const double[]){-INFINITY, 0, 0, 2, NAN, NAN}, 0);
  expect_values(&w, up + 1, 6, (const double[]){2, 3, 5, 0, 1, 4}, 0);
  expect_values(&w, down, 6, (const double[]){2, 0, 0, -INFINITY, NAN, NAN}, 0);
  expect_values(&w, down + 1, 6, (const double[]){0, 3, 5, 2, 1, 4}, 0);
  world_destroy(&w);
}

static void nan_stays_in_a_maximum(void **state) {
  (void)state;
  world w = world_create();
  const double x[5] = {1, 3, NAN, 9, NAN};
  sn_val v = world_data(&w, typed(&w, F32, 1, 5), x);
  sn_attr at[2] = {{.set = true, .i = 0}};
  sn_val m = one(&w, SN_OP_CUMMAX, 1, &v, at);
  at[1] = (sn_attr){.set = true, .i = 1};
  sn_val back = one(&w, SN_OP_CUMMAX, 1, &v, at);
  expect_values(&w, m, 5, (const double[]){1, 3, NAN, NAN, NAN}, 0);
  expect_values(&w, m + 1, 5, (const double[]){0, 1, 2, 2, 2}, 0);
  expect_values(&w, back + 1, 5, (const double[]){4, 4, 4, 4, 4}, 0);
  world_destroy(&w);
}

static void nan_is_searched_last(void **state) {
  (void)state;
  world w = world_create();
  const double s[4] = {0, 1, NAN, NAN}, v[4] = {NAN, 1, INFINITY, -1};
  const sn_val arg[2] = {world_data(&w, typed(&w, F32, 1, 4), s), world_data(&w, typed(&w, F32, 1, 4), v)};
  sn_attr right = {0};
  sn_val left = one(&w, SN_OP_SEARCHSORTED, 2, arg, &right);
  right = (sn_attr){.set = true, .i = 1};
  expect_values(&w, left, 4, (const double[]){2, 1, 2, 0}, 0);
  expect_values(&w, one(&w, SN_OP_SEARCHSORTED, 2, arg, &right), 4, (const double[]){4, 2, 2, 0}, 0);
  world_destroy(&w);
}

/* ---- doubt ---- */

/* Elements that rounding may exchange have positions without a bound, others are certain. */
static void close_elements_are_in_doubt(void **state) {
  (void)state;
  world w = world_create();
  const double x[4] = {1, 1 + 0x1p-23, 3, 0.5};
  sn_val v = world_data(&w, typed(&w, F32, 1, 4), x);
  v = sn_g1(&w.b, SN_OP_LOG, sn_g1(&w.b, SN_OP_EXP, v));
  const sn_attr at[3] = {{.set = true, .i = 0}, {.set = true, .d = sn_dimx_const(w.m->types, 4)}};
  sn_val sorted = one(&w, SN_OP_SORT, 1, &v, at);
  const sn_tensor *place = world_value(&w, sorted + 1, RUN_BOUNDS), *value = world_value(&w, sorted, RUN_BOUNDS);
  const double doubt[4] = {0, INFINITY, INFINITY, 0};
  for (int i = 0; i < 4; i++) {
    assert_true(place->bound[i] == doubt[i]);
    assert_true(value->bound[i] < 1e-5);
  }
  world_destroy(&w);
}

/* ---- second derivatives ---- */

/* The derivative of a derivative, taken along noise, against differences. */
static grad_check second(sn_op op, uint64_t seed) {
  world w = world_create();
  sn_rng r = {.seed = seed, .stream = (uint64_t)op};
  sn_sample s = {.real = SN_ELEM_F64};
  sn_val arg[SN_SAMPLE_ARGS], d[SN_SAMPLE_ARGS] = {0}, energy = 0;
  grad_check none = {0};
  assert_int_equal(sn_op_sample(&r, w.m, op, &s), SN_OK);
  for (int i = 0; i < s.arg_count; i++) arg[i] = world_noise(&w, s.arg[i], seed + (uint64_t)i);
  if (!sn_elem_is_float(s.arg[0]->elem)) return world_destroy(&w), none;
  sn_val y = sn_emit(&w.b, op, s.arg_count, arg, s.attr, NULL);
  sn_val dy = sn_g2(&w.b, SN_OP_MUL, y, y); /* so that it depends on the operands */
  if (sn_derive(&w.b, 1, &y, &dy, s.arg_count, arg, d)) fail_msg("%s", world_errors(&w));
  for (int i = 0; i < s.arg_count; i++) {
    const int64_t axes[SN_RANK_MAX] = {0, 1, 2, 3, 4, 5, 6, 7};
    sn_val sum = d[i] ? sn_g_sum(&w.b, sn_g2(&w.b, SN_OP_MUL, d[i], d[i]), s.arg[i]->rank, axes) : 0;
    if (sum) energy = energy ? sn_g2(&w.b, SN_OP_ADD, energy, sum) : sum;
  }
  if (w.b.failed) fail_msg("%s", world_errors(&w));
  grad_check c = check_gradient(&w, energy, s.arg_count, 4, 1);
  world_destroy(&w);
  return c;
}

static void second_derivatives(void **state) {
  (void)state;
  static const sn_op ops[] = {SN_OP_CUMSUM, SN_OP_CUMPROD, SN_OP_CUMMAX, SN_OP_RECUR,
                              SN_OP_SORT,   SN_OP_SOLVE,   SN_OP_CONV1D};
  for (size_t k = 0; k < sizeof ops / sizeof *ops; k++) {
    int64_t checked = 0, excluded = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
      grad_check c = second(ops[k], seed);
      if (c.wrong) fail_msg("`%s`, sample %d: %s", sn_op_get(ops[k])->name, (int)seed, c.what);
      checked += c.checked, excluded += c.excluded;
    }
    if (checked < 10 || excluded > checked)
      fail_msg("`%s`: %d checked, %d excluded", sn_op_get(ops[k])->name, (int)checked, (int)excluded);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nan_is_last_either_way), cmocka_unit_test(nan_stays_in_a_maximum),
      cmocka_unit_test(nan_is_searched_last),   cmocka_unit_test(close_elements_are_in_doubt),
      cmocka_unit_test(second_derivatives),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
