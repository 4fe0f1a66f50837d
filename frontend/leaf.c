/* Named leaves: parameters and states of the one store, inputs and outputs of a graph, updates. */
#include "frontend/trace.h"

#include <math.h>
#include <string.h>

/* ---- names ------------------------------------------------------------------------------------------- */

static bool check_name(sn_call *c, const char *name) {
  bool ok = name && *name && *name != '.';
  for (const char *s = name; ok && *s; s++) {
    bool word =
        (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || *s == '_' || *s == '-';
    ok = word || (*s == '.' && s[1] && s[1] != '.');
  }
  if (!ok)
    sn_mistake(c, "letters, digits, _ - and . between them", sn_texts(c, "\"%s\"", name ? name : ""), "not a name");
  return ok;
}

/* ---- the store --------------------------------------------------------------------------------------------- */

static const char *declared_at(const sn_call *c, const sn_leaf_decl *d) {
  return sn_texts(c, "%s (%s \"%s\" at %s:%d)", sn_type_text(c->trace->arena, d->type), sn_op_get(d->op)->name, d->name,
                  sn_base_name(d->here.file), d->here.line);
}

static bool same_init(sn_init a, sn_init b) { return a.kind == b.kind && a.a == b.a; }

/* The declaration of a full name: made, or checked against the first. NULL after a mistake. */
static sn_leaf_decl *declare(sn_call *c, sn_op op, const char *name, const sn_type *type, sn_init init) {
  sn_leaf_decl *d = sn_map_get_str(c->trace->store, name);
  if (!d) {
    const sn_init *known = c->trace->inits ? sn_map_get_str(c->trace->inits, name) : NULL;
    if (known) init = *known;
    d = SN_NEW(c->trace->arena, sn_leaf_decl);
    *d = (sn_leaf_decl){sn_name(c->trace->module->names, name), op, type, init, c->here};
    sn_map_put_str(c->trace->store, name, d);
    return d;
  }
  if (d->op != op || d->type != type) {
    const char *found = sn_texts(c, "%s, a %s", sn_type_text(c->trace->arena, type), sn_op_get(op)->name);
    sn_mistake(c, declared_at(c, d), found, "\"%s\" is declared twice with two types", name);
    return NULL;
  }
  if (d->init.kind == SN_INIT_AUTO) d->init = init;
  if (init.kind != SN_INIT_AUTO && !same_init(d->init, init)) {
    sn_mistake(c, declared_at(c, d), "another initial value", "\"%s\" is declared twice with two initial values", name);
    return NULL;
  }
  return d;
}

/* What SN_INIT_AUTO means for a type. */
static sn_init init_of(const sn_leaf_decl *d) {
  int64_t n;
  if (d->init.kind != SN_INIT_AUTO) return d->init;
  if (d->op == SN_OP_STATE || d->type->rank < 2 || !sn_dimx_is_const(d->type->dim[0], &n)) return sn_fill(0);
  return sn_normal(1 / sqrt((double)n));
}

static const char *init_name(sn_init i) {
  static const char *const name[] = {[SN_INIT_NORMAL] = "normal",
                                     [SN_INIT_UNIFORM] = "uniform",
                                     [SN_INIT_FILL] = "fill",
                                     [SN_INIT_TRUNCATED] = "truncated"};
  return name[i.kind];
}

static void note_param(sn_trace *t, const sn_leaf_decl *d, bool frozen) {
  sn_fn *g = t->graph;
  for (int i = 0; i < g->param_count; i++) {
    if (g->param[i].decl != d) continue;
    g->param[i].frozen &= frozen;
    return;
  }
  SN_GROW(t->arena, g->param, g->param_count, g->param_capacity);
  g->param[g->param_count].decl = d;
  g->param[g->param_count++].frozen = frozen;
}

/* The node of a leaf in a function. */
static sn_val emit_leaf(sn_fn *fn, const sn_leaf_decl *d, const char *star, bool frozen) {
  sn_val v = sn_func_leaf(fn->b.func, d->op, star);
  if (v) return v;
  sn_init init = init_of(d);
  const sn_attr at[4] = {{.set = true, .s = star},
                         {.set = true, .s = init_name(init)},
                         {.set = true, .f = init.a},
                         {.set = frozen, .i = frozen}};
  sn_loc mine = fn->loc;
  fn->loc = (sn_loc){.file = d->here.file, .line = d->here.line, .text = d->here.text};
  v = sn_emit(&fn->b, d->op, 0, NULL, at, d->type);
  fn->loc = mine;
  return v;
}

sn_val sn_graph_leaf(sn_trace *t, const sn_leaf_decl *d) { return emit_leaf(t->graph, d, d->name, false); }

sn_t sn_leaf(sn_call *c, sn_op op, sn_scope m, const char *name, const sn_type *type, sn_init init) {
  if (c->poison) return sn_poison(c);
  const sn_leaf_decl *d = declare(c, op, sn_join_name(c, m.path->name, name), type, init);
  if (!d) return sn_poison(c);
  bool frozen = op == SN_OP_PARAM && m.path->frozen;
  if (op == SN_OP_PARAM) note_param(c->trace, d, frozen);
  sn_call at = *c;
  at.fn = m.fn;
  m.fn->b.failed = SN_OK;
  return sn_result(&at, emit_leaf(m.fn, d, sn_join_name(c, m.path->star, name), frozen));
}

/* The element type and shape that a declaration states; NULL after a mistake. */
static const sn_type *stated_type(sn_call *c, sn_shape shape, sn_dtype dtype) {
  const sn_dimx *dims[SN_RANK_MAX];
  if (c->poison || !sn_shape_read(c, shape, dims)) return NULL;
  return sn_type_of(sn_types_of(c), sn_elem_of(c->trace, dtype), shape.rank, dims);
}

sn_t sn_param_at(sn_here here, sn_scope m, const char *name, sn_shape shape, sn_leaf_opt o) {
  sn_call c = sn_call_in(here, m, 0, NULL);
  if (!check_name(&c, name)) return sn_poison(&c);
  const sn_type *t = stated_type(&c, shape, o.dtype);
  for (int i = 0; t && i < t->rank; i++) {
    if (sn_dimx_is_const(t->dim[i], NULL)) continue;
    sn_mistake(&c, "numbers", sn_type_text(c.trace->arena, t), "the extents of a parameter are not fixed");
    return sn_poison(&c);
  }
  return t ? sn_leaf(&c, SN_OP_PARAM, m, name, t, o.init) : sn_poison(&c);
}

sn_t sn_state_at(sn_here here, sn_scope m, const char *name, sn_shape shape, sn_leaf_opt o) {
  sn_call c = sn_call_in(here, m, 0, NULL);
  if (!check_name(&c, name)) return sn_poison(&c);
  const sn_type *t = stated_type(&c, shape, o.dtype);
  return t ? sn_leaf(&c, SN_OP_STATE, m, name, t, o.init) : sn_poison(&c);
}

sn_t sn_state_like_at(sn_here here, sn_scope m, const char *name, sn_t x) {
  sn_call c = sn_call_in(here, m, 1, &x);
  const sn_type *t = check_name(&c, name) ? sn_need(&c, x, "x") : NULL;
  return t ? sn_leaf(&c, SN_OP_STATE, m, name, t, (sn_init){0}) : sn_poison(&c);
}

sn_t sn_root_state(sn_trace *t, sn_here here, const char *name, sn_elem e) {
  sn_scope root = sn_root_scope(t, "", (sn_scope){0});
  sn_call c = sn_call_in(here, root, 0, NULL);
  return sn_leaf(&c, SN_OP_STATE, root, name, sn_type_scalar(t->module->types, e), (sn_init){0});
}

/* ---- updates --------------------------------------------------------------------------------------------------- */

void sn_record_update(sn_call *c, sn_t old, sn_t next) {
  sn_fn *fn = old.fn;
  const sn_node *leaf = sn_node_of(fn->b.func, (sn_val)old.u.id);
  for (int i = 0; i < fn->update_count; i++) {
    if (fn->update[i].leaf != (sn_val)old.u.id) continue;
    sn_mistake(c, "one update of a state per run",
               sn_texts(c, "an update at %s:%d before this one", sn_base_name(fn->update[i].here.file),
                        fn->update[i].here.line),
               "\"%s\" is updated twice", leaf->attr[0].s);
    return;
  }
  SN_GROW(c->trace->arena, fn->update, fn->update_count, fn->update_capacity);
  fn->update[fn->update_count++] = (sn_fn_update){leaf->attr[0].s, (sn_val)old.u.id, (sn_val)next.u.id, c->here};
}

/* `next` where updates happen in this run, the old value elsewhere: gradient accumulation. */
static sn_t when_applied(sn_here here, sn_t old, sn_t next) {
  sn_fn *graph = old.fn->trace->graph;
  if (!graph->apply) return next;
  return sn_x_where(here, (sn_t){.u.id = graph->apply, .fn = graph}, next, old);
}

sn_t sn_update_at(sn_here here, sn_t old, sn_arg next) {
  const sn_t x[2] = {old, next.v};
  sn_call c = sn_call_on(here, 2, x);
  const sn_type *t = c.fn ? sn_need(&c, old, "old") : NULL;
  if (!t) return sn_poison(&c);
  sn_op op = sn_node_of(old.fn->b.func, (sn_val)old.u.id)->op;
  if (op != SN_OP_PARAM && op != SN_OP_STATE) {
    sn_mistake(&c, "a parameter or state", sn_describe(&c, old, sn_spelled(&c, 0)), "only state is updated");
    return sn_poison(&c);
  }
  if (!sn_is_number(next.v) && sn_t_type(next.v) != t) {
    sn_mistake(&c, sn_type_text(c.trace->arena, t), sn_describe(&c, next.v, sn_spelled(&c, 1)),
               "the next value has another type");
    return sn_poison(&c);
  }
  if (c.fn != old.fn) { /* a value of a layer for a state of its surroundings */
    sn_mistake(&c, sn_texts(&c, "a value of @%s, the function of the state", old.fn->name),
               sn_describe(&c, next.v, sn_spelled(&c, 1)), "a state is updated inside another function");
    return sn_poison(&c);
  }
  sn_t value = sn_result(&c, sn_as(&c, next.v, t, sn_spelled(&c, 1)));
  sn_t gated = when_applied(here, old, value);
  if (!sn_is_poison(gated)) sn_record_update(&c, old, gated);
  return value;
}

/* ---- inputs and outputs ----------------------------------------------------------------------------------------- */

/* Inputs belong to the graph, whatever the scope. */
static sn_t input(sn_call *c, sn_scope m, const char *name, const sn_type *t, const double *value) {
  if (!t || c->poison) return sn_poison(c);
  sn_fn *graph = c->trace->graph;
  const char *full = sn_join_name(c, m.path->name, name);
  sn_call at = *c;
  at.fn = graph;
  graph->b.failed = SN_OK;
  graph->loc = (sn_loc){.file = c->here.file, .line = c->here.line, .text = c->here.text};
  sn_val old = sn_func_leaf(graph->b.func, SN_OP_INPUT, full);
  if (old) {
    const sn_attr *given = sn_node_attr(sn_node_of(graph->b.func, old), "default");
    bool same = given->set == (value != NULL) && (!value || given->f == *value);
    sn_t first = {.u.id = old, .fn = graph};
    if (sn_t_type(first) == t && same) return first;
    const char *found = sn_texts(c, "%s%s", sn_type_text(c->trace->arena, t), same ? "" : " with another default");
    sn_mistake(c, sn_describe(c, first, ""), found, "input \"%s\" is declared twice", full);
    return sn_poison(c);
  }
  const sn_attr at_input[2] = {{.set = true, .s = full}, {.set = value != NULL, .f = value ? *value : 0}};
  return sn_result(&at, sn_emit(&graph->b, SN_OP_INPUT, 0, NULL, at_input, t));
}

sn_t sn_input_at(sn_here here, sn_scope m, const char *name, sn_dtype dtype, sn_shape shape) {
  sn_call c = sn_call_in(here, m, 0, NULL);
  return input(&c, m, name, check_name(&c, name) ? stated_type(&c, shape, dtype) : NULL, NULL);
}

sn_t sn_scalar_at(sn_here here, sn_scope m, const char *name, sn_dtype dtype, double value) {
  sn_call c = sn_call_in(here, m, 0, NULL);
  return input(&c, m, name, check_name(&c, name) ? stated_type(&c, (sn_shape){0}, dtype) : NULL, &value);
}

sn_t sn_root_scalar(sn_trace *t, sn_here here, const char *name, sn_elem e, double value) {
  sn_scope root = sn_root_scope(t, "", (sn_scope){0});
  sn_call c = sn_call_in(here, root, 0, NULL);
  return input(&c, root, name, sn_type_scalar(t->module->types, e), &value);
}

void sn_output_at(sn_here here, sn_scope m, const char *name, sn_arg x) {
  sn_call c = sn_call_in(here, m, 1, &x.v);
  if (!check_name(&c, name) || c.poison) return;
  sn_fn *graph = c.trace->graph;
  const char *full = sn_join_name(&c, m.path->name, name);
  if (c.fn != graph) {
    const char *found =
        sn_is_number(x.v) ? sn_texts(&c, "a scope of @%s", m.fn->name) : sn_describe(&c, x.v, sn_spelled(&c, 2));
    sn_mistake(&c, "a value and a scope of the graph: carry it out (sn_layers: list it with &)", found,
               "an output is named inside a layer");
    return;
  }
  for (int i = 0; i < graph->b.func->output_count; i++) {
    if (strcmp(graph->b.func->output[i].name, full) != 0) continue;
    sn_mistake(&c, "one output of a name", sn_texts(&c, "a second \"%s\"", full), "\"%s\" is taken", full);
    return;
  }
  if (sn_func_leaf(graph->b.func, SN_OP_INPUT, full)) {
    sn_mistake(&c, "inputs and outputs of different names", sn_texts(&c, "an input \"%s\"", full), "\"%s\" is taken",
               full);
    return;
  }
  const sn_type *number = sn_type_scalar(sn_types_of(&c), c.trace->real);
  sn_val v = sn_is_number(x.v) ? sn_g_const(&c.fn->b, number, x.v.u.num) : sn_bring(&c, x.v, sn_spelled(&c, 2));
  sn_t result = sn_result(&c, v);
  if (!sn_is_poison(result)) sn_func_output(graph->b.func, full, v);
}

sn_t sn_zeros_at(sn_here here, sn_scope m, sn_dtype dtype, sn_shape shape) {
  sn_call c = sn_call_in(here, m, 0, NULL);
  const sn_type *t = stated_type(&c, shape, dtype);
  return t ? sn_result(&c, sn_g_const(&c.fn->b, t, 0)) : sn_poison(&c);
}
