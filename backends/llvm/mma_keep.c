/* Copies of b that outlive an instance. Consecutive instances of a grid differ in its last dimensions; when a window of
 * b does not depend on those, its copy is made by the first instance of a call and whenever the last dimensions start
 * over, and read by the others. The copy lies in workspace of its own. */
#include "backends/llvm/mma.h"

enum { MOST_KEPT_BYTES = 768 << 10 };

/* grid dimensions that an index value depends on, as bits; all of them when it depends on a loop other than the
 * product's own, `iv` */
int cg_dims_of(const cg *c, sn_kv v, sn_kv iv) {
  const sn_kins *x = cg_ins(c, v);
  int bits = 0;
  switch (x->op) {
    case SN_K_GID: return 1 << x->i;
    case SN_K_IV: return v == iv ? 0 : CG_ANY_DIM;
    case SN_K_ILOAD: return cg_dims_of(c, x->a[1], iv);
    case SN_K_ICONST:
    case SN_K_PARAM: return 0;
    default: break;
  }
  for (int j = 0; j < x->count; j++) bits |= cg_dims_of(c, x->a[j], iv);
  return bits;
}

/* first of the trailing dimensions that do not matter; grid_count: none */
int cg_first_free(const cg *c, int dims) {
  int d = c->k->grid_count;
  while (d > 0 && !(dims >> (d - 1) & 1)) d--;
  return d;
}

bool cg_one_instance(const cg *c, int from) { /* have all dimensions from there on extent 1? */
  int64_t n;
  for (int d = from; d < c->k->grid_count; d++)
    if (!sn_k_is_const(c->k, c->k->grid[d], &n) || n != 1) return false;
  return true;
}

ll_v cg_starts_over(cg *c, int from) {
  ll *g = &c->g;
  ll_v start = NULL;
  if (from >= c->k->grid_count) return LLVMConstInt(LLVMInt1TypeInContext(g->c), 1, 0);
  for (int d = from; d < c->k->grid_count; d++) {
    ll_v zero = ll_icmp(g, LLVMIntEQ, c->gid[d], ll_i(g, 0));
    start = start ? ll_and(g, start, zero) : zero;
  }
  return LLVMBuildOr(g->b, c->first, start, "");
}

bool cg_keeps(const cg_product *p, ll_v *fill) {
  cg *c = p->c;
  if (c->nesting || p->pairs || !cg_is_window(c, p->b.v) || !p->k_most) return false;
  int64_t bytes = p->amx || p->by_pairs ? 2 : (int64_t)sn_elem_bytes(p->elem);
  if (p->k_most * p->n * bytes > MOST_KEPT_BYTES) return false;
  const sn_kins *x = cg_ins(c, p->b.v);
  int dims = p->condition ? cg_dims_of(c, p->condition, p->iv) : 0;
  for (int j = 1; j < 6; j++)
    if (x->a[j]) dims |= cg_dims_of(c, x->a[j], p->iv);
  int from = cg_first_free(c, dims);
  if (cg_one_instance(c, from)) return false;
  if (fill) *fill = cg_starts_over(c, from);
  return true;
}

int64_t cg_keep_bytes(cg *c, int64_t bytes) {
  int64_t at = c->kept_bytes;
  c->kept_bytes += (bytes + 127) / 64 * 64;
  return at;
}

ll_v cg_keep(cg *c, int64_t bytes) { return ll_gep(&c->g, c->kept, ll_i(&c->g, cg_keep_bytes(c, bytes))); }
