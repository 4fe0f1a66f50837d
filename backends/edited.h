/* Stages that a user edited and feeds back: kernels in place of those that were lowered. */
#ifndef SN_BACKENDS_EDITED_H
#define SN_BACKENDS_EDITED_H

#include "backends/compile.h"

/* Each kernel of the text replaces the lowered one of its name; launches get its grid. Elementary functions are
 * expanded, nothing else is changed. A kernel that differs is marked in c->edited.
 *   needs: c is lowered, without code
 *   errors: SN_ERR_INPUT at the line of the text: no such kernel, other parameters, a broken kernel; SN_ERR_USAGE a
 *           target without kernels */
SN_MUST sn_code sn_edited_kernels(sn_compiled *c, const sn_stage_text *t, sn_diags *diags);

#endif
