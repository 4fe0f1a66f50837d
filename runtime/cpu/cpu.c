/* OpenMP executor: one parallel region per run, barriers only between tasks that need one. A task is cut into units; a
 * thread begins with its share of them, half of what is left at a time, and then takes from the shares of others: a
 * thread that the system held up is helped, and nobody pays for it otherwise.
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

/* ---- parts of a task ---------------------------------------------------------------------------- */

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* First instance of thread i of n; no overflow for count < 2^62 and n < 2^15. */
static int64_t chunk_start(int64_t count, int i, int n) { return count / n * i + count % n * i / n; }

typedef struct worker {
  sn_cpu_job *job;
  int thread, threads;
  unsigned mode;  /* the caller's floating-point mode */
  uint64_t epoch; /* of shares: counts the shared tasks so far, the same in every worker */
  bool ran;       /* anything of the current task */
} worker;

static void *workspace_of(const worker *w) { return w->job->workspace + w->thread * w->job->workspace_bytes; }

static void run_part(worker *w, const sn_cpu_task *t, int64_t lo, int64_t hi) {
  w->ran = true;
  if (t->kind == SN_CPU_LAUNCH)
    t->kernel(t->args, workspace_of(w), lo, hi);
  else
    memcpy((char *)t->args[0].p + lo, (const char *)t->args[1].p + lo, (size_t)(hi - lo));
}

static bool is_serial(const sn_cpu_task *t) { return t->serial || t->kind >= SN_CPU_NONE; }

/* ---- shares ------------------------------------------------------------------------------------- */

/* UNITS: of a thread; bounds what the last one can wait for. Epochs run from 1 to MOST_EPOCH and again. */
enum { UNITS = 64, FIELD = 24, MASK = (1 << FIELD) - 1, MOST_EPOCH = 65535 };

typedef struct units {
  int64_t size, count; /* instances or bytes of one; how many */
} units;

static units cut(const sn_cpu_task *t, int threads) {
  int64_t most = (int64_t)threads * UNITS, size = t->count / most + (t->count % most > 0);
  return (units){size, size ? (t->count + size - 1) / size : 0};
}

static uint64_t pack(uint64_t epoch, int64_t first, int64_t end) {
  return epoch << 2 * FIELD | (uint64_t)first << FIELD | (uint64_t)end;
}

/* Tasks without a barrier between them: is this share of one that comes later than the worker's? Then the worker's own
 * has no units left, since who goes on has seen all shares of it empty. */
static bool is_later(uint64_t epoch, uint64_t own) {
  return epoch && epoch != own && (epoch - own + MOST_EPOCH) % MOST_EPOCH < MOST_EPOCH / 2;
}

/* Takes half of the units that are left in the share of thread `of`, from the front of one's own or from the end of
 * another's. Who comes first to the share in this task fills it. */
static bool take(const worker *w, units u, int of, int64_t *lo, int64_t *hi) {
  _Atomic uint64_t *at = &w->job->share[of].left;
  uint64_t seen = atomic_load_explicit(at, memory_order_relaxed), rest;
  int64_t n;
  do {
    uint64_t left = seen;
    if (is_later(left >> 2 * FIELD, w->epoch)) return false;
    if (left >> 2 * FIELD != w->epoch)
      left = pack(w->epoch, chunk_start(u.count, of, w->threads), chunk_start(u.count, of + 1, w->threads));
    int64_t first = (int64_t)(left >> FIELD & MASK), end = (int64_t)(left & MASK);
    n = (end - first + 1) / 2;
    bool own = of == w->thread;
    *lo = own ? first : end - n, *hi = own ? first + n : end;
    rest = own ? pack(w->epoch, *hi, end) : pack(w->epoch, first, *lo);
  } while (rest != seen &&
           !atomic_compare_exchange_weak_explicit(at, &seen, rest, memory_order_relaxed, memory_order_relaxed));
  return n > 0;
}

static void run_shared(worker *w, const sn_cpu_task *t) {
  units u = cut(t, w->threads);
  int64_t lo, hi;
  w->epoch = w->epoch % MOST_EPOCH + 1;
  for (int i = 0; i < w->threads; i++)
    while (take(w, u, (w->thread + i) % w->threads, &lo, &hi))
      run_part(w, t, lo * u.size, hi * u.size < t->count ? hi * u.size : t->count);
}

