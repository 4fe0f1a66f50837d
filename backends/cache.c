/* Object cache: one file per blob or plan, named by a hash of its key, holding the key itself, the blob and a checksum.
 */
#include "backends/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "SNCACHE1"

enum { KIND_PLAN = 100 }; /* beside those of code */

struct sn_cache {
  char dir[4096];
};

typedef struct header {
  char magic[8];
  uint64_t key_bytes, code_bytes, checksum; /* checksum: of everything behind the header */
  int64_t entry, workspace_bytes;
  uint32_t kind, features_bytes;
} header;

static bool default_dir(char *out, size_t bytes) {
  const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  if (xdg && xdg[0] == '/') return snprintf(out, bytes, "%s/sinter", xdg) < (int)bytes;
  if (home && home[0] == '/') return snprintf(out, bytes, "%s/.cache/sinter", home) < (int)bytes;
  return false;
}

static bool make_dirs(char *path) {
  for (char *p = path + 1; *p; p++) {
    if (*p != '/') continue;
    *p = 0;
    int failed = mkdir(path, 0700);
    *p = '/';
    if (failed && errno != EEXIST) return false;
  }
  return !mkdir(path, 0700) || errno == EEXIST;
}

sn_cache *sn_cache_open(sn_arena *arena, const char *dir, const char **why) {
  sn_cache *c = SN_NEW(arena, sn_cache);
  *why = NULL;
  if (dir && !dir[0]) return NULL;
  bool fits =
      dir ? snprintf(c->dir, sizeof c->dir, "%s", dir) < (int)sizeof c->dir : default_dir(c->dir, sizeof c->dir);
  if (!fits) {
    *why = "no cache folder: neither XDG_CACHE_HOME nor HOME is an absolute path";
    return NULL;
  }
  struct stat st;
  if (!make_dirs(c->dir) || lstat(c->dir, &st) || !S_ISDIR(st.st_mode)) {
    *why = sn_arena_printf(arena, "cache folder %s cannot be made: %s", c->dir, strerror(errno));
    return NULL;
  }
  if (st.st_uid != geteuid() || (st.st_mode & 022)) {
    *why = sn_arena_printf(arena, "cache folder %s belongs to or can be written by others", c->dir);
    return NULL;
  }
  return c;
}

static void path_of(const sn_cache *c, const char *key, size_t bytes, bool is_plan, char *out, size_t out_bytes) {
  uint64_t a = sn_hash_bytes(key, bytes, 1), b = sn_hash_bytes(key, bytes, 2);
  snprintf(out, out_bytes, "%s/%016llx%016llx.%s", c->dir, (unsigned long long)a, (unsigned long long)b,
           is_plan ? "plan" : "code");
}

static bool read_all(int fd, void *to, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t n = read(fd, (char *)to + done, bytes - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += (size_t)n;
  }
  return true;
}

static bool write_all(int fd, const void *from, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t n = write(fd, (const char *)from + done, bytes - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += (size_t)n;
  }
  return true;
}

/* The payload is key, features, code; its size must be exactly that of the file. */
static bool payload_fits(const header *h, size_t room) {
  if (h->key_bytes > room) return false;
  room -= h->key_bytes;
  if (h->features_bytes > room) return false;
  return room - h->features_bytes == h->code_bytes;
}

/* The parts of a file image; false when it is damaged. */
static bool parse(sn_arena *arena, const unsigned char *data, size_t bytes, sn_cache_entry *out) {
  header h;
  if (bytes < sizeof h) return false;
  memcpy(&h, data, sizeof h);
  const unsigned char *p = data + sizeof h;
  if (memcmp(h.magic, MAGIC, 8) || !payload_fits(&h, bytes - sizeof h)) return false;
  if (sn_hash_bytes(p, bytes - sizeof h, 3) != h.checksum) return false;
  bool is_plan = h.kind == KIND_PLAN;
  if (h.workspace_bytes < 0 || (h.kind > SN_CODE_KERNEL_TEXT && !is_plan) || !h.code_bytes) return false;
  char *features = sn_arena_alloc(arena, h.features_bytes + 1);
  memcpy(features, p + h.key_bytes, h.features_bytes);
  *out = (sn_cache_entry){.key = (const char *)p, .key_bytes = (size_t)h.key_bytes, .is_plan = is_plan};
  out->blob = (sn_code_blob){.kind = is_plan ? SN_CODE_CPU : (sn_code_kind)h.kind,
                             .bytes = p + h.key_bytes + h.features_bytes,
                             .byte_count = (int64_t)h.code_bytes,
                             .entry = h.entry,
                             .workspace_bytes = h.workspace_bytes,
                             .features = features};
  return is_plan || sn_code_entry_ok(&out->blob);
}

