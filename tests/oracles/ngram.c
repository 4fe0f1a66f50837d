/* D8: interpolated Kneser-Ney, with one hash table for each length. */
#include "tests/oracles/ngram.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* The entry of a key, or the free one where it would be. */
static ngram_entry *place(const ngram_table *t, uint64_t key) {
  size_t at = (size_t)((key * 0x9e3779b97f4a7c15u) >> 20) & (t->room - 1);
  while (t->entry[at].key && t->entry[at].key != key + 1) at = (at + 1) & (t->room - 1);
  return &t->entry[at];
}

static bool grow(ngram_table *t) {
  ngram_table wide = {.room = t->room ? 2 * t->room : 64, .used = t->used};
  wide.entry = calloc(wide.room, sizeof *wide.entry);
  if (!wide.entry) return false;
  for (size_t i = 0; i < t->room; i++) {
    if (t->entry[i].key) *place(&wide, t->entry[i].key - 1) = t->entry[i];
  }
  free(t->entry);
  *t = wide;
  return true;
}

/* The entry of a key, made if there is none; NULL if memory runs out. */
static ngram_entry *entry_of(ngram_table *t, uint64_t key) {
  if (2 * t->used >= t->room && !grow(t)) return NULL;
  ngram_entry *e = place(t, key);
  if (!e->key) e->key = key + 1, t->used++;
  return e;
}

/* The last `length` tokens before text + end. */
static uint64_t key_of(const int *end, int length) {
  uint64_t key = 0;
  for (int i = length; i > 0; i--) key = key << 8 | (uint64_t)end[-i];
  return key;
}

static uint64_t without_oldest(uint64_t key, int length) { return key & ((1ull << 8 * (length - 1)) - 1); }

/* Counts of one length from those that are one longer: each different one of them has another token in front. */
static bool count_shorter(ngram *m, int length) {
  const ngram_table *longer = &m->table[length + 1];
  for (size_t i = 0; i < longer->room; i++) {
    if (!longer->entry[i].key || longer->entry[i].count <= 0) continue;
    ngram_entry *e = entry_of(&m->table[length], without_oldest(longer->entry[i].key - 1, length + 1));
    if (!e) return false;
    e->count++;
  }
  return true;
}

/* Sums over the last token, kept at what stands before it. */
static bool sum_followers(ngram *m, int length) {
  ngram_table *t = &m->table[length];
  double once = 0, twice = 0;
  for (size_t i = 0; i < t->room; i++) {
    if (!t->entry[i].key || t->entry[i].count <= 0) continue;
    ngram_entry *e = entry_of(&m->table[length - 1], (t->entry[i].key - 1) >> 8);
    if (!e) return false;
    e->total += t->entry[i].count;
    e->followers++;
    once += t->entry[i].count == 1, twice += t->entry[i].count == 2;
  }
  t->discount = once > 0 ? once / (once + 2 * twice) : 0.5;
  return true;
}

bool ngram_create(ngram *out, int order, int symbols, int64_t n, const int *text) {
  assert(order > 0 && order <= NGRAM_ORDER && symbols > 0 && symbols <= 256);
  ngram m = {.order = order, .symbols = symbols};
  for (int k = 0; k <= order; k++) {
    if (!grow(&m.table[k])) goto fail;
  }
  for (int64_t i = order; i <= n; i++) {
    ngram_entry *e = entry_of(&m.table[order], key_of(text + i, order));
    if (!e) goto fail;
    e->count++;
  }
  for (int k = order - 1; k > 0; k--) {
    if (!count_shorter(&m, k)) goto fail;
  }
  for (int k = order; k > 0; k--) {
    if (!sum_followers(&m, k)) goto fail;
  }
  *out = m;
  return true;
fail:
  ngram_destroy(&m);
  return false;
}

void ngram_destroy(ngram *m) {
  for (int k = 0; k <= NGRAM_ORDER; k++) {
    free(m->table[k].entry);
    m->table[k] = (ngram_table){0};
  }
}

double ngram_probability(const ngram *m, int64_t n, const int *past, int token) {
  double p = 1.0 / m->symbols;
  for (int k = 1; k <= m->order && k - 1 <= n; k++) {
    uint64_t before = key_of(past + n, k - 1);
    const ngram_entry *h = place(&m->table[k - 1], before), *hw = place(&m->table[k], before << 8 | (uint64_t)token);
    if (!h->key || h->total <= 0) break;
    double d = m->table[k].discount, count = hw->key ? hw->count : 0;
    p = fmax(count - d, 0) / h->total + d * h->followers / h->total * p;
  }
  return p;
}

double ngram_loss(const ngram *m, int64_t n, const int *text) {
  double sum = 0;
  for (int64_t t = 0; t < n; t++) sum -= log(ngram_probability(m, t, text, text[t]));
  return sum / (double)n;
}
