/* Mask analysis: from the mask region to loop bounds. A comparison that is affine in the rows of queries and keys and
 * in `start` bounds the live blocks (some pair may pass) and the full ones (every pair passes); anything else leaves
 * blocks partial. Comparisons may hold one remainder `(start + .. - key) mod N`, as slots of a ring do: over all keys
 * it has two pieces, and is affine in each. What may wrap is not affine: loop bounds are of numbers that do not. */
#include "passes/graph/wraps.h"
#include "passes/lower/attend.h"

/* cq * row of q + ck * key + cs * start + cr * remainder + cf * quotient + c */
typedef struct affine {
  bool known;
  int64_t cq, ck, cs, cr, cf;
  const sn_dimx *c;
} affine;

/* each: affine <= 0 */
typedef struct constraints {
  const sn_attend *a;
  const sn_func *f;
  int count;
  affine at[16];
  bool complete; /* the mask is exactly their conjunction */
  affine *of;    /* by value id of f */
  bool *done;
  const sn_node *remainder; /* the one that comparisons hold, NULL: none */
  affine inside;            /* what it is of */
  int64_t modulus;
} constraints;

enum { ARG_BATCH, ARG_HEAD, ARG_QUERY, ARG_KEY, ARG_CAPTURE }; /* of a mask region: batch, head, q, k, captures... */

static sn_types *types_of(const constraints *s) { return s->a->c->types; }

static affine constant(sn_types *t, int64_t n) { return (affine){.known = true, .c = sn_dimx_const(t, n)}; }

static bool is_constant(affine a, int64_t *n) {
  return a.known && !a.cq && !a.ck && !a.cs && !a.cr && sn_dimx_is_const(a.c, n);
}

static affine plus(sn_types *t, affine a, int64_t n, affine b) { /* a + n * b */
  if (!a.known || !b.known) return (affine){0};
  a.cq += n * b.cq, a.ck += n * b.ck, a.cs += n * b.cs, a.cr += n * b.cr, a.cf += n * b.cf;
  a.c = sn_dimx_add(t, a.c, sn_dimx_mul(t, b.c, sn_dimx_const(t, n)));
  return a;
}

static affine times(sn_types *t, affine a, affine b) {
  int64_t n;
  if (is_constant(a, &n)) return plus(t, constant(t, 0), n, b);
  return is_constant(b, &n) ? plus(t, constant(t, 0), n, a) : (affine){0};
}

static int64_t arg_of(const sn_node *n) { return n->op == SN_OP_ARG ? sn_node_attr(n, "index")->i : -1; }

static bool same_place(const sn_operand *x, const sn_operand *y) {
  const sn_view *v = &x->view, *w = &y->view;
  if (x->slot != y->slot || v->rank != w->rank || v->offset != w->offset) return false;
  return !v->rank || (v->rank == 1 && v->stride[0] == w->stride[0]);
}

/* the captured `start` itself, or that of the batch in it */
static affine captured(const constraints *s, const sn_node *n) {
  bool indexed = n->op == SN_OP_INDEX;
  if (!s->a->has_start || n->type[0]->rank) return (affine){0};
  if (indexed && (n->arg_count != 2 || arg_of(sn_node_of(s->f, n->arg[1])) != ARG_BATCH)) return (affine){0};
  int64_t i = arg_of(indexed ? sn_node_of(s->f, n->arg[0]) : n);
  if (i < ARG_CAPTURE || !same_place(&s->a->capture[i - ARG_CAPTURE], &s->a->start)) return (affine){0};
  return (affine){.known = true, .cs = 1, .c = sn_dimx_const(types_of(s), 0)};
}

/* Two pieces are all that there are when the modulus is no less than the number of keys; what it is of must not be
 * negative at key 0. */
static affine remainder_of(constraints *s, const sn_node *n, affine x, affine by) {
  int64_t modulus;
  if (!x.known || !is_constant(by, &modulus) || modulus < 1 || modulus > INT32_MAX) return (affine){0};
  if (x.cq || x.cr || x.cs < 0 || sn_dimx_min_value(x.c) < 0 || (x.ck != 1 && x.ck != -1)) return (affine){0};
  if (sn_dimx_max_value(s->a->S) > modulus || (s->remainder && s->remainder != n)) return (affine){0};
  s->remainder = n, s->inside = x, s->modulus = modulus;
  return (affine){.known = true, .cr = 1, .c = sn_dimx_const(types_of(s), 0)};
}

static bool fits(const constraints *s, affine x) {
  const sn_attend *a = s->a;
  const int64_t part[] = {x.cq, x.ck, x.cs, x.cr};
  const double most[] = {sn_last_row(a->T, a->has_start), sn_last_row(a->S, false), SN_START_MAX, (double)s->modulus};
  return sn_fits_i32(4, part, most, (double)sn_dimx_min_value(x.c), (double)sn_dimx_max_value(x.c));
}

