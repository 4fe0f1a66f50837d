/* fused "index" -> kernels that store to places known at run time, or to parts of a result: concat, dynamic_write,
 * scatter_add, index_add. Sums are deterministic: the instance that owns an element adds to it in order, in scratch. */
#include "passes/lower/internal.h"

#include <string.h>

#include "passes/plan/assemble.h"

typedef struct indexing {
  sn_lower_ctx *c;
  const sn_node *n; /* the op */
  int slot;         /* of the result */
  sn_view result;   /* where its elements lie */
} indexing;

static sn_group *group_at(indexing *x, sn_val v) {
  sn_group *g = SN_NEW(x->c->arena, sn_group);
  const sn_func *f = x->c->body;
  if (sn_group_build_at(g, x->c->arena, f, f->node_count, f->node, NULL, NULL, v, 1, &v)) return g;
  if (!x->c->failed) x->c->failed = sn_lower_fail(x->c, "no index kernel: %s", g->why);
  return NULL;
}

/* ---- concat ----------------------------------------------------------------------------------------------- */

static sn_code lower_part(indexing *x, int k, const sn_dimx *start, int axis) {
  sn_types *t = x->c->types;
  const sn_type *part = sn_val_type(x->c->body, x->n->arg[k]);
  if (sn_dimx_max_value(part->dim[axis]) == 0) return SN_OK;
  sn_step_map m = {.op = SN_OP_SLICE, .from = sn_shape_of(x->n->type[0]), .to = sn_shape_of(part)};
  for (int i = 0; i < part->rank; i++) m.start[i] = i == axis ? start : sn_dimx_const(t, 0);
  sn_group *g = group_at(x, x->n->arg[k]);
  if (!g) return x->c->failed;
  g->output[0].view = x->result;
  g->output[0].slot = x->slot;
  if (!sn_view_step(t, &g->output[0].view, &m)) return sn_lower_fail(x->c, "no index kernel: not a strided view");
  sn_group_merge(g);
  sn_report report = {.kind = "index"};
  return sn_map_emit(x->c, g, sn_kernel_name_of(x->c, "part"), &report);
}

static sn_code lower_concat(indexing *x) {
  int axis = (int)sn_node_attr(x->n, "axis")->i;
  const sn_dimx *start = sn_dimx_const(x->c->types, 0);
  for (int k = 0; k < x->n->arg_count; k++) {
    SN_TRY(lower_part(x, k, start, axis));
    start = sn_dimx_add(x->c->types, start, sn_val_type(x->c->body, x->n->arg[k])->dim[axis]);
  }
  return SN_OK;
}

/* ---- numbers from memory ------------------------------------------------------------------------------------- */

/* A tensor of indices that kernels need one by one: loaded (i64 as words of i32), or positions that are known. */
typedef struct numbers {
  int slot;      /* as a buffer of the kernel; -1: the address is the number */
  int64_t scale; /* words per number */
  sn_view view;
} numbers;

/* Views of an iota: the view whose addresses are its numbers. */
static bool positions(const sn_func *f, sn_val v, sn_view *out) {
  const sn_node *n = sn_node_of(f, v);
  sn_types *t = f->module->types;
  if (sn_op_get(n->op)->cls == SN_CLASS_VIEW) return positions(f, n->arg[0], out) && sn_view_through(t, out, f, n);
  if (n->op != SN_OP_IOTA) return false;
  sn_shape s = sn_shape_of(n->type[0]);
  *out = sn_view_of(t, &s);
  int axis = (int)sn_node_attr(n, "axis")->i;
  for (int i = 0; i < s.rank; i++) out->stride[i] = sn_dimx_const(t, i == axis && !sn_dimx_is_one(s.extent[i]));
  return true;
}

