/* Random plans that verify, for the round trips of their text and binary forms. */
#ifndef SN_TESTS_PLAN_RANDOM_PLAN_H
#define SN_TESTS_PLAN_RANDOM_PLAN_H

#include "ir/base/rng.h"
#include "ir/plan/plan.h"

static inline int pick(sn_rng *r, int n) { return (int)sn_rng_below(r, (uint64_t)n); }

static inline const sn_dimx *random_dim(sn_rng *r, sn_types *t) {
  const sn_dimx *d = pick(r, 2) ? sn_types_symbol(t, pick(r, 3)) : sn_dimx_const(t, pick(r, 100));
  if (pick(r, 3) == 0) d = sn_dimx_add(t, d, sn_types_symbol(t, pick(r, 3)));
  if (pick(r, 4) == 0) d = sn_dimx_ceildiv(t, d, sn_dimx_const(t, 16));
  return d;
}

static inline const sn_type *random_type(sn_rng *r, sn_types *t) {
  const sn_dimx *dims[3];
  int rank = pick(r, 4);
  for (int i = 0; i < rank; i++) dims[i] = random_dim(r, t);
  return sn_type_of(t, (sn_elem)(1 + pick(r, SN_ELEM_COUNT - 1)), rank, dims);
}

static inline sn_slot random_slot(sn_rng *r, sn_plan *p, int i) {
  sn_slot s = {.role = (sn_slot_role)pick(r, 6),
               .type = random_type(r, p->types),
               .graph = -1,
               .first = -1,
               .last = -1,
               .alias = -1,
               .buddy = -1};
  s.name = sn_arena_printf(p->arena, "%s%d", pick(r, 5) ? "h.0.w" : "odd \"name\"\n", i);
  s.elements = sn_type_count(p->types, s.type);
  if (pick(r, 4) == 0) s.elements = sn_dimx_add(p->types, s.elements, sn_dimx_const(p->types, 64));
  bool persistent = s.role == SN_SLOT_PARAM || s.role == SN_SLOT_STATE || s.role == SN_SLOT_PACKED;
  if (!persistent) s.graph = pick(r, p->graph_count);
  s.init = (sn_init_kind)pick(r, 4);
  s.init_a = s.init ? sn_rng_normal(r) : 0;
  s.optional = s.role == SN_SLOT_INPUT && pick(r, 2);
  s.frozen = s.role == SN_SLOT_PARAM && pick(r, 2);
  if (s.role == SN_SLOT_TEMP && pick(r, 4)) s.first = 0, s.last = p->graph[s.graph].step_count - 1;
  return s;
}

static inline bool usable(const sn_plan *p, int slot, int graph) {
  const sn_slot *s = &p->slot[slot];
  return (s->graph == graph || s->graph == -1) && (s->role != SN_SLOT_TEMP || s->first >= 0);
}

static inline void random_args(sn_rng *r, sn_plan *p, int graph, sn_step *s) {
  sn_plan_arg *arg = SN_ARRAY(p->arena, 8, sn_plan_arg);
  for (int tries = pick(r, 9); tries > 0; tries--) {
    int slot = pick(r, p->slot_count);
    bool size = pick(r, 4) == 0;
    if (!size && !usable(p, slot, graph)) continue;
    sn_slot_role role = p->slot[slot].role;
    bool writable = graph < 0 ? role == SN_SLOT_PACKED : role == SN_SLOT_TEMP || role == SN_SLOT_OUTPUT;
    if (!size && writable && pick(r, 2)) s->writes |= (uint64_t)1 << s->arg_count;
    arg[s->arg_count++] = size ? (sn_plan_arg){false, pick(r, 3)} : (sn_plan_arg){true, slot};
  }
  s->arg = arg;
}

static inline sn_step random_step(sn_rng *r, sn_plan *p, int graph) {
  sn_step s = {.kind = graph >= 0 && pick(r, 5) == 0 ? SN_STEP_HOST : SN_STEP_LAUNCH, .from = -1, .to = -1};
  if (s.kind == SN_STEP_LAUNCH) {
    s.code = pick(r, p->code_count);
    random_args(r, p, graph, &s);
    for (int i = 0; i < 3; i++) s.grid[i] = pick(r, 3) ? random_dim(r, p->types) : NULL;
  }
  if (pick(r, 2)) s.kind_name = "map";
  if (pick(r, 2)) s.ops = "mul add";
  if (pick(r, 2)) s.where = "m.c:12";
  if (pick(r, 2)) s.flops = random_dim(r, p->types);
  if (pick(r, 2)) s.bytes_read = random_dim(r, p->types);
  if (pick(r, 2)) s.bytes_written = random_dim(r, p->types);
  return s;
}