static affine affine_of(constraints *s, sn_val v);

static affine affine_at(constraints *s, sn_val v) {
  const sn_node *n = sn_node_of(s->f, v);
  sn_types *t = types_of(s);
  if (n->type[0]->elem != SN_ELEM_I32) return (affine){0};
  switch (n->op) {
    case SN_OP_ARG: {
      int64_t i = arg_of(n);
      if (i == ARG_QUERY) return (affine){.known = true, .cq = 1, .cs = s->a->has_start, .c = sn_dimx_const(t, 0)};
      if (i == ARG_KEY) return (affine){.known = true, .ck = 1, .c = sn_dimx_const(t, 0)};
      return captured(s, n);
    }
    case SN_OP_INDEX: return captured(s, n);
    case SN_OP_CONST: {
      double x = sn_node_attr(n, "value")->f;
      return x == (double)(int32_t)x ? constant(t, (int64_t)x) : (affine){0};
    }
    case SN_OP_DIM: return (affine){.known = true, .c = sn_node_attr(n, "dim")->d};
    case SN_OP_ADD: return plus(t, affine_of(s, n->arg[0]), 1, affine_of(s, n->arg[1]));
    case SN_OP_SUB: return plus(t, affine_of(s, n->arg[0]), -1, affine_of(s, n->arg[1]));
    case SN_OP_NEG: return plus(t, constant(t, 0), -1, affine_of(s, n->arg[0]));
    case SN_OP_MUL: return times(t, affine_of(s, n->arg[0]), affine_of(s, n->arg[1]));
    case SN_OP_MOD: return remainder_of(s, n, affine_of(s, n->arg[0]), affine_of(s, n->arg[1]));
    default: return (affine){0};
  }
}

static affine affine_of(constraints *s, sn_val v) {
  if (s->done[v]) return s->of[v];
  affine x = affine_at(s, v);
  s->done[v] = true;
  return s->of[v] = x.known && fits(s, x) ? x : (affine){0};
}

static void add(constraints *s, affine a) {
  if (!a.known || s->count == 16)
    s->complete = false;
  else
    s->at[s->count++] = a;
}

static void collect(constraints *s, sn_val v) {
  const sn_node *n = sn_node_of(s->f, v);
  sn_types *t = types_of(s);
  affine x, y;
  if (s->done[v]) return;
  s->done[v] = true;
  switch (n->op) {
    case SN_OP_AND:
      collect(s, n->arg[0]);
      collect(s, n->arg[1]);
      return;
    case SN_OP_LT:
    case SN_OP_LE:
    case SN_OP_EQ:
      if (!sn_elem_is_int(sn_val_type(s->f, n->arg[0])->elem)) break;
      x = affine_of(s, n->arg[0]), y = affine_of(s, n->arg[1]);
      affine d = plus(t, x, -1, y);
      add(s, n->op == SN_OP_LT ? plus(t, d, 1, constant(t, 1)) : d);
      if (n->op == SN_OP_EQ) add(s, plus(t, y, -1, x));
      return;
    case SN_OP_CONST:
      if (sn_node_attr(n, "value")->f != 0) return;
      break;
    default: break;
  }
  s->complete = false;
}

static void collect_all(constraints *s) {
  sn_arena *scratch = sn_arena_needed();
  s->of = SN_ARRAY(scratch, s->f->value_count, affine), s->done = SN_ARRAY(scratch, s->f->value_count, bool);
  collect(s, s->f->result[0]);
  sn_arena_destroy(scratch);
}

/* ---- bounds of the loop variable x given the block [o_lo, o_hi] of the other index ------------------------- */

typedef struct bounds {
  sn_kv live_lo, live_hi, full_lo, full_hi; /* inclusive; 0: none */
} bounds;

static sn_kv tighter(sn_kernel *k, sn_kop op, sn_kv a, sn_kv b) { return a ? sn_k_ibin(k, op, a, b) : b; }

