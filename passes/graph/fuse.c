/* graph -> graph: partitions a flat primitive function into groups, each of which becomes one `fused` node. It asks
 * which intermediates must exist in memory.
 *
 *   1. Every op that needs a kernel is a group. Nodes of one expansion (softmax, a norm) join first: they are one
 * kernel in every mode.
 *   2. Groups that share an edge join, the edge that saves most bytes first, as long as the union is one kernel, no
 * cycle arises, and the rule is on. What is refused is remembered with its reason.
 *   3. Groups without an edge that read the same operand, or are equal in form, join.
 *   4. Intermediates that cost more to keep than to compute again disappear (fuse_recompute.c).
 * Terminates: every join lowers the number of groups.
 *
 * Rules that can be switched off: fuse.map_into_map, map_into_rows, rows_into_map, rows_into_rows,
 * map_into_contract_epilogue, map_into_contract_prologue, map_into_index, index_into_copy, attend_into_concat,
 * siblings, equal_forms, inline_numbers, recompute, multiply_add, scatter_onto_sum; ahead: values of weights alone are
 * parts of any group and made in every run. */
#include "passes/graph/fuse.h"

#include <stdlib.h>
#include <string.h>

#include "passes/lower/internal.h"

enum { LARGE = 64 }; /* bytes: more than a few scalars */

typedef struct edge {
  int from, to; /* groups; from produces what to uses */
  double saved; /* bytes */
} edge;

/* ---- kinds and rules ----------------------------------------------------------------------------------------- */

static const char *rule_of(sn_fuse_kind from, sn_fuse_kind to) { /* table */
  if (from == SN_FUSE_ATTEND) return "fuse.attend_into_concat";
  if (from == SN_FUSE_INDEX) return "fuse.index_into_copy";
  if (to == SN_FUSE_INDEX) return "fuse.map_into_index";
  if (from == SN_FUSE_CONTRACT) return "fuse.map_into_contract_epilogue";
  if (to == SN_FUSE_CONTRACT) return "fuse.map_into_contract_prologue";
  if (from == SN_FUSE_MAP && to == SN_FUSE_MAP) return "fuse.map_into_map";
  if (from == SN_FUSE_MAP) return "fuse.map_into_rows";
  return to == SN_FUSE_MAP ? "fuse.rows_into_map" : "fuse.rows_into_rows";
}

bool sn_fuse_rule_allows(const sn_fuse *s, sn_fuse_kind from, sn_fuse_kind to) {
  sn_fuse_kind most = from > to ? from : to;
  if (from == SN_FUSE_ATTEND || to == SN_FUSE_ATTEND) most = SN_FUSE_ATTEND;
  return sn_fuse_wants(s->env, sn_fuse_kind_name(most)) && sn_rule_enabled(s->env, rule_of(from, to));
}

/* ---- joining ----------------------------------------------------------------------------------------------------- */

static int *merged_nodes(sn_fuse *s, const sn_fuse_group *a, const sn_fuse_group *b) {
  int *node = SN_ARRAY(s->arena, a->count + b->count, int);
  for (int i = 0, j = 0, n = 0; i < a->count || j < b->count;)
    node[n++] = j == b->count || (i < a->count && a->node[i] < b->node[j]) ? a->node[i++] : b->node[j++];
  return node;
}

static uint64_t pair_key(const sn_fuse *s, int a, int b) {
  return (uint64_t)(uint32_t)s->group[a].version << 32 | (uint32_t)s->group[b].version;
}

/* -> NULL when they are one group now, else the reason. `from` takes in `to`. */
static const char *join(sn_fuse *s, int from, int to) {
  sn_fuse_group *a = &s->group[from], *b = &s->group[to];
  sn_fuse_kind kind;
  if (sn_fuse_makes_cycle(s, from, to)) return "needs a value that depends on it";
  int *node = merged_nodes(s, a, b);
  const char *why = sn_fuse_check(s, a->count + b->count, node, &kind);
  if (why) return why;
  sn_fuse_order_join(s, from, to);
  for (int i = 0; i < b->count; i++) s->group_of[b->node[i]] = from;
  a->kind = kind, a->count += b->count, a->node = node, a->version = ++s->versions;
  b->version = -1;
  return NULL;
}

