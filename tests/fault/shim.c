/* A library to preload (LD_PRELOAD) that makes calls of the C library go wrong, one at a chosen place, to see that a
 * program bears it. Files: open, read, write, close, sync, rename, map, folders, locks. Memory: malloc and its kin.
 *
 *   SN_FAULT_CALLS   names of the calls that count, separated by commas; "all": every call below but memory;
 *                    "memory": malloc, calloc, realloc, aligned_alloc, posix_memalign, strdup, strndup
 *   SN_FAULT_PATH    only calls on paths that contain this; files that are open are known by their descriptor
 *   SN_FAULT_AT      the call that goes wrong, from 1; 0 or unset: none
 *   SN_FAULT_HOW     error (with SN_FAULT_ERRNO), again (EINTR, once), short (half of a read or write is done),
 *                    before, half, after (the process is killed there)
 *   SN_FAULT_LAST    errors: also every call after it, up to this one
 *   SN_FAULT_COUNT   file that gets the number of calls that counted, when the process ends
 *   SN_FAULT_LEAKS   file that gets, when the process ends, the blocks that the program itself asked for and did not
 * free: how many, then a line with bytes and return address of each
 *   SN_FAULT_SHOW    set: the calls that led to the memory that is refused are written to stderr
 *   SN_FAULT_OWN     set: memory that the C library asks for does not count: drivers of devices, which a program loads,
 *                    end the process when theirs is refused, and nobody knows whom the C library asks for
 *   SN_FAULT_CLOCK   seconds by which the clocks jump at every look, back and forth
 *
 * Memory counts only where the program itself asks for it, or the C library on its behalf: the code generator ends the
 * process by design when memory is out, and runs in a process of its own. Child processes run without the library. In a
 * build with sanitizers, where the C library serves them as well, only what the program asks for counts. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <dirent.h>
#include <time.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))

typedef enum how { ERROR, AGAIN, SHORT, BEFORE, HALF, AFTER } how;

static struct {
  bool ready, memory, show, own;
  const char *calls, *path, *count_file, *leaks_file;
  long at, last;
  how how;
  int error;
  double jump;
  pid_t owner;            /* children do not count */
  const char *program[2]; /* the text of the program */
  const char *library[2]; /* the text of the C library */
} set;

static atomic_long count;
static atomic_int looks;

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* ---- settings ---------------------------------------------------------------------------------------------------- */

static int on_object(struct dl_phdr_info *info, size_t size, void *user) {
  (void)size;
  bool first = !*(int *)user, libc = strstr(info->dlpi_name, "/libc.so") != NULL;
  ++*(int *)user;
  for (int i = 0; i < info->dlpi_phnum && (first || libc); i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];
    if (p->p_type != PT_LOAD || !(p->p_flags & PF_X)) continue;
    const char **to = first ? set.program : set.library, *from = (const char *)info->dlpi_addr + p->p_vaddr;
    to[0] = from, to[1] = from + p->p_memsz;
  }
  return 0;
}

static long number(const char *name) {
  const char *s = getenv(name);
  return s ? atol(s) : 0;
}

static int error_called(const char *s) {
  static const struct {
    const char *name;
    int value;
  } errors[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EDQUOT", EDQUOT},
                {"EACCES", EACCES}, {"EMFILE", EMFILE}, {"ENOMEM", ENOMEM}};
  for (size_t i = 0; s && i < sizeof errors / sizeof *errors; i++)
    if (!strcmp(errors[i].name, s)) return errors[i].value;
  return EIO;
}

