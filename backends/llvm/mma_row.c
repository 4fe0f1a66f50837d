/* Few rows of a product that otherwise runs on tiles, by vectors: a tile of one row takes as long as one of sixteen,
 * and waits for memory with every step. The sums are made in the order of a tile, so that the bits of a row do not
 * depend on the number of rows: in each step of 32 k one chain over the even and one over the odd k, both from zero,
 * then their sum is added. Products of bf16 are exact in f32, so that each link rounds once. source: Intel,
 * Architecture Instruction Set Extensions Programming Reference, TDPBF16PS */
#include <string.h>

#include "backends/llvm/mma.h"

enum { STEP = 32, PAIR = 4, UNROLL = 4, AHEAD_BYTES = 1024, LINE = 64 };

typedef struct pairs {
  cg *c;
  const cg_uk_key *key;
  ll_v a, b; /* where the step begins: pairs of k; rows of pairs */
  ll_v ldb;  /* bytes */
} pairs;

/* f32 of the even (low) or odd (high) elements of pairs */
static ll_v half_of(ll *g, ll_v pair, bool odd) {
  ll_v bits = odd ? ll_and(g, pair, ll_iconst(g, g->i32, (int64_t)0xffff0000))
                  : LLVMBuildShl(g->b, pair, ll_iconst(g, g->i32, 16), "");
  return ll_bits(g, bits, ll_vec(g, g->f32));
}

/* chain[2 j + odd] takes pair q of the step */
static void add_pair(const pairs *u, ll_v q, ll_v *chain) {
  ll *g = &u->c->g;
  ll_v a = ll_splat(g, ll_load(g, g->i32, ll_gep(g, u->a, ll_mul(g, q, ll_i(g, PAIR))), 2));
  ll_v row = ll_gep(g, u->b, ll_mul(g, q, u->ldb));
  for (int at = 0; at < u->key->vectors * g->lanes * PAIR; at += LINE)
    ll_prefetch(g, ll_gep(g, row, ll_i(g, AHEAD_BYTES + at)), false);
  for (int j = 0; j < u->key->vectors; j++) {
    ll_v b = ll_load(g, ll_vec(g, g->i32), ll_gep(g, row, ll_i(g, (int64_t)j * g->lanes * PAIR)), 2);
    for (int odd = 0; odd < 2; odd++)
      chain[2 * j + odd] = ll_fma(g, half_of(g, a, odd), half_of(g, b, odd), chain[2 * j + odd]);
  }
}

static void step(const pairs *u, ll_v *sum) {
  ll *g = &u->c->g;
  int n = 2 * u->key->vectors;
  ll_v chain[2 * CG_MAX_VECTORS];
  ll_loop l;
  for (int q = 0; q < n; q++) chain[q] = LLVMConstNull(ll_vec(g, g->f32));
  ll_loop_begin(g, &l, ll_i(g, 0), ll_i(g, STEP / 2), ll_i(g, UNROLL), n, chain, false);
  memcpy(chain, l.phi, (size_t)n * sizeof *chain);
  for (int q = 0; q < UNROLL; q++) add_pair(u, ll_add(g, l.iv, ll_i(g, q)), chain);
  ll_loop_end(g, &l, chain);
  for (int j = 0; j < u->key->vectors; j++)
    sum[j] = LLVMBuildFAdd(g->b, sum[j], LLVMBuildFAdd(g->b, l.out[2 * j], l.out[2 * j + 1], ""), "");
}

/* (a, b, d, k, -, row stride of b in elements): d[vectors] (+)= a[k] b[k][vectors] */
ll_v cg_row_microkernel(cg *c, const cg_uk_key *key, const char *name) {
  ll *g = &c->g;
  ll_t args[] = {g->ptr, g->ptr, g->ptr, g->i64, g->i64, g->i64}, t = ll_vec(g, g->f32);
  ll_v f = ll_function(g, name, 6, args, true), sum[CG_MAX_VECTORS], d = LLVMGetParam(f, 2);
  ll_v ldb = ll_mul(g, key->ldb ? ll_i(g, key->ldb) : LLVMGetParam(f, 5), ll_i(g, 2));
  for (int j = 0; j < key->vectors; j++)
    sum[j] = key->beta ? ll_load(g, t, ll_gep(g, d, ll_i(g, 4 * j * g->lanes)), 4) : LLVMConstNull(t);
  ll_loop l;
  ll_loop_begin(g, &l, ll_i(g, 0), LLVMGetParam(f, 3), ll_i(g, STEP), key->vectors, sum, true);
  memcpy(sum, l.phi, (size_t)key->vectors * sizeof *sum);
  pairs u = {.c = c, .key = key, .ldb = ldb};
  u.a = ll_gep(g, LLVMGetParam(f, 0), ll_mul(g, l.iv, ll_i(g, PAIR / 2)));
  u.b = ll_gep(g, LLVMGetParam(f, 1), ll_mul(g, LLVMBuildLShr(g->b, l.iv, ll_i(g, 1), ""), ldb));
  step(&u, sum);
  ll_loop_end(g, &l, sum);
  for (int j = 0; j < key->vectors; j++) ll_store(g, l.out[j], ll_gep(g, d, ll_i(g, 4 * j * g->lanes)), 4);
  LLVMBuildRetVoid(g->b);
  return f;
}

bool cg_may_be_rows(const cg_product *p) { return p->valid && p->pairs && p->n % p->c->g.lanes == 0; }

static void call_row(const cg_product *p, ll_v row, int col, int vectors) {
  cg *c = p->c;
  ll *g = &c->g;
  cg_uk_key key;
  memset(&key, 0, sizeof key); /* keys are compared as bytes */
  key.rows = 1, key.vectors = vectors, key.row = true, key.beta = p->beta;
  key.ldb = p->pb.ld_const;
  ll_v fn = cg_microkernel(c, key);
  ll_v a = ll_mul(g, ll_mul(g, row, p->pa.ld), ll_i(g, 2));
  ll_v d = ll_mul(g, ll_add(g, ll_mul(g, row, p->d.ld), ll_i(g, col)), ll_i(g, 4));
  ll_v args[] = {ll_gep(g, p->pa.p, a),
                 ll_gep(g, p->pb.p, ll_i(g, PAIR * (int64_t)col)),
                 ll_gep(g, p->d.p, d),
                 p->k,
                 p->pa.ld,
                 p->pb.ld};
  LLVMBuildCall2(g->b, LLVMGlobalGetValueType(fn), fn, args, 6, "");
}

void cg_emit_rows(const cg_product *p) {
  ll *g = &p->c->g;
  ll_loop l;
  ll_loop_begin(g, &l, ll_i(g, 0), p->valid, ll_i(g, 1), 0, NULL, true);
  int total = p->n / g->lanes;
  for (int v = 0; v < total; v += CG_MAX_VECTORS)
    call_row(p, l.iv, v * g->lanes, total - v < CG_MAX_VECTORS ? total - v : CG_MAX_VECTORS);
  ll_loop_end(g, &l, NULL);
}