static bool try_join(sn_fuse *s, int from, int to) {
  uint64_t key = pair_key(s, from, to);
  if (sn_map_get(s->refused, key)) return false;
  const char *why = join(s, from, to);
  if (why)
    sn_map_put(s->refused, key, (void *)(uintptr_t)why);
  else
    s->env->rule_hits++;
  return !why;
}

/* ---- expansions -------------------------------------------------------------------------------------------------- */

/* Derivatives of an expansion are single ops. */
static const char *expansion_of(const sn_fuse *s, const sn_fuse_group *g) {
  const char *name = s->f->node[g->node[0]]->origin.group;
  if (g->kind > SN_FUSE_ROWS || (name && strstr(name, ".grad"))) return NULL;
  for (int i = 1; i < g->count && name; i++) {
    const char *other = s->f->node[g->node[i]]->origin.group;
    if (!other || strcmp(name, other)) return NULL;
  }
  return name;
}

/* Joins neighbours of one expansion, producers into users, until nothing changes. */
static void join_expansions(sn_fuse *s) {
  for (bool news = true; news;) {
    news = false;
    for (int to = 0; to < s->group_count; to++) {
      sn_fuse_group *g = &s->group[to];
      const char *name = g->version >= 0 ? expansion_of(s, g) : NULL;
      if (!name) continue;
      const sn_val *in;
      int n = sn_fuse_group_inputs(s, to, &in);
      for (int i = 0; i < n && i < 64 && g->version >= 0; i++) {
        int from = sn_fuse_group_of(s, in[i]);
        if (from < 0 || from == to) continue;
        const char *other = expansion_of(s, &s->group[from]);
        if (other && !strcmp(name, other)) news = try_join(s, from, to) || news;
      }
    }
  }
}

/* ---- steps of the optimiser ------------------------------------------------------------------------------- */

/* Values that only updates need. */
static bool *find_update_work(sn_fuse *s) {
  const sn_func *f = s->f;
  bool *only = SN_ARRAY(s->arena, f->value_count, bool), *seen = SN_ARRAY(s->arena, f->value_count, bool);
  for (int i = 0; i < f->output_count; i++) seen[f->output[i].value] = true;
  for (int i = 0; i < f->result_count; i++) seen[f->result[i]] = true;
  if (f->guard) seen[f->guard] = true;
  for (int i = f->node_count - 1; i >= 0; i--) {
    const sn_node *n = f->node[i];
    bool needed = false;
    for (int r = 0; r < n->result_count; r++) needed = needed || seen[n->first + (sn_val)r];
    for (int r = 0; r < n->result_count; r++) only[n->first + (sn_val)r] = !needed;
    for (int k = 0; k < n->arg_count && needed; k++) seen[n->arg[k]] = true;
  }
  return only;
}

/* Where maps are not fused, an update's product and the sum that it goes into are still one step, as eager libraries
 * have it. */
static void join_multiply_add(sn_fuse *s) {
  const bool *only = find_update_work(s);
  for (int to = 0; to < s->group_count; to++) {
    const sn_fuse_group *g = &s->group[to];
    const sn_node *n = s->f->node[g->node[0]];
    if (g->version < 0 || g->count > 1 || (n->op != SN_OP_ADD && n->op != SN_OP_SUB) || !only[n->first]) continue;
    for (int k = n->arg_count - 1; k >= 0; k--) {
      sn_val v = n->arg[k];
      int from = sn_fuse_group_of(s, v), p = sn_fuse_position(s, v);
      if (from < 0 || s->group[from].count > 1 || s->f->node[p]->op != SN_OP_MUL || s->users[p] > 1 || s->kept[v])
        continue;
      if (try_join(s, from, to)) break;
    }
  }
}

/* A scatter_add that goes into a sum with a value that nothing else reads becomes one group with the sum: it can add to
 * the rows of that value where they lie, instead of being made of zeros, written and read. */
