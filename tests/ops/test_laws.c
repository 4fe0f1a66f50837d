/* The laws of ops, in one loop over the op table: samples are accepted and print and parse back; gradients agree with
 * central differences; error bounds contain executions in the declared types; and a wrong rule would be noticed. */
#include "tests/ops/support.h"

#include "ir/graph/text.h"
#include "ir/ops/sample.h"

enum { SAMPLES = 12, ELEMENTS = 6, ORDERS = 3 };

static world with_symbols(void) {
  world w = world_create();
  bool conflict = false;
  sn_dimx_symbol(w.m->types, "B", 1, 8, 1, &conflict);
  sn_dimx_symbol(w.m->types, "T", 1, 64, 1, &conflict);
  w.dims[0] = 2;
  w.dims[1] = 3;
  return w;
}

/* A value of the domain. */
static double draw_value(world *w, sn_rng *r, sn_elem e, const sn_sample_domain *d) {
  int64_t hi = (int64_t)d->hi, lo = (int64_t)d->lo;
  if (d->below) assert_int_equal(sn_dimx_eval(d->below, w->dims, &hi), SN_OK);
  if (!sn_elem_is_float(e)) return (double)(lo + (int64_t)sn_rng_below(r, (uint64_t)(hi - lo)));
  double v = d->lo + (d->hi - d->lo) * sn_rng_f64(r);
  if (fabs(v) < d->gap) v = v < 0 ? v - d->gap : v + d->gap;
  return as_elem(e, v);
}

/* A body of one node: the op on a sample. -> its first result */
static sn_val sampled(world *w, sn_op op, sn_elem real, uint64_t seed, sn_sample *s) {
  sn_rng r = {.seed = seed, .stream = (uint64_t)op};
  sn_val arg[SN_SAMPLE_ARGS];
  *s = (sn_sample){.real = real};
  assert_int_equal(sn_op_sample(&r, w->m, op, s), SN_OK);
  for (int i = 0; i < s->arg_count; i++) {
    arg[i] = world_arg(w, s->arg[i]);
    sn_tensor *t = w->arg[i];
    for (int64_t k = 0; k < t->count; k++) set_value(t, k, draw_value(w, &r, t->elem, &s->domain[i]));
  }
  sn_val v = sn_emit(&w->b, op, s->arg_count, arg, s->attr, s->leaf);
  if (!v) fail_msg("`%s`, sample %d: %s", sn_op_get(op)->name, (int)seed, world_errors(w));
  return v;
}

static bool is_leaf(sn_op op) { return sn_op_get(op)->cls == SN_CLASS_LEAF; }

/* ---- completeness ---- */

static void every_op_has_its_rules(void **state) {
  (void)state;
  for (int op = 1; op < SN_OP_COUNT; op++) {
    const sn_op_info *info = sn_op_get((sn_op)op);
    const sn_op_rules *r = sn_op_rules_of((sn_op)op);
    assert_non_null(r);
    assert_non_null(r->infer);
    assert_non_null(r->doc);
    assert_int_equal(info->cls == SN_CLASS_EXPAND, r->expand != NULL);
    if (!r->grad && !r->expand && !r->why_no_grad) fail_msg("`%s` has neither gradient nor reason", info->name);
    if ((info->flags & SN_FLAG_NODIFF) && r->grad)
      fail_msg("`%s` is constant for gradients but has a rule", info->name);
  }
}

/* ---- types, text ---- */

static const char *text_of(sn_arena *arena, const sn_module *m) {
  sn_text t = sn_text_begin(arena);
  sn_module_print(&t, m, (sn_print_opt){0});
  return t.at;
}

