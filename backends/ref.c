/* The ref target: graphs run by the interpreter behind the runtime's host step. */
#include "backends/ref.h"

#include <string.h>

#include "passes/passes.h"

static sn_init_kind init_kind(const char *name) {
  if (!strcmp(name, "normal")) return SN_INITIAL_NORMAL;
  if (!strcmp(name, "uniform")) return SN_INITIAL_UNIFORM;
  if (!strcmp(name, "truncated")) return SN_INITIAL_TRUNCATED;
  if (!strcmp(name, "fill")) return SN_INITIAL_FILL;
  return SN_INITIAL_NONE;
}

static sn_slot slot_new(sn_types *t, const char *name, sn_slot_role role, const sn_type *type, int graph) {
  return (sn_slot){.name = name,
                   .role = role,
                   .type = type,
                   .elements = sn_type_count(t, type),
                   .graph = graph,
                   .first = 0,
                   .last = 0,
                   .alias = -1,
                   .buddy = -1};
}

typedef struct slots {
  sn_arena *arena;
  sn_slot *at;
  int count, capacity;
} slots;

static void add_slot(slots *s, sn_slot slot) {
  SN_GROW(s->arena, s->at, s->count, s->capacity);
  s->at[s->count++] = slot;
}

static bool have_slot(const slots *s, int graph, const char *name) {
  for (int i = 0; i < s->count; i++)
    if (s->at[i].graph == graph && !strcmp(s->at[i].name, name)) return true;
  return false;
}

static void add_leaf(slots *s, sn_types *t, const sn_func *f, const sn_node *n, int graph) {
  bool input = n->op == SN_OP_INPUT;
  const char *name = sn_leaf_name(n);
  if (have_slot(s, input ? graph : -1, name)) return;
  sn_slot_role role = input ? SN_SLOT_INPUT : n->op == SN_OP_PARAM ? SN_SLOT_PARAM : SN_SLOT_STATE;
  sn_slot slot = slot_new(t, name, role, n->type[0], input ? graph : -1);
  const sn_attr *value = sn_node_attr(n, input ? "default" : "a");
  slot.optional = input && value->set;
  slot.frozen = role == SN_SLOT_PARAM && sn_param_is_frozen(f->module, n);
  slot.init = input ? (value->set ? SN_INITIAL_FILL : SN_INITIAL_NONE) : init_kind(sn_node_attr(n, "init")->s);
  slot.init_a = value->set ? value->f : 0;
  add_slot(s, slot);
}

static bool is_leaf(const sn_node *n) { return n->op == SN_OP_INPUT || n->op == SN_OP_PARAM || n->op == SN_OP_STATE; }

static void add_graph(slots *s, sn_types *t, const sn_func *f, int graph) {
  for (int i = 0; i < f->node_count; i++)
    if (is_leaf(f->node[i])) add_leaf(s, t, f, f->node[i], graph);
  for (int i = 0; i < f->output_count; i++)
    add_slot(s, slot_new(t, f->output[i].name, SN_SLOT_OUTPUT, sn_val_type(f, f->output[i].value), graph));
}

sn_code sn_ref_plan(sn_module *m, sn_arena *arena, sn_plan **out) {
  sn_plan *p = SN_NEW(arena, sn_plan);
  slots s = {.arena = arena};
  p->arena = arena;
  p->types = m->types;
  p->graph = SN_ARRAY(arena, m->func_count, sn_plan_graph);
  for (int i = 0; i < m->func_count; i++) {
    if (m->func[i]->kind != SN_FUNC_GRAPH) continue;
    sn_plan_graph *g = &p->graph[p->graph_count];
    add_graph(&s, m->types, m->func[i], p->graph_count++);
    g->name = m->func[i]->name;
    g->step_count = 1;
    g->step = SN_NEW(arena, sn_step);
    *g->step =
        (sn_step){.kind = SN_STEP_HOST, .code = -1, .from = -1, .to = -1, .kind_name = "host", .ops = "interpreter"};
  }
  p->slot = s.at;
  p->slot_count = s.count;
  *out = p;
  return SN_OK;
}

