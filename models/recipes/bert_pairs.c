/* Pairs of D3 documents. */
#include "models/recipes/bert_pairs.h"

#include <string.h>

#include "models/recipes/bert_task.h"
#include "models/recipes/pairs.h"
#include "tests/oracles/draws.h"

/* Sentences of a document and tokens of one, of a document, of A and B together, of [CLS] A [SEP] B [SEP]. */
enum { SENTENCES = 4, SENTENCE = 5, DOCUMENT = SENTENCES * SENTENCE, MOST = 8, SEQUENCE = MOST + 3, SLOTS = 2 };

extern const sn_model sn_model_bert;

/* ---- one pair ---------------------------------------------------------------------------------------------------- */

typedef struct pair {
  pairs_pair at; /* in two documents, of which A is of the first */
  int x[MOST], a, b;
} pair;

/* One of the pairs of a walk, all as likely. */
static pairs_pair place_of(uint64_t seed, uint64_t index) {
  static const int document[3] = {0, SENTENCES, 2 * SENTENCES};
  int sentence[2 * SENTENCES + 1];
  for (int i = 0; i <= 2 * SENTENCES; i++) sentence[i] = i * SENTENCE;
  const pairs_text text = {2, document, sentence};
  pairs_walk w = pairs_begin(&text, 0, MOST, seed, index);
  pairs_pair p, out = {0};
  draws d = draws_of(seed, 0x706c61, index);
  for (int i = 1; pairs_next(&w, &p); i++)
    if (draws_below(&d, i) == 0) out = p;
  return out;
}

static pair pair_of(const bert_pairs *k, uint64_t seed, uint64_t index) {
  pair p = {.at = place_of(seed, index)};
  int text[2 * DOCUMENT], shift = k->same && p.at.other ? DOCUMENT : 0;
  for (uint64_t i = 0; i < 2; i++) docs_sample(&k->d, seed, 2 * index + i, text + i * DOCUMENT);
  p.a = p.at.a.to - p.at.a.from, p.b = p.at.b.to - p.at.b.from;
  memcpy(p.x, text + p.at.a.from, sizeof(int) * (size_t)p.a);
  memcpy(p.x + p.a, text + p.at.b.from - shift, sizeof(int) * (size_t)p.b);
  return p;
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

static int rows_of(const bert_pairs *k) { return k->rows ? k->rows : 32; }

/* Where token t of A B stands in the sequence. */
static int column(const pair *p, int t) { return t < p->a ? t + 1 : t + 2; }

static void write_text(const bert_pairs *k, const pair *p, const int *shown, int32_t *tokens, int32_t *segments,
                       int32_t *part) {
  int end = p->a + p->b + 3;
  for (int t = 0; t < SEQUENCE; t++) {
    tokens[t] = t ? k->cls + 1 : k->cls;
    segments[t] = t > p->a + 1;
    part[t] = k->blind || t >= end ? t : 0; /* padding is alone */
  }
  for (int t = 0; t < p->a + p->b; t++) tokens[column(p, t)] = shown[t];
}

/* tokens, segments, part [rows, SEQUENCE], slots, labels, weight [rows, SLOTS], label [rows] */
static void fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const bert_pairs *k = data;
  int rows = rows_of(k);
  for (int b = 0; b < rows; b++) {
    uint64_t at = index * (uint64_t)rows + (uint64_t)b;
    pair p = pair_of(k, seed, at);
    int shown[MOST], slots[MOST], labels[MOST];
    int count = hide_tokens(&k->h, seed, at, p.a + p.b, p.x, NULL, shown, slots, labels);
    write_text(k, &p, k->open ? p.x : shown, (int32_t *)port[0] + b * SEQUENCE, (int32_t *)port[1] + b * SEQUENCE,
               (int32_t *)port[2] + b * SEQUENCE);
    for (int i = 0; i < SLOTS; i++) {
      ((int32_t *)port[3])[b * SLOTS + i] = i < count ? column(&p, slots[i]) : 0;
      ((int32_t *)port[4])[b * SLOTS + i] = i < count ? labels[i] : 0;
      ((float *)port[5])[b * SLOTS + i] = i < count;
    }
    ((int32_t *)port[6])[b] = p.at.other;
  }
}

feed bert_pairs_feed(const bert_pairs *k) {
  int rows = rows_of(k);
  return bert_pretrain_feed(rows, SEQUENCE, SLOTS, fill, k);
}

