/* Index values of the builder: hash-consed, folded by identities and by what bounds and divisors prove.
 * Rules only shrink an expression or move constants to the right, so folding ends. */
#include "ir/kernel/internal.h"

/* ---- hash table of index values ---- */

static uint64_t hash_of(sn_kop op, sn_kv a, sn_kv b, int64_t i) {
  int64_t key[4] = {op, a, b, i};
  return sn_hash_bytes(key, sizeof key, 0);
}

static bool is_same(const sn_kins *x, sn_kop op, sn_kv a, sn_kv b, int64_t i) {
  return x->op == op && x->i == i && x->a[0] == a && x->a[1] == b;
}

static int slot_of(const sn_kernel *k, sn_kop op, sn_kv a, sn_kv b, int64_t i) {
  int mask = k->table_capacity - 1, at = (int)(hash_of(op, a, b, i) & (uint64_t)mask);
  while (k->table[at] && !is_same(&k->ins[k->table[at]], op, a, b, i)) at = (at + 1) & mask;
  return at;
}

static void grow_table(sn_kernel *k) {
  sn_kv *old = k->table;
  int old_capacity = k->table_capacity;
  k->table_capacity = old_capacity ? 2 * old_capacity : 64;
  k->table = SN_ARRAY(k->arena, k->table_capacity, sn_kv);
  for (int j = 0; j < old_capacity; j++) {
    if (!old[j]) continue;
    const sn_kins *x = &k->ins[old[j]];
    k->table[slot_of(k, x->op, x->a[0], x->a[1], x->i)] = old[j];
  }
}

sn_kv sn_k_index_raw(sn_kernel *k, sn_kop op, sn_kv a, sn_kv b, int64_t i) {
  if (2 * (k->table_count + 1) > k->table_capacity) grow_table(k);
  int at = slot_of(k, op, a, b, i);
  if (k->table[at]) return k->table[at];
  sn_kv v = sn_k_new(k, op, sn_k_index_type, (a != 0) + (b != 0), (sn_kv[]){a, b}, i, 0);
  k->table_count++;
  return k->table[at] = v;
}

/* a op b or, when that exists already, b op a */
static sn_kv commutative(sn_kernel *k, sn_kop op, sn_kv a, sn_kv b) {
  if (k->table_capacity && k->table[slot_of(k, op, b, a, 0)]) return k->table[slot_of(k, op, b, a, 0)];
  return sn_k_index_raw(k, op, a, b, 0);
}

/* ---- folding ---- */

static bool add_fits(int64_t a, int64_t b) { return b > 0 ? a <= INT64_MAX - b : a >= INT64_MIN - b; }

static bool mul_fits(int64_t a, int64_t b) {
  if (!a || !b) return true;
  if (a == INT64_MIN || b == INT64_MIN) return false;
  return (a < 0 ? -a : a) <= INT64_MAX / (b < 0 ? -b : b);
}

static bool evaluate(sn_kop op, int64_t x, int64_t y, int64_t *out) {
  switch (op) {
    case SN_K_IADD: return add_fits(x, y) ? (*out = x + y, true) : false;
    case SN_K_ISUB: return y != INT64_MIN && add_fits(x, -y) ? (*out = x - y, true) : false;
    case SN_K_IMUL: return mul_fits(x, y) ? (*out = x * y, true) : false;
    case SN_K_IDIV: return x >= 0 && y > 0 ? (*out = x / y, true) : false;
    case SN_K_IMOD: return x >= 0 && y > 0 ? (*out = x % y, true) : false;
    case SN_K_IMIN: return *out = x < y ? x : y, true;
    case SN_K_IMAX: return *out = x > y ? x : y, true;
    case SN_K_ILT: return *out = x < y, true;
    case SN_K_IEQ: return *out = x == y, true;
    default: return false;
  }
}

static int64_t min_of(const sn_kernel *k, sn_kv v) {
  int64_t lo, hi;
  sn_k_bounds(k, v, &lo, &hi);
  return lo;
}

static int64_t max_of(const sn_kernel *k, sn_kv v) {
  int64_t lo, hi;
  sn_k_bounds(k, v, &lo, &hi);
  return hi;
}

/* v = a0 op constant? */
static bool with_const(const sn_kernel *k, sn_kv v, sn_kop op, sn_kv *a0, int64_t *c) {
  const sn_kins *x = sn_k_ins(k, v);
  if (x->op != op || !sn_k_is_const(k, x->a[1], c)) return false;
  *a0 = x->a[0];
  return true;
}

