/* D2: hidden Markov models, sampled, and forward-backward over any evidence. */
#include "tests/oracles/hmm.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "tests/oracles/draws.h"

enum { TABLES = 0x686d01, TEXT = 0x686d02, OWN = 0x686d03, BATCHES = 64 };

typedef double belief[HMM_STATES];

/* p(s_t) from p(s_t-1). */
static void advance(const hmm *h, const double *from, double *to) {
  belief later = {0};
  for (int a = 0; a < h->states; a++) {
    for (int b = 0; b < h->states; b++) later[b] += from[a] * h->step[a][b];
  }
  memcpy(to, later, sizeof later);
}

/* Makes the sum 1; returns the sum before. */
static double normalise(int n, double *p) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += p[i];
  assert(sum > 0);
  for (int i = 0; i < n; i++) p[i] /= sum;
  return sum;
}

hmm hmm_make(uint64_t seed, int states, int symbols, double stay) {
  assert(states > 0 && states <= HMM_STATES && symbols > 0 && symbols <= HMM_SYMBOLS);
  hmm h = {.states = states, .symbols = symbols};
  draws d = draws_of(seed, TABLES, 0);
  for (int a = 0; a < states; a++) {
    draws_dirichlet(&d, states, 0.3, h.step[a]);
    for (int b = 0; b < states; b++) h.step[a][b] = (1 - stay) * h.step[a][b] + (a == b ? stay : 0);
    draws_dirichlet(&d, symbols, 0.3, h.emit[a]);
  }
  /* Stationary distribution: powers of the lazy chain. */
  for (int a = 0; a < states; a++) h.start[a] = 1.0 / states;
  for (int round = 0; round < 1000000; round++) {
    belief later;
    advance(&h, h.start, later);
    double change = 0;
    for (int a = 0; a < states; a++) {
      later[a] = 0.5 * (later[a] + h.start[a]);
      change = fmax(change, fabs(later[a] - h.start[a]));
    }
    memcpy(h.start, later, sizeof later);
    if (change < 1e-17) break;
  }
  normalise(states, h.start);
  return h;
}

static bool is_new(const hmm *h, int state) {
  for (int a = 0; a < state; a++)
    if (!memcmp(h->emit[a], h->emit[state], sizeof h->emit[a])) return false;
  return true;
}

hmm hmm_sticky(uint64_t seed, int states, int symbols, int twins, double stay, double slip) {
  assert(states > 1 && states <= HMM_STATES && twins > 0 && symbols <= HMM_SYMBOLS);
  assert(symbols % (4 * twins) == 0 && symbols / twins >= 8); /* of 8 there are 28 quarters */
  hmm h = {.states = states, .symbols = symbols};
  draws d = draws_of(seed, OWN, 0);
  int order[HMM_SYMBOLS], groups = symbols / twins, own = symbols / 4;
  for (int i = 0; i < groups; i++) order[i] = i;
  for (int a = 0; a < states; a++) {
    h.start[a] = 1.0 / states;
    for (int b = 0; b < states; b++) h.step[a][b] = a == b ? stay : (1 - stay) / (states - 1);
    do {
      draws_shuffle(&d, groups, order);
      for (int i = 0; i < symbols; i++)
        h.emit[a][order[i / twins] * twins + i % twins] = i < own ? (1 - slip) / own : slip / (symbols - own);
    } while (!is_new(&h, a));
  }
  return h;
}

hmm hmm_wheel(int symbols, double turn, double flip, double slip) {
  assert(symbols % 4 == 0 && symbols > 4 && symbols <= HMM_SYMBOLS);
  hmm h = {.states = 8, .symbols = symbols};
  int own = symbols / 4;
  for (int a = 0; a < 8; a++) {
    int place = a % 4;
    h.start[a] = 1.0 / 8;
    for (int way = 0; way < 2; way++) {
      double goes = way == a / 4 ? 1 - flip : flip;
      h.step[a][4 * way + (place + (way ? 3 : 1)) % 4] = goes * turn;
      h.step[a][4 * way + place] = goes * (1 - turn);
    }
    for (int v = 0; v < symbols; v++) h.emit[a][v] = v / own == place ? (1 - slip) / own : slip / (symbols - own);
  }
  return h;
}