static void samples_are_valid_and_print(void **state) {
  (void)state;
  for (int op = 1; op < SN_OP_COUNT; op++)
    for (uint64_t i = 0; i < SAMPLES; i++) {
      world w = with_symbols();
      sn_sample s;
      sn_val v = sampled(&w, (sn_op)op, SN_ELEM_F32, i, &s);
      sn_func_return(w.b.func, v);
      if (sn_func_verify(w.b.func, w.diags) || sn_ops_check(w.b.func, w.diags))
        fail_msg("`%s`: %s", sn_op_get((sn_op)op)->name, world_errors(&w));
      sn_module *back;
      const char *text = text_of(w.arena, w.m);
      if (sn_module_parse(w.arena, w.diags, "sample", text, strlen(text), &back))
        fail_msg("`%s`: %s\n%s", sn_op_get((sn_op)op)->name, world_errors(&w), text);
      assert_string_equal(text, text_of(w.arena, back));
      sn_func *f = sn_module_find(back, w.b.func->name);
      assert_non_null(f);
      if (sn_ops_check(f, w.diags)) fail_msg("%s\n%s", world_errors(&w), text);
      world_destroy(&w);
    }
}

/* ---- gradients ---- */

static bool differentiable(sn_op op) { return sn_op_rules_of(op)->grad && !is_leaf(op); }

/* The result, or 0: it is no float, or there are not so many. The lse of attention has a gradient by its expansion. */
static sn_val float_result(world *w, sn_val first, int result) {
  const sn_node *n = sn_node_of(w->b.func, first);
  sn_val out[2] = {first, first + 1};
  if (result >= n->result_count || !sn_elem_is_float(n->type[result]->elem)) return 0;
  if (n->op != SN_OP_ATTENTION || result == 0) return first + (sn_val)result;
  out[0] = sn_attention_expand_lse(&w->b, n, n->arg, &out[1]);
  return out[1];
}

/* By one result. *more: is there another? */
static grad_check gradient_of_sample(sn_op op, uint64_t seed, int result, double planted, bool *more) {
  world w = with_symbols();
  sn_sample s;
  sn_val first = sampled(&w, op, SN_ELEM_F64, seed, &s);
  *more = result + 1 < sn_node_of(w.b.func, first)->result_count;
  sn_val y = float_result(&w, first, result);
  bool captures = op == SN_OP_ATTENTION; /* captured tensors go through the expansion, tested with the grad pass */
  grad_check c = {0};
  if (y) c = check_gradient(&w, y, captures ? 3 : s.arg_count, ELEMENTS, planted);
  world_destroy(&w);
  return c;
}

/* By every result. */
static grad_check gradients_of_sample(sn_op op, uint64_t seed, double planted) {
  grad_check sum = {0};
  bool more = true;
  for (int result = 0; more; result++) {
    grad_check c = gradient_of_sample(op, seed, result, planted, &more);
    if (c.wrong && !sum.wrong) snprintf(sum.what, sizeof sum.what, "result %d, %.140s", result, c.what);
    sum.checked += c.checked;
    sum.excluded += c.excluded;
    sum.wrong += c.wrong;
  }
  return sum;
}

static void gradients_agree_with_differences(void **state) {
  (void)state;
  for (int op = 1; op < SN_OP_COUNT; op++) {
    grad_check sum = {0};
    for (uint64_t i = 0; i < SAMPLES && differentiable((sn_op)op); i++) {
      grad_check c = gradients_of_sample((sn_op)op, i, 1);
      if (c.wrong) fail_msg("`%s`, sample %d: %s", sn_op_get((sn_op)op)->name, (int)i, c.what);
      sum.checked += c.checked;
      sum.excluded += c.excluded;
    }
    if (!differentiable((sn_op)op)) continue;
    if (sum.checked < 10 || sum.excluded * 50 > sum.checked)
      fail_msg("`%s`: %d checked, %d excluded", sn_op_get((sn_op)op)->name, (int)sum.checked, (int)sum.excluded);
  }
}

