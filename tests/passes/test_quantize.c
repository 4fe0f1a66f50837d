/* The pass quantize: golden cases; what it makes, executed, is off by half a step of each weight at most; it does
 * nothing unless it is asked to, and graphs that train are refused. */
#include <math.h>

#include "tests/passes/golden.h"

static sn_code to_int8(sn_module *m, sn_pass_env *env) {
  env->weights = SN_ELEM_I8;
  return sn_pass_quantize(m, env);
}

static void cases(void **state) {
  (void)state;
  golden_file("quantize", to_int8);
}

static golden_case case_of(const char *name, const char *text) {
  return (golden_case){.name = (char *)(uintptr_t)name, .input = (char *)(uintptr_t)text};
}

enum { ROWS = 3, DEPTH = 11, CHANNELS = 7 };

static const char product[] =
    "graph @g {\n"
    "  %1 = input name \"x\" : f32[3, 11]\n"
    "  %2 = param name \"w\" init \"normal\" : f32[11, 7]\n"
    "  %3 = contract %1, %2 spec \"bk,kn->bn\" : f32[3, 7]\n"
    "  output \"z\" = %3\n"
    "}\n";

static const sn_tensor *leaf(const sn_func *f, sn_tensor **values, const char *name) {
  for (int i = 0; i < f->node_count; i++)
    if (sn_leaf_name(f->node[i]) && !strcmp(sn_leaf_name(f->node[i]), name)) return values[f->node[i]->first];
  fail_msg("no leaf %s", name);
  return NULL;
}

/* What rounding the weights of channel n moves row m of the product by, at most; every |w - q * scale| <= scale / 2. */
static double most_moved(const sn_tensor *x, const sn_tensor *w, int m, int n) {
  double most = 0, sum = 0;
  for (int k = 0; k < DEPTH; k++) most = fmax(most, fabs(w->value[k * CHANNELS + n]));
  for (int k = 0; k < DEPTH; k++) sum += fabs(x->value[m * DEPTH + k]);
  return sum * most / 127 / 2;
}

static void weights_move_by_half_a_step(void **state) {
  (void)state;
  const golden_case c = case_of("half a step", product);
  golden_run g = {.arena = sn_arena_create(), .diags = sn_diags_create(), .c = &c};
  sn_module *before = golden_parse(&g), *after = golden_parse(&g);
  sn_pass_env env = {.arena = g.arena, .diags = g.diags};
  assert_int_equal(to_int8(after, &env), SN_OK);
  const sn_func *f = before->func[0], *h = after->func[0];
  const int64_t dims[1] = {0};
  sn_tensor **x = golden_execute(&g, before, f, dims), **y = golden_execute(&g, after, h, dims);
  const sn_tensor *exact = x[f->output[0].value], *found = y[h->output[0].value];
  const sn_tensor *in = leaf(f, x, "x"), *w = leaf(f, x, "w");
  double moved = 0;
  for (int i = 0; i < ROWS * CHANNELS; i++) {
    double off = fabs(exact->value[i] - found->value[i]), may = most_moved(in, w, i / CHANNELS, i % CHANNELS);
    double rounding = exact->bound[i] + found->bound[i];
    if (off > may + rounding) fail_msg("element %d is off by %g, at most %g + %g", i, off, may, rounding);
    moved = fmax(moved, off);
  }
  assert_true(moved > 0); /* something was rounded */
  sn_diags_destroy(g.diags);
  sn_arena_destroy(g.arena);
}

static void f32_is_left_alone(void **state) {
  (void)state;
  const golden_case c = case_of("as written", product);
  golden_run g = {.arena = sn_arena_create(), .diags = sn_diags_create(), .c = &c};
  sn_pass_env env = {.arena = g.arena, .diags = g.diags};
  sn_module *m = golden_parse(&g);
  const sn_func *before = m->func[0];
  assert_int_equal(sn_pass_quantize(m, &env), SN_OK);
  assert_ptr_equal(m->func[0], before);
  sn_diags_destroy(g.diags);
  sn_arena_destroy(g.arena);
}

static void refused(const char *text, const char *message) {
  const golden_case c = case_of(message, text);
  golden_run g = {.arena = sn_arena_create(), .diags = sn_diags_create(), .c = &c};
  sn_pass_env env = {.arena = g.arena, .diags = g.diags, .weights = SN_ELEM_I8};
  sn_module *m = golden_parse(&g);
  assert_int_equal(sn_pipeline_run(m, &env, "quantize", NULL, NULL), SN_ERR_USAGE);
  assert_string_equal(g.diags->at[0].message, message);
  env.weights = SN_ELEM_NONE;
  assert_int_equal(sn_pipeline_run(m, &env, "quantize", NULL, NULL), SN_OK);
  sn_diags_destroy(g.diags);
  sn_arena_destroy(g.arena);
}

static void training_is_refused(void **state) {
  (void)state;
  refused(
      "graph @g {\n"
      "  %1 = input name \"x\" : f32[2, 2]\n"
      "  %2 = param name \"w\" init \"normal\" : f32[2, 2]\n"
      "  %3 = add %2, %1 : f32[2, 2]\n"
      "  update %2 = %3\n"
      "}\n",
      "weights in int8 cannot be trained: graph g updates \"w\"");
  refused(
      "graph @h {\n"
      "  %1 = input name \"x\" : f32[2]\n"
      "  %2 = param name \"w\" init \"normal\" : f32[2]\n"
      "  %3 = mul %2, %1 : f32[2]\n"
      "  %4 = sum %3 axes [0] : f32[]\n"
      "  %5 = grad %4, %2 : f32[2]\n"
      "  output \"d\" = %5\n"
      "}\n",
      "weights in int8 cannot be trained: graph h differentiates");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(cases), cmocka_unit_test(weights_move_by_half_a_step),
                                     cmocka_unit_test(f32_is_left_alone), cmocka_unit_test(training_is_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