static void run_call(worker *w, int i) {
  sn_cpu_job *job = w->job;
  w->ran = true;
  if (!job->task[i].flushes) mode_set(w->mode);
  if (!job->call(job->user, i)) atomic_store(&job->stop, i);
  mode_set(mode_flushing(w->mode));
}

static void run_task(worker *w, int i) {
  const sn_cpu_task *t = &w->job->task[i];
  w->ran = false;
  if (t->kind == SN_CPU_NONE || (is_serial(t) && w->thread)) return;
  if (t->kind == SN_CPU_CALL) {
    run_call(w, i);
    return;
  }
  *(int64_t *)workspace_of(w) = 0;
  if (!is_serial(t))
    run_shared(w, t);
  else if (t->count > 0)
    run_part(w, t, 0, t->count);
}

/* ---- one thread's walk -------------------------------------------------------------------------- */

/* Before a task that goes on there is none, unless the earlier one decides what follows or may stop the job. */
static bool needs_barrier(const sn_cpu_job *job, int i) {
  if (job->on_task || job->task[i].kind == SN_CPU_CALL || job->task[i].branches) return true;
  return i + 1 < job->task_count && !job->task[i + 1].goes_on; /* behind the last one is the region's own */
}

static void wait_for_others(worker *w) {
  if (w->threads > 1) sn_barrier_wait(&w->job->barrier);
}

/* The task after i, the same for every thread. Results of task i are complete. */
static int task_after(worker *w, int i) {
  sn_cpu_job *job = w->job;
  if (!job->task[i].branches) return i + 1;
  if (!w->thread) atomic_store(&job->at, job->next(job->user, i));
  wait_for_others(w);
  int next = atomic_load(&job->at);
  wait_for_others(w); /* the next decision waits until all have read this one */
  return next;
}

static void run_traced(worker *w, int i) {
  sn_cpu_job *job = w->job;
  double start = job->on_part ? now_ns() : 0;
  run_task(w, i);
  if (job->on_part && w->ran) job->on_part(job->user, i, w->thread, start, now_ns());
}

/* A task is done when the last thread is: what one measures behind a barrier tells when it woke up. */
static void stamp(sn_cpu_job *job) {
  int64_t now = (int64_t)now_ns(), seen = atomic_load(&job->done_ns);
  while (seen < now && !atomic_compare_exchange_weak(&job->done_ns, &seen, now)) {}
}

/* And it begins when the first of them goes on. */
static void stamp_begin(sn_cpu_job *job) {
  int64_t now = (int64_t)now_ns(), seen = atomic_load(&job->begun_ns);
  while (seen > now && !atomic_compare_exchange_weak(&job->begun_ns, &seen, now)) {}
}

/* The others wait: who is told may look at what the task wrote, and the next one may write there. */
static void tell_time(worker *w, int i) {
  sn_cpu_job *job = w->job;
  if (!w->thread) {
    mode_set(w->mode);
    job->on_task(job->user, i, (double)(atomic_load(&job->done_ns) - atomic_load(&job->begun_ns)));
    mode_set(mode_flushing(w->mode));
    atomic_store(&job->begun_ns, INT64_MAX);
  }
  wait_for_others(w);
  stamp_begin(job);
}

static void walk(sn_cpu_job *job, int thread, int threads) {
  worker w = {.job = job, .thread = thread, .threads = threads, .mode = mode_get()};
  mode_set(mode_flushing(w.mode));
  for (int i = 0; i < job->task_count;) {
    run_traced(&w, i);
    if (job->on_task) stamp(job);
    if (needs_barrier(job, i)) wait_for_others(&w);
    if (job->on_task) tell_time(&w, i);
    if (atomic_load_explicit(&job->stop, memory_order_relaxed) <= i) break;
    i = task_after(&w, i);
  }
  mode_set(w.mode);
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
  for (int i = 0; i < job->threads; i++) atomic_store(&job->share[i].left, 0);
  atomic_store(&job->done_ns, 0);
  atomic_store(&job->begun_ns, INT64_MAX);
#ifdef _OPENMP
  if (parallel && job->threads > 1) {
#pragma omp parallel num_threads(job->threads)
    {
#pragma omp single
      {
        sn_barrier_begin(&job->barrier, omp_get_num_threads());
        stamp_begin(job);
      }
      walk(job, omp_get_thread_num(), omp_get_num_threads());
    }
    return;
  }
#endif
  (void)parallel;
  stamp_begin(job);
  walk(job, 0, 1);
}
