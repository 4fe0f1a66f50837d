/* Random graphs, valid by construction, through the simplifying passes in turn: executed before and after each pass,
 * and the passes together reach a state that they do not change. Gradients by `sn_derive` are part of half of the
 * graphs. */
#include "tests/passes/golden.h"

enum { POOL = 200 };

typedef struct generator {
  sn_rng rng;
  sn_build b;
  int count;
  sn_val pool[POOL]; /* f32 values to choose from */
} generator;

static int below(generator *g, int n) { return (int)sn_rng_below(&g->rng, (uint64_t)n); }
static sn_val any(generator *g) { return g->pool[below(g, g->count)]; }
static const sn_type *type_of(generator *g, sn_val v) { return sn_g_type(&g->b, v); }

static void keep(generator *g, sn_val v) {
  if (g->b.failed) fail_msg("%s", sn_diags_print(g->b.diags, g->b.func->arena));
  if (v && g->count < POOL) g->pool[g->count++] = v;
}

/* A value of the type of `like`: one of the pool, or a constant that rules look for. */
static sn_val partner(generator *g, sn_val like) {
  static const double special[] = {0, 1, -1, 2, 0.5, 3, -8};
  for (int i = 0; i < 8; i++) {
    sn_val v = any(g);
    if (type_of(g, v) == type_of(g, like) && below(g, 3)) return v;
  }
  return sn_g_const_like(&g->b, like, special[below(g, 7)]);
}

static sn_val make_point(generator *g) {
  static const sn_op unary[] = {SN_OP_NEG, SN_OP_NEG, SN_OP_ABS, SN_OP_TANH, SN_OP_SIN, SN_OP_STOP};
  static const sn_op binary[] = {SN_OP_ADD, SN_OP_ADD, SN_OP_SUB, SN_OP_SUB,
                                 SN_OP_MUL, SN_OP_MUL, SN_OP_MIN, SN_OP_MAX};
  sn_val x = any(g);
  switch (below(g, 6)) {
    case 0: return sn_g1(&g->b, unary[below(g, 6)], x);
    case 1: return sn_g2(&g->b, SN_OP_DIV, x, sn_g_const_like(&g->b, x, below(g, 2) ? 4 : 3));
    case 2: {
      sn_val c = sn_g2(&g->b, SN_OP_LT, x, partner(g, x));
      if (below(g, 2)) c = sn_g1(&g->b, SN_OP_NOT, c);
      return sn_g3(&g->b, SN_OP_SELECT, c, x, partner(g, x));
    }
    case 3: return sn_g_cast(&g->b, sn_g_cast(&g->b, x, below(g, 2) ? SN_ELEM_F64 : SN_ELEM_BF16), SN_ELEM_F32);
    default: {
      sn_val y = partner(g, x);
      return below(g, 2) ? sn_g2(&g->b, binary[below(g, 8)], x, y) : sn_g2(&g->b, binary[below(g, 8)], y, x);
    }
  }
}

static sn_val make_reshape(generator *g) {
  sn_types *types = g->b.func->module->types;
  sn_val x = any(g);
  const sn_type *t = type_of(g, x);
  const sn_dimx *dim[SN_RANK_MAX];
  int rank = 0, at = below(g, t->rank + 1);
  if (t->rank > 1 && below(g, 2)) { /* two axes into one */
    at = below(g, t->rank - 1);
    for (int i = 0; i < t->rank; i++) {
      if (i == at + 1)
        dim[rank - 1] = sn_dimx_mul(types, dim[rank - 1], t->dim[i]);
      else
        dim[rank++] = t->dim[i];
    }
  } else { /* one more of extent 1 */
    for (int i = 0; i <= t->rank; i++) {
      if (i == at) dim[rank++] = sn_dimx_const(types, 1);
      if (i < t->rank) dim[rank++] = t->dim[i];
    }
    if (rank > 4) return 0;
  }
  for (int i = 0; i < rank; i++) {
    if (sn_dimx_min_value(dim[i]) < 0) return 0; /* bounds of products of differences are wide */
  }
  return sn_g_reshape(&g->b, x, rank, dim);
}

static sn_val make_transpose(generator *g) {
  sn_val x = any(g);
  int rank = type_of(g, x)->rank;
  int64_t perm[SN_RANK_MAX];
  for (int i = 0; i < rank; i++) perm[i] = i;
  for (int i = rank - 1; i > 0; i--) {
    int k = below(g, i + 1);
    int64_t swap = perm[i];
    perm[i] = perm[k], perm[k] = swap;
  }
  return sn_g_transpose(&g->b, x, perm);
}

static sn_val make_broadcast(generator *g) {
  sn_types *types = g->b.func->module->types;
  sn_val x = any(g);
  const sn_type *t = type_of(g, x);
  const sn_dimx *dim[SN_RANK_MAX];
  int64_t axes[SN_RANK_MAX];
  if (t->rank > 3) return 0;
  int at = below(g, t->rank + 1);
  for (int i = 0; i <= t->rank; i++) {
    dim[i] = i < at ? t->dim[i] : i > at ? t->dim[i - 1] : sn_dimx_const(types, 2);
    if (i < t->rank) axes[i] = i + (i >= at);
  }
  return sn_g_broadcast(&g->b, x, t->rank + 1, dim, axes);
}

/* All but the first rows of an axis, or a few of the first. */
static sn_val make_slice(generator *g) {
  sn_types *types = g->b.func->module->types;
  sn_val x = any(g);
  const sn_type *t = type_of(g, x);
  if (!t->rank) return 0;
  int axis = below(g, t->rank);
  if (sn_dimx_min_value(t->dim[axis]) < 2) return 0;
  const sn_dimx *one = sn_dimx_const(types, 1);
  if (below(g, 2)) return sn_g_slice_axis(&g->b, x, axis, one, sn_dimx_sub(types, t->dim[axis], one));
  return sn_g_slice_axis(&g->b, x, axis, sn_dimx_const(types, below(g, 2)), one);
}

