/* Axes of a group's space: sorted, merged, placed in a larger space; every access and store follows. */
#include <string.h>

#include "passes/lower/internal.h"

static sn_view *view_at(const sn_group *g, int i) {
  if (i < g->output_count) return &g->output[i].view;
  sn_access *a = &g->access[i - g->output_count];
  return a->kind == SN_ACCESS_RESULT ? NULL : &a->view;
}

static int view_total(const sn_group *g) { return g->output_count + g->access_count; }

static void swap_axes(sn_group *g, int i) {
  for (int k = 0; k < view_total(g); k++) {
    sn_view *v = view_at(g, k);
    if (!v) continue;
    const sn_dimx *s = v->stride[i], *e = v->extent[i];
    v->stride[i] = v->stride[i + 1], v->extent[i] = v->extent[i + 1];
    v->stride[i + 1] = s, v->extent[i + 1] = e;
  }
  const sn_dimx *e = g->space.extent[i];
  g->space.extent[i] = g->space.extent[i + 1], g->space.extent[i + 1] = e;
  bool r = g->reduce[i];
  g->reduce[i] = g->reduce[i + 1], g->reduce[i + 1] = r;
}

void sn_group_join(sn_group *g, int i) {
  sn_types *t = g->f->module->types;
  for (int k = 0; k < view_total(g); k++)
    if (view_at(g, k)) sn_view_merge(t, view_at(g, k), i);
  g->space.extent[i] = sn_dimx_mul(t, g->space.extent[i], g->space.extent[i + 1]);
  g->reduce[i] = g->reduce[i] || g->reduce[i + 1];
  for (int k = i + 1; k + 1 < g->space.rank; k++) {
    g->space.extent[k] = g->space.extent[k + 1];
    g->reduce[k] = g->reduce[k + 1];
  }
  g->space.rank--;
}

bool sn_group_may_join(const sn_group *g, int i) {
  sn_types *t = g->f->module->types;
  if (sn_dimx_is_one(g->space.extent[i]) || sn_dimx_is_one(g->space.extent[i + 1])) return true;
  if (g->reduce[i] != g->reduce[i + 1]) return false;
  for (int k = 0; k < view_total(g); k++) {
    sn_view *v = view_at(g, k);
    if (v && v->stride[i] != sn_dimx_mul(t, v->stride[i + 1], v->extent[i + 1])) return false;
  }
  return true;
}

/* Does axis i + 1 of the first store (or read, when all stores are of kept axes only) have the larger stride? */
static bool out_of_order(sn_group *g, int i) {
  sn_types *t = g->f->module->types;
  const sn_view *v = NULL;
  for (int k = 0; k < view_total(g) && !v; k++) {
    v = view_at(g, k);
    if (v && k < g->output_count && g->output[k].reduced) v = NULL;
  }
  if (!v || sn_dimx_is_zero(v->stride[i]) || sn_dimx_is_zero(v->stride[i + 1]) || v->stride[i] == v->stride[i + 1])
    return false;
  return sn_dimx_exact_div(t, v->stride[i + 1], v->stride[i]) != NULL;
}

void sn_group_merge(sn_group *g) {
  for (int i = g->space.rank - 2; i >= 0; i--)
    if (sn_dimx_is_one(g->space.extent[i]) || sn_dimx_is_one(g->space.extent[i + 1])) sn_group_join(g, i);
  for (int pass = 0; pass < g->space.rank; pass++)
    for (int i = 0; i + 1 < g->space.rank; i++)
      if (out_of_order(g, i)) swap_axes(g, i);
  for (int i = g->space.rank - 2; i >= 0; i--)
    if (sn_group_may_join(g, i)) sn_group_join(g, i);
}

void sn_group_remap(sn_group *g, const sn_shape *space, const int *axis_of) {
  const sn_dimx *zero = sn_dimx_const(g->f->module->types, 0);
  bool reduce[SN_VIEW_RANK] = {0};
  for (int k = 0; k < view_total(g); k++) {
    sn_view *v = view_at(g, k);
    if (!v) continue;
    sn_view old = *v;
    v->rank = space->rank;
    for (int i = 0; i < space->rank; i++) v->extent[i] = space->extent[i], v->stride[i] = zero;
    for (int i = 0; i < old.rank; i++) v->stride[axis_of[i]] = old.stride[i];
  }
  for (int i = 0; i < g->space.rank; i++) reduce[axis_of[i]] = g->reduce[i];
  memcpy(g->reduce, reduce, sizeof reduce);
  g->space = *space;
}

void sn_group_forget(sn_group *g) {
  for (int i = 0; i < g->access_count; i++) g->access[i].used = false;
}
