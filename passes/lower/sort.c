/* sort -> a kernel: a bitonic network in scratch (Batcher 1968). The other axes run in parallel; up to 16 rows that are
 * sorted lie side by side, so that every exchange works on whole vectors.
 *
 *   key      an integer that orders as the elements do: of floats their bits, NaN the largest; ~key when descending.
 *            Pairs (key, position) are all different, so the network, which is not stable, sorts stably.
 *   scratch  element p of row r lies at p * rows + r
 *   whole    few more elements than are taken: all are sorted at once
 *   chunks   else: as many as are taken are kept in order; each chunk of as many is sorted the other way round and the
 *            better half of both is merged
 *
 * Exchanges at a distance of less than a run of 64 numbers are one window each, several groups to a tile; those beyond
 * are loops over runs. Trip counts follow from the extents, never from values. */
#include "passes/lower/along.h"

enum { LANES = 16, RUN = 64, TILE = 512, FILL = 64, LEAST = 64, SIDE_BY_SIDE = 1 << 14, MOST = 1 << 26 };

typedef struct sorter {
  sn_along x;
  sn_kernel *k;
  int rows;  /* side by side, a power of two */
  int batch; /* axis of the rows, -1: none */
  bool descending, floats;
  sn_elem elem; /* of keys */
  bool chunked;
  int64_t least, room; /* elements of a row that are sorted at once: a lower limit; how many there is room for */
  sn_kv keys, places;  /* scratch */
} sorter;

/* What is sorted: `levels` levels of elements from `base`. */
typedef struct region {
  sorter *s;
  sn_kv base, levels, count; /* count = 2 ^ levels */
  int64_t least;             /* of count */
  bool flipped;              /* the largest first */
} region;

static sn_kv index_of(sorter *s, int64_t n) { return sn_k_i(s->k, n); }

/* 2 ^ e for e from 0 to 31 */
static sn_kv power(sorter *s, sn_kv e) {
  sn_kernel *k = s->k;
  sn_kv p = index_of(s, 1);
  for (int bit = 0; bit < 5; bit++) {
    sn_kv on = sn_k_ibin(k, SN_K_IMOD, sn_k_ibin(k, SN_K_IDIV, e, index_of(s, 1 << bit)), index_of(s, 2));
    sn_kv factor = sn_k_imulc(k, on, (INT64_C(1) << (1 << bit)) - 1);
    p = sn_k_imul(k, p, sn_k_iadd(k, factor, index_of(s, 1)));
  }
  return p;
}

static int log_of(int64_t n) { /* least l with 2 ^ l >= n */
  int l = 0;
  while (INT64_C(1) << l < n) l++;
  return l;
}

/* ---- exchange ---- */

typedef struct pairs {
  sn_kv low, high, stride; /* first element of either side; between rows of the tile: in numbers of scratch */
  int r, c;
} pairs;

static sn_kv load_side(sorter *s, sn_kv buffer, const pairs *p, sn_kv off) {
  sn_kwin w = {.buf = buffer, .off = off, .rs = p->stride, .cs = index_of(s, 1)};
  return sn_k_load(s->k, p->r, p->c, w, 0);
}

static void store_side(sorter *s, sn_kv buffer, const pairs *p, sn_kv off, sn_kv v) {
  sn_kwin w = {.buf = buffer, .off = off, .rs = p->stride, .cs = index_of(s, 1)};
  sn_k_store(s->k, w, v);
}

