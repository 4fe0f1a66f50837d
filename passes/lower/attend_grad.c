/* Schedule writer of `attend`, backward: probabilities are computed again from the saved log-sum-exp.
 *   delta   sum of dy * y per query
 *   dk, dv  one instance owns a block of keys of one key head and walks the queries of every head that shares it
 *   dq      one instance owns a block of queries and walks the keys
 * or, for short sequences, all of it by one instance per key head (attend_whole.c). Captured tensors: attend_sums.c.
 * With p = exp(score - lse):  dv = p' dy,  ds = p (dy v' - delta),  dq = scale ds k,  dk = scale ds' q.
 * What total gets is part of delta. Of weights p = score:  ds = dy v' + dtotal, and there is no delta.
 *   source: Dao et al. 2022, appendix B.4 */
#include "ir/base/plant.h"
#include "passes/lower/attend_grad.h"

#define LOG2E 1.44269504088896340736

static sn_operand operand_of(sn_types *t, int slot, const sn_type *type) {
  sn_shape shape = sn_shape_of(type);
  return (sn_operand){slot, sn_view_of(t, &shape)};
}

/* Rows of queries, keys, values or dy, as they are multiplied with each other. */
sn_kv sn_attend_query_rows(const sn_backward *w, bool dy) {
  const sn_attend *a = w->s.a;
  return sn_attend_factor(a, w->s.b, dy ? &a->dy : &a->q, dy ? &a->v : &a->k, w->s.batch, w->s.q0, w->s.head, w->s.bq,
                          dy ? a->e : a->d, a->T);
}

sn_kv sn_attend_key_rows(const sn_backward *w, bool values) {
  const sn_attend *a = w->s.a;
  return sn_attend_factor(a, w->s.b, values ? &a->v : &a->k, values ? &a->dy : &a->q, w->s.batch, w->s.k0, w->kv_head,
                          w->s.bk, values ? a->e : a->d, w->s.whole_keys ? NULL : a->S);
}

/* The same for products with probabilities. */
static sn_kv wide(const sn_backward *w, sn_kv rows) { return sn_k_cast(w->s.b->k, SN_ELEM_F32, rows); }

sn_kv sn_attend_zero(const sn_backward *w, int r, int c) { return sn_k_const(w->s.b->k, SN_ELEM_F32, r, c, 0); }

/* Log-sum-exp in units of log 2; rows without a live key (and rows past the end) get +1e30, so that p is 0. */
static sn_kv log_sum(const sn_backward *w) {
  sn_kernel *k = w->s.b->k;
  sn_kv lse = sn_attend_stat(&w->s, &w->s.a->lse, 1e30);
  sn_ktype type = sn_k_type(k, lse);
  sn_kv live = sn_k_bin(k, SN_K_LT, sn_k_const(k, SN_ELEM_F32, type.r, type.c, -1e30), lse);
  return sn_k_select(k, live, sn_k_binc(k, SN_K_MUL, lse, LOG2E), sn_k_const(k, SN_ELEM_F32, type.r, type.c, 1e30));
}

sn_kwin sn_attend_scratch(const sn_backward *w, sn_kv buffer, int cols) {
  sn_kernel *k = w->s.b->k;
  sn_kv row = sn_k_iadd(k, w->scratch_row, w->s.q0);
  return (sn_kwin){.buf = buffer, .off = sn_k_imulc(k, row, cols), .rs = sn_k_i(k, cols)};
}

sn_kv sn_attend_delta(const sn_site_block *s) {
  const sn_attend *a = s->a;
  sn_kernel *k = s->b->k;
  sn_kv y = sn_attend_rows(a, s->b, &a->y, s->batch, s->q0, s->head, s->bq, a->e, a->T);
  sn_kv dy = sn_attend_rows(a, s->b, &a->dy, s->batch, s->q0, s->head, s->bq, a->e, a->T);
  sn_kv sum = sn_k_reduce(k, SN_K_RSUM, 1, sn_k_bin(k, SN_K_MUL, y, dy));
  return a->has_dtotal ? sn_k_bin(k, SN_K_SUB, sum, sn_attend_stat(s, &a->dtotal, 0)) : sum;
}

static sn_kv delta_of(const sn_backward *w) {
  if (!w->deltas) return sn_attend_stat(&w->s, &w->delta, 0);
  return sn_k_load(w->s.b->k, w->s.bq, 1, sn_attend_scratch(w, w->deltas, 1), 0);
}