/* An instance loads indices from what it is given only. */
static sn_code check_inside(sn_lower_ctx *c, int slot, bool wide) {
  const sn_kins *x = sn_k_ins(c->inside->k, sn_build_buffer(c->inside, slot));
  if (wide) return sn_lower_fail(c, "positions inside a step are i32, not i64");
  return x->op == SN_K_PARAM ? SN_OK : sn_lower_fail(c, "a step cannot write at a position that it computes itself");
}

static sn_code find_numbers(indexing *x, sn_val v, numbers *out) {
  *out = (numbers){.slot = -1, .scale = 1};
  if (positions(x->c->body, v, &out->view)) return SN_OK;
  if (!sn_lower_source(x->c, v, &out->slot, &out->view)) return sn_lower_fail(x->c, "indices must lie in memory");
  bool wide = sn_val_type(x->c->body, v)->elem == SN_ELEM_I64;
  if (x->c->inside) SN_TRY(check_inside(x->c, out->slot, wide));
  out->scale = wide ? 2 : 1;
  if (wide) out->slot |= SN_LOWER_WORDS;
  return SN_OK;
}

static int use_numbers(const numbers *x, sn_buffer_use *use, int count) {
  if (x->slot >= 0) use[count++] = (sn_buffer_use){x->slot, SN_K_IN};
  return count;
}

static sn_kv load_number(sn_build_kernel *b, const numbers *x, const sn_kv *at) {
  sn_kv address = sn_k_imulc(b->k, sn_build_address(b, &x->view, at), x->scale);
  if (x->slot < 0) return address;
  return sn_k_iload(b->k, sn_build_buffer(b, x->slot), sn_build_offset(b, x->slot, address));
}

/* min(max(i, 0), extent - count) */
static sn_kv clamped(sn_build_kernel *b, sn_kv i, const sn_dimx *extent, const sn_dimx *count) {
  sn_kv last = sn_k_isub(b->k, sn_build_dim(b, extent), sn_build_dim(b, count));
  return sn_k_ibin(b->k, SN_K_IMAX, sn_k_ibin(b->k, SN_K_IMIN, i, last), sn_k_i(b->k, 0));
}

static const sn_dimx *bytes_of_type(sn_types *t, const sn_type *type) {
  return sn_dimx_mul(t, sn_type_count(t, type), sn_dimx_const(t, (int64_t)sn_elem_bytes(type->elem)));
}

/* Bytes of a tensor of indices; of i64 only the low words are read. Distinct ones: views may repeat. */
static const sn_dimx *number_bytes(const indexing *x, sn_val v) {
  int slot;
  sn_view view;
  sn_types *t = x->c->types;
  if (!sn_lower_source(x->c, v, &slot, &view)) return sn_dimx_const(t, 0);
  const sn_view *list[1] = {&view};
  return sn_dimx_mul(t, sn_footprint(t, 1, list, sn_type_count(t, sn_lower_slot_type(x->c, slot))),
                     sn_dimx_const(t, 4));
}

/* ---- dynamic_write --------------------------------------------------------------------------------------------- */

/* The old rows into the result, unless they are there already. */
static sn_code copy_old(indexing *x) {
  int slot;
  sn_view view;
  if (sn_lower_source(x->c, x->n->arg[0], &slot, &view) && slot == x->slot) return SN_OK;
  sn_group *g = group_at(x, x->n->arg[0]);
  if (!g) return x->c->failed;
  g->output[0].view = x->result;
  g->output[0].slot = x->slot;
  sn_group_merge(g);
  sn_report report = {.kind = "copy", .ops = "copy"};
  return sn_map_emit(x->c, g, "copy", &report);
}