/* a*x + b*o + c <= 0, a is 1 or -1 */
static void bound_by(sn_kernel *k, bounds *r, int64_t a, int64_t b, sn_kv c, sn_kv o_lo, sn_kv o_hi) {
  sn_kv low = sn_k_imulc(k, b >= 0 ? o_lo : o_hi, b), high = sn_k_imulc(k, b >= 0 ? o_hi : o_lo, b);
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

/* What constraints are solved with. */
typedef struct solver {
  const sn_site_block *s;
  bool over_queries;
  const constraints *m;
  sn_kv o_lo, o_hi; /* the block of the other index: rows */
  sn_kv quotient;   /* of what the remainder is of, at key 0; 0: not known */
} solver;

static void other_block(solver *v) {
  const sn_site_block *s = v->s;
  sn_kernel *k = s->b->k;
  const sn_dimx *other = v->over_queries ? s->a->S : s->a->T;
  v->o_lo = v->over_queries ? s->k0 : s->q0;
  sn_kv last = sn_k_iadd(k, v->o_lo, sn_k_i(k, (v->over_queries ? s->bk : s->bq) - 1));
  v->o_hi = sn_k_ibin(k, SN_K_IMIN, last, sn_k_isub(k, sn_build_dim(s->b, other), sn_k_i(k, 1)));
}

/* all but what depends on rows */
static sn_kv fixed_part(const solver *v, affine x) {
  sn_kernel *k = v->s->b->k;
  sn_kv c = sn_build_dim(v->s->b, x.c);
  if (x.cs) c = sn_k_iadd(k, c, sn_k_imulc(k, v->s->start, x.cs));
  return x.cf ? sn_k_iadd(k, c, sn_k_imulc(k, v->quotient, x.cf)) : c;
}

/* false: it proves nothing */
static bool solve_one(const solver *v, affine x, bounds *r) {
  int64_t a = v->over_queries ? x.cq : x.ck, b = v->over_queries ? x.ck : x.cq;
  if (x.cr || (a != 1 && a != -1)) return false;
  bound_by(v->s->b->k, r, a, b, fixed_part(v, x), v->o_lo, v->o_hi);
  return true;
}

/* The constraints solved for the loop variable; false: some constraint proves nothing, so that no block is full. */
static bool solve(const solver *v, bounds *r) {
  bool full = v->m->complete;
  for (int i = 0; i < v->m->count; i++) full &= solve_one(v, v->m->at[i], r);
  return full;
}

/* ---- the two pieces of a remainder ------------------------------------------------------------------------- */

/* Rows, keys, start and the quotient are never negative. */
static bool always_holds(affine x) {
  return x.cq <= 0 && x.ck <= 0 && x.cs <= 0 && x.cf <= 0 && !x.cr && sn_dimx_max_value(x.c) <= 0;
}

/* The remainder in a piece: what it is of, less the modulus times the quotient there. */
static affine in_piece(const solver *v, int which) {
  const constraints *m = v->m;
  affine quotient = {.known = true, .cf = 1, .c = sn_dimx_const(types_of(m), which * m->inside.ck)};
  return plus(types_of(m), m->inside, -m->modulus, quotient);
}

static bool solve_piece(const solver *v, int which, bounds *r) {
  sn_types *t = types_of(v->m);
  affine value = in_piece(v, which), below = plus(t, constant(t, 0), -1, value);
  affine beyond = plus(t, value, 1, constant(t, 1 - v->m->modulus));
  bool full = v->m->complete, first_ends_below = v->m->inside.ck < 0;
  *r = (bounds){0};
  solve_one(v, (which == 0) == first_ends_below ? below : beyond, r); /* where the piece meets the other */
  for (int i = 0; i < v->m->count; i++) {
    affine x = v->m->at[i];
    int64_t times = x.cr;
    x.cr = 0;
    x = plus(t, x, times, value);
    if (!times || !always_holds(x)) full &= solve_one(v, x, r);
  }
  return full;
}

/* 1 if x > 0, else 0 */
static sn_kv is_positive(sn_kernel *k, sn_kv x) {
  return sn_k_ibin(k, SN_K_IMIN, sn_k_ibin(k, SN_K_IMAX, x, sn_k_i(k, 0)), sn_k_i(k, 1));
}

/* The end of the second piece, or less than 0 if it does not count: lo > hi. */
static sn_kv end_unless(sn_kernel *k, sn_kv end, sn_kv count, sn_kv lo, sn_kv hi) {
  return sn_k_isub(k, end, sn_k_imul(k, is_positive(k, sn_k_isub(k, lo, hi)), count));
}

/* Live is what lies between live keys of the two pieces; full are the keys of the first, and of the second when none
 * lies between. */
static bool solve_pieces(solver *v, bounds *r) {
  sn_kernel *k = v->s->b->k;
  sn_kv count = sn_build_dim(v->s->b, v->s->a->S), last = sn_k_isub(k, count, sn_k_i(k, 1));
  sn_kv at0 = sn_k_ibin(k, SN_K_IMAX, fixed_part(v, v->m->inside), sn_k_i(k, 0));
  v->quotient = sn_k_ibin(k, SN_K_IDIV, at0, sn_k_i(k, v->m->modulus));
  bounds x, y;
  bool full = solve_piece(v, 0, &x);
  full &= solve_piece(v, 1, &y);
  sn_kv live_end = tighter(k, SN_K_IMIN, y.live_hi, last), full_end = tighter(k, SN_K_IMIN, y.full_hi, last);
  live_end = end_unless(k, live_end, count, y.live_lo, live_end);
  full_end = end_unless(k, full_end, count, y.full_lo, sn_k_iadd(k, x.full_hi, sn_k_i(k, 1)));
  *r = (bounds){.full_lo = x.full_lo};
  if (x.live_lo) r->live_lo = sn_k_ibin(k, SN_K_IMIN, x.live_lo, y.live_lo);
  r->live_hi = sn_k_ibin(k, SN_K_IMAX, x.live_hi, live_end);
  r->full_hi = sn_k_ibin(k, SN_K_IMAX, x.full_hi, full_end);
  return full;
}

/* ---- blocks ------------------------------------------------------------------------------------------------- */

/* The last block of keys has rows past the end: none of its blocks is full, [mid0, mid1) is empty. */
static void end_of_keys(const sn_site_block *s, sn_mask_range *r) {
  sn_kernel *k = s->b->k;
  sn_kv past = sn_k_ibin(k, SN_K_ILT, sn_build_dim(s->b, s->a->S), sn_k_iadd(k, s->k0, sn_k_i(k, s->bk)));
  r->mid1 = sn_k_iadd(k, sn_k_imul(k, past, r->mid0), sn_k_imul(k, sn_k_isub(k, sn_k_i(k, 1), past), r->mid1));
  /* no more than all: what a backend can prove from a sum of products is less */
  r->mid1 = sn_k_ibin(k, SN_K_IMIN, r->mid1, sn_build_dim(s->b, s->a->T));
}

static bool reads_start(const constraints *m) {
  bool any = m->remainder && m->inside.cs;
  for (int i = 0; i < m->count; i++) any |= m->at[i].cs != 0;
  return any;
}

/* All blocks, and none full, where the start is none that bounds hold for: positions may wrap. */
static void if_start_is_small(const sn_site_block *s, const constraints *m, sn_kv count, sn_mask_range *r) {
  sn_kernel *k = s->b->k;
  if (!reads_start(m)) return;
  sn_kv one = sn_k_i(k, 1), small = sn_k_ibin(k, SN_K_ILT, s->start, sn_k_i(k, (int64_t)SN_START_MAX + 1));
  small = sn_k_imul(k, small, sn_k_isub(k, one, sn_k_ibin(k, SN_K_ILT, s->start, sn_k_i(k, 0))));
  r->lo = sn_k_imul(k, r->lo, small);
  r->hi = sn_k_ibin(k, SN_K_IMAX, r->hi, sn_k_imul(k, sn_k_isub(k, one, small), count));
  r->mid0 = sn_k_imul(k, r->mid0, small), r->mid1 = sn_k_imul(k, r->mid1, small);
}

sn_mask_range sn_attend_range(const sn_site_block *s, bool over_queries) {
  sn_kernel *k = s->b->k;
  constraints m = {.a = s->a, .f = s->a->mask, .complete = true};
  bounds r = {0};
  int by = over_queries ? s->bq : s->bk;
  sn_kv count = sn_build_dim(s->b, over_queries ? s->a->T : s->a->S), one = sn_k_i(k, 1), zero = sn_k_i(k, 0);
  if (m.f) collect_all(&m);
  solver v = {.s = s, .over_queries = over_queries, .m = &m};
  other_block(&v);
  bool full = m.remainder && !over_queries ? solve_pieces(&v, &r) : solve(&v, &r);
  sn_mask_range out = {.lo = zero, .hi = count, .has_low = r.live_lo || r.full_lo, .has_full = full};
  if (r.live_lo) out.lo = block_down(k, at_least_0(k, r.live_lo), by);
  if (r.live_hi) out.hi = sn_k_ibin(k, SN_K_IMIN, count, at_least_0(k, sn_k_iadd(k, r.live_hi, one)));
  out.mid0 = out.mid1 = out.lo;
  if (!full) {
    if_start_is_small(s, &m, count, &out);
    return out;
  }
  sn_kv end = block_up(k, out.hi, by), whole = block_down(k, count, by);
  if (r.full_lo)
    out.mid0 = sn_k_ibin(k, SN_K_IMIN, sn_k_ibin(k, SN_K_IMAX, block_up(k, at_least_0(k, r.full_lo), by), out.lo),
                         sn_k_ibin(k, SN_K_IMAX, end, out.lo));
  if (r.full_hi) whole = sn_k_ibin(k, SN_K_IMIN, whole, block_down(k, at_least_0(k, sn_k_iadd(k, r.full_hi, one)), by));
  out.mid1 = sn_k_ibin(k, SN_K_IMAX, out.mid0, whole);
  if (over_queries && sn_dimx_divisor(s->a->S) % s->bk) end_of_keys(s, &out);
  if_start_is_small(s, &m, count, &out);
  return out;
}
