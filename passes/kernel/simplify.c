/* kernel -> kernel: normal form and cheap improvements. Rules, by name:
 *   const_fold const_right neutral absorb mul_const div_power add_neg twice cast_back select_known trans_bcast
 * reduce_one mma_trans                      within one instruction (fold.c) limits, index                  index values
 * and window limits by bounds and divisors (the builder) narrow_source narrow           iota, splats and repeated rows
 * become a broadcast; elementwise ops go below broadcasts cse                            equal pure values and loads
 * from `in` buffers are one, within the scope that sees both for_none for_once if_known     statements whose course is
 * proven hoist                          pure values that a loop does not change move in front of it (hoist.c) fma
 * add(mul(a, b), c) -> fma when the product has no other use, unless it scales a carried value by a broadcast statistic
 * (rescale pattern). One rounding less: results may differ in the last place Each rule takes an instruction, an element
 * or a loop away, or moves a constant to the right, so the pass ends. */
#include <string.h>

#include "ir/base/plant.h"
#include "ir/base/str.h"
#include "passes/kernel/internal.h"
#include "passes/kernel/kernel_passes.h"

enum { BUCKETS = 1024, ROUNDS = 4 };

/* A value that may be found again, chained in its bucket; removed when its scope ends. */
typedef struct known {
  sn_kv v;
  int bucket, next;
} known;

struct sn_ksimplify {
  sn_krewrite w;
  sn_arena *arena;
  int head[BUCKETS]; /* 1 + place in at; 0: empty */
  known *at;
  int count, capacity;
  int scope[SN_K_DEPTH], scope_count; /* count at the start of each open body */
  const sn_pass_env *env;             /* which rules are off; NULL: none */
};

static bool enabled(const sn_pass_env *env, const char *rule) { return !env || sn_rule_enabled(env, rule); }

/* ---- cse ---- */

static int bucket_of(const sn_kins *x) {
  uint64_t h = sn_hash_bytes(x->a, sizeof x->a, (uint64_t)x->op);
  int64_t rest[4] = {x->type.elem, x->type.r, x->type.c, x->i};
  return (int)(sn_hash_bytes(rest, sizeof rest, h) % BUCKETS);
}

static bool is_same(const sn_kins *x, const sn_kins *y) {
  return x->op == y->op && x->type.elem == y->type.elem && x->type.r == y->type.r && x->type.c == y->type.c &&
         x->i == y->i && x->count == y->count && !memcmp(&x->f, &y->f, sizeof x->f) && !memcmp(x->a, y->a, sizeof x->a);
}

/* The value just built, or an equal one that is in scope; then the new one is taken back. */
static sn_kv unified(sn_ksimplify *s, sn_kv v) {
  sn_kernel *k = s->w.to;
  const sn_kins *x = sn_k_ins(k, v);
  int b = bucket_of(x);
  for (int j = s->head[b]; j; j = s->at[j - 1].next) {
    if (!is_same(x, sn_k_ins(k, s->at[j - 1].v)) || !enabled(s->env, "simplify.cse")) continue;
    k->at[k->depth]->count--;
    return s->at[j - 1].v;
  }
  SN_GROW(s->arena, s->at, s->count, s->capacity);
  s->at[s->count++] = (known){v, b, s->head[b]};
  s->head[b] = s->count;
  return v;
}

static void open_scope(sn_ksimplify *s) { s->scope[s->scope_count++] = s->count; }

static void close_scope(sn_ksimplify *s) {
  int start = s->scope[--s->scope_count];
  while (s->count > start) {
    const known *e = &s->at[--s->count];
    s->head[e->bucket] = e->next;
  }
}

static void enter(sn_krewrite *w, sn_kv statement, int side) {
  (void)statement, (void)side;
  open_scope(w->user);
}

static void leave(sn_krewrite *w, sn_kv statement, int side) {
  (void)statement, (void)side;
  close_scope(w->user);
}

/* ---- narrow ---- */

