/* What one kernel covers: nodes -> the space it iterates over, and each access to memory as a strided view over that
 * space.
 *
 *   1. A value whose shape is to be the space is chosen: the result of a contraction, the operand of a reduction, an
 * output; then shapes of other values of the group, finer ones first.
 *   2. place: the way of every value to the space, over elementwise nodes, views and their inverses.
 *   3. walk: from each output down to memory; views on the way make the chain under which an operand is seen.
 * Elementwise nodes may be seen in any way; a reduction or contraction only in the one in which it was placed. */
#include "passes/lower/internal.h"

#include <string.h>

enum { ANCHORS = 16 }; /* values that are tried as the space */

/* ---- facts of nodes ---------------------------------------------------------------------------------------- */

static bool is_view(const sn_group *g, const sn_node *n) {
  return sn_op_get(n->op)->cls == SN_CLASS_VIEW && !(g->stored && g->stored[n->first] && !g->member[n->first]);
}

static bool is_inside(const sn_group *g, const sn_node *n) {
  return g->member ? g->member[n->first] : n->op != SN_OP_ARG;
}

static bool is_reduction(const sn_node *n) { return sn_op_get(n->op)->cls == SN_CLASS_REDUCE; }

static bool fail(sn_group *g, const char *why) {
  g->why = why;
  return false;
}

static sn_shape shape_of(const sn_group *g, sn_val v) { return sn_shape_of(sn_val_type(g->f, v)); }

static const sn_dimx *count_of(const sn_group *g, sn_val v) {
  return sn_type_count(g->f->module->types, sn_val_type(g->f, v));
}

/* The step that puts the reduced axes of a reduction back, repeating. */
static sn_step_map unreduce(const sn_group *g, const sn_node *n) {
  sn_step_map m = {.op = SN_OP_BROADCAST, .from = shape_of(g, n->first), .to = shape_of(g, n->arg[0])};
  const sn_attr *axes = sn_reduction_position(n) ? NULL : sn_node_attr(n, "axes");
  int k = 0, count = 0;
  for (int i = 0; i < m.to.rank; i++) {
    bool gone = axes ? k < axes->count && axes->ints[k] == i : sn_node_attr(n, "axis")->i == i;
    k += gone;
    if (!gone) m.at[count++] = i;
  }
  return m;
}

/* A scalar or leading axes repeated over the shape of `like`. */
static sn_step_map spread(const sn_group *g, sn_val v, const sn_shape *like, int first_axis) {
  sn_step_map m = {.op = SN_OP_BROADCAST, .from = shape_of(g, v), .to = *like};
  for (int i = 0; i < m.from.rank; i++) m.at[i] = first_axis + i;
  return m;
}

/* ---- placement ------------------------------------------------------------------------------------------------ */

static const sn_place *first_place(const sn_places *p, sn_val v) {
  int i = p->head[v % SN_PLACE_BUCKETS];
  return i ? &p->at[i - 1] : NULL;
}

static const sn_place *next_place(const sn_places *p, const sn_place *x) {
  return x->next ? &p->at[x->next - 1] : NULL;
}

static void add_place(sn_group *g, sn_places *p, sn_val v, const sn_chain *chain) {
  int *head = &p->head[v % SN_PLACE_BUCKETS];
  SN_GROW(g->arena, p->at, p->count, p->capacity);
  p->at[p->count++] = (sn_place){v, chain, *head};
  *head = p->count;
}

static void forget_places(sn_places *p) {
  p->count = 0;
  memset(p->head, 0, sizeof p->head);
}

bool sn_group_placed(const sn_group *g, sn_val v, const sn_chain **out) {
  for (const sn_place *x = first_place(&g->placed, v); x; x = next_place(&g->placed, x))
    if (x->value == v) {
      *out = x->chain;
      return true;
    }
  return false;
}

static bool put(sn_group *g, sn_val v, const sn_chain *chain) {
  const sn_chain *known;
  if (sn_group_placed(g, v, &known)) return false;
  add_place(g, &g->placed, v, chain);
  return true;
}

