/* Estimated bounds of whole graphs: how far executions in the declared types stray from the values in f64. */
#include <string.h>

#include "ir/ref/eval.h"

#define FACTOR 8 /* of the largest deviation seen */

/* Does it differ in a way that no bound can tell? */
static bool differs_in_kind(const sn_tensor *t, double v, double w) {
  if (!sn_elem_is_float(t->elem)) return v != w;
  return isnan(v) != isnan(w) || (isinf(v) || isinf(w) ? v != w && !(isnan(v) && isnan(w)) : false);
}

static void widen(sn_tensor *t, const sn_tensor *run) {
  for (int64_t i = 0; i < t->count; i++) {
    double v = t->value[i], w = run->value[i];
    if (differs_in_kind(t, v, w))
      t->bound[i] = INFINITY;
    else if (isfinite(v))
      t->bound[i] = fmax(t->bound[i], FACTOR * fabs(v - w));
  }
}

static sn_interp exact_of(const sn_interp *in) {
  sn_interp exact = *in;
  exact.no_bounds = true;
  exact.round = false;
  return exact;
}

/* Execution i of those that are compared. */
static sn_interp noisy_of(const sn_interp *in, int i, sn_arena *scratch) {
  sn_interp noisy = *in;
  noisy.arena = scratch;
  noisy.cache = NULL;
  noisy.no_bounds = false;
  noisy.round = true;
  noisy.noise = 2;
  noisy.find_nonfinite = false;
  noisy.on_node = NULL;
  noisy.shuffle = (sn_rng){.seed = (uint64_t)i + 1, .stream = 1};
  return noisy;
}

static void widen_all(const sn_func *f, sn_tensor **values, sn_tensor *const *run) {
  for (int v = 1; v < f->value_count; v++)
    if (values[v]->bound) widen(values[v], run[v]);
}

/* Views and leaves share no tensor with their operands, so each tensor is widened once per run; a result that a body
 * passes through may be shared and is then widened twice, which changes nothing. */
static sn_code one_run(sn_interp *in, const sn_func *f, int i, sn_tensor **values) {
  sn_arena *scratch = sn_arena_scratch();
  if (!scratch) return SN_ERR_LIMIT;
  sn_interp noisy = noisy_of(in, i, scratch);
  sn_tensor **run;
  sn_code code = sn_interp_run(&noisy, f, &run);
  if (!code) widen_all(f, values, run);
  sn_arena_destroy(scratch);
  return code;
}

static void settle(sn_tensor *t) {
  double u = sn_unit(t->elem);
  if (!sn_elem_is_float(t->elem)) return;
  for (int64_t i = 0; i < t->count; i++)
    if (t->bound[i] > 0)
      t->bound[i] = sn_settle(t->elem, t->value[i], t->bound[i] + sn_rounding(t->elem, u, t->value[i], 0, 4));
}

sn_code sn_interp_run_spread(sn_interp *in, const sn_func *f, int runs, sn_tensor ***values) {
  sn_interp exact = exact_of(in);
  sn_tensor **v;
  sn_code code = sn_interp_run(&exact, f, &v);
  in->cache = exact.cache;
  in->nonfinite = exact.nonfinite;
  if (code) return code;
  for (int i = 1; i < f->value_count; i++) {
    sn_tensor *t = v[i];
    bool leaf = sn_node_of(f, (sn_val)i)->arg_count == 0;
    t->bound = leaf ? t->bound : SN_ARRAY(in->arena, t->count + 1, double);
  }
  for (int i = 0; i < runs; i++) SN_TRY(one_run(in, f, i, v));
  for (int i = 1; i < f->value_count; i++)
    if (v[i]->bound) settle(v[i]);
  *values = v;
  return SN_OK;
}

/* ---- many steps -------------------------------------------------------------------------------------------------- */

struct sn_rollout {
  sn_interp in;
  const sn_func *f;
  int runs;
  int *leaf_of;      /* per update: of in.leaf; -1: not given */
  sn_tensor **state; /* [runs + 1][update_count]; 0: in f64 */
  sn_rng *shuffle;   /* per run */
};

static sn_tensor *copy_of(sn_arena *arena, const sn_tensor *t) {
  sn_tensor *copy = sn_arena_copy(arena, t, sizeof *t);
  copy->value = sn_arena_copy(arena, t->value, (size_t)t->count * sizeof *t->value);
  copy->wide = t->wide ? sn_arena_copy(arena, t->wide, (size_t)t->count * sizeof *t->wide) : NULL;
  copy->bound = NULL;
  return copy;
}

