/* Fuse: what becomes one kernel and what does not, with the reason; rules that are switched off; what disappears from
 * memory. Results are checked by test_lower*.c. */
#include "tests/passes/lowered.h"

typedef struct fused {
  sn_arena *arena;
  sn_diags *diags;
  sn_module *m;
  sn_pass_env env;
  const sn_func *f;
} fused;

static fused fuse(const char *text, const char *kinds, const char *disabled) {
  fused x = {.arena = sn_arena_create(), .diags = sn_diags_create()};
  static sn_target target;
  target = sn_target_cpu(SN_ISA_AVX2);
  char *whole = sn_arena_printf(x.arena, "sinter 1\n%s", text);
  x.env = (sn_pass_env){.arena = x.arena, .diags = x.diags, .target = &target, .fuse = kinds, .disabled = disabled};
  sn_code code = sn_module_parse(x.arena, x.diags, "test.sn", whole, strlen(whole), &x.m);
  if (!code) code = sn_pipeline_run(x.m, &x.env, NULL, NULL, NULL);
  if (code) fail_msg("%s", sn_diags_print(x.diags, x.arena));
  x.f = sn_module_find(x.m, "g");
  return x;
}

static void drop(fused *x) {
  sn_diags_destroy(x->diags);
  sn_arena_destroy(x->arena);
}

/* Fused nodes of a kind; NULL: all. */
static int count(const fused *x, const char *kind) {
  int n = 0;
  for (int i = 0; i < x->f->node_count; i++) {
    const sn_node *node = x->f->node[i];
    if (node->op == SN_OP_FUSED && (!kind || !strcmp(sn_node_attr(node, "kind")->s, kind))) n++;
  }
  return n;
}

static void expect(const char *text, const char *kinds, const char *disabled, const char *kind, int want) {
  fused x = fuse(text, kinds, disabled);
  int found = count(&x, kind);
  if (found != want) {
    sn_text t = sn_text_begin(x.arena);
    sn_module_print(&t, x.m, (sn_print_opt){0});
    fail_msg("fuse %s without %s: %d groups of kind %s, not %d\n%s", kinds ? kinds : "all",
             disabled ? disabled : "nothing", found, kind ? kind : "any", want, t.at);
  }
  drop(&x);
}

static void expect_refusal(const char *text, const char *disabled, const char *reason) {
  fused x = fuse(text, NULL, disabled);
  bool found = false;
  for (int i = 0; i < x.env.refusal_count; i++) found = found || !strcmp(x.env.refusal[i].reason, reason);
  for (int i = 0; i < x.env.refusal_count && !found; i++)
    print_message("%s: %s\n", x.env.refusal[i].ops, x.env.refusal[i].reason);
  if (!found) fail_msg("nothing was refused because: %s", reason);
  drop(&x);
}

static const char chain[] =
    "dims { B: 1..64 }\n"
    "graph @g {\n"
    "  %1 = input name \"x\" : f32[B, 24]\n"
    "  %2 = exp %1 : f32[B, 24]\n"
    "  %3 = neg %2 : f32[B, 24]\n"
    "  %4 = mul %3, %1 : f32[B, 24]\n"
    "  output \"y\" = %4\n"
    "}\n";

static void maps(void **state) {
  (void)state;
  expect(chain, NULL, NULL, "map", 1);
  expect(chain, "map", NULL, "map", 1);
  expect(chain, "none", NULL, "map", 3);
  expect(chain, "rows,contract", NULL, "map", 3);
  expect(chain, NULL, "fuse.map_into_map", "map", 3);
  expect(chain, NULL, "fuse", "map", 3);
  expect_refusal(chain, "fuse.map_into_map", "the rule is switched off");
}

static const char norm[] =
    "dims { B: 1..64 }\n"
    "graph @g {\n"
    "  %1 = input name \"x\" : f32[B, 24]\n"
    "  %2 = exp %1 : f32[B, 24]\n"
    "  %3 = layernorm %2 eps 1e-05 : f32[B, 24]\n"
    "  %4 = neg %3 : f32[B, 24]\n"
    "  %5 = sum %4 axes [0] : f32[24]\n"
    "  output \"y\" = %4\n"
    "  output \"s\" = %5\n"
    "}\n";

static void rows(void **state) {
  (void)state;
  expect(norm, NULL, NULL, "rows", 2); /* the sum runs over the other axis */
  expect(norm, NULL, NULL, NULL, 2);
  expect(norm, "none", NULL, NULL, 4); /* exp, the norm, neg, the sum */
  expect(norm, NULL, "fuse.map_into_rows", "map", 1);
  expect_refusal(norm, NULL, "reduction over another axis");
}

static const char product[] =
    "dims { B: 1..64 }\n"
    "graph @g {\n"
    "  %1 = input name \"x\" : f32[B, 24]\n"
    "  %2 = param name \"w\" init \"normal\" : f32[24, 40]\n"
    "  %3 = exp %1 : f32[B, 24]\n"
    "  %4 = contract %3, %2 spec \"bk,kn->bn\" : f32[B, 40]\n"
    "  %5 = param name \"c\" init \"fill\" : f32[40]\n"
    "  %6 = broadcast %5 shape [B, 40] axes [1] : f32[B, 40]\n"
    "  %7 = add %4, %6 : f32[B, 40]\n"
    "  %8 = gelu %7 : f32[B, 40]\n"
    "  %9 = softmax %8 axis 1 : f32[B, 40]\n"
    "  output \"y\" = %9\n"
    "}\n";

