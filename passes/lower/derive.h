/* Derivative of a scalar region by its first argument, as a region of the same arguments. */
#ifndef SN_PASSES_LOWER_DERIVE_H
#define SN_PASSES_LOWER_DERIVE_H

#include "passes/lower/internal.h"

/* needs: one float scalar result, made of elementwise ops, constants, casts and `index` of captured tensors.
 * errors: an op without gradient on the way, at the user's line. */
SN_MUST sn_code sn_derive_first(sn_lower_ctx *c, const sn_func *region, const sn_func **out);

/* The region with one of its values as its result. */
const sn_func *sn_region_part(sn_lower_ctx *c, const sn_func *region, sn_val value);

#endif