static sn_val make_concat(generator *g) {
  sn_val x = any(g);
  int rank = type_of(g, x)->rank;
  if (!rank) return 0;
  sn_val parts[3] = {x, partner(g, x), partner(g, x)};
  return sn_g_concat(&g->b, below(g, rank), 2 + below(g, 2), parts);
}

static sn_val make_reduce(generator *g) {
  sn_val x = any(g);
  int rank = type_of(g, x)->rank;
  if (!rank) return 0;
  const int64_t axes[1] = {below(g, rank)};
  return below(g, 2) ? sn_g_sum(&g->b, x, 1, axes) : sn_g_amax(&g->b, x, 1, axes);
}

static sn_val make_node(generator *g) {
  switch (below(g, 12)) {
    case 0: return make_reshape(g);
    case 1: return make_transpose(g);
    case 2: return make_broadcast(g);
    case 3: return make_slice(g);
    case 4: return make_concat(g);
    case 5: return make_reduce(g);
    case 6: return sn_g1(&g->b, below(g, 2) ? SN_OP_SILU : SN_OP_RELU, any(g));
    default: return make_point(g);
  }
}

/* Gradients of the sum of the last value to the leaves. */
static void add_gradients(generator *g, int leaves) {
  sn_val last = g->pool[g->count - 1], wrt[4], d[4] = {0};
  int64_t axes[SN_RANK_MAX];
  for (int i = 0; i < type_of(g, last)->rank; i++) axes[i] = i;
  sn_val loss = sn_g_sum(&g->b, last, type_of(g, last)->rank, axes), one = sn_g_const_like(&g->b, loss, 1);
  for (int i = 0; i < leaves; i++) wrt[i] = g->pool[i];
  assert_int_equal(sn_derive(&g->b, 1, &loss, &one, leaves, wrt, d), SN_OK);
  for (int i = 0; i < leaves; i++) {
    if (d[i]) sn_func_output(g->b.func, sn_arena_printf(g->b.func->arena, "d%d", i), d[i]);
  }
}

static sn_module *generated(sn_arena *arena, sn_diags *diags, uint64_t seed) {
  sn_module *m = sn_module_create(arena);
  generator g = {.rng = {.seed = seed}, .b = sn_build_begin(sn_func_create(m, "g", SN_FUNC_GRAPH), diags)};
  const sn_dimx *dims[] = {sn_dimx_symbol(m->types, "B", 1, 3, 1, NULL), sn_dimx_symbol(m->types, "T", 2, 6, 2, NULL),
                           sn_dimx_const(m->types, 3), sn_dimx_const(m->types, 1)};
  static const int shapes[4][3] = {{0, 1, 2}, {0, 1, 2}, {1, 2, 3}, {3, 0, 2}};
  for (int i = 0; i < 4; i++) {
    const sn_dimx *shape[3] = {dims[shapes[i][0]], dims[shapes[i][1]], dims[shapes[i][2]]};
    const sn_attr at[SN_ATTR_MAX] = {{.set = true, .s = sn_arena_printf(arena, "p%c", 'a' + i)},
                                     {.set = true, .s = "ones"}};
    keep(&g, sn_emit(&g.b, SN_OP_PARAM, 0, NULL, at, sn_type_of(m->types, SN_ELEM_F32, i == 3 ? 2 : 3, shape)));
  }
  int nodes = 8 + below(&g, 24);
  for (int i = 0; i < nodes; i++) keep(&g, make_node(&g));
  for (int i = 0; i < 4; i++) sn_func_output(g.b.func, sn_arena_printf(arena, "y%d", i), g.pool[g.count - 1 - i]);
  if (seed % 2) add_gradients(&g, 4);
  sn_func_finish(g.b.func);
  return m;
}

static void passes_keep_the_values(void **state) {
  (void)state;
  static const sn_pass_fn passes[] = {sn_pass_inline, sn_pass_expand, sn_pass_canon, sn_pass_fold,
                                      sn_pass_cse,    sn_pass_dce,    sn_pass_canon, sn_pass_fold};
  static const char *const names[] = {"inline", "expand", "canon", "fold", "cse", "dce", "canon again", "fold again"};
  int64_t hits = 0, excluded = 0, total = 0;
  for (uint64_t seed = 0; seed < 1000; seed++) {
    golden_case c = {.name = (char[32]){0}};
    golden_run g = {.arena = sn_arena_create(), .diags = sn_diags_create(), .c = &c};
    sn_pass_env env = {.arena = g.arena, .diags = g.diags};
    sn_module *m = generated(g.arena, g.diags, seed);
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
      sn_module *before = SN_NEW(g.arena, sn_module);
      *before = *m;
      before->func = sn_arena_copy(g.arena, m->func, (size_t)m->func_count * sizeof *m->func);
      snprintf(c.name, 32, "seed %d, %s", (int)seed, names[i]);
      if (passes[i](m, &env)) golden_fail(&g, "the pass fails");
      hits += env.rule_hits;
      golden_check(&g, m, "result is not sound");
      golden_execute_both(&g, before, m);
    }
    excluded += g.excluded, total += g.total;
    sn_diags_destroy(g.diags);
    sn_arena_destroy(g.arena);
  }
  assert_true(hits > 3000);
  assert_true(excluded * 100 < total * 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(passes_keep_the_values)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
