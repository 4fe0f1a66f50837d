/* Replaced-token detection on D2, over all sets of hidden places. */
#include "tests/oracles/replaced.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

void replaced_best(const void *user, int n, const int *tokens, int t, double *out) {
  const hmm *h = user;
  double sight[REPLACED_LENGTH * HMM_SYMBOLS], token[REPLACED_LENGTH * HMM_SYMBOLS];
  hmm_sight(h, n, tokens, sight);
  hmm_smooth(h, n, sight, token, NULL);
  for (int w = 0; w < h->symbols; w++) out[w] = token[t * h->symbols + w];
}

/* Of a set of hidden places, up to a factor. */
static double set_prior(replaced_places places, int n, int set) {
  double p = 1;
  int many = 0;
  for (int t = 0; t < n; t++) p *= set >> t & 1 ? places.rate : 1 - places.rate, many += set >> t & 1;
  return places.many ? many == places.many : p;
}

/* Of a set of hidden places, what is shown elsewhere is original, and says all there is to know of the hidden ones:
 * p(set, shown) = p(set) p(shown elsewhere) prod p_G(shown there | elsewhere). */
void replaced_posterior(const hmm *h, replaced_places places, replaced_generator *generator, const void *user, int n,
                        const int *shown, double *out) {
  double all = 0, sight[REPLACED_LENGTH * HMM_SYMBOLS], token[REPLACED_LENGTH * HMM_SYMBOLS];
  assert(n > 0 && n <= REPLACED_LENGTH);
  for (int t = 0; t < n; t++) out[t] = 0;
  for (int set = 0; set < 1 << n; set++) {
    int seen[REPLACED_LENGTH] = {0};
    double prior = set_prior(places, n, set);
    if (prior == 0) continue;
    for (int t = 0; t < n; t++) seen[t] = set >> t & 1 ? HMM_HIDDEN : shown[t];
    hmm_sight(h, n, seen, sight);
    double p = prior * exp(hmm_smooth(h, n, sight, token, NULL)), drawn[HMM_SYMBOLS];
    for (int t = 0; t < n; t++) {
      if (!(set >> t & 1)) continue;
      generator(user, n, seen, t, drawn);
      p *= drawn[shown[t]];
    }
    all += p;
    for (int t = 0; t < n; t++) out[t] += set >> t & 1 ? p * (1 - token[t * h->symbols + shown[t]]) : 0;
  }
  for (int t = 0; t < n; t++) out[t] /= all;
}
