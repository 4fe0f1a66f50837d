/* See widen.h. */
#include "backends/faults/widen.h"

#include <string.h>

#include "ir/ops/ops.h"

typedef struct widening {
  sn_module *m;
  sn_diags *diags;
  sn_map *made; /* function -> what took its place */
} widening;

static sn_func *made_of(const widening *w, const sn_func *f) { return sn_map_get(w->made, (uint64_t)(uintptr_t)f); }

static bool is_narrow(sn_elem e) { return sn_elem_is_float(e) && e != SN_ELEM_F64; }

static sn_code widen_function(widening *w, const sn_func *f);

/* Casts give f64; a wider result of a product than its operands is no wish any more. */
static sn_code widen_attrs(widening *w, const sn_node *n, sn_attr *attr) {
  const sn_op_info *info = sn_op_get(n->op);
  for (int k = 0; k < info->attr_count; k++) {
    attr[k] = n->attr[k];
    if (info->attr[k].kind == 'R' && attr[k].region) {
      SN_TRY(widen_function(w, attr[k].region));
      attr[k].region = made_of(w, attr[k].region);
    }
    if (info->attr[k].kind != 'e' || !attr[k].set || !is_narrow((sn_elem)attr[k].i)) continue;
    attr[k].i = SN_ELEM_F64;
    attr[k].set = n->op == SN_OP_CAST;
  }
  return SN_OK;
}

static sn_code widen_node(widening *w, sn_build *b, const sn_node *n, sn_val *map) {
  sn_attr attr[SN_ATTR_MAX] = {{0}};
  sn_val *arg = SN_ARRAY(w->m->arena, n->arg_count + 1, sn_val);
  const sn_type *leaf = n->type[0];
  for (int k = 0; k < n->arg_count; k++) arg[k] = map[n->arg[k]];
  SN_TRY(widen_attrs(w, n, attr));
  if (is_narrow(leaf->elem)) leaf = sn_type_with_elem(w->m->types, leaf, SN_ELEM_F64);
  b->origin = n->origin;
  sn_val v = sn_emit(b, n->op, n->arg_count, arg, attr, leaf);
  for (int r = 0; r < n->result_count && !b->failed; r++) {
    sn_val x = v + (sn_val)r;
    map[n->first + (sn_val)r] = is_narrow(sn_val_type(b->func, x)->elem) ? sn_g_cast(b, x, SN_ELEM_F64) : x;
  }
  return b->failed;
}

static sn_code widen_function(widening *w, const sn_func *f) {
  if (made_of(w, f)) return SN_OK;
  sn_func *to = sn_func_successor(f);
  sn_build b = sn_build_begin(to, w->diags);
  sn_val *map = SN_ARRAY(w->m->arena, f->value_count + 1, sn_val);
  for (int i = 0; i < f->node_count; i++) SN_TRY(widen_node(w, &b, f->node[i], map));
  for (int i = 0; i < f->output_count; i++) sn_func_output(to, f->output[i].name, map[f->output[i].value]);
  for (int i = 0; i < f->update_count; i++) sn_func_update(to, map[f->update[i].state], map[f->update[i].next]);
  for (int i = 0; i < f->result_count; i++) sn_func_return(to, map[f->result[i]]);
  to->guard = map[f->guard];
  sn_map_put(w->made, (uint64_t)(uintptr_t)f, sn_func_replace((sn_func *)(uintptr_t)f, to));
  return SN_OK;
}

sn_code sn_module_widen(sn_module *m, sn_diags *diags) {
  widening w = {m, diags, sn_map_create(m->arena)};
  int count = m->func_count;
  const sn_func **f = SN_ARRAY(m->arena, count + 1, const sn_func *);
  for (int i = 0; i < count; i++) f[i] = m->func[i];
  for (int i = 0; i < count; i++) SN_TRY(widen_function(&w, f[i]));
  return SN_OK;
}

sn_case sn_case_widen(const sn_case *c, sn_arena *arena) {
  sn_case wide = *c;
  sn_binding *data = SN_ARRAY(arena, c->data_count + 1, sn_binding);
  for (int i = 0; i < c->data_count; i++) {
    sn_tensor *t = sn_arena_copy(arena, c->data[i].tensor, sizeof *t);
    if (is_narrow(t->elem)) t->elem = SN_ELEM_F64;
    data[i] = (sn_binding){c->data[i].name, t};
  }
  wide.data = data;
  return wide;
}