/* Some steps become choices between the two steps behind them. */
static inline void random_choices(sn_rng *r, const sn_plan *p, int g) {
  sn_plan_graph *graph = &p->graph[g];
  int flag = -1;
  for (int i = 0; i < p->slot_count; i++)
    if (usable(p, i, g) && p->slot[i].type->elem == SN_ELEM_BOOL && p->slot[i].type->rank == 0) flag = i;
  for (int i = 0; flag >= 0 && i + 2 < graph->step_count; i += 3) {
    if (pick(r, 2)) continue;
    graph->step[i] = (sn_step){.kind = SN_STEP_CHOOSE, .from = flag, .to = -1, .block = {1, 1}, .kind_name = "choose"};
  }
}

static inline void random_code(sn_rng *r, sn_plan *p, int i) {
  unsigned char *bytes = sn_arena_alloc(p->arena, 200);
  for (int k = 0; k < 200; k++) bytes[k] = (unsigned char)sn_rng_u32(r);
  sn_code_blob b = {.kind = (sn_code_kind)pick(r, 3),
                    .name = sn_arena_printf(p->arena, "k%d", i),
                    .bytes = bytes,
                    .byte_count = pick(r, 200),
                    .workspace_bytes = pick(r, 1000)};
  if (b.byte_count) b.entry = pick(r, (int)b.byte_count);
  if (pick(r, 2)) b.features = "avx2,fma";
  p->code[i] = b;
}

static inline sn_plan_limit random_limit(sn_rng *r, const sn_plan *p, int slot) {
  sn_plan_limit l = {.slot = slot, .op = "gather", .file = pick(r, 2) ? "m.c" : NULL, .line = pick(r, 99)};
  if (!sn_elem_is_int(p->slot[slot].type->elem) || pick(r, 2)) {
    l.kind = (sn_limit_kind)(1 + pick(r, 4)), l.value = pick(r, 9) - 4.5;
    return l;
  }
  l.rows = random_dim(r, p->types), l.span = random_dim(r, p->types);
  return l;
}

static inline sn_plan *random_plan(sn_arena *arena, sn_rng *r, int slots, int steps) {
  sn_plan *p = SN_NEW(arena, sn_plan);
  *p = (sn_plan){.arena = arena,
                 .types = sn_types_create(arena),
                 .model = "m",
                 .settings = "layers=4",
                 .target = "cpu",
                 .slot_count = slots,
                 .code_count = 1 + pick(r, 3),
                 .graph_count = 1 + pick(r, 3),
                 .prepare_count = pick(r, 3)};
  sn_dimx_symbol(p->types, "B", 1, 8, 1, NULL);
  sn_dimx_symbol(p->types, "T", 1, 1024, 1, NULL);
  sn_dimx_symbol(p->types, "S", 16, 64, 16, NULL);
  p->slot = SN_ARRAY(arena, p->slot_count, sn_slot);
  p->code = SN_ARRAY(arena, p->code_count, sn_code_blob);
  p->graph = SN_ARRAY(arena, p->graph_count, sn_plan_graph);
  p->prepare = SN_ARRAY(arena, p->prepare_count, sn_step);
  for (int i = 0; i < p->graph_count; i++) {
    p->graph[i].name = sn_arena_printf(arena, "graph%d", i);
    p->graph[i].step_count = 1 + pick(r, steps);
  }
  for (int i = 0; i < p->slot_count; i++) p->slot[i] = random_slot(r, p, i);
  for (int i = 0; i < p->code_count; i++) random_code(r, p, i);
  for (int i = 0; i < p->prepare_count; i++) p->prepare[i] = random_step(r, p, -1);
  for (int g = 0; g < p->graph_count; g++) {
    sn_plan_graph *graph = &p->graph[g];
    graph->step = SN_ARRAY(arena, graph->step_count, sn_step);
    for (int i = 0; i < graph->step_count; i++) graph->step[i] = random_step(r, p, g);
    random_choices(r, p, g);
    graph->refusal_count = pick(r, 3);
    graph->refusal = SN_ARRAY(arena, graph->refusal_count, sn_refusal);
    for (int i = 0; i < graph->refusal_count; i++) graph->refusal[i] = (sn_refusal){"add sum", "two users"};
    graph->limit = SN_ARRAY(arena, slots, sn_plan_limit);
    for (int i = 0; i < slots; i++)
      if (p->slot[i].role == SN_SLOT_INPUT && p->slot[i].graph == g)
        graph->limit[graph->limit_count++] = random_limit(r, p, i);
  }
  return p;
}

static inline const char *plan_text(sn_arena *arena, const sn_plan *p) {
  sn_text t = sn_text_begin(arena);
  sn_plan_print(&t, p, true);
  return t.at;
}

#endif
