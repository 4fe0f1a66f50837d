/* Products of bf16 by vectors of pairs, where the level multiplies those (twice the rate of f32) and has no tiles: both
 * operands are brought into the form that the microkernels of packed pairs read, in the workspace, along k in pieces.
 *
 *   a  memory [m][k]  read in place            b  memory [k][n]  rows are interleaved, in panels
 *      memory [k][m]  rows are interleaved        memory [n][k]  pairs are transposed, in panels
 *
 * What lies otherwise is copied first; a last piece shorter than a step of 32 is padded with zeros. Every element of
 * the result is one chain over the pairs of k, whatever the block. */
#include "backends/llvm/mma.h"

enum { STEP = 32, WHOLE = 512, CHUNK = 512, LEAST = 16, PAIR = 4 /* bytes */ };

bool cg_pair_product(const sn_kernel *k, const sn_kins *x, const cg_isa *isa) {
  if (!isa->bf16 || isa->amx || x->op != SN_K_MMA || x->i & SN_K_VNNI || x->type.elem != SN_ELEM_F32) return false;
  sn_ktype a = sn_k_type(k, x->a[1]), b = sn_k_type(k, x->a[2]);
  int depth = x->i & SN_K_TA ? a.r : a.c;
  bool narrow = a.elem == SN_ELEM_BF16 && b.elem == SN_ELEM_BF16;
  return narrow && x->type.r >= LEAST && x->type.c >= LEAST && depth >= LEAST;
}

static bool in_place(const cg_operand *o, const cg_tile_piece *k) {
  return o->in_place && o->elem == SN_ELEM_BF16 && !k->tail;
}

static ll_v pairs_in(const cg *c, const cg_tile_piece *k) {
  ll *g = (ll *)&c->g;
  return k->tail ? ll_i(g, STEP / 2) : LLVMBuildLShr(g->b, k->count, ll_i(g, 1), "");
}

/* Panels of `width` columns of pairs, [k/2][width] each; ld in elements, as packed windows have it. */
static cg_mat panels(cg *c, const cg_tile_piece *k, int across, int width, bool keep, int64_t *step) {
  *step = (int64_t)(k->tail ? STEP : k->most) / 2 * width + c->g.lanes; /* panels do not meet in few cache sets */
  int64_t bytes = (across + width - 1) / width * *step * PAIR;
  return (cg_mat){keep ? cg_keep(c, bytes) : cg_ws_at(c, cg_temp(c, bytes)), ll_i(&c->g, 2 * width), 2 * width};
}

/* Operand in memory or scratch -> panels; columns: of all those across, how many exist (NULL: all) */
static void fill_panels(cg *c, cg_mat from, bool k_rows, ll_v pairs, int across, ll_v columns, int64_t step,
                        cg_mat to) {
  ll *g = &c->g;
  int width = (int)to.ld_const / 2;
  for (int at = 0; at < across; at += width) {
    int most = across - at < width ? across - at : width;
    ll_v n = columns ? cg_clamp(c, ll_sub(g, columns, ll_i(g, at)), 0, most) : ll_i(g, most);
    ll_v skip = k_rows ? ll_i(g, 2 * at) : ll_mul(g, from.ld, ll_i(g, 2 * at));
    cg_mat src = {ll_gep(g, from.p, skip), from.ld, from.ld_const};
    cg_mat dst = {ll_gep(g, to.p, ll_i(g, at / width * step * PAIR)), ll_i(g, width), width};
    if (k_rows)
      cg_interleave(c, src, pairs, n, dst);
    else
      cg_turn_to_pairs(c, src, n, pairs, dst);
  }
}

static void place_a(cg_product *p, const cg_tile_piece *k) {
  cg *c = p->c;
  bool direct = in_place(&p->a, k), k_rows = direct ? p->a.mem_k_rows : p->a.k_rows;
  ll_v rows = p->valid ? p->valid : ll_i(&c->g, p->m);
  int width = p->beta ? cg_even_rows(p) : 0; /* else the last block may begin at any row */
  p->pa = cg_tile_rows(c, &p->a, k, p->m, rows, direct);
  p->ta = k_rows, p->a_panel = 0;
  if (!k_rows) return;
  int64_t step;
  cg_mat to = panels(c, k, p->m, width ? width : (p->m + c->g.lanes - 1) / c->g.lanes * c->g.lanes, false, &step);
  fill_panels(c, p->pa, true, pairs_in(c, k), p->m, p->valid, step, to);
  p->pa = to, p->a_panel = width ? 2 * step : 0;
}

