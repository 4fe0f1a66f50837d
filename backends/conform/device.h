/* One random tile program on a device that is not the processor. */
#ifndef SN_BACKENDS_CONFORM_DEVICE_H
#define SN_BACKENDS_CONFORM_DEVICE_H

#include "ir/plan/plan.h"
#include "ir/ref/krandom.h"

/* Runs the code of a program on its arguments. out: copies of them as they are afterwards, in the arena.
 *   errors: of the runtime; SN_ERR_FAIL memory that is not the program's was written */
SN_MUST sn_code sn_conform_on_device(sn_arena *arena, const sn_kernel *k, const sn_code_blob *blob,
                                     const sn_krandom_case *c, sn_karg *out, sn_diags *diags);

#endif
