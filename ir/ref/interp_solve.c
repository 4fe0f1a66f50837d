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

/* Row i from the rows in from .. to, which are done. */
static void solve_row(system *s, int64_t i, int64_t from, int64_t to) {
  const sn_tensor *l = s->e->arg[0], *x = s->e->arg[1];
  sn_tensor *out = s->e->out[0];
  sn_elem acc = sn_acc_of(out->elem);
  int64_t at = s->x + i * s->columns;
  double v = x->value[at], b = s->e->bounds ? x->bound[at] : 0, size = fabs(v) + b, terms = 0;
  for (int64_t j = from; j < to; j++) {
    double f = l->value[l_at(s, i, j)], bf = s->e->bounds ? l->bound[l_at(s, i, j)] : 0;
    v -= f * s->y[j];
    if (s->e->in->round) v = sn_elem_round(acc, v);
    if (f == 0 && bf == 0 && isfinite(s->y[j])) continue;
    b += sn_times(fabs(f) + bf, s->error[j]) + sn_times(bf, fabs(s->y[j]));
    size += sn_times(fabs(f) + bf, fabs(s->y[j]) + s->error[j]);
    terms++;
  }
  if (terms > 0) b += sn_times(sn_gamma(2 * terms + 1, sn_unit(acc)), size) + 2 * terms * sn_elem_tiny(acc);
  s->y[i] = v;
  s->error[i] = isfinite(v) ? b : isinf(b) || isnan(b) ? INFINITY : 0;
  out->value[at] = v;
  if (!s->e->bounds) return;
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
