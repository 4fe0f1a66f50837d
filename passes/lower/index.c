/* fused "index" -> kernels that store to places known at run time, or to parts of a result: concat, dynamic_write,
 * scatter_add, index_add. Sums are deterministic: the instance that owns an element adds to it in order, in scratch. */
#include "passes/lower/index.h"

sn_group *sn_index_group(sn_indexing *x, sn_val v) {
  sn_group *g = SN_NEW(x->c->arena, sn_group);
  const sn_func *f = x->c->body;
  if (sn_group_build_at(g, x->c->arena, f, f->node_count, f->node, NULL, NULL, v, 1, &v)) return g;
  if (!x->c->failed) x->c->failed = sn_lower_fail(x->c, "no index kernel: %s", g->why);
  return NULL;
}

/* ---- concat ----------------------------------------------------------------------------------------------- */

static sn_code lower_part(sn_indexing *x, int k, const sn_dimx *start, int axis) {
  sn_types *t = x->c->types;
  const sn_type *part = sn_val_type(x->c->body, x->n->arg[k]);
  if (sn_dimx_max_value(part->dim[axis]) == 0) return SN_OK;
  sn_step_map m = {.op = SN_OP_SLICE, .from = sn_shape_of(x->n->type[0]), .to = sn_shape_of(part)};
  for (int i = 0; i < part->rank; i++) m.start[i] = i == axis ? start : sn_dimx_const(t, 0);
  sn_group *g = sn_index_group(x, x->n->arg[k]);
  if (!g) return x->c->failed;
  g->output[0].view = x->result;
  g->output[0].slot = x->slot;
  if (!sn_view_step(t, &g->output[0].view, &m)) return sn_lower_fail(x->c, "no index kernel: not a strided view");
  sn_group_merge(g);
  sn_report report = {.kind = "index"};
  return sn_map_emit(x->c, g, sn_kernel_name_of(x->c, "part"), &report);
}

static sn_code lower_concat(sn_indexing *x) {
  int axis = (int)sn_node_attr(x->n, "axis")->i;
  const sn_dimx *start = sn_dimx_const(x->c->types, 0);
  for (int k = 0; k < x->n->arg_count; k++) {
    SN_TRY(lower_part(x, k, start, axis));
    start = sn_dimx_add(x->c->types, start, sn_val_type(x->c->body, x->n->arg[k])->dim[axis]);
  }
  return SN_OK;
}

/* ---- numbers from memory ------------------------------------------------------------------------------------- */

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

sn_code sn_numbers_find(sn_indexing *x, sn_val v, sn_numbers *out) {
  *out = (sn_numbers){.slot = -1, .scale = 1};
  if (positions(x->c->body, v, &out->view)) return SN_OK;
  if (!sn_lower_source(x->c, v, &out->slot, &out->view)) return sn_lower_fail(x->c, "indices must lie in memory");
  bool wide = sn_val_type(x->c->body, v)->elem == SN_ELEM_I64;
  if (x->c->inside) SN_TRY(check_inside(x->c, out->slot, wide));
  out->scale = wide ? 2 : 1;
  if (wide) out->slot |= SN_LOWER_WORDS;
  return SN_OK;
}

int sn_numbers_use(const sn_numbers *x, sn_buffer_use *use, int count) {
  if (x->slot >= 0) use[count++] = (sn_buffer_use){x->slot, SN_K_IN};
  return count;
}

sn_kv sn_number_load(sn_build_kernel *b, const sn_numbers *x, const sn_kv *at) {
  sn_kv address = sn_k_imulc(b->k, sn_build_address(b, &x->view, at), x->scale);
  if (x->slot < 0) return address;
  return sn_k_iload(b->k, sn_build_buffer(b, x->slot), sn_build_offset(b, x->slot, address));
}

sn_kv sn_number_clamped(sn_build_kernel *b, sn_kv i, const sn_dimx *extent, const sn_dimx *count) {
  sn_kv last = sn_k_isub(b->k, sn_build_dim(b, extent), sn_build_dim(b, count));
  return sn_k_ibin(b->k, SN_K_IMAX, sn_k_ibin(b->k, SN_K_IMIN, i, last), sn_k_i(b->k, 0));
}

