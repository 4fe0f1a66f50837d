/* Schedule writer of `attend`, backward: sums by the entry of a table that a pair of query and key reads.
 *   1. of each block of pairs, the least and the largest entry that they read
 *   2. one instance owns a part of the blocks of queries, with the sums of all entries in scratch. Of a block it adds
 *      up, for one entry after the other, what goes to it (attend_sums.c walks the blocks)
 *   3. the sums of the parts are added
 * Sums by query and entry are the same, with as many sums as queries in scratch, and are stored after each block. */
#include "passes/lower/attend_sums.h"
#include "passes/lower/derive.h"

enum {
  PART = 1024, /* entries for each block of queries that a part has */
  TOGETHER = 4 /* entries that are added up in one pass over a block; those beyond the last get nothing */
};

static const sn_dimx *blocks_of(const sn_sums *m, bool queries) {
  const sn_attend *a = m->a;
  return sn_dimx_ceildiv(a->c->types, queries ? a->T : a->S, sn_dimx_const(a->c->types, queries ? a->bq : a->bk));
}

/* ---- which entries a block reads --------------------------------------------------------------------------------- */

/* Does the value depend on argument `index` of the region? */
static bool depends(const sn_sums *m, sn_val v, int64_t index) {
  const sn_func *f = m->a->slopes;
  bool *on = SN_ARRAY(m->a->c->arena, f->value_count, bool);
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    bool any = n->op == SN_OP_ARG && sn_node_attr(n, "index")->i == index;
    for (int k = 0; k < n->arg_count; k++) any |= on[n->arg[k]];
    for (int k = 0; k < n->result_count; k++) on[n->first + (sn_val)k] = any;
  }
  return on[v];
}

static sn_operand range_temp(const sn_sums *m, sn_val entry) {
  const sn_attend *a = m->a;
  sn_types *t = a->c->types;
  const sn_dimx *one = sn_dimx_const(t, 1);
  bool started = a->has_start && a->start.view.rank && depends(m, entry, 3);
  const sn_dimx *dim[4] = {started || depends(m, entry, 1) ? a->B : one, depends(m, entry, 2) ? a->H : one,
                           blocks_of(m, true), sn_dimx_mul(t, blocks_of(m, false), sn_dimx_const(t, 2))};
  const sn_type *type = sn_type_of(t, SN_ELEM_I32, 4, dim);
  sn_shape shape = sn_shape_of(type);
  return (sn_operand){sn_lower_temp(a->c, "ranges", type, NULL), sn_view_of(t, &shape)};
}

/* Largest element of a tile of small integers, i32 [1, 1]. */
static sn_kv largest(sn_kernel *k, sn_kv x) {
  sn_ktype t = sn_k_type(k, x);
  if (t.r > 1) x = sn_k_reduce(k, SN_K_RMAX, 0, x);
  if (t.c > 1) x = sn_k_reduce(k, SN_K_RMAX, 1, x);
  return sn_k_cast(k, SN_ELEM_I32, x);
}

static sn_kwin bound(sn_build_kernel *b, const sn_sum *s, sn_kv batch, sn_kv head, sn_kv queries, sn_kv keys, int end) {
  sn_kernel *k = b->k;
  const sn_view *v = &s->range.view;
  sn_kv at[SN_VIEW_RANK] = {batch, head, queries, sn_k_iadd(k, sn_k_imulc(k, keys, 2), sn_k_i(k, end))};
  for (int i = 0; i < 2; i++)
    if (sn_dimx_is_one(v->extent[i])) at[i] = sn_k_i(k, 0);
  return (sn_kwin){.buf = sn_build_buffer(b, s->range.slot), .off = sn_build_address(b, v, at)};
}

