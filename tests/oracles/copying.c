/* D4: copy at a lag, selective copy, running majority, the word problem of S3, the adding problem. */
#include "tests/oracles/copying.h"

#include <assert.h>

#include "tests/oracles/draws.h"

enum { LAG = 0x637001, SELECTIVE = 0x637002, MAJORITY = 0x637003, SWAPS = 0x637004, ADDING = 0x637005 };

void lag_sample(uint64_t seed, uint64_t index, int symbols, int lag, int length, int *tokens, int *answers) {
  draws d = draws_of(seed, LAG, index);
  for (int t = 0; t < length; t++) {
    tokens[t] = draws_below(&d, symbols);
    answers[t] = t >= lag ? tokens[t - lag] : -1;
  }
}

void selective_sample(uint64_t seed, uint64_t index, int values, int content, int length, int *tokens, int *answers) {
  int text = length - content, left = content, asked = text;
  assert(text >= content);
  draws d = draws_of(seed, SELECTIVE, index);
  for (int t = 0; t < length; t++) {
    tokens[t] = t < text ? 0 : 1;
    answers[t] = -1;
  }
  for (int t = 0; t < text; t++) { /* a place is taken with probability left / places left: all sets are alike */
    if (draws_below(&d, text - t) >= left) continue;
    int value = draws_below(&d, values);
    tokens[t] = 2 + value;
    answers[asked++] = value;
    left--;
  }
}

void majority_sample(uint64_t seed, uint64_t index, int window, int length, int *tokens, int *answers) {
  draws d = draws_of(seed, MAJORITY, index);
  int ones = 0;
  for (int t = 0; t < length; t++) {
    tokens[t] = draws_below(&d, 2);
    ones += tokens[t] - (t >= window ? tokens[t - window] : 0);
    answers[t] = t >= window - 1 ? 2 * ones > window : -1;
  }
}

double majority_chance(int window) {
  double term = 1, more = 0; /* terms of the binomial law of (1/2, window) */
  for (int i = 0; i < window; i++) term /= 2;
  for (int k = 0; k <= window; k++) {
    if (2 * k > window) more += term;
    term *= (double)(window - k) / (k + 1);
  }
  return more > 0.5 ? more : 1 - more;
}

/* Orders of three things, by what stands first, second and third. */
static const int order_of[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

int s3_step(int order, int token) {
  static const int swapped[3][2] = {{0, 1}, {0, 2}, {1, 2}};
  int now[3];
  for (int i = 0; i < 3; i++) now[i] = order_of[order][i];
  int a = swapped[token][0], b = swapped[token][1], kept = now[a];
  now[a] = now[b];
  now[b] = kept;
  int o = 0;
  while (o < 5 && (order_of[o][0] != now[0] || order_of[o][1] != now[1])) o++;
  return o;
}

void s3_sample(uint64_t seed, uint64_t index, int length, int *tokens, int *answers) {
  draws d = draws_of(seed, SWAPS, index);
  int order = 0;
  for (int t = 0; t < length; t++) {
    tokens[t] = draws_below(&d, 3);
    answers[t] = order = s3_step(order, tokens[t]);
  }
}

double adding_sample(uint64_t seed, uint64_t index, int length, double *value, double *mark) {
  assert(length >= 2);
  draws d = draws_of(seed, ADDING, index);
  for (int t = 0; t < length; t++) {
    value[t] = draws_unit(&d);
    mark[t] = 0;
  }
  int half = length / 2, early = draws_below(&d, half), late = half + draws_below(&d, length - half);
  mark[early] = mark[late] = 1;
  return value[early] + value[late];
}
