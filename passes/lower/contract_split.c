/* Products whose result has few tiles and whose sum is long, in two kernels: instances take fixed ranges of the summed
 * axis, then the partial products are added in the order of their ranges, and the epilogue runs on the sum. How many
 * ranges there are follows from the shapes and the target alone. parts: [ranges, elements of the result] */
#include "passes/lower/contract.h"

#include <math.h>

#include "passes/plan/assemble.h"

enum {
  STEP = 256,  /* ranges are multiples of this */
  LEAST = 512, /* elements of the result: below, launches and the sum of parts cost more than they bring */
  SOME = 4096, /* the same where the length of the axis is not known, so that there is a third kernel */
  JOIN = 512,  /* elements of a tile of the sum */
  JOIN_COLUMNS = 256
};

/* ---- when -------------------------------------------------------------------------------------------------------- */

static double extents(const sn_contraction *k, bool summed) {
  double n = 1;
  for (int i = 0; i < k->out.space.rank; i++)
    if ((k->role[i] == SUM) == summed && i != k->sum) n *= (double)sn_dimx_max_value(k->out.space.extent[i]);
  return n;
}

static double tiles(const sn_contraction *k) {
  double n = 1;
  for (int i = 0; i < k->out.space.rank; i++) {
    int block = i == k->row ? k->bm : i == k->col ? k->bn : 1;
    if (k->role[i] != SUM) n *= ceil((double)sn_dimx_max_value(k->out.space.extent[i]) / block);
  }
  return n;
}

/* Steps of a range: as many ranges as make twice the tiles that are enough, none shorter than the target says. */
static int64_t range_of(const sn_contraction *k, double tile_count, int step) {
  const sn_dimx *depth = k->out.space.extent[k->sum];
  int64_t n, least = (k->c->target->part + step - 1) / step * step;
  if (!sn_dimx_is_const(depth, &n)) return least;
  int64_t ranges = (int64_t)ceil(2 * k->c->target->few_tiles / tile_count), even = (n + ranges - 1) / ranges;
  return even > least ? (even + step - 1) / step * step : least;
}

void sn_contract_split(sn_contraction *k) {
  const sn_target *t = k->c->target;
  int64_t n;
  bool alone = k->rows == SN_CONTRACT_ANY && !k->c->inside && !k->c->plan->preparing;
  if (!t->few_tiles || k->sum < 0 || k->thin || k->packed_a >= 0 || !alone) return;
  double tile_count = tiles(k);
  const sn_dimx *depth = k->out.space.extent[k->sum];
  if (tile_count >= t->few_tiles) return;
  int step = k->loop ? k->bk : STEP;
  int64_t range = range_of(k, tile_count, step);
  bool known = sn_dimx_is_const(depth, &n);
  if (extents(k, false) * extents(k, true) < (known ? LEAST : SOME) || sn_dimx_max_value(depth) < 2 * range) return;
  if (sn_dimx_min_value(depth) < 2 * range) {
    sn_types *types = k->c->types;
    k->when =
        sn_dimx_min(types, sn_dimx_floordiv(types, depth, sn_dimx_const(types, 2 * range)), sn_dimx_const(types, 1));
  }
  k->part = (int)range;
  k->parts = sn_dimx_ceildiv(k->c->types, depth, sn_dimx_const(k->c->types, range));
  k->loop = k->made || !t->k_whole; /* else a range is one product */
  k->bk = k->loop ? step : k->part;
}

sn_kv sn_contract_range(const sn_contraction *k, sn_build_kernel *b, sn_kv *end) {
  sn_kv from = sn_k_imulc(b->k, k->range, k->part), to = sn_k_iadd(b->k, from, sn_k_i(b->k, k->part));
  *end = sn_k_ibin(b->k, SN_K_IMIN, to, sn_build_dim(b, k->out.space.extent[k->sum]));
  return from;
}

/* ---- the two kernels --------------------------------------------------------------------------------------------- */

typedef struct split {
  sn_contraction *k;
  int slot;
  sn_view view;        /* of the result over the space, columns side by side */
  const sn_dimx *kept; /* its elements */
  const sn_dimx *bytes;
} split;

/* Where range `at` of the tile lies. */
static sn_kwin window(const split *s, const sn_tile *t, sn_kv at) {
  sn_kernel *k = t->b->k;
  sn_kwin w = {.buf = sn_build_buffer(t->b, s->slot), .nr = t->row_limit, .nc = t->col_limit};
  w.off = sn_k_iadd(k, sn_k_imul(k, at, sn_build_dim(t->b, s->kept)), sn_build_address(t->b, &s->view, t->at));
  if (t->row >= 0) w.rs = sn_build_dim(t->b, s->view.stride[t->row]);
  return w;
}

static void place_parts(split *s) {
  sn_contraction *k = s->k;
  sn_types *t = k->c->types;
  const sn_shape *space = &k->out.space;
  int order[SN_VIEW_RANK], n = 0;
  for (int i = 0; i < space->rank; i++)
    if (k->role[i] != SUM && i != k->row && i != k->col) order[n++] = i;
  if (k->row >= 0) order[n++] = k->row;
  if (k->col >= 0) order[n++] = k->col;
  s->kept = sn_dimx_const(t, 1), s->view = sn_view_of(t, space);
  for (int i = 0; i < space->rank; i++) s->view.stride[i] = sn_dimx_const(t, 0);
  while (n--) {
    s->view.stride[order[n]] = s->kept;
    s->kept = sn_dimx_mul(t, s->kept, space->extent[order[n]]);
  }
  const sn_dimx *dim[2] = {k->parts, s->kept};
  const sn_type *type = sn_type_of(t, sn_contract_sum_elem(k), 2, dim);
  s->bytes = sn_dimx_mul(t, sn_type_count(t, type), sn_dimx_const(t, (int64_t)sn_elem_bytes(type->elem)));
  s->slot = sn_lower_temp(k->c, "parts", type, NULL);
}

