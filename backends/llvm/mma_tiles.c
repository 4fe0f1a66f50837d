/* Products of bf16 on AMX tiles: pieces of k, then the result in blocks of 2 x 2 tiles. Rows and columns that fill no
 * tile are covered by smaller tiles: the configuration is changed for them. Every element of the result is one chain
 * over steps of 32 k, whatever the block: its bits do not depend on its position. */
#include <string.h>

#include "backends/llvm/mma.h"

enum { STEP = 32, TILE = 16, WHOLE = 512, CHUNK = 512, LEAST_ROWS = 4, LEAST_DEPTH = 16, FEW_ROWS = 4 };

bool cg_tile_product(const sn_kernel *k, const sn_kins *x, const cg_isa *isa) {
  if (!isa->amx || x->op != SN_K_MMA || x->type.elem != SN_ELEM_F32) return false;
  sn_ktype a = sn_k_type(k, x->a[1]), b = sn_k_type(k, x->a[2]);
  int depth = x->i & SN_K_TA ? a.r : a.c;
  return a.elem == SN_ELEM_BF16 && b.elem == SN_ELEM_BF16 && x->type.r >= LEAST_ROWS && x->type.c >= TILE &&
         depth >= LEAST_DEPTH;
}

/* ---- configuration ---------------------------------------------------------------------------------------------- */

/* Tiles 0-3: result, 4-5: a, 6-7: b. Palette 1; bytes per row from byte 16 on, rows from byte 48 on. */
static void load_config(cg *c, ll_v at) { ll_call(&c->g, "llvm.x86.ldtilecfg", 0, NULL, 1, &at); }

/* Rows of the tiles that are configured between products: all products may have the same few, as those of a short batch
 * do, and then nothing is configured in an instance. */
static int usual_rows(const cg *c) {
  int rows = 0;
  for (sn_kv v = 1; v < c->k->ins_count; v++) {
    const sn_kins *x = cg_ins(c, v);
    if (!cg_tile_product(c->k, x, &c->g.isa)) continue;
    if (x->type.r >= TILE || (rows && rows != x->type.r)) return TILE;
    rows = x->type.r;
  }
  return rows;
}

/* a and the result have `rows` rows in a tile, b and the result `columns` columns */
static ll_v constant_config(cg *c, int rows, int columns) {
  ll *g = &c->g;
  unsigned char config[64] = {1};
  for (int t = 0; t < 8; t++) {
    config[16 + 2 * t] = (unsigned char)(t == 4 || t == 5 ? 64 : 4 * columns);
    config[48 + t] = (unsigned char)(t < 6 ? rows : TILE);
  }
  ll_v at = LLVMAddGlobal(g->m, LLVMArrayType2(g->i8, 64), "tile_config");
  LLVMSetInitializer(at, LLVMConstStringInContext2(g->c, (const char *)config, 64, 1));
  LLVMSetAlignment(at, 64);
  LLVMSetGlobalConstant(at, 1);
  LLVMSetLinkage(at, LLVMInternalLinkage);
  return at;
}

void cg_amx_begin(cg *c) {
  c->tile_rows = usual_rows(c);
  c->tile_config = constant_config(c, c->tile_rows, TILE);
  load_config(c, c->tile_config);
}

void cg_amx_end(cg *c) { ll_call(&c->g, "llvm.x86.tilerelease", 0, NULL, 0, NULL); }

