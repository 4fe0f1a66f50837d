/* Random valid uses of an op: for the laws that every op obeys, and for random graphs. */
#ifndef SN_IR_OPS_SAMPLE_H
#define SN_IR_OPS_SAMPLE_H

#include "ir/base/rng.h"
#include "ir/graph/graph.h"

enum { SN_SAMPLE_ARGS = 12 };

/* Values that an operand may take. */
typedef struct sn_sample_domain {
  double lo, hi;        /* floats: uniform in between; integers: lo <= x < hi, or x < below */
  const sn_dimx *below; /* integers: exclusive limit that depends on dims; NULL: hi */
  double gap;           /* floats: |x| >= gap, to keep away from a pole or a kink at 0 */
} sn_sample_domain;

typedef struct sn_sample {
  sn_elem real; /* in: what floats are; SN_ELEM_NONE: f32 */
  sn_elem elem; /* in: what the op works on, whether the type rule accepts it or not; SN_ELEM_NONE: drawn */
  int extent_count;
  const int64_t *extents; /* in: extents to draw from; none: small ones, and symbols of the module */
  int arg_count;
  const sn_type *arg[SN_SAMPLE_ARGS];
  sn_sample_domain domain[SN_SAMPLE_ARGS];
  sn_attr attr[SN_ATTR_MAX];
  const sn_type *leaf; /* LEAF ops: the type to state */
} sn_sample;

/* Draws operand types and attributes that the type rule accepts (unless `elem` is set). Extents are small constants, or
 * symbols of the module and expressions of them. Regions and bodies that it needs become functions of the module. owns:
 * the module's arenas.   errors: SN_ERR_FAIL for ops that it does not know */
SN_MUST sn_code sn_op_sample(sn_rng *rng, sn_module *m, sn_op op, sn_sample *out);

/* Could the bodies of its regions be built on its types? If not, the type rule cannot be asked. */
bool sn_sample_is_built(const sn_sample *s);

#endif
