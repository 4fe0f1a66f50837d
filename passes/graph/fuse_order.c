/* Fuse: would joining two groups make a cycle? Groups are kept in an order in which each stands behind what it reads,
 * so that a search from one group up to another leaves out all that stands before the other.
 *
 *   1. The list begins in the order of the nodes: every group is one node.
 *   2. Two groups that join stand where the first of them stood. What the second reads moves before it: nothing of that
 * reads the first, or they could not join.
 *   3. Ranks are places in the list as numbers with gaps; when a gap is full, all are numbered anew. */
#include <stdlib.h>

#include "passes/graph/fuse.h"

enum { GAP_BITS = 32, NOWHERE = -1 };

/* A group that moves, and where it stood. */
typedef struct moving {
  int64_t rank;
  int group;
} moving;

struct sn_fuse_order {
  int above_count;
  int *above; /* what the last search met */
  moving *moved;
};

void sn_fuse_order_begin(sn_fuse *s) {
  s->order = SN_NEW(s->arena, sn_fuse_order);
  s->order->above = SN_ARRAY(s->arena, s->group_count, int);
  s->order->moved = SN_ARRAY(s->arena, s->group_count, moving);
  s->is_ordered = true;
  for (int i = 0; i < s->group_count; i++) {
    s->group[i].rank = (int64_t)(i + 1) << GAP_BITS;
    s->group[i].before = i - 1;
    s->group[i].behind = i + 1 < s->group_count ? i + 1 : NOWHERE;
  }
}

/* Positions of the nodes that the group reads, computed anew when it has changed. */
static void find_operands(sn_fuse *s, sn_fuse_group *g) {
  if (g->operand_version == g->version) return;
  const sn_val *in;
  int n = sn_fuse_group_inputs(s, (int)(g - s->group), &in);
  g->operand = SN_ARRAY(s->arena, n, int);
  g->operand_count = 0;
  for (int i = 0; i < n; i++) {
    int p = sn_fuse_position(s, in[i]);
    if (s->group_of[p] >= 0) g->operand[g->operand_count++] = p;
  }
  g->operand_version = g->version;
}

/* Does anything between the groups depend on `from` and feed `to`? Searches up from `to`. */
static bool reaches(sn_fuse *s, int from, int to, bool direct) {
  sn_fuse_group *g = &s->group[to];
  if (g->mark == s->marks) return false;
  g->mark = s->marks;
  s->order->above[s->order->above_count++] = to;
  find_operands(s, g);
  for (int i = 0; i < g->operand_count; i++) {
    int x = s->group_of[g->operand[i]];
    bool before = s->is_ordered && s->group[x].rank < s->group[from].rank;
    if (x == to || before || (x == from && direct)) continue;
    if (x == from || reaches(s, from, x, false)) return true;
  }
  return false;
}

bool sn_fuse_makes_cycle(sn_fuse *s, int from, int to) {
  s->marks++;
  s->order->above_count = 0;
  return reaches(s, from, to, true);
}

/* ---- moving --------------------------------------------------------------------------------------------------- */

static void unlink_group(sn_fuse *s, int g) {
  const sn_fuse_group *x = &s->group[g];
  if (x->before != NOWHERE) s->group[x->before].behind = x->behind;
  if (x->behind != NOWHERE) s->group[x->behind].before = x->before;
}

static void link_before(sn_fuse *s, int g, int place) {
  sn_fuse_group *x = &s->group[g], *y = &s->group[place];
  x->before = y->before, x->behind = place;
  if (y->before != NOWHERE) s->group[y->before].behind = g;
  y->before = g;
}

static void number_all(sn_fuse *s, int any) {
  int64_t n = 0;
  while (s->group[any].before != NOWHERE) any = s->group[any].before;
  for (int g = any; g != NOWHERE; g = s->group[g].behind) s->group[g].rank = ++n << GAP_BITS;
}

static int by_rank(const void *x, const void *y) {
  const moving *a = x, *b = y;
  return (a->rank > b->rank) - (a->rank < b->rank);
}

/* Moves groups before another, in the order that they have; half of the gap stays. */
static void move_before(sn_fuse *s, int count, moving *moved, int place) {
  if (count > 1) qsort(moved, (size_t)count, sizeof *moved, by_rank);
  for (int i = 0; i < count; i++) unlink_group(s, moved[i].group);
  int before = s->group[place].before;
  int64_t low = before == NOWHERE ? 0 : s->group[before].rank, step = (s->group[place].rank - low) / 2 / (count + 1);
  for (int i = 0; i < count; i++) {
    link_before(s, moved[i].group, place);
    s->group[moved[i].group].rank = low + step * (i + 1);
  }
  if (count && !step) number_all(s, place);
}

void sn_fuse_order_join(sn_fuse *s, int into, int other) {
  bool is_first = s->group[into].rank < s->group[other].rank;
  int low = is_first ? into : other, high = is_first ? other : into, count = 0;
  sn_fuse_order *o = s->order;
  (void)sn_fuse_makes_cycle(s, low, high); /* it does not, and what the search met is all that has to move */
  for (int i = 0; i < o->above_count; i++)
    if (o->above[i] != high) o->moved[count++] = (moving){s->group[o->above[i]].rank, o->above[i]};
  unlink_group(s, high);
  move_before(s, count, o->moved, low);
  if (is_first) return;
  link_before(s, into, low);
  s->group[into].rank = s->group[low].rank;
  unlink_group(s, low);
}