static void join_scatters(sn_fuse *s) {
  for (int to = 0; to < s->group_count; to++) {
    const sn_fuse_group *g = &s->group[to];
    const sn_node *n = s->f->node[g->node[0]], *scatter;
    sn_val onto = g->version < 0 || g->count > 1 ? 0 : sn_scatter_sum(s->f, n, &scatter);
    if (!onto) continue;
    int from = sn_fuse_group_of(s, scatter->first);
    if (from >= 0 && sn_fuse_is_used_once(s, onto) && sn_fuse_is_used_once(s, scatter->first))
      (void)try_join(s, from, to);
  }
}

/* ---- edges
 * -------------------------------------------------------------------------------------------------------------- */

/* Is the value used by nothing but the two groups? */
static bool only_used_by(const sn_fuse *s, sn_val v, int a, int b) {
  int p = sn_fuse_position(s, v);
  if (s->kept[v]) return false;
  for (int i = 0; i < s->users[p]; i++) {
    int g = s->group_of[s->user[p][i]];
    if (g != a && g != b) return false;
  }
  return true;
}

typedef struct edges {
  int count, capacity;
  edge *at;
} edges;

static void add_edge(sn_fuse *s, edges *e, int from, int to, double saved) {
  for (int i = e->count - 1; i >= 0 && e->at[i].to == to; i--)
    if (e->at[i].from == from) {
      e->at[i].saved += saved;
      return;
    }
  SN_GROW(s->arena, e->at, e->count, e->capacity);
  e->at[e->count++] = (edge){from, to, saved};
}

static edges find_edges(sn_fuse *s) {
  edges e = {0};
  for (int to = 0; to < s->group_count; to++) {
    const sn_fuse_group *g = &s->group[to];
    if (g->version < 0) continue;
    const sn_val *in;
    int n = sn_fuse_group_inputs(s, to, &in);
    for (int i = 0; i < n && i < 256; i++) {
      int from = sn_fuse_group_of(s, in[i]);
      if (from >= 0 && from != to)
        add_edge(s, &e, from, to, s->bytes[in[i]] * (only_used_by(s, in[i], from, to) ? 2 : 1));
    }
  }
  return e;
}

static int by_saving(const void *x, const void *y) {
  const edge *a = x, *b = y;
  if (a->saved != b->saved) return a->saved < b->saved ? 1 : -1;
  return a->to != b->to ? a->to - b->to : a->from - b->from;
}

/* Sibling groups: pairs that read one value, consecutive users of it. */
static edges find_siblings(sn_fuse *s) {
  edges e = {0};
  for (int p = 0; p < s->f->node_count; p++) {
    int last = -1;
    if (!sn_fuse_in_memory(s, s->f->node[p])) continue;
    for (int i = 0; i < s->users[p]; i++) {
      int g = s->group_of[s->user[p][i]];
      if (g < 0 || g == last || g == s->group_of[p]) continue;
      if (last >= 0) add_edge(s, &e, last < g ? last : g, last < g ? g : last, s->bytes[s->f->node[p]->first]);
      last = g;
    }
  }
  return e;
}

/* Edges that save at least `least` bytes. */
static bool join_edges(sn_fuse *s, edges e, bool siblings, double least) {
  bool news = false;
  if (e.count) qsort(e.at, (size_t)e.count, sizeof *e.at, by_saving);
  for (int i = 0; i < e.count; i++) {
    int from = e.at[i].from, to = e.at[i].to;
    if (e.at[i].saved < least || from == to || s->group[from].version < 0 || s->group[to].version < 0) continue;
    if (!sn_fuse_rule_allows(s, s->group[from].kind, s->group[to].kind)) continue;
    if (siblings && (s->group[from].kind > SN_FUSE_ROWS || s->group[from].kind != s->group[to].kind ||
                     sn_fuse_makes_cycle(s, to, from)))
      continue;
    news = try_join(s, from, to) || news;
  }
  return news;
}

/* ---- groups of one form
 * ---------------------------------------------------------------------------------------------------- */

static const char *form_of(sn_fuse *s, const sn_fuse_group *g) {
  sn_text t = sn_text_begin(s->arena);
  for (int i = 0; i < g->count; i++) {
    const sn_node *n = s->f->node[g->node[i]];
    sn_text_add(&t, "%s ", sn_node_called(t.arena, n));
    sn_type_print(&t, n->type[0]);
  }
  return t.at;
}

