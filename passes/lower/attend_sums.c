/* Schedule writer of `attend`, backward: the sums that gradients of captured tensors are made of. Probabilities are
 * computed again, as for dq; each kind of sum has a kernel whose instances own what they add up, so that there is one
 * order and no atomics:
 *   by query       one instance owns a block of queries and walks the keys
 *   by key         one instance owns a block of keys of one query head and walks the queries
 *   by entry       as by query, with the sums of all entries in scratch, or of those of each query (attend_entries.c)
 *   by difference  attend_diagonals.c
 *   by row         attend_row_sums.c: products of queries with captured rows
 *   by pair        one instance owns a block of pairs and walks the batches and heads that share it */
#include "passes/lower/attend_sums.h"

/* ---- what the kernels share -------------------------------------------------------------------------------------- */

sn_operand sn_sums_temp(const sn_sums *m, const sn_dimx *rows, const sn_dimx *columns) {
  sn_types *t = m->a->c->types;
  const sn_type *type = sn_type_of(t, SN_ELEM_F32, 4, (const sn_dimx *[]){m->a->B, m->a->H, rows, columns});
  sn_shape shape = sn_shape_of(type);
  return (sn_operand){sn_lower_temp(m->a->c, "sums", type, NULL), sn_view_of(t, &shape)};
}

const sn_dimx *sn_sums_bytes(const sn_sums *m, const sn_operand *o) {
  sn_types *t = m->a->c->types;
  const sn_dimx *n = sn_dimx_const(t, 4);
  for (int i = 0; i < o->view.rank; i++) n = sn_dimx_mul(t, n, o->view.extent[i]);
  return n;
}

static const sn_operand *target_of(const sn_sum *s) { return s->part.slot >= 0 ? &s->part : &s->to; }

sn_build_kernel *sn_sums_kernel(const sn_sums *m, const char *name, const bool *chosen) {
  sn_buffer_use use[2 * SN_ATTEND_SUMS + 8];
  int count = sn_attend_more_uses(m->a, m->delta, use);
  for (int i = 0; i < m->count; i++) {
    if (!chosen[i]) continue;
    use[count++] = (sn_buffer_use){target_of(&m->at[i])->slot, SN_K_OUT};
    if (m->at[i].range.slot >= 0) use[count++] = (sn_buffer_use){m->at[i].range.slot, SN_K_IN};
  }
  return sn_attend_kernel(m->a, name, count, use);
}

sn_sum_block sn_sums_block(const sn_sums *m, sn_build_kernel *b, bool keys_major, int bq, int bk) {
  return (sn_sum_block){
      .w = {.s = {.a = m->a, .b = b, .keys_major = keys_major, .bq = bq, .bk = bk}, .delta = *m->delta}};
}

void sn_sums_head(sn_sum_block *x, sn_kv head) {
  sn_kernel *k = x->w.s.b->k;
  int group = x->w.s.a->group;
  x->w.s.head = head;
  x->w.kv_head = group == 1 ? head : sn_k_ibin(k, SN_K_IDIV, head, sn_k_i(k, group));
}

static sn_kv product(const sn_sum_block *x, sn_kv queries, sn_kv keys) {
  const sn_site_block *s = &x->w.s;
  int flags = x->turned ? 0 : SN_K_TB;
  if (s->keys_major) return sn_k_mma(s->b->k, sn_attend_zero(&x->w, s->bk, s->bq), keys, queries, flags);
  return sn_k_mma(s->b->k, sn_attend_zero(&x->w, s->bq, s->bk), queries, keys, flags);
}

