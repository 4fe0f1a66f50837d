/* Tokens of texts, and the windows of each step. Bytes stay where they are (a mapped file costs no memory); ids of
 * other tokenizers are kept in 16 bits where the vocabulary allows it. */
#include "runtime/io/dataset.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ir/base/rng.h"

/* One part of the sequence. Exactly one of the pointers is set. */
typedef struct piece {
  const unsigned char *bytes; /* borrowed */
  uint16_t *small;
  int32_t *ids;
  int64_t start, count; /* tokens */
  uint64_t hash;        /* of the text */
} piece;

struct sn_dataset {
  piece *piece;
  int piece_count;
  int64_t count, train; /* tokens in all, tokens for training */
  int64_t window;
  uint64_t hash;
};

static bool is_bytes(const sn_tokenizer *t) { return !strcmp(sn_tokenizer_type(t), "byte"); }

static sn_code no_memory(sn_diags *diags, int64_t tokens) {
  return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory for %lld tokens", (long long)tokens);
}

/* Ids below 2^16 in half the memory. takes: ids. */
static void narrow(piece *p, int32_t *ids) {
  p->small = malloc(((size_t)p->count + 1) * sizeof *p->small);
  if (!p->small) {
    p->ids = ids;
    return;
  }
  for (int64_t i = 0; i < p->count; i++) p->small[i] = (uint16_t)ids[i];
  free(ids);
}

static sn_code add_part(sn_dataset *d, sn_diags *diags, const sn_tokenizer *t, const sn_dataset_part *part) {
  piece *p = &d->piece[d->piece_count];
  *p = (piece){.start = d->count, .count = (int64_t)part->bytes, .hash = XXH3_64bits(part->text, part->bytes)};
  d->hash = sn_hash_bytes(&p->hash, sizeof p->hash, d->hash);
  if (is_bytes(t)) {
    p->bytes = (const unsigned char *)part->text;
  } else {
    int32_t *ids;
    SN_TRY(sn_tokenizer_encode(t, diags, part->name, part->text, part->bytes, &ids, &p->count));
    if (sn_tokenizer_vocab(t) <= UINT16_MAX)
      narrow(p, ids);
    else
      p->ids = ids;
  }
  d->piece_count++;
  d->count += p->count;
  return SN_OK;
}

static int32_t id_at(const piece *p, int64_t i) { return p->bytes ? p->bytes[i] : p->small ? p->small[i] : p->ids[i]; }

static sn_code check_ids(const sn_dataset *d, sn_diags *diags, const sn_tokenizer *t, int64_t vocab) {
  if (sn_tokenizer_vocab(t) <= vocab) return SN_OK;
  for (int k = 0; k < d->piece_count; k++) {
    const piece *p = &d->piece[k];
    for (int64_t i = 0; i < p->count; i++) {
      if (id_at(p, i) < vocab) continue;
      sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "token %lld of the data is outside of the model's vocabulary",
              (long long)(p->start + i));
      sn_fail_expected(diags, "ids from 0 to %lld (setting vocab)", (long long)vocab - 1);
      sn_fail_found(diags, "%d", id_at(p, i));
      return SN_ERR_INPUT;
    }
  }
  return SN_OK;
}

static sn_code too_short(sn_diags *diags, const char *part, int64_t window, int64_t found) {
  sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "the %s data is too short for one window", part);
  sn_fail_expected(diags, "at least %lld tokens (context + 1)", (long long)window + 1);
  sn_fail_found(diags, "%lld", (long long)found);
  return SN_ERR_INPUT;
}

/* Are the parts long enough to be read? */
static sn_code check_lengths(const sn_dataset *d, sn_diags *diags, double val_fraction) {
  int64_t val = d->count - d->train, one = val_fraction < 1 ? d->window : 1;
  if (val_fraction < 1 && d->train < d->window + 1) return too_short(diags, "training", d->window, d->train);
  return val_fraction > 0 && val < one + 1 ? too_short(diags, "validation", one, val) : SN_OK;
}

static sn_code fill(sn_dataset *d, sn_diags *diags, const sn_tokenizer *t, int count, const sn_dataset_part *parts,
                    double val_fraction, int64_t vocab) {
  for (int i = 0; i < count; i++) SN_TRY(add_part(d, diags, t, &parts[i]));
  if (!d->count)
    return sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = count ? parts[0].name : NULL}, "the data is empty");
  SN_TRY(check_ids(d, diags, t, vocab));
  d->train = (int64_t)((double)d->count * (1 - val_fraction));
  return check_lengths(d, diags, val_fraction);
}

