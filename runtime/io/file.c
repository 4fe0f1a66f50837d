/* Files: reads, maps, and writes that leave either the old file or the new one. */
#include "runtime/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static sn_loc at(const char *path) { return (sn_loc){.file = path}; }

/* Disk, quota and size limits are resources; the rest is a plain failure. */
static sn_code write_code(int reason) {
  return reason == ENOSPC || reason == EDQUOT || reason == EFBIG || reason == ENOMEM ? SN_ERR_LIMIT : SN_ERR_FAIL;
}

static sn_code cannot(sn_diags *diags, sn_code code, const char *what, const char *path, int reason) {
  return sn_fail(diags, code, at(path), "cannot %s %s: %s", what, path, strerror(reason));
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* A regular file, opened, with its size. */
static sn_code open_regular(const char *path, sn_diags *diags, int *out_fd, size_t *out_bytes) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not block */
  if (fd < 0) return cannot(diags, SN_ERR_INPUT, "open", path, errno);
  struct stat st;
  sn_code code = SN_OK;
  if (fstat(fd, &st))
    code = cannot(diags, SN_ERR_INPUT, "read", path, errno);
  else if (!S_ISREG(st.st_mode))
    code = cannot(diags, SN_ERR_INPUT, "read", path, S_ISDIR(st.st_mode) ? EISDIR : EINVAL);
  else if (st.st_size < 0 || (uintmax_t)st.st_size > SIZE_MAX / 2)
    code = cannot(diags, SN_ERR_LIMIT, "read", path, EFBIG);
  if (code) {
    close(fd);
    return code;
  }
  *out_fd = fd, *out_bytes = (size_t)st.st_size;
  return SN_OK;
}

static sn_code read_loop(int fd, const char *path, sn_diags *diags, char *to, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t n = read(fd, to + done, bytes - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot(diags, SN_ERR_INPUT, "read", path, errno);
    if (n == 0) return sn_fail(diags, SN_ERR_INPUT, at(path), "%s became shorter while it was read", path);
    done += (size_t)n;
  }
  return SN_OK;
}

sn_code sn_file_read(const char *path, size_t max_bytes, sn_diags *diags, char **out, size_t *out_bytes) {
  int fd;
  size_t bytes;
  SN_TRY(open_regular(path, diags, &fd, &bytes));
  if (bytes > max_bytes) {
    close(fd);
    sn_fail(diags, SN_ERR_LIMIT, at(path), "%s is too large", path);
    sn_fail_expected(diags, "at most %zu bytes", max_bytes);
    sn_fail_found(diags, "%zu bytes", bytes);
    return SN_ERR_LIMIT;
  }
  char *text = malloc(bytes + 1);
  sn_code code = text ? read_loop(fd, path, diags, text, bytes) : cannot(diags, SN_ERR_LIMIT, "read", path, ENOMEM);
  close(fd);
  if (code) {
    free(text);
    return code;
  }
  text[bytes] = 0;
  *out = text, *out_bytes = bytes;
  return SN_OK;
}

