/* Attention programs: online softmax forward; dk, dv and dq. `keys_major`: scores are held as [keys, queries], so that
 * row statistics run along vector lanes and nothing is transposed inside the key loop. */
#include "tests/llvm/harness_programs.h"

#include <string.h>

static const double log2e = 1.4426950408889634;

typedef struct attention {
  sn_kernel *k;
  const px_attention *o;
  bool keys_major;
  sn_kv head, base, q0; /* head, element offset of the head, first query */
  sn_kv q_buf, k_buf, v_buf, slope;
  sn_kv q; /* scaled queries: [d, bq] or [bq, d] */
  int stat_r, stat_c, s_r, s_c, q_axis;
} attention;

static sn_kv limit(sn_kernel *k, int extent, int block, sn_kv at) {
  return extent % block ? sn_k_isub(k, sn_k_i(k, extent), at) : 0;
}

/* elements from one row of a head to the next */
static int64_t row_stride(const px_attention *o, const char *name) {
  if (!o->model) return o->d;
  return (int64_t)(name[0] == 'o' || !strcmp(name, "do") ? 1 : 3) * o->heads * o->d;
}

int64_t px_attention_elements(const px_attention *o, const char *name) {
  if (!strcmp(name, "slope")) return o->heads;
  if (!strcmp(name, "lse") || !strcmp(name, "delta")) return (int64_t)o->heads * o->t;
  return o->model ? o->t * row_stride(o, name) : (int64_t)o->heads * o->t * o->d;
}

static sn_kwin head_rows(attention *a, sn_kv buffer, sn_kv row0, int block) {
  sn_kernel *k = a->k;
  int64_t row = row_stride(a->o, k->param[sn_k_ins(k, buffer)->i].name);
  sn_kv off = sn_k_iadd(k, a->base, sn_k_imulc(k, row0, row));
  return (sn_kwin){buffer, off, sn_k_i(k, row), 0, limit(k, a->o->t, block, row0), 0};
}

static void start(attention *a, sn_kernel *k, const px_attention *o, bool keys_major) {
  *a = (attention){.k = k, .o = o, .keys_major = keys_major, .head = sn_k_gid(k, 0)};
  a->base = sn_k_imulc(k, a->head, o->model ? o->d : (int64_t)o->t * o->d);
  a->stat_r = keys_major ? 1 : o->bq, a->stat_c = keys_major ? o->bq : 1;
  a->s_r = keys_major ? o->bk : o->bq, a->s_c = keys_major ? o->bq : o->bk;
  a->q_axis = keys_major ? 1 : 0;
}

/* the regions: ALiBi score, causal mask, keys beyond the end */
static sn_kv regions(attention *a, sn_kv s, sn_kv q0, sn_kv k0, bool masked) {
  sn_kernel *k = a->k;
  const px_attention *o = a->o;
  int kr = a->q_axis ? o->bk : 1, kc = a->q_axis ? 1 : o->bk;
  sn_kv iq = sn_k_iota(k, a->stat_r, a->stat_c, a->q_axis, q0), ik = sn_k_iota(k, kr, kc, !a->q_axis, k0);
  if (o->alibi) {
    sn_kv slope = sn_k_load(k, 1, 1, (sn_kwin){.buf = a->slope, .off = a->head}, 0);
    sn_kv distance = sn_k_cast(k, SN_ELEM_F32, sn_k_bin(k, SN_K_SUB, iq, ik));
    s = sn_k_bin(k, SN_K_SUB, s, sn_k_bin(k, SN_K_MUL, distance, slope));
  }
  if (!masked) return s;
  sn_kv low = sn_k_const(k, SN_ELEM_F32, 1, 1, -1e30);
  if (o->causal) s = sn_k_select(k, sn_k_bin(k, SN_K_LE, ik, iq), s, low);
  if (o->t % o->bk) s = sn_k_select(k, sn_k_bin(k, SN_K_LT, ik, sn_k_isplat(k, 1, 1, sn_k_i(k, o->t))), s, low);
  return s;
}

/* ---- forward ---------------------------------------------------------------------------------------------- */

