/* Which pass makes a graph wrong: every stage between the source and the code against the interpreter, in order. */
#ifndef SN_BACKENDS_FAULTS_BISECT_H
#define SN_BACKENDS_FAULTS_BISECT_H

#include "backends/faults/isolate.h"
#include "backends/faults/steps.h"

/* What comes after the passes of the pipeline, in order. */
typedef enum sn_late_stage {
  SN_STAGE_LOWER,    /* kernels as they are written, in the kernel interpreter; every value in storage of its own */
  SN_STAGE_SIMPLIFY, /* kernels simplified */
  SN_STAGE_MATH,     /* elementary functions expanded */
  SN_STAGE_ORDER,    /* states updated in place */
  SN_STAGE_MEMORY,   /* temporaries share storage */
  SN_STAGE_CODE,     /* the code of the target */
  SN_STAGE_THREADS,  /* more than one thread */
  SN_STAGE_COUNT
} sn_late_stage;

typedef struct sn_culprit {
  int stage;        /* pass of the pipeline, or its length + sn_late_stage; -1: the graph agrees */
  const char *pass; /* "canon2", "lower", "llvm" .. */
  const char *rule; /* "canon.mul_neg", "lower.rows" ..; NULL: no single one */
  const char *what; /* the difference in words */
  sn_outcome o;     /* of that stage */
  sn_step_fault at; /* LOWER, CODE: where; kind SN_STEP_RIGHT: not known */
} sn_culprit;

/* The first stage whose result differs from that of the stage before. A graph that agrees with the interpreter is
 * checked against its own values without passes, and its gradients against differences. owns: arena
 * errors: those of the graph and its data */
SN_MUST sn_code sn_case_bisect(const sn_case *c, const sn_variant *v, sn_arena *arena, sn_diags *diags,
                               sn_culprit *out);

/* One stage again, in a child process. */
sn_outcome sn_bisect_try(const sn_case *c, const sn_variant *v, int stage);

/* Gradients of the graph after the pass `grad` against central differences of what they are gradients of, along random
 * directions in f64. *what: the first difference, NULL: none. owns: arena */
SN_MUST sn_code sn_case_gradients(const sn_case *c, sn_arena *arena, sn_diags *diags, const char **what);

#endif
