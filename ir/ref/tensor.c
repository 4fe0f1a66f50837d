/* Host tensors: creation, conversion from and to stored elements, comparison within bounds. */
#include "ir/ref/tensor.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "ir/base/half.h"
#include "ir/ref/error.h"

sn_code sn_tensor_create(sn_arena *arena, sn_elem elem, int rank, const int64_t *extent, sn_tensor **out) {
  sn_tensor *t = SN_NEW(arena, sn_tensor);
  t->elem = elem;
  t->rank = rank;
  t->count = 1;
  for (int i = 0; i < rank; i++) {
    t->extent[i] = extent[i];
    if (extent[i] < 0 || __builtin_mul_overflow(t->count, extent[i], &t->count) || t->count > (INT64_C(1) << 48))
      return SN_ERR_LIMIT;
  }
  t->value = SN_ARRAY(arena, t->count + 1, double);
  if (elem == SN_ELEM_I64) t->wide = SN_ARRAY(arena, t->count + 1, int64_t);
  *out = t;
  return SN_OK;
}

void sn_tensor_load(sn_tensor *t, const void *data) {
  for (int64_t i = 0; i < t->count; i++) {
    switch (t->elem) { /* table */
      case SN_ELEM_I64:
        t->wide[i] = ((const int64_t *)data)[i];
        t->value[i] = (double)t->wide[i];
        break;
      case SN_ELEM_I32: t->value[i] = ((const int32_t *)data)[i]; break;
      case SN_ELEM_I8: t->value[i] = ((const int8_t *)data)[i]; break;
      case SN_ELEM_U8: t->value[i] = ((const uint8_t *)data)[i]; break;
      case SN_ELEM_BOOL: t->value[i] = ((const uint8_t *)data)[i] != 0; break;
      default: t->value[i] = sn_elem_get(t->elem, data, i); break;
    }
  }
}

void sn_tensor_store(const sn_tensor *t, void *data) {
  for (int64_t i = 0; i < t->count; i++) {
    double v = t->value[i];
    switch (t->elem) { /* table */
      case SN_ELEM_I64: ((int64_t *)data)[i] = t->wide ? t->wide[i] : (int64_t)v; break;
      case SN_ELEM_I32: ((int32_t *)data)[i] = (int32_t)v; break;
      case SN_ELEM_I8: ((int8_t *)data)[i] = (int8_t)v; break;
      case SN_ELEM_U8:
      case SN_ELEM_BOOL: ((uint8_t *)data)[i] = (uint8_t)v; break;
      default: sn_elem_set(t->elem, data, i, v); break;
    }
  }
}

/* One stored element as a number. */
static double found_at(sn_elem e, const void *data, int64_t i) {
  switch (e) { /* table */
    case SN_ELEM_I64: return (double)((const int64_t *)data)[i];
    case SN_ELEM_I32: return ((const int32_t *)data)[i];
    case SN_ELEM_I8: return ((const int8_t *)data)[i];
    case SN_ELEM_U8:
    case SN_ELEM_BOOL: return ((const uint8_t *)data)[i];
    default: return sn_elem_get(e, data, i);
  }
}

/* Distance in bounds: 0 equal, above 1 a mismatch. */
static double distance(sn_elem e, double expected, double found, double bound) {
  if (isnan(expected) || isnan(found)) return isnan(expected) && isnan(found) ? 0 : INFINITY;
  if (expected == found) return 0;
  if (isinf(found) || isinf(expected)) return INFINITY;
  if (sn_elem_is_float(e) && found == 0 && fabs(expected) < sn_elem_flush(e) && !sn_elem_is_byte(e)) return 0;
  double d = fabs(expected - found);
  return bound > 0 ? d / bound : INFINITY;
}

sn_mismatch sn_tensor_compare(const sn_tensor *oracle, const void *found, double factor) {
  sn_mismatch m = {.total = oracle->count, .first = -1};
  for (int64_t i = 0; i < oracle->count; i++) {
    double bound = oracle->bound ? oracle->bound[i] : 0, f = found_at(oracle->elem, found, i);
    if (isinf(bound)) {
      m.excluded++;
      continue;
    }
    double d = distance(oracle->elem, oracle->value[i], f, bound * factor);
    if (oracle->wide && bound == 0 && oracle->wide[i] != ((const int64_t *)found)[i]) d = INFINITY;
    if (d > m.worst) m.worst = d;
    if (d <= 1) continue;
    if (m.count++ == 0) {
      m.first = i;
      m.expected = oracle->value[i];
      m.found = f;
      m.bound = bound;
    }
  }
  return m;
}
