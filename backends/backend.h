/* What a backend is: facts of a device, and kernels in, code blobs out. */
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
  /* Facts of the device that code is made for, as numbers; its name is at most 15 characters. */
  sn_code (*describe)(sn_target *out, sn_diags *diags);
} sn_backend;

const sn_backend *sn_backend_llvm(void); /* NULL when built without LLVM */
const sn_backend *sn_backend_template(void);

/* ---- built outside of the project -------------------------------------------------------------------------------- */

/* Changes with every change of what functions and structs of the installed headers mean. */
#ifndef SN_BACKEND_ABI
#define SN_BACKEND_ABI 1
#endif

/* What a loaded backend and the program that loads it must agree on. ops: names, order and classes of the kernel ops;
 * layout: sizes of the structs that both touch. */
typedef struct sn_backend_abi {
  uint32_t version, ops, layout;
} sn_backend_abi;

enum {
#define SN_KOP(e, text, cls) +(SN_K_##e + 3) * (SN_K_##e + 7) * ((int)sizeof(text) + 16 * (int)SN_KCLASS_##cls)
  SN_BACKEND_OPS = 0
#include "ir/kernel/kop.def"
#undef SN_KOP
};
#define SN_BACKEND_LAYOUT                                                                                  \
  (uint32_t)(sizeof(sn_backend) + 31 * sizeof(sn_kernel) + 37 * sizeof(sn_kins) + 41 * sizeof(sn_kparam) + \
             43 * sizeof(sn_kblock) + 47 * sizeof(sn_target) + 53 * sizeof(sn_code_blob))
#define SN_BACKEND_ABI_OF_THIS {SN_BACKEND_ABI, SN_BACKEND_OPS, SN_BACKEND_LAYOUT}

typedef struct sn_backend_record {
  sn_backend_abi abi;
  const sn_backend *(*get)(void);
} sn_backend_record;

/* The last line of a backend: SN_BACKEND(sn_backend_template) names the function that returns it. Compiled with
 * -DSN_PLUGIN into a shared object, that is what `--backend FILE.so` and sn_compile_opt.backend load. */
#ifdef SN_PLUGIN
#define SN_BACKEND(function)                                                               \
  extern __attribute__((visibility("default"))) const sn_backend_record sn_backend_plugin; \
  const sn_backend_record sn_backend_plugin = {SN_BACKEND_ABI_OF_THIS, function}
#else
#define SN_BACKEND(function) extern const sn_backend *function(void)
#endif

#endif