/* Shape of what an operand repeats. */
static sn_ktype narrow_type(const sn_kernel *k, sn_kv v) {
  const sn_kins *x = sn_k_ins(k, v);
  if (x->op == SN_K_CONST) return (sn_ktype){x->type.elem, 1, 1};
  return x->op == SN_K_BCAST ? sn_k_type(k, x->a[0]) : x->type;
}

sn_kv sn_ksimplify_const(sn_ksimplify *s, sn_elem e, int r, int c, double v) {
  return unified(s, sn_k_const(s->w.to, e, r, c, v));
}

static sn_kv broadcast_to(sn_ksimplify *s, sn_ktype t, sn_kv v) {
  sn_ktype from = sn_k_type(s->w.to, v);
  if (from.r == t.r && from.c == t.c) return v;
  sn_kdraft d = {.k = s->w.to, .op = SN_K_BCAST, .type = {from.elem, t.r, t.c}, .count = 1, .a = {v}};
  return sn_ksimplify_build(s, d);
}

static sn_kv narrowed_operand(sn_ksimplify *s, sn_ktype t, sn_kv v) {
  const sn_kins *x = sn_k_ins(s->w.to, v);
  if (x->op == SN_K_CONST) return sn_ksimplify_const(s, x->type.elem, t.r, t.c, x->f);
  return broadcast_to(s, t, x->op == SN_K_BCAST ? x->a[0] : v);
}

/* op of broadcasts -> broadcast of op */
static sn_kv narrow(sn_ksimplify *s, const sn_kdraft *d) {
  sn_kclass cls = sn_kop_class(d->op);
  if (cls != SN_KCLASS_UN && cls != SN_KCLASS_BIN && cls != SN_KCLASS_CMP && cls != SN_KCLASS_TER) return 0;
  sn_kdraft n = *d;
  n.type.r = n.type.c = 1;
  for (int j = 0; j < d->count; j++) {
    sn_ktype t = narrow_type(d->k, d->a[j]);
    if (t.r > n.type.r) n.type.r = t.r;
    if (t.c > n.type.c) n.type.c = t.c;
  }
  if (n.type.r == d->type.r && n.type.c == d->type.c) return 0;
  for (int j = 0; j < d->count; j++) n.a[j] = narrowed_operand(s, n.type, d->a[j]);
  return broadcast_to(s, d->type, sn_ksimplify_build(s, n));
}

/* iota and splats of more than they need */
static sn_kv narrow_source(sn_ksimplify *s, const sn_kdraft *d) {
  sn_kdraft n = *d;
  if (d->op == SN_K_ISPLAT)
    n.type.r = n.type.c = 1;
  else if (d->op == SN_K_IOTA && d->i)
    n.type.r = 1;
  else if (d->op == SN_K_IOTA && SN_PLANTED(SPREAD))
    n.type.r = 1;
  else if (d->op == SN_K_IOTA)
    n.type.c = 1;
  if (n.type.r == d->type.r && n.type.c == d->type.c) return 0;
  return broadcast_to(s, d->type, sn_ksimplify_build(s, n));
}

/* ---- building ---- */

sn_kv sn_ksimplify_build(sn_ksimplify *s, sn_kdraft d) {
  sn_kv r = 0;
  if (enabled(s->env, "simplify.fold")) r = sn_kfold_constants(s, &d);
  if (!r && enabled(s->env, "simplify.fold")) r = sn_kfold_identities(s, &d);
  if (!r && enabled(s->env, "simplify.narrow")) r = narrow(s, &d);
  if (!r && enabled(s->env, "simplify.narrow")) r = narrow_source(s, &d);
  return r ? r : unified(s, sn_k_emit(d.k, d.op, d.type, d.count, d.a, d.i, d.f));
}

/* ---- loads ---- */