static sn_code tensor_of(const sn_slot *slot, const int64_t *dims, const void *data, sn_arena *arena, sn_tensor **out) {
  int64_t extent[SN_RANK_MAX];
  for (int i = 0; i < slot->type->rank; i++) SN_TRY(sn_dimx_eval(slot->type->dim[i], dims, &extent[i]));
  SN_TRY(sn_tensor_create(arena, slot->type->elem, slot->type->rank, extent, out));
  if (data) sn_tensor_load(*out, data);
  return SN_OK;
}

/* A leaf that passes removed, since no result depends on it: ones, which make nothing infinite. */
static sn_code unused_leaf(const sn_type *type, const int64_t *dims, sn_arena *arena, sn_tensor **out) {
  const sn_slot slot = {.type = type};
  SN_TRY(tensor_of(&slot, dims, NULL, arena, out));
  for (int64_t i = 0; i < (*out)->count; i++) (*out)->value[i] = 1;
  for (int64_t i = 0; (*out)->wide && i < (*out)->count; i++) (*out)->wide[i] = 1;
  return SN_OK;
}

/* Slots of a graph: its own, else the shared one. */
static int slot_of(const sn_plan *p, int graph, const char *name) {
  int slot = sn_plan_find_slot(p, graph, name);
  return slot >= 0 ? slot : sn_plan_find_slot(p, -1, name);
}

sn_code sn_ref_bind(const sn_plan *p, int graph, const sn_func *f, const int64_t *dims, void *const *slot_data,
                    sn_arena *arena, sn_interp *in) {
  sn_binding *leaf = SN_ARRAY(arena, f->node_count + 1, sn_binding);
  int count = 0;
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    int slot = is_leaf(n) ? slot_of(p, graph, sn_leaf_name(n)) : -1;
    sn_tensor *t;
    if (slot < 0 && is_leaf(n))
      SN_TRY(unused_leaf(n->type[0], dims, arena, &t));
    else if (slot < 0 || !slot_data[slot])
      continue;
    else
      SN_TRY(tensor_of(&p->slot[slot], dims, slot_data[slot], arena, &t));
    leaf[count++] = (sn_binding){sn_leaf_name(n), t};
  }
  in->dims = dims;
  in->leaf = leaf;
  in->leaf_count = count;
  return SN_OK;
}

static void write_results(const sn_plan *p, int graph, const sn_func *f, sn_tensor **values, void *const *slot_data) {
  for (int i = 0; i < f->output_count; i++) {
    int slot = sn_plan_find_slot(p, graph, f->output[i].name);
    if (slot >= 0 && slot_data[slot]) sn_tensor_store(values[f->output[i].value], slot_data[slot]);
  }
}

static void write_states(const sn_plan *p, int graph, const sn_func *f, sn_tensor **values, void *const *slot_data) {
  for (int i = 0; i < f->update_count; i++) {
    int slot = slot_of(p, graph, sn_leaf_name(sn_node_of(f, f->update[i].state)));
    sn_tensor_store(values[f->update[i].next], slot_data[slot]);
  }
}

sn_code sn_ref_host(void *user, const sn_plan *p, int graph, const int64_t *dims, void *const *slot_data,
                    sn_diags *diags) {
  sn_compiled *c = user;
  sn_func *f = sn_module_find(c->flat, p->graph[graph].name);
  sn_arena *arena = sn_arena_scratch();
  if (!f || !arena) {
    sn_arena_destroy(arena);
    return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory to interpret graph %s", p->graph[graph].name);
  }
  sn_interp in = {.arena = arena, .diags = diags, .no_bounds = true};
  sn_tensor **values = NULL;
  sn_code code = sn_ref_bind(p, graph, f, dims, slot_data, arena, &in);
  if (!code) code = sn_interp_run(&in, f, &values);
  if (!code) {
    write_results(p, graph, f, values, slot_data);
    if (f->guard && values[f->guard]->value[0] == 0)
      code = SN_ERR_NUMERIC;
    else
      write_states(p, graph, f, values, slot_data);
  }
  sn_arena_destroy(arena);
  return code;
}