sn_code sn_sums_terms(const sn_sums *m, const sn_sum_block *x, sn_kv *term, sn_kv *entry) {
  sn_kernel *k = x->w.s.b->k;
  sn_kv products, p, d, *slope = SN_ARRAY(m->a->c->arena, m->a->slopes->result_count, sn_kv);
  sn_kv qk = product(x, x->q, x->k), dp = product(x, x->dy, x->v);
  SN_TRY(sn_attend_weights(&x->w, qk, dp, true, &products, &p, &d));
  if (m->a->weights) SN_TRY(sn_attend_hide(&x->w.s, true, &d)); /* else it is 0 there */
  SN_TRY(sn_attend_slopes(&x->w.s, products, slope));
  sn_ktype t = sn_k_type(k, d);
  sn_kv dead = sn_k_binc(k, SN_K_EQ, d, 0), zero = sn_attend_zero(&x->w, t.r, t.c);
  for (int i = 0; i < m->count; i++) { /* where nothing is seen, a slope may be anything */
    term[i] = sn_k_select(k, dead, zero, sn_k_bin(k, SN_K_MUL, d, slope[m->at[i].slope]));
    entry[i] = m->at[i].entry < 0 ? 0 : sn_k_bcast(k, t.r, t.c, slope[m->at[i].entry]);
  }
  return SN_OK;
}

sn_code sn_sums_end(const sn_sums *m, sn_build_kernel *b, const char *ops, const sn_dimx *written) {
  sn_report r = sn_attend_report(m->a, 0, m->a->node->arg_count, 1, 1);
  r.ops = sn_attend_ops(m->a, ops), r.bytes_written = written;
  return sn_build_kernel_end(b, &r);
}

static const sn_dimx *bytes_of(const sn_sums *m, const bool *chosen) {
  const sn_dimx *n = sn_dimx_const(m->a->c->types, 0);
  for (int i = 0; i < m->count; i++)
    if (chosen[i]) n = sn_dimx_add(m->a->c->types, n, sn_sums_bytes(m, target_of(&m->at[i])));
  return n;
}

static const sn_dimx *query_blocks(const sn_sums *m) {
  return sn_dimx_ceildiv(m->a->c->types, m->a->T, sn_dimx_const(m->a->c->types, m->a->bq));
}

static bool choose(const sn_sums *m, int kind, bool *chosen) {
  bool any = false;
  for (int i = 0; i < m->count; i++) {
    bool fits = m->at[i].kind == kind || (kind == SN_SUM_PAIRS && m->at[i].kind > kind && m->at[i].kind < SN_SUM_ROWS);
    any |= chosen[i] = fits && m->at[i].to.slot >= 0;
  }
  return any;
}

/* Stores a row or column of sums of the positions from `at` on. */
static void store_line(const sn_sum_block *x, const sn_operand *o, sn_kv at, const sn_dimx *extent, sn_kv tile) {
  sn_build_kernel *b = x->w.s.b;
  sn_ktype t = sn_k_type(b->k, tile);
  sn_kv from[SN_VIEW_RANK] = {x->w.s.batch, x->w.s.head, at}, stride = sn_build_dim(b, o->view.stride[2]);
  sn_kwin w = {.buf = sn_build_buffer(b, o->slot), .off = sn_build_address(b, &o->view, from)};
  if (t.c > 1)
    w.cs = stride, w.nc = sn_build_limit(b, extent, t.c, at);
  else
    w.rs = stride, w.nr = sn_build_limit(b, extent, t.r, at);
  sn_k_store(b->k, w, tile);
}

/* ---- by query ---------------------------------------------------------------------------------------------------- */

static bool is_line(const sn_sum *s) { return s->kind == SN_SUM_QUERIES; }
static bool is_entries(const sn_sum *s) { return s->kind == SN_SUM_ENTRIES; } /* of all queries of the part */
static bool is_table(const sn_sum *s) { return s->kind == SN_SUM_TABLES; }    /* of each query */

static void add_terms(sn_sums *m, const sn_sum_block *x, const bool *chosen, const sn_kv *term, const sn_kv *entry,
                      sn_kv *line) {
  sn_kernel *k = x->w.s.b->k;
  int axis = x->w.s.keys_major ? 0 : 1, n = 0;
  for (int i = 0; i < m->count; i++) {
    if (!chosen[i]) continue;
    if (is_line(&m->at[i]))
      line[n] = sn_k_bin(k, SN_K_ADD, line[n], sn_k_reduce(k, SN_K_RSUM, axis, term[i])), n++;
    else
      sn_entries_add(x, &m->at[i], term[i], entry[i]);
  }
}

