/* Operands of tile products: a in rows of m with k side by side, b in pairs of k. What lies otherwise is brought into
 * that form in the workspace, along k in pieces; a last piece shorter than a step of tiles is padded with zeros.
 *
 *   memory [k][n] -> pairs [k/2][n]     two rows are interleaved
 *   memory [n][k] -> pairs [k/2][n]     a transposition of pairs
 *   memory [k][m] -> [m][k]             both at once, as pairs
 *   everything else                     copied to one of these first */
#include "backends/llvm/mma.h"

enum { STEP = 32, PAIR = 4 /* bytes */ };

static int rounded(const cg *c, int n) { return cg_vectors(n, c->g.lanes) * c->g.lanes; }

static cg_mat space(cg *c, int rows, int ld, int bytes, bool keep) {
  int64_t count = (int64_t)rows * ld * bytes;
  return (cg_mat){keep ? cg_keep(c, count) : cg_ws_at(c, cg_temp(c, count)), ll_i(&c->g, ld), ld};
}

/* row stride of rows of k in scratch, elements: rows of a tile must not meet in few cache sets */
static int row_stride(int k) { return k * 2 % 512 ? k : k + STEP; }

/* ---- interleaving ---------------------------------------------------------------------------------------------- */

static ll_v load_half(ll *g, ll_v p, ll_v mask) {
  ll_t narrow = ll_vec(g, g->i16);
  ll_v x = mask ? ll_masked_load(g, narrow, p, 2, mask, LLVMConstNull(narrow)) : ll_load(g, narrow, p, 2);
  return LLVMBuildZExt(g->b, x, ll_vec(g, g->i32), "");
}

static ll_v load_pairs(ll *g, ll_v even, ll_v odd, ll_v mask) {
  ll_v high = LLVMBuildShl(g->b, load_half(g, odd, mask), ll_iconst(g, g->i32, 16), "");
  return LLVMBuildOr(g->b, load_half(g, even, mask), high, "");
}

/* (src, row stride in bytes, pairs of rows, columns, dst, its row stride in bytes) */
static ll_v build_interleave(cg *c) {
  ll *g = &c->g;
  ll_t args[] = {g->ptr, g->i64, g->i64, g->i64, g->ptr, g->i64};
  LLVMBasicBlockRef back = LLVMGetInsertBlock(g->b);
  ll_v caller = g->fn, f = ll_function(g, "interleave", 6, args, true), n = LLVMGetParam(f, 3);
  ll_v whole = ll_and(g, n, ll_i(g, -g->lanes)), two = ll_mul(g, LLVMGetParam(f, 1), ll_i(g, 2));
  ll_v left = LLVMBuildTrunc(g->b, ll_sub(g, n, whole), g->i32, "");
  ll_v mask = ll_icmp(g, LLVMIntSLT, ll_lane_numbers(g, 0), ll_splat(g, left));
  ll_loop r, q;
  ll_branch br;
  ll_loop_begin(g, &r, ll_i(g, 0), LLVMGetParam(f, 2), ll_i(g, 1), 0, NULL, true);
  ll_v even = ll_gep(g, LLVMGetParam(f, 0), ll_mul(g, r.iv, two)), odd = ll_gep(g, even, LLVMGetParam(f, 1));
  ll_v to = ll_gep(g, LLVMGetParam(f, 4), ll_mul(g, r.iv, LLVMGetParam(f, 5)));
  ll_loop_begin(g, &q, ll_i(g, 0), whole, ll_i(g, g->lanes), 0, NULL, true);
  ll_v at = ll_mul(g, q.iv, ll_i(g, 2));
  ll_store(g, load_pairs(g, ll_gep(g, even, at), ll_gep(g, odd, at), NULL),
           ll_gep(g, to, ll_mul(g, q.iv, ll_i(g, PAIR))), PAIR);
  ll_loop_end(g, &q, NULL);
  ll_if(g, &br, ll_icmp(g, LLVMIntSLT, whole, n));
  at = ll_mul(g, whole, ll_i(g, 2));
  ll_store(g, load_pairs(g, ll_gep(g, even, at), ll_gep(g, odd, at), mask),
           ll_gep(g, to, ll_mul(g, whole, ll_i(g, PAIR))), PAIR);
  ll_else(g, &br);
  ll_endif(g, &br);
  ll_loop_end(g, &r, NULL);
  LLVMBuildRetVoid(g->b);
  g->fn = caller;
  LLVMPositionBuilderAtEnd(g->b, back);
  return f;
}

