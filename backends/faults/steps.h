/* The interpreter beside a compiled run: after each step its results are compared with what the interpreter makes of
 * the very operands that the step had, and operands with what they were when they were made. */
#ifndef SN_BACKENDS_FAULTS_STEPS_H
#define SN_BACKENDS_FAULTS_STEPS_H

#include "backends/faults/check.h"

typedef enum sn_step_fault_kind {
  SN_STEP_RIGHT,
  SN_STEP_WRONG,     /* a result differs */
  SN_STEP_OVERWRITE, /* an operand was written over before this step read it */
  SN_STEP_MISCOPIED, /* an output or state is not the value that it should be */
} sn_step_fault_kind;

/* The first difference. Strings in the arena of the call. */
typedef struct sn_step_fault {
  sn_step_fault_kind kind;
  int step;             /* of the plan */
  const char *schedule; /* "map", "rows", .. "copy" */
  const char *kernel;   /* its name; NULL: none */
  const char *ops;      /* what it fuses */
  const char *op;       /* that makes the differing value */
  sn_loc loc;           /* where the user wrote it */
  const char *what;     /* the difference in words */
  int checked, skipped; /* results that were compared; not compared, since an operand is in no slot */
  int64_t elements, excluded;
} sn_step_fault;

/* errors: those of compiling and running; a difference is none. The run has one thread. */
SN_MUST sn_code sn_case_steps(const sn_case *c, const sn_variant *v, sn_arena *arena, sn_diags *diags,
                              sn_step_fault *out);

#endif
