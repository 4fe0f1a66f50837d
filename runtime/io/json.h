/* JSON of files: jansson behind limits. Nesting is bounded before parsing, duplicate keys are refused. */
#ifndef SN_RUNTIME_IO_JSON_H
#define SN_RUNTIME_IO_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "ir/base/status.h"
#include "ir/base/str.h"

enum { SN_JSON_DEPTH = 64 };

/* owns: arena (NULL: SN_ERR_LIMIT), all of it: there is nothing to json_decref. flags: of jansson, beside the refusal
 * of duplicate keys. errors: SN_ERR_INPUT with line and column.   needs: to run inside sn_protect, as the arena does */
SN_MUST sn_code sn_json_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes,
                              size_t flags, json_t **out);
/* Members of a type; SN_ERR_INPUT names the member. Integers in min..max. owns: borrowed from the object. */
SN_MUST sn_code sn_json_int(sn_diags *diags, const char *file, const json_t *object, const char *name, int64_t min,
                            int64_t max, int64_t *out);
SN_MUST sn_code sn_json_string(sn_diags *diags, const char *file, const json_t *object, const char *name,
                               const char **out);
/* A 64-bit pattern as 16 hexadecimal digits. */
SN_MUST sn_code sn_json_hex(sn_diags *diags, const char *file, const json_t *object, const char *name, uint64_t *out);
/* Text of a string literal, quotes included; bytes that are no UTF-8 become U+FFFD. */
void sn_json_quote(sn_text *out, const char *s);

#endif
