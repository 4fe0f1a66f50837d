/* module -> module: see transplant.h. */
#include "frontend/transplant.h"

#include <string.h>

sn_code sn_transplant_begin(sn_transplant *t, const sn_module *from, sn_module *to, const char *prefix,
                            sn_diags *diags) {
  int count = sn_types_symbol_count(from->types);
  *t = (sn_transplant){.from = from, .to = to, .prefix = prefix, .bodies = sn_map_create(to->arena)};
  t->symbol = SN_ARRAY(to->arena, count + 1, const sn_dimx *);
  for (int i = 0; i < count; i++) {
    const sn_dimx *d = sn_types_symbol(from->types, i);
    const char *name = sn_dimx_symbol_name(d);
    bool conflict = false;
    int64_t min = sn_dimx_min_value(d), max = sn_dimx_max_value(d), step = sn_dimx_divisor(d);
    t->symbol[i] = sn_dimx_symbol(to->types, name, min, max, step, &conflict);
    if (!conflict) continue;
    sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "dim %s has other bounds in the two models", name);
    sn_fail_expected(diags, "%lld to %lld", (long long)sn_dimx_min_value(t->symbol[i]),
                     (long long)sn_dimx_max_value(t->symbol[i]));
    sn_fail_found(diags, "%lld to %lld", (long long)min, (long long)max);
    return SN_ERR_INPUT;
  }
  return SN_OK;
}

/* ---- dims and types ---------------------------------------------------------------------------------------- */

static const sn_dimx *dim_of_tree(const sn_transplant *t, const sn_dimx_tree *x) { /* table */
  sn_types *types = t->to->types;
  if (x->kind == SN_DIMX_CONST) return sn_dimx_const(types, x->value);
  if (x->kind == SN_DIMX_SYMBOL) return t->symbol[x->value];
  const sn_dimx *a = dim_of_tree(t, x->a), *b = dim_of_tree(t, x->b);
  switch (x->kind) {
    case SN_DIMX_ADD: return sn_dimx_add(types, a, b);
    case SN_DIMX_MUL: return sn_dimx_mul(types, a, b);
    case SN_DIMX_FLOORDIV: return sn_dimx_floordiv(types, a, b);
    case SN_DIMX_MOD: return sn_dimx_mod(types, a, b);
    case SN_DIMX_MIN: return sn_dimx_min(types, a, b);
    default: return sn_dimx_max(types, a, b);
  }
}

static const sn_dimx *move_dim(sn_transplant *t, const sn_dimx *d) {
  return d ? dim_of_tree(t, sn_dimx_as_tree(t->from->types, d)) : NULL;
}

const sn_type *sn_transplant_type(sn_transplant *t, const sn_type *type) {
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i < type->rank; i++) dim[i] = move_dim(t, type->dim[i]);
  return sn_type_of(t->to->types, type->elem, type->rank, dim);
}

/* ---- names ---------------------------------------------------------------------------------------------------- */

static const char *under(const sn_transplant *t, const char *name) {
  return sn_name(t->to->names, sn_arena_printf(t->to->arena, "%s%s", t->prefix, name));
}

/* Does attribute i of the op hold a name that belongs to the model: of a leaf, a stream, a layer? Names inside of
 * bodies begin with the star of their layer, which the name of the call replaces. */
static bool is_model_name(const sn_node *n, int i) {
  bool named = sn_leaf_name(n) ? i == 0
                               : (n->op == SN_OP_UNIFORM && i == sn_op_attr(n->op, "stream")) ||
                                     (n->op == SN_OP_CALL && i == sn_op_attr(n->op, "with"));
  return named && !strchr(n->attr[i].s, '*');
}

/* "teacher" for what stands in no layer, "teacher.h.3" */
static const char *layer_under(const sn_transplant *t, const char *layer) {
  if (!*t->prefix) return layer;
  size_t bytes = strlen(t->prefix);
  if (layer) return under(t, layer);
  return sn_name(t->to->names, sn_arena_printf(t->to->arena, "%.*s", (int)(bytes - 1), t->prefix));
}

/* ---- functions ------------------------------------------------------------------------------------------------ */

static void copy_nodes(sn_transplant *t, const sn_func *from, sn_func *to, sn_val *map) {
  for (int i = 0; i < from->node_count; i++) {
    const sn_node *n = from->node[i];
    sn_val *arg = SN_ARRAY(t->to->arena, n->arg_count + 1, sn_val);
    for (int k = 0; k < n->arg_count; k++) arg[k] = map[n->arg[k]];
    sn_val first = sn_transplant_node(t, to, n, arg);
    for (int r = 0; r < n->result_count; r++) map[n->first + (sn_val)r] = first + (sn_val)r;
  }
}

static const sn_func *move_body(sn_transplant *t, const sn_func *body) {
  const sn_func *known = sn_map_get(t->bodies, (uint64_t)(uintptr_t)body);
  if (known) return known;
  sn_func *copy = sn_func_create(t->to, body->name, SN_FUNC_BODY);
  sn_val *map = SN_ARRAY(t->to->arena, body->value_count, sn_val);
  copy_nodes(t, body, copy, map);
  for (int i = 0; i < body->result_count; i++) sn_func_return(copy, map[body->result[i]]);
  sn_map_put(t->bodies, (uint64_t)(uintptr_t)body, copy);
  return copy;
}

static sn_attr move_attr(sn_transplant *t, const sn_node *n, int i) {
  sn_attr a = n->attr[i];
  if (!a.set) return a;
  switch (sn_op_get(n->op)->attr[i].kind) {
    case 's': a.s = is_model_name(n, i) ? under(t, a.s) : sn_name(t->to->names, a.s); break;
    case 'd': a.d = move_dim(t, a.d); break;
    case 'R': a.region = move_body(t, a.region); break;
    case 'D': {
      const sn_dimx **dims = SN_ARRAY(t->to->arena, a.count + 1, const sn_dimx *);
      for (int k = 0; k < a.count; k++) dims[k] = move_dim(t, a.dims[k]);
      a.dims = dims;
      break;
    }
    default: break;
  }
  return a;
}

sn_val sn_transplant_node(sn_transplant *t, sn_func *to, const sn_node *n, const sn_val *arg) {
  sn_attr attr[SN_ATTR_MAX];
  const sn_type **type = SN_ARRAY(t->to->arena, n->result_count + 1, const sn_type *);
  int count = sn_op_get(n->op)->attr_count;
  for (int i = 0; i < count; i++) attr[i] = move_attr(t, n, i);
  for (int r = 0; r < n->result_count; r++) type[r] = sn_transplant_type(t, n->type[r]);
  sn_origin origin = n->origin;
  if (to->kind == SN_FUNC_GRAPH) origin.layer = layer_under(t, origin.layer);
  return sn_func_add(to, n->op, n->arg_count, arg, attr, n->result_count, type, &origin);
}

sn_func *sn_transplant_graph(sn_transplant *t, const sn_func *f) {
  sn_func *copy = sn_func_create(t->to, f->name, SN_FUNC_GRAPH);
  sn_val *map = SN_ARRAY(t->to->arena, f->value_count, sn_val);
  copy_nodes(t, f, copy, map);
  for (int i = 0; i < f->output_count; i++)
    sn_func_output(copy, sn_name(t->to->names, f->output[i].name), map[f->output[i].value]);
  for (int i = 0; i < f->update_count; i++) sn_func_update(copy, map[f->update[i].state], map[f->update[i].next]);
  if (f->guard) copy->guard = map[f->guard];
  return copy;
}
