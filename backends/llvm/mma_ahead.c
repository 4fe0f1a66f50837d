/* Memory that the rows after a product touch, asked for while the product runs: before each block of rows is
 * multiplied, the windows of those rows that are read or written next are prefetched. Without it every row of an
 * epilogue waits for memory, with nothing to do meanwhile. */
#include "backends/llvm/mma.h"

enum { LINE = 64 };

static void add(cg *c, cg_ahead *a, const sn_kins *x, int rows, int cols) {
  int64_t unit;
  sn_elem e = cg_type(c, x->a[0]).elem;
  if (a->count == CG_AHEAD || !sn_k_is_const(c->k, x->a[3], &unit) || unit != 1) return;
  sn_ktype t = x->op == SN_K_STORE ? cg_type(c, x->a[6]) : x->type;
  if (t.r != rows || t.c != cols) return;
  for (int i = 0; i < a->count; i++)
    if (a->ins[i] == x) return;
  a->ins[a->count] = x;
  a->bytes[a->count] = (int)sn_elem_bytes(e);
  a->mem[a->count++] = cg_window_mat(c, x);
}

/* the loads behind an operand that is evaluated where it is used */
static void add_loads(cg *c, cg_ahead *a, sn_kv v, int rows, int cols) {
  const sn_kins *x = cg_ins(c, v);
  if (!v || !cg_is_tile(c->k, v) || !c->p.virt[v]) return;
  if (x->op == SN_K_LOAD)
    add(c, a, x, rows, cols);
  else if (x->count)
    add_loads(c, a, x->a[0], rows, cols);
}

void cg_look_ahead(cg *c, const cg_step *next, int rows, int cols, cg_ahead *out) {
  *out = (cg_ahead){.count = 0};
  if (!next || next->kind != CG_ROWS || next->rows != rows || c->nesting) return;
  for (int q = 0; q < next->count; q++) {
    const sn_kins *x = cg_ins(c, next->ops[q]);
    for (int j = 0; j < x->count; j++) add_loads(c, out, x->a[j], rows, cols);
    if (x->op == SN_K_STORE) add(c, out, x, rows, cols);
  }
}

void cg_look_at_store(cg *c, sn_kv store, cg_ahead *out) {
  sn_ktype t = cg_type(c, cg_ins(c, store)->a[6]);
  *out = (cg_ahead){.direct = true};
  add(c, out, cg_ins(c, store), t.r, t.c);
}

static void fetch_row(cg *c, const cg_ahead *a, int i, ll_v row, int col, int columns) {
  ll *g = &c->g;
  ll_v from = ll_add(g, ll_mul(g, row, a->mem[i].ld), ll_i(g, col));
  from = ll_gep(g, a->mem[i].p, ll_mul(g, from, ll_i(g, a->bytes[i])));
  for (int at = 0; at < columns * a->bytes[i]; at += LINE)
    ll_prefetch(g, ll_gep(g, from, ll_i(g, at)), a->ins[i]->op == SN_K_STORE);
}

/* rows [row, row + rows) of `columns` columns from `col` on; results that stream are not fetched */
void cg_prefetch_ahead(cg *c, const cg_ahead *a, ll_v row, int rows, int col, int columns) {
  ll *g = &c->g;
  ll_loop l;
  if (!a || !a->count) return;
  ll_loop_begin(g, &l, row, ll_add(g, row, ll_i(g, rows)), ll_i(g, 1), 0, NULL, false);
  for (int i = 0; i < a->count; i++) {
    ll_branch br;
    ll_v streams = a->direct ? NULL : cg_streams(c, a->ins[i]);
    if (streams) ll_if(g, &br, LLVMBuildNot(g->b, streams, ""));
    fetch_row(c, a, i, l.iv, col, columns);
    if (!streams) continue;
    ll_else(g, &br);
    ll_endif(g, &br);
  }
  ll_loop_end(g, &l, NULL);
}

int cg_results_ahead(cg *c, const cg_ahead *a, ll_v row, ll_v col, int columns, cg_mat instead, cg_next *out) {
  ll *g = &c->g;
  for (int i = 0; a && i < a->count; i++) {
    if (a->ins[i]->op != SN_K_STORE) continue;
    ll_v streams = a->direct ? NULL : cg_streams(c, a->ins[i]), bytes = ll_i(g, a->bytes[i]);
    out->from = ll_gep(g, a->mem[i].p, ll_mul(g, ll_add(g, ll_mul(g, row, a->mem[i].ld), col), bytes));
    out->ld = ll_mul(g, a->mem[i].ld, bytes);
    if (streams) out->from = ll_select(g, streams, instead.p, out->from);
    if (streams) out->ld = ll_select(g, streams, instead.ld, out->ld);
    return out->at_once = (columns * a->bytes[i] + LINE - 1) / LINE;
  }
  return out->at_once = 0;
}
