/* Macro tile -> microkernel calls: columns in chunks of a few vectors, rows in blocks, split evenly so that no tail
 * remains. When rows are limited: full instances take the even split, edge instances whole blocks and then single rows.
 */
#include <string.h>

#include "backends/llvm/mma.h"

static int64_t bytes_of(sn_elem e) { return (int64_t)sn_elem_bytes(e); }

typedef struct chunk {
  int col, vectors, tail;
} chunk; /* first column, width, valid lanes of the last vector */

/* element of a where a block of rows begins */
static ll_v first_of_a(const cg_product *p, ll_v row) {
  ll *g = &p->c->g;
  int64_t wide = p->pairs && p->ta ? 2 : 1; /* elements for each row and step of k */
  if (!p->a_panel) return ll_mul(g, row, p->ta ? ll_i(g, wide) : p->pa.ld);
  ll_v rows = ll_i(g, p->pa.ld_const / wide), panel = LLVMBuildUDiv(g->b, row, rows, "");
  ll_v within = ll_sub(g, row, ll_mul(g, panel, rows));
  return ll_add(g, ll_mul(g, panel, ll_i(g, p->a_panel)), ll_mul(g, within, ll_i(g, wide)));
}

/* In a loop, the rows of a window below these are those of the next turn: few rows of a leave time to ask for them. */
static int fetch_of(const cg_product *p) {
  bool walks = p->c->nesting && p->m <= CG_FEW_ROWS && cg_is_window(p->c, p->b.v) && p->b.mem_k_rows && !p->pairs;
  return p->near_b ? 0 : walks ? CG_FETCH_BELOW : 1;
}

static void call_block(const cg_product *p, int rows, chunk ch, ll_v row) {
  cg *c = p->c;
  ll *g = &c->g;
  cg_uk_key key;
  memset(&key, 0, sizeof key); /* keys are compared as bytes */
  key.rows = rows, key.vectors = ch.vectors, key.tail = ch.tail;
  key.elem = (int)p->elem, key.elem_b = (int)p->elem_b;
  key.ta = p->ta, key.beta = p->adds ? CG_BETA_ARG : p->beta, key.any_k = p->any_k, key.pairs = p->pairs;
  key.lda = p->pa.ld_const, key.ldb = p->pb.ld_const, key.ldc = p->d.ld_const;
  cg_prefetch_ahead(c, p->ahead, row, rows, ch.col, ch.vectors * g->lanes);
  cg_next next = cg_next_of(p, rows, ch.col, ch.vectors * g->lanes, row);
  key.fetch = next.panel ? 0 : fetch_of(p);
  key.next = next.at_once, key.next_turns = next.turns;
  ll_v fn = cg_microkernel(c, key), below = LLVMGetPoison(g->i64);
  if (key.fetch == CG_FETCH_BELOW) below = ll_mul(g, cg_rows_ahead_of(p, p->k), ll_i(g, bytes_of(p->elem_b)));
  int64_t a_bytes = bytes_of(p->elem_a), b_bytes = p->pairs ? 4 : bytes_of(p->elem_b); /* pairs of bf16 */
  ll_v a = ll_mul(g, first_of_a(p, row), ll_i(g, a_bytes));
  ll_v d = ll_mul(g, ll_add(g, ll_mul(g, row, p->d.ld), ll_i(g, ch.col)), ll_i(g, bytes_of(p->elem)));
  ll_v args[] = {
      ll_gep(g, p->pa.p, a),
      ll_gep(g, p->pb.p, ll_i(g, (p->b_panel ? ch.col / cg_chunk_columns(p) * p->b_panel : ch.col) * b_bytes)),
      ll_gep(g, p->d.p, d),
      p->k,
      p->pa.ld,
      p->pb.ld,
      p->d.ld,
      next.at_once ? next.from : LLVMGetPoison(g->ptr),
      next.at_once ? next.ld : below,
      p->adds ? p->adds : LLVMGetPoison(LLVMInt1TypeInContext(g->c))};
  LLVMBuildCall2(g->b, LLVMGlobalGetValueType(fn), fn, args, 10, "");
}

static void row_blocks(const cg_product *p, int rows, chunk ch, ll_v lo, ll_v hi, bool guard) {
  ll *g = &p->c->g;
  int64_t from, to;
  if (ll_const(lo, &from) && ll_const(hi, &to) && to - from <= rows) {
    if (to > from) call_block(p, rows, ch, lo);
    return;
  }
  ll_loop l;
  ll_loop_begin(g, &l, lo, hi, ll_i(g, rows), 0, NULL, guard);
  call_block(p, rows, ch, l.iv);
  ll_loop_end(g, &l, NULL);
}

