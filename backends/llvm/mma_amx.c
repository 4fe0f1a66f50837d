/* The microkernel of tiles: C[16 r, 16 c] (+)= A[16 r, K] * B[K, 16 c] for r, c of 1 or 2 tiles, B in pairs of k.
 * Tiles 0-3 hold C, 4-5 A, 6-7 B. They are named by number; mma_tiles.c configures them.
 *
 * What the order of instructions is about, measured on blocks of 2 x 2 tiles whose operands are in the second level
 * cache:
 *
 *   a tile is loaded where its first product is, not all of them first    2.0 -> 2.3 TFLOP/s
 *   every step has one multiply-add of a vector: that unit sleeps after about half a microsecond without work, and
 *   storing tiles needs it; to wake it costs 0.3 us, half as much as a block of 768 k takes    1.5 -> 2.1 TFLOP/s
 *   rows that the result will go to are asked for during the steps, not behind them
 *   so is a share of the panel of b that comes next, into the second level cache, where all rows that follow read it;
 *   asking for the next step's rows of b as well costs 3 % once they are there */
#include "backends/llvm/mma.h"

enum { TILE_ROWS = 16, STEP = 32, LINE = 64 };

static ll_v number(ll *g, int t) { return LLVMConstInt(g->i8, (unsigned long long)t, 0); }

static void tile_load(ll *g, int t, ll_v p, ll_v stride) {
  ll_call(g, "llvm.x86.tileloadd64", 0, NULL, 3, (ll_v[]){number(g, t), p, stride});
}

/* what is asked for of b: the rows that the next step reads, as many as there are in front of this row of tiles */
static void prefetch_step(ll *g, const cg_uk_key *key, int i, ll_v b, ll_v b_stride) {
  int lines = TILE_ROWS * key->vectors / key->rows;
  for (int q = i * lines; q < (i + 1) * lines; q++) {
    ll_v row = ll_mul(g, b_stride, ll_i(g, TILE_ROWS + q / key->vectors));
    ll_prefetch(g, ll_gep(g, b, ll_add(g, row, ll_i(g, LINE * (q % key->vectors)))), false);
  }
}

/* or a share of the next panel; returns where the next step's begins */
static ll_v prefetch_panel(ll *g, ll_v panel) {
  for (int q = 0; q < CG_PANEL_LINES; q++) ll_prefetch_l2(g, ll_gep(g, panel, ll_i(g, LINE * q)));
  return ll_gep(g, panel, ll_i(g, LINE * CG_PANEL_LINES));
}

/* two rows of where the result goes, as long as the block has rows; returns where the next two are */
static ll_v prefetch_results(ll *g, const cg_uk_key *key, ll_v k, ll_v from, ll_v ld) {
  for (int i = 0; i < 2 * key->next; i++)
    ll_prefetch(g, ll_gep(g, from, ll_add(g, i < key->next ? ll_i(g, 0) : ld, ll_i(g, 64 * (i % key->next)))), true);
  ll_v more = ll_icmp(g, LLVMIntSLT, k, ll_i(g, (TILE_ROWS * key->rows / 2 - 1) * STEP));
  return ll_gep(g, from, ll_select(g, more, ll_mul(g, ld, ll_i(g, 2)), ll_i(g, 0)));
}

static void k_step(ll *g, const cg_uk_key *key, ll_v a, ll_v b, ll_v a_stride, ll_v b_stride) {
  for (int i = 0; i < key->rows; i++) {
    tile_load(g, 4 + i, i ? ll_gep(g, a, ll_mul(g, a_stride, ll_i(g, TILE_ROWS))) : a, a_stride);
    for (int j = 0; j < key->vectors; j++) {
      if (i == 0) tile_load(g, 6 + j, ll_gep(g, b, ll_i(g, 64 * j)), b_stride);
      if (j == key->vectors - 1 && key->fetch == CG_FETCH_STEP) prefetch_step(g, key, i, b, b_stride);
      ll_call(g, "llvm.x86.tdpbf16ps", 0, NULL, 3, (ll_v[]){number(g, i * 2 + j), number(g, 4 + i), number(g, 6 + j)});
    }
  }
}

/* the loop over k; d: where the result begins */
static void k_loop(ll *g, const cg_uk_key *key, ll_v f, ll_v a_stride, ll_v b_stride, ll_v d) {
  enum { A, B, AWAKE, RESULT, PANEL, COUNT };
  ll_loop l;
  ll_v init[COUNT] = {LLVMGetParam(f, 0), LLVMGetParam(f, 1), LLVMConstNull(ll_vec(g, g->f32)), LLVMGetParam(f, 7),
                      LLVMGetParam(f, 9)};
  ll_v next[COUNT] = {[RESULT] = init[RESULT], [PANEL] = init[PANEL]};
  ll_loop_begin(g, &l, ll_i(g, 0), LLVMGetParam(f, 3), ll_i(g, STEP), COUNT, init, true);
  next[AWAKE] = ll_fma(g, l.phi[AWAKE], l.phi[AWAKE], l.phi[AWAKE]);
  if (key->next) next[RESULT] = prefetch_results(g, key, l.iv, l.phi[RESULT], LLVMGetParam(f, 8));
  if (key->fetch == CG_FETCH_PANEL) next[PANEL] = prefetch_panel(g, l.phi[PANEL]);
  k_step(g, key, l.phi[A], l.phi[B], a_stride, b_stride);
  next[A] = ll_gep(g, l.phi[A], ll_i(g, 64)), next[B] = ll_gep(g, l.phi[B], ll_mul(g, b_stride, ll_i(g, TILE_ROWS)));
  ll_loop_end(g, &l, next);
  ll_store(g, ll_lane0(g, l.out[AWAKE]), d, 4); /* so that it is not left out; the result overwrites it */
}

ll_v cg_amx_microkernel(cg *c, const cg_uk_key *key, const char *name) {
  ll *g = &c->g;
  ll_t args[] = {g->ptr, g->ptr, g->ptr, g->i64, g->i64, g->i64, g->i64, g->ptr, g->i64, g->ptr};
  ll_v f = ll_function(g, name, 10, args, true), at[4];
  ll_v a_stride = ll_mul(g, key->lda ? ll_i(g, key->lda) : LLVMGetParam(f, 4), ll_i(g, 2));
  ll_v b_stride = ll_mul(g, key->ldb ? ll_i(g, key->ldb) : LLVMGetParam(f, 5), ll_i(g, 2));
  ll_v c_stride = ll_mul(g, key->ldc ? ll_i(g, key->ldc) : LLVMGetParam(f, 6), ll_i(g, 4));
  for (int t = 0; t < 4; t++) {
    int i = t / 2, j = t % 2;
    at[t] = ll_gep(g, LLVMGetParam(f, 2), ll_add(g, ll_mul(g, c_stride, ll_i(g, i * TILE_ROWS)), ll_i(g, j * 64)));
    if (i >= key->rows || j >= key->vectors) continue;
    if (key->beta)
      tile_load(g, t, at[t], c_stride);
    else
      ll_call(g, "llvm.x86.tilezero", 0, NULL, 1, (ll_v[]){number(g, t)});
  }
  k_loop(g, key, f, a_stride, b_stride, at[0]);
  for (int t = 0; t < 4; t++)
    if (t / 2 < key->rows && t % 2 < key->vectors)
      ll_call(g, "llvm.x86.tilestored64", 0, NULL, 3, (ll_v[]){number(g, t), at[t], c_stride});
  LLVMBuildRetVoid(g->b);
  return f;
}
