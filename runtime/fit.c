/* Too little memory for a run -> the extent with which it would fit. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/inside.h"

/* What users choose freely, the batch as a rule: the symbol that alone is the first extent of an input; -1: none. */
static int first_extent(const sn_runtime *r, int graph) {
  const sn_plan *p = r->plan;
  for (int i = 0; i < p->slot_count; i++) {
    if (p->slot[i].role != SN_SLOT_INPUT || p->slot[i].graph != graph || !p->slot[i].type->rank) continue;
    int symbol = r->rule[(size_t)i * SN_RANK_MAX].lone;
    if (symbol >= 0) return symbol;
  }
  return -1;
}

/* Bytes of temporaries, inputs and outputs; INT64_MAX: too many to count. */
static int64_t need(const sn_runtime *r, int graph, const int64_t *dims) {
  const sn_plan *p = r->plan;
  int64_t sum, bytes;
  if (sn_plan_peak_bytes(p, graph, dims, &sum)) return INT64_MAX;
  for (int i = 0; i < p->slot_count; i++) {
    bool port = p->slot[i].role == SN_SLOT_INPUT || p->slot[i].role == SN_SLOT_OUTPUT;
    if (!port || p->slot[i].graph != graph || r->root[i] != i) continue;
    if (sn_rt_bytes(&p->slot[i], dims, &bytes) || __builtin_add_overflow(sum, bytes, &sum)) return INT64_MAX;
  }
  return sum;
}

/* Needs grow with extents: the largest multiple of `step` up to dims[symbol] that fits, in dims; else the smallest. */
static void search(const sn_runtime *r, int graph, int64_t *dims, int symbol, int64_t available) {
  const sn_dimx *d = sn_types_symbol(r->plan->types, symbol);
  int64_t step = sn_dimx_divisor(d) > 1 ? sn_dimx_divisor(d) : 1,
          min = sn_dimx_min_value(d) > 0 ? sn_dimx_min_value(d) : 1;
  int64_t low = (min + step - 1) / step, high = dims[symbol] / step;
  while (low < high) {
    int64_t middle = low + (high - low + 1) / 2;
    dims[symbol] = middle * step;
    if (need(r, graph, dims) <= available)
      low = middle;
    else
      high = middle - 1;
  }
  dims[symbol] = low * step;
}

void sn_rt_note_fit(const sn_runtime *r, int graph, const int64_t *dims, int64_t available, sn_diags *diags) {
  int symbol = graph < 0 ? -1 : first_extent(r, graph);
  int64_t *other = symbol < 0 || available < 0 ? NULL : calloc((size_t)r->symbol_count + 1, sizeof *other);
  if (!other) return;
  memcpy(other, dims, (size_t)r->symbol_count * sizeof *dims);
  search(r, graph, other, symbol, available);
  int64_t bytes = need(r, graph, other);
  const char *name = sn_dimx_symbol_name(sn_types_symbol(r->plan->types, symbol));
  if (bytes <= available)
    sn_fail_note(diags, "%s = %" PRId64 " fits, of %" PRId64, name, other[symbol], dims[symbol]);
  else
    sn_fail_note(diags, "even %s = %" PRId64 " needs %" PRId64 " bytes", name, other[symbol], bytes);
  free(other);
}
