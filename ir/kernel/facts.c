/* Facts of index values: bounds and divisors from the parameters, and least values by linear reasoning:
 * T - g0*64 >= 64 when g0 < T/64 and 64 divides T.
 *   1. write the value as a sum of coefficient * atom + constant;
 *   2. replace grid ids and loop variables by their symbolic bounds, divisions by their quotients, minima by either
 * side;
 *   3. bound what is left by intervals. Depth, terms and visits are limited: an unknown answer is always allowed. */
#include "ir/kernel/internal.h"

enum { TERMS = 16, STEPS = 24, VISITS = 1 << 13 };

/* One question. Expressions share parts, so that walks over them could take exponential time: each visit of a part
 * counts, and beyond VISITS nothing is known. */
typedef struct query {
  const sn_kernel *k;
  int visits;
} query;

static bool is_long(query *q) { return ++q->visits > VISITS; }

/* ---- saturating arithmetic: INT64_MIN and INT64_MAX mean unknown ---- */

static int64_t add_sat(int64_t a, int64_t b) {
  if (a == INT64_MIN || b == INT64_MIN) return INT64_MIN;
  if (b > 0 && a > INT64_MAX - b) return INT64_MAX;
  if (b < 0 && a < INT64_MIN - b) return INT64_MIN;
  return a + b;
}

static int64_t neg_sat(int64_t a) { return a == INT64_MIN ? INT64_MAX : a == INT64_MAX ? INT64_MIN : -a; }

static bool mul_fits(int64_t a, int64_t b) {
  if (!a || !b) return true;
  if (a == INT64_MIN || b == INT64_MIN) return false;
  int64_t x = a < 0 ? -a : a, y = b < 0 ? -b : b;
  return x <= INT64_MAX / y;
}

static int64_t mul_sat(int64_t a, int64_t b) {
  if (mul_fits(a, b)) return a * b;
  return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}

static int64_t gcd(int64_t a, int64_t b) {
  if (a == INT64_MIN || b == INT64_MIN) return 1;
  a = a < 0 ? -a : a;
  b = b < 0 ? -b : b;
  while (b) {
    int64_t t = a % b;
    a = b;
    b = t;
  }
  return a;
}

/* ---- intervals ---- */

typedef struct range {
  int64_t lo, hi;
} range;

static const range unknown = {INT64_MIN, INT64_MAX};

static range interval(query *q, sn_kv v);

static range mul_range(range a, range b) {
  int64_t p[4] = {mul_sat(a.lo, b.lo), mul_sat(a.lo, b.hi), mul_sat(a.hi, b.lo), mul_sat(a.hi, b.hi)};
  range r = {p[0], p[0]};
  for (int j = 1; j < 4; j++) {
    if (p[j] < r.lo) r.lo = p[j];
    if (p[j] > r.hi) r.hi = p[j];
  }
  return r;
}

static range div_range(range a, range b) {
  if (a.lo < 0 || b.lo < 1) return unknown;
  return (range){a.lo / b.hi, a.hi == INT64_MAX ? INT64_MAX : a.hi / b.lo};
}

static range mod_range(range a, range b) {
  if (a.lo < 0 || b.lo < 1) return unknown;
  if (a.hi < b.lo) return a;
  return (range){0, b.hi - 1};
}

