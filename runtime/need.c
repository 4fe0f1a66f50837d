/* What runs of a plan need at their extents: counted before anything is allocated, compared with the memory limit. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/inside.h"

static bool add(int64_t *sum, int64_t bytes) { return !__builtin_add_overflow(*sum, bytes, sum); }

/* Parameters, states and packed copies, as a store allocates them. */
static bool add_store(const sn_plan *p, const int64_t *dims, sn_need *n) {
  for (int i = 0; i < p->slot_count; i++) {
    int64_t bytes, *to = p->slot[i].role == SN_SLOT_PARAM   ? &n->params
                         : p->slot[i].role == SN_SLOT_STATE ? &n->states
                                                            : &n->packed;
    if (!sn_rt_persistent(p->slot[i].role)) continue;
    if (sn_rt_bytes(&p->slot[i], dims, &bytes) || !add(to, bytes + SN_RT_SLACK)) return false;
  }
  return true;
}

/* Inputs and outputs: each storage is as large as the largest slot that shares it. */
static bool add_ports(const sn_runtime *r, const sn_bound *b, int64_t *sum) {
  const sn_plan *p = r->plan;
  for (int i = 0; i < p->slot_count; i++) {
    int64_t most = 0;
    if (p->slot[i].role != SN_SLOT_INPUT && p->slot[i].role != SN_SLOT_OUTPUT) continue;
    for (int k = 0; k < p->slot_count && r->root[i] == i && p->slot[i].graph == b->graph; k++)
      if (r->root[k] == i && b->bytes[k] > most) most = b->bytes[k];
    if (!add(sum, most)) return false;
  }
  return true;
}

/* Graphs run one after the other: they share the pool of temporaries. */
static sn_code add_graph(sn_runtime *r, int graph, const int64_t *dims, sn_need *n, sn_diags *diags) {
  const sn_bound *b;
  SN_TRY(sn_bind_graph(r, graph, dims, diags, &b));
  if (b->pool_bytes > n->temporaries) n->temporaries = b->pool_bytes;
  if (graph < 0 || add_ports(r, b, &n->ports)) return SN_OK;
  return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "inputs and outputs are too large to address");
}

static sn_code measure(sn_runtime *r, const int64_t *store_dims, int count, const sn_planned_run *run, sn_need *n,
                       sn_diags *diags) {
  if (!add_store(r->plan, store_dims, n))
    return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "parameters and states are too large to address");
  if (r->plan->prepare_count) SN_TRY(add_graph(r, -1, store_dims, n, diags));
  for (int i = 0; i < count; i++) {
    int graph = sn_plan_find_graph(r->plan, run[i].graph);
    if (graph >= 0) SN_TRY(add_graph(r, graph, run[i].dims, n, diags));
  }
  n->workspace = r->workspace_bytes * r->threads;
  const int64_t part[] = {n->params, n->states, n->packed, n->temporaries, n->ports, n->workspace};
  for (size_t i = 0; i < sizeof part / sizeof *part; i++)
    if (!add(&n->total, part[i])) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "the plan is too large to address");
  return SN_OK;
}

sn_code sn_runtime_need(sn_runtime *r, const int64_t *store_dims, int count, const sn_planned_run *run, sn_diags *diags,
                        sn_need *out) {
  sn_need n = {0};
  int64_t *dims = calloc((size_t)r->symbol_count + 1, sizeof *dims);
  if (!dims) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  for (int i = 0; i < r->symbol_count; i++)
    dims[i] = store_dims && store_dims[i] >= 0 ? store_dims[i] : sn_dimx_max_value(sn_types_symbol(r->plan->types, i));
  sn_code code = measure(r, dims, count, run, &n, diags);
  free(dims);
  if (!code) *out = n;
  return code;
}

static const char *parts_text(const sn_need *n, sn_arena *arena) {
  const struct {
    int64_t bytes;
    const char *name;
  } part[] = {{n->params, "parameters"},        {n->states, "states"},
              {n->packed, "packed copies"},     {n->temporaries, "temporaries"},
              {n->ports, "inputs and outputs"}, {n->workspace, "scratch of kernels"}};
  sn_text t = sn_text_begin(arena);
  for (size_t i = 0; i < sizeof part / sizeof *part; i++)
    if (part[i].bytes) sn_text_add(&t, "%s%" PRId64 " of %s", t.count ? ", " : "", part[i].bytes, part[i].name);
  return t.at;
}

/* The same runs with another extent of the symbol that users choose, wherever it had the value of the first run. */
typedef struct trial {
  sn_runtime *r;
  int symbol, count;
  int64_t given, *store_dims; /* store_dims: NULL: as at first */
  sn_planned_run *run;
  int64_t **dims; /* by run: a copy to be changed */
  sn_need need;   /* of the newest trial */
} trial;

static bool try_extent(void *user, int64_t extent) {
  trial *t = user;
  for (int i = 0; i < t->count; i++) t->dims[i][t->symbol] = extent;
  if (t->store_dims) t->store_dims[t->symbol] = extent;
  t->need.total = INT64_MAX;
  if (sn_runtime_need(t->r, t->store_dims, t->count, t->run, NULL, &t->need)) return false;
  return t->need.total <= t->r->opt.memory_limit;
}

/* Tells which batch would fit. Runs of one symbol have one value of it. */
static void note_fit(sn_runtime *r, const int64_t *store_dims, int count, const sn_planned_run *run, sn_diags *diags) {
  size_t bytes = (size_t)r->symbol_count * sizeof(int64_t);
  int symbol = count ? sn_rt_first_extent(r, sn_plan_find_graph(r->plan, run[0].graph)) : -1;
  if (symbol < 0) return;
  const sn_dimx *d = sn_types_symbol(r->plan->types, symbol);
  sn_arena *a = diags->arena;
  trial t = {.r = r, .symbol = symbol, .count = count, .given = run[0].dims[symbol]};
  t.store_dims = store_dims ? sn_arena_copy(a, store_dims, bytes) : NULL;
  t.run = SN_ARRAY(a, count, sn_planned_run), t.dims = SN_ARRAY(a, count, int64_t *);
  for (int i = 0; i < count; i++) {
    t.dims[i] = sn_arena_copy(a, run[i].dims, bytes);
    t.run[i] = (sn_planned_run){run[i].graph, t.dims[i]};
  }
  int64_t extent = sn_rt_search(d, t.given, try_extent, &t);
  bool is_enough = try_extent(&t, extent);
  sn_rt_note_extent(d, is_enough, extent, t.given, t.need.total, diags);
}

sn_code sn_runtime_check_memory(sn_runtime *r, const int64_t *store_dims, int count, const sn_planned_run *run,
                                sn_diags *diags) {
  sn_need n;
  int64_t limit = r->opt.memory_limit;
  if (!limit) return SN_OK;
  SN_TRY(sn_runtime_need(r, store_dims, count, run, diags, &n));
  if (n.total <= limit) return SN_OK;
  sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "the plan does not fit into the memory limit: nothing was started");
  sn_fail_expected(diags, "at most %" PRId64 " bytes", limit);
  if (diags) sn_fail_found(diags, "%" PRId64 " bytes: %s", n.total, parts_text(&n, diags->arena));
  if (diags) note_fit(r, store_dims, count, run, diags);
  return SN_ERR_LIMIT;
}
