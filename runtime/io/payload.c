/* Parts of a model behind a program, found again by a trailer at the end of the file. */
#include "runtime/io/payload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/base/str.h"

#define MAGIC "SNEXE001"

typedef struct trailer {
  uint64_t offset[SN_PAYLOAD_PARTS], bytes[SN_PAYLOAD_PARTS];
  uint64_t checksum; /* of every part but the weights, whose own header is checked when they are read */
  char magic[8];
} trailer;

static uint64_t checksum_of(const sn_payload *p) {
  uint64_t h = 0;
  for (int i = 0; i < SN_PAYLOAD_PARTS; i++)
    if (i != SN_PAYLOAD_WEIGHTS) h = sn_hash_bytes(p->part[i].data, p->part[i].bytes, h);
  return h;
}

static bool write_all(int fd, const void *data, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t n = write(fd, (const char *)data + done, bytes - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += (size_t)n;
  }
  return true;
}

static bool pad(int fd, uint64_t *at) {
  static const char zeros[64];
  size_t n = (size_t)((64 - *at % 64) % 64);
  *at += n;
  return write_all(fd, zeros, n);
}

static bool write_file(int fd, const void *program, size_t program_bytes, const sn_payload *p) {
  trailer t = {.checksum = checksum_of(p)};
  uint64_t at = program_bytes;
  memcpy(t.magic, MAGIC, 8);
  if (!write_all(fd, program, program_bytes)) return false;
  for (int i = 0; i < SN_PAYLOAD_PARTS; i++) {
    if (!pad(fd, &at)) return false;
    t.offset[i] = at, t.bytes[i] = p->part[i].bytes;
    if (!write_all(fd, p->part[i].data, p->part[i].bytes)) return false;
    at += p->part[i].bytes;
  }
  return write_all(fd, &t, sizeof t) && !fsync(fd);
}

sn_code sn_payload_write(const char *path, const void *program, size_t program_bytes, const sn_payload *p,
                         sn_diags *diags) {
  char tmp[4096];
  if (snprintf(tmp, sizeof tmp, "%s.XXXXXX", path) >= (int)sizeof tmp)
    return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "%s: the path is too long", path);
  int fd = mkstemp(tmp);
  bool ok = fd >= 0 && write_file(fd, program, program_bytes, p) && !fchmod(fd, 0755);
  int error = errno;
  if (fd >= 0 && close(fd)) ok = false, error = errno;
  if (ok && rename(tmp, path)) ok = false, error = errno;
  if (!ok && fd >= 0) unlink(tmp);
  return ok ? SN_OK : sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "%s cannot be written: %s", path, strerror(error));
}

static bool find_parts(sn_payload *p) {
  trailer t;
  if (p->map_bytes < sizeof t) return false;
  uint64_t end = p->map_bytes - sizeof t;
  memcpy(&t, (const char *)p->map + end, sizeof t);
  if (memcmp(t.magic, MAGIC, 8)) return false;
  for (int i = 0; i < SN_PAYLOAD_PARTS; i++) {
    if (t.offset[i] > end || t.bytes[i] > end - t.offset[i]) return false;
    p->part[i].data = (const char *)p->map + t.offset[i];
    p->part[i].bytes = (size_t)t.bytes[i];
  }
  return checksum_of(p) == t.checksum;
}

sn_code sn_payload_open(const char *path, sn_diags *diags, sn_payload *out) {
  sn_payload p = {0};
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st)) {
    if (fd >= 0) close(fd);
    return sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "%s cannot be read: %s", path, strerror(errno));
  }
  p.map_bytes = (size_t)st.st_size;
  p.map = p.map_bytes ? mmap(NULL, p.map_bytes, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
  close(fd);
  if (p.map == MAP_FAILED) return sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "%s cannot be mapped", path);
  if (!find_parts(&p)) {
    munmap(p.map, p.map_bytes);
    return sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "%s carries no model, or a damaged one", path);
  }
  *out = p;
  return SN_OK;
}

void sn_payload_close(sn_payload *p) {
  if (p->map) munmap(p->map, p->map_bytes);
  *p = (sn_payload){0};
}