static bool place_view(sn_group *g, const sn_node *n, bool narrowing) {
  const sn_chain *c;
  sn_step_map m;
  bool two_way = n->op == SN_OP_RESHAPE || n->op == SN_OP_TRANSPOSE;
  if (sn_group_placed(g, n->first, &c) && (two_way || narrowing) && sn_step_of(g->f, n, false, &m))
    return put(g, n->arg[0], sn_chain_add(&g->chains, &m, c));
  if (two_way && sn_group_placed(g, n->arg[0], &c) && sn_step_of(g->f, n, true, &m))
    return put(g, n->first, sn_chain_add(&g->chains, &m, c));
  return false;
}

/* All operands from `skip` on and the result lie alike. */
static bool place_alike(sn_group *g, const sn_node *n, int skip) {
  const sn_chain *c;
  bool known = sn_group_placed(g, n->first, &c), news = false;
  for (int i = skip; i < n->arg_count && !known; i++) known = sn_group_placed(g, n->arg[i], &c);
  if (!known) return false;
  news = put(g, n->first, c);
  for (int i = skip; i < n->arg_count; i++) news = put(g, n->arg[i], c) || news;
  return news;
}

static bool place_node(sn_group *g, const sn_node *n, bool narrowing) {
  const sn_chain *c;
  if (is_view(g, n)) return place_view(g, n, narrowing);
  if (!is_inside(g, n)) return false;
  if (sn_op_get(n->op)->cls == SN_CLASS_POINT) return place_alike(g, n, 0);
  if (n->op == SN_OP_INDEX) return place_alike(g, n, 1);
  if (is_reduction(n) && sn_group_placed(g, n->arg[0], &c)) {
    sn_step_map m = unreduce(g, n);
    return put(g, n->first, sn_chain_add(&g->chains, &m, c));
  }
  return false;
}

static void place_views(sn_group *g, bool narrowing) {
  for (bool news = true; news;) {
    news = false;
    for (int i = 0; i < g->node_count; i++)
      news = (is_view(g, g->node[i]) && place_view(g, g->node[i], narrowing)) || news;
  }
}

static bool place_next(sn_group *g, const sn_node *n, bool narrowing) {
  bool news = place_node(g, n, narrowing);
  if (news && g->views_first) place_views(g, narrowing);
  return news;
}

static void place_neighbours(sn_group *g, bool narrowing) {
  for (bool news = true; news;) {
    news = false;
    for (int i = 0; i < g->node_count; i++) news = place_next(g, g->node[i], narrowing) || news;
    for (int i = g->node_count - 1; i >= 0; i--) news = place_next(g, g->node[i], narrowing) || news;
  }
}

/* Work of the same shape that nothing connects (updates of several tensors) may share the space. */
static bool place_apart(sn_group *g) {
  const sn_chain *c;
  for (int i = 0; i < g->node_count + g->output_count; i++) {
    const sn_node *n = i < g->node_count ? g->node[i] : sn_node_of(g->f, g->output[i - g->node_count].value);
    sn_val v = i < g->node_count ? 0 : n->first;
    if (i < g->node_count && is_inside(g, n) && is_reduction(n)) v = n->arg[0];
    if (!v || sn_group_placed(g, v, &c)) continue;
    sn_shape s = shape_of(g, v);
    if (sn_shape_equal(&s, &g->space)) return put(g, v, NULL);
  }
  return false;
}

static void place_all(sn_group *g) {
  do {
    place_neighbours(g, false);
    place_neighbours(g, true);
  } while (place_apart(g));
}

/* ---- the walk --------------------------------------------------------------------------------------------------- */

static bool walk(sn_group *g, sn_val v, const sn_chain *chain);

sn_access *sn_group_access(const sn_group *g, sn_access_kind kind, sn_val value, const sn_chain *chain) {
  for (int i = 0; i < g->access_count; i++) {
    sn_access *a = &g->access[i];
    if (a->kind == kind && a->value == value && a->chain == chain) return a;
  }
  return NULL;
}

