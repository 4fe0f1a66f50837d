/* Every op on every element type, with at least eight kinds of shapes: extents 0 and 1, broadcast, primes, ties,
 * symbols. What is checked of a cell that the type rule accepts:
 *   value      executions in the declared types stay within the bound; the compiled op agrees with the interpreter
 *   gradient   the same for its derivatives; in f64 they agree with central differences
 *   second     in f64 the derivatives of the derivatives agree with central differences
 * The table of what was checked stands in docs/ops.md; `compile_test_op_table --print` writes it. */
#include "tests/ops/support.h"

#include "ir/graph/text.h"
#include "ir/ops/sample.h"
#include "tests/compile/harness.h"

enum { ELEMENTS = 4, ORDERS = 2, RESULTS = 16 };

/* ---- shapes ---- */

typedef struct kind_of_shape {
  const char *name;
  int count; /* 0: small ones and symbols */
  int64_t extents[4];
  bool ties;
  bool on_cpu; /* too: code generation takes its time */
  int64_t symbols[2];
} kind_of_shape;

static const kind_of_shape kinds[] = {
    {"nothing", 3, {0, 1, 3}, .on_cpu = true, .symbols = {1, 1}},
    {"ones", 1, {1}, .symbols = {1, 1}},
    {"repeated", 2, {1, 4}, .symbols = {1, 1}},
    {"primes", 4, {2, 3, 5, 7}, .on_cpu = true, .symbols = {1, 1}},
    {"long", 2, {2, 17}, .symbols = {1, 1}},
    {"ties", 2, {3, 5}, .ties = true, .symbols = {1, 1}},
    {"powers", 2, {4, 8}, .symbols = {1, 1}},
    {"symbols", 0, {0}, .symbols = {1, 1}},
    {"more symbols", 0, {0}, .symbols = {3, 19}},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- one use of an op ---- */

typedef struct use {
  world w;
  sn_sample s;
  sn_op op;
  sn_elem elem;
  int kind;
  sn_val y;
} use;

static double draw_value(use *u, sn_rng *r, sn_elem e, const sn_sample_domain *d) {
  int64_t hi = (int64_t)d->hi, lo = (int64_t)d->lo;
  if (d->below) assert_int_equal(sn_dimx_eval(d->below, u->w.dims, &hi), SN_OK);
  if (!sn_elem_is_float(e)) return hi > lo ? (double)(lo + (int64_t)sn_rng_below(r, (uint64_t)(hi - lo))) : 0;
  double v = d->lo + (d->hi - d->lo) * sn_rng_f64(r);
  if (kinds[u->kind].ties) v = fmin(fmax(rint(v), d->lo), d->hi);
  if (fabs(v) < d->gap) v = v < 0 ? v - d->gap : v + d->gap;
  return as_elem(e, v);
}

/* -> false: the type rule does not accept this element type */
static bool use_begin(use *u, sn_op op, sn_elem elem, int kind) {
  const kind_of_shape *k = &kinds[kind];
  sn_rng r = {.seed = (uint64_t)kind, .stream = (uint64_t)op};
  sn_val arg[SN_SAMPLE_ARGS];
  bool conflict = false;
  *u = (use){.w = world_create(), .op = op, .elem = elem, .kind = kind};
  sn_dimx_symbol(u->w.m->types, "B", 1, 8, 1, &conflict);
  sn_dimx_symbol(u->w.m->types, "T", 1, 64, 1, &conflict);
  memcpy(u->w.dims, k->symbols, sizeof k->symbols);
  u->s = (sn_sample){.elem = elem, .extent_count = k->count, .extents = k->extents};
  assert_int_equal(sn_op_sample(&r, u->w.m, op, &u->s), SN_OK);
  if (!sn_sample_is_built(&u->s)) return false;
  for (int i = 0; i < u->s.arg_count; i++) {
    arg[i] = world_arg(&u->w, u->s.arg[i]);
    sn_tensor *t = u->w.arg[i];
    for (int64_t j = 0; j < t->count; j++) set_value(t, j, draw_value(u, &r, t->elem, &u->s.domain[i]));
  }
  u->y = sn_emit(&u->w.b, op, u->s.arg_count, arg, u->s.attr, NULL);
  return u->y != 0;
}

static void use_end(use *u) { world_destroy(&u->w); }

static void complain(const use *u, const char *what) {
  fail_msg("`%s` of %s, shapes \"%s\": %s", sn_op_get(u->op)->name, sn_elem_name(u->elem), kinds[u->kind].name, what);
}

/* An index of nothing points nowhere: such a use cannot be executed. */
static bool is_executable(const use *u) {
  for (int i = 0; i < u->s.arg_count; i++) {
    int64_t most = 1;
    if (u->s.domain[i].below) assert_int_equal(sn_dimx_eval(u->s.domain[i].below, u->w.dims, &most), SN_OK);
    if (most <= 0 && u->w.arg[i]->count) return false;
  }
  if (u->op == SN_OP_ARGMAX || u->op == SN_OP_ARGMIN) return u->w.arg[0]->count > 0;
  return true;
}

/* ---- derivatives ---- */

static bool differentiable(sn_op op) {
  const sn_op_rules *r = sn_op_rules_of(op);
  return r->grad || (r->expand && !r->why_no_grad);
}

/* The operands that derivatives are asked for. */
static int float_args(const use *u, sn_val *wrt, int *which) {
  int n = 0;
  for (int i = 0; i < u->s.arg_count; i++)
    if (sn_elem_is_float(u->s.arg[i]->elem)) which[n] = i, wrt[n++] = u->w.arg_val[i];
  return n;
}

/* The result in ops that have derivatives of every order. */
static sn_val smooth(use *u) {
  const sn_op_rules *r = sn_op_rules_of(u->op);
  const sn_node *n = sn_node_of(u->w.b.func, u->y);
  sn_val arg[SN_SAMPLE_ARGS];
  for (int i = 0; i < n->arg_count; i++) arg[i] = n->arg[i];
  if (u->op == SN_OP_ATTENTION) return sn_attention_expand(&u->w.b, n, arg);
  return r->grad ? u->y : r->expand(&u->w.b, n, arg);
}

/* d sum(y seed) / d operands; 0 where none. -> how many operands */
static int derive(use *u, sn_val y, uint64_t seed, sn_val *d) {
  sn_val wrt[SN_SAMPLE_ARGS];
  int which[SN_SAMPLE_ARGS], n = float_args(u, wrt, which);
  sn_val s = world_noise(&u->w, sn_g_type(&u->w.b, y), seed);
  for (int i = 0; i < n; i++) d[i] = 0;
  if (sn_derive(&u->w.b, 1, &y, &s, n, wrt, d)) complain(u, world_errors(&u->w));
  return n;
}

static bool is_float_result(const use *u) { return sn_elem_is_float(sn_g_type(&u->w.b, u->y)->elem); }

/* Roundings hide derivatives. */
static bool has_differences(const use *u) {
  return u->elem == SN_ELEM_F64 && sn_g_type(&u->w.b, u->y)->elem == SN_ELEM_F64 && is_executable(u) &&
         !kinds[u->kind].ties;
}

/* Derivatives against differences. order 2: those of each first derivative. -> elements checked */
static int64_t check_differences(sn_op op, int kind, int order, int operand) {
  use u;
  sn_val d[SN_SAMPLE_ARGS];
  int64_t checked = 0;
  if (use_begin(&u, op, SN_ELEM_F64, kind) && is_float_result(&u) && has_differences(&u)) {
    sn_val y = smooth(&u);
    if (order == 2) y = operand < derive(&u, y, 3, d) ? d[operand] : 0;
    if (y) {
      grad_check c = check_gradient(&u.w, y, u.s.arg_count, ELEMENTS, 1);
      if (c.wrong) complain(&u, sn_arena_printf(u.w.arena, "derivative %d: %s", order, c.what));
      checked = c.checked;
    }
  }
  use_end(&u);
  return checked;
}

/* ---- executions ---- */

static void check_interpreted(use *u, int results) {
  for (int i = 0; i < results; i++) {
    sn_mismatch m = check_bounds(&u->w, i, ORDERS, 1);
    if (m.count)
      complain(u, sn_arena_printf(u->w.arena, "result %d: oracle %.17g within %.3g, executed %.17g", i, m.expected,
                                  m.bound, m.found));
  }
}

/* The body as a graph of its own: arguments are inputs, results outputs. */
static sn_module *graph_of(use *u) {
  const sn_func *body = u->w.b.func;
  sn_module *m = u->w.m;
  sn_func *f = sn_func_create(m, "g", SN_FUNC_GRAPH);
  sn_build b = sn_build_begin(f, u->w.diags);
  sn_val *map = SN_ARRAY(u->w.arena, body->value_count, sn_val), arg[RESULTS];
  for (int i = 0; i < body->node_count && !b.failed; i++) {
    const sn_node *n = body->node[i];
    sn_val v;
    if (n->op == SN_OP_ARG) {
      const sn_attr at[SN_ATTR_MAX] = {
          {.set = true, .s = sn_arena_printf(u->w.arena, "x%d", (int)sn_node_attr(n, "index")->i)}};
      v = sn_emit(&b, SN_OP_INPUT, 0, NULL, at, n->type[0]);
    } else {
      for (int k = 0; k < n->arg_count; k++) arg[k] = map[n->arg[k]];
      v = sn_func_copy_node(f, n, arg);
    }
    for (int r = 0; r < n->result_count; r++) map[n->first + (sn_val)r] = v + (sn_val)r;
  }
  for (int i = 0; i < body->result_count; i++)
    sn_func_output(f, sn_arena_printf(u->w.arena, "y%d", i), map[body->result[i]]);
  if (b.failed) complain(u, world_errors(&u->w));
  return m;
}

static sn_code run(use *u, sn_compiled *c, int results, const sn_tensor *const *oracle, void **found) {
  sn_runtime_opt ro = sn_compile_runtime_opt(c, 1);
  sn_runtime *runtime = NULL;
  sn_store *store = NULL;
  sn_buffer b[2 * RESULTS + WORLD_ARGS];
  int n = 0;
  for (int i = 0; i < u->w.arg_count + results; i++) {
    const sn_tensor *t = i < u->w.arg_count ? u->w.arg[i] : oracle[i - u->w.arg_count];
    bool input = i < u->w.arg_count;
    const char *name = sn_arena_printf(u->w.arena, input ? "x%d" : "y%d", input ? i : i - u->w.arg_count);
    int slot = sn_plan_find_slot(c->plan, 0, name);
    b[n] = (sn_buffer){.name = name, .rank = t->rank, .data = sn_arena_alloc(u->w.arena, (size_t)t->count * 8 + 64)};
    memcpy(b[n].extent, t->extent, sizeof t->extent);
    if (input) sn_tensor_store(t, b[n].data);
    if (!input) found[i - u->w.arg_count] = memset(b[n].data, 0xff, (size_t)t->count * 8);
    if (slot >= 0) n++;
  }
  sn_code code = sn_runtime_create(c->plan, &ro, u->w.diags, &runtime);
  if (!code) code = sn_store_create(runtime, 1, u->w.dims, u->w.diags, &store);
  if (!code) code = sn_run(runtime, store, "g", n, b, u->w.diags);
  sn_store_destroy(store);
  sn_runtime_destroy(runtime);
  return code;
}

/* -> false: the target refuses it */
static bool check_compiled(use *u, int results, const char *target) {
  sn_compile_opt co = {.target = target, .cache_dir = "", .threads = 1};
  sn_compiled c;
  void *found[RESULTS];
  const sn_tensor *oracle[RESULTS];
  for (int i = 0; i < results; i++) oracle[i] = world_run(&u->w, RUN_BOUNDS, 1, i);
  sn_code code = sn_compile(graph_of(u), &co, u->w.arena, u->w.diags, &c);
  if (code == SN_ERR_DEVICE) return false;
  if (!code) code = run(u, &c, results, oracle, found);
  if (code) complain(u, sn_arena_printf(u->w.arena, "%s: %s", target, world_errors(&u->w)));
  for (int i = 0; i < results; i++) {
    sn_mismatch m = sn_tensor_compare(oracle[i], found[i], 1);
    if (m.count)
      complain(u, sn_arena_printf(u->w.arena, "%s, result %d, element %d: expected %.9g within %.3g, found %.9g",
                                  target, i, (int)m.first, m.expected, m.bound, m.found));
  }
  return true;
}

/* ---- a cell ---- */

typedef struct cell {
  bool accepted, value, gradient; /* compiled: on every shape */
  int shapes;                     /* executed */
  int gradients;
  int64_t first, second; /* elements that agree with differences */
} cell;

static bool on_targets(sn_op op, sn_elem elem, int kind, bool gradient, bool *executed) {
  static const char *const targets[] = {"template", "cpu"};
  bool compiled = true;
  *executed = false;
  for (int t = 0; t < 1 + (SN_HAVE_LLVM && kinds[kind].on_cpu) && compiled; t++) {
    use u;
    sn_val d[SN_SAMPLE_ARGS];
    int n = 0;
    if (!use_begin(&u, op, elem, kind)) fail_msg("`%s`: %s", sn_op_get(op)->name, world_errors(&u.w));
    bool wanted = is_executable(&u) && (!gradient || (differentiable(op) && is_float_result(&u)));
    if (wanted && gradient) n = derive(&u, smooth(&u), 5, d);
    for (int i = 0; i < n; i++)
      if (d[i]) sn_func_return(u.w.b.func, d[i]);
    for (int i = 0; wanted && !gradient && i < sn_node_of(u.w.b.func, u.y)->result_count; i++)
      sn_func_return(u.w.b.func, u.y + (sn_val)i);
    int results = u.w.b.func->result_count;
    if (results && !t) check_interpreted(&u, results);
    if (results) *executed = true, compiled = check_compiled(&u, results, targets[t]);
    use_end(&u);
  }
  return compiled;
}

static cell check_cell(sn_op op, sn_elem elem) {
  cell c = {.value = true, .gradient = true};
  for (int k = 0; k < (int)KINDS; k += CHECK_SAMPLE) {
    use u;
    bool executed;
    c.accepted = use_begin(&u, op, elem, k);
    use_end(&u);
    if (!c.accepted) return c;
    c.value &= on_targets(op, elem, k, false, &executed);
    c.shapes += executed;
    c.gradient &= on_targets(op, elem, k, true, &executed);
    c.gradients += executed;
    if (elem != SN_ELEM_F64 || !differentiable(op)) continue;
    c.first += check_differences(op, k, 1, 0);
    for (int i = 0; i < 3; i++) c.second += check_differences(op, k, 2, i);
  }
  return c;
}

/* ---- the table ---- */

/* Leaves hold no values of their own; grad, call and fused are tested where they are expanded; attention_grad is the
 * gradient of attention. */
static bool is_listed(sn_op op) {
  bool unseen = op == SN_OP_CALL || op == SN_OP_GRAD || op == SN_OP_FUSED || op == SN_OP_ATTENTION_GRAD;
  return sn_op_get(op)->cls != SN_CLASS_LEAF && !unseen;
}

/* Ops whose operands and results have types of their own stand in the column of the result. */
static bool is_own_column(sn_op op, sn_elem e) { return sn_op_get(op)->cls != SN_CLASS_RANDOM || e == SN_ELEM_F32; }

static void print_cell(sn_text *t, const cell *c) {
  if (!c->accepted) {
    sn_text_add(t, " |");
    return;
  }
  sn_text_add(t, " %s%s%s |", c->value ? "V" : "v", c->gradients ? (c->gradient ? " G" : " g") : "",
              c->second ? " 2" : "");
}

static const char *table(sn_arena *arena) {
  sn_text t = sn_text_begin(arena);
  sn_text_add(&t,
              "## Tested\n\nWritten by `tests/compile/test_op_table.c` from what it has checked, on at least eight "
              "kinds of shapes per cell: V value, G\ngradient, 2 second derivative (both against central "
              "differences in f64); small letters: by the interpreter only, no\nother target has it.\n\n| op |");
  for (int e = 1; e < SN_ELEM_COUNT; e++) sn_text_add(&t, " %s |", sn_elem_name((sn_elem)e));
  sn_text_add(&t, "\n|---|");
  for (int e = 1; e < SN_ELEM_COUNT; e++) sn_text_add(&t, "---|");
  for (int op = 1; op < SN_OP_COUNT; op++) {
    int accepted = 0;
    if (!is_listed((sn_op)op)) continue;
    sn_text_add(&t, "\n| `%s` |", sn_op_get((sn_op)op)->name);
    for (int e = 1; e < SN_ELEM_COUNT; e++) {
      cell c = {0};
      if (is_own_column((sn_op)op, (sn_elem)e)) c = check_cell((sn_op)op, (sn_elem)e);
      const char *name = sn_op_get((sn_op)op)->name;
      accepted += c.accepted;
      if (c.accepted && c.shapes * CHECK_SAMPLE < 8)
        fail_msg("`%s` of %s: %d shapes", name, sn_elem_name((sn_elem)e), c.shapes);
      if (c.accepted && e == SN_ELEM_F64 && c.gradients &&
          (c.first * CHECK_SAMPLE < 8 || c.second * CHECK_SAMPLE < 8) && op != SN_OP_CAST)
        fail_msg("`%s`: %d first, %d second derivatives checked", name, (int)c.first, (int)c.second);
      print_cell(&t, &c);
    }
    if (!accepted) fail_msg("`%s`: no element type is accepted", sn_op_get((sn_op)op)->name);
  }
  sn_text_add(&t, "\n");
  return t.at;
}

static const char *documented(void) {
  static char text[1 << 18];
  FILE *f = fopen(SN_SOURCE_DIR "/docs/ops.md", "rb");
  assert_non_null(f);
  text[fread(text, 1, sizeof text - 1, f)] = 0;
  fclose(f);
  const char *at = strstr(text, "## Tested\n");
  return at ? at : "";
}

static void every_cell_obeys_the_laws(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  const char *found = table(arena);
  if (SN_HAVE_LLVM && strcmp(found, documented())) { /* without LLVM fewer cells are filled */
    print_message("%s", found);
    fail_msg("the table in docs/ops.md is another one: replace it by the output of compile_test_op_table --print");
  }
  sn_arena_destroy(arena);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_cell_obeys_the_laws)};
  if (argc > 1 && !strcmp(argv[1], "--print")) {
    sn_arena *arena = sn_arena_create();
    fputs(table(arena), stdout);
    sn_arena_destroy(arena);
    return 0;
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
