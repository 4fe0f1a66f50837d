/* Random uses of ops along an axis. */
#include "ir/ops/sample_draw.h"

void sn_draw_prefix(draw *d) {
  const sn_type *t = any_shape(d, d->real, 1);
  if (is_free(d) && d->op != SN_OP_RECUR && below(d, 4) == 0) t = with_elem(d, t, SN_ELEM_I32);
  attr(d, "axis")->i = below(d, t->rank);
  if (below(d, 2)) attr(d, "reverse")->i = 1;
  if (sn_op_attr(d->op, "exclusive") >= 0 && below(d, 2)) attr(d, "exclusive")->i = 1;
  if (t->elem == SN_ELEM_I32)
    arg(d, t, -20, 20, 0);
  else
    float_arg(d, t);
  if (d->op == SN_OP_RECUR) float_arg(d, t);
}

void sn_draw_sort(draw *d) {
  const sn_type *t = any_shape(d, d->real, 1);
  if (is_free(d) && below(d, 4) == 0) t = with_elem(d, t, SN_ELEM_I32);
  int64_t axis = below(d, t->rank);
  attr(d, "axis")->i = axis;
  attr(d, "count")->d = below(d, 2) ? t->dim[axis] : number(d, 1);
  if (below(d, 2)) attr(d, "descending")->i = 1;
  if (t->elem == SN_ELEM_I32)
    arg(d, t, -3, 3, 0); /* with equals */
  else
    float_arg(d, t);
}

static const sn_type *of_dims(draw *d, sn_elem e, int rank, const sn_dimx *const *dim) {
  return sn_type_of(d->m->types, e, rank, dim);
}

/* Elements need not ascend: the search ends somewhere, the same on every device. */
void sn_draw_search(draw *d) {
  const sn_dimx *dim[SN_RANK_MAX];
  int batch = (int)below(d, 2), more = (int)below(d, 3);
  sn_elem e = below(d, 3) ? d->real : SN_ELEM_I32;
  for (int i = 0; i < batch + 1; i++) dim[i] = extent(d);
  const sn_type *s = of_dims(d, e, batch + 1, dim);
  for (int i = 0; i < more; i++) dim[batch + i] = extent(d);
  if (below(d, 2)) attr(d, "right")->i = 1;
  arg(d, s, -4, 4, 0);
  arg(d, of_dims(d, e, batch + more, dim), -4, 4, 0);
}

void sn_draw_solve(draw *d) {
  const sn_dimx *dim[SN_RANK_MAX];
  int batch = (int)below(d, 3);
  for (int i = 0; i < batch + 2; i++) dim[i] = extent(d);
  dim[batch + 1] = dim[batch];
  const sn_type *l = of_dims(d, d->real, batch + 2, dim);
  dim[batch + 1] = extent(d);
  if (below(d, 2)) attr(d, "transposed")->i = 1;
  arg(d, l, -0.5, 0.5, 0);
  float_arg(d, of_dims(d, d->real, batch + 2, dim));
}

/* Every channel a group, or few groups; positions that a stride divides. */
void sn_draw_conv(draw *d) {
  const sn_dimx *dim[SN_RANK_MAX];
  int batch = (int)below(d, 3);
  int64_t taps = 1 + below(d, 4), dilation = 1 + below(d, 2), stride = 1 + below(d, 3), groups = 1 + below(d, 3);
  int64_t span = dilation * (taps - 1), per = below(d, 2) ? 1 : 1 + below(d, 3),
          out = below(d, 2) ? 1 : 1 + below(d, 2);
  for (int i = 0; i < batch; i++) dim[i] = extent(d);
  dim[batch] = sn_dimx_mul(d->m->types, extent(d), number(d, stride));
  dim[batch + 1] = number(d, groups * per);
  attr(d, "left")->i = span + below(d, 2);
  attr(d, "right")->i = below(d, 2);
  if (stride > 1) attr(d, "stride")->i = stride;
  if (dilation > 1) attr(d, "dilation")->i = dilation;
  if (groups > 1) attr(d, "groups")->i = groups;
  float_arg(d, of_dims(d, d->real, batch + 2, dim));
  const sn_dimx *const w[3] = {number(d, taps), number(d, per), number(d, groups * out)};
  float_arg(d, of_dims(d, d->real, 3, w));
}
