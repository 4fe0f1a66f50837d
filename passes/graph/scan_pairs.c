/* Decays between the steps of a chunk, as graph nodes.
 *
 * A decay per head is a number a step: D[t, j] = w[j+1] .. w[t-1] is a running product that begins again at each j.
 *
 * A decay per channel stands inside of the sum over channels. A chunk is halved again and again: between a right half
 * and the left half next to it,
 *   w[j+1] .. w[t-1] = (w[j+1] .. end of the left half) (start of the right half .. w[t-1])
 * so that their block of M is one product of x and y, each with its part of the decay: log2(C) products for all of M.
 */
#include "passes/graph/scan_pairs.h"

#include <string.h>

static sn_types *types_of(const sn_chunks *c) { return c->b->func->module->types; }
static const sn_dimx *number(const sn_chunks *c, int64_t n) { return sn_dimx_const(types_of(c), n); }

sn_val sn_chunks_contract(sn_chunks *c, const char *spec, sn_val x, sn_val y) {
  char lead[SN_RANK_MAX + 1] = {0};
  const char *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
  for (int i = 0; i <= c->batch; i++) lead[i] = (char)('A' + i);
  const char *all = sn_arena_printf(c->b->func->arena, "%s%.*s,%s%.*s->%s%s", lead, (int)(comma - spec), spec, lead,
                                    (int)(arrow - comma - 1), comma + 1, lead, arrow + 2);
  return c->b->failed ? 0 : sn_g_contract(c->b, sn_name(c->b->func->module->names, all), x, y);
}

static sn_val prefix(sn_chunks *c, sn_val x, int axis, bool reverse) {
  const sn_attr at[3] = {{.set = true, .i = axis}, {.set = true, .i = true}, {.set = reverse, .i = reverse}};
  return sn_emit(c->b, SN_OP_CUMPROD, 1, &x, at, NULL);
}

static sn_val drop_axis(sn_chunks *c, sn_val x, int axis) {
  const sn_type *t = c->b->failed ? NULL : sn_g_type(c->b, x);
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0, n = 0; t && i < t->rank; i++)
    if (i != axis) dim[n++] = t->dim[i];
  return t ? sn_g_reshape(c->b, x, t->rank - 1, dim) : 0;
}

void sn_chunks_begin(sn_chunks *c) {
  int axis = c->batch + 1;
  if (!c->decay) return;
  c->from_start = prefix(c, c->decay, axis, false);
  c->to_end = prefix(c, c->decay, axis, true);
  sn_val last = sn_g_slice_axis(c->b, c->decay, axis, number(c, c->c - 1), number(c, 1));
  sn_val before = sn_g_slice_axis(c->b, c->from_start, axis, number(c, c->c - 1), number(c, 1));
  c->all = c->b->failed ? 0 : drop_axis(c, sn_g2(c->b, SN_OP_MUL, last, before), axis);
}

sn_val sn_chunks_scale(sn_chunks *c, sn_val x, sn_val by) {
  if (!by || c->b->failed) return x;
  const sn_type *t = sn_g_type(c->b, x);
  const int64_t axes[SN_RANK_MAX] = {0, 1, 2, 3, 4, 5, 6, 7};
  return sn_g2(c->b, SN_OP_MUL, x, sn_g_broadcast(c->b, by, t->rank, t->dim, axes));
}

/* bool of the type: is the column before the row? */
static sn_val is_before(sn_chunks *c, const sn_type *t) {
  const sn_type *at = sn_type_with_elem(types_of(c), t, SN_ELEM_I32);
  return sn_g2(c->b, SN_OP_LT, sn_g_iota(c->b, at, t->rank - 1), sn_g_iota(c->b, at, t->rank - 2));
}

static sn_val masked(sn_chunks *c, sn_val x) {
  if (c->b->failed) return 0;
  const sn_type *t = sn_g_type(c->b, x);
  return sn_g3(c->b, SN_OP_SELECT, is_before(c, t), x, sn_g_const(c->b, t, 0));
}

/* ---- a decay per head ------------------------------------------------------------------------------------------- */

/* D [.., N, C, C], not masked. */
static sn_val between(sn_chunks *c) {
  const sn_type *w = sn_g_type(c->b, c->decay);
  const sn_dimx *dim[SN_RANK_MAX];
  int64_t axes[SN_RANK_MAX];
  for (int i = 0; i < w->rank; i++) dim[i] = w->dim[i], axes[i] = i;
  dim[w->rank] = number(c, c->c);
  const sn_type *t = sn_type_of(types_of(c), w->elem, w->rank + 1, dim);
  sn_val rows = sn_g_broadcast(c->b, c->decay, t->rank, t->dim, axes);
  sn_val begun = sn_g3(c->b, SN_OP_SELECT, is_before(c, t), rows, sn_g_const(c->b, t, 1));
  return prefix(c, begun, t->rank - 2, false);
}

/* ---- a decay per channel ---------------------------------------------------------------------------------------- */

/* [.., A, B, ..] as [.., first, second.., ..]: the axes behind the batch that hold the steps, taken apart anew. */
static sn_val steps_as(sn_chunks *c, sn_val x, int drop, int count, const sn_dimx *const *as) {
  const sn_type *t = c->b->failed ? NULL : sn_g_type(c->b, x);
  const sn_dimx *dim[2 * SN_RANK_MAX];
  int n = 0;
  if (!t) return 0;
  for (int i = 0; i < c->batch; i++) dim[n++] = t->dim[i];
  for (int i = 0; i < count; i++) dim[n++] = as[i];
  for (int i = c->batch + drop; i < t->rank; i++) dim[n++] = t->dim[i];
  return sn_g_reshape(c->b, x, n, dim);
}

