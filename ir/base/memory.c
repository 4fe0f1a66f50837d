/* Memory of the system, as Linux tells it. */
#include "ir/base/memory.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* MemAvailable of /proc/meminfo: free, and what caches would give back. */
static int64_t system_bytes(void) {
  char line[128];
  long long kib = -1;
  FILE *f = fopen("/proc/meminfo", "r");
  while (f && kib < 0 && fgets(line, sizeof line, f))
    if (sscanf(line, "MemAvailable: %lld kB", &kib) != 1) kib = -1;
  if (f) fclose(f);
  if (kib >= 0) return kib * 1024;
  long pages = sysconf(_SC_AVPHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages < 0 || page < 0 ? -1 : (int64_t)pages * page;
}

int64_t sn_memory_available(void) {
  int64_t bytes = system_bytes();
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY) return bytes;
  return bytes < 0 || (rlim_t)bytes > limit.rlim_cur ? (int64_t)limit.rlim_cur : bytes;
}
