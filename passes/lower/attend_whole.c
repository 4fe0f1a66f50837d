/* Schedule writer of `attend`, backward, when one instance owns a key head and the query heads that share it.
 * Probabilities are computed once for all three gradients: five products for a block instead of seven.
 * Gradients of queries grow in scratch of the instance, so the scratch bounds the length. Longer sequences have enough
 * blocks to be spread over more instances, by the kernels of attend_grad.c, which give the same bits; with heads for
 * all threads, seven products that are spread take longer than five.
 *   1. per block of queries: delta (but of weights), dq = 0
 *   2. per block of keys: every live block of queries adds to dk, dv and to its dq
 *   3. per block of queries: dq to its place */
#include "passes/lower/attend_grad.h"

/* A loop over every block of queries of every head of the group. */
typedef struct sn_blocks {
  sn_backward *w;
  bool heads;
} blocks;

static blocks begin_blocks(sn_backward *w) {
  sn_kernel *k = w->s.b->k;
  const sn_attend *a = w->s.a;
  sn_kv zero = sn_k_i(k, 0), i = zero;
  if (a->group > 1) i = sn_k_for(k, zero, sn_k_i(k, a->group), 1, 0, NULL);
  w->s.head = a->group > 1 ? sn_k_iadd(k, sn_k_imulc(k, w->kv_head, a->group), i) : w->kv_head;
  w->scratch_row = sn_k_imulc(k, i, w->rows);
  w->s.q0 = sn_k_for(k, zero, sn_build_dim(w->s.b, a->T), a->bq, 0, NULL);
  return (blocks){w, a->group > 1};
}

static void end_blocks(const blocks *b) {
  sn_k_end_for(b->w->s.b->k, 0, NULL);
  if (b->heads) sn_k_end_for(b->w->s.b->k, 0, NULL);
}

static void begin_queries(sn_backward *w) {
  const sn_attend *a = w->s.a;
  sn_kernel *k = w->s.b->k;
  blocks all = begin_blocks(w);
  if (!a->weights) sn_k_store(k, sn_attend_scratch(w, w->deltas, 1), sn_attend_delta(&w->s));
  sn_k_store(k, sn_attend_scratch(w, w->dq, a->d), sn_attend_zero(w, a->bq, a->d));
  end_blocks(&all);
}

static void end_queries(sn_backward *w, const sn_operand *to) {
  const sn_attend *a = w->s.a;
  sn_kernel *k = w->s.b->k;
  blocks all = begin_blocks(w);
  sn_kv dq = sn_k_load(k, a->bq, a->d, sn_attend_scratch(w, w->dq, a->d), 0);
  sn_attend_store(a, w->s.b, to, w->s.batch, w->s.q0, w->s.head, a->T, sn_k_binc(k, SN_K_MUL, dq, a->scale));
  end_blocks(&all);
}

static sn_code all_keys(sn_backward *w, const sn_operand *dk, const sn_operand *dv) {
  const sn_attend *a = w->s.a;
  sn_build_kernel *b = w->s.b;
  sn_kernel *k = b->k;
  w->s.k0 = sn_k_for(k, sn_k_i(k, 0), sn_build_dim(b, a->S), a->bk, 0, NULL);
  w->fixed = sn_k_trans(k, sn_attend_key_rows(w, false));
  w->dfixed = sn_k_trans(k, sn_attend_key_rows(w, true));
  sn_kv carry[2] = {sn_attend_zero(w, a->bk, a->d), sn_attend_zero(w, a->bk, a->e)};
  sn_code code = sn_attend_all_heads(w, carry);
  if (!code) {
    sn_attend_store(a, b, dk, w->s.batch, w->s.k0, w->kv_head, a->S, sn_k_binc(k, SN_K_MUL, carry[0], a->scale));
    sn_attend_store(a, b, dv, w->s.batch, w->s.k0, w->kv_head, a->S, carry[1]);
  }
  sn_k_end_for(k, 0, NULL);
  return code;
}

