/* fused "rows" -> a kernel: reductions over some axes of the space with elementwise work before, between and after.
 *
 *   Kept axes go to the grid. Along rows: a tile is [kept, reduced]; along columns (the kept axis is the contiguous
 * one): it is [reduced, kept]. One tile that holds the whole reduced axis computes everything once. Otherwise there is
 * one loop nest over the reduced axes per level of reductions (a level needs the results of those below) and one for
 * the outputs; elementwise values are computed again in each. A full reduction of many elements has two steps: partial
 * results of fixed blocks, then those in order. */
#include "ir/base/plant.h"
#include "passes/lower/internal.h"

#include <math.h>
#include <string.h>

enum { ONE_TILE = 8192, LOOP_BLOCK = 1024, COLUMN_BLOCK = 64, PART = 8192, REDUCTIONS = 12 };

typedef struct rows {
  sn_lower_ctx *c;
  sn_group *g;
  sn_build_kernel *b;
  sn_tile t;                            /* the tile without coordinates along reduced axes */
  bool along_columns;                   /* reduced axis along the tile's rows */
  int inner;                            /* the reduced axis that a tile spans; -1: none */
  int outer[SN_VIEW_RANK], outer_count; /* the other reduced axes: one index at a time */
  int block;                            /* extent of the tile along `inner` */
  bool looped;
  int count; /* reductions */
  const sn_node *node[REDUCTIONS];
  int level[REDUCTIONS], levels;
  sn_kv result[REDUCTIONS];
} rows;

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
    if (r->count == REDUCTIONS) return sn_lower_fail(r->c, "more than %d reductions in one kernel", REDUCTIONS);
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
  int whole = r->along_columns ? COLUMN_BLOCK : ONE_TILE, part = r->along_columns ? COLUMN_BLOCK : LOOP_BLOCK;
  if (r->along_columns && !sn_dimx_is_const(extent, &fixed)) whole = part = COLUMN_BLOCK / 4; /* may be few */
  r->block = longest < 1 ? 1 : longest <= whole ? (int)longest : sn_block_of(extent, part);
  r->looped = r->outer_count || r->block < longest;
}

