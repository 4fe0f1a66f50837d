/* Attention and its gradient in the graph interpreter, row by row from the definition; regions are applied to the whole
 * [B, H, T, S] tensor of scores at once.
 *
 * 1. raw scores and their bounds   2. score and mask regions (and d score / d s for the gradient), as a body
 * 3. per query row: softmax, weighted sum; for the gradient dp = dy.v, ds = p (dp - dy.y + dtotal) score', then dq, dk,
 *    dv. Where scores are the weights themselves: ds = (dp + dtotal) score'
 *
 * Bounds: an error d of a score changes its weight by the factor e^d; executions may use exp2 with a folded scale and
 * rescale running sums, which SLACK roundoffs cover. Every weight, product and partial sum may be flushed: each adds
 * the smallest normal number, times what it is multiplied with. What is multiplied by a weight of 0 without being
 * finite may reach a result or not: blocks of hidden keys are skipped, single ones are not. Such results have no bound.
 */
#include "ir/ref/eval.h"

#define SLACK 64

typedef struct heads { /* extents, tensors, and regions applied */
  sn_eval *e;
  int64_t B, T, S, H, G, D, E;
  const sn_tensor *q, *k, *v;
  sn_tensor *raw;
  const sn_tensor *s, *mask, *slope; /* [B, H, T, S]; mask, slope may be NULL */
  double scale, u, u_store;          /* roundoff of sums; of weights stored in the type of q (0: none) */
  double tiny;                       /* smallest normal number of sums */
  bool weights;                      /* scores are not normalised */
} heads;

typedef struct spot {
  int64_t b, h, t;
} spot;

static int64_t q_at(const heads *a, spot p) { return ((p.b * a->T + p.t) * a->H + p.h) * a->D; }
static int64_t y_at(const heads *a, spot p) { return ((p.b * a->T + p.t) * a->H + p.h) * a->E; }
static int64_t kv_at(const heads *a, spot p, int64_t s, int64_t width) {
  return ((p.b * a->S + s) * a->G + p.h / (a->H / a->G)) * width;
}
static int64_t row_at(const heads *a, spot p) { return (p.b * a->H + p.h) * a->T + p.t; }

/* Value and bound of a dot product. */
typedef struct num {
  double v, e, size;
} num;

static num dot(const heads *a, const sn_tensor *x, int64_t i, const sn_tensor *y, int64_t k, int64_t n) {
  num r = {0};
  for (int64_t j = 0; j < n; j++) r.v += x->value[i + j] * y->value[k + j];
  if (!a->e->bounds) return r;
  for (int64_t j = 0; j < n; j++) {
    double xv = fabs(x->value[i + j]), yv = fabs(y->value[k + j]), xe = x->bound[i + j], ye = y->bound[k + j];
    r.size += xv * yv;
    r.e += sn_times(xv, ye) + sn_times(yv, xe) + sn_times(xe, ye);
  }
  r.e += sn_gamma((double)n + 2, a->u) * r.size + (r.size > 0 ? 2 * (double)n * a->tiny : 0);
  return r;
}

/* Queries may be scaled before they are multiplied with the key, or the products. */
static double scaled_flush(const heads *a, int64_t key) {
  double keys = 1;
  for (int64_t j = 0; j < a->D; j++) keys += fabs(a->k->value[key + j]) + a->k->bound[key + j];
  return (keys + 2 * (double)a->D) * a->tiny;
}

static sn_code raw_scores(heads *a, sn_tensor **out) {
  const int64_t extent[4] = {a->B, a->H, a->T, a->S};
  SN_TRY(sn_eval_tensor(a->e, sn_acc_of(a->q->elem), 4, extent, out));
  for (int64_t r = 0; r < a->B * a->H * a->T; r++) {
    spot p = {r / (a->H * a->T), r / a->T % a->H, r % a->T};
    for (int64_t s = 0; s < a->S; s++) {
      num x = dot(a, a->q, q_at(a, p), a->k, kv_at(a, p, s, a->D), a->D);
      (*out)->value[r * a->S + s] = x.v * a->scale;
      if (!a->e->bounds) continue;
      double *e = &(*out)->bound[r * a->S + s];
      *e = fabs(a->scale) * (x.e + 2 * a->u * fabs(x.v));
      if (x.size > 0) *e += scaled_flush(a, kv_at(a, p, s, a->D));
    }
  }
  return SN_OK;
}

/* ---- regions ---- */