sn_code sn_attend_weights(const sn_backward *w, sn_kv qk, sn_kv dp, bool masked, sn_kv *products, sn_kv *p, sn_kv *d) {
  const sn_attend *a = w->s.a;
  sn_kernel *k = w->s.b->k;
  sn_kv score;
  *products = sn_k_binc(k, SN_K_MUL, qk, sn_attend_unit(a));
  SN_TRY(sn_attend_scores(&w->s, *products, masked, &score));
  if (a->weights) {
    *p = sn_attend_own_rows(&w->s, score);
    *d = a->has_dtotal ? sn_k_bin(k, SN_K_ADD, dp, sn_attend_stat(&w->s, &a->dtotal, 0)) : dp;
    return SN_OK;
  }
  *p = sn_k_un(k, SN_K_EXP2, sn_k_bin(k, SN_K_SUB, score, log_sum(w)));
  sn_kv delta = delta_of(w);
  if (!SN_PLANTED(GRAD_DELTA)) dp = sn_k_bin(k, SN_K_SUB, dp, delta);
  *d = sn_k_bin(k, SN_K_MUL, *p, dp);
  return SN_OK;
}

/* p and ds of one block from q.k and dy.v */
static sn_code probabilities(const sn_backward *w, sn_kv qk, sn_kv dp, bool masked, sn_kv *p, sn_kv *ds) {
  sn_kv products, d;
  SN_TRY(sn_attend_weights(w, qk, dp, masked, &products, p, &d));
  return sn_attend_dscores(&w->s, products, masked, d, ds);
}

/* ---- delta ----------------------------------------------------------------------------------------------------- */

static sn_code lower_delta(sn_attend *a, sn_operand *out) {
  sn_types *t = a->c->types;
  const sn_type *type = sn_type_of(t, SN_ELEM_F32, 3, (const sn_dimx *[]){a->B, a->H, a->T});
  int slot = sn_lower_temp(a->c, "delta", type, sn_type_count(t, type)), rows = a->bq;
  sn_buffer_use use[4] = {{a->y.slot, SN_K_IN}, {a->dy.slot, SN_K_IN}, {slot, SN_K_OUT}, {a->dtotal.slot, SN_K_IN}};
  int count = sn_attend_unique(use, a->has_dtotal ? 4 : 3);
  sn_build_kernel *b = sn_build_kernel_begin(a->c, "attend_delta", count, use);
  sn_kernel *k = b->k;
  *out = operand_of(t, slot, type);
  sn_build_grid(b, 3, a->B, a->H, sn_dimx_ceildiv(t, a->T, sn_dimx_const(t, rows)));
  sn_kv at[SN_VIEW_RANK] = {sn_k_gid(k, 0), sn_k_gid(k, 1), sn_k_imulc(k, sn_k_gid(k, 2), rows)};
  const sn_site_block s = {.a = a, .b = b, .bq = rows, .batch = at[0], .head = at[1], .q0 = at[2]};
  sn_kv sum = sn_attend_delta(&s);
  sn_kwin w = {.buf = sn_build_buffer(b, slot),
               .off = sn_build_address(b, &out->view, at),
               .rs = sn_k_i(k, 1),
               .nr = sn_build_limit(b, a->T, rows, at[2])};
  sn_k_store(k, w, sum);
  const sn_dimx *elements = sn_type_count(t, sn_val_type(a->c->body, a->node->arg[5]));
  sn_report r = {
      .kind = "attend",
      .ops = sn_attend_ops(a, "delta"),
      .flops = sn_dimx_mul(t, elements, sn_dimx_const(t, 2)),
      .bytes_read = sn_dimx_mul(
          t, elements, sn_dimx_const(t, 2 * (int64_t)sn_elem_bytes(sn_lower_slot_type(a->c, a->y.slot)->elem))),
      .bytes_written = sn_dimx_mul(t, sn_type_count(t, type), sn_dimx_const(t, 4))};
  return sn_build_kernel_end(b, &r);
}

/* ---- dk, dv ------------------------------------------------------------------------------------------------------ */

/* dq += ds k */
static void add_to_queries(const sn_backward *w, sn_kv ds) {
  const sn_attend *a = w->s.a;
  sn_kernel *k = w->s.b->k;
  sn_kwin at = sn_attend_scratch(w, w->dq, a->d);
  sn_kv keys = wide(w, sn_attend_key_rows(w, false));
  sn_k_store(k, at, sn_k_mma(k, sn_k_load(k, w->s.bq, a->d, at, 0), ds, keys, 0));
}