sn_kv sn_numbers_tile(sn_build_kernel *b, const sn_numbers *x, const sn_tile *t, const sn_dimx *extent) {
  sn_kernel *k = b->k;
  sn_kv last = sn_k_isplat(k, 1, 1, sn_k_iadd(k, sn_build_dim(b, extent), sn_k_i(k, -1))), number;
  sn_kv address = sn_k_imulc(k, sn_build_address(b, &x->view, t->at), x->scale);
  sn_kv step = t->col < 0 ? sn_k_i(k, 0) : sn_k_imulc(k, sn_build_dim(b, x->view.stride[t->col]), x->scale);
  if (x->slot < 0) {
    number = sn_k_bin(k, SN_K_MUL, sn_k_iota(k, 1, t->c, 1, sn_k_i(k, 0)), sn_k_isplat(k, 1, 1, step));
    number = sn_k_bin(k, SN_K_ADD, number, sn_k_isplat(k, 1, 1, address));
  } else {
    sn_kwin w = {.buf = sn_build_buffer(b, x->slot), .off = address, .cs = step, .nc = t->col_limit};
    number = sn_k_load(k, 1, t->c, w, 0);
  }
  return sn_k_binc(k, SN_K_MAX, sn_k_bin(k, SN_K_MIN, number, last), 0);
}

const sn_dimx *sn_type_bytes(sn_types *t, const sn_type *type) {
  return sn_dimx_mul(t, sn_type_count(t, type), sn_dimx_const(t, (int64_t)sn_elem_bytes(type->elem)));
}

const sn_dimx *sn_index_added_bytes(const sn_indexing *x) {
  sn_types *t = x->c->types;
  const sn_dimx *all = sn_type_bytes(t, x->n->type[0]);
  return x->onto ? sn_dimx_min(t, all, sn_type_bytes(t, sn_val_type(x->c->body, x->n->arg[1]))) : all;
}

const sn_dimx *sn_numbers_bytes(const sn_indexing *x, sn_val v) {
  int slot;
  sn_view view;
  sn_types *t = x->c->types;
  if (!sn_lower_source(x->c, v, &slot, &view)) return sn_dimx_const(t, 0);
  const sn_view *list[1] = {&view};
  return sn_dimx_mul(t, sn_footprint(t, 1, list, sn_type_count(t, sn_lower_slot_type(x->c, slot))),
                     sn_dimx_const(t, 4));
}

/* ---- dynamic_write --------------------------------------------------------------------------------------------- */

/* The old rows, v, into the result, unless they are there already. */
static sn_code copy_old(sn_indexing *x, sn_val v) {
  int slot;
  sn_view view;
  if (sn_lower_source(x->c, v, &slot, &view) && slot == x->slot) return SN_OK;
  sn_group *g = sn_index_group(x, v);
  if (!g) return x->c->failed;
  g->output[0].view = x->result;
  g->output[0].slot = x->slot;
  sn_group_merge(g);
  sn_report report = {.kind = "copy", .ops = "copy"};
  return sn_map_emit(x->c, g, "copy", &report);
}

/* Are rows of axis 0 written by their numbers? */
static bool is_numbered(const sn_indexing *x) {
  return sn_node_attr(x->n, "axis")->i == 0 && sn_val_type(x->c->body, x->n->arg[2])->rank == 1;
}

/* Grid over all axes but the last one or two, which the tile spans; the written axis is never a row of the tile.
 * Numbered rows are in no grid: an instance writes some columns of all of them in order, so that of equal numbers the
 * last counts.
 */
static void write_tile(sn_indexing *x, sn_tile *t, int axis) {
  sn_axis_block a[SN_VIEW_RANK];
  const sn_shape *s = &t->g->space;
  int n = 0;
  bool starts = sn_val_type(x->c->body, x->n->arg[2])->rank == 1; /* one per row of axis 0 */
  t->col = s->rank - 1 == axis ? -1 : s->rank - 1;
  t->row = s->rank >= 2 && s->rank - 2 != axis && !(starts && s->rank == 2) && t->col >= 0 ? s->rank - 2 : -1;
  t->c = t->col < 0 ? 1 : sn_block_of(s->extent[t->col], 256);
  t->r = t->row < 0 ? 1 : sn_block_of(s->extent[t->row], 8);
  for (int i = is_numbered(x); i < s->rank; i++)
    a[n++] = (sn_axis_block){.axis = i, .block = i == t->col ? t->c : i == t->row ? t->r : 1};
  sn_tile_grid(t, n, a);
  sn_tile_limits(t);
}

/* Where the rows of the tile go along the written axis. */
static sn_kv write_place(sn_indexing *x, const sn_numbers *start, const sn_tile *t, int axis) {
  sn_build_kernel *b = t->b;
  bool ring = sn_node_attr(x->n, "ring")->i;
  const sn_type *dst = x->n->type[0], *src = sn_val_type(x->c->body, x->n->arg[1]);
  sn_kv row_of_start[SN_VIEW_RANK] = {t->at[0]};
  sn_kv first = sn_number_load(b, start, row_of_start);
  if (is_numbered(x)) return sn_number_clamped(b, first, dst->dim[0], sn_dimx_const(x->c->types, 1));
  if (!ring)
    first = sn_number_clamped(b, first, dst->dim[axis], src->dim[axis]);
  else
    first = sn_k_ibin(b->k, SN_K_IMAX, first, sn_k_i(b->k, 0));
  sn_kv at = t->at[axis] ? sn_k_iadd(b->k, first, t->at[axis]) : first;
  return ring ? sn_k_ibin(b->k, SN_K_IMOD, at, sn_build_dim(b, dst->dim[axis])) : at;
}

