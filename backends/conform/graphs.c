/* Random graphs and whole models on a backend. */
#include <string.h>

#include "backends/conform/conform.h"
#include "backends/faults/fuzz.h"
#include "ir/ops/ops.h"

enum { MORE = 600, RUNS = 8, FACTOR = 4 };

typedef struct graph_job {
  sn_gpairs *pairs;
  uint64_t seed;
  int64_t *ops;
} graph_job;

static void count_ops(int64_t *ops, const sn_module *m) {
  for (int i = 0; i < m->func_count; i++)
    for (int n = 0; n < m->func[i]->node_count; n++) ops[m->func[i]->node[n]->op]++;
}

static sn_code one_graph(const sn_conform_trial *t, void *user) {
  const graph_job *j = user;
  sn_case c;
  sn_oracle o;
  if (sn_fuzz_case(j->pairs, j->seed, t->arena, t->diags, &c)) return SN_OK; /* the generator's mistake: not here */
  if (t->opt->made)
    SN_TRY(sn_case_parse(&c, t->arena, t->diags, &o.module));
  else
    SN_TRY(sn_case_oracle(&c, t->arena, t->diags, &o));
  const char *what = sn_arena_printf(t->arena, "graph of seed %llu", (unsigned long long)j->seed);
  bool none = sn_conform_case(t, &c, &o, "none", what, true), all = sn_conform_case(t, &c, &o, "all", what, true);
  if (none || all) count_ops(j->ops, o.module);
  return SN_OK;
}

/* Ops that the interpreter and the lowering see: calls and gradients are gone before. */
static bool counts(const void *user, int op) {
  const sn_gpairs *pairs = user;
  bool possible = false;
  for (int other = 0; other < SN_OP_COUNT; other++)
    possible |= pairs->possible[op][other] || pairs->possible[other][op];
  return possible && op != SN_OP_CALL && op != SN_OP_GRAD;
}

static int unseen(const sn_gpairs *pairs, const int64_t *ops) {
  int n = 0;
  for (int op = 1; op < SN_OP_COUNT; op++) n += counts(pairs, op) && !ops[op];
  return n;
}

void sn_conform_graphs(const sn_conform_opt *opt, sn_arena *arena, sn_conform *out) {
  int64_t ops[SN_OP_COUNT] = {0};
  sn_gpairs *pairs = sn_gpairs_create(arena);
  *out = (sn_conform){0};
  for (int i = 0;
       i < opt->count || (i < opt->count + MORE && !opt->exactly && out->run && !out->failed && unseen(pairs, ops));
       i++) {
    graph_job j = {pairs, opt->seed + (uint64_t)i, ops};
    sn_conform_try(opt, arena, out, one_graph, &j);
  }
  sn_conform_seen(out, arena, ops, counts, pairs);
}

/* ---- models ------------------------------------------------------------------------------------------------------ */

/* Bounds that are estimated from several noisy executions: proven ones multiply with every layer. */
static sn_code estimated(const sn_case *c, sn_arena *arena, sn_diags *diags, sn_oracle *o) {
  SN_TRY(sn_case_oracle(c, arena, diags, o));
  sn_interp in = {.arena = arena, .diags = diags, .dims = c->dims, .leaf_count = c->data_count, .leaf = c->data};
  SN_TRY(sn_interp_run_spread(&in, o->f, RUNS, &o->values));
  for (int v = 0; v < o->f->value_count; v++) {
    sn_tensor *x = o->values[v];
    for (int64_t i = 0; x && x->bound && i < x->count; i++) x->bound[i] *= FACTOR;
  }
  return SN_OK;
}

static sn_code one_model(const sn_conform_trial *t, void *user) {
  const sn_case *c = user;
  sn_oracle o;
  if (!t->opt->made) SN_TRY(estimated(c, t->arena, t->diags, &o));
  const char *what = sn_arena_printf(t->arena, "graph %s of %s", c->graph, c->file);
  (void)sn_conform_case(t, c, &o, "none", what, false);
  (void)sn_conform_case(t, c, &o, "all", what, false);
  return SN_OK;
}

void sn_conform_model(const sn_conform_opt *opt, const sn_case *c, sn_arena *arena, sn_conform *out) {
  sn_conform_try(opt, arena, out, one_model, (void *)(uintptr_t)c);
}
