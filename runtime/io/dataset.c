/* Token ids in memory, and the windows of each step. */
#include "runtime/io/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "ir/base/rng.h"

struct sn_dataset {
  int32_t *ids;
  int64_t count, train; /* tokens in all, tokens for training */
  int64_t window;
  uint64_t hash;
};

static sn_code append(sn_dataset *d, sn_diags *diags, int32_t *ids, int64_t count) {
  int32_t *more = realloc(d->ids, (size_t)(d->count + count + 1) * sizeof *ids);
  if (!more)
    return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory for %lld tokens", (long long)(d->count + count));
  d->ids = more;
  memcpy(d->ids + d->count, ids, (size_t)count * sizeof *ids);
  d->count += count;
  return SN_OK;
}

static sn_code add_part(sn_dataset *d, sn_diags *diags, const sn_tokenizer *t, const sn_dataset_part *p) {
  int32_t *ids;
  int64_t count;
  SN_TRY(sn_tokenizer_encode(t, diags, p->name, p->text, p->bytes, &ids, &count));
  sn_code code = append(d, diags, ids, count);
  free(ids);
  return code;
}

static sn_code check_ids(const sn_dataset *d, sn_diags *diags, int64_t vocab) {
  for (int64_t i = 0; i < d->count; i++) {
    if (d->ids[i] >= 0 && d->ids[i] < vocab) continue;
    sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "token %lld of the data is outside of the model's vocabulary",
            (long long)i);
    sn_fail_expected(diags, "ids from 0 to %lld (setting vocab)", (long long)vocab - 1);
    sn_fail_found(diags, "%d", d->ids[i]);
    return SN_ERR_INPUT;
  }
  return SN_OK;
}

static sn_code too_short(sn_diags *diags, const char *part, int64_t window, int64_t found) {
  sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "the %s data is too short for one window", part);
  sn_fail_expected(diags, "at least %lld tokens (context + 1)", (long long)window + 1);
  sn_fail_found(diags, "%lld", (long long)found);
  return SN_ERR_INPUT;
}

static sn_code fill(sn_dataset *d, sn_diags *diags, const sn_tokenizer *t, int count, const sn_dataset_part *parts,
                    double val_fraction, int64_t vocab) {
  for (int i = 0; i < count; i++) SN_TRY(add_part(d, diags, t, &parts[i]));
  if (!d->count)
    return sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = count ? parts[0].name : NULL}, "the data is empty");
  SN_TRY(check_ids(d, diags, vocab));
  d->train = (int64_t)((double)d->count * (1 - val_fraction));
  d->hash = sn_hash_bytes(d->ids, (size_t)d->count * sizeof *d->ids, 0);
  if (d->train < d->window + 1) return too_short(diags, "training", d->window, d->train);
  if (val_fraction > 0 && d->count - d->train < d->window + 1)
    return too_short(diags, "validation", d->window, d->count - d->train);
  return SN_OK;
}

sn_code sn_dataset_create(sn_diags *diags, const sn_tokenizer *t, int count, const sn_dataset_part *parts,
                          double val_fraction, int64_t window, int64_t vocab, sn_dataset **out) {
  sn_dataset *d = calloc(1, sizeof *d);
  if (!d) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory for the data");
  d->window = window;
  sn_code code = fill(d, diags, t, count, parts, val_fraction, vocab);
  if (code)
    sn_dataset_destroy(d);
  else
    *out = d;
  return code;
}

void sn_dataset_destroy(sn_dataset *d) {
  if (d) free(d->ids);
  free(d);
}

int64_t sn_dataset_train_count(const sn_dataset *d) { return d->train; }
int64_t sn_dataset_val_count(const sn_dataset *d) { return d->count - d->train; }
uint64_t sn_dataset_hash(const sn_dataset *d) { return d->hash; }

static void copy_row(const sn_dataset *d, int64_t start, int32_t *tokens, int32_t *targets) {
  memcpy(tokens, d->ids + start, (size_t)d->window * sizeof *tokens);
  memcpy(targets, d->ids + start + 1, (size_t)d->window * sizeof *targets);
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
  copy_row(d, (int64_t)permute(position % starts, starts, key), tokens, targets);
}

int64_t sn_dataset_val_rows(const sn_dataset *d) {
  int64_t count = d->count - d->train;
  return count > d->window ? (count - 1) / d->window : 0;
}

void sn_dataset_val_row(const sn_dataset *d, int64_t row, int32_t *tokens, int32_t *targets) {
  copy_row(d, d->train + row * d->window, tokens, targets);
}
