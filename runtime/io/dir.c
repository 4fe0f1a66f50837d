/* The folder of a run: names, creation, lock. */
#include "runtime/io/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *below(sn_arena *arena, const char *path, const char *name) {
  size_t n = strlen(path);
  return sn_arena_printf(arena, n && path[n - 1] == '/' ? "%s%s" : "%s/%s", path, name);
}

sn_dir sn_dir_of(sn_arena *arena, const char *path) {
  return (sn_dir){.path = sn_arena_strdup(arena, path),
                  .weights = below(arena, path, "model.safetensors"),
                  .graph = below(arena, path, "graph.sn"),
                  .settings = below(arena, path, "settings.json"),
                  .recipe = below(arena, path, "run.json"),
                  .tokenizer = below(arena, path, "tokenizer.json"),
                  .plan = below(arena, path, "model.plan"),
                  .checkpoints = below(arena, path, "checkpoints"),
                  .metrics = below(arena, path, "metrics.jsonl"),
                  .curve = below(arena, path, "loss.svg"),
                  .lock = below(arena, path, ".lock")};
}

/* ---- states of a folder ------------------------------------------------------------------------- */

static sn_code cannot(sn_diags *diags, const char *what, const char *path) {
  sn_code code = errno == ENOSPC || errno == EDQUOT ? SN_ERR_LIMIT : SN_ERR_FAIL;
  return sn_fail(diags, code, (sn_loc){.file = path}, "cannot %s %s: %s", what, path, strerror(errno));
}

sn_code sn_dir_make(const char *path, sn_diags *diags, bool *out_made) {
  if (!*path) return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "the name of the folder to write to is empty");
  sn_arena *arena = sn_arena_scratch();
  if (!arena) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){.file = path}, "out of memory");
  char *p = sn_arena_strdup(arena, path);
  int failed = 0;
  for (char *slash = strchr(p + 1, '/'); slash && !failed; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    failed = mkdir(p, 0777) && errno != EEXIST;
    *slash = '/';
  }
  *out_made = !failed && !mkdir(p, 0777);
  if (!failed) failed = !*out_made && errno != EEXIST;
  sn_code code = failed ? cannot(diags, "make folder", path) : SN_OK;
  struct stat st;
  if (!code && !stat(path, &st) && !S_ISDIR(st.st_mode))
    code = sn_fail(diags, SN_ERR_USAGE, (sn_loc){.file = path}, "%s is no folder", path);
  sn_arena_destroy(arena);
  return code;
}

sn_code sn_dir_check(const sn_dir *d, sn_dir_mode mode, sn_diags *diags) {
  struct stat st;
  sn_loc loc = {.file = d->path};
  bool there = stat(d->path, &st) == 0;
  if (there && !S_ISDIR(st.st_mode)) return sn_fail(diags, SN_ERR_USAGE, loc, "%s is no folder", d->path);
  if (!there && mode == SN_DIR_RESUME)
    return sn_fail(diags, SN_ERR_USAGE, loc, "%s does not exist: there is nothing to resume", d->path);
  if (there && mode == SN_DIR_NEW) {
    sn_fail(diags, SN_ERR_USAGE, loc, "%s exists", d->path);
    sn_fail_expected(diags, "a new folder; --resume continues its run, --force starts over");
    return SN_ERR_USAGE;
  }
  return SN_OK;
}

static sn_code enter(const sn_dir *d, sn_dir_mode mode, sn_diags *diags, bool *out_made) {
  struct stat st;
  SN_TRY(sn_dir_check(d, mode, diags));
  return stat(d->path, &st) ? sn_dir_make(d->path, diags, out_made) : SN_OK;
}

/* ---- a former run ------------------------------------------------------------------------------- */

static bool is_checkpoint(const char *name) { return !strncmp(name, "step-", 5) && strstr(name, ".ckpt"); }

static sn_code remove_checkpoints(const sn_dir *d, sn_diags *diags) {
  DIR *folder = opendir(d->checkpoints);
  sn_code code = SN_OK;
  for (struct dirent *e; folder && !code && (e = readdir(folder));)
    if (is_checkpoint(e->d_name) && unlinkat(dirfd(folder), e->d_name, 0) && errno != ENOENT)
      code = cannot(diags, "remove the checkpoints in", d->checkpoints);
  if (folder) closedir(folder);
  if (!code) rmdir(d->checkpoints); /* stays when it holds files of others */
  return code;
}

static sn_code remove_run(const sn_dir *d, sn_diags *diags) {
  const char *const files[] = {d->weights,   d->graph, d->settings, d->recipe,
                               d->tokenizer, d->plan,  d->metrics,  d->curve};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    if (unlink(files[i]) && errno != ENOENT) return cannot(diags, "remove", files[i]);
  return remove_checkpoints(d, diags);
}

/* ---- public ------------------------------------------------------------------------------------- */

/* What a killed run was writing (io/file.h names it so): the lock says that nobody writes it now. */
static void remove_leftovers(const sn_dir *d) {
  DIR *folder = opendir(d->path);
  for (struct dirent *e; folder && (e = readdir(folder));) {
    const char *suffix = strstr(e->d_name, ".tmp-");
    if (suffix && strlen(suffix) == strlen(".tmp-XXXXXX")) unlinkat(dirfd(folder), e->d_name, 0);
  }
  if (folder) closedir(folder);
}

static sn_code take_lock(const sn_dir *d, sn_diags *diags, int *out) {
  int fd = open(d->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) return cannot(diags, "write into", d->path);
  int failed;
  do failed = flock(fd, LOCK_EX | LOCK_NB);
  while (failed && errno == EINTR);
  if (failed) {
    bool held = errno == EWOULDBLOCK;
    sn_code code = held
                       ? sn_fail(diags, SN_ERR_FAIL, (sn_loc){.file = d->path}, "another run is writing to %s", d->path)
                       : cannot(diags, "lock", d->lock);
    close(fd);
    return code;
  }
  *out = fd;
  return SN_OK;
}

sn_code sn_dir_open(const sn_dir *d, sn_dir_mode mode, sn_diags *diags, sn_dir_lock *out_lock) {
  sn_dir_lock lock = {.fd = -1};
  SN_TRY(enter(d, mode, diags, &lock.made));
  sn_code code = take_lock(d, diags, &lock.fd);
  if (!code) remove_leftovers(d);
  if (!code && mode == SN_DIR_FORCE) code = remove_run(d, diags);
  if (code)
    sn_dir_abandon(d, lock);
  else
    *out_lock = lock;
  return code;
}

void sn_dir_release(sn_dir_lock lock) {
  if (lock.fd >= 0) close(lock.fd);
}

static bool holds_only_lock(const sn_dir *d) {
  DIR *folder = opendir(d->path);
  bool only = folder != NULL;
  for (struct dirent *e; only && (e = readdir(folder));)
    only = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !strcmp(e->d_name, ".lock");
  if (folder) closedir(folder);
  return only;
}

void sn_dir_abandon(const sn_dir *d, sn_dir_lock lock) {
  if (lock.made && lock.fd >= 0 && holds_only_lock(d)) unlink(d->lock);
  if (lock.made) rmdir(d->path); /* stays when it is not empty */
  sn_dir_release(lock);
}