/* Results: scores, mask (the scores again without one), and for the gradient d score / d raw. */
static void make_regions(sn_build *b, const sn_node *n, const sn_val *arg, const sn_val *extra) {
  sn_val mask, s = sn_attention_scores(b, n, arg, extra[0], &mask);
  if (b->failed) return;
  sn_func_return(b->func, s);
  sn_func_return(b->func, mask ? mask : s);
  if (n->op != SN_OP_ATTENTION_GRAD) return;
  sn_val one = sn_g_const_like(b, s, 1), slope = 0;
  if (b->failed || sn_derive(b, 1, &s, &one, 1, extra, &slope)) return;
  sn_func_return(b->func, slope ? slope : sn_g_const_like(b, s, 0));
}

static const sn_type *score_type(sn_eval *e) {
  const sn_type *q = sn_val_type(e->f, e->n->arg[0]), *k = sn_val_type(e->f, e->n->arg[1]);
  const sn_dimx *dim[4] = {q->dim[0], q->dim[2], q->dim[1], k->dim[1]};
  return sn_type_of(e->f->module->types, sn_acc_of(q->elem), 4, dim);
}

static sn_code apply_regions(heads *a, sn_tensor *raw) {
  sn_eval *e = a->e;
  const sn_type *extra = score_type(e);
  const sn_func *body;
  int n = e->n->arg_count;
  sn_tensor *result[3], **args = SN_ARRAY(e->in->arena, n + 1, sn_tensor *);
  SN_TRY(sn_eval_body(e, 0, 1, &extra, make_regions, &body));
  for (int i = 0; i < n; i++) args[i] = e->arg[i];
  args[n] = raw;
  SN_TRY(sn_eval_quietly(e, body, n + 1, args, result));
  a->s = result[0];
  a->mask = sn_node_attr(e->n, "mask")->region ? result[1] : NULL;
  a->slope = e->n->op == SN_OP_ATTENTION_GRAD ? result[2] : NULL;
  return SN_OK;
}

static sn_code begin(sn_eval *e, heads *a) {
  const sn_tensor *q = e->arg[0], *k = e->arg[1], *v = e->arg[2];
  *a = (heads){.e = e,
               .B = q->extent[0],
               .T = q->extent[1],
               .H = q->extent[2],
               .D = q->extent[3],
               .S = k->extent[1],
               .G = k->extent[2],
               .E = v->extent[3],
               .q = q,
               .k = k,
               .v = v};
  a->scale = sn_node_attr(e->n, "scale")->f;
  a->weights = sn_node_attr(e->n, "weights")->i != 0;
  a->u = sn_unit(sn_acc_of(q->elem)), a->tiny = sn_elem_tiny(sn_acc_of(q->elem));
  a->u_store = q->elem == sn_acc_of(q->elem) ? 0 : sn_unit(q->elem);
  SN_TRY(raw_scores(a, &a->raw));
  return apply_regions(a, a->raw);
}

static bool visible(const heads *a, int64_t at) { return !a->mask || a->mask->value[at] != 0; }
static bool mask_doubt(const heads *a, int64_t at) { return a->mask && a->mask->bound[at] > 0; }

/* ---- forward ---- */

/* Relative error of a weight e^s. */
static double weight_error(const heads *a, int64_t at, double m) {
  return expm1(a->s->bound[at] + 4 * a->u * (fabs(a->s->value[at]) + fabs(m)) + SLACK * a->u);
}

typedef struct softmax_stats {
  double m, sum, doubt;
  int64_t seen;
} softmax_stats; /* doubt: weighted mean of the relative errors */

static softmax_stats softmax_row(const heads *a, int64_t base, double *p) {
  softmax_stats r = {.m = -INFINITY};
  bool unsure = false;
  for (int64_t s = 0; s < a->S; s++) {
    if (a->e->bounds) unsure |= mask_doubt(a, base + s);
    if (!visible(a, base + s)) continue;
    r.m = fmax(r.m, a->s->value[base + s]);
    r.seen++;
  }
  for (int64_t s = 0; s < a->S; s++) {
    p[s] = visible(a, base + s) ? exp(a->s->value[base + s] - r.m) : 0;
    r.sum += p[s];
  }
  for (int64_t s = 0; s < a->S && r.seen; s++) {
    p[s] /= r.sum;
    if (a->e->bounds && visible(a, base + s)) r.doubt += p[s] * weight_error(a, base + s, r.m);
  }
  if (unsure) r.doubt = INFINITY;
  return r;
}