net *bert_pairs_trained(recipe *r, const char *label, const bert_pairs *k, int steps) {
  feed f = bert_pairs_feed(k);
  return bert_pretrain(r, label, &f, k->cls + 3, steps);
}

/* ---- what can be known ------------------------------------------------------------------------------------------- */

/* Where A and B begin in their documents, and how long they are. */
enum { PLACES = DOCUMENT * (MOST + 1), LAW = 2 * PLACES * PLACES, COUNTED = 300000 };

static int place(int from, int count) { return from % DOCUMENT * (MOST + 1) + count; }

/* Lengths of sentences do not depend on what they say, so the law of places is that of the program alone: counted. */
static double *law_of(recipe *r) {
  double *often = recipe_alloc(r, sizeof *often * LAW);
  memset(often, 0, sizeof *often * LAW);
  for (uint64_t i = 0; i < COUNTED; i++) {
    pairs_pair p = place_of(recipe_seed(r, 9), i);
    int a = place(p.a.from, p.a.to - p.a.from), b = place(p.b.from, p.b.to - p.b.from);
    often[(p.other * PLACES + a) * PLACES + b]++;
  }
  return often;
}

bert_pairs bert_pairs_of(recipe *r, double noise) {
  bert_pairs k = {.d = {.topics = 4, .sentences = SENTENCES, .words = 4, .filler = 2, .noise = noise}};
  k.cls = docs_symbols(&k.d);
  k.h = (hide){.mask = k.cls + 2, .symbols = k.cls};
  k.often = law_of(r);
  return k;
}

/* p(x | x begins at token `from` of a document with this topic) */
static double likelihood(const docs *d, int topic, int from, int count, const int *x) {
  double p = 1;
  for (int i = 0; i < count; i++) {
    int at = (from + i) % SENTENCE, ordinal = x[i] - docs_ordinal_cue(d, 0), cue = x[i] - docs_topic_cue(d, 0);
    bool is_ordinal = ordinal >= 0 && ordinal < SENTENCES, is_topic = cue >= 0 && cue < d->topics;
    if (at == 0)
      p *= !is_ordinal ? 0 : ordinal == (from + i) / SENTENCE ? 1 - d->noise : d->noise / (SENTENCES - 1);
    else if (at == 1)
      p *= !is_topic ? 0 : cue == topic ? 1 - d->noise : d->noise / (d->topics - 1);
    else if (at == SENTENCE - 1)
      p *= x[i] == 0;
    else
      p *= cue >= d->topics ? 1. / d->words : 0;
  }
  return p;
}

/* p(pair, label 0) and p(pair, label 1), up to one factor. */
static void know(const bert_pairs *k, const pair *p, double out[2]) {
  double a[DOCUMENT][DOCS_TOPICS], b[DOCUMENT][DOCS_TOPICS];
  int topics = k->d.topics;
  for (int from = 0; from < DOCUMENT; from++)
    for (int z = 0; z < topics; z++) {
      a[from][z] = from + p->a > DOCUMENT ? 0 : likelihood(&k->d, z, from, p->a, p->x);
      b[from][z] = from + p->b > DOCUMENT ? 0 : likelihood(&k->d, z, from, p->b, p->x + p->a);
    }
  out[0] = out[1] = 0;
  for (int i = 0; i < DOCUMENT; i++)
    for (int j = 0; j < DOCUMENT; j++) {
      const double *often = k->often + place(i, p->a) * PLACES + place(j, p->b);
      double one = 0, left = 0, right = 0;
      for (int z = 0; z < topics; z++) one += a[i][z] * b[j][z] / topics, left += a[i][z], right += b[j][z];
      out[0] += often[0] * one, out[1] += often[PLACES * PLACES] * left * right / topics / topics;
    }
}

double bert_pairs_told(recipe *r, net *n, const bert_pairs *k, int batches, double *out_best) {
  bert_pairs open = *k;
  open.open = true;
  feed f = bert_pairs_feed(&open);
  double right = 0;
  uint64_t first = ((uint64_t)1 << 30) * (uint64_t)rows_of(k), count = (uint64_t)(batches * rows_of(k));
  for (uint64_t i = 0; i < count; i++) {
    pair p = pair_of(k, recipe_seed(r, 1), first + i);
    double by_label[2];
    know(k, &p, by_label);
    right += (by_label[1] > by_label[0]) == p.at.other;
  }
  *out_best = right / (double)count;
  return recipe_mean(n, "eval_pretrain", "met", &f, batches, NULL);
}
