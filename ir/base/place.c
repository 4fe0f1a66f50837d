/* The folder of the running image -> files beside it. */
#include "ir/base/place.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* The program or library that holds an address; false: unknown. */
static bool image_of(const void *address, char path[4096]) {
  Dl_info own, program;
  if (!dladdr(address, &own)) return false;
  bool is_program = dladdr((void *)(uintptr_t)getauxval(AT_ENTRY), &program) && own.dli_fbase == program.dli_fbase;
  if (!is_program) return realpath(own.dli_fname, path) != NULL;
  ssize_t n = readlink("/proc/self/exe", path, 4095);
  if (n > 0) path[n] = 0;
  return n > 0;
}

const char *sn_place_find(sn_arena *arena, const char *relative) {
  char folder[4096];
  const char *prefix = getenv("SINTER_PREFIX");
  if (prefix && *prefix) {
    const char *path = sn_arena_printf(arena, "%s/%s", prefix, relative);
    return access(path, R_OK) ? NULL : path;
  }
  if (!image_of((const void *)(uintptr_t)&sn_place_find, folder)) return NULL;
  for (int level = 0; level < 3; level++) {
    char *slash = strrchr(folder, '/');
    if (!slash) return NULL;
    *slash = 0;
    const char *path = sn_arena_printf(arena, "%s/%s", folder, relative);
    if (!access(path, R_OK)) return path;
  }
  return NULL;
}
