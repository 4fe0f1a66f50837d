/* Random tile programs, memory: index values, windows with limits, gathers, scratch, stores that no two instances
 * share. */
#include <stdio.h>

#include "ir/ref/krandom_impl.h"

int64_t sn_kr_below(sn_kgen *g, int64_t n) { return n > 0 ? (int64_t)sn_rng_below(&g->rng, (uint64_t)n) : 0; }

bool sn_kr_chance(sn_kgen *g, int percent) { return sn_kr_below(g, 100) < percent; }

sn_krvalue sn_kr_value(sn_kgen *g, sn_kv v, double mag, double err, bool exact) {
  sn_ktype t = sn_k_type(g->k, v);
  return (sn_krvalue){v, t.elem, t.r, t.c, mag, err, exact};
}

/* ---- buffers ---- */

static int new_buffer(sn_kgen *g, sn_elem e, sn_krole role) {
  int at = g->k->param_count;
  static const char *const stem[] = {"in", "out", "io"};
  char name[16];
  snprintf(name, sizeof name, "%s%d", stem[role], at);
  g->buffer[at] = (sn_krbuffer){.elem = e, .role = role, .need = 1, .quantised = sn_kr_chance(g, 50)};
  g->buffer[at].v = sn_kernel_buffer(g->k, name, e, role);
  if (sn_kr_chance(g, 30)) g->k->param[at].divisor = (int64_t)sn_elem_bytes(e);
  return at;
}

/* An `in` buffer of plain values, old or new. */
static int some_buffer(sn_kgen *g, sn_elem e) {
  for (int tries = 0; tries < 4; tries++) {
    int at = (int)sn_kr_below(g, g->k->param_count);
    const sn_krbuffer *b = &g->buffer[at];
    if (b->elem == e && b->role == SN_K_IN && !b->below) return at;
  }
  if (g->k->param_count < SN_KR_BUFFERS) return new_buffer(g, e, SN_K_IN);
  for (int at = 0; at < g->k->param_count; at++)
    if (g->buffer[at].elem == e && g->buffer[at].role == SN_K_IN && !g->buffer[at].below) return at;
  return new_buffer(g, e, SN_K_IN);
}

static void need(sn_kgen *g, int buffer, int64_t elements) {
  if (g->buffer[buffer].need < elements) g->buffer[buffer].need = elements;
}

/* ---- index values ---- */

sn_krindex sn_kr_const(sn_kgen *g, int64_t n) { return (sn_krindex){sn_k_i(g->k, n), n, n}; }

static sn_krindex times(sn_kgen *g, sn_krindex a, sn_krindex b) {
  return (sn_krindex){sn_k_imul(g->k, a.v, b.v), a.lo * b.lo, a.hi * b.hi};
}

static sn_krindex plus(sn_kgen *g, sn_krindex a, sn_krindex b) {
  return (sn_krindex){sn_k_iadd(g->k, a.v, b.v), a.lo + b.lo, a.hi + b.hi};
}

/* A grid id, a loop variable or a number. */
static sn_krindex position(sn_kgen *g) {
  int64_t pick = sn_kr_below(g, 10);
  if (pick < 4) return g->gid[sn_kr_below(g, g->grid_count)];
  if (pick < 8 && g->loop_count) return g->loop[sn_kr_below(g, g->loop_count)];
  return sn_kr_const(g, sn_kr_below(g, 4));
}

static sn_krindex loaded_index(sn_kgen *g) {
  int at = -1;
  for (int j = 0; j < g->k->param_count; j++)
    if (g->buffer[j].role == SN_K_IN && g->buffer[j].elem == SN_ELEM_I32 && g->buffer[j].below == 5) at = j;
  if (at < 0) at = new_buffer(g, SN_ELEM_I32, SN_K_IN);
  g->buffer[at].below = 5;
  sn_krindex off = position(g);
  need(g, at, off.hi + 1);
  return (sn_krindex){sn_k_iload(g->k, g->buffer[at].v, off.v), 0, 4};
}

sn_krindex sn_kr_index(sn_kgen *g) {
  int64_t pick = sn_kr_below(g, 12);
  sn_krindex a = position(g), b = position(g);
  if (pick == 0) return loaded_index(g);
  if (pick == 1) return plus(g, a, b);
  if (pick == 2) return (sn_krindex){sn_k_ibin(g->k, SN_K_IMOD, a.v, sn_k_i(g->k, 3)), 0, 2};
  if (pick == 3) return (sn_krindex){sn_k_ibin(g->k, SN_K_IDIV, a.v, sn_k_i(g->k, 2)), a.lo / 2, a.hi / 2};
  if (pick == 4) return (sn_krindex){sn_k_ibin(g->k, SN_K_IMIN, a.v, b.v), 0, a.hi < b.hi ? a.hi : b.hi};
  if (pick == 5) return (sn_krindex){sn_k_ibin(g->k, SN_K_IMAX, a.v, b.v), 0, a.hi > b.hi ? a.hi : b.hi};
  if (pick == 6 && g->size_count) return g->size[sn_kr_below(g, g->size_count)];
  return a;
}

