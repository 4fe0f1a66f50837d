/* Reductions of the graph interpreter. */
#include "ir/ref/eval.h"

typedef struct plan { /* the elements of the operand that form one element of the result */
  int kept_count, gone_count;
  int64_t kept_extent[SN_RANK_MAX], kept_stride[SN_RANK_MAX];
  int64_t gone_extent[SN_RANK_MAX], gone_stride[SN_RANK_MAX];
  int64_t terms;
} plan;

static plan plan_of(const sn_tensor *x, int axis_count, const int64_t *axes) {
  plan p = {.terms = 1};
  int64_t stride = 1;
  bool gone[SN_RANK_MAX] = {false};
  for (int i = 0; i < axis_count; i++) gone[axes[i]] = true;
  for (int i = x->rank; i-- > 0; stride *= x->extent[i]) {
    int *n = gone[i] ? &p.gone_count : &p.kept_count; /* innermost first */
    (gone[i] ? p.gone_extent : p.kept_extent)[*n] = x->extent[i];
    (gone[i] ? p.gone_stride : p.kept_stride)[(*n)++] = stride;
    if (gone[i]) p.terms *= x->extent[i];
  }
  return p;
}

/* Offset of the i-th combination, innermost first. */
static int64_t offset_of(int count, const int64_t *extent, const int64_t *stride, int64_t i) {
  int64_t at = 0;
  for (int k = 0; k < count; k++) {
    at += i % extent[k] * stride[k];
    i /= extent[k];
  }
  return at;
}

/* Sums of small whole numbers are exact. */
static bool whole(const double *x, int64_t n, double size, sn_elem e) {
  if (size > (e == SN_ELEM_F64 ? 0x1p53 : 0x1p24)) return false;
  for (int64_t i = 0; i < n; i++)
    if (x[i] != floor(x[i])) return false;
  return true;
}

static void sum_floats(sn_eval *e, const double *x, const double *b, int64_t n, int64_t at) {
  sn_tensor *out = e->out[0];
  double s = 0, size = 0, error = 0;
  for (int64_t i = 0; i < n; i++) s += x[i];
  out->value[at] = s;
  if (!e->bounds) return;
  bool exact = true;
  for (int64_t i = 0; i < n; i++) {
    size += fabs(x[i]) + b[i];
    error += b[i];
    exact &= b[i] == 0;
  }
  if (!isfinite(s)) {
    out->bound[at] = isinf(error) ? INFINITY : 0;
    return;
  }
  if (exact && (n <= 1 || whole(x, n, size, out->elem)) && sn_elem_round(out->elem, s) == s) return;
  sn_elem acc = sn_acc_of(out->elem);
  error += sn_times(sn_gamma((double)n, sn_unit(acc)), size) + (size > 0 ? (double)n * sn_elem_tiny(acc) : 0);
  if (acc != out->elem) error += sn_rounding(out->elem, sn_unit(out->elem), s, error, 1);
  out->bound[at] = sn_settle(out->elem, s, error);
}

static void amax_floats(sn_eval *e, const double *x, const double *b, int64_t n, int64_t at) {
  sn_tensor *out = e->out[0];
  double top = -INFINITY, high = -INFINITY, low = -INFINITY;
  for (int64_t i = 0; i < n && !isnan(top); i++) {
    if (isnan(x[i]))
      top = NAN;
    else if (x[i] > top)
      top = x[i];
  }
  out->value[at] = top;
  if (!e->bounds || !isfinite(top)) return;
  for (int64_t i = 0; i < n; i++) {
    high = fmax(high, x[i] + b[i]);
    low = fmax(low, x[i] - b[i]);
  }
  out->bound[at] = fmax(high - top, top - low);
}

static void argmax_floats(sn_eval *e, const double *x, const double *b, int64_t n, int64_t at) {
  int64_t best = 0;
  for (int64_t i = 1; i < n && !isnan(x[best]); i++)
    if (x[i] > x[best] || isnan(x[i])) best = i;
  sn_int_set(e->out[0], at, best);
  if (!e->bounds) return;
  for (int64_t i = 0; i < n; i++)
    if (i != best && b[i] + b[best] > 0 && !(x[i] + b[i] < x[best] - b[best])) e->out[0]->bound[at] = INFINITY;
}

/* The product of sizes that may grow on the way, whatever the order: an intermediate result may be as large as the
 * product of all factors above 1, and one that is flushed to 0 is multiplied by those. */
static void prod_floats(sn_eval *e, const double *x, const double *b, int64_t n, int64_t at) {
  sn_tensor *out = e->out[0];
  double p = 1, size = 1, most = 1;
  bool exact = true;
  for (int64_t i = 0; i < n; i++) p *= x[i];
  out->value[at] = p;
  if (!e->bounds) return;
  sn_elem acc = sn_acc_of(out->elem);
  for (int64_t i = 0; i < n; i++) {
    exact &= b[i] == 0 && (x[i] == 0 || fabs(x[i]) == 1);
    size = sn_times(size, fabs(x[i]) + b[i]);
    most *= fmax(1, fabs(x[i]) + b[i]);
  }
  if (!isfinite(p)) {
    out->bound[at] = most > sn_elem_max(acc) && !isnan(p) ? INFINITY : 0;
    for (int64_t i = 0; i < n; i++)
      if (b[i] > 0) out->bound[at] = INFINITY;
    return;
  }
  if (exact || (n == 1 && b[0] == 0)) return;
  if (!(most <= sn_elem_max(acc))) {
    out->bound[at] = INFINITY;
    return;
  }
  double flushed = (double)n * sn_elem_tiny(acc) * most;
  double error = size * (1 + sn_gamma((double)n, sn_unit(acc))) - fabs(p) + flushed;
  error += sn_rounding(out->elem, sn_unit(out->elem), p, error, 1);
  out->bound[at] = sn_settle(out->elem, p, error);
}

