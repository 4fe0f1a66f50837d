/* Strided views: where the elements of a value lie in the buffer of the value it is a view of. Symbolic strides; a
 * reshape is strided when its axes split and merge along axes that lie one after the other. */
#include "ir/base/plant.h"
#include "passes/lower/internal.h"

bool sn_dimx_is_zero(const sn_dimx *d) {
  int64_t n;
  return sn_dimx_is_const(d, &n) && n == 0;
}

sn_shape sn_shape_of(const sn_type *t) {
  sn_shape s = {.rank = t->rank};
  for (int i = 0; i < t->rank; i++) s.extent[i] = t->dim[i];
  return s;
}

bool sn_shape_equal(const sn_shape *a, const sn_shape *b) {
  if (a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->extent[i] != b->extent[i]) return false;
  return true;
}

sn_view sn_view_of(sn_types *t, const sn_shape *s) {
  sn_view v = {.rank = s->rank, .offset = sn_dimx_const(t, 0)};
  const sn_dimx *stride = sn_dimx_const(t, 1);
  for (int i = s->rank - 1; i >= 0; i--) {
    v.extent[i] = s->extent[i];
    v.stride[i] = sn_dimx_is_one(s->extent[i]) ? sn_dimx_const(t, 0) : stride;
    stride = sn_dimx_mul(t, stride, s->extent[i]);
  }
  return v;
}

/* ---- reshape --------------------------------------------------------------------------------------------- */

static void remove_axis(sn_view *v, int i) {
  for (int k = i; k + 1 < v->rank; k++) {
    v->extent[k] = v->extent[k + 1];
    v->stride[k] = v->stride[k + 1];
  }
  v->rank--;
}

static bool mergeable(sn_types *t, const sn_view *v, int i) {
  return v->stride[i] == sn_dimx_mul(t, v->stride[i + 1], v->extent[i + 1]);
}

void sn_view_merge(sn_types *t, sn_view *v, int i) {
  const sn_dimx *extent = sn_dimx_mul(t, v->extent[i], v->extent[i + 1]);
  if (sn_dimx_is_one(v->extent[i + 1])) v->stride[i + 1] = v->stride[i];
  remove_axis(v, i);
  v->extent[i] = extent;
}

/* Without axes of extent 1, neighbours merged where they lie one after the other. */
static void coarsen(sn_types *t, sn_view *v) {
  for (int i = v->rank - 1; i >= 0; i--)
    if (sn_dimx_is_one(v->extent[i])) remove_axis(v, i);
  for (int i = v->rank - 2; i >= 0; i--)
    if (mergeable(t, v, i)) sn_view_merge(t, v, i);
}

/* From the last axis: new extents use up the coarse axes one by one. */
static bool reshape(sn_types *t, sn_view *v, const sn_shape *to) {
  sn_view old = *v;
  const sn_dimx *zero = sn_dimx_const(t, 0);
  coarsen(t, &old);
  int k = old.rank - 1;
  v->rank = to->rank;
  for (int j = to->rank - 1; j >= 0; j--) {
    v->extent[j] = to->extent[j];
    v->stride[j] = zero;
    if (sn_dimx_is_one(to->extent[j])) continue;
    if (k < 0) return false;
    const sn_dimx *rest = sn_dimx_exact_div(t, old.extent[k], to->extent[j]);
    if (!rest) return false;
    v->stride[j] = old.stride[k];
    if (sn_dimx_is_one(rest)) {
      k--;
      continue;
    }
    if (!SN_PLANTED(RESHAPE)) old.stride[k] = sn_dimx_mul(t, old.stride[k], to->extent[j]);
    old.extent[k] = rest;
  }
  return k < 0;
}

/* ---- steps ------------------------------------------------------------------------------------------------ */

bool sn_view_step(sn_types *t, sn_view *v, const sn_step_map *m) {
  sn_view old = *v;
  const sn_dimx *zero = sn_dimx_const(t, 0);
  if (m->op == SN_OP_RESHAPE) return reshape(t, v, &m->to);
  v->rank = m->to.rank;
  for (int i = 0; i < v->rank; i++) {
    v->extent[i] = m->to.extent[i];
    v->stride[i] = m->op == SN_OP_TRANSPOSE ? old.stride[m->at[i]] : m->op == SN_OP_SLICE ? old.stride[i] : zero;
  }
  if (m->op == SN_OP_BROADCAST) {
    for (int i = 0; i < m->from.rank; i++)
      if (!sn_dimx_is_one(m->from.extent[i])) v->stride[m->at[i]] = old.stride[i];
  } else if (m->op == SN_OP_SLICE) {
    for (int i = 0; i < v->rank; i++) {
      v->offset = sn_dimx_add(t, v->offset, sn_dimx_mul(t, m->start[i], old.stride[i]));
      if (sn_dimx_is_one(v->extent[i])) v->stride[i] = zero;
    }
  }
  return true;
}

