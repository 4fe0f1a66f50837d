/* Lexer shared by the text forms of graph, kernel and plan. Lines and columns for diagnostics.
 * Comments run from // to the end of the line. */
#ifndef SN_IR_BASE_LEX_H
#define SN_IR_BASE_LEX_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/base/arena.h"
#include "ir/base/status.h"

typedef enum sn_token_kind {
  SN_TOKEN_END,
  SN_TOKEN_NAME,   /* [A-Za-z_][A-Za-z0-9_.]*   (dots inside: h.0.attn) */
  SN_TOKEN_INT,    /* 12, -3 */
  SN_TOKEN_FLOAT,  /* 1.5, -2e-3, inf, -inf, nan are read by sn_lex_number, not here */
  SN_TOKEN_STRING, /* "..." unescaped */
  SN_TOKEN_VALUE,  /* %name or %12: text without % */
  SN_TOKEN_REF,    /* @name: text without @ */
  SN_TOKEN_PUNCT,  /* one character, or -> */
} sn_token_kind;

typedef struct sn_token {
  sn_token_kind kind;
  const char *text; /* owns: arena */
  int64_t integer;  /* INT */
  double number;    /* INT and FLOAT */
  int line, column;
} sn_token;

typedef struct sn_lexer {
  sn_arena *arena;
  sn_diags *diags;
  const char *file;
  const char *at, *end;
  int line, column;
  sn_token token; /* the current token */
  sn_token last;  /* the one before it */
  sn_code failed; /* sticky: after the first error every read fails */
} sn_lexer;

/* Starts on `bytes` bytes of text, which may hold anything; reads the first token. */
void sn_lex_begin(sn_lexer *x, sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes);
void sn_lex_next(sn_lexer *x);
bool sn_lex_is(const sn_lexer *x, const char *punct_or_name); /* current PUNCT or NAME has this text */
bool sn_lex_accept(sn_lexer *x, const char *punct_or_name);   /* consumes it if it is there */
sn_code sn_lex_expect(sn_lexer *x, const char *punct_or_name);
sn_code sn_lex_name(sn_lexer *x, const char **out);
sn_code sn_lex_int(sn_lexer *x, int64_t *out);
sn_code sn_lex_number(sn_lexer *x, double *out); /* also inf, -inf, nan */
sn_code sn_lex_string(sn_lexer *x, const char **out);
sn_loc sn_lex_loc(const sn_lexer *x);
/* An error at the current token. */
sn_code sn_lex_fail(sn_lexer *x, const char *format, ...) SN_PRINTF(2, 3);
/* An error at the token before it: what was read turned out to be wrong. */
sn_code sn_lex_fail_last(sn_lexer *x, const char *format, ...) SN_PRINTF(2, 3);
/* An error at a place in the text. */
sn_code sn_lex_fail_at(sn_lexer *x, sn_loc loc, const char *format, ...) SN_PRINTF(3, 4);

#endif
