/* Indexing ops of the graph interpreter. An index out of range is an error at the node's line; one that is uncertain
 * makes what it selects uncertain. */
#include "ir/ref/eval.h"

static bool doubtful(const sn_eval *e, const sn_tensor *t, int64_t i) { return e->bounds && t->bound[i] > 0; }

static sn_code check_range(sn_eval *e, int64_t i, int64_t extent, int64_t at) {
  if (i >= 0 && i < extent) return SN_OK;
  return sn_eval_fail(e, "index %lld at element %lld is outside of 0 .. %lld", (long long)i, (long long)at,
                      (long long)extent - 1);
}

static int64_t product(const sn_tensor *t, int from, int to) {
  int64_t n = 1;
  for (int i = from; i < to; i++) n *= t->extent[i];
  return n;
}

/* ---- sums into cells ---- */

typedef struct cells { /* per element of the result: what the bound of its sum needs */
  double *size, *error;
  int64_t *hits;
} cells;

static cells make_cells(sn_eval *e, int64_t n) {
  return (cells){SN_ARRAY(e->in->arena, n + 1, double), SN_ARRAY(e->in->arena, n + 1, double),
                 SN_ARRAY(e->in->arena, n + 1, int64_t)};
}

static void add_to_cell(sn_eval *e, cells *c, int64_t cell, const sn_tensor *u, int64_t at) {
  sn_tensor *out = e->out[0];
  if (!sn_elem_is_float(out->elem)) {
    sn_int_set(out, cell, sn_wrap(out->elem, (int64_t)((uint64_t)sn_int_at(out, cell) + (uint64_t)sn_int_at(u, at))));
  } else {
    out->value[cell] += u->value[at];
    if (e->in->round) out->value[cell] = sn_elem_round(sn_acc_of(out->elem), out->value[cell]);
  }
  c->hits[cell]++;
  if (!e->bounds) return;
  c->size[cell] += fabs(u->value[at]) + u->bound[at];
  c->error[cell] += u->bound[at];
}

static void settle_cells(sn_eval *e, const cells *c) {
  sn_tensor *out = e->out[0];
  sn_elem acc = sn_acc_of(out->elem);
  for (int64_t i = 0; e->bounds && i < out->count; i++) {
    double b = c->error[i];
    if (!sn_elem_is_float(out->elem))
      b = b > 0 ? INFINITY : 0;
    else if (!isfinite(out->value[i]))
      b = isinf(b) ? INFINITY : 0;
    else if (c->hits[i] > 1)
      b += sn_gamma((double)c->hits[i], sn_unit(acc)) * c->size[i] + sn_elem_tiny(acc);
    if (c->hits[i] > 1 && acc != out->elem) b += sn_rounding(out->elem, sn_unit(out->elem), out->value[i], b, 1);
    out->bound[i] = fmax(out->bound[i], sn_settle(out->elem, out->value[i], b));
  }
}

static void doubt_all(sn_tensor *t, int64_t from, int64_t count) {
  for (int64_t i = 0; i < count; i++) t->bound[from + i] = INFINITY;
}

/* ---- gather, scatter_add ---- */

static sn_code gather(sn_eval *e) {
  const sn_tensor *x = e->arg[0], *idx = e->arg[1];
  int batch = (int)sn_node_attr(e->n, "batch")->i;
  int64_t rows = x->extent[batch], inner = product(x, batch + 1, x->rank), per = product(idx, batch, idx->rank);
  for (int64_t i = 0; i < idx->count; i++) {
    int64_t r = sn_int_at(idx, i);
    SN_TRY(check_range(e, r, rows, i));
    for (int64_t k = 0; k < inner; k++) sn_copy_at(e->out[0], i * inner + k, x, (i / per * rows + r) * inner + k);
    if (doubtful(e, idx, i)) doubt_all(e->out[0], i * inner, inner);
  }
  return SN_OK;
}

static sn_code scatter(sn_eval *e) {
  const sn_tensor *idx = e->arg[0], *u = e->arg[1];
  sn_tensor *out = e->out[0];
  int batch = (int)sn_node_attr(e->n, "batch")->i;
  int64_t rows = out->extent[batch], inner = product(out, batch + 1, out->rank), per = product(idx, batch, idx->rank);
  cells c = make_cells(e, out->count);
  for (int64_t i = 0; i < idx->count; i++) {
    int64_t r = sn_int_at(idx, i), base = i / per * rows;
    SN_TRY(check_range(e, r, rows, i));
    for (int64_t k = 0; k < inner; k++) add_to_cell(e, &c, (base + r) * inner + k, u, i * inner + k);
    if (doubtful(e, idx, i)) doubt_all(out, base * inner, rows * inner);
  }
  settle_cells(e, &c);
  return SN_OK;
}

/* ---- index, index_add ---- */

/* Linear position in `t` named by element i of the index operands. */
static sn_code position(sn_eval *e, const sn_tensor *t, int64_t i, int64_t *out, bool *doubt) {
  int64_t at = 0;
  for (int k = 0; k < t->rank; k++) {
    int64_t r = sn_int_at(e->arg[k + 1], i);
    SN_TRY(check_range(e, r, t->extent[k], i));
    at = at * t->extent[k] + r;
    *doubt |= doubtful(e, e->arg[k + 1], i);
  }
  *out = at;
  return SN_OK;
}

