/* Contraction of the graph interpreter, as [batch, M, K] x [batch, K, N].
 *
 * 1. letters are sorted into batch, M (first operand only), N (second only) and K (summed)
 * 2. operands are copied into that order; 3. rows of the product are summed up over K; 4. the result is put in place
 * Bound of one element: sum |a| eb + |b| ea + ea eb, plus gamma(K + 1) sum |a||b|. */
#include "ir/ref/eval.h"

#include <string.h>

typedef struct axis_list { /* letters of one group: extent, and strides in the operands and the result */
  int count;
  int64_t extent[SN_RANK_MAX * 2], a[SN_RANK_MAX * 2], b[SN_RANK_MAX * 2], out[SN_RANK_MAX * 2];
  int64_t total;
} axis_list;

typedef struct product { /* matrices in canonical order */
  int64_t m, n, k;
  double *a, *ea; /* [m, k] values and bounds */
  double *b, *eb; /* [k, n] */
  double *b_rel;  /* [k, n] eb + gamma |b|: what multiplies |a| */
  double *b_abs;  /* [k, n] |b| + eb:       what multiplies ea */
  double *c, *ec; /* [m, n] */
} product;

static int64_t stride_in(const sn_tensor *t, const char *letters, char c) {
  const char *p = strchr(letters, c);
  if (!p) return 0;
  int64_t s = 1;
  for (int i = (int)(p - letters) + 1; i < t->rank; i++) s *= t->extent[i];
  return s;
}

static void add_axis(axis_list *l, const sn_eval *e, const sn_contract_spec *s, char c) {
  const char *p = strchr(s->a, c);
  int64_t extent = p ? e->arg[0]->extent[p - s->a] : e->arg[1]->extent[strchr(s->b, c) - s->b];
  l->extent[l->count] = extent;
  l->a[l->count] = stride_in(e->arg[0], s->a, c);
  l->b[l->count] = stride_in(e->arg[1], s->b, c);
  l->out[l->count++] = stride_in(e->out[0], s->out, c);
  l->total *= extent;
}

/* Groups: 0 batch, 1 M, 2 N, 3 K. */
static void sort_axes(const sn_eval *e, const sn_contract_spec *s, axis_list *group) {
  for (int i = 0; i < 4; i++) group[i] = (axis_list){.total = 1};
  for (int i = 0; i < s->out_count; i++) {
    char c = s->out[i];
    bool a = strchr(s->a, c) != NULL, b = strchr(s->b, c) != NULL;
    add_axis(&group[a && b ? 0 : a ? 1 : 2], e, s, c);
  }
  for (int i = 0; i < s->a_count; i++)
    if (!strchr(s->out, s->a[i])) add_axis(&group[3], e, s, s->a[i]);
}

/* Offset of the i-th combination, the last axis fastest. */
static int64_t offset_at(const axis_list *l, const int64_t *stride, int64_t i) {
  int64_t at = 0;
  for (int k = l->count; k-- > 0;) {
    at += i % l->extent[k] * stride[k];
    i /= l->extent[k];
  }
  return at;
}

static int64_t *offsets(sn_arena *arena, const axis_list *l, const int64_t *stride) {
  int64_t *at = SN_ARRAY(arena, l->total + 1, int64_t);
  for (int64_t i = 0; i < l->total; i++) at[i] = offset_at(l, stride, i);
  return at;
}

static void pack(double *to, const double *from, int64_t base, int64_t rows, const int64_t *row, int64_t cols,
                 const int64_t *col) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t k = 0; k < cols; k++) to[i * cols + k] = from[base + row[i] + col[k]];
}

static void multiply(product *p) {
  memset(p->c, 0, (size_t)(p->m * p->n) * sizeof *p->c);
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t k = 0; k < p->k; k++) {
      double a = p->a[i * p->k + k], *restrict c = p->c + i * p->n;
      const double *restrict b = p->b + k * p->n;
      for (int64_t j = 0; j < p->n; j++) c[j] += a * b[j];
    }
}

static void prepare_bounds(product *p, double gamma) {
  for (int64_t i = 0; i < p->k * p->n; i++) {
    double size = fabs(p->b[i]);
    p->b_rel[i] = p->eb[i] + gamma * size;
    p->b_abs[i] = size * (1 + gamma) + p->eb[i];
  }
}

static void multiply_bounds(product *p) {
  memset(p->ec, 0, (size_t)(p->m * p->n) * sizeof *p->ec);
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t k = 0; k < p->k; k++) {
      double a = fabs(p->a[i * p->k + k]), ea = p->ea[i * p->k + k], *restrict c = p->ec + i * p->n;
      const double *restrict rel = p->b_rel + k * p->n, *restrict abs = p->b_abs + k * p->n;
      if (ea == 0)
        for (int64_t j = 0; j < p->n; j++) c[j] += a * rel[j];
      else
        for (int64_t j = 0; j < p->n; j++) c[j] += a * rel[j] + ea * abs[j];
    }
}

static bool all_finite(const double *x, int64_t n) {
  double s = 0;
  for (int64_t i = 0; i < n; i++) s += x[i] * 0; /* NaN as soon as one is not */
  return s == 0;
}

/* As multiply_bounds where something is infinite: zero times anything is zero, what is not finite stays certain only if
 * all that it comes from is. */
