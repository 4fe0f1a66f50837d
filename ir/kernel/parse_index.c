/* Text -> index values: sums and products of numbers, sizes, grid ids and loop variables. */
#include "ir/kernel/parse.h"

sn_kv sn_kparser_get(const sn_map *m, const char *name) { return (sn_kv)(intptr_t)sn_map_get_str(m, name); }

static sn_code read_index(sn_kparser *p, sn_kv *out);

sn_code sn_kparser_wants(sn_kparser *p, const char *expected) {
  sn_lexer *x = &p->x;
  if (x->failed) return x->failed;
  const char *found = x->token.kind == SN_TOKEN_END     ? "the end of the text"
                      : x->token.kind == SN_TOKEN_VALUE ? sn_arena_printf(x->arena, "%%%s", x->token.text)
                                                        : x->token.text;
  (void)sn_lex_fail(x, "unexpected %s", x->token.kind == SN_TOKEN_END ? "end" : "token");
  sn_fail_expected(x->diags, "%s", expected);
  sn_fail_found(x->diags, "%.200s", found);
  return x->failed;
}

sn_code sn_kparser_buffer(sn_kparser *p, sn_kv *out) {
  sn_lexer *x = &p->x;
  bool local = x->token.kind == SN_TOKEN_VALUE;
  *out = local                            ? sn_kparser_get(p->values, x->token.text)
         : x->token.kind == SN_TOKEN_NAME ? sn_kparser_get(p->buffers, x->token.text)
                                          : 0;
  if (!*out) return sn_kparser_wants(p, "a buffer");
  sn_lex_next(x);
  return x->failed;
}

static sn_code read_call(sn_kparser *p, const char *name, sn_kv *out) {
  sn_lexer *x = &p->x;
  sn_kop op = sn_kop_find(name);
  sn_kv a, b;
  if (op != SN_K_IMIN && op != SN_K_IMAX && op != SN_K_ILT && op != SN_K_IEQ && op != SN_K_ILOAD)
    return sn_lex_fail_last(x, "unknown index function `%.60s`", name);
  SN_TRY(sn_lex_expect(x, "("));
  if (op == SN_K_ILOAD)
    SN_TRY(sn_kparser_buffer(p, &a));
  else
    SN_TRY(read_index(p, &a));
  SN_TRY(sn_lex_expect(x, ","));
  SN_TRY(read_index(p, &b));
  SN_TRY(sn_lex_expect(x, ")"));
  *out = sn_k_index_raw(p->k, op, a, b, 0);
  return SN_OK;
}

static sn_code read_name(sn_kparser *p, sn_kv *out) {
  sn_lexer *x = &p->x;
  const char *name;
  SN_TRY(sn_lex_name(x, &name));
  if (sn_lex_is(x, "(")) return read_call(p, name, out);
  if (name[0] == 'g' && name[1] >= '0' && name[1] <= '2' && !name[2]) {
    *out = sn_k_index_raw(p->k, SN_K_GID, 0, 0, name[1] - '0');
    return SN_OK;
  }
  *out = sn_kparser_get(p->indices, name);
  if (*out) return SN_OK;
  (void)sn_lex_fail_last(x, "unknown index `%.60s`", name);
  sn_fail_expected(x->diags, "a size of the kernel, g0 to g2, or a loop variable around it");
  return x->failed;
}

static sn_code read_factor(sn_kparser *p, sn_kv *out) {
  sn_lexer *x = &p->x;
  int64_t n;
  if (++p->index_ops > SN_K_INDEX_OPS) return sn_lex_fail(x, "index expression of more than %d terms", SN_K_INDEX_OPS);
  if (x->token.kind == SN_TOKEN_INT) {
    SN_TRY(sn_lex_int(x, &n));
    *out = sn_k_i(p->k, n);
    return SN_OK;
  }
  if (!sn_lex_accept(x, "(")) return read_name(p, out);
  SN_TRY(read_index(p, out));
  return sn_lex_expect(x, ")");
}

static sn_code read_product(sn_kparser *p, sn_kv *out) {
  sn_lexer *x = &p->x;
  sn_kv b;
  SN_TRY(read_factor(p, out));
  for (;;) {
    sn_kop op = sn_lex_is(x, "*")   ? SN_K_IMUL
                : sn_lex_is(x, "/") ? SN_K_IDIV
                : sn_lex_is(x, "%") ? SN_K_IMOD
                                    : SN_K_NONE;
    if (!op) return x->failed;
    sn_lex_next(x);
    SN_TRY(read_factor(p, &b));
    *out = sn_k_index_raw(p->k, op, *out, b, 0);
  }
}

/* x - 3 is x + -3, as the builder makes it. */
static sn_kv difference(sn_kernel *k, sn_kv a, sn_kv b) {
  int64_t c;
  if (sn_k_is_const(k, b, &c) && c > 0) return sn_k_index_raw(k, SN_K_IADD, a, sn_k_i(k, -c), 0);
  return sn_k_index_raw(k, SN_K_ISUB, a, b, 0);
}

static sn_code read_sum(sn_kparser *p, sn_kv *out) {
  sn_lexer *x = &p->x;
  sn_kv b;
  SN_TRY(read_product(p, out));
  while (sn_lex_is(x, "+") || sn_lex_is(x, "-")) {
    bool plus = sn_lex_is(x, "+");
    sn_lex_next(x);
    SN_TRY(read_product(p, &b));
    *out = plus ? sn_k_index_raw(p->k, SN_K_IADD, *out, b, 0) : difference(p->k, *out, b);
  }
  return x->failed;
}

static sn_code read_index(sn_kparser *p, sn_kv *out) { return read_sum(p, out); }

sn_code sn_kparser_expression(sn_kparser *p, sn_kv *out) {
  p->index_ops = 0;
  return read_index(p, out);
}
