/* Too little memory for a run -> the extent with which it would fit. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/inside.h"

int sn_rt_first_extent(const sn_runtime *r, int graph) {
  const sn_plan *p = r->plan;
  for (int i = 0; i < p->slot_count && graph >= 0; i++) {
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

int64_t sn_rt_search(const sn_dimx *d, int64_t most, bool (*fits)(void *user, int64_t extent), void *user) {
  int64_t step = sn_dimx_divisor(d) > 1 ? sn_dimx_divisor(d) : 1,
          min = sn_dimx_min_value(d) > 0 ? sn_dimx_min_value(d) : 1;
  int64_t low = (min + step - 1) / step, high = most / step;
  while (low < high) {
    int64_t middle = low + (high - low + 1) / 2;
    if (fits(user, middle * step))
      low = middle;
    else
      high = middle - 1;
  }
  return low * step;
}

typedef struct trial {
  const sn_runtime *r;
  int graph, symbol;
  int64_t *dims, available;
} trial;

static bool fits(void *user, int64_t extent) {
  const trial *t = user;
  t->dims[t->symbol] = extent;
  return need(t->r, t->graph, t->dims) <= t->available;
}

void sn_rt_note_extent(const sn_dimx *d, bool is_enough, int64_t extent, int64_t given, int64_t bytes,
                       sn_diags *diags) {
  if (is_enough)
    sn_fail_note(diags, "%s = %" PRId64 " fits, of %" PRId64, sn_dimx_symbol_name(d), extent, given);
  else
    sn_fail_note(diags, "even %s = %" PRId64 " needs %" PRId64 " bytes", sn_dimx_symbol_name(d), extent, bytes);
}

void sn_rt_note_fit(const sn_runtime *r, int graph, const int64_t *dims, int64_t available, sn_diags *diags) {
  int symbol = sn_rt_first_extent(r, graph);
  int64_t *other = symbol < 0 || available < 0 ? NULL : calloc((size_t)r->symbol_count + 1, sizeof *other);
  if (!other) return;
  const sn_dimx *d = sn_types_symbol(r->plan->types, symbol);
  trial t = {r, graph, symbol, other, available};
  memcpy(other, dims, (size_t)r->symbol_count * sizeof *dims);
  other[symbol] = sn_rt_search(d, dims[symbol], fits, &t);
  int64_t bytes = need(r, graph, other);
  sn_rt_note_extent(d, bytes <= available, other[symbol], dims[symbol], bytes, diags);
  free(other);
}
