/* Lowering: fused graphs -> kernels and a plan without code. One schedule writer per group kind. */
#ifndef SN_PASSES_LOWER_LOWER_H
#define SN_PASSES_LOWER_LOWER_H

#include "ir/kernel/kernel.h"
#include "ir/plan/plan.h"
#include "passes/passes.h"

/* The plan's code[i] belongs to kernel[i]: equal kernels are one. Code bytes are filled by the driver. */
typedef struct sn_lowered {
  sn_plan *plan;
  int kernel_count;
  sn_kernel **kernel; /* finished (ir/kernel), elementary functions expanded, simplified */
} sn_lowered;

/* needs: SN_FACT_FUSED. Orders steps, makes kernels, decides in-place updates, lifetimes and storage sharing.
 * errors: SN_ERR_DEVICE for what the target cannot run, at the user's line. */
SN_MUST sn_code sn_lower(sn_module *m, sn_pass_env *env, sn_lowered *out);

#endif