static void configure(cg *c, ll_v rows, int columns) {
  ll *g = &c->g;
  int64_t known;
  if (ll_const(rows, &known)) {
    load_config(c, constant_config(c, (int)known, columns));
    return;
  }
  ll_v p = cg_ws_at(c, cg_temp(c, 64)), r = LLVMBuildTrunc(g->b, rows, g->i8, "");
  ll_store(g, LLVMConstNull(LLVMVectorType(g->i8, 64)), p, 1);
  ll_store(g, LLVMConstInt(g->i8, 1, 0), p, 1);
  for (int t = 0; t < 8; t++) {
    bool is_a = t == 4 || t == 5, is_b = t > 5;
    ll_store(g, LLVMConstInt(g->i8, is_a ? 64 : (unsigned)(4 * columns), 0), ll_gep(g, p, ll_i(g, 16 + 2 * t)), 1);
    ll_store(g, is_b ? LLVMConstInt(g->i8, TILE, 0) : r, ll_gep(g, p, ll_i(g, 48 + t)), 1);
  }
  load_config(c, p);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

/* A stretch of rows or columns in blocks of `tiles` tiles of `extent`. */
typedef struct span {
  ll_v from, to;
  int tiles;
  ll_v extent;
  bool maybe_empty; /* known at run time only */
} span;

static void call_block(const cg_product *p, int row_tiles, int column_tiles, ll_v row, ll_v col, cg_fetch fetch) {
  cg *c = p->c;
  ll *g = &c->g;
  cg_uk_key key;
  memset(&key, 0, sizeof key); /* keys are compared as bytes */
  key.rows = row_tiles, key.vectors = column_tiles, key.amx = true, key.beta = p->beta, key.fetch = fetch;
  key.lda = p->pa.ld_const, key.ldb = p->pb.ld_const, key.ldc = p->d.ld_const;
  ll_v d = ll_mul(g, ll_add(g, ll_mul(g, row, p->d.ld), col), ll_i(g, 4));
  cg_mat block = {ll_gep(g, p->d.p, d), ll_mul(g, p->d.ld, ll_i(g, 4)), 0};
  cg_next next;
  key.next = cg_results_ahead(c, p->ahead, row, col, TILE * column_tiles, block, &next);
  ll_v fn = cg_microkernel(c, key);
  ll_v args[] = {ll_gep(g, p->pa.p, ll_mul(g, ll_mul(g, row, p->pa.ld), ll_i(g, 2))),
                 ll_gep(g, p->pb.p, ll_mul(g, col, ll_i(g, 4))),
                 block.p,
                 p->k,
                 p->pa.ld,
                 p->pb.ld,
                 p->d.ld,
                 key.next ? next.from : LLVMGetPoison(g->ptr),
                 key.next ? next.ld : LLVMGetPoison(g->i64),
                 fetch == CG_FETCH_PANEL ? cg_next_panel(p, TILE * row_tiles, row) : LLVMGetPoison(g->ptr)};
  LLVMBuildCall2(g->b, LLVMGlobalGetValueType(fn), fn, args, 10, "");
}

/* The first rows that meet a panel bring what is missing of it; all others ask for a share of the next one. */
static void fetch_and_call(const cg_product *p, int row_tiles, int column_tiles, ll_v row, ll_v col) {
  cg *c = p->c;
  ll *g = &c->g;
  ll_branch br;
  if (!p->next_b.p) {
    call_block(p, row_tiles, column_tiles, row, col, p->pairs ? CG_FETCH_STEP : CG_FETCH_NONE);
    return;
  }
  ll_v before = LLVMBuildOr(g->b, row, c->gid[c->k->grid_count - 1], "");
  ll_if(g, &br, ll_icmp(g, LLVMIntEQ, before, ll_i(g, 0)));
  call_block(p, row_tiles, column_tiles, row, col, CG_FETCH_STEP);
  ll_else(g, &br);
  call_block(p, row_tiles, column_tiles, row, col, CG_FETCH_PANEL);
  ll_endif(g, &br);
}

static void call_blocks(const cg_product *p, const span *rows, const span *columns) {
  ll *g = &p->c->g;
  ll_loop i, j;
  ll_loop_begin(g, &j, columns->from, columns->to, ll_i(g, TILE * columns->tiles), 0, NULL, false);
  ll_loop_begin(g, &i, rows->from, rows->to, ll_i(g, TILE * rows->tiles), 0, NULL, false);
  fetch_and_call(p, rows->tiles, columns->tiles, i.iv, j.iv);
  ll_loop_end(g, &i, NULL);
  ll_loop_end(g, &j, NULL);
}

static void emit_region(const cg_product *p, const span *rows, const span *columns) {
  cg *c = p->c;
  ll *g = &c->g;
  ll_branch br;
  int64_t m = 0, n = TILE;
  ll_const(columns->extent, &n);
  bool usual = ll_const(rows->extent, &m) && m == c->tile_rows && n == TILE;
  if (rows->maybe_empty) ll_if(g, &br, ll_icmp(g, LLVMIntSLT, rows->from, rows->to));
  if (!usual) configure(c, rows->extent, (int)n);
  call_blocks(p, rows, columns);
  if (!usual) load_config(c, c->tile_config);
  if (!rows->maybe_empty) return;
  ll_else(g, &br);
  ll_endif(g, &br);
}

static bool is_empty(const span *s) {
  int64_t from, to;
  return ll_const(s->from, &from) && ll_const(s->to, &to) && from >= to;
}

/* pairs of tiles, one tile, part of a tile */
static void cut(ll *g, ll_v end, bool known, span *out) {
  ll_v pairs = ll_and(g, end, ll_i(g, -2 * TILE)), tiles = ll_and(g, end, ll_i(g, -TILE)), size = ll_i(g, TILE);
  out[0] = (span){ll_i(g, 0), pairs, 2, size, !known};
  out[1] = (span){pairs, tiles, 1, size, !known};
  out[2] = (span){tiles, end, 1, ll_sub(g, end, tiles), !known};
}

static void emit_tiles(const cg_product *p) {
  ll *g = &p->c->g;
  span rows[3], columns[3];
  cut(g, p->valid ? p->valid : ll_i(g, p->m), !p->valid, rows);
  cut(g, ll_i(g, p->n), true, columns);
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      if (!is_empty(&rows[i]) && !is_empty(&columns[j])) emit_region(p, &rows[i], &columns[j]);
}

/* A product whose rows may end early is often one of a single row: a token that is decoded. */
static void emit_blocks(const cg_product *p) {
  ll *g = &p->c->g;
  ll_branch br;
  if (!cg_may_be_rows(p)) {
    emit_tiles(p);
    return;
  }
  ll_if(g, &br, ll_icmp(g, LLVMIntSGT, p->valid, ll_i(g, FEW_ROWS)));
  emit_tiles(p);
  ll_else(g, &br);
  cg_emit_rows(p);
  ll_endif(g, &br);
}

/* ---- all of k ---------------------------------------------------------------------------------------------------- */

static void emit_piece(cg_product *p, const cg_tile_piece *k) {
  int64_t top = p->c->ws_top;
  cg_tile_place_a(p, k);
  cg_tile_place_b(p, k);
  p->k = k->tail ? ll_i(&p->c->g, STEP) : k->count;
  emit_blocks(p);
  p->c->ws_top = top;
}

static void emit_chunks(cg_product *p, ll_v whole) {
  ll *g = &p->c->g;
  ll_loop l;
  p->ahead = NULL, p->next_b.p = NULL; /* far ahead */
  if (!p->beta) cg_zero(p, ll_i(g, 0), p->keep_rows && p->valid ? p->valid : ll_i(g, p->m));
  ll_loop_begin(g, &l, ll_i(g, 0), whole, ll_i(g, CHUNK), 0, NULL, true);
  p->beta = true;
  cg_tile_piece k = {.k0 = l.iv, .count = ll_imin(g, ll_i(g, CHUNK), ll_sub(g, whole, l.iv)), .most = CHUNK};
  emit_piece(p, &k);
  ll_loop_end(g, &l, NULL);
}

/* the k that fill whole steps */
static void emit_whole(cg_product *p, ll_v whole) {
  bool direct = cg_tile_a_direct(p) && p->pairs;
  int most = (int)(p->k_most & -STEP);
  cg_tile_piece k = {.count = whole, .most = most, .keep = !direct && cg_tile_a_direct(p) && cg_keeps(p, NULL)};
  if (direct || (p->k_most && (most <= WHOLE || k.keep)))
    emit_piece(p, &k);
  else
    emit_chunks(p, whole);
  p->beta = true;
}

static void emit_rest(cg_product *p, ll_v from, ll_v count) {
  ll *g = &p->c->g;
  ll_branch br;
  int64_t n;
  bool known = ll_const(count, &n);
  cg_tile_piece k = {.k0 = from, .count = count, .most = STEP, .tail = true};
  if (known && n == 0) return;
  p->ahead = NULL, p->next_b.p = NULL; /* a step has no time for it */
  if (!known) ll_if(g, &br, ll_icmp(g, LLVMIntSGT, count, ll_i(g, 0)));
  emit_piece(p, &k);
  if (known) return;
  ll_else(g, &br);
  ll_endif(g, &br);
}

void cg_run_tiles(const cg_product *product) {
  cg_product p = *product;
  ll *g = &p.c->g;
  ll_v all = p.k, whole = p.whole_steps ? all : ll_and(g, all, ll_i(g, -STEP));
  int64_t n;
  bool zero_rest = p.valid && !p.beta && !p.keep_rows;
  cg_look_at_next_panel(&p);
  if (!ll_const(whole, &n) || n > 0) emit_whole(&p, whole);
  if (!p.whole_steps) emit_rest(&p, whole, ll_sub(g, all, whole));
  if (zero_rest) cg_zero(&p, p.valid, ll_i(g, p.m));
}
