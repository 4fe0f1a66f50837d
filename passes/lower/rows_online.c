/* Sums of exp(x - max x) in the loop that finds the maximum, so that long rows are read once: what was summed below the
 * old maximum is multiplied by exp(old - new). Until a number above -infinity was seen, 0 is subtracted.
 *   source: Milakov & Gimelshein 2018, "Online normalizer calculation for softmax", algorithm 3 */
#include "passes/lower/rows.h"

#include <math.h>

enum {
  LEAST_TILE = 256, /* columns: with fewer, the factors would cost as much as what they save */
  ROWS = 2          /* of a tile: sums of more would leave exponentials too few registers */
};

static sn_val behind(const sn_func *f, sn_val v) {
  const sn_node *n = sn_node_of(f, v);
  while (n->op == SN_OP_STOP || sn_op_get(n->op)->cls == SN_CLASS_VIEW) v = n->arg[0], n = sn_node_of(f, v);
  return v;
}

/* 1 + the number of the maximum m of x, for a sum of exp(x - m); 0: it is none. */
static int peak_of(const sn_rows *r, const sn_node *n) {
  const sn_func *f = r->c->body;
  if (n->op != SN_OP_SUM) return 0;
  const sn_node *e = sn_node_of(f, n->arg[0]);
  const sn_node *d = e->op == SN_OP_EXP ? sn_node_of(f, e->arg[0]) : NULL;
  if (!d || d->op != SN_OP_SUB) return 0;
  for (int i = 0; i < r->count; i++)
    if (r->node[i]->op == SN_OP_AMAX && r->node[i]->arg[0] == d->arg[0] && r->node[i]->first == behind(f, d->arg[1]))
      return i + 1;
  return 0;
}

/* Are there no rows without elements? */
static bool is_never_empty(const sn_rows *r) {
  for (int i = 0; i < r->g->space.rank; i++)
    if (r->g->reduce[i] && sn_dimx_min_value(r->g->space.extent[i]) < 1) return false;
  return true;
}

void sn_rows_find_online(sn_rows *r) {
  if (r->along_columns || r->inner < 0 || r->block < LEAST_TILE || r->c->target->fold_late || !is_never_empty(r))
    return;
  for (int i = 0; i < r->count; i++) {
    int peak = peak_of(r, r->node[i]);
    if (!peak || r->level[i] != r->level[peak - 1] + 1) continue;
    r->peak[i] = peak;
    r->level[i] = r->level[peak - 1];
    if (r->t.r > ROWS) r->t.r = ROWS;
  }
}

/* e^x of tiles at hand: x is said to be at most 0, which makes it shorter. */
static sn_kv exp_below(sn_rows *r, sn_tile *t, const sn_node *sum) {
  sn_kernel *k = r->b->k;
  sn_kv x = sn_rows_value(r, t, sn_node_of(r->c->body, sum->arg[0])->arg[0]);
  return sn_k_un(k, SN_K_EXP, sn_k_binc(k, SN_K_MIN, x, 0));
}

sn_kv sn_rows_online(sn_rows *r, sn_tile *t, int i, sn_kv sum, sn_kv old, sn_kv now) {
  sn_kernel *k = r->b->k;
  int peak = r->peak[i] - 1;
  sn_ktype type = sn_k_type(k, now);
  sn_kv none = sn_k_binc(k, SN_K_EQ, now, -INFINITY);
  sn_kv shift = sn_k_select(k, none, sn_k_const(k, type.elem, type.r, type.c, 0), now);
  sn_kv factor = sn_k_un(k, SN_K_EXP, sn_k_bin(k, SN_K_SUB, old, shift));
  r->result[peak] = shift;
  sn_kv part = sn_rows_reduce_of(r, t, r->node[i], exp_below(r, t, r->node[i]));
  r->result[peak] = 0;
  return sn_k_fma(k, sum, factor, part);
}

sn_kv sn_rows_online_end(sn_rows *r, sn_kv sum, sn_kv peak) {
  sn_kernel *k = r->b->k;
  sn_ktype type = sn_k_type(k, sum);
  return sn_k_select(k, sn_k_binc(k, SN_K_EQ, peak, -INFINITY), sn_k_const(k, type.elem, type.r, type.c, NAN), sum);
}
