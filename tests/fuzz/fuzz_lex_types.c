/* Fuzz entry: any bytes as tokens, as declarations of dims, and as types that use them.
 * Build: clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. tests/fuzz/fuzz_lex_types.c ir/types/[a-z]*.c
 * ir/base/[a-z]*.c -lm */
#include <stdlib.h>
#include <string.h>

#include "ir/types/type.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t bytes);

typedef struct input {
  sn_arena *arena;
  sn_diags *diags;
  const char *text;
  size_t bytes;
} input;

static void all_tokens(const input *in) {
  sn_lexer x;
  sn_lex_begin(&x, in->arena, in->diags, "fuzz", in->text, in->bytes);
  while (x.token.kind != SN_TOKEN_END) sn_lex_next(&x);
}

/* What was read prints as a text that reads back as the same type. */
static void check_type(const input *in, sn_types *t, const sn_type *type) {
  sn_lexer x;
  const sn_type *back = NULL;
  const char *text = sn_type_text(in->arena, type);
  sn_lex_begin(&x, in->arena, NULL, "fuzz", text, strlen(text));
  if (sn_type_parse(&x, t, &back) || back != type) abort();
  (void)sn_dimx_as_tree(t, type->rank ? type->dim[0] : sn_dimx_const(t, 0));
}

static int parse_all(void *arg) {
  const input *in = arg;
  sn_lexer x;
  const sn_type *type = NULL;
  sn_types *t = sn_types_create(in->arena);
  all_tokens(in);
  sn_lex_begin(&x, in->arena, in->diags, "fuzz", in->text, in->bytes);
  if (sn_lex_is(&x, "dims")) {
    if (sn_symbols_parse(&x, t)) return SN_OK;
  } else {
    sn_dimx_symbol(t, "B", 1, 64, 1, NULL);
    sn_dimx_symbol(t, "T", 0, 1024, 1, NULL);
    sn_dimx_symbol(t, "S", 16, 256, 16, NULL);
  }
  while (x.token.kind != SN_TOKEN_END && sn_type_parse(&x, t, &type) == SN_OK) check_type(in, t, type);
  return SN_OK;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t bytes) {
  input in = {sn_arena_create(), sn_diags_create(), (const char *)data, bytes};
  (void)sn_protect(parse_all, &in);
  sn_diags_destroy(in.diags);
  sn_arena_destroy(in.arena);
  return 0;
}
