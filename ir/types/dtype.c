/* Element types: the table of dtype.h as functions. */
#include "ir/types/dtype.h"

#include <string.h>

typedef struct row {
  const char *name;
  size_t bytes;
  bool is_float, is_signed;
} row;

static const row rows[SN_ELEM_COUNT] = {[SN_ELEM_NONE] = {"none", 0, false, false},
#define X(e, text, bytes, is_float, is_signed) [SN_ELEM_##e] = {text, bytes, is_float, is_signed},
                                        SN_DTYPES(X)
#undef X
};

static bool is_known(sn_elem e) { return (unsigned)e < SN_ELEM_COUNT; }

const char *sn_elem_name(sn_elem e) { return rows[is_known(e) ? e : SN_ELEM_NONE].name; }

size_t sn_elem_bytes(sn_elem e) { return rows[is_known(e) ? e : SN_ELEM_NONE].bytes; }

bool sn_elem_is_float(sn_elem e) { return is_known(e) && rows[e].is_float; }

bool sn_elem_is_int(sn_elem e) { return is_known(e) && e != SN_ELEM_NONE && e != SN_ELEM_BOOL && !rows[e].is_float; }

sn_elem sn_elem_find(const char *name) {
  for (int e = SN_ELEM_NONE + 1; e < SN_ELEM_COUNT; e++) {
    if (strcmp(rows[e].name, name) == 0) return (sn_elem)e;
  }
  return SN_ELEM_NONE;
}

double sn_elem_roundoff(sn_elem e) {
  switch (e) {
    case SN_ELEM_F64: return 0x1p-53;
    case SN_ELEM_F32: return 0x1p-24;
    case SN_ELEM_BF16: return 0x1p-8;
    case SN_ELEM_F16: return 0x1p-11;
    default: return 0;
  }
}
