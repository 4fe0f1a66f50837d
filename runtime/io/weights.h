/* Parameters and states of a store <-> .safetensors. */
#ifndef SN_RUNTIME_IO_WEIGHTS_H
#define SN_RUNTIME_IO_WEIGHTS_H

#include "runtime/runtime.h"

/* Copies tensors into the parameters of the store that have their names; element types f32, bf16, f16 and f64 are converted.
 *   strict: every parameter must be there (a missing or misshapen one is an error that names it, expected and found); otherwise those
 *   that are there are taken.  Tensors that the plan does not know are ignored.
 *   what: name for messages; data: the whole file. */
SN_MUST sn_code sn_weights_load(sn_store *s, const sn_plan *p, const char *what, const void *data, size_t bytes, bool strict, sn_diags *diags);
/* Writes every parameter, in the order of the plan, atomically. */
SN_MUST sn_code sn_weights_save(sn_store *s, const sn_plan *p, const char *path, sn_diags *diags);

#endif
