/* Rotary and sinusoidal positions.
 *
 * Frequencies are whole numbers of 2^-60 turns: a product with a position wraps, which loses whole turns and nothing
 * else, so that angles are as exact at position 10^6 as at 1, in f32 and on devices without f64. */
#include "frontend/trace.h"

#include <math.h>

enum { FIXED = 60, HALF = 30, HALF_MASK = (1 << HALF) - 1 };

/* ---- numbers of 2^-60 -------------------------------------------------------------------------------------------- */

static sn_t high_half(sn_here h, sn_t a) { return sn_op2(h, "shr", (sn_arg){a}, (sn_arg){sn_num(HALF)}); }
static sn_t low_half(sn_here h, sn_t a) { return sn_x_and(h, a, sn_num(HALF_MASK)); }

/* a times b of 2^-60, where b in [0, 1]: error below 2^-58 */
static sn_t times(sn_here h, sn_t a, double b) {
  int64_t fixed = llround(ldexp(b, FIXED));
  sn_t b1 = sn_num((double)(fixed >> HALF)), b0 = sn_num((double)(fixed & HALF_MASK));
  sn_t cross = sn_x_add(h, sn_x_mul(h, high_half(h, a), b0), sn_x_mul(h, low_half(h, a), b1));
  return sn_x_add(h, sn_x_mul(h, high_half(h, a), b1), high_half(h, cross));
}

/* a times b of 2^-30, b in [0, 1], element by element */
static sn_t times_each(sn_here h, sn_t a, sn_t b) {
  return sn_x_add(h, sn_x_mul(h, high_half(h, a), b), high_half(h, sn_x_mul(h, low_half(h, a), b)));
}

/* base^(-k / n) / (2 pi) of k = 0 .. n - 1, by the bits of k. -> i64[n] */
static sn_t frequencies(sn_here h, sn_t k, double base, int64_t n) {
  int64_t one = llround(ldexp(1 / (2 * SN_PI), FIXED));
  sn_t f = sn_x_add(h, sn_x_mul(h, k, sn_num(0)), sn_num((double)(one >> HALF)));
  f = sn_op2(h, "shl", (sn_arg){f}, (sn_arg){sn_num(HALF)});
  f = sn_x_add(h, f, sn_num((double)(one & HALF_MASK)));
  for (int64_t bit = 1; bit < n; bit *= 2) {
    sn_t set = sn_op2(h, "ne", (sn_arg){sn_x_and(h, k, sn_num((double)bit))}, (sn_arg){sn_num(0)});
    f = sn_x_where(h, set, times(h, f, pow(base, -(double)bit / (double)n)), f);
  }
  return f;
}

/* ---- beyond the length of training ------------------------------------------------------------------------------- */

/* The component that turns r times over the length of training, of YaRN's ramp. */
static double turns_at(const sn_rope_args *a, int64_t n, double r) {
  return (double)n * log(a->trained / (r * 2 * SN_PI)) / log(a->base);
}

/* 1 / s from component `high` on, 1 up to `low`, a ramp between: numbers of 2^-30.   source: Peng et al. 2023, 3.2 */
static sn_t yarn_factor(sn_here h, const sn_rope_args *a, sn_t k, int64_t n) {
  double low = fmax(floor(turns_at(a, n, 32)), 0), high = fmin(ceil(turns_at(a, n, 1)), 2. * (double)n - 1);
  double slope = ldexp(1 - 1 / a->scale, HALF) / (high > low ? high - low : 1e-3), most = ldexp(1 - 1 / a->scale, HALF);
  enum { FINE = 20 }; /* more bits of the slope */
  sn_t steps = sn_x_max(h, sn_x_sub(h, k, sn_num(low)), sn_num(0));
  sn_t less =
      sn_x_mul(h, sn_x_min(h, steps, sn_num(fmax(high - low, 1))), sn_num(round(fmin(ldexp(slope, FINE), 0x1p52))));
  less = sn_op2(h, "shr", (sn_arg){less}, (sn_arg){sn_num(FINE)});
  return sn_x_sub(h, sn_num(ldexp(1, HALF)), sn_x_min(h, less, sn_num(round(most))));
}

/* s^(-2k / (d - 2)) with s the length so far over that of training, at least 1: numbers of 2^-30. */
static sn_t dynamic_factor(sn_here h, const sn_rope_args *a, sn_t k, int64_t n) {
  sn_t length = sn_rank(a->positions) == 1 ? sn_reduce_at(h, "amax", a->positions, "t->")
                                           : sn_reduce_at(h, "amax", a->positions, "bt->");
  sn_t s = sn_x_max(h, sn_x_div(h, sn_x_add(h, length, sn_num(1)), sn_num(a->trained)), sn_num(1));
  sn_t power = sn_x_mul(h, sn_num(n > 1 ? -1. / (double)(n - 1) : 0), sn_cast_at(h, (sn_arg){k}, SN_REAL));
  sn_t factor = sn_x_exp(h, sn_x_mul(h, power, sn_x_log(h, s)));
  return sn_cast_at(h, (sn_arg){sn_x_mul(h, factor, sn_num(ldexp(1, HALF)))}, SN_I64);
}

