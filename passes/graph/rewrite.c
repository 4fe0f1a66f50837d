/* module -> module: the engine under the graph passes. A function is swept node by node into its successor; a sweep
 * that replaced something is followed by another. Bodies are rewritten before their users, so that a node always gets
 * the newest region.
 *
 * Termination: each pass shows in its head that its rules shrink a measure; the bound on sweeps turns a mistake in that
 * argument into an error. */
#include "passes/graph/rewrite.h"

enum { MAX_SWEEPS = 200 };

/* One sweep over one function. */
typedef struct sweep {
  sn_arena *scratch; /* of the sweep: the function being built and the tables */
  sn_rewriter *r;
  const sn_func *from;
  sn_build b;
  sn_val *map; /* by value id of `from` */
  sn_val *arg; /* operands of the node at hand */
  sn_val *out; /* its results */
  int arg_capacity, out_capacity;
  bool changed;
} sweep;

static sn_val *grown(sn_arena *arena, sn_val *at, int *capacity, int count) {
  while (*capacity < count) SN_GROW(arena, at, *capacity, *capacity);
  return at;
}

static const sn_func *newest_body(const sn_rewriter *r, const sn_func *body) {
  for (const sn_func *next; (next = sn_map_get(r->bodies, (uint64_t)(uintptr_t)body));) body = next;
  return body;
}

/* Copies the node with its regions brought up to date. */
static sn_val copy_node(sweep *s, const sn_node *n) {
  const sn_op_info *info = sn_op_get(n->op);
  sn_attr attr[SN_ATTR_MAX];
  bool newer = false;
  for (int i = 0; i < info->attr_count; i++) {
    attr[i] = n->attr[i];
    if (info->attr[i].kind != 'R' || !attr[i].set) continue;
    attr[i].region = newest_body(s->r, attr[i].region);
    newer |= attr[i].region != n->attr[i].region;
  }
  s->changed |= newer;
  if (!newer) return sn_func_copy_node(s->b.func, n, s->arg);
  return sn_func_add(s->b.func, n->op, n->arg_count, s->arg, attr, n->result_count, n->type, &n->origin);
}

/* The first rule that applies and is not switched off. */
static bool try_rules(sweep *s, const sn_node *n) {
  if (n->result_count != 1) return false;
  for (const sn_rule *rule = s->r->rules; rule->name; rule++) {
    if (rule->op != SN_OP_NONE && rule->op != n->op) continue;
    sn_val v = rule->apply(&s->b, n, s->arg);
    if (s->b.failed) return false;
    if (!v || !sn_rule_enabled(s->r->env, rule->name)) continue;
    s->out[0] = v;
    return true;
  }
  return false;
}

static sn_code check_types(const sweep *s, const sn_node *n) {
  for (int i = 0; i < n->result_count; i++) {
    const sn_type *found = s->out[i] ? sn_val_type(s->b.func, s->out[i]) : NULL;
    if (found == n->type[i]) continue;
    sn_fail(s->b.diags, SN_ERR_FAIL, n->origin.loc_count ? n->origin.locs[0] : (sn_loc){0},
            "pass %s replaced a result of `%s` by another type", s->r->pass, sn_op_get(n->op)->name);
    sn_fail_expected(s->b.diags, "%s", sn_type_text(s->r->env->arena, n->type[i]));
    sn_fail_found(s->b.diags, "%s", found ? sn_type_text(s->r->env->arena, found) : "nothing");
    return SN_ERR_FAIL;
  }
  return SN_OK;
}

static sn_code sweep_node(sweep *s, const sn_node *n) {
  sn_rewriter *r = s->r;
  s->arg = grown(s->scratch, s->arg, &s->arg_capacity, n->arg_count);
  s->out = grown(s->scratch, s->out, &s->out_capacity, n->result_count);
  for (int i = 0; i < n->arg_count; i++) s->arg[i] = s->map[n->arg[i]];
  s->b.origin = n->origin;
  bool replaced = r->node ? r->node(r, &s->b, n, s->arg, s->out) : r->rules && try_rules(s, n);
  SN_TRY(s->b.failed);
  if (replaced) {
    r->hits++;
    s->changed = true;
    SN_TRY(check_types(s, n));
  } else {
    sn_val first = copy_node(s, n);
    for (int i = 0; i < n->result_count; i++) s->out[i] = first + (sn_val)i;
  }
  for (int i = 0; i < n->result_count; i++) s->map[n->first + (sn_val)i] = s->out[i];
  return SN_OK;
}

