/* Tokenizers: text <-> ids. Bytes, or the distinct characters of a training text. */
#ifndef SN_RUNTIME_IO_TOKENIZER_H
#define SN_RUNTIME_IO_TOKENIZER_H

#include <stdint.h>

#include "ir/base/status.h"
#include "ir/base/str.h"

typedef struct sn_tokenizer sn_tokenizer;

/* Ids 0..255 are the bytes. owns: arena, as all of them. */
sn_tokenizer *sn_tokenizer_byte(sn_arena *arena);
/* One id per distinct code point of a UTF-8 text, in order of code points.
 * errors: SN_ERR_INPUT text that is not UTF-8 (with the position), or empty. */
SN_MUST sn_code sn_tokenizer_char(sn_arena *arena, sn_diags *diags, const char *text, size_t bytes, sn_tokenizer **out);
int sn_tokenizer_vocab(const sn_tokenizer *t);
/* "byte", "char" */
const char *sn_tokenizer_type(const sn_tokenizer *t);

/* Ids of a text. owns: the caller frees *out_ids.  errors: SN_ERR_INPUT a character without id, with line and column in
 * `what`; SN_ERR_LIMIT memory. */
SN_MUST sn_code sn_tokenizer_encode(const sn_tokenizer *t, sn_diags *diags, const char *what, const char *text,
                                    size_t bytes, int32_t **out_ids, int64_t *out_count);
/* Bytes of one id; NULL when id is out of range. */
const char *sn_tokenizer_piece(const sn_tokenizer *t, int32_t id, int *out_bytes);

/* tokenizer.json: {"type": "char", "vocab": ["\n", " ", ...]} */
void sn_tokenizer_print(sn_text *out, const sn_tokenizer *t);
SN_MUST sn_code sn_tokenizer_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes,
                                   sn_tokenizer **out);

#endif