static sn_code lower_ranges(const sn_sums *m, const sn_sum *s) {
  const sn_attend *a = m->a;
  sn_types *t = a->c->types;
  const sn_view *v = &s->range.view;
  const sn_buffer_use use[1] = {{s->range.slot, SN_K_OUT}};
  sn_build_kernel *b = sn_attend_kernel(a, "attend_ranges", 1, use);
  sn_kernel *k = b->k;
  sn_build_grid(b, 3, sn_dimx_mul(t, v->extent[0], v->extent[1]), blocks_of(m, true), blocks_of(m, false));
  sn_site_block x = {.a = a, .b = b, .bq = a->bq, .bk = a->bk};
  sn_kv heads = sn_build_dim(b, v->extent[1]), entry;
  x.batch = sn_k_ibin(k, SN_K_IDIV, sn_k_gid(k, 0), heads), x.head = sn_k_ibin(k, SN_K_IMOD, sn_k_gid(k, 0), heads);
  x.q0 = sn_k_imulc(k, sn_k_gid(k, 1), a->bq), x.k0 = sn_k_imulc(k, sn_k_gid(k, 2), a->bk);
  x.start = sn_attend_start(&x);
  const sn_func *number = sn_region_part(a->c, a->slopes, a->slopes->result[s->entry]);
  SN_TRY(sn_attend_numbers(&x, number, &entry));
  sn_kv n = sn_k_cast(k, SN_ELEM_F32, entry), least = largest(k, sn_k_un(k, SN_K_NEG, n));
  sn_k_store(k, bound(b, s, x.batch, x.head, sn_k_gid(k, 1), sn_k_gid(k, 2), 0), sn_k_un(k, SN_K_NEG, least));
  sn_k_store(k, bound(b, s, x.batch, x.head, sn_k_gid(k, 1), sn_k_gid(k, 2), 1), largest(k, n));
  sn_report r = {.kind = "attend", .ops = sn_attend_ops(a, "ranges"), .bytes_read = sn_dimx_const(t, 0)};
  r.flops = sn_dimx_mul(t, sn_dimx_mul(t, v->extent[0], v->extent[1]), sn_dimx_mul(t, a->T, a->S));
  r.bytes_written = sn_sums_bytes(m, &s->range);
  return sn_build_kernel_end(b, &r);
}

int sn_entries_part(const sn_sum *s) {
  return s->kind == SN_SUM_TABLES ? 1 : (int)((sn_dimx_max_value(s->entries) + PART - 1) / PART);
}

sn_code sn_entries_find(sn_sums *m, sn_sum *s, int part) {
  sn_types *t = m->a->c->types;
  sn_val entry = m->a->slopes->result[s->entry];
  if (s->kind != SN_SUM_TABLES)
    s->part = sn_sums_temp(m, sn_dimx_ceildiv(t, blocks_of(m, true), sn_dimx_const(t, part)), s->entries);
  if (sn_dimx_max_value(s->entries) <= SN_ATTEND_ENTRIES || depends(m, entry, 0)) return SN_OK;
  s->range = range_temp(m, entry);
  return lower_ranges(m, s);
}

/* ---- the sums of a part ------------------------------------------------------------------------------------------ */

/* Sums of one entry, side by side in scratch. */
static int width_of(const sn_sum_block *x, const sn_sum *s) { return s->kind == SN_SUM_TABLES ? x->w.s.bq : 1; }

/* A loop over pieces of the entries: w is [sums of one, entries]. */
static sn_kv begin_pieces(const sn_sum_block *x, const sn_sum *s, sn_kwin *w) {
  sn_build_kernel *b = x->w.s.b;
  int width = width_of(x, s);
  sn_kv e = sn_k_for(b->k, sn_k_i(b->k, 0), sn_build_dim(b, s->entries), SN_ATTEND_ENTRIES, 0, NULL);
  *w = (sn_kwin){.buf = s->scratch, .off = sn_k_imulc(b->k, e, width)};
  if (width > 1) w->rs = sn_k_i(b->k, 1), w->cs = sn_k_i(b->k, width);
  return e;
}

