/* Files: whole reads, private maps, atomic writes. Every message names the path and the system's reason. */
#ifndef SN_RUNTIME_IO_FILE_H
#define SN_RUNTIME_IO_FILE_H

#include <stdint.h>
#include <stdio.h>

#include "ir/base/status.h"

/* The whole of a regular file, terminated by a zero byte that does not count. owns: the caller frees *out.
 * errors: SN_ERR_INPUT cannot be read or is no regular file; SN_ERR_LIMIT more than max_bytes (expected, found) or no
 * memory. */
SN_MUST sn_code sn_file_read(const char *path, size_t max_bytes, sn_diags *diags, char **out, size_t *out_bytes);

typedef struct sn_file_map {
  const unsigned char *data; /* NULL for an empty file */
  size_t bytes;
  int opened;       /* its descriptor + 1, which shows changes; 0: nothing is mapped */
  int64_t modified; /* ns since 1970, when it was mapped */
} sn_file_map;

/* A private read-only map. Reading behind the end of a file that shrinks meanwhile raises SIGBUS. owns: the caller
 * unmaps. */
SN_MUST sn_code sn_file_map_open(const char *path, sn_diags *diags, sn_file_map *out);
void sn_file_map_close(sn_file_map *m);
/* Was the file written to, or its size changed, since it was mapped? */
bool sn_file_map_changed(const sn_file_map *m);
/* Takes the file as it is now, if its size is still the same: false when it is not. */
bool sn_file_map_renew(sn_file_map *m);

/* A file that appears whole or not at all: written under another name in the same folder, synced, renamed, folder
 * synced. A link stays, and the file that it names is replaced; a link to nothing is replaced itself. What is neither
 * file nor folder (a device, a fifo) stays as well: it is written to directly, and a write that fails leaves a part.
 * errors: SN_ERR_LIMIT disk or quota full, SN_ERR_FAIL anything else. */
typedef struct sn_file_out sn_file_out;
SN_MUST sn_code sn_file_begin(const char *path, sn_diags *diags, sn_file_out **out);
SN_MUST sn_code sn_file_write(sn_file_out *f, const void *data, size_t bytes, sn_diags *diags);
/* The file will be a program: everybody may run it whom the umask lets read it. */
void sn_file_make_program(sn_file_out *f);
/* Ends it: after SN_OK the file is in place. Frees f in any case. */
SN_MUST sn_code sn_file_commit(sn_file_out *f, sn_diags *diags);
/* Ends it and leaves the old file, if any. NULL is allowed. */
void sn_file_abandon(sn_file_out *f);

/* Could a file be written there? Leaves nothing; asks nothing of a device or a fifo.  errors: as sn_file_begin */
SN_MUST sn_code sn_file_check(const char *path, sn_diags *diags);

/* All of it at once. */
SN_MUST sn_code sn_file_write_all(const char *path, const void *data, size_t bytes, sn_diags *diags);

/* Text to a stream, called `name` in messages, and flushed. A pipe that nobody reads any more is no error: ferror
 * tells. errors: as sn_file_begin. */
SN_MUST sn_code sn_file_print(FILE *to, const char *name, const char *text, size_t bytes, sn_diags *diags);

#endif
