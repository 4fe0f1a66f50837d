/* Register-tiled microkernels: C[rows, vectors] stays in registers over all of k, which is unrolled by 4. Every element
 * of C is one chain of fused multiply-adds in the order of k, whatever the tile: its bits do not depend on the position
 * in a block. */
#include <stdio.h>
#include <string.h>

#include "backends/llvm/mma.h"

enum { UNROLL = 4, GROUP = 3, PREFETCH_BYTES = 1024, PREFETCH_BYTES_OF_ROW = 512, LINE = 64, TALL = 8 };

typedef struct micro {
  cg *c;
  const cg_uk_key *key;
  ll_v a, b, d, lda, ldb, ldc; /* strides in bytes */
  ll_v next, next_ld;          /* lines to be asked for; bytes from one to the next */
  ll_v adds;                   /* does it add to C? NULL: see beta */
  ll_v below;                  /* bytes from a row of b to the one that is asked for */
  int pointers;                /* to a: one per GROUP rows when its row stride is not known */
  ll_t vector;                 /* of the accumulator */
  bool odd;                    /* the step being emitted has one k of a pair only */
} micro;

static int bytes_of(int e) { return (int)sn_elem_bytes((sn_elem)e); }
/* bytes of one step along a row of a, of one lane of b */
static int a_step(const cg_uk_key *key) { return key->pairs ? 4 : bytes_of(key->elem); }
static int b_step(const cg_uk_key *key) { return key->pairs ? 4 : bytes_of(key->elem_b); }
static bool grouped(const cg_uk_key *key) { return !key->ta && !key->lda; }

static ll_v last_mask(const micro *u, int j) { /* NULL: all lanes */
  return u->key->tail && j == u->key->vectors - 1 ? ll_first_lanes(&u->c->g, u->key->tail) : NULL;
}

static ll_v load_vector(const micro *u, int e, ll_v p, int j) {
  ll *g = &u->c->g;
  ll_t t = ll_vec(g, cg_reg(u->c, (sn_elem)e));
  ll_v mask = last_mask(u, j);
  return mask ? ll_masked_load(g, t, p, bytes_of(e), mask, LLVMConstNull(t)) : ll_load(g, t, p, bytes_of(e));
}

static void store_vector(const micro *u, ll_v v, ll_v p, int j) {
  ll_v mask = last_mask(u, j);
  if (mask)
    ll_masked_store(&u->c->g, v, p, bytes_of(u->key->elem), mask);
  else
    ll_store(&u->c->g, v, p, bytes_of(u->key->elem));
}

static ll_v add_pair_products(ll *g, ll_v a, ll_v b, ll_v c) {
  static const char name[] = "llvm.x86.avx512bf16.dpbf16ps.512";
  ll_t types[3];
  unsigned id = LLVMLookupIntrinsicID(name, sizeof name - 1);
  LLVMGetParamTypes(LLVMIntrinsicGetType(g->c, id, NULL, 0), types); /* they differ between LLVM versions */
  return ll_call(g, name, 0, NULL, 3, (ll_v[]){c, ll_bits(g, a, types[1]), ll_bits(g, b, types[2])});
}

static ll_v multiply_add(const micro *u, ll_v a, ll_v b, ll_v c) {
  ll *g = &u->c->g;
  if (u->key->pairs) return add_pair_products(g, a, b, c);
  return u->key->elem == SN_ELEM_I32 ? ll_add(g, ll_mul(g, a, b), c) : ll_fma(g, a, b, c);
}

/* address of element (row i, k = at) of a; a[]: row groups, already advanced to `at` when the stride along k is not 1
 */
static ll_v a_address(const micro *u, const ll_v *a, int i, int at) {
  ll *g = &u->c->g;
  int bytes = a_step(u->key);
  if (u->key->ta) return ll_gep(g, a[0], ll_i(g, (int64_t)i * bytes));
  ll_v row = grouped(u->key) ? ll_gep(g, a[i / GROUP], ll_mul(g, u->lda, ll_i(g, i % GROUP)))
                             : ll_gep(g, a[0], ll_mul(g, u->lda, ll_i(g, i)));
  return ll_gep(g, row, ll_i(g, (int64_t)at * bytes));
}

static void prefetch_row(const micro *u,
                         ll_v row) { /* of a panel; also keeps loads of later steps from being hoisted */
  ll *g = &u->c->g;
  bool below = u->key->fetch == CG_FETCH_BELOW;
  if (!u->key->fetch || (!below && u->key->ldb != u->key->vectors * g->lanes * (u->key->pairs ? 2 : 1))) return;
  int64_t bytes = (int64_t)u->key->vectors * g->lanes * b_step(u->key);
  int64_t ahead = u->key->rows == 1 ? PREFETCH_BYTES_OF_ROW : PREFETCH_BYTES; /* a row alone waits for memory only */
  ll_v from = ll_gep(g, row, below ? ll_mul(g, u->ldb, ll_i(g, UNROLL)) : ll_i(g, ahead));
  for (int64_t at = 0; at < bytes; at += LINE) ll_prefetch(g, ll_gep(g, from, ll_i(g, at)), false);
  for (int64_t at = 0; at < bytes && below; at += LINE) /* other operands pass the first cache before those */
    ll_prefetch_l2(g, ll_gep(g, row, ll_add(g, u->below, ll_i(g, at))));
}

