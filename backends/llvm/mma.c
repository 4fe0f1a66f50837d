/* Recognises products and what surrounds them.
 *
 * 1. `for k { acc = mma(acc, load, load) }` whose windows advance exactly with k is one product over the whole extent:
 * the accumulators stay in registers whatever step the schedule wrote
 * 2. a product from zero whose only use is a store of all of it accumulates in the destination
 * 3. limits: along k they shorten k, on rows of a they leave out row blocks, on columns see mma_operand.c */
#include "backends/llvm/mma.h"

/* ---- description of one product ----------------------------------------------------------------------------- */

typedef struct request {
  sn_kv v, result, acc; /* the mma; whose slot receives it; what it starts from */
  sn_kv iv;             /* of the loop over k, when it begins at a constant */
  ll_v k_total;         /* run-time extent of k, NULL: the tile's */
  int64_t k_const;      /* when it is known, else 0 */
  bool k_quad;          /* known to be a positive multiple of 4 */
  sn_kv direct;         /* store whose window receives it, 0: the slot */
  sn_kv holds, fails;   /* a limit known to hold / to fail */
  sn_kv condition;      /* the limit that decided, 0: none */
  const cg_step *next;  /* rows that follow, NULL: none */
} request;

static bool starts_from_zero(const cg *c, sn_kv acc) {
  const sn_kins *x = cg_ins(c, cg_source(&c->p, acc));
  return x->op == SN_K_CONST && x->f == 0;
}

/* per: elements of k that one step of the limit stands for */
static void limit_k(cg_product *p, const cg_operand *o, int per) {
  ll *g = &p->c->g;
  if (!o->k_limit || !o->pad_zero) return;
  if (sn_k_divisor(p->c->k, o->k_limit) * per % (p->pairs ? 8 : 4) || !cg_limit_holds(p->c, o->k_limit, 1))
    p->any_k = true;
  ll_v limit = ll_imax(g, cg_index(p->c, o->k_limit), ll_i(g, 0));
  p->k = ll_imin(g, p->k, ll_mul(g, limit, ll_i(g, per)));
}

/* is k a multiple of 32 in every instance? */
static bool whole_steps(const cg_product *p, const request *r) {
  const cg_operand *side[2] = {&p->a, &p->b};
  const sn_kins *x = cg_ins(p->c, r->v);
  sn_ktype a = cg_type(p->c, x->a[1]);
  int step = x->i & SN_K_TA ? a.r : a.c;
  if (step % 32) return false;
  for (int i = 0; i < 2; i++) {
    int per = i == 1 && p->pairs ? 2 : 1;
    if (side[i]->k_limit && side[i]->pad_zero && sn_k_divisor(p->c->k, side[i]->k_limit) * per % 32) return false;
  }
  return true;
}

static void read_slid(cg_product *p, cg_operand *o) {
  o->slid = !p->amx && !p->pairs && o->in_place && cg_is_window(p->c, o->v) && cg_slid(p->c, o->v, &o->mem);
}

static void describe(cg *c, const request *r, cg_product *p) {
  ll *g = &c->g;
  const sn_kins *x = cg_ins(c, r->v);
  sn_ktype a = cg_type(c, x->a[1]);
  int k = x->i & SN_K_TA ? a.r : a.c;
  *p = (cg_product){.c = c, .v = r->v, .elem = x->type.elem, .elem_a = x->type.elem, .m = x->type.r, .n = x->type.c};
  p->iv = r->iv, p->holds = r->holds, p->fails = r->fails, p->condition = r->condition;
  p->k = r->k_total ? r->k_total : ll_i(g, k);
  p->k_most = r->k_total ? r->k_const : k;
  p->pairs = x->i & SN_K_VNNI;
  p->any_k = r->k_total ? !r->k_quad : k % 4 != 0;
  if (p->pairs) p->elem_a = SN_ELEM_BF16, p->any_k |= !p->k_most || p->k_most % 8;
  p->a = cg_operand_of(c, x->a[1], x->i & SN_K_TA);
  p->b = cg_operand_of(c, x->a[2], !(x->i & SN_K_TB));
  p->amx = cg_tile_product(c->k, x, &g->isa);
  p->by_pairs = cg_pair_product(c->k, x, &g->isa);
  if (p->amx || p->by_pairs) p->elem_a = SN_ELEM_BF16;
  p->whole_steps = whole_steps(p, r);
  if (!r->iv && !r->k_total) read_slid(p, &p->a), read_slid(p, &p->b);
  limit_k(p, &p->a, 1);
  limit_k(p, &p->b, p->pairs ? 2 : 1);
  if (p->a.limit && p->a.pad_zero) p->valid = cg_clamp(c, cg_index(c, p->a.limit), 0, p->m);
}

