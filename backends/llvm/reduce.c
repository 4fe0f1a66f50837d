/* Reductions as a running value that takes one vector at a time. The order is a function of the tile's shape and the
 * level only: lanes meet in a fixed tree at the end. */
#include <math.h>

#include "backends/llvm/cg.h"
#include "ir/base/plant.h"

static sn_elem elem_of(const cg *c, const sn_kins *x) { return cg_type(c, x->a[0]).elem; }
static bool is_float(sn_elem e) { return e == SN_ELEM_F32 || e == SN_ELEM_F64; }

static ll_v neutral(cg *c, const sn_kins *x) {
  sn_elem e = elem_of(c, x);
  ll_t t = cg_reg(c, e);
  if (x->op == SN_K_RSUM) return is_float(e) ? ll_fconst(&c->g, t, -0.0) : ll_iconst(&c->g, t, 0);
  if (x->op == SN_K_RPROD) return is_float(e) ? ll_fconst(&c->g, t, 1) : ll_iconst(&c->g, t, 1);
  return is_float(e) ? ll_fconst(&c->g, t, -INFINITY) : ll_iconst(&c->g, t, e == SN_ELEM_I64 ? INT64_MIN : INT32_MIN);
}

static ll_v above(cg *c, sn_elem e, ll_v a, ll_v b) {
  return is_float(e) ? ll_fcmp(&c->g, LLVMRealOGT, a, b) : ll_icmp(&c->g, LLVMIntSGT, a, b);
}

static ll_v combine(cg *c, const sn_kins *x, ll_v acc, ll_v v) {
  sn_elem e = elem_of(c, x);
  if (x->op == SN_K_RPROD) return is_float(e) ? LLVMBuildFMul(c->g.b, acc, v, "") : ll_mul(&c->g, acc, v);
  if (x->op != SN_K_RSUM) return cg_max(c, e, acc, v);
  return is_float(e) ? LLVMBuildFAdd(c->g.b, acc, v, "") : ll_add(&c->g, acc, v);
}

int cg_red_parts(const sn_kins *x) { return x->op == SN_K_RARGMAX ? 2 : 1; }

void cg_red_init(cg *c, const sn_kins *x, ll_v *acc) {
  acc[0] = neutral(c, x);
  if (x->op == SN_K_RARGMAX) acc[1] = ll_iconst(&c->g, c->g.i32, 0);
}

void cg_red_step(cg *c, const sn_kins *x, ll_v *acc, ll_v v, ll_v columns) {
  if (x->op != SN_K_RARGMAX) {
    acc[0] = combine(c, x, acc[0], v);
    return;
  }
  ll_v better = above(c, elem_of(c, x), v, acc[0]);
  acc[0] = ll_select(&c->g, better, v, acc[0]);
  acc[1] = ll_select(&c->g, better, columns, acc[1]);
}

void cg_red_join(cg *c, const sn_kins *x, ll_v *acc, const ll_v *other) {
  ll *g = &c->g;
  if (x->op != SN_K_RARGMAX) {
    acc[0] = combine(c, x, acc[0], other[0]);
    return;
  }
  sn_elem e = elem_of(c, x);
  ll_v equal = is_float(e) ? ll_fcmp(g, LLVMRealOEQ, other[0], acc[0]) : ll_icmp(g, LLVMIntEQ, other[0], acc[0]);
  ll_v first = ll_and(g, equal, ll_icmp(g, SN_PLANTED(TIES) ? LLVMIntSGT : LLVMIntSLT, other[1], acc[1]));
  ll_v better = LLVMBuildOr(g->b, above(c, e, other[0], acc[0]), first, "");
  acc[0] = ll_select(g, better, other[0], acc[0]);
  acc[1] = ll_select(g, better, other[1], acc[1]);
}

ll_v cg_red_finish(cg *c, const sn_kins *x, ll_v *acc) {
  ll *g = &c->g;
  for (int w = g->lanes / 2; w; w /= 2) {
    int lane[LL_LANES];
    ll_v other[2] = {NULL, NULL};
    for (int e = 0; e < g->lanes; e++) lane[e] = e ^ w;
    for (int q = 0; q < cg_red_parts(x); q++) other[q] = ll_shuffle(g, acc[q], acc[q], lane);
    cg_red_join(c, x, acc, other);
  }
  if (x->op == SN_K_RSUM || x->op == SN_K_RPROD) return acc[0]; /* equal bits in every lane: both commute */
  ll_v v = acc[cg_red_parts(x) - 1];
  return LLVMBuildShuffleVector(g->b, v, v, LLVMConstNull(ll_vec(g, g->i32)), "");
}

ll_v cg_red_input(cg *c, const sn_kins *x, int j) {
  ll *g = &c->g;
  sn_ktype t = cg_type(c, x->a[0]);
  ll_v v = cg_get(c, x->a[0], j);
  if (t.c == 1) return ll_select(g, ll_first_lanes(g, 1), v, neutral(c, x));
  if (t.c % g->lanes == 0 || c->inside || (!c->col && (j + 1) * g->lanes <= t.c)) return v;
  ll_v valid = ll_icmp(g, LLVMIntSLT, cg_column_numbers(c, j), ll_iconst(g, g->i32, t.c));
  return ll_select(g, valid, v, neutral(c, x));
}
