/* Few rows of a times columns of b whose k lie side by side in memory: keys of attention, rows of a table. Nothing is
 * transposed: a vector runs along k, each row of b is read once for all rows of a, and the lanes of several sums are
 * added in one tree, after which each lane holds one of them.
 *
 *   sums of k = 0, 16, 32 ..   one vector each      then lane bit 0, 1, 2, 3: neighbours are added
 *
 * Every element is summed in the same order, wherever it is in the result. */
#include <string.h>

#include "backends/llvm/mma.h"

enum { MOST_ROWS = CG_FEW_ROWS, MOST_COLUMNS = 8, UNROLL = 4, LINE = 64, MOST_DEPTH = 8192 }; /* depth: of copies */

static int bytes_of(sn_elem e) { return (int)sn_elem_bytes(e); }

/* Columns of one block: a power of two that divides n, and no more sums than lanes. */
static int columns_of(int rows, int n, int lanes) {
  int columns = 1;
  while (2 * columns * rows <= lanes && 2 * columns <= MOST_COLUMNS && n % (2 * columns) == 0) columns *= 2;
  return columns;
}

bool cg_by_dots(const cg_product *p, bool a_k_rows, bool b_k_rows, sn_elem b) {
  int64_t k;
  if (p->elem != SN_ELEM_F32 || p->pairs || p->amx || a_k_rows || b_k_rows || p->valid) return false;
  if (p->m > MOST_ROWS || p->m > p->c->g.lanes || !cg_direct_b(p, b)) return false;
  return ll_const(p->k, &k) && k > 0 && k <= MOST_DEPTH && k % p->c->g.lanes == 0;
}

/* ---- the microkernel --------------------------------------------------------------------------------------------- */

typedef struct dots {
  cg *c;
  const cg_uk_key *key;
  ll_v a, b, d, lda, ldb, ldc; /* strides in bytes */
  ll_v near, ahead;            /* bytes from a row of b to those that are asked for, in the first and second cache */
} dots;

static ll_v row_of(const dots *u, ll_v p, ll_v ld, int i) {
  return i ? ll_gep(&u->c->g, p, ll_mul(&u->c->g, ld, ll_i(&u->c->g, i))) : p;
}

static ll_v load_b(const dots *u, ll_v p) {
  sn_elem e = (sn_elem)u->key->elem_b;
  ll *g = &u->c->g;
  return cg_cast(u->c, ll_load(g, ll_vec(g, cg_reg(u->c, e)), p, bytes_of(e)), e, SN_ELEM_F32);
}

/* The rows of the next product, before which those of another operand may pass the first cache, and the next rows. */
static void ask_for(const dots *u, ll_v p) {
  ll *g = &u->c->g;
  ll_prefetch_l2(g, ll_gep(g, p, u->ahead));
  ll_prefetch(g, ll_gep(g, p, u->near), false);
}

/* sums[row][column] += the products of `steps` vectors from k on */
static void add_products(const dots *u, ll_v b, ll_v k, int steps, ll_v *sum) {
  ll *g = &u->c->g;
  const cg_uk_key *key = u->key;
  int eb = bytes_of((sn_elem)key->elem_b), columns = key->dots;
  for (int s = 0; s < steps; s++) {
    ll_v at = ll_add(g, k, ll_i(g, (int64_t)s * g->lanes)), a[MOST_ROWS];
    for (int i = 0; i < key->rows; i++)
      a[i] = ll_load(g, ll_vec(g, g->f32), ll_gep(g, row_of(u, u->a, u->lda, i), ll_mul(g, at, ll_i(g, 4))), 4);
    for (int j = 0; j < columns; j++) {
      ll_v p = ll_gep(g, row_of(u, b, u->ldb, j), ll_mul(g, at, ll_i(g, eb)));
      if (key->fetch && (int64_t)s * g->lanes * eb % LINE == 0) ask_for(u, p);
      ll_v x = load_b(u, p);
      for (int i = 0; i < key->rows; i++) sum[i * columns + j] = ll_fma(g, a[i], x, sum[i * columns + j]);
    }
  }
}

/* lane e: the neighbours of x at lane bit `bit` added where the bit is 0, those of y where it is 1 */
static ll_v fold(ll *g, ll_v x, ll_v y, int bit) {
  int own[LL_LANES], other[LL_LANES];
  for (int e = 0; e < g->lanes; e++) {
    int from = e & bit ? g->lanes : 0;
    own[e] = from + e, other[e] = from + (e ^ bit);
  }
  return LLVMBuildFAdd(g->b, ll_shuffle(g, x, y, own), ll_shuffle(g, x, y, other), "");
}

/* -> sum q in lane q */
static ll_v add_lanes(ll *g, ll_v *sum, int count) {
  int bit = 1;
  for (; count > 1; bit *= 2, count = (count + 1) / 2)
    for (int q = 0; q < count; q += 2) sum[q / 2] = fold(g, sum[q], sum[q + 1 < count ? q + 1 : q], bit);
  for (; bit < g->lanes; bit *= 2) sum[0] = fold(g, sum[0], sum[0], bit);
  return sum[0];
}

