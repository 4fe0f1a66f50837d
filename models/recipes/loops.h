/* Networks of models/ in nested loops and doubles, of the parameters of a net: what their graphs are held to. Pre-norm
 * blocks with RMSNorm and without biases: the decoder of models/positions.c, and T5. */
#ifndef SINTER_MODELS_RECIPES_LOOPS_H
#define SINTER_MODELS_RECIPES_LOOPS_H

#include "models/recipes/recipe.h"
#include "tests/oracles/layers.h"

/* models/positions.c. Positions are what of the following is given. */
typedef struct loops_decoder {
  int layers, heads, width, vocab;
  double (*bias)(int head, int heads);        /* subtracted for each token of distance */
  const double *frequency;                    /* [width / heads / 2]: queries and keys turn, and are scaled */
  double scale;                               /* by this */
  void (*row)(double at, int d, double *out); /* added to words */
  const char *rows;                           /* the parameter whose rows are added to words */
} loops_decoder;

/* -> logits [length][vocab]; NULL: the recipe failed */
const double *loops_decode(recipe *r, net *n, const loops_decoder *c, int length, const int32_t *tokens);

/* models/t5.c. bucket: of a distance, in both directions or not, as positions_bucket */
typedef struct loops_t5 {
  int layers, heads, head, width, hidden, buckets, far, vocab;
  int (*bucket)(int distance, int buckets, int far, bool both);
} loops_t5;

/* Logits in f64 beside those of nested loops, at batch 0 of a feed whose first ports are source, source_length and
 * tokens. n: with the graph "logits" */
double loops_t5_apart(recipe *r, net *n, const loops_t5 *c, const feed *f);

#endif
