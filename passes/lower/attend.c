/* Schedule writer of `attend`, forward: online softmax over blocks of keys, nothing of size T x S in memory.
 * One instance owns a block of queries of one head; single queries: attend_one.c.
 *   source: Milakov & Gimelshein 2018; Dao et al. 2022, algorithm 1 (one pass, rescaled accumulator) */
#include "passes/lower/attend_forward.h"

#include <math.h>

#include "passes/plan/assemble.h"

#define LOG2E 1.44269504088896340736
#define LN2 0.69314718055994530942
#define LOWEST (-1e30) /* start of the running maximum */
#define LEAST_LATE 1e-6

/* Rows of the tile of scores. */
static int rows_of(const sn_forward *f) { return f->s.heads ? f->s.heads : f->s.bq; }

static sn_kv stat_const(const sn_forward *f, double x) {
  int n = rows_of(f);
  return f->s.keys_major ? sn_k_const(f->s.b->k, SN_ELEM_F32, 1, n, x) : sn_k_const(f->s.b->k, SN_ELEM_F32, n, 1, x);
}

static sn_kv products(const sn_forward *f, sn_kv keys) {
  sn_kernel *k = f->s.b->k;
  if (f->s.keys_major) return sn_k_mma(k, sn_k_const(k, SN_ELEM_F32, f->s.bk, f->s.bq, 0), keys, f->q, 0);
  return sn_k_mma(k, sn_k_const(k, SN_ELEM_F32, rows_of(f), f->s.bk, 0), f->q, keys, SN_K_TB);
}

/* What products are times to be scores in units of log 2, when that keeps their order, no region sees them, and a score
 * that is masked stays below where maxima begin. */
static double late_scale(const sn_attend *a) {
  return !a->score && !a->weights && a->scale > LEAST_LATE ? a->scale * LOG2E : 0;
}

/* Are rows of queries and keys factors of the scores as they are stored? */
static bool as_stored(const sn_forward *f) { return f->scale > 0 && !f->s.heads; }

static sn_kv queries(const sn_forward *f) {
  const sn_attend *a = f->s.a;
  const sn_site_block *s = &f->s;
  if (s->heads) return sn_attend_heads(s->b, &a->q, s->batch, s->q0, s->head, s->heads, a->d);
  if (as_stored(f)) return sn_attend_factor(a, s->b, &a->q, &a->k, s->batch, s->q0, s->head, s->bq, a->d, a->T);
  return sn_attend_rows(a, s->b, &a->q, s->batch, s->q0, s->head, s->bq, a->d, a->T);
}

/* The largest score of each query. */
static sn_kv largest(const sn_forward *f, sn_kv score) {
  sn_kernel *k = f->s.b->k;
  sn_kv best = sn_k_reduce(k, SN_K_RMAX, f->s.keys_major ? 0 : 1, score);
  return f->scale > 0 ? sn_k_binc(k, SN_K_MUL, best, f->scale) : best;
}

/* score - m */
static sn_kv below(const sn_forward *f, sn_kv score, sn_kv m) {
  sn_kernel *k = f->s.b->k;
  if (!(f->scale > 0)) return sn_k_bin(k, SN_K_SUB, score, m);
  sn_ktype t = sn_k_type(k, score);
  return sn_k_fma(k, score, sn_k_const(k, SN_ELEM_F32, t.r, t.c, f->scale),
                  sn_k_bcast(k, t.r, t.c, sn_k_un(k, SN_K_NEG, m)));
}

/* One block of keys at s.k0. */
static sn_code step(void *user, bool masked, sn_kv *used) {
  sn_forward *f = user;
  sn_kv *carry = used - f->first; /* those of sn_forward_keys */
  const sn_attend *a = f->s.a;
  sn_kernel *k = f->s.b->k;
  int axis = f->s.keys_major ? 0 : 1; /* over keys */
  sn_kv keys = sn_attend_keys(&f->s, &a->k, as_stored(f) ? &a->q : NULL, f->kv_head, a->d), score, p, alpha = 0;
  SN_TRY(sn_attend_scores(&f->s, products(f, keys), masked, &score));
  p = score;
  if (!a->weights) {
    sn_kv m = sn_k_bin(k, SN_K_MAX, carry[0], largest(f, score));
    alpha = sn_k_un(k, SN_K_EXP2, sn_k_bin(k, SN_K_SUB, carry[0], m));
    p = sn_k_un(k, SN_K_EXP2, below(f, score, m));
    carry[0] = m;
  }
  sn_kv values = sn_attend_keys(&f->s, &a->v, NULL, f->kv_head, a->e);
  sn_kv acc = alpha ? sn_k_rescale(k, carry[2], alpha) : carry[2];
  if (alpha)
    carry[1] = sn_k_fma(k, carry[1], alpha, sn_k_reduce(k, SN_K_RSUM, axis, p));
  else if (f->first < 2)
    carry[1] = sn_k_bin(k, SN_K_ADD, carry[1], sn_k_reduce(k, SN_K_RSUM, axis, p));
  carry[2] = f->s.keys_major ? sn_k_mma(k, acc, values, p, SN_K_TA) : sn_k_mma(k, acc, p, values, 0);
  return SN_OK;
}

