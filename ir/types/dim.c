/* Dims as canonical polynomials: interning, symbols, sums, products and facts. Division and minimum are in dim_div.c.
 */
#include "ir/types/dim.h"

#include <stdlib.h>
#include <string.h>

#include "ir/types/table.h"

/* ---- numbers with infinities: INT64_MIN and INT64_MAX stand for "no bound" ------------------------------- */

static bool is_infinite(int64_t x) { return x == INT64_MIN || x == INT64_MAX; }

static int64_t infinity(bool negative) { return negative ? INT64_MIN : INT64_MAX; }

static int64_t add_bound(int64_t a, int64_t b) {
  int64_t sum;
  if (is_infinite(a)) return a;
  if (is_infinite(b)) return b;
  return __builtin_add_overflow(a, b, &sum) ? infinity(a < 0) : sum;
}

static int64_t mul_bound(int64_t a, int64_t b) {
  int64_t product;
  if (a == 0 || b == 0) return 0;
  bool negative = (a < 0) != (b < 0);
  if (is_infinite(a) || is_infinite(b) || __builtin_mul_overflow(a, b, &product)) return infinity(negative);
  return product;
}

/* A lower bound beyond 64 bits is still one when lowered, an upper one when raised. */
static int64_t as_low(int64_t x) { return x == INT64_MAX ? INT64_MAX - 1 : x; }

static int64_t as_high(int64_t x) { return x == INT64_MIN ? INT64_MIN + 1 : x; }

typedef struct range {
  int64_t min, max;
} range;

static range range_add(range a, range b) {
  return (range){as_low(add_bound(a.min, b.min)), as_high(add_bound(a.max, b.max))};
}

static range range_mul(range a, range b) {
  int64_t corner[4] = {mul_bound(a.min, b.min), mul_bound(a.min, b.max), mul_bound(a.max, b.min),
                       mul_bound(a.max, b.max)};
  range r = {corner[0], corner[0]};
  for (int i = 1; i < 4; i++) {
    if (corner[i] < r.min) r.min = corner[i];
    if (corner[i] > r.max) r.max = corner[i];
  }
  return (range){as_low(r.min), as_high(r.max)};
}

int64_t sn_gcd(int64_t a, int64_t b) {
  uint64_t x = a < 0 ? 0 - (uint64_t)a : (uint64_t)a, y = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
  while (y) {
    uint64_t rest = x % y;
    x = y;
    y = rest;
  }
  return x > INT64_MAX ? 1 : (int64_t)x;
}

int64_t sn_floordiv(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a % b < 0) != (b < 0)); }

