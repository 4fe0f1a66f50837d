/* Fuse: which nodes may be one kernel. The judge is the analysis that lowering uses. */
#include <stdlib.h>
#include <string.h>

#include "passes/graph/fuse.h"
#include "passes/lower/internal.h"

enum { MOST_BUFFERS = 40, MOST_NODES = 400, MOST_REDUCTIONS = 12, CHEAP = 8 };

/* ---- sets of nodes
 * ---------------------------------------------------------------------------------------------------- */

typedef struct node_set {
  sn_fuse *s;
  int count, capacity;
  int *at;
} node_set;

static void add_below(node_set *x, sn_val v) {
  const sn_node *n = sn_node_of(x->s->f, v);
  bool view = sn_op_get(n->op)->cls == SN_CLASS_VIEW && !x->s->stored[n->first];
  if ((!view && !x->s->inlined[n->first] && !sn_fuse_is_number(n->op)) || x->s->member[n->first]) return;
  if (sn_fuse_is_number(n->op) && x->s->stored[n->first]) return;
  x->s->member[n->first] = true;
  SN_GROW(x->s->arena, x->at, x->count, x->capacity);
  x->at[x->count++] = sn_fuse_position(x->s, v);
  for (int k = 0; k < n->arg_count; k++) add_below(x, n->arg[k]);
}

