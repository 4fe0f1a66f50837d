/* Every op by itself, and with elementwise neighbours, on random samples: lowered against the graph interpreter. */
#include "tests/passes/lowered.h"

enum { SAMPLES = 6 };

/* Inputs a0, a1, .. -> the op -> outputs; floats pass an elementwise op before and after it. */
static void build(sn_module *m, sn_op op, const sn_sample *s, bool neighbours, sn_diags *diags) {
  sn_func *f = sn_func_create(m, "g", SN_FUNC_GRAPH);
  sn_build b = sn_build_begin(f, diags);
  sn_val arg[SN_SAMPLE_ARGS];
  for (int i = 0; i < s->arg_count; i++) {
    char name[16];
    snprintf(name, sizeof name, "a%d", i);
    const sn_attr at[2] = {{.set = true, .s = sn_name(m->names, name)}};
    arg[i] = sn_emit(&b, SN_OP_INPUT, 0, NULL, at, s->arg[i]);
    if (neighbours && sn_elem_is_float(s->arg[i]->elem))
      arg[i] = sn_g2(&b, SN_OP_ADD, arg[i], sn_g_const_like(&b, arg[i], 0.0625));
  }
  sn_val v = sn_emit(&b, op, s->arg_count, arg, s->attr, s->leaf);
  assert_int_equal(b.failed, SN_OK);
  for (int r = 0; r < sn_node_of(f, v)->result_count; r++) {
    char name[16];
    sn_val w = v + (sn_val)r;
    snprintf(name, sizeof name, "r%d", r);
    if (neighbours && sn_elem_is_float(sn_g_type(&b, w)->elem)) w = sn_g1(&b, SN_OP_NEG, w);
    sn_func_output(f, sn_name(m->names, name), w);
  }
  (void)sn_func_finish(f);
}

static bool is_skipped(sn_op op) {
  sn_op_class cls = sn_op_get(op)->cls;
  return cls == SN_CLASS_LEAF || op == SN_OP_CALL || op == SN_OP_GRAD || op == SN_OP_FUSED || op == SN_OP_NONE;
}

/* Does the target have no kernel for it, and said so? */
static bool is_refused(const sn_diags *d) {
  for (int i = 0; i < d->count; i++)
    if (d->at[i].code == SN_ERR_DEVICE) return true;
  return false;
}

static void check_sample(sn_op op, uint64_t seed, sn_elem real, bool neighbours, const sn_target *target,
                         int *refused) {
  static const char *const ways[] = {"none", "all"};
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_module *m = sn_module_create(arena);
  bool conflict = false;
  sn_dimx_symbol(m->types, "B", 1, 8, 1, &conflict);
  sn_dimx_symbol(m->types, "T", 1, 64, 1, &conflict);
  sn_rng rng = {.seed = seed, .stream = (uint64_t)op};
  sn_sample s = {.real = real};
  assert_int_equal(sn_op_sample(&rng, m, op, &s), SN_OK);
  build(m, op, &s, neighbours, diags);
  sn_text t = sn_text_begin(arena);
  sn_module_print(&t, m, (sn_print_opt){0});
  const int64_t dims[2] = {2, 3};
  for (int w = 0; w < 2; w++) {
    lowered_case c = {
        .text = strchr(t.at, '\n') + 1, .fuse = ways[w], .dims = dims, .domain = s.domain, .target = target};
    lowered_result r = lowered_try(&c);
    r.env.target = &r.target;
    if (r.lowered.plan)
      lowered_execute(&r, &c);
    else if (is_refused(r.diags)) {
      ++*refused;
      if (getenv("SN_SHOW_STEPS")) print_message("%s\n", sn_diags_print(r.diags, r.arena));
    } else
      lowered_fail(&r, "lowering fails");
    lowered_free(&r);
  }
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void check_ops(sn_elem real, bool neighbours, const sn_target *target) {
  int refused = 0;
  for (int op = 1; op < SN_OP_COUNT; op++) {
    if (is_skipped((sn_op)op)) continue;
    int before = refused;
    for (uint64_t i = 0; i < SAMPLES; i++) check_sample((sn_op)op, i, real, neighbours, target, &refused);
    if (refused > before && op != SN_OP_ATTENTION_GRAD) /* its symbolic head sizes have no kernel */
      fail_msg("`%s`: %d of %d samples are refused", sn_op_get((sn_op)op)->name, refused - before, 2 * SAMPLES);
  }
}

static void single_ops(void **state) {
  (void)state;
  check_ops(SN_ELEM_F32, false, NULL);
}

static void ops_with_neighbours(void **state) {
  (void)state;
  check_ops(SN_ELEM_F32, true, NULL);
}

static void single_ops_bf16(void **state) {
  (void)state;
  check_ops(SN_ELEM_BF16, false, NULL);
}

/* The schedules of devices that want many instances. */
static void single_ops_gpu(void **state) {
  (void)state;
  sn_target gpu = sn_target_vulkan(&(sn_gpu){.float64 = true});
  check_ops(SN_ELEM_F32, false, &gpu);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(single_ops), cmocka_unit_test(ops_with_neighbours),
                                     cmocka_unit_test(single_ops_bf16), cmocka_unit_test(single_ops_gpu)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