static sn_code lower_write(sn_indexing *x) {
  int axis = (int)sn_node_attr(x->n, "axis")->i;
  bool ring = sn_node_attr(x->n, "ring")->i;
  const sn_type *src = sn_val_type(x->c->body, x->n->arg[1]);
  sn_numbers start;
  SN_TRY(copy_old(x, x->n->arg[0]));
  SN_TRY(sn_numbers_find(x, x->n->arg[2], &start));
  sn_group *g = sn_index_group(x, x->n->arg[1]);
  if (!g) return x->c->failed;
  sn_buffer_use use[SN_LOWER_BUFFERS];
  int count = sn_group_buffers(x->c, g, use, 0);
  count = sn_numbers_use(&start, use, count);
  use[count++] = (sn_buffer_use){x->slot, SN_K_OUT};
  sn_build_kernel *b = sn_build_kernel_begin(x->c, sn_kernel_name_of(x->c, ring ? "ring" : "write"), count, use);
  sn_tile t = {.b = b, .g = g, .memo = sn_tile_memo_new(x->c->arena, NULL)};
  write_tile(x, &t, axis);
  if (is_numbered(x)) t.at[0] = sn_k_for(b->k, sn_k_i(b->k, 0), sn_build_dim(b, src->dim[0]), 1, 0, NULL);
  sn_kv value = sn_tile_value(&t, g->output[0].value, g->output[0].chain);
  t.at[axis] = write_place(x, &start, &t, axis);
  g->output[0].slot = x->slot;
  for (int i = 0; i < src->rank; i++)
    g->output[0].view.stride[i] =
        sn_dimx_is_one(src->dim[i]) && i != axis ? g->output[0].view.stride[i] : x->result.stride[i];
  g->output[0].view.offset = x->result.offset;
  sn_tile_store(&t, &g->output[0], value);
  if (is_numbered(x)) sn_k_end_for(b->k, 0, NULL);
  sn_report report = {.kind = "index", .bytes_written = sn_outputs_bytes(x->c, g)};
  report.bytes_read = sn_dimx_add(x->c->types, sn_groups_bytes_read(x->c, 1, &g), sn_numbers_bytes(x, x->n->arg[2]));
  return sn_build_kernel_end(b, &report);
}

/* ---- index_add
 * -------------------------------------------------------------------------------------------------------- */

typedef struct points {
  sn_indexing *x;
  sn_build_kernel *b;
  sn_tile t;
  sn_numbers index[SN_RANK_MAX];
  sn_kv scratch; /* 0: sums are the result, since it is large */
  sn_elem e;
} points;

static sn_kwin sums_in_result(const points *p, sn_kv at) {
  return (sn_kwin){.buf = sn_build_buffer(p->b, p->x->slot), .off = sn_build_offset(p->b, p->x->slot, at)};
}

static sn_kwin sums_at(const points *p, sn_kv at) {
  return p->scratch ? (sn_kwin){.buf = p->scratch, .off = at} : sums_in_result(p, at);
}

/* Zeroes the sums, or (out) copies them to the result. */
static void sweep(points *p, bool out) {
  sn_kernel *k = p->b->k;
  const sn_dimx *count = sn_type_count(p->x->c->types, p->x->n->type[0]);
  int block = sn_block_of(count, 256);
  sn_kv at = sn_k_for(k, sn_k_i(k, 0), sn_build_dim(p->b, count), block, 0, NULL);
  sn_kwin from = sums_at(p, at), to = sums_in_result(p, at);
  from.nc = to.nc = sn_build_limit(p->b, count, block, at);
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
    at[i] = sn_number_clamped(p->b, sn_number_load(p->b, &p->index[i], t->at), p->x->result.extent[i],
                              sn_dimx_const(p->x->c->types, 1));
  sn_kwin w = sums_at(p, sn_build_address(p->b, &p->x->result, at));
  sn_kv old = sn_k_load(k, 1, 1, w, 0);
  sn_kv u = sn_tile_value(t, t->g->output[0].value, t->g->output[0].chain);
  sn_k_store(k, w, sn_k_bin(k, SN_K_ADD, old, sn_k_cast(k, p->e, u)));
}

