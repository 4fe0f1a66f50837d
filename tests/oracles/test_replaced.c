/* Replaced-token detection against the joint law of texts, hidden places and draws. */
#include "tests/oracles/harness.h"

#include <math.h>

#include "tests/oracles/replaced.h"

enum { N = 4, V = 3, TEXTS = 81 };

static void text_of(int number, int *x) {
  for (int t = 0; t < N; t++, number /= V) x[t] = number % V;
}

/* A generator that is not the best one: half of it is uniform. */
static void half_best(const void *user, int n, const int *tokens, int t, double *out) {
  replaced_best(user, n, tokens, t, out);
  for (int w = 0; w < V; w++) out[w] = 0.5 * out[w] + 0.5 / V;
}

static void check(const hmm *h, replaced_places places, replaced_generator *generator) {
  for (int shown_number = 0; shown_number < TEXTS; shown_number += 5) {
    int shown[N], x[N];
    double found[N], replaced[N] = {0}, all = 0;
    text_of(shown_number, shown);
    for (int number = 0; number < TEXTS; number++) {
      text_of(number, x);
      double prior = exp(hmm_filter(h, N, x, NULL, NULL));
      for (int set = 0; set < 1 << N; set++) {
        int seen[N];
        int many = (set & 1) + (set >> 1 & 1) + (set >> 2 & 1) + (set >> 3 & 1);
        double p = places.many && many != places.many ? 0 : prior, law[V], rate = places.many ? .5 : places.rate;
        for (int t = 0; t < N; t++) seen[t] = set >> t & 1 ? HMM_HIDDEN : x[t];
        for (int t = 0; t < N; t++) {
          if (set >> t & 1) generator(h, N, seen, t, law);
          p *= set >> t & 1 ? rate * law[shown[t]] : x[t] == shown[t] ? 1 - rate : 0;
        }
        all += p;
        for (int t = 0; t < N; t++) replaced[t] += x[t] != shown[t] ? p : 0;
      }
    }
    replaced_posterior(h, places, generator, h, N, shown, found);
    for (int t = 0; t < N; t++) assert_near(found[t], replaced[t] / all, 1e-12);
  }
}

static void posteriors_are_enumeration(void **state) {
  (void)state;
  hmm h = hmm_make(3, 3, V, 0.2);
  check(&h, (replaced_places){.rate = 0.3}, half_best);
  check(&h, (replaced_places){.rate = 0.15}, replaced_best);
  check(&h, (replaced_places){.many = 2}, half_best);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(posteriors_are_enumeration)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
