/* Element types. */
#ifndef SN_IR_TYPES_DTYPE_H
#define SN_IR_TYPES_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
  X(F8E4M3, "f8e4m3", 1,  1,     1)     \
  X(F8E5M2, "f8e5m2", 1,  1,     1)     \
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
/* Unit roundoff: 2^-24 for f32, 2^-53 for f64, 2^-8 bf16, 2^-11 f16, 2^-4 f8e4m3, 2^-3 f8e5m2; 0 for integers. */
double sn_elem_roundoff(sn_elem e);
/* Floats that are stored only: computed in f32, rounded when they are stored. */
bool sn_elem_is_narrow(sn_elem e);

/* ---- floats as they are stored; the other types are left alone ---- */

/* Nearest number of a float type; x itself for the other types. Narrow types are rounded from f32. */
double sn_elem_nearest(sn_elem e, double x);
/* The pattern of a narrow float. */
uint32_t sn_elem_pattern(sn_elem e, double x);
/* Element i of stored floats of type e. */
double sn_elem_get(sn_elem e, const void *data, int64_t i);
void sn_elem_set(sn_elem e, void *data, int64_t i, double x);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
