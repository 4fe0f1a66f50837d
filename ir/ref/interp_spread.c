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

/* Views and leaves share no tensor with their operands, so each tensor is widened once per run; a result that a body
 * passes through may be shared and is then widened twice, which changes nothing. */
static sn_code one_run(sn_interp *in, const sn_func *f, int i, sn_tensor **values) {
  sn_arena *scratch = sn_arena_scratch();
  if (!scratch) return SN_ERR_LIMIT;
  sn_interp noisy = *in;
  noisy.arena = scratch;
  noisy.cache = NULL;
  noisy.no_bounds = false;
  noisy.round = true;
  noisy.noise = 2;
  noisy.find_nonfinite = false;
  noisy.on_node = NULL;
  noisy.shuffle = (sn_rng){.seed = (uint64_t)i + 1, .stream = 1};
  sn_tensor **run;
  sn_code code = sn_interp_run(&noisy, f, &run);
  for (int v = 1; v < f->value_count && !code; v++)
    if (values[v]->bound) widen(values[v], run[v]);
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
  sn_interp exact = *in;
  exact.no_bounds = true;
  exact.round = false;
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