static int ascending(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* The nodes with the views and inlined nodes below them; marks what is computed here as members. */
static node_set gather_nodes(sn_fuse *s, int count, const int *node) {
  node_set x = {.s = s};
  for (int i = 0; i < count; i++) {
    s->member[s->f->node[node[i]]->first] = true;
    SN_GROW(s->arena, x.at, x.count, x.capacity);
    x.at[x.count++] = node[i];
  }
  for (int i = 0; i < count; i++)
    for (int k = 0; k < s->f->node[node[i]]->arg_count; k++) add_below(&x, s->f->node[node[i]]->arg[k]);
  qsort(x.at, (size_t)x.count, sizeof *x.at, ascending);
  return x;
}

static void forget_members(sn_fuse *s, const node_set *x) {
  for (int i = 0; i < x->count; i++) s->member[s->f->node[x->at[i]]->first] = false;
}

static bool holds(int count, const int *node, int p) {
  for (int lo = 0, hi = count - 1; lo <= hi;) {
    int mid = (lo + hi) / 2;
    if (node[mid] == p) return true;
    if (node[mid] < p)
      lo = mid + 1;
    else
      hi = mid - 1;
  }
  return false;
}

int sn_fuse_outputs(const sn_fuse *s, int count, const int *node, sn_val *out) {
  int n = 0;
  for (int i = 0; i < count; i++) {
    const sn_node *x = s->f->node[node[i]];
    if (s->copied[node[i]]) continue;
    for (int r = 0; r < x->result_count; r++) {
      sn_val v = x->first + (sn_val)r;
      bool needed = s->kept[v] || (s->readers && s->readers[v] > 0);
      for (int u = 0; !s->readers && u < s->users[node[i]] && !needed; u++) {
        int p = s->user[node[i]][u];
        if (holds(count, node, p)) continue;
        const sn_node *user = s->f->node[p];
        for (int k = 0; k < user->arg_count; k++) needed = needed || sn_fuse_base(s, user->arg[k]) == v;
      }
      if (needed) out[n++] = v;
    }
  }
  return n;
}

static void add_input(const sn_fuse *s, int count, const int *node, sn_val v, sn_val *in, int most, int *n) {
  sn_val base = sn_fuse_base(s, v);
  const sn_node *x = sn_node_of(s->f, base);
  if (sn_fuse_is_number(x->op) && !s->stored[base]) return;
  if (s->inlined[base]) {
    for (int k = 0; k < x->arg_count; k++) add_input(s, count, node, x->arg[k], in, most, n);
    return;
  }
  if (holds(count, node, sn_fuse_position(s, base))) return;
  for (int i = 0; i < *n && i < most; i++)
    if (in[i] == base) return;
  if (*n < most) in[*n] = base;
  (*n)++;
}

int sn_fuse_inputs(const sn_fuse *s, int count, const int *node, sn_val *in, int most) {
  int n = 0;
  for (int i = 0; i < count; i++) {
    const sn_node *x = s->f->node[node[i]];
    for (int k = 0; k < x->arg_count; k++) add_input(s, count, node, x->arg[k], in, most, &n);
  }
  return n;
}

int sn_fuse_group_inputs(sn_fuse *s, int group, const sn_val **out) {
  sn_fuse_group *g = &s->group[group];
  sn_val few[64];
  if (g->input_version != g->version) {
    int n = g->input_count = sn_fuse_inputs(s, g->count, g->node, few, 64);
    g->input = SN_ARRAY(s->arena, n, sn_val);
    if (n <= 64)
      memcpy(g->input, few, (size_t)n * sizeof *few);
    else
      (void)sn_fuse_inputs(s, g->count, g->node, g->input, n);
    g->input_version = g->version;
  }
  *out = g->input;
  return g->input_count;
}

/* ---- one kernel?
 * ------------------------------------------------------------------------------------------------------- */

static double extent_product(const sn_fuse *s, const sn_group *g, bool kept_only) {
  double n = 1;
  for (int i = 0; i < g->space.rank; i++) {
    int64_t e = 1;
    if (kept_only && g->reduce[i]) continue;
    if (sn_dimx_eval(g->space.extent[i], s->dims, &e)) e = 1;
    n *= (double)e;
  }
  return n;
}

/* Work on values smaller than the space is repeated in every tile: only little of it is allowed. */
static bool repeats_too_much(const sn_fuse_question *q, const sn_group *g) {
  double full = extent_product(q->s, g, false), kept = extent_product(q->s, g, true);
  int cost = 0;
  for (int i = 0; i < q->count; i++) {
    const sn_node *n = q->s->f->node[q->position[i]];
    double elements = q->s->bytes[n->first] / (double)sn_elem_bytes(n->type[0]->elem);
    if (sn_op_get(n->op)->cls == SN_CLASS_POINT && elements < full && elements != kept) cost += sn_fuse_cost(n);
  }
  return cost > CHEAP;
}

static const char *check_group(sn_fuse_question *q) {
  sn_group g;
  if (!sn_group_build(&g, q->scratch, q->s->f, q->node_count, q->node, q->s->member, q->s->stored, q->output_count,
                      q->output))
    return g.why;
  if (g.reduce_count > MOST_REDUCTIONS) return "too many reductions";
  if (repeats_too_much(q, &g)) return "would recompute an expensive op";
  if (!g.reduce_count || extent_product(q->s, &g, true) > 1) return NULL;
  for (int i = 0; i < g.output_count; i++)
    if (!g.output[i].reduced && extent_product(q->s, &g, false) > 8192)
      return "a full reduction writes nothing of its operand's size";
  return NULL;
}

static const char *check_contract(sn_fuse_question *q) {
  const char *why = NULL;
  sn_group g;
  if (!sn_contract_fits(q->scratch, q->s->f, q->node_count, q->node, q->s->member, q->s->stored, q->output_count,
                        q->output, &why))
    return why;
  if (!sn_group_build(&g, q->scratch, q->s->f, q->node_count, q->node, q->s->member, q->s->stored, q->output_count,
                      q->output))
    return g.why;
  return repeats_too_much(q, &g) ? "would recompute an expensive op" : NULL;
}

/* Operands that may be computed inside: parts of a concat, rows to be written or added. */
static bool takes_values(const sn_node *n, int k) {
  if (n->op == SN_OP_CONCAT || sn_is_along_op(n->op)) return true;
  if (n->op == SN_OP_INDEX_ADD) return k == 0;
  return (n->op == SN_OP_DYN_WRITE || n->op == SN_OP_SCATTER) && k == 1;
}

/* Does v only rename and join elements of the root's results, so that the root can store them at their places?
 * view: where v lies, over its axes. */
static bool is_place_of(const sn_fuse_question *q, sn_val v, sn_view view, const sn_node *root) {
  const sn_func *f = q->s->f;
  sn_types *t = f->module->types;
  const sn_node *n = sn_node_of(f, v);
  sn_step_map m;
  if (n == root) return true;
  if (n->op == SN_OP_RESHAPE || n->op == SN_OP_TRANSPOSE)
    return sn_step_of(f, n, true, &m) && sn_view_step(t, &view, &m) && is_place_of(q, n->arg[0], view, root);
  if (n->op != SN_OP_CONCAT || !q->s->member[v]) return false;
  int axis = (int)sn_node_attr(n, "axis")->i;
  const sn_dimx *start = sn_dimx_const(t, 0);
  for (int k = 0; k < n->arg_count; k++) {
    const sn_type *part = sn_val_type(f, n->arg[k]);
    m = (sn_step_map){.op = SN_OP_SLICE, .from = sn_shape_of(n->type[0]), .to = sn_shape_of(part)};
    for (int i = 0; i < part->rank; i++) m.start[i] = i == axis ? start : sn_dimx_const(t, 0);
    sn_view inner = view;
    if (!sn_view_step(t, &inner, &m) || !is_place_of(q, n->arg[k], inner, root)) return false;
    start = sn_dimx_add(t, start, part->dim[axis]);
  }
  return true;
}

static bool outputs_are_places(const sn_fuse_question *q, const sn_node *root) {
  for (int i = 0; i < q->output_count; i++) {
    sn_shape shape = sn_shape_of(sn_val_type(q->s->f, q->output[i]));
    if (!is_place_of(q, q->output[i], sn_view_of(q->s->f->module->types, &shape), root)) return false;
  }
  return true;
}

bool sn_fuse_is_used_once(const sn_fuse *s, sn_val v) {
  int p = sn_fuse_position(s, v);
  return s->group_of[p] >= 0 && s->users[p] == 1 && !s->kept[v];
}

/* Would a scatter_add be added to a value that is needed later? It would have to be copied. */
static bool adds_onto_needed(const sn_fuse *s, int count, const int *node) {
  const sn_node *scatter;
  bool on = sn_rule_enabled(s->env, "fuse.scatter_onto_sum");
  for (int i = 0; i < count; i++) {
    sn_val onto = sn_scatter_sum(s->f, s->f->node[node[i]], &scatter);
    if (onto && holds(count, node, sn_fuse_position(s, scatter->first)) && (!sn_fuse_is_used_once(s, onto) || !on))
      return true;
  }
  return false;
}

/* Is the one output the sum of the root, a scatter_add, and a value in memory? Then it adds to that value's rows. */
static bool output_is_sum(const sn_fuse_question *q, const sn_node *root) {
  const sn_node *scatter, *sum = q->output_count == 1 ? sn_node_of(q->s->f, q->output[0]) : NULL;
  sn_val onto = sum ? sn_scatter_sum(q->s->f, sum, &scatter) : 0;
  return onto && scatter == root && !q->s->member[onto] && sn_fuse_in_memory(q->s, sn_node_of(q->s->f, onto)) &&
         sum->type[0] == root->type[0] && sn_compute_elem(sum->type[0]->elem) == sum->type[0]->elem;
}

static const char *check_index(sn_fuse_question *q, const sn_node *root) {
  if ((q->output_count != 1 && root->result_count == 1) || !(outputs_are_places(q, root) || output_is_sum(q, root)))
    return "value needed by two kernels of different shape";
  for (int k = 0; k < root->arg_count; k++) {
    sn_group g;
    if (!takes_values(root, k)) {
      sn_val base = sn_fuse_base(q->s, root->arg[k]);
      if (q->s->member[base]) return "indexes a value that is computed in the same kernel";
      continue;
    }
    if (!sn_group_build_at(&g, q->scratch, q->s->f, q->node_count, q->node, q->s->member, q->s->stored, root->arg[k], 1,
                           &root->arg[k]))
      return g.why;
    if (g.reduce_count || g.contract) return "an op that is a kernel of its own";
  }
  return NULL;
}

/* Attention with what joins its results: nothing else computes. */
static const char *check_attend(sn_fuse_question *q, const sn_node *root) {
  for (int i = 0; i < q->count; i++) {
    const sn_node *n = q->s->f->node[q->position[i]];
    if (n != root && n->op != SN_OP_CONCAT && n->op != SN_OP_RESHAPE && n->op != SN_OP_TRANSPOSE)
      return "an op that is a kernel of its own";
  }
  for (int k = 0; k < root->arg_count; k++)
    if (q->s->member[sn_fuse_base(q->s, root->arg[k])]) return "two ops that are kernels of their own";
  return outputs_are_places(q, root) ? NULL : "not a strided view";
}

static const char *check_kind(sn_fuse_question *q, sn_fuse_kind *kind) {
  const sn_node *root[SN_FUSE_KINDS] = {0};
  int count[SN_FUSE_KINDS] = {0};
  for (int i = 0; i < q->count; i++) {
    const sn_node *n = q->s->f->node[q->position[i]];
    count[sn_fuse_kind_of(n)]++;
    root[sn_fuse_kind_of(n)] = n;
  }
  for (int i = SN_FUSE_SCAN; i < SN_FUSE_KINDS; i++) {
    if (!count[i]) continue;
    *kind = (sn_fuse_kind)i;
    return q->count > 1 ? "an op that is a kernel of its own" : NULL;
  }
  int structured = count[SN_FUSE_CONTRACT] + count[SN_FUSE_ATTEND] + (count[SN_FUSE_ATTEND] ? 0 : count[SN_FUSE_INDEX]);
  if (structured > 1) return "two ops that are kernels of their own";
  *kind = count[SN_FUSE_CONTRACT] ? SN_FUSE_CONTRACT
          : count[SN_FUSE_ATTEND] ? SN_FUSE_ATTEND
          : count[SN_FUSE_INDEX]  ? SN_FUSE_INDEX
          : count[SN_FUSE_ROWS]   ? SN_FUSE_ROWS
                                  : SN_FUSE_MAP;
  switch (*kind) {
    case SN_FUSE_CONTRACT: return check_contract(q);
    case SN_FUSE_ATTEND: return q->count > 1 ? check_attend(q, root[SN_FUSE_ATTEND]) : NULL;
    case SN_FUSE_INDEX: return check_index(q, root[SN_FUSE_INDEX]);
    default: return check_group(q);
  }
}

const char *sn_fuse_check(sn_fuse *s, int count, const int *node, sn_fuse_kind *kind) {
  sn_val in[MOST_BUFFERS];
  if (count > MOST_NODES) return "too many ops for one kernel";
  if (sn_fuse_splits_time(s, count, node)) return "a value of weights alone is made once, after they were loaded";
  if (adds_onto_needed(s, count, node)) return "value needed by two kernels of different shape";
  sn_fuse_question q = {.s = s, .count = count, .position = node, .scratch = sn_arena_scratch()};
  if (!q.scratch) sn_arena_array(s->arena, SIZE_MAX, 2); /* too much memory: leaves through sn_protect */
  int results = 0;
  for (int i = 0; i < count; i++) results += s->f->node[node[i]]->result_count;
  q.output = SN_ARRAY(q.scratch, results, sn_val);
  q.output_count = sn_fuse_outputs(s, count, node, q.output);
  const char *why = "too many buffers for one kernel";
  if (q.output_count + sn_fuse_inputs(s, count, node, in, MOST_BUFFERS) <= MOST_BUFFERS) {
    node_set x = gather_nodes(s, count, node);
    q.node = SN_ARRAY(q.scratch, x.count, const sn_node *);
    for (int i = 0; i < x.count; i++) q.node[q.node_count++] = s->f->node[x.at[i]];
    for (int i = 0; i < x.count; i++) { /* views are no members */
      const sn_node *n = s->f->node[x.at[i]];
      if (sn_op_get(n->op)->cls == SN_CLASS_VIEW && !s->stored[n->first]) s->member[n->first] = false;
    }
    sn_fuse_answer *a = sn_fuse_recall(s, &q);
    why = a && a->given ? a->why : check_kind(&q, kind);
    if (a && a->given && !why) *kind = a->kind;
    if (a && !a->given && !why) a->kind = *kind;
    if (a) a->given = true, a->why = why;
    forget_members(s, &x);
  }
  sn_arena_destroy(q.scratch);
  return why;
}
