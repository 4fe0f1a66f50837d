/* Training constructs: gradients, rules against formulas, schedule, clipping, accumulation, guard, noise. */
#include "support.h"

#include <math.h>

SN_SETTINGS(opts, (double, p, .25, "dropout"), (int, every, 1, "runs per update"));

/* loss = sum(w x) + u^2 / 2: dw = x, du = u */
static sn_t loss_of(sn_scope m) {
  sn_t w = sn_param(m, "w", (1, 2), .init = sn_fill(1)), u = sn_param(m, "u", (), .init = sn_fill(3));
  sn_t x = sn_input(m, "x", SN_REAL, (1, 2));
  return sn_add(sn_sum(sn_mul(w, x), "ab->"), sn_mul(.5, sn_square(u)));
}

static void adamw(sn_scope m, const opts *c) {
  (void)c;
  sn_adamw_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, .1), .weight_decay = .5, .warmup = 2, .steps = 4, .min_lr = .01};
  sn_minimize(m, loss_of(m), sn_adamw, &o);
}
static void plain_adamw(sn_scope m, const opts *c) {
  (void)c;
  sn_minimize(m, loss_of(m), sn_adamw, NULL);
}
static void bert_adam(sn_scope m, const opts *c) {
  (void)c;
  sn_adamw_opt o = {.lr = .1, .weight_decay = .5, .eps = 1e-6, .warmup = sn_scalar(m, "warmup", SN_I32, 2)};
  o.steps = sn_scalar(m, "steps", SN_I32, 6), o.linear = true, o.no_correction = true;
  sn_minimize(m, loss_of(m), sn_adamw, &o);
}
static void sgd(sn_scope m, const opts *c) {
  sn_sgd_opt o = {.lr = 1};
  sn_minimize(m, loss_of(m), sn_sgd, &o, .clip = 2.5, .accumulate = c->every);
}
static void every_input(sn_scope m, const opts *c) {
  (void)c;
  sn_sgd_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, 1)};
  sn_minimize(m, loss_of(m), sn_sgd, &o, .clip = sn_scalar(m, "clip", SN_REAL, 2.5),
              .accumulate = sn_scalar(m, "every", SN_I32, 3));
}
/* A table captured by the score of attention, and its gradient. */
static sn_t from_table(sn_t s, sn_site at, const void *opt) {
  return sn_add(s, sn_index(*(const sn_t *)opt, at.head, sn_max(sn_sub(at.q, at.k), 0)));
}
static void table(sn_scope m, const opts *c) {
  (void)c;
  sn_t x = sn_input(m, "q", SN_REAL, (1, 3, 2, 4)), t = sn_param(m, "table", (2, 3), .init = sn_fill(.1)), g;
  sn_t y = sn_attention(x, x, x, .score = from_table, .mask = sn_causal, .opt = &t);
  sn_t loss = sn_sum(sn_mul(y, sn_square(x)), "bthd->");
  sn_output(m, "loss", loss);
  sn_grad(loss, (t), (&g));
  sn_output(m, "g", g);
}
static void chosen(sn_scope m, const opts *c) {
  (void)c;
  sn_t loss = loss_of(m);
  sn_param(m, "unused", (2));
  sn_output(m, "loss", sn_mul(loss, 2)); /* the name is taken */
  sn_minimize(m, loss, sn_sgd, NULL, .on = "-u", .clip = sn_scalar(m, "clip", SN_REAL, 0));
}
/* Two losses with two sets of parameters: gradients of both are taken at the old values. */
static void two(sn_scope m, const opts *c) {
  (void)c;
  sn_t w = sn_param(m, "w", (), .init = sn_fill(2)), u = sn_param(m, "u", (), .init = sn_fill(3)), wu = sn_mul(w, u);
  sn_sgd_opt o = {.lr = 1};
  sn_minimize(m, wu, sn_sgd, &o, .on = "w");
  sn_minimize(m, sn_neg(wu), sn_sgd, &o, .on = "u");
}
static void grads(sn_scope m, const opts *c) {
  (void)c;
  sn_t x = sn_input(m, "y", SN_REAL, ()), g, gg;
  sn_grad(sn_mul(x, sn_mul(x, x)), (x), (&g));
  sn_output(m, "first", g);
  sn_grad(g, (x), (&gg));
  sn_output(m, "second", gg);
  sn_output(m, "stopped", sn_mul(x, sn_stop(x)));
}
static void noise(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "z", SN_REAL, (2, 500));
  sn_t y = x;
  sn_layers(h, m, "h", 2, &y) y = sn_dropout(sn_with(h, .train = true), "drop", y, c->p);
  sn_output(m, "y", y);
  sn_output(m, "same", sn_dropout(m, "off", x, c->p));
  sn_output(m, "u", sn_random(m, "u", SN_UNIFORM, (4)));
  sn_output(m, "steps", sn_step_count(m));
}