static bool add_access(sn_group *g, const sn_access *a) {
  sn_access x = *a;
  if (sn_group_access(g, a->kind, a->value, a->chain)) return true;
  if (!sn_view_chain(g->f->module->types, &x.view, x.chain)) return fail(g, "not a strided view");
  SN_GROW(g->arena, g->access, g->access_count, g->access_capacity);
  g->access[g->access_count++] = x;
  return true;
}

static bool walk_through(sn_group *g, sn_val v, const sn_step_map *m, const sn_chain *chain) {
  return walk(g, v, sn_chain_add(&g->chains, m, chain));
}

static bool walk_leaf(sn_group *g, sn_val v, const sn_chain *chain, sn_access_kind kind) {
  sn_shape s = shape_of(g, v);
  sn_types *t = g->f->module->types;
  sn_access a = {.kind = kind, .value = v, .chain = chain, .view = sn_view_of(t, &s)};
  if (kind == SN_ACCESS_IOTA) {
    int axis = (int)sn_node_attr(sn_node_of(g->f, v), "axis")->i;
    for (int i = 0; i < s.rank; i++) a.view.stride[i] = sn_dimx_const(t, i == axis && !sn_dimx_is_one(s.extent[i]));
  }
  return add_access(g, &a);
}

/* The table of an indexing node must lie in memory. */
static bool table_view(sn_group *g, sn_val table, sn_access *a) {
  const sn_node *n = sn_node_of(g->f, table);
  if (is_view(g, n)) {
    if (!table_view(g, n->arg[0], a)) return false;
    return sn_view_through(g->f->module->types, &a->view, g->f, n) || fail(g, "not a strided view");
  }
  if (is_inside(g, n) || n->op == SN_OP_CONST || n->op == SN_OP_IOTA || n->op == SN_OP_DIM)
    return fail(g, "indexes a value that is computed in the same kernel");
  sn_shape s = shape_of(g, table);
  a->base = table;
  a->view = sn_view_of(g->f->module->types, &s);
  return true;
}

/* gather: the axes of the result are batch.., index.., rest.. */
static bool walk_gather(sn_group *g, const sn_node *n, const sn_chain *chain) {
  sn_access a = {.kind = SN_ACCESS_GATHER, .value = n->first, .chain = chain};
  if (!table_view(g, n->arg[0], &a)) return false;
  int batch = (int)sn_node_attr(n, "batch")->i, indices = sn_val_type(g->f, n->arg[1])->rank;
  sn_view table = a.view;
  sn_shape out = shape_of(g, n->first);
  a.row[0] = table.stride[batch];
  a.rows[0] = table.extent[batch];
  a.view.rank = out.rank;
  for (int i = 0; i < out.rank; i++) {
    a.view.extent[i] = out.extent[i];
    a.view.stride[i] = i < batch     ? table.stride[i]
                       : i < indices ? sn_dimx_const(g->f->module->types, 0)
                                     : table.stride[i - indices + batch + 1];
  }
  sn_step_map m = spread(g, n->arg[1], &out, 0);
  return add_access(g, &a) && walk_through(g, n->arg[1], &m, chain);
}

static bool walk_index(sn_group *g, const sn_node *n, const sn_chain *chain) {
  sn_access a = {.kind = SN_ACCESS_GATHER, .value = n->first, .chain = chain};
  if (!table_view(g, n->arg[0], &a)) return false;
  sn_view table = a.view;
  sn_shape out = shape_of(g, n->first);
  a.view.rank = out.rank;
  for (int i = 0; i < out.rank; i++) {
    a.view.extent[i] = out.extent[i];
    a.view.stride[i] = sn_dimx_const(g->f->module->types, 0);
  }
  for (int k = 0; k < table.rank; k++) {
    a.row[k] = table.stride[k];
    a.rows[k] = table.extent[k];
    if (!walk(g, n->arg[k + 1], chain)) return false;
  }
  return add_access(g, &a);
}