void sn_entries_begin(const sn_sum_block *x, sn_sum *s) {
  sn_kernel *k = x->w.s.b->k;
  sn_kwin w;
  int64_t n =
      (sn_dimx_max_value(s->entries) + SN_ATTEND_ENTRIES - 1) / SN_ATTEND_ENTRIES * SN_ATTEND_ENTRIES + TOGETHER;
  s->scratch = sn_k_local(k, SN_ELEM_F32, n * width_of(x, s));
  (void)begin_pieces(x, s, &w);
  sn_k_store(k, w, sn_k_const(k, SN_ELEM_F32, width_of(x, s), SN_ATTEND_ENTRIES, 0));
  sn_k_end_for(k, 0, NULL);
}

/* A loop over the entries of the block; regions may give numbers of none. */
static sn_kv begin_entries(const sn_sum_block *x, const sn_sum *s) {
  const sn_site_block *at = &x->w.s;
  sn_kernel *k = at->b->k;
  if (s->range.slot < 0) return sn_k_for(k, sn_k_i(k, 0), sn_build_dim(at->b, s->entries), TOGETHER, 0, NULL);
  sn_kv queries = sn_k_ibin(k, SN_K_IDIV, at->q0, sn_k_i(k, at->bq));
  sn_kv keys = sn_k_ibin(k, SN_K_IDIV, at->k0, sn_k_i(k, at->bk)), range[2];
  sn_kv last = sn_k_isub(k, sn_build_dim(at->b, s->entries), sn_k_i(k, 1));
  for (int i = 0; i < 2; i++) {
    sn_kwin w = bound(at->b, s, at->batch, at->head, queries, keys, i);
    range[i] = sn_k_ibin(k, SN_K_IMAX, sn_k_ibin(k, SN_K_IMIN, sn_k_iload(k, w.buf, w.off), last), sn_k_i(k, 0));
  }
  return sn_k_for(k, range[0], sn_k_iadd(k, range[1], sn_k_i(k, 1)), TOGETHER, 0, NULL);
}

/* The sums over the block, or over the keys of it, of what goes to entry e. */
static sn_kv own_sum(const sn_sum_block *x, const sn_sum *s, sn_kv term, sn_kv entry, sn_kv e) {
  sn_kernel *k = x->w.s.b->k;
  sn_ktype t = sn_k_type(k, term);
  bool rows = s->kind != SN_SUM_TABLES || x->w.s.keys_major, columns = s->kind != SN_SUM_TABLES || !x->w.s.keys_major;
  sn_kv own = sn_k_bin(k, SN_K_EQ, entry, sn_k_isplat(k, 1, 1, e));
  sn_kv sum = sn_k_select(k, own, term, sn_k_const(k, SN_ELEM_F32, t.r, t.c, 0));
  if (rows && t.r > 1) sum = sn_k_reduce(k, SN_K_RSUM, 0, sum);
  return columns && t.c > 1 ? sn_k_reduce(k, SN_K_RSUM, 1, sum) : sum;
}

void sn_entries_add(const sn_sum_block *x, const sn_sum *s, sn_kv term, sn_kv entry) {
  sn_kernel *k = x->w.s.b->k;
  sn_kv e = begin_entries(x, s), sum[TOGETHER];
  for (int i = 0; i < TOGETHER; i++) sum[i] = own_sum(x, s, term, entry, sn_k_iadd(k, e, sn_k_i(k, i)));
  for (int i = 0; i < TOGETHER; i++) {
    sn_ktype t = sn_k_type(k, sum[i]);
    sn_kv at = sn_k_imulc(k, sn_k_iadd(k, e, sn_k_i(k, i)), width_of(x, s));
    sn_kwin w = {.buf = s->scratch, .off = at, .rs = sn_k_i(k, 1), .cs = sn_k_i(k, 1)};
    sn_k_store(k, w, sn_k_bin(k, SN_K_ADD, sn_k_load(k, t.r, t.c, w, 0), sum[i]));
  }
  sn_k_end_for(k, 0, NULL);
}