SN_MODEL(trained, opts, adamw, plain_adamw, bert_adam, sgd, every_input, table, chosen, two, grads, noise);

static bench *begin(const char *graph, const char *settings) {
  return bench_begin(&sn_model_trained, graph, settings, SN_ELEM_F64);
}

static double value_of(const bench *b, const char *name) { return bench_bound(b, name)->value[0]; }

/* One parameter of the algorithm, in plain C. */
typedef struct adam {
  double w, m, v;
} adam;
static void adam_step(adam *a, double g, int t, double lr, double decay, double beta2) {
  a->m = .9 * a->m + .1 * g;
  a->v = beta2 * a->v + (1 - beta2) * g * g;
  double step = a->m / (1 - pow(.9, t)) / (sqrt(a->v / (1 - pow(beta2, t))) + 1e-8);
  a->w -= lr * (step + decay * a->w);
}

static void test_adamw(void **state) {
  (void)state;
  bench *b = begin("adamw", NULL);
  GIVE(b, "x", 2, -1);
  const double lr[6] = {.05, .1, .055, .01, .01, .01}; /* warm-up to update 2, cosine to update 4 */
  adam w = {.w = 1}, u = {.w = 3};
  for (int t = 1; t <= 6; t++) {
    bench_run(b, "adamw");
    adam_step(&w, 2, t, lr[t - 1], .5, .999); /* decayed: a matrix */
    adam_step(&u, u.w, t, lr[t - 1], 0, .999);
    assert_float_equal(value_of(b, "w"), w.w, 1e-9);
    assert_float_equal(value_of(b, "u"), u.w, 1e-9);
    assert_float_equal(value_of(b, "w.adam_m"), w.m, 1e-9);
    assert_float_equal(value_of(b, "step"), t, 0);
  }
  bench_end(b);
}

static void test_plain_adamw(void **state) {
  (void)state;
  bench *b = begin("plain_adamw", NULL);
  GIVE(b, "x", 2, -1);
  adam w = {.w = 1};
  for (int t = 1; t <= 3; t++) {
    bench_run(b, "plain_adamw");
    adam_step(&w, 2, t, 1e-3, 0, .999);
    assert_float_equal(value_of(b, "w"), w.w, 1e-9);
  }
  bench_end(b);
}

/* Moments as they are, and a line from update 2 to 0 at update 6. */
static void test_bert_adam(void **state) {
  (void)state;
  bench *b = begin("bert_adam", NULL);
  GIVE(b, "x", 2, -1);
  double w = 1, m = 0, v = 0;
  for (int t = 1; t <= 7; t++) {
    double lr = t <= 2 ? .05 * t : t < 6 ? .025 * (6 - t) : 0;
    bench_run(b, "bert_adam");
    m = .9 * m + .1 * 2, v = .999 * v + .001 * 4;
    w -= lr * (m / (sqrt(v) + 1e-6) + .5 * w);
    assert_float_equal(value_of(b, "w"), w, 1e-9);
  }
  bench_end(b);
}

static void test_clip(void **state) {
  (void)state;
  bench *b = begin("sgd", NULL);
  GIVE(b, "x", 4, 0); /* gradient (4, 0, 3), norm 5: halved */
  bench_run(b, "sgd");
  EXPECT(b, "grad_norm", 5);
  EXPECT(b, "loss", 8.5);
  assert_float_equal(value_of(b, "w"), -1, 1e-9);
  assert_float_equal(value_of(b, "u"), 1.5, 1e-9);
  GIVE(b, "x", 0, 1); /* norm sqrt(1 + 2.25) < 2.5 */
  bench_run(b, "sgd");
  assert_float_equal(value_of(b, "u"), 0, 1e-9);
  bench_end(b);
}

