/* Prefixes along an axis in the graph interpreter: cumsum, cumprod, cummax, recur. An execution may combine elements in
 * any association, so bounds are those of sums and products in any order. */
#include "ir/ref/eval.h"

typedef struct line { /* elements along the axis, first to last in the order of the prefix */
  sn_eval *e;
  int64_t count, first, step; /* element i is at first + i * step */
  bool exclusive;
} line;

static int64_t at(const line *l, int64_t i) { return l->first + i * l->step; }
/* Position along the axis. */
static int64_t place(const line *l, int64_t i) { return l->step < 0 ? l->count - 1 - i : i; }
static double bound(const line *l, int arg, int64_t i) { return l->e->bounds ? l->e->arg[arg]->bound[at(l, i)] : 0; }

/* The result at i, known within b before it is rounded to the type. flushed: how many denormals may have gone in it. */
static void put(const line *l, int64_t i, double v, double b, double flushed) {
  sn_tensor *out = l->e->out[0];
  sn_elem acc = sn_acc_of(out->elem);
  out->value[at(l, i)] = v;
  if (!l->e->bounds) return;
  if (!isfinite(v)) {
    out->bound[at(l, i)] = isinf(b) || isnan(b) ? INFINITY : 0;
    return;
  }
  b += sn_times(flushed, sn_elem_tiny(acc));
  if (acc != out->elem) b += sn_rounding(out->elem, sn_unit(out->elem), v, b, 1);
  out->bound[at(l, i)] = sn_settle(out->elem, v, b);
}

static double kept(const line *l, double v) {
  return l->e->in->round ? sn_elem_round(sn_acc_of(l->e->out[0]->elem), v) : v;
}

/* ---- integers ---- */

static uint64_t combine(sn_op op, uint64_t a, uint64_t b) {
  if (op == SN_OP_CUMSUM) return a + b;
  return op == SN_OP_CUMPROD ? a * b : (int64_t)b > (int64_t)a ? b : a;
}

static void integers(const line *l) {
  const sn_tensor *x = l->e->arg[0];
  sn_op op = l->e->n->op;
  uint64_t sum = op == SN_OP_CUMPROD;
  int64_t best = 0;
  bool doubt = false;
  for (int64_t i = 0; i < l->count; i++) {
    uint64_t v = (uint64_t)sn_int_at(x, at(l, i)), next = i || op != SN_OP_CUMMAX ? combine(op, sum, v) : v;
    bool doubtful = doubt || bound(l, 0, i) > 0;
    sn_int_set(l->e->out[0], at(l, i), sn_wrap(x->elem, (int64_t)(l->exclusive ? sum : next)));
    if (l->e->bounds && (l->exclusive ? doubt : doubtful)) l->e->out[0]->bound[at(l, i)] = INFINITY;
    if (op == SN_OP_CUMMAX) {
      if (next != sum || !i) best = place(l, i);
      sn_int_set(l->e->out[1], at(l, i), best);
      if (l->e->bounds && doubtful) l->e->out[1]->bound[at(l, i)] = INFINITY;
    }
    sum = next;
    doubt = doubtful;
  }
}

/* ---- sums ---- */

typedef struct total {
  double v, size, error; /* size: sum of magnitudes */
  int64_t terms;
  bool whole; /* small whole numbers without errors: exact */
} total;

static void put_total(const line *l, int64_t i, const total *t) {
  sn_elem e = l->e->out[0]->elem, acc = sn_acc_of(e);
  double b = t->error, n = (double)t->terms;
  bool exact = t->error == 0 && (t->terms <= 1 || (t->whole && t->size <= (acc == SN_ELEM_F64 ? 0x1p53 : 0x1p24)));
  if (exact && sn_elem_round(e, t->v) == t->v) {
    l->e->out[0]->value[at(l, i)] = t->v;
    return;
  }
  if (!exact) b += sn_times(sn_gamma(n, sn_unit(acc)), t->size);
  put(l, i, t->v, b, exact || t->size == 0 ? 0 : n);
}

static void sums(const line *l) {
  const sn_tensor *x = l->e->arg[0];
  total t = {.whole = true};
  for (int64_t i = 0; i < l->count; i++) {
    double v = x->value[at(l, i)], b = bound(l, 0, i);
    if (l->exclusive) put_total(l, i, &t);
    t.v = kept(l, t.v + v);
    t.size += fabs(v) + b;
    t.error += b;
    t.terms++;
    t.whole &= v == floor(v);
    if (!l->exclusive) put_total(l, i, &t);
  }
}

/* ---- products ---- */

typedef struct product {
  double v, error;       /* before rounding */
  int64_t terms;         /* factors */
  double log, low, high; /* binary logarithm of the product; least and most of it before */
  double down, up;       /* of the smallest and the largest product of neighbours */
} product;

static void put_product(const line *l, int64_t i, const product *p) {
  sn_elem acc = sn_acc_of(l->e->out[0]->elem);
  double u = sn_unit(acc), b = p->error;
  double smallest = log2(sn_elem_tiny(acc)) + 1, largest = log2(sn_elem_max(acc)) - 1;
  if (p->terms > 1) b += sn_times(sn_gamma((double)p->terms, u), fabs(p->v) + p->error);
  bool lost = p->down<smallest, over = p->up> largest;
  if (lost && !over) b += sn_elem_tiny(acc) * (double)p->terms * exp2(fmax(0, p->up));
  put(l, i, p->v, over ? INFINITY : b, 0);
}