static ll_v b_vector(const micro *u, ll_v row, int j) {
  ll *g = &u->c->g;
  const cg_uk_key *key = u->key;
  ll_v p = ll_gep(g, row, ll_i(g, (int64_t)j * g->lanes * b_step(key)));
  if (key->pairs) return load_vector(u, SN_ELEM_I32, p, j);
  return cg_cast(u->c, load_vector(u, key->elem_b, p, j), (sn_elem)key->elem_b, (sn_elem)key->elem);
}

static ll_v a_scalar(const micro *u, ll_v p) {
  ll *g = &u->c->g;
  if (!u->key->pairs) return ll_load(g, cg_reg(u->c, (sn_elem)u->key->elem), p, bytes_of(u->key->elem));
  if (!u->odd) return ll_load(g, g->i32, p, 2);
  return LLVMBuildZExt(g->b, ll_load(g, g->i16, p, 2), g->i32, "");
}

/* k: multiple of four */
static void fetch_next(const micro *u, ll_v k) {
  ll *g = &u->c->g;
  int n = u->key->next, turns = u->key->next_turns;
  ll_v four = LLVMBuildLShr(g->b, k, ll_i(g, 2), ""), turn = LLVMBuildURem(g->b, four, ll_i(g, turns), "");
  ll_v beside = ll_mul(g, LLVMBuildUDiv(g->b, four, ll_i(g, turns), ""), ll_i(g, LINE));
  ll_v below = ll_mul(g, turns > 1 ? turn : ll_mul(g, four, ll_i(g, n)), u->next_ld);
  ll_v p = ll_gep(g, u->next, turns > 1 ? ll_add(g, below, beside) : below);
  for (int i = 0; i < n; i++) ll_prefetch_l2(g, ll_gep(g, p, ll_mul(g, u->next_ld, ll_i(g, (int64_t)i * turns))));
}

static void k_step(const micro *u, const ll_v *a, ll_v row, int at, ll_v *acc) {
  ll *g = &u->c->g;
  const cg_uk_key *key = u->key;
  ll_v b[CG_MAX_VECTORS * 2];
  for (int j = 0; j < key->vectors; j++) b[j] = b_vector(u, row, j);
  prefetch_row(u, row);
  for (int i = 0; i < key->rows; i++) {
    ll_v s = ll_splat(g, a_scalar(u, a_address(u, a, i, at)));
    for (int j = 0; j < key->vectors; j++) {
      ll_v *to = &acc[i * key->vectors + j];
      *to = multiply_add(u, s, b[j], *to);
    }
  }
}

/* state: accumulators, pointers to a, pointer to b */
static void k_loop(const micro *u, ll_v lo, ll_v hi, int unroll, bool guard, ll_v *state) {
  ll *g = &u->c->g;
  int n = u->key->rows * u->key->vectors, total = n + u->pointers + 1;
  ll_loop l;
  ll_loop_begin(g, &l, lo, hi, ll_i(g, unroll), total, state, guard);
  memcpy(state, l.phi, (size_t)total * sizeof *state);
  ll_v a[LL_LANES], b = state[total - 1];
  memcpy(a, state + n, (size_t)u->pointers * sizeof *a);
  if (u->key->next && unroll == UNROLL) fetch_next(u, l.iv);
  for (int at = 0; at < unroll; at++) {
    k_step(u, a, b, at, state);
    b = ll_gep(g, b, u->ldb);
    if (u->key->ta) a[0] = ll_gep(g, a[0], u->lda);
  }
  for (int q = 0; q < u->pointers; q++)
    state[n + q] = u->key->ta ? a[0] : ll_gep(g, l.phi[n + q], ll_i(g, (int64_t)unroll * a_step(u->key)));
  state[total - 1] = b;
  ll_loop_end(g, &l, state);
  memcpy(state, l.out, (size_t)total * sizeof *state);
}

static ll_v c_address(const micro *u, int i, int j) {
  ll *g = &u->c->g;
  int64_t column = (int64_t)j * g->lanes * bytes_of(u->key->elem);
  return ll_gep(g, u->d, ll_add(g, ll_mul(g, u->ldc, ll_i(g, i)), ll_i(g, column)));
}

/* What the sums of n accumulators begin with. Whether they add to C is a branch: the processor waits for what a mask
 * leaves out too, for memory where C is not near. */
static void begin_sums(const micro *u, int n, ll_v *sum) {
  ll *g = &u->c->g;
  int vectors = u->key->vectors;
  ll_v zero = LLVMConstNull(u->vector);
  ll_branch br;
  for (int q = 0; q < n; q++) sum[q] = zero;
  if (!u->key->beta) return;
  if (u->adds) ll_if(g, &br, u->adds);
  for (int q = 0; q < n; q++)
    sum[q] = load_vector(u, u->key->elem, c_address(u, q / vectors, q % vectors), q % vectors);
  if (!u->adds) return;
  ll_else(g, &br);
  LLVMBasicBlockRef from[2] = {br.then_end, LLVMGetInsertBlock(g->b)};
  ll_endif(g, &br);
  for (int q = 0; q < n; q++) {
    ll_v old[2] = {sum[q], zero};
    sum[q] = LLVMBuildPhi(g->b, u->vector, "");
    LLVMAddIncoming(sum[q], old, from, 2);
  }
}