/* What a walk over blocks adds up. */
typedef struct adder {
  sn_sums *m;
  sn_sum_block *x;
  const bool *chosen;
  int which; /* by pair: the sum */
} adder;

static sn_code add_keys(void *user, bool masked, sn_kv *line) {
  const adder *a = user;
  sn_sum_block *x = a->x;
  sn_kv term[SN_ATTEND_SUMS], entry[SN_ATTEND_SUMS];
  (void)masked;
  x->k = sn_attend_key_rows(&x->w, false), x->v = sn_attend_key_rows(&x->w, true);
  SN_TRY(sn_sums_terms(a->m, x, term, entry));
  add_terms(a->m, x, a->chosen, term, entry, line);
  return SN_OK;
}

/* Walks the keys of the block of queries. */
static sn_code walk_keys(sn_sums *m, sn_sum_block *x, const bool *chosen, int lines, sn_kv *line) {
  sn_mask_range r = sn_attend_range(&x->w.s, false);
  adder a = {.m = m, .x = x, .chosen = chosen};
  sn_walk w = {.s = &x->w.s, .masked = true, .step = add_keys, .user = &a};
  return sn_attend_walk(&w, &r, lines, line);
}

static void begin_queries(sn_sum_block *x) {
  sn_kernel *k = x->w.s.b->k;
  x->q = sn_attend_query_rows(&x->w, false), x->dy = sn_attend_query_rows(&x->w, true);
  x->turned = x->w.s.keys_major;
  if (x->turned) x->q = sn_k_trans(k, x->q), x->dy = sn_k_trans(k, x->dy);
}

/* The block of queries at s.q0. */
static sn_code one_block(sn_sums *m, sn_sum_block *x, const bool *chosen) {
  const sn_attend *a = m->a;
  sn_kv line[SN_ATTEND_SUMS];
  int lines = 0, n = 0;
  begin_queries(x);
  for (int i = 0; i < m->count; i++)
    if (chosen[i] && is_table(&m->at[i])) sn_entries_begin(x, &m->at[i]);
  for (int i = 0; i < m->count; i++)
    if (chosen[i] && is_line(&m->at[i]))
      line[lines++] = x->w.s.keys_major ? sn_attend_zero(&x->w, 1, a->bq) : sn_attend_zero(&x->w, a->bq, 1);
  SN_TRY(walk_keys(m, x, chosen, lines, line));
  for (int i = 0; i < m->count; i++)
    if (chosen[i] && is_table(&m->at[i])) sn_entries_store(x, &m->at[i]);
  for (int i = 0; i < m->count; i++)
    if (chosen[i] && is_line(&m->at[i])) store_line(x, &m->at[i].to, x->w.s.q0, a->T, line[n++]);
  return SN_OK;
}

/* All blocks of queries of a part of `size` of them. */
static sn_code walk_part(sn_sums *m, sn_sum_block *x, const bool *chosen, sn_kv part, int size) {
  sn_build_kernel *b = x->w.s.b;
  sn_kernel *k = b->k;
  if (size == 1) {
    x->w.s.q0 = sn_k_imulc(k, part, m->a->bq);
    return one_block(m, x, chosen);
  }
  sn_kv from = sn_k_imulc(k, part, size), to = sn_k_iadd(k, from, sn_k_i(k, size));
  sn_kv i = sn_k_for(k, from, sn_k_ibin(k, SN_K_IMIN, to, sn_build_dim(b, query_blocks(m))), 1, 0, NULL);
  x->w.s.q0 = sn_k_imulc(k, i, m->a->bq);
  sn_code code = one_block(m, x, chosen);
  sn_k_end_for(k, 0, NULL);
  return code;
}

