/* fused "rows" -> a kernel: reductions over some axes of the space with elementwise work before, between and after.
 *
 *   Kept axes go to the grid. Along rows: a tile is [kept, reduced]; along columns (the kept axis is the contiguous
 * one): it is [reduced, kept]. One tile that holds the whole reduced axis computes everything once. Otherwise there is
 * one loop nest over the reduced axes per level of reductions (a level needs the results of those below) and one for
 * the outputs; elementwise values are computed again in each, but sums of exponentials below a maximum go with the loop
 * that finds it. Loops carry what is reduced so far, or (late) a tile of
 * sums that is reduced behind the loop. */
#include "ir/base/plant.h"
#include "passes/lower/rows.h"

#include <math.h>
#include <string.h>

enum { ONE_TILE = 8192, WHOLE_COLUMNS = 64, LATE = 32768 };

typedef sn_rows rows;

/* ---- analysis ---------------------------------------------------------------------------------------------- */

static bool is_reduction(const sn_node *n) { return sn_op_get(n->op)->cls == SN_CLASS_REDUCE; }

static sn_code find_reductions(rows *r) {
  const sn_func *f = r->c->body;
  int *level = SN_ARRAY(r->c->arena, f->value_count, int);
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    for (int k = 0; k < n->arg_count; k++)
      if (level[n->arg[k]] > level[n->first]) level[n->first] = level[n->arg[k]];
    if (!is_reduction(n)) continue;
    if (r->count == SN_ROWS_REDUCTIONS)
      return sn_lower_fail(r->c, "more than %d reductions in one kernel", SN_ROWS_REDUCTIONS);
    r->node[r->count] = n;
    if (!SN_PLANTED(LEVELS) || !level[n->first]) level[n->first]++;
    r->level[r->count++] = level[n->first];
    if (level[n->first] > r->levels) r->levels = level[n->first];
  }
  return SN_OK;
}

static bool has_argmax(const rows *r) {
  for (int i = 0; i < r->count; i++)
    if (sn_reduction_position(r->node[i])) return true;
  return false;
}

static int last_axis(const sn_group *g, bool reduced) {
  for (int i = g->space.rank - 1; i >= 0; i--)
    if (g->reduce[i] == reduced) return i;
  return -1;
}

/* The reduced axes: which the tile spans, how much of it, which are loops. */
static void choose_reduced(rows *r) {
  r->inner = last_axis(r->g, true);
  for (int i = 0; i < r->inner; i++)
    if (r->g->reduce[i]) r->outer[r->outer_count++] = i;
  const sn_dimx *extent = r->inner >= 0 ? r->g->space.extent[r->inner] : NULL;
  int64_t longest = extent ? sn_dimx_max_value(extent) : 1, fixed;
  const sn_target *target = r->c->target;
  int whole = r->along_columns ? WHOLE_COLUMNS : ONE_TILE, part = r->along_columns ? target->fold_rows : target->fold;
  if (r->along_columns && !sn_dimx_is_const(extent, &fixed)) whole = part = WHOLE_COLUMNS / 4; /* may be few */
  r->block = longest < 1        ? 1
             : longest <= whole ? (int)longest
             : r->along_columns ? sn_block_of(extent, part)
                                : sn_block_for(target, extent, part);
  r->looped = r->outer_count || r->block < longest;
}

/* Extent of the tile along the last kept axis: several instances of whole vectors, or enough rows for one. */
static int kept_block(const rows *r, const sn_dimx *extent) {
  if (r->along_columns) {
    int64_t n = sn_dimx_max_value(extent) / 8;
    n = n < 32 ? 32 : n > 128 ? 128 : n;
    while (r->c->target->unit > 1 && n & (n - 1)) n &= n - 1; /* long pieces */
    return sn_block_for(r->c->target, extent, (int)n);
  }
  int most = r->c->target->row_tile / r->block, least = r->looped ? r->c->target->rows : 1;
  return sn_block_of(extent, most < least ? least : most > 32 ? 32 : most);
}

