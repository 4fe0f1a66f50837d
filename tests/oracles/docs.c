/* D3: documents with topics and ordinals, and Bayes' rule over them. */
#include "tests/oracles/docs.h"

#include <assert.h>

#include "tests/oracles/draws.h"

enum { TEXT = 0x646f01, PAIR = 0x646f02, SWAP = 0x646f03 };

int docs_symbols(const docs *d) { return 1 + d->sentences + d->topics + d->words; }
int docs_sentence(const docs *d) { return 3 + d->filler; }
int docs_ordinal_cue(const docs *d, int ordinal) { return (void)d, 1 + ordinal; }
int docs_topic_cue(const docs *d, int topic) { return 1 + d->sentences + topic; }

/* What is shown for `right` of n things. */
static int noisy(const docs *d, draws *r, int right, int n) {
  int other = draws_below(r, n > 1 ? n - 1 : 1), wrong = draws_unit(r) < d->noise && n > 1;
  return wrong ? (right + 1 + other) % n : right;
}

static void write_sentence(const docs *d, draws *r, int topic, int ordinal, int *out) {
  assert(d->sentences >= 2 && d->sentences <= DOCS_SENTENCES && d->topics > 0 && 3 + d->filler <= DOCS_LENGTH);
  *out++ = docs_ordinal_cue(d, noisy(d, r, ordinal, d->sentences));
  *out++ = docs_topic_cue(d, noisy(d, r, topic, d->topics));
  for (int i = 0; i < d->filler; i++) *out++ = docs_topic_cue(d, d->topics) + draws_below(r, d->words);
  *out = 0;
}

int docs_sample(const docs *d, uint64_t seed, uint64_t index, int *tokens) {
  draws r = draws_of(seed, TEXT, index);
  int topic = draws_below(&r, d->topics);
  for (int i = 0; i < d->sentences; i++) write_sentence(d, &r, topic, i, tokens + i * docs_sentence(d));
  return topic;
}

int docs_pair_sample(const docs *d, uint64_t seed, uint64_t index, int *tokens) {
  draws r = draws_of(seed, PAIR, index);
  int label = draws_below(&r, 2), topic = draws_below(&r, d->topics), at = draws_below(&r, d->sentences - 1);
  int other = draws_below(&r, d->topics), there = draws_below(&r, d->sentences);
  write_sentence(d, &r, topic, at, tokens);
  write_sentence(d, &r, label ? other : topic, label ? there : at + 1, tokens + docs_sentence(d));
  return label;
}

int docs_swap_sample(const docs *d, uint64_t seed, uint64_t index, int *tokens) {
  draws r = draws_of(seed, SWAP, index);
  int label = draws_below(&r, 2), topic = draws_below(&r, d->topics), at = draws_below(&r, d->sentences - 1);
  write_sentence(d, &r, topic, at + label, tokens);
  write_sentence(d, &r, topic, at + 1 - label, tokens + docs_sentence(d));
  return label;
}

/* p(cue | the right one), of n cues that begin at token `first`. */
static double cue(const docs *d, int shown, int first, int right, int n) {
  if (shown == DOCS_HIDDEN) return 1;
  if (shown < first || shown >= first + n) return 0;
  if (n == 1) return 1;
  return shown == first + right ? 1 - d->noise : d->noise / (n - 1);
}

/* p(sentence shown | topic, ordinal) */
static double sentence(const docs *d, int topic, int ordinal, const int *shown) {
  double p = cue(d, shown[0], 1, ordinal, d->sentences) * cue(d, shown[1], 1 + d->sentences, topic, d->topics);
  for (int i = 2; i < 2 + d->filler; i++) {
    if (shown[i] == DOCS_HIDDEN) continue;
    p *= shown[i] > d->sentences + d->topics && shown[i] < docs_symbols(d) ? 1.0 / d->words : 0;
  }
  return shown[2 + d->filler] == 0 || shown[2 + d->filler] == DOCS_HIDDEN ? p : 0;
}

double docs_likelihood(const docs *d, const int *order, const int *tokens) {
  double sum = 0;
  for (int z = 0; z < d->topics; z++) {
    double p = 1.0 / d->topics;
    for (int i = 0; i < d->sentences; i++) p *= sentence(d, z, order[i], tokens + i * docs_sentence(d));
    sum += p;
  }
  return sum;
}

/* p(both | neighbours of one document, A at `at` and B at `at + step`), any topic and place. */
static double neighbours(const docs *d, int step, const int *a, const int *b) {
  double sum = 0;
  for (int z = 0; z < d->topics; z++) {
    for (int k = 0; k < d->sentences - 1; k++) {
      sum += sentence(d, z, step > 0 ? k : k + 1, a) * sentence(d, z, step > 0 ? k + 1 : k, b);
    }
  }
  return sum / d->topics / (d->sentences - 1);
}