/* one key block: carry = running maximum, running sum, output accumulator */
static void forward_step(attention *a, sn_kv k0, bool masked, sn_kv *carry) {
  sn_kernel *k = a->k;
  const px_attention *o = a->o;
  int axis = !a->q_axis;
  sn_kv keys = sn_k_load(k, o->bk, o->d, head_rows(a, a->k_buf, k0, o->bk), 0);
  sn_kv zero = sn_k_const(k, SN_ELEM_F32, a->s_r, a->s_c, 0);
  sn_kv s = a->keys_major ? sn_k_mma(k, zero, keys, a->q, 0) : sn_k_mma(k, zero, a->q, keys, SN_K_TB);
  s = regions(a, s, a->q0, k0, masked);
  sn_kv m = sn_k_bin(k, SN_K_MAX, carry[0], sn_k_reduce(k, SN_K_RMAX, axis, s));
  sn_kv alpha = px_exp2(k, sn_k_bin(k, SN_K_SUB, carry[0], m));
  sn_kv p = px_exp2(k, sn_k_bin(k, SN_K_SUB, s, m));
  sn_kv v = sn_k_load(k, o->bk, o->d, head_rows(a, a->v_buf, k0, o->bk), 0);
  sn_kv acc = sn_k_rescale(k, carry[2], alpha);
  carry[0] = m;
  carry[1] = sn_k_fma(k, carry[1], alpha, sn_k_reduce(k, SN_K_RSUM, axis, p));
  carry[2] = a->keys_major ? sn_k_mma(k, acc, v, p, SN_K_TA) : sn_k_mma(k, acc, p, v, 0);
}

static void forward_loop(attention *a, sn_kv lo, sn_kv hi, bool masked, sn_kv *carry) {
  sn_kv k0 = sn_k_for(a->k, lo, hi, a->o->bk, 3, carry);
  forward_step(a, k0, masked, carry);
  sn_k_end_for(a->k, 3, carry);
}

/* [0, full) holds only complete key blocks, [full, end) the partial ones */
static void key_range(attention *a, sn_kv *full, sn_kv *end) {
  sn_kernel *k = a->k;
  const px_attention *o = a->o;
  sn_kv whole = sn_k_i(k, o->t / o->bk * o->bk);
  *full = whole;
  *end = sn_k_i(k, o->t);
  if (!o->causal) return;
  sn_kv block = sn_k_ibin(k, SN_K_IDIV, sn_k_iadd(k, a->q0, sn_k_i(k, 1)), sn_k_i(k, o->bk));
  *full = sn_k_ibin(k, SN_K_IMIN, sn_k_imulc(k, block, o->bk), whole);
  *end = sn_k_ibin(k, SN_K_IMIN, sn_k_iadd(k, a->q0, sn_k_i(k, o->bq)), sn_k_i(k, o->t));
}

static void store_output(attention *a, sn_kv o_buf, sn_kv lse_buf, const sn_kv *carry) {
  sn_kernel *k = a->k;
  const px_attention *o = a->o;
  sn_kv out = sn_k_bin(k, SN_K_MUL, carry[2], sn_k_un(k, SN_K_RECIP, carry[1]));
  sn_k_store(k, head_rows(a, o_buf, a->q0, o->bq), a->keys_major ? sn_k_trans(k, out) : out);
  sn_kv lse = sn_k_bin(k, SN_K_ADD, carry[0], px_log2(k, carry[1])), left = limit(k, o->t, o->bq, a->q0);
  sn_kwin w = {.buf = lse_buf, .off = sn_k_iadd(k, sn_k_imulc(k, a->head, o->t), a->q0)};
  if (a->keys_major)
    w.nc = left;
  else
    w.nr = left, w.rs = sn_k_i(k, 1);
  sn_k_store(k, w, lse);
}

static void inputs(attention *a) {
  a->q_buf = sn_kernel_buffer(a->k, "q", SN_ELEM_F32, SN_K_IN);
  a->k_buf = sn_kernel_buffer(a->k, "k", SN_ELEM_F32, SN_K_IN);
  a->v_buf = sn_kernel_buffer(a->k, "v", SN_ELEM_F32, SN_K_IN);
}

sn_kernel *px_attention_forward(sn_arena *arena, const px_attention *o) {
  sn_kernel *k = sn_kernel_create(arena, "attention");
  attention a;
  start(&a, k, o, o->keys_major);
  inputs(&a);
  sn_kv o_buf = sn_kernel_buffer(k, "o", SN_ELEM_F32, SN_K_OUT),
        lse = sn_kernel_buffer(k, "lse", SN_ELEM_F32, SN_K_OUT);
  a.slope = sn_kernel_buffer(k, "slope", SN_ELEM_F32, SN_K_IN);
  sn_kernel_grid(k, 2, sn_k_i(k, o->heads), sn_k_i(k, (o->t + o->bq - 1) / o->bq), 0);
  a.q0 = sn_k_imulc(k, sn_k_gid(k, 1), o->bq);
  sn_kv q = sn_k_load(k, o->bq, o->d, head_rows(&a, a.q_buf, a.q0, o->bq), 0);
  a.q = sn_k_binc(k, SN_K_MUL, q, o->scale * log2e);
  if (o->keys_major) a.q = sn_k_trans(k, a.q);
  int acc_r = o->keys_major ? o->d : o->bq, acc_c = o->keys_major ? o->bq : o->d;
  sn_kv full, end,
      carry[3] = {sn_k_const(k, SN_ELEM_F32, a.stat_r, a.stat_c, -1e30),
                  sn_k_const(k, SN_ELEM_F32, a.stat_r, a.stat_c, 0), sn_k_const(k, SN_ELEM_F32, acc_r, acc_c, 0)};
  key_range(&a, &full, &end);
  forward_loop(&a, sn_k_i(k, 0), full, false, carry);
  forward_loop(&a, full, end, true, carry);
  store_output(&a, o_buf, lse, carry);
  return k;
}