void sn_entries_end(const sn_sum_block *x, const sn_sum *s, sn_kv part) {
  sn_build_kernel *b = x->w.s.b;
  sn_kwin w;
  sn_kv e = begin_pieces(x, s, &w), at[SN_VIEW_RANK] = {x->w.s.batch, x->w.s.head, part, e};
  sn_kv sum = sn_k_load(b->k, 1, SN_ATTEND_ENTRIES, w, 0);
  w = (sn_kwin){.buf = sn_build_buffer(b, s->part.slot),
                .off = sn_build_address(b, &s->part.view, at),
                .nc = sn_build_limit(b, s->entries, SN_ATTEND_ENTRIES, e)};
  sn_k_store(b->k, w, sum);
  sn_k_end_for(b->k, 0, NULL);
}

void sn_entries_store(const sn_sum_block *x, const sn_sum *s) {
  sn_build_kernel *b = x->w.s.b;
  const sn_view *v = &s->to.view;
  sn_kwin w;
  sn_kv e = begin_pieces(x, s, &w), at[SN_VIEW_RANK] = {x->w.s.batch, x->w.s.head, x->w.s.q0, e};
  sn_kv sums = sn_k_load(b->k, width_of(x, s), SN_ATTEND_ENTRIES, w, 0);
  w = (sn_kwin){.buf = sn_build_buffer(b, s->to.slot),
                .off = sn_build_address(b, v, at),
                .rs = sn_build_dim(b, v->stride[2]),
                .cs = sn_build_dim(b, v->stride[3]),
                .nr = sn_build_limit(b, x->w.s.a->T, width_of(x, s), x->w.s.q0),
                .nc = sn_build_limit(b, s->entries, SN_ATTEND_ENTRIES, e)};
  sn_k_store(b->k, w, sums);
  sn_k_end_for(b->k, 0, NULL);
}

/* ---- all parts --------------------------------------------------------------------------------------------------- */

sn_code sn_entries_join(const sn_sums *m, const sn_sum *s) {
  const sn_attend *a = m->a;
  sn_types *t = a->c->types;
  sn_buffer_use use[2] = {{s->part.slot, SN_K_IN}, {s->to.slot, SN_K_OUT}};
  sn_build_kernel *b = sn_build_kernel_begin(a->c, "attend_entries", 2, use);
  sn_kernel *k = b->k;
  sn_build_grid(b, 3, a->B, a->H, sn_dimx_ceildiv(t, s->entries, sn_dimx_const(t, SN_ATTEND_ENTRIES)));
  sn_kv e = sn_k_imulc(k, sn_k_gid(k, 2), SN_ATTEND_ENTRIES);
  sn_kv sum = sn_k_const(k, SN_ELEM_F32, 1, SN_ATTEND_ENTRIES, 0);
  sn_kv i = sn_k_for(k, sn_k_i(k, 0), sn_build_dim(b, s->part.view.extent[2]), 1, 1, &sum);
  sn_kv from[SN_VIEW_RANK] = {sn_k_gid(k, 0), sn_k_gid(k, 1), i, e}, to[SN_VIEW_RANK] = {from[0], from[1], e};
  sn_kwin w = {.buf = sn_build_buffer(b, s->part.slot),
               .off = sn_build_address(b, &s->part.view, from),
               .nc = sn_build_limit(b, s->entries, SN_ATTEND_ENTRIES, e)};
  sum = sn_k_bin(k, SN_K_ADD, sum, sn_k_load(k, 1, SN_ATTEND_ENTRIES, w, 0));
  sn_k_end_for(k, 1, &sum);
  w.buf = sn_build_buffer(b, s->to.slot), w.off = sn_build_address(b, &s->to.view, to);
  w.cs = sn_build_dim(b, s->to.view.stride[2]);
  sn_k_store(k, w, sum);
  sn_report r = {.kind = "attend", .ops = sn_attend_ops(m->a, "entries"), .bytes_read = sn_sums_bytes(m, &s->part)};
  r.flops = sn_dimx_floordiv(t, r.bytes_read, sn_dimx_const(t, 4));
  r.bytes_written = sn_sums_bytes(m, &s->to);
  return sn_build_kernel_end(b, &r);
}