static sn_code emit_by_query(sn_sums *m, const bool *chosen, int size, const char *ops) {
  const sn_attend *a = m->a;
  sn_types *t = a->c->types;
  sn_build_kernel *b = sn_sums_kernel(m, "attend_by_query", chosen);
  sn_kernel *k = b->k;
  sn_build_grid(b, 3, a->B, a->H, sn_dimx_ceildiv(t, query_blocks(m), sn_dimx_const(t, size)));
  sn_sum_block x = sn_sums_block(m, b, a->c->target->scores_keys_major, a->bq, a->bk);
  sn_kv part = sn_k_gid(k, 2);
  x.w.s.batch = sn_k_gid(k, 0);
  sn_sums_head(&x, sn_k_gid(k, 1));
  x.w.s.start = sn_attend_start(&x.w.s);
  for (int i = 0; i < m->count; i++)
    if (chosen[i] && is_entries(&m->at[i])) sn_entries_begin(&x, &m->at[i]);
  SN_TRY(walk_part(m, &x, chosen, part, size));
  for (int i = 0; i < m->count; i++)
    if (chosen[i] && is_entries(&m->at[i])) sn_entries_end(&x, &m->at[i], part);
  return sn_sums_end(m, b, ops, bytes_of(m, chosen));
}

/* Sums by query and by entry. */
static sn_code by_query(sn_sums *m) {
  bool chosen[SN_ATTEND_SUMS], table[SN_ATTEND_SUMS];
  bool lines = choose(m, SN_SUM_QUERIES, chosen), entries = choose(m, SN_SUM_ENTRIES, table);
  bool queries[SN_ATTEND_SUMS], tables = choose(m, SN_SUM_TABLES, queries);
  int size = 1;
  for (int i = 0; i < m->count; i++) table[i] |= queries[i];
  entries |= tables;
  if (!lines && !entries) return SN_OK;
  for (int i = 0; i < m->count; i++)
    if (table[i] && size < sn_entries_part(&m->at[i])) size = sn_entries_part(&m->at[i]);
  for (int i = 0; i < m->count; i++) {
    if (table[i]) SN_TRY(sn_entries_find(m, &m->at[i], size));
    chosen[i] |= table[i];
  }
  const char *ops = !entries ? "by_query" : lines ? "by_query_and_entry" : "by_entry";
  SN_TRY(emit_by_query(m, chosen, size, ops));
  for (int i = 0; i < m->count; i++)
    if (table[i] && is_entries(&m->at[i])) SN_TRY(sn_entries_join(m, &m->at[i]));
  return SN_OK;
}

/* ---- by key ------------------------------------------------------------------------------------------------------ */

static sn_code add_queries(void *user, bool masked, sn_kv *line) {
  const adder *a = user;
  sn_sum_block *x = a->x;
  sn_kernel *k = x->w.s.b->k;
  sn_kv term[SN_ATTEND_SUMS], entry[SN_ATTEND_SUMS];
  (void)masked;
  x->q = sn_attend_query_rows(&x->w, false), x->dy = sn_attend_query_rows(&x->w, true);
  SN_TRY(sn_sums_terms(a->m, x, term, entry));
  for (int i = 0, n = 0; i < a->m->count; i++)
    if (a->chosen[i]) line[n] = sn_k_bin(k, SN_K_ADD, line[n], sn_k_reduce(k, SN_K_RSUM, 0, term[i])), n++;
  return SN_OK;
}

static sn_code walk_queries(sn_sums *m, sn_sum_block *x, const bool *chosen, int lines, sn_kv *line) {
  sn_mask_range r = sn_attend_range(&x->w.s, true);
  adder a = {.m = m, .x = x, .chosen = chosen};
  sn_walk w = {.s = &x->w.s, .over_queries = true, .masked = true, .step = add_queries, .user = &a};
  return sn_attend_walk(&w, &r, lines, line);
}

