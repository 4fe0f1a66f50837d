/* Parameter counts of published models, tensor by tensor, from their papers and configurations: a model that misses a
 * bias, a norm, a tie or a shared head does not reach the number. */
#ifndef ORACLES_PARAMS_H
#define ORACLES_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum params_kind {
  PARAMS_TRANSFORMER, /* encoder, decoder or both */
  PARAMS_MAMBA,
  PARAMS_MAMBA2,
} params_kind;

typedef struct params_config {
  const char *name;
  params_kind kind;
  int64_t published; /* the count to reach */
  int64_t vocabulary, width;
  int64_t encoder, decoder;         /* layers; Mamba: decoder */
  int64_t heads, key_heads;         /* of queries; of keys and values */
  int64_t head_width;               /* 0: width / heads */
  int64_t hidden;                   /* of the feed-forward part; Mamba: inner width */
  int64_t positions;                /* learned ones; 0: none. With encoder and decoder: of each */
  int64_t segments, buckets;        /* learned segments; buckets of T5's relative bias, one table for each stack */
  int64_t state, groups, step_rank; /* Mamba: state per channel, groups of B and C, rank of the step's projection */
  bool biases;                      /* linear layers have them */
  bool shift;                       /* norms have a bias */
  bool gated;                       /* three matrices in the feed-forward part */
  bool tied;                        /* the head is the embedding */
  bool embedding_norm, final_norm;  /* a norm behind the embeddings, behind each stack */
  bool pooler;                      /* BERT's */
} params_config;

/* One row for each published configuration; the last has no name. */
extern const params_config params_table[];

const params_config *params_find(const char *name);

/* A tensor [rows, columns] (columns 1: a vector) that occurs `times`. */
typedef void params_visit(void *user, const char *tensor, int64_t rows, int64_t columns, int64_t times);

void params_list(const params_config *c, params_visit *visit, void *user);
int64_t params_count(const params_config *c);

/* Numbers in a cache of keys and values of `tokens` tokens. `shared`: layers whose caches are the one of the layer
 * before. */
int64_t params_cache(const params_config *c, int64_t tokens, int64_t shared);

#endif
