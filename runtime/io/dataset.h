/* Training data: one sequence of token ids, split into training and validation, read in windows.
 * Which windows a step sees is a function of (seed, step, row) only: resuming needs nothing but the step. */
#ifndef SN_RUNTIME_IO_DATASET_H
#define SN_RUNTIME_IO_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/io/tokenizer.h"

typedef struct sn_dataset sn_dataset;

typedef struct sn_dataset_part { /* a text in memory */
  const char *name;              /* for messages */
  const char *text;
  size_t bytes;
} sn_dataset_part;

/* keeps: texts of a byte tokenizer, until the dataset is destroyed (they may be mapped files: only what is read is in
 * memory). Tokenizes the parts, in order, and keeps the last `val_fraction` for validation.
 * errors: SN_ERR_INPUT no text, or fewer than window + 1 tokens in the training part (or in a validation part that is
 * not empty); with val_fraction 1 (nothing to train on) fewer than two tokens; an id >= vocab (expected, found);
 * SN_ERR_LIMIT memory. */
SN_MUST sn_code sn_dataset_create(sn_diags *diags, const sn_tokenizer *t, int count, const sn_dataset_part *parts,
                                  double val_fraction, int64_t window, int64_t vocab, sn_dataset **out);
void sn_dataset_destroy(sn_dataset *d);
int64_t sn_dataset_train_count(const sn_dataset *d); /* tokens */
int64_t sn_dataset_val_count(const sn_dataset *d);
/* 64 bits of every text: what a checkpoint remembers of its data; and of one text alone. */
uint64_t sn_dataset_hash(const sn_dataset *d);
uint64_t sn_dataset_part_hash(const sn_dataset *d, int part);
/* Does the dataset read the texts themselves (else ids of its own), and do they still hold what they held? */
bool sn_dataset_borrows(const sn_dataset *d);
bool sn_dataset_part_same(const sn_dataset *d, int part, const void *text, size_t bytes);

/* Row `row` of training step `step`: tokens[0..window), targets the same shifted by one. Windows start anywhere; every
 * start is seen once per epoch, in an order that the seed decides. */
void sn_dataset_train_row(const sn_dataset *d, uint64_t seed, int64_t step, int64_t batch, int64_t row, int32_t *tokens,
                          int32_t *targets);
/* Windows of the validation part, one after another without overlap. */
int64_t sn_dataset_val_rows(const sn_dataset *d);
void sn_dataset_val_row(const sn_dataset *d, int64_t row, int32_t *tokens, int32_t *targets);
/* The `count` tokens from position `start` of the validation part, and those that follow each. */
void sn_dataset_val_part(const sn_dataset *d, int64_t start, int64_t count, int32_t *tokens, int32_t *targets);

#endif
