/* Lexer: bytes of any kind -> tokens with lines and columns. Shared by the text forms of graph, kernel and plan. */
#include "ir/base/lex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ir/base/str.h"

enum { TOKEN_MAX = 1 << 16 }; /* bytes of one token */

static bool is_digit(int c) { return c >= '0' && c <= '9'; }

static bool is_letter(int c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

static bool is_name_char(int c) { return is_letter(c) || is_digit(c) || c == '.'; }

/* The byte `i` places ahead, -1 after the end. */
static int peek(const sn_lexer *x, ptrdiff_t i) { return x->end - x->at > i ? (unsigned char)x->at[i] : -1; }

static void advance(sn_lexer *x) {
  x->column++;
  if (*x->at++ == '\n') x->line++, x->column = 1;
}

static void skip(sn_lexer *x, ptrdiff_t count) {
  while (count-- > 0) advance(x);
}

static void skip_blanks(sn_lexer *x) {
  for (;;) {
    int c = peek(x, 0);
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      advance(x);
    } else if (c == '/' && peek(x, 1) == '/') {
      while (peek(x, 0) >= 0 && peek(x, 0) != '\n') advance(x);
    } else {
      return;
    }
  }
}

/* Takes `count` bytes, of which the first `drop` are left out of the text. */
static void take(sn_lexer *x, sn_token_kind kind, ptrdiff_t drop, ptrdiff_t count) {
  if (count > TOKEN_MAX) {
    (void)sn_lex_fail(x, "a token of more than %d bytes", TOKEN_MAX);
    return;
  }
  char *text = sn_arena_alloc(x->arena, (size_t)(count - drop) + 1);
  memcpy(text, x->at + drop, (size_t)(count - drop));
  x->token.kind = kind;
  x->token.text = text;
  skip(x, count);
}

/* Bytes of a name that starts `i` places ahead. */
static ptrdiff_t name_end(const sn_lexer *x, ptrdiff_t i) {
  while (i <= TOKEN_MAX && is_name_char(peek(x, i))) i++;
  return i;
}

static ptrdiff_t digits_end(const sn_lexer *x, ptrdiff_t i) {
  while (i <= TOKEN_MAX && is_digit(peek(x, i))) i++;
  return i;
}

static void read_number(sn_lexer *x) {
  ptrdiff_t i = digits_end(x, peek(x, 0) == '-');
  bool is_float = false;
  if (peek(x, i) == '.' && is_digit(peek(x, i + 1))) i = digits_end(x, i + 1), is_float = true;
  if (peek(x, i) == 'e' || peek(x, i) == 'E') {
    ptrdiff_t sign = peek(x, i + 1) == '-' || peek(x, i + 1) == '+';
    if (is_digit(peek(x, i + 1 + sign))) i = digits_end(x, i + 1 + sign), is_float = true;
  }
  take(x, is_float ? SN_TOKEN_FLOAT : SN_TOKEN_INT, 0, i);
  if (x->failed) return;
  x->token.number = sn_number_read(x->token.text);
  if (is_float) return;
  errno = 0;
  x->token.integer = strtoll(x->token.text, NULL, 10);
  if (errno != ERANGE || x->failed) return;
  const char *found = x->token.text; /* an error ends the text */
  (void)sn_lex_fail(x, "an integer that does not fit in 64 bits");
  sn_fail_expected(x->diags, "%lld to %lld", (long long)INT64_MIN, (long long)INT64_MAX);
  sn_fail_found(x->diags, "%.64s", found);
}