__attribute__((constructor)) static void begin(void) {
  static const char *const ways[] = {"error", "again", "short", "before", "half", "after"};
  int objects = 0;
  const char *way = getenv("SN_FAULT_HOW"), *jump = getenv("SN_FAULT_CLOCK");
  dl_iterate_phdr(on_object, &objects);
  set.calls = getenv("SN_FAULT_CALLS");
  set.path = getenv("SN_FAULT_PATH");
  set.count_file = getenv("SN_FAULT_COUNT");
  set.leaks_file = getenv("SN_FAULT_LEAKS");
  set.show = getenv("SN_FAULT_SHOW") != NULL;
  set.own = getenv("SN_FAULT_OWN") != NULL;
  set.memory = set.calls && !strcmp(set.calls, "memory");
  set.at = number("SN_FAULT_AT");
  set.last = number("SN_FAULT_LAST");
  if (set.last < set.at) set.last = set.at;
  set.error = error_called(getenv("SN_FAULT_ERRNO"));
  set.jump = jump ? atof(jump) : 0;
  for (int i = 0; way && i < 6; i++)
    if (!strcmp(ways[i], way)) set.how = (how)i;
  set.owner = getpid();
  unsetenv("LD_PRELOAD");
  set.ready = true;
}

/* ---- does this call go wrong? ------------------------------------------------------------------------------------ */

static bool listed(const char *name) {
  size_t n = strlen(name);
  if (!strcmp(set.calls, "all")) return true;
  for (const char *p = set.calls; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
    if (!strncmp(p, name, n) && (!p[n] || p[n] == ',')) return true;
  return false;
}

/* Counts the call; true: it is the one. */
static bool turn(void) {
  long n = ++count;
  return set.at && n >= set.at && n <= set.last;
}

static bool counts(const char *name) {
  return set.ready && set.calls && !set.memory && getpid() == set.owner && listed(name);
}

static bool path_fails(const char *name, const char *path) {
  return counts(name) && (!set.path || (path && strstr(path, set.path))) && turn();
}

static bool fd_fails(const char *name, int fd) {
  char link[64], path[4096];
  if (!counts(name) || fd <= 2) return false;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  path[n < 0 ? 0 : n] = 0;
  return (!set.path || strstr(path, set.path)) && turn();
}

static _Noreturn void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static intptr_t fail(void) {
  if (set.how == BEFORE) die();
  errno = set.how == AGAIN || set.how == SHORT ? EINTR : set.error;
  return -1;
}

/* A call without halves: it fails, or is done and the process ends. */
#define WHOLE(condition, call)                                              \
  if (!(condition)) return call;                                            \
  if (set.how != HALF && set.how != AFTER) return (__typeof__(call))fail(); \
  (void)!(call);                                                            \
  die()

/* ---- files ------------------------------------------------------------------------------------------------------- */

static mode_t mode_of(int flags, va_list args) { return flags & O_CREAT ? (mode_t)va_arg(args, int) : 0; }

API int open(const char *path, int flags, ...) {
  REAL(open);
  va_list args;
  va_start(args, flags);
  mode_t mode = mode_of(flags, args);
  va_end(args);
  WHOLE(path_fails("open", path), real(path, flags, mode));
}

API int open64(const char *path, int flags, ...) {
  REAL(open64);
  va_list args;
  va_start(args, flags);
  mode_t mode = mode_of(flags, args);
  va_end(args);
  WHOLE(path_fails("open", path), real(path, flags, mode));
}

API int mkostemp(char *pattern, int flags) {
  REAL(mkostemp);
  WHOLE(path_fails("open", pattern), real(pattern, flags));
}

API ssize_t read(int fd, void *to, size_t bytes) {
  REAL(read);
  if (!fd_fails("read", fd)) return real(fd, to, bytes);
  if (set.how == SHORT && bytes > 1) return real(fd, to, bytes / 2);
  if (set.how == HALF || set.how == AFTER) die();
  return fail();
}

API ssize_t write(int fd, const void *from, size_t bytes) {
  REAL(write);
  if (!fd_fails("write", fd)) return real(fd, from, bytes);
  if (set.how == SHORT && bytes > 1) return real(fd, from, bytes / 2);
  if (set.how == HALF || set.how == AFTER) {
    (void)!real(fd, from, set.how == HALF ? bytes / 2 : bytes);
    die();
  }
  return fail();
}

API int close(int fd) {
  REAL(close);
  if (!fd_fails("close", fd)) return real(fd);
  if (set.how == BEFORE) die();
  real(fd); /* it is closed, whatever the result */
  if (set.how == HALF || set.how == AFTER) die();
  return (int)fail();
}

API int fsync(int fd) {
  REAL(fsync);
  WHOLE(fd_fails("fsync", fd), real(fd));
}

API int fchmod(int fd, mode_t mode) {
  REAL(fchmod);
  WHOLE(fd_fails("fchmod", fd), real(fd, mode));
}

API int fstat(int fd, struct stat *out) {
  REAL(fstat);
  WHOLE(fd_fails("fstat", fd), real(fd, out));
}

API int flock(int fd, int operation) {
  REAL(flock);
  WHOLE(fd_fails("flock", fd), real(fd, operation));
}

API void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset) {
  REAL(mmap);
  WHOLE(fd >= 0 ? fd_fails("mmap", fd) : path_fails("mmap", ""), real(at, bytes, protection, flags, fd, offset));
}