/* Tall tiles whose rows of a lie at strides that are not known: LLVM loads the scalars of all steps of an iteration
 * first, and spills them. One step of so many rows has work enough for an iteration. */
static int unroll_of(const cg_uk_key *key) { return grouped(key) && key->rows >= TALL ? 1 : UNROLL; }

static void body(micro *u, ll_v k) {
  ll *g = &u->c->g;
  const cg_uk_key *key = u->key;
  ll_v state[LL_CARRY];
  int n = key->rows * key->vectors;
  begin_sums(u, n, state);
  for (int q = 0; q < u->pointers; q++)
    state[n + q] = q ? ll_gep(g, state[n + q - 1], ll_mul(g, u->lda, ll_i(g, GROUP))) : u->a;
  state[n + u->pointers] = u->b;
  ll_v steps = key->pairs ? LLVMBuildLShr(g->b, k, ll_i(g, 1), "") : k;
  ll_v whole = key->any_k ? ll_and(g, steps, ll_i(g, -UNROLL)) : steps;
  k_loop(u, ll_i(g, 0), whole, unroll_of(key), key->any_k, state);
  if (key->any_k) k_loop(u, whole, steps, 1, true, state);
  if (key->any_k && key->pairs) {
    u->odd = true;
    k_loop(u, ll_i(g, 0), ll_and(g, k, ll_i(g, 1)), 1, true, state);
  }
  for (int q = 0; q < n; q++)
    store_vector(u, state[q], c_address(u, q / key->vectors, q % key->vectors), q % key->vectors);
}

static ll_v build(cg *c, const cg_uk_key *key, const char *name) {
  ll *g = &c->g;
  ll_t flag = LLVMInt1TypeInContext(g->c);
  ll_t args[] = {g->ptr, g->ptr, g->ptr, g->i64, g->i64, g->i64, g->i64, g->ptr, g->i64, flag};
  ll_v f = ll_function(g, name, 10, args, true);
  ll_v ld[3] = {key->lda ? ll_i(g, key->lda) : LLVMGetParam(f, 4), key->ldb ? ll_i(g, key->ldb) : LLVMGetParam(f, 5),
                key->ldc ? ll_i(g, key->ldc) : LLVMGetParam(f, 6)};
  micro u = {.c = c, .key = key, .a = LLVMGetParam(f, 0), .b = LLVMGetParam(f, 1), .d = LLVMGetParam(f, 2)};
  u.lda = ll_mul(g, ld[0], ll_i(g, bytes_of(key->pairs ? SN_ELEM_BF16 : key->elem)));
  u.ldb = ll_mul(g, ld[1], ll_i(g, bytes_of(key->pairs ? SN_ELEM_BF16 : key->elem_b)));
  u.ldc = ll_mul(g, ld[2], ll_i(g, bytes_of(key->elem)));
  u.below = key->next ? ll_mul(g, LLVMGetParam(f, 3), u.ldb) : LLVMGetParam(f, 8);
  u.next = LLVMGetParam(f, 7), u.next_ld = LLVMGetParam(f, 8);
  if (key->beta == CG_BETA_ARG) u.adds = LLVMGetParam(f, 9);
  u.pointers = grouped(key) ? (key->rows + GROUP - 1) / GROUP : 1;
  u.vector = ll_vec(g, cg_reg(c, (sn_elem)key->elem));
  body(&u, LLVMGetParam(f, 3));
  LLVMBuildRetVoid(g->b);
  return f;
}

ll_v cg_microkernel(cg *c, cg_uk_key key) {
  ll *g = &c->g;
  if (!c->uk) c->uk = SN_NEW(c->arena, cg_uk);
  for (int i = 0; i < c->uk->count; i++)
    if (!memcmp(&c->uk->at[i].key, &key, sizeof key)) return c->uk->at[i].fn;
  LLVMBasicBlockRef back = LLVMGetInsertBlock(g->b);
  ll_v caller = g->fn;
  char name[48];
  snprintf(name, sizeof name, "micro%d_%dx%d", c->uk->count, key.rows, key.dots ? key.dots : key.vectors * g->lanes);
  ll_v fn = key.amx    ? cg_amx_microkernel(c, &key, name)
            : key.row  ? cg_row_microkernel(c, &key, name)
            : key.dots ? cg_dots_microkernel(c, &key, name)
                       : build(c, &key, name);
  g->fn = caller;
  LLVMPositionBuilderAtEnd(g->b, back);
  SN_GROW(c->arena, c->uk->at, c->uk->count, c->uk->capacity);
  c->uk->at[c->uk->count++] = (cg_uk_entry){key, fn};
  return fn;
}
