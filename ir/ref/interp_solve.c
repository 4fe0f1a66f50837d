/* Triangular systems in the graph interpreter: substitution row by row. */
#include "ir/ref/eval.h"

typedef struct system { /* one column of one system */
  sn_eval *e;
  int64_t n, columns, l, x; /* l, x: first elements */
  bool transposed;
  double *y, *error; /* kept in the wider type */
} system;

static int64_t l_at(const system *s, int64_t i, int64_t j) {
  return s->l + (s->transposed ? j * s->n + i : i * s->n + j);
}

typedef struct row_sum { /* x less the products with the rows that are solved */
  double v, error, size; /* size: sum of magnitudes */
  double finite;         /* that of the finite ones */
  int64_t terms;
  bool over; /* a part may be infinite or NaN in the type of the arithmetic */
} row_sum;

/* One product f y; bf, by: their bounds. An exact 0 times a number that is one is nothing. */
static void take_product(row_sum *t, double f, double bf, double y, double by) {
  double most = sn_times(fabs(f) + bf, fabs(y) + by);
  t->over |= isinf(bf) || isinf(by);
  if (f == 0 && bf == 0 && isfinite(y)) return;
  t->error += sn_times(fabs(f) + bf, by) + sn_times(bf, fabs(y));
  t->size += most;
  if (isfinite(f) && isfinite(y)) t->finite += most;
  t->terms++;
}

/* Row i from the rows in from .. to, which are done. */
static void solve_row(system *s, int64_t i, int64_t from, int64_t to) {
  const sn_tensor *l = s->e->arg[0], *x = s->e->arg[1];
  sn_tensor *out = s->e->out[0];
  sn_elem acc = sn_acc_of(out->elem);
  int64_t at = s->x + i * s->columns;
  double v = x->value[at], b = s->e->bounds ? x->bound[at] : 0;
  row_sum t = {.error = b, .size = fabs(v) + b, .finite = isfinite(v) ? fabs(v) + b : 0};
  for (int64_t j = from; j < to; j++) {
    double f = l->value[l_at(s, i, j)], bf = s->e->bounds ? l->bound[l_at(s, i, j)] : 0;
    v -= f * s->y[j];
    if (s->e->in->round) v = sn_elem_round(acc, v);
    take_product(&t, f, bf, s->y[j], s->error[j]);
  }
  b = t.error;
  if (t.terms > 0) {
    double n = (double)(2 * t.terms);
    b += sn_times(sn_gamma(n + 1, sn_unit(acc)), t.size) + n * sn_elem_tiny(acc);
    t.over |= !(t.finite + (isfinite(v) ? b : 0) <= sn_elem_max(acc));
  }
  s->y[i] = v;
  s->error[i] = t.over ? INFINITY : isfinite(v) ? b : isinf(b) || isnan(b) ? INFINITY : 0;
  out->value[at] = v;
  if (!s->e->bounds) return;
  b = t.over ? INFINITY : b;
  if (isfinite(v) && acc != out->elem) b += sn_rounding(out->elem, sn_unit(out->elem), v, b, 1);
  out->bound[at] = isfinite(v) ? sn_settle(out->elem, v, b) : s->error[i];
}

sn_code sn_eval_solve(sn_eval *e) {
  const sn_tensor *x = e->arg[1];
  int64_t n = x->extent[x->rank - 2], m = x->extent[x->rank - 1], systems = n && m ? x->count / (n * m) : 0;
  system s = {.e = e, .n = n, .columns = m, .transposed = sn_node_attr(e->n, "transposed")->i != 0};
  s.y = SN_ARRAY(e->in->arena, n + 1, double);
  s.error = SN_ARRAY(e->in->arena, n + 1, double);
  for (int64_t k = 0; k < systems * m; k++) {
    s.l = k / m * n * n;
    s.x = k / m * n * m + k % m;
    for (int64_t i = 0; i < n; i++)
      if (s.transposed)
        solve_row(&s, n - 1 - i, n - i, n);
      else
        solve_row(&s, i, 0, i);
  }
  return SN_OK;
}
