/* sn_layers: each iteration of a C loop is traced into a body; equal bodies are one function, called once per layer. */
#include "frontend/trace.h"

#include <stdlib.h>
#include <string.h>

/* A loop that is running. */
struct sn_loop {
  sn_here here;
  sn_scope outer;
  const char *name;
  int count, at; /* at: the layer being traced, -1 before the first */
  int carried_count;
  sn_t **carried;
  sn_t *before;     /* values of the carried before this layer, in the outer function */
  sn_fn *fn, *into; /* the body being traced; the function that gets the calls */
};

enum { LAYERS_MAX = 4096 };

sn_scope sn_layers_at(sn_here here, sn_scope m, const char *name, int n, sn_t **carried) {
  sn_call c = sn_call_in(here, m, 0, NULL);
  sn_loop *l = SN_NEW(c.trace->arena, sn_loop);
  *l = (sn_loop){.here = here, .outer = m, .name = name, .count = n, .at = -1, .carried = carried};
  while (carried[l->carried_count]) l->carried_count++;
  l->before = SN_ARRAY(c.trace->arena, l->carried_count + 1, sn_t);
  if (n < 0 || n > LAYERS_MAX || !name || !*name) {
    sn_mistake(&c, sn_texts(&c, "a name and 0 to %d layers", LAYERS_MAX), sn_texts(&c, "%d", n), "no such loop");
    l->count = 0;
  }
  sn_path *p = SN_NEW(c.trace->arena, sn_path);
  *p = *m.path;
  p->loop = l;
  return (sn_scope){m.fn, p};
}

/* ---- closing a layer -------------------------------------------------------------------------------- */

static int update_order(const void *a, const void *b) {
  return strcmp(((const sn_fn_update *)a)->star, ((const sn_fn_update *)b)->star);
}

/* The carried values must come back with the types they went in. */
static bool check_carried(sn_call *c, const sn_loop *l, sn_val *results) {
  for (int i = 0; i < l->carried_count; i++) {
    sn_t x = *l->carried[i];
    const char *spelled = sn_spelled(c, i + 4);
    const sn_type *want = sn_t_type(l->before[i]);
    if (sn_is_poison(x) || !want) return false;
    sn_call inside = *c;
    inside.fn = l->fn;
    const sn_type *got = sn_t_type(x);
    if (got != want) {
      sn_mistake_plain(c, sn_type_text(c->trace->arena, want), sn_describe(c, x, spelled),
                       sn_texts(c, "layer %s.%d changes the type of %s", l->name, l->at, spelled));
      return false;
    }
    results[i] = sn_bring(&inside, x, spelled);
    if (!results[i]) return false;
  }
  return true;
}

/* States written inside become results of the call and updates outside, under their names there. */
static void hand_out_updates(sn_call *c, sn_loop *l, const char *with, sn_val first) {
  for (int i = 0; i < l->fn->update_count; i++) {
    const sn_fn_update *u = &l->fn->update[i];
    const sn_node *leaf = sn_node_of(l->fn->b.func, u->leaf);
    sn_build *b = &l->into->b;
    sn_attr at[SN_ATTR_MAX];
    memcpy(at, leaf->attr, (size_t)sn_op_get(leaf->op)->attr_count * sizeof *at);
    at[0].s = sn_name(c->trace->module->names, sn_unstar(c->trace->arena, with, u->star));
    sn_val outer = sn_func_leaf(b->func, leaf->op, at[0].s);
    if (!outer) outer = sn_emit(b, leaf->op, 0, NULL, at, leaf->type[0]);
    sn_call call = *c;
    call.here = u->here;
    sn_t next = {.u.id = first + (sn_val)(l->carried_count + i), .fn = l->into};
    sn_record_update(&call, (sn_t){.u.id = outer, .fn = l->into}, next);
  }
}

static sn_val emit_call(sn_loop *l, sn_closed body, const char *with) {
  sn_trace *t = l->into->trace;
  int count = l->carried_count + body.captured_count;
  sn_val *args = SN_ARRAY(t->arena, count + 1, sn_val);
  for (int i = 0; i < l->carried_count; i++) args[i] = (sn_val)l->before[i].u.id;
  for (int i = 0; i < body.captured_count; i++) args[l->carried_count + i] = body.captured[i];
  const sn_attr at[2] = {{.set = true, .region = body.func}, {.set = true, .s = with}};
  return sn_emit(&l->into->b, SN_OP_CALL, count, args, at, NULL);
}