static int hex_value(int c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Reads one escape after its backslash; -1: not one. */
static int read_escape(sn_lexer *x) {
  int c = peek(x, 0);
  if (c == 'x') {
    int high = hex_value(peek(x, 1)), low = high < 0 ? -1 : hex_value(peek(x, 2));
    if (low < 0 || high * 16 + low == 0) return -1;
    skip(x, 3);
    return high * 16 + low;
  }
  if (c != '"' && c != '\\' && c != 'n' && c != 't') return -1;
  advance(x);
  return c == 'n' ? '\n' : c == 't' ? '\t' : c;
}

static void read_string(sn_lexer *x) {
  sn_text text = sn_text_begin(x->arena);
  advance(x);
  for (;;) {
    int c = peek(x, 0);
    if (c < 0 || c == '\n' || c == 0) {
      (void)sn_lex_fail(x, "a string without its closing quote");
      return;
    }
    advance(x);
    if (c == '"') break;
    if (c == '\\') c = read_escape(x);
    if (c < 0 || text.count >= TOKEN_MAX) {
      (void)(c < 0 ? sn_lex_fail(x, "an unknown escape in a string")
                   : sn_lex_fail(x, "a token of more than %d bytes", TOKEN_MAX));
      return;
    }
    sn_text_char(&text, (char)c);
  }
  x->token.kind = SN_TOKEN_STRING;
  x->token.text = text.at;
}

static void read_token(sn_lexer *x) {
  int c = peek(x, 0), next = peek(x, 1);
  if (c < 0) return;
  if (is_letter(c)) {
    take(x, SN_TOKEN_NAME, 0, name_end(x, 0));
  } else if (is_digit(c) || (c == '-' && is_digit(next))) {
    read_number(x);
  } else if (c == '"') {
    read_string(x);
  } else if ((c == '%' || c == '@') && is_name_char(next)) {
    take(x, c == '%' ? SN_TOKEN_VALUE : SN_TOKEN_REF, 1, name_end(x, 1));
  } else if (c > 32 && c < 127) {
    take(x, SN_TOKEN_PUNCT, 0, c == '-' && next == '>' ? 2 : 1);
  } else {
    (void)sn_lex_fail(x, "byte 0x%02x outside a string", (unsigned)c);
  }
}

static const char *describe(const sn_lexer *x) {
  const sn_token *t = &x->token;
  switch (t->kind) {
    case SN_TOKEN_END: return "the end of the text";
    case SN_TOKEN_STRING: {
      sn_text quoted = sn_text_begin(x->arena);
      sn_text_quoted(&quoted, t->text);
      return quoted.at;
    }
    case SN_TOKEN_VALUE: return sn_arena_printf(x->arena, "%%%s", t->text);
    case SN_TOKEN_REF: return sn_arena_printf(x->arena, "@%s", t->text);
    default: return t->text;
  }
}

/* The failure of a reader that wanted something else. */
static sn_code unexpected(sn_lexer *x, const char *expected) {
  if (x->failed) return x->failed;
  const char *found = describe(x);
  (void)sn_lex_fail(x, "unexpected %s", x->token.kind == SN_TOKEN_END ? "end" : "token");
  sn_fail_expected(x->diags, "%s", expected);
  sn_fail_found(x->diags, "%.200s", found);
  return x->failed;
}

void sn_lex_begin(sn_lexer *x, sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes) {
  *x =
      (sn_lexer){.arena = arena, .diags = diags, .file = file, .at = text, .end = text + bytes, .line = 1, .column = 1};
  sn_lex_next(x);
}

void sn_lex_next(sn_lexer *x) {
  x->last = x->token;
  x->token = (sn_token){.kind = SN_TOKEN_END, .text = "", .line = x->line, .column = x->column};
  if (x->failed) return;
  skip_blanks(x);
  x->token.line = x->line;
  x->token.column = x->column;
  read_token(x);
}

bool sn_lex_is(const sn_lexer *x, const char *punct_or_name) {
  const sn_token *t = &x->token;
  return (t->kind == SN_TOKEN_PUNCT || t->kind == SN_TOKEN_NAME) && strcmp(t->text, punct_or_name) == 0;
}

bool sn_lex_accept(sn_lexer *x, const char *punct_or_name) {
  if (!sn_lex_is(x, punct_or_name)) return false;
  sn_lex_next(x);
  return true;
}

sn_code sn_lex_expect(sn_lexer *x, const char *punct_or_name) {
  if (!sn_lex_accept(x, punct_or_name)) return unexpected(x, punct_or_name);
  return x->failed;
}

sn_code sn_lex_name(sn_lexer *x, const char **out) {
  if (x->token.kind != SN_TOKEN_NAME) return unexpected(x, "a name");
  *out = x->token.text;
  sn_lex_next(x);
  return x->failed;
}

sn_code sn_lex_int(sn_lexer *x, int64_t *out) {
  if (x->token.kind != SN_TOKEN_INT) return unexpected(x, "an integer");
  *out = x->token.integer;
  sn_lex_next(x);
  return x->failed;
}

sn_code sn_lex_number(sn_lexer *x, double *out) {
  if (x->token.kind == SN_TOKEN_INT || x->token.kind == SN_TOKEN_FLOAT) {
    *out = x->token.number;
    sn_lex_next(x);
    return x->failed;
  }
  bool minus = sn_lex_accept(x, "-");
  if (!sn_lex_is(x, "inf") && (minus || !sn_lex_is(x, "nan"))) return unexpected(x, "a number");
  double value = sn_number_read(x->token.text);
  *out = minus ? -value : value;
  sn_lex_next(x);
  return x->failed;
}

sn_code sn_lex_string(sn_lexer *x, const char **out) {
  if (x->token.kind != SN_TOKEN_STRING) return unexpected(x, "a string");
  *out = x->token.text;
  sn_lex_next(x);
  return x->failed;
}

static sn_loc loc_of(const sn_lexer *x, const sn_token *t) {
  return (sn_loc){.file = x->file, .line = t->line, .column = t->column, .text = t->text};
}

sn_loc sn_lex_loc(const sn_lexer *x) { return loc_of(x, &x->token); }

/* Takes the first error only; after it there is nothing to read. */
static sn_code fail_list(sn_lexer *x, sn_loc loc, const char *format, va_list args) {
  if (x->failed) return x->failed;
  sn_text message = sn_text_begin(x->arena);
  sn_text_add_list(&message, format, args);
  x->failed = sn_fail(x->diags, SN_ERR_INPUT, loc, "%s", message.at);
  x->token = (sn_token){.kind = SN_TOKEN_END, .text = "", .line = x->token.line, .column = x->token.column};
  return x->failed;
}

sn_code sn_lex_fail(sn_lexer *x, const char *format, ...) {
  va_list args;
  va_start(args, format);
  sn_code code = fail_list(x, sn_lex_loc(x), format, args);
  va_end(args);
  return code;
}

sn_code sn_lex_fail_last(sn_lexer *x, const char *format, ...) {
  va_list args;
  va_start(args, format);
  sn_code code = fail_list(x, loc_of(x, &x->last), format, args);
  va_end(args);
  return code;
}

sn_code sn_lex_fail_at(sn_lexer *x, sn_loc loc, const char *format, ...) {
  va_list args;
  va_start(args, format);
  sn_code code = fail_list(x, loc, format, args);
  va_end(args);
  return code;
}
