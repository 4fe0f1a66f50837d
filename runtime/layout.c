/* Places temporaries in one pool: bound sizes + lifetimes -> offsets. Greedy by size, first fit: the largest storage is
 * placed first, each at the lowest offset where nothing that is alive at the same time lies. Deterministic.
 *   source: Pisarchyk & Lee 2020, "Efficient memory management for deep neural net inference", section 5.2 */
#include <stdlib.h>

#include "ir/base/plant.h"
#include "runtime/inside.h"

typedef struct block {
  int slot; /* root */
  int first, last;
  int64_t bytes, offset;
} block;

/* ---- roots of aliases --------------------------------------------------------------------------- */

sn_code sn_layout_roots(const sn_plan *p, int *root) {
  for (int i = 0; i < p->slot_count; i++) {
    int r = i, steps = 0;
    while (p->slot[r].alias >= 0 && p->slot[r].alias < p->slot_count && steps++ < p->slot_count) r = p->slot[r].alias;
    if (steps >= p->slot_count) return SN_ERR_INPUT;
    root[i] = r;
  }
  return SN_OK;
}

/* ---- blocks: one per root, alive while any of its slots is -------------------------------------- */

static void add_lifetime(block *b, const sn_slot *slot, int64_t bytes) {
  if (bytes > b->bytes) b->bytes = bytes;
  if (slot->role == SN_SLOT_OUTPUT) { /* read after the last step; its storage's own first use is the slot below it */
    b->last = INT32_MAX;
  } else if (slot->first >= 0) { /* -1: never used */
    if (slot->first < b->first) b->first = slot->first;
    if (slot->last > b->last) b->last = slot->last;
  }
}

static int collect(const sn_plan *p, int graph, const int *root, const int64_t *bytes, block *out) {
  int count = 0;
  int *at = malloc(((size_t)p->slot_count + 1) * sizeof *at);
  if (!at) return -1;
  for (int i = 0; i < p->slot_count; i++) at[i] = -1;
  for (int i = 0; i < p->slot_count; i++) {
    int r = root[i];
    if (!sn_bind_uses(&p->slot[i], graph) || p->slot[r].role != SN_SLOT_TEMP) continue;
    if (at[r] < 0) {
      at[r] = count;
      out[count++] = (block){.slot = r, .first = INT32_MAX, .last = -1};
    }
    add_lifetime(&out[at[r]], &p->slot[i], bytes[i]);
  }
  free(at);
  return count;
}

/* ---- placing ------------------------------------------------------------------------------------ */

static int by_size(const void *x, const void *y) {
  const block *a = x, *b = y;
  if (a->bytes != b->bytes) return a->bytes < b->bytes ? 1 : -1;
  if (a->first != b->first) return a->first < b->first ? -1 : 1;
  return a->slot - b->slot;
}

static int by_offset(const void *x, const void *y) {
  const block *const *a = x, *const *b = y;
  return (*a)->offset<(*b)->offset ? -1 : (*a)->offset>(*b)->offset;
}

static bool overlap(const block *a, const block *b) {
  if (SN_PLANTED(LIFETIME)) return a->first < b->last && b->first < a->last;
  return a->first <= b->last && b->first <= a->last;
}

/* Lowest offset where b fits between the blocks that live with it. */
static int64_t lowest_gap(const block *b, const block *placed, int count, const block **near) {
  int near_count = 0;
  for (int i = 0; i < count; i++)
    if (overlap(b, &placed[i])) near[near_count++] = &placed[i];
  qsort(near, (size_t)near_count, sizeof *near, by_offset);
  int64_t at = 0;
  for (int i = 0; i < near_count; i++) {
    if (near[i]->offset >= at + b->bytes) break;
    int64_t end = near[i]->offset + near[i]->bytes;
    if (end > at) at = end;
  }
  return at;
}

static sn_code place(block *at, int count, int64_t *out_bytes) {
  const block **near = malloc(((size_t)count + 1) * sizeof *near);
  if (!near) return SN_ERR_LIMIT;
  int64_t top = 0;
  sn_code code = SN_OK;
  for (int i = 0; i < count; i++) {
    if (at[i].bytes > INT64_MAX / 4 - SN_RT_ALIGN) code = SN_ERR_LIMIT;
    if (code) break;
    at[i].bytes = (at[i].bytes + SN_RT_ALIGN - 1) / SN_RT_ALIGN * SN_RT_ALIGN;
    at[i].offset = lowest_gap(&at[i], at, i, near);
    if (at[i].offset + at[i].bytes > top) top = at[i].offset + at[i].bytes;
    if (top > INT64_MAX / 2) code = SN_ERR_LIMIT;
  }
  free(near);
  *out_bytes = top;
  return code;
}

sn_code sn_layout(const sn_plan *p, int graph, const int *root, const int64_t *bytes, int64_t *offset,
                  int64_t *out_pool_bytes) {
  block *at = malloc(((size_t)p->slot_count + 1) * sizeof *at);
  int count = at ? collect(p, graph, root, bytes, at) : -1;
  if (count < 0) {
    free(at);
    return SN_ERR_LIMIT;
  }
  for (int i = 0; i < p->slot_count; i++) offset[i] = -1;
  qsort(at, (size_t)count, sizeof *at, by_size);
  int64_t top = 0;
  sn_code code = place(at, count, &top);
  for (int i = 0; i < count && !code; i++) offset[at[i].slot] = at[i].offset;
  if (!code) *out_pool_bytes = top;
  free(at);
  return code;
}
