/* The grad pass: derivatives of small networks against central differences, second derivatives, what is expanded, and
 * what cannot be differentiated. */
#include "tests/ops/support.h"

#include "passes/passes.h"

#define F64 SN_ELEM_F64
#define I32 SN_ELEM_I32

enum { LEAVES = 12 };

/* A graph with parameters and their values. */
typedef struct net {
  world w;
  sn_func *f;
  sn_build b;
  int count;
  sn_binding leaf[LEAVES];
  sn_tensor *value[LEAVES];
  sn_val param[LEAVES];
} net;

static net net_create(void) {
  net n = {.w = world_create()};
  n.f = sn_func_create(n.w.m, "train", SN_FUNC_GRAPH);
  n.b = sn_build_begin(n.f, n.w.diags);
  return n;
}

static sn_val leaf(net *n, sn_op op, const char *name, const sn_type *t) {
  int64_t extent[SN_RANK_MAX];
  sn_rng r = {.seed = (uint64_t)n->count + 1};
  const sn_attr at[4] = {{.set = true, .s = name}, {.set = op == SN_OP_PARAM, .s = "normal"}};
  for (int i = 0; i < t->rank; i++) assert_int_equal(sn_dimx_eval(t->dim[i], NULL, &extent[i]), SN_OK);
  sn_tensor **v = &n->value[n->count];
  assert_int_equal(sn_tensor_create(n->w.arena, t->elem, t->rank, extent, v), SN_OK);
  for (int64_t i = 0; i < (*v)->count; i++) set_value(*v, i, t->elem == I32 ? (double)(i % 3) : sn_rng_normal(&r));
  n->leaf[n->count] = (sn_binding){name, *v};
  return n->param[n->count++] = sn_emit(&n->b, op, 0, NULL, at, t);
}

static sn_val param(net *n, const char *name, const sn_type *t) { return leaf(n, SN_OP_PARAM, name, t); }

static sn_val total(net *n, sn_val x) {
  int64_t all[SN_RANK_MAX];
  for (int i = 0; i < SN_RANK_MAX; i++) all[i] = i;
  return x ? sn_g_sum(&n->b, x, sn_g_type(&n->b, x)->rank, all) : 0;
}

/* sum of squares: a scalar that weighs elements differently */
static sn_val energy(net *n, sn_val x) { return total(n, sn_g2(&n->b, SN_OP_MUL, x, x)); }

/* grad(loss, wrt...); the first result */
static sn_val grad(net *n, sn_val loss, int count, const sn_val *wrt) {
  sn_val arg[LEAVES + 1] = {loss};
  for (int i = 0; i < count; i++) arg[i + 1] = wrt[i];
  return sn_emit(&n->b, SN_OP_GRAD, count + 1, arg, NULL, NULL);
}

static sn_code run_pass(net *n) {
  if (n->b.failed) fail_msg("%s", world_errors(&n->w));
  sn_pass_env env = {.arena = n->w.arena, .diags = n->w.diags};
  n->f = sn_func_finish(n->f);
  sn_code code = sn_pass_grad(n->w.m, &env);
  n->f = sn_module_find(n->w.m, "train");
  return code;
}

static const sn_tensor *output(net *n, const char *name) {
  sn_tensor **v;
  sn_interp in = world_interp(&n->w, RUN_VALUES, 1);
  in.leaf = n->leaf;
  in.leaf_count = n->count;
  if (sn_interp_run(&in, n->f, &v)) fail_msg("%s", world_errors(&n->w));
  for (int i = 0; i < n->f->output_count; i++)
    if (!strcmp(n->f->output[i].name, name)) return v[n->f->output[i].value];
  fail_msg("no output %s", name);
  return NULL;
}

static double loss_at(net *n, sn_tensor *t, int64_t i, double x) {
  double saved = t->value[i];
  t->value[i] = x;
  double l = output(n, "loss")->value[0];
  t->value[i] = saved;
  return l;
}

