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

/* ---- a decay per head -------------------------------------------------------------------------------------------- */

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

/* ---- a decay per channel ----------------------------------------------------------------------------------------- */

/* x [.., N, C, K] as [.., N, blocks, size, K] */
static sn_val in_blocks(sn_chunks *c, sn_val x, int steps, int size) {
  const sn_type *t = sn_g_type(c->b, x);
  const sn_dimx *dim[SN_RANK_MAX];
  int n = 0;
  for (int i = 0; i <= c->batch; i++) dim[n++] = t->dim[i];
  dim[n++] = number(c, steps / size);
  dim[n++] = number(c, size);
  for (int i = c->batch + 2; i < t->rank; i++) dim[n++] = t->dim[i];
  return sn_g_reshape(c->b, x, n, dim);
}

/* Blocks 1, 3, 5, .. or 0, 2, 4, .. of [.., N, blocks, ..] */
static sn_val every_other(sn_chunks *c, sn_val x, int blocks, bool odd) {
  const sn_type *t = c->b->failed ? NULL : sn_g_type(c->b, x);
  const sn_dimx *dim[SN_RANK_MAX];
  int n = 0, axis = c->batch + 1;
  if (!t) return 0;
  for (int i = 0; i < t->rank; i++) {
    dim[n++] = i == axis ? number(c, blocks / 2) : t->dim[i];
    if (i == axis) dim[n++] = number(c, 2);
  }
  sn_val pairs = sn_g_reshape(c->b, x, n, dim);
  return drop_axis(c, sn_g_slice_axis(c->b, pairs, axis + 1, number(c, odd), number(c, 1)), axis + 1);
}

/* What right halves read of left ones: [.., N, C / 2 size, size, size]. w, x, y [.., N, steps, K] */
static sn_val off_diagonal(sn_chunks *c, sn_val w, sn_val x, sn_val y, int steps, int size) {
  int blocks = steps / size, axis = c->batch + 2;
  sn_val wb = in_blocks(c, w, steps, size);
  sn_val right = every_other(c, in_blocks(c, x, steps, size), blocks, true);
  sn_val left = every_other(c, in_blocks(c, y, steps, size), blocks, false);
  sn_val before = prefix(c, every_other(c, wb, blocks, true), axis, false);
  sn_val behind = prefix(c, every_other(c, wb, blocks, false), axis, true);
  if (c->b->failed) return 0;
  if (size > 1) right = sn_g2(c->b, SN_OP_MUL, right, before), left = sn_g2(c->b, SN_OP_MUL, left, behind);
  return sn_chunks_contract(c, "ptk,pjk->ptj", right, left);
}

/* Blocks of 2 size from their diagonal blocks and the one below. m [.., N, blocks, size, size]; 0: zeros */
static sn_val twice(sn_chunks *c, sn_val m, sn_val below, int blocks) {
  if (c->b->failed) return 0;
  int row = c->batch + 2, column = c->batch + 3;
  sn_val zero = sn_g_const_like(c->b, below, 0);
  const sn_val top[2] = {m ? every_other(c, m, blocks, false) : zero, zero};
  const sn_val bottom[2] = {below, m ? every_other(c, m, blocks, true) : zero};
  const sn_val both[2] = {sn_g_concat(c->b, column, 2, top), sn_g_concat(c->b, column, 2, bottom)};
  return c->b->failed ? 0 : sn_g_concat(c->b, row, 2, both);
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
  for (int size = 1; size < steps && !c->b->failed; size *= 2)
    m = twice(c, m, off_diagonal(c, w, x, y, steps, size), steps / size);
  m = c->b->failed ? 0 : drop_axis(c, m, axis);
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
