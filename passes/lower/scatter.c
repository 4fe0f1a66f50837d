/* scatter_add where few instances are enough: one owns columns of all rows, in scratch, and adds the updates to them in
 * order. */
#include "passes/lower/index.h"

typedef struct scatter {
  sn_indexing *x;
  sn_build_kernel *b;
  sn_numbers index;
  sn_tile t;          /* of the updates: one row of columns */
  sn_kv scratch;      /* [rows][columns of the tile] */
  int batch, indices; /* axes: batch.., numbered.., rest.. of the updates */
  int rows_axis;      /* of the result */
} scatter;

/* Window of the result: row `row` at the tile's columns. */
static sn_kwin result_window(scatter *s, sn_kv row) {
  sn_kv at[SN_VIEW_RANK] = {0};
  const sn_view *v = &s->x->result;
  for (int i = 0; i < v->rank; i++)
    at[i] = i < s->rows_axis ? s->t.at[i] : i == s->rows_axis ? row : s->t.at[i - s->rows_axis - 1 + s->indices];
  int slot = s->x->slot;
  sn_kwin w = {.buf = sn_build_buffer(s->b, slot), .off = sn_build_offset(s->b, slot, sn_build_address(s->b, v, at))};
  if (s->t.col >= 0) {
    w.cs = sn_build_dim(s->b, v->stride[s->t.col - s->indices + s->rows_axis + 1]);
    w.nc = s->t.col_limit;
  }
  return w;
}

static sn_kwin scratch_row(const scatter *s, sn_kv row) {
  return (sn_kwin){.buf = s->scratch, .off = sn_k_imulc(s->b->k, row, s->t.c)};
}

static void zero_rows(scatter *s, sn_elem e) {
  sn_kernel *k = s->b->k;
  sn_kv row = sn_k_for(k, sn_k_i(k, 0), sn_build_dim(s->b, s->x->result.extent[s->rows_axis]), 1, 0, NULL);
  sn_k_store(k, scratch_row(s, row), sn_k_const(k, e, 1, s->t.c, 0));
  sn_k_end_for(k, 0, NULL);
}

static void store_rows(scatter *s) {
  sn_kernel *k = s->b->k;
  sn_kv row = sn_k_for(k, sn_k_i(k, 0), sn_build_dim(s->b, s->x->result.extent[s->rows_axis]), 1, 0, NULL);
  sn_kv sum = sn_k_load(k, 1, s->t.c, scratch_row(s, row), 0);
  sn_k_store(k, result_window(s, row), sn_k_cast(k, sn_lower_slot_type(s->x->c, s->x->slot)->elem, sum));
  sn_k_end_for(k, 0, NULL);
}

static void add_rows(scatter *s, int axis, sn_elem e) {
  sn_kernel *k = s->b->k;
  if (axis < s->indices) {
    s->t.at[axis] = sn_k_for(k, sn_k_i(k, 0), sn_build_dim(s->b, s->t.g->space.extent[axis]), 1, 0, NULL);
    add_rows(s, axis + 1, e);
    sn_k_end_for(k, 0, NULL);
    return;
  }
  s->t.memo = sn_tile_memo_new(s->x->c->arena, NULL);
  sn_kv row = sn_number_load(s->b, &s->index, s->t.at);
  row = sn_number_clamped(s->b, row, s->x->result.extent[s->rows_axis], sn_dimx_const(s->x->c->types, 1));
  sn_kv old = sn_k_load(k, 1, s->t.c, scratch_row(s, row), 0);
  sn_kv u = sn_tile_value(&s->t, s->t.g->output[0].value, s->t.g->output[0].chain);
  sn_k_store(k, scratch_row(s, row), sn_k_bin(k, SN_K_ADD, old, sn_k_cast(k, e, sn_k_bcast(k, 1, s->t.c, u))));
}

/* The columns of the tile: the last axis of the rest, in narrow blocks so that there are several instances. */
static void scatter_tile(scatter *s) {
  sn_axis_block a[SN_VIEW_RANK];
  const sn_shape *space = &s->t.g->space;
  int n = 0;
  s->t.row = -1, s->t.r = 1;
  s->t.col = space->rank > s->indices ? space->rank - 1 : -1;
  int64_t wanted = s->t.col < 0 ? 1 : sn_dimx_max_value(space->extent[s->t.col]) / 8;
  int64_t rows = sn_dimx_max_value(s->x->result.extent[s->rows_axis]);
  wanted = wanted < 16 ? 16 : wanted > 128 ? 128 : wanted;
  while (wanted > 1 && wanted * rows > SN_INDEX_SCRATCH) wanted /= 2;
  s->t.c = s->t.col < 0 ? 1 : sn_block_of(space->extent[s->t.col], (int)wanted);
  for (int i = 0; i < space->rank; i++)
    if (i < s->batch || i >= s->indices) a[n++] = (sn_axis_block){.axis = i, .block = i == s->t.col ? s->t.c : 1};
  sn_tile_grid(&s->t, n, a);
  sn_tile_limits(&s->t);
}

static sn_code emit_scatter(sn_indexing *x, sn_group *g) {
  scatter s = {.x = x};
  sn_types *t = x->c->types;
  s.batch = s.rows_axis = (int)sn_node_attr(x->n, "batch")->i;
  s.indices = sn_val_type(x->c->body, x->n->arg[0])->rank;
  SN_TRY(sn_numbers_find(x, x->n->arg[0], &s.index));
  sn_buffer_use use[SN_LOWER_BUFFERS];
  int count = sn_group_buffers(x->c, g, use, 0);
  count = sn_numbers_use(&s.index, use, count);
  use[count++] = (sn_buffer_use){x->slot, SN_K_OUT};
  s.b = sn_build_kernel_begin(x->c, sn_kernel_name_of(x->c, "scatter"), count, use);
  s.t = (sn_tile){.b = s.b, .g = g};
  sn_elem e = sn_compute_elem(sn_lower_slot_type(x->c, x->slot)->elem);
  scatter_tile(&s);
  int64_t rows = sn_dimx_max_value(x->result.extent[s.rows_axis]);
  if (rows > 4 * SN_INDEX_SCRATCH / s.t.c)
    return sn_lower_fail(x->c, "`scatter_add` into more than %d rows is not supported", 4 * SN_INDEX_SCRATCH);
  s.scratch = sn_k_local(s.b->k, e, rows * s.t.c);
  zero_rows(&s, e);
  add_rows(&s, s.batch, e);
  store_rows(&s);
  sn_report report = {.kind = "index", .flops = sn_type_count(t, sn_val_type(x->c->body, x->n->arg[1]))};
  report.bytes_written = sn_type_bytes(t, x->n->type[0]);
  report.bytes_read = sn_dimx_add(t, sn_groups_bytes_read(x->c, 1, &g), sn_numbers_bytes(x, x->n->arg[0]));
  return sn_build_kernel_end(s.b, &report);
}

sn_code sn_index_scatter(sn_indexing *x) {
  sn_group *g = sn_index_group(x, x->n->arg[1]);
  return g ? emit_scatter(x, g) : x->c->failed;
}
