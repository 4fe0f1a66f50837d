/* scatter_add of single numbers and index_add where many instances are wanted: an instance owns some elements of the
 * result and compares them with the places of all updates, block by block. Sums have a fixed tree. */
#include "passes/lower/index.h"

enum { OWNED = 32, UPDATES = 256 };

typedef struct hot {
  sn_indexing *x;
  sn_build_kernel *b;
  int count; /* tensors of indices: the place is the sum of number * weight */
  sn_numbers index[SN_RANK_MAX];
  const sn_dimx *extent[SN_RANK_MAX], *weight[SN_RANK_MAX], *rows;
  sn_tile t; /* of the updates */
  sn_kv owned, sum;
  sn_elem elem;
} hot;

static sn_kv place_of(hot *h) {
  sn_kernel *k = h->b->k;
  sn_kv sum = 0;
  for (int i = 0; i < h->count; i++) {
    sn_kv part = sn_numbers_tile(h->b, &h->index[i], &h->t, h->extent[i]);
    if (!sn_dimx_is_one(h->weight[i]))
      part = sn_k_bin(k, SN_K_MUL, part, sn_k_isplat(k, 1, 1, sn_build_dim(h->b, h->weight[i])));
    sum = sum ? sn_k_bin(k, SN_K_ADD, sum, part) : part;
  }
  return sum;
}

/* What a tile of updates adds. */
static sn_kv added(hot *h) {
  sn_kernel *k = h->b->k;
  sn_tile *t = &h->t;
  sn_kv zero = sn_k_const(k, h->elem, 1, 1, 0);
  t->memo = sn_tile_memo_new(h->x->c->arena, NULL);
  sn_kv u = sn_tile_value(t, t->g->output[0].value, t->g->output[0].chain);
  u = sn_k_cast(k, h->elem, sn_k_bcast(k, 1, t->c, u));
  if (t->col_limit)
    u = sn_k_select(k, sn_k_bin(k, SN_K_LT, sn_k_iota(k, 1, t->c, 1, sn_k_i(k, 0)), sn_k_isplat(k, 1, 1, t->col_limit)),
                    u, zero);
  return sn_k_select(k, sn_k_bin(k, SN_K_EQ, h->owned, place_of(h)), sn_k_bcast(k, OWNED, t->c, u), zero);
}

/* Loops over the axes of the updates from this one on: the last in blocks. */
static void sweep(hot *h, int axis) {
  sn_kernel *k = h->b->k;
  sn_tile *t = &h->t;
  if (axis == t->g->space.rank) {
    sn_tile_limits(t);
    h->sum = sn_k_bin(k, SN_K_ADD, h->sum, added(h));
    return;
  }
  int step = axis == t->col ? t->c : 1;
  t->at[axis] = sn_k_for(k, sn_k_i(k, 0), sn_build_dim(h->b, t->g->space.extent[axis]), step, 1, &h->sum);
  sweep(h, axis + 1);
  sn_k_end_for(k, 1, &h->sum);
}