static bool read_entry(int fd, const char *key, size_t key_bytes, bool is_plan, sn_arena *arena, sn_code_blob *out) {
  struct stat st;
  sn_cache_entry e;
  if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid()) return false;
  if (st.st_size < (off_t)sizeof(header) || st.st_size > (off_t)1 << 30) return false;
  size_t bytes = (size_t)st.st_size;
  unsigned char *p = sn_arena_alloc(arena, bytes + 1);
  if (!read_all(fd, p, bytes) || !parse(arena, p, bytes, &e)) return false;
  if (e.is_plan != is_plan || e.key_bytes != key_bytes || memcmp(e.key, key, key_bytes)) return false;
  *out = e.blob;
  return true;
}

static bool find(const sn_cache *c, const char *key, size_t key_bytes, bool is_plan, sn_arena *arena,
                 sn_code_blob *out) {
  char path[4200];
  path_of(c, key, key_bytes, is_plan, path, sizeof path);
  int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return false;
  bool found = read_entry(fd, key, key_bytes, is_plan, arena, out);
  close(fd);
  return found;
}

bool sn_cache_get(const sn_cache *c, const char *key, size_t key_bytes, sn_arena *arena, sn_code_blob *out) {
  return find(c, key, key_bytes, false, arena, out);
}

bool sn_cache_get_plan(const sn_cache *c, const char *key, size_t key_bytes, sn_arena *arena, const unsigned char **out,
                       size_t *out_bytes) {
  sn_code_blob plan;
  if (!find(c, key, key_bytes, true, arena, &plan)) return false;
  *out = plan.bytes;
  *out_bytes = (size_t)plan.byte_count;
  return true;
}

static void keep(const sn_cache *c, const char *key, size_t key_bytes, bool is_plan, const sn_code_blob *blob) {
  size_t features_bytes = strlen(blob->features), bytes = key_bytes + features_bytes + (size_t)blob->byte_count;
  unsigned char *p = malloc(bytes);
  if (!p) return;
  memcpy(p, key, key_bytes);
  memcpy(p + key_bytes, blob->features, features_bytes);
  memcpy(p + key_bytes + features_bytes, blob->bytes, (size_t)blob->byte_count);
  header h = {.key_bytes = key_bytes,
              .code_bytes = (uint64_t)blob->byte_count,
              .checksum = sn_hash_bytes(p, bytes, 3),
              .entry = blob->entry,
              .workspace_bytes = blob->workspace_bytes,
              .kind = is_plan ? KIND_PLAN : (uint32_t)blob->kind,
              .features_bytes = (uint32_t)features_bytes};
  memcpy(h.magic, MAGIC, 8);
  char path[4200], tmp[4240];
  path_of(c, key, key_bytes, is_plan, path, sizeof path);
  snprintf(tmp, sizeof tmp, "%s.XXXXXX", path);
  int fd = mkstemp(tmp);
  if (fd >= 0) {
    bool ok = write_all(fd, &h, sizeof h) && write_all(fd, p, bytes);
    if (close(fd) || !ok || rename(tmp, path)) unlink(tmp);
  }
  free(p);
}

void sn_cache_put(const sn_cache *c, const char *key, size_t key_bytes, const sn_code_blob *blob) {
  keep(c, key, key_bytes, false, blob);
}

void sn_cache_put_plan(const sn_cache *c, const char *key, size_t key_bytes, const unsigned char *plan, size_t bytes) {
  const sn_code_blob blob = {.bytes = plan, .byte_count = (int64_t)bytes, .features = ""};
  keep(c, key, key_bytes, true, &blob);
}

const char *sn_cache_get_text(const sn_cache *c, const char *key, sn_arena *arena, size_t *bytes) {
  sn_code_blob b;
  if (!sn_cache_get(c, key, strlen(key), arena, &b) || b.kind != SN_CODE_KERNEL_TEXT) return NULL;
  *bytes = (size_t)b.byte_count;
  return (const char *)b.bytes;
}

void sn_cache_put_text(const sn_cache *c, const char *key, const char *text) {
  const sn_code_blob b = {.kind = SN_CODE_KERNEL_TEXT,
                          .features = "",
                          .bytes = (const unsigned char *)text,
                          .byte_count = (int64_t)strlen(text)};
  sn_cache_put(c, key, strlen(key), &b);
}

sn_code sn_cache_entry_read(sn_arena *arena, sn_diags *diags, const char *file, const void *data, size_t bytes,
                            sn_cache_entry *out) {
  if (parse(arena, data, bytes, out)) return SN_OK;
  return sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file}, "the cache entry is damaged");
}