static sn_code by_key(sn_sums *m) {
  const sn_attend *a = m->a;
  sn_types *t = a->c->types;
  bool chosen[SN_ATTEND_SUMS];
  if (!choose(m, SN_SUM_KEYS, chosen)) return SN_OK;
  sn_build_kernel *b = sn_sums_kernel(m, "attend_by_key", chosen);
  sn_kernel *k = b->k;
  sn_build_grid(b, 3, a->B, a->H, sn_dimx_ceildiv(t, a->S, sn_dimx_const(t, a->bk)));
  sn_sum_block x = sn_sums_block(m, b, false, a->bq, a->bk);
  sn_kv line[SN_ATTEND_SUMS];
  int lines = 0, n = 0;
  x.w.s.batch = sn_k_gid(k, 0), x.w.s.k0 = sn_k_imulc(k, sn_k_gid(k, 2), a->bk);
  sn_sums_head(&x, sn_k_gid(k, 1));
  x.w.s.start = sn_attend_start(&x.w.s);
  x.k = sn_k_trans(k, sn_attend_key_rows(&x.w, false)), x.v = sn_k_trans(k, sn_attend_key_rows(&x.w, true));
  x.turned = true;
  for (int i = 0; i < m->count; i++)
    if (chosen[i]) line[lines++] = sn_attend_zero(&x.w, 1, a->bk);
  SN_TRY(walk_queries(m, &x, chosen, lines, line));
  for (int i = 0; i < m->count; i++)
    if (chosen[i]) store_line(&x, &m->at[i].to, x.w.s.k0, a->S, line[n++]);
  return sn_sums_end(m, b, "by_key", bytes_of(m, chosen));
}

/* ---- by pair ----------------------------------------------------------------------------------------------------- */

static sn_code add_block(void *user, bool masked, sn_kv *sum) {
  const adder *a = user;
  sn_sum_block *x = a->x;
  sn_kv term[SN_ATTEND_SUMS], entry[SN_ATTEND_SUMS];
  (void)masked;
  x->q = sn_attend_query_rows(&x->w, false), x->dy = sn_attend_query_rows(&x->w, true);
  x->k = sn_attend_key_rows(&x->w, false), x->v = sn_attend_key_rows(&x->w, true);
  SN_TRY(sn_sums_terms(a->m, x, term, entry));
  *sum = sn_k_bin(x->w.s.b->k, SN_K_ADD, *sum, term[a->which]);
  return SN_OK;
}

/* Adds the term of one batch and head, if any of the block is seen. */
static sn_code add_pairs(sn_sums *m, sn_sum_block *x, int which, sn_kv *sum) {
  sn_kernel *k = x->w.s.b->k;
  sn_kv k0 = x->w.s.k0, end = sn_k_iadd(k, k0, sn_k_i(k, x->w.s.bk));
  x->w.s.start = sn_attend_start(&x->w.s);
  sn_mask_range r = sn_attend_range(&x->w.s, false);
  r.lo = sn_k_ibin(k, SN_K_IMAX, r.lo, k0), r.hi = sn_k_ibin(k, SN_K_IMIN, r.hi, end); /* one block or none */
  adder a = {.m = m, .x = x, .which = which};
  sn_walk w = {.s = &x->w.s, .masked = true, .step = add_block, .user = &a};
  SN_TRY(sn_attend_walk(&w, &r, 1, sum));
  x->w.s.k0 = k0;
  return SN_OK;
}

/* Batches and heads that are no axis of the sum are walked. */
static sn_code walk_sharing(sn_sums *m, sn_sum_block *x, int which, sn_kv instance, sn_kv *sum) {
  sn_build_kernel *b = x->w.s.b;
  sn_kernel *k = b->k;
  bool batch = (m->at[which].kind - SN_SUM_PAIRS) & 1, head = (m->at[which].kind - SN_SUM_PAIRS) & 2;
  sn_kv heads = head ? sn_build_dim(b, m->a->H) : sn_k_i(k, 1), zero = sn_k_i(k, 0);
  x->w.s.batch = sn_k_ibin(k, SN_K_IDIV, instance, heads);
  if (!batch) x->w.s.batch = sn_k_for(k, zero, sn_build_dim(b, m->a->B), 1, 1, sum);
  sn_kv own = head ? sn_k_ibin(k, SN_K_IMOD, instance, heads) : 0;
  sn_sums_head(x, head ? own : sn_k_for(k, zero, sn_build_dim(b, m->a->H), 1, 1, sum));
  SN_TRY(add_pairs(m, x, which, sum));
  if (!head) sn_k_end_for(k, 1, sum);
  if (!batch) sn_k_end_for(k, 1, sum);
  return SN_OK;
}