int64_t sn_floormod(int64_t a, int64_t b) {
  int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

/* ---- order ----------------------------------------------------------------------------------------------- */

int sn_atom_compare(const sn_atom *a, const sn_atom *b) {
  if (a == b) return 0;
  if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
  if (a->kind == SN_DIMX_SYMBOL) return a->symbol < b->symbol ? -1 : 1;
  int order = sn_dimx_compare(a->a, b->a);
  return order ? order : sn_dimx_compare(a->b, b->b);
}

/* Higher degrees first, then earlier atoms: an order that products keep, as division needs. */
int sn_term_compare(const sn_term *a, const sn_term *b) {
  if (a->count != b->count) return a->count > b->count ? -1 : 1;
  for (int i = 0; i < a->count; i++) {
    int order = sn_atom_compare(a->factor[i], b->factor[i]);
    if (order) return order;
  }
  return 0;
}

int sn_dimx_compare(const sn_dimx *a, const sn_dimx *b) {
  if (a == b) return 0;
  for (int i = 0; i < a->count && i < b->count; i++) {
    int order = sn_term_compare(&a->term[i], &b->term[i]);
    if (order) return order;
    if (a->term[i].coef != b->term[i].coef) return a->term[i].coef < b->term[i].coef ? -1 : 1;
  }
  return a->count < b->count ? -1 : a->count > b->count;
}

/* ---- interning ------------------------------------------------------------------------------------------- */

sn_types *sn_types_create(sn_arena *arena) {
  sn_types *t = SN_NEW(arena, sn_types);
  t->arena = arena;
  t->dims = sn_map_create(arena);
  t->atoms = sn_map_create(arena);
  t->types = sn_map_create(arena);
  t->symbol_map = sn_map_create(arena);
  return t;
}

sn_arena *sn_types_arena(const sn_types *t) { return t->arena; }

const sn_dimx *sn_dim_too_big(sn_types *t) {
  if (!t->lenient) sn_arena_array(t->arena, SIZE_MAX, 2); /* too much memory: leaves through sn_protect */
  t->too_big = true;
  return sn_dimx_const(t, 0);
}

int64_t sn_term_divisor(const sn_term *term) {
  int64_t divisor = 1, product;
  for (int i = 0; i < term->count; i++) {
    if (!__builtin_mul_overflow(divisor, term->factor[i]->divisor, &product)) divisor = product;
  }
  return divisor;
}

static range term_range(const sn_term *term) {
  range r = {term->coef, term->coef};
  for (int i = 0; i < term->count; i++) r = range_mul(r, (range){term->factor[i]->min, term->factor[i]->max});
  return r;
}

/* The term with the factors of `a` and those of `b`, -1 when there is none. */
static int find_product(const sn_dimx *d, const sn_term *a, const sn_term *b) {
  const sn_atom *factor[SN_DIM_FACTORS];
  int i = 0, k = 0, n = 0;
  if (a->count + b->count > SN_DIM_FACTORS) return -1;
  while (i < a->count || k < b->count) {
    bool first = k == b->count || (i < a->count && sn_atom_compare(a->factor[i], b->factor[k]) <= 0);
    factor[n++] = first ? a->factor[i++] : b->factor[k++];
  }
  const sn_term both = {1, n, factor};
  for (int j = 0; j < d->count; j++)
    if (!sn_term_compare(&d->term[j], &both)) return j;
  return -1;
}

/* Bounds of d when it holds a remainder m * (a - b * floordiv(a, b)), b a number: the division is `factor` of term
 * `at`. Term by term the bounds of such a sum are those of a, negative ones too. false: it holds none. */
static bool remainder_range(const sn_dimx *d, int at, int factor, range *out) {
  const sn_term *term = &d->term[at];
  const sn_atom *atom = term->factor[factor], *rest[SN_DIM_FACTORS];
  bool inside[SN_DIM_TERMS] = {false};
  int64_t by, want;
  int n = 0;
  if (atom->kind != SN_DIMX_FLOORDIV || !sn_dimx_is_const(atom->b, &by) || by <= 0 || term->coef % by) return false;
  for (int i = 0; i < term->count; i++)
    if (i != factor) rest[n++] = term->factor[i];
  const sn_term m = {-(term->coef / by), n, rest};
  *out = range_mul(term_range(&m), (range){0, by - 1});
  inside[at] = true;
  for (int i = 0; i < atom->a->count; i++) {
    const sn_term *part = &atom->a->term[i];
    int k = find_product(d, part, &m);
    int64_t left = k < 0 ? 0 : d->term[k].coef;
    if (__builtin_mul_overflow(part->coef, m.coef, &want) || __builtin_sub_overflow(left, want, &left)) return false;
    if (left && part->count) return false;
    if (k >= 0) inside[k] = true;
    const sn_term other = {left, n, rest}; /* another number than that of a */
    *out = range_add(*out, term_range(&other));
  }
  for (int i = 0; i < d->count; i++)
    if (!inside[i]) *out = range_add(*out, term_range(&d->term[i]));
  return true;
}

/* r narrowed by the remainders that d holds. */
static range with_remainders(const sn_dimx *d, range r) {
  range found;
  for (int i = 0; i < d->count && d->count > 1; i++)
    for (int k = 0; k < d->term[i].count; k++) {
      if (!remainder_range(d, i, k, &found)) continue;
      if (found.min > r.min) r.min = found.min;
      if (found.max < r.max) r.max = found.max;
    }
  return r;
}

static void set_facts(sn_dimx *d) {
  range r = {0, 0};
  for (int i = 0; i < d->count; i++) {
    const sn_term *term = &d->term[i];
    int64_t divisor = sn_term_divisor(term), scaled;
    if (__builtin_mul_overflow(divisor, llabs(term->coef), &scaled)) scaled = divisor;
    d->divisor = sn_gcd(d->divisor, scaled);
    r = range_add(r, term_range(term));
    for (int k = 0; k < term->count; k++) {
      if (term->factor[k]->depth > d->depth) d->depth = term->factor[k]->depth;
    }
  }
  r = with_remainders(d, r);
  d->min = r.min;
  d->max = r.max;
}

static bool same_terms(const sn_dimx *d, int count, const sn_term *terms) {
  if (d->count != count) return false;
  for (int i = 0; i < count; i++) {
    if (d->term[i].coef != terms[i].coef || sn_term_compare(&d->term[i], &terms[i])) return false;
  }
  return true;
}

static uint64_t hash_terms(int count, const sn_term *terms) {
  uint64_t h = (uint64_t)count;
  for (int i = 0; i < count; i++) {
    h = sn_hash_word((uint64_t)terms[i].coef, h);
    for (int k = 0; k < terms[i].count; k++) h = sn_hash_word(terms[i].factor[k]->id, h);
  }
  return h;
}

/* Insertion sort, terms of equal factors added up; the new count, -1 on overflow. */
static int sort_terms(int count, sn_term *terms) {
  int kept = 0;
  for (int i = 0; i < count; i++) {
    sn_term one = terms[i];
    int at = kept, order = 1;
    while (at > 0 && (order = sn_term_compare(&one, &terms[at - 1])) < 0) at--;
    if (at > 0 && order == 0) {
      if (__builtin_add_overflow(terms[at - 1].coef, one.coef, &terms[at - 1].coef)) return -1;
      continue;
    }
    memmove(&terms[at + 1], &terms[at], (size_t)(kept - at) * sizeof *terms);
    terms[at] = one;
    kept++;
  }
  int left = 0;
  for (int i = 0; i < kept; i++) {
    if (terms[i].coef == INT64_MIN) return -1;
    if (terms[i].coef) terms[left++] = terms[i];
  }
  return left;
}

static void copy_factors(sn_arena *arena, sn_term *term) {
  if (term->count) term->factor = sn_arena_copy(arena, term->factor, (size_t)term->count * sizeof *term->factor);
}

static const sn_dimx *intern(sn_types *t, int count, const sn_term *terms) {
  uint64_t hash = hash_terms(count, terms);
  sn_dimx *first = sn_map_get(t->dims, hash);
  for (sn_dimx *d = first; d; d = d->next) {
    if (same_terms(d, count, terms)) return d;
  }
  sn_dimx *d = SN_NEW(t->arena, sn_dimx);
  sn_term *copy = sn_arena_copy(t->arena, terms, (size_t)count * sizeof *terms);
  for (int i = 0; i < count; i++) copy_factors(t->arena, &copy[i]);
  *d = (sn_dimx){.id = t->next_id++, .count = count, .term = copy, .next = first};
  set_facts(d);
  sn_map_put(t->dims, hash, d);
  return d;
}

const sn_dimx *sn_dim_of_terms(sn_types *t, int count, const sn_term *terms) {
  sn_term *sorted = sn_arena_copy(t->arena, terms, (size_t)count * sizeof *terms);
  int left = sort_terms(count, sorted);
  return left < 0 || left > SN_DIM_TERMS ? sn_dim_too_big(t) : intern(t, left, sorted);
}

const sn_dimx *sn_dim_of_term(sn_types *t, sn_term term) {
  if (term.coef == INT64_MIN) return sn_dim_too_big(t);
  return intern(t, term.coef != 0, &term);
}

const sn_dimx *sn_dim_of_atom(sn_types *t, sn_atom atom) {
  uint32_t parts[3] = {(uint32_t)atom.kind, atom.a->id, atom.b->id};
  uint64_t hash = sn_hash_bytes(parts, sizeof parts, 0);
  sn_atom *first = sn_map_get(t->atoms, hash);
  for (sn_atom *known = first; known; known = known->next) {
    if (known->kind == atom.kind && known->a == atom.a && known->b == atom.b) return known->dim;
  }
  atom.depth = 1 + (atom.a->depth > atom.b->depth ? atom.a->depth : atom.b->depth);
  if (atom.depth > SN_DIM_DEPTH) return sn_dim_too_big(t);
  sn_atom *made = sn_arena_copy(t->arena, &atom, sizeof atom);
  made->id = t->next_id++;
  made->next = first;
  made->dim = sn_dim_of_term(t, (sn_term){1, 1, (const sn_atom *const[]){made}});
  sn_map_put(t->atoms, hash, made);
  return made->dim;
}

const sn_atom *sn_dim_atom(const sn_dimx *d) {
  bool lone = d->count == 1 && d->term[0].coef == 1 && d->term[0].count == 1;
  return lone ? d->term[0].factor[0] : NULL;
}

/* ---- symbols --------------------------------------------------------------------------------------------- */

/* Facts of a symbol: its bounds, narrowed to multiples. */
static void set_symbol_facts(sn_atom *s) {
  s->divisor = s->multiple;
  s->min = s->low;
  s->max = s->high;
  if (s->multiple == 1) return;
  int64_t low = s->low + sn_floormod(-s->low, s->multiple), high = s->high - sn_floormod(s->high, s->multiple);
  if (low <= high) s->min = low, s->max = high;
}

const sn_dimx *sn_dimx_symbol(sn_types *t, const char *name, int64_t min, int64_t max, int64_t multiple,
                              bool *conflict) {
  if (multiple < 1) multiple = 1;
  if (min < -SN_DIM_MAX) min = -SN_DIM_MAX;
  if (max > SN_DIM_MAX) max = SN_DIM_MAX;
  sn_atom *s = sn_map_get_str(t->symbol_map, name);
  if (s) {
    if (conflict && (s->low != min || s->high != max || s->multiple != multiple)) *conflict = true;
    return s->dim;
  }
  s = SN_NEW(t->arena, sn_atom);
  *s = (sn_atom){.kind = SN_DIMX_SYMBOL,
                 .id = t->next_id++,
                 .name = sn_arena_strdup(t->arena, name),
                 .symbol = sn_map_count(t->symbol_map),
                 .low = min,
                 .high = max,
                 .multiple = multiple};
  set_symbol_facts(s);
  s->dim = sn_dim_of_term(t, (sn_term){1, 1, (const sn_atom *const[]){s}});
  sn_map_put_str(t->symbol_map, name, s);
  return s->dim;
}

const sn_dimx *sn_dimx_find_symbol(const sn_types *t, const char *name) {
  const sn_atom *s = sn_map_get_str(t->symbol_map, name);
  return s ? s->dim : NULL;
}

int sn_types_symbol_count(const sn_types *t) { return sn_map_count(t->symbol_map); }

const sn_dimx *sn_types_symbol(const sn_types *t, int i) {
  const sn_atom *s = sn_map_at(t->symbol_map, i, NULL);
  return s->dim;
}

const char *sn_dimx_symbol_name(const sn_dimx *d) {
  const sn_atom *a = sn_dim_atom(d);
  return a && a->kind == SN_DIMX_SYMBOL ? a->name : NULL;
}

int sn_dimx_symbol_index(const sn_dimx *d) {
  const sn_atom *a = sn_dim_atom(d);
  return a && a->kind == SN_DIMX_SYMBOL ? a->symbol : -1;
}

/* ---- sums and products ----------------------------------------------------------------------------------- */

const sn_dimx *sn_dimx_const(sn_types *t, int64_t n) { return sn_dim_of_term(t, (sn_term){n, 0, NULL}); }

/* a + by * b */
static const sn_dimx *add_scaled(sn_types *t, const sn_dimx *a, const sn_dimx *b, int64_t by) {
  sn_term *terms = SN_ARRAY(t->arena, a->count + b->count, sn_term);
  if (a->count) memcpy(terms, a->term, (size_t)a->count * sizeof *terms);
  for (int i = 0; i < b->count; i++) {
    sn_term *to = &terms[a->count + i];
    *to = b->term[i];
    if (__builtin_mul_overflow(to->coef, by, &to->coef)) return sn_dim_too_big(t);
  }
  return sn_dim_of_terms(t, a->count + b->count, terms);
}

const sn_dimx *sn_dimx_add(sn_types *t, const sn_dimx *a, const sn_dimx *b) {
  if (!a->count) return b;
  return b->count ? add_scaled(t, a, b, 1) : a;
}

const sn_dimx *sn_dimx_sub(sn_types *t, const sn_dimx *a, const sn_dimx *b) {
  return b->count ? add_scaled(t, a, b, -1) : a;
}

const sn_dimx *sn_dim_scale(sn_types *t, const sn_dimx *d, int64_t by) {
  return by == 1 ? d : add_scaled(t, sn_dimx_const(t, 0), d, by);
}

static bool term_mul(sn_arena *arena, const sn_term *a, const sn_term *b, sn_term *out) {
  const sn_atom **factor = SN_ARRAY(arena, a->count + b->count, const sn_atom *);
  int i = 0, k = 0, n = 0;
  while (i < a->count || k < b->count) {
    bool from_a = k == b->count || (i < a->count && sn_atom_compare(a->factor[i], b->factor[k]) <= 0);
    factor[n++] = from_a ? a->factor[i++] : b->factor[k++];
  }
  *out = (sn_term){0, n, factor};
  return n <= SN_DIM_FACTORS && !__builtin_mul_overflow(a->coef, b->coef, &out->coef);
}

const sn_dimx *sn_dimx_mul(sn_types *t, const sn_dimx *a, const sn_dimx *b) {
  int64_t n;
  if (sn_dimx_is_const(a, &n)) return sn_dim_scale(t, b, n);
  if (sn_dimx_is_const(b, &n)) return sn_dim_scale(t, a, n);
  if (a->count * b->count > 8 * SN_DIM_TERMS) return sn_dim_too_big(t);
  sn_term *terms = SN_ARRAY(t->arena, a->count * b->count, sn_term);
  for (int i = 0; i < a->count; i++) {
    for (int k = 0; k < b->count; k++) {
      if (!term_mul(t->arena, &a->term[i], &b->term[k], &terms[i * b->count + k])) return sn_dim_too_big(t);
    }
  }
  return sn_dim_of_terms(t, a->count * b->count, terms);
}

/* ---- facts ----------------------------------------------------------------------------------------------- */

bool sn_dimx_is_const(const sn_dimx *d, int64_t *out) {
  if (d->count > 1 || (d->count == 1 && d->term[0].count)) return false;
  if (out) *out = d->count ? d->term[0].coef : 0;
  return true;
}

int64_t sn_dimx_min_value(const sn_dimx *d) { return d->min; }

int64_t sn_dimx_max_value(const sn_dimx *d) { return d->max; }

int64_t sn_dimx_divisor(const sn_dimx *d) { return d->divisor; }

bool sn_dimx_is_one(const sn_dimx *d) {
  int64_t n;
  return sn_dimx_is_const(d, &n) && n == 1;
}

static sn_code atom_eval(const sn_atom *atom, const int64_t *values, int64_t *out) {
  int64_t a, b;
  if (atom->kind == SN_DIMX_SYMBOL) {
    *out = values[atom->symbol];
    return SN_OK;
  }
  SN_TRY(sn_dimx_eval(atom->a, values, &a));
  SN_TRY(sn_dimx_eval(atom->b, values, &b));
  if (atom->kind == SN_DIMX_MIN || atom->kind == SN_DIMX_MAX) {
    *out = (a < b) == (atom->kind == SN_DIMX_MIN) ? a : b;
    return SN_OK;
  }
  if (b == 0 || (b == -1 && a == INT64_MIN)) return SN_ERR_LIMIT;
  *out = atom->kind == SN_DIMX_MOD ? sn_floormod(a, b) : sn_floordiv(a, b);
  return SN_OK;
}

sn_code sn_dimx_eval(const sn_dimx *d, const int64_t *values, int64_t *out) {
  int64_t sum = 0;
  for (int i = 0; i < d->count; i++) {
    int64_t product = d->term[i].coef, factor;
    for (int k = 0; k < d->term[i].count; k++) {
      SN_TRY(atom_eval(d->term[i].factor[k], values, &factor));
      if (__builtin_mul_overflow(product, factor, &product)) return SN_ERR_LIMIT;
    }
    if (__builtin_add_overflow(sum, product, &sum)) return SN_ERR_LIMIT;
  }
  *out = sum;
  return SN_OK;
}

/* ---- trees ----------------------------------------------------------------------------------------------- */

static const sn_dimx_tree *tree(sn_types *t, sn_dimx_kind kind, int64_t value, const sn_dimx_tree *a,
                                const sn_dimx_tree *b) {
  sn_dimx_tree node = {kind, value, a, b};
  return sn_arena_copy(t->arena, &node, sizeof node);
}

/* k >= 0 so that a + k b >= 0; 0 where bounds do not tell. */
static int64_t lift_of(const sn_dimx *a, const sn_dimx *b) {
  if (a->min >= 0 || a->min == INT64_MIN || b->min <= 0) return 0;
  return -sn_floordiv(a->min, b->min);
}

/* floor(a / b) = floor((a + k b) / b) - k, a mod b = (a + k b) mod b: for machines that only divide what is not
 * negative. */
static const sn_dimx_tree *atom_tree(sn_types *t, const sn_atom *atom) {
  if (atom->kind == SN_DIMX_SYMBOL) return tree(t, SN_DIMX_SYMBOL, atom->symbol, NULL, NULL);
  bool divides = atom->kind == SN_DIMX_FLOORDIV || atom->kind == SN_DIMX_MOD;
  int64_t k = divides ? lift_of(atom->a, atom->b) : 0;
  const sn_dimx *a = k ? sn_dimx_add(t, atom->a, sn_dim_scale(t, atom->b, k)) : atom->a;
  const sn_dimx_tree *n = tree(t, atom->kind, 0, sn_dimx_as_tree(t, a), sn_dimx_as_tree(t, atom->b));
  if (!k || atom->kind == SN_DIMX_MOD) return n;
  return tree(t, SN_DIMX_ADD, 0, n, tree(t, SN_DIMX_CONST, -k, NULL, NULL));
}

static const sn_dimx_tree *term_tree(sn_types *t, const sn_term *term) {
  const sn_dimx_tree *product = NULL;
  if (term->coef != 1 || !term->count) product = tree(t, SN_DIMX_CONST, term->coef, NULL, NULL);
  for (int i = 0; i < term->count; i++) {
    const sn_dimx_tree *factor = atom_tree(t, term->factor[i]);
    product = product ? tree(t, SN_DIMX_MUL, 0, product, factor) : factor;
  }
  return product;
}

const sn_dimx_tree *sn_dimx_as_tree(sn_types *t, const sn_dimx *d) {
  const sn_dimx_tree *sum = NULL;
  for (int i = 0; i < d->count; i++) {
    const sn_dimx_tree *term = term_tree(t, &d->term[i]);
    sum = sum ? tree(t, SN_DIMX_ADD, 0, sum, term) : term;
  }
  return sum ? sum : tree(t, SN_DIMX_CONST, 0, NULL, NULL);
}