bool sn_view_chain(sn_types *t, sn_view *v, const sn_chain *c) {
  for (; c; c = c->next)
    if (!sn_view_step(t, v, &c->map)) return false;
  return true;
}

bool sn_step_of(const sn_func *f, const sn_node *n, bool inverse, sn_step_map *out) {
  sn_shape x = sn_shape_of(sn_val_type(f, n->arg[0])), y = sn_shape_of(n->type[0]);
  *out = (sn_step_map){.op = n->op, .from = inverse ? y : x, .to = inverse ? x : y};
  if (inverse && n->op != SN_OP_RESHAPE && n->op != SN_OP_TRANSPOSE) return false;
  if (n->op == SN_OP_TRANSPOSE) {
    const int64_t *perm = sn_node_attr(n, "perm")->ints;
    for (int i = 0; i < y.rank; i++) {
      if (inverse)
        out->at[perm[i]] = i;
      else
        out->at[i] = (int)perm[i];
    }
  } else if (n->op == SN_OP_BROADCAST) {
    for (int i = 0; i < x.rank; i++) out->at[i] = (int)sn_node_attr(n, "axes")->ints[i];
  } else if (n->op == SN_OP_SLICE) {
    for (int i = 0; i < x.rank; i++) out->start[i] = sn_node_attr(n, "start")->dims[i];
  }
  return true;
}

bool sn_view_through(sn_types *t, sn_view *v, const sn_func *f, const sn_node *n) {
  sn_step_map m;
  return sn_step_of(f, n, false, &m) && sn_view_step(t, v, &m);
}

bool sn_view_resolve(const sn_func *f, sn_val v, sn_val *base, sn_view *out) {
  const sn_node *n = sn_node_of(f, v);
  sn_types *t = f->module->types;
  if (sn_op_get(n->op)->cls != SN_CLASS_VIEW) {
    sn_shape s = sn_shape_of(sn_val_type(f, v));
    *out = sn_view_of(t, &s);
    *base = v;
    return true;
  }
  return sn_view_resolve(f, n->arg[0], base, out) && sn_view_through(t, out, f, n);
}

/* ---- footprints ------------------------------------------------------------------------------------------- */

/* The set of elements as a canonical view: axes that repeat dropped, sorted by descending stride, coarse. */
static sn_view footprint(sn_types *t, const sn_view *v) {
  sn_view f = *v;
  for (int i = f.rank - 1; i >= 0; i--)
    if (sn_dimx_is_zero(f.stride[i]) || sn_dimx_is_one(f.extent[i])) remove_axis(&f, i);
  for (int i = 1; i < f.rank; i++)
    for (int k = i; k > 0 && sn_dimx_exact_div(t, f.stride[k], f.stride[k - 1]) && f.stride[k] != f.stride[k - 1];
         k--) {
      const sn_dimx *e = f.extent[k], *s = f.stride[k];
      f.extent[k] = f.extent[k - 1];
      f.stride[k] = f.stride[k - 1];
      f.extent[k - 1] = e;
      f.stride[k - 1] = s;
    }
  for (int i = f.rank - 2; i >= 0; i--)
    if (mergeable(t, &f, i)) sn_view_merge(t, &f, i);
  return f;
}

static bool same_footprint(const sn_view *a, const sn_view *b) {
  if (a->rank != b->rank || a->offset != b->offset) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->extent[i] != b->extent[i] || a->stride[i] != b->stride[i]) return false;
  return true;
}

const sn_dimx *sn_footprint(sn_types *t, int count, const sn_view *const *view, const sn_dimx *buffer_elements) {
  sn_view seen[16];
  int n = 0;
  const sn_dimx *sum = sn_dimx_const(t, 0);
  for (int i = 0; i < count; i++) {
    sn_view f = footprint(t, view[i]);
    bool known = false;
    for (int k = 0; k < n && !known; k++) known = same_footprint(&seen[k], &f);
    if (known) continue;
    const sn_dimx *elements = sn_dimx_const(t, 1);
    for (int k = 0; k < f.rank; k++) elements = sn_dimx_mul(t, elements, f.extent[k]);
    if (elements == buffer_elements) return elements;
    sum = sn_dimx_add(t, sum, elements);
    if (n < 16) seen[n++] = f;
  }
  return count == 1 || sum == buffer_elements ? sum : sn_dimx_min(t, sum, buffer_elements);
}