/* ---- backward --------------------------------------------------------------------------------------------- */

typedef struct gradient {
  sn_kv d_out, lse, delta;
} gradient;

static void gradient_inputs(attention *a, gradient *g) {
  inputs(a);
  g->d_out = sn_kernel_buffer(a->k, "do", SN_ELEM_F32, SN_K_IN);
  g->lse = sn_kernel_buffer(a->k, "lse", SN_ELEM_F32, SN_K_IN);
  g->delta = sn_kernel_buffer(a->k, "delta", SN_ELEM_F32, SN_K_IN);
  a->slope = sn_kernel_buffer(a->k, "slope", SN_ELEM_F32, SN_K_IN);
}

static sn_kv statistic(attention *a, sn_kv buffer, sn_kv q0, double pad) { /* [bq, 1] or [1, bq] */
  sn_kernel *k = a->k;
  const px_attention *o = a->o;
  sn_kwin w = {.buf = buffer, .off = sn_k_iadd(k, sn_k_imulc(k, a->head, o->t), q0)};
  if (a->q_axis)
    w.nc = limit(k, o->t, o->bq, q0);
  else
    w.nr = limit(k, o->t, o->bq, q0), w.rs = sn_k_i(k, 1);
  return sn_k_load(k, a->stat_r, a->stat_c, w, pad);
}

/* p = exp2(score - lse), ds = p * (dp - delta) */
static void probabilities(attention *a, const gradient *g, sn_kv s, sn_kv dp, sn_kv q0, sn_kv k0, bool masked,
                          sn_kv out[2]) {
  sn_kernel *k = a->k;
  s = regions(a, sn_k_binc(k, SN_K_MUL, s, a->o->scale * log2e), q0, k0, masked);
  out[0] = px_exp2(k, sn_k_bin(k, SN_K_SUB, s, statistic(a, g->lse, q0, 1e30)));
  out[1] = sn_k_bin(k, SN_K_MUL, out[0], sn_k_bin(k, SN_K_SUB, dp, statistic(a, g->delta, q0, 0)));
}

/* one key block per instance, scores [queries, keys]: p and ds enter transposed, as first operands */
static void dkv_loop(attention *a, const gradient *g, const sn_kv kv_t[2], sn_kv k0, sn_kv lo, sn_kv hi, bool masked,
                     sn_kv *carry) {
  sn_kernel *k = a->k;
  const px_attention *o = a->o;
  sn_kv q0 = sn_k_for(k, lo, hi, o->bq, 2, carry), zero = sn_k_const(k, SN_ELEM_F32, o->bq, o->bk, 0), p[2];
  sn_kv q = sn_k_load(k, o->bq, o->d, head_rows(a, a->q_buf, q0, o->bq), 0);
  sn_kv d_out = sn_k_load(k, o->bq, o->d, head_rows(a, g->d_out, q0, o->bq), 0);
  sn_kv s = sn_k_mma(k, zero, q, kv_t[0], 0), dp = sn_k_mma(k, zero, d_out, kv_t[1], 0);
  probabilities(a, g, s, dp, q0, k0, masked, p);
  carry[0] = sn_k_mma(k, carry[0], p[1], q, SN_K_TA);
  carry[1] = sn_k_mma(k, carry[1], p[0], d_out, SN_K_TA);
  sn_k_end_for(k, 2, carry);
}

