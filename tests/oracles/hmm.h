/* D2: hidden Markov models, the yardstick of language models. The next state depends on the state, a token on its
 * state. Oracle: the exact distribution of any token given any evidence about the others, by forward-backward: the loss
 * that no causal, prefix, masked, permuted or denoising model can be below, and the distribution of the hidden state
 * for classifiers.
 *
 * Evidence is said by sight [n][symbols]: sight[t][w] = p(what is seen at t | token t is w), up to a factor of t. A
 * token that is seen has 1 at itself and 0 elsewhere, a hidden one has 1 everywhere, one seen through noise its row of
 * the noise. */
#ifndef ORACLES_HMM_H
#define ORACLES_HMM_H

#include <stdint.h>

enum { HMM_STATES = 8, HMM_SYMBOLS = 16, HMM_LENGTH = 1024 /* limits */, HMM_HIDDEN = -1 /* as a token */ };

typedef struct hmm {
  int states, symbols;
  double start[HMM_STATES];             /* stationary: p(s) at any place of the text */
  double step[HMM_STATES][HMM_STATES];  /* p(next state | state) */
  double emit[HMM_STATES][HMM_SYMBOLS]; /* p(token | state) */
} hmm;

/* A random model: rows are Dirichlet(0.3); a state stays with probability `stay` before that (0: as drawn; near 1: a
 * slow state, for tasks that need long memory). */
hmm hmm_make(uint64_t seed, int states, int symbols, double stay);

/* States that last and look alike, all as often: one stays with probability `stay`, else any other is next; tokens are
 * of a quarter of the symbols, another quarter for each state, or with probability `slip` of the rest. Symbols are in
 * groups of `twins` that no state tells apart: which of a group it is says nothing.   needs: symbols = twins 8, 12 or
 * 16 */
hmm hmm_sticky(uint64_t seed, int states, int symbols, int twins, double stay, double slip);

/* A wheel of 4 places, which states 0 to 3 turn one way and 4 to 7 the other: a place on with probability `turn`, else
 * it stays; the way changes with `flip`. A place has a quarter of the symbols, with probability `slip` another one is
 * shown. No single token says anything about the way, only their order does.   needs: symbols 8, 12 or 16 */
hmm hmm_wheel(int symbols, double turn, double flip, double slip);

/* A text of pairs: any symbol, then the same again; with probability `slip` another one is shown. One of a pair tells
 * the other, and nothing else does. It begins with a pair: `start` is not stationary.   needs: 1 < symbols <= 4 */
hmm hmm_pairs(int symbols, double slip);

/* tokens [n] and, unless NULL, states [n]. */
void hmm_sample(const hmm *h, uint64_t seed, uint64_t index, int n, int *tokens, int *states);

/* sight [n][symbols] of tokens [n], some of them HMM_HIDDEN. */
void hmm_sight(const hmm *h, int n, const int *tokens, double *sight);

/* Forward-backward. token [n][symbols]: p(x_t | all evidence); state [n][states]: p(s_t | all evidence); either may be
 * NULL. Returns log p(evidence). needs: n <= HMM_LENGTH, evidence that is possible */
double hmm_smooth(const hmm *h, int n, const double *sight, double *token, double *state);

/* Forward alone, of tokens that are all seen, of any number. token [n][symbols]: p(x_t | x_<t); state [n][states]:
 * p(s_t | x_<=t); either may be NULL. Returns log p(tokens). */
double hmm_filter(const hmm *h, int n, const int *tokens, double *token, double *state);

/* loss [n]: -log p(x_t | x_<t), nats: language models. */
void hmm_causal_loss(const hmm *h, int n, const int *tokens, double *loss);

/* The same for models that see only the last `seen` tokens. */
void hmm_window_loss(const hmm *h, int n, const int *tokens, int seen, double *loss);

/* loss [n]: -log p(x_t | tokens of smaller rank), 0 where the rank is negative (seen from the start, no target).
 * Masked models: one rank for all targets. A decoder that fills masks from the left, after a source: ranks that rise.
 * Prefix models: -1 in the prefix, then rising. Permuted models: the place in the order. needs: n <= HMM_LENGTH */
void hmm_ranked_loss(const hmm *h, int n, const int *tokens, const int *rank, double *loss);

/* Entropy rate in nats by the mean entropy of n predictions along one text, and the standard error of that (64
 * batches). */
double hmm_entropy(const hmm *h, uint64_t seed, int n, double *out_error);

/* Exact bounds of the entropy rate by enumeration of symbols^n texts: H(x_n | x_<n, s_1) <= rate <= H(x_n | x_<n). */
void hmm_entropy_bounds(const hmm *h, int n, double *out_low, double *out_high);

#endif
