/* Structural equality of two functions, also of different modules: nodes, operands, attributes, types and interface,
 * but neither names of functions nor origins. */
#include <string.h>

#include "ir/graph/graph.h"
#include "ir/graph/inside.h"

/* A pair of functions in comparison. */
typedef struct pair {
  const sn_func *a, *b;
  bool same_table; /* both sides share one table of types: equal is identical */
  sn_map *proven;  /* region of a, by address -> the region of b it equals; cuts repeated work */
} pair;

static bool funcs_equal(const sn_func *a, const sn_func *b, sn_map *proven);

static bool type_equal(const pair *p, const sn_type *x, const sn_type *y) {
  if (x == y || p->same_table) return x == y;
  return x->elem == y->elem && x->rank == y->rank &&
         !strcmp(sn_type_text(p->a->arena, x), sn_type_text(p->a->arena, y));
}

static bool dim_equal(const pair *p, const sn_dimx *x, const sn_dimx *y) {
  if (x == y || p->same_table) return x == y;
  sn_text a = sn_text_begin(p->a->arena), b = sn_text_begin(p->a->arena);
  sn_dimx_print(&a, x);
  sn_dimx_print(&b, y);
  return !strcmp(a.at, b.at);
}

static bool region_equal(const pair *p, const sn_func *x, const sn_func *y) {
  if (x == y) return true;
  if (!x || !y) return false;
  if (sn_map_get(p->proven, (uint64_t)(uintptr_t)x) == y) return true;
  if (!funcs_equal(x, y, p->proven)) return false;
  sn_map_put(p->proven, (uint64_t)(uintptr_t)x, (void *)(uintptr_t)y);
  return true;
}

static bool attr_equal(const pair *p, char kind, const sn_attr *x, const sn_attr *y) {
  if (x->set != y->set) return false;
  if (!x->set) return true;
  switch (kind) {
    case 'f': return sn_number_same(x->f, y->f);
    case 's': return x->s == y->s || (x->s && y->s && !strcmp(x->s, y->s));
    case 'd': return dim_equal(p, x->d, y->d);
    case 'R': return region_equal(p, x->region, y->region);
    case 'I':
    case 'D': break;
    default: return x->i == y->i;
  }
  if (x->count != y->count) return false;
  for (int i = 0; i < x->count; i++) {
    if (kind == 'I' ? x->ints[i] != y->ints[i] : !dim_equal(p, x->dims[i], y->dims[i])) return false;
  }
  return true;
}

static bool node_equal(const pair *p, const sn_node *x, const sn_node *y) {
  if (x->op != y->op || x->arg_count != y->arg_count || x->result_count != y->result_count) return false;
  for (int i = 0; i < x->arg_count; i++) {
    if (x->arg[i] != y->arg[i]) return false;
  }
  for (int i = 0; i < x->result_count; i++) {
    if (!type_equal(p, x->type[i], y->type[i])) return false;
  }
  const sn_op_info *info = sn_op_get(x->op);
  for (int i = 0; i < info->attr_count; i++) {
    if (!attr_equal(p, info->attr[i].kind, &x->attr[i], &y->attr[i])) return false;
  }
  return true;
}

static bool interface_equal(const sn_func *a, const sn_func *b) {
  if (a->kind != b->kind || a->guard != b->guard || a->result_count != b->result_count) return false;
  if (a->output_count != b->output_count || a->update_count != b->update_count) return false;
  for (int i = 0; i < a->result_count; i++) {
    if (a->result[i] != b->result[i]) return false;
  }
  for (int i = 0; i < a->output_count; i++) {
    if (a->output[i].value != b->output[i].value || strcmp(a->output[i].name, b->output[i].name) != 0) return false;
  }
  for (int i = 0; i < a->update_count; i++) {
    if (a->update[i].state != b->update[i].state || a->update[i].next != b->update[i].next) return false;
  }
  return true;
}

static bool funcs_equal(const sn_func *a, const sn_func *b, sn_map *proven) {
  pair p = {.a = a, .b = b, .same_table = a->module->types == b->module->types, .proven = proven};
  if (a->node_count != b->node_count || !interface_equal(a, b)) return false;
  for (int i = 0; i < a->node_count; i++) {
    if (!node_equal(&p, a->node[i], b->node[i])) return false;
  }
  return true;
}

bool sn_func_equal(const sn_func *a, const sn_func *b) { return a == b || funcs_equal(a, b, sn_map_create(a->arena)); }
