/* Random graphs: valid by construction, of every op of the table, with tame values. One seed, one graph. */
#ifndef SN_IR_REF_GRANDOM_H
#define SN_IR_REF_GRANDOM_H

#include "ir/graph/graph.h"

/* B and T; integer inputs are below the limit */
enum { SN_GRANDOM_SYMBOLS = 2, SN_GRANDOM_INT_LIMIT = 40, SN_GRANDOM_BLOCK = 2048 };

typedef struct sn_grandom {
  sn_module *module;                /* one graph "g" and the bodies that it needs */
  int64_t dims[SN_GRANDOM_SYMBOLS]; /* values of the symbols */
  int ops;                          /* nodes that are not leaves */
  bool grad;                        /* has a grad node */
} sn_grandom;

/* Pairs of ops: a result of one is an operand of the other. */
typedef struct sn_gpairs {
  bool possible[SN_OP_COUNT][SN_OP_COUNT]; /* [producer][consumer] */
  bool seen[SN_OP_COUNT][SN_OP_COUNT];
  int possible_count, seen_count; /* seen_count: of the possible ones */
  /* Of the generator: seed that comes next, what the seeds before it in its block met and aimed at. */
  uint64_t next;
  bool met[SN_OP_COUNT][SN_OP_COUNT];
  unsigned char aimed[SN_OP_COUNT][SN_OP_COUNT];
} sn_gpairs;

/* Which pairs are possible: those where the type rule of the consumer accepts, for one of its operands, an element type
 * and a rank (none, or some) that the type rule of the producer gives, as samples of both show. owns: arena */
sn_gpairs *sn_gpairs_create(sn_arena *arena);
/* Adds the edges of every graph and body of a module to what was seen. */
void sn_gpairs_add(sn_gpairs *p, const sn_module *m);

/* The graph of a seed. Seeds come in blocks of SN_GRANDOM_BLOCK; every seed aims at possible pairs of ops that the ones
 * before it in its block have not met, and tries to connect them. (One seed is one graph, whatever was made before: the
 * block is made again up to it if need be.) An op that the generator does not know is used as its sample says
 * (ir/ops/sample.h).
 * errors: those of building, which would be a mistake of the generator, of a sample or of a type rule. */
SN_MUST sn_code sn_grandom_make(sn_gpairs *pairs, uint64_t seed, sn_arena *arena, sn_diags *diags, sn_grandom *out);

#endif
