/* Dims: division, remainder, minimum and maximum, simplified as far as bounds and divisors prove. */
#include <string.h>

#include "ir/types/table.h"

static bool never_zero(const sn_dimx *d) { return d->min > 0 || d->max < 0; }

static bool is_bounded(const sn_dimx *d) { return d->min != INT64_MIN && d->max != INT64_MAX; }

static const sn_dimx *term_scaled(sn_types *t, sn_term term, int64_t coef) {
  term.coef = coef;
  return sn_dim_of_term(t, term);
}

/* ---- exact division of polynomials ----------------------------------------------------------------------- */

/* a / b as one term; false when b does not divide it. */
static bool term_div(sn_arena *arena, const sn_term *a, const sn_term *b, sn_term *out) {
  if (a->coef % b->coef || a->count < b->count) return false;
  const sn_atom **factor = SN_ARRAY(arena, a->count, const sn_atom *);
  int k = 0, n = 0;
  for (int i = 0; i < a->count; i++) {
    if (k < b->count && a->factor[i] == b->factor[k]) {
      k++;
    } else {
      factor[n++] = a->factor[i];
    }
  }
  *out = (sn_term){a->coef / b->coef, n, factor};
  return k == b->count;
}

/* Starts and ends a computation that is given up, not an error, when a number leaves 64 bits. */
static bool attempt_begin(sn_types *t) {
  bool outer = t->lenient;
  t->lenient = true;
  return outer;
}

static bool attempt_end(sn_types *t, bool outer, bool was_too_big) {
  bool good = !t->too_big;
  t->lenient = outer;
  t->too_big = was_too_big;
  return good;
}

static const sn_dimx *long_division(sn_types *t, const sn_dimx *a, const sn_dimx *b) {
  const sn_dimx *quotient = sn_dimx_const(t, 0), *rest = a;
  for (int steps = 0; rest->count; steps++) {
    sn_term lead;
    if (t->too_big || steps > SN_DIM_TERMS || !term_div(t->arena, &rest->term[0], &b->term[0], &lead)) return NULL;
    const sn_dimx *part = sn_dim_of_term(t, lead);
    quotient = sn_dimx_add(t, quotient, part);
    rest = sn_dimx_sub(t, rest, sn_dimx_mul(t, part, b));
  }
  return quotient;
}

/* Long division: every step cancels the leading term, so it ends; a remainder shows at the leading term. */
const sn_dimx *sn_dimx_exact_div(sn_types *t, const sn_dimx *a, const sn_dimx *b) {
  if (!b->count) return NULL;
  bool was_too_big = t->too_big, outer = attempt_begin(t);
  t->too_big = false;
  const sn_dimx *quotient = long_division(t, a, b);
  return attempt_end(t, outer, was_too_big) ? quotient : NULL;
}

/* a - b, NULL when a coefficient leaves 64 bits. */
static const sn_dimx *try_sub(sn_types *t, const sn_dimx *a, const sn_dimx *b) {
  bool was_too_big = t->too_big, outer = attempt_begin(t);
  t->too_big = false;
  const sn_dimx *difference = sn_dimx_sub(t, a, b);
  return attempt_end(t, outer, was_too_big) ? difference : NULL;
}

/* a = b * q + r with as many whole terms in q as one term b allows. */
static void split_multiples(sn_types *t, const sn_dimx *a, const sn_dimx *b, const sn_dimx **q, const sn_dimx **r) {
  *q = *r = sn_dimx_const(t, 0);
  for (int i = 0; i < a->count; i++) {
    sn_term part;
    if (b->count == 1 && term_div(t->arena, &a->term[i], &b->term[0], &part)) {
      *q = sn_dimx_add(t, *q, sn_dim_of_term(t, part));
    } else {
      *r = sn_dimx_add(t, *r, sn_dim_of_term(t, a->term[i]));
    }
  }
}

/* ---- atoms with bounds ----------------------------------------------------------------------------------- */

/* floor(a / b) where a may be infinite; b of one sign. */
static int64_t div_bound(int64_t a, int64_t b) {
  bool a_infinite = a == INT64_MIN || a == INT64_MAX, b_infinite = b == INT64_MIN || b == INT64_MAX;
  if (b_infinite) return a == 0 || (a < 0) == (b < 0) ? 0 : -1;
  if (a_infinite) return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
  return sn_floordiv(a, b);
}

