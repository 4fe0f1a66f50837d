/* Element types. */
#ifndef SN_IR_TYPES_DTYPE_H
#define SN_IR_TYPES_DTYPE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __GNUC__
#pragma GCC visibility push(default) /* loaded backends call these */
#endif

/* clang-format off */
/*   enum   text    bytes  float  signed */
#define SN_DTYPES(X)                    \
  X(F64,  "f64",   8,     1,     1)     \
  X(F32,  "f32",   4,     1,     1)     \
  X(BF16, "bf16",  2,     1,     1)     \
  X(F16,  "f16",   2,     1,     1)     \
  X(I64,  "i64",   8,     0,     1)     \
  X(I32,  "i32",   4,     0,     1)     \
  X(I8,   "i8",    1,     0,     1)     \
  X(U8,   "u8",    1,     0,     0)     \
  X(BOOL, "bool",  1,     0,     0)
/* clang-format on */

typedef enum sn_elem {
  SN_ELEM_NONE,
#define X(e, text, bytes, is_float, is_signed) SN_ELEM_##e,
  SN_DTYPES(X)
#undef X
      SN_ELEM_COUNT
} sn_elem;

const char *sn_elem_name(sn_elem e);
size_t sn_elem_bytes(sn_elem e);
bool sn_elem_is_float(sn_elem e);
bool sn_elem_is_int(sn_elem e); /* i64 i32 i8 u8; not bool */
/* The element type called `name`, SN_ELEM_NONE if there is none. */
sn_elem sn_elem_find(const char *name);
/* Unit roundoff: 2^-24 for f32, 2^-53 for f64, 2^-8 bf16 , 2^-11 f16; 0 for integers. */
double sn_elem_roundoff(sn_elem e);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
