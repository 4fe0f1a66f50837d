/* Pairs of sentences with hidden tokens. */
#include "models/recipes/bert_task.h"

#include <string.h>

#include "tests/oracles/corrupt.h"
#include "tests/oracles/draws.h"

enum { ROWS = 32, TEXT = 2 * DOCS_LENGTH, SYMBOLS = 32 };

extern const sn_model sn_model_bert;

bert_task bert_task_of(double noise) {
  bert_task k = {.d = {.topics = 4, .sentences = 3, .words = 4, .filler = 2, .noise = noise}};
  k.cls = docs_symbols(&k.d);
  k.h = (hide){.mask = k.cls + 2, .symbols = k.cls};
  return k;
}

static int pair_length(const bert_task *k) { return 2 * docs_sentence(&k->d); }

/* What stands at place t of [CLS] A [SEP] B [SEP]: the place in A B, or -1. */
static int place(const bert_task *k, int t) {
  int n = docs_sentence(&k->d);
  if (t == 0 || t == n + 1 || t == 2 * n + 2) return -1;
  return t <= n ? t - 1 : t - 2;
}
static int sequence(const bert_task *k) { return pair_length(k) + 3; }

/* A pair, and the same with tokens hidden.   -> its label */
typedef struct pair {
  int x[TEXT], shown[TEXT], slots[TEXT], labels[TEXT], count, label;
} pair;

static pair pair_of(const bert_task *k, uint64_t seed, uint64_t index) {
  pair p;
  int n = docs_sentence(&k->d);
  p.label = docs_pair_sample(&k->d, seed, index, p.x);
  p.count = hide_tokens(&k->h, seed, index, 2 * n, p.x, NULL, p.shown, p.slots, p.labels);
  return p;
}

static int rows_of(const bert_task *k) { return k->rows ? k->rows : ROWS; }

/* tokens, segments, part [rows, sequence], slots, labels, weight [rows, count], label [rows] */
static void fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const bert_task *k = data;
  int rows = rows_of(k);
  int length = sequence(k);
  int32_t *tokens = port[0], *segments = port[1], *part = port[2], *slots = port[3], *labels = port[4];
  for (int b = 0; b < rows; b++) {
    pair p = pair_of(k, seed, index * (uint64_t)rows + (uint64_t)b);
    for (int t = 0; t < length; t++) {
      int at = place(k, t);
      tokens[b * length + t] = at >= 0 ? p.shown[at] : t ? k->cls + 1 : k->cls;
      segments[b * length + t] = t > length / 2;
      part[b * length + t] = k->blind ? t : 0;
    }
    for (int i = 0; i < p.count; i++) {
      slots[b * p.count + i] = p.slots[i] + (p.slots[i] < docs_sentence(&k->d) ? 1 : 2);
      labels[b * p.count + i] = p.labels[i];
      ((float *)port[5])[b * p.count + i] = 1;
    }
    ((int32_t *)port[6])[b] = p.label;
  }
}

feed bert_pretrain_feed(int rows, int length, int slots, void (*fills)(const void *, uint64_t, uint64_t, void *const[]),
                        const void *k) {
  return (feed){{{"tokens", {rows, length}},
                 {"segments", {rows, length}},
                 {"part", {rows, length}},
                 {"slots", {rows, slots}},
                 {"labels", {rows, slots}},
                 {"weight", {rows, slots}},
                 {"label", {rows}}},
                fills,
                k};
}

net *bert_pretrain(recipe *r, const char *label, const feed *f, int vocab, int steps) {
  net *n =
      recipe_net(r, &sn_model_bert, "pretrain|eval_pretrain|guess|next",
                 "layers=2 heads=4 width=32 vocab=%d context=%d padding=2 std=.1", vocab, (int)f->port[0].extent[1]);
  recipe_train(r, &(training){n, "pretrain", label, f, steps, 2e-3});
  return n;
}

feed bert_task_feed(const bert_task *k) {
  int length = sequence(k), count = hide_count(&k->h, pair_length(k)), rows = rows_of(k);
  return bert_pretrain_feed(rows, length, count, fill, k);
}

net *bert_pretrained(recipe *r, const char *label, const bert_task *k, int steps) {
  feed f = bert_task_feed(k);
  return bert_pretrain(r, label, &f, k->cls + 3, steps);
}

/* ---- what can be known ------------------------------------------------------------------------------------------- */

/* Sums over sets of `rest` more chosen places, from place `from` on: p(evidence), and that times label and token laws.
 */
typedef struct known {
  const bert_task *k;
  const pair *p;
  bool chosen[TEXT];
  double all, label[2], token[TEXT * SYMBOLS];
} known;

