/* JSON of files: a depth scan before jansson, then typed access to members. */
#include "runtime/io/json.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static sn_loc in_file(const char *file) { return (sn_loc){.file = file}; }

/* Deepest nesting of brackets outside of strings; needs no recursion and no memory. */
static int depth_of(const char *text, size_t bytes) {
  int depth = 0, deepest = 0;
  bool quoted = false;
  for (size_t i = 0; i < bytes; i++) {
    if (quoted) {
      if (text[i] == '\\')
        i++;
      else if (text[i] == '"')
        quoted = false;
    } else if (text[i] == '"') {
      quoted = true;
    } else if (text[i] == '{' || text[i] == '[') {
      if (++depth > deepest) deepest = depth;
    } else if (text[i] == '}' || text[i] == ']') {
      depth--;
    }
  }
  return deepest;
}

/* ---- memory ------------------------------------------------------------------------------------- */

/* jansson takes a lack of memory for a mistake in the text, and what it made is lost when control leaves through
 * sn_protect: while a text is parsed, its memory is that of an arena. */
static _Thread_local sn_arena *from;

typedef struct piece { /* stands before what jansson gets */
  _Alignas(16) bool of_arena;
} piece;

static void *take(size_t bytes) {
  piece *p = from ? sn_arena_alloc(from, sizeof *p + bytes) : malloc(sizeof *p + bytes);
  if (!p) return NULL;
  p->of_arena = from != NULL;
  return p + 1;
}

static void give(void *at) {
  if (at && !((piece *)at - 1)->of_arena) free((piece *)at - 1);
}

static void use_arenas(void) { json_set_alloc_funcs(take, give); }

/* ---- parsing ------------------------------------------------------------------------------------ */

typedef struct parsing {
  const char *text;
  size_t bytes, flags;
  json_error_t error;
  json_t *root;
} parsing;

static int load(void *arg) {
  parsing *p = arg;
  p->root = json_loadb(p->text, p->bytes, JSON_REJECT_DUPLICATES | p->flags, &p->error);
  return SN_OK;
}

sn_code sn_json_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes, size_t flags,
                      json_t **out) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  int depth = depth_of(text, bytes);
  if (depth > SN_JSON_DEPTH) {
    sn_fail(diags, SN_ERR_INPUT, in_file(file), "the JSON is nested too deeply");
    sn_fail_expected(diags, "at most %d levels", SN_JSON_DEPTH);
    sn_fail_found(diags, "%d", depth);
    return SN_ERR_INPUT;
  }
  if (!arena) return sn_fail(diags, SN_ERR_LIMIT, in_file(file), "no memory to read it");
  pthread_once(&once, use_arenas);
  parsing p = {.text = text, .bytes = bytes, .flags = flags};
  from = arena;
  int code = sn_protect(load, &p);
  from = NULL;
  if (code) return sn_fail(diags, SN_ERR_LIMIT, in_file(file), "no memory to read it");
  if (!p.root) {
    int line = p.error.line > 0 ? p.error.line : 0, column = p.error.column > 0 ? p.error.column : 0;
    return sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file, .line = line, .column = column}, "not valid JSON: %s",
                   p.error.text);
  }
  *out = p.root;
  return SN_OK;
}

/* ---- members ------------------------------------------------------------------------------------ */

static sn_code bad_member(sn_diags *diags, const char *file, const char *name, const char *expected) {
  sn_fail(diags, SN_ERR_INPUT, in_file(file), "member \"%s\" is missing or of the wrong type", name);
  sn_fail_expected(diags, "%s", expected);
  return SN_ERR_INPUT;
}

sn_code sn_json_int(sn_diags *diags, const char *file, const json_t *object, const char *name, int64_t min, int64_t max,
                    int64_t *out) {
  const json_t *v = json_object_get(object, name);
  if (!json_is_integer(v)) return bad_member(diags, file, name, "an integer");
  int64_t value = json_integer_value(v);
  if (value < min || value > max) {
    bad_member(diags, file, name, "an integer in its range");
    sn_fail_expected(diags, "%" PRId64 "..%" PRId64, min, max);
    sn_fail_found(diags, "%" PRId64, value);
    return SN_ERR_INPUT;
  }
  *out = value;
  return SN_OK;
}

sn_code sn_json_string(sn_diags *diags, const char *file, const json_t *object, const char *name, const char **out) {
  const json_t *v = json_object_get(object, name);
  if (!json_is_string(v)) return bad_member(diags, file, name, "a string");
  *out = json_string_value(v);
  return SN_OK;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

sn_code sn_json_hex(sn_diags *diags, const char *file, const json_t *object, const char *name, uint64_t *out) {
  const char *s = json_string_value(json_object_get(object, name));
  uint64_t value = 0;
  bool good = s && strlen(s) == 16;
  for (int i = 0; good && i < 16; i++) {
    int digit = hex_digit(s[i]);
    good = digit >= 0;
    value = value << 4 | (uint64_t)(digit & 15);
  }
  if (!good) return bad_member(diags, file, name, "16 hexadecimal digits");
  *out = value;
  return SN_OK;
}

/* ---- writing ------------------------------------------------------------------------------------ */

/* Length of the UTF-8 sequence at s, 0: none. source: RFC 3629, section 4 */
static int sequence(const unsigned char *s) {
  if (s[0] < 0x80) return 1;
  int n = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : 1;
  if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
  for (int i = 1; i <= n; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
  if (s[0] == 0xed && s[1] > 0x9f) return 0;
  if (s[0] == 0xf0 && s[1] < 0x90) return 0;
  if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
  return n + 1;
}

void sn_json_quote(sn_text *out, const char *s) {
  sn_text_char(out, '"');
  while (*s) {
    int n = sequence((const unsigned char *)s);
    unsigned char c = (unsigned char)*s;
    if (!n)
      sn_text_add(out, "\xef\xbf\xbd"), n = 1;
    else if (c == '"' || c == '\\')
      sn_text_add(out, "\\%c", c);
    else if (c == '\n')
      sn_text_add(out, "\\n");
    else if (c == '\t')
      sn_text_add(out, "\\t");
    else if (c < 0x20 || c == 0x7f)
      sn_text_add(out, "\\u%04x", c);
    else
      sn_text_bytes(out, s, (size_t)n);
    s += n;
  }
  sn_text_char(out, '"');
}
