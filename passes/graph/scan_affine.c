/* The associative form of elementwise affine recurrences. */
#include "passes/graph/scan_form.h"

const char *sn_scan_associative(sn_scan_try *t) {
  (void)t;
  return "no step has that form yet";
}