static sn_code index_elements(sn_eval *e) {
  for (int64_t i = 0; i < e->out[0]->count; i++) {
    int64_t at;
    bool doubt = false;
    SN_TRY(position(e, e->arg[0], i, &at, &doubt));
    sn_copy_at(e->out[0], i, e->arg[0], at);
    if (doubt) doubt_all(e->out[0], i, 1);
  }
  return SN_OK;
}

static sn_code index_add(sn_eval *e) {
  sn_tensor *out = e->out[0];
  cells c = make_cells(e, out->count);
  for (int64_t i = 0; i < e->arg[0]->count; i++) {
    int64_t at;
    bool doubt = false;
    SN_TRY(position(e, out, i, &at, &doubt));
    add_to_cell(e, &c, at, e->arg[0], i);
    if (doubt) doubt_all(out, 0, out->count);
  }
  settle_cells(e, &c);
  return SN_OK;
}

/* ---- dynamic_slice, dynamic_write ---- */

typedef struct rows {              /* tensor as [outer, extent, inner] around the axis; outer counts up from axis 0 */
  int64_t outer, inner, per_start; /* per_start: outer positions that share a start */
} rows;

static rows rows_of(const sn_tensor *t, int axis, const sn_tensor *start) {
  rows r = {product(t, 0, axis), product(t, axis + 1, t->rank), 0};
  r.per_start = start->rank && start->count ? r.outer / start->count : r.outer;
  return r;
}

/* Start that holds for an outer position, `n` rows of `extent` from there. */
static sn_code start_at(sn_eval *e, const sn_tensor *start, int64_t i, int64_t n, int64_t extent, bool ring,
                        int64_t *out, bool *doubt) {
  int64_t s = sn_int_at(start, i);
  if (s < 0 || (!ring && s + n > extent))
    return sn_eval_fail(e, "rows %lld .. %lld are outside of 0 .. %lld", (long long)s, (long long)(s + n - 1),
                        (long long)extent - 1);
  *doubt = doubtful(e, start, i);
  *out = s;
  return SN_OK;
}

static sn_code dynamic_slice(sn_eval *e) {
  const sn_tensor *x = e->arg[0], *start = e->arg[1];
  sn_tensor *out = e->out[0];
  int axis = (int)sn_node_attr(e->n, "axis")->i;
  int64_t n = out->extent[axis], extent = x->extent[axis], s;
  rows r = rows_of(x, axis, start);
  for (int64_t o = 0; o < r.outer; o++) {
    bool doubt;
    SN_TRY(start_at(e, start, o / r.per_start, n, extent, false, &s, &doubt));
    for (int64_t k = 0; k < n * r.inner; k++) sn_copy_at(out, o * n * r.inner + k, x, (o * extent + s) * r.inner + k);
    if (doubt) doubt_all(out, o * n * r.inner, n * r.inner);
  }
  return SN_OK;
}

/* Rows of axis 0, each by its number, in order. */
static sn_code write_rows(sn_eval *e) {
  const sn_tensor *src = e->arg[1], *number = e->arg[2];
  sn_tensor *out = e->out[0];
  int64_t inner = product(out, 1, out->rank), s;
  for (int64_t i = 0; i < number->count; i++) {
    bool doubt;
    SN_TRY(start_at(e, number, i, 1, out->extent[0], false, &s, &doubt));
    for (int64_t k = 0; k < inner; k++) sn_copy_at(out, s * inner + k, src, i * inner + k);
    if (doubt) doubt_all(out, 0, out->count);
  }
  return SN_OK;
}

static sn_code dynamic_write(sn_eval *e) {
  const sn_tensor *dst = e->arg[0], *src = e->arg[1], *start = e->arg[2];
  sn_tensor *out = e->out[0];
  int axis = (int)sn_node_attr(e->n, "axis")->i;
  bool ring = sn_node_attr(e->n, "ring")->i != 0;
  int64_t n = src->extent[axis], extent = out->extent[axis], s;
  rows r = rows_of(dst, axis, start);
  for (int64_t i = 0; i < out->count; i++) sn_copy_at(out, i, dst, i);
  if (axis == 0 && start->rank) return write_rows(e);
  if (n > extent) return sn_eval_fail(e, "%lld rows do not fit in %lld", (long long)n, (long long)extent);
  for (int64_t o = 0; o < r.outer; o++) {
    bool doubt;
    SN_TRY(start_at(e, start, o / r.per_start, n, extent, ring, &s, &doubt));
    for (int64_t i = 0; i < n; i++)
      for (int64_t k = 0; k < r.inner; k++)
        sn_copy_at(out, (o * extent + (s + i) % extent) * r.inner + k, src, (o * n + i) * r.inner + k);
    if (doubt) doubt_all(out, o * extent * r.inner, extent * r.inner);
  }
  return SN_OK;
}

sn_code sn_eval_index(sn_eval *e) {
  switch (e->n->op) {
    case SN_OP_GATHER: return gather(e);
    case SN_OP_SCATTER: return scatter(e);
    case SN_OP_INDEX: return index_elements(e);
    case SN_OP_INDEX_ADD: return index_add(e);
    case SN_OP_DYN_SLICE: return dynamic_slice(e);
    default: return dynamic_write(e);
  }
}
