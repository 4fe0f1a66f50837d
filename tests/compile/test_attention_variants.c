/* Every variant of models/attention in f64: values against nested loops, gradients by all inputs and parameters against
 * central differences of those. */
#include "tests/frontend/support.h" /* before sinter.h: see there */

#include "tests/compile/harness_attention.h"

#include <math.h>

/* ---- data
 * -------------------------------------------------------------------------------------------------------------- */

static void add_field(oracle *o, const char *name, const sn_tensor *t) {
  assert_true(o->field_count < 32);
  o->field[o->field_count++] = (oracle_field){name, (int)t->count, t->value};
}

/* A random tree in each sequence, parents before children: the subtree of a node as an interval. */
static void draw_tree(const oracle *o, sn_rng *r, double *parent, double *enter, double *leave) {
  for (int b = 0; b < o->B; b++) {
    double *p = parent + b * o->T, size[64];
    for (int i = 0; i < o->T; i++) p[i] = i ? (double)sn_rng_below(r, (uint64_t)i) : -1;
    for (int i = 0; i < o->T; i++) size[i] = 1;
    for (int i = o->T - 1; i > 0; i--) size[(int)p[i]] += size[i];
    for (int i = 0; i < o->T; i++) {
      double from = i ? enter[b * o->T + (int)p[i]] + 1 : 0;
      for (int n = 1; n < i; n++) from += p[n] == p[i] ? size[n] : 0; /* elder brothers */
      enter[b * o->T + i] = from;
      leave[b * o->T + i] = from + size[i];
    }
  }
}

/* Elements of a leaf by its name and type. */
static void draw(const oracle *o, sn_rng *r, const char *name, sn_tensor *t) {
  for (int64_t i = 0; i < t->count; i++) {
    double x = sn_rng_normal(r);
    if (!strcmp(name, "r1") || !strcmp(name, "r2")) x = .2 + fabs(x); /* of kerple: positive */
    if (!sn_elem_is_float(t->elem)) x = (double)sn_rng_below(r, (uint64_t)o->T);
    if (!strcmp(name, "rank")) {
      int64_t at = i / o->T * o->T + (int64_t)sn_rng_below(r, (uint64_t)(i % o->T) + 1);
      x = t->value[at]; /* a permutation */
      t->value[at] = (double)(i % o->T);
      if (at == i) x = (double)(i % o->T);
    }
    bench_set(t, i, x);
  }
}

static void draw_all(bench *b, oracle *o, uint64_t seed) {
  const sn_func *f = sn_module_find(b->module, "gradients");
  sn_rng r = {.seed = seed + 100};
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    const char *name = sn_leaf_name(n);
    if (!name || !strcmp(name, "seed") || !strcmp(name, "step")) continue;
    sn_tensor *t = bench_tensor(b, n->type[0]);
    draw(o, &r, name, t);
    bench_bind(b, name, t);
    add_field(o, name, t);
  }
  if (!oracle_get(o, "enter")) return;
  double *parent = SN_ARRAY(b->arena, o->B * o->T, double);
  draw_tree(o, &r, parent, oracle_get(o, "enter"), oracle_get(o, "leave"));
  o->field[o->field_count++] = (oracle_field){"parent", o->B * o->T, parent};
}

/* ---- against nested loops
 * ------------------------------------------------------------------------------------------------ */

static double largest(const double *x, int64_t count) {
  double most = 0;
  for (int64_t i = 0; i < count; i++) most = fmax(most, fabs(x[i]));
  return most;
}

static void check_values(const attention_variant *v, const oracle *o, const sn_tensor *y) {
  double *want = calloc((size_t)y->count, sizeof *want);
  assert_int_equal(y->count, o->B * o->T * o->H * o->e);
  v->reference(o, want);
  double most = largest(want, y->count);
  for (int64_t i = 0; i < y->count; i++)
    if (!(fabs(y->value[i] - want[i]) <= 1e-10 * (1 + most)))
      fail_msg("%s %s T=%d: y[%d] is %.12g, not %.12g", v->model->name, o->set, o->T, (int)i, y->value[i], want[i]);
  free(want);
}

static double loss(const attention_variant *v, const oracle *o, int count, double *y) {
  const double *w = oracle_get(o, "w");
  double sum = 0;
  v->reference(o, y);
  for (int i = 0; i < count; i++) sum += w[i] * y[i];
  return sum;
}

/* The central difference of the loss by x[i]; y: scratch. */
static double slope(const attention_variant *v, const oracle *o, double *x, int64_t i, double h, int count, double *y) {
  double at = x[i], up, down;
  x[i] = at + h;
  up = loss(v, o, count, y);
  x[i] = at - h;
  down = loss(v, o, count, y);
  x[i] = at;
  return (up - down) / (2 * h);
}

/* A sample of the elements. Where a choice of keys changes within the step, a smaller one is taken. */
static void check_gradient(const attention_variant *v, const oracle *o, const char *name, const sn_tensor *found) {
  int count = o->B * o->T * o->H * o->e;
  double *x = oracle_get(o, name), *y = malloc(sizeof *y * (size_t)count), most = largest(found->value, found->count);
  assert_non_null(x);
  for (int64_t i = 0; i < found->count; i += 1 + found->count / 48) {
    double error = fabs(slope(v, o, x, i, 1e-5, count, y) - found->value[i]);
    if (error > 1e-6 * most + 1e-9) error = fabs(slope(v, o, x, i, 1e-7, count, y) - found->value[i]) - 1e-7;
    if (!(error <= 1e-6 * most + 1e-9))
      fail_msg("%s %s T=%d: d loss / d %s[%d] is %.10g, not %.10g", v->model->name, o->set, o->T, name, (int)i,
               found->value[i], slope(v, o, x, i, 1e-5, count, y));
  }
  free(y);
}

static void check_oracle(const attention_variant *v, uint64_t seed) {
  sn_arena *arena = sn_arena_create();
  oracle o = attention_case(v, seed, arena);
  bench *b = bench_begin(v->model, "forward|gradients", o.set, SN_ELEM_F64);
  attention_dims(b->module->types, &o, b->dims);
  draw_all(b, &o, seed);
  b->func = sn_module_find(b->module, "gradients");
  bench_run(b, "gradients");
  for (int i = 0; i < b->func->output_count; i++) /* what was drawn in the graph */
    if (!oracle_get(&o, b->func->output[i].name))
      add_field(&o, b->func->output[i].name, b->values[b->func->output[i].value]);
  check_values(v, &o, bench_output(b, "y"));
  for (int i = 0, n = 0; i < b->func->output_count; i++) {
    const char *name = b->func->output[i].name;
    if (!strncmp(name, "grad.", 5)) check_gradient(v, &o, name + 5, bench_output(b, name)), n++;
    if (i == b->func->output_count - 1) assert_true(n >= 2);
  }
  bench_run(b, "forward");
  bench_end(b);
  sn_arena_destroy(arena);
}

static void values_and_gradients_are_those_of_the_papers(void **state) {
  (void)state;
  for (int i = 0; i < attention_variant_count; i++)
    for (uint64_t seed = 0; seed < 3; seed++) check_oracle(&attention_variants[i], seed + 7 * (uint64_t)i);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_and_gradients_are_those_of_the_papers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
