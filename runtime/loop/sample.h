/* How the next token is chosen: the law of the next token under temperature, top-k and top-p, draws from it, and what
 * speculative decoding keeps of a draft. */
#ifndef SN_RUNTIME_LOOP_SAMPLE_H
#define SN_RUNTIME_LOOP_SAMPLE_H

#include <stdbool.h>

#include "ir/base/rng.h"
#include "ir/base/status.h"

typedef struct sn_sampling {
  double temperature; /* 0: the likeliest */
  int64_t top_k;      /* 0: all */
  double top_p;       /* 1: all */
} sn_sampling;

typedef struct sn_chance {
  double p;
  int32_t id;
} sn_chance;

/* The ids that may come next, the likeliest first (of equals the smaller id), with weights p, and *out_sum of them.
 * Temperature first, then the top_k likeliest, then the fewest of those whose share reaches top_p.
 *   shape:  logits [vocab] -> out [vocab], of which *out_count are ids that may come
 *   errors: SN_ERR_NUMERIC no logit is finite */
SN_MUST sn_code sn_law(const float *logits, int64_t vocab, const sn_sampling *s, sn_chance *out, int64_t *out_count,
                       double *out_sum);
/* The same as probabilities by id, out [vocab].  scratch: [vocab] */
SN_MUST sn_code sn_law_by_id(const float *logits, int64_t vocab, const sn_sampling *s, sn_chance *scratch, double *out);
/* One id from a law. */
int32_t sn_law_draw(const sn_chance *law, int64_t count, double sum, sn_rng *rng);

/* One id from logits[vocab].  errors: SN_ERR_NUMERIC, and SN_ERR_LIMIT memory */
SN_MUST sn_code sn_sample(const float *logits, int64_t vocab, const sn_sampling *s, sn_rng *rng, int32_t *out);

/* *id was drawn from `draft` [vocab]; where `target` has less of it, it is kept with probability target / draft, and
 * else replaced by a draw from max(0, target - draft): so that *id is one from `target`.   -> whether it was kept
 *   source: Leviathan, Kalman, Matias 2023, algorithm 1 */
bool sn_speculate(const double *target, const double *draft, int64_t vocab, sn_rng *rng, int32_t *id);

#endif
