/* What a native executable carries behind its code: plan, weights, tokenizer and settings of one trained model.
 *   file:  program | plan, or plans (runtime/io/levels.h) | weights (.safetensors) | tokenizer.json | settings.json |
 * trailer Every section starts at a multiple of 64 bytes. */
#ifndef SN_RUNTIME_IO_PAYLOAD_H
#define SN_RUNTIME_IO_PAYLOAD_H

#include <stdint.h>

#include "ir/base/status.h"
#include "runtime/io/file.h"

typedef enum sn_payload_part {
  SN_PAYLOAD_PLAN,
  SN_PAYLOAD_WEIGHTS,
  SN_PAYLOAD_TOKENIZER,
  SN_PAYLOAD_SETTINGS,
  SN_PAYLOAD_PARTS
} sn_payload_part;

typedef struct sn_payload {
  struct {
    const void *data;
    size_t bytes;
  } part[SN_PAYLOAD_PARTS];
  sn_file_map map; /* of an opened file */
} sn_payload;

/* Program and parts as one executable file, written atomically with mode 0755.
 * errors: SN_ERR_LIMIT with path and reason. */
SN_MUST sn_code sn_payload_write(const char *path, const void *program, size_t program_bytes, const sn_payload *p,
                                 sn_diags *diags);
/* Maps an executable and finds its parts. errors: SN_ERR_INPUT when there are none, or they are damaged (checksum). */
SN_MUST sn_code sn_payload_open(const char *path, sn_diags *diags, sn_payload *out);
void sn_payload_close(sn_payload *p);

#endif
