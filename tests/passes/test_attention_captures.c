/* Gradients of captured tensors of attention: the rule against central differences in f64, the tile programs against
 * the interpreter, and no buffer of queries times keys in any plan. */
#include "tests/captures.h"
#include "tests/passes/lowered.h"

/* ---- the rule ---------------------------------------------------------------------------------------------------- */

typedef struct rule {
  lowered_result r; /* arena, diagnostics, dims */
  lowered_case c;
  const sn_func *f;
  int count;
  sn_binding leaf[16];
  sn_tensor *value[16];
} rule;

static const sn_func *graph_of(const sn_module *m) {
  for (int i = 0; i < m->func_count; i++)
    if (m->func[i]->kind == SN_FUNC_GRAPH) return m->func[i];
  return NULL;
}

static int count_ops(const sn_func *f, sn_op op) {
  int count = 0;
  for (int i = 0; i < f->node_count; i++) count += f->node[i]->op == op;
  return count;
}

static const sn_tensor *output(rule *u, const char *name) {
  sn_tensor **v;
  sn_interp in = {.arena = u->r.arena, .diags = u->r.diags, .dims = u->r.dims, .leaf_count = u->count, .leaf = u->leaf};
  if (sn_interp_run(&in, u->f, &v)) lowered_fail(&u->r, "the interpreter fails");
  for (int i = 0; i < u->f->output_count; i++)
    if (!strcmp(u->f->output[i].name, name)) return v[u->f->output[i].value];
  return NULL;
}

static double loss_at(rule *u, sn_tensor *t, int64_t i, double x) {
  double saved = t->value[i];
  t->value[i] = x;
  double l = output(u, "loss")->value[0];
  t->value[i] = saved;
  return l;
}

static void check_leaf(rule *u, int k, const char *what) {
  char name[32];
  snprintf(name, sizeof name, "d%s", u->leaf[k].name);
  const sn_tensor *g = output(u, name);
  sn_tensor *x = u->value[k];
  for (int64_t i = 0; g && i < g->count; i += 1 + g->count / 6) {
    double d[2];
    for (int s = 0; s < 2; s++) {
      double h = s ? 5e-4 : 1e-3, at = x->value[i];
      d[s] = (loss_at(u, x, i, at + h) - loss_at(u, x, i, at - h)) / (2 * h);
    }
    double numeric = (4 * d[1] - d[0]) / 3;
    if (!(fabs(numeric - g->value[i]) <= 1e-6 * fmax(1, fabs(numeric))))
      fail_msg("%s: %s element %d: differences %.12g, rule %.12g", what, name, (int)i, numeric, g->value[i]);
  }
}

static rule make_rule(const char *text) {
  rule u = {.r = {.arena = sn_arena_create(), .diags = sn_diags_create(), .dims = {2, 4}}, .c = {.text = text}};
  sn_pass_env env = {.arena = u.r.arena, .diags = u.r.diags};
  sn_module *m = lowered_parse(&u.r, text);
  if (sn_pass_grad(m, &env)) lowered_fail(&u.r, "no gradients");
  u.r.module = m, u.f = graph_of(m);
  if (sn_func_verify(u.f, u.r.diags) || sn_ops_check(u.f, u.r.diags)) lowered_fail(&u.r, "a wrong graph");
  for (int i = 0; i < u.f->node_count; i++) {
    if (!sn_leaf_name(u.f->node[i])) continue;
    u.value[u.count] = lowered_leaf(&u.r, &u.c, u.f->node[i]);
    u.leaf[u.count] = (sn_binding){sn_leaf_name(u.f->node[i]), u.value[u.count]};
    u.count++;
  }
  return u;
}

/* In the text of the function: `sums [2]`. */
static void check_kind(rule *u, const captures_variant *v) {
  char want[32];
  sn_text t = sn_text_begin(u->r.arena);
  sn_module_print(&t, u->f->module, (sn_print_opt){0});
  snprintf(want, sizeof want, "sums %s", v->sums);
  if (!strstr(t.at, want)) fail_msg("%s: not `%s` in\n%s", v->name, want, t.at);
}

static void check_rule(const captures_variant *v, const char *mask, bool lse, bool start, bool weights) {
  char text[8192];
  rule u = make_rule(captures_text(text, sizeof text, v, mask, "f64", "f64", lse, start, weights));
  assert_int_equal(count_ops(u.f, SN_OP_ATTENTION), 1);
  assert_true(count_ops(u.f, SN_OP_ATTENTION_GRAD) >= 1);
  if (!start) check_kind(&u, v);
  for (int k = 0; k < u.count; k++) check_leaf(&u, k, v->name);
  sn_diags_destroy(u.r.diags);
  sn_arena_destroy(u.r.arena);
}

static void rules_are_derivatives(void **state) {
  (void)state;
  for (int i = 0; i < CAPTURES_COUNT; i++)
    check_rule(&captures_variants[i], captures_masks[i % 4], i % 3 == 0, false, i % 2);
}

/* Are there elements for queries at all positions? */
static bool may_start(const captures_variant *v) {
  static const char *const exact[] = {"queries", "dense",  "dense_turned",  "dense_of_batch",
                                      "all",     "tables", "tables_of_many"};
  for (int i = 0; i < 7; i++)
    if (!strcmp(v->name, exact[i])) return false;
  return !*captures_products(v);
}

