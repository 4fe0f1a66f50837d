/* What the loops of this folder ask of a language model, whoever runs it. */
#ifndef SN_RUNTIME_LOOP_SPEAKER_H
#define SN_RUNTIME_LOOP_SPEAKER_H

#include <stdint.h>

#include "ir/base/status.h"

typedef struct sn_speaker {
  void *user;
  int64_t vocab;
  int64_t context; /* positions that its caches hold */
  bool ring;       /* positions may go on beyond them */
  /* Reads `count` tokens at the positions start.. of each of `rows` sequences, behind what was read before. Positions
   * that were read already are read again: that is how a sequence is cut.
   *   shape: tokens [rows, count], start [rows] -> logits [rows, count, vocab] */
  SN_MUST sn_code (*read)(void *user, int64_t rows, int64_t count, const int32_t *tokens, const int32_t *start,
                          float *logits, sn_diags *diags);
  /* Sequence i goes on from what sequence parent[i] was. NULL: it has one sequence only. */
  SN_MUST sn_code (*reorder)(void *user, int64_t rows, const int32_t *parent, sn_diags *diags);
} sn_speaker;

#endif