/* Bound of y[j] = sum p v: weights move towards and away from the mean, sums round, stored weights round. */
static double y_bound(const heads *a, const softmax_stats *r, spot p, const double *w, int64_t base, int64_t j,
                      double y) {
  double spread = 0, own = 0, size = 0, flushed = 0;
  for (int64_t s = 0; s < a->S; s++) {
    if (!visible(a, base + s)) continue;
    int64_t at = kv_at(a, p, s, a->E) + j;
    double v = fabs(a->v->value[at]), d = weight_error(a, base + s, r->m);
    spread += w[s] * d * fabs(a->v->value[at] - y);
    own += sn_times(w[s] * (1 + d), a->v->bound[at]);
    size += w[s] * (v + a->v->bound[at]);
    flushed += v + fabs(y) + a->v->bound[at] + 3; /* the weight; its product, the sum, their rescaling */
  }
  double slack = r->doubt < 1 ? 1 / (1 - r->doubt) : INFINITY;
  double e = slack * (spread + own + (2 * sn_gamma((double)r->seen + 8, a->u) + a->u_store) * size);
  e += slack * a->tiny * flushed; /* of a sum of weights that is 1 at least */
  return e + sn_rounding(a->q->elem, sn_unit(a->q->elem), y, e, 2);
}

/* Does a weight of 0 meet what is not finite, or may not be? */
static bool meets_nan(const heads *a, spot p, const double *w, int64_t j) {
  for (int64_t s = 0; s < a->S; s++)
    if (w[s] == 0 && !isfinite(a->v->value[kv_at(a, p, s, a->E) + j] + a->v->bound[kv_at(a, p, s, a->E) + j]))
      return true;
  return false;
}

static void forward_row(const heads *a, spot p, double *w) {
  sn_tensor *y = a->e->out[0], *lse = a->e->out[1];
  int64_t at = row_at(a, p), base = at * a->S;
  softmax_stats r = softmax_row(a, base, w);
  lse->value[at] = r.seen ? r.m + log(r.sum) : -INFINITY;
  if (a->e->bounds)
    lse->bound[at] = isinf(r.doubt) ? INFINITY
                     : !r.seen      ? 0
                                    : sn_settle(lse->elem, lse->value[at],
                                                -log1p(-fmin(r.doubt, 0.999)) + sn_gamma((double)r.seen + 8, a->u) +
                                                    16 * a->u * (1 + fabs(r.m) + fabs(lse->value[at])));
  for (int64_t j = 0; j < a->E; j++) {
    double s = 0;
    for (int64_t i = 0; i < a->S && r.seen; i++)
      if (w[i] != 0) s += w[i] * a->v->value[kv_at(a, p, i, a->E) + j];
    y->value[y_at(a, p) + j] = s;
    if (a->e->bounds)
      y->bound[y_at(a, p) + j] = isinf(r.doubt) || meets_nan(a, p, w, j) ? INFINITY
                                 : !r.seen                               ? 0
                                           : sn_settle(y->elem, s, y_bound(a, &r, p, w, base, j, s));
  }
}

/* A score as a weight. */
static num plain_weight(const heads *a, int64_t at) {
  double v = visible(a, at) ? a->s->value[at] : 0;
  if (!a->e->bounds) return (num){v, 0, fabs(v)};
  double e = mask_doubt(a, at) ? INFINITY : visible(a, at) ? a->s->bound[at] : 0;
  return (num){v, e, fabs(v)};
}

/* sum of w v[j], or of w when v is NULL. Sums of weights and of values need not have one order of keys. */
static num plain_sum(const heads *a, spot p, const sn_tensor *v, int64_t j) {
  int64_t base = row_at(a, p) * a->S;
  num r = {0};
  for (int64_t s = 0; s < a->S; s++) {
    num w = plain_weight(a, base + s);
    int64_t at = v ? kv_at(a, p, s, a->E) + j : 0;
    double x = v ? v->value[at] : 1, xe = v && a->e->bounds ? v->bound[at] : 0;
    if (w.v == 0 && w.e == 0) {
      if (!isfinite(x + xe)) r.e = INFINITY;
      continue;
    }
    r.v += w.v * x;
    r.size += w.size * fabs(x);
    r.e += sn_times(w.size, xe) + sn_times(w.e, fabs(x)) + sn_times(w.e, xe);
  }
  r.e += (sn_gamma((double)a->S + 4, a->u) + a->u_store) * r.size + (r.size > 0 ? 2 * (double)a->S * a->tiny : 0);
  return r;
}