/* Some elements of one gradient against differences of the loss. */
static void check_param(net *n, int k) {
  const char *name = sn_arena_printf(n->w.arena, "d.%s", n->leaf[k].name);
  const sn_tensor *g = output(n, name);
  for (int64_t i = 0; i < g->count; i += 1 + g->count / 7) {
    double x = n->value[k]->value[i], h = 1e-4 * fmax(1, fabs(x)), d[2];
    for (int s = 0; s < 2; s++) {
      double step = s ? h / 2 : h;
      d[s] = (loss_at(n, n->value[k], i, x + step) - loss_at(n, n->value[k], i, x - step)) / (2 * step);
    }
    double numeric = (4 * d[1] - d[0]) / 3, scale = fmax(1, fabs(numeric));
    if (!(fabs(numeric - g->value[i]) <= 1e-6 * scale))
      fail_msg("%s element %d: differences %.12g, pass %.12g", name, (int)i, numeric, g->value[i]);
  }
}

/* Outputs the loss and its gradients by all parameters, runs the pass, and checks them. */
static void check_net(net *n, sn_val loss) {
  sn_val wrt[LEAVES] = {0};
  int which[LEAVES], count = 0;
  for (int i = 0; i < n->count; i++)
    if (sn_node_of(n->f, n->param[i])->op == SN_OP_PARAM) which[count] = i, wrt[count++] = n->param[i];
  sn_val d = grad(n, loss, count, wrt);
  if (!d) fail_msg("%s", world_errors(&n->w));
  sn_func_output(n->f, "loss", loss);
  for (int i = 0; i < count; i++)
    sn_func_output(n->f, sn_arena_printf(n->w.arena, "d.%s", n->leaf[which[i]].name), d + (sn_val)i);
  if (run_pass(n) || sn_func_verify(n->f, n->w.diags) || sn_ops_check(n->f, n->w.diags))
    fail_msg("%s", world_errors(&n->w));
  for (int i = 0; i < count; i++) check_param(n, which[i]);
}

static int count_ops(const net *n, sn_op op) {
  int count = 0;
  for (int i = 0; i < n->f->node_count; i++) count += n->f->node[i]->op == op;
  return count;
}

static sn_val with(net *n, sn_op op, sn_val x, sn_attr at) {
  const sn_attr attr[SN_ATTR_MAX] = {at};
  return sn_emit(&n->b, op, 1, &x, attr, NULL);
}

/* ---- first derivatives ---- */

static void a_perceptron(void **state) {
  (void)state;
  net n = net_create();
  sn_val x = leaf(&n, SN_OP_INPUT, "x", typed(&n.w, F64, 2, 4, 5)), w1 = param(&n, "w1", typed(&n.w, F64, 2, 5, 7));
  sn_val b1 = param(&n, "b1", typed(&n.w, F64, 1, 7)), w2 = param(&n, "w2", typed(&n.w, F64, 2, 7, 3));
  sn_val ids = leaf(&n, SN_OP_INPUT, "ids", typed(&n.w, I32, 1, 4)),
         unused = param(&n, "unused", typed(&n.w, F64, 1, 3));
  sn_val h = sn_g_contract(&n.b, "bi,ih->bh", x, w1);
  h = sn_g1(&n.b, SN_OP_GELU, sn_g2(&n.b, SN_OP_ADD, h, sn_g_expand_to(&n.b, b1, sn_g_type(&n.b, h))));
  h = with(&n, SN_OP_LAYERNORM, h, (sn_attr){.set = true, .f = 1e-5});
  const sn_val ce[2] = {sn_g_contract(&n.b, "bh,ho->bo", h, w2), ids};
  const sn_attr smooth = {.set = true, .f = 0.1};
  check_net(&n, total(&n, sn_emit(&n.b, SN_OP_CROSS_ENTROPY, 2, ce, &smooth, NULL)));
  assert_int_equal(count_ops(&n, SN_OP_GRAD), 0);
  assert_int_equal(count_ops(&n, SN_OP_GELU), 0);          /* expanded: it has no rule of its own */
  assert_int_equal(count_ops(&n, SN_OP_CROSS_ENTROPY), 1); /* kept */
  const sn_tensor *d = output(&n, "d.unused");
  for (int i = 0; i < 3; i++) assert_true(d->value[i] == 0);
  (void)unused;
  world_destroy(&n.w);
}

static void shared_values_add_up(void **state) {
  (void)state;
  net n = net_create();
  sn_val x = param(&n, "x", typed(&n.w, F64, 2, 3, 4)), s = with(&n, SN_OP_SOFTMAX, x, (sn_attr){.set = true, .i = 0});
  sn_val t = with(&n, SN_OP_LOG_SOFTMAX, x, (sn_attr){.set = true, .i = 1});
  check_net(&n, energy(&n, sn_g2(&n.b, SN_OP_MUL, sn_g2(&n.b, SN_OP_ADD, s, x), sn_g1(&n.b, SN_OP_SILU, t))));
  world_destroy(&n.w);
}

