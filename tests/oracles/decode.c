/* The exact laws of sampling, and search. */
#include "tests/oracles/decode.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

int decode_greedy(int n, const double *logits) {
  int best = 0;
  for (int i = 1; i < n; i++) {
    if (logits[i] > logits[best]) best = i;
  }
  return best;
}

static void softmax(int n, const double *logits, double temperature, double *out) {
  double most = logits[decode_greedy(n, logits)], sum = 0;
  for (int i = 0; i < n; i++) sum += out[i] = exp((logits[i] - most) / temperature);
  for (int i = 0; i < n; i++) out[i] /= sum;
}

void decode_truncate(int n, const double *logits, double temperature, int top, double mass, double *out) {
  double p[4096], allowed = 0, kept = 0;
  bool in[4096] = {false};
  int order[4096], many = top > 0 && top < n ? top : n;
  assert(n <= 4096 && temperature > 0);
  softmax(n, logits, temperature, p);
  for (int k = 0; k < many; k++) { /* selection: the most probable that is left, the lowest of equals */
    int best = -1;
    for (int i = 0; i < n; i++) {
      if (!in[i] && (best < 0 || logits[i] > logits[best])) best = i;
    }
    in[best] = true;
    order[k] = best;
    allowed += p[best];
  }
  for (int i = 0; i < n; i++) out[i] = 0;
  for (int k = 0; k < many && (k == 0 || mass >= 1 || kept < mass * allowed); k++) {
    kept += out[order[k]] = p[order[k]];
  }
  for (int i = 0; i < n; i++) out[i] /= kept;
}

double decode_speculate(int n, const double *target, const double *draft, double *out) {
  double accepted = 0, rest = 0;
  for (int i = 0; i < n; i++) {
    accepted += draft[i] > 0 ? draft[i] * fmin(1, target[i] / draft[i]) : 0;
    rest += fmax(0, target[i] - draft[i]);
  }
  for (int i = 0; i < n; i++) {
    out[i] = draft[i] > 0 ? draft[i] * fmin(1, target[i] / draft[i]) : 0;
    if (rest > 0) out[i] += (1 - accepted) * fmax(0, target[i] - draft[i]) / rest;
  }
  return accepted;
}

static double score(const decode_search *s, const decode_text *t) { return t->log_p / pow(t->n, s->power); }

static bool is_done(const decode_search *s, const decode_text *t) {
  return t->n == s->length || (t->n > 0 && t->tokens[t->n - 1] == s->end);
}

static decode_text longer(const decode_text *t, int token, double log_p) {
  decode_text out = *t;
  out.tokens[out.n++] = token;
  out.log_p += log_p;
  return out;
}

static void walk(const decode_search *s, const decode_text *t, decode_text *best) {
  if (is_done(s, t)) {
    if (best->n == 0 || score(s, t) > score(s, best)) *best = *t;
    return;
  }
  double next[DECODE_SYMBOLS];
  s->model(s->user, t->n, t->tokens, next);
  for (int x = 0; x < s->symbols; x++) {
    decode_text further = longer(t, x, next[x]);
    walk(s, &further, best);
  }
}

decode_text decode_exhaustive(const decode_search *s) {
  assert(s->symbols <= DECODE_SYMBOLS && s->length > 0 && s->length <= DECODE_LENGTH);
  decode_text none = {0}, best = {0};
  walk(s, &none, &best);
  return best;
}

/* Puts t among the best [count] of room beams, behind those that are as good; returns the new count. */
static int insert(decode_text *best, int count, int room, const decode_text *t) {
  int at = count;
  while (at > 0 && best[at - 1].log_p < t->log_p) at--;
  if (at == room) return count;
  if (count < room) count++;
  for (int i = count - 1; i > at; i--) best[i] = best[i - 1];
  best[at] = *t;
  return count;
}

decode_text decode_beam(const decode_search *s) {
  assert(s->beams > 0 && s->beams <= DECODE_BEAMS && s->symbols <= DECODE_SYMBOLS && s->length <= DECODE_LENGTH);
  decode_text *live = calloc(2 * (size_t)s->beams, sizeof *live), *next = live + s->beams, best = {0};
  assert(live);
  int count = 1; /* the empty text */
  for (int step = 0; step < s->length && count > 0; step++) {
    int found = 0, left = 0;
    for (int b = 0; b < count; b++) {
      double log_p[DECODE_SYMBOLS];
      s->model(s->user, live[b].n, live[b].tokens, log_p);
      for (int x = 0; x < s->symbols; x++) {
        decode_text further = longer(&live[b], x, log_p[x]);
        found = insert(next, found, s->beams, &further);
      }
    }
    for (int b = 0; b < found; b++) {
      if (!is_done(s, &next[b]))
        live[left++] = next[b];
      else if (best.n == 0 || score(s, &next[b]) > score(s, &best))
        best = next[b];
    }
    count = left;
  }
  free(live);
  return best;
}
