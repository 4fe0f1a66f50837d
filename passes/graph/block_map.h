/* Which blocks of scores a mask lets nothing, something or everything through to, computed by the graph itself. */
#ifndef SN_PASSES_GRAPH_BLOCK_MAP_H
#define SN_PASSES_GRAPH_BLOCK_MAP_H

#include "ir/ops/ops.h"

/* The map of an attention or attention_grad node: i32 [B or 1, H or 1, ceil(T / bq), ceil(S / bk)]; 0: no key of the
 * block is seen by a query of it; 2: every key of the block exists and is seen by every query; 1: anything. It is 1 for
 * all batch rows or heads where the mask does not depend on them.
 *   needs: sn_block_map_fits */
typedef struct sn_block_map_of {
  const sn_node *n;
  const sn_type *q, *k; /* of its queries and keys */
  const sn_val *arg;    /* its operands in b->func; captures and the start are read */
  int bq, bk;           /* queries and keys of a block */
  const bool *unknown;  /* by operand: nothing is known of what it holds; NULL: all is */
} sn_block_map_of;
sn_val sn_block_map(sn_build *b, const sn_block_map_of *of);
/* Does the mask depend on what captured tensors hold, or on the start? operand: NULL, or by number, set to whether it
 * does on that operand of n. */
bool sn_block_map_reads(const sn_node *n, bool *operand);
/* Is the mask made of ops that can be computed on tensors, and of captured tensors as they are? arg: operands in f. */
bool sn_block_map_fits(const sn_func *f, const sn_node *n, const sn_val *arg);

#endif
