/* What generated texts are measured by: edit distance, longest common subsequence and ROUGE-L, BLEU, distinct n-grams.
 * Texts are numbers: words, tokens or characters. */
#ifndef ORACLES_METRICS_H
#define ORACLES_METRICS_H

enum { METRICS_LENGTH = 1024 /* of a text */, METRICS_GRAM = 4 /* longest n-gram */ };

/* Fewest insertions, deletions and exchanges that make b of a. */
int metrics_edits(int n, const int *a, int m, const int *b);

/* Length of the longest common subsequence. */
int metrics_common(int n, const int *a, int m, const int *b);

/* 2 p r / (p + r) of common / m and common / n; 0 for an empty text. source: Lin 2004 */
double metrics_rouge_l(int n, const int *a, int m, const int *b);

typedef struct metrics_text {
  int n;
  const int *tokens;
} metrics_text;

/* Of `many` candidates with one reference each: geometric mean of clipped n-gram precisions, n = 1 .. 4, over all
 * texts, times exp(1 - reference / candidate) where candidates are shorter in all. 0 if a precision is. source:
 * Papineni et al. 2002 */
double metrics_bleu(int many, const metrics_text *candidate, const metrics_text *reference);

/* Different n-grams of all texts, by their number. */
double metrics_distinct(int many, const metrics_text *text, int gram);

#endif
