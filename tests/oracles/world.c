/* D7: all texts of a small world, their laws under a policy, and the optimum of rewards with a KL penalty. */
#include "tests/oracles/world.h"

#include <assert.h>
#include <math.h>

#include "tests/oracles/draws.h"

enum { POLICY = 0x776f01, REWARD = 0x776f02 };

/* Texts of n tokens that are not the end. */
static int texts(const world *w, int n) {
  int many = 1;
  while (n-- > 0) many *= w->symbols - 1;
  return many;
}

int world_prefixes(const world *w) {
  int all = 0;
  for (int n = 0; n < w->length; n++) all += texts(w, n);
  return all;
}

int world_prefix(const world *w, int n, const int *tokens) {
  int number = 0, before = 0;
  for (int i = 0; i < n; i++) {
    assert(tokens[i] != WORLD_END);
    number = number * (w->symbols - 1) + tokens[i] - 1;
    before += texts(w, i);
  }
  return before + number;
}

int world_responses(const world *w) { return world_prefixes(w) + texts(w, w->length); }

int world_response(const world *w, int number, int *tokens) {
  int n = 0;
  while (n < w->length && number >= texts(w, n)) number -= texts(w, n++);
  for (int i = n - 1; i >= 0; i--, number /= w->symbols - 1) tokens[i] = 1 + number % (w->symbols - 1);
  if (n < w->length) tokens[n++] = WORLD_END;
  return n;
}

int world_number(const world *w, int n, const int *tokens) {
  return world_prefix(w, n > 0 && tokens[n - 1] == WORLD_END ? n - 1 : n, tokens);
}

void world_policy(const world *w, uint64_t seed, int prompt, double sharpness, world_table out) {
  assert(w->symbols <= WORLD_SYMBOLS && w->length <= WORLD_LENGTH);
  draws d = draws_of(seed, POLICY, (uint64_t)prompt);
  for (int k = 0; k < world_prefixes(w); k++) {
    double sum = 0;
    for (int x = 0; x < w->symbols; x++) sum += out[k][x] = exp(sharpness * draws_normal(&d));
    for (int x = 0; x < w->symbols; x++) out[k][x] /= sum;
  }
}

double world_log_probability(const world *w, const world_table policy, int n, const int *tokens) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += log(policy[world_prefix(w, i, tokens)][tokens[i]]);
  return sum;
}

void world_law(const world *w, const world_table policy, double *out) {
  for (int k = 0; k < world_responses(w); k++) {
    int tokens[WORLD_LENGTH], n = world_response(w, k, tokens);
    out[k] = exp(world_log_probability(w, policy, n, tokens));
  }
}

void world_reward(const world *w, uint64_t seed, int prompt, double *out) {
  draws d = draws_of(seed, REWARD, (uint64_t)prompt);
  for (int k = 0; k < world_responses(w); k++) out[k] = draws_normal(&d);
}

double world_objective(int n, const double *law, const double *reference, const double *reward, double beta) {
  double sum = 0;
  for (int k = 0; k < n; k++) {
    if (law[k] > 0) sum += law[k] * (reward[k] - beta * log(law[k] / reference[k]));
  }
  return sum;
}

double world_optimum(int n, const double *reference, const double *reward, double beta, double *out) {
  double most = -INFINITY, sum = 0;
  for (int k = 0; k < n; k++) most = fmax(most, reward[k]);
  for (int k = 0; k < n; k++) sum += out[k] = reference[k] * exp((reward[k] - most) / beta);
  for (int k = 0; k < n; k++) out[k] /= sum;
  return most + beta * log(sum);
}

/* dJ = sum p (r - beta log(p / q)) d log p - beta sum p d log p; the last sum is 0, and so is J times it: the mean is
 * taken off. */
void world_gradient(int n, const double *law, const double *reference, const double *reward, double beta, double *out) {
  double mean = world_objective(n, law, reference, reward, beta);
  for (int k = 0; k < n; k++) {
    out[k] = law[k] > 0 ? law[k] * (reward[k] - beta * log(law[k] / reference[k]) - mean) : 0;
  }
}
