/* contract and rows programs, and the polynomials that all programs use. */
#include "tests/llvm/harness_programs.h"

/* ---- polynomials ---------------------------------------------------------------------------------------- */

static sn_kv clamped(sn_kernel *k, sn_kv x, double lo, double hi) {
  return sn_k_binc(k, SN_K_MIN, sn_k_binc(k, SN_K_MAX, x, lo), hi);
}

static sn_kv constant_like(sn_kernel *k, sn_kv x, double v) {
  sn_ktype t = sn_k_type(k, x);
  return sn_k_const(k, t.elem, t.r, t.c, v);
}

static sn_kv horner(sn_kernel *k, sn_kv x, const double *c, int n) {
  sn_kv r = constant_like(k, x, c[0]);
  for (int i = 1; i < n; i++) r = sn_k_fma(k, r, x, constant_like(k, x, c[i]));
  return r;
}

static sn_kv power_of_two(sn_kernel *k, sn_kv n) { /* n integral in [-127, 128] */
  sn_kv i = sn_k_binc(k, SN_K_ADD, sn_k_cast(k, SN_ELEM_I32, n), 127);
  return sn_k_bitcast(k, SN_ELEM_F32, sn_k_binc(k, SN_K_SHL, i, 23));
}

sn_kv px_exp2(sn_kernel *k, sn_kv x) { /* below -127 exactly 0, above 128 infinite */
  static const double c[] = {0.0013333558, 0.0096181291, 0.0555041087, 0.240226507, 0.693147181, 1.0};
  x = clamped(k, x, -127, 128);
  sn_kv n = sn_k_un(k, SN_K_RINT, x), r = sn_k_bin(k, SN_K_SUB, x, n);
  return sn_k_bin(k, SN_K_MUL, horner(k, r, c, 6), power_of_two(k, n));
}

sn_kv px_log2(sn_kernel *k, sn_kv a) {
  static const double odd[] = {-0.130310059, -0.121483512, -0.166846126, -0.249996200};
  static const double even[] = {0.140869141, 0.139814854, 0.200120345};
  sn_kv bits = sn_k_bitcast(k, SN_ELEM_I32, a);
  sn_kv e = sn_k_binc(k, SN_K_AND, sn_k_binc(k, SN_K_SUB, bits, 0x3f2aaaab), -8388608);
  sn_kv m = sn_k_bitcast(k, SN_ELEM_F32, sn_k_bin(k, SN_K_SUB, bits, e));
  sn_kv i = sn_k_binc(k, SN_K_MUL, sn_k_cast(k, SN_ELEM_F32, e), 0x1p-23);
  m = sn_k_binc(k, SN_K_SUB, m, 1);
  sn_kv s = sn_k_bin(k, SN_K_MUL, m, m), r = sn_k_fma(k, horner(k, s, even, 3), m, horner(k, s, odd, 4));
  r = sn_k_fma(k, r, m, constant_like(k, m, 0.333331972));
  r = sn_k_fma(k, r, m, constant_like(k, m, -0.5));
  r = sn_k_fma(k, r, s, m);
  return sn_k_fma(k, r, constant_like(k, m, 1.4426950408889634), i);
}

sn_kv px_tanh(sn_kernel *k, sn_kv x) {
  static const double c[] = {1.98527617612853646e-4, 1.39304355252534151e-3, 8.33336077630519867e-3,
                             4.16664853692054749e-2, 1.66666671633720398e-1, 0.5};
  sn_kv y = sn_k_binc(k, SN_K_MIN, sn_k_un(k, SN_K_ABS, x), 9.1);
  y = sn_k_bin(k, SN_K_ADD, y, y);
  sn_kv n = sn_k_un(k, SN_K_RINT, sn_k_binc(k, SN_K_MUL, y, 1.4426950408889634));
  sn_kv r = sn_k_fma(k, n, constant_like(k, n, -0.693145751953125), y);
  r = sn_k_fma(k, n, constant_like(k, n, -1.428606765330187e-06), r);
  sn_kv p = sn_k_fma(k, sn_k_bin(k, SN_K_MUL, r, r), horner(k, r, c, 6), r), s = power_of_two(k, n);
  sn_kv em1 = sn_k_fma(k, p, s, sn_k_binc(k, SN_K_SUB, s, 1));
  y = sn_k_bin(k, SN_K_DIV, em1, sn_k_binc(k, SN_K_ADD, em1, 2));
  sn_kv sign = sn_k_binc(k, SN_K_AND, sn_k_bitcast(k, SN_ELEM_I32, x), -2147483648.0);
  return sn_k_bitcast(k, SN_ELEM_F32, sn_k_bin(k, SN_K_OR, sn_k_bitcast(k, SN_ELEM_I32, y), sign));
}

