/* Rules of indexing by tensors: gather and scatter_add, index and index_add, dynamic_slice and dynamic_write. Each pair
 * is linear and transposed to one another, which makes their gradients. Indices must be in range. */
#include "ir/ops/rules.h"

/* ---- gather: x [b.., V, rest..], idx [b.., S..] -> [b.., S.., rest..] ---- */

static sn_code want_index(sn_infer *in, int k) {
  if (!sn_is_index(in->arg[k]->elem)) return sn_infer_want(in, k, "an i32 or i64 tensor");
  return SN_OK;
}

static sn_code want_batch(sn_infer *in, int k, const sn_type *idx, int64_t batch) {
  const sn_type *x = in->arg[k];
  bool fits = batch >= 0 && batch < x->rank && batch <= idx->rank;
  for (int i = 0; fits && i < batch; i++) fits = x->dim[i] == idx->dim[i];
  if (!fits) return sn_infer_want(in, k, "the first %d axes of %s", (int)batch, sn_infer_text(in, idx));
  return SN_OK;
}

static sn_code infer_gather(sn_infer *in) {
  int64_t batch = sn_infer_attr(in, "batch")->i;
  const sn_type *x = in->arg[0], *idx = in->arg[1];
  SN_TRY(want_index(in, 1));
  SN_TRY(want_batch(in, 0, idx, batch));
  int rank = idx->rank + x->rank - (int)batch - 1;
  if (rank > SN_RANK_MAX) return sn_infer_fail(in, "the result has rank %d, above %d", rank, SN_RANK_MAX);
  const sn_dimx *dim[2 * SN_RANK_MAX];
  int n = 0;
  for (int i = 0; i < idx->rank; i++) dim[n++] = idx->dim[i];
  for (int i = (int)batch + 1; i < x->rank; i++) dim[n++] = x->dim[i];
  return sn_infer_one(in, sn_type_of(sn_infer_types(in), x->elem, n, dim));
}

static sn_code infer_scatter(sn_infer *in) {
  int64_t batch = sn_infer_attr(in, "batch")->i;
  const sn_dimx *rows = sn_infer_attr(in, "rows")->d;
  const sn_type *idx = in->arg[0], *u = in->arg[1];
  SN_TRY(want_index(in, 0));
  if (batch < 0 || batch > idx->rank) return sn_infer_want(in, 0, "at least %lld axes", (long long)batch);
  bool fits = u->rank >= idx->rank && u->elem != SN_ELEM_BOOL;
  for (int i = 0; fits && i < idx->rank; i++) fits = u->dim[i] == idx->dim[i];
  if (!fits) return sn_infer_want(in, 1, "numbers with the leading axes of %s", sn_infer_text(in, idx));
  int rank = (int)batch + 1 + u->rank - idx->rank, n = 0;
  if (rank > SN_RANK_MAX) return sn_infer_fail(in, "the result has rank %d, above %d", rank, SN_RANK_MAX);
  const sn_dimx *dim[SN_RANK_MAX + 1];
  for (int i = 0; i < batch; i++) dim[n++] = idx->dim[i];
  dim[n++] = rows;
  for (int i = idx->rank; i < u->rank; i++) dim[n++] = u->dim[i];
  return sn_infer_one(in, sn_type_of(sn_infer_types(in), u->elem, n, dim));
}

/* Gradients of narrow floats are added up in f32. */
static sn_val wide(sn_grad_rule *g, sn_val d) { return sn_g_cast(g->b, d, sn_acc_elem(sn_g_type(g->b, d)->elem)); }
static sn_val narrow(sn_grad_rule *g, sn_val d) {
  return g->b->failed ? 0 : sn_g_cast(g->b, d, sn_g_type(g->b, g->arg[0])->elem);
}

static void grad_gather(sn_grad_rule *g) {
  const sn_attr *batch = sn_node_attr(g->node, "batch");
  const sn_attr at[2] = {*batch, {.set = true, .d = sn_g_type(g->b, g->arg[0])->dim[batch->i]}};
  const sn_val arg[2] = {g->arg[1], wide(g, g->d_result[0])};
  g->d_arg[0] = narrow(g, sn_emit(g->b, SN_OP_SCATTER, 2, arg, at, NULL));
}

