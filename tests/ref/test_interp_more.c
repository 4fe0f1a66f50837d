/* Values of ops at their difficult places: rounding, bits, empty and tied reductions, padding, groups. */
#include "tests/ops/support.h"

static const sn_elem F32 = SN_ELEM_F32, F64 = SN_ELEM_F64, I32 = SN_ELEM_I32, I8 = SN_ELEM_I8, U8 = SN_ELEM_U8,
                     BOOL = SN_ELEM_BOOL;

static void rounds_to_whole_numbers(void **state) {
  (void)state;
  world w = world_create();
  const double x[8] = {0.5, 1.5, 2.5, -0.5, -1.5, -2.7, 3, INFINITY};
  sn_val v = world_data(&w, typed(&w, F32, 1, 8), x);
  expect_values(&w, sn_g1(&w.b, SN_OP_ROUND, v), 8, (const double[]){0, 2, 2, 0, -2, -3, 3, INFINITY}, 0);
  expect_values(&w, sn_g1(&w.b, SN_OP_FLOOR, v), 8, (const double[]){0, 1, 2, -1, -2, -3, 3, INFINITY}, 0);
  expect_values(&w, sn_g1(&w.b, SN_OP_CEIL, v), 8, (const double[]){1, 2, 3, 0, -1, -2, 3, INFINITY}, 0);
  expect_values(&w, sn_g1(&w.b, SN_OP_TRUNC, v), 8, (const double[]){0, 1, 2, 0, -1, -2, 3, INFINITY}, 0);
  assert_true(signbit(world_value(&w, sn_g1(&w.b, SN_OP_CEIL, v), RUN_BOUNDS)->value[3]));
  world_destroy(&w);
}

static void keeps_digits_near_zero(void **state) {
  (void)state;
  world w = world_create();
  const double x[4] = {1e-12, -1e-12, 0, 1};
  sn_val v = world_data(&w, typed(&w, F64, 1, 4), x);
  expect_values(&w, sn_g1(&w.b, SN_OP_EXPM1, v), 4, (const double[]){1e-12, -1e-12, 0, 1.718281828459045}, 1e-24);
  expect_values(&w, sn_g1(&w.b, SN_OP_LOG1P, v), 4, (const double[]){1e-12, -1e-12, 0, 0.6931471805599453}, 1e-24);
  expect_values(&w, sn_g1(&w.b, SN_OP_EXP2, v), 4, (const double[]){1, 1, 1, 2}, 1e-11);
  const double p[3] = {8, 0.25, 0};
  sn_val q = world_data(&w, typed(&w, F64, 1, 3), p);
  expect_values(&w, sn_g1(&w.b, SN_OP_LOG2, q), 3, (const double[]){3, -2, -INFINITY}, 0);
  world_destroy(&w);
}

static void works_on_bits(void **state) {
  (void)state;
  world w = world_create();
  const double x[5] = {5, -1, -8, 255, 1}, n[5] = {1, 31, 40, -1, 31}, s[3] = {-1, 0, 127}, u[3] = {255, 0, 200};
  sn_val v = world_data(&w, typed(&w, I32, 1, 5), x), c = world_data(&w, typed(&w, I32, 1, 5), n);
  sn_val i8 = world_data(&w, typed(&w, I8, 1, 3), s), u8 = world_data(&w, typed(&w, U8, 1, 3), u);
  expect_values(&w, sn_g2(&w.b, SN_OP_SHL, v, c), 5, (const double[]){10, -2147483648.0, 0, 0, -2147483648.0}, 0);
  expect_values(&w, sn_g2(&w.b, SN_OP_SHR, v, c), 5, (const double[]){2, -1, -1, 0, 0}, 0);
  expect_values(&w, sn_g2(&w.b, SN_OP_XOR, v, c), 5, (const double[]){4, -32, -48, -256, 30}, 0);
  expect_values(&w, sn_g1(&w.b, SN_OP_NOT, v), 5, (const double[]){-6, 0, 7, -256, -2}, 0);
  expect_values(&w, sn_g1(&w.b, SN_OP_NOT, u8), 3, (const double[]){0, 255, 55}, 0);
  expect_values(&w, sn_g1(&w.b, SN_OP_POPCOUNT, v), 5, (const double[]){2, 32, 29, 8, 1}, 0);
  expect_values(&w, sn_g1(&w.b, SN_OP_POPCOUNT, i8), 3, (const double[]){8, 0, 7}, 0);
  expect_values(&w, sn_g1(&w.b, SN_OP_POPCOUNT, u8), 3, (const double[]){8, 0, 3}, 0);
  world_destroy(&w);
}

static sn_val reduced(world *w, sn_op op, sn_val x) {
  static const int64_t axis[1] = {1};
  bool position = op == SN_OP_ARGMIN || op == SN_OP_ARGMAX;
  const sn_attr at = position ? (sn_attr){.set = true, .i = 1} : (sn_attr){.set = true, .ints = axis, .count = 1};
  return sn_emit(&w->b, op, 1, &x, &at, NULL);
}

