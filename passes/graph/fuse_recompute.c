/* Fuse: intermediates that are cheaper to compute again than to keep. A value in memory that is an elementwise function
 * of other values in memory (or of small ones, such as statistics of rows) is copied into every group that reads it,
 * and then needs no memory itself, when that saves bytes.
 *
 *   1. readers: for each value, the groups that read it from memory.
 *   2. A set of values is to leave memory: one elementwise value, last ones first; or all of a group that are functions
 * of one value, which takes their place in memory.
 *   3. The nodes between them and values in memory (their recipe) are copied into every reader, if that saves bytes and
 * each is still one kernel, and so is what is left of the groups that computed them. Terminates: every step lowers the
 * bytes in memory.
 *   4. What a group computed for values that left is dropped; where that leaves parts that nothing holds together, they
 * become groups of their own. */
#include <stdlib.h>
#include <string.h>

#include "passes/graph/fuse.h"

enum { RECIPE = 32, EDGE = 24, READERS = 16, RECIPE_COST = 96, SET = 8 };

typedef struct recipe {
  int count, node[RECIPE]; /* positions to be copied, in any order */
  int edge_count;
  sn_val edge[EDGE]; /* values that must lie in memory */
  int cost;
  bool too_large;
} recipe;

typedef struct recompute {
  sn_fuse *s;
  int *readers;           /* by value id; more than READERS are only counted */
  int (*reader)[READERS]; /* by value id: groups */
  int leaving_count;
  sn_val leaving[SET]; /* what is to be computed again */
  sn_val taking;       /* what takes its place; 0: nothing */
} recompute;

/* ---- readers ------------------------------------------------------------------------------------------------ */

static void add_reader(recompute *c, sn_val v, int group) {
  for (int i = 0; i < c->readers[v] && i < READERS; i++)
    if (c->reader[v][i] == group) return;
  if (c->readers[v] < READERS) c->reader[v][c->readers[v]] = group;
  c->readers[v]++;
}

static void find_readers(recompute *c) {
  sn_fuse *s = c->s;
  memset(c->readers, 0, (size_t)s->f->value_count * sizeof *c->readers);
  for (int g = 0; g < s->group_count; g++) {
    const sn_val *in;
    if (s->group[g].version < 0) continue;
    int n = sn_fuse_group_inputs(s, g, &in);
    for (int i = 0; i < n && i < SN_FUSE_INPUTS; i++) add_reader(c, in[i], g);
  }
}

static bool leaves(const recompute *c, sn_val v) {
  for (int i = 0; i < c->leaving_count; i++)
    if (c->leaving[i] == v) return true;
  return false;
}

static bool in_memory(const recompute *c, sn_val v) {
  return c->s->kept[v] || c->readers[v] > 0 || c->s->group_of[sn_fuse_position(c->s, v)] < 0;
}

/* Can a recipe begin with the value? */
static bool is_edge(const recompute *c, sn_val v) { return v == c->taking || (in_memory(c, v) && !leaves(c, v)); }

/* ---- recipes -------------------------------------------------------------------------------------------------- */

static bool may_copy(const sn_node *n) { return sn_op_get(n->op)->cls == SN_CLASS_POINT; }

static void add_to_recipe(const recompute *c, recipe *r, sn_val v, int group);

static void add_operand(const recompute *c, recipe *r, sn_val operand, int group) {
  const sn_fuse *s = c->s;
  sn_val v = sn_fuse_base(s, operand);
  const sn_node *n = sn_node_of(s->f, v);
  bool number = sn_op_get(n->op)->cls == SN_CLASS_LEAF && !s->stored[v] && !sn_leaf_name(n);
  if (number || s->inlined[v]) return;
  int p = sn_fuse_position(s, v);
  if (s->group_of[p] == group && may_copy(n) && !is_edge(c, v)) {
    add_to_recipe(c, r, v, group);
    return;
  }
  for (int i = 0; i < r->edge_count; i++)
    if (r->edge[i] == v) return;
  if (r->edge_count == EDGE)
    r->too_large = true;
  else
    r->edge[r->edge_count++] = v;
}

