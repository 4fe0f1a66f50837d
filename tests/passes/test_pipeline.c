/* The pipeline: what holds after each pass, stopping, callbacks, broken invariants, order of the plan. */
#include "tests/passes/lowered.h"

static const char text[] =
    "dims { B: 1..64 }\n"
    "body @layer {\n"
    "  %1 = arg index 0 : f32[B, 24]\n"
    "  %2 = layernorm %1 eps 1e-05 : f32[B, 24]\n"
    "  return %2\n"
    "}\n"
    "graph @g {\n"
    "  %1 = param name \"w\" init \"normal\" : f32[24]\n"
    "  %2 = input name \"x\" : f32[B, 24]\n"
    "  %3 = broadcast %1 shape [B, 24] axes [1] : f32[B, 24]\n"
    "  %4 = mul %2, %3 : f32[B, 24]\n"
    "  %5 = call %4 body @layer with \"h.0\" : f32[B, 24]\n"
    "  %6 = mul %5, %5 : f32[B, 24]\n"
    "  %7 = sum %6 axes [0, 1] : f32[]\n"
    "  %8 = grad %7, %1 : f32[24]\n"
    "  %9 = sub %1, %8 : f32[24]\n"
    "  update %1 = %9\n"
    "  output \"l\" = %7\n"
    "}\n";

typedef struct passes_seen {
  int count;
  const char *pass[32];
} passes_seen;

static void note(void *user, const char *pass, const sn_module *m, double ms) {
  passes_seen *l = user;
  assert_non_null(m);
  assert_true(ms >= 0);
  if (l->count < 32) l->pass[l->count++] = pass;
}

static sn_module *parse(sn_arena *arena, sn_diags *diags) {
  sn_module *m = NULL;
  char *whole = sn_arena_printf(arena, "sinter 1\n%s", text);
  if (sn_module_parse(arena, diags, "test.sn", whole, strlen(whole), &m)) fail_msg("%s", sn_diags_print(diags, arena));
  return m;
}

static bool holds(const sn_module *m, sn_op op) {
  const sn_func *f = sn_module_find(m, "g");
  for (int i = 0; i < f->node_count; i++)
    if (f->node[i]->op == op) return true;
  return false;
}

static void every_pass_runs_once(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_target target = sn_target_cpu(SN_ISA_BASELINE);
  sn_pass_env env = {.arena = arena, .diags = diags, .target = &target};
  passes_seen l = {0};
  sn_module *m = parse(arena, diags);
  if (sn_pipeline_run(m, &env, NULL, note, &l)) fail_msg("%s", sn_diags_print(diags, arena));
  for (int i = 0; i < l.count; i++) assert_string_equal(l.pass[i], sn_pipeline[i].name);
  assert_null(sn_pipeline[l.count].name);
  assert_false(holds(m, SN_OP_CALL) || holds(m, SN_OP_GRAD) || holds(m, SN_OP_SUM));
  assert_true(holds(m, SN_OP_FUSED));
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void stops_where_asked(void **state) {
  (void)state;
  for (int i = 0; sn_pipeline[i].name; i++) {
    sn_arena *arena = sn_arena_create();
    sn_diags *diags = sn_diags_create();
    sn_target target = sn_target_cpu(SN_ISA_BASELINE);
    sn_pass_env env = {.arena = arena, .diags = diags, .target = &target};
    passes_seen l = {0};
    sn_module *m = parse(arena, diags);
    assert_int_equal(sn_pipeline_run(m, &env, sn_pipeline[i].name, note, &l), SN_OK);
    assert_int_equal(l.count, i + 1);
    assert_int_equal(holds(m, SN_OP_FUSED), !sn_pipeline[i + 1].name);
    sn_diags_destroy(diags);
    sn_arena_destroy(arena);
  }
}

/* Without its only rule a pass leaves what the next one cannot have: the manager says so, and where. */
static void names_a_broken_invariant(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_target target = sn_target_cpu(SN_ISA_BASELINE);
  sn_pass_env env = {.arena = arena, .diags = diags, .target = &target, .disabled = "inline.call"};
  assert_int_equal(sn_pipeline_run(parse(arena, diags), &env, NULL, NULL, NULL), SN_ERR_FAIL);
  assert_non_null(strstr(sn_diags_print(diags, arena), "after pass inline: graph g holds `call`"));
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

/* -> the code; *hit: did a rule of the pass apply? */
static sn_code run_without(const char *pass, bool *hit) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_target target = sn_target_cpu(SN_ISA_BASELINE);
  sn_pass_env env = {.arena = arena, .diags = diags, .target = &target, .disabled = pass, .hits = sn_map_create(arena)};
  sn_code code = sn_pipeline_run(parse(arena, diags), &env, NULL, NULL, NULL);
  *hit = false;
  for (int i = 0; i < sn_map_count(env.hits); i++) {
    const char *rule = NULL;
    (void)sn_map_at(env.hits, i, &rule);
    *hit = *hit || (rule && pass && sn_rule_listed(pass, rule));
  }
  if (code) assert_non_null(strstr(sn_diags_print(diags, arena), "cannot be switched off"));
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return code;
}

/* By name, but for those that the table says are needed. */
static void passes_are_switched_off(void **state) {
  (void)state;
  const char *name[32];
  int count = sn_passes_optional(name, 32), needed = 0;
  bool hit;
  for (int i = 0; i < count; i++) {
    assert_int_equal(run_without(name[i], &hit), SN_OK);
    assert_false(hit);
  }
  for (const sn_pass *p = sn_pipeline; p->name; p++) {
    if (!p->needed) continue;
    needed++;
    assert_int_equal(run_without(p->name, &hit), SN_ERR_USAGE);
    for (int i = 0; i < count; i++) assert_string_not_equal(name[i], p->name);
  }
  assert_int_equal(needed, 3);
  assert_string_equal(name[count - 1], "math");
}

/* Lowering wants fused functions. */
static void lowering_needs_fusion(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_target target = sn_target_cpu(SN_ISA_BASELINE);
  sn_pass_env env = {.arena = arena, .diags = diags, .target = &target};
  sn_module *m = parse(arena, diags);
  sn_lowered lowered;
  assert_int_equal(sn_pipeline_run(m, &env, "dce", NULL, NULL), SN_OK);
  assert_int_equal(sn_lower(m, &env, &lowered), SN_ERR_FAIL);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

/* The same module gives the same plan, byte for byte. */
static void plans_repeat(void **state) {
  (void)state;
  const char *printed[2];
  sn_arena *arena = sn_arena_create();
  for (int i = 0; i < 2; i++) {
    lowered_case c = {.text = text};
    lowered_result r = lowered_compile(&c);
    sn_text t = sn_text_begin(arena);
    sn_plan_print(&t, r.lowered.plan, false);
    for (int k = 0; k < r.lowered.kernel_count; k++) sn_kernel_print(&t, r.lowered.kernel[k]);
    printed[i] = t.at;
    lowered_free(&r);
  }
  assert_string_equal(printed[0], printed[1]);
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_pass_runs_once),     cmocka_unit_test(stops_where_asked),
      cmocka_unit_test(names_a_broken_invariant), cmocka_unit_test(passes_are_switched_off),
      cmocka_unit_test(lowering_needs_fusion),    cmocka_unit_test(plans_repeat),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