static void grad_scatter(sn_grad_rule *g) {
  const sn_val arg[2] = {g->d_result[0], g->arg[0]};
  g->d_arg[1] = sn_emit(g->b, SN_OP_GATHER, 2, arg, sn_node_attr(g->node, "batch"), NULL);
}

/* ---- index: x, one index tensor per axis, all of shape S -> S ---- */

static sn_code want_indices(sn_infer *in, int rank) {
  if (in->arg_count != rank + 1)
    return sn_infer_fail(in, "takes one index tensor per axis: %d, not %d", rank, in->arg_count - 1);
  for (int k = 1; k < in->arg_count; k++) {
    SN_TRY(want_index(in, k));
    if (!sn_type_same_shape(in->arg[k], in->arg[1]))
      return sn_infer_want(in, k, "the shape of %s", sn_infer_text(in, in->arg[1]));
  }
  return SN_OK;
}

static sn_code infer_index(sn_infer *in) {
  if (in->arg_count < 2) return sn_infer_fail(in, "takes a tensor and one index tensor per axis");
  SN_TRY(want_indices(in, in->arg[0]->rank));
  return sn_infer_one(in, sn_type_with_elem(sn_infer_types(in), in->arg[1], in->arg[0]->elem));
}

static sn_code infer_index_add(sn_infer *in) {
  const sn_type *t;
  if (in->arg_count < 2) return sn_infer_fail(in, "takes a tensor and one index tensor per axis of the result");
  SN_TRY(sn_infer_shape(in, in->arg[0]->elem, sn_infer_attr(in, "shape"), &t));
  SN_TRY(want_indices(in, t->rank));
  if (in->arg[0]->elem == SN_ELEM_BOOL || !sn_type_same_shape(in->arg[0], in->arg[1]))
    return sn_infer_want(in, 0, "numbers in the shape of %s", sn_infer_text(in, in->arg[1]));
  return sn_infer_one(in, t);
}

/* The node's operands with another first one. */
static sn_val emit_with_first(sn_grad_rule *g, sn_op op, sn_val first, const sn_attr *at) {
  sn_val arg[SN_RANK_MAX + 1] = {first};
  for (int k = 1; k < g->node->arg_count; k++) arg[k] = g->arg[k];
  return sn_emit(g->b, op, g->node->arg_count, arg, at, NULL);
}

static void grad_index(sn_grad_rule *g) {
  const sn_type *x = sn_g_type(g->b, g->arg[0]);
  const sn_attr at = {.set = true, .dims = x->dim, .count = x->rank};
  g->d_arg[0] = narrow(g, emit_with_first(g, SN_OP_INDEX_ADD, wide(g, g->d_result[0]), &at));
}

static void grad_index_add(sn_grad_rule *g) { g->d_arg[0] = emit_with_first(g, SN_OP_INDEX, g->d_result[0], NULL); }

/* ---- dynamic_slice and dynamic_write: rows start .. start + count of one axis ---- */

static sn_code want_start(sn_infer *in, int k, int64_t axis) {
  const sn_type *x = in->arg[0], *s = in->arg[k];
  if (axis < 0 || axis >= x->rank) return sn_infer_want(in, 0, "an axis %lld", (long long)axis);
  bool fits = s->elem == SN_ELEM_I32 && (s->rank == 0 || (s->rank == 1 && axis > 0 && s->dim[0] == x->dim[0]));
  if (!fits) return sn_infer_want(in, k, "i32[], or i32 with an entry per row of axis 0 when axis is above 0");
  return SN_OK;
}

