/* Code generation in a child process: LLVM ends the process on its own mistakes, and this turns that into a diagnostic.
 */
#include "backends/llvm/isolate.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/llvm/library.h"

enum { MESSAGE_BYTES = 1024 };

/* What the child sends before the bytes of the image. */
typedef struct answer {
  sn_code code;
  int64_t byte_count, entry, workspace_bytes;
  char message[MESSAGE_BYTES]; /* of the first diagnostic */
} answer;

static bool send_all(int fd, const void *data, size_t bytes) {
  const char *p = data;
  while (bytes) {
    ssize_t n = write(fd, p, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n, bytes -= (size_t)n;
  }
  return true;
}

static bool receive_all(int fd, void *data, size_t bytes) {
  char *p = data;
  while (bytes) {
    ssize_t n = read(fd, p, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n, bytes -= (size_t)n;
  }
  return true;
}

static void child(int fd, cg_emit_fn emit, const sn_target *t, const sn_kernel *k) {
  sn_arena *arena = sn_arena_scratch();
  sn_diags *diags = sn_diags_create();
  sn_code_blob blob = {0};
  answer a = {.code = arena && diags ? emit(t, k, arena, diags, &blob) : SN_ERR_LIMIT};
  a.byte_count = blob.byte_count, a.entry = blob.entry, a.workspace_bytes = blob.workspace_bytes;
  if (a.code && diags && diags->count) strncpy(a.message, diags->at[0].message, MESSAGE_BYTES - 1);
  bool sent = send_all(fd, &a, sizeof a) && (a.code || send_all(fd, blob.bytes, (size_t)blob.byte_count));
  _exit(sent ? 0 : 1); /* nothing of the parent's is flushed or run twice */
}

static sn_code receive(int fd, const sn_target *t, const sn_kernel *k, sn_arena *arena, sn_diags *diags,
                       sn_code_blob *out) {
  answer a;
  if (!receive_all(fd, &a, sizeof a)) return SN_ERR_INTERRUPTED; /* the child's end says more */
  a.message[MESSAGE_BYTES - 1] = 0;
  if (a.code) return sn_fail(diags, a.code, (sn_loc){0}, "%s", a.message);
  if (a.byte_count <= 0 || a.byte_count > INT64_C(1) << 30) return SN_ERR_INTERRUPTED;
  unsigned char *bytes = sn_arena_alloc(arena, (size_t)a.byte_count);
  if (!receive_all(fd, bytes, (size_t)a.byte_count)) return SN_ERR_INTERRUPTED;
  *out = (sn_code_blob){.kind = SN_CODE_CPU,
                        .name = sn_arena_strdup(arena, k->name),
                        .bytes = bytes,
                        .byte_count = a.byte_count,
                        .entry = a.entry,
                        .workspace_bytes = a.workspace_bytes,
                        .features = sn_arena_strdup(arena, t->features)};
  return SN_OK;
}

sn_code cg_isolated(cg_emit_fn emit, const sn_target *t, const sn_kernel *k, sn_arena *arena, sn_diags *diags,
                    sn_code_blob *out) {
  int ends[2], status = 0;
  SN_TRY(ll_library_open(diags)); /* once, not in every child */
  if (pipe(ends)) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "kernel %s: no pipe for code generation", k->name);
  pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    child(ends[1], emit, t, k);
  }
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "kernel %s: no process for code generation", k->name);
  }
  sn_code code = receive(ends[0], t, k, arena, diags, out);
  close(ends[0]);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (code != SN_ERR_INTERRUPTED) return code;
  if (WIFSIGNALED(status))
    return sn_fail(diags, SN_ERR_FAIL, (sn_loc){0}, "kernel %s: the code generator died with signal %d", k->name,
                   WTERMSIG(status));
  return sn_fail(diags, SN_ERR_FAIL, (sn_loc){0}, "kernel %s: the code generator gave up", k->name);
}
