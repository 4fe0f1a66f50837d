/* Assembly -> accesses of the stack by vector registers in microkernels. */
#include "tests/llvm/harness_spills.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_spill(const char *line, size_t n) { /* a vector register to or from the stack */
  bool stack = false, vector = false;
  for (size_t i = 0; i + 4 < n; i++) {
    stack |= !strncmp(line + i, "(%rsp", 5);
    vector |= !strncmp(line + i, "%zmm", 4) || !strncmp(line + i, "%ymm", 4) || !strncmp(line + i, "%xmm", 4);
  }
  return stack && vector;
}

int hx_microkernel_spills(const char *assembly, int *functions) {
  int spills = 0;
  bool inside = false;
  for (const char *line = assembly; *line;) {
    size_t n = strcspn(line, "\n");
    if (n && line[0] != '\t' && line[0] != '.' && line[0] != '#' && memchr(line, ':', n)) {
      inside = !strncmp(line, "micro", 5);
      *functions += inside;
    }
    if (inside && is_spill(line, n)) {
      printf("%.*s\n", (int)n, line);
      spills++;
    }
    line += n + (line[n] == '\n');
  }
  return spills;
}
