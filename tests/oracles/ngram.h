/* D8: n-gram models with interpolated Kneser-Ney smoothing, the baseline of a byte model on the same text.
 *   p_k(w | h) = max(c(hw) - d, 0) / c(h.) + d n(h.) / c(h.) p_k-1(w | h without its oldest token), p_0 uniform;
 *   c counts texts at the highest order and different tokens before hw below it, n(h.) different tokens after h;
 *   d = n1 / (n1 + 2 n2) of each order.    source: Kneser & Ney 1995, Chen & Goodman 1998 */
#ifndef ORACLES_NGRAM_H
#define ORACLES_NGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NGRAM_ORDER = 7 };

typedef struct ngram_entry {
  uint64_t key; /* its tokens to the base 256, and 1; 0: free */
  double count; /* of the n-gram */
  double total; /* sum of the counts of those that are one token longer, and how many they are */
  double followers;
} ngram_entry;

typedef struct ngram_table {
  size_t room, used; /* room: a power of two */
  ngram_entry *entry;
  double discount;
} ngram_table;

typedef struct ngram {
  int order;                          /* tokens of the longest n-grams, the predicted one counted */
  int symbols;                        /* at most 256 */
  ngram_table table[NGRAM_ORDER + 1]; /* by length */
} ngram;

/* Counts text [n]. False if memory runs out. owns: ngram_destroy */
bool ngram_create(ngram *out, int order, int symbols, int64_t n, const int *text);
void ngram_destroy(ngram *m);

/* p(token | past [n]), of which the last order - 1 count. */
double ngram_probability(const ngram *m, int64_t n, const int *past, int token);

/* Mean of -log p over text [n], nats per token. */
double ngram_loss(const ngram *m, int64_t n, const int *text);

#endif
