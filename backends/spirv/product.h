/* What both ways to multiply share: where the factors of a product lie, and how they get there. */
#ifndef SN_BACKENDS_SPIRV_PRODUCT_H
#define SN_BACKENDS_SPIRV_PRODUCT_H

#include "backends/spirv/sg.h"

typedef struct sg_factor {
  int slot;
  uint32_t pitch;   /* elements from row to row in the slot, of quads: words */
  bool turned;      /* by a flag or a transposition on the way */
  bool k_over_rows; /* the summed axis runs over rows of the slot */
  sn_kv walked;     /* load that is brought in step by step; 0: the slot holds all of it */
  sg_window w;      /* of that load */
  int r, c;         /* of one step of it */
  /* Factors that are brought in as quads, one round ahead: */
  uint32_t packed;   /* elements of a quad: 4, or for matrices those of 16 bytes; 0: not as quads */
  uint32_t turns;    /* quads of an invocation in one round */
  uint32_t exchange; /* by which the quads of a row are: sg_quad_exchange */
  bool ends;         /* elements beyond the last step of k are not read, by a limit of the window */
  spv_id row[SG_TURNS], col[SG_TURNS], place[SG_TURNS], part[SG_TURNS]; /* part: is there such a quad? 0: surely */
} sg_factor;

/* side 0, 1: the first, the second factor; step: of k, for those that are walked */
sg_factor sg_factor_of(sg *g, sn_kv mma, int side, uint32_t step);
/* Steps k0.. of a walked factor -> its slot. */
void sg_factor_bring(sg *g, const sg_factor *f, spv_id k0);
/* Quads: steps k0.. of the factor from memory to registers, `turns` times four words; registers to the slot. */
void sg_factor_begin(sg *g, sg_factor *f);
spv_id sg_factor_place(sg *g, const sg_factor *f, spv_id row, spv_id word); /* the word in its slot: u32 */
void sg_factor_fetch(sg *g, const sg_factor *f, spv_id k0, spv_id *words);
void sg_factor_put(sg *g, const sg_factor *f, const spv_id *words);
/* A walk over k of two such factors: rounds of `step` to `limit`. */
typedef struct sg_walk {
  sg_factor *f[2];
  uint32_t step, depth;
  spv_id limit;
  spv_loop loop;
  spv_id words[2][4 * SG_TURNS]; /* of the round to come */
  spv_carry carry[2][4 * SG_TURNS];
  uint64_t *read, *written; /* before the loop: there may be no round */
} sg_walk;
void sg_walk_begin(sg *g, sg_walk *w); /* opens the loop: more may be carried */
void sg_walk_body(sg *g, sg_walk *w);  /* both factors are there, the next round is on its way */
void sg_walk_next(sg *g, sg_walk *w);  /* after the body; what else is carried is yielded after it */
void sg_walk_end(sg *g, sg_walk *w);
/* At the head of a loop: the round before has read the slot. */
void sg_factor_was_read(sg *g, const sg_factor *f);
void sg_matrices(sg *g, sn_kv mma); /* by cooperative matrices */

#endif
