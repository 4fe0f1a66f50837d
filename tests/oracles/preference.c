/* Bradley-Terry and Plackett-Luce. */
#include "tests/oracles/preference.h"

#include <assert.h>
#include <math.h>

#include "tests/oracles/draws.h"

enum { RANKING = 0x707201 };

double preference_wins(double a, double b) { return 1 / (1 + exp(b - a)); }

void preference_rank(uint64_t seed, uint64_t index, int n, const double *utility, int *order) {
  double weight[PREFERENCE_ITEMS];
  assert(n <= PREFERENCE_ITEMS);
  draws d = draws_of(seed, RANKING, index);
  for (int i = 0; i < n; i++) weight[i] = exp(utility[i]);
  for (int i = 0; i < n; i++) {
    order[i] = draws_pick(&d, n, weight);
    weight[order[i]] = 0;
  }
}

double preference_law(int n, const double *utility, const int *order) {
  double p = 1;
  for (int i = 0; i < n; i++) {
    double left = 0;
    for (int k = i; k < n; k++) left += exp(utility[order[k]] - utility[order[i]]);
    p /= left;
  }
  return p;
}

/* Whether every item reaches every other one by wins: else some utilities go apart without end. */
static bool is_connected(int n, const double *wins) {
  bool reach[PREFERENCE_ITEMS][PREFERENCE_ITEMS];
  for (int i = 0; i < n * n; i++) reach[i / n][i % n] = i / n == i % n || wins[i] > 0;
  for (int k = 0; k < n; k++) {
    for (int i = 0; i < n * n; i++) reach[i / n][i % n] |= reach[i / n][k] && reach[k][i % n];
  }
  for (int i = 0; i < n * n; i++) {
    if (!reach[i / n][i % n]) return false;
  }
  return true;
}

bool preference_fit(int n, const double *wins, double *utility) {
  double u[PREFERENCE_ITEMS], change = 1;
  assert(n <= PREFERENCE_ITEMS);
  if (!is_connected(n, wins)) return false;
  for (int i = 0; i < n; i++) u[i] = 1;
  for (int round = 0; round < 1000000 && change > 1e-15; round++) {
    double later[PREFERENCE_ITEMS], mean = 0;
    for (int i = 0; i < n; i++) {
      double won = 0, met = 0;
      for (int j = 0; j < n; j++) {
        if (i == j) continue;
        won += wins[i * n + j];
        met += (wins[i * n + j] + wins[j * n + i]) / (u[i] + u[j]);
      }
      later[i] = log(won / met);
      mean += later[i] / n;
    }
    change = 0;
    for (int i = 0; i < n; i++) {
      double now = exp(later[i] - mean);
      change = fmax(change, fabs(now / u[i] - 1));
      u[i] = now;
    }
  }
  for (int i = 0; i < n; i++) utility[i] = log(u[i]);
  return true;
}

double preference_accuracy(int n, const double *utility) {
  double sum = 0;
  for (int i = 0; i < n; i++) {
    for (int j = 0; j < i; j++) {
      double p = preference_wins(utility[i], utility[j]);
      sum += p > 0.5 ? p : 1 - p;
    }
  }
  return sum / (n * (n - 1) / 2.0);
}