static void choose_tile(rows *r) {
  const sn_shape *s = &r->g->space;
  int kept = last_axis(r->g, false);
  r->along_columns = kept >= 0 && kept == s->rank - 1 && !has_argmax(r) && last_axis(r->g, true) >= 0;
  choose_reduced(r);
  int other = kept >= 0 ? kept_block(r, s->extent[kept]) : 1;
  r->t.row = r->along_columns ? r->inner : kept;
  r->t.col = r->along_columns ? kept : r->inner;
  r->t.r = r->along_columns ? r->block : other;
  r->t.c = r->along_columns ? other : r->block;
}

void sn_rows_grid(rows *r) {
  sn_axis_block a[SN_VIEW_RANK];
  int n = 0, kept = last_axis(r->g, false);
  if (r->part) a[n++] = (sn_axis_block){.axis = r->split, .block = r->part};
  for (int i = 0; i < r->g->space.rank; i++)
    if (!r->g->reduce[i])
      a[n++] = (sn_axis_block){.axis = i, .block = i == kept ? (r->along_columns ? r->t.c : r->t.r) : 1};
  sn_tile_grid(&r->t, n, a);
}

/* ---- one reduction on one tile ------------------------------------------------------------------------------- */

/* A minimum is the maximum of what is flipped: of -x, or of all bits. */
static bool is_flipped(const sn_node *n) { return n->op == SN_OP_AMIN || n->op == SN_OP_ARGMIN; }

static sn_kv flip(rows *r, sn_kv x) {
  sn_kernel *k = r->b->k;
  return sn_elem_is_float(sn_k_type(k, x).elem) ? sn_k_un(k, SN_K_NEG, x) : sn_k_binc(k, SN_K_XOR, x, -1);
}

sn_kop sn_rows_op(const sn_node *n) { /* table */
  switch (n->op) {
    case SN_OP_SUM: return SN_K_RSUM;
    case SN_OP_PROD: return SN_K_RPROD;
    case SN_OP_ARGMAX:
    case SN_OP_ARGMIN: return SN_K_RARGMAX;
    default: return SN_K_RMAX;
  }
}

sn_kop sn_rows_joining_op(const sn_node *n) {
  return n->op == SN_OP_SUM ? SN_K_ADD : n->op == SN_OP_PROD ? SN_K_MUL : SN_K_MAX;
}

/* What a reduction starts from: of a maximum the smallest number of the operand's type. */
double sn_rows_identity(const rows *r, const sn_node *n) {
  sn_elem e = sn_val_type(r->c->body, n->arg[0])->elem;
  if (n->op == SN_OP_SUM) return 0;
  if (n->op == SN_OP_PROD) return 1;
  if (sn_elem_is_float(e)) return -INFINITY;
  if (e == SN_ELEM_U8) return is_flipped(n) ? ~UINT8_MAX : 0;
  return e == SN_ELEM_I8 ? INT8_MIN : e == SN_ELEM_I64 ? -0x1p63 : INT32_MIN;
}

static bool reads_memory(const rows *r, sn_val v) {
  const sn_node *n = sn_node_of(r->c->body, v);
  while (sn_op_get(n->op)->cls == SN_CLASS_VIEW) n = sn_node_of(r->c->body, n->arg[0]);
  return n->op == SN_OP_ARG;
}

/* x, the operand on a tile, with the identity where the tile reaches beyond the axis. */
static sn_kv limited(rows *r, sn_tile *t, const sn_node *n, sn_kv x) {
  sn_kernel *k = r->b->k;
  sn_kv limit = r->along_columns ? t->row_limit : t->col_limit;
  sn_ktype type = sn_k_type(k, x);
  if (r->along_columns)
    type.r = t->r;
  else
    type.c = t->c;
  bool padded =
      n->op == SN_OP_SUM && reads_memory(r, n->arg[0]) && sn_k_type(k, x).r == type.r && sn_k_type(k, x).c == type.c;
  x = sn_k_bcast(k, type.r, type.c, x);
  if (!limit || padded || SN_PLANTED(TAIL_MASK)) return x;
  int rr = r->along_columns ? t->r : 1, cc = r->along_columns ? 1 : t->c;
  sn_kv i = sn_k_iota(k, rr, cc, !r->along_columns, sn_k_i(k, 0));
  sn_kv inside = sn_k_bin(k, SN_K_LT, i, sn_k_isplat(k, 1, 1, limit));
  return sn_k_select(k, inside, x, sn_k_const(k, type.elem, 1, 1, sn_rows_identity(r, n)));
}

