/* Private to passes/graph: forms of a loss over a large vocabulary. */
#ifndef SN_PASSES_GRAPH_CHUNK_H
#define SN_PASSES_GRAPH_CHUNK_H

#include "passes/graph/rewrite.h"

/* The rows of a cross entropy of a product, made without logits. derived: the gradient by the rows of the product is
 * wanted too.  -> NULL and *out, or why that cannot be */
const char *sn_chunk_fused(sn_build *b, const sn_pass_env *env, bool derived, const sn_node *n, const sn_val *arg,
                           sn_val *out);

#endif