static void reduces(void **state) {
  (void)state;
  world w = world_create();
  const double x[9] = {3, 1, 1, -2, 0, 5, 1, NAN, 2}, b[6] = {0, 0, 0, 1, 1, 0};
  sn_val v = world_data(&w, typed(&w, F32, 2, 3, 3), x), q = world_data(&w, typed(&w, BOOL, 2, 2, 3), b);
  expect_values(&w, reduced(&w, SN_OP_AMIN, v), 3, (const double[]){1, -2, NAN}, 0);
  expect_values(&w, reduced(&w, SN_OP_PROD, v), 3, (const double[]){3, 0, NAN}, 0);
  expect_values(&w, reduced(&w, SN_OP_ARGMIN, v), 3, (const double[]){1, 0, 1}, 0);
  expect_values(&w, reduced(&w, SN_OP_ANY, q), 2, (const double[]){0, 1}, 0);
  expect_values(&w, reduced(&w, SN_OP_ALL, q), 2, (const double[]){0, 0}, 0);
  world_destroy(&w);
}

static void reduces_nothing_to_what_changes_nothing(void **state) {
  (void)state;
  world w = world_create();
  sn_val f = world_arg(&w, typed(&w, F32, 2, 1, 0)), u = world_arg(&w, typed(&w, U8, 2, 1, 0));
  sn_val s = world_arg(&w, typed(&w, I8, 2, 1, 0)), b = world_arg(&w, typed(&w, BOOL, 2, 1, 0));
  expect_values(&w, reduced(&w, SN_OP_PROD, f), 1, (const double[]){1}, 0);
  expect_values(&w, reduced(&w, SN_OP_AMIN, f), 1, (const double[]){INFINITY}, 0);
  expect_values(&w, reduced(&w, SN_OP_AMAX, f), 1, (const double[]){-INFINITY}, 0);
  expect_values(&w, reduced(&w, SN_OP_AMIN, u), 1, (const double[]){255}, 0);
  expect_values(&w, reduced(&w, SN_OP_AMAX, s), 1, (const double[]){-128}, 0);
  expect_values(&w, reduced(&w, SN_OP_ANY, b), 1, (const double[]){0}, 0);
  expect_values(&w, reduced(&w, SN_OP_ALL, b), 1, (const double[]){1}, 0);
  world_destroy(&w);
}

/* d prod / d x with no, one and two zeros. */
static void product_has_its_gradient_at_zeros(void **state) {
  (void)state;
  world w = world_create();
  const double x[9] = {2, 3, 4, 2, 0, 4, 0, 0, 4}, ones[3] = {1, 1, 1};
  sn_val v = world_data(&w, typed(&w, F64, 2, 3, 3), x), d = world_data(&w, typed(&w, F64, 1, 3), ones), dx = 0;
  sn_val y = reduced(&w, SN_OP_PROD, v);
  assert_int_equal(sn_derive(&w.b, 1, &y, &d, 1, &v, &dx), SN_OK);
  expect_values(&w, dx, 9, (const double[]){12, 8, 6, 0, 8, 0, 0, 0, 0}, 0);
  world_destroy(&w);
}

static void pads_and_flips(void **state) {
  (void)state;
  world w = world_create();
  const double x[4] = {1, 2, 3, 4};
  sn_types *t = w.m->types;
  sn_val v = world_data(&w, typed(&w, F32, 2, 2, 2), x);
  const sn_dimx *before[2] = {sn_dimx_const(t, 1), sn_dimx_const(t, 0)},
                *after[2] = {sn_dimx_const(t, 0), sn_dimx_const(t, 1)};
  const sn_attr pad[3] = {
      {.set = true, .dims = before, .count = 2}, {.set = true, .dims = after, .count = 2}, {.set = true, .f = 9}};
  const sn_attr rows = {.set = true, .i = 0}, columns = {.set = true, .i = 1};
  expect_values(&w, sn_emit(&w.b, SN_OP_PAD, 1, &v, pad, NULL), 9, (const double[]){9, 9, 9, 1, 2, 9, 3, 4, 9}, 0);
  expect_values(&w, sn_emit(&w.b, SN_OP_FLIP, 1, &v, &rows, NULL), 4, (const double[]){3, 4, 1, 2}, 0);
  expect_values(&w, sn_emit(&w.b, SN_OP_FLIP, 1, &v, &columns, NULL), 4, (const double[]){2, 1, 4, 3}, 0);
  world_destroy(&w);
}

static void normalises_groups(void **state) {
  (void)state;
  world w = world_create();
  const double x[4] = {1, 3, 10, 30};
  sn_val v = world_data(&w, typed(&w, F64, 1, 4), x);
  const sn_attr two[2] = {{.set = true, .i = 2}, {.set = true, .f = 0}},
                three[2] = {{.set = true, .i = 3}, {.set = true, .f = 0}};
  expect_values(&w, sn_emit(&w.b, SN_OP_GROUP_NORM, 1, &v, two, NULL), 4, (const double[]){-1, 1, -1, 1}, 1e-15);
  assert_int_equal(sn_emit(&w.b, SN_OP_GROUP_NORM, 1, &v, three, NULL), 0);
  assert_non_null(strstr(world_errors(&w), "a last axis that 3 divides"));
  world_destroy(&w);
}

