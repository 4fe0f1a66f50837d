/* scatter_add where few instances are enough: one owns rows or columns of the result, in scratch, and adds the updates
 * to them in order. Of a small result it owns some columns of all rows; of a larger one it owns as many rows as a cache
 * holds, looks at the places of all updates and takes those of its own: the result is written in one long piece. Onto
 * what is there, only rows with updates are read and written. */
#include "passes/lower/index.h"

/* elements of a small result, of a block of rows; columns; blocks of rows onto which updates are added */
enum { FEW = 32 << 10, OWNED = 128 << 10, WIDE = 1024, SHARES = 64 };

typedef struct scatter {
  sn_indexing *x;
  sn_build_kernel *b;
  sn_numbers index;
  sn_tile t;          /* of the updates: one row of columns */
  sn_kv scratch;      /* [rows that are owned][columns of the tile]; twice, onto what is there */
  int64_t own;        /* such rows */
  sn_kv first, limit; /* of them; how many there are, 0: all */
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

/* how many rows are owned */
static sn_kv rows_of(scatter *s) {
  sn_kernel *k = s->b->k;
  return s->limit ? sn_k_ibin(k, SN_K_IMIN, s->limit, sn_k_i(k, s->own)) : sn_k_i(k, s->own);
}

static void zero_rows(scatter *s, sn_elem e) {
  sn_kernel *k = s->b->k;
  sn_kv row = sn_k_for(k, sn_k_i(k, 0), rows_of(s), 1, 0, NULL);
  sn_k_store(k, scratch_row(s, row), sn_k_const(k, e, 1, s->t.c, 0));
  sn_k_end_for(k, 0, NULL);
}

static void store_rows(scatter *s) {
  sn_kernel *k = s->b->k;
  sn_kv row = sn_k_for(k, sn_k_i(k, 0), rows_of(s), 1, 0, NULL);
  sn_kv sum = sn_k_load(k, 1, s->t.c, scratch_row(s, row), 0);
  sn_k_store(k, result_window(s, s->first ? sn_k_iadd(k, s->first, row) : row),
             sn_k_cast(k, sn_lower_slot_type(s->x->c, s->x->slot)->elem, sum));
  sn_k_end_for(k, 0, NULL);
}

/* Is this one of the rows that are owned? 1 or 0. */
static sn_kv is_own(scatter *s, sn_kv row) {
  sn_kernel *k = s->b->k;
  sn_kv from = sn_k_isub(k, sn_k_iadd(k, row, sn_k_i(k, 1)), s->first);    /* at least 1 */
  sn_kv to = sn_k_isub(k, sn_k_iadd(k, s->first, sn_k_i(k, s->own)), row); /* the same */
  sn_kv both = sn_k_ibin(k, SN_K_IMIN, sn_k_ibin(k, SN_K_IMIN, from, to), sn_k_i(k, 1));
  return sn_k_ibin(k, SN_K_IMAX, both, sn_k_i(k, 0));
}

/* What is done for each update of an own row, in order. Onto what is there, each row that has an update, none else, is
 * brought into scratch first and taken back last, together with the sum of its updates. */
typedef enum pass { BRING, ADD, TAKE_BACK } pass;

static void do_row(scatter *s, sn_kv row, sn_elem e, pass what) {
  sn_kernel *k = s->b->k;
  sn_kwin own = scratch_row(s, s->first ? sn_k_isub(k, row, s->first) : row);
  sn_kwin was = own;
  was.off = sn_k_iadd(k, own.off, sn_k_i(k, s->own * s->t.c));
  if (what == BRING) {
    sn_k_store(k, was, sn_k_cast(k, e, sn_k_load(k, 1, s->t.c, result_window(s, row), 0)));
    sn_k_store(k, own, sn_k_const(k, e, 1, s->t.c, 0));
    return;
  }
  sn_kv old = sn_k_load(k, 1, s->t.c, own, 0);
  if (what == TAKE_BACK) {
    sn_kv sum = sn_k_bin(k, SN_K_ADD, sn_k_load(k, 1, s->t.c, was, 0), old);
    sn_k_store(k, result_window(s, row), sn_k_cast(k, sn_lower_slot_type(s->x->c, s->x->slot)->elem, sum));
    return;
  }
  sn_kv u = sn_tile_value(&s->t, s->t.g->output[0].value, s->t.g->output[0].chain);
  sn_k_store(k, own, sn_k_bin(k, SN_K_ADD, old, sn_k_cast(k, e, sn_k_bcast(k, 1, s->t.c, u))));
}

static void do_rows(scatter *s, int axis, sn_elem e, pass what) {
  sn_kernel *k = s->b->k;
  if (axis < s->indices) {
    s->t.at[axis] = sn_k_for(k, sn_k_i(k, 0), sn_build_dim(s->b, s->t.g->space.extent[axis]), 1, 0, NULL);
    do_rows(s, axis + 1, e, what);
    sn_k_end_for(k, 0, NULL);
    return;
  }
  s->t.memo = sn_tile_memo_new(s->x->c->arena, NULL);
  sn_kv row = sn_number_load(s->b, &s->index, s->t.at);
  row = sn_number_clamped(s->b, row, s->x->result.extent[s->rows_axis], sn_dimx_const(s->x->c->types, 1));
  if (!s->first) {
    do_row(s, row, e, what);
    return;
  }
  (void)sn_k_for(k, sn_k_i(k, 0), is_own(s, row), 1, 0, NULL);
  do_row(s, row, e, what);
  sn_k_end_for(k, 0, NULL);
}

/* Rows and columns that an instance owns. */
static void divide(scatter *s, int64_t rows, const sn_dimx *columns) {
  int64_t n = columns ? sn_dimx_max_value(columns) : 1, narrow = n / 8 < 16 ? 16 : n / 8;
  bool few = rows < 1 || n <= FEW / rows;
  s->t.c = columns ? sn_block_of(columns, few ? (int)narrow : WIDE) : 1;
  s->own = few || rows <= OWNED / s->t.c ? rows : OWNED / s->t.c;
  if (s->own < 1) s->own = 1;
  if (!s->x->onto || few) return; /* rows without updates cost nothing then */
  int64_t share = (rows + SHARES - 1) / SHARES, most = SN_INDEX_SCRATCH / 2 / s->t.c;
  if (s->own < share) s->own = share < most ? share : most;
}

/* The grid is over the result: batch, rows, and the rest of its axes, of which the last has the tile's columns. */
static void scatter_tile(scatter *s) {
  sn_axis_block a[SN_VIEW_RANK];
  const sn_view *v = &s->x->result;
  sn_group space = {.space.rank = v->rank};
  int rest = s->indices - s->rows_axis - 1, last = v->rank - 1; /* axis of the updates - axis of the result */
  for (int i = 0; i < v->rank; i++) space.space.extent[i] = v->extent[i];
  s->t.row = -1, s->t.r = 1;
  s->t.col = last > s->rows_axis ? last + rest : -1;
  divide(s, sn_dimx_max_value(v->extent[s->rows_axis]), s->t.col < 0 ? NULL : v->extent[last]);
  sn_tile out = {.b = s->b, .g = &space, .row = s->rows_axis, .col = s->t.col < 0 ? -1 : last, .r = (int)s->own};
  out.c = s->t.c;
  for (int i = 0; i < v->rank; i++)
    a[i] = (sn_axis_block){.axis = i, .block = i == s->rows_axis ? (int)s->own : i == out.col ? s->t.c : 1};
  sn_tile_grid(&out, v->rank, a);
  sn_tile_limits(&out);
  for (int i = 0; i < v->rank; i++)
    if (i != s->rows_axis) s->t.at[i < s->rows_axis ? i : i + rest] = out.at[i];
  s->first = out.at[s->rows_axis], s->limit = out.row_limit, s->t.col_limit = out.col_limit;
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
  if (x->onto) use[count++] = (sn_buffer_use){x->slot, SN_K_IN};
  s.b = sn_build_kernel_begin(x->c, sn_kernel_name_of(x->c, "scatter"), count, use);
  s.t = (sn_tile){.b = s.b, .g = g};
  sn_elem e = sn_compute_elem(sn_lower_slot_type(x->c, x->slot)->elem);
  scatter_tile(&s);
  s.scratch = sn_k_local(s.b->k, e, (x->onto ? 2 : 1) * s.own * s.t.c); /* sums, then what was there */
  if (x->onto)
    do_rows(&s, s.batch, e, BRING);
  else
    zero_rows(&s, e);
  do_rows(&s, s.batch, e, ADD);
  if (x->onto)
    do_rows(&s, s.batch, e, TAKE_BACK);
  else
    store_rows(&s);
  sn_report report = {.kind = "index", .flops = sn_type_count(t, sn_val_type(x->c->body, x->n->arg[1]))};
  report.bytes_written = sn_index_added_bytes(x);
  report.bytes_read = sn_dimx_add(t, sn_groups_bytes_read(x->c, 1, &g), sn_numbers_bytes(x, x->n->arg[0]));
  if (x->onto) report.bytes_read = sn_dimx_add(t, report.bytes_read, report.bytes_written);
  return sn_build_kernel_end(s.b, &report);
}

sn_code sn_index_scatter(sn_indexing *x) {
  sn_group *g = sn_index_group(x, x->n->arg[1]);
  return g ? emit_scatter(x, g) : x->c->failed;
}