/* ---- loads ---- */

static double magnitude(sn_elem e) { return e == SN_ELEM_U8 ? 255 : sn_elem_is_float(e) ? 2 : 128; }

/* No limits: affine offset, any strides, elements in bounds by the size of the buffer. */
static sn_krvalue load_affine(sn_kgen *g, sn_elem e, int r, int c) {
  int at = some_buffer(g, e);
  sn_krindex factor = sn_kr_const(g, sn_kr_below(g, 20)), rest = sn_kr_const(g, sn_kr_below(g, 9));
  sn_krindex scaled = times(g, sn_kr_index(g), factor), off = plus(g, scaled, rest);
  int64_t rs = sn_kr_chance(g, 20) ? 0 : c + sn_kr_below(g, 4), cs = 1;
  if (sn_kr_chance(g, 20)) cs = r + sn_kr_below(g, 3), rs = 1;
  need(g, at, off.hi + (r - 1) * rs + (c - 1) * cs + 1);
  sn_kwin w = {.buf = g->buffer[at].v, .off = off.v, .rs = sn_k_i(g->k, rs), .cs = sn_k_i(g->k, cs)};
  return sn_kr_value(g, sn_k_load(g->k, r, c, w, 0), magnitude(e), 0, true);
}

/* An extent: a size parameter or a number. */
sn_krindex sn_kr_extent(sn_kgen *g, int tile) {
  if (g->size_count && sn_kr_chance(g, 50)) return g->size[sn_kr_below(g, g->size_count)];
  return sn_kr_const(g, 1 + sn_kr_below(g, 3 * tile));
}

/* Where the tile starts in an extent. */
static sn_krindex tile_start(sn_kgen *g, int tile) {
  if (sn_kr_chance(g, 20)) return sn_kr_const(g, 0);
  sn_krindex at = position(g);
  return times(g, at, sn_kr_const(g, sn_kr_chance(g, 80) ? tile : 1));
}

static double random_pad(sn_kgen *g, sn_elem e) {
  if (sn_kr_chance(g, 60)) return 0;
  return sn_elem_is_float(e) ? 0.25 * (double)(sn_kr_below(g, 17) - 8) : 1;
}

/* A tile of a matrix of exactly the elements that the limits allow. */
static sn_krvalue load_matrix(sn_kgen *g, sn_elem e, int r, int c) {
  int at = g->k->param_count < SN_KR_BUFFERS ? new_buffer(g, e, SN_K_IN) : some_buffer(g, e);
  sn_krindex rows = sn_kr_extent(g, r), cols = sn_kr_extent(g, c), r0 = tile_start(g, r), c0 = tile_start(g, c);
  bool across = sn_kr_chance(g, 25); /* stored by columns */
  sn_krindex ld = across ? rows : cols;
  if (sn_kr_chance(g, 25)) ld = plus(g, ld, sn_kr_const(g, sn_kr_below(g, 9)));
  need(g, at, (across ? cols.hi : rows.hi) * ld.hi);
  sn_kwin w = {.buf = g->buffer[at].v, .rs = across ? sn_k_i(g->k, 1) : ld.v, .cs = across ? ld.v : sn_k_i(g->k, 1)};
  w.off = across ? plus(g, times(g, c0, ld), r0).v : plus(g, times(g, r0, ld), c0).v;
  w.nr = sn_k_isub(g->k, rows.v, r0.v);
  w.nc = sn_k_isub(g->k, cols.v, c0.v);
  return sn_kr_value(g, sn_k_load(g->k, r, c, w, random_pad(g, e)), magnitude(e), 0, true);
}

sn_krvalue sn_kr_load(sn_kgen *g, sn_elem e, int r, int c) {
  return sn_kr_chance(g, 45) ? load_matrix(g, e, r, c) : load_affine(g, e, r, c);
}

sn_krvalue sn_kr_load_narrow(sn_kgen *g, sn_elem e, int r, int c) { return sn_kr_load(g, e, r, c); }

