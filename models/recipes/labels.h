/* Few labels, for recipes of pre-training: texts of hidden states (D2) some of which have labels, feeds of them, and
 * what is learned from them with and without what was trained before. Networks have graphs tune(tokens, labels),
 * judge(tokens, labels) -> accuracy, and a head classify.*, as models/reader.c; labels below 0 are none. */
#ifndef SINTER_MODELS_RECIPES_LABELS_H
#define SINTER_MODELS_RECIPES_LABELS_H

#include "models/recipes/recipe.h"
#include "tests/oracles/hmm.h"

enum { LABELS_ROWS = 32 /* of a batch */, LABELS_LENGTH = 32 };

typedef struct labels {
  const hmm *h;
  int (*label)(int token, int state);
  bool everywhere; /* every place has its label; else the last one alone */
  int count;     /* texts that have labels, a multiple of LABELS_ROWS, the same ones again and again; 0: without end */
  uint64_t draw; /* which ones, of `count` */
  int length;    /* of a text; 0: LABELS_LENGTH, the most */
} labels;

/* l: kept. Batches behind those of training are for measuring: new texts, whatever `count` is. */
feed labels_feed(const labels *l);
/* The text alone, with its next tokens as `targets`. */
feed labels_text(const hmm *h);

/* Best losses of its places: `best` of recipe_excess. data: the hmm */
void labels_text_best(const void *h, uint64_t seed, uint64_t index, double *loss);
/* Accuracy of the best classifier of what recipe_mean measures in that many batches. */
double labels_best(const recipe *r, const labels *l, int batches);

/* Exact checks of a small net, by bounds of SYSTEMS 0.4: the loss of a graph and its gradients against f64, for sums of
 * `longest` terms, and gradients in f64 against differences. */
void labels_exact(recipe *r, net *n, const char *graph, const feed *f, int longest);
/* Texts of 8, two of them: tokens and, as `port`, the next ones. */
feed labels_small(const hmm *h, const char *port);

typedef struct labels_tuning {
  net *like; /* the program */
  net *from; /* what was trained before: all but its head is copied. NULL: nothing */
  const labels *task;
  int steps;
  double lr;
  const char *name; /* in the plot */
} labels_tuning;

/* A new head, learned from the labels. */
net *labels_tune(recipe *r, const labels_tuning *t);
/* Of new texts. */
double labels_accuracy(net *n, const labels *l, int batches);
/* Mean accuracy of `draws` choices of labels. */
double labels_tuned(recipe *r, const labels_tuning *t, int draws, int batches);

#endif
