/* scatter_add where many instances are wanted, in five steps without atomics:
 *   keys     the row of each update
 *   ranks    the place of each update when they are ordered by row, equal rows in the order of the updates: how many
 *            come before it
 *   order    the updates in that order
 *   starts   of each row: how many updates come before it
 *   scatter  each row adds its updates, in order
 * Updates that go to row 0, 1, .. one after the other take one step. */
#include "passes/lower/index.h"

enum { UPDATES = 32, AGAINST = 256, TOGETHER = 4 };

typedef struct sorted {
  sn_indexing *x;
  sn_build_kernel *b;
  sn_numbers index;
  int batch, indices;                        /* axes of the updates: batch.., numbered.., rest.. */
  const sn_dimx *sets, *count, *rows, *ends; /* sets of indices, indices of each, rows of the result, and one more */
  int keys, ranks, order, starts;            /* slots, i32: [sets, count], the last [sets, ends] */
} sorted;

static const sn_dimx *product(const sorted *s, int from, int to) {
  const sn_dimx *n = sn_dimx_const(s->x->c->types, 1);
  const sn_type *index = sn_val_type(s->x->c->body, s->x->n->arg[0]);
  for (int i = from; i < to; i++) n = sn_dimx_mul(s->x->c->types, n, index->dim[i]);
  return n;
}

static int table(const sorted *s, const char *name, const sn_dimx *count) {
  const sn_dimx *dim[2] = {s->sets, count};
  return sn_lower_temp(s->x->c, name, sn_type_of(s->x->c->types, SN_ELEM_I32, 2, dim), NULL);
}

static const sn_dimx *bytes_of(const sorted *s, int slot) {
  return sn_type_bytes(s->x->c->types, sn_lower_slot_type(s->x->c, slot));
}

static void begin(sorted *s, const char *name, int from, int to) {
  sn_buffer_use use[3] = {{to, SN_K_OUT}};
  int count = 1;
  if (from >= 0)
    use[count++] = (sn_buffer_use){from, SN_K_IN};
  else
    count = sn_numbers_use(&s->index, use, count);
  s->b = sn_build_kernel_begin(s->x->c, name, count, use);
}