/* Does every result go to the caller or to reductions of everything: the optimiser's updates and norms? */
static bool is_leaf_work(const sn_fuse *s, const sn_fuse_group *g) {
  sn_val out[64];
  int n = g->count <= 64 ? sn_fuse_outputs(s, g->count, g->node, out) : 0;
  for (int i = 0; i < n; i++)
    if (!s->kept[out[i]] && sn_val_type(s->f, out[i])->rank) return false;
  return n > 0;
}

static void join_equals(sn_fuse *s) {
  sn_map *last = sn_map_create(s->arena);
  for (int i = 0; i < s->group_count; i++) {
    sn_fuse_group *g = &s->group[i];
    if (g->version < 0 || g->kind > SN_FUSE_ROWS || !is_leaf_work(s, g)) continue;
    const char *form = form_of(s, g);
    int *other = sn_map_get_str(last, form);
    if (other && s->group[*other].version >= 0 && sn_fuse_rule_allows(s, g->kind, g->kind) &&
        !sn_fuse_makes_cycle(s, i, *other) && try_join(s, *other, i))
      continue;
    if (!other) other = SN_NEW(s->arena, int);
    *other = i;
    sn_map_put_str(last, form, other);
  }
}

/* ---- reasons
 * ------------------------------------------------------------------------------------------------------------------ */

static const char *group_text(sn_fuse *s, const sn_fuse_group *g) {
  sn_text t = sn_text_begin(s->env->arena);
  for (int i = 0; i < g->count && i < 6; i++)
    sn_text_add(&t, "%s%s", i ? " " : "", sn_node_called(t.arena, s->f->node[g->node[i]]));
  if (g->count > 6) sn_text_add(&t, " and %d more", g->count - 6);
  return t.at;
}

static const char *why_not(sn_fuse *s, int from, int to) {
  const sn_fuse_group *a = &s->group[from], *b = &s->group[to];
  const char *why = sn_map_get(s->refused, pair_key(s, from, to));
  sn_fuse_kind kind;
  if (why) return why;
  if (!sn_fuse_rule_allows(s, a->kind, b->kind)) return "the rule is switched off";
  if (sn_fuse_makes_cycle(s, from, to)) return "needs a value that depends on it";
  why = sn_fuse_check(s, a->count + b->count, merged_nodes(s, a, b), &kind);
  return why ? why : "an intermediate is computed again instead";
}

static void collect_refusals(sn_fuse *s) {
  edges e = find_edges(s);
  for (int i = 0; i < e.count; i++) {
    const sn_fuse_group *a = &s->group[e.at[i].from], *b = &s->group[e.at[i].to];
    const char *why = why_not(s, e.at[i].from, e.at[i].to);
    const char *from = group_text(s, a), *to = group_text(s, b);
    sn_pass_refuse(s->env, s->f->name, sn_arena_printf(s->env->arena, "%s -> %s", from, to), why);
  }
}

/* ---- the pass
 * ----------------------------------------------------------------------------------------------------------------------
 */

static sn_code fuse_function(sn_pass_env *env, const sn_func *f, sn_func **out) {
  sn_fuse s;
  sn_arena *arena = env->arena;
  sn_fuse_begin(&s, env, arena, f, sn_fuse_wants(env, "map") && sn_rule_enabled(env, "fuse.inline_numbers"));
  join_expansions(&s);
  if (!sn_fuse_wants(env, "map") && sn_rule_enabled(env, "fuse.multiply_add")) join_multiply_add(&s);
  if (sn_fuse_wants(env, "index") && sn_rule_enabled(env, "fuse.scatter_onto_sum")) join_scatters(&s);
  while (join_edges(&s, find_edges(&s), false, LARGE)) continue;
  if (sn_rule_enabled(env, "fuse.siblings"))
    while (join_edges(&s, find_siblings(&s), true, LARGE)) continue;
  if (sn_fuse_wants(env, "map") && sn_rule_enabled(env, "fuse.equal_forms")) join_equals(&s);
  while (join_edges(&s, find_edges(&s), false, 0)) continue; /* scalars last: they would make equal groups differ */
  if (sn_fuse_wants(env, "map") && sn_rule_enabled(env, "fuse.recompute")) sn_fuse_recompute(&s);
  collect_refusals(&s);
  return sn_fuse_build(&s, out);
}