sn_code sn_dataset_create(sn_diags *diags, const sn_tokenizer *t, int count, const sn_dataset_part *parts,
                          double val_fraction, int64_t window, int64_t vocab, sn_dataset **out) {
  sn_dataset *d = calloc(1, sizeof *d);
  if (!d) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory for the data");
  d->window = window;
  d->piece = calloc((size_t)count + 1, sizeof *d->piece);
  if (!d->piece) {
    free(d);
    return no_memory(diags, 0);
  }
  sn_code code = fill(d, diags, t, count, parts, val_fraction, vocab);
  if (code)
    sn_dataset_destroy(d);
  else
    *out = d;
  return code;
}

void sn_dataset_destroy(sn_dataset *d) {
  if (!d) return;
  for (int i = 0; i < d->piece_count; i++) {
    free(d->piece[i].small);
    free(d->piece[i].ids);
  }
  free(d->piece);
  free(d);
}

int64_t sn_dataset_train_count(const sn_dataset *d) { return d->train; }
int64_t sn_dataset_val_count(const sn_dataset *d) { return d->count - d->train; }
uint64_t sn_dataset_hash(const sn_dataset *d) { return d->hash; }
uint64_t sn_dataset_part_hash(const sn_dataset *d, int part) { return d->piece[part].hash; }
bool sn_dataset_borrows(const sn_dataset *d) { return d->piece[0].bytes != NULL; }

bool sn_dataset_part_same(const sn_dataset *d, int part, const void *text, size_t bytes) {
  return XXH3_64bits(text, bytes) == d->piece[part].hash;
}

/* count ids from position `start` on, across parts. */
static void copy_ids(const sn_dataset *d, int64_t start, int64_t count, int32_t *out) {
  for (int k = 0; k < d->piece_count && count; k++) {
    const piece *p = &d->piece[k];
    for (; count && start < p->start + p->count; start++, count--) *out++ = id_at(p, start - p->start);
  }
}

static void copy_part(const sn_dataset *d, int64_t start, int64_t count, int32_t *tokens, int32_t *targets) {
  copy_ids(d, start, count, tokens);
  copy_ids(d, start + 1, count, targets);
}

/* A permutation of [0, n): four Feistel rounds over the next even power of two, walked until inside.
 *   source: Black & Rogaway 2002, "Ciphers with arbitrary finite domains", section 4 */
static uint64_t permute(uint64_t i, uint64_t n, uint64_t key) {
  int half = 1;
  while (half < 31 && (UINT64_C(1) << (2 * half)) < n) half++;
  uint64_t mask = (UINT64_C(1) << half) - 1;
  do {
    uint64_t left = i >> half, right = i & mask;
    for (uint32_t round = 0; round < 4; round++) {
      uint32_t out[4], counter[4] = {(uint32_t)right, round, 0x5eed, 0}, k[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
      sn_philox(counter, k, out);
      uint64_t next = left ^ (out[0] & mask);
      left = right, right = next;
    }
    i = left << half | right;
  } while (i >= n);
  return i;
}

void sn_dataset_train_row(const sn_dataset *d, uint64_t seed, int64_t step, int64_t batch, int64_t row, int32_t *tokens,
                          int32_t *targets) {
  uint64_t starts = (uint64_t)(d->train - d->window), position = (uint64_t)step * (uint64_t)batch + (uint64_t)row;
  uint64_t epoch = position / starts, key = sn_hash_bytes(&epoch, sizeof epoch, seed);
  copy_part(d, (int64_t)permute(position % starts, starts, key), d->window, tokens, targets);
}

int64_t sn_dataset_val_rows(const sn_dataset *d) {
  int64_t count = d->count - d->train;
  return count > d->window ? (count - 1) / d->window : 0;
}

void sn_dataset_val_row(const sn_dataset *d, int64_t row, int32_t *tokens, int32_t *targets) {
  copy_part(d, d->train + row * d->window, d->window, tokens, targets);
}

void sn_dataset_val_part(const sn_dataset *d, int64_t start, int64_t count, int32_t *tokens, int32_t *targets) {
  copy_part(d, d->train + start, count, tokens, targets);
}