static sn_code make_parts(split *s) {
  sn_contraction *k = s->k;
  sn_buffer_use use[SN_LOWER_BUFFERS];
  int count = sn_contract_buffers(k, use);
  use[count++] = (sn_buffer_use){s->slot, SN_K_OUT};
  sn_build_kernel *b = sn_build_kernel_begin(k->c, sn_kernel_name_of(k->c, "gemm_parts"), count, use);
  sn_tile t = {.b = b, .g = &k->out, .row = k->row, .col = k->col, .r = k->bm, .c = k->bn};
  sn_group_forget(&k->a), sn_group_forget(&k->b);
  sn_contract_place(k, &t);
  sn_kv product = sn_contract_product(&t, 0, k);
  sn_k_store(b->k, window(s, &t, k->range), product);
  sn_report r = {.flops = sn_contract_flops(k), .bytes_written = s->bytes};
  r.bytes_read = sn_contract_bytes_read(k, false);
  int64_t parts;
  bool known = sn_dimx_is_const(k->parts, &parts);
  const char *many = known ? sn_arena_printf(k->c->arena, "%lld ", (long long)parts) : "";
  r.ops = sn_arena_printf(k->c->plan->arena, "contract in %sparts of %d", many, k->part);
  sn_contract_report_when(k, &r);
  return sn_build_kernel_end(b, &r);
}

static sn_kv sum(sn_tile *t, sn_val v, void *user) {
  const split *s = user;
  sn_kernel *k = t->b->k;
  (void)v;
  if (s->k->product) return s->k->product;
  sn_kv x = sn_k_const(k, sn_contract_sum_elem(s->k), t->r, t->c, 0);
  sn_kv at = sn_k_for(k, sn_k_i(k, 0), sn_build_dim(t->b, s->k->parts), 1, 1, &x);
  x = sn_k_bin(k, SN_K_ADD, x, sn_k_load(k, t->r, t->c, window(s, t, at), 0));
  sn_k_end_for(k, 1, &x);
  return s->k->product = x;
}

/* "parts in order" and the ops of the epilogue */
static const char *ops_of(const split *s) {
  const sn_func *f = s->k->c->body;
  sn_text t = sn_text_begin(s->k->c->plan->arena);
  sn_text_add(&t, "parts in order");
  for (int i = 0; i < f->node_count; i++) {
    sn_op_class cls = sn_op_get(f->node[i]->op)->cls;
    if (cls != SN_CLASS_LEAF && cls != SN_CLASS_VIEW && cls != SN_CLASS_CONTRACT)
      sn_text_add(&t, " %s", sn_op_get(f->node[i]->op)->name);
  }
  return t.at;
}

static void place_sum(split *s, sn_tile *t) {
  sn_contraction *k = s->k;
  sn_axis_block a[SN_VIEW_RANK];
  const sn_shape *space = &k->out.space;
  int n = 0;
  t->c = k->col < 0 ? 1 : sn_block_for(k->c->target, space->extent[k->col], JOIN_COLUMNS);
  t->r = k->row < 0 ? 1 : sn_block_of(space->extent[k->row], JOIN / t->c < 1 ? 1 : JOIN / t->c);
  for (int i = 0; i < space->rank; i++)
    if (k->role[i] != SUM) a[n++] = (sn_axis_block){.axis = i, .block = i == k->row ? t->r : i == k->col ? t->c : 1};
  sn_tile_grid(t, n, a);
  const sn_dimx **grid = t->b->grid;
  if (k->when) sn_build_grid(t->b, t->b->grid_count, sn_dimx_mul(k->c->types, grid[0], k->when), grid[1], grid[2]);
  sn_tile_limits(t);
}

static sn_code join_parts(split *s) {
  sn_contraction *k = s->k;
  sn_lower_ctx *c = k->c;
  sn_group *out = &k->out;
  sn_buffer_use use[SN_LOWER_BUFFERS] = {{s->slot, SN_K_IN}};
  int count = sn_result_buffers(c, use, sn_group_buffers(c, out, use, 1));
  sn_build_kernel *b = sn_build_kernel_begin(c, sn_kernel_name_of(c, "gemm_sum"), count, use);
  sn_tile t = {.b = b, .g = out, .row = k->row, .col = k->col, .inner = sum, .user = s};
  t.memo = sn_tile_memo_new(c->arena, NULL);
  k->product = 0;
  sn_group_forget(out);
  place_sum(s, &t);
  sn_tile_outputs(&t, NULL);
  sn_report r = {.flops = sn_type_count(c->types, sn_lower_slot_type(c, s->slot)), .bytes_written = sn_result_bytes(c)};
  r.flops = sn_dimx_add(c->types, r.flops, sn_body_flops(c));
  r.bytes_read = sn_dimx_add(c->types, s->bytes, sn_groups_bytes_read(c, 1, &out));
  r.ops = ops_of(s);
  sn_contract_report_when(k, &r);
  return sn_build_kernel_end(b, &r);
}

sn_code sn_contract_in_parts(sn_contraction *k) {
  split s = {.k = k};
  place_parts(&s);
  SN_TRY(make_parts(&s));
  return join_parts(&s);
}
