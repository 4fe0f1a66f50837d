/* The loops of attention's kernels over blocks of keys, or of queries: those that the mask lets something through to,
 * in ascending order. Where the live ones are a range that index values bound (attend_mask.c), the loops run over it:
 * partial blocks, full ones, partial ones. Else a map says of each block what it is, and one loop asks it. */
#include "passes/lower/attend.h"

enum { PARTIAL = 1, FULL = 2 }; /* in the map; 0: empty */

static int step_of(const sn_walk *w) { return w->over_queries ? w->s->bq : w->s->bk; }

static void set_block(const sn_walk *w, sn_kv first) {
  if (w->over_queries)
    w->s->q0 = first;
  else
    w->s->k0 = first;
}

static sn_code loop(const sn_walk *w, sn_kv lo, sn_kv hi, bool masked, int count, sn_kv *carry) {
  sn_kernel *k = w->s->b->k;
  set_block(w, sn_k_for(k, lo, hi, step_of(w), count, carry));
  sn_code code = w->step(w->user, masked, carry);
  sn_k_end_for(k, count, carry);
  return code;
}

static sn_code walk_range(const sn_walk *w, const sn_mask_range *r, int count, sn_kv *carry) {
  if (w->masked) return loop(w, r->lo, r->hi, true, count, carry);
  if (r->has_low) SN_TRY(loop(w, r->lo, r->mid0, true, count, carry));
  if (r->has_full) SN_TRY(loop(w, r->mid0, r->mid1, false, count, carry));
  return loop(w, r->has_full ? r->mid1 : r->lo, r->hi, true, count, carry);
}

/* What the map says of the block at q0 and k0, which may be a part of one of the map's. One that ends beyond
 * the keys is never full. */
static sn_kv state_of(const sn_site_block *s) {
  const sn_attend *a = s->a;
  sn_kernel *k = s->b->k;
  const sn_view *v = &a->map.view;
  sn_kv at[SN_VIEW_RANK] = {0};
  if (!sn_dimx_is_one(v->extent[0])) at[0] = s->batch;
  if (!sn_dimx_is_one(v->extent[1])) at[1] = s->head;
  at[2] = sn_k_ibin(k, SN_K_IDIV, s->q0, sn_k_i(k, a->bq)), at[3] = sn_k_ibin(k, SN_K_IDIV, s->k0, sn_k_i(k, a->bk));
  sn_kv state = sn_k_iload(k, sn_build_buffer(s->b, a->map.slot), sn_build_address(s->b, v, at));
  if (sn_dimx_divisor(a->S) % s->bk == 0) return state;
  sn_kv past = sn_k_ibin(k, SN_K_ILT, sn_build_dim(s->b, a->S), sn_k_iadd(k, s->k0, sn_k_i(k, s->bk)));
  return sn_k_isub(k, state, sn_k_imul(k, sn_k_ibin(k, SN_K_IDIV, state, sn_k_i(k, FULL)), past));
}

/* As many rounds, none or one. A loop, since loops carry tiles in place. */
static sn_code round_if(const sn_walk *w, sn_kv rounds, bool masked, int count, sn_kv *carry) {
  sn_kernel *k = w->s->b->k;
  sn_k_for(k, sn_k_i(k, 0), rounds, 1, count, carry);
  w->s->whole_keys = !masked && !w->over_queries;
  sn_code code = w->step(w->user, masked, carry);
  w->s->whole_keys = false;
  sn_k_end_for(k, count, carry);
  return code;
}

static sn_code walk_map(const sn_walk *w, const sn_mask_range *r, int count, sn_kv *carry) {
  sn_kernel *k = w->s->b->k;
  set_block(w, sn_k_for(k, r->lo, r->hi, step_of(w), count, carry));
  sn_kv state = state_of(w->s);
  sn_code code;
  if (w->masked) {
    code = round_if(w, sn_k_ibin(k, SN_K_IMIN, state, sn_k_i(k, 1)), true, count, carry);
  } else {
    code = round_if(w, sn_k_ibin(k, SN_K_IEQ, state, sn_k_i(k, PARTIAL)), true, count, carry);
    if (!code) code = round_if(w, sn_k_ibin(k, SN_K_IEQ, state, sn_k_i(k, FULL)), false, count, carry);
  }
  sn_k_end_for(k, count, carry);
  return code;
}

sn_code sn_attend_walk(const sn_walk *w, const sn_mask_range *r, int count, sn_kv *carry) {
  return w->s->a->has_map ? walk_map(w, r, count, carry) : walk_range(w, r, count, carry);
}