static void check_accumulate(const char *graph, const char *settings) {
  bench *b = begin(graph, settings);
  for (int i = 0; i < 6; i++) {
    GIVE(b, "x", i % 3, 0);
    bench_run(b, graph);
    double w = i < 2 ? 1 : i < 5 ? 1 - 2.5 / sqrt(10) : 0;
    if (i < 5) assert_float_equal(value_of(b, "w"), w, 1e-9); /* mean gradient (1, 0, 3) clipped to 2.5 */
    double sum = i % 3 == 1 ? 1 : 0;                          /* 0, 0 + 1, cleared */
    assert_float_equal(value_of(b, "w.grad_sum"), sum, 1e-9);
    assert_float_equal(value_of(b, "step"), i + 1, 0);
  }
  bench_end(b);
}

static void test_accumulate(void **state) {
  (void)state;
  check_accumulate("sgd", "every=3");
  check_accumulate("every_input", NULL);
}

static void test_table(void **state) {
  (void)state;
  bench *b = begin("table", NULL);
  bench_run(b, "table");
  const sn_tensor *g = bench_output(b, "g");
  for (int i = 0; i < 6; i++) {
    double t[6] = {.1, .1, .1, .1, .1, .1}, loss[2];
    for (int k = 0; k < 2; k++) {
      t[i] = .1 + (k ? 1e-4 : -1e-4);
      bench_give(b, "table", 6, t);
      bench_run(b, "table");
      loss[k] = bench_output(b, "loss")->value[0];
    }
    assert_float_equal(g->value[i], (loss[1] - loss[0]) / 2e-4, 1e-6);
  }
  bench_end(b);
}

static void test_chosen(void **state) {
  (void)state;
  bench *b = begin("chosen", NULL);
  GIVE(b, "x", 2, -1);
  bench_run(b, "chosen");
  EXPECT(b, "loss", 11);
  EXPECT(b, "grad_norm", sqrt(5));
  assert_int_equal(b->func->update_count, 2); /* w, step: not u, not what the loss does not use */
  assert_float_equal(value_of(b, "w"), 1 - .01 * 2, 1e-9);
  bench_end(b);
}

static void test_two(void **state) {
  (void)state;
  bench *b = begin("two", NULL);
  bench_run(b, "two");
  assert_float_equal(value_of(b, "w"), 2 - 3, 1e-9);
  assert_float_equal(value_of(b, "u"), 3 + 2, 1e-9);
  assert_float_equal(value_of(b, "step"), 1, 0);
  bench_end(b);
}

static void test_guard(void **state) {
  (void)state;
  bench *b = begin("sgd", NULL);
  GIVE(b, "x", INFINITY, 0);
  bench_run(b, "sgd");
  assert_float_equal(b->values[b->func->guard]->value[0], 0, 0);
  GIVE(b, "x", 1, 0);
  GIVE(b, "w", 1, 1);
  GIVE(b, "u", 1);
  bench_run(b, "sgd");
  assert_float_equal(b->values[b->func->guard]->value[0], 1, 0);
  bench_end(b);
}

static void test_grads(void **state) {
  (void)state;
  bench *b = begin("grads", NULL);
  GIVE(b, "y", 2);
  bench_run(b, "grads");
  EXPECT(b, "first", 12);
  EXPECT(b, "second", 12);
  EXPECT(b, "stopped", 4);
  bench_end(b);
}

static void test_noise(void **state) {
  (void)state;
  bench *b = begin("noise", NULL);
  bench_run(b, "noise");
  const sn_tensor *x = bench_bound(b, "z"), *y = bench_output(b, "y"), *same = bench_output(b, "same");
  int kept = 0;
  for (int i = 0; i < 1000; i++) {
    assert_float_equal(same->value[i], x->value[i], 0);
    if (y->value[i] == 0) continue;
    assert_float_equal(y->value[i], x->value[i] / .75 / .75, 1e-6);
    kept++;
  }
  assert_true(kept > 500 && kept < 625); /* 562.5 expected: both layers draw their own numbers */
  double first = y->value[0] + y->value[1] + y->value[2] + y->value[3] + bench_output(b, "u")->value[0];
  GIVE(b, "seed", 1);
  bench_run(b, "noise");
  y = bench_output(b, "y");
  assert_true(first != y->value[0] + y->value[1] + y->value[2] + y->value[3] + bench_output(b, "u")->value[0]);
  EXPECT(b, "steps", 0);
  bench_end(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_adamw),  cmocka_unit_test(test_plain_adamw), cmocka_unit_test(test_bert_adam),
      cmocka_unit_test(test_clip),   cmocka_unit_test(test_accumulate),  cmocka_unit_test(test_table),
      cmocka_unit_test(test_chosen), cmocka_unit_test(test_two),         cmocka_unit_test(test_guard),
      cmocka_unit_test(test_grads),  cmocka_unit_test(test_noise),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
