/* Layers: bodies are shared when equal, captures and states find their way out, names follow the layer. */
#include "support.h"

#include <math.h>

SN_SETTINGS(opts, (int, n, 3, "layers"));

static sn_t input(sn_scope m) { return sn_input(m, "in", SN_REAL, (2)); }
static sn_t weight(sn_scope m, const char *name, double value) {
  return sn_param(m, name, (2), .init = sn_fill(value));
}

static void equal(sn_scope m, const opts *c) {
  sn_t x = input(m), e = sn_mul(x, 10), z = x;
  sn_layers(h, m, "h", c->n, &x, &z) {
    x = sn_add(sn_mul(x, weight(h, "w", 2)), e); /* e is captured */
    z = sn_add(z, sn_layer(h) >= 0);
  }
  sn_output(m, "x", x);
  sn_output(m, "z", z);
}

static void unequal(sn_scope m, const opts *c) {
  sn_t x = input(m);
  sn_layers(h, m, "h", c->n, &x) x = sn_layer(h) % 2 ? sn_neg(x) : sn_add(x, weight(h, "w", 1));
  sn_output(m, "x", x);
}

static void nested(sn_scope m, const opts *c) {
  sn_t x = input(m), one = sn_scalar(m, "one", SN_REAL, 1);
  sn_layers(h, m, "h", c->n, &x) {
    sn_scope deep = sn_in(h, "deep");
    sn_layers(g, deep, "g", 2, &x) x = sn_add(sn_mul(x, weight(g, "w", .5)), one);
  }
  sn_output(m, "x", x);
}

/* One weight for all layers: it belongs to the outer scope. */
static void shared(sn_scope m, const opts *c) {
  sn_t x = input(m);
  sn_layers(h, m, "h", c->n, &x) {
    (void)h;
    x = sn_mul(x, weight(m, "w", 3));
  }
  sn_output(m, "x", x);
}

/* A state per layer, also in layers of layers: it counts the runs. */
static void states(sn_scope m, const opts *c) {
  sn_t x = input(m);
  sn_layers(h, m, "h", c->n, &x) {
    sn_layers(g, h, "g", 2, &x) {
      sn_t old = sn_state(g, "runs", (2));
      x = sn_add(x, sn_update(old, sn_add(old, 1)));
    }
  }
  sn_output(m, "x", x);
}

/* Invariant work inside a layer is done once, outside. */
static void hoisted(sn_scope m, const opts *c) {
  sn_t x = input(m), y = x;
  sn_layers(h, m, "h", c->n, &y) y = sn_add(y, sn_mul(weight(h, "w", 1), sn_exp(x)));
  sn_output(m, "y", y);
}

static sn_t lora(sn_scope m, sn_t x, sn_t y, const void *opt) {
  sn_t a = sn_linear(m, "lora_a", x, *(const int *)opt, .init = sn_fill(1));
  return sn_add(y, sn_linear(m, "lora_b", a, 2, .init = sn_fill(1)));
}
static void hooked(sn_scope m, const opts *c) {
  (void)c;
  const int rank = 1;
  sn_scope base = sn_in(m, "base", .frozen = true, .hook = lora, .hook_on = "*q", .hook_opt = &rank);
  sn_t x = sn_input(m, "x2", SN_REAL, (1, 2));
  sn_t q = sn_linear(base, "q", x, 2, .init = sn_fill(1)), k = sn_linear(base, "k", x, 2, .init = sn_fill(1));
  sn_output(m, "q", q);
  sn_output(m, "k", k);
  sn_minimize(m, sn_sum(sn_add(q, k), "ab->"), sn_sgd, NULL);
}

/* A layer that returns what it was given, and one that swaps. */
static void through(sn_scope m, const opts *c) {
  sn_t x = input(m), y = sn_mul(x, 2);
  sn_layers(h, m, "h", c->n, &x, &y) {
    (void)h;
    sn_t t = x;
    x = y;
    y = t;
  }
  sn_output(m, "x", x);
  sn_output(m, "y", y);
}

SN_MODEL(layered, opts, equal, unequal, nested, shared, states, hoisted, hooked, through);