/* Axes before `batch` are those of the result, which `view` is over: then its rows. */
static sn_code emit(hot *h, sn_group *g, int batch, const sn_view *view) {
  sn_lower_ctx *c = h->x->c;
  sn_buffer_use use[SN_LOWER_BUFFERS];
  sn_axis_block a[SN_VIEW_RANK];
  int count = sn_group_buffers(c, g, use, 0);
  for (int i = 0; i < h->count; i++) count = sn_numbers_use(&h->index[i], use, count);
  use[count++] = (sn_buffer_use){h->x->slot, SN_K_OUT};
  if (h->x->onto) use[count++] = (sn_buffer_use){h->x->slot, SN_K_IN};
  h->b = sn_build_kernel_begin(c, sn_kernel_name_of(c, "hot"), count, use);
  sn_kernel *k = h->b->k;
  sn_group space = {.space.rank = view->rank};
  for (int i = 0; i < view->rank; i++) space.space.extent[i] = view->extent[i];
  sn_tile out = {.b = h->b, .g = &space, .row = batch, .col = -1, .r = OWNED, .c = 1};
  for (int i = 0; i < view->rank; i++) a[i] = (sn_axis_block){.axis = i, .block = i == batch ? OWNED : 1};
  sn_tile_grid(&out, view->rank, a);
  sn_tile_limits(&out);
  h->t = (sn_tile){.b = h->b, .g = g, .row = -1, .r = 1, .c = 1, .col = g->space.rank > batch ? g->space.rank - 1 : -1};
  for (int i = 0; i < batch; i++) h->t.at[i] = out.at[i];
  if (h->t.col >= 0) h->t.c = sn_block_of(g->space.extent[h->t.col], UPDATES);
  sn_elem to = sn_lower_slot_type(c, h->x->slot)->elem;
  h->elem = sn_compute_elem(to);
  h->owned = sn_k_iota(k, OWNED, 1, 0, out.at[batch] ? out.at[batch] : sn_k_i(k, 0));
  h->sum = sn_k_const(k, h->elem, OWNED, h->t.c, 0);
  sweep(h, batch);
  sn_kwin w = {.buf = sn_build_buffer(h->b, h->x->slot), .nr = out.row_limit, .cs = sn_k_i(k, 0)};
  w.off = sn_build_address(h->b, view, out.at), w.rs = sn_build_dim(h->b, view->stride[batch]);
  sn_kv sum = sn_k_reduce(k, SN_K_RSUM, 1, h->sum);
  if (h->x->onto) sum = sn_k_bin(k, SN_K_ADD, sn_k_load(k, OWNED, 1, w, 0), sum);
  sn_k_store(k, w, sn_k_cast(k, to, sum));
  sn_report report = {.kind = "index", .flops = sn_type_count(c->types, sn_val_type(g->f, g->output[0].value))};
  report.bytes_written = sn_type_bytes(c->types, h->x->n->type[0]);
  report.bytes_read = sn_groups_bytes_read(c, 1, &g);
  if (h->x->onto) report.bytes_read = sn_dimx_add(c->types, report.bytes_read, report.bytes_written);
  for (int i = 0; i < h->count; i++)
    report.bytes_read = sn_dimx_add(c->types, report.bytes_read,
                                    sn_numbers_bytes(h->x, h->x->n->arg[h->x->n->op == SN_OP_SCATTER ? 0 : i + 1]));
  return sn_build_kernel_end(h->b, &report);
}

sn_code sn_index_scatter_hot(sn_indexing *x, sn_group *g) {
  hot h = {.x = x, .count = 1};
  int batch = (int)sn_node_attr(x->n, "batch")->i;
  SN_TRY(sn_numbers_find(x, x->n->arg[0], &h.index[0]));
  h.extent[0] = x->result.extent[batch], h.weight[0] = sn_dimx_const(x->c->types, 1);
  return emit(&h, g, batch, &x->result);
}

/* The result as one axis; false: it is not contiguous, or has too many elements to be numbered. */
static bool is_flat(const sn_indexing *x, sn_view *out) {
  sn_types *t = x->c->types;
  *out = x->result;
  const sn_dimx *count = sn_dimx_const(t, 1);
  for (int i = out->rank - 1; i >= 0; i--) {
    if (out->stride[i] != count && !sn_dimx_is_one(out->extent[i])) return false;
    count = sn_dimx_mul(t, count, out->extent[i]);
  }
  out->rank = 1, out->extent[0] = count, out->stride[0] = sn_dimx_const(t, 1);
  return sn_dimx_max_value(count) <= INT32_MAX;
}

bool sn_index_add_hot(sn_indexing *x, sn_code *code) {
  hot h = {.x = x, .count = x->n->arg_count - 1};
  sn_view flat;
  if (!is_flat(x, &flat)) return false;
  const sn_type *result = x->n->type[0];
  const sn_dimx *weight = sn_dimx_const(x->c->types, 1);
  for (int i = h.count - 1; i >= 0; i--) {
    h.extent[i] = result->dim[i], h.weight[i] = weight;
    weight = sn_dimx_mul(x->c->types, weight, result->dim[i]);
    *code = sn_numbers_find(x, x->n->arg[i + 1], &h.index[i]);
    if (*code) return true;
  }
  sn_group *g = sn_index_group(x, x->n->arg[0]);
  *code = g ? emit(&h, g, 0, &flat) : x->c->failed;
  return true;
}
