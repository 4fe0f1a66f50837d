/* Private to checkpoints: one file as bytes. */
#ifndef SN_RUNTIME_IO_CHECKPOINT_FILE_H
#define SN_RUNTIME_IO_CHECKPOINT_FILE_H

#include "runtime/io/checkpoint.h"
#include "runtime/io/file.h"

typedef struct sn_checkpoint_tensor {
  const char *name;
  sn_elem elem;
  const void *data; /* in the image */
  int64_t bytes;
} sn_checkpoint_tensor;

typedef struct sn_checkpoint_file {
  sn_checkpoint_info info;
  sn_tally tally;
  int count;
  sn_checkpoint_tensor *tensor; /* by name, ascending */
} sn_checkpoint_file;

/* The text that begins the file.   owns: arena */
sn_text sn_checkpoint_header(sn_arena *arena, sn_store *s, const sn_plan *p, const sn_checkpoint_info *info);
/* Asks for no memory of an arena: the open file would be lost with it. */
SN_MUST sn_code sn_checkpoint_write(sn_file_out *f, const sn_text *header, sn_store *s, const sn_plan *p,
                                    sn_diags *diags);
/* Checks everything: magic, checksum, header, spans. owns: strings and table in `arena`, data in the image. */
SN_MUST sn_code sn_checkpoint_parse(sn_arena *arena, sn_diags *diags, const char *file, const void *data, size_t bytes,
                                    sn_checkpoint_file *out);
const sn_checkpoint_tensor *sn_checkpoint_find(const sn_checkpoint_file *c, const char *name);

#endif
