/* See edit.h. */
#include "backends/faults/edit.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/faults/reduce.h"
#include "ir/ops/ops.h"

/* ---- parts ------------------------------------------------------------------------------------------------------- */

typedef struct opened {
  sn_arena *arena;
  sn_diags *diags;
  sn_module *m;
  sn_func *f;
} opened;

static bool open_case(const sn_case *c, opened *o) {
  *o = (opened){sn_arena_scratch(), sn_diags_scratch(), NULL, NULL};
  if (!o->arena || !o->diags || sn_case_parse(c, o->arena, o->diags, &o->m)) return false;
  o->f = sn_module_find(o->m, c->graph);
  return true;
}

static void close_case(opened *o) {
  sn_diags_destroy(o->diags);
  sn_arena_destroy(o->arena);
}

int sn_case_count(const sn_case *c, sn_case_part part) {
  opened o;
  int n = 0;
  if (open_case(c, &o))
    n = part == SN_CASE_NODES ? o.f->node_count : part == SN_CASE_OUTPUTS ? o.f->output_count : o.f->update_count;
  close_case(&o);
  return n;
}

int sn_case_ops(const sn_case *c) {
  opened o;
  int n = 0;
  if (open_case(c, &o))
    for (int i = 0; i < o.f->node_count; i++) n += sn_op_get(o.f->node[i]->op)->cls != SN_CLASS_LEAF;
  close_case(&o);
  return n;
}

static sn_tensor *tensor_copy(const sn_tensor *t, sn_arena *arena) {
  sn_tensor *copy = sn_arena_copy(arena, t, sizeof *t);
  copy->bound = NULL;
  copy->value = sn_arena_array(arena, (size_t)t->count + 1, sizeof *t->value);
  memcpy(copy->value, t->value, (size_t)t->count * sizeof *t->value);
  if (t->wide) copy->wide = sn_arena_copy(arena, t->wide, (size_t)t->count * sizeof *t->wide);
  return copy;
}