static sn_t scaled_frequencies(sn_here h, const sn_rope_args *a, sn_t k, int64_t n) {
  double base = a->base, d = 2. * (double)n;
  if (a->scaling == SN_ROPE_NTK && n > 1) base *= pow(a->scale, d / (d - 2));
  sn_t f = frequencies(h, k, base, n);
  if (a->scaling == SN_ROPE_INTERPOLATED) return times(h, f, 1 / a->scale);
  if (a->scaling == SN_ROPE_DYNAMIC_NTK) return times_each(h, f, dynamic_factor(h, a, k, n));
  return a->scaling == SN_ROPE_YARN ? times_each(h, f, yarn_factor(h, a, k, n)) : f;
}

/* ---- angles
 * ------------------------------------------------------------------------------------------------------------ */

typedef struct two {
  sn_t a, b;
} two;

/* Cosine and sine [.., T, 1, n] of the angles, of element type e. Made where the positions are: layers share them. */
static two cosine_and_sine(sn_here h, const sn_rope_args *a, int64_t n, sn_elem e) {
  sn_call c = sn_call_on(h, 1, &a->positions);
  const sn_dimx *dim[1] = {sn_dimx_const(sn_types_of(&c), n)};
  sn_t k = sn_result(&c, sn_g_iota(&c.fn->b, sn_type_of(sn_types_of(&c), SN_ELEM_I64, 1, dim), 0));
  sn_axes column = {.x = a->positions, .spec = sn_rank(a->positions) == 1 ? "t->t11" : "bt->bt11"};
  sn_t at = sn_cast_at(h, (sn_arg){sn_rearrange_at(h, column)}, SN_I64);
  sn_t turned = sn_x_mul(h, at, scaled_frequencies(h, a, k, n));
  turned = sn_op2(h, "shl", (sn_arg){turned}, (sn_arg){sn_num(64 - FIXED)}); /* from -1/2 to 1/2 turn, of 2^-64 */
  sn_t angle = sn_cast_at(h, (sn_arg){turned}, e == SN_ELEM_F64 ? SN_F64 : SN_F32);
  angle = sn_x_mul(h, angle, sn_num(ldexp(2 * SN_PI, -64)));
  double m = a->scaling == SN_ROPE_YARN ? .1 * log(a->scale) + 1 : 1;
  two r = {sn_x_cos(h, angle), sn_x_sin(h, angle)};
  if (m != 1) r = (two){sn_x_mul(h, r.a, sn_num(m)), sn_x_mul(h, r.b, sn_num(m))};
  if (e == SN_ELEM_F64 || e == SN_ELEM_F32) return r;
  sn_dtype narrow = e == SN_ELEM_BF16     ? SN_BF16
                    : e == SN_ELEM_F16    ? SN_F16
                    : e == SN_ELEM_F8E4M3 ? SN_F8E4M3
                                          : SN_F8E5M2;
  return (two){sn_cast_at(h, (sn_arg){r.a}, narrow), sn_cast_at(h, (sn_arg){r.b}, narrow)};
}

static two turn(sn_here h, two x, two by) {
  return (two){sn_x_sub(h, sn_x_mul(h, x.a, by.a), sn_x_mul(h, x.b, by.b)),
               sn_x_add(h, sn_x_mul(h, x.b, by.a), sn_x_mul(h, x.a, by.b))};
}

static sn_t slice_last(sn_here h, sn_t x, int64_t from, int64_t count) {
  return sn_slice_at(h, x, -1, (sn_arg){sn_num((double)from)}, (sn_ext){sn_dim_of(count)});
}

static sn_t concat_last(sn_here h, int count, const sn_arg *x) { return sn_concat_at(h, -1, (sn_list){count, x}); }

static sn_t turn_pairs(sn_here h, sn_t x, two by) {
  sn_t pairs = sn_rearrange_at(h, (sn_axes){.x = x, .spec = "bth(np)->bthnp", .p = 2});
  sn_axes even = {.x = slice_last(h, pairs, 0, 1), .spec = "bthn1->bthn"};
  sn_axes odd = {.x = slice_last(h, pairs, 1, 1), .spec = "bthn1->bthn"};
  two y = turn(h, (two){sn_rearrange_at(h, even), sn_rearrange_at(h, odd)}, by);
  sn_axes a = {.x = y.a, .spec = "bthn->bthn1"}, b = {.x = y.b, .spec = "bthn->bthn1"};
  sn_t joined = concat_last(h, 2, (const sn_arg[]){{sn_rearrange_at(h, a)}, {sn_rearrange_at(h, b)}});
  return sn_rearrange_at(h, (sn_axes){.x = joined, .spec = "bthnp->bth(np)"});
}

/* ---- sn_rope, sn_sinusoid
 * ------------------------------------------------------------------------------------------------ */