/* States below `symbols` begin pairs, the others end them. */
hmm hmm_pairs(int symbols, double slip) {
  assert(symbols > 1 && 2 * symbols <= HMM_STATES);
  hmm h = {.states = 2 * symbols, .symbols = symbols};
  for (int a = 0; a < 2 * symbols; a++) {
    h.start[a] = a < symbols ? 1. / symbols : 0;
    for (int b = 0; b < symbols; b++) {
      h.step[a][a < symbols ? b + symbols : b] = a >= symbols ? 1. / symbols : a == b;
      h.emit[a][b] = a % symbols == b ? 1 - slip : slip / (symbols - 1);
    }
  }
  return h;
}

void hmm_sample(const hmm *h, uint64_t seed, uint64_t index, int n, int *tokens, int *states) {
  draws d = draws_of(seed, TEXT, index);
  int s = 0;
  for (int t = 0; t < n; t++) {
    s = draws_pick(&d, h->states, t ? h->step[s] : h->start);
    tokens[t] = draws_pick(&d, h->symbols, h->emit[s]);
    if (states) states[t] = s;
  }
}

void hmm_sight(const hmm *h, int n, const int *tokens, double *sight) {
  for (int t = 0; t < n; t++) {
    for (int w = 0; w < h->symbols; w++) sight[t * h->symbols + w] = tokens[t] == HMM_HIDDEN || tokens[t] == w;
  }
}

/* weight[s] = p(what is seen | state s). */
static void weigh(const hmm *h, const double *sight, double *weight) {
  for (int s = 0; s < h->states; s++) {
    weight[s] = 0;
    for (int w = 0; w < h->symbols; w++) weight[s] += h->emit[s][w] * sight[w];
  }
}

/* 1. before[t] = p(s_t | evidence before t); with the evidence at t it steps on.
 * 2. after[t] ~ p(evidence after t | s_t), from the end.
 * 3. Their product with the evidence at t is the belief about s_t; token w has the share emit * sight of each state. */
double hmm_smooth(const hmm *h, int n, const double *sight, double *token, double *state) {
  assert(n <= HMM_LENGTH);
  belief before[HMM_LENGTH], weight[HMM_LENGTH], after, now;
  double log_all = 0;
  for (int t = 0; t < n; t++) {
    if (t)
      advance(h, now, before[t]);
    else
      memcpy(before[0], h->start, sizeof before[0]);
    weigh(h, sight + (ptrdiff_t)t * h->symbols, weight[t]);
    for (int s = 0; s < h->states; s++) now[s] = before[t][s] * weight[t][s];
    log_all += log(normalise(h->states, now));
  }
  for (int s = 0; s < h->states; s++) after[s] = 1;
  for (int t = n - 1; t >= 0; t--) {
    if (state) {
      for (int s = 0; s < h->states; s++) state[t * h->states + s] = before[t][s] * weight[t][s] * after[s];
      normalise(h->states, state + (ptrdiff_t)t * h->states);
    }
    if (token) {
      for (int w = 0; w < h->symbols; w++) {
        double p = 0;
        for (int s = 0; s < h->states; s++) p += before[t][s] * h->emit[s][w] * after[s];
        token[t * h->symbols + w] = p * sight[t * h->symbols + w];
      }
      normalise(h->symbols, token + (ptrdiff_t)t * h->symbols);
    }
    belief earlier = {0};
    for (int a = 0; a < h->states; a++) {
      for (int b = 0; b < h->states; b++) earlier[a] += h->step[a][b] * weight[t][b] * after[b];
    }
    normalise(h->states, earlier);
    memcpy(after, earlier, sizeof after);
  }
  return log_all;
}

/* p(x | belief about its state). */
static void foresee(const hmm *h, const double *before, double *token) {
  for (int w = 0; w < h->symbols; w++) {
    token[w] = 0;
    for (int s = 0; s < h->states; s++) token[w] += before[s] * h->emit[s][w];
  }
}

/* The belief after token x; returns p(x | what was seen before). */
static double notice(const hmm *h, double *belief_now, int x) {
  for (int s = 0; s < h->states; s++) belief_now[s] *= h->emit[s][x];
  return normalise(h->states, belief_now);
}

double hmm_filter(const hmm *h, int n, const int *tokens, double *token, double *state) {
  belief now;
  memcpy(now, h->start, sizeof now);
  double log_all = 0;
  for (int t = 0; t < n; t++) {
    if (t) advance(h, now, now);
    if (token) foresee(h, now, token + (ptrdiff_t)t * h->symbols);
    log_all += log(notice(h, now, tokens[t]));
    if (state) memcpy(state + (ptrdiff_t)t * h->states, now, (size_t)h->states * sizeof *state);
  }
  return log_all;
}

