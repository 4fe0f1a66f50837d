/* Two sentences, of which the second follows the first or is of another document: what next-sentence prediction learns
 * from, made of a text of documents. "Sentence" A and B are spans of some sentences that fill a sequence.
 *   source: Devlin et al. 2019, appendix A.1; create_pretraining_data.py of google-research/bert */
#ifndef SINTER_MODELS_RECIPES_PAIRS_H
#define SINTER_MODELS_RECIPES_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

/* Document i is sentences document[i] to document[i + 1] - 1, sentence s is tokens sentence[s] to sentence[s + 1] - 1.
 */
typedef struct pairs_text {
  int documents; /* two or more, none of them empty */
  const int *document, *sentence;
} pairs_text;

typedef struct pairs_span {
  int from, to; /* tokens of the text */
} pairs_span;

typedef struct pairs_pair {
  pairs_span a, b;
  bool other;  /* B is of another document: label 1 of the published code */
  bool forced; /* there was no sentence behind A to choose from */
} pairs_pair;

/* A walk through one document: every sentence of it is in one A, or in one B that follows. */
typedef struct pairs_walk {
  const pairs_text *text;
  uint64_t seed, stream, drawn; /* of random numbers */
  int document, next;           /* next: sentence */
  int most;                     /* tokens of A and B together, 2 or more */
  int target;                   /* that a pair is filled up to: most, or for a tenth of the walks any less */
} pairs_walk;

pairs_walk pairs_begin(const pairs_text *text, int document, int most, uint64_t seed, uint64_t index);
/* -> false: the document is at its end */
bool pairs_next(pairs_walk *w, pairs_pair *out);

#endif
