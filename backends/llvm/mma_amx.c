/* The microkernel of tiles: C[16 r, 16 c] (+)= A[16 r, K] * B[K, 16 c] for r, c of 1 or 2 tiles, B in pairs of k.
 * Tiles 0-3 hold C, 4-5 A, 6-7 B. They are named by number; mma_tiles.c configures them. */
#include "backends/llvm/mma.h"

enum { TILE_ROWS = 16 };

static ll_v number(ll *g, int t) { return LLVMConstInt(g->i8, (unsigned long long)t, 0); }

static void tile_load(ll *g, int t, ll_v p, ll_v stride) {
  ll_call(g, "llvm.x86.tileloadd64", 0, NULL, 3, (ll_v[]){number(g, t), p, stride});
}

/* the rows of b that the next step reads, as many as there are in front of this row of tiles */
static void prefetch_next(ll *g, const cg_uk_key *key, int i, ll_v b, ll_v b_stride) {
  int lines = TILE_ROWS * key->vectors / key->rows;
  for (int q = i * lines; q < (i + 1) * lines; q++) {
    ll_v row = ll_mul(g, b_stride, ll_i(g, TILE_ROWS + q / key->vectors));
    ll_prefetch(g, ll_gep(g, b, ll_add(g, row, ll_i(g, 64 * (q % key->vectors)))), false);
  }
}

static void k_step(ll *g, const cg_uk_key *key, ll_v a, ll_v b, ll_v a_stride, ll_v b_stride) {
  for (int j = 0; j < key->vectors; j++) tile_load(g, 6 + j, ll_gep(g, b, ll_i(g, 64 * j)), b_stride);
  for (int i = 0; i < key->rows; i++) {
    tile_load(g, 4 + i, i ? ll_gep(g, a, ll_mul(g, a_stride, ll_i(g, TILE_ROWS))) : a, a_stride);
    prefetch_next(g, key, i, b, b_stride);
    for (int j = 0; j < key->vectors; j++)
      ll_call(g, "llvm.x86.tdpbf16ps", 0, NULL, 3, (ll_v[]){number(g, i * 2 + j), number(g, 4 + i), number(g, 6 + j)});
  }
}

ll_v cg_amx_microkernel(cg *c, const cg_uk_key *key, const char *name) {
  ll *g = &c->g;
  ll_t args[] = {g->ptr, g->ptr, g->ptr, g->i64, g->i64, g->i64, g->i64};
  ll_v f = ll_function(g, name, 7, args, true), at[4];
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
  ll_loop l;
  ll_v init[2] = {LLVMGetParam(f, 0), LLVMGetParam(f, 1)};
  ll_loop_begin(g, &l, ll_i(g, 0), LLVMGetParam(f, 3), ll_i(g, 32), 2, init, true);
  k_step(g, key, l.phi[0], l.phi[1], a_stride, b_stride);
  ll_v next[2] = {ll_gep(g, l.phi[0], ll_i(g, 64)), ll_gep(g, l.phi[1], ll_mul(g, b_stride, ll_i(g, TILE_ROWS)))};
  ll_loop_end(g, &l, next);
  for (int t = 0; t < 4; t++)
    if (t / 2 < key->rows && t % 2 < key->vectors)
      ll_call(g, "llvm.x86.tilestored64", 0, NULL, 3, (ll_v[]){number(g, t), at[t], c_stride});
  LLVMBuildRetVoid(g->b);
  return f;
}
