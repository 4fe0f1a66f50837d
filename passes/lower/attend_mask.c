/* Mask analysis: from the mask region to loop bounds. A comparison that is affine in the query and key position bounds
 * the live blocks (some pair may pass) and the full ones (every pair passes); anything else leaves blocks partial. */
#include "passes/lower/attend.h"

/* cq * q + ck * k + c */
typedef struct affine {
  bool known;
  int64_t cq, ck;
  const sn_dimx *c;
} affine;

/* cq * q + ck * k + c <= 0 */
typedef struct constraints {
  int count;
  affine at[16];
  bool complete; /* the mask is exactly their conjunction */
} constraints;

enum { ARG_QUERY = 2, ARG_KEY = 3 }; /* of a mask region: batch, head, q, k, captures... */

static affine constant(sn_types *t, int64_t n) { return (affine){true, 0, 0, sn_dimx_const(t, n)}; }

static affine combine(sn_types *t, affine a, affine b, int64_t sign) {
  if (!a.known || !b.known) return (affine){0};
  const sn_dimx *c = sign > 0 ? sn_dimx_add(t, a.c, b.c) : sn_dimx_sub(t, a.c, b.c);
  return (affine){true, a.cq + sign * b.cq, a.ck + sign * b.ck, c};
}

static affine times(sn_types *t, affine a, affine b) {
  int64_t n;
  if (!a.known || !b.known) return (affine){0};
  if (a.cq || a.ck || !sn_dimx_is_const(a.c, &n)) {
    if (b.cq || b.ck || !sn_dimx_is_const(b.c, &n)) return (affine){0};
    b = a;
  }
  return (affine){true, b.cq * n, b.ck * n, sn_dimx_mul(t, b.c, sn_dimx_const(t, n))};
}

static affine affine_of(sn_types *t, const sn_func *f, sn_val v) {
  const sn_node *n = sn_node_of(f, v);
  switch (n->op) {
    case SN_OP_ARG: {
      int64_t i = sn_node_attr(n, "index")->i;
      if (i == ARG_QUERY) return (affine){true, 1, 0, sn_dimx_const(t, 0)};
      if (i == ARG_KEY) return (affine){true, 0, 1, sn_dimx_const(t, 0)};
      return (affine){0};
    }
    case SN_OP_CONST: {
      double x = sn_node_attr(n, "value")->f;
      return x == (double)(int64_t)x && x > -1e15 && x < 1e15 ? constant(t, (int64_t)x) : (affine){0};
    }
    case SN_OP_DIM: return (affine){true, 0, 0, sn_node_attr(n, "dim")->d};
    case SN_OP_ADD: return combine(t, affine_of(t, f, n->arg[0]), affine_of(t, f, n->arg[1]), 1);
    case SN_OP_SUB: return combine(t, affine_of(t, f, n->arg[0]), affine_of(t, f, n->arg[1]), -1);
    case SN_OP_NEG: return combine(t, constant(t, 0), affine_of(t, f, n->arg[0]), -1);
    case SN_OP_MUL: return times(t, affine_of(t, f, n->arg[0]), affine_of(t, f, n->arg[1]));
    default: return (affine){0};
  }
}

static void add(constraints *s, affine a) {
  if (!a.known || s->count == 16)
    s->complete = false;
  else
    s->at[s->count++] = a;
}

static void collect(sn_types *t, const sn_func *f, sn_val v, constraints *s) {
  const sn_node *n = sn_node_of(f, v);
  affine x, y;
  switch (n->op) {
    case SN_OP_AND:
      collect(t, f, n->arg[0], s);
      collect(t, f, n->arg[1], s);
      return;
    case SN_OP_LT:
    case SN_OP_LE:
    case SN_OP_EQ:
      if (!sn_elem_is_int(sn_val_type(f, n->arg[0])->elem)) break;
      x = affine_of(t, f, n->arg[0]), y = affine_of(t, f, n->arg[1]);
      affine d = combine(t, x, y, -1);
      add(s, n->op == SN_OP_LT ? combine(t, d, constant(t, 1), 1) : d);
      if (n->op == SN_OP_EQ) add(s, combine(t, y, x, -1));
      return;
    case SN_OP_CONST:
      if (sn_node_attr(n, "value")->f != 0) return;
      break;
    default: break;
  }
  s->complete = false;
}

/* ---- bounds of the loop variable x given the block [o_lo, o_hi] of the other index ------------------------- */

typedef struct bounds {
  sn_kv live_lo, live_hi, full_lo, full_hi; /* inclusive; 0: none */
} bounds;

static sn_kv tighter(sn_kernel *k, sn_kop op, sn_kv a, sn_kv b) { return a ? sn_k_ibin(k, op, a, b) : b; }