static sn_kv fold_add(sn_kernel *k, sn_kv a, sn_kv b) {
  int64_t x, y, c;
  sn_kv p;
  if (sn_k_is_const(k, a, &x)) return sn_k_is_const(k, b, &y) ? 0 : sn_k_iadd(k, b, a);
  if (sn_k_is_const(k, b, &y)) {
    if (!y) return a;
    if (with_const(k, a, SN_K_IADD, &p, &c) && add_fits(c, y)) return sn_k_iadd(k, p, sn_k_i(k, c + y));
    return 0;
  }
  const sn_kins *s = sn_k_ins(k, a), *t = sn_k_ins(k, b);
  if (s->op == SN_K_ISUB && s->a[1] == b) return s->a[0]; /* (p - b) + b */
  if (t->op == SN_K_ISUB && t->a[1] == a) return t->a[0]; /* a + (p - a) */
  return 0;
}

static sn_kv fold_sub(sn_kernel *k, sn_kv a, sn_kv b) {
  int64_t y;
  if (a == b) return sn_k_i(k, 0);
  if (sn_k_is_const(k, b, &y)) return y == INT64_MIN ? 0 : sn_k_iadd(k, a, sn_k_i(k, -y));
  const sn_kins *s = sn_k_ins(k, a);
  if (s->op == SN_K_IADD && s->a[0] == b) return s->a[1];
  if (s->op == SN_K_IADD && s->a[1] == b) return s->a[0];
  int64_t lo = sn_k_least_difference(k, a, b), hi = sn_k_least_difference(k, b, a);
  if (lo != INT64_MIN && hi != INT64_MIN && lo == -hi) return sn_k_i(k, lo);
  return 0;
}

static sn_kv fold_mul(sn_kernel *k, sn_kv a, sn_kv b) {
  int64_t x, y, c;
  sn_kv p;
  if (sn_k_is_const(k, a, &x)) return sn_k_is_const(k, b, &y) ? 0 : sn_k_imul(k, b, a);
  if (!sn_k_is_const(k, b, &y)) return 0;
  if (y == 0) return b;
  if (y == 1) return a;
  if (with_const(k, a, SN_K_IMUL, &p, &c) && mul_fits(c, y)) return sn_k_imul(k, p, sn_k_i(k, c * y));
  return 0;
}

/* Division of a sum p + q, p divisible by y, both not negative. */
static sn_kv split_sum(sn_kernel *k, sn_kop op, sn_kv a, sn_kv b, int64_t y) {
  const sn_kins *s = sn_k_ins(k, a);
  if (s->op != SN_K_IADD) return 0;
  sn_kv p = s->a[0], q = s->a[1];
  if (sn_k_divisor(k, p) % y) p = s->a[1], q = s->a[0];
  if (sn_k_divisor(k, p) % y || min_of(k, p) < 0 || min_of(k, q) < 0) return 0;
  if (op == SN_K_IMOD) return sn_k_ibin(k, SN_K_IMOD, q, b);
  sn_kv left = sn_k_ibin(k, SN_K_IDIV, p, b);
  return sn_k_iadd(k, left, sn_k_ibin(k, SN_K_IDIV, q, b));
}

static sn_kv fold_div(sn_kernel *k, sn_kv a, sn_kv b) {
  int64_t y, c;
  sn_kv p;
  const sn_kins *s = sn_k_ins(k, a);
  if (a == b && min_of(k, a) > 0) return sn_k_i(k, 1);
  if (s->op == SN_K_IMUL && min_of(k, b) > 0 && (s->a[0] == b || s->a[1] == b) && min_of(k, a) >= 0)
    return s->a[s->a[0] == b];
  if (min_of(k, a) >= 0 && min_of(k, b) > 0 && max_of(k, a) < min_of(k, b)) return sn_k_i(k, 0);
  if (!sn_k_is_const(k, b, &y) || y < 1) return 0;
  if (y == 1) return a;
  if (with_const(k, a, SN_K_IMUL, &p, &c) && c > 0 && c % y == 0) return sn_k_imul(k, p, sn_k_i(k, c / y));
  if (with_const(k, a, SN_K_IMUL, &p, &c) && c > 0 && y % c == 0) return sn_k_ibin(k, SN_K_IDIV, p, sn_k_i(k, y / c));
  if (with_const(k, a, SN_K_IDIV, &p, &c) && c > 0 && mul_fits(c, y))
    return sn_k_ibin(k, SN_K_IDIV, p, sn_k_i(k, c * y));
  return split_sum(k, SN_K_IDIV, a, b, y);
}

