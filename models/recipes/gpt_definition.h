/* GPT by its definition, in doubles: what tp.causal is held to. A small one, with biases. */
#ifndef SINTER_MODELS_RECIPES_GPT_DEFINITION_H
#define SINTER_MODELS_RECIPES_GPT_DEFINITION_H

#include "models/recipes/weights.h"
#include "tests/oracles/layers.h"

enum { GPT_ROWS = 2, GPT_LENGTH = 6, GPT_WORDS = 24, GPT_WIDTH = 8, GPT_LAYERS = 2, GPT_HEADS = 2 };

typedef struct gpt_oracle {
  weights w;
  int32_t tokens[GPT_ROWS * GPT_LENGTH], targets[GPT_ROWS * GPT_LENGTH];
  layers_placement placement;
  layers_curve curve;
  bool open; /* every token sees every other */
} gpt_oracle;

/* Of a net of that size and its parameters, which are moved first. Tokens are the caller's to fill in. */
gpt_oracle gpt_oracle_of(recipe *r, net *n);
/* out [ROWS LENGTH][WORDS] */
void gpt_oracle_logits(const gpt_oracle *o, double *out);
/* user: the oracle. */
double gpt_oracle_loss(void *user);

#endif
