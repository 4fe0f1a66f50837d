/* CPU code generation through LLVM: what goes beyond backends/backend.h. */
#ifndef SN_BACKENDS_LLVM_LLVM_BACKEND_H
#define SN_BACKENDS_LLVM_LLVM_BACKEND_H

#include "backends/backend.h"

/* Facts of the machine this runs on: feature level and features from the processor, cache sizes from the system;
 * schedule parameters of the level. Never decides by the processor's name.   errors: SN_ERR_DEVICE on other
 * architectures. */
SN_MUST sn_code sn_llvm_host_target(sn_target *out);

/* Can code be generated? Opens LLVM's library, which nothing else does before there is something to compile.
 * errors: SN_ERR_DEVICE it is not there, or not the one that this was built for */
SN_MUST sn_code sn_llvm_ready(sn_diags *diags);

typedef struct sn_llvm_opt {
  bool isolate; /* generate in a child process: a crash of LLVM becomes a diagnostic naming the kernel */
} sn_llvm_opt;

/* sn_backend.emit with options.   errors: SN_ERR_FAIL when LLVM refuses or, isolated, dies; SN_ERR_DEVICE for kernels
 * that the level cannot run.   owns: blob bytes in `arena` */
SN_MUST sn_code sn_llvm_emit(const sn_llvm_opt *opt, const sn_target *t, const sn_kernel *k, sn_arena *arena,
                             sn_diags *diags, sn_code_blob *out);

#endif