static sn_kv fold_mod(sn_kernel *k, sn_kv a, sn_kv b) {
  int64_t y;
  const sn_kins *s = sn_k_ins(k, a);
  if (a == b || (s->op == SN_K_IMUL && (s->a[0] == b || s->a[1] == b))) return sn_k_i(k, 0);
  if (min_of(k, a) >= 0 && max_of(k, a) < min_of(k, b)) return a;
  if (!sn_k_is_const(k, b, &y) || y < 1) return 0;
  if (sn_k_divisor(k, a) % y == 0) return sn_k_i(k, 0);
  return split_sum(k, SN_K_IMOD, a, b, y);
}

static sn_kv fold_compare(sn_kernel *k, sn_kop op, sn_kv a, sn_kv b) {
  int64_t up = sn_k_least_difference(k, b, a), down = sn_k_least_difference(k, a, b);
  switch (op) {
    case SN_K_IMIN: return up >= 0 ? a : down >= 0 ? b : 0;
    case SN_K_IMAX: return up >= 0 ? b : down >= 0 ? a : 0;
    case SN_K_ILT: return up > 0 ? sn_k_i(k, 1) : down >= 0 ? sn_k_i(k, 0) : 0;
    default: return up > 0 || down > 0 ? sn_k_i(k, 0) : a == b ? sn_k_i(k, 1) : 0;
  }
}

static sn_kv fold(sn_kernel *k, sn_kop op, sn_kv a, sn_kv b) {
  switch (op) {
    case SN_K_IADD: return fold_add(k, a, b);
    case SN_K_ISUB: return fold_sub(k, a, b);
    case SN_K_IMUL: return fold_mul(k, a, b);
    case SN_K_IDIV: return fold_div(k, a, b);
    case SN_K_IMOD: return fold_mod(k, a, b);
    default: return fold_compare(k, op, a, b);
  }
}

/* ---- public ---- */

sn_kv sn_k_i(sn_kernel *k, int64_t v) { return sn_k_index_raw(k, SN_K_ICONST, 0, 0, v); }

sn_kv sn_k_gid(sn_kernel *k, int dim) {
  int64_t extent;
  if (dim < k->grid_count && sn_k_is_const(k, k->grid[dim], &extent) && extent == 1) return sn_k_i(k, 0);
  return sn_k_index_raw(k, SN_K_GID, 0, 0, dim);
}

sn_kv sn_k_ibin(sn_kernel *k, sn_kop op, sn_kv a, sn_kv b) {
  int64_t x, y, z;
  if (sn_k_is_const(k, a, &x) && sn_k_is_const(k, b, &y) && evaluate(op, x, y, &z)) return sn_k_i(k, z);
  sn_kv folded = fold(k, op, a, b);
  if (folded) return folded;
  bool commutes = op == SN_K_IADD || op == SN_K_IMUL || op == SN_K_IMIN || op == SN_K_IMAX || op == SN_K_IEQ;
  return commutes ? commutative(k, op, a, b) : sn_k_index_raw(k, op, a, b, 0);
}

sn_kv sn_k_iadd(sn_kernel *k, sn_kv a, sn_kv b) { return sn_k_ibin(k, SN_K_IADD, a, b); }
sn_kv sn_k_isub(sn_kernel *k, sn_kv a, sn_kv b) { return sn_k_ibin(k, SN_K_ISUB, a, b); }
sn_kv sn_k_imul(sn_kernel *k, sn_kv a, sn_kv b) { return sn_k_ibin(k, SN_K_IMUL, a, b); }
sn_kv sn_k_imulc(sn_kernel *k, sn_kv a, int64_t c) { return sn_k_imul(k, a, sn_k_i(k, c)); }

sn_kv sn_k_iceil(sn_kernel *k, sn_kv a, int64_t by) {
  return sn_k_ibin(k, SN_K_IDIV, sn_k_iadd(k, a, sn_k_i(k, by - 1)), sn_k_i(k, by));
}

sn_kv sn_k_iload(sn_kernel *k, sn_kv buffer, sn_kv off) { return sn_k_index_raw(k, SN_K_ILOAD, buffer, off, 0); }