/* One instance adds element by element, in scratch, or where the result is large in it. */
static sn_code lower_index_add(sn_indexing *x) {
  points p = {.x = x, .e = sn_compute_elem(x->n->type[0]->elem)};
  sn_types *t = x->c->types;
  int64_t elements = sn_dimx_max_value(sn_type_count(t, x->n->type[0]));
  bool large = elements > 4 * SN_INDEX_SCRATCH;
  if (large && x->n->type[0]->elem != p.e)
    return sn_lower_fail(x->c, "`index_add` into more than %d elements of %s is not supported", 4 * SN_INDEX_SCRATCH,
                         sn_elem_name(x->n->type[0]->elem));
  sn_group *g = sn_index_group(x, x->n->arg[0]);
  if (!g) return x->c->failed;
  sn_buffer_use use[SN_LOWER_BUFFERS];
  const sn_dimx *bytes = sn_dimx_const(t, 0);
  int count = sn_group_buffers(x->c, g, use, 0);
  for (int i = 0; i + 1 < x->n->arg_count; i++) {
    SN_TRY(sn_numbers_find(x, x->n->arg[i + 1], &p.index[i]));
    count = sn_numbers_use(&p.index[i], use, count);
    bytes = sn_dimx_add(t, bytes, sn_numbers_bytes(x, x->n->arg[i + 1]));
  }
  use[count++] = (sn_buffer_use){x->slot, large ? SN_K_INOUT : SN_K_OUT};
  p.b = sn_build_kernel_begin(x->c, sn_kernel_name_of(x->c, "points"), count, use);
  p.t = (sn_tile){.b = p.b, .g = g, .row = -1, .col = -1, .r = 1, .c = 1};
  if (!large) p.scratch = sn_k_local(p.b->k, p.e, elements < 1 ? 1 : elements);
  sn_build_grid(p.b, 1, sn_dimx_const(t, 1), NULL, NULL);
  sweep(&p, false);
  add_points(&p, 0);
  if (!large) sweep(&p, true);
  sn_report report = {.kind = "index", .bytes_written = sn_type_bytes(t, x->n->type[0])};
  report.bytes_read = sn_dimx_add(t, sn_groups_bytes_read(x->c, 1, &g), bytes);
  return sn_build_kernel_end(p.b, &report);
}

/* ---- scatter_add ------------------------------------------------------------------------------------------------- */

sn_val sn_scatter_sum(const sn_func *f, const sn_node *n, const sn_node **scatter) {
  for (int k = 0; k < 2 && n->op == SN_OP_ADD; k++) {
    const sn_node *s = sn_node_of(f, n->arg[k]);
    if (s->op != SN_OP_SCATTER || n->arg[1 - k] == n->arg[k]) continue;
    if (scatter) *scatter = s;
    return n->arg[1 - k];
  }
  return 0;
}

/* Into zeros, or onto an operand that the body adds it to. */
static sn_code lower_scatter(sn_indexing *x) {
  const sn_func *body = x->c->body;
  const sn_node *n = sn_node_of(body, body->result[0]);
  sn_val old = sn_scatter_sum(body, n, NULL);
  if (old) {
    sn_shape s = sn_shape_of(n->type[0]);
    x->onto = true, x->slot = x->c->result_slot[0], x->result = sn_view_of(x->c->types, &s);
    SN_TRY(copy_old(x, old));
  } else if (!sn_lower_sink(x->c, x->n->first, 0, &x->slot, &x->result))
    return sn_lower_fail(x->c, "an index group without its op");
  return sn_wants_instances(x->c) ? sn_index_scatter_sorted(x) : sn_index_scatter(x);
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
  sn_indexing x = {.c = c, .n = root_of(c->body)};
  (void)fused;
  if (x.n && sn_is_prefix_op(x.n->op)) return sn_lower_prefix(c, x.n);
  if (x.n && x.n->op == SN_OP_SORT) return sn_lower_sort(c, x.n);
  if (x.n && x.n->op == SN_OP_SOLVE) return sn_lower_solve(c, x.n);
  if (x.n && x.n->op == SN_OP_SCATTER) return lower_scatter(&x);
  if (!x.n || !sn_lower_sink(c, x.n->first, 0, &x.slot, &x.result))
    return sn_lower_fail(c, "an index group without its op");
  switch (x.n->op) {
    case SN_OP_CONCAT: return lower_concat(&x);
    case SN_OP_DYN_WRITE: return lower_write(&x);
    default: {
      sn_code code = SN_OK;
      return sn_wants_instances(c) && sn_index_add_hot(&x, &code) ? code : lower_index_add(&x);
    }
  }
}
