/* Teacher and student in one graph: the update of the student is the closed form, the teacher stays as it is. */
#include "support.h"

#include <math.h>

#include "frontend/distill.h"

enum { V = 4, WINDOW = 3 };

SN_SETTINGS(opts, (int, vocab, V, "tokens"), (int, context, 6, "longest"), (int, layers, 2, "of the teacher"));

static sn_t ids(sn_scope m, const char *name, const opts *c) {
  return sn_input(m, name, SN_I32, (sn_sym(m, "B"), sn_sym(m, "T", .max = c->context)));
}
static sn_t table_logits(sn_scope m, const opts *c) {
  return sn_gather(sn_param(m, "table", (c->vocab, c->vocab), .init = sn_normal(1)), ids(m, "tokens", c));
}
static void train(sn_scope m, const opts *c) {
  sn_sgd_opt o = {.lr = 1};
  sn_minimize(m, sn_cross_entropy(table_logits(m, c), ids(m, "targets", c)), sn_sgd, &o);
}
static void eval(sn_scope m, const opts *c) {
  sn_output(m, "loss", sn_cross_entropy(table_logits(m, c), ids(m, "targets", c)));
}
/* A teacher with layers and noise of its own, and the names of the student. */
static void logits(sn_scope m, const opts *c) {
  sn_t x = sn_gather(sn_param(m, "table", (c->vocab, 2), .init = sn_normal(1)), ids(m, "tokens", c));
  sn_layers(h, m, "h", c->layers, &x) x = sn_add(x, sn_tanh(sn_linear(h, "fc", x, 2, .init = sn_normal(1))));
  sn_output(m, "logits", sn_linear(m, "head", x, c->vocab, .init = sn_normal(1)));
}
/* What cannot be joined. */
static void two_losses(sn_scope m, const opts *c) {
  sn_t a = table_logits(m, c), t = ids(m, "targets", c);
  sn_minimize(m, sn_add(sn_cross_entropy(a, t), sn_cross_entropy(sn_mul(2, a), t)), sn_sgd, NULL);
}
static void named(sn_scope m, const opts *c) {
  sn_minimize(m, sn_cross_entropy(table_logits(sn_in(m, "teacher"), c), ids(m, "targets", c)), sn_sgd, NULL);
}
SN_MODEL(pair, opts, train, eval, logits, two_losses, named);

static sn_module *build(sn_arena *arena, sn_diags *diags, const char *graphs, const char *set) {
  const char *sets[1] = {set};
  sn_module *m;
  sn_model_opt o = {.graphs = graphs, .set = sets, .set_count = set != NULL, .real = SN_ELEM_F64};
  assert_int_equal(sn_model_build(&sn_model_pair, &o, arena, diags, &m), SN_OK);
  return m;
}

static bench *joined(const char *kind, double temperature, double weight) {
  bench *b = calloc(1, sizeof *b);
  b->arena = sn_arena_create();
  b->diags = sn_diags_create();
  sn_distill_opt o = {.student = build(b->arena, b->diags, "train|eval", NULL),
                      .teacher = build(b->arena, b->diags, "logits", "context=8"),
                      .divergence = kind,
                      .temperature = temperature,
                      .weight = weight,
                      .window = WINDOW};
  bench_check(b, sn_distill_module(&o, b->arena, b->diags, &b->module));
  bench_flatten(b, SN_SCAN_AUTO, 0);
  bench_dim(b, "B", 2);
  bench_dim(b, "T", WINDOW);
  return b;
}

static const double tokens[6] = {0, 1, 2, 3, 0, 1}, targets[6] = {1, 2, 3, 0, 1, 2};

static void softmax(const double *z, double t, double *p) {
  double s = 0;
  for (int i = 0; i < V; i++) s += p[i] = exp(z[i] / t);
  for (int i = 0; i < V; i++) p[i] /= s;
}

/* Logits of the teacher by hand. */
static void teach(const bench *b, int token, double *out) {
  double x[2];
  for (int i = 0; i < 2; i++) x[i] = bench_bound(b, "teacher.table")->value[2 * token + i];
  for (int layer = 0; layer < 2; layer++) {
    const double *w = bench_bound(b, layer ? "teacher.h.1.fc.weight" : "teacher.h.0.fc.weight")->value;
    double y[2] = {x[0] * w[0] + x[1] * w[2], x[0] * w[1] + x[1] * w[3]};
    for (int i = 0; i < 2; i++) x[i] += tanh(y[i]);
  }
  const double *head = bench_bound(b, "teacher.head.weight")->value;
  for (int v = 0; v < V; v++) out[v] = x[0] * head[v] + x[1] * head[V + v];
}