static int64_t modified(const struct stat *st) {
  return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

sn_code sn_file_map_open(const char *path, sn_diags *diags, sn_file_map *out) {
  int fd;
  size_t bytes;
  SN_TRY(open_regular(path, diags, &fd, &bytes));
  void *data = NULL;
  struct stat st;
  bool failed = fstat(fd, &st) != 0;
  if (bytes && !failed) data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (failed || data == MAP_FAILED) {
    int reason = errno;
    close(fd);
    return cannot(diags, reason == ENOMEM ? SN_ERR_LIMIT : SN_ERR_INPUT, "map", path, reason);
  }
  *out = (sn_file_map){data, bytes, fd + 1, modified(&st)};
  return SN_OK;
}

bool sn_file_map_changed(const sn_file_map *m) {
  struct stat st;
  return fstat(m->opened - 1, &st) || st.st_size != (off_t)m->bytes || modified(&st) != m->modified;
}

bool sn_file_map_renew(sn_file_map *m) {
  struct stat st;
  if (fstat(m->opened - 1, &st) || st.st_size != (off_t)m->bytes) return false;
  m->modified = modified(&st);
  return true;
}

void sn_file_map_close(sn_file_map *m) {
  if (m->data) munmap((void *)m->data, m->bytes);
  if (m->opened) close(m->opened - 1);
  *m = (sn_file_map){0};
}

/* ---- writing ------------------------------------------------------------------------------------ */

struct sn_file_out {
  int fd;
  mode_t mode;
  char *path;      /* as the caller calls it */
  char *target;    /* what is replaced: no link */
  char *temporary; /* renamed to `target`; NULL: `target` is written to directly */
};

static char *folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return strdup(".");
  return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static void free_out(sn_file_out *f) {
  free(f->path);
  free(f->target);
  free(f->temporary);
  free(f);
}

/* errno, or 0 */
static int open_out(sn_file_out *f) {
  struct stat st;
  bool exists = !stat(f->path, &st);
  if (exists && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
    f->fd = open(f->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return f->fd < 0 ? errno : 0;
  }
  bool link = exists && !lstat(f->path, &st) && S_ISLNK(st.st_mode);
  f->target = link ? realpath(f->path, NULL) : strdup(f->path);
  if (!f->target) return errno;
  size_t bytes = strlen(f->target) + 16;
  f->temporary = malloc(bytes);
  if (!f->temporary) return ENOMEM;
  snprintf(f->temporary, bytes, "%s.tmp-XXXXXX", f->target);
  f->fd = mkostemp(f->temporary, O_CLOEXEC);
  return f->fd < 0 ? errno : 0;
}

sn_code sn_file_begin(const char *path, sn_diags *diags, sn_file_out **out) {
  sn_file_out *f = calloc(1, sizeof *f);
  if (!f) return cannot(diags, SN_ERR_LIMIT, "write", path, ENOMEM);
  f->mode = 0666;
  f->path = strdup(path);
  int reason = f->path ? open_out(f) : ENOMEM;
  if (reason) {
    free_out(f);
    return cannot(diags, write_code(reason), "write", path, reason);
  }
  *out = f;
  return SN_OK;
}

void sn_file_make_program(sn_file_out *f) { f->mode = 0777; }

sn_code sn_file_write(sn_file_out *f, const void *data, size_t bytes, sn_diags *diags) {
  for (size_t done = 0; done < bytes;) {
    ssize_t n = write(f->fd, (const char *)data + done, bytes - done);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = ENOSPC;
    if (n <= 0) return cannot(diags, write_code(errno), "write", f->path, errno);
    done += (size_t)n;
  }
  return SN_OK;
}

void sn_file_abandon(sn_file_out *f) {
  if (!f) return;
  if (f->fd >= 0) close(f->fd);
  if (f->temporary) unlink(f->temporary);
  free_out(f);
}

/* The new name survives a power cut once its folder is on disk. File systems that cannot sync folders say EINVAL. */
static int sync_folder(const char *path) {
  char *folder = folder_of(path);
  if (!folder) return ENOMEM;
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), reason = 0;
  free(folder);
  if (fd < 0) return errno;
  if (fsync(fd) && errno != EINVAL && errno != EROFS) reason = errno;
  close(fd);
  return reason;
}

static int sync_and_close(sn_file_out *f) {
  mode_t mask = umask(0);
  umask(mask);
  int reason = f->temporary && fchmod(f->fd, f->mode & ~mask) ? errno : 0;
  if (!reason && fsync(f->fd) && errno != EINVAL) reason = errno;
  if (close(f->fd) && !reason && errno != EINTR) reason = errno;
  f->fd = -1;
  return reason;
}

sn_code sn_file_commit(sn_file_out *f, sn_diags *diags) {
  int reason = sync_and_close(f);
  if (!reason && f->temporary && rename(f->temporary, f->target)) reason = errno;
  if (reason) {
    sn_code code = cannot(diags, write_code(reason), "write", f->path, reason);
    sn_file_abandon(f);
    return code;
  }
  if (f->temporary) reason = sync_folder(f->target);
  sn_code code = reason ? cannot(diags, write_code(reason), "sync the folder of", f->path, reason) : SN_OK;
  free_out(f);
  return code;
}

sn_code sn_file_check(const char *path, sn_diags *diags) {
  struct stat st;
  sn_file_out *f;
  bool exists = !stat(path, &st);
  if (exists && S_ISDIR(st.st_mode)) return cannot(diags, write_code(EISDIR), "write", path, EISDIR);
  if (exists && !S_ISREG(st.st_mode)) return SN_OK;
  SN_TRY(sn_file_begin(path, diags, &f));
  sn_file_abandon(f);
  return SN_OK;
}

sn_code sn_file_write_all(const char *path, const void *data, size_t bytes, sn_diags *diags) {
  sn_file_out *f;
  SN_TRY(sn_file_begin(path, diags, &f));
  sn_code code = sn_file_write(f, data, bytes, diags);
  if (!code) return sn_file_commit(f, diags);
  sn_file_abandon(f);
  return code;
}

sn_code sn_file_print(FILE *to, const char *name, const char *text, size_t bytes, sn_diags *diags) {
  if (fwrite(text, 1, bytes, to) == bytes && !fflush(to)) return SN_OK;
  int reason = errno;
  return reason == EPIPE ? SN_OK : cannot(diags, write_code(reason), "write", name, reason);
}