/* Do instances that own heads keep all threads busy, but for what the two products more would take? */
static bool enough_heads(const sn_attend *a) {
  int64_t threads = a->c->target->threads > 0 ? a->c->target->threads : 1;
  int64_t heads = sn_dimx_min_value(a->B) * sn_dimx_min_value(a->G);
  return 5 * ((heads + threads - 1) / threads) * threads <= 7 * heads;
}

/* rows of scratch for one head; 0: too many */
static int scratch_rows(const sn_attend *a) {
  const sn_target *t = a->c->target;
  int64_t most = sn_dimx_max_value(a->T), row = 4 * (int64_t)(a->d + 1);
  int64_t bytes = enough_heads(a) && t->scratch_bytes ? t->scratch_most : t->scratch_bytes;
  if (a->c->inside || most > bytes) return 0;
  int64_t rows = (most + a->bq - 1) / a->bq * a->bq;
  return rows * a->group * row <= bytes ? (int)rows : 0;
}

static sn_report report_of(const sn_attend *a, const sn_operand out[3]) {
  sn_types *t = a->c->types;
  sn_report r = sn_attend_report(a, 0, a->node->arg_count, 3, 2);
  const sn_type *y = sn_val_type(a->c->body, a->node->arg[3]), *lse = sn_val_type(a->c->body, a->node->arg[4]);
  const sn_dimx *bytes[2] = {sn_type_count(t, y),
                             sn_type_count(t, lse)}; /* y is read, no delta; dtotal if it is there */
  for (int i = 0; i < 2; i++)
    bytes[i] = sn_dimx_mul(t, bytes[i], sn_dimx_const(t, (int64_t)sn_elem_bytes(i ? lse->elem : y->elem)));
  if (!a->weights) r.bytes_read = sn_dimx_add(t, r.bytes_read, bytes[0]);
  if (!a->weights && !a->has_dtotal) r.bytes_read = sn_dimx_sub(t, r.bytes_read, bytes[1]);
  r.bytes_written = sn_dimx_const(t, 0);
  for (int i = 0; i < 3; i++) r.bytes_written = sn_dimx_add(t, r.bytes_written, sn_attend_written(a, i, &out[i]));
  r.ops = sn_attend_ops(a, "");
  return r;
}

sn_code sn_attend_whole(sn_attend *a, bool *done) {
  sn_operand out[3];
  sn_buffer_use use[8];
  int count = 0, rows = scratch_rows(a);
  if (!a->weights) use[count++] = (sn_buffer_use){a->lse.slot, SN_K_IN};
  use[count++] = (sn_buffer_use){a->dy.slot, SN_K_IN};
  if (!a->weights) use[count++] = (sn_buffer_use){a->y.slot, SN_K_IN};
  if (a->has_dtotal) use[count++] = (sn_buffer_use){a->dtotal.slot, SN_K_IN};
  for (int i = 0; i < 3; i++) count = sn_attend_sink(a, i, &out[i], use, count);
  *done = rows && out[0].slot >= 0 && out[1].slot >= 0 && out[2].slot >= 0;
  if (!*done) return SN_OK;
  sn_build_kernel *b = sn_attend_kernel(a, "attend_grad", count, use);
  sn_kernel *k = b->k;
  sn_build_grid(b, 2, a->B, a->G, NULL);
  sn_backward w = {.s = {.a = a, .b = b, .keys_major = false, .bq = a->bq, .bk = a->bk}, .rows = rows};
  w.s.batch = sn_k_gid(k, 0), w.kv_head = sn_k_gid(k, 1);
  w.s.start = sn_attend_start(&w.s);
  w.dq = sn_k_local(k, SN_ELEM_F32, (int64_t)rows * a->group * a->d);
  if (!a->weights) w.deltas = sn_k_local(k, SN_ELEM_F32, (int64_t)rows * a->group);
  begin_queries(&w);
  SN_TRY(all_keys(&w, &out[1], &out[2]));
  end_queries(&w, &out[0]);
  sn_report r = report_of(a, out);
  return sn_build_kernel_end(b, &r);
}