/* A step of integers: nothing of it counts as a floating-point operation. */
static sn_code end(sorted *s, const sn_dimx *read, int to) {
  sn_report report = {.kind = "index", .ops = "scatter_add", .bytes_read = read, .bytes_written = bytes_of(s, to)};
  return sn_build_kernel_end(s->b, &report);
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static sn_code make_keys(sorted *s) {
  sn_lower_ctx *c = s->x->c;
  sn_axis_block a[SN_VIEW_RANK];
  sn_group space = {.space = sn_shape_of(sn_val_type(c->body, s->x->n->arg[0]))};
  begin(s, sn_kernel_name_of(c, "keys"), -1, s->keys);
  sn_kernel *k = s->b->k;
  sn_tile t = {.b = s->b, .g = &space, .row = -1, .r = 1, .col = s->indices > s->batch ? s->indices - 1 : -1};
  t.c = t.col < 0 ? 1 : sn_block_of(space.space.extent[t.col], AGAINST);
  for (int i = 0; i < s->indices; i++) a[i] = (sn_axis_block){.axis = i, .block = i == t.col ? t.c : 1};
  sn_tile_grid(&t, s->indices, a);
  sn_tile_limits(&t);
  sn_view flat = sn_view_of(c->types, &space.space);
  sn_kv key = sn_numbers_tile(s->b, &s->index, &t, s->rows);
  sn_kwin w = {.buf = sn_build_buffer(s->b, s->keys), .off = sn_build_address(s->b, &flat, t.at), .nc = t.col_limit};
  sn_k_store(k, w, key);
  return end(s, sn_numbers_bytes(s->x, s->x->n->arg[0]), s->keys);
}

/* ---- ranks and starts -------------------------------------------------------------------------------------------- */

/* What is counted for UPDATES updates or rows: the keys that come before. */
typedef struct counting {
  sn_kv set, first; /* of the keys; number of the first update or row */
  sn_kv mine;       /* [UPDATES, 1]: keys of the updates, or rows */
  sn_kv sum;        /* [UPDATES, AGAINST] */
} counting;

/* Keys from `at` on: before mine when less; `order` SN_K_LE: or equal; SN_K_EQ: or equal and of an earlier update. */
static sn_kv before(sorted *s, const counting *n, sn_kop order, sn_kv at, bool bounded) {
  sn_kernel *k = s->b->k;
  sn_kwin w = {.buf = sn_build_buffer(s->b, s->keys), .off = sn_k_iadd(k, n->set, at)};
  if (bounded) w.nc = sn_k_isub(k, sn_build_dim(s->b, s->count), at);
  sn_kv keys = sn_k_load(k, 1, AGAINST, w, INT32_MAX);
  if (order != SN_K_EQ) return sn_k_bin(k, order, keys, n->mine);
  sn_kv earlier = sn_k_bin(k, SN_K_LT, sn_k_iota(k, 1, AGAINST, 1, at), sn_k_iota(k, UPDATES, 1, 0, n->first));
  sn_kv same = sn_k_bin(k, SN_K_AND, sn_k_bin(k, SN_K_EQ, keys, n->mine), earlier);
  return sn_k_bin(k, SN_K_OR, sn_k_bin(k, SN_K_LT, keys, n->mine), same);
}

static sn_kv counted(sorted *s, const counting *n, sn_kop order, sn_kv at, bool bounded, sn_kv sum) {
  return sn_k_bin(s->b->k, SN_K_ADD, sum, sn_k_cast(s->b->k, SN_ELEM_I32, before(s, n, order, at, bounded)));
}

static void sweep(sorted *s, counting *n, sn_kop order, sn_kv from, sn_kv to, bool bounded) {
  sn_kernel *k = s->b->k;
  sn_kv at = sn_k_for(k, from, to, AGAINST, 1, &n->sum);
  n->sum = counted(s, n, order, at, bounded, n->sum);
  sn_k_end_for(k, 1, &n->sum);
}

/* Blocks that are whole need no limit, and so are read in long pieces. */
static void sweep_rest(sorted *s, counting *n, sn_kv from) {
  sn_kernel *k = s->b->k;
  sn_kv count = sn_build_dim(s->b, s->count), whole = sn_k_i(k, AGAINST);
  whole = sn_k_ibin(k, SN_K_IMUL, sn_k_ibin(k, SN_K_IDIV, count, whole), whole);
  sweep(s, n, SN_K_LT, from, whole, false);
  sweep(s, n, SN_K_LT, sn_k_ibin(k, SN_K_IMAX, from, whole), count, true);
}

static sn_code make_counts(sorted *s, const char *name, const sn_dimx *count, int to) {
  begin(s, sn_kernel_name_of(s->x->c, name), s->keys, to);
  sn_kernel *k = s->b->k;
  bool ranks = to == s->ranks;
  sn_types *t = s->x->c->types;
  sn_build_grid(s->b, 2, s->sets, sn_dimx_ceildiv(t, count, sn_dimx_const(t, UPDATES)), NULL);
  sn_kv set = sn_dimx_is_one(s->sets) ? sn_k_i(k, 0) : sn_build_id(s->b, 0);
  counting n = {.set = sn_k_imul(k, set, sn_build_dim(s->b, s->count)),
                .first = sn_k_imulc(k, sn_build_id(s->b, 1), UPDATES),
                .sum = sn_k_const(k, SN_ELEM_I32, UPDATES, AGAINST, 0)};
  sn_kwin w = {.buf = sn_build_buffer(s->b, s->keys), .rs = sn_k_i(k, 1), .cs = sn_k_i(k, 0)};
  w.off = sn_k_iadd(k, n.set, n.first), w.nr = sn_build_limit(s->b, count, UPDATES, n.first);
  n.mine = ranks ? sn_k_load(k, UPDATES, 1, w, 0) : sn_k_iota(k, UPDATES, 1, 0, n.first);
  sn_kv next = sn_k_i(k, 0);
  if (ranks) { /* earlier blocks, the block of these updates, later ones */
    sn_kv own = sn_k_imulc(k, sn_k_ibin(k, SN_K_IDIV, n.first, sn_k_i(k, AGAINST)), AGAINST);
    sweep(s, &n, SN_K_LE, next, own, false);
    n.sum = counted(s, &n, SN_K_EQ, own, true, n.sum);
    next = sn_k_iadd(k, own, sn_k_i(k, AGAINST));
  }
  sweep_rest(s, &n, next);
  w.buf = sn_build_buffer(s->b, to);
  w.off = sn_k_iadd(k, sn_k_imul(k, set, sn_build_dim(s->b, count)), n.first);
  sn_k_store(k, w, sn_k_reduce(k, SN_K_RSUM, 1, n.sum));
  return end(s, bytes_of(s, s->keys), to);
}

static sn_code make_order(sorted *s) {
  begin(s, sn_kernel_name_of(s->x->c, "order"), s->ranks, s->order);
  sn_kernel *k = s->b->k;
  sn_build_grid(s->b, 2, s->sets, s->count, NULL);
  sn_kv set = sn_dimx_is_one(s->sets) ? sn_k_i(k, 0) : sn_build_id(s->b, 0), i = sn_build_id(s->b, 1);
  set = sn_k_imul(k, set, sn_build_dim(s->b, s->count));
  sn_kv rank = sn_k_iload(k, sn_build_buffer(s->b, s->ranks), sn_k_iadd(k, set, i));
  sn_kwin w = {.buf = sn_build_buffer(s->b, s->order), .off = sn_k_iadd(k, set, rank)};
  sn_k_store(k, w, sn_k_isplat(k, 1, 1, i));
  return end(s, bytes_of(s, s->ranks), s->order);
}

/* ---- sums -------------------------------------------------------------------------------------------------------- */

typedef struct summing {
  sorted *s;
  sn_tile t;    /* of the updates: one row of columns */
  sn_kwin out;  /* its place in the result */
  sn_kv set;    /* number of the first index of its set */
  sn_kv lo, hi; /* places of its updates in the order */
} summing;

/* Grid over all axes of the result; the tile spans its last one, unless that is numbered. */
static void choose_row(summing *m) {
  sorted *s = m->s;
  sn_build_kernel *b = s->b;
  sn_kernel *k = b->k;
  const sn_view *v = &s->x->result;
  sn_axis_block a[SN_VIEW_RANK];
  sn_group space = {.space = sn_shape_of(s->x->n->type[0])};
  sn_tile t = {.b = b, .g = &space, .row = -1, .r = 1, .col = v->rank - 1 > s->batch ? v->rank - 1 : -1};
  t.c = t.col < 0 ? 1 : sn_block_of(space.space.extent[t.col], s->x->c->target->cols);
  for (int i = 0; i < v->rank; i++) a[i] = (sn_axis_block){.axis = i, .block = i == t.col ? t.c : 1};
  sn_tile_grid(&t, v->rank, a);
  sn_tile_limits(&t);
  int slot = s->x->slot;
  m->out = (sn_kwin){.buf = sn_build_buffer(b, slot), .off = sn_build_address(b, v, t.at), .nc = t.col_limit};
  if (t.col >= 0) m->out.cs = sn_build_dim(b, v->stride[t.col]);
  sn_kv row = t.at[s->batch] ? t.at[s->batch] : sn_k_i(k, 0), set = sn_k_i(k, 0);
  for (int i = 0; i < v->rank; i++) {
    int axis = i < s->batch ? i : i - s->batch - 1 + s->indices;
    if (i != s->batch) m->t.at[axis] = t.at[i];
    if (i < s->batch) set = sn_k_imul(k, set, sn_build_dim(b, v->extent[i]));
    if (i < s->batch && t.at[i]) set = sn_k_iadd(k, set, t.at[i]);
  }
  m->t.row = -1, m->t.r = 1, m->t.c = t.c, m->t.col_limit = t.col_limit;
  m->t.col = t.col < 0 ? -1 : t.col - s->batch - 1 + s->indices;
  sn_kv starts = sn_build_buffer(b, s->starts);
  sn_kv at = sn_k_iadd(k, sn_k_imul(k, set, sn_build_dim(b, s->ends)), row);
  m->lo = sn_k_iload(k, starts, at), m->hi = sn_k_iload(k, starts, sn_k_iadd(k, at, sn_k_i(k, 1)));
  m->set = sn_k_imul(k, set, sn_build_dim(b, s->count));
}

/* The update at a place of the order. */
static sn_kv update(summing *m, sn_kv place, sn_elem e) {
  sorted *s = m->s;
  sn_kernel *k = s->b->k;
  sn_tile *t = &m->t;
  sn_kv number = sn_k_iload(k, sn_build_buffer(s->b, s->order), sn_k_iadd(k, m->set, place));
  for (int i = s->indices - 1; i >= s->batch; i--) {
    sn_kv extent = sn_build_dim(s->b, t->g->space.extent[i]);
    t->at[i] = i > s->batch ? sn_k_ibin(k, SN_K_IMOD, number, extent) : number;
    if (i > s->batch) number = sn_k_ibin(k, SN_K_IDIV, number, extent);
  }
  t->memo = sn_tile_memo_new(s->x->c->arena, NULL);
  sn_kv u = sn_tile_value(t, t->g->output[0].value, t->g->output[0].chain);
  return sn_k_cast(k, e, sn_k_bcast(k, 1, t->c, u));
}

/* Several updates at once, so that their loads do not wait for each other. */
static sn_kv sum_of(summing *m, sn_elem e, sn_kv sum) {
  sn_kernel *k = m->s->b->k;
  sn_kv zero = sn_k_const(k, e, 1, m->t.c, 0), last = sn_k_iadd(k, m->hi, sn_k_i(k, -1)), part[TOGETHER];
  sn_kv at = sn_k_for(k, m->lo, m->hi, TOGETHER, 1, &sum);
  for (int i = 0; i < TOGETHER; i++) {
    sn_kv place = sn_k_iadd(k, at, sn_k_i(k, i));
    part[i] = update(m, i ? sn_k_ibin(k, SN_K_IMIN, place, last) : place, e);
    sn_kv exists = sn_k_bin(k, SN_K_LT, sn_k_isplat(k, 1, 1, place), sn_k_isplat(k, 1, 1, m->hi));
    if (i) part[i] = sn_k_select(k, exists, part[i], zero);
  }
  for (int i = 0; i < TOGETHER; i++) sum = sn_k_bin(k, SN_K_ADD, sum, part[i]);
  sn_k_end_for(k, 1, &sum);
  return sum;
}

static sn_code make_sums(sorted *s, sn_group *g) {
  sn_lower_ctx *c = s->x->c;
  sn_types *t = c->types;
  sn_buffer_use use[SN_LOWER_BUFFERS];
  int count = sn_group_buffers(c, g, use, 0);
  use[count++] = (sn_buffer_use){s->order, SN_K_IN};
  use[count++] = (sn_buffer_use){s->starts, SN_K_IN};
  use[count++] = (sn_buffer_use){s->x->slot, SN_K_OUT};
  if (s->x->onto) use[count++] = (sn_buffer_use){s->x->slot, SN_K_IN};
  s->b = sn_build_kernel_begin(c, sn_kernel_name_of(c, "scatter"), count, use);
  sn_kernel *k = s->b->k;
  summing m = {.s = s, .t = {.b = s->b, .g = g}};
  sn_elem to = sn_lower_slot_type(c, s->x->slot)->elem;
  choose_row(&m);
  sn_elem e = sn_compute_elem(to);
  if (s->x->onto) (void)sn_k_for(k, m.lo, sn_k_ibin(k, SN_K_IMIN, m.hi, sn_k_iadd(k, m.lo, sn_k_i(k, 1))), 1, 0, NULL);
  sn_kv sum = sum_of(&m, e, sn_k_const(k, e, 1, m.t.c, 0));
  if (s->x->onto) sum = sn_k_bin(k, SN_K_ADD, sn_k_cast(k, e, sn_k_load(k, 1, m.t.c, m.out, 0)), sum);
  sn_k_store(k, m.out, sn_k_cast(k, to, sum));
  if (s->x->onto) sn_k_end_for(k, 0, NULL); /* rows without updates stay as they are */
  sn_report report = {.kind = "index", .flops = sn_type_count(t, sn_val_type(c->body, s->x->n->arg[1]))};
  report.bytes_written = sn_index_added_bytes(s->x);
  report.bytes_read = sn_dimx_add(t, bytes_of(s, s->order), bytes_of(s, s->starts));
  if (s->x->onto) report.bytes_read = sn_dimx_add(t, report.bytes_read, report.bytes_written);
  report.bytes_read = sn_dimx_add(t, report.bytes_read, sn_groups_bytes_read(c, 1, &g));
  return sn_build_kernel_end(s->b, &report);
}

/* ---- positions --------------------------------------------------------------------------------------------------- */

/* Does update i go to row i? */
static bool is_in_place(const sorted *s) {
  const sn_view *v = &s->index.view;
  if (s->index.slot >= 0 || s->indices != s->batch + 1 || !sn_dimx_is_zero(v->offset)) return false;
  for (int i = 0; i < s->batch; i++)
    if (!sn_dimx_is_zero(v->stride[i])) return false;
  return sn_dimx_is_one(v->stride[s->batch]) &&
         (s->count == s->rows || sn_dimx_max_value(s->count) <= sn_dimx_min_value(s->rows));
}

/* Updates and zeros behind them: both have the same axes. */
static sn_code place(sorted *s, sn_group *g) {
  sn_lower_ctx *c = s->x->c;
  sn_buffer_use use[SN_LOWER_BUFFERS];
  int count = sn_group_buffers(c, g, use, 0);
  use[count++] = (sn_buffer_use){s->x->slot, SN_K_OUT};
  if (s->x->onto) use[count++] = (sn_buffer_use){s->x->slot, SN_K_IN};
  sn_build_kernel *b = sn_build_kernel_begin(c, sn_kernel_name_of(c, "place"), count, use);
  sn_kernel *k = b->k;
  const sn_view *v = &s->x->result;
  sn_group space = {.space = sn_shape_of(s->x->n->type[0])};
  sn_axis_block a[SN_VIEW_RANK];
  sn_tile t = {.b = b, .g = &space, .row = s->batch, .col = v->rank - 1 > s->batch ? v->rank - 1 : -1};
  t.c = t.col < 0 ? 1 : sn_block_of(v->extent[t.col], c->target->cols);
  t.r = sn_block_of(s->rows, c->target->cols / t.c < 64 ? c->target->cols / t.c : 64);
  for (int i = 0; i < v->rank; i++) a[i] = (sn_axis_block){.axis = i, .block = i == t.col ? t.c : i == t.row ? t.r : 1};
  sn_tile_grid(&t, v->rank, a);
  sn_tile_limits(&t);
  sn_kwin w = {.buf = sn_build_buffer(b, s->x->slot), .off = sn_build_address(b, v, t.at), .nr = t.row_limit};
  w.rs = sn_build_dim(b, v->stride[t.row]), w.cs = sn_k_i(k, 0);
  if (t.col >= 0) w.cs = sn_build_dim(b, v->stride[t.col]), w.nc = t.col_limit;
  t.g = g, t.memo = sn_tile_memo_new(c->arena, NULL);
  t.row_limit = sn_k_isub(k, sn_build_dim(b, s->count), t.at[t.row] ? t.at[t.row] : sn_k_i(k, 0));
  sn_elem to = sn_lower_slot_type(c, s->x->slot)->elem, e = sn_compute_elem(to);
  sn_kv u = sn_k_bcast(k, t.r, t.c, sn_k_cast(k, e, sn_tile_value(&t, g->output[0].value, g->output[0].chain)));
  sn_kv exists = sn_k_bin(k, SN_K_LT, sn_k_iota(k, t.r, 1, 0, sn_k_i(k, 0)), sn_k_isplat(k, 1, 1, t.row_limit));
  sn_kv rows = sn_k_select(k, exists, u, sn_k_const(k, e, 1, 1, 0));
  if (s->x->onto) rows = sn_k_bin(k, SN_K_ADD, sn_k_load(k, t.r, t.c, w, 0), rows);
  sn_k_store(k, w, sn_k_cast(k, to, rows));
  sn_report report = {.kind = "index", .bytes_written = sn_type_bytes(c->types, s->x->n->type[0])};
  report.bytes_read = sn_groups_bytes_read(c, 1, &g);
  if (s->x->onto) report.bytes_read = sn_dimx_add(c->types, report.bytes_read, report.bytes_written);
  return sn_build_kernel_end(b, &report);
}

sn_code sn_index_scatter_sorted(sn_indexing *x) {
  sorted s = {.x = x, .batch = (int)sn_node_attr(x->n, "batch")->i};
  s.indices = sn_val_type(x->c->body, x->n->arg[0])->rank;
  s.sets = product(&s, 0, s.batch), s.count = product(&s, s.batch, s.indices);
  s.rows = x->n->type[0]->dim[s.batch];
  s.ends = sn_dimx_add(x->c->types, s.rows, sn_dimx_const(x->c->types, 1));
  sn_group *g = sn_index_group(x, x->n->arg[1]);
  if (!g) return x->c->failed;
  SN_TRY(sn_numbers_find(x, x->n->arg[0], &s.index));
  if (is_in_place(&s)) return place(&s, g);
  if (g->space.rank == s.indices) return sn_index_scatter_hot(x, g);
  s.keys = table(&s, "keys", s.count), s.ranks = table(&s, "ranks", s.count);
  s.order = table(&s, "order", s.count), s.starts = table(&s, "starts", s.ends);
  SN_TRY(make_keys(&s));
  SN_TRY(make_counts(&s, "ranks", s.count, s.ranks));
  SN_TRY(make_order(&s));
  SN_TRY(make_counts(&s, "starts", s.ends, s.starts));
  return make_sums(&s, g);
}