void sn_case_copy(sn_case *to, const sn_case *from, sn_arena *arena) {
  sn_case c = *from;
  c.text = sn_arena_strdup(arena, from->text);
  c.dims = sn_arena_copy(arena, from->dims, (size_t)from->dim_count * sizeof *from->dims);
  sn_binding *data = SN_ARRAY(arena, from->data_count + 1, sn_binding);
  for (int i = 0; i < from->data_count; i++)
    data[i] = (sn_binding){sn_arena_strdup(arena, from->data[i].name), tensor_copy(from->data[i].tensor, arena)};
  c.data = data;
  *to = c;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

typedef struct editing {
  const sn_case *c;
  const sn_edit *e;
  sn_arena *arena;
  sn_diags *diags;
  const sn_func *f;
  sn_build b;
  sn_val *map;
  sn_tensor **values; /* of f; NULL: not known */
  sn_binding *data;
  int data_count, *named;
  bool changed;
} editing;

/* The value as data of an input, rounded to its type. */
static sn_tensor *as_data(const sn_tensor *t, sn_arena *arena) {
  sn_tensor *copy = tensor_copy(t, arena);
  void *bytes = sn_arena_array(arena, (size_t)t->count + 1, sn_elem_bytes(t->elem));
  sn_tensor_store(copy, bytes);
  sn_tensor_load(copy, bytes);
  return copy;
}

static sn_val stand_in(editing *x, const sn_node *n, int result) {
  const sn_type *t = n->type[result];
  const sn_edit *e = x->e;
  if (e->how == SN_CUT_CONST) return sn_g_const(&x->b, t, sn_elem_is_float(t->elem) ? 0.5 : 1);
  if (e->how == SN_CUT_OPERAND) {
    if (e->operand >= n->arg_count || sn_val_type(x->f, n->arg[e->operand]) != t) return 0;
    return x->map[n->arg[e->operand]];
  }
  const char *name = sn_name(x->f->module->names, sn_arena_printf(x->arena, "v%d", (*x->named)++));
  const sn_attr at[2] = {{.set = true, .s = name}};
  if (x->values) x->data[x->data_count++] = (sn_binding){name, as_data(x->values[n->first + (sn_val)result], x->arena)};
  return sn_emit(&x->b, SN_OP_INPUT, 0, NULL, at, t);
}

/* Inputs become constants at most; parameters and states that are written stay. */
static bool may_cut(const editing *x, const sn_node *n) {
  if (sn_op_get(n->op)->cls != SN_CLASS_LEAF) return true;
  if (x->e->how != SN_CUT_CONST || n->op == SN_OP_CONST) return false;
  for (int i = 0; i < x->f->update_count; i++)
    if (x->f->update[i].state == n->first) return false;
  return true;
}

static bool copy_nodes(editing *x) {
  for (int i = 0; i < x->f->node_count && !x->b.failed; i++) {
    const sn_node *n = x->f->node[i];
    bool cut = i >= x->e->from && i < x->e->to && may_cut(x, n);
    sn_val *arg = SN_ARRAY(x->arena, n->arg_count + 1, sn_val), v = 0;
    for (int k = 0; k < n->arg_count; k++) arg[k] = x->map[n->arg[k]];
    if (!cut) v = sn_func_copy_node(x->b.func, n, arg);
    for (int k = 0; k < n->result_count; k++) {
      x->map[n->first + (sn_val)k] = cut ? stand_in(x, n, k) : v + (sn_val)k;
      if (!x->map[n->first + (sn_val)k]) return false;
    }
    x->changed |= cut;
  }
  return !x->b.failed;
}

static void copy_results(editing *x) {
  sn_func *to = x->b.func;
  const sn_func *f = x->f;
  for (int i = 0; i < f->output_count; i++)
    if (i != x->e->output)
      sn_func_output(to, f->output[i].name, x->map[f->output[i].value]);
    else if (x->e->below && x->e->operand < sn_node_of(f, f->output[i].value)->arg_count)
      sn_func_output(to, f->output[i].name, x->map[sn_node_of(f, f->output[i].value)->arg[x->e->operand]]);
  for (int i = 0; i < f->update_count; i++)
    if (i != x->e->update) sn_func_update(to, x->map[f->update[i].state], x->map[f->update[i].next]);
  to->guard = x->e->guard || !f->guard ? 0 : x->map[f->guard];
  x->changed |= (x->e->guard && f->guard) || x->e->output >= 0 || x->e->update >= 0;
}

static bool has_grad(const sn_func *f) {
  for (int i = 0; i < f->node_count; i++)
    if (f->node[i]->op == SN_OP_GRAD) return true;
  return false;
}

/* Data of leaves that the graph still has. */
static void keep_data(editing *x, const sn_func *f) {
  int n = 0;
  for (int i = 0; i < x->data_count; i++) {
    bool used = false;
    for (int k = 0; k < f->node_count && !used; k++) {
      const char *name = sn_leaf_name(f->node[k]);
      used = name && !strcmp(name, x->data[i].name);
    }
    if (used) x->data[n++] = x->data[i];
  }
  x->data_count = n;
}

static void drop_other_graphs(sn_module *m, const char *graph) {
  for (int i = m->func_count - 1; i >= 0; i--)
    if (m->func[i]->kind == SN_FUNC_GRAPH && strcmp(m->func[i]->name, graph)) sn_module_remove(m, m->func[i]);
}

static sn_code edit(editing *x, sn_func *f, sn_case *out) {
  sn_module *m = f->module;
  x->map = SN_ARRAY(x->arena, f->value_count + 1, sn_val);
  x->data = SN_ARRAY(x->arena, x->c->data_count + f->value_count + 1, sn_binding);
  for (int i = 0; i < x->c->data_count; i++) x->data[x->data_count++] = x->c->data[i];
  if (x->e->to > x->e->from && x->e->how == SN_CUT_INPUT && !has_grad(f))
    SN_TRY(sn_case_interpret(x->c, f, false, x->arena, x->diags, &x->values));
  x->b = sn_build_begin(sn_func_successor(f), x->diags);
  if (!copy_nodes(x)) return SN_ERR_FAIL;
  copy_results(x);
  if (!x->changed || (!x->b.func->output_count && !x->b.func->update_count)) return SN_ERR_FAIL;
  drop_other_graphs(m, x->c->graph);
  f = sn_func_replace(f, x->b.func);
  SN_TRY(sn_func_verify(f, x->diags));
  SN_TRY(sn_ops_check(f, x->diags));
  keep_data(x, f);
  *out = *x->c;
  out->text = sn_module_text(m, x->arena);
  out->data = x->data;
  out->data_count = x->data_count;
  return sn_case_draw(out, 1, 2, 1, x->arena, x->diags);
}

sn_code sn_case_edit(const sn_case *c, const sn_edit *e, int *named, sn_arena *arena, sn_case *out) {
  opened o;
  sn_code code = SN_ERR_FAIL;
  sn_case next = {0};
  if (open_case(c, &o)) {
    editing x = {.c = c, .e = e, .arena = o.arena, .diags = o.diags, .f = o.f, .named = named};
    code = edit(&x, o.f, &next);
    if (!code) sn_case_copy(out, &next, arena);
  }
  close_case(&o);
  return code;
}

/* ---- extents ----------------------------------------------------------------------------------------------------- */

/* Where the numbers of a text stand that are extents: in brackets behind an element type or `shape`, behind `rows` and
 * `count`. -> the next one at or after `p`, NULL: none; *value: its value */
static const char *next_extent(const char *text, const char *p, int64_t *value) {
  for (; *p; p++) {
    if (!isdigit((unsigned char)*p) ||
        (p > text && (isalnum((unsigned char)p[-1]) || p[-1] == '_' || p[-1] == '.' || p[-1] == '%' || p[-1] == '@')))
      continue;
    const char *open = p;
    while (open > text && !strchr("[]\n{", open[-1])) open--;
    bool listed = open > text && open[-1] == '[';
    bool dims = listed && (open - 2 >= text) &&
                (isalnum((unsigned char)open[-2]) || (open - 7 >= text && !strncmp(open - 7, "shape ", 6)));
    bool word = (p - 5 >= text && !strncmp(p - 5, "rows ", 5)) || (p - 6 >= text && !strncmp(p - 6, "count ", 6));
    if (!dims && !word) continue;
    *value = strtoll(p, NULL, 10);
    return p;
  }
  return NULL;
}

static int symbols_of(const sn_case *c) { return c->dim_count; }

/* Distinct constant extents above 1 in order of appearance. */
static int64_t constant(const sn_case *c, int i) {
  int64_t seen[64], n;
  int count = 0;
  for (const char *p = c->text; (p = next_extent(c->text, p, &n)) && count < 64; p++) {
    bool known = n < 2;
    for (int k = 0; k < count; k++) known |= seen[k] == n;
    if (known) continue;
    if (count == i) return n;
    seen[count++] = n;
  }
  return -1;
}

int64_t sn_case_extent(const sn_case *c, int i) {
  return i < symbols_of(c) ? c->dims[i] : constant(c, i - symbols_of(c));
}

static const char *replaced(const sn_case *c, int64_t from, int64_t to, sn_arena *arena) {
  sn_text t = sn_text_begin(arena);
  int64_t n;
  const char *at = c->text;
  for (const char *p = c->text; (p = next_extent(c->text, p, &n)); p++) {
    size_t digits = strspn(p, "0123456789");
    if (n == from) {
      sn_text_bytes(&t, at, (size_t)(p - at));
      sn_text_add(&t, "%lld", (long long)to);
      at = p + digits;
    }
    p += digits - 1;
  }
  sn_text_add(&t, "%s", at);
  return t.at;
}

/* The first elements along every axis; false: it is no cut of t. */
static bool cut_tensor(const sn_tensor *t, int rank, const int64_t *extent, sn_arena *arena, sn_tensor **out) {
  if (rank != t->rank) return false;
  for (int d = 0; d < rank; d++)
    if (extent[d] > t->extent[d]) return false;
  if (sn_tensor_create(arena, t->elem, rank, extent, out)) return false;
  for (int64_t i = 0; i < (*out)->count; i++) {
    int64_t rest = i, from = 0, stride = 1;
    for (int d = rank; d-- > 0;) {
      from += rest % extent[d] * stride;
      rest /= extent[d];
      stride *= t->extent[d];
    }
    (*out)->value[i] = t->value[from];
    if (t->wide) (*out)->wide[i] = t->wide[from];
  }
  return true;
}

static void cut_data(sn_case *c, const sn_func *f, sn_arena *arena) {
  sn_binding *data = SN_ARRAY(arena, c->data_count + 1, sn_binding);
  int count = 0;
  for (int i = 0; i < f->node_count; i++) {
    const char *name = sn_leaf_name(f->node[i]);
    const sn_type *type = f->node[i]->type[0];
    int64_t extent[SN_RANK_MAX];
    bool known = name != NULL;
    for (int d = 0; known && d < type->rank; d++) known = !sn_dimx_eval(type->dim[d], c->dims, &extent[d]);
    for (int k = 0; known && k < c->data_count; k++) {
      sn_tensor *t;
      if (strcmp(c->data[k].name, name) || !cut_tensor(c->data[k].tensor, type->rank, extent, arena, &t)) continue;
      data[count++] = (sn_binding){c->data[k].name, t};
      break;
    }
  }
  c->data = data;
  c->data_count = count;
}

sn_code sn_case_shrink(const sn_case *c, int i, int64_t to, sn_arena *arena, sn_case *out) {
  sn_case next = *c;
  opened o;
  sn_code code = SN_ERR_FAIL;
  if (i < symbols_of(c)) {
    int64_t *dims = sn_arena_copy(arena, c->dims, (size_t)c->dim_count * sizeof *dims);
    dims[i] = to;
    next.dims = dims;
  } else {
    next.text = replaced(c, constant(c, i - symbols_of(c)), to, arena);
  }
  if (open_case(&next, &o) && (i >= symbols_of(c) || to >= sn_dimx_min_value(sn_types_symbol(o.m->types, i)))) {
    cut_data(&next, o.f, arena);
    code = sn_case_draw(&next, 1, 2, 1, arena, o.diags);
    if (!code) *out = next;
  }
  close_case(&o);
  return code;
}
