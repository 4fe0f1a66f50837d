/* Stores around the caches. A result that no cache will keep until it is read again is written with non-temporal
 * stores: its lines are not read first, and they do not displace the operands that the kernel reads again. How large a
 * result is and where it lies is known when the kernel runs, so that a cluster which may stream is emitted in both
 * forms. Such stores are ordered by a fence at the end of the call. */
#include "backends/llvm/cg.h"

enum { LINE = 64, LEAST_BYTES = 2 << 20 };

static bool whole_lines(const cg *c, sn_kv index, int64_t bytes) {
  return sn_k_divisor(c->k, index) * bytes % LINE == 0;
}

static bool is_read(const cg *c, sn_kv buffer) {
  if (cg_buffer_role(c->k, buffer) != SN_K_OUT) return true;
  for (sn_kv v = 1; v < c->k->ins_count; v++) {
    const sn_kins *x = cg_ins(c, v);
    if ((x->op == SN_K_LOAD || x->op == SN_K_GATHER || x->op == SN_K_ILOAD) && x->a[0] == buffer) return true;
  }
  return false;
}

/* single lines, each in a row of its own: as ordinary stores, asked for in time, they are a tenth faster */
static bool lines_apart(const cg *c, const sn_kins *x, sn_ktype t) {
  int64_t ld;
  bool together = sn_k_is_const(c->k, x->a[2], &ld) && ld == t.c;
  return t.r > 1 && !together && t.c * (int64_t)sn_elem_bytes(t.elem) == LINE;
}

/* rows of whole lines that this kernel never reads */
static bool may_stream(const cg *c, const sn_kins *x) {
  int64_t unit;
  if (x->op != SN_K_STORE || c->g.isa.level < SN_ISA_AVX2) return false;
  sn_ktype t = cg_type(c, x->a[6]);
  int64_t bytes = (int64_t)sn_elem_bytes(t.elem);
  if (t.elem == SN_ELEM_BOOL || t.c * bytes % LINE || t.c % c->g.lanes || c->g.lanes * bytes < 16) return false;
  if (!sn_k_is_const(c->k, x->a[3], &unit) || unit != 1 || lines_apart(c, x, t)) return false;
  return whole_lines(c, x->a[1], bytes) && (t.r == 1 || whole_lines(c, x->a[2], bytes)) && !is_read(c, x->a[0]);
}

ll_v cg_streams(cg *c, const sn_kins *x) {
  ll *g = &c->g;
  if (!may_stream(c, x)) return NULL;
  sn_ktype t = cg_type(c, x->a[6]);
  ll_v bytes = ll_i(g, (int64_t)t.r * t.c * (int64_t)sn_elem_bytes(t.elem));
  if (c->trips) bytes = ll_mul(g, bytes, c->trips);
  for (int d = 0; d < c->k->grid_count; d++) bytes = ll_mul(g, bytes, cg_index(c, c->k->grid[d]));
  ll_v place = LLVMBuildPtrToInt(g->b, cg_buffer(c, x->a[0]), g->i64, "");
  ll_v aligned = ll_icmp(g, LLVMIntEQ, ll_and(g, place, ll_i(g, LINE - 1)), ll_i(g, 0));
  return ll_and(g, aligned, ll_icmp(g, LLVMIntSGE, bytes, ll_i(g, LEAST_BYTES)));
}

ll_v cg_cluster_streams(cg *c, const cg_step *s) {
  ll_v all = NULL;
  for (int q = 0; q < s->count; q++) {
    ll_v one = cg_streams(c, cg_ins(c, s->ops[q]));
    if (one) all = all ? ll_and(&c->g, all, one) : one;
  }
  return all;
}

bool cg_stream_store(cg *c, const sn_kins *x, ll_v v, ll_v p) {
  if (!c->streaming || !may_stream(c, x)) return false;
  int bytes = c->g.lanes * (int)sn_elem_bytes(cg_type(c, x->a[6]).elem);
  ll_store_around(&c->g, v, p, bytes < LINE ? bytes : LINE);
  c->streamed = true;
  return true;
}

void cg_stream_end(cg *c) {
  if (c->streamed) ll_call(&c->g, "llvm.x86.sse.sfence", 0, NULL, 0, NULL);
}