/* Grid over all axes but the last one or two, which the tile spans; the written axis is never a row of the tile. */
static void write_tile(indexing *x, sn_tile *t, int axis) {
  sn_axis_block a[SN_VIEW_RANK];
  const sn_shape *s = &t->g->space;
  int n = 0;
  bool starts = sn_val_type(x->c->body, x->n->arg[2])->rank == 1; /* one per row of axis 0 */
  t->col = s->rank - 1 == axis ? -1 : s->rank - 1;
  t->row = s->rank >= 2 && s->rank - 2 != axis && !(starts && s->rank == 2) && t->col >= 0 ? s->rank - 2 : -1;
  t->c = t->col < 0 ? 1 : sn_block_of(s->extent[t->col], 256);
  t->r = t->row < 0 ? 1 : sn_block_of(s->extent[t->row], 8);
  for (int i = 0; i < s->rank; i++)
    a[n++] = (sn_axis_block){.axis = i, .block = i == t->col ? t->c : i == t->row ? t->r : 1};
  sn_tile_grid(t, n, a);
  sn_tile_limits(t);
}

static sn_code lower_write(indexing *x) {
  int axis = (int)sn_node_attr(x->n, "axis")->i;
  bool ring = sn_node_attr(x->n, "ring")->i;
  const sn_type *dst = x->n->type[0], *src = sn_val_type(x->c->body, x->n->arg[1]);
  numbers start;
  SN_TRY(copy_old(x));
  SN_TRY(find_numbers(x, x->n->arg[2], &start));
  sn_group *g = group_at(x, x->n->arg[1]);
  if (!g) return x->c->failed;
  sn_buffer_use use[SN_LOWER_BUFFERS];
  int count = sn_group_buffers(x->c, g, use, 0);
  count = use_numbers(&start, use, count);
  use[count++] = (sn_buffer_use){x->slot, SN_K_OUT};
  sn_build_kernel *b = sn_build_kernel_begin(x->c, sn_kernel_name_of(x->c, ring ? "ring" : "write"), count, use);
  sn_tile t = {.b = b, .g = g, .memo = sn_tile_memo_new(x->c->arena, NULL)};
  write_tile(x, &t, axis);
  sn_kv value = sn_tile_value(&t, g->output[0].value, g->output[0].chain);
  sn_kv row_of_start[SN_VIEW_RANK] = {t.at[0]};
  sn_kv first = load_number(b, &start, row_of_start);
  if (!ring)
    first = clamped(b, first, dst->dim[axis], src->dim[axis]);
  else
    first = sn_k_ibin(b->k, SN_K_IMAX, first, sn_k_i(b->k, 0));
  sn_kv at = t.at[axis] ? sn_k_iadd(b->k, first, t.at[axis]) : first;
  t.at[axis] = ring ? sn_k_ibin(b->k, SN_K_IMOD, at, sn_build_dim(b, dst->dim[axis])) : at;
  g->output[0].slot = x->slot;
  for (int i = 0; i < src->rank; i++)
    g->output[0].view.stride[i] =
        sn_dimx_is_one(src->dim[i]) && i != axis ? g->output[0].view.stride[i] : x->result.stride[i];
  g->output[0].view.offset = x->result.offset;
  sn_tile_store(&t, &g->output[0], value);
  sn_report report = {.kind = "index", .bytes_written = sn_outputs_bytes(x->c, g)};
  report.bytes_read = sn_dimx_add(x->c->types, sn_groups_bytes_read(x->c, 1, &g), number_bytes(x, x->n->arg[2]));
  return sn_build_kernel_end(b, &report);
}

/* ---- scatter_add ----------------------------------------------------------------------------------------------------
 */

enum { SCRATCH = 1 << 20 }; /* elements that an instance may own */

typedef struct scatter {
  indexing *x;
  sn_build_kernel *b;
  numbers index;
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
  sn_kv row = load_number(s->b, &s->index, s->t.at);
  row = clamped(s->b, row, s->x->result.extent[s->rows_axis], sn_dimx_const(s->x->c->types, 1));
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
  while (wanted > 1 && wanted * rows > SCRATCH) wanted /= 2;
  s->t.c = s->t.col < 0 ? 1 : sn_block_of(space->extent[s->t.col], (int)wanted);
  for (int i = 0; i < space->rank; i++)
    if (i < s->batch || i >= s->indices) a[n++] = (sn_axis_block){.axis = i, .block = i == s->t.col ? s->t.c : 1};
  sn_tile_grid(&s->t, n, a);
  sn_tile_limits(&s->t);
}

