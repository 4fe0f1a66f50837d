/* Inside of the type table: atoms, terms and what the files of this folder share. Not for other folders. */
#ifndef SN_IR_TYPES_TABLE_H
#define SN_IR_TYPES_TABLE_H

#include "ir/base/map.h"
#include "ir/types/dim.h"
#include "ir/types/type.h"

enum { SN_DIM_TERMS = 128, SN_DIM_FACTORS = 24, SN_DIM_DEPTH = 64 }; /* limits of one expression */

/* A symbol, or an operation that a polynomial cannot express. Interned. */
typedef struct sn_atom {
  sn_dimx_kind kind;           /* SYMBOL FLOORDIV MOD MIN MAX */
  uint32_t id;                 /* order of creation */
  int depth;                   /* nesting, 0: symbol */
  int64_t min, max, divisor;   /* facts, as of a dim */
  const sn_dimx *a, *b;        /* operands of the others */
  const sn_dimx *dim;          /* this atom as a dim, made on demand */
  const char *name;            /* SYMBOL */
  int symbol;                  /* SYMBOL: index in the table */
  int64_t low, high, multiple; /* SYMBOL: as declared */
  struct sn_atom *next;        /* another of the same hash */
} sn_atom;

/* coef * factor[0] * factor[1] ..., factors in the order of sn_atom_compare, coef not 0. */
typedef struct sn_term {
  int64_t coef;
  int count;
  const sn_atom *const *factor;
} sn_term;

/* A sum of terms with distinct factors, in the order of sn_term_compare: highest degree first. 0: no terms. */
struct sn_dimx {
  uint32_t id;
  int depth; /* deepest atom */
  int count;
  const sn_term *term;
  int64_t min, max, divisor;
  struct sn_dimx *next; /* another of the same hash */
};

typedef struct sn_type_entry {
  sn_type type;
  struct sn_type_entry *next;
} sn_type_entry;

struct sn_types {
  sn_arena *arena;
  sn_map *dims, *atoms, *types; /* by hash, chains */
  sn_map *symbol_map;           /* name -> atom, in order of declaration */
  uint32_t next_id;
  bool lenient; /* while parsing: too large an expression sets `too_big` instead of leaving through sn_protect */
  bool too_big;
};

/* The dim with these terms, which are sorted and copied if new. */
const sn_dimx *sn_dim_of_terms(sn_types *t, int count, const sn_term *terms);
const sn_dimx *sn_dim_of_term(sn_types *t, sn_term term);
/* The dim that is one new or known atom of two operands, facts given. */
const sn_dimx *sn_dim_of_atom(sn_types *t, sn_atom atom);
/* Ends an operation whose result leaves 64 bits or a limit above: does not return, or returns 0 while parsing. */
const sn_dimx *sn_dim_too_big(sn_types *t);
/* The only atom of a dim that is just that, else NULL. */
const sn_atom *sn_dim_atom(const sn_dimx *d);
const sn_dimx *sn_dim_scale(sn_types *t, const sn_dimx *d, int64_t by);

int sn_atom_compare(const sn_atom *a, const sn_atom *b);
int sn_term_compare(const sn_term *a, const sn_term *b);
/* A divisor of every value of the term without its coefficient. */
int64_t sn_term_divisor(const sn_term *term);

int64_t sn_gcd(int64_t a, int64_t b);
/* Floor division and remainder of numbers.   needs: b > 0 or (b < 0 and a != INT64_MIN) */
int64_t sn_floordiv(int64_t a, int64_t b);
int64_t sn_floormod(int64_t a, int64_t b);

#endif
