/* Order of execution -> the same with more neighbours that need nothing of each other: workers go from one to the next
 * without waiting. Looks at what comes next in the order, a few steps ahead so that values do not live much longer, and
 * takes the first that depends neither on what it would overtake nor on what was taken since the last wait; when there
 * is none, the wave ends.
 *
 *   norm  q  rope(q)  k  rope(k)  v  ->  norm | q  k  v | rope(q)  rope(k) */
#include <string.h>

#include "passes/plan/order.h"

enum { AHEAD = 8 };

static bool reads(const sn_func *f, const sn_node *n, sn_val v) {
  for (int i = 0; i < n->arg_count; i++)
    if (sn_order_source(f, n->arg[i]) == v) return true;
  return false;
}

/* Must node a of the order come before node b? */
static bool leads(const sn_func *f, const sn_val *state, int a, int b) {
  if (a == SN_ORDER_CHECK || b == SN_ORDER_CHECK) return true;
  const sn_node *from = f->node[a], *to = f->node[b];
  for (int r = 0; r < from->result_count; r++)
    if (reads(f, to, from->first + (sn_val)r)) return true;
  for (int r = 0; r < to->result_count; r++) {
    sn_val s = state[to->first + (sn_val)r];
    if (s && reads(f, from, s)) return true;
  }
  return false;
}

static bool any_leads(const sn_func *f, const sn_val *state, const int *at, int count, int b) {
  for (int i = 0; i < count; i++)
    if (leads(f, state, at[i], b)) return true;
  return false;
}

/* Of at[0..count-1] the position of the first that may come next in the wave, which are the `taken` in front of it; -1:
 * none. */
static int next_of_wave(const sn_func *f, const sn_val *state, const int *at, int count, int taken) {
  for (int i = 0; i < count && i < AHEAD; i++)
    if (!any_leads(f, state, at - taken, taken + i, at[i])) return i;
  return -1;
}

void sn_order_waves(const sn_func *f, const sn_val *state, int *at, int count) {
  int taken = 0;
  for (int i = 0; i < count; i++) {
    int k = next_of_wave(f, state, at + i, count - i, taken);
    taken = k < 0 ? 1 : taken + 1;
    if (k <= 0) continue;
    int node = at[i + k];
    memmove(at + i + 1, at + i, (size_t)k * sizeof *at);
    at[i] = node;
  }
}
