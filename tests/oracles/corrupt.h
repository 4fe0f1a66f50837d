/* What a corrupted text must be, given the clean one: judges of corruption programs, and the laws that they should
 * follow. The programs themselves are part of the product; nothing here makes a corrupted text. */
#ifndef ORACLES_CORRUPT_H
#define ORACLES_CORRUPT_H

#include <stdbool.h>

enum { CORRUPT_LENGTH = 512 };

/* Ways to get y [m] by deleting n - m tokens of x [n]; 0: y is no part of x in order. */
double corrupt_deletions(int n, const int *x, int m, const int *y);

/* Ways to get y [m] from x [n] by replacing stretches, empty ones too, by one `mask` each, with `budget` tokens of x
 * replaced in all. x holds no mask. */
double corrupt_infills(int n, const int *x, int m, const int *y, int mask, int budget);

/* Whether y [n] is x [n] in some order. */
bool corrupt_is_reordered(int n, const int *x, const int *y);

/* The u with y = x_u .. x_n-1 x_0 .. x_u-1, the first of several; -1: none. */
int corrupt_rotation(int n, const int *x, const int *y);

/* Number of an order in alphabetical order, 0 .. n! - 1, for counting; -1: not an order of 0 .. n - 1. n <= 12 */
int corrupt_order_number(int n, const int *order);

/* Puts source and target of sentinel corruption together again. Sentinel k is token first + step * k, of `sentinels`;
 * source has the first k of them in order, none next to each other; target is sentinel, span of at least a token,
 * sentinel, span .., and the next sentinel at the end. Returns the number of tokens in out, -1 if the two are not of
 * that form. */
typedef struct corrupt_sentinels {
  int first, step, many; /* T5: step -1 */
} corrupt_sentinels;

int corrupt_unsentinel(const corrupt_sentinels *s, int n_source, const int *source, int n_target, const int *target,
                       int room, int *out);

/* out [many + 1]: p(k) of a Poisson variable, the rest of it in the last. */
void corrupt_poisson(double mean, int many, double *out);

/* Spans of Poisson lengths are drawn until `budget` tokens are reached, the last is cut. out [budget + 1]: the expected
 * number of spans of each length, cut ones and empty ones included. Returns the expected number of spans. */
double corrupt_spans(double mean, int budget, double *out);

/* BERT's choice: min(most, max(1, round(rate * n))), halves upward. n: tokens that may be chosen. */
int corrupt_chosen(int n, double rate, int most);

/* Whether `shown` is x [n] with `many` tokens chosen, none of them special, and nothing else changed; if so, adds what
 * was done with them to done: hidden by `mask`, kept (by intent or by chance), exchanged. Expected shares over V
 * symbols: 0.8, 0.1 + 0.1 / V and 0.1 - 0.1 / V. */
bool corrupt_bert_done(int n, const int *x, const bool *special, const int *shown, const bool *chosen, int many,
                       int mask, double done[3]);

/* out [symbols]: p(shown | clean token w) up to a factor, of a token chosen with probability `rate`, then hidden
 * (shown: -1) 80 %, kept 10 %, any symbol 10 %. `target`: it is known to have been chosen. A row of sight for hmm.h. */
void corrupt_bert_sight(int symbols, double rate, int shown, bool target, double *out);

#endif
