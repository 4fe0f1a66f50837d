/* What the files of kernel/simplify share. */
#ifndef SN_PASSES_KERNEL_INTERNAL_H
#define SN_PASSES_KERNEL_INTERNAL_H

#include "ir/kernel/rewrite.h"

/* An instruction about to be built in kernel k, operands already simplified. */
typedef struct sn_kdraft {
  sn_kernel *k;
  sn_kop op;
  sn_ktype type;
  int count;
  sn_kv a[3];
  int64_t i;
  double f;
} sn_kdraft;

/* Builds a draft by the rules of simplify.c (operands of rewritten drafts come from here). */
typedef struct sn_ksimplify sn_ksimplify;
sn_kv sn_ksimplify_build(sn_ksimplify *s, sn_kdraft d);
sn_kv sn_ksimplify_const(sn_ksimplify *s, sn_elem e, int r, int c, double v);

/* fold.c: rules that need no new instruction but a constant or an operand; 0: none applies. */
sn_kv sn_kfold_constants(sn_ksimplify *s, const sn_kdraft *d);
sn_kv sn_kfold_identities(sn_ksimplify *s, const sn_kdraft *d);

/* hoist.c: one round of moving invariant values out of loops; false: nothing moved. */
bool sn_khoist(sn_arena *arena, const sn_kernel *k, sn_kernel **out);

static inline bool sn_kdraft_const(const sn_kernel *k, sn_kv v, double *out) {
  if (sn_k_ins(k, v)->op != SN_K_CONST) return false;
  *out = sn_k_ins(k, v)->f;
  return true;
}

#endif
