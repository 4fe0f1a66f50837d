/* Parameters in one array. */
#include "models/recipes/weights.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/oracles/draws.h"
#include "tests/oracles/layers.h"

enum { NAME = 96 };

weights weights_of(recipe *r, net *n) {
  return (weights){.r = r, .n = n, .value = recipe_alloc(r, sizeof(double) * (size_t)net_parameters(n, "*"))};
}

void weights_add(weights *w, const char *format, ...) {
  char *name = recipe_alloc(w->r, NAME);
  va_list args;
  va_start(args, format);
  vsnprintf(name, NAME, format, args);
  va_end(args);
  int64_t count = 0;
  float *from = net_values(w->n, name, &count);
  draws r = draws_of(1, 0x746865, (uint64_t)w->parts);
  for (int64_t i = 0; from && i < count; i++)
    w->value[w->count + i] = (double)(from[i] += .1f * (float)draws_normal(&r));
  w->name[w->parts++] = name;
  w->first[w->parts] = w->count += (int)count;
  net_changed(w->n);
}

const double *weights_at(const weights *w, const char *format, ...) {
  char name[NAME];
  va_list args;
  va_start(args, format);
  vsnprintf(name, sizeof name, format, args);
  va_end(args);
  int i = 0;
  while (i < w->parts - 1 && strcmp(w->name[i], name)) i++;
  return w->value + w->first[i];
}

void weights_slopes(weights *w, double (*loss)(void *user), void *user, double *out) {
  double *way = recipe_alloc(w->r, sizeof(double) * (size_t)w->count);
  for (int i = 0; i < w->count; i++) {
    way[i] = 1;
    out[i] = layers_slope(loss, user, w->count, w->value, way, 1e-3);
    way[i] = 0;
  }
}

double weights_slopes_off(const weights *w, net *n, const char *graph, const feed *f, const double *slopes) {
  double worst = 0;
  for (int i = 0; i < w->parts; i++) {
    char name[NAME + 8];
    int64_t count = 0;
    snprintf(name, sizeof name, "grad.%s", w->name[i]);
    const double *found = net_output(n, graph, f, 0, name, &count);
    if (!found || count != w->first[i + 1] - w->first[i]) return (double)NAN;
    worst = recipe_max(worst, recipe_difference(count, found, slopes + w->first[i]));
  }
  return worst;
}
