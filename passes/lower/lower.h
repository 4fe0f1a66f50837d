/* Lowering: fused graphs -> kernels and a plan without code. One schedule writer per group kind. */
#ifndef SN_PASSES_LOWER_LOWER_H
#define SN_PASSES_LOWER_LOWER_H

#include "ir/kernel/kernel.h"
#include "ir/plan/plan.h"
#include "passes/passes.h"

/* After this step of a graph the slot holds the value of the fused graph: for comparing with the interpreter. */
typedef struct sn_lower_mark {
  int graph, step, slot;
  const sn_node *fused; /* the node */
  int result;           /* which of its results */
} sn_lower_mark;

/* The plan's code[i] belongs to kernel[i]: equal kernels are one. Code bytes are filled by the driver. */
typedef struct sn_lowered {
  sn_plan *plan;
  int kernel_count;
  sn_kernel **kernel; /* finished (ir/kernel), elementary functions expanded, simplified */
  int mark_count;
  sn_lower_mark *mark; /* in order of steps */
} sn_lowered;

/* needs: SN_FACT_FUSED. Orders steps, makes kernels, decides in-place updates, lifetimes and storage sharing.
 * errors: SN_ERR_DEVICE for what the target cannot run, at the user's line. */
SN_MUST sn_code sn_lower(sn_module *m, sn_pass_env *env, sn_lowered *out);

#endif
