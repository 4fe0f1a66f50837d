/* What this machine does at most (ir/types/limits.h): measured through compiled kernels, kept in the cache folder. */
#ifndef SN_BACKENDS_CALIBRATE_H
#define SN_BACKENDS_CALIBRATE_H

#include "backends/compile.h"
#include "ir/types/limits.h"

/* Those that were measured here for this processor, target and code generator; else the defaults of the target.
 * cache_dir: as sn_compile_opt.cache_dir.  scratch: memory for the time of the call */
void sn_limits_find(const sn_target *t, const sn_backend *b, const char *cache_dir, sn_arena *scratch, sn_limits *out);
/* Measures (half a second, and the time to compile six kernels once) and keeps them. Target cpu only. out: the defaults
 * (not `measured`) where what else runs here leaves no sound figures.
 *   errors: those of compiling and running */
SN_MUST sn_code sn_calibrate(const sn_compile_opt *opt, sn_diags *diags, sn_limits *out);

#endif