static void poison_carried(sn_loop *l) {
  for (int i = 0; i < l->carried_count; i++) *l->carried[i] = (sn_t){.fn = l->into};
}

static void end_layer(sn_loop *l) {
  sn_fn *fn = l->fn;
  sn_call c = {.here = l->here, .trace = fn->trace, .fn = l->into};
  int count = l->carried_count + fn->update_count;
  fn->trace->inner = l->into;
  sn_val *results = SN_ARRAY(fn->trace->arena, count + 1, sn_val);
  l->into->loc = (sn_loc){.file = l->here.file, .line = l->here.line, .text = l->here.text};
  l->into->b.failed = SN_OK;
  if (!check_carried(&c, l, results)) {
    fn->closed = true;
    poison_carried(l);
    return;
  }
  if (fn->update_count) qsort(fn->update, (size_t)fn->update_count, sizeof *fn->update, update_order);
  for (int i = 0; i < fn->update_count; i++) results[l->carried_count + i] = fn->update[i].next;
  sn_closed body = sn_fn_close(fn, count, results);
  const char *with = sn_join_name(&c, l->outer.path->star, sn_texts(&c, "%s.%d", l->name, l->at));
  sn_t first = count ? sn_result(&c, emit_call(l, body, with)) : (sn_t){0};
  if (count && sn_is_poison(first)) {
    poison_carried(l);
    return;
  }
  for (int i = 0; i < l->carried_count; i++) *l->carried[i] = (sn_t){.u.id = first.u.id + i, .fn = l->into};
  hand_out_updates(&c, l, with, (sn_val)first.u.id);
}

/* ---- opening a layer ------------------------------------------------------------------------------------ */

/* The function that gets the call: that of the scope, or a deeper one that a carried value belongs to. */
static bool begin_values(sn_loop *l) {
  sn_t *x = SN_ARRAY(l->outer.fn->trace->arena, l->carried_count + 1, sn_t);
  for (int i = 0; i < l->carried_count; i++) x[i] = *l->carried[i];
  sn_call c = sn_call_in(l->here, l->outer, l->carried_count, x);
  l->into = c.fn;
  for (int i = 0; i < l->carried_count && !c.poison; i++) {
    if (!sn_need(&c, x[i], sn_spelled(&c, i + 4))) break;
    l->before[i] = (sn_t){.u.id = sn_bring(&c, x[i], sn_spelled(&c, i + 4)), .fn = c.fn};
  }
  return !c.poison;
}

static void begin_layer(sn_scope *h, sn_loop *l) {
  sn_trace *t = l->outer.fn->trace;
  bool good = begin_values(l);
  l->fn = sn_fn_open(t, l->into, l->name, SN_FUNC_BODY, l->here);
  l->fn->where = sn_arena_printf(t->arena, "in layer %s.%d, sn_layers at %s:%d", l->name, l->at,
                                 sn_base_name(l->here.file), l->here.line);
  for (int i = 0; i < l->carried_count; i++) {
    const sn_type *type = good ? sn_t_type(l->before[i]) : NULL;
    if (!type) l->before[i] = (sn_t){.fn = l->into};
    *l->carried[i] = type ? sn_fn_arg(l->fn, type) : (sn_t){.fn = l->fn};
  }
  t->inner = l->fn;
  sn_path *p = SN_NEW(t->arena, sn_path);
  const sn_path *outer = l->outer.path;
  *p = *outer;
  const char *dot = *outer->name ? "." : "";
  p->name = sn_arena_printf(t->arena, "%s%s%s.%d", outer->name, dot, l->name, l->at);
  p->star = sn_arena_printf(t->arena, "%s%s%s.*", outer->star, dot, l->name);
  p->layer = l->at;
  p->loop = l;
  *h = (sn_scope){l->fn, p};
}

bool sn_layers_next(sn_scope *h) {
  sn_loop *l = h->path->loop;
  if (!l) return false;
  if (l->at >= 0) end_layer(l);
  if (++l->at >= l->count) return false;
  begin_layer(h, l);
  return true;
}
