/* Best losses of denoising where lengths are hidden. */
#include "tests/oracles/denoise.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

typedef double belief[HMM_STATES];

/* to[b] = sum_a from[a] step[a][b] */
static void forward(const hmm *h, const double *from, double *to) {
  belief out = {0};
  for (int a = 0; a < h->states; a++) {
    for (int b = 0; b < h->states; b++) out[b] += from[a] * h->step[a][b];
  }
  memcpy(to, out, sizeof out);
}

/* to[a] = sum_b step[a][b] from[b] */
static void backward(const hmm *h, const double *from, double *to) {
  belief out = {0};
  for (int a = 0; a < h->states; a++) {
    for (int b = 0; b < h->states; b++) out[a] += h->step[a][b] * from[b];
  }
  memcpy(to, out, sizeof out);
}

static double dot(const hmm *h, const double *a, const double *b) {
  double sum = 0;
  for (int s = 0; s < h->states; s++) sum += a[s] * b[s];
  return sum;
}

/* after[t][j][s]: p(y_j.. comes of tokens t.. | s_t = s), summed over what is deleted; every way has one weight.
 * ways[j]: ways to have made y[0..j) of x[0..t).
 * Token w at t: kept, if y_j is w, or deleted. */
void denoise_deletion_loss(const hmm *h, int n, const int *x, int m, const int *y, double *loss) {
  belief after[DENOISE_LENGTH + 1][DENOISE_LENGTH + 1];
  double ways[DENOISE_LENGTH + 2] = {1};
  belief now;
  assert(n <= DENOISE_LENGTH && m <= n);
  for (int t = n; t >= 0; t--) {
    for (int j = m; j >= 0; j--) {
      belief later = {0}, kept = {0};
      for (int s = 0; s < h->states; s++) after[t][j][s] = t == n ? j == m : 0;
      if (t == n) continue;
      memcpy(later, after[t + 1][j], sizeof later);
      if (j < m) memcpy(kept, after[t + 1][j + 1], sizeof kept);
      if (t + 1 < n) backward(h, later, later), backward(h, kept, kept);
      for (int s = 0; s < h->states; s++) after[t][j][s] = later[s] + (j < m ? h->emit[s][y[j]] * kept[s] : 0);
    }
  }
  memcpy(now, h->start, sizeof now);
  for (int t = 0; t < n; t++) {
    double token[HMM_SYMBOLS] = {0}, all = 0;
    if (t) forward(h, now, now);
    for (int w = 0; w < h->symbols; w++) {
      belief with, then;
      for (int s = 0; s < h->states; s++) with[s] = now[s] * h->emit[s][w];
      memcpy(then, with, sizeof then);
      if (t + 1 < n) forward(h, with, then);
      for (int j = 0; j <= m; j++) {
        double further = dot(h, then, after[t + 1][j]);
        if (j < m && y[j] == w) further += dot(h, then, after[t + 1][j + 1]);
        token[w] += ways[j] * further;
      }
      all += token[w];
    }
    loss[t] = -log(token[x[t]] / all);
    for (int j = m; j > 0; j--) ways[j] += x[t] == y[j - 1] ? ways[j - 1] : 0;
    double sum = 0;
    for (int s = 0; s < h->states; s++) sum += now[s] *= h->emit[s][x[t]];
    for (int s = 0; s < h->states; s++) now[s] /= sum;
  }
}

/* Ways to cut `length` in `pieces` of at least one: choose(length - 1, pieces - 1). */
static int cuts(int length, int pieces) {
  double ways = 1;
  if (length < pieces) return 0;
  for (int k = 1; k < pieces; k++) ways = ways * (length - k) / k;
  return (int)(ways + 0.5);
}

/* Way `number` of them. */
static void cut(int length, int pieces, int number, int *out) {
  for (int i = 0; i < pieces - 1; i++) {
    int first = 1;
    while (number >= cuts(length - first, pieces - 1 - i)) number -= cuts(length - first++, pieces - 1 - i);
    out[i] = first;
    length -= first;
  }
  out[pieces - 1] = length;
}

int denoise_spans_many(int n, int noise, int spans) { return cuts(noise, spans) * cuts(n - noise, spans); }