static sn_tensor **states_of(const sn_rollout *r, int run) { return &r->state[run * r->f->update_count]; }

sn_code sn_rollout_create(const sn_interp *in, const sn_func *f, int runs, sn_rollout **out) {
  sn_rollout *r = SN_ARRAY(in->arena, 1, sn_rollout);
  *r = (sn_rollout){.in = *in, .f = f, .runs = runs};
  r->leaf_of = SN_ARRAY(in->arena, f->update_count + 1, int);
  r->state = SN_ARRAY(in->arena, (runs + 1) * f->update_count + 1, sn_tensor *);
  r->shuffle = SN_ARRAY(in->arena, runs + 1, sn_rng);
  for (int i = 0; i < runs; i++) r->shuffle[i] = noisy_of(in, i, in->arena).shuffle;
  for (int u = 0; u < f->update_count; u++) {
    const char *name = sn_leaf_name(sn_node_of(f, f->update[u].state));
    r->leaf_of[u] = -1;
    for (int k = 0; k < in->leaf_count; k++)
      if (!strcmp(in->leaf[k].name, name)) r->leaf_of[u] = k;
    if (r->leaf_of[u] < 0) return sn_fail(in->diags, SN_ERR_INPUT, (sn_loc){0}, "state \"%s\" is not given", name);
    for (int i = 0; i <= runs; i++) states_of(r, i)[u] = copy_of(in->arena, in->leaf[r->leaf_of[u]].tensor);
  }
  *out = r;
  return SN_OK;
}

/* The leaves of a run; states are copies, which may be kept when those of the run change. */
static const sn_binding *leaves_of(const sn_rollout *r, int run, sn_arena *arena) {
  sn_binding *leaf = SN_ARRAY(arena, r->in.leaf_count + 1, sn_binding);
  for (int k = 0; k < r->in.leaf_count; k++) leaf[k] = r->in.leaf[k];
  for (int u = 0; u < r->f->update_count; u++) leaf[r->leaf_of[u]].tensor = copy_of(arena, states_of(r, run)[u]);
  return leaf;
}

static void carry(const sn_rollout *r, int run, sn_tensor *const *values) {
  if (r->f->guard && values[r->f->guard]->value[0] == 0) return;
  for (int u = 0; u < r->f->update_count; u++) {
    const sn_tensor *next = values[r->f->update[u].next];
    sn_tensor *state = states_of(r, run)[u];
    memcpy(state->value, next->value, (size_t)state->count * sizeof *state->value);
    if (state->wide) memcpy(state->wide, next->wide, (size_t)state->count * sizeof *state->wide);
  }
}

static sn_code one_step(sn_rollout *r, int i, sn_tensor **values) {
  sn_arena *scratch = sn_arena_scratch();
  if (!scratch) return SN_ERR_LIMIT;
  sn_interp noisy = noisy_of(&r->in, i, scratch);
  noisy.shuffle = r->shuffle[i];
  noisy.leaf = leaves_of(r, i + 1, scratch);
  sn_tensor **run;
  sn_code code = sn_interp_run(&noisy, r->f, &run);
  if (!code) widen_all(r->f, values, run), carry(r, i + 1, run);
  r->shuffle[i] = noisy.shuffle;
  sn_arena_destroy(scratch);
  return code;
}

static bool is_state(const sn_func *f, int value) {
  for (int u = 0; u < f->update_count; u++)
    if (f->update[u].state == (sn_val)value) return true;
  return false;
}

sn_code sn_rollout_step(sn_rollout *r, sn_arena *arena, sn_tensor ***values) {
  const sn_func *f = r->f;
  sn_interp exact = exact_of(&r->in);
  sn_tensor **v;
  exact.arena = arena;
  exact.cache = NULL; /* bodies live in the arena */
  exact.leaf = leaves_of(r, 0, arena);
  SN_TRY(sn_interp_run(&exact, f, &v));
  for (int i = 1; i < f->value_count; i++)
    if (sn_node_of(f, (sn_val)i)->arg_count || is_state(f, i)) v[i]->bound = SN_ARRAY(arena, v[i]->count + 1, double);
  for (int i = 0; i < r->runs; i++) SN_TRY(one_step(r, i, v));
  for (int i = 1; i < f->value_count; i++)
    if (v[i]->bound) settle(v[i]);
  carry(r, 0, v);
  *values = v;
  return SN_OK;
}
