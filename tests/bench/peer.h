/* A program that times one piece of work of a peer, for ./dev bench cpu: it says "ready", and then, for each line on
 * stdin, the median of the runs that fit into its budget, in milliseconds. */
#ifndef SN_TESTS_BENCH_PEER_H
#define SN_TESTS_BENCH_PEER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + 1e-6 * (double)t.tv_nsec;
}

/* Elements between -1 and 1, of f32 or, with two bytes, of bf16. */
static inline void draw(char *p, long count, int bytes) {
  uint32_t seed = 1, bits;
  for (long i = 0; i < count; i++) {
    seed = seed * 1664525u + 1013904223u;
    float v = (float)(int32_t)seed * (1.f / 2147483648.f);
    memcpy(&bits, &v, 4);
    if (bytes == 2) bits >>= 16;
    memcpy(p + i * bytes, &bits, (size_t)bytes);
  }
}

static inline int compare(const void *a, const void *b) {
  double p = *(const double *)a, q = *(const double *)b;
  return (p > q) - (p < q);
}

enum { MOST_RUNS = 1000 };

static inline double median_of(void (*run)(void), double budget) {
  static double ms[MOST_RUNS];
  double begin = now();
  int n = 0;
  while (!n || (n < MOST_RUNS && now() - begin < budget)) {
    double start = now();
    run();
    ms[n++] = now() - start;
  }
  qsort(ms, (size_t)n, sizeof *ms, compare);
  return ms[n / 2];
}

static inline void serve(void (*run)(void), double budget) {
  run();
  printf("ready\n");
  fflush(stdout);
  for (char line[64]; fgets(line, sizeof line, stdin);) {
    printf("%.6f\n", median_of(run, budget));
    fflush(stdout);
  }
}

#endif