static void rules_at_a_start(void **state) {
  (void)state;
  for (int i = 0; i < CAPTURES_COUNT; i++)
    if (may_start(&captures_variants[i])) check_rule(&captures_variants[i], captures_masks[i % 2], false, true, false);
  check_rule(&captures_started, captures_masks[1], true, true, false);
}

/* ---- tile programs ----------------------------------------------------------------------------------------------- */

static void check_kernels(const captures_variant *v, const char *mask, int64_t t, int scratch, const sn_target *on,
                          bool bf16, bool start) {
  char text[8192];
  int64_t dims[] = {2, t};
  sn_target target = *on;
  target.bq = 4, target.bkv = 4, target.scratch_bytes = scratch;
  captures_text(text, sizeof text, v, mask, "f32", bf16 ? "bf16" : "f32", t % 2 == 0, start, scratch == 1);
  lowered_check_case(&(lowered_case){.text = text, .dims = dims, .target = &target});
}

static void kernels_agree(void **state) {
  (void)state;
  sn_target cpu = sn_target_cpu(SN_ISA_AVX2);
  check_kernels(&captures_started, captures_masks[3], 9, 0, &cpu, false, true);
  for (int i = 0; i < CAPTURES_COUNT; i++)
    for (int64_t t = 1; t <= 13; t += 4) {
      check_kernels(&captures_variants[i], captures_masks[i % 4], t, 0, &cpu, false, false);
      check_kernels(&captures_variants[i], captures_masks[(i + 1) % 4], t + 1, 1 << 20, &cpu, false,
                    i % 2 && may_start(&captures_variants[i]));
    }
}

/* Scores that are the weights of values: nothing is 0 where nothing is seen, unless it is made so. */
static void kernels_of_weights_agree(void **state) {
  (void)state;
  sn_target cpu = sn_target_cpu(SN_ISA_AVX2);
  for (int i = 0; i < CAPTURES_COUNT; i++)
    check_kernels(&captures_variants[i], captures_masks[(i + 1) % 4], 6 + i % 4, 1, &cpu, false, false);
}

static void kernels_of_devices_agree(void **state) {
  (void)state;
  sn_target gpu = sn_target_vulkan(&(sn_gpu){.float64 = true});
  for (int i = 0; i < CAPTURES_COUNT; i++)
    check_kernels(&captures_variants[i], captures_masks[i % 4], 9 + i % 2, 0, &gpu, false, false);
}

static void kernels_of_bf16_agree(void **state) {
  (void)state;
  sn_target cpu = sn_target_cpu(SN_ISA_AVX2);
  for (int i = 0; i < CAPTURES_COUNT; i++)
    check_kernels(&captures_variants[i], captures_masks[i % 4], 7, 0, &cpu, true, false);
}

/* Blocks of queries and keys of different sizes. */
static void blocks_of_any_shape(void **state) {
  (void)state;
  for (int i = 0; i < CAPTURES_COUNT; i++) {
    char text[8192];
    int64_t dims[] = {2, 11};
    sn_target target = sn_target_cpu(SN_ISA_AVX2);
    target.bq = i % 2 ? 8 : 2, target.bkv = i % 2 ? 2 : 8, target.scratch_bytes = 0;
    captures_text(text, sizeof text, &captures_variants[i], captures_masks[(i + 2) % 4], "f32", "f32", false, false,
                  false);
    lowered_check_case(&(lowered_case){.text = text, .dims = dims, .target = &target});
  }
}

/* ---- plans ------------------------------------------------------------------------------------------------------- */

static bool is_dense(const captures_variant *v) { return strstr(v->name, "dense") || !strcmp(v->name, "all"); }

static void nothing_is_queries_times_keys(void **state) {
  (void)state;
  for (int i = 0; i < CAPTURES_COUNT; i++) {
    if (is_dense(&captures_variants[i])) continue;
    char text[8192];
    int64_t dims[] = {1, 16384};
    captures_text(text, sizeof text, &captures_variants[i], captures_masks[1], "f32", "f32", false, false, false);
    captures_put(text, "T: 1..64", "T: 1..16384");
    lowered_result r = lowered_compile(&(lowered_case){.text = text, .dims = dims});
    for (int k = 0; k < r.lowered.plan->slot_count; k++) {
      int64_t elements;
      assert_int_equal(sn_dimx_eval(r.lowered.plan->slot[k].elements, dims, &elements), SN_OK);
      if (elements >= dims[1] * dims[1] / 16)
        fail_msg("%s: slot %s has %lld elements", captures_variants[i].name, r.lowered.plan->slot[k].name,
                 (long long)elements);
    }
    lowered_free(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rules_are_derivatives),
      cmocka_unit_test(rules_at_a_start),
      cmocka_unit_test(kernels_agree),
      cmocka_unit_test(kernels_of_weights_agree),
      cmocka_unit_test(kernels_of_devices_agree),
      cmocka_unit_test(kernels_of_bf16_agree),
      cmocka_unit_test(blocks_of_any_shape),
      cmocka_unit_test(nothing_is_queries_times_keys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
