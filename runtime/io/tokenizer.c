/* Text <-> ids, and tokenizer.json. */
#include "runtime/io/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/io/json.h"

enum { POINTS = 0x110000, VOCAB_MAX = 4 << 20 };

typedef struct piece {
  char at[5];
  int bytes;
} piece;

struct sn_tokenizer {
  bool chars;
  int vocab;
  piece *piece;   /* by id */
  int32_t *id_of; /* by code point below `points`, -1: none; NULL for bytes */
  int32_t points;
};

sn_tokenizer *sn_tokenizer_byte(sn_arena *arena) {
  sn_tokenizer *t = SN_NEW(arena, sn_tokenizer);
  t->vocab = 256;
  t->piece = SN_ARRAY(arena, 256, piece);
  for (int i = 0; i < 256; i++) t->piece[i] = (piece){{(char)i}, 1};
  return t;
}

int sn_tokenizer_vocab(const sn_tokenizer *t) { return t->vocab; }
const char *sn_tokenizer_type(const sn_tokenizer *t) { return t->chars ? "char" : "byte"; }

/* The code point at s (`left` bytes remain), its length in *used; -1: not UTF-8 (overlong and surrogate forms
 * included). source: RFC 3629, section 4 */
static int32_t decode(const unsigned char *s, size_t left, int *used) {
  static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  int n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  if (s[0] < 0x80) return *used = 1, s[0];
  if (s[0] < 0xc2 || s[0] > 0xf4 || (size_t)n > left) return -1;
  int32_t point = s[0] & (0x7f >> n);
  for (int i = 1; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80) return -1;
    point = point << 6 | (s[i] & 0x3f);
  }
  if (point < least[n] || point >= POINTS || (point >= 0xd800 && point < 0xe000)) return -1;
  *used = n;
  return point;
}

static piece encode(int32_t p) {
  if (p < 0x80) return (piece){{(char)p}, 1};
  if (p < 0x800) return (piece){{(char)(0xc0 | p >> 6), (char)(0x80 | (p & 63))}, 2};
  if (p < 0x10000) return (piece){{(char)(0xe0 | p >> 12), (char)(0x80 | (p >> 6 & 63)), (char)(0x80 | (p & 63))}, 3};
  return (piece){
      {(char)(0xf0 | p >> 18), (char)(0x80 | (p >> 12 & 63)), (char)(0x80 | (p >> 6 & 63)), (char)(0x80 | (p & 63))},
      4};
}

/* "file:line:column" of byte `at` */
static sn_loc place(const char *what, const char *text, size_t at) {
  sn_loc loc = {.file = what, .line = 1, .column = 1};
  for (size_t i = 0; i < at; i++) {
    if (text[i] == '\n')
      loc.line++, loc.column = 1;
    else if (((unsigned char)text[i] & 0xc0) != 0x80)
      loc.column++;
  }
  return loc;
}

/* points: one above the last that was seen */
static sn_tokenizer *new_char(sn_arena *arena, const bool *seen, int32_t points) {
  sn_tokenizer *t = SN_NEW(arena, sn_tokenizer);
  t->chars = true;
  t->points = points;
  for (int32_t p = 0; p < points; p++) t->vocab += seen[p];
  t->piece = SN_ARRAY(arena, t->vocab + 1, piece);
  t->id_of = SN_ARRAY(arena, points, int32_t);
  int id = 0;
  for (int32_t p = 0; p < points; p++) {
    t->id_of[p] = seen[p] ? id : -1;
    if (seen[p]) t->piece[id++] = encode(p);
  }
  return t;
}

sn_code sn_tokenizer_char(sn_arena *arena, sn_diags *diags, const char *text, size_t bytes, sn_tokenizer **out) {
  bool *seen = SN_ARRAY(arena, POINTS, bool);
  int32_t points = 0;
  if (!bytes) return sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "a character tokenizer needs text, found none");
  for (size_t at = 0; at < bytes;) {
    int used;
    int32_t p = decode((const unsigned char *)text + at, bytes - at, &used);
    if (p < 0)
      return sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "byte %zu of the text is not UTF-8; use --tokenizer byte", at);
    seen[p] = true;
    if (p >= points) points = p + 1;
    at += (size_t)used;
  }
  *out = new_char(arena, seen, points);
  return SN_OK;
}

