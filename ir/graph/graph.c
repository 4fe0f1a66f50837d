/* Storage of the graph IR: modules, functions and the facts that can be asked of them. Nodes are added in intern.c. */
#include "ir/graph/graph.h"

#include <string.h>

#include "ir/graph/inside.h"

sn_module *sn_module_create(sn_arena *arena) {
  sn_module *m = SN_NEW(arena, sn_module);
  m->arena = arena;
  m->types = sn_types_create(arena);
  m->names = sn_names_create(arena);
  m->suffix = sn_map_create(arena);
  return m;
}

sn_func *sn_module_find(const sn_module *m, const char *name) {
  for (int i = 0; i < m->func_count; i++) {
    if (!strcmp(m->func[i]->name, name)) return m->func[i];
  }
  return NULL;
}

/* `name`, or the first free of name_2, name_3, ... above those tried before. */
static const char *unique_name(sn_module *m, const char *name) {
  if (!sn_module_find(m, name)) return sn_name(m->names, name);
  int *next = sn_map_get_str(m->suffix, name);
  if (!next) {
    next = SN_NEW(m->arena, int);
    *next = 2;
    sn_map_put_str(m->suffix, name, next);
  }
  const char *candidate;
  do { candidate = sn_arena_printf(m->arena, "%s_%d", name, (*next)++); } while (sn_module_find(m, candidate));
  return sn_name(m->names, candidate);
}

sn_func *sn_func_begin(sn_module *m, sn_arena *arena, const char *name, sn_func_kind kind) {
  sn_func *f = SN_NEW(arena, sn_func);
  f->module = m;
  f->name = name;
  f->kind = kind;
  f->arena = arena;
  f->interned = sn_map_create(arena);
  SN_GROW(f->arena, f->node_of, f->value_count, f->value_capacity);
  f->node_of[f->value_count++] = NULL;
  return f;
}

sn_func *sn_func_create(sn_module *m, const char *name, sn_func_kind kind) {
  sn_func *f = sn_func_begin(m, m->arena, unique_name(m, name), kind);
  SN_GROW(m->arena, m->func, m->func_count, m->func_capacity);
  m->func[m->func_count++] = f;
  return f;
}

sn_func *sn_func_successor_in(const sn_func *f, sn_arena *arena) {
  return sn_func_begin(f->module, arena, f->name, f->kind);
}

sn_func *sn_func_successor(const sn_func *f) { return sn_func_successor_in(f, f->module->arena); }

void sn_module_remove(sn_module *m, const sn_func *f) {
  int kept = 0;
  for (int i = 0; i < m->func_count; i++) {
    if (m->func[i] != f) m->func[kept++] = m->func[i];
  }
  m->func_count = kept;
}

void sn_func_return(sn_func *f, sn_val value) {
  SN_GROW(f->arena, f->result, f->result_count, f->result_capacity);
  f->result[f->result_count++] = value;
}

void sn_func_output(sn_func *f, const char *name, sn_val value) {
  SN_GROW(f->arena, f->output, f->output_count, f->output_capacity);
  f->output[f->output_count++] = (sn_output_pair){.name = sn_name(f->module->names, name), .value = value};
}

void sn_func_update(sn_func *f, sn_val state, sn_val next) {
  SN_GROW(f->arena, f->update, f->update_count, f->update_capacity);
  f->update[f->update_count++] = (sn_state_pair){.state = state, .next = next};
}

const sn_type *sn_val_type(const sn_func *f, sn_val v) {
  const sn_node *n = f->node_of[v];
  return n->type[v - n->first];
}

int sn_val_result(const sn_func *f, sn_val v) { return (int)(v - f->node_of[v]->first); }

const sn_attr *sn_node_attr(const sn_node *n, const char *name) {
  int i = sn_op_attr(n->op, name);
  return i < 0 ? NULL : &n->attr[i];
}

const char *sn_node_variant(const sn_node *n) {
  const sn_attr *a = sn_node_attr(n, "variant");
  return a && a->set ? a->s : NULL;
}

const char *sn_node_called(sn_arena *arena, const sn_node *n) {
  const char *variant = sn_node_variant(n), *op = sn_op_get(n->op)->name;
  return variant ? sn_arena_printf(arena, "%s.%s", op, variant) : op;
}

bool sn_val_is_const(const sn_func *f, sn_val v, double *out) {
  const sn_node *n = f->node_of[v];
  if (!n || n->op != SN_OP_CONST) return false;
  if (out) *out = n->attr[0].f;
  return true;
}

bool sn_op_is_named_leaf(sn_op op) { return op == SN_OP_INPUT || op == SN_OP_PARAM || op == SN_OP_STATE; }

const char *sn_leaf_name(const sn_node *n) { return sn_op_is_named_leaf(n->op) ? n->attr[0].s : NULL; }
