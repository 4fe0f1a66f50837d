/* Exact checks: a net beside its twin in f64, gradients beside differences. */
#include <stdio.h>
#include <string.h>

#include "ir/base/rng.h"
#include "models/recipes/inside.h"

/* ---- outputs ----------------------------------------------------------------------------------------------------- */

double *net_output(net *n, const char *graph, const feed *f, uint64_t index, const char *output, int64_t *out_count) {
  if (!n || n->r->code) return NULL;
  batch b = batch_make(n, graph, f);
  result x = batch_output(&b, output);
  batch_fill(&b, recipe_seed(n->r, 1), index);
  batch_run(&b);
  if (n->r->code) return NULL;
  double *out = recipe_alloc(n->r, sizeof(double) * (size_t)x.count + 8);
  for (int64_t i = 0; i < x.count; i++) out[i] = result_at(&x, i);
  if (out_count) *out_count = x.count;
  return out;
}

double recipe_difference(int64_t count, const double *x, const double *right) {
  double worst = 0, largest = 0;
  for (int64_t i = 0; x && right && i < count; i++) {
    double d = fabs(x[i] - right[i]);
    worst = recipe_max(worst, d);
    largest = recipe_max(largest, fabs(right[i]));
  }
  return !x || !right ? (double)NAN : worst == 0 ? 0 : worst / largest;
}