static void add_known(known *z) {
  int n = pair_length(z->k), symbols = docs_symbols(&z->k->d);
  double sight[TEXT * SYMBOLS], label[2], token[TEXT * SYMBOLS];
  for (int t = 0; t < n; t++) {
    int shown = z->p->shown[t] == z->k->h.mask ? -1 : z->p->shown[t];
    corrupt_bert_sight(symbols, 0, shown, z->chosen[t], sight + t * symbols);
  }
  double p = docs_pair_smooth(&z->k->d, sight, label, token);
  if (!(p > 0)) return;
  z->all += p;
  for (int i = 0; i < 2; i++) z->label[i] += p * label[i];
  for (int i = 0; i < n * symbols; i++) z->token[i] += p * token[i];
}

static void choose(known *z, int from, int rest) {
  if (rest == 0) return add_known(z);
  for (int t = from; t < pair_length(z->k); t++) {
    if (z->chosen[t]) continue;
    z->chosen[t] = true;
    choose(z, t + 1, rest - 1);
    z->chosen[t] = false;
  }
}

/* Given what is shown, and that `slot` (-1: none) was chosen. Which others were is not known, but how many: every set
 * is tried. */
static void know(known *z, const bert_task *k, const pair *p, int slot) {
  *z = (known){.k = k, .p = p};
  int rest = p->count;
  for (int t = 0; t < pair_length(k); t++) {
    z->chosen[t] = t == slot || p->shown[t] == k->h.mask;
    rest -= z->chosen[t];
  }
  choose(z, 0, rest);
}

static int likeliest(int n, const double *p) {
  int best = 0;
  for (int i = 1; i < n; i++) best = p[i] > p[best] ? i : best;
  return best;
}
static int highest(int n, const float *p) {
  int best = 0;
  for (int i = 1; i < n; i++) best = p[i] > p[best] ? i : best;
  return best;
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

static void score_pair(const bert_task *k, const pair *p, const float *guess, const float *next, bert_score *s,
                       double part) {
  int symbols = docs_symbols(&k->d);
  known z;
  for (int i = 0; i < p->count; i++) {
    know(&z, k, p, p->slots[i]);
    s->best_token += part / p->count * (likeliest(symbols, z.token + p->slots[i] * symbols) == p->labels[i]);
    s->token += part / p->count * (highest(k->cls + 3, guess + i * (k->cls + 3)) == p->labels[i]);
  }
  know(&z, k, p, -1);
  s->best_label += part * (likeliest(2, z.label) == p->label);
  s->label += part * (highest(2, next) == p->label);
}

bert_score bert_measure(recipe *r, net *n, const bert_task *k, int batches) {
  bert_score s = {0};
  int vocab = k->cls + 3, count = hide_count(&k->h, pair_length(k));
  void *port[FEED_PORTS];
  for (int i = 0; i < 7; i++) port[i] = recipe_alloc(r, ROWS * TEXT * 8);
  float *guess = recipe_alloc(r, sizeof(float) * ROWS * (size_t)(count * vocab)), next[ROWS * 2];
  for (int b = 0; b < batches && !recipe_has_failed(r); b++) {
    uint64_t index = ((uint64_t)1 << 30) + (uint64_t)b;
    fill(k, recipe_seed(r, 2), index, port);
    sn_io in[4] = {{"tokens", port[0], {ROWS, sequence(k)}},
                   {"segments", port[1], {ROWS, sequence(k)}},
                   {"part", port[2], {ROWS, sequence(k)}}};
    net_run(n, "next", in[0], in[1], in[2], {"logits", next, {ROWS, 2}});
    net_run(n, "guess", in[0], in[1], in[2], {"slots", port[3], {ROWS, count}},
            {"logits", guess, {ROWS, count, vocab}});
    for (int i = 0; i < ROWS; i++) {
      pair p = pair_of(k, recipe_seed(r, 2), index * ROWS + (uint64_t)i);
      score_pair(k, &p, guess + i * count * vocab, next + 2 * i, &s, 1. / ROWS / batches);
    }
  }
  return s;
}

/* -log p of each hidden token of batch `index`. */
static void best_losses(const void *data, uint64_t seed, uint64_t index, double *loss) {
  const bert_task *k = data;
  known z;
  for (int b = 0; b < ROWS; b++) {
    pair p = pair_of(k, seed, index * ROWS + (uint64_t)b);
    for (int i = 0; i < p.count; i++) {
      know(&z, k, &p, p.slots[i]);
      *loss++ = -log(z.token[p.slots[i] * docs_symbols(&k->d) + p.labels[i]] / z.all);
    }
  }
}

excess bert_excess(recipe *r, net *n, const bert_task *k, int64_t tokens) {
  feed f = bert_task_feed(k);
  return recipe_excess(r, &(against){n, "guess", NULL, &f, 4, best_losses, tokens});
}
