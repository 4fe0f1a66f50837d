/* Functions under construction: graphs, layer bodies and regions are opened, traced into and closed. Closing gives
 * captures an order that follows from the body alone and lets equal bodies be one. */
#include "frontend/trace.h"

#include <string.h>

/* ---- opening ------------------------------------------------------------------------------------ */

sn_fn *sn_fn_open(sn_trace *t, sn_fn *outer, const char *name, sn_func_kind kind, sn_here here) {
  sn_fn *fn = SN_NEW(t->arena, sn_fn);
  *fn = (sn_fn){.trace = t, .outer = outer, .depth = outer ? outer->depth + 1 : 0, .name = name};
  sn_func *func = sn_func_create(t->module, name, kind);
  if (kind == SN_FUNC_BODY) sn_module_remove(t->module, func); /* listed when closed */
  fn->b = sn_build_begin(func, t->diags);
  fn->loc = (sn_loc){.file = here.file, .line = here.line, .text = here.text};
  fn->b.origin = (sn_origin){.locs = &fn->loc, .loc_count = 1};
  fn->facts = sn_map_create(t->arena);
  return fn;
}

sn_t sn_fn_arg(sn_fn *fn, const sn_type *type) {
  const sn_attr index = {.set = true, .i = fn->fixed_count++};
  return (sn_t){.u.id = sn_emit(&fn->b, SN_OP_ARG, 0, NULL, &index, type), .fn = fn};
}

sn_fact *sn_fact_of(sn_fn *fn, sn_val v, bool create) {
  sn_fact *fact = sn_map_get(fn->facts, v);
  if (!fact && create) {
    fact = SN_NEW(fn->trace->arena, sn_fact);
    sn_map_put(fn->facts, v, fact);
  }
  return fact;
}

/* ---- closing ------------------------------------------------------------------------------------- */

/* What one or two bodies capture, as values of the outer function. */
typedef struct captured_list {
  int count, capacity;
  sn_val *outer;
} captured_list;

static int find_captured(const captured_list *l, sn_val outer) {
  for (int i = 0; i < l->count; i++) {
    if (l->outer[i] == outer) return i;
  }
  return -1;
}

static const sn_capture *capture_by_inner(const sn_fn *fn, sn_val inner) {
  for (int i = 0; i < fn->capture_count; i++) {
    if (fn->capture[i].inner == inner) return &fn->capture[i];
  }
  return NULL;
}

/* Depth first from the results, operands left to right: marks what is needed and lists captures as they are met. */
static void walk_needed(sn_fn *fn, int result_count, const sn_val *results, bool *needed, captured_list *list) {
  const sn_func *f = fn->b.func;
  typedef struct step {
    const sn_node *node;
    int next;
  } step;
  step *path = NULL;
  int depth = 0, capacity = 0;
  for (int r = 0; r < result_count; r++) {
    sn_val todo = results[r];
    for (;;) {
      const sn_node *n = todo ? f->node_of[todo] : NULL;
      if (n && !needed[n->first]) {
        needed[n->first] = true;
        SN_GROW(fn->trace->arena, path, depth, capacity);
        path[depth++] = (step){.node = n};
        const sn_capture *capture = n->op == SN_OP_ARG ? capture_by_inner(fn, n->first) : NULL;
        if (capture && find_captured(list, capture->outer) < 0) {
          SN_GROW(fn->trace->arena, list->outer, list->count, list->capacity);
          list->outer[list->count++] = capture->outer;
        }
      }
      while (depth && path[depth - 1].next == path[depth - 1].node->arg_count) depth--;
      if (!depth) break;
      todo = path[depth - 1].node->arg[path[depth - 1].next++];
    }
  }
}

/* The body again, with its captures as arguments in the order of the list. */
static sn_func *rebuild(sn_fn *fn, int result_count, const sn_val *results, const bool *needed,
                        const captured_list *list) {
  const sn_func *f = fn->b.func;
  sn_func *to = sn_func_create(fn->trace->module, fn->name, SN_FUNC_BODY);
  sn_val *map = SN_ARRAY(to->arena, f->value_count, sn_val);
  sn_build b = sn_build_begin(to, fn->trace->diags);
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    const sn_capture *capture = n->op == SN_OP_ARG ? capture_by_inner(fn, n->first) : NULL;
    if (n->op != SN_OP_ARG && !needed[n->first]) continue;
    if (capture) continue;
    sn_val *arg = SN_ARRAY(to->arena, n->arg_count + 1, sn_val);
    for (int k = 0; k < n->arg_count; k++) {
      const sn_capture *from = capture_by_inner(fn, n->arg[k]);
      if (!from) {
        arg[k] = map[n->arg[k]];
        continue;
      }
      const sn_attr index = {.set = true, .i = fn->fixed_count + find_captured(list, from->outer)};
      b.origin = f->node_of[n->arg[k]]->origin;
      arg[k] = map[n->arg[k]] = sn_emit(&b, SN_OP_ARG, 0, NULL, &index, sn_val_type(f, n->arg[k]));
    }
    sn_val first = sn_func_copy_node(to, n, arg);
    for (int r = 0; r < n->result_count; r++) map[n->first + (sn_val)r] = first + (sn_val)r;
  }
  for (int i = 0; i < list->count; i++) { /* also those that only the other body of a pair uses, or that are returned */
    const sn_attr index = {.set = true, .i = fn->fixed_count + i};
    sn_val arg = sn_emit(&b, SN_OP_ARG, 0, NULL, &index, sn_val_type(fn->outer->b.func, list->outer[i]));
    for (int k = 0; k < fn->capture_count; k++) {
      if (fn->capture[k].outer == list->outer[i]) map[fn->capture[k].inner] = arg;
    }
  }
  for (int r = 0; r < result_count; r++) sn_func_return(to, map[results[r]]);
  return sn_func_finish(to);
}