/* Rows of a table by loaded or computed numbers in [0, 8). */
sn_krvalue sn_kr_gather(sn_kgen *g, int r, int c) {
  bool points = sn_kr_chance(g, 30);
  int at = some_buffer(g, SN_ELEM_F32);
  int64_t ld = points ? 1 : c + sn_kr_below(g, 5);
  sn_krvalue rows = sn_kr_int(g, r, points ? c : 1);
  sn_kv by = sn_k_binc(g->k, SN_K_AND, rows.v, 7);
  sn_krindex off = sn_kr_index(g);
  need(g, at, off.hi + 7 * ld + c);
  sn_kwin w = {.buf = g->buffer[at].v, .off = off.v, .rs = sn_k_i(g->k, ld), .cs = sn_k_i(g->k, points ? 0 : 1)};
  if (points && sn_kr_chance(g, 50)) w.cs = sn_k_i(g->k, 0);
  if (sn_kr_chance(g, 40)) w.nr = sn_kr_extent(g, r).v;
  if (sn_kr_chance(g, 40)) w.nc = sn_kr_extent(g, c).v;
  return sn_kr_value(g, sn_k_gather(g->k, r, c, w, by, random_pad(g, SN_ELEM_F32)), 2, 0, true);
}

/* ---- scratch ---- */

sn_krvalue sn_kr_local(sn_kgen *g, sn_krvalue x) {
  int64_t ld = x.c + sn_kr_below(g, 3);
  sn_kv buffer = sn_k_local(g->k, x.elem, x.r * ld);
  sn_kwin w = {.buf = buffer, .rs = sn_k_i(g->k, ld)};
  sn_k_store(g->k, w, x.v);
  int r = 1 + (int)sn_kr_below(g, x.r), c = 1 + (int)sn_kr_below(g, x.c);
  int64_t row = sn_kr_below(g, x.r - r + 1), off = row * ld + sn_kr_below(g, x.c - c + 1);
  w.off = sn_k_i(g->k, off);
  sn_kv v;
  if (sn_kr_chance(g, 40)) {
    w.cs = sn_k_i(g->k, ld), w.rs = sn_k_i(g->k, 1);
    v = sn_k_load(g->k, c, r, w, 0);
  } else {
    if (sn_kr_chance(g, 30)) w.nr = sn_kr_index(g).v;
    v = sn_k_load(g->k, r, c, w, 0);
  }
  return sn_kr_value(g, v, x.mag, x.err, false);
}

/* ---- a product over a whole extent, block by block ---- */

/* Window of a [rows, cols] matrix at (r0, c0), both limited. */
static sn_kv block_of(sn_kgen *g, sn_elem e, int r, int c, sn_krindex rows, sn_krindex cols, sn_krindex r0,
                      sn_krindex c0) {
  int at = new_buffer(g, e, SN_K_IN);
  need(g, at, rows.hi * cols.hi);
  sn_kwin w = {.buf = g->buffer[at].v, .rs = cols.v};
  w.off = plus(g, times(g, r0, cols), c0).v;
  w.nr = sn_k_isub(g->k, rows.v, r0.v);
  w.nc = sn_k_isub(g->k, cols.v, c0.v);
  return sn_k_load(g->k, r, c, w, 0);
}

sn_krvalue sn_kr_contract(sn_kgen *g, int r, int c, int depth) {
  sn_elem e = sn_kr_chance(g, 70) ? SN_ELEM_F32 : SN_ELEM_BF16;
  sn_krindex rows = sn_kr_extent(g, r), cols = sn_kr_extent(g, c), all = sn_kr_extent(g, depth);
  sn_krindex r0 = tile_start(g, r), c0 = tile_start(g, c);
  sn_kv acc = sn_k_const(g->k, SN_ELEM_F32, r, c, 0);
  sn_kv i = sn_k_for(g->k, sn_k_i(g->k, 0), all.v, depth, 1, &acc);
  sn_krindex at = {i, 0, all.hi};
  bool ta = sn_kr_chance(g, 30), tb = sn_kr_chance(g, 30);
  sn_kv a = ta ? block_of(g, e, depth, r, all, rows, at, r0) : block_of(g, e, r, depth, rows, all, r0, at);
  sn_kv b = tb ? block_of(g, e, c, depth, cols, all, c0, at) : block_of(g, e, depth, c, all, cols, at, c0);
  acc = sn_k_mma(g->k, acc, a, b, (ta ? SN_K_TA : 0) | (tb ? SN_K_TB : 0));
  sn_k_end_for(g->k, 1, &acc);
  double mag = 4 * (double)(all.hi + depth);
  return sn_kr_value(g, acc, mag, 1.2e-7 * mag * 8, false);
}