void hmm_causal_loss(const hmm *h, int n, const int *tokens, double *loss) {
  belief now;
  memcpy(now, h->start, sizeof now);
  for (int t = 0; t < n; t++) {
    if (t) advance(h, now, now);
    loss[t] = -log(notice(h, now, tokens[t]));
  }
}

void hmm_window_loss(const hmm *h, int n, const int *tokens, int seen, double *loss) {
  for (int t = 0; t < n; t++) {
    belief now; /* the start is stationary: a window begins like a text */
    memcpy(now, h->start, sizeof now);
    for (int i = t > seen ? t - seen : 0; i < t; i++) {
      notice(h, now, tokens[i]);
      advance(h, now, now);
    }
    loss[t] = -log(notice(h, now, tokens[t]));
  }
}

void hmm_ranked_loss(const hmm *h, int n, const int *tokens, const int *rank, double *loss) {
  assert(n <= HMM_LENGTH);
  double sight[HMM_LENGTH * HMM_SYMBOLS], token[HMM_LENGTH * HMM_SYMBOLS];
  int seen[HMM_LENGTH], done = -1;
  for (int t = 0; t < n; t++) loss[t] = 0;
  for (;;) { /* ranks from below */
    int next = -1;
    for (int t = 0; t < n; t++) {
      if (rank[t] > done && (next < 0 || rank[t] < next)) next = rank[t];
    }
    if (next < 0) return;
    for (int t = 0; t < n; t++) seen[t] = rank[t] < next ? tokens[t] : HMM_HIDDEN;
    hmm_sight(h, n, seen, sight);
    hmm_smooth(h, n, sight, token, NULL);
    for (int t = 0; t < n; t++) {
      if (rank[t] == next) loss[t] = -log(token[t * h->symbols + tokens[t]]);
    }
    done = next;
  }
}

static double entropy_of(int n, const double *p) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum -= p[i] > 0 ? p[i] * log(p[i]) : 0;
  return sum;
}

double hmm_entropy(const hmm *h, uint64_t seed, int n, double *out_error) {
  draws d = draws_of(seed, TEXT, UINT64_MAX);
  belief now;
  memcpy(now, h->start, sizeof now);
  int s = draws_pick(&d, h->states, h->start), each = n / BATCHES;
  assert(each > 0);
  double sum = 0, squares = 0;
  for (int batch = -1; batch < BATCHES;
       batch++) { /* one batch first that is not counted: the filter forgets its start */
    double mean = 0, token[HMM_SYMBOLS];
    for (int t = 0; t < each; t++) {
      foresee(h, now, token);
      mean += entropy_of(h->symbols, token) / each;
      notice(h, now, draws_pick(&d, h->symbols, h->emit[s]));
      advance(h, now, now);
      s = draws_pick(&d, h->states, h->step[s]);
    }
    if (batch >= 0) sum += mean, squares += mean * mean;
  }
  double mean = sum / BATCHES;
  if (out_error) *out_error = sqrt(fmax(0, squares / BATCHES - mean * mean) / (BATCHES - 1));
  return mean;
}

/* Sum over texts of `left` more tokens of the entropy of the token after them, weighed by their probability. `now` is
 * p(state and text so far). */
static double later_entropy(const hmm *h, const double *now, int left) {
  if (left == 0) {
    double token[HMM_SYMBOLS], all = 0;
    foresee(h, now, token);
    for (int w = 0; w < h->symbols; w++) all += token[w];
    if (all <= 0) return 0;
    for (int w = 0; w < h->symbols; w++) token[w] /= all;
    return all * entropy_of(h->symbols, token);
  }
  double sum = 0;
  for (int w = 0; w < h->symbols; w++) {
    belief then = {0};
    for (int s = 0; s < h->states; s++) then[s] = now[s] * h->emit[s][w];
    advance(h, then, then);
    sum += later_entropy(h, then, left - 1);
  }
  return sum;
}

void hmm_entropy_bounds(const hmm *h, int n, double *out_low, double *out_high) {
  assert(n > 0);
  *out_high = later_entropy(h, h->start, n - 1);
  *out_low = 0;
  for (int s = 0; s < h->states; s++) {
    belief only = {0};
    only[s] = h->start[s];
    *out_low += later_entropy(h, only, n - 1);
  }
}
