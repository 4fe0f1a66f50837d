/* The distillation loss: its derivative by the student's logits is the closed form, for every divergence. */
#include "tests/ops/support.h"

enum { ROWS = 3, V = 5 };

static const double student[ROWS * V] = {-2, -.5, .25, 1, 3, 0, 0, 1e-3, -4, 3.5, 1, 1, 1, 1, 1};
static const double teacher[ROWS * V] = {1, .5, -.25, 2, -1, 3, -2, .125, 4, .5, 0, 1, 2, 3, 4};
static const double targets[ROWS] = {4, 0, 2};

static void softmax(const double *z, double t, double *p) {
  double m = -INFINITY, s = 0;
  for (int i = 0; i < V; i++) m = fmax(m, z[i] / t);
  for (int i = 0; i < V; i++) s += p[i] = exp(z[i] / t - m);
  for (int i = 0; i < V; i++) p[i] /= s;
}

/* d t^2 D / d z at one row, before the factor: t (p - q) for forward, and so on. */
static void slope(const char *kind, double t, const double *z, const double *w, double *out) {
  double p[V], q[V], gap[V], mean = 0;
  softmax(z, t, p);
  softmax(w, t, q);
  for (int i = 0; i < V; i++) {
    bool jsd = !strcmp(kind, "jsd");
    gap[i] = jsd ? log(p[i] / ((p[i] + q[i]) / 2)) : log(p[i] / q[i]);
    mean += p[i] * gap[i];
  }
  for (int i = 0; i < V; i++) {
    if (!strcmp(kind, "forward")) out[i] = t * (p[i] - q[i]);
    if (!strcmp(kind, "reverse")) out[i] = t * p[i] * (gap[i] - mean);
    if (!strcmp(kind, "jsd")) out[i] = t * p[i] * (gap[i] - mean) / 2;
  }
}

/* (p_s - y) + lambda t (softmax(z_s / t) - softmax(z_t / t)) and its kin, over the number of rows. */
static void the_gradient_is_the_closed_form(void **state) {
  (void)state;
  static const double temperatures[] = {1, 2, .5};
  const double lambda = .7;
  int kinds;
  const char *const *kind = sn_divergence_kinds(&kinds);
  assert_int_equal(kinds, 3);
  for (int k = 0; k < kinds * 3; k++) {
    double t = temperatures[k % 3];
    world w = world_create();
    const sn_type *logits = typed(&w, SN_ELEM_F64, 2, ROWS, V);
    sn_val x = world_data(&w, logits, student), y = world_data(&w, logits, teacher);
    sn_val ids = world_data(&w, typed(&w, SN_ELEM_I32, 1, ROWS), targets);
    sn_val tv = t == 1 ? 0 : world_data(&w, typed(&w, SN_ELEM_F64, 0), &t);
    const sn_val ce[2] = {x, ids};
    sn_val rows = sn_g_distil(&w.b, kind[k / 3], x, y, tv);
    rows = sn_g2(&w.b, SN_OP_MUL, rows, sn_g_const_like(&w.b, rows, lambda));
    rows = sn_g2(&w.b, SN_OP_ADD, rows, sn_emit(&w.b, SN_OP_CROSS_ENTROPY, 2, ce, (sn_attr[1]){{0}}, NULL));
    sn_val d, one = sn_g_const_like(&w.b, rows, 1. / ROWS);
    if (sn_derive(&w.b, 1, &rows, &one, 1, &x, &d)) fail_msg("%s", world_errors(&w));
    double want[ROWS * V], p[V];
    for (int r = 0; r < ROWS; r++) {
      slope(kind[k / 3], t, student + r * V, teacher + r * V, want + r * V);
      softmax(student + r * V, 1, p);
      for (int i = 0; i < V; i++) want[r * V + i] = (lambda * want[r * V + i] + p[i] - (i == (int)targets[r])) / ROWS;
    }
    expect_values(&w, d, ROWS * V, want, 1e-14);
    world_destroy(&w);
  }
}

/* At t = 1 the loss of a free row is least at (y + lambda p_teacher) / (1 + lambda): no slope is left there. */
static void the_minimum_is_the_mixture(void **state) {
  (void)state;
  const double lambda = 1.5, share[V] = {.4, .1, .2, .3, 0}; /* how often each id is the target */
  double p[V], z[V], ids[10] = {0, 0, 0, 0, 1, 2, 2, 3, 3, 3}, x[10 * V], y[10 * V];
  softmax(teacher, 1, p);
  for (int i = 0; i < V; i++) z[i] = log((share[i] + lambda * p[i]) / (1 + lambda));
  for (int i = 0; i < 10 * V; i++) x[i] = z[i % V], y[i] = teacher[i % V];
  world w = world_create();
  const sn_type *logits = typed(&w, SN_ELEM_F64, 2, 10, V);
  sn_val a = world_data(&w, logits, x), b = world_data(&w, logits, y);
  const sn_val ce[2] = {a, world_data(&w, typed(&w, SN_ELEM_I32, 1, 10), ids)};
  sn_val rows = sn_g_distil(&w.b, "forward", a, b, 0), d;
  rows = sn_g2(&w.b, SN_OP_MUL, rows, sn_g_const_like(&w.b, rows, lambda));
  rows = sn_g2(&w.b, SN_OP_ADD, rows, sn_emit(&w.b, SN_OP_CROSS_ENTROPY, 2, ce, (sn_attr[1]){{0}}, NULL));
  sn_val one = sn_g_const_like(&w.b, rows, 1);
  if (sn_derive(&w.b, 1, &rows, &one, 1, &a, &d)) fail_msg("%s", world_errors(&w));
  static const int64_t axes[1] = {0};
  static const double none[V] = {0};
  expect_values(&w, sn_g_sum(&w.b, d, 1, axes), V, none, 1e-13);
  world_destroy(&w);
}

/* Equal distributions have no distance, whatever is added to a row. */
static void equal_distributions_have_no_distance(void **state) {
  (void)state;
  int kinds;
  const char *const *kind = sn_divergence_kinds(&kinds);
  double moved[ROWS * V];
  for (int i = 0; i < ROWS * V; i++) moved[i] = student[i] + 7;
  for (int k = 0; k < kinds; k++) {
    world w = world_create();
    const sn_type *logits = typed(&w, SN_ELEM_F64, 2, ROWS, V);
    static const double none[ROWS] = {0};
    sn_val rows = sn_g_distil(&w.b, kind[k], world_data(&w, logits, student), world_data(&w, logits, moved), 0);
    expect_values(&w, rows, ROWS, none, 1e-14);
    world_destroy(&w);
  }
}

static void wrong_operands_are_refused(void **state) {
  (void)state;
  world w = world_create();
  sn_val x = world_data(&w, typed(&w, SN_ELEM_F64, 2, ROWS, V), student);
  sn_val few = world_data(&w, typed(&w, SN_ELEM_F64, 2, 1, V), student);
  assert_int_equal(sn_g_distil(&w.b, "forward", x, few, 0), 0);
  assert_non_null(strstr(world_errors(&w), "operand 2 does not fit"));
  w.b.failed = SN_OK;
  assert_int_equal(sn_g_distil(&w.b, "backward", x, x, 0), 0);
  assert_non_null(strstr(world_errors(&w), "forward, reverse or jsd"));
  world_destroy(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_gradient_is_the_closed_form),
      cmocka_unit_test(the_minimum_is_the_mixture),
      cmocka_unit_test(equal_distributions_have_no_distance),
      cmocka_unit_test(wrong_operands_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