/* dst[i][j] = (src[2i][j], src[2i + 1][j]); src.ld in elements, dst.ld in pairs */
void cg_interleave(cg *c, cg_mat src, ll_v pairs, ll_v n, cg_mat dst) {
  ll *g = &c->g;
  if (!c->interleave) c->interleave = build_interleave(c);
  ll_v args[] = {src.p, ll_mul(g, src.ld, ll_i(g, 2)), pairs, n, dst.p, ll_mul(g, dst.ld, ll_i(g, PAIR))};
  LLVMBuildCall2(g->b, LLVMGlobalGetValueType(c->interleave), c->interleave, args, 6, "");
}

/* [rows][2*pairs] elements -> [pairs][rows] pairs; ld of elements, of pairs */
void cg_turn_to_pairs(cg *c, cg_mat src, ll_v rows, ll_v pairs, cg_mat dst) {
  ll *g = &c->g;
  cg_transpose_bytes(c, PAIR, src.p, ll_mul(g, src.ld, ll_i(g, 2)), rows, pairs, dst.p,
                     ll_mul(g, dst.ld, ll_i(g, PAIR)));
}

/* ---- interleaving and transposing at once ------------------------------------------------------------------------ */

/* 16 pairs of rows from `from` on, 16 columns: rows of 16 pairs at `to` */
static void turn_square(ll *g, ll_v from, ll_v ld, ll_v mask, ll_v to, ll_v to_ld) {
  ll_v v[LL_LANES];
  for (int i = 0; i < g->lanes; i++) {
    ll_v even = ll_gep(g, from, ll_mul(g, ld, ll_i(g, 2 * i)));
    v[i] = load_pairs(g, even, ll_gep(g, even, ld), mask);
  }
  ll_transpose(g, v);
  for (int i = 0; i < g->lanes; i++) ll_store(g, v[i], ll_gep(g, to, ll_mul(g, to_ld, ll_i(g, i))), PAIR);
}

/* as build_interleave; pairs: a multiple of 16; rows of dst: whole vectors of columns */
static ll_v build_turn(cg *c) {
  ll *g = &c->g;
  ll_t args[] = {g->ptr, g->i64, g->i64, g->i64, g->ptr, g->i64};
  LLVMBasicBlockRef back = LLVMGetInsertBlock(g->b);
  ll_v caller = g->fn, f = ll_function(g, "turn", 6, args, true), ld = LLVMGetParam(f, 1), to_ld = LLVMGetParam(f, 5);
  ll_loop r, q;
  ll_loop_begin(g, &r, ll_i(g, 0), LLVMGetParam(f, 2), ll_i(g, g->lanes), 0, NULL, true);
  ll_loop_begin(g, &q, ll_i(g, 0), LLVMGetParam(f, 3), ll_i(g, g->lanes), 0, NULL, true);
  ll_v left = LLVMBuildTrunc(g->b, ll_sub(g, LLVMGetParam(f, 3), q.iv), g->i32, "");
  ll_v mask = ll_icmp(g, LLVMIntSLT, ll_lane_numbers(g, 0), ll_splat(g, left));
  ll_v from =
      ll_gep(g, LLVMGetParam(f, 0), ll_add(g, ll_mul(g, r.iv, ll_mul(g, ld, ll_i(g, 2))), ll_mul(g, q.iv, ll_i(g, 2))));
  ll_v to = ll_gep(g, LLVMGetParam(f, 4), ll_add(g, ll_mul(g, q.iv, to_ld), ll_mul(g, r.iv, ll_i(g, PAIR))));
  turn_square(g, from, ld, mask, to, to_ld);
  ll_loop_end(g, &q, NULL);
  ll_loop_end(g, &r, NULL);
  LLVMBuildRetVoid(g->b);
  g->fn = caller;
  LLVMPositionBuilderAtEnd(g->b, back);
  return f;
}

/* dst[j][2i], dst[j][2i + 1] = src[2i][j], src[2i + 1][j] */
static void turn(cg *c, cg_mat src, ll_v pairs, ll_v n, cg_mat dst) {
  ll *g = &c->g;
  if (!c->turn) c->turn = build_turn(c);
  ll_v args[] = {src.p, ll_mul(g, src.ld, ll_i(g, 2)), pairs, n, dst.p, ll_mul(g, dst.ld, ll_i(g, 2))};
  LLVMBuildCall2(g->b, LLVMGlobalGetValueType(c->turn), c->turn, args, 6, "");
}

/* ---- copies in the tile's orientation ---------------------------------------------------------------------------- */