static sn_code lower_pairs(sn_sums *m, int which) {
  const sn_attend *a = m->a;
  sn_types *t = a->c->types;
  bool chosen[SN_ATTEND_SUMS] = {0};
  const sn_operand *to = &m->at[which].to;
  chosen[which] = true;
  sn_build_kernel *b = sn_sums_kernel(m, "attend_by_pair", chosen);
  sn_kernel *k = b->k;
  sn_build_grid(b, 3, sn_dimx_mul(t, to->view.extent[0], to->view.extent[1]), query_blocks(m),
                sn_dimx_ceildiv(t, a->S, sn_dimx_const(t, a->bk)));
  sn_sum_block x = sn_sums_block(m, b, false, a->bq, a->bk);
  sn_kv sum = sn_attend_zero(&x.w, a->bq, a->bk), instance = sn_k_gid(k, 0);
  x.w.s.q0 = sn_k_imulc(k, sn_k_gid(k, 1), a->bq), x.w.s.k0 = sn_k_imulc(k, sn_k_gid(k, 2), a->bk);
  SN_TRY(walk_sharing(m, &x, which, instance, &sum));
  sn_kv heads = sn_build_dim(b, to->view.extent[1]);
  sn_kv at[SN_VIEW_RANK] = {sn_k_ibin(k, SN_K_IDIV, instance, heads), sn_k_ibin(k, SN_K_IMOD, instance, heads),
                            x.w.s.q0, x.w.s.k0};
  sn_kwin w = {.buf = sn_build_buffer(b, to->slot),
               .off = sn_build_address(b, &to->view, at),
               .rs = sn_build_dim(b, to->view.stride[2]),
               .cs = sn_build_dim(b, to->view.stride[3]),
               .nr = sn_build_limit(b, a->T, a->bq, x.w.s.q0),
               .nc = sn_build_limit(b, a->S, a->bk, x.w.s.k0)};
  sn_k_store(k, w, sum);
  return sn_sums_end(m, b, "by_pair", bytes_of(m, chosen));
}

/* ------------------------------------------------------------------------------------------------------------------ */

static void read_sums(sn_sums *m) {
  const sn_node *n = m->a->node;
  const sn_attr *sums = sn_node_attr(n, "sums"), *entries = sn_node_attr(n, "entries");
  sn_buffer_use unused[1];
  m->count = sums->count;
  for (int i = 0, tables = 0, numbers = 0; i < m->count; i++) {
    bool table = sums->ints[i] == SN_SUM_ENTRIES || sums->ints[i] == SN_SUM_TABLES;
    m->at[i] = (sn_sum){.slope = i, .entry = table ? m->count + numbers : -1, .kind = (int)sums->ints[i]};
    if (table) m->at[i].entries = entries->dims[tables++];
    numbers += table || sums->ints[i] >= SN_SUM_ROWS;
    m->at[i].part.slot = m->at[i].range.slot = -1;
    (void)sn_attend_sink(m->a, 3 + i, &m->at[i].to, unused, 0);
  }
}

sn_code sn_attend_sums(sn_attend *a, const sn_operand *delta) {
  sn_sums m = {.a = a, .delta = delta};
  bool differences[SN_ATTEND_SUMS], pairs[SN_ATTEND_SUMS];
  if (sn_node_attr(a->node, "sums")->count > SN_ATTEND_SUMS)
    return sn_lower_fail(a->c, "attention: more than %d sums for captured tensors", SN_ATTEND_SUMS);
  read_sums(&m);
  SN_TRY(by_query(&m));
  SN_TRY(by_key(&m));
  if (choose(&m, SN_SUM_DIFFERENCES, differences)) SN_TRY(sn_sums_by_difference(&m, differences));
  (void)choose(&m, SN_SUM_PAIRS, pairs);
  for (int i = 0; i < m.count; i++)
    if (pairs[i]) SN_TRY(lower_pairs(&m, i));
  return sn_sums_of_rows(&m);
}