static void add_to_recipe(const recompute *c, recipe *r, sn_val v, int group) {
  const sn_node *n = sn_node_of(c->s->f, v);
  int p = sn_fuse_position(c->s, v);
  for (int i = 0; i < r->count; i++)
    if (r->node[i] == p) return;
  r->cost += sn_fuse_cost(n);
  if (r->count == RECIPE || r->cost > RECIPE_COST) {
    r->too_large = true;
    return;
  }
  r->node[r->count++] = p;
  for (int k = 0; k < n->arg_count && !r->too_large; k++) add_operand(c, r, n->arg[k], group);
}

static bool reads(const recompute *c, int group, sn_val v) {
  for (int i = 0; i < c->readers[v] && i < READERS; i++)
    if (c->reader[v][i] == group) return true;
  return false;
}

static bool computes(const recompute *c, int group, sn_val v) {
  const sn_fuse_group *g = &c->s->group[group];
  int p = sn_fuse_position(c->s, v);
  for (int i = 0; i < g->count; i++)
    if (g->node[i] == p) return true;
  return false;
}

/* The groups that read anything that leaves.  -> count, READERS + 1 when there are more */
static int all_readers(const recompute *c, int *group) {
  int n = 0;
  for (int i = 0; i < c->leaving_count; i++) {
    sn_val v = c->leaving[i];
    if (c->readers[v] > READERS) return READERS + 1;
    for (int k = 0; k < c->readers[v]; k++) {
      bool known = false;
      for (int j = 0; j < n; j++) known = known || group[j] == c->reader[v][k];
      if (known) continue;
      if (n == READERS) return READERS + 1;
      group[n++] = c->reader[v][k];
    }
  }
  return n;
}

/* Recipe of what one group reads of the values that leave. */
static recipe recipe_for(const recompute *c, int reader) {
  recipe r = {0};
  for (int i = 0; i < c->leaving_count; i++)
    if (reads(c, reader, c->leaving[i]))
      add_to_recipe(c, &r, c->leaving[i], c->s->group_of[sn_fuse_position(c->s, c->leaving[i])]);
  return r;
}

static double saved_bytes(const recompute *c, int readers, const int *group, const recipe *r) {
  double saved = 0;
  sn_val made[EDGE];
  int n = 0;
  for (int i = 0; i < c->leaving_count; i++) saved += c->s->bytes[c->leaving[i]] * (1 + c->readers[c->leaving[i]]);
  for (int g = 0; g < readers; g++)
    for (int i = 0; i < r[g].edge_count; i++) {
      sn_val e = r[g].edge[i];
      bool known = in_memory(c, e);
      for (int k = 0; k < n; k++) known = known || made[k] == e;
      if (!known) saved -= c->s->bytes[e];
      if (!known && n < EDGE) made[n++] = e;
      if (!reads(c, group[g], e) && !computes(c, group[g], e)) saved -= c->s->bytes[e];
    }
  return saved;
}

/* ---- what is left of groups -------------------------------------------------------------------------------------- */

static int place_in(const sn_fuse_group *g, int p) {
  for (int i = 0; i < g->count; i++)
    if (g->node[i] == p) return i;
  return -1;
}

static bool is_needed(const recompute *c, int group, int p) {
  const sn_node *n = c->s->f->node[p];
  for (int r = 0; r < n->result_count && c->s->group_of[p] == group; r++)
    if (c->s->kept[n->first + (sn_val)r] || c->readers[n->first + (sn_val)r] > 0) return true;
  return false;
}

/* Part of each node of the group: nodes that read one another share one, numbered by the last of them; -1: of no use.
 */
static void find_parts(const recompute *c, int group, int *part) {
  const sn_fuse_group *g = &c->s->group[group];
  for (int i = 0; i < g->count; i++) part[i] = is_needed(c, group, g->node[i]) ? i : -1;
  for (int i = g->count; i-- > 0;) {
    const sn_node *n = c->s->f->node[g->node[i]];
    for (int k = 0; k < n->arg_count && part[i] >= 0; k++) {
      int from = place_in(g, sn_fuse_position(c->s, sn_fuse_base(c->s, n->arg[k])));
      int old = from < 0 ? -1 : part[from];
      if (from >= 0 && old < 0) part[from] = part[i];
      for (int j = 0; old >= 0 && j < g->count; j++)
        if (part[j] == old) part[j] = part[i];
    }
  }
}