static void a_wrong_gradient_is_noticed(void **state) {
  (void)state;
  static const sn_op ops[] = {SN_OP_TANH, SN_OP_CONTRACT, SN_OP_SOFTMAX, SN_OP_ATTENTION};
  for (int k = 0; k < 4; k++) {
    int64_t wrong = 0;
    for (uint64_t i = 0; i < SAMPLES; i++) wrong += gradients_of_sample(ops[k], i, 1.00001).wrong;
    assert_true(wrong > 0);
  }
}

/* ---- bounds ---- */

/* Float results of the op and noise for each; of attention the first. -> how many */
static int noisy_results(world *w, sn_val y, uint64_t seed, sn_val *of, sn_val *noise) {
  const sn_node *node = sn_node_of(w->b.func, y);
  int n = 0, count = node->op == SN_OP_ATTENTION ? 1 : node->result_count;
  for (int i = 0; i < count && n < SN_SAMPLE_ARGS; i++) {
    const sn_type *t = node->type[i];
    if (!sn_elem_is_float(t->elem)) continue;
    of[n] = y + (sn_val)i;
    noise[n++] = world_noise(w, t, seed + 5 + (uint64_t)i);
  }
  return n;
}

/* Results of the op and, where it has a gradient, of that too. */
static int make_results(world *w, sn_op op, sn_elem real, uint64_t seed) {
  sn_sample s;
  sn_val y = sampled(w, op, real, seed, &s), d[SN_SAMPLE_ARGS] = {0}, wrt[SN_SAMPLE_ARGS];
  int n = 0, args = op == SN_OP_ATTENTION ? 3 : s.arg_count;
  const sn_node *node = sn_node_of(w->b.func, y);
  for (int i = 0; i < node->result_count; i++) sn_func_return(w->b.func, y + (sn_val)i);
  if (!differentiable(op)) return w->b.func->result_count;
  for (int i = 0; i < args; i++)
    if (sn_elem_is_float(s.arg[i]->elem)) wrt[n++] = w->arg_val[i];
  sn_val of[SN_SAMPLE_ARGS], noise[SN_SAMPLE_ARGS];
  int results = noisy_results(w, y, seed, of, noise);
  if (sn_derive(&w->b, results, of, noise, n, wrt, d)) fail_msg("%s", world_errors(w));
  for (int i = 0; i < n; i++)
    if (d[i]) sn_func_return(w->b.func, d[i]);
  return w->b.func->result_count;
}

/* Leaves have no operands, grad is no op to execute, attention_grad is run through the gradient of attention. */
static bool executable(sn_op op) { return !is_leaf(op) && op != SN_OP_GRAD && op != SN_OP_ATTENTION_GRAD; }

static void bounds_contain_executions(void **state) {
  (void)state;
  static const sn_elem reals[] = {SN_ELEM_F32, SN_ELEM_F64, SN_ELEM_BF16};
  for (int op = 1; op < SN_OP_COUNT; op++) {
    int64_t total = 0, excluded = 0;
    for (uint64_t i = 0; i < SAMPLES * 3 && executable((sn_op)op); i++) {
      world w = with_symbols();
      int n = make_results(&w, (sn_op)op, reals[i % 3], i);
      for (int k = 0; k < n; k++) {
        sn_mismatch m = check_bounds(&w, k, ORDERS, 1);
        if (m.count)
          fail_msg("`%s`, sample %d, result %d: oracle %.17g within %.3g, found %.17g", sn_op_get((sn_op)op)->name,
                   (int)i, k, m.expected, m.bound, m.found);
        total += m.total;
        excluded += m.excluded;
      }
      world_destroy(&w);
    }
    if (excluded * 50 > total)
      fail_msg("`%s`: %d of %d excluded", sn_op_get((sn_op)op)->name, (int)excluded, (int)total);
  }
}

