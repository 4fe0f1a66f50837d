/* D7: a world so small that every text can be listed. Responses to one of `prompts` prompts are tokens up to the end
 * (token 0), or `length` tokens without it. A policy is a table of p(next token | prompt, tokens so far), so that laws,
 * expectations, optima and gradients are sums.
 *
 * A prefix of n tokens (none of them the end) has a number: prefixes in the order of their lengths, then as numbers. */
#ifndef ORACLES_WORLD_H
#define ORACLES_WORLD_H

#include <stdint.h>

enum { WORLD_SYMBOLS = 6, WORLD_LENGTH = 4, WORLD_PREFIXES = 156, WORLD_RESPONSES = 781, WORLD_END = 0 };

typedef struct world {
  int prompts; /* at least 1 */
  int symbols; /* with the end; 2 .. WORLD_SYMBOLS */
  int length;  /* of a response, the end counted; 1 .. WORLD_LENGTH */
} world;

typedef double world_table[WORLD_PREFIXES][WORLD_SYMBOLS];

int world_prefixes(const world *w);
int world_prefix(const world *w, int n, const int *tokens);

/* Responses have numbers too: the one that ends after prefix k, and behind those the ones that fill the length. */
int world_responses(const world *w);
/* tokens [length], the end included if there is one; returns how many. */
int world_response(const world *w, int number, int *tokens);
/* The number of a response; n as world_response returns it. */
int world_number(const world *w, int n, const int *tokens);

/* A random policy for one prompt: rows are softmax of normal logits times `sharpness`. */
void world_policy(const world *w, uint64_t seed, int prompt, double sharpness, world_table out);
/* out [responses]: the law of responses. */
void world_law(const world *w, const world_table policy, double *out);
double world_log_probability(const world *w, const world_table policy, int n, const int *tokens);
/* A reward that is a fixed random number of prompt and response, normal with deviation 1; out [responses]. */
void world_reward(const world *w, uint64_t seed, int prompt, double *out);

/* J = E r - beta KL(law || reference) over n responses. */
double world_objective(int n, const double *law, const double *reference, const double *reward, double beta);
/* The law that maximises it, reference * exp(reward / beta) / Z; returns its J, beta log Z. */
double world_optimum(int n, const double *reference, const double *reward, double beta, double *out);
/* out [responses]: factors f with dJ = sum_k f_k d log p_k, the exact policy gradient for any parameters behind log p.
 */
void world_gradient(int n, const double *law, const double *reference, const double *reward, double beta, double *out);

#endif