/* p(sentence | any topic, any of the first `places` places) */
static double alone(const docs *d, int places, const int *shown) {
  double sum = 0;
  for (int z = 0; z < d->topics; z++) {
    for (int k = 0; k < places; k++) sum += sentence(d, z, k, shown);
  }
  return sum / d->topics / places;
}

double docs_pair_likelihood(const docs *d, int label, const int *tokens) {
  const int *b = tokens + docs_sentence(d);
  return label ? alone(d, d->sentences - 1, tokens) * alone(d, d->sentences, b) : neighbours(d, 1, tokens, b);
}

double docs_swap_likelihood(const docs *d, int label, const int *tokens) {
  return neighbours(d, label ? -1 : 1, tokens, tokens + docs_sentence(d));
}

/* p(token w at place i of a sentence | topic, ordinal) */
static double law(const docs *d, int i, int topic, int ordinal, int w) {
  if (i == 0) return cue(d, w, 1, ordinal, d->sentences);
  if (i == 1) return cue(d, w, 1 + d->sentences, topic, d->topics);
  if (i == 2 + d->filler) return w == 0;
  return w > d->sentences + d->topics ? 1.0 / d->words : 0;
}

typedef double causes[DOCS_TOPICS][DOCS_SENTENCES];

/* p(evidence about place i | topic, ordinal) */
static double seen(const docs *d, int i, int topic, int ordinal, const double *sight) {
  double sum = 0;
  for (int w = 0; w < docs_symbols(d); w++) sum += law(d, i, topic, ordinal, w) * sight[w];
  return sum;
}

/* p(evidence about a sentence | topic, ordinal), and its sum over topics and the first `places` ordinals. */
static double sentence_seen(const docs *d, const double *sight, int places, causes out) {
  double sum = 0;
  for (int z = 0; z < d->topics; z++) {
    for (int k = 0; k < d->sentences; k++) {
      out[z][k] = 1;
      for (int i = 0; i < docs_sentence(d); i++) out[z][k] *= seen(d, i, z, k, sight + i * docs_symbols(d));
      sum += k < places ? out[z][k] : 0;
    }
  }
  return sum;
}

/* weight: p(topic, ordinal, all evidence) of this sentence */
static void tokens_of(const docs *d, const double *sight, causes weight, double all, double *token) {
  int symbols = docs_symbols(d);
  for (int i = 0; i < docs_sentence(d); i++) {
    for (int w = 0; w < symbols; w++) token[i * symbols + w] = 0;
    for (int z = 0; z < d->topics; z++) {
      for (int k = 0; k < d->sentences; k++) {
        double here = seen(d, i, z, k, sight + i * symbols);
        for (int w = 0; w < symbols && here > 0; w++)
          token[i * symbols + w] += weight[z][k] / all * law(d, i, z, k, w) * sight[i * symbols + w] / here;
      }
    }
  }
}

double docs_pair_smooth(const docs *d, const double *sight, double *label, double *token) {
  assert(d->topics <= DOCS_TOPICS && d->sentences <= DOCS_SENTENCES);
  const double *second = sight + docs_sentence(d) * docs_symbols(d);
  int last = d->sentences - 1;
  causes a, b, of_a, of_b;
  double all_a = sentence_seen(d, sight, last, a), all_b = sentence_seen(d, second, d->sentences, b), next = 0;
  double pair = 0.5 / d->topics / last, other = pair / d->topics / d->sentences;
  for (int z = 0; z < d->topics; z++) {
    for (int k = 0; k < d->sentences; k++) {
      double before = k > 0 ? pair * a[z][k - 1] : 0, after = k < last ? pair * b[z][k + 1] : 0;
      next += after * a[z][k];
      of_a[z][k] = k < last ? a[z][k] * (after + other * all_b) : 0;
      of_b[z][k] = b[z][k] * (before + other * all_a);
    }
  }
  double any = other * all_a * all_b, all = next + any;
  if (label) label[0] = next / all, label[1] = any / all;
  if (token) {
    tokens_of(d, sight, of_a, all, token);
    tokens_of(d, second, of_b, all, token + docs_sentence(d) * docs_symbols(d));
  }
  return all;
}

