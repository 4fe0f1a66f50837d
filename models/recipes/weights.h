/* Parameters of a net in one array of doubles, by name: what a definition reads, and what its loss is derived by. */
#ifndef SINTER_MODELS_RECIPES_WEIGHTS_H
#define SINTER_MODELS_RECIPES_WEIGHTS_H

#include "models/recipes/recipe.h"

enum { WEIGHTS_MAX = 64 };

typedef struct weights {
  recipe *r;
  net *n;
  int parts, count, first[WEIGHTS_MAX + 1];
  const char *name[WEIGHTS_MAX];
  double *value;
} weights;

weights weights_of(recipe *r, net *n);
/* One parameter more; it is moved first, in the net, too, so that biases and norms are no longer 0 and 1. */
void weights_add(weights *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
const double *weights_at(const weights *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* out [count]: derivative of a loss that reads `value` by each number, by central differences. */
void weights_slopes(weights *w, double (*loss)(void *user), void *user, double *out);
/* Gradients of a graph of `n`, compiled with them, beside those: the worst parameter's, relative to its largest. */
double weights_slopes_off(const weights *w, net *n, const char *graph, const feed *f, const double *slopes);

#endif
