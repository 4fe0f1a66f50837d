/* Operands of a product that a run makes, packed once by steps of their own: where both lie in rows of the summed axis,
 * as those of a weight's gradient do, every instance would copy its part of both. Panels are [across / width][summed]
 * [width], zero padded: of b as microkernels read it, of a as rows of a tile. All workers fill them; an instance then
 * copies nothing, and the rows of a tile meet the panels of b one by one. */
#include "passes/lower/contract.h"

enum { PACK_ROWS = 32, LEAST_GAIN = 3, MOST_ACROSS = 16384 /* of a temporary, for each step of the summed axis */ };

/* Static extents of rows and columns; one axis of each role. */
static bool extents(const sn_contraction *k, int64_t *m, int64_t *n) {
  if (k->row < 0 || k->col < 0 || k->sum < 0 || k->out.space.rank != 3) return false;
  return sn_dimx_is_const(k->out.space.extent[k->row], m) && sn_dimx_is_const(k->out.space.extent[k->col], n);
}

static int64_t blocks(int64_t n, int by) { return (n + by - 1) / by; }

/* Elements copied for each step of the summed axis, in instances of the tiles chosen, by those of packing once. */
static double gain(const sn_contraction *k) {
  int64_t m, n;
  if (!extents(k, &m, &n) || m > MOST_ACROSS || n > MOST_ACROSS) return 0;
  return (double)(m * blocks(n, k->bn) + n * blocks(m, k->bm)) / (double)(m + n);
}

bool sn_contract_may_pack_once(const sn_contraction *k) {
  bool plain = k->c->target->packed_b && !k->c->inside && !k->thin && k->elem == SN_ELEM_F32;
  return plain && k->loop && k->ta && !k->tb && gain(k) >= LEAST_GAIN;
}

/* Panels of `width` of the axis `across` of one operand. */
static sn_code pack(sn_contraction *k, sn_group *g, int across, int width, const char *ops, int *out) {
  sn_lower_ctx *c = k->c;
  const sn_dimx *depth = k->out.space.extent[k->sum];
  const sn_dimx *dim[3] = {sn_contract_ceil(k, k->out.space.extent[across], width), depth,
                           sn_dimx_const(c->types, width)};
  sn_buffer_use use[SN_LOWER_BUFFERS];
  *out = sn_lower_temp(c, "packed", sn_type_of(c->types, k->elem, 3, dim), NULL);
  int count = sn_group_buffers(c, g, use, 0);
  use[count++] = (sn_buffer_use){*out, SN_K_OUT};
  sn_build_kernel *b = sn_build_kernel_begin(c, "pack", count, use);
  sn_kernel *kk = b->k;
  sn_tile t = {.b = b, .g = g, .memo = sn_tile_memo_new(c->arena, NULL), .row = k->sum, .col = across, .c = width};
  t.r = sn_block_of(depth, PACK_ROWS);
  sn_build_grid(b, 2, sn_contract_ceil(k, depth, t.r), dim[0], NULL); /* whole rows, side by side */
  sn_group_forget(g);
  t.at[across] = sn_k_imulc(kk, sn_build_id(b, 1), width);
  t.at[k->sum] = sn_k_imulc(kk, sn_build_id(b, 0), t.r);
  sn_tile_limits(&t);
  sn_kv x = sn_contract_operand(k, &t, k->elem);
  sn_kv row = sn_k_iadd(kk, sn_k_imul(kk, sn_build_id(b, 1), sn_build_dim(b, depth)), t.at[k->sum]);
  sn_kwin w = {.buf = sn_build_buffer(b, *out),
               .off = sn_k_imulc(kk, row, width),
               .rs = sn_k_i(kk, width),
               .cs = sn_k_i(kk, 1),
               .nr = t.row_limit};
  sn_k_store(kk, w, x);
  sn_group *groups[1] = {g};
  const sn_dimx *elements = sn_dimx_mul(c->types, dim[0], sn_dimx_mul(c->types, depth, dim[2]));
  sn_report report = {.kind = "copy", .ops = ops, .bytes_read = sn_groups_bytes_read(c, 1, groups)};
  report.bytes_written = sn_dimx_mul(c->types, elements, sn_dimx_const(c->types, (int64_t)sn_elem_bytes(k->elem)));
  return sn_build_kernel_end(b, &report);
}

sn_code sn_contract_pack_once(sn_contraction *k, int width) {
  const char *why = sn_arena_printf(k->c->arena, "pack once, not %.1f times", gain(k));
  k->bm = sn_block_of(k->out.space.extent[k->row], sn_contract_within(k, k->row, k->c->target->bm * 3 / 2));
  k->bn = width, k->panel = k->elem;
  SN_TRY(pack(k, &k->a, k->row, k->bm, why, &k->packed_a));
  return pack(k, &k->b, k->col, k->bn, why, &k->packed);
}

sn_kv sn_contract_packed_rows(sn_contraction *k, sn_build_kernel *b, const sn_kv *at) {
  sn_kernel *kk = b->k;
  const sn_dimx *depth = k->out.space.extent[k->sum];
  sn_kv panel = at[k->row] ? sn_k_ibin(kk, SN_K_IDIV, at[k->row], sn_k_i(kk, k->bm)) : sn_k_i(kk, 0);
  sn_kv from = at[k->sum] ? at[k->sum] : sn_k_i(kk, 0);
  sn_kv first = sn_k_iadd(kk, sn_k_imul(kk, panel, sn_build_dim(b, depth)), from);
  sn_kwin w = {.buf = sn_build_buffer(b, k->packed_a), .off = sn_k_imulc(kk, first, k->bm), .rs = sn_k_i(kk, k->bm)};
  w.nr = sn_build_limit(b, depth, k->bk, from);
  return sn_k_load(kk, k->bk, k->bm, w, 0);
}
