/* Hidden tokens: what a masked language model reads and must guess. And pairs of sentences from a text of documents.
 * Both as the code published with BERT makes them, but that results depend on (seed, index) alone.
 *   source: Devlin et al. 2019, appendix A.1; create_pretraining_data.py of google-research/bert */
#ifndef SINTER_MODELS_RECIPES_HIDE_H
#define SINTER_MODELS_RECIPES_HIDE_H

#include <stdbool.h>
#include <stdint.h>

enum { HIDE_LENGTH = 512 /* tokens of a sequence */ };

typedef struct hide {
  double rate;            /* of candidates that are chosen, at least one; 0: 0.15 */
  int most;               /* at most as many; 0: no limit */
  double masked, kept;    /* of those chosen: replaced by `mask`; left as they are, of the rest; both 0: 0.8 and 0.5 */
  int mask;               /* the token that hides */
  int symbols;            /* what else replaces: 0 .. symbols - 1 */
  bool (*special)(int x); /* never chosen; NULL: none is */
} hide;

/* How many of n candidates are chosen: halves are rounded up. */
int hide_count(const hide *h, int n);

/* x [n] -> shown [n], slots [count] in ascending order, labels [count] the tokens that stood there. word [n], the
 * number of the word that each token is part of: words are chosen whole (there may be fewer tokens than asked for, if
 * the last words do not fit); NULL: each is one.   -> count, 0 if there is no candidate   needs: n <= HIDE_LENGTH */
int hide_tokens(const hide *h, uint64_t seed, uint64_t index, int n, const int *x, const int *word, int *shown,
                int *slots, int *labels);

#endif
