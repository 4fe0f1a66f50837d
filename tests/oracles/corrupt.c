/* Judges of corrupted texts, by counting the ways they can have come about. */
#include "tests/oracles/corrupt.h"

#include <assert.h>
#include <math.h>
#include <string.h>

double corrupt_deletions(int n, const int *x, int m, const int *y) {
  double ways[CORRUPT_LENGTH + 1] = {1}; /* of making y[0..j) from x[0..i) */
  assert(m <= CORRUPT_LENGTH);
  for (int i = 0; i < n; i++) {
    for (int j = m; j > 0; j--) ways[j] += x[i] == y[j - 1] ? ways[j - 1] : 0;
  }
  return ways[m];
}

/* kept[i]: ways after some of y, with i tokens of x used. A mask may use any number of them. */
double corrupt_infills(int n, const int *x, int m, const int *y, int mask, int budget) {
  double ways[CORRUPT_LENGTH + 1] = {1};
  int kept = 0;
  assert(n <= CORRUPT_LENGTH);
  for (int j = 0; j < m; j++) {
    if (y[j] == mask) {
      for (int i = 1; i <= n; i++) ways[i] += ways[i - 1];
    } else {
      kept++;
      for (int i = n; i > 0; i--) ways[i] = x[i - 1] == y[j] ? ways[i - 1] : 0;
      ways[0] = 0;
    }
  }
  return kept + budget == n ? ways[n] : 0;
}

bool corrupt_is_reordered(int n, const int *x, const int *y) {
  for (int i = 0; i < n; i++) {
    int balance = 0;
    for (int k = 0; k < n; k++) balance += (x[k] == y[i]) - (y[k] == y[i]);
    if (balance) return false;
  }
  return true;
}

int corrupt_rotation(int n, const int *x, const int *y) {
  for (int u = 0; u < n; u++) {
    int same = 0;
    while (same < n && y[same] == x[(u + same) % n]) same++;
    if (same == n) return u;
  }
  return -1;
}

int corrupt_order_number(int n, const int *order) {
  int number = 0;
  for (int i = 0; i < n; i++) {
    int smaller = 0;
    if (order[i] < 0 || order[i] >= n) return -1;
    for (int k = i + 1; k < n; k++) {
      if (order[k] == order[i]) return -1;
      smaller += order[k] < order[i];
    }
    number = number * (n - i) + smaller;
  }
  return number;
}

/* Which sentinel a token is; -1: none. */
static int sentinel(const corrupt_sentinels *s, int token) {
  int k = (token - s->first) / s->step;
  return k >= 0 && k < s->many && s->first + s->step * k == token ? k : -1;
}

int corrupt_unsentinel(const corrupt_sentinels *s, int n_source, const int *source, int n_target, const int *target,
                       int room, int *out) {
  int at = 0, spans = 0, n = 0;
  for (int i = 0; i < n_source; i++) {
    int k = sentinel(s, source[i]);
    if (k < 0) {
      if (n == room) return -1;
      out[n++] = source[i];
      continue;
    }
    if (k != spans++ || at >= n_target || target[at++] != source[i]) return -1;
    if (i + 1 < n_source && sentinel(s, source[i + 1]) >= 0) return -1;
    int before = n;
    while (at < n_target && sentinel(s, target[at]) < 0) {
      if (n == room) return -1;
      out[n++] = target[at++];
    }
    if (n == before) return -1;
  }
  return at == n_target - 1 && sentinel(s, target[at]) == spans ? n : -1;
}

void corrupt_poisson(double mean, int many, double *out) {
  double p = exp(-mean), left = 1;
  for (int k = 0; k < many; k++) {
    out[k] = p;
    left -= p;
    p *= mean / (k + 1);
  }
  out[many] = left;
}

/* reached[b]: expected number of spans drawn when b tokens are spoken for. Empty spans leave b where it is. */
double corrupt_spans(double mean, int budget, double *out) {
  double p[CORRUPT_LENGTH + 1], reached[CORRUPT_LENGTH + 1] = {0}, all = 0;
  assert(budget < CORRUPT_LENGTH);
  corrupt_poisson(mean, CORRUPT_LENGTH, p);
  reached[0] = budget > 0;
  for (int k = 0; k <= budget; k++) out[k] = 0;
  for (int b = 0; b < budget; b++) {
    reached[b] /= 1 - p[0];
    all += reached[b];
    double longer = 1;
    for (int k = 0; k < budget - b; k++) {
      out[k] += reached[b] * p[k];
      longer -= p[k];
      if (k > 0) reached[b + k] += reached[b] * p[k];
    }
    out[budget - b] += reached[b] * longer;
  }
  return all;
}

int corrupt_chosen(int n, double rate, int most) {
  int many = (int)floor(rate * n + 0.5);
  if (many < 1) many = 1;
  return many < most ? many : most;
}

bool corrupt_bert_done(int n, const int *x, const bool *special, const int *shown, const bool *chosen, int many,
                       int mask, double done[3]) {
  double own[3] = {0};
  int found = 0;
  for (int t = 0; t < n; t++) {
    if (!chosen[t] && shown[t] != x[t]) return false;
    if (!chosen[t]) continue;
    if (special[t]) return false;
    own[shown[t] == mask ? 0 : shown[t] == x[t] ? 1 : 2]++;
    found++;
  }
  for (int k = 0; k < 3 && found == many; k++) done[k] += own[k];
  return found == many;
}

void corrupt_bert_sight(int symbols, double rate, int shown, bool target, double *out) {
  for (int w = 0; w < symbols; w++) {
    double chosen = shown < 0 ? 0.8 : 0.1 / symbols + 0.1 * (w == shown);
    double left = shown >= 0 && w == shown;
    out[w] = target ? chosen : rate * chosen + (1 - rate) * left;
  }
}
