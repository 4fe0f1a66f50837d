/* Seed -> module: a pool of values that grows op by op, pairs of ops to connect, gradients, updates, outputs. */
#include <math.h>

#include "ir/ref/grandom_impl.h"

enum { AIMS = 3 }; /* pairs of ops that a graph is to connect */

/* ---- sizes and types ---- */

static void choose_sizes(sn_ggen *g) {
  static const int64_t small[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, large[] = {15, 16, 17, 33, 47, 49, 64, 65, 127, 130};
  bool conflict, stepped = sn_gr_chance(g, 25);
  g->dims[0] = small[sn_gr_below(g, 9)];
  g->dims[1] = stepped               ? 16 * (1 + sn_gr_below(g, 3))
               : sn_gr_chance(g, 60) ? large[sn_gr_below(g, 10)]
                                     : small[sn_gr_below(g, 9)];
  g->palette[0] = sn_dimx_symbol(g->m->types, "B", 1, 9, 1, &conflict);
  g->palette[1] = sn_dimx_symbol(g->m->types, "T", stepped ? 16 : 1, stepped ? 48 : 130, stepped ? 16 : 1, &conflict);
  g->palette_count = 2;
  while (g->palette_count < SN_GR_PALETTE - 1)
    g->palette[g->palette_count++] = sn_gr_number(g, small[sn_gr_below(g, 9)]);
  if (sn_gr_chance(g, 60)) g->palette[g->palette_count++] = sn_gr_number(g, large[sn_gr_below(g, 10)]);
}

static void choose_floats(sn_ggen *g) {
  int kind = (int)sn_gr_below(g, 20);
  for (int i = 0; i < 3; i++) g->real[i] = SN_ELEM_F32;
  if (kind < 5) g->real[2] = SN_ELEM_BF16;
  if (kind == 5) g->real[1] = SN_ELEM_F64;
  if (kind == 6) g->real[0] = g->real[1] = g->real[2] = SN_ELEM_F64;
  if (kind == 7) g->real[0] = g->real[1] = g->real[2] = SN_ELEM_BF16;
}

/* An input over both symbols, so that a run decides them. */
static bool first_values(sn_ggen *g) {
  const sn_attr at[2] = {{.set = true, .s = "sizes"}};
  const sn_type *t = sn_gr_type(g, SN_ELEM_F32, 2, g->palette);
  sn_val v = sn_gr_emit(g, SN_OP_INPUT, 0, NULL, at, t, (sn_gr_fact){.size = 3, .low = -INFINITY, .exact = true});
  if (v) sn_gr_keep(g, v);
  return v != 0;
}

/* An answer to a question about values that are only nearly known: what is made of it has no bound. */
static bool is_doubtful(const sn_ggen *g, sn_val v) { return !sn_gr_is(g, v, SN_GR_FLOAT) && !g->fact[v].exact; }

static sn_val use(sn_ggen *g, sn_op op) {
  sn_val v = sn_gr_use(g, op);
  g->direct = false;
  if (v && is_doubtful(g, v) && sn_gr_chance(g, 50)) return v;
  if (v && sn_gr_elements(g, sn_gr_t(g, v)) <= 5000) {
    sn_val tame = g->b.failed ? v : sn_gr_tame(g, v, 30);
    if (tame) sn_gr_keep(g, tame);
  }
  return v;
}

static bool connected(const sn_ggen *g, sn_val from, sn_op op) {
  for (int i = 0; i < g->f->node_count; i++) {
    const sn_node *n = g->f->node[i];
    for (int k = 0; k < n->arg_count && n->op == op; k++)
      if (sn_node_of(g->f, n->arg[k]) == sn_node_of(g->f, from)) return true;
  }
  return false;
}

static void connect(sn_ggen *g, sn_op producer, sn_op consumer) {
  for (int i = 0; i < 4 && !g->b.failed; i++) {
    sn_val v = use(g, producer);
    if (!v || sn_gr_elements(g, sn_gr_t(g, v)) > 5000) continue;
    g->want = v;
    g->direct = i > 2;
    (void)use(g, consumer);
    g->want = 0;
    if (connected(g, v, consumer)) break;
  }
}

static sn_op any_op(sn_ggen *g) {
  for (;;) {
    sn_op op = (sn_op)(1 + sn_gr_below(g, SN_OP_COUNT - 1));
    bool leaf = sn_op_get(op)->cls == SN_CLASS_LEAF;
    if (sn_gr_is_growth(op) && op != SN_OP_GRAD && !(leaf && sn_gr_chance(g, 70))) return op;
  }
}

static bool used(const sn_ggen *g, sn_val v) {
  for (int i = 0; i < g->f->node_count; i++)
    for (int k = 0; k < g->f->node[i]->arg_count; k++)
      if (g->f->node[i]->arg[k] == v) return true;
  return false;
}

/* Every value that nothing uses, and some others. */
static void add_outputs(sn_ggen *g) {
  int n = 0;
  for (int i = g->count; i-- > 0 && n < 10;) {
    sn_val v = g->pool[i];
    bool leaf = sn_op_get(sn_node_of(g->f, v)->op)->cls == SN_CLASS_LEAF;
    if (sn_gr_chance(g, leaf ? 3 : used(g, v) ? 12 : 95))
      sn_func_output(g->f, sn_name(g->m->names, sn_arena_printf(g->arena, "y%d", n++)), v);
  }
  if (!n) sn_func_output(g->f, sn_name(g->m->names, "y0"), g->pool[g->count - 1]);
}

/* p by other places of itself: turned, where two axes have one extent, or from the other end. A kernel that writes p in
 * place must look twice. */
static sn_val elsewhere(sn_ggen *g, sn_val p) {
  const sn_type *t = sn_gr_t(g, p);
  int64_t perm[SN_RANK_MAX];
  if (!t->rank) return 0;
  int axis = (int)sn_gr_below(g, t->rank);
  for (int i = 0; i < t->rank; i++) perm[i] = i;
  for (int i = 0; i < t->rank; i++) {
    if (i == axis || t->dim[i] != t->dim[axis]) continue;
    perm[i] = axis, perm[axis] = i;
    const sn_attr turn = {.set = true, .ints = perm, .count = t->rank};
    return sn_gr_emit(g, SN_OP_TRANSPOSE, 1, &p, &turn, NULL, g->fact[p]);
  }
  const sn_attr at = {.set = true, .i = axis};
  return sn_gr_emit(g, SN_OP_FLIP, 1, &p, &at, NULL, g->fact[p]);
}

static sn_val moved_sum(sn_ggen *g, sn_val p) {
  if (!sn_elem_is_float(sn_gr_t(g, p)->elem)) return 0;
  const sn_val arg[2] = {p, elsewhere(g, p)};
  return arg[1] ? sn_gr_emit(g, SN_OP_ADD, 2, arg, NULL, NULL, sn_gr_mix(g, 2, arg, 6)) : 0;
}

/* Another parameter of the type, and the two change places. */
static bool exchange(sn_ggen *g, const sn_node *n) {
  const sn_attr at[4] = {{.set = true, .s = sn_arena_printf(g->arena, "x%d", g->leaves++)},
                         {.set = true, .s = "normal"},
                         {.set = true, .f = 1}};
  sn_val p = n->first, q = sn_gr_emit(g, SN_OP_PARAM, 0, NULL, at, n->type[0], g->fact[p]);
  if (!q || !sn_elem_is_float(n->type[0]->elem)) return false;
  sn_func_update(g->f, p, q);
  sn_func_update(g->f, q, p);
  return true;
}

/* A square parameter, large or small, becomes its sum with what it is turned: tiles read what others have written. */
static void add_turned(sn_ggen *g) {
  static const int64_t sides[] = {2, 5, 17, 33, 37};
  const sn_dimx *n = sn_gr_number(g, sides[sn_gr_below(g, 5)]), *dim[2] = {n, n};
  const sn_attr at[4] = {{.set = true, .s = sn_arena_printf(g->arena, "x%d", g->leaves++)},
                         {.set = true, .s = "normal"},
                         {.set = true, .f = 1}};
  sn_val p = sn_gr_emit(g, SN_OP_PARAM, 0, NULL, at, sn_gr_type(g, g->real[0], 2, dim),
                        (sn_gr_fact){.size = 3, .low = -INFINITY, .exact = true});
  sn_val next = p ? moved_sum(g, p) : 0;
  if (next) sn_func_update(g->f, p, next);
}

/* Parameters and states move by a value of their type. */
static void add_updates(sn_ggen *g) {
  int nodes = g->f->node_count;
  if (sn_gr_chance(g, 20)) add_turned(g);
  for (int i = 0; i < nodes && !g->b.failed; i++) {
    const sn_node *n = g->f->node[i];
    if ((n->op != SN_OP_PARAM && n->op != SN_OP_STATE) || sn_gr_chance(g, n->op == SN_OP_PARAM ? 70 : 10)) continue;
    sn_val p = n->first, arg[2] = {p, 0}, moved = sn_gr_chance(g, 40) ? moved_sum(g, p) : 0;
    if (moved) {
      sn_func_update(g->f, p, moved);
      continue;
    }
    if (sn_gr_chance(g, 8) && exchange(g, n)) continue;
    sn_val step = sn_gr_tame(g, sn_gr_partner(g, n->type[0]), 30);
    if (!step) continue;
    arg[1] = step;
    sn_val next = step == p || sn_gr_chance(g, 60)
                      ? sn_gr_emit(g, SN_OP_SUB, 2, arg, NULL, NULL, sn_gr_mix(g, 2, arg, 30))
                      : step;
    if (next) sn_func_update(g->f, p, next);
  }
}

static void add_guard(sn_ggen *g) {
  sn_val v = sn_gr_pick(g, SN_GR_FLOAT, 0, 0);
  if (v) v = sn_gr_emit(g, SN_OP_ISFINITE, 1, &v, NULL, NULL, sn_gr_mix(g, 1, &v, 1));
  if (v) v = sn_g2(&g->b, SN_OP_OR, v, sn_g1(&g->b, SN_OP_NOT, v)); /* always true */
  if (v) g->f->guard = v;
}

/* Views of views of the newest value. */
static void chain_views(sn_ggen *g) {
  static const sn_op views[] = {SN_OP_TRANSPOSE, SN_OP_TRANSPOSE, SN_OP_RESHAPE, SN_OP_BROADCAST, SN_OP_SLICE};
  sn_val v = g->count ? g->pool[g->count - 1] : 0;
  sn_op op = views[sn_gr_below(g, 5)];
  for (int i = 0, n = 2 + (int)sn_gr_below(g, 2); i < n && v && !g->b.failed; i++) {
    if (sn_gr_elements(g, sn_gr_t(g, v)) > 2500) break;
    g->want = v;
    v = use(g, op);
    g->want = 0;
    if (sn_gr_chance(g, 50)) op = views[sn_gr_below(g, 5)];
  }
}

static void grow(sn_ggen *g, int steps) {
  for (int i = 0; i < steps && !g->b.failed; i++) {
    (void)use(g, any_op(g));
    if (sn_gr_chance(g, 20)) chain_views(g);
  }
}

/* The newest value of an op whose gradient is an op or a kernel of its own, if there is one. */
static sn_val structured(const sn_ggen *g) {
  for (int i = g->count; i-- > 0;) {
    sn_op_class c = sn_op_get(sn_node_of(g->f, g->pool[i])->op)->cls;
    if ((c == SN_CLASS_STRUCT || c == SN_CLASS_CONTRACT) && sn_gr_is(g, g->pool[i], SN_GR_FLOAT)) return g->pool[i];
  }
  return 0;
}

static void differentiate(sn_ggen *g) {
  if (sn_gr_chance(g, 15)) (void)use(g, SN_OP_ATTENTION);
  for (int i = 0; i < 8 && !g->b.failed; i++) {
    g->want = i == 0 && sn_gr_chance(g, 60) ? structured(g) : 0;
    if (use(g, SN_OP_GRAD)) break;
  }
  g->want = 0;
  grow(g, (int)sn_gr_below(g, 3));
}

static void count_ops(const sn_func *f, sn_grandom *out) {
  for (int i = 0; i < f->node_count; i++) {
    out->ops += sn_op_get(f->node[i]->op)->cls != SN_CLASS_LEAF;
    out->grad |= f->node[i]->op == SN_OP_GRAD;
  }
}

static sn_code make(sn_gpairs *pairs, uint64_t seed, sn_arena *arena, sn_diags *diags, sn_grandom *out) {
  sn_ggen *g = SN_NEW(arena, sn_ggen);
  sn_op producer[AIMS], consumer[AIMS];
  *g = (sn_ggen){.rng = {.seed = seed, .stream = 77}, .arena = arena, .m = sn_module_create(arena)};
  g->f = sn_func_create(g->m, "g", SN_FUNC_GRAPH);
  g->b = sn_build_begin(g->f, diags);
  choose_sizes(g);
  choose_floats(g);
  g->grad = seed % 2 || sn_gr_chance(g, 10);
  for (int i = 0; i < AIMS; i++) sn_gpairs_aim(pairs, &g->rng, &producer[i], &consumer[i]);
  if (!first_values(g)) return g->b.failed;
  grow(g, 1 + (int)sn_gr_below(g, 6));
  for (int i = 0; i < AIMS; i++) connect(g, producer[i], consumer[i]);
  if (g->grad) differentiate(g);
  if (sn_gr_chance(g, 40)) add_updates(g);
  if (g->f->update_count && sn_gr_chance(g, 30)) add_guard(g);
  if (g->b.failed) return g->b.failed;
  add_outputs(g);
  sn_func *f = sn_func_finish(g->f);
  *out = (sn_grandom){.module = g->m, .dims = {g->dims[0], g->dims[1]}};
  count_ops(f, out);
  SN_TRY(sn_func_verify(f, diags));
  return sn_ops_check(f, diags);
}

/* The seed that comes next. */
static sn_code make_next(sn_gpairs *pairs, sn_arena *arena, sn_diags *diags, sn_grandom *out) {
  sn_code code = make(pairs, pairs->next, arena, diags, out);
  if (!code) sn_gpairs_meet(pairs, out->module);
  pairs->next++;
  return code;
}

sn_code sn_grandom_make(sn_gpairs *pairs, uint64_t seed, sn_arena *arena, sn_diags *diags, sn_grandom *out) {
  uint64_t first = seed - seed % SN_GRANDOM_BLOCK;
  if (pairs->next <= first || pairs->next > seed) sn_gpairs_restart(pairs, first);
  while (pairs->next < seed) {
    sn_grandom other;
    sn_arena *scratch = sn_arena_scratch();
    sn_diags *ignored = sn_diags_scratch();
    bool room = scratch && ignored;
    if (room) (void)make_next(pairs, scratch, ignored, &other); /* its mistakes are its own */
    sn_diags_destroy(ignored);
    sn_arena_destroy(scratch);
    if (!room) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  }
  return make_next(pairs, arena, diags, out);
}
