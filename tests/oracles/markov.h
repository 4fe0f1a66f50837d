/* D1: chains of order k. What a token is drawn from depends on the k tokens before it; rows are Dirichlet(0.3).
 * Oracle: the entropy rate, and the best prediction of each token. */
#ifndef ORACLES_MARKOV_H
#define ORACLES_MARKOV_H

#include <stdbool.h>
#include <stdint.h>

/* A context is the number whose digits to the base `symbols` are its tokens, the oldest first. */
typedef struct markov {
  int order;     /* tokens that the next one depends on */
  int symbols;   /* tokens are 0 .. symbols - 1 */
  int contexts;  /* symbols to the power of order */
  double *next;  /* [contexts][symbols], probabilities */
  double *often; /* [contexts], stationary probabilities */
} markov;

/* A random chain; false if memory runs out or symbols^order exceeds 2^20. owns: markov_destroy */
bool markov_create(markov *out, uint64_t seed, int order, int symbols);
void markov_destroy(markov *m);

/* tokens [n], from the stationary distribution on. */
void markov_sample(const markov *m, uint64_t seed, uint64_t index, int n, int *tokens);

/* out [symbols]: p(next token | past [n]), also for n below the order. */
void markov_predict(const markov *m, int n, const int *past, double *out);

/* loss [n]: -log p(token t | tokens before it), nats. */
void markov_loss(const markov *m, int n, const int *tokens, double *loss);

/* Mean loss per token that no model of the future can be below, nats: -sum_c often(c) sum_w p(w|c) log p(w|c). */
double markov_entropy(const markov *m);

/* The same for models that see only the last `seen` tokens, seen <= order: H(x_t | x_t-seen .. x_t-1). */
double markov_entropy_seen(const markov *m, int seen);

#endif
