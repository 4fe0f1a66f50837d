/* A barrier for the workers of one run: spins briefly, then sleeps, so that a preempted worker costs its time and no
 * more. */
#ifndef SN_RUNTIME_CPU_BARRIER_H
#define SN_RUNTIME_CPU_BARRIER_H

#include <stdatomic.h>

typedef struct sn_barrier {
  int threads;
  _Alignas(64) atomic_int arrived;
  _Alignas(64) atomic_int phase;
  atomic_int sleepers;
} sn_barrier;

void sn_barrier_begin(sn_barrier *b, int threads);
/* Returns when all threads have called it; what they wrote before is visible. */
void sn_barrier_wait(sn_barrier *b);

#endif
