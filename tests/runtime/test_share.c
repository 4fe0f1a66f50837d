/* Tasks are shared by threads: every unit runs once, one that is held up is helped, and workspaces keep their mark. */
#include "tests/runtime/support.h"

#include <time.h>

#include "runtime/cpu/cpu.h"

enum { MOST = 1000, THREADS = 4, WORDS = 8, TASKS = 40 };

static atomic_int ran[MOST];
static atomic_int done, fresh;
static int wait_for; /* instance 0 of the first task waits until so many others are done; 0: not */

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* the mark is 0 in a thread's first call of a launch, else what the call before left */
static void count_instances(const sn_rt_arg *args, void *ws, int64_t lo, int64_t hi) {
  int64_t *mark = ws;
  (void)args;
  if (!mark[0]) atomic_fetch_add(&fresh, 1), mark[1] = 0;
  assert_int_equal(mark[0], mark[1]);
  for (int64_t i = lo; i < hi; i++) {
    bool first = atomic_fetch_add(&ran[i], 1) == 0;
    double end = seconds() + 60;
    while (!i && first && atomic_load(&done) < wait_for)
      if (seconds() > end) fail_msg("nobody helped: %d are done", atomic_load(&done));
    atomic_fetch_add(&done, 1);
  }
  mark[0] = mark[1] = hi + 1;
}

static void run(int threads, int tasks, int64_t count, bool goes_on) {
  static _Alignas(64) int64_t workspace[THREADS][WORDS];
  sn_cpu_share share[THREADS] = {0};
  sn_cpu_task task[TASKS];
  for (int i = 0; i < tasks; i++)
    task[i] = (sn_cpu_task){.kind = SN_CPU_LAUNCH, .kernel = count_instances, .count = count, .goes_on = goes_on && i};
  memset(workspace, 0x55, sizeof workspace);
  memset(ran, 0, sizeof ran);
  done = fresh = 0;
  sn_cpu_job job = {.threads = threads,
                    .share = share,
                    .task = task,
                    .task_count = tasks,
                    .workspace = (char *)workspace,
                    .workspace_bytes = sizeof workspace[0]};
  sn_cpu_run(&job);
}

static void every_instance_runs_once_per_task(void **state) {
  (void)state;
  for (int threads = 1; threads <= THREADS; threads++)
    for (int64_t count = 0; count <= MOST; count += count < 12 ? 1 : 247) {
      run(threads, 3, count, false);
      for (int64_t i = 0; i < MOST; i++) assert_int_equal(ran[i], i < count ? 3 : 0);
      assert_true(fresh <= 3 * threads && (fresh >= 3 || !count));
    }
}

static void a_thread_that_is_held_up_is_helped(void **state) {
  (void)state;
#ifdef _OPENMP
  wait_for = 160 - 40; /* all but the half of its share that it begins with */
  run(2, 1, 160, false);
  wait_for = 0;
  assert_int_equal(done, 160);
#else
  skip();
#endif
}

static void tasks_that_go_on_run_once_too(void **state) {
  (void)state;
  for (int threads = 2; threads <= THREADS; threads++)
    for (int64_t count = 1; count <= MOST; count += 37) {
      run(threads, TASKS, count, true);
      for (int64_t i = 0; i < MOST; i++) assert_int_equal(ran[i], i < count ? TASKS : 0);
    }
}

static void nobody_waits_for_a_task_that_nothing_needs(void **state) {
  (void)state;
#ifdef _OPENMP
  wait_for = 2 * 160 + 120; /* instance 0 of the first task ends when two others are done, and nearly all of its own */
  run(2, 4, 160, true);
  wait_for = 0;
  assert_int_equal(done, 4 * 160);
#else
  skip();
#endif
}

static void slow_in_the_middle(const sn_rt_arg *args, void *ws, int64_t lo, int64_t hi) {
  const struct timespec pause = {0, 100000000};
  (void)args, (void)ws;
  for (int64_t i = lo; i < hi; i++) {
    double end = seconds() + 60;
    while (!i && !atomic_load(&fresh) && seconds() < end) continue;
    if (i == 100) { /* the second of two threads has it, since the first one waits for that */
      atomic_store(&fresh, 1);
      nanosleep(&pause, NULL);
    }
    atomic_fetch_add(&done, 1);
  }
}

static void nothing(const sn_rt_arg *args, void *ws, int64_t lo, int64_t hi) {
  (void)args, (void)ws, (void)lo, (void)hi;
}

static void finds_all_done(const sn_rt_arg *args, void *ws, int64_t lo, int64_t hi) {
  (void)args, (void)ws, (void)lo, (void)hi;
  assert_int_equal(done, 160);
}

/* the third task waits for the first, though the second one, on the same thread, did not */
static void a_serial_task_waits_where_it_must(void **state) {
  (void)state;
  static _Alignas(64) int64_t workspace[2][WORDS];
  sn_cpu_share share[2] = {0};
  sn_cpu_task task[3] = {{.kind = SN_CPU_LAUNCH, .kernel = slow_in_the_middle, .count = 160},
                         {.kind = SN_CPU_LAUNCH, .kernel = nothing, .count = 1, .serial = true, .goes_on = true},
                         {.kind = SN_CPU_LAUNCH, .kernel = finds_all_done, .count = 1, .serial = true}};
  sn_cpu_job job = {.threads = 2,
                    .share = share,
                    .task = task,
                    .task_count = 3,
                    .workspace = (char *)workspace,
                    .workspace_bytes = sizeof workspace[0]};
  done = fresh = 0;
#ifdef _OPENMP
  sn_cpu_run(&job);
#else
  (void)job, skip();
#endif
}

static double told[TASKS]; /* nanoseconds */
static atomic_int begun, early;

static void sleep_ms(int ms) { nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL); }

static void sleep_instances(const sn_rt_arg *args, void *ws, int64_t lo, int64_t hi) {
  (void)args, (void)ws;
  for (int64_t i = lo; i < hi; i++) {
    atomic_fetch_add(&begun, 1);
    sleep_ms(2);
  }
}

/* whoever is told may look at what the task wrote: nobody begins the next one meanwhile */
static void be_late(void *user, int task, double ns) {
  (void)user;
  told[task] = ns;
  sleep_ms(20);
  early += begun != 2 * (task + 1);
}

static void a_task_takes_its_time_for_a_thread_that_is_late(void **state) {
  (void)state;
  static _Alignas(64) int64_t workspace[2][WORDS];
  for (int threads = 1; threads <= 2; threads++) {
    sn_cpu_share share[2] = {0};
    sn_cpu_task task[4];
    for (int i = 0; i < 4; i++) task[i] = (sn_cpu_task){.kind = SN_CPU_LAUNCH, .kernel = sleep_instances, .count = 2};
    sn_cpu_job job = {.threads = threads,
                      .share = share,
                      .task = task,
                      .task_count = 4,
                      .workspace = (char *)workspace,
                      .workspace_bytes = sizeof workspace[0],
                      .on_task = be_late};
    memset(told, 0, sizeof told);
    begun = early = 0;
    sn_cpu_run(&job);
    for (int i = 0; i < 4; i++) assert_true(told[i] >= 2e6);
    assert_int_equal(early, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_instance_runs_once_per_task),
      cmocka_unit_test(a_thread_that_is_held_up_is_helped),
      cmocka_unit_test(tasks_that_go_on_run_once_too),
      cmocka_unit_test(a_serial_task_waits_where_it_must),
      cmocka_unit_test(nobody_waits_for_a_task_that_nothing_needs),
      cmocka_unit_test(a_task_takes_its_time_for_a_thread_that_is_late),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
