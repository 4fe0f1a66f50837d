/* Symbolic dims: canonical integer expressions of named symbols. Equal expressions are one pointer.
 *
 * A dim is a polynomial with integer coefficients over atoms; an atom is a symbol or a floor
 * division, remainder, minimum or maximum of two dims. Each has proven bounds and a known divisor, both from its
 * symbols. Extents are >= 0; strides and offsets may be any integer. */
#ifndef SN_IR_TYPES_DIM_H
#define SN_IR_TYPES_DIM_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/base/lex.h"
#include "ir/base/str.h"

typedef struct sn_dimx sn_dimx;   /* a dim expression; immutable, interned in its table */
typedef struct sn_types sn_types; /* the table of symbols, dims and tensor types of one program */

#define SN_DIM_MAX (INT64_C(1) << 40) /* largest extent (RELIABILITY B6) */

sn_types *sn_types_create(sn_arena *arena);
sn_arena *sn_types_arena(const sn_types *t);

/* Symbols. Declaring a name again returns the same symbol; *conflict is set when bounds differ. */
const sn_dimx *sn_dimx_symbol(sn_types *t, const char *name, int64_t min, int64_t max, int64_t multiple,
                              bool *conflict);
const sn_dimx *sn_dimx_find_symbol(const sn_types *t, const char *name); /* NULL: none */
int sn_types_symbol_count(const sn_types *t);
const sn_dimx *sn_types_symbol(const sn_types *t, int i); /* in order of declaration */
const char *sn_dimx_symbol_name(const sn_dimx *d);        /* NULL when not a lone symbol */
int sn_dimx_symbol_index(const sn_dimx *d);               /* its i of sn_types_symbol, -1 when none */

/* Expressions. */
const sn_dimx *sn_dimx_const(sn_types *t, int64_t n);
const sn_dimx *sn_dimx_add(sn_types *t, const sn_dimx *a, const sn_dimx *b);
const sn_dimx *sn_dimx_sub(sn_types *t, const sn_dimx *a, const sn_dimx *b);
const sn_dimx *sn_dimx_mul(sn_types *t, const sn_dimx *a, const sn_dimx *b);
const sn_dimx *sn_dimx_floordiv(sn_types *t, const sn_dimx *a, const sn_dimx *b); /* exact if provable */
const sn_dimx *sn_dimx_ceildiv(sn_types *t, const sn_dimx *a, const sn_dimx *b);
const sn_dimx *sn_dimx_mod(sn_types *t, const sn_dimx *a, const sn_dimx *b);
const sn_dimx *sn_dimx_min(sn_types *t, const sn_dimx *a, const sn_dimx *b);
const sn_dimx *sn_dimx_max(sn_types *t, const sn_dimx *a, const sn_dimx *b);
/* a / b when that is a polynomial without remainder, else NULL. */
const sn_dimx *sn_dimx_exact_div(sn_types *t, const sn_dimx *a, const sn_dimx *b);

/* Facts. */
bool sn_dimx_is_const(const sn_dimx *d, int64_t *out);
int64_t sn_dimx_min_value(const sn_dimx *d); /* INT64_MIN when unknown */
int64_t sn_dimx_max_value(const sn_dimx *d); /* INT64_MAX when unknown */
int64_t sn_dimx_divisor(const sn_dimx *d);   /* largest known divisor, 0 for the constant 0 */
bool sn_dimx_is_one(const sn_dimx *d);
/* Value under `values[i]` for symbol i. Errors: SN_ERR_LIMIT on overflow or division by zero. */
SN_MUST sn_code sn_dimx_eval(const sn_dimx *d, const int64_t *values, int64_t *out);
/* An order that depends on structure only. */
int sn_dimx_compare(const sn_dimx *a, const sn_dimx *b);

/* Walk, for lowering: `visit` folds an expression bottom up. Each call gets kind and folded parts. */
typedef enum sn_dimx_kind {
  SN_DIMX_CONST,
  SN_DIMX_SYMBOL,
  SN_DIMX_ADD,
  SN_DIMX_MUL,
  SN_DIMX_FLOORDIV,
  SN_DIMX_MOD,
  SN_DIMX_MIN,
  SN_DIMX_MAX
} sn_dimx_kind;
/* The expression as a small tree: kind, constant (CONST), symbol index (SYMBOL), a and b. Built on
 * demand in the table's arena; polynomials are shown as sums of products. Dividends are >= 0 wherever bounds can prove
 * it of them plus a multiple of the divisor. */
typedef struct sn_dimx_tree {
  sn_dimx_kind kind;
  int64_t value;                    /* CONST: the number; SYMBOL: its index */
  const struct sn_dimx_tree *a, *b; /* the others */
} sn_dimx_tree;
const sn_dimx_tree *sn_dimx_as_tree(sn_types *t, const sn_dimx *d);

/* Text: `B`, `3*T + 1`, `floordiv(T, 16)`, `max(T, 1)`. */
void sn_dimx_print(sn_text *out, const sn_dimx *d);
/* Symbols must be declared. */
SN_MUST sn_code sn_dimx_parse(sn_lexer *x, sn_types *t, const sn_dimx **out);

#endif
