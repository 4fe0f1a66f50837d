/* Sequences change places in their states: beams go on from others. */
#include <stdlib.h>
#include <string.h>

#include "runtime/inside.h"

static bool has_rows(const sn_slot *t, const char *dim) {
  const char *name = t->role == SN_SLOT_STATE && t->type->rank ? sn_dimx_symbol_name(t->type->dim[0]) : NULL;
  return name && !strcmp(name, dim);
}

static sn_code reorder(sn_store *s, int slot, int64_t rows, int64_t count, const int32_t *parent, sn_diags *diags) {
  int64_t bytes = 0;
  char *data = sn_store_data(s, slot, &bytes), *old;
  if (!data) return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "a state cannot be read");
  if (!rows || count > rows)
    return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "there are %lld sequences, not %lld", (long long)rows,
                   (long long)count);
  size_t row = (size_t)(bytes / rows);
  if (!(old = malloc(row * (size_t)count + 1)))
    return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory to move sequences");
  for (int64_t i = 0; i < count; i++)
    if (parent[i] != i) memcpy(old + (size_t)i * row, data + (size_t)parent[i] * row, row);
  for (int64_t i = 0; i < count; i++)
    if (parent[i] != i) memcpy(data + (size_t)i * row, old + (size_t)i * row, row);
  free(old);
  return SN_OK;
}

sn_code sn_store_reorder(sn_store *s, const char *dim, int64_t count, const int32_t *parent, sn_diags *diags) {
  const sn_plan *p = s->runtime->plan;
  if (!sn_dimx_find_symbol(p->types, dim))
    return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "the model has no dim %s", dim);
  if (count < 0) return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "%lld sequences: there are none", (long long)count);
  for (int i = 0; i < p->slot_count; i++) {
    if (!has_rows(&p->slot[i], dim)) continue;
    int64_t rows = s->dims[sn_dimx_symbol_index(p->slot[i].type->dim[0])];
    for (int64_t k = 0; k < count; k++)
      if (parent[k] < 0 || parent[k] >= rows)
        return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "sequence %d of %lld: there is none", parent[k],
                       (long long)rows);
    SN_TRY(reorder(s, i, rows, count, parent, diags));
  }
  return SN_OK;
}