/* A bound of the keys, within the instance's. */
static sn_kv clip(const sn_forward *f, sn_kv at) {
  sn_kernel *k = f->s.b->k;
  return f->to ? sn_k_ibin(k, SN_K_IMAX, sn_k_ibin(k, SN_K_IMIN, at, f->to), f->from) : at;
}

void sn_forward_empty(const sn_forward *f, sn_kv carry[3]) {
  int e = f->s.a->e, r = f->s.keys_major ? e : rows_of(f), c = f->s.keys_major ? rows_of(f) : e;
  carry[0] = stat_const(f, LOWEST), carry[1] = stat_const(f, 0);
  carry[2] = sn_k_const(f->s.b->k, SN_ELEM_F32, r, c, 0);
}

void sn_forward_begin(sn_forward *f, sn_kv carry[3]) {
  const sn_attend *a = f->s.a;
  sn_kernel *k = f->s.b->k;
  f->s.start = sn_attend_start(&f->s);
  f->scale = late_scale(a);
  f->q = queries(f);
  if (!(f->scale > 0)) f->q = sn_k_binc(k, SN_K_MUL, f->q, sn_attend_unit(a));
  if (f->s.keys_major) f->q = sn_k_trans(k, f->q);
  sn_forward_empty(f, carry);
}

sn_code sn_forward_keys(sn_forward *f, sn_kv carry[3]) {
  sn_mask_range r = sn_attend_range(&f->s, false);
  sn_walk w = {.s = &f->s, .step = step, .user = f};
  r.lo = clip(f, r.lo), r.mid0 = clip(f, r.mid0), r.mid1 = clip(f, r.mid1), r.hi = clip(f, r.hi);
  return sn_attend_walk(&w, &r, 3 - f->first, carry + f->first);
}

/* ---- results ------------------------------------------------------------------------------------------------ */

sn_attend_sinks sn_attend_sinks_of(const sn_lower_ctx *c, sn_val v) {
  sn_attend_sinks s = {0};
  while (s.count < 4 && sn_lower_sink(c, v, s.count, &s.at[s.count].slot, &s.at[s.count].view)) s.count++;
  return s;
}

static void store_stat(const sn_forward *f, const sn_operand *o, sn_kv tile) {
  sn_build_kernel *b = f->s.b;
  sn_kv at[SN_VIEW_RANK] = {f->s.batch, f->s.head, f->s.q0}, limit = sn_build_limit(b, f->s.a->T, f->s.bq, f->s.q0);
  sn_kv stride = sn_build_dim(b, o->view.stride[2]);
  sn_kwin w = {.buf = sn_build_buffer(b, o->slot), .off = sn_build_address(b, &o->view, at)};
  if (f->s.keys_major)
    w.cs = stride, w.nc = limit;
  else
    w.rs = stride, w.nr = limit;
  sn_k_store(b->k, w, tile);
}

void sn_forward_finish(const sn_forward *f, const sn_kv carry[3], sn_kv *y, sn_kv *total) {
  sn_kernel *k = f->s.b->k;
  if (f->s.a->weights) {
    *y = carry[2];
    if (total) *total = carry[1];
    return;
  }
  sn_kv some = sn_k_bin(k, SN_K_LT, stat_const(f, 0), carry[1]);
  sn_kv scale = sn_k_select(k, some, sn_k_un(k, SN_K_RECIP, carry[1]), stat_const(f, 0));
  *y = sn_k_bin(k, SN_K_MUL, carry[2], scale);
  if (!total) return;
  sn_kv sum = sn_k_bin(k, SN_K_ADD, carry[0], sn_k_un(k, SN_K_LOG2, carry[1]));
  *total = sn_k_select(k, some, sn_k_binc(k, SN_K_MUL, sum, LN2), stat_const(f, -INFINITY));
}

static void finish(const sn_forward *f, const sn_kv carry[3], const sn_attend_sinks *y, const sn_attend_sinks *lse) {
  sn_build_kernel *b = f->s.b;
  sn_kv out, natural = 0;
  sn_forward_finish(f, carry, &out, lse->count ? &natural : NULL);
  if (f->s.keys_major) out = sn_k_trans(b->k, out);
  for (int i = 0; i < y->count; i++)
    sn_attend_store(f->s.a, b, &y->at[i], f->s.batch, f->s.q0, f->s.head, f->s.a->T, out);
  for (int i = 0; i < lse->count; i++) store_stat(f, &lse->at[i], natural);
}

static const sn_dimx *bytes_of(sn_types *t, const sn_type *type) {
  return sn_dimx_mul(t, sn_type_count(t, type), sn_dimx_const(t, (int64_t)sn_elem_bytes(type->elem)));
}

const char *sn_attend_ops(const sn_attend *a, const char *part) {
  sn_arena *arena = a->c->plan->arena;
  return sn_arena_printf(arena, "%s%s%s", sn_node_called(arena, a->node), *part ? "." : "", part);
}

