/* Generation: a prompt and what a model says behind it, sampled, searched by beams, or drafted by a smaller model. */
#ifndef SN_RUNTIME_LOOP_GENERATE_H
#define SN_RUNTIME_LOOP_GENERATE_H

#include "runtime/loop/sample.h"
#include "runtime/loop/speaker.h"

typedef struct sn_generate_opt {
  const sn_speaker *speaker;
  sn_sampling sampling;
  uint64_t seed;
  int64_t count; /* ids to write; beyond the context of a model that is no ring, the last ids are read again for each */
  int64_t beams; /* 0: sampling; else the best text of so many beams, by log p / ids^power */
  double power;
  const sn_speaker *draft; /* drafts `ahead` ids at a time, while the context holds them; NULL: none */
  int64_t ahead;
  int64_t *drafted; /* [2]: ids that were drafted, and kept of them; NULL: not asked */
  int prompt_count; /* at least 1; only the last `context` count */
  const int32_t *prompt;
  /* After each new id; returns false to stop. */
  bool (*on_id)(void *user, int32_t id);
  void *user;
} sn_generate_opt;

/* errors: SN_ERR_USAGE an empty prompt, or one that is too long for beams; SN_ERR_INPUT a prompt id outside of the
 * vocabulary, a draft of another one; and those of the model. */
SN_MUST sn_code sn_generate(const sn_generate_opt *o, sn_diags *diags);

#endif
