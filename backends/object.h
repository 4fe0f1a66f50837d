/* Object files: a plan packaged with the runtime as one relocatable object and a C header. */
#ifndef SN_BACKENDS_OBJECT_H
#define SN_BACKENDS_OBJECT_H

#include "ir/plan/plan.h"

/* The relocatable object: a copy of the runtime object (built with the project), with the model's bytes added as a
 * read-only section and its public symbols sn_object_* renamed to NAME_*. runtime  the bytes of sinter-rt.o model the
 * plan in binary form errors   SN_ERR_INPUT when runtime is not the object that the project builds */
SN_MUST sn_code sn_object_write(sn_arena *arena, sn_diags *diags, const char *name, const void *runtime,
                                size_t runtime_bytes, const void *model, size_t model_bytes, unsigned char **out,
                                size_t *out_bytes);

/* The header: plain C, one function per graph, inputs and outputs as pointers with their shapes in comments. */
void sn_object_header(sn_text *out, const char *name, const sn_plan *p);

/* `name` as a C identifier. */
const char *sn_object_identifier(sn_arena *arena, const char *name);

#endif