static void settle(const heads *a, sn_tensor *t, int64_t at, num x) {
  t->value[at] = x.v;
  if (a->e->bounds) t->bound[at] = sn_settle(t->elem, x.v, x.e + sn_rounding(t->elem, sn_unit(t->elem), x.v, x.e, 2));
}

static void plain_row(const heads *a, spot p) {
  settle(a, a->e->out[1], row_at(a, p), plain_sum(a, p, NULL, 0));
  for (int64_t j = 0; j < a->E; j++) settle(a, a->e->out[0], y_at(a, p) + j, plain_sum(a, p, a->v, j));
}

static sn_code forward(sn_eval *e) {
  heads a;
  SN_TRY(begin(e, &a));
  double *w = SN_ARRAY(e->in->arena, a.S + 1, double);
  for (int64_t r = 0; r < a.B * a.H * a.T; r++) {
    spot p = {r / (a.H * a.T), r / a.T % a.H, r % a.T};
    if (a.weights)
      plain_row(&a, p);
    else
      forward_row(&a, p, w);
  }
  return SN_OK;
}

/* ---- backward ---- */

typedef struct back { /* operands of the gradient, and sums of sizes for the rounding of the results */
  const sn_tensor *y, *lse, *dy, *dtotal; /* dtotal: NULL when there is none */
  sn_tensor *ds;                          /* [B, H, T, S], by the score */
  double *size[3];                        /* per element of dq, dk, dv */
} back;

static num weight(const heads *a, const back *g, int64_t at, int64_t row) {
  if (a->weights) return plain_weight(a, at);
  double lse = g->lse->value[row];
  if (!visible(a, at)) return (num){0, a->e->bounds && mask_doubt(a, at) ? INFINITY : 0, 0};
  if (isinf(lse)) return (num){0, a->e->bounds ? INFINITY : 0, 0};
  num p = {exp(a->s->value[at] - lse), 0, 0};
  if (!a->e->bounds) return p;
  double d =
      expm1(a->s->bound[at] + g->lse->bound[row] + 4 * a->u * (fabs(a->s->value[at]) + fabs(lse)) + SLACK * a->u);
  p.e = mask_doubt(a, at) ? INFINITY : sn_times(p.v, d) + (p.v - sn_times(p.v, d) < 2 * a->tiny ? a->tiny : 0);
  return p;
}

/* sum of dy y - dtotal; of weights: -dtotal */
static num delta_of(const heads *a, const back *g, spot p) {
  num d = {0};
  if (!a->weights) d = dot(a, g->dy, y_at(a, p), g->y, y_at(a, p), a->E);
  if (!g->dtotal) return d;
  int64_t row = row_at(a, p);
  d.v -= g->dtotal->value[row];
  if (a->e->bounds) d.e += g->dtotal->bound[row] + a->u * fabs(d.v);
  return d;
}

/* What a score's gradient is of (dp - delta): its weight, or for weights 1 where it counts. */
static num share(const heads *a, num p, int64_t at) {
  if (!a->weights) return p;
  return (num){visible(a, at), a->e->bounds && mask_doubt(a, at) ? INFINITY : 0, 0};
}

/* p (dp - delta) slope scale */
static num score_gradient(const heads *a, num p, num dp, num delta, int64_t at) {
  double f = dp.v - delta.v, fe = dp.e + delta.e + a->u * fabs(f);
  if (fabs(f) + fe > 0) fe += a->tiny;
  double k = a->slope->value[at] * a->scale, ke = a->e->bounds ? a->slope->bound[at] * fabs(a->scale) : 0;
  if (p.v == 0 && p.e == 0) return (num){0};
  num r = {p.v * f * k, 0, 0};
  if (!a->e->bounds) return r;
  double pf = fabs(p.v * f), pfe = sn_times(p.v, fe) + sn_times(p.e, fabs(f)) + sn_times(p.e, fe);
  r.e = sn_times(pf, ke) + sn_times(pfe, fabs(k)) + sn_times(pfe, ke) + 4 * a->u * fabs(r.v);
  if (pf + pfe > 0 && fabs(k) + ke > 0)
    r.e += a->tiny * (fabs(k) + ke + fabs(a->scale) + 1); /* p (dp - delta), times slope, times scale */
  return r;
}