static void take_factor(product *p, double v, double b) {
  double size = log2(fabs(v) + b), least = log2(fabs(v) - b > 0 ? fabs(v) - b : v == 0 ? 1 : 0);
  p->error = sn_times(p->error, fabs(v) + b) + sn_times(fabs(p->v), b);
  p->terms++;
  p->high = fmax(p->high, p->log); /* segments start after any earlier factor */
  p->low = fmin(p->low, p->log);
  if (v == 0 && b == 0) size = 0; /* products that hold it are 0 */
  p->log += size;
  p->up = fmax(p->up, p->log - p->low);
  p->down = fmin(p->down, fmin(p->log - p->high, least));
}

static void products(const line *l) {
  const sn_tensor *x = l->e->arg[0];
  product p = {.v = 1};
  for (int64_t i = 0; i < l->count; i++) {
    double v = x->value[at(l, i)];
    if (l->exclusive) put_product(l, i, &p);
    take_factor(&p, v, bound(l, 0, i));
    p.v = kept(l, p.v * v);
    if (!l->exclusive) put_product(l, i, &p);
  }
}

/* ---- maxima ---- */

typedef struct top {
  int64_t best;
  double high, low;     /* of the maximum: largest upper and lower end so far */
  double others, loose; /* upper ends of the elements but the best: of all, of those that are not exact */
} top;

static void rival(top *t, double high, double b) {
  t->others = fmax(t->others, high);
  if (b > 0) t->loose = fmax(t->loose, high);
}

static void maxima(const line *l) {
  const sn_tensor *x = l->e->arg[0];
  sn_tensor *out = l->e->out[0], *where = l->e->out[1];
  top t = {.high = -INFINITY, .low = -INFINITY, .others = -INFINITY, .loose = -INFINITY};
  for (int64_t i = 0; i < l->count; i++) {
    double v = x->value[at(l, i)], b = bound(l, 0, i), best = x->value[at(l, t.best)];
    if (i && !isnan(best) && (v > best || isnan(v))) {
      rival(&t, best + bound(l, 0, t.best), bound(l, 0, t.best));
      t.best = i;
    } else if (i && !isnan(best)) {
      rival(&t, v + b, b);
    }
    best = x->value[at(l, t.best)];
    t.high = fmax(t.high, v + b);
    t.low = fmax(t.low, v - b);
    out->value[at(l, i)] = best;
    sn_int_set(where, at(l, i), place(l, t.best));
    if (!l->e->bounds || isnan(best)) continue;
    double own = bound(l, 0, t.best);
    if (isfinite(best)) out->bound[at(l, i)] = fmax(t.high - best, best - t.low);
    if (t.loose >= best - own || (own > 0 && t.others >= best - own)) where->bound[at(l, i)] = INFINITY;
  }
}

/* ---- recurrences ---- */

static void recurrence(const line *l) {
  const sn_tensor *a = l->e->arg[0], *x = l->e->arg[1];
  sn_elem acc = sn_acc_of(l->e->out[0]->elem);
  double y = 0, size = 0, error = 0, flushed = 0; /* size: the same recurrence of magnitudes */
  bool over = false;                              /* an execution may have overflowed: not even a factor 0 helps */
  for (int64_t i = 0; i < l->count; i++) {
    double f = a->value[at(l, i)], v = x->value[at(l, i)], bf = bound(l, 0, i), b = bound(l, 1, i);
    error = sn_times(fabs(f) + bf, error) + sn_times(bf, size) + b;
    size = sn_times(fabs(f) + bf, size) + fabs(v) + b;
    flushed = sn_times(fabs(f) + bf, flushed) + 2;
    y = kept(l, f * y);
    y = kept(l, y + v);
    double n = 2 * (double)(i + 1);
    bool plain = i == 0 && b == 0 && sn_elem_round(l->e->out[0]->elem, y) == y;
    double rounding = plain ? 0 : sn_times(sn_gamma(n, sn_unit(acc)), size);
    over |= isinf(bf) || !(size + error + rounding <= sn_elem_max(acc));
    put(l, i, y, over ? INFINITY : error + rounding, plain || size == 0 ? 0 : flushed);
  }
}

/* ---- lines ---- */

static void evaluate(const line *l) {
  if (!sn_elem_is_float(l->e->arg[0]->elem)) {
    integers(l);
    return;
  }
  switch (l->e->n->op) {
    case SN_OP_CUMSUM: sums(l); break;
    case SN_OP_CUMPROD: products(l); break;
    case SN_OP_CUMMAX: maxima(l); break;
    default: recurrence(l); break;
  }
}

sn_code sn_eval_prefix(sn_eval *e) {
  const sn_tensor *x = e->arg[0];
  int axis = (int)sn_node_attr(e->n, "axis")->i;
  bool reverse = sn_node_attr(e->n, "reverse")->i != 0;
  int64_t inner = 1, outer = 1, n = x->extent[axis];
  for (int i = 0; i < axis; i++) outer *= x->extent[i];
  for (int i = axis + 1; i < x->rank; i++) inner *= x->extent[i];
  line l = {.e = e, .count = n, .step = reverse ? -inner : inner};
  if (sn_op_attr(e->n->op, "exclusive") >= 0) l.exclusive = sn_node_attr(e->n, "exclusive")->i != 0;
  for (int64_t o = 0; o < outer && n; o++)
    for (int64_t k = 0; k < inner; k++) {
      l.first = (o * n + (reverse ? n - 1 : 0)) * inner + k;
      evaluate(&l);
    }
  return SN_OK;
}