/* Is this a kernel? Copies are no outputs of the group that takes them. */
static const char *check_copies(recompute *c, int group, int count, const int *node, sn_fuse_kind *kind) {
  sn_fuse *s = c->s;
  for (int i = 0; i < count; i++) s->copied[node[i]] = s->group_of[node[i]] != group;
  const char *why = sn_fuse_check(s, count, node, kind);
  for (int i = 0; i < count; i++) s->copied[node[i]] = false;
  return why;
}

/* Nodes of a part; which < 0: of all parts. -> how many */
static int nodes_of(const sn_fuse_group *g, const int *part, int which, int *node) {
  int n = 0;
  for (int i = 0; i < g->count; i++)
    if (which < 0 ? part[i] >= 0 : part[i] == which) node[n++] = g->node[i];
  return n;
}

/* Is what is left of the group one kernel? *apart: each of its parts is. */
static bool is_whole(recompute *c, int group, const int *part, bool *apart) {
  const sn_fuse_group *g = &c->s->group[group];
  int *node = SN_ARRAY(c->s->arena, g->count, int), n = nodes_of(g, part, -1, node);
  sn_fuse_kind kind;
  *apart = true;
  if (g->count == 1) return true;
  if (!n || (!check_copies(c, group, n, node, &kind) && kind == g->kind)) return true;
  for (int i = 0; i < g->count; i++) {
    n = nodes_of(g, part, i, node);
    *apart = *apart && (!n || !check_copies(c, group, n, node, &kind));
  }
  return false;
}

static bool is_sound(recompute *c, int group) {
  int *part = SN_ARRAY(c->s->arena, c->s->group[group].count, int);
  bool apart;
  find_parts(c, group, part);
  return is_whole(c, group, part, &apart) || apart;
}

/* ---- copying ----------------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static int *with_copies(const recompute *c, int group, const recipe *r, int *count) {
  const sn_fuse_group *g = &c->s->group[group];
  int *node = SN_ARRAY(c->s->arena, g->count + r->count, int), n = g->count;
  memcpy(node, g->node, (size_t)n * sizeof *node);
  for (int i = 0; i < r->count; i++) {
    bool known = false;
    for (int k = 0; k < g->count && !known; k++) known = g->node[k] == r->node[i];
    if (!known) node[n++] = r->node[i];
  }
  qsort(node, (size_t)n, sizeof *node, ascending);
  *count = n;
  return node;
}

/* Do the groups that changed, and those that what leaves was computed in, stay kernels? Copies may read what only the
 * group itself has read so far. */
static bool all_sound(recompute *c, int count, const int *group) {
  bool sound = true;
  find_readers(c);
  c->s->readers = c->readers;
  for (int i = 0; i < count && sound; i++) sound = is_sound(c, group[i]);
  for (int i = 0; i < c->leaving_count && sound; i++)
    sound = is_sound(c, c->s->group_of[sn_fuse_position(c->s, c->leaving[i])]);
  c->s->readers = NULL;
  return sound;
}

static bool try_set(recompute *c) {
  sn_fuse *s = c->s;
  recipe r[READERS];
  sn_fuse_group old[READERS];
  int group[READERS], *node[READERS], count[READERS];
  int n = all_readers(c, group);
  if (n > READERS) return false;
  for (int i = 0; i < n; i++) {
    r[i] = recipe_for(c, group[i]);
    if (r[i].too_large || !sn_fuse_rule_allows(s, SN_FUSE_MAP, s->group[group[i]].kind)) return false;
  }
  if (saved_bytes(c, n, group, r) <= 0) return false;
  for (int i = 0; i < n; i++) {
    node[i] = with_copies(c, group[i], &r[i], &count[i]);
    sn_fuse_kind kind;
    if (check_copies(c, group[i], count[i], node[i], &kind) || kind != s->group[group[i]].kind) return false;
  }
  for (int i = 0; i < n; i++) {
    sn_fuse_group *g = &s->group[group[i]];
    old[i] = *g;
    g->node = node[i];
    g->count = count[i];
    g->version = ++s->versions;
  }
  if (all_sound(c, n, group)) {
    s->env->rule_hits++;
    return true;
  }
  for (int i = 0; i < n; i++) s->group[group[i]] = old[i];
  find_readers(c);
  return false;
}

static bool may_leave(const recompute *c, sn_val v) {
  return may_copy(sn_node_of(c->s->f, v)) && !c->s->kept[v] && c->readers[v] > 0;
}