/* Extent of the tile along the last kept axis: several instances of whole vectors, or enough rows for one. */
static int kept_block(const rows *r, const sn_dimx *extent) {
  if (r->along_columns) {
    int64_t n = sn_dimx_max_value(extent) / 8;
    return sn_block_of(extent, n < 32 ? 32 : n > 128 ? 128 : (int)n);
  }
  int most = LOOP_BLOCK / r->block, least = r->c->target->rows;
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

static void set_grid(rows *r) {
  sn_axis_block a[SN_VIEW_RANK];
  int n = 0, kept = last_axis(r->g, false);
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

static sn_kop kernel_op(const sn_node *n) { /* table */
  switch (n->op) {
    case SN_OP_SUM: return SN_K_RSUM;
    case SN_OP_PROD: return SN_K_RPROD;
    case SN_OP_ARGMAX:
    case SN_OP_ARGMIN: return SN_K_RARGMAX;
    default: return SN_K_RMAX;
  }
}

static sn_kop joining_op(const sn_node *n) {
  return n->op == SN_OP_SUM ? SN_K_ADD : n->op == SN_OP_PROD ? SN_K_MUL : SN_K_MAX;
}

/* What a reduction starts from: of a maximum the smallest number of the operand's type. */
static double identity(const rows *r, const sn_node *n) {
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

/* The operand on a tile, with the identity where the tile reaches beyond the axis. */
static sn_kv operand(rows *r, sn_tile *t, const sn_node *n) {
  sn_kernel *k = r->b->k;
  const sn_chain *home = NULL;
  sn_group_placed(r->g, n->arg[0], &home);
  sn_kv x = sn_tile_value(t, n->arg[0], home);
  if (is_flipped(n)) x = flip(r, x);
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
  return sn_k_select(k, inside, x, sn_k_const(k, type.elem, 1, 1, identity(r, n)));
}

static sn_kv reduce(rows *r, sn_tile *t, const sn_node *n) {
  sn_kv x = operand(r, t, n);
  return r->inner < 0 ? x : sn_k_reduce(r->b->k, kernel_op(n), !r->along_columns, x);
}

/* The result of what was reduced. Sums and products of narrow integers wrap to their type. */
static sn_kv finished(rows *r, const sn_node *n, sn_kv v) {
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
      r->result[i] = finished(r, r->node[i], reduce(r, t, r->node[i]));
  }
  return r->result[i];
}

/* ---- loops ------------------------------------------------------------------------------------------------------ */

typedef void (*step_fn)(rows *r, sn_tile *t, sn_kv *carry, void *user);

/* Runs `step` for every tile along the reduced axes, the innermost axis in blocks. */
static void nest(rows *r, sn_tile *t, int depth, int count, sn_kv *carry, step_fn step, void *user) {
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
  if (last && sn_dimx_max_value(extent) <= r->block) {
    nest(r, t, depth + 1, count, carry, step, user);
    return;
  }
  sn_kv hi = sn_build_dim(r->b, extent);
  t->at[axis] = sn_k_for(k, sn_k_i(k, 0), hi, last ? r->block : 1, count, carry);
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
    int rr = r->along_columns ? 1 : r->t.r, cc = r->along_columns ? r->t.c : 1;
    carry[n++] = sn_k_const(r->b->k, e, rr, cc, identity(r, r->node[i]));
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
  for (int i = 0; i < r->count; i++) {
    if (r->level[i] != level) continue;
    if (sn_reduction_position(r->node[i])) {
      argmax_step(r, t, r->node[i], &carry[n], &carry[n + 1]);
      n += 2;
      continue;
    }
    sn_kv part = reduce(r, t, r->node[i]);
    sn_ktype whole = sn_k_type(r->b->k, carry[n]);
    part = sn_k_bcast(r->b->k, whole.r, whole.c, part);
    carry[n] = sn_k_bin(r->b->k, joining_op(r->node[i]), carry[n], part);
    n++;
  }
}

static void run_levels(rows *r) {
  for (int level = 1; level <= r->levels; level++) {
    sn_kv carry[2 * REDUCTIONS];
    int n = level_carries(r, level, carry), at = 0;
    nest(r, &r->t, 0, n, carry, level_step, &level);
    for (int i = 0; i < r->count; i++) {
      if (r->level[i] != level) continue;
      if (sn_reduction_position(r->node[i])) at++;
      r->result[i] = finished(r, r->node[i], carry[at++]);
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

static void store_outputs(rows *r) {
  int full, reduced;
  bool *of_full = outputs_that(r, false, &full), *of_reduced = outputs_that(r, true, &reduced);
  if (!r->looped) {
    sn_tile_outputs(&r->t, NULL);
    return;
  }
  if (full) nest(r, &r->t, 0, 0, NULL, output_step, of_full);
  sn_tile flat = r->t; /* kept axes only */
  flat.memo = sn_tile_memo_new(r->c->arena, r->t.memo);
  if (r->along_columns)
    flat.row = -1, flat.r = 1, flat.row_limit = 0;
  else
    flat.col = -1, flat.c = 1, flat.col_limit = 0;
  if (reduced) sn_tile_outputs(&flat, of_reduced);
}

/* ---- one kernel
 * ------------------------------------------------------------------------------------------------------ */

static void begin(rows *r, const char *name, int extra, const sn_buffer_use *more, bool results) {
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

static sn_code one_kernel(rows *r) {
  begin(r, sn_kernel_name_of(r->c, "rows"), 0, NULL, true);
  set_grid(r);
  sn_tile_limits(&r->t);
  if (r->looped) run_levels(r);
  store_outputs(r);
  sn_report report = {.flops = sn_body_flops(r->c),
                      .bytes_read = sn_groups_bytes_read(r->c, 1, &r->g),
                      .bytes_written = sn_result_bytes(r->c)};
  return sn_build_kernel_end(r->b, &report);
}

/* ---- full reductions in two steps
 * --------------------------------------------------------------------------------------- */

static bool wants_two_steps(const rows *r) {
  if (r->c->inside) return false;
  for (int i = 0; i < r->g->output_count; i++)
    if (!r->g->output[i].reduced) return false;
  if (r->g->space.rank != 1 || !r->g->reduce[0] || r->levels != 1 || has_argmax(r)) return false;
  return sn_dimx_max_value(r->g->space.extent[0]) > 4 * PART;
}

static void part_step(rows *r, sn_tile *t, sn_kv *carry, void *user) {
  (void)user;
  level_step(r, t, carry, &(int){1});
}

/* Partial results of blocks of PART elements: parts[reduction * blocks + block]. */
static sn_code make_parts(rows *r, int slot, const sn_dimx *blocks, const sn_dimx *bytes) {
  begin(r, sn_kernel_name_of(r->c, "parts"), 1, &(sn_buffer_use){slot, SN_K_OUT}, false);
  sn_kernel *k = r->b->k;
  sn_kv carry[2 * REDUCTIONS];
  sn_build_grid(r->b, 1, blocks, NULL, NULL);
  sn_kv from = sn_k_imulc(k, sn_k_gid(k, 0), PART), extent = sn_build_dim(r->b, r->g->space.extent[0]);
  sn_kv to = sn_k_ibin(k, SN_K_IMIN, sn_k_iadd(k, from, sn_k_i(k, PART)), extent);
  int n = level_carries(r, 1, carry);
  r->t.at[0] = sn_k_for(k, from, to, r->block, n, carry);
  sn_tile inside = r->t;
  inside.memo = sn_tile_memo_new(r->c->arena, r->t.memo);
  sn_tile_limits(&inside);
  part_step(r, &inside, carry, NULL);
  sn_k_end_for(k, n, carry);
  r->t.at[0] = 0;
  for (int i = 0; i < n; i++) {
    sn_kv off = sn_k_iadd(k, sn_k_imulc(k, sn_build_dim(r->b, blocks), i), sn_k_gid(k, 0));
    sn_k_store(k, (sn_kwin){.buf = sn_build_buffer(r->b, slot), .off = off}, carry[i]);
  }
  sn_report report = {
      .flops = sn_body_flops(r->c), .bytes_read = sn_groups_bytes_read(r->c, 1, &r->g), .bytes_written = bytes};
  return sn_build_kernel_end(r->b, &report);
}

/* Accesses that the outputs still need once the reductions are known. */
static sn_code join_parts(rows *r, int slot, const sn_dimx *blocks, const sn_dimx *bytes) {
  begin(r, sn_kernel_name_of(r->c, "join"), 1, &(sn_buffer_use){slot, SN_K_IN}, true);
  sn_kernel *k = r->b->k;
  sn_types *types = r->c->types;
  int block = sn_block_of(blocks, LOOP_BLOCK);
  sn_kv hi = sn_build_dim(r->b, blocks), carry[2 * REDUCTIONS];
  sn_build_grid(r->b, 1, sn_dimx_const(types, 1), NULL, NULL);
  int n = level_carries(r, 1, carry);
  sn_kv at = sn_k_for(k, sn_k_i(k, 0), hi, block, n, carry), limit = sn_build_limit(r->b, blocks, block, at);
  for (int i = 0; i < n; i++) {
    sn_kwin w = {.buf = sn_build_buffer(r->b, slot), .off = sn_k_iadd(k, sn_k_imulc(k, hi, i), at), .nc = limit};
    sn_kv x = sn_k_load(k, 1, block, w, identity(r, r->node[i]));
    carry[i] = sn_k_bin(k, joining_op(r->node[i]), carry[i], sn_k_reduce(k, kernel_op(r->node[i]), 1, x));
  }
  sn_k_end_for(k, n, carry);
  for (int i = 0; i < n; i++) r->result[i] = finished(r, r->node[i], carry[i]);
  r->t.col = -1, r->t.c = 1;
  sn_tile_outputs(&r->t, NULL);
  sn_report report = {.kind = "rows",
                      .flops = sn_dimx_mul(types, blocks, sn_dimx_const(types, n)),
                      .bytes_written = sn_result_bytes(r->c)};
  report.bytes_read = sn_dimx_add(types, bytes, sn_groups_bytes_read(r->c, 1, &r->g));
  return sn_build_kernel_end(r->b, &report);
}

static sn_code two_kernels(rows *r) {
  sn_types *types = r->c->types;
  sn_elem e = sn_compute_elem(sn_val_type(r->c->body, r->node[0]->arg[0])->elem);
  for (int i = 1; i < r->count; i++)
    if (sn_compute_elem(sn_val_type(r->c->body, r->node[i]->arg[0])->elem) != e) return one_kernel(r);
  const sn_dimx *blocks = sn_dimx_ceildiv(types, r->g->space.extent[0], sn_dimx_const(types, PART));
  const sn_dimx *dim[2] = {sn_dimx_const(types, r->count), blocks};
  const sn_type *type = sn_type_of(types, e, 2, dim);
  const sn_dimx *bytes =
      sn_dimx_mul(types, sn_type_count(types, type), sn_dimx_const(types, (int64_t)sn_elem_bytes(e)));
  int slot = sn_lower_temp(r->c, "parts", type, NULL);
  r->block = LOOP_BLOCK;
  r->t.c = LOOP_BLOCK;
  SN_TRY(make_parts(r, slot, blocks, bytes));
  return join_parts(r, slot, blocks, bytes);
}

sn_code sn_lower_rows(sn_lower_ctx *c, const sn_node *fused) {
  sn_group g;
  (void)fused;
  if (!sn_group_of_body(&g, c->arena, c->body)) return sn_lower_fail(c, "no rows kernel: %s", g.why);
  sn_group_merge(&g);
  rows r = {.c = c, .g = &g};
  SN_TRY(find_reductions(&r));
  choose_tile(&r);
  return wants_two_steps(&r) ? two_kernels(&r) : one_kernel(&r);
}
