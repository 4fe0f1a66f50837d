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
