/* Exact checks: a net beside its twin in f64, gradients beside differences. */
#include <stdio.h>
#include <string.h>

#include "ir/base/rng.h"
#include "models/recipes/inside.h"

/* ---- outputs ------------------------------------------------------------------------------------------------------
 */

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
    if (!(d <= worst)) worst = d; /* also what is not a number */
    largest = fmax(largest, fabs(right[i]));
  }
  return !x || !right ? (double)NAN : worst == 0 ? 0 : worst / largest;
}

double net_difference(net *n, net *right, const char *graph, const feed *f, const char *output) {
  int64_t count = 0, other = 0;
  const double *a = net_output(n, graph, f, 0, output, &count), *b = net_output(right, graph, f, 0, output, &other);
  if (a && b && count != other) recipe_fail(n->r, "output %s has two sizes", output);
  return recipe_difference(count, a, b);
}

/* ---- gradients ----------------------------------------------------------------------------------------------------
 */

static const char *parameter(const net *n, int i) { return sn_program_parameter(n->program, i); }

static double *gradient(net *n, const char *graph, const feed *f, const char *name, int64_t *count) {
  const char *output = sn_arena_printf(n->r->arena, "grad.%s", name);
  sn_port p;
  for (int i = 0; sn_program_port(n->program, graph, i, &p); i++)
    if (!strcmp(p.name, output)) return net_output(n, graph, f, 0, output, count);
  return NULL; /* the graph does not have the parameter */
}

static double largest_of(int64_t count, const double *x) {
  double largest = 0;
  for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs(x[i]));
  return largest;
}

double net_gradient_error(net *n, const char *graph, const char *loss, const feed *f) {
  net *narrow = net_gradients(n, loss), *exact = net_exact(n, loss);
  if (!narrow || !exact) return NAN;
  double all = 0, worst = 0;
  int64_t count = 0;
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; parameter(exact, i) && !n->r->code; i++) {
      const double *b = gradient(exact, graph, f, parameter(exact, i), &count), *a;
      if (!b) continue;
      double largest = largest_of(count, b);
      all = fmax(all, largest);
      if (!pass) continue;
      if (!(a = gradient(narrow, graph, f, parameter(exact, i), &count))) return NAN;
      double error = recipe_difference(count, a, b) * largest / fmax(largest, all * 1e-3);
      if (largest == 0) error = largest_of(count, a) / all;
      if (!(error <= worst)) worst = error;
    }
  return n->r->code || all == 0 ? (double)NAN : worst;
}

double net_gradient_largest(net *n, const char *graph, const char *loss, const feed *f, const char *pattern) {
  net *with = net_gradients(n, loss);
  double largest = 0;
  int64_t count = 0;
  if (!with) return NAN;
  for (int i = 0; parameter(with, i) && !n->r->code; i++) {
    if (!sn_pattern_match(pattern, parameter(with, i))) continue;
    const double *g = gradient(with, graph, f, parameter(with, i), &count);
    for (int64_t k = 0; g && k < count; k++)
      if (!(fabs(g[k]) <= largest)) largest = fabs(g[k]); /* also what is not a number */
  }
  return n->r->code ? (double)NAN : largest;
}

/* ---- differences --------------------------------------------------------------------------------------------------
 */

/* A parameter of an f64 net: its values, its gradient, and a direction. */
typedef struct part {
  const char *name;
  int64_t count;
  double *value, *slope, *way;
} part;

static int parts_of(net *n, const char *graph, const feed *f, part **out) {
  int all = 0, count = 0;
  while (parameter(n, all)) all++;
  *out = SN_ARRAY(n->r->arena, all + 1, part);
  for (int i = 0; i < all && !n->r->code; i++) {
    part *p = &(*out)[count];
    sn_tensor_view v;
    *p = (part){.name = parameter(n, i)};
    if (!(p->slope = gradient(n, graph, f, p->name, &p->count))) continue;
    if (!recipe_ok(n->r, sn_store_tensor(n->store, p->name, &v), "reading weights")) return 0;
    p->value = sn_arena_copy(n->r->arena, v.data, v.bytes);
    p->way = SN_ARRAY(n->r->arena, p->count, double);
    count++;
  }
  return n->r->code ? 0 : count;
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
  part *p;
  int count = exact ? parts_of(exact, graph, f, &p) : 0;
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
    double error = fabs(slope - along) / fmax(fabs(slope), fabs(along));
    if (!(error <= worst)) worst = error;
  }
  return n->r->code ? (double)NAN : worst;
}