static sn_kv operand(rows *r, sn_tile *t, const sn_node *n) {
  sn_kv x = sn_rows_value(r, t, n->arg[0]);
  return limited(r, t, n, is_flipped(n) ? flip(r, x) : x);
}

sn_kv sn_rows_value(rows *r, sn_tile *t, sn_val v) {
  const sn_chain *home = NULL;
  sn_group_placed(r->g, v, &home);
  return sn_tile_value(t, v, home);
}

static sn_kv reduced(rows *r, const sn_node *n, sn_kv x) {
  return r->inner < 0 ? x : sn_k_reduce(r->b->k, sn_rows_op(n), !r->along_columns, x);
}

sn_kv sn_rows_reduce_of(rows *r, sn_tile *t, const sn_node *n, sn_kv x) { return reduced(r, n, limited(r, t, n, x)); }

sn_kv sn_rows_reduce(rows *r, sn_tile *t, const sn_node *n) { return reduced(r, n, operand(r, t, n)); }

/* The result of what was reduced. Sums and products of narrow integers wrap to their type. */
sn_kv sn_rows_finished(rows *r, const sn_node *n, sn_kv v) {
  sn_elem e = n->type[0]->elem;
  if (n->op == SN_OP_AMIN) return flip(r, v);
  return e == SN_ELEM_I8 || e == SN_ELEM_U8 ? sn_point_round(r->b, e, v) : v;
}

static int number_of(const rows *r, sn_val v) {
  for (int i = 0; i < r->count; i++)
    if (r->node[i]->first == v) return i;
  return -1;
}

/* Results that are known, or (one tile) computed on demand. */
static sn_kv inner_value(sn_tile *t, sn_val v, void *user) {
  rows *r = user;
  int i = number_of(r, v);
  if (!r->result[i]) {
    if (r->inner < 0 && sn_reduction_position(r->node[i]))
      r->result[i] = sn_k_const(r->b->k, SN_ELEM_I32, 1, 1, 0);
    else
      r->result[i] = sn_rows_finished(r, r->node[i], sn_rows_reduce(r, t, r->node[i]));
  }
  return r->result[i];
}

/* ---- loops ------------------------------------------------------------------------------------------------------ */

/* Runs `step` for every tile along the reduced axes, the innermost axis in blocks. */
static void nest(rows *r, sn_tile *t, int depth, int count, sn_kv *carry, sn_rows_step step, void *user) {
  sn_kernel *k = r->b->k;
  if (depth > r->outer_count) {
    sn_tile inside = *t;
    inside.memo = sn_tile_memo_new(r->c->arena, t->memo);
    sn_tile_limits(&inside);
    step(r, &inside, carry, user);
    return;
  }
  bool last = depth == r->outer_count;
  int axis = last ? r->inner : r->outer[depth];
  const sn_dimx *extent = r->g->space.extent[axis];
  bool split = r->part && axis == r->split;
  if (last && sn_dimx_max_value(extent) <= r->block) {
    nest(r, t, depth + 1, count, carry, step, user);
    return;
  }
  sn_kv lo = split ? r->from : sn_k_i(k, 0), hi = sn_build_dim(r->b, extent);
  if (split) hi = sn_k_ibin(k, SN_K_IMIN, sn_k_iadd(k, lo, sn_k_i(k, r->part)), hi);
  t->at[axis] = sn_k_for(k, lo, hi, last ? r->block : 1, count, carry);
  nest(r, t, depth + 1, count, carry, step, user);
  sn_k_end_for(k, count, carry);
  t->at[axis] = 0;
}

/* Carries of one level: the value of each reduction, and the position for argmax. */
static int level_carries(rows *r, int level, sn_kv *carry) {
  int n = 0;
  for (int i = 0; i < r->count; i++) {
    if (r->level[i] != level) continue;
    sn_elem e = sn_compute_elem(sn_val_type(r->c->body, r->node[i]->arg[0])->elem);
    int rr = r->along_columns && !r->late ? 1 : r->t.r, cc = r->along_columns || r->late ? r->t.c : 1;
    carry[n++] = sn_k_const(r->b->k, e, rr, cc, sn_rows_identity(r, r->node[i]));
    if (sn_reduction_position(r->node[i])) carry[n++] = sn_k_const(r->b->k, SN_ELEM_I32, rr, cc, 0);
  }
  return n;
}

