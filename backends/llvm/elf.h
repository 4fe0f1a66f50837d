/* Object file -> self-contained position-independent image. */
#ifndef SN_BACKENDS_LLVM_ELF_H
#define SN_BACKENDS_LLVM_ELF_H

#include <stdint.h>

#include "ir/base/status.h"

typedef struct cg_image {
  unsigned char *bytes; /* code, then read-only data; parts aligned to 64 */
  int64_t count, entry; /* entry: offset of the function */
} cg_image;

/* Lays out the allocated sections of an x86-64 ELF object, code first, and resolves what refers from one to another.
 *   errors: SN_ERR_FAIL for a malformed object, writable data, an absolute relocation or a symbol from outside, naming
 * it owns: arena */
SN_MUST sn_code cg_image_of_object(const char *object, size_t bytes, const char *entry, sn_arena *arena,
                                   sn_diags *diags, cg_image *out);

#endif