/* One step of SGD with rate 1 takes away the gradient: (p - y) + w t (softmax(z / t) - softmax(teacher / t)) over the
 * rows that look a token up. */
static void the_update_is_the_closed_form(void **state) {
  (void)state;
  const double t = 2, weight = .5;
  bench *b = joined("forward", t, weight);
  bench_give(b, "tokens", 6, tokens);
  bench_give(b, "targets", 6, targets);
  bench_fill(b, sn_module_find(b->module, "train"));
  double before[V * V], want[V * V], z[V], p[V], soft[V], other[V], kd = 0, ce = 0;
  memcpy(before, bench_bound(b, "table")->value, sizeof before);
  memcpy(want, before, sizeof want);
  for (int r = 0; r < 6; r++) {
    int token = (int)tokens[r], target = (int)targets[r];
    const double *mine = before + token * V;
    teach(b, token, z);
    softmax(mine, 1, p), softmax(mine, t, soft), softmax(z, t, other);
    ce -= log(p[target]) / 6;
    for (int v = 0; v < V; v++) {
      kd += t * t * other[v] * log(other[v] / soft[v]) / 6;
      want[token * V + v] -= ((p[v] - (v == target)) + weight * t * (soft[v] - other[v])) / 6;
    }
  }
  const sn_tensor *frozen = bench_bound(b, "teacher.table");
  bench_run(b, "train");
  for (int i = 0; i < V * V; i++) assert_true(fabs(bench_bound(b, "table")->value[i] - want[i]) < 1e-12);
  assert_ptr_equal(bench_bound(b, "teacher.table"), frozen); /* no update */
  EXPECT(b, "loss", ce);
  EXPECT(b, "kd", kd);
  bench_end(b);
}

/* Without weight the step is that of the student alone; eval is the student's own. */
static void no_weight_is_no_teacher(void **state) {
  (void)state;
  bench *a = joined("jsd", 1, 0), *b = bench_begin(&sn_model_pair, "train|eval", "", SN_ELEM_F64);
  bench_dim(b, "B", 2);
  bench_dim(b, "T", WINDOW);
  bench *both[2] = {a, b};
  for (int i = 0; i < 2; i++) {
    bench_give(both[i], "tokens", 6, tokens);
    bench_give(both[i], "targets", 6, targets);
    bench_run(both[i], "train");
    bench_run(both[i], "eval");
  }
  for (int i = 0; i < V * V; i++) assert_true(bench_bound(a, "table")->value[i] == bench_bound(b, "table")->value[i]);
  assert_true(bench_output(a, "loss")->value[0] == bench_output(b, "loss")->value[0]);
  bench_end(a);
  bench_end(b);
}

static void refused(sn_arena *arena, const sn_module *student, const sn_module *teacher, int64_t window,
                    const char *message) {
  sn_diags *d = sn_diags_create();
  sn_module *m;
  sn_distill_opt o = {student, teacher, "forward", 1, 1, window};
  assert_int_equal(sn_distill_module(&o, arena, d, &m), SN_ERR_INPUT);
  if (!strstr(sn_diags_print(d, arena), message)) fail_msg("%s", sn_diags_print(d, arena));
  sn_diags_destroy(d);
}

static void what_does_not_fit_is_refused(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_module *student = build(arena, d, "train", NULL), *teacher = build(arena, d, "logits", NULL),
            *other = build(arena, d, "logits", "vocab=5"), *two = build(arena, d, "two_losses", NULL);
  refused(arena, teacher, teacher, WINDOW, "the student has no graph train");
  refused(arena, student, student, WINDOW, "the teacher has no graph logits");
  refused(arena, student, other, WINDOW, "different vocabularies");
  refused(arena, student, teacher, 7, "the student does not take windows of 7 tokens");
  refused(arena, student, build(arena, d, "logits", "context=2"), WINDOW, "the teacher does not take windows");
  sn_module_find(two, "two_losses")->name = sn_name(two->names, "train");
  refused(arena, two, teacher, WINDOW, "depends on one sn_cross_entropy");
  sn_module *name = build(arena, d, "named", NULL);
  sn_module_find(name, "named")->name = sn_name(name->names, "train");
  refused(arena, name, teacher, WINDOW, "names that begin with teacher.");
  sn_module *m;
  sn_distill_opt o = {.student = student, .teacher = teacher, .divergence = "jsd", .window = WINDOW, .changes = true};
  assert_int_equal(sn_distill_module(&o, arena, d, &m), SN_ERR_INPUT);
  assert_non_null(strstr(sn_diags_print(d, arena), "needs a scalar steps"));
  sn_diags_destroy(d);
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_update_is_the_closed_form),
      cmocka_unit_test(no_weight_is_no_teacher),
      cmocka_unit_test(what_does_not_fit_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