/* The first maximum: later ones must be larger. The position counts along the innermost axis. */
static void argmax_step(rows *r, sn_tile *t, const sn_node *n, sn_kv *best, sn_kv *position) {
  sn_kernel *k = r->b->k;
  sn_kv x = operand(r, t, n);
  sn_kv top = sn_k_reduce(k, SN_K_RMAX, 1, x);
  sn_kv where = sn_k_reduce(k, SN_K_RARGMAX, 1, x);
  if (t->at[r->inner]) where = sn_k_bin(k, SN_K_ADD, where, sn_k_isplat(k, 1, 1, t->at[r->inner]));
  sn_kv nan = sn_k_bin(k, SN_K_NE, top, top);
  sn_kv kept = sn_k_bin(k, SN_K_NE, *best, *best);
  sn_kv better = sn_k_bin(k, SN_K_LT, *best, top);
  better = sn_k_bin(k, SN_K_OR, better, nan);
  better = sn_k_bin(k, SN_K_AND, better, sn_k_un(k, SN_K_NOT, kept));
  *position = sn_k_select(k, better, where, *position);
  *best = sn_k_select(k, better, top, *best);
}

static void level_step(rows *r, sn_tile *t, sn_kv *carry, void *user) {
  int level = *(const int *)user, n = 0;
  sn_kv old[SN_ROWS_REDUCTIONS] = {0}, now[SN_ROWS_REDUCTIONS] = {0};
  for (int i = 0; i < r->count; i++) {
    if (r->level[i] != level) continue;
    if (r->peak[i]) {
      int peak = r->peak[i] - 1;
      carry[n] = sn_rows_online(r, t, i, carry[n], old[peak], now[peak]);
      n++;
      continue;
    }
    if (sn_reduction_position(r->node[i])) {
      argmax_step(r, t, r->node[i], &carry[n], &carry[n + 1]);
      n += 2;
      continue;
    }
    sn_kv part = r->late ? operand(r, t, r->node[i]) : sn_rows_reduce(r, t, r->node[i]);
    sn_ktype whole = sn_k_type(r->b->k, carry[n]);
    part = sn_k_bcast(r->b->k, whole.r, whole.c, part);
    old[i] = carry[n];
    carry[n] = now[i] = sn_k_bin(r->b->k, sn_rows_joining_op(r->node[i]), carry[n], part);
    n++;
  }
}

/* Whole tiles in the loops of a level, where a device likes that and they are few enough. */
static bool is_late(const rows *r, int level) {
  int64_t n = 0;
  for (int i = 0; i < r->count; i++) n += r->level[i] == level;
  return r->c->target->fold_late && !has_argmax(r) && n * r->t.r * r->t.c <= LATE;
}

int sn_rows_level(rows *r, int level, sn_kv *carry) {
  r->late = is_late(r, level);
  int n = level_carries(r, level, carry), at = 0;
  nest(r, &r->t, 0, n, carry, level_step, &level);
  for (int i = 0; i < r->count && r->late; i++)
    if (r->level[i] == level)
      carry[at] = sn_k_reduce(r->b->k, sn_rows_op(r->node[i]), !r->along_columns, carry[at]), at++;
  return n;
}

static bool has_level(const rows *r, int level) {
  for (int i = 0; i < r->count; i++)
    if (r->level[i] == level) return true;
  return false;
}

static void run_levels(rows *r) {
  for (int i = 0; i < r->count; i++)
    if (!r->level[i]) r->result[i] = sn_rows_finished(r, r->node[i], sn_rows_picked(r, i));
  for (int level = 1; level <= r->levels; level++) {
    sn_kv carry[2 * SN_ROWS_REDUCTIONS];
    int at = 0;
    if (!has_level(r, level)) continue;
    (void)sn_rows_level(r, level, carry);
    for (int i = 0; i < r->count; i++) {
      if (r->level[i] != level) continue;
      if (sn_reduction_position(r->node[i])) at++;
      sn_kv v = carry[at++];
      if (r->peak[i]) v = sn_rows_online_end(r, v, r->result[r->peak[i] - 1]);
      r->result[i] = sn_rows_finished(r, r->node[i], v);
    }
  }
}

