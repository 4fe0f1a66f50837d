/* Tests of claims about samples: z and chi-square with p-values, Wilson intervals, paired excess over a bound. */
#ifndef ORACLES_STATS_H
#define ORACLES_STATS_H

#include <stdbool.h>

/* P(|Z| >= |z|) of a normal variable. */
double stats_normal_p(double z);

/* Of `hits` in n trials that each hit with probability p: (hits - n p) / sqrt(n p (1 - p)). */
double stats_binomial_z(double hits, double n, double p);

/* P(at least k hits in n trials), summed. */
double stats_binomial_tail(int n, int k, double p);

/* P(X >= x) of chi-square with `freedom` degrees of freedom. */
double stats_chi_square_p(double x, int freedom);

/* p-value of count [n] against the law p [n] (Pearson). Cells that expect fewer than 5 are counted as one; a hit where
 * p is 0 gives 0. */
double stats_fit_p(int n, const double *count, const double *p);

/* The same for two counts [n] that may have one law, whatever it is. */
double stats_same_p(int n, const double *count, const double *other);

/* Bounds of the probability behind `hits` of n, at z standard errors. source: Wilson 1927 */
void stats_wilson(double hits, double n, double z, double *out_low, double *out_high);

/* Mean and standard error of x [n] - y [n]; y may be NULL. Neighbours that depend on each other: batches of `batch`
 * items are averaged first (1: none). */
typedef struct stats_mean {
  double mean, error;
} stats_mean;

stats_mean stats_difference(int n, const double *x, const double *y, int batch);

/* The leak detector: a held-out loss that is below the best possible one on the same tokens by more than 3 standard
 * errors. */
bool stats_leaks(stats_mean excess);

/* Between laws [n]: half the sum of differences; sum p log(p / q), infinite where q misses p. */
double stats_tv(int n, const double *p, const double *q);
double stats_kl(int n, const double *p, const double *q);
double stats_entropy(int n, const double *p);

#endif
