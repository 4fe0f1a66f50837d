/* Workers of the CPU: runs a list of tasks, each split over threads, in one parallel region. */
#ifndef SN_RUNTIME_CPU_CPU_H
#define SN_RUNTIME_CPU_CPU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/cpu/barrier.h"

typedef union sn_rt_arg {
  void *p;
  int64_t i;
} sn_rt_arg; /* an argument of a compiled kernel; the kernel ABI */

/* A compiled kernel: instances lo..hi of its linear grid. ws: workspace of the thread, aligned to 64 bytes. Its first
 * eight bytes are 0 before the thread's first call of a launch; in later calls the kernel finds its workspace as it
 * left it, so that a call which begins where the last one ended may go on with what that one prepared. */
typedef void (*sn_rt_kernel)(const sn_rt_arg *args, void *ws, int64_t lo, int64_t hi);

typedef enum sn_cpu_kind {
  SN_CPU_LAUNCH, /* kernel on 0..count, shared by the threads */
  SN_CPU_COPY,   /* count bytes from args[1] to args[0], shared by the threads */
  SN_CPU_NONE,   /* nothing: what follows is decided */
  SN_CPU_CALL,   /* `call` of the job, on the first thread; may stop the job */
} sn_cpu_kind;

typedef struct sn_cpu_task {
  sn_cpu_kind kind;
  bool serial;           /* on the first thread */
  bool goes_on;          /* depends on no task since the last barrier but serial ones right before it, if it is serial:
                            there is none before it. At most 16384 of them in a row */
  bool branches;         /* `next` says which task follows */
  sn_rt_kernel kernel;   /* LAUNCH */
  const sn_rt_arg *args; /* LAUNCH, COPY */
  int64_t count;         /* LAUNCH: instances; COPY: bytes */
  bool flushes;          /* CALL: as a kernel does; else it has the caller's floating-point mode */
} sn_cpu_task;

/* Units of a task that a thread has not begun; others take from the end of it. Packed: the epoch, which tells one task
 * from the next, 16 bits; the first unit and the end, 24 bits each. */
typedef struct sn_cpu_share {
  _Alignas(64) _Atomic uint64_t left;
} sn_cpu_share;

typedef struct sn_cpu_job {
  int threads;
  sn_cpu_share *share; /* threads of them; private */
  int task_count;
  const sn_cpu_task *task;
  char *workspace;         /* threads * workspace_bytes, aligned to 64 */
  int64_t workspace_bytes; /* per thread */
  /* CALL: returns false to stop the job after this task. */
  bool (*call)(void *user, int task);
  /* After a task that branches, on the first thread: the task that follows; task_count: none. */
  int (*next)(void *user, int task);
  /* After each task, with nanoseconds that it took, before the next one begins, in the caller's floating-point mode:
     what it wrote may be looked at. NULL: no timing and no barriers beyond what results need. */
  void (*on_task)(void *user, int task, double ns);
  /* After each part of a task, by the thread that ran it; NULL: no timing. */
  void (*on_part)(void *user, int task, int thread, double start_ns, double end_ns);
  void *user;
  sn_barrier barrier;       /* private */
  atomic_int stop;          /* private: the task after which the job ends */
  atomic_int at;            /* private: the task that follows one that branches */
  _Atomic int64_t done_ns;  /* private: when the last thread was done with a task */
  _Atomic int64_t begun_ns; /* private: when the first thread went on to it */
} sn_cpu_job;

/* Runs the tasks in order. Each task sees the results of those before it. Denormals are flushed while kernels run; the
 * floating-point mode of every thread is restored. */
void sn_cpu_run(sn_cpu_job *job);
/* Threads that the process may use. */
int sn_cpu_threads(void);

#endif