static bool *outputs_that(const rows *r, bool reduced, int *count) {
  bool *which = SN_ARRAY(r->c->arena, r->g->output_count, bool);
  *count = 0;
  for (int i = 0; i < r->g->output_count; i++) *count += which[i] = r->g->output[i].reduced == reduced;
  return which;
}

static void output_step(rows *r, sn_tile *t, sn_kv *carry, void *user) {
  (void)r, (void)carry;
  sn_tile_outputs(t, user);
}

void sn_rows_store_kept(rows *r, const bool *which) {
  sn_tile flat = r->t;
  flat.memo = sn_tile_memo_new(r->c->arena, r->t.memo);
  if (r->along_columns)
    flat.row = -1, flat.r = 1, flat.row_limit = 0;
  else
    flat.col = -1, flat.c = 1, flat.col_limit = 0;
  sn_tile_outputs(&flat, which);
}

static void store_outputs(rows *r) {
  int full, reduced;
  bool *of_full = outputs_that(r, false, &full), *of_reduced = outputs_that(r, true, &reduced);
  if (!r->looped) {
    sn_tile_outputs(&r->t, NULL);
    return;
  }
  if (full) nest(r, &r->t, 0, 0, NULL, output_step, of_full);
  if (reduced) sn_rows_store_kept(r, of_reduced);
}

/* ---- one kernel
 * ------------------------------------------------------------------------------------------------------ */

void sn_rows_begin(rows *r, const char *name, int extra, const sn_buffer_use *more, bool results) {
  sn_buffer_use use[SN_LOWER_BUFFERS];
  int count = sn_group_buffers(r->c, r->g, use, 0);
  for (int i = 0; i < extra; i++) use[count++] = more[i];
  if (results) count = sn_result_buffers(r->c, use, count);
  r->b = sn_build_kernel_begin(r->c, name, count, use);
  r->t.b = r->b;
  r->t.g = r->g;
  r->t.inner = inner_value;
  sn_group_forget(r->g);
  sn_group_slots(r->c, r->g);
  r->t.user = r;
  r->t.memo = sn_tile_memo_new(r->c->arena, NULL);
}

/* Kept rows of a tile: each is reduced alike in any number. Columns are not: code for wide tiles adds in another order.
 */
static void choose_kept(rows *r) {
  int kept = last_axis(r->g, false);
  if (r->along_columns || kept < 0) return;
  if (r->c->want.rows) r->t.r = sn_block_of(r->g->space.extent[kept], r->c->want.rows);
  sn_schedule_made(r->c, r->t.r, 1);
}

static sn_code one_kernel(rows *r) {
  choose_kept(r);
  sn_rows_begin(r, sn_kernel_name_of(r->c, "rows"), 0, NULL, true);
  sn_rows_grid(r);
  sn_tile_limits(&r->t);
  if (r->looped) run_levels(r);
  store_outputs(r);
  sn_report report = {.flops = sn_body_flops(r->c),
                      .bytes_read = sn_groups_bytes_read(r->c, 1, &r->g),
                      .bytes_written = sn_result_bytes(r->c)};
  return sn_build_kernel_end(r->b, &report);
}

sn_code sn_lower_rows(sn_lower_ctx *c, const sn_node *fused) {
  sn_group g;
  (void)fused;
  if (!sn_group_of_body(&g, c->arena, c->body)) return sn_lower_fail(c, "no rows kernel: %s", g.why);
  sn_group_merge(&g);
  rows r = {.c = c, .g = &g};
  SN_TRY(find_reductions(&r));
  choose_tile(&r);
  if (sn_rows_in_parts(&r)) return sn_rows_parts(&r);
  if (r.looped) sn_rows_find_picks(&r);
  if (r.looped) sn_rows_find_online(&r);
  return one_kernel(&r);
}