static void copy_interface(sweep *s) {
  const sn_func *f = s->from;
  sn_func *to = s->b.func;
  for (int i = 0; i < f->output_count; i++) sn_func_output(to, f->output[i].name, s->map[f->output[i].value]);
  for (int i = 0; i < f->update_count; i++) {
    sn_val state = s->map[f->update[i].state], next = s->map[f->update[i].next];
    if (s->r->update) s->r->update(&s->b, &state, &next);
    sn_func_update(to, state, next);
  }
  for (int i = 0; i < f->result_count; i++) sn_func_return(to, s->map[f->result[i]]);
  to->guard = s->map[f->guard];
}

static sn_code sweep_nodes(sweep *s) {
  s->b = sn_build_begin(sn_func_successor_in(s->from, s->scratch), s->r->env->diags);
  s->map = SN_ARRAY(s->scratch, s->from->value_count, sn_val);
  for (int i = 0; i < s->from->node_count; i++) SN_TRY(sweep_node(s, s->from->node[i]));
  return SN_OK;
}

/* One sweep; *f becomes the successor when something changed. */
static sn_code sweep_once(sn_rewriter *r, sn_func **f, bool *changed) {
  if (r->begin) r->begin(r, *f);
  sn_arena *own = sn_arena_scratch();
  sweep s = {.scratch = own ? own : r->env->arena, .r = r, .from = *f};
  sn_code code = sweep_nodes(&s);
  *changed = s.changed;
  if (!code && s.changed) {
    copy_interface(&s);
    *f = sn_func_replace(*f, s.b.func);
  }
  sn_arena_destroy(own);
  return code;
}

static sn_code rewrite_func(sn_rewriter *r, sn_func *f) {
  const sn_func *old = f;
  bool changed = true;
  for (int i = 0; changed; i++) {
    if (i == MAX_SWEEPS) {
      return sn_fail(r->env->diags, SN_ERR_FAIL, (sn_loc){0}, "pass %s does not settle on @%s", r->pass, f->name);
    }
    SN_TRY(sweep_once(r, &f, &changed));
  }
  if (f != old) sn_map_put(r->bodies, (uint64_t)(uintptr_t)old, f);
  return SN_OK;
}

/* Functions, bodies before their users. */
typedef struct order {
  sn_arena *arena;
  sn_map *seen; /* by address */
  int count, capacity;
  sn_func **list;
} order;

/* Appends `f` to the list after the bodies that it uses. */
static void order_func(order *o, sn_func *f) {
  if (sn_map_get(o->seen, (uint64_t)(uintptr_t)f)) return;
  sn_map_put(o->seen, (uint64_t)(uintptr_t)f, f);
  for (int i = 0; i < f->node_count; i++) {
    const sn_op_info *info = sn_op_get(f->node[i]->op);
    for (int k = 0; k < info->attr_count; k++) {
      if (info->attr[k].kind != 'R' || !f->node[i]->attr[k].set) continue;
      order_func(o, (sn_func *)(uintptr_t)f->node[i]->attr[k].region);
    }
  }
  SN_GROW(o->arena, o->list, o->count, o->capacity);
  o->list[o->count++] = f;
}

sn_code sn_rewrite_module(sn_module *m, sn_rewriter *r) {
  sn_arena *arena = r->env->arena;
  order o = {.arena = arena, .seen = sn_map_create(arena)};
  if (!r->bodies) r->bodies = sn_map_create(arena);
  for (int i = 0; i < m->func_count; i++) order_func(&o, m->func[i]);
  for (int i = 0; i < o.count; i++) SN_TRY(rewrite_func(r, o.list[i]));
  r->env->rule_hits += r->hits;
  return SN_OK;
}

sn_code sn_rewrite_with(sn_module *m, sn_pass_env *env, const char *pass, const sn_rule *rules) {
  sn_rewriter r = {.env = env, .pass = pass, .rules = rules};
  return sn_rewrite_module(m, &r);
}

int sn_drop_unused_bodies(sn_module *m) {
  order o = {.arena = m->arena, .seen = sn_map_create(m->arena)};
  int dropped = 0;
  for (int i = 0; i < m->func_count; i++) {
    if (m->func[i]->kind == SN_FUNC_GRAPH) order_func(&o, m->func[i]);
  }
  for (int i = m->func_count - 1; i >= 0; i--) {
    if (sn_map_get(o.seen, (uint64_t)(uintptr_t)m->func[i])) continue;
    sn_module_remove(m, m->func[i]);
    dropped++;
  }
  return dropped;
}
