/* Random tile programs on a device of its own: a plan of one launch, whose buffers are states. */
#include <string.h>

#include "backends/conform/device.h"
#include "runtime/runtime.h"

enum { GUARD = 256 }; /* elements behind each buffer that nothing may touch */

/* ---- the plan ---------------------------------------------------------------------------------------------------- */

static int add_slot(sn_plan *p, const sn_kernel *k, int j, int64_t elements) {
  const sn_dimx *extent = sn_dimx_const(p->types, elements);
  sn_slot *s = &p->slot[p->slot_count];
  *s = (sn_slot){.name = k->param[j].name, .role = SN_SLOT_STATE, .graph = -1, .first = -1, .last = -1};
  s->type = sn_type_of(p->types, k->param[j].elem, 1, &extent);
  s->elements = sn_dimx_const(p->types, elements + GUARD);
  s->alias = s->buddy = -1;
  return p->slot_count++;
}

static void add_argument(sn_plan *p, const sn_kernel *k, const sn_krandom_case *c, int j, sn_plan_arg *out,
                         int64_t *dims) {
  const sn_kparam *x = &k->param[j];
  if (x->role != SN_K_SIZE) {
    *out = (sn_plan_arg){true, add_slot(p, k, j, c->elements[j])};
    return;
  }
  const char *name = sn_arena_printf(p->arena, "n%d", j);
  const sn_dimx *symbol = sn_dimx_symbol(p->types, name, x->min, x->max, x->divisor, NULL);
  *out = (sn_plan_arg){false, sn_dimx_symbol_index(symbol)};
  dims[out->index] = c->args[j].i;
}

static sn_plan *plan_of(sn_arena *arena, const sn_kernel *k, const sn_code_blob *blob, const sn_krandom_case *c,
                        int64_t *dims) {
  sn_plan *p = SN_NEW(arena, sn_plan);
  sn_plan_graph *g = SN_NEW(arena, sn_plan_graph);
  sn_step *s = SN_NEW(arena, sn_step);
  sn_plan_arg *arg = SN_ARRAY(arena, k->param_count + 1, sn_plan_arg);
  *p = (sn_plan){.arena = arena, .types = sn_types_create(arena), .model = "program", .settings = "", .target = ""};
  p->slot = SN_ARRAY(arena, k->param_count + 1, sn_slot);
  p->code = (sn_code_blob *)(uintptr_t)blob, p->code_count = 1, p->graph = g, p->graph_count = 1;
  *g = (sn_plan_graph){.name = "main", .step = s, .step_count = 1};
  for (int j = 0; j < k->param_count; j++) {
    add_argument(p, k, c, j, &arg[j], dims);
    if (k->param[j].role == SN_K_OUT || k->param[j].role == SN_K_INOUT) s->writes |= (uint64_t)1 << j;
  }
  const sn_dimx *zero = sn_dimx_const(p->types, 0);
  s->kind = SN_STEP_LAUNCH, s->arg = arg, s->arg_count = k->param_count, s->from = s->to = -1;
  s->grid[0] = sn_dimx_const(p->types, sn_kernel_instances(k, c->args));
  s->kind_name = "map", s->ops = "", s->flops = s->bytes_read = s->bytes_written = zero;
  return p;
}

/* ---- running it -------------------------------------------------------------------------------------------------- */

/* Contents of every buffer, with guard words behind. */
static void fill(sn_store *s, const sn_plan *p, const sn_plan_arg *arg, const sn_kernel *k, const sn_krandom_case *c) {
  (void)p;
  for (int j = 0; j < k->param_count; j++) {
    if (!arg[j].is_slot) continue;
    int64_t all;
    char *to = sn_store_data(s, arg[j].index, &all);
    size_t bytes = (size_t)c->elements[j] * sn_elem_bytes(k->param[j].elem);
    memset(to, 0xa5, (size_t)all);
    memcpy(to, c->args[j].p, bytes);
  }
}

static sn_code collect(sn_store *s, const sn_plan_arg *arg, const sn_kernel *k, const sn_krandom_case *c, sn_karg *out,
                       sn_arena *arena, sn_diags *diags) {
  for (int j = 0; j < k->param_count; j++) {
    out[j] = c->args[j];
    if (!arg[j].is_slot) continue;
    int64_t all;
    const unsigned char *from = sn_store_data(s, arg[j].index, &all);
    size_t bytes = (size_t)c->elements[j] * sn_elem_bytes(k->param[j].elem);
    out[j].p = memcpy(sn_arena_alloc(arena, bytes + 1), from, bytes);
    for (size_t i = bytes; i < (size_t)all; i++)
      if (from[i] != 0xa5)
        return sn_fail(diags, SN_ERR_FAIL, (sn_loc){0}, "memory behind %s was written", k->param[j].name);
    if (k->param[j].role == SN_K_IN && memcmp(from, c->args[j].p, bytes))
      return sn_fail(diags, SN_ERR_FAIL, (sn_loc){0}, "the input %s was written", k->param[j].name);
  }
  return SN_OK;
}

sn_code sn_conform_on_device(sn_arena *arena, const sn_kernel *k, const sn_code_blob *blob, const sn_krandom_case *c,
                             sn_karg *out, sn_diags *diags) {
  int64_t dims[SN_K_PARAMS] = {0};
  const sn_plan *p = plan_of(arena, k, blob, c, dims);
  const sn_plan_arg *arg = p->graph[0].step[0].arg;
  sn_runtime *r = NULL;
  sn_store *s = NULL;
  sn_code code = sn_runtime_create(p, &(sn_runtime_opt){.threads = 1}, diags, &r);
  if (!code) code = sn_store_create(r, 1, dims, diags, &s);
  if (!code) fill(s, p, arg, k, c);
  if (!code) code = sn_run(r, s, "main", 0, NULL, diags);
  if (!code) code = collect(s, arg, k, c, out, arena, diags);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  return code;
}
