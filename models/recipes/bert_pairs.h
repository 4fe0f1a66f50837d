/* Pairs that pairs.h makes of documents of D3, cut and short ones too, with hidden tokens, for bert.nsp: batches, and
 * how often the best answer is right. */
#ifndef SINTER_MODELS_RECIPES_BERT_PAIRS_H
#define SINTER_MODELS_RECIPES_BERT_PAIRS_H

#include "models/recipes/hide.h"
#include "models/recipes/recipe.h"
#include "tests/oracles/docs.h"

/* Tokens beyond those of the documents: [CLS], [SEP], [MASK]. */
typedef struct bert_pairs {
  docs d;
  hide h;
  int cls;
  const double *often; /* of each place and length of A and B, and label */
  bool same;           /* negatives are of the same document */
  bool blind;          /* rows see nothing but themselves */
  bool open;           /* nothing is hidden */
  int rows;            /* of a batch; 0: 32 */
} bert_pairs;

/* noise: of cues */
bert_pairs bert_pairs_of(recipe *r, double noise);
feed bert_pairs_feed(const bert_pairs *k);
/* Trained to guess hidden tokens and whether B follows. */
net *bert_pairs_trained(recipe *r, const char *label, const bert_pairs *k, int steps);

/* Of the pairs that recipe_mean takes: share of labels that are right if nothing is hidden; out_best: the same of the
 * likeliest label. */
double bert_pairs_told(recipe *r, net *n, const bert_pairs *k, int batches, double *out_best);

#endif
