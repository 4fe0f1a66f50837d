/* Schedule writer of `attend`, backward: what products of queries with captured rows give to both.
 *   queries   one instance owns a block of queries and walks the keys: a tile of gradients, each of its rows one
 *             element further in scratch than the row before, times the rows that the block reads
 *   rows      sums of queries by the difference of positions: one instance owns a diagonal of square blocks and walks
 *             it; the same tile, turned, times the queries. A difference is in the diagonals of two instances, whose
 *             sums are added by a second kernel (attend_diagonals.c). */
#include "passes/lower/attend_sums.h"

typedef struct row_sums {
  sn_sums *m;
  int which, product; /* of the sums; of the products of the node */
  sn_kv scratch;      /* [queries, queries + keys], 0 where no tile is stored */
} row_sums;

static sn_sum *own(const row_sums *r) { return &r->m->at[r->which]; }

static sn_build_kernel *begin_kernel(row_sums *r, const char *name, int bq, int bk) {
  bool chosen[SN_ATTEND_SUMS] = {0};
  chosen[r->which] = true;
  sn_build_kernel *b = sn_sums_kernel(r->m, name, chosen);
  int width = bq + bk;
  r->scratch = sn_k_local(b->k, SN_ELEM_F32, (int64_t)bq * width);
  sn_k_store(b->k, (sn_kwin){.buf = r->scratch, .rs = sn_k_i(b->k, width)},
             sn_k_const(b->k, SN_ELEM_F32, bq, width, 0));
  return b;
}