double net_difference(net *n, net *right, const char *graph, const feed *f, const char *output) {
  int64_t count = 0, other = 0;
  const double *a = net_output(n, graph, f, 0, output, &count), *b = net_output(right, graph, f, 0, output, &other);
  if (a && b && count != other) recipe_fail(n->r, "output %s has two sizes", output);
  return recipe_difference(count, a, b);
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

static double largest_of(const result *x) {
  double largest = 0;
  for (int64_t i = 0; i < x->count; i++) largest = recipe_max(largest, fabs(result_at(x, i)));
  return largest;
}

/* Programs of other graphs list their parameters in another order. */
static const result *slope_of(const slopes *s, const char *name) {
  for (int k = 0; k < s->count; k++)
    if (!strcmp(s->name[k], name)) return &s->at[k];
  return NULL;
}

double net_gradient_error(net *n, const char *graph, const char *loss, const feed *f) {
  slopes x, right;
  net *here = net_gradients(n, loss), *exact = net_exact(n, loss);
  if (!slopes_make(here, graph, loss, f, &x) || !slopes_make(exact, graph, loss, f, &right)) return NAN;
  slopes_run(&x, 0), slopes_run(&right, 0);
  double all = 0, worst = 0;
  for (int k = 0; k < right.count; k++) all = recipe_max(all, largest_of(&right.at[k]));
  for (int k = 0; k < right.count && !n->r->code; k++) {
    const result *at = slope_of(&x, right.name[k]);
    double difference = at ? 0 : (double)NAN;
    for (int64_t i = 0; at && i < right.at[k].count; i++) {
      double d = fabs(result_at(at, i) - result_at(&right.at[k], i));
      difference = recipe_max(difference, d);
    }
    double error = difference / recipe_max(largest_of(&right.at[k]), all * 1e-3);
    worst = recipe_max(worst, error);
  }
  net_end(here), net_end(exact);
  return n->r->code || all == 0 ? (double)NAN : worst;
}

double net_gradient_largest(net *n, const char *graph, const char *loss, const feed *f, const char *pattern) {
  slopes x;
  double largest = 0;
  if (!slopes_make(net_gradients(n, loss), graph, loss, f, &x)) return NAN;
  slopes_run(&x, 0);
  for (int k = 0; k < x.count && !n->r->code; k++) {
    if (sn_pattern_match(pattern, x.name[k])) largest = recipe_max(largest, largest_of(&x.at[k]));
  }
  return n->r->code ? (double)NAN : largest;
}

/* ---- differences ------------------------------------------------------------------------------------------------- */

/* A parameter of an f64 net: its values, its gradient, and a direction. */
typedef struct part {
  const char *name;
  int64_t count;
  double *value, *slope, *way;
} part;

static int parts_of(slopes *s, part **out) {
  net *n = s->b.n;
  *out = SN_ARRAY(n->r->arena, s->count + 1, part);
  for (int i = 0; i < s->count; i++) {
    part *p = &(*out)[i];
    sn_tensor_view v;
    *p = (part){.name = s->name[i], .count = s->at[i].count, .slope = SN_ARRAY(n->r->arena, s->at[i].count, double)};
    for (int64_t k = 0; k < p->count; k++) p->slope[k] = result_at(&s->at[i], k);
    if (!recipe_ok(n->r, sn_store_tensor(n->store, p->name, &v), "reading weights")) return 0;
    p->value = sn_arena_copy(n->r->arena, v.data, v.bytes);
    p->way = SN_ARRAY(n->r->arena, p->count, double);
  }
  return s->count;
}

/* Another direction, in the scale of each parameter.   -> the derivative along it, as the gradient says */
static double turn(int count, part *p, sn_rng *rng) {
  double along = 0;
  for (; count-- > 0; p++) {
    double squares = 0;
    for (int64_t i = 0; i < p->count; i++) squares += p->value[i] * p->value[i];
    double scale = squares > 0 ? sqrt(squares / (double)p->count) : .02;
    for (int64_t i = 0; i < p->count; i++) {
      p->way[i] = scale * sn_rng_normal(rng);
      along += p->way[i] * p->slope[i];
    }
  }
  return along;
}

/* The loss so far along it. */
static double loss_at(batch *b, const result *loss, int count, const part *p, double step) {
  net *n = b->n;
  for (; count-- > 0; p++) {
    sn_tensor_view v;
    if (!recipe_ok(n->r, sn_store_tensor(n->store, p->name, &v), "reading weights")) return NAN;
    for (int64_t i = 0; i < p->count; i++) ((double *)v.data)[i] = p->value[i] + step * p->way[i];
  }
  net_changed(n);
  batch_run(b);
  return n->r->code ? (double)NAN : result_at(loss, 0);
}

double net_slope_error(net *n, const char *graph, const char *loss, const feed *f) {
  enum { DIRECTIONS = 20 };
  const double step = 1e-4; /* of the parameters' scale */
  net *exact = net_exact(n, loss);
  slopes s;
  part *p;
  if (!slopes_make(exact, graph, loss, f, &s)) return NAN;
  slopes_run(&s, 0);
  int count = n->r->code ? 0 : parts_of(&s, &p);
  if (!count) return NAN;
  double worst = 0;
  batch b = batch_make(exact, graph, f);
  result x = batch_output(&b, loss);
  batch_fill(&b, recipe_seed(n->r, 1), 0);
  sn_rng rng = {.seed = recipe_seed(n->r, 20)};
  for (int i = 0; i < DIRECTIONS && !n->r->code; i++) {
    double along = turn(count, p, &rng);
    double near = loss_at(&b, &x, count, p, step) - loss_at(&b, &x, count, p, -step);
    double far = loss_at(&b, &x, count, p, 2 * step) - loss_at(&b, &x, count, p, -2 * step);
    double slope = (8 * near - far) / (12 * step); /* central differences of fourth order */
    double error = fabs(slope - along) / recipe_max(fabs(slope), fabs(along));
    worst = recipe_max(worst, error);
  }
  return n->r->code ? (double)NAN : worst;
}

static void arithmetic_check(recipe *r, const arithmetic *a, const char *what, double value, double bound) {
  char name[128];
  snprintf(name, sizeof name, "%s%s", a->of ? a->of : "", what);
  char *kept = recipe_alloc(r, strlen(name) + 1);
  recipe_at_most(r, EXACT, kept ? strcpy(kept, name) : what, value, bound);
}

void recipe_arithmetic(recipe *r, const arithmetic *a) {
  const double bound = 2e-5 * sqrt(a->longest);
  arithmetic_check(r, a, "gradient in f64 beside central differences", net_slope_error(a->n, a->graph, "loss", a->feed),
                   1e-6);
  char said[64];
  snprintf(said, sizeof said, "%s in f32 beside f64", a->what ? a->what : "");
  if (a->what)
    arithmetic_check(r, a, said,
                     net_difference(a->n, net_exact(a->n, NULL), a->says ? a->says : a->graph, a->feed, a->output),
                     bound);
  arithmetic_check(r, a, "gradient in f32 beside f64", net_gradient_error(a->n, a->graph, "loss", a->feed), 10 * bound);
}
