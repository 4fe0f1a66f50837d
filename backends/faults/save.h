/* A case as files: FILE.sn, and its data as FILE.NAME.npy. */
#ifndef SN_BACKENDS_FAULTS_SAVE_H
#define SN_BACKENDS_FAULTS_SAVE_H

#include "backends/faults/check.h"

/* The options of `sinter run` and its relatives that say what a saved case is: "FILE.sn --graph g --dim B=3 ..
 * --in x0=FILE.x0.npy .. --target cpu ..". owns: arena */
const char *sn_case_command(const sn_case *c, const sn_variant *v, const char *file, sn_arena *arena);

/* Writes `file` (ending in .sn), which begins with `note` and the command as comments, and the data.
 * errors: those of files */
SN_MUST sn_code sn_case_save(const sn_case *c, const sn_variant *v, const char *file, const char *note, sn_arena *arena,
                             sn_diags *diags);

#endif