static void div_bounds(sn_atom *atom) {
  const sn_dimx *a = atom->a, *b = atom->b;
  atom->min = INT64_MIN, atom->max = INT64_MAX;
  if (!never_zero(b)) return;
  int64_t corner[4] = {div_bound(a->min, b->min), div_bound(a->min, b->max), div_bound(a->max, b->min),
                       div_bound(a->max, b->max)};
  atom->min = atom->max = corner[0];
  for (int i = 1; i < 4; i++) {
    if (corner[i] < atom->min) atom->min = corner[i];
    if (corner[i] > atom->max) atom->max = corner[i];
  }
}

static const sn_dimx *div_atom(sn_types *t, const sn_dimx *a, const sn_dimx *b) {
  sn_atom atom = {.kind = SN_DIMX_FLOORDIV, .a = a, .b = b, .divisor = 1};
  div_bounds(&atom);
  int64_t by;
  bool known = atom.min != INT64_MIN && atom.max != INT64_MAX;
  if (known && atom.min == atom.max) return sn_dimx_const(t, atom.min);
  if (sn_dimx_is_const(b, &by) && by > 0 && a->divisor % by == 0) atom.divisor = a->divisor / by;
  if (atom.divisor < 1) atom.divisor = 1;
  return sn_dim_of_atom(t, atom);
}

static const sn_dimx *mod_atom(sn_types *t, const sn_dimx *a, const sn_dimx *b) {
  int64_t divisor = sn_gcd(a->divisor, b->divisor);
  sn_atom atom = {.kind = SN_DIMX_MOD, .a = a, .b = b, .divisor = divisor < 1 ? 1 : divisor};
  atom.min = b->max > 0 ? 0 : b->min == INT64_MIN ? INT64_MIN : b->min + 1;
  atom.max = b->min < 0 ? 0 : b->max == INT64_MAX ? INT64_MAX : b->max - 1;
  if (b->min < 0 && b->max > 0) {
    atom.min = b->min == INT64_MIN ? INT64_MIN : b->min + 1;
    atom.max = b->max == INT64_MAX ? INT64_MAX : b->max - 1;
  }
  if (b->min >= 0 && a->min >= 0 && a->max < atom.max) atom.max = a->max;
  if (b->min == 0 && b->max == 0) atom.min = atom.max = 0; /* never has a value */
  return sn_dim_of_atom(t, atom);
}

/* ---- division by a constant ------------------------------------------------------------------------------ */

static const sn_dimx *floordiv_const(sn_types *t, const sn_dimx *a, int64_t b);

/* floor((floor(x / k) + c) / b) = floor((x + k c) / (k b)); NULL: not of that form. */
static const sn_dimx *nested_div(sn_types *t, const sn_dimx *a, int64_t b) {
  int64_t c = 0, k, kb, kc;
  if (a->count == 2 && !a->term[1].count) c = a->term[1].coef;
  if (a->count != 1 + (c != 0) || a->term[0].coef != 1 || a->term[0].count != 1) return NULL;
  const sn_atom *inner = a->term[0].factor[0];
  if (inner->kind != SN_DIMX_FLOORDIV || !sn_dimx_is_const(inner->b, &k) || k <= 0) return NULL;
  if (__builtin_mul_overflow(k, b, &kb) || __builtin_mul_overflow(k, c, &kc) || kc > SN_DIM_MAX) return NULL;
  return floordiv_const(t, sn_dimx_add(t, inner->a, sn_dimx_const(t, kc)), kb);
}

/* Divides what is left after whole multiples of b were taken out. */
static const sn_dimx *div_rest(sn_types *t, const sn_dimx *r, int64_t b) {
  if (is_bounded(r) && sn_floordiv(r->min, b) == sn_floordiv(r->max, b)) {
    return sn_dimx_const(t, sn_floordiv(r->min, b));
  }
  int64_t g = b;
  for (int i = 0; i < r->count; i++) g = r->term[i].count ? sn_gcd(g, r->term[i].coef) : g;
  if (g == 1) {
    const sn_dimx *nested = nested_div(t, r, b);
    return nested ? nested : div_atom(t, r, sn_dimx_const(t, b));
  }
  const sn_dimx *smaller = sn_dimx_const(t, 0);
  for (int i = 0; i < r->count; i++) {
    smaller = sn_dimx_add(t, smaller, term_scaled(t, r->term[i], sn_floordiv(r->term[i].coef, g)));
  }
  return floordiv_const(t, smaller, b / g);
}

