/* Ops of the user's own: values, the user's gradient instead of the true one, second derivatives, captures, layers. */
#include "support.h"

#include <math.h>

#include "ir/ops/ops.h"

SN_SETTINGS(opts, (int, width, 2, "features"));

/* Eight-bit rounding (half up) with a straight-through gradient, stopped where the value was clipped. */
static sn_t quant(const sn_t x[], const void *opt) {
  (void)opt;
  sn_t q = sn_clamp(sn_add(sn_div(x[0], x[1]), 128.5), 0, 255);
  return sn_mul(sn_sub(sn_cast(sn_cast(q, SN_I32), SN_REAL), 128), x[1]);
}
static void quant_grad(const sn_t x[], sn_t y, sn_t dy, sn_t dx[], const void *opt) {
  (void)y, (void)opt;
  dx[0] = sn_mul(dy, sn_cast(sn_within(sn_div(x[0], x[1]), -128, 127.5), SN_REAL));
}
static void int8(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "x", SN_REAL, (3)), step = sn_input(m, "step", SN_REAL, ()), dx, dstep;
  (void)c;
  sn_t y = sn_custom("int8", quant, quant_grad, (x, step), NULL);
  sn_output(m, "y", y);
  sn_grad(sn_sum(sn_mul(y, x), "a->"), (x, step), (&dx, &dstep));
  sn_output(m, "dx", dx);
  sn_output(m, "dstep", dstep);
}

/* The cube, with a gradient that is the true one, written with y: 3 y / x. */
static sn_t cube(const sn_t x[], const void *opt) { return (void)opt, sn_mul(sn_mul(x[0], x[0]), x[0]); }
static void cube_grad(const sn_t x[], sn_t y, sn_t dy, sn_t dx[], const void *opt) {
  (void)opt;
  dx[0] = sn_mul(dy, sn_div(sn_mul(3, y), x[0]));
}
static void second(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "x", SN_REAL, ()), g, gg;
  (void)c;
  sn_grad(sn_custom("cube", cube, cube_grad, (x), NULL), (x), (&g));
  sn_output(m, "first", g);
  sn_grad(g, (x), (&gg));
  sn_output(m, "second", gg);
}

/* Both functions see a tensor of the layer; the gradient is twice the true one and holds an op that is expanded. */
typedef struct {
  sn_t w;
} weights;
static sn_t scaled(const sn_t x[], const void *opt) { return sn_mul(((const weights *)opt)->w, x[0]); }
static void scaled_grad(const sn_t x[], sn_t y, sn_t dy, sn_t dx[], const void *opt) {
  (void)x, (void)y;
  dx[0] = sn_mul(sn_sub(dy, sn_gelu(sn_neg(dy))), sn_mul(2, ((const weights *)opt)->w));
}
static void layers(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "x", SN_REAL, (c->width)), y = x, g;
  sn_layers(h, m, "h", 2, &y) {
    weights o = {sn_param(h, "w", (c->width), .init = sn_fill(3))};
    y = sn_custom("scaled", scaled, scaled_grad, (y), &o);
  }
  sn_output(m, "y", y);
  sn_grad(sn_sum(y, "a->"), (x), (&g));
  sn_output(m, "g", g);
}

/* Without a gradient function nothing flows. */
static void constant(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "x", SN_REAL, ()), g;
  (void)c;
  sn_grad(sn_add(sn_custom("cube", cube, NULL, (x), NULL), x), (x), (&g));
  sn_output(m, "g", g);
}

SN_MODEL(customs, opts, int8, second, layers, constant);

static bench *begin(const char *graph) { return bench_begin(&sn_model_customs, graph, NULL, SN_ELEM_F64); }

static void test_int8(void **state) {
  (void)state;
  bench *b = begin("int8");
  GIVE(b, "x", 1.3, -70, .24);
  GIVE(b, "step", .5);
  bench_run(b, "int8");
  EXPECT(b, "y", 1.5, -64, 0);
  EXPECT(b, "dx", 1.5 + 1.3, -64, .24); /* y, and x where it was not clipped */
  EXPECT(b, "dstep", 0);
  bench_end(b);
}

static void test_second(void **state) {
  (void)state;
  bench *b = begin("second");
  GIVE(b, "x", 2);
  bench_run(b, "second");
  EXPECT(b, "first", 12);
  EXPECT(b, "second", 12);
  bench_end(b);
}

static void test_layers(void **state) {
  (void)state;
  bench *b = begin("layers");
  GIVE(b, "x", 1, -1);
  bench_run(b, "layers");
  EXPECT(b, "y", 9, -9);
  double d = 1; /* through both layers: d -> 6 (d - gelu(-d)) */
  for (int i = 0; i < 2; i++) d = 6 * (d + d / 2 * erfc(d / sqrt(2)));
  EXPECT(b, "g", d, d);
  bench_end(b);
}

static void test_constant(void **state) {
  (void)state;
  bench *b = begin("constant");
  GIVE(b, "x", 2);
  bench_run(b, "constant");
  EXPECT(b, "g", 1);
  bench_end(b);
}

/* Custom ops of a graph: one before the pipeline, none after it. */
static void test_inlined(void **state) {
  (void)state;
  bench *b = begin("second");
  sn_target target = sn_target_cpu(SN_ISA_BASELINE);
  sn_pass_env env = {.arena = b->arena, .diags = b->diags, .target = &target};
  sn_text t = sn_text_begin(b->arena);
  sn_module_print(&t, b->module, (sn_print_opt){0});
  assert_non_null(strstr(t.at, "custom %1 name \"cube\" inputs 1 body @cube grad @cube.grad wrt [0] : f64[]"));
  sn_module *back;
  bench_check(b, sn_module_parse(b->arena, b->diags, "again", t.at, strlen(t.at), &back));
  for (int i = 0; i < back->func_count; i++) bench_check(b, sn_ops_check(back->func[i], b->diags));
  bench_check(b, sn_pipeline_run(back, &env, NULL, NULL, NULL));
  sn_text after = sn_text_begin(b->arena);
  sn_module_print(&after, back, (sn_print_opt){0});
  assert_null(strstr(after.at, "custom"));
  bench_end(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_int8), cmocka_unit_test(test_second),
                                     cmocka_unit_test(test_layers), cmocka_unit_test(test_constant),
                                     cmocka_unit_test(test_inlined)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