static sn_kv visit_load(sn_ksimplify *s, sn_kv v) {
  const sn_kernel *from = s->w.from;
  const sn_kins *x = sn_k_ins(from, v), *b = sn_k_ins(from, x->a[0]);
  bool in = b->op == SN_K_PARAM && from->param[b->i].role == SN_K_IN;
  int64_t stride;
  sn_kv n = sn_krewrite_copy(&s->w, v);
  if (!in) return n;
  const sn_kins *y = sn_k_ins(s->w.to, n);
  if (SN_PLANTED(TAIL_LIMIT) && y->op == SN_K_LOAD && y->a[5]) {
    sn_kins all = *y;
    s->w.to->at[s->w.to->depth]->count--, all.a[5] = 0;
    return sn_k_emit(s->w.to, SN_K_LOAD, all.type, all.count, all.a, all.i, all.f);
  }
  bool repeats = y->op == SN_K_LOAD && y->type.r > 1 && !y->a[4] && sn_k_is_const(s->w.to, y->a[2], &stride) && !stride;
  if (!repeats) return unified(s, n);
  sn_kins one = *y; /* rule narrow_source: every row is the same */
  s->w.to->at[s->w.to->depth]->count--;
  sn_ktype t = {one.type.elem, 1, one.type.c};
  n = unified(s, sn_k_emit(s->w.to, SN_K_LOAD, t, one.count, one.a, one.i, one.f));
  return broadcast_to(s, one.type, n);
}

/* ---- statements whose course is known ---- */

static sn_kv visit_if(sn_ksimplify *s, sn_kv v) {
  const sn_kins *x = sn_k_ins(s->w.from, v);
  int64_t cond;
  if (!sn_k_is_const(s->w.to, sn_krewrite_value(&s->w, x->a[0]), &cond)) return 0;
  const sn_kblock *b = x->body[cond ? 0 : 1];
  sn_krewrite_block(&s->w, b);
  for (int j = 0; j < b->yield_count; j++) s->w.map[x->out[j]] = sn_krewrite_value(&s->w, b->yield[j]);
  return -1;
}

static sn_kv visit_for(sn_ksimplify *s, sn_kv v) {
  const sn_kins *x = sn_k_ins(s->w.from, v);
  const sn_kblock *b = x->body[0];
  sn_kv lo = sn_krewrite_value(&s->w, x->a[0]), hi = sn_krewrite_value(&s->w, x->a[1]), value[SN_K_YIELDS];
  int64_t step;
  if (!sn_k_is_const(s->w.from, x->a[2], &step)) return 0;
  bool none = sn_k_least_difference(s->w.to, lo, hi) >= 0;
  int64_t slack = sn_k_least_difference(s->w.to, lo, hi); /* lo + step >= hi: at most one trip */
  bool once = sn_k_least_difference(s->w.to, hi, lo) > 0 && slack != INT64_MIN && slack + step >= 0;
  if (!none && !once) return 0;
  for (int j = 0; j < b->yield_count; j++) value[j] = sn_krewrite_value(&s->w, x->a[3 + j]);
  if (once) {
    s->w.map[x->iv] = lo;
    for (int j = 0; j < b->yield_count; j++) s->w.map[x->in[j]] = value[j];
    sn_krewrite_block(&s->w, b);
    for (int j = 0; j < b->yield_count; j++) value[j] = sn_krewrite_value(&s->w, b->yield[j]);
  }
  for (int j = 0; j < b->yield_count; j++) s->w.map[x->out[j]] = value[j];
  return -1;
}

/* ---- one sweep ---- */

static sn_kv visit(sn_krewrite *w, sn_kv v) {
  sn_ksimplify *s = w->user;
  const sn_kins *x = sn_k_ins(w->from, v);
  switch (x->op) {
    case SN_K_LOAD:
    case SN_K_GATHER: return enabled(s->env, "simplify.loads") ? visit_load(s, v) : sn_krewrite_copy(&s->w, v);
    case SN_K_IF: return enabled(s->env, "simplify.control") ? visit_if(s, v) : 0;
    case SN_K_FOR: return enabled(s->env, "simplify.control") ? visit_for(s, v) : 0;
    case SN_K_STORE:
    case SN_K_LOCAL: return 0;
    default: break;
  }
  sn_kdraft d = {.k = w->to, .op = x->op, .type = x->type, .count = x->count, .i = x->i, .f = x->f};
  for (int j = 0; j < x->count; j++) d.a[j] = sn_krewrite_value(w, x->a[j]);
  return sn_ksimplify_build(s, d);
}