/* In an order that the interpreter draws, rounded as the type accumulates. */
static double shuffled_product(sn_eval *e, const double *x, int64_t n) {
  sn_elem acc = sn_acc_of(e->out[0]->elem);
  bool backwards = sn_rng_u32(&e->in->shuffle) % 2;
  double p = 1;
  for (int64_t i = 0; i < n; i++) p = sn_elem_round(acc, p * x[backwards ? n - 1 - i : i]);
  return p;
}

static int64_t least(sn_elem e) {
  return e == SN_ELEM_I64 ? INT64_MIN : e == SN_ELEM_I32 ? INT32_MIN : e == SN_ELEM_I8 ? INT8_MIN : 0;
}
static int64_t greatest(sn_elem e) {
  return e == SN_ELEM_I64 ? INT64_MAX : e == SN_ELEM_I32 ? INT32_MAX : e == SN_ELEM_I8 ? INT8_MAX : UINT8_MAX;
}

static int64_t reduce_ints(sn_op op, sn_elem e, const int64_t *x, int64_t n) {
  int64_t r = op == SN_OP_AMAX ? least(e) : op == SN_OP_AMIN ? greatest(e) : op == SN_OP_PROD;
  for (int64_t i = 0; i < n; i++) {
    if (op == SN_OP_SUM)
      r = (int64_t)((uint64_t)r + (uint64_t)x[i]);
    else if (op == SN_OP_PROD)
      r = (int64_t)((uint64_t)r * (uint64_t)x[i]);
    else if (op == SN_OP_AMIN)
      r = x[i] < r ? x[i] : r;
    else if (op == SN_OP_ARGMIN)
      r = x[i] < x[r] ? i : r;
    else if (op == SN_OP_AMAX)
      r = x[i] > r ? x[i] : r;
    else if (x[i] > x[r])
      r = i;
  }
  return r;
}

static void reduce_float_row(sn_eval *e, double *x, const double *b, int64_t n, int64_t at) {
  sn_op op = e->n->op;
  bool lowest = op == SN_OP_AMIN || op == SN_OP_ARGMIN;
  for (int64_t i = 0; lowest && i < n; i++) x[i] = -x[i];
  if (op == SN_OP_AMAX || op == SN_OP_AMIN)
    amax_floats(e, x, b, n, at);
  else if (op == SN_OP_ARGMAX || op == SN_OP_ARGMIN)
    argmax_floats(e, x, b, n, at);
  else if (op == SN_OP_PROD && e->in->round)
    e->out[0]->value[at] = shuffled_product(e, x, n);
  else if (op == SN_OP_PROD)
    prod_floats(e, x, b, n, at);
  else if (e->in->round)
    e->out[0]->value[at] = sn_eval_shuffled(e, e->out[0]->elem, x, n);
  else
    sum_floats(e, x, b, n, at);
  if (op == SN_OP_AMIN) e->out[0]->value[at] = -e->out[0]->value[at];
}

static void reduce_int_row(sn_eval *e, const int64_t *x, const double *b, int64_t n, int64_t at) {
  sn_int_set(e->out[0], at, sn_wrap(e->out[0]->elem, reduce_ints(e->n->op, e->arg[0]->elem, x, n)));
  for (int64_t i = 0; e->bounds && i < n; i++)
    if (b[i] > 0) e->out[0]->bound[at] = INFINITY;
}

sn_code sn_eval_reduce(sn_eval *e) {
  const sn_tensor *x = e->arg[0];
  bool position = e->n->op == SN_OP_ARGMAX || e->n->op == SN_OP_ARGMIN;
  const sn_attr *axes = position ? NULL : sn_node_attr(e->n, "axes");
  const int64_t one[1] = {axes ? 0 : sn_node_attr(e->n, "axis")->i};
  plan p = plan_of(x, axes ? axes->count : 1, axes ? axes->ints : one);
  if (p.terms == 0 && position) return sn_eval_fail(e, "has no element to choose from");
  double *v = SN_ARRAY(e->in->arena, p.terms + 1, double), *b = SN_ARRAY(e->in->arena, p.terms + 1, double);
  int64_t *w = SN_ARRAY(e->in->arena, p.terms + 1, int64_t);
  bool floats = sn_elem_is_float(x->elem);
  for (int64_t i = 0; i < e->out[0]->count; i++) {
    int64_t base = offset_of(p.kept_count, p.kept_extent, p.kept_stride, i);
    for (int64_t k = 0; k < p.terms; k++) {
      int64_t at =
          base + (p.gone_count == 1 ? k * p.gone_stride[0] : offset_of(p.gone_count, p.gone_extent, p.gone_stride, k));
      v[k] = x->value[at];
      if (e->bounds) b[k] = x->bound[at];
      if (!floats) w[k] = sn_int_at(x, at);
    }
    if (floats)
      reduce_float_row(e, v, b, p.terms, i);
    else
      reduce_int_row(e, w, b, p.terms, i);
  }
  return SN_OK;
}
