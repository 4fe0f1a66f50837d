/* Random numbers of the data kit. Draw number `count` of a stream is a function of (seed, stream, index, count) alone:
 * samples are the same in any order, on any number of threads, and two generators with one seed do not see the same
 * numbers. */
#ifndef ORACLES_DRAWS_H
#define ORACLES_DRAWS_H

#include <stdint.h>

typedef struct draws {
  uint64_t key;   /* of (seed, stream, index) */
  uint64_t count; /* numbers drawn so far */
} draws;

/* The stream of sample `index`; `stream` is a constant of the generator. */
draws draws_of(uint64_t seed, uint64_t stream, uint64_t index);

uint64_t draws_bits(draws *d);
/* In (0, 1), never either end. */
double draws_unit(draws *d);
/* In 0 .. n - 1. */
int draws_below(draws *d, int n);
/* i with probability weight[i] / sum of weights. */
int draws_pick(draws *d, int n, const double *weight);
double draws_normal(draws *d);
/* Of shape `shape` > 0 and scale 1. source: Marsaglia & Tsang 2000 */
double draws_gamma(draws *d, double shape);
/* out [n], a point of the symmetric Dirichlet distribution. */
void draws_dirichlet(draws *d, int n, double alpha, double *out);
int draws_poisson(draws *d, double mean);
/* A uniform order of items [n], in place. */
void draws_shuffle(draws *d, int n, int *items);

#endif
