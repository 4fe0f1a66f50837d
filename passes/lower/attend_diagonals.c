/* Schedule writer of `attend`, backward: sums by the difference of the positions of query and key.
 *   1. one instance owns a diagonal of square blocks and walks it. A block is stored to scratch with every row one
 *      element further than the row before, so that its diagonals are columns there; the sums of 2 block - 1 diagonals
 *      are carried.
 *   2. a diagonal crosses the blocks of two instances: their two sums are added. */
#include "passes/lower/attend_sums.h"
#include "passes/plan/assemble.h"

enum { JOINED = 16 }; /* rows of several columns that an instance adds */

typedef struct diagonals {
  sn_sums *m;
  const bool *chosen;
  int block, width;                       /* width: room for the diagonals of a block */
  const sn_dimx *queries, *keys, *number; /* blocks; diagonals of them */
} diagonals;

static diagonals begin(sn_sums *m, const bool *chosen) {
  const sn_attend *a = m->a;
  sn_types *t = a->c->types;
  diagonals d = {.m = m, .chosen = chosen, .block = a->bq < a->bk ? a->bq : a->bk};
  const sn_dimx *block = sn_dimx_const(t, d.block);
  d.width = 2 * d.block;
  d.queries = sn_dimx_ceildiv(t, a->T, block), d.keys = sn_dimx_ceildiv(t, a->S, block);
  d.number = sn_dimx_sub(t, sn_dimx_add(t, d.queries, d.keys), sn_dimx_const(t, 1));
  return d;
}

/* Columns of keys - 1 - queries + block: those of a tile [keys, queries] lie along the scratch as the difference grows.
 */
static sn_kv skewed(const diagonals *d, sn_build_kernel *b, sn_kv scratch, sn_kv tile) {
  sn_kernel *k = b->k;
  sn_kwin w = {.buf = scratch, .off = sn_k_i(k, d->block - 1), .rs = sn_k_i(k, d->width - 1)};
  sn_k_store(k, w, tile);
  sn_kv turned = sn_k_load(k, d->block, d->width, (sn_kwin){.buf = scratch, .rs = sn_k_i(k, d->width)}, 0);
  return sn_k_reduce(k, SN_K_RSUM, 0, turned);
}

/* What a block adds. */
typedef struct adder {
  const diagonals *d;
  sn_sum_block *x;
  sn_kv scratch;
} adder;

static sn_code add_terms(void *user, bool masked, sn_kv *line) {
  const adder *a = user;
  const diagonals *d = a->d;
  sn_sum_block *x = a->x;
  sn_build_kernel *b = x->w.s.b;
  sn_kv term[SN_ATTEND_SUMS], entry[SN_ATTEND_SUMS];
  (void)masked;
  x->q = sn_attend_query_rows(&x->w, false), x->dy = sn_attend_query_rows(&x->w, true);
  x->k = sn_attend_key_rows(&x->w, false), x->v = sn_attend_key_rows(&x->w, true);
  SN_TRY(sn_sums_terms(d->m, x, term, entry));
  for (int i = 0, n = 0; i < d->m->count; i++)
    if (d->chosen[i]) line[n] = sn_k_bin(b->k, SN_K_ADD, line[n], skewed(d, b, a->scratch, term[i])), n++;
  return SN_OK;
}

/* The block of queries at s.q0 with the one of keys on the diagonal, if any of it is seen. */
static sn_code add_block(const diagonals *d, sn_sum_block *x, sn_kv key_block, sn_kv scratch, int lines, sn_kv *line) {
  sn_kernel *k = x->w.s.b->k;
  sn_mask_range r = sn_attend_range(&x->w.s, false);
  sn_kv k0 = sn_k_imulc(k, key_block, d->block), end = sn_k_iadd(k, k0, sn_k_i(k, d->block));
  r.lo = sn_k_ibin(k, SN_K_IMAX, r.lo, k0), r.hi = sn_k_ibin(k, SN_K_IMIN, r.hi, end); /* one block or none */
  adder a = {d, x, scratch};
  sn_walk w = {.s = &x->w.s, .masked = true, .step = add_terms, .user = &a};
  return sn_attend_walk(&w, &r, lines, line);
}