static bool walk_dyn_slice(sn_group *g, const sn_node *n, const sn_chain *chain) {
  sn_access a = {.kind = SN_ACCESS_GATHER, .value = n->first, .chain = chain};
  if (!table_view(g, n->arg[0], &a)) return false;
  int axis = (int)sn_node_attr(n, "axis")->i;
  sn_shape out = shape_of(g, n->first);
  sn_types *t = g->f->module->types;
  a.row[0] = a.view.stride[axis];
  /* start may be 0 .. extent - count */
  a.rows[0] = sn_dimx_add(t, sn_dimx_sub(t, a.view.extent[axis], out.extent[axis]), sn_dimx_const(t, 1));
  for (int i = 0; i < out.rank; i++) {
    a.view.extent[i] = out.extent[i];
    if (sn_dimx_is_one(out.extent[i])) a.view.stride[i] = sn_dimx_const(t, 0);
  }
  sn_step_map m = spread(g, n->arg[1], &out, 0);
  return add_access(g, &a) && walk_through(g, n->arg[1], &m, chain);
}

static bool walk_uniform(sn_group *g, const sn_node *n, const sn_chain *chain) {
  sn_shape out = shape_of(g, n->first);
  sn_step_map m = spread(g, n->arg[0], &out, 0);
  return walk_leaf(g, n->first, chain, SN_ACCESS_UNIFORM) && walk_through(g, n->arg[0], &m, chain) &&
         walk_through(g, n->arg[1], &m, chain);
}

/* Is a result seen through `chain` the one at its own place? */
static bool at_home(sn_group *g, sn_val v, const sn_chain *chain) {
  const sn_chain *home;
  sn_types *t = g->f->module->types;
  if (!sn_group_placed(g, v, &home)) return fail(g, "value needed by two kernels of different shape");
  if (home == chain) return true;
  sn_shape s = shape_of(g, v);
  sn_view a = sn_view_of(t, &s), b = a;
  if (!sn_view_chain(t, &a, home) || !sn_view_chain(t, &b, chain)) return fail(g, "not a strided view");
  for (int i = 0; i < a.rank; i++)
    if (a.stride[i] != b.stride[i] || a.offset != b.offset)
      return fail(g, "value needed by two kernels of different shape");
  return true;
}

/* The axes of the space that a reduction runs over: those along which its result repeats. A position counts along one.
 */
static bool reduced_axes(sn_group *g, const sn_node *n) {
  const sn_chain *home;
  int count = 0;
  sn_types *t = g->f->module->types;
  sn_shape s = shape_of(g, n->first);
  sn_view v = sn_view_of(t, &s);
  if (!sn_group_placed(g, n->first, &home) || !sn_view_chain(t, &v, home))
    return fail(g, "reduction over another axis");
  for (int i = 0; i < g->space.rank; i++) {
    bool along = sn_dimx_is_zero(v.stride[i]) && !sn_dimx_is_one(v.extent[i]);
    if (g->reduce_count && along != g->reduce[i]) return fail(g, "reduction over another axis");
    g->reduce[i] = along;
    count += along;
  }
  g->reduce_count++;
  if (count > 1 && sn_reduction_position(n)) return fail(g, "reduction over another axis");
  return true;
}

/* Does the way to the space only rename elements, so that each stands in it exactly once? */
static bool renames_only(const sn_chain *c) {
  for (; c; c = c->next)
    if (c->map.op != SN_OP_RESHAPE && c->map.op != SN_OP_TRANSPOSE) return false;
  return true;
}

static bool walk_result(sn_group *g, const sn_node *n, const sn_chain *chain) {
  const sn_chain *home = NULL;
  if (!at_home(g, n->first, chain)) return false;
  sn_group_placed(g, n->first, &home);
  if (sn_group_access(g, SN_ACCESS_RESULT, n->first, home)) return true;
  sn_access a = {.kind = SN_ACCESS_RESULT, .value = n->first, .chain = home};
  SN_GROW(g->arena, g->access, g->access_count, g->access_capacity);
  g->access[g->access_count++] = a;
  if (n->op == SN_OP_CONTRACT) {
    if (g->contract) return fail(g, "two contractions");
    g->contract = n->first;
    return true;
  }
  const sn_chain *operand;
  sn_step_map m = unreduce(g, n);
  if (!sn_group_placed(g, n->arg[0], &operand) || !renames_only(operand) ||
      !at_home(g, n->first, sn_chain_add(&g->chains, &m, operand)))
    return fail(g, "reduction over another axis");
  return reduced_axes(g, n) && walk(g, n->arg[0], operand);
}