/* The gradients of the block, [queries, queries + keys]: in each column those of one row. */
static sn_code by_row(const row_sums *r, const sn_sum_block *x, sn_kv *out) {
  const sn_site_block *s = &x->w.s;
  sn_kernel *k = s->b->k;
  sn_kv term[SN_ATTEND_SUMS], entry[SN_ATTEND_SUMS];
  int width = s->bq + s->bk;
  SN_TRY(sn_sums_terms(r->m, x, term, entry));
  sn_k_store(k, sn_attend_skewed(s, r->scratch), term[r->which]);
  *out = sn_k_load(k, s->bq, width, (sn_kwin){.buf = r->scratch, .rs = sn_k_i(k, width)}, 0);
  return SN_OK;
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

/* What a walk over blocks adds up. */
typedef struct adder {
  const row_sums *r;
  sn_sum_block *x;
} adder;

static sn_code add_keys(void *user, bool masked, sn_kv *sum) {
  const adder *a = user;
  const row_sums *r = a->r;
  sn_sum_block *x = a->x;
  sn_kernel *k = x->w.s.b->k;
  sn_kv tile, rows;
  (void)masked;
  x->k = sn_attend_key_rows(&x->w, false), x->v = sn_attend_key_rows(&x->w, true);
  SN_TRY(by_row(r, x, &tile));
  SN_TRY(sn_attend_captured_rows(&x->w.s, r->product, &rows));
  *sum = sn_k_mma(k, *sum, tile, rows, 0);
  return SN_OK;
}

static sn_code walk_keys(const row_sums *r, sn_sum_block *x, sn_kv *sum) {
  sn_mask_range range = sn_attend_range(&x->w.s, false);
  adder a = {r, x};
  sn_walk w = {.s = &x->w.s, .masked = true, .step = add_keys, .user = &a};
  return sn_attend_walk(&w, &range, 1, sum);
}

static sn_code lower_queries(row_sums *r) {
  const sn_attend *a = r->m->a;
  sn_types *t = a->c->types;
  sn_build_kernel *b = begin_kernel(r, "attend_by_row", a->bq, a->bk);
  sn_kernel *k = b->k;
  sn_build_grid(b, 3, a->B, a->H, sn_dimx_ceildiv(t, a->T, sn_dimx_const(t, a->bq)));
  sn_sum_block x = sn_sums_block(r->m, b, false, a->bq, a->bk);
  x.w.s.batch = sn_k_gid(k, 0), x.w.s.q0 = sn_k_imulc(k, sn_k_gid(k, 2), a->bq);
  sn_sums_head(&x, sn_k_gid(k, 1));
  x.w.s.start = sn_attend_start(&x.w.s);
  x.q = sn_attend_query_rows(&x.w, false), x.dy = sn_attend_query_rows(&x.w, true);
  sn_kv sum = sn_attend_zero(&x.w, a->bq, a->d);
  SN_TRY(walk_keys(r, &x, &sum));
  sn_attend_store(a, b, &own(r)->to, x.w.s.batch, x.w.s.q0, x.w.s.head, a->T, sum);
  return sn_sums_end(r->m, b, "by_row", sn_sums_bytes(r->m, &own(r)->to));
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

typedef struct blocks { /* of the sequences, and their diagonals */
  int size;
  const sn_dimx *queries, *keys, *diagonals;
} blocks;

static blocks blocks_of(const sn_attend *a) {
  sn_types *t = a->c->types;
  blocks n = {.size = a->bq < a->bk ? a->bq : a->bk};
  n.queries = sn_dimx_ceildiv(t, a->T, sn_dimx_const(t, n.size));
  n.keys = sn_dimx_ceildiv(t, a->S, sn_dimx_const(t, n.size));
  n.diagonals = sn_dimx_sub(t, sn_dimx_add(t, n.queries, n.keys), sn_dimx_const(t, 1));
  return n;
}

static sn_code add_queries(void *user, bool masked, sn_kv *sum) {
  const adder *own = user;
  sn_sum_block *x = own->x;
  const sn_attend *a = own->r->m->a;
  sn_kv tile;
  (void)masked;
  x->q = sn_attend_query_rows(&x->w, false), x->dy = sn_attend_query_rows(&x->w, true);
  x->k = sn_attend_key_rows(&x->w, false), x->v = sn_attend_key_rows(&x->w, true);
  SN_TRY(by_row(own->r, x, &tile));
  sn_kv q = sn_attend_rows(a, x->w.s.b, &a->q, x->w.s.batch, x->w.s.q0, x->w.s.head, x->w.s.bq, a->d, a->T);
  *sum = sn_k_mma(x->w.s.b->k, *sum, tile, q, SN_K_TA);
  return SN_OK;
}

/* The block of keys from k0 on, if any of it is seen. */
static sn_code add_block(const row_sums *r, sn_sum_block *x, sn_kv k0, sn_kv *sum) {
  sn_kernel *k = x->w.s.b->k;
  sn_kv end = sn_k_iadd(k, k0, sn_k_i(k, x->w.s.bk));
  sn_mask_range range = sn_attend_range(&x->w.s, false);
  range.lo = sn_k_ibin(k, SN_K_IMAX, range.lo, k0), range.hi = sn_k_ibin(k, SN_K_IMIN, range.hi, end);
  adder a = {r, x};
  sn_walk w = {.s = &x->w.s, .masked = true, .step = add_queries, .user = &a};
  return sn_attend_walk(&w, &range, 1, sum);
}

/* Diagonal m: the block of keys less that of queries is m - (blocks of queries - 1). */
static sn_code walk_diagonal(const row_sums *r, const blocks *n, sn_sum_block *x, sn_kv m, sn_kv *sum) {
  sn_build_kernel *b = x->w.s.b;
  sn_kernel *k = b->k;
  sn_kv queries = sn_build_dim(b, n->queries), keys = sn_build_dim(b, n->keys);
  sn_kv shift = sn_k_isub(k, sn_k_iadd(k, m, sn_k_i(k, 1)), queries);
  sn_kv first = sn_k_ibin(k, SN_K_IMAX, sn_k_isub(k, sn_k_i(k, 0), shift), sn_k_i(k, 0));
  sn_kv end = sn_k_ibin(k, SN_K_IMIN, sn_k_isub(k, keys, shift), queries);
  sn_kv i = sn_k_for(k, first, end, 1, 1, sum);
  x->w.s.q0 = sn_k_imulc(k, i, n->size);
  SN_TRY(add_block(r, x, sn_k_imulc(k, sn_k_iadd(k, i, shift), n->size), sum));
  sn_k_end_for(k, 1, sum);
  return SN_OK;
}

static sn_code lower_parts(row_sums *r, const blocks *n) {
  const sn_attend *a = r->m->a;
  const sn_operand *part = &own(r)->part;
  sn_build_kernel *b = begin_kernel(r, "attend_rows", n->size, n->size);
  sn_kernel *k = b->k;
  sn_build_grid(b, 3, a->B, a->H, n->diagonals);
  sn_sum_block x = sn_sums_block(r->m, b, false, n->size, n->size);
  x.w.s.batch = sn_k_gid(k, 0);
  sn_sums_head(&x, sn_k_gid(k, 1));
  x.w.s.start = sn_attend_start(&x.w.s);
  sn_kv sum = sn_attend_zero(&x.w, 2 * n->size, a->d), m = sn_k_gid(k, 2);
  SN_TRY(walk_diagonal(r, n, &x, m, &sum));
  sn_kv at[SN_VIEW_RANK] = {x.w.s.batch, x.w.s.head, m};
  sn_k_store(
      k,
      (sn_kwin){
          .buf = sn_build_buffer(b, part->slot), .off = sn_build_address(b, &part->view, at), .rs = sn_k_i(k, a->d)},
      sum);
  return sn_sums_end(r->m, b, "rows", sn_sums_bytes(r->m, part));
}

static sn_code lower_rows(row_sums *r) {
  sn_types *t = r->m->a->c->types;
  blocks n = blocks_of(r->m->a);
  own(r)->part = sn_sums_temp(r->m, n.diagonals, sn_dimx_const(t, 2 * (int64_t)n.size * r->m->a->d));
  SN_TRY(lower_parts(r, &n));
  const sn_diagonals all = {
      .block = n.size, .columns = r->m->a->d, .blocks = n.queries, .extent = r->m->a->T, .number = n.diagonals};
  return sn_sums_join(r->m, own(r), &all, "rows_joined");
}

sn_code sn_sums_of_rows(sn_sums *m) {
  for (int i = 0; i < m->count; i++) {
    row_sums r = {.m = m, .which = i};
    if (m->at[i].kind < SN_SUM_ROWS || m->at[i].to.slot < 0) continue;
    int capture = (m->at[i].kind - SN_SUM_ROWS) / 2;
    while (r.product < m->a->product_count - 1 && m->a->product[r.product].capture != capture) r.product++;
    SN_TRY((m->at[i].kind - SN_SUM_ROWS) & 1 ? lower_rows(&r) : lower_queries(&r));
  }
  return SN_OK;
}