/* ---- contract -------------------------------------------------------------------------------------------- */

static sn_kv gelu(sn_kernel *k, sn_kv x) { /* tanh form */
  sn_kv x2 = sn_k_bin(k, SN_K_MUL, x, x);
  sn_kv inner = sn_k_binc(k, SN_K_ADD, sn_k_binc(k, SN_K_MUL, x2, 0.044715 * 0.7978845608028654), 0.7978845608028654);
  sn_kv th = px_tanh(k, sn_k_bin(k, SN_K_MUL, x, inner));
  return sn_k_bin(k, SN_K_MUL, sn_k_binc(k, SN_K_MUL, x, 0.5), sn_k_binc(k, SN_K_ADD, th, 1.0));
}

/* An extent: a constant or a size parameter. */
static sn_kv extent(sn_kernel *k, const char *name, int n, bool symbolic) {
  return symbolic ? sn_kernel_size(k, name, 1, 1 << 20, 1) : sn_k_i(k, n);
}

/* rows left in a block starting at `at`; no limit when the block divides the extent */
static sn_kv left(sn_kernel *k, sn_kv extent_of, int block, sn_kv at) {
  sn_kv n = sn_k_isub(k, extent_of, at);
  return sn_k_divisor(k, extent_of) % block ? n : 0;
}

