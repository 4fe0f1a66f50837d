/* The chunked matmul form of a recurrence over a matrix. */
#include "passes/graph/scan_form.h"

const char *sn_scan_chunked(sn_scan_try *t) {
  (void)t;
  return "no step has that form yet";
}