static void a_value_outside_its_bound_is_noticed(void **state) {
  (void)state;
  static const sn_op ops[] = {SN_OP_EXP, SN_OP_CONTRACT, SN_OP_SUM, SN_OP_LAYERNORM, SN_OP_ATTENTION};
  for (int k = 0; k < 5; k++) {
    int64_t count = 0;
    for (uint64_t i = 0; i < SAMPLES; i += 2) {
      world w = with_symbols();
      make_results(&w, ops[k], SN_ELEM_F32, i);
      count += check_bounds(&w, 0, ORDERS, 1 + 1e-4).count;
      world_destroy(&w);
    }
    assert_true(count > 0);
  }
}

/* ---- expansions against direct evaluation ---- */

static double row_max(const double *x, int64_t n) {
  double m = -INFINITY;
  for (int64_t i = 0; i < n; i++) m = fmax(m, x[i]);
  return m;
}

static double row_lse(const double *x, int64_t n) {
  double m = row_max(x, n), s = 0;
  for (int64_t i = 0; i < n; i++) s += exp(x[i] - m);
  return m + log(s);
}

static double row_moment(const double *x, int64_t n, double centre, int power) {
  double s = 0;
  for (int64_t i = 0; i < n; i++) s += pow(x[i] - centre, power);
  return s / (double)n;
}

/* The reference rows of divergence: x turned around. KL(y || x), each term from its definition. */
static double row_kl(const double *x, int64_t n) {
  double y[8], s = 0;
  for (int64_t i = 0; i < n; i++) y[i] = x[n - 1 - i];
  for (int64_t i = 0; i < n; i++) {
    double u = x[i] - row_lse(x, n), v = y[i] - row_lse(y, n);
    s += exp(v) * (v - u);
  }
  return s;
}

/* Element k of a row; id, smooth only for those that have it. */
static double direct(sn_op op, const double *x, int64_t n, int64_t k, int64_t id, double smooth) { /* table */
  switch (op) {
    case SN_OP_DIVERGENCE: return row_kl(x, n);
    case SN_OP_SQUARE: return x[k] * x[k];
    case SN_OP_SIGMOID: return 1 / (1 + exp(-x[k]));
    case SN_OP_RELU: return fmax(x[k], 0);
    case SN_OP_GELU: return x[k] * 0.5 * erfc(-x[k] / sqrt(2));
    case SN_OP_GELU_TANH: return 0.5 * x[k] * (1 + tanh(sqrt(2 / acos(-1)) * (x[k] + 0.044715 * pow(x[k], 3))));
    case SN_OP_SILU: return x[k] / (1 + exp(-x[k]));
    case SN_OP_RECIPROCAL: return 1 / x[k];
    case SN_OP_SOFTPLUS: return x[k] > 0 ? x[k] + log1p(exp(-x[k])) : log1p(exp(x[k]));
    case SN_OP_LOGSIGMOID: return x[k] > 0 ? -log1p(exp(-x[k])) : x[k] - log1p(exp(x[k]));
    case SN_OP_LEAKY_RELU: return x[k] > 0 ? x[k] : 0.1 * x[k];
    case SN_OP_ELU: return x[k] > 0 ? x[k] : 0.1 * expm1(x[k]);
    case SN_OP_FLIP: return x[n - 1 - k];
    case SN_OP_L2_NORM: return x[k] / sqrt(row_moment(x, n, 0, 2) * (double)n + 0.1);
    case SN_OP_GROUP_NORM: /* five groups of one element */ return 0;
    case SN_OP_SOFTMAX: return exp(x[k] - row_lse(x, n));
    case SN_OP_LOG_SOFTMAX: return x[k] - row_lse(x, n);
    case SN_OP_LOGSUMEXP: return row_lse(x, n);
    case SN_OP_PICK: return x[id];
    case SN_OP_RMSNORM: return x[k] / sqrt(row_moment(x, n, 0, 2) + 0.1);
    case SN_OP_LAYERNORM: {
      double mean = row_moment(x, n, 0, 1);
      return (x[k] - mean) / sqrt(row_moment(x, n, mean, 2) + 0.1);
    }
    default: return row_lse(x, n) - (1 - smooth) * x[id] - smooth * row_moment(x, n, 0, 1);
  }
}