static sn_kernel *sweep(sn_arena *arena, const sn_kernel *k, const sn_pass_env *env) {
  sn_ksimplify *s = SN_NEW(arena, sn_ksimplify);
  s->arena = arena;
  s->env = env;
  s->w = (sn_krewrite){.fold = true, .visit = visit, .enter = enter, .leave = leave, .user = s};
  return sn_kernel_finish(arena, sn_krewrite_run(&s->w, arena, k));
}

/* ---- fma ---- */

typedef struct uses {
  int *count; /* per value */
} uses;

static void count_uses(const sn_kernel *k, const sn_kblock *b, int *count) {
  for (int j = 0; j < b->count; j++) {
    const sn_kins *x = sn_k_ins(k, b->ins[j]);
    for (int a = 0; a < x->count; a++) count[x->a[a]]++;
    for (int side = 0; side < 2 && x->body[side]; side++) count_uses(k, x->body[side], count);
  }
  for (int j = 0; j < b->yield_count; j++) count[b->yield[j]]++;
}

static bool scales_carry(const sn_kernel *k, const sn_kins *mul) {
  for (int j = 0; j < 2; j++)
    if (sn_k_ins(k, mul->a[j])->op == SN_K_CARRY && sn_k_ins(k, mul->a[!j])->op == SN_K_BCAST) return true;
  return false;
}

static sn_kv form_fma(sn_krewrite *w, sn_kv v) {
  const uses *u = w->user;
  const sn_kins *x = sn_k_ins(w->from, v);
  if (x->op != SN_K_ADD || !sn_elem_is_float(x->type.elem)) return 0;
  for (int j = 0; j < 2; j++) {
    const sn_kins *m = sn_k_ins(w->from, x->a[j]);
    if (m->op != SN_K_MUL || u->count[x->a[j]] != 1 || scales_carry(w->from, m)) continue;
    sn_kv a[3];
    a[0] = sn_krewrite_value(w, m->a[0]);
    a[1] = sn_krewrite_value(w, m->a[1]);
    a[2] = sn_krewrite_value(w, x->a[!j]);
    return sn_k_emit(w->to, SN_K_FMA, x->type, 3, a, 0, 0);
  }
  return 0;
}

static sn_kernel *with_fma(sn_arena *arena, const sn_kernel *k) {
  uses u = {SN_ARRAY(arena, k->ins_count, int)};
  count_uses(k, k->body, u.count);
  sn_krewrite w = {.visit = form_fma, .user = &u};
  return sn_kernel_finish(arena, sn_krewrite_run(&w, arena, k));
}

static sn_kernel *simplify(sn_arena *arena, const sn_kernel *k, const sn_pass_env *env) {
  sn_kernel *result = sweep(arena, k, env);
  for (int round = 0; round < ROUNDS && enabled(env, "simplify.hoist"); round++) {
    if (!sn_khoist(arena, result, &result)) break;
    result = sweep(arena, result, env);
  }
  return enabled(env, "simplify.fma") ? with_fma(arena, result) : result;
}

sn_kernel *sn_kernel_simplify(sn_arena *arena, const sn_kernel *k) { return simplify(arena, k, NULL); }

sn_kernel *sn_kernel_passes(sn_arena *arena, const sn_kernel *k, const sn_pass_env *env) {
  bool simplifies = !env || !sn_rule_listed(env->disabled, "simplify");
  sn_kernel *result = simplifies ? simplify(arena, k, env) : sn_kernel_finish(arena, k);
  if (!enabled(env, "math.expand")) return result;
  result = sn_kernel_expand_math(arena, result);
  return simplifies ? simplify(arena, result, env) : sn_kernel_finish(arena, result);
}
