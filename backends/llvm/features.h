/* CPU feature levels as the code generator sees them: vector width, instruction choices, register tables. */
#ifndef SN_BACKENDS_LLVM_FEATURES_H
#define SN_BACKENDS_LLVM_FEATURES_H

#include "ir/types/target.h"

enum { CG_MAX_VECTORS = 4 }; /* widest microkernel, in vectors */

typedef struct cg_isa {
  sn_isa level;
  int lanes;                    /* elements of every vector value; f32 per register */
  bool fma;                     /* one rounding in fma; else mul and add */
  bool f16c;                    /* f16 <-> f32 conversions */
  bool rounding;                /* floor and rint instructions */
  bool masks;                   /* masked loads and stores of any element */
  bool bf16;                    /* f32 -> bf16 conversion */
  bool amx;                     /* bf16 tiles */
  int nv;                       /* preferred vectors per microkernel */
  int rows[CG_MAX_VECTORS + 1]; /* most rows of a microkernel of n vectors: accumulators, b and a broadcast fit */
  const char *cpu;              /* minimum processor that LLVM may assume */
  const char *tune;             /* scheduling model */
  const char *features;         /* LLVM's spelling */
  const char *width;            /* preferred vector width, bits */
} cg_isa;

/* The level of a target; extras beyond it only if target->features names them ("avx512bf16"). */
cg_isa cg_isa_of(const sn_target *t);

#endif