/* Instance m: differences of block numbers m - (keys - 1). */
static sn_code walk(const diagonals *d, sn_sum_block *x, sn_kv m, sn_kv scratch, int lines, sn_kv *line) {
  sn_build_kernel *b = x->w.s.b;
  sn_kernel *k = b->k;
  sn_kv keys = sn_build_dim(b, d->keys), shift = sn_k_isub(k, sn_k_iadd(k, m, sn_k_i(k, 1)), keys);
  sn_kv first = sn_k_ibin(k, SN_K_IMAX, shift, sn_k_i(k, 0));
  sn_kv end = sn_k_ibin(k, SN_K_IMIN, sn_k_iadd(k, keys, shift), sn_build_dim(b, d->queries));
  sn_kv i = sn_k_for(k, first, end, 1, lines, line);
  x->w.s.q0 = sn_k_imulc(k, i, d->block);
  SN_TRY(add_block(d, x, sn_k_isub(k, i, shift), scratch, lines, line));
  sn_k_end_for(k, lines, line);
  return SN_OK;
}

static void store_part(const diagonals *d, const sn_sum_block *x, const sn_operand *part, sn_kv m, sn_kv line) {
  sn_build_kernel *b = x->w.s.b;
  sn_kv at[SN_VIEW_RANK] = {x->w.s.batch, x->w.s.head, m};
  (void)d;
  sn_k_store(b->k, (sn_kwin){.buf = sn_build_buffer(b, part->slot), .off = sn_build_address(b, &part->view, at)}, line);
}

static sn_code lower_parts(const diagonals *d) {
  sn_sums *m = d->m;
  const sn_attend *a = m->a;
  const sn_dimx *written = sn_dimx_const(a->c->types, 0);
  sn_build_kernel *b = sn_sums_kernel(m, "attend_by_difference", d->chosen);
  sn_kernel *k = b->k;
  sn_build_grid(b, 3, a->B, a->H, d->number);
  sn_sum_block x = sn_sums_block(m, b, true, d->block, d->block);
  sn_kv line[SN_ATTEND_SUMS], number = sn_k_gid(k, 2);
  int lines = 0, n = 0;
  x.w.s.batch = sn_k_gid(k, 0);
  sn_sums_head(&x, sn_k_gid(k, 1));
  x.w.s.start = sn_attend_start(&x.w.s);
  sn_kv scratch = sn_k_local(k, SN_ELEM_F32, (int64_t)d->block * d->width);
  sn_k_store(k, (sn_kwin){.buf = scratch, .rs = sn_k_i(k, d->width)}, sn_attend_zero(&x.w, d->block, d->width));
  for (int i = 0; i < m->count; i++)
    if (d->chosen[i]) line[lines++] = sn_attend_zero(&x.w, 1, d->width);
  SN_TRY(walk(d, &x, number, scratch, lines, line));
  for (int i = 0; i < m->count; i++) {
    if (!d->chosen[i]) continue;
    store_part(d, &x, &m->at[i].part, number, line[n++]);
    written = sn_dimx_add(a->c->types, written, sn_sums_bytes(m, &m->at[i].part));
  }
  return sn_sums_end(m, b, "by_difference", written);
}

/* ---- the two sums of each difference ----------------------------------------------------------------------------- */

/* One of the two: rows of the parts of the head, by number, where they are `there`. */
static sn_kv half(sn_build_kernel *b, const sn_diagonals *d, const sn_sum *s, sn_kv row, sn_kv there) {
  sn_kernel *k = b->k;
  int n = sn_k_type(k, row).r;
  sn_kv at[SN_VIEW_RANK] = {sn_k_gid(k, 0), sn_k_gid(k, 1)}, none = sn_k_const(k, SN_ELEM_I32, n, 1, 0);
  sn_kwin w = {.buf = sn_build_buffer(b, s->part.slot),
               .off = sn_build_address(b, &s->part.view, at),
               .rs = sn_k_i(k, d->columns),
               .cs = sn_k_i(k, 1)};
  sn_kv x = sn_k_gather(k, n, d->columns, w, sn_k_select(k, there, row, none), 0);
  return sn_k_select(k, sn_k_bcast(k, n, d->columns, there), x, sn_k_const(k, SN_ELEM_F32, n, d->columns, 0));
}