static bool seen_before(sn_group *g, sn_val v, const sn_chain *chain) {
  for (const sn_place *x = first_place(&g->seen, v); x; x = next_place(&g->seen, x))
    if (x->value == v && x->chain == chain) return true;
  add_place(g, &g->seen, v, chain);
  return false;
}

static bool walk_point(sn_group *g, const sn_node *n, const sn_chain *chain) {
  for (int i = 0; i < n->arg_count; i++)
    if (!walk(g, n->arg[i], chain)) return false;
  return true;
}

static bool walk(sn_group *g, sn_val v, const sn_chain *chain) { /* table */
  const sn_node *n = sn_node_of(g->f, v);
  sn_step_map m;
  if (seen_before(g, v, chain)) return true;
  if (is_view(g, n)) return sn_step_of(g->f, n, false, &m) && walk_through(g, n->arg[0], &m, chain);
  switch (n->op) {
    case SN_OP_CONST:
    case SN_OP_DIM: return true;
    case SN_OP_IOTA: return walk_leaf(g, v, chain, SN_ACCESS_IOTA);
    default: break;
  }
  if (!is_inside(g, n) || sn_op_get(n->op)->cls == SN_CLASS_LEAF) return walk_leaf(g, v, chain, SN_ACCESS_BUFFER);
  switch (n->op) {
    case SN_OP_UNIFORM: return walk_uniform(g, n, chain);
    case SN_OP_GATHER: return walk_gather(g, n, chain);
    case SN_OP_INDEX: return walk_index(g, n, chain);
    case SN_OP_DYN_SLICE: return walk_dyn_slice(g, n, chain);
    case SN_OP_CONTRACT: return walk_result(g, n, chain);
    default: break;
  }
  if (is_reduction(n)) return walk_result(g, n, chain);
  if (sn_op_get(n->op)->cls == SN_CLASS_POINT) return walk_point(g, n, chain);
  return fail(g, "an op that is a kernel of its own");
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */

static bool store_view(sn_group *g, sn_group_output *o) {
  sn_types *t = g->f->module->types;
  sn_shape s = shape_of(g, o->value);
  if (!sn_group_placed(g, o->value, &o->chain)) return fail(g, "value needed by two kernels of different shape");
  o->view = sn_view_of(t, &s);
  return sn_view_chain(t, &o->view, o->chain) || fail(g, "not a strided view");
}

/* Every element is stored once: strides everywhere, or nowhere along the reduced axes. Those of an empty value are 0
 * beside its empty axis, and say nothing. */
static bool covers(sn_group *g, sn_group_output *o) {
  const sn_dimx *stored = sn_dimx_const(g->f->module->types, 1);
  bool all = true, kept = true, empty = sn_dimx_is_zero(count_of(g, o->value));
  for (int i = 0; i < g->space.rank; i++) {
    bool zero = sn_dimx_is_zero(o->view.stride[i]) && !sn_dimx_is_one(o->view.extent[i]) && (!empty || g->reduce[i]);
    if (!zero) stored = sn_dimx_mul(g->f->module->types, stored, o->view.extent[i]);
    all = all && !zero;
    kept = kept && zero == (g->reduce[i] && !sn_dimx_is_one(o->view.extent[i]));
  }
  o->reduced = !all;
  if ((!all && !(kept && g->reduce_count)) || stored != count_of(g, o->value))
    return fail(g, "value needed by two kernels of different shape");
  return true;
}

static bool try_anchor(sn_group *g, sn_val anchor) {
  g->anchor = anchor;
  g->space = shape_of(g, anchor);
  g->access_count = g->reduce_count = 0;
  forget_places(&g->placed);
  forget_places(&g->seen);
  g->contract = 0;
  g->why = NULL;
  memset(g->reduce, 0, sizeof g->reduce);
  put(g, anchor, NULL);
  place_all(g);
  for (int i = 0; i < g->output_count; i++)
    if (!store_view(g, &g->output[i])) return false;
  for (int i = 0; i < g->output_count; i++)
    if (!walk(g, g->output[i].value, g->output[i].chain)) return false;
  for (int i = 0; i < g->output_count; i++)
    if (!covers(g, &g->output[i])) return false;
  return true;
}

/* The value whose shape the space must refine: contraction, operand of a reduction, the largest output. */
static sn_val main_value(const sn_group *g) {
  sn_val best = g->output[0].value;
  for (int i = 0; i < g->node_count; i++) {
    const sn_node *n = g->node[i];
    if (n->op == SN_OP_CONTRACT && is_inside(g, n)) return n->first;
    if (is_reduction(n) && is_inside(g, n)) return n->arg[0];
  }
  return best;
}

static void begin(sn_group *g, sn_arena *arena, const sn_func *f, int node_count, const sn_node *const *node,
                  const bool *member, const bool *stored, int output_count, const sn_val *output) {
  *g = (sn_group){.arena = arena,
                  .chains = {.arena = arena, .types = f->module->types},
                  .f = f,
                  .node_count = node_count,
                  .node = node,
                  .member = member,
                  .stored = stored,
                  .output_count = output_count};
  g->output = SN_ARRAY(arena, output_count, sn_group_output);
  for (int i = 0; i < output_count; i++) g->output[i].value = output[i];
}

bool sn_group_build_at(sn_group *g, sn_arena *arena, const sn_func *f, int node_count, const sn_node *const *node,
                       const bool *member, const bool *stored, sn_val anchor, int output_count, const sn_val *output) {
  begin(g, arena, f, node_count, node, member, stored, output_count, output);
  return try_anchor(g, anchor);
}

/* Values that lie in the space as they are: other anchors of no use. */
typedef struct covered {
  int count, capacity;
  sn_val *at;
} covered;

static void cover(sn_group *g, covered *c) {
  for (int i = 0; i < g->placed.count; i++) {
    if (g->placed.at[i].chain) continue;
    SN_GROW(g->arena, c->at, c->count, c->capacity);
    c->at[c->count++] = g->placed.at[i].value;
  }
}

static bool is_covered(const covered *c, sn_val v) {
  for (int i = 0; i < c->count; i++)
    if (c->at[i] == v) return true;
  return false;
}

/* The value of the highest rank that was not tried, with as many elements as the first; 0: none. */
static sn_val next_anchor(const sn_group *g, sn_val first, const covered *c) {
  sn_val best = 0;
  for (int i = 0; i < g->node_count; i++) {
    sn_val v = g->node[i]->first;
    if (g->node[i]->op == SN_OP_ARG || count_of(g, v) != count_of(g, first) || is_covered(c, v)) continue;
    if (!best || sn_val_type(g->f, v)->rank > sn_val_type(g->f, best)->rank) best = v;
  }
  return best;
}

static bool build(sn_group *g) {
  const sn_func *f = g->f;
  sn_val first = main_value(g);
  covered c = {0};
  if (try_anchor(g, first)) return true;
  const char *why = g->why;
  if (sn_node_of(f, first)->op == SN_OP_CONTRACT) return false;
  for (int tries = 0; tries < ANCHORS; tries++) {
    cover(g, &c);
    sn_val v = next_anchor(g, first, &c);
    if (!v) break;
    if (try_anchor(g, v)) return true;
  }
  return fail(g, why);
}

bool sn_group_build(sn_group *g, sn_arena *arena, const sn_func *f, int node_count, const sn_node *const *node,
                    const bool *member, const bool *stored, int output_count, const sn_val *output) {
  begin(g, arena, f, node_count, node, member, stored, output_count, output);
  return build(g);
}

/* An operand that is used as it is and through a view has two places to lie at, and which is found first hangs on the
 * order of the nodes. A body's is not that of the graph it was checked in: then the view's is tried too. */
bool sn_group_of_body(sn_group *g, sn_arena *arena, const sn_func *body) {
  begin(g, arena, body, body->node_count, body->node, NULL, NULL, body->result_count, body->result);
  if (build(g)) return true;
  const char *why = g->why;
  g->views_first = true;
  return build(g) || fail(g, why);
}