/* One term over b where that has no remainder although the term's coefficient shows none; NULL: not so. */
static const sn_dimx *term_div_exact(sn_types *t, sn_term term, int64_t b) {
  int64_t g = sn_gcd(term.coef, b), scale = term.coef / g;
  if (!term.count || sn_term_divisor(&term) % (b / g)) return NULL;
  if (b == g) return term_scaled(t, term, scale);
  const sn_dimx *base = term_scaled(t, term, 1), *nested = nested_div(t, base, b / g);
  return sn_dim_scale(t, nested ? nested : div_atom(t, base, sn_dimx_const(t, b / g)), scale);
}

/* floor(a / b): terms that b divides leave the floor.   needs: b > 0 */
static const sn_dimx *floordiv_const(sn_types *t, const sn_dimx *a, int64_t b) {
  const sn_dimx *q = sn_dimx_const(t, 0), *r = q;
  if (b == 1) return a;
  for (int i = 0; i < a->count; i++) {
    sn_term term = a->term[i];
    const sn_dimx *whole = term.count ? term_div_exact(t, term, b) : sn_dimx_const(t, sn_floordiv(term.coef, b));
    if (whole) q = sn_dimx_add(t, q, whole);
    int64_t rest = !term.count ? sn_floormod(term.coef, b) : whole ? 0 : term.coef;
    r = sn_dimx_add(t, r, term_scaled(t, term, rest));
  }
  return sn_dimx_add(t, q, div_rest(t, r, b));
}

const sn_dimx *sn_dimx_floordiv(sn_types *t, const sn_dimx *a, const sn_dimx *b) {
  int64_t by;
  if (sn_dimx_is_const(b, &by) && by) {
    return by > 0 ? floordiv_const(t, a, by) : floordiv_const(t, sn_dim_scale(t, a, -1), -by);
  }
  if (!never_zero(b)) return div_atom(t, a, b);
  const sn_dimx *q = sn_dimx_exact_div(t, a, b), *r;
  if (q) return q;
  split_multiples(t, a, b, &q, &r);
  if (r->min >= 0 && r->max < b->min) return q;
  return sn_dimx_add(t, q, div_atom(t, r, b));
}

const sn_dimx *sn_dimx_ceildiv(sn_types *t, const sn_dimx *a, const sn_dimx *b) {
  const sn_dimx *up = sn_dimx_sub(t, sn_dimx_add(t, a, b), sn_dimx_const(t, 1));
  return sn_dimx_floordiv(t, up, b);
}

/* ---- remainder ------------------------------------------------------------------------------------------- */

static const sn_dimx *mod_const(sn_types *t, const sn_dimx *a, int64_t b);

/* r itself, shifted by a multiple of b, when its bounds allow; else NULL. */
static const sn_dimx *mod_by_bounds(sn_types *t, const sn_dimx *r, int64_t b) {
  int64_t shift;
  if (!is_bounded(r) || sn_floordiv(r->min, b) != sn_floordiv(r->max, b)) return NULL;
  if (__builtin_mul_overflow(sn_floordiv(r->min, b), b, &shift)) return NULL;
  return sn_dimx_sub(t, r, sn_dimx_const(t, shift));
}

/* A remainder of a remainder by a multiple; NULL: not of that form. */
static const sn_dimx *nested_mod(sn_types *t, const sn_dimx *r, int64_t b) {
  const sn_atom *inner = sn_dim_atom(r);
  int64_t k;
  if (!inner || inner->kind != SN_DIMX_MOD || !sn_dimx_is_const(inner->b, &k) || k <= 0 || k % b) return NULL;
  return mod_const(t, inner->a, b);
}