/* Ordinal cues and words are independent of all else; topic cues share the topic, so every filling of them is tried. */
double docs_restore(const docs *d, const int *tokens, int *out) {
  int order[DOCS_SENTENCES], hidden[DOCS_SENTENCES], holes = 0, fillings = 1, n = docs_sentence(d),
                                                     text[DOCS_SENTENCES * DOCS_LENGTH];
  for (int i = 0; i < d->sentences; i++) order[i] = i;
  for (int t = 0; t < d->sentences * n; t++) {
    int right = d->noise <= 1 - 1.0 / d->sentences ? t / n : (t / n + 1) % d->sentences;
    text[t] = tokens[t];
    if (tokens[t] != DOCS_HIDDEN) continue;
    if (t % n == 0)
      text[t] = docs_ordinal_cue(d, right);
    else if (t % n == 1)
      hidden[holes++] = t, fillings *= d->topics;
    else
      text[t] = t % n == n - 1 ? 0 : docs_topic_cue(d, d->topics);
  }
  double shown = docs_likelihood(d, order, tokens), best = -1;
  for (int k = 0; k < fillings; k++) {
    for (int i = 0, rest = k; i < holes; i++, rest /= d->topics) text[hidden[i]] = docs_topic_cue(d, rest % d->topics);
    double p = docs_likelihood(d, order, text);
    if (p <= best) continue;
    best = p;
    for (int t = 0; t < d->sentences * n; t++) out[t] = text[t];
  }
  return best / shown;
}

static int orders(const docs *d) {
  int many = 1;
  for (int i = 2; i <= d->sentences; i++) many *= i;
  return many;
}

void docs_order(const docs *d, int number, int *order) {
  int left[DOCS_SENTENCES], block = orders(d);
  for (int i = 0; i < d->sentences; i++) left[i] = i;
  for (int i = 0; i < d->sentences; i++) {
    block /= d->sentences - i;
    int at = number / block;
    number %= block;
    order[i] = left[at];
    for (int k = at; k < d->sentences - 1; k++) left[k] = left[k + 1];
  }
}

static void shares(int n, double *p) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += p[i];
  assert(sum > 0);
  for (int i = 0; i < n; i++) p[i] /= sum;
}

void docs_order_posterior(const docs *d, const int *tokens, double *out) {
  int order[DOCS_SENTENCES];
  for (int k = 0; k < orders(d); k++) {
    docs_order(d, k, order);
    out[k] = docs_likelihood(d, order, tokens);
  }
  shares(orders(d), out);
}

/* order[i], when the document began at sentence `start`. */
static void turned(const docs *d, int start, int *order) {
  for (int i = 0; i < d->sentences; i++) order[i] = (i - start + d->sentences) % d->sentences;
}

void docs_start_posterior(const docs *d, const int *tokens, double *out) {
  int order[DOCS_SENTENCES];
  for (int start = 0; start < d->sentences; start++) {
    turned(d, start, order);
    out[start] = docs_likelihood(d, order, tokens);
  }
  shares(d->sentences, out);
}

/* Sum over what two sentences can show (words say nothing and stay hidden) of the likelier label's share. */
static double best_label(const docs *d, double (*likelihood)(const docs *, int, const int *)) {
  int tokens[2 * DOCS_LENGTH], n = docs_sentence(d);
  double sum = 0;
  for (int i = 0; i < 2 * n; i++) tokens[i] = DOCS_HIDDEN;
  for (int k = 0; k < d->sentences * d->sentences; k++) {
    for (int z = 0; z < d->topics * d->topics; z++) {
      tokens[0] = docs_ordinal_cue(d, k / d->sentences), tokens[n] = docs_ordinal_cue(d, k % d->sentences);
      tokens[1] = docs_topic_cue(d, z / d->topics), tokens[n + 1] = docs_topic_cue(d, z % d->topics);
      double a = likelihood(d, 0, tokens), b = likelihood(d, 1, tokens);
      sum += (a > b ? a : b) / 2;
    }
  }
  return sum;
}

double docs_pair_accuracy(const docs *d) { return best_label(d, docs_pair_likelihood); }
double docs_swap_accuracy(const docs *d) { return best_label(d, docs_swap_likelihood); }

/* Sum over all ordinal cues (topics say nothing) of the likeliest of `many` orders. */
static double best_order(const docs *d, int many, void (*make)(const docs *, int, int *)) {
  int tokens[DOCS_SENTENCES * DOCS_LENGTH], order[DOCS_SENTENCES], all = 1, n = docs_sentence(d);
  double sum = 0;
  for (int i = 0; i < d->sentences * n; i++) tokens[i] = DOCS_HIDDEN;
  for (int i = 0; i < d->sentences; i++) all *= d->sentences;
  for (int k = 0; k < all; k++) {
    double most = 0;
    for (int i = 0, rest = k; i < d->sentences; i++, rest /= d->sentences) {
      tokens[i * n] = docs_ordinal_cue(d, rest % d->sentences);
    }
    for (int o = 0; o < many; o++) {
      make(d, o, order);
      double p = docs_likelihood(d, order, tokens);
      if (p > most) most = p;
    }
    sum += most / many;
  }
  return sum;
}

double docs_order_accuracy(const docs *d) { return best_order(d, orders(d), docs_order); }
double docs_start_accuracy(const docs *d) { return best_order(d, d->sentences, turned); }