static void by_a_value_in_the_middle(void **state) {
  (void)state;
  net n = net_create();
  sn_val x = param(&n, "x", typed(&n.w, F64, 1, 3)), y = sn_g1(&n.b, SN_OP_EXP, x),
         loss = energy(&n, sn_g2(&n.b, SN_OP_MUL, x, y));
  const sn_val wrt[2] = {y, x};
  sn_val d = grad(&n, loss, 2, wrt);
  sn_func_output(n.f, "dy", d);
  sn_func_output(n.f, "dx", d + 1);
  assert_int_equal(run_pass(&n), SN_OK);
  const sn_tensor *dy = output(&n, "dy"), *dx = output(&n, "dx");
  for (int i = 0; i < 3; i++) { /* loss = x^2 y^2 */
    double v = n.value[0]->value[i], e = exp(v);
    assert_true(fabs(dy->value[i] - 2 * v * v * e) < 1e-12);
    assert_true(fabs(dx->value[i] - (2 * v * e * e + 2 * v * v * e * e)) < 1e-12);
  }
  world_destroy(&n.w);
}

/* The expansion of gelu holds a constant 0.5 of its own; its derivative too. */
static void by_a_constant_that_expansions_use(void **state) {
  (void)state;
  net n = net_create();
  double x = 0.5, slope = exp(-x * x / 2) / sqrt(2 * acos(-1));
  sn_val c = sn_g_const(&n.b, typed(&n.w, F64, 1, 3), x),
         first = grad(&n, total(&n, sn_g1(&n.b, SN_OP_GELU, c)), 1, &c);
  sn_func_output(n.f, "d", first);
  sn_func_output(n.f, "dd", grad(&n, total(&n, first), 1, &c));
  assert_int_equal(run_pass(&n), SN_OK);
  const sn_tensor *d = output(&n, "d"), *dd = output(&n, "dd");
  for (int i = 0; i < 3; i++) { /* gelu' = P + x p, gelu'' = (2 - x^2) p */
    assert_true(fabs(d->value[i] - (0.5 * erfc(-x / sqrt(2)) + x * slope)) < 1e-12);
    assert_true(fabs(dd->value[i] - (2 - x * x) * slope) < 1e-12);
  }
  world_destroy(&n.w);
}

/* ---- attention ---- */

static sn_val site(sn_build *b, int i, const sn_type *t) {
  const sn_attr at = {.set = true, .i = i};
  return sn_emit(b, SN_OP_ARG, 0, NULL, &at, t);
}

/* score: tanh(s) * gain[head]; mask: causal. */
static sn_val attention(net *n, const sn_val *qkv, sn_val gain, bool weights) {
  sn_build s = sn_build_begin(sn_func_create(n->w.m, "score", SN_FUNC_BODY), n->w.diags);
  sn_build m = sn_build_begin(sn_func_create(n->w.m, "mask", SN_FUNC_BODY), n->w.diags);
  const sn_type *at = typed(&n->w, I32, 0), *real = typed(&n->w, F64, 0);
  sn_val x[6], y[4];
  for (int i = 0; i < 5; i++) x[i] = site(&s, i, i ? at : real);
  for (int i = 0; i < 4; i++) y[i] = site(&m, i, at);
  sn_val v = sn_g1(&s, SN_OP_TANH, x[0]);
  if (gain) {
    const sn_val pick[2] = {site(&s, 5, sn_g_type(&n->b, gain)), x[2]};
    v = sn_g2(&s, SN_OP_MUL, v, sn_emit(&s, SN_OP_INDEX, 2, pick, NULL, NULL));
  }
  sn_func_return(s.func, v);
  sn_func_return(m.func, sn_g2(&m, SN_OP_LE, y[3], y[2]));
  const sn_val arg[4] = {qkv[0], qkv[1], qkv[2], gain};
  sn_attr attr[SN_ATTR_MAX] = {
      {.set = true, .f = 0.6}, {0}, {.set = true, .region = s.func}, {.set = true, .region = m.func}};
  attr[sn_op_attr(SN_OP_ATTENTION, "weights")] = (sn_attr){.set = weights, .i = weights};
  return sn_emit(&n->b, SN_OP_ATTENTION, gain ? 4 : 3, arg, attr, NULL);
}