static void run(cg *c, const request *r) {
  cg_product p;
  cg_ahead ahead;
  describe(c, r, &p);
  cg_look_ahead(c, r->next, p.m, p.n, &ahead);
  p.ahead = &ahead;
  if (r->direct) cg_look_at_store(c, r->direct, &ahead);
  p.beta = !starts_from_zero(c, r->acc);
  if (r->direct) {
    const sn_kins *st = cg_ins(c, r->direct);
    p.d = cg_window_mat(c, st);
    p.keep_rows = st->a[4] && !cg_limit_holds(c, st->a[4], p.m);
  } else {
    int ld = cg_ld(&c->p, cg_type(c, r->v));
    p.d = (cg_mat){cg_slot(c, r->result), ll_i(&c->g, ld),
                   r->fails ? 0 : ld}; /* shares microkernels with the direct form */
    if (p.beta) cg_move(c, r->result, r->acc);
  }
  cg_run_product(&p);
}

void cg_mma(cg *c, sn_kv v) {
  int64_t top = c->ws_top;
  run(c, &(request){.v = v, .result = v, .acc = cg_ins(c, v)->a[0]});
  c->ws_top = top;
}

/* ---- a loop over k --------------------------------------------------------------------------------------------- */

/* A loop variable and what it gains from one iteration to the next. */
typedef struct stepping {
  const sn_kernel *k;
  sn_kv iv;
  int64_t step;
} stepping;

/* does e gain the same number in every iteration? */
static bool gains(const stepping *s, sn_kv e, int64_t *gain) {
  const sn_kins *x = &s->k->ins[e];
  int64_t a = 0, b = 0, f = 0;
  *gain = e == s->iv ? s->step : 0;
  if (e == s->iv || x->op == SN_K_IV || x->count == 0) return true;
  if (x->op == SN_K_ILOAD) return gains(s, x->a[1], &b) && b == 0;
  if (!gains(s, x->a[0], &a) || (x->count > 1 && !gains(s, x->a[1], &b))) return false;
  if (a == 0 && b == 0) return true;
  bool first = sn_k_is_const(s->k, x->a[0], &f), second = !first && sn_k_is_const(s->k, x->a[1], &f);
  switch (x->op) {
    case SN_K_IADD: *gain = a + b; return true;
    case SN_K_ISUB: *gain = a - b; return true;
    case SN_K_IMUL: *gain = (a + b) * f; return first || second;
    case SN_K_IDIV: *gain = second && f > 0 ? a / f : 0; return second && f > 0 && a % f == 0;
    default: return false;
  }
}

/* does off gain `stride` for every `per` of the loop variable? also for strides that are no constants:
 * off = (iv / per + rest) * stride + rest */
static bool advances(const stepping *s, sn_kv off, sn_kv stride, int per) {
  int64_t gain, n;
  const sn_kins *x = &s->k->ins[off];
  if (sn_k_is_const(s->k, stride, &n)) return gains(s, off, &gain) && gain == s->step / per * n;
  for (int j = 0; j < 2 && x->count == 2; j++) {
    sn_kv one = x->a[j], other = x->a[1 - j];
    if (!gains(s, other, &gain)) continue;
    if (x->op == SN_K_IMUL && one == stride && gain == s->step / per) return true;
    if (x->op == SN_K_IADD && gain == 0 && advances(s, one, stride, per)) return true;
  }
  return x->op == SN_K_ISUB && gains(s, x->a[1], &gain) && gain == 0 && advances(s, x->a[0], stride, per);
}

