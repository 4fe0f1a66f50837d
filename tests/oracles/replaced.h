/* Replaced-token detection (ELECTRA) on D2: a generator fills hidden places, a discriminator says which tokens are not
 * the original ones. Oracle: the exact probability of that, by summing over every set of places that may have been
 * hidden. */
#ifndef ORACLES_REPLACED_H
#define ORACLES_REPLACED_H

#include "tests/oracles/hmm.h"

enum { REPLACED_LENGTH = 12 };

/* What the generator draws from: out [symbols] for place t, of tokens [n] some of which are HMM_HIDDEN. */
typedef void replaced_generator(const void *user, int n, const int *tokens, int t, double *out);

/* The best generator: the exact law of one hidden token given those that are not; user is the hmm. */
void replaced_best(const void *user, int n, const int *tokens, int t, double *out);

/* Which places are hidden: each with probability `rate`, independently; or just `many` of them, all sets alike. */
typedef struct replaced_places {
  double rate;
  int many; /* 0: by rate */
} replaced_places;

/* Hidden places are filled by the generator, independently of each other.
 * out [n]: p(shown[t] differs from the original | shown). A draw that equals the original counts as original.
 * needs: n <= REPLACED_LENGTH */
void replaced_posterior(const hmm *h, replaced_places places, replaced_generator *generator, const void *user, int n,
                        const int *shown, double *out);

#endif