static range binary_range(sn_kop op, range a, range b) {
  switch (op) {
    case SN_K_IADD: return (range){add_sat(a.lo, b.lo), add_sat(a.hi, b.hi)};
    case SN_K_ISUB: return (range){add_sat(a.lo, neg_sat(b.hi)), add_sat(a.hi, neg_sat(b.lo))};
    case SN_K_IMUL: return mul_range(a, b);
    case SN_K_IDIV: return div_range(a, b);
    case SN_K_IMOD: return mod_range(a, b);
    case SN_K_IMIN: return (range){a.lo < b.lo ? a.lo : b.lo, a.hi < b.hi ? a.hi : b.hi};
    case SN_K_IMAX: return (range){a.lo > b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
    case SN_K_ILT:
    case SN_K_IEQ: return (range){0, 1};
    default: return unknown;
  }
}

static range interval(query *q, sn_kv v) {
  const sn_kernel *k = q->k;
  if (!sn_k_valid(k, v) || is_long(q)) return unknown;
  const sn_kins *x = sn_k_ins(k, v);
  switch (x->op) {
    case SN_K_ICONST: return (range){x->i, x->i};
    case SN_K_PARAM: return (range){k->param[x->i].min, k->param[x->i].max};
    case SN_K_GID: {
      range e = x->i < k->grid_count ? interval(q, k->grid[x->i]) : unknown;
      return (range){0, e.hi == INT64_MAX || e.hi < 1 ? e.hi : e.hi - 1};
    }
    case SN_K_IV: {
      range lo = interval(q, k->ins[x->a[0]].a[0]), hi = interval(q, k->ins[x->a[0]].a[1]);
      int64_t last = add_sat(hi.hi, hi.hi == INT64_MAX ? 0 : -1);
      return (range){lo.lo, last < lo.lo ? lo.lo : last};
    }
    case SN_K_ILOAD: return (range){INT32_MIN, INT32_MAX};
    default: break;
  }
  if (x->count != 2) return unknown;
  range a = interval(q, x->a[0]), b = interval(q, x->a[1]);
  return binary_range(x->op, a, b);
}

/* ---- divisors ---- */

static int64_t divisor(query *q, sn_kv v) {
  const sn_kernel *k = q->k;
  if (!sn_k_valid(k, v) || is_long(q)) return 1;
  const sn_kins *x = sn_k_ins(k, v);
  int64_t c, a, b;
  switch (x->op) {
    case SN_K_ICONST: return x->i == INT64_MIN ? 1 : x->i < 0 ? -x->i : x->i;
    case SN_K_PARAM: return k->param[x->i].role == SN_K_SIZE && k->param[x->i].divisor > 0 ? k->param[x->i].divisor : 1;
    case SN_K_IV: return gcd(divisor(q, k->ins[x->a[0]].a[0]), divisor(q, k->ins[x->a[0]].a[2]));
    case SN_K_IADD:
    case SN_K_ISUB:
    case SN_K_IMIN:
    case SN_K_IMAX:
    case SN_K_IMOD: return gcd(divisor(q, x->a[0]), divisor(q, x->a[1]));
    case SN_K_IMUL: a = divisor(q, x->a[0]), b = divisor(q, x->a[1]); return mul_fits(a, b) ? a * b : a;
    case SN_K_IDIV:
      a = divisor(q, x->a[0]);
      return sn_k_is_const(k, x->a[1], &c) && c > 0 && a && a % c == 0 ? a / c : a ? 1 : 0;
    default: return 1;
  }
}

int64_t sn_k_divisor(const sn_kernel *k, sn_kv v) {
  query q = {.k = k};
  return divisor(&q, v);
}

/* ---- linear forms ---- */

typedef struct linear {
  int count;
  sn_kv atom[TERMS];
  int64_t coefficient[TERMS], constant;
  bool failed; /* too long or out of range: nothing is known */
} linear;

static void add_atom(linear *f, sn_kv atom, int64_t c) {
  int j = 0;
  while (j < f->count && f->atom[j] != atom) j++;
  if (j == TERMS) {
    f->failed = true;
    return;
  }
  if (j == f->count) {
    f->atom[j] = atom;
    f->coefficient[j] = 0;
    f->count++;
  }
  int64_t s = add_sat(f->coefficient[j], c);
  if (s == INT64_MIN || s == INT64_MAX) f->failed = true;
  f->coefficient[j] = s;
  if (s) return;
  f->count--;
  f->atom[j] = f->atom[f->count];
  f->coefficient[j] = f->coefficient[f->count];
}

static void add_constant(linear *f, int64_t c) {
  f->constant = add_sat(f->constant, c);
  if (f->constant == INT64_MIN || f->constant == INT64_MAX) f->failed = true;
}

/* f += scale * v */
static void add_scaled(query *q, linear *f, sn_kv v, int64_t scale, int depth) {
  const sn_kernel *k = q->k;
  const sn_kins *x = sn_k_ins(k, v);
  int64_t c;
  if (f->failed || depth > 32 || is_long(q)) {
    f->failed = true;
    return;
  }
  if (x->op == SN_K_ICONST) {
    if (mul_fits(x->i, scale))
      add_constant(f, x->i * scale);
    else
      f->failed = true;
  } else if (x->op == SN_K_IADD || (x->op == SN_K_ISUB && scale != INT64_MIN)) {
    add_scaled(q, f, x->a[0], scale, depth + 1);
    add_scaled(q, f, x->a[1], x->op == SN_K_ISUB ? -scale : scale, depth + 1);
  } else if (x->op == SN_K_IMUL && sn_k_is_const(k, x->a[1], &c) && mul_fits(c, scale)) {
    add_scaled(q, f, x->a[0], c * scale, depth + 1);
  } else {
    add_atom(f, v, scale);
  }
}

static int64_t linear_divisor(query *q, const linear *f) {
  int64_t d = f->constant;
  for (int j = 0; j < f->count; j++) {
    int64_t a = divisor(q, f->atom[j]);
    d = gcd(d, mul_fits(a, f->coefficient[j]) ? a * f->coefficient[j] : f->coefficient[j]);
  }
  return d;
}

static linear without(const linear *f, int j) {
  linear g = *f;
  g.count--;
  g.atom[j] = g.atom[g.count];
  g.coefficient[j] = g.coefficient[g.count];
  return g;
}

static int64_t least(query *q, const linear *f, int *steps);

/* Last value of a loop variable is at most hi - step when step divides hi - lo, else hi - 1. */
static int64_t last_gap(query *q, const sn_kins *loop) {
  const sn_kernel *k = q->k;
  linear d = {0};
  int64_t step = 1;
  add_scaled(q, &d, loop->a[1], 1, 0);
  add_scaled(q, &d, loop->a[0], -1, 0);
  if (!sn_k_is_const(k, loop->a[2], &step) || step < 1 || d.failed) return 1;
  return linear_divisor(q, &d) % step == 0 ? step : 1;
}

static linear replaced(query *q, const linear *f, int j, sn_kv by, int64_t scale, int64_t constant) {
  linear g = without(f, j);
  add_scaled(q, &g, by, scale, 0);
  add_constant(&g, constant);
  return g;
}

/* Least value after replacing atom j by a symbolic bound of it; INT64_MIN when there is none. */
static int64_t least_without(query *w, const linear *f, int j, int *steps) {
  const sn_kernel *k = w->k;
  const sn_kins *x = sn_k_ins(k, f->atom[j]);
  int64_t c = f->coefficient[j], n;
  linear g;
  switch (x->op) {
    case SN_K_GID:
      if (c > 0)
        g = without(f, j);
      else if (x->i < k->grid_count)
        g = replaced(w, f, j, k->grid[x->i], c, -c);
      else
        return INT64_MIN;
      return least(w, &g, steps);
    case SN_K_IV: {
      const sn_kins *loop = sn_k_ins(k, x->a[0]);
      int64_t gap = c < 0 ? last_gap(w, loop) : 0;
      if (!mul_fits(gap, c)) return INT64_MIN;
      g = replaced(w, f, j, loop->a[c > 0 ? 0 : 1], c, -c * gap);
      return least(w, &g, steps);
    }
    case SN_K_IDIV:
      if (!sn_k_is_const(k, x->a[1], &n) || n < 1 || c % n || interval(w, x->a[0]).lo < 0) return INT64_MIN;
      g = replaced(w, f, j, x->a[0], c / n, c > 0 && divisor(w, x->a[0]) % n ? -(c / n) * (n - 1) : 0);
      return least(w, &g, steps);
    case SN_K_IMIN:
    case SN_K_IMAX: {
      linear p = replaced(w, f, j, x->a[0], c, 0), q = replaced(w, f, j, x->a[1], c, 0);
      int64_t lp = least(w, &p, steps), lq = least(w, &q, steps);
      bool either = (x->op == SN_K_IMIN) == (c < 0); /* the value is at least both sides' bounds */
      return either ? (lp > lq ? lp : lq) : (lp < lq ? lp : lq);
    }
    default: return INT64_MIN;
  }
}

static int64_t least_by_intervals(query *q, const linear *f) {
  int64_t sum = f->constant;
  for (int j = 0; j < f->count; j++) {
    range r = interval(q, f->atom[j]);
    int64_t bound = f->coefficient[j] > 0 ? r.lo : r.hi;
    if (bound == INT64_MIN || bound == INT64_MAX) return INT64_MIN;
    int64_t part = mul_sat(bound, f->coefficient[j]);
    if (part == INT64_MAX) return INT64_MIN;
    sum = add_sat(sum, part);
    if (sum == INT64_MAX) return INT64_MIN;
  }
  return sum;
}

static int64_t least(query *q, const linear *f, int *steps) {
  if (f->failed || --*steps < 0) return INT64_MIN;
  const sn_kernel *k = q->k;
  int64_t best = least_by_intervals(q, f);
  for (int j = 0; j < f->count; j++) {
    sn_kop op = sn_k_ins(k, f->atom[j])->op;
    if (op != SN_K_GID && op != SN_K_IV && op != SN_K_IDIV && op != SN_K_IMIN && op != SN_K_IMAX) continue;
    int64_t other = least_without(q, f, j, steps);
    if (other != INT64_MIN) return other > best ? other : best; /* the other atoms were replaced further down */
  }
  return best;
}

int64_t sn_k_least_difference(const sn_kernel *k, sn_kv a, sn_kv b) {
  linear f = {0};
  query q = {.k = k};
  int steps = STEPS;
  if (sn_k_valid(k, a)) add_scaled(&q, &f, a, 1, 0);
  if (sn_k_valid(k, b)) add_scaled(&q, &f, b, -1, 0);
  return least(&q, &f, &steps);
}

/* ---- public ---- */

bool sn_k_is_const(const sn_kernel *k, sn_kv v, int64_t *out) {
  if (!sn_k_valid(k, v) || k->ins[v].op != SN_K_ICONST) return false;
  *out = k->ins[v].i;
  return true;
}

void sn_k_bounds(const sn_kernel *k, sn_kv v, int64_t *min, int64_t *max) {
  query q = {.k = k};
  range r = interval(&q, v);
  int64_t lo = sn_k_least_difference(k, v, 0), hi = sn_k_least_difference(k, 0, v);
  *min = lo > r.lo ? lo : r.lo;
  *max = hi != INT64_MIN && -hi < r.hi ? -hi : r.hi;
}