static sn_code emit_scatter(indexing *x, sn_group *g) {
  scatter s = {.x = x};
  sn_types *t = x->c->types;
  s.batch = s.rows_axis = (int)sn_node_attr(x->n, "batch")->i;
  s.indices = sn_val_type(x->c->body, x->n->arg[0])->rank;
  SN_TRY(find_numbers(x, x->n->arg[0], &s.index));
  sn_buffer_use use[SN_LOWER_BUFFERS];
  int count = sn_group_buffers(x->c, g, use, 0);
  count = use_numbers(&s.index, use, count);
  use[count++] = (sn_buffer_use){x->slot, SN_K_OUT};
  s.b = sn_build_kernel_begin(x->c, sn_kernel_name_of(x->c, "scatter"), count, use);
  s.t = (sn_tile){.b = s.b, .g = g};
  sn_elem e = sn_compute_elem(sn_lower_slot_type(x->c, x->slot)->elem);
  scatter_tile(&s);
  int64_t rows = sn_dimx_max_value(x->result.extent[s.rows_axis]);
  if (rows > 4 * SCRATCH / s.t.c)
    return sn_lower_fail(x->c, "`scatter_add` into more than %d rows is not supported", 4 * SCRATCH);
  s.scratch = sn_k_local(s.b->k, e, rows * s.t.c);
  zero_rows(&s, e);
  add_rows(&s, s.batch, e);
  store_rows(&s);
  sn_report report = {.kind = "index", .flops = sn_type_count(t, sn_val_type(x->c->body, x->n->arg[1]))};
  report.bytes_written = bytes_of_type(t, x->n->type[0]);
  report.bytes_read = sn_dimx_add(t, sn_groups_bytes_read(x->c, 1, &g), number_bytes(x, x->n->arg[0]));
  return sn_build_kernel_end(s.b, &report);
}

static sn_code lower_scatter(indexing *x) {
  sn_group *g = group_at(x, x->n->arg[1]);
  return g ? emit_scatter(x, g) : x->c->failed;
}

/* ---- index_add
 * -------------------------------------------------------------------------------------------------------- */

typedef struct points {
  indexing *x;
  sn_build_kernel *b;
  sn_tile t;
  numbers index[SN_RANK_MAX];
  sn_kv scratch;
  sn_elem e;
} points;

/* Zeroes the scratch, or (out) copies it to the result. */
static void sweep(points *p, bool out) {
  sn_kernel *k = p->b->k;
  const sn_dimx *count = sn_type_count(p->x->c->types, p->x->n->type[0]);
  int block = sn_block_of(count, 256);
  sn_kv at = sn_k_for(k, sn_k_i(k, 0), sn_build_dim(p->b, count), block, 0, NULL);
  sn_kwin from = {.buf = p->scratch, .off = at, .nc = sn_build_limit(p->b, count, block, at)}, to = from;
  to.buf = sn_build_buffer(p->b, p->x->slot);
  to.off = sn_build_offset(p->b, p->x->slot, at);
  if (out)
    sn_k_store(k, to, sn_k_cast(k, p->x->n->type[0]->elem, sn_k_load(k, 1, block, from, 0)));
  else
    sn_k_store(k, from, sn_k_const(k, p->e, 1, block, 0));
  sn_k_end_for(k, 0, NULL);
}

