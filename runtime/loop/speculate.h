/* Speculative decoding: a small model drafts tokens, the large one reads them at once and keeps what its own law
 * allows, so that texts have the law of the large model. */
#ifndef SN_RUNTIME_LOOP_SPECULATE_H
#define SN_RUNTIME_LOOP_SPECULATE_H

#include "runtime/loop/sample.h"
#include "runtime/loop/speaker.h"

typedef struct sn_speculation {
  const sn_speaker *target, *draft; /* of one vocabulary */
  sn_sampling sampling;             /* of both */
  int64_t ahead;                    /* tokens that are drafted, at least 1 */
  int64_t drafted, kept;            /* so far */
  /* scratch, of sn_speculation_begin */
  double *law;     /* [ahead + 1, vocab]: laws of the draft, and one of the target */
  float *logits;   /* [ahead + 1, vocab] */
  int32_t *tokens; /* [ahead + 1] */
  sn_chance *chance;
  int64_t known; /* ids that the draft has read */
} sn_speculation;

/* The scratch of one that is filled in.   errors: SN_ERR_LIMIT memory */
SN_MUST sn_code sn_speculation_begin(sn_speculation *s, sn_diags *diags);
void sn_speculation_end(sn_speculation *s);

/* Writes 1 to ahead + 1 ids behind ids [count], all but the last of which the target has read. At most `room` are
 * drafted; neither model reads beyond count + room.
 *   errors: SN_ERR_NUMERIC no logit is finite, and those of the models */
SN_MUST sn_code sn_speculation_next(sn_speculation *s, int64_t room, int32_t *ids, int64_t count, sn_rng *rng,
                                    int64_t *out_written, sn_diags *diags);

#endif