/* The operand of the node whose size is that of what a kernel reads for operand i; -1: nothing. Backward kernels read
 * delta, of the shape of total, instead of y and dtotal; of weights none of them but dtotal. */
static int read_as(const sn_attend *a, int i) {
  if (!a->backward) return i;
  if (a->weights) return i == 3 || i == 4 ? -1 : i;
  return i == 3 ? 4 : a->has_dtotal && i == 6 ? -1 : i;
}

/* Elements of the operands times their size; 2 flops per pair and head element of each product. A block has about twice
 * as many products with captured rows as pairs. */
sn_report sn_attend_report(const sn_attend *a, int from, int to, int products_d, int products_e) {
  sn_types *t = a->c->types;
  sn_report r = {.bytes_read = sn_dimx_const(t, 0)};
  for (int i = from; i < to; i++) {
    if (read_as(a, i) < 0) continue;
    const sn_type *type = sn_val_type(a->c->body, a->node->arg[read_as(a, i)]);
    const sn_dimx *bytes = bytes_of(t, type),
                  *pages = sn_dimx_floordiv(t, a->S, sn_dimx_const(t, a->page ? a->page : 1));
    if (a->page && (i == 1 || i == 2)) /* those of the sequences, not the pool */
      bytes = sn_dimx_mul(t, sn_dimx_mul(t, a->B, pages), sn_dimx_exact_div(t, bytes, a->pool));
    r.bytes_read = sn_dimx_add(t, r.bytes_read, bytes);
  }
  const sn_dimx *pairs = sn_dimx_mul(t, sn_dimx_mul(t, a->B, a->H), sn_dimx_mul(t, a->T, a->S));
  r.flops = sn_dimx_mul(
      t, pairs,
      sn_dimx_const(t, 2 * ((int64_t)(products_d + 2 * a->product_count) * a->d + (int64_t)products_e * a->e)));
  return r;
}

const sn_dimx *sn_attend_sinks_bytes(const sn_attend *a, const sn_attend_sinks *y, const sn_attend_sinks *lse) {
  sn_types *t = a->c->types;
  const sn_dimx *bytes = sn_dimx_const(t, 0);
  for (int i = 0; i < y->count + lse->count; i++)
    bytes = sn_dimx_add(t, bytes, bytes_of(t, sn_val_type(a->c->body, a->node->first + (i >= y->count))));
  return bytes;
}

static sn_code lower_forward(sn_attend *a) {
  sn_types *t = a->c->types;
  sn_attend_sinks y = sn_attend_sinks_of(a->c, a->node->first), lse = sn_attend_sinks_of(a->c, a->node->first + 1);
  sn_buffer_use out[8];
  int count = 0;
  for (int i = 0; i < y.count; i++) out[count++] = (sn_buffer_use){y.at[i].slot, SN_K_OUT};
  for (int i = 0; i < lse.count; i++) out[count++] = (sn_buffer_use){lse.at[i].slot, SN_K_OUT};
  sn_build_kernel *b = sn_attend_kernel(a, "attend", count, out);
  sn_kernel *k = b->k;
  sn_build_grid(b, 3, a->B, a->H, sn_dimx_ceildiv(t, a->T, sn_dimx_const(t, a->bq)));
  sn_forward f = {
      .s = {.a = a, .b = b, .keys_major = a->c->target->scores_keys_major && a->bq > 1, .bq = a->bq, .bk = a->step},
      .first = sn_forward_first(a, &lse)};
  f.s.batch = sn_k_gid(k, 0), f.s.head = sn_k_gid(k, 1), f.s.q0 = sn_k_imulc(k, sn_k_gid(k, 2), a->bq);
  f.kv_head = a->group == 1 ? f.s.head : sn_k_ibin(k, SN_K_IDIV, f.s.head, sn_k_i(k, a->group));
  sn_kv carry[3];
  sn_forward_begin(&f, carry);
  SN_TRY(sn_forward_keys(&f, carry));
  finish(&f, carry, &y, &lse);
  sn_report report = sn_attend_report(a, 0, a->node->arg_count, 1, 1);
  report.bytes_written = sn_attend_sinks_bytes(a, &y, &lse);
  return sn_build_kernel_end(b, &report);
}

sn_code sn_lower_attend(sn_lower_ctx *c, const sn_node *fused) {
  sn_attend a = {0};
  (void)fused;
  for (int i = 0; i < c->body->node_count; i++)
    if (c->body->node[i]->op == SN_OP_ATTENTION || c->body->node[i]->op == SN_OP_ATTENTION_GRAD)
      a.node = c->body->node[i];
  if (!a.node) return sn_lower_fail(c, "attend: the group holds no attention");
  SN_TRY(sn_attend_read(c, &a));
  if (a.backward) return sn_attend_backward(&a);
  bool one = c->target->one_part && sn_dimx_is_one(a.T);
  return one ? sn_attend_one(&a) : lower_forward(&a);
}