static void careful_bounds(product *p) {
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t j = 0; j < p->n; j++) {
      double e = 0, doubt = 0;
      bool nan = false;
      for (int64_t k = 0; k < p->k; k++) {
        double a = p->a[i * p->k + k], ea = p->ea[i * p->k + k], b = p->b[k * p->n + j], eb = p->eb[k * p->n + j];
        e += sn_times(fabs(a), p->b_rel[k * p->n + j]) + sn_times(ea, p->b_abs[k * p->n + j]);
        doubt += ea + eb;
        nan |= (isnan(a) && ea == 0) || (isnan(b) && eb == 0);
      }
      double v = p->c[i * p->n + j];
      p->ec[i * p->n + j] = isfinite(v) ? e : nan || doubt == 0 ? 0 : INFINITY;
    }
}

/* c += a b for one k, in f32. */
static void add_outer(const product *p, int64_t k, float *c) {
  for (int64_t i = 0; i < p->m; i++) {
    float a = (float)p->a[i * p->k + k], *restrict row = c + i * p->n;
    const double *restrict b = p->b + k * p->n;
    for (int64_t j = 0; j < p->n; j++) row[j] += a * (float)b[j];
  }
}

/* Sums in f32 over K in a drawn order: forwards, backwards, or even and odd positions apart. */
static void multiply_rounded(sn_eval *e, product *p) {
  uint32_t order = sn_rng_u32(&e->in->shuffle) % 3;
  int64_t cells = p->m * p->n;
  float *c = SN_ARRAY(e->in->arena, 2 * cells + 1, float);
  for (int64_t k = 0; k < p->k; k++) add_outer(p, order == 1 ? p->k - 1 - k : k, c + (order == 2 ? k % 2 * cells : 0));
  for (int64_t i = 0; i < cells; i++) p->c[i] = (double)(float)(c[i] + c[cells + i]);
}

static double settle_one(const product *p, sn_elem elem, double v, double ec) {
  sn_elem acc = sn_acc_of(elem);
  if (!isfinite(v)) return ec;
  double e = ec + (ec > 0 ? (double)p->k * sn_elem_tiny(acc) : 0);
  if (acc != elem) e += sn_rounding(elem, sn_unit(elem), v, e, 1);
  return sn_settle(elem, v, e);
}

static void bound_product(sn_eval *e, product *p) {
  bool is_float = sn_elem_is_float(e->out[0]->elem);
  prepare_bounds(p, is_float ? sn_gamma((double)p->k + 1, sn_unit(sn_acc_of(e->out[0]->elem))) : 0);
  if (all_finite(p->a, p->m * p->k) && all_finite(p->b, p->k * p->n) && all_finite(p->ea, p->m * p->k) &&
      all_finite(p->eb, p->k * p->n))
    multiply_bounds(p);
  else
    careful_bounds(p);
}

static product make_product(sn_arena *arena, const axis_list *group) {
  product p = {.m = group[1].total, .n = group[2].total, .k = group[3].total};
  p.a = SN_ARRAY(arena, p.m * p.k + 1, double);
  p.ea = SN_ARRAY(arena, p.m * p.k + 1, double);
  p.b = SN_ARRAY(arena, p.k * p.n + 1, double);
  p.eb = SN_ARRAY(arena, p.k * p.n + 1, double);
  p.b_rel = SN_ARRAY(arena, p.k * p.n + 1, double);
  p.b_abs = SN_ARRAY(arena, p.k * p.n + 1, double);
  p.c = SN_ARRAY(arena, p.m * p.n + 1, double);
  p.ec = SN_ARRAY(arena, p.m * p.n + 1, double);
  return p;
}

sn_code sn_eval_contract(sn_eval *e) {
  sn_contract_spec s;
  axis_list group[4];
  const sn_tensor *a = e->arg[0], *b = e->arg[1];
  sn_tensor *out = e->out[0];
  sn_arena *arena = e->in->arena;
  if (sn_contract_parse(sn_node_attr(e->n, "spec")->s, &s)) return sn_eval_fail(e, "malformed spec");
  sort_axes(e, &s, group);
  product p = make_product(arena, group);
  int64_t *am = offsets(arena, &group[1], group[1].a), *ak = offsets(arena, &group[3], group[3].a);
  int64_t *bk = offsets(arena, &group[3], group[3].b), *bn = offsets(arena, &group[2], group[2].b);
  int64_t *om = offsets(arena, &group[1], group[1].out), *on = offsets(arena, &group[2], group[2].out);
  for (int64_t i = 0; i < group[0].total; i++) {
    int64_t at_a = offset_at(&group[0], group[0].a, i), at_b = offset_at(&group[0], group[0].b, i);
    int64_t at_out = offset_at(&group[0], group[0].out, i);
    pack(p.a, a->value, at_a, p.m, am, p.k, ak);
    pack(p.b, b->value, at_b, p.k, bk, p.n, bn);
    if (e->bounds) pack(p.ea, a->bound, at_a, p.m, am, p.k, ak);
    if (e->bounds) pack(p.eb, b->bound, at_b, p.k, bk, p.n, bn);
    if (e->in->round && sn_elem_is_float(out->elem) && out->elem != SN_ELEM_F64)
      multiply_rounded(e, &p);
    else
      multiply(&p);
    if (e->bounds) bound_product(e, &p);
    for (int64_t r = 0; r < p.m; r++)
      for (int64_t c = 0; c < p.n; c++) {
        int64_t at = at_out + om[r] + on[c];
        double v = p.c[r * p.n + c];
        if (sn_elem_is_float(out->elem))
          out->value[at] = v;
        else
          sn_int_set(out, at, sn_wrap(out->elem, (int64_t)v));
        if (e->bounds) out->bound[at] = settle_one(&p, out->elem, v, p.ec[r * p.n + c]);
      }
  }
  return SN_OK;
}
