/* The choice among kernels of equal bits by predicted time. */
#ifndef SN_PASSES_LOWER_SCHEDULE_H
#define SN_PASSES_LOWER_SCHEDULE_H

#include "ir/kernel/kernel.h"
#include "ir/types/limits.h"

enum { SN_SCHEDULES = 8 }; /* kernels that a node may be, at most */

/* Position of the kernel that should take the least time; 0, the usual one, unless another is clearly less, for the
 * largest sizes and for a part of them. seconds: of each, for the largest; may be NULL. */
int sn_schedule_best(const sn_target *t, const sn_limits *l, int count, const sn_kernel *const *kernel,
                     sn_arena *scratch, double *seconds);

#endif