/* ---- regions that become steps or loops -------------------------------------------------------------------------- */

/* The region in attribute k of the node, NULL: none that is lowered node by node. */
static const sn_func *region_of(const sn_node *n, int k) {
  bool holds = n->op == SN_OP_SCAN || n->op == SN_OP_COND || n->op == SN_OP_WHILE;
  return holds && sn_op_get(n->op)->attr[k].kind == 'R' ? n->attr[k].region : NULL;
}

/* The function with the fused regions in its nodes; itself when it has none. */
static const sn_func *with_regions(const sn_func *f, sn_map *regions) {
  bool any = false;
  for (int i = 0; i < f->node_count; i++)
    for (int k = 0; k < sn_op_get(f->node[i]->op)->attr_count; k++) any |= region_of(f->node[i], k) != NULL;
  if (!any) return f;
  sn_func *to = sn_func_successor(f);
  sn_val *map = SN_ARRAY(to->arena, f->value_count, sn_val);
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    sn_val *arg = SN_ARRAY(to->arena, n->arg_count + 1, sn_val);
    sn_attr attr[SN_ATTR_MAX];
    for (int k = 0; k < sn_op_get(n->op)->attr_count; k++) {
      attr[k] = n->attr[k];
      if (region_of(n, k)) attr[k].region = sn_map_get(regions, (uint64_t)(uintptr_t)n->attr[k].region);
    }
    for (int k = 0; k < n->arg_count; k++) arg[k] = map[n->arg[k]];
    sn_val v = sn_func_add(to, n->op, n->arg_count, arg, attr, n->result_count, n->type, &n->origin);
    for (int r = 0; r < n->result_count; r++) map[n->first + (sn_val)r] = v + (sn_val)r;
  }
  for (int i = 0; i < f->output_count; i++) sn_func_output(to, f->output[i].name, map[f->output[i].value]);
  for (int i = 0; i < f->update_count; i++) sn_func_update(to, map[f->update[i].state], map[f->update[i].next]);
  for (int i = 0; i < f->result_count; i++) sn_func_return(to, map[f->result[i]]);
  to->guard = map[f->guard];
  return sn_func_replace((sn_func *)(uintptr_t)f, to);
}

/* Fuses the regions that f holds, inner ones first; regions: region -> what it became. */
static sn_code fuse_regions(sn_pass_env *env, const sn_func *f, sn_map *regions) {
  for (int i = 0; i < f->node_count; i++)
    for (int k = 0; k < sn_op_get(f->node[i]->op)->attr_count; k++) {
      const sn_func *region = region_of(f->node[i], k);
      sn_func *fused = NULL;
      if (!region || sn_map_get(regions, (uint64_t)(uintptr_t)region)) continue;
      SN_TRY(fuse_regions(env, region, regions));
      SN_TRY(fuse_function(env, with_regions(region, regions), &fused));
      sn_map_put(regions, (uint64_t)(uintptr_t)region, fused);
    }
  return SN_OK;
}

/* Was it fused before, and is it read back from its text? */
static bool is_fused(const sn_func *f) {
  int fused = 0;
  for (int i = 0; i < f->node_count; i++) {
    sn_op_class cls = sn_op_get(f->node[i]->op)->cls;
    if (f->node[i]->op != SN_OP_FUSED && cls != SN_CLASS_LEAF && cls != SN_CLASS_VIEW) return false;
    fused += f->node[i]->op == SN_OP_FUSED;
  }
  return fused > 0;
}

sn_code sn_pass_fuse(sn_module *m, sn_pass_env *env) {
  env->rule_hits = 0;
  int count = m->func_count;
  sn_func **graph = SN_ARRAY(env->arena, count, sn_func *), *fused;
  sn_map *regions = sn_map_create(env->arena);
  for (int i = 0; i < count; i++) graph[i] = m->func[i];
  for (int i = 0; i < count; i++) {
    if (graph[i]->kind != SN_FUNC_GRAPH || is_fused(graph[i])) continue;
    SN_TRY(fuse_regions(env, graph[i], regions));
    SN_TRY(fuse_function(env, with_regions(graph[i], regions), &fused));
  }
  return SN_OK;
}
