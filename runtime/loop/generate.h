/* Generation with key-value caches: graphs `prefill` and `decode`, sampling on the host. */
#ifndef SN_RUNTIME_LOOP_GENERATE_H
#define SN_RUNTIME_LOOP_GENERATE_H

#include "ir/base/rng.h"
#include "runtime/runtime.h"

typedef struct sn_sampling {
  double temperature; /* 0: the likeliest */
  int64_t top_k;      /* 0: all */
  double top_p;       /* 1: all */
} sn_sampling;

/* One id from logits[vocab]. Ties go to the smaller id. errors: SN_ERR_NUMERIC when no logit is finite. */
SN_MUST sn_code sn_sample(const float *logits, int64_t vocab, const sn_sampling *s, sn_rng *rng, int32_t *out);

typedef struct sn_generate_opt {
  sn_runtime *runtime;
  const sn_plan *plan;
  sn_store *store;
  sn_sampling sampling;
  uint64_t seed;
  int64_t count; /* ids to write */
  bool
      ring; /* positions may pass the context: caches are rings. Otherwise the last `context` ids are prefilled again */
  int prompt_count; /* at least 1; only the last `context` count */
  const int32_t *prompt;
  /* After each new id; returns false to stop. */
  bool (*on_id)(void *user, int32_t id);
  void *user;
} sn_generate_opt;

/* Has the plan the graphs prefill and decode (tokens i32[B, T], start i32[B]) -> logits f32[B, T, V]?
 * errors: SN_ERR_INPUT what is missing */
SN_MUST sn_code sn_generate_check(const sn_plan *p, sn_diags *diags);
/* errors: SN_ERR_USAGE an empty prompt; SN_ERR_INPUT missing graphs, a prompt id outside of the vocabulary. */
SN_MUST sn_code sn_generate(const sn_generate_opt *o, sn_diags *diags);
/* Longest sequence of the graph `prefill`, size of the vocabulary; 0 when there is no such graph. */
int64_t sn_generate_context(const sn_plan *p);
int64_t sn_generate_vocab(const sn_plan *p);

#endif