denoise_spans denoise_spans_number(int n, int noise, int spans, int number) {
  denoise_spans s = {.n = n, .spans = spans, .noise = noise};
  assert(spans > 0 && spans <= DENOISE_SPANS && n <= DENOISE_LENGTH);
  cut(noise, spans, number % cuts(noise, spans), s.hidden);
  cut(n - noise, spans, number / cuts(noise, spans), s.kept);
  return s;
}

/* A text as the decoder may think it is: where each token of source and target would stand. */
typedef struct guess {
  int known[DENOISE_LENGTH]; /* HMM_HIDDEN: not seen yet */
  bool in_span[DENOISE_LENGTH];
} guess;

/* The source, with spans of the lengths `hidden`. */
static guess guess_of(const denoise_spans *s, const int *hidden, const int *x) {
  guess g = {0};
  int at = 0, from = 0;
  for (int k = 0; k < s->spans; k++) {
    for (int i = 0; i < s->kept[k]; i++) g.known[at++] = x[from++];
    from += s->hidden[k];
    for (int i = 0; i < hidden[k]; i++) g.in_span[at] = true, g.known[at++] = HMM_HIDDEN;
  }
  return g;
}

/* p(what is known) and, unless at is negative, out [symbols]: p(token at `at`, what is known). */
static double weigh(const hmm *h, int n, const guess *g, int at, double *out) {
  double sight[DENOISE_LENGTH * HMM_SYMBOLS], token[DENOISE_LENGTH * HMM_SYMBOLS];
  hmm_sight(h, n, g->known, sight);
  double all = exp(hmm_smooth(h, n, sight, token, NULL));
  for (int w = 0; at >= 0 && w < h->symbols; w++) out[w] = all * token[at * h->symbols + w];
  return all;
}

/* Place of token i of span k. */
static int place(const denoise_spans *s, const int *hidden, int k, int i) {
  int at = s->kept[0] + i;
  for (int j = 0; j < k; j++) at += hidden[j] + s->kept[j + 1];
  return at;
}

/* p of the next token of the target: token i of span k, or the mark behind it (i == s->hidden[k]), given the tokens
 * before. */
static double sentinel_share(const hmm *h, const denoise_spans *s, const int *x, int k, int i) {
  double right = 0, all = 0;
  for (int way = 0; way < cuts(s->noise, s->spans); way++) {
    int hidden[DENOISE_SPANS], fits = 1;
    cut(s->noise, s->spans, way, hidden);
    for (int j = 0; j < k; j++) fits &= hidden[j] == s->hidden[j];
    if (!fits || hidden[k] < i) continue;
    guess g = guess_of(s, hidden, x);
    for (int j = 0; j <= k; j++) {
      for (int b = 0; b < (j < k ? hidden[j] : i); b++) g.known[place(s, hidden, j, b)] = x[place(s, s->hidden, j, b)];
    }
    bool ends = hidden[k] == i;
    double token[HMM_SYMBOLS], p = weigh(h, s->n, &g, ends ? -1 : place(s, hidden, k, i), token);
    all += p;
    if (i == s->hidden[k])
      right += ends ? p : 0;
    else
      right += ends ? 0 : token[x[place(s, s->hidden, k, i)]];
  }
  return right / all;
}

void denoise_sentinel_loss(const hmm *h, const denoise_spans *s, const int *x, double *loss) {
  *loss++ = 0;
  for (int k = 0; k < s->spans; k++) {
    for (int i = 0; i <= s->hidden[k]; i++) *loss++ = -log(sentinel_share(h, s, x, k, i));
  }
}

void denoise_infill_loss(const hmm *h, const denoise_spans *s, const int *x, double *loss) {
  for (int t = 0; t < s->n; t++) {
    double right = 0, all = 0;
    for (int way = 0; way < cuts(s->noise, s->spans); way++) {
      int hidden[DENOISE_SPANS], fits = 1;
      cut(s->noise, s->spans, way, hidden);
      guess g = guess_of(s, hidden, x);
      for (int i = 0; i < t; i++) {
        fits &= g.known[i] == HMM_HIDDEN || g.known[i] == x[i];
        g.known[i] = x[i];
      }
      if (!fits) continue;
      double token[HMM_SYMBOLS];
      all += weigh(h, s->n, &g, t, token);
      right += token[x[t]];
    }
    loss[t] = -log(right / all);
  }
}