static void fill_b(cg_product *p, const cg_tile_piece *k, bool direct, int64_t step) {
  cg *c = p->c;
  bool k_rows = direct ? p->b.mem_k_rows : p->b.k_rows;
  int64_t top = c->ws_top;
  cg_mat from = cg_tile_rows(c, &p->b, k, p->n, ll_i(&c->g, p->n), direct);
  fill_panels(c, from, k_rows, pairs_in(c, k), p->n, NULL, step, p->pb);
  c->ws_top = top;
}

/* Where columns are missing, what is read is a copy with its padding. */
static void fill_limited_b(cg_product *p, const cg_tile_piece *k, int64_t step) {
  cg *c = p->c;
  ll *g = &c->g;
  ll_branch br;
  const cg_operand *b = &p->b;
  bool direct = in_place(b, k), limited = direct && b->limit && b->limit != p->holds;
  if (limited) ll_if(g, &br, ll_icmp(g, LLVMIntSGE, cg_index(c, b->limit), ll_i(g, p->n)));
  fill_b(p, k, direct, step);
  if (!limited) return;
  ll_else(g, &br);
  fill_b(p, k, false, step);
  ll_endif(g, &br);
}

static void place_b(cg_product *p, const cg_tile_piece *k) {
  cg *c = p->c;
  ll *g = &c->g;
  ll_branch br;
  ll_v fill = NULL;
  int64_t step;
  int all = cg_vectors(p->n, g->lanes) * g->lanes, width = cg_chunk_columns(p) < all ? cg_chunk_columns(p) : all;
  p->pb = panels(c, k, p->n, width, k->keep, &step);
  p->b_panel = width < p->n ? step : 0;
  if (k->keep && cg_keeps(p, &fill)) ll_if(g, &br, fill);
  fill_limited_b(p, k, step);
  if (!fill) return;
  ll_else(g, &br);
  ll_endif(g, &br);
}

static void emit_piece(const cg_product *whole, const cg_tile_piece *k) {
  cg_product p = *whole;
  int64_t top = p.c->ws_top, n;
  place_a(&p, k);
  place_b(&p, k);
  p.k = k->tail ? ll_i(&p.c->g, STEP) : k->count;
  p.any_k = !k->tail && !k->k0 && !(ll_const(k->count, &n) && n > 0);
  p.pairs = p.near_b = true, p.elem_b = SN_ELEM_BF16;
  cg_emit_blocks(&p);
  p.c->ws_top = top;
}

static void emit_chunks(cg_product *p, ll_v whole) {
  ll *g = &p->c->g;
  ll_loop l;
  bool writes = cg_begin_sum(p, whole);
  ll_loop_begin(g, &l, ll_i(g, 0), whole, ll_i(g, CHUNK), 0, NULL, true);
  p->beta = true, p->adds = writes ? ll_icmp(g, LLVMIntNE, l.iv, ll_i(g, 0)) : NULL;
  cg_tile_piece k = {.k0 = l.iv, .count = ll_imin(g, ll_i(g, CHUNK), ll_sub(g, whole, l.iv)), .most = CHUNK};
  emit_piece(p, &k);
  ll_loop_end(g, &l, NULL);
  p->adds = NULL;
}

static void emit_rest(cg_product *p, ll_v from, ll_v count) {
  ll *g = &p->c->g;
  ll_branch br;
  int64_t n;
  bool known = ll_const(count, &n);
  if (known && n == 0) return;
  if (!known) ll_if(g, &br, ll_icmp(g, LLVMIntSGT, count, ll_i(g, 0)));
  emit_piece(p, &(cg_tile_piece){.k0 = from, .count = count, .most = STEP, .tail = true});
  if (known) return;
  ll_else(g, &br);
  ll_endif(g, &br);
}

void cg_run_pairs(const cg_product *product) {
  cg_product p = *product;
  ll *g = &p.c->g;
  ll_v all = p.k, whole = p.whole_steps ? all : ll_and(g, all, ll_i(g, -STEP));
  int64_t n, most = p.k_most & -STEP;
  cg_tile_piece k = {.count = whole, .most = (int)most, .keep = cg_keeps(&p, NULL)};
  if (!ll_const(whole, &n) || n > 0) {
    if (k.keep && in_place(&p.a, &k) && !p.a.mem_k_rows) cg_look_at_next_rows(&p);
    if (most && (most <= WHOLE || k.keep))
      emit_piece(&p, &k);
    else
      emit_chunks(&p, whole);
    p.beta = true, p.next_a.p = NULL;
  }
  p.ahead = NULL;
  if (!p.whole_steps) emit_rest(&p, whole, ll_sub(g, all, whole));
}