/* ---- stores ---- */

/* Instances own consecutive pieces; a loop variable picks a part of the piece. */
static void store_piece(sn_kgen *g, int at, sn_krvalue x) {
  int64_t parts = 1, gap = sn_kr_chance(g, 30) ? sn_kr_below(g, 5) : 0;
  sn_krindex part = sn_kr_const(g, 0);
  if (g->loop_count && sn_kr_chance(g, 70)) part = g->loop[sn_kr_below(g, g->loop_count)];
  parts = part.hi + 1;
  bool across = sn_kr_chance(g, 20);
  int64_t ld = (across ? x.r : x.c) + gap, piece = (across ? x.c : x.r) * ld;
  sn_krindex whole = times(g, g->instance, sn_kr_const(g, parts * piece));
  sn_krindex off = plus(g, whole, times(g, part, sn_kr_const(g, piece)));
  sn_kwin w = {
      .buf = g->buffer[at].v, .off = off.v, .rs = sn_k_i(g->k, across ? 1 : ld), .cs = sn_k_i(g->k, across ? ld : 1)};
  sn_krindex few = sn_kr_index(g);
  if (sn_kr_chance(g, 25)) w.nr = plus(g, few, sn_kr_const(g, sn_kr_below(g, x.r))).v;
  if (sn_kr_chance(g, 25)) w.nc = sn_kr_extent(g, x.c).v;
  need(g, at, (g->instance.hi + 1) * parts * piece);
  if (g->buffer[at].role == SN_K_INOUT) {
    sn_kv old = sn_k_load(g->k, x.r, x.c, w, 0);
    x.v = sn_k_bin(g->k, SN_K_ADD, old, x.v);
  }
  sn_k_store(g->k, w, x.v);
}

/* Tiles of one matrix [rows, cols] per value of the last grid dimension. */
static void store_tiled(sn_kgen *g, int at, sn_krvalue x) {
  sn_krindex zero = sn_kr_const(g, 0), plane = g->grid_count > 2 ? g->gid[2] : zero;
  sn_krindex r0 = times(g, g->gid[0], sn_kr_const(g, x.r));
  sn_krindex c0 = times(g, g->grid_count > 1 ? g->gid[1] : zero, sn_kr_const(g, x.c));
  sn_krindex rows = sn_kr_extent(g, x.r), cols = sn_kr_extent(g, x.c);
  sn_krindex off = plus(g, times(g, r0, cols), c0);
  off = plus(g, times(g, plane, times(g, rows, cols)), off);
  sn_kwin w = {.buf = g->buffer[at].v, .off = off.v, .rs = cols.v};
  w.nr = sn_k_isub(g->k, rows.v, r0.v);
  w.nc = sn_k_isub(g->k, cols.v, c0.v);
  need(g, at, (plane.hi + 1) * rows.hi * cols.hi);
  sn_k_store(g->k, w, x.v);
}

static sn_krvalue for_output(sn_kgen *g, sn_krvalue x) {
  static const sn_elem floats[] = {SN_ELEM_F32, SN_ELEM_F32,    SN_ELEM_F32,   SN_ELEM_BF16,
                                   SN_ELEM_F16, SN_ELEM_F8E4M3, SN_ELEM_F8E5M2};
  static const sn_elem ints[] = {SN_ELEM_I32, SN_ELEM_I32, SN_ELEM_I8, SN_ELEM_U8, SN_ELEM_I64};
  sn_elem e = x.elem == SN_ELEM_F32   ? floats[sn_kr_below(g, 7)]
              : x.elem == SN_ELEM_I32 ? ints[sn_kr_below(g, 5)]
                                      : x.elem;
  if (e == SN_ELEM_F16 && g->avoid & SN_KRANDOM_NO_F16) e = SN_ELEM_F32;
  if (e == SN_ELEM_I64 && g->avoid & SN_KRANDOM_NO_I64) e = SN_ELEM_I32;
  x.v = sn_k_cast(g->k, e, x.v);
  x.elem = e;
  return x;
}

void sn_kr_store(sn_kgen *g, sn_krvalue x) {
  bool adds = x.elem == SN_ELEM_F32 && sn_kr_chance(g, 20) && !g->loop_count;
  if (!adds) x = for_output(g, x);
  if (g->k->param_count >= SN_K_PARAMS - 2) return;
  int at = new_buffer(g, x.elem, adds ? SN_K_INOUT : SN_K_OUT);
  if (!adds && sn_kr_chance(g, 45))
    store_tiled(g, at, x);
  else
    store_piece(g, at, x);
}