sn_kernel *px_contract_kernel(sn_arena *arena, const px_contract *o) {
  sn_kernel *k = sn_kernel_create(arena, "contract");
  sn_kv a_buf = sn_kernel_buffer(k, "a", o->elem, SN_K_IN), b_buf = sn_kernel_buffer(k, "b", o->elem, SN_K_IN);
  sn_kv c_buf = sn_kernel_buffer(k, "c", SN_ELEM_F32, SN_K_OUT);
  sn_kv bias = o->bias ? sn_kernel_buffer(k, "bias", SN_ELEM_F32, SN_K_IN) : 0;
  sn_kv m = extent(k, "M", o->m, o->symbolic), n = extent(k, "N", o->n, o->symbolic && !o->packed_b);
  sn_kv depth = extent(k, "K", o->k, o->symbolic && !o->packed_b);
  int per = o->mc / o->bm;
  sn_kernel_grid(k, 3, sn_k_iceil(k, m, o->mc), sn_k_iceil(k, n, o->bn), sn_k_i(k, per));
  sn_kv i = sn_k_iadd(k, sn_k_imulc(k, sn_k_gid(k, 0), o->mc), sn_k_imulc(k, sn_k_gid(k, 2), o->bm));
  sn_kv j = sn_k_imulc(k, sn_k_gid(k, 1), o->bn), nr = left(k, m, o->mc, i), nc = left(k, n, o->bn, j);

  sn_kv acc = sn_k_const(k, SN_ELEM_F32, o->bm, o->bn, 0);
  sn_kv kk = sn_k_for(k, sn_k_i(k, 0), depth, o->bk, 1, &acc), kl = left(k, depth, o->bk, kk);
  sn_kwin wa = {a_buf, sn_k_iadd(k, sn_k_imul(k, i, depth), kk), depth, 0, nr, kl};
  sn_kwin wb = {b_buf, sn_k_iadd(k, sn_k_imul(k, kk, n), j), n, 0, kl, nc};
  if (o->packed_b) {
    int rows = o->vnni ? o->k / 2 : o->k, w = o->vnni ? 2 * o->bn : o->bn;
    sn_kv row = o->vnni ? sn_k_ibin(k, SN_K_IDIV, kk, sn_k_i(k, 2)) : kk;
    sn_kv off = sn_k_iadd(k, sn_k_imulc(k, sn_k_gid(k, 1), (int64_t)rows * w), sn_k_imulc(k, row, w));
    sn_kv left_rows = kl && o->vnni ? sn_k_isub(k, sn_k_i(k, rows), row) : kl;
    wb = (sn_kwin){b_buf, off, sn_k_i(k, w), 0, left_rows, 0};
  }
  if (o->ta) wa = (sn_kwin){a_buf, sn_k_iadd(k, sn_k_imul(k, kk, m), i), m, 0, kl, nr};
  if (o->tb) wb = (sn_kwin){b_buf, sn_k_iadd(k, sn_k_imul(k, j, depth), kk), depth, 0, nc, kl};
  sn_kv a = o->ta ? sn_k_load(k, o->bk, o->bm, wa, 0) : sn_k_load(k, o->bm, o->bk, wa, 0);
  int b_rows = o->vnni ? o->bk / 2 : o->tb ? o->bn : o->bk, b_cols = o->vnni ? 2 * o->bn : o->tb ? o->bk : o->bn;
  sn_kv b = sn_k_load(k, b_rows, b_cols, wb, 0);
  acc = sn_k_mma(k, acc, a, b, (o->vnni ? SN_K_VNNI : 0) | (o->ta ? SN_K_TA : 0) | (o->tb ? SN_K_TB : 0));
  sn_k_end_for(k, 1, &acc);

  if (bias) acc = sn_k_bin(k, SN_K_ADD, acc, sn_k_load(k, 1, o->bn, (sn_kwin){.buf = bias, .off = j, .nc = nc}, 0));
  if (o->gelu) acc = gelu(k, acc);
  sn_k_store(k, (sn_kwin){c_buf, sn_k_iadd(k, sn_k_imul(k, i, n), j), n, 0, nr, nc}, acc);
  return k;
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

static sn_kwin row_window(sn_kernel *k, sn_kv buffer, int rows, int cols, int br, bool symbolic) {
  sn_kv n = extent(k, "R", rows, symbolic), at = sn_k_imulc(k, sn_k_gid(k, 0), br);
  sn_kernel_grid(k, 1, sn_k_iceil(k, n, br), 0, 0);
  return (sn_kwin){buffer, sn_k_imulc(k, at, cols), sn_k_i(k, cols), 0, left(k, n, br, at), 0};
}

sn_kernel *px_softmax(sn_arena *arena, int rows, int cols, int br, bool symbolic) {
  sn_kernel *k = sn_kernel_create(arena, "softmax");
  sn_kv x_buf = sn_kernel_buffer(k, "x", SN_ELEM_F32, SN_K_IN), y_buf = sn_kernel_buffer(k, "y", SN_ELEM_F32, SN_K_OUT);
  sn_kwin w = row_window(k, x_buf, rows, cols, br, symbolic);
  sn_kv x = sn_k_binc(k, SN_K_MUL, sn_k_load(k, br, cols, w, 0), 1.4426950408889634);
  sn_kv e = px_exp2(k, sn_k_bin(k, SN_K_SUB, x, sn_k_reduce(k, SN_K_RMAX, 1, x)));
  sn_kv inverse = sn_k_un(k, SN_K_RECIP, sn_k_reduce(k, SN_K_RSUM, 1, e));
  w.buf = y_buf;
  sn_k_store(k, w, sn_k_bin(k, SN_K_MUL, e, inverse));
  return k;
}

sn_kernel *px_layernorm(sn_arena *arena, int rows, int cols, int br, double eps, bool symbolic) {
  sn_kernel *k = sn_kernel_create(arena, "layernorm");
  sn_kv x_buf = sn_kernel_buffer(k, "x", SN_ELEM_F32, SN_K_IN), g_buf = sn_kernel_buffer(k, "g", SN_ELEM_F32, SN_K_IN);
  sn_kv b_buf = sn_kernel_buffer(k, "b", SN_ELEM_F32, SN_K_IN), y_buf = sn_kernel_buffer(k, "y", SN_ELEM_F32, SN_K_OUT);
  sn_kwin w = row_window(k, x_buf, rows, cols, br, symbolic);
  sn_kv x = sn_k_load(k, br, cols, w, 0);
  sn_kv mean = sn_k_binc(k, SN_K_MUL, sn_k_reduce(k, SN_K_RSUM, 1, x), 1.0 / cols);
  sn_kv d = sn_k_bin(k, SN_K_SUB, x, mean);
  sn_kv variance = sn_k_binc(k, SN_K_MUL, sn_k_reduce(k, SN_K_RSUM, 1, sn_k_bin(k, SN_K_MUL, d, d)), 1.0 / cols);
  sn_kv rs = sn_k_un(k, SN_K_RSQRT, sn_k_binc(k, SN_K_ADD, variance, eps));
  sn_kv g = sn_k_load(k, 1, cols, (sn_kwin){.buf = g_buf}, 0), b = sn_k_load(k, 1, cols, (sn_kwin){.buf = b_buf}, 0);
  w.buf = y_buf;
  sn_k_store(k, w, sn_k_fma(k, sn_k_bin(k, SN_K_MUL, d, rs), g, b));
  return k;
}