static void products(void **state) {
  (void)state;
  expect(product, NULL, NULL, "contract", 1);
  expect(product, NULL, NULL, NULL, 3); /* exp; product with bias and gelu; softmax */
  expect(product, "none", NULL, NULL, 5);
  expect(product, "contract", NULL, NULL, 3);
  expect_refusal(product, NULL, "would recompute an expensive op");
  expect_refusal(product, NULL, "reduction over whole rows of a product");
}

/* A view that is no strided view of its source is made in memory, once. */
static void stored_views(void **state) {
  (void)state;
  static const char text[] =
      "dims { B: 1..64 }\n"
      "graph @g {\n"
      "  %1 = input name \"x\" : f32[B, 4, 6]\n"
      "  %2 = transpose %1 perm [0, 2, 1] : f32[B, 6, 4]\n"
      "  %3 = reshape %2 shape [B, 24] : f32[B, 24]\n"
      "  %4 = param name \"w\" init \"normal\" : f32[24, 40]\n"
      "  %5 = contract %3, %4 spec \"bk,kn->bn\" : f32[B, 40]\n"
      "  %6 = transpose %1 perm [1, 0, 2] : f32[4, B, 6]\n"
      "  %7 = exp %6 : f32[4, B, 6]\n"
      "  output \"y\" = %5\n"
      "  output \"z\" = %7\n"
      "}\n";
  expect(text, "none", NULL, NULL, 3); /* the copy, the product, exp through its view */
  expect(text, NULL, NULL, "contract", 1);
}

/* What elementwise work can make again is not kept: only x and the statistics of rows lie in memory. */
static void recomputed(void **state) {
  (void)state;
  static const char text[] =
      "graph @g {\n"
      "  %1 = input name \"x\" : f32[64, 24]\n"
      "  %2 = layernorm %1 eps 1e-05 : f32[64, 24]\n"
      "  %3 = param name \"w\" init \"normal\" : f32[24, 24]\n"
      "  %4 = contract %2, %3 spec \"bk,kn->bn\" : f32[64, 24]\n"
      "  %5 = exp %4 : f32[64, 24]\n"
      "  %6 = sum %5 axes [0, 1] : f32[]\n"
      "  %7 = grad %6, %3 : f32[24, 24]\n"
      "  output \"l\" = %6\n"
      "  output \"d\" = %7\n"
      "}\n";
  fused with = fuse(text, NULL, NULL), without = fuse(text, NULL, "fuse.recompute");
  int kept[2] = {0};
  for (int k = 0; k < 2; k++) {
    const sn_func *f = k ? without.f : with.f;
    for (int i = 0; i < f->node_count; i++)
      for (int r = 0; f->node[i]->op == SN_OP_FUSED && r < f->node[i]->result_count; r++)
        kept[k] += f->node[i]->type[r]->rank == 2;
  }
  assert_true(kept[0] <= kept[1]);
  drop(&with);
  drop(&without);
}

/* Optimiser updates of equal shape share a kernel. */
static void equal_forms(void **state) {
  (void)state;
  static const char text[] =
      "graph @g {\n"
      "  %1 = param name \"a\" init \"fill\" a 1 : f32[64, 24]\n"
      "  %2 = param name \"b\" init \"fill\" a 1 : f32[64, 24]\n"
      "  %3 = param name \"c\" init \"fill\" a 1 : f32[24]\n"
      "  %4 = const value 0.5 : f32[64, 24]\n"
      "  %5 = mul %1, %4 : f32[64, 24]\n"
      "  %6 = mul %2, %4 : f32[64, 24]\n"
      "  %7 = neg %3 : f32[24]\n"
      "  update %1 = %5\n"
      "  update %2 = %6\n"
      "  update %3 = %7\n"
      "}\n";
  expect(text, NULL, NULL, NULL, 2);
  expect(text, NULL, "fuse.equal_forms", NULL, 3);
}

/* The softmax is of weights alone, and takes a kernel; exp of a weight is done where it is read. */
static const char weights[] =
    "dims { B: 1..64 }\n"
    "graph @g {\n"
    "  %1 = input name \"x\" : f32[B, 24]\n"
    "  %2 = param name \"w\" init \"normal\" : f32[24]\n"
    "  %3 = softmax %2 axis 0 : f32[24]\n"
    "  %4 = broadcast %3 shape [B, 24] axes [1] : f32[B, 24]\n"
    "  %5 = mul %1, %4 : f32[B, 24]\n"
    "  %6 = param name \"v\" init \"normal\" : f32[24]\n"
    "  %7 = exp %6 : f32[24]\n"
    "  %8 = broadcast %7 shape [B, 24] axes [1] : f32[B, 24]\n"
    "  %9 = mul %5, %8 : f32[B, 24]\n"
    "  output \"y\" = %9\n"
    "}\n";

static void ahead(void **state) {
  (void)state;
  static const char reason[] = "a value of weights alone is made once, after they were loaded";
  expect(weights, NULL, NULL, "rows", 1);
  expect(weights, NULL, NULL, "map", 1);
  expect_refusal(weights, NULL, reason);
  fused x = fuse(weights, NULL, "fuse.ahead");
  for (int i = 0; i < x.env.refusal_count; i++) assert_string_not_equal(x.env.refusal[i].reason, reason);
  drop(&x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(maps),         cmocka_unit_test(rows),       cmocka_unit_test(products),
      cmocka_unit_test(stored_views), cmocka_unit_test(recomputed), cmocka_unit_test(equal_forms),
      cmocka_unit_test(ahead),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
