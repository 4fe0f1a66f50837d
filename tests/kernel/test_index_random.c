/* Random index expressions: what the builder folds has the value of what was written, its bounds and divisors hold,
 * under every kind of grid and loop around it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/rng.h"
#include "ir/kernel/rewrite.h"

#define LIMIT (INT64_C(1) << 31)

enum { NODES = 40, POINTS = 30, PROGRAMS = 3000 };

/* An expression as written: op of two earlier nodes, or a leaf. */
typedef struct node {
  sn_kop op;
  int a, b;
  int64_t constant;
  bool not_negative; /* for sure */
  sn_kv built;
} node;

/* Values of sizes T and N, of g0 and of the loop variable. */
typedef struct point {
  int64_t T, N, g, i;
} point;

typedef struct program {
  sn_rng rng;
  sn_arena *a;
  sn_kernel *k;
  int64_t divisor, min, max; /* of T */
  int64_t block, lo, step;   /* grid ceil(T / block); loop lo to hi */
  node hi;                   /* T, N or a number */
  node at[NODES];
  int count;
} program;

static int64_t below(program *p, int64_t n) { return (int64_t)sn_rng_below(&p->rng, (uint64_t)n); }

static int64_t apply(sn_kop op, int64_t x, int64_t y) {
  switch (op) {
    case SN_K_IADD: return x + y;
    case SN_K_ISUB: return x - y;
    case SN_K_IMUL: return x * y;
    case SN_K_IDIV: return x / y;
    case SN_K_IMOD: return x % y;
    case SN_K_IMIN: return x < y ? x : y;
    case SN_K_IMAX: return x > y ? x : y;
    case SN_K_ILT: return x < y;
    default: return x == y;
  }
}

static void leaf(program *p, sn_kv v, int64_t constant, bool not_negative) {
  p->at[p->count++] = (node){.op = SN_K_NONE, .constant = constant, .not_negative = not_negative, .built = v};
}

static void grow(program *p) {
  static const sn_kop ops[] = {SN_K_IADD, SN_K_IADD, SN_K_ISUB, SN_K_ISUB, SN_K_IMUL, SN_K_IDIV,
                               SN_K_IMOD, SN_K_IMIN, SN_K_IMAX, SN_K_ILT,  SN_K_IEQ};
  node n = {.op = ops[below(p, 11)], .a = (int)below(p, p->count), .b = (int)below(p, p->count)};
  if (n.op == SN_K_IMUL || below(p, 3) == 0) n.b = 4 + (int)below(p, 6); /* a constant */
  const node *x = &p->at[n.a], *y = &p->at[n.b];
  bool divides = n.op == SN_K_IDIV || n.op == SN_K_IMOD;
  bool positive = n.b == 0 || (n.b >= 5 && n.b < 10); /* T, or a constant but 0 */
  if (divides && (!x->not_negative || !positive)) {
    n.b = 9; /* the constant 64 */
    if (!x->not_negative) n.op = SN_K_IADD;
  }
  y = &p->at[n.b];
  n.not_negative = n.op != SN_K_ISUB && x->not_negative && y->not_negative;
  n.built = sn_k_ibin(p->k, n.op, x->built, y->built);
  p->at[p->count++] = n;
}

static void make(program *p) {
  static const int64_t constants[] = {0, 1, 2, 7, 16, 64};
  p->a = sn_arena_create();
  p->k = sn_kernel_create(p->a, "k");
  p->divisor = (int64_t[]){1, 4, 16, 64}[below(p, 4)];
  p->min = p->divisor * (1 + below(p, 3));
  p->max = p->min + p->divisor * below(p, 20);
  p->block = (int64_t[]){1, 4, 16, 64}[below(p, 4)];
  sn_kv T = sn_kernel_size(p->k, "T", p->min, p->max, p->divisor), N = sn_kernel_size(p->k, "N", 0, 9, 1);
  sn_kernel_grid(p->k, 1, sn_k_iceil(p->k, T, p->block), 0, 0);
  p->lo = below(p, 3);
  p->step = (int64_t[]){1, 2, 4, 16}[below(p, 4)];
  sn_kv hi = below(p, 2) ? T : N;
  p->hi.a = hi == T;
  sn_kv i = sn_k_for(p->k, sn_k_i(p->k, p->lo), hi, p->step, 0, NULL);
  leaf(p, T, 0, true);
  leaf(p, N, 1, true);
  leaf(p, sn_k_gid(p->k, 0), 2, true);
  leaf(p, i, 3, true);
  for (int j = 0; j < 6; j++) leaf(p, sn_k_i(p->k, constants[j]), constants[j], true);
  while (p->count < NODES) grow(p);
}

/* Sizes in their bounds; false: the loop does not run. */
static bool choose(program *p, point *q) {
  q->T = p->min + p->divisor * below(p, (p->max - p->min) / p->divisor + 1);
  q->N = below(p, 10);
  q->g = below(p, (q->T + p->block - 1) / p->block);
  int64_t hi = p->hi.a ? q->T : q->N;
  if (hi <= p->lo) return false;
  q->i = p->lo + p->step * below(p, (hi - p->lo + p->step - 1) / p->step);
  return true;
}

static void values(const program *p, const point *q, int64_t *out) {
  int64_t leaves[4] = {q->T, q->N, q->g, q->i};
  for (int j = 0; j < p->count; j++) {
    const node *n = &p->at[j];
    bool unknown = n->op && (out[n->a] == INT64_MIN || out[n->b] == INT64_MIN);
    out[j] = unknown ? INT64_MIN : n->op ? apply(n->op, out[n->a], out[n->b]) : j < 4 ? leaves[j] : n->constant;
    if (out[j] > LIMIT || out[j] < -LIMIT) out[j] = INT64_MIN; /* too large: not compared */
  }
}

static int64_t folded(const sn_kernel *k, const point *q, sn_kv v) {
  const sn_kins *x = sn_k_ins(k, v);
  switch (x->op) {
    case SN_K_ICONST: return x->i;
    case SN_K_PARAM: return x->i ? q->N : q->T;
    case SN_K_GID: return q->g;
    case SN_K_IV: return q->i;
    default: return apply(x->op, folded(k, q, x->a[0]), folded(k, q, x->a[1]));
  }
}

static void check(const program *p, const point *q, uint64_t seed) {
  int64_t value[NODES], lo, hi;
  values(p, q, value);
  for (int j = 0; j < p->count; j++) {
    sn_kv v = p->at[j].built;
    if (value[j] == INT64_MIN) continue;
    int64_t got = folded(p->k, q, v), d = sn_k_divisor(p->k, v);
    sn_k_bounds(p->k, v, &lo, &hi);
    if (got != value[j] || got < lo || got > hi || (d ? got % d : got))
      fail_msg("seed %llu: %s is %lld, expected %lld, in %lld..%lld step %lld, for T %lld N %lld g0 %lld i1 %lld",
               (unsigned long long)seed, sn_k_text(p->k, v, p->a), (long long)got, (long long)value[j], (long long)lo,
               (long long)hi, (long long)d, (long long)q->T, (long long)q->N, (long long)q->g, (long long)q->i);
  }
}

static void folded_expressions_keep_their_value(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= PROGRAMS; seed++) {
    program p = {.rng = {.seed = seed}};
    point q;
    make(&p);
    for (int j = 0; j < POINTS; j++)
      if (choose(&p, &q)) check(&p, &q, seed);
    sn_arena_destroy(p.a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(folded_expressions_keep_their_value)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