static void make_qkv(net *n, sn_val *out) {
  out[0] = param(n, "q", typed(&n->w, F64, 4, 2, 3, 4, 2));
  out[1] = param(n, "k", typed(&n->w, F64, 4, 2, 3, 2, 2));
  out[2] = param(n, "v", typed(&n->w, F64, 4, 2, 3, 2, 3));
}

static void attention_keeps_its_structure(void **state) {
  (void)state;
  net n = net_create();
  sn_val qkv[3];
  make_qkv(&n, qkv);
  check_net(&n, energy(&n, attention(&n, qkv, 0, false)));
  assert_int_equal(count_ops(&n, SN_OP_ATTENTION), 1);
  assert_int_equal(count_ops(&n, SN_OP_ATTENTION_GRAD), 1);
  world_destroy(&n.w);
}

static void captured_tensors_get_their_gradient(void **state) {
  (void)state;
  net n = net_create();
  sn_val qkv[3];
  make_qkv(&n, qkv);
  sn_val gain = param(&n, "gain", typed(&n.w, F64, 1, 4));
  check_net(&n, energy(&n, attention(&n, qkv, gain, false)));
  assert_int_equal(count_ops(&n, SN_OP_ATTENTION), 1);
  assert_int_equal(count_ops(&n, SN_OP_ATTENTION_GRAD), 1);
  world_destroy(&n.w);
}

static void the_lse_of_attention_has_a_gradient(void **state) {
  (void)state;
  net n = net_create();
  sn_val qkv[3];
  make_qkv(&n, qkv);
  sn_val y = attention(&n, qkv, 0, false);
  check_net(&n, sn_g2(&n.b, SN_OP_ADD, energy(&n, y), energy(&n, y + 1)));
  assert_int_equal(count_ops(&n, SN_OP_ATTENTION), 1);
  assert_int_equal(count_ops(&n, SN_OP_ATTENTION_GRAD), 1);
  world_destroy(&n.w);
}

/* Of the results of scores that are weights: the values, their sum, both. */
static void attention_by_weights_has_a_gradient(void **state) {
  (void)state;
  for (int of = 1; of < 4; of++) {
    net n = net_create();
    sn_val qkv[3];
    make_qkv(&n, qkv);
    sn_val y = attention(&n, qkv, 0, true), first = energy(&n, y), second = energy(&n, y + 1);
    check_net(&n, of == 3 ? sn_g2(&n.b, SN_OP_ADD, first, second) : of == 2 ? second : first);
    assert_int_equal(count_ops(&n, SN_OP_ATTENTION_GRAD), 1);
    world_destroy(&n.w);
  }
}

static void values_that_are_the_keys(void **state) {
  (void)state;
  net n = net_create();
  sn_val q = param(&n, "q", typed(&n.w, F64, 4, 2, 3, 4, 2)), k = param(&n, "k", typed(&n.w, F64, 4, 2, 3, 2, 2));
  const sn_val qkv[3] = {q, k, k};
  const sn_attr attr[SN_ATTR_MAX] = {{.set = true, .f = 0.6}};
  sn_val y = sn_emit(&n.b, SN_OP_ATTENTION, 3, qkv, attr, NULL);
  check_net(&n, energy(&n, y + 1));
  assert_int_equal(count_ops(&n, SN_OP_ATTENTION_GRAD), 1);
  world_destroy(&n.w);
}

/* ---- second derivatives: the loss is the energy of a gradient ---- */

static void check_second(net *n, sn_val x, sn_val inner) { check_net(n, energy(n, grad(n, inner, 1, &x))); }

static void second_derivatives(void **state) {
  (void)state;
  static const sn_op ops[] = {SN_OP_TANH, SN_OP_GELU, SN_OP_SIGMOID, SN_OP_SOFTMAX, SN_OP_LAYERNORM};
  for (int k = 0; k < 5; k++) {
    net n = net_create();
    sn_attr at = {.set = true};
    if (ops[k] == SN_OP_LAYERNORM) at.f = 0.1;
    if (ops[k] == SN_OP_SOFTMAX) at.i = 1;
    sn_val x = param(&n, "x", typed(&n.w, F64, 2, 3, 4));
    check_second(&n, x, energy(&n, with(&n, ops[k], x, at)));
    world_destroy(&n.w);
  }
}