/* p (dp - delta), by the score itself */
static void keep_gradient(const heads *a, sn_tensor *ds, num p, num dp, num delta, int64_t at) {
  double f = dp.v - delta.v, fe = dp.e + delta.e + a->u * fabs(f);
  if (fabs(f) + fe > 0) fe += a->tiny;
  ds->value[at] = p.v == 0 ? 0 : p.v * f;
  if (!a->e->bounds) return;
  ds->bound[at] = sn_times(p.v, fe) + sn_times(p.e, fabs(f)) + sn_times(p.e, fe) + 2 * a->u * fabs(p.v * f);
  if (fabs(f) + fe > 0) ds->bound[at] += a->tiny;
  if (p.v == 0 && p.e == 0) ds->bound[at] = isfinite(f + fe) ? 0 : INFINITY;
}

/* out[i ..] += x * y[k ..] with bounds; the rounding of a stored x counts. */
static void add_row(const heads *a, sn_tensor *out, double *size, int64_t i, num x, const sn_tensor *y, int64_t k,
                    int64_t n) {
  for (int64_t j = 0; x.v == 0 && a->e->bounds && j < n; j++)
    if (!isfinite(y->value[k + j] + y->bound[k + j])) out->bound[i + j] = INFINITY;
  if (x.v == 0 && x.e == 0) return;
  double xe = x.e + a->u_store * (fabs(x.v) + x.e);
  for (int64_t j = 0; j < n; j++) out->value[i + j] += x.v * y->value[k + j];
  for (int64_t j = 0; a->e->bounds && j < n; j++) {
    double yv = fabs(y->value[k + j]), ye = y->bound[k + j];
    out->bound[i + j] += sn_times(fabs(x.v), ye) + sn_times(xe, yv) + sn_times(xe, ye);
    size[i + j] += fabs(x.v) * yv;
  }
}

static void forget_row(sn_tensor *out, int64_t i, int64_t n) {
  for (int64_t j = 0; j < n; j++) out->bound[i + j] = INFINITY;
}

static void backward_row(const heads *a, const back *g, spot p) {
  int64_t row = row_at(a, p), base = row * a->S;
  num delta = delta_of(a, g, p);
  for (int64_t s = 0; s < a->S; s++) {
    int64_t k = kv_at(a, p, s, a->D), v = kv_at(a, p, s, a->E);
    num w = weight(a, g, base + s, row), dp = dot(a, g->dy, y_at(a, p), a->v, v, a->E);
    num part = share(a, w, base + s), ds = score_gradient(a, part, dp, delta, base + s);
    keep_gradient(a, g->ds, part, dp, delta, base + s);
    if (part.v == 0 && a->e->bounds && !isfinite((dp.v - delta.v) * a->slope->value[base + s] + dp.e + delta.e)) {
      forget_row(a->e->out[0], q_at(a, p), a->D);
      forget_row(a->e->out[1], k, a->D);
    }
    add_row(a, a->e->out[0], g->size[0], q_at(a, p), ds, a->k, k, a->D);
    add_row(a, a->e->out[1], g->size[1], k, ds, a->q, q_at(a, p), a->D);
    add_row(a, a->e->out[2], g->size[2], v, w, g->dy, y_at(a, p), a->E);
  }
}

/* Rounding of sums of n products, which may be scaled afterwards. */
static void settle_sums(const heads *a, sn_tensor *t, const double *size, int64_t n, double scale) {
  for (int64_t i = 0; a->e->bounds && i < t->count; i++) {
    double e = t->bound[i] + sn_gamma((double)n + 4, a->u) * size[i];
    if (size[i] > 0 || e > 0) e += 2 * (double)n * a->tiny * fmax(1, fabs(scale)) + a->tiny;
    e += sn_rounding(t->elem, sn_unit(t->elem), t->value[i], e, 1);
    t->bound[i] = sn_settle(t->elem, t->value[i], e);
  }
}

static void make_sums(sn_build *b, const sn_node *n, const sn_val *arg, const sn_val *extra) {
  sn_val *out = SN_ARRAY(b->func->arena, n->result_count, sn_val);
  sn_attention_sums(b, n, arg, extra[0], extra[1], out);
  for (int i = 0; i < n->result_count - 3 && !b->failed; i++) sn_func_return(b->func, out[i]);
}