/* Puts the smaller of each pair on the low side, the other way round where `turned` (bool; 0: nowhere). */
static void exchange(sorter *s, const pairs *p, sn_kv turned) {
  sn_kernel *k = s->k;
  sn_kv a = load_side(s, s->keys, p, p->low), b = load_side(s, s->keys, p, p->high);
  sn_kv i = load_side(s, s->places, p, p->low), j = load_side(s, s->places, p, p->high);
  sn_kv tie = sn_k_bin(k, SN_K_AND, sn_k_bin(k, SN_K_EQ, b, a), sn_k_bin(k, SN_K_LT, j, i));
  sn_kv swap = sn_k_bin(k, SN_K_OR, sn_k_bin(k, SN_K_LT, b, a), tie);
  if (turned) swap = sn_k_bin(k, SN_K_XOR, swap, sn_k_bcast(k, p->r, p->c, turned));
  sn_kv small = sn_k_select(k, swap, b, a), large = sn_k_select(k, swap, a, b);
  sn_kv small_at = sn_k_select(k, swap, j, i), large_at = sn_k_select(k, swap, i, j);
  store_side(s, s->keys, p, p->low, small);
  store_side(s, s->keys, p, p->high, large);
  store_side(s, s->places, p, p->low, small_at);
  store_side(s, s->places, p, p->high, large_at);
}

/* ---- stages ---- */

/* Which groups run the other way in level `level` (its blocks have 2 ^ (level + 1) elements): first: i32 tile of the
 * first element of each group. */
static sn_kv turned_tile(const region *g, sn_kv first, sn_kv level) {
  sn_kernel *k = g->s->k;
  sn_kv block = sn_k_isplat(k, 1, 1, sn_k_imulc(k, power(g->s, level), 2));
  sn_kv bit = sn_k_bin(k, SN_K_AND, first, block), zero = sn_k_const(k, SN_ELEM_I32, 1, 1, 0);
  return sn_k_bin(k, g->flipped ? SN_K_EQ : SN_K_NE, bit, zero);
}

/* Exchanges at distance d, less than a run: several groups of 2 d elements to a tile. */
static void near_stage(const region *g, int64_t d, sn_kv level) {
  sorter *s = g->s;
  sn_kernel *k = s->k;
  int64_t width = d * s->rows, groups = TILE / width;
  if (groups > g->least / (2 * d)) groups = g->least / (2 * d);
  sn_kv all = sn_k_ibin(k, SN_K_IDIV, g->count, index_of(s, 2 * d));
  sn_kv at = sn_k_for(k, index_of(s, 0), all, groups, 0, NULL);
  sn_kv low = sn_k_imulc(k, sn_k_iadd(k, g->base, sn_k_imulc(k, at, 2 * d)), s->rows);
  pairs p = {low, sn_k_iadd(k, low, index_of(s, width)), index_of(s, 2 * width), (int)groups, (int)width};
  sn_kv number = sn_k_iota(k, (int)groups, 1, 0, at);
  exchange(s, &p, turned_tile(g, sn_k_binc(k, SN_K_MUL, number, (double)(2 * d)), level));
  sn_k_end_for(k, 0, NULL);
}

/* Exchanges at distance 2 ^ e, at least a run. */
static void far_stage(const region *g, sn_kv e, sn_kv level) {
  sorter *s = g->s;
  sn_kernel *k = s->k;
  sn_kv d = power(s, e), width = sn_k_imulc(k, d, s->rows);
  sn_kv half = sn_k_imulc(k, sn_k_ibin(k, SN_K_IDIV, g->count, index_of(s, 2)), s->rows);
  sn_kv at = sn_k_for(k, index_of(s, 0), half, RUN, 0, NULL);
  sn_kv group = sn_k_ibin(k, SN_K_IDIV, at, width), within = sn_k_ibin(k, SN_K_IMOD, at, width);
  sn_kv start = sn_k_imul(k, group, sn_k_imulc(k, width, 2));
  sn_kv low = sn_k_iadd(k, sn_k_iadd(k, sn_k_imulc(k, g->base, s->rows), start), within);
  pairs p = {low, sn_k_iadd(k, low, width), index_of(s, 0), 1, RUN};
  sn_kv first = sn_k_isplat(k, 1, 1, sn_k_imul(k, group, sn_k_imulc(k, d, 2)));
  exchange(s, &p, turned_tile(g, first, level));
  sn_k_end_for(k, 0, NULL);
}

static int near_levels(const sorter *s) { return log_of(RUN / s->rows); } /* distances below 2 ^ this are near */