static sn_code infer_dyn_slice(sn_infer *in) {
  int64_t axis = sn_infer_attr(in, "axis")->i;
  const sn_dimx *count = sn_infer_attr(in, "count")->d;
  SN_TRY(want_start(in, 1, axis));
  const sn_type *x = in->arg[0];
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i < x->rank; i++) dim[i] = i == axis ? count : x->dim[i];
  if (sn_dimx_min_value(count) < 0 || sn_dimx_min_value(sn_dimx_sub(sn_infer_types(in), x->dim[axis], count)) < 0)
    return sn_infer_want(in, 0, "at least as many rows along axis %d as are taken", (int)axis);
  return sn_infer_one(in, sn_type_of(sn_infer_types(in), x->elem, x->rank, dim));
}

/* Does it write rows of axis 0 by their numbers, one for each? */
static bool is_numbered(int64_t axis, const sn_type *start) { return axis == 0 && start->rank == 1; }

static sn_code infer_dyn_write(sn_infer *in) {
  int64_t axis = sn_infer_attr(in, "axis")->i;
  const sn_type *dst = in->arg[0], *src = in->arg[1], *start = in->arg[2];
  bool numbered = is_numbered(axis, start) && dst->rank > 0 && src->rank > 0;
  bool ring = sn_infer_attr(in, "ring")->i != 0;
  if (numbered && (start->elem != SN_ELEM_I32 || start->dim[0] != src->dim[0] || ring))
    return sn_infer_want(in, 2, "i32[], or i32 with the number of each row of %s, which is no ring",
                         sn_infer_text(in, src));
  if (!numbered) SN_TRY(want_start(in, 2, axis));
  bool fits = src->elem == dst->elem && src->rank == dst->rank;
  for (int i = 0; fits && i < dst->rank; i++) fits = i == axis || src->dim[i] == dst->dim[i];
  if (!fits) return sn_infer_want(in, 1, "%s but for axis %d", sn_infer_text(in, dst), (int)axis);
  if (!numbered && sn_dimx_min_value(sn_dimx_sub(sn_infer_types(in), dst->dim[axis], src->dim[axis])) < 0)
    return sn_infer_want(in, 1, "at most the rows of %s along axis %d", sn_infer_text(in, dst), (int)axis);
  return sn_infer_one(in, dst);
}

static void grad_dyn_slice(sn_grad_rule *g) {
  const sn_val arg[3] = {sn_b_zeros(g->b, g->arg[0]), g->d_result[0], g->arg[1]};
  const sn_attr at[2] = {*sn_node_attr(g->node, "axis")};
  g->d_arg[0] = sn_emit(g->b, SN_OP_DYN_WRITE, 3, arg, at, NULL);
}

/* Positions (start + i) modulo the extent: i32 [n], or [B, n] with a start per row. */
static sn_val ring_positions(sn_build *b, sn_val start, const sn_dimx *n, const sn_dimx *extent) {
  const sn_type *s = sn_g_type(b, start);
  const sn_dimx *dim[2] = {s->rank ? s->dim[0] : n, n};
  const sn_type *t = sn_type_of(sn_b_types(b), SN_ELEM_I32, s->rank + 1, dim);
  const int64_t axes[1] = {0};
  sn_val i = sn_g2(b, SN_OP_ADD, sn_g_iota(b, t, s->rank), sn_g_broadcast(b, start, t->rank, t->dim, axes));
  return sn_g2(b, SN_OP_MOD, i, sn_g_expand_to(b, sn_g_dim(b, extent), t));
}

/* Rows of d that a ring write replaced: gather along `axis`, which is moved behind the batch axis and back. */
static sn_val ring_read(sn_grad_rule *g, int axis, const sn_dimx *n) {
  sn_build *b = g->b;
  const sn_type *t = sn_g_type(b, g->d_result[0]);
  int to = sn_g_type(b, g->arg[2])->rank; /* 1 with a start per row: axis 0 stays first */
  int64_t perm[SN_RANK_MAX], back[SN_RANK_MAX];
  for (int i = 0; i < t->rank; i++) perm[i] = i;
  for (int i = axis; i > to; i--) perm[i] = i - 1;
  perm[to] = axis;
  for (int i = 0; i < t->rank; i++) back[perm[i]] = i;
  const sn_attr at = {.set = true, .i = to};
  const sn_val arg[2] = {sn_g_transpose(b, g->d_result[0], perm), ring_positions(b, g->arg[2], n, t->dim[axis])};
  return sn_g_transpose(b, sn_emit(b, SN_OP_GATHER, 2, arg, &at, NULL), back);
}