void cg_zero(const cg_product *p, ll_v from, ll_v end) {
  cg *c = p->c;
  ll *g = &c->g;
  ll_t t = ll_vec(g, cg_reg(c, p->elem));
  ll_loop l;
  ll_loop_begin(g, &l, from, end, ll_i(g, 1), 0, NULL, true);
  ll_v row = ll_gep(g, p->d.p, ll_mul(g, ll_mul(g, l.iv, p->d.ld), ll_i(g, bytes_of(p->elem))));
  for (int j = 0; j < p->n; j += g->lanes) {
    ll_v to = ll_gep(g, row, ll_i(g, j * bytes_of(p->elem)));
    if (p->n - j >= g->lanes)
      ll_store(g, LLVMConstNull(t), to, (int)bytes_of(p->elem));
    else
      ll_masked_store(g, LLVMConstNull(t), to, (int)bytes_of(p->elem), ll_first_lanes(g, p->n - j));
  }
  ll_loop_end(g, &l, NULL);
}

static void even_rows(const cg_product *p, int most, chunk ch) { /* blocks of q and q + 1 rows */
  ll *g = &p->c->g;
  int blocks = (p->m + most - 1) / most, q = p->m / blocks, big = p->m % blocks, split = big * (q + 1);
  if (big) row_blocks(p, q + 1, ch, ll_i(g, 0), ll_i(g, split), false);
  if (blocks > big) row_blocks(p, q, ch, ll_i(g, split), ll_i(g, p->m), false);
}

static ll_v whole_blocks(ll *g, ll_v from, ll_v to, int rows) { /* end of the last whole block */
  ll_v n = LLVMBuildUDiv(g->b, ll_sub(g, to, from), ll_i(g, rows), "");
  return ll_add(g, from, ll_mul(g, n, ll_i(g, rows)));
}

/* Rows of an edge instance. A product that overwrites may compute rows twice: the last block ends at the last row;
 * else, and for fewer rows than a block, what is left goes row by row. */
static void edge_rows(const cg_product *p, int rows, chunk ch) {
  ll *g = &p->c->g;
  ll_v end = whole_blocks(g, ll_i(g, 0), p->valid, rows);
  ll_branch br;
  row_blocks(p, rows, ch, ll_i(g, 0), end, true);
  if (rows == 1) return;
  if (!p->beta) {
    ll_v last = ll_sub(g, p->valid, ll_i(g, rows)), rest = ll_icmp(g, LLVMIntSLT, end, p->valid);
    ll_if(g, &br, ll_icmp(g, LLVMIntSGE, last, ll_i(g, 0)));
    row_blocks(p, rows, ch, last, ll_select(g, rest, p->valid, last), true);
    ll_else(g, &br);
  }
  row_blocks(p, 1, ch, end, p->valid, true);
  if (!p->beta) ll_endif(g, &br);
}

static int most_rows(const cg_product *p, int vectors) {
  int wide = bytes_of(p->elem) == 8 ? 2 : 1; /* registers per vector */
  return p->c->g.isa.rows[vectors * wide <= CG_MAX_VECTORS ? vectors * wide : CG_MAX_VECTORS];
}

static void emit_chunk(const cg_product *p, chunk ch) {
  ll *g = &p->c->g;
  int most = most_rows(p, ch.vectors);
  int blocks = (p->m + most - 1) / most, rows = p->m / blocks + (p->m % blocks > 0);
  ll_branch br;
  if (p->valid) ll_if(g, &br, ll_icmp(g, LLVMIntEQ, p->valid, ll_i(g, p->m)));
  even_rows(p, most, ch);
  if (!p->valid) return;
  ll_else(g, &br);
  edge_rows(p, rows, ch);
  ll_endif(g, &br);
}

static int chunk_vectors(const cg_product *p, int total) {
  int nv = p->c->g.isa.nv;
  if (bytes_of(p->elem) == 8) nv /= 2;
  if (nv == 4 && total % 3 == 0) nv = 3;
  return nv;
}

int cg_chunk_columns(const cg_product *p) { return chunk_vectors(p, cg_vectors(p->n, p->c->g.lanes)) * p->c->g.lanes; }

int cg_even_rows(const cg_product *p) {
  int vectors = cg_chunk_columns(p) / p->c->g.lanes, most = most_rows(p, vectors), blocks = (p->m + most - 1) / most;
  bool alike = p->m % blocks == 0 && cg_vectors(p->n, p->c->g.lanes) % vectors == 0;
  return alike ? p->m / blocks : 0;
}

void cg_emit_blocks(const cg_product *p) {
  ll *g = &p->c->g;
  int total = cg_vectors(p->n, g->lanes), nv = chunk_vectors(p, total);
  for (int v = 0; v < total; v += nv) {
    chunk ch = {v * g->lanes, total - v < nv ? total - v : nv, 0};
    if (v + ch.vectors == total) ch.tail = p->n % g->lanes;
    emit_chunk(p, ch);
  }
  if (p->valid && !p->beta && !p->keep_rows) cg_zero(p, p->valid, ll_i(g, p->m));
}