static bool try_value(recompute *c, sn_val v) {
  c->taking = 0;
  c->leaving_count = 1;
  c->leaving[0] = v;
  return may_leave(c, v) && try_set(c);
}

/* Several results of one group that are functions of v, which is not in memory yet. */
static bool try_source(recompute *c, sn_val v) {
  const sn_fuse *s = c->s;
  int group = s->group_of[sn_fuse_position(s, v)];
  c->taking = v;
  c->leaving_count = 0;
  if (in_memory(c, v)) return false;
  for (int i = 0; i < s->group[group].count && c->leaving_count < SET; i++) {
    sn_val w = s->f->node[s->group[group].node[i]]->first;
    if (w > v && s->group_of[s->group[group].node[i]] == group && s->bytes[w] == s->bytes[v] && may_leave(c, w))
      c->leaving[c->leaving_count++] = w;
  }
  while (c->leaving_count > 1) {
    if (try_set(c)) return true;
    c->leaving_count--; /* the last ones may belong to readers that take no copies */
  }
  return false;
}

/* ---- groups that lost something ---------------------------------------------------------------------------------- */

/* The nodes of one part as a group, of the kind of the op that decides it. */
static sn_fuse_group group_of_part(recompute *c, const sn_fuse_group *g, const int *part, int which) {
  static const sn_fuse_kind order[] = {SN_FUSE_MAP, SN_FUSE_ROWS, SN_FUSE_INDEX, SN_FUSE_ATTEND, SN_FUSE_CONTRACT};
  sn_fuse_group out = {.node = SN_ARRAY(c->s->arena, g->count, int), .version = ++c->s->versions};
  int most = 0;
  for (int i = 0; i < g->count; i++) {
    if (part[i] != which) continue;
    out.node[out.count++] = g->node[i];
    for (int k = most; k < 5; k++)
      if (order[k] == sn_fuse_kind_of(c->s->f->node[g->node[i]])) most = k;
  }
  out.kind = order[most];
  return out;
}

static int free_group(const sn_fuse *s) {
  for (int i = 0; i < s->group_count; i++)
    if (s->group[i].version < 0) return i;
  return -1;
}

/* Each part becomes a group; the last keeps the number. */
static void split(recompute *c, int group, const int *part) {
  sn_fuse *s = c->s;
  const sn_fuse_group whole = s->group[group];
  int *name = SN_ARRAY(s->arena, whole.count, int), parts = 0;
  for (int i = 0; i < whole.count; i++) {
    bool known = part[i] < 0;
    for (int k = 0; k < parts; k++) known = known || name[k] == part[i];
    if (!known) name[parts++] = part[i];
  }
  for (int i = 0; i < parts; i++) {
    int to = i + 1 < parts ? free_group(s) : group; /* every part has a node, and every node had a group */
    s->group[to] = group_of_part(c, &whole, part, name[i]);
    for (int k = 0; k < s->group[to].count; k++)
      if (s->group_of[s->group[to].node[k]] == group) s->group_of[s->group[to].node[k]] = to;
  }
}

static void drop_unused(recompute *c, int group) {
  int *part = SN_ARRAY(c->s->arena, c->s->group[group].count, int);
  bool apart;
  find_parts(c, group, part);
  if (!is_whole(c, group, part, &apart)) split(c, group, part);
}

void sn_fuse_recompute(sn_fuse *s) {
  recompute c = {.s = s};
  s->is_ordered = false;
  c.readers = SN_ARRAY(s->arena, s->f->value_count, int);
  c.reader = sn_arena_array(s->arena, (size_t)s->f->value_count, sizeof *c.reader);
  find_readers(&c);
  for (int p = s->f->node_count - 1; p >= 0; p--) {
    if (s->group_of[p] < 0 || s->f->node[p]->result_count != 1) continue;
    sn_val v = s->f->node[p]->first;
    if (!try_value(&c, v)) (void)try_source(&c, v);
  }
  for (int p = s->f->node_count - 1; p >= 0; p--) { /* what new readers of a source allow */
    if (s->group_of[p] >= 0 && s->f->node[p]->result_count == 1) (void)try_value(&c, s->f->node[p]->first);
  }
  s->readers = c.readers;
  for (int g = s->group_count; g-- > 0;)
    if (s->group[g].version >= 0) drop_unused(&c, g);
  s->readers = NULL;
}
