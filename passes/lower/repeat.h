/* Lowering of equal nodes: layers have fused nodes with one body whose operands and results lie alike, and what the
 * first of them became is repeated for the others with their slots. Nothing is decided here: the kernels that are not
 * written again would have been found to be equal. */
#ifndef SN_PASSES_LOWER_REPEAT_H
#define SN_PASSES_LOWER_REPEAT_H

#include "passes/lower/internal.h"

/* By what a schedule writer sees of a node: its steps. owns: the arena of the map. */
typedef struct sn_repeat {
  sn_arena *arena;
  sn_map *known;
} sn_repeat;

void sn_repeat_begin(sn_repeat *r, sn_arena *arena);
/* Lowers the node of c, as sn_lower_scheduled does.   errors: its */
SN_MUST sn_code sn_repeat_lower(sn_repeat *r, sn_lower_ctx *c);

#endif
