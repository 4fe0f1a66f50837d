/* Tile programs that tests and benchmarks of backends run: contract, rows, attention forward and backward. Elementary
 * functions are already polynomials, as backends see them. */
#ifndef SN_TESTS_LLVM_HARNESS_PROGRAMS_H
#define SN_TESTS_LLVM_HARNESS_PROGRAMS_H

#include "ir/kernel/kernel.h"

typedef struct px_contract {
  int m, n, k;
  int bm, bn, bk; /* macro tile */
  int mc;         /* rows of a that stay in cache while panels of b pass: multiple of bm */
  bool packed_b;  /* b is [n/bn][k][bn] (zero padded; bf16 vnni: [n/bn][k/2][bn][2]), else row-major [k][n] */
  bool symbolic;  /* m, n, k are size parameters (packed b: only m) */
  sn_elem elem;   /* of a and b */
  bool bias, gelu, vnni;
  bool ta, tb; /* a is [k][m]; b is [n][k] */
} px_contract;
/* a, b, c [, bias] [, M, N, K] */
sn_kernel *px_contract_kernel(sn_arena *arena, const px_contract *o);

/* x, y; x, g, b, y: rows of `cols` columns, `br` rows per instance; symbolic: the number of rows is a parameter */
sn_kernel *px_softmax(sn_arena *arena, int rows, int cols, int br, bool symbolic);
sn_kernel *px_layernorm(sn_arena *arena, int rows, int cols, int br, double eps, bool symbolic);

typedef struct px_attention {
  int heads, t, d, bq, bk;
  bool keys_major; /* scores as [keys, queries] */
  bool causal, alibi;
  bool model; /* q, k, v and their gradients lie in rows [t, 3, heads, d], o and do in [t, heads, d]; else [heads, t, d]
               */
  double scale;
} px_attention;
sn_kernel *px_attention_forward(sn_arena *arena, const px_attention *o); /* q, k, v, o, lse, slope */
sn_kernel *px_attention_dkv(sn_arena *arena, const px_attention *o);     /* q, k, v, do, lse, delta, slope, dk, dv */
sn_kernel *px_attention_dq(sn_arena *arena, const px_attention *o);      /* q, k, v, do, lse, delta, slope, dq */

/* Elements of a buffer of these, by its name. */
int64_t px_attention_elements(const px_attention *o, const char *name);

/* polynomials on tiles */
sn_kv px_exp2(sn_kernel *k, sn_kv x);
sn_kv px_log2(sn_kernel *k, sn_kv x); /* of positive normal numbers */
sn_kv px_tanh(sn_kernel *k, sn_kv x);

#endif