static void add_points(points *p, int axis) {
  sn_kernel *k = p->b->k;
  sn_tile *t = &p->t;
  if (axis < t->g->space.rank) {
    t->at[axis] = sn_k_for(k, sn_k_i(k, 0), sn_build_dim(p->b, t->g->space.extent[axis]), 1, 0, NULL);
    add_points(p, axis + 1);
    sn_k_end_for(k, 0, NULL);
    return;
  }
  sn_kv at[SN_VIEW_RANK] = {0};
  t->memo = sn_tile_memo_new(p->x->c->arena, NULL);
  for (int i = 0; i < p->x->result.rank; i++)
    at[i] =
        clamped(p->b, load_number(p->b, &p->index[i], t->at), p->x->result.extent[i], sn_dimx_const(p->x->c->types, 1));
  sn_kwin w = {.buf = p->scratch, .off = sn_build_address(p->b, &p->x->result, at)};
  sn_kv old = sn_k_load(k, 1, 1, w, 0);
  sn_kv u = sn_tile_value(t, t->g->output[0].value, t->g->output[0].chain);
  sn_k_store(k, w, sn_k_bin(k, SN_K_ADD, old, sn_k_cast(k, p->e, u)));
}

/* One instance adds element by element. */
static sn_code lower_index_add(indexing *x) {
  points p = {.x = x, .e = sn_compute_elem(x->n->type[0]->elem)};
  sn_types *t = x->c->types;
  int64_t elements = sn_dimx_max_value(sn_type_count(t, x->n->type[0]));
  if (elements > 4 * SCRATCH)
    return sn_lower_fail(x->c, "`index_add` into more than %d elements is not supported", 4 * SCRATCH);
  sn_group *g = group_at(x, x->n->arg[0]);
  if (!g) return x->c->failed;
  sn_buffer_use use[SN_LOWER_BUFFERS];
  const sn_dimx *bytes = sn_dimx_const(t, 0);
  int count = sn_group_buffers(x->c, g, use, 0);
  for (int i = 0; i + 1 < x->n->arg_count; i++) {
    SN_TRY(find_numbers(x, x->n->arg[i + 1], &p.index[i]));
    count = use_numbers(&p.index[i], use, count);
    bytes = sn_dimx_add(t, bytes, number_bytes(x, x->n->arg[i + 1]));
  }
  use[count++] = (sn_buffer_use){x->slot, SN_K_OUT};
  p.b = sn_build_kernel_begin(x->c, sn_kernel_name_of(x->c, "points"), count, use);
  p.t = (sn_tile){.b = p.b, .g = g, .row = -1, .col = -1, .r = 1, .c = 1};
  p.scratch = sn_k_local(p.b->k, p.e, elements < 1 ? 1 : elements);
  sn_build_grid(p.b, 1, sn_dimx_const(t, 1), NULL, NULL);
  sweep(&p, false);
  add_points(&p, 0);
  sweep(&p, true);
  sn_report report = {.kind = "index", .bytes_written = bytes_of_type(t, x->n->type[0])};
  report.bytes_read = sn_dimx_add(t, sn_groups_bytes_read(x->c, 1, &g), bytes);
  return sn_build_kernel_end(p.b, &report);
}

/* ---- the writer
 * -------------------------------------------------------------------------------------------------------- */

static const sn_node *root_of(const sn_func *body) {
  const sn_node *root = NULL;
  for (int i = 0; i < body->node_count; i++)
    if (sn_is_index_op(body->node[i]->op)) root = body->node[i];
  return root;
}

sn_code sn_lower_index(sn_lower_ctx *c, const sn_node *fused) {
  indexing x = {.c = c, .n = root_of(c->body)};
  (void)fused;
  if (x.n && sn_is_prefix_op(x.n->op)) return sn_lower_prefix(c, x.n);
  if (x.n && x.n->op == SN_OP_SORT) return sn_lower_sort(c, x.n);
  if (x.n && x.n->op == SN_OP_SOLVE) return sn_lower_solve(c, x.n);
  if (!x.n || !sn_lower_sink(c, x.n->first, 0, &x.slot, &x.result))
    return sn_lower_fail(c, "an index group without its op");
  switch (x.n->op) {
    case SN_OP_CONCAT: return lower_concat(&x);
    case SN_OP_DYN_WRITE: return lower_write(&x);
    case SN_OP_SCATTER: return lower_scatter(&x);
    default: return lower_index_add(&x);
  }
}
