/* Reductions of many elements to few results in two steps, so that there are enough instances: each takes a fixed part
 * of a reduced axis, then the partial results are reduced in order. Their order follows from the shape alone. parts:
 * [reductions, kept.., parts], along columns [reductions, parts, kept..] */
#include "passes/lower/rows.h"

enum { PART = 8192, PART_ROWS = 128, PART_COLUMNS = 128, JOIN = 1024, JOIN_ROWS = 64, JOIN_COLUMNS = 32 };

typedef struct parts {
  sn_rows *r;
  int slot;
  const sn_dimx *count, *kept; /* parts; results of one reduction */
  const sn_dimx *bytes;
  sn_view view; /* of the results over the space, row-major */
} parts;

/* ---- when -------------------------------------------------------------------------------------------------------- */

static bool is_one_level(const sn_rows *r) {
  sn_elem e = sn_compute_elem(sn_val_type(r->c->body, r->node[0]->arg[0])->elem);
  if (r->c->inside || r->levels != 1 || r->inner < 0) return false;
  for (int i = 0; i < r->g->output_count; i++)
    if (!r->g->output[i].reduced) return false;
  for (int i = 0; i < r->count; i++)
    if (sn_reduction_position(r->node[i]) || sn_compute_elem(sn_val_type(r->c->body, r->node[i]->arg[0])->elem) != e)
      return false;
  return true;
}

/* Instances without parts, at most. */
static int64_t instances(const sn_rows *r) {
  int64_t n = 1;
  for (int i = 0; i < r->g->space.rank; i++) {
    int64_t block = i == r->t.row   ? r->t.r
                    : i == r->t.col ? r->t.c
                                    : 1,
            extent = sn_dimx_max_value(r->g->space.extent[i]);
    if (!r->g->reduce[i] && __builtin_mul_overflow(n, (extent + block - 1) / block, &n)) return INT64_MAX;
  }
  return n;
}

/* Splits the longest reduced axis. */
static void choose_part(sn_rows *r) {
  int64_t others = 1;
  r->split = r->inner;
  for (int i = 0; i < r->outer_count; i++)
    if (sn_dimx_max_value(r->g->space.extent[r->outer[i]]) > sn_dimx_max_value(r->g->space.extent[r->split]))
      r->split = r->outer[i];
  for (int i = 0; i < r->g->space.rank; i++) {
    int64_t extent = sn_dimx_max_value(r->g->space.extent[i]);
    if (r->g->reduce[i] && i != r->split && __builtin_mul_overflow(others, extent, &others)) others = INT64_MAX;
  }
  int64_t most = r->along_columns ? PART_ROWS : PART, step = r->split == r->inner ? r->block : 1;
  r->part = most / (others < 1 ? 1 : others) / step * step;
  if (r->part < step) r->part = step;
}

bool sn_rows_in_parts(sn_rows *r) {
  if (!is_one_level(r)) return false;
  bool full = r->g->space.rank == 1 && r->g->reduce[0];
  if (full && sn_dimx_max_value(r->g->space.extent[0]) > 4 * PART)
    r->block = r->t.c = r->c->target->fold;
  else if (!sn_wants_instances(r->c) || !r->looped || instances(r) >= r->c->target->instances)
    return false;
  choose_part(r);
  if (sn_dimx_max_value(r->g->space.extent[r->split]) < 4 * r->part) {
    r->part = 0;
    return false;
  }
  if (r->along_columns) r->t.c = sn_block_for(r->c->target, r->g->space.extent[r->t.col], PART_COLUMNS);
  return true;
}

/* ---- the two kernels --------------------------------------------------------------------------------------------- */

/* Where reduction i of part `at` and those behind it lie, on the tile. */
static sn_kwin window(parts *p, int i, sn_kv at) {
  sn_rows *r = p->r;
  sn_kernel *k = r->b->k;
  sn_kv count = sn_build_dim(r->b, p->count), kept = sn_build_dim(r->b, p->kept);
  sn_kv result = sn_build_address(r->b, &p->view, r->t.at);
  sn_kwin w = {.buf = sn_build_buffer(r->b, p->slot)};
  if (r->along_columns) {
    w.off = sn_k_iadd(k, sn_k_imul(k, sn_k_iadd(k, sn_k_imulc(k, count, i), at), kept), result);
    w.nc = r->t.col_limit;
    return w;
  }
  w.off = sn_k_iadd(k, sn_k_imul(k, sn_k_iadd(k, sn_k_imulc(k, kept, i), result), count), at);
  if (r->t.r > 1) w.rs = count, w.nr = r->t.row_limit;
  return w;
}