/* Every coefficient through f(coef, by). */
static const sn_dimx *map_coefs(sn_types *t, const sn_dimx *d, int64_t (*f)(int64_t, int64_t), int64_t by) {
  const sn_dimx *sum = sn_dimx_const(t, 0);
  for (int i = 0; i < d->count; i++) sum = sn_dimx_add(t, sum, term_scaled(t, d->term[i], f(d->term[i].coef, by)));
  return sum;
}

/* a mod b: multiples of b are dropped, common factors leave.   needs: b > 0 */
static const sn_dimx *mod_const(sn_types *t, const sn_dimx *a, int64_t b) {
  const sn_dimx *r = sn_dimx_const(t, 0), *found;
  for (int i = 0; i < a->count; i++) {
    sn_term term = a->term[i];
    if (sn_term_divisor(&term) % (b / sn_gcd(term.coef, b)) == 0) continue;
    r = sn_dimx_add(t, r, term_scaled(t, term, term.count ? term.coef : sn_floormod(term.coef, b)));
  }
  if ((found = mod_by_bounds(t, r, b))) return found;
  r = map_coefs(t, r, sn_floormod, b);
  if ((found = mod_by_bounds(t, r, b))) return found;
  int64_t g = b;
  for (int i = 0; i < r->count; i++) g = sn_gcd(g, r->term[i].coef);
  if (g > 1) return sn_dim_scale(t, mod_const(t, map_coefs(t, r, sn_floordiv, g), b / g), g);
  if ((found = nested_mod(t, r, b))) return found;
  return mod_atom(t, r, sn_dimx_const(t, b));
}

const sn_dimx *sn_dimx_mod(sn_types *t, const sn_dimx *a, const sn_dimx *b) {
  int64_t by;
  if (sn_dimx_is_const(b, &by) && by) {
    return by > 0 ? mod_const(t, a, by) : sn_dim_scale(t, mod_const(t, sn_dim_scale(t, a, -1), -by), -1);
  }
  if (!never_zero(b)) return mod_atom(t, a, b);
  if (sn_dimx_exact_div(t, a, b)) return sn_dimx_const(t, 0);
  const sn_dimx *q, *r;
  split_multiples(t, a, b, &q, &r);
  return r->min >= 0 && r->max < b->min ? r : mod_atom(t, r, b);
}

/* ---- minimum and maximum --------------------------------------------------------------------------------- */

/* Is x an operand of the lone atom d of that kind? */
static bool is_part_of(const sn_dimx *x, const sn_dimx *d, sn_dimx_kind kind) {
  const sn_atom *atom = sn_dim_atom(d);
  return atom && atom->kind == kind && (atom->a == x || atom->b == x);
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static const sn_dimx *extreme(sn_types *t, sn_dimx_kind kind, const sn_dimx *a, const sn_dimx *b) {
  bool is_min = kind == SN_DIMX_MIN;
  sn_dimx_kind other = is_min ? SN_DIMX_MAX : SN_DIMX_MIN;
  if (a->max <= b->min) return is_min ? a : b;
  if (a->min >= b->max) return is_min ? b : a;
  const sn_dimx *difference = try_sub(t, a, b);
  if (difference && difference->max <= 0) return is_min ? a : b;
  if (difference && difference->min >= 0) return is_min ? b : a;
  if (is_part_of(a, b, kind) || is_part_of(b, a, other)) return b;
  if (is_part_of(b, a, kind) || is_part_of(a, b, other)) return a;
  if (sn_dimx_compare(a, b) > 0) {
    const sn_dimx *swap = a;
    a = b, b = swap;
  }
  sn_atom atom = {.kind = kind, .a = a, .b = b, .divisor = larger(1, sn_gcd(a->divisor, b->divisor))};
  atom.min = is_min ? smaller(a->min, b->min) : larger(a->min, b->min);
  atom.max = is_min ? smaller(a->max, b->max) : larger(a->max, b->max);
  return sn_dim_of_atom(t, atom);
}

const sn_dimx *sn_dimx_min(sn_types *t, const sn_dimx *a, const sn_dimx *b) { return extreme(t, SN_DIMX_MIN, a, b); }

const sn_dimx *sn_dimx_max(sn_types *t, const sn_dimx *a, const sn_dimx *b) { return extreme(t, SN_DIMX_MAX, a, b); }