/* Settings of the frequencies fit. */
static bool check_scaling(sn_call *c, const sn_rope_args *a) {
  bool stretched = a->scaling == SN_ROPE_INTERPOLATED || a->scaling == SN_ROPE_NTK || a->scaling == SN_ROPE_YARN;
  bool trained = a->scaling == SN_ROPE_DYNAMIC_NTK || a->scaling == SN_ROPE_YARN;
  if (a->base <= 1)
    sn_mistake(c, "a base above 1", sn_texts(c, "%g", a->base), "the base does not fit");
  else if (stretched && !(a->scale >= 1 && a->scale <= 1e6))
    sn_mistake(c, "a .scale of 1 to 1e6", sn_texts(c, "%g", a->scale), "the scale does not fit");
  else if (trained && a->trained < 1)
    sn_mistake(c, "positions of the training in .trained", sn_texts(c, "%d", a->trained), "the length is missing");
  else
    return true;
  return false;
}

/* Types fit and an even part of d turns. -> half of it, 0 after a mistake */
static int64_t check_rope(sn_call *c, const sn_rope_args *a) {
  const sn_type *t = sn_need(c, a->x, sn_spelled(c, 0)), *pt = t ? sn_need(c, a->positions, "positions") : NULL;
  int64_t d = 0;
  if (!pt || !check_scaling(c, a)) return 0;
  bool fits = t->rank == 4 && sn_dimx_is_const(t->dim[3], &d) && sn_elem_is_float(t->elem);
  int64_t dims = a->dims ? a->dims : d;
  if (!fits || dims < 2 || dims > d || dims % 2) {
    const char *found = sn_texts(c, "%s, %lld turned", sn_describe(c, a->x, sn_spelled(c, 0)), (long long)dims);
    sn_mistake(c, "floats [B, T, H, d], an even part of d turned", found, "x does not fit");
    return 0;
  }
  bool aligned = (pt->rank == 1 && pt->dim[0] == t->dim[1]) ||
                 (pt->rank == 2 && pt->dim[0] == t->dim[0] && pt->dim[1] == t->dim[1]);
  if (aligned && sn_elem_is_int(pt->elem)) return dims / 2;
  sn_mistake(c, sn_texts(c, "i32[T] or i32[B, T] for %s", sn_describe(c, a->x, sn_spelled(c, 0))),
             sn_describe(c, a->positions, sn_spelled(c, 1)), "positions do not fit");
  return 0;
}

sn_t sn_rope_at(sn_here here, sn_rope_args a) {
  const sn_t both[2] = {a.x, a.positions};
  sn_call c = sn_call_on(here, 2, both);
  if (!a.base) a.base = 1e4;
  int64_t n = c.fn ? check_rope(&c, &a) : 0, d;
  if (!n) return sn_poison(&c);
  if (!sn_dimx_is_const(sn_t_type(a.x)->dim[3], &d)) return sn_poison(&c);
  two by = cosine_and_sine(here, &a, n, sn_t_type(a.x)->elem);
  bool whole = 2 * n == d;
  sn_t part = whole ? a.x : slice_last(here, a.x, 0, 2 * n);
  sn_t rest = whole ? sn_num(0) : slice_last(here, a.x, 2 * n, d - 2 * n);
  if (a.interleaved) {
    part = turn_pairs(here, part, by);
    return whole ? part : concat_last(here, 2, (const sn_arg[]){{part}, {rest}});
  }
  two y = turn(here, (two){slice_last(here, part, 0, n), slice_last(here, part, n, n)}, by);
  return concat_last(here, whole ? 2 : 3, (const sn_arg[]){{y.a}, {y.b}, {rest}});
}

sn_t sn_sinusoid_at(sn_here here, sn_sinusoid_args a) {
  sn_call c = sn_call_on(here, 1, &a.positions);
  const sn_type *t = c.fn ? sn_need(&c, a.positions, sn_spelled(&c, 0)) : NULL;
  sn_rope_args r = {.positions = a.positions, .base = a.base ? a.base : 1e4};
  if (!t || !check_scaling(&c, &r)) return sn_poison(&c);
  if (t->rank < 1 || t->rank > 2 || !sn_elem_is_int(t->elem) || a.width < 2 || a.width % 2) {
    const char *found = sn_texts(&c, "%s, %lld", sn_describe(&c, a.positions, sn_spelled(&c, 0)), (long long)a.width);
    sn_mistake(&c, "positions i32[T] or i32[B, T] and an even width", found, "operands do not fit");
    return sn_poison(&c);
  }
  two by = cosine_and_sine(here, &r, a.width / 2, c.trace->real);
  const char *apart = t->rank == 1 ? "t1n->tn1" : "bt1n->btn1", *join = t->rank == 1 ? "tnp->t(np)" : "btnp->bt(np)";
  sn_axes sine = {.x = by.b, .spec = apart}, cosine = {.x = by.a, .spec = apart};
  sn_t both = concat_last(here, 2, (const sn_arg[]){{sn_rearrange_at(here, sine)}, {sn_rearrange_at(here, cosine)}});
  return sn_rearrange_at(here, (sn_axes){.x = both, .spec = join});
}