static sn_code make_parts(parts *p) {
  sn_rows *r = p->r;
  sn_rows_begin(r, sn_kernel_name_of(r->c, "parts"), 1, &(sn_buffer_use){p->slot, SN_K_OUT}, false);
  sn_kernel *k = r->b->k;
  sn_kv carry[2 * SN_ROWS_REDUCTIONS];
  sn_rows_grid(r);
  r->from = r->t.at[r->split], r->t.at[r->split] = 0;
  if (!r->from) r->from = sn_k_i(k, 0);
  sn_tile_limits(&r->t);
  int n = sn_rows_level(r, 1, carry);
  sn_kv at = sn_k_ibin(k, SN_K_IDIV, r->from, sn_k_i(k, r->part));
  for (int i = 0; i < n; i++) sn_k_store(k, window(p, i, at), carry[i]);
  sn_report report = {
      .flops = sn_body_flops(r->c), .bytes_read = sn_groups_bytes_read(r->c, 1, &r->g), .bytes_written = p->bytes};
  return sn_build_kernel_end(r->b, &report);
}

/* One tile of partial results of reduction i. */
static sn_kv load_parts(parts *p, int i, sn_kv at, int block) {
  sn_rows *r = p->r;
  sn_kwin w = window(p, i, at);
  sn_kv limit = sn_build_limit(r->b, p->count, block, at);
  double pad = sn_rows_identity(r, r->node[i]);
  if (!r->along_columns) {
    w.nc = limit;
    return sn_k_load(r->b->k, r->t.r, block, w, pad);
  }
  w.nr = limit, w.rs = sn_build_dim(r->b, p->kept);
  return sn_k_load(r->b->k, block, r->t.c, w, pad);
}

static void join_loop(parts *p) {
  sn_rows *r = p->r;
  sn_kernel *k = r->b->k;
  int most = r->along_columns || JOIN < r->t.r ? 1 : JOIN / r->t.r; /* a tile of JOIN elements */
  int block = r->along_columns ? JOIN_ROWS : sn_block_for(r->c->target, p->count, most);
  sn_kv hi = sn_build_dim(r->b, p->count), carry[SN_ROWS_REDUCTIONS];
  int rr = r->along_columns ? 1 : r->t.r, cc = r->along_columns ? r->t.c : 1;
  for (int i = 0; i < r->count; i++) {
    sn_elem e = sn_compute_elem(sn_val_type(r->c->body, r->node[i]->arg[0])->elem);
    carry[i] = sn_k_const(k, e, rr, cc, sn_rows_identity(r, r->node[i]));
  }
  sn_kv at = sn_k_for(k, sn_k_i(k, 0), hi, block, r->count, carry);
  for (int i = 0; i < r->count; i++) {
    sn_kv x = load_parts(p, i, at, block);
    x = sn_k_reduce(k, sn_rows_op(r->node[i]), !r->along_columns, x);
    carry[i] = sn_k_bin(k, sn_rows_joining_op(r->node[i]), carry[i], x);
  }
  sn_k_end_for(k, r->count, carry);
  for (int i = 0; i < r->count; i++) r->result[i] = sn_rows_finished(r, r->node[i], carry[i]);
}

static sn_code join_parts(parts *p) {
  sn_rows *r = p->r;
  sn_types *types = r->c->types;
  r->part = 0;
  if (r->along_columns) r->t.c = sn_block_of(r->g->space.extent[r->t.col], JOIN_COLUMNS);
  sn_rows_begin(r, sn_kernel_name_of(r->c, "join"), 1, &(sn_buffer_use){p->slot, SN_K_IN}, true);
  sn_rows_grid(r);
  sn_tile_limits(&r->t);
  join_loop(p);
  sn_rows_store_kept(r, NULL);
  sn_report report = {.kind = "rows",
                      .flops = sn_type_count(types, sn_lower_slot_type(r->c, p->slot)),
                      .bytes_written = sn_result_bytes(r->c)};
  report.bytes_read = sn_dimx_add(types, p->bytes, sn_groups_bytes_read(r->c, 1, &r->g));
  return sn_build_kernel_end(r->b, &report);
}

sn_code sn_rows_parts(sn_rows *r) {
  sn_types *t = r->c->types;
  const sn_shape *space = &r->g->space;
  parts p = {.r = r, .kept = sn_dimx_const(t, 1), .view = sn_view_of(t, space)};
  for (int i = space->rank - 1; i >= 0; i--) {
    p.view.stride[i] = r->g->reduce[i] ? sn_dimx_const(t, 0) : p.kept;
    if (!r->g->reduce[i]) p.kept = sn_dimx_mul(t, p.kept, space->extent[i]);
  }
  p.count = sn_dimx_ceildiv(t, space->extent[r->split], sn_dimx_const(t, r->part));
  const sn_dimx *dim[3] = {sn_dimx_const(t, r->count), r->along_columns ? p.count : p.kept,
                           r->along_columns ? p.kept : p.count};
  const sn_type *type = sn_type_of(t, sn_compute_elem(sn_val_type(r->c->body, r->node[0]->arg[0])->elem), 3, dim);
  p.bytes = sn_dimx_mul(t, sn_type_count(t, type), sn_dimx_const(t, (int64_t)sn_elem_bytes(type->elem)));
  p.slot = sn_lower_temp(r->c, "parts", type, NULL);
  SN_TRY(make_parts(&p));
  return join_parts(&p);
}