/* Sorts the bitonic blocks of 2 ^ (level + 1) elements. known: the level where it is a constant, else -1. */
static void merge_level(const region *g, sn_kv level, int known) {
  sorter *s = g->s;
  int near = near_levels(s);
  if (known < 0 || known >= near) {
    sn_kv trips = sn_k_isub(s->k, level, index_of(s, near - 1));
    sn_kv t = sn_k_for(s->k, index_of(s, 0), trips, 1, 0, NULL);
    far_stage(g, sn_k_isub(s->k, level, t), level);
    sn_k_end_for(s->k, 0, NULL);
  }
  for (int e = known < 0 || known >= near ? near - 1 : known; e >= 0; e--) near_stage(g, INT64_C(1) << e, level);
}

static void sort_region(const region *g) {
  sorter *s = g->s;
  int near = near_levels(s), sure = log_of(g->least);
  int64_t levels;
  for (int l = 0; l < near && l < sure; l++) merge_level(g, index_of(s, l), l);
  if (sn_k_is_const(s->k, g->levels, &levels) && levels <= near) return;
  sn_kv level = sn_k_for(s->k, index_of(s, near), g->levels, 1, 0, NULL);
  merge_level(g, level, -1);
  sn_k_end_for(s->k, 0, NULL);
}

/* ---- keys ---- */

/* Negative floats have their bits below the sign turned over; the map is its own inverse. */
static sn_kv turn_bits(sorter *s, sn_kv b) {
  sn_kv signs = sn_k_binc(s->k, SN_K_SAR, b, s->elem == SN_ELEM_I64 ? 63 : 31);
  return sn_k_bin(s->k, SN_K_XOR, b, sn_k_binc(s->k, SN_K_SHR, signs, 1));
}

static sn_kv largest_key(sorter *s, int r, int c) {
  if (s->elem == SN_ELEM_I32) return sn_k_const(s->k, SN_ELEM_I32, r, c, INT32_MAX);
  sn_kv least = sn_k_const(s->k, SN_ELEM_I64, r, c, -0x1p63);
  return sn_k_bin(s->k, SN_K_SUB, sn_k_const(s->k, SN_ELEM_I64, r, c, -1), least);
}

static sn_kv inverted(sorter *s, sn_kv key) { /* ~key */
  sn_ktype t = sn_k_type(s->k, key);
  return sn_k_bin(s->k, SN_K_SUB, sn_k_const(s->k, s->elem, t.r, t.c, -1), key);
}

static sn_kv key_of(sorter *s, sn_kv x) {
  sn_kernel *k = s->k;
  sn_ktype t = sn_k_type(k, x);
  if (!s->floats) return s->descending ? inverted(s, x) : x;
  sn_kv zero = sn_k_const(k, t.elem, t.r, t.c, 0);
  sn_kv v = sn_k_select(k, sn_k_bin(k, SN_K_EQ, x, zero), zero, x); /* no negative zero */
  sn_kv key = turn_bits(s, sn_k_bitcast(k, s->elem, v));
  if (s->descending) key = inverted(s, key);
  return sn_k_select(k, sn_k_bin(k, SN_K_NE, x, x), largest_key(s, t.r, t.c), key);
}

static sn_kv value_of(sorter *s, sn_kv key) {
  if (s->descending) key = inverted(s, key);
  sn_elem elem = s->elem == SN_ELEM_I64 ? SN_ELEM_F64 : SN_ELEM_F32;
  return s->floats ? sn_k_bitcast(s->k, elem, turn_bits(s, key)) : key;
}

/* ---- in and out ---- */

/* A tile of `n` elements of each row, in the layout of the scratch. */
static void set_tile(sorter *s, int n) {
  sn_tile *t = &s->x.t;
  if (s->rows == 1)
    t->row = -1, t->r = 1, t->col = s->x.axis, t->c = n;
  else
    t->row = s->x.axis, t->r = n, t->col = s->batch, t->c = s->rows;
}

static sn_kwin scratch(sorter *s, sn_kv buffer, sn_kv element) {
  return (sn_kwin){
      .buf = buffer, .off = sn_k_imulc(s->k, element, s->rows), .rs = index_of(s, s->rows), .cs = index_of(s, 1)};
}