static sn_code end_joined(const sn_sums *m, sn_build_kernel *b, const sn_sum *s, const char *ops) {
  sn_report r = {.kind = "attend", .ops = sn_attend_ops(m->a, ops), .bytes_read = sn_sums_bytes(m, &s->part)};
  r.flops = sn_dimx_floordiv(m->a->c->types, r.bytes_read, sn_dimx_const(m->a->c->types, 4));
  r.bytes_written = sn_sums_bytes(m, &s->to);
  return sn_build_kernel_end(b, &r);
}

/* Difference x is row y = x + (blocks * block - extent) of all the instances' diagonals, which begin `block` rows
 * apart: y = m block + c, c < 2 block, for two m. */
sn_code sn_sums_join(const sn_sums *m, const sn_sum *s, const sn_diagonals *d, const char *ops) {
  const sn_attend *a = m->a;
  sn_types *t = a->c->types;
  int rows = d->columns == 1 ? SN_ATTEND_ENTRIES : JOINED;
  sn_buffer_use use[2] = {{s->part.slot, SN_K_IN}, {s->to.slot, SN_K_OUT}};
  const sn_dimx *extent = sn_dimx_sub(t, sn_dimx_add(t, a->T, a->S), sn_dimx_const(t, 1));
  sn_build_kernel *b = sn_build_kernel_begin(a->c, sn_arena_printf(a->c->plan->arena, "attend_%s", ops), 2, use);
  sn_kernel *k = b->k;
  sn_build_grid(b, 3, a->B, a->H, sn_dimx_ceildiv(t, extent, sn_dimx_const(t, rows)));
  sn_kv x0 = sn_k_imulc(k, sn_k_gid(k, 2), rows);
  sn_kv before = sn_k_isub(k, sn_k_imulc(k, sn_build_dim(b, d->blocks), d->block), sn_build_dim(b, d->extent));
  sn_kv y = sn_k_iota(k, rows, 1, 0, sn_k_iadd(k, x0, before)), upper = sn_k_binc(k, SN_K_DIV, y, d->block);
  sn_kv number = sn_k_isplat(k, 1, 1, sn_build_dim(b, d->number)), none = sn_k_const(k, SN_ELEM_I32, rows, 1, 0);
  sn_kv row = sn_k_bin(k, SN_K_ADD, y, sn_k_binc(k, SN_K_MUL, upper, d->block));
  sn_kv first = half(b, d, s, row, sn_k_bin(k, SN_K_LT, upper, number));
  sn_kv inside = sn_k_bin(k, SN_K_AND, sn_k_bin(k, SN_K_LT, none, upper), sn_k_bin(k, SN_K_LE, upper, number));
  sn_kv second = half(b, d, s, sn_k_binc(k, SN_K_SUB, row, d->block), inside);
  sn_kv at[SN_VIEW_RANK] = {sn_k_gid(k, 0), sn_k_gid(k, 1), x0};
  sn_kwin w = {.buf = sn_build_buffer(b, s->to.slot),
               .off = sn_build_address(b, &s->to.view, at),
               .rs = sn_build_dim(b, s->to.view.stride[2]),
               .nr = sn_build_limit(b, extent, rows, x0)};
  if (d->columns > 1) w.cs = sn_build_dim(b, s->to.view.stride[3]);
  sn_k_store(k, w, sn_k_bin(k, SN_K_ADD, second, first));
  return end_joined(m, b, s, ops);
}

sn_code sn_sums_by_difference(sn_sums *m, const bool *chosen) {
  diagonals d = begin(m, chosen);
  for (int i = 0; i < m->count; i++)
    if (chosen[i]) m->at[i].part = sn_sums_temp(m, d.number, sn_dimx_const(m->a->c->types, d.width));
  SN_TRY(lower_parts(&d));
  const sn_diagonals all = {.block = d.block, .columns = 1, .blocks = d.keys, .extent = m->a->S, .number = d.number};
  for (int i = 0; i < m->count; i++)
    if (chosen[i]) SN_TRY(sn_sums_join(m, &m->at[i], &all, "differences"));
  return SN_OK;
}
