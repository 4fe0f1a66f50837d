/* Programs as the runtime sees them: loading, what graphs take and give, destroying. */
#include "host/inside.h"
#include "runtime/io/file.h"
#include "runtime/io/levels.h"

sn_program *sn_host_program(sn_ctx *c) {
  sn_program *p = sn_block_alloc(sizeof *p);
  if (!p) return NULL;
  *p = (sn_program){.ctx = c, .arena = sn_arena_create()};
  if (p->arena) return p;
  sn_block_free(p);
  return NULL;
}

sn_code sn_host_program_start(sn_program *p, const sn_plan *plan, const sn_runtime_opt *opt) {
  sn_ctx *c = p->ctx;
  p->plan = plan;
  p->type_text = SN_ARRAY(p->arena, plan->slot_count + 1, const char *);
  for (int i = 0; i < plan->slot_count; i++) p->type_text[i] = sn_type_text(p->arena, plan->slot[i].type);
  SN_TRY(sn_runtime_create(plan, opt, c->diags, &p->runtime));
  p->next = c->programs;
  c->programs = p;
  return SN_OK;
}

void sn_program_destroy(sn_program *p) {
  if (!p) return;
  while (p->stores) sn_v1_store_destroy(p->stores);
  sn_runtime_destroy(p->runtime);
  for (sn_program **at = &p->ctx->programs; *at; at = &(*at)->next)
    if (*at == p) {
      *at = p->next;
      break;
    }
  if (p->release) p->release(p->backend);
  sn_arena_destroy(p->arena);
  sn_block_free(p);
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

typedef struct loading {
  sn_ctx *c;
  const char *path;
  sn_file_map map;
  sn_program *p;
} loading;

static int run_load(void *arg) {
  loading *x = arg;
  sn_plan *plan;
  const sn_runtime_opt opt = {.threads = x->c->opt.threads, .memory_limit = x->c->opt.memory_limit};
  x->p = sn_host_program(x->c);
  if (!x->p) return SN_ERR_LIMIT;
  SN_TRY(sn_file_map_open(x->path, x->c->diags, &x->map));
  const void *image = sn_arena_copy(x->p->arena, x->map.data, x->map.bytes); /* the plan points into it */
  SN_TRY(sn_levels_plan(x->p->arena, x->c->diags, x->path, image, x->map.bytes, &plan));
  return sn_host_program_start(x->p, plan, &opt);
}

sn_code sn_program_load(sn_ctx *c, const char *path, sn_program **out) {
  loading x = {.c = c, .path = path};
  sn_code code = sn_host_call(c, run_load, &x);
  sn_file_map_close(&x.map);
  if (code)
    sn_program_destroy(x.p);
  else
    *out = x.p;
  return code;
}

/* ---- graphs ------------------------------------------------------------------------------------------------------ */

const char *sn_program_graph(const sn_program *p, int i) {
  return i >= 0 && i < p->plan->graph_count ? p->plan->graph[i].name : NULL;
}

static bool is_port(const sn_slot *s, int graph, bool output) {
  return s->graph == graph && s->role == (output ? SN_SLOT_OUTPUT : SN_SLOT_INPUT);
}

bool sn_program_port(const sn_program *p, const char *graph, int i, sn_port *out) {
  const sn_plan *plan = p->plan;
  int g = sn_plan_find_graph(plan, graph), n = 0;
  for (int pass = 0; g >= 0 && i >= 0 && pass < 2; pass++) {
    for (int k = 0; k < plan->slot_count; k++) {
      const sn_slot *s = &plan->slot[k];
      if (!is_port(s, g, pass == 1) || n++ != i) continue;
      *out = (sn_port){.name = s->name,
                       .is_output = pass == 1,
                       .is_optional = s->optional,
                       .dtype = sn_elem_name(s->type->elem),
                       .rank = s->type->rank,
                       .type = p->type_text[k]};
      return true;
    }
  }
  return false;
}

int64_t sn_program_parameter_count(const sn_program *p) {
  int64_t all = 0, n;
  for (int k = 0; k < p->plan->slot_count; k++) {
    const sn_slot *s = &p->plan->slot[k];
    if (s->role == SN_SLOT_PARAM && sn_dimx_is_const(s->elements, &n)) all += n; /* the DSL asks for numbers */
  }
  return all;
}

const char *sn_program_parameter(const sn_program *p, int i) {
  for (int k = 0; i >= 0 && k < p->plan->slot_count; k++)
    if (p->plan->slot[k].role == SN_SLOT_PARAM && !i--) return p->plan->slot[k].name;
  return NULL;
}
