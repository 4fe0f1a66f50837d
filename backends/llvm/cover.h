/* Which kernels this backend can emit under the facts of a target. */
#ifndef SN_BACKENDS_LLVM_COVER_H
#define SN_BACKENDS_LLVM_COVER_H

#include "backends/llvm/features.h"
#include "ir/kernel/kernel.h"

/* NULL when there is an emission rule for every instruction; else why not.   owns: arena */
const char *cg_uncovered(const sn_kernel *k, const cg_isa *isa, sn_arena *arena);

#endif