/* A recurrence that an execution in f32 may leave as infinity, and then multiplies by 0. */
static void overflow_on_the_way_has_no_bound(void **state) {
  (void)state;
  world w = world_create();
  const double x[4] = {0, 1e30, 1e30, 1}, tame[4] = {0, 3, 2, 1};
  const sn_attr at[2] = {{.set = true, .i = 0}, {.set = true, .i = 1}};
  sn_val v[2] = {world_data(&w, typed(&w, F32, 1, 4), x), 0}, u[2] = {world_data(&w, typed(&w, F32, 1, 4), tame), 0};
  v[1] = v[0], u[1] = u[0];
  assert_true(isinf(world_value(&w, sn_emit(&w.b, SN_OP_RECUR, 2, v, at, NULL), RUN_BOUNDS)->bound[0]));
  assert_true(isfinite(world_value(&w, sn_emit(&w.b, SN_OP_RECUR, 2, u, at, NULL), RUN_BOUNDS)->bound[0]));
  world_destroy(&w);
}

/* Below their domain wherever in its interval the operand is. */
static void logarithms_of_what_is_surely_negative(void **state) {
  (void)state;
  world w = world_create();
  const double x[2] = {1, 30};
  sn_val e = sn_g1(&w.b, SN_OP_EXP, world_data(&w, typed(&w, F32, 1, 2), x)), n = sn_g1(&w.b, SN_OP_NEG, e);
  static const sn_op ops[] = {SN_OP_LOG, SN_OP_LOG2, SN_OP_LOG1P};
  for (int i = 0; i < 3; i++) {
    const sn_tensor *t = world_value(&w, sn_g1(&w.b, ops[i], n), RUN_BOUNDS);
    for (int k = 0; k < 2; k++) assert_true(isnan(t->value[k]) && t->bound[k] == 0);
  }
  world_destroy(&w);
}

static const sn_func *body_of(world *w, const char *name, sn_op op, const sn_type *t) {
  sn_func *f = sn_func_create(w->m, name, SN_FUNC_BODY);
  sn_build b = sn_build_begin(f, w->diags);
  const sn_attr at = {.set = true, .i = 0};
  sn_val x = sn_emit(&b, SN_OP_ARG, 0, NULL, &at, t);
  sn_func_return(f, op == SN_OP_LT ? sn_g2(&b, op, x, sn_g_const(&b, t, 1)) : sn_g1(&b, op, x));
  return f;
}

/* exp(1) / e, which rounding may take to either side of 1, decides; and a number that is certain. */
static void a_doubtful_way_has_no_bound(void **state) {
  (void)state;
  world w = world_create();
  const double one[1] = {1}, e[1] = {2.718281828459045}, half[1] = {0.5};
  const sn_type *t = typed(&w, F32, 0);
  const sn_attr ways[2] = {{.set = true, .region = body_of(&w, "yes", SN_OP_NEG, t)},
                           {.set = true, .region = body_of(&w, "no", SN_OP_SQUARE, t)}};
  const sn_attr rounds[4] = {{.set = true, .i = 1},
                             {.set = true, .region = body_of(&w, "test", SN_OP_LT, t)},
                             {.set = true, .region = body_of(&w, "again", SN_OP_NEG, t)},
                             {.set = true, .i = 3}};
  sn_val near = sn_g2(&w.b, SN_OP_DIV, sn_g1(&w.b, SN_OP_EXP, world_data(&w, t, one)), world_data(&w, t, e));
  const sn_val x[2] = {near, world_data(&w, t, half)};
  for (int i = 0; i < 2; i++) {
    const sn_val arg[2] = {sn_g2(&w.b, SN_OP_LT, x[i], sn_g_const(&w.b, t, 1)), x[1]};
    sn_val c = sn_emit(&w.b, SN_OP_COND, 2, arg, ways, NULL), r = sn_emit(&w.b, SN_OP_WHILE, 1, &x[i], rounds, NULL);
    if (!c || !r) fail_msg("%s", world_errors(&w));
    assert_int_equal(isinf(world_value(&w, c, RUN_BOUNDS)->bound[0]) != 0, i == 0);
    assert_int_equal(isinf(world_value(&w, r, RUN_BOUNDS)->bound[0]) != 0, i == 0);
  }
  world_destroy(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rounds_to_whole_numbers),
      cmocka_unit_test(keeps_digits_near_zero),
      cmocka_unit_test(works_on_bits),
      cmocka_unit_test(reduces),
      cmocka_unit_test(reduces_nothing_to_what_changes_nothing),
      cmocka_unit_test(product_has_its_gradient_at_zeros),
      cmocka_unit_test(pads_and_flips),
      cmocka_unit_test(normalises_groups),
      cmocka_unit_test(overflow_on_the_way_has_no_bound),
      cmocka_unit_test(logarithms_of_what_is_surely_negative),
      cmocka_unit_test(a_doubtful_way_has_no_bound),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