static void zero_rows(cg *c, cg_mat m, ll_v from, ll_v to, int bytes_of_row) {
  ll *g = &c->g;
  ll_loop r;
  ll_loop_begin(g, &r, from, to, ll_i(g, 1), 0, NULL, true);
  ll_v row = ll_gep(g, m.p, ll_mul(g, r.iv, ll_mul(g, m.ld, ll_i(g, 2))));
  for (int at = 0; at < bytes_of_row; at += 2 * g->lanes)
    ll_store(g, LLVMConstNull(ll_vec(g, g->i16)), ll_gep(g, row, ll_i(g, at)), 2);
  ll_loop_end(g, &r, NULL);
}

/* columns [count, STEP) of rows of STEP elements */
static void zero_columns(cg *c, cg_mat m, ll_v rows, ll_v count) {
  ll *g = &c->g;
  ll_t t = ll_vec(g, g->i16);
  ll_v limit = ll_splat(g, LLVMBuildTrunc(g->b, count, g->i32, ""));
  ll_loop r;
  ll_loop_begin(g, &r, ll_i(g, 0), rows, ll_i(g, 1), 0, NULL, true);
  for (int j = 0; j < STEP; j += g->lanes) {
    ll_v p = ll_gep(g, m.p, ll_add(g, ll_mul(g, r.iv, ll_mul(g, m.ld, ll_i(g, 2))), ll_i(g, 2 * j)));
    ll_v keep = ll_icmp(g, LLVMIntSLT, ll_lane_numbers(g, j), limit);
    ll_store(g, ll_select(g, keep, ll_load(g, t, p, 2), LLVMConstNull(t)), p, 2);
  }
  ll_loop_end(g, &r, NULL);
}

/* rows: how many of the other dimension exist */
static cg_mat copied(cg *c, const cg_operand *o, const cg_tile_piece *k, int across, ll_v rows) {
  ll *g = &c->g;
  cg_mat m =
      o->k_rows ? space(c, k->most, rounded(c, across), 2, false) : space(c, across, row_stride(k->most), 2, false);
  cg_part part = {.elem = SN_ELEM_BF16, .cols = o->k_rows ? across : k->most};
  if (o->k_rows)
    part.row0 = k->k0, part.rows = k->count;
  else
    part.rows = rows, part.col0 = k->k0, part.col_end = k->k0 ? ll_add(g, k->k0, k->count) : k->count;
  cg_copy(c, o->v, m.p, (int)m.ld_const, part);
  if (k->tail && o->k_rows) zero_rows(c, m, k->count, ll_i(g, STEP), 2 * rounded(c, across));
  if (k->tail && !o->k_rows) zero_columns(c, m, rows, k->count);
  return m;
}

static cg_mat advanced(cg *c, const cg_operand *o, ll_v k0) {
  ll *g = &c->g;
  cg_mat m = o->mem;
  if (k0) m.p = ll_gep(g, m.p, ll_mul(g, o->mem_k_rows ? ll_mul(g, k0, m.ld) : k0, ll_i(g, 2)));
  return m;
}

cg_mat cg_tile_rows(cg *c, const cg_operand *o, const cg_tile_piece *k, int across, ll_v rows, bool in_place) {
  return in_place ? advanced(c, o, k->k0) : copied(c, o, k, across, rows);
}

/* ---- a ----------------------------------------------------------------------------------------------------------- */

bool cg_tile_a_direct(const cg_product *p) {
  const cg_operand *a = &p->a;
  return a->in_place && a->elem == SN_ELEM_BF16 && !a->mem_k_rows;
}

static ll_v depth(const cg *c, const cg_tile_piece *k) { return k->tail ? ll_i((ll *)&c->g, STEP) : k->count; }

void cg_tile_place_a(cg_product *p, const cg_tile_piece *k) {
  cg *c = p->c;
  ll *g = &c->g;
  bool in_place = p->a.in_place && p->a.elem == SN_ELEM_BF16 && !k->tail;
  bool k_rows = in_place ? p->a.mem_k_rows : p->a.k_rows;
  ll_v rows = p->valid ? p->valid : ll_i(g, p->m);
  cg_mat m = in_place ? advanced(c, &p->a, k->k0) : copied(c, &p->a, k, p->m, rows);
  if (k_rows) {
    cg_mat turned = space(c, rounded(c, p->m), row_stride(k->most), 2, false);
    turn(c, m, LLVMBuildLShr(g->b, depth(c, k), ll_i(g, 1), ""), rows, turned);
    m = turned;
  }
  p->pa = m;
}