static bench *begin(const char *graph) { return bench_begin(&sn_model_layered, graph, NULL, SN_ELEM_F32); }

/* Text of a graph before it is made flat. */
static const char *text_of(const char *graph, sn_arena *arena) {
  sn_diags *d = sn_diags_create();
  sn_module *m;
  assert_int_equal(sn_model_build(&sn_model_layered, &(sn_model_opt){.graphs = graph}, arena, d, &m), SN_OK);
  sn_text t = sn_text_begin(arena);
  sn_module_print(&t, m, (sn_print_opt){0});
  sn_diags_destroy(d);
  return t.at;
}

static int count_of(const char *text, const char *word) {
  int n = 0;
  for (const char *s = text; (s = strstr(s, word)); s++) n++;
  return n;
}

static void test_sharing(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  const char *t = text_of("equal", arena);
  assert_int_equal(count_of(t, "\nbody @"), 1);
  assert_int_equal(count_of(t, " call "), 3);
  assert_non_null(strstr(t, "\"h.*.w\""));
  t = text_of("unequal", arena);
  assert_int_equal(count_of(t, "\nbody @"), 2);
  t = text_of("nested", arena);
  assert_int_equal(count_of(t, "\nbody @"), 2);
  assert_non_null(strstr(t, "with \"h.*.deep.g.1\""));
  assert_non_null(strstr(t, "\"h.*.deep.g.*.w\""));
  t = text_of("hoisted", arena);
  assert_int_equal(count_of(t, "exp"), 1);
  assert_true(strstr(t, "exp") > strstr(t, "graph @"));
  sn_arena_destroy(arena);
}

static void test_values(void **state) {
  (void)state;
  bench *b = begin("equal");
  GIVE(b, "in", 1, -1);
  bench_run(b, "equal");
  EXPECT(b, "x", 78, -78); /* 2 (2 (2 + 10) + 10) + 10 */
  EXPECT(b, "z", 4, 2);
  bench_end(b);
  b = begin("unequal");
  GIVE(b, "in", 1, -1);
  bench_run(b, "unequal");
  EXPECT(b, "x", -1, 1);
  bench_end(b);
  b = begin("nested");
  GIVE(b, "in", 64, 0);
  GIVE(b, "h.1.deep.g.1.w", 1, 1);
  bench_run(b, "nested");
  EXPECT(b, "x", 1 + .5 * (1 + .5 * (1 + (1 + .5 * (1 + .5 * 33)))), 1 + .5 * (1 + .5 * (1 + (1 + .5 * (1 + .5 * 1)))));
  bench_end(b);
  b = begin("shared");
  GIVE(b, "in", 1, -1);
  bench_run(b, "shared");
  EXPECT(b, "x", 27, -27);
  bench_end(b);
  b = begin("through");
  GIVE(b, "in", 1, -1);
  bench_run(b, "through");
  EXPECT(b, "x", 2, -2);
  EXPECT(b, "y", 1, -1);
  bench_end(b);
}

static void test_states(void **state) {
  (void)state;
  bench *b = begin("states");
  GIVE(b, "in", 0, 1);
  bench_run(b, "states");
  EXPECT(b, "x", 6, 7);
  bench_run(b, "states");
  EXPECT(b, "x", 12, 13);
  assert_int_equal(b->func->update_count, 6);
  assert_non_null(bench_bound(b, "h.2.g.1.runs"));
  bench_end(b);
}

static void test_hook(void **state) {
  (void)state;
  bench *b = begin("hooked");
  GIVE(b, "x2", 1, 2);
  bench_run(b, "hooked");
  EXPECT(b, "q", 6, 6); /* 3 + 1 * (1 * 3) */
  EXPECT(b, "k", 3, 3);
  assert_int_equal(b->func->update_count, 3); /* lora_a, lora_b, step */
  assert_non_null(bench_leaf(b, "base.q.lora_a.weight"));
  assert_int_equal(sn_node_attr(bench_leaf(b, "base.q.weight"), "frozen")->i, 1);
  bench_end(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sharing),
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_states),
      cmocka_unit_test(test_hook),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