/* Keys and positions of elements from `at` on to scratch from `to` on. */
static void fill_tile(sorter *s, sn_kv at, sn_kv to, int n) {
  sn_kernel *k = s->k;
  sn_tile *t = &s->x.t;
  bool flat = s->rows == 1;
  t->at[s->x.axis] = at;
  sn_tile_limits(t);
  sn_kv key = key_of(s, sn_along_value(&s->x, 0));
  sn_kv limit = flat ? t->col_limit : t->row_limit;
  if (limit) {
    sn_kv i = sn_k_iota(k, flat ? 1 : n, flat ? n : 1, flat, index_of(s, 0));
    sn_kv exists = sn_k_bin(k, SN_K_LT, i, sn_k_isplat(k, 1, 1, limit));
    key = sn_k_select(k, sn_k_bcast(k, t->r, t->c, exists), key, largest_key(s, t->r, t->c));
  }
  sn_kv place = sn_k_iota(k, flat ? 1 : n, flat ? n : 1, flat, at);
  sn_k_store(k, scratch(s, s->keys, to), key);
  sn_k_store(k, scratch(s, s->places, to), sn_k_bcast(k, t->r, t->c, place));
}

static void fill(const region *g, sn_kv from) {
  sorter *s = g->s;
  int n = g->least < FILL ? (int)g->least : FILL;
  set_tile(s, n);
  sn_kv i = sn_k_for(s->k, index_of(s, 0), g->count, n, 0, NULL);
  fill_tile(s, sn_k_iadd(s->k, from, i), sn_k_iadd(s->k, g->base, i), n);
  sn_k_end_for(s->k, 0, NULL);
}

static void store_first(sorter *s, const sn_dimx *count) {
  sn_kernel *k = s->k;
  int n = 1;
  while (n < FILL && n < sn_dimx_max_value(count)) n *= 2;
  set_tile(s, n);
  sn_kv at = sn_k_for(k, index_of(s, 0), sn_build_dim(s->x.b, count), n, 0, NULL);
  sn_tile *t = &s->x.t;
  t->at[s->x.axis] = at;
  sn_tile_limits(t);
  *(s->rows == 1 ? &t->col_limit : &t->row_limit) = sn_build_limit(s->x.b, count, n, at);
  sn_kv key = sn_k_load(k, t->r, t->c, scratch(s, s->keys, at), 0);
  sn_along_store(&s->x, 0, value_of(s, key));
  sn_along_store(&s->x, 1, sn_k_load(k, t->r, t->c, scratch(s, s->places, at), 0));
  sn_k_end_for(k, 0, NULL);
}

/* ---- schedules ---- */

static void sort_whole(sorter *s, const sn_dimx *extent) {
  sn_kernel *k = s->k;
  region g = {.s = s, .base = index_of(s, 0), .levels = index_of(s, log_of(s->least)), .least = s->least};
  sn_kv n = sn_build_dim(s->x.b, extent);
  for (int64_t p = s->least; p < s->room; p *= 2)
    g.levels = sn_k_iadd(k, g.levels, sn_k_ibin(k, SN_K_ILT, index_of(s, p), n));
  g.count = power(s, g.levels);
  fill(&g, index_of(s, 0));
  sort_region(&g);
}

/* Positions beyond all others, so that what exists comes first. */
static void fill_nothing(const region *g) {
  sorter *s = g->s;
  int n = g->least < FILL ? (int)g->least : FILL;
  set_tile(s, n);
  sn_kv i = sn_k_for(s->k, index_of(s, 0), g->count, n, 0, NULL);
  sn_k_store(s->k, scratch(s, s->keys, i), largest_key(s, s->x.t.r, s->x.t.c));
  sn_k_store(s->k, scratch(s, s->places, i), sn_k_const(s->k, SN_ELEM_I32, s->x.t.r, s->x.t.c, INT32_MAX));
  sn_k_end_for(s->k, 0, NULL);
}