static void store_sums(const dots *u, ll_v d, ll_v sums) {
  ll *g = &u->c->g;
  int columns = u->key->dots;
  ll_t t = LLVMVectorType(g->f32, (unsigned)columns);
  for (int i = 0; i < u->key->rows; i++) {
    ll_v lane[MOST_COLUMNS], to = row_of(u, d, u->ldc, i);
    for (int j = 0; j < columns; j++) lane[j] = ll_i32(g, i * columns + j);
    ll_v x = LLVMBuildShuffleVector(g->b, sums, sums, LLVMConstVector(lane, (unsigned)columns), "");
    if (u->key->beta) x = LLVMBuildFAdd(g->b, ll_load(g, t, to, 4), x, "");
    ll_store(g, x, to, 4);
  }
}

static void block(const dots *u, ll_v b, ll_v d, ll_v k) {
  ll *g = &u->c->g;
  int count = u->key->rows * u->key->dots, steps = u->key->any_k ? 1 : UNROLL;
  ll_v sum[LL_LANES];
  ll_loop l;
  for (int q = 0; q < count; q++) sum[q] = LLVMConstNull(ll_vec(g, g->f32));
  ll_loop_begin(g, &l, ll_i(g, 0), k, ll_i(g, (int64_t)steps * g->lanes), count, sum, false);
  memcpy(sum, l.phi, (size_t)count * sizeof *sum);
  add_products(u, b, l.iv, steps, sum);
  ll_loop_end(g, &l, sum);
  memcpy(sum, l.out, (size_t)count * sizeof *sum);
  store_sums(u, d, add_lanes(g, sum, count));
}

ll_v cg_dots_microkernel(cg *c, const cg_uk_key *key, const char *name) {
  ll *g = &c->g;
  ll_t args[] = {g->ptr, g->ptr, g->ptr, g->i64, g->i64, g->i64, g->i64, g->i64, g->i64};
  ll_v f = ll_function(g, name, 9, args, true), k = LLVMGetParam(f, 3), n = LLVMGetParam(f, 7);
  ll_v ld[3] = {key->lda ? ll_i(g, key->lda) : LLVMGetParam(f, 4), key->ldb ? ll_i(g, key->ldb) : LLVMGetParam(f, 5),
                key->ldc ? ll_i(g, key->ldc) : LLVMGetParam(f, 6)};
  dots u = {.c = c, .key = key, .a = LLVMGetParam(f, 0), .b = LLVMGetParam(f, 1), .d = LLVMGetParam(f, 2)};
  u.lda = ll_mul(g, ld[0], ll_i(g, 4)), u.ldc = ll_mul(g, ld[2], ll_i(g, 4));
  u.ldb = ll_mul(g, ld[1], ll_i(g, bytes_of((sn_elem)key->elem_b)));
  u.near = ll_mul(g, u.ldb, ll_i(g, key->dots)), u.ahead = LLVMGetParam(f, 8);
  ll_loop l;
  ll_loop_begin(g, &l, ll_i(g, 0), n, ll_i(g, key->dots), 0, NULL, false);
  block(&u, ll_gep(g, u.b, ll_mul(g, l.iv, u.ldb)), ll_gep(g, u.d, ll_mul(g, l.iv, ll_i(g, 4))), k);
  ll_loop_end(g, &l, NULL);
  LLVMBuildRetVoid(g->b);
  return f;
}

/* ---- the product ------------------------------------------------------------------------------------------------- */

void cg_emit_dots(const cg_product *p) {
  cg *c = p->c;
  ll *g = &c->g;
  int64_t k = 0;
  cg_uk_key key;
  memset(&key, 0, sizeof key); /* keys are compared as bytes */
  ll_const(p->k, &k);
  key.rows = p->m, key.dots = columns_of(p->m, p->n, g->lanes);
  key.elem = (int)p->elem, key.elem_b = (int)p->elem_b;
  key.beta = p->beta, key.any_k = k % (UNROLL * (int64_t)g->lanes) != 0, key.fetch = !p->near_b;
  key.lda = p->pa.ld_const, key.ldb = p->pb.ld_const, key.ldc = p->d.ld_const;
  ll_v fn = cg_microkernel(c, key);
  ll_v ahead = ll_mul(g, cg_rows_ahead_of(p, ll_i(g, p->n)), ll_i(g, bytes_of(p->elem_b)));
  ll_v args[] = {p->pa.p, p->pb.p, p->d.p, p->k, p->pa.ld, p->pb.ld, p->d.ld, ll_i(g, p->n), ahead};
  LLVMBuildCall2(g->b, LLVMGlobalGetValueType(fn), fn, args, 9, "");
}
