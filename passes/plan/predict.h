/* The cost model: how long kernels should take, from what they do and what the machine can. */
#ifndef SN_PASSES_PLAN_PREDICT_H
#define SN_PASSES_PLAN_PREDICT_H

#include "ir/kernel/work.h"
#include "ir/plan/plan.h"
#include "ir/types/limits.h"

typedef struct sn_cost_machine {
  const sn_limits *limits;
  const sn_target *target; /* its caches */
  int threads;
} sn_cost_machine;

/* What a kernel brings from each place: bytes out of second and third level caches and of memory. */
typedef struct sn_cost_bytes {
  double l2, l3, memory;
} sn_cost_bytes;

/* The machine as a step sees it that runs on one thread, or on all. */
sn_cost_machine sn_cost_machine_of(const sn_cost_machine *m, bool serial);

/* Seconds of one launch: the longer of its operations and its bytes, on as many threads as its instances keep busy, and
 * what starting it takes. */
double sn_cost_kernel(const sn_cost_machine *m, const sn_work *w, const sn_cost_bytes *b);

/* Seconds of every step of a graph that is run again and again: what a slot brings lies in the smallest cache that
 * holds all that was touched since its last use.
 *   kernel: of plan->code[i].  seconds: by step; steps that launch nothing take 0.  errors: SN_ERR_LIMIT sizes */
SN_MUST sn_code sn_plan_predict(const sn_plan *p, int graph, sn_kernel *const *kernel, const int64_t *dims,
                                const sn_cost_machine *m, sn_arena *scratch, double *seconds);

#endif
