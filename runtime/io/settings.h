/* settings.json of a run folder: what is needed to use the model again without its source. */
#ifndef SN_RUNTIME_IO_SETTINGS_H
#define SN_RUNTIME_IO_SETTINGS_H

#include <stdint.h>

#include "ir/base/status.h"
#include "ir/base/str.h"

typedef struct sn_run_settings {
  const char *model;    /* name */
  const char *settings; /* "layers=4 heads=4 ...", as compiled */
  const char *source;   /* path of the model file when it was trained; for information */
  bool ring;            /* caches are rings: generation may pass the context */
  int64_t seed;
  const char *precision; /* "f32" or "bf16": of the operands of products */
  int64_t ids;           /* of the tokenizer that it was trained with; 0: unknown */
} sn_run_settings;

void sn_run_settings_print(sn_text *out, const sn_run_settings *s);
/* owns: strings in arena. errors: SN_ERR_INPUT not JSON, a member missing or of another type. */
SN_MUST sn_code sn_run_settings_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text,
                                      size_t bytes, sn_run_settings *out);

/* Is this the tokenizer of the model? ids: how many it has; logits: of one token, 0: unknown.
 * errors: SN_ERR_INPUT it has other ids than it was trained with, or more than there are logits */
SN_MUST sn_code sn_run_settings_check_ids(const sn_run_settings *s, sn_diags *diags, const char *file, int64_t ids,
                                          int64_t logits);

#endif
