/* Views of the graph interpreter, and concat: elements are copied with their bounds. */
#include "ir/ref/eval.h"

/* Row-major strides. */
static void strides_of(const sn_tensor *t, int64_t *stride) {
  int64_t s = 1;
  for (int i = t->rank; i-- > 0;) {
    stride[i] = s;
    s *= t->extent[i];
  }
}

/* out[index] = x[offset + sum index[i] * step[i]] */
static void copy_strided(sn_tensor *out, const sn_tensor *x, int64_t offset, const int64_t *step) {
  int64_t index[SN_RANK_MAX] = {0}, at = offset;
  for (int64_t i = 0; i < out->count; i++) {
    sn_copy_at(out, i, x, at);
    for (int a = out->rank; a-- > 0;) {
      at += step[a];
      if (++index[a] < out->extent[a]) break;
      at -= step[a] * out->extent[a];
      index[a] = 0;
    }
  }
}

static void concat(sn_eval *e) {
  sn_tensor *out = e->out[0];
  int axis = (int)sn_node_attr(e->n, "axis")->i;
  int64_t outer = 1, inner = 1, base = 0;
  for (int i = 0; i < axis; i++) outer *= out->extent[i];
  for (int i = axis + 1; i < out->rank; i++) inner *= out->extent[i];
  for (int k = 0; k < e->n->arg_count; k++) {
    const sn_tensor *x = e->arg[k];
    int64_t part = x->extent[axis] * inner;
    for (int64_t o = 0; o < outer; o++)
      for (int64_t i = 0; i < part; i++) sn_copy_at(out, o * out->extent[axis] * inner + base + i, x, o * part + i);
    base += part;
  }
}

static sn_code slice(sn_eval *e, const int64_t *stride) {
  const sn_attr *start = sn_node_attr(e->n, "start");
  int64_t offset = 0;
  for (int i = 0; i < e->arg[0]->rank; i++) {
    int64_t s;
    if (sn_dimx_eval(start->dims[i], e->in->dims, &s) || s < 0 || s + e->out[0]->extent[i] > e->arg[0]->extent[i])
      return sn_eval_fail(e, "axis %d is cut where it does not exist in this run", i);
    offset += s * stride[i];
  }
  copy_strided(e->out[0], e->arg[0], offset, stride);
  return SN_OK;
}

sn_code sn_eval_view(sn_eval *e) {
  sn_tensor *out = e->out[0];
  const sn_tensor *x = e->arg[0];
  int64_t stride[SN_RANK_MAX], step[SN_RANK_MAX] = {0};
  strides_of(x, stride);
  if (e->n->op == SN_OP_CONCAT) {
    concat(e);
  } else if (e->n->op == SN_OP_RESHAPE) {
    if (out->count != x->count) return sn_eval_fail(e, "the number of elements differs in this run");
    for (int64_t i = 0; i < out->count; i++) sn_copy_at(out, i, x, i);
  } else if (e->n->op == SN_OP_SLICE) {
    return slice(e, stride);
  } else if (e->n->op == SN_OP_TRANSPOSE) {
    for (int i = 0; i < x->rank; i++) step[i] = stride[sn_node_attr(e->n, "perm")->ints[i]];
    copy_strided(out, x, 0, step);
  } else {
    const sn_attr *axes = sn_node_attr(e->n, "axes");
    for (int i = 0; i < x->rank; i++) step[axes->ints[i]] = x->extent[i] == 1 ? 0 : stride[i];
    copy_strided(out, x, 0, step);
  }
  return SN_OK;
}