/* The body that is already there, or this one. */
static const sn_func *share(sn_trace *t, sn_func *func, const char *base) {
  for (int i = 0; i < t->body_count; i++) {
    if (strcmp(t->body[i].base, base) != 0 || !sn_func_equal(t->body[i].func, func)) continue;
    sn_module_remove(t->module, func);
    return t->body[i].func;
  }
  SN_GROW(t->arena, t->body, t->body_count, t->body_capacity);
  t->body[t->body_count].func = func;
  t->body[t->body_count++].base = base;
  return func;
}

static void close_all(int count, sn_fn *const *fn, const int *result_count, const sn_val *const *results,
                      sn_closed *out) {
  captured_list list = {0};
  bool *needed[2] = {0};
  for (int i = 0; i < count; i++) {
    out[i] = (sn_closed){0};
    if (!fn[i]) continue;
    needed[i] = SN_ARRAY(fn[i]->trace->arena, fn[i]->b.func->value_count, bool);
    walk_needed(fn[i], result_count[i], results[i], needed[i], &list);
  }
  for (int i = 0; i < count; i++) {
    if (!fn[i]) continue;
    sn_func *func = rebuild(fn[i], result_count[i], results[i], needed[i], &list);
    out[i] = (sn_closed){share(fn[i]->trace, func, fn[i]->name), list.count, list.outer};
    fn[i]->closed = true;
  }
}

sn_closed sn_fn_close(sn_fn *fn, int result_count, const sn_val *results) {
  sn_closed out;
  close_all(1, &fn, &result_count, &results, &out);
  return out;
}

void sn_fn_close_pair(sn_fn *const fn[2], const int counts[2], const sn_val *const results[2], sn_closed out[2]) {
  close_all(2, fn, counts, results, out);
}

/* ---- the finished module ------------------------------------------------------------------------------ */

typedef struct tidy {
  sn_trace *trace;
  int count;
  sn_func **order; /* bodies before their users */
} tidy;

static void visit_body(tidy *t, const sn_func *body);

static void visit_regions(tidy *t, const sn_func *f) {
  for (int i = 0; i < f->node_count; i++) {
    const sn_op_info *info = sn_op_get(f->node[i]->op);
    for (int k = 0; k < info->attr_count; k++) {
      if (info->attr[k].kind == 'R' && f->node[i]->attr[k].region) visit_body(t, f->node[i]->attr[k].region);
    }
  }
}

/* Nesting is as deep as sn_layers and regions nest in the model's source. */
static void visit_body(tidy *t, const sn_func *body) {
  for (int i = 0; i < t->count; i++) {
    if (t->order[i] == body) return;
  }
  visit_regions(t, body);
  for (int i = 0; i < t->trace->body_count; i++) {
    if (t->trace->body[i].func == body) t->order[t->count++] = t->trace->body[i].func;
  }
}

static const char *base_of(const sn_trace *t, const sn_func *f) {
  for (int i = 0; i < t->body_count; i++) {
    if (t->body[i].func == f) return t->body[i].base;
  }
  return f->name;
}

static bool taken(const tidy *t, int count, const char *name) {
  for (int i = 0; i < count; i++) {
    if (!strcmp(t->order[i]->name, name)) return true;
  }
  return false;
}

void sn_module_tidy(sn_trace *t) {
  sn_module *m = t->module;
  tidy all = {.trace = t, .order = SN_ARRAY(t->arena, m->func_count + 1, sn_func *)};
  int graphs = 0;
  sn_func **graph = SN_ARRAY(t->arena, m->func_count + 1, sn_func *);
  for (int i = 0; i < m->func_count; i++) {
    if (m->func[i]->kind == SN_FUNC_GRAPH) graph[graphs++] = m->func[i];
  }
  for (int i = 0; i < graphs; i++) visit_regions(&all, graph[i]);
  for (int i = 0; i < all.count; i++) {
    const char *base = base_of(t, all.order[i]), *name = base;
    bool clash = false;
    for (int g = 0; g < graphs; g++) clash |= !strcmp(graph[g]->name, base);
    for (int n = 2; clash || taken(&all, i, name); n++) {
      name = sn_arena_printf(t->arena, "%s_%d", base, n);
      clash = false;
    }
    all.order[i]->name = sn_name(m->names, name);
  }
  for (int i = 0; i < all.count; i++) m->func[i] = all.order[i];
  for (int i = 0; i < graphs; i++) m->func[all.count + i] = graph[i];
  m->func_count = all.count + graphs;
}
