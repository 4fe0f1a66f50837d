/* Dims as text: `3*B*T + 1`, `floordiv(T, 16)`, and the declarations of symbols. */
#include <string.h>

#include "ir/types/table.h"

enum { DIMS_LISTED = 16 }; /* in messages */

/* ---- printing -------------------------------------------------------------------------------------------- */

static const char *function_name(sn_dimx_kind kind) {
  switch (kind) {
    case SN_DIMX_FLOORDIV: return "floordiv";
    case SN_DIMX_MOD: return "mod";
    case SN_DIMX_MIN: return "min";
    default: return "max";
  }
}

static void print_atom(sn_text *out, const sn_atom *atom) {
  if (atom->kind == SN_DIMX_SYMBOL) {
    sn_text_add(out, "%s", atom->name);
    return;
  }
  sn_text_add(out, "%s(", function_name(atom->kind));
  sn_dimx_print(out, atom->a);
  sn_text_add(out, ", ");
  sn_dimx_print(out, atom->b);
  sn_text_char(out, ')');
}

static void print_term(sn_text *out, const sn_term *term, bool first) {
  int64_t coef = term->coef;
  if (!first) sn_text_add(out, coef < 0 ? " - " : " + ");
  if (first && coef < 0) sn_text_char(out, '-');
  if (coef < 0) coef = -coef;
  if (coef != 1 || !term->count) sn_text_add(out, "%lld%s", (long long)coef, term->count ? "*" : "");
  for (int i = 0; i < term->count; i++) {
    if (i) sn_text_char(out, '*');
    print_atom(out, term->factor[i]);
  }
}

void sn_dimx_print(sn_text *out, const sn_dimx *d) {
  if (!d->count) sn_text_char(out, '0');
  for (int i = 0; i < d->count; i++) print_term(out, &d->term[i], i == 0);
}

static void print_symbol(sn_text *out, const sn_atom *s) {
  sn_text_add(out, "%s: %lld..%lld", s->name, (long long)s->low, (long long)s->high);
  if (s->multiple != 1) sn_text_add(out, " step %lld", (long long)s->multiple);
}

void sn_symbols_print(sn_text *out, const sn_types *t) {
  sn_text_add(out, "dims {");
  for (int i = 0; i < sn_map_count(t->symbol_map); i++) {
    sn_text_add(out, i ? ", " : " ");
    print_symbol(out, sn_map_at(t->symbol_map, i, NULL));
  }
  sn_text_add(out, " }");
}

/* ---- parsing --------------------------------------------------------------------------------------------- */

typedef struct parser {
  sn_lexer *x;
  sn_types *types;
  int depth;
} parser;

static sn_code parse_sum(parser *p, const sn_dimx **out);

typedef const sn_dimx *(*dim_function)(sn_types *t, const sn_dimx *a, const sn_dimx *b);

static dim_function find_function(const char *name) {
  static const struct {
    const char *name;
    dim_function make;
  } functions[] = {{"floordiv", sn_dimx_floordiv},
                   {"ceildiv", sn_dimx_ceildiv},
                   {"mod", sn_dimx_mod},
                   {"min", sn_dimx_min},
                   {"max", sn_dimx_max}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    if (strcmp(functions[i].name, name) == 0) return functions[i].make;
  }
  return NULL;
}

static sn_code unknown_dim(parser *p, const char *name) {
  sn_lexer *x = p->x;
  sn_text known = sn_text_begin(sn_types_arena(p->types));
  int count = sn_types_symbol_count(p->types);
  if (x->failed) return x->failed;
  sn_code code = sn_lex_fail(x, "no dim is called '%.64s'", name);
  for (int i = 0; i < count && i < DIMS_LISTED; i++)
    sn_text_add(&known, "%s%s", i ? ", " : "", sn_dimx_symbol_name(sn_types_symbol(p->types, i)));
  sn_fail_expected(x->diags, "%s", count ? known.at : "a number: no dims are declared");
  sn_fail_found(x->diags, "%.64s", name);
  return code;
}

/* A symbol, or a function with its two operands. */
static sn_code parse_name(parser *p, const sn_dimx **out) {
  sn_lexer *x = p->x;
  const char *name = x->token.text;
  const sn_dimx *symbol = sn_dimx_find_symbol(p->types, name), *a, *b;
  dim_function make = find_function(name);
  if (!symbol && !make) return unknown_dim(p, name);
  sn_lex_next(x);
  if (symbol && !(make && sn_lex_is(x, "("))) {
    *out = symbol;
    return x->failed;
  }
  SN_TRY(sn_lex_expect(x, "("));
  SN_TRY(parse_sum(p, &a));
  SN_TRY(sn_lex_expect(x, ","));
  SN_TRY(parse_sum(p, &b));
  SN_TRY(sn_lex_expect(x, ")"));
  *out = make(p->types, a, b);
  return SN_OK;
}

