/* Learning in context: each text is x1 y1 x2 y2 .. of one of `tasks` hidden functions from inputs to answers, and
 * answers are wrong with probability `noise` (then any other one). Oracle: the exact posterior of the task after k
 * demonstrations, and with it the best answer to the next input and its accuracy. tokens: inputs 0 .. inputs - 1, then
 * answers */
#ifndef ORACLES_CONTEXT_H
#define ORACLES_CONTEXT_H

#include <stdint.h>

enum { CONTEXT_TASKS = 64, CONTEXT_INPUTS = 16, CONTEXT_ANSWERS = 8 };

typedef struct context {
  int tasks, inputs, answers;
  double noise;
  int map[CONTEXT_TASKS][CONTEXT_INPUTS]; /* the answer of a task to an input, counted from 0 */
} context;

context context_make(uint64_t seed, int tasks, int inputs, int answers, double noise);

/* tokens [2 * shots]: pairs of one task. Returns the task. */
int context_sample(const context *c, uint64_t seed, uint64_t index, int shots, int *tokens);

/* posterior [tasks], given pairs [2 * shots]. */
void context_posterior(const context *c, int shots, const int *pairs, double *posterior);

/* out [answers]: p(answer | pairs, input). */
void context_answer(const context *c, int shots, const int *pairs, int input, double *out);

/* Exact accuracy of the best answer after `shots` demonstrations, by summing over all of them: (inputs * answers)^shots
 * terms. */
double context_accuracy(const context *c, int shots);

#endif