/* Of another form than a function of rows: tests/ref/test_interp_more has their values. The expansion of an op of the
 * user's own is its definition. */
static bool by_hand(sn_op op) {
  return op == SN_OP_PAD || op == SN_OP_ANY || op == SN_OP_ALL || op == SN_OP_CUSTOM || op == SN_OP_NORMAL ||
         op == SN_OP_SEARCHSORTED || op == SN_OP_CONV1D;
}

static void check_expansion(sn_op op) {
  static const double x[15] = {-2, -0.5, 0.25, 1, 3, 0, 0, 1e-3, -40, 35, 1, 1, 1, 1, 1};
  static const double ids[3] = {4, 0, 2};
  world w = world_create();
  sn_attr attr[SN_ATTR_MAX] = {{0}};
  double turned[15];
  for (int i = 0; i < 15; i++) turned[i] = x[i / 5 * 5 + 4 - i % 5];
  bool two = sn_op_get(op)->operands == 2, with_ids = two && op != SN_OP_DIVERGENCE;
  sn_val arg[2] = {world_data(&w, typed(&w, SN_ELEM_F64, 2, 3, 5), x), 0};
  if (with_ids) arg[1] = world_data(&w, typed(&w, SN_ELEM_I32, 1, 3), ids);
  static const char *const tenth[] = {"eps", "slope", "alpha"};
  for (int i = 0; i < 3; i++)
    if (sn_op_attr(op, tenth[i]) >= 0) attr[sn_op_attr(op, tenth[i])] = (sn_attr){.set = true, .f = 0.1};
  if (op == SN_OP_DIVERGENCE) arg[1] = world_data(&w, typed(&w, SN_ELEM_F64, 2, 3, 5), turned);
  if (op == SN_OP_DIVERGENCE) attr[0] = (sn_attr){.set = true, .s = sn_name(w.m->names, "forward")};
  if (sn_op_attr(op, "axis") >= 0) attr[0] = (sn_attr){.set = true, .i = 1};
  if (op == SN_OP_GROUP_NORM) attr[0] = (sn_attr){.set = true, .i = 5};
  if (op == SN_OP_CROSS_ENTROPY) attr[0] = (sn_attr){.set = true, .f = 0.25};
  const sn_tensor *y = world_value(&w, sn_emit(&w.b, op, two ? 2 : 1, arg, attr, NULL), RUN_BOUNDS);
  int64_t per_row = y->count / 3;
  for (int64_t i = 0; i < y->count; i++) {
    double want = direct(op, x + i / per_row * 5, 5, i % per_row, (int64_t)ids[i / per_row], 0.25);
    if (y->value[i] != want && !(fabs(y->value[i] - want) <= 1e-13 * fmax(1, fabs(want))))
      fail_msg("`%s` element %d: direct %.17g, expansion %.17g", sn_op_get(op)->name, (int)i, want, y->value[i]);
    assert_true(isfinite(y->bound[i]) || !isfinite(want));
  }
  world_destroy(&w);
}

static void expansions_agree_with_direct_evaluation(void **state) {
  (void)state;
  for (int op = 1; op < SN_OP_COUNT; op++)
    if (sn_op_get((sn_op)op)->cls == SN_CLASS_EXPAND && !by_hand((sn_op)op)) check_expansion((sn_op)op);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_op_has_its_rules),
      cmocka_unit_test(samples_are_valid_and_print),
      cmocka_unit_test(gradients_agree_with_differences),
      cmocka_unit_test(a_wrong_gradient_is_noticed),
      cmocka_unit_test(bounds_contain_executions),
      cmocka_unit_test(a_value_outside_its_bound_is_noticed),
      cmocka_unit_test(expansions_agree_with_direct_evaluation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