bool cg_moves_along(const sn_kernel *k, sn_kv iv, int64_t step, sn_kv off, sn_kv stride) {
  return advances(&(stepping){.k = k, .iv = iv, .step = step}, off, stride, 1);
}

bool cg_gains(const sn_kernel *k, sn_kv v, sn_kv e, int64_t *gain) {
  return gains(&(stepping){.k = k, .iv = v, .step = 1}, e, gain);
}

/* the window moves along k by its stride, and its limit along k shrinks with the loop variable */
static bool sweeps(const stepping *s, const sn_kins *x, bool k_rows, int per) {
  int64_t n;
  sn_kv along = x->a[k_rows ? 4 : 5], across = x->a[k_rows ? 5 : 4];
  if ((k_rows ? x->type.r : x->type.c) * (int64_t)per != s->step) return false;
  for (int j = 2; j < 4; j++)
    if (!gains(s, x->a[j], &n) || n) return false;
  if (!advances(s, x->a[1], x->a[k_rows ? 2 : 3], per)) return false;
  if (along && (!gains(s, along, &n) || n != -(s->step / per))) return false;
  return !across || (gains(s, across, &n) && n == 0);
}

static const sn_kins *swept_window(const cg *c, sn_kv v, bool *k_rows) {
  v = cg_factor_source(c, v, k_rows);
  return cg_is_window(c, v) ? cg_ins(c, v) : NULL;
}

typedef struct k_loop {
  const sn_kins *f;
  int count;              /* products in the body */
  sn_kv mma[SN_K_YIELDS]; /* by carry */
  bool once;              /* known to run exactly once */
  int64_t lo, hi;         /* when both are known */
  bool known;
} k_loop;

static bool product_of_carry(const cg *c, const k_loop *l, sn_kv v, sn_kv carry) {
  const sn_kins *x = cg_ins(c, v);
  if (x->op != SN_K_MMA || x->a[0] != carry) return false;
  bool ka = x->i & SN_K_TA, kb = !(x->i & SN_K_TB);
  const sn_kins *a = swept_window(c, x->a[1], &ka), *b = swept_window(c, x->a[2], &kb);
  stepping s = {.k = c->k, .iv = l->f->iv};
  if (!a || !b || !sn_k_is_const(c->k, l->f->a[2], &s.step)) return false;
  if (l->once) return true;
  int per = x->i & SN_K_VNNI ? 2 : 1;
  if (s.step <= per) return false; /* a window of one row or column cannot be read beyond it */
  return sweeps(&s, a, ka, 1) && sweeps(&s, b, kb, per);
}

static bool is_k_loop(const cg *c, const cg_step *s, k_loop *l) {
  if (s->kind != CG_FOR) return false;
  const sn_kins *f = cg_ins(c, s->v);
  const sn_kblock *b = f->body[0];
  const cg_block *steps = cg_block_of(&c->p, b);
  int64_t step;
  *l = (k_loop){.f = f, .count = b->yield_count};
  if (!l->count || steps->count != l->count || !sn_k_is_const(c->k, f->a[2], &step)) return false;
  l->known = sn_k_is_const(c->k, f->a[0], &l->lo) && sn_k_is_const(c->k, f->a[1], &l->hi);
  l->once = l->known && l->hi > l->lo && l->hi - l->lo <= step;
  for (int j = 0; j < l->count; j++) {
    l->mma[j] = b->yield[j];
    if (steps->step[j].kind != CG_MMA || !product_of_carry(c, l, b->yield[j], f->in[j])) return false;
    for (int q = 0; q < j; q++)
      if (l->mma[q] == l->mma[j]) return false;
  }
  return true;
}

bool cg_is_product_loop(const cg *c, const cg_step *s) {
  k_loop l;
  return is_k_loop(c, s, &l);
}

