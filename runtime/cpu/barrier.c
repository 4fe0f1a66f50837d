/* Spin, then futex. Spinning alone loses whole time slices as soon as another process wants one of the cores. */
#include "runtime/cpu/barrier.h"

#include <limits.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <sched.h>
#endif

enum { SPINS = 4000 }; /* some 20 us: longer than a balanced step is uneven, shorter than a time slice */

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __asm__ volatile("pause");
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void sleep_while(atomic_int *word, int value) {
#if defined(__linux__)
  syscall(SYS_futex, (int *)word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
#else
  (void)word, (void)value;
  sched_yield();
#endif
}

static void wake_all(atomic_int *word) {
#if defined(__linux__)
  syscall(SYS_futex, (int *)word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
  (void)word;
#endif
}

void sn_barrier_begin(sn_barrier *b, int threads) {
  b->threads = threads;
  atomic_init(&b->arrived, 0);
  atomic_init(&b->phase, 0);
  atomic_init(&b->sleepers, 0);
}

void sn_barrier_wait(sn_barrier *b) {
  int phase = atomic_load(&b->phase);
  if (atomic_fetch_add(&b->arrived, 1) + 1 == b->threads) {
    atomic_store(&b->arrived, 0);
    atomic_fetch_add(&b->phase, 1);
    if (atomic_load(&b->sleepers)) wake_all(&b->phase);
    return;
  }
  for (int i = 0; i < SPINS; i++) {
    if (atomic_load(&b->phase) != phase) return;
    relax();
  }
  atomic_fetch_add(&b->sleepers, 1);
  while (atomic_load(&b->phase) == phase) sleep_while(&b->phase, phase);
  atomic_fetch_sub(&b->sleepers, 1);
}