static void a_second_derivative_of_attention(void **state) {
  (void)state;
  net n = net_create();
  sn_val qkv[3];
  make_qkv(&n, qkv);
  check_second(&n, qkv[1], energy(&n, attention(&n, qkv, 0, false)));
  assert_int_equal(count_ops(&n, SN_OP_ATTENTION_GRAD), 0);
  world_destroy(&n.w);
}

/* ---- constants and refusals ---- */

static void stops_and_choices_pass_no_gradient(void **state) {
  (void)state;
  net n = net_create();
  sn_val x = param(&n, "x", typed(&n.w, F64, 1, 4)), s = sn_g1(&n.b, SN_OP_STOP, x);
  sn_val loss = total(&n, sn_g2(&n.b, SN_OP_MUL, s, sn_g1(&n.b, SN_OP_SIGN, x)));
  sn_func_output(n.f, "d", grad(&n, loss, 1, &x));
  assert_int_equal(run_pass(&n), SN_OK);
  const sn_tensor *d = output(&n, "d");
  for (int i = 0; i < 4; i++) assert_true(d->value[i] == 0);
  world_destroy(&n.w);
}

static void a_path_without_gradient_is_named(void **state) {
  (void)state;
  net n = net_create();
  static const sn_loc at_w = {.file = "model.c", .line = 12}, at_call = {.file = "model.c", .line = 41};
  const sn_type *t = typed(&n.w, F64, 1, 3);
  sn_build body = sn_build_begin(sn_func_create(n.w.m, "body", SN_FUNC_BODY), n.w.diags);
  sn_func_return(body.func, sn_g1(&body, SN_OP_EXP, site(&body, 0, t)));
  n.b.origin = (sn_origin){.locs = &at_w, .loc_count = 1};
  sn_val w = param(&n, "w", t), x = sn_g1(&n.b, SN_OP_NEG, w);
  n.b.origin = (sn_origin){.locs = &at_call, .loc_count = 1};
  const sn_attr attr[2] = {{.set = true, .region = body.func}, {.set = true, .s = "h"}};
  sn_val loss = total(&n, sn_emit(&n.b, SN_OP_CALL, 1, &x, attr, NULL));
  sn_func_output(n.f, "d", grad(&n, loss, 1, &w));
  assert_int_equal(run_pass(&n), SN_ERR_INPUT);
  const sn_diag *d = &n.w.diags->at[0];
  assert_string_equal(d->message, "no gradient passes `call`: calls are inlined before gradients are made");
  assert_int_equal(d->loc.line, 41);
  assert_non_null(strstr(d->note, "from param \"w\" (model.c:12) to sum (model.c:41)"));
  world_destroy(&n.w);
}

static void only_floats_are_differentiated_by(void **state) {
  (void)state;
  net n = net_create();
  sn_val i = leaf(&n, SN_OP_INPUT, "i", typed(&n.w, I32, 1, 3));
  assert_int_equal(grad(&n, energy(&n, sn_g_cast(&n.b, i, F64)), 1, &i), 0);
  assert_string_equal(n.w.diags->at[0].expected, "a float tensor to differentiate by");
  assert_string_equal(n.w.diags->at[0].found, "i32[3]");
  world_destroy(&n.w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_perceptron),
      cmocka_unit_test(shared_values_add_up),
      cmocka_unit_test(by_a_value_in_the_middle),
      cmocka_unit_test(by_a_constant_that_expansions_use),
      cmocka_unit_test(attention_keeps_its_structure),
      cmocka_unit_test(captured_tensors_get_their_gradient),
      cmocka_unit_test(the_lse_of_attention_has_a_gradient),
      cmocka_unit_test(attention_by_weights_has_a_gradient),
      cmocka_unit_test(values_that_are_the_keys),
      cmocka_unit_test(second_derivatives),
      cmocka_unit_test(a_second_derivative_of_attention),
      cmocka_unit_test(stops_and_choices_pass_no_gradient),
      cmocka_unit_test(a_path_without_gradient_is_named),
      cmocka_unit_test(only_floats_are_differentiated_by),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
