/* LLVM's library, opened when the first kernel is compiled: most runs find all of their code in the cache, and LLVM
 * takes longer to load than they take. */
#ifndef SN_BACKENDS_LLVM_LIBRARY_H
#define SN_BACKENDS_LLVM_LIBRARY_H

#include "ir/base/status.h"

/* Must come before any call of LLVM; from any thread, as often as wanted.
 *   errors: SN_ERR_DEVICE when the library is not found, or not the one that this was built for */
SN_MUST sn_code ll_library_open(sn_diags *diags);

#endif