static sn_code encode_chars(const sn_tokenizer *t, sn_diags *diags, const char *what, const char *text, size_t bytes,
                            int32_t *ids, int64_t *count) {
  for (size_t at = 0; at < bytes;) {
    int used = 1;
    int32_t p = decode((const unsigned char *)text + at, bytes - at, &used);
    if (p < 0)
      return sn_fail(diags, SN_ERR_INPUT, place(what, text, at), "byte 0x%02x is not UTF-8", (unsigned char)text[at]);
    if (p >= t->points || t->id_of[p] < 0) {
      sn_fail(diags, SN_ERR_INPUT, place(what, text, at),
              "character '%.*s' (U+%04X) is not in the vocabulary of the model", used, text + at, (unsigned)p);
      sn_fail_expected(diags, "one of the %d characters of its training text", t->vocab);
      return SN_ERR_INPUT;
    }
    ids[(*count)++] = t->id_of[p];
    at += (size_t)used;
  }
  return SN_OK;
}

sn_code sn_tokenizer_encode(const sn_tokenizer *t, sn_diags *diags, const char *what, const char *text, size_t bytes,
                            int32_t **out_ids, int64_t *out_count) {
  int32_t *ids = malloc((bytes + 1) * sizeof *ids);
  int64_t count = 0;
  if (!ids) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory for %zu tokens", bytes);
  if (t->chars) {
    sn_code code = encode_chars(t, diags, what, text, bytes, ids, &count);
    if (code) {
      free(ids);
      return code;
    }
  } else {
    for (size_t i = 0; i < bytes; i++) ids[count++] = (unsigned char)text[i];
  }
  *out_ids = ids;
  *out_count = count;
  return SN_OK;
}

const char *sn_tokenizer_piece(const sn_tokenizer *t, int32_t id, int *out_bytes) {
  if (id < 0 || id >= t->vocab) return NULL;
  *out_bytes = t->piece[id].bytes;
  return t->piece[id].at;
}

static void json_char(sn_text *out, const piece *p) {
  unsigned char b = (unsigned char)p->at[0];
  if (b == '"' || b == '\\')
    sn_text_add(out, "\"\\%c\"", b);
  else if (b < 0x20)
    sn_text_add(out, "\"\\u%04x\"", b);
  else
    sn_text_add(out, "\"%.*s\"", p->bytes, p->at);
}

void sn_tokenizer_print(sn_text *out, const sn_tokenizer *t) {
  sn_text_add(out, "{\"type\": \"%s\"", sn_tokenizer_type(t));
  for (int i = 0; t->chars && i < t->vocab; i++) {
    sn_text_add(out, i ? ", " : ", \"vocab\": [");
    json_char(out, &t->piece[i]);
  }
  sn_text_add(out, t->chars ? "]}\n" : "}\n");
}

/* A vocabulary entry must be one character, each once, ascending. */
static sn_code parse_vocab(sn_arena *arena, sn_diags *diags, const char *file, const json_t *list, sn_tokenizer **out) {
  bool *seen = SN_ARRAY(arena, POINTS, bool);
  int32_t last = -1;
  if (!json_is_array(list) || !json_array_size(list) || json_array_size(list) > VOCAB_MAX)
    return sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file}, "\"vocab\" must be a list of 1 to %d characters",
                   VOCAB_MAX);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *entry = json_array_get(list, i);
    int used = 0;
    int32_t p = json_is_string(entry) && json_string_length(entry)
                    ? decode((const unsigned char *)json_string_value(entry), json_string_length(entry), &used)
                    : -1;
    if (p <= last || (size_t)used != json_string_length(entry))
      return sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file},
                     "entry %zu of \"vocab\" is not one character above the one before", i);
    seen[last = p] = true;
  }
  *out = new_char(arena, seen, last + 1);
  return SN_OK;
}

sn_code sn_tokenizer_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes,
                           sn_tokenizer **out) {
  json_t *root;
  sn_arena *own = sn_arena_scratch();
  sn_code code = sn_json_parse(own, diags, file, text, bytes, JSON_ALLOW_NUL, &root);
  const char *type = code ? NULL : json_string_value(json_object_get(root, "type"));
  if (!code && type && !strcmp(type, "byte"))
    *out = sn_tokenizer_byte(arena);
  else if (!code && type && !strcmp(type, "char"))
    code = parse_vocab(arena, diags, file, json_object_get(root, "vocab"), out);
  else if (!code)
    code = sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file}, "unknown tokenizer \"%s\": expected byte or char",
                   type ? type : "");
  sn_arena_destroy(own);
  return code;
}