/* Right or left halves of pairs of blocks: [.., N, steps, K] -> [.., pairs, size, K] */
static sn_val half(sn_chunks *c, sn_val x, const sn_dimx *pairs, int size, bool right) {
  const sn_dimx *as[3] = {pairs, number(c, 2), number(c, size)};
  sn_val v = steps_as(c, x, 2, 3, as);
  int axis = c->batch + 1;
  return c->b->failed ? 0 : drop_axis(c, sn_g_slice_axis(c->b, v, axis, number(c, right), number(c, 1)), axis);
}

/* What right halves read of the left ones: [.., pairs, size, size]. w, x, y [.., N, steps, K] */
static sn_val off_diagonal(sn_chunks *c, sn_val w, sn_val x, sn_val y, const sn_dimx *pairs, int size) {
  int axis = c->batch + 1;
  sn_val right = half(c, x, pairs, size, true), left = half(c, y, pairs, size, false);
  if (size > 1 && !c->b->failed) {
    sn_val before = prefix(c, half(c, w, pairs, size, true), axis, false);
    sn_val behind = prefix(c, half(c, w, pairs, size, false), axis, true);
    if (c->b->failed) return 0;
    right = sn_g2(c->b, SN_OP_MUL, right, before), left = sn_g2(c->b, SN_OP_MUL, left, behind);
  }
  return sn_chunks_contract(c, "tk,jk->tj", right, left);
}

/* Blocks of 2 size: m [.., 2 pairs, size, size] on the diagonal (0: zeros), `below` [.., pairs, size, size] under it.
 */
static sn_val twice(sn_chunks *c, sn_val m, sn_val below, const sn_dimx *pairs, int size) {
  if (c->b->failed) return 0;
  const sn_type *o = sn_g_type(c->b, below);
  const sn_dimx *two = number(c, 2), *l = number(c, size), *dim[2 * SN_RANK_MAX];
  int64_t under[SN_RANK_MAX], within[SN_RANK_MAX];
  int n = c->batch + 1;
  for (int i = 0; i < n; i++) dim[i] = o->dim[i], under[i] = within[i] = i;
  dim[n] = dim[n + 2] = two, dim[n + 1] = dim[n + 3] = l; /* [.., pairs, 2, size, 2, size] */
  under[n] = within[n + 1] = n + 1, under[n + 1] = within[n + 2] = n + 3, within[n] = n;
  const sn_type *t = sn_type_of(types_of(c), o->elem, n + 4, dim), *at = sn_type_with_elem(types_of(c), t, SN_ELEM_I32);
  sn_val row = sn_g_iota(c->b, at, n), column = sn_g_iota(c->b, at, n + 2), zero = sn_g_const(c->b, t, 0);
  sn_val v = sn_g3(c->b, SN_OP_SELECT, sn_g2(c->b, SN_OP_LT, column, row),
                   sn_g_broadcast(c->b, below, t->rank, t->dim, under), zero);
  if (m) {
    const sn_dimx *as[2] = {pairs, two};
    m = sn_g_broadcast(c->b, steps_as(c, m, 1, 2, as), t->rank, t->dim, within);
    v = sn_g3(c->b, SN_OP_SELECT, sn_g2(c->b, SN_OP_EQ, column, row), m, v);
  }
  const sn_dimx *as[3] = {pairs, number(c, 2 * size), number(c, 2 * size)};
  return steps_as(c, v, 5, 3, as);
}

/* Steps behind the chunk up to a power of two, of a number. */
static sn_val padded(sn_chunks *c, sn_val x, int steps, double value) {
  if (steps == c->c || c->b->failed) return x;
  const sn_type *t = sn_g_type(c->b, x);
  const sn_dimx *dim[SN_RANK_MAX];
  int axis = c->batch + 1;
  for (int i = 0; i < t->rank; i++) dim[i] = i == axis ? number(c, steps - c->c) : t->dim[i];
  const sn_val part[2] = {x, sn_g_const(c->b, sn_type_of(types_of(c), t->elem, t->rank, dim), value)};
  return sn_g_concat(c->b, axis, 2, part);
}

static sn_val by_halves(sn_chunks *c, sn_val x, sn_val y) {
  int steps = 1, axis = c->batch + 1;
  while (steps < c->c) steps *= 2;
  sn_val w = padded(c, c->decay, steps, 1), m = 0;
  x = padded(c, x, steps, 0), y = padded(c, y, steps, 0);
  for (int size = 1; size < steps && !c->b->failed; size *= 2) {
    const sn_dimx *pairs = sn_dimx_mul(types_of(c), c->n, number(c, steps / (2 * size)));
    m = twice(c, m, off_diagonal(c, w, x, y, pairs, size), pairs, size);
  }
  if (steps == c->c) return m;
  m = sn_g_slice_axis(c->b, m, axis, number(c, 0), number(c, c->c));
  return sn_g_slice_axis(c->b, m, axis + 1, number(c, 0), number(c, c->c));
}

sn_val sn_chunks_pairs(sn_chunks *c, sn_val x, sn_val y) {
  if (c->b->failed) return 0;
  if (c->decay && c->channels && c->c > 1) return by_halves(c, x, y);
  sn_val m = sn_chunks_contract(c, "tk,jk->tj", x, y);
  if (c->decay && !c->channels && !c->b->failed) m = sn_g2(c->b, SN_OP_MUL, m, between(c));
  return masked(c, m);
}