/* The results after dq, dk and dv, from the gradients by scores. */
static sn_code eval_sums(sn_eval *e, sn_tensor *raw, sn_tensor *ds) {
  int n = e->n->arg_count;
  const sn_func *body;
  const sn_type *extra[2] = {score_type(e), score_type(e)};
  sn_tensor **args = SN_ARRAY(e->in->arena, n + 2, sn_tensor *);
  if (e->n->result_count <= 3) return SN_OK;
  SN_TRY(sn_eval_body(e, 2, 2, extra, make_sums, &body));
  for (int i = 0; i < n; i++) args[i] = e->arg[i];
  args[n] = raw, args[n + 1] = ds;
  return sn_eval_quietly(e, body, n + 2, args, e->out + 3);
}

static sn_code backward(sn_eval *e) {
  heads a;
  sn_attention_layout l = sn_attention_layout_of(e->n);
  back g = {e->arg[3], e->arg[4], e->arg[5], l.dtotal >= 0 ? e->arg[l.dtotal] : NULL, NULL, {NULL}};
  SN_TRY(begin(e, &a));
  const int64_t extent[4] = {a.B, a.H, a.T, a.S};
  SN_TRY(sn_eval_tensor(e, sn_acc_of(a.q->elem), 4, extent, &g.ds));
  for (int i = 0; i < 3; i++) g.size[i] = SN_ARRAY(e->in->arena, e->out[i]->count + 1, double);
  for (int64_t r = 0; r < a.B * a.H * a.T; r++) backward_row(&a, &g, (spot){r / (a.H * a.T), r / a.T % a.H, r % a.T});
  settle_sums(&a, e->out[0], g.size[0], a.S, a.scale);
  for (int i = 1; i < 3; i++) settle_sums(&a, e->out[i], g.size[i], a.T * (a.H / a.G), i == 1 ? a.scale : 1);
  return eval_sums(e, a.raw, g.ds);
}

/* ---- executions in the declared types: through the expansion and its derivative ---- */

static void make_forward(sn_build *b, const sn_node *n, const sn_val *arg, const sn_val *extra) {
  (void)extra;
  sn_val lse = 0, y = sn_attention_expand_lse(b, n, arg, &lse);
  if (b->failed) return;
  sn_func_return(b->func, y);
  sn_func_return(b->func, lse);
}

/* attention_grad has y, total, dy and maybe dtotal between v and the captures; the expansion reads operands by its
 * layout, q, k, v first. */
static void make_backward(sn_build *b, const sn_node *n, const sn_val *arg, const sn_val *extra) {
  (void)extra;
  int dtotal = sn_attention_layout_of(n).dtotal;
  sn_val of[2], d[4] = {0}, with[2] = {arg[5], dtotal >= 0 ? arg[dtotal] : 0}, inside[2] = {0};
  of[0] = sn_attention_expand_inside(b, n, arg, &of[1], inside);
  const sn_val wrt[4] = {arg[0], arg[1], arg[2], inside[1]};
  sn_val *sum = SN_ARRAY(b->func->arena, n->result_count, sn_val);
  if (b->failed || sn_derive(b, dtotal >= 0 ? 2 : 1, of, with, 4, wrt, d)) return;
  for (int i = 0; i < 3; i++) sn_func_return(b->func, d[i] ? d[i] : sn_g_const_like(b, arg[i], 0));
  sn_attention_sums(b, n, arg, inside[0], d[3] ? d[3] : sn_g_const_like(b, inside[1], 0), sum);
  for (int i = 0; i < n->result_count - 3 && !b->failed; i++) sn_func_return(b->func, sum[i]);
}

/* With keys and values in pages: the same of their rows side by side. */
static void make_side_by_side(sn_build *b, const sn_node *n, const sn_val *arg, const sn_val *extra) {
  (void)extra;
  sn_val y = sn_attention_side_by_side(b, n, arg);
  if (b->failed) return;
  sn_func_return(b->func, y);
  sn_func_return(b->func, y + 1);
}

static sn_code rounded(sn_eval *e) {
  const sn_func *body;
  SN_TRY(sn_eval_body(e, 1, 0, NULL, e->n->op == SN_OP_ATTENTION ? make_forward : make_backward, &body));
  return sn_eval_quietly(e, body, e->n->arg_count, e->arg, e->out);
}

static sn_code paged(sn_eval *e) {
  const sn_func *body;
  SN_TRY(sn_eval_body(e, 2, 0, NULL, make_side_by_side, &body));
  return sn_eval_quietly(e, body, e->n->arg_count, e->arg, e->out);
}

sn_code sn_eval_attention(sn_eval *e) {
  if (sn_attention_layout_of(e->n).pages >= 0) return paged(e);
  if (e->in->round) return rounded(e);
  return e->n->op == SN_OP_ATTENTION ? forward(e) : backward(e);
}
