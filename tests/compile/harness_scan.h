/* Recurrences of a test's model, compiled: one graph in one way, against the interpreter. */
#ifndef SN_TESTS_COMPILE_HARNESS_SCAN_H
#define SN_TESTS_COMPILE_HARNESS_SCAN_H

#include <stdint.h>

#include "frontend/build.h"
#include "frontend/sinter.h"

typedef struct scan_way {
  const sn_model *model;
  const char *graph, *target;
  const char *fuse, *form, *set; /* NULL: all, auto, nothing */
  const char *precision;         /* of products; NULL: f32 */
  int threads;
  int64_t B, T; /* B 0: 2 */
  double scale; /* of inputs; 0: .5 */
  int most;     /* percent of elements that may have no bound; 0: 2 */
  int spread;   /* executions that bounds are estimated from; 0: they are proven */
} scan_way;

/* Fails the running test where results differ.  -> hash of all results */
uint64_t scan_check(const scan_way *w);

/* Graph `g` of a text. form, fuse: may be NULL */
void scan_check_text(const char *text, const char *target, const char *fuse, const char *form, int64_t T);

#endif
