/* What both ways to multiply share: where the factors of a product lie, and how they get there. */
#ifndef SN_BACKENDS_SPIRV_PRODUCT_H
#define SN_BACKENDS_SPIRV_PRODUCT_H

#include "backends/spirv/sg.h"

typedef struct sg_factor {
  int slot;
  uint32_t pitch;   /* elements from row to row in the slot */
  bool turned;      /* by a flag or a transposition on the way */
  bool k_over_rows; /* the summed axis runs over rows of the slot */
  sn_kv walked;     /* load that is brought in step by step; 0: the slot holds all of it */
  sg_window w;      /* of that load */
  int r, c;         /* of one step of it */
} sg_factor;

/* side 0, 1: the first, the second factor; step: of k, for those that are walked */
sg_factor sg_factor_of(sg *g, sn_kv mma, int side, uint32_t step);
/* Steps k0.. of a walked factor -> its slot. */
void sg_factor_bring(sg *g, const sg_factor *f, spv_id k0);
/* At the head of a loop: the round before has read the slot. */
void sg_factor_was_read(sg *g, const sg_factor *f);
void sg_matrices(sg *g, sn_kv mma); /* by cooperative matrices */

#endif
