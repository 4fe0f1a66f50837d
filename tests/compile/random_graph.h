/* Random graphs: valid by construction, of every op of the table, with tame values. One seed, one graph. */
#ifndef SN_TESTS_COMPILE_RANDOM_GRAPH_H
#define SN_TESTS_COMPILE_RANDOM_GRAPH_H

#include "ir/graph/graph.h"

enum { RANDOM_SYMBOLS = 2, RANDOM_INT_LIMIT = 40 }; /* B and T; integer inputs are below the limit */

typedef struct random_graph {
  sn_module *module;            /* one graph "g" and the bodies that it needs */
  int64_t dims[RANDOM_SYMBOLS]; /* values of the symbols */
  int ops;                      /* nodes that are not leaves */
  bool grad;                    /* has a grad node */
} random_graph;

/* The graph of a seed. Every seed also aims at two pairs of ops that it tries to connect.
 * errors: those of building, which would be a mistake of the generator or of a type rule. */
SN_MUST sn_code random_graph_make(uint64_t seed, sn_arena *arena, sn_diags *diags, random_graph *out);

/* Which ops fed which. */
typedef struct random_pairs {
  uint32_t seen[SN_OP_COUNT][SN_OP_COUNT]; /* [producer][consumer] */
} random_pairs;
/* Can the result of one op be an operand of the other, by element type and rank? */
bool random_pair_possible(sn_op producer, sn_op consumer);
/* Adds the edges of every graph and body of a module. */
void random_pairs_add(random_pairs *p, const sn_module *m);
/* Distinct possible pairs seen; *possible: how many there are. */
int random_pairs_count(const random_pairs *p, int *possible);

#endif
