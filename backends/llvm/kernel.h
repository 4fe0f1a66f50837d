/* kernel IR -> LLVM -> machine code of one function. */
#ifndef SN_BACKENDS_LLVM_KERNEL_H
#define SN_BACKENDS_LLVM_KERNEL_H

#include "backends/llvm/features.h"
#include "ir/kernel/kernel.h"

#define CG_ENTRY "sn_kernel" /* symbol of the entry function */

typedef enum cg_form { CG_OBJECT, CG_ASM, CG_LLVM } cg_form;

typedef struct cg_output {
  const char *bytes; /* object, assembly or LLVM text */
  size_t count;
  int64_t workspace_bytes; /* per thread, 64-byte aligned */
} cg_output;

/* Thread-safe.   errors: SN_ERR_DEVICE for what the level cannot do, SN_ERR_FAIL when LLVM refuses.   owns: arena. */
SN_MUST sn_code cg_compile(const sn_kernel *k, const cg_isa *isa, cg_form form, sn_arena *arena, sn_diags *diags,
                           cg_output *out);

#endif
