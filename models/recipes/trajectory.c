/* The first steps of training beside those of an oracle: gradients in f64, stepped by the Adam of tests/oracles. */
#include <string.h>

#include "models/recipes/inside.h"

/* All parameters of the f64 net in one array each. */
typedef struct flat {
  int count;
  double *theta, *gradient, *m, *v;
  bool *decays;
} flat;

static double *array(recipe *r, int count) { return SN_ARRAY(r->arena, count + 1, double); }

/* Values from the store, or to it. */
static bool move(slopes *s, flat *x, bool to) {
  net *n = s->b.n;
  double *at = x->theta;
  for (int k = 0; k < s->count; k++) {
    sn_tensor_view v;
    if (!recipe_ok(n->r, sn_store_tensor(n->store, s->name[k], &v), "weights")) return false;
    if (to)
      memcpy(v.data, at, v.bytes);
    else
      memcpy(at, v.data, v.bytes);
    for (int64_t i = 0; i < s->at[k].count; i++) x->decays[at - x->theta + i] = v.rank > 1;
    at += s->at[k].count;
  }
  net_changed(n);
  return true;
}

static void take_gradient(const slopes *s, flat *x) {
  double *at = x->gradient;
  for (int k = 0; k < s->count; k++)
    for (int64_t i = 0; i < s->at[k].count; i++) *at++ = result_at(&s->at[k], i);
}

double net_trajectory_error(net *n, const char *graph, const feed *f, const adam *a, double rate, int steps) {
  slopes s;
  flat x = {0};
  if (!slopes_make(net_exact(n, "loss"), graph, "loss", f, &s)) return NAN;
  for (int k = 0; k < s.count; k++) x.count += (int)s.at[k].count;
  recipe *r = n->r;
  x.theta = array(r, x.count), x.gradient = array(r, x.count), x.m = array(r, x.count), x.v = array(r, x.count);
  x.decays = SN_ARRAY(r->arena, x.count + 1, bool);
  if (!move(&s, &x, false)) return NAN;
  int warm = steps / 4;
  batch b = batch_make(n, "train", f);
  batch_scalar(&b, "lr", rate), batch_scalar(&b, "min_lr", rate / 10);
  batch_scalar(&b, "warmup", warm), batch_scalar(&b, "steps", steps);
  batch_scalar(&b, "weight_decay", a->decay), batch_scalar(&b, "beta2", a->beta2), batch_scalar(&b, "clip", a->clip);
  result loss = batch_output(&b, "loss");
  double worst = 0;
  for (int t = 1; t <= steps && !r->code; t++) {
    batch_fill(&b, recipe_seed(r, 1), (uint64_t)t);
    batch_run(&b);
    double right = slopes_run(&s, (uint64_t)t);
    if (r->code) break;
    double error = fabs(result_at(&loss, 0) - right) / fabs(right);
    worst = recipe_max(worst, error);
    take_gradient(&s, &x);
    adam_step(a, t, adam_rate_cosine(rate, rate / 10, warm, steps, t), x.count, x.decays, x.gradient, x.m, x.v,
              x.theta);
    if (!move(&s, &x, true)) break;
  }
  return r->code ? (double)NAN : worst;
}
