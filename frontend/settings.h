/* Settings of a model: its struct filled from defaults and overrides. Inside the frontend. */
#ifndef SN_FRONTEND_SETTINGS_H
#define SN_FRONTEND_SETTINGS_H

#include "frontend/build.h"
#include "frontend/sinter.h"

/* The settings struct of a model: what its graph functions are given.   owns: arena
 * errors: SN_ERR_USAGE for unknown names, malformed or unfit values: the nearest name and the list */
SN_MUST sn_code sn_settings_fill(const sn_model *model, const sn_model_opt *opt, sn_arena *arena, sn_diags *diags,
                                 void **out);

#endif
