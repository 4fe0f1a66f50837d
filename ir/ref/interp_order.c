/* Order along an axis in the graph interpreter. */
#include <stdlib.h>
#include <string.h>

#include "ir/ref/eval.h"

typedef struct item { /* ascending order is wanted: descending rows are negated */
  double v;
  int64_t wide; /* of integers */
  int64_t at;
} item;

static int by_int(const void *x, const void *y) {
  const item *a = x, *b = y;
  if (a->wide != b->wide) return a->wide < b->wide ? -1 : 1;
  return a->at < b->at ? -1 : 1;
}

static int by_float(const void *x, const void *y) {
  const item *a = x, *b = y;
  if (isnan(a->v) != isnan(b->v)) return isnan(a->v) ? 1 : -1;
  if (a->v != b->v && !isnan(a->v)) return a->v < b->v ? -1 : 1;
  return a->at < b->at ? -1 : 1;
}

typedef struct row { /* of the operand */
  sn_eval *e;
  int64_t n, count, first, step, out_first; /* step: between elements, of the operand and of the results */
  bool descending, floats;
  item *item, *edge;
  double *low, *high, *after; /* after: least lower end of the elements from here on */
} row;

static double bound(const row *r, int64_t i) { return r->e->bounds ? r->e->arg[0]->bound[r->first + i * r->step] : 0; }

/* Where the element of each rank may be: the ends of all elements, sorted. */
static void sort_edges(row *r, bool upper) {
  double *out = upper ? r->high : r->low;
  for (int64_t i = 0; i < r->n; i++) {
    double b = bound(r, r->item[i].at);
    r->edge[i] = r->item[i];
    r->edge[i].v += upper ? b : -b;
  }
  qsort(r->edge, (size_t)r->n, sizeof *r->edge, by_float);
  for (int64_t i = 0; i < r->n; i++) out[i] = r->edge[i].v;
}

static double distance(double a, double b) { return a == b ? 0 : fabs(a - b); }

static void bound_floats(row *r) {
  sort_edges(r, false);
  sort_edges(r, true);
  double before = -INFINITY, loose = -INFINITY; /* greatest upper end before: of all, of those that are not exact */
  double *after = r->after, *after_loose = r->after + r->n + 1;
  after[r->n] = after_loose[r->n] = INFINITY;
  for (int64_t i = r->n; i-- > 0;) {
    double b = bound(r, r->item[i].at), low = isnan(r->item[i].v) ? INFINITY : r->item[i].v - b;
    after[i] = fmin(after[i + 1], low);
    after_loose[i] = b > 0 ? fmin(after_loose[i + 1], low) : after_loose[i + 1];
  }
  for (int64_t i = 0; i < r->n; i++) {
    double v = r->item[i].v, b = bound(r, r->item[i].at);
    if (isnan(v)) break;
    if (i < r->count) {
      int64_t o = r->out_first + i * r->step;
      r->e->out[0]->bound[o] = fmax(distance(v, r->low[i]), distance(v, r->high[i]));
      bool doubt =
          loose >= v - b || after_loose[i + 1] <= v + b || (b > 0 && (before >= v - b || after[i + 1] <= v + b));
      if (doubt) r->e->out[1]->bound[o] = INFINITY;
    }
    before = fmax(before, v + b);
    if (b > 0) loose = fmax(loose, v + b);
  }
}

static void bound_ints(row *r) {
  bool doubt = false;
  for (int64_t i = 0; i < r->n; i++) doubt |= bound(r, i) > 0;
  for (int64_t i = 0; doubt && i < r->count; i++)
    for (int k = 0; k < 2; k++) r->e->out[k]->bound[r->out_first + i * r->step] = INFINITY;
}

static void sort_row(row *r) {
  const sn_tensor *x = r->e->arg[0];
  for (int64_t i = 0; i < r->n; i++) {
    int64_t from = r->first + i * r->step, w = r->floats ? 0 : sn_int_at(x, from);
    double v = x->value[from];
    r->item[i] = (item){r->descending ? -v : v, r->descending ? -1 - w : w, i};
  }
  qsort(r->item, (size_t)r->n, sizeof *r->item, r->floats ? by_float : by_int);
  for (int64_t i = 0; i < r->count; i++) {
    int64_t o = r->out_first + i * r->step;
    sn_copy_at(r->e->out[0], o, x, r->first + r->item[i].at * r->step);
    sn_int_set(r->e->out[1], o, r->item[i].at);
  }
  if (!r->e->bounds) return;
  if (r->floats)
    bound_floats(r);
  else
    bound_ints(r);
}

sn_code sn_eval_sort(sn_eval *e) {
  const sn_tensor *x = e->arg[0];
  int axis = (int)sn_node_attr(e->n, "axis")->i;
  int64_t inner = 1, outer = 1;
  for (int i = 0; i < axis; i++) outer *= x->extent[i];
  for (int i = axis + 1; i < x->rank; i++) inner *= x->extent[i];
  row r = {.e = e, .n = x->extent[axis], .count = e->out[0]->extent[axis], .step = inner};
  if (r.count > r.n) return sn_eval_fail(e, "takes %lld of %lld", (long long)r.count, (long long)r.n);
  r.descending = sn_node_attr(e->n, "descending")->i != 0;
  r.floats = sn_elem_is_float(x->elem);
  r.item = SN_ARRAY(e->in->arena, r.n + 1, item);
  r.edge = SN_ARRAY(e->in->arena, r.n + 1, item);
  r.low = SN_ARRAY(e->in->arena, 4 * r.n + 4, double);
  r.high = r.low + r.n + 1;
  r.after = r.high + r.n + 1;
  for (int64_t o = 0; o < outer; o++)
    for (int64_t k = 0; k < inner; k++) {
      r.first = o * r.n * inner + k;
      r.out_first = o * r.count * inner + k;
      sort_row(&r);
    }
  return SN_OK;
}
