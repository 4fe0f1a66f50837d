/* Preferences: who wins a comparison of utilities, and what utilities a table of wins speaks for. */
#ifndef ORACLES_PREFERENCE_H
#define ORACLES_PREFERENCE_H

#include <stdbool.h>
#include <stdint.h>

enum { PREFERENCE_ITEMS = 64 };

/* Bradley-Terry: p(a before b) = sigmoid(utility a - utility b). */
double preference_wins(double a, double b);

/* order [n]: a ranking by Plackett-Luce: each next one of those left with probability exp(utility) / their sum. */
void preference_rank(uint64_t seed, uint64_t index, int n, const double *utility, int *order);

/* p(order | utilities) */
double preference_law(int n, const double *utility, const int *order);

/* utility [n], of mean 0, under which wins [n][n] (row before column) are likeliest. False if it is not finite: some
 * items never lose to the others. source: Zermelo 1929; Hunter 2004, the MM iteration */
bool preference_fit(int n, const double *wins, double *utility);

/* Accuracy of the best judge of pairs, all of them equally often: the mean of max(p, 1 - p). */
double preference_accuracy(int n, const double *utility);

#endif
