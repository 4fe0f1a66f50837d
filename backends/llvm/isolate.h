/* Runs code generation in a child process. */
#ifndef SN_BACKENDS_LLVM_ISOLATE_H
#define SN_BACKENDS_LLVM_ISOLATE_H

#include "backends/llvm/llvm_backend.h"

typedef sn_code (*cg_emit_fn)(const sn_target *t, const sn_kernel *k, sn_arena *arena, sn_diags *diags,
                              sn_code_blob *out);

/* emit() in a child; its blob or its diagnostic comes back through a pipe.   errors: those of emit; SN_ERR_FAIL naming
 * the kernel and the signal when the child dies; SN_ERR_LIMIT when there is no process to be had */
SN_MUST sn_code cg_isolated(cg_emit_fn emit, const sn_target *t, const sn_kernel *k, sn_arena *arena, sn_diags *diags,
                            sn_code_blob *out);

#endif
