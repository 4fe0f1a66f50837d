/* D1: chains of order k, sampled and predicted exactly. */
#include "tests/oracles/markov.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracles/draws.h"

enum { ROWS = 0x6d6b01, TEXT = 0x6d6b02, CONTEXTS_LIMIT = 1 << 20 };

/* Context c, one token later. */
static int shifted(const markov *m, int c, int token) { return (int)(((int64_t)c * m->symbols + token) % m->contexts); }

/* Stationary distribution of the lazy chain (half of it stays: no periods), by power iteration. */
static bool settle(markov *m) {
  double *later = malloc((size_t)m->contexts * sizeof *later);
  if (!later) return false;
  for (int c = 0; c < m->contexts; c++) m->often[c] = 1.0 / m->contexts;
  double change = 1;
  for (int round = 0; round < 100000 && change > 1e-16; round++) {
    for (int c = 0; c < m->contexts; c++) later[c] = 0.5 * m->often[c];
    for (int c = 0; c < m->contexts; c++) {
      for (int w = 0; w < m->symbols; w++) later[shifted(m, c, w)] += 0.5 * m->often[c] * m->next[c * m->symbols + w];
    }
    change = 0;
    for (int c = 0; c < m->contexts; c++) change = fmax(change, fabs(later[c] - m->often[c]));
    memcpy(m->often, later, (size_t)m->contexts * sizeof *later);
  }
  free(later);
  return true;
}

bool markov_create(markov *out, uint64_t seed, int order, int symbols) {
  assert(order >= 0 && symbols > 0);
  markov m = {.order = order, .symbols = symbols, .contexts = 1};
  for (int i = 0; i < order; i++) {
    if (m.contexts > CONTEXTS_LIMIT / symbols) return false;
    m.contexts *= symbols;
  }
  m.next = malloc((size_t)m.contexts * (size_t)symbols * sizeof *m.next);
  m.often = malloc((size_t)m.contexts * sizeof *m.often);
  if (!m.next || !m.often) goto fail;
  for (int c = 0; c < m.contexts; c++) {
    draws d = draws_of(seed, ROWS, (uint64_t)c);
    draws_dirichlet(&d, symbols, 0.3, m.next + (size_t)c * (size_t)symbols);
  }
  if (!settle(&m)) goto fail;
  *out = m;
  return true;
fail:
  markov_destroy(&m);
  return false;
}

void markov_destroy(markov *m) {
  free(m->next);
  free(m->often);
  m->next = m->often = NULL;
}

void markov_predict(const markov *m, int n, const int *past, double *out) {
  int known = n < m->order ? n : m->order, c = 0;
  for (int i = n - known; i < n; i++) c = c * m->symbols + past[i];
  if (known == m->order) {
    memcpy(out, m->next + (size_t)c * (size_t)m->symbols, (size_t)m->symbols * sizeof *out);
    return;
  }
  /* The contexts that begin with these tokens and w are neighbours. */
  int many = m->contexts;
  for (int i = 0; i <= known; i++) many /= m->symbols;
  double sum = 0;
  for (int w = 0; w < m->symbols; w++) {
    out[w] = 0;
    for (int k = 0; k < many; k++) out[w] += m->often[(c * m->symbols + w) * many + k];
    sum += out[w];
  }
  for (int w = 0; w < m->symbols; w++) out[w] /= sum;
}

void markov_sample(const markov *m, uint64_t seed, uint64_t index, int n, int *tokens) {
  draws d = draws_of(seed, TEXT, index);
  double *p = malloc((size_t)m->symbols * sizeof *p);
  assert(p);
  for (int t = 0; t < n; t++) {
    markov_predict(m, t, tokens, p);
    tokens[t] = draws_pick(&d, m->symbols, p);
  }
  free(p);
}

void markov_loss(const markov *m, int n, const int *tokens, double *loss) {
  double *p = malloc((size_t)m->symbols * sizeof *p);
  assert(p);
  for (int t = 0; t < n; t++) {
    markov_predict(m, t, tokens, p);
    loss[t] = -log(p[tokens[t]]);
  }
  free(p);
}

double markov_entropy(const markov *m) { return markov_entropy_seen(m, m->order); }

double markov_entropy_seen(const markov *m, int seen) {
  assert(seen >= 0 && seen <= m->order);
  int suffixes = 1;
  for (int i = 0; i < seen; i++) suffixes *= m->symbols;
  double *joint = calloc((size_t)suffixes * (size_t)m->symbols, sizeof *joint), sum = 0;
  assert(joint);
  for (int c = 0; c < m->contexts; c++) {
    double *row = joint + (size_t)(c % suffixes) * (size_t)m->symbols;
    for (int w = 0; w < m->symbols; w++) row[w] += m->often[c] * m->next[c * m->symbols + w];
  }
  for (int s = 0; s < suffixes; s++) {
    const double *row = joint + (size_t)s * (size_t)m->symbols;
    double all = 0;
    for (int w = 0; w < m->symbols; w++) all += row[w];
    for (int w = 0; w < m->symbols; w++) sum -= row[w] > 0 ? row[w] * log(row[w] / all) : 0;
  }
  free(joint);
  return sum;
}