/* The smaller of each pair of the two regions, which is a bitonic sequence. */
static void take_better(const region *best) {
  sorter *s = best->s;
  int64_t all = best->least * s->rows;
  int c = all < RUN ? (int)all : RUN;
  sn_kv at = sn_k_for(s->k, index_of(s, 0), index_of(s, all), c, 0, NULL);
  pairs p = {at, sn_k_iadd(s->k, at, index_of(s, all)), index_of(s, 0), 1, c};
  exchange(s, &p, 0);
  sn_k_end_for(s->k, 0, NULL);
}

static void sort_chunks(sorter *s, const sn_dimx *extent) {
  sn_kernel *k = s->k;
  int levels = log_of(s->least);
  sn_kv count = index_of(s, s->least);
  region best = {s, index_of(s, 0), index_of(s, levels), count, s->least, false}, chunk = best;
  chunk.base = count;
  chunk.flipped = true;
  fill_nothing(&best);
  sn_kv at = sn_k_for(k, index_of(s, 0), sn_build_dim(s->x.b, extent), s->least, 0, NULL);
  fill(&chunk, at);
  sort_region(&chunk);
  take_better(&best);
  if (levels) merge_level(&best, index_of(s, levels - 1), levels - 1);
  sn_k_end_for(k, 0, NULL);
}

/* How much is sorted at once, and how many rows side by side. */
static void choose(sorter *s, const sn_dimx *extent, const sn_dimx *count) {
  int64_t n, all = INT64_C(1) << log_of(sn_dimx_max_value(extent));
  int64_t taken = INT64_C(1) << log_of(sn_dimx_max_value(count) > LEAST ? sn_dimx_max_value(count) : LEAST);
  s->chunked = 4 * taken <= all;
  s->room = s->chunked ? taken : all > LEAST || sn_dimx_is_const(extent, &n) ? all : LEAST;
  s->least = s->chunked || sn_dimx_is_const(extent, &n) ? s->room : LEAST;
  int last = s->x.g[0]->space.rank - 1;
  s->batch = s->x.axis == last ? last - 1 : last;
  s->rows = 1;
  int64_t others = s->batch < 0 ? 1 : sn_dimx_max_value(s->x.g[0]->space.extent[s->batch]);
  while (s->rows < LANES && s->rows < others && 2 * s->rows * s->room <= SIDE_BY_SIDE) s->rows *= 2;
}

static void make_grid(sorter *s) {
  sn_axis_block a[SN_VIEW_RANK];
  int n = 0;
  for (int i = 0; i < s->x.g[0]->space.rank; i++)
    if (i != s->x.axis) a[n++] = (sn_axis_block){.axis = i, .block = i == s->batch ? s->rows : 1};
  sn_tile_grid(&s->x.t, n, a);
}

sn_code sn_lower_sort(sn_lower_ctx *c, const sn_node *n) {
  sorter s = {.descending = sn_node_attr(n, "descending")->i != 0};
  const sn_type *type = sn_val_type(c->body, n->arg[0]);
  SN_TRY(sn_along_begin(&s.x, c, n, "sort"));
  const sn_dimx *extent = sn_along_extent(&s.x), *count = sn_node_attr(n, "count")->d;
  s.k = s.x.k;
  s.floats = sn_elem_is_float(type->elem);
  s.elem = sn_elem_bytes(type->elem) == 8 ? SN_ELEM_I64 : SN_ELEM_I32;
  choose(&s, extent, count);
  if (s.room > MOST) return sn_lower_fail(c, "`sort` of more than %d elements is not supported", MOST);
  make_grid(&s);
  int64_t numbers = s.room * s.rows * (s.chunked ? 2 : 1);
  s.keys = sn_k_local(s.k, s.elem, numbers);
  s.places = sn_k_local(s.k, SN_ELEM_I32, numbers);
  if (s.chunked)
    sort_chunks(&s, extent);
  else
    sort_whole(&s, extent);
  store_first(&s, count);
  return sn_along_end(&s.x, sn_type_count(c->types, type));
}
