/* Files for fuzz targets of readers and writers that take paths. */
#ifndef SN_TESTS_FUZZ_FILES_H
#define SN_TESTS_FUZZ_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static inline bool put_at(int fd, const void *data, size_t bytes) {
  return !ftruncate(fd, 0) && (!bytes || pwrite(fd, data, bytes, 0) == (ssize_t)bytes);
}

/* The bytes as a file that has no place on a disk: the path to read it by, until the next call. */
static inline const char *file_of(const void *data, size_t bytes) {
  static int fd = -1;
  static char path[64];
  if (fd < 0) fd = memfd_create("fuzz", MFD_CLOEXEC);
  if (fd < 0 || !put_at(fd, data, bytes)) abort();
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return path;
}

/* The path of a file to be written by this process alone, in memory where the system has such a place. */
static inline const char *path_to_write(void) {
  static char path[64];
  snprintf(path, sizeof path, "%s/sn-fuzz-%ld", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (long)getpid());
  return path;
}

#endif