/* the extent of k that the loop covers */
static void loop_extent(cg *c, const k_loop *l, request *r) {
  ll *g = &c->g;
  int64_t step = cg_ins(c, l->f->a[2])->i, least, most;
  c->iv[l->f->iv] = cg_index(c, l->f->a[0]);
  if (l->once) return;
  if (l->known) {
    r->k_const = l->hi > l->lo ? (l->hi - l->lo + step - 1) / step * step : 0;
    r->k_total = ll_i(g, r->k_const);
    r->k_quad = r->k_const > 0 && step % 4 == 0;
    return;
  }
  ll_v span = ll_imax(g, ll_sub(g, cg_index(c, l->f->a[1]), cg_index(c, l->f->a[0])), ll_i(g, 0));
  ll_v trips = LLVMBuildUDiv(g->b, ll_add(g, span, ll_i(g, step - 1)), ll_i(g, step), "");
  r->k_total = ll_mul(g, trips, ll_i(g, step));
  sn_k_bounds(c->k, l->f->a[1], &least, &most);
  int64_t lo_most, lo_least;
  sn_k_bounds(c->k, l->f->a[0], &lo_least, &lo_most);
  r->k_quad = step % 4 == 0 && lo_most != INT64_MAX && least > lo_most;
}

/* ---- a store straight into its destination ---------------------------------------------------------------------- */

static int uses_of(const cg *c, sn_kv v) {
  int n = 0;
  for (sn_kv u = 1; u < c->k->ins_count; u++) {
    const sn_kins *x = cg_ins(c, u);
    for (int j = 0; j < x->count && x->op != SN_K_RESULT; j++) n += x->a[j] == v;
  }
  for (int j = 0; j < c->p.block_count; j++)
    for (int q = 0; q < c->p.block[j].b->yield_count; q++) n += c->p.block[j].b->yield[q] == v;
  return n;
}

/* can `next` be the place of the product? *condition: a column limit that must hold for it, 0: none */
static sn_kv direct_store(cg *c, const request *r, const cg_step *next, sn_kv *condition) {
  int64_t cs;
  if (!next || next->kind != CG_ROWS || next->count != 1 || !starts_from_zero(c, r->acc)) return 0;
  const sn_kins *st = cg_ins(c, next->ops[0]), *x = cg_ins(c, r->v);
  sn_ktype t = x->type;
  bool stores_it = st->op == SN_K_STORE && st->a[6] == r->result && cg_type(c, st->a[0]).elem == t.elem;
  if (!stores_it || !sn_k_is_const(c->k, st->a[3], &cs) || cs != 1 || uses_of(c, r->result) != 1) return 0;
  cg_operand a = cg_operand_of(c, x->a[1], x->i & SN_K_TA);
  bool same_rows = a.limit && a.pad_zero && st->a[4] == a.limit;
  if (st->a[4] && !cg_limit_holds(c, st->a[4], t.r) && !same_rows) return 0;
  *condition = st->a[5] && !cg_limit_holds(c, st->a[5], t.c) ? st->a[5] : 0;
  return next->ops[0];
}

static void run_direct(cg *c, request r, const cg_step *next, sn_kv store, sn_kv condition) {
  ll *g = &c->g;
  ll_branch br;
  if (condition) ll_if(g, &br, ll_icmp(g, LLVMIntSGE, cg_index(c, condition), ll_i(g, cg_type(c, r.v).c)));
  r.next = NULL;
  r.direct = store, r.holds = r.condition = condition;
  run(c, &r);
  if (!condition) return;
  ll_else(g, &br);
  r.direct = 0, r.holds = 0, r.fails = condition;
  run(c, &r);
  cg_rows(c, next);
  ll_endif(g, &br);
}

int cg_mma_fused(cg *c, const cg_step *s, const cg_step *next) {
  k_loop l = {0};
  bool loop = is_k_loop(c, s, &l);
  if (!loop && s->kind != CG_MMA) return 0;
  int count = loop ? l.count : 1;
  for (int j = 0; j < count; j++) {
    request r = {.v = s->v, .result = s->v, .next = next};
    if (loop) r.v = l.mma[j], r.result = l.f->out[j], r.iv = l.known ? l.f->iv : 0;
    r.acc = loop ? l.f->a[3 + j] : cg_ins(c, s->v)->a[0];
    if (loop) loop_extent(c, &l, &r);
    sn_kv condition = 0, store = count == 1 ? direct_store(c, &r, next, &condition) : 0;
    if (store) {
      run_direct(c, r, next, store, condition);
      return 2;
    }
    run(c, &r);
  }
  return 1;
}
