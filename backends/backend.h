/* What a backend is: kernels in, code blobs out. */
#ifndef SN_BACKENDS_BACKEND_H
#define SN_BACKENDS_BACKEND_H

#include "ir/kernel/kernel.h"
#include "ir/plan/plan.h"
#include "ir/types/target.h"

typedef struct sn_backend {
  const char *name;    /* "llvm", "template" */
  const char *version; /* of generator and libraries: part of cache keys */
  /* Is there an emission rule for this kernel under these facts? Known before it is scheduled; on refusal *why says
   * which instruction. */
  bool (*supports)(const sn_target *t, const sn_kernel *k, sn_arena *arena, const char **why);
  /* Code of one finished kernel. Thread-safe: called for several kernels at once. blob->bytes in `arena`. */
  sn_code (*emit)(const sn_target *t, const sn_kernel *k, sn_arena *arena, sn_diags *diags, sn_code_blob *out);
  /* Human-readable form of the code (LLVM IR, assembly); NULL when there is none. what: "llvm", "asm" */
  sn_code (*show)(const sn_target *t, const sn_kernel *k, const char *what, sn_text *out, sn_diags *diags);
} sn_backend;

const sn_backend *sn_backend_llvm(void); /* NULL when built without LLVM */
const sn_backend *sn_backend_template(void);

#endif
