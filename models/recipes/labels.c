/* Texts of hidden states with few labels, and what is learned from them. */
#include "models/recipes/labels.h"

#include <stdio.h>
#include <string.h>

enum { ROWS = LABELS_ROWS, LENGTH = LABELS_LENGTH, FRESH = 1 << 30 /* first batch of measuring, as in train.c */ };

/* ---- feeds ------------------------------------------------------------------------------------------------------- */

static int length_of(const labels *l) { return l->length ? l->length : LENGTH; }

static void fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const labels *l = data;
  int32_t *tokens = port[0], *out = port[1];
  int x[LENGTH], s[LENGTH], n = length_of(l);
  if (l->count && index < FRESH) {
    seed ^= (l->draw + 1) << 32;
    index %= (uint64_t)(l->count / ROWS);
  }
  for (int b = 0; b < ROWS; b++) {
    hmm_sample(l->h, seed, index * ROWS + (uint64_t)b, n, x, s);
    for (int t = 0; t < n; t++) {
      tokens[b * n + t] = x[t];
      out[b * n + t] = l->everywhere || t == n - 1 ? l->label(x[t], s[t]) : -1;
    }
  }
}

feed labels_feed(const labels *l) {
  return (feed){{{"tokens", {ROWS, length_of(l)}}, {"labels", {ROWS, length_of(l)}}}, fill, l};
}

static void fill_text(const void *h, uint64_t seed, uint64_t index, void *const port[]) {
  int32_t *tokens = port[0], *targets = port[1];
  int x[LENGTH + 1];
  for (int b = 0; b < ROWS; b++) {
    hmm_sample(h, seed, index * ROWS + (uint64_t)b, LENGTH + 1, x, NULL);
    for (int t = 0; t < LENGTH; t++) {
      tokens[b * LENGTH + t] = x[t];
      targets[b * LENGTH + t] = x[t + 1];
    }
  }
}

feed labels_text(const hmm *h) {
  return (feed){{{"tokens", {ROWS, LENGTH}}, {"targets", {ROWS, LENGTH}}}, fill_text, h};
}

void labels_text_best(const void *h, uint64_t seed, uint64_t index, double *loss) {
  double whole[LENGTH + 1];
  int x[LENGTH + 1];
  for (int b = 0; b < ROWS; b++) {
    hmm_sample(h, seed, index * ROWS + (uint64_t)b, LENGTH + 1, x, NULL);
    hmm_causal_loss(h, LENGTH + 1, x, whole);
    memcpy(loss + b * LENGTH, whole + 1, sizeof *loss * LENGTH);
  }
}

/* ---- what is best ------------------------------------------------------------------------------------------------ */

static int best_label(const labels *l, int token, const double *state) {
  double of[HMM_STATES + HMM_SYMBOLS] = {0};
  int best = 0;
  for (int s = 0; s < l->h->states; s++) of[l->label(token, s)] += state[s];
  for (int c = 1; c < HMM_STATES + HMM_SYMBOLS; c++) best = of[c] > of[best] ? c : best;
  return best;
}

double labels_best(const recipe *r, const labels *l, int batches) {
  double right = 0, state[LENGTH * HMM_STATES];
  int x[LENGTH], s[LENGTH], n = length_of(l), first = l->everywhere ? 0 : n - 1;
  for (int i = 0; i < batches * ROWS; i++) {
    hmm_sample(l->h, recipe_seed(r, 1), (uint64_t)FRESH * ROWS + (uint64_t)i, n, x, s);
    hmm_filter(l->h, n, x, NULL, state);
    for (int t = first; t < n; t++) right += best_label(l, x[t], state + t * l->h->states) == l->label(x[t], s[t]);
  }
  return right / batches / ROWS / (n - first);
}

/* ---- exactness --------------------------------------------------------------------------------------------------- */

static void small_fill(const void *h, uint64_t seed, uint64_t index, void *const port[]) {
  int32_t *tokens = port[0], *next = port[1];
  int x[9];
  for (int b = 0; b < 2; b++) {
    hmm_sample(h, seed, 2 * index + (uint64_t)b, 9, x, NULL);
    for (int t = 0; t < 8; t++) tokens[8 * b + t] = x[t];
    for (int t = 0; next && t < 8; t++) next[8 * b + t] = x[t + 1];
  }
}

feed labels_small(const hmm *h, const char *port) {
  return (feed){{{"tokens", {2, 8}}, {port, {2, 8}}}, small_fill, h};
}

void labels_exact(recipe *r, net *n, const char *graph, const feed *f, int longest) {
  double f32 = 2e-5 * sqrt(longest);
  recipe_at_most(r, EXACT, "loss against f64, relative", net_difference(n, net_exact(n, NULL), graph, f, "loss"), f32);
  recipe_at_most(r, EXACT, "gradients against f64, relative", net_gradient_error(n, graph, "loss", f), 10 * f32);
  recipe_at_most(r, EXACT, "gradients in f64 against differences", net_slope_error(n, graph, "loss", f), 1e-6);
}

/* ---- learning ---------------------------------------------------------------------------------------------------- */

net *labels_tune(recipe *r, const labels_tuning *t) {
  net *n = net_again(t->like, recipe_seed(r, 100 + t->task->draw));
  feed f = labels_feed(t->task);
  if (t->from) net_copy(n, t->from, "-classify.*");
  recipe_train(r, &(training){n, "tune", t->name, &f, t->steps, t->lr});
  return n;
}

double labels_accuracy(net *n, const labels *l, int batches) {
  feed f = labels_feed(l);
  return recipe_mean(n, "judge", "accuracy", &f, batches, NULL);
}

double labels_tuned(recipe *r, const labels_tuning *t, int draws, int batches) {
  double sum = 0;
  for (int k = 0; k < draws && !recipe_has_failed(r); k++) {
    char name[64];
    labels now = *t->task;
    labels_tuning with = *t;
    snprintf(name, sizeof name, "%s, labels %d", t->name, k + 1);
    now.draw = (uint64_t)k;
    with.task = &now, with.name = name;
    sum += labels_accuracy(labels_tune(r, &with), &now, batches) / draws;
  }
  return sum;
}
