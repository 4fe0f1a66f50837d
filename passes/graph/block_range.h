/* Interval arithmetic on pairs of tensors: the nodes that make the pair of a result of the pairs of its operands. */
#ifndef SN_PASSES_GRAPH_BLOCK_RANGE_H
#define SN_PASSES_GRAPH_BLOCK_RANGE_H

#include "ir/ops/ops.h"

typedef struct sn_range {
  sn_val lo, hi; /* of a bool: must be true, may be true. 0: may be anything */
} sn_range;

sn_range sn_range_swapped(sn_range x);
/* The op on both ends, of one or two operands: for what is monotone. */
sn_range sn_range_map(sn_build *b, sn_op op, sn_range x);
sn_range sn_range_each_end(sn_build *b, sn_op op, sn_range x, sn_range y);
/* NEG, ABS, ADD, SUB, MUL of what does not wrap. y: of two operands */
sn_range sn_range_exact(sn_build *b, sn_op op, sn_range x, sn_range y);
sn_range sn_range_floats(sn_build *b, sn_range x);
/* The range, or all numbers of i32 where floats, the same computed without wrapping, come near its limits. */
sn_range sn_range_unless_wrapped(sn_build *b, sn_range x, sn_range floats);
/* x mod m by the pair of m, a positive constant: within one period the remainders of the ends, else all remainders. */
sn_range sn_range_mod(sn_build *b, sn_range x, sn_range by, double m);
/* x == y of bools */
sn_range sn_range_same(sn_build *b, sn_range x, sn_range y);
sn_range sn_range_compare(sn_build *b, sn_op op, sn_range x, sn_range y); /* LT, LE, EQ, NE */
sn_range sn_range_select(sn_build *b, sn_range c, sn_range x, sn_range y);
sn_range sn_range_cast(sn_build *b, sn_range x, sn_elem to);

#endif
