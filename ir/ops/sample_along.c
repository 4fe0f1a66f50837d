/* Random uses of ops along an axis. */
#include "ir/ops/sample_draw.h"

void sn_draw_prefix(draw *d) {
  const sn_type *t = any_shape(d, d->real, 1);
  if (d->op != SN_OP_RECUR && below(d, 4) == 0) t = with_elem(d, t, SN_ELEM_I32);
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
  if (below(d, 4) == 0) t = with_elem(d, t, SN_ELEM_I32);
  int64_t axis = below(d, t->rank);
  attr(d, "axis")->i = axis;
  attr(d, "count")->d = below(d, 2) ? t->dim[axis] : number(d, 1);
  if (below(d, 2)) attr(d, "descending")->i = 1;
  if (t->elem == SN_ELEM_I32)
    arg(d, t, -3, 3, 0); /* with equals */
  else
    float_arg(d, t);
}