/* One block of queries at s.q0. */
static sn_code keys_step(void *user, bool masked, sn_kv carry[2]) {
  sn_backward *w = user;
  sn_kernel *k = w->s.b->k;
  sn_kv q = sn_attend_query_rows(w, false), dy = sn_attend_query_rows(w, true), p, ds;
  sn_kv qk = sn_k_mma(k, sn_attend_zero(w, w->s.bq, w->s.bk), q, w->fixed, 0),
        dp = sn_k_mma(k, sn_attend_zero(w, w->s.bq, w->s.bk), dy, w->dfixed, 0);
  SN_TRY(probabilities(w, qk, dp, masked, &p, &ds));
  carry[0] = sn_k_mma(k, carry[0], ds, wide(w, q), SN_K_TA);
  carry[1] = sn_k_mma(k, carry[1], p, wide(w, dy), SN_K_TA);
  if (w->dq) add_to_queries(w, ds);
  return SN_OK;
}

static sn_code all_queries(sn_backward *w, sn_kv carry[2]) {
  sn_mask_range r = sn_attend_range(&w->s, true);
  sn_walk walk = {.s = &w->s, .over_queries = true, .step = keys_step, .user = w};
  return sn_attend_walk(&walk, &r, 2, carry);
}

/* Every query head of the group, in order: the sum has one order. */
sn_code sn_attend_all_heads(sn_backward *w, sn_kv carry[2]) {
  sn_kernel *k = w->s.b->k;
  int group = w->s.a->group;
  w->s.head = w->kv_head, w->scratch_row = sn_k_i(k, 0);
  if (group == 1) return all_queries(w, carry);
  sn_kv first = sn_k_imulc(k, w->kv_head, group), i = sn_k_for(k, sn_k_i(k, 0), sn_k_i(k, group), 1, 2, carry);
  w->s.head = sn_k_iadd(k, first, i);
  w->scratch_row = sn_k_imulc(k, i, w->rows);
  sn_code code = all_queries(w, carry);
  sn_k_end_for(k, 2, carry);
  return code;
}

int sn_attend_sink(const sn_attend *a, int result, sn_operand *out, sn_buffer_use *use, int count) {
  out->slot = -1;
  if (!sn_lower_sink(a->c, a->node->first + (sn_val)result, 0, &out->slot, &out->view))
    out->slot = -1;
  else
    use[count++] = (sn_buffer_use){out->slot, SN_K_OUT};
  return count;
}

int sn_attend_more_uses(const sn_attend *a, const sn_operand *delta, sn_buffer_use *use) {
  int count = 0;
  if (!a->weights) use[count++] = (sn_buffer_use){a->lse.slot, SN_K_IN};
  use[count++] = (sn_buffer_use){a->dy.slot, SN_K_IN};
  if (!a->weights || a->has_dtotal) use[count++] = (sn_buffer_use){delta->slot, SN_K_IN};
  return count;
}

const sn_dimx *sn_attend_written(const sn_attend *a, int result, const sn_operand *o) {
  sn_types *t = a->c->types;
  if (o->slot < 0) return sn_dimx_const(t, 0);
  const sn_type *type = sn_val_type(a->c->body, a->node->first + (sn_val)result);
  return sn_dimx_mul(t, sn_type_count(t, type), sn_dimx_const(t, (int64_t)sn_elem_bytes(type->elem)));
}

static sn_code lower_keys(sn_attend *a, const sn_operand *delta) {
  sn_types *t = a->c->types;
  sn_operand dk, dv;
  sn_buffer_use use[8];
  int count = sn_attend_more_uses(a, delta, use), before = count;
  count = sn_attend_sink(a, 1, &dk, use, count);
  count = sn_attend_sink(a, 2, &dv, use, count);
  if (count == before) return SN_OK;
  sn_build_kernel *b = sn_attend_kernel(a, "attend_dkv", count, use);
  sn_kernel *k = b->k;
  sn_build_grid(b, 3, a->B, a->G, sn_dimx_ceildiv(t, a->S, sn_dimx_const(t, a->bk)));
  sn_backward w = {.s = {.a = a, .b = b, .keys_major = false, .bq = a->bq, .bk = a->bk}, .delta = *delta};
  w.s.batch = sn_k_gid(k, 0), w.kv_head = sn_k_gid(k, 1), w.s.k0 = sn_k_imulc(k, sn_k_gid(k, 2), a->bk);
  w.s.start = sn_attend_start(&w.s);
  w.fixed = sn_k_trans(k, sn_attend_key_rows(&w, false));
  w.dfixed = sn_k_trans(k, sn_attend_key_rows(&w, true));
  sn_kv carry[2] = {sn_attend_zero(&w, a->bk, a->d), sn_attend_zero(&w, a->bk, a->e)};
  SN_TRY(sn_attend_all_heads(&w, carry));
  if (dk.slot >= 0)
    sn_attend_store(a, b, &dk, w.s.batch, w.s.k0, w.kv_head, a->S, sn_k_binc(k, SN_K_MUL, carry[0], a->scale));
  if (dv.slot >= 0) sn_attend_store(a, b, &dv, w.s.batch, w.s.k0, w.kv_head, a->S, carry[1]);
  sn_report r = sn_attend_report(a, 0, a->node->arg_count, 2, 2);
  r.ops = sn_attend_ops(a, "dk_dv");
  r.bytes_written = sn_dimx_add(t, sn_attend_written(a, 1, &dk), sn_attend_written(a, 2, &dv));
  return sn_build_kernel_end(b, &r);
}

