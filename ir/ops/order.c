/* Rules of order along an axis. sort is stable, NaN comes last in either direction. */
#include "ir/ops/rules.h"

/* ---- sort: the first `count` elements in order, and where they stood ---- */

static sn_code infer_sort(sn_infer *in) {
  int64_t axis = sn_infer_attr(in, "axis")->i;
  const sn_dimx *count = sn_infer_attr(in, "count")->d, *dim[SN_RANK_MAX];
  const sn_type *x = in->arg[0];
  if (x->elem == SN_ELEM_BOOL || axis < 0 || axis >= x->rank)
    return sn_infer_want(in, 0, "numbers with an axis %lld", (long long)axis);
  if (sn_dimx_min_value(count) < 0 || sn_dimx_min_value(sn_dimx_sub(sn_infer_types(in), x->dim[axis], count)) < 0)
    return sn_infer_want(in, 0, "at least as many elements along axis %d as are taken", (int)axis);
  if (sn_dimx_max_value(x->dim[axis]) > INT32_MAX) return sn_infer_want(in, 0, "positions in the range of i32");
  for (int i = 0; i < x->rank; i++) dim[i] = i == axis ? count : x->dim[i];
  sn_infer_results(in, 2);
  in->result[0] = sn_type_of(sn_infer_types(in), x->elem, x->rank, dim);
  in->result[1] = sn_type_of(sn_infer_types(in), SN_ELEM_I32, x->rank, dim);
  return SN_OK;
}

static void grad_sort(sn_grad_rule *g) {
  int axis = (int)sn_node_attr(g->node, "axis")->i;
  g->d_arg[0] = sn_b_scatter_along(g->b, g->result[1], g->d_result[0], axis, g->arg[0]);
}

const sn_op_rules sn_rules_SORT = {
    infer_sort, grad_sort,
    .doc =
        "the first `count` elements along `axis` in order, `descending` or not, and their positions, i32; stable, "
        "NaN last"};

/* ---- searchsorted: how many elements come before ---- */

static sn_code infer_searchsorted(sn_infer *in) {
  const sn_type *s = in->arg[0], *v = in->arg[1];
  int batch = s->rank - 1;
  if (s->rank < 1 || s->elem == SN_ELEM_BOOL) return sn_infer_want(in, 0, "numbers [b.., N]");
  bool fits = v->elem == s->elem && v->rank >= batch;
  for (int i = 0; fits && i < batch; i++) fits = v->dim[i] == s->dim[i];
  if (!fits) return sn_infer_want(in, 1, "the element type and all axes but the last of %s", sn_infer_text(in, s));
  if (sn_dimx_min_value(s->dim[batch]) < 1) return sn_infer_want(in, 0, "one element or more");
  if (sn_dimx_max_value(s->dim[batch]) > 1 << 30) return sn_infer_want(in, 0, "at most 2^30 elements");
  return sn_infer_one(in, sn_type_with_elem(sn_infer_types(in), v, SN_ELEM_I32));
}

static sn_val not_a_number(sn_build *b, sn_val x) { return sn_g2(b, SN_OP_NE, x, x); }

/* Does s stand before v? With NaN behind all numbers. */
static sn_val stands_before(sn_build *b, sn_val s, sn_val v, bool right) {
  sn_val yes = sn_g2(b, right ? SN_OP_LE : SN_OP_LT, s, v);
  if (b->failed || !sn_elem_is_float(sn_g_type(b, s)->elem)) return yes;
  sn_val last = not_a_number(b, v);
  if (!right) last = sn_g2(b, SN_OP_AND, last, sn_g2(b, SN_OP_EQ, s, s));
  return sn_g2(b, SN_OP_OR, yes, last);
}

/* Binary search of all values at once; each step halves what is left. */
static sn_val expand_searchsorted(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_type *s = sn_g_type(b, arg[0]), *out = n->type[0];
  const sn_attr batch = {.set = s->rank > 1, .i = s->rank - 1};
  const sn_dimx *extent = s->dim[s->rank - 1];
  bool right = sn_node_attr(n, "right")->i != 0;
  sn_val size = sn_g_expand_to(b, sn_g_dim(b, extent), out), found = sn_g_const(b, out, 0);
  int64_t step = 1;
  while (2 * step <= sn_dimx_max_value(extent)) step *= 2;
  for (; step && !b->failed; step /= 2) {
    sn_val next = sn_g2(b, SN_OP_ADD, found, sn_g_const(b, out, (double)step));
    sn_val at = sn_g2(b, SN_OP_SUB, sn_g2(b, SN_OP_MIN, next, size), sn_g_const(b, out, 1));
    const sn_val pick[2] = {arg[0], at};
    sn_val before = stands_before(b, sn_emit(b, SN_OP_GATHER, 2, pick, &batch, NULL), arg[1], right);
    found = sn_g3(b, SN_OP_SELECT, sn_g2(b, SN_OP_AND, sn_g2(b, SN_OP_LE, next, size), before), next, found);
  }
  return found;
}

const sn_op_rules sn_rules_SEARCHSORTED = {
    infer_searchsorted, NULL, "it gives positions", expand_searchsorted,
    "how many elements of the ascending s [b.., N] are less (`right`: at most) than each of v [b.., S..], i32"};
