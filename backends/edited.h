/* Stages that a user edited and feeds back: kernels and a plan in place of those that were made. */
#ifndef SN_BACKENDS_EDITED_H
#define SN_BACKENDS_EDITED_H

#include "backends/compile.h"

/* Each kernel of the text replaces the lowered one of its name; launches get its grid. Elementary functions are
 * expanded, nothing else is changed. A kernel that differs is marked in c->edited.
 *   needs: c is lowered, without code
 *   errors: SN_ERR_INPUT at the line of the text: no such kernel, other parameters, a broken kernel; SN_ERR_USAGE a
 *           target without kernels */
SN_MUST sn_code sn_edited_kernels(sn_compiled *c, const sn_stage_text *t, sn_diags *diags);

/* The plan of the text becomes c->plan, with the code that the compiled one has. Order of steps, copies, control,
 * lives, shared storage and temporaries are the user's; inputs, outputs, parameters and states stay. Each launch must
 * be like one that was planned: the same kernel, sizes and grid, on slots that hold at least as much. target, settings:
 * of this compilation, those of the text must be equal needs: c is lowered; code may come later errors: SN_ERR_INPUT at
 * the line of the text; SN_ERR_USAGE a target without steps */
SN_MUST sn_code sn_edited_plan(sn_compiled *c, const sn_stage_text *t, const char *target, const char *settings,
                               sn_diags *diags);

#endif
