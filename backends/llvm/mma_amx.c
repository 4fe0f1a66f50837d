/* bf16 products on AMX tiles: C[32, 32] (+)= A[32, K] * B[K, 32], B in pairs of rows (VNNI). Tiles 0-3 hold C, 4-5 A,
 * 6-7 B. Tiles are named by number and configured once per call of the kernel. */
#include "backends/llvm/mma.h"

static ll_v number(ll *g, int t) { return LLVMConstInt(g->i8, (unsigned long long)t, 0); }

static void tile_load(ll *g, int t, ll_v p, ll_v stride) {
  ll_call(g, "llvm.x86.tileloadd64", 0, NULL, 3, (ll_v[]){number(g, t), p, stride});
}

static void k_step(ll *g, ll_v a, ll_v b, ll_v a_stride, ll_v b_stride) {
  for (int j = 0; j < 2; j++) tile_load(g, 6 + j, ll_gep(g, b, ll_i(g, 64 * j)), b_stride);
  for (int i = 0; i < 2; i++) {
    tile_load(g, 4 + i, i ? ll_gep(g, a, ll_mul(g, a_stride, ll_i(g, 16))) : a, a_stride);
    for (int q = 0; q < 16; q++) ll_prefetch(g, ll_gep(g, b, ll_i(g, 2048 + 64 * (q + 16 * i))));
    for (int j = 0; j < 2; j++)
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
  for (int i = 0; i < 4; i++) {
    ll_v rows = ll_mul(g, c_stride, ll_i(g, i / 2 * 16));
    at[i] = ll_gep(g, LLVMGetParam(f, 2), ll_add(g, rows, ll_i(g, i % 2 * 64)));
    if (key->beta)
      tile_load(g, i, at[i], c_stride);
    else
      ll_call(g, "llvm.x86.tilezero", 0, NULL, 1, (ll_v[]){number(g, i)});
  }
  ll_loop l;
  ll_v init[2] = {LLVMGetParam(f, 0), LLVMGetParam(f, 1)};
  ll_loop_begin(g, &l, ll_i(g, 0), LLVMGetParam(f, 3), ll_i(g, 32), 2, init, true);
  k_step(g, l.phi[0], l.phi[1], a_stride, b_stride);
  ll_v next[2] = {ll_gep(g, l.phi[0], ll_i(g, 64)), ll_gep(g, l.phi[1], ll_mul(g, b_stride, ll_i(g, 16)))};
  ll_loop_end(g, &l, next);
  for (int i = 0; i < 4; i++) ll_call(g, "llvm.x86.tilestored64", 0, NULL, 3, (ll_v[]){number(g, i), at[i], c_stride});
  LLVMBuildRetVoid(g->b);
  return f;
}

void cg_amx_begin(cg *c) {
  ll *g = &c->g;
  unsigned char config[64] = {1}; /* palette 1; bytes per row from 16, rows from 48 */
  for (int i = 0; i < 8; i++) config[16 + 2 * i] = 64, config[48 + i] = 16;
  ll_v global = LLVMAddGlobal(g->m, LLVMArrayType2(g->i8, 64), "tile_config");
  LLVMSetInitializer(global, LLVMConstStringInContext2(g->c, (const char *)config, 64, 1));
  LLVMSetAlignment(global, 64);
  LLVMSetGlobalConstant(global, 1);
  LLVMSetLinkage(global, LLVMInternalLinkage);
  ll_call(g, "llvm.x86.ldtilecfg", 0, NULL, 1, &global);
}

void cg_amx_end(cg *c) { ll_call(&c->g, "llvm.x86.tilerelease", 0, NULL, 0, NULL); }
