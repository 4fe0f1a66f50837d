/* OpenMP executor: one parallel region per run, static chunks, barriers only between tasks that need one.
 * source: shared measurements of CPU.md section 7: one region with barriers costs a third of a region per kernel. */
#include "runtime/cpu/cpu.h"

#include <limits.h>
#include <string.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#else
#include <unistd.h>
#endif
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

/* ---- floating-point mode ------------------------------------------------------------------------ */

enum { FLUSH = 0x8040 }; /* FTZ | DAZ of MXCSR */

static unsigned mode_get(void) {
#if defined(__SSE2__)
  return _mm_getcsr();
#elif defined(__aarch64__)
  uint64_t mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return (unsigned)mode;
#else
  return 0;
#endif
}

static void mode_set(unsigned mode) {
#if defined(__SSE2__)
  _mm_setcsr(mode);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode));
#else
  (void)mode;
#endif
}

static unsigned mode_flushing(unsigned mode) {
#if defined(__aarch64__)
  return mode | 1u << 24;
#else
  return mode | FLUSH;
#endif
}

/* ---- one thread's walk -------------------------------------------------------------------------- */

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* First instance of thread i of n; no overflow for count < 2^62 and n < 2^15. */
static int64_t chunk_start(int64_t count, int i, int n) { return count / n * i + count % n * i / n; }

static void run_part(const sn_cpu_job *job, const sn_cpu_task *t, int thread, int64_t lo, int64_t hi) {
  if (lo >= hi) return;
  if (t->kind == SN_CPU_LAUNCH)
    t->kernel(t->args, job->workspace + thread * job->workspace_bytes, lo, hi);
  else
    memcpy((char *)t->args[0].p + lo, (const char *)t->args[1].p + lo, (size_t)(hi - lo));
}

static bool is_serial(const sn_cpu_task *t) { return t->serial || t->kind >= SN_CPU_NONE; }

/* Has the thread anything to do in the task? */
static bool takes_part(const sn_cpu_task *t, int thread, int threads) {
  if (t->kind == SN_CPU_NONE) return false;
  if (is_serial(t)) return !thread && (t->kind == SN_CPU_CALL || t->count > 0);
  return chunk_start(t->count, thread, threads) < chunk_start(t->count, thread + 1, threads);
}

static void run_task(sn_cpu_job *job, int i, int thread, int threads, unsigned mode) {
  const sn_cpu_task *t = &job->task[i];
  if (t->kind == SN_CPU_NONE) return;
  if (t->kind == SN_CPU_CALL) {
    if (thread) return;
    mode_set(mode);
    if (!job->call(job->user, i)) atomic_store(&job->stop, i);
    mode_set(mode_flushing(mode));
  } else if (!is_serial(t)) {
    run_part(job, t, thread, chunk_start(t->count, thread, threads), chunk_start(t->count, thread + 1, threads));
  } else if (!thread) {
    run_part(job, t, 0, 0, t->count);
  }
}

/* Two tasks of the first thread need no barrier between them, unless the earlier one may stop the job. */
static bool needs_barrier(const sn_cpu_job *job, int i) {
  if (job->on_task || job->task[i].kind == SN_CPU_CALL || job->task[i].branches) return true;
  if (i + 1 == job->task_count) return false; /* the region's own */
  return !(is_serial(&job->task[i]) && is_serial(&job->task[i + 1]));
}

/* The task after i, the same for every thread. Results of task i are complete. */
static int task_after(sn_cpu_job *job, int i, int thread, int threads) {
  if (!job->task[i].branches) return i + 1;
  if (!thread) atomic_store(&job->at, job->next(job->user, i));
  if (threads > 1) sn_barrier_wait(&job->barrier);
  int next = atomic_load(&job->at);
  if (threads > 1) sn_barrier_wait(&job->barrier); /* the next decision waits until all have read this one */
  return next;
}

static void run_traced(sn_cpu_job *job, int i, int thread, int threads, unsigned mode) {
  if (!job->on_part || !takes_part(&job->task[i], thread, threads)) {
    run_task(job, i, thread, threads, mode);
    return;
  }
  double start = now_ns();
  run_task(job, i, thread, threads, mode);
  job->on_part(job->user, i, thread, start, now_ns());
}

static void walk(sn_cpu_job *job, int thread, int threads) {
  unsigned mode = mode_get();
  mode_set(mode_flushing(mode));
  double start = 0;
  for (int i = 0; i < job->task_count;) {
    if (job->on_task && !thread) start = now_ns();
    run_traced(job, i, thread, threads, mode);
    if (threads > 1 && needs_barrier(job, i)) sn_barrier_wait(&job->barrier);
    if (job->on_task && !thread) job->on_task(job->user, i, now_ns() - start);
    if (atomic_load_explicit(&job->stop, memory_order_relaxed) <= i) break;
    i = task_after(job, i, thread, threads);
  }
  mode_set(mode);
}

/* ---- public ------------------------------------------------------------------------------------- */

int sn_cpu_threads(void) {
#ifdef _OPENMP
  int n = omp_get_num_procs();
#else
  int n = (int)sysconf(_SC_NPROCESSORS_ONLN);
#endif
  return n > 1 ? n : 1;
}

void sn_cpu_run(sn_cpu_job *job) {
  bool parallel = false;
  for (int i = 0; i < job->task_count; i++) parallel |= !is_serial(&job->task[i]);
  atomic_store(&job->stop, INT_MAX);
#ifdef _OPENMP
  if (parallel && job->threads > 1) {
#pragma omp parallel num_threads(job->threads)
    {
#pragma omp single
      sn_barrier_begin(&job->barrier, omp_get_num_threads());
      walk(job, omp_get_thread_num(), omp_get_num_threads());
    }
    return;
  }
#endif
  (void)parallel;
  walk(job, 0, 1);
}
