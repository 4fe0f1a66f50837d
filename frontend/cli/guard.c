/* Model files are programs: signals that they raise and an exit that they call, while they run, are theirs.
 *
 * A handler on a stack of its own leaves the innermost sn_protect. Should what follows crash too (the heap may be
 * damaged), the second signal writes the message itself and ends the process. */
#include "frontend/cli/guard.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ir/base/arena.h"

enum { STACK_BYTES = 1 << 16, SIGNALS = 5 };

static const struct {
  int number;
  const char *what;
} signals[SIGNALS] = {{SIGSEGV, "SIGSEGV: an address without memory, such as a null pointer"},
                      {SIGBUS, "SIGBUS: an address without memory"},
                      {SIGFPE, "SIGFPE: a whole number divided by zero"},
                      {SIGILL, "SIGILL: an instruction that is none"},
                      {SIGABRT, "SIGABRT: abort or a failed assertion"}};

/* Handlers get no argument: what is guarded now. */
static struct {
  const char *file; /* NULL: nothing */
  const char *volatile why;
  const char *top; /* of the stack, about */
  uintptr_t stack; /* bytes that it may have */
} now;

static void write_text(const char *s) { (void)!write(STDERR_FILENO, s, strlen(s)); }

static _Noreturn void give_up(const char *why) {
  write_text(now.file);
  write_text(": error: code of the model ends the program\n  found: ");
  write_text(why);
  write_text("\n");
  _exit(SN_ERR_INPUT);
}

/* Below the stack that was in use, where it may grow or a little beyond. */
static bool is_stack(const void *address) {
  uintptr_t at = (uintptr_t)address, top = (uintptr_t)now.top;
  return at < top && top - at < now.stack + (1 << 20);
}

static void on_crash(int number, siginfo_t *info, void *context) {
  (void)context;
  const char *why = "a signal";
  for (int i = 0; i < SIGNALS; i++)
    if (signals[i].number == number) why = signals[i].what;
  if (number == SIGSEGV && is_stack(info->si_addr)) why = "the stack is used up: a function calls itself without end";
  if (now.why) give_up(now.why);
  now.why = why;
  sn_protect_leave(SN_ERR_INPUT);
  give_up(why);
}

static void on_end(void) {
  if (now.file) give_up("a call of exit");
}

typedef struct call {
  sn_code (*fn)(void *arg);
  void *arg;
} call;

static int run_call(void *arg) {
  const call *x = arg;
  return x->fn(x->arg);
}

static sn_code run_guarded(const char *file, sn_diags *diags, call *x) {
  struct sigaction act = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER}, before[SIGNALS];
  struct rlimit limit = {0};
  char here;
  (void)getrlimit(RLIMIT_STACK, &limit);
  now.why = NULL, now.top = &here, now.file = file;
  now.stack = limit.rlim_cur == RLIM_INFINITY ? 0 : (uintptr_t)limit.rlim_cur;
  sigemptyset(&act.sa_mask);
  for (int i = 0; i < SIGNALS; i++) sigaction(signals[i].number, &act, &before[i]);
  sn_code code = (sn_code)sn_protect(run_call, x);
  if (now.why) {
    code = sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file}, "code of the model ends the program");
    sn_fail_expected(diags, "functions that return");
    sn_fail_found(diags, "%s", now.why);
  }
  for (int i = 0; i < SIGNALS; i++) sigaction(signals[i].number, &before[i], NULL);
  now.file = NULL;
  return code;
}

sn_code cli_guarded(const char *file, sn_diags *diags, sn_code (*fn)(void *arg), void *arg) {
  static bool watches;
  stack_t own = {.ss_size = STACK_BYTES, .ss_sp = malloc(STACK_BYTES)}, before;
  call x = {fn, arg};
  if (!watches) watches = !atexit(on_end);
  if (!own.ss_sp || sigaltstack(&own, &before)) {
    free(own.ss_sp);
    return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  }
  sn_code code = run_guarded(file, diags, &x);
  (void)sigaltstack(&before, NULL);
  free(own.ss_sp);
  return code;
}
