/* A trained model ready to generate: from the four parts that a run folder or an executable holds. */
#ifndef SN_RUNTIME_LOOP_SERVING_H
#define SN_RUNTIME_LOOP_SERVING_H

#include "runtime/io/payload.h"
#include "runtime/io/settings.h"
#include "runtime/io/tokenizer.h"
#include "runtime/loop/generate.h"
#include "runtime/loop/voice.h"

typedef struct sn_serving {
  sn_arena *arena;
  sn_plan *plan;
  sn_tokenizer *tokenizer;
  sn_run_settings settings;
  sn_runtime *runtime;
  sn_store *store;
} sn_serving;

/* plan: one that is compiled already, or NULL: read from the part. opt: hooks and threads. sequences: that its caches
 * hold.
 * keeps: the plan, and the map of an executable's parts: the weights are used where they lie. errors: those of the
 * parts; SN_ERR_DEVICE when the code does not run on this host. */
SN_MUST sn_code sn_serving_open(const sn_payload *parts, sn_plan *plan, const sn_runtime_opt *opt, int64_t sequences,
                                sn_diags *diags, sn_serving *out);
void sn_serving_close(sn_serving *s);

/* Continues a text: on_text gets the bytes of each new token (which may be part of a character).
 *   errors: those of the tokenizer and of sn_generate */
typedef struct sn_continue_opt {
  const char *prompt;
  int64_t tokens;
  sn_sampling sampling;
  uint64_t seed;
  int64_t beams; /* as in sn_generate_opt; the serving needs as many sequences */
  double power;
  sn_serving *draft; /* another model with the same tokens; NULL: none */
  int64_t ahead;
  int64_t *drafted;
  bool (*on_text)(void *user, int32_t id, const char *text, int bytes);
  void *user;
} sn_continue_opt;
SN_MUST sn_code sn_serving_continue(sn_serving *s, const sn_continue_opt *o, sn_diags *diags);

#endif