/* ---- b ----------------------------------------------------------------------------------------------------------- */

/* the other half of the last pair when the number of k is odd */
static void zero_half(cg *c, cg_mat m, ll_v count, int n) {
  ll *g = &c->g;
  ll_branch br;
  ll_loop q;
  ll_if(g, &br, ll_icmp(g, LLVMIntNE, ll_and(g, count, ll_i(g, 1)), ll_i(g, 0)));
  ll_v row = ll_gep(g, m.p, ll_mul(g, ll_sub(g, count, ll_i(g, 1)), m.ld)); /* pair number times two bytes */
  ll_loop_begin(g, &q, ll_i(g, 0), ll_i(g, n), ll_i(g, 1), 0, NULL, false);
  ll_store(g, LLVMConstNull(g->i16), ll_gep(g, row, ll_add(g, ll_mul(g, q.iv, ll_i(g, PAIR)), ll_i(g, 2))), 2);
  ll_loop_end(g, &q, NULL);
  ll_else(g, &br);
  ll_endif(g, &br);
}

static void place_pairs(cg_product *p, const cg_tile_piece *k) {
  cg *c = p->c;
  ll *g = &c->g;
  p->pb = p->b.mem;
  if (!k->tail) {
    if (k->k0) p->pb.p = ll_gep(g, p->pb.p, ll_mul(g, k->k0, p->pb.ld)); /* k/2 rows of two bytes an element */
    return;
  }
  int width = rounded(c, 2 * p->n);
  cg_part part = {.elem = SN_ELEM_BF16, .cols = 2 * p->n};
  part.row0 = LLVMBuildLShr(g->b, k->k0 ? k->k0 : ll_i(g, 0), ll_i(g, 1), "");
  part.rows = LLVMBuildLShr(g->b, ll_add(g, k->count, ll_i(g, 1)), ll_i(g, 1), "");
  p->pb = space(c, STEP / 2, width, 2, false);
  cg_copy(c, p->b.v, p->pb.p, width, part);
  zero_rows(c, p->pb, part.rows, ll_i(g, STEP / 2), 2 * width);
  zero_half(c, p->pb, k->count, p->n);
}

/* columns of b that exist; NULL: all */
static ll_v columns_of(const cg_product *p, bool in_place) {
  const cg_operand *b = &p->b;
  if (!in_place || !b->limit || b->limit == p->holds) return NULL;
  return cg_clamp(p->c, cg_index(p->c, b->limit), 0, p->n);
}

static void fill_pairs(cg_product *p, const cg_tile_piece *k, cg_mat to) {
  cg *c = p->c;
  ll *g = &c->g;
  ll_branch br;
  bool in_place = p->b.in_place && p->b.elem == SN_ELEM_BF16 && !k->tail;
  bool k_rows = in_place ? p->b.mem_k_rows : p->b.k_rows;
  ll_v limit = columns_of(p, in_place), n = limit ? limit : ll_i(g, p->n);
  cg_mat from = in_place ? advanced(c, &p->b, k->k0) : copied(c, &p->b, k, p->n, ll_i(g, p->n));
  ll_v pairs = LLVMBuildLShr(g->b, depth(c, k), ll_i(g, 1), "");
  if (limit) {
    cg_mat halves = {to.p, ll_mul(g, to.ld, ll_i(g, 2)), 0};
    ll_if(g, &br, ll_icmp(g, LLVMIntSLT, limit, ll_i(g, p->n)));
    zero_rows(c, halves, ll_i(g, 0), pairs, PAIR * rounded(c, p->n));
    ll_else(g, &br);
    ll_endif(g, &br);
  }
  if (k_rows)
    cg_interleave(c, from, pairs, n, to);
  else
    cg_turn_to_pairs(c, from, n, pairs, to);
}

void cg_tile_place_b(cg_product *p, const cg_tile_piece *k) {
  cg *c = p->c;
  ll *g = &c->g;
  ll_branch br;
  ll_v fill = NULL;
  if (p->pairs) {
    place_pairs(p, k);
    return;
  }
  cg_mat to = space(c, k->most / 2, rounded(c, p->n), PAIR, k->keep);
  if (k->keep && cg_keeps(p, &fill)) ll_if(g, &br, fill);
  fill_pairs(p, k, to);
  if (fill) {
    ll_else(g, &br);
    ll_endif(g, &br);
  }
  p->pb = (cg_mat){to.p, ll_mul(g, to.ld, ll_i(g, 2)), 2 * to.ld_const}; /* in elements, as packed windows have it */
}
