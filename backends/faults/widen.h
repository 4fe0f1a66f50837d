/* A module and its data with f64 in place of every float: where rules are compared, little may be rounded. */
#ifndef SN_BACKENDS_FAULTS_WIDEN_H
#define SN_BACKENDS_FAULTS_WIDEN_H

#include "backends/faults/check.h"

/* Every function anew. Random numbers stay f32, and are cast. errors: those of building */
SN_MUST sn_code sn_module_widen(sn_module *m, sn_diags *diags);

/* The case with data of these types; its text stays as it is. owns: arena; values are shared */
sn_case sn_case_widen(const sn_case *c, sn_arena *arena);

#endif
