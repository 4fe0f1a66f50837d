/* See isolate.h. */
#include "backends/faults/isolate.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct child {
  pid_t pid;
  int pipe;
} child;

static void send(int fd, const sn_outcome *o) {
  if (write(fd, o, sizeof *o) != (ssize_t)sizeof *o) _exit(3);
}

enum { PATIENCE = 20 }; /* a machine with other work gives that many times less */

/* A hang is so much time of the processor, or much more of the clock: a child that waits for something. 0: no limit */
static void limit_time(int seconds) {
  const struct itimerval cpu = {.it_value = {.tv_sec = seconds}};
  setitimer(ITIMER_PROF, &cpu, NULL);
  alarm((unsigned)seconds * PATIENCE);
}

/* Each seed is announced, then reported. */
static void child_main(int fd, sn_isolated_fn fn, void *user, uint64_t from, uint64_t to, int seconds) {
  static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGALRM, SIGPROF};
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) signal(signals[i], SIG_DFL);
  for (uint64_t seed = from; seed < to; seed++) {
    sn_outcome o = {.seed = seed};
    send(fd, &o);
    limit_time(seconds);
    fn(user, seed, &o);
    limit_time(0);
    send(fd, &o);
  }
  _exit(0);
}

static bool start(child *c, sn_isolated_fn fn, void *user, uint64_t from, uint64_t to, int seconds) {
  int fd[2];
  if (pipe(fd)) return false;
  fflush(NULL);
  c->pid = fork();
  if (c->pid == 0) {
    close(fd[0]);
    child_main(fd[1], fn, user, from, to, seconds);
  }
  close(fd[1]);
  c->pipe = fd[0];
  if (c->pid > 0) return true;
  close(fd[0]);
  return false;
}

static int finish(child *c) {
  int status = 0;
  close(c->pipe);
  waitpid(c->pid, &status, 0);
  return status;
}

static bool receive(const child *c, sn_outcome *o) {
  char *at = (char *)o;
  for (size_t n = 0; n < sizeof *o;) {
    ssize_t got = read(c->pipe, at + n, sizeof *o - n);
    if (got <= 0) return false;
    n += (size_t)got;
  }
  return true;
}

static void name_end(sn_outcome *o, int status, int seconds) {
  o->kind = SN_OUTCOME_CRASH;
  if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGALRM || WTERMSIG(status) == SIGPROF)) {
    o->kind = SN_OUTCOME_HANG;
    snprintf(o->text, sizeof o->text, "hangs: more than %d s of the processor", seconds);
  } else if (WIFSIGNALED(status)) {
    snprintf(o->text, sizeof o->text, "crash: signal %d", WTERMSIG(status));
  } else {
    snprintf(o->text, sizeof o->text, "crash: exit %d", WEXITSTATUS(status));
  }
}

bool sn_isolate_range(sn_isolated_fn fn, void *user, uint64_t from, uint64_t to, int seconds,
                      bool (*take)(void *taker, const sn_outcome *o), void *taker) {
  while (from < to) {
    child c;
    sn_outcome o = {.seed = from};
    bool pending = false, more = true;
    if (!start(&c, fn, user, from, to, seconds)) return false;
    while (more && receive(&c, &o)) {
      pending = o.kind == SN_OUTCOME_NONE;
      if (pending) continue;
      from = o.seed + 1;
      more = take(taker, &o);
    }
    if (!more) kill(c.pid, SIGKILL);
    int status = finish(&c);
    if (!more || from >= to) return true;
    if (!pending) o = (sn_outcome){.seed = from};
    name_end(&o, status, seconds);
    from = o.seed + 1;
    if (!take(taker, &o)) return true;
  }
  return true;
}

static bool keep(void *taker, const sn_outcome *o) {
  *(sn_outcome *)taker = *o;
  return true;
}

bool sn_isolate(sn_isolated_fn fn, void *user, uint64_t seed, int seconds, sn_outcome *out) {
  return sn_isolate_range(fn, user, seed, seed + 1, seconds, keep, out);
}

/* Up to digits, and to what stands in quotes or brackets. */
static bool same_words(const char *x, const char *y) {
  for (; *x && *y && *x != '\n' && *y != '\n'; x++, y++) {
    while (*x >= '0' && *x <= '9') x++;
    while (*y >= '0' && *y <= '9') y++;
    if (*x != *y || *x == '"' || *x == '[') return *x == *y;
  }
  return true;
}

bool sn_outcome_same(const sn_outcome *a, const sn_outcome *b) {
  if (a->kind != b->kind || !sn_outcome_failed(a)) return false;
  if (a->kind != SN_OUTCOME_ERROR) return true;
  const char *x = strstr(a->text, "error"), *y = strstr(b->text, "error");
  return a->code == b->code && x && y && same_words(x, y);
}
