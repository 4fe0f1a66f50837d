/* Tensor types: element type and dims, interned: equal types are one pointer. */
#ifndef SN_IR_TYPES_TYPE_H
#define SN_IR_TYPES_TYPE_H

#include "ir/types/dim.h"
#include "ir/types/dtype.h"

enum { SN_RANK_MAX = 8 };

typedef struct sn_type {
  sn_elem elem;
  int rank;
  const sn_dimx *dim[SN_RANK_MAX];
} sn_type;

const sn_type *sn_type_of(sn_types *t, sn_elem elem, int rank, const sn_dimx *const *dims);
const sn_type *sn_type_scalar(sn_types *t, sn_elem elem);
/* Same dims, another element type. */
const sn_type *sn_type_with_elem(sn_types *t, const sn_type *type, sn_elem elem);
/* Number of elements as a dim. */
const sn_dimx *sn_type_count(sn_types *t, const sn_type *type);
bool sn_type_same_shape(const sn_type *a, const sn_type *b);

/* `f32[B, T, 64]`, `f32[]`. */
void sn_type_print(sn_text *out, const sn_type *type);
const char *sn_type_text(sn_arena *arena, const sn_type *type);
/* An element type by its name. errors: names all of them */
SN_MUST sn_code sn_elem_parse(sn_lexer *x, sn_elem *out);
SN_MUST sn_code sn_type_parse(sn_lexer *x, sn_types *t, const sn_type **out);

/* Declarations of symbols: `dims { B: 1..64, T: 1..1024 step 16 }` in graph and plan texts. */
void sn_symbols_print(sn_text *out, const sn_types *t);
SN_MUST sn_code sn_symbols_parse(sn_lexer *x, sn_types *t);

#endif