static sn_code parse_factor(parser *p, const sn_dimx **out) {
  int64_t n;
  if (p->x->token.kind == SN_TOKEN_NAME) return parse_name(p, out);
  if (sn_lex_accept(p->x, "(")) {
    SN_TRY(parse_sum(p, out));
    return sn_lex_expect(p->x, ")");
  }
  SN_TRY(sn_lex_int(p->x, &n));
  *out = sn_dimx_const(p->types, n);
  return SN_OK;
}

static sn_code parse_product(parser *p, const sn_dimx **out) {
  const sn_dimx *product, *factor;
  SN_TRY(parse_factor(p, &product));
  while (sn_lex_accept(p->x, "*")) {
    SN_TRY(parse_factor(p, &factor));
    product = sn_dimx_mul(p->types, product, factor);
  }
  *out = product;
  return SN_OK;
}

static bool at_negative_number(const sn_lexer *x) { return x->token.kind == SN_TOKEN_INT && x->token.text[0] == '-'; }

static sn_code parse_terms(parser *p, const sn_dimx **out) {
  const sn_dimx *sum = sn_dimx_const(p->types, 0), *term;
  bool minus = sn_lex_accept(p->x, "-");
  for (;;) {
    SN_TRY(parse_product(p, &term));
    sum = minus ? sn_dimx_sub(p->types, sum, term) : sn_dimx_add(p->types, sum, term);
    minus = sn_lex_accept(p->x, "-");
    if (minus || sn_lex_accept(p->x, "+") || at_negative_number(p->x)) continue; /* T -1 is T - 1 */
    *out = sum;
    return p->x->failed;
  }
}

static sn_code parse_sum(parser *p, const sn_dimx **out) {
  if (p->depth >= SN_DIM_DEPTH) return sn_lex_fail(p->x, "a dim nested deeper than %d", SN_DIM_DEPTH);
  p->depth++;
  sn_code code = parse_terms(p, out);
  p->depth--;
  return code;
}

sn_code sn_dimx_parse(sn_lexer *x, sn_types *t, const sn_dimx **out) {
  parser p = {.x = x, .types = t};
  const sn_dimx *d;
  bool outer = t->lenient;
  t->lenient = true;
  t->too_big = false;
  sn_code code = parse_sum(&p, &d);
  t->lenient = outer;
  if (!code && t->too_big) code = sn_lex_fail(x, "a dim with numbers or terms beyond what 64 bits hold");
  if (!code) *out = d;
  return code;
}

/* NAME: min..max, with a step when only multiples of it occur. */
static sn_code parse_symbol(sn_lexer *x, sn_types *t) {
  const char *name;
  int64_t min, max, multiple = 1;
  sn_loc loc = sn_lex_loc(x);
  SN_TRY(sn_lex_name(x, &name));
  SN_TRY(sn_lex_expect(x, ":"));
  SN_TRY(sn_lex_int(x, &min));
  SN_TRY(sn_lex_expect(x, "."));
  SN_TRY(sn_lex_expect(x, "."));
  SN_TRY(sn_lex_int(x, &max));
  if (sn_lex_accept(x, "step")) SN_TRY(sn_lex_int(x, &multiple));
  bool conflict = false, good = min <= max && min >= -SN_DIM_MAX && max <= SN_DIM_MAX;
  if (!good || multiple < 1 || multiple > SN_DIM_MAX) {
    x->failed = sn_fail(x->diags, SN_ERR_INPUT, loc, "impossible bounds of dim '%.64s'", name);
    sn_fail_expected(x->diags, "min..max in order, of at most 2^40 in size, and a step from 1");
    sn_fail_found(x->diags, "%lld..%lld step %lld", (long long)min, (long long)max, (long long)multiple);
    return x->failed;
  }
  (void)sn_dimx_symbol(t, name, min, max, multiple, &conflict);
  if (!conflict) return x->failed;
  const sn_dimx *before = sn_dimx_find_symbol(t, name);
  x->failed = sn_fail(x->diags, SN_ERR_INPUT, loc, "dim '%.64s' is declared with other bounds", name);
  if (before)
    sn_fail_expected(x->diags, "%lld..%lld, as before", (long long)sn_dimx_min_value(before),
                     (long long)sn_dimx_max_value(before));
  sn_fail_found(x->diags, "%lld..%lld", (long long)min, (long long)max);
  return x->failed;
}

sn_code sn_symbols_parse(sn_lexer *x, sn_types *t) {
  SN_TRY(sn_lex_expect(x, "dims"));
  SN_TRY(sn_lex_expect(x, "{"));
  while (!sn_lex_accept(x, "}")) {
    SN_TRY(parse_symbol(x, t));
    if (!sn_lex_is(x, "}")) SN_TRY(sn_lex_expect(x, ","));
  }
  return x->failed;
}
