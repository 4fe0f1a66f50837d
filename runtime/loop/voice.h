/* A plan with key-value caches, graphs `prefill` and `decode`, as a model that speaks. */
#ifndef SN_RUNTIME_LOOP_VOICE_H
#define SN_RUNTIME_LOOP_VOICE_H

#include "runtime/loop/speaker.h"
#include "runtime/runtime.h"

typedef struct sn_voice {
  sn_runtime *runtime;
  sn_store *store;
  bool ring; /* positions may pass the context: caches are rings */
} sn_voice;
/* keeps: v.   needs: sn_generate_check */
sn_speaker sn_voice_speaker(sn_voice *v);

/* Has the plan the graphs prefill and decode (tokens i32[B, T], start i32[B]) -> logits f32[B, T, V]?
 * errors: SN_ERR_INPUT what is missing */
SN_MUST sn_code sn_generate_check(const sn_plan *p, sn_diags *diags);
/* Longest sequence of the graph `prefill`, size of the vocabulary; 0 when there is no such graph. */
int64_t sn_generate_context(const sn_plan *p);
int64_t sn_generate_vocab(const sn_plan *p);

#endif