/* ---- dq ---------------------------------------------------------------------------------------------------------- */

static sn_code queries_step(void *user, bool masked, sn_kv *dq) {
  sn_backward *w = user;
  sn_kernel *k = w->s.b->k;
  int bq = w->s.bq, bk = w->s.bk;
  sn_kv keys = sn_attend_key_rows(w, false), values = sn_attend_key_rows(w, true), qk, dp, p, ds;
  if (w->s.keys_major) {
    qk = sn_k_mma(k, sn_attend_zero(w, bk, bq), keys, w->fixed, 0);
    dp = sn_k_mma(k, sn_attend_zero(w, bk, bq), values, w->dfixed, 0);
  } else {
    qk = sn_k_mma(k, sn_attend_zero(w, bq, bk), w->fixed, keys, SN_K_TB);
    dp = sn_k_mma(k, sn_attend_zero(w, bq, bk), w->dfixed, values, SN_K_TB);
  }
  SN_TRY(probabilities(w, qk, dp, masked, &p, &ds));
  *dq = sn_k_mma(k, *dq, ds, wide(w, keys), w->s.keys_major ? SN_K_TA : 0);
  return SN_OK;
}

static sn_code lower_queries(sn_attend *a, const sn_operand *delta) {
  sn_operand to;
  sn_buffer_use use[8];
  int count = sn_attend_more_uses(a, delta, use), before = count;
  count = sn_attend_sink(a, 0, &to, use, count);
  if (count == before) return SN_OK;
  sn_build_kernel *b = sn_attend_kernel(a, "attend_dq", count, use);
  sn_kernel *k = b->k;
  sn_build_grid(b, 3, a->B, a->H, sn_dimx_ceildiv(a->c->types, a->T, sn_dimx_const(a->c->types, a->bq)));
  sn_backward w = {.s = {.a = a, .b = b, .keys_major = a->c->target->scores_keys_major, .bq = a->bq, .bk = a->bk},
                   .delta = *delta};
  w.s.batch = sn_k_gid(k, 0), w.s.head = sn_k_gid(k, 1), w.s.q0 = sn_k_imulc(k, sn_k_gid(k, 2), a->bq);
  w.kv_head = a->group == 1 ? w.s.head : sn_k_ibin(k, SN_K_IDIV, w.s.head, sn_k_i(k, a->group));
  w.s.start = sn_attend_start(&w.s);
  w.fixed = sn_attend_query_rows(&w, false), w.dfixed = sn_attend_query_rows(&w, true);
  if (w.s.keys_major) w.fixed = sn_k_trans(k, w.fixed), w.dfixed = sn_k_trans(k, w.dfixed);
  sn_mask_range r = sn_attend_range(&w.s, false);
  sn_kv dq = sn_attend_zero(&w, a->bq, a->d);
  sn_walk walk = {.s = &w.s, .step = queries_step, .user = &w};
  SN_TRY(sn_attend_walk(&walk, &r, 1, &dq));
  sn_attend_store(a, b, &to, w.s.batch, w.s.q0, w.s.head, a->T, sn_k_binc(k, SN_K_MUL, dq, a->scale));
  sn_report report = sn_attend_report(a, 0, a->node->arg_count, 2, 1);
  report.ops = sn_attend_ops(a, "dq");
  report.bytes_written = sn_attend_written(a, 0, &to);
  return sn_build_kernel_end(b, &report);
}

sn_code sn_attend_backward(sn_attend *a) {
  sn_operand delta = a->dtotal;
  bool done;
  SN_TRY(sn_attend_whole(a, &done));
  if (done && !a->slopes) return SN_OK;
  if (!a->weights) SN_TRY(lower_delta(a, &delta));
  if (!done) SN_TRY(lower_keys(a, &delta));
  if (!done) SN_TRY(lower_queries(a, &delta));
  return a->slopes ? sn_attend_sums(a, &delta) : SN_OK;
}
