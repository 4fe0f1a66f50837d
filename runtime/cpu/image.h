/* Code images: maps position-independent code of a plan into memory, writable or executable but never both. */
#ifndef SN_RUNTIME_CPU_IMAGE_H
#define SN_RUNTIME_CPU_IMAGE_H

#include "ir/plan/plan.h"
#include "runtime/cpu/cpu.h"

typedef struct sn_image sn_image;

/* Maps every CPU blob of the plan. *out is NULL when it has none.
 * errors: SN_ERR_DEVICE when the host lacks a feature that a blob needs, naming both, or refuses executable memory;
 *         SN_ERR_INPUT when an entry lies outside of its blob. */
SN_MUST sn_code sn_image_create(const sn_plan *p, sn_diags *diags, sn_image **out);
void sn_image_destroy(sn_image *m);
/* Entry of blob `code`; NULL when it is no CPU blob. */
sn_rt_kernel sn_image_entry(const sn_image *m, int code);

#endif