/* a*x + b*o + c <= 0 */
static void bound_by(sn_build_kernel *bk, bounds *r, int64_t a, int64_t b, const sn_dimx *cd, sn_kv o_lo, sn_kv o_hi) {
  sn_kernel *k = bk->k;
  sn_kv c = sn_build_dim(bk, cd), low = sn_k_imulc(k, b >= 0 ? o_lo : o_hi, b),
        high = sn_k_imulc(k, b >= 0 ? o_hi : o_lo, b);
  sn_kv least = sn_k_iadd(k, low, c), most = sn_k_iadd(k, high, c), zero = sn_k_i(k, 0);
  if (a == 1) { /* x <= -(b*o + c) */
    r->live_hi = tighter(k, SN_K_IMIN, r->live_hi, sn_k_isub(k, zero, least));
    r->full_hi = tighter(k, SN_K_IMIN, r->full_hi, sn_k_isub(k, zero, most));
  } else { /* x >= b*o + c */
    r->live_lo = tighter(k, SN_K_IMAX, r->live_lo, least);
    r->full_lo = tighter(k, SN_K_IMAX, r->full_lo, most);
  }
}

static sn_kv block_down(sn_kernel *k, sn_kv x, int by) { /* x >= 0 */
  return sn_k_imulc(k, sn_k_ibin(k, SN_K_IDIV, x, sn_k_i(k, by)), by);
}
static sn_kv block_up(sn_kernel *k, sn_kv x, int by) { return sn_k_imulc(k, sn_k_iceil(k, x, by), by); }
static sn_kv at_least_0(sn_kernel *k, sn_kv x) { return sn_k_ibin(k, SN_K_IMAX, x, sn_k_i(k, 0)); }

/* The constraints solved for the loop variable; false: some constraint proves nothing, so that no block is full. */
static bool solve(const sn_site_block *s, bool over_queries, const constraints *m, bounds *r) {
  sn_kernel *k = s->b->k;
  bool full = m->complete;
  const sn_dimx *other = over_queries ? s->a->S : s->a->T;
  sn_kv o_lo = over_queries ? s->k0 : s->q0, last = sn_k_iadd(k, o_lo, sn_k_i(k, (over_queries ? s->bk : s->bq) - 1));
  sn_kv o_hi = sn_k_ibin(k, SN_K_IMIN, last, sn_k_isub(k, sn_build_dim(s->b, other), sn_k_i(k, 1)));
  if (!over_queries && s->start) o_lo = sn_k_iadd(k, o_lo, s->start), o_hi = sn_k_iadd(k, o_hi, s->start);
  for (int i = 0; i < m->count; i++) {
    int64_t a = over_queries ? m->at[i].cq : m->at[i].ck, b = over_queries ? m->at[i].ck : m->at[i].cq;
    if (a == 1 || a == -1)
      bound_by(s->b, r, a, b, m->at[i].c, o_lo, o_hi);
    else
      full = false;
  }
  return full;
}

/* Query bounds speak of positions; rows are start less. */
static void shift(sn_kernel *k, bounds *r, sn_kv start) {
  sn_kv *v[] = {&r->live_lo, &r->live_hi, &r->full_lo, &r->full_hi};
  for (int i = 0; i < 4; i++)
    if (*v[i]) *v[i] = sn_k_isub(k, *v[i], start);
}

sn_mask_range sn_attend_range(const sn_site_block *s, bool over_queries) {
  sn_kernel *k = s->b->k;
  constraints m = {.complete = true};
  bounds r = {0};
  int by = over_queries ? s->bq : s->bk;
  sn_kv count = sn_build_dim(s->b, over_queries ? s->a->T : s->a->S), one = sn_k_i(k, 1), zero = sn_k_i(k, 0);
  if (s->a->mask) collect(s->a->c->types, s->a->mask, s->a->mask->result[0], &m);
  bool full = solve(s, over_queries, &m, &r);
  if (over_queries && s->start) shift(k, &r, s->start);
  sn_mask_range out = {.lo = zero, .hi = count, .has_low = r.live_lo || r.full_lo, .has_full = full};
  if (r.live_lo) out.lo = block_down(k, at_least_0(k, r.live_lo), by);
  if (r.live_hi) out.hi = sn_k_ibin(k, SN_K_IMIN, count, at_least_0(k, sn_k_iadd(k, r.live_hi, one)));
  out.mid0 = out.mid1 = out.lo;
  if (!full) return out;
  sn_kv end = block_up(k, out.hi, by), whole = block_down(k, count, by);
  if (r.full_lo)
    out.mid0 = sn_k_ibin(k, SN_K_IMIN, sn_k_ibin(k, SN_K_IMAX, block_up(k, at_least_0(k, r.full_lo), by), out.lo),
                         sn_k_ibin(k, SN_K_IMAX, end, out.lo));
  if (r.full_hi) whole = sn_k_ibin(k, SN_K_IMIN, whole, block_down(k, at_least_0(k, sn_k_iadd(k, r.full_hi, one)), by));
  out.mid1 = sn_k_ibin(k, SN_K_IMAX, out.mid0, whole);
  return out;
}