static void grad_dyn_write(sn_grad_rule *g) {
  const sn_attr *axis = sn_node_attr(g->node, "axis"), *ring = sn_node_attr(g->node, "ring");
  const sn_dimx *n = sn_g_type(g->b, g->arg[1])->dim[axis->i];
  if (g->need[0]) {
    const sn_val arg[3] = {g->d_result[0], sn_b_zeros(g->b, g->arg[1]), g->arg[2]};
    g->d_arg[0] = sn_emit(g->b, SN_OP_DYN_WRITE, 3, arg, g->node->attr, NULL);
  }
  if (!g->need[1]) return;
  const sn_val arg[2] = {g->d_result[0], g->arg[2]};
  if (is_numbered(axis->i, sn_g_type(g->b, g->arg[2]))) {
    g->d_arg[1] = sn_emit(g->b, SN_OP_GATHER, 2, arg, NULL, NULL);
    return;
  }
  const sn_attr at[2] = {*axis, {.set = true, .d = n}};
  g->d_arg[1] = ring->i ? ring_read(g, (int)axis->i, n) : sn_emit(g->b, SN_OP_DYN_SLICE, 2, arg, at, NULL);
}

/* ---- positions along an axis ---- */

sn_val sn_b_scatter_along(sn_build *b, sn_val pos, sn_val d, int axis, sn_val like) {
  if (b->failed) return 0;
  const sn_type *t = sn_g_type(b, like);
  int last = t->rank - 1;
  int64_t perm[SN_RANK_MAX], back[SN_RANK_MAX];
  for (int i = 0; i <= last; i++) perm[i] = i < axis ? i : i < last ? i + 1 : axis;
  for (int i = 0; i <= last; i++) back[perm[i]] = i;
  const sn_attr at[2] = {{.set = last > 0, .i = last}, {.set = true, .d = t->dim[axis]}};
  sn_val wide = sn_g_cast(b, d, sn_acc_elem(t->elem));
  const sn_val arg[2] = {sn_g_transpose(b, pos, perm), sn_g_transpose(b, wide, perm)};
  sn_val sum = sn_g_transpose(b, sn_emit(b, SN_OP_SCATTER, 2, arg, at, NULL), back);
  return sum ? sn_g_cast(b, sum, t->elem) : 0;
}

const sn_op_rules sn_rules_GATHER = {
    infer_gather, grad_gather,
    .doc = "rows by number: x [b.., V, rest..], i [b.., S..] -> [b.., S.., rest..]; b: `batch` axes"};
const sn_op_rules sn_rules_SCATTER = {
    infer_scatter, grad_scatter,
    .doc =
        "rows added up by number: i [b.., S..], u [b.., S.., rest..] -> [b.., `rows`, rest..]; in order of the rows"};
const sn_op_rules sn_rules_INDEX = {
    infer_index, grad_index,
    .doc = "elements by position: one index tensor per axis of x, all of one shape, the result's"};
const sn_op_rules sn_rules_INDEX_ADD = {
    infer_index_add, grad_index_add,
    .doc = "elements added up by position into zeros of `shape`: the transpose of index"};
const sn_op_rules sn_rules_DYN_SLICE = {infer_dyn_slice, grad_dyn_slice,
                                        .doc = "`count` rows of `axis` from start: i32[], or one per row of axis 0"};
const sn_op_rules sn_rules_DYN_WRITE = {infer_dyn_write, grad_dyn_write,
                                        .doc =
                                            "x with rows of `axis` from start replaced; `ring`: positions wrap at the "
                                            "end; of axis 0 also rows by their numbers, "
                                            "of equal ones the last (their gradients: none may be equal)"};
