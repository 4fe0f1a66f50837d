/* Random graphs and whole models on a backend. */
#include <string.h>

#include "backends/conform/conform.h"
#include "backends/faults/fuzz.h"
#include "ir/ops/ops.h"

enum { MORE = 600, RUNS = 8, FACTOR = 4 };

typedef struct trial {
  const sn_conform_opt *opt;
  sn_gpairs *pairs;
  const sn_case *given; /* NULL: the graph of the seed */
  uint64_t seed;
  sn_arena *arena, *kept;
  sn_diags *diags;
  sn_conform *out;
  int64_t *ops;
} trial;

static void count_ops(trial *t, const sn_module *m) {
  for (int i = 0; t->ops && i < m->func_count; i++)
    for (int n = 0; n < m->func[i]->node_count; n++) t->ops[m->func[i]->node[n]->op]++;
}

static void say_wrong(trial *t, const sn_case *c, const sn_variant *v, const char *what) {
  const char *name = t->given ? sn_arena_printf(t->arena, "graph %s of %s", c->graph, c->file)
                              : sn_arena_printf(t->arena, "graph of seed %llu", (unsigned long long)t->seed);
  sn_conform_fail(t->out, t->kept, "%s, fuse %s: %s%s%s", name, v->fuse, what, t->given ? "" : "\n",
                  t->given ? "" : c->text);
}

/* -> was it compared? */
static bool one_variant(trial *t, const sn_case *c, const sn_oracle *o, const char *fuse) {
  sn_checked r;
  sn_variant v = {
      .target = t->opt->name, .backend = t->opt->name ? NULL : t->opt->backend, .fuse = fuse, .cache_dir = ""};
  sn_code code = sn_case_check(c, &v, o, t->arena, t->diags, &r);
  const char *said = t->diags->count ? t->diags->at[t->diags->count - 1].message : "failed";
  const char *why = code ? sn_lacks(code, said) : NULL;
  if (why) {
    sn_conform_refuse(t->out, why, t->kept);
    return false;
  }
  if (code)
    say_wrong(t, c, &v, sn_diags_print(t->diags, t->arena));
  else if (r.mismatched)
    say_wrong(t, c, &v, r.first);
  t->out->run++;
  return true;
}

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

static int one_graph(void *arg) {
  trial *t = arg;
  sn_case c;
  sn_oracle o;
  if (t->given) {
    c = *t->given;
    SN_TRY(estimated(&c, t->arena, t->diags, &o));
  } else {
    if (sn_fuzz_case(t->pairs, t->seed, t->arena, t->diags, &c)) return SN_OK; /* the generator's mistake: not here */
    SN_TRY(sn_case_oracle(&c, t->arena, t->diags, &o));
  }
  bool none = one_variant(t, &c, &o, "none"), all = one_variant(t, &c, &o, "all");
  if (none || all) count_ops(t, o.module);
  return SN_OK;
}

static void run_trial(trial *t) {
  t->arena = sn_arena_create();
  t->diags = sn_diags_create();
  sn_code code = t->arena && t->diags ? (sn_code)sn_protect(one_graph, t) : SN_ERR_LIMIT;
  if (code)
    sn_conform_fail(t->out, t->kept, "%s",
                    t->diags && t->diags->count ? sn_diags_print(t->diags, t->kept) : "out of memory");
  sn_diags_destroy(t->diags);
  sn_arena_destroy(t->arena);
}

/* ---- the suites
 * ------------------------------------------------------------------------------------------------------ */

/* Ops that the interpreter and the lowering see: calls and gradients are gone before. */
static bool counts(const sn_gpairs *pairs, int op) {
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
  for (int i = 0; i < opt->count || (i < opt->count + MORE && out->run && !out->failed && unseen(pairs, ops)); i++) {
    trial t = {.opt = opt, .pairs = pairs, .seed = opt->seed + (uint64_t)i, .kept = arena, .out = out, .ops = ops};
    run_trial(&t);
  }
  sn_text missing = sn_text_begin(arena);
  for (int op = 1; op < SN_OP_COUNT; op++) {
    if (!counts(pairs, op)) continue;
    out->all++;
    out->seen += ops[op] > 0;
    if (!ops[op]) sn_text_add(&missing, " %s", sn_op_get((sn_op)op)->name);
  }
  out->missing = missing.at;
}

void sn_conform_model(const sn_conform_opt *opt, const sn_case *c, sn_arena *arena, sn_conform *out) {
  trial t = {.opt = opt, .given = c, .kept = arena, .out = out};
  run_trial(&t);
}