API int rename(const char *from, const char *to) {
  REAL(rename);
  WHOLE(path_fails("rename", to), real(from, to));
}

API int unlink(const char *path) {
  REAL(unlink);
  WHOLE(path_fails("unlink", path), real(path));
}

API int unlinkat(int folder, const char *path, int flags) {
  REAL(unlinkat);
  WHOLE(fd_fails("unlink", folder), real(folder, path, flags));
}

API int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  WHOLE(path_fails("mkdir", path), real(path, mode));
}

API int stat(const char *path, struct stat *out) {
  REAL(stat);
  WHOLE(path_fails("stat", path), real(path, out));
}

API int access(const char *path, int mode) {
  REAL(access);
  WHOLE(path_fails("access", path), real(path, mode));
}

API DIR *opendir(const char *path) {
  REAL(opendir);
  if (!path_fails("opendir", path)) return real(path);
  if (set.how == HALF || set.how == AFTER) die();
  fail();
  return NULL;
}

API FILE *fopen(const char *path, const char *mode) {
  REAL(fopen);
  if (!path_fails("open", path)) return real(path, mode);
  if (set.how == HALF || set.how == AFTER) die();
  fail();
  return NULL;
}

/* ---- clocks ------------------------------------------------------------------------------------------------------ */

API int clock_gettime(clockid_t clock, struct timespec *out) {
  REAL(clock_gettime);
  int code = real(clock, out);
  if (set.ready && set.jump != 0) out->tv_sec += (time_t)(++looks % 3 ? set.jump : -set.jump);
  return code;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* What the calls go on to: the C library's own, or the sanitizer's. */
#ifdef SN_FAULT_SANITIZED
#define SANITIZED 1 /* which asks the C library for itself */
#define NEXT(name) __interceptor_##name
#else
#define SANITIZED 0
#define NEXT(name) __libc_##name
#endif
void *NEXT(malloc)(size_t bytes);
void *NEXT(calloc)(size_t count, size_t bytes);
void *NEXT(realloc)(void *old, size_t bytes);
void *NEXT(memalign)(size_t alignment, size_t bytes);
void NEXT(free)(void *at);

static bool within(const char *const range[2], const void *at) {
  return (const char *)at >= range[0] && (const char *)at < range[1];
}

static void show_place(void) {
  void *at[32];
  set.ready = false; /* what this asks for does not count */
  backtrace_symbols_fd(at, backtrace(at, 32), 2);
  set.ready = true;
}

static bool memory_fails(const void *caller) {
  if (!set.ready || !set.memory || getpid() != set.owner) return false;
  if (!within(set.program, caller) && (SANITIZED || set.own || !within(set.library, caller))) return false;
  if (!turn()) return false;
  if (set.show) show_place();
  errno = ENOMEM;
  return true;
}

/* Blocks of the program that are in use: open addressing, a lock, no memory of its own. */
enum { BLOCKS = 1 << 18 };
static struct block {
  const void *at, *caller;
  size_t bytes;
} blocks[BLOCKS];
static atomic_flag busy = ATOMIC_FLAG_INIT;

static size_t place_of(const void *at) {
  size_t i = (size_t)((uintptr_t)at / 16 * 0x9e3779b97f4a7c15u >> 20) % BLOCKS;
  while (blocks[i].at && blocks[i].at != at) i = (i + 1) % BLOCKS;
  return i;
}

static void lock(void) {
  while (atomic_flag_test_and_set(&busy)) continue;
}

static void *note(void *at, size_t bytes, const void *caller) {
  if (!set.ready || !set.leaks_file || !at || !within(set.program, caller)) return at;
  lock();
  blocks[place_of(at)] = (struct block){at, caller, bytes};
  atomic_flag_clear(&busy);
  return at;
}

/* Closes the gap, so that what was put behind it is still found. */
static void forget(const void *at) {
  if (!set.ready || !set.leaks_file || !at) return;
  lock();
  size_t i = place_of(at);
  for (blocks[i].at = NULL, i = (i + 1) % BLOCKS; blocks[i].at; i = (i + 1) % BLOCKS) {
    struct block moved = blocks[i];
    blocks[i].at = NULL;
    blocks[place_of(moved.at)] = moved;
  }
  atomic_flag_clear(&busy);
}

#define CALLER __builtin_return_address(0)

API void *malloc(size_t bytes) { return memory_fails(CALLER) ? NULL : note(NEXT(malloc)(bytes), bytes, CALLER); }

API void *calloc(size_t n, size_t bytes) {
  return memory_fails(CALLER) ? NULL : note(NEXT(calloc)(n, bytes), n * bytes, CALLER);
}

API void *realloc(void *old, size_t bytes) {
  if (memory_fails(CALLER)) return NULL;
  forget(old);
  return note(NEXT(realloc)(old, bytes), bytes, CALLER);
}

API void *aligned_alloc(size_t alignment, size_t bytes) {
  return memory_fails(CALLER) ? NULL : note(NEXT(memalign)(alignment, bytes), bytes, CALLER);
}

API int posix_memalign(void **out, size_t alignment, size_t bytes) {
  if (memory_fails(CALLER)) return ENOMEM;
  *out = note(NEXT(memalign)(alignment, bytes), bytes, CALLER);
  return *out ? 0 : ENOMEM;
}

API void free(void *at) {
  forget(at);
  NEXT(free)(at);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void write_file(const char *path, const char *text, size_t bytes, bool first) {
  int fd = open(path, O_WRONLY | O_CREAT | (first ? O_TRUNC : O_APPEND), 0666);
  if (fd < 0) return;
  if (write(fd, text, bytes) == (ssize_t)bytes) close(fd);
}

static void write_leaks(void) {
  char text[96];
  int n = 0, live = 0;
  for (size_t i = 0; i < BLOCKS; i++) live += blocks[i].at != NULL;
  n = snprintf(text, sizeof text, "%d\n", live);
  write_file(set.leaks_file, text, (size_t)n, true);
  for (size_t i = 0; i < BLOCKS; i++) {
    if (!blocks[i].at) continue;
    const char *base = set.program[0];
    n = snprintf(text, sizeof text, "%zu bytes at text+0x%tx\n", blocks[i].bytes,
                 (const char *)blocks[i].caller - base);
    write_file(set.leaks_file, text, (size_t)n, false);
  }
}

__attribute__((destructor)) static void end(void) {
  char text[32];
  if (getpid() != set.owner) return;
  set.ready = false;
  int n = snprintf(text, sizeof text, "%ld\n", (long)count);
  if (set.count_file) write_file(set.count_file, text, (size_t)n, true);
  if (set.leaks_file) write_leaks();
}
