/* Properties of a row cluster: unrolled whole or walked in vector loops, phases of row reductions, the row limit that
 * bounds it. */
#include "backends/llvm/plan.h"

enum { MOST_STATIC_WORK = 192, MOST_COLUMN_SUMS = 16 };

static const sn_kins *ins(const cg_plan *p, sn_kv v) { return &p->k->ins[v]; }

static int width_of(const cg_plan *p, sn_kv v) { /* columns that an operation walks */
  const sn_kins *x = ins(p, v);
  return cg_is_reduce(x) ? ins(p, x->a[0])->type.c : cg_shape(p->k, v).c;
}

/* the result of a reduction along the row is known one phase after its input */
static void find_phases(cg_plan *p, cg_step *s) {
  for (int q = 0; q < s->count; q++) {
    const sn_kins *x = ins(p, s->ops[q]);
    sn_kv d[SN_K_ARGS];
    int n = cg_deps(p, s->ops[q], d), phase = 0;
    for (int j = 0; j < n; j++)
      if (p->member[d[j]] == s->number && p->phase[d[j]] > phase) phase = p->phase[d[j]];
    phase += cg_is_reduce(x) && x->i == 1;
    p->phase[s->ops[q]] = phase;
    if (phase > s->last_phase) s->last_phase = phase;
  }
}

void cg_cluster_shape(cg_plan *p, cg_step *s) {
  int widest = 1, column_sums = 0;
  for (int q = 0; q < s->count; q++) {
    const sn_kins *x = ins(p, s->ops[q]);
    int n = cg_vectors(width_of(p, s->ops[q]), p->lanes);
    s->work += n;
    if (n > widest) widest = n;
    if (cg_is_reduce(x) && x->i == 0) column_sums += n;
  }
  s->wide = widest > CG_STATIC_VECTORS || (widest > 4 && s->work > MOST_STATIC_WORK) || column_sums > MOST_COLUMN_SUMS;
  find_phases(p, s);
}

void cg_cluster_bound(cg_plan *p, cg_step *s) {
  sn_kv bound = 0;
  for (int q = 0; q < s->count; q++) {
    const sn_kins *x = ins(p, s->ops[q]);
    if (p->slot[s->ops[q]] || (cg_is_reduce(x) && x->i == 0)) return;
    if (x->op != SN_K_STORE) continue;
    if (!x->a[4] || (bound && x->a[4] != bound)) return;
    bound = x->a[4];
  }
  s->bound = bound;
}
