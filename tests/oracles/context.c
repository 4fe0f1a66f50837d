/* Learning in context as Bayesian inference over a list of tasks. */
#include "tests/oracles/context.h"

#include <assert.h>

#include "tests/oracles/draws.h"

enum { TASKS = 0x637801, TEXT = 0x637802 };

context context_make(uint64_t seed, int tasks, int inputs, int answers, double noise) {
  assert(tasks <= CONTEXT_TASKS && inputs <= CONTEXT_INPUTS && answers > 1 && answers <= CONTEXT_ANSWERS);
  context c = {.tasks = tasks, .inputs = inputs, .answers = answers, .noise = noise};
  for (int k = 0; k < tasks; k++) {
    draws d = draws_of(seed, TASKS, (uint64_t)k);
    for (int x = 0; x < inputs; x++) c.map[k][x] = draws_below(&d, answers);
  }
  return c;
}

int context_sample(const context *c, uint64_t seed, uint64_t index, int shots, int *tokens) {
  draws d = draws_of(seed, TEXT, index);
  int task = draws_below(&d, c->tasks);
  for (int k = 0; k < shots; k++) {
    int x = draws_below(&d, c->inputs), wrong = draws_unit(&d) < c->noise, other = draws_below(&d, c->answers - 1);
    int y = c->map[task][x];
    tokens[2 * k] = x;
    tokens[2 * k + 1] = c->inputs + (wrong ? (y + 1 + other) % c->answers : y);
  }
  return task;
}

/* p(answer y | task, input x) */
static double gives(const context *c, int task, int x, int y) {
  return c->map[task][x] == y ? 1 - c->noise : c->noise / (c->answers - 1);
}

void context_posterior(const context *c, int shots, const int *pairs, double *posterior) {
  double all = 0;
  for (int k = 0; k < c->tasks; k++) {
    posterior[k] = 1;
    for (int i = 0; i < shots; i++) posterior[k] *= gives(c, k, pairs[2 * i], pairs[2 * i + 1] - c->inputs);
    all += posterior[k];
  }
  for (int k = 0; k < c->tasks; k++) posterior[k] = all > 0 ? posterior[k] / all : 1.0 / c->tasks;
}

void context_answer(const context *c, int shots, const int *pairs, int input, double *out) {
  double posterior[CONTEXT_TASKS];
  context_posterior(c, shots, pairs, posterior);
  for (int y = 0; y < c->answers; y++) {
    out[y] = 0;
    for (int k = 0; k < c->tasks; k++) out[y] += posterior[k] * gives(c, k, input, y);
  }
}

/* Sum over what the next pairs can be; weight[k] = p(task k, pairs so far). */
static double walk(const context *c, const double *weight, int shots) {
  double sum = 0;
  for (int x = 0; x < c->inputs; x++) {
    double best = 0;
    for (int y = 0; y < c->answers; y++) {
      double later[CONTEXT_TASKS], all = 0;
      for (int k = 0; k < c->tasks; k++) all += later[k] = weight[k] * gives(c, k, x, y) / c->inputs;
      if (shots > 0) sum += all > 0 ? walk(c, later, shots - 1) : 0;
      if (all > best) best = all;
    }
    sum += shots == 0 ? best : 0;
  }
  return sum;
}

double context_accuracy(const context *c, int shots) {
  double weight[CONTEXT_TASKS];
  for (int k = 0; k < c->tasks; k++) weight[k] = 1.0 / c->tasks;
  return walk(c, weight, shots);
}
