/* Element types: the table of dtype.h as functions. */
#include "ir/types/dtype.h"

#include <string.h>

#include "ir/base/half.h"

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
    case SN_ELEM_F8E4M3: return 0x1p-4;
    case SN_ELEM_F8E5M2: return 0x1p-3;
    default: return 0;
  }
}

bool sn_elem_is_narrow(sn_elem e) { return sn_elem_is_float(e) && rows[e].bytes < 4; }

uint32_t sn_elem_pattern(sn_elem e, double x) {
  switch (e) {
    case SN_ELEM_BF16: return sn_bf16_from_f32((float)x);
    case SN_ELEM_F16: return sn_f16_from_f32((float)x);
    case SN_ELEM_F8E4M3: return sn_f8e4m3_from_f32((float)x);
    default: return sn_f8e5m2_from_f32((float)x);
  }
}

static double number_of(sn_elem e, uint32_t pattern) {
  switch (e) {
    case SN_ELEM_BF16: return (double)sn_f32_from_bf16((uint16_t)pattern);
    case SN_ELEM_F16: return (double)sn_f32_from_f16((uint16_t)pattern);
    case SN_ELEM_F8E4M3: return (double)sn_f32_from_f8e4m3((uint8_t)pattern);
    default: return (double)sn_f32_from_f8e5m2((uint8_t)pattern);
  }
}

double sn_elem_nearest(sn_elem e, double x) {
  if (e == SN_ELEM_F32) return (double)(float)x;
  return sn_elem_is_narrow(e) ? number_of(e, sn_elem_pattern(e, x)) : x;
}

double sn_elem_get(sn_elem e, const void *data, int64_t i) { /* files may hold them at any address */
  const char *at = (const char *)data + (size_t)i * sn_elem_bytes(e);
  double f64;
  float f32;
  uint16_t two;
  if (e == SN_ELEM_F64) return memcpy(&f64, at, 8), f64;
  if (e == SN_ELEM_F32) return memcpy(&f32, at, 4), (double)f32;
  if (sn_elem_bytes(e) == 2) return memcpy(&two, at, 2), number_of(e, two);
  return number_of(e, *(const uint8_t *)at);
}

void sn_elem_set(sn_elem e, void *data, int64_t i, double x) {
  char *at = (char *)data + (size_t)i * sn_elem_bytes(e);
  float f32 = (float)x;
  if (e == SN_ELEM_F64) {
    memcpy(at, &x, 8);
  } else if (e == SN_ELEM_F32) {
    memcpy(at, &f32, 4);
  } else if (sn_elem_bytes(e) == 2) {
    uint16_t two = (uint16_t)sn_elem_pattern(e, x);
    memcpy(at, &two, 2);
  } else {
    *(uint8_t *)at = (uint8_t)sn_elem_pattern(e, x);
  }
}
