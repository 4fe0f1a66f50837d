/* Transposition: one function per element size and kernel; squares of lanes x lanes in registers, edges by element. */
#include <stdio.h>

#include "backends/llvm/cg.h"

typedef struct matrix {
  ll_v p, ld;
} matrix; /* ld: bytes */

static ll_v at(ll *g, matrix m, ll_v row, ll_v col, int bytes) {
  return ll_gep(g, ll_gep(g, m.p, ll_mul(g, row, m.ld)), ll_mul(g, col, ll_i(g, bytes)));
}

static void square(ll *g, ll_t t, int bytes, matrix src, matrix dst, ll_v row, ll_v col) {
  ll_v v[LL_LANES];
  ll_v from = at(g, src, row, col, bytes), to = at(g, dst, col, row, bytes);
  for (int i = 0; i < g->lanes; i++)
    v[i] = ll_load(g, ll_vec(g, t), ll_gep(g, from, ll_mul(g, src.ld, ll_i(g, i))), bytes);
  ll_transpose(g, v);
  for (int i = 0; i < g->lanes; i++) ll_store(g, v[i], ll_gep(g, to, ll_mul(g, dst.ld, ll_i(g, i))), bytes);
}

/* single elements of rows [row0, row1), columns [col0, col1) */
static void elements(ll *g, ll_t t, int bytes, matrix src, matrix dst, const ll_v range[4]) {
  ll_loop r, q;
  ll_loop_begin(g, &r, range[0], range[1], ll_i(g, 1), 0, NULL, true);
  ll_loop_begin(g, &q, range[2], range[3], ll_i(g, 1), 0, NULL, true);
  ll_store(g, ll_load(g, t, at(g, src, r.iv, q.iv, bytes), bytes), at(g, dst, q.iv, r.iv, bytes), bytes);
  ll_loop_end(g, &q, NULL);
  ll_loop_end(g, &r, NULL);
}

static ll_v build(cg *c, ll_t t, int bytes) {
  ll *g = &c->g;
  ll_t args[] = {g->ptr, g->i64, g->i64, g->i64, g->ptr, g->i64};
  char name[32];
  snprintf(name, sizeof name, "transpose%d", bytes * 8);
  LLVMBasicBlockRef back = LLVMGetInsertBlock(g->b);
  ll_v caller = g->fn, f = ll_function(g, name, 6, args, true), zero = ll_i(g, 0), whole = ll_i(g, -g->lanes);
  matrix src = {LLVMGetParam(f, 0), LLVMGetParam(f, 1)}, dst = {LLVMGetParam(f, 4), LLVMGetParam(f, 5)};
  ll_v rows = LLVMGetParam(f, 2), cols = LLVMGetParam(f, 3), row_end = ll_and(g, rows, whole),
       col_end = ll_and(g, cols, whole);
  ll_loop r, q;
  ll_loop_begin(g, &r, zero, row_end, ll_i(g, g->lanes), 0, NULL, true);
  ll_loop_begin(g, &q, zero, col_end, ll_i(g, g->lanes), 0, NULL, true);
  square(g, t, bytes, src, dst, r.iv, q.iv);
  ll_loop_end(g, &q, NULL);
  ll_loop_end(g, &r, NULL);
  elements(g, t, bytes, src, dst, (ll_v[]){zero, row_end, col_end, cols});
  elements(g, t, bytes, src, dst, (ll_v[]){row_end, rows, zero, cols});
  LLVMBuildRetVoid(g->b);
  g->fn = caller;
  LLVMPositionBuilderAtEnd(g->b, back);
  return f;
}

void cg_transpose_bytes(cg *c, int bytes, ll_v src, ll_v src_ld, ll_v rows, ll_v cols, ll_v dst, ll_v dst_ld) {
  ll *g = &c->g;
  ll_t types[9] = {[1] = g->i8, [2] = g->i16, [4] = g->f32, [8] = g->f64};
  ll_v *f = &c->transpose[bytes];
  if (!*f) *f = build(c, types[bytes], bytes);
  LLVMBuildCall2(g->b, LLVMGlobalGetValueType(*f), *f, (ll_v[]){src, src_ld, rows, cols, dst, dst_ld}, 6, "");
}

void cg_transpose_mem(cg *c, sn_elem e, ll_v src, ll_v src_ld, ll_v rows, ll_v cols, ll_v dst, ll_v dst_ld) {
  ll *g = &c->g;
  ll_v bytes = ll_i(g, (int64_t)sn_elem_bytes(e));
  cg_transpose_bytes(c, (int)sn_elem_bytes(e), src, ll_mul(g, src_ld, bytes), rows, cols, dst,
                     ll_mul(g, dst_ld, bytes));
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void transpose_from(cg *c, sn_kv v, ll_v src, ll_v ld) {
  ll *g = &c->g;
  sn_ktype t = cg_type(c, cg_ins(c, v)->a[0]);
  ll_v dst_ld = ll_i(g, cg_ld(&c->p, cg_type(c, v)));
  cg_transpose_mem(c, t.elem, src, ld, ll_i(g, t.r), ll_i(g, t.c), cg_slot(c, v), dst_ld);
}

static void transpose_window(cg *c, sn_kv v) {
  ll *g = &c->g;
  const sn_kins *x = cg_ins(c, cg_ins(c, v)->a[0]);
  ll_v off = ll_mul(g, cg_index(c, x->a[1]), ll_i(g, (int64_t)sn_elem_bytes(x->type.elem)));
  transpose_from(c, v, ll_gep(g, cg_buffer(c, x->a[0]), off), cg_index(c, x->a[2]));
}

static void transpose_copy(cg *c, sn_kv v) {
  sn_kv s = cg_ins(c, v)->a[0];
  sn_ktype t = cg_type(c, s);
  int ld = cg_ld(&c->p, t);
  ll_v src = cg_ws_at(c, cg_temp(c, cg_slot_bytes(&c->p, t)));
  cg_copy(c, s, src, ld, (cg_part){.cols = t.c, .elem = t.elem});
  transpose_from(c, v, src, ll_i(&c->g, ld));
}

/* Can the window of an `in` buffer be read where it is? *whole: when its limits do not bite, NULL: always. */
static bool in_place(cg *c, sn_kv v, ll_v *whole) {
  const sn_kins *x = cg_ins(c, v);
  int64_t cs;
  *whole = NULL;
  if (x->op != SN_K_LOAD || !c->p.virt[v] || !sn_k_is_const(c->k, x->a[3], &cs) || cs != 1) return false;
  for (int j = 4; j < 6; j++) {
    int extent = j == 4 ? x->type.r : x->type.c;
    if (!x->a[j] || cg_limit_holds(c, x->a[j], extent)) continue;
    ll_v holds = ll_icmp(&c->g, LLVMIntSGE, cg_index(c, x->a[j]), ll_i(&c->g, extent));
    *whole = *whole ? ll_and(&c->g, *whole, holds) : holds;
  }
  return true;
}

void cg_transpose(cg *c, sn_kv v) {
  sn_kv s = cg_ins(c, v)->a[0];
  ll_v whole;
  ll_branch br;
  if (!c->p.virt[s]) {
    transpose_from(c, v, cg_slot(c, s), ll_i(&c->g, cg_ld(&c->p, cg_type(c, s))));
  } else if (!in_place(c, s, &whole)) {
    transpose_copy(c, v);
  } else {
    if (whole) ll_if(&c->g, &br, whole);
    transpose_window(c, v);
    if (!whole) return;
    ll_else(&c->g, &br);
    transpose_copy(c, v);
    ll_endif(&c->g, &br);
  }
}
