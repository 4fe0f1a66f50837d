/* BERT by its definition, in doubles: what bert.arch is held to. A small one, on a batch with padding. */
#ifndef SINTER_MODELS_RECIPES_BERT_DEFINITION_H
#define SINTER_MODELS_RECIPES_BERT_DEFINITION_H

#include "models/recipes/weights.h"
#include "tests/oracles/layers.h"

/* Sequences, tokens, slots, vocabulary, width; columns with padding. */
enum { B = 3, T = 10, K = 2, V = 40, D = 32, LAYERS = 2, HEADS = 4, SPARE = 6, WIDE = T + SPARE };

typedef struct bert_batch {
  int32_t tokens[B][WIDE], segments[B][WIDE], place[B][WIDE], length[B], slots[B][K], labels[B][K], label[B];
  float weight[B][K];
} bert_batch;

/* data: a batch of `columns` columns, a port for each field. */
typedef struct bert_given {
  bert_batch x;
  int columns;
} bert_given;

/* The same tokens, however many columns. */
bert_batch bert_batch_of(uint64_t seed, int columns);
feed bert_feed(const bert_given *g);
/* The columns that there are, one sequence after another. */
void bert_columns(const bert_given *g, const int32_t from[B][WIDE], void *to);

typedef struct bert_oracle {
  weights w;
  const bert_batch *x;
  layers_placement placement;
  layers_curve curve;
} bert_oracle;

/* Of the net's parameters, which are moved first: biases and norms, too, are no longer 0 and 1. */
bert_oracle bert_oracle_of(recipe *r, net *n, const bert_batch *x);
/* out [T][D]: rows of the encoder of sequence b. */
void bert_oracle_rows(const bert_oracle *o, int b, double *out);
/* Of hidden tokens and next sentences; user: the oracle. */
double bert_oracle_loss(void *user);

#endif