sn_kernel *px_attention_dkv(sn_arena *arena, const px_attention *o) {
  sn_kernel *k = sn_kernel_create(arena, "attention_dkv");
  attention a;
  gradient g;
  start(&a, k, o, false);
  gradient_inputs(&a, &g);
  sn_kv dk = sn_kernel_buffer(k, "dk", SN_ELEM_F32, SN_K_OUT), dv = sn_kernel_buffer(k, "dv", SN_ELEM_F32, SN_K_OUT);
  sn_kernel_grid(k, 2, sn_k_i(k, o->heads), sn_k_i(k, (o->t + o->bk - 1) / o->bk), 0);
  sn_kv k0 = sn_k_imulc(k, sn_k_gid(k, 1), o->bk), t = sn_k_i(k, o->t), bq = sn_k_i(k, o->bq), from = sn_k_i(k, 0),
        full = from;
  sn_kv kv_t[2] = {sn_k_trans(k, sn_k_load(k, o->bk, o->d, head_rows(&a, a.k_buf, k0, o->bk), 0)),
                   sn_k_trans(k, sn_k_load(k, o->bk, o->d, head_rows(&a, a.v_buf, k0, o->bk), 0))};
  if (o->causal) {
    from = sn_k_imul(k, sn_k_ibin(k, SN_K_IDIV, k0, bq), bq);
    full = sn_k_imul(k, sn_k_iceil(k, sn_k_iadd(k, k0, sn_k_i(k, o->bk - 1)), o->bq), bq);
  }
  if (o->t % o->bk) { /* the last key block is partial for every query */
    sn_kv last = sn_k_ibin(k, SN_K_ILT, t, sn_k_iadd(k, k0, sn_k_i(k, o->bk)));
    full = sn_k_ibin(k, SN_K_IMAX, full, sn_k_imul(k, last, t));
  }
  sn_kv zero = sn_k_const(k, SN_ELEM_F32, o->bk, o->d, 0), carry[2] = {zero, zero};
  dkv_loop(&a, &g, kv_t, k0, from, sn_k_ibin(k, SN_K_IMIN, full, t), true, carry);
  dkv_loop(&a, &g, kv_t, k0, full, t, false, carry);
  sn_k_store(k, head_rows(&a, dk, k0, o->bk), sn_k_binc(k, SN_K_MUL, carry[0], o->scale));
  sn_k_store(k, head_rows(&a, dv, k0, o->bk), carry[1]);
  return k;
}

/* one query block per instance, scores [keys, queries] */
static void dq_loop(attention *a, const gradient *g, const sn_kv q_t[2], sn_kv lo, sn_kv hi, bool masked, sn_kv *dq) {
  sn_kernel *k = a->k;
  const px_attention *o = a->o;
  sn_kv k0 = sn_k_for(k, lo, hi, o->bk, 1, dq), zero = sn_k_const(k, SN_ELEM_F32, o->bk, o->bq, 0), p[2];
  sn_kv keys = sn_k_load(k, o->bk, o->d, head_rows(a, a->k_buf, k0, o->bk), 0);
  sn_kv values = sn_k_load(k, o->bk, o->d, head_rows(a, a->v_buf, k0, o->bk), 0);
  sn_kv s = sn_k_mma(k, zero, keys, q_t[0], 0), dp = sn_k_mma(k, zero, values, q_t[1], 0);
  probabilities(a, g, s, dp, a->q0, k0, masked, p);
  *dq = sn_k_mma(k, *dq, p[1], keys, SN_K_TA);
  sn_k_end_for(k, 1, dq);
}

sn_kernel *px_attention_dq(sn_arena *arena, const px_attention *o) {
  sn_kernel *k = sn_kernel_create(arena, "attention_dq");
  attention a;
  gradient g;
  sn_kv full, end;
  start(&a, k, o, true);
  gradient_inputs(&a, &g);
  sn_kv out = sn_kernel_buffer(k, "dq", SN_ELEM_F32, SN_K_OUT);
  sn_kernel_grid(k, 2, sn_k_i(k, o->heads), sn_k_i(k, (o->t + o->bq - 1) / o->bq), 0);
  a.q0 = sn_k_imulc(k, sn_k_gid(k, 1), o->bq);
  sn_kv q_t[2] = {sn_k_trans(k, sn_k_load(k, o->bq, o->d, head_rows(&a, a.q_buf, a.q0, o->bq), 0)),
                  sn_k_trans(k, sn_k_load(k, o->bq, o->d, head_rows(&a, g.d_out, a.q0, o->bq), 0))};
  sn_kv dq = sn_k_const(k, SN_ELEM_F32, o->bq, o->d, 0);
  key_range(&a, &full, &end);
  dq_loop(&a, &g, q_t, sn_k_i(k, 0), full, false, &dq);
  dq_loop(&a, &g, q_t, full, end, true, &dq);
  sn_k_store(k, head_rows(&a, out, a.q0, o->bq), sn_k_binc(k, SN_K_MUL, dq, o->scale));
  return k;
}
